//! Functions that clients of PostgreSQL call: who is here, what is set, how an instant is written.
//!
//! DataFusion has some of these names with another meaning (`version`, `to_char`); here they do what PostgreSQL's do.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;

use arrow::array::timezone::Tz;
use arrow::array::{Array, ArrayRef, AsArray, Int32Array, StringArray, TimestampMicrosecondArray};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Float64Type, IntervalMonthDayNanoType, IntervalUnit, TimeUnit, TimestampMicrosecondType,
};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use chrono::{DateTime, Datelike, NaiveDate, Offset, TimeDelta, TimeZone, Utc};
use datafusion::common::ScalarValue;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionImplementation, ScalarUDF, Signature, SimpleScalarUDF, TypeSignature,
    Volatility,
};

use super::super::shape::postgres_type;
use super::to_char;
use crate::access::Identity;

/// What `server_version` tells: the PostgreSQL whose catalogue is imitated.
pub const SERVER_VERSION: &str = "16.6";
const SERVER_VERSION_NUM: &str = "160006";

type Work = fn(&[ColumnarValue]) -> Result<ColumnarValue, DataFusionError>;

/// Functions that are the same for everybody.
pub(in crate::query) fn all() -> Vec<ScalarUDF> {
    use DataType::{Boolean, Int32, Int64, Utf8};
    let text = |text: &str| ScalarValue::Utf8(Some(text.to_owned()));
    let nothing = ScalarValue::Utf8(None);
    let yes = ScalarValue::Boolean(Some(true));
    let no = ScalarValue::Boolean(Some(false));
    let version = format!("PostgreSQL {SERVER_VERSION} (callpulse {})", env!("CARGO_PKG_VERSION"));
    let mut functions = vec![
        constant("version", &[0], Utf8, text(&version)),
        constant("pg_get_serial_sequence", &[2], Utf8, nothing.clone()),
        constant("pg_get_indexdef", &[1, 3], Utf8, nothing.clone()),
        constant("pg_get_functiondef", &[1], Utf8, nothing.clone()),
        constant("pg_get_function_arguments", &[1], Utf8, text("")),
        constant("pg_get_function_identity_arguments", &[1], Utf8, text("")),
        constant("pg_get_function_result", &[1], Utf8, nothing.clone()),
        constant("pg_get_function_sqlbody", &[1], Utf8, nothing.clone()),
        constant("pg_get_triggerdef", &[1, 2], Utf8, nothing.clone()),
        constant("pg_get_ruledef", &[1, 2], Utf8, nothing.clone()),
        constant("shobj_description", &[2], Utf8, nothing.clone()),
        constant("pg_tablespace_location", &[1], Utf8, nothing.clone()),
        constant("inet_server_addr", &[0], Utf8, nothing.clone()),
        constant("inet_client_addr", &[0], Utf8, nothing.clone()),
        constant("pg_function_is_visible", &[1], Boolean, yes.clone()),
        constant("pg_type_is_visible", &[1], Boolean, yes.clone()),
        constant("pg_operator_is_visible", &[1], Boolean, yes.clone()),
        constant("pg_collation_is_visible", &[1], Boolean, yes.clone()),
        constant("has_column_privilege", &[3, 4], Boolean, yes.clone()),
        constant("has_function_privilege", &[2, 3], Boolean, yes.clone()),
        constant("has_sequence_privilege", &[2, 3], Boolean, no.clone()),
        constant("pg_has_role", &[2, 3], Boolean, no.clone()),
        constant("pg_is_in_recovery", &[0], Boolean, no),
        constant("pg_my_temp_schema", &[0], Int32, ScalarValue::Int32(Some(0))),
        constant("pg_is_other_temp_schema", &[1], Boolean, ScalarValue::Boolean(Some(false))),
        constant("inet_server_port", &[0], Int32, ScalarValue::Int32(None)),
        constant("txid_current", &[0], Int64, ScalarValue::Int64(Some(1))),
        constant("pg_table_size", &[1], Int64, ScalarValue::Int64(Some(0))),
        constant("pg_indexes_size", &[1], Int64, ScalarValue::Int64(Some(0))),
        constant("pg_database_size", &[1], Int64, ScalarValue::Int64(Some(0))),
        made("to_regtype", &[1], Int32, |args| {
            let arrays = ColumnarValue::values_to_arrays(&args[..1])?;
            let names = cast(&arrays[0], &Utf8)?;
            let oids: Int32Array = names.as_string::<i32>().iter().map(|name| type_oid(name?)).collect();
            Ok(back(Arc::new(oids), args))
        }),
        made("set_config", &[3], Utf8, |args| Ok(args[1].clone())),
        made("to_char", &[2], Utf8, to_char_of),
        made("time_bucket", &[2, 3], instants(), time_bucket),
        made("pg_typeof", &[1], Utf8, |args| {
            Ok(ColumnarValue::Scalar(ScalarValue::Utf8(Some(
                postgres_type(&args[0].data_type()).0.to_owned(),
            ))))
        }),
        made("quote_literal", &[1], Utf8, |args| {
            of_texts(&args[0], |text| Some(format!("'{}'", text.replace('\'', "''"))))
        }),
        made("pg_size_pretty", &[1], Utf8, |args| of_texts(&args[0], size)),
    ];
    for name in ["json_build_object", "jsonb_build_object"] {
        let signature =
            Signature::one_of(vec![TypeSignature::Nullary, TypeSignature::VariadicAny], Volatility::Stable);
        functions.push(ScalarUDF::from(SimpleScalarUDF::new_with_signature(
            name,
            signature,
            Utf8,
            Arc::new(json_object),
        )));
    }
    for name in ["pg_ts_config_is_visible", "pg_opclass_is_visible", "pg_conversion_is_visible"] {
        functions.push(constant(name, &[1], Boolean, yes.clone()));
    }
    functions
}

