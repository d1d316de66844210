//! One Delta table's log: what is stored, commits that cannot land twice, and the fence.
//!
//! Invariant: a commit takes the number that follows the very state whose stored positions were compared.
//! The store creates that number once, so whoever loses reads what won, compares again and only then tries
//! the next number. The library's own retry would take a later number without comparing.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use deltalake::kernel::transaction::{CommitData, PROTOCOL};
use deltalake::kernel::{Action, Add, Transaction, Version};
use deltalake::logstore::{CommitOrBytes, LogStoreRef};
use deltalake::operations::create::CreateBuilder;
use deltalake::protocol::{DeltaOperation, SaveMode};
use deltalake::{ObjectStoreError, Path, TableProperty};
use object_store::ObjectStoreExt;
use serde::{Deserialize, Serialize};

use super::encode::{delta_schema, statistics_columns};
use super::loaded::Loaded;
use super::store::{Place, is_conflict};
use super::{Error, Options, Range};
use crate::facts::{PARTITION_COLUMN, Table};

/// How often a commit tries the next number before it gives up. Each loss means that another commit landed.
const MOST_TRIES: u32 = 30;
/// How often in a row the store may fail before a call gives up.
const MOST_FAILURES: u32 = 3;

/// The application id of one topic-partition in one table.
pub(super) fn application_id(table: &str, topic: &str, partition: i32) -> String {
    format!("callpulse/{table}/{topic}/{partition}")
}

/// What a commit says of itself in its user metadata: who wrote it, and which offsets it covers.
#[derive(Debug, Serialize, Deserialize)]
struct Said {
    writer: String,
    commit: String,
    ranges: Vec<Range>,
}

/// The lines of a commit that matter here.
#[derive(Deserialize)]
struct Line {
    txn: Option<Transaction>,
    #[serde(rename = "commitInfo")]
    info: Option<Info>,
}

#[derive(Deserialize)]
struct Info {
    #[serde(rename = "userMetadata")]
    user_metadata: Option<String>,
}

/// What came of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is in the table.
    Written,
    /// Its rows were in the table before.
    Already,
}

/// One table as this handle knows it.
pub(super) struct TableLog {
    pub table: &'static Table,
    pub log_store: LogStoreRef,
    /// What readers have read of it.
    pub loaded: Arc<Loaded>,
    place: Place,
    /// This handle, in the commits that it writes.
    writer: String,
    commits: u64,
    /// The newest commit that was read or written; `None` while the table does not exist.
    pub tip: Option<Version>,
    /// Positions by application id, as of `tip`. What is absent has not been asked for.
    stored: HashMap<String, i64>,
    /// Positions that this handle has read for a task of its own or has written itself.
    believed: HashMap<String, i64>,
    /// A call failed with an unknown result: read before the next decision.
    behind: bool,
    /// Log files that are not known to be durable.
    unsynced: Vec<String>,
}

impl TableLog {
    pub(super) fn new(table: &'static Table, place: &Place, writer: &str) -> Result<TableLog, Error> {
        let log_store = place.log_store(table.name)?;
        Ok(TableLog {
            table,
            loaded: Loaded::new(table, Arc::clone(&log_store)),
            log_store,
            place: place.clone(),
            writer: writer.to_owned(),
            commits: 0,
            tip: None,
            stored: HashMap::new(),
            believed: HashMap::new(),
            behind: false,
            unsynced: Vec::new(),
        })
    }

    fn unavailable(&self, what: &str, cause: impl std::fmt::Display) -> Error {
        Error::store(format!("table `{}`: {what}", self.table.name), cause)
    }

    /// Reads what has been committed since; returns the commits of this handle among it.
    pub(super) async fn refresh(&mut self) -> Result<Vec<String>, Error> {
        let mut own = Vec::new();
        let Some(known) = self.tip else {
            let exists = self.log_store.is_delta_table_location().await;
            if exists.map_err(|e| self.unavailable("log cannot be listed", e))? {
                self.reload().await?;
            }
            self.behind = false;
            if !self.place.light || self.tip.is_none() {
                return Ok(own);
            }
            return self.read_on(0, own).await;
        };
        self.check_tip(known).await?;
        let tip = self.tip.unwrap_or(known);
        own = self.read_on(tip, own).await?;
        self.behind = false;
        Ok(own)
    }

