//! What a contact amounts to at one moment: its rows in `contacts`, `legs` and `handlings`.

use smallvec::SmallVec;

use super::findings::Finding;
use crate::facts::{ContactRow, HandlingRow, LegRow};
use crate::time::Millis;

/// The rows of one contact, as the set of its events (and the stream's watermark, for time-outs) gives them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rows<'a> {
    /// The contact.
    pub contact: ContactRow<'a>,
    /// Its legs, in order; `legs[i].leg == i + 1`.
    pub legs: SmallVec<[LegRow<'a>; 2]>,
    /// Its handlings, in order; `handlings[i].handling == i + 1`. One that goes on has no `wrapped_at`.
    pub handlings: SmallVec<[HandlingRow<'a>; 2]>,
    /// The service rules that were broken, in the order of their times.
    pub findings: Vec<Finding<'a>>,
    /// When the contact closed; `None` while anything of it is open.
    pub closed_at: Option<Millis>,
}

impl Rows<'_> {
    /// The first and the last of the centre's dates, days since 1970-01-01, under which these rows stand; `None` where none
    /// has a date.
    pub fn dates(&self) -> Option<(i32, i32)> {
        let legs = self.legs.iter().map(|leg| leg.date);
        let handlings = self.handlings.iter().map(|handling| handling.date);
        let mut dates = legs.chain(handlings).chain([self.contact.date]).flatten();
        let first = dates.next()?;
        Some(dates.fold((first, first), |(least, most), date| (least.min(date), most.max(date))))
    }
}
