//! The events of one contact, kept as compact bytes: the truth from which its rows are made.
//!
//! Append-only, in order of arrival. An event takes about 30 bytes: strings that repeat within the
//! contact (queue, agent, customer …) stand once in `strings`, a UUID takes 16 bytes. Two entries may
//! carry the same id only when they differ; [`Log::events`] then keeps the one that comes first in the
//! contact's order, whatever arrived first.
//!
//! A contact may have a million messages: nothing here looks at every entry when one comes.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::hash::{BuildHasherDefault, Hasher};

use hashbrown::{HashMap, HashSet, HashTable};
use smallvec::SmallVec;
use xxhash_rust::xxh3::xxh3_64;

use super::marks::{self, Marks};
use super::words::Words;
use crate::event::{BotOutcome, Channel, Direction, EndedBy, Event, Kind, LeaveReason, Speaker};
use crate::time::Millis;

/// Above this many events an index of ids replaces the scan for repeats.
const INDEX_FROM: u32 = 64;
/// Above this many events they are read one by one, not all at once: an entry in the open takes six times its bytes.
const MANY: u32 = 4096;
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
/// A hash of the document and its version stand at the end, after the fields.
const RECORD: u32 = 1 << 15;
/// Words: the score of a message, its beginning and its end.
const WORDS: u32 = 1 << 16;
/// What its words mean to quality: flags, a hash, phrases.
const MARKS: u32 = 1 << 17;

/// Finds entries of a long log.
#[derive(Debug, Default, Clone)]
struct Index {
    /// Where entries begin, by the hash of their id.
    ids: HashTable<u32>,
    /// Hashes of the utterances whose final piece is there.
    finals: HashSet<u32, BuildHasherDefault<Ready>>,
}

/// A slice of the log's strings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Symbol {
    at: u32,
    len: u32,
}

/// A hasher that takes a hash as it is.
#[derive(Default, Clone)]
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
    fn write_u32(&mut self, value: u32) {
        // The table takes its tag from the upper bits.
        self.0 = u64::from(value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

/// A set of hashes.
pub(super) type Hashes = HashSet<u64, BuildHasherDefault<Ready>>;

/// One event of a contact as its rows need it; strings are of the log.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<'a> {
    pub(super) time: Millis,
    pub(super) kind: Kind,
    pub(super) id: Id<'a>,
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
    /// Hash and version of the document that the event was read from.
    record: Option<(u64, i64)>,
    /// Sentiment of a message in thousandths, its beginning and its end (see [`Words`]).
    pub(super) score: Option<i16>,
    head: &'a str,
    tail: &'a str,
    /// What its words mean to quality.
    pub(super) marks: Marks<'a>,
}

impl Entry<'_> {
    fn order(&self, other: &Entry<'_>) -> Ordering {
        let known =
            self.time.cmp(&other.time).then(self.kind.cmp(&other.kind)).then_with(|| self.id.cmp(other.id));
        known.then_with(|| self.content().cmp(&other.content()))
    }

    /// What tells entries of one id, time and kind apart, and puts them in order.
    fn content(&self) -> Content<'_> {
        // A message's label was not said by the event.
        let label = self.label.filter(|_| self.kind != Kind::Message);
        let texts = [self.queue, self.department, self.agent, self.customer, self.tier, label, self.to];
        let codes = [self.channel.map(|channel| channel as u8), self.direction.map(|to| to as u8), self.code];
        (texts, codes, self.resolved, self.dial_ms, self.is_final)
    }

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

/// The fields of an event that its log keeps, without id, time and kind.
type Content<'a> = ([Option<&'a str>; FIELDS], [Option<u8>; 3], Option<bool>, Option<i64>, bool);

