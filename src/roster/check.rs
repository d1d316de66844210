//! What in a roster was hardly meant: gaps, overlaps, people whom nobody knows.

use std::collections::{BTreeMap, BTreeSet};

use super::duty::{Occurrence, local};
use super::{Fault, People, Roster};
use crate::event::Role;
use crate::time::{DAY, HOUR, Millis};

/// How far ahead gaps and overlaps are looked for.
const AHEAD: Millis = 14 * DAY;
/// A hole between two shifts of supervisors up to this long is hardly meant, also where no agents are listed.
const HOLE_MAX: Millis = 4 * HOUR;
/// Reports of one kind; more would only repeat the same row of a weekly roster.
const REPORTS_MAX: usize = 20;

impl Roster {
    /// Looks at the two weeks after `now`: times without a supervisor while agents work (or, where no agents are listed,
    /// holes of up to four hours), one person twice at the same time, and people who are not in `people`. None of it keeps
    /// the roster from being used.
    pub fn check(&self, people: &People, now: Millis) -> Vec<Fault> {
        let mut faults = self.unknown_people(people);
        let shifts = self.occurrences(now, now + AHEAD);
        faults.extend(self.overlaps(&shifts));
        faults.extend(self.gaps(&shifts));
        faults
    }

    /// Faults of rows that name somebody who is not in `people`; none where nobody is listed.
    pub fn unknown_people(&self, people: &People) -> Vec<Fault> {
        let mut faults = Vec::new();
        if people.is_empty() {
            return faults;
        }
        let mut told = BTreeSet::new();
        for entry in &self.entries {
            // Agents are not told of alerts, so they need not be listed.
            let named = (entry.role != Role::Agent || entry.replaces.is_some()).then_some(&entry.person);
            for person in named.into_iter().chain(&entry.replaces) {
                if !people.knows(person) && told.insert(person) {
                    let message = format!("`{person}` is not among the people");
                    let near = people.ids().find(|id| id.eq_ignore_ascii_case(person));
                    let hint = match near {
                        Some(near) => format!("there is `{near}`"),
                        None => "add a line to the file of `people`".to_owned(),
                    };
                    faults.push(Fault::at(&self.file, entry.line, message).hint(hint));
                }
            }
        }
        faults
    }

    fn overlaps(&self, shifts: &[Occurrence<'_>]) -> Vec<Fault> {
        let mut by_person: BTreeMap<&str, Vec<&Occurrence<'_>>> = BTreeMap::new();
        for shift in shifts.iter().filter(|shift| shift.entry.replaces.is_none()) {
            by_person.entry(&shift.entry.person).or_default().push(shift);
        }
        let mut faults = Vec::new();
        let mut told = BTreeSet::new();
        for (person, mut of_person) in by_person {
            of_person.sort_by_key(|shift| (shift.start, shift.entry.line));
            for pair in of_person.windows(2) {
                let (one, other) = (pair[0], pair[1]);
                let lines = (one.entry.line.min(other.entry.line), one.entry.line.max(other.entry.line));
                if other.start >= one.end || !told.insert(lines) {
                    continue;
                }
                let message = format!(
                    "`{person}` has two shifts at {}, the other one in line {}",
                    local(self.zone, other.start),
                    lines.0
                );
                faults.push(Fault::at(&self.file, lines.1, message));
            }
        }
        faults.truncate(REPORTS_MAX);
        faults
    }

    fn gaps(&self, shifts: &[Occurrence<'_>]) -> Vec<Fault> {
        let queues: BTreeSet<&str> =
            shifts.iter().flat_map(|shift| shift.entry.queues.iter().map(String::as_str)).collect();
        let queues: Vec<Option<&str>> =
            if queues.is_empty() { vec![None] } else { queues.into_iter().map(Some).collect() };
        let mut faults = Vec::new();
        for queue in queues {
            let of = |role: Role| {
                let serves = move |shift: &&Occurrence<'_>| {
                    let named = |queue| shift.entry.queues.iter().any(|own| own == queue);
                    shift.entry.role == role
                        && shift.entry.replaces.is_none()
                        && (shift.entry.queues.is_empty() || queue.is_some_and(named))
                };
                shifts.iter().filter(serves).collect::<Vec<_>>()
            };
            let (supervisors, agents) = (of(Role::Supervisor), of(Role::Agent));
            let covered = merge(&supervisors);
            let Some(&(first, _)) = covered.first() else { continue };
            let open = if agents.is_empty() {
                let holes = covered.windows(2).map(|pair| (pair[0].1, pair[1].0));
                holes.filter(|(from, to)| to - from <= HOLE_MAX).collect()
            } else {
                without(&merge(&agents), &covered)
            };
            for (from, to) in open {
                let line = supervisors.iter().filter(|s| s.end <= from).max_by_key(|s| s.end);
                let line = line.map_or_else(
                    || supervisors.iter().find(|s| s.start == first).map_or(1, |s| s.entry.line),
                    |s| s.entry.line,
                );
                let place = queue.map_or(String::new(), |queue| format!(" for queue `{queue}`"));
                let message = format!(
                    "no supervisor{place} from {} to {}",
                    local(self.zone, from),
                    local(self.zone, to)
                );
                let hint = "alerts of this time go to the fallback at once";
                faults.push(Fault::at(&self.file, line, message).hint(hint));
            }
        }
        faults.truncate(REPORTS_MAX);
        faults
    }
}

/// The spans that shifts cover together.
fn merge(shifts: &[&Occurrence<'_>]) -> Vec<(Millis, Millis)> {
    let mut spans: Vec<(Millis, Millis)> = shifts.iter().map(|shift| (shift.start, shift.end)).collect();
    spans.sort_unstable();
    let mut merged: Vec<(Millis, Millis)> = Vec::new();
    for (start, end) in spans {
        match merged.last_mut() {
            Some((_, until)) if start <= *until => *until = end.max(*until),
            _ => merged.push((start, end)),
        }
    }
    merged
}

/// What of `spans` the sorted `covered` leaves open.
fn without(spans: &[(Millis, Millis)], covered: &[(Millis, Millis)]) -> Vec<(Millis, Millis)> {
    let mut open = Vec::new();
    for &(start, end) in spans {
        let mut from = start;
        for &(covered_from, covered_to) in covered.iter().filter(|(a, b)| *b > start && *a < end) {
            if covered_from > from {
                open.push((from, covered_from));
            }
            from = from.max(covered_to);
        }
        if from < end {
            open.push((from, end));
        }
    }
    open
}
