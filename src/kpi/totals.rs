//! The sums a slot keeps, and how a leg can end.

use super::formula::Linear;

/// What puts a thing into a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SlotClock {
    /// The slot in which the leg entered its queue.
    Cohort,
    /// The slot in which the thing happened; for a handling, its close.
    Event,
    /// Time split over the slots it covers.
    Wall,
}

impl SlotClock {
    /// The clock's name in documents.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cohort => "cohort",
            Self::Event => "event",
            Self::Wall => "wall",
        }
    }
}

/// What a figure is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unit {
    /// A whole number of things.
    Count,
    /// Whole milliseconds.
    Millis,
    /// Seconds, with a fraction.
    Seconds,
    /// A share, 0…1.
    Ratio,
    /// Erlang: the mean number of conversations at once.
    Erlangs,
}

impl Unit {
    /// The unit's name in documents.
    pub fn name(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Millis => "ms",
            Self::Seconds => "s",
            Self::Ratio => "ratio",
            Self::Erlangs => "erlang",
        }
    }
}

/// Declares every sum once: variant, field and column name, unit, clock, meaning in English and Chinese.
macro_rules! sums {
    ($($variant:ident $field:ident $unit:ident $clock:ident $means:literal $means_zh:literal)+) => {
        /// The mergeable sums over the legs and handlings of a queue, a channel and a slot (or of any other set).
        ///
        /// They form a group: what was added can be taken away again, in any order. Sums wrap instead of panicking;
        /// no centre comes near the bound of 292 million years of waiting.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
        pub struct Totals {
            $(#[doc = $means] pub $field: i64,)+
        }

        /// The name of one sum of [`Totals`].
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Sum {
            $(#[doc = $means] $variant,)+
        }

        impl Sum {
            /// Every sum, in the order of the columns.
            pub const ALL: &'static [Sum] = &[$(Sum::$variant),+];

            /// The column's name.
            pub const fn name(self) -> &'static str {
                match self { $(Sum::$variant => stringify!($field),)+ }
            }

            /// What it is counted in.
            pub const fn unit(self) -> Unit {
                match self { $(Sum::$variant => Unit::$unit,)+ }
            }

            /// What puts a leg or handling into its slot.
            pub const fn clock(self) -> SlotClock {
                match self { $(Sum::$variant => SlotClock::$clock,)+ }
            }

            /// What it means, in English.
            pub const fn means(self) -> &'static str {
                match self { $(Sum::$variant => $means,)+ }
            }

            /// What it means, in Chinese.
            pub const fn means_zh(self) -> &'static str {
                match self { $(Sum::$variant => $means_zh,)+ }
            }
        }

        impl Totals {
            /// The sum of this name.
            pub const fn get(&self, sum: Sum) -> i64 {
                match sum { $(Sum::$variant => self.$field,)+ }
            }

            /// The sum of this name, to be changed.
            pub const fn get_mut(&mut self, sum: Sum) -> &mut i64 {
                match sum { $(Sum::$variant => &mut self.$field,)+ }
            }
        }
    };
}

sums! {
    Offered offered Count Cohort "Legs that entered the queue." "进入队列的次数"
    Answered answered Count Cohort "Legs that an agent answered." "客服接通的次数"
    Abandoned abandoned Count Cohort "Legs whose customer hung up while waiting, at or after the short-abandon limit." "排队中放弃的次数（不含短放弃）"
    AbandonedShort abandoned_short Count Cohort "Legs whose customer hung up before the short-abandon limit." "短放弃的次数"
    Overflow overflow Count Cohort "Legs that left for another queue." "溢出到其他队列的次数"
    Callback callback Count Cohort "Legs that left for a call back." "转为回拨的次数"
    ExitKey exit_key Count Cohort "Legs that left by a key press." "按键退出的次数"
    Timeout timeout Count Cohort "Legs that left by the queue's time limit." "排队超时的次数"
    NoAgent no_agent Count Cohort "Legs that left because no agent was there." "无客服在岗的次数"
    Closed closed Count Cohort "Legs that left because the queue was closed." "队列关闭的次数"
    Error error Count Cohort "Legs that ended by a fault." "因故障结束的次数"
    Waiting waiting Count Cohort "Legs that still wait." "仍在排队的次数"
    WaitingLate waiting_late Count Cohort "Legs that still wait and have waited longer than the target." "仍在排队且已超过目标时长的次数"
    AnsweredInTime answered_in_time Count Cohort "Legs answered within the target wait." "目标时长内接通的次数"
    AbandonedInTime abandoned_in_time Count Cohort "Legs abandoned (short ones too) within the target wait." "目标时长内放弃的次数（含短放弃）"
    CallbackInTime callback_in_time Count Cohort "Legs that left for a call back within the target wait." "目标时长内转为回拨的次数"
    WaitMsSum wait_ms_sum Millis Cohort "Wait of the answered legs, in ms." "已接通的等待时长之和（毫秒）"
    CohortHandleMsSum cohort_handle_ms_sum Millis Cohort "Handle time that came from legs queued in this slot, whenever it was worked, in ms." "本时段进线所产生的处理时长之和（毫秒）"
    Handled handled Count Event "Handlings closed (after-contact work done); outbound ones left out." "处理完成的次数（不含外呼）"
    TalkMsSum talk_ms_sum Millis Event "Talk of the handlings closed, in ms." "通话时长之和（毫秒）"
    HoldMsSum hold_ms_sum Millis Event "Hold of the handlings closed, in ms." "保持时长之和（毫秒）"
    AcwMsSum acw_ms_sum Millis Event "After-contact work of the handlings closed, in ms." "话后处理时长之和（毫秒）"
    DialMsSum dial_ms_sum Millis Event "Dialling of the handlings closed, in ms." "拨号时长之和（毫秒）"
    HandleMsSum handle_ms_sum Millis Event "Talk, hold, after-contact work and dialling of the handlings closed, in ms." "处理时长之和（毫秒）"
}

