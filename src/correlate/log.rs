//! The events of one contact, kept as compact bytes: the truth from which its rows are made.
//!
//! Append-only, in order of arrival. An event takes about 30 bytes: strings that repeat within the
//! contact (queue, agent, customer …) stand once in `strings`, a UUID takes 16 bytes. Two entries may
//! carry the same id only when they differ; [`Log::events`] then keeps the one that comes first in the
//! contact's order, whatever arrived first.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::hash::{BuildHasherDefault, Hasher};

use hashbrown::HashSet;
use smallvec::SmallVec;
use xxhash_rust::xxh3::xxh3_64;

use super::words::Words;
use crate::event::{BotOutcome, Channel, Direction, EndedBy, Event, Kind, LeaveReason, Speaker};
use crate::time::Millis;

/// Above this many events an index of ids replaces the scan for repeats.
const INDEX_FROM: u32 = 64;
/// Above this many bytes of strings a new one is appended without looking for it first.
const SEARCH_STRINGS_TO: usize = 4096;
/// Growth steps: a contact's buffers are exact to this many bytes, since millions may be open.
const GROW: usize = 96;

/// The string fields of an event that a contact's rows need, by their place in the entry's mask.
#[derive(Debug, Clone, Copy)]
enum Field {
    Queue,
    Department,
    Agent,
    Customer,
    Tier,
    Label,
    To,
}
const FIELDS: usize = 7;
const CHANNEL: u32 = 1 << 7;
const CODE: u32 = 1 << 8;
const RESOLVED: u32 = 1 << 9;
const RESOLVED_TRUE: u32 = 1 << 10;
const DIAL: u32 = 1 << 11;
const PARTIAL: u32 = 1 << 12;
const DIRECTION: u32 = 1 << 13;
const UTTERANCE: u32 = 1 << 14;
const WORDS: u32 = 1 << 15;

/// A slice of the log's strings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Symbol {
    at: u32,
    len: u32,
}

/// A hasher that takes a hash as it is.
#[derive(Default)]
pub(super) struct Ready(u64);

impl Hasher for Ready {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64(bytes);
    }
    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

/// A set of hashes.
pub(super) type Hashes = HashSet<u64, BuildHasherDefault<Ready>>;

/// One event of a contact as its rows need it; strings are of the log.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<'a> {
    pub(super) time: Millis,
    pub(super) kind: Kind,
    id: Id<'a>,
    pub(super) queue: Option<&'a str>,
    pub(super) department: Option<&'a str>,
    pub(super) agent: Option<&'a str>,
    pub(super) customer: Option<&'a str>,
    pub(super) tier: Option<&'a str>,
    /// Topic of `started`, disposition of `wrapped`; of a message, the contact's keywords after it came.
    pub(super) label: Option<&'a str>,
    /// Queue, else agent, that a `transferred` names.
    pub(super) to: Option<&'a str>,
    pub(super) channel: Option<Channel>,
    pub(super) direction: Option<Direction>,
    code: Option<u8>,
    pub(super) resolved: Option<bool>,
    pub(super) dial_ms: Option<i64>,
    pub(super) is_final: bool,
    /// Sentiment of a message in thousandths, its beginning and its end (see [`Words`]).
    pub(super) score: Option<i16>,
    head: &'a str,
    tail: &'a str,
}

impl Entry<'_> {
    pub(super) fn bot_outcome(&self) -> Option<BotOutcome> {
        self.code.and_then(BotOutcome::from_code)
    }
    pub(super) fn leave_reason(&self) -> Option<LeaveReason> {
        self.code.and_then(LeaveReason::from_code)
    }
    pub(super) fn by(&self) -> Option<EndedBy> {
        self.code.and_then(EndedBy::from_code)
    }
    pub(super) fn speaker(&self) -> Option<Speaker> {
        self.code.and_then(Speaker::from_code)
    }
}

/// An event's id as it is stored: bytes of the text, or the 16 bytes of a canonical UUID.
#[derive(Debug, Clone, Copy)]
struct Id<'a> {
    uuid: bool,
    bytes: &'a [u8],
}

