//! The command line on files: exit codes, replay, SQL.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use crate::harness::{Place, Running, as_books, callpulse, offered_only};

/// Every column of a table in the order of its key.
const TABLES: [&str; 4] = [
    "select * from kpi_slot order by slot_start, channel, queue",
    "select * from legs order by contact_id, leg",
    "select * from handlings order by contact_id, handling",
    "select * from contacts order by contact_id",
];

fn dice(state: &mut u64) -> usize {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) as usize
}

#[test]
fn exit_codes_say_who_acts_next() {
    let place = Place::new();
    let faulty = place.write(
        "faulty.toml",
        "timezone = \"Asia/Shanghia\"\nslot_minutes = 30\n\n[kafka]\nbroker = \"x:9092\"\n\n[[queue]]\nname = \"a\"\ntarget_wait_secs = -1\n",
    );
    let faulty = faulty.to_string_lossy().into_owned();
    let nowhere = place.path("nowhere.jsonl").to_string_lossy().into_owned();
    let lake = place.path("lake").to_string_lossy().into_owned();
    let cases: &[(i32, &[&str])] = &[
        (0, &["--version"]),
        (0, &["help"]),
        (0, &["check"]),
        (0, &["catalog"]),
        (0, &["completions", "bash"]),
        (64, &[]),
        (64, &["frobnicate"]),
        (64, &["replay"]),
        (64, &["sql", "select 1", "--format", "xml"]),
        (64, &["replay", "--format", "morse", &nowhere]),
        (65, &["sql", "selec 1", "--data-dir", &lake]),
        (65, &["sql", "select * from nothing", "--data-dir", &lake]),
        (65, &["sql", "select nothing from legs", "--data-dir", &lake]),
        (66, &["replay", &nowhere, "--data-dir", &lake]),
        (69, &["sql", "select 1", "--url", "http://127.0.0.1:9"]),
        (78, &["check", "-c", &faulty]),
        (78, &["check", "-c", &nowhere]),
        (78, &["check", "--set", "slot_minutes=17"]),
        (78, &["check", "--set", "slot_minuets=30"]),
    ];
    for (code, arguments) in cases {
        let ran = callpulse(*arguments);
        assert_eq!(ran.code, *code, "{arguments:?}\n{}", ran.err);
        if *code == 0 {
            continue;
        }
        assert!(ran.out.is_empty(), "{arguments:?}: data on stdout only: {}", ran.out);
        assert!(ran.err.starts_with("error: "), "{arguments:?}: {}", ran.err);
        assert!(!ran.err.contains("panicked"), "{arguments:?}: {}", ran.err);
    }
    let faults = callpulse(["check", "-c", &faulty]).err;
    for (line, what) in [(1, "Asia/Shanghia"), (5, "broker"), (9, "-1")] {
        let named = faults.lines().any(|text| {
            text.contains(what) && text.contains("faulty.toml") && text.contains(&format!("line {line}"))
        });
        assert!(named, "line {line}, `{what}`:\n{faults}");
    }
    assert!(faults.contains("hint: "), "{faults}");
}

#[test]
fn a_directory_that_is_absent_is_an_empty_lake() {
    let place = Place::new();
    assert_eq!(place.number("absent", "select count(*) from legs"), 0);
    assert_eq!(place.number("absent", "select count(*) from kpi_slot"), 0);
    assert!(!place.path("absent").exists(), "asking makes nothing");
}

#[test]
fn a_replay_agrees_with_the_centres_own_books() {
    let place = Place::new();
    let (events, books) = place.simulated(400, 11);
    place.replay("lake", &[&events]).ok();
    assert_eq!(place.sql("lake", &as_books()).ok(), offered_only(&books));
    assert_eq!(place.number("lake", "select sum(abs(ledger_gap)) from kpi_slot"), 0);
    let lines = std::fs::read_to_string(&events).expect("the events").lines().count() as i64;
    assert_eq!(place.number("lake", "select count(*) from events"), lines);
    assert_eq!(place.number("lake", "select count(*) from rejects"), 0);

    // Told again into the same lake, nothing changes.
    let before = TABLES.map(|sql| place.sql("lake", sql).ok());
    place.replay("lake", &[&events]).ok();
    for (sql, before) in TABLES.iter().zip(before) {
        assert_eq!(place.sql("lake", sql).ok(), before, "{sql}");
    }
    assert_eq!(place.number("lake", "select count(*) from events"), lines);
}