    /// Reads the commits after this one.
    async fn read_on(&mut self, mut tip: Version, mut own: Vec<String>) -> Result<Vec<String>, Error> {
        loop {
            let entry = self.log_store.read_commit_entry(tip + 1).await;
            let Some(bytes) = entry.map_err(|e| self.unavailable("commit cannot be read", e))? else { break };
            let (transactions, said) = read_commit(tip + 1, &bytes)
                .map_err(|e| Error::Corrupt(format!("table `{}`: {e}", self.table.name)))?;
            let ours = said.as_ref().is_some_and(|said| said.writer == self.writer);
            for transaction in transactions {
                if ours {
                    self.believed.insert(transaction.app_id.clone(), transaction.version);
                }
                self.stored.insert(transaction.app_id, transaction.version);
            }
            own.extend(said.filter(|_| ours).map(|said| said.commit));
            tip += 1;
            self.tip = Some(tip);
        }
        Ok(own)
    }

    /// A handle that slept for longer than logs are kept would find the number after its own free, though
    /// the table is far ahead. As long as its last commit stands, nothing after it was cleaned.
    async fn check_tip(&mut self, tip: Version) -> Result<(), Error> {
        let path = Path::from(format!("_delta_log/{tip:020}.json"));
        match self.log_store.object_store(None).head(&path).await {
            Ok(_) => Ok(()),
            Err(ObjectStoreError::NotFound { .. }) => self.reload().await,
            Err(e) => Err(self.unavailable("commit cannot be read", e)),
        }
    }

    async fn reload(&mut self) -> Result<(), Error> {
        if self.place.light {
            // Nothing is ever cleaned there: the log tells all from its beginning.
            self.tip = Some(0);
            return Ok(());
        }
        self.tip = Some(self.loaded.at(None).await?.version());
        self.stored.clear();
        Ok(())
    }

    /// The offsets behind the rows of a commit, as it says itself: none for a commit of maintenance, `None` where the commit
    /// is gone.
    pub(super) async fn ranges_of(&self, version: Version) -> Result<Option<Vec<Range>>, Error> {
        let entry = self.log_store.read_commit_entry(version).await;
        let Some(bytes) = entry.map_err(|e| self.unavailable("commit cannot be read", e))? else {
            return Ok(None);
        };
        let (_, said) = read_commit(version, &bytes)
            .map_err(|e| Error::Corrupt(format!("table `{}`: {e}", self.table.name)))?;
        Ok(Some(said.map_or_else(Vec::new, |said| said.ranges)))
    }

    /// The position stored for an application id; 0 when there is none.
    pub(super) async fn stored(&mut self, application: &str) -> Result<i64, Error> {
        if let Some(position) = self.stored.get(application) {
            return Ok(*position);
        }
        let Some(tip) = self.tip.filter(|_| !self.place.light) else { return Ok(0) };
        let state = self.loaded.at(Some(tip)).await?;
        let found = state.transaction_version(self.log_store.as_ref(), application).await;
        let position = found.map_err(|e| self.unavailable("positions cannot be read", e))?.unwrap_or(0);
        self.stored.insert(application.to_owned(), position);
        Ok(position)
    }

    /// Reads the position stored for a topic-partition; from now on this handle counts as its owner.
    pub(super) async fn take(&mut self, topic: &str, partition: i32) -> Result<i64, Error> {
        let application = application_id(self.table.name, topic, partition);
        let position = self.stored(&application).await?;
        self.believed.insert(application, position);
        Ok(position)
    }

