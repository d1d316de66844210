//! What SQL would see: rows of the tables and open rows, each in its newest form.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use crate::facts::{RESTATEMENTS, TABLES, Table, Written};

/// The rows of each table as text, sorted.
pub(super) type Visible = BTreeMap<&'static str, Vec<String>>;

fn texts<'a>(batch: &'a RecordBatch, name: &str) -> &'a arrow::array::StringArray {
    batch.column_by_name(name).expect("a declared column").as_string::<i32>()
}

fn ints<'a>(batch: &'a RecordBatch, name: &str) -> &'a arrow::array::Int64Array {
    batch.column_by_name(name).expect("a declared column").as_primitive::<Int64Type>()
}

/// The rows of a batch, without the columns that are left out.
fn lines(table: &Table, batch: &RecordBatch, left_out: &str) -> Vec<String> {
    let options = FormatOptions::default();
    let columns: Vec<(&str, ArrayFormatter<'_>)> = table
        .columns
        .iter()
        .zip(batch.columns())
        .filter(|(column, _)| column.name != left_out)
        .map(|(column, array)| {
            (column.name, ArrayFormatter::try_new(array, &options).expect("a column can be shown"))
        })
        .collect();
    (0..batch.num_rows())
        .map(|row| columns.iter().map(|(_, column)| column.value(row).to_string() + "|").collect())
        .collect()
}

/// The key of each row.
fn keys(table: &Table, batch: &RecordBatch) -> Vec<String> {
    let options = FormatOptions::default();
    let columns: Vec<ArrayFormatter<'_>> = table
        .key
        .iter()
        .map(|name| {
            let array = batch.column_by_name(name).expect("a declared column");
            ArrayFormatter::try_new(array, &options).expect("a column can be shown")
        })
        .collect();
    (0..batch.num_rows())
        .map(|row| columns.iter().map(|column| column.value(row).to_string() + "/").collect())
        .collect()
}

/// What is seen of these rows. Panics where a row is there twice.
pub(super) fn visible(
    committed: &BTreeMap<&'static str, Vec<RecordBatch>>,
    open: &[(&'static Table, RecordBatch)],
) -> Visible {
    let none = Vec::new();
    let of = |table: &Table| {
        let committed = committed.get(table.name).unwrap_or(&none).iter().map(|batch| (batch, true));
        let open = open.iter().filter(|(other, _)| other.name == table.name).map(|(_, batch)| (batch, false));
        committed.chain(open).collect::<Vec<_>>()
    };
    let mut superseded: BTreeSet<(String, i64)> = BTreeSet::new();
    for (batch, _) in of(&RESTATEMENTS) {
        for (contact, revision) in texts(batch, "contact_id").iter().zip(ints(batch, "old_revision")) {
            superseded.insert((contact.unwrap_or_default().to_owned(), revision.unwrap_or(0)));
        }
    }
    let mut seen = Visible::new();
    for table in TABLES.iter().filter(|table| table.name != RESTATEMENTS.name) {
        let mut rows: Vec<String> = Vec::new();
        let mut newest: BTreeMap<String, (i64, String)> = BTreeMap::new();
        let mut once: BTreeSet<String> = BTreeSet::new();
        for (batch, is_committed) in of(table) {
            // The revision of an interval counts the agent's events when it was written; it only has to grow.
            let left_out = if table.name == "agent_states" { "revision" } else { "" };
            let all = lines(table, batch, left_out).into_iter().zip(keys(table, batch)).enumerate();
            for (at, (line, key)) in all {
                match table.written {
                    Written::Once => {
                        assert!(once.insert(key.clone()), "{}: `{key}` is there twice: {line}", table.name);
                        rows.push(line);
                    }
                    Written::PerContact => {
                        let contact = texts(batch, "contact_id").value(at).to_owned();
                        if is_committed && superseded.contains(&(contact, ints(batch, "revision").value(at)))
                        {
                            continue;
                        }
                        assert!(once.insert(key.clone()), "{}: `{key}` is there twice: {line}", table.name);
                        rows.push(line);
                    }
                    Written::Newest => {
                        let revision = ints(batch, "revision").value(at);
                        match newest.get(&key) {
                            Some((known, other)) if *known == revision => {
                                assert_eq!(
                                    *other, line,
                                    "{}: two rows of `{key}` under one revision",
                                    table.name
                                );
                            }
                            Some((known, _)) if *known > revision => {}
                            _ => drop(newest.insert(key, (revision, line))),
                        }
                    }
                }
            }
        }
        rows.extend(newest.into_values().map(|(_, line)| line));
        rows.sort_unstable();
        seen.insert(table.name, rows);
    }
    seen
}

/// The differences as text; empty where there are none.
pub(super) fn differences(want: &Visible, got: &Visible) -> String {
    let mut text = String::new();
    for (table, rows) in want {
        let none = Vec::new();
        let other = got.get(table).unwrap_or(&none);
        if rows == other {
            continue;
        }
        let count = |rows: &[String]| {
            let mut counts: BTreeMap<String, i64> = BTreeMap::new();
            rows.iter().for_each(|row| *counts.entry(row.clone()).or_default() += 1);
            counts
        };
        let (want, got) = (count(rows), count(other));
        for (row, n) in &want {
            let there = got.get(row).copied().unwrap_or(0);
            if there < *n {
                text.push_str(&format!("{table} lacks: {row}\n"));
            }
        }
        for (row, n) in &got {
            if want.get(row).copied().unwrap_or(0) < *n {
                text.push_str(&format!("{table} has too much: {row}\n"));
            }
        }
    }
    text
}

/// Only the rows that speak of this partition.
pub(super) fn of_partition(seen: &Visible, partition: i32) -> Visible {
    let mark = format!("p{partition}-");
    let place = format!("{}|{partition}|", super::records::TOPIC);
    let speaks = |table: &str, row: &str| match table {
        "events" | "rejects" => row.starts_with(&place),
        _ => row.contains(&mark),
    };
    let rows = seen.iter().map(|(table, rows)| {
        (*table, rows.iter().filter(|row| speaks(table, row)).cloned().collect::<Vec<_>>())
    });
    rows.collect()
}
