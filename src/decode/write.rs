//! An event as canonical JSON: the inverse of reading, for snapshots and for converted records.

use std::fmt::Write;

use crate::event::{Event, Kind};
use crate::time::{Millis, format_time};

/// Appends the event to `out` as one JSON object without line breaks.
pub fn write_event(event: &Event<'_>, out: &mut String) {
    out.push('{');
    text(out, "id", Some(&event.id));
    text(out, "type", Some(event.kind.as_str()));
    time(out, "time", Some(event.time));
    text(out, "contact_id", event.contact_id.as_deref());
    text(out, "agent_id", event.agent_id.as_deref());
    text(out, "channel", event.channel.map(|channel| channel.as_str()));
    text(out, "queue", event.queue.as_deref());
    text(out, "department", event.department.as_deref());
    text(out, "customer_id", event.customer_id.as_deref());
    text(out, "tier", event.tier.as_deref());
    text(out, "direction", event.direction.map(|direction| direction.as_str()));
    text(out, "topic", event.topic.as_deref());
    text(out, "outcome", event.bot_outcome.map(|outcome| outcome.as_str()));
    number(out, "dial_ms", event.dial_ms);
    let reason = event.leave_reason.map(|reason| reason.as_str()).or(event.reason.as_deref());
    text(out, "reason", reason);
    text(out, "to_queue", event.to_queue.as_deref());
    text(out, "to_agent", event.to_agent.as_deref());
    text(out, "mode", event.mode.map(|mode| mode.as_str()));
    text(out, "by", event.by.map(|by| by.as_str()));
    flag(out, "resolved", event.resolved);
    text(out, "disposition", event.disposition.as_deref());
    text(out, "from", event.speaker.map(|speaker| speaker.as_str()));
    text(out, "text", event.text.as_deref());
    number(out, "duration_ms", event.duration_ms);
    flag(out, "final", (event.kind == Kind::Message && !event.is_final).then_some(false));
    text(out, "utterance", event.utterance.as_deref());
    text(out, "state", event.state.map(|state| state.as_str()));
    number(out, "csat", event.csat);
    number(out, "nps", event.nps);
    number(out, "ces", event.ces);
    text(out, "comment", event.comment.as_deref());
    text(out, "complaint_id", event.complaint_id.as_deref());
    text(out, "category", event.category.as_deref());
    number(out, "severity", event.severity);
    text(out, "verdict", event.verdict.map(|verdict| verdict.as_str()));
    text(out, "cause", event.cause.as_deref());
    text(out, "promise_id", event.promise_id.as_deref());
    time(out, "due", event.due);
    text(out, "shift_id", event.shift_id.as_deref());
    text(out, "role", event.role.map(|role| role.as_str()));
    raw(out, "queues", event.queues.as_deref());
    time(out, "start", event.start);
    time(out, "end", event.end);
    flag(out, "preferred", event.preferred);
    time(out, "published_at", event.published_at);
    number(out, "paid_minutes", event.paid_minutes);
    text(out, "record", event.record.as_deref());
    number(out, "version", event.version);
    raw(out, "attributes", event.attributes.as_deref());
    out.push('}');
}

fn key(out: &mut String, name: &str) {
    if !out.ends_with('{') {
        out.push(',');
    }
    let _ = write!(out, "\"{name}\":");
}

fn text(out: &mut String, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        key(out, name);
        out.push_str(&serde_json::to_string(value).expect("a text is always JSON"));
    }
}

fn raw(out: &mut String, name: &str, json: Option<&str>) {
    if let Some(json) = json {
        key(out, name);
        out.push_str(json);
    }
}

fn number(out: &mut String, name: &str, value: Option<i64>) {
    if let Some(value) = value {
        key(out, name);
        let _ = write!(out, "{value}");
    }
}

fn flag(out: &mut String, name: &str, value: Option<bool>) {
    if let Some(value) = value {
        key(out, name);
        let _ = write!(out, "{value}");
    }
}

fn time(out: &mut String, name: &str, value: Option<Millis>) {
    if let Some(value) = value {
        key(out, name);
        let _ = write!(out, "\"{}\"", format_time(value));
    }
}
