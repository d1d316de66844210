//! The simulation held against a naive recount that reads nothing but the emitted JSON.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono_tz::Tz;
use serde_json::Value;

use super::slots::{HOUR, MINUTE};
use super::{Centre, Emitted, Options, Row, slot_start};

const NINE: i64 = 1_772_413_200_000; // 2026-03-02T09:00:00+08:00, a Monday

fn options(seed: u64, contacts: u64) -> Options {
    Options { seed, contacts: Some(contacts), events_per_second: 20.0, ..Options::default() }
}

/// Events until a time; the centre then stands one event further.
fn until(centre: &mut Centre, end: i64) -> Vec<Emitted> {
    centre.take_while(|event| event.time < end).collect()
}

#[test]
fn one_seed_one_story() {
    let story = |seed| Centre::new(options(seed, 400)).collect::<Vec<_>>();
    assert_eq!(story(7), story(7));
    assert_ne!(story(7), story(8));
}

#[test]
fn a_buffer_used_again_holds_what_a_new_one_holds() {
    let fresh: Vec<Emitted> = Centre::new(options(3, 200)).collect();
    let (mut centre, mut event, mut again) = (Centre::new(options(3, 200)), Emitted::default(), Vec::new());
    while centre.next_into(&mut event) {
        again.push(event.clone());
    }
    assert_eq!(fresh, again);
}

#[test]
fn it_stops_after_the_contacts_asked_for_and_leaves_nothing_open() {
    let mut centre = Centre::new(options(5, 1000));
    let started =
        centre.by_ref().filter(|event| event.payload.contains("\"type\":\"contact.started\"")).count();
    assert_eq!(started, 1000);
    assert_eq!(centre.books().total().waiting, 0);
    assert!(centre.next().is_none(), "an end stays an end");
}

#[test]
fn events_come_in_order_and_are_what_the_contract_says() {
    let mut last = i64::MIN;
    let (mut ids, mut kinds) = (BTreeSet::new(), BTreeSet::new());
    let mut centre = Centre::new(Options { contacts: Some(6000), ..options(11, 0) });
    for event in centre.by_ref() {
        assert!(event.time >= last, "time went back at {}", event.payload);
        last = event.time;
        let json: Value =
            serde_json::from_str(&event.payload).unwrap_or_else(|error| panic!("{error}: {}", event.payload));
        let text = |name: &str| json[name].as_str();
        let id = text("id").expect("an id");
        assert!(id.len() == 36 && ids.insert(id.to_owned()), "id {id}");
        assert_eq!(time(&json), event.time);
        let kind = text("type").expect("a type");
        kinds.insert(kind.to_owned());
        let key = match kind {
            "agent.state" | "shift.planned" | "shift.cancelled" => text("agent_id"),
            _ => text("contact_id").or(text("complaint_id")),
        };
        assert_eq!(key, Some(event.key.as_str()), "{}", event.payload);
        for &name in required(kind) {
            assert!(!json[name].is_null(), "{name} is missing in {}", event.payload);
        }
        let among = |name: &str, values: &[&str]| {
            let value = text(name).unwrap_or("");
            assert!(values.contains(&value), "{name} is `{value}` in {}", event.payload);
        };
        match kind {
            "contact.started" => among("direction", &["inbound", "outbound", "callback"]),
            "contact.bot_ended" => among("outcome", &["contained", "handover", "abandoned"]),
            "contact.left_queue" => among(
                "reason",
                &["overflow", "callback", "exit_key", "timeout", "no_agent", "closed", "error"],
            ),
            "contact.ended" => among("by", &["customer", "agent", "system"]),
            "contact.transferred" => {
                among("mode", &["blind", "warm"]);
                assert!(json["to_queue"].is_string() != json["to_agent"].is_string());
            }
            "message" => among("from", &["customer", "agent", "bot"]),
            "agent.state" => among(
                "state",
                &["offline", "available", "busy", "acw", "break", "training", "meeting", "other"],
            ),
            "survey" => {
                assert!((1..=5).contains(&json["csat"].as_i64().unwrap_or(0)));
                assert!(json["nps"].is_null() || (0..=10).contains(&json["nps"].as_i64().unwrap_or(-1)));
                assert!(json["ces"].is_null() || (1..=7).contains(&json["ces"].as_i64().unwrap_or(0)));
            }
            _ => {}
        }
        if let Some(channel) = text("channel") {
            assert!(["voice", "chat", "email", "social"].contains(&channel));
        }
    }
    for kind in KINDS {
        assert!(kinds.remove(kind), "{kind} never came");
    }
    kinds.remove("shift.cancelled");
    kinds.remove("complaint.withdrawn");
    kinds.remove("complaint.reopened");
    kinds.remove("complaint.closed");
    assert_eq!(kinds, BTreeSet::new(), "types that the contract does not know");
}

