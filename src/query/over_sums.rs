//! Figures over sums of whole dates are the figures over the rows, whatever was written, restated, joined and summed up
//! before.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::lake::{Append, Lake, Range, Version};

/// The first of the dates, 2026-11-28, and how many there are: they lie in two months.
const FIRST: i32 = 20_785;
const DATES: i32 = 6;
const VIEWS: [&str; 2] = ["kpi_slot", "kpi_month"];

#[derive(Debug)]
struct Past(Lake, Arc<Version>);

#[async_trait]
impl History for Past {
    async fn dates(&self, table: &'static Table) -> Result<Arc<Dates>, Error> {
        Ok(self.1.dates(table.name).await.expect("the log can be read"))
    }

    fn sums(&self, definition: u64, schema: &arrow::datatypes::SchemaRef) -> Option<Sums> {
        let (rows, dates) = self.0.sums(definition, schema)?;
        Some(Sums { rows, dates: Arc::new(dates) })
    }
}

/// A lake that is written meanwhile, and rows in memory.
struct Centre {
    lake: Lake,
    memory: Arc<std::sync::Mutex<Vec<(&'static Table, RecordBatch)>>>,
    knows_history: bool,
}

#[async_trait]
impl Source for Centre {
    async fn cut(&self, _: TableSet) -> Result<Cut, Error> {
        let version = self.lake.version();
        let committed = TABLES.iter().filter_map(|table| Some((table.name, version.provider(table.name)?)));
        Ok(Cut {
            committed: committed.collect(),
            memory: self.memory.lock().expect("nobody panics").clone(),
            now: at("2026-12-20T01:30:00Z"),
            history: self.knows_history.then(|| Arc::new(Past(self.lake.clone(), Arc::clone(&version))) as _),
            missing: Vec::new(),
        })
    }
}

/// One contact as it was written last.
#[derive(Clone)]
struct Written {
    id: String,
    start: Millis,
    revision: i64,
    rows: bool,
}

struct Story {
    dice: SmallRng,
    written: Vec<Written>,
    offset: i64,
    facts: Facts,
}

impl Story {
    /// Rows of a contact on some of the dates; some lie under two, and some handlings begin a day later.
    fn write(&mut self, contact: &Written) {
        let grid = grid("Asia/Shanghai");
        let legs = self.dice.random_range(1..3);
        for leg in 0..legs {
            let queued_at = contact.start + leg * 13 * 3_600 * SECOND;
            let queue = ["sales", "billing", "support"][self.dice.random_range(0..3)];
            let wait = self.dice.random_range(0..90) * SECOND;
            let outcome = ["answered", "answered", "abandoned", "closed"][self.dice.random_range(0..4)];
            let row = LegRow {
                contact_id: Some(&contact.id),
                leg: Some(leg + 1),
                channel: Some("voice"),
                queue: Some(queue),
                department: (queue != "support").then_some("shop"),
                queued_at: Some(queued_at),
                wait_ms: Some(wait),
                outcome: Some(outcome),
                in_time: Some(outcome == "answered" && wait <= 20 * SECOND),
                target_wait_ms: Some(20 * SECOND),
                slot_start: Some(grid.slot_start(queued_at)),
                revision: Some(contact.revision),
                date: Some(grid.date(queued_at)),
                ..LegRow::default()
            };
            self.facts.legs.push(&row);
            if outcome == "answered" {
                let started_at = queued_at + wait;
                let talk = self.dice.random_range(1..40_000) * SECOND;
                self.facts.handlings.push(&HandlingRow {
                    contact_id: Some(&contact.id),
                    handling: Some(leg + 1),
                    channel: Some("voice"),
                    queue: Some(queue),
                    started_at: Some(started_at),
                    wrapped_at: Some(started_at + talk),
                    talk_ms: Some(talk),
                    handle_ms: Some(talk),
                    slot_start: Some(grid.slot_start(queued_at)),
                    revision: Some(contact.revision),
                    date: Some(grid.date(started_at)),
                    ..HandlingRow::default()
                });
            }
        }
    }

