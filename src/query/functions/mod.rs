//! SQL functions: thin coats over pure functions of other rooms.
//!
//! Each has a description and an example that a test runs ([`DOCS`]).

mod cover;
mod erlang;
mod lists;
mod local_time;
pub(super) mod postgres;
mod sketch;
mod to_char;
mod words;

pub use lists::{elements, over_list, wanted_list};
pub use postgres::{SERVER_VERSION, setting};

use std::sync::Arc;

use datafusion::error::DataFusionError;
use datafusion::execution::FunctionRegistry;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{AggregateUDF, ScalarUDF};

use super::Options;

/// What the manual says about one function.
#[derive(Debug, Clone, Copy)]
pub struct FunctionDoc {
    /// Its name and arguments, as one calls it.
    pub call: &'static str,
    /// What it gives.
    pub means: &'static str,
    /// A statement that runs, also without any row.
    pub example: &'static str,
}

/// Every function of callpulse, in the order of the manual.
pub static DOCS: &[FunctionDoc] = &[
    FunctionDoc {
        call: "slot(ts)",
        means: "Start of the slot of the centre's day in which ts lies, a timestamp in UTC.",
        example: "SELECT slot(TIMESTAMP '2026-11-21T01:10:00Z')",
    },
    FunctionDoc {
        call: "local_hour(ts)",
        means: "Start of the hour of the centre's clock in which ts lies; a repeated hour is its own hour.",
        example: "SELECT local_hour(TIMESTAMP '2026-11-21T01:10:00Z')",
    },
    FunctionDoc {
        call: "local_day(ts)",
        means: "Start of the centre's day in which ts lies.",
        example: "SELECT local_day(now())",
    },
    FunctionDoc {
        call: "local_month(ts)",
        means: "Start of the centre's month in which ts lies.",
        example: "SELECT local_month(now())",
    },
    FunctionDoc {
        call: "local_week(ts), local_quarter(ts)",
        means: "Start of the centre's week (Monday) or quarter in which ts lies; local_week_length_ms and local_quarter_length_ms tell how long it is.",
        example: "SELECT local_week(now()), local_quarter(now()), local_week_length_ms(now()), local_quarter_length_ms(now())",
    },
    FunctionDoc {
        call: "slot_length_ms(ts), local_hour_length_ms(ts), local_day_length_ms(ts), local_month_length_ms(ts)",
        means: "Length of the piece in which ts lies, in ms; a day of 23 or 25 hours has that length.",
        example: "SELECT slot_length_ms(now()), local_hour_length_ms(now()), local_day_length_ms(now()), local_month_length_ms(now())",
    },
    FunctionDoc {
        call: "slots(from, until), local_days(from, until)",
        means: "Starts of the slots or days that the interval [from, until) touches, as a list; at most 35,136.",
        example: "SELECT unnest(slots(TIMESTAMP '2026-11-21T01:10:00Z', TIMESTAMP '2026-11-21T02:10:00Z'))",
    },
    FunctionDoc {
        call: "local_clock(ts, days, minutes)",
        means: "The instant at which, so many days after ts, the centre's clock shows so many minutes after midnight.",
        example: "SELECT local_clock(TIMESTAMP '2026-11-21T01:10:00Z', 1, 17 * 60)",
    },
    FunctionDoc {
        call: "local_date(ts), local_time(ts)",
        means: "The date that the centre's clock shows at ts, and date and time of day as text; all other times are UTC.",
        example: "SELECT local_date(TIMESTAMP '2026-11-21T01:10:00Z'), local_time(TIMESTAMP '2026-11-21T01:10:00Z')",
    },
    FunctionDoc {
        call: "call_back_deadline(ts)",
        means: "By when a complaint that was opened at ts must be called back about: 17:00 of the next day, or of the next working \
                day where quality.call_back_by says so.",
        example: "SELECT call_back_deadline(TIMESTAMP '2026-11-21T01:10:00Z')",
    },
    FunctionDoc {
        call: "erlang_c_agents(calls, aht_seconds, interval_seconds, target_wait_seconds, service_level)",
        means: "The smallest crew with which that share of calls waits no longer than the target, by Erlang C.",
        example: "SELECT erlang_c_agents(100, 180, 1800, 20, 0.8)",
    },
    FunctionDoc {
        call: "erlang_c_service_level(agents, calls, aht_seconds, interval_seconds, target_wait_seconds)",
        means: "The share of calls that wait no longer than the target, by Erlang C.",
        example: "SELECT erlang_c_service_level(14, 100, 180, 1800, 20)",
    },
    FunctionDoc {
        call: "erlang_c_asa(agents, calls, aht_seconds, interval_seconds)",
        means: "The mean wait in seconds, by Erlang C; NULL where the crew is no larger than the load.",
        example: "SELECT erlang_c_asa(14, 100, 180, 1800)",
    },
    FunctionDoc {
        call: "erlang_a_abandon(agents, calls, aht_seconds, interval_seconds, patience_seconds)",
        means: "The share of calls that are abandoned, by Erlang A with that mean patience.",
        example: "SELECT erlang_a_abandon(14, 100, 180, 1800, 120)",
    },
    FunctionDoc {
        call: "sentiment(text)",
        means: "Sentiment of a text as said by a customer, -1 to 1, by the lexicons in force; 0 where nothing speaks for either.",
        example: "SELECT sentiment('太慢了，我要投诉')",
    },
    FunctionDoc {
        call: "keywords(text)",
        means: "Phrases of the lexicons' categories in a text, whoever says it, as category:phrase separated by semicolons; NULL where there is none.",
        example: "SELECT keywords('太慢了，我要投诉')",
    },
    FunctionDoc {
        call: "mask(text)",
        means: "The text with personal data masked, as texts are stored; its length in bytes stays.",
        example: "SELECT mask('我的电话是13812345678')",
    },
    FunctionDoc {
        call: "duration_sketch(ms), merge_sketch(sketch)",
        means: "Aggregates: a sketch of durations, and the sketch of several ones together.",
        example: "SELECT merge_sketch(s) FROM (SELECT duration_sketch(value) AS s FROM generate_series(1, 100))",
    },
    FunctionDoc {
        call: "sketch_seconds(sketch, share)",
        means: "The duration in seconds that this share of a sketch's durations does not exceed, within 1 %.",
        example: "SELECT sketch_seconds(duration_sketch(value), 0.9) FROM generate_series(1, 100)",
    },
    FunctionDoc {
        call: "covered_ms(from, until)",
        means: "Aggregate: the time that the intervals [from, until) cover together, in ms; what overlaps counts once.",
        example: "SELECT covered_ms(f, t) FROM (VALUES (TIMESTAMP '2026-11-21T01:00:00Z', TIMESTAMP '2026-11-21T01:10:00Z')) AS v (f, t)",
    },
    FunctionDoc {
        call: "to_char(ts, pattern), to_char(number, pattern)",
        means: "A timestamp or a number as text, by the template patterns of PostgreSQL.",
        example: "SELECT to_char(now(), 'YYYY-MM-DD HH24:MI'), to_char(1234.5, 'FM9,990.00')",
    },
    FunctionDoc {
        call: "time_bucket(width, ts), time_bucket(width, ts, origin)",
        means: "Start of the bucket of that width around ts, as in TimescaleDB: from a Monday, months from a January.",
        example: "SELECT time_bucket('15 minutes', now())",
    },
    FunctionDoc {
        call: "version(), current_setting(name)",
        means: "What PostgreSQL tells its clients: the version whose catalogue is imitated, and what is set.",
        example: "SELECT version(), current_setting('server_version_num')",
    },
];

/// Adds every function to `state`.
pub(super) fn register(state: &mut SessionState, options: &Options) -> Result<(), DataFusionError> {
    for function in local_time::all(options.grid, &options.deadlines)
        .into_iter()
        .chain(erlang::all())
        .chain(postgres::all())
        .chain(words::all(options.reader.clone()))
        .chain(lists::all())
    {
        state.register_udf(Arc::new(function))?;
    }
    state.register_udf(Arc::new(ScalarUDF::from(sketch::SketchSeconds::new())))?;
    for aggregate in [
        AggregateUDF::from(sketch::DurationSketch::new()),
        AggregateUDF::from(sketch::MergeSketch::new()),
        AggregateUDF::from(cover::Covered::new()),
    ] {
        state.register_udaf(Arc::new(aggregate))?;
    }
    Ok(())
}
