//! What follows a contact: surveys, complaints with their whole loop, promises kept and forgotten.

use super::books::Entry;
use super::engine::{Act, Centre, customer_id};
use super::profile::STREAMS;
use super::record::{self, Fields};
use super::slots::{HOUR, MINUTE};
use super::texts;

/// A step that comes hours or days after its contact, which is no longer in memory then.
pub(crate) struct Follow {
    step: Step,
    /// Of the complaint or the promise.
    id: [u8; 36],
    contact: Option<[u8; 36]>,
    customer: u32,
    stream: u8,
    agent: u32,
    severity: i64,
    category: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Contacted,
    Resolved,
    Closed,
    Reopened,
    ResolvedAgain,
    Withdrawn,
    Kept,
}

const CATEGORIES: [&str; 5] =
    ["service_attitude", "billing", "network_quality", "marketing", "handling_time"];
const CAUSES: [&str; 5] = ["training", "system_fault", "process", "misunderstanding", "third_party"];

impl Centre {
    /// Decides what follows the end of a talk.
    pub(super) fn aftermath(&mut self, index: u32, agent: u32, stream: u8) {
        let profile = &STREAMS[usize::from(stream)];
        let mood = self.contacts[index as usize].mood;
        if !profile.outbound() && self.dice.chance(0.18) {
            let after = self.dice.between(20_000, 35 * MINUTE);
            self.after(after, Act::Survey(index));
        }
        if !profile.outbound() && self.dice.chance(0.04) {
            self.promise(index, agent, stream);
        }
        let complains =
            [0.002, 0.02, 0.09][usize::from(mood)] * if profile.queue == "投诉" { 3.0 } else { 1.0 };
        if self.dice.chance(complains) {
            self.complain(index, agent, stream);
        }
    }

    pub(super) fn survey(&mut self, index: u32) {
        let contact = &self.contacts[index as usize];
        let (mood, stream) = (i64::from(contact.mood), contact.stream);
        let tongue = STREAMS[usize::from(stream)].tongue;
        let csat = (5 - mood - self.dice.between(0, 6) / 4 - if mood == 2 { 1 } else { 0 }).clamp(1, 5);
        let nps = (csat * 2 + self.dice.between(-2, 1)).clamp(0, 10);
        let ces = (csat + self.dice.between(0, 2)).clamp(1, 7);
        let resolved = self.dice.chance([0.86, 0.6, 0.35][mood as usize]);
        let mut event = self.contact_event("survey", index, Some(stream));
        event.payload.number("csat", csat);
        if self.dice.chance(0.6) {
            event.payload.number("nps", nps);
        }
        if self.dice.chance(0.4) {
            event.payload.number("ces", ces);
        }
        event.payload.flag("resolved", resolved);
        if self.dice.chance(0.35) {
            let phrases = texts::phrases(tongue);
            let template = self.dice.pick(if csat >= 4 { phrases.praise } else { phrases.blame });
            let mut comment = String::new();
            texts::fill(&mut comment, template, tongue, self.dice.bits());
            event.payload.string("comment", &comment);
        }
        self.emit(event, Entry::Nothing);
    }

    fn promise(&mut self, index: u32, agent: u32, stream: u8) {
        let id = record::identifier(self.now, [self.dice.bits(), self.dice.bits()]);
        let due = self.now + self.dice.between(HOUR, 26 * HOUR);
        let offset = self.offset();
        let mut event = self.contact_event("promise.made", index, Some(stream));
        self.by_agent(&mut event, agent);
        event.payload.string("promise_id", record::text(&id));
        event.payload.when("due", due, offset);
        self.emit(event, Entry::Nothing);
        // Most promises are kept in time, some late, some never.
        let kept = match self.dice.between(0, 99) {
            0..78 => self.dice.between(self.now + 20 * MINUTE, due),
            78..90 => due + self.dice.between(MINUTE, 8 * HOUR),
            _ => return,
        };
        let contact = &self.contacts[index as usize];
        let follow = Follow {
            step: Step::Kept,
            id,
            contact: Some(contact.id),
            customer: contact.customer,
            stream,
            agent,
            severity: 0,
            category: "",
        };
        self.at(kept, Act::Follow(Box::new(follow)));
    }

