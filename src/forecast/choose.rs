//! Which model to believe: a back-test over moving origins, in which each choice is made from what was known at its origin.

use std::collections::{BTreeMap, HashMap};

use super::accuracy::{Accuracy, quantile};
use super::contenders::{Model, Step, predict};
use super::profile::Daily;
use crate::calendar::Calendar;

/// How far ahead a forecast looks, in bands that are judged apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Band {
    /// Its name.
    pub name: &'static str,
    /// The first and the last step ahead, from 1.
    pub steps: (usize, usize),
}

const DAY_BANDS: [Band; 4] = [
    Band { name: "1d", steps: (1, 1) },
    Band { name: "2-7d", steps: (2, 7) },
    Band { name: "8-14d", steps: (8, 14) },
    Band { name: "15-31d", steps: (15, usize::MAX) },
];
const MONTH_BANDS: [Band; 4] = [
    Band { name: "1m", steps: (1, 1) },
    Band { name: "2-3m", steps: (2, 3) },
    Band { name: "4-6m", steps: (4, 6) },
    Band { name: "7-12m", steps: (7, usize::MAX) },
];

/// The bands of a step.
pub fn bands(step: Step) -> &'static [Band; 4] {
    match step {
        Step::Day => &DAY_BANDS,
        Step::Month => &MONTH_BANDS,
    }
}

/// The band of a step ahead (from 1), by its place in [`bands`].
pub fn band_of(step: Step, ahead: usize) -> usize {
    bands(step).iter().position(|band| ahead <= band.steps.1).unwrap_or(3)
}

/// How much less a model counts that erred more: weights are mean errors to this power, negative. So high a power leaves a
/// model that errs by a tenth more less than half the weight of the best.
const WEIGHT_POWER: f64 = 8.0;
/// Steps after which an older error counts half, but for the next step: what a model was good at a season ago says less than what it did of late.
const ERROR_HALF_LIFE: f64 = 45.0;
/// Independent origins in a band from which on they say as much as all bands together.
const ORIGINS_HALF: f64 = 10.0;

/// Independent origins as which counts what the models are worth in general.
const ORIGINS_OF_USUAL: f64 = 10.0;

/// ln(error of a model / that of the best one of the series), the median over 24 series of months of all kinds (people employed, sales,
/// payments, journeys, deaths, energy), each from two years of history on: a decade of months has room for ten independent forecasts of
/// the second half of a year, which alone cannot tell the models apart. Nothing of the kind held for days.
fn usual(step: Step, model: Model) -> Option<f64> {
    match (step, model) {
        (Step::Month, Model::Ets | Model::Mstl) => Some(0.0),
        (Step::Month, Model::LastYear) => Some(0.2),
        (Step::Month, Model::Hand | Model::SeasonalNaive) => Some(0.55),
        (Step::Month, Model::Recent) => Some(0.7),
        (Step::Month, Model::Blend | Model::ColdStart) | (Step::Day, _) => None,
    }
}

/// One forecast of the past, beside what came.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tried {
    /// The origin: the first step that was not known.
    pub origin: i32,
    /// Steps ahead, from 1.
    pub ahead: usize,
    /// The model; [`Model::Blend`] is what was chosen.
    pub model: Model,
    /// What it said.
    pub forecast: f64,
    /// What came.
    pub actual: f64,
}

impl Tried {
    /// The step that was forecast.
    pub fn target(&self) -> i32 {
        self.origin.saturating_add(i32::try_from(self.ahead).unwrap_or(i32::MAX) - 1)
    }
}

/// What a back-test found.
#[derive(Debug, Clone, Default)]
pub struct BackTest {
    /// Every forecast and what came.
    pub tried: Vec<Tried>,
}

/// Origins of forecasts in a band, as they are met in order.
#[derive(Debug, Clone, Copy, Default)]
struct Origins {
    count: usize,
    first: i32,
    last: i32,
    /// The nearest and the furthest step ahead.
    ahead: (usize, usize),
}

impl Origins {
    fn add(&mut self, origin: i32, ahead: usize) {
        if self.count == 0 {
            (self.first, self.ahead) = (origin, (ahead, ahead));
        }
        if self.count == 0 || self.last != origin {
            self.count += 1;
            self.last = origin;
        }
        self.ahead = (self.ahead.0.min(ahead), self.ahead.1.max(ahead));
    }

