//! What the lake knows of its own rows, and sums of whole dates that stand for rows that no longer change: a figure over
//! years need not read every leg of these years.
//!
//! Invariant: sums stand for the rows of a date only while these are in the very files of which the sums were made, and the
//! very restatements name rows of that date. Where either has changed, the rows are read.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use chrono::{Datelike, NaiveDate};
use datafusion::catalog::TableProvider;
use datafusion::common::{Column, ScalarValue};
use datafusion::datasource::empty::EmptyTable;
use datafusion::datasource::{ViewTable, provider_as_source};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, lit};
use xxhash_rust::xxh3::xxh3_64;

use super::superseded::Superseded;
use super::{Error, views};
use crate::facts::{HANDLINGS, LEGS, PARTITION_COLUMN, Table};

/// By date (days since 1970-01-01; `None`: rows without one), a number that tells the files of its rows from any others.
pub type Dates = BTreeMap<Option<i32>, u64>;

/// What the lake knows of the committed rows of a cut, beyond handing them out.
#[async_trait]
pub trait History: std::fmt::Debug + Send + Sync {
    /// The dates that a table has rows of.
    async fn dates(&self, table: &'static Table) -> Result<Arc<Dates>, Error>;

    /// The sums that were made by this definition, with these columns; `None` where there are none.
    fn sums(&self, definition: u64, schema: &SchemaRef) -> Option<Sums>;
}

/// Sums of whole dates.
#[derive(Debug, Clone)]
pub struct Sums {
    /// The rows; their column `date` says what they stand for.
    pub rows: Arc<dyn TableProvider>,
    /// The dates, and of which rows the sums of each were made.
    pub dates: Arc<BTreeMap<i32, u64>>,
}

/// The sums of the dates of one month, to be kept in place of those that there are.
#[derive(Debug, Clone)]
pub struct Month {
    /// Its name, such as `2026-11`.
    pub name: String,
    /// The dates, and of which rows the sums of each were made.
    pub dates: BTreeMap<i32, u64>,
    /// The rows.
    pub rows: Vec<arrow::array::RecordBatch>,
}

/// How the figures of one cut are put together: which dates by their sums, and which by their rows.
#[derive(Debug, Clone)]
pub(super) struct Split {
    /// The sums that stand for rows.
    pub(super) sums: Arc<dyn TableProvider>,
    /// The dates of legs and of handlings whose rows are read.
    read: [Vec<Option<i32>>; 2],
}

/// A month with dates without sums that hold.
#[derive(Debug)]
pub(super) struct Unsummed {
    /// Its sums that hold, and the rows that are to be summed up.
    pub(super) split: Split,
    /// Its name.
    pub(super) name: String,
    /// Its dates, and of which rows the sums of each are to be made.
    pub(super) dates: BTreeMap<i32, u64>,
}

/// The tables that are summed up.
const SUMMED: [&Table; 2] = [&LEGS, &HANDLINGS];

/// What the committed legs and handlings are made of.
#[derive(Debug)]
pub(super) struct Made {
    of: [Arc<Dates>; 2],
    /// Of which rows the sums of each date would be made now.
    keys: BTreeMap<i32, u64>,
}

impl Made {
    pub(super) async fn of(history: &dyn History, superseded: &Superseded) -> Result<Self, Error> {
        let of = [history.dates(SUMMED[0]).await?, history.dates(SUMMED[1]).await?];
        let dates = of.iter().flat_map(|dates| dates.keys().copied().flatten());
        let key = |date: i32| {
            let mut bytes = [0; 24];
            let files = |at: usize| of[at].get(&Some(date)).copied().unwrap_or(0);
            for (part, number) in
                bytes.chunks_exact_mut(8).zip([files(0), files(1), superseded.of_date(date)])
            {
                part.copy_from_slice(&number.to_le_bytes());
            }
            (date, xxh3_64(&bytes))
        };
        let keys = dates.map(key).collect();
        Ok(Self { of, keys })
    }

    /// Which dates stand by these sums, and which are read; `None` where no sums hold.
    pub(super) fn split(&self, sums: &Sums) -> Result<Option<Split>, DataFusionError> {
        let holds = |date: &i32| self.keys.contains_key(date) && self.keys.get(date) == sums.dates.get(date);
        let held: Vec<Option<i32>> =
            sums.dates.keys().filter(|date| holds(date)).copied().map(Some).collect();
        if held.is_empty() {
            return Ok(None);
        }
        let read = |at: usize| -> Vec<Option<i32>> {
            let dates = self.of[at].keys().copied();
            dates.filter(|date| date.is_none_or(|date| !holds(&date))).collect()
        };
        let rows = match held.len() == sums.dates.len() {
            true => Arc::clone(&sums.rows),
            false => only(&sums.rows, &held)?,
        };
        Ok(Some(Split { sums: rows, read: [read(0), read(1)] }))
    }

