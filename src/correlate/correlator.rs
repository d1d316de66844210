//! The correlator of one task: takes events, hands out rows.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;

use hashbrown::{HashMap, HashTable};
use smallvec::SmallVec;
use xxhash_rust::xxh3::xxh3_64;

use super::agents::{Agent, Taken};
use super::dossiers::{About, Dossier};
use super::findings::{ServiceRule, Whole};
use super::fold::{Judge, fold, fold_both};
use super::json::rows_json;
use super::log::{Appended, Hashes, Log};
use super::options::Options;
use super::rows::Rows;
use super::words::{Ear, Heard};
use crate::event::{AgentStateName, Event, Kind, Place, Speaker};
use crate::facts::{
    AGENT_STATES, CONTACT_FINDINGS, CONTACTS, EventRow, Facts, HANDLINGS, LEGS, MESSAGES, MessageRow,
    RestatementRow, TableSet,
};
use crate::text::{Reader, Reading};
use crate::time::{DAY, HOUR, Millis, SlotCache};

/// How long dossiers (complaints, promises, shifts) are held after their newest event, event time.
const DOSSIER_MS: Millis = 90 * DAY;
/// Contacts with more events than this are not folded anew for each message that comes …
const LONG: u32 = 1024;
/// … but when they have grown by one part in this many, so that a contact's folds together cost a few times its length.
const GROWTH: usize = 8;
/// How long the ids of forgotten contacts are known, so that their late events are told from new contacts.
const FORGOTTEN_MS: Millis = 7 * DAY;

/// What became of one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// It is new and counts.
    New,
    /// It had been applied before.
    Repeat,
    /// Its contact or agent can no longer be restated; why, in words.
    TooLate(String),
}

/// Is told of every change, once per batch and contact.
pub trait Observer {
    /// A contact's rows were `old` and are `new`. `counted` is what this method returned for the contact
    /// the last time (0 at first); the correlator keeps it with the contact.
    fn contact(&mut self, old: &Rows<'_>, new: &Rows<'_>, counted: i64) -> i64;

    /// An agent's state in force was `old` and is `new`.
    fn agent(&mut self, old: Option<AgentStateName>, new: Option<AgentStateName>);

    /// A promise was not kept by its due time, or nobody called back about a complaint by its deadline; each is told once.
    fn overdue(&mut self, _rule: ServiceRule, _queue: Option<&str>) {}

    /// A new message was read; each is told once.
    fn heard(&mut self, _heard: &Heard) {}
}

/// Sizes and counts, for metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Contacts that are not closed.
    pub open_contacts: u64,
    /// Contacts held in memory: open ones, and closed ones that events may still restate.
    pub held_contacts: u64,
    /// Bytes held for contacts.
    pub contact_bytes: u64,
    /// Corrections of rows that had been written.
    pub restatements: u64,
    /// Events whose time was behind the watermark when they came.
    pub late_events: u64,
}

/// Partial transcript pieces, by their utterance.
pub(super) type Partials = BTreeMap<Box<str>, Event<'static>>;

/// A contact in memory.
#[derive(Debug)]
pub(super) struct Contact {
    pub(super) key: Box<str>,
    pub(super) log: Log,
    /// The log's length when rows were last handed out or shown, and the watermark then.
    pub(super) settled: (u32, Millis),
    /// The watermark when an event last came.
    pub(super) touched: Millis,
    /// The earliest moment at which this contact is looked at without an event; `Millis::MAX`: none.
    pub(super) timer: Millis,
    /// When it closed, and then how long events may restate it.
    pub(super) forget_at: Option<Millis>,
    /// The revision that was handed out as closed rows; 0: none is in force.
    pub(super) written: u32,
    /// What the observer has counted.
    pub(super) counted: i64,
    pub(super) dirty: bool,
    /// Something else than messages has come since it was settled.
    pub(super) urgent: bool,
    /// Partial transcript pieces whose final piece has not come.
    pub(super) partials: Option<Box<Partials>>,
}

