//! The formula by which centres with two years of history forecast a month by hand, and its spread over days.
//!
//! `n = 0.055 · same month last year + 0.185 · (n−3) + 0.315 · (n−2) + 0.445 · (n−1)`, exceptional days taken out first, and
//! corrected by the recent trend.

use super::profile::{Daily, Profile};

/// Weights of the same month last year and of the months n−3, n−2 and n−1.
pub const WEIGHTS: [f64; 4] = [0.055, 0.185, 0.315, 0.445];
/// Days whose sum against what was expected of them is the recent trend.
const TREND_DAYS: i32 = 14;
/// The trend is believed within these bounds.
const TREND_BOUNDS: (f64, f64) = (0.4, 2.5);

/// The month n from the same month last year, n−3, n−2 and n−1. What is not known leaves the sum, and the other weights are
/// made to add up to 1 again; `None` where none is known.
pub fn month(
    last_year: Option<f64>,
    three_ago: Option<f64>,
    two_ago: Option<f64>,
    last: Option<f64>,
) -> Option<f64> {
    let terms = [last_year, three_ago, two_ago, last];
    let known = || WEIGHTS.iter().zip(terms).filter_map(|(weight, term)| Some((weight, term?)));
    let weights: f64 = known().map(|(weight, _)| weight).sum();
    (weights > 0.0).then(|| known().map(|(weight, term)| weight * term).sum::<f64>() / weights)
}

/// The next `horizon` months of a series of months; a month that is forecast is what the next ones go by.
pub fn months(values: &[Option<f64>], horizon: usize) -> Option<Vec<f64>> {
    let mut all = values.to_vec();
    for _ in 0..horizon {
        let ago = |back: usize| all.len().checked_sub(back).and_then(|at| all[at]);
        let next = month(ago(12), ago(3), ago(2), ago(1))?;
        all.push(Some(next));
    }
    all[values.len()..].iter().copied().collect()
}

/// The next `horizon` days: months by the formula, spread over their days by the profile, times the recent trend.
///
/// Months are compared by their even days: what a month had over the sum of its days' factors, so that a short month or one
/// with holidays is not taken for a quiet one. Without a whole month the formula has nothing to go by, and the level of the
/// last four weeks is taken.
pub fn days(daily: &Daily, profile: &Profile, horizon: usize) -> Option<Vec<f64>> {
    let end = daily.end();
    let current = Profile::month(end);
    let first = Profile::month(daily.first);
    let last = Profile::month(end.saturating_add(i32::try_from(horizon).ok()?));
    let mut levels: Vec<Option<f64>> = (first..current)
        .map(|month| Some(profile.month_total(daily, month)? / profile.month_weight(month)))
        .collect();
    if levels.iter().flatten().next().is_none() {
        let mut recent: Vec<f64> =
            daily.iter().rev().take(28).filter_map(|(date, value)| profile.level_of(date, value)).collect();
        let level = super::accuracy::median(&mut recent)?;
        return Some(dates(end, horizon).map(|date| level * profile.factor(date)).collect());
    }
    for month in current..=last {
        let ago = |back: i32| {
            let at = usize::try_from(month - back - first).ok()?;
            levels.get(at).copied().flatten()
        };
        let level = self::month(ago(12), ago(3), ago(2), ago(1));
        levels.push(level);
    }
    let expected = |date: i32| {
        let at = usize::try_from(Profile::month(date) - first).ok()?;
        Some(levels.get(at).copied().flatten()? * profile.factor(date))
    };
    let trend = trend(daily, profile, expected);
    dates(end, horizon).map(|date| Some(expected(date)? * trend)).collect()
}

/// What the last days had over what was expected of them; 1 where nothing was.
fn trend(daily: &Daily, profile: &Profile, expected: impl Fn(i32) -> Option<f64>) -> f64 {
    let (mut had, mut should) = (0.0, 0.0);
    for date in daily.end() - TREND_DAYS..daily.end() {
        let level = daily.at(date).and_then(|value| profile.level_of(date, value));
        if let (Some(level), Some(expected)) = (level, expected(date)) {
            had += level * profile.factor(date);
            should += expected;
        }
    }
    if should > 0.0 { (had / should).clamp(TREND_BOUNDS.0, TREND_BOUNDS.1) } else { 1.0 }
}

fn dates(end: i32, horizon: usize) -> impl Iterator<Item = i32> {
    (0..horizon).map(move |ahead| end.saturating_add(i32::try_from(ahead).unwrap_or(i32::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::{Calendar, Country, date_of, month_start};

    #[test]
    fn the_formula_is_the_hand_calculation() {
        // 0.055·36,000 + 0.185·30,000 + 0.315·32,000 + 0.445·34,000 = 1,980 + 5,550 + 10,080 + 15,130.
        let forecast =
            month(Some(36_000.0), Some(30_000.0), Some(32_000.0), Some(34_000.0)).expect("all known");
        assert!((forecast - 32_740.0).abs() < 1e-9, "{forecast}");
        assert!((WEIGHTS.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn three_months_of_history_will_do() {
        // (0.185·300 + 0.315·400 + 0.445·500) / 0.945 = 404 / 0.945.
        let forecast = month(None, Some(300.0), Some(400.0), Some(500.0)).expect("three known");
        assert!((forecast - 404.0 / 0.945).abs() < 1e-9, "{forecast}");
        assert_eq!(month(None, None, None, None), None);
    }

    #[test]
    fn later_months_go_by_forecast_ones() {
        let known: Vec<Option<f64>> = (1..=12).map(|month| Some(f64::from(month) * 100.0)).collect();
        let next = months(&known, 2).expect("a year is known");
        // 0.055·100 + 0.185·1,000 + 0.315·1,100 + 0.445·1,200 = 5.5 + 185 + 346.5 + 534.
        assert!((next[0] - 1_071.0).abs() < 1e-9, "{next:?}");
        // 0.055·200 + 0.185·1,100 + 0.315·1,200 + 0.445·1,071.
        assert!((next[1] - (11.0 + 203.5 + 378.0 + 0.445 * 1_071.0)).abs() < 1e-9, "{next:?}");
    }

    #[test]
    fn a_month_is_spread_over_its_days_and_follows_the_trend() {
        // Every day of August 100, of September 110, of October 120; the first half of November 130.
        let first = date_of(2026, 8, 1).expect("a day of the test");
        let end = date_of(2026, 11, 16).expect("a day of the test");
        let value = |date: i32| match crate::calendar::civil(date).1 {
            8 => 100.0,
            9 => 110.0,
            10 => 120.0,
            _ => 130.0,
        };
        let daily = Daily { first, values: (first..end).map(|date| Some(value(date))).collect() };
        let profile = Profile::learn(&daily, &Calendar::new(Country::None, vec![]));
        let ahead = days(&daily, &profile, 20).expect("three months are known");
        // The formula gives (0.185·100 + 0.315·110 + 0.445·120) / 0.945 a day; the last 14 days had 130.
        let november: f64 = ahead[..15].iter().sum();
        assert!((november / 15.0 - 130.0).abs() < 4.0, "{november}");
        assert_eq!(ahead.len(), 20);
        let december = month_start(Profile::month(end) + 1) - end;
        assert_eq!(december, 15);
        assert!(ahead.iter().all(|value| *value > 100.0 && *value < 160.0), "{ahead:?}");
    }
}
