//! Writes events to Kafka, for the simulator and the demo.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};

use super::{Error, settings};

/// How long creating a topic, and waiting for its partitions' leaders, may take.
const CREATING_MAX: Duration = Duration::from_secs(30);

/// How long [`Feeder::send`] waits before it tries a full queue again.
const FULL_WAIT: Duration = Duration::from_millis(1);

/// What the brokers have answered so far.
#[derive(Default)]
struct Deliveries {
    acknowledged: AtomicU64,
    failed: AtomicU64,
    first_failure: Mutex<Option<String>>,
    /// Per topic and partition, the offset after the newest acknowledged record.
    ends: Mutex<HashMap<String, BTreeMap<i32, i64>>>,
}

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, _: ()) {
        match result {
            Ok(message) => {
                let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
                if !ends.contains_key(message.topic()) {
                    ends.insert(message.topic().to_owned(), BTreeMap::new());
                }
                let of_topic = ends.get_mut(message.topic()).expect("inserted just before");
                let end = of_topic.entry(message.partition()).or_default();
                *end = (*end).max(message.offset() + 1);
                self.acknowledged.fetch_add(1, Ordering::Relaxed);
            }
            Err((error, _)) => {
                let mut first = self.first_failure.lock().unwrap_or_else(PoisonError::into_inner);
                first.get_or_insert_with(|| error.to_string());
                self.failed.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// Writes records in batches, lz4-compressed, each key to the partition that clients in Java choose for it (murmur2).
pub struct Feeder {
    producer: ThreadedProducer<Deliveries>,
    brokers: String,
}

impl Feeder {
    /// A feeder; connects by itself. `properties` as under `kafka.properties`.
    ///
    /// # Errors
    /// [`Error::Settings`] where librdkafka refuses a property.
    pub fn new(brokers: &str, properties: &BTreeMap<String, String>) -> Result<Feeder, Error> {
        let producer = settings::producer(brokers, properties)?
            .create_with_context(Deliveries::default())
            .map_err(|error| settings::refused(&error))?;
        Ok(Feeder { producer, brokers: brokers.to_owned() })
    }

    /// Queues a record; `timestamp` in ms since 1970. Waits while the queue is full.
    ///
    /// A broker judges age by this timestamp: one further back than the topic's `retention.ms` (7 days by default) soon
    /// deletes the record again.
    ///
    /// # Errors
    /// [`Error::Outside`] as soon as any record so far could not be delivered.
    pub fn send(&self, topic: &str, key: &[u8], payload: &[u8], timestamp: i64) -> Result<(), Error> {
        let mut record = BaseRecord::to(topic).key(key).payload(payload).timestamp(timestamp);
        loop {
            self.all_well()?;
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), again)) => {
                    record = again;
                    thread::sleep(FULL_WAIT);
                }
                Err((error, _)) => return Err(self.refused(&error.to_string())),
            }
        }
    }

    /// Waits until everything that was sent is acknowledged.
    ///
    /// # Errors
    /// [`Error::Outside`] where that takes longer than `max`, or a record could not be delivered.
    pub fn flush(&self, max: Duration) -> Result<(), Error> {
        self.producer.flush(max).map_err(|error| self.refused(&error.to_string()))?;
        self.all_well()
    }

    /// Records that the brokers have acknowledged.
    pub fn acknowledged(&self) -> u64 {
        self.producer.context().acknowledged.load(Ordering::Relaxed)
    }

    /// How many acknowledged records of a topic's partitions lie behind a reader at these positions (next offsets); a
    /// partition that is not named has not been read at all. Holds the demo's producer back: the most of any partition.
    pub fn unread(&self, topic: &str, positions: &[(i32, i64)]) -> u64 {
        let ends = self.producer.context().ends.lock().unwrap_or_else(PoisonError::into_inner);
        let behind = |(partition, end): (&i32, &i64)| {
            let read = positions.iter().find(|(of, _)| of == partition).map_or(0, |(_, next)| *next);
            u64::try_from(end - read).unwrap_or(0)
        };
        ends.get(topic).into_iter().flatten().map(behind).max().unwrap_or(0)
    }

    fn all_well(&self) -> Result<(), Error> {
        let deliveries = self.producer.context();
        if deliveries.failed.load(Ordering::Relaxed) == 0 {
            return Ok(());
        }
        let first = deliveries.first_failure.lock().unwrap_or_else(PoisonError::into_inner);
        Err(self.refused(first.as_deref().unwrap_or("not delivered")))
    }

    fn refused(&self, why: &str) -> Error {
        Error::Outside {
            message: format!("Kafka at `{}` does not take events: {why}", self.brokers),
            hint: "is it up, does the topic exist, and may this user write to it?".into(),
        }
    }
}

