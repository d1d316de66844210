//! Records over HTTP into Kafka: looked at, keyed, and on the brokers before anybody is told so.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::FutureExt;
use tokio::sync::Semaphore;

use super::settings;
use crate::config::Config;
use crate::decode::{Decoder, Format, Source};
use crate::event::{Event, Reject};
use crate::ingest::{Inlet, Untaken};
use crate::serve::{Batch, Intake, Refusal, Taken};
use crate::time::{Clock, Millis};

/// Requests whose records wait for the brokers at once; each is at most a body of 1 MiB.
const UNDER_WAY_MAX: usize = 64;
/// How long a request waits for a schema registry.
const REGISTRY: Duration = Duration::from_secs(5);
/// The key of lines of a queue log, which must stay in one order: in one partition.
pub(super) const LOG_KEY: &str = "queue_log";

struct Shared {
    topics: Vec<(String, Source)>,
    brokers: String,
    properties: BTreeMap<String, String>,
    /// Connects when something first comes.
    inlet: OnceLock<Result<Inlet, String>>,
    under_way: Semaphore,
    clock: Arc<dyn Clock>,
}

/// What takes the batches of the HTTP interface.
pub(super) fn intake(config: &Config, clock: Arc<dyn Clock>) -> Intake {
    let shared = Arc::new(Shared {
        topics: config
            .kafka
            .topics
            .iter()
            .map(|topic| (topic.name.clone(), settings::source(config, topic, Some(REGISTRY))))
            .collect(),
        brokers: config.kafka.brokers.clone(),
        properties: config.kafka.properties.0.clone(),
        inlet: OnceLock::new(),
        under_way: Semaphore::new(UNDER_WAY_MAX),
        clock,
    });
    Arc::new(move |batch| {
        let shared = Arc::clone(&shared);
        async move { shared.take(batch).await }.boxed()
    })
}

impl Shared {
    async fn take(&self, batch: Batch) -> Result<Taken, Refusal> {
        let (topic, source) = find(&self.topics, &batch)?;
        let Ok(_place) = self.under_way.try_acquire() else { return Err(Refusal::Busy) };
        let now = self.clock.now();
        let (records, rejected) = sort(source, &batch, now);
        if !records.is_empty() {
            let inlet = self.inlet.get_or_init(|| {
                Inlet::new(&self.brokers, &self.properties).map_err(|error| error.to_string())
            });
            let inlet = inlet.as_ref().map_err(|why| Refusal::Outside(why.clone(), None))?;
            inlet.take(topic, &records, now).await.map_err(|untaken| match untaken {
                Untaken::Full => Refusal::Busy,
                Untaken::Failed(error) => {
                    Refusal::Outside(error.to_string(), error.hint().map(str::to_owned))
                }
            })?;
        }
        Ok(Taken { accepted: records.len(), rejected })
    }
}

/// The topic that takes the batch.
fn find<'t>(topics: &'t [(String, Source)], batch: &Batch) -> Result<(&'t str, &'t Source), Refusal> {
    // A topic that is named has its own format.
    let of_topic = batch.topic.as_ref().and_then(|topic| topics.iter().find(|(name, _)| name == topic));
    let format = batch.format.as_deref().or(of_topic.map(|(_, source)| source.format.name()));
    let format = format.unwrap_or(Format::default().name());
    let Some(format) = Format::from_name(format) else {
        let hint = format!("there are: {}", Format::names().join(", "));
        return Err(Refusal::Unknown(format!("unknown format `{format}`"), hint));
    };
    let found = topics.iter().find(|(name, source)| {
        source.format == format && batch.topic.as_deref().is_none_or(|topic| topic == name)
    });
    found.map(|(name, source)| (&**name, source)).ok_or_else(|| {
        let known: Vec<String> =
            topics.iter().map(|(name, source)| format!("`{name}` ({})", source.format.name())).collect();
        let message = match &batch.topic {
            Some(topic) => format!("no topic `{topic}` with records of `{}` is read", format.name()),
            None => format!("no topic with records of `{}` is read", format.name()),
        };
        Refusal::Unknown(message, format!("`kafka.topics` has {}", known.join(", ")))
    })
}

