//! Twilio: TaskRouter's event callbacks (form or JSON) and the webhooks of Conversations, both also through Event Streams
//! (CloudEvents, alone or in a list).
//!
//! A contact is a task, or the conversation that the task's attributes name (`conversationSid`), so that messages join it.
//! Everything in a callback is text, attributes are JSON inside a text, and events of one instant may be stamped some
//! milliseconds out of order; TaskRouter tells no hold.

use serde_json::{Map, Value};

use super::vendor::{
    Adapter, Out, channel, form, int, json, missing, object, owned, reject, text, time, unknown_type,
};
use super::vendor::{agent_state, bad_time};
use crate::event::{
    AgentStateName, Channel, Direction, EndedBy, Kind, LeaveReason, Reject, RejectReason, Speaker,
};
use crate::time::Millis;

/// Reads TaskRouter events and Conversations webhooks.
#[derive(Debug)]
pub(super) struct Twilio;

/// Members of a callback by their names in lower case and without underscores: callbacks write `TaskSid`, streams `task_sid`.
struct Fields(Map<String, Value>);

impl Fields {
    fn of(object: &Map<String, Value>) -> Fields {
        let plain =
            |name: &String| name.chars().filter(|c| *c != '_').map(|c| c.to_ascii_lowercase()).collect();
        Fields(object.iter().map(|(name, value)| (plain(name), value.clone())).collect())
    }

    fn text(&self, name: &str) -> Option<String> {
        self.0.get(name).and_then(text)
    }

    /// Attributes are JSON in a text, or an object where a stream has read it already.
    fn attributes(&self, name: &str) -> Map<String, Value> {
        match self.0.get(name) {
            Some(Value::String(text)) => serde_json::from_str(text).unwrap_or_default(),
            Some(Value::Object(object)) => object.clone(),
            _ => Map::new(),
        }
    }

    fn time(&self) -> Result<Millis, Reject> {
        for name in ["timestampms", "timestamp", "datecreated"] {
            if let Some(value) = self.0.get(name).filter(|value| text(value).is_some()) {
                return time(value).ok_or_else(|| bad_time(name, value));
            }
        }
        Err(missing("Timestamp"))
    }
}

/// Fields of callbacks, for the count of unknown ones.
const KNOWN: &[&str] = &[
    "accountsid",
    "eventtype",
    "eventdescription",
    "resourcetype",
    "resourcesid",
    "timestamp",
    "timestampms",
    "sid",
    "workspacesid",
    "workspacename",
    "workflowsid",
    "workflowname",
    "workflowfiltername",
    "workflowfilterexpression",
    "tasksid",
    "taskattributes",
    "taskage",
    "taskpriority",
    "taskassignmentstatus",
    "taskcanceledreason",
    "taskcompletedreason",
    "taskchannelsid",
    "taskchanneluniquename",
    "taskqueuesid",
    "taskqueuename",
    "taskqueuetargetexpression",
    "taskqueueentereddate",
    "taskdatecreated",
    "taskreevaluatedreason",
    "taskversion",
    "taskroutingtarget",
    "taskignorecapacity",
    "taskagelimit",
    "virtualstarttime",
    "workersid",
    "workername",
    "workerattributes",
    "workeractivitysid",
    "workeractivityname",
    "workerpreviousactivitysid",
    "workerpreviousactivityname",
    "workertimeinpreviousactivity",
    "workertimeinpreviousactivityms",
    "workerversion",
    "workerchannelavailable",
    "workerchannelavailablecapacity",
    "workerchannelassignedtasks",
    "reservationsid",
    "reservationversion",
    "reservationreasoncode",
    "reason",
    "operatingunitsid",
    "operatingunitname",
    "transfersid",
    "transfermode",
    "transferto",
    "transfertype",
    "transferstatus",
    "transferfailedreason",
    "transferinitiatingworkersid",
    "transferinitiatingreservationsid",
    "transferstarted",
    "activitysid",
    "activityname",
    "activityavailable",
];

impl Adapter for Twilio {
    fn read(&mut self, text: &str, _timestamp: Option<Millis>, out: &mut Out) -> Result<(), Reject> {
        let trimmed = text.trim_start();
        if !trimmed.starts_with(['{', '[']) {
            if !trimmed.contains('=') {
                return Err(reject(RejectReason::NotJson, "neither JSON nor a form (`Name=value&…`)"));
            }
            return callback(&form(text), None, out);
        }
        match json(text)? {
            Value::Array(items) => items.iter().try_for_each(|item| one(item, out)),
            value => one(&value, out),
        }
    }
}

