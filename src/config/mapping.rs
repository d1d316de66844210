//! Files that say how a platform's records are read: mappings of records of one's own, and names for ids.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;

use chrono_tz::Tz;

use super::fault::{Fault, nearest};
use super::raw::{Layers, Table};
use super::section::Section;
use crate::decode::{Clause, Envelope, Layout, Lookup, Mapping, Names, TimeFormat, When, is_time_pattern};
use crate::event::Kind;

/// Reads a mapping file.
///
/// # Errors
/// Every fault, with file and line.
pub fn load_mapping(path: &Path) -> Result<Mapping, Vec<Fault>> {
    let (table, mut faults) = read(path, "mapping")?;
    let found = RefCell::new(Vec::new());
    let mapping = mapping(&table, &path.display().to_string(), &found);
    faults.extend(found.into_inner());
    if faults.is_empty() { Ok(mapping) } else { Err(faults) }
}

/// Reads a file of names: the tables `[queues]` and `[agents]`, each `"id" = "name"`.
///
/// # Errors
/// Every fault, with file and line.
pub fn load_names(path: &Path) -> Result<Names, Vec<Fault>> {
    let (table, mut faults) = read(path, "names")?;
    let found = RefCell::new(Vec::new());
    let mut section = Section::file(&table, &path.display().to_string(), &found);
    let mut texts = |key| if section.has(key) { section.texts(key) } else { BTreeMap::new() };
    let names = Names { queues: texts("queues"), agents: texts("agents") };
    section.finish(&[]);
    faults.extend(found.into_inner());
    if faults.is_empty() { Ok(names) } else { Err(faults) }
}

fn read(path: &Path, what: &str) -> Result<(Table, Vec<Fault>), Vec<Fault>> {
    let file = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| {
        let message = format!("cannot read the {what} file: {error}");
        vec![Fault { file: file.clone(), line: None, message, hint: None }]
    })?;
    let mut layers = Layers::new("");
    match layers.parse(&file, &text) {
        Some(table) => Ok((table, layers.faults)),
        None => Err(layers.faults),
    }
}

fn mapping(table: &Table, file: &str, faults: &RefCell<Vec<Fault>>) -> Mapping {
    let mut root = Section::file(table, file, faults);
    let layout = layout(&mut root);
    let envelope = match root.optional_text("envelope").as_deref() {
        None | Some("none") => Envelope::None,
        Some("cloudevents") => Envelope::CloudEvents,
        Some("debezium") => Envelope::Debezium,
        Some(other) => {
            let hint = "known are `none`, `cloudevents` and `debezium`".to_owned();
            root.refuse("envelope", format!("unknown envelope `{other}`"), Some(hint));
            Envelope::None
        }
    };
    let keep = if root.has("keep") { root.text_list("keep") } else { Vec::new() };
    let fields = if root.has("fields") { lookups(root.section("fields")) } else { BTreeMap::new() };
    let mut events = Vec::new();
    for mut entry in root.sections("event") {
        let name = entry.text("type");
        let kind = Kind::parse(&name);
        if kind.is_none() && !name.is_empty() {
            let near = nearest(&name, Kind::ALL.iter().map(|kind| kind.as_str()));
            let hint = near.map_or_else(
                || "the types of events are listed in docs/events.md".to_owned(),
                |near| format!("the nearest type is `{near}`"),
            );
            entry.refuse("type", format!("unknown type `{name}`"), Some(hint));
        }
        let when = when(&mut entry);
        let fields_of = if entry.has("fields") { lookups(entry.section("fields")) } else { BTreeMap::new() };
        if let Some(kind) = kind {
            if !fields.contains_key("time") && !fields_of.contains_key("time") {
                entry.refuse(
                    "fields",
                    "no field `time` is mapped".to_owned(),
                    Some("add `time = \"path\"`".to_owned()),
                );
            }
            events.push(Clause { kind, when, fields: fields_of });
        }
        entry.finish(&[]);
    }
    if root.has_empty_list("event") || events.is_empty() && faults.borrow().is_empty() {
        root.refuse("event", "the mapping makes no event".to_owned(), Some("add an `[[event]]`".to_owned()));
    }
    let mut ignore = Vec::new();
    if root.has("ignore") {
        for mut entry in root.sections("ignore") {
            let when = when(&mut entry);
            if when.is_empty() {
                let message = "an `[[ignore]]` without `when` would ignore everything".to_owned();
                entry.refuse("when", message, Some("add `when = { path = \"word\" }`".to_owned()));
            }
            entry.finish(&[]);
            ignore.push(when);
        }
    }
    root.finish(&[]);
    Mapping { layout, envelope, fields, events, ignore, keep }
}

