//! Stories about rules, and random histories: where they are cut and when time is looked at does not matter.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono_tz::Tz;
use proptest::prelude::*;

use super::{
    Figures, Fleet, Hit, Opened, Raised, Reading, Rules, SHIPPED, SeriesFigures, Severity, Signal, Surging,
    Watch, read,
};
use crate::calendar::{CALL_BACKS, Calendar, Deadlines};
use crate::event::{EndedBy, Event, Kind, Speaker};
use crate::kpi::{ServiceLevel, Totals};
use crate::time::{HOUR, MINUTE, Millis, SECOND, parse_time};

/// 2026-11-20 10:00 in Shanghai, a Friday.
const START: Millis = 1_795_140_000_000;

fn rules(text: &str) -> Arc<Rules> {
    let files = [("rules.toml".to_owned(), text.to_owned())];
    Arc::new(read(&files, Tz::Asia__Shanghai).unwrap_or_else(|faults| panic!("{faults:?}")))
}

fn faults(text: &str) -> Vec<String> {
    let files = [("rules.toml".to_owned(), text.to_owned())];
    read(&files, Tz::UTC).expect_err("a fault").iter().map(ToString::to_string).collect()
}

fn event(kind: Kind, secs: i64) -> Event<'static> {
    let mut event = Event::new(format!("{}-{secs}", kind.as_str()), kind, START + secs * SECOND);
    event.contact_id = Some("c1".into());
    event.queue = Some("cards".into());
    event
}

fn said(speaker: Speaker, secs: i64, text: &str) -> Event<'static> {
    let mut event = event(Kind::Message, secs);
    event.id = format!("m{secs}{text}").into();
    event.speaker = Some(speaker);
    event.text = Some(text.to_owned().into());
    event
}

fn reading(score: f32, categories: &[&str]) -> Option<Reading> {
    let hit = |category: &&str| Hit {
        category: Arc::from(*category),
        phrase: Arc::from("投诉"),
        start: 3,
        end: 9,
        negated: false,
    };
    Some(Reading { score, hits: categories.iter().map(hit).collect() })
}

fn raised(signals: &[Signal]) -> Vec<&Raised> {
    fn raised(signal: &Signal) -> Option<&Raised> {
        match signal {
            Signal::Raised(raised) => Some(raised),
            _ => None,
        }
    }
    signals.iter().filter_map(raised).collect()
}

fn names(signals: &[Signal]) -> Vec<&str> {
    raised(signals).iter().map(|raised| raised.rule.name.as_str()).collect()
}

#[test]
fn the_shipped_rules_are_right() {
    let rules = rules(SHIPPED);
    assert!(rules.rules.len() >= 15 && rules.watches_contacts());
    assert_eq!(rules.get("safety_risk").map(|rule| rule.severity), Some(Severity::Critical));
    for rule in &rules.rules {
        assert!(
            !rule.title.en.is_empty() && rule.title.zh != rule.title.en,
            "{} has no Chinese title",
            rule.name
        );
    }
}

#[test]
fn a_phrase_raises_one_alert_of_the_contact_with_its_words() {
    let mut watch = Watch::new(rules(
        "[[rule]]\nname = \"threat\"\nwhen = { keyword = { category = \"complaint\", speaker = \"customer\" } }",
    ));
    let mut signals = Vec::new();
    watch.event(&said(Speaker::Agent, 1, "您要投诉吗"), reading(0.0, &["complaint"]), &mut signals);
    assert!(signals.is_empty(), "an agent said it");
    watch.event(&said(Speaker::Customer, 2, "我要投诉"), reading(-0.5, &["complaint"]), &mut signals);
    watch.event(&said(Speaker::Customer, 3, "我真的要投诉"), reading(-0.5, &["complaint"]), &mut signals);
    let found = raised(&signals);
    assert_eq!(found.len(), 1, "of one contact once: {signals:?}");
    assert_eq!((found[0].time, found[0].subject.queue.as_str()), (START + 2 * SECOND, "cards"));
    let evidence = &found[0].evidence[0];
    assert_eq!((evidence.text.as_str(), evidence.phrase.as_str(), evidence.start), ("我要投诉", "投诉", 3));
    let mut denied = reading(-0.5, &["complaint"]).expect("a reading");
    denied.hits[0].negated = true;
    let mut other = said(Speaker::Customer, 4, "不投诉");
    other.contact_id = Some("c2".into());
    watch.event(&other, Some(denied), &mut signals);
    assert_eq!(raised(&signals).len(), 1, "what is denied does not count");
}

