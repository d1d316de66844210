//! Events of FreeSWITCH's mod_callcenter. Calls only; a member for each visit to a queue; no hold, no after-contact work.

use serde_json::{Map, Value, json};

use super::story::{Stories, Story, Turn};
use super::{Speech, Spoken, seconds};
use crate::event::{AgentStateName, Channel, Event, Kind, LeaveReason};

#[derive(Debug, Default)]
pub(super) struct Freeswitch {
    stories: Stories,
}

impl Speech for Freeswitch {
    fn hear(&mut self, event: &Event<'_>, out: &mut Vec<Spoken>) {
        // The event socket has microseconds in this header, and whole seconds in those of its own.
        let micros = (event.time * 1000).to_string();
        let fired = |action: &str| {
            let head = json!({
                "Event-Name": "CUSTOM", "Event-Subclass": "callcenter::info", "Event-Date-Timestamp": micros, "CC-Action": action,
            });
            head.as_object().cloned().unwrap_or_default()
        };
        if event.kind == Kind::AgentState {
            let (Some(agent), Some(state)) = (event.agent_id.as_deref(), event.state) else { return };
            let mut headers = fired("agent-status-change");
            headers.insert("CC-Agent".to_owned(), agent.into());
            let status = match state {
                AgentStateName::Offline => "Logged Out",
                AgentStateName::Available | AgentStateName::Busy | AgentStateName::Acw => "Available",
                _ => "On Break",
            };
            headers.insert("CC-Agent-Status".to_owned(), status.into());
            out.push(Spoken {
                time: event.time,
                key: agent.to_owned(),
                payload: Value::Object(headers).to_string(),
            });
            return;
        }
        self.stories.sweep(event.time);
        let Some((story, turn)) = self.stories.follow(event) else { return };
        if story.channel != Channel::Voice {
            return;
        }
        let mut say = |leg: usize, action: &str, more: &[(&str, String)]| {
            let mut headers = fired(action);
            member(story, leg, &mut headers);
            headers
                .extend(more.iter().map(|(name, value)| ((*name).to_owned(), Value::String(value.clone()))));
            out.push(Spoken {
                time: event.time,
                key: member_id(story, leg),
                payload: Value::Object(headers).to_string(),
            });
        };
        let now = seconds(event.time).to_string();
        let cancel = |reason: &str| {
            [
                ("CC-Cause", "Cancel".to_owned()),
                ("CC-Cancel-Reason", reason.to_owned()),
                ("CC-Member-Leaving-Time", now.clone()),
            ]
        };
        match turn {
            Turn::Queued(leg) => say(leg, "member-queue-start", &[]),
            Turn::Answered(talk) => {
                if let Some(leg) = story.talks[talk].leg {
                    say(leg, "bridge-agent-start", &bridge(story, talk));
                }
            }
            Turn::Left(leg, reason) => say(
                leg,
                "member-queue-end",
                &cancel(match reason {
                    LeaveReason::Timeout | LeaveReason::Overflow => "TIMEOUT",
                    LeaveReason::NoAgent | LeaveReason::Closed => "NO_AGENT_TIMEOUT",
                    LeaveReason::ExitKey | LeaveReason::Callback => "EXIT_WITH_KEY",
                    LeaveReason::Error => "BREAK_OUT",
                }),
            ),
            Turn::Transferred(talk) => ended(story, talk, &now, &mut say),
            Turn::Ended(leg, talks) => {
                if let Some(leg) = leg {
                    say(leg, "member-queue-end", &cancel("BREAK_OUT"));
                }
                for talk in talks {
                    ended(story, talk, &now, &mut say);
                }
            }
            Turn::Other if matches!(event.kind, Kind::Offered | Kind::Missed) => {
                let action = if event.kind == Kind::Offered { "agent-offering" } else { "bridge-agent-fail" };
                if let (Some(leg), Some(agent)) = (story.open, event.agent_id.as_deref()) {
                    say(leg, action, &[("CC-Agent", agent.to_owned())]);
                }
            }
            _ => {}
        }
    }
}

fn member_id(story: &Story, leg: usize) -> String {
    format!("{}.{leg}", story.id)
}

fn member(story: &Story, leg: usize, headers: &mut Map<String, Value>) {
    headers.insert("CC-Queue".to_owned(), story.legs[leg].queue.clone().into());
    headers.insert("CC-Member-UUID".to_owned(), member_id(story, leg).into());
    headers.insert("CC-Member-Session-UUID".to_owned(), story.id.clone().into());
    headers.insert("CC-Member-CID-Number".to_owned(), story.customer.clone().into());
}

fn bridge(story: &Story, talk: usize) -> [(&'static str, String); 3] {
    [
        ("CC-Agent", story.talks[talk].agent.clone()),
        ("CC-Agent-UUID", format!("{}-a{talk}", story.id)),
        ("CC-Agent-Answered-Time", seconds(story.talks[talk].since).to_string()),
    ]
}

fn ended(story: &Story, talk: usize, now: &str, say: &mut impl FnMut(usize, &str, &[(&str, String)])) {
    let Some(leg) = story.talks[talk].leg else { return };
    let mut more = bridge(story, talk).to_vec();
    more.push(("CC-Bridge-Terminated-Time", now.to_owned()));
    say(leg, "bridge-agent-end", &more);
    more.push(("CC-Cause", "Terminated".to_owned()));
    more.push(("CC-Member-Leaving-Time", now.to_owned()));
    say(leg, "member-queue-end", &more);
}
