//! A correlator with its rows and its window, and what SQL would see of it.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, LazyLock};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Date32Type, Float64Type, Int64Type, TimestampMicrosecondType};
use hashbrown::HashMap as Queues;

use crate::correlate::json::rows_json;
use crate::correlate::{Applied, Correlator, Observer, Options, Quality, QueueRules, Rows, ServiceRule};
use crate::event::{AgentStateName, Event, Place};
use crate::facts::{Facts, Table, Written};
use crate::text::{Lexicon, Reader};
use crate::time::{Grid, HOUR, MINUTE, SECOND};
use crate::window::{self, Counted, Window};

/// The rules of the stories: time-outs that a story can wait for.
pub(super) fn options() -> Options {
    let sales = QueueRules {
        target_wait_ms: 15 * SECOND,
        short_abandon_ms: 10 * SECOND,
        department: Some("retail".to_owned()),
    };
    Options {
        grid: Grid::new(chrono_tz::Asia::Shanghai, 30).expect("a slot length"),
        lateness_ms: 10 * MINUTE,
        correlation_ms: HOUR,
        acw_timeout_ms: 30 * MINUTE,
        contact_timeout_ms: [4 * HOUR, 24 * HOUR, 720 * HOUR, 720 * HOUR, 4 * HOUR, 168 * HOUR],
        queues: Queues::from_iter([("sales".to_owned(), sales)]),
        defaults: QueueRules { target_wait_ms: 20 * SECOND, short_abandon_ms: 5 * SECOND, department: None },
        quality: Quality {
            deadlines: crate::calendar::Deadlines::of_every_day(),
            answer_ms: MINUTE,
            greeting_ms: 30 * SECOND,
            self_service_queues: vec!["ivr".to_owned()],
        },
        keep_events: false,
        unordered: false,
    }
}

/// Passes what the correlator tells on to a window, and holds every `old` against the `new` before it.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) window: Window,
    /// The rows that were told last, by contact; `None`: not followed, since it takes time.
    told: Option<HashMap<String, String>>,
}

impl Observer for Watch {
    fn contact(&mut self, old: &Rows<'_>, new: &Rows<'_>, counted: i64) -> i64 {
        if let Some(told) = &mut self.told {
            let key = new.contact.contact_id.expect("rows name their contact");
            let before = told.insert(key.to_owned(), rows_json(new));
            let nothing = || rows_json(&Rows::default());
            assert_eq!(rows_json(old), before.unwrap_or_else(nothing), "the old rows of `{key}`");
        }
        self.window.changed(old, new, Counted::from_i64(counted)).to_i64()
    }

    fn overdue(&mut self, rule: ServiceRule, queue: Option<&str>) {
        self.window.overdue(rule, queue);
    }

    fn agent(&mut self, old: Option<AgentStateName>, new: Option<AgentStateName>) {
        self.window.agent_changed(old, new);
    }
}

/// A reader of a few words: thousands of worlds share it.
static READER: LazyLock<Arc<Reader>> = LazyLock::new(|| {
    let lists = "[[list]]\ncategory = \"complaint\"\nweight = -0.6\nphrases = [\"我要投诉\", \"投诉你们\"]\n\
                 [[list]]\ncategory = \"churn\"\nphrases = [\"销户\", \"户口本\"]\n\
                 [[list]]\ncategory = \"greeting\"\nphrases = [\"您好\"]\n\
                 [[list]]\ncategory = \"farewell\"\nphrases = [\"再见\"]\n\
                 [[list]]\ncategory = \"blaming\"\nphrases = [\"你自己的问题\"]\n\
                 [[list]]\nweight = 0.6\nwords = \"谢谢 不错\"\n[[list]]\nweight = -0.7\nwords = \"太差\"";
    let lexicon = Lexicon::parse("a test", lists).expect("the lists are right");
    Arc::new(Reader::new(&[lexicon]).expect("the phrases make an automaton"))
});

thread_local! {
    /// Builders of rows that have been emptied: thousands of worlds would else spend their time making them.
    static SPARE: RefCell<Vec<Facts>> = const { RefCell::new(Vec::new()) };
}

const GOES_ON: &str = "nothing is told after the end";

