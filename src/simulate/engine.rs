//! The clockwork: what is due next, which contacts are in, and how an event comes out.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, VecDeque};

use super::after::Follow;
use super::books::{Books, Entry, Place};
use super::crew::{Crew, State};
use super::dice::Dice;
use super::profile::{STREAMS, Stream};
use super::record::{self, Fields};
use super::slots::{self, MINUTE};
use super::talk::{Talk, Wrap};
use super::{Emitted, Incident, Options};

/// Events that one contact brings about, its agents' states included; measured, and held by a test.
pub(crate) const EVENTS_PER_CONTACT: f64 = 15.0;
/// How many agents a contact can meet; transfers stop before it is reached.
pub(crate) const AGENTS_MAX: usize = 6;
/// 3000-01-01T00:00Z: leaves room for all arithmetic on times.
const START_MAX: i64 = 32_503_680_000_000;
/// Customers who were here lately and may come again.
const RECENT: usize = 512;

/// Why a leg ends without an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Abandon,
    Overflow,
    Callback,
    PressedKey,
    Timeout,
    NoAgent,
    Closed,
    Error,
}

/// Something that will happen. The first `u32` of those that concern a contact is its place in the slab.
pub(crate) enum Act {
    /// Draws when the next contact of a stream comes.
    Gap(u8),
    Arrive(u8),
    BotStart(u32),
    BotTalk(u32),
    BotEnd(u32),
    Enter(u32, u8),
    Route(u32, u8),
    Leave(u32, u8, Exit),
    Pick(u32, u8, u32),
    Miss(u32, u8, u32),
    Dial(u32, u32, i64),
    Ring(u32, u32),
    RingPick(u32, u32),
    RingMiss(u32, u32),
    Talk(u32, u8),
    Merge(u32),
    HangUp(u32, &'static str),
    Wrap(Box<Wrap>),
    Survey(u32),
    Follow(Box<Follow>),
    Day(i64),
    Publish(i64, u32),
    Login(u32),
    Cancel(u32, i64),
    Pause(u32, State, &'static str, i64),
    Back(u32),
    Logout(u32),
}

impl Act {
    fn contact(&self) -> Option<u32> {
        match *self {
            Act::BotStart(contact)
            | Act::BotTalk(contact)
            | Act::BotEnd(contact)
            | Act::Enter(contact, _)
            | Act::Route(contact, _)
            | Act::Leave(contact, ..)
            | Act::Pick(contact, ..)
            | Act::Miss(contact, ..)
            | Act::Dial(contact, ..)
            | Act::Ring(contact, _)
            | Act::RingPick(contact, _)
            | Act::RingMiss(contact, _)
            | Act::Talk(contact, _)
            | Act::Merge(contact)
            | Act::HangUp(contact, _)
            | Act::Survey(contact) => Some(contact),
            Act::Wrap(ref wrap) => Some(wrap.contact),
            _ => None,
        }
    }

    /// Concerns the crew or the calendar: of no interest once the last contact has gone.
    fn background(&self) -> bool {
        matches!(
            self,
            Act::Day(_)
                | Act::Publish(..)
                | Act::Login(_)
                | Act::Cancel(..)
                | Act::Pause(..)
                | Act::Back(_)
                | Act::Logout(_)
                | Act::Gap(_)
                | Act::Arrive(_)
        )
    }
}

struct Due {
    time: i64,
    order: u64,
    act: Act,
}

impl Ord for Due {
    /// The soonest is the greatest, as the heap gives out its greatest; of one instant, the one planned first.
    fn cmp(&self, other: &Due) -> Ordering {
        (other.time, other.order).cmp(&(self.time, self.order))
    }
}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Due) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Due {
    fn eq(&self, other: &Due) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Due {}

/// One customer's visit.
pub(crate) struct Contact {
    pub(crate) id: [u8; 36],
    /// Never used again, unlike the place in the slab.
    pub(crate) serial: u64,
    pub(crate) customer: u32,
    pub(crate) direction: &'static str,
    pub(crate) stream: u8,
    /// Index of the trouble that made the customer call.
    pub(crate) trouble: Option<u8>,
    /// 0 calm, 1 annoyed, 2 furious.
    pub(crate) mood: u8,
    pub(crate) ended: bool,
    pub(crate) answered: bool,
    /// A call back is queued: the leg's customer waits elsewhere.
    pub(crate) called_back: bool,
    pub(crate) transfers: u8,
    pub(crate) leg: u8,
    pub(crate) leg_open: bool,
    /// The leg is a warm consultation: the customer still has an agent.
    pub(crate) consult: bool,
    pub(crate) queued_at: i64,
    pub(crate) place: Place,
    pub(crate) ringing: Option<u32>,
    pub(crate) talks: [Option<Talk>; 2],
    seen: [u32; AGENTS_MAX],
    seen_count: u8,
    pub(crate) utterances: u32,
    pub(crate) bot_outcome: &'static str,
    /// Pending acts that name this contact; at none the place is free again.
    pending: u32,
}

impl Contact {
    /// The agents who have handled this contact; none of them gets it again, so that an agent's wrap-up belongs to one
    /// handling for certain.
    pub(crate) fn seen(&self) -> &[u32] {
        &self.seen[..usize::from(self.seen_count)]
    }

    pub(crate) fn meet(&mut self, agent: u32) {
        let at = usize::from(self.seen_count);
        assert!(at < AGENTS_MAX, "transfers stop before the agents are used up");
        self.seen[at] = agent;
        self.seen_count += 1;
    }

    pub(crate) fn tier(&self) -> &'static str {
        match self.customer % 20 {
            0 => "platinum",
            1..4 => "gold",
            4..9 => "silver",
            _ => "standard",
        }
    }
}

/// A simulated customer-service centre: an iterator over its events.
///
/// ```text
/// let mut centre = Centre::new(Options { contacts: Some(1000), ..Options::default() });
/// let events = centre.by_ref().count();
/// assert_eq!(centre.books().total().ledger_gap(), 0);
/// ```
pub struct Centre {
    pub(super) options: Options,
    pub(super) dice: Dice,
    pub(super) crew: Crew,
    pub(super) books: Books,
    pub(super) incidents: Vec<Incident>,
    pub(super) now: i64,
    pub(super) contacts: Vec<Contact>,
    free: Vec<u32>,
    due: BinaryHeap<Due>,
    order: u64,
    pub(super) created: u64,
    /// Contacts waiting by stream, the longest first: place, serial, leg. Old entries are skipped.
    pub(super) waiting: [VecDeque<(u32, u64, u8)>; STREAMS.len()],
    waiting_sweep: [usize; STREAMS.len()],
    /// Today's traffic relative to a normal day, by stream.
    pub(super) noise: [f64; STREAMS.len()],
    pub(super) contacts_per_second: f64,
    recent: VecDeque<u32>,
    customers: i64,
    out: VecDeque<(Emitted, Entry)>,
    spare: Vec<Emitted>,
    /// The offset of the quarter hour that was last asked for; it decides only how a time is printed.
    printed_offset: (i64, i64),
}

impl Centre {
    /// Builds a centre and hires its agents. A rate that is no number counts as one event a second, a start outside
    /// the years 1970 to 3000 as the nearest instant inside.
    pub fn new(mut options: Options) -> Centre {
        options.start = options.start.clamp(0, START_MAX);
        let rate = if options.events_per_second.is_finite() { options.events_per_second } else { 1.0 };
        let contacts_per_second = rate.max(0.01) / EVENTS_PER_CONTACT;
        let mut dice = Dice::new(options.seed);
        let crew = Crew::hire(contacts_per_second, options.seed, &mut dice);
        let mut centre = Centre {
            now: options.start,
            crew,
            dice,
            books: Books::default(),
            incidents: Vec::new(),
            contacts: Vec::new(),
            free: Vec::new(),
            due: BinaryHeap::new(),
            order: 0,
            created: 0,
            waiting: Default::default(),
            waiting_sweep: [64; STREAMS.len()],
            noise: [1.0; STREAMS.len()],
            contacts_per_second,
            recent: VecDeque::with_capacity(RECENT),
            customers: ((contacts_per_second * 400_000.0) as i64).clamp(5_000, 9_999_999),
            out: VecDeque::new(),
            spare: Vec::new(),
            printed_offset: (i64::MIN, 0),
            options,
        };
        let today = slots::local(centre.options.zone, centre.now).day;
        centre.begin(today);
        // Customers come once the agents have logged in.
        for stream in 0..STREAMS.len() {
            centre.after(2_000, Act::Gap(stream as u8));
        }
        centre
    }

