//! Of each key the row with the greatest revision: how a query sees tables whose rows are written anew when they change.
//!
//! One pass with a table of keys. A window that numbers the revisions of each key says the same, and sorts all rows for it, and
//! takes several microseconds a row.

use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Int64Type, SchemaRef};
use arrow::row::{RowConverter, Rows, SortField};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Column;
use datafusion::datasource::TableType;
use datafusion::error::DataFusionError;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, LogicalPlan, TableProviderFilterPushDown};
use datafusion::physical_plan::spill::get_record_batch_memory_size;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use futures::{TryStreamExt, stream};
use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64;

use super::fence::{asked, may_move};
use crate::facts::{PARTITION_COLUMN, Table};

const REVISION: &str = "revision";

/// The newest rows of a table.
#[derive(Debug)]
pub(super) struct Newest {
    schema: SchemaRef,
    /// Every revision.
    inside: LogicalPlan,
    key: Vec<&'static str>,
}

impl Newest {
    /// Of the rows that `inside` gives of a table.
    pub(super) fn new(table: &Table, inside: LogicalPlan) -> Self {
        let mut key = table.key.to_vec();
        if table.key.contains(&"id") {
            // The date of such a row is that of its one event, so that a filter by date can be worked before the rows are
            // compared.
            key.push(PARTITION_COLUMN);
        }
        Self { schema: Arc::clone(inside.schema().inner()), inside, key }
    }

    fn column(&self, name: &str) -> Result<usize, DataFusionError> {
        Ok(self.schema.index_of(name)?)
    }
}

#[async_trait]
impl TableProvider for Newest {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    /// A filter that all revisions of a key pass, or none, may be worked before they are compared.
    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>, DataFusionError> {
        let of_key = |column: &&Column| self.key.contains(&column.name.as_str());
        let answer = |filter: &&Expr| match filter.column_refs().iter().all(of_key) && may_move(filter)? {
            true => Ok(TableProviderFilterPushDown::Exact),
            false => Ok(TableProviderFilterPushDown::Unsupported),
        };
        filters.iter().map(answer).collect()
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
        let wanted = projection.cloned().unwrap_or_else(|| (0..self.schema.fields().len()).collect());
        let mut read = wanted.clone();
        let mut place = |name: &str| {
            let column = self.column(name)?;
            Ok::<_, DataFusionError>(read.iter().position(|read| *read == column).unwrap_or_else(|| {
                read.push(column);
                read.len() - 1
            }))
        };
        let key = self.key.iter().map(|name| place(name)).collect::<Result<_, _>>()?;
        let revision = place(REVISION)?;
        let plan = asked(self.inside.clone(), Some(&read), filters, None)?;
        let input = session.create_physical_plan(&plan).await?;
        let schema = Arc::new(self.schema.project(&wanted)?);
        let by = By { key, revision, columns: wanted.len() };
        let rows = Arc::new(NewestRows { input, by, schema: Arc::clone(&schema) });
        Ok(Arc::new(StreamingTableExec::try_new(schema, vec![rows], None, [], false, None)?))
    }
}

/// Where an input has what counts.
#[derive(Debug, Clone)]
struct By {
    key: Vec<usize>,
    revision: usize,
    /// So many of its first columns are handed out.
    columns: usize,
}

/// The newest rows of its input.
#[derive(Debug)]
struct NewestRows {
    input: Arc<dyn ExecutionPlan>,
    by: By,
    schema: SchemaRef,
}

impl NewestRows {
    async fn read(
        input: Arc<dyn ExecutionPlan>,
        by: By,
        context: Arc<TaskContext>,
    ) -> Result<Revisions, DataFusionError> {
        let memory = MemoryConsumer::new("newest rows").register(context.memory_pool());
        // Rows of one key may lie in any part of the input.
        let mut input = execute_stream(input, context)?;
        let types = by.key.iter().map(|at| SortField::new(input.schema().field(*at).data_type().clone()));
        let converter = RowConverter::new(types.collect())?;
        let mut revisions = Revisions { converter, by, parts: Vec::new(), newest: HashTable::new(), memory };
        while let Some(batch) = input.try_next().await? {
            revisions.add(batch)?;
        }
        Ok(revisions)
    }
}

impl PartitionStream for NewestRows {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let read = Self::read(Arc::clone(&self.input), self.by.clone(), context);
        let rows = stream::once(read).map_ok(|revisions| stream::iter(revisions.finish())).try_flatten();
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), rows))
    }
}

/// What was read so far.
struct Revisions {
    converter: RowConverter,
    by: By,
    parts: Vec<Part>,
    /// By key, the batch and the row of its newest revision.
    newest: HashTable<(u32, u32)>,
    memory: MemoryReservation,
}

/// One batch, with its keys as bytes that can be compared.
struct Part {
    batch: RecordBatch,
    keys: Rows,
}

impl Part {
    /// The revision of a row; one without comes before all others.
    fn revision(&self, by: &By, row: usize) -> i64 {
        let revisions = self.batch.column(by.revision).as_primitive::<Int64Type>();
        if revisions.is_null(row) { i64::MIN } else { revisions.value(row) }
    }
}