/// Functions that tell of the one who asks and what is set.
pub(in crate::query) fn of_session(
    who: &Identity,
    settings: &Arc<BTreeMap<String, String>>,
) -> Vec<ScalarUDF> {
    let user = ScalarValue::Utf8(Some(who.user.clone()));
    let settings = Arc::clone(settings);
    let current_setting: ScalarFunctionImplementation = Arc::new(move |args: &[ColumnarValue]| {
        let missing_ok = match args.get(1) {
            Some(ColumnarValue::Scalar(ScalarValue::Boolean(Some(flag)))) => *flag,
            _ => false,
        };
        let names = ColumnarValue::values_to_arrays(&args[..1])?;
        let names = cast(&names[0], &DataType::Utf8)?;
        let found = names.as_string::<i32>().iter().map(|name| match name {
            None => Ok(None),
            Some(name) => match setting(&settings, name) {
                Some(value) => Ok(Some(value)),
                None if missing_ok => Ok(None),
                None => Err(DataFusionError::Plan(format!("unrecognized configuration parameter `{name}`"))),
            },
        });
        let found = found.collect::<Result<StringArray, DataFusionError>>()?;
        Ok(ColumnarValue::Array(Arc::new(found)))
    });
    vec![
        constant("session_user", &[0], DataType::Utf8, user.clone()),
        constant("current_user", &[0], DataType::Utf8, user.clone()),
        constant("current_role", &[0], DataType::Utf8, user.clone()),
        constant("getpgusername", &[0], DataType::Utf8, user),
        ScalarUDF::from(SimpleScalarUDF::new_with_signature(
            "current_setting",
            arities(&[1, 2], Volatility::Stable),
            DataType::Utf8,
            current_setting,
        )),
    ]
}

