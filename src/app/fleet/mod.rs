//! The fleet: instances of one consumer group answer for each other.
//!
//! Each says its sums about once a second on a compacted topic that all read ([`Bulletin`]); whoever asks one of them gets
//! the figures of all, by addition. What nobody can say at the moment is named, partition by partition.
//!
//! Invariant: no partition is added twice. Where two instances show one (it moves), the one that was heard last counts, and
//! the other is left out until it speaks again.
//! Invariant: where there is a token, a word without its seal is nobody's: who may write to the topic is not thereby believed,
//! and no token is sent where a stranger says.
//! Invariant: no clock of another machine is compared with ours: fresh is what has been *heard* within `silent`.

mod ask;
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::Failure;
use crate::access::Seal;
use crate::config::Config;
use crate::ingest::{Bulletin, Ear, Place, Word};
use crate::rules::Opened;
use crate::window::Summary;

pub(super) use ask::{Answers, Asked};
pub(super) use wire::{answer, read_question};

/// An instance that has not been heard for so long, and whose partitions others show, is forgotten.
const FORGOTTEN: Duration = Duration::from_secs(600);
/// How long partitions may be missing before rules are looked at without them.
const LACKING_MAX: Duration = Duration::from_secs(60);
/// Bytes of a word that is read at most.
const WORD_MAX: usize = 16 << 20;
/// How long the last word may take to reach the brokers.
const FAREWELL: Duration = Duration::from_secs(2);

/// What one instance says of its pipeline; sums, but for the watermark.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Pipeline {
    /// Records behind the end; `None` before anything is known.
    pub lag: Option<i64>,
    /// The least event time up to which a partition is complete.
    pub watermark: Option<i64>,
    /// Events read.
    pub events: u64,
    /// Records that could not be used.
    pub rejects: u64,
    /// Of these, those of the last minute.
    pub rejects_per_minute: u64,
    /// Contacts that are not closed.
    pub open_contacts: i64,
    /// Contacts seen on two partitions.
    pub split_contacts: u64,
    /// The lake cannot be written.
    pub lake_failing: bool,
}

impl Pipeline {
    fn add(&mut self, other: &Pipeline) {
        self.lag = match (self.lag, other.lag) {
            (Some(ours), Some(theirs)) => Some(ours + theirs),
            (ours, theirs) => ours.or(theirs),
        };
        self.watermark = match (self.watermark, other.watermark) {
            (Some(ours), Some(theirs)) => Some(ours.min(theirs)),
            (ours, theirs) => ours.or(theirs),
        };
        self.events += other.events;
        self.rejects += other.rejects;
        self.rejects_per_minute += other.rejects_per_minute;
        self.open_contacts += other.open_contacts;
        self.split_contacts += other.split_contacts;
        self.lake_failing |= other.lake_failing;
    }
}

/// The part of a word that is text, before the sums.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Head {
    url: String,
    ready: bool,
    /// It has left the group by itself.
    left: bool,
    partitions: Vec<(String, i32)>,
    pipeline: Pipeline,
    /// Alerts of figures that are open, as (id, rule, queue), where it is the one that looks at the fleet's rules.
    opened: Option<Vec<(String, String, String)>>,
}

/// What an instance says.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Said {
    head: Head,
    summary: Summary,
}

