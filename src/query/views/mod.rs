//! The views: SQL over the base tables, with what each column means.
//!
//! Every figure of the catalogue comes from [`crate::kpi`]; other views are SQL text beside their columns' meaning, and a
//! test holds the two against each other.

mod agents;
mod customers;
mod kpi;
mod live;
mod load;
mod people;
mod plan;
mod score;
mod surges;
mod words;

use crate::time::Millis;

use super::Options;
use super::stretch::Stretch;
pub(super) use kpi::{summing, sums_schema};
pub use surges::surges_of_now;

/// The name under which a view over sums finds them; nobody else does.
pub(super) const SUMS: &str = "sums_of_dates";

/// One view.
#[derive(Debug, Clone)]
pub struct View {
    /// Its name in SQL.
    pub name: &'static str,
    /// What a row is.
    pub means: String,
    /// Its columns, in order.
    pub columns: Vec<ViewColumn>,
    /// The statement behind it. `{now}` stands for the present of the cut, `{since column}` and `{until column}` for the first
    /// and the last instant in the named column that somebody asks for.
    pub sql: String,
    /// The column by which it is asked for a stretch of time, where its statement names one.
    pub(super) asked_by: Option<&'static str>,
    /// The same where sums of whole dates stand for the rows of some.
    pub(super) over_sums: Option<String>,
}

/// One column of a view.
#[derive(Debug, Clone)]
pub struct ViewColumn {
    /// Its name in SQL.
    pub name: &'static str,
    /// What it is counted in; empty where it is not a number.
    pub unit: &'static str,
    /// What it means.
    pub means: String,
    /// How it is made from other columns of the view, where it is.
    pub formula: Option<String>,
}

impl View {
    /// The statement at the instant `now`, for all times.
    pub(super) fn sql_at(&self, now: Millis) -> String {
        self.sql_within(now, Stretch::ALL)
    }

    /// The statement at the instant `now`, for rows of a stretch of time.
    pub(super) fn sql_within(&self, now: Millis, stretch: Stretch) -> String {
        let sql = self.sql.replace("{now}", &instant(now));
        match self.asked_by {
            Some(column) => sql
                .replace(&format!("{{since {column}}}"), &instant(stretch.since))
                .replace(&format!("{{until {column}}}"), &instant(stretch.until)),
            None => sql,
        }
    }
}

/// An instant as SQL. A number and no text: it comes from us, but a number cannot be anything else.
fn instant(at: Millis) -> String {
    format!("arrow_cast({}, 'Timestamp(Microsecond, Some(\"UTC\"))')", at.saturating_mul(1_000))
}

/// Every view, in the order of the manual.
pub(super) fn all(options: &Options) -> Vec<View> {
    let mut views = kpi::views(options);
    let written = [
        agents::VIEWS,
        load::VIEWS,
        customers::VIEWS,
        plan::VIEWS,
        score::VIEWS,
        people::VIEWS,
        surges::VIEWS,
        live::VIEWS,
        words::VIEWS,
    ];
    for written in written {
        views.extend(written.iter().map(Written::view));
    }
    views
}

/// A view whose statement is written by hand.
struct Written {
    name: &'static str,
    means: &'static str,
    /// Name, unit and meaning of each column.
    columns: &'static [(&'static str, &'static str, &'static str)],
    sql: &'static str,
}

impl Written {
    fn view(&self) -> View {
        let columns = self.columns.iter().map(|&(name, unit, means)| ViewColumn {
            name,
            unit,
            means: means.to_owned(),
            formula: None,
        });
        View {
            name: self.name,
            means: self.means.to_owned(),
            columns: columns.collect(),
            sql: self.sql.to_owned(),
            asked_by: self.sql.split_once("{since ").and_then(|(_, rest)| Some(rest.split_once('}')?.0)),
            over_sums: None,
        }
    }
}
