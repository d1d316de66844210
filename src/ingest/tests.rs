//! The room against the embedded broker, which speaks the real protocol. Nothing needs to be installed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::Headers;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};

use super::*;

const TOPIC: &str = "events";

/// As long as a busy machine may take for anything here.
const PATIENCE: Duration = Duration::from_secs(60);

/// Offset, timestamp, key and value of a record.
type Taken = (i64, i64, Option<Vec<u8>>, Option<Vec<u8>>);

/// What a sink has seen, and what it answers.
#[derive(Default)]
struct Seen {
    taken: BTreeMap<(String, i32), Vec<Taken>>,
    /// The durable record: next offsets.
    positions: HashMap<(String, i32), i64>,
    /// Partitions that find no room.
    full: BTreeSet<i32>,
    after_gap: Option<AfterGap>,
    broken: bool,
    owned: BTreeMap<usize, BTreeSet<(String, i32)>>,
    assignments: usize,
    ends: BTreeMap<(String, i32), i64>,
    gaps: Vec<Gap>,
    lags: BTreeMap<(String, i32), Lag>,
    failed: Option<String>,
}

impl Seen {
    fn count(&self) -> usize {
        self.taken.values().map(Vec::len).sum()
    }

    fn offsets(&self, partition: i32) -> Vec<i64> {
        self.taken[&(TOPIC.to_owned(), partition)].iter().map(|record| record.0).collect()
    }

    fn values(&self) -> Vec<String> {
        let mut values: Vec<_> =
            self.taken.values().flatten().map(|record| text(record.3.as_deref())).collect();
        values.sort();
        values
    }
}

fn text(bytes: Option<&[u8]>) -> String {
    String::from_utf8_lossy(bytes.expect("a value")).into_owned()
}

/// A sink whose durable record is memory, shared by all members of a test's group.
#[derive(Clone, Default)]
struct Shelf(Arc<(Mutex<Seen>, Condvar)>);

impl Shelf {
    fn change<T>(&self, change: impl FnOnce(&mut Seen) -> T) -> T {
        let changed = change(&mut self.0.0.lock().unwrap());
        self.0.1.notify_all();
        changed
    }

    /// Waits until it is so, or fails.
    #[track_caller]
    fn wait(&self, what: &str, so: impl Fn(&Seen) -> bool) {
        let (seen, waited) =
            (self.0.1).wait_timeout_while(self.0.0.lock().unwrap(), PATIENCE, |seen| !so(seen)).unwrap();
        assert!(
            !waited.timed_out(),
            "never came: {what}; taken {}, owned {:?}, gaps {:?}, failed {:?}",
            seen.count(),
            seen.owned,
            seen.gaps,
            seen.failed
        );
    }

    fn member(&self, name: usize) -> Arc<dyn Sink> {
        Arc::new(Member { shelf: self.clone(), name })
    }
}

struct Member {
    shelf: Shelf,
    name: usize,
}

fn key_of(place: &Place) -> (String, i32) {
    (place.0.to_string(), place.1)
}

impl Sink for Member {
    fn assigned(&self, partitions: &[Place]) -> Result<Vec<Start>, String> {
        self.shelf.change(|seen| {
            if seen.broken {
                return Err("the disk is gone".to_owned());
            }
            seen.assignments += 1;
            seen.owned.entry(self.name).or_default().extend(partitions.iter().map(key_of));
            let start =
                |place| seen.positions.get(&key_of(place)).map_or(Start::Beginning, |at| Start::At(*at));
            Ok(partitions.iter().map(start).collect())
        })
    }

    fn revoked(&self, partitions: &[Place], _: bool) {
        self.shelf.change(|seen| {
            let owned = seen.owned.entry(self.name).or_default();
            for place in partitions {
                assert!(owned.remove(&key_of(place)), "revoked without having been assigned: {place:?}");
            }
        });
    }

