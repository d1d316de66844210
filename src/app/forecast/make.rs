//! From the slots in the lake to rows of `forecasts`.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use chrono::{DateTime, Timelike};

use crate::calendar::Calendar;
use crate::facts::{ForecastRow, ForecastRows};
use crate::forecast::{Cell, History, Learned, Plan, Rule, Work, learn, need};
use crate::query::{self, Engine};
use crate::time::{DAY, Grid, Millis, SECOND, Slot};

/// Days of history that are read.
const HISTORY_DAYS: i64 = 800;

/// What forecasts of a centre go by.
#[derive(Debug, Clone)]
pub(in crate::app) struct Options {
    /// The centre's zone and slots.
    pub grid: Grid,
    /// Days ahead, today included.
    pub horizon: usize,
    /// Holidays and own events.
    pub calendar: Calendar,
    /// What staffing goes by where a queue does not say otherwise; the channel's way of working is filled in.
    pub rule: Rule,
    /// The target wait of the queues that are listed, seconds.
    pub target_waits: BTreeMap<String, f64>,
    /// By how much events may be late.
    pub lateness_ms: Millis,
}

impl Options {
    /// Slots of an ordinary day.
    pub(in crate::app) fn slots_per_day(&self) -> usize {
        (DAY / self.grid.slot_ms()) as usize
    }

    fn rule(&self, key: &Key) -> Rule {
        let work = match key.channel.as_str() {
            "chat" | "social" => Work::Chats,
            "email" | "sms" => Work::Letters,
            _ => Work::Calls,
        };
        let wait = self.target_waits.get(&key.queue).copied().unwrap_or(self.rule.target_wait_seconds);
        Rule { work, target_wait_seconds: wait, ..self.rule }
    }

    /// The usual back-test, with fewer origins: a choice every day need not look at as much as a judgement.
    pub(in crate::app) fn daily_plan(&self) -> Plan {
        Plan { origins: 40, ..Plan::usual(crate::forecast::Step::Day, self.horizon) }
    }

    /// Date and slot of the local day by the clock on the wall: both halves of a repeated hour are the same slots.
    pub(in crate::app) fn place(&self, at: Millis) -> (i32, usize) {
        let time = DateTime::from_timestamp_millis(at).unwrap_or_default().with_timezone(&self.grid.zone());
        let minute = time.hour() * 60 + time.minute();
        (self.grid.date(at), (minute / self.grid.slot_minutes()) as usize)
    }
}

/// A queue and channel.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::app) struct Key {
    /// The queue.
    pub queue: String,
    /// The channel.
    pub channel: String,
}

/// The past of one queue and channel.
#[derive(Debug)]
pub(in crate::app) struct Past {
    /// Its department, where known.
    pub department: Option<String>,
    /// What its slots had.
    pub history: History,
}

/// Reads the past of every queue, or of one, since an instant.
///
/// # Errors
/// The query's.
pub(in crate::app) async fn read(
    engine: &Engine,
    options: &Options,
    queue: Option<&str>,
    since: Millis,
) -> Result<BTreeMap<Key, Past>, query::Error> {
    let quoted = queue.map(|name| format!("AND queue = '{}'", name.replace('\'', "''"))).unwrap_or_default();
    let sql = format!(
        "SELECT slot_start, channel, queue, MAX(department) AS department, CAST(SUM(offered) AS BIGINT) AS offered, \
         CAST(SUM(handled) AS BIGINT) AS handled, \
         CAST(SUM(talk_ms_sum + hold_ms_sum + acw_ms_sum) AS BIGINT) AS handle_ms \
         FROM kpi_slot WHERE queue IS NOT NULL {quoted} \
         AND slot_start >= arrow_cast({}, 'Timestamp(Microsecond, Some(\"UTC\"))') GROUP BY slot_start, channel, queue",
        since.saturating_mul(1_000)
    );
    let mut pasts = BTreeMap::new();
    for batch in engine.query(&sql).await?.collect().await? {
        add(&mut pasts, &batch, options);
    }
    Ok(pasts)
}

/// The instant from which history is read.
pub(in crate::app) fn history_start(now: Millis) -> Millis {
    now.saturating_sub(HISTORY_DAYS * DAY).max(0)
}