impl<'a> Id<'a> {
    /// The id's text, for order among events of the same time and kind.
    fn text(self) -> Cow<'a, [u8]> {
        if !self.uuid {
            return Cow::Borrowed(self.bytes);
        }
        let mut text = Vec::with_capacity(36);
        for (i, byte) in self.bytes.iter().enumerate() {
            if matches!(i, 4 | 6 | 8 | 10) {
                text.push(b'-');
            }
            text.push(HEX[usize::from(byte >> 4)]);
            text.push(HEX[usize::from(byte & 15)]);
        }
        Cow::Owned(text)
    }

    fn cmp(self, other: Id<'_>) -> Ordering {
        if self.uuid == other.uuid { self.bytes.cmp(other.bytes) } else { self.text().cmp(&other.text()) }
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

/// The 16 bytes of an id that is written exactly as a lower-case UUID.
fn uuid_bytes(id: &str) -> Option<[u8; 16]> {
    let text = id.as_bytes();
    if text.len() != 36 {
        return None;
    }
    let mut bytes = [0; 16];
    let mut at = 0;
    for byte in &mut bytes {
        if matches!(at, 8 | 13 | 18 | 23) {
            if text[at] != b'-' {
                return None;
            }
            at += 1;
        }
        let digit = |c: u8| match c {
            b'0'..=b'9' => Some(c - b'0'),
            b'a'..=b'f' => Some(c - b'a' + 10),
            _ => None,
        };
        *byte = digit(text[at])? << 4 | digit(text[at + 1])?;
        at += 2;
    }
    Some(bytes)
}

/// What became of an event that was offered to a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Appended {
    /// It is new.
    New,
    /// The log had it.
    Repeat,
    /// The log had an event with this id but another time or kind; both stay, the first in order counts.
    Conflict,
}

/// The log of one contact.
#[derive(Debug, Default, Clone)]
pub(super) struct Log {
    pub(super) strings: String,
    pub(super) bytes: Vec<u8>,
    /// Times in the log are differences to this one.
    pub(super) base: Millis,
    /// Entries: distinct events, and those that carry an id again with another time or kind.
    pub(super) count: u32,
    /// True once two entries carried the same id.
    pub(super) conflicts: bool,
    last: [Symbol; FIELDS],
    ids: Option<Box<Hashes>>,
}

impl Log {
    /// Puts a log together again from what a snapshot holds.
    pub(super) fn restore(strings: String, bytes: Vec<u8>, base: Millis, count: u32, conflicts: bool) -> Log {
        let mut log = Log { strings, bytes, base, count, conflicts, last: Default::default(), ids: None };
        if count > INDEX_FROM {
            log.index();
        }
        log
    }

    /// Appends one event unless it is a repeat. `words` is asked for what a message says, once it is known to be new.
    pub(super) fn append(
        &mut self,
        event: &Event<'_>,
        words: impl FnOnce(&Log) -> Option<Words>,
    ) -> Appended {
        if self.bytes.is_empty() {
            self.base = event.time;
        }
        let uuid = uuid_bytes(&event.id);
        let id = match &uuid {
            Some(bytes) => Id { uuid: true, bytes },
            None => Id { uuid: false, bytes: event.id.as_bytes() },
        };
        let mut appended = Appended::New;
        if self.may_have(id) {
            let since = event.time.wrapping_sub(self.base);
            for raw in with_id(&self.bytes, id) {
                if raw.kind == event.kind as u8 && raw.time == since {
                    return Appended::Repeat;
                }
                appended = Appended::Conflict;
            }
            self.conflicts |= appended == Appended::Conflict;
        }
        let words = words(self);
        self.write(event, id, words.as_ref());
        self.count += 1;
        match &mut self.ids {
            Some(ids) => {
                ids.insert(xxh3_64(id.bytes));
            }
            None if self.count > INDEX_FROM => self.index(),
            None => {}
        }
        appended
    }

    fn may_have(&self, id: Id<'_>) -> bool {
        self.ids.as_ref().is_none_or(|ids| ids.contains(&xxh3_64(id.bytes)))
    }

    fn index(&mut self) {
        let ids = raw_entries(&self.bytes).map(|raw| xxh3_64(raw.id.bytes)).collect();
        self.ids = Some(Box::new(ids));
    }

