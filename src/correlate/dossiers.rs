//! Surveys, complaints, promises and shifts: a few events each, joined by their own id.
//!
//! The row of a dossier is a function of the set of its events. It is written again, under a greater
//! revision, whenever that set grows; of one key the newest row holds. Of several events that carry one id the first in
//! order counts, whatever arrived first.

use std::cmp::Ordering;

use smallvec::SmallVec;

use super::Options;
use super::findings::ServiceRule;
use crate::decode::{Decoder, write_event};
use crate::event::{Event, Kind, Text, Verdict};
use crate::facts::{ComplaintRow, Facts, PromiseRow, ShiftRow, SurveyRow};
use crate::time::{Millis, SlotCache};

/// What a dossier is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum About {
    Survey,
    Complaint,
    Promise,
    Shift,
}

impl About {
    /// What events of this kind are about, and the id that joins them.
    pub(super) fn of(event: &Event<'_>) -> Option<(About, String)> {
        let id = |text: &Option<Text<'_>>| text.as_deref().map(str::to_owned);
        match event.kind {
            Kind::Survey => {
                Some((About::Survey, format!("{}\u{1f}{}", event.contact_id.as_deref()?, event.id)))
            }
            Kind::ComplaintOpened
            | Kind::ComplaintContacted
            | Kind::ComplaintResolved
            | Kind::ComplaintClosed
            | Kind::ComplaintReopened
            | Kind::ComplaintWithdrawn => Some((About::Complaint, id(&event.complaint_id)?)),
            Kind::PromiseMade | Kind::PromiseKept => Some((About::Promise, id(&event.promise_id)?)),
            Kind::ShiftPlanned | Kind::ShiftCancelled => Some((About::Shift, id(&event.shift_id)?)),
            _ => None,
        }
    }

    /// Whether something in it may fall due.
    pub(super) fn falls_due(self) -> bool {
        matches!(self, About::Complaint | About::Promise)
    }
}

/// The events of one survey, complaint, promise or shift, in order, each as its canonical line: many are held for long and
/// hardly ever looked at, and an [`Event`] takes four times the room.
#[derive(Debug, Clone, Default)]
pub(super) struct Dossier {
    lines: SmallVec<[Box<str>; 1]>,
    /// Events whose id another event carries that comes before them in order.
    shadowed: Vec<Box<str>>,
    /// What `lines` say, from the first event that is taken to the row that follows from it.
    events: Option<Vec<Event<'static>>>,
    newest: Option<Millis>,
    pub(super) dirty: bool,
    /// That it is overdue has been told.
    pub(super) told: bool,
}

/// What a dossier says, read.
#[derive(Debug)]
pub(super) struct Account {
    events: Vec<Event<'static>>,
    revision: i64,
}

fn line(event: &Event<'_>) -> Box<str> {
    let mut line = String::new();
    write_event(event, &mut line);
    line.into_boxed_str()
}

/// The order of a dossier's events. Of events with one id the whole content decides at last, so that it is the same
/// one that counts in whatever order they came.
fn order(a: &Event<'_>, b: &Event<'_>) -> Ordering {
    let known = a.time.cmp(&b.time).then(a.kind.cmp(&b.kind)).then(a.id.cmp(&b.id));
    // That two events agree so far and differ then is rare: their print is as good an order as any.
    known.then_with(|| if a == b { Ordering::Equal } else { format!("{a:?}").cmp(&format!("{b:?}")) })
}

impl Dossier {
    /// Takes one event; false when it is a repeat.
    pub(super) fn take(&mut self, event: &Event<'_>) -> bool {
        let line = line(event);
        if self.lines.contains(&line) || self.shadowed.contains(&line) {
            return false;
        }
        let mut is_new = true;
        let events = self.events.get_or_insert_with(|| read(&self.lines));
        if let Some(known) = events.iter().position(|known| known.id == event.id) {
            match order(&events[known], event) {
                Ordering::Equal => return false,
                Ordering::Less => {
                    self.shadowed.push(line);
                    self.dirty = true;
                    return false;
                }
                Ordering::Greater => {
                    events.remove(known);
                    self.shadowed.push(self.lines.remove(known));
                    is_new = false;
                }
            }
        }
        let at = events.partition_point(|known| order(known, event) == Ordering::Less);
        events.insert(at, event.clone().into_owned());
        self.newest = events.last().map(|last| last.time);
        self.lines.insert(at, line);
        self.dirty = true;
        is_new
    }