/// Joins the events of one task.
#[derive(Debug)]
pub struct Correlator {
    pub(super) options: Options,
    pub(super) slots: SlotCache,
    pub(super) newest: Millis,
    pub(super) contacts: Vec<Option<Contact>>,
    index: HashTable<u32>,
    free: Vec<u32>,
    dirty: Vec<u32>,
    timers: BinaryHeap<Reverse<(Millis, u32)>>,
    pub(super) agents: HashMap<Box<str>, Agent>,
    dirty_agents: Vec<Box<str>>,
    pub(super) dossiers: HashMap<(About, Box<str>), Dossier>,
    dirty_dossiers: Vec<(About, Box<str>)>,
    /// When promises and complaints are overdue, the earliest first.
    due: BinaryHeap<Reverse<(Millis, About, Box<str>)>>,
    sweep_at: Millis,
    forgotten: Hashes,
    /// Forgotten contacts by the hour of the watermark at which they were forgotten.
    pub(super) forgotten_by_hour: BTreeMap<Millis, Vec<u64>>,
    pub(super) counts: Counts,
    /// Hashes of one in 64 of the contacts that began since they were last taken.
    sample: Vec<u64>,
    ear: Ear,
    /// Messages that were read since the last settling.
    heard: Vec<Heard>,
}

/// One contact in this many is sampled.
const SAMPLE_ONE_IN: u64 = 64;
/// Sampled contacts that are kept until they are taken.
const SAMPLE_MAX: usize = 1 << 14;

impl Correlator {
    /// A correlator that has seen nothing.
    pub fn new(options: Options) -> Correlator {
        Correlator {
            slots: SlotCache::new(options.grid),
            options,
            newest: Millis::MIN,
            contacts: Vec::new(),
            index: HashTable::new(),
            free: Vec::new(),
            dirty: Vec::new(),
            timers: BinaryHeap::new(),
            agents: HashMap::new(),
            dirty_agents: Vec::new(),
            dossiers: HashMap::new(),
            dirty_dossiers: Vec::new(),
            due: BinaryHeap::new(),
            sweep_at: Millis::MIN,
            forgotten: Hashes::default(),
            forgotten_by_hour: BTreeMap::new(),
            counts: Counts::default(),
            sample: Vec::new(),
            ear: Ear::default(),
            heard: Vec::new(),
        }
    }

    /// Reads every message from now on by this reader; without one, messages have neither sentiment nor keywords.
    pub fn read_by(&mut self, reader: Arc<Reader>) {
        self.ear.set(reader);
    }

    /// What was read in the event that was applied last, where that was a new final message.
    pub fn reading(&self) -> Option<&Reading> {
        self.ear.reading()
    }

    /// The time up to which events are taken to have come: the newest event's time less the lateness.
    pub fn watermark(&self) -> Millis {
        self.newest.saturating_sub(self.options.lateness_ms)
    }

    /// The newest event's time; `Millis::MIN` before the first.
    pub fn newest(&self) -> Millis {
        self.newest
    }