/// Records with their key in Kafka, and what is told of a record that cannot be read: its number, reason, detail.
type Sorted = (Vec<(Vec<u8>, Vec<u8>)>, Vec<(usize, &'static str, String)>);

/// Reads each record: those that can be used with their key, and what is wrong with the others.
fn sort(source: &Source, batch: &Batch, now: Millis) -> Sorted {
    let mut decoder: Decoder = source.decoder();
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for (at, record) in batch.records.iter().enumerate() {
        match decoder.read(record, Some(now)) {
            Ok(events) => {
                let key = batch.key.clone().unwrap_or_else(|| key(source.format, &events));
                good.push((key.into_bytes(), record.clone()));
            }
            Err(Reject { reason, detail }) => bad.push((at + 1, reason.as_str(), detail)),
        }
    }
    (good, bad)
}

/// What keeps the events of a contact, or of an agent, in one partition.
pub(super) fn key(format: Format, events: &[Event<'_>]) -> String {
    if format == Format::AsteriskQueueLog {
        return LOG_KEY.to_owned();
    }
    let of = |event: &Event<'_>| {
        let ids =
            [&event.contact_id, &event.agent_id, &event.complaint_id, &event.promise_id, &event.shift_id];
        ids.into_iter().find_map(|id| id.as_deref().map(str::to_owned))
    };
    events.iter().find_map(of).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(format: Option<&str>, records: &[&str]) -> Batch {
        let records = records.iter().map(|record| record.as_bytes().to_vec()).collect();
        Batch { format: format.map(str::to_owned), topic: None, key: None, records }
    }

    #[test]
    fn records_go_to_the_topic_of_their_format() {
        let topics = vec![
            ("own".to_owned(), Source::from(Format::Callpulse)),
            ("pbx".to_owned(), Source::from(Format::AsteriskQueueLog)),
        ];
        let topic = |format: Option<&str>| find(&topics, &batch(format, &[])).map(|(name, _)| name);
        assert_eq!(topic(None), Ok("own"));
        assert_eq!(topic(Some("asterisk-queue-log")), Ok("pbx"));
        let named = Batch { topic: Some("pbx".to_owned()), ..batch(None, &[]) };
        assert_eq!(find(&topics, &named).map(|(name, _)| name), Ok("pbx"));
        assert!(matches!(topic(Some("twilio")), Err(Refusal::Unknown(_, hint)) if hint.contains("`pbx`")));
        assert!(
            matches!(topic(Some("morse")), Err(Refusal::Unknown(message, _)) if message.contains("morse"))
        );
    }

    #[test]
    fn each_record_is_keyed_by_its_contact_or_agent_and_bad_ones_are_numbered() {
        let queued =
            r#"{"id":"1","type":"contact.queued","time":1772413200000,"contact_id":"c1","queue":"q"}"#;
        let state = r#"{"id":"2","type":"agent.state","time":1772413200000,"agent_id":"li","state":"busy"}"#;
        let (good, bad) =
            sort(&Source::from(Format::Callpulse), &batch(None, &[queued, "{", state]), 1_772_413_300_000);
        let keys: Vec<_> = good.iter().map(|(key, _)| String::from_utf8_lossy(key).into_owned()).collect();
        assert_eq!(keys, ["c1", "li"]);
        assert_eq!((bad.len(), bad[0].0, bad[0].1), (1, 2, "not_json"));
        let (lines, _) = sort(
            &Source::from(Format::AsteriskQueueLog),
            &batch(None, &["1772413200|c1|q|NONE|ENTERQUEUE|||1", "1772413201|NONE|NONE|NONE|QUEUESTART|"]),
            1_772_413_300_000,
        );
        assert!(lines.iter().all(|(key, _)| key == LOG_KEY.as_bytes()));
    }
}
