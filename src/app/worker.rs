//! Threads that own tasks: blocks and questions come in through channels, answers go out.
//!
//! Each task lives on one worker, so its state needs no lock. Every channel has a bound; a full one
//! slows reading down.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use arrow::array::RecordBatch;
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded, never, select};
use tokio::sync::{Notify, oneshot};

use super::alerting::Said;
use super::task::{Beyond, Handover, Task};
use crate::facts::{Table, TableSet};
use crate::ingest::{Block, Place};
use crate::lake::Positions;
use crate::metrics::Stats;
use crate::time::{Clock, Millis};
use crate::window::Summary;

/// Blocks that wait for a worker: with blocks of some thousand records a few hundred ms of work.
const BLOCKS_MAX: usize = 16;
/// Questions that wait for a worker.
const ASKS_MAX: usize = 256;
/// How often a worker shows its figures.
const SHOW_EVERY: Duration = Duration::from_millis(100);
/// Without a block for this long a worker has nothing to do.
const IDLE: Duration = Duration::from_millis(5);
/// Records taken between two settlings at most: rows become visible and builders stay small.
const SETTLE_RECORDS: usize = 1 << 18;
/// What settling and showing may take of a worker's time, one part in so many: a contact whose events come in one go is
/// looked at once, so a worker that is behind does better to look seldom …
const SHOW_SHARE: u32 = 20;
/// … but at least this often …
const SHOW_AT_LEAST: Duration = Duration::from_millis(500);
/// … and this often while it reads what is old: nobody waits for the figures of a moment in a backlog …
const SHOW_AT_LEAST_OF_OLD: Duration = Duration::from_millis(2500);
/// … that was produced longer than this before.
const OLD_MS: Millis = 10_000;

/// How long an answer serves further questions: a dashboard asks a dozen at once, and each would cost a pass
/// over every open contact.
const ANSWER_KEPT: Duration = Duration::from_millis(200);

