//! Who is on duty at an instant, and who comes next.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, TimeDelta, TimeZone};
use chrono_tz::Tz;
use smallvec::SmallVec;

use super::read::EPOCH;
use super::{Entry, Roster, When};
use crate::event::Role;
use crate::time::{DAY, Millis, SECOND};

/// Somebody on duty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnDuty {
    /// Who.
    pub person: String,
    /// As what.
    pub role: Role,
    /// Since when.
    pub since: Millis,
    /// Until when.
    pub until: Millis,
    /// In whose place.
    pub replaces: Option<String>,
}

/// A shift that comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upcoming {
    /// Who.
    pub person: String,
    /// As what.
    pub role: Role,
    /// From when.
    pub start: Millis,
    /// Until when.
    pub end: Millis,
}

/// Who is on duty, as it was looked up last: alerts come by the hundred in one second, and a large centre has a thousand who
/// may be told. A roster is asked about the beginning of a second, once for each queue, department and role.
#[derive(Debug)]
pub struct Duties {
    roster: Arc<Roster>,
    second: Millis,
    known: BTreeMap<Asked, Arc<[String]>>,
}

/// Queue, department and role that were asked about.
type Asked = (Option<String>, Option<String>, Role);

impl Duties {
    /// The duties by this roster.
    pub fn of(roster: Arc<Roster>) -> Duties {
        Duties { roster, second: Millis::MIN, known: BTreeMap::new() }
    }

    /// Goes on with this roster, if it is another one.
    pub fn go_on_with(&mut self, roster: Arc<Roster>) {
        if !Arc::ptr_eq(&self.roster, &roster) {
            *self = Duties::of(roster);
        }
    }

    /// The roster.
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// The names of those whom [`Roster::on_duty`] finds, in its order.
    pub fn people(
        &mut self,
        queue: Option<&str>,
        department: Option<&str>,
        role: Role,
        at: Millis,
    ) -> Arc<[String]> {
        let second = at.div_euclid(SECOND).saturating_mul(SECOND);
        if second != self.second {
            self.second = second;
            self.known.clear();
        }
        let key = (queue.map(str::to_owned), department.map(str::to_owned), role);
        let found = self.known.entry(key).or_insert_with(|| {
            self.roster.on_duty(queue, department, role, second).into_iter().map(|duty| duty.person).collect()
        });
        Arc::clone(found)
    }
}

/// How far ahead the next shift is looked for, days.
const AHEAD_DAYS: i64 = 14;
/// Substitutes of substitutes that are followed.
const CHAIN_MAX: usize = 4;

/// One time that an entry holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Occurrence<'r> {
    pub(super) entry: &'r Entry,
    pub(super) start: Millis,
    pub(super) end: Millis,
}

impl Roster {
    /// Who is on duty at `at` with this role, for this queue. Whoever is named for the queue comes before those who serve
    /// every queue; without a queue everybody of the role counts. In the order of the roster.
    pub fn on_duty(
        &self,
        queue: Option<&str>,
        department: Option<&str>,
        role: Role,
        at: Millis,
    ) -> Vec<OnDuty> {
        let in_department = |entry: &Entry| match (&entry.department, department) {
            (Some(own), Some(asked)) => own == asked,
            _ => true,
        };
        let serves =
            |entry: &Entry| entry.replaces.is_none() && in_department(entry) && has_queue(entry, queue);
        let substitutes = self.substitutes(at);
        let mut known = BTreeSet::new();
        let mut found: Vec<(bool, OnDuty)> = Vec::new();
        for shift in self.of_role(role, at, at + 1).filter(|shift| serves(shift.entry)) {
            let named = !shift.entry.queues.is_empty();
            let duty = stand_in(&substitutes, &shift, queue);
            if known.insert(duty.person.clone()) {
                found.push((named, duty));
            }
        }
        let any_named = queue.is_some() && found.iter().any(|(named, _)| *named);
        found.into_iter().filter(|(named, _)| *named || !any_named).map(|(_, duty)| duty).collect()
    }

    /// The next shift of this role for this queue that begins after `at`, within two weeks.
    pub fn next(&self, queue: Option<&str>, role: Role, at: Millis) -> Option<Upcoming> {
        let serves = |entry: &Entry| entry.replaces.is_none() && has_queue(entry, queue);
        let shifts = self.of_role(role, at, at + AHEAD_DAYS * DAY);
        let coming = shifts.filter(|shift| shift.start > at && serves(shift.entry));
        let shift = coming.min_by_key(|shift| (shift.start, shift.entry.line))?;
        let person = stand_in(&self.substitutes(shift.start), &shift, queue).person;
        Some(Upcoming { person, role, start: shift.start, end: shift.end })
    }

