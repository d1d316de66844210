//! A customer-service centre that looks real, as canonical events, and that knows its own truth.
//!
//! Seeded and deterministic: the same [`Options`] give the same events on the same build. Imports nothing of the rest
//! of the crate, reads no clock, file or socket, and shares no arithmetic with the pipeline, so that [`Books`] can
//! judge what the pipeline counts. Memory is bounded by open contacts, agents, pending follow-ups (surveys, complaints,
//! promises: days) and one row of the books per slot, channel and queue.
//!
//! Invariant: events come out in the order of their time.
//! Invariant: after each event, [`Centre::books`] is exact for the events that have come out.
//! Invariant: sorting a contact's events by (time, canonical rank, id) changes nothing in the books.

mod after; // surveys, complaints and promises: what follows a contact
mod arrive; // customers arrive, meet the bot, queue, ring, leave
mod books; // the truth about what was emitted
mod crew; // agents: skills, shifts, who is idle longest
mod day; // what a day brings: shifts, breaks, the roster, incidents
mod dice; // every chance, from one seed
mod engine; // the clockwork: what is due, who is in, how an event is written
mod profile; // queues, their traffic and their people's habits
mod record; // JSON by hand
mod slots; // the local day in slots, counted for itself
mod talk; // conversations: messages, holds, transfers, ends, wrap-up
mod texts; // what is said

#[cfg(test)]
mod tests;

pub use books::{Books, Place, Row};
pub use engine::Centre;
pub use slots::slot_start;

/// What centre to simulate.
#[derive(Clone, Debug)]
pub struct Options {
    /// Decides every chance.
    pub seed: u64,
    /// When the simulation begins, in ms since 1970. Agents whose shift is running log in at once.
    pub start: i64,
    /// Where the centre is.
    pub zone: chrono_tz::Tz,
    /// Length of a slot of the books: 15, 30 or 60.
    pub slot_minutes: u32,
    /// Stops after so many contacts and lets the open ones run out; `None` never stops.
    pub contacts: Option<u64>,
    /// Mean events per second in the busy hours of a working day; scales contacts and agents.
    pub events_per_second: f64,
    /// Whether things break now and then: the first incident comes 15 to 40 minutes after the start where its queue is
    /// busy then, later ones on most days.
    pub incidents: bool,
    /// As many contacts come at any time of any day: those of a busy hour, without the mood of the half hour. Agents come and go as
    /// ever.
    pub steady: bool,
}

impl Default for Options {
    /// A middle-sized centre in Shanghai on the morning of Monday 2 March 2026, 09:00.
    fn default() -> Options {
        Options {
            seed: 1,
            start: 1_772_413_200_000,
            zone: chrono_tz::Asia::Shanghai,
            slot_minutes: 30,
            contacts: None,
            events_per_second: 100.0,
            incidents: true,
            steady: false,
        }
    }
}

/// One canonical event, ready to be produced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Emitted {
    /// Event time, ms since 1970.
    pub time: i64,
    /// The contact's id; the agent's for events of agents; the complaint's for a complaint without a contact.
    pub key: String,
    /// One JSON object.
    pub payload: String,
}

/// A time in which something is broken and a queue is flooded.
#[derive(Clone, Debug, PartialEq)]
pub struct Incident {
    /// First instant, ms since 1970.
    pub start: i64,
    /// First instant after it, ms since 1970.
    pub end: i64,
    /// The flooded queue, on all its channels.
    pub queue: &'static str,
    /// The words that most customers use for what is broken.
    pub theme: &'static str,
    /// Arrivals relative to a time without the incident.
    pub factor: f64,
    trouble: usize,
}
