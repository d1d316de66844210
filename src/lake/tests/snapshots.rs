//! Snapshots are whole or not there.

use super::*;

fn snapshot(sequence: u64) -> Snapshot {
    Snapshot {
        sequence,
        positions: vec![("events".to_owned(), 3, sequence as i64 * 100)],
        batches: vec![
            ("open".to_owned(), contacts(0, 5, DAY)),
            ("open".to_owned(), contacts(5, 50, DAY)),
            ("none".to_owned(), contacts(0, 0, DAY)),
        ],
        meta: serde_json::json!({ "watermark": 7 }),
    }
}

fn file(dir: &TempDir, sequence: u64) -> std::path::PathBuf {
    dir.path().join(format!("data/_state/events=2f3/{sequence:020}.snapshot"))
}

#[tokio::test]
async fn a_snapshot_is_found_again_and_old_ones_go() {
    let dir = TempDir::new().expect("a directory");
    let lake = lake(&dir).await;
    assert_eq!(lake.load_snapshot("events/3").await, Ok(None));
    // Small ones are kept for readers that look for one that agrees with another task's.
    for sequence in 1..=5 {
        lake.save_snapshot("events/3", snapshot(sequence)).await.expect("a snapshot");
    }
    for sequence in 1..=14 {
        lake.save_snapshot("small", snapshot(sequence)).await.expect("a snapshot");
    }
    assert_eq!(lake.read_snapshot("small", 2).await, Ok(None));
    assert_eq!(lake.read_snapshot("small", 3).await, Ok(Some(snapshot(3))));
    lake.save_snapshot("events/30", snapshot(9)).await.expect("another task");
    assert_eq!(lake.load_snapshot("events/3").await, Ok(Some(snapshot(5))));
    assert_eq!(lake.read_snapshot("events/3", 4).await, Ok(Some(snapshot(4))));
    let tasks = vec![("events/3".to_owned(), 5), ("events/30".to_owned(), 9), ("small".to_owned(), 14)];
    assert_eq!(lake.list_snapshots().await, Ok(tasks));
    // The same again is the same; another content is another owner's.
    lake.save_snapshot("events/3", snapshot(5)).await.expect("a repeated call");
    let other = Snapshot { meta: serde_json::Value::Null, ..snapshot(5) };
    let taken = Error::Taken { task: "events/3".to_owned(), sequence: 5 };
    assert_eq!(lake.save_snapshot("events/3", other).await, Err(taken));
}

#[tokio::test]
async fn a_torn_snapshot_is_passed_over_and_named() {
    let dir = TempDir::new().expect("a directory");
    let lake = lake(&dir).await;
    for sequence in 1..=3 {
        lake.save_snapshot("events/3", snapshot(sequence)).await.expect("a snapshot");
    }
    let whole = std::fs::read(file(&dir, 3)).expect("the newest");
    // Torn at any place, or with any byte changed: never taken for whole, never a panic.
    for cut in (0..whole.len()).step_by(97) {
        std::fs::write(file(&dir, 3), &whole[..cut]).expect("a torn file");
        let found = lake.find_snapshot("events/3").await.expect("the one before");
        assert_eq!(found.snapshot.map(|snapshot| snapshot.sequence), Some(2));
        assert_eq!(found.torn.len(), 1, "{cut}");
        let mut changed = whole.clone();
        changed[cut] ^= 0x20;
        std::fs::write(file(&dir, 3), &changed).expect("a changed file");
        assert_eq!(lake.find_snapshot("events/3").await.expect("the one before").torn.len(), 1, "{cut}");
    }
    // The number of a torn file may be used again.
    lake.save_snapshot("events/3", snapshot(3)).await.expect("in place of the torn one");
    assert_eq!(lake.load_snapshot("events/3").await, Ok(Some(snapshot(3))));
}
