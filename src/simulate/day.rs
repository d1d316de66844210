//! What a day brings: its traffic, its incidents, the roster, and the agents' coming, pausing and going.

use super::Incident;
use super::books::Entry;
use super::crew::{SHIFT, State};
use super::engine::{Act, Centre};
use super::profile::{STREAMS, TROUBLES};
use super::record::Fields;
use super::slots::{self, HOUR, MINUTE};

impl Centre {
    /// Begins the simulation within a day: the shifts that are running, and an incident soon.
    pub(super) fn begin(&mut self, today: i64) {
        for agent in 0..self.crew.agents.len() as u32 {
            self.plan_shift(agent, today - 1);
        }
        self.after(0, Act::Publish(today, 0));
        self.day(today);
        if self.options.incidents {
            let start = self.now + self.dice.between(15 * MINUTE, 40 * MINUTE);
            self.break_something(start);
        }
    }

    /// Begins a local day.
    pub(super) fn day(&mut self, day: i64) {
        let all = self.dice.factor(0.05);
        for stream in 0..STREAMS.len() {
            self.noise[stream] = all * self.dice.factor(0.06);
        }
        for agent in 0..self.crew.agents.len() as u32 {
            self.plan_shift(agent, day);
        }
        let zone = self.options.zone;
        self.at(slots::instant(zone, day, 15 * 60), Act::Publish(day + 1, 0));
        if self.options.incidents && self.dice.chance(0.6) {
            let minute = self.dice.between(9 * 60 + 30, 19 * 60);
            let start = slots::instant(zone, day, minute);
            if start > self.now + 3 * HOUR {
                self.break_something(start);
            }
        }
        self.at(slots::instant(zone, day + 1, 0), Act::Day(day + 1));
    }

    /// Plans an incident of one of the queues that are open and busy at its time; none where all sleep.
    fn break_something(&mut self, start: i64) {
        let now = slots::local(self.options.zone, start);
        let awake: Vec<usize> = (0..TROUBLES.len())
            .filter(|&trouble| {
                STREAMS.iter().any(|stream| {
                    stream.queue == TROUBLES[trouble].queue
                        && stream.open_at(now.minute)
                        && stream.shape(now) > 0.3
                })
            })
            .collect();
        if awake.is_empty() {
            return;
        }
        let trouble = self.dice.pick(&awake);
        let length = self.dice.between(20 * MINUTE, 60 * MINUTE);
        let factor = self.dice.between(30, 60) as f64 / 10.0;
        let Some(what) = TROUBLES.get(trouble) else { return };
        let incident =
            Incident { start, end: start + length, queue: what.queue, theme: what.theme, factor, trouble };
        self.incidents.push(incident);
        self.incidents.sort_by_key(|incident| incident.start);
    }

    /// Plans an agent's shift of one day: coming, pausing, going. A shift that is running already begins now.
    fn plan_shift(&mut self, agent: u32, day: i64) {
        let Some(minute) = self.crew.agents[agent as usize].shift(day) else { return };
        let zone = self.options.zone;
        let start = slots::instant(zone, day, i64::from(minute));
        let end = start + SHIFT;
        if end <= self.now + MINUTE {
            return;
        }
        if self.crew.cancelled(agent, day) {
            if start > self.now {
                let notice = start - self.dice.between(30 * MINUTE, 3 * HOUR);
                self.at(notice, Act::Cancel(agent, day));
            }
            return;
        }
        let late = self.dice.between(-3 * MINUTE, 4 * MINUTE);
        let login =
            if start + late <= self.now { self.now + self.dice.between(0, 1_500) } else { start + late };
        self.at(login, Act::Login(agent));
        let over = end + self.dice.between(-MINUTE, 3 * MINUTE);
        self.at(over, Act::Logout(agent));
        let meal = start + SHIFT / 2 + self.dice.between(-70, 70) * MINUTE;
        let mut pauses = vec![
            (meal, State::Break, "meal", 30 * MINUTE),
            (start + self.dice.between(50, 220) * MINUTE, State::Break, "rest", 12 * MINUTE),
            (end - self.dice.between(50, 220) * MINUTE, State::Break, "rest", 12 * MINUTE),
        ];
        let extra = start + self.dice.between(60, 420) * MINUTE;
        match self.dice.between(0, 99) {
            0..8 => pauses.push((extra, State::Training, "product_training", 40 * MINUTE)),
            8..16 => pauses.push((extra, State::Meeting, "team_meeting", 20 * MINUTE)),
            _ => {}
        }
        for (when, state, reason, length) in pauses {
            if when > login {
                self.at(when, Act::Pause(agent, state, reason, length));
            }
        }
    }

    /// Publishes the roster of a day, a few agents at a time.
    pub(super) fn publish(&mut self, day: i64, first: u32) {
        let count = self.crew.agents.len() as u32;
        let step = (count / 600).max(1);
        let last = (first + step).min(count);
        for agent in first..last {
            self.shift_event("shift.planned", agent, day);
        }
        if last < count {
            self.after(1_000, Act::Publish(day, last));
        }
    }

