//! The way of rows into the lake: dead letters, tables, snapshots, then the cut that readers go by.
//!
//! Invariant: rows first, position second. What queries see as committed is published as one, after the
//! rows are durable; workers keep what is not.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use arrow::array::RecordBatch;
use tokio::sync::{Mutex, oneshot};

use super::Failure;
use super::alerting::Alerting;
use super::task::Handover;
use super::worker::{Ask, Worker};
use crate::alert::Alert;
use crate::facts::{ALERTS, Table};
use crate::ingest::DeadLetters;
use crate::lake::{Append, Cut, Error, Lake, Range, Version};
use crate::window::Histogram;

/// What is committed, as one.
pub(super) struct Published {
    /// The tables.
    pub version: Arc<Version>,
    /// The newest committed flush of each task.
    pub committed: Arc<HashMap<String, u64>>,
    /// Grows with each commit.
    pub key: u64,
}

/// Figures of the commits.
#[derive(Debug, Clone)]
pub(super) struct Committing {
    /// How long commits took.
    pub duration: Histogram,
    /// Why the last try failed; `None` when it did not.
    pub failing: Option<String>,
}

/// Where handed-over rows become durable.
pub(super) struct Committer {
    lake: Lake,
    dead_letters: Option<DeadLetters>,
    published: ArcSwap<Published>,
    committing: std::sync::Mutex<Committing>,
    cycle: Mutex<Cut>,
    alerts: Option<Arc<Alerting>>,
    /// The position of the table `alerts`: rows appended.
    alerts_at: Mutex<i64>,
}

impl Committer {
    /// A committer into this lake, going on from the cut that its readers have.
    ///
    /// # Errors
    /// Where that cut cannot be read.
    pub(super) async fn new(
        lake: Lake,
        dead_letters: Option<DeadLetters>,
        alerts: Option<Arc<Alerting>>,
    ) -> Result<Committer, Failure> {
        let alerts_at = match &alerts {
            Some(_) => alerts_position(&lake).await.map_err(Failure::of_lake)?,
            None => 0,
        };
        let cut = lake.read_cut().await.map_err(Failure::of_lake)?.unwrap_or_default();
        let version = lake.version();
        let duration = crate::metrics::Stats::default().lake_commit;
        Ok(Committer {
            lake,
            dead_letters,
            published: ArcSwap::from_pointee(Published { version, committed: Arc::default(), key: 0 }),
            committing: std::sync::Mutex::new(Committing { duration, failing: None }),
            cycle: Mutex::new(cut),
            alerts,
            alerts_at: Mutex::new(alerts_at),
        })
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

    /// One commit of what these workers have. `only` limits it to some tasks; `snapshot`: with their
    /// state, or `None` for the state of small tasks only. Tries until the store answers.
    ///
    /// # Errors
    /// A failure that trying again does not mend: another owner has written, or the operator must act.
    pub(super) async fn cycle(
        &self,
        workers: &[Worker],
        only: Option<Vec<String>>,
        snapshot: Option<bool>,
    ) -> Result<Vec<Range>, Failure> {
        let mut cut = self.cycle.lock().await;
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
            alerts.sync().await;
        }
        let committed = self.commit(&mut cut, handovers).await?;
        let mut ranges = Vec::new();
        for (task, number, of_task) in committed {
            ranges.extend(of_task);
            for worker in workers {
                worker.ask(Ask::Committed(task.clone(), number));
            }
        }
        Ok(ranges)
    }

    /// Commits what one task without a worker hands over (a replay of files).
    ///
    /// # Errors
    /// As [`Committer::cycle`].
    pub(super) async fn commit_one(&self, handover: Handover) -> Result<u64, Failure> {
        let mut cut = self.cycle.lock().await;
        let committed = self.commit(&mut cut, vec![handover]).await?;
        Ok(committed.first().map_or(0, |(_, number, _)| *number))
    }

