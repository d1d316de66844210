//! Quantiles of durations from counts in log-spaced buckets.
//!
//! The idea is DDSketch's (Masson, Rim, Lee, VLDB 2019): a bucket is as wide as its values are large, so that the relative
//! error is bounded, and counts add in any order. The buckets here are those of a floating-point number with seven
//! significant bits, so that a value finds its bucket by shifts alone: exact, and the same on every machine.

/// Each octave has 2^6 buckets: a bucket is at most 1/64 of its values wide, and its middle at most 1/128 away.
const SUB_BITS: u32 = 6;
const SUB: u64 = 1 << SUB_BITS;

/// A mergeable sketch of durations in ms; quantiles are within 1 % (exact below 128 ms).
///
/// Counts form a group: adding and taking away commute, and what was taken away again leaves no trace. Memory: 16 bytes
/// for each bucket in use, at most 64 buckets for each doubling of the range (waits of 1 s to 1 h: 760).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Sketch {
    /// Bucket and count, by ascending bucket; no count is 0.
    buckets: Vec<(u16, i64)>,
}

impl Sketch {
    /// Adds one duration in ms; a negative one counts as 0.
    pub fn add(&mut self, ms: i64) {
        self.change(bucket(ms), 1);
    }

    /// Takes one duration away again, whether or not it was added yet.
    pub fn subtract(&mut self, ms: i64) {
        self.change(bucket(ms), -1);
    }

    /// Adds all that `other` holds.
    pub fn merge(&mut self, other: &Self) {
        self.combine(other, 1);
    }

    /// Takes away all that `other` holds.
    pub fn unmerge(&mut self, other: &Self) {
        self.combine(other, -1);
    }

    /// How many durations it holds.
    pub fn count(&self) -> i64 {
        self.buckets.iter().map(|(_, count)| count).fold(0, |sum, count| sum.wrapping_add(*count))
    }

    /// Tells whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }

    /// The duration in ms below which the share `q` (0…1) of the durations lies, within 1 %: between the two
    /// durations around rank q·(n−1) in proportion, as `percentile_cont` of SQL and most tools have it.
    ///
    /// `None` if the sketch is empty or `q` is no share.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let count = self.count();
        if count <= 0 || !(0.0..=1.0).contains(&q) {
            return None;
        }
        let rank = q * (count - 1) as f64;
        let (lower, upper) = (self.nth(rank.floor() as i64)?, self.nth(rank.ceil() as i64)?);
        Some(lower + (upper - lower) * rank.fract())
    }

    /// The duration of this rank, 0 for the smallest.
    fn nth(&self, rank: i64) -> Option<f64> {
        let mut upto = 0_i64;
        for &(bucket, count) in &self.buckets {
            upto = upto.wrapping_add(count);
            if upto > rank {
                return Some(middle(bucket));
            }
        }
        // Reached only while more was taken away than added, somewhere above.
        self.buckets.last().map(|&(bucket, _)| middle(bucket))
    }

    /// Bucket numbers and counts, ascending.
    pub fn buckets(&self) -> &[(u16, i64)] {
        &self.buckets
    }

    /// The sketch as bytes: per bucket the distance from the one before and the count, as variable-length integers.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.buckets.len() * 2);
        let mut last = 0;
        for &(bucket, count) in &self.buckets {
            write_varint(&mut out, u64::from(bucket - last));
            // Zigzag: small numbers stay short on both sides of 0.
            write_varint(&mut out, ((count << 1) ^ (count >> 63)) as u64);
            last = bucket;
        }
        out
    }

    /// Reads what [`Sketch::to_bytes`] wrote; `None` if it is anything else.
    pub fn from_bytes(mut bytes: &[u8]) -> Option<Self> {
        let mut buckets: Vec<(u16, i64)> = Vec::new();
        while !bytes.is_empty() {
            let step = u16::try_from(read_varint(&mut bytes)?).ok()?;
            let zigzag = read_varint(&mut bytes)?;
            let count = (zigzag >> 1) as i64 ^ -((zigzag & 1) as i64);
            let bucket = match buckets.last() {
                Some(_) if step == 0 => return None,
                Some((last, _)) => last.checked_add(step)?,
                None => step,
            };
            if count == 0 || bucket > BUCKET_MAX {
                return None;
            }
            buckets.push((bucket, count));
        }
        Some(Self { buckets })
    }

    fn change(&mut self, bucket: u16, by: i64) {
        match self.buckets.binary_search_by_key(&bucket, |&(bucket, _)| bucket) {
            Ok(place) => {
                let count = self.buckets[place].1.wrapping_add(by);
                if count == 0 {
                    self.buckets.remove(place);
                } else {
                    self.buckets[place].1 = count;
                }
            }
            Err(place) => self.buckets.insert(place, (bucket, by)),
        }
    }

    fn combine(&mut self, other: &Self, factor: i64) {
        let mut merged = Vec::with_capacity(self.buckets.len().max(other.buckets.len()));
        let (mut ours, mut theirs) = (self.buckets.as_slice(), other.buckets.as_slice());
        loop {
            let (bucket, count) = match (ours, theirs) {
                ([], []) => break,
                ([a, rest @ ..], [b, ..]) if a.0 < b.0 => {
                    ours = rest;
                    *a
                }
                ([a, rest @ ..], []) => {
                    ours = rest;
                    *a
                }
                ([a, a_rest @ ..], [b, b_rest @ ..]) if a.0 == b.0 => {
                    (ours, theirs) = (a_rest, b_rest);
                    (a.0, a.1.wrapping_add(b.1.wrapping_mul(factor)))
                }
                (_, [b, rest @ ..]) => {
                    theirs = rest;
                    (b.0, b.1.wrapping_mul(factor))
                }
            };
            if count != 0 {
                merged.push((bucket, count));
            }
        }
        self.buckets = merged;
    }
}

