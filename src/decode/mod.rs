//! Bytes of one record to events, or a [`Reject`] with its reason.
//!
//! A format is a file of this room. The canonical one (`callpulse`) holds one event a record and is read
//! in one pass where it has the plain form; serde_json is the reference that a test holds it against, reads
//! everything else, and is the judge of what is not JSON. Strings are borrowed from the record; nothing is
//! allocated for an ordinary event. Vendors' records may hold any number of events; an adapter makes
//! them, and each is held to the law of canonical ones.
//!
//! Invariant: the events of a record and their ids follow from the record alone, so that a record that comes
//! again, or out of order, changes nothing. Where a vendor's record means something only beside earlier ones
//! (the queue log of Asterisk), the adapter's state is part of the task's snapshot ([`Decoder::state`]).
//! Invariant: an event is never lost in silence: a record is understood, or it is a reject with a reason.

mod asterisk;
mod avro;
mod canonical;
mod chatwoot;
mod connect;
mod connect_agents;
mod connect_lens;
mod fields;
mod freeswitch;
mod genesys;
mod genesys_details;
mod mapped;
mod plain;
mod protobuf;
mod registry;
mod source;
#[cfg(test)]
mod tests;
mod twilio;
mod vendor;
mod write;

use std::sync::Arc;

use crate::event::{Event, Reject, RejectReason};
use crate::time::Millis;

pub use mapped::{Clause, Envelope, Layout, Lookup, Mapping, TimeFormat, When, is_time_pattern};
pub use registry::{Registry, SchemaKind, SchemaText};
pub use source::{Names, Source};
use vendor::{Adapter, Out};
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
    /// Amazon Connect: contact records, contact events, the agent event stream, Contact Lens segments.
    AmazonConnect,
    /// Genesys Cloud: detail events and conversation details.
    Genesys,
    /// Twilio: TaskRouter events and Conversations messages.
    Twilio,
    /// Asterisk: lines of `queue_log`.
    AsteriskQueueLog,
    /// FreeSWITCH: `callcenter::info` events of mod_callcenter.
    FreeswitchCallcenter,
    /// Chatwoot: webhooks.
    Chatwoot,
    /// Records of one's own, as a mapping file says.
    Mapped,
}

impl Format {
    /// Every format.
    pub const ALL: &'static [Format] = &[
        Format::Callpulse,
        Format::AmazonConnect,
        Format::Genesys,
        Format::Twilio,
        Format::AsteriskQueueLog,
        Format::FreeswitchCallcenter,
        Format::Chatwoot,
        Format::Mapped,
    ];

    /// The name in the configuration and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Format::Callpulse => "callpulse",
            Format::AmazonConnect => "amazon-connect",
            Format::Genesys => "genesys",
            Format::Twilio => "twilio",
            Format::AsteriskQueueLog => "asterisk-queue-log",
            Format::FreeswitchCallcenter => "freeswitch-callcenter",
            Format::Chatwoot => "chatwoot",
            Format::Mapped => "mapped",
        }
    }

    /// The format of this name.
    pub fn from_name(name: &str) -> Option<Format> {
        Self::ALL.iter().copied().find(|format| format.name() == name)
    }

    /// The names of all formats.
    pub fn names() -> Vec<&'static str> {
        Self::ALL.iter().map(|format| format.name()).collect()
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
    silent: u64,
    adapter: Option<Box<dyn Adapter>>,
    names: Option<Arc<Names>>,
}

impl Decoder {
    /// A decoder of this format. One of [`Format::Mapped`] needs its mapping: see [`Source`].
    pub fn new(format: Format) -> Decoder {
        Source::from(format).decoder()
    }

    /// The same with another parser.
    pub fn with_parser(self, parser: Parser) -> Decoder {
        Decoder { parser, ..self }
    }

    /// Fields that no event type has, or that the adapter does not know, so far. Of canonical events they are kept under
    /// `attributes`.
    pub fn unknown_fields(&self) -> u64 {
        self.unknown_fields
    }

    /// Records so far that were understood and hold no event, such as heartbeats.
    pub fn silent(&self) -> u64 {
        self.silent
    }

    /// What the adapter must know of earlier records to go on, as text; `None` for all formats but the few that need it.
    pub fn state(&self) -> Option<String> {
        self.adapter.as_ref().and_then(|adapter| adapter.state())
    }

    /// Goes on from what [`Decoder::state`] gave. A text that cannot be read counts as none.
    pub fn resume(&mut self, state: &str) {
        if let Some(adapter) = &mut self.adapter {
            adapter.resume(state);
        }
    }

    /// True where a record is one canonical event, which [`Decoder::decode`] reads without an allocation.
    pub fn is_canonical(&self) -> bool {
        self.adapter.is_none()
    }