/// The value of a setting, by its name in whatever letters: what was set, else what PostgreSQL would tell.
pub fn setting(settings: &BTreeMap<String, String>, name: &str) -> Option<String> {
    let name = name.to_ascii_lowercase();
    if let Some(value) = settings.get(&name) {
        return Some(value.clone());
    }
    let value = match name.as_str() {
        "server_version" => SERVER_VERSION,
        "server_version_num" => SERVER_VERSION_NUM,
        "server_encoding" | "client_encoding" => "UTF8",
        "search_path" => "public",
        "timezone" => "UTC",
        "datestyle" => "ISO, YMD",
        "intervalstyle" => "postgres",
        "integer_datetimes" | "standard_conforming_strings" => "on",
        "transaction_read_only" | "default_transaction_read_only" => "on",
        "in_hot_standby" | "is_superuser" | "row_security" | "transaction_deferrable" => "off",
        "transaction_isolation" | "default_transaction_isolation" => "read committed",
        "statement_timeout" | "lock_timeout" | "idle_in_transaction_session_timeout" => "0",
        "extra_float_digits" => "1",
        "bytea_output" => "hex",
        "application_name" => "",
        "max_identifier_length" => "63",
        "max_index_keys" => "32",
        "block_size" => "8192",
        "lc_collate" | "lc_ctype" | "lc_messages" | "lc_monetary" | "lc_numeric" | "lc_time" => "C.UTF-8",
        "client_min_messages" => "notice",
        "escape_string_warning" => "on",
        "default_tablespace" | "temp_tablespaces" | "shared_preload_libraries" => "",
        _ => return None,
    };
    Some(value.to_owned())
}

fn arities(counts: &[usize], volatility: Volatility) -> Signature {
    let kinds = counts.iter().map(|count| match count {
        0 => TypeSignature::Nullary,
        count => TypeSignature::Any(*count),
    });
    Signature::one_of(kinds.collect(), volatility)
}

fn constant(name: &str, counts: &[usize], returns: DataType, value: ScalarValue) -> ScalarUDF {
    let fun: ScalarFunctionImplementation =
        Arc::new(move |_: &[ColumnarValue]| Ok(ColumnarValue::Scalar(value.clone())));
    ScalarUDF::from(SimpleScalarUDF::new_with_signature(
        name,
        arities(counts, Volatility::Immutable),
        returns,
        fun,
    ))
}

fn made(name: &str, counts: &[usize], returns: DataType, work: Work) -> ScalarUDF {
    ScalarUDF::from(SimpleScalarUDF::new_with_signature(
        name,
        arities(counts, Volatility::Immutable),
        returns,
        Arc::new(work),
    ))
}

/// The number of a type by the name that `postgres_type` gives, or by an alias of it; `None` where there is none of that name.
fn type_oid(name: &str) -> Option<i32> {
    Some(match name.trim().to_ascii_lowercase().as_str() {
        "boolean" | "bool" => 16,
        "bytea" => 17,
        "bigint" | "int8" => 20,
        "smallint" | "int2" => 21,
        "integer" | "int" | "int4" => 23,
        "text" => 25,
        "json" => 114,
        "real" | "float4" => 700,
        "double precision" | "float8" => 701,
        "character varying" | "varchar" => 1043,
        "date" => 1082,
        "time without time zone" | "time" => 1083,
        "timestamp without time zone" | "timestamp" => 1114,
        "timestamp with time zone" | "timestamptz" => 1184,
        "interval" => 1186,
        "numeric" | "decimal" => 1700,
        "uuid" => 2950,
        "jsonb" => 3802,
        _ => return None,
    })
}

fn of_texts(
    arg: &ColumnarValue,
    work: impl Fn(&str) -> Option<String>,
) -> Result<ColumnarValue, DataFusionError> {
    let arrays = ColumnarValue::values_to_arrays(std::slice::from_ref(arg))?;
    let texts = cast(&arrays[0], &DataType::Utf8)?;
    let worked: StringArray = texts.as_string::<i32>().iter().map(|text| text.and_then(&work)).collect();
    Ok(back(Arc::new(worked), std::slice::from_ref(arg)))
}

/// A scalar where all arguments were scalars, so that constants fold.
fn back(array: ArrayRef, args: &[ColumnarValue]) -> ColumnarValue {
    let scalars = args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
    match ScalarValue::try_from_array(&array, 0) {
        Ok(value) if scalars && array.len() == 1 => ColumnarValue::Scalar(value),
        _ => ColumnarValue::Array(array),
    }
}