    /// The newest month before the date `before` that has dates without sums that hold.
    pub(super) fn due(
        &self,
        sums: Option<&Sums>,
        schema: &SchemaRef,
        before: i32,
    ) -> Result<Option<Unsummed>, DataFusionError> {
        let holds = |date: &i32, key: &u64| sums.is_some_and(|sums| sums.dates.get(date) == Some(key));
        let past = || self.keys.range(..before);
        let Some((newest, _)) = past().rfind(|(date, key)| !holds(date, key)) else { return Ok(None) };
        let name = month(*newest);
        let dates: BTreeMap<i32, u64> =
            past().filter(|(date, _)| month(**date) == name).map(|(date, key)| (*date, *key)).collect();
        let (held, read): (Vec<_>, Vec<_>) = dates.iter().partition(|(date, key)| holds(date, key));
        let listed =
            |dates: Vec<(&i32, &u64)>| dates.into_iter().map(|(date, _)| Some(*date)).collect::<Vec<_>>();
        let (held, read) = (listed(held), listed(read));
        let rows: Arc<dyn TableProvider> = match sums {
            Some(sums) if !held.is_empty() => only(&sums.rows, &held)?,
            _ => Arc::new(EmptyTable::new(Arc::clone(schema))),
        };
        Ok(Some(Unsummed { split: Split { sums: rows, read: [read.clone(), read] }, name, dates }))
    }
}

impl Split {
    /// The committed rows of `table` that are to be read; `None` where the sums stand for all of them.
    pub(super) fn rest(
        &self,
        table: &Table,
        committed: Option<&Arc<dyn TableProvider>>,
    ) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        let (Some(committed), Some(at)) =
            (committed, SUMMED.iter().position(|summed| summed.name == table.name))
        else {
            return Ok(committed.cloned());
        };
        match self.read[at].is_empty() {
            true => Ok(None),
            false => only(committed, &self.read[at]).map(Some),
        }
    }
}

/// The definition of the sums: another one makes others of the same rows.
pub(super) fn definition() -> u64 {
    xxh3_64(views::summing().as_bytes())
}

/// The rows of these dates.
pub(super) fn only(
    rows: &Arc<dyn TableProvider>,
    dates: &[Option<i32>],
) -> Result<Arc<dyn TableProvider>, DataFusionError> {
    let columns: Vec<Expr> = rows.schema().fields().iter().map(|field| column(field.name())).collect();
    let plan = LogicalPlanBuilder::scan("rows", provider_as_source(Arc::clone(rows)), None)?
        .filter(among(dates))?
        .project(columns)?
        .build()?;
    Ok(Arc::new(ViewTable::new(plan, None)))
}

/// Whether a row is of one of these ascending dates; by stretches, so that a scan need not compare each of them.
fn among(dates: &[Option<i32>]) -> Expr {
    let date = || column(PARTITION_COLUMN);
    let day = |date: i32| lit(ScalarValue::Date32(Some(date)));
    let mut stretches: Vec<(i32, i32)> = Vec::new();
    for date in dates.iter().copied().flatten() {
        match stretches.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(date) => *last = date,
            _ => stretches.push((date, date)),
        }
    }
    let stretch = |(first, last): (i32, i32)| match first == last {
        true => date().eq(day(first)),
        false => date().gt_eq(day(first)).and(date().lt_eq(day(last))),
    };
    let without = dates.contains(&None).then(|| date().is_null());
    without
        .into_iter()
        .chain(stretches.into_iter().map(stretch))
        .reduce(Expr::or)
        .unwrap_or_else(|| lit(false))
}

/// The month of a date, such as `2026-11`.
fn month(date: i32) -> String {
    let date = NaiveDate::default().checked_add_signed(chrono::Duration::days(i64::from(date)));
    let date = date.unwrap_or_default();
    format!("{:04}-{:02}", date.year(), date.month())
}

/// A column by its very name, whatever its letters.
fn column(name: &str) -> Expr {
    Expr::Column(Column::new_unqualified(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_looked_for_by_stretches() {
        let dates = [None, Some(1), Some(2), Some(3), Some(7)];
        assert_eq!(
            among(&dates).to_string(),
            "date IS NULL OR date >= Date32(\"1970-01-02\") AND date <= Date32(\"1970-01-04\") OR date = Date32(\"1970-01-08\")"
        );
        assert_eq!(among(&[]), lit(false));
    }

    #[test]
    fn months_have_names() {
        assert_eq!(
            (month(0), month(20_787), month(i32::MAX)),
            ("1970-01".into(), "2026-11".into(), "1970-01".into())
        );
    }
}
