//! What platforms send, in another order, twice, and in several versions: the same rows.

use super::world::{Visible, World, options, readable};
use crate::correlate::Options;
use crate::decode::{Decoder, Format, Source};
use crate::event::Event;
use crate::mimic::Mimic;
use crate::simulate::{Centre, Options as CentreOptions};

type Record = Vec<Event<'static>>;

fn read(format: Format, record: &str) -> Record {
    let events = Source::from(format)
        .decoder()
        .read(record.as_bytes(), None)
        .map(|events| events.into_iter().map(Event::into_owned).collect());
    events.unwrap_or_else(|reject| panic!("{reject:?}: {record}"))
}

/// Records of a small centre, read in their order.
fn told(format: Format) -> Vec<Record> {
    let mut mimic = Mimic::new(format.name()).expect("every platform is spoken");
    let (mut canonical, mut decoder) = (Decoder::default(), Source::from(format).decoder());
    let mut spoken = Vec::new();
    for emitted in
        Centre::new(CentreOptions { contacts: Some(40), events_per_second: 5.0, ..CentreOptions::default() })
    {
        let event = canonical.decode(emitted.payload.as_bytes(), None).expect("a canonical event");
        mimic.hear(&event, &mut spoken);
    }
    mimic.end(&mut spoken);
    let mut records = Vec::new();
    for said in spoken {
        let events = decoder.read(said.payload.as_bytes(), None).expect("it is read");
        records.push(events.into_iter().map(Event::into_owned).collect());
    }
    records
}

fn rows<'r>(records: impl IntoIterator<Item = &'r Record>) -> Visible {
    // Nothing is called too late, since the order is what is tried.
    let mut world = World::new(&Options { unordered: true, ..options() });
    for event in records.into_iter().flatten() {
        world.apply(event);
    }
    world.settle();
    world.end().visible(None, &readable)
}

fn table(rows: &Visible, name: &str) -> Vec<String> {
    let rows = rows.get(name).into_iter().flatten();
    rows.map(|row| String::from_utf8_lossy(row).into_owned()).collect()
}

#[test]
fn any_order_and_any_repetition_give_the_same_rows() {
    for format in [
        Format::AmazonConnect,
        Format::Genesys,
        Format::Twilio,
        Format::AsteriskQueueLog,
        Format::FreeswitchCallcenter,
        Format::Chatwoot,
    ] {
        let records = told(format);
        let plain = rows(&records);
        assert!(table(&plain, "legs").len() > 2, "{}", format.name());
        let backwards = rows(records.iter().rev());
        assert!(plain == backwards, "{}: backwards", format.name());
        let mut dice = 7u64;
        let mut shuffled: Vec<&Record> = records.iter().chain(records.iter().step_by(3)).collect();
        for at in (1..shuffled.len()).rev() {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            shuffled.swap(at, (dice >> 33) as usize % (at + 1));
        }
        assert!(plain == rows(shuffled), "{}: shuffled and repeated", format.name());
    }
}

/// A contact record whose after-contact work ends at this second, last updated then.
fn contact_record(acw_end: u32, updated: u32, hold: u32) -> Record {
    read(
        Format::AmazonConnect,
        &format!(
            r#"{{"ContactId":"c1","InitiationMethod":"INBOUND","Channel":"VOICE","InitiationTimestamp":"2026-03-02T01:00:00Z",
            "Queue":{{"Name":"Sales","EnqueueTimestamp":"2026-03-02T01:00:10Z","DequeueTimestamp":"2026-03-02T01:00:30Z"}},
            "Agent":{{"Username":"li","ConnectedToAgentTimestamp":"2026-03-02T01:00:30Z","CustomerHoldDuration":{hold},
            "AfterContactWorkStartTimestamp":"2026-03-02T01:03:00Z","AfterContactWorkEndTimestamp":"2026-03-02T01:03:{acw_end}Z"}},
            "DisconnectTimestamp":"2026-03-02T01:03:00Z","DisconnectReason":"CUSTOMER_DISCONNECT",
            "LastUpdateTimestamp":"2026-03-02T01:04:{updated}Z"}}"#
        ),
    )
}

#[test]
fn of_a_contact_record_the_newest_version_holds() {
    // The first version had a hold that the second takes back, and a later end of after-contact work.
    let (first, second) = (contact_record(50, 10, 20), contact_record(40, 20, 0));
    let want = rows([&second]);
    let handling = &table(&want, "handlings")[0];
    assert!(handling.contains("acw_ms=40000 ") && handling.contains("hold_ms=0 "), "{handling}");
    let strip = |rows: &Visible| {
        let without_revision = |row: String| row.split("revision=").next().unwrap_or_default().to_owned();
        ["legs", "handlings"]
            .map(|name| table(rows, name).into_iter().map(without_revision).collect::<Vec<_>>())
    };
    assert_eq!(strip(&rows([&first, &second])), strip(&want));
    assert_eq!(strip(&rows([&second, &first])), strip(&want));
    assert!(rows([&first, &second, &first]) == rows([&second, &first, &second]));
}

