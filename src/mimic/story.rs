//! What has happened to each contact so far: its legs and talks, as a platform would know them.

use std::collections::BTreeMap;

use crate::event::{Channel, Direction, EndedBy, Event, Kind, LeaveReason};
use crate::time::{HOUR, Millis};

/// Stories are kept so long after their last event: a queued call back comes within that.
const KEPT: Millis = 2 * HOUR;

/// One visit to a queue.
#[derive(Debug, Clone)]
pub(super) struct Leg {
    pub(super) queue: String,
    pub(super) queued_at: Millis,
    /// How it ended, if it has.
    pub(super) left: Option<(Millis, Way)>,
}

/// How a leg ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Answered(usize),
    Left(LeaveReason),
    Ended(Option<EndedBy>),
}

/// One agent's part.
#[derive(Debug, Clone)]
pub(super) struct Talk {
    pub(super) agent: String,
    pub(super) queue: Option<String>,
    pub(super) leg: Option<usize>,
    pub(super) since: Millis,
    pub(super) dial_ms: i64,
    pub(super) hold_ms: i64,
    held_since: Option<Millis>,
    /// When it ended, by whom, and whether it was passed on.
    pub(super) ended: Option<(Millis, Option<EndedBy>, bool)>,
    pub(super) wrapped: Option<Millis>,
}

/// One contact.
#[derive(Debug, Clone)]
pub(super) struct Story {
    /// Counts contacts, from 1.
    pub(super) number: u64,
    pub(super) id: String,
    pub(super) channel: Channel,
    pub(super) direction: Option<Direction>,
    pub(super) customer: String,
    pub(super) started: Millis,
    pub(super) legs: Vec<Leg>,
    pub(super) talks: Vec<Talk>,
    pub(super) open: Option<usize>,
    /// Each end of the contact: when, and by whom.
    pub(super) ends: Vec<(Millis, Option<EndedBy>)>,
    last: Millis,
}

/// What an event means in the story of its contact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Turn {
    Started,
    Queued(usize),
    Answered(usize),
    Left(usize, LeaveReason),
    Transferred(usize),
    /// The leg that was open, and the talks that went on.
    Ended(Option<usize>, Vec<usize>),
    Wrapped(usize),
    /// Nothing that changes legs or talks.
    Other,
}

impl Story {
    /// True when nothing more is expected.
    pub(super) fn is_over(&self) -> bool {
        !self.ends.is_empty() && self.open.is_none() && self.talks.iter().all(|talk| talk.wrapped.is_some())
    }

    /// Whether some agent talks now.
    pub(super) fn is_talking(&self) -> bool {
        self.talks.iter().any(|talk| talk.ended.is_none())
    }

    fn talk_of(&self, agent: Option<&str>, which: impl Fn(&Talk) -> bool) -> Option<usize> {
        self.talks.iter().rposition(|talk| which(talk) && agent.is_none_or(|agent| talk.agent == agent))
    }

