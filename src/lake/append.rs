//! Rows into tables: files first, then one commit for each table, then one new view of all of them.

use std::sync::Arc;

use arrow::array::RecordBatch;
use deltalake::Path;
use deltalake::kernel::Add;
use deltalake::logstore::LogStoreRef;
use futures::future::join_all;
use object_store::ObjectStoreExt;
use serde::{Deserialize, Serialize};

use super::encode::write_files;
use super::log::{Outcome, TableLog};
use super::{Error, Lake};
use crate::facts::{RESTATEMENTS, Table};

/// Offsets of one topic-partition: everything in `[from, to)` is behind the rows of a commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    /// The topic, or the name of a replay.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The first offset.
    pub from: i64,
    /// The offset after the last one; the position that the commit stores.
    pub to: i64,
}

/// Rows to be appended, with the offsets that made them.
#[derive(Debug, Clone, Default)]
pub struct Append {
    /// Rows by table; a table without rows may be left out, and is not committed to.
    pub tables: Vec<(&'static Table, Vec<RecordBatch>)>,
    /// The offsets, one range for each topic-partition.
    pub ranges: Vec<Range>,
}

/// What became of one table's rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The table.
    pub table: &'static str,
    /// Rows handed in.
    pub rows: usize,
    /// Files written for them.
    pub files: usize,
    /// Bytes of these files.
    pub bytes: u64,
    /// The rows were in the table before this call; nothing was written.
    pub already: bool,
}

/// What an append did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Table by table, those with rows only.
    pub tables: Vec<Written>,
}

/// Rows of one table with the offsets that made them.
struct Rows {
    table: &'static Table,
    batches: Vec<RecordBatch>,
    ranges: Vec<Range>,
}

/// Files that wait for their commit.
struct Ready {
    table: &'static Table,
    log_store: LogStoreRef,
    rows: usize,
    adds: Vec<Add>,
    ranges: Vec<Range>,
}

impl Lake {
    /// Appends rows, each table in one commit that stores the positions; every row once.
    ///
    /// The tables' commits follow the positions of each, not each other: after a crash some tables have the
    /// rows and some have not, and the task that replays hands the same rows with the same ranges again;
    /// where they are stored they are skipped. Call it again with the same ranges after `Unavailable`.
    /// `version` shows the rows of all tables at once when this returns; after an error it shows, until the
    /// call is repeated, at most what another append has published meanwhile.
    ///
    /// Errors: `Fenced`, `Overlap` (nothing of that table was written), `Unavailable`, `Config`.
    pub async fn append(&self, append: Append) -> Result<Receipt, Error> {
        self.append_all(vec![append]).await
    }

    /// Several appends as one, each table still in one commit. A table's commit stores the positions of those appends that
    /// have rows for it; so what is written already of one does not stand in the way of another.
    ///
    /// Errors: as [`Lake::append`].
    pub async fn append_all(&self, appends: Vec<Append>) -> Result<Receipt, Error> {
        self.writable()?;
        let ready = self.write_data(rows_by_table(appends)?).await?;
        if ready.is_empty() {
            return Ok(Receipt::default());
        }
        let mut logs = self.inner.logs.lock().await;
        let mut named = match self.check(&mut logs, &ready).await {
            Ok(named) => named,
            Err(error) => {
                drop(logs);
                // Nothing is committed, so these files are in no commit and never will be.
                self.discard(ready.iter()).await;
                return Err(error);
            }
        };
        let receipt = commit(&mut named, &ready).await?;
        self.publish(&logs);
        drop(logs);
        self.discard(ready.iter().zip(&receipt.tables).filter(|(_, t)| t.already).map(|(ready, _)| ready))
            .await;
        Ok(receipt)
    }

    async fn write_data(&self, tables: Vec<Rows>) -> Result<Vec<Ready>, Error> {
        let options = &self.inner.options;
        let written = join_all(tables.into_iter().map(|Rows { table, batches, ranges }| async move {
            let rows = batches.iter().map(RecordBatch::num_rows).sum::<usize>();
            let log_store = self.inner.place.log_store(table.name)?;
            #[cfg(test)]
            if self.inner.place.light {
                let adds = super::tests::light::write(&self.inner.place.store, table, &batches).await?;
                return Ok(Ready { table, log_store, rows, adds, ranges });
            }
            let adds = write_files(
                Arc::clone(&log_store),
                table,
                batches,
                options.target_file_bytes,
                options.row_group_rows,
            )
            .await?;
            let names = adds.iter().map(|add| format!("{}/{}", table.name, add.path)).collect();
            self.inner.place.sync(names).await?;
            Ok(Ready { table, log_store, rows, adds, ranges })
        }))
        .await;
        written.into_iter().collect()
    }