/// [`Entry::content`] of an event that is not written yet.
fn content_of<'a>(event: &'a Event<'_>) -> Content<'a> {
    let label = match event.kind {
        Kind::ContactStarted => event.topic.as_deref(),
        Kind::Wrapped => event.disposition.as_deref(),
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
    let texts = [
        event.queue.as_deref(),
        event.department.as_deref(),
        event.agent_id.as_deref(),
        event.customer_id.as_deref(),
        event.tier.as_deref(),
        label,
        to,
    ];
    let codes = [event.channel.map(|channel| channel as u8), event.direction.map(|to| to as u8), code];
    let resolved = event.resolved.filter(|_| event.kind == Kind::Wrapped);
    (texts, codes, resolved, event.dial_ms, event.is_final)
}

/// The events of a log in order.
#[expect(
    clippy::large_enum_variant,
    reason = "one lives at a time, on the stack of a fold; nearly every contact is short and needs no allocation"
)]
pub(super) enum Events<'a> {
    /// All at hand.
    Few(SmallVec<[Entry<'a>; 16]>),
    /// Where they begin; each is read when it is asked for.
    Many(&'a Log, Vec<u32>),
}

impl<'a> Events<'a> {
    fn len(&self) -> usize {
        match self {
            Events::Few(events) => events.len(),
            Events::Many(_, order) => order.len(),
        }
    }

    fn at(&self, at: usize) -> Option<Entry<'a>> {
        match self {
            Events::Few(events) => events.get(at).copied(),
            Events::Many(log, order) => order.get(at).and_then(|begin| log.entry_at(*begin)),
        }
    }

    /// The first so many of them; [`usize::MAX`]: all.
    pub(super) fn first(&self, count: usize) -> impl Iterator<Item = Entry<'a>> + Clone {
        (0..self.len().min(count)).filter_map(|at| self.at(at))
    }
}

/// An event's id as it is stored: bytes of the text, or the 16 bytes of a canonical UUID.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Id<'a> {
    uuid: bool,
    bytes: &'a [u8],
}

impl<'a> Id<'a> {
    /// The id's text, for order among events of the same time and kind.
    pub(super) fn text(self) -> Cow<'a, [u8]> {
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
    /// The log had an event with this id but another time, kind or content; both stay, the first in order counts.
    Conflict,
}

/// The log of one contact.
#[derive(Debug, Default, Clone)]
pub(super) struct Log {
    pub(super) strings: String,
    pub(super) bytes: Vec<u8>,
    /// Times in the log are differences to this one.
    pub(super) base: Millis,
    /// Entries: distinct events, and those that carry an id again with another time, kind or content.
    pub(super) count: u32,
    /// True once two entries carried the same id.
    pub(super) conflicts: bool,
    last: [Symbol; FIELDS],
    index: Option<Box<Index>>,
}

impl Log {
    /// Puts a log together again from what a snapshot holds.
    pub(super) fn restore(strings: String, bytes: Vec<u8>, base: Millis, count: u32, conflicts: bool) -> Log {
        let mut log = Log { strings, bytes, base, count, conflicts, last: Default::default(), index: None };
        if count > INDEX_FROM {
            log.index_all();
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
        let record = record_of(event);
        let mut appended = Appended::New;
        let since = event.time.wrapping_sub(self.base);
        let same = |raw: &Raw<'_>| {
            raw.kind == event.kind as u8
                && raw.time == since
                && raw.record() == record
                && self.entry(*raw).content() == content_of(event)
        };
        match &self.index {
            None => {
                for raw in with_id(&self.bytes, id) {
                    if same(&raw) {
                        return Appended::Repeat;
                    }
                    appended = Appended::Conflict;
                }
            }
            Some(index) => {
                let begins = index.ids.iter_hash(xxh3_64(id.bytes));
                for raw in begins.filter_map(|at| raw_at(&self.bytes, *at)) {
                    if raw.id.uuid != id.uuid || raw.id.bytes != id.bytes {
                        continue;
                    }
                    if same(&raw) {
                        return Appended::Repeat;
                    }
                    appended = Appended::Conflict;
                }
            }
        }
        // Versions are sorted out together with ids that stand twice.
        self.conflicts |= appended == Appended::Conflict || record.is_some();
        let words = words(self);
        let begin = self.bytes.len() as u32;
        self.write(event, id, words.as_ref());
        self.count += 1;
        if self.index.is_some() {
            self.index_one(begin);
        } else if self.count > INDEX_FROM {
            self.index_all();
        }
        appended
    }

    fn index_all(&mut self) {
        self.index = Some(Box::default());
        let mut at = 0;
        while at < self.bytes.len() {
            self.index_one(at as u32);
            let (len, after) = get(&self.bytes[at..]);
            at = self.bytes.len() - after.len() + len as usize;
        }
    }

    fn index_one(&mut self, begin: u32) {
        let Log { bytes, index, .. } = self;
        let (Some(index), Some(raw)) = (index, raw_at(bytes, begin)) else { return };
        if let Some(utterance) = raw.final_utterance() {
            index.finals.insert(utterance);
        }
        let hash = |at: &u32| raw_at(bytes, *at).map_or(0, |raw| xxh3_64(raw.id.bytes));
        index.ids.insert_unique(hash(&begin), begin, hash);
    }

