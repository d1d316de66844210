//! Stories of small centres, asked in SQL; every expected figure is worked out by hand.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use async_trait::async_trait;
use datafusion::catalog::TableProvider;
use datafusion::datasource::MemTable;
use futures::TryStreamExt;
use serde_json::{Value, json};

use super::output::{Format, encode};
use super::*;
use crate::calendar::{CALL_BACKS, Calendar};
use crate::facts::*;
use crate::kpi::Sum;
use crate::time::{MINUTE, SECOND, format_time, parse_time};

fn at(text: &str) -> Millis {
    parse_time(text).expect("a time of the test")
}

/// Rows that are committed, and rows in memory.
struct Rows(Cut);

#[async_trait]
impl Source for Rows {
    /// Of tables that are not wanted nothing is told, so that every story shows that the right ones are.
    async fn cut(&self, wanted: TableSet) -> Result<Cut, Error> {
        let mut cut = self.0.clone();
        cut.memory.retain(|(table, _)| wanted.has(table));
        Ok(cut)
    }
}

fn grid(zone: &str) -> Grid {
    Grid::new(zone.parse().expect("a zone of the test"), 30).expect("a grid of the test")
}

/// A cut of committed and memory rows.
fn cut(mut committed: Facts, memory: Facts, now: &str) -> Cut {
    let mut by_table: HashMap<&'static str, Vec<RecordBatch>> = HashMap::new();
    for (table, batch) in committed.finish() {
        by_table.entry(table.name).or_default().push(batch);
    }
    let committed = by_table.into_iter().map(|(name, batches)| {
        let schema = batches[0].schema();
        let table = MemTable::try_new(schema, vec![batches]).expect("batches of one schema");
        (name, Arc::new(table) as Arc<dyn TableProvider>)
    });
    Cut {
        committed: committed.collect(),
        memory: memory.peek(TableSet::ALL),
        now: at(now),
        history: None,
        missing: Vec::new(),
    }
}

fn engine_with(options: Options, cut: Cut) -> Engine {
    Engine::new(options, Arc::new(Rows(cut))).expect("an engine")
}

fn engine(cut: Cut) -> Engine {
    engine_with(Options::new(grid("Asia/Shanghai")), cut)
}

async fn written(engine: &Engine, sql: &str, format: Format) -> Result<Vec<u8>, Error> {
    let parts: Vec<bytes::Bytes> = encode(engine.query(sql).await?, format).try_collect().await?;
    Ok(parts.concat())
}

/// The rows of a statement as JSON; the one function that touches the API.
async fn ask(engine: &Engine, sql: &str) -> Vec<Value> {
    let bytes = written(engine, sql, Format::Json).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    serde_json::from_slice(&bytes).expect("an array")
}

async fn fault(engine: &Engine, sql: &str) -> Error {
    match engine.query(sql).await {
        Err(error) => error,
        Ok(answer) => answer.collect().await.expect_err(sql),
    }
}

const NINE: &str = "2026-11-20T01:00:00Z";

/// A leg queued so many seconds after nine, with an outcome after a wait in seconds.
fn leg<'a>(contact: &'a str, queued: i64, wait: Option<i64>, outcome: Option<&'a str>) -> LegRow<'a> {
    let queued_at = at(NINE) + queued * SECOND;
    let answered = outcome == Some("answered");
    LegRow {
        contact_id: Some(contact),
        leg: Some(1),
        channel: Some("voice"),
        queue: Some("sales"),
        department: Some("shop"),
        queued_at: Some(queued_at),
        answered_at: wait.filter(|_| answered).map(|wait| queued_at + wait * SECOND),
        left_at: outcome.and(wait).map(|wait| queued_at + wait * SECOND),
        wait_ms: outcome.and(wait).map(|wait| wait * SECOND),
        outcome,
        in_time: match outcome {
            Some(_) => Some(answered && wait <= Some(20)),
            // Waiting: within the target nothing is known yet.
            None => (wait > Some(20)).then_some(false),
        },
        target_wait_ms: Some(20 * SECOND),
        slot_start: Some(grid("Asia/Shanghai").slot_start(queued_at)),
        revision: Some(3),
        date: Some(grid("Asia/Shanghai").date(queued_at)),
        ..LegRow::default()
    }
}

/// A handling that starts so many seconds after nine and talks and wraps so long.
fn handling<'a>(
    contact: &'a str,
    agent: &'a str,
    start: i64,
    talk: i64,
    acw: Option<i64>,
) -> HandlingRow<'a> {
    let started_at = at(NINE) + start * SECOND;
    HandlingRow {
        contact_id: Some(contact),
        handling: Some(1),
        channel: Some("voice"),
        queue: Some("sales"),
        department: Some("shop"),
        agent_id: Some(agent),
        started_at: Some(started_at),
        ended_at: Some(started_at + talk * SECOND),
        wrapped_at: acw.map(|acw| started_at + (talk + acw) * SECOND),
        talk_ms: Some(talk * SECOND),
        hold_ms: Some(0),
        acw_ms: acw.map(|acw| acw * SECOND),
        handle_ms: acw.map(|acw| (talk + acw) * SECOND),
        slot_start: Some(grid("Asia/Shanghai").slot_start(started_at)),
        revision: Some(3),
        date: Some(grid("Asia/Shanghai").date(started_at)),
        ..HandlingRow::default()
    }
}

