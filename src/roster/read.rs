//! Reads CSV: rows with their lines, and what a row of the roster means.

use std::collections::{BTreeMap, HashMap};

use chrono::{Datelike, NaiveDate};
use chrono_tz::Tz;

use super::{Entry, Fault, Roster, When};
use crate::event::Role;
use crate::time::parse_time;

/// The columns that a file may have.
pub(super) struct Columns {
    pub(super) required: &'static [&'static str],
    pub(super) optional: &'static [&'static str],
    /// Other names of columns.
    pub(super) aliases: &'static [(&'static str, &'static str)],
}

/// One row: its cells by column, trimmed.
pub(super) struct Row {
    pub(super) line: usize,
    cells: HashMap<&'static str, String>,
}

impl Row {
    /// The cell of a column; empty where it is absent.
    pub(super) fn get(&self, column: &str) -> &str {
        self.cells.get(column).map_or("", String::as_str)
    }
}

/// The rows of a CSV text with a header. Lines that are empty or begin with `#` are left out.
pub(super) fn rows(file: &str, text: &str, columns: &Columns) -> (Vec<Row>, Vec<Fault>) {
    let mut faults = Vec::new();
    let mut rows = Vec::new();
    // Spreadsheets begin a file with a byte-order mark.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let mut header: Option<Vec<Option<&'static str>>> = None;
    for record in reader.records() {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                let line = error.position().map_or(1, |at| at.line() as usize);
                faults.push(Fault::at(file, line, format!("not CSV: {error}")));
                continue;
            }
        };
        let line = record.position().map_or(1, |at| line_at(text, at.byte() as usize));
        if record.get(0).is_some_and(|cell| cell.starts_with('#')) {
            continue;
        }
        let Some(header) = &header else {
            header = Some(read_header(file, line, &record, columns, &mut faults));
            continue;
        };
        if record.iter().all(str::is_empty) {
            continue;
        }
        if record.len() > header.len() {
            let message = format!("`{}` cells where the header has `{}`", record.len(), header.len());
            faults
                .push(Fault::at(file, line, message).hint("a cell with a comma stands in quotes: \"a, b\""));
        }
        let cells = header.iter().zip(record.iter());
        let cells = cells.filter_map(|(column, cell)| Some(((*column)?, cell.to_owned()))).collect();
        rows.push(Row { line, cells });
    }
    if header.is_none() {
        let hint = format!("the first line names the columns: {}", columns.required.join(","));
        faults.push(Fault { line: None, ..Fault::at(file, 1, "the file is empty").hint(hint) });
    }
    (rows, faults)
}

/// The line, from 1, of the first content at or after this byte: empty lines belong to no row.
fn line_at(text: &str, byte: usize) -> usize {
    let bytes = text.as_bytes();
    let empty = bytes[byte.min(bytes.len())..].iter().take_while(|b| b.is_ascii_whitespace()).count();
    1 + bytes[..(byte + empty).min(bytes.len())].iter().filter(|b| **b == b'\n').count()
}

fn read_header(
    file: &str,
    line: usize,
    record: &csv::StringRecord,
    columns: &Columns,
    faults: &mut Vec<Fault>,
) -> Vec<Option<&'static str>> {
    let known = || columns.required.iter().chain(columns.optional).copied();
    let mut header = Vec::new();
    for name in record {
        let name = name.to_lowercase();
        let meant = columns.aliases.iter().find(|(alias, _)| *alias == name).map(|(_, column)| *column);
        let column = meant.or_else(|| known().find(|column| *column == name));
        if column.is_none() {
            let names: Vec<_> = known().collect();
            let hint = format!("known are {}", names.join(", "));
            faults.push(Fault::at(file, line, format!("unknown column `{name}`")).hint(hint));
        } else if header.contains(&column) {
            faults.push(Fault::at(file, line, format!("the column `{name}` is named twice")));
        }
        header.push(column);
    }
    for required in columns.required.iter().filter(|required| !header.contains(&Some(**required))) {
        faults.push(Fault::at(file, line, format!("the column `{required}` is missing")));
    }
    header
}

const COLUMNS: Columns = Columns {
    required: &["person", "start", "end"],
    optional: &[
        "date",
        "role",
        "queues",
        "department",
        "replaces",
        "shift_id",
        "preferred",
        "published_at",
        "paid_minutes",
        "cancelled_at",
    ],
    aliases: &[("agent_id", "person"), ("days", "date"), ("queue", "queues")],
};

