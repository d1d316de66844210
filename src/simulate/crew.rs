//! Agents: who they are, what they can do, when they work, and who has been idle longest.

use std::collections::VecDeque;

use super::dice::{Dice, mix};
use super::profile::{STREAMS, Stream};
use super::slots::{self, Local, MINUTE};

/// A shift lasts this long, meal included.
pub(crate) const SHIFT: i64 = 510 * MINUTE;
/// When shifts begin, in minutes of the local day.
const STARTS: [u32; 10] = [0, 300, 420, 480, 540, 600, 720, 810, 900, 960];
/// Share of a shift in which an agent is away: breaks, meal, training, late arrivals.
const SHRINKAGE: f64 = 0.13;
/// Share of shifts cancelled on the day, mostly by illness.
const CANCELLED: f64 = 0.012;

/// What an agent is doing, as `agent.state` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Offline,
    Available,
    Busy,
    Acw,
    Break,
    Training,
    Meeting,
    Other,
}

impl State {
    pub(crate) fn name(self) -> &'static str {
        match self {
            State::Offline => "offline",
            State::Available => "available",
            State::Busy => "busy",
            State::Acw => "acw",
            State::Break => "break",
            State::Training => "training",
            State::Meeting => "meeting",
            State::Other => "other",
        }
    }
}

/// One agent.
pub(crate) struct Agent {
    pub(crate) id: String,
    /// Index of the stream the agent was hired for.
    pub(crate) home: u8,
    /// Bit `i` set: may take contacts of stream `i`.
    pub(crate) skills: u16,
    /// Probability of breaking a service rule in a line.
    pub(crate) rudeness: f64,
    pub(crate) state: State,
    /// Contacts that ring, talk, and are being wrapped up.
    pub(crate) ringing: u8,
    pub(crate) talking: u8,
    pub(crate) wrapping: u8,
    /// Where to go as soon as the hands are free, and for how long (ms).
    pub(crate) leaving: Option<(State, &'static str, i64)>,
    /// Grows with each change, so that old entries among the idle are known to be stale.
    pub(crate) stamp: u32,
    /// Minutes of the local day at which the shift begins; place and size of the rota this agent turns in.
    starts: u32,
    turn: i64,
    pool: i64,
    needed: f64,
}

impl Agent {
    pub(crate) fn load(&self) -> u8 {
        self.ringing + self.talking + self.wrapping
    }

    pub(crate) fn on_duty(&self) -> bool {
        self.state != State::Offline
    }

    pub(crate) fn can_take(&self) -> bool {
        matches!(self.state, State::Available | State::Busy | State::Acw)
            && self.leaving.is_none()
            && self.load() < STREAMS[usize::from(self.home)].at_once
    }

    pub(crate) fn skilled(&self, stream: u8) -> bool {
        self.skills >> stream & 1 == 1
    }

    /// The planned shift that begins on a local day, as minutes of that day; `None` on a day off.
    pub(crate) fn shift(&self, day: i64) -> Option<u32> {
        let factor = STREAMS[usize::from(self.home)].day_factor(slots::weekday(day));
        let needed = ((self.needed * factor).ceil() as i64).min(self.pool);
        let step = (self.pool + 6) / 7;
        ((self.turn + day * step).rem_euclid(self.pool) < needed).then_some(self.starts)
    }
}

/// All agents, and the idle ones by stream in the order in which they became idle.
pub(crate) struct Crew {
    pub(crate) agents: Vec<Agent>,
    idle: [VecDeque<(u32, u32)>; STREAMS.len()],
    /// Agents on duty by stream they are skilled for, and how many there are at all.
    pub(crate) on_duty: [u32; STREAMS.len()],
    skilled: [usize; STREAMS.len()],
    seed: u64,
}

impl Crew {
    /// Hires enough agents for `contacts_per_second` in busy hours.
    pub(crate) fn hire(contacts_per_second: f64, seed: u64, dice: &mut Dice) -> Crew {
        let mut agents = Vec::new();
        for (index, stream) in STREAMS.iter().enumerate() {
            for (start, needed) in staff(stream, contacts_per_second) {
                let pool = (needed as f64 * 1.4).ceil() as i64;
                for turn in 0..pool {
                    let number = 1001 + agents.len();
                    agents.push(Agent {
                        id: format!("A{number}"),
                        home: index as u8,
                        skills: skills(index, dice),
                        rudeness: if dice.chance(0.08) { 0.04 } else { 0.003 },
                        state: State::Offline,
                        ringing: 0,
                        talking: 0,
                        wrapping: 0,
                        leaving: None,
                        stamp: 0,
                        starts: start,
                        turn,
                        pool,
                        needed: needed as f64,
                    });
                }
            }
        }
        let skilled =
            std::array::from_fn(|stream| agents.iter().filter(|agent| agent.skilled(stream as u8)).count());
        Crew { agents, idle: Default::default(), on_duty: [0; STREAMS.len()], skilled, seed }
    }