/// Nine to half past nine: three answered (one late), a short abandon, an abandon, a call back, and two who wait.
fn morning() -> Cut {
    let (mut committed, mut memory) = (Facts::default(), Facts::default());
    for row in [
        leg("a", 0, Some(10), Some("answered")),
        leg("b", 60, Some(20), Some("answered")),
        leg("c", 120, Some(50), Some("answered")),
        leg("d", 180, Some(3), Some("abandoned_short")),
        leg("e", 240, Some(40), Some("abandoned")),
    ] {
        committed.legs.push(&row);
    }
    memory.legs.push(&leg("f", 300, Some(15), Some("callback")));
    memory.legs.push(&leg("g", 1_700, Some(100), None));
    memory.legs.push(&leg("h", 1_790, Some(10), None));
    // Two closed in the slot, one wrapped in the next slot, one outbound, one still going on.
    committed.handlings.push(&handling("a", "li", 10, 100, Some(20)));
    committed.handlings.push(&handling("b", "wu", 80, 200, Some(40)));
    committed.handlings.push(&handling("c", "li", 170, 1_600, Some(60)));
    let outbound = HandlingRow { direction: Some("outbound"), ..handling("o", "wu", 400, 300, Some(0)) };
    committed.handlings.push(&outbound);
    memory.handlings.push(&HandlingRow { ended_at: None, ..handling("p", "wu", 1_750, 0, None) });
    cut(committed, memory, "2026-11-20T01:30:00Z")
}

#[tokio::test]
async fn a_slot_adds_up() {
    let engine = engine(morning());
    let rows = ask(&engine, "SELECT * FROM kpi_slot ORDER BY slot_start").await;
    assert_eq!(rows.len(), 2);
    let row = &rows[0];
    let expected = json!({
        "slot_start": "2026-11-20T01:00:00.000Z", "channel": "voice", "queue": "sales", "department": "shop",
        "offered": 8, "answered": 3, "abandoned": 1, "abandoned_short": 1, "overflow": 0, "callback": 1, "exit_key": 0,
        "timeout": 0, "no_agent": 0, "closed": 0, "error": 0, "waiting": 2, "ledger_gap": 0, "answered_in_time": 2,
        "wait_ms_sum": 80_000, "talk_ms_sum": 300_000, "hold_ms_sum": 0, "acw_ms_sum": 60_000,
        // 8 offered, one waits in time, one was short: 6 count.
        "answer_rate": 0.5, "abandon_rate": 1.0 / 6.0, "service_level": 2.0 / 7.0, "asa_seconds": 80.0 / 3.0,
        "handled": 2, "aht_seconds": 180.0, "talk_seconds": 150.0, "hold_seconds": 0.0, "acw_seconds": 30.0,
        // 120 + 240 + 1,660 + 300 s of work from this slot.
        "load_erlangs": 2_320.0 / 1_800.0, "waiting_late": 1, "abandoned_in_time": 1, "callback_in_time": 1,
        "cohort_handle_ms_sum": 2_320_000, "slot_ms": 1_800_000,
    });
    for (name, value) in expected.as_object().expect("an object") {
        assert_eq!(&row[name], value, "{name}");
    }
    for (name, seconds) in
        // Between ranks, as percentile_cont has them: 20 and 50 s are the upper two of three waits.
        [("wait_p50_seconds", 20.0), ("wait_p90_seconds", 44.0), ("wait_p95_seconds", 47.0)]
    {
        let value = row[name].as_f64().expect("a figure");
        assert!((value - seconds).abs() <= seconds * 0.01, "{name} {value}");
    }
    // No leg entered in the second slot: counts are 0 and figures of legs NULL, never 0 % or 100 %.
    let second = &rows[1];
    assert_eq!((&second["handled"], &second["aht_seconds"]), (&json!(1), &json!(1_660.0)));
    for name in ["answer_rate", "abandon_rate", "service_level", "asa_seconds", "wait_p50_seconds"] {
        assert_eq!(second[name], Value::Null, "{name}");
    }
    assert_eq!(second["offered"], 0);
}

#[tokio::test]
async fn columns_stand_in_the_order_of_the_contract() {
    let engine = engine(morning());
    let contract = "slot_start, channel, queue, department, offered, answered, abandoned, abandoned_short, overflow, \
        callback, exit_key, timeout, no_agent, closed, error, waiting, ledger_gap, answered_in_time, wait_ms_sum, \
        talk_ms_sum, hold_ms_sum, acw_ms_sum, answer_rate, abandon_rate, service_level, asa_seconds, wait_p50_seconds, \
        wait_p90_seconds, wait_p95_seconds, handled, aht_seconds, talk_seconds, hold_seconds, acw_seconds, load_erlangs";
    let contract: Vec<&str> = contract.split(", ").collect();
    for view in ["kpi_slot", "kpi_hour", "kpi_day", "kpi_month"] {
        let schema = engine.query(&format!("SELECT * FROM {view}")).await.expect("an answer").schema;
        let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        assert_eq!(&names[..contract.len()], &contract[..], "{view}");
    }
}

#[tokio::test]
async fn every_view_has_the_columns_that_the_manual_names() {
    for cut in [morning(), Cut::empty(at(NINE))] {
        let engine = engine(cut);
        for view in engine.views() {
            let answer = engine.query(&format!("SELECT * FROM {}", view.name)).await;
            let answer = answer.unwrap_or_else(|error| panic!("{}: {error}", view.name));
            let have: Vec<String> = answer.schema.fields().iter().map(|field| field.name().clone()).collect();
            let want: Vec<String> = view.columns.iter().map(|column| column.name.to_owned()).collect();
            assert_eq!(have, want, "{}", view.name);
            answer.collect().await.unwrap_or_else(|error| panic!("{}: {error}", view.name));
        }
    }
}

