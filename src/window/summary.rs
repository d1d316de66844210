//! Plain numbers at one moment, which merge by addition over tasks and instances.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::counters::Counters;
use super::said::{KeywordKey, Mood};
use super::series::SeriesKey;
use crate::correlate::ServiceRule;
use crate::event::{AgentStateName, Speaker};
use crate::kpi::{ServiceLevel, Totals};
use crate::time::{DAY, HOUR, MINUTE, Millis, Slot};

/// One rolling window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rolling {
    /// Its name, as in labels.
    pub name: &'static str,
    /// Its length, ms.
    pub length_ms: i64,
}

/// The rolling windows, the shortest first; [`Series::rolling`] follows this order. All but the last, the day, are at most
/// an hour.
pub const ROLLING: [Rolling; 5] = [
    Rolling { name: "5m", length_ms: 5 * MINUTE },
    Rolling { name: "15m", length_ms: 15 * MINUTE },
    Rolling { name: "30m", length_ms: 30 * MINUTE },
    Rolling { name: "1h", length_ms: HOUR },
    Rolling { name: "1d", length_ms: DAY },
];

/// What one queue and channel amount to.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Whether the queue stands in the configuration.
    pub configured: bool,
    /// How its service level is reckoned.
    pub service_level: ServiceLevel,
    /// Counters since the start of the process.
    pub counters: Counters,
    /// Legs that wait.
    pub waiting: i64,
    /// When the one that waits longest entered the queue.
    pub oldest_waiting_at: Option<Millis>,
    /// Handlings that go on: talk, hold or after-contact work.
    pub active: i64,
    /// The running slot, by the clock of each sum.
    pub slot: Totals,
    /// The slots of the centre's day up to the running one.
    pub today: Totals,
    /// What ended inside each window of [`ROLLING`]; its `offered` are the legs that ended, so that the catalogue's
    /// formulas over it are the rolling figures.
    pub rolling: [Totals; ROLLING.len()],
    /// What the ledger lacks: the absolute gaps of all slots kept, so that two do not cancel out. Always 0.
    pub ledger_gap: i64,
}

impl Series {
    fn merge(&mut self, other: &Self, slot: bool, today: bool) {
        self.configured |= other.configured;
        self.counters.merge(&other.counters);
        self.waiting += other.waiting;
        self.oldest_waiting_at = match (self.oldest_waiting_at, other.oldest_waiting_at) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        self.active += other.active;
        if slot {
            self.slot += &other.slot;
        }
        if today {
            self.today += &other.today;
        }
        for (totals, more) in self.rolling.iter_mut().zip(&other.rolling) {
            *totals += more;
        }
        self.ledger_gap += other.ledger_gap;
    }
}

/// All series of one or more tasks at one moment.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Summary {
    /// The moment (of the latest part, after a merge).
    pub now: Millis,
    /// The running slot; `None` as long as nothing was summed up.
    pub slot: Option<Slot>,
    /// The centre's date, in days since 1970-01-01.
    pub date: i32,
    /// The series, by name.
    pub series: BTreeMap<SeriesKey, Series>,
    /// Agents by state, in the order of [`AgentStateName::ALL`].
    pub agents: [i64; AgentStateName::ALL.len()],
    /// Sentiment in each window of [`ROLLING`], by speaker in the order of [`Speaker::ALL`].
    pub moods: [[Mood; Speaker::ALL.len()]; ROLLING.len()],
    /// How often a phrase of each category was heard since the start of the process.
    pub keywords: BTreeMap<KeywordKey, u64>,
    /// How often a rule of service was broken in each queue, since the start of the process.
    pub findings: BTreeMap<(ServiceRule, Arc<str>), u64>,
    /// Legs and handlings that were counted under `__other__`, because there were too many series.
    pub folded: u64,
}

impl Summary {
    /// Adds another part: of another task, or of another instance. Any order of merging gives the same.
    ///
    /// Where the parts were made on both sides of a slot's or day's boundary, the running slot and day are those of the
    /// later part, and the others' sums of the slot or day before stay out.
    pub fn merge(&mut self, other: &Self) {
        self.now = self.now.max(other.now);
        if other.slot > self.slot {
            self.slot = other.slot;
            self.series.values_mut().for_each(|series| series.slot = Totals::default());
        }
        let same_slot = other.slot == self.slot;
        if other.date > self.date {
            self.date = other.date;
            self.series.values_mut().for_each(|series| series.today = Totals::default());
        }
        let same_date = other.date == self.date;
        for (key, theirs) in &other.series {
            if let Some(ours) = self.series.get_mut(key) {
                ours.merge(theirs, same_slot, same_date);
                continue;
            }
            let mut theirs = theirs.clone();
            if !same_slot {
                theirs.slot = Totals::default();
            }
            if !same_date {
                theirs.today = Totals::default();
            }
            self.series.insert(key.clone(), theirs);
        }
        for (agents, more) in self.agents.iter_mut().zip(other.agents) {
            *agents += more;
        }
        for (moods, more) in self.moods.iter_mut().flatten().zip(other.moods.iter().flatten()) {
            moods.add(*more);
        }
        for (key, times) in &other.keywords {
            *self.keywords.entry(key.clone()).or_default() += times;
        }
        for (key, times) in &other.findings {
            *self.findings.entry(key.clone()).or_default() += times;
        }
        self.folded += other.folded;
    }

    /// Only what must never fall: the counters. The sum of these over tasks that were given away is kept by the process,
    /// else its counters would fall when a partition moves, and Prometheus would take that for a restart.
    pub fn counters_only(mut self) -> Self {
        for series in self.series.values_mut() {
            series.waiting = 0;
            series.oldest_waiting_at = None;
            series.active = 0;
            series.slot = Totals::default();
            series.today = Totals::default();
            series.rolling = Default::default();
            series.ledger_gap = 0;
        }
        self.agents = Default::default();
        self.moods = Default::default();
        self
    }

    /// What the ledgers of all series lack. Always 0.
    pub fn ledger_gap(&self) -> i64 {
        self.series.values().map(|series| series.ledger_gap).sum()
    }
}
