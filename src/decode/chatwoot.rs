//! Chatwoot: webhooks of conversations and messages.
//!
//! A contact is a conversation; it waits in its inbox until an agent is assigned to it or answers, and ends when it is resolved.
//! A conversation that is opened again waits again: the same contact, one more leg. Webhooks carry the state of the
//! conversation as of now beside what has happened, so that a lost one is made up for by the next; times are whole
//! seconds but for `updated_at`.

use serde_json::{Map, Value};

use super::vendor::{
    Adapter, Out, at, channel, json, member, missing, object, owned, text, text_at, time, time_at,
};
use super::vendor::{bad_time, unknown_type};
use crate::event::{Channel, Direction, EndedBy, Event, Kind, Reject, Speaker};
use crate::time::Millis;

/// Reads webhooks.
#[derive(Debug)]
pub(super) struct Chatwoot;

impl Adapter for Chatwoot {
    fn read(&mut self, text: &str, _timestamp: Option<Millis>, out: &mut Out) -> Result<(), Reject> {
        let value = json(text)?;
        let record = object(&value)?;
        let name = text_at(record, &["event"]).ok_or_else(|| missing("event"))?;
        match name.as_str() {
            "message_created" => message(record, out),
            "conversation_created" => created(record, out),
            "conversation_updated" => updated(record, out),
            "conversation_status_changed" => status_changed(record, out),
            "message_updated"
            | "webwidget_triggered"
            | "contact_created"
            | "contact_updated"
            | "conversation_typing_on"
            | "conversation_typing_off"
            | "inbox_created"
            | "inbox_updated"
            | "conversation_resolved"
            | "conversation_opened" => Ok(()),
            other => Err(unknown_type("event", other)),
        }
    }
}

const KNOWN: &[&str] = &[
    "event",
    "additional_attributes",
    "can_reply",
    "channel",
    "contact_inbox",
    "id",
    "display_id",
    "inbox_id",
    "inbox",
    "messages",
    "labels",
    "meta",
    "status",
    "custom_attributes",
    "snoozed_until",
    "unread_count",
    "first_reply_created_at",
    "priority",
    "waiting_since",
    "agent_last_seen_at",
    "contact_last_seen_at",
    "last_activity_at",
    "timestamp",
    "created_at",
    "updated_at",
    "account",
    "account_id",
    "changed_attributes",
    "group",
    "group_source_id",
    "group_title",
    "group_contacts",
    "uuid",
];

/// What every event of a conversation has.
struct Conversation {
    id: String,
    inbox: Option<String>,
    channel: Option<Channel>,
    customer: Option<String>,
    assignee: Option<String>,
}

impl Conversation {
    fn of(record: &Map<String, Value>) -> Result<Conversation, Reject> {
        // What people see as the conversation's number; older webhooks have nothing else.
        let id = text_at(record, &["id"])
            .or_else(|| text_at(record, &["display_id"]))
            .ok_or_else(|| missing("conversation.id"))?;
        let account = text_at(record, &["account", "id"]).or_else(|| text_at(record, &["account_id"]));
        // Numbers of conversations begin anew in each account.
        let id = account.map_or_else(|| id.clone(), |account| format!("{account}-{id}"));
        let kind = text_at(record, &["channel"]).unwrap_or_default();
        let agent = |path: &[&str]| at(record, path).and_then(Value::as_object).and_then(agent);
        Ok(Conversation {
            id,
            // A team is the narrower queue.
            inbox: text_at(record, &["meta", "team", "name"])
                .or_else(|| text_at(record, &["inbox", "name"]))
                .or_else(|| text_at(record, &["inbox_id"])),
            channel: channel_of(&kind),
            customer: text_at(record, &["meta", "sender", "id"])
                .or_else(|| text_at(record, &["contact_inbox", "contact_id"])),
            assignee: agent(&["meta", "assignee"]),
        })
    }

