//! Forecasts, rosters and the manager's questions, with the real binary on a simulated centre.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use callpulse::calendar::read_date;
use callpulse::time::{HOUR, format_time, parse_time};

use crate::harness::callpulse;

/// Some days of a small centre in a lake, with a forecast made in their middle and one at their end. Kept for all tests of
/// this file.
fn lake() -> &'static Path {
    static LAKE: OnceLock<tempfile::TempDir> = OnceLock::new();
    let dir = LAKE.get_or_init(|| {
        let dir = tempfile::tempdir().expect("a directory for the test");
        let events = dir.path().join("events.jsonl");
        let simulate = ["simulate", "--rate", "0.25", "--contacts", "1500", "--seed", "5", "--out"];
        callpulse(simulate.iter().map(PathBuf::from).chain([events.clone()])).ok();
        let text = std::fs::read_to_string(&events).expect("the events were written");
        let middle = text.lines().take(text.lines().count() * 2 / 3).map(|line| line.len() + 1).sum();
        let lake = dir.path().join("lake");
        for (name, part) in [("1.jsonl", &text[..middle]), ("2.jsonl", &text[middle..])] {
            let part_file = dir.path().join(name);
            std::fs::write(&part_file, part).expect("a part is written");
            callpulse([Path::new("replay"), "--data-dir".as_ref(), &lake, &part_file]).ok();
            let forecast: [&Path; 4] =
                ["forecast".as_ref(), "--horizon=3d".as_ref(), "--data-dir".as_ref(), &lake];
            callpulse(forecast).ok();
        }
        dir
    });
    dir.path()
}

fn ask(sql: &str) -> Vec<serde_json::Value> {
    let lake = lake().join("lake");
    let arguments: [&Path; 6] =
        ["sql".as_ref(), "--data-dir".as_ref(), &lake, "--format".as_ref(), "json".as_ref(), sql.as_ref()];
    let out = callpulse(arguments).ok();
    serde_json::from_str(&out).unwrap_or_else(|error| panic!("{sql}: {error}: {out}"))
}

#[test]
fn every_question_of_a_manager_has_an_answer() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/manager-questions.md");
    let page = std::fs::read_to_string(page).expect("the page can be read");
    let questions: Vec<(&str, &str)> = page
        .split("\n### ")
        .skip(1)
        .map(|part| {
            let (title, rest) = part.split_once('\n').expect("a title has a line");
            let sql = rest.split("```sql\n").nth(1).and_then(|sql| sql.split("```").next());
            (title, sql.unwrap_or_else(|| panic!("{title}: no statement")))
        })
        .collect();
    assert_eq!(questions.len(), 20);
    let silent: Vec<&str> =
        questions.iter().filter(|(_, sql)| ask(sql).is_empty()).map(|(title, _)| *title).collect();
    assert!(silent.is_empty(), "no row: {silent:?}");
}

#[test]
fn a_version_is_kept_and_needs_what_erlang_says() {
    let versions =
        ask("SELECT made_at, COUNT(*) AS n, COUNT(DISTINCT queue) AS queues FROM forecasts GROUP BY made_at");
    assert_eq!(versions.len(), 2, "{versions:?}");
    assert!(versions[0]["queues"].as_i64() > Some(1), "{versions:?}");
    let wrong = ask("SELECT queue, contacts, aht_seconds, agents_on_seat FROM forecasts \
         WHERE target_wait_seconds IS NOT NULL AND contacts > 0 AND agents_on_seat <> CAST(ceil(CAST(GREATEST( \
           erlang_c_agents(contacts, aht_seconds, slot_ms / 1000.0, target_wait_seconds, service_level_target), \
           CAST(ceil(load_erlangs / occupancy_cap - 0.000000001) AS BIGINT)) AS DOUBLE) / places) AS BIGINT)");
    assert_eq!(wrong, Vec::<serde_json::Value>::new());
    // Each day's slots are there once.
    let twice =
        ask("SELECT slot_start, queue, channel FROM forecasts GROUP BY 1, 2, 3, made_at HAVING COUNT(*) > 1");
    assert_eq!(twice, Vec::<serde_json::Value>::new());
}

