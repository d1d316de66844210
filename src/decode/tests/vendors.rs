//! Whatever a platform sends, in whatever order and how often: the same rows, and never a panic.

use proptest::prelude::*;

use super::super::{Decoder, Format, Source};
use crate::event::{Kind, RejectReason};
use crate::mimic::{Mimic, Spoken};
use crate::simulate::{Centre, Options};

const FORMATS: &[Format] = &[
    Format::AmazonConnect,
    Format::Genesys,
    Format::Twilio,
    Format::AsteriskQueueLog,
    Format::FreeswitchCallcenter,
    Format::Chatwoot,
];

/// What a platform writes about a small centre.
fn told(format: Format, contacts: u64) -> Vec<Spoken> {
    let mut mimic = Mimic::new(format.name()).expect("every platform is spoken");
    let mut decoder = Decoder::default();
    let mut spoken = Vec::new();
    for emitted in
        Centre::new(Options { contacts: Some(contacts), events_per_second: 5.0, ..Options::default() })
    {
        let event = decoder.decode(emitted.payload.as_bytes(), None).expect("a canonical event");
        mimic.hear(&event, &mut spoken);
    }
    mimic.end(&mut spoken);
    spoken
}

#[test]
fn nothing_that_a_platform_writes_is_refused_or_unknown() {
    for &format in FORMATS {
        let records = told(format, 120);
        assert!(records.len() > 100, "{}: {}", format.name(), records.len());
        let mut decoder = Source::from(format).decoder();
        let mut kinds = std::collections::BTreeSet::new();
        for record in &records {
            let events = decoder.read(record.payload.as_bytes(), Some(record.time + 1000));
            let events =
                events.unwrap_or_else(|reject| panic!("{}: {reject:?}: {}", format.name(), record.payload));
            kinds.extend(events.iter().map(|event| event.kind));
        }
        for kind in [Kind::Queued, Kind::Answered, Kind::Ended, Kind::Wrapped] {
            assert!(kinds.contains(&kind), "{}: no {}", format.name(), kind.as_str());
        }
        if format != Format::Chatwoot {
            assert!(kinds.contains(&Kind::AgentState), "{}: no states of agents", format.name());
        }
        assert_eq!(decoder.unknown_fields(), 0, "{}", format.name());
    }
}

#[test]
fn records_give_the_same_events_again() {
    for &format in FORMATS {
        let records = told(format, 40);
        let (mut first, mut again) = (Source::from(format).decoder(), Source::from(format).decoder());
        for record in &records {
            let read = |decoder: &mut Decoder| {
                let events = decoder.read(record.payload.as_bytes(), None).expect("it is read");
                events.into_iter().map(crate::event::Event::into_owned).collect::<Vec<_>>()
            };
            let events = read(&mut first);
            assert_eq!(read(&mut again), events);
            // At once again, as after a lost acknowledgement.
            assert_eq!(read(&mut again), events, "{}", record.payload);
        }
    }
}