    /// The truth about the events that have come out so far.
    pub fn books(&self) -> &Books {
        &self.books
    }

    /// The incidents of all days that have begun, also those still ahead of the last event.
    pub fn incidents(&self) -> &[Incident] {
        &self.incidents
    }

    /// The names and departments of the centre's queues, each once.
    pub fn queues() -> Vec<(&'static str, &'static str)> {
        let mut queues: Vec<(&str, &str)> = Vec::new();
        for stream in &STREAMS {
            if !queues.iter().any(|&(queue, _)| queue == stream.queue) {
                queues.push((stream.queue, stream.department));
            }
        }
        queues
    }

    /// Puts the next event into `event`, reusing its buffers; false when the simulation has run out.
    pub fn next_into(&mut self, event: &mut Emitted) -> bool {
        while self.out.is_empty() {
            let Some(due) = self.due.pop() else { return false };
            if due.act.background() && self.closing() && self.free.len() == self.contacts.len() {
                continue;
            }
            self.now = due.time;
            let contact = due.act.contact();
            self.perform(due.act);
            if let Some(contact) = contact {
                self.release(contact);
            }
        }
        let Some((mut next, entry)) = self.out.pop_front() else { return false };
        self.books.enter(entry);
        std::mem::swap(event, &mut next);
        self.spare.push(next);
        true
    }

