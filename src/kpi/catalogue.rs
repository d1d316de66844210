//! The catalogue: what every figure is called, what it means and how it is made.

use super::formula::{Formula, Linear};
use super::service_level::ServiceLevel;
use super::totals::Sum::{
    Abandoned, AbandonedShort, AcwMsSum, Answered, CohortHandleMsSum, HandleMsSum, Handled, HoldMsSum,
    Offered, TalkMsSum, WaitMsSum, Waiting, WaitingLate,
};
use super::totals::{LEDGER, SlotClock, Totals, Unit};

/// One figure.
#[derive(Debug, Clone, Copy)]
pub struct Kpi {
    /// Its name: the SQL column, and the stem of the metric.
    pub name: &'static str,
    /// What it is counted in.
    pub unit: Unit,
    /// What it means, in English.
    pub means: &'static str,
    /// What it means, in Chinese, beginning with its usual name.
    pub means_zh: &'static str,
    /// How it is made from the sums.
    pub measure: Measure,
    /// What puts a leg or handling into its slot (rolling figures: always the event clock).
    pub clock: SlotClock,
    /// What it is made from.
    pub source: Source,
}

/// How a figure is made.
#[derive(Debug, Clone, Copy)]
pub enum Measure {
    /// A whole number: sums added and subtracted.
    Count(Linear),
    /// A quotient of sums.
    Formula(Formula),
    /// The service level, by the formula of the queue ([`ServiceLevel`]).
    ServiceLevel,
    /// The wait of answered legs at this quantile, in seconds, from a [`Sketch`](super::Sketch).
    WaitQuantile(f64),
}

/// The rows a figure is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// Visits of a contact to a queue.
    Legs,
    /// Agents' parts of a contact.
    Handlings,
}

impl Source {
    /// The table's name.
    pub fn table(self) -> &'static str {
        match self {
            Self::Legs => "legs",
            Self::Handlings => "handlings",
        }
    }
}

impl Measure {
    /// The formula, if the figure is a quotient; `service_level` is the queue's choice.
    pub fn formula(&self, service_level: ServiceLevel) -> Option<Formula> {
        match self {
            Self::Formula(formula) => Some(*formula),
            Self::ServiceLevel => Some(*service_level.formula()),
            Self::Count(_) | Self::WaitQuantile(_) => None,
        }
    }

    /// The figure over `totals` of a slot of `slot_ms`; `None` without traffic, and for a quantile, which sums cannot
    /// give.
    pub fn value(&self, totals: &Totals, slot_ms: i64, service_level: ServiceLevel) -> Option<f64> {
        match self {
            Self::Count(linear) => Some(linear.of(totals) as f64),
            _ => self.formula(service_level)?.value_in(totals, slot_ms),
        }
    }

    /// The figure as a SQL expression over columns named as the sums; `None` for a quantile.
    pub fn sql(&self, service_level: ServiceLevel) -> Option<String> {
        match self {
            Self::Count(linear) => Some(linear.sql()),
            _ => Some(self.formula(service_level)?.sql()),
        }
    }
}

/// The figure of this name.
pub fn kpi(name: &str) -> Option<&'static Kpi> {
    CATALOGUE.iter().find(|kpi| kpi.name == name)
}

/// Offered without short abandons. A leg that still waits is in it only once it has waited longer than the target: "a leg
/// that still waits leaves the denominators until it has waited longer than the target; from then it counts as offered,
/// not in time" holds for the answer rate and the abandon rate as it does for the service level.
const OFFERED_LESS_SHORT: &[(i64, super::Sum)] =
    &[(1, Offered), (-1, Waiting), (1, WaitingLate), (-1, AbandonedShort)];