    fn offer(&self, block: Block) -> Result<(), Block> {
        self.shelf.change(|seen| {
            if seen.full.contains(&block.partition) {
                return Err(block);
            }
            let place = (block.topic.to_string(), block.partition);
            assert!(seen.owned[&self.name].contains(&place), "a block of a partition that is not ours");
            let copied = block.records.iter().map(|record| {
                let owned = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
                (record.offset, record.timestamp, owned(block.key(record)), owned(block.value(record)))
            });
            seen.taken.entry(place.clone()).or_default().extend(copied);
            seen.positions.insert(place, block.next_offset().expect("a block has records"));
            Ok(())
        })
    }

    fn end_of_partition(&self, place: &Place, offset: i64) {
        self.shelf.change(|seen| seen.ends.insert(key_of(place), offset));
    }

    fn gap(&self, gap: &Gap) -> AfterGap {
        self.shelf.change(|seen| {
            seen.gaps.push(gap.clone());
            seen.after_gap.unwrap_or(AfterGap::From(gap.low))
        })
    }

    fn lag(&self, lags: &[Lag]) {
        self.shelf.change(|seen| {
            seen.lags.extend(lags.iter().map(|lag| (key_of(&lag.place), lag.clone())));
        });
    }

    fn failed(&self, error: Error) {
        self.shelf.change(|seen| seen.failed = Some(error.to_string()));
    }
}

fn options(broker: &EmbeddedBroker) -> Options {
    // The embedded broker waits for all but a second of the session's length before it shares out partitions anew.
    let brisk = [("session.timeout.ms", "2000"), ("heartbeat.interval.ms", "200")];
    Options {
        properties: brisk.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        ..Options::new(broker.brokers(), "tests", vec![TOPIC.to_owned()])
    }
}

fn start(options: Options, shelf: &Shelf, member: usize) -> Consumer {
    Consumer::start(options, shelf.member(member)).unwrap_or_else(|error| panic!("{error}"))
}

/// Writes `range` as values, each its own key.
fn write(broker: &EmbeddedBroker, range: std::ops::Range<usize>) -> Feeder {
    let feeder = Feeder::new(broker.brokers(), &BTreeMap::new()).expect("no property is refused");
    for number in range {
        let value = format!("{{\"n\":{number:06}}}");
        feeder.send(TOPIC, format!("c{number}").as_bytes(), value.as_bytes(), 1_000 + number as i64).unwrap();
    }
    feeder.flush(PATIENCE).unwrap();
    feeder
}

fn values(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| format!("{{\"n\":{number:06}}}")).collect()
}

#[test]
fn every_record_of_four_partitions_comes_once_and_in_order() {
    let broker = EmbeddedBroker::start(&[(TOPIC, 4)]).unwrap();
    write(&broker, 0..10_000);
    let shelf = Shelf::default();
    let consumer = start(options(&broker), &shelf, 1);
    shelf.wait("all records", |seen| seen.count() == 10_000);
    shelf.wait("all ends", |seen| seen.ends.len() == 4);
    shelf.wait("lag", |seen| seen.lags.len() == 4 && seen.lags.values().all(|lag| lag.position == lag.high));
    shelf.change(|seen| {
        assert_eq!(seen.values(), values(0..10_000));
        for partition in 0..4 {
            let offsets = seen.offsets(partition);
            assert!(offsets.len() > 1_000, "murmur2 spreads the keys: {}", offsets.len());
            assert_eq!(offsets, (0..offsets.len() as i64).collect::<Vec<_>>());
            assert_eq!(seen.ends[&(TOPIC.to_owned(), partition)], offsets.len() as i64);
        }
        let (_, timestamp, key, value) = &seen.taken[&(TOPIC.to_owned(), 2)][7];
        let number: i64 = text(key.as_deref())[1..].parse().unwrap();
        assert_eq!((*timestamp, text(value.as_deref())), (1_000 + number, format!("{{\"n\":{number:06}}}")));
    });
    assert_eq!(consumer.stats().records, 10_000);
    consumer.stop();
    shelf.change(|seen| {
        assert_eq!(seen.owned[&1].len(), 0, "stopping revokes");
        assert_eq!(seen.failed, None);
    });
}

