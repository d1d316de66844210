//! Alerts from an event in Kafka to somebody's acknowledgement, with the real binary and a receiver beside it.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use callpulse::ingest::{EmbeddedBroker, Feeder};
use callpulse::time::{Clock, SystemClock};
use serde_json::{Value, json};

use crate::harness::{Place, Running, ask, callpulse, get, post};

/// What a webhook was told, alert by alert.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<Value>>>);

impl Told {
    /// A receiver that takes everything; its URL.
    fn listen(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}/alerts", listener.local_addr().expect("an address"));
        let told = self.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let told = told.clone();
                std::thread::spawn(move || told.serve(stream));
            }
        });
        url
    }

    fn serve(&self, mut stream: std::net::TcpStream) {
        let mut bytes = Vec::new();
        let mut part = [0; 8192];
        loop {
            if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
                let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
                let length: usize = length.and_then(|text| text.trim().parse().ok()).unwrap_or(0);
                if bytes.len() >= end + 4 + length {
                    let body: Value =
                        serde_json::from_slice(&bytes[end + 4..end + 4 + length]).unwrap_or_default();
                    bytes.drain(..end + 4 + length);
                    let alerts = body["alerts"].as_array().cloned().unwrap_or_default();
                    self.0.lock().expect("nobody panics with the lock").extend(alerts);
                    if stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").is_err() {
                        return;
                    }
                    continue;
                }
            }
            match stream.read(&mut part) {
                Ok(0) | Err(_) => return,
                Ok(read) => bytes.extend_from_slice(&part[..read]),
            }
        }
    }

    fn all(&self) -> Vec<Value> {
        self.0.lock().expect("nobody panics with the lock").clone()
    }

    /// The alert of a contact that was told so.
    fn find(&self, contact: &str, kind: &str) -> Option<Value> {
        self.all().into_iter().find(|alert| alert["contact_id"] == contact && alert["kind"] == kind)
    }
}

fn now() -> i64 {
    SystemClock.now()
}