    fn write(&mut self, event: &Event<'_>, id: Id<'_>, words: Option<&Words>) {
        let (mut texts, [channel, direction, code], resolved, dial_ms, is_final) = content_of(event);
        if event.kind == Kind::Message {
            texts[Field::Label as usize] = words.and_then(|words| words.keywords.as_deref());
        }
        let fields = [
            Field::Queue,
            Field::Department,
            Field::Agent,
            Field::Customer,
            Field::Tier,
            Field::Label,
            Field::To,
        ];
        let fields = fields.into_iter().zip(texts);
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
        if let Some(channel) = channel {
            mask |= CHANNEL;
            values.push(channel);
        }
        if let Some(code) = code {
            mask |= CODE;
            values.push(code);
        }
        if let Some(resolved) = resolved {
            mask |= RESOLVED | if resolved { RESOLVED_TRUE } else { 0 };
        }
        if let Some(dial) = dial_ms {
            mask |= DIAL;
            put(&mut values, zigzag(dial));
        }
        if !is_final {
            mask |= PARTIAL;
        }
        if let Some(direction) = direction {
            mask |= DIRECTION;
            values.push(direction);
        }
        if let Some(words) = words {
            mask |= WORDS;
            put(&mut values, zigzag(i64::from(words.score)));
            for edge in [&words.head, &words.tail] {
                put(&mut values, edge.len() as u64);
                values.extend_from_slice(edge.as_bytes());
            }
        }
        if let Some(words) = words.filter(|words| words.has_marks()) {
            mask |= MARKS;
            let mut place = |text: &str| {
                let symbol = self.intern(text);
                (symbol.at, symbol.len)
            };
            marks::write(words, &mut place, &mut values);
        }
        // Last: `has_final` looks for it at the end.
        if let Some(utterance) = event.utterance.as_deref() {
            mask |= UTTERANCE;
            values.extend_from_slice(&(xxh3_64(utterance.as_bytes()) as u32).to_le_bytes());
        }
        if let Some((hash, version)) = record_of(event) {
            mask |= RECORD;
            values.extend_from_slice(&hash.to_le_bytes());
            values.extend_from_slice(&version.to_le_bytes());
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
        let symbol = self.intern(text);
        self.last[field as usize] = symbol;
        symbol
    }

    /// The place of a text among the strings.
    fn intern(&mut self, text: &str) -> Symbol {
        let found = if self.strings.len() <= SEARCH_STRINGS_TO { self.strings.find(text) } else { None };
        let at = found.unwrap_or_else(|| {
            let end = self.strings.len();
            if self.strings.capacity() - end < text.len() {
                self.strings.reserve_exact(text.len().max(GROW / 2).max(end / 8));
            }
            self.strings.push_str(text);
            end
        });
        Symbol { at: at as u32, len: text.len() as u32 }
    }

    /// The events in the contact's order (time, rank, id), each id once. `upto` limits the log to its
    /// first bytes: the log as it was when it had that length.
    pub(super) fn events(&self, upto: usize) -> Events<'_> {
        if self.count > MANY { self.many_events(upto) } else { self.few_events(upto, 0).0 }
    }

    /// The events of the whole log, as [`Log::events`], and how many of them, the first ones, are those of its first
    /// `mark` bytes; `None` where newer ones may stand between older ones.
    pub(super) fn events_since(&self, mark: usize) -> (Events<'_>, Option<usize>) {
        let upto = self.bytes.len();
        if self.count > MANY { (self.many_events(upto), None) } else { self.few_events(upto, mark) }
    }