    fn begin(&mut self) {
        let day = i64::from(FIRST + self.dice.random_range(0..DATES));
        let start = day * 86_400_000 + self.dice.random_range(0..86_400_000);
        let contact = Written { id: format!("c{}", self.written.len()), start, revision: 3, rows: true };
        self.write(&contact);
        self.written.push(contact);
    }

    /// A contact's rows no longer hold; mostly it has new ones.
    fn restate(&mut self) {
        let at = self.dice.random_range(0..self.written.len());
        let mut contact = self.written[at].clone();
        if !contact.rows {
            return;
        }
        let grid = grid("Asia/Shanghai");
        self.facts.restatements.push(&RestatementRow {
            contact_id: Some(&contact.id),
            old_revision: Some(contact.revision),
            new_revision: Some(contact.revision + 1),
            // The last date that a row of such a contact may have.
            old_first_date: Some(grid.date(contact.start)),
            old_last_date: Some(grid.date(contact.start + 14 * 3_600 * SECOND)),
            date: Some(grid.date(contact.start)),
            ..RestatementRow::default()
        });
        contact.revision += 1;
        contact.rows = self.dice.random_bool(0.8);
        if contact.rows {
            if self.dice.random_bool(0.2) {
                contact.start += 86_400_000;
            }
            self.write(&contact);
        }
        self.written[at] = contact;
    }

