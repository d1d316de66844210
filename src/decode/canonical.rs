//! The canonical format: one JSON object with the fields of the contract.

use std::borrow::Cow;
use std::fmt;
use std::ops::RangeInclusive;

use serde::de::{Deserializer, Error as _, MapAccess, Visitor};

use super::fields::{Copy, Found, Members, Value};
use super::{Parser, plain};
use crate::event::{
    AgentStateName, BotOutcome, Channel, Direction, EndedBy, Event, Kind, LeaveReason, Reject, RejectReason,
    Role, Speaker, Text, TransferMode, Verdict,
};
use crate::time::{Millis, TIME_MAX, parse_time};

/// Longest id of an event, characters.
const ID_CHARS_MAX: usize = 128;
/// Longest other identifier or name (contact, agent, queue …), bytes: they become keys, labels and columns.
const NAME_BYTES_MAX: usize = 256;

macro_rules! fields {
    ($($variant:ident = $name:literal),* $(,)?) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Field { $($variant),* }

        impl Field {
            pub(super) fn of(name: &str) -> Option<Field> {
                match name { $($name => Some(Field::$variant),)* _ => None }
            }
            fn name(self) -> &'static str {
                match self { $(Field::$variant => $name),* }
            }
        }

        /// The names of all fields.
        const NAMES: &[&str] = &[$($name),*];
    };
}

fields! {
    Id = "id", Type = "type", Time = "time", Attributes = "attributes", Channel = "channel", Queue = "queue",
    Department = "department", AgentId = "agent_id", CustomerId = "customer_id", Tier = "tier",
    ContactId = "contact_id", Direction = "direction", Topic = "topic", Outcome = "outcome",
    DialMs = "dial_ms", Reason = "reason", ToQueue = "to_queue", ToAgent = "to_agent", Mode = "mode",
    By = "by", Resolved = "resolved", Disposition = "disposition", From = "from", Text = "text",
    DurationMs = "duration_ms", Final = "final", Utterance = "utterance", State = "state", Csat = "csat",
    Nps = "nps", Ces = "ces", Comment = "comment", ComplaintId = "complaint_id", Category = "category",
    Severity = "severity", Verdict = "verdict", Cause = "cause", PromiseId = "promise_id", Due = "due",
    ShiftId = "shift_id", Role = "role", Queues = "queues", Start = "start", End = "end",
    Preferred = "preferred", PublishedAt = "published_at", PaidMinutes = "paid_minutes", Record = "record", Version = "version",
}

/// Tells whether some event has a field of this name.
pub(super) fn is_field(name: &str) -> bool {
    Field::of(name).is_some()
}

/// The names of all fields.
pub(super) fn field_names() -> impl Iterator<Item = &'static str> {
    NAMES.iter().copied()
}

/// Reads one record; members of `attributes` and unknown fields go to `extra` as one JSON object.
pub(super) fn decode<'a>(
    text: &'a str,
    parser: Parser,
    extra: &'a mut Vec<u8>,
    unknown: &mut u64,
) -> Result<Event<'a>, Reject> {
    let mut wire = Wire::new();
    if parser == Parser::Plain {
        if let Some(found) = plain::read(text, &mut wire, extra) {
            *unknown += found;
            return wire.into_event(extra);
        }
        wire = Wire::new();
        extra.clear();
    }
    let mut object = false;
    let record = Record { wire: &mut wire, extra, unknown, object: &mut object };
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let read = deserializer.deserialize_any(record).and_then(|()| deserializer.end()).is_ok();
    if !read {
        return Err(judge(text));
    }
    if !object {
        return Err(reject(RejectReason::NotObject, "the record is JSON but not an object".to_owned()));
    }
    wire.into_event(extra)
}

/// Says what is wrong with a text that no parser takes.
fn judge(text: &str) -> Reject {
    match serde_json::from_str::<serde_json::Value>(text) {
        Err(error) => reject(RejectReason::NotJson, format!("not JSON: {error}")),
        Ok(_) => reject(RejectReason::BadField, "a field is nested too deep".to_owned()),
    }
}

fn reject(reason: RejectReason, detail: String) -> Reject {
    Reject { reason, detail }
}

struct Record<'w, 'a, 'u> {
    wire: &'w mut Wire<'a>,
    extra: &'w mut Vec<u8>,
    unknown: &'u mut u64,
    object: &'w mut bool,
}

