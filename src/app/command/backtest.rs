//! `backtest`: alert rules over the stored history.
//!
//! The events of the lake go through the same watchers as those of Kafka, in the order of their times, and figures are
//! looked at every half minute of event time. Nothing is sent. What a history does not have (lag, rejects, failures of the
//! lake) is never true.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Int64Type};
use clap::Args;

use super::sql::{Directory, of_query};
use super::{print, time};
use crate::app::task::{Tell, read_words};
use crate::app::{Failure, desk, duty, lexicons, settings, surges};
use crate::config::Config;
use crate::correlate::{Correlator, Options};
use crate::event::{
    AgentStateName, BotOutcome, Channel, Direction, EndedBy, Event, Kind, LeaveReason, Place, Speaker,
};
use crate::facts::Facts;
use crate::query::Engine;
use crate::rules::{About, Figures, Fleet, Raised, Rules, Signal, Surging, Watch};
use crate::time::{DAY, HOUR, Millis, SECOND, format_time};
use crate::window::Window;

/// Event time that is read at once.
const STRETCH: Millis = 6 * HOUR;
/// What is told before the first instant that counts, so that contacts that go on then are known.
const WARM_UP: Millis = 4 * HOUR;
/// How often figures are looked at, event time.
const TICK: Millis = 30 * SECOND;

/// What was typed.
#[derive(Debug, Args)]
pub(super) struct Asked {
    /// The file of rules.
    #[arg(long, value_name = "FILE")]
    pub(super) rules: PathBuf,
    /// Another file of rules, to be compared with.
    #[arg(long, value_name = "FILE")]
    pub(super) against: Option<PathBuf>,
    /// From this time on (RFC 3339); by default from the first event.
    #[arg(long, value_parser = time, value_name = "T")]
    pub(super) since: Option<Millis>,
    /// Up to this time (RFC 3339); by default to the last event.
    #[arg(long, value_parser = time, value_name = "T")]
    pub(super) until: Option<Millis>,
    /// Samples of each rule.
    #[arg(long, default_value_t = 3, value_name = "N")]
    pub(super) samples: usize,
    /// How the hits are written.
    #[arg(long, default_value = "table", value_parser = ["table", "csv", "json"])]
    pub(super) format: String,
}

/// One set of rules, and what came true by it.
struct Set {
    rules: Arc<Rules>,
    watch: Watch,
    fleet: Fleet,
    signals: Vec<Signal>,
    hits: BTreeMap<String, Raised>,
}

impl Set {
    fn new(path: &Path, config: &Config) -> Result<Set, Failure> {
        let path = path.to_string_lossy().into_owned();
        let rules =
            duty::read_rule_files(&[path], &[], config).map_err(|faults| Failure::of_faults(&faults))?;
        Ok(Set {
            watch: Watch::new(Arc::clone(&rules)),
            fleet: Fleet::new(Arc::clone(&rules), Vec::new()),
            rules,
            signals: Vec::new(),
            hits: BTreeMap::new(),
        })
    }

    /// Keeps what came true in this time, once a cause.
    fn keep(&mut self, since: Millis, until: Millis) {
        for signal in std::mem::take(&mut self.signals) {
            match signal {
                Signal::Ended { subject, time, lowest, talk_ms } => {
                    self.fleet.contact_ended(&subject, time, lowest, talk_ms, &mut self.signals);
                }
                Signal::Raised(raised) if (since..until).contains(&raised.time) => {
                    self.hits.entry(raised.id.clone()).or_insert(*raised);
                }
                _ => {}
            }
        }
        if !self.signals.is_empty() {
            self.keep(since, until);
        }
    }
}

/// The centre's figures while the history is told.
struct Told {
    correlator: Correlator,
    window: Window,
    facts: Facts,
    next_tick: Millis,
    surges: Vec<(i64, i64, Surging)>,
}