    async fn commit(
        &self,
        cut: &mut Cut,
        handovers: Vec<Handover>,
    ) -> Result<Vec<(String, u64, Vec<Range>)>, Failure> {
        let alerts = self.alerts.as_ref().map(|alerts| alerts.to_commit()).unwrap_or_default();
        if handovers.is_empty() && alerts.is_empty() {
            return Ok(Vec::new());
        }
        let began = Instant::now();
        let mut committed = Vec::new();
        let mut snapshots = Vec::new();
        let mut dead = Vec::new();
        let mut tables: Vec<(&'static Table, Vec<RecordBatch>)> = Vec::new();
        let mut ranges = Vec::new();
        for handover in handovers {
            for (table, batch) in handover.flush.tables {
                match tables.iter_mut().find(|(known, _)| known.name == table.name) {
                    Some((_, batches)) => batches.push(batch),
                    None => tables.push((table, vec![batch])),
                }
            }
            ranges.extend(handover.flush.ranges.iter().cloned());
            committed.push((handover.task.clone(), handover.flush.number, handover.flush.ranges));
            dead.extend(handover.dead);
            snapshots.extend(handover.snapshot.map(|snapshot| (handover.task, snapshot)));
        }
        if let Some(letters) = self.dead_letters.as_ref().filter(|_| !dead.is_empty()) {
            self.persist("dead letters", || async {
                letters.send(dead.clone()).await.map_err(|error| Trouble::of_ingest(&error))
            })
            .await?;
        }
        self.persist("rows", || async {
            let append = Append { tables: tables.clone(), ranges: ranges.clone() };
            self.lake.append(append).await.map(|_| ()).map_err(Trouble::of_lake)
        })
        .await?;
        if !alerts.is_empty() {
            self.persist("alerts", || async { self.append_alerts(&alerts).await }).await?;
        }
        let all = snapshots.len() == committed.len() && !committed.is_empty();
        for (task, snapshot) in snapshots {
            cut.tasks.insert(task.clone(), snapshot.sequence);
            self.persist("a snapshot", || async {
                self.lake.save_snapshot(&task, snapshot.clone()).await.map_err(Trouble::of_lake)
            })
            .await?;
        }
        let version = self.lake.version();
        if all {
            cut.tables = version.numbers();
        } else if let (Some(number), false) = (version.numbers().get(ALERTS.name), alerts.is_empty()) {
            // Alerts belong to no task's snapshot, so readers may see them at once.
            cut.tables.insert(ALERTS.name.to_owned(), *number);
        }
        if all || !alerts.is_empty() {
            self.persist("the readers' cut", || async {
                self.lake.write_cut(cut).await.map_err(Trouble::of_lake)
            })
            .await?;
        }
        let before = self.published.load_full();
        let mut flushes = (*before.committed).clone();
        flushes.extend(committed.iter().map(|(task, number, _)| (task.clone(), *number)));
        self.published.store(Arc::new(Published {
            version,
            committed: Arc::new(flushes),
            key: before.key + 1,
        }));
        if let Some(desk) = &self.alerts {
            desk.committed(&alerts);
        }
        let mut committing = self.committing.lock().expect("no holder of this lock can panic");
        committing.duration.observe(began.elapsed().as_millis() as i64);
        committing.failing = None;
        Ok(committed)
    }

    /// Appends rows of alerts. Who else writes alerts into this lake is no rival: each row has its id and revision.
    async fn append_alerts(&self, alerts: &[Alert]) -> Result<(), Trouble> {
        let Some(desk) = &self.alerts else { return Ok(()) };
        let mut at = self.alerts_at.lock().await;
        let (table, rows) = desk.rows(alerts);
        let append = |from: i64| Append {
            tables: vec![(table, vec![rows.clone()])],
            ranges: vec![Range {
                topic: ALERTS_TOPIC.to_owned(),
                partition: 0,
                from,
                to: from + alerts.len() as i64,
            }],
        };
        let mut result = self.lake.append(append(*at)).await;
        if matches!(result, Err(Error::Fenced { .. } | Error::Overlap { .. })) {
            *at = alerts_position(&self.lake).await.map_err(Trouble::of_lake)?;
            result = self.lake.append(append(*at)).await;
        }
        result.map_err(Trouble::of_lake)?;
        *at += alerts.len() as i64;
        Ok(())
    }

    /// Publishes what maintenance made of the tables.
    pub(super) fn republish(&self) {
        let before = self.published.load_full();
        self.published.store(Arc::new(Published {
            version: self.lake.version(),
            committed: Arc::clone(&before.committed),
            key: before.key + 1,
        }));
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

    /// Does it until it succeeds, waiting longer each time, as long as trying again can help.
    async fn persist<F, T>(&self, what: &str, attempt: F) -> Result<(), Failure>
    where
        F: Fn() -> T,
        T: Future<Output = Result<(), Trouble>>,
    {
        let mut wait = Duration::from_millis(200);
        loop {
            match attempt().await {
                Ok(()) => return Ok(()),
                Err(Trouble::Final(failure)) => return Err(failure),
                Err(Trouble::Passing(error)) => {
                    tracing::warn!(%error, "{what} cannot be written now; trying again in {wait:?}");
                    self.committing.lock().expect("no holder of this lock can panic").failing = Some(error);
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(Duration::from_secs(30));
                }
            }
        }
    }
}

/// Under this name the table of alerts stores its position; no topic of Kafka has such a name.
const ALERTS_TOPIC: &str = "/alerts";

async fn alerts_position(lake: &Lake) -> Result<i64, Error> {
    Ok(lake.positions(ALERTS_TOPIC, 0).await?.get(ALERTS.name).copied().unwrap_or(0))
}

/// Why something was not written.
enum Trouble {
    Passing(String),
    Final(Failure),
}

impl Trouble {
    fn of_lake(error: Error) -> Trouble {
        match error {
            Error::Unavailable(text) => Trouble::Passing(text),
            error => Trouble::Final(Failure::of_lake(error)),
        }
    }

    fn of_ingest(error: &crate::ingest::Error) -> Trouble {
        Trouble::Passing(error.to_string())
    }
}