impl<'de> Visitor<'de> for Record<'_, 'de, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        *self.object = true;
        while let Some(key) = map.next_key::<Key<'de>>()? {
            match key {
                Key::Known(Field::Attributes) => match map.next_value_seed(Members { out: self.extra })? {
                    Found::Object | Found::Null => {}
                    Found::Other => self.wire.fault(Field::Attributes, "is not an object"),
                },
                Key::Known(Field::Queues) => {
                    let mut text = Vec::new();
                    map.next_value_seed(Copy { out: &mut text, depth: 1 })?;
                    self.wire.queues(text);
                }
                Key::Known(field) => {
                    let value = map.next_value()?;
                    self.wire.set(field, value);
                }
                Key::Unknown(name) => {
                    *self.unknown += 1;
                    if !self.extra.is_empty() {
                        self.extra.push(b',');
                    }
                    serde_json::to_writer(&mut *self.extra, &name).map_err(A::Error::custom)?;
                    self.extra.push(b':');
                    map.next_value_seed(Copy { out: self.extra, depth: 1 })?;
                }
            }
        }
        Ok(())
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        Ok(())
    }
    fn visit_bool<E: serde::de::Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }
    fn visit_i64<E: serde::de::Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }
    fn visit_u64<E: serde::de::Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }
    fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
    fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, seq: A) -> Result<(), A::Error> {
        Copy { out: &mut std::io::sink(), depth: 1 }.visit_seq(seq)
    }
}

enum Key<'a> {
    Known(Field),
    Unknown(Cow<'a, str>),
}

impl<'de> serde::Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a field name")
            }
            fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Key<'de>, E> {
                Ok(Field::of(name).map_or(Key::Unknown(Cow::Borrowed(name)), Key::Known))
            }
            fn visit_str<E>(self, name: &str) -> Result<Key<'de>, E> {
                Ok(Field::of(name).map_or_else(|| Key::Unknown(Cow::Owned(name.to_owned())), Key::Known))
            }
        }
        deserializer.deserialize_str(KeyVisitor)
    }
}

/// The event as far as it is read, the fields whose meaning depends on its type, and what was wrong.
pub(super) struct Wire<'a> {
    event: Event<'a>,
    kind: Option<Result<Kind, String>>,
    has_id: bool,
    has_time: bool,
    outcome: Option<Text<'a>>,
    reason: Option<Text<'a>>,
    id_fault: Option<String>,
    time_fault: Option<String>,
    fault: Option<String>,
}

impl<'a> Wire<'a> {
    fn new() -> Self {
        Wire {
            event: Event::new("", Kind::Message, 0),
            kind: None,
            has_id: false,
            has_time: false,
            outcome: None,
            reason: None,
            id_fault: None,
            time_fault: None,
            fault: None,
        }
    }

    pub(super) fn fault(&mut self, field: Field, what: &str) {
        self.fault.get_or_insert_with(|| format!("`{}` {what}", field.name()));
    }