    /// Tells whether the last contact has been created.
    pub(super) fn closing(&self) -> bool {
        self.options.contacts.is_some_and(|limit| self.created >= limit)
    }

    fn perform(&mut self, act: Act) {
        match act {
            Act::Gap(stream) => self.gap(stream),
            Act::Arrive(stream) => self.arrive(stream),
            Act::BotStart(contact) => self.bot_start(contact),
            Act::BotTalk(contact) => self.bot_talk(contact),
            Act::BotEnd(contact) => self.bot_end(contact),
            Act::Enter(contact, stream) => self.enter(contact, stream),
            Act::Route(contact, leg) => self.route(contact, leg),
            Act::Leave(contact, leg, exit) => self.leave(contact, leg, exit),
            Act::Pick(contact, leg, agent) => self.pick(contact, leg, agent),
            Act::Miss(contact, leg, agent) => self.miss(contact, leg, agent),
            Act::Dial(contact, agent, dialled) => self.dialled(contact, agent, dialled),
            Act::Ring(contact, agent) => self.ring(contact, agent),
            Act::RingPick(contact, agent) => self.ring_pick(contact, agent),
            Act::RingMiss(contact, agent) => self.ring_miss(contact, agent),
            Act::Talk(contact, place) => self.talk(contact, place),
            Act::Merge(contact) => self.merge(contact),
            Act::HangUp(contact, by) => self.hang_up(contact, by),
            Act::Wrap(wrap) => self.wrap(*wrap),
            Act::Survey(contact) => self.survey(contact),
            Act::Follow(follow) => self.follow(follow),
            Act::Day(day) => self.day(day),
            Act::Publish(day, agent) => self.publish(day, agent),
            Act::Login(agent) => self.login(agent),
            Act::Cancel(agent, day) => self.cancel(agent, day),
            Act::Pause(agent, state, reason, length) => self.pause(agent, state, reason, length),
            Act::Back(agent) => self.back(agent),
            Act::Logout(agent) => self.logout(agent),
        }
    }

