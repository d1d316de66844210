//! Sends records that could not be used, unchanged, to a topic of their own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{DeliveryFuture, FutureProducer, FutureRecord};

use super::{Error, settings};

/// What is left of a value that the brokers do not take whole: less than any broker's usual limit of 1 MiB.
const CUT_TO: usize = 512 << 10;

/// The largest record that is tried. The brokers have the last word.
const MESSAGE_MAX: &str = "67108864";

/// How long to wait before a full queue is tried again.
const FULL_WAIT: Duration = Duration::from_millis(5);

/// A record that could not be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Where it came from: the topic.
    pub topic: Arc<str>,
    /// Where it came from: the partition.
    pub partition: i32,
    /// Where it came from: the offset.
    pub offset: i64,
    /// Its timestamp in ms since 1970; -1 for none.
    pub timestamp: i64,
    /// Its key, as it was.
    pub key: Option<Vec<u8>>,
    /// Its value, as it was; `None` for a tombstone.
    pub value: Option<Vec<u8>>,
    /// Why it could not be used: one of the reasons of the table `rejects`.
    pub reason: &'static str,
    /// More about it, for people.
    pub detail: String,
}

impl DeadLetter {
    fn headers(&self, cut_from: Option<usize>) -> OwnedHeaders {
        let (partition, offset) = (self.partition.to_string(), self.offset.to_string());
        let header = |key, value| Header { key, value: Some(value) };
        let headers = OwnedHeaders::new_with_capacity(6)
            .insert(header("topic", &*self.topic))
            .insert(header("partition", &*partition))
            .insert(header("offset", &*offset))
            .insert(header("reason", self.reason))
            .insert(header("detail", &*self.detail));
        match cut_from {
            None => headers,
            Some(length) => headers.insert(header("cut_from", &*length.to_string())),
        }
    }
}

/// The way to the dead-letter topic.
pub struct DeadLetters {
    producer: FutureProducer,
    brokers: String,
    topic: String,
}

impl DeadLetters {
    /// Connects by itself. `properties` as under `kafka.properties`.
    ///
    /// # Errors
    /// [`Error::Settings`] where librdkafka refuses a property.
    pub fn new(
        brokers: &str,
        properties: &BTreeMap<String, String>,
        topic: &str,
    ) -> Result<DeadLetters, Error> {
        let mut config = settings::producer(brokers, properties)?;
        // A letter says where it came from, so one that is there twice does no harm; and one that is refused for its size
        // must not unsettle those beside it, which it does under idempotence.
        config.set("enable.idempotence", "false").set("acks", "all").set("message.max.bytes", MESSAGE_MAX);
        let producer = config.create().map_err(|error| settings::refused(&error))?;
        Ok(DeadLetters { producer, brokers: brokers.to_owned(), topic: topic.to_owned() })
    }

    /// Sends letters, and returns when the brokers have acknowledged all of them.
    ///
    /// The original position and the reason are in the headers `topic`, `partition`, `offset`, `reason`, `detail`. A record
    /// that is too large for the topic is sent with a cut value, and its length in the header `cut_from`.
    ///
    /// # Errors
    /// [`Error::Outside`] where any could not be delivered; some may have been. Sending all again is right.
    pub async fn send(&self, letters: Vec<DeadLetter>) -> Result<(), Error> {
        let mut sent = Vec::with_capacity(letters.len());
        for letter in &letters {
            sent.push(self.enqueue(letter, None).await);
        }
        let outcomes = join_all(sent.into_iter().map(|enqueued| async {
            match enqueued {
                Ok(delivery) => delivered(delivery).await,
                Err(error) => Err(error),
            }
        }))
        .await;
        for (letter, outcome) in letters.iter().zip(outcomes) {
            match outcome {
                Err(error) if too_large(&error) => self.send_alone(letter).await?,
                outcome => outcome.map_err(|error| self.failed(&error))?,
            }
        }
        Ok(())
    }

    /// The batch was too large, or this letter is: alone first, then cut.
    async fn send_alone(&self, letter: &DeadLetter) -> Result<(), Error> {
        for cut in [None, Some(CUT_TO)] {
            let outcome = match self.enqueue(letter, cut).await {
                Ok(delivery) => delivered(delivery).await,
                Err(error) => Err(error),
            };
            match outcome {
                Ok(()) => return Ok(()),
                Err(error) if cut.is_none() && too_large(&error) => {}
                Err(error) => return Err(self.failed(&error)),
            }
        }
        unreachable!("the second attempt returns")
    }

    async fn enqueue(&self, letter: &DeadLetter, cut: Option<usize>) -> Result<DeliveryFuture, KafkaError> {
        let value = letter.value.as_deref();
        let kept = match (value, cut) {
            (Some(value), Some(cut)) if value.len() > cut => Some(&value[..cut]),
            _ => value,
        };
        let cut_from =
            value.filter(|value| kept.is_some_and(|kept| kept.len() < value.len())).map(<[u8]>::len);
        let mut record = FutureRecord::<[u8], [u8]>::to(&self.topic).headers(letter.headers(cut_from));
        record.key = letter.key.as_deref();
        record.payload = kept;
        record.timestamp = (letter.timestamp >= 0).then_some(letter.timestamp);
        loop {
            match self.producer.send_result(record) {
                Ok(delivery) => return Ok(delivery),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), again)) => {
                    record = again;
                    tokio::time::sleep(FULL_WAIT).await;
                }
                Err((error, _)) => return Err(error),
            }
        }
    }

    fn failed(&self, error: &KafkaError) -> Error {
        Error::Outside {
            message: format!(
                "Kafka at `{}` does not take dead letters for topic `{}`: {error}",
                self.brokers, self.topic
            ),
            hint: "does the topic exist, and may this user write to it? `kafka.dead_letter_topic = \"\"` goes without it"
                .into(),
        }
    }
}

async fn delivered(delivery: DeliveryFuture) -> Result<(), KafkaError> {
    match delivery.await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err((error, _))) => Err(error),
        Err(_) => Err(KafkaError::Canceled),
    }
}

fn too_large(error: &KafkaError) -> bool {
    error.rdkafka_error_code() == Some(RDKafkaErrorCode::MessageSizeTooLarge)
}
