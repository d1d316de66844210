//! The window of one task: takes changes of contacts in, gives a summary out.

use std::collections::BTreeMap;

use super::counters::{Counted, Counters, Parts};
use super::options::{AHEAD, COARSE, Edges, FINE, Options, SLOTS_KEPT};
use super::pieces::Pieces;
use super::said::Said;
use super::series::SeriesTable;
use super::summary::{ROLLING, Series, Summary};
use super::view::{HandlingView, LegView, channel};
use crate::correlate::{Heard, Rows, ServiceRule};
use crate::event::{AgentStateName, Channel};
use crate::facts::ContactRow;
use crate::kpi::Totals;
use crate::time::{DAY, HOUR, Millis, SlotCache};

/// Who waits in one queue: (queued_at, target wait, slot) and how many legs have exactly these.
pub(super) type Waiting = BTreeMap<(Millis, Millis, Millis), i64>;

/// What one series has besides its sums.
#[derive(Debug, Clone)]
pub(super) struct Live {
    pub counters: Counters,
    pub waiting: Waiting,
    /// Handlings that go on.
    pub active: i64,
}

impl Live {
    fn new(edges: &Edges) -> Self {
        Self { counters: Counters::new(edges), waiting: Waiting::new(), active: 0 }
    }
}

/// Folds the changes of one task's contacts.
///
/// Slots and panes are kept from a *reference* on: the greatest `now` that was handed in, or the newest event less 24 h
/// if that is later (an event may be that far ahead of the time by a wrong clock, and must not push out what is right).
/// Slots are kept 26 h behind it, panes as long as their window. Who replays history without asking for a summary calls
/// [`Window::advance`] with the watermark now and then, so that a day's panes need not be kept.
#[derive(Debug, Clone)]
pub struct Window {
    pub(super) options: Options,
    pub(super) edges: Edges,
    pub(super) cache: SlotCache,
    pub(super) table: SeriesTable,
    pub(super) live: Vec<Live>,
    pub(super) slots: Pieces,
    pub(super) fine: Pieces,
    pub(super) coarse: Pieces,
    pub(super) agents: [i64; AgentStateName::ALL.len()],
    pub(super) said: Said,
    pub(super) folded: u64,
    pub(super) reference: Millis,
    pub(super) newest: Millis,
}

impl Window {
    /// An empty window; the configured queues have their series already.
    pub fn new(options: Options) -> Self {
        let edges = Edges::new(&options);
        let queues = options.queues.iter().map(|queue| queue.name.as_str());
        let table = SeriesTable::new(queues, options.max_series);
        let live = table.keys().iter().map(|_| Live::new(&edges)).collect();
        Self {
            cache: SlotCache::new(options.grid),
            options,
            edges,
            table,
            live,
            slots: Pieces::default(),
            fine: Pieces::default(),
            coarse: Pieces::default(),
            agents: [0; AgentStateName::ALL.len()],
            said: Said::new(),
            folded: 0,
            reference: Millis::MIN,
            newest: Millis::MIN,
        }
    }