    /// Plans an act `length` ms from now.
    pub(super) fn after(&mut self, length: i64, act: Act) {
        self.at(self.now + length.max(0), act);
    }

    /// Plans an act; one that lies in the past happens now.
    pub(super) fn at(&mut self, time: i64, act: Act) {
        if let Some(contact) = act.contact() {
            self.contacts[contact as usize].pending += 1;
        }
        self.order += 1;
        self.due.push(Due { time: time.max(self.now), order: self.order, act });
    }

    fn release(&mut self, index: u32) {
        let contact = &mut self.contacts[index as usize];
        contact.pending -= 1;
        if contact.pending == 0 {
            assert!(
                !contact.leg_open && contact.talks.iter().all(Option::is_none),
                "an open contact has a next act"
            );
            if self.recent.len() == RECENT {
                self.recent.pop_front();
            }
            self.recent.push_back(contact.customer);
            contact.serial = 0;
            self.free.push(index);
        }
    }

    /// Lets a new contact in.
    pub(super) fn admit(&mut self, stream: u8, direction: &'static str, customer: Option<u32>) -> u32 {
        self.created += 1;
        let again = self.dice.chance(0.1) && !self.recent.is_empty();
        let customer = customer.unwrap_or_else(|| {
            if again {
                let at = self.dice.between(0, self.recent.len() as i64 - 1);
                self.recent[at as usize]
            } else {
                self.dice.between(1, self.customers) as u32
            }
        });
        let id = record::identifier(self.now, [self.dice.bits(), self.dice.bits()]);
        let contact = Contact {
            id,
            serial: self.created,
            customer,
            direction,
            stream,
            trouble: None,
            mood: 0,
            ended: false,
            answered: false,
            called_back: false,
            transfers: 0,
            leg: 0,
            leg_open: false,
            consult: false,
            queued_at: 0,
            place: (0, "", ""),
            ringing: None,
            talks: [None, None],
            seen: [0; AGENTS_MAX],
            seen_count: 0,
            utterances: 0,
            bot_outcome: "handover",
            pending: 0,
        };
        if let Some(index) = self.free.pop() {
            self.contacts[index as usize] = contact;
            index
        } else {
            self.contacts.push(contact);
            (self.contacts.len() - 1) as u32
        }
    }

    /// Puts a contact among the waiting of its stream, first or last.
    pub(super) fn wait(&mut self, index: u32, first: bool) {
        let contact = &self.contacts[index as usize];
        let (entry, stream) = ((index, contact.serial, contact.leg), usize::from(contact.stream));
        if self.waiting[stream].len() > self.waiting_sweep[stream] {
            let contacts = &self.contacts;
            self.waiting[stream]
                .retain(|&(place, serial, leg)| waits(&contacts[place as usize], serial, leg));
            self.waiting_sweep[stream] = 2 * self.waiting[stream].len() + 64;
        }
        if first {
            self.waiting[stream].push_front(entry);
        } else {
            self.waiting[stream].push_back(entry);
        }
    }

