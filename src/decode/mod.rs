//! Bytes of one record to one [`Event`], or a [`Reject`] with its reason.
//!
//! A format is a file of this room. The canonical one (`callpulse`) is read in one pass where it has the
//! plain form; serde_json is the reference that a test holds it against, reads everything else, and is the
//! judge of what is not JSON. Strings are borrowed from the record; nothing is allocated for an ordinary event.

mod canonical;
mod fields;
mod plain;
#[cfg(test)]
mod tests;
mod write;

use crate::event::{Event, Reject, RejectReason};
use crate::time::Millis;

pub use write::write_event;

/// Records above this many bytes are refused.
pub const RECORD_BYTES_MAX: usize = 1 << 20;
/// Events may be this far ahead of the Kafka timestamp, ms.
pub const AHEAD_MAX: Millis = 24 * crate::time::HOUR;

/// A format of a topic or file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// Canonical events, one JSON object a record.
    #[default]
    Callpulse,
}

impl Format {
    /// Every format.
    pub const ALL: &'static [Format] = &[Format::Callpulse];

    /// The name in the configuration and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Format::Callpulse => "callpulse",
        }
    }

    /// The format of this name.
    pub fn from_name(name: &str) -> Option<Format> {
        Self::ALL.iter().copied().find(|format| format.name() == name)
    }
}

/// Which JSON parser reads canonical events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Parser {
    /// Ours for the plain form, which nearly every record has; serde_json for all others.
    #[default]
    Plain,
    /// The reference.
    SerdeJson,
}

/// Reads records of one format. Keeps a buffer, so that attributes need no allocation per event.
#[derive(Debug, Default)]
pub struct Decoder {
    format: Format,
    parser: Parser,
    extra: Vec<u8>,
    unknown_fields: u64,
}

impl Decoder {
    /// A decoder of this format.
    pub fn new(format: Format) -> Decoder {
        Decoder { format, ..Decoder::default() }
    }

    /// The same with another parser.
    pub fn with_parser(self, parser: Parser) -> Decoder {
        Decoder { parser, ..self }
    }

    /// Fields that no event type has, so far. They are kept under `attributes`.
    pub fn unknown_fields(&self) -> u64 {
        self.unknown_fields
    }

    /// Reads one record.
    ///
    /// `timestamp` is the Kafka timestamp in ms, or `None` for files: then no time is in the future.
    ///
    /// # Errors
    /// A reject with one reason of the fixed list and what exactly is wrong.
    pub fn decode<'a>(
        &'a mut self,
        record: &'a [u8],
        timestamp: Option<Millis>,
    ) -> Result<Event<'a>, Reject> {
        if record.len() > RECORD_BYTES_MAX {
            let detail = format!("the record has {} bytes, more than {RECORD_BYTES_MAX}", record.len());
            return Err(Reject { reason: RejectReason::TooLarge, detail });
        }
        let text = simdutf8::basic::from_utf8(record).map_err(|_| {
            let at = std::str::from_utf8(record).err().map_or(0, |error| error.valid_up_to());
            Reject { reason: RejectReason::NotUtf8, detail: format!("not UTF-8 at byte {at}") }
        })?;
        self.extra.clear();
        let event = match self.format {
            Format::Callpulse => {
                canonical::decode(text, self.parser, &mut self.extra, &mut self.unknown_fields)?
            }
        };
        if let Some(timestamp) = timestamp
            && event.time > timestamp.saturating_add(AHEAD_MAX)
        {
            let detail = format!(
                "`time` is {} s ahead of the Kafka timestamp, more than {} s",
                (event.time - timestamp) / 1000,
                AHEAD_MAX / 1000
            );
            return Err(Reject { reason: RejectReason::FutureTime, detail });
        }
        Ok(event)
    }
}
