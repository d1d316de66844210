//! Sums of whole dates: kept by month, seen by others, thrown away without harm.

use std::collections::BTreeMap;

use arrow::array::{Date32Array, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};

use super::*;

fn schema() -> Arc<Schema> {
    let column = |name: &str, kind| Field::new(name, kind, true);
    Arc::new(Schema::new(vec![column("date", DataType::Date32), column("offered", DataType::Int64)]))
}

fn rows(date: i32, offered: i64) -> Vec<RecordBatch> {
    let columns: [arrow::array::ArrayRef; 2] =
        [Arc::new(Date32Array::from(vec![date])), Arc::new(Int64Array::from(vec![offered]))];
    vec![RecordBatch::try_new(schema(), columns.into()).expect("columns as declared")]
}

async fn offered(lake: &Lake, definition: u64) -> Option<(Vec<String>, BTreeMap<i32, u64>)> {
    let (provider, dates) = lake.sums(definition, &schema())?;
    let context = SessionContext::new();
    context.register_table("sums", provider).expect("registered");
    let frame = context.sql("select offered from sums order by 1").await.expect("the query is right");
    let batches = frame.collect().await.expect("the query runs");
    let text = arrow::util::pretty::pretty_format_batches(&batches).expect("rows print").to_string();
    let lines = text.lines().filter(|line| line.starts_with('|')).skip(1);
    Some((lines.map(|line| line.trim_matches(['|', ' ']).to_owned()).collect(), dates))
}

fn parquet_files(dir: &TempDir) -> usize {
    let files = std::fs::read_dir(dir.path().join("data/_sums")).expect("a folder").flatten();
    files.filter(|file| file.file_name().to_string_lossy().ends_with(".parquet")).count()
}

#[tokio::test]
async fn a_month_takes_the_place_of_what_it_was_and_others_see_it() {
    let dir = TempDir::new().expect("a directory");
    let first = lake(&dir).await;
    assert_eq!(offered(&first, 1).await, None);
    first.keep_sums(1, "2026-10", BTreeMap::from([(DAY - 30, 7)]), rows(DAY - 30, 10)).await.expect("kept");
    first.keep_sums(1, "2026-11", BTreeMap::from([(DAY, 8)]), rows(DAY, 20)).await.expect("kept");
    first.keep_sums(1, "2026-11", BTreeMap::from([(DAY, 9)]), rows(DAY, 30)).await.expect("kept");
    let expected = (vec!["10".to_owned(), "30".to_owned()], BTreeMap::from([(DAY - 30, 7), (DAY, 9)]));
    assert_eq!(offered(&first, 1).await.as_ref(), Some(&expected));
    let reader = Lake::open_read(options(&dir)).await.expect("a lake");
    assert_eq!(offered(&reader, 1).await.as_ref(), Some(&expected));
    assert_eq!(offered(&reader, 2).await, None, "sums of another definition are of no use");
    assert!(
        reader.keep_sums(1, "2026-11", BTreeMap::new(), rows(DAY, 1)).await.is_err(),
        "a reader writes nothing"
    );

    // What was replaced stays for those who read it, until its time is over.
    assert_eq!((first.tidy_sums(1).await, parquet_files(&dir)), (Ok(0), 3));
    std::thread::sleep(std::time::Duration::from_millis(5));
    assert_eq!((first.tidy_sums(0).await, parquet_files(&dir)), (Ok(1), 2));
    assert_eq!(offered(&first, 1).await, Some(expected));

    // Another definition begins anew.
    first.keep_sums(2, "2026-11", BTreeMap::from([(DAY, 1)]), rows(DAY, 40)).await.expect("kept");
    assert_eq!(offered(&first, 1).await, None);
    assert_eq!(offered(&first, 2).await, Some((vec!["40".to_owned()], BTreeMap::from([(DAY, 1)]))));
}

#[tokio::test]
async fn an_index_that_cannot_be_read_is_as_good_as_none() {
    let dir = TempDir::new().expect("a directory");
    let first = lake(&dir).await;
    first.keep_sums(1, "2026-11", BTreeMap::from([(DAY, 8)]), rows(DAY, 20)).await.expect("kept");
    std::fs::write(dir.path().join("data/_sums/index.json"), "{\"definition\":1,\"mon").expect("written");
    let reader = lake(&dir).await;
    assert_eq!(offered(&reader, 1).await, None);
    reader.keep_sums(1, "2026-11", BTreeMap::from([(DAY, 8)]), rows(DAY, 20)).await.expect("kept");
    assert_eq!(offered(&reader, 1).await, Some((vec!["20".to_owned()], BTreeMap::from([(DAY, 8)]))));
    std::fs::remove_dir_all(dir.path().join("data/_sums")).expect("removed");
    assert_eq!(offered(&lake(&dir).await, 1).await, None);
}
