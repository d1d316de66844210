//! What a reader outside sees belongs together, however many processes write.

use super::*;

/// The state of a partition's task after this offset: one open contact, named by partition and offset.
fn state(partition: i32, sequence: u64, next: i64) -> Snapshot {
    Snapshot {
        sequence,
        positions: vec![("events".to_owned(), partition, next)],
        batches: Vec::new(),
        meta: serde_json::Value::Null,
    }
}

async fn reader(dir: &TempDir) -> Cut {
    let lake = Lake::open_read(options(dir)).await.expect("it opens");
    lake.cut().await.expect("it reads")
}

/// The position of each task's snapshot in a cut.
fn positions(cut: &Cut) -> Vec<(String, i64)> {
    cut.snapshots.iter().map(|(task, snapshot)| (task.clone(), snapshot.positions[0].2)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_after_the_snapshot_are_not_shown() {
    let dir = TempDir::new().expect("a directory");
    let lake = lake(&dir).await;
    lake.append(append(0, 0, 10)).await.expect("an append");
    assert_eq!(count(&reader(&dir).await.version).await, 10, "before the first snapshot all rows are shown");
    lake.save_snapshot("t0", state(0, 1, 10)).await.expect("a snapshot");
    // What comes after it: more rows of the table, and a table that was not there.
    let later = Append { tables: small_flush(10, 5), ranges: vec![range(0, 10, 15)] };
    lake.append(later).await.expect("an append");
    let cut = reader(&dir).await;
    assert!(cut.agrees);
    assert_eq!((count(&cut.version).await, positions(&cut)), (10, vec![("t0".to_owned(), 10)]));
    let legs = run(&cut.version, "select * from legs").await;
    assert_eq!(legs.iter().map(RecordBatch::num_rows).sum::<usize>(), 0);
    lake.save_snapshot("t0", state(0, 2, 15)).await.expect("a snapshot");
    assert_eq!(count(&reader(&dir).await.version).await, 15);
    // Maintenance changes no answer.
    lake.maintain(DAY).await.expect("maintenance");
    assert_eq!(count(&reader(&dir).await.version).await, 15);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_writers_are_seen_at_one_moment() {
    let dir = TempDir::new().expect("a directory");
    let (a, b) = (lake(&dir).await, lake(&dir).await);
    a.positions("events", 0).await.expect("positions");
    b.positions("events", 1).await.expect("positions");
    let cut = |want: i64, at: [i64; 2]| {
        let dir = &dir;
        async move {
            let cut = reader(dir).await;
            let expected = vec![("t0".to_owned(), at[0]), ("t1".to_owned(), at[1])];
            assert_eq!((cut.agrees, count(&cut.version).await, positions(&cut)), (true, want, expected));
        }
    };
    a.append(append(0, 0, 10)).await.expect("an append");
    a.save_snapshot("t0", state(0, 1, 10)).await.expect("a snapshot");
    b.append(append(1, 0, 3)).await.expect("an append");
    b.save_snapshot("t1", state(1, 1, 3)).await.expect("a snapshot");
    cut(13, [10, 3]).await;
    // One has written rows and no snapshot: its rows are not shown.
    b.append(append(1, 3, 5)).await.expect("an append");
    cut(13, [10, 3]).await;
    // The other goes on after that: its newest snapshot does not agree with anything, the one before does.
    a.append(append(0, 10, 20)).await.expect("an append");
    a.save_snapshot("t0", state(0, 2, 20)).await.expect("a snapshot");
    cut(13, [10, 3]).await;
    b.save_snapshot("t1", state(1, 2, 5)).await.expect("a snapshot");
    cut(25, [20, 5]).await;

    // Where no moment is left at which they agree, it is said.
    let state_dir = dir.path().join("data/_state");
    b.append(append(1, 5, 6)).await.expect("an append");
    a.append(append(0, 20, 30)).await.expect("an append");
    a.save_snapshot("t0", state(0, 3, 30)).await.expect("a snapshot");
    for old in [1, 2] {
        std::fs::remove_file(state_dir.join(format!("t0/{old:020}.snapshot"))).expect("an old snapshot");
    }
    let odd = reader(&dir).await;
    assert_eq!((odd.agrees, count(&odd.version).await), (false, 36));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_has_another_name_now_is_left_out() {
    let dir = TempDir::new().expect("a directory");
    let lake = lake(&dir).await;
    lake.append(append(0, 0, 10)).await.expect("an append");
    lake.save_snapshot("events-0", state(0, 1, 10)).await.expect("a snapshot");
    lake.append(append(0, 10, 12)).await.expect("an append");
    lake.save_snapshot("co-0", state(0, 1, 12)).await.expect("a snapshot");
    let cut = reader(&dir).await;
    assert_eq!((count(&cut.version).await, positions(&cut)), (12, vec![("co-0".to_owned(), 12)]));
}
