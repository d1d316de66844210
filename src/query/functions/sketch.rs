//! Percentiles in SQL: coats over [`Sketch`], which travels as bytes.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array};
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type, Int64Type};
use datafusion::common::ScalarValue;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDFImpl, ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use crate::kpi::Sketch;

/// duration_sketch(ms): a sketch of durations; NULL without any.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct DurationSketch {
    signature: Signature,
}

/// merge_sketch(sketch): the sketch of several together; NULL without any.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct MergeSketch {
    signature: Signature,
}

/// sketch_seconds(sketch, share): a quantile in seconds.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct SketchSeconds {
    signature: Signature,
}

impl DurationSketch {
    pub(super) fn new() -> Self {
        Self { signature: Signature::exact(vec![DataType::Int64], Volatility::Immutable) }
    }
}

impl MergeSketch {
    pub(super) fn new() -> Self {
        Self { signature: Signature::exact(vec![DataType::Binary], Volatility::Immutable) }
    }
}

impl SketchSeconds {
    pub(super) fn new() -> Self {
        Self { signature: Signature::exact(vec![DataType::Binary, DataType::Float64], Volatility::Immutable) }
    }
}

impl AggregateUDFImpl for DurationSketch {
    fn name(&self) -> &str {
        "duration_sketch"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType, DataFusionError> {
        Ok(DataType::Binary)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>, DataFusionError> {
        Ok(state(args.name))
    }

    fn accumulator(&self, _: AccumulatorArgs) -> Result<Box<dyn Accumulator>, DataFusionError> {
        Ok(Box::new(Durations(Gathered::default())))
    }
}

impl AggregateUDFImpl for MergeSketch {
    fn name(&self) -> &str {
        "merge_sketch"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType, DataFusionError> {
        Ok(DataType::Binary)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>, DataFusionError> {
        Ok(state(args.name))
    }

    fn accumulator(&self, _: AccumulatorArgs) -> Result<Box<dyn Accumulator>, DataFusionError> {
        Ok(Box::new(Sketches(Gathered::default())))
    }
}

fn state(name: &str) -> Vec<FieldRef> {
    vec![Arc::new(Field::new(format!("{name}[sketch]"), DataType::Binary, true))]
}

/// What an aggregate has gathered.
#[derive(Debug, Default)]
struct Gathered {
    sketch: Sketch,
}

impl Gathered {
    fn merge(&mut self, sketches: &ArrayRef) -> Result<(), DataFusionError> {
        for bytes in sketches.as_binary::<i32>().iter().flatten() {
            self.sketch.merge(&read(bytes)?);
        }
        Ok(())
    }

    fn value(&self) -> ScalarValue {
        ScalarValue::Binary((!self.sketch.is_empty()).then(|| self.sketch.to_bytes()))
    }

    fn size(&self) -> usize {
        size_of::<Self>() + size_of_val(self.sketch.buckets())
    }
}

fn read(bytes: &[u8]) -> Result<Sketch, DataFusionError> {
    Sketch::from_bytes(bytes)
        .ok_or_else(|| DataFusionError::Execution("these bytes are no sketch of durations".to_owned()))
}

#[derive(Debug)]
struct Durations(Gathered);

impl Accumulator for Durations {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<(), DataFusionError> {
        for ms in values[0].as_primitive::<Int64Type>().iter().flatten() {
            self.0.sketch.add(ms);
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<(), DataFusionError> {
        self.0.merge(&states[0])
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>, DataFusionError> {
        Ok(vec![self.0.value()])
    }

    fn evaluate(&mut self) -> Result<ScalarValue, DataFusionError> {
        Ok(self.0.value())
    }

    fn size(&self) -> usize {
        self.0.size()
    }
}

#[derive(Debug)]
struct Sketches(Gathered);

impl Accumulator for Sketches {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<(), DataFusionError> {
        self.0.merge(&values[0])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<(), DataFusionError> {
        self.0.merge(&states[0])
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>, DataFusionError> {
        Ok(vec![self.0.value()])
    }

    fn evaluate(&mut self) -> Result<ScalarValue, DataFusionError> {
        Ok(self.0.value())
    }

    fn size(&self) -> usize {
        self.0.size()
    }
}

impl ScalarUDFImpl for SketchSeconds {
    fn name(&self) -> &str {
        "sketch_seconds"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType, DataFusionError> {
        Ok(DataType::Float64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue, DataFusionError> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let (sketches, shares) = (arrays[0].as_binary::<i32>(), arrays[1].as_primitive::<Float64Type>());
        let seconds = sketches.iter().zip(shares).map(|pair| match pair {
            (Some(bytes), Some(share)) => Ok(read(bytes)?.quantile(share).map(|ms| ms / 1_000.0)),
            _ => Ok(None),
        });
        let seconds = seconds.collect::<Result<Float64Array, DataFusionError>>()?;
        debug_assert_eq!(seconds.len(), sketches.len());
        Ok(ColumnarValue::Array(Arc::new(seconds)))
    }
}
