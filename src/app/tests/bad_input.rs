//! Bad input: inputs of a kept corpus, and mutations of them, at every entry. Nothing panics, and every record is
//! accounted for.
//!
//! `CALLPULSE_MUTATIONS` says how many records are tried (the other entries take their share), `CALLPULSE_SEED` which
//! seed begins; both are printed.

mod files;
mod wires;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use prometheus::Registry;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::dice::Dice;
use super::simulation::rules;
use crate::access::Access;
use crate::app::task::{Origin, Task};
use crate::config::{self, Config};
use crate::decode::{Format, Source as Records};
use crate::facts::TableSet;
use crate::ingest::{Block, Record};
use crate::metrics::{Metrics, Stats};
use crate::query::{self, Cut, Engine, Source};
use crate::serve::{self, Alerts, Health, Site};
use crate::text::Reader;
use crate::time::{Clock, Grid, MINUTE, Millis};
use crate::window::Summary;

/// Records of an ordinary run.
const RECORDS: u64 = 20_000;
/// Records of one task.
const TASK_RECORDS: u64 = 1_000;
/// What mutations put in.
const WORDS: [&str; 26] = [
    "\"",
    "\\",
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "null",
    "true",
    "-1",
    "0",
    "9223372036854775807",
    "1e308",
    "\u{0}",
    "\u{ff}",
    "\\ud800",
    "\"id\":",
    "\"time\":",
    "\"contact_id\":",
    "contact.queued",
    "message",
    "'",
    ";",
    "--",
    "\n",
];

fn number(name: &str, usual: u64) -> u64 {
    let set = std::env::var(name).ok();
    set.map_or(usual, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(name);
    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let lines: Vec<Vec<u8>> =
        bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(<[u8]>::to_vec).collect();
    assert!(lines.len() > 3, "{} has inputs", path.display());
    lines
}

/// An input of the corpus, as it is or changed in some places.
fn mutate(dice: &mut Dice, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut input = corpus[dice.below(corpus.len())].clone();
    for _ in 0..[0, 1, 1, 1, 1, 2, 2, 4][dice.below(8)] {
        let at = dice.below(input.len() + 1);
        let until = (at + dice.below(12)).min(input.len());
        match dice.below(14) {
            0 => drop(input.drain(at..until)),
            1 => {
                let part = input[at..until].to_vec();
                input.splice(at..at, part);
            }
            2 => {
                let word = WORDS[dice.below(WORDS.len())];
                input.splice(at..until, word.bytes());
            }
            3 => {
                let word = WORDS[dice.below(WORDS.len())];
                input.splice(at..at, word.bytes());
            }
            4 => input.truncate(at),
            5 => {
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= 1 << dice.below(8);
                }
            }
            6 => {
                let other = &corpus[dice.below(corpus.len())];
                let from = dice.below(other.len());
                input.splice(at.., other[from..].iter().copied());
            }
            7..13 => {
                // Another digit in the place of one: ids, times and contacts meet and part.
                if let Some(byte) = input.iter_mut().skip(at).find(|byte| byte.is_ascii_digit()) {
                    *byte = b'0' + dice.below(10) as u8;
                }
            }
            _ => {
                let times = 1 + dice.below(40);
                let part = input[at..until].repeat(times);
                input.splice(at..until, part);
            }
        }
    }
    input
}

/// How the records of a format are read, and inputs of it: the corpus, or the samples of a platform.
fn told_as(format: Format) -> (Records, Vec<Vec<u8>>) {
    if format == Format::Callpulse {
        return (format.into(), corpus("records.jsonl"));
    }
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples").join(format.name());
    let mut inputs = Vec::new();
    let entries =
        std::fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    for path in paths.iter().filter(|path| path.extension().is_none_or(|kind| kind != "toml")) {
        let bytes = std::fs::read(path).expect("a sample");
        inputs.extend(bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(<[u8]>::to_vec));
    }
    assert!(inputs.len() > 2, "{} has inputs", directory.display());
    let mut records = Records::from(format);
    if format == Format::Mapped {
        let mapping = config::load_mapping(&directory.join("calls.toml")).expect("the sample's mapping");
        records.mapping = Some(Arc::new(mapping));
    }
    (records, inputs)
}