    async fn append(&mut self, lake: &Lake) {
        let tables = self.facts.finish().into_iter().map(|(table, batch)| (table, vec![batch])).collect();
        let ranges =
            vec![Range { topic: "t".to_owned(), partition: 0, from: self.offset, to: self.offset + 1 }];
        self.offset += 1;
        lake.append(Append { tables, ranges }).await.expect("appended");
    }
}

async fn figures(engine: &Engine) -> Vec<Vec<Value>> {
    let mut all = Vec::new();
    for view in VIEWS {
        all.push(
            ask(engine, &format!("SELECT * FROM {view} ORDER BY slot_start, channel, queue, department"))
                .await,
        );
    }
    let one = "SELECT slot_start, offered, wait_p90_seconds FROM kpi_day WHERE queue = 'sales' \
               AND slot_start >= '2026-11-28T16:00:00Z' AND slot_start < '2026-12-02T16:00:00Z' ORDER BY 1, 2, 3";
    all.push(ask(engine, one).await);
    all
}

#[tokio::test]
async fn sums_of_dates_give_the_figures_of_the_rows() {
    let mut summed_up = 0;
    for seed in 0..2 {
        let dir = tempfile::tempdir().expect("a directory");
        let mut options =
            crate::lake::Options::new(dir.path().join("data").to_str().expect("text"), "Asia/Shanghai", 30);
        options.compact_min_files = 2;
        let lake = Lake::open(options).await.expect("a lake");
        let memory: Arc<std::sync::Mutex<_>> = Arc::default();
        let engine = |knows_history| {
            let centre = Centre { lake: lake.clone(), memory: Arc::clone(&memory), knows_history };
            Engine::new(Options::new(grid("Asia/Shanghai")), Arc::new(centre)).expect("an engine")
        };
        let (by_sums, by_rows) = (engine(true), engine(false));
        let mut story = Story {
            dice: SmallRng::seed_from_u64(seed),
            written: Vec::new(),
            offset: 0,
            facts: Facts::default(),
        };
        for step in 0..7 {
            for _ in 0..story.dice.random_range(2..12) {
                story.begin();
            }
            for _ in 0..story.dice.random_range(0..4) {
                story.restate();
            }
            // Some rows stand in memory before they are committed.
            *memory.lock().expect("nobody panics") = story.facts.peek(TableSet::ALL);
            assert_eq!(
                figures(&by_sums).await,
                figures(&by_rows).await,
                "seed {seed}, step {step}, in memory"
            );
            memory.lock().expect("nobody panics").clear();
            story.append(&lake).await;
            match story.dice.random_range(0..4) {
                0 => drop(lake.maintain(FIRST).await.expect("maintained")),
                1 | 2 => {
                    let before = FIRST + story.dice.random_range(0..DATES + 3);
                    while let Some(month) = by_sums.sum_up(before).await.expect("summed up") {
                        assert!(month.dates.keys().all(|date| *date < before));
                        let definition = by_sums.sums_definition();
                        lake.keep_sums(definition, &month.name, month.dates, month.rows).await.expect("kept");
                        summed_up += 1;
                    }
                }
                _ => {}
            }
            assert_eq!(figures(&by_sums).await, figures(&by_rows).await, "seed {seed}, step {step}");
        }
    }
    assert!(summed_up > 4, "{summed_up}");
}

#[tokio::test]
async fn dates_whose_rows_were_all_restated_away_are_summed_up() {
    let dir = tempfile::tempdir().expect("a directory");
    let root = dir.path().join("data");
    let options = crate::lake::Options::new(root.to_str().expect("text"), "Asia/Shanghai", 30);
    let lake = Lake::open(options).await.expect("a lake");
    let mut story =
        Story { dice: SmallRng::seed_from_u64(3), written: Vec::new(), offset: 0, facts: Facts::default() };
    story.begin();
    story.append(&lake).await;
    while story.written[0].rows {
        story.restate();
    }
    story.append(&lake).await;
    let centre = Centre { lake: lake.clone(), memory: Arc::default(), knows_history: true };
    let engine = Engine::new(Options::new(grid("Asia/Shanghai")), Arc::new(centre)).expect("an engine");
    let mut months = 0;
    while let Some(month) = engine.sum_up(i32::MAX).await.expect("summed up") {
        assert_eq!(month.rows.iter().map(RecordBatch::num_rows).sum::<usize>(), 0, "{month:?}");
        let definition = engine.sums_definition();
        lake.keep_sums(definition, &month.name, month.dates, month.rows).await.expect("kept");
        months += 1;
    }
    assert!(months > 0);
    let none: Vec<Vec<Value>> = vec![Vec::new(); VIEWS.len() + 1];
    assert_eq!(figures(&engine).await, none);
}

#[tokio::test]
async fn rows_that_are_summed_up_are_not_read_and_another_process_sees_the_sums() {
    let dir = tempfile::tempdir().expect("a directory");
    let root = dir.path().join("data");
    let options = crate::lake::Options::new(root.to_str().expect("text"), "Asia/Shanghai", 30);
    let lake = Lake::open(options.clone()).await.expect("a lake");
    let mut story =
        Story { dice: SmallRng::seed_from_u64(7), written: Vec::new(), offset: 0, facts: Facts::default() };
    (0..50).for_each(|_| story.begin());
    story.append(&lake).await;
    let engine = |lake: &Lake| {
        let centre = Centre { lake: lake.clone(), memory: Arc::default(), knows_history: true };
        Engine::new(Options::new(grid("Asia/Shanghai")), Arc::new(centre)).expect("an engine")
    };
    let first = engine(&lake);
    let expected = figures(&first).await;
    while let Some(month) = first.sum_up(i32::MAX).await.expect("summed up") {
        let definition = first.sums_definition();
        lake.keep_sums(definition, &month.name, month.dates, month.rows).await.expect("kept");
    }
    for table in ["legs", "handlings"] {
        for entry in std::fs::read_dir(root.join(table)).expect("a table").flatten() {
            if entry.file_name().to_string_lossy().starts_with("date=") {
                std::fs::remove_dir_all(entry.path()).expect("removed");
            }
        }
    }
    assert_eq!(figures(&first).await, expected);
    let other = Lake::open_read(options).await.expect("a lake");
    assert_eq!(figures(&engine(&other)).await, expected);
    let read = fault(&engine(&other), "SELECT count(wait_ms) FROM legs").await;
    assert!(
        matches!(read.kind, ErrorKind::Outside | ErrorKind::Bug),
        "the rows themselves are gone: {read:?}"
    );
}