#[tokio::test]
async fn coarser_pieces_hold_the_same_sums() {
    let engine = engine(morning());
    let sums: Vec<String> = Sum::ALL.iter().map(|sum| format!("SUM({0}) AS {0}", sum.name())).collect();
    let mut totals = Vec::new();
    for view in ["kpi_slot", "kpi_hour", "kpi_day", "kpi_month"] {
        totals.push(ask(&engine, &format!("SELECT {} FROM {view}", sums.join(", "))).await);
    }
    assert!(totals.windows(2).all(|pair| pair[0] == pair[1]), "{totals:?}");
    assert_eq!(totals[0][0]["offered"], 8);
    let day = ask(&engine, "SELECT slot_start, load_erlangs, handled FROM kpi_day").await;
    assert_eq!(
        day,
        [
            json!({ "slot_start": "2026-11-19T16:00:00.000Z", "load_erlangs": 2_320.0 / 86_400.0, "handled": 3 })
        ]
    );
    let month = ask(&engine, "SELECT slot_start FROM kpi_month").await;
    assert_eq!(month[0]["slot_start"], "2026-10-31T16:00:00.000Z");
}

#[tokio::test]
async fn a_day_of_25_hours_is_one_day() {
    let mut committed = Facts::default();
    let zone = grid("America/New_York");
    // 00:30, both 01:30, and 23:30 of the day on which the clock goes back; and the next midnight.
    for (id, time) in [
        ("a", "2026-11-01T04:30:00Z"),
        ("b", "2026-11-01T05:30:00Z"),
        ("c", "2026-11-01T06:30:00Z"),
        ("d", "2026-11-02T04:30:00Z"),
        ("e", "2026-11-02T05:00:00Z"),
    ] {
        let slot_start = Some(zone.slot_start(at(time)));
        committed.legs.push(&LegRow { slot_start, ..leg(id, 0, Some(1), Some("answered")) });
    }
    let engine = engine_with(Options::new(zone), cut(committed, Facts::default(), "2026-11-03T00:00:00Z"));
    let days = ask(&engine, "SELECT slot_start, offered, slot_ms FROM kpi_day ORDER BY slot_start").await;
    assert_eq!(
        days,
        [
            json!({ "slot_start": "2026-11-01T04:00:00.000Z", "offered": 4, "slot_ms": 25 * 60 * MINUTE }),
            json!({ "slot_start": "2026-11-02T05:00:00.000Z", "offered": 1, "slot_ms": 24 * 60 * MINUTE }),
        ]
    );
    let hours = ask(&engine, "SELECT count(*) AS n FROM kpi_hour").await;
    assert_eq!(hours[0]["n"], 5);
}

#[tokio::test]
async fn a_queue_may_have_its_own_service_level() {
    let mut options = Options::new(grid("Asia/Shanghai"));
    options.queues.insert("sales".to_owned(), ServiceLevel::Answered);
    options.queues.insert("it's".to_owned(), ServiceLevel::RemovedInTime);
    let engine = engine_with(options, morning());
    // Answered in time 2, answered 3, one waits too long.
    let rows = ask(&engine, "SELECT service_level FROM kpi_slot WHERE offered > 0").await;
    assert_eq!(rows, [json!({ "service_level": 0.5 })]);
    let rows = ask(
        &engine,
        "SELECT formula, service_level FROM kpi_service_level WHERE slot_start = '2026-11-20T01:00:00Z'",
    )
    .await;
    let by_id: HashMap<&str, f64> = rows
        .iter()
        .map(|row| {
            (row["formula"].as_str().expect("an id"), row["service_level"].as_f64().expect("a figure"))
        })
        .collect();
    assert_eq!(by_id.len(), 8);
    for (id, value) in [
        ("ans_T/offered", 2.0 / 7.0),
        ("ans_T/ans", 2.0 / 4.0),
        ("ans_T/(ans+ab)", 2.0 / 6.0),
        ("(ans_T+short)/(ans+ab)", 3.0 / 6.0),
        ("removed_T/queued", 4.0 / 7.0),
    ] {
        assert_eq!(by_id[id], value, "{id}");
    }
}

#[tokio::test]
async fn percentiles_are_within_one_percent() {
    let mut committed = Facts::default();
    let ids: Vec<String> = (1..=1_000).map(|at| format!("c{at}")).collect();
    for (at, id) in (1..).zip(&ids) {
        committed.legs.push(&LegRow { wait_ms: Some(at * 137), ..leg(id, 0, Some(1), Some("answered")) });
    }
    let engine = engine(cut(committed, Facts::default(), NINE));
    let row = &ask(
        &engine,
        "SELECT wait_p50_seconds AS a, wait_p90_seconds AS b, wait_p95_seconds AS c FROM kpi_month",
    )
    .await[0];
    for (name, truth) in [("a", 68.5), ("b", 123.3), ("c", 130.15)] {
        let value = row[name].as_f64().expect("a figure");
        assert!((value - truth).abs() <= truth * 0.01, "{name}: {value} for {truth}");
    }
}