/// The bucket of the largest value.
const BUCKET_MAX: u16 = bucket(i64::MAX);

/// The bucket of a duration: below 128 ms its own, then 64 for each doubling.
const fn bucket(ms: i64) -> u16 {
    let value = if ms < 0 { 0 } else { ms as u64 };
    if value < 2 * SUB {
        return value as u16;
    }
    let shift = value.ilog2() - SUB_BITS;
    // The leading bit is in every value of the octave; the next six tell the bucket.
    (((shift as u64 + 1) << SUB_BITS) + (value >> shift) - SUB) as u16
}

/// The middle of a bucket's values.
fn middle(bucket: u16) -> f64 {
    let bucket = u64::from(bucket);
    if bucket < 2 * SUB {
        return bucket as f64;
    }
    let shift = (bucket >> SUB_BITS) - 1;
    let lowest = (SUB + (bucket & (SUB - 1))) << shift;
    lowest as f64 + ((1_u64 << shift) - 1) as f64 / 2.0
}

fn write_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn read_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let part = u64::from(byte & 0x7f);
        if shift == 63 && part > 1 {
            return None;
        }
        value |= part << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sketch(values: &[i64]) -> Sketch {
        let mut sketch = Sketch::default();
        values.iter().for_each(|ms| sketch.add(*ms));
        sketch
    }

    /// Durations of every size, small ones as often as large ones.
    fn durations(most: usize) -> impl Strategy<Value = Vec<i64>> {
        prop::collection::vec((0..=i64::MAX, 0..63_u32).prop_map(|(value, shift)| value >> shift), 0..most)
    }

    proptest! {
        #[test]
        fn a_quantile_is_within_one_percent(mut values in durations(300), q in 0.0..=1.0_f64) {
            let estimate = sketch(&values).quantile(q);
            values.sort_unstable();
            if values.is_empty() {
                prop_assert_eq!(estimate, None);
                return Ok(());
            }
            let rank = q * (values.len() - 1) as f64;
            let (lower, upper) = (values[rank.floor() as usize] as f64, values[rank.ceil() as usize] as f64);
            let truth = lower + (upper - lower) * rank.fract();
            let estimate = estimate.expect("there are values");
            prop_assert!((estimate - truth).abs() <= 0.01 * truth, "{} for {}", estimate, truth);
            prop_assert!(upper >= 128.0 || (estimate - truth).abs() < 1e-9);
        }

        #[test]
        fn order_and_grouping_do_not_matter(values in durations(200), order in any::<u64>(), cut in 0..200_usize) {
            let whole = sketch(&values);
            let mut scrambled = values.clone();
            let length = scrambled.len().max(1) as u64;
            for i in 0..scrambled.len() {
                scrambled.swap(i, ((order.wrapping_mul(i as u64 + 1) >> 7) % length) as usize);
            }
            let (left, right) = scrambled.split_at(cut.min(scrambled.len()));
            let mut merged = sketch(right);
            merged.merge(&sketch(left));
            prop_assert_eq!(&merged, &whole);
            prop_assert_eq!(merged.count(), values.len() as i64);
        }

        #[test]
        fn what_was_taken_away_was_never_added(kept in durations(100), gone in durations(100)) {
            let mut one_by_one = Sketch::default();
            gone.iter().for_each(|ms| one_by_one.subtract(*ms));
            kept.iter().chain(&gone).for_each(|ms| one_by_one.add(*ms));
            prop_assert_eq!(&one_by_one, &sketch(&kept));
            let mut at_once = sketch(&kept);
            at_once.merge(&sketch(&gone));
            at_once.unmerge(&sketch(&gone));
            prop_assert_eq!(&at_once, &sketch(&kept));
        }

        #[test]
        fn bytes_lead_back(added in durations(100), taken in durations(100)) {
            let mut sketch = sketch(&added);
            taken.iter().for_each(|ms| sketch.subtract(*ms));
            prop_assert_eq!(Sketch::from_bytes(&sketch.to_bytes()), Some(sketch));
        }

        #[test]
        fn foreign_bytes_are_refused_or_mean_one_thing(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            if let Some(sketch) = Sketch::from_bytes(&bytes) {
                sketch.quantile(0.5);
                prop_assert_eq!(Sketch::from_bytes(&sketch.to_bytes()), Some(sketch));
            }
        }

        #[test]
        fn buckets_ascend_with_their_values(a in any::<i64>(), shift in 0..63_u32) {
            let a = (a & i64::MAX) >> shift;
            prop_assert!(bucket(a) <= bucket(a.saturating_add(1)));
            prop_assert!(bucket(a.saturating_add(1)) - bucket(a) <= 1);
        }
    }

    #[test]
    fn percentiles_of_a_small_queue() {
        let waits: Vec<i64> = (1..=100).collect();
        let sketch = sketch(&waits);
        for (q, wanted) in [(0.0, 1.0), (0.5, 50.5), (0.9, 90.1), (0.95, 95.05), (1.0, 100.0)] {
            let found = sketch.quantile(q).expect("there are values");
            assert!((found - wanted).abs() < 1e-9, "{q}: {found}, not {wanted}");
        }
        assert_eq!(sketch.quantile(f64::NAN), None);
        assert_eq!(sketch.quantile(1.5), None);
        assert_eq!(Sketch::default().quantile(0.5), None);
    }

    #[test]
    fn a_negative_duration_counts_as_none() {
        assert_eq!(sketch(&[-5]), sketch(&[0]));
        assert_eq!(Sketch::from_bytes(&[0, 0]), None);
        assert_eq!(Sketch::from_bytes(&[5, 2, 0, 2]), None);
    }
}
