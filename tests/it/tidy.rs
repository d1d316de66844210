//! House rules as tests, so that nobody has to remember them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Longest file, lines.
const LINES_MAX: usize = 900;

/// The rooms by level: a room imports rooms of a lower level, and of its own only those that are named in `NEXT_DOOR`.
const LEVELS: &[(&str, u8)] = &[
    ("time", 0),
    ("kpi", 0),
    ("calendar", 1),
    ("forecast", 2),
    ("simulate", 0),
    ("event", 1),
    ("text", 2),
    ("facts", 2),
    ("privacy", 2),
    ("roster", 2),
    ("rules", 2),
    ("decode", 2),
    ("correlate", 3),
    ("alert", 3),
    ("deliver", 4),
    ("mimic", 3),
    ("window", 4),
    ("ingest", 5),
    ("lake", 5),
    ("metrics", 5),
    ("access", 1),
    ("query", 5),
    ("serve", 5),
    ("postgres", 5),
    ("flight", 5),
    ("config", 6),
    ("app", 7),
    ("main", 8),
];

/// Imports between rooms of one level.
const NEXT_DOOR: &[(&str, &str)] =
    &[("query", "lake"), ("serve", "query"), ("postgres", "query"), ("flight", "query")];

/// The core: no thread, no clock, no socket, no wire format.
const CORE: &[&str] = &[
    "time",
    "calendar",
    "event",
    "kpi",
    "facts",
    "correlate",
    "window",
    "forecast",
    "simulate",
    "privacy",
    "roster",
    "rules",
    "text",
];
/// What the core does without.
const NOT_IN_CORE: &[&str] = &[
    "tokio",
    "serde",
    "serde_json",
    "datafusion",
    "deltalake",
    "rdkafka",
    "prometheus",
    "axum",
    "reqwest",
    "parquet",
    "tracing",
];

/// Heavy packages and where they are at home.
const HOMES: &[(&str, &[&str])] = &[
    ("rdkafka", &["ingest"]),
    ("prometheus", &["metrics"]),
    ("datafusion", &["query", "lake", "postgres", "flight"]),
    ("datafusion_postgres", &["query", "postgres"]),
    ("arrow_flight", &["flight"]),
    ("tonic", &["flight"]),
    ("deltalake", &["lake"]),
    ("axum", &["serve"]),
    ("object_store", &["lake"]),
    ("clap", &["app"]),
    ("indicatif", &["app"]),
    ("rustyline", &["query"]),
    ("toml", &["config", "rules", "text", "access"]),
    ("csv", &["roster", "decode", "app", "calendar"]),
    ("lettre", &["deliver"]),
    ("hmac", &["deliver", "access", "query"]),
    ("ring", &["access"]),
    ("augurs", &["forecast"]),
];

/// Exceptions to `HOMES`, file by file, each with its reason.
const GUESTS: &[(&str, &str, &str)] = &[
    ("prometheus", "src/app/service.rs", "makes the registry that is passed in"),
    ("toml", "src/app/command/mod.rs", "quotes a value of the command line as TOML"),
    ("toml", "src/app/command/demo.rs", "quotes a value of the command line as TOML"),
];

/// Where the wall clock may be read.
const CLOCKS: &[(&str, &str)] =
    &[("src/time.rs", "SystemClock and ScaledClock, the only clocks that are handed out")];

struct Source {
    /// With `/`, from the root of the package.
    path: String,
    room: String,
    is_test: bool,
    /// Code without comments, as (line number, text); tests at the end of a file are left out.
    code: Vec<(usize, String)>,
    text: String,
}

fn files(under: &Path, found: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(under).unwrap_or_else(|error| panic!("{}: {error}", under.display()));
    for entry in entries {
        let path = entry.expect("an entry of a folder can be read").path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            found.push(path);
        }
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for folder in ["src", "tests", "benches"] {
        files(&root.join(folder), &mut found);
    }
    found.sort();
    let sources: Vec<Source> = found.iter().map(|path| source(root, path)).collect();
    assert!(sources.len() > 100, "the sources are found: {}", sources.len());
    sources
}

