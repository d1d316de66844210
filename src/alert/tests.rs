//! Stories about the life of alerts.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono_tz::Tz;

use super::desk::{OPEN_MAX, WHOLE_MAX};
use super::{Alert, Cause, Desk, Dispatch, Kind, Options, Refusal, Route, Silence, Status};
use crate::roster::{Duties, Roster};
use crate::rules::Severity;
use crate::time::{DAY, Grid, HOUR, MINUTE, Millis};

/// 2026-11-20 10:00 in Shanghai.
const START: Millis = 1_795_140_000_000;

fn options() -> Options {
    let route = |target: &str, severity, resolved| Route {
        target: target.to_owned(),
        severity,
        queues: vec![],
        rules: vec![],
        resolved,
    };
    Options {
        fallback: vec!["head".to_owned()],
        routes: vec![route("chat", Severity::Warning, true), route("sms", Severity::Critical, false)],
        ..Options::new(Grid::new(Tz::Asia__Shanghai, 30).expect("half an hour"))
    }
}

fn roster() -> Duties {
    let text = "date,person,role,queues,start,end\n\
                daily,wang,supervisor,cards,08:00,20:00\n\
                daily,zhao,lead,cards,08:00,20:00\n";
    Duties::of(Arc::new(
        Roster::read("roster.csv", text, Tz::Asia__Shanghai).expect("a roster without fault"),
    ))
}

fn cause(id: &str, severity: &str) -> Cause {
    Cause {
        id: id.to_owned(),
        rule: "customer_leaves".to_owned(),
        severity: severity.to_owned(),
        notify: "supervisor".to_owned(),
        queue: "cards".to_owned(),
        event_time: START,
        ..Cause::default()
    }
}

fn sent(sends: &[Dispatch]) -> Vec<(&str, Kind, Vec<&str>)> {
    sends
        .iter()
        .map(|send| (send.target.as_str(), send.kind, send.alert.people.iter().map(String::as_str).collect()))
        .collect()
}

#[test]
fn nobody_answers_so_the_next_is_told_until_somebody_acknowledges() {
    let (mut desk, mut roster) = (Desk::new(options(), vec![], vec![]), roster());
    let first = desk.raise(cause("a", "critical"), &mut roster, START);
    assert_eq!(sent(&first), [("chat", Kind::Raised, vec!["wang"]), ("sms", Kind::Raised, vec!["wang"])]);
    desk.delivered("a", "chat", Kind::Raised, true, START + 20);
    assert_eq!(
        desk.get("a").map(|a| (a.status, a.delivered_at)),
        Some((Status::Delivered, Some(START + 20)))
    );
    assert!(desk.tick(&mut roster, START + 3 * MINUTE - 1).is_empty());
    let second = desk.tick(&mut roster, START + 3 * MINUTE);
    assert_eq!(second[0].kind, Kind::Escalated);
    assert_eq!(second[0].alert.people, ["zhao"]);
    let third = desk.tick(&mut roster, START + 6 * MINUTE);
    assert_eq!(third[0].alert.people, ["head"]);
    desk.acknowledge("a", "head", START + 7 * MINUTE).expect("it is open");
    assert!(desk.tick(&mut roster, START + 36 * MINUTE).is_empty());
    // An acknowledgement is no promise for ever.
    let again = desk.tick(&mut roster, START + 37 * MINUTE);
    assert_eq!(again[0].kind, Kind::Escalated);
    assert_eq!(desk.get("a").map(|a| a.status), Some(Status::Delivered));
    desk.acknowledge("a", "wang", START + 38 * MINUTE).expect("it is open");
    let over = desk.resolve("a", "wang", START + 40 * MINUTE).expect("it is open");
    assert_eq!(over.len(), 1, "the SMS is not told: {over:?}");
    assert_eq!(over[0].kind, Kind::Resolved);
    assert_eq!(desk.acknowledge("a", "wang", START + HOUR), Err(Refusal::Closed));
    assert_eq!(desk.resolve("b", "wang", START), Err(Refusal::Unknown));
    let alert = desk.get("a").expect("it is known");
    assert_eq!(alert.acknowledged_at, Some(START + 7 * MINUTE));
    assert_eq!(alert.notified.iter().map(String::as_str).collect::<Vec<_>>(), ["head", "wang", "zhao"]);
    let rows = desk.rows([alert]).finish();
    assert_eq!(rows.num_rows(), 1);
}

