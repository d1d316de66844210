//! Conversations: what is said, holds, transfers, the end, and the wrap-up after it.

use super::books::{Entry, Outcome};
use super::engine::{Act, Centre};
use super::profile::STREAMS;
use super::record::{self, Fields};
use super::slots::MINUTE;
use super::texts;

/// Share of calls with a transcript; with chats it makes messages about 35 % of all events.
const TRANSCRIBED: f64 = 0.055;
/// Share of handlings whose wrap-up event never comes.
const UNWRAPPED: f64 = 0.005;
/// Transfers of one contact, at most.
const TRANSFERS_MAX: u8 = 2;
/// Longest wrap-up, well below the half hour after which a pipeline gives up waiting for it.
const ACW_MAX: i64 = 15 * MINUTE;
const NEVER: i64 = i64::MAX;

/// How a talk is going to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    End,
    BlindToQueue,
    BlindToAgent,
    Warm,
}

/// Something that is being said: its final text follows from template and chance.
#[derive(Clone, Copy, Debug)]
struct Saying {
    customer: bool,
    template: &'static str,
    chance: u64,
    since: i64,
    length: i64,
    /// Pieces still to come, the final one included.
    pieces: u8,
    of: u8,
}

/// One agent's talk with the customer.
pub(crate) struct Talk {
    pub(crate) agent: u32,
    stream: u8,
    since: i64,
    end_at: i64,
    fate: Fate,
    held_at: Option<i64>,
    held_until: i64,
    hangs_up_on_hold: bool,
    hold: i64,
    holds_left: u8,
    next_hold: i64,
    next_say: i64,
    turn: u16,
    saying: Option<Saying>,
}

/// An agent's after-contact work that is under way.
pub(crate) struct Wrap {
    pub(crate) contact: u32,
    agent: u32,
    stream: u8,
    ended: i64,
    talk: i64,
    hold: i64,
    /// The event never comes.
    silent: bool,
    disposition: &'static str,
}

impl Centre {
    /// An agent takes the contact: a handling begins.
    pub(super) fn answer(&mut self, index: u32, agent: u32, dialled: Option<i64>, entry: Entry) {
        let stream = self.contacts[index as usize].stream;
        let mut event = self.contact_event("contact.answered", index, Some(stream));
        self.by_agent(&mut event, agent);
        if let Some(dialled) = dialled {
            event.payload.number("dial_ms", dialled);
        }
        self.emit(event, entry);
        let impatient = self.dice.chance(0.5);
        let talk = self.plan(index, agent);
        let now = self.now;
        let contact = &mut self.contacts[index as usize];
        if now - contact.queued_at > MINUTE && impatient {
            contact.mood = (contact.mood + 1).min(2);
        }
        contact.meet(agent);
        contact.answered = true;
        contact.ended = false;
        contact.called_back = false;
        let place = usize::from(contact.talks[0].is_some());
        assert!(contact.talks[place].is_none(), "at most two agents talk to a customer");
        let next = talk.next();
        contact.talks[place] = Some(talk);
        let consult = contact.consult;
        self.crew.agents[agent as usize].talking += 1;
        self.at(next, Act::Talk(index, place as u8));
        if consult {
            let after = self.dice.between(4_000, 15_000);
            self.after(after, Act::Merge(index));
        }
        self.settle(agent);
    }

    /// Decides how long a talk lasts, what happens in it and how it ends.
    fn plan(&mut self, index: u32, agent: u32) -> Talk {
        let contact = &self.contacts[index as usize];
        let (stream, transfers, consult) = (contact.stream, contact.transfers, contact.consult);
        let profile = &STREAMS[usize::from(stream)];
        let voice = profile.voice();
        let fate = match self.dice.between(0, 99) {
            _ if transfers >= TRANSFERS_MAX || consult || profile.outbound() || profile.patient() => {
                Fate::End
            }
            0..3 => Fate::BlindToQueue,
            3..5 => Fate::BlindToAgent,
            5..7 if voice => Fate::Warm,
            _ => Fate::End,
        };
        let spread = if voice { 0.6 } else { 0.45 };
        let mut length = self.dice.length(profile.talk, spread).clamp(8_000, 40 * MINUTE);
        if fate != Fate::End {
            length = length / 2 + 5_000;
        }
        if consult {
            length = length.max(45_000);
        }
        let holds_left = match self.dice.between(0, 99) {
            _ if !voice || profile.outbound() => 0,
            0..5 => 2,
            5..27 => 1,
            _ => 0,
        };
        let speaks = !voice || self.dice.chance(TRANSCRIBED);
        let next_say = if speaks {
            self.now + self.dice.between(600, if voice { 1_500 } else { 12_000 })
        } else {
            NEVER
        };
        Talk {
            agent,
            stream,
            since: self.now,
            end_at: self.now + length,
            fate,
            held_at: None,
            held_until: NEVER,
            hangs_up_on_hold: false,
            hold: 0,
            holds_left,
            next_hold: self.now + self.dice.between(length / 5, length / 2),
            next_say,
            turn: 0,
            saying: None,
        }
    }

