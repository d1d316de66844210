//! Counts of durations in buckets with fixed edges, as Prometheus has them.

use std::sync::Arc;

use crate::time::Millis;

/// A histogram of durations in ms; merges by addition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Histogram {
    /// Upper edges, ascending; a value equal to an edge lies below it.
    edges: Arc<[Millis]>,
    /// Counts per bucket (not cumulative); the last one is beyond every edge.
    counts: Vec<u64>,
    sum_ms: i64,
}

impl Histogram {
    /// An empty histogram with these upper edges in ms; they are put in order.
    pub fn new(edges: Arc<[Millis]>) -> Self {
        let edges = if edges.is_sorted_by(|a, b| a < b) {
            edges
        } else {
            let mut sorted = edges.to_vec();
            sorted.sort_unstable();
            sorted.dedup();
            sorted.into()
        };
        Self { counts: vec![0; edges.len() + 1], edges, sum_ms: 0 }
    }

    /// Counts one duration in ms; a negative one counts as 0.
    pub fn observe(&mut self, ms: i64) {
        let ms = ms.max(0);
        let bucket = self.edges.partition_point(|&edge| edge < ms);
        self.counts[bucket] += 1;
        self.sum_ms = self.sum_ms.wrapping_add(ms);
    }

    /// How many durations were counted.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Their sum in ms.
    pub fn sum_ms(&self) -> i64 {
        self.sum_ms
    }

    /// Each edge in ms with the number of durations that do not exceed it.
    pub fn cumulative(&self) -> impl Iterator<Item = (Millis, u64)> + '_ {
        self.edges.iter().zip(&self.counts).scan(0, |below, (&edge, count)| {
            *below += count;
            Some((edge, *below))
        })
    }

    /// Adds all that `other` counted.
    ///
    /// Where the edges differ (instances with different configurations), the edges in common remain, at which the counts
    /// are still exact.
    pub fn merge(&mut self, other: &Self) {
        if self.edges == other.edges {
            for (count, more) in self.counts.iter_mut().zip(&other.counts) {
                *count += more;
            }
            self.sum_ms = self.sum_ms.wrapping_add(other.sum_ms);
            return;
        }
        let common: Arc<[Millis]> =
            self.edges.iter().copied().filter(|edge| other.edges.binary_search(edge).is_ok()).collect();
        let (ours, theirs) = (self.at(&common), other.at(&common));
        *self = ours;
        self.merge(&theirs);
    }

    /// The same counts over `edges`, all of which are edges of this histogram.
    fn at(&self, edges: &Arc<[Millis]>) -> Self {
        let mut out =
            Self { edges: Arc::clone(edges), counts: vec![0; edges.len() + 1], sum_ms: self.sum_ms };
        for (bucket, count) in self.counts.iter().enumerate() {
            let place = match self.edges.get(bucket) {
                Some(edge) => edges.partition_point(|kept| kept < edge),
                None => edges.len(),
            };
            out.counts[place] += count;
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edge_belongs_to_the_bucket_below() {
        let mut histogram = Histogram::new([20, 10].into());
        for ms in [-5, 10, 11, 20, 21] {
            histogram.observe(ms);
        }
        assert_eq!(histogram.cumulative().collect::<Vec<_>>(), [(10, 2), (20, 4)]);
        assert_eq!((histogram.count(), histogram.sum_ms()), (5, 62));
    }

    #[test]
    fn edges_in_common_stay_exact() {
        let (mut a, mut b) = (Histogram::new([10, 15, 20].into()), Histogram::new([5, 10, 20, 30].into()));
        for ms in [1, 12, 18, 40] {
            a.observe(ms);
        }
        for ms in [7, 10, 25, 35] {
            b.observe(ms);
        }
        a.merge(&b);
        assert_eq!(a.cumulative().collect::<Vec<_>>(), [(10, 3), (20, 5)]);
        assert_eq!((a.count(), a.sum_ms()), (8, 148));
    }
}