/// Feeds a task with mutations; every record is counted once, in the task and on the page `/metrics`.
fn feed(source: &Records, seed: u64, records: u64, corpus: &[Vec<u8>]) -> (u64, BTreeMap<&'static str, u64>) {
    let mut dice = Dice(seed);
    let topic: Arc<str> = source.format.name().into();
    let mut rules = (*rules(30 * MINUTE)).clone();
    rules.sources.insert(topic.to_string(), source.clone());
    rules.dead_letters = true;
    let origin = Origin { topic: Arc::clone(&topic), partition: 0, stored: Default::default() };
    let mut task = Task::new("bad".to_owned(), Arc::new(rules), &[origin], None).expect("a new task");
    let metrics = Metrics::new(Registry::new(), "test").expect("a registry of its own");
    let mut offset = 0;
    while (offset as u64) < records {
        let mut block = Block::new(Arc::clone(&topic), 0);
        for _ in 0..1 + dice.below(200) {
            let input = mutate(&mut dice, corpus);
            let start = block.bytes.len() as u32;
            block.bytes.extend_from_slice(&input);
            block.records.push(Record {
                offset,
                timestamp: [-1, 1_772_413_200_000, i64::MAX][dice.below(3)],
                key: start,
                value: start,
                end: block.bytes.len() as u32,
                keyed: false,
                null: dice.percent(1),
                cut: dice.percent(1),
            });
            offset += 1;
        }
        task.consume(block);
        if dice.percent(30) {
            task.settle_live();
            drop(task.open_rows(TableSet::ALL, task.newest()));
        }
        if dice.percent(5)
            && let Some(handover) = task.flush(dice.percent(20))
        {
            task.committed(handover.flush.number);
        }
    }
    let stats = task.stats();
    let partition = stats.partitions[&(topic.to_string(), 0)];
    assert_eq!(partition.consumed, offset as u64, "seed {seed}: every record is consumed");
    assert_eq!(partition.gap(), 0, "seed {seed}: consumed = applied + duplicates + rejects");
    let page = metrics.render(&task.summary(task.newest()), &stats, task.newest());
    let shown = |name: &str| -> u64 {
        let line = page.lines().find(|line| line.starts_with(&format!("callpulse_records_{name}_total{{")));
        let value = line.and_then(|line| line.rsplit(' ').next()).expect("the page has the counter");
        value.parse().expect("a number of records")
    };
    assert_eq!(shown("consumed"), offset as u64);
    assert_eq!(shown("consumed"), shown("applied") + shown("duplicate") + shown("rejected"), "{page}");
    let mut became = BTreeMap::from([("applied", partition.applied), ("duplicates", partition.duplicates)]);
    for ((_, reason), count) in &stats.rejects {
        became.insert(reason.as_str(), *count);
    }
    (offset as u64, became)
}

