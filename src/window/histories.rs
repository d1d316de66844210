//! Random histories, held against a recount of the rows they end in.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::stories::{ends, noon, options, series, talks, waits, wrapped};
use super::*;
use crate::correlate::Rows;
use crate::event::Channel;
use crate::facts::{HandlingRow, LegRow};
use crate::kpi::{Outcome, ServiceLevel, Totals};
use crate::time::{HOUR, MINUTE, Millis, SECOND};

const QUEUES: [&str; 4] = ["billing", "support", "sales", "nights"];

/// Queue, a yes or no, when it began, and, if it ended, how and how much later.
type Piece<How> = (usize, bool, Millis, Option<(How, Millis)>);

/// One state of one contact, as random as the correlator allows, and a bit more.
#[derive(Debug, Clone)]
struct State {
    legs: Vec<Piece<usize>>,
    handlings: Vec<Piece<Millis>>,
    closed: bool,
}

fn any_state() -> impl Strategy<Value = State> {
    let time = prop_oneof![
        3 => -40 * MINUTE..40 * MINUTE,
        1 => -30 * HOUR..4 * HOUR,
    ];
    let leg = (
        0..QUEUES.len(),
        any::<bool>(),
        time.clone(),
        prop::option::of((0..Outcome::ALL.len(), 0..90 * SECOND)),
    );
    let handling = (0..QUEUES.len(), any::<bool>(), time, prop::option::of((0..20 * MINUTE, 0..3 * MINUTE)));
    (prop::collection::vec(leg, 0..4), prop::collection::vec(handling, 0..3), any::<bool>())
        .prop_map(|(legs, handlings, closed)| State { legs, handlings, closed })
}

impl State {
    fn rows(&self) -> Rows<'static> {
        let channel = |chat| Some(if chat { "chat" } else { "voice" });
        let legs = self.legs.iter().map(|&(queue, chat, at, end)| {
            let leg = LegRow { channel: channel(chat), ..waits(QUEUES[queue], noon() + at) };
            end.map_or(leg, |(outcome, after)| ends(leg, Outcome::ALL[outcome], after))
        });
        let handlings = self.handlings.iter().map(|&(queue, outbound, at, end)| {
            let direction = Some(if outbound { "outbound" } else { "inbound" });
            let handling = HandlingRow { direction, ..talks(QUEUES[queue], noon() + at) };
            end.map_or(handling, |(talk, acw)| wrapped(handling, talk, acw))
        });
        Rows {
            legs: legs.collect(),
            handlings: handlings.collect(),
            closed_at: self.closed.then(noon),
            ..Rows::default()
        }
    }
}

const CONTACTS: usize = 5;

/// Which contact changes to what, and how much time passes.
fn any_history() -> impl Strategy<Value = Vec<(usize, State, Millis)>> {
    prop::collection::vec((0..CONTACTS, any_state(), 0..7 * MINUTE), 1..25)
}

/// A task with the rows of its contacts, as the correlator would keep them.
struct Task {
    window: Window,
    contacts: Vec<(Rows<'static>, Counted)>,
}

impl Task {
    fn new(window: Window) -> Self {
        Self { window, contacts: vec![(Rows::default(), Counted::default()); CONTACTS] }
    }

