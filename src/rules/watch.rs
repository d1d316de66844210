//! Watches the contacts of one task while they go on.
//!
//! Invariant: what time alone makes true is looked at before an event of a later time is taken, so for events that come
//! in the order of their times what is raised does not depend on when [`Watch::tick`] is called.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use hashbrown::hash_map::EntryRef;
use hashbrown::{HashMap, HashSet};
use xxhash_rust::xxh3::xxh3_64;

use super::codec::{Reader, Writer};
use super::contact::{Contact, Line, Step};
use super::rule::{About, Notify, Rule, Rules};
use super::test::{Cause, Condition, Found, Moment, Test};
use super::{Raised, Reading, Signal, Subject, alert_id};
use crate::event::{Channel, Event, Kind};
use crate::time::{DAY, HOUR, MINUTE, Millis, SECOND};

/// How long a contact is watched after its end: transcripts come late.
const AFTER_END: Millis = 10 * MINUTE;
/// How long a contact without news is watched; longer than any wait that rules ask for.
const QUIET_MAX: Millis = 26 * HOUR;
/// How much longer than that a contact is kept: whether an event still belongs to it is decided by the event's own time, so
/// that it does not matter how far time had come when the event arrived.
const SLACK: Millis = 10 * MINUTE;
/// How long complaints and promises are watched.
const DOSSIER_MAX: Millis = 30 * DAY;
/// How long after its newest event a contact that is over is laid to rest: most of what comes late comes soon.
const REST_AFTER: Millis = MINUTE;
/// Bytes of an utterance that are kept for people to read.
const TEXT_MAX: usize = 300;

const ON_LINE: u8 = 1;
const ON_STEP: u8 = 2;
const ON_TIME: u8 = 4;

/// Watches contacts, complaints and promises.
#[derive(Debug)]
pub struct Watch {
    judge: Judge,
    contacts: HashMap<Arc<str>, Watched>,
    /// Complaints and promises.
    dossiers: HashMap<Box<str>, Dossier>,
    timers: BinaryHeap<Reverse<(Millis, Arc<str>)>>,
    names: Names,
    sweep_at: Millis,
    dossiers_at: Millis,
}

/// A contact that is watched. At any time most of them are over and wait for what comes late: those are kept as the bytes that a
/// snapshot needs of them, a third of what they take else.
#[derive(Debug)]
enum Watched {
    Live(Box<Contact>),
    /// It is over, and nothing will become true of it by time alone.
    Resting {
        /// [`watched_until`].
        until: Millis,
        bytes: Box<[u8]>,
    },
}

impl Watched {
    fn live(&mut self, names: &mut Names) -> &mut Contact {
        if let Watched::Resting { bytes, .. } = self {
            let contact =
                Contact::read(&mut Reader::new(bytes), names).expect("what was written can be read");
            *self = Watched::Live(Box::new(contact));
        }
        let Watched::Live(contact) = self else { unreachable!("whatever rested is awake") };
        contact
    }

    fn until(&self) -> Millis {
        match self {
            Watched::Live(contact) => watched_until(contact),
            Watched::Resting { until, .. } => *until,
        }
    }

    fn rest(&mut self, present: Millis) {
        if let Watched::Live(contact) = self
            && contact.end_told
            && contact.open.is_empty()
            && contact.timer == Millis::MAX
            && contact.newest.saturating_add(REST_AFTER) <= present
        {
            let mut writer = Writer::default();
            contact.write(&mut writer);
            *self = Watched::Resting { until: watched_until(contact), bytes: writer.bytes.into() };
        }
    }

    fn write(&self, writer: &mut Writer) {
        match self {
            Watched::Live(contact) => contact.write(writer),
            Watched::Resting { bytes, .. } => writer.bytes.extend_from_slice(bytes),
        }
    }
}

/// The rules in force.
#[derive(Debug)]
struct Judge {
    rules: Arc<Rules>,
    /// Rules about contacts, and on what occasions they are looked at.
    contact_rules: Vec<(Arc<Rule>, u8)>,
    /// The occasions of all of them.
    occasions: u8,
}

/// Names that come again and again (queues, agents, departments, tiers), each once.
#[derive(Debug, Default)]
pub(super) struct Names(HashSet<Arc<str>>);

impl Names {
    /// The one shared text of this name.
    pub(super) fn of(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.0.get(name) {
            return Arc::clone(known);
        }
        let name: Arc<str> = Arc::from(name);
        self.0.insert(Arc::clone(&name));
        name
    }