    /// Takes the next step of a talk.
    pub(super) fn talk(&mut self, index: u32, place: u8) {
        let Some(mut talk) = self.contacts[index as usize].talks[usize::from(place)].take() else { return };
        let now = self.now;
        if talk.held_at.is_some() {
            if talk.hangs_up_on_hold {
                self.contacts[index as usize].talks[usize::from(place)] = Some(talk);
                return self.end(index, "customer", "hung_up_on_hold");
            }
            self.resume(index, &mut talk);
        } else if talk.saying.is_some() {
            self.say(index, &mut talk);
        } else if now >= talk.end_at {
            let fate = talk.fate;
            self.contacts[index as usize].talks[usize::from(place)] = Some(talk);
            return self.conclude(index, place, fate);
        } else if talk.holds_left > 0 && now >= talk.next_hold {
            let length = self.dice.length(38_000, 0.7).min(8 * MINUTE);
            talk.holds_left -= 1;
            talk.hangs_up_on_hold = self.contacts[index as usize].transfers == 0 && self.dice.chance(0.02);
            talk.next_hold = now + length + self.dice.between(20_000, 90_000);
            talk.held_until = now + length;
            talk.end_at = talk.end_at.max(talk.held_until + 4_000);
            self.hold(index, &mut talk);
        } else {
            self.speak(index, &mut talk);
        }
        let next = talk.next();
        self.contacts[index as usize].talks[usize::from(place)] = Some(talk);
        self.at(next, Act::Talk(index, place));
    }

    fn hold(&mut self, index: u32, talk: &mut Talk) {
        talk.held_at = Some(self.now);
        let mut event = self.contact_event("contact.held", index, Some(talk.stream));
        self.by_agent(&mut event, talk.agent);
        self.emit(event, Entry::Nothing);
    }

    /// Takes the customer off hold, if there is a hold.
    fn resume(&mut self, index: u32, talk: &mut Talk) {
        let Some(held_at) = talk.held_at.take() else { return };
        talk.hold += self.now - held_at;
        if talk.next_say != NEVER {
            talk.next_say = talk.next_say.max(self.now + 800);
        }
        let mut event = self.contact_event("contact.resumed", index, Some(talk.stream));
        self.by_agent(&mut event, talk.agent);
        self.emit(event, Entry::Nothing);
    }

    /// Begins to say something; a chat message is out at once.
    fn speak(&mut self, index: u32, talk: &mut Talk) {
        let profile = &STREAMS[usize::from(talk.stream)];
        let customer = if profile.patient() { talk.turn == 0 } else { talk.turn % 2 == 1 };
        let template = if customer { self.customer_line(index, talk) } else { self.agent_line(index, talk) };
        talk.turn += 1;
        let mut saying = Saying {
            customer,
            template,
            chance: self.dice.bits(),
            since: self.now,
            length: 0,
            pieces: 1,
            of: 1,
        };
        if !profile.voice() {
            talk.saying = Some(saying);
            return self.say(index, talk);
        }
        // A Chinese character (three bytes) takes a quarter of a second to say, a Latin one a fifteenth.
        saying.length = 900 + template.len() as i64 * 75 + self.dice.between(0, 900);
        if self.now + saying.length >= talk.end_at {
            talk.next_say = NEVER;
            return;
        }
        saying.of = match self.dice.between(0, 9) {
            0 => 3,
            1 | 2 => 2,
            _ => 1,
        };
        saying.pieces = saying.of;
        talk.next_say = self.now + saying.length / i64::from(saying.of);
        talk.saying = Some(saying);
    }

