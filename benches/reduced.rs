//! The reduced job, on callpulse's own consumer and decoder: per half-hour slot and queue, how many events name the queue,
//! and the sums of their `duration_ms` and `dial_ms`. Other engines do the same job in `benches/peers`.
//!
//! ```text
//! reduced BROKERS TOPIC OUTPUT   read the topic from its beginning to where its partitions ended at the start
//! ```
//!
//! Exactly once: sums and positions go together into one file beside OUTPUT, replaced as a whole every ten seconds; a run
//! that finds it goes on from there. OUTPUT gets a line for each slot and queue, in order: slot (ms since 1970), queue,
//! events, sum of duration_ms, sum of dial_ms.
#![expect(clippy::print_stdout, reason = "the figure is what it is for")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use callpulse::decode::{Decoder, Format};
use callpulse::ingest::{AfterGap, Block, Consumer, Error, Gap, Lag, Options, Place, Sink, Start};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};

/// Length of a slot, ms.
const SLOT_MS: i64 = 30 * 60 * 1000;
/// How often sums and positions are made durable.
const CHECKPOINT: Duration = Duration::from_secs(10);

/// Events, sum of `duration_ms`, sum of `dial_ms`.
type Sums = [i64; 3];

/// What a checkpoint holds.
#[derive(Default)]
struct State {
    sums: BTreeMap<i64, Vec<(String, Sums)>>,
    /// The next offset of each partition.
    next: BTreeMap<i32, i64>,
}

impl State {
    fn take(&mut self, decoder: &mut Decoder, block: &Block) {
        let next = self.next.entry(block.partition).or_default();
        // Records come nearly in order of time: the slot of the last one is that of the next one nearly always.
        let (mut slot, mut queues) = (i64::MIN, None);
        for record in &block.records {
            *next = record.offset + 1;
            let Some(Ok(event)) = block.value(record).map(|value| decoder.decode(value, None)) else {
                continue;
            };
            let Some(queue) = event.queue.as_deref() else { continue };
            let of_event = event.time.div_euclid(SLOT_MS) * SLOT_MS;
            if of_event != slot || queues.is_none() {
                slot = of_event;
                queues = Some(self.sums.entry(slot).or_default());
            }
            let Some(queues) = queues.as_mut() else { continue };
            let at = queues.iter().position(|(name, _)| name == queue).unwrap_or_else(|| {
                queues.push((queue.to_owned(), [0; 3]));
                queues.len() - 1
            });
            let sums = &mut queues[at].1;
            sums[0] += 1;
            sums[1] += event.duration_ms.unwrap_or(0);
            sums[2] += event.dial_ms.unwrap_or(0);
        }
    }

    fn rows(&self) -> String {
        let mut rows = String::new();
        for (slot, queues) in &self.sums {
            let mut queues: Vec<_> = queues.iter().collect();
            queues.sort();
            for (queue, [events, duration, dial]) in queues {
                writeln!(rows, "{slot},{queue},{events},{duration},{dial}")
                    .expect("a string takes everything");
            }
        }
        rows
    }

    /// Replaces the checkpoint as a whole.
    fn store(&self, at: &Path) {
        let mut text = String::new();
        for (partition, next) in &self.next {
            writeln!(text, "{partition} {next}").expect("a string takes everything");
        }
        text.push('\n');
        text.push_str(&self.rows());
        let new = at.with_extension("new");
        let file = std::fs::File::create(&new).expect("a file beside OUTPUT can be made");
        std::io::Write::write_all(&mut &file, text.as_bytes()).expect("the disk has room");
        file.sync_all().expect("the file can be made durable");
        std::fs::rename(&new, at).expect("the file can be renamed");
    }

    fn load(at: &Path) -> State {
        let mut state = State::default();
        let Ok(text) = std::fs::read_to_string(at) else { return state };
        let (positions, rows) = text.split_once("\n\n").unwrap_or((&text, ""));
        for line in positions.lines() {
            let (partition, next) = line.split_once(' ').expect("a partition and its next offset");
            state.next.insert(partition.parse().expect("a number"), next.parse().expect("a number"));
        }
        for line in rows.lines() {
            let words: Vec<&str> = line.split(',').collect();
            let number = |at: usize| words[at].parse().expect("a number");
            state
                .sums
                .entry(number(0))
                .or_default()
                .push((words[1].to_owned(), [number(2), number(3), number(4)]));
        }
        state
    }
}

struct Job {
    state: Mutex<(State, Decoder, Instant)>,
    more: Condvar,
    checkpoint: PathBuf,
}

impl Sink for Job {
    fn assigned(&self, partitions: &[Place]) -> Result<Vec<Start>, String> {
        let state = self.state.lock().map_err(|error| error.to_string())?;
        let start = |(_, partition): &Place| {
            state.0.next.get(partition).map_or(Start::Beginning, |&at| Start::At(at))
        };
        Ok(partitions.iter().map(start).collect())
    }

    fn revoked(&self, _: &[Place], _: bool) {}

    fn offer(&self, block: Block) -> Result<(), Block> {
        let mut job = self.state.lock().expect("no one panics");
        let (state, decoder, stored) = &mut *job;
        state.take(decoder, &block);
        if stored.elapsed() >= CHECKPOINT {
            state.store(&self.checkpoint);
            *stored = Instant::now();
        }
        self.more.notify_one();
        Ok(())
    }

    fn end_of_partition(&self, _: &Place, _: i64) {}

    fn gap(&self, gap: &Gap) -> AfterGap {
        AfterGap::From(gap.low)
    }

    fn lag(&self, _: &[Lag]) {}

    fn failed(&self, error: Error) {
        panic!("{error}");
    }
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let [brokers, topic, output] = &words[..] else {
        eprintln!("usage: reduced BROKERS TOPIC OUTPUT");
        return;
    };
    let ends = ends(brokers, topic);
    let checkpoint = Path::new(output).with_extension("checkpoint");
    let state = (State::load(&checkpoint), Decoder::new(Format::Callpulse), Instant::now());
    let job = Arc::new(Job { state: Mutex::new(state), more: Condvar::new(), checkpoint });
    let options =
        Options::new(brokers.as_str(), format!("reduced-{}", std::process::id()), vec![topic.clone()]);
    let sink: Arc<dyn Sink> = Arc::<Job>::clone(&job);
    let consumer = Consumer::start(options, sink).expect("started");
    let behind = |state: &State| ends.iter().any(|(at, end)| state.next.get(at).copied().unwrap_or(0) < *end);
    let state = job.state.lock().expect("no one panics");
    let state = job.more.wait_while(state, |(state, ..)| behind(state)).expect("no one panics");
    state.0.store(&job.checkpoint);
    std::fs::write(output, state.0.rows()).expect("OUTPUT can be written");
    let events: i64 = state.0.sums.values().flatten().map(|(_, sums)| sums[0]).sum();
    println!("{events}");
    drop(state);
    consumer.stop();
}

/// Where each partition ends now.
fn ends(brokers: &str, topic: &str) -> BTreeMap<i32, i64> {
    let wait = Duration::from_secs(10);
    let consumer: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", brokers).create().expect("a consumer");
    let metadata = consumer.fetch_metadata(Some(topic), wait).expect("the broker answers");
    let end = |id| (id, consumer.fetch_watermarks(topic, id, wait).expect("the broker answers").1);
    metadata.topics()[0]
        .partitions()
        .iter()
        .map(|partition| end(partition.id()))
        .filter(|(_, end)| *end > 0)
        .collect()
}