fn source(root: &Path, path: &Path) -> Source {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let inside = path.strip_prefix(root).expect("it was found under the root");
    let parts: Vec<String> = inside.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    let room = match parts.as_slice() {
        [src, room, ..] if src == "src" => room.trim_end_matches(".rs").to_owned(),
        _ => String::new(),
    };
    // Tests of a room are files of their own name, or folders of it; `stories` and `histories` are tests too.
    let test_names = ["tests", "tests.rs", "stories.rs", "histories.rs"];
    let is_test = parts[0] != "src" || parts.iter().any(|part| test_names.contains(&part.as_str()));
    let mut code = Vec::new();
    for (at, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("mod tests {") {
            break;
        }
        let line = line.split("//").next().unwrap_or_default();
        if !line.trim().is_empty() {
            code.push((at + 1, line.to_owned()));
        }
    }
    Source { path: parts.join("/"), room, is_test, code, text }
}

/// Whether `word` stands in the line as a word of its own.
fn has_word(line: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        !line[..at].chars().next_back().is_some_and(is_part)
            && !line[at + word.len()..].chars().next().is_some_and(is_part)
    })
}

/// Whether the line names something of this package: `name::` or `use name`.
fn uses(line: &str, package: &str) -> bool {
    let path = format!("{package}::");
    has_word(line, &path[..package.len()])
        && line.match_indices(&path).any(|(at, _)| {
            let before = line[..at].chars().next_back();
            !before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | ':' | '"'))
        })
}

/// Rooms that a line of code names after `crate::`, also in `crate::{a, b::c}`.
fn rooms_named(line: &str) -> Vec<String> {
    let mut named = Vec::new();
    for (at, found) in line.match_indices("crate::") {
        let rest = &line[at + found.len()..];
        let word =
            |text: &str| text.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        match rest.strip_prefix('{') {
            Some(list) => {
                let list = &list[..list.rfind('}').unwrap_or(list.len())];
                named.extend(list.split(',').map(word));
            }
            None => named.push(word(rest)),
        }
    }
    named
}

