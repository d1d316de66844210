//! FreeSWITCH: the events `callcenter::info` of mod_callcenter, as JSON (`event_socket` in JSON, mod_event_amqp, mod_kafka)
//! or as plain text headers.
//!
//! A contact is a member of a queue (`CC-Member-UUID`): it stays the same when a caller who hung up calls again and takes
//! up the place (`member-queue-resume`), which undoes the abandon. A call that visits two queues is two members.
//! mod_callcenter tells no after-contact work and no hold: a handling is wrapped when its bridge ends.

use serde_json::{Map, Value};

use super::vendor::{Adapter, Out, decoded, missing, object, owned, text_at, time_text, unknown_type};
use super::vendor::{agent_state, json, reject};
use crate::event::{AgentStateName, Channel, EndedBy, Kind, LeaveReason, Reject, RejectReason};
use crate::time::Millis;

/// Reads `callcenter::info` events.
#[derive(Debug)]
pub(super) struct Callcenter;

impl Adapter for Callcenter {
    fn read(&mut self, text: &str, _timestamp: Option<Millis>, out: &mut Out) -> Result<(), Reject> {
        let text = text.trim();
        let headers = if text.starts_with('{') { object(&json(text)?)?.clone() } else { plain(text) };
        event(&headers, out)
    }
}

/// Headers of a plain event: `Name: value`, the value with URL escapes.
fn plain(text: &str) -> Map<String, Value> {
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    lines
        .map(|(name, value)| {
            (name.trim().to_owned(), Value::String(decoded(&value.trim().replace('+', "%2B"))))
        })
        .collect()
}

/// When the event was fired; the `CC-…-Time` headers have whole seconds only.
fn fired(headers: &Map<String, Value>, fallback: &[&str]) -> Result<Millis, Reject> {
    for name in std::iter::once(&"Event-Date-Timestamp").chain(fallback) {
        if let Some(text) = text_at(headers, &[name]).filter(|text| text != "0") {
            return time_text(&text)
                .ok_or_else(|| reject(RejectReason::BadTime, format!("`{name}` is no time: `{text}`")));
        }
    }
    Err(missing("Event-Date-Timestamp"))
}