    /// Sets a name to what an event says, where it says anything.
    fn update(&mut self, known: &mut Option<Arc<str>>, said: Option<&str>) {
        if let Some(name) = said
            && known.as_deref() != said
        {
            *known = Some(self.of(name));
        }
    }

    /// Forgets the names that nobody has any more.
    fn sweep(&mut self) {
        self.0.retain(|name| Arc::strong_count(name) > 1);
    }
}

/// A complaint or a promise.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Dossier {
    pub(super) promise: bool,
    pub(super) subject: Subject,
    /// When a complaint was opened (again); when a promise is due.
    pub(super) from: Option<Millis>,
    /// When the customer was called back, or the promise kept, or the matter ended.
    pub(super) done_at: Option<Millis>,
    pub(super) open: Vec<String>,
    pub(super) fired: Vec<u64>,
}

impl Watch {
    /// Watches nothing yet.
    pub fn new(rules: Arc<Rules>) -> Watch {
        Watch {
            judge: Judge::new(rules),
            contacts: HashMap::new(),
            dossiers: HashMap::new(),
            timers: BinaryHeap::new(),
            names: Names::default(),
            sweep_at: Millis::MIN,
            dossiers_at: Millis::MIN,
        }
    }

    /// Goes on with other rules. What was raised stays; contacts are looked at by the new rules from their next event on.
    pub fn set_rules(&mut self, rules: Arc<Rules>) {
        self.judge = Judge::new(rules);
    }

    /// The rules that it goes by.
    pub fn rules(&self) -> &Arc<Rules> {
        &self.judge.rules
    }

    /// Whether what this event says must be read: somebody said something, and a rule looks at words.
    pub fn wants_reading(&self, event: &Event<'_>) -> bool {
        event.kind == Kind::Message && event.text.is_some() && self.judge.rules.reads_words
    }

    /// Contacts, complaints and promises that are watched.
    pub fn len(&self) -> usize {
        self.contacts.len() + self.dossiers.len()
    }

    /// Contacts that rest.
    #[cfg(test)]
    pub(super) fn resting(&self) -> usize {
        self.contacts.values().filter(|contact| matches!(contact, Watched::Resting { .. })).count()
    }

    /// True when nothing is watched.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes a new event (no repeat) with what was read in it.
    pub fn event(&mut self, event: &Event<'_>, reading: Option<Reading>, signals: &mut Vec<Signal>) {
        if event.kind > Kind::Message {
            self.take_dossier(event, signals);
            return;
        }
        let Watch { judge, contacts, timers, names, .. } = self;
        let (Some(contact_id), false) = (event.contact_id.as_deref(), judge.contact_rules.is_empty()) else {
            return;
        };
        let of = match contacts.entry_ref(contact_id) {
            EntryRef::Occupied(entry) => entry.into_mut().live(names),
            EntryRef::Vacant(entry) => {
                let new = Watched::Live(Box::new(Contact::new()));
                entry.insert_with_key(Arc::from(contact_id), new).live(names)
            }
        };
        let timer_before = of.timer;
        // What became true before this event, became true.
        while of.timer < event.time {
            let at = of.timer;
            judge.look(contact_id, of, at, ON_TIME, None, signals);
            of.looked = at;
            of.timer = judge.next_timer(of);
        }
        if watched_until(of) <= event.time {
            *of = Contact::new();
        }
        of.channel = event.channel.or(of.channel);
        names.update(&mut of.department, event.department.as_deref());
        names.update(&mut of.tier, event.tier.as_deref());
        // A customer's id hardly ever comes again in another contact.
        if event.customer_id.is_some() && of.customer.as_deref() != event.customer_id.as_deref() {
            of.customer = event.customer_id.as_deref().map(Arc::from);
        }
        if event.to_queue.is_none() {
            names.update(&mut of.queue, event.queue.as_deref());
        }
        let late = event.time < of.newest;
        of.newest = of.newest.max(event.time);
        if event.kind == Kind::Message {
            if let Some(line) = line(event, reading) {
                let at = of.add_line(line);
                for at in at..of.lines.len() {
                    let time = of.lines[at].time;
                    judge.look(contact_id, of, time, ON_LINE, Some(at), signals);
                }
            }
        } else if event.kind != Kind::ContactStarted {
            let mut name = |name: Option<&str>| name.map(|name| names.of(name));
            let queue = name(event.queue.as_deref().or(event.to_queue.as_deref()));
            let agent = name(event.agent_id.as_deref());
            of.add_step(Step { time: event.time, kind: event.kind, queue, agent, by: event.by });
            judge.look(contact_id, of, event.time, ON_STEP, None, signals);
            if late {
                of.looked = Millis::MIN;
            }
        }
        clear(contact_id, of, event.time, signals);
        of.timer = judge.next_timer(of);
        let timer = of.timer;
        if timer < Millis::MAX
            && timer != timer_before
            && let Some((key, _)) = contacts.get_key_value(contact_id)
        {
            timers.push(Reverse((timer, Arc::clone(key))));
        }
    }

