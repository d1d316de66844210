//! Genesys Cloud: detail events (`v2.detail.events.conversation.…`) through EventBridge or a notification channel, status of
//! users, and conversation details (`/api/v2/analytics/conversations/details`), alone or in a page of them.
//!
//! A contact is a conversation. Detail events tell each step as it happens, but holds only as a length at the end of an
//! agent's part; conversation details have every segment, and are sent again as the conversation goes on: the newest holds.
//! Both speak of queues and users by id: see [`Names`](super::Names).

use serde_json::{Map, Value};

use super::genesys_details::details;
use super::vendor::{
    Adapter, Out, agent_state, channel, int_at, json, member, missing, object, owned, text_at,
};
use super::vendor::{bad_time, time, unknown_type};
use crate::event::{BotOutcome, Channel, Direction, EndedBy, Kind, LeaveReason, Reject};
use crate::time::Millis;

/// Reads detail events and conversation details.
#[derive(Debug)]
pub(super) struct Genesys;

impl Adapter for Genesys {
    fn read(&mut self, text: &str, _timestamp: Option<Millis>, out: &mut Out) -> Result<(), Reject> {
        let value = json(text)?;
        let record = object(&value)?;
        // EventBridge puts what Genesys sends under `detail`.
        let record = member(record, "detail").and_then(Value::as_object).unwrap_or(record);
        if let Some(page) = member(record, "conversations").and_then(Value::as_array) {
            return page.iter().try_for_each(|conversation| details(object(conversation)?, out));
        }
        if member(record, "participants").is_some() {
            return details(record, out);
        }
        let topic = text_at(record, &["topicName"]).ok_or_else(|| missing("topicName"))?;
        let body =
            member(record, "eventBody").and_then(Value::as_object).ok_or_else(|| missing("eventBody"))?;
        if let Some(rest) = topic.strip_prefix("v2.detail.events.conversation.") {
            // After the id of the conversation, which may be `{id}`.
            let step = rest.split_once('.').map_or("", |(_, step)| step);
            return detail(step, body, out);
        }
        if topic.starts_with("v2.users.") {
            return user(&topic, body, out);
        }
        if topic == "channel.metadata" || topic.starts_with("v2.system.") {
            return Ok(());
        }
        Err(unknown_type("topic", &topic))
    }
}

/// The channel of a session.
pub(super) fn media(session: &Map<String, Value>) -> Option<Channel> {
    let media = text_at(session, &["mediaType"])?.to_ascii_lowercase();
    match media.as_str() {
        "message" => {
            text_at(session, &["messageType"]).and_then(|kind| channel(&kind)).or(Some(Channel::Chat))
        }
        other => channel(other),
    }
}

pub(super) fn direction(word: &str) -> Option<Direction> {
    match word.to_ascii_lowercase().as_str() {
        "inbound" => Some(Direction::Inbound),
        "outbound" => Some(Direction::Outbound),
        _ => None,
    }
}

/// Whether a part ended because the conversation was passed on.
pub(super) fn is_transfer(disconnect: &str) -> bool {
    disconnect.to_ascii_lowercase().contains("transfer")
}

/// Who ended it, told from one side: `peer` is the other one.
pub(super) fn by(disconnect: &str, own: EndedBy) -> Option<EndedBy> {
    let other = if own == EndedBy::Customer { EndedBy::Agent } else { EndedBy::Customer };
    match disconnect.to_ascii_lowercase().as_str() {
        "client" | "endpoint" => Some(own),
        "peer" => Some(other),
        "system" | "error" | "timeout" | "transport_failure" | "transport.failure" => Some(EndedBy::System),
        _ => None,
    }
}