fn add(pasts: &mut BTreeMap<Key, Past>, batch: &RecordBatch, options: &Options) {
    let times = batch.column(0).as_primitive::<TimestampMicrosecondType>();
    let texts = [1, 2, 3].map(|at| batch.column(at).as_string::<i32>());
    let numbers = [4, 5, 6].map(|at| batch.column(at).as_primitive::<Int64Type>());
    for row in 0..batch.num_rows() {
        let text = |at: usize| texts[at].is_valid(row).then(|| texts[at].value(row).to_owned());
        let number = |at: usize| if numbers[at].is_valid(row) { numbers[at].value(row) as f64 } else { 0.0 };
        let (Some(channel), Some(queue)) = (text(0), text(1)) else { continue };
        let past = pasts
            .entry(Key { queue, channel })
            .or_insert_with(|| Past { department: text(2), history: History::new(options.slots_per_day()) });
        let (date, slot) = options.place(times.value(row).div_euclid(1_000));
        let cell =
            Cell { contacts: number(0), handled: number(1), handle_seconds: number(2) / SECOND as f64 };
        past.history.add(date, slot, cell);
    }
}

/// What was learned of every queue.
pub(in crate::app) type AllLearned = BTreeMap<Key, (Option<String>, Learned)>;

/// Learns from the days before the one of `now`. Takes seconds for a centre with a long past.
pub(in crate::app) fn learn_all(
    pasts: &BTreeMap<Key, Past>,
    options: &Options,
    now: Millis,
    plan: Plan,
) -> AllLearned {
    let today = options.grid.date(now);
    pasts
        .iter()
        .map(|(key, past)| {
            (key.clone(), (past.department.clone(), learn(&past.history, &options.calendar, today, plan)))
        })
        .collect()
}

/// Which version of forecasts to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::app) enum Version {
    /// Every day of the horizon.
    Full,
    /// The rest of today.
    Intraday,
}

/// The rows of one version: every slot from the running one on. `pasts` has what came today.
pub(in crate::app) fn rows(
    learned: &AllLearned,
    pasts: &BTreeMap<Key, Past>,
    options: &Options,
    made_at: Millis,
    version: Version,
) -> ForecastRows {
    let mut rows = ForecastRows::default();
    let (today, running) = options.place(made_at);
    for (key, (department, learned)) in learned {
        let rule = options.rule(key);
        let so_far: Vec<Cell> = pasts
            .get(key)
            .and_then(|past| past.history.day(today))
            .map(|day| day[..running.min(day.len())].to_vec())
            .unwrap_or_else(|| vec![Cell::default(); running]);
        let expected = learned.slots(&so_far);
        let mut at = 0;
        while at < expected.len() {
            let date = expected[at].date;
            let of_day = expected[at..].iter().take_while(|slot| slot.date == date).count();
            let day = &expected[at..at + of_day];
            at += of_day;
            if version == Version::Intraday && date != today {
                break;
            }
            let slots = slots_of(options, date);
            for slot in &slots {
                let (_, place) = options.place(slot.start);
                if slot.end <= made_at {
                    continue;
                }
                let Some(forecast) = day.iter().find(|forecast| forecast.slot == place) else { continue };
                // A repeated hour has its contacts in two slots of the same place.
                let twice =
                    slots.iter().filter(|other| options.place(other.start).1 == place).count().max(1) as f64;
                let contacts = forecast.contacts / twice;
                let seconds = slot.length_ms() as f64 / SECOND as f64;
                let need = forecast.aht_seconds.and_then(|aht| need(contacts, aht, seconds, &rule));
                rows.push(&ForecastRow {
                    made_at: Some(made_at),
                    kind: Some(if version == Version::Full { "full" } else { "intraday" }),
                    model: Some(forecast.model.name()),
                    channel: Some(&key.channel),
                    queue: Some(&key.queue),
                    department: department.as_deref(),
                    slot_start: Some(slot.start),
                    slot_ms: Some(slot.length_ms()),
                    contacts: Some(contacts),
                    contacts_low: Some(forecast.low / twice),
                    contacts_high: Some(forecast.high / twice),
                    aht_seconds: forecast.aht_seconds,
                    load_erlangs: need.map(|need| need.load_erlangs),
                    agents_on_seat: need.map(|need| need.on_seat),
                    agents_required: need.map(|need| need.rostered),
                    shrinkage: Some(rule.shrinkage),
                    places: Some(rule.places()),
                    target_wait_seconds: (rule.work != Work::Letters).then_some(rule.target_wait_seconds),
                    service_level_target: Some(rule.service_level),
                    occupancy_cap: Some(rule.occupancy_cap),
                    date: Some(date),
                });
            }
        }
    }
    rows
}

/// The slots of a date, as they really are.
fn slots_of(options: &Options, date: i32) -> Vec<Slot> {
    let (mut at, end) = (options.grid.day_start(date), options.grid.day_start(date.saturating_add(1)));
    let mut slots = Vec::new();
    while at < end {
        let slot = options.grid.slot(at);
        slots.push(slot);
        at = slot.end.max(at + 1);
    }
    slots
}
