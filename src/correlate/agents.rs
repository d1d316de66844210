//! An agent's states in order, as intervals: each state holds until the agent's next one.
//!
//! Of several events that carry one id the first in order (time, state, reason, department) counts, whatever arrived
//! first; the others are kept beside, so that each is known when it comes again.
//!
//! An interval is written when its end is known; an event that arrives in between splits it, and the
//! interval is written again under a greater revision. States older than events may still restate are
//! dropped, except the one that was in force.

use xxhash_rust::xxh3::xxh3_64;

use crate::event::{AgentStateName, Event};
use crate::facts::{AgentStateRow, AgentStateRows};
use crate::time::{Millis, SlotCache};

/// One state of an agent.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct State {
    pub(super) time: Millis,
    pub(super) id: Box<str>,
    /// Of the id: each event is looked for among all that are kept, which lie anywhere in memory.
    hash: u64,
    pub(super) state: AgentStateName,
    pub(super) reason: Option<Box<str>>,
    pub(super) department: Option<Box<str>>,
    /// The end with which the interval was last written.
    pub(super) written_end: Option<Millis>,
}

impl State {
    /// A state that is not written yet.
    pub(super) fn new(
        (time, id, state): (Millis, &str, AgentStateName),
        reason: Option<&str>,
        department: Option<&str>,
    ) -> State {
        State {
            time,
            id: Box::from(id),
            hash: xxh3_64(id.as_bytes()),
            state,
            reason: reason.map(Box::from),
            department: department.map(Box::from),
            written_end: None,
        }
    }

    fn has_id_of(&self, other: &State) -> bool {
        self.hash == other.hash && self.id == other.id
    }

    /// What tells events of one id apart, and says which of them counts.
    fn order(&self) -> (Millis, AgentStateName, Option<&str>, Option<&str>) {
        (self.time, self.state, self.reason.as_deref(), self.department.as_deref())
    }
}

/// The states of one agent that may still change.
#[derive(Debug, Clone, Default)]
pub(super) struct Agent {
    pub(super) states: Vec<State>,
    /// Events whose id another event carries that comes before them in order.
    pub(super) shadowed: Vec<State>,
    /// Distinct events so far, also those that were dropped or are shadowed: the revision of what is written next.
    pub(super) count: i64,
    /// States before this were dropped.
    pub(super) horizon: Option<Millis>,
    /// The state in force when the observer was last told.
    pub(super) shown: Option<AgentStateName>,
    pub(super) dirty: bool,
}

/// What became of a state.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    New,
    Repeat,
    TooLate,
}

impl Agent {
    /// Takes one `agent.state` event; what lies before `settled_before` is too late, whether it has been
    /// dropped already or not.
    pub(super) fn take(&mut self, event: &Event<'_>, state: AgentStateName, settled_before: Millis) -> Taken {
        if event.time < self.horizon.unwrap_or(Millis::MIN).max(settled_before) {
            return Taken::TooLate;
        }
        let said = (event.time, &*event.id, state);
        let new = State::new(said, event.reason.as_deref(), event.department.as_deref());
        let same = |known: &State| known.has_id_of(&new) && known.order() == new.order();
        if self.shadowed.iter().any(|known| same(known) && known.time >= settled_before) {
            return Taken::Repeat;
        }
        let mut taken = Taken::New;
        // An id is known for as long as its event may be restated, and longer if that is the state in force before: its
        // row's end may still change. What is older counts as unknown, whether it has been dropped since or not.
        let in_force = self.states.partition_point(|state| state.time < settled_before).saturating_sub(1);
        let known = self.states.iter().skip(in_force).position(|known| known.has_id_of(&new));
        if let Some(known) = known.map(|at| at + in_force) {
            if same(&self.states[known]) {
                return Taken::Repeat;
            }
            self.count += 1;
            self.dirty = true;
            if self.states[known].order() < new.order() {
                self.shadowed.push(new);
                return Taken::Repeat;
            }
            let later = self.states.remove(known);
            self.shadowed.push(later);
            taken = Taken::Repeat;
        } else {
            self.count += 1;
        }
        let at = self.states.partition_point(|s| (s.time, &s.id) < (new.time, &new.id));
        self.states.insert(at, new);
        self.dirty = true;
        taken
    }

    /// The state in force, by the events so far.
    pub(super) fn current(&self) -> Option<AgentStateName> {
        self.states.last().map(|state| state.state)
    }

    /// Writes the intervals whose end is known and not yet written, and drops what nothing can change.
    pub(super) fn settle(
        &mut self,
        agent_id: &str,
        settled_before: Millis,
        slots: &mut SlotCache,
        out: &mut AgentStateRows,
    ) {
        self.dirty = false;
        for i in 1..self.states.len() {
            let end = self.states[i].time;
            // An id that came again after its event was forgotten names the later one; two rows of one revision would not tell.
            let is_last = || !self.states[i..].iter().any(|later| later.has_id_of(&self.states[i - 1]));
            if self.states[i - 1].written_end != Some(end) && is_last() {
                self.states[i - 1].written_end = Some(end);
                out.push(&row(agent_id, &self.states[i - 1], Some(end), self.count, slots));
            }
        }
        // The state in force at the horizon stays, since a state after it still ends it.
        let old = self.states.partition_point(|state| state.time < settled_before);
        if old > 1 {
            self.states.drain(..old - 1);
            self.shadowed.retain(|state| state.time >= settled_before);
            self.horizon = Some(settled_before);
        }
    }

    /// The interval that still lasts.
    pub(super) fn open_row<'a>(
        &'a self,
        agent_id: &'a str,
        slots: &mut SlotCache,
    ) -> Option<AgentStateRow<'a>> {
        self.states.last().map(|state| row(agent_id, state, None, self.count, slots))
    }
}

fn row<'a>(
    agent_id: &'a str,
    state: &'a State,
    end: Option<Millis>,
    revision: i64,
    slots: &mut SlotCache,
) -> AgentStateRow<'a> {
    AgentStateRow {
        agent_id: Some(agent_id),
        id: Some(&state.id),
        state: Some(state.state.as_str()),
        reason: state.reason.as_deref(),
        department: state.department.as_deref(),
        started_at: Some(state.time),
        ended_at: end,
        duration_ms: end.map(|end| end - state.time),
        revision: Some(revision),
        date: Some(slots.date(state.time)),
    }
}
