//! What the pipeline tells about itself.

use std::collections::BTreeMap;

use crate::event::{Channel, Kind, RejectReason};
use crate::time::{Millis, SECOND};
use crate::window::Histogram;

/// Counts and states of the pipeline, of one task or of a whole process ([`Stats::merge`]).
///
/// Counters start with the process and never fall: what a partition counted stays when it is given away, only its lag and
/// watermark go.
#[derive(Debug, Clone, PartialEq)]
pub struct Stats {
    /// Events read, by topic and type.
    pub events: BTreeMap<(String, Kind), u64>,
    /// Rejects, by topic and reason.
    pub rejects: BTreeMap<(String, RejectReason), u64>,
    /// What each partition's records became, by topic and partition.
    pub partitions: BTreeMap<(String, i32), PartitionStats>,
    /// Events after the watermark had passed them.
    pub late_events: u64,
    /// Contacts whose written rows were replaced.
    pub restatements: u64,
    /// Fields that the contract does not name.
    pub unknown_fields: u64,
    /// Contact ids seen on more than one partition.
    pub split_contacts: u64,
    /// Contacts that are not closed.
    pub open_contacts: i64,
    /// Tries of a commit that failed.
    pub lake_failures: u64,
    /// How long commits to the lake took.
    pub lake_commit: Histogram,
    /// From reading an event to its being visible.
    pub event_latency: Histogram,
    /// Alerts raised, by rule and severity.
    pub alerts_raised: BTreeMap<(String, String), u64>,
    /// Alerts that are open, by rule and severity.
    pub alerts_open: BTreeMap<(String, String), i64>,
    /// What became of deliveries, by target and result.
    pub alert_deliveries: BTreeMap<(String, String), u64>,
    /// From reading an event to the first target's taking the alert.
    pub alert_latency: Histogram,
    /// Alerts for which nobody of the wanted role was on duty.
    pub alerts_unstaffed: u64,
    /// Alerts that went to the next one because nobody answered.
    pub alert_escalations: u64,
    /// Changed files, by the key that names them and whether they were taken.
    pub reloads: BTreeMap<(String, String), u64>,
    /// What is planned for the running slot, by queue and channel.
    pub plans: BTreeMap<(String, Channel), SlotPlan>,
    /// Instances whose figures are known, and partitions that none of them shows; `None` where one is alone.
    pub fleet: Option<(u64, u64)>,
}

/// What became of one partition's records: `consumed = applied + duplicates + rejects`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PartitionStats {
    /// Records read.
    pub consumed: u64,
    /// Records whose event was applied.
    pub applied: u64,
    /// Records whose event had been read before.
    pub duplicates: u64,
    /// Records that could not be used.
    pub rejects: u64,
    /// Records that Kafka had deleted before they were read.
    pub missing: u64,
    /// Records behind the end of the partition, where known and while it is ours.
    pub lag: Option<i64>,
    /// Event time up to which the partition is complete, while it is ours.
    pub watermark: Option<Millis>,
}

impl PartitionStats {
    /// Records of which it is not known what became of them. Always 0 between batches.
    pub fn gap(&self) -> i64 {
        self.consumed as i64 - (self.applied + self.duplicates + self.rejects) as i64
    }
}

/// What is planned for one queue and channel in the running slot; `None` where no plan says it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct SlotPlan {
    /// Contacts expected.
    pub forecast_contacts: Option<f64>,
    /// Agents needed.
    pub agents_required: Option<i64>,
    /// Agents in the roster; one who serves several queues is shared out among them.
    pub agents_staffed: Option<f64>,
}

impl Default for Stats {
    fn default() -> Self {
        let latency = [5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000];
        let commit = [1, 2, 5, 10, 30, 60, 120].map(|seconds| seconds * SECOND);
        let commit = [50, 100, 250, 500].into_iter().chain(commit);
        Self {
            events: BTreeMap::new(),
            rejects: BTreeMap::new(),
            partitions: BTreeMap::new(),
            late_events: 0,
            restatements: 0,
            unknown_fields: 0,
            split_contacts: 0,
            open_contacts: 0,
            lake_failures: 0,
            lake_commit: Histogram::new(commit.collect()),
            event_latency: Histogram::new(latency.into()),
            alerts_raised: BTreeMap::new(),
            alerts_open: BTreeMap::new(),
            alert_deliveries: BTreeMap::new(),
            alert_latency: Histogram::new(latency.into()),
            alerts_unstaffed: 0,
            alert_escalations: 0,
            reloads: BTreeMap::new(),
            plans: BTreeMap::new(),
            fleet: None,
        }
    }
}

impl Stats {
    /// Adds what another task counted. A partition's lag and watermark are those of whoever has them; a plan is taken
    /// from the first that has one.
    pub fn merge(&mut self, other: &Self) {
        for (key, count) in &other.events {
            *self.events.entry(key.clone()).or_default() += count;
        }
        for (key, count) in &other.rejects {
            *self.rejects.entry(key.clone()).or_default() += count;
        }
        for (key, theirs) in &other.partitions {
            let ours = self.partitions.entry(key.clone()).or_default();
            ours.consumed += theirs.consumed;
            ours.applied += theirs.applied;
            ours.duplicates += theirs.duplicates;
            ours.rejects += theirs.rejects;
            ours.missing += theirs.missing;
            ours.lag = ours.lag.or(theirs.lag);
            ours.watermark = ours.watermark.or(theirs.watermark);
        }
        self.late_events += other.late_events;
        self.restatements += other.restatements;
        self.unknown_fields += other.unknown_fields;
        self.split_contacts += other.split_contacts;
        self.open_contacts += other.open_contacts;
        self.lake_failures += other.lake_failures;
        self.lake_commit.merge(&other.lake_commit);
        self.event_latency.merge(&other.event_latency);
        for (ours, theirs) in [
            (&mut self.alerts_raised, &other.alerts_raised),
            (&mut self.alert_deliveries, &other.alert_deliveries),
            (&mut self.reloads, &other.reloads),
        ] {
            for (key, count) in theirs {
                *ours.entry(key.clone()).or_default() += count;
            }
        }
        for (key, count) in &other.alerts_open {
            *self.alerts_open.entry(key.clone()).or_default() += count;
        }
        self.alert_latency.merge(&other.alert_latency);
        self.alerts_unstaffed += other.alerts_unstaffed;
        self.alert_escalations += other.alert_escalations;
        for (key, plan) in &other.plans {
            self.plans.entry(key.clone()).or_insert(*plan);
        }
        self.fleet = self.fleet.or(other.fleet);
    }

    /// Events that had been read before, over all partitions.
    pub fn duplicates(&self) -> u64 {
        self.partitions.values().map(|partition| partition.duplicates).sum()
    }
}
