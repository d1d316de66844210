//! The configuration as the rooms need it: every value checked.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use chrono_tz::{TZ_VARIANTS, Tz};

use crate::calendar::{Calendar, Country, Deadlines, OwnEvent, read_events};
use crate::decode::{Format, Layout, Mapping, Names};
use crate::kpi::ServiceLevel;
use crate::time::Grid;

use super::DEFAULTS;
use super::alerting::{Alerts, Notify, read_alerts, read_notify, texts};
use super::fault::{Fault, nearest};
use super::mapping::{load_mapping, load_names};
use super::oidc::{Oidc, read_oidc};
use super::raw::Layers;
use super::section::Section;

/// The whole configuration. Numbers are in the units of their names.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The centre's time zone.
    pub timezone: Tz,
    /// The length of a slot: 15, 30 or 60.
    pub slot_minutes: u32,
    /// Where tables and snapshots are kept: a directory, or `s3://bucket/prefix`.
    pub data_dir: String,
    /// By how much events may come out of order before they count as late.
    pub lateness_secs: i64,
    /// How long after a contact's close events still correct it.
    pub correlation_secs: i64,
    /// How long after the end of the talk `contact.wrapped` is waited for.
    pub acw_timeout_secs: i64,
    /// How long a contact may stay open without an end.
    pub contact_timeout_secs: ContactTimeouts,
    /// Where events come from.
    pub kafka: Kafka,
    /// Where schemas of Avro, Protobuf and JSON records come from.
    pub schema_registry: SchemaRegistry,
    /// Where the service listens.
    pub listeners: Listeners,
    /// The file with the users; `None`: there are none, and only clients on this machine are served.
    pub users: Option<String>,
    /// Whose bearer tokens count beside those of the users; `None`: nobody's.
    pub oidc: Option<Oidc>,
    /// Encryption of every listener; `None`: none.
    pub tls: Option<TlsFiles>,
    /// The directory of the audit log; `None`: beside the tables.
    pub audit_dir: Option<String>,
    /// Bounds of SQL.
    pub sql: Sql,
    /// What holds for queues that do not say otherwise.
    pub queue_defaults: QueueDefaults,
    /// What quality goes by.
    pub quality: Quality,
    /// The queues that are listed, by name; what they leave open is filled from `queue_defaults`.
    pub queues: BTreeMap<String, Queue>,
    /// What is expected of the days to come.
    pub forecast: Forecast,
    /// How rows are written.
    pub lake: Lake,
    /// How instances of one group answer for each other.
    pub fleet: Fleet,
    /// What `/metrics` shows.
    pub metrics: Metrics,
    /// Lexicons by which messages are read: names of shipped ones, or paths; the later overrides the earlier.
    pub lexicons: Vec<String>,
    /// Files of rules; none: the shipped ones.
    pub rules: Vec<String>,
    /// Files with the centre's own advice.
    pub advice: Vec<String>,
    /// The roster, CSV.
    pub roster: Option<String>,
    /// The people who can be told, CSV.
    pub people: Option<String>,
    /// Where alerts are sent.
    pub notify: Vec<Notify>,
    /// How alerts live.
    pub alerts: Alerts,
    /// What can be started with, but was hardly meant; to be shown by [`Fault::as_warning`].
    pub warnings: Vec<Fault>,
}

/// How long a contact of each channel may stay open without an end, in seconds of event time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are the channels")]
pub struct ContactTimeouts {
    pub voice: i64,
    pub chat: i64,
    pub email: i64,
    pub social: i64,
    pub video: i64,
    pub sms: i64,
}

/// Where events come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kafka {
    /// `host:port`, separated by commas.
    pub brokers: String,
    /// The consumer group.
    pub group: String,
    /// The topics to read; at least one, each named once.
    pub topics: Vec<Topic>,
    /// The topics share key, number of partitions and partitioner.
    pub co_partitioned: bool,
    /// Where records that cannot be used go; `None` keeps them in the table `rejects` only.
    pub dead_letter_topic: Option<String>,
    /// The topic on which instances say their sums; `None`: each answers for itself.
    pub fleet_topic: Option<String>,
    /// Handed to librdkafka.
    pub properties: Properties,
}