    /// Lets time pass up to `present`: what limits were reached, which contacts need no watching any more.
    pub fn tick(&mut self, present: Millis, signals: &mut Vec<Signal>) {
        while let Some(Reverse((at, _))) = self.timers.peek() {
            if *at > present {
                break;
            }
            let Some(Reverse((at, key))) = self.timers.pop() else { break };
            // Only the latest timer of a contact counts.
            if let Some(Watched::Live(contact)) = self.contacts.get_mut(&key)
                && contact.timer == at
            {
                self.judge.look(&key, contact, at, ON_TIME, None, signals);
                contact.looked = at;
                contact.timer = self.judge.next_timer(contact);
                if contact.timer < Millis::MAX {
                    self.timers.push(Reverse((contact.timer, key)));
                }
            }
        }
        // Deadlines are far away, and there may be many.
        if present >= self.dossiers_at {
            self.dossiers_at = present.saturating_add(SECOND);
            self.look_at_dossiers(present, signals);
        }
        if present >= self.sweep_at {
            self.sweep_at = present.saturating_add(MINUTE);
            self.contacts.retain(|_, contact| {
                contact.rest(present);
                contact.until().saturating_add(SLACK) > present
            });
            self.dossiers.retain(|_, dossier| {
                let last = dossier.done_at.map(|at| at + DAY).or(dossier.from.map(|at| at + DOSSIER_MAX));
                last.is_none_or(|last| last > present)
            });
            self.names.sweep();
        }
    }

    fn take_dossier(&mut self, event: &Event<'_>, signals: &mut Vec<Signal>) {
        let (key, promise) = match (event.complaint_id.as_deref(), event.promise_id.as_deref()) {
            (Some(id), _) => (format!("c{id}"), false),
            (None, Some(id)) => (format!("p{id}"), true),
            _ => return,
        };
        if self.judge.rules.about(About::Dossier).next().is_none() {
            return;
        }
        let dossier = self.dossiers.entry(key.into_boxed_str()).or_default();
        // A deadline that lies before this event had passed before it.
        look_at_dossier(&self.judge.rules, dossier, event.time.saturating_sub(1), signals);
        dossier.promise = promise;
        let subject = &mut dossier.subject;
        let id = event.complaint_id.as_deref().or(event.promise_id.as_deref());
        let fields = [
            (&mut subject.dossier, id),
            (&mut subject.contact_id, event.contact_id.as_deref()),
            (&mut subject.queue, event.queue.as_deref()),
            (&mut subject.channel, event.channel.map(Channel::as_str)),
            (&mut subject.department, event.department.as_deref()),
            (&mut subject.agent_id, event.agent_id.as_deref()),
            (&mut subject.customer_id, event.customer_id.as_deref()),
            (&mut subject.tier, event.tier.as_deref()),
        ];
        for (field, value) in fields {
            if let Some(value) = value {
                value.clone_into(field);
            }
        }
        match event.kind {
            Kind::ComplaintOpened => dossier.from = Some(event.time),
            Kind::ComplaintReopened => {
                dossier.from = Some(event.time);
                dossier.done_at = dossier.done_at.filter(|done| *done > event.time);
            }
            Kind::PromiseMade => dossier.from = event.due,
            _ => dossier.done_at = dossier.done_at.max(Some(event.time)),
        }
        if dossier.done_at.is_some() {
            let over = dossier.open.drain(..).map(|id| Signal::Cleared { id, time: event.time });
            signals.extend(over);
        }
    }

    fn look_at_dossiers(&mut self, present: Millis, signals: &mut Vec<Signal>) {
        let Watch { judge: Judge { rules, .. }, dossiers, .. } = self;
        for dossier in dossiers.values_mut() {
            look_at_dossier(rules, dossier, present, signals);
        }
    }

