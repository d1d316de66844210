//! Keeping the tables quick: small files become large ones, old logs and files go, old rows go.
//!
//! Runs beside appends. Its commits go through the library, which checks them against what is appended
//! meanwhile; an append that finds one of them in its place reads it, compares positions as always, and takes the
//! next number. No maintenance touches a position: application transactions are carried by checkpoints.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::num::NonZeroU64;
use std::sync::Arc;

use deltalake::kernel::transaction::{CommitBuilder, CommitProperties};
use deltalake::kernel::{Action, Remove};
use deltalake::operations::vacuum::VacuumMode;
use deltalake::protocol::DeltaOperation;
use deltalake::table::state::DeltaTableState;
use deltalake::{DeltaTable, FilterLiteral, FilterOp, FilterValue, checkpoints};

use super::encode::properties;
use super::loaded::Loaded;
use super::{Error, Lake, refresh_all};
use crate::facts::PARTITION_COLUMN;

/// What maintenance did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Table by table, those where something was done.
    pub tables: Vec<TableReport>,
    /// Files of sums that were deleted: newer ones have stood in their place for long.
    pub sums_deleted: usize,
}

/// What maintenance did to one table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TableReport {
    /// The table.
    pub table: &'static str,
    /// Files whose rows were older than the retention: they left the table.
    pub files_expired: usize,
    /// Dates whose small files were joined.
    pub dates_compacted: usize,
    /// Files that were joined.
    pub files_joined: u64,
    /// Files that they became.
    pub files_made: u64,
    /// A checkpoint of the log was written.
    pub checkpoint: bool,
    /// Entries of the log that were deleted; a checkpoint stands for them.
    pub logs_deleted: usize,
    /// Files that were deleted from the store: no version that may still be read has them.
    pub files_deleted: usize,
}

impl Lake {
    /// Does what is due: retention, compaction, checkpoints, cleaning of logs and files. `today` is the centre's
    /// date, days since 1970-01-01; rows of a date before `today - retention_days` go.
    ///
    /// To be called every few minutes to an hour: until a checkpoint is written, a start reads every commit since
    /// the last one. Errors: `Unavailable`; what was done until then stays done.
    pub async fn maintain(&self, today: i32) -> Result<Report, Error> {
        self.maintain_and_vacuum(today, self.inner.options.vacuum_hours.max(1)).await
    }

    /// As [`Lake::maintain`], with the hours that replaced files stay.
    pub(super) async fn maintain_and_vacuum(&self, today: i32, vacuum_hours: u64) -> Result<Report, Error> {
        self.writable()?;
        let mut logs = self.inner.logs.lock().await;
        refresh_all(&mut logs).await?;
        let tables: Vec<_> =
            logs.iter().filter(|log| log.tip.is_some()).map(|log| Arc::clone(&log.loaded)).collect();
        drop(logs);
        let mut report = Report::default();
        let mut result = Ok(());
        for loaded in tables {
            let mut done = TableReport { table: loaded.table.name, ..TableReport::default() };
            result = self.maintain_table(&loaded, today, vacuum_hours, &mut done).await;
            if done != (TableReport { table: loaded.table.name, ..TableReport::default() }) {
                report.tables.push(done);
            }
            if result.is_err() {
                break;
            }
        }
        self.refresh().await?;
        result?;
        report.sums_deleted = self.tidy_sums(vacuum_hours).await?;
        Ok(report)
    }

