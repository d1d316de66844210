//! Contact records of Amazon Connect, one for each link of a chain, written when the contact is over and again when it goes on;
//! and the agent event stream. Times are whole seconds; why a contact left its queue is not told.

use serde_json::{Value, json};

use super::story::{Stories, Story, Turn, Way};
use super::{Speech, Spoken, seconds};
use crate::event::{AgentStateName, Channel, Direction, EndedBy, Event, Kind, LeaveReason};
use crate::time::{Millis, format_time};

#[derive(Debug, Default)]
pub(super) struct Connect {
    stories: Stories,
}

impl Speech for Connect {
    fn hear(&mut self, event: &Event<'_>, out: &mut Vec<Spoken>) {
        if event.kind == Kind::AgentState {
            return agent(event, out);
        }
        for story in self.stories.sweep(event.time) {
            // Its after-contact work never ended, as far as was told.
            if !story.is_over() {
                records(&story, event.time, out);
            }
        }
        if let Some((story, turn)) = self.stories.follow(event)
            && turn != Turn::Other
            && story.is_over()
        {
            records(story, event.time, out);
        }
    }

    fn end(&mut self, out: &mut Vec<Spoken>) {
        for story in self.stories.take_all() {
            if !story.is_over() {
                let last = story.ends.last().map_or(story.started, |end| end.0);
                records(&story, last, out);
            }
        }
    }
}

/// A time as contact records have it.
fn stamp(time: Millis) -> String {
    format!("{}Z", &format_time(seconds(time) * 1000)[..19])
}

/// One link: a visit to a queue, the talk that answered it, or a talk without a queue.
struct Link {
    leg: Option<usize>,
    talk: Option<usize>,
    since: Millis,
    method: &'static str,
    previous: Option<usize>,
}

fn links(story: &Story) -> Vec<Link> {
    let mut links: Vec<Link> = Vec::new();
    for (at, leg) in story.legs.iter().enumerate() {
        let talk = match leg.left {
            Some((_, Way::Answered(talk))) => Some(talk),
            _ => None,
        };
        links.push(Link { leg: Some(at), talk, since: leg.queued_at, method: "", previous: None });
    }
    for (at, talk) in story.talks.iter().enumerate().filter(|(_, talk)| talk.leg.is_none()) {
        links.push(Link { leg: None, talk: Some(at), since: talk.since, method: "", previous: None });
    }
    links.sort_by_key(|link| link.since);
    if links.is_empty() {
        links.push(Link { leg: None, talk: None, since: story.started, method: "", previous: None });
    }
    for at in 0..links.len() {
        let before = &links[..at];
        let moved_on = before.iter().rposition(|link| {
            let left = link.leg.and_then(|leg| story.legs[leg].left);
            matches!(left, Some((_, Way::Left(LeaveReason::Overflow | LeaveReason::Callback))))
        });
        let (method, previous, since) = match moved_on.filter(|moved| *moved + 1 == at) {
            _ if at == 0 => (first_method(story), None, story.started),
            Some(moved) => {
                let left = links[moved].leg.and_then(|leg| story.legs[leg].left);
                let back = matches!(left, Some((_, Way::Left(LeaveReason::Callback))));
                let since = left.map_or(links[at].since, |(left, _)| left);
                (if back { "CALLBACK" } else { "QUEUE_TRANSFER" }, Some(moved), since)
            }
            None => {
                let talk = before.iter().rposition(|link| link.talk.is_some());
                ("TRANSFER", talk.or(Some(at - 1)), links[at].since)
            }
        };
        (links[at].method, links[at].previous, links[at].since) = (method, previous, since);
    }
    links
}

fn first_method(story: &Story) -> &'static str {
    match story.direction {
        Some(Direction::Outbound) => "OUTBOUND",
        Some(Direction::Callback) => "CALLBACK",
        _ => "INBOUND",
    }
}

fn channel(channel: Channel) -> &'static str {
    match channel {
        Channel::Voice => "VOICE",
        Channel::Chat => "CHAT",
        Channel::Email => "EMAIL",
        Channel::Video => "VIDEO",
        Channel::Sms => "SMS",
        Channel::Social => "WHATSAPP",
    }
}