impl Told {
    /// Looks at the figures at every half minute up to `now`.
    fn tick(&mut self, now: Millis, config: &Config, sets: &mut [Set]) {
        if now < self.next_tick {
            return;
        }
        // A gap without events needs one look, not thousands.
        self.next_tick = now.div_euclid(TICK) * TICK + TICK;
        self.correlator.settle(&mut self.facts, &mut Tell(&mut self.window));
        // Rows of a history that has them are not wanted again.
        drop(self.facts.finish());
        let summary = self.window.snapshot(now);
        // A surge of a slot is known when the slot is over.
        let slot = summary.slot.map_or(0, |slot| slot.length_ms());
        let lasting = self
            .surges
            .iter()
            .filter(|(start, until, _)| (start / 1_000 + slot..until / 1_000 + slot).contains(&now));
        let surges: Vec<Surging> = lasting.map(|(.., surge)| surge.clone()).collect();
        let agents = AgentStateName::ALL.iter().zip(summary.agents);
        let gauges: Vec<(String, f64)> =
            agents.map(|(state, count)| (format!("agents_{}", state.as_str()), count as f64)).collect();
        let figures = Figures {
            now,
            slot_ms: slot,
            series: desk::series(&summary, config, now),
            gauges,
            surges: &surges,
        };
        for set in sets {
            set.fleet.tick(&figures, &mut set.signals);
        }
    }
}

/// Runs the rules and prints what came of it.
///
/// # Errors
/// A directory or a file that cannot be read, a file with faults.
pub(super) async fn backtest(config: &Config, asked: &Asked) -> Result<(), Failure> {
    let mut sets = vec![Set::new(&asked.rules, config)?];
    if let Some(against) = &asked.against {
        sets.push(Set::new(against, config)?);
    }
    let shelf = lexicons::shelf(config)?;
    let directory = Directory::open(config, &shelf).await?;
    let engine = Engine::new(settings::query_alone(config, Some(&shelf)), Arc::new(directory))
        .map_err(|error| Failure::bug(error.to_string()))?;
    let (first, last) = span(&engine).await?.ok_or_else(|| {
        Failure::input("the data directory has no stored events".to_owned())
            .hint("rules run over the table `events`, which is kept where `lake.events` is true")
    })?;
    let (since, until) = (asked.since.unwrap_or(first), asked.until.unwrap_or(last + 1));
    let mut dossiers = dossiers(&engine).await?;
    let wants_figures =
        sets.iter().any(|set| set.rules.rules.iter().any(|rule| rule.about == About::Figures));
    let surges = match sets.iter().any(|set| set.rules.watches_surges()) {
        true => surges::look(&engine, "", "true").await.map_err(of_query)?,
        false => Vec::new(),
    };
    let options = Options { keep_events: false, unordered: false, ..settings::correlate(config, false) };
    let mut told = Told {
        correlator: Correlator::new(options),
        window: Window::new(settings::window(config)),
        facts: Facts::default(),
        next_tick: Millis::MIN,
        surges,
    };
    let reader = shelf.load_full();
    let mut records = 0u64;
    let mut from = since.max(first).saturating_sub(WARM_UP).max(first);
    while from < until.min(last + 1) {
        let to = (from + STRETCH).min(until);
        let mut events = events(&engine, from, to).await?;
        let due = dossiers.partition_point(|event| event.time < to);
        events.extend(dossiers.drain(..due));
        events.sort_by(|a, b| (a.time, a.kind, &a.id).cmp(&(b.time, b.kind, &b.id)));
        for event in &events {
            records += 1;
            if wants_figures {
                told.tick(event.time, config, &mut sets);
                let place = Place { topic: "history", partition: 0, offset: records as i64 };
                told.correlator.apply(event, place, &mut told.facts);
            }
            for set in &mut sets {
                set.watch.tick(event.time - 1, &mut set.signals);
                let reading = set.watch.wants_reading(event).then(|| read_words(&reader, event)).flatten();
                set.watch.event(event, reading, &mut set.signals);
                set.keep(since, until);
            }
        }
        for set in &mut sets {
            set.watch.tick(to - 1, &mut set.signals);
            set.keep(since, until);
        }
        from = to;
    }
    let days = (until.min(last + 1) - since.max(first)).max(1) as f64 / DAY as f64;
    eprintln!(
        "{records} events of {:.1} days, {} to {}",
        days,
        format_time(since.max(first)),
        format_time(until.min(last + 1))
    );
    for rule in sets[0].rules.rules.iter().filter(|rule| rule.needs_present()) {
        eprintln!("not judged: `{}` looks at what no history has", rule.name);
    }
    let text = report(&sets, days, asked.samples, &asked.format)?;
    print(text.as_bytes())
}

