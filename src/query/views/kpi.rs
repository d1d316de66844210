//! `kpi_slot`, `kpi_hour`, `kpi_day`, `kpi_month` and `kpi_service_level`: made from the catalogue.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use crate::facts::{ColumnType, PARTITION_COLUMN};
use crate::kpi::{self, Measure, Outcome, SLOT_MS, ServiceLevel, Sum};

use super::super::Options;
use super::{SUMS, View, ViewColumn};

/// The columns of every `kpi_…` view, in order; further sums follow.
const COLUMNS: &[&str] = &[
    "offered",
    "answered",
    "abandoned",
    "abandoned_short",
    "overflow",
    "callback",
    "exit_key",
    "timeout",
    "no_agent",
    "closed",
    "error",
    "waiting",
    "ledger_gap",
    "answered_in_time",
    "wait_ms_sum",
    "talk_ms_sum",
    "hold_ms_sum",
    "acw_ms_sum",
    "answer_rate",
    "abandon_rate",
    "service_level",
    "asa_seconds",
    "wait_p50_seconds",
    "wait_p90_seconds",
    "wait_p95_seconds",
    "handled",
    "aht_seconds",
    "talk_seconds",
    "hold_seconds",
    "acw_seconds",
    "load_erlangs",
];

/// Name, what a row covers, and the functions that give start and length of the piece.
const PERIODS: [(&str, &str, Option<&str>, &str); 4] = [
    ("kpi_slot", "slot", None, "slot_length_ms"),
    ("kpi_hour", "hour", Some("local_hour"), "local_hour_length_ms"),
    ("kpi_day", "day", Some("local_day"), "local_day_length_ms"),
    ("kpi_month", "month", Some("local_month"), "local_month_length_ms"),
];

const KEY: &str = "channel, queue, department";

pub(super) fn views(options: &Options) -> Vec<View> {
    let mut views: Vec<View> = PERIODS
        .iter()
        .map(|&(name, piece, start, length)| View {
            name,
            means: format!(
                "The figures per {piece} of the centre's clock, channel, queue and department. Legs stand in the {piece} \
                 in which they entered their queue; handled and the means and sums of handlings in that of their close \
                 (outbound ones left out)."
            ),
            columns: columns(piece, options),
            sql: sql(start, length, options, false),
            asked_by: None,
            over_sums: Some(sql(start, length, options, true)),
        })
        .collect();
    views.push(service_level());
    views
}

/// Sums that the contract's columns do not show, after them.
fn extra() -> impl Iterator<Item = Sum> {
    Sum::ALL.iter().copied().filter(|sum| !COLUMNS.contains(&sum.name()))
}

fn columns(piece: &str, options: &Options) -> Vec<ViewColumn> {
    let mut columns = key_columns(&format!("Start of the {piece}."));
    for &name in COLUMNS {
        columns.push(match (sum(name), kpi::kpi(name)) {
            (Some(sum), _) => sum_column(sum),
            (None, Some(kpi)) => ViewColumn {
                name,
                unit: kpi.unit.name(),
                means: kpi.means.to_owned(),
                formula: Some(match kpi.measure {
                    Measure::WaitQuantile(share) => format!("sketch_seconds(wait_sketch, {share})"),
                    _ => expression(kpi.measure, options),
                }),
            },
            (None, None) => unreachable!("a test holds every name against the catalogue"),
        });
    }
    columns.extend(extra().map(sum_column));
    columns.push(ViewColumn {
        name: SLOT_MS,
        unit: "ms",
        means: format!("Length of the {piece}."),
        formula: None,
    });
    columns.push(ViewColumn {
        name: "wait_sketch",
        unit: "",
        means: "The waits of the answered legs, for merge_sketch and sketch_seconds.".to_owned(),
        formula: None,
    });
    columns
}

fn key_columns(start: &str) -> Vec<ViewColumn> {
    let key = [
        ("slot_start", start),
        ("channel", "The channel."),
        ("queue", "The queue."),
        ("department", "The queue's department."),
    ];
    key.map(|(name, means)| ViewColumn { name, unit: "", means: means.to_owned(), formula: None }).into()
}

fn sum(name: &str) -> Option<Sum> {
    Sum::ALL.iter().copied().find(|sum| sum.name() == name)
}

fn sum_column(sum: Sum) -> ViewColumn {
    ViewColumn { name: sum.name(), unit: sum.unit().name(), means: sum.means().to_owned(), formula: None }
}

