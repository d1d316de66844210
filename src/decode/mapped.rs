//! Records of one's own, read as a mapping says: which event a record is, and where each field stands in it.
//!
//! A mapping is data (its file is read in `config`): this module follows it. What comes out is written as a canonical record
//! and read as one, so that it is held to the same rules.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{NaiveDateTime, TimeZone};
use chrono_tz::Tz;
use serde_json::{Map, Value};
use xxhash_rust::xxh3::xxh3_64;

use super::registry::{Registry, Schemas};
use super::vendor::{Adapter, Out, int, json, object, reject, text, time};
use super::{Parser, canonical, write_event};
use crate::event::{Event, Kind, Reject, RejectReason};
use crate::time::{Millis, format_time, parse_time};

/// How records are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Layout {
    /// One JSON object a record.
    Json,
    /// Avro, Protobuf or JSON, by the schema whose id stands before it: see [`Registry`](super::Registry).
    Registry,
    /// One line of separated values a record; a line that repeats the names is a heading and says nothing.
    Csv {
        /// What stands between the values.
        delimiter: u8,
        /// The names of the values, in their order.
        columns: Vec<String>,
    },
}

/// What lies around the record itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Envelope {
    /// Nothing.
    #[default]
    None,
    /// A CloudEvent, structured (the record is its `data`) or binary (its attributes are in the headers `ce_…`); `ce_id`,
    /// `ce_source`, `ce_type`, `ce_subject` and `ce_time` are there too.
    CloudEvents,
    /// A Debezium change record: the record is `after`, or `before` of a deletion; `dbz_op`, `dbz_ts_ms` and `dbz_table` are
    /// there too.
    Debezium,
}

/// How a time is written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum TimeFormat {
    /// RFC 3339 with an offset, or a number of seconds, ms or µs since 1970, told apart by its size.
    #[default]
    Any,
    /// Seconds since 1970, also with a fraction.
    Seconds,
    /// Milliseconds since 1970.
    Millis,
    /// Microseconds since 1970.
    Micros,
    /// A pattern of `strftime`, in a zone. An hour that occurs twice is the first; one that does not occur is no time.
    Pattern {
        /// The pattern.
        pattern: String,
        /// The zone.
        zone: Tz,
    },
}

/// Where a field comes from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lookup {
    /// Paths into the record; the values of several are joined by `-`.
    pub paths: Vec<String>,
    /// What the record's words mean; a word that is not listed stays as it is.
    pub values: BTreeMap<String, String>,
    /// What holds where nothing is found.
    pub default: Option<String>,
    /// How it is written, for times.
    pub time: TimeFormat,
}

/// What a record must be for something to hold: each path has one of its words.
pub type When = Vec<(String, Vec<String>)>;

/// An event that some records are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clause {
    /// Its type.
    pub kind: Kind,
    /// Which records.
    pub when: When,
    /// Fields of this event, over those of every event.
    pub fields: BTreeMap<String, Lookup>,
}

/// How records of one's own become events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// How records are written.
    pub layout: Layout,
    /// What lies around them.
    pub envelope: Envelope,
    /// Fields of every event, by their canonical names.
    pub fields: BTreeMap<String, Lookup>,
    /// The events; a record is each of those that apply.
    pub events: Vec<Clause>,
    /// Records that are known and say nothing.
    pub ignore: Vec<When>,
    /// Paths whose values are kept under `attributes`.
    pub keep: Vec<String>,
}

impl Mapping {
    /// Tells whether there is a canonical field of this name that a mapping can fill.
    pub fn has_field(name: &str) -> bool {
        canonical::is_field(name) && !matches!(name, "type" | "attributes")
    }