const KINDS: [&str; 22] = [
    "contact.started",
    "contact.bot_started",
    "contact.bot_ended",
    "contact.queued",
    "contact.offered",
    "contact.missed",
    "contact.answered",
    "contact.held",
    "contact.resumed",
    "contact.left_queue",
    "contact.transferred",
    "contact.ended",
    "contact.wrapped",
    "message",
    "agent.state",
    "survey",
    "complaint.opened",
    "complaint.contacted",
    "complaint.resolved",
    "promise.made",
    "promise.kept",
    "shift.planned",
];

fn required(kind: &str) -> &'static [&'static str] {
    match kind {
        "contact.started" => &["contact_id", "direction", "topic", "channel"],
        "contact.queued" => &["contact_id", "queue", "channel"],
        "contact.offered" | "contact.missed" | "contact.answered" | "contact.held" | "contact.resumed" => {
            &["contact_id", "agent_id", "queue"]
        }
        "contact.left_queue" | "contact.ended" => &["contact_id", "reason"],
        "contact.transferred" => &["contact_id", "agent_id", "mode"],
        "contact.wrapped" => &["contact_id", "agent_id", "resolved", "disposition"],
        "message" => &["contact_id", "from", "text"],
        "agent.state" => &["agent_id", "state"],
        "promise.made" => &["promise_id", "contact_id", "due"],
        "promise.kept" => &["promise_id", "contact_id"],
        "complaint.opened" => &["complaint_id", "category", "severity", "text"],
        "complaint.resolved" => &["complaint_id", "verdict", "cause"],
        "shift.planned" | "shift.cancelled" => &[
            "shift_id",
            "agent_id",
            "role",
            "queues",
            "start",
            "end",
            "preferred",
            "published_at",
            "paid_minutes",
        ],
        kind if kind.starts_with("complaint.") => &["complaint_id"],
        _ => &["contact_id"],
    }
}

fn time(json: &Value) -> i64 {
    json["time"].as_i64().unwrap_or_else(|| {
        let text = json["time"].as_str().expect("a time");
        chrono::DateTime::parse_from_rfc3339(text).expect("RFC 3339").timestamp_millis()
    })
}

/// Counts from the events alone, as the contract's table reads.
struct Recount {
    zone: Tz,
    slot_minutes: u32,
    rows: BTreeMap<(i64, String, String), Row>,
    open: HashMap<String, (i64, String, String)>,
    outbound: BTreeSet<String>,
    talks: HashMap<String, Vec<Handling>>,
}

struct Handling {
    agent: String,
    place: (String, String),
    since: i64,
    held: Option<i64>,
    hold: i64,
    ended: Option<i64>,
}

impl Recount {
    fn new(options: &Options) -> Recount {
        Recount {
            zone: options.zone,
            slot_minutes: options.slot_minutes,
            rows: BTreeMap::new(),
            open: HashMap::new(),
            outbound: BTreeSet::new(),
            talks: HashMap::new(),
        }
    }

    fn leave(&mut self, contact: &str, now: i64, outcome: &str) {
        let Some((queued, channel, queue)) = self.open.remove(contact) else { return };
        let wait = now - queued;
        let slot = slot_start(self.zone, self.slot_minutes, queued);
        let row = self.rows.get_mut(&(slot, channel, queue)).expect("a leg was offered before it left");
        row.waiting -= 1;
        let count = match outcome {
            "answered" => {
                row.wait_ms_sum += wait;
                row.answered_in_time += i64::from(wait <= 20_000);
                &mut row.answered
            }
            "hung_up" if wait < 5_000 => &mut row.abandoned_short,
            "hung_up" => &mut row.abandoned,
            "overflow" => &mut row.overflow,
            "callback" => &mut row.callback,
            "exit_key" => &mut row.exit_key,
            "timeout" => &mut row.timeout,
            "no_agent" => &mut row.no_agent,
            "closed" => &mut row.closed,
            _ => &mut row.error,
        };
        *count += 1;
    }

