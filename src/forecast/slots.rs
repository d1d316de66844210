//! From days to slots: the shape of a day, the running day told anew at each slot's close, handle times, intervals, and what is
//! said where there is no history yet.

use std::collections::BTreeMap;

use super::accuracy::{Accuracy, poisson_floor};
use super::choose::{BackTest, Chosen, Plan, Tried, back_test, band_of};
use super::contenders::{Model, Step, predict};
use super::profile::Daily;
use crate::calendar::{Calendar, DayKind, weekday};

/// Whole days below which nothing can be learned of weekdays: the cold start.
const DAYS_MIN: usize = 7;
/// Days back from which the shape of a day and handle times are learned.
const SHAPE_DAYS: usize = 56;
const AHT_DAYS: usize = 28;
/// Days on which the two ways to forecast handle times are held against each other.
const AHT_TRIALS: usize = 14;
/// Contacts with which the shape of all days together speaks for a weekday.
const SHAPE_SHRINK: f64 = 200.0;
/// Contacts with which the assumed shape speaks in a cold start.
const COLD_SHRINK: f64 = 200.0;
/// Handlings with which the mean of all slots speaks for one slot.
const AHT_SHRINK: f64 = 50.0;
/// 80 % of a normal distribution lie within this many deviations.
const EIGHTY_PERCENT: f64 = 1.2816;
/// What a cold start says may be wrong by this factor, either way.
const COLD_FACTOR: f64 = 2.0;

/// The weekdays assumed in a cold start, Monday first.
const COLD_WEEK: [f64; 7] = [1.0, 1.0, 1.0, 1.0, 1.0, 0.7, 0.6];
/// The hours assumed in a cold start: a hotline that is open round the clock, two humps by day.
const COLD_HOURS: [f64; 24] = [
    0.6, 0.4, 0.3, 0.3, 0.3, 0.4, 0.8, 1.8, 4.5, 8.0, 9.0, 8.5, 7.0, 6.5, 7.5, 8.0, 7.5, 6.5, 5.5, 5.0, 4.5,
    3.5, 2.2, 1.2,
];

/// What one slot had.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Cell {
    /// Contacts that came (legs offered).
    pub contacts: f64,
    /// Handlings that were closed.
    pub handled: f64,
    /// Their handle time together, seconds.
    pub handle_seconds: f64,
}

/// The past of one queue and channel by date and slot of the local day.
#[derive(Debug, Clone, PartialEq)]
pub struct History {
    slots_per_day: usize,
    first: Option<(i32, usize)>,
    days: Vec<Vec<Cell>>,
}

impl History {
    /// An empty past; a day has so many slots, by the clock on the wall.
    pub fn new(slots_per_day: usize) -> History {
        History { slots_per_day: slots_per_day.max(1), first: None, days: Vec::new() }
    }

    /// Slots of a day.
    pub fn slots_per_day(&self) -> usize {
        self.slots_per_day
    }

    /// Adds what a slot had. Dates may come in any order; what lies beyond a day's slots is counted in its last.
    pub fn add(&mut self, date: i32, slot: usize, cell: Cell) {
        let slot = slot.min(self.slots_per_day - 1);
        let (first, _) = self.first.unwrap_or((date, slot));
        if self.first.is_none_or(|first| (date, slot) < first) {
            self.first = Some((date, slot));
        }
        if date < first {
            let before = vec![vec![Cell::default(); self.slots_per_day]; (first - date) as usize];
            self.days.splice(0..0, before);
        }
        let at = (date - self.first.map_or(date, |(first, _)| first)) as usize;
        if at >= self.days.len() {
            self.days.resize_with(at + 1, || vec![Cell::default(); self.slots_per_day]);
        }
        let sum = &mut self.days[at][slot];
        sum.contacts += cell.contacts;
        sum.handled += cell.handled;
        sum.handle_seconds += cell.handle_seconds;
    }

    /// The cells of a date; none before the first and after the last.
    pub fn day(&self, date: i32) -> Option<&[Cell]> {
        let at = usize::try_from(date.checked_sub(self.first?.0)?).ok()?;
        self.days.get(at).map(Vec::as_slice)
    }

    /// The date after the last one; `None` without a slot.
    pub fn end(&self) -> Option<i32> {
        Some(self.first?.0 + i32::try_from(self.days.len()).unwrap_or(i32::MAX))
    }

