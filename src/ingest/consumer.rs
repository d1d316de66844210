//! The consumer as the rest of the house sees it: a thread that reads, and the sink it reads into.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::reader::Reader;
use super::{Block, Error};

/// A partition of a topic.
pub type Place = (Arc<str>, i32);

/// Where reading a partition starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At this offset: the first that is not yet in the durable record.
    At(i64),
    /// At the first record that Kafka has: nothing of the partition is in the durable record.
    Beginning,
}

/// Records that should be read next are not there: retention has passed them, or the topic was cut or made anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// The partition.
    pub place: Place,
    /// The offset that reading should have gone on at.
    pub wanted: i64,
    /// The first offset that Kafka has.
    pub low: i64,
    /// The offset that the next record of the partition will get.
    pub high: i64,
}

impl Gap {
    /// How many records are missing; `None` where the topic is shorter than what was read of it, so that nobody can tell.
    pub fn missing(&self) -> Option<i64> {
        (self.wanted < self.low).then(|| self.low - self.wanted)
    }
}

/// What to do about a [`Gap`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterGap {
    /// Go on at this offset, between `low` and `high`; the first that is there is [`Gap::low`].
    From(i64),
    /// Leave the partition unread until it is assigned anew.
    Stop,
}

/// How far reading has come in a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lag {
    /// The partition.
    pub place: Place,
    /// The next offset to be read.
    pub position: i64,
    /// The first offset that Kafka has, as the last fetch saw it.
    pub low: i64,
    /// The offset that the next record of the partition will get, as the last fetch saw it.
    pub high: i64,
}

/// Where records go. Called on the consumer's thread: what blocks here, blocks reading.
pub trait Sink: Send + Sync {
    /// Partitions have been given to this member. Returns where each starts, in the same order, from the durable record.
    /// None are given where the group has fewer partitions than members.
    ///
    /// May block for seconds: the group waits. An error ends the consumer.
    fn assigned(&self, partitions: &[Place]) -> Result<Vec<Start>, String>;

    /// Partitions have been taken away. Returns when they have been drained or dropped; then another member gets them.
    ///
    /// `lost`: the membership has run out, and another member may already read them.
    fn revoked(&self, partitions: &[Place], lost: bool);

    /// The next records of a partition. `Err` gives the block back: there is no room now, and it is offered again later.
    ///
    /// Must not block. After a short wait the partition is paused while the others go on.
    fn offer(&self, block: Block) -> Result<(), Block>;

    /// All records of the partition have been offered and taken; the next will have this offset.
    fn end_of_partition(&self, place: &Place, offset: i64);

    /// The durable position points at records that Kafka does not have.
    fn gap(&self, gap: &Gap) -> AfterGap;

    /// How far reading has come, about once a second, for partitions that have been fetched.
    fn lag(&self, lags: &[Lag]);

    /// The consumer has ended by itself: nothing comes any more. Called at most once, and not after [`Consumer::stop`].
    fn failed(&self, error: Error);
}

/// What a [`Consumer`] reads, and how.
#[derive(Clone)]
pub struct Options {
    /// `host:port`, separated by commas.
    pub brokers: String,
    /// The consumer group.
    pub group: String,
    /// The topics; at least one.
    pub topics: Vec<String>,
    /// Handed to librdkafka, e.g. for TLS and SASL.
    pub properties: BTreeMap<String, String>,
    /// The same partition number of all topics goes to the same member; the topics must have equally many.
    pub co_partitioned: bool,
    /// Records read at once.
    pub batch_max: usize,
    /// How long a batch that is not full waits for more: what reading adds to the age of an event at most.
    pub batch_wait: Duration,
    /// How long a partition whose block finds no room holds up reading before it is paused instead. Pausing throws away
    /// what was read ahead, so a sink that is full for an instant should not cause it.
    pub patience: Duration,
    /// How long the brokers may take to answer at the start.
    pub connect_max: Duration,
}

impl Options {
    /// The usual: batches of 4096 records or 20 ms, 100 ms of patience, 30 s to connect.
    pub fn new(brokers: impl Into<String>, group: impl Into<String>, topics: Vec<String>) -> Options {
        Options {
            brokers: brokers.into(),
            group: group.into(),
            topics,
            properties: BTreeMap::new(),
            co_partitioned: false,
            batch_max: 4096,
            batch_wait: Duration::from_millis(20),
            patience: Duration::from_millis(100),
            connect_max: Duration::from_secs(30),
        }
    }
}

