//! `demo`: the service with a broker in the process and a simulated centre; and `simulate`, the centre alone.

use std::collections::BTreeMap;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use chrono::{Datelike, TimeZone, Timelike, Weekday};
use clap::Args;
use futures::StreamExt;

use super::telling::Telling;
use super::{Listeners, duration, stop_signal, time};
use crate::app::board::Board;
use crate::app::service::Service;
use crate::app::{Failure, doors};
use crate::config::Config;
use crate::ingest::{EmbeddedBroker, Feeder, create_topic, retention};
use crate::query::Engine;
use crate::query::output::{Format, encode};
use crate::simulate::{Books, Centre, Emitted, Options, Row};
use crate::time::{Clock, DAY, HOUR, MINUTE, Millis, ScaledClock, SystemClock, format_time};

/// The topic of simulated events where the configuration names none.
const TOPIC: &str = "callpulse.events";
/// Partitions of the demo's topic.
const PARTITIONS: i32 = 8;
/// How long the centre has been open when the demo begins: calls are going on, and there are figures.
const WARM_UP: Millis = HOUR;
/// Records that a partition may hold unread: the embedded broker drops what is beyond 5 MiB.
const UNREAD_MAX: u64 = 4_000;

/// What was typed for `demo`.
#[derive(Debug, Args)]
pub(super) struct Demo {
    /// Stops after this time, e.g. 60s or 5m; without it, at Ctrl-C.
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    pub(super) length: Option<Duration>,
    /// Events a second of the simulated centre in its busy hours.
    #[arg(long, default_value_t = 50.0)]
    pub(super) rate: f64,
    /// How much faster than real time the centre lives.
    #[arg(long, default_value_t = 1.0)]
    pub(super) speed: f64,
    /// The same seed gives the same centre.
    #[arg(long, default_value_t = 1)]
    pub(super) seed: u64,
    /// A real Kafka instead of the broker in the process.
    #[arg(long, value_name = "H:P")]
    pub(super) brokers: Option<String>,
    #[command(flatten)]
    pub(super) listeners: Listeners,
}

/// What was typed for `simulate`.
#[derive(Debug, Args)]
pub(super) struct Simulation {
    /// Kafka to write to; the topic is the first of `kafka.topics`, else callpulse.events.
    #[arg(long, value_name = "H:P", conflicts_with = "out")]
    pub(super) brokers: Option<String>,
    /// File to write to; - is stdout.
    #[arg(long, value_name = "PATH")]
    pub(super) out: Option<PathBuf>,
    /// The topic to write to.
    #[arg(long, value_name = "NAME")]
    pub(super) topic: Option<String>,
    /// Partitions of the topic when it has to be made.
    #[arg(long, default_value_t = 4)]
    pub(super) partitions: i32,
    /// Events a second of the centre in its busy hours (event time; writing is as fast as possible, but for --live).
    #[arg(long, default_value_t = 50.0)]
    pub(super) rate: f64,
    /// Stops after this many contacts.
    #[arg(long, default_value_t = 10_000)]
    pub(super) contacts: u64,
    /// The same seed gives the same events.
    #[arg(long, default_value_t = 1)]
    pub(super) seed: u64,
    /// Time of the first event (RFC 3339); by default a fixed Monday, so that runs can be compared.
    #[arg(long, value_parser = time)]
    pub(super) start: Option<Millis>,
    /// Writes each event when its time has come, as a centre would; begins now where no --start is given.
    #[arg(long)]
    pub(super) live: bool,
    /// The load stays what it is: contacts come as in a busy hour at any time, and nothing breaks.
    #[arg(long)]
    pub(super) calm: bool,
    /// Writes the records of a platform instead of canonical events, e.g. amazon-connect: for trying its adapter.
    #[arg(long = "as", value_name = "FORMAT")]
    pub(super) told_as: Option<String>,
    /// Writes the centre's own books as CSV here, to compare answers with.
    #[arg(long, value_name = "PATH")]
    pub(super) books: Option<PathBuf>,
}

