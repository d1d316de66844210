//! Amazon Connect: the agent event stream. Each event has the agent's snapshot before and after it.
//!
//! What an agent does follows from the snapshot alone: talking while a contact is connected, after-contact work while an
//! ended one is still listed, else the status that was chosen. So a heartbeat repeats what is known, and a lost event is
//! made up for by the next. There is no event for the end of after-contact work: it ends with the first snapshot that no
//! longer lists the contact.

use serde_json::{Map, Value};

use super::connect::channel;
use super::vendor::{Out, agent_state, at, missing, owned, tail, text_at, time_at};
use crate::event::{AgentStateName, Kind, Reject};
use crate::time::Millis;

const KNOWN: &[&str] = &[
    "agentarn",
    "awsaccountid",
    "currentagentsnapshot",
    "eventid",
    "eventtimestamp",
    "eventtype",
    "instancearn",
    "previousagentsnapshot",
    "version",
];

/// One contact in a snapshot.
struct Held<'v> {
    id: String,
    object: &'v Map<String, Value>,
    state: String,
    since: Option<Millis>,
}

fn contacts<'v>(record: &'v Map<String, Value>, snapshot: &str) -> Result<Vec<Held<'v>>, Reject> {
    let listed = at(record, &[snapshot, "Contacts"]).and_then(Value::as_array).into_iter().flatten();
    let mut contacts = Vec::new();
    for object in listed.filter_map(Value::as_object) {
        let Some(id) = text_at(object, &["ContactId"]) else { continue };
        let state = text_at(object, &["State"]).unwrap_or_default();
        contacts.push(Held { id, object, state, since: time_at(object, &["StateStartTimestamp"])? });
    }
    Ok(contacts)
}

pub(super) fn agent_event(kind: &str, record: &Map<String, Value>, out: &mut Out) -> Result<(), Reject> {
    out.count_unknown(record, KNOWN);
    let sent = time_at(record, &["EventTimestamp"])?.ok_or_else(|| missing("EventTimestamp"))?;
    let agent = text_at(record, &["CurrentAgentSnapshot", "Configuration", "Username"])
        .or_else(|| text_at(record, &["PreviousAgentSnapshot", "Configuration", "Username"]))
        .or_else(|| text_at(record, &["AgentARN"]).map(|arn| tail(&arn).to_owned()))
        .ok_or_else(|| missing("AgentARN"))?;
    let now = contacts(record, "CurrentAgentSnapshot")?;
    let before = contacts(record, "PreviousAgentSnapshot")?;
    state(kind, record, sent, &agent, &now, !before.is_empty(), out)?;
    for held in &now {
        let was = before.iter().find(|other| other.id == held.id).map(|other| other.state.as_str());
        let since = held.since.unwrap_or(sent);
        match held.state.as_str() {
            state if was == Some(state) => {}
            "INCOMING" | "CONNECTING" if !matches!(was, Some("INCOMING" | "CONNECTING")) => {
                contact(Kind::Offered, "offered", since, held, &agent, out);
            }
            "MISSED" | "REJECTED" | "ERROR" => contact(Kind::Missed, "missed", since, held, &agent, out),
            _ => {}
        }
    }
    for held in before.iter().filter(|held| held.state == "ENDED") {
        if now.iter().any(|other| other.id == held.id)
            || text_at(held.object, &["ConnectedToAgentTimestamp"]).is_none()
        {
            continue;
        }
        contact(Kind::Wrapped, "wrapped", sent, held, &agent, out);
    }
    Ok(())
}

fn contact(kind: Kind, step: &str, time: Millis, held: &Held<'_>, agent: &str, out: &mut Out) {
    let id = match kind {
        // The same step as in a contact record.
        Kind::Wrapped => format!("{}-wrapped", held.id),
        _ => format!("{}-{step}-{time}", held.id),
    };
    let event = out.event(id, kind, time);
    event.contact_id =
        text_at(held.object, &["InitialContactId"]).or_else(|| Some(held.id.clone())).and_then(owned);
    event.channel = channel(held.object);
    event.agent_id = owned(agent);
}

