//! The eight formulas of service level that are in use, each by its id.

use super::formula::Formula;
use super::totals::Sum::{
    Abandoned, AbandonedInTime, AbandonedShort, Answered, AnsweredInTime, CallbackInTime, Offered, Waiting,
    WaitingLate,
};

/// How a queue reckons its service level.
///
/// "In time" is `wait <= target`. Every formula takes a leg that still waits beyond the target into its denominator (it
/// is lost for the service level, whatever becomes of it), and leaves out one that waits within the target: otherwise an
/// outage would look fine as long as it lasts. Once all legs have ended this changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum ServiceLevel {
    /// Answered in time / offered.
    #[default]
    Offered,
    /// Answered in time / (answered + all abandons). ICMI #3.
    AnsweredAndAbandoned,
    /// (Answered in time + short abandons) / (answered + all abandons).
    ShortIsGood,
    /// Answered in time / (offered − short abandons). Talkdesk, RingCentral, Genesys (by a switch).
    OfferedLessShort,
    /// Answered in time / (answered + abandons after the target). ICMI #4, Bright Pattern.
    LateAbandons,
    /// Answered in time / answered. Asterisk's ServicelevelPerf, ICMI #2.
    Answered,
    /// (Answered + abandoned in time) / (answered + all abandons). Asterisk's ServicelevelPerf2, ICMI #1.
    EarlyAbandonIsGood,
    /// (Answered + abandoned + called back in time) / queued. Amazon Connect.
    RemovedInTime,
}

impl ServiceLevel {
    /// Every formula.
    pub const ALL: [ServiceLevel; 8] = [
        Self::Offered,
        Self::AnsweredAndAbandoned,
        Self::ShortIsGood,
        Self::OfferedLessShort,
        Self::LateAbandons,
        Self::Answered,
        Self::EarlyAbandonIsGood,
        Self::RemovedInTime,
    ];

    /// The id by which the configuration and every display name it.
    pub const fn id(self) -> &'static str {
        match self {
            Self::Offered => "ans_T/offered",
            Self::AnsweredAndAbandoned => "ans_T/(ans+ab)",
            Self::ShortIsGood => "(ans_T+short)/(ans+ab)",
            Self::OfferedLessShort => "ans_T/(offered-short)",
            Self::LateAbandons => "ans_T/(ans+aband>T)",
            Self::Answered => "ans_T/ans",
            Self::EarlyAbandonIsGood => "(ans_T+aband_T)/(ans+aband)",
            Self::RemovedInTime => "removed_T/queued",
        }
    }

    /// The formula with this id.
    pub fn from_id(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|formula| formula.id() == id)
    }

    /// The formula over the sums.
    pub const fn formula(self) -> &'static Formula {
        match self {
            Self::Offered => &OFFERED,
            Self::AnsweredAndAbandoned => &ANSWERED_AND_ABANDONED,
            Self::ShortIsGood => &SHORT_IS_GOOD,
            Self::OfferedLessShort => &OFFERED_LESS_SHORT,
            Self::LateAbandons => &LATE_ABANDONS,
            Self::Answered => &ANSWERED,
            Self::EarlyAbandonIsGood => &EARLY_ABANDON_IS_GOOD,
            Self::RemovedInTime => &REMOVED_IN_TIME,
        }
    }
}

static OFFERED: Formula =
    Formula::ratio(&[(1, AnsweredInTime)], &[(1, Offered), (-1, Waiting), (1, WaitingLate)]);
