//! The truth about what has been emitted: what a perfect pipeline would count.
//!
//! Fed by the simulation itself at each emission, never by reading the emitted JSON; knows nothing of the pipeline.
//!
//! Invariant: per slot, channel and queue, offered = the sum of all outcomes + waiting, after every event.

use std::collections::BTreeMap;

/// The figures of one slot, channel and queue. Counts, and sums in milliseconds.
///
/// All but the last four lie in the slot in which the leg entered its queue; `handled` and the three sums after it lie
/// in the slot in which after-contact work ended, and leave outbound handlings out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// Legs that entered the queue.
    pub offered: i64,
    /// Legs that an agent answered.
    pub answered: i64,
    /// Legs whose customer hung up after at least the short-abandon limit.
    pub abandoned: i64,
    /// Legs whose customer hung up sooner than the short-abandon limit.
    pub abandoned_short: i64,
    /// Legs passed on to another queue.
    pub overflow: i64,
    /// Legs that became a queued call back.
    pub callback: i64,
    /// Legs left by a key of the customer.
    pub exit_key: i64,
    /// Legs that the queue gave up after its longest wait.
    pub timeout: i64,
    /// Legs that found nobody on duty.
    pub no_agent: i64,
    /// Legs that came out of hours.
    pub closed: i64,
    /// Legs that a fault ended.
    pub error: i64,
    /// Legs that have not ended yet.
    pub waiting: i64,
    /// Answered legs with a wait of at most the target.
    pub answered_in_time: i64,
    /// Sum of the waits of answered legs.
    pub wait_ms_sum: i64,
    /// Handlings whose after-contact work ended in this slot.
    pub handled: i64,
    /// Their talk without holds.
    pub talk_ms_sum: i64,
    /// Their holds.
    pub hold_ms_sum: i64,
    /// Their after-contact work.
    pub acw_ms_sum: i64,
}

impl Row {
    /// Tells by how many legs the ledger fails to close; always 0.
    pub fn ledger_gap(&self) -> i64 {
        self.offered
            - (self.answered
                + self.abandoned
                + self.abandoned_short
                + self.overflow
                + self.callback
                + self.exit_key
                + self.timeout
                + self.no_agent
                + self.closed
                + self.error
                + self.waiting)
    }

    /// Adds another row's figures to this one.
    pub fn add(&mut self, other: &Row) {
        self.offered += other.offered;
        self.answered += other.answered;
        self.abandoned += other.abandoned;
        self.abandoned_short += other.abandoned_short;
        self.overflow += other.overflow;
        self.callback += other.callback;
        self.exit_key += other.exit_key;
        self.timeout += other.timeout;
        self.no_agent += other.no_agent;
        self.closed += other.closed;
        self.error += other.error;
        self.waiting += other.waiting;
        self.answered_in_time += other.answered_in_time;
        self.wait_ms_sum += other.wait_ms_sum;
        self.handled += other.handled;
        self.talk_ms_sum += other.talk_ms_sum;
        self.hold_ms_sum += other.hold_ms_sum;
        self.acw_ms_sum += other.acw_ms_sum;
    }
}

/// How a leg ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Answered,
    Abandoned,
    Overflow,
    Callback,
    PressedKey,
    Timeout,
    NoAgent,
    Closed,
    Error,
}

/// A place in the books: slot start (ms since 1970), channel, queue.
pub type Place = (i64, &'static str, &'static str);

/// What one emitted event changes in the books.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Entry {
    Nothing,
    Queued(Place),
    Left { place: Place, outcome: Outcome, wait: i64, target: i64, short: i64 },
    Wrapped { place: Place, talk: i64, hold: i64, acw: i64 },
}

/// The figures of everything emitted so far; grows by one row per slot, channel and queue that saw traffic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Books {
    rows: BTreeMap<Place, Row>,
    unwrapped: i64,
}

impl Books {
    /// The rows by slot start (ms since 1970), channel and queue.
    pub fn rows(&self) -> &BTreeMap<Place, Row> {
        &self.rows
    }

    /// The row of one slot, channel and queue, all zeros when nothing happened there.
    pub fn row(&self, slot_start: i64, channel: &str, queue: &str) -> Row {
        self.rows.get(&(slot_start, channel, queue)).copied().unwrap_or_default()
    }

    /// The sum over all rows.
    pub fn total(&self) -> Row {
        let mut total = Row::default();
        self.rows.values().for_each(|row| total.add(row));
        total
    }

    /// Ended inbound and call-back handlings whose `contact.wrapped` never comes; they stand in no row.
    pub fn unwrapped(&self) -> i64 {
        self.unwrapped
    }

    pub(crate) fn count_unwrapped(&mut self) {
        self.unwrapped += 1;
    }

    pub(crate) fn enter(&mut self, entry: Entry) {
        match entry {
            Entry::Nothing => {}
            Entry::Queued(place) => {
                let row = self.rows.entry(place).or_default();
                row.offered += 1;
                row.waiting += 1;
            }
            Entry::Left { place, outcome, wait, target, short } => {
                let row = self.rows.entry(place).or_default();
                row.waiting -= 1;
                match outcome {
                    Outcome::Answered => {
                        row.answered += 1;
                        row.answered_in_time += i64::from(wait <= target);
                        row.wait_ms_sum += wait;
                    }
                    Outcome::Abandoned if wait < short => row.abandoned_short += 1,
                    Outcome::Abandoned => row.abandoned += 1,
                    Outcome::Overflow => row.overflow += 1,
                    Outcome::Callback => row.callback += 1,
                    Outcome::PressedKey => row.exit_key += 1,
                    Outcome::Timeout => row.timeout += 1,
                    Outcome::NoAgent => row.no_agent += 1,
                    Outcome::Closed => row.closed += 1,
                    Outcome::Error => row.error += 1,
                }
            }
            Entry::Wrapped { place, talk, hold, acw } => {
                let row = self.rows.entry(place).or_default();
                row.handled += 1;
                row.talk_ms_sum += talk;
                row.hold_ms_sum += hold;
                row.acw_ms_sum += acw;
            }
        }
    }
}