    /// The sums of the days before `today`. A day without a contact between others counts as one on which nobody came. The
    /// first day is left out where it began in the middle and enough others are there.
    pub fn daily(&self, today: i32) -> Daily {
        let Some((first, slot)) = self.first else { return Daily { first: today, values: Vec::new() } };
        let torn = slot > 0 && today - first > 2 * DAYS_MIN as i32;
        let first = first + i32::from(torn);
        let sum = |date| self.day(date).map_or(0.0, |day| day.iter().map(|cell| cell.contacts).sum());
        Daily { first, values: (first..today.max(first)).map(|date| Some(sum(date))).collect() }
    }
}

/// What is expected of one slot.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SlotForecast {
    /// The date.
    pub date: i32,
    /// The slot of the local day, from 0.
    pub slot: usize,
    /// Contacts expected.
    pub contacts: f64,
    /// Four times of five at least this many come…
    pub low: f64,
    /// …and at most this many: a tenth lies below, a tenth above.
    pub high: f64,
    /// Expected handle time of each, seconds; `None` where nothing was ever handled.
    pub aht_seconds: Option<f64>,
    /// The model behind it.
    pub model: Model,
}

/// What was learned of one queue: good until its next day.
#[derive(Debug, Clone)]
pub struct Learned {
    slots_per_day: usize,
    today: i32,
    /// The back-test by which the models were weighed; empty in a cold start.
    pub back_test: BackTest,
    /// The choice: contacts by day ahead, the first is today.
    pub chosen: Chosen,
    calendar: Calendar,
    shapes: Vec<Vec<f64>>,
    aht: Option<Aht>,
    cold: Option<Cold>,
}

/// Learns from the days before `today`, and forecasts `horizon` days from it.
pub fn learn(history: &History, calendar: &Calendar, today: i32, plan: Plan) -> Learned {
    let daily = history.daily(today);
    let aht = Aht::learn(history, today);
    let mut learned = Learned {
        slots_per_day: history.slots_per_day,
        today,
        back_test: BackTest::default(),
        chosen: Chosen::default(),
        calendar: calendar.clone(),
        shapes: shapes(history, calendar, today),
        aht,
        cold: None,
    };
    let singles = if daily.values.len() < DAYS_MIN {
        Vec::new()
    } else {
        predict(&daily, Step::Day, calendar, plan.horizon)
    };
    if singles.is_empty() {
        learned.cold = Some(Cold::learn(history, calendar, today, plan.horizon));
    } else {
        learned.back_test = back_test(&daily, Step::Day, calendar, plan);
        learned.chosen = learned.back_test.choose(Step::Day, today, &singles, plan.horizon);
    }
    learned
}

impl Learned {
    /// True where there was too little history, and a shape is assumed.
    pub fn is_cold(&self) -> bool {
        self.cold.is_some()
    }

    /// Every slot from the running one to the end of the horizon. `today` has the slots of today that are over, in order; by
    /// what came in them the rest of the day is told anew.
    ///
    /// The day as a whole is believed as far as its back-test allows: with a relative variance of 1/κ, and E contacts
    /// expected in the slots that are over, a day that had A of them is taken (A + κ) / (E + κ) times as large (the mean of a
    /// gamma distribution after A Poisson arrivals).
    pub fn slots(&self, today: &[Cell]) -> Vec<SlotForecast> {
        let over = today.len().min(self.slots_per_day);
        let came: f64 = today[..over].iter().map(|cell| cell.contacts).sum();
        if let Some(cold) = &self.cold {
            return cold.slots(self, came, over);
        }
        let mut all = Vec::new();
        for (ahead, total) in self.chosen.values.iter().enumerate() {
            let date = self.today + ahead as i32;
            let band = band_of(Step::Day, ahead + 1);
            let (mut low, mut high) = self.back_test.interval(Step::Day, band);
            let shape = self.shape(date);
            let (mut total, mut from) = (*total, 0);
            if ahead == 0 {
                from = over;
                let expected = total * shape[..over].iter().sum::<f64>();
                let spread = ((high / low.max(0.01)).ln() / (2.0 * EIGHTY_PERCENT)).clamp(0.03, 1.0);
                let kappa = 1.0 / (spread * spread);
                total *= (came + kappa) / (expected + kappa);
                // What the day has shown narrows what is left open, by the same law.
                let narrower = (kappa / (kappa + expected)).sqrt();
                low = low.powf(narrower);
                high = high.powf(narrower);
            }
            for (slot, share) in shape.iter().enumerate().skip(from) {
                let contacts = total * share;
                all.push(SlotForecast {
                    date,
                    slot,
                    contacts,
                    low: (contacts - width(contacts, 1.0 - low)).max(0.0),
                    high: contacts + width(contacts, high - 1.0),
                    aht_seconds: self.aht.as_ref().map(|aht| aht.of(weekday(date), slot)),
                    model: self.chosen.model(band),
                });
            }
        }
        all
    }

