//! The rows of a contact as JSON, for the columns `old` and `new` of `restatements`.

use std::fmt::Write;

use super::rows::Rows;
use crate::time::{Millis, format_time};

/// One JSON object: what a reader needs to see what changed.
pub(super) fn rows_json(rows: &Rows<'_>) -> String {
    let mut out = String::from("{");
    let contact = &rows.contact;
    text(&mut out, "outcome", contact.outcome);
    time(&mut out, "ended_at", contact.ended_at);
    number(&mut out, "messages", contact.messages);
    key(&mut out, "legs");
    out.push('[');
    for leg in &rows.legs {
        open(&mut out);
        text(&mut out, "queue", leg.queue);
        text(&mut out, "channel", leg.channel);
        time(&mut out, "queued_at", leg.queued_at);
        time(&mut out, "left_at", leg.left_at);
        number(&mut out, "wait_ms", leg.wait_ms);
        text(&mut out, "outcome", leg.outcome);
        text(&mut out, "agent_id", leg.agent_id);
        text(&mut out, "anomalies", leg.anomalies);
        out.push('}');
    }
    out.push(']');
    key(&mut out, "handlings");
    out.push('[');
    for handling in &rows.handlings {
        open(&mut out);
        text(&mut out, "agent_id", handling.agent_id);
        text(&mut out, "queue", handling.queue);
        time(&mut out, "started_at", handling.started_at);
        time(&mut out, "wrapped_at", handling.wrapped_at);
        number(&mut out, "talk_ms", handling.talk_ms);
        number(&mut out, "hold_ms", handling.hold_ms);
        number(&mut out, "acw_ms", handling.acw_ms);
        text(&mut out, "anomalies", handling.anomalies);
        out.push('}');
    }
    out.push(']');
    if !rows.findings.is_empty() {
        key(&mut out, "findings");
        out.push('[');
        for finding in &rows.findings {
            open(&mut out);
            text(&mut out, "rule", Some(finding.rule.as_str()));
            time(&mut out, "time", Some(finding.time));
            out.push('}');
        }
        out.push(']');
    }
    out.push('}');
    out
}

fn open(out: &mut String) {
    if out.ends_with('}') {
        out.push(',');
    }
    out.push('{');
}

fn key(out: &mut String, name: &str) {
    if !out.ends_with('{') {
        out.push(',');
    }
    let _ = write!(out, "\"{name}\":");
}

fn text(out: &mut String, name: &str, value: Option<&str>) {
    let Some(value) = value else { return };
    key(out, name);
    out.push('"');
    for c in value.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c < ' ' => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

fn number(out: &mut String, name: &str, value: Option<i64>) {
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
