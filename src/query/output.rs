//! Answers as table, CSV, JSON or Arrow stream; the same for the command line and HTTP.
//!
//! Rows leave as they come, but for the table, whose widths need all of them.

use std::str::FromStr;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;
use arrow::util::display::FormatOptions;
use arrow::util::pretty::pretty_format_batches_with_options;
use bytes::Bytes;
use futures::{Stream, StreamExt};

use super::{Answer, Error, ErrorKind};

/// How timestamps are written: RFC 3339 in UTC, to the millisecond as everywhere else.
const TIMESTAMP: &str = "%Y-%m-%dT%H:%M:%S%.3fZ";

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// For people: a table with borders.
    #[default]
    Table,
    /// CSV with a header; NULL is empty.
    Csv,
    /// One array of row objects; NULL is null.
    Json,
    /// An Arrow IPC stream.
    Arrow,
}

impl Format {
    /// Every format.
    pub const ALL: [Format; 4] = [Self::Table, Self::Csv, Self::Json, Self::Arrow];

    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Arrow => "arrow",
        }
    }

    /// Its media type.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Table => "text/plain; charset=utf-8",
            Self::Csv => "text/csv; charset=utf-8",
            Self::Json => "application/json",
            Self::Arrow => "application/vnd.apache.arrow.stream",
        }
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let names = || Self::ALL.map(Self::name).join(", ");
        let found = Self::ALL.into_iter().find(|format| format.name() == name);
        found.ok_or_else(|| format!("unknown format `{name}`; there are {}", names()))
    }
}

/// The answer as bytes. A fault after the first rows ends the stream with an error.
pub fn encode(answer: Answer, format: Format) -> impl Stream<Item = Result<Bytes, Error>> + Send {
    let schema = readable(&answer.schema);
    let state = Some((Encoder::new(format, Arc::clone(&schema)), answer.rows));
    futures::stream::try_unfold((state, schema), |(state, schema)| async move {
        let Some((mut encoder, mut rows)) = state else { return Ok(None) };
        loop {
            let (bytes, rest) = match rows.next().await {
                Some(batch) => {
                    let batch = convert(&batch?, &schema).map_err(ours)?;
                    (encoder.push(&batch).map_err(ours)?, true)
                }
                None => (encoder.finish().map_err(ours)?, false),
            };
            if !rest {
                return Ok(Some((Bytes::from(bytes), (None, schema))));
            }
            if !bytes.is_empty() {
                return Ok(Some((Bytes::from(bytes), (Some((encoder, rows)), schema))));
            }
        }
    })
}

fn ours(error: ArrowError) -> Error {
    Error::new(ErrorKind::Sql, format!("the answer cannot be written in this format: {error}"))
        .hint("cast the column to text, a number or a timestamp")
}

/// The schema as it is written: timestamps in UTC, and no two columns of one name.
fn readable(schema: &Schema) -> SchemaRef {
    let mut names: Vec<String> = Vec::new();
    for field in schema.fields() {
        let mut name = field.name().clone();
        let mut copies = 1;
        while names.contains(&name) {
            copies += 1;
            name = format!("{}_{copies}", field.name());
        }
        names.push(name);
    }
    let fields = schema.fields().iter().zip(names).map(|(field, name)| {
        let kind = match field.data_type() {
            DataType::Timestamp(unit, _) => DataType::Timestamp(*unit, Some("UTC".into())),
            other => other.clone(),
        };
        Field::new(name, kind, true)
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn convert(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let columns = batch.columns().iter().zip(schema.fields());
    let columns: Result<Vec<_>, ArrowError> = columns
        .map(|(column, field)| match field.data_type() == column.data_type() {
            true => Ok(Arc::clone(column)),
            false => cast(column, field.data_type()),
        })
        .collect();
    let rows = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns?, &rows)
}

/// Writes batches one after the other.
enum Encoder {
    Table { schema: SchemaRef, batches: Vec<RecordBatch> },
    Csv { schema: SchemaRef, begun: bool },
    Json { begun: bool },
    Arrow { schema: SchemaRef, writer: Option<Box<StreamWriter<Vec<u8>>>> },
}

impl Encoder {
    fn new(format: Format, schema: SchemaRef) -> Self {
        match format {
            Format::Table => Self::Table { schema, batches: Vec::new() },
            Format::Csv => Self::Csv { schema, begun: false },
            Format::Json => Self::Json { begun: false },
            Format::Arrow => Self::Arrow { schema, writer: None },
        }
    }

    fn push(&mut self, batch: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
        match self {
            Self::Table { batches, .. } => {
                batches.push(batch.clone());
                Ok(Vec::new())
            }
            Self::Csv { begun, .. } => csv(batch, !std::mem::replace(begun, true)),
            Self::Json { begun } => json(batch, begun),
            Self::Arrow { schema, writer } => {
                let writer = opened(writer, schema)?;
                writer.write(batch)?;
                Ok(std::mem::take(writer.get_mut()))
            }
        }
    }

    fn finish(&mut self) -> Result<Vec<u8>, ArrowError> {
        match self {
            Self::Table { schema, batches } => {
                if batches.is_empty() {
                    batches.push(RecordBatch::new_empty(Arc::clone(schema)));
                }
                let options = FormatOptions::default()
                    .with_null("NULL")
                    .with_timestamp_tz_format(Some(TIMESTAMP))
                    .with_display_error(false);
                let table = pretty_format_batches_with_options(batches, &options)?;
                Ok(format!("{table}\n").into_bytes())
            }
            Self::Csv { begun: true, .. } => Ok(Vec::new()),
            Self::Csv { schema, .. } => csv(&RecordBatch::new_empty(Arc::clone(schema)), true),
            Self::Json { begun: true } => Ok(b"]\n".to_vec()),
            Self::Json { begun: false } => Ok(b"[]\n".to_vec()),
            Self::Arrow { schema, writer } => {
                let writer = opened(writer, schema)?;
                writer.finish()?;
                Ok(std::mem::take(writer.get_mut()))
            }
        }
    }
}

fn opened<'a>(
    writer: &'a mut Option<Box<StreamWriter<Vec<u8>>>>,
    schema: &SchemaRef,
) -> Result<&'a mut StreamWriter<Vec<u8>>, ArrowError> {
    if writer.is_none() {
        *writer = Some(Box::new(StreamWriter::try_new(Vec::new(), schema)?));
    }
    Ok(writer.as_mut().expect("it was just opened"))
}

fn csv(batch: &RecordBatch, header: bool) -> Result<Vec<u8>, ArrowError> {
    let mut bytes = Vec::new();
    let options =
        arrow::csv::WriterBuilder::new().with_header(header).with_timestamp_tz_format(TIMESTAMP.to_owned());
    options.build(&mut bytes).write(batch)?;
    Ok(bytes)
}

/// The rows of a batch, between commas; the bracket opens before the first.
fn json(batch: &RecordBatch, begun: &mut bool) -> Result<Vec<u8>, ArrowError> {
    if batch.num_rows() == 0 {
        return Ok(Vec::new());
    }
    let options = arrow::json::WriterBuilder::new()
        .with_explicit_nulls(true)
        .with_timestamp_tz_format(TIMESTAMP.to_owned());
    let mut writer = options.build::<_, arrow::json::writer::JsonArray>(Vec::new());
    writer.write(batch)?;
    writer.finish()?;
    let mut bytes = writer.into_inner();
    // The writer gives `[rows]`; the brackets belong to the whole answer.
    bytes.pop();
    bytes[0] = if std::mem::replace(begun, true) { b',' } else { b'[' };
    Ok(bytes)
}
