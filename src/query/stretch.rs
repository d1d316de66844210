//! Views of which a row hangs on rows of other times: whether a customer came back lies in the month after.
//!
//! Such a view says in its statement how far it looks from the stretch of time that is asked for (`{since …}`, `{until …}`; see
//! [`View::asked_by`]). A question about last month then reads last month and what belongs to it, not all years, and one about
//! all years is answered piece by piece, so that it takes the memory of a piece.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::ScalarValue;
use datafusion::datasource::TableType;
use datafusion::error::DataFusionError;
use datafusion::execution::session_state::SessionState;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::expr::{Between, BinaryExpr};
use datafusion::logical_expr::{
    Expr, LogicalPlan, LogicalPlanBuilder, Operator, TableProviderFilterPushDown, lit,
};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use futures::{StreamExt, TryStreamExt, stream};

use super::fence::{asked, may_move, sealed};
use super::views::View;
use crate::time::{DAY, Millis, TIME_MAX};

/// A longer stretch is worked through in pieces of so many days. Each reads as much again as the view looks beyond it.
const PIECE_DAYS: i32 = 61;

/// A view that is read by the stretch of time that is asked for.
#[derive(Debug)]
pub(super) struct Stretched {
    schema: SchemaRef,
    whole: Whole,
    /// For all times, at once.
    all: LogicalPlan,
    /// Where pieces begin, but the first.
    cuts: Vec<Millis>,
}

/// What every piece is made of.
#[derive(Debug, Clone)]
struct Whole {
    view: View,
    column: &'static str,
    now: Millis,
    /// Plans the statement; knows the tables behind it.
    state: SessionState,
}

/// A stretch of time: the first instant of it, and the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) since: Millis,
    pub(super) until: Millis,
}

impl Stretch {
    /// All times that events may have.
    pub(super) const ALL: Stretch = Stretch { since: 0, until: TIME_MAX };

    /// What of it a filter leaves at most.
    fn within(mut self, filter: &Expr, column: &str) -> Stretch {
        let is_it = |expr: &Expr| matches!(expr, Expr::Column(named) if named.name == column);
        match filter {
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
                return self.within(left, column).within(right, column);
            }
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
                let (op, at) = match (is_it(left), is_it(right)) {
                    (true, false) => (Some(*op), instant(right)),
                    (false, true) => (op.swap(), instant(left)),
                    _ => return self,
                };
                let Some((floor, ceiling)) = at else { return self };
                if matches!(op, Some(Operator::Eq | Operator::Gt | Operator::GtEq)) {
                    self.since = self.since.max(floor);
                }
                if matches!(op, Some(Operator::Eq | Operator::Lt | Operator::LtEq)) {
                    self.until = self.until.min(ceiling);
                }
            }
            Expr::Between(Between { expr, negated: false, low, high }) if is_it(expr) => {
                self.since = instant(low).map_or(self.since, |(floor, _)| self.since.max(floor));
                self.until = instant(high).map_or(self.until, |(_, ceiling)| self.until.min(ceiling));
            }
            _ => {}
        }
        self
    }

    /// Its pieces, in order and without gap.
    fn pieces(self, cuts: &[Millis]) -> Vec<Stretch> {
        let inside = cuts.iter().copied().filter(|cut| self.since < *cut && *cut <= self.until);
        let starts: Vec<Millis> = std::iter::once(self.since).chain(inside).collect();
        let ends = starts[1..].iter().map(|next| next - 1).chain([self.until]);
        starts.iter().zip(ends).map(|(since, until)| Stretch { since: *since, until }).collect()
    }
}

/// Where pieces begin, for rows of these dates in order. Where a clock was wrong, centuries without a row lie between two dates: they
/// make no pieces.
fn cuts(dates: impl Iterator<Item = i32>) -> Vec<Millis> {
    let mut begun: Option<i32> = None;
    let begins = |date: &i32| {
        let first = begun.get_or_insert(*date);
        let begins = date.saturating_sub(*first) >= PIECE_DAYS;
        if begins {
            *first = *date;
        }
        begins
    };
    dates.filter(begins).map(|date| i64::from(date).saturating_mul(DAY)).collect()
}

/// The whole milliseconds around a constant instant.
fn instant(expr: &Expr) -> Option<(Millis, Millis)> {
    let Expr::Literal(value, _) = expr else { return None };
    let value = value.cast_to(&DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))).ok()?;
    let ScalarValue::TimestampMicrosecond(Some(micros), _) = value else { return None };
    let floor = micros.div_euclid(1000);
    Some((floor, if micros % 1000 == 0 { floor } else { floor + 1 }))
}

impl Whole {
    /// What the statement gives for a stretch: its rows, and some beyond it.
    async fn around(&self, stretch: Stretch) -> Result<LogicalPlan, DataFusionError> {
        self.state.create_logical_plan(&self.view.sql_within(self.now, stretch)).await
    }

    /// The rows of one piece.
    async fn piece(&self, piece: Stretch) -> Result<LogicalPlan, DataFusionError> {
        let plan = LogicalPlanBuilder::from(self.around(piece).await?);
        let at = |ms: Millis| {
            lit(ScalarValue::TimestampMicrosecond(Some(ms.saturating_mul(1000)), Some("UTC".into())))
        };
        let column = || Expr::Column(self.column.into());
        plan.filter(column().gt_eq(at(piece.since)).and(column().lt(at(piece.until.saturating_add(1)))))?
            .build()
    }
}