fn one(value: &Value, out: &mut Out) -> Result<(), Reject> {
    let record = object(value)?;
    let Some(kind) =
        record.get("type").and_then(Value::as_str).filter(|_| record.contains_key("specversion"))
    else {
        return callback(record, None, out);
    };
    let data = || record.get("data").and_then(Value::as_object).ok_or_else(|| missing("data"));
    if let Some(name) = kind.strip_prefix("com.twilio.conversations.") {
        // Only what was said matters; a stream tells it by the webhook's names, but for the text.
        return match name {
            "message.added" => message(&Fields::of(data()?), out),
            _ => Ok(()),
        };
    }
    let Some(name) = kind.strip_prefix("com.twilio.taskrouter.") else {
        return Err(unknown_type("type", kind));
    };
    let data = data()?;
    let payload = data.get("payload").and_then(Value::as_object).unwrap_or(data);
    callback(payload, Some(name), out)
}

fn callback(record: &Map<String, Value>, stream_type: Option<&str>, out: &mut Out) -> Result<(), Reject> {
    let fields = Fields::of(record);
    let name = stream_type
        .map(str::to_owned)
        .or_else(|| fields.text("eventtype"))
        .ok_or_else(|| missing("EventType"))?;
    if name.starts_with("on") && !name.contains('.') {
        return conversation(&name, &fields, out);
    }
    out.unknown_fields += fields.0.keys().filter(|key| !KNOWN.contains(&key.as_str())).count() as u64;
    if name.starts_with("worker.") {
        return worker(&name, &fields, out);
    }
    task(&name, &fields, out)
}

fn worker(name: &str, fields: &Fields, out: &mut Out) -> Result<(), Reject> {
    let state = match name {
        "worker.activity.update" => {
            let activity = fields.text("workeractivityname").ok_or_else(|| missing("WorkerActivityName"))?;
            let state = agent_state(&activity);
            (state, Some(activity))
        }
        "worker.deleted" => (AgentStateName::Offline, None),
        "worker.created"
        | "worker.attributes.update"
        | "worker.capacity.update"
        | "worker.channel.availability.update" => {
            return Ok(());
        }
        other => return Err(unknown_type("EventType", other)),
    };
    let time = fields.time()?;
    let agent = agent(fields).ok_or_else(|| missing("WorkerName"))?;
    let id = fields.text("sid").unwrap_or_else(|| format!("{name}-{time}"));
    let event = out.event(id, Kind::AgentState, time);
    event.agent_id = owned(agent);
    event.state = Some(state.0);
    event.reason = state.1.and_then(owned);
    Ok(())
}

fn agent(fields: &Fields) -> Option<String> {
    fields.text("workername").or_else(|| fields.text("workersid"))
}

/// Events of tasks that change no figure.
const SILENT: &[&str] = &[
    "task.updated",
    "task.transfer-initiated",
    "task.transfer-attempt-failed",
    "task.transfer-failed",
    "task.transfer-canceled",
    "task.transfer-completed",
    "task.set-virtual-start-time",
    "workflow.entered",
    "workflow.target-matched",
    "workflow.timeout",
    "workflow.skipped",
    "workflow.created",
    "workflow.updated",
    "workflow.deleted",
    "task-queue.created",
    "task-queue.deleted",
    "task-queue.expression.updated",
    "reservation.rescinded",
    "reservation.canceled",
    "reservation.failed",
    "activity.created",
    "activity.updated",
    "activity.deleted",
    "workspace.created",
    "workspace.updated",
    "workspace.deleted",
    "task-channel.created",
    "task-channel.updated",
    "task-channel.deleted",
];