    fn write(&mut self, event: &Event<'_>, id: Id<'_>, words: Option<&Words>) {
        let label = match event.kind {
            Kind::ContactStarted => event.topic.as_deref(),
            Kind::Wrapped => event.disposition.as_deref(),
            Kind::Message => words.and_then(|words| words.keywords.as_deref()),
            _ => None,
        };
        let to = event.to_queue.as_deref().or(event.to_agent.as_deref());
        let code = match event.kind {
            Kind::BotEnded => event.bot_outcome.map(|code| code as u8),
            Kind::LeftQueue => event.leave_reason.map(|code| code as u8),
            Kind::Ended => event.by.map(|code| code as u8),
            Kind::Message => event.speaker.map(|code| code as u8),
            _ => None,
        };
        let fields = [
            (Field::Queue, event.queue.as_deref()),
            (Field::Department, event.department.as_deref()),
            (Field::Agent, event.agent_id.as_deref()),
            (Field::Customer, event.customer_id.as_deref()),
            (Field::Tier, event.tier.as_deref()),
            (Field::Label, label),
            (Field::To, to),
        ];
        let mut mask = 0u32;
        // The body is written to the stack first: its length stands before it.
        let mut body: SmallVec<[u8; 160]> = SmallVec::new();
        body.push(event.kind as u8);
        body.push(if id.uuid { u8::MAX } else { id.bytes.len().min(254) as u8 });
        if !id.uuid && id.bytes.len() >= 254 {
            put(&mut body, id.bytes.len() as u64);
        }
        body.extend_from_slice(id.bytes);
        put(&mut body, zigzag(event.time.wrapping_sub(self.base)));
        let mut values: SmallVec<[u8; 64]> = SmallVec::new();
        for (field, text) in fields {
            if let Some(text) = text {
                mask |= 1 << field as u32;
                let symbol = self.symbol(field, text);
                put(&mut values, u64::from(symbol.at));
                put(&mut values, u64::from(symbol.len));
            }
        }
        if let Some(channel) = event.channel {
            mask |= CHANNEL;
            values.push(channel as u8);
        }
        if let Some(code) = code {
            mask |= CODE;
            values.push(code);
        }
        if event.kind == Kind::Wrapped
            && let Some(resolved) = event.resolved
        {
            mask |= RESOLVED | if resolved { RESOLVED_TRUE } else { 0 };
        }
        if let Some(dial) = event.dial_ms {
            mask |= DIAL;
            put(&mut values, zigzag(dial));
        }
        if !event.is_final {
            mask |= PARTIAL;
        }
        if let Some(direction) = event.direction {
            mask |= DIRECTION;
            values.push(direction as u8);
        }
        if let Some(words) = words {
            mask |= WORDS;
            put(&mut values, zigzag(i64::from(words.score)));
            for edge in [&words.head, &words.tail] {
                put(&mut values, edge.len() as u64);
                values.extend_from_slice(edge.as_bytes());
            }
        }
        // Last: `has_final` looks for it at the end.
        if let Some(utterance) = event.utterance.as_deref() {
            mask |= UTTERANCE;
            values.extend_from_slice(&(xxh3_64(utterance.as_bytes()) as u32).to_le_bytes());
        }
        put(&mut body, u64::from(mask));
        body.extend_from_slice(&values);

        let mut head: SmallVec<[u8; 4]> = SmallVec::new();
        put(&mut head, body.len() as u64);
        let more = head.len() + body.len();
        if self.bytes.capacity() - self.bytes.len() < more {
            self.bytes.reserve_exact(more.max(GROW).max(self.bytes.len() / 8));
        }
        self.bytes.extend_from_slice(&head);
        self.bytes.extend_from_slice(&body);
    }

    fn symbol(&mut self, field: Field, text: &str) -> Symbol {
        let last = self.last[field as usize];
        let at = last.at as usize;
        if last.len as usize == text.len() && self.strings.get(at..at + text.len()) == Some(text) {
            return last;
        }
        let found = if self.strings.len() <= SEARCH_STRINGS_TO { self.strings.find(text) } else { None };
        let at = found.unwrap_or_else(|| {
            let end = self.strings.len();
            if self.strings.capacity() - end < text.len() {
                self.strings.reserve_exact(text.len().max(GROW / 2).max(end / 8));
            }
            self.strings.push_str(text);
            end
        });
        let symbol = Symbol { at: at as u32, len: text.len() as u32 };
        self.last[field as usize] = symbol;
        symbol
    }