const KNOWN: &[&str] = &[
    "eventtime",
    "conversationid",
    "participantid",
    "sessionid",
    "disconnecttype",
    "mediatype",
    "provider",
    "direction",
    "ani",
    "dnis",
    "addressto",
    "addressfrom",
    "callbackusername",
    "callbacknumbers",
    "callbackscheduledtime",
    "subject",
    "messagetype",
    "queueid",
    "divisionid",
    "acdoutcome",
    "answereduserid",
    "requestedroutings",
    "usedrouting",
    "requestedroutingskillids",
    "requestedlanguageid",
    "requestedroutinguserids",
    "routingpriority",
    "connecteddurationms",
    "userid",
    "interactingdurationms",
    "helddurationms",
    "alertingdurationms",
    "contactingdurationms",
    "dialingdurationms",
    "wrapupcode",
    "wrapupnotes",
    "wrapupdurationms",
    "conversationexternalcontactids",
    "conversationexternalorganizationids",
    "flowtype",
    "flowid",
    "flowversion",
    "transfertargetname",
    "transfertargetaddress",
    "transfertype",
    "exitreason",
    "entryreason",
    "entrytype",
    "flowouttype",
    "externalcontactid",
    "externalorganizationid",
    "interactionid",
];

fn detail(step: &str, body: &Map<String, Value>, out: &mut Out) -> Result<(), Reject> {
    let silent = matches!(
        step,
        "wrapup"
            | "attributes"
            | "contact"
            | "contact.update"
            | "outbound"
            | "outbound.init"
            | "callback"
            | "callbacks"
            | "voicemail.start"
            | "voicemail.end"
            | "recording"
            | "dialer"
            | "conversation.start"
            | "conversation.end"
    );
    if silent {
        return Ok(());
    }
    let known = matches!(
        step,
        "customer.start"
            | "customer.end"
            | "acd.start"
            | "acd.end"
            | "user.start"
            | "user.end"
            | "acw"
            | "flow.start"
            | "flow.end"
    );
    if !known {
        return Err(unknown_type("detail event", step));
    }
    out.count_unknown(body, KNOWN);
    let conversation = text_at(body, &["conversationId"]).ok_or_else(|| missing("conversationId"))?;
    let value = member(body, "eventTime").ok_or_else(|| missing("eventTime"))?;
    let at = time(value).ok_or_else(|| bad_time("eventTime", value))?;
    let session = text_at(body, &["sessionId"]).ok_or_else(|| missing("sessionId"))?;
    let disconnect = text_at(body, &["disconnectType"]).unwrap_or_default();
    let length = |name: &str| int_at(body, &[name]).unwrap_or(0).max(0);
    let (talk, held) = (length("interactingDurationMs"), length("heldDurationMs"));
    let way = text_at(body, &["direction"]).and_then(|word| direction(&word));
    let queue = text_at(body, &["queueId"]);
    let user = text_at(body, &["userId"]);
    let mut add = |what: &str, kind: Kind, time: Millis| {
        let event = out.event(format!("{session}-{what}"), kind, time);
        event.contact_id = owned(conversation.clone());
        event.channel = media(body);
        event.queue = queue.clone().and_then(owned);
        if matches!(kind, Kind::ContactStarted | Kind::Ended | Kind::BotStarted | Kind::BotEnded) {
            event.queue = None;
        } else if kind != Kind::Queued && kind != Kind::LeftQueue {
            event.agent_id = user.clone().and_then(owned);
        }
        out.events.len() - 1
    };
    match step {
        "customer.start" => {
            let event = add("start", Kind::ContactStarted, at);
            out.events[event].direction = way;
            out.events[event].customer_id =
                text_at(body, &["externalContactId"]).or_else(|| text_at(body, &["ani"])).and_then(owned);
        }
        "customer.end" => {
            let event = add("end", Kind::Ended, at);
            out.events[event].by = by(&disconnect, EndedBy::Customer);
            out.events[event].reason = owned(disconnect);
        }
        "flow.start" | "flow.end" => {
            let flow = text_at(body, &["flowType"]).unwrap_or_default().to_ascii_uppercase();
            // Flows of other kinds run beside a queue or an agent.
            if !matches!(
                flow.as_str(),
                "INBOUNDCALL" | "INBOUNDCHAT" | "INBOUNDSHORTMESSAGE" | "INBOUNDEMAIL" | "BOT" | "DIGITALBOT"
            ) {
                return Ok(());
            }
            if step == "flow.start" {
                add("flow-start", Kind::BotStarted, at);
            } else {
                let exit = text_at(body, &["exitReason"]).unwrap_or_default().to_ascii_uppercase();
                let event = add("flow-end", Kind::BotEnded, at);
                out.events[event].bot_outcome = Some(if exit.contains("TRANSFER") {
                    BotOutcome::Handover
                } else if exit.contains("FLOW") || exit.contains("EXIT") {
                    BotOutcome::Contained
                } else {
                    BotOutcome::Abandoned
                });
            }
        }
        "acd.start" => {
            add("queued", Kind::Queued, at);
        }
        "acd.end" => match text_at(body, &["acdOutcome"]).unwrap_or_default().as_str() {
            "ANSWERED" => {
                let agent = text_at(body, &["answeredUserId"]).ok_or_else(|| missing("answeredUserId"))?;
                let event = add("answered", Kind::Answered, at);
                out.events[event].agent_id = owned(agent);
            }
            "ABANDON" => {
                let event = add("abandon", Kind::Ended, at);
                let system = by(&disconnect, EndedBy::Customer) == Some(EndedBy::System);
                out.events[event].by = Some(if system { EndedBy::System } else { EndedBy::Customer });
            }
            "FLOW_OUT" => {
                let event = add("left", Kind::LeftQueue, at);
                out.events[event].leave_reason =
                    Some(if disconnect == "TIMEOUT" { LeaveReason::Timeout } else { LeaveReason::Overflow });
            }
            // The wait is over and nobody knows how.
            "" | "UNKNOWN" => {
                let event = add("left", Kind::LeftQueue, at);
                out.events[event].leave_reason = Some(LeaveReason::Error);
            }
            other => return Err(unknown_type("acdOutcome", other)),
        },
        "user.start" => {
            if way != Some(Direction::Outbound) {
                add("offered", Kind::Offered, at);
            }
        }
        "user.end" if talk + held == 0 => {
            if length("alertingDurationMs") > 0 {
                add("missed", Kind::Missed, at);
            }
        }
        "user.end" => {
            if way == Some(Direction::Outbound) || queue.is_none() {
                // No queue has told the answer.
                add("connected", Kind::Answered, at - talk - held);
            }
            if held > 0 {
                add("held", Kind::Held, at - held);
                add("resumed", Kind::Resumed, at);
            }
            if is_transfer(&disconnect) {
                add("transferred", Kind::Transferred, at);
            } else {
                add("done", Kind::Ended, at);
            }
            let dialled = length("dialingDurationMs") + length("contactingDurationMs");
            for event in &mut out.events {
                match event.kind {
                    Kind::Answered => event.dial_ms = (dialled > 0).then_some(dialled),
                    Kind::Ended => event.by = by(&disconnect, EndedBy::Agent),
                    _ => {}
                }
            }
        }
        _ => {
            let event = add("wrapped", Kind::Wrapped, at);
            out.events[event].disposition = text_at(body, &["wrapupCode"]).and_then(owned);
        }
    }
    Ok(())
}