/// A topic to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// How its records are written.
    pub format: String,
    /// How records of one's own become events, for the format `mapped`.
    pub mapping: Option<Arc<Mapping>>,
    /// Names for ids of queues and agents.
    pub names: Option<Arc<Names>>,
    /// Tokens with which records may be sent to this topic over HTTP, and nothing else be done.
    pub tokens: Tokens,
}

/// Secrets. `Debug` shows none.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Tokens(pub Vec<String>);

impl fmt::Debug for Tokens {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} tokens", self.0.len())
    }
}

/// A schema registry.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct SchemaRegistry {
    /// Its address; empty: there is none.
    pub url: String,
    /// Who asks; empty: nobody in particular.
    pub user: String,
    /// The secret.
    pub password: String,
}

impl fmt::Debug for SchemaRegistry {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "SchemaRegistry({})", self.url)
    }
}

/// librdkafka's properties. `Debug` shows no secret.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Properties(pub BTreeMap<String, String>);

/// Where the service listens; `None`: not at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listeners {
    /// Pages, metrics, SQL over HTTP.
    pub http: Option<SocketAddr>,
    /// PostgreSQL wire.
    pub pg: Option<SocketAddr>,
    /// Arrow Flight SQL.
    pub flight: Option<SocketAddr>,
}

/// Encryption of every listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The chain of certificates, PEM.
    pub certificate: String,
    /// The private key, PEM.
    pub key: String,
}

/// Bounds of SQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sql {
    /// How long a query may take.
    pub timeout_secs: i64,
    /// Memory of all queries together, in MiB.
    pub memory_mib: i64,
    /// Queries that run at once.
    pub max_concurrent: i64,
}

/// What quality goes by. Numbers are in the units of their names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quality {
    /// After how long a customer was left waiting on one question.
    pub answer_secs: i64,
    /// Within how long after the answer an agent greets.
    pub greeting_secs: i64,
    /// Queues of machines, to which agents must not pass customers.
    pub self_service_queues: Vec<String>,
    /// By when complaints must be called back about.
    pub deadlines: Deadlines,
}

/// What holds for queues that do not say otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueDefaults {
    /// "In time" is a wait of at most this.
    pub target_wait_secs: i64,
    /// An abandon before this is a short one.
    pub short_abandon_secs: i64,
    /// How the service level is reckoned.
    pub service_level_formula: ServiceLevel,
}

/// A queue that is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    /// Its department; `None`: what the event says.
    pub department: Option<String>,
    /// "In time" is a wait of at most this.
    pub target_wait_secs: i64,
    /// An abandon before this is a short one.
    pub short_abandon_secs: i64,
    /// How the service level is reckoned.
    pub service_level_formula: ServiceLevel,
}

/// What forecasts and staffing go by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forecast {
    /// Days ahead.
    pub horizon_days: i64,
    /// Percent to be answered within the target wait.
    pub service_level_percent: i64,
    /// Percent of their time that agents may be busy.
    pub occupancy_cap_percent: i64,
    /// Percent of rostered time that is not worked.
    pub shrinkage_percent: i64,
    /// Chats that one agent has at once.
    pub chat_concurrency: i64,
    /// Mean patience of customers.
    pub patience_secs: i64,
    /// Whose holidays hold, and own events.
    pub calendar: Calendar,
}

/// How rows are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lake {
    /// Time between commits of closed rows.
    pub commit_secs: i64,
    /// Rows that make a commit come sooner.
    pub commit_rows: i64,
    /// Time between snapshots of what is open.
    pub snapshot_secs: i64,
    /// Whether the table `events` is kept.
    pub events: bool,
    /// Time between compactions.
    pub compact_every_secs: i64,
    /// Commits between checkpoints of a table's log.
    pub checkpoint_every_commits: i64,
    /// How long files that no version needs are kept.
    pub vacuum_hours: i64,
    /// Days that rows are kept, by table; 0: for ever.
    pub retention_days: BTreeMap<&'static str, i64>,
}

