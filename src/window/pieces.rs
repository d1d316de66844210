//! Sums per piece of time and series, kept from a moving horizon on.

use std::collections::BTreeMap;

use crate::kpi::Totals;

/// Sums per piece of time (a slot or a pane, by its number) and series.
///
/// Both levels are sparse, so that memory follows what happened. The horizon only moves forward: a change behind it does
/// nothing, one ahead of it was never refused, so that what is kept is exact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pieces {
    from: i64,
    pieces: BTreeMap<i64, Vec<(u32, Totals)>>,
}

impl Default for Pieces {
    fn default() -> Self {
        Self { from: i64::MIN, pieces: BTreeMap::new() }
    }
}

impl Pieces {
    /// Changes the sums of one piece and series; nothing stays of sums that are all 0 again.
    pub(super) fn change(&mut self, piece: i64, series: u32, change: impl FnOnce(&mut Totals)) {
        if piece < self.from {
            return;
        }
        let sums = self.pieces.entry(piece).or_default();
        match sums.binary_search_by_key(&series, |&(series, _)| series) {
            Ok(place) => {
                change(&mut sums[place].1);
                if sums[place].1.is_empty() {
                    sums.remove(place);
                }
            }
            Err(place) => {
                let mut totals = Totals::default();
                change(&mut totals);
                if !totals.is_empty() {
                    sums.insert(place, (series, totals));
                }
            }
        }
        if sums.is_empty() {
            self.pieces.remove(&piece);
        }
    }

    /// Forgets every piece before `from`, for good.
    pub(super) fn keep_from(&mut self, from: i64) {
        if from > self.from {
            self.from = from;
            while self.pieces.first_key_value().is_some_and(|(&piece, _)| piece < from) {
                self.pieces.pop_first();
            }
        }
    }

    /// The first piece that is kept.
    pub(super) fn from(&self) -> i64 {
        self.from
    }

    /// The pieces from one number to another, both included, the newest first.
    pub(super) fn newest_first(&self, from: i64, to: i64) -> impl Iterator<Item = (i64, &[(u32, Totals)])> {
        let range = (from <= to).then(|| self.pieces.range(from..=to));
        range.into_iter().flatten().rev().map(|(&piece, sums)| (piece, sums.as_slice()))
    }

    /// Every piece, the oldest first.
    pub(super) fn all(&self) -> impl ExactSizeIterator<Item = (i64, &[(u32, Totals)])> {
        self.pieces.iter().map(|(&piece, sums)| (piece, sums.as_slice()))
    }
}
