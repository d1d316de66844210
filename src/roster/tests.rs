//! Stories about rosters: midnight, daylight saving, substitutes, events, faults.

use std::sync::Arc;

use chrono_tz::Tz;

use super::{Duties, People, Roster};
use crate::event::{Event, Kind, Role};
use crate::time::{HOUR, MINUTE, Millis, parse_time};

fn at(text: &str) -> Millis {
    parse_time(text).expect("a time of the test")
}

fn roster(text: &str) -> Roster {
    Roster::read("roster.csv", text, Tz::Asia__Shanghai).expect("a roster without fault")
}

fn who(roster: &Roster, queue: Option<&str>, time: &str) -> Vec<String> {
    roster.on_duty(queue, None, Role::Supervisor, at(time)).into_iter().map(|duty| duty.person).collect()
}

#[test]
fn a_shift_over_midnight_belongs_to_the_day_on_which_it_begins() {
    let roster = roster(
        "date,person,role,queues,start,end\n\
         mon-fri,wang,supervisor,cards,08:00,20:00\n\
         mon-fri,li,supervisor,cards,20:00,08:00\n",
    );
    // 2026-11-20 is a Friday.
    assert_eq!(who(&roster, Some("cards"), "2026-11-20T19:59:59+08:00"), ["wang"]);
    assert_eq!(who(&roster, Some("cards"), "2026-11-20T20:00:00+08:00"), ["li"]);
    assert_eq!(who(&roster, Some("cards"), "2026-11-21T07:59:59+08:00"), ["li"]);
    assert!(who(&roster, Some("cards"), "2026-11-21T08:00:00+08:00").is_empty());
    assert!(who(&roster, Some("loans"), "2026-11-20T10:00:00+08:00").is_empty());
    let next = roster.next(Some("cards"), Role::Supervisor, at("2026-11-21T08:00:00+08:00"));
    let next = next.expect("Monday comes");
    assert_eq!((next.person.as_str(), next.start), ("wang", at("2026-11-23T08:00:00+08:00")));
}

#[test]
fn the_clock_s_changes_leave_no_hole_and_no_hour_twice() {
    let berlin = Tz::Europe__Berlin;
    let text = "date,person,role,queues,start,end\n\
                daily,a,supervisor,,22:00,02:30\n\
                daily,b,supervisor,,02:30,10:00\n";
    let roster = Roster::read("roster.csv", text, berlin).expect("a roster without fault");
    // Back: 02:30 comes twice, at 00:30Z and at 01:30Z; forward: it does not come at all, 01:00Z is 03:00.
    for (time, person) in [
        ("2026-10-25T00:29:59Z", "a"),
        ("2026-10-25T01:31:00Z", "b"),
        ("2026-03-29T00:59:59Z", "a"),
        ("2026-03-29T01:00:00Z", "b"),
    ] {
        let duty = roster.on_duty(None, None, Role::Supervisor, at(time));
        assert!(duty.iter().any(|duty| duty.person == person), "{time}: {duty:?}");
    }
    // Nobody is missing at any minute of both nights.
    for night in ["2026-10-24T20:00:00Z", "2026-03-28T21:00:00Z"] {
        for minute in 0..600 {
            let time = at(night) + minute * MINUTE;
            assert!(!roster.on_duty(None, None, Role::Supervisor, time).is_empty(), "{night} + {minute} min");
        }
    }
}

#[test]
fn whoever_is_named_for_the_queue_comes_first() {
    let roster = roster(
        "date,person,role,queues,start,end,department\n\
         daily,general,supervisor,,00:00,24:00,\n\
         daily,cards_1,supervisor,cards;loans,00:00,24:00,\n\
         daily,lead_1,lead,,00:00,24:00,retail\n",
    );
    assert_eq!(who(&roster, Some("cards"), "2026-11-20T12:00:00Z"), ["cards_1"]);
    assert_eq!(who(&roster, Some("vip"), "2026-11-20T12:00:00Z"), ["general"]);
    assert_eq!(who(&roster, None, "2026-11-20T12:00:00Z"), ["general", "cards_1"]);
    let lead = |department| {
        roster.on_duty(Some("cards"), Some(department), Role::Lead, at("2026-11-20T12:00:00Z")).len()
    };
    assert_eq!((lead("retail"), lead("business")), (1, 0));
}

