use std::time::Instant;

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_appended_is_read_back() {
    let dir = TempDir::new().expect("a directory");
    let lake = lake(&dir).await;
    assert!(lake.version().provider("contacts").is_none());
    let rows = contacts(0, 500, DAY);
    let receipt = lake
        .append(Append { tables: vec![(&CONTACTS, vec![rows.clone()])], ranges: vec![range(0, 0, 500)] })
        .await
        .expect("the first append");
    assert_eq!((receipt.tables.len(), receipt.tables[0].rows, receipt.tables[0].files), (1, 500, 1));
    let provider = lake.version().provider("contacts").expect("there are rows");
    assert_eq!(provider.schema(), CONTACTS.schema());
    let found = run(&lake.version(), "select * from contacts order by contact_id").await;
    let found = arrow::compute::concat_batches(&CONTACTS.schema(), &found).expect("the declared columns");
    assert_eq!(found, rows);

    lake.append(append(0, 500, 800)).await.expect("a second append");
    assert_eq!(count(&lake.version()).await, 800);
    assert_eq!(lake.version().size("contacts").await, Ok((Some(800), 2)));
    // Another handle, and one that only reads, see the same.
    assert_eq!(count(&Lake::open_read(options(&dir)).await.expect("it opens").version()).await, 800);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_appends_are_quick() {
    let dir = TempDir::new().expect("a directory");
    let lake = lake(&dir).await;
    lake.positions("events", 0).await.expect("an empty lake has positions");
    let mut took = Vec::new();
    for i in 0..200 {
        let flush = small_flush(i * 20, 20);
        let start = Instant::now();
        lake.append(Append { tables: flush, ranges: vec![range(0, i * 20, i * 20 + 20)] })
            .await
            .expect("an append");
        took.push(start.elapsed());
    }
    assert_eq!(count(&lake.version()).await, 4_000);
    println!("12 tables, 20 rows each: first {:?}, second {:?}, last {:?}", took[0], took[1], took[199]);
    took.sort();
    println!("of 200: median {:?}, p95 {:?}, most {:?}", took[100], took[190], took[199]);
}