    /// Takes an event whose row is written: of a state that was kept.
    pub(super) fn take_written(&mut self, event: &Event<'_>) {
        self.take(event);
        self.dirty = false;
        self.events = None;
    }

    /// Time of the newest event.
    pub(super) fn newest(&self) -> Millis {
        self.newest.unwrap_or(Millis::MIN)
    }

    /// All of its events, also those that do not count, as canonical lines.
    pub(super) fn lines(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().chain(&self.shadowed).map(|line| &**line)
    }

    /// What it says.
    pub(super) fn read(&mut self) -> Account {
        let events = self.events.take().unwrap_or_else(|| read(&self.lines));
        Account { events, revision: (self.lines.len() + self.shadowed.len()) as i64 }
    }
}

fn read(lines: &[Box<str>]) -> Vec<Event<'static>> {
    let mut decoder = Decoder::default();
    let events = lines.iter().filter_map(|line| {
        let event = decoder.decode(line.as_bytes(), None);
        debug_assert!(event.is_ok(), "what was written can be read: {line}");
        event.ok().map(Event::into_owned)
    });
    events.collect()
}

impl Account {
    /// Writes the dossier's row.
    pub(super) fn write(&self, about: About, key: &str, slots: &mut SlotCache, facts: &mut Facts) {
        if self.events.is_empty() {
            return;
        }
        match about {
            About::Survey => facts.surveys.push(&self.survey(slots)),
            About::Complaint => facts.complaints.push(&self.complaint(key, slots)),
            About::Promise => facts.promises.push(&self.promise(key, slots)),
            About::Shift => facts.shifts.push(&self.shift(key, slots)),
        }
    }

    /// When a promise is due, or a complaint must have been called back about; and whether that was done in time. `None`
    /// where nothing is due.
    pub(super) fn due(&self, about: About, options: &Options) -> Option<(ServiceRule, Millis, bool)> {
        let in_time = |kinds: &[Kind], due| {
            let done = kinds.iter().filter_map(|kind| self.first_of(*kind)).min();
            done.is_some_and(|done| done <= due)
        };
        match about {
            About::Promise => {
                let due = self.last(|event| event.due)?;
                Some((ServiceRule::PromiseBroken, due, in_time(&[Kind::PromiseKept], due)))
            }
            About::Complaint => {
                let opened = self.first_of(Kind::ComplaintOpened)?;
                let due = options.quality.deadlines.call_back(options.grid.zone(), opened)?;
                let done = [Kind::ComplaintContacted, Kind::ComplaintWithdrawn];
                Some((ServiceRule::ComplaintLate, due, in_time(&done, due)))
            }
            _ => None,
        }
    }

    /// The queue of its row.
    pub(super) fn queue(&self) -> Option<&str> {
        self.first(|event| event.queue.as_deref())
    }

