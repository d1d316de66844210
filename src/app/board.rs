//! What everybody may look at: the workers' figures, the committed tables, and the cut that a query sees.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::alerting::Alerting;
use super::commit::Committer;
use super::fleet::{Asked, Fleet, Overview, Pipeline};
use super::past::Past;
use super::task::Beyond;
use super::worker::{Ask, SplitWatch, TaskBeyond, Worker};
use crate::event::{Channel, RejectReason};
use crate::facts::{ALERTS, SHIFTS, TABLES, TableSet};
use crate::ingest::{Lag, Place};
use crate::lake::{Positions, Version};
use crate::metrics::{Metrics, SlotPlan, Stats, live_json};
use crate::query::{self, Cut, Source};
use crate::rules::PlannedSlot;
use crate::serve::Health;
use crate::time::{Clock, Millis};
use crate::window::Summary;

/// Records behind the end of a partition up to which the service counts as caught up.
const CAUGHT_UP_LAG: i64 = 10_000;
/// How long one look at the tables that others write too serves further queries.
const VIEW_KEPT: Duration = Duration::from_millis(500);
/// How long a cut over the fleet serves further queries: a dashboard asks a dozen at once.
const CUT_KEPT: Duration = Duration::from_millis(200);
/// How often a cut is tried whose tables were older than what an instance had kept.
const CUT_TRIES: u32 = 3;
/// Over which time rejects are counted for their rate.
const MINUTE: Duration = Duration::from_secs(60);

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
    goals: Goals,
    plans: Mutex<Plans>,
    /// Slots to come, as they are planned; `None` before the first forecast.
    slots: Mutex<Option<Arc<[PlannedSlot]>>>,
    /// The other instances, where there may be some.
    fleet: Option<Arc<Fleet>>,
    /// This instance has left the group.
    left: AtomicBool,
    /// Rejects counted so far, some times of the last minute.
    rejects: Mutex<VecDeque<(Instant, u64)>>,
    view: tokio::sync::Mutex<Option<View>>,
    cut: tokio::sync::Mutex<Option<(Instant, Cut)>>,
}

/// The tables as they were read, and when.
#[derive(Clone)]
struct View {
    at: Instant,
    version: Arc<Version>,
    stored: Arc<Positions>,
    places: Vec<Place>,
}

/// The figures of all instances.
pub(super) struct Whole {
    /// The windows.
    pub summary: Summary,
    /// The pipelines.
    pub pipeline: Pipeline,
    /// Who counts and what is missing; `None` where each instance is alone.
    pub overview: Option<Overview>,
}

/// What the centre aims at, for pages.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Goals {
    /// Share of contacts answered in time.
    pub service_level: f64,
    /// The target wait of each configured queue, s.
    pub target_waits: BTreeMap<String, i64>,
    /// And of all others.
    pub target_wait: i64,
}

/// What is planned for the running slot, by queue and channel.
type Plans = BTreeMap<(String, Channel), SlotPlan>;