/// Times of the first and the last event.
async fn span(engine: &Engine) -> Result<Option<(Millis, Millis)>, Failure> {
    let sql = "SELECT arrow_cast(min(\"time\"), 'Int64') AS first, arrow_cast(max(\"time\"), 'Int64') AS last FROM events";
    let batches = engine.query(sql).await.map_err(of_query)?.collect().await.map_err(of_query)?;
    let batch = batches.iter().find(|batch| batch.num_rows() > 0);
    let number = |batch: &RecordBatch, column: usize| {
        let column = batch.column(column).as_primitive::<Int64Type>();
        column.is_valid(0).then(|| column.value(0) / 1_000)
    };
    Ok(batch.and_then(|batch| number(batch, 0).zip(number(batch, 1))))
}

fn literal(time: Millis) -> String {
    format!("arrow_cast({}, 'Timestamp(Microsecond, Some(\"UTC\"))')", time.saturating_mul(1_000))
}

/// The rows of a statement, each column as text or number.
struct Columns {
    texts: Vec<ArrayRef>,
    rows: usize,
}

impl Columns {
    fn of(batch: &RecordBatch) -> Result<Columns, Failure> {
        let texts = batch.columns().iter().map(|column| arrow::compute::cast(column, &DataType::Utf8));
        let texts: Result<Vec<_>, _> = texts.collect();
        let texts = texts.map_err(|error| Failure::bug(error.to_string()))?;
        Ok(Columns { texts, rows: batch.num_rows() })
    }

    fn text(&self, column: usize, row: usize) -> Option<&str> {
        let column = self.texts[column].as_string::<i32>();
        column.is_valid(row).then(|| column.value(row))
    }

    fn time(&self, column: usize, row: usize) -> Option<Millis> {
        Some(self.text(column, row)?.parse::<i64>().ok()?.div_euclid(1_000))
    }
}

/// The events of `[from, to)`, without those of complaints and promises, whose ids the table does not have.
async fn events(engine: &Engine, from: Millis, to: Millis) -> Result<Vec<Event<'static>>, Failure> {
    let (from, to) = (literal(from), literal(to));
    let sql = format!(
        "SELECT arrow_cast(e.\"time\", 'Int64') AS at, e.\"type\" AS kind, e.id, e.contact_id, e.agent_id, e.channel, e.queue, \
             e.department, e.customer_id, e.tier, e.detail, e.passed_to, e.\"by\" AS ended_by, m.text, m.speaker, m.utterance \
         FROM (SELECT * FROM events WHERE \"time\" >= {from} AND \"time\" < {to}) AS e \
         LEFT JOIN (SELECT * FROM messages WHERE \"time\" >= {from} AND \"time\" < {to}) AS m \
             ON e.contact_id = m.contact_id AND e.id = m.id AND e.\"type\" = 'message'"
    );
    let mut events = Vec::new();
    for batch in engine.query(&sql).await.map_err(of_query)?.collect().await.map_err(of_query)? {
        let columns = Columns::of(&batch)?;
        events.extend((0..columns.rows).filter_map(|row| event(&columns, row)));
    }
    Ok(events)
}

