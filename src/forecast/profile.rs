//! The shape of days: how a day stands to the level around it by weekday, place in the month, holiday and own events; and
//! which days were out of all shape.

use std::collections::HashMap;

use super::accuracy::median;
use crate::calendar::{Calendar, DayKind, civil, month_of, month_start, weekday};

/// Days back from which weekdays are learned.
const WEEKDAY_DAYS: i32 = 182;
/// Days on either side whose median is the level around a day.
const AROUND_DAYS: i32 = 14;
/// A weekday with less than this share of an even day is taken as one on which the centre is closed.
const CLOSED_BELOW: f64 = 0.02;
/// A day that far from the level around it, up or down, is exceptional in any centre…
const OUTLIER_FACTOR: f64 = 1.6;
/// …or in a calm one from so many deviations (1.4826 · MAD) on, but not below this factor.
const OUTLIER_DEVIATIONS: f64 = 4.0;
const OUTLIER_FACTOR_MIN: f64 = 1.25;
/// Days whose weight is that of "as any other day", for a place in the month.
const MONTH_SHRINK: f64 = 30.0;
/// Occurrences whose weight is that of "as known of all such days", for a holiday or an event.
const SPECIAL_SHRINK: f64 = 1.0;

/// A day's sums, day by day without gap; `None` is a day that was not recorded.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Daily {
    /// The date of the first value, days since 1970-01-01.
    pub first: i32,
    /// Values by day.
    pub values: Vec<Option<f64>>,
}

impl Daily {
    /// The value of a date.
    pub fn at(&self, date: i32) -> Option<f64> {
        let index = usize::try_from(date.checked_sub(self.first)?).ok()?;
        self.values.get(index).copied().flatten()
    }

    /// The date after the last value.
    pub fn end(&self) -> i32 {
        self.first.saturating_add(i32::try_from(self.values.len()).unwrap_or(i32::MAX))
    }

    /// The dates that have a value, with it.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (i32, f64)> + '_ {
        self.values.iter().enumerate().filter_map(|(at, value)| Some((self.first + at as i32, (*value)?)))
    }

    /// What was known before a date.
    pub fn before(&self, date: i32) -> Daily {
        let keep = usize::try_from(date.saturating_sub(self.first)).unwrap_or(0).min(self.values.len());
        Daily { first: self.first, values: self.values[..keep].to_vec() }
    }
}

/// The shape of a series' days, and its days cleaned of what was exceptional.
#[derive(Debug, Clone)]
pub struct Profile {
    weekdays: [f64; 7],
    parts_of_month: [f64; 5],
    special: HashMap<String, f64>,
    holiday: Option<f64>,
    calendar: Calendar,
    levels: Daily,
    outliers: Vec<i32>,
}

impl Profile {
    /// Learns the shape of `daily`. Without two full weeks every weekday is taken as any other.
    pub fn learn(daily: &Daily, calendar: &Calendar) -> Profile {
        let mut profile = Profile {
            weekdays: [1.0; 7],
            parts_of_month: [1.0; 5],
            special: HashMap::new(),
            holiday: None,
            calendar: calendar.clone(),
            levels: Daily { first: daily.first, values: Vec::new() },
            outliers: Vec::new(),
        };
        profile.learn_weekdays(daily);
        profile.learn_levels(daily);
        // Ratios to the level around, of days that are like their weekday; what is far off is exceptional.
        let mut logs: Vec<f64> = daily
            .iter()
            .filter(|(date, _)| profile.is_plain(*date))
            .filter_map(|(date, value)| profile.log_ratio(date, value))
            .collect();
        let center = median(&mut logs).unwrap_or(0.0);
        let mut off: Vec<f64> = logs.iter().map(|log| (log - center).abs()).collect();
        let spread = 1.4826 * median(&mut off).unwrap_or(0.0);
        let limit = (OUTLIER_DEVIATIONS * spread).clamp(OUTLIER_FACTOR_MIN.ln(), OUTLIER_FACTOR.ln());
        for (date, value) in daily.iter() {
            let expected = profile.weekdays[profile.like(date)] > 0.3;
            let far = match profile.log_ratio(date, value) {
                Some(log) => log.abs() > limit,
                None => expected && value <= 0.0,
            };
            if far && expected {
                profile.outliers.push(date);
            }
        }
        profile.learn_parts_of_month(daily);
        profile.learn_special(daily);
        profile
    }