#[test]
fn a_restart_goes_on_at_the_durable_positions_whatever_kafka_thinks() {
    let broker = EmbeddedBroker::start(&[(TOPIC, 2)]).unwrap();
    write(&broker, 0..1_000);
    let shelf = Shelf::default();
    let consumer = start(options(&broker), &shelf, 1);
    shelf.wait("all records", |seen| seen.count() == 1_000);
    // Kafka is told the end, the durable record is behind it.
    let topic: Arc<str> = TOPIC.into();
    for partition in 0..2 {
        consumer.commit_hint(&topic, partition, 400);
    }
    consumer.stop();
    let before = shelf.change(|seen| {
        seen.positions.insert((TOPIC.to_owned(), 0), 123);
        seen.positions.insert((TOPIC.to_owned(), 1), 321);
        std::mem::take(&mut seen.taken)
    });
    let consumer = start(options(&broker), &shelf, 2);
    write(&broker, 1_000..1_100);
    shelf.wait("the rest", |seen| seen.count() == 1_100 - 123 - 321);
    consumer.stop();
    shelf.change(|seen| {
        for (partition, from) in [(0, 123), (1, 321)] {
            let offsets = seen.offsets(partition);
            assert_eq!(offsets, (from..from + offsets.len() as i64).collect::<Vec<_>>());
            let place = (TOPIC.to_owned(), partition);
            assert_eq!(
                seen.taken[&place][0], before[&place][from as usize],
                "the same record at the same offset"
            );
        }
        assert_eq!(seen.gaps, []);
    });
}

#[test]
fn a_sink_that_was_overtaken_begins_again_at_the_durable_positions() {
    let broker = EmbeddedBroker::start(&[(TOPIC, 2)]).unwrap();
    write(&broker, 0..1_000);
    let shelf = Shelf::default();
    let consumer = start(options(&broker), &shelf, 1);
    shelf.wait("all records", |seen| seen.count() == 1_000);
    let of_first = shelf.change(|seen| {
        seen.positions.insert((TOPIC.to_owned(), 0), 100);
        seen.taken.remove(&(TOPIC.to_owned(), 0)).expect("it has records").len()
    });
    // What is not ours is left out.
    consumer.remote().begin_again([(TOPIC.into(), 0), (TOPIC.into(), 7)]);
    shelf.wait("the partition again", |seen| seen.count() == 1_000 - 100);
    write(&broker, 1_000..1_100);
    shelf.wait("both go on", |seen| seen.count() == 1_100 - 100);
    shelf.change(|seen| {
        let offsets = seen.offsets(0);
        assert!(offsets.len() >= of_first - 100);
        assert_eq!(offsets, (100..100 + offsets.len() as i64).collect::<Vec<_>>());
        let offsets = seen.offsets(1);
        assert_eq!(offsets, (0..offsets.len() as i64).collect::<Vec<_>>(), "the other one is left alone");
        assert_eq!((seen.owned[&1].len(), seen.gaps.len()), (2, 0));
    });
    consumer.stop();
}

#[test]
fn hints_reach_kafka_as_next_offsets() {
    let broker = EmbeddedBroker::start(&[(TOPIC, 1)]).unwrap();
    write(&broker, 0..10);
    let shelf = Shelf::default();
    let consumer = start(options(&broker), &shelf, 1);
    shelf.wait("all records", |seen| seen.count() == 10);
    consumer.commit_hint(&TOPIC.into(), 0, 7);
    consumer.stop();
    let tool: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", broker.brokers())
        .set("group.id", "tests")
        .create()
        .unwrap();
    let mut asked = TopicPartitionList::new();
    asked.add_partition(TOPIC, 0);
    let told = tool.committed_offsets(asked, PATIENCE).unwrap();
    assert_eq!(told.find_partition(TOPIC, 0).unwrap().offset(), Offset::Offset(7));
}

