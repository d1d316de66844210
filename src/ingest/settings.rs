//! The properties that librdkafka is given: ours, the operator's, and those nobody may change.

use std::collections::BTreeMap;

use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;

use super::Error;

/// Properties that what we promise rests on, and why each may not be set by the operator.
const OURS: &[(&str, &str)] = &[
    ("bootstrap.servers", "set `kafka.brokers`"),
    ("metadata.broker.list", "set `kafka.brokers`"),
    ("group.id", "set `kafka.group`"),
    (
        "enable.auto.commit",
        "the lake holds the positions; a commit before the rows are written would lose events",
    ),
    (
        "auto.commit.enable",
        "the lake holds the positions; a commit before the rows are written would lose events",
    ),
    ("enable.auto.offset.store", "the lake holds the positions"),
    (
        "auto.offset.reset",
        "a position that Kafka no longer has is reported as a gap, never skipped in silence",
    ),
    ("enable.partition.eof", "the watermark of an idle partition rests on it"),
    ("partition.assignment.strategy", "it follows from `kafka.co_partitioned`"),
    ("group.protocol", "partitions are assigned by the members (`classic`)"),
    ("log.queue", "the log of the client is read by the consumer"),
    ("test.mock.num.brokers", "`callpulse demo` brings its own broker"),
];

/// What the consumer is set to unless the operator says otherwise, and why.
const CONSUMER: &[(&str, &str)] = &[
    // The default of 1 s starves a single reading thread: a third of the speed.
    ("fetch.queue.backoff.ms", "5"),
    // Bounds what is read ahead; more does not make it faster.
    ("queued.min.messages", "20000"),
    ("queued.max.messages.kbytes", "32768"),
    ("fetch.wait.max.ms", "100"),
    ("topic.metadata.refresh.interval.ms", "10000"),
    ("allow.auto.create.topics", "false"),
    ("client.id", "callpulse"),
];

/// What a producer is set to unless the operator says otherwise, and why.
const PRODUCER: &[(&str, &str)] = &[
    // Idempotence keeps the order and drops what a retry would write twice.
    ("enable.idempotence", "true"),
    ("compression.type", "lz4"),
    // The same partition for a key as clients in Java choose.
    ("partitioner", "murmur2_random"),
    ("linger.ms", "5"),
    // What is not delivered by then has failed: the attempts are bounded.
    ("message.timeout.ms", "60000"),
    ("queue.buffering.max.messages", "100000"),
    ("queue.buffering.max.kbytes", "65536"),
    ("client.id", "callpulse"),
];

/// The configuration of the consumer.
pub(super) fn consumer(
    brokers: &str,
    group: &str,
    co_partitioned: bool,
    properties: &BTreeMap<String, String>,
) -> Result<ClientConfig, Error> {
    let mut config = ClientConfig::new();
    lay(&mut config, CONSUMER, properties)?;
    config
        .set("bootstrap.servers", brokers)
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "error")
        .set("enable.partition.eof", "true")
        // `range` gives the same partition number of every topic to the same member; the other moves as few as possible.
        .set("partition.assignment.strategy", if co_partitioned { "range" } else { "cooperative-sticky" });
    Ok(config)
}

/// The configuration of a producer or of an admin client.
pub(super) fn producer(brokers: &str, properties: &BTreeMap<String, String>) -> Result<ClientConfig, Error> {
    let mut config = ClientConfig::new();
    lay(&mut config, PRODUCER, properties)?;
    config.set("bootstrap.servers", brokers);
    Ok(config)
}

fn lay(
    config: &mut ClientConfig,
    defaults: &[(&str, &str)],
    properties: &BTreeMap<String, String>,
) -> Result<(), Error> {
    for (name, value) in defaults {
        config.set(*name, *value);
    }
    for (name, value) in properties {
        if let Some((_, why)) = OURS.iter().find(|(ours, _)| ours == name) {
            return Err(Error::Settings {
                message: format!("`{name}` cannot be set under `kafka.properties`"),
                hint: format!("leave it out: {why}"),
            });
        }
        config.set(name, value);
    }
    Ok(())
}

/// What librdkafka says about a configuration, without the value: it may be a password.
pub(super) fn refused(error: &KafkaError) -> Error {
    match error {
        KafkaError::ClientConfig(_, what, name, _) => Error::Settings {
            message: format!("librdkafka refuses `{name}` under `kafka.properties`: {}", first_words(what)),
            hint: "the names and values are those of librdkafka's CONFIGURATION.md".into(),
        },
        other => Error::Settings {
            message: format!("the Kafka client cannot be built: {other}"),
            hint: "TLS and SASL/SCRAM need a build with `--features tls`; see `kafka.properties`".into(),
        },
    }
}

/// librdkafka's message up to the value it quotes.
fn first_words(what: &str) -> &str {
    let end = what.find(['"', ':']).unwrap_or(what.len());
    what[..end].trim_end()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn properties(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect()
    }

    #[test]
    fn the_operator_overrides_defaults() {
        let config = consumer(
            "b:1",
            "g",
            false,
            &properties(&[("fetch.queue.backoff.ms", "7"), ("fetch.min.bytes", "2")]),
        )
        .expect("both may be set");
        let of = |name: &str| config.get(name).map(str::to_owned);
        assert_eq!(of("fetch.queue.backoff.ms").as_deref(), Some("7"));
        assert_eq!(of("fetch.min.bytes").as_deref(), Some("2"));
        assert_eq!(of("queued.min.messages").as_deref(), Some("20000"));
        assert_eq!(of("partition.assignment.strategy").as_deref(), Some("cooperative-sticky"));
    }

    #[test]
    fn what_our_promises_rest_on_is_refused() {
        for name in ["enable.auto.commit", "auto.offset.reset", "enable.partition.eof", "group.id"] {
            let error = consumer("b:1", "g", true, &properties(&[(name, "x")])).expect_err(name);
            assert!(error.to_string().contains(name), "{error}");
            assert!(error.hint().is_some_and(|hint| hint.starts_with("leave it out")), "{error:?}");
        }
    }

    #[test]
    fn a_refused_value_is_not_printed() {
        for (name, value) in [("ssl.key.secret-typo", "hunter2"), ("security.protocol", "hunter2")] {
            let config = consumer("b:1", "g", false, &properties(&[(name, value)])).expect("not ours");
            let error =
                refused(&config.create_native_config().err().expect("librdkafka knows no such thing"));
            assert!(error.to_string().contains(name), "{error}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}
