//! Tidying changes files and no answer.

use super::*;

fn busy(dir: &TempDir) -> Options {
    Options { checkpoint_every: 5, compact_min_files: 4, ..options(dir) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn maintenance_keeps_rows_and_positions() {
    let dir = TempDir::new().expect("a directory");
    let lake = Lake::open(busy(&dir)).await.expect("it opens");
    for i in 0..6 {
        lake.append(append(0, i * 10, i * 10 + 10)).await.expect("an append");
    }
    lake.append(append(7, 0, 5)).await.expect("another partition");
    let query = "select contact_id, started_at, legs from contacts order by contact_id, legs";
    let before = sql(&lake.version(), query).await;
    let held = lake.version();

    let report = lake.maintain(DAY).await.expect("maintenance");
    let done = report.tables.iter().find(|table| table.table == "contacts").expect("there was work");
    assert_eq!((done.dates_compacted, done.files_joined, done.files_made), (1, 7, 1));
    assert!(done.checkpoint);
    assert_eq!(done.files_deleted, 0, "replaced files stay for those who still read them");
    assert_eq!(sql(&lake.version(), query).await, before);
    assert_eq!(lake.version().size("contacts").await, Ok((Some(65), 1)));
    assert_eq!(sql(&held, query).await, before);

    // The owner goes on without asking for its positions again, though maintenance has committed meanwhile.
    lake.append(append(0, 60, 70)).await.expect("the owner goes on");
    lake.maintain_and_vacuum(DAY, 0).await.expect("vacuum at once");
    assert_eq!(sql(&lake.version(), "select count(*) from contacts").await, ["75"]);

    // Logs before the checkpoint may go: rows and positions do not depend on them.
    let log = dir.path().join("data/contacts/_delta_log");
    for version in 0..5 {
        std::fs::remove_file(log.join(format!("{version:020}.json"))).expect("an old commit");
    }
    let next = Lake::open(busy(&dir)).await.expect("it opens");
    assert_eq!(next.positions("events", 0).await.expect("positions")["contacts"], 70);
    assert_eq!(next.positions("events", 7).await.expect("positions")["contacts"], 5);
    assert_eq!(sql(&next.version(), "select count(*), sum(legs) from contacts").await, ["75,2425"]);
    next.append(append(7, 5, 6)).await.expect("it goes on");
    assert!(matches!(lake.append(append(7, 5, 6)).await, Err(Error::Fenced { stored: 6, expected: 5, .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handle_that_slept_past_the_cleaning_does_not_fork_the_table() {
    let dir = TempDir::new().expect("a directory");
    let sleeper = Lake::open(busy(&dir)).await.expect("it opens");
    sleeper.append(append(0, 0, 10)).await.expect("an append");
    let owner = Lake::open(busy(&dir)).await.expect("it opens");
    owner.positions("events", 0).await.expect("positions");
    for i in 1..7 {
        owner.append(append(0, i * 10, i * 10 + 10)).await.expect("an append");
    }
    owner.maintain(DAY).await.expect("maintenance");
    let log = dir.path().join("data/contacts/_delta_log");
    for version in 0..5 {
        std::fs::remove_file(log.join(format!("{version:020}.json"))).expect("an old commit");
    }
    let refused = sleeper.append(append(0, 10, 20)).await;
    assert!(matches!(refused, Err(Error::Fenced { stored: 70, expected: 10, .. })), "{refused:?}");
    sleeper.refresh().await.expect("it reads on");
    assert_eq!(count(&sleeper.version()).await, 70);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appends_and_maintenance_run_at_once() {
    let dir = TempDir::new().expect("a directory");
    let lake = Lake::open(busy(&dir)).await.expect("it opens");
    let writer = lake.clone();
    let appends = tokio::spawn(async move {
        for i in 0..20 {
            writer
                .append(append(0, i * 10, i * 10 + 10))
                .await
                .expect("maintenance does not fence the owner");
        }
    });
    let mut compacted = 0;
    while !appends.is_finished() {
        let report = lake.maintain(DAY).await.expect("maintenance");
        compacted += report.tables.iter().map(|table| table.files_joined).sum::<u64>();
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    appends.await.expect("every append succeeded");
    assert_eq!(
        sql(&lake.version(), "select count(*), count(distinct contact_id) from contacts").await,
        ["200,200"]
    );
    assert!(compacted > 0, "they did not meet");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_older_than_the_retention_go() {
    let dir = TempDir::new().expect("a directory");
    let retention_days = HashMap::from([("contacts".to_owned(), 30), ("legs".to_owned(), 0)]);
    let lake = Lake::open(Options { retention_days, ..busy(&dir) }).await.expect("it opens");
    for (i, day) in [DAY - 31, DAY - 30, DAY].into_iter().enumerate() {
        let from = i as i64 * 10;
        let tables = vec![(&CONTACTS as &Table, vec![contacts(from, from + 10, day)])];
        lake.append(Append { tables, ranges: vec![range(0, from, from + 10)] }).await.expect("an append");
    }
    let report = lake.maintain(DAY).await.expect("maintenance");
    assert_eq!(report.tables[0].files_expired, 1);
    let dates = sql(&lake.version(), "select distinct date from contacts order by date").await;
    assert_eq!(dates, ["2026-10-22", "2026-11-21"]);
    assert_eq!(lake.maintain(DAY).await, Ok(Report::default()), "the second time there is nothing to do");
}