/// How instances of one group answer for each other.
#[derive(Clone, PartialEq, Eq)]
pub struct Fleet {
    /// Where the others find this instance's pages; empty: where it listens.
    pub url: String,
    /// By which instances ask each other, of a user who is admin.
    pub token: String,
    /// Seconds after which an instance that says nothing is missing.
    pub silent_secs: i64,
}

impl fmt::Debug for Fleet {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The token is never shown.
        out.debug_struct("Fleet")
            .field("url", &self.url)
            .field("silent_secs", &self.silent_secs)
            .finish_non_exhaustive()
    }
}

/// What `/metrics` shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metrics {
    /// The most series.
    pub max_series: i64,
}

impl Config {
    /// Reads the layers: defaults, `file`, `CALLPULSE_…` of `env`, `sets` (`key=value`); the later overrides.
    ///
    /// `env` also gives the values of `${VAR}`. Every fault that can be found is returned, never only the first.
    pub fn load(
        file: Option<&Path>,
        env: impl Iterator<Item = (String, String)>,
        sets: &[String],
    ) -> Result<Self, Vec<Fault>> {
        let env: BTreeMap<_, _> = env.collect();
        let mut layers = Layers::new(DEFAULTS);
        if let Some(file) = file {
            layers.add_file(file, &env);
        }
        layers.add_environment(&env);
        for setting in sets {
            layers.add_set(setting, &env);
        }

        let faults = RefCell::new(std::mem::take(&mut layers.faults));
        let keys: Vec<_> = layers.keys.iter().map(|path| path.join(".")).collect();
        let mut config = read(Section::root(&layers.merged, &faults), &keys);
        config.warnings.append(&mut layers.warnings);
        let mut faults = faults.into_inner();
        // In the order in which they stand, so that a file is mended from top to bottom.
        faults.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
        if faults.is_empty() { Ok(config) } else { Err(faults) }
    }

    /// The centre's slot grid.
    pub fn grid(&self) -> Grid {
        Grid::new(self.timezone, self.slot_minutes)
            .expect("the length of a slot was checked when it was read")
    }
}

/// The longest time that a key takes, in seconds: ten years.
const SECS_MAX: i64 = 10 * 366 * 86_400;

