//! Delta tables and snapshots: appends closed rows once, finds them again.
//!
//! ```text
//! <root>/callpulse.json            how dates and slots are to be read: zone, slot_minutes
//! <root>/<table>/_delta_log/…      one Delta table for each table of `facts`, partitioned by `date`
//! <root>/<table>/date=2026-11-21/  its Parquet files
//! <root>/_state/<task>/<n>.snapshot  a task's open state, with the positions it covers
//! <root>/_sums/…                   sums of whole dates, which may be thrown away
//! ```
//!
//! A *task* owns a topic-partition, or several that belong together. Its rows reach each table in commits that
//! store the position behind them, as application transaction `callpulse/<table>/<topic>/<partition>`. See
//! [`Lake::append`] for what a crash leaves, and `log.rs` for the fence.
//!
//! Durability: an object store answers when the object is durable. On the local file system every file, log
//! entry and directory is synced before a call returns, data before the commit that names it.

mod append;
mod cut;
mod encode;
mod error;
mod loaded;
mod log;
mod maintain;
mod snapshot;
mod store;
mod sums;
#[cfg(test)]
mod tests;
mod version;

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use futures::future::join_all;
use tokio::sync::Mutex;

pub use append::{Append, Range, Receipt, Written};
pub use cut::Cut;
pub use error::Error;
pub use maintain::{Report, TableReport};
pub use snapshot::{Found, Snapshot};
pub use version::Version;

use crate::facts::TABLES;
use log::TableLog;
use store::{Mark, Place};

/// Where the lake lies and how it is kept.
#[derive(Debug, Clone)]
pub struct Options {
    /// A path, `file://…`, or `s3://bucket/prefix` with the feature `s3`.
    pub url: String,
    /// Settings of the object store, by the names of the library (`aws_region`, …).
    pub storage: HashMap<String, String>,
    /// The centre's zone, an IANA name; fixed for the life of the lake. A reader may leave it empty and take
    /// the lake as it is.
    pub zone: String,
    /// Length of a slot, minutes; fixed for the life of the lake.
    pub slot_minutes: u32,
    /// Rows of a row group of a Parquet file: what a query can skip inside a file.
    pub row_group_rows: usize,
    /// A file is not made greater than about this many bytes; compaction aims at it.
    pub target_file_bytes: u64,
    /// A date of a table is compacted when it has at least this many files below half the target.
    pub compact_min_files: usize,
    /// A checkpoint of a table's log is written when it is this many commits behind.
    pub checkpoint_every: u64,
    /// Hours that replaced files stay for those who still read an older version; at least 1.
    pub vacuum_hours: u64,
    /// Days that rows are kept, by table; 0 or absent keeps them for ever.
    pub retention_days: HashMap<String, u32>,
}

impl Options {
    /// Options with the usual values.
    pub fn new(url: impl Into<String>, zone: impl Into<String>, slot_minutes: u32) -> Options {
        Options {
            url: url.into(),
            storage: HashMap::new(),
            zone: zone.into(),
            slot_minutes,
            row_group_rows: 128 * 1024,
            target_file_bytes: 128 * 1024 * 1024,
            compact_min_files: 8,
            checkpoint_every: 100,
            vacuum_hours: 24,
            retention_days: HashMap::new(),
        }
    }
}

/// The tables and snapshots below one root. Cheap to clone; clones share what they have read.
#[derive(Clone)]
pub struct Lake {
    inner: Arc<Inner>,
}

struct Inner {
    options: Options,
    place: Place,
    mark: Option<Mark>,
    read_only: bool,
    /// One commit phase at a time: so a view never shows half of another task's append. Files are encoded
    /// and uploaded outside of it.
    logs: Mutex<Vec<TableLog>>,
    version: ArcSwap<Version>,
    sums: sums::Shelf,
}

impl std::fmt::Debug for Lake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lake").field("root", &self.inner.place.root.as_str()).finish_non_exhaustive()
    }
}

impl Lake {
    /// Opens a lake for writing; makes it if there is none.
    ///
    /// Errors: `Config` when the place cannot be used, or was made with another zone or slot length.
    pub async fn open(options: Options) -> Result<Lake, Error> {
        Lake::open_as(options, false).await
    }

    /// Opens a lake for reading. Creates nothing; where there is none, it is empty.
    pub async fn open_read(options: Options) -> Result<Lake, Error> {
        Lake::open_as(options, true).await
    }

    /// A lake in this store whose files only [`Lake::plain_rows`] reads, for simulations.
    #[cfg(test)]
    pub(crate) async fn open_light(store: Arc<dyn object_store::ObjectStore>) -> Result<Lake, Error> {
        Lake::open_at(Place::light(store), Options::new("memory:///", "Asia/Shanghai", 30), false).await
    }

    async fn open_as(options: Options, read_only: bool) -> Result<Lake, Error> {
        let place = Place::new(&options.url, &options.storage)?;
        Lake::open_at(place, options, read_only).await
    }