fn event(columns: &Columns, row: usize) -> Option<Event<'static>> {
    let text = |column: usize| columns.text(column, row);
    let owned = |column: usize| text(column).map(|text| text.to_owned().into());
    let kind = text(1).and_then(Kind::parse)?;
    if kind > Kind::AgentState || (kind == Kind::Message && text(13).is_none()) {
        return None;
    }
    let mut event = Event::new(text(2)?.to_owned(), kind, columns.time(0, row)?);
    event.contact_id = owned(3);
    event.agent_id = owned(4);
    event.channel = text(5).and_then(Channel::parse);
    event.queue = owned(6);
    event.department = owned(7);
    event.customer_id = owned(8);
    event.tier = owned(9);
    match kind {
        Kind::ContactStarted => event.direction = text(10).and_then(Direction::parse),
        Kind::BotEnded => event.bot_outcome = text(10).and_then(BotOutcome::parse),
        Kind::LeftQueue => event.leave_reason = text(10).and_then(LeaveReason::parse),
        Kind::AgentState => event.state = text(10).and_then(AgentStateName::parse),
        Kind::Transferred => event.to_queue = owned(11),
        Kind::Ended => event.by = text(12).and_then(EndedBy::parse),
        Kind::Message => {
            event.text = owned(13);
            event.speaker = text(14).and_then(Speaker::parse);
            event.utterance = owned(15);
        }
        _ => {}
    }
    Some(event)
}

/// What happened to complaints and promises, in the order of time.
async fn dossiers(engine: &Engine) -> Result<Vec<Event<'static>>, Failure> {
    let steps = |table: &str, key: &str, kind: Kind, at: &str, due: &str, department: &str| {
        format!(
            "SELECT arrow_cast({at}, 'Int64') AS at, CAST('{}' AS VARCHAR) AS kind, CAST({key} AS VARCHAR) AS dossier, \
                 contact_id, agent_id, customer_id, queue, {department} AS department, arrow_cast({due}, 'Int64') AS due \
             FROM {table} WHERE {at} IS NOT NULL",
            kind.as_str()
        )
    };
    let complaint = |kind, at: &str| steps("complaints", "complaint_id", kind, at, at, "department");
    let promise = |kind, at: &str| steps("promises", "promise_id", kind, at, "due", "CAST(NULL AS VARCHAR)");
    let sql = [
        complaint(Kind::ComplaintOpened, "opened_at"),
        complaint(Kind::ComplaintContacted, "contacted_at"),
        complaint(Kind::ComplaintWithdrawn, "withdrawn_at"),
        complaint(Kind::ComplaintClosed, "closed_at"),
        promise(Kind::PromiseMade, "made_at"),
        promise(Kind::PromiseKept, "kept_at"),
    ]
    .join(" UNION ALL ");
    let mut events = Vec::new();
    for batch in engine.query(&sql).await.map_err(of_query)?.collect().await.map_err(of_query)? {
        let columns = Columns::of(&batch)?;
        for row in 0..columns.rows {
            let owned = |column: usize| columns.text(column, row).map(|text| text.to_owned().into());
            let (Some(at), Some(kind)) = (columns.time(0, row), columns.text(1, row).and_then(Kind::parse))
            else {
                continue;
            };
            let name = columns.text(2, row).unwrap_or_default();
            let mut event = Event::new(format!("{name}-{}", kind.as_str()), kind, at);
            let is_promise = matches!(kind, Kind::PromiseMade | Kind::PromiseKept);
            let key = if is_promise { &mut event.promise_id } else { &mut event.complaint_id };
            *key = owned(2);
            event.contact_id = owned(3);
            event.agent_id = owned(4);
            event.customer_id = owned(5);
            event.queue = owned(6);
            event.department = owned(7);
            event.due = columns.time(8, row).filter(|_| is_promise);
            events.push(event);
        }
    }
    events.sort_by_key(|event| event.time);
    Ok(events)
}

/// What one rule came to.
struct Line<'s> {
    rule: &'s str,
    severity: &'static str,
    hits: Vec<&'s Raised>,
    /// Hits of the other file, and those of both.
    against: Option<(usize, usize)>,
}

