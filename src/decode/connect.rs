//! Amazon Connect: contact records (CTR), contact events (EventBridge envelope or bare), the agent event stream, and the
//! real-time segments of Contact Lens.
//!
//! A contact of ours is a chain of theirs: all that share `InitialContactId`. The steps of one of theirs have the same ids
//! in a contact record and in its contact events, so that either may come, or both. Where a chain goes on, the next link
//! takes the place of the end of the one before, by its id: their events come in no order.

use serde_json::{Map, Value};

use super::connect_agents::agent_event;
use super::connect_lens::segments;
use super::vendor::{
    Adapter, Out, at, int_at, json, member, missing, object, owned, tail, text_at, time_at, unknown_type,
};
use crate::event::{Channel, Direction, EndedBy, Kind, LeaveReason, Reject};
use crate::time::Millis;

/// Reads the streams of Amazon Connect.
#[derive(Debug)]
pub(super) struct Connect;

impl Adapter for Connect {
    fn read(&mut self, text: &str, timestamp: Option<Millis>, out: &mut Out) -> Result<(), Reject> {
        let value = json(text)?;
        let envelope = object(&value)?;
        let record = member(envelope, "detail").and_then(Value::as_object).unwrap_or(envelope);
        // The streams of chats say it otherwise.
        if let Some(kind) = text_at(record, &["StreamingEventType"]) {
            return match kind.as_str() {
                "SEGMENTS" => segments(record, timestamp, out),
                "STARTED" | "COMPLETED" | "FAILED" => Ok(()),
                other => Err(unknown_type("StreamingEventType", other)),
            };
        }
        let Some(kind) = text_at(record, &["EventType"]) else {
            if text_at(record, &["ContactId"]).is_none() {
                return Err(missing("ContactId"));
            }
            return contact(record, None, None, out);
        };
        let lens = member(record, "Segments").is_some() || member(record, "LanguageCode").is_some();
        match kind.as_str() {
            "LOGIN" | "LOGOUT" | "STATE_CHANGE" | "HEART_BEAT" => agent_event(&kind, record, out),
            "SEGMENTS" => segments(record, timestamp, out),
            "STARTED" | "FAILED" => Ok(()),
            "COMPLETED" if lens => Ok(()),
            "INITIATED" | "QUEUED" | "CONNECTED_TO_AGENT" | "DISCONNECTED" | "COMPLETED" => {
                contact(record, Some(&kind), time_at(envelope, &["time"])?, out)
            }
            "CONNECTED_TO_SYSTEM"
            | "CONTACT_DATA_UPDATED"
            | "AMD_DISABLED"
            | "PAUSED"
            | "RESUMED"
            | "WEBRTC_API" => Ok(()),
            other => Err(unknown_type("EventType", other)),
        }
    }
}

/// Their word for a channel. A task is work without a live customer, as e-mail is.
pub(super) fn channel(record: &Map<String, Value>) -> Option<Channel> {
    let word = text_at(record, &["Channel"])?;
    if word.eq_ignore_ascii_case("TASK") { Some(Channel::Email) } else { super::vendor::channel(&word) }
}

/// A queue or agent by its name, else by the id at the end of its ARN.
fn name(record: &Map<String, Value>, place: &str, name: &str, arns: &[&str]) -> Option<String> {
    text_at(record, &[place, name]).or_else(|| {
        arns.iter().find_map(|arn| text_at(record, &[place, arn])).map(|arn| tail(&arn).to_owned())
    })
}

