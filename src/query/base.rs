//! Base tables: committed rows and rows in memory, each row once and in its newest form.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use datafusion::catalog::TableProvider;
use datafusion::common::{Column, ScalarValue};
use datafusion::datasource::empty::EmptyTable;
use datafusion::datasource::{MemTable, ViewTable, provider_as_source};
use datafusion::error::DataFusionError;
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::{Expr, ExprFunctionExt, LogicalPlanBuilder, cast, lit};

use super::superseded::Superseded;
use crate::facts::{PARTITION_COLUMN, Table, Written};

/// The rows of `table` as one provider.
pub(super) fn provider(
    table: &'static Table,
    committed: Option<&Arc<dyn TableProvider>>,
    memory: Vec<RecordBatch>,
    superseded: Option<Arc<Superseded>>,
) -> Result<Arc<dyn TableProvider>, DataFusionError> {
    let schema = table.schema();
    let memory: Option<Arc<dyn TableProvider>> = match memory.is_empty() {
        true => None,
        false => Some(Arc::new(MemTable::try_new(Arc::clone(&schema), vec![memory])?)),
    };
    let superseded = superseded.filter(|superseded| !superseded.is_empty());
    let plain = table.written != Written::Newest && superseded.is_none();
    let rows = match (committed, memory) {
        (None, None) => return Ok(Arc::new(EmptyTable::new(schema))),
        (Some(committed), None) if plain && same_columns(&committed.schema(), &schema) => {
            return Ok(Arc::clone(committed));
        }
        (None, Some(memory)) if plain => return Ok(memory),
        (Some(committed), None) => scan(table, "committed", Arc::clone(committed))?,
        (None, Some(memory)) => scan(table, "memory", memory)?,
        (Some(committed), Some(memory)) => {
            scan(table, "committed", Arc::clone(committed))?.union(scan(table, "memory", memory)?.build()?)?
        }
    };
    let rows = match (table.written, superseded) {
        (Written::Newest, _) => newest(table, rows)?,
        (_, Some(superseded)) => rows.filter(superseded.holds())?,
        (_, None) => rows,
    };
    Ok(Arc::new(ViewTable::new(rows.build()?, None)))
}

fn same_columns(have: &Schema, want: &Schema) -> bool {
    have.fields().len() == want.fields().len()
        && have
            .fields()
            .iter()
            .zip(want.fields())
            .all(|(have, want)| have.name() == want.name() && have.data_type() == want.data_type())
}

/// The columns of `table`, as it declares them, of a provider that may lack some, or hold them as another type of text.
fn scan(
    table: &Table,
    part: &str,
    provider: Arc<dyn TableProvider>,
) -> Result<LogicalPlanBuilder, DataFusionError> {
    let have = provider.schema();
    let columns = table.columns.iter().map(|declared| {
        let want = declared.kind.data_type();
        match have.field_with_name(declared.name) {
            Ok(field) if *field.data_type() == want => column(declared.name),
            Ok(_) => cast(column(declared.name), want).alias(declared.name),
            // Written by an older release.
            Err(_) => cast(lit(ScalarValue::Null), want).alias(declared.name),
        }
    });
    let columns: Vec<Expr> = columns.collect();
    LogicalPlanBuilder::scan(format!("{}_{part}", table.name), provider_as_source(provider), None)?
        .project(columns)
}

/// Of each key the row with the greatest revision.
fn newest(table: &Table, rows: LogicalPlanBuilder) -> Result<LogicalPlanBuilder, DataFusionError> {
    let mut key: Vec<Expr> = table.key.iter().map(|name| column(name)).collect();
    if table.key.contains(&"id") {
        // The date of such a row is that of its one event, so that a filter by date can be worked before the rows are
        // compared.
        key.push(column(PARTITION_COLUMN));
    }
    let rank = row_number()
        .partition_by(key)
        .order_by(vec![column("revision").sort(false, false)])
        .build()?
        .alias("newest");
    rows.window(vec![rank])?
        .filter(column("newest").eq(lit(1_u64)))?
        .project(table.columns.iter().map(|declared| column(declared.name)))
}

/// A column by its very name, whatever its letters.
fn column(name: &str) -> Expr {
    Expr::Column(Column::new_unqualified(name))
}
