//! A topic on which each instance writes its newest word under its own name, and from which all read the words of all.
//!
//! No group and no position: what counts is the newest word of each name. A word that is lost is followed by the next.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::admin::{AdminOptions, NewTopic, TopicReplication};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::producer::admin;
use super::{Error, settings};

/// Words that are read of each partition before those that come: the newest of everybody are among them.
const TAIL: i64 = 1_000;
/// How long the brokers may take to answer.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// How often it is looked how many partitions there are.
const LOOK: Duration = Duration::from_secs(15);
/// How long a word is tried: the next one takes its place.
const WORD_TIME: &str = "5000";
/// Trouble is logged at most this often.
const TOLD_EVERY: Duration = Duration::from_secs(60);
/// How the topic is made where there is none. Compaction keeps the newest word of each name, but only of closed segments:
/// small ones, and none longer than an hour.
const TOPIC: &[(&str, &str)] = &[
    ("cleanup.policy", "compact,delete"),
    ("retention.ms", "3600000"),
    ("segment.bytes", "16777216"),
    ("segment.ms", "600000"),
    ("min.cleanable.dirty.ratio", "0.1"),
];

/// What is read.
#[derive(Debug)]
pub enum Word<'a> {
    /// The newest word of this name; `None`: it has none any more.
    Said(&'a str, Option<&'a [u8]>),
    /// Everything that was there at the start has been read.
    CaughtUp,
    /// The partitions that these topics have now.
    Partitions(BTreeSet<(String, i32)>),
}

/// What hears the words, on the reading thread.
pub type Ear = Box<dyn Fn(Word<'_>) + Send>;

/// Trouble of the topic, said once a minute at most.
#[derive(Default)]
struct Trouble {
    said: Mutex<Option<Instant>>,
}

impl Trouble {
    fn say(&self, what: &str, error: &dyn std::fmt::Display) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.is_none_or(|at| at.elapsed() >= TOLD_EVERY) {
            *said = Some(Instant::now());
            tracing::warn!(%error, "{what}");
        }
    }
}

impl ClientContext for Trouble {}

/// What librdkafka tells the reading side beside what it reads: trouble, and the end of a partition with each word, which is
/// none.
#[derive(Default)]
struct Hearing(Trouble);

impl ClientContext for Hearing {
    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::PartitionEOF) {
            self.0.say("trouble with the fleet's topic", &format_args!("{error}: {reason}"));
        }
    }
}

impl ConsumerContext for Hearing {}

impl ProducerContext for Trouble {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, _: ()) {
        if let Err((error, _)) = result {
            self.say("the fleet's topic does not take our figures", error);
        }
    }
}

/// The board of the fleet: what this instance says, and a thread that hears what all say.
pub struct Bulletin {
    producer: ThreadedProducer<Trouble>,
    topic: String,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Bulletin {
    /// Opens the topic, which is made where there is none, and begins to read. `watched` are topics whose partitions are
    /// told too. Reading starts when the brokers answer, and goes on through their trouble.
    ///
    /// # Errors
    /// [`Error::Settings`] where librdkafka refuses a property, [`Error::Outside`] where no thread can be started.
    pub fn open(
        brokers: &str,
        properties: &BTreeMap<String, String>,
        topic: &str,
        watched: Vec<String>,
        ear: Ear,
    ) -> Result<Bulletin, Error> {
        let mut config = settings::producer(brokers, properties)?;
        config.set("linger.ms", "0").set("message.timeout.ms", WORD_TIME).set("enable.idempotence", "false");
        let producer: ThreadedProducer<Trouble> =
            config.create_with_context(Trouble::default()).map_err(|error| settings::refused(&error))?;
        // The name of the group goes unused: partitions are taken by hand, and no position is stored.
        let mut config = settings::consumer(brokers, "callpulse-fleet", false, properties)?;
        config.remove("partition.assignment.strategy");
        config.set("auto.offset.reset", "earliest");
        let consumer: BaseConsumer<Hearing> =
            config.create_with_context(Hearing::default()).map_err(|error| settings::refused(&error))?;
        let stop = Arc::new(AtomicBool::new(false));
        let reading = Reading {
            consumer,
            brokers: brokers.to_owned(),
            properties: properties.clone(),
            topic: topic.to_owned(),
            watched,
            ear,
            stop: Arc::clone(&stop),
            trouble: Trouble::default(),
        };
        let thread = thread::Builder::new().name("fleet".to_owned()).spawn(move || reading.run());
        let thread = thread.map_err(|error| Error::Outside {
            message: format!("no thread can be started: {error}"),
            hint: "the system's limit of threads may be reached".into(),
        })?;
        Ok(Bulletin { producer, topic: topic.to_owned(), stop, thread: Some(thread) })
    }

    /// Says a word under a name, in place of the one before.
    pub fn say(&self, name: &str, word: &[u8]) {
        let record = BaseRecord::to(&self.topic).key(name).payload(word);
        if let Err((error, _)) = self.producer.send(record) {
            self.producer.context().say("the fleet's topic does not take our figures", &error);
        }
    }

    /// Waits until what was said is on the brokers, at most for so long.
    pub fn flush(&self, max: Duration) {
        // What is not there by then has been told where its delivery failed.
        let _ = self.producer.flush(max);
    }
}

impl Drop for Bulletin {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed already.
            let _ = thread.join();
        }
    }
}