    pub(super) fn set(&mut self, field: Field, value: Value<'a>) {
        if matches!(value, Value::Null) {
            return;
        }
        match field {
            Field::Id => match value {
                Value::Text(id) if id.is_empty() || id.chars().count() > ID_CHARS_MAX => {
                    self.id_fault = Some(format!("`id` has not 1 to {ID_CHARS_MAX} characters"));
                }
                Value::Text(id) => {
                    self.event.id = id;
                    self.has_id = true;
                }
                _ => self.id_fault = Some("`id` is not a text".to_owned()),
            },
            Field::Type => {
                self.kind = Some(match value {
                    Value::Text(name) => {
                        Kind::parse(&name).ok_or_else(|| format!("unknown type `{}`", shorten(&name)))
                    }
                    _ => Err("`type` is not a text".to_owned()),
                });
            }
            Field::Time => match moment(&value) {
                Some(time) => {
                    self.event.time = time;
                    self.has_time = true;
                }
                None => self.time_fault = Some(bad_time(Field::Time, &value)),
            },
            Field::Channel => self.event.channel = self.word(field, value, Channel::parse),
            Field::Direction => self.event.direction = self.word(field, value, Direction::parse),
            Field::Mode => self.event.mode = self.word(field, value, TransferMode::parse),
            Field::By => self.event.by = self.word(field, value, EndedBy::parse),
            Field::From => self.event.speaker = self.word(field, value, Speaker::parse),
            Field::State => self.event.state = self.word(field, value, AgentStateName::parse),
            Field::Verdict => self.event.verdict = self.word(field, value, Verdict::parse),
            Field::Role => self.event.role = self.word(field, value, Role::parse),
            Field::Outcome => self.outcome = self.text(field, value),
            Field::Reason => self.reason = self.text(field, value),
            Field::Queue => self.event.queue = self.name(field, value),
            Field::Department => self.event.department = self.name(field, value),
            Field::AgentId => self.event.agent_id = self.name(field, value),
            Field::CustomerId => self.event.customer_id = self.name(field, value),
            Field::Tier => self.event.tier = self.name(field, value),
            Field::ContactId => self.event.contact_id = self.name(field, value),
            Field::Topic => self.event.topic = self.name(field, value),
            Field::ToQueue => self.event.to_queue = self.name(field, value),
            Field::ToAgent => self.event.to_agent = self.name(field, value),
            Field::Disposition => self.event.disposition = self.name(field, value),
            Field::Utterance => self.event.utterance = self.name(field, value),
            Field::ComplaintId => self.event.complaint_id = self.name(field, value),
            Field::Category => self.event.category = self.name(field, value),
            Field::Cause => self.event.cause = self.text(field, value),
            Field::PromiseId => self.event.promise_id = self.name(field, value),
            Field::ShiftId => self.event.shift_id = self.name(field, value),
            Field::Record => self.event.record = self.name(field, value),
            Field::Version => self.event.version = self.int(field, value),
            Field::Text => self.event.text = self.text(field, value),
            Field::Comment => self.event.comment = self.text(field, value),
            Field::DialMs => self.event.dial_ms = self.int(field, value),
            Field::DurationMs => self.event.duration_ms = self.int(field, value),
            Field::Csat => self.event.csat = self.int(field, value),
            Field::Nps => self.event.nps = self.int(field, value),
            Field::Ces => self.event.ces = self.int(field, value),
            Field::Severity => self.event.severity = self.int(field, value),
            Field::PaidMinutes => self.event.paid_minutes = self.int(field, value),
            Field::Resolved => self.event.resolved = self.flag(field, value),
            Field::Preferred => self.event.preferred = self.flag(field, value),
            Field::Final => self.event.is_final = self.flag(field, value).unwrap_or(true),
            Field::Due => self.event.due = self.time(field, value),
            Field::Start => self.event.start = self.time(field, value),
            Field::End => self.event.end = self.time(field, value),
            Field::PublishedAt => self.event.published_at = self.time(field, value),
            Field::Attributes | Field::Queues => {}
        }
    }

    pub(super) fn queues(&mut self, json: Vec<u8>) {
        if json == b"null" {
            return;
        }
        match serde_json::from_slice::<Vec<String>>(&json) {
            Ok(_) => self.event.queues = String::from_utf8(json).ok().map(Cow::Owned),
            Err(_) => self.fault(Field::Queues, "is not a list of texts"),
        }
    }