fn state(
    kind: &str,
    record: &Map<String, Value>,
    sent: Millis,
    agent: &str,
    now: &[Held<'_>],
    had_contacts: bool,
    out: &mut Out,
) -> Result<(), Reject> {
    let status = text_at(record, &["CurrentAgentSnapshot", "AgentStatus", "Name"]);
    let chosen = time_at(record, &["CurrentAgentSnapshot", "AgentStatus", "StartTimestamp"])?;
    let talking = now.iter().filter(|held| matches!(held.state.as_str(), "CONNECTED" | "CONNECTED_ONHOLD"));
    let connected: Vec<Millis> = talking
        .map(|held| Ok(time_at(held.object, &["ConnectedToAgentTimestamp"])?.or(held.since).unwrap_or(sent)))
        .collect::<Result<_, Reject>>()?;
    let ended = now.iter().filter(|held| held.state == "ENDED").filter_map(|held| held.since).min();
    let (state, time, reason) = if kind == "LOGOUT" {
        (AgentStateName::Offline, sent, None)
    } else if let Some(since) = connected.into_iter().min() {
        (AgentStateName::Busy, since, None)
    } else if let Some(since) = ended {
        (AgentStateName::Acw, since, None)
    } else {
        let Some(name) = status else { return Ok(()) };
        let offline =
            text_at(record, &["CurrentAgentSnapshot", "AgentStatus", "Type"]).as_deref() == Some("OFFLINE");
        let routable =
            text_at(record, &["CurrentAgentSnapshot", "AgentStatus", "Type"]).as_deref() == Some("ROUTABLE");
        let state = if offline {
            AgentStateName::Offline
        } else if routable {
            AgentStateName::Available
        } else {
            agent_state(&name)
        };
        // Back from contacts the status goes on from now; else since it was chosen, which every heartbeat says again.
        let back = had_contacts && now.is_empty();
        let since = chosen.unwrap_or(sent);
        (state, if back { sent.max(since) } else { since }, Some(name))
    };
    let event = out.event(format!("{time}-{}", state.as_str()), Kind::AgentState, time);
    event.agent_id = owned(agent);
    event.state = Some(state);
    event.reason = reason.and_then(owned);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;

    /// An event with the contacts before and after it, each as (state, since).
    fn read(kind: &str, second: u32, before: &[(&str, u32)], now: &[(&str, u32)]) -> Vec<Event<'static>> {
        let list = |contacts: &[(&str, u32)]| {
            let contact = |(state, since): &(&str, u32)| {
                format!(
                    r#"{{"ContactId":"c1","Channel":"VOICE","State":"{state}","StateStartTimestamp":"2026-03-02T01:00:{since:02}.000Z",
                        "ConnectedToAgentTimestamp":"2026-03-02T01:00:05.000Z"}}"#
                )
            };
            contacts.iter().map(contact).collect::<Vec<_>>().join(",")
        };
        let snapshot = |contacts: &str| {
            format!(
                r#"{{"AgentStatus":{{"Name":"Available","Type":"ROUTABLE","StartTimestamp":"2026-03-02T01:00:00.000Z"}},
                    "Configuration":{{"Username":"li"}},"Contacts":[{contacts}]}}"#
            )
        };
        let text = format!(
            r#"{{"AgentARN":"arn:x/agent/a1","EventId":"e","EventType":"{kind}","EventTimestamp":"2026-03-02T01:00:{second:02}.000Z",
                "PreviousAgentSnapshot":{},"CurrentAgentSnapshot":{}}}"#,
            snapshot(&list(before)),
            snapshot(&list(now))
        );
        let value: Value = serde_json::from_str(&text).expect("the test writes JSON");
        let mut out = Out::default();
        agent_event(kind, value.as_object().expect("an object"), &mut out).expect("an agent event");
        out.events
    }

    fn state(events: &[Event<'static>]) -> (Option<AgentStateName>, Millis) {
        (events[0].state, events[0].time - 1_772_413_200_000)
    }

    #[test]
    fn a_snapshot_tells_what_the_agent_does_and_a_heartbeat_repeats_it() {
        assert_eq!(state(&read("HEART_BEAT", 30, &[], &[])), (Some(AgentStateName::Available), 0));
        let talking = read("STATE_CHANGE", 5, &[("CONNECTING", 3)], &[("CONNECTED", 5)]);
        assert_eq!(state(&talking), (Some(AgentStateName::Busy), 5_000));
        let still = read("HEART_BEAT", 40, &[("CONNECTED", 5)], &[("CONNECTED_ONHOLD", 20)]);
        assert_eq!(still[0].id, talking[0].id);
        let after = read("STATE_CHANGE", 45, &[("CONNECTED", 5)], &[("ENDED", 45)]);
        assert_eq!(state(&after), (Some(AgentStateName::Acw), 45_000));
        let back = read("STATE_CHANGE", 50, &[("ENDED", 45)], &[]);
        assert_eq!(state(&back), (Some(AgentStateName::Available), 50_000));
        assert_eq!(state(&read("LOGOUT", 55, &[], &[])), (Some(AgentStateName::Offline), 55_000));
    }

    #[test]
    fn after_contact_work_ends_with_the_first_snapshot_without_the_contact() {
        let back = read("STATE_CHANGE", 50, &[("ENDED", 45)], &[]);
        assert_eq!(
            (back[1].kind, &*back[1].id, back[1].time),
            (Kind::Wrapped, "c1-wrapped", 1_772_413_250_000)
        );
        assert_eq!(read("STATE_CHANGE", 50, &[("ENDED", 45)], &[("ENDED", 45)]).len(), 1);
        let missed = read("STATE_CHANGE", 20, &[("CONNECTING", 3)], &[("MISSED", 20)]);
        assert_eq!(missed[1].kind, Kind::Missed);
    }
}