/// Reads a roster.
pub(super) fn read(file: &str, text: &str, zone: Tz) -> Result<Roster, Vec<Fault>> {
    let (rows, mut faults) = rows(file, text, &COLUMNS);
    let mut entries: Vec<Entry> = Vec::new();
    let mut ids: BTreeMap<String, usize> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.get("cancelled_at").is_empty()) {
        match entry(row) {
            Ok(entry) => {
                if let Some(id) = &entry.shift_id
                    && let Some(line) = ids.insert(id.clone(), row.line)
                {
                    let message = format!("the shift `{id}` stands in line {line} already");
                    faults.push(Fault::at(file, row.line, message));
                }
                entries.push(entry);
            }
            Err((message, hint)) => {
                let fault = Fault::at(file, row.line, message);
                faults.push(if hint.is_empty() { fault } else { fault.hint(hint) });
            }
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    Ok(Roster { zone, file: file.to_owned(), entries, planned: Default::default() })
}

type Wrong = (String, String);

fn wrong(message: String, hint: &str) -> Wrong {
    (message, hint.to_owned())
}

fn entry(row: &Row) -> Result<Entry, Wrong> {
    let person = row.get("person");
    if person.is_empty() {
        return Err(wrong("a shift without `person`".to_owned(), ""));
    }
    let role = match row.get("role") {
        "" => Role::Agent,
        name => Role::parse(&name.to_lowercase()).ok_or_else(|| {
            wrong(format!("unknown role `{name}`"), "known are `agent`, `supervisor` and `lead`")
        })?,
    };
    let optional = |column| Some(row.get(column).to_owned()).filter(|text| !text.is_empty());
    let written = row.get("queues");
    let separators: &[char] = if written.starts_with('[') { &[','] } else { &[';', '|'] };
    let queues = written
        .trim_matches(['[', ']'])
        .split(separators)
        .map(|queue| queue.trim().trim_matches('"').to_owned());
    Ok(Entry {
        shift_id: optional("shift_id"),
        person: person.to_owned(),
        role,
        queues: queues.filter(|queue| !queue.is_empty() && queue != "*").collect(),
        department: optional("department"),
        when: when(row)?,
        replaces: optional("replaces"),
        preferred: match row.get("preferred").to_lowercase().as_str() {
            "" => None,
            "true" | "1" | "yes" => Some(true),
            "false" | "0" | "no" => Some(false),
            other => {
                return Err(wrong(format!("`{other}` is neither true nor false"), "write `true` or `false`"));
            }
        },
        published_at: match row.get("published_at") {
            "" => None,
            text => Some(parse_time(text).ok_or_else(|| {
                wrong(
                    format!("`{text}` is no time with an offset"),
                    "write RFC 3339 such as `2026-11-22T08:00:00+08:00`",
                )
            })?),
        },
        paid_minutes: match row.get("paid_minutes") {
            "" => None,
            text => {
                Some(text.parse().ok().filter(|minutes| *minutes >= 0).ok_or_else(|| {
                    wrong(format!("`{text}` is no number of minutes"), "write whole minutes")
                })?)
            }
        },
        line: row.line,
    })
}

fn when(row: &Row) -> Result<When, Wrong> {
    let (start, end) = (row.get("start"), row.get("end"));
    let time_hint = "write `08:00` with a `date`, or RFC 3339 such as `2026-11-22T08:00:00+08:00`";
    if row.get("date").is_empty() {
        let instant = |text: &str| {
            let ms = || text.parse().ok().filter(|ms| *ms >= 0);
            parse_time(text)
                .or_else(ms)
                .ok_or_else(|| wrong(format!("`{text}` is no time with an offset"), time_hint))
        };
        let (start, end) = (instant(start)?, instant(end)?);
        if end <= start {
            return Err(wrong(format!("the shift ends at `{}`, before it begins", row.get("end")), ""));
        }
        return Ok(When::Once(start, end));
    }
    let minutes = |text: &str| {
        minutes_of_day(text).ok_or_else(|| wrong(format!("`{text}` is no time of day"), time_hint))
    };
    let (start, end) = (minutes(start)?, minutes(end)?);
    let (days, from, until) = days(row.get("date"))?;
    // 08:00 to 08:00 is a whole day.
    let end = if end <= start { end + 24 * 60 } else { end };
    Ok(When::Weekly { days, from, until, start, end })
}

/// `HH:MM` up to 24:00, in minutes.
pub(super) fn minutes_of_day(text: &str) -> Option<i64> {
    let (hours, minutes) = text.split_once(':')?;
    let number =
        |part: &str| (1..=2).contains(&part.len()).then(|| part.parse::<u8>().ok()).flatten().map(i64::from);
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    (hours < 24 && minutes < 60 || (hours, minutes) == (24, 0)).then_some(hours * 60 + minutes)
}

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Days of the week and the first and last date, from words such as `mon-fri 2026-11-01..2026-12-31`.
fn days(text: &str) -> Result<([bool; 7], i32, i32), Wrong> {
    let hint = "write `2026-11-22`, `2026-11-22..2026-11-30`, `mon-fri`, `daily`, or days and dates with a space between";
    let unknown = |word: &str| wrong(format!("`{word}` is neither a date nor a day"), hint);
    let (mut days, mut from, mut until) = ([false; 7], i32::MIN, i32::MAX);
    for word in text.to_lowercase().split_whitespace() {
        if word == "daily" || word == "*" {
            days = [true; 7];
        } else if word.starts_with(|c: char| c.is_ascii_digit()) {
            let (first, last) = word.split_once("..").unwrap_or((word, word));
            from = date(first).ok_or_else(|| unknown(first))?;
            until = if last.is_empty() { i32::MAX } else { date(last).ok_or_else(|| unknown(last))? };
            if until < from {
                return Err(wrong(format!("`{word}` ends before it begins"), hint));
            }
        } else {
            for part in word.split(',') {
                let place = |day: &str| DAYS.iter().position(|name| *name == day).ok_or_else(|| unknown(day));
                let (first, last) = part.split_once('-').unwrap_or((part, part));
                let (mut day, last) = (place(first)?, place(last)?);
                days[day] = true;
                // sat-mon goes round the end of the week.
                while day != last {
                    day = (day + 1) % 7;
                    days[day] = true;
                }
            }
        }
    }
    if days == [false; 7] {
        days = [true; 7];
    }
    Ok((days, from, until))
}

/// A civil date as days since 1970-01-01.
fn date(text: &str) -> Option<i32> {
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    Some(date.num_days_from_ce() - EPOCH)
}

/// 1970-01-01 in chrono's days.
pub(super) const EPOCH: i32 = 719_163;