/// Every figure that is made from the sums of a slot. The sums themselves are [`Sum::ALL`](super::Sum::ALL).
pub static CATALOGUE: &[Kpi] = &[
    Kpi {
        name: "ledger_gap",
        unit: Unit::Count,
        means: "Offered minus every outcome minus waiting; anything but 0 means that a leg was lost or counted twice.",
        means_zh: "账目差额：进线减去各种结果再减去仍在排队，恒为 0",
        measure: Measure::Count(LEDGER),
        clock: SlotClock::Cohort,
        source: Source::Legs,
    },
    Kpi {
        name: "answer_rate",
        unit: Unit::Ratio,
        means: "Share of the legs offered (short abandons left out) that an agent answered.",
        means_zh: "接通率：接通 ÷（进线 − 短放弃）",
        measure: Measure::Formula(Formula::ratio(&[(1, Answered)], OFFERED_LESS_SHORT)),
        clock: SlotClock::Cohort,
        source: Source::Legs,
    },
    Kpi {
        name: "abandon_rate",
        unit: Unit::Ratio,
        means: "Share of the legs offered (short abandons left out) whose customer hung up while waiting.",
        means_zh: "放弃率：放弃 ÷（进线 − 短放弃）",
        measure: Measure::Formula(Formula::ratio(&[(1, Abandoned)], OFFERED_LESS_SHORT)),
        clock: SlotClock::Cohort,
        source: Source::Legs,
    },
    Kpi {
        name: "service_level",
        unit: Unit::Ratio,
        means: "Share of legs served within the target wait, by the queue's formula (by default answered in time / offered).",
        means_zh: "服务水平：目标时长内接通的占比（按队列所选公式，默认为目标时长内接通 ÷ 进线）",
        measure: Measure::ServiceLevel,
        clock: SlotClock::Cohort,
        source: Source::Legs,
    },
    Kpi {
        name: "asa_seconds",
        unit: Unit::Seconds,
        means: "Average speed of answer: mean wait of the answered legs.",
        means_zh: "平均应答速度：已接通的平均等待时长",
        measure: Measure::Formula(Formula::seconds(&[(1, WaitMsSum)], &[(1, Answered)])),
        clock: SlotClock::Cohort,
        source: Source::Legs,
    },
    Kpi {
        name: "wait_p50_seconds",
        unit: Unit::Seconds,
        means: "Half of the answered legs waited no longer (within 1 %).",
        means_zh: "等待时长中位数：一半已接通的等待不超过此值（误差 1% 以内）",
        measure: Measure::WaitQuantile(0.5),
        clock: SlotClock::Cohort,
        source: Source::Legs,
    },
    Kpi {
        name: "wait_p90_seconds",
        unit: Unit::Seconds,
        means: "Nine in ten of the answered legs waited no longer (within 1 %).",
        means_zh: "等待时长 90 分位：九成已接通的等待不超过此值（误差 1% 以内）",
        measure: Measure::WaitQuantile(0.9),
        clock: SlotClock::Cohort,
        source: Source::Legs,
    },
    Kpi {
        name: "wait_p95_seconds",
        unit: Unit::Seconds,
        means: "Nineteen in twenty of the answered legs waited no longer (within 1 %).",
        means_zh: "等待时长 95 分位：95% 已接通的等待不超过此值（误差 1% 以内）",
        measure: Measure::WaitQuantile(0.95),
        clock: SlotClock::Cohort,
        source: Source::Legs,
    },
    Kpi {
        name: "aht_seconds",
        unit: Unit::Seconds,
        means: "Average handle time: mean of talk, hold, after-contact work and dialling per handling.",
        means_zh: "平均处理时长：（通话 + 保持 + 话后 + 拨号）÷ 处理次数",
        measure: Measure::Formula(Formula::seconds(&[(1, HandleMsSum)], &[(1, Handled)])),
        clock: SlotClock::Event,
        source: Source::Handlings,
    },
    Kpi {
        name: "talk_seconds",
        unit: Unit::Seconds,
        means: "Mean talk per handling.",
        means_zh: "平均通话时长",
        measure: Measure::Formula(Formula::seconds(&[(1, TalkMsSum)], &[(1, Handled)])),
        clock: SlotClock::Event,
        source: Source::Handlings,
    },
    Kpi {
        name: "hold_seconds",
        unit: Unit::Seconds,
        means: "Mean hold per handling.",
        means_zh: "平均保持时长",
        measure: Measure::Formula(Formula::seconds(&[(1, HoldMsSum)], &[(1, Handled)])),
        clock: SlotClock::Event,
        source: Source::Handlings,
    },
    Kpi {
        name: "acw_seconds",
        unit: Unit::Seconds,
        means: "Mean after-contact work per handling.",
        means_zh: "平均话后处理时长",
        measure: Measure::Formula(Formula::seconds(&[(1, AcwMsSum)], &[(1, Handled)])),
        clock: SlotClock::Event,
        source: Source::Handlings,
    },
    Kpi {
        name: "load_erlangs",
        unit: Unit::Erlangs,
        means: "Offered load: handle time of the legs queued in the slot / length of the slot.",
        means_zh: "时段话务量：本时段进线所产生的处理时长 ÷ 时段长度（爱尔兰）",
        measure: Measure::Formula(Formula::per_slot(&[(1, CohortHandleMsSum)])),
        clock: SlotClock::Cohort,
        source: Source::Handlings,
    },
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::Sum;
    use super::*;

    const LEVEL: ServiceLevel = ServiceLevel::Offered;

    fn value(name: &str, totals: &Totals) -> Option<f64> {
        kpi(name).expect("a name of the test").measure.value(totals, 1_800_000, LEVEL)
    }

    #[test]
    fn short_abandons_are_shown_apart() {
        let totals = Totals {
            offered: 12,
            answered: 8,
            abandoned: 1,
            abandoned_short: 2,
            callback: 1,
            ..Totals::default()
        };
        assert_eq!(value("answer_rate", &totals), Some(0.8));
        assert_eq!(value("abandon_rate", &totals), Some(0.1));
        assert_eq!(value("ledger_gap", &totals), Some(0.0));
    }

    #[test]
    fn who_waits_beyond_the_target_counts_as_offered() {
        let totals = Totals { offered: 10, answered: 4, waiting: 6, ..Totals::default() };
        assert_eq!(value("answer_rate", &totals), Some(1.0));
        assert_eq!(value("answer_rate", &Totals { waiting_late: 4, ..totals }), Some(0.5));
        assert_eq!(value("abandon_rate", &Totals { offered: 6, answered: 0, ..totals }), None);
    }

    #[test]
    fn means_are_in_seconds_and_load_in_erlang() {
        let totals = Totals {
            answered: 4,
            wait_ms_sum: 50_000,
            handled: 2,
            talk_ms_sum: 240_000,
            hold_ms_sum: 30_000,
            acw_ms_sum: 60_000,
            dial_ms_sum: 8_000,
            handle_ms_sum: 338_000,
            cohort_handle_ms_sum: 3_600_000,
            ..Totals::default()
        };
        assert_eq!(value("asa_seconds", &totals), Some(12.5));
        assert_eq!(value("aht_seconds", &totals), Some(169.0));
        assert_eq!(value("talk_seconds", &totals), Some(120.0));
        assert_eq!(value("hold_seconds", &totals), Some(15.0));
        assert_eq!(value("acw_seconds", &totals), Some(30.0));
        assert_eq!(value("load_erlangs", &totals), Some(2.0));
        assert_eq!(value("wait_p50_seconds", &totals), None);
    }

    #[test]
    fn names_are_unique_and_tell_their_unit() {
        let sums = Sum::ALL.iter().map(|sum| sum.name());
        let names: Vec<_> = CATALOGUE.iter().map(|kpi| kpi.name).chain(sums).collect();
        assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len());
        for kpi in CATALOGUE {
            assert_eq!(kpi.name.ends_with("_seconds"), kpi.unit == Unit::Seconds, "{}", kpi.name);
            assert!(kpi.means.ends_with('.') && !kpi.means_zh.is_empty(), "{}", kpi.name);
            let quantile = matches!(kpi.measure, Measure::WaitQuantile(_));
            assert_eq!(kpi.measure.sql(LEVEL).is_none(), quantile, "{}", kpi.name);
        }
        // Every sum that a figure needs belongs to the figure's clock.
        for kpi in CATALOGUE {
            let Some(formula) = kpi.measure.formula(LEVEL) else { continue };
            for (_, sum) in formula.num.0.iter().chain(formula.den.map_or(&[][..], |den| den.0)) {
                assert_eq!(sum.clock(), kpi.clock, "{} over {}", kpi.name, sum.name());
            }
        }
    }
}
