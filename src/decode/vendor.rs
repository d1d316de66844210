//! What the adapters of vendors share: JSON that is looked into leniently, times as vendors write them, and the events
//! that come out.

use std::borrow::Cow;

use serde_json::{Map, Value};
use xxhash_rust::xxh3::xxh3_64;

use super::canonical::shorten;
use crate::event::{Channel, Event, Kind, Reject, RejectReason, Text};
use crate::time::{Millis, parse_time};

/// One vendor's records.
pub(super) trait Adapter: std::fmt::Debug + Send {
    /// Reads one record; its events go to `out`.
    fn read(&mut self, text: &str, timestamp: Option<Millis>, out: &mut Out) -> Result<(), Reject>;

    /// Whether its records are bytes rather than text.
    fn is_binary(&self) -> bool {
        false
    }

    /// Whether it looks at the attributes of a CloudEvent in binary mode.
    fn takes_attributes(&self) -> bool {
        false
    }

    /// Reads one record of bytes, with the attributes that its headers have.
    fn read_bytes(
        &mut self,
        _record: &[u8],
        _attributes: &[(String, String)],
        _out: &mut Out,
    ) -> Result<(), Reject> {
        Err(reject(RejectReason::UnknownFormat, "records of this format are text"))
    }

    /// What it must know of earlier records.
    fn state(&self) -> Option<String> {
        None
    }

    /// Goes on from there.
    fn resume(&mut self, _state: &str) {}
}

/// What an adapter makes of a record.
#[derive(Debug, Default)]
pub(super) struct Out {
    pub(super) events: Vec<Event<'static>>,
    pub(super) unknown_fields: u64,
}

impl Out {
    /// Adds an event, which the caller then fills.
    pub(super) fn event(&mut self, id: impl Into<String>, kind: Kind, time: Millis) -> &mut Event<'static> {
        self.events.push(Event::new(short_id(id.into()), kind, time));
        self.events.last_mut().expect("one was just added")
    }

    /// Counts the members of an object that are not in the list (which is in lower case).
    pub(super) fn count_unknown(&mut self, object: &Map<String, Value>, known: &[&str]) {
        let is_known = |key: &str| known.iter().any(|known| key.eq_ignore_ascii_case(known));
        self.unknown_fields += object.keys().filter(|key| !is_known(key)).count() as u64;
    }
}

/// An id as it is, or a hash of one that is too long for an event.
fn short_id(id: String) -> String {
    if id.len() <= 128 { id } else { format!("{:016x}", xxh3_64(id.as_bytes())) }
}

pub(super) fn owned(text: impl Into<String>) -> Option<Text<'static>> {
    let text = text.into();
    (!text.is_empty()).then_some(Cow::Owned(text))
}

pub(super) fn reject(reason: RejectReason, detail: impl Into<String>) -> Reject {
    Reject { reason, detail: detail.into() }
}

pub(super) fn missing(field: &str) -> Reject {
    reject(RejectReason::MissingField, format!("the field `{field}` is missing"))
}

pub(super) fn unknown_type(what: &str, value: &str) -> Reject {
    reject(RejectReason::UnknownType, format!("unknown {what} `{}`", shorten(value)))
}

pub(super) fn bad_time(field: &str, value: &Value) -> Reject {
    let shown = value.to_string();
    reject(RejectReason::BadTime, format!("`{field}` is no time: `{}`", shorten(&shown)))
}

/// The JSON of a record.
pub(super) fn json(text: &str) -> Result<Value, Reject> {
    serde_json::from_str(text).map_err(|error| reject(RejectReason::NotJson, format!("not JSON: {error}")))
}

pub(super) fn object(value: &Value) -> Result<&Map<String, Value>, Reject> {
    value.as_object().ok_or_else(|| reject(RejectReason::NotObject, "the record is JSON but not an object"))
}

/// A member of an object; the case of its name does not matter.
pub(super) fn member<'v>(object: &'v Map<String, Value>, name: &str) -> Option<&'v Value> {
    let found = object
        .get(name)
        .or_else(|| object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value));
    found.filter(|value| !value.is_null())
}

/// What lies at the end of a path of members.
pub(super) fn at<'v>(object: &'v Map<String, Value>, path: &[&str]) -> Option<&'v Value> {
    let (last, way) = path.split_last()?;
    let mut object = object;
    for name in way {
        object = member(object, name)?.as_object()?;
    }
    member(object, last)
}

/// A text or number as text; what is empty, or the word null, is as if absent.
pub(super) fn text(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    (!text.is_empty() && text != "null").then_some(text)
}

/// The text at the end of a path.
pub(super) fn text_at(object: &Map<String, Value>, path: &[&str]) -> Option<String> {
    at(object, path).and_then(text)
}

