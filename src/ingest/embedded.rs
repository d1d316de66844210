//! A broker inside the process, so that `demo` and the tests need nothing installed.

use super::Error;
use super::native::MockBroker;

/// librdkafka's mock cluster on a free loopback port. It speaks the real protocol, and other clients may connect.
///
/// It is a stage, not a store:
///
/// - A partition keeps its newest 5 MiB (as compressed by the producer) or 100,000 batches and drops the rest in silence.
///   Whoever writes must not run ahead of the readers by more than that: see [`Feeder::unread`](super::Feeder::unread).
/// - Nothing is on disk; everything ends with the process.
/// - Topics are created by [`EmbeddedBroker::create_topic`], not through the protocol. One that is written to without
///   having been created gets 4 partitions.
pub struct EmbeddedBroker {
    broker: MockBroker,
    brokers: String,
}

impl EmbeddedBroker {
    /// Starts the broker and creates the topics, each with its number of partitions.
    ///
    /// # Errors
    /// [`Error::Outside`] where no port can be listened on or a topic cannot be made.
    pub fn start(topics: &[(&str, i32)]) -> Result<EmbeddedBroker, Error> {
        let broker = MockBroker::start().map_err(|error| Error::Outside {
            message: format!("the embedded broker does not start: {error}"),
            hint: "it listens on a free port of 127.0.0.1; or name a real one with `--brokers`".into(),
        })?;
        let brokers = broker.brokers();
        let embedded = EmbeddedBroker { broker, brokers };
        for (topic, partitions) in topics {
            embedded.create_topic(topic, *partitions)?;
        }
        Ok(embedded)
    }

    /// Where clients find it: `host:port`.
    pub fn brokers(&self) -> &str {
        &self.brokers
    }

    /// Creates a topic.
    ///
    /// # Errors
    /// [`Error::Outside`] where it exists already or the name cannot be one.
    pub fn create_topic(&self, topic: &str, partitions: i32) -> Result<(), Error> {
        self.broker.create_topic(topic, partitions).map_err(|error| Error::Outside {
            message: format!("topic `{topic}` with {partitions} partitions cannot be created: {error}"),
            hint: "a name is used once, and has letters, digits, `.`, `_` and `-`".into(),
        })
    }
}