    /// What is watched, for a snapshot.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        // In a fixed order, so that the same state gives the same bytes: of hashes, which are compared without a look at the keys.
        let hashed = |(key, contact): (_, _)| (hash_of(key), key, contact);
        let mut contacts: Vec<(u64, &Arc<str>, &Watched)> = self.contacts.iter().map(hashed).collect();
        contacts.sort_unstable_by_key(|&(hash, key, _)| (hash, key));
        writer.count(contacts.len());
        for (_, key, contact) in contacts {
            writer.text(key);
            contact.write(&mut writer);
        }
        let mut dossiers: Vec<_> = self.dossiers.iter().collect();
        dossiers.sort_by_key(|(key, _)| *key);
        writer.count(dossiers.len());
        for (key, dossier) in dossiers {
            writer.text(key);
            dossier.write(&mut writer);
        }
        writer.bytes
    }

    /// Goes on from what [`Watch::to_bytes`] gave; `None` where the bytes are something else.
    pub fn from_bytes(rules: Arc<Rules>, bytes: &[u8]) -> Option<Watch> {
        let mut watch = Watch::new(rules);
        let mut reader = Reader::new(bytes);
        for _ in 0..reader.count()? {
            let key: Arc<str> = reader.text()?.into();
            let mut contact = Contact::read(&mut reader, &mut watch.names)?;
            // Other rules may look for other times.
            contact.timer = watch.judge.next_timer(&contact);
            if contact.timer < Millis::MAX {
                watch.timers.push(Reverse((contact.timer, Arc::clone(&key))));
            }
            watch.contacts.insert(key, Watched::Live(Box::new(contact)));
        }
        for _ in 0..reader.count()? {
            let key: Box<str> = reader.text()?.into();
            watch.dossiers.insert(key, Dossier::read(&mut reader)?);
        }
        reader.is_at_end().then_some(watch)
    }
}

impl Judge {
    fn new(rules: Arc<Rules>) -> Judge {
        let occasions = |rule: &Rule| {
            rule.when.tests().iter().fold(0, |occasions, test| {
                occasions
                    | match test {
                        Test::Keyword { .. } | Test::Sentiment { .. } | Test::Streak { .. } => ON_LINE,
                        Test::Wait { .. }
                        | Test::Unanswered { .. }
                        | Test::Absence { .. }
                        | Test::Talk { .. } => ON_TIME,
                        _ => ON_STEP,
                    }
            })
        };
        let contact_rules: Vec<_> =
            rules.about(About::Contact).map(|rule| (Arc::clone(rule), occasions(rule))).collect();
        let occasions = contact_rules.iter().fold(0, |all, (_, occasions)| all | occasions);
        Judge { rules, contact_rules, occasions }
    }

    /// Looks at a contact by all rules for this occasion.
    fn look(
        &self,
        key: &str,
        contact: &mut Contact,
        at: Millis,
        occasion: u8,
        line: Option<usize>,
        signals: &mut Vec<Signal>,
    ) {
        if self.occasions & occasion == 0 {
            return;
        }
        let mut subject: Option<Subject> = None;
        for (rule, _) in self.contact_rules.iter().filter(|(_, occasions)| occasions & occasion != 0) {
            // Whom the agent has spoken with cannot be helped any more.
            if rule.notify == Notify::Agent && contact.status().ended_at.is_some() {
                continue;
            }
            let moment = Moment { contact, at, line };
            let mut found = Found::default();
            if !rule.when.holds(&moment, &mut found) {
                continue;
            }
            let subject = subject.get_or_insert_with(|| contact.subject(key));
            if !rule.scope.fits(subject, at, self.rules.zone) {
                continue;
            }
            let cause = match (line.filter(|_| rule.each), found.cause) {
                (Some(line), _) => contact.lines[line].id.to_string(),
                (None, Some((Cause::Wait, since))) => since.to_string(),
                (None, Some((Cause::Unanswered, since))) if rule.each => since.to_string(),
                _ => String::new(),
            };
            let id = alert_id(&rule.name, key, &cause);
            let hash = xxh3_64(id.as_bytes());
            if contact.fired.contains(&hash) {
                continue;
            }
            contact.fired.push(hash);
            let for_agent = (rule.notify == Notify::Agent).then_some((Cause::Contact, at));
            if let Some((cause, since)) = found.cause.or(for_agent) {
                contact.open.push((id.clone(), cause, since));
            }
            signals.push(Signal::Raised(Box::new(Raised {
                id,
                rule: Arc::clone(rule),
                subject: subject.clone(),
                time: at,
                evidence: found.evidence,
                values: found.values,
            })));
        }
    }