/// What the demo needs of the configuration, below what the user says.
///
/// # Errors
/// Where no directory for a throw-away lake can be made.
pub(super) fn sets(brokers: Option<&str>, own_lake: bool) -> Result<Vec<String>, Failure> {
    let mut sets = vec![
        format!("kafka.topics=[{{name=\"{TOPIC}\",format=\"callpulse\"}}]"),
        "lake.commit_secs=5".to_owned(),
    ];
    if let Some(brokers) = brokers {
        sets.push(format!("kafka.brokers={}", toml::Value::String(brokers.to_owned())));
    }
    if own_lake {
        let dir = std::env::temp_dir().join(format!("callpulse-demo-{}", std::process::id()));
        std::fs::create_dir_all(&dir)
            .map_err(|error| Failure::outside(format!("`{}` cannot be made: {error}", dir.display())))?;
        sets.push(format!("data_dir={}", toml::Value::String(dir.to_string_lossy().into_owned())));
    }
    Ok(sets)
}

/// Runs the demo to its end. `broker` gets the broker in the process, where there is one: it is to outlive the runtime, whose
/// last tasks talk to it.
///
/// # Errors
/// What the service fails with; 70 when the figures do not agree with the centre's books.
pub(super) async fn demo(
    config: &Config,
    demo: Demo,
    broker: &mut Option<EmbeddedBroker>,
) -> Result<(), Failure> {
    let mut config = config.clone();
    let topic = config.kafka.topics.first().map_or(TOPIC, |topic| &topic.name).to_owned();
    *broker = match &demo.brokers {
        Some(brokers) => {
            let (brokers, topic, properties) =
                (brokers.clone(), topic.clone(), config.kafka.properties.0.clone());
            let made =
                tokio::task::spawn_blocking(move || create_topic(&brokers, &properties, &topic, PARTITIONS));
            made.await
                .map_err(|error| Failure::bug(error.to_string()))?
                .map_err(|error| Failure::of_ingest(&error))?;
            None
        }
        None => {
            let mut topics = vec![(topic.as_str(), PARTITIONS)];
            topics.extend(config.kafka.dead_letter_topic.as_deref().map(|topic| (topic, 1)));
            let broker = EmbeddedBroker::start(&topics).map_err(|error| Failure::of_ingest(&error))?;
            config.kafka.brokers = broker.brokers().to_owned();
            Some(broker)
        }
    };
    let present = busy_present(SystemClock.now(), config.timezone);
    let clock: Arc<dyn Clock> = Arc::new(ScaledClock::new(present, demo.speed));
    let centre = Centre::new(Options {
        seed: demo.seed,
        start: present - WARM_UP,
        zone: config.timezone,
        slot_minutes: config.slot_minutes,
        contacts: None,
        events_per_second: demo.rate,
        incidents: true,
        steady: false,
    });
    for (queue, department) in Centre::queues() {
        let defaults = &config.queue_defaults;
        config.queues.entry(queue.to_string()).or_insert_with(|| crate::config::Queue {
            department: Some(department.to_string()),
            target_wait_secs: defaults.target_wait_secs,
            short_abandon_secs: defaults.short_abandon_secs,
            service_level_formula: defaults.service_level_formula,
        });
    }

    let mut service = Service::start(&config, Arc::clone(&clock)).await?;
    let address = service.http.map(|http| doors::http_url(&config, http)).unwrap_or_default();
    let sql = [&service.postgres, &service.flight].map(|door| door.as_ref().map(|door| door.address));
    greet(&config, &address, sql, broker.as_ref(), present);

    let feeding = Arc::new(Feeding::default());
    let feeder = {
        let (feeding, board, clock) = (Arc::clone(&feeding), Arc::clone(&service.board), Arc::clone(&clock));
        let (brokers, properties) = (config.kafka.brokers.clone(), config.kafka.properties.0.clone());
        tokio::task::spawn_blocking(move || {
            feed(centre, &Feed { brokers, properties, topic }, &feeding, &board, &*clock)
        })
    };
    let failure = tokio::select! {
        () = stop_signal() => None,
        () = async {
            match demo.length {
                Some(length) => tokio::time::sleep(length).await,
                None => std::future::pending().await,
            }
        } => None,
        failure = service.failed() => Some(failure),
    };
    feeding.stop.store(true, Ordering::Release);
    let centre = feeder.await.map_err(|error| Failure::bug(error.to_string()))?;
    if let Some(failure) = failure {
        return Err(failure);
    }
    let centre = centre?;
    let sent = feeding.sent.load(Ordering::Acquire);
    let caught_up = catch_up(&service.board, sent).await;
    let verdict = summarise(&service.engine, &service.board, centre.books(), (sent, caught_up)).await;
    service.stop().await?;
    eprintln!("the lake stays at {0}: {1} --data-dir {0} sql", config.data_dir, program());
    verdict
}