#[test]
fn a_substitute_takes_over_for_the_time_that_is_named() {
    let roster = roster(
        "date,person,role,queues,start,end,replaces\n\
         daily,wang,supervisor,cards,08:00,20:00,\n\
         2026-11-20,zhao,,,12:00,14:00,wang\n\
         2026-11-20,qian,,,13:00,14:00,zhao\n",
    );
    assert_eq!(who(&roster, Some("cards"), "2026-11-20T11:59:00+08:00"), ["wang"]);
    assert_eq!(who(&roster, Some("cards"), "2026-11-20T12:30:00+08:00"), ["zhao"]);
    assert_eq!(who(&roster, Some("cards"), "2026-11-20T13:30:00+08:00"), ["qian"]);
    assert_eq!(who(&roster, Some("cards"), "2026-11-20T14:00:00+08:00"), ["wang"]);
    let duty = roster.on_duty(Some("cards"), None, Role::Supervisor, at("2026-11-20T12:30:00+08:00"));
    assert_eq!(duty[0].replaces.as_deref(), Some("wang"));
    assert_eq!(duty[0].until, at("2026-11-20T14:00:00+08:00"));
    // Whoever stands in for somebody who is off is not on duty.
    assert!(who(&roster, Some("cards"), "2026-11-20T20:30:00+08:00").is_empty());
}

#[test]
fn shifts_come_as_events_too_and_replace_the_row_of_the_same_id() {
    let mut roster = roster(
        "shift_id,person,role,queues,start,end\n\
         s1,wang,supervisor,cards,2026-11-20T08:00:00+08:00,2026-11-20T20:00:00+08:00\n",
    );
    let noon = "2026-11-20T12:00:00+08:00";
    let mut planned = Event::new("e1", Kind::ShiftPlanned, at("2026-11-19T08:00:00Z"));
    planned.shift_id = Some("s1".into());
    planned.agent_id = Some("li".into());
    planned.role = Some(Role::Supervisor);
    planned.queues = Some("[\"cards\", \"lo\\\"ans\"]".into());
    planned.start = Some(at("2026-11-20T08:00:00+08:00"));
    planned.end = Some(at("2026-11-20T20:00:00+08:00"));
    assert!(roster.take_event(&planned));
    assert!(!roster.take_event(&planned), "a repeat changes nothing");
    assert_eq!(who(&roster, Some("cards"), noon), ["li"]);
    assert_eq!(who(&roster, Some("lo\"ans"), noon), ["li"]);
    let mut cancelled = Event::new("e2", Kind::ShiftCancelled, at("2026-11-19T09:00:00Z"));
    cancelled.shift_id = Some("s1".into());
    assert!(roster.take_event(&cancelled));
    assert!(who(&roster, Some("cards"), noon).is_empty() && roster.next(None, Role::Supervisor, 0).is_none());
}

#[test]
fn faults_name_file_and_line() {
    let text = "date,person,role,queues,start,end\n\
                2026-11-20,wang,boss,cards,08:00,20:00\n\
                # a comment\n\
                someday,li,supervisor,cards,08:00,20:00\n\
                2026-11-20,,supervisor,cards,08:00,20:00\n\
                2026-11-20,li,supervisor,cards,25:00,20:00\n\
                ,li,supervisor,cards,08:00,20:00\n";
    let faults = Roster::read("roster.csv", text, Tz::UTC).expect_err("every row has a fault");
    let told: Vec<_> = faults.iter().map(|fault| (fault.line.unwrap_or(0), fault.message.as_str())).collect();
    assert_eq!(
        told,
        [
            (2, "unknown role `boss`"),
            (4, "`someday` is neither a date nor a day"),
            (5, "a shift without `person`"),
            (6, "`25:00` is no time of day"),
            (7, "`08:00` is no time with an offset"),
        ]
    );
    let faults = Roster::read("roster.csv", "person,colour,start\n", Tz::UTC).expect_err("a wrong header");
    let told: Vec<_> = faults.iter().map(|fault| fault.message.as_str()).collect();
    assert_eq!(told, ["unknown column `colour`", "the column `end` is missing"]);
    assert!(Roster::read("roster.csv", "", Tz::UTC).is_err());
    assert!(People::read("people.csv", "id,name\na,A\na,B\n").is_err());
}