    /// How many of them speak of different times: forecasts of the second half of a month that were made three days apart are
    /// right or wrong about nearly the same days, so that five of them are one experience.
    fn independent(&self) -> f64 {
        if self.count == 0 {
            return 0.0;
        }
        let apart = (i64::from(self.last) - i64::from(self.first)) as f64;
        (1.0 + apart / (self.ahead.1 - self.ahead.0 + 1) as f64).min(self.count as f64)
    }
}

/// Sums of each model's weighted errors, and of those of what was chosen at the same origins and steps. A model that could not
/// speak from the first origin on is judged by what the choice had where it spoke: other days may have been easier ones.
type Errors = BTreeMap<Model, (f64, f64)>;

/// How to back-test.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Steps ahead.
    pub horizon: usize,
    /// Origins at most; the newest are taken.
    pub origins: usize,
    /// Steps between two origins.
    pub every: usize,
    /// Steps that must be known before the first origin.
    pub known: usize,
}

impl Plan {
    /// The usual one: three days between origins of days, so that they fall on every weekday, a month between those of
    /// months; 300 days or ten years of origins at most, at least four weeks or two years known.
    pub fn usual(step: Step, horizon: usize) -> Plan {
        match step {
            Step::Day => Plan { horizon, origins: 100, every: 3, known: 28 },
            Step::Month => Plan { horizon, origins: 120, every: 1, known: 24 },
        }
    }
}

/// Forecasts the past as it was known at each origin.
pub fn back_test(series: &Daily, step: Step, calendar: &Calendar, plan: Plan) -> BackTest {
    let mut test = BackTest::default();
    let end = series.end();
    let every = i32::try_from(plan.every.max(1)).unwrap_or(i32::MAX);
    let first = series.first.saturating_add(i32::try_from(plan.known).unwrap_or(i32::MAX));
    let mut origins = Vec::new();
    let mut origin = end.saturating_sub(every);
    while origin >= first && origins.len() < plan.origins {
        origins.push(origin);
        origin -= every;
    }
    for origin in origins.into_iter().rev() {
        let known = series.before(origin);
        let singles = predict(&known, step, calendar, plan.horizon);
        let chosen = test.choose(step, origin, &singles, plan.horizon);
        let mut note = |model, forecast: &[f64]| {
            for (at, value) in forecast.iter().enumerate() {
                let date = origin.saturating_add(i32::try_from(at).unwrap_or(i32::MAX));
                let Some(actual) = series.at(date) else { continue };
                test.tried.push(Tried { origin, ahead: at + 1, model, forecast: *value, actual });
            }
        };
        for (model, forecast) in &singles {
            note(*model, forecast);
        }
        note(Model::Blend, &chosen.values);
    }
    test
}

/// What was chosen: a value for each step ahead, and how much each model had to say in it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Chosen {
    /// The forecast.
    pub values: Vec<f64>,
    /// The weights of the models in each band; they add up to 1.
    pub weights: [Vec<(Model, f64)>; 4],
}

impl Chosen {
    /// The model that leads in a band where it has more than half of the weight, else the models together.
    pub fn model(&self, band: usize) -> Model {
        let leads = self.weights.get(band).into_iter().flatten().find(|(_, weight)| *weight > 0.5);
        leads.map_or(Model::Blend, |(model, _)| *model)
    }
}

impl BackTest {
    /// The errors of each model in each band; the last row is what was chosen.
    pub fn table(&self, step: Step) -> Vec<(Model, [Accuracy; 4])> {
        let mut by_model: BTreeMap<Model, [Accuracy; 4]> = BTreeMap::new();
        for tried in &self.tried {
            let band = band_of(step, tried.ahead);
            by_model.entry(tried.model).or_default()[band].add(tried.forecast, tried.actual);
        }
        by_model.into_iter().collect()
    }

    /// Errors of each model in each band as known at an origin beside those of the choice, newer ones weighing more, and how many
    /// independent origins are behind them.
    fn known(&self, step: Step, origin: i32) -> ([Errors; 4], [f64; 4]) {
        let mut sums: [Errors; 4] = Default::default();
        let mut origins = [Origins::default(); 4];
        let off = |tried: &Tried| (tried.forecast - tried.actual).abs();
        let of_choice: HashMap<(i32, usize), f64> = self
            .tried
            .iter()
            .filter(|tried| tried.model == Model::Blend)
            .map(|tried| ((tried.origin, tried.ahead), off(tried)))
            .collect();
        for tried in self.tried.iter().filter(|tried| tried.model != Model::Blend) {
            let target = tried.target();
            let of_choice = of_choice.get(&(tried.origin, tried.ahead));
            if target < origin
                && let Some(of_choice) = of_choice
            {
                let band = band_of(step, tried.ahead);
                // The next step is much the same whatever the season; further ahead it matters which models had it right of late.
                let weight =
                    if band == 0 { 1.0 } else { 0.5_f64.powf(f64::from(origin - target) / ERROR_HALF_LIFE) };
                let (error, beside) = sums[band].entry(tried.model).or_default();
                *error += weight * off(tried);
                *beside += weight * of_choice;
                origins[band].add(tried.origin, tried.ahead);
            }
        }
        (sums, origins.map(|of_band| of_band.independent()))
    }

