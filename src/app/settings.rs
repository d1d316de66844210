//! From the configuration to what each room needs.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::Failure;
use super::board::Goals;
use super::lexicons::Shelf;
use super::registry::HttpRegistry;
use super::task::Rules;
use crate::config::{Config, Notify, Topic};
use crate::decode::{Format, Source};
use crate::deliver::{Mail, Sms, Target};
use crate::roster::Language;
use crate::time::{HOUR, MINUTE, SECOND};
use crate::{alert, correlate, ingest, lake, query, window};

/// Samples that a pair of queue and channel has on the page `/metrics`, about.
const SERIES_OF_A_PAIR: usize = 150;

/// What tasks need.
pub(super) fn rules(config: &Config, unordered: bool, reader: &Shelf) -> Arc<Rules> {
    Arc::new(Rules {
        correlate: correlate(config, unordered),
        window: window(config),
        sources: config
            .kafka
            .topics
            .iter()
            .map(|topic| (topic.name.clone(), source(config, topic, None)))
            .collect(),
        dead_letters: config.kafka.dead_letter_topic.is_some(),
        reader: Arc::clone(reader),
        watch: None,
    })
}

/// What pages show beside the figures.
pub(super) fn goals(config: &Config) -> Goals {
    let wait = |(name, queue): (&String, &crate::config::Queue)| (name.clone(), queue.target_wait_secs);
    Goals {
        service_level: config.forecast.service_level_percent as f64 / 100.0,
        target_waits: config.queues.iter().map(wait).collect(),
        target_wait: config.queue_defaults.target_wait_secs,
    }
}

/// How the records of a topic are read; a schema registry is waited for as long as `patience` says.
pub(super) fn source(config: &Config, topic: &Topic, patience: Option<Duration>) -> Source {
    Source {
        format: Format::from_name(&topic.format).unwrap_or_default(),
        mapping: topic.mapping.clone(),
        names: topic.names.clone(),
        registry: HttpRegistry::of(&config.schema_registry, patience),
    }
}

/// What the correlator needs.
pub(super) fn correlate(config: &Config, unordered: bool) -> correlate::Options {
    let timeouts = &config.contact_timeout_secs;
    let by_channel =
        [timeouts.voice, timeouts.chat, timeouts.email, timeouts.social, timeouts.video, timeouts.sms];
    let queue = |(name, queue): (&String, &crate::config::Queue)| {
        let rules = correlate::QueueRules {
            target_wait_ms: queue.target_wait_secs * SECOND,
            short_abandon_ms: queue.short_abandon_secs * SECOND,
            department: queue.department.clone(),
        };
        (name.clone(), rules)
    };
    correlate::Options {
        grid: config.grid(),
        lateness_ms: config.lateness_secs * SECOND,
        correlation_ms: config.correlation_secs * SECOND,
        acw_timeout_ms: config.acw_timeout_secs * SECOND,
        contact_timeout_ms: by_channel.map(|secs| secs * SECOND),
        queues: config.queues.iter().map(queue).collect(),
        defaults: correlate::QueueRules {
            target_wait_ms: config.queue_defaults.target_wait_secs * SECOND,
            short_abandon_ms: config.queue_defaults.short_abandon_secs * SECOND,
            department: None,
        },
        quality: correlate::Quality {
            answer_ms: config.quality.answer_secs * SECOND,
            greeting_ms: config.quality.greeting_secs * SECOND,
            self_service_queues: config.quality.self_service_queues.clone(),
            deadlines: config.quality.deadlines.clone(),
        },
        keep_events: config.lake.events,
        unordered,
    }
}

/// What the windows need.
pub(super) fn window(config: &Config) -> window::Options {
    window::Options {
        grid: config.grid(),
        queues: config
            .queues
            .iter()
            .map(|(name, queue)| window::QueueOptions {
                name: name.clone(),
                target_wait_ms: queue.target_wait_secs * SECOND,
                service_level: queue.service_level_formula,
            })
            .collect(),
        default_target_wait_ms: config.queue_defaults.target_wait_secs * SECOND,
        default_service_level: config.queue_defaults.service_level_formula,
        max_series: (usize::try_from(config.metrics.max_series).unwrap_or(usize::MAX) / SERIES_OF_A_PAIR)
            .max(1),
    }
}

/// What the lake needs.
pub(super) fn lake(config: &Config) -> lake::Options {
    let mut options =
        lake::Options::new(config.data_dir.clone(), config.timezone.name(), config.slot_minutes);
    options.checkpoint_every = u64::try_from(config.lake.checkpoint_every_commits).unwrap_or(100);
    options.vacuum_hours = u64::try_from(config.lake.vacuum_hours).unwrap_or(24);
    let days = config.lake.retention_days.iter();
    options.retention_days =
        days.map(|(table, days)| ((*table).to_owned(), u32::try_from(*days).unwrap_or(0))).collect();
    options
}