    fn add<'o>(&self, out: &'o mut Out, id: String, kind: Kind, time: Millis) -> &'o mut Event<'static> {
        let event = out.event(id, kind, time);
        event.contact_id = owned(self.id.clone());
        event.channel = self.channel;
        event.customer_id = self.customer.clone().and_then(owned);
        event
    }

    fn queued(&self, out: &mut Out, time: Millis) {
        if let Some(inbox) = &self.inbox {
            self.add(out, format!("queued-{time}"), Kind::Queued, time).queue = owned(inbox.clone());
        }
    }

    fn answered(&self, out: &mut Out, agent: String, time: Millis) {
        self.add(out, format!("answered-{time}"), Kind::Answered, time).agent_id = owned(agent);
    }
}

fn agent(user: &Map<String, Value>) -> Option<String> {
    text_at(user, &["name"]).or_else(|| text_at(user, &["id"]))
}

fn channel_of(kind: &str) -> Option<Channel> {
    match kind.rsplit("::").next().unwrap_or_default() {
        "WebWidget" | "Api" => Some(Channel::Chat),
        "Email" => Some(Channel::Email),
        "Sms" | "TwilioSms" => Some(Channel::Sms),
        "FacebookPage" | "TwitterProfile" | "Whatsapp" | "Telegram" | "Line" | "Instagram" | "Tiktok" => {
            Some(Channel::Social)
        }
        "Voice" => Some(Channel::Voice),
        other => channel(other),
    }
}

/// When the conversation changed, as exactly as it is told.
fn changed_at(record: &Map<String, Value>) -> Result<Millis, Reject> {
    for name in ["updated_at", "timestamp", "last_activity_at"] {
        if let Some(found) = time_at(record, &[name])? {
            return Ok(found);
        }
    }
    Err(missing("updated_at"))
}

/// When it began; a new conversation of an older version has the time of its webhook.
fn began(record: &Map<String, Value>) -> Result<Millis, Reject> {
    let found = member(record, "created_at").map(|value| ("created_at", value));
    let found = found.or_else(|| member(record, "timestamp").map(|value| ("timestamp", value)));
    let (name, value) = found.ok_or_else(|| missing("created_at"))?;
    time(value).ok_or_else(|| bad_time(name, value))
}

fn created(record: &Map<String, Value>, out: &mut Out) -> Result<(), Reject> {
    out.count_unknown(record, KNOWN);
    let conversation = Conversation::of(record)?;
    let time = began(record)?;
    conversation.add(out, "started".to_owned(), Kind::ContactStarted, time).direction =
        Some(Direction::Inbound);
    match text_at(record, &["status"]).as_deref() {
        // A bot has it first.
        Some("pending") => {
            conversation.add(out, format!("bot-{time}"), Kind::BotStarted, time);
        }
        _ => conversation.queued(out, time),
    }
    if let Some(agent) = conversation.assignee.clone() {
        conversation.answered(out, agent, time);
    }
    Ok(())
}

/// A changed attribute: what it was and what it is.
fn change<'v>(record: &'v Map<String, Value>, name: &str) -> Option<(Option<&'v Value>, Option<&'v Value>)> {
    let listed = member(record, "changed_attributes")?.as_array()?;
    let of = listed.iter().filter_map(Value::as_object).find_map(|change| change.get(name))?.as_object()?;
    Some((member(of, "previous_value"), member(of, "current_value")))
}

fn updated(record: &Map<String, Value>, out: &mut Out) -> Result<(), Reject> {
    out.count_unknown(record, KNOWN);
    if text_at(record, &["status"]).as_deref() == Some("resolved") {
        return Ok(());
    }
    let conversation = Conversation::of(record)?;
    let time = changed_at(record)?;
    let Some((before, now)) = change(record, "assignee_id") else {
        // Another team, while nobody has it: another queue.
        if change(record, "team_id").is_some() && conversation.assignee.is_none() {
            conversation.queued(out, time);
        }
        return Ok(());
    };
    if before.and_then(text).is_some() {
        // From one agent to another, or back into the inbox. The one lets go of it a moment before the other has it.
        conversation.add(out, format!("transferred-{time}"), Kind::Transferred, time - 1);
    }
    match now.and_then(text) {
        Some(id) => conversation.answered(out, conversation.assignee.clone().unwrap_or(id), time),
        None => conversation.queued(out, time),
    }
    Ok(())
}