    async fn open_at(place: Place, options: Options, read_only: bool) -> Result<Lake, Error> {
        let mark = place.mark(&options.zone, options.slot_minutes, !read_only).await?;
        let writer = writer_id();
        let logs: Result<Vec<TableLog>, Error> =
            TABLES.iter().map(|table| TableLog::new(table, &place, &writer)).collect();
        let sums = sums::Shelf::open(&place).await;
        let inner = Inner {
            options,
            place,
            mark,
            read_only,
            logs: Mutex::new(logs?),
            version: ArcSwap::from_pointee(Version::default()),
            sums,
        };
        let lake = Lake { inner: Arc::new(inner) };
        lake.refresh().await?;
        Ok(lake)
    }

    /// The options it was opened with.
    pub fn options(&self) -> &Options {
        &self.inner.options
    }

    /// The zone and the slot length, minutes, that the lake was made with; `None` when there is no lake.
    pub fn zone(&self) -> Option<(&str, u32)> {
        self.inner.mark.as_ref().map(|mark| (mark.zone.as_str(), mark.slot_minutes))
    }

    /// The rows as of the last append, refresh or maintenance of this handle.
    pub fn version(&self) -> Arc<Version> {
        self.inner.version.load_full()
    }

    /// Reads what other processes have committed, and shows it.
    pub async fn refresh(&self) -> Result<(), Error> {
        let mut logs = self.inner.logs.lock().await;
        refresh_all(&mut logs).await?;
        self.publish(&logs);
        drop(logs);
        self.inner.sums.renew(&self.inner.place).await;
        Ok(())
    }

    /// The position that each table has stored for a topic-partition: the offset after the last one behind
    /// its rows, 0 where there is none. From this call on the handle writes as the owner of the partition, until
    /// another owner writes; without it, it believes that nothing is stored.
    pub async fn positions(&self, topic: &str, partition: i32) -> Result<HashMap<&'static str, i64>, Error> {
        let mut logs = self.inner.logs.lock().await;
        refresh_all(&mut logs).await?;
        let taken = join_all(logs.iter_mut().map(|log| async {
            let position = log.take(topic, partition).await?;
            Ok((log.table.name, position))
        }))
        .await;
        self.publish(&logs);
        taken.into_iter().collect()
    }

    /// The newest rows, and which rows of these topic-partitions they are: what is in memory beyond these positions is
    /// what a reader of the tables lacks. Takes no partition over.
    pub async fn view(&self, places: &[(Arc<str>, i32)]) -> Result<(Arc<Version>, Positions), Error> {
        let mut logs = self.inner.logs.lock().await;
        refresh_all(&mut logs).await?;
        self.publish(&logs);
        self.inner.sums.renew(&self.inner.place).await;
        let version = self.version();
        let read = join_all(logs.iter_mut().map(|log| async {
            let mut of_table = Vec::new();
            for (topic, partition) in places {
                let application = log::application_id(log.table.name, topic, *partition);
                let position = log.stored(&application).await?;
                if position > 0 {
                    of_table.push((log.table.name, Arc::clone(topic), *partition, position));
                }
            }
            Ok(of_table)
        }))
        .await;
        let mut positions = Positions::default();
        for of_table in read {
            for (table, topic, partition, position) in of_table? {
                positions.insert(table, topic, partition, position);
            }
        }
        Ok((version, positions))
    }

    fn publish(&self, logs: &[TableLog]) {
        let tables = logs.iter().filter_map(|log| Some((Arc::clone(&log.loaded), log.tip?)));
        let next = self.version().next(tables);
        self.inner.version.store(Arc::new(next));
    }

    fn writable(&self) -> Result<(), Error> {
        if !self.inner.read_only {
            return Ok(());
        }
        Err(Error::Config(format!("`{}` was opened for reading only", self.inner.place.root)))
    }
}

/// Positions that tables have stored: the offset after the last one behind a table's rows of a topic-partition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Positions(HashMap<Arc<str>, HashMap<(i32, &'static str), i64>>);

impl Positions {
    /// Notes a position.
    pub fn insert(&mut self, table: &'static str, topic: Arc<str>, partition: i32, position: i64) {
        self.0.entry(topic).or_default().insert((partition, table), position);
    }

    /// The position; 0 where none is stored.
    pub fn get(&self, table: &'static str, topic: &str, partition: i32) -> i64 {
        self.0.get(topic).and_then(|of_topic| of_topic.get(&(partition, table))).copied().unwrap_or(0)
    }

    /// All that are stored: table, topic, partition, position.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &str, i32, i64)> {
        self.0.iter().flat_map(|(topic, of_topic)| {
            of_topic
                .iter()
                .map(move |((partition, table), position)| (*table, &**topic, *partition, *position))
        })
    }
}

async fn refresh_all(logs: &mut [TableLog]) -> Result<(), Error> {
    for result in join_all(logs.iter_mut().map(TableLog::refresh)).await {
        result?;
    }
    Ok(())
}

/// Waits before something is tried again. Tests do not wait.
async fn pause(time: std::time::Duration) {
    if cfg!(test) {
        return tokio::task::yield_now().await;
    }
    tokio::time::sleep(time).await;
}

/// A name for this handle that no other has, in this process or another. It decides nothing but whose a
/// commit is, so it is the one number here that may come from chance: the seed of the hasher.
fn writer_id() -> String {
    use std::hash::{BuildHasher, RandomState};
    let part = |salt: u32| RandomState::new().hash_one((salt, std::process::id()));
    format!("{:016x}{:016x}", part(1), part(2))
}