    fn change(&mut self, contact: usize, new: Rows<'static>) {
        let (old, counted) = &mut self.contacts[contact];
        *counted = self.window.changed(old, &new, *counted);
        *old = new;
    }
}

/// The state without the counters, and without series that are all 0.
fn present(summary: &Summary) -> BTreeMap<SeriesKey, Series> {
    let empty = Window::new(options()).snapshot(summary.now);
    let nothing = series(&empty, "billing", Channel::Voice).counters.clone();
    let stripped = summary
        .series
        .iter()
        .map(|(key, series)| (key.clone(), Series { counters: nothing.clone(), ..series.clone() }));
    stripped
        .filter(|(_, s)| {
            s.waiting != 0
                || s.active != 0
                || s.ledger_gap != 0
                || ![s.slot, s.today].iter().chain(&s.rolling).all(Totals::is_empty)
        })
        .collect()
}

/// What the rows of all contacts give at `now`, counted one by one.
fn recount(contacts: &[(Rows<'static>, Counted)], now: Millis) -> BTreeMap<SeriesKey, Series> {
    let options = options();
    let grid = options.grid;
    let mut window = Window::new(options.clone());
    let nothing = series(&window.snapshot(now), "billing", Channel::Voice).clone();
    let mut out: BTreeMap<SeriesKey, Series> = BTreeMap::new();
    let (slot, day) = (grid.slot_start(now), grid.date(now));
    let inside = |t: Millis, place: usize| {
        let width = if place == 4 { 5 * MINUTE } else { 10 * SECOND };
        let from = (now - ROLLING[place].length_ms).div_euclid(width) * width;
        let to = (now + width - 1).div_euclid(width) * width;
        from < t && t <= to
    };
    for (rows, _) in contacts {
        for leg in &rows.legs {
            let channel = leg.channel.and_then(Channel::parse).expect("a channel");
            let key = SeriesKey { queue: leg.queue.expect("a queue").into(), channel };
            let series = out.entry(key.clone()).or_insert_with(|| Series {
                configured: &*key.queue == "billing",
                service_level: options.service_level(&key.queue),
                ..nothing.clone()
            });
            let (at, target) = (leg.queued_at.expect("a time"), 20 * SECOND);
            let mut one = Totals { offered: 1, ..Totals::default() };
            match (leg.outcome, leg.wait_ms) {
                (Some(name), Some(wait)) => {
                    let in_time = i64::from(wait <= target);
                    one.count(Outcome::from_name(name).expect("an outcome"));
                    match name {
                        "answered" => (one.answered_in_time, one.wait_ms_sum) = (in_time, wait),
                        "abandoned" | "abandoned_short" => one.abandoned_in_time = in_time,
                        "callback" => one.callback_in_time = in_time,
                        _ => {}
                    }
                    for place in 0..ROLLING.len() {
                        if inside(at + wait, place) {
                            series.rolling[place] += &one;
                        }
                    }
                }
                _ => {
                    (one.waiting, one.waiting_late) = (1, i64::from(now - at > target));
                    series.waiting += 1;
                    let oldest = series.oldest_waiting_at.map_or(at, |oldest| oldest.min(at));
                    series.oldest_waiting_at = Some(oldest);
                }
            }
            if grid.slot_start(at) == slot {
                series.slot += &one;
            }
            if grid.date(at) == day && grid.slot_start(at) <= slot {
                series.today += &one;
            }
        }
        for handling in &rows.handlings {
            let key = SeriesKey { queue: handling.queue.expect("a queue").into(), channel: Channel::Voice };
            let series = out.entry(key.clone()).or_insert_with(|| Series {
                configured: &*key.queue == "billing",
                service_level: options.service_level(&key.queue),
                ..nothing.clone()
            });
            let Some(end) = handling.wrapped_at else {
                series.active += 1;
                continue;
            };
            let ms = |value: Option<i64>| value.expect("a duration");
            let load = Totals { cohort_handle_ms_sum: ms(handling.handle_ms), ..Totals::default() };
            let done = Totals {
                handled: 1,
                talk_ms_sum: ms(handling.talk_ms),
                acw_ms_sum: ms(handling.acw_ms),
                handle_ms_sum: ms(handling.handle_ms),
                ..Totals::default()
            };
            let outbound = handling.direction == Some("outbound");
            for (t, part) in [(handling.started_at.expect("a time"), load), (end, done)] {
                if outbound && part.handled == 1 {
                    continue;
                }
                if grid.slot_start(t) == slot {
                    series.slot += &part;
                }
                if grid.date(t) == day && grid.slot_start(t) <= slot {
                    series.today += &part;
                }
            }
            for place in 0..ROLLING.len() {
                if !outbound && inside(end, place) {
                    series.rolling[place] += &done;
                }
            }
        }
    }
    out.retain(|_, s| {
        s.waiting != 0 || s.active != 0 || ![s.slot, s.today].iter().chain(&s.rolling).all(Totals::is_empty)
    });
    out
}

fn offered_and_closed(summary: &Summary) -> (u64, u64) {
    let sum = |of: fn(&Counters) -> u64| summary.series.values().map(|s| of(&s.counters)).sum();
    (sum(|counters| counters.offered), sum(|counters| counters.outcomes.iter().sum()))
}

/// Every sum of every slot and pane, by the name of its series.
fn sums(window: &Window) -> BTreeMap<(usize, i64, SeriesKey), Totals> {
    let kinds = [&window.slots, &window.fine, &window.coarse].into_iter().enumerate();
    let pieces = kinds.flat_map(|(kind, pieces)| pieces.all().map(move |(piece, sums)| (kind, piece, sums)));
    let named = |number: u32| window.table.keys()[number as usize].clone();
    pieces
        .flat_map(|(kind, piece, sums)| sums.iter().map(move |&(number, sum)| ((kind, piece, number), sum)))
        .map(|((kind, piece, number), sum)| ((kind, piece, named(number)), sum))
        .collect()
}

proptest! {
    #[test]
    fn a_history_leaves_what_its_last_rows_amount_to(history in any_history()) {
        let mut task = Task::new(Window::new(options()));
        let (mut now, mut before) = (noon(), (0, 0));
        let mut most = [(0_usize, 0_usize); CONTACTS];
        for (contact, state, passes) in &history {
            let rows = state.rows();
            let closed = rows.legs.iter().filter(|leg| leg.outcome.is_some()).count();
            let seen = &mut most[*contact];
            *seen = (seen.0.max(rows.legs.len()), seen.1.max(closed));
            task.change(*contact, rows);
            now += passes;
            let at = task.window.snapshot(now);
            // The ledger closes at every step; the figures are those of the rows; counters never fall.
            prop_assert_eq!(at.ledger_gap(), 0);
            prop_assert_eq!(present(&at), recount(&task.contacts, now));
            let counted = offered_and_closed(&at);
            prop_assert!(counted.0 >= before.0 && counted.1 >= before.1);
            before = counted;
        }
        // The counters hold as many as each contact ever had at once.
        prop_assert_eq!(before.0, most.iter().map(|seen| seen.0 as u64).sum::<u64>());
        prop_assert_eq!(before.1, most.iter().map(|seen| seen.1 as u64).sum::<u64>());

        // A fresh window that sees the last rows only is in the same state, and counts nothing again.
        let mut fresh = Task::new(Window::new(options()));
        for (contact, (rows, counted)) in task.contacts.iter().enumerate() {
            fresh.contacts[contact].1 = *counted;
            fresh.change(contact, rows.clone());
        }
        let (at, again) = (task.window.snapshot(now), fresh.window.snapshot(now));
        prop_assert_eq!(present(&at), present(&again));
        prop_assert_eq!(offered_and_closed(&again), (0, 0));
        prop_assert_eq!(sums(&task.window), sums(&fresh.window));

        // What goes leaves nothing behind.
        for contact in 0..CONTACTS {
            task.change(contact, Rows::default());
        }
        let at = task.window.snapshot(now);
        prop_assert!(present(&at).is_empty());
        for pieces in [&task.window.slots, &task.window.fine, &task.window.coarse] {
            prop_assert_eq!(pieces.all().len(), 0);
        }
        prop_assert!(task.window.live.iter().all(|live| live.waiting.is_empty()));
    }

    #[test]
    fn two_tasks_add_up_to_one(history in any_history()) {
        let mut whole = Task::new(Window::new(options()));
        let mut halves = [Task::new(Window::new(options())), Task::new(Window::new(options()))];
        let mut now = noon();
        for (contact, state, passes) in &history {
            whole.change(*contact, state.rows());
            halves[contact % 2].change(*contact, state.rows());
            now += passes;
        }
        let mut merged = halves[0].window.snapshot(now);
        merged.merge(&halves[1].window.snapshot(now));
        prop_assert_eq!(merged, whole.window.snapshot(now));
    }

    #[test]
    fn bytes_carry_the_state_on(history in any_history(), cut in 0..25_usize) {
        let mut task = Task::new(Window::new(options()));
        let (first, rest) = history.split_at(cut.min(history.len()));
        let mut now = noon();
        for (contact, state, passes) in first {
            task.change(*contact, state.rows());
            now += passes;
            task.window.advance(now);
        }
        let bytes = task.window.to_bytes();
        let more = Options {
            queues: options().queues.into_iter().chain([QueueOptions {
                name: "new".to_owned(),
                target_wait_ms: 1,
                service_level: ServiceLevel::Offered,
            }]).collect(),
            ..options()
        };
        let restored = Window::from_bytes(&bytes, options()).expect("its own bytes");
        prop_assert_eq!(restored.to_bytes(), bytes.clone());
        let mut restored = Task { window: restored, contacts: task.contacts.clone() };
        let mut wider = Task {
            window: Window::from_bytes(&bytes, more).expect("one more queue"),
            contacts: task.contacts.clone(),
        };
        for (contact, state, passes) in rest {
            for task in [&mut task, &mut restored, &mut wider] {
                task.change(*contact, state.rows());
            }
            now += passes;
        }
        let at = task.window.snapshot(now);
        prop_assert_eq!(present(&at), present(&restored.window.snapshot(now)));
        prop_assert_eq!(present(&at), present(&wider.window.snapshot(now)));
        // Cut or flipped bytes are refused or read as something; they never end the process.
        for place in (0..bytes.len()).step_by(11) {
            prop_assert!(Window::from_bytes(&bytes[..place], options()).is_err());
            let mut flipped = bytes.clone();
            flipped[place] ^= 0x55;
            let _ = Window::from_bytes(&flipped, options());
        }
    }
}
