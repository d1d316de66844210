//! Takes records from elsewhere into Kafka: what is told to have been taken is on the brokers.

use std::collections::BTreeMap;

use futures::future::join_all;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{FutureProducer, FutureRecord};

use super::{Error, settings};

/// Why records were not taken.
#[derive(Debug)]
pub enum Untaken {
    /// The producer's queue is full: the brokers are slower than what comes. Try again in a moment.
    Full,
    /// The brokers did not take all of them. Sending all again is right: events have ids.
    Failed(Error),
}

/// The way into topics.
pub struct Inlet {
    producer: FutureProducer,
    brokers: String,
}

impl Inlet {
    /// Connects by itself. `properties` as under `kafka.properties`.
    ///
    /// # Errors
    /// [`Error::Settings`] where librdkafka refuses a property.
    pub fn new(brokers: &str, properties: &BTreeMap<String, String>) -> Result<Inlet, Error> {
        let mut config = settings::producer(brokers, properties)?;
        config.set("acks", "all");
        let producer = config.create().map_err(|error| settings::refused(&error))?;
        Ok(Inlet { producer, brokers: brokers.to_owned() })
    }

    /// Sends records, each with its key, and returns when the brokers have acknowledged all of them.
    ///
    /// # Errors
    /// [`Untaken`]; some of the records may be in the topic then.
    pub async fn take(&self, topic: &str, records: &[(Vec<u8>, Vec<u8>)], now: i64) -> Result<(), Untaken> {
        let mut deliveries = Vec::with_capacity(records.len());
        for (key, value) in records {
            let record = FutureRecord::to(topic).payload(value).timestamp(now);
            // Without a key, any partition will do.
            let record = if key.is_empty() { record } else { record.key(key) };
            match self.producer.send_result(record) {
                Ok(delivery) => deliveries.push(delivery),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                    return Err(Untaken::Full);
                }
                Err((error, _)) => return Err(self.failed(&error.to_string())),
            }
        }
        for outcome in join_all(deliveries).await {
            match outcome {
                Ok(Ok(_)) => {}
                Ok(Err((error, _))) => return Err(self.failed(&error.to_string())),
                Err(_) => return Err(self.failed("the producer is gone")),
            }
        }
        Ok(())
    }

    fn failed(&self, why: &str) -> Untaken {
        Untaken::Failed(Error::Outside {
            message: format!("Kafka at `{}` does not take events: {why}", self.brokers),
            hint: "is it up, does the topic exist, and may this user write to it?".into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::EmbeddedBroker;

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_taken_is_on_the_brokers_and_what_is_not_is_told() {
        let broker = EmbeddedBroker::start(&[("in", 2)]).expect("an embedded broker");
        let inlet = Inlet::new(broker.brokers(), &BTreeMap::new()).expect("an inlet");
        let records: Vec<_> = (0..50).map(|n| (format!("c{n}").into_bytes(), b"{}".to_vec())).collect();
        inlet.take("in", &records, 1_772_413_200_000).await.expect("taken");
        let short: BTreeMap<_, _> = [("message.timeout.ms".to_owned(), "300".to_owned())].into();
        let nowhere = Inlet::new("127.0.0.1:9", &short).expect("an inlet");
        let failed = nowhere.take("in", &records[..1], 1_772_413_200_000).await;
        assert!(matches!(failed, Err(Untaken::Failed(_))), "{failed:?}");
    }
}
