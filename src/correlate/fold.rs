//! The law: a contact's events in their order give its legs and handlings.
//!
//! A pure function of the events, the watermark and the rules; it keeps nothing. The order in which
//! events arrived cannot matter, because it is not seen here.
//!
//! Readings where the law leaves a choice: what a contact says about itself (channel, direction,
//! customer, tier) is what its earliest event says that says it; a time-out has passed when the
//! watermark is *greater* than its end; a contact's time-out runs from its last event; what a
//! time-out closes is closed at the contact's last event.

use smallvec::SmallVec;

use super::findings::Judged;
use super::flags::Flags;
use super::log::{Entry, Log};
use super::options::Options;
use super::rows::Rows;
use super::words::Running;
use crate::event::{BotOutcome, Channel, Direction, EndedBy, Kind, Speaker};
use crate::facts::{ContactRow, HandlingRow, LegRow};
use crate::kpi::Outcome;
use crate::time::{Millis, SlotCache};

/// A contact's rows, and when the passing of time alone will change them.
#[derive(Debug)]
pub(super) struct Folded<'a> {
    pub(super) rows: Rows<'a>,
    /// The watermark from which a time-out changes the rows; `None` when none is pending.
    pub(super) deadline: Option<Millis>,
}

struct Leg<'a> {
    channel: Option<Channel>,
    queue: &'a str,
    department: Option<&'a str>,
    queued_at: Millis,
    closed: Option<(Outcome, Millis)>,
    agent: Option<&'a str>,
    flags: Flags,
}

pub(super) struct Talk<'a> {
    leg: Option<usize>,
    channel: Option<Channel>,
    pub(super) queue: Option<&'a str>,
    department: Option<&'a str>,
    pub(super) agent: Option<&'a str>,
    pub(super) started_at: Millis,
    dial_ms: i64,
    held_since: Option<Millis>,
    hold_ms: i64,
    holds: i64,
    pub(super) ended_at: Option<Millis>,
    wrapped_at: Option<Millis>,
    pub(super) passed_to: Option<&'a str>,
    pub(super) ended_by: Option<EndedBy>,
    flags: Flags,
}

impl Talk<'_> {
    fn goes_on(&self) -> bool {
        self.ended_at.is_none()
    }

    fn end(&mut self, at: Millis) {
        if let Some(since) = self.held_since.take() {
            self.hold_ms += at - since;
        }
        self.ended_at = Some(at);
    }
}

