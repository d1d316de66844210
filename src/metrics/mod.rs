//! Gives numbers their Prometheus names, and their places in the live JSON.
//!
//! Holds no number itself: every scrape is made from a [`Summary`](crate::window::Summary) and [`Stats`] that are handed
//! in, so that series of things that are gone vanish and two scrapes at once agree. Ratios come from the formulas of
//! [`kpi`](crate::kpi).
//!
//! Invariant: a series that adds over instances is a count, a sum or a bucket; ratios, means and times of day are extra.
//! Invariant: label values come from closed lists, the configuration, topics and partitions, and a bounded number of
//! queues; never from agents, customers or contacts.

mod live;
mod names;
mod render;
mod stats;
#[cfg(test)]
mod tests;

pub use live::live_json;
pub use names::{METRICS, Metric, MetricKind};
pub use render::{CONTENT_TYPE, Metrics};
pub use stats::{PartitionStats, SlotPlan, Stats};