    fn read(&mut self, payload: &str) {
        let json: Value = serde_json::from_str(payload).expect("JSON");
        let text = |name: &str| json[name].as_str().unwrap_or("").to_owned();
        let (contact, agent, now) = (text("contact_id"), text("agent_id"), time(&json));
        let place = (text("channel"), text("queue"));
        match json["type"].as_str().unwrap_or("") {
            "contact.started" if text("direction") == "outbound" => {
                self.outbound.insert(contact);
            }
            "contact.queued" => {
                let slot = slot_start(self.zone, self.slot_minutes, now);
                let row = self.rows.entry((slot, place.0.clone(), place.1.clone())).or_default();
                row.offered += 1;
                row.waiting += 1;
                assert!(self.open.insert(contact, (now, place.0, place.1)).is_none(), "queued twice");
            }
            "contact.answered" => {
                self.leave(&contact, now, "answered");
                let handling = Handling { agent, place, since: now, held: None, hold: 0, ended: None };
                self.talks.entry(contact).or_default().push(handling);
            }
            "contact.held" => self.talking(&contact, &agent).held = Some(now),
            "contact.resumed" => {
                let handling = self.talking(&contact, &agent);
                handling.hold += now - handling.held.take().expect("held before it is resumed");
            }
            "contact.left_queue" => self.leave(&contact, now, &text("reason")),
            "contact.transferred" => self.talking(&contact, &agent).end(now),
            "contact.ended" => {
                self.leave(&contact, now, if text("by") == "system" { "error" } else { "hung_up" });
                let talks = self.talks.entry(contact).or_default();
                talks
                    .iter_mut()
                    .filter(|handling| handling.ended.is_none())
                    .for_each(|handling| handling.end(now));
            }
            "contact.wrapped" => {
                let talks = self.talks.get_mut(&contact).expect("a handling to wrap");
                let at = talks
                    .iter()
                    .position(|handling| handling.agent == agent && handling.ended.is_some())
                    .expect("an ended handling of this agent");
                let handling = talks.remove(at);
                if self.outbound.contains(&contact) {
                    return;
                }
                let ended = handling.ended.expect("found by its end");
                let slot = slot_start(self.zone, self.slot_minutes, now);
                let row = self.rows.entry((slot, handling.place.0, handling.place.1)).or_default();
                row.handled += 1;
                row.talk_ms_sum += ended - handling.since - handling.hold;
                row.hold_ms_sum += handling.hold;
                row.acw_ms_sum += now - ended;
            }
            _ => {}
        }
    }

    fn talking(&mut self, contact: &str, agent: &str) -> &mut Handling {
        let talks = self.talks.get_mut(contact).expect("a talk");
        talks
            .iter_mut()
            .find(|handling| handling.agent == agent && handling.ended.is_none())
            .expect("an open talk")
    }

    fn check(&self, centre: &Centre) {
        let books: BTreeMap<(i64, String, String), Row> = centre
            .books()
            .rows()
            .iter()
            .map(|(&(slot, channel, queue), &row)| ((slot, channel.to_owned(), queue.to_owned()), row))
            .collect();
        assert_eq!(self.rows, books);
    }
}

impl Handling {
    fn end(&mut self, now: i64) {
        if let Some(held) = self.held.take() {
            self.hold += now - held;
        }
        self.ended = Some(now);
    }
}

#[test]
fn the_books_are_what_the_events_say_at_every_instant() {
    for seed in 1..=3 {
        let options = options(seed, 2500);
        let (mut recount, mut centre) = (Recount::new(&options), Centre::new(options));
        let (mut event, mut count) = (Emitted::default(), 0u64);
        while centre.next_into(&mut event) {
            recount.read(&event.payload);
            count += 1;
            // Odd steps, so that all kinds of events are the last one now and then.
            if count % 397 == 0 {
                recount.check(&centre);
                assert!(centre.books().rows().values().all(|row| row.ledger_gap() == 0), "seed {seed}");
            }
        }
        recount.check(&centre);
        let total = centre.books().total();
        assert!(total.offered > 1500 && total.answered > 1000 && total.handled > 1000, "{total:?}");
        let unwrapped: usize = recount
            .talks
            .iter()
            .filter(|(contact, _)| !recount.outbound.contains(*contact))
            .map(|(_, talks)| talks.len())
            .sum();
        assert_eq!(centre.books().unwrapped(), unwrapped as i64, "seed {seed}");
    }
}

