//! Folds the rows of contacts into what can be told at any moment: counters, who waits, slots, rolling windows.
//!
//! One [`Window`] belongs to one task (a Kafka partition); the [`Summary`]s of tasks and instances merge by addition, and
//! ratios are made from the merged sums at the very end, by the formulas of [`kpi`](crate::kpi). Reads no clock: the
//! present is handed in. Knows no event, no metric name and no table.
//!
//! Invariant: a change takes away what the old rows had added and adds the new ones, so that the state is a function of
//! the present rows alone; what is closed and gone leaves no trace in what waits and what is active.
//! Invariant: counters count each leg and handling once, at its first outcome, and never fall ([`Counted`]).
//! Invariant: what is offered, how legs ended and who waits are counted apart from each other; the ledger holds them
//! against each other, per slot.
//! Invariant: memory is bounded by the series ([`Options::max_series`]), the pieces of time kept and who waits.

mod codec;
mod counters;
mod fold;
mod histogram;
#[cfg(test)]
mod histories;
mod options;
mod pieces;
mod said;
mod series;
#[cfg(test)]
mod stories;
mod summary;
mod view;

pub use counters::{Counted, Counters};
pub use fold::Window;
pub use histogram::Histogram;
pub use options::{Options, QueueOptions};
pub use said::{KeywordKey, Mood};
pub use series::{OTHER_QUEUE, SeriesKey};
pub use summary::{ROLLING, Rolling, Series, Summary};