const KNOWN: &[&str] = &[
    "agent",
    "agentinfo",
    "agentconnectionattempts",
    "answeringmachinedetectionstatus",
    "attributes",
    "awsaccountid",
    "awscontacttracerecordformatversion",
    "campaign",
    "channel",
    "connectedtosystemtimestamp",
    "contactassociationid",
    "contactdetails",
    "contactevaluations",
    "contactid",
    "contactlens",
    "customerendpoint",
    "customervoiceactivity",
    "disconnectreason",
    "disconnecttimestamp",
    "eventtype",
    "initialcontactid",
    "initiationmethod",
    "initiationtimestamp",
    "instancearn",
    "lastupdatetimestamp",
    "mediastreams",
    "nextcontactid",
    "outboundstrategy",
    "previouscontactid",
    "qualitymetrics",
    "queue",
    "queueinfo",
    "recording",
    "recordings",
    "recordingsinfo",
    "references",
    "relatedcontactid",
    "routingcriteria",
    "scheduledtimestamp",
    "segmentattributes",
    "statetransitions",
    "systemendpoint",
    "tags",
    "transfercompletedtimestamp",
    "transferredtoendpoint",
    "updatedproperties",
    "voiceidresult",
    "chatmetrics",
    "chatstreamingconfiguration",
    "globalresiliencymetadata",
    "participantmetrics",
    "totalpausecount",
    "totalpausedurationinseconds",
    "wisdominfo",
    "qinconnectinfo",
    "campaigninfo",
    "deviceinfo",
    "additionalemailrecipients",
    "tasktemplateinfo",
    "customerid",
    "anonymousfields",
    "disconnectdetails",
    "ringtimestamp",
];