#[test]
fn mutated_records_are_each_accounted_for() {
    let (all, seed) = (number("CALLPULSE_MUTATIONS", RECORDS), number("CALLPULSE_SEED", 1));
    for format in Format::ALL {
        let (source, corpus) = told_as(*format);
        // The canonical events are what most records are, and the adapters end in them.
        let records = if *format == Format::Callpulse { all } else { all.div_ceil(4) };
        let parts = 4;
        let told: Vec<_> = std::thread::scope(|scope| {
            let running: Vec<_> = (0..parts)
                .map(|part| {
                    let (source, corpus) = (&source, &corpus);
                    scope.spawn(move || {
                        // A task whose clock has been put far ahead finds everything too late: many short ones.
                        let tasks = records.div_ceil(parts * TASK_RECORDS);
                        let seeds = (0..tasks).map(|task| seed * 1_000_000 + part * 100_000 + task);
                        let told = seeds.map(|seed| feed(source, seed, TASK_RECORDS, corpus));
                        let (mut fed, mut became) = (0, BTreeMap::new());
                        for (records, of_task) in told {
                            fed += records;
                            of_task.into_iter().for_each(|(what, n)| *became.entry(what).or_default() += n);
                        }
                        (fed, became)
                    })
                })
                .collect();
            let join = |thread: std::thread::ScopedJoinHandle<'_, _>| {
                let told: (u64, BTreeMap<&'static str, u64>) = thread
                    .join()
                    .unwrap_or_else(|_| panic!("CALLPULSE_SEED={seed}: a mutated record panics"));
                told
            };
            running.into_iter().map(join).collect()
        });
        let mut became: BTreeMap<&str, u64> = BTreeMap::new();
        for (_, of_part) in &told {
            of_part.iter().for_each(|(what, count)| *became.entry(what).or_default() += count);
        }
        let fed: u64 = told.iter().map(|(fed, _)| fed).sum();
        println!(
            "{}: {fed} executions (CALLPULSE_SEED={seed}), corpus of {} records: {became:?}",
            format.name(),
            corpus.len()
        );
        let strict =
            ["applied", "duplicates", "not_utf8", "not_json", "missing_field", "bad_field", "bad_time"];
        let wanted = if *format == Format::Callpulse { &strict[..] } else { &strict[..1] };
        let rejects: u64 =
            became.iter().filter(|(what, _)| !strict[..2].contains(what)).map(|(_, n)| n).sum();
        assert!(rejects > 0, "{}: nothing was refused: {became:?}", format.name());
        for reason in wanted.iter().copied() {
            assert!(
                became.get(reason).is_some_and(|count| *count > 0),
                "{}: no record was `{reason}`: {became:?}",
                format.name()
            );
        }
    }
}

/// Line breaks of the corpus, written out there.
fn unescaped(input: &[u8]) -> Vec<u8> {
    String::from_utf8_lossy(input).replace("\\r", "\r").replace("\\n", "\n").into_bytes()
}

#[test]
fn mutated_configurations_are_answered() {
    let corpus: Vec<Vec<u8>> = corpus("config.txt").iter().map(|line| unescaped(line)).collect();
    let (records, seed) = (number("CALLPULSE_MUTATIONS", RECORDS) / 20, number("CALLPULSE_SEED", 1));
    let mut dice = Dice(seed);
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("callpulse.toml");
    // The lexicons themselves are mutated elsewhere: to read them each time would take most of the test's time.
    let reader = Arc::new(ArcSwap::from_pointee(Reader::new(&[]).expect("no word is wrong")));
    let (mut right, mut wrong) = (0, 0);
    for _ in 0..records {
        std::fs::write(&path, mutate(&mut dice, &corpus)).expect("a file");
        let sets = [String::from_utf8_lossy(&mutate(&mut dice, &corpus)).into_owned()];
        let sets = if dice.percent(10) { &sets[..] } else { &[] };
        match Config::load(Some(&path), std::iter::empty(), sets) {
            Ok(config) => {
                right += 1;
                drop(crate::app::settings::rules(&config, false, &reader));
            }
            Err(faults) => {
                wrong += 1;
                assert!(!faults.is_empty() && faults.iter().all(|fault| !fault.to_string().is_empty()));
            }
        }
    }
    println!(
        "config: {records} executions (CALLPULSE_SEED={seed}), corpus of {}: {right} right, {wrong} refused",
        corpus.len()
    );
    assert!(right > 0 && wrong > 0);
}

struct Nothing;

#[async_trait::async_trait]
impl Source for Nothing {
    async fn cut(&self, _wanted: TableSet) -> Result<Cut, query::Error> {
        Ok(Cut::empty(0))
    }
}

struct Still;

impl Clock for Still {
    fn now(&self) -> Millis {
        1_772_413_200_000
    }
}

