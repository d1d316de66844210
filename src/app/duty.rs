//! The files that operators keep for alerts (rules, roster, people): read at the start and by `check`, and again when they
//! change.
//!
//! Invariant: a file that has a fault is refused whole; what was in force before stays.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use crate::config::{Config, Fault};
use crate::roster::{People, Roster};
use crate::rules::{self, Rules};

/// What the files say.
pub(super) struct Books {
    /// The rules of all files.
    pub(super) rules: Arc<Rules>,
    /// The roster.
    pub(super) roster: Roster,
    /// The people.
    pub(super) people: Arc<People>,
}

/// The category that the shipped rules leave to a centre's own list of what agents must not say.
const OWN_CATEGORY: &str = "forbidden";

/// One kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Book {
    Rules,
    Roster,
    People,
}

impl Book {
    pub(super) const ALL: [Book; 3] = [Book::Rules, Book::Roster, Book::People];

    /// The key of the configuration that names the file.
    pub(super) const fn key(self) -> &'static str {
        match self {
            Book::Rules => "rules",
            Book::Roster => "roster",
            Book::People => "people",
        }
    }

    fn paths(self, config: &Config) -> Vec<&str> {
        match self {
            Book::Rules => config.rules.iter().chain(&config.advice).map(String::as_str).collect(),
            Book::Roster => config.roster.as_deref().into_iter().collect(),
            Book::People => config.people.as_deref().into_iter().collect(),
        }
    }
}

/// Reads all files.
///
/// # Errors
/// Every fault of every file.
pub(super) fn read(config: &Config) -> Result<Books, Vec<Fault>> {
    let (rules, roster, people) = (read_rules(config), read_roster(config), read_people(config));
    let mut faults = Vec::new();
    let rules = rules.map_err(|more| faults.extend(more));
    let roster = roster.map_err(|more| faults.extend(more));
    let people = people.map_err(|more| faults.extend(more));
    if let (Ok(roster), Ok(people)) = (&roster, &people) {
        faults.extend(roster.unknown_people(people).into_iter().map(of_roster));
    }
    match (rules, roster, people, faults.is_empty()) {
        (Ok(rules), Ok(roster), Ok(people), true) => Ok(Books { rules, roster, people }),
        _ => Err(faults),
    }
}

/// What can be started with, but was hardly meant: gaps and overlaps of the roster, a fallback that nobody knows.
pub(super) fn warnings(
    config: &Config,
    books: &Books,
    categories: &[Arc<str>],
    now: crate::time::Millis,
) -> Vec<Fault> {
    let known = books.roster.unknown_people(&books.people);
    let found = books.roster.check(&books.people, now).into_iter().filter(|fault| !known.contains(fault));
    let mut warnings: Vec<Fault> = found.map(of_roster).collect();
    let unknown = |id: &&String| !books.people.is_empty() && !books.people.knows(id);
    warnings.extend(config.alerts.fallback.iter().filter(unknown).map(|id| Fault {
        file: "alerts.fallback".to_owned(),
        line: None,
        message: format!("`{id}` is not among the people"),
        hint: Some("add a line to the file of `people`".to_owned()),
    }));
    // A category that no word list has is one that is never heard.
    let of_rules = books.rules.categories().filter(|(_, asked)| {
        *asked != OWN_CATEGORY && !categories.iter().any(|category| **category == **asked)
    });
    warnings.extend(of_rules.map(|(rule, category)| Fault {
        file: "rules".to_owned(),
        line: None,
        message: format!("rule `{rule}`: no word list has the category `{category}`"),
        hint: Some(format!(
            "there are `{}`",
            categories.iter().map(|category| &**category).collect::<Vec<_>>().join("`, `")
        )),
    }));
    if config.roster.is_some() && config.alerts.fallback.is_empty() {
        warnings.push(Fault {
            file: "alerts.fallback".to_owned(),
            line: None,
            message: "nobody is told where nobody is on duty".to_owned(),
            hint: Some("name somebody who is always reached: `alerts.fallback = [\"…\"]`".to_owned()),
        });
    }
    warnings
}

fn of_roster(fault: crate::roster::Fault) -> Fault {
    Fault { file: fault.file, line: fault.line, message: fault.message, hint: fault.hint }
}

fn text(path: &str, key: &str) -> Result<String, Vec<Fault>> {
    std::fs::read_to_string(Path::new(path)).map_err(|error| {
        vec![Fault {
            file: path.to_owned(),
            line: None,
            message: format!("cannot be read: {error}"),
            hint: Some(format!("`{key}` names it; paths are relative to where callpulse was started")),
        }]
    })
}

pub(super) fn read_rules(config: &Config) -> Result<Arc<Rules>, Vec<Fault>> {
    read_rule_files(&config.rules, &config.advice, config.timezone)
}

/// The rules of these files (of none: the shipped ones), with this advice.
pub(super) fn read_rule_files(
    paths: &[String],
    advice: &[String],
    zone: chrono_tz::Tz,
) -> Result<Arc<Rules>, Vec<Fault>> {
    let mut files = Vec::new();
    let mut faults = Vec::new();
    if paths.is_empty() {
        files.push(("config/rules.toml".to_owned(), rules::SHIPPED.to_owned()));
    }
    let rules = paths.iter().map(|path| (path, "rules"));
    for (path, key) in rules.chain(advice.iter().map(|path| (path, "advice"))) {
        match text(path, key) {
            Ok(text) => files.push((path.clone(), text)),
            Err(more) => faults.extend(more),
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    rules::read(&files, zone).map(Arc::new).map_err(|faults| {
        let fault = |fault: rules::Fault| Fault {
            file: fault.file,
            line: Some(fault.line),
            message: fault.message,
            hint: fault.hint,
        };
        faults.into_iter().map(fault).collect()
    })
}

pub(super) fn read_roster(config: &Config) -> Result<Roster, Vec<Fault>> {
    let Some(path) = &config.roster else { return Ok(Roster::empty(config.timezone)) };
    Roster::read(path, &text(path, "roster")?, config.timezone)
        .map_err(|faults| faults.into_iter().map(of_roster).collect())
}

pub(super) fn read_people(config: &Config) -> Result<Arc<People>, Vec<Fault>> {
    let Some(path) = &config.people else { return Ok(Arc::default()) };
    People::read(path, &text(path, "people")?)
        .map(Arc::new)
        .map_err(|faults| faults.into_iter().map(of_roster).collect())
}

/// Tells which files have changed since it looked last.
pub(super) struct Changes {
    seen: BTreeMap<Book, u64>,
}

impl Changes {
    /// Takes the files as they are for seen.
    pub(super) fn new(config: &Config) -> Changes {
        Changes { seen: Book::ALL.into_iter().map(|book| (book, hash(book, config))).collect() }
    }

    /// The books whose files are others than last time. They are read whole: they are small, and neither times nor sizes
    /// of files tell every change.
    pub(super) fn look(&mut self, config: &Config) -> Vec<Book> {
        let changed = Book::ALL.into_iter().filter(|book| {
            let now = hash(*book, config);
            self.seen.insert(*book, now) != Some(now)
        });
        changed.collect()
    }
}

fn hash(book: Book, config: &Config) -> u64 {
    let mut all = Vec::new();
    for path in book.paths(config) {
        match std::fs::read(path) {
            Ok(bytes) => all.extend(bytes),
            Err(error) => all.extend(error.to_string().into_bytes()),
        }
        all.push(0);
    }
    xxh3_64(&all)
}