    /// The names of fields that a mapping can fill.
    pub fn field_names() -> Vec<&'static str> {
        canonical::field_names().filter(|name| Mapping::has_field(name)).collect()
    }

    /// Says what the mapping makes of one record, line by line, for whoever writes the mapping.
    pub fn explain(&self, record: &str) -> String {
        let mut out = String::new();
        if self.layout == Layout::Registry {
            return "records of a schema registry are bytes, and are not lines of a file\n".to_owned();
        }
        let parts = match self.parts(record) {
            Ok(parts) => parts,
            Err(reject) => return format!("reject {}: {}\n", reject.reason.as_str(), reject.detail),
        };
        let Some(parts) = parts else { return "a heading: it says nothing\n".to_owned() };
        if self.ignore.iter().any(|when| holds(when, &parts)) {
            return "ignored: `[[ignore]]` applies\n".to_owned();
        }
        let clauses: Vec<&Clause> = self.events.iter().filter(|clause| holds(&clause.when, &parts)).collect();
        if clauses.is_empty() {
            out.push_str("reject unknown_type: no `[[event]]` applies\n");
        }
        for clause in &clauses {
            let _ = writeln!(out, "{}", clause.kind.as_str());
            for (name, lookup) in self.lookups(clause) {
                let found: Vec<String> = lookup
                    .paths
                    .iter()
                    .map(|path| format!("{path} = {}", find(&parts, path).unwrap_or(&Value::Null)))
                    .collect();
                let from = if found.is_empty() { "fixed".to_owned() } else { found.join(", ") };
                let value = match value(name, lookup, &parts) {
                    Ok(Some(value)) => value.to_string(),
                    Ok(None) => "nothing".to_owned(),
                    Err(reject) => format!("reject {}: {}", reject.reason.as_str(), reject.detail),
                };
                let _ = writeln!(out, "  {name} <- {from} -> {value}");
            }
            match self.event(clause, clauses.len() > 1, record.as_bytes(), &parts) {
                Ok(event) => {
                    out.push_str("  => ");
                    write_event(&event, &mut out);
                    out.push('\n');
                }
                Err(reject) => {
                    let _ = writeln!(out, "  => reject {}: {}", reject.reason.as_str(), reject.detail);
                }
            }
        }
        out
    }

    fn lookups<'m>(&'m self, clause: &'m Clause) -> impl Iterator<Item = (&'m String, &'m Lookup)> {
        let shared = self.fields.iter().filter(|(name, _)| !clause.fields.contains_key(*name));
        shared.chain(&clause.fields)
    }

    /// The record as an object, out of its envelope; `None` for a heading.
    fn parts(&self, record: &str) -> Result<Option<Map<String, Value>>, Reject> {
        let parts = match &self.layout {
            Layout::Json => object(&json(record)?)?.clone(),
            Layout::Csv { delimiter, columns } => {
                let Some(parts) = line(record, *delimiter, columns)? else { return Ok(None) };
                parts
            }
            Layout::Registry => {
                let detail = "records of a schema registry are bytes, and are not lines of a file";
                return Err(reject(RejectReason::UnknownFormat, detail));
            }
        };
        self.unpack(parts, &[]).map(Some)
    }

    /// What lies in the envelope.
    fn unpack(
        &self,
        parts: Map<String, Value>,
        attributes: &[(String, String)],
    ) -> Result<Map<String, Value>, Reject> {
        match self.envelope {
            Envelope::None => Ok(parts),
            Envelope::CloudEvents if !attributes.is_empty() => Ok(with_attributes(parts, attributes)),
            Envelope::CloudEvents => cloud_event(parts),
            Envelope::Debezium => change(parts),
        }
    }

    fn event(
        &self,
        clause: &Clause,
        is_one_of_several: bool,
        record: &[u8],
        parts: &Map<String, Value>,
    ) -> Result<Event<'static>, Reject> {
        let mut canonical_record = Map::new();
        canonical_record.insert("type".to_owned(), clause.kind.as_str().into());
        for (name, lookup) in self.lookups(clause) {
            if let Some(value) = value(name, lookup, parts)? {
                canonical_record.insert(name.clone(), value);
            }
        }
        let id =
            canonical_record.get("id").and_then(text).unwrap_or_else(|| format!("{:016x}", xxh3_64(record)));
        let id = if is_one_of_several { format!("{id}-{}", clause.kind.as_str()) } else { id };
        canonical_record.insert("id".to_owned(), id.into());
        let kept: Map<String, Value> =
            self.keep.iter().filter_map(|path| Some((path.clone(), find(parts, path)?.clone()))).collect();
        if !kept.is_empty() {
            canonical_record.insert("attributes".to_owned(), Value::Object(kept));
        }
        let text = Value::Object(canonical_record).to_string();
        let (mut extra, mut unknown) = (Vec::new(), 0);
        canonical::decode(&text, Parser::Plain, &mut extra, &mut unknown).map(Event::into_owned)
    }
}