fn read(mut root: Section<'_>, keys: &[String]) -> Config {
    let timezone = read_zone(&mut root);
    let slot_minutes = root.integer("slot_minutes", 15..=60) as u32;
    // 0 stands for a value that has been refused already.
    if slot_minutes != 0
        && let Err(message) = Grid::new(timezone, slot_minutes)
    {
        root.refuse("slot_minutes", message, None);
    }
    let data_dir = read_data_dir(&mut root);
    let lateness_secs = root.integer("lateness_secs", 0..=SECS_MAX);
    let correlation_secs = root.integer("correlation_secs", 0..=SECS_MAX);
    let acw_timeout_secs = root.integer("acw_timeout_secs", 1..=SECS_MAX);
    let contact_timeout_secs = {
        let mut section = root.section("contact_timeout_secs");
        let mut secs = |channel| section.integer(channel, 1..=SECS_MAX);
        let timeouts = ContactTimeouts {
            voice: secs("voice"),
            chat: secs("chat"),
            email: secs("email"),
            social: secs("social"),
            video: secs("video"),
            sms: secs("sms"),
        };
        section.finish(keys);
        timeouts
    };
    let mut warnings = Vec::new();
    let kafka = read_kafka(root.section("kafka"), keys, &mut warnings);
    let filled = |text: String| Some(text).filter(|text| !text.is_empty());
    let users = filled(root.text("users"));
    let listeners = Listeners {
        http: read_listener(root.section("http"), users.is_some(), keys),
        pg: read_listener(root.section("pg"), users.is_some(), keys),
        flight: read_listener(root.section("flight"), users.is_some(), keys),
    };
    let schema_registry = read_schema_registry(root.section("schema_registry"), keys);
    for topic in &kafka.topics {
        let by_schema = topic.mapping.as_ref().is_some_and(|mapping| mapping.layout == Layout::Registry);
        if by_schema && schema_registry.url.is_empty() {
            let hint = Some("write `[schema_registry]` and its `url`".to_owned());
            let message = format!("the mapping of the topic `{}` needs a schema registry", topic.name);
            root.refuse("schema_registry", message, hint);
        }
    }
    let oidc = read_oidc(root.section("access"), users.is_some(), keys);
    let tls = {
        let mut section = root.section("tls");
        let files = (filled(section.text("certificate")), filled(section.text("key")));
        if files.0.is_some() != files.1.is_some() {
            let missing = if files.0.is_some() { "key" } else { "certificate" };
            let hint = "a certificate needs its key; leave both empty for no encryption".to_owned();
            section.refuse(missing, format!("`{}` is empty", section.name(missing)), Some(hint));
        }
        section.finish(keys);
        files.0.zip(files.1).map(|(certificate, key)| TlsFiles { certificate, key })
    };
    let audit_dir = {
        let mut section = root.section("audit");
        let directory = filled(section.text("directory"));
        section.finish(keys);
        directory
    };
    let sql = {
        let mut section = root.section("sql");
        let sql = Sql {
            timeout_secs: section.integer("timeout_secs", 1..=86_400),
            memory_mib: section.integer("memory_mib", 16..=1 << 20),
            max_concurrent: section.integer("max_concurrent", 1..=1_000),
        };
        section.finish(keys);
        sql
    };
    let queue_defaults = {
        let mut section = root.section("queue_defaults");
        let defaults = QueueDefaults {
            target_wait_secs: section.integer("target_wait_secs", 0..=SECS_MAX),
            short_abandon_secs: section.integer("short_abandon_secs", 0..=SECS_MAX),
            service_level_formula: {
                let id = section.text("service_level_formula");
                formula(&section, &id).unwrap_or_default()
            },
        };
        section.finish(keys);
        defaults
    };
    let queues = read_queues(root.sections("queue"), queue_defaults, keys);
    let forecast = read_forecast(root.section("forecast"), keys);
    let quality = {
        let mut section = root.section("quality");
        let deadlines = match section.text("call_back_by").as_str() {
            "next_working_day" => Deadlines::of_working_days(forecast.calendar.clone()),
            "next_day" => Deadlines::of_every_day(),
            _ => {
                if section.has_text("call_back_by") {
                    let message = format!("unknown kind of day: `{}`", section.written("call_back_by"));
                    let hint = "known are `next_day` and `next_working_day`".to_owned();
                    section.refuse("call_back_by", message, Some(hint));
                }
                Deadlines::of_every_day()
            }
        };
        let quality = Quality {
            answer_secs: section.integer("answer_secs", 1..=SECS_MAX),
            greeting_secs: section.integer("greeting_secs", 0..=SECS_MAX),
            self_service_queues: texts(section.text_list("self_service_queues")),
            deadlines,
        };
        section.finish(keys);
        quality
    };
    let lake = read_lake(root.section("lake"), keys);
    let lexicons = root.text_list("lexicons");
    let fleet = {
        let mut section = root.section("fleet");
        let fleet = Fleet {
            url: section.text("url"),
            token: section.text("token"),
            silent_secs: section.integer("silent_secs", 2..=3_600),
        };
        if !fleet.url.is_empty() && !fleet.url.starts_with("http://") && !fleet.url.starts_with("https://") {
            let hint = "e.g. `http://10.0.0.7:8080`".to_owned();
            section.refuse(
                "url",
                format!("`fleet.url` is no address: `{}`", section.written("url")),
                Some(hint),
            );
        }
        section.finish(keys);
        fleet
    };
    let metrics = {
        let mut section = root.section("metrics");
        let metrics = Metrics { max_series: section.integer("max_series", 1..=10_000_000) };
        section.finish(keys);
        metrics
    };
    let rules = texts(root.text_list("rules"));
    let advice = texts(root.text_list("advice"));
    let mut path = |key| Some(root.text(key)).filter(|path| !path.is_empty());
    let (roster, people) = (path("roster"), path("people"));
    let notify = read_notify(root.sections("notify"), keys);
    let alerts = read_alerts(root.section("alerts"), keys);
    root.finish(keys);
    Config {
        timezone,
        slot_minutes,
        data_dir,
        lateness_secs,
        correlation_secs,
        acw_timeout_secs,
        contact_timeout_secs,
        kafka,
        listeners,
        users,
        schema_registry,
        oidc,
        tls,
        audit_dir,
        sql,
        queue_defaults,
        quality,
        queues,
        forecast,
        lake,
        fleet,
        metrics,
        lexicons,
        rules,
        advice,
        roster,
        people,
        notify,
        alerts,
        warnings,
    }
}

