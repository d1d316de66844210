//! The sums a slot keeps, and the catalogue: each figure's name, unit, meaning and formula over them.
//!
//! Knows no event, no table and no metric; SQL columns, Prometheus series, pages and documents derive from here.
//!
//! Invariant: a figure has one definition, from which [`Formula::value`] and [`Formula::sql`] both come.
//! Invariant: sums are integers, so that adding in any order and taking away again is exact.

mod catalogue;
mod formula;
mod service_level;
mod sketch;
mod totals;

pub use catalogue::{CATALOGUE, Kpi, Measure, Source, kpi};
pub use formula::{Formula, Linear, SLOT_MS};
pub use service_level::ServiceLevel;
pub use sketch::Sketch;
pub use totals::{LEDGER, Outcome, SlotClock, Sum, Totals, Unit};