fn layout(root: &mut Section<'_>) -> Layout {
    let name = root.optional_text("layout");
    let columns = if root.has("columns") { root.text_list("columns") } else { Vec::new() };
    let delimiter = root.optional_text("delimiter");
    match name.as_deref() {
        None | Some("json" | "registry") => {
            if !columns.is_empty() || delimiter.is_some() {
                let message = "`columns` and `delimiter` are for `layout = \"csv\"`".to_owned();
                root.refuse(if columns.is_empty() { "delimiter" } else { "columns" }, message, None);
            }
            if name.as_deref() == Some("registry") { Layout::Registry } else { Layout::Json }
        }
        Some("csv") => {
            if columns.is_empty() {
                let hint = "name the values in their order: `columns = [\"time\", \"call\"]`".to_owned();
                root.refuse("columns", "`columns` is missing".to_owned(), Some(hint));
            }
            let delimiter = match delimiter.as_deref().map(str::as_bytes) {
                None => b',',
                Some([one]) if *one != b'"' && *one != b'\n' => *one,
                Some(_) => {
                    root.refuse("delimiter", "`delimiter` is not one character of ASCII".to_owned(), None);
                    b','
                }
            };
            Layout::Csv { delimiter, columns }
        }
        Some(other) => {
            let hint = "known are `json`, `csv` and `registry`".to_owned();
            root.refuse("layout", format!("unknown layout `{other}`"), Some(hint));
            Layout::Json
        }
    }
}

/// Which records: paths, each with a word or a list of words.
fn when(entry: &mut Section<'_>) -> When {
    if !entry.has("when") {
        return Vec::new();
    }
    let section = entry.section("when");
    section.word_lists()
}

fn lookups(section: Section<'_>) -> BTreeMap<String, Lookup> {
    let mut found = BTreeMap::new();
    for name in section.names() {
        if !Mapping::has_field(&name) {
            let names = Mapping::field_names();
            let near = nearest(&name, names.iter().copied());
            let hint = near.map_or_else(
                || "what is no field can be kept as an attribute: `keep = [\"path\"]`".to_owned(),
                |near| format!("the nearest field is `{near}`"),
            );
            section.refuse(&name, format!("events have no field `{name}`"), Some(hint));
            continue;
        }
        if let Some(path) = section.plain_text(&name) {
            found.insert(name, Lookup { paths: vec![path], ..Lookup::default() });
            continue;
        }
        let mut entry = section.named(&name);
        let mut lookup = Lookup {
            paths: if entry.has("path") { entry.text_list("path") } else { Vec::new() },
            values: if entry.has("values") { entry.texts("values") } else { BTreeMap::new() },
            default: entry.optional_text("default"),
            time: TimeFormat::Any,
        };
        if let Some(value) = entry.optional_text("value") {
            if !lookup.paths.is_empty() {
                entry.refuse("value", "a field has a `path` or a `value`, not both".to_owned(), None);
            }
            lookup.default = Some(value);
        }
        if lookup.paths.is_empty() && lookup.default.is_none() {
            let hint = "write `name = \"path\"`, `{ path = \"…\" }` or `{ value = \"…\" }`".to_owned();
            entry.refuse("path", format!("nothing is said of where `{name}` comes from"), Some(hint));
        }
        lookup.time = time_format(&mut entry);
        entry.finish(&[]);
        found.insert(name, lookup);
    }
    found
}

