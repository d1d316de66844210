//! The models side by side: each gives the next days or months of a series, or nothing.

use super::profile::{Daily, Profile};
use super::{hand, library};
use crate::calendar::Calendar;

/// What a series counts by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Days; the series begins at a date.
    Day,
    /// Months; the series begins at a month (since year 0).
    Month,
}

/// A way to forecast.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Model {
    /// The formula that centres use by hand, spread over days by the profile.
    Hand,
    /// The same weekday of the last week; the same month of the last year.
    SeasonalNaive,
    /// The level of the last days in the shape of the profile; the last month.
    Recent,
    /// Exponential smoothing by the library: of the level without its profile; of months without their season.
    Ets,
    /// Seasonal decomposition by the library, with exponential smoothing of the trend.
    Mstl,
    /// The recent level moved as the same weeks of the last year moved.
    LastYear,
    /// The weighted median of the models, by how little each erred so far.
    Blend,
    /// A shape that is not learned but assumed, for a queue without history.
    ColdStart,
}

impl Model {
    /// The models that forecast by themselves, in the order of tables.
    pub const SINGLE: [Model; 6] =
        [Model::Hand, Model::SeasonalNaive, Model::Recent, Model::Ets, Model::Mstl, Model::LastYear];

    /// Its name in tables and in SQL.
    pub fn name(self) -> &'static str {
        match self {
            Model::Hand => "hand",
            Model::SeasonalNaive => "seasonal_naive",
            Model::Recent => "recent",
            Model::Ets => "ets",
            Model::Mstl => "mstl",
            Model::LastYear => "last_year",
            Model::Blend => "blend",
            Model::ColdStart => "cold_start",
        }
    }
}

/// Days after which an older day counts half for the recent level.
const HALF_LIFE_DAYS: f64 = 5.0;
/// Days from which the movement of the same weeks last year can be told.
const LAST_YEAR_DAYS: usize = 392;
/// Days that the library is given at most: two years and a bit, so that a fit stays short.
const LIBRARY_DAYS: usize = 800;

/// What each model says of the next `horizon` steps; models that cannot say anything are left out.
pub fn predict(series: &Daily, step: Step, calendar: &Calendar, horizon: usize) -> Vec<(Model, Vec<f64>)> {
    let all = match step {
        Step::Day => days(series, &Profile::learn(series, calendar), horizon),
        Step::Month => months(&series.values, horizon),
    };
    let sane = |forecast: &Vec<f64>| forecast.len() == horizon && forecast.iter().all(|v| v.is_finite());
    all.into_iter()
        .filter_map(|(model, forecast)| Some((model, forecast.filter(sane)?)))
        .map(|(model, forecast)| (model, forecast.into_iter().map(|value| value.max(0.0)).collect()))
        .collect()
}

fn days(daily: &Daily, profile: &Profile, horizon: usize) -> Vec<(Model, Option<Vec<f64>>)> {
    let spread = |levels: Vec<f64>| {
        let dates = daily.end()..;
        levels.iter().zip(dates).map(|(level, date)| level * profile.factor(date)).collect::<Vec<f64>>()
    };
    let levels = open_levels(daily, profile);
    let recent = recent_level(&levels);
    let open: Vec<f64> = levels.iter().map(|(_, level)| *level).collect();
    let tail = &open[open.len().saturating_sub(LIBRARY_DAYS)..];
    vec![
        (Model::Hand, hand::days(daily, profile, horizon)),
        (Model::SeasonalNaive, last_week(daily, horizon)),
        (Model::Recent, recent.map(|level| spread(vec![level; horizon]))),
        (Model::Ets, library::ets(tail, horizon).map(spread)),
        (Model::Mstl, library::mstl(&capped(daily, profile), &[7, 364], true, horizon)),
        (Model::LastYear, recent.and_then(|level| last_year(daily, profile, level, horizon)).map(spread)),
    ]
}

