//! What everybody may look at: the workers' figures, the committed tables, and the cut that a query sees.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::alerting::Alerting;
use super::commit::Committer;
use super::worker::{Ask, SplitWatch, Worker};
use crate::event::{Channel, RejectReason};
use crate::facts::TABLES;
use crate::ingest::{Lag, Place};
use crate::metrics::{Metrics, SlotPlan, Stats, live_json};
use crate::query::{self, Cut, Source};
use crate::rules::PlannedSlot;
use crate::serve::Health;
use crate::time::Clock;
use crate::window::Summary;

/// Records behind the end of a partition up to which the service counts as caught up.
const CAUGHT_UP_LAG: i64 = 10_000;

/// The service's shared parts.
pub(super) struct Board {
    /// The threads that own tasks.
    pub workers: Vec<Worker>,
    /// The way into the lake.
    pub committer: Committer,
    /// The present.
    pub clock: Arc<dyn Clock>,
    metrics: Metrics,
    split: Arc<Mutex<SplitWatch>>,
    alerting: Arc<Alerting>,
    lags: Mutex<HashMap<Place, Lag>>,
    assigned: Mutex<Option<Vec<Place>>>,
    /// Records that Kafka had deleted before they were read.
    missing: Mutex<HashMap<Place, u64>>,
    topics: Vec<Arc<str>>,
    idle: Summary,
    zone: &'static str,
    plans: Mutex<Plans>,
    /// Slots to come, as they are planned; `None` before the first forecast.
    slots: Mutex<Option<Arc<[PlannedSlot]>>>,
}

/// What is planned for the running slot, by queue and channel.
type Plans = BTreeMap<(String, Channel), SlotPlan>;

impl Board {
    /// A board. `idle` is the summary of a window that has seen nothing: the configured queues with zeros;
    /// `zone` is the centre's time zone, for pages; `topics` are those that are read.
    #[expect(clippy::too_many_arguments, reason = "its parts are made in one place, each with its own type")]
    pub(super) fn new(
        workers: Vec<Worker>,
        committer: Committer,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
        split: Arc<Mutex<SplitWatch>>,
        alerting: Arc<Alerting>,
        idle: Summary,
        zone: &'static str,
        topics: Vec<Arc<str>>,
    ) -> Board {
        Board {
            workers,
            committer,
            clock,
            metrics,
            split,
            alerting,
            lags: Mutex::default(),
            assigned: Mutex::default(),
            missing: Mutex::default(),
            topics,
            idle,
            zone,
            plans: Mutex::default(),
            slots: Mutex::default(),
        }
    }

    /// Shows what is planned for the running slot, and for slots to come, in place of what was shown before.
    pub(super) fn show_plans(&self, plans: Plans, slots: Vec<PlannedSlot>) {
        *self.plans.lock().expect("no holder of this lock can panic") = plans;
        *self.slots.lock().expect("no holder of this lock can panic") = Some(slots.into());
    }

    /// Slots to come, as they are planned; `None` before the first forecast.
    pub(super) fn planned_slots(&self) -> Option<Arc<[PlannedSlot]>> {
        self.slots.lock().expect("no holder of this lock can panic").clone()
    }

    /// True until Kafka has assigned partitions, so that nothing can be asked.
    pub(super) fn is_starting(&self) -> bool {
        self.assigned.lock().expect("no holder of this lock can panic").is_none()
    }

    /// Notes how far reading has come.
    pub(super) fn note_lags(&self, lags: &[Lag]) {
        let mut known = self.lags.lock().expect("no holder of this lock can panic");
        for lag in lags {
            known.insert(lag.place.clone(), lag.clone());
        }
    }

    /// Notes which partitions are ours.
    pub(super) fn note_assigned(&self, places: &[Place], ours: bool) {
        let mut assigned = self.assigned.lock().expect("no holder of this lock can panic");
        let assigned = assigned.get_or_insert_default();
        assigned.retain(|place| !places.contains(place));
        if ours {
            assigned.extend(places.iter().cloned());
        } else {
            let mut lags = self.lags.lock().expect("no holder of this lock can panic");
            lags.retain(|place, _| !places.contains(place));
        }
    }

    /// Notes that the membership of the group was lost, and these partitions with it.
    pub(super) fn note_lost(&self, places: &[Place]) {
        self.note_assigned(places, false);
        let mut assigned = self.assigned.lock().expect("no holder of this lock can panic");
        // With nothing left it is not known what is ours until the group answers again.
        assigned.take_if(|places| places.is_empty());
    }

    /// Notes records that are gone from Kafka.
    pub(super) fn note_missing(&self, place: &Place, records: i64) {
        let mut missing = self.missing.lock().expect("no holder of this lock can panic");
        *missing.entry(place.clone()).or_default() += u64::try_from(records).unwrap_or(0);
    }

    /// The partitions that are ours.
    pub(super) fn assigned(&self) -> Vec<Place> {
        self.assigned.lock().expect("no holder of this lock can panic").clone().unwrap_or_default()
    }

    /// Whether the first partition of the first topic is ours: of all processes that share a lake, one has it.
    pub(super) fn has_first_partition(&self) -> bool {
        let first = |(topic, partition): &Place| Some(topic) == self.topics.first() && *partition == 0;
        self.assigned().iter().any(first)
    }

    /// Records read and not yet taken, over all partitions; `None` before anything is known.
    pub(super) fn lag(&self) -> Option<i64> {
        let lags = self.lags.lock().expect("no holder of this lock can panic");
        (!lags.is_empty()).then(|| lags.values().map(|lag| (lag.high - lag.position).max(0)).sum())
    }