impl Totals {
    /// Adds one leg with this outcome to the outcome's sum (and to nothing else).
    pub fn count(&mut self, outcome: Outcome) {
        *self.get_mut(outcome.sum()) += 1;
    }

    /// Legs that have ended, whatever way.
    pub fn ended(&self) -> i64 {
        Outcome::ALL.iter().map(|outcome| self.get(outcome.sum())).fold(0, i64::wrapping_add)
    }

    /// What the ledger lacks: offered − every outcome − waiting. Always 0 unless a leg was lost or counted twice.
    pub fn ledger_gap(&self) -> i64 {
        LEDGER.of(self)
    }

    /// Tells whether nothing was counted at all.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl std::ops::AddAssign<&Totals> for Totals {
    fn add_assign(&mut self, other: &Totals) {
        for &sum in Sum::ALL {
            let value = self.get_mut(sum);
            *value = value.wrapping_add(other.get(sum));
        }
    }
}

impl std::ops::SubAssign<&Totals> for Totals {
    fn sub_assign(&mut self, other: &Totals) {
        for &sum in Sum::ALL {
            let value = self.get_mut(sum);
            *value = value.wrapping_sub(other.get(sum));
        }
    }
}

/// The ledger: offered − every outcome − waiting, which is 0 for every queue, channel and slot at every instant.
pub const LEDGER: Linear = Linear(&[
    (1, Sum::Offered),
    (-1, Sum::Answered),
    (-1, Sum::Abandoned),
    (-1, Sum::AbandonedShort),
    (-1, Sum::Overflow),
    (-1, Sum::Callback),
    (-1, Sum::ExitKey),
    (-1, Sum::Timeout),
    (-1, Sum::NoAgent),
    (-1, Sum::Closed),
    (-1, Sum::Error),
    (-1, Sum::Waiting),
]);

/// How a leg ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// An agent took it.
    Answered,
    /// The customer hung up while waiting.
    Abandoned,
    /// The customer hung up before the short-abandon limit.
    AbandonedShort,
    /// It went to another queue.
    Overflow,
    /// The customer will be called back.
    Callback,
    /// The customer left by a key.
    ExitKey,
    /// The queue's time limit was reached.
    Timeout,
    /// No agent was there.
    NoAgent,
    /// The queue was closed.
    Closed,
    /// A fault ended it.
    Error,
}

impl Outcome {
    /// Every outcome, in the order of the ledger.
    pub const ALL: [Outcome; 10] = [
        Self::Answered,
        Self::Abandoned,
        Self::AbandonedShort,
        Self::Overflow,
        Self::Callback,
        Self::ExitKey,
        Self::Timeout,
        Self::NoAgent,
        Self::Closed,
        Self::Error,
    ];

    /// The sum that counts legs of this outcome.
    pub const fn sum(self) -> Sum {
        match self {
            Self::Answered => Sum::Answered,
            Self::Abandoned => Sum::Abandoned,
            Self::AbandonedShort => Sum::AbandonedShort,
            Self::Overflow => Sum::Overflow,
            Self::Callback => Sum::Callback,
            Self::ExitKey => Sum::ExitKey,
            Self::Timeout => Sum::Timeout,
            Self::NoAgent => Sum::NoAgent,
            Self::Closed => Sum::Closed,
            Self::Error => Sum::Error,
        }
    }

    /// The outcome as it stands in tables and labels: `answered`, `abandoned_short`, …
    pub const fn name(self) -> &'static str {
        self.sum().name()
    }

    /// The outcome of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.name() == name)
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_totals() -> impl Strategy<Value = Totals> {
        prop::collection::vec(any::<i64>(), Sum::ALL.len()).prop_map(|values| {
            let mut totals = Totals::default();
            for (&sum, value) in Sum::ALL.iter().zip(values) {
                *totals.get_mut(sum) = value;
            }
            totals
        })
    }

    proptest! {
        #[test]
        fn what_was_added_can_be_taken_away(a in any_totals(), b in any_totals(), c in any_totals()) {
            let (mut one, mut other) = (a, c);
            one += &b;
            one += &c;
            other += &a;
            other += &b;
            prop_assert_eq!(one, other);
            one -= &c;
            one -= &b;
            prop_assert_eq!(one, a);
        }
    }

    #[test]
    fn the_ledger_holds_every_outcome_once() {
        let mut totals = Totals { offered: 12, waiting: 2, waiting_late: 1, ..Totals::default() };
        for outcome in Outcome::ALL {
            totals.count(outcome);
        }
        assert_eq!((totals.ended(), totals.ledger_gap()), (10, 0));
        totals.offered += 3;
        assert_eq!(totals.ledger_gap(), 3);
        totals.overflow += 5;
        assert_eq!(totals.ledger_gap(), -2);
        assert_eq!(LEDGER.0.len(), 2 + Outcome::ALL.len());
    }

    #[test]
    fn names_lead_back_to_their_outcome() {
        for outcome in Outcome::ALL {
            assert_eq!(Outcome::from_name(outcome.name()), Some(outcome));
        }
        assert_eq!(Outcome::AbandonedShort.to_string(), "abandoned_short");
        assert_eq!(Outcome::from_name("waiting"), None);
    }

    #[test]
    fn names_tell_their_unit() {
        for sum in Sum::ALL {
            assert_eq!(sum.name().ends_with("_ms_sum"), sum.unit() == Unit::Millis, "{}", sum.name());
        }
    }
}