fn time_format(entry: &mut Section<'_>) -> TimeFormat {
    let zone = entry.optional_text("zone");
    let zone = zone.map_or(Some(Tz::UTC), |name| {
        let zone: Option<Tz> = name.parse().ok();
        if zone.is_none() {
            let hint = "zones have names such as `Asia/Shanghai`".to_owned();
            entry.refuse("zone", format!("unknown time zone `{name}`"), Some(hint));
        }
        zone
    });
    match entry.optional_text("format").as_deref() {
        None | Some("rfc3339" | "any") => TimeFormat::Any,
        Some("seconds") => TimeFormat::Seconds,
        Some("millis") => TimeFormat::Millis,
        Some("micros") => TimeFormat::Micros,
        Some(pattern) if pattern.contains('%') && is_time_pattern(pattern) => {
            TimeFormat::Pattern { pattern: pattern.to_owned(), zone: zone.unwrap_or(Tz::UTC) }
        }
        Some(other) => {
            let hint = "known are `rfc3339`, `seconds`, `millis`, `micros`, and patterns such as `%Y-%m-%d %H:%M:%S`";
            entry.refuse("format", format!("`{other}` is no format of a time"), Some(hint.to_owned()));
            TimeFormat::Any
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn load(text: &str) -> Result<Mapping, Vec<String>> {
        let mut file = tempfile::NamedTempFile::new().expect("a file for the test");
        file.write_all(text.as_bytes()).expect("written");
        let shown = |fault: &Fault| format!("{}: {}", fault.line.unwrap_or(0), fault.message);
        load_mapping(file.path()).map_err(|faults| faults.iter().map(shown).collect())
    }

    const GOOD: &str = r#"
layout = "json"
keep = ["note"]
[fields]
id = { path = ["call.id", "seq"] }
time = { path = "at", format = "%d.%m.%Y %H:%M:%S", zone = "Asia/Shanghai" }
contact_id = "call.id"
queue = { path = "skill", values = { 1 = "Sales" } }
channel = { value = "voice" }
[[event]]
type = "contact.queued"
when = { what = "enter" }
[[event]]
type = "contact.ended"
when = { what = ["hangup", "lost"], kind = 2 }
fields = { by = { path = "who", values = { C = "customer" }, default = "system" } }
[[ignore]]
when = { what = "ping" }
"#;

    #[test]
    fn a_mapping_file_says_where_everything_comes_from() {
        let mapping = load(GOOD).expect("a good mapping");
        assert_eq!(mapping.fields["id"].paths, ["call.id", "seq"]);
        assert_eq!(mapping.fields["queue"].values["1"], "Sales");
        assert_eq!(mapping.fields["channel"].default.as_deref(), Some("voice"));
        assert_eq!(
            mapping.events[1].when[1],
            ("what".to_owned(), vec!["hangup".to_owned(), "lost".to_owned()])
        );
        assert_eq!(mapping.events[1].when[0], ("kind".to_owned(), vec!["2".to_owned()]));
        assert_eq!(mapping.ignore.len(), 1);
    }

    #[test]
    fn every_fault_is_said_with_its_line() {
        let wrong = GOOD
            .replace("contact_id =", "contact =")
            .replace("contact.queued", "contact.queue")
            .replace("%d.%m", "%Q")
            .replace("Asia/Shanghai", "Asia/Nowhere")
            .replace("keep", "kept")
            .replace("{ value = \"voice\" }", "{ default = 1, what = \"x\" }");
        let faults = load(&wrong).expect_err("faults");
        for part in [
            "7: events have no field `contact`",
            "11: unknown type `contact.queue`",
            "6: unknown time zone `Asia/Nowhere`",
            "3: unknown key `kept`",
            "unknown key `fields.channel.what`",
        ] {
            assert!(faults.iter().any(|fault| fault.contains(part)), "{part} is not in {faults:#?}");
        }
        assert!(faults.iter().any(|fault| fault.contains("is no format of a time")), "{faults:#?}");
        assert_eq!(load("x = [").expect_err("a fault").len(), 1);
        let none = load("layout = \"json\"\nevent = []").expect_err("a fault");
        assert!(none[0].contains("makes no event"), "{none:?}");
    }

    #[test]
    fn names_are_two_tables() {
        let mut file = tempfile::NamedTempFile::new().expect("a file for the test");
        file.write_all(b"[queues]\n\"q-1\" = \"Sales\"\n[agents]\n\"a-1\" = \"Li\"\n").expect("written");
        let names = load_names(file.path()).expect("names");
        assert_eq!((names.queues["q-1"].as_str(), names.agents["a-1"].as_str()), ("Sales", "Li"));
    }
}