#[test]
fn a_full_sink_slows_reading_and_loses_nothing() {
    let broker = EmbeddedBroker::start(&[(TOPIC, 4)]).unwrap();
    write(&broker, 0..5_000);
    let shelf = Shelf::default();
    shelf.change(|seen| seen.full = BTreeSet::from([0, 1, 2, 3]));
    let consumer = start(Options { batch_max: 100, ..options(&broker) }, &shelf, 1);
    let until = Instant::now() + PATIENCE;
    while consumer.stats().pauses < 4 {
        assert!(Instant::now() < until, "all four are paused: {:?}", consumer.stats());
        std::thread::yield_now();
    }
    let polls = consumer.stats().polls;
    while consumer.stats().polls < polls + 20 {
        assert!(Instant::now() < until, "polling goes on while all are paused");
        std::thread::yield_now();
    }
    shelf.change(|seen| {
        assert_eq!(seen.count(), 0);
        assert_eq!(seen.ends, BTreeMap::new(), "what is refused has not reached its end");
        seen.full = BTreeSet::from([3]);
    });
    shelf.wait("three partitions to their ends", |seen| seen.ends.len() == 3);
    shelf.change(|seen| {
        assert!(!seen.taken.contains_key(&(TOPIC.to_owned(), 3)), "the full one waits");
        seen.full.clear();
    });
    shelf.wait("all records", |seen| seen.count() == 5_000);
    consumer.stop();
    shelf.change(|seen| assert_eq!(seen.values(), values(0..5_000)));
}

#[test]
fn what_comes_while_a_partition_is_paused_at_its_end_is_read() {
    let broker = EmbeddedBroker::start(&[(TOPIC, 1)]).unwrap();
    write(&broker, 0..100);
    let shelf = Shelf::default();
    // Long enough that the end comes in the same batch as what lies before it.
    let batch_wait = Duration::from_millis(500);
    let consumer = start(Options { batch_wait, ..options(&broker) }, &shelf, 1);
    shelf.wait("the end", |seen| seen.ends.values().any(|end| *end == 100));
    for round in 1..4 {
        // A few records and the end behind them are polled together; they are refused, and the partition is paused.
        shelf.change(|seen| seen.full = BTreeSet::from([0]));
        write(&broker, round * 100..round * 100 + 3);
        let until = Instant::now() + PATIENCE;
        while consumer.stats().pauses < round as u64 {
            assert!(Instant::now() < until, "it is paused: {:?}", consumer.stats());
            std::thread::yield_now();
        }
        write(&broker, round * 100 + 3..round * 100 + 100);
        shelf.change(|seen| seen.full.clear());
        let count = (round + 1) * 100;
        shelf.wait("all that came meanwhile", |seen| seen.ends.values().any(|end| *end == count as i64));
    }
    consumer.stop();
    shelf.change(|seen| {
        assert_eq!(seen.values(), values(0..400));
        assert_eq!(seen.gaps, []);
    });
}

#[test]
fn stopping_does_not_wait_for_room() {
    let broker = EmbeddedBroker::start(&[(TOPIC, 1)]).unwrap();
    write(&broker, 0..100);
    let shelf = Shelf::default();
    shelf.change(|seen| seen.full = BTreeSet::from([0]));
    let consumer = start(Options { patience: PATIENCE * 10, ..options(&broker) }, &shelf, 1);
    shelf.wait("an assignment", |seen| seen.assignments > 0);
    let asked = Instant::now();
    consumer.stop();
    assert!(asked.elapsed() < PATIENCE, "{:?}", asked.elapsed());
}

/// Two members share the partitions, one leaves, and every record has been taken once.
fn members_come_and_go(co_partitioned: bool) {
    let broker = EmbeddedBroker::start(&[(TOPIC, 4)]).unwrap();
    let shelf = Shelf::default();
    let options = || Options { co_partitioned, ..options(&broker) };
    let own = |counts: [usize; 2]| {
        move |seen: &Seen| [1, 2].map(|name| seen.owned.get(&name).map_or(0, BTreeSet::len)) == counts
    };
    let first = start(options(), &shelf, 1);
    shelf.wait("all four for the first", own([4, 0]));
    write(&broker, 0..2_000);
    let second = start(options(), &shelf, 2);
    shelf.wait("two for each", own([2, 2]));
    write(&broker, 2_000..4_000);
    first.stop();
    shelf.wait("all four for the second", own([0, 4]));
    write(&broker, 4_000..6_000);
    shelf.wait("all records", |seen| seen.count() == 6_000);
    second.stop();
    shelf.change(|seen| {
        assert_eq!(seen.values(), values(0..6_000));
        for partition in 0..4 {
            let offsets = seen.offsets(partition);
            assert_eq!(offsets, (0..offsets.len() as i64).collect::<Vec<_>>(), "in order over both members");
        }
        assert_eq!(seen.gaps, []);
    });
}

