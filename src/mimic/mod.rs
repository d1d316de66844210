//! Speaks the languages of platforms: canonical events in, the records that a platform would have written out.
//!
//! For trying an adapter without the platform, and for tests: the same simulated centre, told by each platform, must give
//! the same figures. Knows nothing of the adapters; what a platform cannot tell is left out here as it is there.
//!
//! Invariant: memory is bounded by the contacts of the last two hours of event time.

mod asterisk;
mod chatwoot;
mod connect;
mod freeswitch;
mod genesys;
mod story;
mod twilio;

use crate::event::Event;
use crate::time::Millis;

/// One record of a platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spoken {
    /// When the platform writes it, ms since 1970.
    pub time: Millis,
    /// What all records of the contact, or of the agent, share: the key in Kafka.
    pub key: String,
    /// The record.
    pub payload: String,
}

/// One platform's way of telling.
trait Speech: Send {
    fn hear(&mut self, event: &Event<'_>, out: &mut Vec<Spoken>);

    /// Nothing more will happen.
    fn end(&mut self, _out: &mut Vec<Spoken>) {}
}

/// Tells events as a platform does.
pub struct Mimic {
    speech: Box<dyn Speech>,
}

impl Mimic {
    /// The names of the platforms, as formats are named in the configuration.
    pub const NAMES: &'static [&'static str] =
        &["amazon-connect", "genesys", "twilio", "asterisk-queue-log", "freeswitch-callcenter", "chatwoot"];

    /// The platform of this name.
    pub fn new(name: &str) -> Option<Mimic> {
        let speech: Box<dyn Speech> = match name {
            "amazon-connect" => Box::<connect::Connect>::default(),
            "genesys" => Box::<genesys::Genesys>::default(),
            "twilio" => Box::<twilio::Twilio>::default(),
            "asterisk-queue-log" => Box::<asterisk::Asterisk>::default(),
            "freeswitch-callcenter" => Box::<freeswitch::Freeswitch>::default(),
            "chatwoot" => Box::<chatwoot::Chatwoot>::default(),
            _ => return None,
        };
        Some(Mimic { speech })
    }

    /// Hears one event, in the order of time; what the platform writes then goes to `out`.
    pub fn hear(&mut self, event: &Event<'_>, out: &mut Vec<Spoken>) {
        self.speech.hear(event, out);
    }

    /// Hears that nothing more will happen.
    pub fn end(&mut self, out: &mut Vec<Spoken>) {
        self.speech.end(out);
    }
}

impl std::fmt::Debug for Mimic {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Mimic").finish_non_exhaustive()
    }
}

/// Seconds since 1970; what is below a second is lost.
fn seconds(time: Millis) -> i64 {
    time.div_euclid(1000)
}