#[test]
fn escalation_ends_and_an_alert_that_nobody_cares_for_expires() {
    let (mut desk, mut roster) = (Desk::new(options(), vec![], vec![]), roster());
    desk.raise(cause("a", "critical"), &mut roster, START);
    let mut times = 0;
    for minute in 1..=600 {
        times += usize::from(!desk.tick(&mut roster, START + minute * MINUTE).is_empty());
    }
    assert_eq!(times, 5);
    assert_eq!(
        desk.get("a").map(|a| (a.status, a.expired_at)),
        Some((Status::Expired, Some(START + 8 * HOUR)))
    );
    assert_eq!(desk.open().count(), 0);
    assert!(desk.open_counts().values().all(|count| *count == 0), "{:?}", desk.open_counts());
    // Information is not escalated.
    desk.raise(Cause { event_time: START + 11 * HOUR, ..cause("i", "info") }, &mut roster, START + 11 * HOUR);
    assert!(desk.tick(&mut roster, START + 18 * HOUR).is_empty());
}

#[test]
fn one_cause_is_one_alert_also_after_a_restart() {
    let (mut desk, mut roster) = (Desk::new(options(), vec![], vec![]), roster());
    assert_eq!(desk.raise(cause("a", "warning"), &mut roster, START).len(), 1);
    assert!(desk.raise(cause("a", "warning"), &mut roster, START + 1).is_empty());
    // What is stored is enough to go on with.
    let stored: Vec<String> = desk
        .take_changes()
        .iter()
        .map(|alert| serde_json::to_string(alert).expect("an alert is plain data"))
        .collect();
    assert!(desk.take_changes().is_empty());
    let read = |line: &String| serde_json::from_str::<Alert>(line).expect("its own words");
    let mut again = Desk::new(options(), stored.iter().map(read).collect(), vec![]);
    assert_eq!(again.get("a"), desk.get("a"));
    assert!(again.raise(cause("a", "warning"), &mut roster, START + 2).is_empty());
    let unsent = again.unsent();
    assert_eq!(sent(&unsent), [("chat", Kind::Raised, vec!["wang"])]);
    again.delivered("a", "chat", Kind::Raised, true, START + 3);
    assert!(again.unsent().is_empty());
    assert_eq!(again.tick(&mut roster, START + 10 * MINUTE)[0].kind, Kind::Escalated);
}

#[test]
fn nobody_on_duty_goes_to_the_fallback_at_once_and_is_counted() {
    let (mut desk, mut roster) = (Desk::new(options(), vec![], vec![]), roster());
    let night = START + 12 * HOUR;
    let sends = desk.raise(Cause { event_time: night, ..cause("n", "warning") }, &mut roster, night);
    assert_eq!(sends[0].alert.people, ["head"]);
    assert!(sends[0].alert.unstaffed);
    assert_eq!(desk.counts().unstaffed, 1);
    let other = Cause { queue: "loans".to_owned(), ..cause("q", "warning") };
    assert_eq!(desk.raise(other, &mut roster, START)[0].alert.people, ["head"]);
    let mut empty = Duties::of(Arc::new(Roster::empty(Tz::UTC)));
    assert!(!desk.raise(cause("e", "warning"), &mut empty, START)[0].alert.unstaffed, "there is no roster");
}

#[test]
fn when_too_many_are_open_the_oldest_of_the_mildest_gives_way() {
    let (mut desk, mut roster) = (Desk::new(options(), vec![], vec![]), roster());
    for n in 0..OPEN_MAX as i64 {
        let severity = if n < 2 { "warning" } else { "critical" };
        desk.raise(cause(&format!("{n:05}"), severity), &mut roster, START + n);
    }
    let now = START + MINUTE;
    assert!(!desk.raise(cause("new", "warning"), &mut roster, now).is_empty(), "what is new is told");
    let first = desk.get("00000").expect("it is kept");
    assert!(first.status == Status::Expired && first.note.contains("gave way"), "{first:?}");
    assert!(desk.raise(cause("mild", "info"), &mut roster, now).is_empty());
    assert!(desk.get("mild").is_some_and(|mild| mild.note.contains("more urgent")));
    assert_eq!(desk.open().count(), OPEN_MAX);
    assert_eq!(desk.open_counts().values().sum::<i64>(), OPEN_MAX as i64);
    let held_back = &desk.counts().held_back;
    assert_eq!((held_back["gave_way"], held_back["storm"]), (1, 1));
}