    fn complain(&mut self, index: u32, agent: u32, stream: u8) {
        let id = record::identifier(self.now, [self.dice.bits(), self.dice.bits()]);
        // A complaint by letter or at a shop names no contact.
        let named = self.dice.chance(0.7);
        let contact = &self.contacts[index as usize];
        let severity = self.dice.between(1, 4);
        let contact_id = named.then_some(contact.id);
        let customer = contact.customer;
        let category = self.dice.pick(&CATEGORIES);
        let mut follow = Follow {
            step: Step::Contacted,
            id,
            contact: contact_id,
            customer,
            stream,
            agent,
            severity,
            category,
        };
        let tongue = STREAMS[usize::from(stream)].tongue;
        let mut text = String::new();
        let phrases = texts::phrases(tongue);
        for lines in [phrases.angry, phrases.blame] {
            let template = self.dice.pick(lines);
            texts::fill(&mut text, template, tongue, self.dice.bits());
        }
        let mut event = self.follow_event("complaint.opened", &follow);
        event.payload.string("text", &text);
        self.emit(event, Entry::Nothing);
        let step = if self.dice.chance(0.07) { Step::Withdrawn } else { Step::Contacted };
        follow.step = step;
        let after = self.dice.length(5 * HOUR, 0.9).clamp(5 * MINUTE, 72 * HOUR);
        self.after(after, Act::Follow(Box::new(follow)));
    }

    /// Begins an event about a complaint.
    fn follow_event(&mut self, kind: &str, follow: &Follow) -> super::Emitted {
        let profile = &STREAMS[usize::from(follow.stream)];
        let key = follow.contact.unwrap_or(follow.id);
        let mut event = self.event(kind, record::text(&key), false);
        event.payload.string("complaint_id", record::text(&follow.id));
        if let Some(contact) = &follow.contact {
            event.payload.string("contact_id", record::text(contact));
        }
        event.payload.string("channel", profile.channel);
        event.payload.string("queue", profile.queue);
        event.payload.string("department", profile.department);
        customer_id(&mut event.payload, follow.customer);
        self.by_agent(&mut event, follow.agent);
        event.payload.string("category", follow.category);
        event.payload.number("severity", follow.severity);
        event
    }

    /// Takes the next step of a complaint, or keeps a promise.
    pub(super) fn follow(&mut self, mut follow: Box<Follow>) {
        if follow.step == Step::Kept {
            return self.keep(&follow);
        }
        let kind = match follow.step {
            Step::Contacted => "complaint.contacted",
            Step::Resolved | Step::ResolvedAgain => "complaint.resolved",
            Step::Closed => "complaint.closed",
            Step::Reopened => "complaint.reopened",
            Step::Withdrawn | Step::Kept => "complaint.withdrawn",
        };
        let mut event = self.follow_event(kind, &follow);
        if matches!(follow.step, Step::Resolved | Step::ResolvedAgain) {
            let verdict = self.dice.pick(&["upheld", "rejected", "pacified"]);
            let cause = self.dice.pick(&CAUSES);
            event.payload.string("verdict", verdict);
            event.payload.string("cause", cause);
        }
        self.emit(event, Entry::Nothing);
        let (step, mean) = match follow.step {
            Step::Contacted => (Step::Resolved, 20 * HOUR),
            Step::Resolved if self.dice.chance(0.1) => (Step::Reopened, 12 * HOUR),
            Step::Reopened => (Step::ResolvedAgain, 24 * HOUR),
            Step::Resolved | Step::ResolvedAgain => (Step::Closed, 10 * HOUR),
            Step::Closed | Step::Withdrawn | Step::Kept => return,
        };
        follow.step = step;
        let after = self.dice.length(mean, 0.8).clamp(10 * MINUTE, 120 * HOUR);
        self.after(after, Act::Follow(follow));
    }

    /// Keeps a promise; half of the time by calling back, as a contact of its own that waits for an agent.
    fn keep(&mut self, follow: &Follow) {
        let profile = &STREAMS[usize::from(follow.stream)];
        let contact = follow.contact.unwrap_or(follow.id);
        let mut event = self.event("promise.kept", record::text(&contact), false);
        event.payload.string("promise_id", record::text(&follow.id));
        event.payload.string("contact_id", record::text(&contact));
        event.payload.string("channel", profile.channel);
        event.payload.string("queue", profile.queue);
        customer_id(&mut event.payload, follow.customer);
        self.by_agent(&mut event, follow.agent);
        self.emit(event, Entry::Nothing);
        if profile.voice() && !self.closing() && self.dice.chance(0.5) {
            let index = self.admit(follow.stream, "callback", Some(follow.customer));
            self.started(index);
            self.after(500, Act::Enter(index, follow.stream));
        }
    }
}