impl Said {
    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec(&self.head).expect("plain data");
        bytes.push(b'\n');
        bytes.extend(self.summary.to_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Said> {
        if bytes.len() > WORD_MAX {
            return None;
        }
        let at = bytes.iter().position(|byte| *byte == b'\n')?;
        let head = serde_json::from_slice(&bytes[..at]).ok()?;
        Some(Said { head, summary: Summary::from_bytes(&bytes[at + 1..])? })
    }

    fn places(&self) -> impl Iterator<Item = Place> {
        self.head.partitions.iter().map(|(topic, partition)| (topic.as_str().into(), *partition))
    }
}

/// An instance that has been heard.
#[derive(Debug)]
struct Peer {
    said: Arc<Said>,
    /// When; `None` where that was before we came, so that nobody knows.
    heard: Option<Instant>,
    order: u64,
}

/// What has been heard so far.
#[derive(Debug, Default)]
struct Heard {
    peers: BTreeMap<String, Peer>,
    /// Since when everything that was there has been read.
    caught_up: Option<Instant>,
    /// The partitions of the topics that are read.
    expected: BTreeSet<Place>,
    /// Open alerts of figures, as whoever looks at the fleet's rules said last.
    opened: Vec<Opened>,
    /// Since when partitions are missing.
    lacking: Option<Instant>,
    words: u64,
    unread: u64,
}

impl Heard {
    fn take(&mut self, own: &str, word: Word<'_>) {
        match word {
            Word::CaughtUp => self.caught_up = Some(Instant::now()),
            Word::Partitions(all) => {
                self.expected = all.into_iter().map(|(topic, number)| (topic.into(), number)).collect();
            }
            Word::Said(name, _) if name == own => {}
            Word::Said(name, None) => drop(self.peers.remove(name)),
            Word::Said(name, Some(bytes)) => {
                let Some(said) = Said::from_bytes(bytes) else {
                    // Its partitions stay missing, and so are named.
                    self.note_unread(name, "it may be of another release");
                    return;
                };
                if let Some(opened) = &said.head.opened {
                    let opened = opened.iter().cloned();
                    self.opened = opened.map(|(id, rule, queue)| Opened { id, rule, queue }).collect();
                }
                self.words += 1;
                let heard = self.caught_up.map(|_| Instant::now());
                let peer = Peer { said: Arc::new(said), heard, order: self.words };
                self.peers.insert(name.to_owned(), peer);
            }
        }
    }
}

impl Heard {
    fn note_unread(&mut self, instance: &str, why: &str) {
        self.unread += 1;
        if self.unread.is_power_of_two() {
            tracing::warn!(instance, why, "an instance of the fleet says what is not believed");
        }
    }
}

/// A partition that nobody shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Missing {
    /// The partition.
    pub place: Place,
    /// Who showed it last, and how long ago, where that is known.
    pub last: Option<(String, Duration)>,
}

impl Missing {
    /// For people.
    pub(super) fn describe(&self) -> String {
        let (topic, partition) = &self.place;
        match &self.last {
            Some((url, ago)) => format!("{topic}-{partition} (of {url}, silent for {} s)", ago.as_secs()),
            None => format!("{topic}-{partition}"),
        }
    }
}

/// Another instance whose word counts.
#[derive(Debug, Clone)]
pub(super) struct Counted {
    /// Where it is asked; empty: it cannot be.
    pub url: String,
    /// Its partitions.
    pub places: Vec<Place>,
    said: Arc<Said>,
}

/// Who counts at an instant, and what is missing.
#[derive(Debug, Clone, Default)]
pub(super) struct Overview {
    /// The others whose words count.
    pub counted: Vec<Counted>,
    /// The partitions that nobody shows.
    pub missing: Vec<Missing>,
    /// Every other instance that is known, as JSON.
    instances: Vec<Value>,
    /// Whether rules may be looked at: nothing is missing, or for so long that waiting would hide more.
    pub may_judge: bool,
    /// Whether somebody who is fresh looks at the fleet's rules.
    pub is_judged: bool,
    /// Open alerts of figures, as whoever looks at the fleet's rules said last.
    pub opened: Vec<Opened>,
}

/// This instance's part in the fleet.
pub(super) struct Fleet {
    id: String,
    url: String,
    silent: Duration,
    seal: Option<Seal>,
    heard: Arc<Mutex<Heard>>,
    bulletin: OnceLock<Bulletin>,
    asking: ask::Asking,
    /// Alerts of figures that we have open, where we look at the fleet's rules.
    opened: Mutex<Option<Vec<Opened>>>,
    news: Notify,
    began: Instant,
}