    /// Sizes and counts.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Told of the contacts that the next events are about, by the keys of their records: reads what will be needed of all of
    /// them, so that memory is waited for once and not contact by contact. Changes nothing.
    pub fn expect<'k>(&self, keys: impl Iterator<Item = &'k [u8]>) {
        // A place that another contact has is no harm, so keys are not compared.
        let found = |key: &[u8]| self.index.find(xxh3_64(key), |_| true).copied();
        let places: SmallVec<[u32; 32]> = keys.filter_map(found).collect();
        let seen = places.iter().filter_map(|at| self.contact(*at)).fold(0u8, |seen, contact| {
            let key = contact.key.as_bytes().first().copied().unwrap_or_default();
            seen ^ key ^ contact.log.glance()
        });
        std::hint::black_box(seen);
    }

    /// Applies one event. Rows follow with [`Correlator::settle`].
    pub fn apply(&mut self, event: &Event<'_>, place: Place<'_>, facts: &mut Facts) -> Applied {
        if event.time < self.watermark() {
            self.counts.late_events += 1;
        }
        self.newest = self.newest.max(event.time);
        self.ear.forget();
        let applied = match event.kind {
            Kind::AgentState => self.apply_agent(event),
            kind if kind <= Kind::Message => self.apply_contact(event, facts),
            _ => self.apply_dossier(event),
        };
        if applied == Applied::New && self.options.keep_events {
            facts.events.push(&event_row(event, place, &mut self.slots));
        }
        applied
    }

    fn apply_contact(&mut self, event: &Event<'_>, facts: &mut Facts) -> Applied {
        let Some(key) = event.contact_id.as_deref() else {
            return Applied::TooLate("the event names no contact".to_owned());
        };
        let watermark = self.watermark();
        let hash = xxh3_64(key.as_bytes());
        let found = self.index.find(hash, |&at| self.contact(at).is_some_and(|contact| *contact.key == *key));
        let at = match found.copied() {
            Some(at) => {
                if !self.options.unordered && self.is_past(at, watermark) {
                    return Applied::TooLate(self.too_late(key));
                }
                at
            }
            None if self.forgotten.contains(&hash) => return Applied::TooLate(self.too_late(key)),
            None => self.insert(hash, key),
        };
        let contact = self.contacts[at as usize].as_mut().expect("the index names contacts that are held");
        let memory = contact.log.memory();
        let ear = &mut self.ear;
        let mut is_read = false;
        let appended = contact.log.append(event, |log| {
            let words = ear.listen(log, event);
            is_read = words.is_some();
            words
        });
        self.counts.contact_bytes += (contact.log.memory() - memory) as u64;
        if appended == Appended::Repeat {
            return Applied::Repeat;
        }
        contact.touched = watermark;
        contact.urgent |= event.kind != Kind::Message;
        if !contact.dirty {
            contact.dirty = true;
            self.dirty.push(at);
        }
        if appended == Appended::Conflict {
            return Applied::Repeat;
        }
        if event.kind == Kind::Message {
            if event.is_final {
                let mut row = message_row(event, &mut self.slots);
                if is_read {
                    row.sentiment = Some(self.ear.score());
                    row.hits = (!self.ear.hits.is_empty()).then_some(&*self.ear.hits);
                }
                facts.messages.push(&row);
                if is_read {
                    let own = event.queue.as_deref();
                    self.heard.push(Heard {
                        time: event.time,
                        speaker: event.speaker.unwrap_or(Speaker::System),
                        // Looked up only where somebody counts by it.
                        queue: match self.ear.categories.is_empty() {
                            true => None,
                            false => own.or_else(|| contact.log.latest_queue()).map(Box::from),
                        },
                        score: self.ear.score(),
                        categories: std::mem::take(&mut self.ear.categories),
                    });
                }
                if let Some(utterance) = event.utterance.as_deref() {
                    contact.drop_partial(utterance);
                }
            } else {
                contact.keep_partial(event);
            }
        }
        Applied::New
    }

    fn too_late(&self, key: &str) -> String {
        let secs = self.options.correlation_ms / 1000;
        format!("the contact `{key}` closed more than correlation_secs = {secs} ago in event time")
    }

    /// True when the contact closed so long ago that events no longer restate it.
    fn is_past(&mut self, at: u32, watermark: Millis) -> bool {
        let Some(contact) = self.contacts[at as usize].as_ref() else { return false };
        // It is held for that long after its last event in any case. Whether it has been looked at since must
        // not matter: batches are cut elsewhere when a task starts again.
        if watermark < contact.touched.saturating_add(self.options.correlation_ms) {
            return false;
        }
        let due = contact.timer.min(contact.forget_at.unwrap_or(Millis::MAX));
        if !contact.dirty && watermark < due {
            return false;
        }
        // A time-out may have closed it since it was last looked at.
        let folded = fold(
            (&contact.key, &contact.log),
            contact.log.bytes.len(),
            watermark,
            Judge::Closed,
            &self.options,
            &mut self.slots,
        );
        folded.rows.closed_at.is_some_and(|closed| {
            watermark >= closed.max(contact.touched).saturating_add(self.options.correlation_ms)
        })
    }

    /// States of agents before this are settled: later ones of such a time are refused.
    fn horizon(&self) -> Millis {
        if self.options.unordered {
            return Millis::MIN;
        }
        self.watermark().saturating_sub(self.options.correlation_ms)
    }

    fn apply_agent(&mut self, event: &Event<'_>) -> Applied {
        let (Some(agent_id), Some(state)) = (event.agent_id.as_deref(), event.state) else {
            return Applied::TooLate("the event names no agent or state".to_owned());
        };
        let horizon = self.horizon();
        let agent = match self.agents.get_mut(agent_id) {
            Some(agent) => agent,
            None => self.agents.entry(Box::from(agent_id)).or_default(),
        };
        let was_dirty = agent.dirty;
        let taken = agent.take(event, state, horizon);
        if agent.dirty && !was_dirty {
            self.dirty_agents.push(Box::from(agent_id));
        }
        match taken {
            Taken::New => Applied::New,
            Taken::Repeat => Applied::Repeat,
            Taken::TooLate => Applied::TooLate(format!(
                "the states of agent `{agent_id}` can no longer be restated at this time"
            )),
        }
    }

    fn apply_dossier(&mut self, event: &Event<'_>) -> Applied {
        let Some((about, key)) = About::of(event) else {
            return Applied::TooLate("the event names no survey, complaint, promise or shift".to_owned());
        };
        let key = key.into_boxed_str();
        let dossier = self.dossiers.entry((about, key.clone())).or_default();
        let was_dirty = dossier.dirty;
        let new = dossier.take(event);
        if dossier.dirty && !was_dirty {
            self.dirty_dossiers.push((about, key));
        }
        if new { Applied::New } else { Applied::Repeat }
    }

    /// Lets the passing of event time and the events since the last call take effect: hands out the rows
    /// of contacts that have closed, restatements of rows that were handed out before, and tells the
    /// observer what changed.
    pub fn settle(&mut self, facts: &mut Facts, observer: &mut impl Observer) {
        self.settle_some(facts, observer, false);
    }

    /// As [`Correlator::settle`], but lets messages of long contacts that are open wait until there are enough of them. They
    /// are in [`Correlator::open_rows`] all the same; the observer learns of them later. Not for a moment whose
    /// rows are stored together with its position.
    pub fn settle_soon(&mut self, facts: &mut Facts, observer: &mut impl Observer) {
        self.settle_some(facts, observer, true);
    }

    /// True while something waits that [`Correlator::settle_soon`] has left.
    pub fn waits(&self) -> bool {
        !self.dirty.is_empty()
    }

    fn settle_some(&mut self, facts: &mut Facts, observer: &mut impl Observer, may_wait: bool) {
        let watermark = self.watermark();
        while let Some(&Reverse((at, index))) = self.timers.peek() {
            if at > watermark {
                break;
            }
            self.timers.pop();
            if let Some(contact) = self.contacts[index as usize].as_mut()
                && contact.timer == at
            {
                contact.timer = Millis::MAX;
                contact.urgent = true;
                if !contact.dirty {
                    contact.dirty = true;
                    self.dirty.push(index);
                }
            }
        }
        let mut dirty = std::mem::take(&mut self.dirty);
        dirty.retain(|&index| {
            let waits = may_wait && self.contact(index).is_some_and(Contact::can_wait);
            if !waits {
                self.settle_contact(index, watermark, facts, observer);
            }
            waits
        });
        self.dirty = dirty;

        for heard in self.heard.drain(..) {
            observer.heard(&heard);
        }
        let horizon = self.horizon();
        for agent_id in std::mem::take(&mut self.dirty_agents) {
            if let Some(agent) = self.agents.get_mut(&agent_id) {
                let current = agent.current();
                let shown = agent.shown;
                agent.settle(&agent_id, horizon, &mut self.slots, &mut facts.agent_states);
                agent.shown = current;
                if shown != current {
                    observer.agent(shown, current);
                }
            }
        }
        for (about, key) in std::mem::take(&mut self.dirty_dossiers) {
            if let Some(dossier) = self.dossiers.get_mut(&(about, key.clone())) {
                dossier.dirty = false;
                let account = dossier.read();
                account.write(about, &key, &mut self.slots, facts);
                if let Some((_, due, false)) = account.due(about, &self.options) {
                    self.due.push(Reverse((due, about, key)));
                }
            }
        }
        self.tell_overdue(watermark, observer);
        if watermark >= self.sweep_at {
            self.sweep(watermark);
        }
    }

    /// Tells once of each promise and complaint that was not seen to in time.
    fn tell_overdue(&mut self, watermark: Millis, observer: &mut impl Observer) {
        while self.due.peek().is_some_and(|Reverse((at, ..))| *at < watermark) {
            let Some(Reverse((at, about, key))) = self.due.pop() else { break };
            let Some(dossier) = self.dossiers.get_mut(&(about, key)) else { continue };
            // What has been put off, or seen to in time after all, is another matter.
            let account = dossier.read();
            if let Some((rule, due, false)) = account.due(about, &self.options)
                && due == at
                && !std::mem::replace(&mut dossier.told, true)
            {
                observer.overdue(rule, account.queue());
            }
        }
    }

    /// Notes, after a restart, what is still to fall due; of what was overdue before, nothing is told again.
    pub(super) fn note_due(&mut self) {
        let watermark = self.watermark();
        for ((about, key), dossier) in self.dossiers.iter_mut().filter(|((about, _), _)| about.falls_due()) {
            let Some((_, due, false)) = dossier.read().due(*about, &self.options) else { continue };
            dossier.told = due < watermark;
            if !dossier.told {
                self.due.push(Reverse((due, *about, key.clone())));
            }
        }
    }

    fn settle_contact(
        &mut self,
        index: u32,
        watermark: Millis,
        facts: &mut Facts,
        observer: &mut impl Observer,
    ) {
        let Some(contact) = self.contacts[index as usize].as_mut() else { return };
        contact.dirty = false;
        contact.urgent = false;
        let (settled_len, settled_at) = contact.settled;
        let was_open = settled_len > 0 && contact.forget_at.is_none();
        let Contact { key, log, .. } = &*contact;
        let (options, slots) = (&self.options, &mut self.slots);
        let (old, new) = fold_both(key, log, (settled_len as usize, settled_at), watermark, options, slots);
        let (mut written, mut counted) = (contact.written, contact.counted);
        // A new event changes the revision at least; without one a time-out may have changed something.
        if settled_len as usize != log.bytes.len() || old.rows != new.rows {
            counted = observer.contact(&old.rows, &new.rows, counted);
            let closed = new.rows.closed_at.is_some();
            if written > 0 {
                let dates = old.rows.dates();
                facts.restatements.push(&RestatementRow {
                    contact_id: Some(key),
                    old_revision: Some(i64::from(written)),
                    new_revision: new.rows.contact.revision,
                    old: Some(&rows_json(&old.rows)),
                    new: Some(&rows_json(&new.rows)),
                    cause: Some(&log.latest_arrival()),
                    watermark: Some(watermark),
                    slot_start: new.rows.legs.first().and_then(|leg| leg.slot_start),
                    old_first_date: dates.map(|(first, _)| first),
                    old_last_date: dates.map(|(_, last)| last),
                    date: new.rows.contact.date,
                });
                self.counts.restatements += 1;
                written = 0;
            }
            if closed {
                push_rows(&new.rows, slots, facts);
                written = log.count;
            }
        }
        let closed_at = new.rows.closed_at;
        let deadline = new.deadline;
        drop((old, new));
        contact.settled = (contact.log.bytes.len() as u32, watermark);
        contact.written = written;
        contact.counted = counted;
        contact.forget_at =
            closed_at.map(|closed| closed.max(contact.touched).saturating_add(self.options.correlation_ms));
        match (was_open, contact.forget_at.is_none()) {
            (false, true) => self.counts.open_contacts += 1,
            (true, false) => self.counts.open_contacts -= 1,
            _ => {}
        }
        let wake = contact.forget_at.unwrap_or(Millis::MAX).min(deadline.unwrap_or(Millis::MAX));
        if self.options.unordered && contact.forget_at.is_some() {
            return;
        }
        if wake < contact.timer {
            contact.timer = wake;
            self.timers.push(Reverse((wake, index)));
        }
        if contact.forget_at.is_some_and(|at| watermark >= at) {
            self.forget(index, watermark, facts);
        }
    }

    fn forget(&mut self, index: u32, watermark: Millis, facts: &mut Facts) {
        let Some(contact) = self.contacts[index as usize].take() else { return };
        for partial in contact.partials.iter().flat_map(|partials| partials.values()) {
            facts.messages.push(&message_row(partial, &mut self.slots));
        }
        let hash = xxh3_64(contact.key.as_bytes());
        if let Ok(entry) = self.index.find_entry(hash, |&at| at == index) {
            entry.remove();
        }
        self.free.push(index);
        self.counts.held_contacts -= 1;
        self.counts.contact_bytes -= contact.memory();
        self.remember_forgotten(hash, watermark);
    }

    pub(super) fn remember_forgotten(&mut self, hash: u64, watermark: Millis) {
        if self.forgotten.insert(hash) {
            self.forgotten_by_hour.entry(watermark.div_euclid(HOUR) * HOUR).or_default().push(hash);
        }
    }

    /// Drops, once an hour of event time, what is too old to matter.
    fn sweep(&mut self, watermark: Millis) {
        self.sweep_at = watermark.saturating_add(HOUR);
        if self.options.unordered {
            return;
        }
        while let Some(entry) = self.forgotten_by_hour.first_entry() {
            if *entry.key() > watermark.saturating_sub(FORGOTTEN_MS) {
                break;
            }
            for hash in entry.remove() {
                self.forgotten.remove(&hash);
            }
        }
        let correlation = self.options.correlation_ms;
        self.dossiers.retain(|(about, _), dossier| {
            let keep = if *about == About::Survey { correlation.max(DAY) } else { DOSSIER_MS };
            dossier.dirty || dossier.newest() > watermark.saturating_sub(keep)
        });
    }

    /// The contact of this id, if it is held.
    pub(super) fn held_mut(&mut self, key: &str) -> Option<&mut Contact> {
        let found =
            self.index.find(xxh3_64(key.as_bytes()), |&at| self.contact(at).is_some_and(|c| *c.key == *key));
        let at = *found?;
        self.contacts[at as usize].as_mut()
    }

    fn contact(&self, at: u32) -> Option<&Contact> {
        self.contacts.get(at as usize).and_then(Option::as_ref)
    }

    fn insert(&mut self, hash: u64, key: &str) -> u32 {
        if hash.is_multiple_of(SAMPLE_ONE_IN) && self.sample.len() < SAMPLE_MAX {
            self.sample.push(hash);
        }
        let contact = Contact {
            key: Box::from(key),
            log: Log::default(),
            settled: (0, Millis::MIN),
            touched: Millis::MIN,
            timer: Millis::MAX,
            forget_at: None,
            written: 0,
            counted: 0,
            dirty: false,
            urgent: false,
            partials: None,
        };
        self.hold(hash, contact)
    }

    /// Puts a contact into memory and the index.
    pub(super) fn hold(&mut self, hash: u64, contact: Contact) -> u32 {
        self.counts.held_contacts += 1;
        self.counts.contact_bytes += contact.memory();
        if contact.settled.0 > 0 && contact.forget_at.is_none() {
            self.counts.open_contacts += 1;
        }
        let timer = contact.timer;
        let at = match self.free.pop() {
            Some(at) => {
                self.contacts[at as usize] = Some(contact);
                at
            }
            None => {
                self.contacts.push(Some(contact));
                (self.contacts.len() - 1) as u32
            }
        };
        let contacts = &self.contacts;
        self.index.insert_unique(hash, at, |&at| {
            contacts[at as usize].as_ref().map_or(0, |contact| xxh3_64(contact.key.as_bytes()))
        });
        if timer < Millis::MAX {
            self.timers.push(Reverse((timer, at)));
        }
        at
    }

    /// The sample of contacts that began since the last call, as hashes of their ids.
    pub fn take_sample(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.sample)
    }

    /// Tells the observer of every contact and agent in memory as if it were new: for one that starts empty.
    pub fn retell(&mut self, observer: &mut impl Observer) {
        for contact in self.contacts.iter_mut().flatten() {
            let (len, at) = contact.settled;
            let folded = fold(
                (&contact.key, &contact.log),
                len as usize,
                at,
                Judge::Closed,
                &self.options,
                &mut self.slots,
            );
            contact.counted = observer.contact(&Rows::default(), &folded.rows, contact.counted);
        }
        for agent in self.agents.values_mut() {
            agent.shown = agent.current();
            observer.agent(None, agent.shown);
        }
    }

    /// Every row that is not handed out yet: open contacts with their legs and handlings, lasting agent
    /// states, partial transcript pieces. A leg that waits longer at `now` than its target is not in time. Rows of tables
    /// that are not wanted may be left out: a million open contacts take a second.
    pub fn open_rows(&mut self, wanted: TableSet, now: Millis, facts: &mut Facts) {
        let watermark = self.watermark();
        let of_contacts = [&CONTACTS, &LEGS, &HANDLINGS, &CONTACT_FINDINGS, &MESSAGES];
        let folds = of_contacts.into_iter().any(|table| wanted.has(table));
        let judge = if wanted.has(&CONTACT_FINDINGS) { Judge::All } else { Judge::Closed };
        for contact in self.contacts.iter().filter(|_| folds).flatten() {
            for partial in contact.partials.iter().flat_map(|partials| partials.values()) {
                facts.messages.push(&message_row(partial, &mut self.slots));
            }
            if contact.written > 0 && !contact.dirty {
                continue;
            }
            let log = &contact.log;
            let (options, slots) = (&self.options, &mut self.slots);
            let folded = fold((&contact.key, log), log.bytes.len(), watermark, judge, options, slots);
            let mut rows = folded.rows;
            for leg in &mut rows.legs {
                if leg.left_at.is_none()
                    && let (Some(queued), Some(target)) = (leg.queued_at, leg.target_wait_ms)
                    && now.saturating_sub(queued) > target
                {
                    leg.in_time = Some(false);
                }
            }
            push_rows(&rows, &mut self.slots, facts);
        }
        for (agent_id, agent) in self.agents.iter().filter(|_| wanted.has(&AGENT_STATES)) {
            if let Some(row) = agent.open_row(agent_id, &mut self.slots) {
                facts.agent_states.push(&row);
            }
        }
    }
}