fn task(name: &str, fields: &Fields, out: &mut Out) -> Result<(), Reject> {
    if SILENT.contains(&name) {
        return Ok(());
    }
    let kinds: &[Kind] = match name {
        "task.created" => &[Kind::ContactStarted],
        "task-queue.entered" | "task-queue.moved" => &[Kind::Queued],
        "task-queue.timeout" => &[Kind::LeftQueue],
        "reservation.created" => &[Kind::Offered],
        "reservation.accepted" => &[Kind::Answered],
        "reservation.rejected" | "reservation.timeout" => &[Kind::Missed],
        "reservation.wrapup" => &[Kind::Transferred],
        "reservation.completed" => &[Kind::Wrapped],
        "task.wrapup" | "task.completed" | "task.deleted" | "task.system-deleted" => &[Kind::Ended],
        "task.canceled" => &[Kind::LeftQueue, Kind::Ended],
        other => return Err(unknown_type("EventType", other)),
    };
    // One agent's part ends here while another has the task: a transfer. Else the task itself tells the end.
    let status = fields.text("taskassignmentstatus").unwrap_or_default();
    if name == "reservation.wrapup" && status != "assigned" {
        return Ok(());
    }
    let time = fields.time()?;
    let sid = fields.text("tasksid").ok_or_else(|| missing("TaskSid"))?;
    let attributes = fields.attributes("taskattributes");
    let attribute = |names: &[&str]| names.iter().find_map(|name| attributes.get(*name).and_then(text));
    let contact = attribute(&["conversationSid", "conversation_sid"]).unwrap_or(sid);
    let task_channel = fields.text("taskchanneluniquename");
    let channel = attribute(&["channelType", "channel_type"])
        .as_deref()
        .and_then(channel)
        .or_else(|| task_channel.as_deref().and_then(channel));
    let canceled = fields.text("taskcanceledreason").or_else(|| fields.text("reason")).unwrap_or_default();
    for &kind in kinds {
        let leave = match name {
            "task-queue.timeout" => Some(LeaveReason::Timeout),
            _ => left(&canceled),
        };
        if kind == Kind::LeftQueue && leave.is_none() {
            continue;
        }
        // A task ends once; everything else may happen again and has an id of its own.
        let once = matches!(kind, Kind::ContactStarted | Kind::Ended);
        let own = if once { None } else { fields.text("sid") };
        let id = match own {
            Some(sid) => format!("{sid}-{}", kind.as_str()),
            None if once => kind.as_str().to_owned(),
            None => format!("{name}-{time}-{}", fields.text("reservationsid").unwrap_or_default()),
        };
        let event = out.event(id, kind, time);
        event.contact_id = owned(contact.clone());
        event.channel = channel;
        event.customer_id =
            attribute(&["customerId", "customer_id", "from", "caller", "customerAddress"]).and_then(owned);
        if !once {
            event.queue =
                fields.text("taskqueuename").or_else(|| fields.text("taskqueuesid")).and_then(owned);
        }
        match kind {
            Kind::ContactStarted => {
                event.direction = attribute(&["direction"]).and_then(|word| direction(&word));
                event.topic = attribute(&["topic", "reason"]).and_then(owned);
            }
            Kind::Offered | Kind::Missed | Kind::Answered | Kind::Transferred | Kind::Wrapped => {
                event.agent_id = agent(fields).and_then(owned);
            }
            Kind::LeftQueue => event.leave_reason = leave,
            Kind::Ended => {
                event.by = ended_by(name, &canceled);
                event.reason = owned(canceled.clone());
            }
            _ => {}
        }
        if kind == Kind::Answered {
            event.dial_ms = attributes.get("dial_ms").and_then(int).filter(|ms| *ms >= 0);
        }
        if kind == Kind::Wrapped {
            event.disposition = fields.text("taskcompletedreason").and_then(owned);
        }
    }
    Ok(())
}

fn direction(word: &str) -> Option<Direction> {
    match word.to_ascii_lowercase().as_str() {
        word if word.starts_with("inbound") => Some(Direction::Inbound),
        word if word.starts_with("outbound") => Some(Direction::Outbound),
        "callback" => Some(Direction::Callback),
        _ => None,
    }
}

/// Why a task that was cancelled left its queue; `None` where the customer hung up.
fn left(reason: &str) -> Option<LeaveReason> {
    let reason = reason.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| reason.contains(word));
    if has(&["ttl", "timeout", "timed out"]) {
        Some(LeaveReason::Timeout)
    } else if has(&["callback"]) {
        Some(LeaveReason::Callback)
    } else if has(&["leave", "exit"]) {
        Some(LeaveReason::ExitKey)
    } else if has(&["redirected", "overflow"]) {
        Some(LeaveReason::Overflow)
    } else if has(&["no agent", "no worker", "no_agent"]) {
        Some(LeaveReason::NoAgent)
    } else if has(&["closed"]) {
        Some(LeaveReason::Closed)
    } else if has(&["error"]) {
        Some(LeaveReason::Error)
    } else {
        None
    }
}

