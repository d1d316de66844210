//! A worker between the thread that reads and the one that commits: partitions come, go and come back, commits are asked for at
//! any moment. What was offered is in a flush by the time its partition is given away, and no flush leaves a gap.

use std::sync::{Arc, Mutex};

use tokio::sync::{Notify, mpsc, oneshot};

use super::dice::{Dice, for_seeds};
use super::records::{Partition, Stored, TOPIC, partitions};
use super::simulation::rules;
use crate::app::task::{Handover, Origin, Task};
use crate::app::worker::{Ask, Options, Worker, task_of};
use crate::ingest::Place;
use crate::lake::Snapshot;
use crate::time::{MINUTE, SystemClock};

/// Seeds of an ordinary run of the tests; CI asks for thousands.
const SEEDS: u64 = 40;

/// What is known of a partition.
#[derive(Default)]
struct Known {
    /// Offered to the worker up to here, while it has the task.
    offered: Option<i64>,
    /// Flushed up to here.
    flushed: i64,
    snapshot: Option<Snapshot>,
    blocks: u64,
}

struct World {
    seed: u64,
    worker: Worker,
    known: Vec<Known>,
    places: Vec<Place>,
    /// Commits that were asked for and are not answered yet.
    asked: Vec<oneshot::Receiver<Vec<Handover>>>,
}

impl World {
    fn ask_flush(&mut self, only: Option<Vec<String>>, snapshot: bool) {
        let (reply, answer) = oneshot::channel();
        self.worker.ask(Ask::Flush { only, snapshot: Some(snapshot), reply });
        self.asked.push(answer);
    }

    /// Takes the answers in the order of the questions.
    fn take_answers(&mut self) {
        for answer in self.asked.drain(..) {
            for handover in answer.blocking_recv().expect("the worker answers") {
                let [range] = &handover.flush.ranges[..] else { panic!("one source") };
                let at = self.places.iter().position(|place| place.1 == range.partition).expect("known");
                let known = &mut self.known[at];
                assert_eq!(range.from, known.flushed, "seed {}: partition {at} without a gap", self.seed);
                known.flushed = range.to;
                if handover.snapshot.is_some() {
                    known.snapshot = handover.snapshot;
                }
            }
        }
    }
}

fn hand_over(seed: u64) -> u64 {
    let mut dice = Dice(seed);
    let partitions = partitions(&mut dice);
    let rules = rules(5 * MINUTE);
    let (alerts, _heard) = mpsc::channel(16);
    let options = Options {
        clock: Arc::new(SystemClock),
        commit_rows: usize::MAX / 8,
        small_state_bytes: 0,
        full: Arc::new(Notify::new()),
        split: Arc::new(Mutex::default()),
        alerts,
    };
    let mut world = World {
        seed,
        worker: Worker::start("hand-over", options).expect("a thread"),
        known: partitions.iter().map(|_| Known::default()).collect(),
        places: partitions.iter().map(|partition| (TOPIC.into(), partition.number)).collect(),
        asked: Vec::new(),
    };
    for _ in 0..120 {
        let at = dice.below(partitions.len());
        let place = world.places[at].clone();
        let name = task_of(&place, false);
        match (world.known[at].offered, dice.below(100)) {
            (None, 0..60) => {
                // Its positions are those of the last commit, which is asked for before the task is made.
                world.take_answers();
                let known = &mut world.known[at];
                let stored = Default::default();
                let origin = Origin { topic: Arc::clone(&place.0), partition: place.1, stored };
                let task = Task::new(name, Arc::clone(&rules), &[origin], known.snapshot.clone());
                known.offered = Some(known.flushed);
                if dice.percent(50) {
                    world.ask_flush(None, true);
                }
                world.worker.ask(Ask::Adopt(Box::new(task.expect("its own snapshot can be read"))));
            }
            (Some(from), 0..70) => {
                let block = partitions[at].block(from, 1 + dice.below(25));
                if let Some(next) = block.next_offset()
                    && world.worker.offer(&name, block).is_ok()
                {
                    world.known[at].offered = Some(next);
                    world.known[at].blocks += 1;
                }
            }
            (Some(offered), 70..80) => {
                world.ask_flush(Some(vec![name.clone()]), true);
                world.take_answers();
                let known = &world.known[at];
                assert_eq!(known.flushed, offered, "seed {seed}: what was offered is in the last flush");
                // Also where nothing came after a flush without state, as on a partition that has fallen silent.
                let saved = known.snapshot.as_ref().map_or(0, |snapshot| snapshot.positions[0].2);
                assert_eq!(saved, offered, "seed {seed}: and in the state that the next owner begins with");
                let (reply, done) = oneshot::channel();
                world.worker.ask(Ask::Release(vec![name], reply));
                done.blocking_recv().expect("the worker answers");
                world.known[at].offered = None;
            }
            _ => world.ask_flush(None, dice.percent(50)),
        }
    }
    world.take_answers();
    world.known.iter().map(|known| known.blocks).sum()
}

#[test]
fn what_was_offered_is_flushed_before_a_partition_is_given_away() {
    let blocks = std::sync::atomic::AtomicU64::new(0);
    let seeds = for_seeds(SEEDS, |seed| {
        blocks.fetch_add(hand_over(seed), std::sync::atomic::Ordering::Relaxed);
    });
    let blocks = blocks.into_inner();
    println!("{seeds} seeds of a worker: {blocks} blocks");
    assert!(blocks > seeds * 5, "hardly a block was offered");
}

/// Whatever the state is made of: the plan of a month has not one contact.
#[test]
fn what_state_takes_is_what_the_newest_snapshot_took() {
    let shift = |number: i64| {
        let value = format!(
            r#"{{"id":"s-{number}","type":"shift.planned","time":"2026-03-02T01:00:00Z","shift_id":"{number}","agent_id":"A{number}","start":"2026-03-03T01:00:00Z","end":"2026-03-03T09:00:00Z"}}"#
        );
        Stored { offset: number, timestamp: -1, value: Some(value.into_bytes()) }
    };
    let plan = Partition { number: 0, records: (0..2000).map(shift).collect() };
    let origin = Origin { topic: TOPIC.into(), partition: 0, stored: Default::default() };
    let task = Task::new("calls-0".to_owned(), rules(5 * MINUTE), &[origin], None);
    let mut task = task.expect("nothing was kept before");
    task.consume(plan.block(0, plan.records.len()));
    let snapshot = task.flush(true).and_then(|handover| handover.snapshot).expect("it was asked for");
    let bytes: usize = snapshot.batches.iter().map(|(_, batch)| batch.get_array_memory_size()).sum();
    assert!(bytes > 2000 * 100, "{bytes} bytes of 2000 shifts");
    assert_eq!(task.state_bytes(), bytes as u64);
}