fn spare() -> Facts {
    SPARE.with_borrow_mut(Vec::pop).unwrap_or_default()
}

/// A correlator and everything it has said.
#[derive(Debug)]
pub(super) struct World {
    pub(super) options: Options,
    pub(super) correlator: Correlator,
    /// `None` after the end.
    facts: Option<Facts>,
    pub(super) watch: Watch,
    pub(super) new: usize,
    pub(super) too_late: Vec<String>,
}

impl World {
    pub(super) fn new(options: &Options) -> World {
        let window = Window::new(window::Options::new(options.grid));
        let mut correlator = Correlator::new(options.clone());
        correlator.read_by(Arc::clone(&READER));
        World {
            correlator,
            options: options.clone(),
            facts: Some(spare()),
            watch: Watch { window, told: None },
            new: 0,
            too_late: Vec::new(),
        }
    }

    /// Holds what the observer is told against what it was told before.
    pub(super) fn watched(mut self) -> World {
        self.watch.told = Some(HashMap::new());
        self
    }

    pub(super) fn apply(&mut self, event: &Event<'_>) -> Applied {
        let place = Place { topic: "told", partition: 0, offset: self.new as i64 };
        let applied = self.correlator.apply(event, place, self.facts.as_mut().expect(GOES_ON));
        match &applied {
            Applied::New => self.new += 1,
            Applied::Repeat => {}
            Applied::TooLate(_) => self.too_late.push(format!("{} {}", event.kind.as_str(), event.id)),
        }
        applied
    }

    pub(super) fn settle(&mut self) {
        self.correlator.settle(self.facts.as_mut().expect(GOES_ON), &mut self.watch);
    }

    /// Ends the process after a snapshot, and goes on from that.
    pub(super) fn stop_and_go_on(&mut self) {
        self.settle();
        let state = self.correlator.save();
        self.correlator = Correlator::restore(self.options.clone(), &state).expect("its own state");
        self.correlator.read_by(Arc::clone(&READER));
    }

    /// Everything that was written, and everything that is open, as batches: the end of this world.
    pub(super) fn end(&mut self) -> Batches {
        let mut facts = self.facts.take().expect(GOES_ON);
        let written = facts.finish();
        self.correlator.open_rows(crate::facts::TableSet::ALL, self.correlator.newest(), &mut facts);
        let batches = Batches { written, open: facts.finish() };
        SPARE.with_borrow_mut(|spares| spares.push(facts));
        batches
    }
}

type Tables = Vec<(&'static Table, RecordBatch)>;

/// Rows that were handed out, and rows that are open.
pub(super) struct Batches {
    written: Tables,
    open: Tables,
}

/// The rows of each table, sorted.
pub(super) type Visible = BTreeMap<&'static str, Vec<Vec<u8>>>;

/// A table and the key of one of its rows.
type Key = (&'static str, Vec<String>);

/// How rows of a batch are made comparable: all its rows, without the columns named.
pub(super) type Render<'r> = &'r dyn Fn(&RecordBatch, &[&str]) -> Vec<Vec<u8>>;

/// Rows as bytes.
pub(super) fn encode(batch: &RecordBatch, without: &[&str]) -> Vec<Vec<u8>> {
    let mut rows = vec![Vec::with_capacity(160); batch.num_rows()];
    for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
        if without.contains(&field.name().as_str()) {
            continue;
        }
        for (at, row) in rows.iter_mut().enumerate() {
            row.push(u8::from(column.is_valid(at)));
            if column.is_null(at) {
                continue;
            }
            match column.data_type() {
                DataType::Utf8 => {
                    row.extend_from_slice(column.as_string::<i32>().value(at).as_bytes());
                    row.push(0);
                }
                DataType::Boolean => row.push(u8::from(column.as_boolean().value(at))),
                DataType::Int64 => {
                    row.extend_from_slice(&column.as_primitive::<Int64Type>().value(at).to_be_bytes());
                }
                DataType::Float64 => {
                    row.extend_from_slice(&column.as_primitive::<Float64Type>().value(at).to_be_bytes());
                }
                DataType::Date32 => {
                    row.extend_from_slice(&column.as_primitive::<Date32Type>().value(at).to_be_bytes());
                }
                _ => {
                    let times = column.as_primitive::<TimestampMicrosecondType>();
                    row.extend_from_slice(&times.value(at).to_be_bytes());
                }
            }
        }
    }
    rows
}

/// Rows as text, for whoever looks at a failure.
pub(super) fn readable(batch: &RecordBatch, without: &[&str]) -> Vec<Vec<u8>> {
    let rows = (0..batch.num_rows()).map(|at| {
        let mut text = String::new();
        for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
            if column.is_valid(at) && !without.contains(&field.name().as_str()) {
                let value =
                    arrow::util::display::array_value_to_string(column, at).expect("a cell has a text");
                text.push_str(&format!("{}={value} ", field.name()));
            }
        }
        text.into_bytes()
    });
    rows.collect()
}