fn read_zone(root: &mut Section<'_>) -> Tz {
    let name = root.text("timezone");
    let found = name.parse().ok();
    if found.is_none() && root.has_text("timezone") {
        let hint = match nearest(&name, TZ_VARIANTS.iter().map(|zone| zone.name())) {
            Some(near) => format!("the nearest name is `{near}`"),
            None => "take a name of the IANA database, e.g. `Asia/Shanghai` or `UTC`".to_owned(),
        };
        root.refuse("timezone", format!("unknown time zone `{}`", root.written("timezone")), Some(hint));
    }
    found.unwrap_or(Tz::UTC)
}

fn read_data_dir(root: &mut Section<'_>) -> String {
    let data_dir = root.text("data_dir");
    let written = root.written("data_dir");
    match data_dir.split_once("://") {
        Some(("s3", rest)) if !rest.is_empty() && !rest.starts_with('/') => {}
        Some(("s3", _)) => {
            let hint = "write `s3://bucket/prefix`".to_owned();
            root.refuse("data_dir", format!("`data_dir` names no bucket: `{written}`"), Some(hint));
        }
        Some(_) => {
            let hint = "take a directory, or `s3://bucket/prefix`".to_owned();
            root.refuse("data_dir", format!("`data_dir` is of an unknown kind: `{written}`"), Some(hint));
        }
        None if data_dir.is_empty() => refuse_empty(root, "data_dir"),
        None => {}
    }
    data_dir
}

/// Reads the file that `key` names; its faults are this configuration's faults.
fn read_file<T>(
    entry: &mut Section<'_>,
    key: &'static str,
    load: fn(&Path) -> Result<T, Vec<Fault>>,
) -> Option<Arc<T>> {
    let path = entry.optional_text(key)?;
    match load(Path::new(&path)) {
        Ok(read) => Some(Arc::new(read)),
        Err(faults) => {
            faults.into_iter().for_each(|fault| entry.pass_on(fault));
            None
        }
    }
}

/// The shortest token that nobody guesses.
const TOKEN_MIN: usize = 24;