fn ended_by(name: &str, reason: &str) -> Option<EndedBy> {
    let reason = reason.to_ascii_lowercase();
    match name {
        "task.deleted" | "task.system-deleted" => Some(EndedBy::System),
        "task.canceled" if reason.contains("hangup") || reason.contains("abandon") || reason.is_empty() => {
            Some(EndedBy::Customer)
        }
        _ => None,
    }
}

/// Webhooks of Conversations: messages.
fn conversation(name: &str, fields: &Fields, out: &mut Out) -> Result<(), Reject> {
    match name {
        "onMessageAdded" => {}
        "onMessageAdd"
        | "onMessageUpdate"
        | "onMessageUpdated"
        | "onMessageRemove"
        | "onMessageRemoved"
        | "onConversationAdd"
        | "onConversationAdded"
        | "onConversationUpdate"
        | "onConversationUpdated"
        | "onConversationRemove"
        | "onConversationRemoved"
        | "onConversationStateUpdated"
        | "onParticipantAdd"
        | "onParticipantAdded"
        | "onParticipantUpdate"
        | "onParticipantUpdated"
        | "onParticipantRemove"
        | "onParticipantRemoved"
        | "onDeliveryUpdated"
        | "onUserAdded"
        | "onUserUpdate"
        | "onUserUpdated" => return Ok(()),
        other => return Err(unknown_type("EventType", other)),
    }
    message(fields, out)
}