/// What the consumer has done since its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Records taken by the sink.
    pub records: u64,
    /// Bytes of their keys and values.
    pub bytes: u64,
    /// Times that a partition was paused because its sink was full.
    pub pauses: u64,
    /// Times that the broker was polled.
    pub polls: u64,
}

/// What the consumer's thread and its handle share.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) stop: AtomicBool,
    pub(super) hints: Mutex<HashMap<Place, i64>>,
    pub(super) again: Mutex<Vec<Place>>,
    pub(super) records: AtomicU64,
    pub(super) bytes: AtomicU64,
    pub(super) pauses: AtomicU64,
    pub(super) polls: AtomicU64,
}

/// A handle by which a [`Consumer`] is told something from elsewhere; it keeps nothing alive.
#[derive(Clone)]
pub struct Remote {
    shared: Arc<Shared>,
}

impl Remote {
    /// Has the sink give up these partitions ([`Sink::revoked`], as lost) and take them on anew ([`Sink::assigned`]), at the
    /// positions that are durable then. For a sink that has found out that what it holds is not the truth. Those that
    /// are not assigned are left out.
    pub fn begin_again(&self, places: impl IntoIterator<Item = Place>) {
        self.shared.again.lock().unwrap_or_else(PoisonError::into_inner).extend(places);
    }

    /// As [`Consumer::commit_hint`].
    pub fn commit_hint(&self, topic: &Arc<str>, partition: i32, next_offset: i64) {
        let mut hints = self.shared.hints.lock().unwrap_or_else(PoisonError::into_inner);
        hints.insert((Arc::clone(topic), partition), next_offset);
    }
}

/// A member of a consumer group on a thread of its own. Dropping it stops it.
pub struct Consumer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Consumer {
    /// Connects, joins the group and starts reading. Blocks until the brokers have answered.
    ///
    /// # Errors
    /// [`Error::Settings`] where a property is refused or co-partitioned topics differ in partitions, [`Error::Outside`]
    /// where no broker answers within `connect_max`. A topic that does not exist is waited for.
    pub fn start(options: Options, sink: Arc<dyn Sink>) -> Result<Consumer, Error> {
        let shared = Arc::new(Shared::default());
        let (tell, told) = sync_channel(1);
        let of_thread = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("kafka-consumer".into())
            .spawn(move || match Reader::start(options, sink, of_thread) {
                Ok(reader) => {
                    // The one who waits has gone only if its thread has; then there is nobody to read for.
                    if tell.send(Ok(())).is_ok() {
                        reader.run();
                    }
                }
                Err(error) => drop(tell.send(Err(error))),
            })
            .map_err(|error| Error::Outside {
                message: format!("no thread can be started: {error}"),
                hint: "raise the limit of threads of this user".into(),
            })?;
        let started = told.recv().unwrap_or_else(|_| {
            Err(Error::Outside {
                message: "the consumer's thread ended while it started".into(),
                hint: "this is a bug; the panic's message stands above".into(),
            })
        });
        let consumer = Consumer { shared, thread: Some(thread) };
        started.map(|()| consumer)
    }

    /// Tells Kafka how far a partition has been dealt with, for tools that show lag. Sent within a second; not durable.
    pub fn commit_hint(&self, topic: &Arc<str>, partition: i32, next_offset: i64) {
        let mut hints = self.shared.hints.lock().unwrap_or_else(PoisonError::into_inner);
        hints.insert((Arc::clone(topic), partition), next_offset);
    }

    /// A handle for who does not own the consumer.
    pub fn remote(&self) -> Remote {
        Remote { shared: Arc::clone(&self.shared) }
    }

    /// What has been done since the start.
    pub fn stats(&self) -> Stats {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            records: of(&self.shared.records),
            bytes: of(&self.shared.bytes),
            pauses: of(&self.shared.pauses),
            polls: of(&self.shared.polls),
        }
    }

    /// Stops reading, has the sink drain its partitions ([`Sink::revoked`]), sends the last hints and leaves the group.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed already.
            let _ = thread.join();
        }
    }
}