#[tokio::test]
async fn a_restated_row_is_seen_in_its_newest_form_only() {
    let (mut committed, mut memory) = (Facts::default(), Facts::default());
    let old = leg("a", 0, Some(50), Some("abandoned"));
    committed.legs.push(&old);
    committed.legs.push(&leg("b", 0, Some(10), Some("answered")));
    // Restated twice: the first time it is committed, the second is in memory.
    committed.legs.push(&LegRow { revision: Some(4), ..leg("a", 0, Some(30), Some("answered")) });
    memory.legs.push(&LegRow { revision: Some(5), ..leg("a", 0, Some(15), Some("answered")) });
    let restatement = |old, new| RestatementRow {
        contact_id: Some("a"),
        old_revision: Some(old),
        new_revision: Some(new),
        ..RestatementRow::default()
    };
    committed.restatements.push(&restatement(3, 4));
    memory.restatements.push(&restatement(4, 5));
    let engine = engine(cut(committed, memory, NINE));
    for _ in 0..2 {
        let rows = ask(&engine, "SELECT contact_id, revision, wait_ms FROM legs ORDER BY contact_id").await;
        assert_eq!(
            rows,
            [
                json!({ "contact_id": "a", "revision": 5, "wait_ms": 15_000 }),
                json!({ "contact_id": "b", "revision": 3, "wait_ms": 10_000 }),
            ]
        );
    }
    assert_eq!(
        ask(&engine, "SELECT offered, answered_in_time, ledger_gap FROM kpi_slot").await,
        [json!({ "offered": 2, "answered_in_time": 2, "ledger_gap": 0 })]
    );
}

#[tokio::test]
async fn of_a_key_the_greatest_revision_is_the_row() {
    let (mut committed, mut memory) = (Facts::default(), Facts::default());
    let state = |id, state, start: i64, end: Option<i64>, revision| AgentStateRow {
        agent_id: Some("li"),
        id: Some(id),
        state: Some(state),
        started_at: Some(at(NINE) + start * SECOND),
        ended_at: end.map(|end| at(NINE) + end * SECOND),
        revision: Some(revision),
        date: Some(20_777),
        ..AgentStateRow::default()
    };
    committed.agent_states.push(&state("1", "available", 0, None, 1));
    committed.agent_states.push(&state("1", "available", 0, Some(60), 2));
    memory.agent_states.push(&state("2", "break", 60, None, 2));
    let engine = engine(cut(committed, memory, "2026-11-20T01:02:00Z"));
    let rows = ask(&engine, "SELECT id, ended_at FROM agent_states ORDER BY id").await;
    assert_eq!(
        rows,
        [
            json!({ "id": "1", "ended_at": "2026-11-20T01:01:00.000Z" }),
            json!({ "id": "2", "ended_at": null })
        ]
    );
    let live = ask(&engine, "SELECT agent_id, state, seconds FROM live_agents").await;
    assert_eq!(live, [json!({ "agent_id": "li", "state": "break", "seconds": 60.0 })]);
}

#[tokio::test]
async fn an_agent_s_day() {
    let mut cut = morning();
    let mut states = Facts::default();
    // Li is available from nine for an hour; of the 1,660 s and the 120 s of work, all but the start is inside.
    states.agent_states.push(&AgentStateRow {
        agent_id: Some("li"),
        id: Some("1"),
        state: Some("available"),
        started_at: Some(at(NINE)),
        ended_at: Some(at(NINE) + 3_560 * SECOND),
        revision: Some(1),
        date: Some(20_777),
        ..AgentStateRow::default()
    });
    cut.memory.extend(states.finish());
    let engine = engine(cut);
    let rows = ask(&engine, "SELECT * FROM agent_day ORDER BY agent_id").await;
    assert_eq!(rows.len(), 2);
    let (li, wu) = (&rows[0], &rows[1]);
    // Busy from 10 to 130 and from 170 to 1,830 s after nine: 1,780 s of 3,560.
    for (name, value) in [
        ("contacts", json!(2)),
        ("handled", json!(2)),
        ("talk_seconds", json!(1_700.0)),
        ("acw_seconds", json!(80.0)),
        ("aht_seconds", json!(890.0)),
        ("busy_seconds", json!(1_780.0)),
        ("staffed_seconds", json!(3_560.0)),
        ("occupancy", json!(0.5)),
        ("missed", json!(0)),
    ] {
        assert_eq!(li[name], value, "{name}");
    }
    assert_eq!((&wu["handled"], &wu["outbound"], &wu["talk_seconds"]), (&json!(1), &json!(1), &json!(200.0)));
    // Wu: 80 to 320, 400 to 700, and since 1,750 on a call that goes on.
    assert_eq!((&wu["busy_seconds"], &wu["occupancy"]), (&json!(590.0), &json!(1.0)));
}

#[tokio::test]
async fn load_is_split_over_the_slots_it_covers() {
    let mut cut = morning();
    let mut states = Facts::default();
    for (agent, state) in [("li", "available"), ("wu", "offline")] {
        states.agent_states.push(&AgentStateRow {
            agent_id: Some(agent),
            id: Some("1"),
            state: Some(state),
            started_at: Some(at(NINE) - 60 * SECOND),
            revision: Some(1),
            ..AgentStateRow::default()
        });
    }
    cut.memory.extend(states.finish());
    let engine = engine(cut);
    let rows = ask(&engine, "SELECT * FROM slot_load ORDER BY slot_start").await;
    // 120 + 240 + 300 s, 1,630 of 1,660 s, and 50 s of the call that goes on.
    let row = &rows[0];
    assert_eq!((&row["carried_ms"], &row["contacts"]), (&json!(2_340_000), &json!(5)));
    assert_eq!(row["carried_erlangs"], json!(1.3));
    assert_eq!(row["offered_erlangs"], json!(2_320.0 / 1_800.0));
    assert_eq!((&row["agents_present"], &row["contacts_per_agent"]), (&json!(1), &json!(5.0)));
    assert_eq!(row["handle_minutes_per_agent"], json!(39.0));
    assert_eq!((&rows[1]["carried_ms"], &rows[1]["contacts_per_agent"]), (&json!(30_000), &Value::Null));
}