#[test]
fn each_utterance_raises_its_own_alert_where_the_rule_says_so_and_its_pieces_only_one() {
    let mut watch = Watch::new(rules(
        "[[rule]]\nname = \"rude\"\neach = true\nwhen = { keyword = { category = \"forbidden\" } }",
    ));
    let mut signals = Vec::new();
    for (secs, utterance, is_final) in [(1, "u1", false), (2, "u1", true), (3, "u2", true)] {
        let mut event = said(Speaker::Agent, secs, "不关我的事");
        event.utterance = Some(utterance.into());
        event.is_final = is_final;
        watch.event(&event, reading(-0.3, &["forbidden"]), &mut signals);
    }
    assert_eq!(raised(&signals).len(), 2);
}

#[test]
fn mood_is_level_streak_and_slope() {
    let text = "[[rule]]\nname = \"streak\"\nwhen = { streak = { below = -0.2, length = 3 } }\n\
                [[rule]]\nname = \"falling\"\nwhen = { sentiment = { of = \"slope\", over = 3, below = -0.25 } }\n\
                [[rule]]\nname = \"mean\"\nwhen = { sentiment = { of = \"mean\", below = -0.3, at_least = 4 } }\n\
                [[rule]]\nname = \"lowest\"\nwhen = { sentiment = { of = \"lowest\", below = -0.85 } }";
    let mut watch = Watch::new(rules(text));
    let mut signals = Vec::new();
    for (secs, score) in [(1, 0.3), (2, -0.3), (3, -0.4)] {
        watch.event(&said(Speaker::Customer, secs, "嗯"), reading(score, &[]), &mut signals);
    }
    assert_eq!(names(&signals), ["falling"]);
    watch.event(&said(Speaker::Agent, 4, "不行"), reading(-1.0, &[]), &mut signals);
    assert_eq!(names(&signals), ["falling"], "an agent's mood is not the customer's");
    watch.event(&said(Speaker::Customer, 5, "气死了"), reading(-0.9, &[]), &mut signals);
    assert_eq!(names(&signals), ["falling", "streak", "mean", "lowest"]);
    let streak = raised(&signals)[1];
    assert_eq!((streak.evidence.len(), streak.values[0].1), (3, 3.0));
}

#[test]
fn a_wait_is_raised_at_its_time_and_over_when_somebody_answers() {
    let mut watch =
        Watch::new(rules("[[rule]]\nname = \"wait\"\nqueues = [\"cards\"]\nwhen = { wait = { secs = 60 } }"));
    let mut signals = Vec::new();
    watch.event(&event(Kind::Queued, 0), None, &mut signals);
    watch.tick(START + 59_999, &mut signals);
    assert!(signals.is_empty());
    watch.tick(START + 63 * SECOND, &mut signals);
    assert_eq!(raised(&signals)[0].time, START + MINUTE, "not when it was looked at");
    watch.event(&event(Kind::Answered, 70), None, &mut signals);
    let id = raised(&signals)[0].id.clone();
    assert_eq!(signals[1], Signal::Cleared { id, time: START + 70 * SECOND });
    // A second leg waits too long: a new cause.
    watch.event(&event(Kind::Transferred, 100), None, &mut signals);
    watch.event(&event(Kind::Queued, 101), None, &mut signals);
    watch.event(&event(Kind::Ended, 200), None, &mut signals);
    assert_eq!(raised(&signals).len(), 2, "looked at before the end is taken: {signals:?}");
    assert_ne!(raised(&signals)[0].id, raised(&signals)[1].id);
}

#[test]
fn what_is_not_said_in_time_is_an_absence_but_only_in_a_transcript() {
    let text =
        "[[rule]]\nname = \"greet\"\nwhen = { absence = { category = \"greeting\", within_secs = 30 } }";
    let tell = |lines: &[(Speaker, i64, &[&str])]| {
        let mut watch = Watch::new(rules(text));
        let mut signals = Vec::new();
        watch.event(&event(Kind::Answered, 0), None, &mut signals);
        for (speaker, secs, categories) in lines {
            watch.event(&said(*speaker, *secs, "好"), reading(0.0, categories), &mut signals);
        }
        watch.tick(START + HOUR, &mut signals);
        names(&signals).len()
    };
    assert_eq!(tell(&[(Speaker::Agent, 5, &["greeting"])]), 0);
    assert_eq!(tell(&[(Speaker::Agent, 5, &[]), (Speaker::Agent, 31, &["greeting"])]), 1);
    assert_eq!(tell(&[(Speaker::Agent, 5, &[])]), 1);
    assert_eq!(tell(&[(Speaker::Customer, 5, &["greeting"])]), 0, "nothing of the agent was read");
    assert_eq!(tell(&[]), 0);
}

