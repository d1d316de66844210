//! The files that operators keep for alerts (rules, roster, people): read at the start and by `check`, and again when they
//! change.
//!
//! Invariant: a file that has a fault is refused whole; what was in force before stays.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use xxhash_rust::xxh3::xxh3_64;

use super::Failure;
use crate::config::{Config, Fault};
use crate::facts::{SHIFTS, ShiftRow, ShiftRows, Table};
use crate::roster::{People, Roster};
use crate::rules::{self, Rules};
use crate::time::{DAY, Grid, Millis};

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
pub(super) fn warnings(config: &Config, books: &Books, categories: &[Arc<str>], now: Millis) -> Vec<Fault> {
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
    read_rule_files(&config.rules, &config.advice, config)
}

/// The rules of these files (of none: the shipped ones), with this advice.
pub(super) fn read_rule_files(
    paths: &[String],
    advice: &[String],
    config: &Config,
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
    let read = rules::read(&files, config.timezone);
    let deadlines = || config.quality.deadlines.clone();
    read.map(|rules| Arc::new(rules.with_deadlines(deadlines()))).map_err(|faults| {
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

/// Reads a roster of its own, as `forecast --roster` is given one.
///
/// # Errors
/// A file that cannot be read, or that has faults.
pub(super) fn roster_of(path: &Path, grid: &Grid) -> Result<Roster, Failure> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::input(format!("`{name}` cannot be read: {error}")))?;
    let read = Roster::read(&name, &text, grid.zone());
    read.map_err(|faults| Failure::of_faults(&faults.into_iter().map(of_roster).collect::<Vec<_>>()))
}

pub(super) fn read_people(config: &Config) -> Result<Arc<People>, Vec<Fault>> {
    let Some(path) = &config.people else { return Ok(Arc::default()) };
    People::read(path, &text(path, "people")?)
        .map(Arc::new)
        .map_err(|faults| faults.into_iter().map(of_roster).collect())
}

/// How far back and ahead of the present the shifts of a roster's file are rows.
const FILED_DAYS: i64 = 62;

/// The shifts of a roster's file around the present as rows of the table `shifts`. Those of the topic are in the table
/// already, and hold before a row of the file with the same id.
pub(super) fn shift_rows(roster: &Roster, grid: &Grid, now: Millis) -> Option<(&'static Table, RecordBatch)> {
    let shifts = roster.filed(now - FILED_DAYS * DAY, now + FILED_DAYS * DAY);
    if shifts.is_empty() {
        return None;
    }
    let mut rows = ShiftRows::default();
    for shift in &shifts {
        let queues =
            (!shift.queues.is_empty()).then(|| serde_json::Value::from(shift.queues.clone()).to_string());
        rows.push(&ShiftRow {
            shift_id: Some(&shift.id),
            agent_id: Some(&shift.person),
            role: Some(shift.role.as_str()),
            department: shift.department.as_deref(),
            queues: queues.as_deref(),
            start: Some(shift.start),
            end: Some(shift.end),
            preferred: shift.preferred,
            published_at: shift.published_at,
            paid_minutes: shift.paid_minutes,
            cancelled_at: None,
            revision: Some(0),
            date: Some(grid.date(shift.start)),
        });
    }
    Some((&SHIFTS, rows.finish()))
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

#[cfg(test)]
mod tests {
    use std::io::Write;

    use arrow::array::AsArray;
    use arrow::datatypes::TimestampMicrosecondType;

    use super::*;
    use crate::time::parse_time;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().expect("a file for the test");
        file.write_all(text.as_bytes()).expect("written");
        file
    }

    #[test]
    fn the_shifts_of_a_file_are_rows_also_those_of_every_week() {
        let grid = Grid::new(chrono_tz::Asia::Shanghai, 30).expect("a grid");
        let text = "agent_id,date,start,end,queues,preferred,paid_minutes,replaces\n\
                    li,,2026-11-23T08:00:00+08:00,2026-11-23T16:00:00+08:00,sales;support,true,450,\n\
                    wang,mon 2026-11-16..2026-11-30,22:00,06:00,,,,\n\
                    chen,2026-11-23,12:00,14:00,,,,li\n";
        let roster = roster_of(file(text).path(), &grid).expect("it is right");
        let now = parse_time("2026-11-22T12:00:00+08:00").expect("a time");
        let (table, rows) = shift_rows(&roster, &grid, now).expect("rows");
        assert_eq!(table.name, "shifts");
        let text = |name: &str, row: usize| {
            rows.column_by_name(name).expect("a column").as_string::<i32>().value(row).to_owned()
        };
        let start = rows.column_by_name("start").expect("a column");
        let start = start.as_primitive::<TimestampMicrosecondType>();
        let seen: Vec<_> =
            (0..rows.num_rows()).map(|row| (text("agent_id", row), start.value(row) / 1_000)).collect();
        let at = |text: &str| parse_time(text).expect("a time");
        let want = [
            ("li", "2026-11-23T08:00:00+08:00"),
            ("chen", "2026-11-23T12:00:00+08:00"),
            ("li", "2026-11-23T14:00:00+08:00"),
            ("wang", "2026-11-16T22:00:00+08:00"),
            ("wang", "2026-11-23T22:00:00+08:00"),
            ("wang", "2026-11-30T22:00:00+08:00"),
        ];
        assert_eq!(seen, want.map(|(who, when)| (who.to_owned(), at(when))));
        assert_eq!(text("queues", 0), r#"["sales","support"]"#);
        let ids: std::collections::BTreeSet<_> =
            (0..rows.num_rows()).map(|row| text("shift_id", row)).collect();
        assert_eq!(ids.len(), rows.num_rows());
    }

    #[test]
    fn the_faults_of_a_roster_are_placed() {
        let grid = Grid::new(chrono_tz::Asia::Shanghai, 30).expect("a grid");
        let wrong = "agent_id,start,end\nli,2026-11-23T08:00:00+08:00,2026-11-23T07:00:00+08:00\n";
        let failure = roster_of(file(wrong).path(), &grid).expect_err("it ends before it begins");
        assert_eq!(failure.code, 78);
        assert!(
            failure.message.contains("before it begins") && failure.message.contains("line 2"),
            "{failure}"
        );
    }
}