fn read_kafka(mut section: Section<'_>, keys: &[String], warnings: &mut Vec<Fault>) -> Kafka {
    let brokers = section.text_list("brokers");
    for broker in &brokers {
        let port = broker.rsplit_once(':').map(|(host, port)| (host.is_empty(), port.parse::<u16>()));
        if !matches!(port, Some((false, Ok(1..)))) {
            let message = format!("`kafka.brokers` must be host:port: `{}`", section.written("brokers"));
            section.refuse("brokers", message, Some("e.g. `kafka1:9092,kafka2:9092`".to_owned()));
            break;
        }
    }
    let group = section.text("group");
    if group.is_empty() {
        refuse_empty(&section, "group");
    }

    let mut topics: Vec<Topic> = Vec::new();
    for mut entry in section.sections("topics") {
        let name = entry.text("name");
        check_topic(&entry, "name", &name);
        if topics.iter().any(|topic| topic.name == name) && !name.is_empty() {
            entry.refuse("name", format!("the topic `{}` is listed twice", entry.written("name")), None);
        }
        let format = entry.optional_text("format").unwrap_or_else(|| Format::default().name().to_owned());
        if Format::from_name(&format).is_none() {
            let near = nearest(&format, Format::names()).map(|near| format!("the nearest is `{near}`; "));
            let hint = format!("{}known are `{}`", near.unwrap_or_default(), Format::names().join("`, `"));
            entry.refuse("format", format!("unknown format `{}`", entry.written("format")), Some(hint));
        }
        let mapping = read_file(&mut entry, "mapping", load_mapping);
        if format == Format::Mapped.name() && !entry.has("mapping") {
            let hint = "name the file: `mapping = \"calls.toml\"`".to_owned();
            entry.refuse("format", "the format `mapped` needs a mapping".to_owned(), Some(hint));
        } else if format != Format::Mapped.name() && entry.has("mapping") {
            let hint = "a mapping is for `format = \"mapped\"`".to_owned();
            entry.refuse(
                "mapping",
                format!("the format `{}` takes no mapping", entry.written("format")),
                Some(hint),
            );
        }
        let names = read_file(&mut entry, "names", load_names);
        let tokens = entry.optional_text_list("tokens").unwrap_or_default();
        if tokens.iter().any(|token| token.len() < TOKEN_MIN) {
            let message = format!("a token of the topic `{name}` has fewer than {TOKEN_MIN} characters");
            entry.refuse("tokens", message, Some("e.g. the output of `openssl rand -hex 32`".to_owned()));
        }
        entry.finish(keys);
        topics.push(Topic { name, format, mapping, names, tokens: Tokens(tokens) });
    }
    if section.has_empty_list("topics") {
        let hint = "write `topics = [{ name = \"callpulse.events\" }]`".to_owned();
        section.refuse("topics", "`kafka.topics` names no topic".to_owned(), Some(hint));
    }
    let co_partitioned = section.flag("co_partitioned");
    if topics.len() > 1 && !co_partitioned {
        let message = format!("{} topics are not declared co-partitioned", topics.len());
        let hint = "all events of a contact must then be in one of them; where they are not, key the topics alike and set \
                    `kafka.co_partitioned`"
            .to_owned();
        warnings.push(section.origin("topics").fault(message, Some(hint)));
    }

    let dead_letter_topic = Some(section.text("dead_letter_topic")).filter(|name| !name.is_empty());
    if let Some(name) = &dead_letter_topic {
        check_topic(&section, "dead_letter_topic", name);
        if topics.iter().any(|topic| topic.name == *name) {
            let message =
                format!("the dead-letter topic `{}` is read too", section.written("dead_letter_topic"));
            let hint = "take another, else its records go round for ever".to_owned();
            section.refuse("dead_letter_topic", message, Some(hint));
        }
    }
    let fleet_topic = Some(section.text("fleet_topic")).filter(|name| !name.is_empty());
    if let Some(name) = &fleet_topic {
        check_topic(&section, "fleet_topic", name);
        if topics.iter().any(|topic| topic.name == *name) || dead_letter_topic.as_ref() == Some(name) {
            let message =
                format!("the fleet's topic `{}` has another use too", section.written("fleet_topic"));
            section.refuse("fleet_topic", message, Some("take a topic of its own".to_owned()));
        }
    }
    let properties = Properties(section.texts("properties"));
    section.finish(keys);
    Kafka {
        brokers: brokers.join(","),
        group,
        topics,
        co_partitioned,
        dead_letter_topic,
        fleet_topic,
        properties,
    }
}