#[test]
fn members_come_and_go_one_partition_at_a_time() {
    members_come_and_go(false);
}

#[test]
fn members_come_and_go_with_whole_assignments() {
    members_come_and_go(true);
}

#[test]
fn a_position_beyond_the_end_is_a_gap() {
    let broker = EmbeddedBroker::start(&[(TOPIC, 1)]).unwrap();
    write(&broker, 0..50);
    let shelf = Shelf::default();
    shelf.change(|seen| seen.positions.insert((TOPIC.to_owned(), 0), 1_000));
    let consumer = start(options(&broker), &shelf, 1);
    shelf.wait("all records", |seen| seen.count() == 50);
    consumer.stop();
    shelf.change(|seen| {
        let place = (Arc::from(TOPIC), 0);
        assert_eq!(seen.gaps, [Gap { place, wanted: 1_000, low: 0, high: 50 }]);
        assert_eq!(seen.gaps[0].missing(), None);
    });
}

#[test]
fn after_a_gap_the_sink_may_stop_the_partition() {
    let broker = EmbeddedBroker::start(&[(TOPIC, 2)]).unwrap();
    write(&broker, 0..50);
    let shelf = Shelf::default();
    shelf.change(|seen| {
        seen.positions.insert((TOPIC.to_owned(), 0), 1_000);
        seen.after_gap = Some(AfterGap::Stop);
    });
    let consumer = start(options(&broker), &shelf, 1);
    shelf.wait("the end of the other", |seen| seen.ends.contains_key(&(TOPIC.to_owned(), 1)));
    consumer.stop();
    shelf.change(|seen| {
        // It is asked once an assignment; on a slow machine the group may assign again.
        assert!(!seen.gaps.is_empty());
        assert!(seen.gaps.iter().all(|gap| *gap == seen.gaps[0]), "{:?}", seen.gaps);
        assert!(!seen.taken.contains_key(&(TOPIC.to_owned(), 0)));
    });
}

/// Writes so much that the embedded broker drops the oldest of it; returns how many records were written.
fn overflow(broker: &EmbeddedBroker) -> i64 {
    let producer: BaseProducer =
        ClientConfig::new().set("bootstrap.servers", broker.brokers()).create().unwrap();
    const COUNT: i64 = 120;
    for number in 0..COUNT {
        let value = vec![b'x'; 100_000];
        producer.send(BaseRecord::to(TOPIC).partition(0).key(&number.to_string()).payload(&value)).unwrap();
    }
    producer.flush(PATIENCE).unwrap();
    COUNT
}

#[test]
fn a_position_that_retention_has_passed_is_a_gap() {
    let broker = EmbeddedBroker::start(&[(TOPIC, 1)]).unwrap();
    let written = overflow(&broker);
    let shelf = Shelf::default();
    shelf.change(|seen| seen.positions.insert((TOPIC.to_owned(), 0), 3));
    let consumer = start(options(&broker), &shelf, 1);
    shelf.wait("the end", |seen| seen.ends.values().any(|end| *end == written));
    consumer.stop();
    shelf.change(|seen| {
        let [gap] = &seen.gaps[..] else { panic!("one gap: {:?}", seen.gaps) };
        assert_eq!((gap.wanted, gap.high), (3, written));
        assert!((10..written).contains(&gap.low), "5 MiB are kept: {gap:?}");
        assert_eq!(gap.missing(), Some(gap.low - 3));
        assert_eq!(seen.offsets(0), (gap.low..written).collect::<Vec<_>>());
    });
}