#[test]
fn a_customer_who_waits_for_a_reply_is_noticed_until_somebody_replies() {
    let mut watch = Watch::new(rules("[[rule]]\nname = \"slow\"\nwhen = { unanswered = { secs = 60 } }"));
    let mut signals = Vec::new();
    watch.event(&event(Kind::Answered, 0), None, &mut signals);
    watch.event(&said(Speaker::Customer, 10, "在吗"), None, &mut signals);
    watch.event(&said(Speaker::Customer, 50, "喂"), None, &mut signals);
    watch.tick(START + 69 * SECOND, &mut signals);
    assert!(signals.is_empty());
    watch.tick(START + 80 * SECOND, &mut signals);
    assert_eq!(raised(&signals)[0].time, START + 70 * SECOND);
    watch.event(&said(Speaker::Agent, 90, "在的"), None, &mut signals);
    assert!(matches!(signals[1], Signal::Cleared { .. }), "{signals:?}");
}

#[test]
fn conditions_combine_and_scopes_limit() {
    let text = "[[rule]]\nname = \"combined\"\ntiers = [\"gold\"]\nhours = \"09:00-18:00\"\ndays = [\"fri\"]\n\
                when = { hung_up = { by = \"agent\" }, not = { keyword = { category = \"thanks\", in = \"contact\" } } }";
    let tell = |tier: Option<&'static str>, hours: i64, thanks: bool, by: EndedBy| {
        let mut watch = Watch::new(rules(text));
        let mut signals = Vec::new();
        let later = hours * 3_600;
        let mut answered = event(Kind::Answered, later);
        answered.tier = tier.map(Into::into);
        watch.event(&answered, None, &mut signals);
        let categories: &[&str] = if thanks { &["thanks"] } else { &[] };
        watch.event(&said(Speaker::Customer, later + 5, "好"), reading(0.1, categories), &mut signals);
        let mut ended = event(Kind::Ended, later + 9);
        ended.by = Some(by);
        watch.event(&ended, None, &mut signals);
        names(&signals).len()
    };
    assert_eq!(tell(Some("gold"), 0, false, EndedBy::Agent), 1);
    assert_eq!(tell(Some("silver"), 0, false, EndedBy::Agent), 0);
    assert_eq!(tell(None, 0, false, EndedBy::Agent), 0);
    assert_eq!(tell(Some("gold"), 9, false, EndedBy::Agent), 0, "19:00");
    assert_eq!(tell(Some("gold"), 24, false, EndedBy::Agent), 0, "Saturday");
    assert_eq!(tell(Some("gold"), 0, true, EndedBy::Agent), 0);
    assert_eq!(tell(Some("gold"), 0, false, EndedBy::Customer), 0);
}

#[test]
fn complaints_and_promises_have_deadlines() {
    let text = "[[rule]]\nname = \"call_back\"\nwhen = { complaint = { days = 1, at = \"17:00\", before_secs = 3600 } }\n\
                [[rule]]\nname = \"promise\"\nwhen = { promise = { before_secs = 600 } }";
    let mut watch = Watch::new(rules(text));
    let mut signals = Vec::new();
    let mut opened = event(Kind::ComplaintOpened, 0);
    opened.complaint_id = Some("k1".into());
    watch.event(&opened, None, &mut signals);
    let mut made = event(Kind::PromiseMade, 0);
    made.promise_id = Some("p1".into());
    made.due = Some(START + HOUR);
    watch.event(&made, None, &mut signals);
    watch.tick(START + 49 * MINUTE, &mut signals);
    assert!(signals.is_empty());
    watch.tick(START + 51 * MINUTE, &mut signals);
    assert_eq!(names(&signals), ["promise"]);
    let before = parse_time("2026-11-21T15:59:59+08:00").expect("a time");
    watch.tick(before, &mut signals);
    assert_eq!(names(&signals), ["promise"]);
    watch.tick(before + 2 * SECOND, &mut signals);
    assert_eq!(names(&signals), ["promise", "call_back"]);
    assert_eq!(raised(&signals)[1].subject.dossier, "k1");
    let mut contacted = event(Kind::ComplaintContacted, 90_000);
    contacted.complaint_id = Some("k1".into());
    watch.event(&contacted, None, &mut signals);
    assert!(matches!(signals.last(), Some(Signal::Cleared { .. })));
}