    /// Makes the table if there is none.
    pub(super) async fn ensure(&mut self, options: &Options) -> Result<(), Error> {
        match self.tip {
            Some(tip) => return self.check_tip(tip).await,
            None => drop(self.refresh().await?),
        }
        if self.tip.is_some() {
            return Ok(());
        }
        if self.place.light {
            return self.ensure_light().await;
        }
        let made = CreateBuilder::new()
            .with_log_store(Arc::clone(&self.log_store))
            .with_table_name(self.table.name)
            .with_comment(self.table.means.trim())
            .with_columns(delta_schema(self.table))
            .with_partition_columns([PARTITION_COLUMN])
            .with_configuration([
                (
                    TableProperty::CheckpointInterval.as_ref(),
                    Some(options.checkpoint_every.max(1).to_string()),
                ),
                (
                    TableProperty::DataSkippingStatsColumns.as_ref(),
                    Some(statistics_columns(self.table).join(",")),
                ),
                (
                    TableProperty::DeletedFileRetentionDuration.as_ref(),
                    Some(format!("interval {} hours", options.vacuum_hours.max(1))),
                ),
                (TableProperty::LogRetentionDuration.as_ref(), Some("interval 7 days".to_owned())),
            ])
            .await;
        // Whether this handle made it or another was quicker, what is stored decides.
        self.refresh().await?;
        match (made, self.tip) {
            (_, Some(_)) => {
                self.unsynced.push(self.log_name(0));
                Ok(())
            }
            (Err(e), None) => Err(self.unavailable("cannot be created", e)),
            (Ok(_), None) => Err(self.unavailable("cannot be created", "the store does not show it")),
        }
    }

    /// Makes a table of which nothing is known but that it is there.
    async fn ensure_light(&mut self) -> Result<(), Error> {
        match self.place.put_new(&self.log_name(0), b"{}".to_vec()).await {
            Ok(()) | Err(super::store::PutError::Exists) => self.refresh().await.map(drop),
            Err(super::store::PutError::Failed(error)) => Err(error),
        }
    }

    /// Compares what is stored with what this handle believes, and with the ranges.
    ///
    /// Rows are new when each range that is not empty starts at or after the stored position: a table that
    /// had no rows for a while lags. They are written already when each ends at or before it: the task
    /// replays. `Overlap` is what lies between.
    pub(super) async fn decide(&mut self, ranges: &[Range]) -> Result<Outcome, Error> {
        if self.behind {
            self.refresh().await?;
        }
        let table = self.table.name;
        let (mut fresh, mut already, mut refused) = (false, false, None);
        for range in ranges {
            let application = application_id(table, &range.topic, range.partition);
            let stored = self.stored(&application).await?;
            let expected = self.believed.get(&application).copied().unwrap_or(0);
            let (topic, partition) = (range.topic.clone(), range.partition);
            if stored != expected {
                return Err(Error::Fenced { table, topic, partition, stored, expected });
            }
            match range {
                Range { from, to, .. } if from > to => refused = Some((range, stored)),
                Range { from, to, .. } if from == to => {}
                Range { from, .. } if stored <= *from => fresh = true,
                Range { to, .. } if stored >= *to => already = true,
                _ => refused = Some((range, stored)),
            }
            if fresh && already {
                refused = Some((range, stored));
            }
        }
        match (refused, ranges.first()) {
            (None, _) if fresh => Ok(Outcome::Written),
            (None, _) if already => Ok(Outcome::Already),
            (None, None) => Err(Error::Config(format!("rows for table `{table}` come without positions"))),
            (None, Some(range)) => Err(Error::Config(format!(
                "rows for table `{table}` cover no offset of `{}` partition `{}`: from `{}` to `{}`\nhint: rows are \
                 written with the offsets that made them",
                range.topic, range.partition, range.from, range.to
            ))),
            (Some((range, stored)), _) => Err(Error::Overlap {
                table,
                topic: range.topic.clone(),
                partition: range.partition,
                stored,
                from: range.from,
                to: range.to,
            }),
        }
    }

    /// Commits the files with the positions, once, if the fence allows it.
    pub(super) async fn commit(&mut self, adds: &[Add], ranges: &[Range]) -> Result<Outcome, Error> {
        self.commits += 1;
        let commit = format!("{}-{}", self.writer, self.commits);
        let bytes = self.commit_bytes(adds, ranges, &commit).await?;
        let mut failures = 0;
        for _ in 0..MOST_TRIES {
            if self.decide(ranges).await? == Outcome::Already {
                self.make_durable().await?;
                return Ok(Outcome::Already);
            }
            let version = self.tip.expect("a table is made before its first commit") + 1;
            match self.write_entry(version, bytes.clone()).await {
                Ok(()) => {
                    self.landed(version, ranges).await?;
                    return Ok(Outcome::Written);
                }
                Err(e) if is_conflict(&e) => {}
                Err(e) => {
                    // It may have landed all the same: what is stored will tell.
                    self.behind = true;
                    failures += 1;
                    if failures >= MOST_FAILURES {
                        return Err(self.unavailable("commit failed", e));
                    }
                    super::pause(Duration::from_millis(50 << failures)).await;
                }
            }
            self.behind = true;
            if self.refresh().await?.contains(&commit) {
                self.unsynced.push(self.log_name(version));
                self.make_durable().await?;
                return Ok(Outcome::Written);
            }
        }
        Err(self.unavailable("commit failed", format!("`{MOST_TRIES}` other commits were quicker")))
    }