impl Fleet {
    /// This instance's part, where the configuration names a topic; `url` is where the pages are.
    ///
    /// # Errors
    /// A configuration by which others could not ask this instance; a property that librdkafka refuses.
    pub(super) fn of(
        config: &Config,
        listens: Option<std::net::SocketAddr>,
    ) -> Result<Option<Arc<Fleet>>, Failure> {
        let Some(topic) = &config.kafka.fleet_topic else { return Ok(None) };
        let url = own_url(config, listens)?;
        if config.users.is_some() && config.fleet.token.is_empty() {
            return Err(Failure::config("with `users`, the instances of a fleet need a token to ask each other: `fleet.token` is empty")
                .hint("make a user of role admin for them (`callpulse user add fleet --role admin`), and set its token: token = \"${file:/run/secrets/fleet}\""));
        }
        let fleet = Arc::new(Fleet {
            id: format!("{:016x}", rand::random::<u64>()),
            url,
            silent: Duration::from_secs(u64::try_from(config.fleet.silent_secs).unwrap_or(5)),
            seal: Some(&*config.fleet.token).filter(|token| !token.is_empty()).map(Seal::new),
            heard: Arc::default(),
            bulletin: OnceLock::new(),
            asking: ask::Asking::new(config)?,
            opened: Mutex::default(),
            news: Notify::new(),
            began: Instant::now(),
        });
        // Only what is heard is handed over: the thread that hears must not hold what waits for its end.
        let (heard, own, seal) = (Arc::clone(&fleet.heard), fleet.id.clone(), fleet.seal.clone());
        let ear: Ear = Box::new(move |word| {
            let mut heard = heard.lock().expect("no holder of this lock can panic");
            match (&seal, word) {
                (Some(seal), Word::Said(name, Some(sealed))) => match seal.open(name, sealed) {
                    Some(bytes) => heard.take(&own, Word::Said(name, Some(bytes))),
                    None => heard.note_unread(name, "its seal is not ours: has it another `fleet.token`?"),
                },
                // A stranger cannot take another's word away either.
                (Some(_), Word::Said(_, None)) => {}
                (_, word) => heard.take(&own, word),
            }
        });
        let watched = config.kafka.topics.iter().map(|topic| topic.name.clone()).collect();
        let bulletin = Bulletin::open(&config.kafka.brokers, &config.kafka.properties.0, topic, watched, ear)
            .map_err(|error| Failure::of_ingest(&error))?;
        let _ = fleet.bulletin.set(bulletin);
        Ok(Some(fleet))
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().expect("no holder of this lock can panic")
    }

    /// Says what this instance has now. `last`: it has left the group.
    pub(super) fn say(
        &self,
        places: &[Place],
        ready: bool,
        last: bool,
        pipeline: Pipeline,
        summary: Summary,
    ) {
        let opened = self.opened.lock().expect("no holder of this lock can panic").clone();
        let opened = opened.map(|opened| opened.into_iter().map(|o| (o.id, o.rule, o.queue)).collect());
        let partitions = places.iter().map(|(topic, partition)| (topic.to_string(), *partition)).collect();
        let head = Head { url: self.url.clone(), ready, left: last, partitions, pipeline, opened };
        if let Some(bulletin) = self.bulletin.get() {
            let word = Said { head, summary }.to_bytes();
            match &self.seal {
                Some(seal) => bulletin.say(&self.id, &seal.close(&self.id, &word)),
                None => bulletin.say(&self.id, &word),
            }
            if last {
                bulletin.flush(FAREWELL);
            }
        }
    }

    /// Waits until something was said that others should hear at once.
    pub(super) async fn news(&self) {
        self.news.notified().await;
    }

    /// Notes which alerts of figures are open; `None`: somebody else looks at the fleet's rules.
    pub(super) fn note_opened(&self, opened: Option<Vec<Opened>>) {
        let mut known = self.opened.lock().expect("no holder of this lock can panic");
        if *known != opened {
            *known = opened;
            // Whoever takes the rules over must know them.
            self.news.notify_one();
        }
    }

    /// Whether the others have been heard, or had time enough to be.
    pub(super) fn has_listened(&self) -> bool {
        let caught_up = self.heard().caught_up;
        // Whoever is there speaks every second. Where the topic cannot be read at all, the service is there all the same.
        caught_up.is_some_and(|at| at.elapsed() >= Duration::from_millis(2_500))
            || self.began.elapsed() > self.silent.max(Duration::from_secs(30))
    }

