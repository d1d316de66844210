//! A cut: which versions of the tables and which snapshots belong together, for readers outside the writers.
//!
//! The tables and the snapshots move one after the other, and several processes may write one lake, each the
//! partitions that it owns. A reader that took the newest of each would see a contact twice (closed in the
//! table, still open in the snapshot) or not at all. Nobody has to say what belongs together: each commit
//! says which offsets are behind its rows, each snapshot which it covers. A version of a table and the
//! snapshots agree when every commit up to it ends at or before the snapshot of its partition, and every
//! commit after it begins there or later.
//!
//! Writers take the large snapshots at the same moments of the clock, so that such a cut exists.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::loaded::Loaded;
use super::log::{TableLog, application_id};
use super::snapshot::Snapshot;
use super::{Error, Lake, Range, Version, refresh_all};
use crate::facts::TABLES;

/// Commits of one table that are looked at, the newest first, for those that come after a snapshot.
const COMMITS_MAX: u64 = 5_000;

/// Tables and snapshots that belong together.
#[derive(Debug, Clone)]
pub struct Cut {
    /// The tables.
    pub version: Arc<Version>,
    /// The open state of each task.
    pub snapshots: Vec<(String, Snapshot)>,
    /// True when they agree. False when no moment was found at which all writers do: then `version` is the newest of each
    /// table, and contacts of the last minute may be missing or be there twice.
    pub agrees: bool,
}

/// A topic and a partition.
type Place = (String, i32);

/// The snapshots of one task that may be chosen, the newest last; the chosen one is the last.
struct Candidates {
    task: String,
    sequences: Vec<u64>,
    chosen: Snapshot,
}

/// The commits of one table that were read, the newest first.
struct Walk {
    tip: u64,
    commits: Vec<(u64, Vec<Range>)>,
    /// The next to be read; `None` when there is no older one.
    next: Option<u64>,
}

/// Where a table may be cut.
#[derive(Debug, Default)]
struct Limits {
    /// Commits up to this one are covered by the snapshots; by task.
    covered: HashMap<String, u64>,
    /// The first commit that comes after the snapshot of its partition.
    beyond: Option<u64>,
}

impl Lake {
    /// The newest tables and snapshots that belong together.
    ///
    /// Errors: `Unavailable` when the store does not answer. Snapshots that are not whole are passed over.
    pub async fn cut(&self) -> Result<Cut, Error> {
        // The snapshots first: rows are committed before the snapshot that no longer has them.
        let mut tasks = Vec::new();
        for (task, _) in self.list_snapshots().await? {
            let mut sequences = self.sequences(&task).await?;
            if let Some(chosen) = self.newest_whole(&task, &mut sequences).await? {
                tasks.push(Candidates { task, sequences, chosen });
            }
        }
        keep_owners(&mut tasks);
        let mut logs = self.inner.logs.lock().await;
        refresh_all(&mut logs).await?;
        let mut walks: HashMap<&'static str, Walk> = HashMap::new();
        let versions = loop {
            match self.versions_beside(&mut logs, &mut walks, &tasks).await? {
                Ok(versions) => break Some(versions),
                // Another writer's rows came between: what this task had a little earlier may fit.
                Err(ahead) => {
                    let mut moved = false;
                    for candidates in tasks.iter_mut().filter(|c| ahead.contains(&c.task)) {
                        candidates.sequences.pop();
                        if let Some(older) =
                            self.newest_whole(&candidates.task, &mut candidates.sequences).await?
                        {
                            candidates.chosen = older;
                            moved = true;
                        }
                    }
                    if !moved {
                        break None;
                    }
                }
            }
        };
        let agrees = versions.is_some();
        let snapshots = tasks.into_iter().map(|candidates| (candidates.task, candidates.chosen)).collect();
        let tips = || logs.iter().filter_map(|log| Some((log.table.name, log.tip?))).collect();
        let versions = versions.unwrap_or_else(tips);
        drop(logs);
        Ok(Cut { version: self.version_at(&versions).await?, snapshots, agrees })
    }

    /// The newest whole one of these snapshots; those that are not whole, or gone, leave the list.
    async fn newest_whole(&self, task: &str, sequences: &mut Vec<u64>) -> Result<Option<Snapshot>, Error> {
        while let Some(&sequence) = sequences.last() {
            match self.read_snapshot(task, sequence).await {
                Ok(Some(snapshot)) => return Ok(Some(snapshot)),
                Ok(None) => {}
                Err(Error::Corrupt(reason)) => {
                    tracing::warn!(task, sequence, reason, "snapshot is not whole, an older one is used");
                }
                Err(error) => return Err(error),
            }
            sequences.pop();
        }
        Ok(None)
    }