    fn first<'a, T>(&'a self, field: impl Fn(&'a Event<'static>) -> Option<T>) -> Option<T> {
        self.events.iter().find_map(field)
    }

    fn last<'a, T>(&'a self, field: impl Fn(&'a Event<'static>) -> Option<T>) -> Option<T> {
        self.events.iter().rev().find_map(field)
    }

    fn first_of(&self, kind: Kind) -> Option<Millis> {
        self.first(|event| (event.kind == kind).then_some(event.time))
    }

    fn last_of(&self, kind: Kind) -> Option<Millis> {
        self.last(|event| (event.kind == kind).then_some(event.time))
    }

    fn date(&self, slots: &mut SlotCache) -> Option<i32> {
        self.events.first().map(|event| slots.date(event.time))
    }

    fn survey(&self, slots: &mut SlotCache) -> SurveyRow<'_> {
        let event = &self.events[0];
        SurveyRow {
            contact_id: event.contact_id.as_deref(),
            id: Some(&event.id),
            time: Some(event.time),
            agent_id: event.agent_id.as_deref(),
            channel: event.channel.map(|channel| channel.as_str()),
            queue: event.queue.as_deref(),
            customer_id: event.customer_id.as_deref(),
            csat: event.csat,
            nps: event.nps,
            ces: event.ces,
            resolved: event.resolved,
            comment: event.comment.as_deref(),
            revision: Some(self.revision),
            date: self.date(slots),
        }
    }

    fn complaint<'a>(&'a self, key: &'a str, slots: &mut SlotCache) -> ComplaintRow<'a> {
        let status = self.last(|event| {
            Some(match event.kind {
                Kind::ComplaintOpened => "open",
                Kind::ComplaintContacted => "contacted",
                Kind::ComplaintResolved => "resolved",
                Kind::ComplaintClosed => "closed",
                Kind::ComplaintReopened => "reopened",
                Kind::ComplaintWithdrawn => "withdrawn",
                _ => return None,
            })
        });
        let reopened = self.events.iter().filter(|event| event.kind == Kind::ComplaintReopened).count();
        ComplaintRow {
            complaint_id: Some(key),
            contact_id: self.first(|event| event.contact_id.as_deref()),
            customer_id: self.first(|event| event.customer_id.as_deref()),
            agent_id: self.first(|event| event.agent_id.as_deref()),
            queue: self.first(|event| event.queue.as_deref()),
            department: self.first(|event| event.department.as_deref()),
            category: self.last(|event| event.category.as_deref()),
            severity: self.last(|event| event.severity),
            text: self.first(|event| event.text.as_deref()),
            status,
            opened_at: self.first_of(Kind::ComplaintOpened),
            contacted_at: self.first_of(Kind::ComplaintContacted),
            resolved_at: self.last_of(Kind::ComplaintResolved),
            closed_at: self.last_of(Kind::ComplaintClosed),
            reopened_at: self.last_of(Kind::ComplaintReopened),
            withdrawn_at: self.last_of(Kind::ComplaintWithdrawn),
            reopened: Some(reopened as i64),
            verdict: self.last(|event| event.verdict).map(Verdict::as_str),
            cause: self.last(|event| event.cause.as_deref()),
            revision: Some(self.revision),
            date: self.date(slots),
        }
    }

    fn promise<'a>(&'a self, key: &'a str, slots: &mut SlotCache) -> PromiseRow<'a> {
        PromiseRow {
            promise_id: Some(key),
            contact_id: self.first(|event| event.contact_id.as_deref()),
            agent_id: self.first(|event| event.agent_id.as_deref()),
            customer_id: self.first(|event| event.customer_id.as_deref()),
            queue: self.first(|event| event.queue.as_deref()),
            made_at: self.first_of(Kind::PromiseMade),
            due: self.last(|event| event.due),
            kept_at: self.first_of(Kind::PromiseKept),
            revision: Some(self.revision),
            date: self.date(slots),
        }
    }

    fn shift<'a>(&'a self, key: &'a str, slots: &mut SlotCache) -> ShiftRow<'a> {
        let planned = self.last(|event| (event.kind == Kind::ShiftPlanned).then_some(event));
        let last = self.events.last();
        let cancelled = last.filter(|event| event.kind == Kind::ShiftCancelled).map(|event| event.time);
        ShiftRow {
            shift_id: Some(key),
            agent_id: self.last(|event| event.agent_id.as_deref()),
            role: planned.and_then(|event| event.role).map(|role| role.as_str()),
            department: planned.and_then(|event| event.department.as_deref()),
            queues: planned.and_then(|event| event.queues.as_deref()),
            start: planned.and_then(|event| event.start),
            end: planned.and_then(|event| event.end),
            preferred: planned.and_then(|event| event.preferred),
            published_at: planned.and_then(|event| event.published_at),
            paid_minutes: planned.and_then(|event| event.paid_minutes),
            cancelled_at: cancelled,
            revision: Some(self.revision),
            date: planned
                .and_then(|event| event.start)
                .map(|start| slots.date(start))
                .or_else(|| self.date(slots)),
        }
    }
}