#[test]
fn sorting_a_contact_by_time_and_rank_changes_nothing() {
    const RANKS: [&str; 13] = [
        "started",
        "bot_started",
        "bot_ended",
        "queued",
        "offered",
        "missed",
        "answered",
        "held",
        "resumed",
        "left_queue",
        "transferred",
        "ended",
        "wrapped",
    ];
    let options = options(21, 5000);
    let (mut recount, mut centre) = (Recount::new(&options), Centre::new(options));
    let mut contacts: BTreeMap<String, Vec<(i64, usize, String, String)>> = BTreeMap::new();
    for event in centre.by_ref() {
        let json: Value = serde_json::from_str(&event.payload).expect("JSON");
        let kind = json["type"].as_str().unwrap_or("").trim_start_matches("contact.");
        let Some(rank) = RANKS.iter().position(|&rank| rank == kind) else { continue };
        let id = json["id"].as_str().unwrap_or("").to_owned();
        contacts.entry(event.key).or_default().push((event.time, rank, id, event.payload));
    }
    for events in contacts.values_mut() {
        events.sort();
        events.iter().for_each(|event| recount.read(&event.3));
    }
    recount.check(&centre);
}

#[test]
fn an_incident_floods_its_queue_and_the_answer_rate_falls() {
    let stormy = Options { contacts: None, events_per_second: 40.0, ..options(2, 0) };
    let mut centre = Centre::new(stormy);
    let incident = centre.incidents().first().expect("an incident soon after the start").clone();
    assert!((3.0..=6.0).contains(&incident.factor));
    let length = incident.end - incident.start;
    assert!((20 * MINUTE..=60 * MINUTE).contains(&length));
    let (mut before, mut during, mut named) = (0i64, 0i64, 0);
    for event in until(&mut centre, incident.end) {
        let queue = format!("\"queue\":\"{}\"", incident.queue);
        if event.payload.contains("\"type\":\"contact.queued\"") && event.payload.contains(&queue) {
            if event.time < incident.start { before += 1 } else { during += 1 }
        }
        named += i64::from(event.payload.contains(&format!("\"topic\":\"{}\"", incident.theme)));
    }
    let rate = |count: i64, time: i64| count as f64 / time as f64;
    let flood = rate(during, length) / rate(before, incident.start - NINE);
    assert!(flood > 0.6 * incident.factor, "{flood} times the traffic, {before} before, {during} during");
    assert!(named > 100, "{named} contacts name `{}`", incident.theme);
    let answer_rate = |from: i64, to: i64| {
        let mut sum = Row::default();
        for (place, row) in centre.books().rows() {
            if place.2 == incident.queue && (from..to).contains(&place.0) {
                sum.add(row);
            }
        }
        sum.answered as f64 / (sum.offered - sum.waiting - sum.abandoned_short) as f64
    };
    let storm = answer_rate(incident.start, incident.end);
    let calm = {
        let options = Options { contacts: None, events_per_second: 40.0, incidents: false, ..options(2, 0) };
        let mut calm = Centre::new(options);
        until(&mut calm, incident.end);
        let total = calm.books().total();
        total.answered as f64 / (total.offered - total.waiting - total.abandoned_short) as f64
    };
    assert!(calm > 0.85 && storm < calm - 0.2, "answer rate {storm} in the incident, {calm} without one");
}

#[test]
fn a_steady_centre_s_traffic_stays_what_it_is() {
    let half_hours = |steady: bool| {
        let options =
            Options { contacts: None, incidents: false, steady, events_per_second: 100.0, ..options(2, 0) };
        let mut counts = [0u32; 8];
        for event in until(&mut Centre::new(options), NINE + 4 * HOUR) {
            if event.payload.contains("\"type\":\"contact.started\"") {
                counts[((event.time - NINE) / (30 * MINUTE)).min(7) as usize] += 1;
            }
        }
        let (least, most) = (counts.iter().min().copied(), counts.iter().max().copied());
        f64::from(most.unwrap_or(0)) / f64::from(least.unwrap_or(0))
    };
    assert!(half_hours(true) < 1.06, "{}", half_hours(true));
    assert!(half_hours(false) > 1.2, "{}", half_hours(false));
}