/// Rows of one task as a query sees them.
pub(super) type TaskRows = Vec<(&'static Table, RecordBatch)>;

/// What one task has beyond what a reader's tables have.
#[derive(Debug)]
pub(super) struct TaskBeyond {
    /// The task.
    pub task: String,
    /// Its partitions, each with the next offset to be taken.
    pub places: Vec<(Place, i64)>,
    /// Its rows.
    pub rows: Beyond,
}

/// What a worker is asked to do.
pub(super) enum Ask {
    /// Owns this task from now on.
    Adopt(Box<Task>),
    /// Hands over what the named tasks (all, when `None`) have for the lake.
    Flush {
        /// Only these tasks, which take no more records after it: they go to another owner.
        only: Option<Vec<String>>,
        /// With their state; `None`: when the worker's is small enough to be written each time.
        snapshot: Option<bool>,
        /// Where the answer goes.
        reply: oneshot::Sender<Vec<Handover>>,
    },
    /// A flush of this task is durable.
    Committed(String, u64),
    /// Drops these tasks.
    Release(Vec<String>, oneshot::Sender<()>),
    /// Rows in memory that are not in these committed flushes.
    Rows {
        /// The newest committed flush of each task.
        committed: Arc<HashMap<String, u64>>,
        /// The tables.
        wanted: TableSet,
        /// The present.
        now: Millis,
        /// Where the answer goes.
        reply: oneshot::Sender<TaskRows>,
    },
    /// Rows in memory beyond these positions of the tables, task by task.
    Beyond {
        /// What the reader's tables have.
        stored: Arc<Positions>,
        /// The present.
        now: Millis,
        /// Where the answer goes.
        reply: oneshot::Sender<Vec<TaskBeyond>>,
    },
    /// The thread ends.
    Stop,
}

/// What comes in of Kafka.
enum Offered {
    /// Records for a task, and when they came.
    Block(String, Block, Instant),
    /// Everything that Kafka had of a task's partition at this time stands before this.
    End(String, Place, Millis),
}

impl Offered {
    fn task(&self) -> &str {
        let (Offered::Block(task, ..) | Offered::End(task, ..)) = self;
        task
    }
}

/// What a worker shows to whoever looks, without being asked.
#[derive(Debug, Default)]
pub(super) struct Shown {
    /// The windows of its tasks together.
    pub summary: Summary,
    /// The pipeline's figures of its tasks together.
    pub stats: Stats,
    /// Some task replays rows that the lake has.
    pub replays: bool,
}

/// How workers behave.
#[derive(Clone)]
pub(super) struct Options {
    /// The present, for windows.
    pub clock: Arc<dyn Clock>,
    /// A worker with this many rows asks for a commit.
    pub commit_rows: usize,
    /// The state of a worker's tasks goes along with every flush while it is up to this many bytes.
    pub small_state_bytes: u64,
    /// Told when a worker has rows enough.
    pub full: Arc<Notify>,
    /// Finds contacts whose events come to more than one task.
    pub split: Arc<Mutex<SplitWatch>>,
    /// Hears what rules say.
    pub alerts: tokio::sync::mpsc::Sender<Said>,
}

/// Finds contacts whose events come to more than one task, which tears their rows apart: a producer hashes
/// keys otherwise than the others, or a topic is not keyed by contact. Looks at a sample of one contact in 64.
#[derive(Debug, Default)]
pub(super) struct SplitWatch {
    seen: HashMap<u64, Arc<str>>,
    found: u64,
}

/// Contacts of the sample that are remembered.
const SPLIT_SEEN_MAX: usize = 1 << 16;

impl SplitWatch {
    fn note(&mut self, task: &str, contacts: Vec<u64>) {
        if contacts.is_empty() {
            return;
        }
        if self.seen.len() + contacts.len() > SPLIT_SEEN_MAX {
            self.seen.clear();
        }
        let task: Arc<str> = task.into();
        for contact in contacts {
            let owner = self.seen.entry(contact).or_insert_with(|| Arc::clone(&task));
            if *owner != task {
                self.found += 1;
                *owner = Arc::clone(&task);
            }
        }
    }

    /// Contacts of the sample that were seen by a second task.
    pub(super) fn found(&self) -> u64 {
        self.found
    }
}

/// The handle of a worker.
pub(super) struct Worker {
    asks: Sender<Ask>,
    blocks: Sender<Offered>,
    shown: Arc<ArcSwap<Shown>>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Starts a worker without tasks.
    ///
    /// # Errors
    /// The system's error when no thread can be started.
    pub(super) fn start(name: &str, options: Options) -> std::io::Result<Worker> {
        let (asks, asked) = bounded(ASKS_MAX);
        let (blocks, offered) = bounded(BLOCKS_MAX);
        let shown = Arc::new(ArcSwap::from_pointee(Shown::default()));
        let of_thread = Arc::clone(&shown);
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            Room {
                options,
                tasks: HashMap::new(),
                shown: of_thread,
                latest: Instant::now(),
                show_after: SHOW_EVERY,
                reads_old: false,
                gone: Stats::default(),
                gone_counters: Summary::default(),
                counted: HashMap::new(),
                leaving: HashSet::new(),
                early: VecDeque::new(),
                answered: None,
                latency: Stats::default(),
                arrived: Vec::new(),
            }
            .run(&asked, &offered);
        })?;
        Ok(Worker { asks, blocks, shown, thread: Some(thread) })
    }

    /// Offers a block; gives it back when the worker has enough to do.
    ///
    /// # Errors
    /// The block.
    pub(super) fn offer(&self, task: &str, block: Block) -> Result<(), Block> {
        match self.blocks.try_send(Offered::Block(task.to_owned(), block, Instant::now())) {
            Err(
                TrySendError::Full(Offered::Block(_, block, _))
                | TrySendError::Disconnected(Offered::Block(_, block, _)),
            ) => Err(block),
            _ => Ok(()),
        }
    }

    /// Tells that Kafka had nothing of this partition, at this time, that was not offered. Who has enough to do need not
    /// hear it: it is behind.
    pub(super) fn note_end(&self, task: &str, place: &Place, at: Millis) {
        let _ = self.blocks.try_send(Offered::End(task.to_owned(), place.clone(), at));
    }

    /// Asks; waits while the worker has too many questions already.
    pub(super) fn ask(&self, ask: Ask) {
        // A worker that has ended drops the question, and with it the sender of its answer.
        let _ = self.asks.send(ask);
    }

    /// What it shows now.
    pub(super) fn shown(&self) -> Arc<Shown> {
        self.shown.load_full()
    }
}

impl Drop for Worker {
    /// Ends the thread after what it was asked before.
    fn drop(&mut self) {
        self.ask(Ask::Stop);
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed already.
            let _ = thread.join();
        }
    }
}

/// Rows that were asked for: when, beside which commits, of which tables, and what they were.
struct Answered {
    at: Instant,
    committed: Arc<HashMap<String, u64>>,
    wanted: TableSet,
    rows: TaskRows,
}