impl Board {
    /// A board. `idle` is the summary of a window that has seen nothing: the configured queues with zeros;
    /// `zone` is the centre's time zone and `goals` what it aims at, for pages; `topics` are those that are read.
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
        goals: Goals,
        topics: Vec<Arc<str>>,
        fleet: Option<Arc<Fleet>>,
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
            goals,
            plans: Mutex::default(),
            slots: Mutex::default(),
            fleet,
            left: AtomicBool::new(false),
            rejects: Mutex::default(),
            view: tokio::sync::Mutex::default(),
            cut: tokio::sync::Mutex::default(),
        }
    }

    /// The other instances.
    pub(super) fn fleet(&self) -> Option<&Arc<Fleet>> {
        self.fleet.as_ref()
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

    /// How many records have been read, while some of before `since` are still to come: a partition has unread ones and is
    /// complete up to an earlier time only, or nothing that was read is newer. `None` where reading has caught up.
    pub(super) fn behind(&self, since: Millis) -> Option<i64> {
        let (assigned, stats) = (self.assigned(), self.stats());
        let of = |(topic, partition): &Place| stats.partitions.get(&(topic.to_string(), *partition));
        let newest = assigned.iter().filter_map(|place| of(place)?.watermark).max();
        let is_behind = |place: &Place| {
            of(place).is_none_or(|partition| {
                partition.lag.is_none_or(|lag| lag > 0)
                    && partition.watermark.is_none_or(|watermark| watermark < since)
            })
        };
        let replays = self.workers.iter().any(|worker| worker.shown().replays);
        let behind = replays || newest.is_none_or(|newest| newest < since) || assigned.iter().any(is_behind);
        let lags = self.lags.lock().expect("no holder of this lock can panic");
        (behind && !assigned.is_empty()).then(|| lags.values().map(|lag| lag.position).sum())
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

    /// What this instance's pipeline comes to.
    pub(super) fn pipeline(&self, stats: &Stats) -> Pipeline {
        let rejects: u64 = stats.rejects.values().sum();
        let mut seen = self.rejects.lock().expect("no holder of this lock can panic");
        if seen.back().is_none_or(|(at, _)| at.elapsed() >= Duration::from_millis(500)) {
            seen.push_back((Instant::now(), rejects));
        }
        while seen.front().is_some_and(|(at, _)| at.elapsed() > MINUTE) {
            seen.pop_front();
        }
        let before = seen.front().map_or(rejects, |(_, count)| *count);
        Pipeline {
            lag: self.lag(),
            watermark: stats.partitions.values().filter_map(|partition| partition.watermark).min(),
            events: stats.events.values().sum(),
            rejects,
            rejects_per_minute: rejects.saturating_sub(before),
            open_contacts: stats.open_contacts,
            split_contacts: stats.split_contacts,
            lake_failing: self.committer.committing().failing.is_some(),
        }
    }

    /// The figures of all instances together.
    pub(super) fn whole(&self) -> Whole {
        let mut summary = self.summary();
        let mut pipeline = self.pipeline(&self.stats());
        let overview = self.fleet.as_ref().map(|fleet| fleet.overview(&self.assigned()));
        if let Some(overview) = &overview {
            overview.add_to(&mut summary, &mut pipeline);
        }
        Whole { summary, pipeline, overview }
    }

    /// Whether the last word has been said.
    pub(super) fn has_left(&self) -> bool {
        self.left.load(Ordering::Acquire)
    }

    /// Says to the other instances what this one has. `last`: it has left the group.
    pub(super) fn say(&self, last: bool) {
        self.left.fetch_or(last, Ordering::AcqRel);
        if let Some(fleet) = &self.fleet {
            let pipeline = self.pipeline(&self.stats());
            fleet.say(&self.assigned(), self.health().ready, last, pipeline, self.summary());
        }
    }

    /// The page `/metrics`: of this instance alone, since who scrapes all adds them up.
    pub(super) fn metrics(&self) -> String {
        let mut stats = self.stats();
        if let Some(fleet) = &self.fleet {
            let overview = fleet.overview(&self.assigned());
            stats.fleet = Some((overview.counted.len() as u64 + 1, overview.missing.len() as u64));
        }
        self.metrics.render(&self.summary(), &stats, self.clock.now())
    }

    /// The live figures as JSON: of all instances.
    pub(super) fn live(&self) -> Value {
        let Whole { summary, pipeline, overview } = self.whole();
        // Plans and alerts are of this instance: each has the whole roster, and its own desk.
        let stats = self.stats();
        let mut live = live_json(&summary, self.clock.now());
        if let Value::Object(members) = &mut live {
            members.insert("timezone".to_owned(), json!(self.zone));
            members.insert("service_level_goal".to_owned(), json!(self.goals.service_level));
            for queue in members.get_mut("queues").and_then(Value::as_array_mut).into_iter().flatten() {
                let name = queue["queue"].as_str().unwrap_or_default();
                let target = self.goals.target_waits.get(name).copied().unwrap_or(self.goals.target_wait);
                queue["target_wait_seconds"] = json!(target);
            }
            if let Some(Value::Object(slot)) = members.get_mut("slot") {
                let plans = || stats.plans.values();
                let whole = |of: fn(&SlotPlan) -> Option<f64>| {
                    plans()
                        .filter_map(of)
                        .fold(None, |sum: Option<f64>, more| Some(sum.unwrap_or(0.0) + more))
                };
                slot.insert("forecast_contacts".to_owned(), json!(whole(|plan| plan.forecast_contacts)));
                let required = whole(|plan| plan.agents_required.map(|agents| agents as f64));
                slot.insert("agents_required".to_owned(), json!(required));
                slot.insert("agents_staffed".to_owned(), json!(whole(|plan| plan.agents_staffed)));
            }
            let mut open = BTreeMap::new();
            for ((_, severity), count) in &stats.alerts_open {
                *open.entry(severity.as_str()).or_insert(0) += count;
            }
            members.insert("alerts_open".to_owned(), json!(open));
            members.insert(
                "pipeline".to_owned(),
                json!({
                    "lag": pipeline.lag,
                    "watermark": pipeline.watermark,
                    "events": pipeline.events,
                    "rejects": pipeline.rejects,
                    "open_contacts": pipeline.open_contacts,
                }),
            );
            if let (Some(fleet), Some(overview)) = (&self.fleet, &overview) {
                let instances = fleet.instances(overview, &self.assigned(), self.health().ready);
                members.insert("instances".to_owned(), instances);
                members.insert("missing".to_owned(), json!(overview.missing_names()));
            }
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
        if self.fleet.as_ref().is_some_and(|fleet| !fleet.has_listened()) {
            reasons.push("the other instances of the group have not been heard yet".to_owned());
        }
        if let Some(error) = self.committer.committing().failing {
            reasons.push(format!("the lake cannot be written: {error}"));
        }
        Health { alive: true, ready: reasons.is_empty(), reasons }
    }
}

#[async_trait]
impl Source for Board {
    async fn cut(&self, wanted: TableSet) -> Result<Cut, query::Error> {
        if self.assigned.lock().expect("no holder of this lock can panic").is_none() {
            let message = "the service is starting: Kafka has not assigned partitions yet, so open contacts are not known";
            return Err(query::Error::new(query::ErrorKind::Unready, message)
                .hint("ask again in a moment; /readyz tells when"));
        }
        if let Some(fleet) = &self.fleet {
            return self.cut_of_all(fleet).await;
        }
        // The committed version first: what is committed after this is still in the workers' memory,
        // since they keep flushes beyond their commit.
        let published = self.committer.published();
        let now = self.clock.now();
        let mut answers = Vec::with_capacity(self.workers.len());
        for worker in &self.workers {
            let (reply, answer) = oneshot::channel();
            worker.ask(Ask::Rows { committed: Arc::clone(&published.committed), wanted, now, reply });
            answers.push(answer);
        }
        let mut memory = Vec::new();
        for answer in answers {
            let rows = answer
                .await
                .map_err(|_| query::Error::new(query::ErrorKind::Unready, "the service is stopping"))?;
            memory.extend(rows);
        }
        if wanted.has(&ALERTS) {
            memory.extend(self.alerting.memory());
        }
        if wanted.has(&SHIFTS) {
            memory.extend(self.alerting.filed_shifts(now));
        }
        let committed = committed(&published.version);
        let history = Some(Past::of(self.committer.lake(), &published.version));
        Ok(Cut { committed, memory, now, history, missing: Vec::new() })
    }
}

/// The committed rows by table.
fn committed(version: &Version) -> HashMap<&'static str, query::Committed> {
    TABLES.iter().filter_map(|table| Some((table.name, version.provider(table.name)?))).collect()
}

/// What a task answered: how far it has come, and its rows.
type Found = (i64, Beyond);

impl Board {
    /// What the workers have beyond these positions, task by task.
    pub(super) async fn beyond(&self, stored: &Arc<Positions>, now: Millis) -> Vec<TaskBeyond> {
        let mut answers = Vec::with_capacity(self.workers.len());
        for worker in &self.workers {
            let (reply, answer) = oneshot::channel();
            worker.ask(Ask::Beyond { stored: Arc::clone(stored), now, reply });
            answers.push(answer);
        }
        let mut tasks = Vec::new();
        for answer in answers {
            // A worker that stops has nothing more: its partitions are named as missing.
            tasks.extend(answer.await.unwrap_or_default());
        }
        if let Some((table, rows)) = self.alerting.memory() {
            tasks.push(TaskBeyond {
                task: String::new(),
                places: Vec::new(),
                rows: Beyond::Rows(vec![(table, rows)]),
            });
        }
        tasks
    }

    /// The newest tables, and what they have of these partitions. `anew`: read now, however short ago that was done.
    async fn view(&self, places: Vec<Place>, anew: bool) -> Result<View, query::Error> {
        let mut kept = self.view.lock().await;
        if let Some(view) = kept.as_ref().filter(|view| {
            !anew && view.at.elapsed() < VIEW_KEPT && places.iter().all(|place| view.places.contains(place))
        }) {
            return Ok(view.clone());
        }
        let read = self.committer.lake().view(&places).await;
        let (version, stored) = read.map_err(|error| {
            query::Error::new(query::ErrorKind::Outside, format!("the lake cannot be read: {error}"))
        })?;
        let view = View { at: Instant::now(), version, stored: Arc::new(stored), places };
        *kept = Some(view.clone());
        Ok(view)
    }

    /// One cut over all instances. What of it nobody can tell is named in it.
    async fn cut_of_all(&self, fleet: &Fleet) -> Result<Cut, query::Error> {
        let mut kept = self.cut.lock().await;
        if let Some((_, cut)) = kept.as_ref().filter(|(at, _)| at.elapsed() < CUT_KEPT) {
            return Ok(cut.clone());
        }
        let mut tries = 0;
        let cut = loop {
            tries += 1;
            let (cut, behind) = self.try_cut(fleet, tries > 1).await?;
            if !behind || tries >= CUT_TRIES {
                break cut;
            }
        };
        *kept = Some((Instant::now(), cut.clone()));
        Ok(cut)
    }

    /// A cut over all instances, and whether the tables were older than what somebody had kept.
    async fn try_cut(&self, fleet: &Fleet, anew: bool) -> Result<(Cut, bool), query::Error> {
        let own = self.assigned();
        let overview = fleet.overview(&own);
        let mut places = own.clone();
        places.extend(overview.counted.iter().flat_map(|other| other.places.iter().cloned()));
        let view = self.view(places.clone(), anew).await?;
        let now = self.clock.now();
        let asked = Asked { now, stored: Arc::clone(&view.stored) };
        let (ours, theirs) = futures::join!(self.beyond(&view.stored, now), fleet.ask(&overview, &asked));
        let mut memory = Vec::new();
        let mut tasks: HashMap<String, (Vec<Place>, Found)> = HashMap::new();
        for TaskBeyond { task, places, rows } in ours.into_iter().chain(theirs.tasks) {
            if let (true, Beyond::Rows(rows)) = (task.is_empty(), &rows) {
                // Alerts: of two rows of one the newer is seen.
                memory.extend(rows.iter().cloned());
                continue;
            }
            let come = places.iter().map(|(_, next)| next).sum();
            let places = places.into_iter().map(|(place, _)| place).collect();
            // A task that moves may be told of twice: who has come further has it.
            match tasks.get(&task) {
                Some((_, (further, _))) if *further >= come => {}
                _ => drop(tasks.insert(task, (places, (come, rows)))),
            }
        }
        memory.extend(self.alerting.filed_shifts(now));
        let mut lacking = places;
        let mut behind = false;
        for (places, (_, rows)) in tasks.into_values() {
            match rows {
                Beyond::Rows(rows) => {
                    memory.extend(rows);
                    lacking.retain(|place| !places.contains(place));
                }
                Beyond::Behind => behind = true,
                Beyond::Replays => {}
            }
        }
        let mut missing = overview.missing_names();
        missing.extend(lacking.iter().map(|(topic, partition)| format!("{topic}-{partition}")));
        missing.sort();
        missing.extend(theirs.failed);
        let committed = committed(&view.version);
        let history = Some(Past::of(self.committer.lake(), &view.version));
        Ok((Cut { committed, memory, now, history, missing }, behind))
    }
}