    /// Emits one piece of what is being said, and plans the next thing to say after the last.
    fn say(&mut self, index: u32, talk: &mut Talk) {
        let Some(mut saying) = talk.saying.take() else { return };
        let profile = &STREAMS[usize::from(talk.stream)];
        let voice = profile.voice();
        saying.pieces -= 1;
        let last = saying.pieces == 0;
        let mut text = String::new();
        texts::fill(&mut text, saying.template, profile.tongue, saying.chance);
        let heard = usize::from(10 * (saying.of - saying.pieces) / saying.of);
        let mut event = self.contact_event("message", index, Some(talk.stream));
        if !saying.customer {
            self.by_agent(&mut event, talk.agent);
        }
        event.payload.string("from", if saying.customer { "customer" } else { "agent" });
        event.payload.string("text", if last { &text } else { texts::beginning(&text, heard) });
        if voice {
            event.payload.number("duration_ms", if last { saying.length } else { self.now - saying.since });
            event.payload.push_str(",\"utterance\":\"u");
            record::integer(&mut event.payload, i64::from(self.contacts[index as usize].utterances));
            event.payload.push('"');
            if !last {
                event.payload.flag("final", false);
            }
        }
        self.emit(event, Entry::Nothing);
        if !last {
            talk.next_say = self.now + saying.length / i64::from(saying.of);
            talk.saying = Some(saying);
            return;
        }
        self.contacts[index as usize].utterances += 1;
        talk.next_say = if voice {
            self.now + self.dice.between(200, 1_600)
        } else if profile.patient() {
            if talk.turn == 1 { talk.end_at - 700 } else { NEVER }
        } else {
            // Now and then an agent with several chats lets a customer wait for more than a minute.
            self.now + self.dice.length(if saying.customer { 32_000 } else { 23_000 }, 0.7)
        };
    }