#[test]
fn complaints_are_due_on_the_next_working_day_where_these_count() {
    let text = "[[rule]]\nname = \"late\"\nwhen = { complaint = {} }";
    let files = [("rules.toml".to_owned(), text.to_owned())];
    let rules = read(&files, Tz::Asia__Shanghai).expect("rules");
    let rules = Arc::new(rules.with_deadlines(Deadlines::of_working_days(Calendar::default())));
    for (opened, due) in CALL_BACKS {
        let (opened, due) = (parse_time(opened).expect("a time"), parse_time(due).expect("a time"));
        let mut watch = Watch::new(Arc::clone(&rules));
        let mut signals = Vec::new();
        let mut event = Event::new("k", Kind::ComplaintOpened, opened);
        event.complaint_id = Some("k1".into());
        watch.event(&event, None, &mut signals);
        // Complaints are looked at once a second.
        watch.tick(due - SECOND, &mut signals);
        assert_eq!(names(&signals), Vec::<&str>::new());
        watch.tick(due, &mut signals);
        assert_eq!(names(&signals), ["late"]);
        assert_eq!(raised(&signals)[0].time, due);
    }
}

/// As when a backlog is read: event time jumps, and nobody looks at it in between.
#[test]
fn a_deadline_between_two_events_has_passed_before_the_second() {
    let text = "[[rule]]\nname = \"call_back\"\nwhen = { complaint = { days = 1, at = \"17:00\", before_secs = 3600 } }\n\
                [[rule]]\nname = \"promise\"\nwhen = { promise = { before_secs = 600 } }";
    let mut watch = Watch::new(rules(text));
    let mut signals = Vec::new();
    let mut dossier = |kind, secs, due| {
        let mut event = event(kind, secs);
        let is_promise = matches!(kind, Kind::PromiseMade | Kind::PromiseKept);
        (event.promise_id, event.complaint_id) = match is_promise {
            true => (Some("p1".into()), None),
            false => (None, Some("k1".into())),
        };
        event.due = due;
        watch.event(&event, None, &mut signals);
    };
    dossier(Kind::ComplaintOpened, 0, None);
    dossier(Kind::PromiseMade, 0, Some(START + HOUR));
    dossier(Kind::PromiseKept, 2 * 3600, None);
    dossier(Kind::ComplaintContacted, 40 * 3600, None);
    let found: Vec<_> = raised(&signals).iter().map(|raised| (&*raised.rule.name, raised.time)).collect();
    assert_eq!(found, [("promise", START + 50 * MINUTE), ("call_back", START + 30 * HOUR)]);
    assert_eq!(signals.len(), 4, "each is over with the event that came too late: {signals:?}");
}

#[test]
fn whether_a_late_utterance_belongs_to_a_contact_does_not_depend_on_who_looked_when() {
    let text = "[[rule]]\nname = \"twice\"\n\
        when = { keyword = { category = \"complaint\", speaker = \"customer\", in = \"contact\", at_least = 2 } }";
    for (late, want) in [(9 * 60, 1), (11 * 60, 0)] {
        for ticks in [vec![], vec![late - 1], vec![8 * 60, 30 * 60], vec![3 * 3600]] {
            let mut watch = Watch::new(rules(text));
            let mut signals = Vec::new();
            watch.event(&said(Speaker::Customer, 10, "投诉"), reading(0.0, &["complaint"]), &mut signals);
            watch.event(&event(Kind::Ended, 100), None, &mut signals);
            // Far ahead at most as much as the clock goes on while a transcript is on its way.
            for tick in ticks.iter().filter(|tick| **tick < late + 8 * 60) {
                watch.tick(START + (100 + tick) * SECOND, &mut signals);
            }
            let more = said(Speaker::Customer, 100 + late, "又投诉");
            watch.event(&more, reading(0.0, &["complaint"]), &mut signals);
            assert_eq!(raised(&signals).len(), want, "{late} s after the end, time looked at {ticks:?}");
        }
    }
}

#[test]
fn a_contact_that_comes_again_after_its_end_waits_like_any_other() {
    let watched = rules("[[rule]]\nname = \"wait\"\nwhen = { wait = { secs = 60 } }");
    for looked in [false, true] {
        let mut watch = Watch::new(Arc::clone(&watched));
        let mut signals = Vec::new();
        watch.event(&event(Kind::Ended, 1), None, &mut signals);
        watch.event(&event(Kind::Queued, 2), None, &mut signals);
        if looked {
            watch.tick(START + 70 * SECOND, &mut signals);
        }
        // Longer than what is over is watched for.
        watch.event(&event(Kind::Answered, 700), None, &mut signals);
        let times: Vec<_> = raised(&signals).iter().map(|alert| alert.time).collect();
        assert_eq!(times, [START + 62 * SECOND], "time looked at: {looked}");
    }
}

