//! What quality has to say about a contact: each service rule that was broken, with its place in the transcript.
//!
//! Invariant: findings are rows of a contact as its legs are: a function of the set of its events. What is not over yet is
//! not judged: a greeting when the talk has ended, an answer when it came or when the talk has ended without one.
//!
//! A promise that was not kept and a complaint that nobody called back about are found in their own rows, by the view
//! `findings`.

use super::fold::Talk;
use super::log::{Entry, Id, Log};
use super::options::Quality;
use crate::event::{Channel, EndedBy, Kind, Speaker};
use crate::facts::FindingRow;
use crate::time::{Millis, SlotCache};

/// Findings of one contact that are kept, the first in order.
const FINDINGS_MAX: usize = 200;
/// An utterance that a customer repeats must have this many letters to be a question that was put again.
const REPEATED_LETTERS: usize = 8;

/// A rule of service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ServiceRule {
    /// The agent questioned, blamed, scolded, threatened, argued or was impatient.
    ForbiddenPhrase,
    /// The agent gave internal information away.
    InternalInformation,
    /// The agent urged the customer to hang up.
    UrgingHangUp,
    /// The customer had to put a question again.
    RepeatedQuestion,
    /// The customer was left waiting on one question.
    LeftWaiting,
    /// The agent did not greet.
    NoGreeting,
    /// The agent did not say good-bye.
    NoFarewell,
    /// The agent hung up, and had not said good-bye.
    AgentHungUp,
    /// The agent handed the customer over to a machine.
    HandedToIvr,
    /// A promise was not kept by its due time.
    PromiseBroken,
    /// A complaint was not called back about by its deadline.
    ComplaintLate,
}

impl ServiceRule {
    /// Every rule.
    pub const ALL: [ServiceRule; 11] = [
        ServiceRule::ForbiddenPhrase,
        ServiceRule::InternalInformation,
        ServiceRule::UrgingHangUp,
        ServiceRule::RepeatedQuestion,
        ServiceRule::LeftWaiting,
        ServiceRule::NoGreeting,
        ServiceRule::NoFarewell,
        ServiceRule::AgentHungUp,
        ServiceRule::HandedToIvr,
        ServiceRule::PromiseBroken,
        ServiceRule::ComplaintLate,
    ];

    /// Its name in tables and labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            ServiceRule::ForbiddenPhrase => "forbidden_phrase",
            ServiceRule::InternalInformation => "internal_information",
            ServiceRule::UrgingHangUp => "urging_hang_up",
            ServiceRule::RepeatedQuestion => "repeated_question",
            ServiceRule::LeftWaiting => "left_waiting",
            ServiceRule::NoGreeting => "no_greeting",
            ServiceRule::NoFarewell => "no_farewell",
            ServiceRule::AgentHungUp => "agent_hung_up",
            ServiceRule::HandedToIvr => "handed_to_ivr",
            ServiceRule::PromiseBroken => "promise_broken",
            ServiceRule::ComplaintLate => "complaint_late",
        }
    }

    /// The rule that a phrase of this category breaks when this speaker says it.
    pub(super) fn of_category(category: &str, speaker: Speaker) -> Option<ServiceRule> {
        match (speaker, category) {
            (
                Speaker::Agent,
                "forbidden" | "questioning" | "blaming" | "scolding" | "threatening" | "arguing"
                | "impatience",
            ) => Some(ServiceRule::ForbiddenPhrase),
            (Speaker::Agent, "internal_information") => Some(ServiceRule::InternalInformation),
            (Speaker::Agent, "urging_hang_up") => Some(ServiceRule::UrgingHangUp),
            (Speaker::Customer, "repetition") => Some(ServiceRule::RepeatedQuestion),
            _ => None,
        }
    }
}

/// One broken rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding<'a> {
    /// The rule.
    pub rule: ServiceRule,
    /// When.
    pub time: Millis,
    /// The queue.
    pub queue: Option<&'a str>,
    department: Option<&'a str>,
    agent: Option<&'a str>,
    message: Option<Id<'a>>,
    speaker: Option<Speaker>,
    /// What was found there: category, phrase, first byte, byte after the last one.
    phrase: Option<(&'a str, &'a str, u32, u32)>,
    lasted_ms: Option<i64>,
}

