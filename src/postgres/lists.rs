//! Lists that come as one value: `queue = ANY($1)`, `leg <> ALL('{1,2}')`, `'{a,b}'::text[]`.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::datatypes::{DataType as ArrowType, Date32Type, TimeUnit};
use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime};
use datafusion::common::ScalarValue;
use datafusion::sql::sqlparser::ast::{
    Array, DataType, Expr, Statement, Value, ValueWithSpan, visit_expressions_mut,
};

use datafusion_postgres::pgwire::api::Type;
use datafusion_postgres::pgwire::api::portal::Portal;
use datafusion_postgres::pgwire::error::PgWireResult;

use super::fault;
use super::parse::{call, cast};
use crate::query::functions::{elements, over_list};

/// Writes comparisons with such lists as calls of functions, and texts of lists as lists. Says whether there were any.
pub(super) fn rewritten(statement: &mut Statement) -> bool {
    let mut changed = false;
    let _: ControlFlow<()> = visit_expressions_mut(statement, |expr: &mut Expr| {
        if let Some(made) = of_text(expr).or_else(|| compared(expr)) {
            *expr = made;
            changed = true;
        }
        ControlFlow::Continue(())
    });
    changed
}

/// The text of a literal.
fn text(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Value(ValueWithSpan {
            value: Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text),
            ..
        }) => Some(text),
        _ => None,
    }
}

/// `'{a,b}'::text[]` is `ARRAY['a', 'b']::text[]`. What cannot be read is left to be refused.
fn of_text(expr: &Expr) -> Option<Expr> {
    let Expr::Cast { expr: inner, data_type: DataType::Array(kind), .. } = expr else { return None };
    let elements = elements(text(inner)?).ok()?;
    let elem = elements.into_iter().map(|element| {
        let value = element.map_or(Value::Null, Value::SingleQuotedString);
        Expr::Value(value.with_empty_span())
    });
    let list = Expr::Array(Array { elem: elem.collect(), named: true });
    Some(cast(list, DataType::Array(kind.clone())))
}

/// Whether it is a list as one value.
fn is_list(expr: &Expr) -> bool {
    match expr {
        Expr::Value(ValueWithSpan { value: Value::Placeholder(_), .. }) => true,
        Expr::Nested(inner) => is_list(inner),
        Expr::Cast { expr: inner, data_type: DataType::Array(_), .. } => {
            is_list(inner) || matches!(inner.as_ref(), Expr::Array(_))
        }
        other => text(other).is_some(),
    }
}

fn compared(expr: &Expr) -> Option<Expr> {
    let (left, operator, right, all) = match expr {
        Expr::AnyOp { left, compare_op, right, .. } => (left, compare_op, right, false),
        Expr::AllOp { left, compare_op, right } => (left, compare_op, right, true),
        _ => return None,
    };
    if !is_list(right) {
        return None;
    }
    let name = over_list(&operator.to_string(), all)?;
    Some(call(name, vec![left.as_ref().clone(), right.as_ref().clone()]))
}

/// The lists among the values that were bound, by their place, but those that the library reads well: texts of lists, and
/// lists of times. `wanted` has for each the type on the wire, for those that the client gave none, and in the plan.
pub(super) fn bound<S: Clone>(
    portal: &Portal<S>,
    wanted: &[(&Type, Option<&ArrowType>)],
) -> PgWireResult<BTreeMap<usize, ScalarValue>> {
    let mut lists = BTreeMap::new();
    for (at, (wire, kind)) in wanted.iter().enumerate() {
        let declared = portal.statement.parameter_types.get(at).and_then(Option::as_ref);
        let wire = declared.unwrap_or(wire);
        // So PostgreSQL names them.
        if !wire.name().starts_with('_') {
            continue;
        }
        let Some(Some(bytes)) = portal.parameters.get(at) else {
            lists.insert(at, ScalarValue::new_null_list(ArrowType::Utf8, true, 1));
            continue;
        };
        let of = |values: Vec<ScalarValue>, kind: ArrowType| {
            ScalarValue::List(ScalarValue::new_list_nullable(&values, &kind))
        };
        if !portal.parameter_format.is_binary(at) {
            let read = std::str::from_utf8(bytes).map_err(|error| error.to_string()).and_then(elements);
            let read = read.map_err(|why| fault::error("22P02", why))?;
            let list = of(read.into_iter().map(ScalarValue::Utf8).collect(), ArrowType::Utf8);
            let list = match kind {
                Some(kind @ ArrowType::List(_)) => {
                    list.cast_to(kind).map_err(|error| fault::of_query(&error.into(), ""))?
                }
                _ => list,
            };
            lists.insert(at, list);
            continue;
        }
        let micros = |zone: Option<Arc<str>>| ArrowType::Timestamp(TimeUnit::Microsecond, zone);
        let list = match *wire {
            Type::TIMESTAMPTZ_ARRAY => {
                let zone: Option<Arc<str>> = Some("UTC".into());
                let held =
                    portal.parameter::<Vec<Option<DateTime<FixedOffset>>>>(at, wire)?.unwrap_or_default();
                let held = held.into_iter().map(|one| one.map(|one| one.timestamp_micros()));
                of(
                    held.map(|one| ScalarValue::TimestampMicrosecond(one, zone.clone())).collect(),
                    micros(zone.clone()),
                )
            }
            Type::TIMESTAMP_ARRAY => {
                let held = portal.parameter::<Vec<Option<NaiveDateTime>>>(at, wire)?.unwrap_or_default();
                let held = held.into_iter().map(|one| one.map(|one| one.and_utc().timestamp_micros()));
                of(held.map(|one| ScalarValue::TimestampMicrosecond(one, None)).collect(), micros(None))
            }
            Type::DATE_ARRAY => {
                let held = portal.parameter::<Vec<Option<NaiveDate>>>(at, wire)?.unwrap_or_default();
                let held =
                    held.into_iter().map(|one| ScalarValue::Date32(one.map(Date32Type::from_naive_date)));
                of(held.collect(), ArrowType::Date32)
            }
            _ => continue,
        };
        lists.insert(at, list);
    }
    Ok(lists)
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;

    fn written(sql: &str) -> String {
        let mut statement = Parser::parse_sql(&PostgreSqlDialect {}, sql).expect("a statement").remove(0);
        rewritten(&mut statement);
        statement.to_string()
    }

    #[test]
    fn a_list_as_one_value_is_compared_by_a_function() {
        let cases = [
            ("SELECT a = ANY($1)", "SELECT equals_any(a, $1)"),
            ("SELECT a <> ALL ('{1,2}')", "SELECT differs_all(a, '{1,2}')"),
            ("SELECT NOT a >= SOME (($2))", "SELECT NOT at_least_any(a, ($2))"),
            ("SELECT a = ANY($1::TEXT[])", "SELECT equals_any(a, $1::TEXT[])"),
            (
                "SELECT a = ANY('{\"b,c\",NULL}'::TEXT[])",
                "SELECT equals_any(a, CAST(ARRAY['b,c', NULL] AS TEXT[]))",
            ),
            // These are planned as they are.
            ("SELECT a = ANY(b)", "SELECT a = ANY(b)"),
            ("SELECT a = ANY(ARRAY[1, 2])", "SELECT a = ANY(ARRAY[1, 2])"),
            ("SELECT a = ANY(SELECT b FROM c)", "SELECT a = ANY(SELECT b FROM c)"),
            ("SELECT a = 'x'", "SELECT a = 'x'"),
        ];
        for (sql, wanted) in cases {
            assert_eq!(written(sql), wanted, "{sql}");
        }
    }
}