fn status_changed(record: &Map<String, Value>, out: &mut Out) -> Result<(), Reject> {
    out.count_unknown(record, KNOWN);
    let conversation = Conversation::of(record)?;
    let time = changed_at(record)?;
    let status = text_at(record, &["status"]).ok_or_else(|| missing("status"))?;
    let before = change(record, "status").and_then(|(before, _)| before).and_then(text);
    match status.as_str() {
        "resolved" => {
            // By whom is not told: with an agent on it, the agent; else nobody answered and the customer is gone.
            let by = if conversation.assignee.is_some() { EndedBy::Agent } else { EndedBy::Customer };
            conversation.add(out, format!("resolved-{time}"), Kind::Ended, time).by = Some(by);
            if let Some(agent) = conversation.assignee.clone() {
                let event = conversation.add(out, format!("wrapped-{time}"), Kind::Wrapped, time);
                event.agent_id = owned(agent);
                event.resolved = Some(true);
            }
        }
        "open" if matches!(before.as_deref(), Some("pending")) => {
            let event = conversation.add(out, format!("bot-end-{time}"), Kind::BotEnded, time);
            event.bot_outcome = Some(crate::event::BotOutcome::Handover);
            conversation.queued(out, time);
        }
        "open" if matches!(before.as_deref(), Some("resolved") | Some("snoozed")) => {
            conversation.queued(out, time);
            if let Some(agent) = conversation.assignee.clone() {
                conversation.answered(out, agent, time);
            }
        }
        "open" | "pending" | "snoozed" => {}
        other => return Err(unknown_type("status", other)),
    }
    Ok(())
}