fn roster(place: &Place, supervisor: &str) {
    let text = format!(
        "date,person,role,queues,start,end\ndaily,{supervisor},supervisor,cards,00:00,24:00\n\
         daily,zhao,lead,cards,00:00,24:00\n"
    );
    // As an editor does it: the file is never half there.
    let new = place.write("roster.new", text);
    std::fs::rename(new, place.path("roster.csv")).expect("it can be moved");
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

struct Centre {
    feeder: Feeder,
}

impl Centre {
    fn tell(&self, contact: &str, kind: &str, at: i64) {
        let event = json!({
            "id": format!("{contact}-{kind}-{at}"), "type": kind, "time": at, "contact_id": contact, "queue": "cards",
            "channel": "voice", "agent_id": if kind == "contact.answered" { "a1" } else { "" },
        });
        let mut event = event;
        if kind != "contact.answered"
            && let Value::Object(members) = &mut event
        {
            members.remove("agent_id");
        }
        self.feeder
            .send("calls", contact.as_bytes(), event.to_string().as_bytes(), at)
            .expect("the broker takes it");
        self.feeder.flush(Duration::from_secs(10)).expect("the broker takes it");
    }
}

#[test]
fn somebody_is_told_then_somebody_else_until_somebody_answers() {
    let broker = EmbeddedBroker::start(&[("calls", 2), ("dead", 1)]).expect("a broker");
    let place = Place::new();
    let told = Told::default();
    roster(&place, "wang");
    let people = place.write("people.csv", "id,name\nwang,王芳\nli,李强\nzhao,赵敏\nchen,陈晨\n");
    let rules = place.write(
        "rules.toml",
        "[[rule]]\nname = \"wait\"\ntitle = \"A long wait\"\ntitle_zh = \"等待过长\"\nseverity = \"critical\"\n\
         escalate_secs = 2\nwhen = { wait = { secs = 2 } }\n",
    );
    let config = place.write(
        "run.toml",
        format!(
            "data_dir = \"{}\"\nrules = [\"{}\"]\nroster = \"{}\"\npeople = \"{}\"\n[alerts]\nfallback = [\"chen\"]\n\
             [[notify]]\nname = \"hook\"\nkind = \"webhook\"\nurl = \"{}\"\n\
             [kafka]\nbrokers = \"{}\"\ntopics = [{{ name = \"calls\" }}]\ndead_letter_topic = \"dead\"\n\
             [kafka.properties]\n\"session.timeout.ms\" = \"6000\"\n[lake]\ncommit_secs = 1\nsnapshot_secs = 2\n",
            text(&place.path("lake")),
            text(&rules),
            text(&place.path("roster.csv")),
            text(&people),
            told.listen(),
            broker.brokers()
        ),
    );
    let config = text(&config);
    assert_eq!(callpulse(["check", "-c", &config]).code, 0);
    let arguments = [
        "run",
        "-c",
        &config,
        "--http",
        "127.0.0.1:0",
        "--set",
        "pg.listen=off",
        "--set",
        "flight.listen=off",
    ];
    let centre = Centre { feeder: Feeder::new(broker.brokers(), &BTreeMap::new()).expect("a producer") };

    let mut service = Running::start(arguments);
    let address = service.address();
    let wait = Duration::from_secs(60);
    let queued = now();
    centre.tell("c1", "contact.queued", queued);
    let raised = service.until("the alert", wait, |_| told.find("c1", "raised"));
    assert_eq!(raised["people"][0]["id"], "wang");
    assert_eq!(raised["figures"]["waited_seconds"], 2.0);
    let escalated = service.until("the escalation", wait, |_| told.find("c1", "escalated"));
    assert_eq!(escalated["people"][0]["id"], "zhao");
    assert_eq!(escalated["id"], raised["id"]);

    // The link opens a page that posts its token.
    let id = raised["id"].as_str().expect("an id").to_owned();
    let link = escalated["ack_url"].as_str().expect("a link");
    let token = link.split("token=").nth(1).expect("a token");
    let ack = format!("{address}/api/v1/alerts/{id}/ack");
    assert_eq!(post(&ack, &json!({ "token": format!("{token}x") })).0, 403);
    let (status, alert) = post(&ack, &json!({ "token": token }));
    assert_eq!((status, alert["acknowledged_by"].as_str()), (200, Some("zhao")), "{alert}");
    let open: Value =
        serde_json::from_str(&get(&format!("{address}/api/v1/alerts")).expect("a list")).expect("JSON");
    assert_eq!(open[0]["status"], "acknowledged");
    assert!(get(&format!("{address}/alerts")).is_some_and(|page| page.contains("<html")));
    let tellings = told.all().len();
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(told.all().len(), tellings, "nobody is told once somebody takes care of it");
    centre.tell("c1", "contact.answered", now());
    service.until("the end", wait, |_| told.find("c1", "resolved"));

    // A change of the roster is in force within five seconds; a broken file changes nothing.
    place.write("roster.csv", "date,person\nnonsense\n");
    std::thread::sleep(Duration::from_secs(2));
    let duty = || get(&format!("{address}/api/v1/oncall?queue=cards")).unwrap_or_default();
    assert!(duty().contains("wang"), "{}", duty());
    roster(&place, "li");
    service.until("the new roster", Duration::from_secs(5), |_| duty().contains("\"li\"").then_some(()));
    centre.tell("c2", "contact.queued", now());
    let second = service.until("the second alert", wait, |_| told.find("c2", "raised"));
    assert_eq!(second["people"][0]["name"], "李强");
    let metrics = get(&format!("{address}/metrics")).expect("metrics");
    for line in [
        "callpulse_alerts_raised_total{rule=\"wait\",severity=\"critical\"} 2",
        "callpulse_alerts_open{rule=\"wait\",severity=\"critical\"} 1",
        "callpulse_reloads_total{file=\"roster\",result=\"refused\"} 1",
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }

    // After a kill the records are read again, and nobody hears of the same cause as something new.
    service.kill();
    let raised = |told: &Told| told.all().iter().filter(|alert| alert["kind"] == "raised").count();
    assert_eq!(raised(&told), 2);
    let mut service = Running::start(arguments);
    let address = service.address();
    let open = || {
        let rows = ask(&address, "select status, resolved_by, rule from alerts order by event_time")?;
        (rows.len() == 2).then_some(rows)
    };
    let rows = service.until("both alerts", wait, |_| open());
    assert_eq!(
        (rows[0]["status"].as_str(), rows[0]["resolved_by"].as_str()),
        (Some("resolved"), Some("callpulse"))
    );
    service.until("the second escalation", wait, |_| told.find("c2", "escalated"));
    let id = second["id"].as_str().expect("an id");
    let (status, _) = post(&format!("{address}/api/v1/alerts/{id}/resolve"), &json!({ "by": "li" }));
    assert_eq!(status, 200);
    service.until("the second end", wait, |_| told.find("c2", "resolved"));
    assert_eq!(post(&format!("{address}/api/v1/alerts/{id}/ack"), &json!({})).0, 409);
    assert_eq!(raised(&told), 2, "{:?}", told.all());
    let (code, err) = service.terminate();
    assert_eq!(code, 0, "{err}");
    assert!(!err.contains("token="), "{err}");
    assert_eq!(place.number("lake", "select count(*) from alerts where status = 'resolved'"), 2);
}

#[test]
fn prometheus_alerts_reach_the_person_on_duty_too() {
    let broker = EmbeddedBroker::start(&[("calls", 1)]).expect("a broker");
    let place = Place::new();
    let told = Told::default();
    roster(&place, "wang");
    let (lake, roster_file) = (text(&place.path("lake")), text(&place.path("roster.csv")));
    let sets = [
        format!("kafka.brokers={}", broker.brokers()),
        "kafka.topics=[{name=\"calls\"}]".to_owned(),
        "kafka.dead_letter_topic=".to_owned(),
        format!("roster={roster_file}"),
        format!("notify=[{{name=\"hook\",kind=\"webhook\",url=\"{}\"}}]", told.listen()),
    ];
    let mut arguments = vec!["run", "--data-dir", &lake, "--http", "127.0.0.1:0"];
    sets.iter().for_each(|set| arguments.extend(["--set", set]));
    let mut service = Running::start(arguments);
    let address = service.address();
    let wait = Duration::from_secs(60);
    let message = |status: &str| {
        json!({ "version": "4", "status": status, "alerts": [
            { "status": status, "fingerprint": "f1", "startsAt": "2026-11-22T00:00:00Z",
              "labels": { "alertname": "LagGrowing", "severity": "critical", "queue": "cards" },
              "annotations": { "summary": "Reading falls behind" } },
            { "status": status, "fingerprint": "f2", "startsAt": "2026-11-22T00:00:00Z",
              "labels": { "alertname": "wait", "source": "callpulse" } },
        ] })
    };
    let url = format!("{address}/api/v1/alertmanager");
    for _ in 0..2 {
        let (status, answer) = post(&url, &message("firing"));
        assert_eq!(
            (status, answer["taken"].as_i64()),
            (200, Some(1)),
            "our own does not come back: {answer}"
        );
    }
    let of = |kind: &'static str| {
        let told = told.clone();
        move |_: &Running| told.all().into_iter().find(|alert| alert["kind"] == kind)
    };
    let raised = service.until("the alert", wait, of("raised"));
    assert_eq!(
        (raised["title"].as_str(), raised["source"].as_str()),
        (Some("Reading falls behind"), Some("alertmanager"))
    );
    assert_eq!(raised["people"][0]["id"], "wang");
    assert_eq!(post(&url, &message("resolved")).0, 200);
    service.until("its end", wait, of("resolved"));
    assert_eq!(post(&url, &json!({ "alerts": 1 })).0, 400);
    assert_eq!(told.all().len(), 2, "{:?}", told.all());
}