#[track_caller]
fn none(faults: Vec<String>) {
    assert!(faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn rooms_import_rooms_below_them() {
    let levels: BTreeMap<&str, u8> = LEVELS.iter().copied().collect();
    let mut faults = Vec::new();
    let mut seen = BTreeSet::new();
    for source in sources().iter().filter(|source| source.path.starts_with("src/") && source.room != "lib") {
        let Some(own) = levels.get(source.room.as_str()) else {
            faults.push(format!("{}: the room `{}` has no level here", source.path, source.room));
            continue;
        };
        seen.insert(source.room.clone());
        for (line, text) in source.code.iter().filter(|_| !source.is_test) {
            for room in rooms_named(text).into_iter().filter(|room| *room != source.room) {
                let next_door = NEXT_DOOR.contains(&(source.room.as_str(), room.as_str()));
                if levels.get(room.as_str()).is_some_and(|level| level >= own) && !next_door {
                    faults.push(format!(
                        "{}:{line}: `{}` imports `{room}`, which is not below it",
                        source.path, source.room
                    ));
                }
            }
        }
    }
    for (room, _) in LEVELS {
        assert!(seen.contains(*room), "the room `{room}` is gone: take it out of the levels");
    }
    none(faults);
}

#[test]
fn heavy_packages_stay_at_home() {
    let mut faults = Vec::new();
    let mut guests: BTreeSet<(&str, &str)> =
        GUESTS.iter().map(|(package, path, _)| (*package, *path)).collect();
    let sources = sources();
    for source in sources.iter().filter(|source| !source.room.is_empty() && !source.is_test) {
        for (line, text) in &source.code {
            for (package, homes) in HOMES {
                if !uses(text, package) || homes.contains(&source.room.as_str()) {
                    continue;
                }
                guests.remove(&(*package, source.path.as_str()));
                if !GUESTS.iter().any(|(guest, path, _)| guest == package && *path == source.path) {
                    let homes = homes.join(" and ");
                    faults.push(format!("{}:{line}: `{package}` is at home in {homes}", source.path));
                }
            }
        }
    }
    faults.extend(
        guests.iter().map(|(package, path)| format!("{path}: `{package}` is no guest any more: take it out")),
    );
    none(faults);
}

#[test]
fn the_core_knows_no_runtime_and_no_wire() {
    let mut faults = Vec::new();
    for source in sources().iter().filter(|source| CORE.contains(&source.room.as_str()) && !source.is_test) {
        for (line, text) in &source.code {
            for package in NOT_IN_CORE.iter().filter(|package| uses(text, package)) {
                faults.push(format!("{}:{line}: the core does without `{package}`", source.path));
            }
            let awaits = has_word(text, "async") || text.contains(".await");
            let reads = ["std::fs", "std::net", "std::env", "std::thread", "rand::rng("];
            if awaits || reads.iter().any(|what| text.contains(what)) {
                faults.push(format!(
                    "{}:{line}: the core is synchronous and reads nothing: {}",
                    source.path,
                    text.trim()
                ));
            }
        }
    }
    none(faults);
}

#[test]
fn the_core_reads_no_clock() {
    let mut faults = Vec::new();
    for source in sources().iter().filter(|source| CORE.contains(&source.room.as_str()) && !source.is_test) {
        for (line, text) in &source.code {
            let reads = ["SystemTime::now", "Instant::now", "Utc::now", "Local::now", ".elapsed()"];
            let may = CLOCKS.iter().any(|(path, _)| *path == source.path);
            if reads.iter().any(|what| text.contains(what)) && !may {
                faults.push(format!("{}:{line}: take a time or a time::Clock", source.path));
            }
        }
    }
    none(faults);
}

#[test]
fn every_file_says_what_it_is_and_stays_short() {
    let mut faults = Vec::new();
    for source in sources() {
        if !source.text.starts_with("//! ") {
            faults.push(format!("{}:1: begins with `//!` and says what it is for", source.path));
        }
        let lines = source.text.lines().count();
        if lines > LINES_MAX {
            faults.push(format!("{}: {lines} lines, more than {LINES_MAX}: it has two jobs", source.path));
        }
    }
    none(faults);
}

#[test]
fn nothing_is_left_for_later() {
    // Written apart, so that this file does not find itself.
    let words = [
        concat!("to", "do!"),
        concat!("unimple", "mented!"),
        concat!("db", "g!"),
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
    ];
    let mut faults = Vec::new();
    for source in sources() {
        for (at, text) in source.text.lines().enumerate() {
            for word in words.iter().filter(|word| text.contains(*word)) {
                faults.push(format!("{}:{}: `{word}`", source.path, at + 1));
            }
        }
    }
    none(faults);
}

#[test]
fn folders_are_named_for_a_job() {
    let vague = ["utils", "util", "common", "helpers", "misc", "types", "traits", "manager", "models"];
    let sources = sources();
    let faults = sources.iter().flat_map(|source| {
        let parts = source.path.split('/').map(|part| part.trim_end_matches(".rs"));
        let found: Vec<&str> = parts.filter(|part| vague.contains(part)).collect();
        found.into_iter().map(|part| format!("{}: `{part}` names no job", source.path)).collect::<Vec<_>>()
    });
    none(faults.collect());
}

#[test]
fn keys_that_users_rely_on_have_a_default() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/default.toml");
    let text = std::fs::read_to_string(path).expect("the defaults can be read");
    let defaults: toml::Table = text.parse().expect("the defaults are TOML");
    let keys = [
        "timezone",
        "slot_minutes",
        "data_dir",
        "lateness_secs",
        "correlation_secs",
        "acw_timeout_secs",
        "contact_timeout_secs.voice",
        "contact_timeout_secs.chat",
        "contact_timeout_secs.email",
        "contact_timeout_secs.social",
        "contact_timeout_secs.video",
        "contact_timeout_secs.sms",
        "kafka.brokers",
        "kafka.group",
        "kafka.topics",
        "kafka.properties",
        "kafka.dead_letter_topic",
        "http.listen",
        "pg.listen",
        "flight.listen",
        "queue_defaults.target_wait_secs",
        "queue_defaults.short_abandon_secs",
        "queue",
        "rules",
        "roster",
        "people",
        "notify",
        "alerts.ack_minutes",
    ];
    let found = |key: &str| {
        let (mut table, mut value) = (Some(&defaults), None);
        for part in key.split('.') {
            value = table.and_then(|table| table.get(part));
            table = value.and_then(toml::Value::as_table);
        }
        value.is_some()
    };
    none(keys.iter().filter(|key| !found(key)).map(|key| format!("`{key}` has no default")).collect());
    // A comment stands above every key.
    let mut faults = Vec::new();
    let lines: Vec<&str> = text.lines().collect();
    for (at, line) in
        lines.iter().enumerate().filter(|(_, line)| line.contains(" = ") && !line.starts_with('#'))
    {
        let above = lines[..at].iter().rev().find(|line| !line.contains(" = ") || line.starts_with('#'));
        if !above.is_some_and(|line| line.starts_with('#')) {
            faults.push(format!("config/default.toml:{}: nothing says what it is: {line}", at + 1));
        }
    }
    none(faults);
}
