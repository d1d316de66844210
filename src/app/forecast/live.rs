//! The service's side: forecasts anew at its start, each day and at each slot's close, and what is planned for the running slot.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Float64Type, Int64Type};
use tokio_util::sync::CancellationToken;

use super::make::{self, AllLearned, Key, Options, Past, Version};
use crate::app::board::Board;
use crate::event::Channel;
use crate::facts::FORECASTS;
use crate::metrics::SlotPlan;
use crate::query::{self, Engine};
use crate::rules::PlannedSlot;
use crate::time::{Clock, DAY, Millis, SECOND};

/// How often the running slot's plan is looked at: a change of the roster must be visible within 5 s …
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// … and more seldom where a look takes long: one part of so many of the time goes into looks …
const LOOK_SHARE: u32 = 10;
/// … but at least this often.
const LOOK_AT_LEAST: Duration = Duration::from_secs(4);
/// What came last in a slot is read this long after it ends.
const SETTLE: Millis = 2_000;
/// How far ahead slots are watched: what comes then can still be mended.
const AHEAD: Millis = 3 * DAY;
/// Numbers that tell one roster from another.
const ROSTER_NUMBERS: usize = 6;
/// How often a look is put off at most while the past is still being read: for a minute. What is planned is not known before,
/// and asking takes from the reading.
const PUT_OFF_MAX: u32 = 30;
/// How much older than the present the newest complete instant may be, beside what is waited for late events anyway.
const BEHIND: Millis = 60 * SECOND;
/// The name under which versions of the service count their positions in the table.
const OF_SERVICE: &str = "callpulse/forecast/service";
/// How long to wait after a failure.
const AGAIN: Duration = Duration::from_secs(30);

