//! Rows to Parquet files: one file for each date, with the statistics that let a query skip it.

use std::num::NonZeroU64;
use std::ops::Range;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Date32Type;
use buoyant_kernel::expressions::Scalar;
use deltalake::datafile::writer::{DeltaWriter, WriterConfig};
use deltalake::kernel::Add;
use deltalake::logstore::LogStoreRef;
use deltalake::operations::get_num_idx_cols_and_stats_columns;
use deltalake::parquet::basic::{Compression, Encoding, ZstdLevel};
use deltalake::parquet::file::properties::{EnabledStatistics, WriterProperties};
use deltalake::parquet::schema::types::ColumnPath;
use indexmap::IndexMap;

use super::Error;
use crate::facts::{ColumnType, PARTITION_COLUMN, Table};

/// Rows are handed to the encoder so many at a time: after each of them it is asked how large the file is by now.
const ENCODE_ROWS: usize = 16 * 1024;
/// A batch whose dates change no oftener than this is cut where they change; any other is sorted by date first, which
/// copies every row.
const STRETCHES_MAX: usize = 16;

/// Texts that are others in nearly every row, or in nearly every dozen.
const HARDLY_REPEATING: [&str; 5] = ["id", "contact_id", "customer_id", "text", "utterance"];

/// How Parquet files are written: zstd at its quickest, row groups that a query can skip, statistics per
/// page for what queries select by (times, keys), per row group for the rest. Numbers and times stand as packed
/// differences, texts that hardly repeat as they are: a dictionary of values that hardly repeat costs more to make and takes more room.
pub(super) fn properties(table: &Table, row_group_rows: usize) -> WriterProperties {
    let level = ZstdLevel::try_new(1).expect("1 is a level of zstd");
    let mut builder = WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_max_row_group_row_count(Some(row_group_rows.max(1)))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_created_by(concat!("callpulse ", env!("CARGO_PKG_VERSION")).to_owned());
    for column in
        table.columns.iter().filter(|column| matches!(column.kind, ColumnType::Int | ColumnType::Time))
    {
        let path = ColumnPath::from(column.name);
        builder = builder
            .set_column_dictionary_enabled(path.clone(), false)
            .set_column_encoding(path, Encoding::DELTA_BINARY_PACKED);
    }
    for column in table.columns.iter().filter(|column| HARDLY_REPEATING.contains(&column.name)) {
        builder = builder.set_column_dictionary_enabled(ColumnPath::from(column.name), false);
    }
    for column in statistics_columns(table) {
        builder = builder.set_column_statistics_enabled(ColumnPath::from(column), EnabledStatistics::Page);
    }
    builder.build()
}

/// The columns whose least and greatest value stand in the Delta log, so that whole files are skipped
/// without opening them: instants, and the first column of the key. More would make the log heavy.
pub(super) fn statistics_columns(table: &Table) -> Vec<&'static str> {
    let mut columns: Vec<&'static str> = table
        .columns
        .iter()
        .filter(|column| column.kind == ColumnType::Time)
        .map(|column| column.name)
        .collect();
    if let Some(first) = table.key.first()
        && !columns.contains(first)
        && *first != PARTITION_COLUMN
    {
        columns.push(first);
    }
    columns
}

/// Writes the batches as files under the table; they are not part of it until a commit names them. A file
/// that no commit names is removed by vacuum.
pub(super) async fn write_files(
    log_store: LogStoreRef,
    table: &'static Table,
    batches: Vec<RecordBatch>,
    target_bytes: u64,
    row_group_rows: usize,
) -> Result<Vec<Add>, Error> {
    let schema = table.schema();
    for batch in &batches {
        if batch.schema() != schema {
            return Err(Error::Config(format!(
                "rows for table `{}` have columns `{:?}`, the table has others\nhint: rows are built by the builders of \
                 the tables",
                table.name,
                batch.schema().fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>()
            )));
        }
    }
    let config = WriterConfig::new(
        schema,
        vec![PARTITION_COLUMN.to_owned()],
        Some(properties(table, row_group_rows)),
        NonZeroU64::new(target_bytes),
        Some(ENCODE_ROWS),
        get_num_idx_cols_and_stats_columns(None, Default::default()).0,
        Some(statistics_columns(table).into_iter().map(str::to_owned).collect()),
    );
    let handle = tokio::runtime::Handle::current();
    // Encoding takes a CPU for as long as it lasts: it may not hold up the runtime's own threads.
    let written = tokio::task::spawn_blocking(move || {
        handle.block_on(async move {
            let mut writer = DeltaWriter::new(log_store.object_store(None), config);
            for batch in &batches {
                match stretches(batch) {
                    Some(stretches) => {
                        for (date, rows) in stretches {
                            let date = IndexMap::from([(PARTITION_COLUMN.to_owned(), Scalar::Date(date))]);
                            writer.write_partition(batch.slice(rows.start, rows.len()), &date).await?;
                        }
                    }
                    None => writer.write(batch).await?,
                }
            }
            writer.close().await
        })
    })
    .await;
    match written {
        Ok(Ok(adds)) => Ok(adds),
        Ok(Err(e)) => Err(Error::store(format!("rows of table `{}` could not be written", table.name), e)),
        Err(e) => Err(Error::store(format!("rows of table `{}` could not be encoded", table.name), e)),
    }
}

/// The stretches of rows of one date each, in their order; `None` when there are many, or rows without a date.
fn stretches(batch: &RecordBatch) -> Option<Vec<(i32, Range<usize>)>> {
    let dates = batch.column_by_name(PARTITION_COLUMN)?.as_primitive_opt::<Date32Type>()?;
    if dates.null_count() > 0 {
        return None;
    }
    let mut stretches: Vec<(i32, Range<usize>)> = Vec::new();
    for stretch in dates.values().chunk_by(|a, b| a == b) {
        if stretches.len() == STRETCHES_MAX {
            return None;
        }
        let from = stretches.last().map_or(0, |(_, rows)| rows.end);
        stretches.push((*stretch.first()?, from..from + stretch.len()));
    }
    Some(stretches)
}

/// The table's schema for Delta.
pub(super) fn delta_schema(table: &Table) -> Vec<deltalake::kernel::StructField> {
    use deltalake::kernel::engine::arrow_conversion::TryIntoKernel;
    let schema: deltalake::kernel::StructType =
        table.schema().as_ref().try_into_kernel().expect("every column type has its type in Delta");
    schema.fields().cloned().collect()
}