#[test]
fn an_ordinary_day_looks_like_one() {
    let options = Options { contacts: None, incidents: false, events_per_second: 25.0, ..options(9, 0) };
    let mut centre = Centre::new(options);
    let (mut kinds, mut bytes, mut count) = (BTreeMap::<String, u64>::new(), 0, 0u64);
    for event in until(&mut centre, NINE + 6 * HOUR) {
        let kind =
            event.payload.split("\"type\":\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or("");
        *kinds.entry(kind.to_owned()).or_default() += 1;
        bytes += event.payload.len() as u64;
        count += 1;
    }
    let mean = bytes as f64 / count as f64;
    assert!((280.0..400.0).contains(&mean), "a payload has {mean} bytes on average");
    let rate = count as f64 / (6.0 * 3600.0);
    assert!((21.0..33.0).contains(&rate), "{rate} events a second, 25 were asked for");
    let messages = kinds["message"] as f64 / count as f64;
    assert!((0.30..0.42).contains(&messages), "{messages} of the events are messages");
    let total = centre.books().total();
    let answer_rate = total.answered as f64 / (total.offered - total.abandoned_short - total.waiting) as f64;
    assert!((0.90..0.985).contains(&answer_rate), "answer rate {answer_rate}");
    let unwrapped = centre.books().unwrapped() as f64 / total.handled as f64;
    assert!((0.002..0.009).contains(&unwrapped), "{unwrapped} of the handlings have no wrap-up");
}

#[test]
fn slots_follow_the_local_clock_across_its_changes() {
    let at = |text: &str| chrono::DateTime::parse_from_rfc3339(text).expect("a time").timestamp_millis();
    let cases = [
        (Tz::Asia__Shanghai, 30, "2026-03-02T09:29:59+08:00", "2026-03-02T09:00:00+08:00"),
        (Tz::Asia__Kolkata, 60, "2026-03-02T09:59:59+05:30", "2026-03-02T09:00:00+05:30"),
        // The repeated hour: summer time first, then winter time.
        (Tz::Europe__Berlin, 30, "2026-10-25T02:40:00+02:00", "2026-10-25T02:30:00+02:00"),
        (Tz::Europe__Berlin, 30, "2026-10-25T02:40:00+01:00", "2026-10-25T02:30:00+01:00"),
        (Tz::Europe__Berlin, 60, "2026-10-25T02:00:00+01:00", "2026-10-25T02:00:00+01:00"),
        // The skipped hour.
        (Tz::Europe__Berlin, 60, "2026-03-29T03:10:00+02:00", "2026-03-29T03:00:00+02:00"),
        // Half an hour forth in the middle of a slot of one hour: the rest is a slot of its own.
        (Tz::Australia__Lord_Howe, 60, "2026-10-04T02:45:00+11:00", "2026-10-04T02:30:00+11:00"),
        (Tz::Australia__Lord_Howe, 60, "2026-04-05T01:45:00+10:30", "2026-04-05T01:30:00+10:30"),
        (Tz::Asia__Shanghai, 15, "1969-12-31T23:59:59+08:00", "1969-12-31T23:45:00+08:00"),
    ];
    for (zone, minutes, time, start) in cases {
        assert_eq!(slot_start(zone, minutes, at(time)), at(start), "{zone} {time}");
    }
}

#[test]
fn a_day_with_a_repeated_hour_closes_its_books_too() {
    let start =
        chrono::DateTime::parse_from_rfc3339("2026-10-24T23:00:00+02:00").expect("a time").timestamp_millis();
    let options = Options {
        start,
        zone: Tz::Europe__Berlin,
        contacts: Some(2000),
        events_per_second: 20.0,
        ..options(13, 0)
    };
    let (mut recount, mut centre) = (Recount::new(&options), Centre::new(options));
    let mut event = Emitted::default();
    while centre.next_into(&mut event) {
        recount.read(&event.payload);
    }
    recount.check(&centre);
    let hours: BTreeSet<i64> =
        centre.books().rows().keys().map(|place| (place.0 - start) / (30 * MINUTE)).collect();
    assert!((6..10).all(|slot| hours.contains(&slot)), "02:00 to 03:00 is there twice: {hours:?}");
}