/// Reads records as a mapping says.
#[derive(Debug)]
pub(super) struct Mapped {
    mapping: Option<Arc<Mapping>>,
    schemas: Schemas,
}

impl Mapped {
    pub(super) fn new(mapping: Option<Arc<Mapping>>, registry: Option<Arc<dyn Registry>>) -> Mapped {
        Mapped { mapping, schemas: Schemas::new(registry) }
    }
}

impl Mapping {
    /// The events of a record, which `record` stands for where it has no id.
    fn events_of(&self, parts: &Map<String, Value>, record: &[u8], out: &mut Out) -> Result<(), Reject> {
        if self.ignore.iter().any(|when| holds(when, parts)) {
            return Ok(());
        }
        let clauses: Vec<&Clause> = self.events.iter().filter(|clause| holds(&clause.when, parts)).collect();
        if clauses.is_empty() {
            return Err(reject(
                RejectReason::UnknownType,
                "no `[[event]]` of the mapping applies to the record",
            ));
        }
        for clause in &clauses {
            out.events.push(self.event(clause, clauses.len() > 1, record, parts)?);
        }
        Ok(())
    }
}

fn no_mapping() -> Reject {
    reject(RejectReason::UnknownFormat, "the format `mapped` has no mapping file")
}

impl Adapter for Mapped {
    fn read(&mut self, text: &str, _timestamp: Option<Millis>, out: &mut Out) -> Result<(), Reject> {
        let mapping = self.mapping.as_ref().ok_or_else(no_mapping)?;
        let Some(parts) = mapping.parts(text)? else { return Ok(()) };
        mapping.events_of(&parts, text.as_bytes(), out)
    }

    fn is_binary(&self) -> bool {
        self.mapping.as_ref().is_some_and(|mapping| mapping.layout == Layout::Registry)
    }

    fn takes_attributes(&self) -> bool {
        self.mapping.as_ref().is_some_and(|mapping| mapping.envelope == Envelope::CloudEvents)
    }

    fn read_bytes(
        &mut self,
        record: &[u8],
        attributes: &[(String, String)],
        out: &mut Out,
    ) -> Result<(), Reject> {
        let mapping = Arc::clone(self.mapping.as_ref().ok_or_else(no_mapping)?);
        let parts = match &mapping.layout {
            Layout::Registry => object(&self.schemas.read(record)?)?.clone(),
            layout => {
                let text = std::str::from_utf8(record)
                    .map_err(|error| reject(RejectReason::NotUtf8, format!("not UTF-8: {error}")))?;
                match layout {
                    Layout::Csv { delimiter, columns } => match line(text, *delimiter, columns)? {
                        Some(parts) => parts,
                        None => return Ok(()),
                    },
                    _ => object(&json(text)?)?.clone(),
                }
            }
        };
        let parts = mapping.unpack(parts, attributes)?;
        mapping.events_of(&parts, record, out)
    }
}

/// What lies at a path: names separated by dots, places in lists in brackets.
fn find<'v>(parts: &'v Map<String, Value>, path: &str) -> Option<&'v Value> {
    // A name may hold dots itself.
    if let Some(value) = parts.get(path) {
        return Some(value).filter(|value| !value.is_null());
    }
    let mut steps = path.split('.');
    let mut here = step(None, Some(parts), steps.next()?)?;
    for next in steps {
        here = step(Some(here), None, next)?;
    }
    Some(here).filter(|value| !value.is_null())
}

