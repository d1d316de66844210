//! Counters that never fall, and how much of a contact they have counted.

use std::sync::Arc;

use super::histogram::Histogram;
use super::options::Edges;
use crate::kpi::Outcome;

/// The counters of one series, from the start of the process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counters {
    /// Legs that entered the queue.
    pub offered: u64,
    /// Legs by their first outcome, in the order of [`Outcome::ALL`].
    pub outcomes: [u64; Outcome::ALL.len()],
    /// Legs answered within the target wait.
    pub answered_in_time: u64,
    /// Contacts closed, by the first queue they entered.
    pub contacts: u64,
    /// Wait of the answered legs.
    pub wait: Histogram,
    /// Handle time of the handlings closed, outbound ones left out (as in the next three).
    pub handle: Histogram,
    /// Talk.
    pub talk: Histogram,
    /// Hold.
    pub hold: Histogram,
    /// After-contact work.
    pub acw: Histogram,
    /// From an agent's answer to the agent's first message.
    pub first_response: Histogram,
}

impl Counters {
    pub(super) fn new(edges: &Edges) -> Self {
        Self {
            offered: 0,
            outcomes: [0; Outcome::ALL.len()],
            answered_in_time: 0,
            contacts: 0,
            wait: Histogram::new(Arc::clone(&edges.wait)),
            handle: Histogram::new(Arc::clone(&edges.work)),
            talk: Histogram::new(Arc::clone(&edges.work)),
            hold: Histogram::new(Arc::clone(&edges.hold)),
            acw: Histogram::new(Arc::clone(&edges.acw)),
            first_response: Histogram::new(Arc::clone(&edges.first_response)),
        }
    }

    /// Legs whose first outcome was this one.
    pub fn outcome(&self, outcome: Outcome) -> u64 {
        self.outcomes[outcome as usize]
    }

    /// Adds all that `other` counted.
    pub fn merge(&mut self, other: &Self) {
        self.offered += other.offered;
        for (count, more) in self.outcomes.iter_mut().zip(other.outcomes) {
            *count += more;
        }
        self.answered_in_time += other.answered_in_time;
        self.contacts += other.contacts;
        self.wait.merge(&other.wait);
        self.handle.merge(&other.handle);
        self.talk.merge(&other.talk);
        self.hold.merge(&other.hold);
        self.acw.merge(&other.acw);
        self.first_response.merge(&other.first_response);
    }
}

/// How much of one contact the counters have counted; kept with the contact by the correlator, 8 bytes.
///
/// Numbers, not names, of legs and handlings: a late event may put a leg before one that was counted, and so shift the
/// numbers. What counts is that the counters hold as many legs offered, legs closed and handlings closed as the contact
/// ever had at once. Legs offered are counted in order (the last ones are the new ones); closings are counted where a row
/// closes that was open before, up to the number that is still to be counted. So a restatement that only changes how a
/// leg ended counts nothing, and neither does a row that closes a second time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counted(u64);

impl Counted {
    /// The greatest number that fits: a contact with more legs than that is not counted further.
    const MOST: usize = (1 << 20) - 1;

    /// The number as a column of a snapshot holds it.
    pub fn to_i64(self) -> i64 {
        self.0 as i64
    }

    /// Reads what [`Counted::to_i64`] gave.
    pub fn from_i64(stored: i64) -> Self {
        Self(stored as u64)
    }

    pub(super) fn parts(self) -> Parts {
        let number = |place: u32| (self.0 >> place) as usize & Self::MOST;
        Parts {
            offered: number(0),
            closed: number(20),
            handled: number(40),
            contact: self.0 >> 60 & 1 == 1,
            first_response: self.0 >> 61 & 1 == 1,
        }
    }
}

/// [`Counted`], laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Parts {
    /// Legs counted as offered.
    pub offered: usize,
    /// Legs counted as closed.
    pub closed: usize,
    /// Handlings counted as closed.
    pub handled: usize,
    /// Whether the contact was counted.
    pub contact: bool,
    /// Whether its first response was counted.
    pub first_response: bool,
}

impl Parts {
    /// How many of `now` are still to be counted after `counted`.
    pub(super) fn budget(now: usize, counted: usize) -> usize {
        now.min(Counted::MOST).saturating_sub(counted)
    }
}

impl From<Parts> for Counted {
    fn from(parts: Parts) -> Self {
        let number = |count: usize, place: u32| (count.min(Self::MOST) as u64) << place;
        let flag = |set: bool, place: u32| u64::from(set) << place;
        Self(
            number(parts.offered, 0)
                | number(parts.closed, 20)
                | number(parts.handled, 40)
                | flag(parts.contact, 60)
                | flag(parts.first_response, 61),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_fits_in_eight_bytes() {
        let parts = Parts { offered: 3, closed: 2, handled: 1_048_575, contact: true, first_response: false };
        assert_eq!(Counted::from_i64(Counted::from(parts).to_i64()).parts(), parts);
        let most = Parts { offered: 2_000_000, first_response: true, contact: false, ..parts };
        assert_eq!(Counted::from(most).parts(), Parts { offered: Counted::MOST, ..most });
        assert_eq!(Parts::budget(2_000_000, Counted::MOST), 0);
        assert_eq!(Parts::budget(1, 2), 0);
        for (place, outcome) in Outcome::ALL.into_iter().enumerate() {
            assert_eq!(outcome as usize, place);
        }
    }
}