impl Contact {
    /// Bytes this contact takes, with its struct and its place in the index.
    fn memory(&self) -> u64 {
        (size_of::<Option<Contact>>() + 5 + self.key.len() + self.log.memory()) as u64
    }

    /// Keeps a partial transcript piece: of one utterance the latest, as long as no final piece has come.
    fn keep_partial(&mut self, event: &Event<'_>) {
        let Some(utterance) = event.utterance.as_deref() else { return };
        if self.log.has_final(utterance) {
            return;
        }
        let partials = self.partials.get_or_insert_default();
        let newer = |known: &Event<'_>| (known.time, &known.id) < (event.time, &event.id);
        if partials.get(utterance).is_none_or(newer) {
            partials.insert(Box::from(utterance), event.clone().into_owned());
        }
    }

    fn drop_partial(&mut self, utterance: &str) {
        if let Some(partials) = &mut self.partials {
            partials.remove(utterance);
            if partials.is_empty() {
                self.partials = None;
            }
        }
    }

    /// True when only messages have come to a long contact that is open, and not many of them.
    fn can_wait(&self) -> bool {
        let (settled, now) = (self.settled.0 as usize, self.log.bytes.len());
        self.log.count > LONG
            && !self.urgent
            && self.written == 0
            && settled > 0
            && (now - settled) * GROWTH < now
    }
}