fn figures<'f>(now: Millis, totals: &'f Totals, waiting: i64) -> Figures<'f> {
    let series = SeriesFigures {
        queue: "cards",
        channel: "voice",
        department: "retail",
        service_level: ServiceLevel::default(),
        waiting,
        longest_wait_ms: 0,
        active: 0,
        windows: vec![("15m", totals)],
    };
    Figures {
        now,
        slot_ms: 30 * MINUTE,
        series: vec![series],
        gauges: vec![("ledger_gap".to_owned(), 0.0)],
        surges: &[],
    }
}

#[test]
fn figures_must_last_and_need_a_sample() {
    let text = "[[rule]]\nname = \"low\"\nfor_secs = 60\nclear_secs = 30\n\
                when = { kpi = { name = \"service_level\", window = \"15m\", below = 0.6, min_sample = 20 } }\n\
                [[rule]]\nname = \"gap\"\nwhen = { gauge = { name = \"ledger_gap\", above = 0 } }";
    let rules = rules(text);
    let totals = |offered, answered_in_time| Totals {
        offered,
        answered: offered,
        answered_in_time,
        ..Totals::default()
    };
    let (bad, good, few) = (totals(30, 10), totals(30, 30), totals(10, 0));
    let mut fleet = Fleet::new(Arc::clone(&rules), vec![]);
    let mut signals = Vec::new();
    fleet.tick(&figures(START, &few, 0), &mut signals);
    fleet.tick(&figures(START + 100 * SECOND, &few, 0), &mut signals);
    assert!(signals.is_empty(), "too small a sample");
    fleet.tick(&figures(START + 200 * SECOND, &bad, 0), &mut signals);
    fleet.tick(&figures(START + 259 * SECOND, &bad, 0), &mut signals);
    assert!(signals.is_empty(), "not long enough");
    fleet.tick(&figures(START + 260 * SECOND, &bad, 0), &mut signals);
    fleet.tick(&figures(START + 500 * SECOND, &bad, 0), &mut signals);
    assert_eq!(names(&signals), ["low"]);
    let first = raised(&signals)[0].clone();
    assert!((first.values[0].1 - 1.0 / 3.0).abs() < 1e-9 && first.subject.queue == "cards");
    // A fleet that starts anew goes on with what is open, and knows when it is over.
    let opened = Opened { id: first.id.clone(), rule: "low".to_owned(), queue: "cards".to_owned() };
    let mut again = Fleet::new(rules, vec![opened]);
    let mut signals = Vec::new();
    again.tick(&figures(START + 600 * SECOND, &bad, 0), &mut signals);
    again.tick(&figures(START + 700 * SECOND, &good, 0), &mut signals);
    again.tick(&figures(START + 729 * SECOND, &good, 0), &mut signals);
    assert!(signals.is_empty(), "{signals:?}");
    again.tick(&figures(START + 730 * SECOND, &good, 0), &mut signals);
    assert_eq!(signals, [Signal::Cleared { id: first.id, time: START + 730 * SECOND }]);
}

#[test]
fn an_agent_with_unpleasant_contacts_in_a_row_is_noticed_once() {
    let mut fleet = Fleet::new(
        rules("[[rule]]\nname = \"exposed\"\nwhen = { exposure = { contacts = 3, below = -0.5 } }"),
        vec![],
    );
    let mut signals = Vec::new();
    for (number, lowest) in [-0.9, 0.2, -0.6, -0.7, -0.8, -0.9].into_iter().enumerate() {
        let subject = super::Subject {
            contact_id: format!("c{number}"),
            agent_id: "a1".to_owned(),
            ..super::Subject::default()
        };
        fleet.contact_ended(&subject, START + number as i64, Some(lowest), 0, &mut signals);
        fleet.contact_ended(&subject, START + number as i64, Some(lowest), 0, &mut signals);
    }
    let ids: BTreeSet<&str> = raised(&signals).iter().map(|raised| raised.id.as_str()).collect();
    assert_eq!(ids.len(), 1, "{signals:?}");
}

#[test]
fn an_agent_who_talks_all_the_time_is_noticed_once_an_hour() {
    let text = "[[rule]]\nname = \"load\"\nwhen = { load = { talk_secs = 3000, within_secs = 3600 } }\n\
                [[rule]]\nname = \"many\"\nwhen = { load = { contacts = 6, within_secs = 3600 } }";
    let mut fleet = Fleet::new(rules(text), vec![]);
    let mut signals = Vec::new();
    // Ten minutes each, one after the other; nobody reads what is said.
    for number in 1..=6 {
        let subject = super::Subject {
            contact_id: format!("c{number}"),
            agent_id: "a1".to_owned(),
            ..super::Subject::default()
        };
        fleet.contact_ended(&subject, START + number * 10 * MINUTE, None, 10 * MINUTE, &mut signals);
        let expected: &[&str] = match number {
            ..5 => &[],
            5 => &["load"],
            _ => &["load", "load", "many"],
        };
        // START lies on a full hour; the sixth contact ends in the next one.
        assert_eq!(names(&signals), expected, "after {number}");
    }
}