    /// The version of each table that agrees with the chosen snapshots, or the tasks whose snapshots are too new.
    async fn versions_beside(
        &self,
        logs: &mut [TableLog],
        walks: &mut HashMap<&'static str, Walk>,
        tasks: &[Candidates],
    ) -> Result<Result<BTreeMap<&'static str, u64>, Vec<String>>, Error> {
        let mut owners: HashMap<Place, (&str, i64)> = HashMap::new();
        for candidates in tasks {
            for (topic, partition, next) in &candidates.chosen.positions {
                owners.insert((topic.clone(), *partition), (&candidates.task, *next));
            }
        }
        let mut versions = BTreeMap::new();
        for log in logs.iter_mut() {
            let Some(tip) = log.tip else { continue };
            let walk = walks.entry(log.table.name).or_insert_with(|| Walk {
                tip,
                commits: Vec::new(),
                next: Some(tip),
            });
            let limits = limits(log, walk, &owners).await?;
            let Some(beyond) = limits.beyond else {
                versions.insert(log.table.name, walk.tip);
                continue;
            };
            // One commit may have rows of several tasks, covered for one and not for another.
            let ahead: Vec<String> = limits
                .covered
                .into_iter()
                .filter(|(_, last)| *last >= beyond)
                .map(|(task, _)| task)
                .collect();
            if !ahead.is_empty() {
                return Ok(Err(ahead));
            }
            // The table was made by version 0, which has no rows.
            versions.insert(log.table.name, beyond.saturating_sub(1));
        }
        Ok(Ok(versions))
    }

    /// The tables at these versions; a table that is not named has no rows.
    ///
    /// Errors: `Unavailable` when a version is gone (the log is kept for 7 days) or cannot be read.
    async fn version_at(&self, versions: &BTreeMap<&'static str, u64>) -> Result<Arc<Version>, Error> {
        let mut tables = Vec::with_capacity(versions.len());
        for table in TABLES {
            if let Some(number) = versions.get(table.name) {
                let loaded = Loaded::new(table, self.inner.place.log_store(table.name)?);
                if !self.inner.place.light {
                    loaded.at(Some(*number)).await?;
                }
                tables.push((loaded, *number));
            }
        }
        Ok(Arc::new(Version::default().next(tables.into_iter())))
    }
}

/// Where two tasks claim a partition (the configuration has been changed since), the one that has come further
/// holds; the other is left out.
fn keep_owners(tasks: &mut Vec<Candidates>) {
    let mut furthest: HashMap<Place, (i64, String)> = HashMap::new();
    for candidates in tasks.iter() {
        for (topic, partition, next) in &candidates.chosen.positions {
            let mine = (*next, candidates.task.clone());
            let known = furthest.entry((topic.clone(), *partition)).or_insert_with(|| mine.clone());
            if mine > *known {
                *known = mine;
            }
        }
    }
    tasks.retain(|candidates| {
        let positions = &candidates.chosen.positions;
        positions.is_empty()
            || positions.iter().any(|(topic, partition, _)| {
                furthest.get(&(topic.clone(), *partition)).is_some_and(|(_, task)| *task == candidates.task)
            })
    });
}

/// Reads a table's log back until it is known where the snapshots lie in it.
async fn limits(
    log: &mut TableLog,
    walk: &mut Walk,
    owners: &HashMap<Place, (&str, i64)>,
) -> Result<Limits, Error> {
    let mut ahead: Vec<&Place> = Vec::new();
    for (place, (_, next)) in owners {
        let stored = log.stored(&application_id(log.table.name, &place.0, place.1)).await?;
        if stored > *next {
            ahead.push(place);
        }
    }
    let mut limits = Limits::default();
    if ahead.is_empty() {
        return Ok(limits);
    }
    let mut at = 0;
    loop {
        while at < walk.commits.len() {
            let (version, ranges) = &walk.commits[at];
            at += 1;
            for range in ranges.iter().filter(|range| range.to > range.from) {
                let place = (range.topic.clone(), range.partition);
                let Some((task, next)) = owners.get(&place) else { continue };
                if range.to > *next {
                    limits.beyond = Some(*version);
                } else {
                    limits.covered.entry((*task).to_owned()).or_insert(*version);
                    ahead.retain(|other| **other != place);
                }
            }
        }
        let Some(next) = walk.next.filter(|_| !ahead.is_empty()) else { return Ok(limits) };
        if walk.tip - next >= COMMITS_MAX {
            return Ok(limits);
        }
        match log.ranges_of(next).await? {
            Some(ranges) => {
                walk.commits.push((next, ranges));
                walk.next = next.checked_sub(1);
            }
            // Cleaned away, which takes 7 days: far older than any snapshot that is kept.
            None => walk.next = None,
        }
    }
}
