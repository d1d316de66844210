//! Who is on duty when, for which queues, and how they are reached.
//!
//! Reads no file and no clock: texts and the present are handed in. A roster is a table of entries (CSV or iCalendar) and the shifts
//! that came as events; [`Roster::on_duty`] answers for one instant, so a shift over midnight or over a change of the clocks
//! needs no special case.
//!
//! Invariant: a file with a fault gives no roster; whoever reads it keeps the one before.

mod check;
mod duty;
mod ical;
mod people;
mod planned;
mod read;
mod shifts;
#[cfg(test)]
mod tests;

use std::fmt;

use chrono_tz::Tz;

pub use duty::{Duties, OnDuty, Upcoming};
pub use people::{Language, People, Person};
pub use shifts::FiledShift;

use crate::event::{Event, Kind, Role};
use crate::time::Millis;
use planned::Planned;

/// What is wrong in a file, said so that it can be mended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The file.
    pub file: String,
    /// The line, from 1; `None`: the file as a whole.
    pub line: Option<usize>,
    /// What is wrong, in lower case, the value in backticks.
    pub message: String,
    /// The way out.
    pub hint: Option<String>,
}

impl Fault {
    fn at(file: &str, line: usize, message: impl Into<String>) -> Fault {
        Fault { file: file.to_owned(), line: Some(line), message: message.into(), hint: None }
    }

    fn hint(mut self, hint: impl Into<String>) -> Fault {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} ({}", self.message, self.file)?;
        if let Some(line) = self.line {
            write!(out, ", line {line}")?;
        }
        out.write_str(")")?;
        if let Some(hint) = &self.hint {
            write!(out, "; hint: {hint}")?;
        }
        Ok(())
    }
}

/// When an entry holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    /// Once, `[start, end)`.
    Once(Millis, Millis),
    /// On these days of the week (Monday first) of these local dates; minutes of the local day, an end that is not after
    /// the start lies on the next day.
    Weekly { days: [bool; 7], from: i32, until: i32, start: i64, end: i64 },
}

/// One row of the roster.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    shift_id: Option<String>,
    person: String,
    role: Role,
    /// Empty: every queue.
    queues: Vec<String>,
    department: Option<String>,
    when: When,
    /// The person whose shifts are taken over while this holds.
    replaces: Option<String>,
    /// Whether the person asked for it, where that is known.
    preferred: Option<bool>,
    published_at: Option<Millis>,
    paid_minutes: Option<i64>,
    line: usize,
}

/// The shifts of a centre.
#[derive(Debug, Clone, PartialEq)]
pub struct Roster {
    zone: Tz,
    /// The file, for faults.
    file: String,
    entries: Vec<Entry>,
    /// Shifts that came as events; they stand before a row of the file with the same id.
    planned: Planned,
}

impl Roster {
    /// A roster without shifts.
    pub fn empty(zone: Tz) -> Roster {
        Roster { zone, file: String::new(), entries: Vec::new(), planned: Planned::default() }
    }

    /// Reads a roster from CSV, or from iCalendar where the text is one.
    ///
    /// # Errors
    /// Every fault of the file.
    pub fn read(file: &str, text: &str, zone: Tz) -> Result<Roster, Vec<Fault>> {
        if ical::is_one(text) { ical::read(file, text, zone) } else { read::read(file, text, zone) }
    }

    /// True when there is no shift at all, so that nobody can be asked to be on duty.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.planned.is_empty()
    }

    /// Takes a `shift.planned` or `shift.cancelled`; true when it changed the roster. Other events change nothing.
    pub fn take_event(&mut self, event: &Event<'_>) -> bool {
        let Some(id) = event.shift_id.as_deref() else { return false };
        let entry = match event.kind {
            Kind::ShiftCancelled => None,
            Kind::ShiftPlanned => {
                let (Some(person), Some(start), Some(end)) =
                    (event.agent_id.as_deref(), event.start, event.end)
                else {
                    return false;
                };
                Some(Entry {
                    shift_id: Some(id.to_owned()),
                    person: person.to_owned(),
                    role: event.role.unwrap_or(Role::Agent),
                    queues: event.queues.as_deref().map(strings_of).unwrap_or_default(),
                    department: event.department.as_deref().map(str::to_owned),
                    when: When::Once(start, end),
                    replaces: None,
                    preferred: event.preferred,
                    published_at: event.published_at,
                    paid_minutes: event.paid_minutes,
                    line: 0,
                })
            }
            _ => return false,
        };
        self.planned.set(id, entry)
    }

    /// Takes over the shifts that another roster has from events; for one that was read anew.
    pub fn keep_planned(&mut self, of: &Roster) {
        self.planned.clone_from(&of.planned);
    }

    /// Drops planned shifts that ended before `before`.
    pub fn forget(&mut self, before: Millis) {
        self.planned.forget(before);
    }

    /// The entries in force: events before the rows that they replace.
    fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.filed_entries().chain(self.planned.all())
    }

    /// The rows of the file that are in force.
    fn filed_entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| !entry.shift_id.as_ref().is_some_and(|id| self.planned.knows(id)))
    }
}

/// The strings of a JSON array of strings, as the decoder hands it on; escapes that no name of a queue has are left out.
fn strings_of(array: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut current: Option<String> = None;
    let mut escaped = false;
    for c in array.chars() {
        match (&mut current, c) {
            (Some(text), c) if escaped => {
                text.push(c);
                escaped = false;
            }
            (Some(_), '\\') => escaped = true,
            (Some(_), '"') => found.extend(current.take()),
            (Some(text), c) => text.push(c),
            (None, '"') => current = Some(String::new()),
            (None, _) => {}
        }
    }
    found
}
