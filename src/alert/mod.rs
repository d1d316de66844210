//! The life of alerts: raised, delivered, acknowledged, resolved or expired; who is told, and who next when nobody answers.
//!
//! Sends nothing and reads no clock: causes, answers and the present are handed in, [`Dispatch`]es come out. One [`Desk`]
//! keeps the alerts of a process.
//!
//! Invariant: of one id there is one alert, whatever comes twice.
//! Invariant: nothing is dropped in silence: what is not sent is in the table with a note that says why.
//! Invariant: a change that must outlive the process is in [`Desk::take_changes`] before anything is sent for it.

mod desk;
mod record;
#[cfg(test)]
mod tests;

pub use desk::{Counts, Desk, Options, Refusal, Route, Silence};
pub use record::{Alert, Cause, Dispatch, Kind, Over, Quote, Status};