/// A message of a conversation.
fn message(fields: &Fields, out: &mut Out) -> Result<(), Reject> {
    let time = fields.time()?;
    let contact = fields.text("conversationsid").ok_or_else(|| missing("ConversationSid"))?;
    let id = fields.text("messagesid").ok_or_else(|| missing("MessageSid"))?;
    let Some(body) = fields.text("body").or_else(|| fields.text("messagebody")) else { return Ok(()) };
    let author = fields.text("author").unwrap_or_default();
    let source = fields.text("source").unwrap_or_default().to_ascii_lowercase();
    let told = fields.attributes("attributes").get("from").and_then(text);
    // The webhook does not name a role. Addresses are customers', what a program sends is a bot's.
    let speaker = told.as_deref().and_then(Speaker::parse).unwrap_or_else(|| {
        if author.starts_with('+')
            || author.contains(':')
            || matches!(source.as_str(), "sms" | "mms" | "whatsapp" | "messenger")
        {
            Speaker::Customer
        } else if author == "system" {
            Speaker::System
        } else if source == "api" {
            Speaker::Bot
        } else {
            Speaker::Agent
        }
    });
    let event = out.event(id, Kind::Message, time);
    event.contact_id = owned(contact);
    event.channel = channel(&source).or(Some(Channel::Chat));
    event.speaker = Some(speaker);
    event.agent_id = if speaker == Speaker::Agent { owned(author) } else { None };
    event.text = owned(body);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<crate::event::Event<'static>>, RejectReason> {
        let mut out = Out::default();
        Twilio.read(text, None, &mut out).map_err(|reject| reject.reason)?;
        Ok(out.events)
    }

    #[test]
    fn a_form_a_json_body_and_a_stream_say_the_same() {
        let form = "EventType=reservation.accepted&TimestampMs=1772413200123&Timestamp=1772413200&TaskSid=WT1&Sid=EV1\
                    &TaskQueueName=Sales+%26+more&WorkerName=li&ReservationSid=WR1&TaskChannelUniqueName=voice\
                    &TaskAttributes=%7B%22from%22%3A%22%2B15551%22%7D";
        let json = r#"{"EventType":"reservation.accepted","TimestampMs":"1772413200123","TaskSid":"WT1","Sid":"EV1",
            "TaskQueueName":"Sales & more","WorkerName":"li","ReservationSid":"WR1","TaskChannelUniqueName":"voice",
            "TaskAttributes":"{\"from\":\"+15551\"}"}"#;
        let stream = r#"[{"specversion":"1.0","type":"com.twilio.taskrouter.reservation.accepted","id":"EV1","data":{"payload":{
            "eventtype":"reservation.accepted","timestamp":"2026-03-02T01:00:00.123Z","task_sid":"WT1","sid":"EV1",
            "task_queue_name":"Sales & more","worker_name":"li","reservation_sid":"WR1","task_channel_unique_name":"voice",
            "task_attributes":"{\"from\":\"+15551\"}"}}}]"#;
        let events = read(form).expect("an event");
        assert_eq!(events.len(), 1);
        assert_eq!(Ok(&events), read(json).as_ref());
        assert_eq!(Ok(&events), read(stream).as_ref());
        let event = &events[0];
        assert_eq!((event.kind, event.time), (Kind::Answered, 1_772_413_200_123));
        assert_eq!(
            (event.queue.as_deref(), event.customer_id.as_deref()),
            (Some("Sales & more"), Some("+15551"))
        );
    }

    #[test]
    fn a_hang_up_while_waiting_is_no_exit_and_a_lifetime_that_ran_out_is() {
        let canceled = |reason: &str| {
            let record = format!(
                r#"{{"EventType":"task.canceled","TimestampMs":"1772413200123","TaskSid":"WT1","TaskCanceledReason":"{reason}"}}"#
            );
            let events = read(&record).expect("events");
            events.iter().map(|event| (event.kind, event.leave_reason, event.by)).collect::<Vec<_>>()
        };
        assert_eq!(canceled("hangup"), [(Kind::Ended, None, Some(EndedBy::Customer))]);
        let timeout = [(Kind::LeftQueue, Some(LeaveReason::Timeout), None), (Kind::Ended, None, None)];
        assert_eq!(canceled("Task TTL Exceeded"), timeout);
    }

    #[test]
    fn messages_know_who_speaks() {
        let says = |fields: &str| {
            let record = format!(
                "EventType=onMessageAdded&ConversationSid=CH1&MessageSid=IM1&DateCreated=2026-03-02T01:00:00Z&Body=hi&{fields}"
            );
            read(&record).expect("a message")[0].speaker
        };
        assert_eq!(says("Author=%2B15551&Source=SMS"), Some(Speaker::Customer));
        assert_eq!(says("Author=whatsapp%3A%2B15551"), Some(Speaker::Customer));
        assert_eq!(says("Author=helper&Source=API"), Some(Speaker::Bot));
        assert_eq!(says("Author=li&Source=SDK"), Some(Speaker::Agent));
        assert_eq!(
            says("Author=visitor7&Source=SDK&Attributes=%7B%22from%22%3A%22customer%22%7D"),
            Some(Speaker::Customer)
        );
    }

    #[test]
    fn a_stream_tells_messages_too() {
        let stream = |kind: &str| {
            format!(
                r#"{{"specversion":"1.0","type":"com.twilio.conversations.{kind}","id":"NO1","data":{{"Author":"whatsapp:+15551",
                "ParticipantSid":"MB1","ConversationSid":"CH1","MessageSid":"IM1","Index":10,"MessageBody":"hi",
                "DateCreated":"2026-03-02T01:00:00.000Z"}}}}"#
            )
        };
        let form = "EventType=onMessageAdded&ConversationSid=CH1&MessageSid=IM1&DateCreated=2026-03-02T01:00:00Z&Body=hi\
                    &Author=whatsapp%3A%2B15551";
        assert_eq!(read(&stream("message.added")), read(form));
        assert_eq!(read(&stream("participant.added")), Ok(vec![]));
    }

    #[test]
    fn what_is_not_known_is_refused_with_its_reason() {
        assert_eq!(read("hello"), Err(RejectReason::NotJson));
        assert_eq!(
            read("{\"EventType\":\"task.dance\",\"TaskSid\":\"WT1\"}"),
            Err(RejectReason::UnknownType)
        );
        assert_eq!(read("EventType=task.created&Timestamp=now&TaskSid=WT1"), Err(RejectReason::BadTime));
        assert_eq!(read("EventType=task.created&Timestamp=1772413200"), Err(RejectReason::MissingField));
        assert_eq!(read("EventType=task.updated"), Ok(vec![]));
    }
}