    /// Takes the contact that has waited longest for one of the agent's skills; VIPs count as a minute longer.
    pub(super) fn next_waiting(&mut self, agent: u32) -> Option<u32> {
        let mut best: Option<(i64, usize, usize)> = None;
        for (stream, queue) in self.waiting.iter_mut().enumerate() {
            if !self.crew.agents[agent as usize].skilled(stream as u8) {
                continue;
            }
            while let Some(&(place, serial, leg)) = queue.front() {
                if waits(&self.contacts[place as usize], serial, leg) {
                    break;
                }
                queue.pop_front();
            }
            for (at, &(place, serial, leg)) in queue.iter().enumerate().take(8) {
                let contact = &self.contacts[place as usize];
                if !waits(contact, serial, leg) || contact.seen().contains(&agent) {
                    continue;
                }
                let since = contact.queued_at - if STREAMS[stream].queue == "vip" { MINUTE } else { 0 };
                if best.is_none_or(|(other, ..)| since < other) {
                    best = Some((since, stream, at));
                }
                break;
            }
        }
        let (_, stream, at) = best?;
        self.waiting[stream].remove(at).map(|(place, ..)| place)
    }

    /// The slot of the books that holds the present.
    pub(super) fn place(&self, stream: &Stream) -> Place {
        (
            slots::slot_start(self.options.zone, self.options.slot_minutes, self.now),
            stream.channel,
            stream.queue,
        )
    }

    /// The offset for printing the present.
    pub(super) fn offset(&mut self) -> i64 {
        let quarter = self.now.div_euclid(15 * MINUTE);
        if self.printed_offset.0 != quarter {
            self.printed_offset = (quarter, slots::offset(self.options.zone, self.now));
        }
        self.printed_offset.1
    }

    /// Begins an event that happens now. Chats come from a system that writes its times as numbers.
    pub(super) fn event(&mut self, kind: &str, key: &str, numeric: bool) -> Emitted {
        let mut event = self.spare.pop().unwrap_or_default();
        event.time = self.now;
        event.key.clear();
        event.key.push_str(key);
        let id = record::identifier(self.now, [self.dice.bits(), self.dice.bits()]);
        let offset = self.offset();
        let payload = &mut event.payload;
        payload.clear();
        payload.push_str("{\"id\":\"");
        payload.push_str(record::text(&id));
        payload.push_str("\",\"type\":\"");
        payload.push_str(kind);
        payload.push('"');
        if numeric {
            payload.number("time", self.now);
        } else {
            payload.when("time", self.now, offset);
        }
        event
    }

    /// Begins an event of a contact; with a queue as soon as there is one.
    pub(super) fn contact_event(&mut self, kind: &str, index: u32, stream: Option<u8>) -> Emitted {
        let contact = &self.contacts[index as usize];
        let (id, customer, tier) = (contact.id, contact.customer, contact.tier());
        let profile = &STREAMS[usize::from(stream.unwrap_or(contact.stream))];
        let mut event = self.event(kind, record::text(&id), profile.channel == "chat");
        let payload = &mut event.payload;
        payload.string("contact_id", record::text(&id));
        payload.string("channel", profile.channel);
        if stream.is_some() {
            payload.string("queue", profile.queue);
            payload.string("department", profile.department);
        }
        customer_id(payload, customer);
        payload.string("tier", tier);
        event
    }

    /// Names an agent in an event.
    pub(super) fn by_agent(&self, event: &mut Emitted, agent: u32) {
        event.payload.string("agent_id", &self.crew.agents[agent as usize].id);
    }

    /// Lets an event out, with what it changes in the books.
    pub(super) fn emit(&mut self, mut event: Emitted, entry: Entry) {
        event.payload.push('}');
        self.out.push_back((event, entry));
    }
}

impl Iterator for Centre {
    type Item = Emitted;

    fn next(&mut self) -> Option<Emitted> {
        let mut event = Emitted::default();
        self.next_into(&mut event).then_some(event)
    }
}

fn waits(contact: &Contact, serial: u64, leg: u8) -> bool {
    contact.serial == serial && contact.leg == leg && contact.leg_open && contact.ringing.is_none()
}

/// Writes the field `customer_id`.
pub(super) fn customer_id(payload: &mut String, customer: u32) {
    payload.push_str(",\"customer_id\":\"C");
    record::integer(payload, 10_000_000 + i64::from(customer));
    payload.push('"');
}