/// Where the outbox of alerts is kept.
pub(super) fn outbox_dir(config: &Config) -> PathBuf {
    match (config.alerts.outbox.as_str(), config.data_dir.contains("://")) {
        ("", false) => PathBuf::from(&config.data_dir).join("_alerts"),
        ("", true) => PathBuf::from("./callpulse-outbox"),
        (dir, _) => PathBuf::from(dir),
    }
}

/// How the desk works.
pub(super) fn desk(config: &Config) -> alert::Options {
    let alerts = &config.alerts;
    let route = |notify: &Notify| alert::Route {
        target: notify.name.clone(),
        severity: notify.min_severity,
        queues: notify.queues.clone(),
        rules: notify.rules.clone(),
        resolved: notify.resolved,
    };
    alert::Options {
        ack_ms: alerts.ack_minutes * MINUTE,
        escalate_ms: [0, alerts.escalate_warning_secs * SECOND, alerts.escalate_critical_secs * SECOND],
        escalations_max: u32::try_from(alerts.escalations_max).unwrap_or(0),
        expire_ms: alerts.expire_hours * HOUR,
        stale_ms: alerts.stale_secs * SECOND,
        fallback: alerts.fallback.clone(),
        routes: config.notify.iter().map(route).collect(),
        ..alert::Options::new(config.grid())
    }
}

/// The targets of alerts.
pub(super) fn targets(config: &Config) -> Vec<Target> {
    let secs = |secs: i64| Duration::from_secs(u64::try_from(secs).unwrap_or(1));
    let target = |notify: &Notify| {
        let mut target = Target::new(notify.name.clone(), notify.kind, notify.url.clone());
        target.secret.clone_from(&notify.secret);
        target.language = Language::parse(&notify.language).unwrap_or_default();
        if let Some(per_minute) = notify.per_minute {
            target.per_minute = u32::try_from(per_minute).unwrap_or(0);
        }
        target.group = secs(notify.group_secs);
        target.timeout = secs(notify.timeout_secs);
        target.give_up = secs(notify.give_up_secs);
        target.keyword.clone_from(&notify.keyword);
        target.proxy.clone_from(&notify.proxy);
        target.mail = Mail { from: notify.from.clone(), to: notify.to.clone() };
        target.sms = Sms {
            body: notify.body.clone(),
            content_type: notify.content_type.clone(),
            success: notify.success.clone(),
        };
        target
    };
    config.notify.iter().map(target).collect()
}

/// What SQL needs.
pub(super) fn query(config: &Config, reader: Option<&Shelf>) -> query::Options {
    let mut options = query::Options::new(config.grid());
    options.reader = reader.map(Arc::clone);
    options.timeout = Duration::from_secs(u64::try_from(config.sql.timeout_secs).unwrap_or(60));
    options.memory_limit_bytes = usize::try_from(config.sql.memory_mib).unwrap_or(1024) << 20;
    options.deadlines = config.quality.deadlines.clone();
    options.max_concurrent = usize::try_from(config.sql.max_concurrent).unwrap_or(4);
    options.service_level = config.queue_defaults.service_level_formula;
    options.queues = config
        .queues
        .iter()
        .map(|(name, queue)| (name.clone(), queue.service_level_formula))
        .collect::<HashMap<_, _>>();
    options
}

/// What SQL needs where one person asks a directory and waits: nobody else is kept waiting, so that it may take ten minutes.
pub(super) fn query_alone(config: &Config, reader: Option<&Shelf>) -> query::Options {
    let mut options = query(config, reader);
    options.timeout = Duration::from_secs(600);
    options
}

/// What the consumer needs.
///
/// # Errors
/// Where no topic is configured.
pub(super) fn consumer(config: &Config) -> Result<ingest::Options, Failure> {
    let kafka = &config.kafka;
    if kafka.topics.is_empty() {
        return Err(Failure::config("no topic is configured: `kafka.topics` is empty").hint(
            "name one: --set 'kafka.topics=[{name=\"calls\"}]', or see `kafka.topics` in the defaults",
        ));
    }
    let encrypted = |(name, value): (&String, &String)| {
        (name == "security.protocol" && value.to_ascii_lowercase().contains("ssl"))
            || (name.starts_with("sasl.mechanism") && value.to_ascii_uppercase().starts_with("SCRAM"))
    };
    if !cfg!(feature = "tls")
        && let Some((name, value)) = kafka.properties.0.iter().find(|property| encrypted(*property))
    {
        return Err(Failure::config(format!("`{name} = {value}` needs TLS, which this build does not have"))
            .hint("build with `cargo build --release --features tls`"));
    }
    let topics = kafka.topics.iter().map(|topic| topic.name.clone()).collect();
    let mut options = ingest::Options::new(kafka.brokers.clone(), kafka.group.clone(), topics);
    options.properties = kafka.properties.0.clone();
    options.co_partitioned = kafka.co_partitioned;
    Ok(options)
}
