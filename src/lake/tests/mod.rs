//! The lake against real directories: every promise of the room, and how long an append takes.

mod appends;
mod cuts;
pub(crate) mod light;
mod maintenance;
mod snapshots;
mod sums;

use std::sync::Arc;

use arrow::array::RecordBatch;
use deltalake::datafusion::prelude::SessionContext;
use tempfile::TempDir;

use super::*;
use crate::facts::{CONTACTS, ContactRow, ContactRows, Facts, LegRow, RestatementRow, Table};

const DAY: i32 = 20_778; // 2026-11-21

pub(super) fn options(dir: &TempDir) -> Options {
    Options::new(dir.path().join("data").to_str().expect("a path of this test is text"), "Asia/Shanghai", 30)
}

pub(super) async fn lake(dir: &TempDir) -> Lake {
    Lake::open(options(dir)).await.expect("an empty directory becomes a lake")
}

/// Contacts `from..to` of one date.
pub(super) fn contacts(from: i64, to: i64, date: i32) -> RecordBatch {
    let mut rows = ContactRows::default();
    for i in from..to {
        let id = format!("c{i:08}");
        rows.push(&ContactRow {
            contact_id: Some(&id),
            channel: Some("voice"),
            started_at: Some(i64::from(date) * 86_400_000 + i),
            legs: Some(i),
            resolved: (i % 2 == 0).then_some(true),
            sentiment_customer: Some(i as f64 / 8.0),
            revision: Some(1),
            date: Some(date),
            ..ContactRow::default()
        });
    }
    rows.finish()
}

pub(super) fn range(partition: i32, from: i64, to: i64) -> Range {
    Range { topic: "events".to_owned(), partition, from, to }
}

pub(super) fn append(partition: i32, from: i64, to: i64) -> Append {
    Append {
        tables: vec![(&CONTACTS, vec![contacts(from, to, DAY)])],
        ranges: vec![range(partition, from, to)],
    }
}

/// What SQL sees of a view, as lines.
pub(super) async fn sql(version: &Version, query: &str) -> Vec<String> {
    let batches = run(version, query).await;
    let text = arrow::util::pretty::pretty_format_batches(&batches).expect("rows print").to_string();
    let lines = text.lines().filter(|line| line.starts_with('|')).skip(1);
    lines.map(|line| line.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>().join(",")).collect()
}

pub(super) async fn run(version: &Version, query: &str) -> Vec<RecordBatch> {
    let context = SessionContext::new();
    for table in TABLES {
        if let Some(provider) = version.provider(table.name) {
            context.register_table(table.name, provider).expect("each table has its own name");
        }
    }
    let frame = context.sql(query).await.expect("the query is right");
    frame.collect().await.expect("the query runs")
}

pub(super) async fn count(version: &Version) -> i64 {
    match version.provider("contacts") {
        None => 0,
        Some(_) => {
            sql(version, "select count(*) from contacts").await[0].parse().expect("a count is a number")
        }
    }
}

/// Some rows of every table, as a flush of a small centre makes them.
pub(super) fn small_flush(from: i64, rows: i64) -> Vec<(&'static Table, Vec<RecordBatch>)> {
    let mut facts = Facts::default();
    for i in from..from + rows {
        let id = format!("c{i:08}");
        facts.legs.push(&LegRow { contact_id: Some(&id), date: Some(DAY), ..LegRow::default() });
        facts.restatements.push(&RestatementRow {
            contact_id: Some(&id),
            date: Some(DAY),
            ..RestatementRow::default()
        });
    }
    let mut made: Vec<_> = facts.finish().into_iter().map(|(table, batch)| (table, vec![batch])).collect();
    made.push((&CONTACTS, vec![contacts(from, from + rows, DAY)]));
    for table in TABLES {
        if !made.iter().any(|(other, _)| other.name == table.name) {
            let columns = table.columns.iter().map(|column| match column.name {
                crate::facts::PARTITION_COLUMN => {
                    Arc::new(arrow::array::Date32Array::from(vec![DAY; rows as usize]))
                        as arrow::array::ArrayRef
                }
                _ => arrow::array::new_null_array(&column.kind.data_type(), rows as usize),
            });
            let batch = RecordBatch::try_new(table.schema(), columns.collect()).expect("columns as declared");
            made.push((table, vec![batch]));
        }
    }
    made
}
