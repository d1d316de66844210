//! Two instances of one group answer as one would: figures by addition, SQL by asking each other; and what is missing while
//! one is gone is named.

use std::collections::BTreeMap;
use std::time::Duration;

use callpulse::ingest::{EmbeddedBroker, Feeder};
use callpulse::simulate::{Centre, Emitted, Options};
use callpulse::time::{Clock, SystemClock};
use serde_json::Value;

use crate::harness::{Place, Running, ask, ask_missing, get};

const PARTITIONS: i32 = 4;
/// What is compared: closed rows and open ones, of every instance's partitions.
const QUESTIONS: [&str; 5] = [
    "select count(*) as n, count(distinct contact_id) as contacts from events",
    "select contact_id, leg, channel, queue, queued_at, answered_at, left_at, wait_ms, outcome, agent_id, revision \
     from legs order by contact_id, leg",
    "select contact_id, handling, agent_id, started_at, ended_at, wrapped_at, talk_ms, hold_ms, acw_ms \
     from handlings order by contact_id, handling",
    "select contact_id, outcome, ended_at, messages, handle_ms from contacts order by contact_id",
    "select slot_start, channel, queue, offered, answered, abandoned, waiting, ledger_gap, wait_ms_sum \
     from kpi_slot order by slot_start, channel, queue",
];

struct Instance {
    running: Running,
    address: String,
}

fn start(place: &Place, broker: &EmbeddedBroker, name: &str, lake: &str, fleet: &str) -> Instance {
    let config = place.write(
        &format!("{name}.toml"),
        format!(
            "data_dir = \"{}\"\n[kafka]\nbrokers = \"{}\"\ngroup = \"{lake}\"\ntopics = [{{ name = \"calls\" }}]\n\
             dead_letter_topic = \"\"\nfleet_topic = \"{fleet}\"\n\
             [kafka.properties]\n\"session.timeout.ms\" = \"6000\"\n\"heartbeat.interval.ms\" = \"500\"\n\
             [http]\nlisten = \"127.0.0.1:0\"\n[pg]\nlisten = \"off\"\n[flight]\nlisten = \"off\"\n\
             [lake]\ncommit_secs = 1\nsnapshot_secs = 2\n",
            place.path(lake).display(),
            broker.brokers(),
        ),
    );
    let mut running = Running::start(["run", "-c", &config.to_string_lossy()]);
    let address = running.address();
    Instance { running, address }
}

fn live(address: &str) -> Option<Value> {
    serde_json::from_str(&get(&format!("{address}/api/v1/live"))?).ok()
}

/// The answers to all questions; `None` where any of them lacks rows.
fn answers(address: &str) -> Option<Vec<Vec<Value>>> {
    if ask_missing(address, QUESTIONS[0])?.is_some() {
        return None;
    }
    QUESTIONS.iter().map(|question| ask(address, question)).collect()
}

/// The live figures that do not depend on the second in which they were asked for.
fn still(live: &Value) -> (Vec<Value>, Value, Value, Value) {
    let queues = live["queues"].as_array().cloned().unwrap_or_default();
    let queues = queues.into_iter().map(|mut queue| {
        let members = queue.as_object_mut().expect("a queue is an object");
        members.remove("longest_wait_seconds");
        members.remove("rolling");
        queue
    });
    let queues =
        queues.filter(|queue| queue["offered"] != 0 || queue["active"] != 0 || queue["waiting"] != 0);
    (queues.collect(), live["agents"].clone(), live["ledger_gap"].clone(), live["pipeline"]["events"].clone())
}

/// How many partitions each instance has, as one of them tells, when none is missing.
fn shares(live: &Value) -> Option<Vec<u64>> {
    if live["missing"].as_array()?.is_empty() {
        let instances = live["instances"].as_array()?.iter().filter(|instance| instance["counted"] == true);
        return Some(instances.filter_map(|instance| instance["partitions"].as_u64()).collect());
    }
    None
}

#[test]
fn two_instances_answer_as_one_and_name_what_is_missing() {
    let broker = EmbeddedBroker::start(&[("calls", PARTITIONS), ("fleet", 1)]).expect("a broker");
    let place = Place::new();
    let mut a = start(&place, &broker, "a", "two", "fleet");
    let mut b = start(&place, &broker, "b", "two", "fleet");
    let mut alone = start(&place, &broker, "alone", "one", "");
    let [at_a, at_b, at_alone] = [&a, &b, &alone].map(|instance| instance.address.clone());
    a.running.until("two instances with partitions each", Duration::from_secs(120), |_| {
        let (a, b) = (shares(&live(&at_a)?)?, shares(&live(&at_b)?)?);
        (a.len() == 2 && b.len() == 2 && a.iter().all(|partitions| *partitions > 0)).then_some(())
    });

    // The centre of the last half hour, so that it is today's and much of it is still open.
    let now = SystemClock.now();
    let options = Options {
        seed: 5,
        contacts: Some(600),
        events_per_second: 40.0,
        start: now - 1_800_000,
        ..Options::default()
    };
    let mut centre = Centre::new(options);
    let feeder = Feeder::new(broker.brokers(), &BTreeMap::new()).expect("a producer");
    let (mut event, mut sent) = (Emitted::default(), 0_u64);
    while centre.next_into(&mut event) && event.time < now {
        feeder
            .send("calls", event.key.as_bytes(), event.payload.as_bytes(), event.time)
            .expect("the broker takes it");
        sent += 1;
    }
    feeder.flush(Duration::from_secs(30)).expect("the broker takes all");
    assert!(sent > 1_000, "{sent} events");

    let all = |address: &str| live(address).filter(|live| live["pipeline"]["events"] == sent);
    for instance in [&mut a, &mut b, &mut alone] {
        let page = format!("{}/readyz", instance.address);
        instance.running.until("ready", Duration::from_secs(120), |_| get(&page));
    }
    a.running.until("the same figures everywhere", Duration::from_secs(90), |_| {
        let lives = [all(&at_a)?, all(&at_b)?, all(&at_alone)?].map(|live| still(&live));
        assert!(!lives[0].0.is_empty(), "there are figures");
        (lives[0] == lives[1] && lives[1] == lives[2]).then_some(())
    });
    a.running.until("the same rows everywhere", Duration::from_secs(90), |_| {
        let answers = [answers(&at_a)?, answers(&at_b)?, answers(&at_alone)?];
        assert!(answers[2].iter().all(|rows| !rows.is_empty()), "there are rows");
        (answers[0] == answers[1] && answers[1] == answers[2]).then_some(())
    });

    // One dies: until the other has its partitions, answers say that they lack them.
    b.running.kill();
    let named = a.running.until("the answer names what is missing", Duration::from_secs(30), |_| {
        ask_missing(&at_a, QUESTIONS[0])?
    });
    assert!(named.contains(&at_b) || named.contains("calls-"), "{named}");
    a.running.until("the figures name what is missing", Duration::from_secs(30), |_| {
        live(&at_a)?["missing"].as_array().filter(|missing| !missing.is_empty()).map(|_| ())
    });
    a.running.until("the whole again", Duration::from_secs(120), |_| {
        let (ours, theirs) = (answers(&at_a)?, answers(&at_alone)?);
        let (figures, others) = (still(&live(&at_a)?), still(&live(&at_alone)?));
        (ours == theirs && figures.0 == others.0 && figures.1 == others.1).then_some(())
    });
    for instance in [a, alone] {
        let (code, err) = instance.running.terminate();
        assert_eq!(code, 0, "{err}");
    }
}
