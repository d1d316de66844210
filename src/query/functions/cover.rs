//! covered_ms(from, until): how much time several intervals cover together.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, ListArray};
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type, TimeUnit, TimestampMicrosecondType};
use datafusion::common::ScalarValue;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, Signature, Volatility};

/// Intervals gathered before they are joined, so that memory stays near what they cover.
const JOIN_AT: usize = 1_024;

/// The aggregate.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Covered {
    signature: Signature,
}

impl Covered {
    pub(super) fn new() -> Self {
        let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        Self { signature: Signature::exact(vec![time.clone(), time], Volatility::Immutable) }
    }
}

impl AggregateUDFImpl for Covered {
    fn name(&self) -> &str {
        "covered_ms"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType, DataFusionError> {
        Ok(DataType::Int64)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>, DataFusionError> {
        let list = DataType::List(Arc::new(Field::new_list_field(DataType::Int64, true)));
        Ok(vec![Arc::new(Field::new(format!("{}[edges]", args.name), list, true))])
    }

    fn accumulator(&self, _: AccumulatorArgs) -> Result<Box<dyn Accumulator>, DataFusionError> {
        Ok(Box::new(Intervals::default()))
    }
}

/// Intervals in microseconds.
#[derive(Debug, Default)]
struct Intervals {
    all: Vec<(i64, i64)>,
    join_at: usize,
}

impl Intervals {
    fn add(&mut self, from: i64, until: i64) {
        if from < until {
            self.all.push((from, until));
            if self.all.len() >= self.join_at.max(JOIN_AT) {
                self.join();
                self.join_at = self.all.len() * 2;
            }
        }
    }

    /// Joins intervals that overlap or touch.
    fn join(&mut self) {
        self.all.sort_unstable();
        let mut joined: Vec<(i64, i64)> = Vec::with_capacity(self.all.len());
        for &(from, until) in &self.all {
            match joined.last_mut() {
                Some(last) if from <= last.1 => last.1 = last.1.max(until),
                _ => joined.push((from, until)),
            }
        }
        self.all = joined;
    }
}

impl Accumulator for Intervals {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<(), DataFusionError> {
        let from = values[0].as_primitive::<TimestampMicrosecondType>();
        let until = values[1].as_primitive::<TimestampMicrosecondType>();
        for pair in from.iter().zip(until) {
            if let (Some(from), Some(until)) = pair {
                self.add(from, until);
            }
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<(), DataFusionError> {
        let lists: &ListArray = states[0].as_list();
        for edges in lists.iter().flatten() {
            for edge in edges.as_primitive::<Int64Type>().values().chunks_exact(2) {
                self.add(edge[0], edge[1]);
            }
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>, DataFusionError> {
        self.join();
        let edges: Vec<ScalarValue> =
            self.all.iter().flat_map(|&(from, until)| [from.into(), until.into()]).collect();
        Ok(vec![ScalarValue::List(ScalarValue::new_list_nullable(&edges, &DataType::Int64))])
    }

    fn evaluate(&mut self) -> Result<ScalarValue, DataFusionError> {
        self.join();
        let covered: i64 = self.all.iter().map(|(from, until)| until - from).sum();
        Ok(ScalarValue::Int64((!self.all.is_empty()).then_some(covered / 1_000)))
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.all.capacity() * size_of::<(i64, i64)>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_overlaps_counts_once() {
        let mut intervals = Intervals::default();
        for (from, until) in
            [(10_000, 20_000), (0, 5_000), (15_000, 30_000), (30_000, 31_000), (7, 7), (9, 8)]
        {
            intervals.add(from, until);
        }
        assert_eq!(intervals.evaluate().expect("a sum"), ScalarValue::Int64(Some(5 + 21)));
        assert_eq!(Intervals::default().evaluate().expect("nothing"), ScalarValue::Int64(None));
    }

    #[test]
    fn states_merge_to_the_whole() {
        let (mut left, mut right) = (Intervals::default(), Intervals::default());
        for at in 0..3_000_i64 {
            let side = if at % 2 == 0 { &mut left } else { &mut right };
            side.add(at * 1_000, at * 1_000 + 1_500);
        }
        let state = right.state().expect("a state")[0].to_array().expect("an array");
        left.merge_batch(&[state]).expect("merged");
        assert_eq!(left.evaluate().expect("a sum"), ScalarValue::Int64(Some(3_000)));
        assert_eq!(left.all.len(), 1);
    }
}