/// The worker's side.
struct Room {
    options: Options,
    tasks: HashMap<String, Task>,
    shown: Arc<ArcSwap<Shown>>,
    /// When figures were shown last, and how long they hold.
    latest: Instant,
    show_after: Duration,
    /// The newest records were produced long ago.
    reads_old: bool,
    /// What tasks had counted that were given away.
    gone: Stats,
    /// The windows' counters of such tasks: counters never fall.
    gone_counters: Summary,
    /// Up to which offset the records of a partition that was given away were counted.
    counted: HashMap<Place, i64>,
    /// Tasks that are about to be given away.
    leaving: HashSet<String>,
    /// What came of tasks before they were adopted: the two channels have no common order.
    early: VecDeque<Offered>,
    /// The rows that were last asked for, beside which commits, and when.
    answered: Option<Answered>,
    latency: Stats,
    /// When blocks arrived that are not shown yet, and their records.
    arrived: Vec<Instant>,
}

impl Room {
    fn run(mut self, asked: &Receiver<Ask>, offered: &Receiver<Offered>) {
        let mut unsettled = 0;
        loop {
            let closed = never();
            let mut idle = false;
            // While the lake is behind, records wait where they are: reading slows down, nothing is lost.
            let blocks = if self.is_full() { &closed } else { offered };
            select! {
                recv(asked) -> ask => match ask {
                    Ok(Ask::Stop) | Err(_) => return,
                    Ok(ask) => self.answer(ask, offered),
                },
                recv(blocks) -> offered_now => {
                    if let Ok(what) = offered_now {
                        if let Offered::Block(_, block, _) = &what {
                            unsettled += block.len();
                            let produced = block.records.last().map(|record| record.timestamp);
                            let now = self.options.clock.now();
                            self.reads_old =
                                produced.is_some_and(|at| (0..now.saturating_sub(OLD_MS)).contains(&at));
                        }
                        self.take(what);
                    }
                }
                default(if unsettled > 0 { IDLE } else { SHOW_EVERY }) => idle = true,
            }
            // Under load a contact's events of a while are settled at once; when nothing comes, at once what is there.
            let due = self.latest.elapsed() >= self.show_after;
            if unsettled >= SETTLE_RECORDS || (unsettled > 0 && (idle || due)) {
                unsettled = 0;
                let began = Instant::now();
                self.show();
                let at_least = if self.reads_old { SHOW_AT_LEAST_OF_OLD } else { SHOW_AT_LEAST };
                self.show_after = (began.elapsed() * SHOW_SHARE).clamp(SHOW_EVERY, at_least);
            } else if due {
                self.show();
            }
        }
    }

    fn is_full(&self) -> bool {
        self.tasks.values().map(Task::waiting_rows).sum::<usize>() >= self.options.commit_rows * 4
    }

    fn take(&mut self, what: Offered) {
        let name = what.task();
        if self.leaving.contains(name) {
            return;
        }
        let Some(task) = self.tasks.get_mut(name) else {
            self.early.push_back(what);
            return;
        };
        match what {
            Offered::Block(_, block, arrived) => {
                self.arrived.push(arrived);
                task.consume(block);
                tell(task, &self.options, arrived);
                if task.waiting_rows() >= self.options.commit_rows {
                    self.options.full.notify_one();
                }
            }
            Offered::End(_, place, at) => task.note_end(&place, at),
        }
    }