    fn customer_line(&mut self, index: u32, talk: &Talk) -> &'static str {
        let phrases = texts::phrases(STREAMS[usize::from(talk.stream)].tongue);
        let contact = &self.contacts[index as usize];
        let (mood, first) = (contact.mood, talk.turn <= 1 && contact.transfers == 0);
        let lines = if first {
            self.opening(index)
        } else if talk.end_at - self.now < 20_000 && self.dice.chance(if mood == 2 { 0.3 } else { 0.75 }) {
            phrases.thanks
        } else {
            match (mood, self.dice.between(0, 99)) {
                (2, 0..35) | (1, 0..18) => phrases.angry,
                (2, 35..45) | (1, 18..21) => phrases.leaving,
                (2, 45..51) | (1, 21..22) => phrases.regulator,
                (_, 90..94) => phrases.thanks,
                _ => phrases.plain,
            }
        };
        self.dice.pick(lines)
    }

    fn agent_line(&mut self, index: u32, talk: &Talk) -> &'static str {
        let phrases = texts::phrases(STREAMS[usize::from(talk.stream)].tongue);
        let provoked = f64::from(1 + self.contacts[index as usize].mood);
        let rudeness = self.crew.agents[talk.agent as usize].rudeness * provoked;
        let lines = if talk.turn == 0 && self.dice.chance(0.93) {
            phrases.greetings
        } else if talk.end_at - self.now < 16_000 && self.dice.chance(0.92) {
            phrases.farewells
        } else if self.dice.chance(rudeness) {
            phrases.rude
        } else if self.dice.chance(0.04) {
            phrases.promising
        } else {
            phrases.helping
        };
        self.dice.pick(lines)
    }

    /// A talk has reached its end: the contact ends, or goes on with another agent.
    fn conclude(&mut self, index: u32, place: u8, fate: Fate) {
        let stream = self.contacts[index as usize].stream;
        match fate {
            Fate::End => {
                let (by, reason) = match self.dice.between(0, 99) {
                    0..70 => ("customer", "completed"),
                    70..99 => ("agent", "completed"),
                    _ => ("system", "line_dropped"),
                };
                self.end(index, by, reason);
            }
            Fate::BlindToAgent => {
                match self.crew.longest_idle(stream, self.contacts[index as usize].seen()) {
                    Some(agent) => {
                        // Taken for this customer from now on; the ring follows in a moment.
                        self.crew.agents[agent as usize].ringing += 1;
                        let name = self.crew.agents[agent as usize].id.clone();
                        self.pass_on(index, place, "blind", "to_agent", &name);
                        self.after(120, Act::Ring(index, agent));
                    }
                    None => self.conclude(index, place, Fate::BlindToQueue),
                }
            }
            Fate::BlindToQueue => {
                let to = self.other_stream(stream);
                self.pass_on(index, place, "blind", "to_queue", STREAMS[usize::from(to)].queue);
                let after = self.dice.between(80, 500);
                self.after(after, Act::Enter(index, to));
            }
            Fate::Warm => {
                let to = self.other_stream(stream);
                let Some(mut talk) = self.contacts[index as usize].talks[usize::from(place)].take() else {
                    return;
                };
                self.hold(index, &mut talk);
                let contact = &mut self.contacts[index as usize];
                // The one who consults stands first, the one who is asked second.
                contact.talks = [Some(talk), None];
                contact.consult = true;
                self.after(700, Act::Enter(index, to));
            }
        }
    }

    /// Chooses a queue of the same channel and language to pass a customer on to.
    fn other_stream(&mut self, from: u8) -> u8 {
        let family = STREAMS[usize::from(from)].family;
        let same: Vec<u8> = (0..STREAMS.len() as u8)
            .filter(|&to| to != from && STREAMS[usize::from(to)].family == family)
            .collect();
        if same.is_empty() { from } else { self.dice.pick(&same) }
    }

    /// Emits a transfer and ends the talk of the agent who transfers.
    fn pass_on(&mut self, index: u32, place: u8, mode: &str, to: &str, name: &str) {
        let Some(mut talk) = self.contacts[index as usize].talks[usize::from(place)].take() else { return };
        self.resume(index, &mut talk);
        self.contacts[index as usize].transfers += 1;
        let mut event = self.contact_event("contact.transferred", index, Some(talk.stream));
        self.by_agent(&mut event, talk.agent);
        event.payload.string(to, name);
        event.payload.string("mode", mode);
        self.emit(event, Entry::Nothing);
        self.finish(index, talk, "transferred");
    }

    /// It rings at the agent whom a blind transfer named; no queue lies between.
    pub(super) fn ring(&mut self, index: u32, agent: u32) {
        // `offered` counts the ring that the transfer has counted already.
        self.crew.agents[agent as usize].ringing -= 1;
        self.offered(index, agent);
        if self.dice.chance(0.05) {
            self.after(15_000, Act::RingMiss(index, agent));
        } else {
            let after = self.ring_time(self.contacts[index as usize].stream);
            self.after(after, Act::RingPick(index, agent));
        }
    }

    pub(super) fn ring_pick(&mut self, index: u32, agent: u32) {
        self.crew.agents[agent as usize].ringing -= 1;
        self.answer(index, agent, None, Entry::Nothing);
    }

    pub(super) fn ring_miss(&mut self, index: u32, agent: u32) {
        let stream = self.contacts[index as usize].stream;
        self.missed(index, agent);
        self.after(60, Act::Enter(index, stream));
    }

    /// The consulted agent takes over: the first one leaves.
    pub(super) fn merge(&mut self, index: u32) {
        let contact = &mut self.contacts[index as usize];
        if !contact.consult || contact.talks.iter().any(Option::is_none) {
            return;
        }
        contact.consult = false;
        let to = STREAMS[usize::from(contact.stream)].queue;
        self.pass_on(index, 0, "warm", "to_queue", to);
    }

    /// Nobody took the consultation: the agent takes the customer off hold in a moment and goes on.
    pub(super) fn consult_failed(&mut self, index: u32) {
        let end_at = self.now + self.dice.between(15_000, 60_000);
        let contact = &mut self.contacts[index as usize];
        contact.consult = false;
        let Some(talk) = &mut contact.talks[0] else { return };
        talk.fate = Fate::End;
        talk.hangs_up_on_hold = false;
        talk.end_at = end_at;
        contact.stream = talk.stream;
        self.after(300, Act::Talk(index, 0));
    }

    /// Ends the contact: open leg, rings, talks and holds with it.
    pub(super) fn end(&mut self, index: u32, by: &str, reason: &str) {
        let contact = &mut self.contacts[index as usize];
        contact.ended = true;
        contact.consult = false;
        let ringing = contact.ringing.take();
        let talks = [contact.talks[0].take(), contact.talks[1].take()];
        let stream = (contact.leg > 0 || contact.answered).then_some(contact.stream);
        let entry = if contact.leg_open {
            self.close_leg(index, if by == "system" { Outcome::Error } else { Outcome::Abandoned })
        } else {
            Entry::Nothing
        };
        let mut event = self.contact_event("contact.ended", index, stream);
        event.payload.string("by", by);
        event.payload.string("reason", reason);
        self.emit(event, entry);
        if let Some(agent) = ringing {
            self.crew.agents[agent as usize].ringing -= 1;
            self.settle(agent);
        }
        let last = talks.iter().flatten().last().map(|talk| (talk.agent, talk.stream));
        for talk in talks.into_iter().flatten() {
            let disposition = self.dice.pick(&[
                "solved",
                "solved",
                "informed",
                "ticket",
                "callback_promised",
                "no_solution",
            ]);
            self.finish(index, talk, disposition);
        }
        if let Some((agent, stream)) = last {
            self.aftermath(index, agent, stream);
        }
    }

    /// An agent's talk is over; after-contact work begins.
    fn finish(&mut self, index: u32, talk: Talk, disposition: &'static str) {
        let hold = talk.hold + talk.held_at.map_or(0, |held_at| self.now - held_at);
        let profile = &STREAMS[usize::from(talk.stream)];
        let acw = self.dice.length(profile.acw, 0.5).min(ACW_MAX);
        let silent = !profile.outbound() && self.dice.chance(UNWRAPPED);
        let wrap = Wrap {
            contact: index,
            agent: talk.agent,
            stream: talk.stream,
            ended: self.now,
            talk: self.now - talk.since - hold,
            hold,
            silent,
            disposition,
        };
        self.after(acw, Act::Wrap(Box::new(wrap)));
        let agent = &mut self.crew.agents[talk.agent as usize];
        agent.talking -= 1;
        agent.wrapping += 1;
        self.settle(talk.agent);
    }

    /// An agent's after-contact work is done.
    pub(super) fn wrap(&mut self, wrap: Wrap) {
        let profile = &STREAMS[usize::from(wrap.stream)];
        if wrap.silent {
            self.books.count_unwrapped();
        } else {
            let mut event = self.contact_event("contact.wrapped", wrap.contact, Some(wrap.stream));
            self.by_agent(&mut event, wrap.agent);
            event.payload.flag("resolved", matches!(wrap.disposition, "solved" | "informed"));
            event.payload.string("disposition", wrap.disposition);
            let entry = if profile.outbound() {
                Entry::Nothing
            } else {
                Entry::Wrapped {
                    place: self.place(profile),
                    talk: wrap.talk,
                    hold: wrap.hold,
                    acw: self.now - wrap.ended,
                }
            };
            self.emit(event, entry);
        }
        self.crew.agents[wrap.agent as usize].wrapping -= 1;
        self.settle(wrap.agent);
    }

    /// An agent calls a customer, if one is free for it.
    pub(super) fn dial(&mut self, stream: u8) {
        let Some(agent) = self.crew.longest_idle(stream, &[]) else { return };
        let index = self.admit(stream, "outbound", None);
        self.started(index);
        let dialled = self.dice.length(14_000, 0.4);
        self.crew.agents[agent as usize].ringing += 1;
        self.after(dialled, Act::Dial(index, agent, dialled));
    }

    pub(super) fn dialled(&mut self, index: u32, agent: u32, dialled: i64) {
        self.crew.agents[agent as usize].ringing -= 1;
        if self.dice.chance(0.62) {
            self.answer(index, agent, Some(dialled), Entry::Nothing);
        } else {
            self.end(index, "system", "no_answer");
            self.settle(agent);
        }
    }
}

impl Talk {
    /// When the next step is due.
    fn next(&self) -> i64 {
        if self.held_at.is_some() {
            self.held_until
        } else if self.saying.is_some() {
            self.next_say
        } else {
            let hold = if self.holds_left > 0 { self.next_hold } else { NEVER };
            self.end_at.min(hold).min(self.next_say)
        }
    }
}