fn size(bytes: &str) -> Option<String> {
    let bytes: f64 = bytes.parse().ok()?;
    let units = ["bytes", "kB", "MB", "GB", "TB"];
    let at = (0..units.len() - 1)
        .find(|at| bytes.abs() < 10240.0 * 1024_f64.powi(*at as i32))
        .unwrap_or(units.len() - 1);
    Some(format!("{:.0} {}", bytes / 1024_f64.powi(at as i32), units[at]))
}

/// Instants as every table holds them.
fn instants() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

fn wrong(message: String) -> DataFusionError {
    DataFusionError::Execution(message)
}

/// An object of names and values that follow each other.
fn json_object(args: &[ColumnarValue]) -> Result<ColumnarValue, DataFusionError> {
    let arrays = ColumnarValue::values_to_arrays(args)?;
    let rows = arrays.first().map_or(1, |array| array.len());
    let options = FormatOptions::default();
    let formatters = arrays.iter().map(|array| ArrayFormatter::try_new(array, &options));
    let formatters = formatters.collect::<Result<Vec<_>, _>>()?;
    let text = |at: usize, row: usize| formatters[at].value(row).try_to_string();
    let mut objects = Vec::with_capacity(rows);
    for row in 0..rows {
        let mut object = serde_json::Map::new();
        for at in (0..arrays.len().saturating_sub(1)).step_by(2) {
            let value = &arrays[at + 1];
            let written = match value.data_type() {
                _ if value.is_null(row) => serde_json::Value::Null,
                kind if kind.is_numeric() || *kind == DataType::Boolean => {
                    serde_json::from_str(&text(at + 1, row)?).unwrap_or(serde_json::Value::Null)
                }
                _ => serde_json::Value::String(text(at + 1, row)?),
            };
            object.insert(text(at, row)?, written);
        }
        objects.push(Some(serde_json::Value::Object(object).to_string()));
    }
    Ok(back(Arc::new(objects.into_iter().collect::<StringArray>()), args))
}

fn to_char_of(args: &[ColumnarValue]) -> Result<ColumnarValue, DataFusionError> {
    let arrays = ColumnarValue::values_to_arrays(args)?;
    let patterns = cast(&arrays[1], &DataType::Utf8)?;
    let patterns = patterns.as_string::<i32>();
    let written: StringArray = match arrays[0].data_type() {
        kind @ (DataType::Timestamp(..) | DataType::Date32 | DataType::Date64) => {
            let zone = match kind {
                DataType::Timestamp(_, Some(name)) => Some((Tz::from_str(name)?, name.to_string())),
                _ => None,
            };
            let moments = cast(&arrays[0], &instants())?;
            let moments = moments.as_primitive::<TimestampMicrosecondType>();
            let pairs = moments.iter().zip(patterns);
            pairs
                .map(|(micros, pattern)| {
                    let at = DateTime::from_timestamp_micros(micros?)?;
                    let (local, name) = match &zone {
                        None => (at, "UTC"),
                        Some((zone, name)) => {
                            let offset =
                                zone.offset_from_utc_datetime(&at.naive_utc()).fix().local_minus_utc();
                            (
                                at.checked_add_signed(TimeDelta::try_seconds(i64::from(offset))?)?,
                                name.as_str(),
                            )
                        }
                    };
                    Some(to_char::instant(local, pattern?, name))
                })
                .collect()
        }
        kind if kind.is_numeric() || *kind == DataType::Null => {
            let numbers = cast(&arrays[0], &DataType::Float64)?;
            let pairs = numbers.as_primitive::<Float64Type>().iter().zip(patterns);
            pairs.map(|(number, pattern)| Some(to_char::number(number?, pattern?))).collect()
        }
        kind => {
            return Err(DataFusionError::Plan(format!(
                "`to_char` writes timestamps, dates and numbers, not {}",
                postgres_type(kind).0
            )));
        }
    };
    Ok(back(Arc::new(written), args))
}