/// Retention passes a reader that is held up.
fn retention_overtakes(co_partitioned: bool) {
    let broker = EmbeddedBroker::start(&[(TOPIC, 2)]).unwrap();
    write(&broker, 0..100);
    let shelf = Shelf::default();
    shelf.change(|seen| seen.full = BTreeSet::from([0]));
    let consumer = start(Options { co_partitioned, ..options(&broker) }, &shelf, 1);
    let until = Instant::now() + PATIENCE;
    while consumer.stats().pauses < 1 {
        assert!(Instant::now() < until, "the full one is paused: {:?}", consumer.stats());
        std::thread::yield_now();
    }
    overflow(&broker);
    shelf.change(|seen| seen.full.clear());
    shelf.wait("a gap", |seen| !seen.gaps.is_empty());
    let high = shelf.change(|seen| seen.gaps[0].high);
    shelf.wait("the end", |seen| seen.ends.get(&(TOPIC.to_owned(), 0)) == Some(&high));
    write(&broker, 100..200);
    shelf.wait("the other partition to go on", |seen| {
        let of_other = seen.taken.get(&(TOPIC.to_owned(), 1));
        of_other.is_some_and(|taken| taken.iter().any(|record| record.1 >= 1_100))
    });
    consumer.stop();
    shelf.change(|seen| {
        let [gap] = &seen.gaps[..] else { panic!("one gap: {:?}", seen.gaps) };
        assert!(gap.wanted < gap.low, "{gap:?}");
        let offsets = seen.offsets(0);
        let before = (0..gap.wanted).collect::<Vec<_>>();
        let after = (gap.low..gap.low + (offsets.len() - before.len()) as i64).collect::<Vec<_>>();
        assert_eq!(offsets, [before, after].concat(), "all before the gap, all after it, nothing twice");
        let other = seen.offsets(1);
        assert_eq!(other, (0..other.len() as i64).collect::<Vec<_>>(), "the other is not disturbed");
    });
}

#[test]
fn retention_that_overtakes_a_held_reader_is_a_gap() {
    retention_overtakes(false);
}

#[test]
fn retention_that_overtakes_a_held_reader_of_whole_assignments_is_a_gap() {
    retention_overtakes(true);
}

#[test]
fn a_tombstone_is_handed_on() {
    let broker = EmbeddedBroker::start(&[(TOPIC, 1)]).unwrap();
    let producer: BaseProducer =
        ClientConfig::new().set("bootstrap.servers", broker.brokers()).create().unwrap();
    producer.send(BaseRecord::<str, str>::to(TOPIC).key("c1").payload("{}")).unwrap();
    producer.send(BaseRecord::<str, str>::to(TOPIC).key("c1")).unwrap();
    producer.send(BaseRecord::<str, str>::to(TOPIC).payload("")).unwrap();
    producer.flush(PATIENCE).unwrap();
    let shelf = Shelf::default();
    let consumer = start(options(&broker), &shelf, 1);
    shelf.wait("all records", |seen| seen.count() == 3);
    consumer.stop();
    shelf.change(|seen| {
        let taken = &seen.taken[&(TOPIC.to_owned(), 0)];
        let (key, value): (Vec<_>, Vec<_>) =
            taken.iter().map(|record| (record.2.as_deref(), record.3.as_deref())).unzip();
        assert_eq!(key, [Some(&b"c1"[..]), Some(b"c1"), None]);
        assert_eq!(value[..2], [Some(&b"{}"[..]), None]);
        // The broker in the process does not tell an empty value from none.
        assert!(value[2].is_none_or(<[u8]>::is_empty));
    });
}

#[test]
fn without_durable_positions_nothing_is_read() {
    let broker = EmbeddedBroker::start(&[(TOPIC, 1)]).unwrap();
    write(&broker, 0..10);
    let shelf = Shelf::default();
    shelf.change(|seen| seen.broken = true);
    let consumer = start(options(&broker), &shelf, 1);
    shelf.wait("the failure", |seen| seen.failed.is_some());
    consumer.stop();
    shelf.change(|seen| {
        assert_eq!(seen.count(), 0);
        let failure = seen.failed.as_deref().unwrap();
        assert_eq!(failure, "no durable positions for events/0: the disk is gone");
    });
}

