//! Stories by hand: what a call, a chat or a correction does to the figures.

use super::*;
use crate::correlate::Rows;
use crate::event::{AgentStateName, Channel};
use crate::facts::{ContactRow, HandlingRow, LegRow};
use crate::kpi::{Outcome, ServiceLevel, kpi};
use crate::time::{DAY, Grid, HOUR, MINUTE, Millis, SECOND, parse_time};

pub(super) fn options() -> Options {
    let grid = Grid::new("Asia/Shanghai".parse().expect("a zone"), 30).expect("a slot length");
    let queues = vec![QueueOptions {
        name: "billing".to_owned(),
        target_wait_ms: 25 * SECOND,
        service_level: ServiceLevel::Answered,
    }];
    Options { queues, ..Options::new(grid) }
}

pub(super) fn noon() -> Millis {
    parse_time("2026-11-21T12:00:00+08:00").expect("a time")
}

pub(super) fn series<'a>(summary: &'a Summary, queue: &str, channel: Channel) -> &'a Series {
    &summary.series[&SeriesKey { queue: queue.into(), channel }]
}

/// A leg that waits.
pub(super) fn waits(queue: &'static str, queued_at: Millis) -> LegRow<'static> {
    LegRow {
        queue: Some(queue),
        channel: Some("voice"),
        queued_at: Some(queued_at),
        target_wait_ms: Some(20 * SECOND),
        ..LegRow::default()
    }
}

/// The leg after it ended.
pub(super) fn ends(leg: LegRow<'static>, outcome: Outcome, after: Millis) -> LegRow<'static> {
    LegRow {
        left_at: leg.queued_at.map(|at| at + after),
        wait_ms: Some(after),
        outcome: Some(outcome.name()),
        in_time: Some(outcome == Outcome::Answered && Some(after) <= leg.target_wait_ms),
        ..leg
    }
}

/// A handling that goes on.
pub(super) fn talks(queue: &'static str, started_at: Millis) -> HandlingRow<'static> {
    HandlingRow {
        queue: Some(queue),
        channel: Some("voice"),
        direction: Some("inbound"),
        started_at: Some(started_at),
        ..HandlingRow::default()
    }
}

/// The handling after its wrap-up.
pub(super) fn wrapped(handling: HandlingRow<'static>, talk: Millis, acw: Millis) -> HandlingRow<'static> {
    HandlingRow {
        ended_at: handling.started_at.map(|at| at + talk),
        wrapped_at: handling.started_at.map(|at| at + talk + acw),
        talk_ms: Some(talk),
        hold_ms: Some(0),
        acw_ms: Some(acw),
        dial_ms: Some(0),
        handle_ms: Some(talk + acw),
        ..handling
    }
}

fn rows(legs: &[LegRow<'static>], handlings: &[HandlingRow<'static>]) -> Rows<'static> {
    Rows { legs: legs.into(), handlings: handlings.into(), ..Rows::default() }
}

#[test]
fn one_call_from_ring_to_wrap_up() {
    let (mut window, noon) = (Window::new(options()), noon());
    let queued = rows(&[waits("support", noon)], &[]);
    let counted = window.changed(&Rows::default(), &queued, Counted::default());
    let at = window.snapshot(noon + 20 * SECOND);
    let support = series(&at, "support", Channel::Voice);
    assert_eq!((support.waiting, support.oldest_waiting_at), (1, Some(noon)));
    assert_eq!((support.slot.waiting, support.slot.waiting_late, support.slot.offered), (1, 0, 1));
    assert_eq!(support.counters.offered, 1);
    // One millisecond beyond the target it is lost for the service level.
    let at = window.snapshot(noon + 20 * SECOND + 1);
    assert_eq!(series(&at, "support", Channel::Voice).slot.waiting_late, 1);

    let leg = ends(waits("support", noon), Outcome::Answered, 21 * SECOND);
    let answered = rows(&[leg], &[talks("support", noon + 21 * SECOND)]);
    let counted = window.changed(&queued, &answered, counted);
    let done = rows(&[leg], &[wrapped(talks("support", noon + 21 * SECOND), 3 * MINUTE, MINUTE)]);
    let done = Rows { closed_at: Some(noon + 5 * MINUTE), ..done };
    let done = Rows { contact: ContactRow { first_queue: Some("support"), ..ContactRow::default() }, ..done };
    let middle = window.snapshot(noon + MINUTE);
    assert_eq!(series(&middle, "support", Channel::Voice).active, 1);
    let counted = window.changed(&answered, &done, counted);

    let now = noon + 4 * MINUTE + 21 * SECOND;
    let at = window.snapshot(now);
    let support = series(&at, "support", Channel::Voice);
    assert_eq!((support.waiting, support.oldest_waiting_at, support.active), (0, None, 0));
    let five = &support.rolling[0];
    let figure = |name| kpi(name).expect("a name").measure.value(five, 0, support.service_level);
    assert_eq!(figure("answer_rate"), Some(1.0));
    assert_eq!(figure("service_level"), Some(0.0));
    assert_eq!(figure("asa_seconds"), Some(21.0));
    assert_eq!(figure("aht_seconds"), Some(240.0));
    assert_eq!(support.today.cohort_handle_ms_sum, 4 * MINUTE);
    let counters = &support.counters;
    assert_eq!((counters.outcome(Outcome::Answered), counters.answered_in_time), (1, 0));
    assert_eq!((counters.contacts, counters.wait.count(), counters.handle.sum_ms()), (1, 1, 4 * MINUTE));
    assert_eq!(at.ledger_gap(), 0);

    // A correction: it was answered in time after all. Slots follow, counters do not.
    let leg = ends(waits("support", noon), Outcome::Answered, 19 * SECOND);
    let restated = Rows { legs: [leg].as_slice().into(), ..done.clone() };
    assert_eq!(window.changed(&done, &restated, counted), counted);
    let at = window.snapshot(now);
    let support = series(&at, "support", Channel::Voice);
    assert_eq!((support.slot.answered_in_time, support.slot.wait_ms_sum), (1, 19 * SECOND));
    assert_eq!((support.counters.answered_in_time, support.counters.wait.sum_ms()), (0, 21 * SECOND));
}

#[test]
fn the_slot_of_a_leg_is_where_it_queued_and_that_of_a_handling_where_it_closed() {
    let (mut window, noon) = (Window::new(options()), noon());
    let queued_at = noon - MINUTE;
    let leg = ends(waits("support", queued_at), Outcome::Answered, 2 * SECOND);
    let handling = HandlingRow {
        slot_start: Some(noon - 30 * MINUTE),
        ..wrapped(talks("support", queued_at + 2 * SECOND), 3 * MINUTE, 0)
    };
    window.changed(&Rows::default(), &rows(&[leg], &[handling]), Counted::default());
    let before = window.snapshot(noon - 1);
    let support = series(&before, "support", Channel::Voice).slot;
    assert_eq!((support.offered, support.handled, support.cohort_handle_ms_sum), (1, 0, 3 * MINUTE));
    let after = window.snapshot(noon);
    let support = series(&after, "support", Channel::Voice);
    assert_eq!((support.slot.offered, support.slot.handled, support.slot.cohort_handle_ms_sum), (0, 1, 0));
    assert_eq!((support.today.offered, support.today.handled), (1, 1));
}

#[test]
fn outbound_work_is_load_but_not_handle_time() {
    let (mut window, noon) = (Window::new(options()), noon());
    let handling = HandlingRow { direction: Some("outbound"), queue: None, ..talks("support", noon) };
    window.changed(&Rows::default(), &rows(&[], &[wrapped(handling, 90 * SECOND, 0)]), Counted::default());
    let at = window.snapshot(noon + 2 * MINUTE);
    let none = series(&at, "", Channel::Voice);
    assert_eq!((none.slot.handled, none.slot.cohort_handle_ms_sum), (0, 90 * SECOND));
    assert_eq!((none.rolling[0].handled, none.counters.handle.count()), (0, 0));
}

#[test]
fn configured_queues_are_there_from_the_start_and_others_fold_beyond_the_bound() {
    let mut window = Window::new(Options { max_series: 1, ..options() });
    let noon = noon();
    let start = window.snapshot(noon);
    let billing = series(&start, "billing", Channel::Voice);
    assert_eq!(start.series.len(), 1);
    assert_eq!((billing.configured, billing.service_level), (true, ServiceLevel::Answered));
    // The target of billing, 25 s, is an edge; so is the default of 20 s.
    let edges: Vec<_> = billing.counters.wait.cumulative().map(|(edge, _)| edge).collect();
    assert!(edges.contains(&(25 * SECOND)) && edges.contains(&(20 * SECOND)));

    let mut kept = Vec::new();
    for queue in ["support", "sales", "nights", "billing", "sales"] {
        let new = rows(&[waits(queue, noon)], &[]);
        let counted = window.changed(&Rows::default(), &new, Counted::default());
        kept.push((new, counted));
    }
    let at = window.snapshot(noon);
    let names: Vec<_> = at.series.keys().map(|key| &*key.queue).collect();
    assert_eq!(names, [OTHER_QUEUE, "billing", "support"]);
    assert_eq!((series(&at, OTHER_QUEUE, Channel::Voice).waiting, at.folded), (3, 3));
    // Only the options under which it was folded can take the state over.
    let bytes = window.to_bytes();
    let error =
        Window::from_bytes(&bytes, Options { max_series: 2, ..options() }).expect_err("another bound");
    assert!(error.contains("folded series under a bound of `1`"), "{error}");
    let mut again =
        Window::from_bytes(&bytes, Options { max_series: 1, ..options() }).expect("its own bytes");
    assert_eq!(again.to_bytes(), bytes);
    for window in [&mut window, &mut again] {
        for (old, counted) in &kept {
            window.changed(old, &Rows::default(), *counted);
        }
        let at = window.snapshot(noon);
        assert!(at.series.values().all(|s| s.waiting == 0 && s.today.is_empty() && s.ledger_gap == 0));
    }
}

#[test]
fn handlings_that_close_out_of_order_are_counted_once_each() {
    let (mut window, noon) = (Window::new(options()), noon());
    let (a, b) = (talks("support", noon), talks("support", noon + MINUTE));
    let steps = [
        rows(&[], &[a]),
        rows(&[], &[a, b]),
        rows(&[], &[a, wrapped(b, MINUTE, 0)]),
        // A late event puts a handling before both: numbers shift, nothing is counted anew.
        rows(&[], &[talks("support", noon - MINUTE), a, wrapped(b, MINUTE, 0)]),
        rows(&[], &[a, wrapped(b, MINUTE, 0)]),
        rows(&[], &[wrapped(a, 5 * MINUTE, 0), wrapped(b, MINUTE, 0)]),
        rows(&[], &[a, wrapped(b, MINUTE, 0)]),
        rows(&[], &[wrapped(a, 6 * MINUTE, 0), wrapped(b, MINUTE, 0)]),
    ];
    let (mut old, mut counted, mut seen) = (Rows::default(), Counted::default(), Vec::new());
    for new in steps {
        counted = window.changed(&old, &new, counted);
        old = new;
        seen.push(series(&window.snapshot(noon), "support", Channel::Voice).counters.handle.count());
    }
    assert_eq!(seen, [0, 0, 1, 1, 1, 2, 2, 2]);
}

#[test]
fn a_first_response_counts_once_and_agents_go_from_state_to_state() {
    let (mut window, noon) = (Window::new(options()), noon());
    let chat = |first_response_ms| Rows {
        contact: ContactRow { channel: Some("chat"), first_response_ms, ..ContactRow::default() },
        handlings: [HandlingRow { channel: Some("chat"), ..talks("sales", noon) }].as_slice().into(),
        ..Rows::default()
    };
    let counted = window.changed(&Rows::default(), &chat(None), Counted::default());
    let counted = window.changed(&chat(None), &chat(Some(4_000)), counted);
    window.changed(&chat(Some(4_000)), &chat(Some(3_000)), counted);
    window.agent_changed(None, Some(AgentStateName::Available));
    window.agent_changed(None, Some(AgentStateName::Available));
    window.agent_changed(Some(AgentStateName::Available), Some(AgentStateName::Break));
    let at = window.snapshot(noon);
    let response = &series(&at, "sales", Channel::Chat).counters.first_response;
    assert_eq!((response.count(), response.sum_ms()), (1, 4_000));
    assert_eq!(at.agents[AgentStateName::Available as usize], 1);
    assert_eq!(at.agents[AgentStateName::Break as usize], 1);
}

#[test]
fn parts_on_both_sides_of_a_slot_merge_to_the_later_one() {
    let noon = noon();
    let mut windows = [Window::new(options()), Window::new(options())];
    for window in &mut windows {
        let leg = ends(waits("support", noon - MINUTE), Outcome::Answered, SECOND);
        window.changed(&Rows::default(), &rows(&[leg], &[]), Counted::default());
    }
    let (early, late) = (windows[0].snapshot(noon - 1), windows[1].snapshot(noon));
    let (mut one, mut other) = (early.clone(), late.clone());
    one.merge(&late);
    other.merge(&early);
    assert_eq!(one, other);
    let support = series(&one, "support", Channel::Voice);
    assert_eq!((one.now, support.slot.offered, support.today.offered), (noon, 0, 2));
    let mut from_nothing = Summary::default();
    from_nothing.merge(&early);
    assert_eq!(from_nothing, early);
    let kept = early.counters_only();
    let support = series(&kept, "support", Channel::Voice);
    assert_eq!((support.counters.offered, support.today.offered), (1, 0));
}

#[test]
fn an_event_from_tomorrow_pushes_nothing_out() {
    let (mut window, noon) = (Window::new(options()), noon());
    let leg = ends(waits("support", noon - HOUR + MINUTE), Outcome::Answered, SECOND);
    window.changed(&Rows::default(), &rows(&[leg], &[]), Counted::default());
    let ahead = ends(waits("support", noon + DAY - HOUR), Outcome::Answered, SECOND);
    window.changed(&Rows::default(), &rows(&[ahead], &[]), Counted::default());
    let at = window.snapshot(noon);
    let support = series(&at, "support", Channel::Voice);
    assert_eq!(support.rolling.map(|totals| totals.answered), [0, 0, 0, 1, 1]);
    assert_eq!(support.today.offered, 1);
}

#[test]
fn a_window_holds_its_newest_instant_and_not_its_oldest() {
    let (mut window, now) = (Window::new(options()), noon());
    for left_at in [now - 5 * MINUTE, now - 5 * MINUTE + 1, now, now + 1] {
        let leg = ends(waits("support", left_at - SECOND), Outcome::Answered, SECOND);
        window.changed(&Rows::default(), &rows(&[leg], &[]), Counted::default());
    }
    let at = window.snapshot(now);
    assert_eq!(series(&at, "support", Channel::Voice).rolling.map(|t| t.answered), [2, 3, 3, 3, 3]);
}

#[test]
fn a_row_that_contradicts_itself_opens_a_gap_in_the_ledger() {
    let (mut window, noon) = (Window::new(options()), noon());
    let gone = LegRow { left_at: Some(noon + SECOND), ..waits("support", noon) };
    let both = LegRow { outcome: Some("answered"), ..waits("support", noon) };
    let other_slot = LegRow { outcome: Some("error"), ..waits("support", noon - HOUR) };
    let rows = rows(&[gone, both, other_slot], &[]);
    window.changed(&Rows::default(), &rows, Counted::default());
    // One is lost and one counted twice at noon, which cancel out; another is counted twice an hour before.
    assert_eq!(window.snapshot(noon + MINUTE).ledger_gap(), 1);
    window.changed(&rows, &Rows::default(), Counted::default());
    assert_eq!(window.snapshot(noon + MINUTE).ledger_gap(), 0);
}

#[test]
fn history_is_forgotten_also_when_no_one_asks() {
    let (mut window, noon) = (Window::new(options()), noon());
    for hour in 0..24 * 30 {
        let leg = ends(waits("support", noon + hour * HOUR), Outcome::Answered, SECOND);
        window.changed(&Rows::default(), &rows(&[leg], &[]), Counted::default());
    }
    // 24 h of events that run ahead, and what is kept behind them: 26 h of slots, an hour and a day of panes.
    let kept = [&window.slots, &window.fine, &window.coarse].map(|pieces| pieces.all().len());
    assert_eq!(kept, [50, 26, 49]);
}

#[test]
fn other_bytes_are_refused() {
    let window = Window::new(options());
    let bytes = window.to_bytes();
    let grid = Grid::new("Europe/Berlin".parse().expect("a zone"), 15).expect("a slot length");
    let error = Window::from_bytes(&bytes, Options { grid, ..options() }).expect_err("another zone");
    assert!(error.contains("slots of `30` minutes in `Asia/Shanghai`, not `15`"), "{error}");
    assert!(Window::from_bytes(b"callpulse window 2\n", options()).is_err());
    for end in 0..bytes.len() {
        assert!(Window::from_bytes(&bytes[..end], options()).is_err(), "cut at {end}");
    }
}

/// Prints what a change costs: `cargo test --release -- --ignored --nocapture the_cost_of_a_change`.
#[test]
#[ignore = "a measurement, not a check"]
#[allow(clippy::disallowed_methods, reason = "a measurement reads the clock")]
fn the_cost_of_a_change() {
    let names: Vec<&'static str> = (0..50).map(|n| &*format!("queue-{n:02}").leak()).collect();
    let mut window = Window::new(options());
    let (calls, started) = (200_000_i64, std::time::Instant::now());
    for call in 0..calls {
        let (queue, at) = (names[call as usize % names.len()], noon() + call * 20);
        let one = rows(&[waits(queue, at)], &[]);
        let leg = ends(waits(queue, at), Outcome::Answered, 9 * SECOND);
        let two = rows(&[leg], &[talks(queue, at + 9 * SECOND)]);
        let three = rows(&[leg], &[wrapped(talks(queue, at + 9 * SECOND), 3 * MINUTE, MINUTE)]);
        let counted = window.changed(&Rows::default(), &one, Counted::default());
        let counted = window.changed(&one, &two, counted);
        // An event that changes nothing the window knows of.
        let counted = window.changed(&two, &two, counted);
        window.changed(&two, &three, counted);
    }
    let each = started.elapsed() / (calls as u32 * 4);
    let started = std::time::Instant::now();
    for call in 0..calls {
        let (queue, at) = (names[call as usize % names.len()], noon() + call * 20);
        let leg = ends(waits(queue, at), Outcome::Answered, 9 * SECOND);
        std::hint::black_box(rows(&[waits(queue, at)], &[]));
        std::hint::black_box(rows(&[leg], &[talks(queue, at + 9 * SECOND)]));
        std::hint::black_box(rows(&[leg], &[wrapped(talks(queue, at + 9 * SECOND), 3 * MINUTE, MINUTE)]));
    }
    println!("{:?} of which go to making the rows", started.elapsed() / (calls as u32 * 4));
    let started = std::time::Instant::now();
    let summary = window.snapshot(noon() + calls * 20);
    println!("{each:?} a change; a summary of {} series: {:?}", summary.series.len(), started.elapsed());
    let started = std::time::Instant::now();
    println!("{} bytes in {:?}", window.to_bytes().len(), started.elapsed());
}