#[test]
fn without_any_target_alerts_are_in_the_table_and_on_the_page() {
    let broker = EmbeddedBroker::start(&[("calls", 1)]).expect("a broker");
    let place = Place::new();
    let lake = text(&place.path("lake"));
    let brokers = format!("kafka.brokers={}", broker.brokers());
    let mut service = Running::start([
        "run",
        "--data-dir",
        &lake,
        "--http",
        "127.0.0.1:0",
        "--set",
        &brokers,
        "--set",
        "kafka.topics=[{name=\"calls\"}]",
        "--set",
        "kafka.dead_letter_topic=",
        "--set",
        "lake.commit_secs=1",
    ]);
    let address = service.address();
    let firing = json!({ "alerts": [{ "status": "firing", "labels": { "alertname": "LagGrowing" } }] });
    let taken = post(&format!("{address}/api/v1/alertmanager"), &firing);
    assert_eq!((taken.0, taken.1["taken"].as_i64()), (200, Some(1)));
    service.until("its row in the lake", Duration::from_secs(60), |_| {
        (place.sql("lake", "select count(*) from alerts").ok().lines().nth(1) == Some("1")).then_some(())
    });
    assert!(get(&format!("{address}/api/v1/alerts")).is_some_and(|list| list.contains("LagGrowing")));
}

#[test]
fn check_tells_every_fault_of_rules_roster_and_people() {
    let place = Place::new();
    let rules = place.write("rules.toml", "[[rule]]\nname = \"a\"\nwhen = { wiat = { secs = 1 } }\n");
    let roster = place.write("roster.csv", "date,person,role,start,end\ndaily,wang,boss,08:00,20:00\n");
    let people = place.write("people.csv", "id,name,emial\nwang,王芳,x\n");
    let (rules, roster, people) = (
        format!("rules={}", text(&rules)),
        format!("roster={}", text(&roster)),
        format!("people={}", text(&people)),
    );
    let ran = callpulse(["check", "--set", &rules, "--set", &roster, "--set", &people]);
    assert_eq!(ran.code, 78, "{}", ran.err);
    for part in [
        "unknown condition `wiat`",
        "line 3",
        "the nearest is `wait`",
        "unknown role `boss`",
        "unknown column `emial`",
    ] {
        assert!(ran.err.contains(part), "{part}: {}", ran.err);
    }
    let wrong = "notify=[{name=\"x\",kind=\"dingtak\",url=\"https://host/verysecret\"}]";
    let ran = callpulse(["check", "--set", wrong]);
    assert_eq!(ran.code, 78);
    assert!(ran.err.contains("the nearest is `dingtalk`") && !ran.err.contains("verysecret"), "{}", ran.err);
}