/// The present of the demo: now when the centre is busy now, else the latest weekday at 10:30. The figures
/// should move from the first second.
fn busy_present(now: Millis, zone: chrono_tz::Tz) -> Millis {
    let Some(local) = zone.timestamp_millis_opt(now).single() else { return now };
    if (9..20).contains(&local.hour()) && !matches!(local.weekday(), Weekday::Sat | Weekday::Sun) {
        return now;
    }
    (0..8)
        .filter_map(|back| {
            let day = zone.timestamp_millis_opt(now - back * DAY).single()?;
            let at = zone.with_ymd_and_hms(day.year(), day.month(), day.day(), 10, 30, 0).earliest()?;
            let weekday = !matches!(at.weekday(), Weekday::Sat | Weekday::Sun);
            (weekday && at.timestamp_millis() <= now).then(|| at.timestamp_millis())
        })
        .next()
        .unwrap_or(now)
}

fn greet(
    config: &Config,
    address: &str,
    [postgres, flight]: [Option<std::net::SocketAddr>; 2],
    broker: Option<&EmbeddedBroker>,
    present: Millis,
) {
    let kafka = match broker {
        Some(broker) => format!("{} (inside this process)", broker.brokers()),
        None => config.kafka.brokers.clone(),
    };
    eprintln!(
        "callpulse demo: a simulated centre in {zone}, its present is {present}\n\n\
         \x20 wallboard   {address}/\n\
         \x20 alerts      {address}/alerts\n\
         \x20 metrics     {address}/metrics\n\
         \x20 live JSON   {address}/api/v1/live\n\
         \x20 PostgreSQL  {postgres}\n\
         \x20 Flight SQL  {flight}\n\
         \x20 Kafka       {kafka}\n\
         \x20 lake        {lake}\n\n\
         try next:\n\
         \x20 {program} sql --url {address} \"select queue, channel, sum(offered) as offered, sum(answered) as answered from kpi_day group by 1, 2 order by 3 desc\"\n\
         \x20 curl -s {address}/api/v1/sql -H 'content-type: application/json' -d '{{\"sql\":\"select * from live_queues\"}}'\n\
         \x20 curl -s {address}/metrics | grep callpulse_rolling\n\
         \x20 psql {postgres} -c \"select * from live_queues\"\n",
        flight = flight.map_or("off".to_owned(), |address| doors::flight_url(config, address)),
        postgres = postgres.map_or("off".to_owned(), |address| format!("postgresql://{address}/callpulse")),
        program = program(),
        zone = config.timezone.name(),
        present = format_time(present),
        lake = config.data_dir,
    );
}

/// How this program was called, to be typed again.
fn program() -> String {
    std::env::args().next().unwrap_or_else(|| "callpulse".to_owned())
}

