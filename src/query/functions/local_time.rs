//! The centre's clock in SQL: coats over [`Grid`].

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, Date32Array, Int64Array, ListBuilder, StringArray, TimestampMicrosecondArray,
    TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, Field, Int64Type, TimeUnit, TimestampMicrosecondType};
use chrono::{NaiveDate, TimeZone};
use datafusion::common::ScalarValue;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::interval_arithmetic::Interval;
use datafusion::logical_expr::preimage::PreimageResult;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use crate::calendar::Deadlines;
use crate::time::{DAY, Grid, HOUR, Millis, Slot, SlotCache, TIME_MAX};

/// Starts that one interval may give: quarter-hours of a leap year. What lies beyond is cut off.
const PIECES_MAX: usize = 366 * 96;

/// Every function of time, for the centre with this grid and these deadlines.
pub(super) fn all(grid: Grid, deadlines: &Deadlines) -> Vec<ScalarUDF> {
    let mut functions = Vec::new();
    for (piece, start, length) in [
        (Piece::Slot, "slot", "slot_length_ms"),
        (Piece::Hour, "local_hour", "local_hour_length_ms"),
        (Piece::Day, "local_day", "local_day_length_ms"),
        (Piece::Week, "local_week", "local_week_length_ms"),
        (Piece::Month, "local_month", "local_month_length_ms"),
        (Piece::Quarter, "local_quarter", "local_quarter_length_ms"),
    ] {
        functions.push(LocalTime::new(start, grid, Of::Start(piece), vec![time()]));
        functions.push(LocalTime::new(length, grid, Of::Length(piece), vec![time()]));
    }
    functions.push(LocalTime::new("slots", grid, Of::Starts(Piece::Slot), vec![time(), time()]));
    functions.push(LocalTime::new("local_days", grid, Of::Starts(Piece::Day), vec![time(), time()]));
    let numbers = vec![time(), DataType::Int64, DataType::Int64];
    functions.push(LocalTime::new("local_clock", grid, Of::Clock, numbers));
    functions.push(LocalTime::new("local_date", grid, Of::Date, vec![time()]));
    functions.push(LocalTime::new("local_time", grid, Of::Text, vec![time()]));
    let call_back = Of::CallBack(deadlines.clone());
    functions.push(LocalTime::new("call_back_deadline", grid, call_back, vec![time()]));
    functions.into_iter().map(ScalarUDF::from).collect()
}

/// Timestamps as every table holds them.
fn time() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// A piece of the centre's calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::query) enum Piece {
    Slot,
    Hour,
    Day,
    Week,
    Month,
    Quarter,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Of {
    Start(Piece),
    Length(Piece),
    Starts(Piece),
    Clock,
    Date,
    Text,
    CallBack(Deadlines),
}

/// Finds pieces, and remembers them: rows of one batch lie in few of them.
struct Pieces {
    cache: SlotCache,
    piece: Piece,
    last: Slot,
    days: HashMap<i32, Slot>,
}

impl Pieces {
    fn new(grid: Grid, piece: Piece) -> Self {
        Self { cache: SlotCache::new(grid), piece, last: Slot { start: 0, end: 0 }, days: HashMap::new() }
    }

    fn of(&mut self, t: Millis) -> Slot {
        if self.last.contains(t) {
            return self.last;
        }
        let grid = *self.cache.grid();
        self.last = match self.piece {
            Piece::Slot => self.cache.slot(t),
            Piece::Hour => hour(&grid, t),
            Piece::Day => {
                let date = self.cache.date(t);
                *self.days.entry(date).or_insert_with(|| day(&grid, date))
            }
            Piece::Week => {
                let date = self.cache.date(t);
                // 1970-01-01 was a Thursday, and a week begins on Monday.
                let monday = date.saturating_sub((date.saturating_add(3)).rem_euclid(7));
                Slot { start: grid.day_start(monday), end: grid.day_start(monday.saturating_add(7)) }
            }
            Piece::Month => month(&grid, t),
            Piece::Quarter => quarter(&grid, t),
        };
        self.last
    }
}