#[tokio::test]
async fn queues_live() {
    let engine = engine(morning());
    let rows = ask(&engine, "SELECT * FROM live_queues").await;
    assert_eq!(rows.len(), 1);
    for (name, value) in [
        ("waiting", json!(2)),
        ("longest_wait_seconds", json!(100.0)),
        ("handlings_active", json!(1)),
        ("offered", json!(8)),
        ("answered", json!(3)),
        ("answer_rate", json!(0.5)),
    ] {
        assert_eq!(rows[0][name], value, "{name}");
    }
}

fn contact<'a>(id: &'a str, customer: &'a str, time: &str, outcome: &'a str) -> ContactRow<'a> {
    ContactRow {
        contact_id: Some(id),
        channel: Some("voice"),
        direction: Some("inbound"),
        customer_id: Some(customer),
        first_queue: Some("sales"),
        last_queue: Some("sales"),
        department: Some("shop"),
        started_at: Some(at(time)),
        ended_at: Some(at(time) + MINUTE),
        outcome: Some(outcome),
        revision: Some(1),
        ..ContactRow::default()
    }
}

#[tokio::test]
async fn customers_who_come_back() {
    let mut rows = Facts::default();
    let bills = |row: ContactRow<'static>| ContactRow { topic: Some("bill"), ..row };
    for row in [
        bills(contact("1", "x", "2026-11-02T02:00:00Z", "answered")),
        // Another topic is no repeat; the same one is; a call back is none.
        ContactRow { topic: Some("move"), ..contact("2", "x", "2026-11-03T02:00:00Z", "answered") },
        bills(contact("3", "x", "2026-11-05T02:00:00Z", "answered")),
        ContactRow {
            direction: Some("callback"),
            ..bills(contact("4", "x", "2026-11-06T02:00:00Z", "answered"))
        },
        // A short abandon and a redial within ten minutes are one need.
        contact("5", "y", "2026-11-02T02:00:00Z", "abandoned_short"),
        contact("6", "y", "2026-11-02T02:05:00Z", "answered"),
    ] {
        rows.contacts.push(&row);
    }
    let engine = engine(cut(rows, Facts::default(), "2026-11-10T00:00:00Z"));
    let repeats = ask(
        &engine,
        "SELECT contact_id, previous_at, gap_seconds, previous_7d, previous_30d FROM repeat_contacts",
    )
    .await;
    assert_eq!(
        repeats,
        [
            json!({ "contact_id": "3", "previous_at": "2026-11-02T02:00:00.000Z", "gap_seconds": 3.0 * 86_400.0,
                 "previous_7d": 1, "previous_30d": 1 })
        ]
    );
    let days =
        ask(&engine, "SELECT day, contacts, repeated, fcr, maturity, survey_fcr FROM fcr_day ORDER BY day")
            .await;
    assert_eq!(
        days,
        [
            json!({ "day": "2026-11-01T16:00:00.000Z", "contacts": 2, "repeated": 1, "fcr": 0.5, "maturity": 1.0, "survey_fcr": null }),
            json!({ "day": "2026-11-02T16:00:00.000Z", "contacts": 1, "repeated": 0, "fcr": 1.0, "maturity": 0.0, "survey_fcr": null }),
            json!({ "day": "2026-11-04T16:00:00.000Z", "contacts": 1, "repeated": 0, "fcr": 1.0, "maturity": 0.0, "survey_fcr": null }),
        ]
    );
}

#[tokio::test]
async fn self_service_counts_net_of_returns() {
    let mut rows = Facts::default();
    let bot = |row: ContactRow<'static>, outcome| ContactRow { bot_outcome: Some(outcome), ..row };
    rows.contacts.push(&bot(contact("1", "x", "2026-11-02T02:00:00Z", "contained"), "contained"));
    rows.contacts.push(&contact("2", "x", "2026-11-02T20:00:00Z", "answered"));
    rows.contacts.push(&bot(contact("3", "y", "2026-11-02T02:00:00Z", "contained"), "contained"));
    rows.contacts.push(&bot(contact("4", "z", "2026-11-02T02:00:00Z", "answered"), "handover"));
    rows.contacts.push(&bot(contact("5", "w", "2026-11-02T02:00:00Z", "abandoned_in_bot"), "abandoned"));
    let engine = engine(cut(rows, Facts::default(), "2026-11-10T00:00:00Z"));
    assert_eq!(
        ask(&engine, "SELECT * FROM bot_day").await,
        [
            json!({ "day": "2026-11-01T16:00:00.000Z", "channel": "voice", "bot_contacts": 4, "contained": 2, "handover": 1,
                 "abandoned": 1, "returned_24h": 1, "containment_rate": 0.5, "net_containment_rate": 0.25 })
        ]
    );
}