impl Finding<'_> {
    /// Hands its row to `push`.
    pub(super) fn row(&self, whole: &Whole<'_>, slots: &mut SlotCache, push: impl FnOnce(&FindingRow<'_>)) {
        let message = self.message.map(|id| id.text());
        let message = message.as_deref().map(String::from_utf8_lossy);
        push(&FindingRow {
            contact_id: Some(whole.contact_id),
            finding: Some(whole.number),
            rule: Some(self.rule.as_str()),
            time: Some(self.time),
            channel: whole.channel,
            queue: self.queue,
            department: self.department,
            agent_id: self.agent,
            customer_id: whole.customer_id,
            message_id: message.as_deref(),
            speaker: self.speaker.map(|speaker| speaker.as_str()),
            category: self.phrase.map(|(category, ..)| category),
            phrase: self.phrase.map(|(_, phrase, ..)| phrase),
            start: self.phrase.map(|(.., start, _)| i64::from(start)),
            end: self.phrase.map(|(.., end)| i64::from(end)),
            lasted_ms: self.lasted_ms,
            revision: whole.revision,
            date: Some(slots.date(self.time)),
        });
    }
}

/// What all findings of a contact have in common, and the number of the one that is written.
pub(super) struct Whole<'a> {
    pub(super) contact_id: &'a str,
    pub(super) channel: Option<&'a str>,
    pub(super) customer_id: Option<&'a str>,
    pub(super) revision: Option<i64>,
    pub(super) number: i64,
}

/// The hash by which an utterance is known again: of its letters and digits.
pub(super) fn sameness(normal: &str) -> Option<u32> {
    let letters: String = normal.chars().filter(|c| c.is_alphanumeric()).collect();
    let long = letters.chars().nth(REPEATED_LETTERS - 1).is_some();
    long.then(|| xxhash_rust::xxh3::xxh3_64(letters.as_bytes()) as u32)
}

/// A contact as quality looks at it.
pub(super) struct Judged<'a, 'e> {
    pub(super) quality: &'e Quality,
    pub(super) channel: Channel,
    pub(super) talks: &'e [Talk<'a>],
    /// The department of each talk.
    pub(super) departments: &'e [Option<&'a str>],
    /// The queue that a message without any belongs to.
    pub(super) last_queue: Option<&'a str>,
    /// Where the texts are.
    pub(super) log: &'a Log,
}

