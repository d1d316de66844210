//! Customers arrive, meet the bot, wait in a queue, ring at agents and leave.

use super::books::{Entry, Outcome};
use super::dice::mix;
use super::engine::{Act, Centre, Exit};
use super::profile::{BOT_ABANDONED, BOT_CHAT, BOT_CONTAINED, BOT_VOICE, STREAMS, TROUBLES};
use super::record::Fields;
use super::slots::{self, MINUTE};
use super::texts;

/// The longest step of the arrival clock: rates are read again after it.
const STEP: i64 = 2 * MINUTE;
const REGIONS: [&str; 8] = ["广东", "上海", "北京", "湖北", "重庆", "陕西", "江苏", "浙江"];

impl Centre {
    /// Draws when the next contact of a stream comes: a Poisson process whose rate is taken as constant for two minutes.
    pub(super) fn gap(&mut self, stream: u8) {
        if self.closing() {
            return;
        }
        let profile = &STREAMS[usize::from(stream)];
        let now = slots::local(self.options.zone, self.now);
        let flood = self.trouble(stream).map_or(1.0, |(factor, _)| factor);
        let shape = match self.options.steady {
            true => 1.0,
            false => profile.shape(now) * self.mood_of_the_hour(stream),
        };
        let rate = self.contacts_per_second
            * profile.share
            * shape
            * self.noise[usize::from(stream)]
            * if profile.open_at(now.minute) { 1.0 } else { 0.2 }
            * flood;
        let gap = self.dice.exponential() / rate.max(1e-9) * 1000.0;
        if gap < STEP as f64 {
            self.after(gap as i64, Act::Arrive(stream));
        } else {
            self.after(STEP, Act::Gap(stream));
        }
    }

    /// Traffic of this half hour relative to what the time of day promises: 0.85 to 1.15.
    fn mood_of_the_hour(&self, stream: u8) -> f64 {
        let half_hour = self.now.div_euclid(30 * MINUTE) as u64;
        let draw = mix(self.options.seed ^ 0x7a1f, mix(u64::from(stream), half_hour));
        0.85 + 0.3 * (draw >> 11) as f64 / (1u64 << 53) as f64
    }

    /// The incident that floods a stream now: its factor and its trouble.
    fn trouble(&self, stream: u8) -> Option<(f64, u8)> {
        let queue = STREAMS[usize::from(stream)].queue;
        self.incidents
            .iter()
            .rev()
            .take(4)
            .find(|incident| incident.queue == queue && incident.start <= self.now && self.now < incident.end)
            .map(|incident| (incident.factor, incident.trouble as u8))
    }

    pub(super) fn arrive(&mut self, stream: u8) {
        if self.closing() {
            return;
        }
        self.gap(stream);
        let profile = &STREAMS[usize::from(stream)];
        if profile.outbound() {
            self.dial(stream);
            return;
        }
        let index = self.admit(stream, "inbound", None);
        let trouble = self.trouble(stream).filter(|&(factor, _)| self.dice.chance((factor - 1.0) / factor));
        let angry =
            if profile.queue == "投诉" { 0.45 } else { 0.12 } + if trouble.is_some() { 0.3 } else { 0.0 };
        let mood = match (self.dice.chance(angry), self.dice.chance(0.35)) {
            (false, _) => 0,
            (true, false) => 1,
            (true, true) => 2,
        };
        let contact = &mut self.contacts[index as usize];
        contact.trouble = trouble.map(|(_, which)| which);
        contact.mood = mood;
        self.started(index);
        let bot = if profile.voice() {
            BOT_VOICE
        } else if profile.channel == "chat" {
            BOT_CHAT
        } else {
            0.0
        };
        if self.dice.chance(bot) {
            let after = self.dice.between(200, 900);
            self.after(after, Act::BotStart(index));
        } else {
            let after = self.dice.between(300, 2_000);
            self.after(after, Act::Enter(index, stream));
        }
    }

    pub(super) fn started(&mut self, index: u32) {
        let mut event = self.contact_event("contact.started", index, None);
        let contact = &self.contacts[index as usize];
        let (direction, topic) = (contact.direction, self.topic(index));
        event.payload.string("direction", direction);
        event.payload.string("topic", topic);
        let region = self.dice.pick(&REGIONS);
        event.payload.push_str(",\"attributes\":{\"region\":\"");
        event.payload.push_str(region);
        event.payload.push('"');
        if STREAMS[usize::from(self.contacts[index as usize].stream)].voice() {
            let trunk = self.dice.between(1, 24);
            event.payload.number("trunk", trunk);
            event.payload.push_str(",\"dnis\":\"4008100\"");
        } else {
            event.payload.push_str(",\"client\":\"app 8.2\"");
        }
        event.payload.push('}');
        self.emit(event, Entry::Nothing);
    }