    /// Reads one record of any format: its events, in the order of the record; none where it tells nothing that is counted.
    ///
    /// `timestamp` is the Kafka timestamp in ms, or `None` for files: then no time is in the future.
    ///
    /// # Errors
    /// A reject with one reason of the fixed list and what exactly is wrong.
    pub fn read<'a>(
        &'a mut self,
        record: &'a [u8],
        timestamp: Option<Millis>,
    ) -> Result<Vec<Event<'a>>, Reject> {
        if self.is_canonical() {
            return self.decode(record, timestamp).map(|event| vec![event]);
        }
        self.adapt(record, timestamp)
    }

    /// Reads one canonical record.
    ///
    /// # Errors
    /// As [`Decoder::read`]; a record of another format than `callpulse`.
    pub fn decode<'a>(
        &'a mut self,
        record: &'a [u8],
        timestamp: Option<Millis>,
    ) -> Result<Event<'a>, Reject> {
        if self.format != Format::Callpulse {
            let detail = format!("a record of `{}` is no canonical event", self.format.name());
            return Err(Reject { reason: RejectReason::UnknownFormat, detail });
        }
        let text = text_of(record)?;
        self.extra.clear();
        let event = canonical::decode(text, self.parser, &mut self.extra, &mut self.unknown_fields)
            .map_err(|reject| name_wire_format(reject, record))?;
        not_ahead(&event, timestamp)?;
        Ok(event)
    }

    /// As [`Decoder::read`], of a record whose headers make it a CloudEvent in binary mode.
    ///
    /// # Errors
    /// As [`Decoder::read`].
    pub fn read_cloud_event(
        &mut self,
        record: &[u8],
        attributes: &[(String, String)],
        timestamp: Option<Millis>,
    ) -> Result<Vec<Event<'static>>, Reject> {
        match self.adapter.as_ref().is_some_and(|adapter| adapter.takes_attributes()) {
            true => self.adapt_with(record, attributes, timestamp),
            false => {
                self.read(record, timestamp).map(|events| events.into_iter().map(Event::into_owned).collect())
            }
        }
    }

    fn adapt(&mut self, record: &[u8], timestamp: Option<Millis>) -> Result<Vec<Event<'static>>, Reject> {
        self.adapt_with(record, &[], timestamp)
    }

    fn adapt_with(
        &mut self,
        record: &[u8],
        attributes: &[(String, String)],
        timestamp: Option<Millis>,
    ) -> Result<Vec<Event<'static>>, Reject> {
        let Some(adapter) = &mut self.adapter else { return Ok(Vec::new()) };
        let mut out = Out::default();
        let read = match adapter.is_binary() || !attributes.is_empty() {
            true => {
                not_too_large(record)?;
                adapter.read_bytes(record, attributes, &mut out)
            }
            false => {
                let text = text_of(vendor::without_json_schema_prefix(record))
                    .map_err(|reject| name_wire_format(reject, record))?;
                adapter.read(text, timestamp, &mut out).map_err(|reject| name_wire_format(reject, record))
            }
        };
        self.unknown_fields += out.unknown_fields;
        read?;
        for event in &mut out.events {
            if let Some(names) = &self.names {
                names.apply(event);
            }
            canonical::check(event)?;
            not_ahead(event, timestamp)?;
        }
        if out.events.is_empty() {
            self.silent += 1;
        }
        Ok(out.events)
    }
}

fn not_too_large(record: &[u8]) -> Result<(), Reject> {
    if record.len() <= RECORD_BYTES_MAX {
        return Ok(());
    }
    let detail = format!("the record has {} bytes, more than {RECORD_BYTES_MAX}", record.len());
    Err(Reject { reason: RejectReason::TooLarge, detail })
}

fn text_of(record: &[u8]) -> Result<&str, Reject> {
    not_too_large(record)?;
    simdutf8::basic::from_utf8(record).map_err(|_| {
        let at = std::str::from_utf8(record).err().map_or(0, |error| error.valid_up_to());
        let reject = Reject { reason: RejectReason::NotUtf8, detail: format!("not UTF-8 at byte {at}") };
        name_wire_format(reject, record)
    })
}

/// Says so where what cannot be read is a payload of a schema registry.
fn name_wire_format(reject: Reject, record: &[u8]) -> Reject {
    let unread = matches!(reject.reason, RejectReason::NotUtf8 | RejectReason::NotJson);
    let Some(schema) = vendor::schema_id(record).filter(|_| unread) else { return reject };
    let detail = format!(
        "the record is in the wire format of a schema registry (a zero byte, then schema id `{schema}`), as Avro, Protobuf \
         and JSON Schema serializers write it: it is read by a mapping with `layout = \"registry\"`"
    );
    Reject { detail, ..reject }
}

#[inline]
fn not_ahead(event: &Event<'_>, timestamp: Option<Millis>) -> Result<(), Reject> {
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
    Ok(())
}
