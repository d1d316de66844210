//! Sums of whole dates, beside the tables: a file a month, and an index that says of which rows each date's sums were made.
//!
//! ```text
//! <root>/_sums/index.json            what there is
//! <root>/_sums/2026-11-….parquet     the sums of one month's dates
//! ```
//!
//! Invariant: they can be thrown away at any time, and made again from the tables. What they mean, and whether they still
//! hold, is not known here: whoever reads them compares.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use deltalake::Path;
use deltalake::datafusion::catalog::{Session, TableProvider};
use deltalake::datafusion::datasource::file_format::FileFormat;
use deltalake::datafusion::datasource::file_format::parquet::ParquetFormat;
use deltalake::datafusion::datasource::listing::PartitionedFile;
use deltalake::datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use deltalake::datafusion::error::Result as PlanResult;
use deltalake::datafusion::execution::object_store::ObjectStoreUrl;
use deltalake::datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use deltalake::datafusion::physical_plan::ExecutionPlan;
use deltalake::parquet::arrow::ArrowWriter;
use deltalake::parquet::basic::{Compression, ZstdLevel};
use deltalake::parquet::errors::ParquetError;
use deltalake::parquet::file::properties::WriterProperties;
use futures::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt};
use serde::{Deserialize, Serialize};
use url::Url;
use xxhash_rust::xxh3::xxh3_64;

use super::store::Place;
use super::{Error, Lake};
use crate::time::{Clock, HOUR, SystemClock};

/// Where they lie.
const ROOM: &str = "_sums";
/// The index.
const INDEX: &str = "_sums/index.json";
/// How long an index holds before what other processes made of it is looked for.
const RENEW: Duration = Duration::from_secs(60);
/// Rows of a row group: some days of one queue.
const ROW_GROUP_ROWS: usize = 8 * 1024;

/// What sums there are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Index {
    /// By which definition they were made.
    definition: u64,
    /// By month.
    months: BTreeMap<String, Month>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Month {
    file: String,
    bytes: u64,
    /// By date, days since 1970-01-01: of which rows they were made, as a number of whoever made them.
    dates: BTreeMap<i32, u64>,
}

impl Index {
    /// By date, the numbers that were handed in with the sums.
    fn dates(&self) -> BTreeMap<i32, u64> {
        self.months.values().flat_map(|month| month.dates.iter().map(|(date, made)| (*date, *made))).collect()
    }
}

/// The index as it was read last.
pub(super) struct Shelf {
    index: ArcSwap<Index>,
    read: Mutex<Instant>,
}

impl Shelf {
    /// Reads the index. One that cannot be read is as good as none.
    pub(super) async fn open(place: &Place) -> Shelf {
        Shelf { index: ArcSwap::from_pointee(read(place).await), read: Mutex::new(Instant::now()) }
    }

    /// Reads the index again, if that was not done just now.
    pub(super) async fn renew(&self, place: &Place) {
        {
            let mut read = self.read.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            if read.elapsed() < RENEW {
                return;
            }
            *read = Instant::now();
        }
        self.index.store(Arc::new(read(place).await));
    }
}

async fn read(place: &Place) -> Index {
    if place.light {
        return Index::default();
    }
    let found = place.get(INDEX).await.map_err(|error| error.to_string());
    let index = found.and_then(|bytes| match bytes {
        Some(bytes) => serde_json::from_slice(&bytes).map_err(|error| error.to_string()),
        None => Ok(Index::default()),
    });
    index.unwrap_or_else(|error| {
        tracing::warn!(error, "`{}{INDEX}` cannot be read: figures are made from rows alone", place.root);
        Index::default()
    })
}

impl Lake {
    /// The sums that there are by this definition, as rows with these columns, and what each date's were made of; `None`
    /// where there are none.
    pub fn sums(
        &self,
        definition: u64,
        schema: &SchemaRef,
    ) -> Option<(Arc<dyn TableProvider>, BTreeMap<i32, u64>)> {
        let index = self.inner.sums.index.load_full();
        if index.definition != definition || index.months.is_empty() {
            return None;
        }
        let place = &self.inner.place;
        // The store of one lake has one name, whatever its address has in it.
        let url = format!("callpulse-sums://{:016x}", xxh3_64(place.root.as_str().as_bytes()));
        let rows = Rows {
            url: Url::parse(&url).expect("a scheme and a host"),
            store: Arc::clone(&place.store),
            schema: Arc::clone(schema),
            files: index
                .months
                .values()
                .map(|month| (format!("{ROOM}/{}", month.file), month.bytes))
                .collect(),
        };
        Some((Arc::new(rows), index.dates()))
    }

