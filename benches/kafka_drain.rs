//! How fast Kafka can be read: messages per second, and per CPU-second of this process.
//!
//! ```text
//! kafka_drain fill  BROKERS TOPIC COUNT   write COUNT events of about 340 bytes, lz4 (the topic exists)
//! kafka_drain batch BROKERS TOPIC         the bare drain: rd_kafka_consume_batch_queue, every message destroyed unread
//! kafka_drain poll  BROKERS TOPIC         the bare drain through the safe wrapper: BaseConsumer::poll
//! kafka_drain room  BROKERS TOPIC         callpulse's own consumer, into a sink that drops the blocks
//! ```
//!
//! Each reads the topic from its beginning to where its partitions ended at the start. The broker's CPU is not counted.
#![expect(unsafe_code, reason = "the bare drain is the C interface")]
#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

use std::collections::BTreeMap;
use std::ptr;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use callpulse::ingest::{AfterGap, Block, Consumer, Error, Feeder, Gap, Lag, Options, Place, Sink, Start};
use rdkafka::bindings as sys;
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::types::RDKafkaType;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

const BATCH: usize = 4096;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (what, count, wall, cpu) = match words[..] {
        ["fill", brokers, topic, count] => {
            measured("fill", || fill(brokers, topic, count.parse().expect("COUNT is a number")))
        }
        ["batch", brokers, topic] => measured("batch", || batch(brokers, topic)),
        ["poll", brokers, topic] => measured("poll", || poll(brokers, topic)),
        ["room", brokers, topic] => measured("room", || room(brokers, topic)),
        _ => {
            eprintln!("usage: kafka_drain fill|batch|poll|room BROKERS TOPIC [COUNT]");
            return;
        }
    };
    println!(
        "{what}: {count} messages, {wall:.2} s, {cpu:.2} CPU-s, {:.0} k/s, {:.0} k per CPU-s",
        count as f64 / wall / 1e3,
        count as f64 / cpu / 1e3
    );
}

fn measured(what: &str, run: impl FnOnce() -> u64) -> (&str, u64, f64, f64) {
    let (wall, cpu) = (Instant::now(), cpu_seconds());
    let count = run();
    (what, count, wall.elapsed().as_secs_f64(), cpu_seconds() - cpu)
}

