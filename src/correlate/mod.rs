//! Joins the events of one contact into legs and handlings, in any order.
//!
//! Reads no clock, file or socket; knows no Kafka and no lake. One [`Correlator`] serves one task
//! (a Kafka partition, or the files of a replay) and holds everything of it that may still change.
//!
//! Invariant: what a contact's rows are is a function of the set of its events and of the watermark
//! (`fold`); the order in which events arrived and how often they came cannot matter.
//! Invariant: an event is applied, a repeat, or too late; nothing else can happen to it.
//! Invariant: rows of a closed contact are handed out once; when they change later, what they were and
//! what they are is handed out as a restatement.

mod agents;
mod correlator;
mod dossiers;
mod findings;
mod flags;
mod fold;
mod json;
mod log;
mod marks;
mod options;
mod rows;
mod state;
#[cfg(test)]
mod tests;
mod words;

pub use correlator::{Applied, Correlator, Counts, Observer};
pub use findings::{Finding, ServiceRule};
pub use options::{Options, Quality, QueueRules};
pub use rows::Rows;
pub use state::State;
pub use words::Heard;