/// The statement of one view: sums per slot, joined into pieces, and the formulas over them. `with_sums`: of some rows the
/// sums per slot were made before.
fn sql(start: Option<&str>, length: &str, options: &Options, with_sums: bool) -> String {
    let mut parts = parts("");
    if with_sums {
        let sums: Vec<&str> = Sum::ALL.iter().map(|sum| sum.name()).collect();
        parts.push(format!("SELECT piece, {KEY}, {}, wait_sketch FROM {SUMS}", sums.join(", ")));
    }
    let piece = start.map_or("piece".to_owned(), |start| format!("{start}(piece)"));
    let sums = summed();
    let figures = COLUMNS.iter().map(|&name| match kpi::kpi(name).map(|kpi| kpi.measure) {
        None => name.to_owned(),
        Some(Measure::WaitQuantile(share)) => format!("sketch_seconds(wait_sketch, {share}) AS {name}"),
        Some(measure) => format!("{} AS {name}", expression(measure, options)),
    });
    let figures: Vec<String> = figures.chain(extra().map(|sum| sum.name().to_owned())).collect();
    format!(
        "WITH parts AS ({parts}), \
         pieces AS (SELECT {piece} AS slot_start, {KEY}, {sums}, merge_sketch(wait_sketch) AS wait_sketch \
         FROM parts GROUP BY {piece}, {KEY}), \
         lengths AS (SELECT *, {length}(slot_start) AS {SLOT_MS} FROM pieces) \
         SELECT slot_start, {KEY}, {figures}, {SLOT_MS}, wait_sketch FROM lengths",
        parts = parts.join(" UNION ALL "),
        figures = figures.join(", "),
    )
}

/// The statement that makes the sums of whole dates: of the rows that are read, and of the sums that there are.
pub(in crate::query) fn summing() -> String {
    let mut parts = parts("date, ");
    let sums: Vec<&str> = Sum::ALL.iter().map(|sum| sum.name()).collect();
    parts.push(format!("SELECT date, piece, {KEY}, {}, wait_sketch FROM {SUMS}", sums.join(", ")));
    // One queue's rows lie together, so that a question about it reads few of the others.
    format!(
        "SELECT date, piece, {KEY}, {}, merge_sketch(wait_sketch) AS wait_sketch FROM ({}) AS parts \
         GROUP BY date, piece, {KEY} ORDER BY queue, channel, department, piece, date",
        summed(),
        parts.join(" UNION ALL "),
    )
}

/// The columns of the sums of whole dates.
pub(in crate::query) fn sums_schema() -> SchemaRef {
    let key = [
        (PARTITION_COLUMN, ColumnType::Date),
        ("piece", ColumnType::Time),
        ("channel", ColumnType::Text),
        ("queue", ColumnType::Text),
        ("department", ColumnType::Text),
    ];
    let key = key.into_iter().map(|(name, kind)| Field::new(name, kind.data_type(), true));
    let sums = Sum::ALL.iter().map(|sum| Field::new(sum.name(), DataType::Int64, true));
    let sketch = Field::new("wait_sketch", DataType::Binary, true);
    Arc::new(Schema::new(key.chain(sums).chain([sketch]).collect::<Vec<_>>()))
}

/// The sums over parts.
fn summed() -> String {
    let sums: Vec<String> = Sum::ALL.iter().map(|sum| format!("SUM({0}) AS {0}", sum.name())).collect();
    sums.join(", ")
}

/// The sums per slot of legs, of handlings by their close, and of handlings by their cohort; also by what is `before`.
fn parts(before: &str) -> Vec<String> {
    let closed = "WHERE wrapped_at IS NOT NULL AND direction IS DISTINCT FROM 'outbound'";
    vec![
        part(before, "slot_start", "legs", "", leg_sum, true),
        part(before, "slot(wrapped_at)", "handlings", closed, close_sum, false),
        part(before, "slot_start", "handlings", "WHERE wrapped_at IS NOT NULL", cohort_sum, false),
    ]
}

/// The sums of one table per slot and key; sums that the table does not feed are 0.
fn part(
    before: &str,
    slot: &str,
    table: &str,
    only: &str,
    sum_of: fn(Sum) -> Option<String>,
    sketch: bool,
) -> String {
    let sums: Vec<String> = Sum::ALL
        .iter()
        .map(|&sum| match sum_of(sum) {
            Some(value) => format!("SUM({value}) AS {}", sum.name()),
            None => format!("0 AS {}", sum.name()),
        })
        .collect();
    let sketch = match sketch {
        true => format!("duration_sketch({})", when("outcome = 'answered'", "wait_ms", "NULL")),
        false => "arrow_cast(NULL, 'Binary')".to_owned(),
    };
    format!(
        "SELECT {before}{slot} AS piece, {KEY}, {}, {sketch} AS wait_sketch FROM {table} {only} GROUP BY {before}{slot}, {KEY}",
        sums.join(", ")
    )
}