    /// The logs of the tables that have files, in the files' order, all fences passed: a task that has lost
    /// its partition writes to no table.
    async fn check<'a>(
        &self,
        logs: &'a mut [TableLog],
        ready: &[Ready],
    ) -> Result<Vec<&'a mut TableLog>, Error> {
        let place = |log: &TableLog| ready.iter().position(|ready| ready.table.name == log.table.name);
        let mut named: Vec<&mut TableLog> = logs.iter_mut().filter(|log| place(log).is_some()).collect();
        named.sort_by_key(|log| place(log));
        if named.len() < ready.len() {
            return Err(Error::Config("rows for a table that is not declared".to_owned()));
        }
        let options = &self.inner.options;
        let checked = join_all(named.iter_mut().zip(ready).map(|(log, ready)| async move {
            log.ensure(options).await?;
            log.decide(&ready.ranges).await
        }));
        for outcome in checked.await {
            outcome?;
        }
        Ok(named)
    }

    /// Deletes files that are in no commit; what fails here is left to vacuum.
    async fn discard(&self, ready: impl Iterator<Item = &Ready>) {
        for ready in ready {
            let store = ready.log_store.object_store(None);
            for add in &ready.adds {
                if let Err(error) = store.delete(&Path::from(add.path.as_str())).await {
                    tracing::debug!(table = ready.table.name, path = add.path, %error, "unused file stays for vacuum");
                }
            }
        }
    }
}

/// The rows of several appends, table by table, in a fixed order with the restatements first: whoever sees a new row of
/// a contact sees which old row it replaces.
fn rows_by_table(appends: Vec<Append>) -> Result<Vec<Rows>, Error> {
    let mut tables: Vec<Rows> = Vec::new();
    for Append { tables: of_append, ranges } in appends {
        let mut named = Vec::with_capacity(of_append.len());
        for (table, batches) in of_append {
            if named.contains(&table.name) {
                return Err(Error::Config(format!("table `{}` is named twice in one append", table.name)));
            }
            named.push(table.name);
            if batches.iter().all(|batch| batch.num_rows() == 0) {
                continue;
            }
            let at = tables.iter().position(|rows| rows.table.name == table.name).unwrap_or_else(|| {
                tables.push(Rows { table, batches: Vec::new(), ranges: Vec::new() });
                tables.len() - 1
            });
            tables[at].batches.extend(batches);
            tables[at].ranges.extend(ranges.iter().cloned());
        }
    }
    tables.sort_by_key(|rows| (rows.table.name != RESTATEMENTS.name, rows.table.name));
    Ok(tables)
}

/// One commit for each table, the restatements before all others.
async fn commit(named: &mut [&mut TableLog], ready: &[Ready]) -> Result<Receipt, Error> {
    let first = usize::from(ready.first().is_some_and(|ready| ready.table.name == RESTATEMENTS.name));
    let (restatements, rest) = named.split_at_mut(first);
    let mut outcomes = Vec::with_capacity(ready.len());
    for (log, ready) in restatements.iter_mut().zip(ready) {
        outcomes.push(log.commit(&ready.adds, &ready.ranges).await?);
    }
    let commits =
        rest.iter_mut().zip(&ready[first..]).map(|(log, ready)| log.commit(&ready.adds, &ready.ranges));
    for outcome in join_all(commits).await {
        outcomes.push(outcome?);
    }
    let tables = ready
        .iter()
        .zip(outcomes)
        .map(|(ready, outcome)| Written {
            table: ready.table.name,
            rows: ready.rows,
            files: ready.adds.len(),
            bytes: ready.adds.iter().map(|add| add.size.max(0).unsigned_abs()).sum(),
            already: outcome == Outcome::Already,
        })
        .collect();
    Ok(Receipt { tables })
}
