//! Rows in memory from one instance to another: a line of JSON for each task, and the Arrow stream of each of its tables.

use std::io::Cursor;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::app::task::Beyond;
use crate::app::worker::{TaskBeyond, TaskRows};
use crate::facts;
use crate::ingest::Place;
use crate::lake::Positions;
use crate::time::Millis;

/// What is asked: the present, and the positions of the asker's tables as (table, topic, partition, position).
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    now: Millis,
    stored: Vec<(String, String, i32, i64)>,
}

/// What is said of one task, before its tables.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    task: String,
    places: Vec<(String, i32, i64)>,
    state: State,
    /// The tables that follow, each with the bytes of its stream and their hash: Arrow's reader may not be given damaged ones.
    tables: Vec<(String, usize, u64)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Rows,
    Behind,
    Replays,
}

/// The question as bytes.
pub(super) fn question(now: Millis, stored: &Positions) -> Vec<u8> {
    let stored = stored
        .iter()
        .map(|(table, topic, partition, position)| (table.to_owned(), topic.to_owned(), partition, position));
    serde_json::to_vec(&Question { now, stored: stored.collect() }).expect("plain data")
}

/// Reads a question.
///
/// # Errors
/// What is wrong with it.
pub(in crate::app) fn read_question(bytes: &[u8]) -> Result<(Millis, Positions), String> {
    let question: Question = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let mut positions = Positions::default();
    for (table, topic, partition, position) in question.stored {
        // A table of another release has rows that nobody here could show.
        if let Some(table) = facts::table(&table) {
            positions.insert(table.name, topic.into(), partition, position);
        }
    }
    Ok((question.now, positions))
}

/// The answer as bytes.
///
/// # Errors
/// Arrow's words.
pub(in crate::app) fn answer(tasks: Vec<TaskBeyond>) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    for TaskBeyond { task, places, rows } in tasks {
        let (state, rows) = match rows {
            Beyond::Rows(rows) => (State::Rows, rows),
            Beyond::Behind => (State::Behind, Vec::new()),
            Beyond::Replays => (State::Replays, Vec::new()),
        };
        let mut streams = Vec::with_capacity(rows.len());
        for (table, batch) in rows.iter().filter(|(_, batch)| batch.num_rows() > 0) {
            streams.push((table.name.to_owned(), stream(batch).map_err(|error| error.to_string())?));
        }
        let places =
            places.into_iter().map(|((topic, partition), next)| (topic.to_string(), partition, next));
        let tables = streams.iter().map(|(name, stream)| (name.clone(), stream.len(), xxh3_64(stream)));
        let head = Head { task, places: places.collect(), state, tables: tables.collect() };
        serde_json::to_writer(&mut bytes, &head).map_err(|error| error.to_string())?;
        bytes.push(b'\n');
        streams.into_iter().for_each(|(_, stream)| bytes.extend(stream));
    }
    Ok(bytes)
}

fn stream(batch: &RecordBatch) -> Result<Vec<u8>, arrow::error::ArrowError> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema())?;
    writer.write(batch)?;
    writer.into_inner()
}

/// Reads an answer.
///
/// # Errors
/// What is wrong with it, as where the instance is of another release.
pub(super) fn read_answer(mut bytes: &[u8]) -> Result<Vec<TaskBeyond>, String> {
    let mut tasks = Vec::new();
    while !bytes.is_empty() {
        let at = bytes.iter().position(|byte| *byte == b'\n').ok_or("the answer is cut off")?;
        let head: Head = serde_json::from_slice(&bytes[..at]).map_err(|error| error.to_string())?;
        bytes = &bytes[at + 1..];
        let mut rows: TaskRows = Vec::new();
        for (name, length, hash) in head.tables {
            let (stream, rest) = bytes.split_at_checked(length).ok_or("the answer is cut off")?;
            if xxh3_64(stream) != hash {
                return Err(format!("the rows of table `{name}` were damaged on their way"));
            }
            bytes = rest;
            let table = facts::table(&name).ok_or_else(|| format!("there is no table `{name}`"))?;
            for batch in
                StreamReader::try_new(Cursor::new(stream), None).map_err(|error| error.to_string())?
            {
                let batch = batch.map_err(|error| error.to_string())?;
                if batch.schema().fields() != table.schema().fields() {
                    return Err(format!("its table `{name}` has other columns: it is of another release"));
                }
                rows.push((table, batch));
            }
        }
        let rows = match head.state {
            State::Rows => Beyond::Rows(rows),
            State::Behind => Beyond::Behind,
            State::Replays => Beyond::Replays,
        };
        let place = |(topic, partition, next): (String, i32, i64)| -> (Place, i64) {
            ((Arc::from(topic), partition), next)
        };
        tasks.push(TaskBeyond {
            task: head.task,
            places: head.places.into_iter().map(place).collect(),
            rows,
        });
    }
    Ok(tasks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Facts, RejectRow};

    fn tasks() -> Vec<TaskBeyond> {
        let mut rows = Facts::default();
        for offset in 0..3 {
            let row = RejectRow {
                topic: Some("calls"),
                offset: Some(offset),
                detail: Some("电话"),
                ..RejectRow::default()
            };
            rows.rejects.push(&row);
        }
        let place = |number| (("calls".into(), number), 17);
        vec![
            TaskBeyond {
                task: "calls-0".to_owned(),
                places: vec![place(0)],
                rows: Beyond::Rows(rows.finish()),
            },
            TaskBeyond { task: "calls-1".to_owned(), places: vec![place(1)], rows: Beyond::Behind },
        ]
    }

    #[test]
    fn an_answer_comes_back_and_damage_is_told() {
        let bytes = answer(tasks()).expect("an answer");
        let read = read_answer(&bytes).expect("it is whole");
        assert_eq!((read.len(), &*read[0].task, read[0].places[0].1), (2, "calls-0", 17));
        let (Beyond::Rows(got), Beyond::Rows(want)) = (&read[0].rows, &tasks()[0].rows) else {
            panic!("{read:?}")
        };
        assert_eq!(got[0].1, want[0].1);
        assert!(matches!(read[1].rows, Beyond::Behind));
        for length in 1..bytes.len() {
            // A cut between two tasks is a shorter answer: the partition of the second is then missing, and named.
            if let Ok(read) = read_answer(&bytes[..length]) {
                assert_eq!(read.len(), 1, "cut at {length}");
            }
        }
        for at in 0..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[at] ^= 0x15;
            drop(read_answer(&bytes));
        }
    }

    #[test]
    fn a_question_comes_back() {
        let mut stored = Positions::default();
        stored.insert("legs", "calls".into(), 3, 44);
        let (now, read) = read_question(&question(5, &stored)).expect("a question");
        assert_eq!((now, read), (5, stored));
        assert!(read_question(b"{}").is_err());
    }
}