    pub(super) fn cancel(&mut self, agent: u32, day: i64) {
        self.shift_event("shift.cancelled", agent, day);
    }

    fn shift_event(&mut self, kind: &str, agent: u32, day: i64) {
        let who = &self.crew.agents[agent as usize];
        let Some(minute) = who.shift(day) else { return };
        let (name, skills, home) = (who.id.clone(), who.skills, who.home);
        let start = slots::instant(self.options.zone, day, i64::from(minute));
        let (year, month, date) = slots::date(day);
        let preferred = self.dice.chance(0.7);
        let (now, offset) = (self.now, self.offset());
        let mut event = self.event(kind, &name, false);
        let payload = &mut event.payload;
        payload.string("shift_id", &format!("S{year:04}{month:02}{date:02}-{name}"));
        payload.string("agent_id", &name);
        payload.string("department", STREAMS[usize::from(home)].department);
        payload.string("role", if agent.is_multiple_of(15) { "lead" } else { "agent" });
        payload.push_str(",\"queues\":[");
        let mut queues: Vec<&str> = Vec::new();
        for (stream, profile) in STREAMS.iter().enumerate() {
            if skills >> stream & 1 == 1 && !queues.contains(&profile.queue) {
                queues.push(profile.queue);
            }
        }
        for (at, queue) in queues.iter().enumerate() {
            payload.push_str(if at == 0 { "\"" } else { ",\"" });
            payload.push_str(queue);
            payload.push('"');
        }
        payload.push(']');
        payload.when("start", start, slots::offset(self.options.zone, start));
        payload.when("end", start + SHIFT, slots::offset(self.options.zone, start + SHIFT));
        payload.flag("preferred", preferred);
        payload.when("published_at", now, offset);
        payload.number("paid_minutes", 480);
        self.emit(event, Entry::Nothing);
    }

    pub(super) fn login(&mut self, agent: u32) {
        let who = &mut self.crew.agents[agent as usize];
        if who.on_duty() {
            // The last shift has not ended yet, as a talk holds the agent: it runs on into this one.
            who.leaving = None;
            return;
        }
        who.leaving = None;
        self.crew.count_duty(agent, true);
        self.change_state(agent, State::Available, "login");
        self.settle(agent);
    }

    pub(super) fn pause(&mut self, agent: u32, state: State, reason: &'static str, length: i64) {
        if self.crew.agents[agent as usize].on_duty() {
            self.step_out(agent, state, reason, length);
        }
    }

    pub(super) fn back(&mut self, agent: u32) {
        let state = self.crew.agents[agent as usize].state;
        if matches!(state, State::Break | State::Training | State::Meeting | State::Other) {
            self.change_state(agent, State::Available, "");
            self.settle(agent);
        }
    }

    pub(super) fn logout(&mut self, agent: u32) {
        if self.crew.agents[agent as usize].on_duty() {
            self.crew.agents[agent as usize].leaving = Some((State::Offline, "shift_end", 0));
            self.settle(agent);
        }
    }

    /// Takes an agent out of the routing as soon as the hands are free. Who is about to leave already, leaves first.
    pub(super) fn step_out(&mut self, agent: u32, state: State, reason: &'static str, length: i64) {
        self.crew.agents[agent as usize].leaving.get_or_insert((state, reason, length));
        self.settle(agent);
    }

    /// Brings an agent's state in line with what is in the agent's hands, and gives the free hands work.
    pub(super) fn settle(&mut self, agent: u32) {
        let who = &mut self.crew.agents[agent as usize];
        if !who.on_duty() {
            return;
        }
        if who.load() == 0
            && let Some((state, reason, length)) = who.leaving.take()
        {
            self.change_state(agent, state, reason);
            if state == State::Offline {
                self.crew.count_duty(agent, false);
            } else {
                self.after(length, Act::Back(agent));
            }
            return;
        }
        if !matches!(who.state, State::Available | State::Busy | State::Acw) {
            return;
        }
        let state = match (who.talking, who.wrapping) {
            (0, 0) => State::Available,
            (0, _) => State::Acw,
            _ => State::Busy,
        };
        if state != who.state {
            self.change_state(agent, state, "");
        }
        while self.crew.agents[agent as usize].can_take() {
            match self.next_waiting(agent) {
                Some(contact) => self.offer(contact, agent),
                None => return self.crew.rest(agent),
            }
        }
    }

    fn change_state(&mut self, agent: u32, state: State, reason: &'static str) {
        let who = &mut self.crew.agents[agent as usize];
        who.state = state;
        let (name, home) = (std::mem::take(&mut who.id), usize::from(who.home));
        let mut event = self.event("agent.state", &name, false);
        event.payload.string("agent_id", &name);
        event.payload.string("state", state.name());
        if !reason.is_empty() {
            event.payload.string("reason", reason);
        }
        event.payload.string("department", STREAMS[home].department);
        event.payload.push_str(",\"attributes\":{\"site\":\"");
        event.payload.push_str(["east", "west", "south"][agent as usize % 3]);
        event.payload.push_str("\",\"client\":\"desk 4.2\"}");
        self.crew.agents[agent as usize].id = name;
        self.emit(event, Entry::Nothing);
    }
}