#[tokio::test]
async fn what_customers_say() {
    let mut rows = Facts::default();
    let ids = ["1", "2", "3", "4", "5"];
    for id in ids {
        rows.contacts.push(&contact(id, id, "2026-11-02T02:00:00Z", "answered"));
    }
    // Asked the day after; contact 5 gives no answer.
    for (id, csat, nps, ces, resolved) in
        [("1", 5, 10, 7, true), ("2", 4, 9, 5, true), ("3", 3, 8, 4, false), ("4", 1, 0, 2, false)]
    {
        rows.surveys.push(&SurveyRow {
            contact_id: Some(id),
            id: Some(id),
            time: Some(at("2026-11-03T02:00:00Z")),
            csat: Some(csat),
            nps: Some(nps),
            ces: Some(ces),
            resolved: Some(resolved),
            revision: Some(1),
            ..SurveyRow::default()
        });
    }
    let engine = engine(cut(rows, Facts::default(), "2026-11-10T00:00:00Z"));
    let days = ask(&engine, "SELECT * FROM survey_day ORDER BY day").await;
    assert_eq!(
        (&days[0]["contacts"], &days[0]["response_rate"], &days[0]["csat"]),
        (&json!(5), &json!(0.8), &Value::Null)
    );
    let said = &days[1];
    assert_eq!((&said["responses"], &said["csat"], &said["nps"]), (&json!(4), &json!(0.5), &json!(25.0)));
    assert_eq!(
        (&said["ces"], &said["resolved_rate"], &said["queue"]),
        (&json!(4.5), &json!(0.5), &json!("sales"))
    );
    assert_eq!(said["response_rate"], Value::Null);
    let fcr = ask(&engine, "SELECT survey_fcr, survey_n FROM fcr_day").await;
    assert_eq!(fcr, [json!({ "survey_fcr": 0.5, "survey_n": 4 })]);
}

#[tokio::test]
async fn complaints_are_called_back_by_five_of_the_next_day() {
    let mut rows = Facts::default();
    for contact_id in ["1", "2", "3", "4"] {
        rows.contacts.push(&contact(contact_id, "x", "2026-11-02T02:00:00Z", "answered"));
    }
    let complaint = |id: &'static str, contacted: Option<&str>| ComplaintRow {
        complaint_id: Some(id),
        contact_id: Some("1"),
        status: Some("open"),
        opened_at: Some(at("2026-11-02T03:00:00Z")),
        contacted_at: contacted.map(at),
        reopened: Some(0),
        revision: Some(1),
        ..ComplaintRow::default()
    };
    // The deadline is 2026-11-03 17:00 in Shanghai.
    rows.complaints.push(&complaint("kept", Some("2026-11-03T09:00:00Z")));
    rows.complaints.push(&complaint("late", Some("2026-11-03T09:00:00.001Z")));
    rows.complaints.push(&complaint("open", None));
    let before = engine(cut(Facts::default(), Facts::default(), NINE));
    assert_eq!(ask(&before, "SELECT * FROM complaint_day").await, Vec::<Value>::new());
    let memory = rows.peek(TableSet::ALL);
    for (now, open_in_time, overdue, decided) in
        [("2026-11-03T08:00:00Z", Value::Null, false, 2), ("2026-11-03T10:00:00Z", json!(false), true, 3)]
    {
        let mut cut = Cut::empty(at(now));
        cut.memory = memory.clone();
        let engine = engine(cut);
        let rows = ask(
            &engine,
            "SELECT complaint_id, deadline_at, in_time, overdue FROM complaint_deadlines ORDER BY 1",
        )
        .await;
        assert!(rows.iter().all(|row| row["deadline_at"] == "2026-11-03T09:00:00.000Z"));
        let in_time: Vec<&Value> = rows.iter().map(|row| &row["in_time"]).collect();
        assert_eq!(in_time, [&json!(true), &json!(false), &open_in_time]);
        assert_eq!(rows[2]["overdue"], json!(overdue));
        let day = &ask(&engine, "SELECT * FROM complaint_day").await[0];
        assert_eq!(
            (&day["complaints"], &day["contacts"], &day["complaint_rate"]),
            (&json!(3), &json!(4), &json!(0.75))
        );
        assert_eq!((&day["contacted_in_time"], &day["decided"]), (&json!(1), &json!(decided)));
    }
}

#[tokio::test]
async fn complaints_are_called_back_by_the_next_working_day_where_these_count() {
    let mut rows = Facts::default();
    let ids: Vec<String> = (0..CALL_BACKS.len()).map(|i| i.to_string()).collect();
    for (id, (opened, _)) in ids.iter().zip(CALL_BACKS) {
        rows.complaints.push(&ComplaintRow {
            complaint_id: Some(id),
            opened_at: Some(at(opened)),
            revision: Some(1),
            ..ComplaintRow::default()
        });
    }
    let mut options = Options::new(grid("Asia/Shanghai"));
    options.deadlines = Deadlines::of_working_days(Calendar::default());
    let engine = engine_with(options, cut(Facts::default(), rows, "2026-11-30T09:00:00.001Z"));
    let sql = "SELECT deadline_at, in_time FROM complaint_deadlines ORDER BY CAST(complaint_id AS INT)";
    let rows = ask(&engine, sql).await;
    let want: Vec<Value> = CALL_BACKS
        .iter()
        .map(|(_, due)| json!({ "deadline_at": format_time(at(due)), "in_time": false }))
        .collect();
    assert_eq!(rows, want);
    // What is late is a finding.
    let found = ask(&engine, "SELECT COUNT(*) AS n FROM findings WHERE rule = 'complaint_late'").await;
    assert_eq!(found, [json!({ "n": CALL_BACKS.len() })]);
}