fn event(headers: &Map<String, Value>, out: &mut Out) -> Result<(), Reject> {
    let header = |name: &str| text_at(headers, &[name]);
    if let Some(subclass) = header("Event-Subclass").filter(|subclass| subclass != "callcenter::info") {
        return Err(unknown_type("Event-Subclass", &subclass));
    }
    let action = header("CC-Action").ok_or_else(|| missing("CC-Action"))?;
    let agent = header("CC-Agent");
    match action.as_str() {
        // Answers to who asked on the console, and the list of agents itself.
        "members-count" | "agent-add" | "agent-del" => return Ok(()),
        asked if asked.starts_with("agent-") && asked.ends_with("-get") => return Ok(()),
        "agent-status-change" | "agent-state-change" => {
            let agent = agent.ok_or_else(|| missing("CC-Agent"))?;
            let time = fired(headers, &[])?;
            // Status is what the agent has chosen; the state within it tells calls, and the resting states nothing new.
            let (word, state) = match action.as_str() {
                "agent-status-change" => {
                    let status = header("CC-Agent-Status").ok_or_else(|| missing("CC-Agent-Status"))?;
                    let state = match status.as_str() {
                        "Logged Out" => AgentStateName::Offline,
                        "Available" | "Available (On Demand)" => AgentStateName::Available,
                        "On Break" => AgentStateName::Break,
                        other => agent_state(other),
                    };
                    (status, state)
                }
                _ => {
                    let state = header("CC-Agent-State").ok_or_else(|| missing("CC-Agent-State"))?;
                    match state.as_str() {
                        "Receiving" | "In a queue call" => (state, AgentStateName::Busy),
                        "Waiting" => (state, AgentStateName::Available),
                        _ => return Ok(()),
                    }
                }
            };
            let event = out.event(format!("{action}-{time}-{word}"), Kind::AgentState, time);
            event.agent_id = owned(agent);
            event.state = Some(state);
            event.reason = owned(word);
            return Ok(());
        }
        _ => {}
    }
    let member = header("CC-Member-UUID").ok_or_else(|| missing("CC-Member-UUID"))?;
    let mut add = |step: String, kind: Kind, time: Millis| {
        let event = out.event(step, kind, time);
        event.contact_id = owned(member.clone());
        event.queue = header("CC-Queue").and_then(owned);
        event.channel = Some(Channel::Voice);
        event.customer_id = header("CC-Member-CID-Number").and_then(owned);
        if matches!(kind, Kind::Offered | Kind::Missed | Kind::Answered | Kind::Wrapped) {
            event.agent_id = agent.clone().and_then(owned);
        }
    };
    let wait = format!("{member}/wait");
    match action.as_str() {
        "member-queue-start" => {
            let time = fired(headers, &["CC-Member-Joined-Time"])?;
            add("start".to_owned(), Kind::Queued, time);
        }
        "member-queue-resume" => {
            let time = fired(headers, &[])?;
            add(format!("resume-{time}"), Kind::Queued, time);
            // Takes the place of the abandon, which is of the same document and older.
            let event = out.events.last_mut().expect("one was just added");
            (event.record, event.version) = (owned(wait), Some(time));
        }
        "agent-offering" => {
            let time = fired(headers, &["CC-Agent-Called-Time"])?;
            add(format!("offered-{time}"), Kind::Offered, time);
        }
        "bridge-agent-start" => {
            let time = fired(headers, &["CC-Agent-Answered-Time"])?;
            add(format!("answered-{}", header("CC-Agent-UUID").unwrap_or_default()), Kind::Answered, time);
        }
        "bridge-agent-fail" => {
            let time = fired(headers, &["CC-Agent-Aborted-Time", "CC-Agent-Called-Time"])?;
            add(format!("missed-{time}"), Kind::Missed, time);
        }
        "bridge-agent-end" => {
            let time = fired(headers, &["CC-Bridge-Terminated-Time"])?;
            let bridge = header("CC-Agent-UUID").unwrap_or_default();
            add(format!("ended-{bridge}"), Kind::Ended, time);
            add(format!("wrapped-{bridge}"), Kind::Wrapped, time);
        }
        "member-queue-end" => {
            let time = fired(headers, &["CC-Member-Leaving-Time"])?;
            let cause = header("CC-Cause").ok_or_else(|| missing("CC-Cause"))?;
            match cause.as_str() {
                "Terminated" => add("end".to_owned(), Kind::Ended, time),
                "Cancel" => {
                    let why = header("CC-Cancel-Reason").unwrap_or_default();
                    let reason = match why.as_str() {
                        "TIMEOUT" => Some(LeaveReason::Timeout),
                        "NO_AGENT_TIMEOUT" => Some(LeaveReason::NoAgent),
                        "EXIT_WITH_KEY" => Some(LeaveReason::ExitKey),
                        _ => None,
                    };
                    if let Some(reason) = reason {
                        add(format!("left-{time}"), Kind::LeftQueue, time);
                        out.events.last_mut().expect("one was just added").leave_reason = Some(reason);
                        let event = out.event(format!("gone-{time}"), Kind::Ended, time);
                        event.contact_id = owned(member.clone());
                    } else {
                        add(format!("abandon-{time}"), Kind::Ended, time);
                        out.events.last_mut().expect("one was just added").by = Some(EndedBy::Customer);
                    }
                    for event in &mut out.events {
                        (event.record, event.version) = (owned(wait.clone()), Some(time));
                        if event.kind == Kind::Ended {
                            event.reason = owned(why.clone());
                        }
                    }
                }
                other => return Err(unknown_type("CC-Cause", other)),
            }
        }
        other => return Err(unknown_type("CC-Action", other)),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<crate::event::Event<'static>>, RejectReason> {
        let mut out = Out::default();
        Callcenter.read(text, None, &mut out).map_err(|reject| reject.reason)?;
        Ok(out.events)
    }

    #[test]
    fn plain_headers_and_json_say_the_same() {
        let text = "Event-Subclass: callcenter%3A%3Ainfo\nEvent-Date-Timestamp: 1772413200123456\nCC-Action: member-queue-start\n\
                    CC-Queue: support%40default\nCC-Member-UUID: m1\nCC-Member-CID-Number: %2B15551\n";
        let json = r#"{"Event-Subclass":"callcenter::info","Event-Date-Timestamp":"1772413200123456","CC-Action":"member-queue-start",
                       "CC-Queue":"support@default","CC-Member-UUID":"m1","CC-Member-CID-Number":"+15551"}"#;
        let events = read(text).expect("an event");
        assert_eq!(Ok(&events), read(json).as_ref());
        let event = &events[0];
        assert_eq!(
            (event.kind, event.time, event.queue.as_deref()),
            (Kind::Queued, 1_772_413_200_123, Some("support@default"))
        );
        assert_eq!(event.customer_id.as_deref(), Some("+15551"));
    }

    #[test]
    fn seconds_serve_where_there_is_nothing_better() {
        let json = r#"{"CC-Action":"member-queue-end","CC-Cause":"Cancel","CC-Cancel-Reason":"TIMEOUT","CC-Queue":"q",
                       "CC-Member-UUID":"m1","CC-Member-Joined-Time":"9000","CC-Member-Leaving-Time":"10050"}"#;
        let events = read(json).expect("events");
        let seen: Vec<_> = events.iter().map(|event| (event.kind, event.time, event.leave_reason)).collect();
        assert_eq!(
            seen,
            [(Kind::LeftQueue, 10_050_000, Some(LeaveReason::Timeout)), (Kind::Ended, 10_050_000, None)]
        );
    }

    #[test]
    fn what_is_not_known_is_refused_with_its_reason() {
        assert_eq!(read("{}"), Err(RejectReason::MissingField));
        assert_eq!(read(r#"{"CC-Action":"dance","CC-Member-UUID":"m"}"#), Err(RejectReason::UnknownType));
        assert_eq!(read(r#"{"Event-Subclass":"conference::maintenance"}"#), Err(RejectReason::UnknownType));
        assert_eq!(read(r#"{"CC-Action":"members-count"}"#), Ok(vec![]));
        assert_eq!(read(r#"{"CC-Action":"agent-status-get","CC-Agent":"a"}"#), Ok(vec![]));
        assert_eq!(read("{"), Err(RejectReason::NotJson));
    }
}
