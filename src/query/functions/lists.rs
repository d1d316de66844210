//! `= ANY(list)`, `<> ALL(list)` and kin, where the list comes as one value: a list, or PostgreSQL's text of one (`{a,"b c"}`).
//!
//! The doors write these operators as functions, because only here the type is known in which the list is to be read: that of
//! what it is compared with.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, Datum};
use arrow::compute::kernels::cmp;
use arrow::compute::{and_kleene, cast, or_kleene};
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use datafusion::common::{ExprSchema, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::expr::{InList, ScalarFunction};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::type_coercion::binary::comparison_coercion;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
    cast as cast_to, lit,
};

type Compare = fn(&dyn Datum, &dyn Datum) -> Result<BooleanArray, ArrowError>;

/// The operators: as written, the names of their functions for ANY and for ALL, and what compares.
const OPERATORS: &[(&str, &str, &str, Compare)] = &[
    ("=", "equals_any", "equals_all", cmp::eq),
    ("<>", "differs_any", "differs_all", cmp::neq),
    ("<", "below_any", "below_all", cmp::lt),
    ("<=", "at_most_any", "at_most_all", cmp::lt_eq),
    (">", "above_any", "above_all", cmp::gt),
    (">=", "at_least_any", "at_least_all", cmp::gt_eq),
];

/// The function that stands for `operator` with ANY, or with ALL; its arguments are the left side and the list.
pub fn over_list(operator: &str, all: bool) -> Option<&'static str> {
    let (_, any, every, _) = OPERATORS.iter().find(|(written, ..)| *written == operator)?;
    Some(if all { every } else { any })
}

/// The type of the list that a call of such a function wants: of what stands on the left side.
pub fn wanted_list(call: &ScalarFunction, schema: &dyn ExprSchema) -> Option<DataType> {
    call.func.inner().downcast_ref::<OverList>()?;
    let kind = call.args.first()?.get_type(schema).ok()?;
    Some(DataType::new_list(plain(&kind).clone(), true))
}

pub(super) fn all() -> impl Iterator<Item = ScalarUDF> {
    OPERATORS.iter().flat_map(|(_, any, every, compare)| {
        [(any, false), (every, true)].map(|(name, all)| {
            let signature = Signature::any(2, Volatility::Immutable);
            ScalarUDF::from(OverList { name, all, compare: *compare, signature })
        })
    })
}

/// One operator with ANY or ALL.
#[derive(Debug)]
struct OverList {
    name: &'static str,
    all: bool,
    compare: Compare,
    signature: Signature,
}

// The name says it all.
impl PartialEq for OverList {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for OverList {}

impl std::hash::Hash for OverList {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for OverList {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType, DataFusionError> {
        Ok(DataType::Boolean)
    }

