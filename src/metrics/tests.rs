//! Scrapes as text, held against the declarations, the contract, and promtool where it is installed.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;

use super::*;
use crate::correlate::{Heard, Rows, ServiceRule};
use crate::event::{AgentStateName, Channel, Kind, RejectReason, Speaker};
use crate::facts::{HandlingRow, LegRow};
use crate::kpi::{Outcome, ServiceLevel};
use crate::time::{Grid, MINUTE, Millis, SECOND};
use crate::window::{Counted, Options, QueueOptions, Window};

const NOW: Millis = 1_795_233_600_000;

fn window() -> Window {
    let grid = Grid::new("Asia/Shanghai".parse().expect("a zone"), 30).expect("a slot length");
    let queues = vec![QueueOptions {
        name: "billing".to_owned(),
        target_wait_ms: 12_500,
        service_level: ServiceLevel::Answered,
    }];
    Window::new(Options { queues, ..Options::new(grid) })
}

fn leg(queue: &'static str, ago: Millis, end: Option<(Outcome, Millis)>) -> LegRow<'static> {
    LegRow {
        queue: Some(queue),
        channel: Some("chat"),
        queued_at: Some(NOW - ago),
        target_wait_ms: Some(20 * SECOND),
        left_at: end.map(|(_, wait)| NOW - ago + wait),
        wait_ms: end.map(|(_, wait)| wait),
        outcome: end.map(|(outcome, _)| outcome.name()),
        in_time: end.map(|(outcome, wait)| outcome == Outcome::Answered && wait <= 20 * SECOND),
        ..LegRow::default()
    }
}

/// One of everything: answers, an abandon, one that waits, a handling, a queue whose name needs escaping.
fn busy() -> Window {
    let mut window = window();
    let handling = HandlingRow {
        queue: Some("support"),
        channel: Some("chat"),
        started_at: Some(NOW - 4 * MINUTE),
        wrapped_at: Some(NOW - MINUTE),
        handle_ms: Some(180 * SECOND),
        talk_ms: Some(150 * SECOND),
        acw_ms: Some(30 * SECOND),
        ..HandlingRow::default()
    };
    let legs = [
        leg("support", 5 * MINUTE - SECOND, Some((Outcome::Answered, 20 * SECOND))),
        leg("support", 4 * MINUTE, Some((Outcome::Answered, 20 * SECOND + 1))),
        leg("support", 3 * MINUTE, Some((Outcome::Abandoned, MINUTE))),
        leg("support", 3 * MINUTE, Some((Outcome::Callback, 5 * SECOND))),
        leg("support", 90 * SECOND, None),
        leg("line\n\"one\" \\ two", MINUTE, Some((Outcome::Answered, 0))),
    ];
    let mut rows = Rows { legs: legs.as_slice().into(), ..Rows::default() };
    rows.handlings.push(handling);
    rows.contact.first_response_ms = Some(2_000);
    rows.contact.first_queue = Some("support");
    rows.contact.channel = Some("chat");
    rows.closed_at = Some(NOW - MINUTE);
    window.changed(&Rows::default(), &rows, Counted::default());
    window.agent_changed(None, Some(AgentStateName::Available));
    for (score, categories) in [(-0.5, vec![Arc::from("churn")]), (0.25, vec![]), (0.0, vec![])] {
        let (speaker, queue) = (Speaker::Customer, Some(Box::from("support")));
        window.heard(&Heard { time: NOW - MINUTE, speaker, queue, score, categories });
    }
    window.overdue(ServiceRule::PromiseBroken, Some("support"));
    window
}

fn stats() -> Stats {
    let mut stats = Stats { fleet: Some((2, 1)), ..Stats::default() };
    stats.events.insert(("calls".to_owned(), Kind::Queued), 7);
    stats.rejects.insert(("calls".to_owned(), RejectReason::BadTime), 2);
    let partition = PartitionStats {
        missing: 0,
        consumed: 10,
        applied: 7,
        duplicates: 1,
        rejects: 2,
        lag: Some(3),
        watermark: Some(NOW - 600_000),
    };
    stats.partitions.insert(("calls".to_owned(), 4), partition);
    stats.lake_commit.observe(700);
    stats.event_latency.observe(30);
    let of_rule = ("long_wait".to_owned(), "warning".to_owned());
    stats.alerts_raised.insert(of_rule.clone(), 3);
    stats.alerts_open.insert(of_rule, 1);
    stats.alert_deliveries.insert(("team".to_owned(), "accepted".to_owned()), 3);
    stats.reloads.insert(("roster".to_owned(), "taken".to_owned()), 1);
    let plan =
        SlotPlan { forecast_contacts: Some(41.5), agents_required: Some(9), agents_staffed: Some(8.0) };
    stats.plans.insert(("support".to_owned(), Channel::Chat), plan);
    stats
}

fn scrape(window: &mut Window, stats: &Stats) -> String {
    let metrics = Metrics::new(prometheus::Registry::new(), "0.1.0").expect("a fresh registry");
    metrics.render(&window.snapshot(NOW), stats, NOW)
}

/// The value of the sample whose line begins so.
fn value(text: &str, series: &str) -> Option<f64> {
    let line =
        text.lines().find(|line| line.strip_prefix(series).is_some_and(|rest| rest.starts_with(' ')))?;
    line.rsplit(' ').next()?.parse().ok()
}

#[test]
fn a_scrape_tells_what_the_rows_amount_to() {
    let text = scrape(&mut busy(), &stats());
    let support =
        |name: &str| value(&text, &format!("callpulse_{name}{{queue=\"support\",channel=\"chat\"}}"));
    assert_eq!(support("legs_offered_total"), Some(5.0));
    assert_eq!(support("legs_answered_total"), Some(2.0));
    assert_eq!(support("legs_answered_in_time_total"), Some(1.0));
    assert_eq!(support("legs_abandoned_total"), Some(1.0));
    assert_eq!(support("legs_waiting"), Some(1.0));
    assert_eq!(support("longest_wait_seconds"), Some(90.0));
    assert_eq!(support("oldest_waiting_timestamp_seconds"), Some((NOW - 90_000) as f64 / 1_000.0));
    assert_eq!(support("wait_seconds_sum"), Some(40.001));
    assert_eq!(support("slot_forecast_contacts"), Some(41.5));
    assert_eq!(support("ledger_gap"), Some(0.0));
    let label = |name: &str, label: &str| {
        value(&text, &format!("callpulse_{name}{{queue=\"support\",channel=\"chat\",{label}}}"))
    };
    assert_eq!(label("legs_left_total", "outcome=\"callback\""), Some(1.0));
    assert_eq!(label("wait_seconds_bucket", "le=\"20\""), Some(1.0));
    assert_eq!(label("wait_seconds_bucket", "le=\"+Inf\""), Some(2.0));
    // Ended in five minutes: answered 2, abandoned 1, called back 1; in time 1.
    assert_eq!(label("rolling_answer_rate_ratio", "window=\"5m\""), Some(0.5));
    assert_eq!(label("rolling_abandon_rate_ratio", "window=\"5m\""), Some(0.25));
    assert_eq!(label("rolling_service_level_ratio", "window=\"5m\""), Some(0.25));
    assert_eq!(label("rolling_asa_seconds", "window=\"1d\""), Some(20.0005));
    assert_eq!(label("rolling_aht_seconds", "window=\"1h\""), Some(180.0));
    let keywords = "callpulse_keyword_hits_total{category=\"churn\",speaker=\"customer\",queue=\"support\"}";
    assert_eq!(value(&text, keywords), Some(1.0));
    // The message without any sentiment is not in the mean.
    let mood = "callpulse_rolling_sentiment_score{speaker=\"customer\",window=\"5m\"}";
    assert_eq!(value(&text, mood), Some(-0.125));
    assert_eq!(value(&text, &mood.replace("customer", "agent")), None);
    assert_eq!(value(&text, "callpulse_agents{state=\"available\"}"), Some(1.0));
    assert_eq!(value(&text, "callpulse_consumer_lag{topic=\"calls\",partition=\"4\"}"), Some(3.0));
    assert_eq!(value(&text, "callpulse_duplicates_total"), Some(1.0));
    // A clock that stands before the event makes no negative wait.
    let metrics = Metrics::new(prometheus::Registry::new(), "0.1.0").expect("a fresh registry");
    let early = metrics.render(&busy().snapshot(NOW), &stats(), NOW - 2 * MINUTE);
    let longest = "callpulse_longest_wait_seconds{queue=\"support\",channel=\"chat\"}";
    assert_eq!(value(&early, longest), Some(0.0));
    assert!(text.contains("queue=\"line\\n\\\"one\\\" \\\\ two\""));
    assert!(cfg!(not(target_os = "linux")) || text.contains("\nprocess_resident_memory_bytes "));
}

#[test]
fn a_configured_queue_starts_with_zeros_and_without_ratios() {
    let text = scrape(&mut window(), &Stats::default());
    let billing = "{queue=\"billing\",channel=\"voice\"}";
    assert_eq!(value(&text, &format!("callpulse_legs_offered_total{billing}")), Some(0.0));
    assert_eq!(value(&text, &format!("callpulse_handle_seconds_count{billing}")), Some(0.0));
    assert_eq!(value(&text, &format!("callpulse_longest_wait_seconds{billing}")), Some(0.0));
    // Its own target is an edge.
    assert!(text.contains("le=\"12.5\""));
    assert!(!text.contains("_ratio") && !text.contains("rolling_") && !text.contains("oldest_waiting"));
}

#[test]
fn every_family_is_as_declared_and_every_declaration_is_told() {
    // A moment before the slot ends, so that the running slot has traffic.
    let metrics = Metrics::new(prometheus::Registry::new(), "0.1.0").expect("a fresh registry");
    let text = metrics.render(&busy().snapshot(NOW - 1), &stats(), NOW - 1);
    let mut told = BTreeSet::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE callpulse_")) {
        let (name, kind) = line.split_once(' ').expect("a name and a type");
        let metric = METRICS.iter().find(|metric| metric.name.strip_prefix("callpulse_") == Some(name));
        let metric = metric.unwrap_or_else(|| panic!("{name} is not declared"));
        assert_eq!(metric.kind.name(), kind, "{name}");
        assert!(text.contains(&format!("# HELP {} {}\n", metric.name, metric.help)), "{name}");
        told.insert(metric.name);
    }
    for metric in METRICS {
        assert!(told.contains(metric.name), "{} is declared, not told", metric.name);
        assert!(metric.help.ends_with('.') && metric.help.starts_with(char::is_uppercase), "{}", metric.name);
        assert_eq!(metric.name.ends_with("_total"), metric.kind == MetricKind::Counter, "{}", metric.name);
    }
    assert_eq!(told.len(), METRICS.len());
}

