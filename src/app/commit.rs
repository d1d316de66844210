//! The way of rows into the lake: dead letters, tables, snapshots, and then what queries see as committed.
//!
//! Invariant: rows first, position second. What queries see as committed is published as one, after the
//! rows are durable; workers keep what is not.
//! Invariant: a task whose partition another owner has written is put out of the commit; the rows of the others are
//! committed without it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use arrow::array::RecordBatch;
use tokio::sync::{Mutex, oneshot};

use super::Failure;
use super::alerting::Alerting;
use super::task::{Handover, Origin, Rules, Task};
use super::worker::{Ask, Worker};
use crate::facts::Table;
use crate::ingest::{DeadLetters, Place};
use crate::lake::{Append, Error, Lake, Range, Version};
use crate::window::Histogram;

/// What is committed, as one.
pub(super) struct Published {
    /// The tables.
    pub version: Arc<Version>,
    /// The newest committed flush of each task.
    pub committed: Arc<HashMap<String, u64>>,
}

/// Figures of the commits.
#[derive(Debug, Clone)]
pub(super) struct Committing {
    /// How long commits took.
    pub duration: Histogram,
    /// Tries that failed, whether a later one succeeded or not.
    pub failures: u64,
    /// Why the last try failed; `None` when it did not.
    pub failing: Option<String>,
}

/// What became of a commit.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Flushes that are durable: task, number, offsets.
    pub done: Vec<(String, u64, Vec<Range>)>,
    /// Tasks whose partition another owner has written, with the lake's words: what they hold is not the truth.
    pub fenced: Vec<(String, String)>,
}

/// Where handed-over rows become durable.
pub(super) struct Committer {
    lake: Lake,
    dead_letters: Option<DeadLetters>,
    published: ArcSwap<Published>,
    committing: std::sync::Mutex<Committing>,
    cycle: Mutex<()>,
    alerts: Option<Arc<Alerting>>,
}

impl Committer {
    /// A committer into this lake, of rows and of what the desk of alerts says.
    pub(super) fn new(
        lake: Lake,
        dead_letters: Option<DeadLetters>,
        alerts: Option<Arc<Alerting>>,
    ) -> Committer {
        let version = lake.version();
        let duration = crate::metrics::Stats::default().lake_commit;
        Committer {
            lake,
            dead_letters,
            published: ArcSwap::from_pointee(Published { version, committed: Arc::default() }),
            committing: std::sync::Mutex::new(Committing { duration, failures: 0, failing: None }),
            cycle: Mutex::new(()),
            alerts,
        }
    }

    /// The lake.
    pub(super) fn lake(&self) -> &Lake {
        &self.lake
    }

    /// What is committed now.
    pub(super) fn published(&self) -> Arc<Published> {
        self.published.load_full()
    }

    /// Figures of the commits so far.
    pub(super) fn committing(&self) -> Committing {
        self.committing.lock().expect("no holder of this lock can panic").clone()
    }

    /// One commit of what these workers have. `only` limits it to some tasks, which take no more records after it;
    /// `snapshot`: with their state, or `None` where it is small. Tries until the store answers.
    ///
    /// # Errors
    /// A failure that trying again does not mend: the operator must act.
    pub(super) async fn cycle(
        &self,
        workers: &[Worker],
        only: Option<Vec<String>>,
        snapshot: Option<bool>,
    ) -> Result<Outcome, Failure> {
        let _cycle = self.cycle.lock().await;
        let mut replies = Vec::with_capacity(workers.len());
        for worker in workers {
            let (reply, answer) = oneshot::channel();
            worker.ask(Ask::Flush { only: only.clone(), snapshot, reply });
            replies.push(answer);
        }
        let mut handovers = Vec::new();
        for answer in replies {
            handovers.extend(answer.await.unwrap_or_default());
        }
        // What the rules of these tasks have said is kept before their state is.
        if let Some(alerts) = &self.alerts {
            self.persist("the outbox", || async { alerts.sync().await.map_err(Trouble::Passing) })
                .await?
                .map_err(Failure::of_lake)?;
        }
        let outcome = self.commit(handovers).await?;
        for (task, number, _) in &outcome.done {
            for worker in workers {
                worker.ask(Ask::Committed(task.clone(), *number));
            }
        }
        Ok(outcome)
    }

    /// Commits what tasks without workers hand over (a replay of files, a simulation).
    ///
    /// # Errors
    /// As [`Committer::cycle`].
    pub(super) async fn commit_these(&self, handovers: Vec<Handover>) -> Result<Outcome, Failure> {
        let _cycle = self.cycle.lock().await;
        self.commit(handovers).await
    }