    fn few_events(&self, upto: usize, mark: usize) -> (Events<'_>, Option<usize>) {
        let mut events: SmallVec<[Entry<'_>; 16]> = SmallVec::new();
        let mut marked = 0;
        let mut rest = &self.bytes[..upto];
        while let Some(raw) = next_raw(&mut rest) {
            events.push(self.entry(raw));
            marked += usize::from(upto - rest.len() <= mark);
        }
        let sorted = events.is_sorted_by(|a, b| a.order(b) != Ordering::Greater);
        if !sorted {
            events.sort_unstable_by(Entry::order);
        }
        if self.conflicts {
            let newest = newest_versions(events.iter().filter_map(|entry| entry.record));
            events.retain(|entry| entry.record.is_none_or(|(hash, version)| newest[&hash] == version));
            let mut seen: HashSet<Vec<u8>> = HashSet::new();
            events.retain(|entry| seen.insert(entry.id.text().into_owned()));
        }
        (Events::Few(events), (sorted && !self.conflicts).then_some(marked))
    }

    /// As [`Log::events`], by the places of the entries.
    fn many_events(&self, upto: usize) -> Events<'_> {
        let mut keys: Vec<(Millis, u8, u32)> = Vec::with_capacity(self.count as usize);
        let mut rest = &self.bytes[..upto];
        while !rest.is_empty() {
            let begin = (upto - rest.len()) as u32;
            let (len, after) = get(rest);
            if let Some(raw) = raw_entries(rest).next() {
                keys.push((raw.time, raw.kind, begin));
            }
            rest = &after[len as usize..];
        }
        let order = |a: &(Millis, u8, u32), b: &(Millis, u8, u32)| {
            (a.0, a.1).cmp(&(b.0, b.1)).then_with(|| match (self.entry_at(a.2), self.entry_at(b.2)) {
                (Some(a), Some(b)) => a.id.cmp(b.id).then_with(|| a.content().cmp(&b.content())),
                _ => Ordering::Equal,
            })
        };
        if !keys.is_sorted_by(|a, b| order(a, b) != Ordering::Greater) {
            keys.sort_unstable_by(order);
        }
        if self.conflicts {
            let record = |begin| self.entry_at(begin).and_then(|entry| entry.record);
            let newest = newest_versions(keys.iter().filter_map(|key| record(key.2)));
            keys.retain(|key| record(key.2).is_none_or(|(hash, version)| newest[&hash] == version));
            let mut seen: HashSet<Vec<u8>> = HashSet::new();
            keys.retain(|key| {
                self.entry_at(key.2).is_none_or(|entry| seen.insert(entry.id.text().into_owned()))
            });
        }
        Events::Many(self, keys.into_iter().map(|(_, _, begin)| begin).collect())
    }

    fn entry_at(&self, begin: u32) -> Option<Entry<'_>> {
        raw_at(&self.bytes, begin).map(|raw| self.entry(raw))
    }

    /// True when the log holds the final piece of this utterance.
    pub(super) fn has_final(&self, utterance: &str) -> bool {
        let hash = xxh3_64(utterance.as_bytes()) as u32;
        match &self.index {
            Some(index) => index.finals.contains(&hash),
            None => raw_entries(&self.bytes).any(|raw| raw.final_utterance() == Some(hash)),
        }
    }

    /// The contact's keywords as of the first bytes of the log: those that the latest message to come brought along.
    pub(super) fn keywords(&self, upto: usize) -> Option<&str> {
        let labelled = |raw: &Raw<'_>| get(raw.rest).0 & (1 << Field::Label as u32) != 0;
        let messages = raw_entries(&self.bytes[..upto]).filter(|raw| raw.kind == Kind::Message as u8);
        messages.filter(labelled).last().and_then(|raw| self.entry(raw).label)
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

    /// Reads a byte of each line of the cache that the next event will need.
    pub(super) fn glance(&self) -> u8 {
        const LINE: usize = 64;
        let lines = |bytes: &[u8]| bytes.iter().step_by(LINE).take(16).fold(0, |seen, byte| seen ^ byte);
        lines(&self.bytes) ^ lines(self.strings.as_bytes())
    }

    /// Bytes that the log takes in memory, without its struct.
    pub(super) fn memory(&self) -> usize {
        self.strings.capacity()
            + self.bytes.capacity()
            + self
                .index
                .as_ref()
                .map_or(0, |index| (index.ids.capacity() + index.finals.capacity()) * 5 + 128)
    }

    fn entry<'a>(&'a self, raw: Raw<'a>) -> Entry<'a> {
        let (mask, mut rest) = get(raw.rest);
        let mask = mask as u32;
        let mut texts = [None; FIELDS];
        // Bit by bit of those that are set: most entries have two or three of the fields.
        let mut fields = mask & ((1 << FIELDS) - 1);
        while fields != 0 {
            let (at, after) = get(rest);
            let (len, after) = get(after);
            rest = after;
            texts[fields.trailing_zeros() as usize] = self.strings.get(at as usize..(at + len) as usize);
            fields &= fields - 1;
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
        let marks = if mask & MARKS != 0 { marks::read(rest) } else { Marks::default() };
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
            record: raw.record(),
            score,
            head: edges[0],
            tail: edges[1],
            marks,
        }
    }
}