/// Adds the rows of a contact.
fn push_rows(rows: &Rows<'_>, slots: &mut SlotCache, facts: &mut Facts) {
    let contact = &rows.contact;
    facts.contacts.push(contact);
    rows.legs.iter().for_each(|leg| facts.legs.push(leg));
    rows.handlings.iter().for_each(|handling| facts.handlings.push(handling));
    for (at, finding) in rows.findings.iter().enumerate() {
        let whole = Whole {
            contact_id: contact.contact_id.unwrap_or_default(),
            channel: contact.channel,
            customer_id: contact.customer_id,
            revision: contact.revision,
            number: at as i64 + 1,
        };
        finding.row(&whole, slots, |row| facts.findings.push(row));
    }
}

fn message_row<'a>(event: &'a Event<'_>, slots: &mut SlotCache) -> MessageRow<'a> {
    MessageRow {
        contact_id: event.contact_id.as_deref(),
        id: Some(&event.id),
        time: Some(event.time),
        speaker: event.speaker.map(|speaker| speaker.as_str()),
        agent_id: event.agent_id.as_deref(),
        channel: event.channel.map(|channel| channel.as_str()),
        queue: event.queue.as_deref(),
        text: event.text.as_deref(),
        duration_ms: event.duration_ms,
        is_final: Some(event.is_final),
        utterance: event.utterance.as_deref(),
        sentiment: None,
        hits: None,
        date: Some(slots.date(event.time)),
    }
}