/// How wide a bucket is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Width {
    Micros(i64),
    Months(i32),
}

impl Width {
    fn of_interval(months: i32, days: i32, nanos: i64) -> Result<Self, DataFusionError> {
        let micros =
            i64::from(days).checked_mul(86_400_000_000).and_then(|days| days.checked_add(nanos / 1_000));
        match (months, micros) {
            (1.., Some(0)) => Ok(Self::Months(months)),
            (0, Some(micros @ 1..)) => Ok(Self::Micros(micros)),
            _ => Err(wrong(
                "the width of `time_bucket` is above zero, and months do not mix with days".to_owned(),
            )),
        }
    }

    /// `900.000s`, `15 minutes`, `1h`, `1 day`, `1 month`, `00:15:00`.
    fn of_text(text: &str) -> Result<Self, DataFusionError> {
        let bad = || {
            wrong(format!("`{text}` is no width of `time_bucket`, such as `15 minutes`, `900s` or `1 month`"))
        };
        let text = text.trim();
        if let Some((hours, rest)) = text.split_once(':') {
            let (minutes, seconds) = rest.split_once(':').unwrap_or((rest, "0"));
            let number = |text: &str| text.parse::<f64>().map_err(|_| bad());
            let seconds = number(hours)? * 3600.0 + number(minutes)? * 60.0 + number(seconds)?;
            return Self::of_interval(0, 0, (seconds * 1e9) as i64);
        }
        let (mut months, mut days, mut nanos) = (0_i32, 0_i32, 0_f64);
        let mut rest = text;
        while !rest.is_empty() {
            let split = rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).ok_or_else(bad)?;
            let number: f64 = rest[..split].parse().map_err(|_| bad())?;
            rest = rest[split..].trim_start();
            let split = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
            let unit = rest[..split].to_ascii_lowercase();
            rest = rest[split..].trim_start();
            match unit.as_str() {
                "us" | "microsecond" | "microseconds" => nanos += number * 1e3,
                "ms" | "millisecond" | "milliseconds" => nanos += number * 1e6,
                "s" | "sec" | "secs" | "second" | "seconds" => nanos += number * 1e9,
                "m" | "min" | "mins" | "minute" | "minutes" => nanos += number * 60e9,
                "h" | "hour" | "hours" => nanos += number * 3600e9,
                "d" | "day" | "days" => days += number as i32,
                "w" | "week" | "weeks" => days += (number * 7.0) as i32,
                "mon" | "month" | "months" => months += number as i32,
                "y" | "year" | "years" => months += (number * 12.0) as i32,
                _ => return Err(bad()),
            }
        }
        Self::of_interval(months, days, nanos as i64)
    }

    /// Start of the bucket around `at`. Buckets of days and less are counted from a Monday, those of months from a
    /// January, as in TimescaleDB.
    fn start(self, at: i64, origin: Option<i64>) -> Option<i64> {
        match self {
            Self::Micros(width) => {
                // 2000-01-03, a Monday.
                let origin = origin.unwrap_or(946_857_600_000_000);
                at.checked_sub(origin)?.div_euclid(width).checked_mul(width)?.checked_add(origin)
            }
            Self::Months(width) => {
                let months = |micros: i64| {
                    let date = DateTime::from_timestamp_micros(micros)?;
                    date.year().checked_mul(12)?.checked_add(i32::try_from(date.month0()).ok()?)
                };
                let origin = origin.map_or(Some(2000 * 12), months)?;
                let start = (months(at)? - origin).div_euclid(width) * width + origin;
                let date = NaiveDate::from_ymd_opt(start.div_euclid(12), start.rem_euclid(12) as u32 + 1, 1)?;
                Some(Utc.from_utc_datetime(&date.and_hms_opt(0, 0, 0)?).timestamp_micros())
            }
        }
    }
}

