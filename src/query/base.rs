//! Base tables: committed rows and rows in memory, each row once and in its newest form.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use datafusion::catalog::TableProvider;
use datafusion::common::{Column, ScalarValue};
use datafusion::datasource::empty::EmptyTable;
use datafusion::datasource::{MemTable, ViewTable, provider_as_source};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, cast, lit};

use super::newest::Newest;
use super::superseded::Superseded;
use crate::facts::{Table, Written};

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
    if table.written == Written::Newest {
        return Ok(Arc::new(Newest::new(table, rows.build()?)));
    }
    let rows = match superseded {
        Some(superseded) => rows.filter(superseded.holds())?,
        None => rows,
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

/// A column by its very name, whatever its letters.
fn column(name: &str) -> Expr {
    Expr::Column(Column::new_unqualified(name))
}