fn texts(batch: &RecordBatch, name: &str) -> Vec<String> {
    let column = batch.column_by_name(name).expect("a column of the table").as_string::<i32>().clone();
    (0..batch.num_rows()).map(|at| column.value(at).to_owned()).collect()
}

fn ints(batch: &RecordBatch, name: &str) -> Vec<i64> {
    batch.column_by_name(name).expect("a column of the table").as_primitive::<Int64Type>().values().to_vec()
}

impl Batches {
    /// The rows of this table, written and open.
    pub(super) fn of(&self, name: &str) -> impl Iterator<Item = &RecordBatch> {
        let all = self.written.iter().chain(&self.open);
        all.filter(move |(table, _)| table.name == name).map(|(_, batch)| batch)
    }

    /// (contact, revision) of rows that a restatement has put out of force.
    fn superseded(&self) -> HashSet<(String, i64)> {
        let batches = self.of("restatements");
        let pairs =
            batches.flat_map(|batch| texts(batch, "contact_id").into_iter().zip(ints(batch, "old_revision")));
        pairs.collect()
    }

    /// What SQL would see. Also holds that no row was written twice and that of one key and revision there is
    /// one row only. `only` limits it to one table.
    pub(super) fn visible(&self, only: Option<&str>, render: Render<'_>) -> Visible {
        let superseded = self.superseded();
        let mut visible: Visible = BTreeMap::new();
        let mut newest: BTreeMap<Key, (i64, Vec<u8>)> = BTreeMap::new();
        let mut contacts = HashSet::new();
        for (at, (table, batch)) in self.written.iter().chain(&self.open).enumerate() {
            let asked = only.is_none_or(|only| only == table.name);
            if !asked || matches!(table.name, "restatements" | "events") {
                continue;
            }
            // The revision of an interval counts the agent's events when it was written; it only has to grow.
            let without: &[&str] = if table.name == "agent_states" { &["revision"] } else { &[] };
            let rows = render(batch, without);
            match table.written {
                Written::Once => visible.entry(table.name).or_default().extend(rows),
                Written::PerContact => {
                    let keys = texts(batch, "contact_id").into_iter().zip(ints(batch, "revision"));
                    for (key, row) in keys.zip(rows) {
                        let is_written = at < self.written.len();
                        if is_written && table.name == "contacts" {
                            assert!(contacts.insert(key.clone()), "{key:?} was written twice");
                        }
                        if !is_written || !superseded.contains(&key) {
                            visible.entry(table.name).or_default().push(row);
                        }
                    }
                }
                Written::Newest => {
                    let keys: Vec<Vec<String>> = table.key.iter().map(|key| texts(batch, key)).collect();
                    for (at, (revision, row)) in ints(batch, "revision").into_iter().zip(rows).enumerate() {
                        let key = (table.name, keys.iter().map(|key| key[at].clone()).collect());
                        match newest.get(&key) {
                            Some((known, other)) if *known == revision => {
                                assert_eq!(*other, row, "two rows of {key:?} under revision {revision}");
                            }
                            Some((known, _)) if *known > revision => {}
                            _ => drop(newest.insert(key, (revision, row))),
                        }
                    }
                }
            }
        }
        for ((table, _), (_, row)) in newest {
            visible.entry(table).or_default().push(row);
        }
        for rows in visible.values_mut() {
            rows.sort_unstable();
        }
        visible
    }
}