    /// The events in the contact's order (time, rank, id), each id once. `upto` limits the log to its
    /// first bytes: the log as it was when it had that length.
    pub(super) fn events(&self, upto: usize) -> SmallVec<[Entry<'_>; 16]> {
        let mut events: SmallVec<[Entry<'_>; 16]> = SmallVec::new();
        for raw in raw_entries(&self.bytes[..upto]) {
            events.push(self.entry(raw));
        }
        let order = |a: &Entry<'_>, b: &Entry<'_>| {
            a.time.cmp(&b.time).then(a.kind.cmp(&b.kind)).then_with(|| a.id.cmp(b.id))
        };
        if !events.is_sorted_by(|a, b| order(a, b) != Ordering::Greater) {
            events.sort_unstable_by(order);
        }
        if self.conflicts {
            let mut seen: HashSet<Vec<u8>> = HashSet::new();
            events.retain(|entry| seen.insert(entry.id.text().into_owned()));
        }
        events
    }

    /// True when the log holds the final piece of this utterance.
    pub(super) fn has_final(&self, utterance: &str) -> bool {
        let hash = xxh3_64(utterance.as_bytes()) as u32;
        raw_entries(&self.bytes).any(|raw| {
            let (mask, rest) = get(raw.rest);
            raw.kind == Kind::Message as u8
                && mask as u32 & (UTTERANCE | PARTIAL) == UTTERANCE
                && rest.ends_with(&hash.to_le_bytes())
        })
    }

    /// The contact's keywords as of the first bytes of the log: those that the latest message to come brought along.
    pub(super) fn keywords(&self, upto: usize) -> Option<&str> {
        let messages = raw_entries(&self.bytes[..upto]).filter(|raw| raw.kind == Kind::Message as u8);
        messages.filter_map(|raw| self.entry(raw).label).last()
    }

    /// The queue that the contact entered last, in the order of arrival.
    pub(super) fn latest_queue(&self) -> Option<&str> {
        let queued = raw_entries(&self.bytes).filter(|raw| raw.kind == Kind::Queued as u8);
        queued.filter_map(|raw| self.entry(raw).queue).last()
    }

    /// Ends and beginnings of utterances by the same speaker near a new message that may hold a phrase together with
    /// it: pairs of an end and the beginning that followed it. `head` and `tail` are the new message's own.
    pub(super) fn beside<'a>(
        &'a self,
        event: &Event<'_>,
        within: Millis,
        head: &'a str,
        tail: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a str)> {
        let (speaker, time) = (event.speaker.unwrap_or(Speaker::System), event.time);
        let id = event.id.as_bytes().to_vec();
        let since = time.wrapping_sub(self.base);
        let near = raw_entries(&self.bytes).filter(move |raw| {
            raw.kind == Kind::Message as u8 && raw.time.saturating_sub(since).saturating_abs() <= within
        });
        near.filter_map(move |raw| {
            let other = self.entry(raw);
            if other.speaker().unwrap_or(Speaker::System) != speaker || other.score.is_none() {
                return None;
            }
            let earlier = (other.time, &*other.id.text()) < (time, &*id);
            let (before, after) = if earlier { (other.tail, head) } else { (tail, other.head) };
            (!before.is_empty() && !after.is_empty()).then_some((before, after))
        })
    }

    /// Entries in the first bytes of the log: the revision of rows made from them.
    pub(super) fn count_upto(&self, upto: usize) -> u32 {
        if upto == self.bytes.len() { self.count } else { raw_entries(&self.bytes[..upto]).count() as u32 }
    }

    /// Type and id of the event that arrived last.
    pub(super) fn latest_arrival(&self) -> String {
        let Some(raw) = raw_entries(&self.bytes).last() else { return String::new() };
        let kind = Kind::from_code(raw.kind).map_or("", Kind::as_str);
        format!("{kind} {}", String::from_utf8_lossy(&raw.id.text()))
    }

    /// Bytes that the log takes in memory, without its struct.
    pub(super) fn memory(&self) -> usize {
        self.strings.capacity()
            + self.bytes.capacity()
            + self.ids.as_ref().map_or(0, |ids| ids.capacity() * 9 + 64)
    }