pub(super) fn admin(
    brokers: &str,
    properties: &BTreeMap<String, String>,
) -> Result<AdminClient<DefaultClientContext>, Error> {
    let mut config = settings::producer(brokers, properties)?;
    // An admin client neither writes nor takes these.
    for name in ["enable.idempotence", "compression.type", "partitioner", "linger.ms"] {
        config.remove(name);
    }
    config.create().map_err(|error| settings::refused(&error))
}

/// How long the brokers keep a record of the topic after its timestamp, ms; `None`: for ever, or they do not tell. Blocks.
///
/// # Errors
/// [`Error::Settings`] for a refused property, [`Error::Outside`] where the brokers do not answer.
pub fn retention(
    brokers: &str,
    properties: &BTreeMap<String, String>,
    topic: &str,
) -> Result<Option<i64>, Error> {
    let failed = |why: String| Error::Outside {
        message: format!("the settings of topic `{topic}` cannot be read at `{brokers}`: {why}"),
        hint: "this user may not describe topics, or the brokers are down".into(),
    };
    let admin = admin(brokers, properties)?;
    let options = AdminOptions::new().request_timeout(Some(CREATING_MAX));
    let topic = ResourceSpecifier::Topic(topic);
    let asked = admin.describe_configs([&topic], &options);
    let answer = futures::executor::block_on(asked).map_err(|error| failed(error.to_string()))?;
    let mut kept = None;
    for resource in answer {
        let resource = resource.map_err(|code| failed(code.to_string()))?;
        let value = |name: &str| resource.get(name).and_then(|entry| entry.value.clone());
        if value("cleanup.policy").is_none_or(|policy| policy.contains("delete")) {
            kept = value("retention.ms").and_then(|ms| ms.parse().ok()).filter(|ms| *ms >= 0);
        }
    }
    Ok(kept)
}

/// Creates a topic with the brokers' own replication factor and waits until each partition has a leader. One that exists
/// stays as it is. Returns its number of partitions. Blocks: call it from a thread, not from a task.
///
/// The embedded broker does not know this request: see [`EmbeddedBroker`](super::EmbeddedBroker).
///
/// # Errors
/// [`Error::Settings`] for a refused property, [`Error::Outside`] where the brokers do not answer or do not allow it.
pub fn create_topic(
    brokers: &str,
    properties: &BTreeMap<String, String>,
    topic: &str,
    partitions: i32,
) -> Result<usize, Error> {
    let failed = |why: String| Error::Outside {
        message: format!("topic `{topic}` cannot be created at `{brokers}`: {why}"),
        hint: "create it with the broker's own tools, or see that this user may".into(),
    };
    let admin = admin(brokers, properties)?;
    let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(-1));
    let options =
        AdminOptions::new().request_timeout(Some(CREATING_MAX)).operation_timeout(Some(CREATING_MAX));
    let outcome = futures::executor::block_on(admin.create_topics([&new], &options))
        .map_err(|error| failed(error.to_string()))?;
    for result in outcome {
        match result {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((_, code)) => return Err(failed(code.to_string())),
        }
    }
    let deadline = Instant::now() + CREATING_MAX;
    loop {
        let metadata = admin
            .inner()
            .fetch_metadata(Some(topic), CREATING_MAX)
            .map_err(|error| failed(error.to_string()))?;
        let found = metadata.topics().iter().find(|found| found.name() == topic);
        if let Some(found) = found
            && !found.partitions().is_empty()
            && found.partitions().iter().all(|partition| partition.leader() >= 0)
        {
            return Ok(found.partitions().len());
        }
        if Instant::now() > deadline {
            return Err(failed(format!("no leader after {} s", CREATING_MAX.as_secs())));
        }
        thread::sleep(Duration::from_millis(100));
    }
}