fn event_row<'a>(event: &'a Event<'_>, place: Place<'a>, slots: &mut SlotCache) -> EventRow<'a> {
    let word = |text: Option<&'static str>| text;
    EventRow {
        topic: Some(place.topic),
        partition: Some(i64::from(place.partition)),
        offset: Some(place.offset),
        id: Some(&event.id),
        event_type: Some(event.kind.as_str()),
        time: Some(event.time),
        contact_id: event.contact_id.as_deref(),
        agent_id: event.agent_id.as_deref(),
        channel: event.channel.map(|channel| channel.as_str()),
        queue: event.queue.as_deref(),
        department: event.department.as_deref(),
        customer_id: event.customer_id.as_deref(),
        tier: event.tier.as_deref(),
        detail: word(event.leave_reason.map(|reason| reason.as_str()))
            .or(event.bot_outcome.map(|outcome| outcome.as_str()))
            .or(event.state.map(|state| state.as_str()))
            .or(event.speaker.map(|speaker| speaker.as_str()))
            .or(event.mode.map(|mode| mode.as_str()))
            .or(event.direction.map(|direction| direction.as_str()))
            .or(event.reason.as_deref()),
        passed_to: event.to_queue.as_deref().or(event.to_agent.as_deref()),
        by: event.by.map(|by| by.as_str()),
        attributes: event.attributes.as_deref(),
        date: Some(slots.date(event.time)),
    }
}