fn months(values: &[Option<f64>], horizon: usize) -> Vec<(Model, Option<Vec<f64>>)> {
    // The library needs values without gaps: what is missing is as the month before it.
    let mut filled: Vec<f64> = Vec::with_capacity(values.len());
    for value in values {
        match value.or(filled.last().copied()) {
            Some(value) => filled.push(value),
            None => continue,
        }
    }
    let naive = (0..horizon).map(|ahead| {
        let back = 12 * (ahead / 12 + 1) - ahead;
        filled.len().checked_sub(back).map(|at| filled[at])
    });
    let recent = filled.last().map(|last| vec![*last; horizon]);
    // As the last year moved from here: the last month times next year's month over this one, a year ago.
    let moved = || -> Option<Vec<f64>> {
        let last = filled.len().checked_sub(1)?;
        let here = filled[last.checked_sub(12)?];
        (0..horizon)
            .map(|ahead| {
                let at = (last + 1 + ahead % 12).checked_sub(12)?;
                (here > 0.0).then(|| filled[last] * filled[at] / here)
            })
            .collect()
    };
    vec![
        (Model::Hand, hand::months(values, horizon)),
        (Model::SeasonalNaive, naive.collect()),
        (Model::Recent, recent),
        (Model::Ets, adjusted_ets(&filled, horizon)),
        (Model::Mstl, library::mstl(&filled, &[12], false, horizon)),
        (Model::LastYear, moved()),
    ]
}

/// Exponential smoothing of months without their season, which is put back: the library's own does not fit seasons. Months
/// stand to the mean of the twelve around them; below two years they are taken as all alike.
fn adjusted_ets(values: &[f64], horizon: usize) -> Option<Vec<f64>> {
    let mut ratios: [Vec<f64>; 12] = Default::default();
    for at in 6..values.len().saturating_sub(6) {
        // Half of the thirteenth month on either side, so that the middle is in the middle.
        let ends = (values[at - 6] + values[at + 6]) / 2.0;
        let mean = (values[at - 5..at + 6].iter().sum::<f64>() + ends) / 12.0;
        if mean > 0.0 {
            ratios[at % 12].push(values[at] / mean);
        }
    }
    let mut season = ratios.map(|mut of| super::accuracy::median(&mut of).unwrap_or(1.0).max(0.01));
    let mean = season.iter().sum::<f64>() / 12.0;
    season.iter_mut().for_each(|factor| *factor /= mean);
    let adjusted: Vec<f64> = values.iter().enumerate().map(|(at, value)| value / season[at % 12]).collect();
    let ahead = library::ets(&adjusted, horizon)?;
    Some(ahead.iter().zip(values.len()..).map(|(value, at)| value * season[at % 12]).collect())
}

/// The level that each open day tells, in order.
fn open_levels(daily: &Daily, profile: &Profile) -> Vec<(i32, f64)> {
    daily.iter().filter_map(|(date, value)| Some((date, profile.level_of(date, value)?))).collect()
}

/// A mean of the levels of the last four weeks that forgets with a half-life of five days.
fn recent_level(levels: &[(i32, f64)]) -> Option<f64> {
    let last = levels.last()?.0;
    let (mut sum, mut weights) = (0.0, 0.0);
    for (date, level) in levels.iter().rev().take_while(|(date, _)| *date > last - 28) {
        let weight = 0.5_f64.powf(f64::from(last - date) / HALF_LIFE_DAYS);
        sum += weight * level;
        weights += weight;
    }
    Some(sum / weights)
}

/// The same weekday of the last week that has it; nobody on one that four weeks have not had.
fn last_week(daily: &Daily, horizon: usize) -> Option<Vec<f64>> {
    let end = daily.end();
    (0..horizon)
        .map(|ahead| {
            let back = 7 - i32::try_from(ahead % 7).ok()?;
            let seen = (0..4).find_map(|week| daily.at(end - back - 7 * week));
            seen.or_else(|| (daily.values.len() >= 28).then_some(0.0))
        })
        .collect()
}