impl<'a> Judged<'a, '_> {
    /// Every finding, in the order of their times.
    pub(super) fn findings(&self, events: impl Iterator<Item = Entry<'a>> + Clone) -> Vec<Finding<'a>> {
        let said: Vec<Entry<'a>> =
            events.clone().filter(|event| event.kind == Kind::Message && event.is_final).collect();
        let mut found = Vec::new();
        self.phrases(&said, &mut found);
        self.repeated(&said, &mut found);
        for at in 0..self.talks.len() {
            self.talk(at, &said, &mut found);
        }
        self.handed_over(events, &mut found);
        found.sort_by_key(|finding| (finding.time, finding.rule));
        found.truncate(FINDINGS_MAX);
        found
    }

    /// The talk that goes on at this time.
    fn talk_at(&self, time: Millis) -> Option<usize> {
        let covers = |talk: &Talk<'_>| talk.started_at <= time && talk.ended_at.is_none_or(|end| time <= end);
        let latest = self.talks.iter().enumerate().filter(|(_, talk)| covers(talk));
        latest.max_by_key(|(at, talk)| (talk.started_at, *at)).map(|(at, _)| at)
    }

    fn finding(
        &self,
        rule: ServiceRule,
        time: Millis,
        talk: Option<usize>,
        at: Option<&Entry<'a>>,
    ) -> Finding<'a> {
        let of_talk = talk.map(|talk| &self.talks[talk]);
        Finding {
            rule,
            time,
            queue: of_talk
                .and_then(|talk| talk.queue)
                .or(at.and_then(|entry| entry.queue))
                .or(self.last_queue),
            department: talk.and_then(|talk| self.departments[talk]),
            agent: at
                .filter(|entry| entry.speaker() == Some(Speaker::Agent))
                .and_then(|entry| entry.agent)
                .or(of_talk.and_then(|talk| talk.agent)),
            message: at.map(|entry| entry.id),
            speaker: at.and_then(Entry::speaker),
            phrase: None,
            lasted_ms: None,
        }
    }

    fn phrases(&self, said: &[Entry<'a>], found: &mut Vec<Finding<'a>>) {
        for entry in said {
            let Some(speaker) = entry.speaker() else { continue };
            entry.marks.phrases(&self.log.strings, |phrase| {
                let Some(rule) = ServiceRule::of_category(phrase.0, speaker) else { return };
                let finding = self.finding(rule, entry.time, self.talk_at(entry.time), Some(entry));
                found.push(Finding { phrase: Some(phrase), ..finding });
            });
        }
    }

    /// The same question again, after somebody had said something to it.
    fn repeated(&self, said: &[Entry<'a>], found: &mut Vec<Finding<'a>>) {
        let of_customer = |entry: &Entry<'_>| entry.speaker() == Some(Speaker::Customer);
        for (at, entry) in said.iter().enumerate().filter(|(_, entry)| of_customer(entry)) {
            let Some(same) = entry.marks.same else { continue };
            let before =
                said[..at].iter().rposition(|known| of_customer(known) && known.marks.same == Some(same));
            let Some(before) = before else { continue };
            if said[before..at].iter().any(|between| between.speaker() == Some(Speaker::Agent)) {
                let talk = self.talk_at(entry.time);
                let finding = self.finding(ServiceRule::RepeatedQuestion, entry.time, talk, Some(entry));
                found.push(Finding { lasted_ms: Some(entry.time - said[before].time), ..finding });
            }
        }
    }

    fn talk(&self, at: usize, said: &[Entry<'a>], found: &mut Vec<Finding<'a>>) {
        let talk = &self.talks[at];
        let spoken = matches!(self.channel, Channel::Voice | Channel::Video);
        let within: Vec<&Entry<'a>> =
            said.iter().filter(|entry| self.talk_at(entry.time) == Some(at)).collect();
        let of_agent = |entry: &&&Entry<'_>| entry.speaker() == Some(Speaker::Agent) && entry.score.is_some();
        self.left_waiting(at, &within, spoken, found);
        let Some(ended_at) = talk.ended_at else { return };
        let own: Vec<&&Entry<'a>> = within.iter().filter(of_agent).collect();
        let said_goodbye = own.iter().any(|entry| entry.marks.parts);
        if let (Some(first), Some(last)) = (own.first(), own.last()) {
            // Without a transcript nobody can tell that something was not said.
            let until = talk.started_at.saturating_add(self.quality.greeting_ms).max(first.time);
            if !own.iter().take_while(|entry| entry.time <= until).any(|entry| entry.marks.greets) {
                found.push(self.finding(ServiceRule::NoGreeting, first.time, Some(at), Some(first)));
            }
            // Who is hung up on before the last word is the agent's could not say it.
            let cut_off = talk.ended_by == Some(EndedBy::Customer)
                && within.last().is_some_and(|entry| entry.speaker() == Some(Speaker::Customer));
            let closes = at + 1 == self.talks.len() && talk.passed_to.is_none() && talk.ended_by.is_some();
            if closes && !said_goodbye && !cut_off {
                found.push(self.finding(ServiceRule::NoFarewell, last.time, Some(at), Some(last)));
            }
        }
        if spoken && talk.ended_by == Some(EndedBy::Agent) && !said_goodbye {
            found.push(self.finding(ServiceRule::AgentHungUp, ended_at, Some(at), None));
        }
    }

    /// Written: from the first question that nobody replies to. Spoken: from the customer's last word, since who goes on
    /// speaking is not waiting. An e-mail's answer is not a matter of seconds.
    fn left_waiting(&self, at: usize, within: &[&Entry<'a>], spoken: bool, found: &mut Vec<Finding<'a>>) {
        if self.channel == Channel::Email {
            return;
        }
        let talk = &self.talks[at];
        let mut asked: Option<&Entry<'a>> = None;
        let mut judge = |asked: Option<&Entry<'a>>, until: Millis| {
            let Some(question) = asked else { return };
            let waited = until - question.time;
            if waited >= self.quality.answer_ms {
                let finding = self.finding(ServiceRule::LeftWaiting, question.time, Some(at), Some(question));
                found.push(Finding { lasted_ms: Some(waited), ..finding });
            }
        };
        for entry in within {
            match entry.speaker() {
                Some(Speaker::Customer) => {
                    if spoken {
                        judge(asked.take(), entry.time);
                    }
                    asked = asked.or(Some(entry));
                }
                Some(Speaker::System) | None => {}
                Some(_) => judge(asked.take(), entry.time),
            }
        }
        // A customer who hangs up after the last word was not left waiting by that alone.
        if let Some(ended_at) = talk.ended_at {
            judge(asked, ended_at);
        }
    }

    fn handed_over(&self, events: impl Iterator<Item = Entry<'a>>, found: &mut Vec<Finding<'a>>) {
        let listed = |name: &str| self.quality.self_service_queues.iter().any(|own| own == name);
        let mut passed: Option<usize> = None;
        for event in events {
            match event.kind {
                Kind::Transferred => {
                    let ended_then =
                        |talk: &Talk<'_>| talk.ended_at == Some(event.time) && talk.passed_to == event.to;
                    let by = self.talks.iter().rposition(ended_then);
                    let Some(by) = by else { continue };
                    if event.to.is_some_and(listed) {
                        found.push(self.finding(ServiceRule::HandedToIvr, event.time, Some(by), None));
                        passed = None;
                    } else {
                        passed = Some(by);
                    }
                }
                Kind::Queued | Kind::Answered => passed = None,
                Kind::BotStarted => {
                    if let Some(by) = passed.take() {
                        found.push(self.finding(ServiceRule::HandedToIvr, event.time, Some(by), None));
                    }
                }
                _ => {}
            }
        }
    }
}