    /// As [`Board::lag`], of these partitions; `None` as long as one of them is not known.
    fn lag_of(&self, places: &[Place]) -> Option<i64> {
        let lags = self.lags.lock().expect("no holder of this lock can panic");
        places.iter().map(|place| lags.get(place).map(|lag| (lag.high - lag.position).max(0))).sum()
    }

    /// Next offsets to be read of a topic's partitions.
    pub(super) fn positions(&self, topic: &str) -> Vec<(i32, i64)> {
        let lags = self.lags.lock().expect("no holder of this lock can panic");
        lags.values().filter(|lag| *lag.place.0 == *topic).map(|lag| (lag.place.1, lag.position)).collect()
    }

    /// The windows' figures of all tasks.
    pub(super) fn summary(&self) -> Summary {
        let mut summary = self.idle.clone();
        for worker in &self.workers {
            summary.merge(&worker.shown().summary);
        }
        summary
    }

    /// The pipeline's figures.
    pub(super) fn stats(&self) -> Stats {
        let mut stats = Stats::default();
        for worker in &self.workers {
            stats.merge(&worker.shown().stats);
        }
        stats.plans = self.plans.lock().expect("no holder of this lock can panic").clone();
        stats.split_contacts = self.split.lock().expect("no holder of this lock can panic").found();
        self.alerting.stats(&mut stats);
        let committing = self.committer.committing();
        stats.lake_commit.merge(&committing.duration);
        stats.lake_failures += committing.failures;
        for topic in &self.topics {
            for reason in RejectReason::ALL {
                stats.rejects.entry((topic.to_string(), *reason)).or_default();
            }
        }
        for ((topic, partition), records) in
            self.missing.lock().expect("no holder of this lock can panic").iter()
        {
            stats.partitions.entry((topic.to_string(), *partition)).or_default().missing += records;
        }
        for lag in self.lags.lock().expect("no holder of this lock can panic").values() {
            let key = (lag.place.0.to_string(), lag.place.1);
            stats.partitions.entry(key).or_default().lag = Some((lag.high - lag.position).max(0));
        }
        stats
    }

    /// The page `/metrics`.
    pub(super) fn metrics(&self) -> String {
        self.metrics.render(&self.summary(), &self.stats(), self.clock.now())
    }

    /// The live figures as JSON.
    pub(super) fn live(&self) -> Value {
        let stats = self.stats();
        let mut live = live_json(&self.summary(), self.clock.now());
        if let Value::Object(members) = &mut live {
            let watermark = stats.partitions.values().filter_map(|partition| partition.watermark).min();
            members.insert("timezone".to_owned(), json!(self.zone));
            members.insert(
                "pipeline".to_owned(),
                json!({
                    "lag": self.lag(),
                    "watermark": watermark,
                    "events": stats.events.values().sum::<u64>(),
                    "rejects": stats.rejects.values().sum::<u64>(),
                    "open_contacts": stats.open_contacts,
                }),
            );
        }
        live
    }

    /// Whether the service works, and whether its figures are complete.
    pub(super) fn health(&self) -> Health {
        let mut reasons = Vec::new();
        let assigned = self.assigned.lock().expect("no holder of this lock can panic").clone();
        match assigned {
            None => reasons.push("the consumer group has not assigned partitions yet".to_owned()),
            Some(places) if places.is_empty() => {}
            Some(places) => match self.lag_of(&places) {
                None => reasons.push("not every partition has been fetched yet".to_owned()),
                Some(lag) if lag > CAUGHT_UP_LAG => {
                    reasons.push(format!("catching up: {lag} records behind"))
                }
                Some(_) => {}
            },
        }
        if self.workers.iter().any(|worker| worker.shown().replays) {
            reasons
                .push("state is being restored: a stretch that is committed already is replayed".to_owned());
        }
        if let Some(error) = self.committer.committing().failing {
            reasons.push(format!("the lake cannot be written: {error}"));
        }
        Health { alive: true, ready: reasons.is_empty(), reasons }
    }
}

#[async_trait]
impl Source for Board {
    async fn cut(&self) -> Result<Cut, query::Error> {
        if self.assigned.lock().expect("no holder of this lock can panic").is_none() {
            let message = "the service is starting: Kafka has not assigned partitions yet, so open contacts are not known";
            return Err(query::Error::new(query::ErrorKind::Outside, message)
                .hint("ask again in a moment; /readyz tells when"));
        }
        // The committed version first: what is committed after this is still in the workers' memory,
        // since they keep flushes beyond their commit.
        let published = self.committer.published();
        let now = self.clock.now();
        let mut answers = Vec::with_capacity(self.workers.len());
        for worker in &self.workers {
            let (reply, answer) = oneshot::channel();
            worker.ask(Ask::Rows { committed: Arc::clone(&published.committed), now, reply });
            answers.push(answer);
        }
        let mut memory = Vec::new();
        for answer in answers {
            let rows = answer
                .await
                .map_err(|_| query::Error::new(query::ErrorKind::Outside, "the service is stopping"))?;
            memory.extend(rows);
        }
        memory.extend(self.alerting.memory());
        memory.extend(self.alerting.filed_shifts(now));
        let committed = TABLES
            .iter()
            .filter_map(|table| Some((table.name, published.version.provider(table.name)?)))
            .collect();
        Ok(Cut { committed, memory, now, version_key: published.key })
    }
}
