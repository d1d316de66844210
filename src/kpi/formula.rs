//! Formulas as data: from one definition come the value in Rust and the expression in SQL.

use super::totals::{Sum, Totals};

/// The column that holds a row's slot length in ms, for formulas that divide by it.
pub const SLOT_MS: &str = "slot_ms";

/// A sum of sums, each with its factor: `offered − waiting + waiting_late`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Linear(pub &'static [(i64, Sum)]);

impl Linear {
    /// Its value over `totals`.
    pub fn of(&self, totals: &Totals) -> i64 {
        let terms = self.0.iter().map(|&(factor, sum)| factor.wrapping_mul(totals.get(sum)));
        terms.fold(0, i64::wrapping_add)
    }

    /// The same as a SQL expression over the columns of these names: `offered - waiting + waiting_late`.
    pub fn sql(&self) -> String {
        let mut out = String::new();
        for &(factor, sum) in self.0 {
            out.push_str(match (out.is_empty(), factor < 0) {
                (true, false) => "",
                (true, true) => "-",
                (false, false) => " + ",
                (false, true) => " - ",
            });
            if factor.abs() != 1 {
                out.push_str(&format!("{} * ", factor.abs()));
            }
            out.push_str(sum.name());
        }
        out
    }
}

/// A figure as a quotient of sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Formula {
    /// Above the line.
    pub num: Linear,
    /// Below the line; `None` is the length of the slot in ms.
    pub den: Option<Linear>,
    /// Multiplies the denominator: 1,000 turns a mean of ms into seconds. An integer and not a factor of 0.001, so that
    /// the quotient is rounded once and Rust and SQL give the same bits.
    pub per: i64,
}

impl Formula {
    /// `num / den`.
    pub const fn ratio(num: &'static [(i64, Sum)], den: &'static [(i64, Sum)]) -> Self {
        Self { num: Linear(num), den: Some(Linear(den)), per: 1 }
    }

    /// A mean of ms as seconds.
    pub const fn seconds(num: &'static [(i64, Sum)], den: &'static [(i64, Sum)]) -> Self {
        Self { num: Linear(num), den: Some(Linear(den)), per: 1_000 }
    }

    /// ms in a slot divided by its length.
    pub const fn per_slot(num: &'static [(i64, Sum)]) -> Self {
        Self { num: Linear(num), den: None, per: 1 }
    }

    /// The figure over `totals`; `None` where there is nothing to divide by, or where the slot's length is needed
    /// ([`Formula::value_in`]).
    pub fn value(&self, totals: &Totals) -> Option<f64> {
        self.value_in(totals, 0)
    }

    /// The figure over `totals` of a slot of `slot_ms` milliseconds.
    pub fn value_in(&self, totals: &Totals, slot_ms: i64) -> Option<f64> {
        let den = self.den.map_or(slot_ms, |den| den.of(totals));
        (den > 0).then(|| self.num.of(totals) as f64 / den.wrapping_mul(self.per) as f64)
    }

    /// The figure as a SQL expression (DOUBLE, NULL where there is nothing to divide by) over columns named as the sums,
    /// and [`SLOT_MS`] where the slot's length is needed. The columns may be sums over any rows.
    pub fn sql(&self) -> String {
        let den = self.den.map_or(SLOT_MS.to_owned(), |den| den.sql());
        let scaled = if self.per == 1 { den.clone() } else { format!("({den}) * {}", self.per) };
        let num = self.num.sql();
        format!("CASE WHEN {den} > 0 THEN CAST({num} AS DOUBLE) / CAST({scaled} AS DOUBLE) END")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOAD: Formula = Formula::per_slot(&[(1, Sum::CohortHandleMsSum)]);
    const ASA: Formula = Formula::seconds(&[(1, Sum::WaitMsSum)], &[(1, Sum::Answered)]);

    #[test]
    fn a_linear_reads_as_it_counts() {
        let linear =
            Linear(&[(-1, Sum::Waiting), (2, Sum::Offered), (1, Sum::WaitingLate), (-3, Sum::Error)]);
        assert_eq!(linear.sql(), "-waiting + 2 * offered + waiting_late - 3 * error");
        let totals = Totals { waiting: 1, offered: 10, waiting_late: 100, error: 1_000, ..Totals::default() };
        assert_eq!(linear.of(&totals), -1 + 20 + 100 - 3_000);
    }

    #[test]
    fn nothing_to_divide_by_is_no_figure() {
        assert_eq!(ASA.value(&Totals::default()), None);
        let totals = Totals { answered: 3, wait_ms_sum: 37_036, ..Totals::default() };
        assert_eq!(ASA.value(&totals), Some(37_036.0 / 3_000.0));
        assert_eq!(ASA.value(&Totals { answered: 1, wait_ms_sum: 12_345, ..totals }), Some(12.345));
    }

    #[test]
    fn a_load_needs_the_length_of_its_slot() {
        let totals = Totals { cohort_handle_ms_sum: 18_000_000, ..Totals::default() };
        assert_eq!(LOAD.value_in(&totals, 1_800_000), Some(10.0));
        assert_eq!(LOAD.value(&totals), None);
    }

    #[test]
    fn sql_says_the_same() {
        assert_eq!(
            ASA.sql(),
            "CASE WHEN answered > 0 THEN CAST(wait_ms_sum AS DOUBLE) / CAST((answered) * 1000 AS DOUBLE) END"
        );
        assert_eq!(
            LOAD.sql(),
            "CASE WHEN slot_ms > 0 THEN CAST(cohort_handle_ms_sum AS DOUBLE) / CAST(slot_ms AS DOUBLE) END"
        );
    }
}