    fn turn(&mut self, event: &Event<'_>) -> Turn {
        let agent = event.agent_id.as_deref();
        match event.kind {
            Kind::ContactStarted => Turn::Started,
            Kind::Queued => {
                let queue = event.queue.as_deref().unwrap_or_default().to_owned();
                self.legs.push(Leg { queue, queued_at: event.time, left: None });
                self.open = Some(self.legs.len() - 1);
                Turn::Queued(self.legs.len() - 1)
            }
            Kind::Answered => {
                let leg = self.open.take();
                let talk = self.talks.len();
                if let Some(leg) = leg {
                    self.legs[leg].left = Some((event.time, Way::Answered(talk)));
                }
                self.talks.push(Talk {
                    agent: agent.unwrap_or_default().to_owned(),
                    queue: event.queue.as_deref().map(str::to_owned),
                    leg,
                    since: event.time,
                    dial_ms: event.dial_ms.unwrap_or(0),
                    hold_ms: 0,
                    held_since: None,
                    ended: None,
                    wrapped: None,
                });
                Turn::Answered(talk)
            }
            Kind::Held => {
                if let Some(talk) = self.talk_of(agent, |talk| talk.ended.is_none()) {
                    self.talks[talk].held_since = self.talks[talk].held_since.or(Some(event.time));
                }
                Turn::Other
            }
            Kind::Resumed => {
                if let Some(talk) = self.talk_of(agent, |talk| talk.ended.is_none()) {
                    self.talks[talk].end_hold(event.time);
                }
                Turn::Other
            }
            Kind::LeftQueue => {
                let (Some(leg), Some(reason)) = (self.open.take(), event.leave_reason) else {
                    return Turn::Other;
                };
                self.legs[leg].left = Some((event.time, Way::Left(reason)));
                Turn::Left(leg, reason)
            }
            Kind::Transferred => {
                let Some(talk) = self.talk_of(agent, |talk| talk.ended.is_none()) else { return Turn::Other };
                self.talks[talk].end_hold(event.time);
                self.talks[talk].ended = Some((event.time, None, true));
                Turn::Transferred(talk)
            }
            Kind::Ended => {
                self.ends.push((event.time, event.by));
                let leg = self.open.take();
                if let Some(leg) = leg {
                    self.legs[leg].left = Some((event.time, Way::Ended(event.by)));
                }
                let mut talks = Vec::new();
                for (at, talk) in self.talks.iter_mut().enumerate().filter(|(_, talk)| talk.ended.is_none()) {
                    talk.end_hold(event.time);
                    talk.ended = Some((event.time, event.by, false));
                    talks.push(at);
                }
                Turn::Ended(leg, talks)
            }
            Kind::Wrapped => {
                let waits = self.talks.iter().position(|talk| {
                    talk.wrapped.is_none()
                        && talk.ended.is_some()
                        && agent.is_none_or(|agent| talk.agent == agent)
                });
                let Some(talk) = waits else { return Turn::Other };
                self.talks[talk].wrapped = Some(event.time);
                Turn::Wrapped(talk)
            }
            _ => Turn::Other,
        }
    }
}

impl Talk {
    fn end_hold(&mut self, at: Millis) {
        if let Some(since) = self.held_since.take() {
            self.hold_ms += at - since;
        }
    }
}

/// The stories of late.
#[derive(Debug, Default)]
pub(super) struct Stories {
    stories: BTreeMap<String, Story>,
    count: u64,
    swept: Millis,
}

impl Stories {
    /// Goes on with the story of the event's contact; `None` for events of no contact.
    pub(super) fn follow(&mut self, event: &Event<'_>) -> Option<(&Story, Turn)> {
        if event.kind > Kind::Message {
            return None;
        }
        let id = event.contact_id.as_deref()?;
        if !self.stories.contains_key(id) {
            self.count += 1;
            let story = Story {
                number: self.count,
                id: id.to_owned(),
                channel: event.channel.unwrap_or(Channel::Voice),
                direction: event.direction,
                customer: event.customer_id.as_deref().unwrap_or_default().to_owned(),
                started: event.time,
                legs: Vec::new(),
                talks: Vec::new(),
                open: None,
                ends: Vec::new(),
                last: event.time,
            };
            self.stories.insert(id.to_owned(), story);
        }
        let story = self.stories.get_mut(id)?;
        story.last = event.time;
        let turn = story.turn(event);
        Some((story, turn))
    }

    /// Takes out the stories that have not moved for two hours; now and then, so that it costs nothing.
    pub(super) fn sweep(&mut self, now: Millis) -> Vec<Story> {
        if now < self.swept + KEPT / 4 {
            return Vec::new();
        }
        self.swept = now;
        let old: Vec<String> = self
            .stories
            .iter()
            .filter(|(_, story)| story.last < now - KEPT)
            .map(|(id, _)| id.clone())
            .collect();
        old.iter().filter_map(|id| self.stories.remove(id)).collect()
    }

    /// Takes out all of them.
    pub(super) fn take_all(&mut self) -> Vec<Story> {
        std::mem::take(&mut self.stories).into_values().collect()
    }
}