fn message(record: &Map<String, Value>, out: &mut Out) -> Result<(), Reject> {
    let about =
        member(record, "conversation").and_then(Value::as_object).ok_or_else(|| missing("conversation"))?;
    let mut about = about.clone();
    // The account stands beside the conversation.
    for name in ["account", "inbox"] {
        if let (None, Some(value)) = (member(&about, name), member(record, name)) {
            about.insert(name.to_owned(), value.clone());
        }
    }
    let mut conversation = Conversation::of(&about)?;
    conversation.customer = conversation.customer.or_else(|| text_at(record, &["contact", "id"]));
    let time = began(record)?;
    let id = text_at(record, &["id"]).ok_or_else(|| missing("id"))?;
    if at(record, &["private"]).and_then(Value::as_bool) == Some(true) {
        return Ok(());
    }
    let Some(content) = text_at(record, &["content"]) else { return Ok(()) };
    let sender = text_at(record, &["sender", "type"]).unwrap_or_default().to_ascii_lowercase();
    let kind = text_at(record, &["message_type"]).unwrap_or_default();
    let speaker = match (kind.as_str(), sender.as_str()) {
        // A number in some webhooks, a word in others.
        ("incoming" | "0", _) => Speaker::Customer,
        ("outgoing" | "1", "agent_bot" | "bot" | "captain_assistant") => Speaker::Bot,
        ("outgoing" | "1", _) => Speaker::Agent,
        ("template" | "3", _) => Speaker::Bot,
        ("activity" | "2", _) => Speaker::System,
        (other, _) => return Err(unknown_type("message_type", other)),
    };
    let event = conversation.add(out, format!("message-{id}"), Kind::Message, time);
    event.speaker = Some(speaker);
    event.text = owned(content);
    if speaker == Speaker::Agent {
        event.agent_id = at(record, &["sender"]).and_then(Value::as_object).and_then(agent).and_then(owned);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::RejectReason;

    fn read(text: &str) -> Result<Vec<Event<'static>>, RejectReason> {
        let mut out = Out::default();
        Chatwoot.read(text, None, &mut out).map_err(|reject| reject.reason)?;
        Ok(out.events)
    }

    fn hook(event: &str, fields: &str) -> String {
        format!(
            r#"{{"event":"{event}","id":7,"account":{{"id":1,"name":"x"}},"inbox_id":3,"channel":"Channel::WebWidget",
                "created_at":1772413200,"updated_at":1772413260.25,"meta":{{"sender":{{"id":12}},"assignee":{{"id":5,"name":"li"}}}}{fields}}}"#
        )
    }

    fn steps(text: &str) -> Vec<(Kind, Millis)> {
        read(text).expect("events").iter().map(|event| (event.kind, event.time - 1_772_413_200_000)).collect()
    }

    #[test]
    fn a_conversation_waits_is_taken_and_resolved() {
        let bare = hook("conversation_created", r#","status":"open""#)
            .replace(r#","assignee":{"id":5,"name":"li"}"#, "");
        assert_eq!(steps(&bare), [(Kind::ContactStarted, 0), (Kind::Queued, 0)]);
        let taken = r#","status":"open","changed_attributes":[{"assignee_id":{"previous_value":null,"current_value":5}}]"#;
        let events = read(&hook("conversation_updated", taken)).expect("an event");
        assert_eq!(
            (events[0].kind, events[0].agent_id.as_deref(), events[0].contact_id.as_deref()),
            (Kind::Answered, Some("li"), Some("1-7"))
        );
        let resolved = r#","status":"resolved","changed_attributes":[{"status":{"previous_value":"open","current_value":"resolved"}}]"#;
        assert_eq!(
            steps(&hook("conversation_status_changed", resolved)),
            [(Kind::Ended, 60_250), (Kind::Wrapped, 60_250)]
        );
    }

    #[test]
    fn one_that_is_opened_again_waits_again() {
        let opened = r#","status":"open","changed_attributes":[{"status":{"previous_value":"resolved","current_value":"open"}}]"#;
        assert_eq!(
            steps(&hook("conversation_status_changed", opened)),
            [(Kind::Queued, 60_250), (Kind::Answered, 60_250)]
        );
    }

    #[test]
    fn private_notes_are_nobody_s_words() {
        let message = |more: &str| {
            format!(
                r#"{{"event":"message_created","id":99,"content":"hello","message_type":"outgoing","created_at":"2026-03-02 01:00:05 UTC",
                    "sender":{{"id":5,"name":"li","type":"user"}},"account":{{"id":1}},"conversation":{{"id":7,"inbox_id":3,"channel":"Channel::Email"}}{more}}}"#
            )
        };
        let events = read(&message("")).expect("a message");
        assert_eq!(
            (events[0].speaker, events[0].agent_id.as_deref(), events[0].channel),
            (Some(Speaker::Agent), Some("li"), Some(Channel::Email))
        );
        assert_eq!((events[0].contact_id.as_deref(), events[0].time), (Some("1-7"), 1_772_413_205_000));
        assert_eq!(read(&message(r#","private":true"#)), Ok(vec![]));
    }

    #[test]
    fn older_webhooks_have_fewer_fields() {
        let message = r#"{"event":"message_created","id":"7","content":"Hello","created_at":"2026-03-02 01:00:05 UTC","message_type":"incoming",
            "sender":{"id":1,"name":"li"},"contact":{"id":"4","name":"customer"},"conversation":{"display_id":"3"},
            "account":{"id":"2","name":"x"}}"#;
        let events = read(message).expect("a message");
        assert_eq!(
            (events[0].contact_id.as_deref(), events[0].speaker, events[0].customer_id.as_deref()),
            (Some("2-3"), Some(Speaker::Customer), Some("4"))
        );
        let new = r#"{"event":"conversation_created","id":10,"inbox_id":1,"status":"open","channel":"Channel::WebWidget","timestamp":1772413200}"#;
        assert_eq!(steps(new), [(Kind::ContactStarted, 0), (Kind::Queued, 0)]);
    }

    #[test]
    fn what_is_not_known_is_refused_with_its_reason() {
        assert_eq!(read("{}"), Err(RejectReason::MissingField));
        assert_eq!(read(r#"{"event":"dance"}"#), Err(RejectReason::UnknownType));
        assert_eq!(read(r#"{"event":"message_updated"}"#), Ok(vec![]));
        assert_eq!(
            read(&hook("conversation_status_changed", r#","status":"gone""#)),
            Err(RejectReason::UnknownType)
        );
    }
}