    /// Tells whether the shift of an agent that begins on `day` is cancelled at short notice.
    pub(crate) fn cancelled(&self, agent: u32, day: i64) -> bool {
        let draw = mix(self.seed ^ 0x5ca1, mix(u64::from(agent), day as u64));
        ((draw >> 11) as f64 / (1u64 << 53) as f64) < CANCELLED
    }

    /// Counts an agent in or out of duty.
    pub(crate) fn count_duty(&mut self, agent: u32, on: bool) {
        let skills = self.agents[agent as usize].skills;
        for (stream, count) in self.on_duty.iter_mut().enumerate() {
            if skills >> stream & 1 == 1 {
                *count = if on { *count + 1 } else { count.saturating_sub(1) };
            }
        }
    }

    /// Puts an agent at the end of the idle of every stream it is skilled for.
    pub(crate) fn rest(&mut self, agent: u32) {
        let entry = &mut self.agents[agent as usize];
        entry.stamp = entry.stamp.wrapping_add(1);
        let (stamp, skills) = (entry.stamp, entry.skills);
        for stream in 0..STREAMS.len() {
            if skills >> stream & 1 == 0 {
                continue;
            }
            // Stale entries are thrown out when they outnumber the agents, which bounds the memory.
            if self.idle[stream].len() > 2 * self.skilled[stream] + 16 {
                let agents = &self.agents;
                self.idle[stream].retain(|&(agent, stamp)| agents[agent as usize].stamp == stamp);
            }
            self.idle[stream].push_back((agent, stamp));
        }
    }

    /// Takes the agent of `stream` that has been idle longest and is not among `seen`.
    pub(crate) fn longest_idle(&mut self, stream: u8, seen: &[u32]) -> Option<u32> {
        let idle = &mut self.idle[usize::from(stream)];
        let mut at = 0;
        while let Some(&(agent, stamp)) = idle.get(at) {
            let candidate = &mut self.agents[agent as usize];
            if candidate.stamp != stamp || !candidate.can_take() {
                idle.remove(at);
            } else if seen.contains(&agent) {
                at += 1;
            } else {
                idle.remove(at);
                candidate.stamp = candidate.stamp.wrapping_add(1);
                return Some(agent);
            }
        }
        None
    }
}

/// Chooses what an agent of one stream can do besides.
fn skills(home: usize, dice: &mut Dice) -> u16 {
    let family = STREAMS[home].family;
    let mut skills = 1u16 << home;
    for (other, stream) in STREAMS.iter().enumerate() {
        if other != home && stream.family == family && dice.chance(0.4) {
            skills |= 1 << other;
        }
    }
    skills
}

/// Plans how many agents begin at each of [`STARTS`] on a normal weekday so that every half hour is covered: the
/// offered load and a part of its square root, over the share of time present. That is tight, as in real centres: queues
/// form, and some customers leave.
fn staff(stream: &Stream, contacts_per_second: f64) -> Vec<(u32, i64)> {
    const HALF_HOURS: usize = 48;
    let mut demand = [0.0f64; HALF_HOURS];
    for (slot, need) in demand.iter_mut().enumerate() {
        let minute = slot as u32 * 30 + 15;
        if !stream.open_at(minute) {
            continue;
        }
        let arrivals = contacts_per_second
            * stream.share
            * stream.shape(Local { day: 0, minute, weekday: 2 })
            * stream.reaching();
        // An agent who holds several chats still gives each one less attention; 85 % of the places are used.
        let at_once = if stream.at_once > 1 { f64::from(stream.at_once) * 0.85 } else { 1.0 };
        let load = arrivals * (stream.talk + stream.acw + 5_000) as f64 / 1000.0 / at_once;
        // At night a few agents more than the load asks for: nobody else could help out.
        let margin = if (7 * 60..21 * 60).contains(&minute) { 0.25 } else { 0.6 };
        *need = (0.845 * load + margin * load.sqrt()) / (1.0 - SHRINKAGE);
    }
    let total: f64 = demand.iter().sum();
    let step = (total / 8_000.0).floor().max(1.0);
    let mut hired = vec![0i64; STARTS.len()];
    let covered = |start: u32| {
        (0..SHIFT / MINUTE / 30).map(move |slot| (start as usize / 30 + slot as usize) % HALF_HOURS)
    };
    loop {
        let gain = |start: u32| covered(start).map(|slot| demand[slot].clamp(0.0, step)).sum::<f64>();
        let best =
            (0..STARTS.len()).max_by(|&a, &b| gain(STARTS[a]).total_cmp(&gain(STARTS[b]))).unwrap_or(0);
        if gain(STARTS[best]) < 2.0 * step {
            break;
        }
        hired[best] += step as i64;
        covered(STARTS[best]).for_each(|slot| demand[slot] -= step);
    }
    STARTS.into_iter().zip(hired).filter(|&(_, hired)| hired > 0).collect()
}