fn lines(sets: &[Set]) -> Vec<Line<'_>> {
    let mut names: Vec<(&str, &'static str)> = Vec::new();
    for rule in sets.iter().flat_map(|set| &set.rules.rules) {
        if !names.iter().any(|(name, _)| *name == rule.name) {
            names.push((&rule.name, rule.severity.as_str()));
        }
    }
    let of = |set: &'_ Set, rule: &str| -> BTreeSet<String> {
        set.hits.values().filter(|hit| hit.rule.name == rule).map(|hit| hit.id.clone()).collect()
    };
    let line = |(rule, severity)| {
        let mut hits: Vec<&Raised> = sets[0].hits.values().filter(|hit| hit.rule.name == rule).collect();
        hits.sort_by(|a, b| (a.time, &a.id).cmp(&(b.time, &b.id)));
        let against = sets.get(1).map(|other| {
            let (own, other) = (of(&sets[0], rule), of(other, rule));
            (other.len(), own.intersection(&other).count())
        });
        Line { rule, severity, hits, against }
    };
    names.into_iter().map(line).collect()
}

fn sample(hit: &Raised) -> serde_json::Value {
    let subject = &hit.subject;
    let mut value = serde_json::json!({ "time": format_time(hit.time) });
    let fields = [
        ("contact_id", &subject.contact_id),
        ("queue", &subject.queue),
        ("agent_id", &subject.agent_id),
        ("dossier", &subject.dossier),
    ];
    for (name, text) in fields.into_iter().filter(|(_, text)| !text.is_empty()) {
        value[name] = text.as_str().into();
    }
    for (name, number) in &hit.values {
        value[name.as_str()] = ((number * 1e3).round() / 1e3).into();
    }
    if let Some(evidence) = hit.evidence.first() {
        value["speaker"] = evidence.speaker.as_str().into();
        value["text"] = evidence.text.as_str().into();
        value["phrase"] = evidence.phrase.as_str().into();
    }
    value
}

fn report(sets: &[Set], days: f64, samples: usize, format: &str) -> Result<String, Failure> {
    let lines = lines(sets);
    // Evenly over the time, so that the samples are not all of one morning.
    let chosen = |hits: &[&Raised]| -> Vec<serde_json::Value> {
        let count = samples.min(hits.len());
        (0..count).map(|n| sample(hits[n * hits.len() / count.max(1)])).collect()
    };
    let a_day = |hits: usize| (hits as f64 / days * 100.0).round() / 100.0;
    if format == "json" {
        let rows = lines.iter().map(|line| {
            let mut row = serde_json::json!({
                "rule": line.rule, "severity": line.severity, "hits": line.hits.len(),
                "hits_a_day": a_day(line.hits.len()), "samples": chosen(&line.hits),
            });
            if let Some((other, both)) = line.against {
                row["against"] = other.into();
                row["both"] = both.into();
                row["only_here"] = (line.hits.len() - both).into();
                row["only_there"] = (other - both).into();
            }
            row
        });
        let rows: Vec<serde_json::Value> = rows.collect();
        let text = serde_json::to_string_pretty(&rows).map_err(|error| Failure::bug(error.to_string()))?;
        return Ok(text + "\n");
    }
    let mut head = vec!["rule", "severity", "hits", "hits_a_day"];
    if sets.len() > 1 {
        head.extend(["against", "both", "only_here", "only_there"]);
    }
    let mut rows: Vec<Vec<String>> = vec![head.into_iter().map(str::to_owned).collect()];
    for line in &lines {
        let hits = line.hits.len();
        let mut row =
            vec![line.rule.to_owned(), line.severity.to_owned(), hits.to_string(), a_day(hits).to_string()];
        if let Some((other, both)) = line.against {
            row.extend([other, both, hits - both, other - both].map(|number| number.to_string()));
        }
        rows.push(row);
    }
    let mut text = String::new();
    if format == "csv" {
        rows.iter().for_each(|row| text.push_str(&(row.join(",") + "\n")));
        return Ok(text);
    }
    let columns = rows[0].len();
    let widths: Vec<usize> =
        (0..columns).map(|at| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0)).collect();
    for row in &rows {
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(text, "{cell:width$}  ");
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    for line in lines.iter().filter(|line| !line.hits.is_empty() && samples > 0) {
        let _ = writeln!(text, "\n{}", line.rule);
        for value in chosen(&line.hits) {
            let _ = writeln!(text, "  {value}");
        }
    }
    Ok(text)
}