#[test]
fn a_surge_is_noticed_in_its_queue_and_a_surge_of_words_in_none() {
    let text = "[[rule]]\nname = \"surge\"\nclear_secs = 0\nwhen = { surge = { times = 2, at_least = 30 } }\n\
                [[rule]]\nname = \"crisis\"\nwhen = { surge = { category = \"crisis\", at_least = 5 } }";
    let mut fleet = Fleet::new(rules(text), vec![]);
    let totals = Totals::default();
    let surging = |queue: &str, category: &str, contacts, expected| Surging {
        queue: queue.to_owned(),
        category: category.to_owned(),
        channel: if category.is_empty() { "voice".to_owned() } else { String::new() },
        contacts,
        expected,
        deviations: 9.0,
    };
    let mut signals = Vec::new();
    let look = |fleet: &mut Fleet, secs: i64, surges: &[Surging], signals: &mut Vec<Signal>| {
        let figures = Figures { surges, ..figures(START + secs * SECOND, &totals, 0) };
        fleet.tick(&figures, signals);
    };
    look(&mut fleet, 0, &[surging("loans", "", 90.0, 30.0), surging("cards", "", 50.0, 30.0)], &mut signals);
    look(&mut fleet, 1, &[surging("", "anger", 90.0, 3.0), surging("cards", "", 29.0, 3.0)], &mut signals);
    assert!(signals.is_empty(), "another queue, too few times, another category, too few: {signals:?}");
    let both = [surging("cards", "", 400.0, 50.0), surging("", "crisis", 12.0, 0.5)];
    look(&mut fleet, 2, &both, &mut signals);
    assert_eq!(names(&signals), ["surge", "crisis"]);
    let found = raised(&signals);
    assert_eq!((found[0].subject.queue.as_str(), found[0].subject.channel.as_str()), ("cards", "voice"));
    assert_eq!((found[1].subject.queue.as_str(), found[0].values[1].1), ("", 50.0));
    look(&mut fleet, 3, &both, &mut signals);
    look(&mut fleet, 4, &[], &mut signals);
    assert!(matches!(&signals[2..], [Signal::Cleared { .. }]), "{signals:?}");
}

#[test]
fn a_contact_that_rests_after_its_end_is_the_same_when_something_comes_late() {
    let text =
        "[[rule]]\nname = \"anger\"\nwhen = { keyword = { category = \"anger\", speaker = \"customer\" } }";
    let watches = || (Watch::new(rules(text)), Vec::new());
    let ((mut awake, mut by_awake), (mut rested, mut by_rested)) = (watches(), watches());
    let mut to_both = |event: &Event<'_>, reading: Option<Reading>, rests: bool| {
        awake.event(event, reading.clone(), &mut by_awake);
        rested.event(event, reading, &mut by_rested);
        if rests {
            rested.tick(event.time + 2 * MINUTE, &mut by_rested);
            assert_eq!(rested.resting(), 1);
        }
        assert_eq!(awake.to_bytes(), rested.to_bytes());
    };
    to_both(&event(Kind::Queued, 0), None, false);
    to_both(&event(Kind::Answered, 5), None, false);
    to_both(&said(Speaker::Customer, 9, "你们太差了"), reading(-0.5, &["anger"]), false);
    to_both(&event(Kind::Ended, 30), None, true);
    to_both(&event(Kind::Wrapped, 200), None, true);
    to_both(&said(Speaker::Customer, 400, "太差了"), reading(-0.9, &["anger"]), false);
    assert_eq!(names(&by_rested), ["anger"], "once a contact");
    assert_eq!(ids(&by_awake), ids(&by_rested));
}