static ANSWERED_AND_ABANDONED: Formula = Formula::ratio(
    &[(1, AnsweredInTime)],
    &[(1, Answered), (1, Abandoned), (1, AbandonedShort), (1, WaitingLate)],
);
static SHORT_IS_GOOD: Formula = Formula::ratio(
    &[(1, AnsweredInTime), (1, AbandonedShort)],
    &[(1, Answered), (1, Abandoned), (1, AbandonedShort), (1, WaitingLate)],
);
static OFFERED_LESS_SHORT: Formula = Formula::ratio(
    &[(1, AnsweredInTime)],
    &[(1, Offered), (-1, Waiting), (1, WaitingLate), (-1, AbandonedShort)],
);
static LATE_ABANDONS: Formula = Formula::ratio(
    &[(1, AnsweredInTime)],
    &[(1, Answered), (1, Abandoned), (1, AbandonedShort), (-1, AbandonedInTime), (1, WaitingLate)],
);
static ANSWERED: Formula = Formula::ratio(&[(1, AnsweredInTime)], &[(1, Answered), (1, WaitingLate)]);
static EARLY_ABANDON_IS_GOOD: Formula = Formula::ratio(
    &[(1, AnsweredInTime), (1, AbandonedInTime)],
    &[(1, Answered), (1, Abandoned), (1, AbandonedShort), (1, WaitingLate)],
);
static REMOVED_IN_TIME: Formula = Formula::ratio(
    &[(1, AnsweredInTime), (1, AbandonedInTime), (1, CallbackInTime)],
    &[(1, Offered), (-1, Waiting), (1, WaitingLate)],
);

#[cfg(test)]
mod tests {
    use super::super::totals::Totals;
    use super::*;

    /// 1,000 answered (860 in time), 60 abandoned (20 in time, 10 of these within 5 s, and 40 after).
    fn worked() -> Totals {
        Totals {
            offered: 1_060,
            answered: 1_000,
            answered_in_time: 860,
            abandoned: 50,
            abandoned_short: 10,
            abandoned_in_time: 20,
            ..Totals::default()
        }
    }

    fn percent(id: &str, totals: &Totals) -> String {
        let formula = ServiceLevel::from_id(id).expect("an id of the test");
        formula.formula().value(totals).map_or("none".to_owned(), |value| format!("{:.4}", value * 100.0))
    }

    #[test]
    fn the_worked_example_comes_out() {
        let worked = worked();
        assert_eq!(worked.ledger_gap(), 0);
        assert_eq!(percent("ans_T/offered", &worked), "81.1321");
        assert_eq!(percent("ans_T/(ans+ab)", &worked), "81.1321");
        assert_eq!(percent("ans_T/ans", &worked), "86.0000");
        assert_eq!(percent("ans_T/(ans+aband>T)", &worked), "82.6923");
        assert_eq!(percent("(ans_T+aband_T)/(ans+aband)", &worked), "83.0189");
        assert_eq!(percent("(ans_T+short)/(ans+ab)", &worked), "82.0755");
        // By hand: 860 / 1,050 and, with 5 callbacks of which 4 in time, (860 + 20 + 4) / 1,065.
        assert_eq!(percent("ans_T/(offered-short)", &worked), "81.9048");
        let callbacks = Totals { offered: 1_065, callback: 5, callback_in_time: 4, ..worked };
        assert_eq!(percent("removed_T/queued", &callbacks), "83.0047");
        assert_eq!(percent("ans_T/offered", &callbacks), "80.7512");
    }

    #[test]
    fn who_waits_in_time_is_left_out_and_who_waits_too_long_is_lost() {
        for formula in ServiceLevel::ALL {
            let closed = worked();
            let early = Totals { offered: closed.offered + 7, waiting: 7, ..closed };
            let late = Totals { waiting_late: 7, ..early };
            let value = |totals| formula.formula().value(totals).expect("there is traffic");
            assert_eq!(value(&early), value(&closed), "{}", formula.id());
            assert!(value(&late) < value(&early), "{}", formula.id());
            // An outage: nobody is answered, all wait too long.
            let outage = Totals { offered: 9, waiting: 9, waiting_late: 9, ..Totals::default() };
            assert_eq!(value(&outage), 0.0, "{}", formula.id());
            assert_eq!(formula.formula().value(&Totals::default()), None, "{}", formula.id());
        }
    }

    #[test]
    fn ids_lead_back_to_their_formula() {
        for formula in ServiceLevel::ALL {
            assert_eq!(ServiceLevel::from_id(formula.id()), Some(formula));
        }
        assert_eq!(ServiceLevel::from_id("ans/offered"), None);
        assert_eq!(ServiceLevel::default().id(), "ans_T/offered");
    }
}