/// Status of a user.
fn user(topic: &str, body: &Map<String, Value>, out: &mut Out) -> Result<(), Reject> {
    let id = text_at(body, &["id"])
        .or_else(|| topic.split('.').nth(2).map(str::to_owned))
        .filter(|id| id != "{id}")
        .ok_or_else(|| missing("id"))?;
    let routing = text_at(body, &["routingStatus", "status"]);
    let presence = text_at(body, &["presence", "presenceDefinition", "systemPresence"]);
    let since = |path: &[&str]| super::vendor::time_at(body, path);
    // On a queue the routing status tells; off queue it is the presence that says why.
    let (word, at) = match (routing.as_deref(), presence) {
        (Some("OFF_QUEUE") | None, Some(presence)) => {
            (presence, since(&["presence", "modifiedDate"])?.max(since(&["routingStatus", "startTime"])?))
        }
        (Some(routing), _) => (routing.to_owned(), since(&["routingStatus", "startTime"])?),
        (None, None) => return Ok(()),
    };
    let at = at.ok_or_else(|| missing("startTime"))?;
    let event = out.event(format!("{at}-{word}"), Kind::AgentState, at);
    event.agent_id = owned(id);
    event.state = Some(match word.to_ascii_uppercase().as_str() {
        "OFF_QUEUE" | "OFFLINE" => crate::event::AgentStateName::Offline,
        "NOT_RESPONDING" => crate::event::AgentStateName::Other,
        other => agent_state(&other.replace('_', " ")),
    });
    event.reason = owned(word);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{AgentStateName, Event, RejectReason};

    fn read(text: &str) -> Result<Vec<Event<'static>>, RejectReason> {
        let mut out = Out::default();
        Genesys.read(text, None, &mut out).map_err(|reject| reject.reason)?;
        Ok(out.events)
    }

    fn step(step: &str, body: &str) -> String {
        format!(
            r#"{{"topicName":"v2.detail.events.conversation.c1.{step}","eventBody":{{"eventTime":1772413200123,"conversationId":"c1",
                "participantId":"p1","sessionId":"s1","mediaType":"VOICE"{body}}}}}"#
        )
    }

    #[test]
    fn an_envelope_changes_nothing() {
        let bare = step("acd.start", r#","queueId":"q1""#);
        let wrapped = format!(
            r#"{{"version":"0","detail-type":"v2.detail.events.conversation.{{id}}.acd.start","detail":{bare}}}"#
        );
        let events = read(&bare).expect("an event");
        assert_eq!(Ok(&events), read(&wrapped).as_ref());
        assert_eq!((events[0].kind, events[0].queue.as_deref()), (Kind::Queued, Some("q1")));
    }

    #[test]
    fn holds_and_talk_come_from_the_end_of_the_agent_s_part() {
        let ended = step(
            "user.end",
            r#","userId":"u1","queueId":"q1","direction":"INBOUND","interactingDurationMs":20000,"heldDurationMs":5000,"disconnectType":"PEER""#,
        );
        let seen: Vec<_> = read(&ended)
            .expect("events")
            .iter()
            .map(|event| (event.kind, event.time - 1_772_413_200_123, event.by))
            .collect();
        assert_eq!(
            seen,
            [(Kind::Held, -5_000, None), (Kind::Resumed, 0, None), (Kind::Ended, 0, Some(EndedBy::Customer))]
        );
        let missed = step("user.end", r#","userId":"u1","queueId":"q1","alertingDurationMs":8000"#);
        assert_eq!(read(&missed).expect("an event")[0].kind, Kind::Missed);
        let dialled = step(
            "user.end",
            r#","userId":"u1","direction":"OUTBOUND","dialingDurationMs":900,"contactingDurationMs":6100,"interactingDurationMs":20000"#,
        );
        let events = read(&dialled).expect("events");
        assert_eq!((events[0].kind, events[0].dial_ms), (Kind::Answered, Some(7_000)));
    }

    #[test]
    fn a_user_s_status_is_routing_then_presence() {
        let status = |routing: &str, presence: &str| {
            let record = format!(
                r#"{{"topicName":"v2.users.u1.activity","eventBody":{{"id":"u1","routingStatus":{{"status":"{routing}","startTime":"2026-03-02T01:00:00.000Z"}},
                    "presence":{{"presenceDefinition":{{"systemPresence":"{presence}"}},"modifiedDate":"2026-03-02T01:00:05.000Z"}}}}}}"#
            );
            read(&record).expect("a state")[0].state
        };
        assert_eq!(status("IDLE", "ON_QUEUE"), Some(AgentStateName::Available));
        assert_eq!(status("INTERACTING", "ON_QUEUE"), Some(AgentStateName::Busy));
        assert_eq!(status("OFF_QUEUE", "MEAL"), Some(AgentStateName::Break));
        assert_eq!(status("OFF_QUEUE", "OFFLINE"), Some(AgentStateName::Offline));
        assert_eq!(status("NOT_RESPONDING", "ON_QUEUE"), Some(AgentStateName::Other));
    }

    #[test]
    fn what_is_not_known_is_refused_with_its_reason() {
        assert_eq!(read("[]"), Err(RejectReason::NotObject));
        assert_eq!(read(&step("dance", "")), Err(RejectReason::UnknownType));
        assert_eq!(read(&step("wrapup", "")), Ok(vec![]));
        assert_eq!(
            read(r#"{"topicName":"v2.detail.events.conversation.c1.acw","eventBody":{}}"#),
            Err(RejectReason::MissingField)
        );
        assert_eq!(read(&step("acd.end", r#","acdOutcome":"VANISHED""#)), Err(RejectReason::UnknownType));
    }
}