fn read_schema_registry(mut section: Section<'_>, keys: &[String]) -> SchemaRegistry {
    let registry = SchemaRegistry {
        url: section.text("url"),
        user: section.text("user"),
        password: section.text("password"),
    };
    let is_http = registry.url.starts_with("http://") || registry.url.starts_with("https://");
    if section.has_text("url") && !registry.url.is_empty() && !is_http {
        let hint = Some("e.g. `http://registry:8081`".to_owned());
        section.refuse("url", format!("`{}` is no address of a registry", section.written("url")), hint);
    }
    section.finish(keys);
    registry
}

/// Refuses what Kafka takes for no topic's name.
fn check_topic(section: &Section<'_>, key: &str, name: &str) {
    let letters = name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
    let valid = letters && (1..=249).contains(&name.len()) && name != "." && name != "..";
    if !valid && section.has_text(key) {
        let hint = "up to 249 of the letters a-z, A-Z, digits, `.`, `_`, `-`".to_owned();
        section.refuse(key, format!("`{}` is no name of a topic", section.written(key)), Some(hint));
    }
}

fn read_listener(mut section: Section<'_>, has_users: bool, keys: &[String]) -> Option<SocketAddr> {
    let text = section.text("listen");
    let written = section.written("listen");
    let name = section.name("listen");
    let address = match text.strip_prefix("localhost:") {
        Some(port) => format!("127.0.0.1:{port}"),
        None => text.clone(),
    };
    let listener = match address.parse::<SocketAddr>() {
        _ if text == "off" || !section.has_text("listen") => None,
        Ok(address) if has_users || address.ip().to_canonical().is_loopback() => Some(address),
        Ok(_) => {
            // Without users whoever comes in is admin.
            let message = format!("`{name}` is not a loopback address: `{written}`");
            let hint = "without users only loopback listeners start; take `127.0.0.1`, or make `users`";
            section.refuse("listen", message, Some(hint.to_owned()));
            None
        }
        Err(_) => {
            let hint = "write `127.0.0.1:8080`, with port 0 for a free one, or `off`".to_owned();
            section.refuse(
                "listen",
                format!("`{name}` must be an address and a port: `{written}`"),
                Some(hint),
            );
            None
        }
    };
    section.finish(keys);
    listener
}

fn read_queues(
    sections: Vec<Section<'_>>,
    defaults: QueueDefaults,
    keys: &[String],
) -> BTreeMap<String, Queue> {
    let mut queues = BTreeMap::new();
    for mut section in sections {
        let name = section.text("name");
        if name.is_empty() {
            refuse_empty(&section, "name");
        }
        let target = section.optional_integer("target_wait_secs", 0..=SECS_MAX);
        let short = section.optional_integer("short_abandon_secs", 0..=SECS_MAX);
        let level = section.optional_text("service_level_formula").and_then(|id| formula(&section, &id));
        let queue = Queue {
            department: section.optional_text("department"),
            target_wait_secs: target.unwrap_or(defaults.target_wait_secs),
            short_abandon_secs: short.unwrap_or(defaults.short_abandon_secs),
            service_level_formula: level.unwrap_or(defaults.service_level_formula),
        };
        let written = section.written("name");
        if queues.insert(name, queue).is_some() && !written.is_empty() {
            section.refuse("name", format!("the queue `{written}` is listed twice"), None);
        }
        section.finish(keys);
    }
    queues
}

/// The formula with this id, which stands under `service_level_formula`.
fn formula(section: &Section<'_>, id: &str) -> Option<ServiceLevel> {
    let found = ServiceLevel::from_id(id);
    if found.is_none() && section.has_text("service_level_formula") {
        let ids: BTreeSet<_> = ServiceLevel::ALL.iter().map(|formula| formula.id()).collect();
        let hint = match nearest(id, ids.iter().copied()) {
            Some(near) => format!("the nearest is `{near}`"),
            None => {
                format!("known are {}", ids.iter().map(|id| format!("`{id}`")).collect::<Vec<_>>().join(", "))
            }
        };
        let message =
            format!("unknown formula of the service level: `{}`", section.written("service_level_formula"));
        section.refuse("service_level_formula", message, Some(hint));
    }
    found
}