    fn learn_weekdays(&mut self, daily: &Daily) {
        let from = daily.end().saturating_sub(WEEKDAY_DAYS);
        let mut ratios: [Vec<f64>; 7] = Default::default();
        for (date, value) in daily.iter().filter(|(date, _)| *date >= from) {
            if self.calendar.day(date) != DayKind::Ordinary {
                continue;
            }
            // At the ends the nearest seven days that are there.
            let start = (date - 3).clamp(daily.first, (daily.end() - 7).max(daily.first));
            let week: Vec<f64> = (start..start + 7).filter_map(|date| daily.at(date)).collect();
            let mean = week.iter().sum::<f64>() / 7.0;
            if week.len() == 7 && mean > 0.0 {
                ratios[weekday(date)].push(value / mean);
            }
        }
        if ratios.iter().any(|of_day| of_day.len() < 2) {
            return;
        }
        let mut weekdays = ratios.map(|mut of_day| median(&mut of_day).unwrap_or(1.0));
        let mean = weekdays.iter().sum::<f64>() / 7.0;
        for factor in &mut weekdays {
            *factor = if mean > 0.0 { *factor / mean } else { 1.0 };
            if *factor < CLOSED_BELOW {
                *factor = 0.0;
            }
        }
        self.weekdays = weekdays;
    }

    fn learn_levels(&mut self, daily: &Daily) {
        let levels = (daily.first..daily.end()).map(|date| {
            let mut around: Vec<f64> = (date - AROUND_DAYS..=date + AROUND_DAYS)
                .filter(|near| self.is_like_its_weekday(*near) && self.weekdays[self.like(*near)] > 0.0)
                .filter_map(|near| Some(daily.at(near)? / self.weekdays[self.like(near)]))
                .collect();
            median(&mut around)
        });
        self.levels.values = levels.collect();
    }

    fn learn_parts_of_month(&mut self, daily: &Daily) {
        let mut ratios: [Vec<f64>; 5] = Default::default();
        for (date, value) in daily.iter() {
            if self.is_plain(date)
                && self.outliers.binary_search(&date).is_err()
                && let Some(log) = self.log_ratio(date, value)
            {
                ratios[part_of_month(date)].push(log);
            }
        }
        self.parts_of_month = ratios.map(|mut logs| {
            let n = logs.len() as f64;
            (median(&mut logs).unwrap_or(0.0) * n / (n + MONTH_SHRINK)).exp()
        });
    }

    /// Effects of holidays by their days, and of own events by their occurrences: what happened once on ten days is one
    /// observation. Levels hold the event's days too, so that an event is told by what stands out of its own weeks.
    fn learn_special(&mut self, daily: &Daily) {
        let mut sums: HashMap<String, Vec<(i32, f64, f64)>> = HashMap::new();
        let mut holidays = (0.0, 0.0);
        for (date, value) in daily.iter() {
            let names = match self.calendar.day(date) {
                DayKind::Holiday(name) => vec![name.to_owned()],
                DayKind::Ordinary => self.calendar.felt(date),
                DayKind::MovedWorkingDay | DayKind::Closed => continue,
            };
            let is_holiday = matches!(self.calendar.day(date), DayKind::Holiday(_));
            let Some(level) = self.levels.at(date).filter(|level| *level > 0.0) else { continue };
            // A holiday is told against the level, an event against what its weekday would have had.
            let like = if is_holiday { 1.0 } else { self.weekdays[self.like(date)] };
            if like <= 0.0 {
                continue;
            }
            let log = (value / (level * like)).max(0.02).ln();
            if is_holiday {
                holidays.0 += log;
                holidays.1 += 1.0;
            }
            for name in names {
                let occurrences = sums.entry(name).or_default();
                // Days that follow each other belong to one event; each day of a holiday speaks for itself.
                match occurrences.last_mut().filter(|last| !is_holiday && date - last.0 <= 7) {
                    Some(last) => *last = (date, last.1 + log, last.2 + 1.0),
                    None => occurrences.push((date, log, 1.0)),
                }
            }
        }
        self.holiday = (holidays.1 > 0.0).then(|| (holidays.0 / holidays.1).exp());
        let holiday = self.holiday.unwrap_or(self.weekdays[6].max(0.02)).ln();
        for (name, occurrences) in sums {
            let prior = if HOLIDAY_NAMES.contains(&name.as_str()) { holiday } else { 0.0 };
            let (n, sum) = (occurrences.len() as f64, occurrences.iter().map(|o| o.1 / o.2).sum::<f64>());
            self.special.insert(name, ((sum + SPECIAL_SHRINK * prior) / (n + SPECIAL_SHRINK)).exp());
        }
    }