    /// When time alone may next make something true of the contact.
    fn next_timer(&self, contact: &Contact) -> Millis {
        if self.occasions & ON_TIME == 0 {
            return Millis::MAX;
        }
        let tests = self.contact_rules.iter().filter(|(_, occasions)| occasions & ON_TIME != 0);
        let due = tests.flat_map(|(rule, _)| rule.when.tests()).filter_map(|test| test.due(contact));
        let upto = watched_until(contact);
        due.filter(|due| (contact.looked + 1..upto).contains(due)).min().unwrap_or(Millis::MAX)
    }
}

/// Tells what is over, and the end of the contact.
fn clear(key: &str, contact: &mut Contact, at: Millis, signals: &mut Vec<Signal>) {
    if contact.open.is_empty() && contact.end_told {
        return;
    }
    let mut open = std::mem::take(&mut contact.open);
    let status = contact.status();
    open.retain(|(id, cause, since)| {
        let now = match cause {
            Cause::Wait => status.waiting_since,
            Cause::Unanswered => contact.question_at(Millis::MAX).map(|(_, since)| since),
            Cause::Contact => status.ended_at.is_none().then_some(*since),
        };
        let lasts = now == Some(*since);
        if !lasts {
            signals.push(Signal::Cleared { id: id.clone(), time: at });
        }
        lasts
    });
    let ended_at = status.ended_at;
    contact.open = open;
    if let Some(ended_at) = ended_at.filter(|_| !contact.end_told) {
        contact.end_told = true;
        contact.rest();
        let subject = contact.subject(key);
        let talk_ms = contact.talk_ms();
        signals.push(Signal::Ended { subject, time: ended_at, lowest: contact.lowest(), talk_ms });
    }
}

/// Up to which time events belong to a contact as it is known; a later one finds it as if it were new.
fn watched_until(contact: &Contact) -> Millis {
    contact.newest.saturating_add(if contact.status().ended_at.is_some() { AFTER_END } else { QUIET_MAX })
}

/// Raises what has become true of a complaint or promise up to `present`.
fn look_at_dossier(rules: &Rules, dossier: &mut Dossier, present: Millis, signals: &mut Vec<Signal>) {
    let Some(from) = dossier.from.filter(|_| dossier.done_at.is_none()) else { return };
    for rule in rules.about(About::Dossier) {
        let Condition::Test(test) = &rule.when else { continue };
        let (due, before_ms) = match test {
            Test::Complaint { days, minute, before_ms } if !dossier.promise => (
                rules.deadlines.due(rules.zone, from, *days, *minute).unwrap_or(from + days * DAY),
                *before_ms,
            ),
            Test::Promise { before_ms } if dossier.promise => (from, *before_ms),
            _ => continue,
        };
        // A complaint that is opened within that time is told at once.
        let at = if dossier.promise { due - before_ms } else { (due - before_ms).max(from) };
        if at > present || !rule.scope.fits(&dossier.subject, at, rules.zone) {
            continue;
        }
        let id = alert_id(&rule.name, &dossier.subject.dossier, &from.to_string());
        let hash = xxh3_64(id.as_bytes());
        if dossier.fired.contains(&hash) {
            continue;
        }
        dossier.fired.push(hash);
        dossier.open.push(id.clone());
        signals.push(Signal::Raised(Box::new(Raised {
            id,
            rule: Arc::clone(rule),
            subject: dossier.subject.clone(),
            time: at,
            evidence: Vec::new(),
            values: vec![("due_in_seconds".to_owned(), (due - at) as f64 / 1e3)],
        })));
    }
}

fn hash_of(key: &Arc<str>) -> u64 {
    xxh3_64(key.as_bytes())
}

/// The utterance of a message; `None` for one without speaker or words.
fn line(event: &Event<'_>, reading: Option<Reading>) -> Option<Line> {
    let (speaker, text) = (event.speaker?, event.text.as_deref()?);
    let cut = text.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|end| *end <= TEXT_MAX).last();
    let (score, hits) = match reading {
        Some(reading) => (Some(reading.score), reading.hits),
        None => (None, Vec::new()),
    };
    Some(Line {
        time: event.time,
        id: event.utterance.as_deref().unwrap_or(&event.id).into(),
        speaker,
        score,
        hits,
        text: text[..cut.unwrap_or(0)].into(),
    })
}