/// The reading side.
struct Reading {
    consumer: BaseConsumer<Hearing>,
    brokers: String,
    properties: BTreeMap<String, String>,
    topic: String,
    watched: Vec<String>,
    ear: Ear,
    stop: Arc<AtomicBool>,
    trouble: Trouble,
}

impl Reading {
    fn run(self) {
        let mut open = BTreeSet::new();
        let mut looked: Option<Instant> = None;
        while !self.stop.load(Ordering::Relaxed) {
            if looked.is_none_or(|at| at.elapsed() >= LOOK) {
                self.look_at_topics();
                if open.is_empty() {
                    open = self.begin();
                    if open.is_empty() {
                        thread::sleep(Duration::from_millis(500));
                        continue;
                    }
                    self.catch_up(&mut open);
                }
                looked = Some(Instant::now());
            }
            self.hear(Duration::from_millis(200));
        }
    }

    /// Takes all partitions of the topic, a little before their ends. Returns them; none while the brokers do not answer.
    fn begin(&self) -> BTreeSet<i32> {
        let partitions = match self.partitions(&self.topic) {
            Ok(partitions) if partitions.is_empty() => {
                self.make();
                return BTreeSet::new();
            }
            Ok(partitions) => partitions,
            Err(error) => {
                self.trouble.say("the fleet's topic cannot be read now; it is tried again", &error);
                return BTreeSet::new();
            }
        };
        let mut list = TopicPartitionList::new();
        for partition in &partitions {
            let added = list.add_partition_offset(&self.topic, *partition, Offset::OffsetTail(TAIL));
            debug_assert!(added.is_ok(), "an offset from the end is an offset");
        }
        if let Err(error) = self.consumer.assign(&list) {
            self.trouble.say("the fleet's topic cannot be read now; it is tried again", &error);
            return BTreeSet::new();
        }
        partitions
    }

    /// Reads up to the end of each partition.
    fn catch_up(&self, open: &mut BTreeSet<i32>) {
        let mut ahead = open.clone();
        while !ahead.is_empty() && !self.stop.load(Ordering::Relaxed) {
            if let Some(partition) = self.hear(Duration::from_millis(200)) {
                ahead.remove(&partition);
            }
        }
        (self.ear)(Word::CaughtUp);
    }

    /// Hears the next word; the partition that has no more for now, where one has not.
    fn hear(&self, max: Duration) -> Option<i32> {
        match self.consumer.poll(max)? {
            Ok(message) => {
                if let Some(name) = message.key().and_then(|key| std::str::from_utf8(key).ok()) {
                    (self.ear)(Word::Said(name, message.payload()));
                }
                None
            }
            Err(KafkaError::PartitionEOF(partition)) => Some(partition),
            Err(error) => {
                self.trouble.say("the fleet's topic cannot be read now; it is tried again", &error);
                None
            }
        }
    }