#[test]
fn a_payload_of_a_schema_registry_is_named() {
    let avro = [&[0u8, 0, 0, 1, 44][..], &[0xff, 0x02, 0x80]].concat();
    for &format in FORMATS.iter().chain(&[Format::Callpulse]) {
        let reject = Source::from(format).decoder().read(&avro, None).map(|_| ()).expect_err("a reject");
        assert!(reject.detail.contains("schema id `300`"), "{}: {}", format.name(), reject.detail);
    }
    // What a JSON Schema serializer writes is read.
    let json = [&[0u8, 0, 0, 0, 7][..], br#"{"CC-Action":"members-count"}"#].concat();
    let events =
        Source::from(Format::FreeswitchCallcenter).decoder().read(&json, None).map(|events| events.len());
    assert_eq!(events, Ok(0));
}

#[test]
fn names_stand_for_ids() {
    let names = super::super::Names {
        queues: [("q1".to_owned(), "Sales".to_owned())].into(),
        agents: [("SIP/7".to_owned(), "Li".to_owned())].into(),
    };
    let source = Source { names: Some(std::sync::Arc::new(names)), ..Source::from(Format::AsteriskQueueLog) };
    let events = source.decoder().read(b"120|c1|q1|SIP/7|CONNECT|20|u1", None).map(|events| {
        events
            .into_iter()
            .map(|event| (event.queue.map(String::from), event.agent_id.map(String::from)))
            .collect::<Vec<_>>()
    });
    assert_eq!(events.map(|events| events[0].clone()), Ok((Some("Sales".to_owned()), Some("Li".to_owned()))));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn damaged_records_are_refused_or_read_and_never_a_panic(
        at in 0usize..1_000_000, cut in 0usize..1_000_000, byte in any::<u8>(), which in 0usize..6,
    ) {
        let format = FORMATS[which];
        // Made once: a centre takes longer than the test.
        static RECORDS: std::sync::LazyLock<Vec<Vec<Spoken>>> =
            std::sync::LazyLock::new(|| FORMATS.iter().map(|format| told(*format, 60)).collect());
        let records = &RECORDS[which];
        let mut decoder = Source::from(format).decoder();
        for step in 0..40 {
            let record = records[(at + step * 7) % records.len()].payload.as_bytes();
            let _ = decoder.read(&record[..(cut + step) % (record.len() + 1)], None);
            let mut flipped = record.to_vec();
            let place = (at + step * 31) % flipped.len();
            flipped[place] = byte.wrapping_add(step as u8);
            let _ = decoder.read(&flipped, None);
        }
    }

    #[test]
    fn any_text_is_refused_or_read(text in "[ -~]{0,60}|(\\{|\\}|\\[|\\]|\"|:|,|\\||=|&|%|[0-9]|[a-zA-Z]){0,80}") {
        for &format in FORMATS {
            let read = Source::from(format).decoder().read(text.as_bytes(), None).map(|events| events.len());
            if let Err(reject) = read {
                prop_assert!(reject.reason != RejectReason::TooLate && !reject.detail.is_empty());
            }
        }
    }

    #[test]
    fn further_fields_change_nothing_and_are_counted(which in 0usize..3, step in 0usize..500) {
        let format = [Format::AmazonConnect, Format::Genesys, Format::Twilio][which];
        static RECORDS: std::sync::LazyLock<Vec<Vec<Spoken>>> = std::sync::LazyLock::new(|| {
            [Format::AmazonConnect, Format::Genesys, Format::Twilio].iter().map(|format| told(*format, 60)).collect()
        });
        let record = &RECORDS[which][step % RECORDS[which].len()].payload;
        let further = match format {
            Format::Twilio => format!("{record}&NewField=7"),
            Format::Genesys => record.replacen("\"eventBody\":{", "\"eventBody\":{\"newField\":{\"a\":[1]},", 1),
            _ => record.replacen('{', "{\"NewField\":{\"a\":[1]},", 1),
        };
        let read = |text: &str| {
            let mut decoder = Source::from(format).decoder();
            let events = decoder.read(text.as_bytes(), None).expect("it is read");
            let events: Vec<_> = events.into_iter().map(crate::event::Event::into_owned).collect();
            (events, decoder.unknown_fields())
        };
        let ((events, none), (more, counted)) = (read(record), read(&further));
        prop_assert_eq!(events, more);
        prop_assert_eq!(none, 0);
        // Of a user's status nothing is counted: it is a small part of a large message.
        prop_assert!(counted == 1 || record.contains("v2.users."), "{}", further);
    }
}

#[test]
fn every_sample_is_read_without_a_reject() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples");
    for &format in FORMATS {
        let folder = root.join(format.name());
        let files =
            std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let mut events = 0;
        for file in files {
            let path = file.expect("a file of the samples").path();
            let mut decoder = Source::from(format).decoder();
            let text = std::fs::read_to_string(&path).expect("a sample can be read");
            for (at, line) in text.lines().enumerate() {
                let read = decoder.read(line.as_bytes(), Some(1_772_420_000_000)).map(|events| events.len());
                events += read.unwrap_or_else(|reject| panic!("{}:{}: {reject:?}", path.display(), at + 1));
            }
        }
        assert!(events > 5, "{}: {events} events", format.name());
    }
}