fn step<'v>(at: Option<&'v Value>, top: Option<&'v Map<String, Value>>, name: &str) -> Option<&'v Value> {
    let (name, places) = name.split_once('[').map_or((name, ""), |(name, rest)| (name, rest));
    let object = top.or_else(|| at?.as_object());
    let mut here = if name.is_empty() { at? } else { object?.get(name)? };
    for place in places.split('[').filter(|place| !place.is_empty()) {
        here = here.get(place.strip_suffix(']')?.parse::<usize>().ok()?)?;
    }
    Some(here)
}

fn word(value: &Value) -> Option<String> {
    match value {
        Value::Bool(flag) => Some(flag.to_string()),
        other => text(other),
    }
}

fn holds(when: &When, parts: &Map<String, Value>) -> bool {
    when.iter().all(|(path, words)| {
        let found = find(parts, path).and_then(word);
        match found {
            // `*` asks that there is something.
            Some(found) => words.iter().any(|word| *word == found || word == "*"),
            None => words.iter().any(String::is_empty),
        }
    })
}

/// The value of one field, of the kind of JSON that the canonical format has for it.
fn value(name: &str, lookup: &Lookup, parts: &Map<String, Value>) -> Result<Option<Value>, Reject> {
    let found: Vec<&Value> = lookup.paths.iter().filter_map(|path| find(parts, path)).collect();
    let is_time = matches!(name, "time" | "due" | "start" | "end" | "published_at");
    if is_time && let [raw] = found[..] {
        let moment = moment(raw, &lookup.time).ok_or_else(|| {
            let detail = format!(
                "`{name}` is not written as the mapping says: `{}`",
                canonical::shorten(&raw.to_string())
            );
            reject(RejectReason::BadTime, detail)
        })?;
        return Ok(Some(format_time(moment).into()));
    }
    if name == "queues"
        && let [list @ Value::Array(_)] = found[..]
    {
        return Ok(Some(list.clone()));
    }
    let words: Vec<String> = found.into_iter().filter_map(word).collect();
    let all_found = !words.is_empty() && words.len() == lookup.paths.len();
    let joined = all_found.then(|| words.join("-"));
    let Some(word) = joined
        .map(|word| lookup.values.get(&word).cloned().unwrap_or(word))
        .or_else(|| lookup.default.clone())
    else {
        return Ok(None);
    };
    if word.is_empty() {
        return Ok(None);
    }
    Ok(Some(match name {
        "dial_ms" | "duration_ms" | "csat" | "nps" | "ces" | "severity" | "paid_minutes" | "version" => {
            int(&Value::String(word.clone())).map_or(Value::String(word), Value::from)
        }
        "resolved" | "final" | "preferred" => match word.as_str() {
            "true" | "1" | "yes" | "Y" => true.into(),
            "false" | "0" | "no" | "N" => false.into(),
            _ => Value::String(word),
        },
        _ => Value::String(word),
    }))
}