    async fn maintain_table(
        &self,
        loaded: &Loaded,
        today: i32,
        vacuum_hours: u64,
        done: &mut TableReport,
    ) -> Result<(), Error> {
        let name = loaded.table.name;
        let failed = |what: &str, cause: &dyn Display| Error::store(format!("table `{name}`: {what}"), cause);
        let options = &self.inner.options;
        let mut state = loaded.at(None).await?;

        let days = options.retention_days.get(name).copied().unwrap_or(0);
        if days > 0 {
            let first_kept = date_text(today.saturating_sub_unsigned(days));
            done.files_expired =
                expire(loaded, &state, &first_kept).await.map_err(|e| failed("retention", &e))?;
            state = loaded.at(None).await?;
        }

        let small = small_files(&state, options.target_file_bytes);
        let due: Vec<&str> = small
            .iter()
            .filter(|(_, files)| **files >= options.compact_min_files.max(2))
            .map(|(date, _)| date.as_str())
            .collect();
        if !due.is_empty() {
            done.dates_compacted = due.len();
            let dates: [FilterLiteral<'_>; 1] = [(PARTITION_COLUMN, FilterOp::In, FilterValue::Set(due))];
            let mut compaction = table_of(loaded, state.clone())
                .optimize()
                .with_filters(&dates)
                .with_writer_properties(properties(loaded.table, options.row_group_rows))
                .with_commit_properties(plain_commit())
                .with_max_concurrent_tasks(1);
            if let Some(target) = NonZeroU64::new(options.target_file_bytes) {
                compaction = compaction.with_target_size(target);
            }
            let (_, metrics) = compaction.await.map_err(|e| failed("compaction", &e))?;
            (done.files_joined, done.files_made) = (metrics.num_files_removed, metrics.num_files_added);
            let before: std::collections::HashSet<String> = paths(&state);
            state = loaded.at(None).await?;
            let made = paths(&state).into_iter().filter(|path| !before.contains(path));
            // The library commits before this room can sync; the joined files stay until vacuum, so what a loss
            // of power in between takes can be restored by the operator.
            self.inner.place.sync(made.map(|path| format!("{name}/{path}")).collect()).await?;
        }

        let last = self.last_checkpoint(name).await?;
        if state.version().saturating_sub(last) >= options.checkpoint_every.max(1) {
            let table = table_of(loaded, state.clone());
            let handle = tokio::runtime::Handle::current();
            // Writing a checkpoint reads and encodes in place.
            let written = tokio::task::spawn_blocking(move || {
                handle.block_on(async {
                    checkpoints::create_checkpoint(&table, None).await?;
                    checkpoints::cleanup_metadata(&table, None).await
                })
            })
            .await
            .map_err(|e| failed("checkpoint", &e))?;
            done.logs_deleted = written.map_err(|e| failed("checkpoint", &e))?;
            done.checkpoint = true;
        }

        let hours = i64::try_from(vacuum_hours).unwrap_or(i64::MAX / 10_000);
        let (_, metrics) = table_of(loaded, state)
            .vacuum()
            .with_mode(VacuumMode::Full)
            .with_retention_period(chrono::Duration::hours(hours))
            .with_enforce_retention_duration(false)
            .with_commit_properties(plain_commit())
            .await
            .map_err(|e| failed("vacuum", &e))?;
        done.files_deleted = metrics.files_deleted.len();
        Ok(())
    }

    /// The version of the newest checkpoint; 0 when there is none.
    async fn last_checkpoint(&self, table: &str) -> Result<u64, Error> {
        let found = self.inner.place.get(&format!("{table}/_delta_log/_last_checkpoint")).await?;
        let version = found.and_then(|bytes| {
            let hint: serde_json::Value = serde_json::from_slice(&bytes).ok()?;
            hint.get("version")?.as_u64()
        });
        Ok(version.unwrap_or(0))
    }
}

/// Removes the files of dates before `first_kept` from the table; the rows leave with them.
async fn expire(loaded: &Loaded, state: &DeltaTableState, first_kept: &str) -> deltalake::DeltaResult<usize> {
    let expired: Vec<Remove> = state
        .log_data()
        .iter()
        .filter(|file| date_of(&file.partition_values_map()).is_some_and(|date| date.as_str() < first_kept))
        .map(|file| file.remove_action(true))
        .collect();
    let files = expired.len();
    if files > 0 {
        let operation =
            DeltaOperation::Delete { predicate: Some(format!("{PARTITION_COLUMN} < '{first_kept}'")) };
        CommitBuilder::from(plain_commit())
            .with_actions(expired.into_iter().map(Action::Remove).collect())
            .build(Some(state), Arc::clone(&loaded.log_store), operation)
            .await?;
    }
    Ok(files)
}

/// By date, the files below half the target: those that are worth joining.
fn small_files(state: &DeltaTableState, target_bytes: u64) -> BTreeMap<String, usize> {
    let mut small = BTreeMap::new();
    for file in state.log_data().iter() {
        if file.size().max(0).unsigned_abs() < target_bytes / 2
            && let Some(date) = date_of(&file.partition_values_map())
        {
            *small.entry(date).or_insert(0) += 1;
        }
    }
    small
}

fn paths(state: &DeltaTableState) -> std::collections::HashSet<String> {
    state.log_data().iter().map(|file| file.object_store_path().to_string()).collect()
}

/// The date of a file's rows, as Delta writes it; rows without a date are left alone.
pub(super) fn date_of(values: &std::collections::HashMap<String, Option<String>>) -> Option<String> {
    values.get(PARTITION_COLUMN)?.clone()
}

/// Days since 1970-01-01 as `2026-11-21`. The order of these texts is the order of the dates from year 0 to 9999.
fn date_text(days: i32) -> String {
    let date = chrono::NaiveDate::default().checked_add_signed(chrono::Duration::days(i64::from(days)));
    date.unwrap_or_default().to_string()
}

fn table_of(loaded: &Loaded, state: DeltaTableState) -> DeltaTable {
    let mut table = DeltaTable::new(Arc::clone(&loaded.log_store));
    table.state = Some(state);
    table
}

/// Commits without the library's own checkpoints and cleaning: those are done in their place above.
fn plain_commit() -> CommitProperties {
    CommitProperties::default().with_create_checkpoint(false).with_cleanup_expired_logs(Some(false))
}