#[test]
fn another_roster_closes_a_gap() {
    let worst = &ask("SELECT * FROM ( \
           SELECT slot_start, queue, channel, gap, contacts, fails, \
             SUM(agents_required) OVER (PARTITION BY slot_start, queue) AS needed FROM staff_slot \
         ) AS slots WHERE slot_start >= local_clock(now(), 1, 0) AND contacts > 1 AND fails \
         ORDER BY gap, slot_start, queue LIMIT 1")[0];
    let (slot, queue) =
        (worst["slot_start"].as_str().expect("a time"), worst["queue"].as_str().expect("a queue"));
    assert!(worst["gap"].as_f64() < Some(0.0), "{worst}");
    // The file replaces the roster as a whole, so that it must hold everybody whom the queue needs.
    let needed = worst["needed"].as_i64().expect("a number");
    let mut csv = String::from("agent_id,start,end,queues,preferred\n");
    for at in 0..needed {
        let end = format_time(parse_time(slot).expect("a time") + HOUR);
        csv.push_str(&format!("new{at},{slot},{end},{queue},true\n"));
    }
    let file = lake().join("roster.csv");
    std::fs::write(&file, csv).expect("the roster is written");
    let lake = lake().join("lake");
    let arguments: [&Path; 8] = [
        "forecast".as_ref(),
        "--data-dir".as_ref(),
        &lake,
        "--roster".as_ref(),
        &file,
        "--format".as_ref(),
        "json".as_ref(),
        "--horizon=2d".as_ref(),
    ];
    let ran = callpulse(arguments);
    assert!(ran.err.contains("before") && ran.err.contains("after"), "{}", ran.err);
    let rows: Vec<serde_json::Value> = serde_json::from_str(&ran.ok()).expect("rows");
    let row = rows
        .iter()
        .find(|row| {
            row["slot_start"] == worst["slot_start"]
                && row["queue"] == worst["queue"]
                && row["channel"] == worst["channel"]
        })
        .expect("the slot is there");
    assert!(row["gap_after"].as_f64() > Some(-1e-9), "{row}");
    assert!(row["agents_staffed_after"].as_f64() >= row["agents_required"].as_f64(), "{row}");
    // Nothing was kept.
    assert_eq!(ask("SELECT COUNT(DISTINCT made_at) AS n FROM forecasts")[0]["n"], 2);
}

#[test]
fn a_series_is_back_tested_without_a_lake() {
    let file = lake().join("series.csv");
    let mut csv = String::from("date,calls\n");
    for day in 0..120_u32 {
        let (month, date) = (day / 28 + 1, day % 28 + 1);
        csv.push_str(&format!("2026-{month:02}-{date:02},{}\n", 100 + (day % 7) * 10 + (day * 37) % 11));
    }
    std::fs::write(&file, csv).expect("the series is written");
    let pairs = lake().join("pairs.csv");
    let arguments: [&Path; 8] = [
        "forecast".as_ref(),
        "--backtest".as_ref(),
        "--history".as_ref(),
        &file,
        "--pairs".as_ref(),
        &pairs,
        "--set".as_ref(),
        "forecast.calendar=none".as_ref(),
    ];
    let out = callpulse(arguments).ok();
    let pairs = std::fs::read_to_string(pairs).expect("the pairs are written");
    for name in ["hand", "seasonal_naive", "ets", "mstl", "chosen"] {
        let line = out.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name}\n{out}"));
        // The table's last column but one, over all horizons, is the sum of the pairs.
        let (mut absolute, mut actual, mut n) = (0.0, 0.0, 0_u32);
        for row in pairs.lines().skip(1) {
            let fields: Vec<&str> = row.split(',').collect();
            let number = |at: usize| fields[at].parse::<f64>().unwrap_or_else(|_| panic!("{row}"));
            if fields[6] == name {
                absolute += (number(7) - number(8)).abs();
                actual += number(8);
                n += 1;
                // An origin is the first day that was not known.
                let day = |at: usize| read_date(fields[at]).unwrap_or_else(|| panic!("{row}"));
                assert_eq!(day(3) - day(2) + 1, number(4) as i32, "{row}");
            }
        }
        let cell = format!("{:.2} %", 100.0 * absolute / actual);
        assert!(line.contains(&cell) && line.ends_with(&n.to_string()), "{cell} {n}\n{line}");
    }
    let wrong = lake().join("wrong.csv");
    std::fs::write(&wrong, "date,calls\n2026-11-22,many\n").expect("the file is written");
    let arguments: [&Path; 4] = ["forecast".as_ref(), "--backtest".as_ref(), "--history".as_ref(), &wrong];
    let ran = callpulse(arguments);
    assert_eq!(ran.code, 78, "{}", ran.err);
    assert!(ran.err.contains("`many` is no count") && ran.err.contains(":2"), "{}", ran.err);
}