fn moment(raw: &Value, format: &TimeFormat) -> Option<Millis> {
    let number = || match raw {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    match format {
        TimeFormat::Any => time(raw),
        TimeFormat::Seconds => number().map(|number: f64| (number * 1000.0).round() as i64),
        TimeFormat::Millis => int(raw),
        TimeFormat::Micros => int(raw).map(|micros| micros.div_euclid(1000)),
        TimeFormat::Pattern { pattern, zone } => {
            let text = raw.as_str()?.trim();
            if let Ok(fixed) = chrono::DateTime::parse_from_str(text, pattern) {
                return Some(fixed.timestamp_millis());
            }
            let local = NaiveDateTime::parse_from_str(text, pattern).ok()?;
            zone.from_local_datetime(&local).earliest().map(|at| at.timestamp_millis())
        }
    }
}

fn line(record: &str, delimiter: u8, columns: &[String]) -> Result<Option<Map<String, Value>>, Reject> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .from_reader(record.as_bytes());
    let row = reader.records().next();
    let row = row.ok_or_else(|| reject(RejectReason::MissingField, "the line is empty"))?;
    let row = row.map_err(|error| {
        reject(RejectReason::BadField, format!("not a line of separated values: {error}"))
    })?;
    if row.iter().eq(columns.iter().map(String::as_str)) {
        return Ok(None);
    }
    if row.len() < columns.len() {
        let detail = format!("the line has {} values, and the mapping names {}", row.len(), columns.len());
        return Err(reject(RejectReason::MissingField, detail));
    }
    Ok(Some(columns.iter().zip(row.iter()).map(|(name, value)| (name.clone(), Value::from(value))).collect()))
}

/// The data of a CloudEvent in binary mode, with the attributes of its headers beside it.
fn with_attributes(mut data: Map<String, Value>, attributes: &[(String, String)]) -> Map<String, Value> {
    for (name, value) in attributes {
        data.insert(name.clone(), Value::from(value.as_str()));
    }
    data
}

/// `data` of a structured CloudEvent, with the context attributes beside it.
fn cloud_event(mut parts: Map<String, Value>) -> Result<Map<String, Value>, Reject> {
    if !parts.contains_key("specversion") {
        return Err(reject(
            RejectReason::MissingField,
            "the field `specversion` is missing: the record is no CloudEvent",
        ));
    }
    let mut data = match parts.remove("data") {
        Some(Value::Object(data)) => data,
        Some(Value::String(text)) => object(&json(&text)?)?.clone(),
        Some(_) => return Err(reject(RejectReason::BadField, "`data` of the CloudEvent is not an object")),
        None => match parts.remove("data_base64") {
            Some(encoded) => {
                let bytes = encoded.as_str().and_then(|text| STANDARD.decode(text).ok());
                let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
                let text = text.ok_or_else(|| {
                    reject(RejectReason::BadField, "`data_base64` of the CloudEvent is no text in Base64")
                })?;
                object(&json(&text)?)?.clone()
            }
            None => Map::new(),
        },
    };
    for name in ["id", "source", "type", "subject", "time"] {
        if let Some(value) = parts.remove(name) {
            data.insert(format!("ce_{name}"), value);
        }
    }
    Ok(data)
}

/// The row after the change, or the row that was deleted.
fn change(mut parts: Map<String, Value>) -> Result<Map<String, Value>, Reject> {
    // With schemas, the change lies under `payload`.
    if let (true, Some(Value::Object(payload))) = (parts.contains_key("schema"), parts.remove("payload")) {
        parts = payload;
    }
    let op = parts.get("op").cloned().ok_or_else(|| {
        reject(RejectReason::MissingField, "the field `op` is missing: the record is no Debezium change")
    })?;
    let side = if op.as_str() == Some("d") { "before" } else { "after" };
    let Some(Value::Object(mut row)) = parts.remove(side) else {
        return Err(reject(
            RejectReason::MissingField,
            format!("the field `{side}` of the change is missing"),
        ));
    };
    row.insert("dbz_op".to_owned(), op);
    if let Some(at) = parts.remove("ts_ms") {
        row.insert("dbz_ts_ms".to_owned(), at);
    }
    if let Some(table) = parts.get("source").and_then(|source| source.get("table")) {
        row.insert("dbz_table".to_owned(), table.clone());
    }
    Ok(row)
}