    /// Keeps the sums of the dates of one month in place of those that there are. Of another definition nothing is kept.
    ///
    /// Two processes that do this at once may lose one of the months, which is then made again. Errors: `Unavailable`.
    pub async fn keep_sums(
        &self,
        definition: u64,
        month: &str,
        dates: BTreeMap<i32, u64>,
        rows: Vec<RecordBatch>,
    ) -> Result<(), Error> {
        self.writable()?;
        let place = &self.inner.place;
        let made: Vec<u8> = dates
            .iter()
            .flat_map(|(date, made)| [i64::from(*date) as u64, *made])
            .flat_map(u64::to_le_bytes)
            .collect();
        let file = format!("{month}-{:016x}.parquet", xxh3_64(&made) ^ definition);
        let encoded = tokio::task::spawn_blocking(move || encode(&rows)).await;
        let bytes = encoded
            .map_err(|e| Error::store("sums could not be encoded", e))?
            .map_err(|e| Error::store("sums could not be encoded", e))?;
        let size = bytes.len() as u64;
        place.put(&format!("{ROOM}/{file}"), bytes).await?;
        let mut index = read(place).await;
        if index.definition != definition {
            index = Index { definition, months: BTreeMap::new() };
        }
        index.months.insert(month.to_owned(), Month { file, bytes: size, dates });
        let text = serde_json::to_vec(&index).expect("an index is plain data");
        place.put(INDEX, text).await?;
        self.inner.sums.index.store(Arc::new(index));
        Ok(())
    }

    /// Deletes files that the index has not named for so many hours.
    pub(super) async fn tidy_sums(&self, hours: u64) -> Result<usize, Error> {
        let place = &self.inner.place;
        let index = read(place).await;
        let kept = i64::try_from(hours).unwrap_or(i64::MAX).saturating_mul(HOUR);
        let old = SystemClock.now().saturating_sub(kept);
        let failed = |e| Error::store("sums that are no longer named could not be deleted", e);
        let files: Vec<_> = place.store.list(Some(&Path::from(ROOM))).try_collect().await.map_err(failed)?;
        let mut deleted = 0;
        for file in files {
            let name = file.location.filename().unwrap_or_default();
            let named = index.months.values().any(|month| month.file == name);
            if name.ends_with(".parquet") && !named && file.last_modified.timestamp_millis() < old {
                place.store.delete(&file.location).await.map_err(failed)?;
                deleted += 1;
            }
        }
        Ok(deleted)
    }
}

fn encode(rows: &[RecordBatch]) -> Result<Vec<u8>, ParquetError> {
    let level = ZstdLevel::try_new(1).expect("1 is a level of zstd");
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .build();
    let Some(first) = rows.first() else {
        return Err(ParquetError::General("no rows were handed in".to_owned()));
    };
    let mut writer = ArrowWriter::try_new(Vec::new(), first.schema(), Some(properties))?;
    for batch in rows {
        writer.write(batch)?;
    }
    writer.into_inner()
}

/// The files of the index for DataFusion.
#[derive(Debug)]
struct Rows {
    url: Url,
    store: Arc<dyn ObjectStore>,
    schema: SchemaRef,
    /// Name and length, so that nobody has to ask the store.
    files: Vec<(String, u64)>,
}

#[async_trait::async_trait]
impl TableProvider for Rows {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> PlanResult<Vec<TableProviderFilterPushDown>> {
        // What a filter skips by the files' statistics, DataFusion looks at again.
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> PlanResult<Arc<dyn ExecutionPlan>> {
        session.runtime_env().register_object_store(&self.url, Arc::clone(&self.store));
        let parts = session.config().target_partitions().clamp(1, self.files.len().max(1));
        let part = |part: usize| {
            let files = self.files.iter().skip(part).step_by(parts);
            FileGroup::new(files.map(|(name, bytes)| PartitionedFile::new(name.as_str(), *bytes)).collect())
        };
        let source = Arc::new(ParquetSource::new(Arc::clone(&self.schema)));
        let config = FileScanConfigBuilder::new(ObjectStoreUrl::parse(&self.url)?, source)
            .with_file_groups((0..parts).map(part).collect())
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .build();
        ParquetFormat::default().create_physical_plan(session, config).await
    }
}