    /// Takes in that the rows of one contact changed from `old` to `new`.
    ///
    /// `old` is what was handed in as `new` the last time for this contact (`Rows::default()` the first time), `counted`
    /// what this function returned then ([`Counted::default`] the first time). A contact that is forgotten (closed longer
    /// ago than events may restate it) is simply not handed in again. After a restart without the bytes of
    /// [`Window::to_bytes`], each contact that is still known is handed in as new with the `counted` kept with it: that
    /// rebuilds what waits and the recent slots, and counts nothing twice.
    pub fn changed(&mut self, old: &Rows<'_>, new: &Rows<'_>, counted: Counted) -> Counted {
        let mut parts = counted.parts();

        let offered = Parts::budget(new.legs.len(), parts.offered);
        let closed_now = new.legs.iter().filter(|leg| leg.outcome.is_some()).count();
        let mut closing = Parts::budget(closed_now, parts.closed);
        for at in 0..old.legs.len().max(new.legs.len()) {
            let before = old.legs.get(at).and_then(LegView::of);
            let after = new.legs.get(at).and_then(LegView::of);
            if before != after {
                self.leg_changed(before, after);
            }
            let Some(after) = after else { continue };
            if at + offered >= new.legs.len() {
                self.count_offered(&after);
            }
            let closes = after.outcome.is_some() && before.is_none_or(|before| before.outcome.is_none());
            if closes && closing > 0 {
                closing -= 1;
                parts.closed += 1;
                self.count_closed(&after);
            }
        }
        parts.offered += offered;

        let closed_now = new.handlings.iter().filter(|handling| handling.wrapped_at.is_some()).count();
        let mut closing = Parts::budget(closed_now, parts.handled);
        for at in 0..old.handlings.len().max(new.handlings.len()) {
            let before = old.handlings.get(at).and_then(HandlingView::of);
            let after = new.handlings.get(at).and_then(HandlingView::of);
            if before == after {
                continue;
            }
            self.handling_changed(before, after);
            let Some(after) = after else { continue };
            let closes =
                after.wrapped_at.is_some() && before.is_none_or(|before| before.wrapped_at.is_none());
            if closes && closing > 0 {
                closing -= 1;
                parts.handled += 1;
                self.count_handled(&after);
            }
        }

        if !parts.contact && new.closed_at.is_some() {
            parts.contact = true;
            self.count_contact(&new.contact);
            new.findings.iter().for_each(|finding| self.said.found(finding.rule, finding.queue));
        }
        if let (false, Some(ms)) = (parts.first_response, new.contact.first_response_ms) {
            parts.first_response = true;
            self.count_first_response(new, ms);
        }
        self.forget();
        parts.into()
    }

    /// Takes in that one agent went from one state (`None`: was not known) to another (`None`: is forgotten).
    pub fn agent_changed(&mut self, old: Option<AgentStateName>, new: Option<AgentStateName>) {
        if let Some(old) = old {
            self.agents[old as usize] -= 1;
        }
        if let Some(new) = new {
            self.agents[new as usize] += 1;
        }
    }

    /// Sets the counters to 0: what they have counted was counted elsewhere.
    pub fn forget_counters(&mut self) {
        for live in &mut self.live {
            live.counters = Counters::new(&self.edges);
        }
        self.folded = 0;
        self.said.forget_counters();
    }

    /// Takes in that a promise or a complaint is overdue.
    pub fn overdue(&mut self, rule: ServiceRule, queue: Option<&str>) {
        self.said.found(rule, queue);
    }

    /// Takes in what one new message said.
    pub fn heard(&mut self, heard: &Heard) {
        self.said.hear(heard);
        self.newest = self.newest.max(heard.time);
    }

    /// Moves the reference on to `now` if that is later; what lies too far behind it is forgotten.
    pub fn advance(&mut self, now: Millis) {
        if now > self.reference {
            self.reference = now;
            self.slots.keep_from(now.saturating_sub(SLOTS_KEPT));
            // A minute more than the windows need, so that a `now` that goes back a little finds all it asks for.
            let slack = crate::time::MINUTE;
            self.fine.keep_from(pane(now.saturating_sub(HOUR + slack), FINE));
            self.coarse.keep_from(pane(now.saturating_sub(DAY + slack), COARSE));
            self.said.keep_from(self.fine.from(), self.coarse.from());
        }
    }

    /// What is to be told at `now`; also moves the reference on ([`Window::advance`]).
    ///
    /// A rolling window of length w holds what ended in `(now − w, now]`, widened to whole panes at both ends: 10 s for
    /// the windows up to an hour, 5 min for the day's. A `now` more than a minute behind an earlier one misses what was
    /// forgotten since.
    pub fn snapshot(&mut self, now: Millis) -> Summary {
        self.advance(now);
        let mut series: Vec<Series> = self
            .table
            .keys()
            .iter()
            .zip(&self.live)
            .map(|(key, live)| Series {
                configured: self.table.is_configured(&key.queue),
                service_level: self.options.service_level(&key.queue),
                counters: live.counters.clone(),
                waiting: live.waiting.values().sum(),
                oldest_waiting_at: live.waiting.first_key_value().map(|(&(queued_at, ..), _)| queued_at),
                active: live.active,
                slot: Totals::default(),
                today: Totals::default(),
                rolling: Default::default(),
                ledger_gap: 0,
            })
            .collect();
        let slot = self.cache.slot(now);
        let date = self.cache.date(now);
        self.add_slots(&mut series, now, self.options.grid.day_start(date), slot.start);
        self.add_panes(&mut series, now);
        let series = self.table.keys().iter().cloned().zip(series).collect();
        Summary {
            now,
            slot: Some(slot),
            date,
            series,
            agents: self.agents,
            moods: self.said.moods(now),
            keywords: self.said.keywords.clone(),
            findings: self.said.findings.clone(),
            folded: self.folded,
        }
    }

