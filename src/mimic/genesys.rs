//! Detail events of Genesys Cloud, as a notification channel brings them. Holds are told as a length at the end of an agent's
//! part; why a contact left its queue is told only as far as "flowed out".

use serde_json::{Map, Value, json};

use super::story::{Stories, Story, Turn};
use super::{Speech, Spoken};
use crate::event::{AgentStateName, BotOutcome, Channel, Direction, EndedBy, Event, Kind, LeaveReason};
use crate::time::{Millis, format_time};

#[derive(Debug, Default)]
pub(super) struct Genesys {
    stories: Stories,
}

fn media(channel: Channel) -> (&'static str, Option<&'static str>) {
    match channel {
        Channel::Voice => ("VOICE", None),
        Channel::Chat => ("CHAT", None),
        Channel::Email => ("EMAIL", None),
        Channel::Video => ("VIDEO", None),
        Channel::Sms => ("MESSAGE", Some("SMS")),
        Channel::Social => ("MESSAGE", Some("WHATSAPP")),
    }
}

impl Speech for Genesys {
    fn hear(&mut self, event: &Event<'_>, out: &mut Vec<Spoken>) {
        if event.kind == Kind::AgentState {
            return status(event, out);
        }
        self.stories.sweep(event.time);
        let Some((story, turn)) = self.stories.follow(event) else { return };
        let mut say = |step: &str, session: &str, more: Value| {
            let (media, message) = media(story.channel);
            let outbound = story.direction == Some(Direction::Outbound);
            let mut body = json!({
                "eventTime": event.time, "conversationId": story.id, "participantId": format!("{session}-p"), "sessionId": session,
                "mediaType": media, "direction": if outbound { "OUTBOUND" } else { "INBOUND" },
            });
            if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
                body.extend(more);
                if let Some(message) = message {
                    body.insert("messageType".to_owned(), message.into());
                }
            }
            let topic = format!("v2.detail.events.conversation.{}.{step}", story.id);
            let payload = json!({ "topicName": topic, "version": "2", "eventBody": body }).to_string();
            out.push(Spoken { time: event.time, key: story.id.clone(), payload });
        };
        let (customer, acd) = (format!("{}-c", story.id), |leg: usize| format!("{}-q{leg}", story.id));
        match turn {
            Turn::Started => say("customer.start", &customer, json!({ "externalContactId": story.customer })),
            Turn::Queued(leg) => say("acd.start", &acd(leg), json!({ "queueId": story.legs[leg].queue })),
            Turn::Answered(talk) => {
                let talk = &story.talks[talk];
                if let Some(leg) = talk.leg {
                    let body = json!({ "queueId": story.legs[leg].queue, "acdOutcome": "ANSWERED", "answeredUserId": talk.agent });
                    say("acd.end", &acd(leg), body);
                }
            }
            Turn::Left(leg, reason) => {
                let disconnect = match reason {
                    LeaveReason::Timeout => "TIMEOUT",
                    LeaveReason::Error => "ERROR",
                    _ => "TRANSFER",
                };
                let body = json!({ "queueId": story.legs[leg].queue, "acdOutcome": "FLOW_OUT", "disconnectType": disconnect });
                say("acd.end", &acd(leg), body);
            }
            Turn::Transferred(talk) => user_end(story, talk, event.time, &mut say),
            Turn::Ended(leg, talks) => {
                if let Some(leg) = leg {
                    let disconnect = if event.by == Some(EndedBy::System) { "ERROR" } else { "ENDPOINT" };
                    let body = json!({ "queueId": story.legs[leg].queue, "acdOutcome": "ABANDON", "disconnectType": disconnect });
                    say("acd.end", &acd(leg), body);
                }
                for talk in talks {
                    user_end(story, talk, event.time, &mut say);
                }
                let disconnect = match event.by {
                    Some(EndedBy::Customer) | None => "ENDPOINT",
                    Some(EndedBy::Agent) => "PEER",
                    Some(EndedBy::System) => "SYSTEM",
                };
                // The customer may come again, for a call back, as another participant.
                say(
                    "customer.end",
                    &format!("{customer}{}", story.ends.len()),
                    json!({ "disconnectType": disconnect }),
                );
            }
            Turn::Wrapped(talk) => {
                let session = format!("{}-u{talk}", story.id);
                let ended = story.talks[talk].ended.map_or(event.time, |(ended, _, _)| ended);
                let body = json!({
                    "userId": story.talks[talk].agent, "wrapupCode": event.disposition, "wrapupDurationMs": event.time - ended,
                });
                say("acw", &session, body);
            }
            Turn::Other => other(event, story, &mut say),
        }
    }
}