    /// The shares of a day's slots, which add up to 1.
    fn shape(&self, date: i32) -> &[f64] {
        &self.shapes[like(&self.calendar, date)]
    }
}

/// The shape that a day has: that of its weekday, a moved working day that of Wednesday, and a holiday, of which there are
/// few, that of all days together.
fn like(calendar: &Calendar, date: i32) -> usize {
    match calendar.day(date) {
        DayKind::Ordinary => weekday(date),
        DayKind::MovedWorkingDay => 2,
        DayKind::Holiday(_) | DayKind::Closed => 7,
    }
}

/// By how much a slot may differ at 80 %: what the day as a whole may be off by (a share), and what chance adds to a slot.
fn width(contacts: f64, off: f64) -> f64 {
    ((contacts * off).powi(2) + EIGHTY_PERCENT * EIGHTY_PERCENT * contacts).sqrt()
}

/// Shares of slots by weekday, and at 7 of all days together.
fn shapes(history: &History, calendar: &Calendar, today: i32) -> Vec<Vec<f64>> {
    let slots = history.slots_per_day;
    let mut sums = vec![vec![0.0; slots]; 8];
    for date in today - SHAPE_DAYS as i32..today {
        let Some(day) = history.day(date) else { continue };
        let like = like(calendar, date);
        for (slot, cell) in day.iter().enumerate() {
            sums[like][slot] += cell.contacts;
            if like < 7 {
                sums[7][slot] += cell.contacts;
            }
        }
    }
    let all = normal(&sums[7]);
    let mut shapes: Vec<Vec<f64>> = sums[..7]
        .iter()
        .map(|of_day| {
            normal(
                &of_day.iter().zip(&all).map(|(sum, share)| sum + SHAPE_SHRINK * share).collect::<Vec<_>>(),
            )
        })
        .collect();
    shapes.push(all);
    shapes
}

/// Scaled to add up to 1; even where there is nothing.
fn normal(values: &[f64]) -> Vec<f64> {
    let sum: f64 = values.iter().sum();
    values.iter().map(|value| if sum > 0.0 { value / sum } else { 1.0 / values.len() as f64 }).collect()
}

/// Handle times: the mean of the last weeks, or one for each slot, whichever foretold the last days better.
#[derive(Debug, Clone)]
struct Aht {
    mean: f64,
    /// By working day (0) or weekend (1) and slot; empty where the mean did better.
    slots: [Vec<f64>; 2],
}

impl Aht {
    fn learn(history: &History, today: i32) -> Option<Aht> {
        let with = |today, shaped| Aht::of_days(history, today, shaped);
        let (mut flat, mut shaped) = (Accuracy::default(), Accuracy::default());
        for date in today - AHT_TRIALS as i32..today {
            let (Some(day), Some(plain), Some(fine)) =
                (history.day(date), with(date, false), with(date, true))
            else {
                continue;
            };
            for (slot, cell) in day.iter().enumerate().filter(|(_, cell)| cell.handled > 0.0) {
                // Weighed by handlings: errors of handle time, not of its mean.
                flat.add(plain.of(weekday(date), slot) * cell.handled, cell.handle_seconds);
                shaped.add(fine.of(weekday(date), slot) * cell.handled, cell.handle_seconds);
            }
        }
        // In a first day what it has so far must do.
        with(today, shaped.n > 0 && shaped.absolute < flat.absolute).or_else(|| with(today + 1, false))
    }

