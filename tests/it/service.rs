//! The service as users start it: the demo, and a crash midway, against the broker inside this process.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use callpulse::ingest::{EmbeddedBroker, Feeder};
use callpulse::simulate::{Centre, Emitted, Options};

use crate::harness::{Place, Running, as_books, ask, books_csv, get};

fn count(address: &str, sql: &str) -> Option<i64> {
    ask(address, sql)?.first()?["n"].as_i64()
}

#[test]
fn the_demo_shows_fresh_figures_that_agree_with_its_books() {
    let place = Place::new();
    let lake = place.path("lake").to_string_lossy().into_owned();
    let mut demo = Running::start([
        "demo",
        "--for",
        "12s",
        "--http",
        "127.0.0.1:0",
        "--rate",
        "40",
        "--data-dir",
        &lake,
    ]);
    let address = demo.address();
    let legs = |_: &Running| count(&address, "select count(*) as n from legs").filter(|legs| *legs > 100);
    let early = demo.until("legs in SQL", Duration::from_secs(30), legs);
    let events = demo.until("more events in SQL", Duration::from_secs(30), |_| {
        count(&address, "select count(*) as n from events").filter(|events| *events > early)
    });

    let metrics = demo.until("metrics", Duration::from_secs(10), |_| get(&format!("{address}/metrics")));
    let gaps: Vec<&str> = metrics.lines().filter(|line| line.starts_with("callpulse_ledger_gap")).collect();
    assert!(!gaps.is_empty() && gaps.iter().all(|line| line.ends_with(" 0")), "{gaps:?}");
    assert!(metrics.contains("callpulse_legs_offered_total{"), "{metrics}");
    let page = demo.until("the wallboard", Duration::from_secs(10), |_| get(&format!("{address}/")));
    assert!(page.contains("<html"), "{page}");
    for path in ["/healthz", "/readyz", "/api/v1/live", "/api/v1/openapi.json"] {
        demo.until(path, Duration::from_secs(10), |_| get(&format!("{address}{path}")));
    }
    demo.until("what happens now in SQL", Duration::from_secs(10), |_| {
        count(&address, "select count(*) as n from events").filter(|later| *later > events)
    });

    let (code, err) = demo.end(Duration::from_secs(90));
    assert_eq!(code, 0, "{err}");
    assert!(err.contains("the figures agree with the simulated centre's own books"), "{err}");
    assert!(err.contains("try next:") && err.contains("ledger gap 0"), "{err}");
    assert_eq!(place.number("lake", "select sum(abs(ledger_gap)) from kpi_slot"), 0);
}

#[test]
fn after_a_kill_every_event_counts_once() {
    const PARTITIONS: i32 = 4;
    let broker = EmbeddedBroker::start(&[("calls", PARTITIONS), ("dead", 1)]).expect("a broker");
    let place = Place::new();
    let config = place.write(
        "run.toml",
        format!(
            "data_dir = \"{}\"\n[kafka]\nbrokers = \"{}\"\ntopics = [{{ name = \"calls\" }}]\ndead_letter_topic = \"dead\"\n\
             [kafka.properties]\n\"session.timeout.ms\" = \"6000\"\n[lake]\ncommit_secs = 1\nsnapshot_secs = 2\n",
            place.path("lake").display(),
            broker.brokers()
        ),
    );
    let config = config.to_string_lossy().into_owned();
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

    let mut centre =
        Centre::new(Options { seed: 21, contacts: Some(700), events_per_second: 20.0, ..Options::default() });
    let feeder = Feeder::new(broker.brokers(), &BTreeMap::new()).expect("a producer");
    let sent = AtomicU64::new(0);
    let mut feed = |until: u64| {
        let mut event = Emitted::default();
        while sent.load(Ordering::Relaxed) < until && centre.next_into(&mut event) {
            let (key, payload) = (event.key.as_bytes(), event.payload.as_bytes());
            feeder.send("calls", key, payload, event.time).expect("the broker takes it");
            sent.fetch_add(1, Ordering::Relaxed);
        }
        feeder.flush(Duration::from_secs(30)).expect("the broker takes all");
    };

    // Killed three times: after a commit, between commits, and while it reads again what it had read.
    feed(2_000);
    let mut service = Running::start(arguments);
    let address = service.address();
    let seen = |address: &str, at_least: i64| {
        count(address, "select count(*) as n from events").filter(|events| *events >= at_least)
    };
    service.until("the first events", Duration::from_secs(60), |_| seen(&address, 2_000));
    service.until("a commit", Duration::from_secs(60), |_| {
        (place.number("lake", "select count(*) from events") >= 2_000).then_some(())
    });
    feed(4_000);
    service.until("more events", Duration::from_secs(60), |_| seen(&address, 3_000));
    service.kill();

    feed(5_000);
    let mut service = Running::start(arguments);
    let address = service.address();
    service.until("the first events again", Duration::from_secs(90), |_| seen(&address, 2_500));
    service.kill();

    let mut service = Running::start(arguments);
    let address = service.address();
    feed(u64::MAX);
    let sent = i64::try_from(sent.load(Ordering::Relaxed)).expect("a number of events");
    assert!(sent > 5_000, "{sent} events were sent");
    service.until("all events", Duration::from_secs(120), |_| seen(&address, sent));
    assert_eq!(count(&address, "select count(*) as n from events"), Some(sent));
    let (code, err) = service.terminate();
    assert_eq!(code, 0, "{err}");

    assert_eq!(place.number("lake", "select count(*) from events"), sent);
    let places = "select count(*) from (select distinct topic, \"partition\", \"offset\" from events)";
    assert_eq!(place.number("lake", places), sent);
    assert_eq!(place.number("lake", "select count(*) from rejects"), 0);
    assert_eq!(place.sql("lake", &as_books()).ok(), books_csv(centre.books()));
    let legs = "select count(*) - count(distinct concat(contact_id, '/', cast(leg as varchar))) from legs";
    assert_eq!(place.number("lake", legs), 0);
}