    /// The choice at an origin, by the errors that were known there: in each band the weighted median of the models, where
    /// a model weighs the less the more it erred.
    ///
    /// Where one model was clearly the best it has most of the weight, and the median is what it says. Where several were
    /// about as good they agree on a value between them, and what one of them gets badly wrong does not matter.
    pub fn choose(&self, step: Step, origin: i32, singles: &[(Model, Vec<f64>)], horizon: usize) -> Chosen {
        let mut chosen = Chosen::default();
        if singles.is_empty() {
            return chosen;
        }
        let (errors, origins) = self.known(step, origin);
        for (band, weights) in chosen.weights.iter_mut().enumerate() {
            *weights = weigh(step, (&errors, &origins), band, singles);
        }
        for ahead in 1..=horizon {
            let weights = &chosen.weights[band_of(step, ahead)];
            let mut values: Vec<(f64, f64)> = singles
                .iter()
                .zip(weights)
                .map(|((_, said), (_, weight))| (said[ahead - 1], *weight))
                .collect();
            chosen.values.push(weighted_median(&mut values));
        }
        chosen
    }

    /// Independent origins behind the figures of each band: with few of them nobody can tell which model is the better one.
    pub fn independent_origins(&self, step: Step) -> [f64; 4] {
        [0, 1, 2, 3].map(|band| {
            let mut origins = Origins::default();
            self.chosen(step, band).for_each(|tried| origins.add(tried.origin, tried.ahead));
            origins.independent()
        })
    }

    /// The bounds in which 80 % of the truth lay, as factors of the chosen forecast, in a band; wide ones where little is
    /// known.
    pub fn interval(&self, step: Step, band: usize) -> (f64, f64) {
        // Days on which next to nobody is expected say nothing about the others.
        let of_band = self.chosen(step, band).filter(|tried| tried.forecast >= 1.0);
        let mut ratios: Vec<f64> = of_band.map(|tried| tried.actual / tried.forecast).collect();
        if ratios.len() < 10 {
            return (0.6, 1.6);
        }
        match (quantile(&mut ratios, 0.1), quantile(&mut ratios, 0.9)) {
            (Some(low), Some(high)) => (low.min(1.0), high.max(1.0)),
            _ => (0.6, 1.6),
        }
    }

    fn chosen(&self, step: Step, band: usize) -> impl Iterator<Item = &Tried> {
        let of_band = move |tried: &&Tried| tried.model == Model::Blend && band_of(step, tried.ahead) == band;
        self.tried.iter().filter(of_band)
    }

    /// The WAPE of what was chosen in a band; `None` where nothing was tried.
    pub fn wape(&self, step: Step, band: usize) -> Option<f64> {
        let mut accuracy = Accuracy::default();
        for tried in self.chosen(step, band) {
            accuracy.add(tried.forecast, tried.actual);
        }
        accuracy.wape()
    }
}