    fn text(&mut self, field: Field, value: Value<'a>) -> Option<Text<'a>> {
        match value {
            Value::Text(text) => Some(text),
            _ => {
                self.fault(field, "is not a text");
                None
            }
        }
    }

    /// A text that becomes a key, a label or a column; an empty one is as if absent.
    fn name(&mut self, field: Field, value: Value<'a>) -> Option<Text<'a>> {
        let text = self.text(field, value)?;
        if text.len() > NAME_BYTES_MAX {
            self.fault(field, &format!("has more than {NAME_BYTES_MAX} bytes"));
            return None;
        }
        (!text.is_empty()).then_some(text)
    }

    fn word<T>(&mut self, field: Field, value: Value<'a>, parse: fn(&str) -> Option<T>) -> Option<T> {
        let text = self.text(field, value)?;
        let word = parse(&text);
        if word.is_none() {
            self.fault(field, &format!("has the unknown value `{}`", shorten(&text)));
        }
        word
    }

    fn int(&mut self, field: Field, value: Value<'a>) -> Option<i64> {
        let int = match value {
            Value::Int(int) => Some(int),
            Value::Float(float) if float.fract() == 0.0 && float.abs() < 9e15 => Some(float as i64),
            _ => None,
        };
        let range = numbers_of(field);
        let int = int.filter(|int| range.contains(int));
        if int.is_none() {
            self.fault(field, &not_within(&range));
        }
        int
    }

    fn flag(&mut self, field: Field, value: Value<'a>) -> Option<bool> {
        match value {
            Value::Bool(flag) => Some(flag),
            _ => {
                self.fault(field, "is not true or false");
                None
            }
        }
    }

    fn time(&mut self, field: Field, value: Value<'a>) -> Option<Millis> {
        let time = moment(&value);
        if time.is_none() {
            self.time_fault.get_or_insert_with(|| bad_time(field, &value));
        }
        time
    }

    fn into_event(mut self, extra: &'a mut Vec<u8>) -> Result<Event<'a>, Reject> {
        let missing =
            |name: &str| reject(RejectReason::MissingField, format!("the field `{name}` is missing"));
        let bad = |detail: String| reject(RejectReason::BadField, detail);
        self.event.kind = match self.kind {
            None => return Err(missing("type")),
            Some(Err(detail)) if detail.starts_with("unknown") => {
                return Err(reject(RejectReason::UnknownType, detail));
            }
            Some(Err(detail)) => return Err(bad(detail)),
            Some(Ok(kind)) => kind,
        };
        if let Some(detail) = self.id_fault {
            return Err(bad(detail));
        }
        if !self.has_id {
            return Err(missing("id"));
        }
        if let Some(detail) = self.time_fault {
            return Err(reject(RejectReason::BadTime, detail));
        }
        if !self.has_time {
            return Err(missing("time"));
        }
        if let Some(detail) = self.fault {
            return Err(bad(detail));
        }
        let event = &mut self.event;
        complete(event, self.reason.is_some())?;
        let unknown = |field: Field, text: &str| {
            bad(format!("`{}` has the unknown value `{}`", field.name(), shorten(text)))
        };
        match event.kind {
            Kind::BotEnded => {
                if let Some(text) = &self.outcome {
                    let outcome = BotOutcome::parse(text).ok_or_else(|| unknown(Field::Outcome, text))?;
                    event.bot_outcome = Some(outcome);
                }
            }
            Kind::LeftQueue => {
                if let Some(text) = &self.reason {
                    let reason = LeaveReason::parse(text).ok_or_else(|| unknown(Field::Reason, text))?;
                    event.leave_reason = Some(reason);
                }
            }
            _ => event.reason = self.reason,
        }
        if event.kind != Kind::Message {
            event.is_final = true;
        }
        if !extra.is_empty() {
            extra.insert(0, b'{');
            extra.push(b'}');
            let extra: &'a [u8] = extra;
            event.attributes = std::str::from_utf8(extra).ok().map(Cow::Borrowed);
        }
        Ok(self.event)
    }
}

/// Refuses an event that lacks a field without which its kind says nothing.
fn complete(event: &Event<'_>, has_reason: bool) -> Result<(), Reject> {
    match required(event.kind).iter().find(|field| !has(event, **field, has_reason)) {
        Some(field) => {
            Err(reject(RejectReason::MissingField, format!("the field `{}` is missing", field.name())))
        }
        None => Ok(()),
    }
}

/// The numbers that a field may have.
fn numbers_of(field: Field) -> RangeInclusive<i64> {
    match field {
        Field::DialMs | Field::DurationMs => 0..=i64::from(u32::MAX),
        Field::Csat => 1..=5,
        Field::Nps => 0..=10,
        Field::Ces => 1..=7,
        Field::Severity => 1..=4,
        Field::PaidMinutes => 0..=1 << 20,
        _ => 0..=i64::MAX,
    }
}

fn not_within(range: &RangeInclusive<i64>) -> String {
    format!("is not a whole number from {} to {}", range.start(), range.end())
}

/// Holds an event that an adapter has made to what is asked of a canonical one.
pub(super) fn check(event: &Event<'_>) -> Result<(), Reject> {
    if event.id.is_empty() || event.id.chars().count() > ID_CHARS_MAX {
        let detail = format!("`id` has not 1 to {ID_CHARS_MAX} characters");
        return Err(reject(RejectReason::BadField, detail));
    }
    if !(0..=TIME_MAX).contains(&event.time) {
        let detail = format!("`time` is outside the years 1970 to 9999: `{}`", event.time);
        return Err(reject(RejectReason::BadTime, detail));
    }
    complete(event, event.leave_reason.is_some())?;
    let names = [
        (Field::ContactId, &event.contact_id),
        (Field::AgentId, &event.agent_id),
        (Field::Queue, &event.queue),
        (Field::Department, &event.department),
        (Field::CustomerId, &event.customer_id),
        (Field::Tier, &event.tier),
        (Field::Topic, &event.topic),
        (Field::ToQueue, &event.to_queue),
        (Field::ToAgent, &event.to_agent),
        (Field::Disposition, &event.disposition),
        (Field::Utterance, &event.utterance),
        (Field::ComplaintId, &event.complaint_id),
        (Field::Category, &event.category),
        (Field::PromiseId, &event.promise_id),
        (Field::ShiftId, &event.shift_id),
        (Field::Record, &event.record),
    ];
    for (field, name) in names {
        if name.as_deref().is_some_and(|name| name.len() > NAME_BYTES_MAX) {
            let detail = format!("`{}` has more than {NAME_BYTES_MAX} bytes", field.name());
            return Err(reject(RejectReason::BadField, detail));
        }
    }
    let numbers = [
        (Field::DialMs, event.dial_ms),
        (Field::DurationMs, event.duration_ms),
        (Field::Csat, event.csat),
        (Field::Nps, event.nps),
        (Field::Ces, event.ces),
        (Field::Severity, event.severity),
        (Field::PaidMinutes, event.paid_minutes),
        (Field::Version, event.version),
    ];
    for (field, number) in numbers {
        let range = numbers_of(field);
        if number.is_some_and(|number| !range.contains(&number)) {
            let detail = format!("`{}` {}", field.name(), not_within(&range));
            return Err(reject(RejectReason::BadField, detail));
        }
    }
    Ok(())
}

/// Fields without which an event of this kind says nothing.
fn required(kind: Kind) -> &'static [Field] {
    match kind {
        Kind::Queued => &[Field::ContactId, Field::Queue],
        Kind::Offered | Kind::Missed | Kind::Answered => &[Field::ContactId, Field::AgentId],
        Kind::LeftQueue => &[Field::ContactId, Field::Reason],
        Kind::Message => &[Field::ContactId, Field::From, Field::Text],
        Kind::AgentState => &[Field::AgentId, Field::State],
        Kind::Survey => &[Field::ContactId],
        Kind::ComplaintOpened
        | Kind::ComplaintContacted
        | Kind::ComplaintResolved
        | Kind::ComplaintClosed
        | Kind::ComplaintReopened
        | Kind::ComplaintWithdrawn => &[Field::ComplaintId],
        Kind::PromiseMade | Kind::PromiseKept => &[Field::PromiseId],
        Kind::ShiftPlanned => &[Field::ShiftId, Field::AgentId, Field::Start, Field::End],
        Kind::ShiftCancelled => &[Field::ShiftId],
        _ => &[Field::ContactId],
    }
}

fn has(event: &Event<'_>, field: Field, has_reason: bool) -> bool {
    match field {
        Field::ContactId => event.contact_id.is_some(),
        Field::AgentId => event.agent_id.is_some(),
        Field::Queue => event.queue.is_some(),
        Field::Reason => has_reason,
        Field::From => event.speaker.is_some(),
        Field::Text => event.text.is_some(),
        Field::State => event.state.is_some(),
        Field::ComplaintId => event.complaint_id.is_some(),
        Field::PromiseId => event.promise_id.is_some(),
        Field::ShiftId => event.shift_id.is_some(),
        Field::Start => event.start.is_some(),
        Field::End => event.end.is_some(),
        _ => true,
    }
}

/// RFC 3339 with offset, or whole milliseconds since 1970.
fn moment(value: &Value<'_>) -> Option<Millis> {
    match value {
        Value::Text(text) => parse_time(text),
        Value::Int(ms) if (0..=TIME_MAX).contains(ms) => Some(*ms),
        _ => None,
    }
}

fn bad_time(field: Field, value: &Value<'_>) -> String {
    let shown = match value {
        Value::Text(text) => shorten(text).to_owned(),
        Value::Int(ms) => ms.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Bool(flag) => flag.to_string(),
        Value::Null | Value::Nested => "an object or list".to_owned(),
    };
    format!(
        "`{}` is neither RFC 3339 with an offset nor whole milliseconds since 1970: `{shown}`",
        field.name()
    )
}

/// At most 60 characters of a value, for messages.
pub(super) fn shorten(text: &str) -> &str {
    text.char_indices().nth(60).map_or(text, |(at, _)| &text[..at])
}
