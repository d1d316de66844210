//! `forecast`: what is expected, who is needed, and how wrong it was before.

mod input;
mod pairs;
mod report;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use clap::Args;
use futures::{StreamExt, TryStreamExt};

use super::sql::{Directory, of_query};
use super::{days, print};
use crate::app::forecast::{Options, make, options};
use crate::app::{Failure, duty, lexicons, settings};
use crate::config::Config;
use crate::facts::{FORECASTS, SHIFTS, TableSet};
use crate::forecast::{History, Plan, Step, back_test};
use crate::lake::{Append, Lake, Range};
use crate::query::output::{Format, encode};
use crate::query::{self, Answer, Cut, Engine, Source};
use crate::time::Millis;
use input::Series;
use pairs::Pairs;

/// What was typed.
#[derive(Debug, Args)]
pub(super) struct Request {
    /// Only this queue.
    #[arg(long, value_name = "Q")]
    pub(super) queue: Option<String>,
    /// How far ahead, in days, e.g. 31d.
    #[arg(long, value_name = "TIME", value_parser = days)]
    pub(super) horizon: Option<usize>,
    /// Prints the error of each model on the past instead.
    #[arg(long)]
    pub(super) backtest: bool,
    /// With --backtest: a CSV that is written with every forecast and what came.
    #[arg(long, value_name = "FILE", requires = "backtest")]
    pub(super) pairs: Option<PathBuf>,
    /// A roster (CSV with the fields of `shift.planned`) to hold against the one in the lake; nothing is kept.
    #[arg(long, value_name = "FILE", conflicts_with = "backtest")]
    pub(super) roster: Option<PathBuf>,
    /// With --backtest: a series to take instead of the lake, as CSV of time and count.
    #[arg(long, value_name = "FILE")]
    pub(super) history: Option<PathBuf>,
    /// Own events (CSV with start, end, kind) instead of those of the configuration.
    #[arg(long, value_name = "FILE")]
    pub(super) events: Option<PathBuf>,
    /// How the slots are written.
    #[arg(long, default_value = "table", value_parser = ["table", "csv", "json", "arrow"])]
    pub(super) format: String,
}

/// Runs the command.
///
/// # Errors
/// A file or the lake that cannot be read or is wrong; nothing to forecast from.
pub(super) async fn forecast(config: &Config, request: Request) -> Result<(), Failure> {
    let options = options(config, request.horizon, request.events.as_deref())?;
    if let Some(path) = &request.history {
        if !request.backtest || request.roster.is_some() {
            return Err(Failure::usage("`--history` is for `--backtest`")
                .hint("replay events into a lake to forecast slots and staff from them"));
        }
        return of_file(path, request.pairs.as_deref(), &options);
    }
    let format: Format = request.format.parse().map_err(Failure::usage)?;
    let directory = Directory::open(config, &lexicons::shelf(config)?).await?;
    let cut = directory.cut(TableSet::ALL).await.map_err(of_query)?;
    let engine = engine(config, cut.clone())?;
    let now = cut.now;
    let since = make::history_start(now);
    let pasts = make::read(&engine, &options, request.queue.as_deref(), since).await.map_err(of_query)?;
    if pasts.is_empty() {
        let what = request.queue.as_ref().map_or("any queue".to_owned(), |queue| format!("queue `{queue}`"));
        return Err(Failure::input(format!("`{}` has no contact of {what}", config.data_dir)).hint(
            "`callpulse replay` or `run` fills a lake; --history FILE back-tests a series without one",
        ));
    }
    if request.backtest {
        let mut pairs = request.pairs.as_deref().map(Pairs::create).transpose()?;
        for (key, past) in &pasts {
            let title = format!("queue {}, {}", key.queue, key.channel);
            of_slots(&title, &past.history, options.grid.date(now), &options, pairs.as_mut())?;
        }
        return pairs.map_or(Ok(()), Pairs::finish);
    }
    let learned = make::learn_all(&pasts, &options, now, options.daily_plan());
    let batch = make::rows(&learned, &pasts, &options, now, make::Version::Full).finish();
    if batch.num_rows() == 0 {
        return Err(Failure::input("nothing has come yet in any queue, so that nothing can be expected"));
    }
    for (key, (_, learned)) in &learned {
        eprintln!("{}", report::says_of_itself(&format!("{}, {}", key.queue, key.channel), learned));
    }
    let mut after = with(&cut, &FORECASTS, batch.clone());
    match &request.roster {
        None => {
            save(config, batch).await?;
            let engine = self::engine(config, after)?;
            let sql = format!("{STAFF} WHERE made_at = {} {}", instant(now), ORDER);
            let answer = engine.query(&sql).await.map_err(of_query)?;
            write(answer, format).await
        }
        Some(path) => {
            let before = self::engine(config, after.clone())?;
            let roster = duty::roster_of(path, &options.grid)?;
            after.committed.remove(SHIFTS.name);
            after.memory.retain(|(table, _)| table.name != SHIFTS.name);
            after.memory.extend(duty::shift_rows(&roster, &options.grid, now));
            let after = self::engine(config, after)?;
            what_if(&before, &after, now, format).await
        }
    }
}