#[test]
fn what_an_agent_is_told_is_over_with_the_contact_and_not_said_after_it() {
    let text = "[[rule]]\nname = \"help\"\nnotify = \"agent\"\nwhen = { keyword = { category = \"churn\" } }";
    let mut watch = Watch::new(rules(text));
    let mut signals = Vec::new();
    let mut answered = event(Kind::Answered, 0);
    answered.agent_id = Some("a1".into());
    watch.event(&answered, None, &mut signals);
    watch.event(&said(Speaker::Customer, 1, "我要销户"), reading(-0.5, &["churn"]), &mut signals);
    assert_eq!(raised(&signals)[0].subject.agent_id, "a1");
    let id = raised(&signals)[0].id.clone();
    // Its place in a snapshot keeps what is open.
    let mut watch = Watch::from_bytes(Arc::clone(watch.rules()), &watch.to_bytes()).expect("its own bytes");
    watch.event(&event(Kind::Ended, 60), None, &mut signals);
    let cleared = |signal: &Signal| matches!(signal, Signal::Cleared { id: of, .. } if *of == id);
    assert_eq!(signals.iter().filter(|signal| cleared(signal)).count(), 1, "{signals:?}");
    let mut late = said(Speaker::Customer, 61, "我要销户");
    late.contact_id = Some("c9".into());
    let mut ended = event(Kind::Ended, 60);
    ended.contact_id = Some("c9".into());
    let mut signals = Vec::new();
    watch.event(&ended, None, &mut signals);
    watch.event(&late, reading(-0.5, &["churn"]), &mut signals);
    assert!(raised(&signals).is_empty(), "nobody can be helped any more");
}

#[test]
fn the_centre_s_advice_stands_before_that_of_the_rule() {
    let rule = "[[rule]]\nname = \"leaves\"\nadvice = \"stay calm\"\nwhen = { keyword = { category = \"churn\" } }\n";
    let advice = "[[advice]]\nrule = \"leaves\"\nqueues = [\"loans\"]\ntext = \"of loans\"\n\
                  [[advice]]\ncategory = \"churn\"\ntext = \"offer a month\"\ntext_zh = \"送一个月\"\n";
    let files = [("rules.toml".to_owned(), rule.to_owned()), ("advice.toml".to_owned(), advice.to_owned())];
    let rules = read(&files, Tz::UTC).expect("no fault");
    let told =
        |rule, queue, category| rules.advice_for(rule, queue, &[category]).map(|text| text.en.as_str());
    assert_eq!(told("leaves", "loans", "churn"), Some("of loans"));
    assert_eq!(told("leaves", "cards", "churn"), Some("offer a month"));
    assert_eq!(told("leaves", "cards", "anger"), None);
    assert_eq!(rules.categories().collect::<Vec<_>>(), [("leaves", "churn")]);
    let wrong = [
        files[0].clone(),
        (
            "advice.toml".to_owned(),
            "[[advice]]\nrule = \"leave\"\ntext = \"x\"\n[[advice]]\nqueue = \"a\"".to_owned(),
        ),
    ];
    let faults: Vec<String> =
        read(&wrong, Tz::UTC).expect_err("faults").iter().map(ToString::to_string).collect();
    assert!(
        faults[0].contains("`leave`") && faults[0].contains("line 2") && faults[0].contains("`leaves`"),
        "{faults:?}"
    );
    assert!(faults.iter().any(|fault| fault.contains("`text` is missing")), "{faults:?}");
    assert!(faults.iter().any(|fault| fault.contains("unknown key `queue`")), "{faults:?}");
}

#[test]
fn faults_have_lines_and_a_way_out() {
    let text = "[[rule]]\nname = \"Bad Name\"\nwhen = { wait = { secs = 1 } }\n\
                [[rule]]\nname = \"a\"\nseverity = \"urgent\"\nwhen = { wiat = { secs = 1 } }\n\
                [[rule]]\nname = \"b\"\ncolour = 1\nwhen = { wait = { secs = \"x\" } }\n\
                [[rule]]\nname = \"c\"\nwhen = { kpi = { name = \"servic_level\", below = 0.5 } }\n\
                [[rule]]\nname = \"d\"\nwhen = { all = [{ wait = { secs = 1 } }, { gauge = { name = \"waiting\", above = 1 } }] }\n\
                [[rule]]\nname = \"e\"\nwhen = { sentiment = { above = 1, below = 0 } }\n\
                [[rule]]\nname = \"f\"\n";
    let told = faults(text);
    let wanted = [
        (2, "`Bad Name` is no name of a rule"),
        (6, "unknown `severity`: `urgent`"),
        (7, "unknown condition `wiat`"),
        (10, "unknown key `colour`"),
        (11, "`secs` must be a number, and is text"),
        (14, "unknown `name`: `servic_level`"),
        (17, "`when` mixes what cannot be mixed"),
        (20, "`above` and `below` stand together"),
        (22, "`when` is missing"),
    ];
    assert_eq!(told.len(), wanted.len(), "{told:#?}");
    for ((line, message), told) in wanted.iter().zip(&told) {
        assert!(
            told.contains(message) && told.contains(&format!("line {line})")),
            "{line} {message}: {told}"
        );
    }
    assert!(told[2].contains("the nearest is `wait`"), "{}", told[2]);
    assert!(faults("[[rule]]\nname = ").iter().any(|told| told.contains("not TOML")));
    let twice = "[[rule]]\nname = \"a\"\nwhen = { wait = { secs = 1 } }\n";
    assert!(faults(&format!("{twice}{twice}"))[0].contains("listed twice"));
}