/// The days as they were, cut to 2.5 times the level around and with gaps filled in their shape.
fn capped(daily: &Daily, profile: &Profile) -> Vec<f64> {
    let dates = daily.first.max(daily.end().saturating_sub(LIBRARY_DAYS as i32))..daily.end();
    let mut values = Vec::new();
    for date in dates {
        let factor = profile.factor(date);
        let around = profile.level_around(date);
        let value = match (daily.at(date), around) {
            (Some(value), Some(around)) if factor > 0.1 => value.clamp(0.0, around * 2.5 * factor),
            (Some(value), _) => value,
            (None, Some(around)) => around * factor,
            (None, None) => continue,
        };
        values.push(value);
    }
    values
}

/// The level moved as it moved a year (52 weeks) ago, halfway: what happened once may not happen again.
fn last_year(daily: &Daily, profile: &Profile, level: f64, horizon: usize) -> Option<Vec<f64>> {
    if daily.values.len() < LAST_YEAR_DAYS {
        return None;
    }
    let end = daily.end();
    let around = |date: i32| {
        let mut near: Vec<f64> =
            (date - 7..=date + 7).filter_map(|date| profile.level_of(date, daily.at(date)?)).collect();
        super::accuracy::median(&mut near)
    };
    let here = around(end - 8 - 364)?;
    (0..horizon)
        .map(|ahead| {
            let there = around(end + i32::try_from(ahead).ok()? - 364)?;
            (here > 0.0 && there > 0.0).then(|| level * (there / here).sqrt().clamp(0.4, 2.5))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::{Country, date_of};

    #[test]
    fn a_steady_week_is_carried_on_by_every_model() {
        let shape = [140.0, 120.0, 110.0, 110.0, 120.0, 60.0, 40.0];
        let first = date_of(2025, 9, 1).expect("a day of the test");
        let daily = Daily { first, values: (0..70 * 7).map(|at| Some(shape[at % 7])).collect() };
        let calendar = Calendar::new(Country::None, vec![]);
        let all = predict(&daily, Step::Day, &calendar, 31);
        assert_eq!(all.iter().map(|(model, _)| *model).collect::<Vec<_>>(), Model::SINGLE);
        for (model, forecast) in all {
            for (at, value) in forecast.iter().enumerate() {
                assert!((value - shape[at % 7]).abs() < 1.5, "{model:?} {at} {value}");
            }
        }
    }

    #[test]
    fn a_weekday_that_was_not_there_for_weeks_is_a_quiet_one() {
        let week = |at: usize| (at % 7 < 5).then_some(50.0);
        let daily = Daily { first: 20_000, values: (0..35).map(week).collect() };
        let naive = last_week(&daily, 14).expect("a forecast");
        assert_eq!(naive[..7], [50.0, 50.0, 50.0, 50.0, 50.0, 0.0, 0.0]);
        // In a short history it is not known whether the centre is closed.
        assert_eq!(last_week(&Daily { values: daily.values[..20].to_vec(), ..daily }, 14), None);
    }

    #[test]
    fn months_know_their_last_year() {
        let series = Daily { first: 0, values: (0..24).map(|at| Some(f64::from(at % 12) + 1.0)).collect() };
        let all = predict(&series, Step::Month, &Calendar::default(), 14);
        let of = |wanted| {
            let found = all.iter().find(|(model, _)| *model == wanted);
            found.map(|(_, forecast)| forecast.clone()).unwrap_or_default()
        };
        let naive: Vec<f64> = (0..14).map(|at| f64::from(at % 12) + 1.0).collect();
        assert_eq!(of(Model::SeasonalNaive), naive);
        assert_eq!(of(Model::Recent), vec![12.0; 14]);
        assert_eq!(of(Model::LastYear)[..12], naive[..12]);
    }

    #[test]
    fn a_short_history_has_fewer_models() {
        let daily = Daily { first: 20_000, values: vec![Some(50.0); 3] };
        let all = predict(&daily, Step::Day, &Calendar::new(Country::None, vec![]), 7);
        assert!(all.iter().all(|(_, forecast)| forecast.len() == 7));
        assert!(!all.iter().any(|(model, _)| *model == Model::LastYear));
        assert!(all.iter().any(|(model, _)| *model == Model::Recent), "{all:?}");
    }
}
