//! Staffing in SQL: coats over [`crate::forecast`].

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array};
use arrow::datatypes::{DataType, Float64Type};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use crate::forecast;

/// Every Erlang function. Arguments are numbers of any kind; NULL in any of them, or one that means nothing, gives NULL.
pub(super) fn all() -> Vec<ScalarUDF> {
    [
        Erlang::new(
            "erlang_c_agents",
            5,
            Of::Agents(|a| forecast::erlang_c_agents(a[0], a[1], a[2], a[3], a[4])),
        ),
        Erlang::new(
            "erlang_c_service_level",
            5,
            Of::Number(|a| forecast::erlang_c_service_level(crew(a[0])?, a[1], a[2], a[3], a[4])),
        ),
        Erlang::new("erlang_c_asa", 4, Of::Number(|a| forecast::erlang_c_asa(crew(a[0])?, a[1], a[2], a[3]))),
        Erlang::new(
            "erlang_a_abandon",
            5,
            Of::Number(|a| forecast::erlang_a_abandon(crew(a[0])?, a[1], a[2], a[3], a[4])),
        ),
    ]
    .map(ScalarUDF::from)
    .into()
}

/// Agents come whole: a part of one is left out.
fn crew(agents: f64) -> Option<i64> {
    agents.is_finite().then_some(agents.floor() as i64)
}

/// The function behind the coat.
#[derive(Debug, Clone, Copy)]
enum Of {
    Agents(fn(&[f64]) -> Option<i64>),
    Number(fn(&[f64]) -> Option<f64>),
}

#[derive(Debug)]
struct Erlang {
    name: &'static str,
    of: Of,
    signature: Signature,
}

impl Erlang {
    fn new(name: &'static str, arguments: usize, of: Of) -> Self {
        let signature = Signature::exact(vec![DataType::Float64; arguments], Volatility::Immutable);
        Self { name, of, signature }
    }
}

// A name stands for one function, which spares comparing pointers of functions.
impl PartialEq for Erlang {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Erlang {}

impl std::hash::Hash for Erlang {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Erlang {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType, DataFusionError> {
        Ok(match self.of {
            Of::Agents(_) => DataType::Int64,
            Of::Number(_) => DataType::Float64,
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue, DataFusionError> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let columns: Vec<&Float64Array> =
            arrays.iter().map(|array| array.as_primitive::<Float64Type>()).collect();
        let mut row = Vec::with_capacity(columns.len());
        let mut arguments = |at: usize| {
            row.clear();
            row.extend(columns.iter().filter(|column| column.is_valid(at)).map(|column| column.value(at)));
            (row.len() == columns.len()).then(|| row.clone())
        };
        let rows = 0..columns.first().map_or(0, |column| column.len());
        let out: ArrayRef = match self.of {
            Of::Agents(of) => Arc::new(rows.map(|at| of(&arguments(at)?)).collect::<Int64Array>()),
            Of::Number(of) => Arc::new(rows.map(|at| of(&arguments(at)?)).collect::<Float64Array>()),
        };
        Ok(ColumnarValue::Array(out))
    }
}