/// A history of one or two contacts, in the order of its times.
fn histories() -> impl Strategy<Value = Vec<(u8, u8, i64, i8)>> {
    prop::collection::vec((0u8..2, 0u8..7, 1i64..90, -10i8..10), 1..40)
}

fn told(history: &[(u8, u8, i64, i8)]) -> Vec<(Event<'static>, Option<Reading>)> {
    let mut secs = 0;
    let event = |(at, (contact, what, gap, score)): (usize, &(u8, u8, i64, i8))| {
        secs += gap;
        let kind = [Kind::Queued, Kind::Answered, Kind::LeftQueue, Kind::Ended, Kind::Message]
            [usize::from(*what).min(4)];
        let mut event = event(kind, secs);
        event.id = format!("e{at}").into();
        event.contact_id = Some(format!("c{contact}").into());
        if kind != Kind::Message {
            return (event, None);
        }
        event.speaker = Some(if *what == 4 { Speaker::Agent } else { Speaker::Customer });
        event.text = Some("你们太差了".into());
        let categories: &[&str] = if *score < -5 { &["anger"] } else { &[] };
        (event, reading(f32::from(*score) / 10.0, categories))
    };
    history.iter().enumerate().map(event).collect()
}

const MIXED: &str = "[[rule]]\nname = \"wait\"\nwhen = { wait = { secs = 60 } }\n\
    [[rule]]\nname = \"slow\"\nwhen = { unanswered = { secs = 40 } }\n\
    [[rule]]\nname = \"streak\"\nwhen = { streak = { below = -0.2, length = 2 } }\n\
    [[rule]]\nname = \"anger\"\neach = true\nwhen = { keyword = { category = \"anger\" } }\n\
    [[rule]]\nname = \"talk\"\nwhen = { talk = { secs = 120 } }";

fn ids(signals: &[Signal]) -> BTreeSet<(String, String, Millis)> {
    raised(signals).iter().map(|r| (r.id.clone(), r.rule.name.clone(), r.time)).collect()
}

proptest! {
    #[test]
    fn when_time_is_looked_at_does_not_matter(history in histories(), every in 1usize..10) {
        let end = START + 4_000 * SECOND;
        let (mut often, mut never) = (Watch::new(rules(MIXED)), Watch::new(rules(MIXED)));
        let (mut by_often, mut by_never) = (Vec::new(), Vec::new());
        for (at, (event, reading)) in told(&history).into_iter().enumerate() {
            if at % every == 0 {
                often.tick(event.time - 1, &mut by_often);
            }
            often.event(&event, reading.clone(), &mut by_often);
            never.event(&event, reading, &mut by_never);
        }
        often.tick(end, &mut by_often);
        never.tick(end, &mut by_never);
        prop_assert_eq!(ids(&by_often), ids(&by_never));
    }

    #[test]
    fn a_watch_that_was_stored_goes_on_as_if_nothing_had_been(history in histories(), cut in 0usize..40) {
        let events = told(&history);
        let cut = cut.min(events.len());
        let end = START + 4_000 * SECOND;
        let mut whole = Watch::new(rules(MIXED));
        let mut by_whole = Vec::new();
        let mut by_parts = Vec::new();
        let mut part = Watch::new(rules(MIXED));
        for (event, reading) in &events[..cut] {
            part.event(event, reading.clone(), &mut by_parts);
        }
        let bytes = part.to_bytes();
        let mut part = Watch::from_bytes(rules(MIXED), &bytes).expect("its own bytes");
        prop_assert_eq!(part.to_bytes(), bytes);
        for (event, reading) in &events[cut..] {
            part.event(event, reading.clone(), &mut by_parts);
        }
        for (event, reading) in events {
            whole.event(&event, reading, &mut by_whole);
        }
        whole.tick(end, &mut by_whole);
        part.tick(end, &mut by_parts);
        prop_assert_eq!(ids(&by_whole), ids(&by_parts));
        // A replay from the cut gives ids that are known, and none twice with another meaning.
        let known = ids(&by_whole).len();
        prop_assert_eq!(raised(&by_parts).len(), known);
    }

    #[test]
    fn foreign_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        // Whatever comes of it, it does not panic.
        let _ = Watch::from_bytes(rules(MIXED), &bytes);
    }
}