    fn of_days(history: &History, today: i32, shaped: bool) -> Option<Aht> {
        let mut all = Cell::default();
        let mut sums =
            [vec![Cell::default(); history.slots_per_day], vec![Cell::default(); history.slots_per_day]];
        for date in today - AHT_DAYS as i32..today {
            for (slot, cell) in history.day(date).unwrap_or_default().iter().enumerate() {
                let sum = &mut sums[usize::from(weekday(date) >= 5)][slot];
                for sum in [&mut all, sum] {
                    sum.handled += cell.handled;
                    sum.handle_seconds += cell.handle_seconds;
                }
            }
        }
        let mean = (all.handled > 0.0).then(|| all.handle_seconds / all.handled)?;
        let of_slot = |sum: &Cell| (sum.handle_seconds + AHT_SHRINK * mean) / (sum.handled + AHT_SHRINK);
        let slots = if shaped { sums.map(|of| of.iter().map(of_slot).collect()) } else { [vec![], vec![]] };
        Some(Aht { mean, slots })
    }

    fn of(&self, weekday: usize, slot: usize) -> f64 {
        self.slots[usize::from(weekday >= 5)].get(slot).copied().unwrap_or(self.mean)
    }
}

/// A queue without a week of history: what came so far, in a shape that is assumed.
#[derive(Debug, Clone)]
struct Cold {
    /// Contacts before today, and the assumed weight of the slots in which they came.
    came: f64,
    weight: f64,
    /// The first slot of the history, where it is today.
    first_today: usize,
    /// Contacts by slot of the day that were seen before today, and how many assumed days each slot was there.
    seen: Vec<(f64, f64)>,
    horizon: usize,
}

impl Cold {
    fn learn(history: &History, calendar: &Calendar, today: i32, horizon: usize) -> Cold {
        let slots = history.slots_per_day;
        let mut cold =
            Cold { came: 0.0, weight: 0.0, first_today: 0, seen: vec![(0.0, 0.0); slots], horizon };
        let Some((first, first_slot)) = history.first else { return cold };
        for date in first..today {
            let from = if date == first { first_slot } else { 0 };
            for (slot, cell) in history.day(date).unwrap_or_default().iter().enumerate().skip(from) {
                let day = cold_day(calendar, date);
                cold.came += cell.contacts;
                cold.weight += day * cold_share(slot, slots);
                cold.seen[slot].0 += cell.contacts;
                cold.seen[slot].1 += day;
            }
        }
        if first == today {
            cold.first_today = first_slot;
        }
        cold
    }

    fn slots(&self, learned: &Learned, came_today: f64, over: usize) -> Vec<SlotForecast> {
        let slots = self.seen.len();
        let day = cold_day(&learned.calendar, learned.today);
        let today: f64 = (self.first_today..over).map(|slot| day * cold_share(slot, slots)).sum();
        let (came, weight) = (self.came + came_today, self.weight + today);
        if weight <= 0.0 || came <= 0.0 {
            return Vec::new();
        }
        let level = came / weight;
        // What a slot had against what the assumed shape gave it: slots that were not there yet say nothing of themselves.
        let share = |slot: usize| {
            let (assumed, (seen, days)) = (cold_share(slot, slots), self.seen[slot]);
            assumed * (seen + COLD_SHRINK * assumed) / (level * days * assumed + COLD_SHRINK * assumed)
        };
        let shape: Vec<f64> = (0..slots).map(share).collect();
        let mut all = Vec::new();
        for ahead in 0..self.horizon {
            let date = learned.today + ahead as i32;
            let from = if ahead == 0 { over } else { 0 };
            for (slot, share) in shape.iter().enumerate().skip(from) {
                let contacts = level * cold_day(&learned.calendar, date) * share;
                all.push(SlotForecast {
                    date,
                    slot,
                    contacts,
                    low: (contacts - width(contacts, 1.0 - 1.0 / COLD_FACTOR)).max(0.0),
                    high: contacts + width(contacts, COLD_FACTOR - 1.0),
                    aht_seconds: learned.aht.as_ref().map(|aht| aht.of(weekday(date), slot)),
                    model: Model::ColdStart,
                });
            }
        }
        all
    }
}

/// The assumed size of a day, an ordinary Monday being 1.
fn cold_day(calendar: &Calendar, date: i32) -> f64 {
    match calendar.day(date) {
        DayKind::Closed => 0.0,
        DayKind::Holiday(_) => COLD_WEEK[6],
        DayKind::MovedWorkingDay => COLD_WEEK[0],
        DayKind::Ordinary => COLD_WEEK[weekday(date)],
    }
}