    /// The weekday whose factor a day has; a moved working day is as a Wednesday.
    fn like(&self, date: i32) -> usize {
        match self.calendar.day(date) {
            DayKind::MovedWorkingDay => 2,
            _ => weekday(date),
        }
    }

    fn is_like_its_weekday(&self, date: i32) -> bool {
        self.calendar.day(date) == DayKind::Ordinary
    }

    fn is_plain(&self, date: i32) -> bool {
        self.is_like_its_weekday(date) && self.calendar.felt(date).is_empty()
    }

    /// ln(value / what level and weekday say); `None` where either is 0.
    fn log_ratio(&self, date: i32, value: f64) -> Option<f64> {
        let expected = self.levels.at(date)? * self.weekdays[self.like(date)];
        (expected > 0.0 && value > 0.0).then(|| (value / expected).ln())
    }

    /// How a day stands to the level: 1 is an even day, 0 one on which nobody comes.
    pub fn factor(&self, date: i32) -> f64 {
        match self.calendar.day(date) {
            DayKind::Closed => 0.0,
            DayKind::Holiday(name) => {
                self.special.get(name).copied().or(self.holiday).unwrap_or(self.weekdays[6])
            }
            DayKind::Ordinary | DayKind::MovedWorkingDay => {
                // Of several events at once the strongest is felt: they often are one story under several names.
                let felt = self.calendar.felt(date);
                let felt = felt.iter().filter_map(|name| self.special.get(name).copied());
                let strongest = felt.max_by(|a, b| a.ln().abs().total_cmp(&b.ln().abs())).unwrap_or(1.0);
                self.weekdays[self.like(date)] * self.parts_of_month[part_of_month(date)] * strongest
            }
        }
    }

    /// The days that were exceptional, in order.
    pub fn outliers(&self) -> &[i32] {
        &self.outliers
    }

    /// A day's value, or what level and shape say where it was exceptional.
    pub fn cleaned(&self, date: i32, value: f64) -> f64 {
        match (self.outliers.binary_search(&date), self.levels.at(date)) {
            (Ok(_), Some(level)) => level * self.factor(date),
            _ => value,
        }
    }

    /// A day's value over its factor: the level that it tells; `None` for days on which hardly anybody is expected. What is
    /// beyond 2.5 times the level around is cut to it.
    pub fn level_of(&self, date: i32, value: f64) -> Option<f64> {
        let factor = self.factor(date);
        let around = self.levels.at(date)?;
        (factor > 0.1).then(|| (value / factor).clamp(around / 2.5, around * 2.5))
    }

    /// The median level around a day of the past.
    pub fn level_around(&self, date: i32) -> Option<f64> {
        self.levels.at(date)
    }

    /// Σ of the factors of a month's days.
    pub fn month_weight(&self, month: i32) -> f64 {
        (month_start(month)..month_start(month + 1)).map(|date| self.factor(date)).sum()
    }

    /// The month's sum: what its recorded days had, exceptional ones cleaned, and the rest in the month's shape. `None` where
    /// less than a quarter of its weight is recorded.
    pub fn month_total(&self, daily: &Daily, month: i32) -> Option<f64> {
        let (mut sum, mut seen) = (0.0, 0.0);
        for date in month_start(month)..month_start(month + 1) {
            if let Some(value) = daily.at(date) {
                sum += self.cleaned(date, value);
                seen += self.factor(date);
            }
        }
        let whole = self.month_weight(month);
        (whole > 0.0 && seen >= 0.25 * whole).then(|| sum / seen * whole)
    }