/// One link of a chain: everything that the record says about it so far.
fn contact(
    record: &Map<String, Value>,
    kind: Option<&str>,
    sent: Option<Millis>,
    out: &mut Out,
) -> Result<(), Reject> {
    out.count_unknown(record, KNOWN);
    let link = text_at(record, &["ContactId"]).ok_or_else(|| missing("ContactId"))?;
    let chain = text_at(record, &["InitialContactId"]).unwrap_or_else(|| link.clone());
    let previous = text_at(record, &["PreviousContactId"]).filter(|previous| *previous != link);
    let next = text_at(record, &["NextContactId"]);
    let method = text_at(record, &["InitiationMethod"]).unwrap_or_default();
    let first = out.events.len();
    let moment = |paths: &[&[&str]]| -> Result<Option<Millis>, Reject> {
        paths
            .iter()
            .map(|path| time_at(record, path))
            .find(|found| !matches!(found, Ok(None)))
            .unwrap_or(Ok(None))
    };
    // A bare event of a type may lack the moment that the type is about; then the envelope's time stands for it.
    let of = |of: &str, found: Option<Millis>| if kind == Some(of) { found.or(sent) } else { found };
    let initiated = of("INITIATED", moment(&[&["InitiationTimestamp"]])?);
    let enqueued =
        of("QUEUED", moment(&[&["Queue", "EnqueueTimestamp"], &["QueueInfo", "EnqueueTimestamp"]])?);
    let dequeued = moment(&[&["Queue", "DequeueTimestamp"], &["QueueInfo", "DequeueTimestamp"]])?;
    let connected = of(
        "CONNECTED_TO_AGENT",
        moment(&[&["Agent", "ConnectedToAgentTimestamp"], &["AgentInfo", "ConnectedToAgentTimestamp"]])?,
    );
    let acw_start = moment(&[
        &["Agent", "AfterContactWorkStartTimestamp"],
        &["AgentInfo", "AfterContactWorkStartTimestamp"],
    ])?;
    let acw_end = moment(&[
        &["Agent", "AfterContactWorkEndTimestamp"],
        &["AgentInfo", "AfterContactWorkEndTimestamp"],
    ])?;
    let disconnected = of("DISCONNECTED", moment(&[&["DisconnectTimestamp"]])?);
    let passed_on = time_at(record, &["TransferCompletedTimestamp"])?;
    let queue = name(record, "Queue", "Name", &["ARN"])
        .or_else(|| name(record, "QueueInfo", "QueueName", &["QueueArn", "ARN"]));
    let agent = name(record, "Agent", "Username", &["ARN"])
        .or_else(|| name(record, "AgentInfo", "Username", &["AgentArn", "ARN"]));
    // A supervisor who listens is no agent of the contact; one who joins in still is not whom the customer waited for.
    let agent = agent.filter(|_| method != "MONITOR");
    let of_agent = [at(record, &["Queue", "ARN"]), at(record, &["QueueInfo", "QueueArn"])]
        .iter()
        .flatten()
        .any(|arn| arn.as_str().is_some_and(|arn| arn.contains("/queue/agent/")))
        || text_at(record, &["QueueInfo", "QueueType"]).as_deref() == Some("AGENT");

    // How it began, and what that says about the link before.
    if let Some(initiated) = initiated {
        // A moment before this link is queued or answered, which may be in the same second.
        let before = initiated - 1;
        match (method.as_str(), &previous) {
            (
                "INBOUND" | "OUTBOUND" | "EXTERNAL_OUTBOUND" | "API" | "WEBRTC_API" | "AGENT_REPLY" | "FLOW",
                None,
            )
            | ("CALLBACK", None) => {
                let event = out.event("started", Kind::ContactStarted, initiated);
                event.direction = Some(direction(&method, channel(record)));
            }
            ("QUEUE_TRANSFER" | "CALLBACK", Some(previous)) => {
                let event = out.event(format!("{previous}-ended"), Kind::LeftQueue, before);
                event.leave_reason =
                    Some(if method == "CALLBACK" { LeaveReason::Callback } else { LeaveReason::Overflow });
            }
            // A contact record of the link before tells it better.
            ("TRANSFER", Some(previous)) if kind.is_some() => {
                out.event(format!("{previous}-ended"), Kind::Transferred, before);
            }
            _ => {}
        }
    }
    if let (Some(enqueued), Some(queue), false) = (enqueued, &queue, of_agent) {
        out.event(format!("{link}-queued"), Kind::Queued, enqueued).queue = owned(queue.clone());
    }
    let reason = text_at(record, &["DisconnectReason"]).unwrap_or_default();
    let goes_on = next.is_some() || reason == "TRANSFERRED";
    if let (Some(connected), Some(agent)) = (connected, &agent) {
        let named = |event: &mut crate::event::Event<'static>| {
            event.agent_id = owned(agent.clone());
            event.queue = queue.clone().filter(|_| !of_agent).and_then(owned);
        };
        let event = out.event(format!("{link}-answered"), Kind::Answered, connected);
        named(event);
        // An outbound contact rings between the dialling and the answer.
        let dialled =
            initiated.filter(|_| method.ends_with("OUTBOUND")).map(|initiated| connected - initiated);
        event.dial_ms = dialled.filter(|ms| *ms > 0);
        let left = if disconnected.is_some() || passed_on.is_some() {
            acw_start.or(passed_on).or(disconnected)
        } else {
            acw_start
        };
        if let Some(left) = left {
            let seconds = int_at(record, &["Agent", "CustomerHoldDuration"])
                .or_else(|| int_at(record, &["AgentInfo", "AgentInitiatedHoldDuration"]))
                .or_else(|| int_at(record, &["AgentInfo", "HoldDuration"]));
            if let Some(hold) = seconds.map(|seconds| seconds * 1000).filter(|hold| *hold > 0) {
                named(out.event(format!("{link}-held"), Kind::Held, left - hold));
                named(out.event(format!("{link}-resumed"), Kind::Resumed, left));
            }
            if goes_on {
                named(out.event(format!("{link}-ended"), Kind::Transferred, left));
            } else if passed_on.is_some() {
                named(out.event(format!("{link}-passed"), Kind::Transferred, left));
            } else if disconnected.is_some_and(|disconnected| disconnected != left) {
                out.event(format!("{link}-done"), Kind::Ended, left).by = by(&reason);
            }
            if let Some(wrapped) = acw_end.or(disconnected.filter(|_| acw_start.is_none()).map(|_| left)) {
                out.event(format!("{link}-wrapped"), Kind::Wrapped, wrapped).agent_id = owned(agent.clone());
            }
        }
    }
    if let Some(disconnected) = disconnected.filter(|_| !goes_on) {
        let waits = enqueued.is_some() && connected.is_none() && !of_agent;
        let by_flow = matches!(reason.as_str(), "CONTACT_FLOW_DISCONNECT" | "EXPIRED");
        // Out of the queue before the end: a flow took it out. A second, since records have whole ones.
        let out_of_queue = dequeued.filter(|dequeued| *dequeued + 1000 <= disconnected);
        if waits && (by_flow || out_of_queue.is_some()) {
            let broken = !by_flow && by(&reason) == Some(EndedBy::System);
            let event =
                out.event(format!("{link}-left"), Kind::LeftQueue, out_of_queue.unwrap_or(disconnected));
            event.leave_reason = Some(if broken { LeaveReason::Error } else { LeaveReason::Timeout });
        }
        // A consultation that nobody took ends for itself: the customer is with the agent who asked.
        let only_asked = waits && by_flow && out_of_queue.is_none() && method == "TRANSFER";
        if !only_asked {
            ended(&link, disconnected, &reason, out);
        }
    }
    let channel = channel(record);
    let customer =
        text_at(record, &["CustomerId"]).or_else(|| text_at(record, &["CustomerEndpoint", "Address"]));
    let version = time_at(record, &["LastUpdateTimestamp"])?.filter(|_| kind.is_none());
    for event in &mut out.events[first..] {
        event.contact_id = owned(chain.clone());
        event.channel = channel;
        event.customer_id = customer.clone().and_then(owned);
        if let Some(version) = version {
            event.record = owned(format!("ctr/{link}"));
            event.version = Some(version);
        }
    }
    Ok(())
}