#[test]
fn any_order_repetition_and_compression_give_the_same_bytes() {
    let place = Place::new();
    let (events, _) = place.simulated(250, 12);
    let text = std::fs::read_to_string(&events).expect("the events");
    place.replay("plain", &[&events]).ok();

    let state = &mut 7;
    let mut lines: Vec<&str> = text.lines().collect();
    for at in 0..lines.len() / 3 {
        lines.push(lines[at * 2]);
    }
    for at in (1..lines.len()).rev() {
        lines.swap(at, dice(state) % (at + 1));
    }
    let scrambled = place.write("scrambled.jsonl", lines.join("\n"));
    place.replay("scrambled", &[&scrambled]).ok();

    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(text.as_bytes()).expect("memory can be written");
    let gz = place.write("events.jsonl.gz", gz.finish().expect("memory can be written"));
    place.replay("gz", &[&gz]).ok();
    let zst = zstd::encode_all(text.as_bytes(), 1).expect("memory can be written");
    let zst = place.write("events.jsonl.zst", zst);
    place.replay("zst", &[&zst]).ok();

    for sql in TABLES {
        let plain = place.sql("plain", sql).ok();
        assert!(plain.lines().count() > 10, "{sql}: {plain}");
        for lake in ["scrambled", "gz", "zst"] {
            assert_eq!(place.sql(lake, sql).ok(), plain, "{lake}: {sql}");
        }
    }
}

#[test]
fn records_that_cannot_be_used_are_kept_with_line_and_reason() {
    let place = Place::new();
    let event = |id: &str, kind: &str, time: &str, contact: &str, more: &str| {
        format!(
            r#"{{"id":"{id}","type":"{kind}","time":"2026-11-20T{time}+08:00","contact_id":"{contact}"{more}}}"#
        )
    };
    let mut file: Vec<u8> = Vec::new();
    let mut wanted = String::from("line,reason\n");
    let mut number = 0;
    let mut line = |bytes: &[u8], reason: Option<&str>| {
        number += 1;
        file.extend_from_slice(bytes);
        file.push(b'\n');
        if let Some(reason) = reason {
            wanted.push_str(&format!("{number},{reason}\n"));
        }
    };
    line(event("a", "contact.queued", "09:00:00", "c1", r#","queue":"sales""#).as_bytes(), None);
    line(b"{\"id\":\"\xff\"}", Some("not_utf8"));
    line(b"{\"id\":", Some("not_json"));
    line(b"[1,2]", Some("not_object"));
    line(
        event("big", "contact.held", "09:00:00", "c1", &format!(r#","note":"{}""#, "n".repeat(1 << 20)))
            .as_bytes(),
        Some("too_large"),
    );
    line(event("b", "contact.queued", "09:00:00", "c1", "").as_bytes(), Some("missing_field"));
    line(b"", None);
    line(event("c", "survey", "09:00:00", "c1", r#","csat":9"#).as_bytes(), Some("bad_field"));
    line(event("d", "contact.sung", "09:00:00", "c1", "").as_bytes(), Some("unknown_type"));
    line(event("e", "contact.held", "25:00:00", "c1", "").as_bytes(), Some("bad_time"));
    line(event("f", "contact.ended", "09:00:30", "c1", "").as_bytes(), None);
    // Ten minutes of lateness and an hour of correlation later, the contact cannot be restated.
    line(event("g", "contact.started", "10:10:30", "c2", "").as_bytes(), None);
    line(event("h", "contact.held", "09:00:20", "c1", "").as_bytes(), Some("too_late"));
    // Files have no time of writing, so nothing in them is in the future.
    line(
        event("i", "contact.started", "09:00:00", "c3", "").replace("2026-11-20", "2999-01-01").as_bytes(),
        None,
    );
    let path = place.write("mixed.jsonl", &file);
    let ran = place.replay("lake", &[&path]);
    assert_eq!(ran.code, 0, "rejected records never change the exit code: {}", ran.err);
    let rejects = place.sql("lake", r#"select "offset" as line, reason from rejects order by 1"#).ok();
    assert_eq!(rejects, wanted);
    let topic = place.sql("lake", "select distinct topic from rejects").ok();
    assert_eq!(topic.lines().nth(1), Some(path.to_string_lossy().as_ref()));
    assert_eq!(place.number("lake", "select count(*) from events"), 4);
}

#[test]
fn sql_asks_while_a_replay_writes() {
    let place = Place::new();
    let (events, _) = place.simulated(1_500, 13);
    let lake = place.path("lake");
    let all: Vec<&Path> = vec![
        Path::new("replay"),
        &events,
        Path::new("--data-dir"),
        &lake,
        Path::new("--set"),
        Path::new("lake.commit_rows=2000"),
    ];
    let mut replay = Running::start(all.iter().map(|path| path.as_os_str()));
    let (mut asked, mut before) = (0, 0);
    while replay.is_running() {
        let legs = place.number("lake", "select count(*) from legs");
        assert!(legs >= before, "{legs} legs after {before}");
        before = legs;
        asked += 1;
    }
    let (code, err) = replay.end(Duration::from_secs(1));
    assert_eq!(code, 0, "{err}");
    assert!(asked > 0);
    let offered = place.number("lake", "select sum(offered) from kpi_slot");
    assert_eq!(place.number("lake", "select count(*) from legs"), offered);
    assert!(offered >= before && offered > 500, "{offered}");
}