/// The weights of the singles in a band, which add up to 1. What a few origins have shown in a band is little, so that the
/// errors in all bands together speak too, and the power grows with what is known. Of months, of which there are few, what the
/// models are worth in general speaks too.
fn weigh(
    step: Step,
    (errors, origins): (&[Errors; 4], &[f64; 4]),
    band: usize,
    singles: &[(Model, Vec<f64>)],
) -> Vec<(Model, f64)> {
    let own = relative(|of: usize| of == band, errors, singles);
    let pooled = relative(|_| true, errors, singles);
    let known = origins[band] / (origins[band] + ORIGINS_HALF);
    // What this series has shown in any band, against what series in general have.
    let most = origins.iter().copied().fold(0.0, f64::max);
    let shown = most / (most + ORIGINS_OF_USUAL);
    let logs: Vec<Option<f64>> = own
        .iter()
        .zip(&pooled)
        .map(|(own, pooled)| match (own, pooled) {
            (Some(own), Some(pooled)) => Some(known * own + (1.0 - known) * pooled),
            (own, pooled) => own.or(*pooled),
        })
        .zip(singles)
        .map(|(log, (model, _))| match (log, usual(step, *model)) {
            (Some(log), Some(usual)) => Some(shown * log + (1.0 - shown) * usual),
            (log, usual) => log.or(usual),
        })
        .collect();
    let proven = logs.iter().any(Option::is_some);
    let power = WEIGHT_POWER * (0.25 + 0.75 * known);
    let weights: Vec<f64> = logs
        .iter()
        .map(|log| match log {
            Some(log) => (-power * log).exp(),
            // Unproven where others are proven counts little; where nothing is known all count alike.
            None if proven => 0.1,
            None => 1.0,
        })
        .collect();
    let sum: f64 = weights.iter().sum();
    singles.iter().zip(weights).map(|((model, _), weight)| (*model, weight / sum)).collect()
}

/// ln(each single's error, as a share of that of the choice at the same times / the least such share), the mean over some bands.
fn relative(
    of: impl Fn(usize) -> bool,
    errors: &[Errors; 4],
    singles: &[(Model, Vec<f64>)],
) -> Vec<Option<f64>> {
    let mean = |model: &Model| {
        let mut ratios = (0.0, 0.0);
        for (_, in_band) in errors.iter().enumerate().filter(|(band, _)| of(*band)) {
            // A choice that was never wrong leaves the errors as they are.
            let share = |(error, beside): &(f64, f64)| error.max(1e-9) / beside.max(1e-9);
            let least = in_band.values().map(share).fold(f64::MAX, f64::min);
            if let Some(share) = in_band.get(model).map(share) {
                ratios.0 += (share / least).ln();
                ratios.1 += 1.0;
            }
        }
        (ratios.1 > 0.0).then(|| ratios.0 / ratios.1)
    };
    singles.iter().map(|(model, _)| mean(model)).collect()
}