/// The assumed share of a slot in its day.
fn cold_share(slot: usize, slots: usize) -> f64 {
    let hour = (slot * 24 / slots).min(23);
    let per_hour = (slots as f64 / 24.0).max(1.0);
    COLD_HOURS[hour] / COLD_HOURS.iter().sum::<f64>() / per_hour
}

/// The errors of each model's days spread over slots, band by band, and the least that chance allows in each band.
///
/// At each origin the shape is the one that was known there; the naive model takes each slot of the last week as it was.
pub fn slot_errors(
    history: &History,
    calendar: &Calendar,
    test: &BackTest,
) -> (BTreeMap<Model, [Accuracy; 4]>, [Option<f64>; 4]) {
    let mut errors: BTreeMap<Model, [Accuracy; 4]> = BTreeMap::new();
    let (mut floors, mut actuals) = ([0.0; 4], [0.0; 4]);
    slot_pairs(history, calendar, test, |tried, _, forecast, actual| {
        let band = band_of(Step::Day, tried.ahead);
        errors.entry(tried.model).or_default()[band].add(forecast, actual);
        if tried.model == Model::Blend {
            floors[band] += poisson_floor(forecast);
            actuals[band] += actual;
        }
    });
    let floor = |band: usize| (actuals[band] > 0.0).then(|| floors[band] / actuals[band]);
    (errors, [0, 1, 2, 3].map(floor))
}