    /// Fills in the running slot, today, and the ledger of every slot that is kept.
    fn add_slots(&self, series: &mut [Series], now: Millis, day_start: Millis, slot_start: Millis) {
        // Who waits, per slot and series: all, and those beyond the target.
        let mut waiting: BTreeMap<(Millis, u32), (i64, i64)> = BTreeMap::new();
        for (number, live) in self.live.iter().enumerate() {
            for (&(queued_at, target, slot), &legs) in &live.waiting {
                if slot >= self.slots.from() {
                    let here = waiting.entry((slot, number as u32)).or_default();
                    here.0 += legs;
                    here.1 += if now.saturating_sub(queued_at) > target { legs } else { 0 };
                }
            }
        }
        let today = day_start..=slot_start;
        for (start, sums) in self.slots.all() {
            for &(number, mut totals) in sums {
                let (all, late) = waiting.remove(&(start, number)).unwrap_or_default();
                (totals.waiting, totals.waiting_late) = (all, late);
                let series = &mut series[number as usize];
                series.ledger_gap += totals.ledger_gap().abs();
                if start == slot_start {
                    series.slot = totals;
                }
                if today.contains(&start) {
                    series.today += &totals;
                }
            }
        }
        // A leg that waits was offered in its slot; if the slot does not know it, the ledger has a gap.
        for ((_, number), (legs, _)) in waiting {
            series[number as usize].ledger_gap += legs.abs();
        }
    }

    /// Fills in the rolling windows: each is the next shorter one over the same panes and the panes between.
    fn add_panes(&self, series: &mut [Series], now: Millis) {
        for (pieces, width, windows) in [
            (&self.fine, FINE, 0..ROLLING.len() - 1),
            (&self.coarse, COARSE, ROLLING.len() - 1..ROLLING.len()),
        ] {
            let (first, mut to) = (windows.start, pane(now, width));
            for place in windows {
                let from = pane(now.saturating_sub(ROLLING[place].length_ms).saturating_add(1), width);
                if place > first {
                    series.iter_mut().for_each(|series| series.rolling[place] = series.rolling[place - 1]);
                }
                for (_, sums) in pieces.newest_first(from, to) {
                    for (number, totals) in sums {
                        series[*number as usize].rolling[place] += totals;
                    }
                }
                to = from - 1;
            }
        }
    }

    fn leg_changed(&mut self, old: Option<LegView<'_>>, new: Option<LegView<'_>>) {
        let mut known = None;
        if let Some(old) = &old {
            let number = self.number(old.queue, old.channel);
            known = Some(number);
            self.fold_leg(number, old, -1);
        }
        if let Some(new) = &new {
            let same = old.is_some_and(|old| old.channel == new.channel && old.queue == new.queue);
            let number = known.filter(|_| same).unwrap_or_else(|| self.number(new.queue, new.channel));
            self.fold_leg(number, new, 1);
            self.newest = self.newest.max(new.queued_at).max(new.left_at.unwrap_or(Millis::MIN));
        }
    }

    fn fold_leg(&mut self, number: u32, leg: &LegView<'_>, times: i64) {
        let slot = leg.slot_start.unwrap_or_else(|| self.cache.slot_start(leg.queued_at));
        self.slots.change(slot, number, |totals| {
            totals.offered += times;
            leg.end_into(totals, times);
        });
        let Some(left_at) = leg.left_at else {
            let waiting = &mut self.live[number as usize].waiting;
            let key = (leg.queued_at, leg.target_wait_ms, slot);
            let legs = waiting.entry(key).or_default();
            *legs += times;
            if *legs == 0 {
                waiting.remove(&key);
            }
            return;
        };
        for (pieces, width) in [(&mut self.fine, FINE), (&mut self.coarse, COARSE)] {
            pieces.change(pane(left_at, width), number, |totals| {
                // What ended is all that a rolling figure knows as offered.
                totals.offered += times;
                leg.end_into(totals, times);
            });
        }
    }