/// CPU time of all threads of this process, user and system.
fn cpu_seconds() -> f64 {
    // SAFETY: getrusage fills the structure, for which all zeros is a valid value.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        assert_eq!(libc::getrusage(libc::RUSAGE_SELF, &mut usage), 0, "our own usage can be asked for");
        usage
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

fn fill(brokers: &str, topic: &str, count: u64) -> u64 {
    let feeder = Feeder::new(brokers, &BTreeMap::new()).expect("no property is set");
    let kinds = ["contact.started", "contact.queued", "contact.answered", "contact.ended", "contact.wrapped"];
    for number in 0..count {
        let (contact, kind) = (number / 5, kinds[(number % 5) as usize]);
        let value = format!(
            "{{\"id\":\"e{number:010}\",\"type\":\"{kind}\",\"time\":{},\"contact_id\":\"c{contact:09}\",\
             \"channel\":\"voice\",\"queue\":\"queue-{}\",\"department\":\"cards\",\"agent_id\":\"a{:04}\",\
             \"customer_id\":\"u{:08}\",\"tier\":\"gold\",\"attributes\":{{\"region\":\"north\",\"menu\":\"3-1-{}\",\
             \"language\":\"zh\",\"note\":\"as it came from the switch, with words that nobody reads\"}}}}",
            1_700_000_000_000 + number * 7,
            contact % 40,
            contact * 7 % 900,
            contact * 31 % 1_000_003,
            contact % 9,
        );
        let time = 1_700_000_000_000 + number as i64 * 7;
        feeder.send(topic, format!("c{contact:09}").as_bytes(), value.as_bytes(), time).expect("taken");
    }
    feeder.flush(Duration::from_secs(60)).expect("delivered");
    count
}

/// The settings of callpulse's own consumer, so that the drains differ in the reading only.
fn config(brokers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", brokers)
        .set("group.id", format!("drain-{}", std::process::id()))
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("fetch.queue.backoff.ms", "5")
        .set("queued.min.messages", "20000")
        .set("queued.max.messages.kbytes", "32768")
        .set("fetch.wait.max.ms", "100");
    config
}

/// All partitions from their beginning, and how many messages they hold.
fn assignment(consumer: &BaseConsumer, topic: &str) -> (TopicPartitionList, u64) {
    let wait = Duration::from_secs(10);
    let metadata = consumer.fetch_metadata(Some(topic), wait).expect("the broker answers");
    let (mut list, mut count) = (TopicPartitionList::new(), 0);
    for partition in metadata.topics()[0].partitions() {
        let (low, high) = consumer.fetch_watermarks(topic, partition.id(), wait).expect("the broker answers");
        list.add_partition_offset(topic, partition.id(), Offset::Offset(low)).expect("just added");
        count += u64::try_from(high - low).expect("high is not below low");
    }
    assert!(count > 0, "topic `{topic}` is empty");
    (list, count)
}

fn poll(brokers: &str, topic: &str) -> u64 {
    let consumer: BaseConsumer = config(brokers).create().expect("a consumer");
    let (list, count) = assignment(&consumer, topic);
    consumer.assign(&list).expect("assigned");
    let mut seen = 0;
    while seen < count {
        if let Some(message) = consumer.poll(Duration::from_millis(100)) {
            message.expect("no error");
            seen += 1;
        }
    }
    count
}

fn batch(brokers: &str, topic: &str) -> u64 {
    let (list, count) = assignment(&config(brokers).create().expect("a consumer"), topic);
    let native = config(brokers).create_native_config().expect("valid");
    let client = rdkafka::client::Client::new(
        &config(brokers),
        native,
        RDKafkaType::RD_KAFKA_CONSUMER,
        DefaultClientContext,
    )
    .expect("a client");
    let mut slots = vec![ptr::null_mut(); BATCH];
    let mut seen = 0;
    // SAFETY: client, list, queue and slots live through the loop; each message is destroyed once.
    unsafe {
        sys::rd_kafka_poll_set_consumer(client.native_ptr());
        let queue = sys::rd_kafka_queue_get_consumer(client.native_ptr());
        sys::rd_kafka_assign(client.native_ptr(), list.ptr());
        while seen < count {
            let got = sys::rd_kafka_consume_batch_queue(queue, 20, slots.as_mut_ptr(), slots.len());
            for message in &slots[..usize::try_from(got).expect("no error")] {
                sys::rd_kafka_message_destroy(*message);
                seen += 1;
            }
        }
        sys::rd_kafka_queue_destroy(queue);
        sys::rd_kafka_consumer_close(client.native_ptr());
    }
    count
}

/// Counts, and drops.
struct Drain {
    seen: Mutex<u64>,
    more: Condvar,
}

impl Sink for Drain {
    fn assigned(&self, partitions: &[Place]) -> Result<Vec<Start>, String> {
        Ok(partitions.iter().map(|_| Start::Beginning).collect())
    }

    fn revoked(&self, _: &[Place], _: bool) {}

    fn offer(&self, block: Block) -> Result<(), Block> {
        *self.seen.lock().expect("no one panics") += block.len() as u64;
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

fn room(brokers: &str, topic: &str) -> u64 {
    let (_, count) = assignment(&config(brokers).create().expect("a consumer"), topic);
    let drain = Arc::new(Drain { seen: Mutex::new(0), more: Condvar::new() });
    let options = Options::new(brokers, format!("drain-room-{}", std::process::id()), vec![topic.to_owned()]);
    let sink: Arc<dyn Sink> = Arc::<Drain>::clone(&drain);
    let consumer = Consumer::start(options, sink).expect("started");
    let seen = drain.seen.lock().expect("no one panics");
    drop(drain.more.wait_while(seen, |seen| *seen < count).expect("no one panics"));
    consumer.stop();
    count
}