/// Tells the slots of each forecast of a back-test: the slot of its day, what was forecast for it, and what came.
pub fn slot_pairs(
    history: &History,
    calendar: &Calendar,
    test: &BackTest,
    mut each: impl FnMut(&Tried, usize, f64, f64),
) {
    let mut known: Option<(i32, Vec<Vec<f64>>)> = None;
    for tried in &test.tried {
        let (origin, ahead) = (tried.origin, i32::try_from(tried.ahead).unwrap_or(i32::MAX));
        let date = tried.target();
        let Some(day) = history.day(date) else { continue };
        if known.as_ref().is_none_or(|(of, _)| *of != origin) {
            known = Some((origin, shapes(history, calendar, origin)));
        }
        let Some((_, shapes)) = &known else { continue };
        let last_week = history.day(origin - 7 + (ahead - 1).rem_euclid(7));
        for (slot, cell) in day.iter().enumerate() {
            let forecast = match (tried.model, last_week) {
                (Model::SeasonalNaive, Some(last_week)) => last_week[slot].contacts,
                _ => tried.forecast * shapes[like(calendar, date)][slot],
            };
            each(tried, slot, forecast, cell.contacts);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::{Country, date_of};

    const SLOTS: usize = 48;

    fn calendar() -> Calendar {
        Calendar::new(Country::None, vec![])
    }

    fn monday() -> i32 {
        date_of(2026, 3, 2).expect("a day of the test")
    }

    fn cell(contacts: f64, aht: f64) -> Cell {
        Cell { contacts, handled: contacts, handle_seconds: contacts * aht }
    }

    /// Weeks of 100 contacts a day from nine to half past eleven, 20 in each slot.
    fn steady(weeks: i32) -> History {
        let mut history = History::new(SLOTS);
        for date in monday()..monday() + 7 * weeks {
            for slot in 18..23 {
                history.add(date, slot, cell(20.0, if slot == 18 { 300.0 } else { 200.0 }));
            }
        }
        history
    }

    fn plan() -> Plan {
        Plan { horizon: 14, origins: 10, every: 3, known: 28 }
    }

    #[test]
    fn a_steady_day_is_spread_over_its_slots() {
        let today = monday() + 7 * 10;
        let learned = learn(&steady(10), &calendar(), today, plan());
        let slots = learned.slots(&[]);
        assert_eq!(slots.len(), 14 * SLOTS);
        let total: f64 = slots.iter().map(|slot| slot.contacts).sum();
        assert!((total - 1_400.0).abs() < 1.0, "{total}");
        let ten = slots.iter().find(|slot| slot.date == today + 1 && slot.slot == 20).expect("it is there");
        assert!((ten.contacts - 20.0).abs() < 0.1, "{ten:?}");
        assert!(ten.low < 20.0 && ten.high > 20.0 && ten.low > 10.0, "{ten:?}");
        assert_eq!(slots[0].contacts, 0.0);
    }

    #[test]
    fn handle_times_follow_the_slot_where_that_is_better() {
        let today = monday() + 7 * 10;
        let learned = learn(&steady(10), &calendar(), today, plan());
        let slots = learned.slots(&[]);
        let aht = |slot: usize| slots[slot].aht_seconds.expect("calls were handled");
        // 400 handlings a working day's slot in 20 days of 28: (400·300 + 50·220) / 450 and (400·200 + 50·220) / 450.
        assert!((aht(18) - (400.0 * 300.0 + 50.0 * 220.0) / 450.0).abs() < 1e-6, "{}", aht(18));
        assert!((aht(20) - (400.0 * 200.0 + 50.0 * 220.0) / 450.0).abs() < 1e-6, "{}", aht(20));
    }

    #[test]
    fn a_busy_morning_lifts_the_rest_of_the_day() {
        let today = monday() + 7 * 10;
        let learned = learn(&steady(10), &calendar(), today, plan());
        let mut cells = vec![Cell::default(); 20];
        cells[18] = cell(40.0, 200.0);
        cells[19] = cell(40.0, 200.0);
        let slots = learned.slots(&cells);
        assert_eq!((slots[0].date, slots[0].slot), (today, 20));
        assert!(slots[0].contacts > 20.5 && slots[0].contacts < 40.0, "{:?}", slots[0]);
        // Tomorrow is as it was.
        let tomorrow =
            slots.iter().find(|slot| slot.date == today + 1 && slot.slot == 20).expect("it is there");
        assert!((tomorrow.contacts - 20.0).abs() < 0.1);
    }

    #[test]
    fn without_history_a_shape_is_assumed_and_the_error_is_wide() {
        let mut history = History::new(SLOTS);
        // Half an hour on a Monday at ten: 4.5 % of the assumed day.
        history.add(monday(), 20, cell(45.0, 240.0));
        let learned = learn(&history, &calendar(), monday(), plan());
        assert!(learned.is_cold());
        let mut today = vec![Cell::default(); 21];
        today[20] = cell(45.0, 240.0);
        let slots = learned.slots(&today);
        let total: f64 =
            slots.iter().filter(|slot| slot.date == monday() + 1).map(|slot| slot.contacts).sum();
        let share = 9.0 / COLD_HOURS.iter().sum::<f64>() / 2.0;
        assert!((total - 45.0 / share).abs() < 1e-6, "{total}");
        assert_eq!(slots[0].model, Model::ColdStart);
        assert_eq!(slots[0].aht_seconds, Some(240.0));
        assert!(slots[0].high > 1.9 * slots[0].contacts && slots[0].low < 0.6 * slots[0].contacts);
        assert!(learn(&History::new(SLOTS), &calendar(), monday(), plan()).slots(&[]).is_empty());
    }

    #[test]
    fn an_afternoon_of_history_says_nothing_against_mornings() {
        let mut history = History::new(SLOTS);
        // From half past three on a Monday on, as many as a day of 1,000 has by the assumed shape, but for a slot that has thrice that.
        for slot in 31..SLOTS {
            let times = if slot == 40 { 3.0 } else { 1.0 };
            history.add(monday(), slot, cell(1_000.0 * cold_share(slot, SLOTS) * times, 240.0));
        }
        let slots = learn(&history, &calendar(), monday() + 1, plan()).slots(&[]);
        let ratio = |slot: usize| slots[slot].contacts / (1_000.0 * cold_share(slot, SLOTS));
        assert!((1.0..1.2).contains(&ratio(20)), "{}", ratio(20));
        // What was seen of a slot moves it, as far as it was seen often.
        assert!(ratio(40) > 1.15 * ratio(20) && ratio(40) < 3.0, "{}", ratio(40));
        assert!(ratio(32) < ratio(20), "{}", ratio(32));
    }

    #[test]
    fn a_history_is_put_together_in_any_order() {
        let mut one = History::new(4);
        let mut two = History::new(4);
        let cells = [(10, 3, 5.0), (12, 0, 7.0), (9, 1, 2.0), (10, 3, 1.0)];
        for (date, slot, contacts) in cells {
            one.add(date, slot, cell(contacts, 1.0));
        }
        for (date, slot, contacts) in cells.into_iter().rev() {
            two.add(date, slot, cell(contacts, 1.0));
        }
        assert_eq!(one, two);
        assert_eq!(one.daily(13).values, [Some(2.0), Some(6.0), Some(0.0), Some(7.0)]);
        assert_eq!(one.daily(13).first, 9);
    }
}
