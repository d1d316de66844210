//! How wrong forecasts were: WAPE, bias, share within 10 %, and how wrong the best forecast would have been.

/// Sums over pairs of forecast and truth; adds up over slots, days and queues.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Accuracy {
    /// Pairs.
    pub n: u64,
    /// Σ actual.
    pub actual: f64,
    /// Σ forecast.
    pub forecast: f64,
    /// Σ |forecast − actual|.
    pub absolute: f64,
    /// Pairs whose forecast is within 10 % of the truth.
    pub within_10: u64,
}

impl Accuracy {
    /// Takes in one pair.
    pub fn add(&mut self, forecast: f64, actual: f64) {
        self.n += 1;
        self.actual += actual;
        self.forecast += forecast;
        self.absolute += (forecast - actual).abs();
        self.within_10 += u64::from((forecast - actual).abs() <= 0.1 * actual.abs());
    }

    /// Σ|forecast − actual| / Σ actual; `None` where nothing came.
    pub fn wape(&self) -> Option<f64> {
        (self.actual > 0.0).then(|| self.absolute / self.actual)
    }

    /// (Σ forecast − Σ actual) / Σ actual: above 0 too much was expected; `None` where nothing came.
    pub fn bias(&self) -> Option<f64> {
        (self.actual > 0.0).then(|| (self.forecast - self.actual) / self.actual)
    }

    /// Share of pairs within 10 %; `None` without a pair.
    pub fn within_10_share(&self) -> Option<f64> {
        (self.n > 0).then(|| self.within_10 as f64 / self.n as f64)
    }

    /// Mean absolute error; `None` without a pair.
    pub fn mean_absolute(&self) -> Option<f64> {
        (self.n > 0).then(|| self.absolute / self.n as f64)
    }
}

/// The expected |x − mean| of a Poisson count, about √(2·mean/π) (exact as the mean grows, 2·mean·e^−mean below 1): no forecast
/// of calls that come independently can have a smaller mean error, so that a small centre does not look bad for nothing.
pub fn poisson_floor(mean: f64) -> f64 {
    if mean <= 0.0 {
        0.0
    } else if mean < 1.0 {
        2.0 * mean * (-mean).exp()
    } else {
        (2.0 * mean / std::f64::consts::PI).sqrt()
    }
}

/// The value below which a share of the values lies, between ranks; `None` without a value.
pub fn quantile(values: &mut [f64], share: f64) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    let rank = share.clamp(0.0, 1.0) * last as f64;
    let (below, above) = (values[rank.floor() as usize], values[rank.ceil() as usize]);
    Some(below + (above - below) * rank.fract())
}

/// The median; `None` without a value.
pub fn median(values: &mut [f64]) -> Option<f64> {
    quantile(values, 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_add_up() {
        let mut accuracy = Accuracy::default();
        assert_eq!((accuracy.wape(), accuracy.within_10_share()), (None, None));
        // 110 of 100 is within 10 %, 30 of 20 is not: errors 10 and 10 of 120.
        accuracy.add(110.0, 100.0);
        accuracy.add(30.0, 20.0);
        assert_eq!(accuracy.wape(), Some(20.0 / 120.0));
        assert_eq!(accuracy.bias(), Some(20.0 / 120.0));
        assert_eq!(accuracy.within_10_share(), Some(0.5));
    }

    #[test]
    fn the_floor_is_the_mean_error_of_a_poisson_count() {
        // E|X − 40| by the sum over k, worked out apart: 2·e^−40·40^41/40! = 5.0357….
        let mut term = (-40.0_f64).exp();
        let mut sum = 40.0 * term;
        for k in 1..200 {
            term *= 40.0 / f64::from(k);
            sum += (f64::from(k) - 40.0).abs() * term;
        }
        assert!((poisson_floor(40.0) / sum - 1.0).abs() < 0.01, "{} {sum}", poisson_floor(40.0));
        assert_eq!(poisson_floor(0.0), 0.0);
    }

    #[test]
    fn quantiles_are_between_ranks() {
        assert_eq!(quantile(&mut [4.0, 1.0, 2.0], 0.75), Some(3.0));
        assert_eq!(median(&mut []), None);
    }
}