const STAFF: &str = "SELECT slot_start, channel, queue, contacts, contacts_low, contacts_high, aht_seconds, load_erlangs, \
    agents_on_seat, agents_required, agents_staffed, gap, expected_service_level, expected_occupancy, fails, model \
    FROM staff_slot";
const ORDER: &str = "ORDER BY slot_start, queue, channel";

/// The coverage and the scores under two rosters, side by side: the coverage as data; the scores too where they are read by
/// people, else on stderr, so that a program finds one table.
async fn what_if(before: &Engine, after: &Engine, now: Millis, format: Format) -> Result<(), Failure> {
    let sql = format!("{STAFF} WHERE slot_start >= slot({}) {ORDER}", instant(now));
    let (old, new) = (rows(before, &sql).await?, rows(after, &sql).await?);
    let kept = ["slot_start", "channel", "queue", "contacts", "agents_required"];
    let compared = ["agents_staffed", "gap", "expected_service_level", "fails"];
    let mut columns = Vec::new();
    for name in kept {
        columns.push((name.to_owned(), old.column_by_name(name).map(Arc::clone)));
    }
    // The forecast is the same, and so are its slots and their order.
    for name in compared {
        columns.push((format!("{name}_before"), old.column_by_name(name).map(Arc::clone)));
        columns.push((format!("{name}_after"), new.column_by_name(name).map(Arc::clone)));
    }
    let columns = columns.into_iter().filter_map(|(name, column)| Some((name, column?, true)));
    let coverage =
        RecordBatch::try_from_iter_with_nullable(columns).map_err(|e| Failure::bug(e.to_string()))?;
    write(Answer::of_batch(coverage), format).await?;

    let scores = |roster: &str| {
        format!(
            "SELECT start AS day, department, '{roster}' AS roster, score, fit, under, over, failing_slots, failing_share, \
             mean_occupancy, preferred_share, rest_kept_share, late_change_share FROM schedule_score \
             WHERE period = 'day' AND start >= local_day({}) ORDER BY 1, 2",
            instant(now)
        )
    };
    let (old, new) = (rows(before, &scores("before")).await?, rows(after, &scores("after")).await?);
    let both =
        concat_batches(&old.schema(), [&old, &new]).map_err(|error| Failure::bug(error.to_string()))?;
    match format {
        Format::Table => write(Answer::of_batch(both), format).await,
        _ => {
            let parts: Vec<bytes::Bytes> =
                encode(Answer::of_batch(both), Format::Table).try_collect().await.map_err(of_query)?;
            eprintln!("{}", String::from_utf8_lossy(&parts.concat()));
            Ok(())
        }
    }
}