struct Course<'a, 'o> {
    options: &'o Options,
    legs: SmallVec<[Leg<'a>; 2]>,
    talks: SmallVec<[Talk<'a>; 2]>,
    open_leg: Option<usize>,
    first_queue: Option<&'a str>,
    last_queue: Option<&'a str>,
    last_ended: Option<Millis>,
    transfers: i64,
}

impl<'a> Course<'a, '_> {
    fn apply(&mut self, event: &Entry<'a>) {
        match event.kind {
            Kind::Queued => self.queued(event),
            Kind::Answered => self.answered(event),
            Kind::Held => {
                if let Some(talk) = self.talk_of(event.agent)
                    && talk.held_since.is_none()
                {
                    talk.held_since = Some(event.time);
                    talk.holds += 1;
                }
            }
            Kind::Resumed => {
                if let Some(talk) = self.talk_of(event.agent)
                    && let Some(since) = talk.held_since.take()
                {
                    talk.hold_ms += event.time - since;
                }
            }
            Kind::LeftQueue => {
                if let Some(reason) = event.leave_reason() {
                    let outcome = Outcome::from_name(reason.as_str()).unwrap_or(Outcome::Error);
                    self.close_leg(outcome, event.time);
                }
            }
            Kind::Transferred => {
                self.transfers += 1;
                if let Some(talk) = self.talk_of(event.agent) {
                    talk.end(event.time);
                    talk.passed_to = event.to;
                }
            }
            Kind::Ended => self.ended(event),
            Kind::Wrapped => self.wrapped(event),
            _ => {}
        }
    }

    fn close_leg(&mut self, outcome: Outcome, at: Millis) -> Option<usize> {
        let index = self.open_leg.take()?;
        self.legs[index].closed = Some((outcome, at));
        Some(index)
    }

    fn queued(&mut self, event: &Entry<'a>) {
        let Some(queue) = event.queue else { return };
        if let Some(index) = self.open_leg {
            if self.legs[index].queue == queue {
                self.legs[index].flags.add(Flags::REQUEUED);
                return;
            }
            self.legs[index].flags.add(Flags::NO_EXIT);
            self.close_leg(Outcome::Overflow, event.time);
        }
        self.legs.push(Leg {
            channel: event.channel,
            queue,
            department: event.department,
            queued_at: event.time,
            closed: None,
            agent: None,
            flags: Flags::default(),
        });
        self.open_leg = Some(self.legs.len() - 1);
        self.visit(Some(queue));
    }

    /// Notes a queue that a leg or handling of the contact had.
    fn visit(&mut self, queue: Option<&'a str>) {
        self.first_queue = self.first_queue.or(queue);
        self.last_queue = queue.or(self.last_queue);
    }

    fn answered(&mut self, event: &Entry<'a>) {
        let leg = self.close_leg(Outcome::Answered, event.time);
        let (channel, queue, department) = match leg {
            Some(index) => {
                self.legs[index].agent = event.agent;
                let leg = &self.legs[index];
                (leg.channel, Some(leg.queue), leg.department)
            }
            None => (event.channel, event.queue.or(self.last_queue), event.department),
        };
        self.visit(queue);
        self.talks.push(Talk {
            leg,
            channel,
            queue,
            department,
            agent: event.agent,
            started_at: event.time,
            dial_ms: event.dial_ms.unwrap_or(0),
            held_since: None,
            hold_ms: 0,
            holds: 0,
            ended_at: None,
            wrapped_at: None,
            passed_to: None,
            ended_by: None,
            flags: Flags::default(),
        });
    }

    /// The latest open talk of this agent; of anyone when no agent is named.
    fn talk_of(&mut self, agent: Option<&str>) -> Option<&mut Talk<'a>> {
        self.talks.iter_mut().rev().find(|talk| talk.goes_on() && (agent.is_none() || talk.agent == agent))
    }

    fn ended(&mut self, event: &Entry<'a>) {
        self.last_ended = Some(event.time);
        if let Some(index) = self.open_leg {
            let leg = &self.legs[index];
            let outcome = if event.by() == Some(EndedBy::System) {
                Outcome::Error
            } else if event.time - leg.queued_at < self.options.queue(leg.queue).short_abandon_ms {
                Outcome::AbandonedShort
            } else {
                Outcome::Abandoned
            };
            self.close_leg(outcome, event.time);
        }
        for talk in self.talks.iter_mut().filter(|talk| talk.goes_on()) {
            talk.end(event.time);
            talk.ended_by = event.by();
        }
    }

    fn wrapped(&mut self, event: &Entry<'a>) {
        let limit = self.options.acw_timeout_ms;
        let own = |talk: &&mut Talk<'a>| event.agent.is_none() || talk.agent == event.agent;
        let waiting_for_it = self.talks.iter_mut().filter(own).find(|talk| {
            talk.wrapped_at.is_none() && talk.ended_at.is_some_and(|ended| event.time - ended <= limit)
        });
        if let Some(talk) = waiting_for_it {
            talk.wrapped_at = Some(event.time);
        } else if let Some(talk) = self.talks.iter_mut().filter(own).find(|talk| talk.goes_on()) {
            talk.end(event.time);
            talk.wrapped_at = Some(event.time);
        }
    }
}

/// Of which contacts findings are made: of one that is open they change with each event, and few ask for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Judge {
    /// Of those that have closed.
    Closed,
    /// Of all.
    All,
}

/// The rows of a contact, from the first `upto` bytes of its log (see [`Log::events`]); `key` is the contact's id.
pub(super) fn fold<'a>(
    (key, log): (&'a str, &'a Log),
    upto: usize,
    watermark: Millis,
    judge: Judge,
    options: &'a Options,
    slots: &mut SlotCache,
) -> Folded<'a> {
    let whole = Whole { key, log, keywords: log.keywords(upto), revision: log.count_upto(upto) };
    fold_events(whole, log.events(upto).first(usize::MAX), (watermark, judge), options, slots)
}

