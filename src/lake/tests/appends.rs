//! Rows are appended once, whoever tries again.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use deltalake::logstore::{StorageConfig, default_logstore};
use deltalake::{ObjectStoreError, Path};
use futures::stream::BoxStream;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult,
};

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

    let before = lake.version();
    lake.append(append(0, 500, 800)).await.expect("a second append");
    assert_eq!(count(&lake.version()).await, 800);
    assert_eq!(lake.version().size("contacts").await, Ok((Some(800), 2)));
    // Who holds a view sees the same rows for as long as it holds it.
    assert_eq!(count(&before).await, 500);
    // Another handle, and one that only reads, see the same.
    assert_eq!(count(&Lake::open_read(options(&dir)).await.expect("it opens").version()).await, 800);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_table_takes_rows_and_gives_them_back() {
    let dir = TempDir::new().expect("a directory");
    let lake = lake(&dir).await;
    let flush = small_flush(0, 3);
    lake.append(Append { tables: flush.clone(), ranges: vec![range(0, 0, 3)] }).await.expect("an append");
    assert_eq!(flush.len(), TABLES.len());
    for (table, batches) in flush {
        let found = run(&lake.version(), &format!("select * from {}", table.name)).await;
        let found = arrow::compute::concat_batches(&table.schema(), &found).expect("the declared columns");
        assert_eq!(found.num_rows(), batches[0].num_rows(), "{}", table.name);
        assert_eq!(found.schema(), table.schema());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_rows_are_written_once() {
    let dir = TempDir::new().expect("a directory");
    let lake = lake(&dir).await;
    lake.append(append(0, 0, 100)).await.expect("an append");
    let again = lake.append(append(0, 0, 100)).await.expect("the same again is fine");
    assert!(again.tables[0].already);
    assert_eq!(lake.version().size("contacts").await, Ok((Some(100), 1)));
    // Nor do the files of the second try stay.
    let files = std::fs::read_dir(dir.path().join("data/contacts/date=2026-11-21")).expect("the partition");
    assert_eq!(files.count(), 1);
    // What is half old and half new is refused, as are rows without offsets.
    assert!(matches!(
        lake.append(append(0, 50, 150)).await,
        Err(Error::Overlap { stored: 100, from: 50, to: 150, .. })
    ));
    assert!(matches!(lake.append(append(0, 100, 100)).await, Ok(receipt) if receipt.tables.is_empty()));
    let without =
        Append { tables: vec![(&CONTACTS, vec![contacts(0, 1, DAY)])], ranges: vec![range(0, 100, 100)] };
    assert!(matches!(lake.append(without).await, Err(Error::Config(_))));
    // A table may lag behind: it had no rows for a while.
    lake.append(append(0, 400, 500)).await.expect("a later range");
    assert_eq!(count(&lake.version()).await, 200);
    // After a restart the positions tell what is written.
    let next = Lake::open(options(&dir)).await.expect("it opens");
    let positions = next.positions("events", 0).await.expect("positions");
    assert_eq!((positions["contacts"], positions["legs"]), (500, 0));
    assert!(next.append(append(0, 400, 500)).await.expect("a replay").tables[0].already);
    next.append(append(0, 500, 501)).await.expect("the next range");
    assert_eq!(count(&next.version()).await, 201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_lost_the_partition_is_fenced() {
    let dir = TempDir::new().expect("a directory");
    let (old, new) = (lake(&dir).await, lake(&dir).await);
    old.append(append(0, 0, 100)).await.expect("the owner appends");
    new.positions("events", 0).await.expect("the new owner reads");
    new.append(append(0, 100, 200)).await.expect("the new owner appends");
    let refused = old.append(append(0, 100, 200)).await;
    let fenced = Error::Fenced {
        table: "contacts",
        topic: "events".to_owned(),
        partition: 0,
        stored: 200,
        expected: 100,
    };
    assert_eq!(refused, Err(fenced));
    old.refresh().await.expect("it reads on");
    assert_eq!(count(&old.version()).await, 200);
    // A handle that never asked believes that nothing is stored.
    let third = lake(&dir).await;
    assert!(matches!(
        third.append(append(0, 200, 300)).await,
        Err(Error::Fenced { stored: 200, expected: 0, .. })
    ));
    // Asking for the positions makes it the owner again.
    assert_eq!(old.positions("events", 0).await.expect("positions")["contacts"], 200);
    old.append(append(0, 200, 300)).await.expect("the owner again");
    assert!(matches!(
        new.append(append(0, 200, 300)).await,
        Err(Error::Fenced { stored: 300, expected: 200, .. })
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn owners_of_different_partitions_do_not_hinder_each_other() {
    let dir = TempDir::new().expect("a directory");
    let (a, b) = (lake(&dir).await, lake(&dir).await);
    let many = |lake: Lake, partition: i32| async move {
        for i in 0..12 {
            lake.append(append(partition, i * 10, i * 10 + 10)).await.expect("no fence between partitions");
        }
    };
    let tasks =
        [(a.clone(), 0), (b.clone(), 1), (a.clone(), 2)].map(|(lake, task)| tokio::spawn(many(lake, task)));
    for task in tasks {
        task.await.expect("every append succeeded");
    }
    a.refresh().await.expect("it reads");
    assert_eq!(count(&a.version()).await, 360);
    for partition in [0, 1, 2] {
        assert_eq!(b.positions("events", partition).await.expect("positions")["contacts"], 120);
    }
}

/// A store that does what it is told, and then says that it failed.
#[derive(Debug)]
struct Liar {
    store: Arc<dyn ObjectStore>,
    lies: Arc<AtomicUsize>,
}

impl fmt::Display for Liar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Liar({})", self.store)
    }
}

type StoreResult<T> = object_store::Result<T>;

#[async_trait::async_trait]
impl ObjectStore for Liar {
    async fn put_opts(
        &self,
        path: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> StoreResult<PutResult> {
        let result = self.store.put_opts(path, payload, options).await;
        if path.as_ref().contains("_delta_log")
            && self.lies.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok()
        {
            return Err(ObjectStoreError::Generic { store: "liar", source: "connection reset".into() });
        }
        result
    }
    async fn put_multipart_opts(
        &self,
        path: &Path,
        o: PutMultipartOptions,
    ) -> StoreResult<Box<dyn MultipartUpload>> {
        self.store.put_multipart_opts(path, o).await
    }
    async fn get_opts(&self, path: &Path, options: GetOptions) -> StoreResult<GetResult> {
        self.store.get_opts(path, options).await
    }
    fn delete_stream(
        &self,
        paths: BoxStream<'static, StoreResult<Path>>,
    ) -> BoxStream<'static, StoreResult<Path>> {
        self.store.delete_stream(paths)
    }
    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, StoreResult<ObjectMeta>> {
        self.store.list(prefix)
    }
    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> StoreResult<ListResult> {
        self.store.list_with_delimiter(prefix).await
    }
    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> StoreResult<()> {
        self.store.copy_opts(from, to, options).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_result_is_unknown_lands_once() {
    let dir = TempDir::new().expect("a directory");
    let lake = lake(&dir).await;
    lake.append(append(0, 0, 100)).await.expect("an append");
    let lies = Arc::new(AtomicUsize::new(1));
    {
        let mut logs = lake.inner.logs.lock().await;
        let log = logs.iter_mut().find(|log| log.table.name == "contacts").expect("it is declared");
        let honest = Arc::clone(&log.log_store);
        let liar = Liar { store: honest.object_store(None), lies: Arc::clone(&lies) };
        let (root, url) = (honest.root_object_store(None), honest.config().location().clone());
        log.log_store = default_logstore(Arc::new(liar), root, &url, &StorageConfig::default());
    }
    let receipt = lake.append(append(0, 100, 200)).await.expect("it finds its own commit");
    assert!(!receipt.tables[0].already);
    assert_eq!(lies.load(Ordering::SeqCst), 0);
    assert_eq!(lake.version().size("contacts").await, Ok((Some(200), 2)));

    // As if the process had not even learnt of the failure: what it knows is one commit old.
    lake.append(append(0, 200, 300)).await.expect("an append");
    lake.inner.logs.lock().await.iter_mut().filter(|log| log.table.name == "contacts").for_each(|log| {
        log.forget(2, &[range(0, 100, 200)]);
    });
    assert!(lake.append(append(0, 200, 300)).await.expect("it reads before it writes").tables[0].already);
    assert_eq!(count(&lake.version()).await, 300);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queries_read_only_the_files_that_can_matter() {
    let dir = TempDir::new().expect("a directory");
    let lake = lake(&dir).await;
    for (i, day) in [DAY - 2, DAY - 1, DAY].into_iter().enumerate() {
        let from = i as i64 * 100;
        let tables = vec![(&CONTACTS as &Table, vec![contacts(from, from + 100, day)])];
        lake.append(Append { tables, ranges: vec![range(0, from, from + 100)] }).await.expect("an append");
    }
    let files = |plan: &[String]| plan.join("\n").matches(".parquet").count();
    let version = lake.version();
    for (condition, expected, rows) in [
        ("true", 3, "300"),
        ("date = date '2026-11-20'", 1, "100"),
        ("date >= date '2026-11-20'", 2, "200"),
        ("started_at >= timestamp '2026-11-21T00:00:00Z'", 1, "100"),
        ("contact_id = 'c00000150'", 1, "1"),
        ("contact_id = 'nobody'", 0, "0"),
    ] {
        let query = format!("select count(*), max(legs) from contacts where {condition}");
        let plan = sql(&version, &format!("explain {query}")).await;
        assert_eq!(files(&plan), expected, "{condition}: {plan:#?}");
        assert_eq!(sql(&version, &query).await[0].split(',').next(), Some(rows), "{condition}");
    }
    // Row groups and columns too: the scan itself knows the filter and reads two columns.
    let plan =
        sql(&version, "explain select legs from contacts where contact_id = 'c00000150'").await.join("\n");
    assert!(plan.contains("predicate=contact_id"), "{plan}");
    assert!(!plan.contains("disposition"), "{plan}");
    assert_eq!(sql(&version, "select contact_id from contacts limit 7").await.len(), 7);
}

#[tokio::test]
async fn another_zone_or_slot_length_is_refused() {
    let dir = TempDir::new().expect("a directory");
    drop(lake(&dir).await);
    let other = Options { zone: "Europe/Berlin".to_owned(), ..options(&dir) };
    let error = Lake::open(other.clone()).await.expect_err("the zone is fixed");
    assert!(
        matches!(&error, Error::Config(text) if text.contains("Europe/Berlin") && text.contains("hint:")),
        "{error}"
    );
    assert!(Lake::open_read(other).await.is_err());
    assert!(Lake::open(Options { slot_minutes: 15, ..options(&dir) }).await.is_err());
    let any = Lake::open_read(Options { zone: String::new(), ..options(&dir) })
        .await
        .expect("a reader need not know");
    assert_eq!(any.zone(), Some(("Asia/Shanghai", 30)));
}

#[tokio::test]
async fn an_absent_directory_reads_as_empty_and_stays_absent() {
    let dir = TempDir::new().expect("a directory");
    let lake = Lake::open_read(options(&dir)).await.expect("nothing is fine");
    assert!(TABLES.iter().all(|table| lake.version().provider(table.name).is_none()));
    assert_eq!(lake.load_snapshot("t").await, Ok(None));
    assert!(lake.cut().await.expect("it reads").snapshots.is_empty());
    assert_eq!(lake.list_snapshots().await, Ok(Vec::new()));
    assert!(matches!(lake.append(append(0, 0, 1)).await, Err(Error::Config(_))));
    assert!(!dir.path().join("data").exists());
}

/// Prints how long appends take. The number of appends is small, since a build without optimisation runs it too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_append_costs_the_same_however_many_came_before() {
    let dir = TempDir::new().expect("a directory");
    let lake = lake(&dir).await;
    lake.positions("events", 0).await.expect("an empty lake has positions");
    let appends =
        std::env::var("CALLPULSE_TEST_APPENDS").ok().and_then(|text| text.parse().ok()).unwrap_or(30);
    let mut took = Vec::new();
    for i in 0..appends {
        let flush = small_flush(i * 20, 20);
        let start = Instant::now();
        lake.append(Append { tables: flush, ranges: vec![range(0, i * 20, i * 20 + 20)] })
            .await
            .expect("an append");
        took.push(start.elapsed());
    }
    assert_eq!(count(&lake.version()).await, appends * 20);
    println!(
        "12 tables, 20 rows each: first {:?}, second {:?}, last {:?}",
        took[0],
        took[1],
        took[took.len() - 1]
    );
    took.sort();
    println!("of {appends}: median {:?}, most {:?}", took[took.len() / 2], took[took.len() - 1]);
}