fn time_bucket(args: &[ColumnarValue]) -> Result<ColumnarValue, DataFusionError> {
    let arrays = ColumnarValue::values_to_arrays(args)?;
    let widths: Vec<Option<Width>> = match arrays[0].data_type() {
        DataType::Interval(_) => {
            let widths = cast(&arrays[0], &DataType::Interval(IntervalUnit::MonthDayNano))?;
            let widths = widths.as_primitive::<IntervalMonthDayNanoType>().iter();
            let widths = widths.map(|width| {
                width.map(|width| Width::of_interval(width.months, width.days, width.nanoseconds)).transpose()
            });
            widths.collect::<Result<_, _>>()?
        }
        _ => {
            let texts = cast(&arrays[0], &DataType::Utf8)?;
            let widths = texts.as_string::<i32>().iter().map(|text| text.map(Width::of_text).transpose());
            widths.collect::<Result<_, _>>()?
        }
    };
    let moments = cast(&arrays[1], &instants())?;
    let origins = arrays.get(2).map(|origins| cast(origins, &instants())).transpose()?;
    let origins = origins.as_ref().map(|origins| origins.as_primitive::<TimestampMicrosecondType>());
    let moments = moments.as_primitive::<TimestampMicrosecondType>();
    let starts = moments.iter().enumerate().map(|(row, at)| {
        let origin = origins.and_then(|origins| origins.is_valid(row).then(|| origins.value(row)));
        widths.get(row).copied().flatten()?.start(at?, origin)
    });
    let starts: TimestampMicrosecondArray = starts.collect();
    Ok(back(Arc::new(starts.with_timezone("UTC")), args))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn micros(text: &str) -> i64 {
        DateTime::parse_from_rfc3339(text).expect("an instant of the test").timestamp_micros()
    }

    #[test]
    fn buckets_begin_where_timescale_s_begin() {
        let at = micros("2026-03-04T10:52:30Z");
        let cases = [
            ("15 minutes", "2026-03-04T10:45:00Z"),
            ("900.000s", "2026-03-04T10:45:00Z"),
            ("00:15:00", "2026-03-04T10:45:00Z"),
            ("1h", "2026-03-04T10:00:00Z"),
            ("1 day", "2026-03-04T00:00:00Z"),
            ("1 week", "2026-03-02T00:00:00Z"),
            ("1 month", "2026-03-01T00:00:00Z"),
            ("3 months", "2026-01-01T00:00:00Z"),
            ("1 year", "2026-01-01T00:00:00Z"),
        ];
        for (width, wanted) in cases {
            let width = Width::of_text(width).expect("a width");
            assert_eq!(width.start(at, None), Some(micros(wanted)), "{width:?}");
        }
        for bad in ["", "x", "0 s", "-1 h", "1 fortnight", "1 month 1 day", "::"] {
            assert!(Width::of_text(bad).is_err(), "{bad}");
        }
        let offset = Width::of_text("1h").expect("a width").start(at, Some(micros("2026-03-04T00:30:00Z")));
        assert_eq!(offset, Some(micros("2026-03-04T10:30:00Z")));
    }

    #[test]
    fn every_type_that_is_told_has_a_number() {
        let kinds = [
            DataType::Boolean,
            DataType::Int64,
            DataType::Float64,
            DataType::Utf8,
            DataType::Date32,
            instants(),
        ];
        for kind in kinds {
            let (standard, short) = postgres_type(&kind);
            assert!(type_oid(standard).is_some(), "{standard}");
            assert_eq!(type_oid(standard), type_oid(short), "{standard}");
        }
        assert_eq!(type_oid("hstore"), None);
    }

    #[test]
    fn what_was_set_comes_before_what_is_usual() {
        let mut settings = BTreeMap::new();
        assert_eq!(setting(&settings, "server_version_num").as_deref(), Some("160006"));
        assert_eq!(setting(&settings, "no_such_thing"), None);
        settings.insert("application_name".to_owned(), "psql".to_owned());
        assert_eq!(setting(&settings, "Application_Name").as_deref(), Some("psql"));
    }
}