    /// Everybody's shifts that touch `[from, to)`.
    pub(super) fn occurrences(&self, from: Millis, to: Millis) -> Vec<Occurrence<'_>> {
        self.entries().flat_map(|entry| self.times_of(entry, from, to)).collect()
    }

    /// Those of one role.
    fn of_role(&self, role: Role, from: Millis, to: Millis) -> impl Iterator<Item = Occurrence<'_>> {
        let filed = self.filed_entries().filter(move |entry| entry.role == role);
        let entries = filed.chain(self.planned.around(role, from, to));
        entries.flat_map(move |entry| self.times_of(entry, from, to))
    }

    /// When an entry holds, as far as that touches `[from, to)`.
    fn times_of<'r>(&self, entry: &'r Entry, from: Millis, to: Millis) -> SmallVec<[Occurrence<'r>; 1]> {
        let mut found = SmallVec::new();
        match entry.when {
            When::Once(start, end) => {
                if start < to && end > from {
                    found.push(Occurrence { entry, start, end });
                }
            }
            When::Weekly { days, from: first, until, start, end } => {
                // A shift lasts a day at most, and no zone is a day off UTC.
                let (low, high) = (from.div_euclid(DAY) - 3, to.div_euclid(DAY) + 2);
                for day in low.max(i64::from(first))..=high.min(i64::from(until)) {
                    // 1970-01-01 was a Thursday.
                    if !days[(day + 3).rem_euclid(7) as usize] {
                        continue;
                    }
                    let Some((start, end)) = on_day(self.zone, day as i32, start, end) else { continue };
                    if start < to && end > from && start < end {
                        found.push(Occurrence { entry, start, end });
                    }
                }
            }
        }
        found
    }

    /// Who serves a shift at an instant of it.
    pub(super) fn serving(&self, shift: &Occurrence<'_>, at: Millis) -> String {
        stand_in(&self.substitutes(at), shift, None).person
    }

    /// Who stands in for somebody at an instant.
    fn substitutes(&self, at: Millis) -> Vec<Occurrence<'_>> {
        // Events plan shifts, and say of nobody that they stand in.
        let entries = self.filed_entries().filter(|entry| entry.replaces.is_some());
        entries.flat_map(|entry| self.times_of(entry, at, at + 1)).collect()
    }
}

/// Whether the entry holds for this queue.
fn has_queue(entry: &Entry, queue: Option<&str>) -> bool {
    entry.queues.is_empty() || queue.is_none_or(|queue| entry.queues.iter().any(|own| own == queue))
}

/// Who really serves the shift: the person, or whoever of the substitutes stands in for them now.
fn stand_in(substitutes: &[Occurrence<'_>], shift: &Occurrence<'_>, queue: Option<&str>) -> OnDuty {
    let mut duty = OnDuty {
        person: shift.entry.person.clone(),
        role: shift.entry.role,
        since: shift.start,
        until: shift.end,
        replaces: None,
    };
    for _ in 0..CHAIN_MAX {
        let substitute = substitutes.iter().find(|other| {
            other.entry.replaces.as_deref() == Some(duty.person.as_str()) && has_queue(other.entry, queue)
        });
        let Some(substitute) = substitute else { break };
        duty = OnDuty {
            person: substitute.entry.person.clone(),
            role: duty.role,
            since: duty.since.max(substitute.start),
            until: duty.until.min(substitute.end),
            replaces: Some(duty.person),
        };
    }
    duty
}

/// The instants of a shift on a local day. Where the clock skips the time, the first instant after it; where it comes
/// twice, a shift begins at the first and ends at the second, so that the repeated hour is covered.
fn on_day(zone: Tz, day: i32, start: i64, end: i64) -> Option<(Millis, Millis)> {
    let midnight = NaiveDate::from_num_days_from_ce_opt(day.checked_add(EPOCH)?)?.and_hms_opt(0, 0, 0)?;
    let start = instant(zone, midnight + TimeDelta::minutes(start), false)?;
    let end = instant(zone, midnight + TimeDelta::minutes(end), true)?;
    Some((start, end))
}

fn instant(zone: Tz, local: NaiveDateTime, latest: bool) -> Option<Millis> {
    for minutes in 0..=180 {
        let found = zone.from_local_datetime(&(local + TimeDelta::minutes(minutes)));
        let found = if latest { found.latest() } else { found.earliest() };
        if let Some(found) = found {
            return Some(found.timestamp_millis());
        }
    }
    None
}

/// The local day and minute of an instant, for messages: `2026-11-22 08:00`.
pub(super) fn local(zone: Tz, at: Millis) -> String {
    let utc = DateTime::from_timestamp_millis(at).unwrap_or_default();
    let local = utc.with_timezone(&zone);
    format!("{:04}-{:02}-{:02} {}", local.year(), local.month(), local.day(), local.format("%H:%M"))
}