    fn handling_changed(&mut self, old: Option<HandlingView<'_>>, new: Option<HandlingView<'_>>) {
        if let Some(old) = &old {
            self.fold_handling(old, -1);
        }
        if let Some(new) = &new {
            self.fold_handling(new, 1);
            self.newest = self.newest.max(new.started_at).max(new.wrapped_at.unwrap_or(Millis::MIN));
        }
    }

    fn fold_handling(&mut self, handling: &HandlingView<'_>, times: i64) {
        let number = self.number(handling.queue, handling.channel);
        let Some(wrapped_at) = handling.wrapped_at else {
            self.live[number as usize].active += times;
            return;
        };
        let cohort = handling.slot_start.unwrap_or_else(|| self.cache.slot_start(handling.started_at));
        self.slots.change(cohort, number, |totals| {
            let sum = &mut totals.cohort_handle_ms_sum;
            *sum = sum.wrapping_add(handling.handle_ms.wrapping_mul(times));
        });
        if handling.outbound {
            return;
        }
        let close = self.cache.slot_start(wrapped_at);
        self.slots.change(close, number, |totals| handling.close_into(totals, times));
        for (pieces, width) in [(&mut self.fine, FINE), (&mut self.coarse, COARSE)] {
            pieces.change(pane(wrapped_at, width), number, |totals| handling.close_into(totals, times));
        }
    }

    fn count_offered(&mut self, leg: &LegView<'_>) {
        let (number, folded) = self.number_told(leg.queue, leg.channel);
        self.folded += u64::from(folded);
        self.live[number as usize].counters.offered += 1;
    }

    fn count_closed(&mut self, leg: &LegView<'_>) {
        let Some(outcome) = leg.ended() else { return };
        let number = self.number(leg.queue, leg.channel);
        let counters = &mut self.live[number as usize].counters;
        counters.outcomes[outcome as usize] += 1;
        if outcome == crate::kpi::Outcome::Answered {
            counters.wait.observe(leg.wait_ms);
            counters.answered_in_time += u64::from(leg.in_time);
        }
    }

    fn count_handled(&mut self, handling: &HandlingView<'_>) {
        if handling.outbound {
            return;
        }
        let (number, folded) = self.number_told(handling.queue, handling.channel);
        self.folded += u64::from(folded);
        let counters = &mut self.live[number as usize].counters;
        counters.handle.observe(handling.handle_ms);
        counters.talk.observe(handling.talk_ms);
        counters.hold.observe(handling.hold_ms);
        counters.acw.observe(handling.acw_ms);
    }

    fn count_contact(&mut self, contact: &ContactRow<'_>) {
        let number = self.number(contact.first_queue.unwrap_or_default(), channel(contact.channel));
        self.live[number as usize].counters.contacts += 1;
    }

    /// The first response belongs to the queue of the first handling, in which the first answer was given.
    fn count_first_response(&mut self, rows: &Rows<'_>, ms: i64) {
        let (queue, of) = match rows.handlings.first() {
            Some(first) => (first.queue, first.channel),
            None => (rows.contact.first_queue, rows.contact.channel),
        };
        let number = self.number(queue.unwrap_or_default(), channel(of));
        self.live[number as usize].counters.first_response.observe(ms);
    }

    fn number(&mut self, queue: &str, channel: Channel) -> u32 {
        self.number_told(queue, channel).0
    }

    /// The number of the series, and whether the pair was folded into `__other__`.
    fn number_told(&mut self, queue: &str, channel: Channel) -> (u32, bool) {
        let told = self.table.number(queue, channel);
        self.grow();
        told
    }

    /// Gives every series of the table its place.
    pub(super) fn grow(&mut self) {
        while self.live.len() < self.table.keys().len() {
            self.live.push(Live::new(&self.edges));
        }
    }

    /// Forgets what lies too far behind the newest event, should no one tell the time.
    fn forget(&mut self) {
        let at_least = self.newest.saturating_sub(AHEAD);
        // Once per pane is often enough.
        if at_least > self.reference.saturating_add(FINE) {
            self.advance(at_least);
        }
    }
}

/// The number of the pane in which `t` lies. Pane k holds `(k·width, (k + 1)·width]`: closed above, as the windows are.
pub(super) fn pane(t: Millis, width: Millis) -> i64 {
    t.saturating_sub(1).div_euclid(width)
}