    async fn commit(&self, mut handovers: Vec<Handover>) -> Result<Outcome, Failure> {
        let mut outcome = Outcome::default();
        let alerts = self.alerts.as_ref().map(|alerts| alerts.to_commit()).unwrap_or_default();
        if handovers.is_empty() && alerts.is_empty() {
            return Ok(outcome);
        }
        let began = Instant::now();
        let mut dead = Vec::new();
        for handover in &mut handovers {
            dead.append(&mut handover.dead);
        }
        if let Some(letters) = self.dead_letters.as_ref().filter(|_| !dead.is_empty()) {
            self.persist("dead letters", || async {
                letters.send(dead.clone()).await.map_err(|error| Trouble::Passing(error.to_string()))
            })
            .await?
            .map_err(Failure::of_lake)?;
        }
        // Whoever lost a partition is left out, and the others try again: what of theirs was written is found out.
        while !handovers.is_empty() {
            let written = self
                .persist("rows", || async {
                    let appends = handovers.iter().map(append_of).collect();
                    self.lake.append_all(appends).await.map(|_| ()).map_err(Trouble::of_lake)
                })
                .await?;
            let error = match written {
                Ok(()) => break,
                Err(error) => error,
            };
            let lost = match &error {
                Error::Fenced { topic, partition, .. } => handovers.iter().position(|handover| {
                    let mut ranges = handover.flush.ranges.iter();
                    ranges.any(|range| range.topic == *topic && range.partition == *partition)
                }),
                _ => None,
            };
            let Some(lost) = lost else { return Err(Failure::of_lake(error)) };
            outcome.fenced.push((handovers.remove(lost).task, error.to_string()));
        }
        if let Some(desk) = self.alerts.as_ref().filter(|_| !alerts.is_empty()) {
            let (table, rows) = desk.rows(&alerts);
            self.persist("alerts", || async {
                self.append_rows(table, ALERTS_MAKER, rows.clone()).await.map_err(Trouble::of_lake)
            })
            .await?
            .map_err(Failure::of_lake)?;
        }
        for handover in handovers {
            let Handover { task, flush, snapshot, .. } = handover;
            if let Some(snapshot) = snapshot {
                let saved = self
                    .persist("a snapshot", || async {
                        self.lake.save_snapshot(&task, snapshot.clone()).await.map_err(Trouble::of_lake)
                    })
                    .await?;
                match saved {
                    Ok(()) => {}
                    // The rows are written; who goes on from here is the one who reads the newest snapshot.
                    Err(error @ Error::Taken { .. }) => {
                        outcome.fenced.push((task.clone(), error.to_string()))
                    }
                    Err(error) => return Err(Failure::of_lake(error)),
                }
            }
            outcome.done.push((task, flush.number, flush.ranges));
        }
        self.publish(outcome.done.iter().map(|(task, number, _)| (task.clone(), *number)));
        if let Some(desk) = &self.alerts {
            desk.committed(&alerts);
        }
        let mut committing = self.committing.lock().expect("no holder of this lock can panic");
        committing.duration.observe(began.elapsed().as_millis() as i64);
        committing.failing = None;
        Ok(outcome)
    }

    /// Appends rows that no record of Kafka is behind (forecasts), under the name of whoever makes them, and shows them.
    ///
    /// # Errors
    /// The lake's words.
    pub(super) async fn append_apart(
        &self,
        table: &'static Table,
        maker: &str,
        rows: RecordBatch,
    ) -> Result<(), String> {
        let _cycle = self.cycle.lock().await;
        self.append_rows(table, maker, rows).await.map_err(|error| error.to_string())?;
        self.republish();
        Ok(())
    }

    /// Appends rows under the name of their maker. Who else writes under it is no rival: it is begun again where that one
    /// has come to, since each row has its own key and revision.
    async fn append_rows(&self, table: &'static Table, maker: &str, rows: RecordBatch) -> Result<(), Error> {
        loop {
            let from = self.lake.positions(maker, 0).await?.get(table.name).copied().unwrap_or(0);
            let range = Range { topic: maker.to_owned(), partition: 0, from, to: from + 1 };
            let append = Append { tables: vec![(table, vec![rows.clone()])], ranges: vec![range] };
            match self.lake.append_all(vec![append]).await {
                Err(Error::Fenced { .. } | Error::Overlap { .. }) => {}
                done => return done.map(|_| ()),
            }
        }
    }