fn records(story: &Story, written: Millis, out: &mut Vec<Spoken>) {
    let links = links(story);
    let id = |at: usize| if at == 0 { story.id.clone() } else { format!("{}-{at}", story.id) };
    for (at, link) in links.iter().enumerate() {
        let passed_on = link.talk.is_some_and(|talk| matches!(story.talks[talk].ended, Some((_, _, true))));
        let next = links.iter().position(|other| {
            other.previous == Some(at) && (passed_on || matches!(other.method, "QUEUE_TRANSFER" | "CALLBACK"))
        });
        let mut record = json!({
            "AWSContactTraceRecordFormatVersion": "2017-03-10", "ContactId": id(at), "Channel": channel(story.channel),
            "InitiationMethod": link.method, "InitiationTimestamp": stamp(link.since), "LastUpdateTimestamp": stamp(written),
            "CustomerEndpoint": { "Type": "TELEPHONE_NUMBER", "Address": story.customer },
            "InitialContactId": (at > 0).then(|| id(0)), "PreviousContactId": link.previous.map(id), "NextContactId": next.map(id),
        });
        let leg = link.leg.map(|leg| &story.legs[leg]);
        let left = leg.and_then(|leg| leg.left);
        if let Some(leg) = leg {
            record["Queue"] = json!({
                "Name": leg.queue, "EnqueueTimestamp": stamp(leg.queued_at), "DequeueTimestamp": left.map(|(left, _)| stamp(left)),
            });
        }
        let talk = link.talk.map(|talk| &story.talks[talk]);
        if let Some(talk) = talk {
            record["Agent"] = json!({
                "Username": talk.agent, "ConnectedToAgentTimestamp": stamp(talk.since), "CustomerHoldDuration": seconds(talk.hold_ms),
                "AfterContactWorkStartTimestamp": talk.ended.map(|(ended, _, _)| stamp(ended)),
                "AfterContactWorkEndTimestamp": talk.wrapped.map(stamp),
            });
            if let (None, Some(queue)) = (leg, &talk.queue) {
                // It is of a queue without having waited there.
                record["Queue"] = json!({ "Name": queue });
            }
            if talk.dial_ms > 0 {
                record["InitiationTimestamp"] = stamp(talk.since - talk.dial_ms).into();
            }
        }
        if let Some((disconnected, reason)) = end(story, link) {
            record["DisconnectTimestamp"] = stamp(disconnected).into();
            record["DisconnectReason"] = reason.into();
        }
        out.push(Spoken { time: written, key: story.id.clone(), payload: record.to_string() });
    }
}

/// When and why a link was disconnected.
fn end(story: &Story, link: &Link) -> Option<(Millis, &'static str)> {
    let by = |by: Option<EndedBy>, system: &'static str| match by {
        Some(EndedBy::Agent) => "AGENT_DISCONNECT",
        Some(EndedBy::System) => system,
        _ => "CUSTOMER_DISCONNECT",
    };
    if let Some(talk) = link.talk {
        return story.talks[talk].ended.map(|(ended, who, _)| (ended, by(who, "TELECOM_PROBLEM")));
    }
    match link.leg.and_then(|leg| story.legs[leg].left) {
        Some((at, Way::Ended(who))) => Some((at, by(who, "TELECOM_PROBLEM"))),
        Some((left, Way::Left(_))) => {
            // A consultation that nobody took is over; the customer is with the agent who asked.
            let beside = story
                .talks
                .iter()
                .any(|talk| talk.since < left && talk.ended.is_none_or(|(ended, _, _)| ended > left));
            let over = story.ends.iter().find(|(end, _)| *end >= left).filter(|_| !beside);
            Some(over.map_or((left, "CONTACT_FLOW_DISCONNECT"), |(end, who)| {
                (*end, by(*who, "CONTACT_FLOW_DISCONNECT"))
            }))
        }
        _ => story.ends.last().map(|(end, who)| (*end, by(*who, "CONTACT_FLOW_DISCONNECT"))),
    }
}

/// The agent's snapshot after a change of state.
fn agent(event: &Event<'_>, out: &mut Vec<Spoken>) {
    let (Some(agent), Some(state)) = (event.agent_id.as_deref(), event.state) else { return };
    let at = format_time(event.time);
    let listed = |state: &str| -> Value {
        json!([{ "ContactId": format!("of-{agent}-{at}"), "Channel": "VOICE", "State": state, "StateStartTimestamp": at,
                 "ConnectedToAgentTimestamp": (state == "CONNECTED").then_some(&at) }])
    };
    let (name, kind, contacts) = match state {
        AgentStateName::Available => ("Available", "ROUTABLE", json!([])),
        AgentStateName::Busy => ("Available", "ROUTABLE", listed("CONNECTED")),
        AgentStateName::Acw => ("Available", "ROUTABLE", listed("ENDED")),
        AgentStateName::Offline => ("Offline", "OFFLINE", json!([])),
        AgentStateName::Break => ("Break", "CUSTOM", json!([])),
        AgentStateName::Training => ("Training", "CUSTOM", json!([])),
        AgentStateName::Meeting => ("Meeting", "CUSTOM", json!([])),
        AgentStateName::Other => ("Elsewhere", "CUSTOM", json!([])),
    };
    let payload = json!({
        "AgentARN": format!("arn:aws:connect:region:account:instance/centre/agent/{agent}"), "EventId": &*event.id,
        "EventType": "STATE_CHANGE", "EventTimestamp": at, "Version": "2017-10-01",
        "CurrentAgentSnapshot": {
            "AgentStatus": { "Name": name, "Type": kind, "StartTimestamp": at }, "Configuration": { "Username": agent },
            "Contacts": contacts,
        },
    });
    out.push(Spoken { time: event.time, key: agent.to_owned(), payload: payload.to_string() });
}