impl Stretched {
    /// The view, whose statement is asked by a column. `state` plans it; there are committed rows of these dates, in order.
    pub(super) async fn new(
        (view, column): (&View, &'static str),
        now: Millis,
        state: SessionState,
        dates: impl Iterator<Item = i32>,
    ) -> Result<Stretched, DataFusionError> {
        let whole = Whole { view: view.clone(), column, now, state };
        let all = whole.around(Stretch::ALL).await?;
        // A piece may tell of a column that it is never NULL where another does not.
        let fields = all.schema().fields().iter().map(|field| Field::clone(field).with_nullable(true));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        Ok(Stretched { schema, whole, all, cuts: cuts(dates) })
    }
}

#[async_trait]
impl TableProvider for Stretched {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    fn get_table_definition(&self) -> Option<&str> {
        Some(&self.whole.view.sql)
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>, DataFusionError> {
        let answer = |filter: &&Expr| match may_move(filter)? {
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
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
        let stretch =
            filters.iter().fold(Stretch::ALL, |stretch, filter| stretch.within(filter, self.whole.column));
        let pieces = stretch.pieces(&self.cuts);
        if pieces.len() == 1 {
            let plan = match stretch {
                Stretch::ALL => self.all.clone(),
                stretch => self.whole.around(stretch).await?,
            };
            let plan = session.create_physical_plan(&asked(plan, projection, filters, limit)?).await?;
            return Ok(sealed(plan, "Stretch: a view over the time that is asked for"));
        }
        // What the statement knows of its moment holds in every piece.
        let state = session.as_any().downcast_ref::<SessionState>().unwrap_or(&self.whole.state).clone();
        let schema = match projection {
            Some(projection) => Arc::new(self.schema.project(projection)?),
            None => Arc::clone(&self.schema),
        };
        let pieces = InTurn {
            schema: Arc::clone(&schema),
            whole: self.whole.clone(),
            state,
            pieces,
            projection: projection.cloned(),
            filters: filters.to_vec(),
            limit,
        };
        Ok(Arc::new(StreamingTableExec::try_new(schema, vec![Arc::new(pieces)], None, [], false, limit)?))
    }
}

/// The pieces of a stretch, one after the other.
#[derive(Clone)]
struct InTurn {
    schema: SchemaRef,
    whole: Whole,
    state: SessionState,
    pieces: Vec<Stretch>,
    projection: Option<Vec<usize>>,
    filters: Vec<Expr>,
    limit: Option<usize>,
}

impl fmt::Debug for InTurn {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} in {} pieces", self.whole.view.name, self.pieces.len())
    }
}

impl InTurn {
    async fn rows(
        &self,
        piece: Stretch,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream, DataFusionError> {
        let plan = self.whole.piece(piece).await?;
        let plan = asked(plan, self.projection.as_ref(), &self.filters, self.limit)?;
        execute_stream(self.state.create_physical_plan(&plan).await?, context)
    }
}

impl PartitionStream for InTurn {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let whole = Arc::new(self.clone());
        let schema = Arc::clone(&self.schema);
        let rows = stream::iter(self.pieces.clone())
            .then(move |piece| {
                let (whole, context) = (Arc::clone(&whole), Arc::clone(&context));
                async move { whole.rows(piece, context).await }
            })
            .try_flatten()
            .map(move |batch| Ok(batch?.with_schema(Arc::clone(&schema))?));
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), rows))
    }
}

#[cfg(test)]
mod tests {
    use datafusion::logical_expr::col;

    use super::*;

    fn at(ms: Millis) -> Expr {
        lit(ScalarValue::TimestampMicrosecond(Some(ms * 1000), Some("UTC".into())))
    }

    #[test]
    fn a_filter_leaves_a_stretch() {
        let left = |filter: Expr| Stretch::ALL.within(&filter, "day");
        assert_eq!(left(col("day").gt_eq(at(5)).and(at(9).gt(col("v.day")))), Stretch { since: 5, until: 9 });
        assert_eq!(left(col("day").eq(at(5))), Stretch { since: 5, until: 5 });
        assert_eq!(left(col("day").between(at(5), at(6))), Stretch { since: 5, until: 6 });
        // What says nothing of the column, or not in every case, leaves all of it.
        for nothing in [
            col("other").eq(at(5)),
            col("day").eq(at(5)).or(col("other").eq(at(5))),
            col("day").not_eq(at(5)),
            col("day").not_between(at(5), at(6)),
            col("day").gt_eq(col("other")),
        ] {
            assert_eq!(left(nothing), Stretch::ALL);
        }
    }

    #[test]
    fn pieces_have_no_gap() {
        let cuts = cuts(100..400);
        for stretch in [Stretch::ALL, Stretch { since: 150 * DAY, until: 350 * DAY + 1 }] {
            let pieces = stretch.pieces(&cuts);
            assert!(pieces.len() > 2);
            assert_eq!((pieces[0].since, pieces[pieces.len() - 1].until), (stretch.since, stretch.until));
            assert!(pieces.windows(2).all(|two| two[0].until + 1 == two[1].since));
        }
        let short = Stretch { since: 170 * DAY, until: 200 * DAY };
        assert_eq!(short.pieces(&cuts), [short]);
        // A stretch of no time is asked for too.
        let none = Stretch { since: 300 * DAY, until: 200 * DAY };
        assert_eq!(none.pieces(&cuts), [none]);
    }

    #[test]
    fn a_clock_that_was_wrong_makes_no_pieces_of_years_without_rows() {
        let year_9999 = 2_932_000;
        assert_eq!(cuts([0, 20_000, 20_001, year_9999].into_iter()).len(), 2);
        assert_eq!(cuts(std::iter::empty()), Vec::<Millis>::new());
        assert_eq!(cuts([i32::MIN, i32::MAX].into_iter()).len(), 1);
    }
}