/// The civil hour around `t`; it is shorter where the zone's offset changes inside.
fn hour(grid: &Grid, t: Millis) -> Slot {
    let start = grid.hour_start(t);
    let (mut inside, mut outside) = (t.max(start), start.saturating_add(HOUR));
    if grid.hour_start(outside - 1) == start {
        return Slot { start, end: outside };
    }
    while outside - inside > 1 {
        let middle = inside + (outside - inside) / 2;
        if grid.hour_start(middle) == start {
            inside = middle;
        } else {
            outside = middle;
        }
    }
    Slot { start, end: outside }
}

fn day(grid: &Grid, date: i32) -> Slot {
    Slot { start: grid.day_start(date), end: grid.day_start(date.saturating_add(1)) }
}

fn month(grid: &Grid, t: Millis) -> Slot {
    let start = grid.month_start(t);
    // No month is longer than 31 days and no zone's change longer than a day, so that this lies in the next month.
    let end = grid.month_start(start.saturating_add(32 * DAY + 12 * HOUR).min(TIME_MAX));
    Slot { start, end: if end > start { end } else { TIME_MAX + 1 } }
}

/// Three months, from January, April, July or October.
fn quarter(grid: &Grid, t: Millis) -> Slot {
    let month_number = |t: Millis| {
        let date = NaiveDate::from_epoch_days(grid.date(t)).unwrap_or(NaiveDate::MAX);
        chrono::Datelike::month0(&date)
    };
    let mut start = month(grid, t).start;
    for _ in 0..month_number(t) % 3 {
        start = month(grid, start - 1).start;
    }
    let mut end = start;
    for _ in 0..3 {
        end = month(grid, end).end;
    }
    Slot { start, end }
}

#[derive(Debug)]
struct LocalTime {
    name: &'static str,
    grid: Grid,
    of: Of,
    arguments: Vec<DataType>,
    signature: Signature,
}