/// Forecasts until it is told to stop. A failure is logged and tried again later; it stops nothing else.
pub(in crate::app) async fn run(
    board: Arc<Board>,
    engine: Arc<Engine>,
    clock: Arc<dyn Clock>,
    options: Options,
    stop: CancellationToken,
) {
    let mut state = State {
        pasts: BTreeMap::new(),
        learned: AllLearned::new(),
        day: None,
        slot_end: Millis::MIN,
        roster: None,
        read: None,
        put_off: 0,
        provisional: None,
    };
    loop {
        let began = Instant::now();
        let pause = match step(&board, &engine, clock.as_ref(), &options, &mut state).await {
            Ok(()) => (began.elapsed() * LOOK_SHARE).clamp(LOOK_EVERY, LOOK_AT_LEAST),
            Err(error) => {
                tracing::debug!(%error, "the forecast cannot be made now; it is tried again");
                if board.is_starting() { LOOK_EVERY } else { AGAIN }
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// What is kept between looks.
struct State {
    pasts: BTreeMap<Key, Past>,
    learned: AllLearned,
    /// The date for which was learned.
    day: Option<i32>,
    /// The end of the slot for which was forecast last.
    slot_end: Millis,
    /// What the roster was when the plan was last shown.
    roster: Option<[i64; ROSTER_NUMBERS]>,
    /// Records that had been read when it was last looked at, while reading was behind.
    read: Option<i64>,
    /// How often the look was put off.
    put_off: u32,
    /// What was made while reading was behind: of a part of the past, so that it is made anew as soon as all of it is there.
    provisional: Option<Version>,
}

async fn step(
    board: &Board,
    engine: &Engine,
    clock: &dyn Clock,
    options: &Options,
    state: &mut State,
) -> Result<(), String> {
    let now = clock.now();
    let say = |error: query::Error| error.message;
    let behind = board.behind(now - options.lateness_ms - BEHIND);
    if behind.is_some() && behind != state.read && state.put_off < PUT_OFF_MAX {
        (state.read, state.put_off) = (behind, state.put_off + 1);
        return Ok(());
    }
    state.put_off = 0;
    if let (Some(version), None) = (state.provisional, behind) {
        state.slot_end = Millis::MIN;
        if version == Version::Full {
            state.day = None;
        }
    }
    if now >= state.slot_end.saturating_add(SETTLE) {
        let today = options.grid.date(now);
        let new_day = state.day != Some(today);
        let since = if new_day { make::history_start(now) } else { options.grid.day_start(today) };
        let pasts = make::read(engine, options, None, since).await.map_err(say)?;
        // A queue that was not there this morning is learned as soon as it is.
        let new_queue = pasts.keys().any(|key| !state.learned.contains_key(key));
        if new_day || new_queue {
            state.pasts = if new_day {
                pasts
            } else {
                make::read(engine, options, None, make::history_start(now)).await.map_err(say)?
            };
            let (of, with, plan) = (std::mem::take(&mut state.pasts), options.clone(), options.daily_plan());
            let learning = tokio::task::spawn_blocking(move || {
                let learned = make::learn_all(&of, &with, now, plan);
                (of, learned)
            });
            (state.pasts, state.learned) = learning.await.map_err(|error| error.to_string())?;
            state.day = Some(today);
        } else {
            state.pasts = pasts;
        }
        let version = if new_day || new_queue { Version::Full } else { Version::Intraday };
        let made_at = clock.now();
        let rows = make::rows(&state.learned, &state.pasts, options, made_at, version).finish();
        let count = rows.num_rows();
        if count > 0 {
            board.committer.append_apart(&FORECASTS, OF_SERVICE, rows).await?;
            tracing::debug!(rows = count, ?version, "a forecast was made");
        }
        state.provisional = behind.is_some().then_some(version);
        state.slot_end = options.grid.slot(now).end;
        state.roster = None;
    }
    let roster = roster(engine).await.map_err(say)?;
    if state.roster != Some(roster) {
        let planned = planned(engine, clock.now()).await.map_err(say)?;
        board.show_plans(planned.running, planned.slots);
        state.roster = Some(roster);
    }
    Ok(())
}

/// Numbers that change with every change of the roster but those that nobody makes; cheap to ask for, other than who serves
/// what.
async fn roster(engine: &Engine) -> Result<[i64; ROSTER_NUMBERS], query::Error> {
    let sql = "SELECT COUNT(*) AS shifts, CAST(COALESCE(SUM(revision), 0) AS BIGINT) AS revisions, \
        COUNT(cancelled_at) AS cancelled, \
        CAST(COALESCE(SUM(arrow_cast(start, 'Int64') / 1000000), 0) AS BIGINT) AS starts, \
        CAST(COALESCE(SUM(arrow_cast(\"end\", 'Int64') / 1000000), 0) AS BIGINT) AS ends, \
        CAST(COALESCE(SUM(length(concat(queues, role)) * (arrow_cast(start, 'Int64') / 60000000 % 1009)), 0) AS BIGINT) \
            AS queues \
        FROM shifts";
    let mut found = [0; ROSTER_NUMBERS];
    for batch in engine.query(sql).await?.collect().await?.iter().filter(|batch| batch.num_rows() > 0) {
        for (at, number) in found.iter_mut().enumerate() {
            *number = batch.column(at).as_primitive::<Int64Type>().value(0);
        }
    }
    Ok(found)
}

/// What is planned for the running slot, and for the slots of the next days on which anybody is rostered: before a roster is
/// published, nothing can be said of it.
#[derive(Default)]
struct Planned {
    running: BTreeMap<(String, Channel), SlotPlan>,
    slots: Vec<PlannedSlot>,
}

async fn planned(engine: &Engine, now: Millis) -> Result<Planned, query::Error> {
    let at = |ms: Millis| {
        format!("arrow_cast({}, 'Timestamp(Microsecond, Some(\"UTC\"))')", ms.saturating_mul(1_000))
    };
    let sql = format!(
        "SELECT queue, channel, COALESCE(department, '') AS department, arrow_cast(slot_start, 'Int64') AS start, \
             slot_length_ms(slot_start) AS length, contacts, agents_required, agents_staffed, expected_service_level, \
             COALESCE(fails, false) AS fails, slot_start = slot({from}) AS running, \
             SUM(agents_staffed) OVER (PARTITION BY local_day(slot_start)) > 0 AS rostered \
         FROM staff_slot WHERE slot_start >= slot({from}) AND slot_start < {until}",
        from = at(now),
        until = at(now + AHEAD),
    );
    let mut planned = Planned::default();
    for batch in engine.query(&sql).await?.collect().await? {
        let text = |column: usize, row: usize| batch.column(column).as_string::<i32>().value(row).to_owned();
        let number = |column: usize, row: usize| {
            let numbers = batch.column(column).as_primitive::<Float64Type>();
            numbers.is_valid(row).then(|| numbers.value(row))
        };
        let whole = |column: usize, row: usize| {
            let numbers = batch.column(column).as_primitive::<Int64Type>();
            numbers.is_valid(row).then(|| numbers.value(row))
        };
        let yes = |column: usize, row: usize| batch.column(column).as_boolean().value(row);
        for row in 0..batch.num_rows() {
            let (queue, channel) = (text(0, row), text(1, row));
            let (contacts, required, staffed) = (number(5, row), whole(6, row), number(7, row));
            if let (true, Some(channel)) = (yes(10, row), Channel::parse(&channel)) {
                let plan = SlotPlan {
                    forecast_contacts: contacts,
                    agents_required: required,
                    agents_staffed: staffed,
                };
                planned.running.insert((queue.clone(), channel), plan);
            }
            if yes(11, row) {
                let start = whole(3, row).unwrap_or(0) / 1_000;
                planned.slots.push(PlannedSlot {
                    queue,
                    channel,
                    department: text(2, row),
                    start,
                    end: start + whole(4, row).unwrap_or(0),
                    contacts: contacts.unwrap_or(0.0),
                    required: required.unwrap_or(0) as f64,
                    staffed: staffed.unwrap_or(0.0),
                    service_level: number(8, row),
                    fails: yes(9, row),
                });
            }
        }
    }
    Ok(planned)
}