/// The value at which half of the weight lies on either side, between neighbours by the share that lacks.
fn weighted_median(values: &mut [(f64, f64)]) -> f64 {
    values.sort_by(|a, b| a.0.total_cmp(&b.0));
    let half = values.iter().map(|(_, weight)| weight).sum::<f64>() / 2.0;
    let (mut below, mut last) = (0.0, None::<(f64, f64)>);
    for &(value, weight) in values.iter() {
        // A value stands in the middle of its weight.
        let place = below + weight / 2.0;
        if place >= half {
            return match last {
                Some((from, at)) if place > at => from + (value - from) * (half - at) / (place - at),
                _ => value,
            };
        }
        last = Some((value, place));
        below += weight;
    }
    last.map_or(0.0, |(value, _)| value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::{Country, date_of};

    fn calendar() -> Calendar {
        Calendar::new(Country::None, vec![])
    }

    /// A weekly shape over a level that wanders, by a fixed rule without chance.
    fn wandering(days: usize) -> Daily {
        let shape = [1.4, 1.2, 1.1, 1.1, 1.2, 0.6, 0.4];
        let first = date_of(2025, 1, 6).expect("a Monday of the test");
        let mut state = 12_345_u64;
        let mut level = 200.0;
        let values = (0..days).map(|at| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let noise = (state >> 33) as f64 / f64::from(1_u32 << 31) - 0.5;
            level *= 1.0 + 0.06 * noise;
            Some((level * shape[at % 7] * (1.0 + 0.2 * noise)).round())
        });
        Daily { first, values: values.collect() }
    }

    #[test]
    fn the_chosen_is_as_good_as_the_best_and_better_than_the_naive() {
        let test = back_test(&wandering(300), Step::Day, &calendar(), Plan::usual(Step::Day, 31));
        let table = test.table(Step::Day);
        for band in 0..4 {
            let wape = |model: Model| {
                let row = table.iter().find(|(of, _)| *of == model).expect("a row");
                row.1[band].wape().expect("a figure")
            };
            let singles = table.iter().map(|(model, _)| *model).filter(|model| *model != Model::Blend);
            let best = singles.map(wape).fold(f64::MAX, f64::min);
            assert!(wape(Model::Blend) <= best * 1.02, "{band}: {} {best}", wape(Model::Blend));
            assert!(wape(Model::Blend) < wape(Model::SeasonalNaive), "{band}");
        }
    }

    #[test]
    fn origins_whose_forecasts_overlap_are_few() {
        let plan = Plan { horizon: 31, origins: 60, every: 3, known: 28 };
        let test = back_test(&wandering(300), Step::Day, &calendar(), plan);
        // 60 origins over 177 days; the last ones have not seen their furthest days.
        let independent = test.independent_origins(Step::Day);
        assert_eq!(independent[0], 60.0);
        assert!((independent[1] - (1.0 + 177.0 / 6.0)).abs() < 1e-9, "{independent:?}");
        assert!((10.0..13.0).contains(&independent[3]), "{independent:?}");
        assert_eq!(BackTest::default().independent_origins(Step::Day), [0.0; 4]);
    }

    #[test]
    fn a_model_that_came_late_is_judged_by_its_own_days() {
        // Easy days first, then hard ones, of which alone `last_year` speaks: there it errs less than `hand`.
        let mut test = BackTest::default();
        for origin in 0..60 {
            let hard = origin >= 30;
            let mut note = |model, error: f64| {
                test.tried.push(Tried { origin, ahead: 1, model, forecast: 200.0 + error, actual: 200.0 });
            };
            note(Model::Hand, if hard { 100.0 } else { 10.0 });
            if hard {
                note(Model::LastYear, 70.0);
            }
            note(Model::Blend, if hard { 100.0 } else { 10.0 });
        }
        let singles = [(Model::Hand, vec![300.0]), (Model::LastYear, vec![270.0])];
        let chosen = test.choose(Step::Day, 60, &singles, 1);
        assert_eq!(chosen.model(0), Model::LastYear, "{:?}", chosen.weights[0]);
    }

    #[test]
    fn what_months_are_like_in_general_gives_way_to_what_they_show() {
        let singles = [(Model::Hand, vec![100.0]), (Model::Ets, vec![100.0])];
        let weight_of_hand = |origins: i32| {
            let mut test = BackTest::default();
            for origin in 0..origins {
                for (model, forecast) in [(Model::Hand, 105.0), (Model::Ets, 120.0), (Model::Blend, 110.0)] {
                    test.tried.push(Tried { origin, ahead: 1, model, forecast, actual: 100.0 });
                }
            }
            test.choose(Step::Month, origins, &singles, 1).weights[0][0].1
        };
        // Nothing is known of this series: smoothing is the better one in general, by far not for certain.
        assert!((0.1..0.4).contains(&weight_of_hand(0)), "{}", weight_of_hand(0));
        // Here the formula errs a quarter as much, and after two years of that it is believed.
        assert!(weight_of_hand(24) > 0.9, "{}", weight_of_hand(24));
    }

    #[test]
    fn the_median_is_weighted() {
        assert_eq!(weighted_median(&mut [(10.0, 1.0), (30.0, 1.0), (20.0, 1.0)]), 20.0);
        assert_eq!(weighted_median(&mut [(10.0, 1.0), (30.0, 1.0)]), 20.0);
        // The middle of 10 is at 0.45, that of 50 at 0.95; half is at 0.5: 10 + 40 · 0.05 / 0.5.
        let value = weighted_median(&mut [(10.0, 0.9), (50.0, 0.1)]);
        assert!((value - 14.0).abs() < 1e-9, "{value}");
        assert_eq!(weighted_median(&mut [(7.0, 1.0)]), 7.0);
    }

    #[test]
    fn nothing_of_the_future_is_used() {
        let daily = wandering(120);
        let mut other = daily.clone();
        let origin = daily.end() - 14;
        for value in &mut other.values[106..] {
            *value = Some(9_999.0);
        }
        let plan = Plan { horizon: 7, origins: 8, every: 7, known: 28 };
        let of = |daily: &Daily| {
            let test = back_test(daily, Step::Day, &calendar(), plan);
            let at = test.tried.iter().filter(|tried| tried.origin <= origin && tried.model == Model::Blend);
            at.map(|tried| (tried.origin, tried.ahead, tried.forecast)).collect::<Vec<_>>()
        };
        assert_eq!(of(&daily), of(&other));
        assert!(!of(&daily).is_empty());
    }

    #[test]
    fn no_history_is_no_choice() {
        let test = back_test(&Daily::default(), Step::Day, &calendar(), Plan::usual(Step::Day, 31));
        assert!(test.tried.is_empty());
        assert_eq!(test.choose(Step::Day, 0, &[], 31), Chosen::default());
        assert_eq!(test.interval(Step::Day, 0), (0.6, 1.6));
    }
}