fn other(event: &Event<'_>, story: &Story, say: &mut impl FnMut(&str, &str, Value)) {
    let agent = event.agent_id.as_deref();
    let ring = format!("{}-r{}", story.id, agent.unwrap_or_default());
    let flow = format!("{}-f", story.id);
    match event.kind {
        Kind::Offered => say("user.start", &ring, json!({ "userId": agent, "queueId": event.queue })),
        Kind::Missed => {
            let body = json!({ "userId": agent, "queueId": event.queue, "alertingDurationMs": 15_000, "disconnectType": "SYSTEM" });
            say("user.end", &format!("{ring}-{}", event.time), body);
        }
        Kind::BotStarted => say("flow.start", &flow, json!({ "flowType": "INBOUNDCALL" })),
        Kind::BotEnded => {
            let exit = match event.bot_outcome {
                Some(BotOutcome::Handover) => "TRANSFER",
                Some(BotOutcome::Contained) => "FLOW_EXIT",
                _ => "DISCONNECT",
            };
            say("flow.end", &flow, json!({ "flowType": "INBOUNDCALL", "exitReason": exit }));
        }
        _ => {}
    }
}

fn user_end(story: &Story, at: usize, now: Millis, say: &mut impl FnMut(&str, &str, Value)) {
    let talk = &story.talks[at];
    let disconnect = match talk.ended {
        Some((_, _, true)) => "TRANSFER",
        Some((_, Some(EndedBy::Agent), _)) => "CLIENT",
        Some((_, Some(EndedBy::System), _)) => "SYSTEM",
        _ => "PEER",
    };
    let mut body = Map::new();
    body.insert("userId".to_owned(), talk.agent.clone().into());
    // A queue stands in it where a queue brought the contact, and for outbound ones.
    if talk.leg.is_some() || story.direction == Some(Direction::Outbound) {
        body.insert("queueId".to_owned(), talk.queue.clone().into());
    }
    body.insert("disconnectType".to_owned(), disconnect.into());
    body.insert("interactingDurationMs".to_owned(), (now - talk.since - talk.hold_ms).into());
    body.insert("heldDurationMs".to_owned(), talk.hold_ms.into());
    body.insert("contactingDurationMs".to_owned(), talk.dial_ms.into());
    say("user.end", &format!("{}-u{at}", story.id), Value::Object(body));
}

fn status(event: &Event<'_>, out: &mut Vec<Spoken>) {
    let (Some(agent), Some(state)) = (event.agent_id.as_deref(), event.state) else { return };
    let (routing, presence) = match state {
        AgentStateName::Available => ("IDLE", "ON_QUEUE"),
        AgentStateName::Busy | AgentStateName::Acw => ("INTERACTING", "ON_QUEUE"),
        AgentStateName::Offline => ("OFF_QUEUE", "OFFLINE"),
        AgentStateName::Break => ("OFF_QUEUE", "BREAK"),
        AgentStateName::Training => ("OFF_QUEUE", "TRAINING"),
        AgentStateName::Meeting => ("OFF_QUEUE", "MEETING"),
        AgentStateName::Other => ("NOT_RESPONDING", "ON_QUEUE"),
    };
    let at = format_time(event.time);
    let payload = json!({
        "topicName": format!("v2.users.{agent}.activity"),
        "eventBody": {
            "id": agent, "routingStatus": { "status": routing, "startTime": at },
            "presence": { "presenceDefinition": { "systemPresence": presence }, "modifiedDate": at },
        },
    });
    out.push(Spoken { time: event.time, key: agent.to_owned(), payload: payload.to_string() });
}
