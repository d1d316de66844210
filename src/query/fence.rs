//! A fence around the rows that somebody may see.
//!
//! A filter of a statement that runs together with the filter of the rights sees rows that are not the reader's, and tells
//! of them by its errors (`1 / (amount - 7)`) even where it hands none out. So what is inside the fence is a plan of its
//! own, of which nothing shows: no filter, no statistics, no node in EXPLAIN. Comparisons of a column with a constant
//! cannot fail, whatever they compare; they are let in, so that a scan still skips what nobody asks for.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Column;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::datasource::TableType;
use datafusion::error::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::expr::{Between, BinaryExpr, InList};
use datafusion::logical_expr::{
    Expr, LogicalPlan, LogicalPlanBuilder, Operator, TableProviderFilterPushDown,
};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties,
    Partitioning, PlanProperties, ReplaceChildrenOptions,
};

/// The rows that somebody may see of a table.
#[derive(Debug)]
pub(super) struct Fenced {
    schema: SchemaRef,
    inside: LogicalPlan,
}

impl Fenced {
    pub(super) fn new(inside: LogicalPlan) -> Self {
        Self { schema: Arc::clone(inside.schema().inner()), inside }
    }
}

#[async_trait]
impl TableProvider for Fenced {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>, DataFusionError> {
        let answer = |filter: &&Expr| match cannot_fail(filter) {
            true => TableProviderFilterPushDown::Exact,
            false => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(answer).collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
        let plan = asked(self.inside.clone(), projection, filters, limit)?;
        Ok(sealed(state.create_physical_plan(&plan).await?, "Fence: the rows that you may see"))
    }
}

/// Whether a filter tells the same of a row wherever it is worked, and asks nothing else.
pub(super) fn may_move(filter: &Expr) -> Result<bool, DataFusionError> {
    let asks =
        |expr: &Expr| Ok(matches!(expr, Expr::ScalarSubquery(_) | Expr::Exists(_) | Expr::InSubquery(_)));
    Ok(!filter.is_volatile() && !filter.exists(asks)?)
}

/// What a scan asks for of a plan.
pub(super) fn asked(
    inside: LogicalPlan,
    projection: Option<&Vec<usize>>,
    filters: &[Expr],
    limit: Option<usize>,
) -> Result<LogicalPlan, DataFusionError> {
    let schema = Arc::clone(inside.schema());
    let mut plan = LogicalPlanBuilder::from(inside);
    for filter in filters {
        plan = plan.filter(inside_names(filter.clone())?)?;
    }
    if let Some(projection) = projection {
        let columns = projection.iter().map(|at| Expr::Column(Column::from(schema.qualified_field(*at))));
        plan = plan.project(columns.collect::<Vec<_>>())?;
    }
    plan.limit(0, limit)?.build()
}

/// The filter with columns by their bare names: outside, the table may have another name.
fn inside_names(filter: Expr) -> Result<Expr, DataFusionError> {
    let renamed = filter.transform(|expr| match expr {
        Expr::Column(column) => Ok(Transformed::yes(Expr::Column(Column::new_unqualified(column.name)))),
        other => Ok(Transformed::no(other)),
    })?;
    Ok(renamed.data)
}

/// Whether a filter compares columns with constants only, which cannot fail on any row.
fn cannot_fail(filter: &Expr) -> bool {
    let leaf = |expr: &Expr| matches!(expr, Expr::Column(_) | Expr::Literal(..));
    match filter {
        Expr::Literal(..) | Expr::Column(_) => true,
        Expr::Not(inner) => cannot_fail(inner),
        Expr::IsNull(inner)
        | Expr::IsNotNull(inner)
        | Expr::IsTrue(inner)
        | Expr::IsFalse(inner)
        | Expr::IsNotTrue(inner)
        | Expr::IsNotFalse(inner) => cannot_fail(inner),
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And | Operator::Or, right }) => {
            cannot_fail(left) && cannot_fail(right)
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let compares = matches!(
                op,
                Operator::Eq
                    | Operator::NotEq
                    | Operator::Lt
                    | Operator::LtEq
                    | Operator::Gt
                    | Operator::GtEq
                    | Operator::IsDistinctFrom
                    | Operator::IsNotDistinctFrom
            );
            compares && leaf(left) && leaf(right)
        }
        Expr::Between(Between { expr, low, high, .. }) => leaf(expr) && leaf(low) && leaf(high),
        Expr::InList(InList { expr, list, .. }) => leaf(expr) && list.iter().all(leaf),
        _ => false,
    }
}

/// The plan as a leaf of which nothing shows but what it is called. A plan that was made inside of another one has been through every
/// rule of the optimizer already, and some of them cannot be worked twice.
pub(super) fn sealed(inside: Arc<dyn ExecutionPlan>, called: &'static str) -> Arc<dyn ExecutionPlan> {
    Arc::new(Fence::new(inside, called))
}

/// Runs the plan inside; from outside it is a leaf.
#[derive(Debug)]
struct Fence {
    inside: Arc<dyn ExecutionPlan>,
    called: &'static str,
    properties: Arc<PlanProperties>,
}

impl Fence {
    fn new(inside: Arc<dyn ExecutionPlan>, called: &'static str) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(inside.schema()),
            Partitioning::UnknownPartitioning(inside.output_partitioning().partition_count()),
            inside.pipeline_behavior(),
            inside.boundedness(),
        );
        Self { inside, called, properties: Arc::new(properties) }
    }
}

impl DisplayAs for Fence {
    fn fmt_as(&self, _: DisplayFormatType, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.called)
    }
}

impl ExecutionPlan for Fence {
    fn name(&self) -> &'static str {
        "Fence"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion, DataFusionError>,
    ) -> Result<TreeNodeRecursion, DataFusionError> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
        Ok(self)
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream, DataFusionError> {
        self.inside.execute(partition, context)
    }
}

#[cfg(test)]
mod tests {
    use datafusion::logical_expr::{cast, col, lit};

    use super::*;

    #[test]
    fn only_what_cannot_fail_is_let_in() {
        let fine = [
            col("a").eq(lit(1)),
            lit(1).lt(col("a")).and(col("b").is_null()),
            col("a").in_list(vec![lit(1), lit(2)], false),
            col("a").between(lit(1), lit(2)),
            Expr::Not(Box::new(col("a").eq(lit(1)))),
        ];
        assert!(fine.iter().all(cannot_fail));
        let not_fine = [
            (lit(1) / col("a")).eq(lit(1)),
            cast(col("a"), arrow::datatypes::DataType::Int64).eq(lit(1)),
            col("a").eq(lit(1)).or((lit(1) / col("a")).eq(lit(1))),
            col("a").in_list(vec![lit(1) / col("b")], false),
            col("a").like(lit("%\\")),
        ];
        assert!(!not_fine.iter().any(cannot_fail));
    }
}