    /// Who counts beside this instance, which has these partitions.
    pub(super) fn overview(&self, own: &[Place]) -> Overview {
        let mut heard = self.heard();
        let silent = self.silent;
        let fresh = |peer: &Peer| !peer.said.head.left && peer.heard.is_some_and(|at| at.elapsed() < silent);
        let mut claimed: BTreeSet<Place> = own.iter().cloned().collect();
        let mut overview = Overview { opened: heard.opened.clone(), ..Overview::default() };
        let mut peers: Vec<&Peer> = heard.peers.values().collect();
        peers.sort_by_key(|peer| std::cmp::Reverse(peer.order));
        let mut last: BTreeMap<Place, (String, Duration)> = BTreeMap::new();
        for peer in peers {
            let head = &peer.said.head;
            let places: Vec<Place> = peer.said.places().collect();
            let counts = fresh(peer) && !places.iter().any(|place| claimed.contains(place));
            let ago = peer.heard.map_or_else(|| self.began.elapsed(), |at| at.elapsed());
            if counts {
                claimed.extend(places.iter().cloned());
                overview.is_judged |= head.opened.is_some();
                overview.counted.push(Counted {
                    url: head.url.clone(),
                    places: places.clone(),
                    said: Arc::clone(&peer.said),
                });
            }
            for place in places {
                last.entry(place).or_insert_with(|| (head.url.clone(), ago));
            }
            if !head.left {
                overview.instances.push(json!({
                    "url": head.url, "ready": head.ready, "counted": counts,
                    "partitions": head.partitions.len(), "silent_seconds": ago.as_secs(),
                }));
            }
        }
        // Before the brokers have said which there are, it is those that somebody has shown.
        let expected: BTreeSet<Place> = match heard.expected.is_empty() {
            true => last.keys().cloned().collect(),
            false => heard.expected.clone(),
        };
        let missing = expected.into_iter().filter(|place| !claimed.contains(place));
        overview.missing = missing.map(|place| Missing { last: last.remove(&place), place }).collect();
        if overview.missing.is_empty() {
            heard.lacking = None;
        } else {
            heard.lacking.get_or_insert_with(Instant::now);
        }
        overview.may_judge = heard.lacking.is_none_or(|since| since.elapsed() > LACKING_MAX);
        // Who is long silent and whose partitions others show has gone.
        heard.peers.retain(|_, peer| {
            let silent_for = peer.heard.map_or_else(|| self.began.elapsed(), |at| at.elapsed());
            silent_for < FORGOTTEN || peer.said.places().any(|place| !claimed.contains(&place))
        });
        overview
    }

    /// This instance and the others, as JSON.
    pub(super) fn instances(&self, overview: &Overview, own: &[Place], ready: bool) -> Value {
        let ours = json!({
            "url": self.url, "ready": ready, "counted": true, "partitions": own.len(), "silent_seconds": 0,
        });
        std::iter::once(ours).chain(overview.instances.iter().cloned()).collect()
    }

    /// Asks the others what they have in memory beyond these positions.
    pub(super) async fn ask(&self, overview: &Overview, asked: &Asked) -> Answers {
        self.asking.ask(overview, asked).await
    }
}

impl Overview {
    /// Adds the others' sums to ours.
    pub(super) fn add_to(&self, summary: &mut Summary, pipeline: &mut Pipeline) {
        for counted in &self.counted {
            summary.merge(&counted.said.summary);
            pipeline.add(&counted.said.head.pipeline);
        }
    }

    /// What is missing, for people.
    pub(super) fn missing_names(&self) -> Vec<String> {
        self.missing.iter().map(Missing::describe).collect()
    }
}