/// All rows of a statement.
async fn rows(engine: &Engine, sql: &str) -> Result<RecordBatch, Failure> {
    let answer = engine.query(sql).await.map_err(of_query)?;
    let schema = Arc::clone(&answer.schema);
    let batches = answer.collect().await.map_err(of_query)?;
    concat_batches(&schema, &batches).map_err(|error| Failure::bug(error.to_string()))
}

async fn write(answer: Answer, format: Format) -> Result<(), Failure> {
    let mut bytes = Box::pin(encode(answer, format));
    while let Some(bytes) = bytes.next().await {
        print(&bytes.map_err(of_query)?)?;
    }
    Ok(())
}

/// An instant as SQL.
fn instant(at: Millis) -> String {
    format!("arrow_cast({}, 'Timestamp(Microsecond, Some(\"UTC\"))')", at.saturating_mul(1_000))
}

/// The cut with further rows in memory.
fn with(cut: &Cut, table: &'static crate::facts::Table, rows: RecordBatch) -> Cut {
    let mut cut = cut.clone();
    cut.memory.push((table, rows));
    cut
}

/// A source that is always the same cut.
struct Still(Cut);

#[async_trait::async_trait]
impl Source for Still {
    async fn cut(&self, _wanted: TableSet) -> Result<Cut, query::Error> {
        Ok(self.0.clone())
    }
}

fn engine(config: &Config, cut: Cut) -> Result<Engine, Failure> {
    Engine::new(settings::query_alone(config, None), Arc::new(Still(cut)))
        .map_err(|error| Failure::bug(error.to_string()))
}

/// The name under which versions of forecasts of this command count their positions in the table.
const OF_COMMAND: &str = "callpulse/forecast/command";

/// Appends a version to the lake.
async fn save(config: &Config, rows: RecordBatch) -> Result<(), Failure> {
    let lake = Lake::open(settings::lake(config)).await.map_err(Failure::of_lake)?;
    let from = lake.positions(OF_COMMAND, 0).await.map_err(Failure::of_lake)?;
    let from = from.get(FORECASTS.name).copied().unwrap_or(0);
    append(&lake, OF_COMMAND, from, rows).await.map_err(Failure::of_lake)?;
    Ok(())
}

/// One version into the table, whose position it moves on by one.
async fn append(lake: &Lake, topic: &str, from: i64, rows: RecordBatch) -> Result<(), crate::lake::Error> {
    let range = Range { topic: topic.to_owned(), partition: 0, from, to: from + 1 };
    lake.append(Append { tables: vec![(&FORECASTS, vec![rows])], ranges: vec![range] }).await.map(|_| ())
}

/// Back-tests a series that is no lake.
fn of_file(path: &Path, pairs: Option<&Path>, options: &Options) -> Result<(), Failure> {
    let title = path.display().to_string();
    let series = input::series(path)?;
    let mut pairs = pairs.map(Pairs::create).transpose()?;
    match series {
        Series::Slots(history) => {
            let end = history.end().unwrap_or_default();
            of_slots(&title, &history, end, options, pairs.as_mut())?;
        }
        Series::Steps(series, step) => {
            let horizon = if step == Step::Month { options.horizon.min(12) } else { options.horizon };
            let test = back_test(&series, step, &options.calendar, Plan::usual(step, horizon));
            if let Some(pairs) = &mut pairs {
                pairs.steps(&title, &test, step)?;
            }
            print(report::of_steps(&title, &test, step).as_bytes())?;
        }
    }
    pairs.map_or(Ok(()), Pairs::finish)
}

/// Back-tests a history of slots that ends before a date.
fn of_slots(
    title: &str,
    history: &History,
    end: i32,
    options: &Options,
    pairs: Option<&mut Pairs>,
) -> Result<(), Failure> {
    let plan = Plan::usual(Step::Day, options.horizon);
    let test = back_test(&history.daily(end), Step::Day, &options.calendar, plan);
    if let Some(pairs) = pairs {
        pairs.steps(title, &test, Step::Day)?;
        pairs.slots(title, history, &options.calendar, &test)?;
    }
    print(report::of_slots(title, history, &options.calendar, &test).as_bytes())
}