impl LocalTime {
    fn new(name: &'static str, grid: Grid, of: Of, arguments: Vec<DataType>) -> Self {
        Self { name, grid, of, arguments, signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl PartialEq for LocalTime {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.grid == other.grid && self.of == other.of
    }
}

impl Eq for LocalTime {}

impl std::hash::Hash for LocalTime {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for LocalTime {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType, DataFusionError> {
        Ok(match self.of {
            Of::Start(_) | Of::Clock | Of::CallBack(_) => time(),
            Of::Length(_) => DataType::Int64,
            Of::Date => DataType::Date32,
            Of::Text => DataType::Utf8,
            Of::Starts(_) => DataType::List(Arc::new(Field::new_list_field(time(), true))),
        })
    }

    /// Takes every kind of timestamp, a date (its midnight in UTC), and text as RFC 3339.
    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>, DataFusionError> {
        let fits = |(given, want): (&DataType, &DataType)| match want {
            DataType::Int64 => given.is_integer() || given.is_null(),
            _ => {
                matches!(given, DataType::Timestamp(..) | DataType::Date32 | DataType::Date64)
                    || given.is_string()
                    || given.is_null()
            }
        };
        if given.len() != self.arguments.len() || !given.iter().zip(&self.arguments).all(fits) {
            let kinds =
                |types: &[DataType]| types.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            return Err(DataFusionError::Plan(format!(
                "`{}` takes ({}), not ({})",
                self.name,
                kinds(&self.arguments),
                kinds(given)
            )));
        }
        Ok(self.arguments.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue, DataFusionError> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let times = arrays[0].as_primitive::<TimestampMicrosecondType>();
        let millis = times.iter().map(|time| time.map(|micros| micros.div_euclid(1_000)));
        let out: ArrayRef = match &self.of {
            Of::Start(piece) => {
                let mut pieces = Pieces::new(self.grid, *piece);
                let starts = millis.map(|t| Some(pieces.of(t?).start * 1_000));
                Arc::new(starts.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
            }
            Of::Length(piece) => {
                let mut pieces = Pieces::new(self.grid, *piece);
                Arc::new(millis.map(|t| Some(pieces.of(t?).length_ms())).collect::<Int64Array>())
            }
            Of::Starts(piece) => {
                let mut pieces = Pieces::new(self.grid, *piece);
                let ends = arrays[1].as_primitive::<TimestampMicrosecondType>();
                let values = TimestampMicrosecondBuilder::new().with_timezone("UTC");
                let mut lists = ListBuilder::new(values);
                for (from, until) in millis.zip(ends) {
                    let until = until.map(|micros| micros.div_euclid(1_000));
                    let (Some(from), Some(until)) = (from, until) else {
                        lists.append_null();
                        continue;
                    };
                    let mut at = from;
                    for _ in 0..PIECES_MAX {
                        if at >= until {
                            break;
                        }
                        let piece = pieces.of(at);
                        lists.values().append_value(piece.start * 1_000);
                        // The first and the last instants of all time are in pieces without end.
                        at = piece.end.max(at + 1);
                    }
                    lists.append(true);
                }
                Arc::new(lists.finish())
            }
            Of::Clock => {
                let days = arrays[1].as_primitive::<Int64Type>();
                let minutes = arrays[2].as_primitive::<Int64Type>();
                let instants = millis
                    .zip(days)
                    .zip(minutes)
                    .map(|((t, days), minutes)| Some(self.grid.clock(t?, days?, minutes?)? * 1_000));
                Arc::new(instants.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
            }
            Of::Date => {
                let mut cache = SlotCache::new(self.grid);
                Arc::new(millis.map(|t| Some(cache.date(t?))).collect::<Date32Array>())
            }
            Of::Text => {
                let zone = self.grid.zone();
                let shown = |t: Millis| zone.timestamp_millis_opt(t).single();
                let texts = millis.map(|t| Some(shown(t?)?.format("%Y-%m-%d %H:%M").to_string()));
                Arc::new(texts.collect::<StringArray>())
            }
            Of::CallBack(deadlines) => {
                let zone = self.grid.zone();
                let instants = millis.map(|t| Some(deadlines.call_back(zone, t?)? * 1_000));
                Arc::new(instants.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
            }
        };
        Ok(ColumnarValue::Array(out))
    }

    /// `slot(ts) = X` is `X <= ts < the next slot`: a filter on the slot becomes one on the column, by which files can be
    /// left out.
    fn preimage(
        &self,
        args: &[Expr],
        literal: &Expr,
        _: &SimplifyContext,
    ) -> Result<PreimageResult, DataFusionError> {
        let (Of::Start(piece), [argument]) = (&self.of, args) else { return Ok(PreimageResult::None) };
        let Expr::Literal(ScalarValue::TimestampMicrosecond(Some(micros), _), _) = literal else {
            return Ok(PreimageResult::None);
        };
        let start = micros.div_euclid(1_000);
        let found = Pieces::new(self.grid, *piece).of(start);
        if found.start * 1_000 != *micros {
            return Ok(PreimageResult::None);
        }
        let bound = |ms: Millis| ScalarValue::TimestampMicrosecond(Some(ms * 1_000), Some("UTC".into()));
        let interval = Interval::try_new(bound(found.start), bound(found.end))?;
        Ok(PreimageResult::Range { expr: argument.clone(), interval: Box::new(interval) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{MINUTE, parse_time};

    fn at(text: &str) -> Millis {
        parse_time(text).expect("a time of the test")
    }

    fn length_hours(grid: &Grid, piece: Piece, t: &str) -> i64 {
        Pieces::new(*grid, piece).of(at(t)).length_ms() / HOUR
    }

    #[test]
    fn days_and_months_are_as_long_as_the_clock_makes_them() {
        let grid = Grid::new(chrono_tz::America::New_York, 30).expect("a grid");
        assert_eq!(length_hours(&grid, Piece::Day, "2026-11-01T12:00:00Z"), 25);
        assert_eq!(length_hours(&grid, Piece::Day, "2026-03-08T12:00:00Z"), 23);
        assert_eq!(length_hours(&grid, Piece::Day, "2026-11-21T12:00:00Z"), 24);
        assert_eq!(length_hours(&grid, Piece::Month, "2026-11-21T12:00:00Z"), 30 * 24 + 1);
        assert_eq!(length_hours(&grid, Piece::Month, "2026-02-21T12:00:00Z"), 28 * 24);
        // The week of Sunday 2026-11-01 began on Monday; the quarter on 1 October.
        assert_eq!(length_hours(&grid, Piece::Week, "2026-11-01T12:00:00Z"), 7 * 24 + 1);
        assert_eq!(
            Pieces::new(grid, Piece::Week).of(at("2026-11-01T12:00:00Z")).start,
            at("2026-10-26T04:00:00Z")
        );
        assert_eq!(
            Pieces::new(grid, Piece::Quarter).of(at("2026-12-31T12:00:00Z")).start,
            at("2026-10-01T04:00:00Z")
        );
        assert_eq!(length_hours(&grid, Piece::Quarter, "2026-11-21T12:00:00Z"), 92 * 24 + 1);
        // 01:00 to 02:00 happens twice.
        let hours: Vec<Millis> = ["2026-11-01T05:30:00Z", "2026-11-01T06:30:00Z"]
            .iter()
            .map(|t| Pieces::new(grid, Piece::Hour).of(at(t)).start)
            .collect();
        assert_eq!(hours, [at("2026-11-01T05:00:00Z"), at("2026-11-01T06:00:00Z")]);
        assert_eq!(length_hours(&grid, Piece::Hour, "2026-11-01T06:30:00Z"), 1);
    }

    #[test]
    fn a_change_off_the_grid_cuts_the_hour() {
        // Lord Howe Island goes by half an hour: at 02:00 the clock shows 02:30.
        let grid = Grid::new(chrono_tz::Australia::Lord_Howe, 30).expect("a grid");
        let change = at("2026-10-03T15:30:00Z");
        let after = hour(&grid, change);
        assert_eq!((after.start, after.length_ms()), (change, 30 * MINUTE));
    }

    #[test]
    fn a_deadline_is_told_by_the_clock_on_the_wall() {
        let grid = Grid::new(chrono_tz::America::New_York, 30).expect("a grid");
        let deadline = |t| grid.clock(at(t), 1, 17 * 60);
        assert_eq!(deadline("2026-10-31T14:00:00Z"), Some(at("2026-11-01T22:00:00Z")));
        assert_eq!(deadline("2026-10-30T14:00:00Z"), Some(at("2026-10-31T21:00:00Z")));
        // 02:30 does not exist on the day of the change.
        assert_eq!(grid.clock(at("2026-03-07T14:00:00Z"), 1, 150), Some(at("2026-03-08T07:00:00Z")));
        assert_eq!(grid.clock(0, i64::MAX, 0), None);
    }

    #[test]
    fn the_ends_of_time_are_no_trouble() {
        let grid = Grid::new(chrono_tz::Asia::Shanghai, 30).expect("a grid");
        for piece in [Piece::Slot, Piece::Hour, Piece::Day, Piece::Week, Piece::Month, Piece::Quarter] {
            for t in [i64::MIN / 1_000, 0, TIME_MAX, i64::MAX / 1_000] {
                assert!(Pieces::new(grid, piece).of(t).length_ms() >= 0, "{piece:?} {t}");
            }
        }
    }
}