    /// `= ANY` and `<> ALL` of a list that is known are `IN` and `NOT IN`, by which files are left out.
    fn simplify(
        &self,
        args: Vec<Expr>,
        info: &SimplifyContext,
    ) -> Result<ExprSimplifyResult, DataFusionError> {
        let negated = match self.name {
            "equals_any" => false,
            "differs_all" => true,
            _ => return Ok(ExprSimplifyResult::Original(args)),
        };
        let [left, Expr::Literal(list, _)] = args.as_slice() else {
            return Ok(ExprSimplifyResult::Original(args));
        };
        let kind = info.get_data_type(left)?;
        Ok(ExprSimplifyResult::Simplified(match values(list, &kind)? {
            None => lit(ScalarValue::Boolean(None)),
            Some((values, _)) if values.is_empty() => lit(negated),
            Some((values, common)) => {
                let left = left.clone();
                let left = if kind == common { left } else { cast_to(left, common) };
                Expr::InList(InList::new(Box::new(left), values.into_iter().map(lit).collect(), negated))
            }
        }))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue, DataFusionError> {
        let [left, list] = args.args.as_slice() else {
            return Err(DataFusionError::Internal(format!("`{}` takes two values", self.name)));
        };
        let ColumnarValue::Scalar(list) = list else {
            return Err(DataFusionError::Plan("ANY and ALL take one list for all rows here".to_owned()));
        };
        let one = matches!(left, ColumnarValue::Scalar(_));
        let left = left.to_array(if one { 1 } else { args.number_rows })?;
        let compared = match values(list, left.data_type())? {
            None => BooleanArray::new_null(left.len()),
            Some((values, common)) => {
                let left = cast(&left, &common)?;
                let mut compared = BooleanArray::from(vec![self.all; left.len()]);
                for value in values {
                    let hit = (self.compare)(&left, &value.to_scalar()?)?;
                    let join = if self.all { and_kleene } else { or_kleene };
                    compared = join(&compared, &hit)?;
                }
                compared
            }
        };
        Ok(match one {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&compared, 0)?),
            false => ColumnarValue::Array(Arc::new(compared)),
        })
    }
}

/// The type behind a dictionary.
fn plain(kind: &DataType) -> &DataType {
    match kind {
        DataType::Dictionary(_, value) => value,
        kind => kind,
    }
}

/// What a list holds, and the type in which it is compared with what has type `left`; `None` for NULL in place of a list.
///
/// Texts are read as `left`; numbers and times meet as they do in other comparisons.
fn values(
    list: &ScalarValue,
    left: &DataType,
) -> Result<Option<(Vec<ScalarValue>, DataType)>, DataFusionError> {
    let left = plain(left);
    let read = |text: Option<&str>| match text {
        None => ScalarValue::try_from(left),
        Some(text) => ScalarValue::try_from_string(text.to_owned(), left),
    };
    if list.is_null() {
        return Ok(None);
    }
    if let Some(Some(text)) = list.try_as_str() {
        let texts = elements(text).map_err(DataFusionError::Execution)?;
        let values = texts.iter().map(|text| read(text.as_deref())).collect::<Result<_, _>>()?;
        return Ok(Some((values, left.clone())));
    }
    let inner: ArrayRef = match list {
        ScalarValue::List(list) => list.value(0),
        ScalarValue::LargeList(list) => list.value(0),
        ScalarValue::FixedSizeList(list) => list.value(0),
        other => {
            let kind = other.data_type();
            return Err(DataFusionError::Plan(format!(
                "ANY and ALL take a list, not a value of type {kind}"
            )));
        }
    };
    let held = (0..inner.len()).map(|at| ScalarValue::try_from_array(&inner, at));
    let held = held.collect::<Result<Vec<_>, _>>()?;
    let is_text = matches!(inner.data_type(), DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    if is_text || inner.data_type() == &DataType::Null {
        let values = held.iter().map(|value| read(value.try_as_str().flatten()));
        return Ok(Some((values.collect::<Result<_, _>>()?, left.clone())));
    }
    let common = comparison_coercion(left, inner.data_type()).ok_or_else(|| {
        DataFusionError::Plan(format!(
            "Cannot infer common argument type of {left} and {}",
            inner.data_type()
        ))
    })?;
    let values = held.iter().map(|value| value.cast_to(&common)).collect::<Result<_, _>>()?;
    Ok(Some((values, common)))
}

/// The elements of a list as PostgreSQL writes it: `{a,"b, \"c\"",NULL}`. One dimension, as ANY and ALL take it.
pub fn elements(text: &str) -> Result<Vec<Option<String>>, String> {
    let malformed = |why: &str| format!("malformed array literal: `{text}`: {why}");
    let inner = text.trim().strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    let inner = inner.ok_or_else(|| malformed("a list stands in `{` and `}`"))?;
    let mut found = Vec::new();
    if inner.trim().is_empty() {
        return Ok(found);
    }
    let mut letters = inner.chars().peekable();
    loop {
        while letters.next_if(|c| c.is_whitespace()).is_some() {}
        let mut element = String::new();
        let quoted = letters.next_if_eq(&'"').is_some();
        // The length without spaces at the end that were not written as themselves.
        let mut kept = 0;
        let mut closed = !quoted;
        while let Some(c) = letters.peek().copied() {
            match c {
                '\\' => {
                    letters.next();
                    element.push(letters.next().ok_or_else(|| malformed("it ends with a backslash"))?);
                    kept = element.len();
                    continue;
                }
                '"' if quoted => {
                    letters.next();
                    closed = true;
                    break;
                }
                ',' if !quoted => break,
                '"' | '{' | '}' if !quoted => return Err(malformed(&format!("`{c}` must be in quotes"))),
                c => element.push(c),
            }
            letters.next();
            if quoted || !c.is_whitespace() {
                kept = element.len();
            }
        }
        if !closed {
            return Err(malformed("a quote is not closed"));
        }
        if quoted {
            while letters.next_if(|c| c.is_whitespace()).is_some() {}
            found.push(Some(element));
        } else {
            let had_escape = kept > element.trim_end().len();
            element.truncate(kept);
            match element.as_str() {
                "" => return Err(malformed("an element is missing")),
                word if word.eq_ignore_ascii_case("null") && !had_escape => found.push(None),
                _ => found.push(Some(element)),
            }
        }
        match letters.next() {
            None => return Ok(found),
            Some(',') => {}
            Some(other) => return Err(malformed(&format!("`{other}` stands behind an element"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_as_postgresql_writes_them() {
        let some = |texts: &[&str]| Ok(texts.iter().map(|text| Some((*text).to_owned())).collect::<Vec<_>>());
        assert_eq!(elements("{}"), Ok(Vec::new()));
        assert_eq!(elements(" { } "), Ok(Vec::new()));
        assert_eq!(elements("{a,b c, d }"), some(&["a", "b c", "d"]));
        assert_eq!(
            elements(r#"{"a,b", "c \"d\"" ,"\\","",e\,f}"#),
            some(&["a,b", "c \"d\"", "\\", "", "e,f"])
        );
        assert_eq!(elements("{退款,\"}\"}"), some(&["退款", "}"]));
        assert_eq!(elements(r#"{NULL,null,"NULL"}"#), Ok(vec![None, None, Some("NULL".to_owned())]));
        for bad in [
            "",
            "a,b",
            "{a",
            "a}",
            "{a,}",
            "{,a}",
            "{a,,b}",
            "{\"a}",
            "{\"a\"b}",
            "{{a},{b}}",
            "{a\"b}",
            "{\\",
        ] {
            let told = elements(bad).expect_err(bad);
            assert!(told.contains("malformed array literal"), "{told}");
        }
    }

    #[test]
    fn a_list_is_compared_in_the_type_of_the_left_side() {
        let text = |text: &str| ScalarValue::from(text);
        let (numbers, kind) = values(&text("{1, NULL}"), &DataType::Int64).expect("numbers").expect("a list");
        assert_eq!(numbers, [ScalarValue::Int64(Some(1)), ScalarValue::Int64(None)]);
        assert_eq!(kind, DataType::Int64);
        assert!(values(&text("{x}"), &DataType::Int64).is_err());
        assert_eq!(values(&ScalarValue::Utf8(None), &DataType::Int64).expect("NULL"), None);
        let doubles = ScalarValue::new_list_nullable(&[ScalarValue::Float64(Some(1.5))], &DataType::Float64);
        let (_, kind) =
            values(&ScalarValue::List(doubles), &DataType::Int64).expect("doubles").expect("a list");
        assert_eq!(kind, DataType::Float64, "1.5 is not cut to 1");
    }

    #[tokio::test]
    async fn any_and_all_are_true_false_and_unknown_as_in_postgresql() {
        let context = datafusion::prelude::SessionContext::new();
        for function in all() {
            context.register_udf(function);
        }
        let cases = [
            ("equals_any(1, '{1,2}')", "true"),
            ("equals_any(3, '{1,2}')", "false"),
            ("equals_any(3, '{1,NULL}')", ""),
            ("equals_any(1, '{1,NULL}')", "true"),
            ("equals_any(1, '{}')", "false"),
            ("equals_any(1, NULL)", ""),
            ("equals_any(CAST(NULL AS INT), '{1}')", ""),
            ("differs_all(3, '{1,2}')", "true"),
            ("differs_all(1, '{1,2}')", "false"),
            ("differs_all(3, '{1,NULL}')", ""),
            ("differs_all(3, '{}')", "true"),
            ("differs_any(1, '{1,2}')", "true"),
            ("differs_any(1, '{1}')", "false"),
            ("equals_all(1, '{1,1}')", "true"),
            ("below_any(1, '{0,2}')", "true"),
            ("at_most_all(1, '{1,0}')", "false"),
            ("above_all(3, '{1,2}')", "true"),
            ("at_least_any(0, '{1,2}')", "false"),
            ("equals_any('b', make_array('a', 'b'))", "true"),
            ("equals_any(1, make_array(0.5, 1.0))", "true"),
        ];
        for (call, wanted) in cases {
            // As a constant, and worked out row by row.
            let rows = call.replacen('(', "(x + ", 1);
            let over_rows =
                format!("SELECT {rows} FROM (SELECT random() * 0 AS x)").replace("x + CAST", "CAST");
            let by_row = if call.contains("'b'") { format!("SELECT {call}") } else { over_rows };
            for sql in [format!("SELECT {call}"), by_row] {
                let batches = context.sql(&sql).await.expect(&sql).collect().await.expect(&sql);
                let shown =
                    arrow::util::display::array_value_to_string(batches[0].column(0), 0).expect("a text");
                assert_eq!(shown, wanted, "{sql}");
            }
        }
        let plan = context.sql("SELECT * FROM (SELECT random() AS x) WHERE equals_any(x, '{1,2}')").await;
        let plan = plan.expect("a plan").into_optimized_plan().expect("a plan").to_string();
        assert!(!plan.contains("equals_any"), "{plan}");
    }
}