    fn topic(&self, index: u32) -> &'static str {
        let contact = &self.contacts[index as usize];
        contact
            .trouble
            .map_or(STREAMS[usize::from(contact.stream)].queue, |which| TROUBLES[usize::from(which)].theme)
    }

    pub(super) fn bot_start(&mut self, index: u32) {
        let event = self.contact_event("contact.bot_started", index, None);
        self.emit(event, Entry::Nothing);
        let draw = self.dice.between(0, 999) as f64 / 1000.0;
        let contact = &mut self.contacts[index as usize];
        contact.bot_outcome = if draw < BOT_CONTAINED {
            "contained"
        } else if draw < BOT_CONTAINED + BOT_ABANDONED {
            "abandoned"
        } else {
            "handover"
        };
        let chat = !STREAMS[usize::from(contact.stream)].voice();
        let length = self.dice.length(if chat { 45_000 } else { 24_000 }, 0.6);
        if chat {
            let turns = self.dice.between(1, 3);
            for turn in 1..=2 * turns {
                self.after(length * turn / (2 * turns + 1), Act::BotTalk(index));
            }
        }
        self.after(length, Act::BotEnd(index));
    }

    /// The customer and the bot of a chat take turns.
    pub(super) fn bot_talk(&mut self, index: u32) {
        let contact = &mut self.contacts[index as usize];
        contact.utterances += 1;
        let customer = contact.utterances % 2 == 1;
        let stream = contact.stream;
        let profile = &STREAMS[usize::from(stream)];
        let first = contact.utterances == 1;
        let lines = if !customer {
            texts::phrases(profile.tongue).bot
        } else if first {
            self.opening(index)
        } else {
            texts::phrases(profile.tongue).plain
        };
        let template = self.dice.pick(lines);
        let chance = self.dice.bits();
        let mut event = self.contact_event("message", index, None);
        event.payload.string("from", if customer { "customer" } else { "bot" });
        let mut text = String::new();
        texts::fill(&mut text, template, profile.tongue, chance);
        event.payload.string("text", &text);
        self.emit(event, Entry::Nothing);
    }

    /// What this customer came to say.
    pub(super) fn opening(&self, index: u32) -> &'static [&'static str] {
        let contact = &self.contacts[index as usize];
        let profile = &STREAMS[usize::from(contact.stream)];
        contact.trouble.map_or(texts::openings(profile.tongue, profile.subject), |which| {
            TROUBLES[usize::from(which)].words
        })
    }

    pub(super) fn bot_end(&mut self, index: u32) {
        let (outcome, stream) =
            (self.contacts[index as usize].bot_outcome, self.contacts[index as usize].stream);
        let mut event = self.contact_event("contact.bot_ended", index, None);
        event.payload.string("outcome", outcome);
        if STREAMS[usize::from(stream)].voice() {
            let (first, second) = (self.dice.between(1, 9), self.dice.between(0, 5));
            event.payload.push_str(",\"attributes\":{\"ivr_path\":\"");
            super::record::integer(&mut event.payload, first * 10 + second);
            event.payload.push_str("\"}");
        }
        self.emit(event, Entry::Nothing);
        match outcome {
            "handover" => {
                let after = self.dice.between(50, 600);
                self.after(after, Act::Enter(index, stream));
            }
            "contained" => self.after(400, Act::HangUp(index, "system")),
            _ => self.after(150, Act::HangUp(index, "customer")),
        }
    }

    /// Ends a contact that no agent has and that waits in no queue.
    pub(super) fn hang_up(&mut self, index: u32, by: &'static str) {
        if !self.contacts[index as usize].ended {
            self.end(index, by, if by == "system" { "released" } else { "caller_left" });
        }
    }

    /// Opens a leg in a queue.
    pub(super) fn enter(&mut self, index: u32, stream: u8) {
        let profile = &STREAMS[usize::from(stream)];
        let place = self.place(profile);
        let now = self.now;
        let contact = &mut self.contacts[index as usize];
        assert!(!contact.leg_open, "a contact waits in one queue at a time");
        contact.stream = stream;
        contact.leg += 1;
        contact.leg_open = true;
        contact.queued_at = now;
        contact.place = place;
        contact.ringing = None;
        let leg = contact.leg;
        let mut event = self.contact_event("contact.queued", index, Some(stream));
        let ahead = self.waiting[usize::from(stream)].len() as i64;
        event.payload.push_str(",\"attributes\":{\"priority\":");
        super::record::integer(&mut event.payload, if profile.queue == "vip" { 1 } else { 5 });
        event.payload.number("queue_length", ahead);
        event.payload.push('}');
        self.emit(event, Entry::Queued(place));

        let local = slots::local(self.options.zone, now);
        if !profile.patient() && !profile.open_at(local.minute) {
            let after = self.dice.between(2_500, 8_000);
            self.after(after, Act::Leave(index, leg, Exit::Closed));
        } else if !profile.patient() && self.crew.on_duty[usize::from(stream)] == 0 {
            let after = self.dice.between(4_000, 12_000);
            self.after(after, Act::Leave(index, leg, Exit::NoAgent));
        } else {
            let (after, exit) = self.exit(index, stream);
            self.after(after, Act::Leave(index, leg, exit));
            self.route(index, leg);
        }
    }

    /// Decides how and when this leg would end without an agent: what comes first of all that may.
    fn exit(&mut self, index: u32, stream: u8) -> (i64, Exit) {
        let profile = &STREAMS[usize::from(stream)];
        let contact = &self.contacts[index as usize];
        let (consult, waits_elsewhere) =
            (contact.consult, contact.called_back || contact.direction == "callback");
        if waits_elsewhere {
            return (40 * MINUTE, Exit::Timeout);
        }
        if profile.patient() {
            return (profile.patience, Exit::Timeout);
        }
        let hasty = if self.dice.chance(0.05) { self.dice.between(700, 9_000) } else { i64::MAX };
        let patience = 3_000 + (self.dice.exponential() * profile.patience as f64) as i64;
        let mut first = (patience.min(hasty), Exit::Abandon);
        let mut maybe = |chance: f64, low: i64, high: i64, exit: Exit| {
            let (happens, after) = (self.dice.chance(chance), self.dice.between(low, high));
            if happens && after < first.0 {
                first = (after, exit);
            }
        };
        if consult {
            maybe(1.0, 45_000, 75_000, Exit::Timeout);
            return first;
        }
        maybe(0.004, 500, 15_000, Exit::Error);
        maybe(0.006, 2_000, 9_000, Exit::PressedKey);
        maybe(0.05, 20_000, 60_000, Exit::PressedKey);
        // The skill that this customer needs besides, nobody on duty has.
        maybe(0.02, 4_000, 12_000, Exit::NoAgent);
        if profile.voice() {
            maybe(0.25, 40_000, 90_000, Exit::Callback);
        }
        if profile.overflow.is_some() {
            maybe(0.5, 90_000, 150_000, Exit::Overflow);
        }
        maybe(1.0, 300_000, 600_000, Exit::Timeout);
        first
    }

    /// Rings at the agent who has been idle longest, or lets the contact wait.
    pub(super) fn route(&mut self, index: u32, leg: u8) {
        let contact = &self.contacts[index as usize];
        if contact.leg != leg || !contact.leg_open || contact.ringing.is_some() {
            return;
        }
        let again = self.now > contact.queued_at;
        match self.crew.longest_idle(contact.stream, contact.seen()) {
            Some(agent) => self.offer(index, agent),
            None => self.wait(index, again),
        }
    }

    /// Rings at an agent, who takes it or does not.
    pub(super) fn offer(&mut self, index: u32, agent: u32) {
        let contact = &mut self.contacts[index as usize];
        contact.ringing = Some(agent);
        let (leg, stream) = (contact.leg, contact.stream);
        self.offered(index, agent);
        if self.dice.chance(0.012) {
            let after = self.dice.between(12_000, 18_000);
            self.after(after, Act::Miss(index, leg, agent));
        } else {
            let after = self.ring_time(stream);
            self.after(after, Act::Pick(index, leg, agent));
        }
    }

    /// How long it rings before an agent takes it.
    pub(super) fn ring_time(&mut self, stream: u8) -> i64 {
        let mean = if STREAMS[usize::from(stream)].voice() { 4_400 } else { 5_500 };
        self.dice.length(mean, 0.4)
    }

    /// Says that it rings at an agent, and keeps the agent free for it.
    pub(super) fn offered(&mut self, index: u32, agent: u32) {
        let stream = self.contacts[index as usize].stream;
        let mut event = self.contact_event("contact.offered", index, Some(stream));
        self.by_agent(&mut event, agent);
        self.emit(event, Entry::Nothing);
        self.crew.agents[agent as usize].ringing += 1;
        if self.crew.agents[agent as usize].can_take() {
            self.crew.rest(agent);
        }
    }

    pub(super) fn pick(&mut self, index: u32, leg: u8, agent: u32) {
        let contact = &self.contacts[index as usize];
        if contact.leg != leg || !contact.leg_open || contact.ringing != Some(agent) {
            return;
        }
        let entry = self.close_leg(index, Outcome::Answered);
        self.crew.agents[agent as usize].ringing -= 1;
        self.answer(index, agent, None, entry);
    }

    pub(super) fn miss(&mut self, index: u32, leg: u8, agent: u32) {
        let contact = &mut self.contacts[index as usize];
        if contact.leg != leg || !contact.leg_open || contact.ringing != Some(agent) {
            return;
        }
        contact.ringing = None;
        self.missed(index, agent);
        // A moment later, so that the next offer follows the miss also in the order of ranks.
        self.after(20, Act::Route(index, leg));
    }

    /// Says that an agent did not take a contact; the agent is taken out of the routing for a while.
    pub(super) fn missed(&mut self, index: u32, agent: u32) {
        let stream = self.contacts[index as usize].stream;
        let mut event = self.contact_event("contact.missed", index, Some(stream));
        self.by_agent(&mut event, agent);
        self.emit(event, Entry::Nothing);
        self.crew.agents[agent as usize].ringing -= 1;
        let away = self.dice.between(20_000, 90_000);
        self.step_out(agent, super::crew::State::Other, "missed_contact", away);
    }

    /// Closes the open leg and says what that changes in the books.
    pub(super) fn close_leg(&mut self, index: u32, outcome: Outcome) -> Entry {
        let now = self.now;
        let contact = &mut self.contacts[index as usize];
        assert!(contact.leg_open, "only an open leg is closed");
        contact.leg_open = false;
        contact.ringing = None;
        let profile = &STREAMS[usize::from(contact.stream)];
        Entry::Left {
            place: contact.place,
            outcome,
            wait: now - contact.queued_at,
            target: profile.target_wait,
            short: profile.short_abandon,
        }
    }

    /// The leg ends without an agent.
    pub(super) fn leave(&mut self, index: u32, leg: u8, exit: Exit) {
        let contact = &self.contacts[index as usize];
        if contact.leg != leg || !contact.leg_open {
            return;
        }
        let (stream, ended, consult) = (contact.stream, contact.ended, contact.consult);
        let rings = contact.ringing.is_some();
        let (outcome, reason) = match exit {
            Exit::Abandon => return self.end(index, "customer", "hung_up_waiting"),
            Exit::Error if rings || self.dice.chance(0.5) => {
                return self.end(index, "system", "trunk_failure");
            }
            // While it rings, the queue does nothing; it looks again later.
            _ if rings => return self.after(5_000, Act::Leave(index, leg, exit)),
            Exit::Error => (Outcome::Error, "error"),
            Exit::Overflow => (Outcome::Overflow, "overflow"),
            Exit::Callback => (Outcome::Callback, "callback"),
            Exit::PressedKey => (Outcome::PressedKey, "exit_key"),
            Exit::Timeout => (Outcome::Timeout, "timeout"),
            Exit::NoAgent => (Outcome::NoAgent, "no_agent"),
            Exit::Closed => (Outcome::Closed, "closed"),
        };
        let entry = self.close_leg(index, outcome);
        let mut event = self.contact_event("contact.left_queue", index, Some(stream));
        event.payload.string("reason", reason);
        self.emit(event, entry);
        if consult {
            return self.consult_failed(index);
        }
        match exit {
            Exit::Overflow => {
                let to = STREAMS[usize::from(stream)].overflow.unwrap_or(stream);
                let after = self.dice.between(60, 400);
                self.after(after, Act::Enter(index, to));
            }
            Exit::Callback => {
                self.contacts[index as usize].called_back = true;
                self.after(2_500, Act::HangUp(index, "customer"));
                let after = self.dice.between(2 * MINUTE, 12 * MINUTE);
                self.after(after, Act::Enter(index, stream));
            }
            _ if ended => {}
            Exit::PressedKey => self.after(6_000, Act::HangUp(index, "customer")),
            _ => self.after(1_500, Act::HangUp(index, "system")),
        }
    }
}