fn read_forecast(mut section: Section<'_>, keys: &[String]) -> Forecast {
    let country = section.text("calendar");
    let known = Country::from_name(&country);
    if section.has_text("calendar") && known.is_none() {
        let message = format!("unknown calendar: `{}`", section.written("calendar"));
        section.refuse("calendar", message, Some("known are `cn` and `none`".to_owned()));
    }
    let path = section.text("events");
    let events = if path.is_empty() { Ok(Vec::new()) } else { load_events(Path::new(&path)) };
    let events = events.unwrap_or_else(|fault| {
        section.pass_on(fault);
        Vec::new()
    });
    let forecast = Forecast {
        horizon_days: section.integer("horizon_days", 1..=366),
        service_level_percent: section.integer("service_level_percent", 1..=99),
        occupancy_cap_percent: section.integer("occupancy_cap_percent", 1..=100),
        shrinkage_percent: section.integer("shrinkage_percent", 0..=90),
        chat_concurrency: section.integer("chat_concurrency", 1..=100),
        patience_secs: section.integer("patience_secs", 0..=SECS_MAX),
        calendar: Calendar::new(known.unwrap_or_default(), events),
    };
    section.finish(keys);
    forecast
}

/// Reads a file of own events, a CSV with the columns `start`, `end` and `kind`.
///
/// # Errors
/// A file that cannot be read, or its first line that is wrong.
pub fn load_events(path: &Path) -> Result<Vec<OwnEvent>, Fault> {
    let file = path.display().to_string();
    let fault = |line, message, hint| Fault { file: file.clone(), line, message, hint };
    let text = std::fs::read_to_string(path)
        .map_err(|error| fault(None, format!("cannot read the file of own events: {error}"), None))?;
    read_events(&text).map_err(|wrong| fault(Some(wrong.line), wrong.message, Some(wrong.hint)))
}

fn read_lake(mut section: Section<'_>, keys: &[String]) -> Lake {
    let commit_secs = section.integer("commit_secs", 1..=3_600);
    let commit_rows = section.integer("commit_rows", 1..=100_000_000);
    let snapshot_secs = section.integer("snapshot_secs", 1..=86_400);
    let events = section.flag("events");
    let compact_every_secs = section.integer("compact_every_secs", 1..=SECS_MAX);
    let checkpoint_every_commits = section.integer("checkpoint_every_commits", 1..=1_000_000);
    let vacuum_hours = section.integer("vacuum_hours", 0..=SECS_MAX / 3_600);
    let retention_days = {
        const TABLES: [&str; 8] = [
            "events",
            "contacts",
            "legs",
            "handlings",
            "agent_states",
            "forecasts",
            "rejects",
            "restatements",
        ];
        let mut section = section.section("retention_days");
        let days = TABLES.map(|table| (table, section.integer(table, 0..=36_600)));
        section.finish(keys);
        BTreeMap::from(days)
    };
    section.finish(keys);
    Lake {
        commit_secs,
        commit_rows,
        snapshot_secs,
        events,
        compact_every_secs,
        checkpoint_every_commits,
        vacuum_hours,
        retention_days,
    }
}

/// Refuses an empty text. (What is no text, or not there, has been refused already.)
fn refuse_empty(section: &Section<'_>, key: &str) {
    if section.has_text(key) {
        section.refuse(key, format!("`{}` is empty", section.name(key)), None);
    }
}

impl Properties {
    /// Tells whether the value of a property may not be shown.
    pub fn is_secret(name: &str) -> bool {
        let name = name.to_lowercase();
        ["password", "secret", "key", "token", "jaas"].iter().any(|word| name.contains(word))
    }
}

impl fmt::Debug for Properties {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.iter().map(|(name, value)| {
            let value = if Self::is_secret(name) { "(not shown)" } else { value.as_str() };
            (name, value)
        });
        out.debug_map().entries(shown).finish()
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
