//! Two parsers, one result: what our reader of the plain form takes is what serde_json takes, on records good and bad.

mod vendors;

use super::*;
use crate::event::{Kind, RejectReason};
use crate::time::parse_time;

/// What a parser makes of a record, in a form that can be compared: a reject's detail names the same fault, but
/// may quote the parser.
type Read = Result<(Event<'static>, u64), RejectReason>;

fn read(parser: Parser, record: &[u8], timestamp: Option<Millis>) -> Read {
    let mut decoder = Decoder::new(Format::Callpulse).with_parser(parser);
    let event = decoder.decode(record, timestamp).map(Event::into_owned);
    event.map(|event| (event, decoder.unknown_fields())).map_err(|reject| reject.reason)
}

/// Reads with both; they must agree.
#[track_caller]
fn both(record: &[u8]) -> Read {
    let (fast, reference) = (read(Parser::Plain, record, None), read(Parser::SerdeJson, record, None));
    let shown = || String::from_utf8_lossy(&record[..record.len().min(600)]).into_owned();
    assert_eq!(fast, reference, "ours (left) and serde_json (right) differ on {}", shown());
    fast
}

#[track_caller]
fn rejected(record: &[u8]) -> RejectReason {
    both(record).expect_err("a reject")
}

/// One record of every type, with every field that it has.
const EVERY_TYPE: &[&str] = &[
    r#""type":"contact.started","contact_id":"c","direction":"inbound","topic":"card""#,
    r#""type":"contact.started","contact_id":"c","direction":"outbound""#,
    r#""type":"contact.started","contact_id":"c","direction":"callback""#,
    r#""type":"contact.bot_started","contact_id":"c""#,
    r#""type":"contact.bot_ended","contact_id":"c","outcome":"handover""#,
    r#""type":"contact.queued","contact_id":"c""#,
    r#""type":"contact.offered","contact_id":"c""#,
    r#""type":"contact.missed","contact_id":"c""#,
    r#""type":"contact.answered","contact_id":"c","dial_ms":7000"#,
    r#""type":"contact.held","contact_id":"c""#,
    r#""type":"contact.resumed","contact_id":"c""#,
    r#""type":"contact.left_queue","contact_id":"c","reason":"exit_key""#,
    r#""type":"contact.transferred","contact_id":"c","to_queue":"billing","to_agent":"wang","mode":"warm""#,
    r#""type":"contact.ended","contact_id":"c","by":"customer","reason":"hung up""#,
    r#""type":"contact.wrapped","contact_id":"c","resolved":true,"disposition":"sold""#,
    r#""type":"message","contact_id":"c","from":"customer","text":"你好","duration_ms":1200,"final":false,"utterance":"u1""#,
    r#""type":"agent.state","state":"break","reason":"lunch""#,
    r#""type":"survey","contact_id":"c","csat":5,"nps":10,"ces":7,"resolved":false,"comment":"fine""#,
    r#""type":"complaint.opened","complaint_id":"k","contact_id":"c","category":"rude","severity":4,"text":"I waited","verdict":"upheld","cause":"load""#,
    r#""type":"complaint.contacted","complaint_id":"k""#,
    r#""type":"complaint.resolved","complaint_id":"k","verdict":"pacified""#,
    r#""type":"complaint.closed","complaint_id":"k""#,
    r#""type":"complaint.reopened","complaint_id":"k""#,
    r#""type":"complaint.withdrawn","complaint_id":"k""#,
    r#""type":"promise.made","promise_id":"p","contact_id":"c","due":"2026-11-22T12:00:00+08:00""#,
    r#""type":"promise.kept","promise_id":"p""#,
    r#""type":"shift.planned","shift_id":"s","role":"lead","queues":["sales","billing"],"start":1795222800000,"end":"2026-11-21T18:00:00+08:00","preferred":true,"published_at":1795222800000,"paid_minutes":480"#,
    r#""type":"shift.cancelled","shift_id":"s""#,
];

/// What may stand in every event.
const COMMON: &str = r#""time":"2026-11-21T09:00:00.123+08:00","channel":"voice","queue":"sales","department":"retail","agent_id":"li","customer_id":"mei","tier":"gold","attributes":{"ivr":[1,2,{"a":null}]}"#;

fn every_type() -> impl Iterator<Item = String> {
    EVERY_TYPE.iter().enumerate().map(|(at, fields)| format!(r#"{{"id":"e{at}",{fields},{COMMON}}}"#))
}

/// A record whose fields can be replaced by name.
fn queued(fields: &str) -> String {
    format!(
        r#"{{"id":"a","type":"contact.queued","time":1795222800000,"contact_id":"c","queue":"sales"{fields}}}"#
    )
}

#[test]
fn every_type_is_read_with_all_its_fields() {
    let mut kinds = Vec::new();
    for record in every_type() {
        let (event, unknown) = both(record.as_bytes()).unwrap_or_else(|why| panic!("{why:?}: {record}"));
        assert_eq!(unknown, 0, "{record}");
        assert_eq!(Some(event.time), parse_time("2026-11-21T09:00:00.123+08:00"));
        assert_eq!(event.attributes.as_deref(), Some(r#"{"ivr":[1,2,{"a":null}]}"#), "{record}");
        assert_eq!(
            (event.queue.as_deref(), event.agent_id.as_deref(), event.department.as_deref()),
            (Some("sales"), Some("li"), Some("retail"))
        );
        assert_eq!((event.customer_id.as_deref(), event.tier.as_deref()), (Some("mei"), Some("gold")));
        kinds.push(event.kind);
    }
    kinds.dedup();
    assert_eq!(kinds, Kind::ALL, "every type has a record here");
}

#[test]
fn what_is_written_is_read_again() {
    for record in every_type() {
        let (event, _) = both(record.as_bytes()).expect("an event");
        let mut text = String::new();
        write_event(&event, &mut text);
        assert_eq!(both(text.as_bytes()), Ok((event, 0)), "{record}\n{text}");
        assert!(!text.contains('\n'));
    }
    let record = queued(r#","customer_id":"a\"b\\c\nd\u0001é中😀","note":{"x":[true,1.5,"\u4e2d"]}"#);
    let (event, unknown) = both(record.as_bytes()).expect("an event");
    assert_eq!(unknown, 1);
    assert_eq!(event.customer_id.as_deref(), Some("a\"b\\c\nd\u{1}é中😀"));
    let mut text = String::new();
    write_event(&event, &mut text);
    assert_eq!(both(text.as_bytes()), Ok((event, 0)), "what was unknown is an attribute now");
}

#[test]
fn unknown_fields_are_kept_and_counted() {
    let record = queued(
        r#","attributes":{"a":1},"ring_group":"x","nested":{"y":[1,{"z":null}]},"list":[],"big":12345678901234567890"#,
    );
    let (event, unknown) = both(record.as_bytes()).expect("an event");
    assert_eq!(unknown, 4);
    let kept = event.attributes.expect("attributes");
    let kept: serde_json::Value = serde_json::from_str(&kept).expect("one JSON object");
    let expected = serde_json::json!({"a": 1, "ring_group": "x", "nested": {"y": [1, {"z": null}]}, "list": [], "big": 12_345_678_901_234_567_890_u64});
    assert_eq!(kept, expected);
    // Whatever stood first.
    let record = r#"{"zz":1,"attributes":{"a":2},"id":"a","type":"contact.held","time":0,"contact_id":"c"}"#;
    let (event, unknown) = both(record.as_bytes()).expect("an event");
    assert_eq!((event.attributes.as_deref(), unknown), (Some(r#"{"zz":1,"a":2}"#), 1));
}

#[test]
fn every_reason_has_its_records() {
    use RejectReason::*;
    let long = "x".repeat(129);
    let cases: &[(RejectReason, &[&str])] = &[
        (
            NotJson,
            &[
                "",
                " ",
                "\t\r\n",
                "{",
                "}",
                "nul",
                "{\"id\":}",
                "{'id':1}",
                "[1,2",
                "{\"a\":1,}",
                "{} x",
                "{}{}",
                "\u{feff}{}",
                "{\"id\":\"a\" \"type\":1}",
                "{\"a\":01}",
                "{\"a\":1.}",
                "{\"a\":.5}",
                "{\"a\":+1}",
                "{\"a\":NaN}",
                "{\"a\":Infinity}",
                "{\"a\":\"\\x\"}",
                "{\"a\":\"\\u12\"}",
                "{\"a\":\"\u{1}\"}",
                "{\"a\":tru}",
                "{\"a\" 1}",
                "{1:2}",
                "\u{0}",
                "{\"a\":1}\u{0}",
                "// x\n{}",
                "\"",
                "-",
            ],
        ),
        (NotObject, &["null", "true", "1", "-0", "1.5", "\"text\"", "[]", "[{\"id\":\"a\"}]", " 7 "]),
        (
            MissingField,
            &[
                "{}",
                r#"{"id":"a","time":1,"contact_id":"c"}"#,
                r#"{"type":null,"id":"a","time":1,"contact_id":"c"}"#,
                r#"{"type":"contact.held","time":1,"contact_id":"c"}"#,
                r#"{"type":"contact.held","id":"a","contact_id":"c"}"#,
                r#"{"type":"contact.held","id":"a","time":1}"#,
                r#"{"type":"contact.held","id":"a","time":1,"contact_id":""}"#,
                r#"{"type":"contact.queued","id":"a","time":1,"contact_id":"c"}"#,
                r#"{"type":"contact.answered","id":"a","time":1,"contact_id":"c"}"#,
                r#"{"type":"contact.left_queue","id":"a","time":1,"contact_id":"c"}"#,
                r#"{"type":"message","id":"a","time":1,"contact_id":"c","from":"agent"}"#,
                r#"{"type":"agent.state","id":"a","time":1,"agent_id":"li"}"#,
                r#"{"type":"complaint.opened","id":"a","time":1,"contact_id":"c"}"#,
                r#"{"type":"shift.planned","id":"a","time":1,"shift_id":"s","agent_id":"li","start":1}"#,
            ],
        ),
        (
            BadField,
            &[
                r#"{"type":"contact.held","id":7,"time":1,"contact_id":"c"}"#,
                r#"{"type":"contact.held","id":"","time":1,"contact_id":"c"}"#,
                r#"{"type":7,"id":"a","time":1,"contact_id":"c"}"#,
                r#"{"type":"contact.held","id":"a","time":1,"contact_id":["c"]}"#,
                r#"{"type":"contact.held","id":"a","time":1,"contact_id":"c","channel":"pigeon"}"#,
                r#"{"type":"contact.held","id":"a","time":1,"contact_id":"c","attributes":[1]}"#,
                r#"{"type":"contact.left_queue","id":"a","time":1,"contact_id":"c","reason":"bored"}"#,
                r#"{"type":"contact.bot_ended","id":"a","time":1,"contact_id":"c","outcome":"bored"}"#,
                r#"{"type":"survey","id":"a","time":1,"contact_id":"c","csat":6}"#,
                r#"{"type":"survey","id":"a","time":1,"contact_id":"c","csat":4.5}"#,
                r#"{"type":"survey","id":"a","time":1,"contact_id":"c","csat":"5"}"#,
                r#"{"type":"survey","id":"a","time":1,"contact_id":"c","nps":-1}"#,
                r#"{"type":"survey","id":"a","time":1,"contact_id":"c","nps":99999999999999999999999}"#,
                r#"{"type":"contact.wrapped","id":"a","time":1,"contact_id":"c","resolved":"yes"}"#,
                r#"{"type":"contact.answered","id":"a","time":1,"contact_id":"c","agent_id":"li","dial_ms":-1}"#,
                r#"{"type":"shift.planned","id":"a","time":1,"shift_id":"s","agent_id":"li","start":1,"end":2,"queues":"sales"}"#,
                r#"{"type":"shift.planned","id":"a","time":1,"shift_id":"s","agent_id":"li","start":1,"end":2,"queues":[1]}"#,
            ],
        ),
        (UnknownType, &[r#"{"type":"contact.sung","id":"a","time":1,"contact_id":"c"}"#, r#"{"type":""}"#]),
        (
            BadTime,
            &[
                r#"{"type":"contact.held","id":"a","time":"2026-11-21T09:00:00","contact_id":"c"}"#,
                r#"{"type":"contact.held","id":"a","time":"yesterday","contact_id":"c"}"#,
                r#"{"type":"contact.held","id":"a","time":-1,"contact_id":"c"}"#,
                r#"{"type":"contact.held","id":"a","time":1.5,"contact_id":"c"}"#,
                r#"{"type":"contact.held","id":"a","time":1e300,"contact_id":"c"}"#,
                r#"{"type":"contact.held","id":"a","time":99999999999999999999,"contact_id":"c"}"#,
                r#"{"type":"contact.held","id":"a","time":true,"contact_id":"c"}"#,
                r#"{"type":"contact.held","id":"a","time":{},"contact_id":"c"}"#,
                r#"{"type":"promise.made","id":"a","time":1,"promise_id":"p","due":"soon"}"#,
            ],
        ),
    ];
    for (reason, records) in cases {
        for record in *records {
            assert_eq!(both(record.as_bytes()).err(), Some(*reason), "{record:?}");
        }
    }
    let record = format!(r#"{{"type":"contact.held","id":"{long}","time":1,"contact_id":"c"}}"#);
    assert_eq!(rejected(record.as_bytes()), BadField);
    for bytes in
        [&b"\xff"[..], b"{\"id\":\"\xc3\"}", b"{\"id\":\"\xed\xa0\x80\"}", b"\xfe\xff\x00{\x00}", b"{}\x80"]
    {
        assert_eq!(rejected(bytes), NotUtf8, "{bytes:?}");
    }
}

#[test]
fn a_future_time_is_one_a_day_ahead_of_kafka() {
    let record = queued("");
    for parser in [Parser::Plain, Parser::SerdeJson] {
        let at = |timestamp| read(parser, record.as_bytes(), timestamp).err();
        let time = 1_795_222_800_000;
        assert_eq!(at(Some(time - AHEAD_MAX)), None);
        assert_eq!(at(Some(time - AHEAD_MAX - 1)), Some(RejectReason::FutureTime));
        assert_eq!(at(None), None, "never for files");
        assert_eq!(at(Some(i64::MAX)), None);
    }
}

#[test]
fn the_limit_of_size_is_one_mebibyte() {
    let sized = |bytes: usize| {
        let empty = queued(r#","note":"""#).len();
        queued(&format!(r#","note":"{}""#, "n".repeat(bytes - empty))).into_bytes()
    };
    assert!(both(&sized(RECORD_BYTES_MAX - 1)).is_ok());
    assert_eq!(sized(RECORD_BYTES_MAX).len(), RECORD_BYTES_MAX);
    assert!(both(&sized(RECORD_BYTES_MAX)).is_ok());
    assert_eq!(rejected(&sized(RECORD_BYTES_MAX + 1)), RejectReason::TooLarge);
}

#[test]
fn escapes_are_read_alike() {
    for (escaped, text) in [
        (r"\u4e2d\u6587", Some("中文")),
        (r"\ud83d\ude00", Some("😀")),
        (r"\uD83D\uDE00", Some("😀")),
        (r#"\"\\\/\b\f\n\r\t"#, Some("\"\\/\u{8}\u{c}\n\r\t")),
        (r"\u0000", Some("\u{0}")),
        (r"\ufeff", Some("\u{feff}")),
        (r"\uffff", Some("\u{ffff}")),
        (r"\ud83d", None),
        (r"\ude00", None),
        (r"\ud83d\ud83d", None),
        (r"\ud83dx", None),
        (r"\ud83d\n", None),
        (r"\ude00\ud83d", None),
        (r"\u00g0", None),
        (r"\u", None),
    ] {
        for (record, of) in [
            (queued(&format!(r#","customer_id":"{escaped}""#)), 0),
            (queued(&format!(r#","note":"{escaped}""#)), 1),
            (queued(&format!(r#","attributes":{{"{escaped}":1}}"#)), 2),
            (queued(&format!(r#","{escaped}x":[1]"#)), 3),
            (queued(&format!(r#","note":{{"a":["{escaped}"]}}"#)), 4),
        ] {
            match (both(record.as_bytes()), text) {
                (Ok((event, _)), Some(text)) => {
                    if of == 0 {
                        assert_eq!(event.customer_id.as_deref(), Some(text));
                    } else {
                        let kept: serde_json::Value =
                            serde_json::from_str(event.attributes.as_deref().expect("kept")).expect("JSON");
                        let as_json = serde_json::to_string(text).expect("a text");
                        assert!(kept.to_string().contains(as_json.trim_matches('"')), "{record}: {kept}");
                    }
                }
                (Err(reason), None) => assert_eq!(reason, RejectReason::NotJson, "{record}"),
                (read, _) => panic!("{record}: {read:?}"),
            }
        }
    }
    // Names of fields may be escaped too.
    let record = r#"{"\u0069d":"a","t\u0079pe":"contact.held","time":1,"contact_id":"c"}"#;
    assert_eq!(both(record.as_bytes()).map(|(event, unknown)| (event.kind, unknown)), Ok((Kind::Held, 0)));
}

#[test]
fn of_a_repeated_name_the_last_value_counts() {
    let (event, _) = both(queued(r#","queue":"billing","id":"b","time":5"#).as_bytes()).expect("an event");
    assert_eq!((event.queue.as_deref(), &*event.id, event.time), (Some("billing"), "b", 5));
    let (event, unknown) =
        both(queued(r#","x":1,"x":2,"attributes":{"x":3},"attributes":{"y":4}"#).as_bytes())
            .expect("an event");
    assert_eq!(unknown, 2);
    assert_eq!(event.attributes.as_deref(), Some(r#"{"x":1,"x":2,"x":3,"y":4}"#));
}

#[test]
fn nesting_is_kept_to_64_levels_and_never_overflows() {
    let lists = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    let objects = |levels: usize| format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels));
    for (levels, kept) in [
        (1, true),
        (10, true),
        (63, true),
        (65, false),
        (127, false),
        (128, false),
        (200, false),
        (100_000, false),
    ] {
        for nested in [lists(levels), objects(levels)] {
            for record in [
                queued(&format!(r#","note":{nested}"#)),
                queued(&format!(r#","attributes":{{"deep":{nested}}}"#)),
                queued(&format!(r#","agent_id":{nested}"#)),
                queued(&format!(r#","queues":{nested}"#)),
                nested.clone(),
                format!("{nested} x"),
                nested[..nested.len() - 1].to_owned(),
            ] {
                let read = both(record.as_bytes());
                if levels > 65 {
                    assert!(read.is_err(), "{levels} levels: {read:?}");
                }
                if record.contains("note") && levels <= 63 {
                    assert_eq!(read.is_ok(), kept, "{levels} levels: {read:?}");
                }
            }
        }
    }
}

#[test]
fn numbers_at_their_edges_are_read_alike() {
    for number in [
        "0",
        "-0",
        "-0.0",
        "0e0",
        "1E5",
        "1e-5",
        "9007199254740993",
        "9223372036854775807",
        "9223372036854775808",
        "-9223372036854775808",
        "-9223372036854775809",
        "18446744073709551615",
        "18446744073709551616",
        "1e308",
        "1e309",
        "-1e309",
        "1e400",
        "1e-400",
        "123456789012345678901234567890",
        "0.5",
        "1.7976931348623157e308",
        "5e-324",
        "00",
        "-",
        "--1",
        "1e",
        "1e+",
        "0x10",
        "1_000",
        "4.0",
        "4.5",
        "4e0",
        "40e-1",
        "1795222800000",
        "1795222800000.0",
        "1.7952228e12",
    ] {
        let _ = both(queued(&format!(r#","note":{number}"#)).as_bytes());
        let _ = both(queued(&format!(r#","note":[{number},{{"a":{number}}}]"#)).as_bytes());
        let _ = both(queued(&format!(r#","time":{number}"#)).as_bytes());
        let _ = both(queued(&format!(r#","severity":{number}"#)).as_bytes());
        let _ = both(queued(&format!(r#","agent_id":{number}"#)).as_bytes());
        let _ = both(queued(&format!(r#","queues":[{number}]"#)).as_bytes());
    }
    // serde_json may round the 17th digit of a fraction otherwise, as its documentation says.
    for number in ["2.2250738585072011e-308", "0.1234567890123456789012345678901234567890", "8.41e21"] {
        let record = queued(&format!(r#","note":{number}"#));
        let kept = both(record.as_bytes()).expect("an event").0.attributes.expect("kept");
        let digits = kept.trim_start_matches(r#"{"note":"#).trim_end_matches('}');
        let right: f64 = number.parse().expect("a number");
        assert!((digits.parse::<f64>().expect("a number") / right - 1.0).abs() < 1e-15, "{number}");
    }
    let survey = |csat: &str| {
        format!(r#"{{"type":"survey","id":"a","time":1,"contact_id":"c","csat":{csat}}}"#).into_bytes()
    };
    for (text, csat) in [("4", Ok(4)), ("4.0", Ok(4)), ("4e0", Ok(4)), ("4.5", Err(RejectReason::BadField))] {
        assert_eq!(both(&survey(text)).map(|(event, _)| event.csat.unwrap_or(0)), csat);
    }
}

#[test]
fn spaces_are_where_json_allows_them() {
    let record = queued("").replace(',', "\n\t ,\r ").replace(':', " : ");
    assert!(both(format!(" \n{record}\t\r\n ").as_bytes()).is_ok());
    for space in ["\u{a0}", "\u{c}", "\u{b}", "\u{3000}", "\u{feff}", "\u{0}"] {
        for record in [format!("{space}{}", queued("")), format!("{}{space}", queued(""))] {
            assert_eq!(rejected(record.as_bytes()), RejectReason::NotJson, "{space:?}");
        }
    }
}

/// splitmix64.
fn dice(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[test]
fn twenty_thousand_damaged_records_are_read_alike() {
    /// Pieces that parsers have stumbled over.
    const PIECES: &[&[u8]] = &[
        b"\"",
        b"\\",
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b"null",
        b"true",
        b"-",
        b".",
        b"1e999",
        b"\\u",
        b"\\ud800",
        b"\0",
        b"\xff",
        b"\xf0\x9f\x98\x80",
        b"\"id\":",
        b"\"time\":1,",
        b" ",
        b"\n",
        b"9999999999999999999",
        b"NaN",
    ];
    let records: Vec<String> = every_type().collect();
    let (mut accepted, mut reasons) = (0, std::collections::BTreeSet::new());
    for seed in 0..20_000u64 {
        let state = &mut seed.wrapping_mul(0x1234_5678_9abc_def1);
        let mut below = |n: usize| (dice(state) % n as u64) as usize;
        let mut record = records[below(records.len())].clone().into_bytes();
        for _ in 0..=below(3) {
            let at = below(record.len().max(1));
            match below(6) {
                0 => record.truncate(at),
                1 => drop(record.splice(at..at, PIECES[below(PIECES.len())].iter().copied())),
                2 if !record.is_empty() => record[at] = (below(256)) as u8,
                3 if !record.is_empty() => drop(record.remove(at)),
                4 if !record.is_empty() => {
                    let to = (at + below(20)).min(record.len());
                    let piece = record[at..to].to_vec();
                    let into = below(record.len());
                    record.splice(into..into, piece);
                }
                5 if !record.is_empty() => {
                    let to = (at + 1).min(record.len());
                    record.splice(at..to, PIECES[below(PIECES.len())].iter().copied());
                }
                _ => {}
            }
        }
        match both(&record) {
            Ok((event, _)) => {
                accepted += 1;
                let mut text = String::new();
                write_event(&event, &mut text);
                assert_eq!(both(text.as_bytes()).map(|(again, _)| again), Ok(event), "seed {seed}: {text}");
            }
            Err(reason) => drop(reasons.insert(reason.as_str())),
        }
    }
    // The damage is neither harmless nor total.
    assert!((1_000..19_000).contains(&accepted), "{accepted} accepted");
    for reason in ["not_json", "not_utf8", "missing_field", "bad_field", "unknown_type", "bad_time"] {
        assert!(reasons.contains(reason), "{reason} is not among {reasons:?}");
    }
}