/// Hash and version of the document that an event of a contact's course was read from. Messages have none: their
/// rows are written as they come.
fn record_of(event: &Event<'_>) -> Option<(u64, i64)> {
    let record = event.record.as_deref().filter(|_| event.kind != Kind::Message)?;
    Some((xxh3_64(record.as_bytes()), event.version.unwrap_or(0)))
}

/// The newest version of each document.
fn newest_versions(records: impl Iterator<Item = (u64, i64)>) -> HashMap<u64, i64> {
    let mut newest = HashMap::new();
    for (hash, version) in records {
        let of_record = newest.entry(hash).or_insert(version);
        *of_record = version.max(*of_record);
    }
    newest
}

/// An entry before its fields are read.
#[derive(Clone, Copy)]
struct Raw<'a> {
    kind: u8,
    id: Id<'a>,
    time: i64,
    rest: &'a [u8],
}

impl Raw<'_> {
    /// The hash of its utterance, of a message that is the final piece of one.
    fn final_utterance(&self) -> Option<u32> {
        let (mask, rest) = get(self.rest);
        let is_one = self.kind == Kind::Message as u8 && mask as u32 & (UTTERANCE | PARTIAL) == UTTERANCE;
        // It stands last, before the document if there is one.
        let end = if mask as u32 & RECORD == 0 { rest.len() } else { rest.len().saturating_sub(16) };
        rest[..end].last_chunk::<4>().filter(|_| is_one).map(|bytes| u32::from_le_bytes(*bytes))
    }

    fn record(&self) -> Option<(u64, i64)> {
        let (mask, rest) = get(self.rest);
        if mask as u32 & RECORD == 0 {
            return None;
        }
        let (rest, version) = rest.split_last_chunk::<8>()?;
        let (_, hash) = rest.split_last_chunk::<8>()?;
        Some((u64::from_le_bytes(*hash), i64::from_le_bytes(*version)))
    }
}

/// The entry that begins there.
fn raw_at(bytes: &[u8], begin: u32) -> Option<Raw<'_>> {
    raw_entries(bytes.get(begin as usize..)?).next()
}

/// The entries that carry this id. Looks at nothing else of the others: every event is looked for once.
fn with_id<'a>(mut bytes: &'a [u8], id: Id<'a>) -> impl Iterator<Item = Raw<'a>> {
    let tag = if id.uuid { u8::MAX } else { id.bytes.len().min(254) as u8 };
    // Nearly every id is a UUID, of a length that the compiler knows.
    let uuid: Option<&[u8; 16]> = id.bytes.try_into().ok();
    let begins = move |body: &[u8]| match uuid {
        Some(uuid) => body.first_chunk() == Some(uuid),
        None => body.starts_with(id.bytes),
    };
    std::iter::from_fn(move || {
        while !bytes.is_empty() {
            let (len, after) = get(bytes);
            let (body, next) = after.split_at(len as usize);
            let entry = &bytes[..bytes.len() - next.len()];
            bytes = next;
            if body[1] == tag && (tag == 254 || begins(&body[2..])) {
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
    std::iter::from_fn(move || next_raw(&mut bytes))
}

/// Takes the next entry off the bytes.
#[inline]
fn next_raw<'a>(bytes: &mut &'a [u8]) -> Option<Raw<'a>> {
    if bytes.is_empty() {
        return None;
    }
    let (len, after) = get(bytes);
    let (body, next) = after.split_at(len as usize);
    *bytes = next;
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
}

pub(super) fn put<A: smallvec::Array<Item = u8>>(out: &mut SmallVec<A>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Reads what [`put`] wrote. Bytes that end too early read as what is there: a snapshot's checksum
/// has been checked before, so this only keeps the function total.
#[inline]
pub(super) fn get(bytes: &[u8]) -> (u64, &[u8]) {
    // Most numbers take one byte.
    match bytes {
        [byte, rest @ ..] if *byte < 0x80 => (u64::from(*byte), rest),
        _ => get_long(bytes),
    }
}

fn get_long(bytes: &[u8]) -> (u64, &[u8]) {
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