#[tokio::test]
async fn the_centres_clock_is_told_as_it_shows() {
    let engine = engine(cut(Facts::default(), Facts::default(), NINE));
    let sql = "SELECT local_date(t) AS d, local_time(t) AS w FROM (VALUES (TIMESTAMP '2026-11-20T16:30:00Z'), (NULL)) AS v (t)";
    let rows = ask(&engine, sql).await;
    let told = json!({ "d": "2026-11-21", "w": "2026-11-21 00:30" });
    assert_eq!(rows, [told, json!({ "d": null, "w": null })]);
}

#[tokio::test]
async fn functions_say_what_the_rooms_behind_them_say() {
    let engine = engine(Cut::empty(at(NINE)));
    for doc in functions::DOCS {
        let rows = ask(&engine, doc.example).await;
        assert!(!rows.is_empty(), "{}", doc.call);
    }
    let row = &ask(
        &engine,
        "SELECT erlang_c_agents(100, 180, 1800, 20, 0.8) AS agents, erlang_c_service_level(14.0, 100, 180, 1800, 20) AS level, \
         erlang_c_asa(14, 100, 180, 1800) AS asa, erlang_a_abandon(14, 100, 180, 1800, 120) AS gone, \
         erlang_c_asa(NULL, 100, 180, 1800) AS nothing, erlang_c_agents(-1, 180, 1800, 20, 0.8) AS senseless",
    )
    .await[0];
    assert_eq!(row["agents"], 14);
    for (name, value) in [("level", 0.888_350_02), ("asa", 7.835_937), ("gone", 0.022_839_29)] {
        assert!((row[name].as_f64().expect("a figure") - value).abs() < 1e-6, "{name}");
    }
    assert_eq!((&row["nothing"], &row["senseless"]), (&Value::Null, &Value::Null));
    let row = &ask(&engine, "SELECT slot('2026-11-20T09:44:59+08:00') AS a, slot(NULL) AS b, slot(TIMESTAMP '2026-11-20 01:30:00') AS c").await[0];
    assert_eq!(row, &json!({ "a": "2026-11-20T01:30:00.000Z", "b": null, "c": "2026-11-20T01:30:00.000Z" }));
    let error = fault(&engine, "SELECT slot(1.5)").await;
    assert!(error.kind == ErrorKind::Sql && error.message.contains("slot"), "{error:?}");
}

#[tokio::test]
async fn a_filter_by_slot_reaches_the_tables() {
    let engine = engine(morning());
    let sql = "EXPLAIN SELECT offered, handled FROM kpi_day WHERE slot_start >= '2026-11-19T16:00:00Z'";
    let rows = ask(&engine, sql).await;
    let plan = rows.iter().find(|row| row["plan_type"] == "logical_plan").expect("a plan");
    let plan = plan["plan"].as_str().expect("text");
    // The day began at 1,795,104,000 s: no function stands between a column and the filter that files are left out by.
    for column in ["legs_committed.slot_start", "handlings_committed.wrapped_at"] {
        let filter = format!("{column} >= TimestampMicrosecond(1795104000000000, Some(\"UTC\"))");
        assert!(plan.contains(&filter), "{filter}\n{plan}");
    }
    assert!(!plan.contains(") >= "), "{plan}");
}

#[tokio::test]
async fn nothing_but_reading_is_allowed() {
    let engine = engine(morning());
    for sql in [
        "CREATE TABLE t AS SELECT 1",
        "CREATE VIEW v AS SELECT 1",
        "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
        "COPY legs TO '/tmp/legs.csv'",
        "COPY (SELECT 1) TO 'x.parquet'",
        "INSERT INTO legs VALUES (1)",
        "UPDATE legs SET leg = 1",
        "DELETE FROM legs",
        "DROP TABLE legs",
        "TRUNCATE TABLE legs",
        "SET datafusion.execution.batch_size = 1",
        "RESET datafusion.execution.batch_size",
        "PREPARE p AS SELECT 1",
        "EXECUTE p",
        "BEGIN",
        "EXPLAIN INSERT INTO legs VALUES (1)",
        "EXPLAIN ANALYZE COPY legs TO 'x.csv'",
        "CREATE FUNCTION f() RETURNS INT RETURN 1",
    ] {
        let error = fault(&engine, sql).await;
        assert_eq!(error.kind, ErrorKind::Refused, "{sql}: {error:?}");
        assert!(error.hint.is_some(), "{sql}");
    }
    for sql in [
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM \"/etc/hosts\"",
        "SELECT 1; SELECT 2",
        "WITH x AS (DELETE FROM legs) SELECT 1",
    ] {
        let error = fault(&engine, sql).await;
        assert!(matches!(error.kind, ErrorKind::Sql | ErrorKind::Refused), "{sql}: {error:?}");
    }
    for sql in [
        "SHOW TABLES",
        "SHOW COLUMNS FROM legs",
        "DESCRIBE legs",
        "EXPLAIN SELECT 1",
        "VALUES (1)",
        "WITH x AS (SELECT 1 AS a) SELECT a FROM x",
        "SELECT * FROM information_schema.columns",
        "SHOW FUNCTIONS",
    ] {
        assert!(!ask(&engine, sql).await.is_empty(), "{sql}");
    }
}

#[tokio::test]
async fn a_fault_tells_its_place() {
    let engine = engine(Cut::empty(0));
    let error = fault(&engine, "SELECT 1,\n  FROM FROM legs").await;
    assert_eq!((error.kind, error.line), (ErrorKind::Sql, Some(2)), "{error:?}");
    let error = fault(&engine, "SELECT contact_id,\n  nonsense\nFROM legs").await;
    assert_eq!((error.kind, error.line, error.column), (ErrorKind::Sql, Some(2), Some(3)), "{error:?}");
    let error = fault(&engine, "SELECT * FROM nowhere").await;
    assert!(error.hint.is_some() && error.message.contains("nowhere"), "{error:?}");
    assert_eq!(fault(&engine, "SELECT 1 / 0").await.kind, ErrorKind::Sql);
}

