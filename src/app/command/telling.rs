//! How a simulated centre tells its events: itself, or as a platform would.

use crate::app::Failure;
use crate::decode::{Decoder, Format};
use crate::mimic::{Mimic, Spoken};
use crate::simulate::Emitted;

/// The centre's own words, or a platform's.
pub(super) struct Telling {
    platform: Option<(Mimic, Decoder)>,
    spoken: Vec<Spoken>,
}

impl Telling {
    /// Of this name; `None` for canonical events.
    ///
    /// # Errors
    /// A name of no platform.
    pub(super) fn new(name: Option<&str>) -> Result<Telling, Failure> {
        let name = name.filter(|name| *name != Format::Callpulse.name());
        let platform = match name {
            None => None,
            Some(name) => {
                let mimic = Mimic::new(name).ok_or_else(|| {
                    Failure::usage(format!("nobody speaks `{name}`"))
                        .hint(format!("there are: callpulse, {}", Mimic::NAMES.join(", ")))
                })?;
                Some((mimic, Decoder::default()))
            }
        };
        Ok(Telling { platform, spoken: Vec::new() })
    }

    /// Tells one event: hands on key, record and time of each record that is written then.
    ///
    /// # Errors
    /// What `write` says.
    pub(super) fn tell<E>(
        &mut self,
        event: &Emitted,
        mut write: impl FnMut(&str, &str, i64) -> Result<(), E>,
    ) -> Result<(), E> {
        let Some((mimic, decoder)) = &mut self.platform else {
            return write(&event.key, &event.payload, event.time);
        };
        if let Ok(event) = decoder.decode(event.payload.as_bytes(), None) {
            mimic.hear(&event, &mut self.spoken);
        }
        self.spoken.drain(..).try_for_each(|spoken| write(&spoken.key, &spoken.payload, spoken.time))
    }

    /// Tells what is left at the end.
    ///
    /// # Errors
    /// What `write` says.
    pub(super) fn end<E>(
        &mut self,
        mut write: impl FnMut(&str, &str, i64) -> Result<(), E>,
    ) -> Result<(), E> {
        if let Some((mimic, _)) = &mut self.platform {
            mimic.end(&mut self.spoken);
        }
        self.spoken.drain(..).try_for_each(|spoken| write(&spoken.key, &spoken.payload, spoken.time))
    }
}