    fn look_at_topics(&self) {
        let mut all = BTreeSet::new();
        for topic in &self.watched {
            match self.partitions(topic) {
                Ok(partitions) => all.extend(partitions.into_iter().map(|number| (topic.clone(), number))),
                // Half of the truth would look like partitions that are gone.
                Err(_) => return,
            }
        }
        (self.ear)(Word::Partitions(all));
    }

    fn partitions(&self, topic: &str) -> Result<BTreeSet<i32>, KafkaError> {
        let metadata = self.consumer.fetch_metadata(Some(topic), ANSWER_MAX)?;
        let found = metadata.topics().iter().filter(|found| found.name() == topic && found.error().is_none());
        Ok(found.flat_map(|found| found.partitions().iter().map(|partition| partition.id())).collect())
    }

    fn make(&self) {
        let new = NewTopic::new(&self.topic, 1, TopicReplication::Fixed(-1));
        let new = TOPIC.iter().fold(new, |new, (name, value)| new.set(name, value));
        let options = AdminOptions::new().request_timeout(Some(ANSWER_MAX));
        let made =
            admin(&self.brokers, &self.properties).map_err(|error| error.to_string()).and_then(|admin| {
                let made = futures::executor::block_on(admin.create_topics([&new], &options));
                made.map_err(|error| error.to_string())
            });
        match made.map(|mut results| results.pop()) {
            Ok(Some(Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)))) => {
                tracing::info!(topic = self.topic, "the fleet's topic is there");
            }
            Ok(Some(Err((_, code)))) => self.trouble.say("the fleet's topic cannot be made", &code),
            Ok(None) => {}
            Err(error) => self.trouble.say("the fleet's topic cannot be made", &error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, sync_channel};

    use super::*;
    use crate::ingest::EmbeddedBroker;

    /// A name, and what was said in it.
    type Told = (String, Option<Vec<u8>>);

    fn open(broker: &EmbeddedBroker) -> (Bulletin, Receiver<Told>) {
        let (sender, heard) = sync_channel(1024);
        let ear: Ear = Box::new(move |word| {
            let told = match word {
                Word::Said(name, word) => (name.to_owned(), word.map(<[u8]>::to_vec)),
                Word::CaughtUp => ("caught up".to_owned(), None),
                Word::Partitions(partitions) => (format!("{} partitions", partitions.len()), None),
            };
            // The test may have heard enough.
            let _ = sender.send(told);
        });
        let topics = vec!["calls".to_owned()];
        (Bulletin::open(broker.brokers(), &BTreeMap::new(), "fleet", topics, ear).expect("a bulletin"), heard)
    }

    fn next(heard: &Receiver<(String, Option<Vec<u8>>)>) -> (String, Option<Vec<u8>>) {
        heard.recv_timeout(Duration::from_secs(30)).expect("something is heard")
    }

    #[test]
    fn all_hear_what_each_says_also_who_comes_later() {
        let broker = EmbeddedBroker::start(&[("calls", 6), ("fleet", 1)]).expect("a broker");
        let (one, hears_one) = open(&broker);
        assert_eq!(next(&hears_one), ("6 partitions".to_owned(), None));
        assert_eq!(next(&hears_one), ("caught up".to_owned(), None));
        one.say("one", b"a");
        assert_eq!(next(&hears_one), ("one".to_owned(), Some(b"a".to_vec())));
        one.say("one", b"b");
        one.flush(Duration::from_secs(10));
        let (two, hears_two) = open(&broker);
        let mut before = Vec::new();
        loop {
            match next(&hears_two) {
                (name, None) if name == "caught up" => break,
                word => before.push(word),
            }
        }
        assert_eq!(before.last(), Some(&("one".to_owned(), Some(b"b".to_vec()))), "{before:?}");
        two.say("two", b"c");
        assert_eq!(next(&hears_one), ("one".to_owned(), Some(b"b".to_vec())));
        assert_eq!(next(&hears_one), ("two".to_owned(), Some(b"c".to_vec())));
        assert_eq!(next(&hears_two), ("two".to_owned(), Some(b"c".to_vec())));
    }
}