#[tokio::test]
async fn a_query_has_a_bound_of_time_and_of_memory() {
    let endless = "SELECT count(*) FROM generate_series(1, 4000000000) AS a (x) WHERE x % 7 = 3";
    let mut options = Options::new(grid("Asia/Shanghai"));
    options.timeout = Duration::from_millis(200);
    options.max_concurrent = 1;
    let quick = engine_with(options, Cut::empty(0));
    assert_eq!(fault(&quick, endless).await.kind, ErrorKind::TimedOut);
    // Its turn is free again.
    assert_eq!(ask(&quick, "SELECT 1 AS a").await, [json!({ "a": 1 })]);

    let mut options = Options::new(grid("Asia/Shanghai"));
    options.memory_limit_bytes = 1 << 20;
    let small = engine_with(options, Cut::empty(0));
    let error =
        fault(&small, "SELECT value, count(*) FROM generate_series(1, 1000000) GROUP BY value ORDER BY 2")
            .await;
    assert_eq!(error.kind, ErrorKind::Memory, "{error:?}");
}

#[tokio::test]
async fn answers_in_every_format() {
    let engine = engine(Cut::empty(0));
    let sql = "SELECT * FROM (VALUES (1, 'a,\"b', TIMESTAMP '2026-11-20T01:00:00.5Z'), (NULL, '客服', NULL)) AS v (n, s, t)";
    let text = async |format| {
        String::from_utf8(written(&engine, sql, format).await.expect("an answer")).expect("text")
    };
    assert_eq!(text(Format::Csv).await, "n,s,t\n1,\"a,\"\"b\",2026-11-20T01:00:00.500Z\n,客服,\n");
    assert_eq!(
        text(Format::Json).await,
        "[{\"n\":1,\"s\":\"a,\\\"b\",\"t\":\"2026-11-20T01:00:00.500Z\"},{\"n\":null,\"s\":\"客服\",\"t\":null}]\n"
    );
    let table = text(Format::Table).await;
    assert!(
        table.contains("| n ") && table.contains("NULL") && table.contains("2026-11-20T01:00:00.500Z"),
        "{table}"
    );

    let bytes = written(&engine, sql, Format::Arrow).await.expect("an answer");
    let batches: Vec<RecordBatch> = arrow::ipc::reader::StreamReader::try_new(&bytes[..], None)
        .expect("a stream")
        .map(|batch| batch.expect("a batch"))
        .collect();
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 2);

    let nothing = "SELECT 1 AS a WHERE false";
    for (format, expected) in [(Format::Csv, "a\n"), (Format::Json, "[]\n")] {
        assert_eq!(written(&engine, nothing, format).await.expect("an answer"), expected.as_bytes());
    }
    // Many batches are one array.
    let many = ask(&engine, "SELECT value FROM generate_series(1, 20000) ORDER BY value").await;
    assert_eq!((many.len(), &many[19_999]["value"]), (20_000, &json!(20_000)));
    let same = ask(&engine, "SELECT a.x, b.x FROM (SELECT 1 AS x) a, (SELECT 2 AS x) b").await;
    assert_eq!(same, [json!({ "x": 1, "x_2": 2 })]);
}

#[test]
fn the_manual_names_everything() {
    let options = Options::new(grid("Asia/Shanghai"));
    let metric = catalog::Metric {
        name: "callpulse_x".to_owned(),
        kind: "gauge".to_owned(),
        unit: "s".to_owned(),
        labels: vec!["queue".to_owned()],
        means: "A test.".to_owned(),
    };
    let metrics = [metric];
    let (json, text) = (catalog::as_json(&options, &metrics), catalog::as_markdown(&options, &metrics));
    assert_eq!(json["tables"].as_array().map(Vec::len), Some(TABLES.len()));
    for (part, name) in
        [("kpis", "answer_rate"), ("views", "kpi_day"), ("tables", "legs"), ("metrics", "callpulse_x")]
    {
        let found = json[part].as_array().expect("a list").iter().any(|entry| entry["name"] == name);
        assert!(found && text.contains(name), "{part} {name}");
    }
    for view in json["views"].as_array().expect("a list") {
        for column in view["columns"].as_array().expect("a list") {
            assert!(column["means"].as_str().is_some_and(|means| means.ends_with('.')), "{view} {column}");
        }
    }
}

#[path = "over_lake.rs"]
mod over_lake;
#[path = "over_stretches.rs"]
mod over_stretches;
#[path = "over_sums.rs"]
mod over_sums;
#[path = "stories.rs"]
mod stories;

#[tokio::test]
async fn what_a_view_stands_on_is_known() {
    let engine = engine(cut(Facts::default(), Facts::default(), "2026-11-20T00:30:00Z"));
    let behind = engine.behind_views();
    assert_eq!(behind.len(), engine.views().len());
    for (view, tables) in &behind {
        assert!(!tables.covers(TableSet::ALL) && *tables != TableSet::NONE, "{view}: {tables:?}");
    }
    assert!(behind["kpi_slot"].has(&LEGS) && behind["kpi_slot"].has(&HANDLINGS));
    assert!(!behind["kpi_slot"].has(&MESSAGES));
    // Views stand on views.
    assert!(behind["kpi_day"].covers(behind["kpi_slot"]));
}