#[test]
fn a_contact_that_is_passed_on_in_one_second_keeps_both_legs() {
    let link = |id: &str, more: &str| {
        format!(
            r#"{{"ContactId":"{id}","Channel":"VOICE","LastUpdateTimestamp":"2026-03-02T01:10:00Z",{more}}}"#
        )
    };
    let first = link(
        "c1",
        r#""InitiationMethod":"INBOUND","InitiationTimestamp":"2026-03-02T01:00:00Z","NextContactId":"c2",
           "Queue":{"Name":"Sales","EnqueueTimestamp":"2026-03-02T01:00:10Z"},"DisconnectTimestamp":"2026-03-02T01:01:00Z""#,
    );
    let second = link(
        "c2",
        r#""InitialContactId":"c1","PreviousContactId":"c1","InitiationMethod":"QUEUE_TRANSFER",
           "InitiationTimestamp":"2026-03-02T01:01:00Z","Queue":{"Name":"Help","EnqueueTimestamp":"2026-03-02T01:01:00Z"},
           "DisconnectTimestamp":"2026-03-02T01:02:00Z","DisconnectReason":"CUSTOMER_DISCONNECT""#,
    );
    let (first, second) = (read(Format::AmazonConnect, &first), read(Format::AmazonConnect, &second));
    for records in [[&first, &second], [&second, &first]] {
        let legs = table(&rows(records), "legs");
        assert_eq!(legs.len(), 2, "{legs:?}");
        assert!(
            legs.iter().any(|leg| leg.contains("queue=Sales ") && leg.contains("outcome=overflow ")),
            "{legs:?}"
        );
        assert!(
            legs.iter().any(|leg| leg.contains("queue=Help ") && leg.contains("outcome=abandoned ")),
            "{legs:?}"
        );
    }
}

#[test]
fn a_caller_who_calls_again_in_time_has_not_abandoned() {
    let said = |action: &str, second: u32, more: &str| {
        let record = format!(
            r#"{{"CC-Action":"{action}","CC-Member-UUID":"m1","CC-Queue":"q","Event-Date-Timestamp":"17724132{second:02}000000"{more}}}"#
        );
        read(Format::FreeswitchCallcenter, &record)
    };
    let gone = r#","CC-Cause":"Cancel","CC-Cancel-Reason":"BREAK_OUT""#;
    let start = said("member-queue-start", 0, "");
    let left = said("member-queue-end", 10, gone);
    let back = said("member-queue-resume", 40, "");
    let taken = said("bridge-agent-start", 50, r#","CC-Agent":"li","CC-Agent-UUID":"b1""#);
    let outcome = |records: &[&Record]| table(&rows(records.iter().copied()), "legs");
    assert!(outcome(&[&start, &left])[0].contains("outcome=abandoned "));
    let waits = outcome(&[&start, &left, &back]);
    assert!(waits.len() == 1 && !waits[0].contains("outcome="), "{waits:?}");
    for records in [[&start, &left, &back, &taken], [&taken, &back, &left, &start]] {
        let legs = outcome(&records);
        assert!(
            legs.len() == 1 && legs[0].contains("outcome=answered ") && legs[0].contains("wait_ms=50000 "),
            "{legs:?}"
        );
    }
    let again = said("member-queue-end", 55, gone);
    assert!(outcome(&[&start, &left, &back, &again])[0].contains("wait_ms=55000 "));
}

#[test]
fn a_conversation_agrees_with_the_metrics_that_it_carries() {
    let record = include_str!("../../../tests/samples/genesys/conversation-details.jsonl").trim();
    let value: serde_json::Value = serde_json::from_str(record).expect("the sample is JSON");
    let sessions = value["participants"].as_array().expect("participants").iter();
    let sessions = sessions.flat_map(|participant| participant["sessions"].as_array().expect("sessions"));
    let metrics: Vec<(String, i64)> = sessions
        .flat_map(|session| session["metrics"].as_array().into_iter().flatten())
        .map(|metric| {
            (metric["name"].as_str().unwrap_or_default().to_owned(), metric["value"].as_i64().unwrap_or(0))
        })
        .collect();
    let sum = |name: &str| metrics.iter().filter(|(of, _)| of == name).map(|(_, value)| value).sum::<i64>();
    let rows = rows([&read(Format::Genesys, record)]);
    let column = |name: &str, column: &str| -> i64 {
        let cell = |row: String| {
            let rest = row.split(&format!("{column}=")).nth(1)?.split(' ').next()?.to_owned();
            rest.parse::<i64>().ok()
        };
        table(&rows, name).into_iter().filter_map(cell).sum()
    };
    assert_eq!(table(&rows, "legs").len(), 2);
    assert_eq!(column("legs", " wait_ms"), sum("tAnswered") + sum("tAbandon") + sum("tFlowOut"));
    assert_eq!(column("handlings", "talk_ms"), sum("tTalk"));
    assert_eq!(column("handlings", "hold_ms"), sum("tHeld"));
    assert_eq!(column("handlings", "acw_ms"), sum("tAcw"));
    assert_eq!(column("handlings", "handle_ms"), sum("tHandle"));
}