#[test]
fn gaps_overlaps_and_unknown_people_are_reported() {
    let text = "date,person,role,queues,start,end\n\
                daily,agent_1,agent,cards,08:00,22:00\n\
                daily,wang,supervisor,cards,08:00,14:00\n\
                daily,li,supervisor,cards,15:00,21:00\n\
                2026-11-20,wang,supervisor,cards,13:00,15:00\n";
    let roster = roster(text);
    let people = People::read("people.csv", "id,name\nwang,王芳\n").expect("people without fault");
    let faults = roster.check(&people, at("2026-11-20T00:00:00+08:00"));
    let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
    assert!(told[0].starts_with("`li` is not among the people (roster.csv, line 4)"), "{told:?}");
    assert!(told[1].starts_with("`wang` has two shifts at 2026-11-20 13:00"), "{told:?}");
    assert!(told.iter().any(|t| t.contains("from 2026-11-20 21:00 to 2026-11-20 22:00")), "{told:?}");
    assert!(told.iter().any(|t| t.contains("from 2026-11-21 14:00 to 2026-11-21 15:00")), "{told:?}");
    assert!(!told.iter().any(|t| t.contains("2026-11-20 14:00")), "wang's second shift covers it: {told:?}");
    let whole = "date,person,role,queues,start,end\ndaily,wang,supervisor,,00:00,24:00\n";
    assert!(Roster::read("r", whole, Tz::UTC).expect("no fault").check(&people, 0).is_empty());
}

#[test]
fn a_roster_that_is_read_anew_keeps_the_shifts_of_events_and_forgets_old_ones() {
    let mut old = Roster::empty(Tz::UTC);
    let mut planned = Event::new("e1", Kind::ShiftPlanned, 0);
    planned.shift_id = Some("s9".into());
    planned.agent_id = Some("li".into());
    planned.role = Some(Role::Supervisor);
    (planned.start, planned.end) = (Some(HOUR), Some(2 * HOUR));
    assert!(old.take_event(&planned) && !old.is_empty());
    let mut new = Roster::empty(Tz::UTC);
    new.keep_planned(&old);
    assert_eq!(new.on_duty(Some("any"), None, Role::Supervisor, HOUR).len(), 1);
    new.forget(3 * HOUR);
    assert!(new.is_empty());
}

#[test]
fn a_shift_that_is_planned_anew_stands_where_it_was_planned_last() {
    let mut roster = Roster::empty(Tz::UTC);
    let mut plan = |role: Role, start: Millis, end: Millis| {
        let mut planned = Event::new("e", Kind::ShiftPlanned, 0);
        planned.shift_id = Some("s1".into());
        planned.agent_id = Some("li".into());
        (planned.role, planned.start, planned.end) = (Some(role), Some(start), Some(end));
        assert!(roster.take_event(&planned) && !roster.take_event(&planned));
        // Longer than any other, so that the long one is found from its middle too.
        let on_duty = |role, at| roster.on_duty(None, None, role, at).len();
        [
            on_duty(Role::Supervisor, 2 * HOUR),
            on_duty(Role::Supervisor, 30 * HOUR),
            on_duty(Role::Lead, 30 * HOUR),
        ]
    };
    assert_eq!(plan(Role::Supervisor, HOUR, 3 * HOUR), [1, 0, 0]);
    assert_eq!(plan(Role::Supervisor, HOUR, 40 * HOUR), [1, 1, 0]);
    assert_eq!(plan(Role::Lead, 29 * HOUR, 31 * HOUR), [0, 0, 1]);
    assert_eq!(plan(Role::Supervisor, 30 * HOUR, 31 * HOUR), [0, 1, 0]);
    assert_eq!(roster.next(None, Role::Supervisor, HOUR).map(|next| next.start), Some(30 * HOUR));
}

#[test]
fn duties_are_looked_up_anew_each_second_and_by_a_new_roster() {
    let roster = |until: &str| {
        let text = format!(
            "date,person,role,queues,start,end\ndaily,wang,supervisor,,08:00,{until}\ndaily,zhao,supervisor,,{until},20:00\n"
        );
        Arc::new(Roster::read("roster.csv", &text, Tz::Asia__Shanghai).expect("a roster without fault"))
    };
    let mut duties = Duties::of(roster("12:00"));
    let people = |duties: &mut Duties, time: &str| {
        duties.people(Some("cards"), None, Role::Supervisor, at(time)).to_vec()
    };
    assert_eq!(people(&mut duties, "2026-11-20T11:59:59.999+08:00"), ["wang"]);
    assert_eq!(people(&mut duties, "2026-11-20T12:00:00+08:00"), ["zhao"]);
    assert_eq!(people(&mut duties, "2026-11-20T11:59:59+08:00"), ["wang"]);
    assert!(people(&mut duties, "2026-11-20T22:00:00+08:00").is_empty());
    duties.go_on_with(roster("13:00"));
    assert_eq!(people(&mut duties, "2026-11-20T12:00:00+08:00"), ["wang"]);
}
