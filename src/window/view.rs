//! What of a row the window folds. A row's revision grows with every event, so that rows are compared by these only.

use crate::event::Channel;
use crate::facts::{HandlingRow, LegRow};
use crate::kpi::{Outcome, Totals};
use crate::time::Millis;

/// The channel as the contract has it: voice where none is named.
pub(super) fn channel(name: Option<&str>) -> Channel {
    name.and_then(Channel::parse).unwrap_or(Channel::Voice)
}

/// What of a leg is folded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LegView<'a> {
    pub queue: &'a str,
    pub channel: Channel,
    pub queued_at: Millis,
    pub left_at: Option<Millis>,
    pub outcome: Option<&'a str>,
    pub in_time: bool,
    pub wait_ms: i64,
    pub target_wait_ms: i64,
    pub slot_start: Option<Millis>,
}

impl<'a> LegView<'a> {
    /// The view; `None` for a row without `queued_at`, which no leg is.
    pub(super) fn of(row: &LegRow<'a>) -> Option<Self> {
        Some(Self {
            queue: row.queue.unwrap_or_default(),
            channel: channel(row.channel),
            queued_at: row.queued_at?,
            left_at: row.left_at,
            outcome: row.outcome,
            in_time: row.left_at.is_some() && row.in_time == Some(true),
            wait_ms: row.left_at.and(row.wait_ms).unwrap_or_default(),
            target_wait_ms: row.target_wait_ms.unwrap_or_default(),
            slot_start: row.slot_start,
        })
    }

    /// How the leg ended, if it has.
    pub(super) fn ended(&self) -> Option<Outcome> {
        self.outcome.and_then(Outcome::from_name)
    }

    /// Adds to `totals` how the leg ended (`times` 1), or takes it away (`times` -1). What was offered and what waits
    /// are not touched: they are counted apart.
    pub(super) fn end_into(&self, totals: &mut Totals, times: i64) {
        let Some(outcome) = self.ended() else { return };
        *totals.get_mut(outcome.sum()) += times;
        match outcome {
            Outcome::Answered => {
                totals.wait_ms_sum = totals.wait_ms_sum.wrapping_add(self.wait_ms.wrapping_mul(times));
                if self.in_time {
                    totals.answered_in_time += times;
                }
            }
            Outcome::Abandoned | Outcome::AbandonedShort if self.wait_ms <= self.target_wait_ms => {
                totals.abandoned_in_time += times;
            }
            Outcome::Callback if self.wait_ms <= self.target_wait_ms => totals.callback_in_time += times,
            _ => {}
        }
    }
}

/// What of a handling is folded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HandlingView<'a> {
    pub queue: &'a str,
    pub channel: Channel,
    /// Outbound handlings carry load but stay out of the handle figures.
    pub outbound: bool,
    pub started_at: Millis,
    pub wrapped_at: Option<Millis>,
    pub slot_start: Option<Millis>,
    pub talk_ms: i64,
    pub hold_ms: i64,
    pub acw_ms: i64,
    pub dial_ms: i64,
    pub handle_ms: i64,
}

impl<'a> HandlingView<'a> {
    /// The view; `None` for a row without `started_at`, which no handling is.
    pub(super) fn of(row: &HandlingRow<'a>) -> Option<Self> {
        // While the handling goes on its durations may grow with every event; they count at its close only.
        let closed = |ms: Option<i64>| row.wrapped_at.and(ms).unwrap_or_default();
        Some(Self {
            queue: row.queue.unwrap_or_default(),
            channel: channel(row.channel),
            outbound: row.direction == Some("outbound"),
            started_at: row.started_at?,
            wrapped_at: row.wrapped_at,
            slot_start: row.slot_start,
            talk_ms: closed(row.talk_ms),
            hold_ms: closed(row.hold_ms),
            acw_ms: closed(row.acw_ms),
            dial_ms: closed(row.dial_ms),
            handle_ms: closed(row.handle_ms),
        })
    }

    /// Adds the closed handling to the sums that go by its close, or takes it away.
    pub(super) fn close_into(&self, totals: &mut Totals, times: i64) {
        let add = |sum: &mut i64, ms: i64| *sum = sum.wrapping_add(ms.wrapping_mul(times));
        totals.handled += times;
        add(&mut totals.talk_ms_sum, self.talk_ms);
        add(&mut totals.hold_ms_sum, self.hold_ms);
        add(&mut totals.acw_ms_sum, self.acw_ms);
        add(&mut totals.dial_ms_sum, self.dial_ms);
        add(&mut totals.handle_ms_sum, self.handle_ms);
    }
}