/// The rows of a contact before and after its newest events: as its log was at `before` (length and watermark; nothing
/// where that is 0 bytes), and as it is now; findings are made of closed ones. Nearly always the log is read once for both.
pub(super) fn fold_both<'a>(
    key: &'a str,
    log: &'a Log,
    before: (usize, Millis),
    watermark: Millis,
    options: &'a Options,
    slots: &mut SlotCache,
) -> (Folded<'a>, Folded<'a>) {
    let (events, older) = log.events_since(before.0);
    let old = match older {
        _ if before.0 == 0 => Folded { rows: Rows::default(), deadline: None },
        Some(older) => {
            let whole = Whole { key, log, keywords: log.keywords(before.0), revision: older as u32 };
            fold_events(whole, events.first(older), (before.1, Judge::Closed), options, slots)
        }
        None => fold((key, log), before.0, before.1, Judge::Closed, options, slots),
    };
    let whole = Whole { key, log, keywords: log.keywords(log.bytes.len()), revision: log.count };
    (old, fold_events(whole, events.first(usize::MAX), (watermark, Judge::Closed), options, slots))
}

/// What is known of a contact besides its events.
struct Whole<'a> {
    /// Its id.
    key: &'a str,
    /// Where the texts of its events are.
    log: &'a Log,
    /// What was found in its messages.
    keywords: Option<&'a str>,
    /// Entries of its log.
    revision: u32,
}