#[derive(Default)]
struct Feeding {
    stop: AtomicBool,
    sent: AtomicU64,
}

struct Feed {
    brokers: String,
    properties: BTreeMap<String, String>,
    topic: String,
}

/// Writes the centre's events as its time comes, and not faster than they are read.
fn feed(
    mut centre: Centre,
    to: &Feed,
    feeding: &Feeding,
    board: &Board,
    clock: &dyn Clock,
) -> Result<Centre, Failure> {
    let feeder = Feeder::new(&to.brokers, &to.properties).map_err(|error| Failure::of_ingest(&error))?;
    let stopped = || feeding.stop.load(Ordering::Acquire);
    let mut event = Emitted::default();
    let mut sent = 0u64;
    'centre: while !stopped() && centre.next_into(&mut event) {
        while clock.now() < event.time {
            if stopped() {
                // It has happened in the books, so it is told.
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        while sent.is_multiple_of(64) && feeder.unread(&to.topic, &board.positions(&to.topic)) > UNREAD_MAX {
            if stopped() && sent == 0 {
                break 'centre;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        feeder
            .send(&to.topic, event.key.as_bytes(), event.payload.as_bytes(), event.time)
            .map_err(|error| Failure::of_ingest(&error))?;
        sent += 1;
        feeding.sent.store(sent, Ordering::Release);
    }
    feeder.flush(Duration::from_secs(30)).map_err(|error| Failure::of_ingest(&error))?;
    Ok(centre)
}

/// Waits until everything that was sent has been consumed.
async fn catch_up(board: &Board, sent: u64) -> bool {
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(30) {
        let consumed: u64 = board.stats().partitions.values().map(|partition| partition.consumed).sum();
        if consumed >= sent {
            // An answer may serve for a moment longer.
            tokio::time::sleep(Duration::from_millis(300)).await;
            return true;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    false
}

/// The figures that the books have too, by slot, channel and queue, in this order.
const COMPARED: &str = "offered, answered, abandoned, abandoned_short, overflow, callback, exit_key, timeout, no_agent, closed, error, waiting, answered_in_time, wait_ms_sum";

fn booked(row: &Row) -> [i64; 14] {
    [
        row.offered,
        row.answered,
        row.abandoned,
        row.abandoned_short,
        row.overflow,
        row.callback,
        row.exit_key,
        row.timeout,
        row.no_agent,
        row.closed,
        row.error,
        row.waiting,
        row.answered_in_time,
        row.wait_ms_sum,
    ]
}

/// Prints what the minute brought and whether it agrees with the centre's books.
async fn summarise(
    engine: &Engine,
    board: &Board,
    books: &Books,
    (sent, caught_up): (u64, bool),
) -> Result<(), Failure> {
    let bug = |error: crate::query::Error| Failure::bug(error.to_string());
    let shown = "select channel, queue, sum(offered) as offered, sum(answered) as answered, \
                 sum(abandoned + abandoned_short) as abandoned, sum(waiting) as waiting, \
                 round(sum(answered) * 100.0 / nullif(sum(offered - abandoned_short - waiting), 0), 1) as answered_percent, \
                 sum(handled) as handled, sum(ledger_gap) as ledger_gap \
                 from kpi_slot where queue is not null group by 1, 2 order by 3 desc";
    let mut table = Box::pin(encode(engine.query(shown).await.map_err(bug)?, Format::Table));
    let mut text = Vec::new();
    while let Some(bytes) = table.next().await {
        text.extend_from_slice(&bytes.map_err(bug)?);
    }
    let stats = board.stats();
    let consumed: u64 = stats.partitions.values().map(|partition| partition.consumed).sum();
    eprintln!("{}", String::from_utf8_lossy(&text));
    eprintln!(
        "{consumed} records consumed, {} repeats, {} rejects, {} contacts open, ledger gap {}",
        stats.duplicates(),
        stats.rejects.values().sum::<u64>(),
        stats.open_contacts,
        board.summary().ledger_gap(),
    );
    if !caught_up {
        return Err(Failure::outside(format!(
            "of {sent} events that were sent {consumed} have been consumed after 30 s"
        )));
    }
    let differences = differences(engine, books).await.map_err(bug)?;
    if differences.is_empty() {
        let rows = books.rows().len();
        eprintln!(
            "the figures agree with the simulated centre's own books: {rows} rows of slot, channel and queue, 14 figures each"
        );
        return Ok(());
    }
    for difference in differences.iter().take(10) {
        eprintln!("  {difference}");
    }
    Err(Failure::bug(format!("{} figures differ from the simulated centre's own books", differences.len())))
}

async fn differences(engine: &Engine, books: &Books) -> Result<Vec<String>, crate::query::Error> {
    let sql = format!(
        "select cast(extract(epoch from slot_start) * 1000 as bigint) as slot, channel, queue, {COMPARED} \
         from kpi_slot where offered > 0"
    );
    let mut bytes = Box::pin(encode(engine.query(&sql).await?, Format::Json));
    let mut json = Vec::new();
    while let Some(part) = bytes.next().await {
        json.extend_from_slice(&part?);
    }
    let rows: Vec<serde_json::Value> = serde_json::from_slice(&json).unwrap_or_default();
    let mut found = BTreeMap::new();
    for row in &rows {
        let key = (
            row["slot"].as_i64().unwrap_or_default(),
            row["channel"].as_str().unwrap_or_default().to_owned(),
            row["queue"].as_str().unwrap_or_default().to_owned(),
        );
        let figures: Vec<i64> =
            COMPARED.split(", ").map(|name| row[name].as_i64().unwrap_or_default()).collect();
        found.insert(key, figures);
    }
    let mut differences = Vec::new();
    for ((slot, channel, queue), row) in books.rows() {
        let booked = booked(row);
        let figures = found.remove(&(*slot, (*channel).to_string(), (*queue).to_string()));
        if booked[0] == 0 && figures.is_none() {
            continue;
        }
        let figures = figures.unwrap_or_else(|| vec![0; booked.len()]);
        for ((name, want), got) in COMPARED.split(", ").zip(booked).zip(figures) {
            if want != got {
                differences.push(format!(
                    "{} {channel} {queue}: {name} is {got}, the books say {want}",
                    format_time(*slot)
                ));
            }
        }
    }
    for (slot, channel, queue) in found.keys() {
        differences.push(format!("{} {channel} {queue}: not in the books", format_time(*slot)));
    }
    Ok(differences)
}

/// Runs `simulate`.
///
/// # Errors
/// A file that cannot be written, a broker that does not answer.
pub(super) fn simulate(config: &Config, request: Simulation) -> Result<(), Failure> {
    let mut telling = Telling::new(request.told_as.as_deref())?;
    let start = match (request.start, request.live) {
        (Some(start), _) => start,
        (None, true) => SystemClock.now(),
        (None, false) => Options::default().start,
    };
    let mut centre = Centre::new(Options {
        seed: request.seed,
        start,
        zone: config.timezone,
        slot_minutes: config.slot_minutes,
        contacts: Some(request.contacts),
        events_per_second: request.rate,
        incidents: !request.calm,
        steady: request.calm,
    });
    let began = Instant::now();
    let mut event = Emitted::default();
    let mut sent = 0u64;
    match &request.brokers {
        Some(brokers) => {
            let configured = config.kafka.topics.first().map(|topic| topic.name.clone());
            let topic = request.topic.clone().or(configured).unwrap_or_else(|| TOPIC.to_owned());
            let properties = &config.kafka.properties.0;
            create_topic(brokers, properties, &topic, request.partitions)
                .map_err(|error| Failure::of_ingest(&error))?;
            warn_of_retention(brokers, properties, &topic, start);
            let feeder = Feeder::new(brokers, properties).map_err(|error| Failure::of_ingest(&error))?;
            let mut send = |key: &str, record: &str, time: i64| {
                sent += 1;
                feeder
                    .send(&topic, key.as_bytes(), record.as_bytes(), time)
                    .map_err(|error| Failure::of_ingest(&error))
            };
            while centre.next_into(&mut event) {
                while request.live && SystemClock.now() < event.time {
                    std::thread::sleep(Duration::from_millis(5));
                }
                telling.tell(&event, &mut send)?;
            }
            telling.end(&mut send)?;
            feeder.flush(Duration::from_secs(120)).map_err(|error| Failure::of_ingest(&error))?;
        }
        None if request.live => {
            return Err(Failure::usage("--live needs --brokers: a file has no present".to_owned()));
        }
        None => {
            let out = request.out.as_deref().unwrap_or(Path::new("-"));
            let written = write_events(&mut centre, &mut telling, out, &mut event, &mut sent);
            if let Err(error) = written {
                if error.kind() == std::io::ErrorKind::BrokenPipe {
                    return Ok(());
                }
                return Err(Failure::input(format!("`{}` cannot be written: {error}", out.display())));
            }
        }
    }
    if let Some(path) = &request.books {
        std::fs::write(path, books_csv(centre.books()))
            .map_err(|error| Failure::input(format!("`{}` cannot be written: {error}", path.display())))?;
    }
    let secs = began.elapsed().as_secs_f64();
    let what = if request.told_as.is_some() { "records" } else { "events" };
    eprintln!("{sent} {what} of {} contacts in {secs:.1} s", request.contacts);
    for incident in centre.incidents() {
        let (from, to) = (format_time(incident.start), format_time(incident.end));
        eprintln!("incident in {} from {from} to {to}: {}", incident.queue, incident.theme);
    }
    Ok(())
}

/// Says so where the brokers would soon delete what is about to be written: they judge age by a record's own time.
fn warn_of_retention(brokers: &str, properties: &BTreeMap<String, String>, topic: &str, first: Millis) {
    match retention(brokers, properties, topic) {
        Ok(Some(kept)) if first < SystemClock.now().saturating_sub(kept) => eprintln!(
            "warning: topic `{topic}` keeps records for {} h after their own time, and the first of these events is of {}: \
             Kafka deletes them soon\nhint: set `retention.ms=-1` for the topic, or begin later with --start",
            kept / HOUR,
            format_time(first)
        ),
        Ok(_) => {}
        Err(error) => eprintln!("warning: {error}"),
    }
}

fn write_events(
    centre: &mut Centre,
    telling: &mut Telling,
    path: &Path,
    event: &mut Emitted,
    sent: &mut u64,
) -> std::io::Result<()> {
    let out: Box<dyn Write> = if path == Path::new("-") {
        Box::new(std::io::stdout().lock())
    } else {
        Box::new(std::fs::File::create(path)?)
    };
    let mut out = BufWriter::with_capacity(1 << 20, out);
    let mut write = |_: &str, record: &str, _: i64| {
        *sent += 1;
        out.write_all(record.as_bytes()).and_then(|()| out.write_all(b"\n"))
    };
    while centre.next_into(event) {
        telling.tell(event, &mut write)?;
    }
    telling.end(&mut write)?;
    out.flush()
}

fn books_csv(books: &Books) -> String {
    let mut csv = format!("slot_start,channel,queue,{}\n", COMPARED.replace(", ", ","));
    for ((slot, channel, queue), row) in books.rows() {
        csv.push_str(&format!("{},{channel},{queue}", format_time(*slot)));
        for figure in booked(row) {
            csv.push_str(&format!(",{figure}"));
        }
        csv.push('\n');
    }
    csv
}

/// The warm-up and a slot fit into what the windows keep.
const _: () = assert!(WARM_UP < 26 * HOUR && WARM_UP > MINUTE);