    fn entry<'a>(&'a self, raw: Raw<'a>) -> Entry<'a> {
        let (mask, mut rest) = get(raw.rest);
        let mask = mask as u32;
        let mut texts = [None; FIELDS];
        for (i, text) in texts.iter_mut().enumerate() {
            if mask & (1 << i) != 0 {
                let (at, after) = get(rest);
                let (len, after) = get(after);
                rest = after;
                *text = self.strings.get(at as usize..(at + len) as usize);
            }
        }
        let mut byte = |bit: u32| {
            (mask & bit != 0).then(|| {
                let (&first, after) = rest.split_first().unwrap_or((&u8::MAX, &[]));
                rest = after;
                first
            })
        };
        let channel = byte(CHANNEL).and_then(Channel::from_code);
        let code = byte(CODE);
        let mut dial_ms = None;
        if mask & DIAL != 0 {
            let (dial, after) = get(rest);
            rest = after;
            dial_ms = Some(unzigzag(dial));
        }
        let mut direction = None;
        if mask & DIRECTION != 0
            && let Some((&code, after)) = rest.split_first()
        {
            direction = Direction::from_code(code);
            rest = after;
        }
        let (mut score, mut edges) = (None, [""; 2]);
        if mask & WORDS != 0 {
            let (value, after) = get(rest);
            rest = after;
            score = i16::try_from(unzigzag(value)).ok();
            for edge in &mut edges {
                let (len, after) = get(rest);
                let (bytes, after) = after.split_at_checked(len as usize).unwrap_or_default();
                *edge = std::str::from_utf8(bytes).unwrap_or_default();
                rest = after;
            }
        }
        let [queue, department, agent, customer, tier, label, to] = texts;
        Entry {
            time: self.base.wrapping_add(raw.time),
            kind: Kind::from_code(raw.kind).unwrap_or(Kind::Message),
            id: raw.id,
            queue,
            department,
            agent,
            customer,
            tier,
            label,
            to,
            channel,
            direction,
            code,
            resolved: (mask & RESOLVED != 0).then_some(mask & RESOLVED_TRUE != 0),
            dial_ms,
            is_final: mask & PARTIAL == 0,
            score,
            head: edges[0],
            tail: edges[1],
        }
    }
}

/// An entry before its fields are read.
#[derive(Clone, Copy)]
struct Raw<'a> {
    kind: u8,
    id: Id<'a>,
    time: i64,
    rest: &'a [u8],
}

/// The entries that carry this id. Looks at nothing else of the others: every event is looked for once.
fn with_id<'a>(mut bytes: &'a [u8], id: Id<'a>) -> impl Iterator<Item = Raw<'a>> {
    let tag = if id.uuid { u8::MAX } else { id.bytes.len().min(254) as u8 };
    std::iter::from_fn(move || {
        while !bytes.is_empty() {
            let (len, after) = get(bytes);
            let (body, next) = after.split_at(len as usize);
            let entry = &bytes[..bytes.len() - next.len()];
            bytes = next;
            if body[1] == tag && (tag == 254 || body[2..].starts_with(id.bytes)) {
                let found = raw_entries(entry).next().filter(|raw| raw.id.bytes == id.bytes);
                if found.is_some() {
                    return found;
                }
            }
        }
        None
    })
}

fn raw_entries(mut bytes: &[u8]) -> impl Iterator<Item = Raw<'_>> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let (len, after) = get(bytes);
        let (body, next) = after.split_at(len as usize);
        bytes = next;
        let kind = body[0];
        let (uuid, len, body) = match body[1] {
            u8::MAX => (true, 16, &body[2..]),
            254 => {
                let (len, rest) = get(&body[2..]);
                (false, len as usize, rest)
            }
            len => (false, usize::from(len), &body[2..]),
        };
        let (id, body) = body.split_at(len);
        let (time, rest) = get(body);
        Some(Raw { kind, id: Id { uuid, bytes: id }, time: unzigzag(time), rest })
    })
}

fn put<A: smallvec::Array<Item = u8>>(out: &mut SmallVec<A>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Reads what [`put`] wrote. Bytes that end too early read as what is there: a snapshot's checksum
/// has been checked before, so this only keeps the function total.
fn get(bytes: &[u8]) -> (u64, &[u8]) {
    let mut value = 0u64;
    for (i, &byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte < 0x80 {
            return (value, &bytes[i + 1..]);
        }
    }
    (value, &[])
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}