#[test]
fn brokers_that_do_not_answer_are_an_error_in_time() {
    let shelf = Shelf::default();
    let options = Options {
        connect_max: Duration::from_secs(1),
        ..Options::new("127.0.0.1:1", "tests", vec![TOPIC.to_owned()])
    };
    let error = Consumer::start(options, shelf.member(1)).err().expect("nobody listens on port 1");
    assert!(matches!(error, Error::Outside { .. }), "{error:?}");
    assert!(error.to_string().starts_with("no answer from Kafka at `127.0.0.1:1`"), "{error}");
}

#[test]
fn co_partitioned_topics_must_be_alike() {
    let broker = EmbeddedBroker::start(&[(TOPIC, 4), ("chats", 3)]).unwrap();
    let topics = vec![TOPIC.to_owned(), "chats".to_owned()];
    let options = Options { co_partitioned: true, ..Options::new(broker.brokers(), "tests", topics) };
    let error = Consumer::start(options, Shelf::default().member(1)).err().expect("4 is not 3");
    assert!(matches!(error, Error::Settings { .. }), "{error:?}");
    assert!(error.to_string().contains("`events` has 4 partitions, `chats` has 3"), "{error}");
}

#[test]
fn a_feeder_knows_what_is_unread() {
    let broker = EmbeddedBroker::start(&[(TOPIC, 2)]).unwrap();
    let feeder = write(&broker, 0..100);
    assert_eq!(feeder.acknowledged(), 100);
    let most = feeder.unread(TOPIC, &[]);
    assert!((50..100).contains(&most), "{most}");
    let both = feeder.unread(TOPIC, &[(0, 1_000)]) + feeder.unread(TOPIC, &[(1, 1_000)]);
    assert_eq!(both, 100);
    assert_eq!(feeder.unread(TOPIC, &[(0, 1_000), (1, 1_000)]), 0);
    assert_eq!(feeder.unread("another", &[]), 0);
}

#[tokio::test]
async fn dead_letters_arrive_unchanged_with_their_origin() {
    let broker = EmbeddedBroker::start(&[("dead", 1)]).unwrap();
    let letters = DeadLetters::new(broker.brokers(), &BTreeMap::new(), "dead").unwrap();
    let letter = |offset, key: Option<&[u8]>, value: Option<&[u8]>| DeadLetter {
        topic: TOPIC.into(),
        partition: 3,
        offset,
        timestamp: 1_700_000_000_000,
        key: key.map(<[u8]>::to_vec),
        value: value.map(<[u8]>::to_vec),
        reason: "not_utf8",
        detail: "byte 0xff at 1".into(),
    };
    let sent = vec![letter(17, Some(b"c1"), Some(b"{\xff\x00")), letter(18, None, None)];
    letters.send(sent).await.unwrap();
    letters.send(Vec::new()).await.unwrap();

    let reader: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", broker.brokers())
        .set("group.id", "reader")
        .create()
        .unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset("dead", 0, Offset::Beginning).unwrap();
    reader.assign(&list).unwrap();
    let read = || {
        let until = Instant::now() + PATIENCE;
        loop {
            assert!(Instant::now() < until, "two letters");
            if let Some(message) = reader.poll(Duration::from_secs(1)) {
                return message.unwrap().detach();
            }
        }
    };
    let first = read();
    assert_eq!((first.key(), first.payload()), (Some(&b"c1"[..]), Some(&b"{\xff\x00"[..])));
    assert_eq!(first.timestamp().to_millis(), Some(1_700_000_000_000));
    let headers: Vec<_> = first
        .headers()
        .expect("headers")
        .iter()
        .map(|header| (header.key.to_owned(), text(header.value)))
        .collect();
    let expected = [
        ("topic", "events"),
        ("partition", "3"),
        ("offset", "17"),
        ("reason", "not_utf8"),
        ("detail", "byte 0xff at 1"),
    ];
    assert_eq!(headers, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
    assert_eq!(read().payload(), None);
}