#[test]
fn stats_of_tasks_add_up() {
    let (mut both, other) = (stats(), stats());
    both.merge(&other);
    let partition = both.partitions[&("calls".to_owned(), 4)];
    assert_eq!((partition.consumed, partition.gap(), partition.lag), (20, 0, Some(3)));
    assert_eq!((both.duplicates(), both.event_latency.count()), (2, 2));
    assert_eq!(PartitionStats { consumed: 11, ..partition }.gap(), -9);
}

#[test]
fn live_figures_have_their_places() {
    let live = live_json(&busy().snapshot(NOW), NOW);
    assert_eq!(live["now"], NOW);
    let queues = live["queues"].as_array().expect("an array");
    let support = queues.iter().find(|queue| queue["queue"] == "support").expect("support");
    assert_eq!(support["channel"], "chat");
    assert_eq!(support["waiting"], 1);
    assert_eq!(support["longest_wait_seconds"], 90.0);
    assert_eq!((&support["offered"], &support["answered"]), (&5.into(), &2.into()));
    // The one that waits has waited longer than the target: it is in the denominator, not in time.
    assert_eq!((&support["answer_rate"], &support["service_level"]), (&0.4.into(), &0.2.into()));
    assert_eq!((&support["asa_seconds"], &support["aht_seconds"]), (&20.0005.into(), &180.0.into()));
    assert_eq!(support["rolling"]["5m"]["answer_rate"], 0.5);
    assert!(support["rolling"]["1d"].get("aht_seconds").is_some());
    let billing = queues.iter().find(|queue| queue["queue"] == "billing").expect("billing");
    assert!(billing["longest_wait_seconds"].is_null() && billing["answer_rate"].is_null());
    assert_eq!(live["agents"]["available"], 1);
    assert_eq!(live["agents"]["offline"], 0);
    assert_eq!(live["ledger_gap"], 0);
    // At noon the slot has just begun: nothing of before is in it.
    assert_eq!((&live["slot"]["start"], &live["slot"]["end"]), (&NOW.into(), &(NOW + 30 * MINUTE).into()));
    assert_eq!(live["slot"]["offered"], 0);
    assert!(live["slot"]["answer_rate"].is_null());
    // One moment earlier it was all in the slot before.
    let live = live_json(&busy().snapshot(NOW - 1), NOW - 1);
    assert_eq!((&live["slot"]["offered"], &live["slot"]["answered"]), (&6.into(), &3.into()));
}

#[test]
fn promtool_finds_nothing_to_say() {
    for text in [scrape(&mut busy(), &stats()), scrape(&mut window(), &Stats::default())] {
        let started = Command::new("promtool")
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let Ok(mut promtool) = started else {
            eprintln!("promtool is not installed: the text format was not checked by it");
            return;
        };
        let mut stdin = promtool.stdin.take().expect("the pipe was asked for");
        stdin.write_all(text.as_bytes()).expect("promtool reads to the end");
        drop(stdin);
        let output = promtool.wait_with_output().expect("promtool ends");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "{said}");
    }
}