fn when(condition: &str, then: &str, otherwise: &str) -> String {
    format!("CASE WHEN {condition} THEN {then} ELSE {otherwise} END")
}

/// What one leg adds to a sum.
fn leg_sum(sum: Sum) -> Option<String> {
    let in_target = "wait_ms <= target_wait_ms";
    let one = |condition: &str| Some(when(condition, "1", "0"));
    if let Some(outcome) = Outcome::ALL.into_iter().find(|outcome| outcome.sum() == sum) {
        return one(&format!("outcome = '{}'", outcome.name()));
    }
    match sum {
        Sum::Offered => Some("1".to_owned()),
        Sum::Waiting => one("outcome IS NULL"),
        Sum::WaitingLate => one("outcome IS NULL AND NOT in_time"),
        Sum::AnsweredInTime => one("outcome = 'answered' AND in_time"),
        Sum::AbandonedInTime => one(&format!("outcome IN ('abandoned', 'abandoned_short') AND {in_target}")),
        Sum::CallbackInTime => one(&format!("outcome = 'callback' AND {in_target}")),
        Sum::WaitMsSum => Some(when("outcome = 'answered'", "wait_ms", "0")),
        _ => None,
    }
}

/// What one handling adds to a sum at its close.
fn close_sum(sum: Sum) -> Option<String> {
    let column = match sum {
        Sum::Handled => return Some("1".to_owned()),
        Sum::TalkMsSum => "talk_ms",
        Sum::HoldMsSum => "hold_ms",
        Sum::AcwMsSum => "acw_ms",
        Sum::DialMsSum => "dial_ms",
        Sum::HandleMsSum => "handle_ms",
        _ => return None,
    };
    Some(format!("COALESCE({column}, 0)"))
}

/// What one handling adds to a sum of its cohort.
fn cohort_sum(sum: Sum) -> Option<String> {
    (sum == Sum::CohortHandleMsSum).then(|| "COALESCE(handle_ms, 0)".to_owned())
}

/// A figure over the sums; the service level by the formula of the row's queue.
fn expression(measure: Measure, options: &Options) -> String {
    let by = |level: ServiceLevel| {
        measure.sql(level).expect("a quantile is no expression over sums, and is not asked for")
    };
    let mut queues: Vec<(&String, &ServiceLevel)> = options.queues.iter().collect();
    // A fixed order, so that the text is the same each time.
    queues.sort();
    queues.retain(|(_, level)| **level != options.service_level);
    if !matches!(measure, Measure::ServiceLevel) || queues.is_empty() {
        return by(options.service_level);
    }
    let cases: Vec<String> = queues
        .iter()
        .map(|(queue, level)| format!("WHEN '{}' THEN {}", queue.replace('\'', "''"), by(**level)))
        .collect();
    format!("CASE queue {} ELSE {} END", cases.join(" "), by(options.service_level))
}

fn service_level() -> View {
    let ids: Vec<String> = ServiceLevel::ALL.iter().map(|level| format!("('{}')", level.id())).collect();
    let cases: Vec<String> = ServiceLevel::ALL
        .iter()
        .map(|level| format!("WHEN '{}' THEN {}", level.id(), level.formula().sql()))
        .collect();
    let mut columns = key_columns("Start of the slot.");
    columns.push(ViewColumn {
        name: "formula",
        unit: "",
        means: "Id of the formula.".to_owned(),
        formula: None,
    });
    columns.push(ViewColumn {
        name: "service_level",
        unit: "ratio",
        means: "The service level by that formula; NULL without traffic.".to_owned(),
        formula: Some(format!("CASE formula {} END", cases.join(" "))),
    });
    View {
        name: "kpi_service_level",
        means: "The service level per slot by each formula that is in use, so that rivals' figures can be shown side by side."
            .to_owned(),
        columns,
        sql: format!(
            "SELECT slot_start, {KEY}, formula, CASE formula {} END AS service_level \
             FROM kpi_slot CROSS JOIN (VALUES {}) AS formulas (formula)",
            cases.join(" "),
            ids.join(", ")
        ),
        asked_by: None,
        over_sums: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_is_a_sum_or_a_figure_of_the_catalogue_and_none_is_forgotten() {
        for name in COLUMNS {
            assert!(sum(name).is_some() != kpi::kpi(name).is_some(), "{name}");
        }
        for kpi in kpi::CATALOGUE {
            assert!(COLUMNS.contains(&kpi.name), "{}", kpi.name);
        }
    }

    #[test]
    fn every_sum_has_one_source() {
        for &sum in Sum::ALL {
            let sources = [leg_sum(sum), close_sum(sum), cohort_sum(sum)];
            assert_eq!(sources.iter().flatten().count(), 1, "{}", sum.name());
        }
    }
}
