//! Rows on their way to a client: in types that the wire has, and stopped when the client wants no more.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions as ArrowFormat};
use datafusion::execution::SendableRecordBatchStream;
use datafusion_postgres::arrow_pg::datatypes::{arrow_schema_to_pg_fields, encode_recordbatch, into_pg_type};
use datafusion_postgres::pgwire::api::portal::Format;
use datafusion_postgres::pgwire::api::results::{FieldInfo, QueryResponse};
use datafusion_postgres::pgwire::error::{PgWireError, PgWireResult};
use datafusion_postgres::pgwire::messages::data::DataRow;
use futures::{Stream, StreamExt};
use tokio_util::sync::CancellationToken;

use super::fault;
use crate::query::{Answer, Error};

/// The rows of one statement.
pub(super) struct Rows {
    schema: SchemaRef,
    rows: SendableRecordBatchStream,
    /// Rows of a batch that was begun.
    left: Option<RecordBatch>,
    cancel: CancellationToken,
    sql: Arc<str>,
}

impl Rows {
    /// Of an answer; timestamps are written in `zone`.
    pub(super) fn new(answer: Answer, zone: Option<&str>, cancel: CancellationToken, sql: Arc<str>) -> Self {
        let schema = on_the_wire(&answer.schema, zone);
        Self { schema, rows: answer.rows, left: None, cancel, sql }
    }

    /// A cursor's rows may be taken by a later statement, which is what a cancel request then stops.
    pub(super) fn stopped_by(&mut self, cancel: CancellationToken) {
        self.cancel = cancel;
    }

    /// The columns.
    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The next batch, of `limit` rows at most.
    pub(super) async fn next(&mut self, limit: usize) -> PgWireResult<Option<RecordBatch>> {
        loop {
            if let Some(batch) = self.left.take() {
                if batch.num_rows() > limit {
                    self.left = Some(batch.slice(limit, batch.num_rows() - limit));
                    return Ok(Some(batch.slice(0, limit)));
                }
                return Ok(Some(batch));
            }
            let next = tokio::select! {
                biased;
                () = self.cancel.cancelled() => return Err(PgWireError::QueryCanceled),
                next = self.rows.next() => next,
            };
            match next {
                None => return Ok(None),
                Some(Err(error)) => return Err(fault::of_query(&Error::from(error), &self.sql)),
                Some(Ok(batch)) if batch.num_rows() == 0 => {}
                Some(Ok(batch)) => self.left = Some(converted(&batch, &self.schema)?),
            }
        }
    }

    /// All rows, as they come, in these formats.
    pub(super) fn respond(self, format: &Format) -> PgWireResult<QueryResponse> {
        let fields = Arc::new(fields(&self.schema, format)?);
        let rows = encoded(self, Arc::clone(&fields));
        Ok(QueryResponse::new(fields, rows))
    }

    /// Up to `limit` rows in these formats; the others stay.
    pub(super) async fn take(&mut self, limit: usize, format: &Format) -> PgWireResult<QueryResponse> {
        let fields = Arc::new(fields(&self.schema, format)?);
        let mut taken = Vec::new();
        while taken.len() < limit {
            let Some(batch) = self.next(limit - taken.len()).await? else { break };
            taken.extend(encode_recordbatch(Arc::clone(&fields), batch));
        }
        Ok(QueryResponse::new(fields, futures::stream::iter(taken)))
    }
}

/// Columns as a client is told of them.
pub(super) fn fields(schema: &Schema, format: &Format) -> PgWireResult<Vec<FieldInfo>> {
    if let Format::Individual(codes) = format
        && codes.len() != schema.fields().len()
    {
        return Err(fault::error(
            "08P01",
            format!(
                "bind message has {} result formats but query has {} columns",
                codes.len(),
                schema.fields().len()
            ),
        ));
    }
    arrow_schema_to_pg_fields(schema, format, None)
}

fn encoded(rows: Rows, fields: Arc<Vec<FieldInfo>>) -> impl Stream<Item = PgWireResult<DataRow>> + Send {
    let state = (rows, fields, VecDeque::new(), false);
    futures::stream::unfold(state, |(mut rows, fields, mut ready, over)| async move {
        if over {
            return None;
        }
        loop {
            if let Some(row) = ready.pop_front() {
                return Some((row, (rows, fields, ready, false)));
            }
            // A few rows at a time, so that a batch is not held twice.
            match rows.next(64).await {
                Ok(None) => return None,
                Ok(Some(batch)) => ready.extend(encode_recordbatch(Arc::clone(&fields), batch)),
                Err(error) => return Some((Err(error), (rows, fields, ready, true))),
            }
        }
    })
}

/// The schema in types that the wire has.
pub(super) fn on_the_wire(schema: &Schema, zone: Option<&str>) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| {
        let kind = wire_type(field.data_type(), zone);
        Field::new(field.name(), kind, true).with_metadata(field.metadata().clone())
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn wire_type(kind: &DataType, zone: Option<&str>) -> DataType {
    match kind {
        // Unsigned numbers would arrive as NUMERIC.
        DataType::UInt64 => DataType::Int64,
        DataType::Timestamp(_, Some(_)) => {
            DataType::Timestamp(TimeUnit::Microsecond, Some(zone.unwrap_or("UTC").into()))
        }
        DataType::Timestamp(_, None) => DataType::Timestamp(TimeUnit::Microsecond, None),
        DataType::List(field) => {
            DataType::List(Arc::new(Field::new(field.name(), wire_type(field.data_type(), zone), true)))
        }
        DataType::Dictionary(_, value) => wire_type(value, zone),
        kind if into_pg_type(kind).is_err() => DataType::Utf8,
        kind => kind.clone(),
    }
}

fn converted(batch: &RecordBatch, schema: &SchemaRef) -> PgWireResult<RecordBatch> {
    let columns = batch.columns().iter().zip(schema.fields()).map(|(column, field)| {
        if column.data_type() == field.data_type() {
            return Ok(Arc::clone(column));
        }
        let made = match cast(column, field.data_type()) {
            Ok(made) => made,
            Err(_) => as_text(column)?,
        };
        Ok(made)
    });
    let columns: Vec<ArrayRef> = columns
        .collect::<Result<_, arrow::error::ArrowError>>()
        .map_err(|error| fault::error("0A000", format!("a column cannot be written: {error}")))?;
    let rows = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &rows)
        .map_err(|error| fault::error("XX000", format!("a column cannot be written: {error}")))
}

/// What has no type on the wire, as text.
fn as_text(column: &ArrayRef) -> Result<ArrayRef, arrow::error::ArrowError> {
    let options = ArrowFormat::default();
    let formatter = ArrayFormatter::try_new(column, &options)?;
    let texts = (0..column.len()).map(|row| match column.is_null(row) {
        true => Ok(None),
        false => formatter.value(row).try_to_string().map(Some),
    });
    Ok(Arc::new(texts.collect::<Result<StringArray, _>>()?))
}