#[test]
fn of_what_is_over_the_latest_stays_whole_and_the_rest_is_known_by_its_id() {
    let (mut desk, mut roster) = (Desk::new(options(), vec![], vec![]), roster());
    let id = |n: usize| format!("{n:05}");
    for n in 0..WHOLE_MAX + 5 {
        desk.raise(cause(&id(n), "info"), &mut roster, START);
        desk.resolve(&id(n), "callpulse", START + n as Millis).expect("it is open");
    }
    desk.raise(cause("open", "info"), &mut roster, START);
    desk.tick(&mut roster, START + MINUTE);
    assert_eq!(desk.over().count(), 0, "nobody has taken the changes yet");
    assert_eq!(desk.take_changes().len(), WHOLE_MAX + 6);
    desk.tick(&mut roster, START + 3 * MINUTE);
    let mut over: Vec<_> = desk.over().collect();
    over.sort_by(|a, b| a.over.cmp(&b.over));
    assert_eq!(over.iter().map(|over| over.closed_at - START).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    assert_eq!(desk.alerts().count(), WHOLE_MAX + 1);
    for mut desk in [Desk::new(options(), desk.alerts().cloned().collect(), over), desk] {
        for known in [0, 4, 5, WHOLE_MAX] {
            desk.raise(cause(&id(known), "critical"), &mut roster, START + HOUR);
            assert_eq!(desk.acknowledge(&id(known), "wang", START + HOUR), Err(Refusal::Closed), "{known}");
            assert_eq!(desk.get(&id(known)).is_some(), known > 4, "{known}");
        }
        assert_eq!(desk.open().count(), 1);
        desk.tick(&mut roster, START + 9 * DAY);
        assert_eq!(desk.resolve("00000", "wang", START + 9 * DAY), Err(Refusal::Unknown), "after some days");
    }
}

#[test]
fn where_many_have_the_same_duty_alerts_go_round_among_them() {
    let rows: String = (0..40).map(|n| format!("2026-11-20,p{n},supervisor,cards,00:00,24:00\n")).collect();
    let text = format!("date,person,role,queues,start,end\n{rows}");
    let roster = Roster::read("roster.csv", &text, Tz::Asia__Shanghai).expect("a roster without faults");
    let mut roster = Duties::of(Arc::new(roster));
    let mut told = BTreeSet::new();
    for n in 0..60 {
        let mut sends = |desk: &mut Desk| desk.raise(cause(&format!("a{n}"), "critical"), &mut roster, START);
        let people = sends(&mut Desk::new(options(), vec![], vec![]))[0].alert.people.clone();
        assert_eq!(people.iter().collect::<BTreeSet<_>>().len(), 8, "eight people");
        assert_eq!(
            sends(&mut Desk::new(options(), vec![], vec![]))[0].alert.people,
            people,
            "the same again"
        );
        told.extend(people);
    }
    assert_eq!(told.len(), 40, "everybody has a turn");
}

#[test]
fn an_agent_s_own_alert_goes_to_the_agent_and_then_to_the_supervisor() {
    let (mut desk, mut roster) = (Desk::new(options(), vec![], vec![]), roster());
    let own = Cause { notify: "agent".to_owned(), agent_id: "a7".to_owned(), ..cause("o", "critical") };
    assert_eq!(desk.raise(own, &mut roster, START)[0].alert.people, ["a7"]);
    assert_eq!(desk.tick(&mut roster, START + 3 * MINUTE)[0].alert.people, ["wang"]);
    assert_eq!(desk.tick(&mut roster, START + 6 * MINUTE)[0].alert.people, ["zhao"]);
    assert_eq!(desk.tick(&mut roster, START + 9 * MINUTE)[0].alert.people, ["head"]);
}

#[test]
fn what_is_not_sent_is_kept_and_says_why() {
    let (mut desk, mut roster) = (Desk::new(options(), vec![], vec![]), roster());
    assert!(desk.raise(cause("old", "critical"), &mut roster, START + HOUR).is_empty());
    let old = desk.get("old").expect("it is kept");
    assert!(old.status == Status::Expired && old.note.contains("its time was past"), "{old:?}");
    desk.silence(Silence {
        rule: "customer_leaves".to_owned(),
        queue: String::new(),
        until: START + 10 * MINUTE,
        by: "wang".to_owned(),
    });
    assert!(desk.raise(cause("s", "critical"), &mut roster, START).is_empty());
    let other = Cause { rule: "other".to_owned(), ..cause("t", "critical") };
    assert_eq!(desk.raise(other, &mut roster, START).len(), 2);
    assert!(desk.tick(&mut roster, START + 2 * MINUTE).is_empty());
    let late = desk.tick(&mut roster, START + 10 * MINUTE);
    assert!(late.iter().any(|send| send.alert.id() == "s" && send.kind == Kind::Raised), "{late:?}");
    assert_eq!(desk.counts().held_back.get("silenced"), Some(&1));
    assert_eq!(desk.counts().held_back.get("stale"), Some(&1));
    desk.delivered("s", "chat", Kind::Raised, false, START + 11 * MINUTE);
    assert!(desk.get("s").is_some_and(|alert| alert.note.contains("did not take it")));
}