    /// The month of a date, in months since year 0.
    pub fn month(date: i32) -> i32 {
        month_of(date)
    }
}

const HOLIDAY_NAMES: &[&str] =
    &["new_year", "spring_festival", "qingming", "labour_day", "dragon_boat", "mid_autumn", "national_day"];

/// Where in its month a day lies: the first three days, to the tenth, to the twentieth, before the last four, the last four.
fn part_of_month(date: i32) -> usize {
    let (_, _, day) = civil(date);
    let left = month_start(month_of(date) + 1) - date;
    match (day, left) {
        (1..=3, _) => 0,
        (_, ..=4) => 4,
        (4..=10, _) => 1,
        (11..=20, _) => 2,
        _ => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::{Country, OwnEvent, date_of};

    /// Monday, 2 March 2026.
    fn monday() -> i32 {
        date_of(2026, 3, 2).expect("a day of the test")
    }

    const SHAPE: [f64; 7] = [140.0, 120.0, 110.0, 110.0, 120.0, 60.0, 40.0];

    fn weeks(n: usize) -> Daily {
        Daily { first: monday(), values: (0..7 * n).map(|at| Some(SHAPE[at % 7])).collect() }
    }

    #[test]
    fn weekdays_are_found() {
        let profile = Profile::learn(&weeks(6), &Calendar::new(Country::None, vec![]));
        for (at, value) in SHAPE.iter().enumerate() {
            let factor = profile.weekdays[at];
            assert!((factor - value / 100.0).abs() < 1e-9, "{at} {factor}");
        }
        assert!(profile.outliers().is_empty());
    }

    #[test]
    fn a_day_out_of_shape_is_cleaned() {
        let mut daily = weeks(6);
        daily.values[15] = Some(400.0);
        daily.values[21] = Some(0.0);
        let profile = Profile::learn(&daily, &Calendar::new(Country::None, vec![]));
        assert_eq!(profile.outliers(), [monday() + 15, monday() + 21]);
        let cleaned = profile.cleaned(monday() + 15, 400.0);
        assert!((cleaned - 120.0).abs() < 6.0, "{cleaned}");
    }

    #[test]
    fn closed_days_get_nothing() {
        let mut daily = weeks(6);
        for week in 0..6 {
            daily.values[7 * week + 5] = Some(0.0);
            daily.values[7 * week + 6] = Some(0.0);
        }
        let calendar = Calendar::new(Country::None, vec![]);
        let profile = Profile::learn(&daily, &calendar);
        assert_eq!(profile.factor(monday() + 7 * 9 + 5), 0.0);
        assert!(profile.outliers().is_empty(), "{:?}", profile.outliers());
    }

    #[test]
    fn an_event_is_expected_of_the_next_of_its_kind() {
        let mut daily = weeks(12);
        let bill = |week: i32| OwnEvent { start: monday() + 7 * week, end: None, kind: "bill".to_owned() };
        let calendar = Calendar::new(Country::None, vec![bill(4), bill(8), bill(20)]);
        // Each bill doubles its first day.
        for week in [4, 8] {
            daily.values[7 * week] = Some(280.0);
        }
        let profile = Profile::learn(&daily, &calendar);
        let usual = profile.factor(monday() + 7 * 19);
        let with = profile.factor(monday() + 7 * 20);
        // Two seen, shrunk by one of "nothing happens": 2^(2/3), about.
        assert!((with / usual / 2.0_f64.powf(2.0 / 3.0) - 1.0).abs() < 0.05, "{}", with / usual);
    }

    #[test]
    fn months_are_filled_up_in_their_shape() {
        let daily = weeks(10);
        let profile = Profile::learn(&daily, &Calendar::new(Country::None, vec![]));
        // April is recorded whole.
        let april = Profile::month(monday() + 35);
        let true_sum: f64 =
            (month_start(april)..month_start(april + 1)).map(|date| SHAPE[weekday(date)]).sum();
        let total = profile.month_total(&daily, april).expect("it is recorded");
        assert!((total - true_sum).abs() < 1e-6, "{total} {true_sum}");
        assert_eq!(profile.month_total(&daily, april + 2), None);
    }
}