fn engine() -> Arc<Engine> {
    let mut options = query::Options::new(Grid::new(chrono_tz::Asia::Shanghai, 30).expect("a slot length"));
    options.timeout = Duration::from_millis(500);
    options.memory_limit_bytes = 64 << 20;
    Arc::new(Engine::new(options, Arc::new(Nothing)).expect("an engine"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mutated_statements_are_answered() {
    let corpus = corpus("sql.txt");
    let (records, seed) = (number("CALLPULSE_MUTATIONS", RECORDS) / 100, number("CALLPULSE_SEED", 1));
    let mut dice = Dice(seed);
    let engine = engine();
    let (mut answers, mut refusals) = (0, 0);
    for _ in 0..records {
        let sql = String::from_utf8_lossy(&mutate(&mut dice, &corpus)).into_owned();
        let asked = {
            let (engine, sql) = (Arc::clone(&engine), sql.clone());
            tokio::spawn(async move {
                match engine.query(&sql).await {
                    Ok(answer) => {
                        let bytes = query::output::encode(answer, query::output::Format::Csv);
                        futures::TryStreamExt::try_collect::<Vec<_>>(bytes).await.map(drop)
                    }
                    Err(error) => Err(error),
                }
            })
        };
        match asked.await {
            Ok(Ok(())) => answers += 1,
            Ok(Err(error)) => {
                refusals += 1;
                assert!(!error.message.is_empty());
            }
            Err(_) => panic!("CALLPULSE_SEED={seed}: a statement panics: {sql}"),
        }
    }
    println!(
        "sql: {records} executions (CALLPULSE_SEED={seed}), corpus of {}: {answers} answered, {refusals} refused",
        corpus.len()
    );
    assert!(answers > 0 && refusals > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mutated_requests_leave_the_site_alive() {
    let corpus: Vec<Vec<u8>> = corpus("http.txt").iter().map(|line| unescaped(line)).collect();
    let (records, seed) = (number("CALLPULSE_MUTATIONS", RECORDS) / 50, number("CALLPULSE_SEED", 1));
    let mut dice = Dice(seed);
    let site = Site {
        engine: engine(),
        metrics: Arc::new(|| {
            let metrics = Metrics::new(Registry::new(), "test").expect("a registry of its own");
            metrics.render(&Summary::default(), &Stats::default(), 0)
        }),
        live: Arc::new(|| serde_json::json!({})),
        health: Arc::new(|| Health { alive: true, ready: true, reasons: Vec::new() }),
        intake: None,
        alerts: Alerts::none(),
        clock: Arc::new(Still),
        access: Arc::new(Access::local_only()),
        tls: None,
        departments: Arc::default(),
        fleet: None,
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let stop = CancellationToken::new();
    let running = tokio::spawn(serve::run(listener, site, stop.clone()));
    let mut answered = 0;
    for _ in 0..records {
        let request = mutate(&mut dice, &corpus);
        let mut stream = TcpStream::connect(address).await.expect("it listens");
        // It may hang up while it is being written to.
        let _ = stream.write_all(&request).await;
        let _ = stream.shutdown().await;
        let mut answer = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await;
        assert!(read.is_ok(), "CALLPULSE_SEED={seed}: no end of {:?}", String::from_utf8_lossy(&request));
        if answer.starts_with(b"HTTP/1.") {
            answered += 1;
            assert!(
                !answer.starts_with(b"HTTP/1.1 500"),
                "CALLPULSE_SEED={seed}: {:?}: {}",
                String::from_utf8_lossy(&request),
                String::from_utf8_lossy(&answer)
            );
        }
    }
    let mut stream = TcpStream::connect(address).await.expect("it still listens");
    let asked = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
    stream.write_all(asked).await.expect("it reads");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("it answers");
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    stop.cancel();
    running.await.expect("no panic").expect("it stops");
    println!(
        "http: {records} executions (CALLPULSE_SEED={seed}), corpus of {}: {answered} answered",
        corpus.len()
    );
}