    /// Publishes what maintenance made of the tables, or what others have committed.
    pub(super) fn republish(&self) {
        self.publish(std::iter::empty());
    }

    /// A task of these partitions, going on from where its newest snapshot and the tables are. It waits for the commit that
    /// is under way: that may still write rows of an earlier time that the partitions were ours.
    ///
    /// # Errors
    /// A store that does not answer, or what in the snapshot cannot be read.
    pub(super) async fn adopt(
        &self,
        rules: &Arc<Rules>,
        name: &str,
        places: &[Place],
    ) -> Result<Task, Failure> {
        let _cycle = self.cycle.lock().await;
        let lake = &self.lake;
        // The snapshot first: rows that an earlier owner still commits meanwhile are then replayed, not doubled.
        let found = lake.find_snapshot(name).await.map_err(Failure::of_lake)?;
        for (file, why) in &found.torn {
            tracing::warn!(file, why, "a snapshot cannot be read; an older one is used");
        }
        let mut origins = Vec::with_capacity(places.len());
        for (topic, partition) in places {
            let stored = lake.positions(topic, *partition).await.map_err(Failure::of_lake)?;
            origins.push(Origin { topic: Arc::clone(topic), partition: *partition, stored });
        }
        let task = Task::new(name.to_owned(), Arc::clone(rules), &origins, found.snapshot)
            .map_err(|why| Failure::input(format!("the state of `{name}` cannot be read: {why}")))?;
        // Numbers of an earlier time that the task was ours do not hold any more.
        self.publish(std::iter::once((name.to_owned(), task.number())));
        Ok(task)
    }

    fn publish(&self, flushes: impl Iterator<Item = (String, u64)>) {
        let flushes: Vec<(String, u64)> = flushes.collect();
        self.published.rcu(|before| {
            let mut committed = (*before.committed).clone();
            committed.extend(flushes.iter().cloned());
            Published { version: self.lake.version(), committed: Arc::new(committed) }
        });
    }

    /// Compacts, cleans up and applies retention, between commits.
    ///
    /// # Errors
    /// The lake's words.
    pub(super) async fn maintain(&self, today: i32) -> Result<String, String> {
        let _cycle = self.cycle.lock().await;
        let report = self.lake.maintain(today).await.map_err(|error| error.to_string())?;
        self.republish();
        Ok(format!("{report:?}"))
    }

    /// Does it until it succeeds, waiting longer each time, as long as trying again can help. The outer error ends the
    /// service; the inner one is the lake's answer.
    async fn persist<F, T>(&self, what: &str, attempt: F) -> Result<Result<(), Error>, Failure>
    where
        F: Fn() -> T,
        T: Future<Output = Result<(), Trouble>>,
    {
        let mut wait = Duration::from_millis(200);
        loop {
            match attempt().await {
                Ok(()) => return Ok(Ok(())),
                Err(Trouble::Final(error)) => return Ok(Err(error)),
                Err(Trouble::Passing(error)) => {
                    tracing::warn!(%error, "{what} cannot be written now; trying again in {wait:?}");
                    {
                        let mut committing =
                            self.committing.lock().expect("no holder of this lock can panic");
                        committing.failures += 1;
                        committing.failing = Some(error);
                    }
                    pause(wait).await;
                    wait = (wait * 2).min(Duration::from_secs(30));
                }
            }
        }
    }
}

/// Under this name the table of alerts stores its position; no topic of Kafka has such a name.
const ALERTS_MAKER: &str = "/alerts";

/// The rows of a flush with their offsets.
fn append_of(handover: &Handover) -> Append {
    let mut tables: Vec<(&'static Table, Vec<RecordBatch>)> = Vec::new();
    for (table, batch) in &handover.flush.tables {
        // Rows of a stretch that was replayed stand beside new ones of the same table.
        match tables.iter_mut().find(|(known, _)| known.name == table.name) {
            Some((_, batches)) => batches.push(batch.clone()),
            None => tables.push((*table, vec![batch.clone()])),
        }
    }
    Append { tables, ranges: handover.flush.ranges.clone() }
}

/// Waits before something is tried again. Tests do not wait.
async fn pause(time: Duration) {
    if cfg!(test) {
        return tokio::task::yield_now().await;
    }
    tokio::time::sleep(time).await;
}

/// Why something was not written.
enum Trouble {
    Passing(String),
    Final(Error),
}

impl Trouble {
    fn of_lake(error: Error) -> Trouble {
        match error {
            Error::Unavailable(text) => Trouble::Passing(text),
            error => Trouble::Final(error),
        }
    }
}