/// The rows that these events make, which come in the contact's order.
fn fold_events<'a>(
    Whole { key, log, keywords, revision }: Whole<'a>,
    events: impl Iterator<Item = Entry<'a>> + Clone,
    (watermark, judge): (Millis, Judge),
    options: &'a Options,
    slots: &mut SlotCache,
) -> Folded<'a> {
    let Some(first_at) = events.clone().next().map(|event| event.time) else {
        return Folded { rows: Rows::default(), deadline: None };
    };
    let mut last_at = first_at;
    let mut course = Course {
        options,
        legs: SmallVec::new(),
        talks: SmallVec::new(),
        open_leg: None,
        first_queue: None,
        last_queue: None,
        last_ended: None,
        transfers: 0,
    };
    let mut contact = ContactRow { contact_id: Some(key), ..ContactRow::default() };
    let mut channel = None;
    let mut direction = None;
    let mut department = None;
    let mut started_at = None;
    let mut bot_outcome = None;
    let mut messages = 0;
    let (mut customer, mut agent) = (Running::default(), Running::default());
    for event in events.clone() {
        last_at = event.time;
        channel = channel.or(event.channel);
        direction = direction.or(event.direction);
        department = department.or(event.department);
        contact.customer_id = contact.customer_id.or(event.customer);
        contact.tier = contact.tier.or(event.tier);
        match event.kind {
            Kind::ContactStarted => {
                started_at = started_at.or(Some(event.time));
                contact.topic = contact.topic.or(event.label);
            }
            Kind::BotEnded => bot_outcome = event.bot_outcome().or(bot_outcome),
            Kind::Wrapped => {
                contact.resolved = event.resolved.or(contact.resolved);
                contact.disposition = event.label.or(contact.disposition);
            }
            Kind::Message if event.is_final => {
                messages += 1;
                match (event.speaker(), event.score) {
                    (Some(Speaker::Customer), Some(score)) => customer.add(score),
                    (Some(Speaker::Agent), Some(score)) => agent.add(score),
                    _ => {}
                }
            }
            _ => {}
        }
        course.apply(&event);
    }
    let contact_channel = channel.unwrap_or(Channel::Voice);
    let mut flags = Flags::default();

    // What the passing of time does.
    let mut deadline: Option<Millis> = None;
    let mut pending = |from: Millis, wait: Millis| {
        let at = from.saturating_add(wait).saturating_add(1);
        if watermark >= at {
            return true;
        }
        deadline = Some(deadline.map_or(at, |other| other.min(at)));
        false
    };
    // When the watermark told the last thing that closed the contact.
    let mut known_at = course.last_ended.unwrap_or(Millis::MIN);
    for talk in &mut course.talks {
        if talk.wrapped_at.is_none()
            && let Some(ended) = talk.ended_at
            && pending(ended, options.acw_timeout_ms)
        {
            talk.wrapped_at = Some(ended);
            talk.flags.add(Flags::NO_WRAP);
            known_at = known_at.max(ended.saturating_add(options.acw_timeout_ms));
        }
    }
    let goes_on = course.last_ended.is_none()
        || course.open_leg.is_some()
        || course.talks.iter().any(|talk| talk.goes_on());
    let timeout = options.contact_timeout(contact_channel);
    let timed_out = goes_on && pending(last_at, timeout);
    if timed_out {
        flags.add(Flags::NEVER_ENDED);
        known_at = known_at.max(last_at.saturating_add(timeout));
        if let Some(index) = course.close_leg(Outcome::Error, last_at) {
            course.legs[index].flags.add(Flags::NEVER_ENDED);
        }
        for talk in course.talks.iter_mut().filter(|talk| talk.goes_on()) {
            talk.end(last_at);
            talk.wrapped_at = Some(last_at);
            talk.flags.add(Flags::NEVER_ENDED);
        }
    }
    let unwrapped = course.talks.iter().any(|talk| talk.wrapped_at.is_none());
    let closed = (!goes_on || timed_out) && !unwrapped;

    // The rows.
    let revision = Some(i64::from(revision));
    let direction = direction.map(Direction::as_str);
    let mut rows = Rows::default();
    for (index, leg) in course.legs.iter().enumerate() {
        let rules = options.queue(leg.queue);
        let wait_ms = leg.closed.map(|(_, at)| at - leg.queued_at);
        let answered = matches!(leg.closed, Some((Outcome::Answered, _)));
        flags.add(leg.flags);
        if let Some((_, at)) = leg.closed {
            known_at = known_at.max(at);
        }
        rows.legs.push(LegRow {
            contact_id: Some(key),
            leg: Some(index as i64 + 1),
            channel: Some(leg.channel.unwrap_or(contact_channel).as_str()),
            direction,
            queue: Some(leg.queue),
            department: rules.department.as_deref().or(leg.department),
            customer_id: contact.customer_id,
            queued_at: Some(leg.queued_at),
            answered_at: if answered { leg.closed.map(|(_, at)| at) } else { None },
            left_at: leg.closed.map(|(_, at)| at),
            wait_ms,
            outcome: leg.closed.map(|(outcome, _)| outcome.name()),
            in_time: wait_ms.map(|wait| answered && wait <= rules.target_wait_ms),
            target_wait_ms: Some(rules.target_wait_ms),
            agent_id: leg.agent,
            slot_start: Some(slots.slot_start(leg.queued_at)),
            anomalies: leg.flags.text(),
            revision,
            date: Some(slots.date(leg.queued_at)),
        });
    }
    for (index, talk) in course.talks.iter().enumerate() {
        let rules_department = talk.queue.and_then(|queue| options.queue(queue).department.as_deref());
        let talk_ms = talk.ended_at.map(|ended| ended - talk.started_at - talk.hold_ms);
        let acw_ms = talk.wrapped_at.zip(talk.ended_at).map(|(wrapped, ended)| wrapped - ended);
        let cohort_at = talk.leg.map_or(talk.started_at, |leg| course.legs[leg].queued_at);
        flags.add(talk.flags);
        if let Some(at) = talk.wrapped_at {
            known_at = known_at.max(at);
        }
        rows.handlings.push(HandlingRow {
            contact_id: Some(key),
            handling: Some(index as i64 + 1),
            leg: talk.leg.map(|leg| leg as i64 + 1),
            channel: Some(talk.channel.unwrap_or(contact_channel).as_str()),
            direction,
            queue: talk.queue,
            department: rules_department.or(talk.department),
            agent_id: talk.agent,
            customer_id: contact.customer_id,
            started_at: Some(talk.started_at),
            ended_at: talk.ended_at,
            wrapped_at: talk.wrapped_at,
            talk_ms,
            hold_ms: talk_ms.map(|_| talk.hold_ms),
            acw_ms,
            dial_ms: Some(talk.dial_ms),
            handle_ms: talk_ms.zip(acw_ms).map(|(t, a)| t + talk.hold_ms + a + talk.dial_ms),
            holds: Some(talk.holds),
            transferred_to: talk.passed_to,
            ended_by: talk.ended_by.map(EndedBy::as_str),
            slot_start: Some(slots.slot_start(cohort_at)),
            anomalies: talk.flags.text(),
            revision,
            date: Some(slots.date(talk.started_at)),
        });
    }

    let ended_at = if timed_out {
        Some(last_at)
    } else if goes_on {
        None
    } else {
        course.last_ended
    };
    contact.channel = Some(contact_channel.as_str());
    contact.direction = direction;
    contact.started_at = started_at.or(Some(first_at));
    contact.ended_at = ended_at;
    contact.first_queue = course.first_queue;
    contact.last_queue = course.last_queue;
    contact.department = first_department(&rows).or(department);
    contact.first_agent = course.talks.iter().find_map(|talk| talk.agent);
    contact.last_agent = course.talks.iter().rev().find_map(|talk| talk.agent);
    contact.legs = Some(rows.legs.len() as i64);
    contact.handlings = Some(rows.handlings.len() as i64);
    contact.transfers = Some(course.transfers);
    contact.wait_ms = Some(rows.legs.iter().filter_map(|leg| leg.wait_ms).sum());
    contact.handle_ms = Some(rows.handlings.iter().filter_map(|handling| handling.handle_ms).sum());
    contact.bot_outcome = bot_outcome.map(BotOutcome::as_str);
    contact.outcome = if !rows.handlings.is_empty() {
        Some(Outcome::Answered.name())
    } else if let Some(leg) = rows.legs.last() {
        leg.outcome
    } else {
        match bot_outcome {
            Some(BotOutcome::Contained) => Some("contained"),
            Some(BotOutcome::Abandoned) => Some("abandoned_in_bot"),
            _ => ended_at.map(|_| "ended_before_queue"),
        }
    };
    contact.messages = Some(messages);
    contact.sentiment_customer = customer.value();
    contact.sentiment_lowest = customer.lowest();
    contact.sentiment_agent = agent.value();
    contact.keywords = keywords.filter(|_| messages > 0);
    // Without a talk and without words no rule of service can be broken.
    if (closed || judge == Judge::All) && (messages > 0 || !course.talks.is_empty()) {
        let departments: SmallVec<[Option<&str>; 2]> =
            rows.handlings.iter().map(|handling| handling.department).collect();
        let judged = Judged {
            quality: &options.quality,
            channel: contact_channel,
            talks: &course.talks,
            departments: &departments,
            last_queue: course.last_queue,
            log,
        };
        rows.findings = judged.findings(events.clone());
    }
    contact.first_response_ms = course.talks.first().and_then(|talk| {
        let replies = events.filter(|event| {
            event.kind == Kind::Message && event.is_final && event.speaker() == Some(Speaker::Agent)
        });
        replies.map(|event| event.time - talk.started_at).find(|ms| *ms >= 0)
    });
    contact.anomalies = flags.text();
    contact.revision = revision;
    contact.date = contact.started_at.map(|at| slots.date(at));
    rows.contact = contact;
    rows.closed_at = closed.then_some(known_at);
    Folded { rows, deadline }
}

/// The department of the earliest leg or handling that has one.
fn first_department<'a>(rows: &Rows<'a>) -> Option<&'a str> {
    let legs = rows.legs.iter().map(|leg| (leg.queued_at, leg.department));
    let handlings = rows.handlings.iter().map(|handling| (handling.started_at, handling.department));
    legs.chain(handlings)
        .filter(|(_, department)| department.is_some())
        .min_by_key(|(at, _)| *at)
        .and_then(|(_, department)| department)
}
