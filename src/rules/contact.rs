//! One contact as rules see it: where it is, and what was said.

use std::sync::Arc;

use smallvec::SmallVec;

use super::test::Cause;
use super::{Hit, Subject};
use crate::event::{Channel, EndedBy, Kind, Speaker};
use crate::time::Millis;

/// Steps of a contact that are kept; more are made by machines gone wild.
pub(super) const STEPS_MAX: usize = 256;
/// Utterances of a contact that are kept, the latest.
pub(super) const LINES_MAX: usize = 400;

/// One event of a contact's course.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Step {
    pub(super) time: Millis,
    pub(super) kind: Kind,
    /// The queue that is entered or passed to.
    pub(super) queue: Option<Arc<str>>,
    pub(super) agent: Option<Arc<str>>,
    pub(super) by: Option<EndedBy>,
}

/// One utterance.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line {
    pub(super) time: Millis,
    /// The utterance, else the event: pieces of one utterance replace each other.
    pub(super) id: Box<str>,
    pub(super) speaker: Speaker,
    /// `None`: it was not read.
    pub(super) score: Option<f32>,
    pub(super) hits: Vec<Hit>,
    /// The beginning of it, masked.
    pub(super) text: Box<str>,
}

/// A contact while it is watched.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Contact {
    pub(super) channel: Option<Channel>,
    pub(super) queue: Option<Arc<str>>,
    pub(super) department: Option<Arc<str>>,
    pub(super) tier: Option<Arc<str>>,
    pub(super) customer: Option<Arc<str>>,
    /// In the order of their times.
    steps: Vec<Step>,
    /// Where it is after all its steps.
    status: Status,
    /// In the order of their times.
    pub(super) lines: Vec<Line>,
    /// Hashes of the ids of what was raised.
    pub(super) fired: SmallVec<[u64; 2]>,
    /// What was raised and may be over one day: id, cause, since when.
    pub(super) open: Vec<(String, Cause, Millis)>,
    /// The newest event's time.
    pub(super) newest: Millis,
    /// When to look at it without an event; `Millis::MAX`: never.
    pub(super) timer: Millis,
    /// Up to when the passing of time was looked at.
    pub(super) looked: Millis,
    /// Its end was told.
    pub(super) end_told: bool,
}

/// Where a contact is.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Status {
    pub(super) waiting_since: Option<Millis>,
    /// When the first agent came.
    pub(super) answered_at: Option<Millis>,
    /// Since when the latest agent talks.
    pub(super) talking_since: Option<Millis>,
    pub(super) ended_at: Option<Millis>,
    pub(super) ended_by: Option<EndedBy>,
    pub(super) transfers: usize,
    pub(super) passed_to: SmallVec<[Arc<str>; 2]>,
    pub(super) agent: Option<Arc<str>>,
    pub(super) queue: Option<Arc<str>>,
}

impl Status {
    /// Goes on with the next step.
    fn add(&mut self, step: &Step) {
        match step.kind {
            Kind::Queued => {
                // A repeat of the same queue goes on waiting.
                if self.waiting_since.is_none() || self.queue != step.queue {
                    self.waiting_since = Some(step.time);
                }
                self.queue.clone_from(&step.queue);
                self.ended_at = None;
            }
            Kind::Answered => {
                self.waiting_since = None;
                self.answered_at.get_or_insert(step.time);
                self.talking_since = Some(step.time);
                self.agent.clone_from(&step.agent);
                self.ended_at = None;
            }
            Kind::LeftQueue => self.waiting_since = None,
            Kind::Transferred => {
                self.transfers += 1;
                self.talking_since = None;
                self.passed_to.extend(step.queue.clone());
            }
            Kind::Ended => {
                self.waiting_since = None;
                self.talking_since = None;
                self.ended_at = Some(step.time);
                self.ended_by = step.by;
            }
            _ => {}
        }
    }
}

impl Contact {
    pub(super) fn new() -> Contact {
        Contact { newest: Millis::MIN, timer: Millis::MAX, looked: Millis::MIN, ..Contact::default() }
    }

    /// Puts a step into its place.
    pub(super) fn add_step(&mut self, step: Step) {
        if self.steps.len() >= STEPS_MAX {
            return;
        }
        let at = self.steps.partition_point(|known| (known.time, known.kind) <= (step.time, step.kind));
        if at == self.steps.len() {
            self.status.add(&step);
            self.steps.push(step);
        } else {
            self.steps.insert(at, step);
            self.status = Status::default();
            self.steps.iter().for_each(|step| self.status.add(step));
        }
    }

    /// Its steps, in the order of their times.
    pub(super) fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Puts an utterance into its place, in that of an earlier piece of it; tells its number.
    pub(super) fn add_line(&mut self, line: Line) -> usize {
        // Pieces of one utterance come one after the other.
        if let Some(known) = self.lines.iter().rposition(|known| known.id == line.id) {
            self.lines.remove(known);
        }
        if self.lines.len() >= LINES_MAX {
            self.lines.remove(0);
        }
        let at = self.lines.partition_point(|known| known.time <= line.time);
        self.lines.insert(at, line);
        at
    }

    /// Where the contact is after all its steps.
    pub(super) fn status(&self) -> &Status {
        &self.status
    }

    /// The customer's first utterance that no agent has replied to at `at`, and since when it waits; `None` while nobody
    /// talks to the customer.
    pub(super) fn question_at(&self, at: Millis) -> Option<(&Line, Millis)> {
        let since = self.status.talking_since?;
        let upto = self.lines.partition_point(|line| line.time <= at);
        let mut question = None;
        for line in self.lines[..upto].iter().rev() {
            match line.speaker {
                Speaker::Customer if line.time >= since => question = Some(line),
                Speaker::System => {}
                _ => break,
            }
        }
        question.map(|line| (line, line.time))
    }

    /// Makes it small once it is over, for the time in which what comes late is waited for: utterances that nothing was found
    /// in need no words any more.
    pub(super) fn rest(&mut self) {
        for line in self.lines.iter_mut().filter(|line| line.hits.is_empty()) {
            if line.score.is_none_or(|score| score >= 0.0) {
                line.text = Box::default();
            }
        }
        self.lines.shrink_to_fit();
        self.steps.shrink_to_fit();
        self.open.shrink_to_fit();
    }

    /// What an alert about this contact is about.
    pub(super) fn subject(&self, contact_id: &str) -> Subject {
        let status = &self.status;
        let text = |name: &Option<Arc<str>>| name.as_deref().unwrap_or_default().to_owned();
        let queue = if status.queue.is_some() { &status.queue } else { &self.queue };
        Subject {
            contact_id: contact_id.to_owned(),
            queue: text(queue),
            channel: self.channel.unwrap_or(Channel::Voice).as_str().to_owned(),
            department: text(&self.department),
            agent_id: text(&status.agent),
            customer_id: text(&self.customer),
            tier: text(&self.tier),
            dossier: String::new(),
        }
    }

    /// How long the last agent of the contact talked, up to its end.
    pub(super) fn talk_ms(&self) -> Millis {
        let mut since = None;
        let mut talked = 0;
        for step in &self.steps {
            match step.kind {
                Kind::Answered => (since, talked) = (Some(step.time), 0),
                Kind::Transferred | Kind::Ended => {
                    talked += since.take().map_or(0, |since| step.time - since);
                }
                _ => {}
            }
        }
        talked
    }

    /// The customer's lowest score.
    pub(super) fn lowest(&self) -> Option<f32> {
        let of = self.lines.iter().filter(|line| line.speaker == Speaker::Customer);
        of.filter_map(|line| line.score).min_by(f32::total_cmp)
    }
}
