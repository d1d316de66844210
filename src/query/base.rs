//! Base tables: committed rows and rows in memory, each row once and in its newest form.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::datatypes::{DataType, Int64Type, Schema};
use datafusion::catalog::TableProvider;
use datafusion::common::{Column, ScalarValue};
use datafusion::datasource::empty::EmptyTable;
use datafusion::datasource::{MemTable, ViewTable, provider_as_source};
use datafusion::error::DataFusionError;
use datafusion::execution::session_state::SessionState;
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprFunctionExt, LogicalPlanBuilder, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility, cast, lit, not,
};
use futures::TryStreamExt;
use smallvec::SmallVec;

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
        (_, Some(superseded)) => {
            let pair = vec![column("contact_id"), column("revision")];
            let is_superseded = ScalarUDF::from(IsSuperseded::new(superseded));
            rows.filter(not(is_superseded.call(pair)))?
        }
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

/// Pairs (contact_id, revision) of rows that no longer hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Superseded {
    revisions: HashMap<Box<str>, SmallVec<[i64; 2]>>,
}

impl Superseded {
    /// Reads the pairs from `restatements`.
    pub(super) async fn read(
        state: &SessionState,
        restatements: Arc<dyn TableProvider>,
    ) -> Result<Self, DataFusionError> {
        let plan = LogicalPlanBuilder::scan("restatements", provider_as_source(restatements), None)?
            .project([
                cast(column("contact_id"), DataType::Utf8).alias("contact_id"),
                cast(column("old_revision"), DataType::Int64).alias("old_revision"),
            ])?
            .build()?;
        let plan = state.create_physical_plan(&plan).await?;
        let mut rows = datafusion::physical_plan::execute_stream(plan, state.task_ctx())?;
        let mut pairs = Self::default();
        while let Some(batch) = rows.try_next().await? {
            pairs.add(&batch)?;
        }
        Ok(pairs)
    }

    /// Adds the pairs of a batch of `restatements`.
    pub(super) fn add(&mut self, batch: &RecordBatch) -> Result<(), DataFusionError> {
        let missing = |name| DataFusionError::Internal(format!("`restatements` has no column `{name}`"));
        let contacts = batch.column_by_name("contact_id").and_then(|array| array.as_string_opt::<i32>());
        let contacts = contacts.ok_or_else(|| missing("contact_id"))?;
        let revisions =
            batch.column_by_name("old_revision").and_then(|array| array.as_primitive_opt::<Int64Type>());
        let revisions = revisions.ok_or_else(|| missing("old_revision"))?;
        for (contact, revision) in contacts.iter().zip(revisions) {
            if let (Some(contact), Some(revision)) = (contact, revision) {
                let known = self.revisions.entry(contact.into()).or_default();
                if !known.contains(&revision) {
                    known.push(revision);
                }
            }
        }
        Ok(())
    }

    fn is_empty(&self) -> bool {
        self.revisions.is_empty()
    }

    fn contains(&self, contact: &str, revision: i64) -> bool {
        self.revisions.get(contact).is_some_and(|revisions| revisions.contains(&revision))
    }
}

/// Tells for (contact_id, revision) whether a restatement has replaced the row.
#[derive(Debug)]
struct IsSuperseded {
    pairs: Arc<Superseded>,
    signature: Signature,
}

impl IsSuperseded {
    fn new(pairs: Arc<Superseded>) -> Self {
        let signature = Signature::exact(vec![DataType::Utf8, DataType::Int64], Volatility::Immutable);
        Self { pairs, signature }
    }
}

impl PartialEq for IsSuperseded {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.pairs, &other.pairs)
    }
}

impl Eq for IsSuperseded {}

impl Hash for IsSuperseded {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.pairs).hash(state);
    }
}

impl ScalarUDFImpl for IsSuperseded {
    fn name(&self) -> &str {
        "is_superseded"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType, DataFusionError> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue, DataFusionError> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        // A scan that filters while it reads may hand in text as its files hold it.
        let contacts = arrow::compute::cast(&arrays[0], &DataType::Utf8)?;
        let (contacts, revisions) = (contacts.as_string::<i32>(), arrays[1].as_primitive::<Int64Type>());
        let pairs = contacts.iter().zip(revisions);
        let superseded: BooleanArray = pairs
            .map(|pair| match pair {
                (Some(contact), Some(revision)) => Some(self.pairs.contains(contact, revision)),
                _ => Some(false),
            })
            .collect();
        debug_assert_eq!(superseded.len(), contacts.len());
        Ok(ColumnarValue::Array(Arc::new(superseded) as ArrayRef))
    }
}