/// A whole number, also where it is written as text.
pub(super) fn int(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64().or_else(|| number.as_f64().map(|float| float as i64)),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

pub(super) fn int_at(object: &Map<String, Value>, path: &[&str]) -> Option<i64> {
    at(object, path).and_then(int)
}

/// A time: RFC 3339, the same with ` UTC` or `+0000` at its end, or a number of seconds, ms or µs since 1970 (told apart
/// by their size: seconds until the year 5138 are below 1e11, ms since 1973 above it).
pub(super) fn time(value: &Value) -> Option<Millis> {
    match value {
        Value::Number(number) => number.as_i64().map(epoch).or_else(|| number.as_f64().and_then(epoch_float)),
        Value::String(text) => time_text(text.trim()),
        _ => None,
    }
}

pub(super) fn time_text(text: &str) -> Option<Millis> {
    if let Some(time) = parse_time(text) {
        return Some(time);
    }
    if let Some(bare) = text.strip_suffix(" UTC").or_else(|| text.strip_suffix("+0000")) {
        return parse_time(&format!("{bare}Z"));
    }
    match text.parse::<i64>() {
        Ok(number) => Some(epoch(number)),
        Err(_) if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') => {
            text.parse().ok().and_then(epoch_float)
        }
        Err(_) => None,
    }
}

fn epoch(number: i64) -> Millis {
    match number.unsigned_abs() {
        0..100_000_000_000 => number * 1000,
        100_000_000_000..100_000_000_000_000 => number,
        _ => number / 1000,
    }
}

fn epoch_float(number: f64) -> Option<Millis> {
    let seconds = number.is_finite() && number.abs() < 1e11;
    if seconds { Some((number * 1000.0).round() as i64) } else { Some(epoch(number as i64)) }
}

/// The time at the end of a path: absent is `Ok(None)`, unreadable is a reject.
pub(super) fn time_at(object: &Map<String, Value>, path: &[&str]) -> Result<Option<Millis>, Reject> {
    let Some(value) = at(object, path).filter(|value| value.as_str() != Some("")) else { return Ok(None) };
    time(value).map(Some).ok_or_else(|| bad_time(&path.join("."), value))
}

/// The channel by the words that vendors use.
pub(super) fn channel(word: &str) -> Option<Channel> {
    Some(match word.to_ascii_lowercase().as_str() {
        "voice" | "call" | "phone" | "callback" | "telephony" => Channel::Voice,
        "chat" | "web" | "webchat" | "webmessaging" | "message" => Channel::Chat,
        "email" => Channel::Email,
        "sms" => Channel::Sms,
        "video" => Channel::Video,
        "whatsapp" | "facebook" | "instagram" | "line" | "twitter" | "telegram" | "social" | "wechat" => {
            Channel::Social
        }
        _ => return None,
    })
}

/// An agent's state by the name that a centre has given it.
pub(super) fn agent_state(name: &str) -> crate::event::AgentStateName {
    use crate::event::AgentStateName as State;
    let name = name.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
    if has(&["offline", "logged out", "logout", "unavailable", "off queue", "off_queue"]) {
        State::Offline
    } else if has(&["acw", "wrap", "after"]) {
        State::Acw
    } else if has(&["available", "idle", "on queue", "on_queue", "ready", "online"]) && !has(&["not"]) {
        State::Available
    } else if has(&["busy", "interacting", "on call", "communicating", "receiving", "in a queue call"]) {
        State::Busy
    } else if has(&["break", "lunch", "meal", "away"]) {
        State::Break
    } else if has(&["train", "coach"]) {
        State::Training
    } else if has(&["meeting"]) {
        State::Meeting
    } else {
        State::Other
    }
}

/// The schema id of a record in the wire format of a schema registry: a zero byte, then four bytes, the highest first.
pub(super) fn schema_id(record: &[u8]) -> Option<u32> {
    match record {
        [0, a, b, c, d, _, ..] => Some(u32::from_be_bytes([*a, *b, *c, *d])),
        _ => None,
    }
}

/// The JSON of a record that a JSON Schema serializer has written; every other record as it is.
pub(super) fn without_json_schema_prefix(record: &[u8]) -> &[u8] {
    match record {
        [0, _, _, _, _, json @ ..] if json.trim_ascii_start().starts_with(b"{") => json,
        _ => record,
    }
}

/// The members of an `application/x-www-form-urlencoded` body as an object of texts.
pub(super) fn form(text: &str) -> Map<String, Value> {
    let mut object = Map::new();
    for pair in text.trim().split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        object.insert(decoded(name), Value::String(decoded(value)));
    }
    object
}

/// A form's text without its escapes; a broken escape stays as it is.
pub(super) fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        match (first, after) {
            (b'+', _) => bytes.push(b' '),
            (b'%', [high, low, after @ ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => {
                    bytes.push(high << 4 | low);
                    rest = after;
                }
                _ => bytes.push(b'%'),
            },
            (byte, _) => bytes.push(*byte),
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

fn hex(byte: u8) -> Option<u8> {
    (byte as char).to_digit(16).map(|digit| digit as u8)
}

/// The last part of a name such as an ARN.
pub(super) fn tail(name: &str) -> &str {
    name.rsplit(['/', ':']).next().unwrap_or(name)
}