/// Where the others find this instance.
fn own_url(config: &Config, listens: Option<std::net::SocketAddr>) -> Result<String, Failure> {
    if !config.fleet.url.is_empty() {
        return Ok(config.fleet.url.trim_end_matches('/').to_owned());
    }
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    match listens {
        // It takes part in the sums; its rows in memory are named as missing.
        None => Ok(String::new()),
        Some(address) if address.ip().is_unspecified() => {
            Err(Failure::config(format!("`http.listen` is every address (`{address}`), so `fleet.url` must say where the other instances find this one"))
                .hint("e.g. url = \"http://${HOSTNAME}:8080\""))
        }
        Some(address) => Ok(format!("{scheme}://{address}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Channel;
    use crate::window::SeriesKey;

    fn fleet(silent: Duration) -> Fleet {
        Fleet {
            id: "own".to_owned(),
            url: "http://own".to_owned(),
            silent,
            seal: None,
            heard: Arc::default(),
            bulletin: OnceLock::new(),
            asking: ask::Asking::none(),
            opened: Mutex::default(),
            news: Notify::new(),
            began: Instant::now(),
        }
    }

    fn said(url: &str, partitions: &[i32], agents: i64) -> Said {
        let mut summary = Summary { now: 1_000, ..Summary::default() };
        summary.agents[0] = agents;
        let pipeline = Pipeline { lag: Some(agents), events: 10, ..Pipeline::default() };
        let partitions = partitions.iter().map(|number| ("calls".to_owned(), *number)).collect();
        let head = Head { url: url.to_owned(), ready: true, left: false, partitions, pipeline, opened: None };
        Said { head, summary }
    }

    fn hear(fleet: &Fleet, name: &str, said: &Said) {
        fleet.heard().take(&fleet.id, Word::Said(name, Some(&said.to_bytes())));
    }

    fn place(number: i32) -> Place {
        ("calls".into(), number)
    }

    fn agents(overview: &Overview) -> i64 {
        let (mut summary, mut pipeline) = (Summary::default(), Pipeline::default());
        overview.add_to(&mut summary, &mut pipeline);
        assert_eq!(pipeline.lag.unwrap_or(0), summary.agents[0]);
        summary.agents[0]
    }

    fn missing(overview: &Overview) -> Vec<i32> {
        overview.missing.iter().map(|missing| missing.place.1).collect()
    }

    #[test]
    fn a_word_comes_back_and_damage_does_not() {
        let word = said("http://b", &[1, 2], 3);
        let bytes = word.to_bytes();
        assert_eq!(Said::from_bytes(&bytes), Some(word));
        for length in 0..bytes.len() {
            assert_eq!(Said::from_bytes(&bytes[..length]), None);
        }
    }

    #[test]
    fn no_partition_is_added_twice_and_what_nobody_shows_is_named() {
        let fleet = fleet(Duration::from_secs(60));
        let all = (0..6).map(|number| ("calls".to_owned(), number)).collect();
        fleet.heard().take("own", Word::Partitions(all));
        // What was said before we came is not fresh: nobody knows how old it is.
        hear(&fleet, "b", &said("http://b", &[2, 3], 5));
        let own = [place(0), place(1)];
        let overview = fleet.overview(&own);
        assert_eq!((agents(&overview), missing(&overview)), (0, vec![2, 3, 4, 5]));
        assert!(overview.missing[0].describe().contains("http://b"), "{:?}", overview.missing);
        assert!(!overview.may_judge);
        fleet.heard().take("own", Word::CaughtUp);
        hear(&fleet, "b", &said("http://b", &[2, 3], 5));
        hear(&fleet, "c", &said("http://c", &[4, 5], 7));
        let overview = fleet.overview(&own);
        assert_eq!((agents(&overview), missing(&overview)), (12, vec![]));
        assert!(overview.may_judge);
        // Partition 3 moves from b to c: whoever was heard last counts, the other waits for its next word.
        hear(&fleet, "c", &said("http://c", &[3, 4, 5], 8));
        let overview = fleet.overview(&own);
        assert_eq!((agents(&overview), missing(&overview)), (8, vec![2]));
        hear(&fleet, "b", &said("http://b", &[2], 4));
        assert_eq!(agents(&fleet.overview(&own)), 12);
        // Partition 2 moves to us.
        let own = [place(0), place(1), place(2)];
        assert_eq!(agents(&fleet.overview(&own)), 8);
        // c leaves by itself: its partitions are nobody's.
        let mut word = said("http://c", &[], 0);
        word.head.left = true;
        hear(&fleet, "c", &word);
        assert_eq!(missing(&fleet.overview(&own)), vec![3, 4, 5]);
    }

    #[test]
    fn who_is_silent_is_missing_until_others_have_its_partitions() {
        let fleet = fleet(Duration::from_millis(80));
        fleet.heard().take("own", Word::CaughtUp);
        hear(&fleet, "b", &said("http://b", &[1], 5));
        let own = [place(0)];
        assert_eq!(agents(&fleet.overview(&own)), 5);
        std::thread::sleep(Duration::from_millis(120));
        let overview = fleet.overview(&own);
        assert_eq!((agents(&overview), missing(&overview)), (0, vec![1]));
        assert_eq!(overview.missing[0].last.as_ref().map(|(url, _)| url.as_str()), Some("http://b"));
        assert_eq!(missing(&fleet.overview(&[place(0), place(1)])), Vec::<i32>::new());
    }

    #[test]
    fn who_takes_the_rules_over_knows_what_is_open() {
        let fleet = fleet(Duration::from_secs(60));
        fleet.heard().take("own", Word::CaughtUp);
        let mut word = said("http://b", &[0], 5);
        word.head.opened = Some(vec![("id".to_owned(), "slow".to_owned(), "sales".to_owned())]);
        hear(&fleet, "b", &word);
        let overview = fleet.overview(&[]);
        assert!(overview.is_judged);
        word.head.opened = None;
        word.head.left = true;
        hear(&fleet, "b", &word);
        let overview = fleet.overview(&[place(0)]);
        assert!(!overview.is_judged);
        let opened = Opened { id: "id".to_owned(), rule: "slow".to_owned(), queue: "sales".to_owned() };
        assert_eq!(overview.opened, [opened]);
        let key = SeriesKey { queue: "sales".into(), channel: Channel::Voice };
        assert!(!word.summary.series.contains_key(&key));
    }
}