    fn answer(&mut self, ask: Ask, offered: &Receiver<Offered>) {
        match ask {
            Ask::Adopt(mut task) => {
                task.counted_to(|topic, partition| {
                    self.counted.get(&(Arc::clone(topic), partition)).copied().unwrap_or(0)
                });
                let name = task.name().to_owned();
                self.leaving.remove(&name);
                self.tasks.insert(name.clone(), *task);
                let (of_task, others) = self.early.drain(..).partition(|what| what.task() == name);
                self.early = others;
                let of_task: VecDeque<Offered> = of_task;
                of_task.into_iter().for_each(|what| self.take(what));
            }
            Ask::Flush { only, snapshot, reply } => {
                // The consumer waits for this answer, so what it has offered before is all there is of these tasks.
                while only.is_some()
                    && let Ok(what) = offered.try_recv()
                {
                    self.take(what);
                }
                let wanted = |name: &str| only.as_ref().is_none_or(|only| only.iter().any(|o| o == name));
                self.leaving.extend(only.iter().flatten().cloned());
                let state: u64 = self.tasks.values().map(Task::state_bytes).sum();
                let snapshot = snapshot.unwrap_or(state <= self.options.small_state_bytes);
                let names: Vec<String> = self.tasks.keys().filter(|name| wanted(name)).cloned().collect();
                let mut handovers = Vec::new();
                for name in names {
                    handovers.extend(self.tasks.get_mut(&name).and_then(|task| task.flush(snapshot)));
                    // Writing down a state takes a while: nobody waits for the figures until all of them are written.
                    if snapshot && self.latest.elapsed() >= self.show_after {
                        // What waits now, and no more: in a backlog something waits at any time.
                        let waiting = if self.is_full() { 0 } else { offered.len() };
                        offered.try_iter().take(waiting).for_each(|what| self.take(what));
                        self.show();
                    }
                }
                let _ = reply.send(handovers);
            }
            Ask::Committed(name, number) => {
                if let Some(task) = self.tasks.get_mut(&name) {
                    task.committed(number);
                }
            }
            Ask::Release(names, reply) => {
                // The consumer waits for this answer, so nothing is offered meanwhile. What is still in the
                // channel of these tasks is read again by their next owner, from where they stopped.
                self.early.retain(|what| !names.iter().any(|name| name == what.task()));
                while let Ok(what) = offered.try_recv() {
                    if !names.iter().any(|name| name == what.task()) {
                        self.take(what);
                    }
                }
                for name in names {
                    self.leaving.remove(&name);
                    if let Some(mut task) = self.tasks.remove(&name) {
                        for (topic, partition, next) in task.positions() {
                            let counted = self.counted.entry((Arc::clone(topic), partition)).or_default();
                            *counted = next.max(*counted);
                        }
                        let mut stats = task.stats();
                        stats.open_contacts = 0;
                        let now = self.options.clock.now();
                        self.gone_counters.merge(&task.summary(now).counters_only());
                        stats.partitions.values_mut().for_each(|p| (p.lag, p.watermark) = (None, None));
                        self.gone.merge(&stats);
                    }
                }
                self.show();
                let _ = reply.send(());
            }
            Ask::Rows { committed, wanted, now, reply } => {
                let _ = reply.send(self.rows(committed, wanted, now));
            }
            Ask::Beyond { stored, now, reply } => {
                let answers = self.tasks.iter_mut().map(|(name, task)| TaskBeyond {
                    task: name.clone(),
                    rows: task.rows_beyond(&stored, now),
                    places: task
                        .positions()
                        .map(|(topic, partition, next)| ((Arc::clone(topic), partition), next))
                        .collect(),
                });
                let _ = reply.send(answers.collect());
            }
            Ask::Stop => {}
        }
    }

    fn rows(&mut self, committed: Arc<HashMap<String, u64>>, wanted: TableSet, now: Millis) -> TaskRows {
        if let Some(answered) = &self.answered
            && answered.at.elapsed() < ANSWER_KEPT
            && answered.wanted.covers(wanted)
            && Arc::ptr_eq(&answered.committed, &committed)
        {
            return answered.rows.clone();
        }
        let mut rows = Vec::new();
        for (name, task) in &mut self.tasks {
            rows.extend(task.rows(committed.get(name).copied().unwrap_or(0), wanted, now));
        }
        self.answered = Some(Answered { at: Instant::now(), committed, wanted, rows: rows.clone() });
        rows
    }

    fn show(&mut self) {
        let now = self.options.clock.now();
        let mut summary = self.gone_counters.clone();
        let mut stats = self.gone.clone();
        for task in self.tasks.values_mut() {
            task.settle_live();
            task.watch_time(now);
            tell(task, &self.options, Instant::now());
            summary.merge(&task.summary(now));
            stats.merge(&task.stats());
            let sample = task.take_sample();
            self.options.split.lock().expect("no holder of this lock can panic").note(task.name(), sample);
        }
        for arrived in self.arrived.drain(..) {
            self.latency.event_latency.observe(arrived.elapsed().as_millis() as i64);
        }
        stats.merge(&self.latency);
        let replays = self.tasks.values().any(Task::replays);
        self.shown.store(Arc::new(Shown { summary, stats, replays }));
        self.latest = Instant::now();
        // What nobody asks for any more is not kept in memory.
        self.answered.take_if(|answered| answered.at.elapsed() >= ANSWER_KEPT);
    }
}

/// Hands on what a task's rules had to say; `read` is when the records behind it came.
fn tell(task: &mut Task, options: &Options, read: Instant) {
    let signals = task.take_signals();
    if !signals.is_empty() {
        // Nobody hears it any more when the service stops; the next one reads the records again.
        let _ = options.alerts.blocking_send(Said::Signals(signals, read));
    }
    for shift in task.take_shifts() {
        let _ = options.alerts.blocking_send(Said::Shift(Box::new(shift)));
    }
}

/// Which task a partition belongs to: its own, or that of the same partition number of all topics.
pub(super) fn task_of((topic, partition): &Place, co_partitioned: bool) -> String {
    if co_partitioned { format!("co-{partition}") } else { format!("{topic}-{partition}") }
}