/// Tells whether a pattern can be read at all: what `strftime` does not know is no pattern.
pub fn is_time_pattern(pattern: &str) -> bool {
    use chrono::format::{Item, StrftimeItems};
    parse_time(pattern).is_none() && !StrftimeItems::new(pattern).any(|item| matches!(item, Item::Error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(path: &str) -> Lookup {
        Lookup { paths: vec![path.to_owned()], ..Lookup::default() }
    }

    fn mapping() -> Mapping {
        let local =
            TimeFormat::Pattern { pattern: "%d.%m.%Y %H:%M:%S".to_owned(), zone: chrono_tz::Asia::Shanghai };
        let fields = [
            ("id", Lookup { paths: vec!["call.id".to_owned(), "seq".to_owned()], ..Lookup::default() }),
            ("time", Lookup { time: local, ..path("at") }),
            ("contact_id", path("call.id")),
            ("queue", Lookup { values: [("1".to_owned(), "Sales".to_owned())].into(), ..path("skills[0]") }),
            ("channel", Lookup { default: Some("voice".to_owned()), ..Lookup::default() }),
        ];
        let by = Lookup {
            values: [("C".to_owned(), "customer".to_owned())].into(),
            default: Some("system".to_owned()),
            ..path("who")
        };
        Mapping {
            layout: Layout::Json,
            envelope: Envelope::None,
            fields: fields.into_iter().map(|(name, lookup)| (name.to_owned(), lookup)).collect(),
            events: vec![
                Clause {
                    kind: Kind::Queued,
                    when: vec![("what".to_owned(), vec!["enter".to_owned()])],
                    fields: BTreeMap::new(),
                },
                Clause {
                    kind: Kind::Ended,
                    when: vec![("what".to_owned(), vec!["hangup".to_owned(), "lost".to_owned()])],
                    fields: [("by".to_owned(), by)].into(),
                },
            ],
            ignore: vec![vec![("what".to_owned(), vec!["ping".to_owned()])]],
            keep: vec!["note".to_owned()],
        }
    }

    fn read(mapping: Mapping, text: &str) -> Result<Vec<Event<'static>>, RejectReason> {
        let mut out = Out::default();
        Mapped::new(Some(Arc::new(mapping)), None)
            .read(text, None, &mut out)
            .map_err(|reject| reject.reason)?;
        Ok(out.events)
    }

    const ENTER: &str = r#"{"what":"enter","seq":3,"at":"02.03.2026 09:00:00","call":{"id":"c1"},"skills":[1,2],"note":{"a":1}}"#;

    #[test]
    fn paths_values_patterns_and_fixed_values_make_an_event() {
        let event = read(mapping(), ENTER).expect("an event").remove(0);
        assert_eq!((&*event.id, event.kind, event.time), ("c1-3", Kind::Queued, 1_772_413_200_000));
        assert_eq!(
            (event.queue.as_deref(), event.channel),
            (Some("Sales"), Some(crate::event::Channel::Voice))
        );
        assert_eq!(event.attributes.as_deref(), Some(r#"{"note":{"a":1}}"#));
        let ended = |who: &str| {
            let text =
                ENTER.replace("enter", "lost").replace(r#""note""#, &format!(r#""who":"{who}","note""#));
            read(mapping(), &text).map(|events| events[0].by)
        };
        assert_eq!(ended("C"), Ok(Some(crate::event::EndedBy::Customer)));
        assert_eq!(ended("X"), Err(RejectReason::BadField));
    }

    #[test]
    fn a_record_may_be_several_events_or_none() {
        let mut both = mapping();
        both.events[1].when = both.events[0].when.clone();
        both.events[1].fields.clear();
        let ids: Vec<_> =
            read(both, ENTER).expect("events").into_iter().map(|event| event.id.into_owned()).collect();
        assert_eq!(ids, ["c1-3-contact.queued", "c1-3-contact.ended"]);
        assert_eq!(read(mapping(), r#"{"what":"ping"}"#), Ok(vec![]));
        assert_eq!(read(mapping(), r#"{"what":"dance"}"#), Err(RejectReason::UnknownType));
        assert_eq!(read(mapping(), &ENTER.replace("02.03", "2 March")), Err(RejectReason::BadTime));
    }

    #[test]
    fn lines_of_values_are_records_and_their_heading_is_none() {
        let mut lines = mapping();
        let columns = ["what", "seq", "at", "call.id", "skills[0]"].map(str::to_owned).to_vec();
        lines.layout = Layout::Csv { delimiter: b';', columns };
        let event =
            read(lines.clone(), r#"enter;3;02.03.2026 09:00:00;"c;1";1"#).expect("an event").remove(0);
        assert_eq!((event.contact_id.as_deref(), event.queue.as_deref()), (Some("c;1"), Some("Sales")));
        assert_eq!(read(lines.clone(), "what;seq;at;call.id;skills[0]"), Ok(vec![]));
        assert_eq!(read(lines, "enter;3"), Err(RejectReason::MissingField));
    }

    #[test]
    fn envelopes_are_taken_off() {
        let mut cloud = mapping();
        cloud.envelope = Envelope::CloudEvents;
        let text = format!(r#"{{"specversion":"1.0","id":"x","source":"/s","type":"t","data":{ENTER}}}"#);
        assert_eq!(read(cloud.clone(), &text).expect("an event")[0].contact_id.as_deref(), Some("c1"));
        assert_eq!(read(cloud, ENTER), Err(RejectReason::MissingField));
        let mut changes = mapping();
        changes.envelope = Envelope::Debezium;
        let bare =
            format!(r#"{{"before":null,"after":{ENTER},"op":"c","ts_ms":1,"source":{{"table":"calls"}}}}"#);
        let with_schema = format!(r#"{{"schema":{{}},"payload":{bare}}}"#);
        assert_eq!(read(changes.clone(), &bare), read(changes.clone(), &with_schema));
        assert_eq!(read(changes.clone(), &bare).expect("an event").len(), 1);
        assert_eq!(read(changes, r#"{"after":{}}"#), Err(RejectReason::MissingField));
    }

    #[test]
    fn a_cloud_event_may_have_its_attributes_in_headers() {
        let mut cloud = mapping();
        cloud.envelope = Envelope::CloudEvents;
        cloud.fields.get_mut("id").expect("the mapping has an id").paths = vec!["ce_id".to_owned()];
        let source =
            super::super::Source { mapping: Some(Arc::new(cloud)), ..super::super::Format::Mapped.into() };
        let attributes = [("ce_specversion", "1.0"), ("ce_id", "x-1")];
        let attributes = attributes.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut decoder = source.decoder();
        let events = decoder.read_cloud_event(ENTER.as_bytes(), &attributes, None).expect("an event");
        assert_eq!((&*events[0].id, events[0].contact_id.as_deref()), ("x-1", Some("c1")));
        let encoded = STANDARD.encode(ENTER);
        let structured = format!(
            r#"{{"specversion":"1.0","id":"x-1","source":"/s","type":"t","data_base64":"{encoded}"}}"#
        );
        assert_eq!(decoder.read(structured.as_bytes(), None).expect("an event"), events);
        // Without an envelope the headers say nothing.
        let plain = super::super::Source {
            mapping: Some(Arc::new(mapping())),
            ..super::super::Format::Mapped.into()
        };
        let events = plain.decoder().read_cloud_event(ENTER.as_bytes(), &attributes, None).expect("an event");
        assert_eq!(&*events[0].id, "c1-3");
    }

    #[test]
    fn an_explanation_shows_where_each_field_comes_from() {
        let said = mapping().explain(ENTER);
        assert!(said.starts_with("contact.queued\n"), "{said}");
        assert!(said.contains("  queue <- skills[0] = 1 -> \"Sales\"\n"), "{said}");
        assert!(said.contains("=> {\"id\":\"c1-3\",\"type\":\"contact.queued\""), "{said}");
        assert!(mapping().explain("{").starts_with("reject not_json"));
    }

    #[test]
    fn patterns_that_mean_nothing_are_told() {
        assert!(is_time_pattern("%Y-%m-%d %H:%M:%S"));
        assert!(!is_time_pattern("%Q"));
    }
}