    async fn landed(&mut self, version: Version, ranges: &[Range]) -> Result<(), Error> {
        for range in ranges {
            let application = application_id(self.table.name, &range.topic, range.partition);
            self.stored.insert(application.clone(), range.to);
            self.believed.insert(application, range.to);
        }
        self.tip = Some(version);
        self.unsynced.push(self.log_name(version));
        self.make_durable().await
    }

    /// Forgets what was committed after `tip`, for tests of a handle that does not know of its own commit.
    #[cfg(test)]
    pub(super) fn forget(&mut self, tip: Version, ranges: &[Range]) {
        self.tip = Some(tip);
        for range in ranges {
            let application = application_id(self.table.name, &range.topic, range.partition);
            self.stored.insert(application.clone(), range.to);
            self.believed.insert(application, range.to);
        }
    }

    async fn make_durable(&mut self) -> Result<(), Error> {
        self.place.sync(self.unsynced.clone()).await?;
        self.unsynced.clear();
        Ok(())
    }

    fn log_name(&self, version: Version) -> String {
        format!("{}/_delta_log/{version:020}.json", self.table.name)
    }

    async fn commit_bytes(
        &self,
        adds: &[Add],
        ranges: &[Range],
        commit: &str,
    ) -> Result<bytes::Bytes, Error> {
        let said = Said { writer: self.writer.clone(), commit: commit.to_owned(), ranges: ranges.to_vec() };
        let said = serde_json::to_string(&said).expect("what a commit says is plain data");
        let operation = DeltaOperation::Write {
            mode: SaveMode::Append,
            partition_by: Some(vec![PARTITION_COLUMN.to_owned()]),
            predicate: None,
        };
        let actions: Vec<Action> = adds.iter().cloned().map(Action::Add).collect();
        if !self.place.light {
            // Features are changed by hand and seldom: what was read last tells well enough.
            let state = self.loaded.any().await?;
            PROTOCOL.can_commit(&state, &actions, &operation).map_err(|e| {
                Error::Config(format!(
                    "table `{}` asks for what this program cannot do: {e}\nhint: another program has changed the table's \
                     features; undo that, or use a new data directory",
                    self.table.name
                ))
            })?;
        }
        let transactions = ranges
            .iter()
            .map(|range| {
                Transaction::new(application_id(self.table.name, &range.topic, range.partition), range.to)
            })
            .collect();
        let metadata = HashMap::from([("userMetadata".to_owned(), serde_json::Value::String(said))]);
        CommitData::new(actions, operation, metadata, transactions)
            .get_bytes()
            .map_err(|e| self.unavailable("commit cannot be written", e))
    }

    async fn write_entry(
        &self,
        version: Version,
        bytes: bytes::Bytes,
    ) -> Result<(), deltalake::kernel::transaction::TransactionError> {
        // Stores that cannot create an object only if it is absent move a finished one into place.
        let entry = if self.log_store.name() == "DefaultLogStore" {
            CommitOrBytes::LogBytes(bytes)
        } else {
            let path = Path::from(format!("_delta_log/_commit_{}-{}.json.tmp", self.writer, self.commits));
            self.log_store.object_store(None).put(&path, bytes.into()).await?;
            CommitOrBytes::TmpCommit(path)
        };
        self.log_store.write_commit_entry(version, entry, Default::default()).await
    }
}

fn read_commit(version: Version, bytes: &[u8]) -> Result<(Vec<Transaction>, Option<Said>), String> {
    let (mut transactions, mut said) = (Vec::new(), None);
    for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let line: Line =
            serde_json::from_slice(line).map_err(|e| format!("commit `{version}` cannot be read: {e}"))?;
        transactions.extend(line.txn);
        if let Some(text) = line.info.and_then(|info| info.user_metadata) {
            // Another program's metadata is none of ours.
            said = serde_json::from_str(&text).ok();
        }
    }
    Ok((transactions, said))
}