impl Revisions {
    fn add(&mut self, batch: RecordBatch) -> Result<(), DataFusionError> {
        let columns: Vec<_> = self.by.key.iter().map(|at| Arc::clone(batch.column(*at))).collect();
        let part = Part { keys: self.converter.convert_columns(&columns)?, batch };
        let rows = part.batch.num_rows();
        self.memory.try_grow(
            get_record_batch_memory_size(&part.batch) + part.keys.size() + rows * size_of::<(u32, u32)>() * 2,
        )?;
        let too_many = || DataFusionError::ResourcesExhausted("too many rows for one query".to_owned());
        let at = u32::try_from(self.parts.len()).map_err(|_| too_many())?;
        self.parts.push(part);
        let (parts, by) = (&self.parts, &self.by);
        let key = |&(at, row): &(u32, u32)| parts[at as usize].keys.row(row as usize);
        let hash = |place: &(u32, u32)| xxh3_64(key(place).as_ref());
        for row in 0..rows {
            let place = (at, u32::try_from(row).map_err(|_| too_many())?);
            let entry = self.newest.entry(hash(&place), |known| key(known) == key(&place), hash);
            let revision = |&(at, row): &(u32, u32)| parts[at as usize].revision(by, row as usize);
            let mut entry = entry.or_insert(place);
            if revision(entry.get()) < revision(&place) {
                *entry.get_mut() = place;
            }
        }
        Ok(())
    }

    /// The newest rows, batch by batch.
    fn finish(self) -> impl Iterator<Item = Result<RecordBatch, DataFusionError>> {
        let Self { parts, newest, by, memory, .. } = self;
        let mut kept: Vec<Vec<u32>> = vec![Vec::new(); parts.len()];
        newest.into_iter().for_each(|(at, row)| kept[at as usize].push(row));
        let columns: Vec<usize> = (0..by.columns).collect();
        parts.into_iter().zip(kept).map(move |(part, kept)| {
            // What was read counts until the last batch is handed out.
            let _ = &memory;
            let rows = part.batch.num_rows();
            let batch = part.batch.project(&columns)?;
            if kept.len() == rows {
                return Ok(batch);
            }
            let mut holds = vec![false; rows];
            kept.into_iter().for_each(|row| holds[row as usize] = true);
            let holds = BooleanArray::new(BooleanBuffer::from(holds), None);
            Ok(filter_record_batch(&batch, &holds)?)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use arrow::array::{Int64Array, StringArray};
    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    #[test]
    fn of_each_key_the_greatest_revision_is_kept() {
        let mut dice = SmallRng::seed_from_u64(5);
        let by = By { key: vec![0, 2], revision: 3, columns: 2 };
        let fields = [arrow::datatypes::DataType::Utf8, arrow::datatypes::DataType::Int64];
        let pool: Arc<dyn datafusion::execution::memory_pool::MemoryPool> =
            Arc::new(datafusion::execution::memory_pool::UnboundedMemoryPool::default());
        let mut revisions = Revisions {
            converter: RowConverter::new(fields.map(SortField::new).to_vec()).expect("a converter"),
            by,
            parts: Vec::new(),
            newest: HashTable::new(),
            memory: MemoryConsumer::new("test").register(&pool),
        };
        let mut expected: BTreeMap<(Option<String>, i64), (Option<i64>, i64)> = BTreeMap::new();
        for part in 0..20_i64 {
            let rows: Vec<(Option<String>, i64, Option<i64>, i64)> = (0..dice.random_range(0..30))
                .map(|row| {
                    let id = dice.random_bool(0.9).then(|| format!("key {}", dice.random_range(0..12)));
                    let revision = dice.random_bool(0.9).then(|| dice.random_range(0..1_000_000));
                    (id, dice.random_range(0..3), revision, part * 100 + row)
                })
                .collect();
            for (id, date, revision, value) in &rows {
                let known = expected.entry((id.clone(), *date)).or_insert((*revision, *value));
                if known.0 < *revision {
                    *known = (*revision, *value);
                }
            }
            let batch = RecordBatch::try_from_iter([
                (
                    "id",
                    Arc::new(rows.iter().map(|row| row.0.clone()).collect::<StringArray>()) as Arc<dyn Array>,
                ),
                ("value", Arc::new(rows.iter().map(|row| row.3).collect::<Int64Array>())),
                ("date", Arc::new(rows.iter().map(|row| row.1).collect::<Int64Array>())),
                ("revision", Arc::new(rows.iter().map(|row| row.2).collect::<Int64Array>())),
            ]);
            revisions.add(batch.expect("columns of one length")).expect("room");
        }
        assert!(pool.reserved() > 0);
        let mut kept: Vec<i64> = Vec::new();
        for batch in revisions.finish() {
            let batch = batch.expect("a batch");
            assert_eq!(batch.num_columns(), 2);
            kept.extend(batch.column(1).as_primitive::<Int64Type>().values());
        }
        kept.sort_unstable();
        let mut expected: Vec<i64> = expected.into_values().map(|(_, value)| value).collect();
        expected.sort_unstable();
        assert_eq!(kept, expected);
        assert_eq!(pool.reserved(), 0);
    }
}
