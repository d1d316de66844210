//! Webhooks of Chatwoot. Written channels only; no hold, no after-contact work; a conversation that nobody takes can only be
//! resolved, so why it left the queue is lost.

use serde_json::{Value, json};

use super::story::{Stories, Story, Turn, Way};
use super::{Speech, Spoken, seconds};
use crate::event::{Channel, Event, Kind, Speaker};
use crate::time::format_time;

#[derive(Debug, Default)]
pub(super) struct Chatwoot {
    stories: Stories,
    messages: u64,
}

fn inbox_kind(channel: Channel) -> &'static str {
    match channel {
        Channel::Email => "Channel::Email",
        Channel::Sms => "Channel::Sms",
        Channel::Social => "Channel::Whatsapp",
        _ => "Channel::WebWidget",
    }
}

/// The conversation as of now. `team` is the queue it is in.
fn conversation(
    story: &Story,
    event: &Event<'_>,
    team: Option<&str>,
    assignee: Option<&str>,
    status: &str,
) -> Value {
    json!({
        "id": story.number, "account": { "id": 1, "name": "centre" }, "inbox_id": 1, "channel": inbox_kind(story.channel), "status": status,
        "created_at": seconds(story.started), "updated_at": event.time as f64 / 1000.0, "timestamp": seconds(event.time),
        "meta": {
            "sender": { "id": story.customer },
            "team": team.map(|team| json!({ "name": team })),
            "assignee": assignee.map(|name| json!({ "id": name, "name": name, "type": "user" })),
        },
    })
}

impl Speech for Chatwoot {
    fn hear(&mut self, event: &Event<'_>, out: &mut Vec<Spoken>) {
        self.stories.sweep(event.time);
        let Some((story, turn)) = self.stories.follow(event) else { return };
        if story.channel == Channel::Voice {
            return;
        }
        let team = story.legs.last().map(|leg| leg.queue.as_str());
        let talker = story.talks.last().filter(|talk| talk.ended.is_none()).map(|talk| talk.agent.as_str());
        let mut say = |name: &str, mut body: Value, changed: Value| {
            body["event"] = name.into();
            if !changed.is_null() {
                body["changed_attributes"] = json!([changed]);
            }
            out.push(Spoken { time: event.time, key: story.id.clone(), payload: body.to_string() });
        };
        let status =
            |before: &str, now: &str| json!({ "status": { "previous_value": before, "current_value": now } });
        let assignee = |before: Option<&str>, now: Option<&str>| json!({ "assignee_id": { "previous_value": before, "current_value": now } });
        match turn {
            Turn::Queued(0) if story.talks.is_empty() => {
                // It exists since the customer wrote; a team has it from now on.
                let mut body = conversation(story, event, team, None, "open");
                body["created_at"] = (event.time as f64 / 1000.0).into();
                say("conversation_created", body, Value::Null);
            }
            Turn::Queued(leg) => {
                let body = conversation(story, event, team, None, "open");
                if leg > 0 && matches!(story.legs[leg - 1].left, Some((_, Way::Left(_) | Way::Ended(_)))) {
                    say("conversation_status_changed", body, status("resolved", "open"));
                } else {
                    // An agent gives it back, for another team; it is told when it waits there.
                    let before = story.talks.last().map(|talk| talk.agent.as_str());
                    say("conversation_updated", body, assignee(before, None));
                }
            }
            Turn::Answered(talk) => {
                let agent = &story.talks[talk].agent;
                // From agent to agent, nothing lies between.
                let direct = story.talks[talk].leg.is_none();
                let before =
                    talk.checked_sub(1).filter(|_| direct).map(|before| story.talks[before].agent.as_str());
                let body = conversation(story, event, team, Some(agent), "open");
                say("conversation_updated", body, assignee(before, Some(agent)));
            }
            Turn::Left(..) | Turn::Ended(Some(_), _) => {
                say(
                    "conversation_status_changed",
                    conversation(story, event, team, None, "resolved"),
                    status("open", "resolved"),
                );
            }
            Turn::Ended(None, talks) if !talks.is_empty() => {
                let agent = story.talks[talks[0]].agent.clone();
                let body = conversation(story, event, team, Some(&agent), "resolved");
                say("conversation_status_changed", body, status("open", "resolved"));
            }
            Turn::Other if event.kind == Kind::Message && event.is_final => {
                self.messages += 1;
                let (kind, sender) = match event.speaker {
                    Some(Speaker::Agent) => {
                        ("outgoing", json!({ "type": "user", "name": event.agent_id.as_deref() }))
                    }
                    Some(Speaker::Bot | Speaker::System) => {
                        ("outgoing", json!({ "type": "agent_bot", "name": "bot" }))
                    }
                    _ => ("incoming", json!({ "type": "contact", "id": story.customer })),
                };
                let about = conversation(story, event, team, talker, "open");
                let body = json!({
                    "id": self.messages, "content": event.text.as_deref(), "message_type": kind, "private": false, "sender": sender,
                    "created_at": format_time(event.time), "conversation": about,
                });
                say("message_created", body, Value::Null);
            }
            _ => {}
        }
    }
}