fn ended(link: &str, at: Millis, reason: &str, out: &mut Out) {
    let event = out.event(format!("{link}-ended"), Kind::Ended, at);
    event.by = by(reason);
    event.reason = owned(reason);
}

fn direction(method: &str, channel: Option<Channel>) -> Direction {
    match method {
        "OUTBOUND" | "EXTERNAL_OUTBOUND" | "AGENT_REPLY" => Direction::Outbound,
        "CALLBACK" => Direction::Callback,
        // The interface starts calls to customers, and chats of customers.
        "API" if channel == Some(Channel::Voice) => Direction::Outbound,
        _ => Direction::Inbound,
    }
}

fn by(reason: &str) -> Option<EndedBy> {
    match reason {
        "CUSTOMER_DISCONNECT" => Some(EndedBy::Customer),
        "AGENT_DISCONNECT" | "BARGED" => Some(EndedBy::Agent),
        "" | "OTHER" | "THIRD_PARTY_DISCONNECT" => None,
        _ => Some(EndedBy::System),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Event, RejectReason};

    fn read(text: &str) -> Result<Vec<Event<'static>>, RejectReason> {
        let mut out = Out::default();
        Connect.read(text, None, &mut out).map_err(|reject| reject.reason)?;
        Ok(out.events)
    }

    fn steps(text: &str) -> Vec<(String, Kind)> {
        read(text).expect("events").into_iter().map(|event| (event.id.into_owned(), event.kind)).collect()
    }

    const RECORD: &str = r#"{"ContactId":"c1","InitiationMethod":"INBOUND","Channel":"VOICE","InitiationTimestamp":"2026-03-02T01:00:00Z",
        "Queue":{"Name":"Sales","EnqueueTimestamp":"2026-03-02T01:00:10Z","DequeueTimestamp":"2026-03-02T01:00:30Z"},
        "Agent":{"Username":"li","ConnectedToAgentTimestamp":"2026-03-02T01:00:30Z","CustomerHoldDuration":20,
                 "AfterContactWorkStartTimestamp":"2026-03-02T01:03:00Z","AfterContactWorkEndTimestamp":"2026-03-02T01:03:40Z"},
        "DisconnectTimestamp":"2026-03-02T01:03:00Z","DisconnectReason":"CUSTOMER_DISCONNECT",
        "LastUpdateTimestamp":"2026-03-02T01:04:00Z","NewField":1}"#;

    #[test]
    fn a_contact_record_is_a_whole_contact() {
        let events = read(RECORD).expect("events");
        let seen: Vec<_> = events.iter().map(|event| (event.kind, event.time - 1_772_413_200_000)).collect();
        let want = [
            (Kind::ContactStarted, 0),
            (Kind::Queued, 10_000),
            (Kind::Answered, 30_000),
            (Kind::Held, 160_000),
            (Kind::Resumed, 180_000),
            (Kind::Wrapped, 220_000),
            (Kind::Ended, 180_000),
        ];
        assert_eq!(seen, want);
        assert!(events.iter().all(
            |event| event.version == Some(1_772_413_440_000) && event.contact_id.as_deref() == Some("c1")
        ));
    }

    #[test]
    fn contact_events_name_the_same_steps_in_any_case_of_their_keys() {
        let queued = r#"{"version":"0","detail-type":"Amazon Connect Contact Event","time":"2026-03-02T01:00:11Z","detail":{
            "eventType":"QUEUED","contactId":"c1","channel":"Voice","initiationMethod":"INBOUND",
            "queueInfo":{"queueArn":"arn:aws:connect:eu:1:instance/i/queue/q1","queueType":"STANDARD"}}}"#;
        let events = read(queued).expect("an event");
        assert_eq!(
            (&*events[0].id, events[0].time, events[0].queue.as_deref()),
            ("c1-queued", 1_772_413_211_000, Some("q1"))
        );
        assert_eq!(events[0].channel, Some(Channel::Voice));
    }

    #[test]
    fn a_link_that_follows_takes_the_place_of_the_end_before() {
        let initiated = |method: &str| {
            format!(
                r#"{{"eventType":"INITIATED","contactId":"c2","initialContactId":"c1","previousContactId":"c1",
                    "initiationMethod":"{method}","initiationTimestamp":"2026-03-02T01:02:00Z"}}"#
            )
        };
        assert_eq!(steps(&initiated("TRANSFER")), [("c1-ended".to_owned(), Kind::Transferred)]);
        assert_eq!(steps(&initiated("QUEUE_TRANSFER")), [("c1-ended".to_owned(), Kind::LeftQueue)]);
        let events = read(&initiated("CALLBACK")).expect("an event");
        assert_eq!(events[0].leave_reason, Some(LeaveReason::Callback));
    }

    #[test]
    fn who_hangs_up_in_the_queue_abandons() {
        let record = RECORD.split(r#""Agent""#).next().expect("a beginning").to_owned()
            + r#""DisconnectTimestamp":"2026-03-02T01:00:30Z","DisconnectReason":"CUSTOMER_DISCONNECT"}"#;
        let ended = read(&record).expect("events").pop().expect("an end");
        assert_eq!((ended.kind, ended.by), (Kind::Ended, Some(EndedBy::Customer)));
    }

    #[test]
    fn what_is_not_known_is_counted_or_refused_with_its_reason() {
        let mut out = Out::default();
        Connect.read(RECORD, None, &mut out).expect("events");
        assert_eq!(out.unknown_fields, 1);
        assert_eq!(read("{}"), Err(RejectReason::MissingField));
        assert_eq!(read(r#"{"EventType":"DANCE","ContactId":"c"}"#), Err(RejectReason::UnknownType));
        assert_eq!(read(r#"{"EventType":"CONTACT_DATA_UPDATED","ContactId":"c"}"#), Ok(vec![]));
        assert_eq!(read(r#"{"ContactId":"c","InitiationTimestamp":"noon"}"#), Err(RejectReason::BadTime));
        assert_eq!(read(r#"{"ContactId":"c","StreamingEventType":"STARTED"}"#), Ok(vec![]));
        assert_eq!(read(r#"{"ContactId":"c","StreamingEventType":"DANCE"}"#), Err(RejectReason::UnknownType));
    }

    #[test]
    fn who_listens_in_is_no_agent_of_the_contact() {
        let event = r#"{"eventType":"CONNECTED_TO_AGENT","contactId":"c9","initialContactId":"c1","initiationMethod":"MONITOR",
            "agentInfo":{"agentArn":"arn:x/agent/chief","connectedToAgentTimestamp":"2026-03-02T01:02:00Z"}}"#;
        assert_eq!(read(event), Ok(vec![]));
    }
}
