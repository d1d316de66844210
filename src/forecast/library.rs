//! Models of the library: exponential smoothing (ETS, its form found by AICc) and MSTL with an ETS trend.
//!
//! Trends over days are damped: an undamped one that is carried on for a month is the commonest way to be very wrong. The
//! growth of months is carried on.
//!
//! What the library cannot fit is no forecast, never an error.

use augurs::ets::AutoETS;
use augurs::mstl::MSTLModel;
use augurs::prelude::*;

/// Values below which a fit would be a guess.
const LEAST: usize = 10;

/// ETS without seasons, its trend damped, over values without gaps.
pub(super) fn ets(values: &[f64], horizon: usize) -> Option<Vec<f64>> {
    fit(smoothing(true)?, values, horizon)
}

/// MSTL over seasons of these lengths, those of which less than two are there left out.
pub(super) fn mstl(values: &[f64], seasons: &[usize], damp: bool, horizon: usize) -> Option<Vec<f64>> {
    let seasons: Vec<usize> = seasons.iter().copied().filter(|season| values.len() > 2 * season).collect();
    if seasons.is_empty() {
        return None;
    }
    fit(MSTLModel::new(seasons, smoothing(damp)?.into_trend_model()), values, horizon)
}

fn smoothing(damp: bool) -> Option<AutoETS> {
    let smoothing = AutoETS::non_seasonal();
    if damp { smoothing.damped(true).ok() } else { Some(smoothing) }
}

fn fit<M: Fit>(model: M, values: &[f64], horizon: usize) -> Option<Vec<f64>> {
    if values.len() < LEAST || horizon == 0 {
        return None;
    }
    // Nothing moves: the library's search has nothing to find, and may divide by what is 0.
    if values.iter().all(|value| *value == values[0]) {
        return Some(vec![values[0]; horizon]);
    }
    let forecast = model.fit(values).ok()?.predict(horizon, None).ok()?;
    let sane = forecast.point.len() == horizon && forecast.point.iter().all(|value| value.is_finite());
    sane.then(|| forecast.point.into_iter().map(|value| value.max(0.0)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weekly_pattern_is_carried_on() {
        let shape = [10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0];
        // A little noise, so that there is something to fit.
        let values: Vec<f64> = (0..70).map(|at| shape[at % 7] + ((at * 37) % 11) as f64 / 10.0).collect();
        for damp in [true, false] {
            let forecast = mstl(&values, &[7], damp, 14).expect("a fit");
            for (at, value) in forecast.iter().enumerate() {
                assert!((value - shape[at % 7] - 0.5).abs() < 3.0, "{at} {value}");
            }
        }
    }

    #[test]
    fn too_little_is_no_forecast() {
        assert_eq!(ets(&[1.0, 2.0], 3), None);
        assert_eq!(mstl(&[1.0; 12], &[7], true, 3), None);
        assert_eq!(ets(&[5.0; 12], 2), Some(vec![5.0, 5.0]));
    }
}
