//! Stories of plans, people and words, asked in SQL; every expected figure is worked out by hand.

use super::*;
use crate::forecast::erlang_c_service_level;
use crate::query::views::surges_of_now;

/// A forecast of the slot that begins so many minutes after nine, made so many minutes before (after, if negative).
fn told<'a>(queue: &'a str, minutes: i64, made_before: i64, contacts: f64, required: i64) -> ForecastRow<'a> {
    let slot_start = at(NINE) + minutes * MINUTE;
    ForecastRow {
        made_at: Some(slot_start - made_before * MINUTE),
        kind: Some("full"),
        model: Some("blend"),
        channel: Some("voice"),
        queue: Some(queue),
        department: Some("shop"),
        slot_start: Some(slot_start),
        slot_ms: Some(30 * MINUTE),
        contacts: Some(contacts),
        contacts_low: Some(contacts * 0.7),
        contacts_high: Some(contacts * 1.5),
        aht_seconds: Some(180.0),
        load_erlangs: Some(contacts / 10.0),
        agents_on_seat: Some(required),
        agents_required: Some(required),
        shrinkage: Some(0.0),
        places: Some(1),
        target_wait_seconds: Some(20.0),
        service_level_target: Some(0.8),
        occupancy_cap: Some(0.85),
        date: Some(grid("Asia/Shanghai").date(slot_start)),
    }
}

/// A shift from so many minutes after nine to another.
fn shift<'a>(id: &'a str, agent: &'a str, queues: Option<&'a str>, from: i64, until: i64) -> ShiftRow<'a> {
    ShiftRow {
        shift_id: Some(id),
        agent_id: Some(agent),
        role: Some("agent"),
        department: Some("shop"),
        queues,
        start: Some(at(NINE) + from * MINUTE),
        end: Some(at(NINE) + until * MINUTE),
        preferred: Some(true),
        published_at: Some(at(NINE) - 7 * 24 * 60 * MINUTE),
        paid_minutes: Some(until - from),
        revision: Some(1),
        date: Some(grid("Asia/Shanghai").date(at(NINE))),
        ..ShiftRow::default()
    }
}

#[track_caller]
fn near(value: &Value, expected: f64) {
    let found = value.as_f64().unwrap_or_else(|| panic!("{value} is no number"));
    assert!((found - expected).abs() <= 1e-9 * expected.abs().max(1.0), "{found} is not {expected}");
}

/// Sales needs 14 and has 12 of its own, support needs 7 and has none; one serves both, one all queues for half of the slot.
fn roster() -> Facts {
    let mut rows = Facts::default();
    rows.forecasts.push(&told("sales", 0, 90, 90.0, 13));
    rows.forecasts.push(&told("sales", 0, 60, 100.0, 14));
    rows.forecasts.push(&told("support", 0, 60, 50.0, 7));
    for name in ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"] {
        rows.shifts.push(&shift(name, name, Some(r#"["sales"]"#), -60, 240));
    }
    rows.shifts.push(&shift("both", "both", Some(r#"["sales","support"]"#), 0, 30));
    rows.shifts.push(&shift("all", "all", None, 15, 60));
    let lead = ShiftRow { role: Some("lead"), ..shift("lead", "lead", Some(r#"["support"]"#), 0, 60) };
    rows.shifts.push(&lead);
    let ill = ShiftRow { cancelled_at: Some(at(NINE)), ..shift("ill", "ill", Some(r#"["support"]"#), 0, 60) };
    rows.shifts.push(&ill);
    rows
}

#[tokio::test]
async fn a_slot_tells_who_is_missing() {
    let engine = engine(cut(roster(), Facts::default(), "2026-11-20T00:30:00Z"));
    let rows = ask(&engine, "SELECT * FROM staff_slot ORDER BY queue").await;
    assert_eq!(rows.len(), 2);
    let (sales, support) = (&rows[0], &rows[1]);
    // The newest forecast counts. Who serves both goes by need, 14 to 7; who comes for half of the slot counts half.
    assert_eq!((&sales["contacts"], &sales["agents_required"]), (&json!(100.0), &json!(14)));
    near(&sales["agents_staffed"], 12.0 + 1.5 * 14.0 / 21.0);
    near(&support["agents_staffed"], 1.5 * 7.0 / 21.0);
    near(&sales["gap"], 13.0 - 14.0);
    near(&support["gap"], 0.5 - 7.0);
    let level = |n| erlang_c_service_level(n, 100.0, 180.0, 1_800.0, 20.0).expect("a level");
    near(&sales["expected_service_level"], level(13));
    assert_eq!(sales["fails"], json!(level(13) < 0.8));
    // Half an agent for 5 Erlang.
    near(&support["expected_service_level"], 0.0);
    near(&support["expected_occupancy"], 10.0);
    assert_eq!(support["fails"], true);
}

#[tokio::test]
async fn forecasts_are_held_against_what_came() {
    let mut rows = roster();
    rows.forecasts = Default::default();
    // Of the morning's eight in the slot from nine: ten expected the day before, nine a week before, eleven during the day.
    let with = |minutes, contacts| ForecastRow {
        aht_seconds: Some(170.0),
        ..told("sales", 0, minutes, contacts, 2)
    };
    rows.forecasts.push(&with(60, 10.0));
    rows.forecasts.push(&with(6 * 24 * 60, 9.0));
    rows.forecasts.push(&ForecastRow { kind: Some("intraday"), ..with(0, 11.0) });
    let mut cut = morning();
    cut.memory.extend(rows.peek(TableSet::ALL));
    let engine = engine(cut);
    let rows = ask(&engine, "SELECT * FROM forecast_accuracy ORDER BY horizon").await;
    let horizons: Vec<&Value> = rows.iter().map(|row| &row["horizon"]).collect();
    assert_eq!(horizons, [&json!("1d"), &json!("2-7d"), &json!("intraday")]);
    let day = &rows[0];
    assert_eq!((&day["slots"], &day["contacts"], &day["within_10"]), (&json!(1), &json!(8), &json!(0)));
    near(&day["wape"], 2.0 / 8.0);
    near(&day["bias"], 2.0 / 8.0);
    near(&day["poisson_floor"], (20.0 / std::f64::consts::PI).sqrt() / 8.0);
    // 8 lies between 7 and 15.
    near(&day["in_interval_share"], 1.0);
    // Two handlings closed in the slot, 360 s together; 170 s each were expected.
    near(&day["aht_wape"], 20.0 / 360.0);
    near(&rows[2]["wape"], 3.0 / 8.0);
}

#[tokio::test]
async fn a_plan_is_judged_in_five_dimensions() {
    let mut rows = Facts::default();
    // Two slots to come: 14 needed each; 12 and 16 are there. Nothing has come, so only the plan can be judged.
    rows.forecasts.push(&told("sales", 0, 60, 100.0, 14));
    rows.forecasts.push(&told("sales", 30, 90, 100.0, 14));
    let names: Vec<String> = (0..16).map(|at| format!("agent{at}")).collect();
    for (at, name) in names.iter().enumerate() {
        let (from, preferred) = (if at < 12 { 0 } else { 30 }, at % 4 != 0);
        rows.shifts.push(&ShiftRow { preferred: Some(preferred), ..shift(name, name, None, from, 60) });
    }
    // Yesterday's late shift ended eight hours before; that day is another row.
    let late = shift("late", "agent1", None, -16 * 60, -8 * 60);
    rows.shifts.push(&late);
    let short_notice =
        ShiftRow { published_at: Some(at(NINE) - 60 * MINUTE), ..shift("new", "new", None, 0, 0) };
    rows.shifts.push(&short_notice);
    let engine = engine(cut(rows, Facts::default(), "2026-11-20T00:30:00Z"));
    let rows = ask(&engine, "SELECT * FROM schedule_score WHERE department = '(all)' AND start = local_day(now()) AND period = 'day'").await;
    let [row] = rows.as_slice() else { panic!("{rows:?}") };
    assert_eq!(
        (&row["forecast_score"], &row["slots"], &row["failing_slots"]),
        (&Value::Null, &json!(2), &json!(1))
    );
    near(&row["fit"], 4.0 / 28.0);
    near(&row["over"], 2.0 / 28.0);
    near(&row["under"], 2.0 / 28.0);
    near(&row["preferred_share"], 13.0 / 17.0);
    // agent1 alone had a shift before.
    near(&row["rest_kept_share"], 0.0);
    near(&row["late_change_share"], 1.0 / 17.0);
    near(&row["failing_share"], 0.5);
    // 10 Erlang on 12 and on 16, weighed by them; 10 / 12 is below the cap of 85 %.
    near(&row["mean_occupancy"], 20.0 / 28.0);
    near(&row["overloaded_share"], 0.0);
    let satisfied = (13.0 / 17.0 + 0.0 + 16.0 / 17.0) / 3.0;
    near(&row["score"], 100.0 * (24.0 / 28.0 + satisfied + 0.5 + 1.0) / 4.0);
    let week =
        ask(&engine, "SELECT shifts FROM schedule_score WHERE department = '(all)' AND period = 'week'")
            .await;
    assert_eq!(week, [json!({ "shifts": 18 })]);
}

#[tokio::test]
async fn the_running_slot_is_told_to_its_end() {
    // A quarter past nine: of four, two in time, one gave up, one waits too long; 10 were expected.
    let mut rows = Facts::default();
    rows.forecasts.push(&told("sales", 0, 60, 10.0, 2));
    rows.legs.push(&leg("a", 0, Some(10), Some("answered")));
    rows.legs.push(&leg("b", 60, Some(20), Some("answered")));
    rows.legs.push(&leg("c", 240, Some(40), Some("abandoned")));
    rows.legs.push(&leg("d", 700, Some(200), None));
    rows.legs.push(&leg("e", 895, Some(5), None));
    let engine = engine(cut(rows, Facts::default(), "2026-11-20T01:15:00Z"));
    let rows = ask(&engine, "SELECT * FROM slot_projection").await;
    let [row] = rows.as_slice() else { panic!("{rows:?}") };
    assert_eq!((&row["offered"], &row["answered_in_time"], &row["lost"]), (&json!(5), &json!(2), &json!(2)));
    near(&row["elapsed_share"], 0.5);
    near(&row["projected_offered"], 10.0);
    near(&row["service_level"], 0.5);
    near(&row["projected_service_level_worst"], 0.2);
    near(&row["projected_service_level"], 0.5);
    near(&row["projected_service_level_best"], 0.8);
}

/// A state of an agent from so many minutes after nine.
fn state<'a>(
    id: &'a str,
    agent: &'a str,
    state: &'a str,
    from: i64,
    until: Option<i64>,
) -> AgentStateRow<'a> {
    AgentStateRow {
        agent_id: Some(agent),
        id: Some(id),
        state: Some(state),
        started_at: Some(at(NINE) + from * MINUTE),
        ended_at: until.map(|until| at(NINE) + until * MINUTE),
        duration_ms: until.map(|until| (until - from) * MINUTE),
        revision: Some(1),
        date: Some(grid("Asia/Shanghai").date(at(NINE))),
        ..AgentStateRow::default()
    }
}

#[tokio::test]
async fn who_keeps_to_the_plan() {
    let mut rows = Facts::default();
    // Planned nine to eleven; there from five past nine to ten, on a break, back until half past eleven.
    rows.shifts.push(&ShiftRow { paid_minutes: Some(100), ..shift("s", "li", None, 0, 120) });
    rows.agent_states.push(&state("1", "li", "available", 5, Some(60)));
    rows.agent_states.push(&state("2", "li", "break", 60, Some(75)));
    rows.agent_states.push(&state("3", "li", "training", 75, Some(90)));
    rows.agent_states.push(&state("4", "li", "busy", 90, Some(150)));
    rows.agent_states.push(&state("5", "li", "offline", 150, None));
    let engine = engine(cut(rows, Facts::default(), "2026-11-20T04:00:00Z"));
    let rows = ask(&engine, "SELECT * FROM adherence_day").await;
    let [row] = rows.as_slice() else { panic!("{rows:?}") };
    near(&row["planned_seconds"], 7_200.0);
    // 55 + 15 + 60 minutes worked, of them 55 + 15 + 30 in the shift; 55 + 60 productive.
    near(&row["worked_seconds"], 7_800.0);
    near(&row["adherence"], 100.0 / 120.0);
    near(&row["conformance"], 130.0 / 120.0);
    near(&row["shrinkage"], 1.0 - 115.0 / 100.0);
}

/// A contact that an agent answered so many minutes after nine, its customer's sentiment, and whether it was resolved.
fn met<'a>(
    id: &'a str,
    customer: &'a str,
    agent: &'a str,
    minutes: i64,
    mood: Option<f64>,
) -> ContactRow<'a> {
    let started_at = at(NINE) + minutes * MINUTE;
    ContactRow {
        contact_id: Some(id),
        channel: Some("voice"),
        customer_id: Some(customer),
        first_queue: Some("sales"),
        last_queue: Some("sales"),
        department: Some("shop"),
        last_agent: Some(agent),
        started_at: Some(started_at),
        ended_at: Some(started_at + MINUTE),
        wait_ms: Some(5_000),
        outcome: Some("answered"),
        resolved: Some(mood.is_none_or(|mood| mood > 0.0)),
        sentiment_customer: mood,
        revision: Some(1),
        date: Some(grid("Asia/Shanghai").date(started_at)),
        ..ContactRow::default()
    }
}

#[tokio::test]
async fn who_needs_a_pause() {
    let mut rows = Facts::default();
    // Pleasant, unknown, then three unpleasant in a row: by mood, by a complaint, by a survey.
    for (at, (id, mood)) in [("1", Some(0.5)), ("2", None), ("3", Some(-0.4)), ("4", None), ("5", Some(0.1))]
        .into_iter()
        .enumerate()
    {
        rows.contacts.push(&met(id, "x", "li", 10 * at as i64, mood));
        rows.handlings.push(&handling(id, "li", 600 * at as i64, 60, Some(0)));
    }
    let opened = Some(at(NINE) + 60 * MINUTE);
    rows.complaints.push(&ComplaintRow {
        complaint_id: Some("k"),
        contact_id: Some("4"),
        opened_at: opened,
        revision: Some(1),
        ..ComplaintRow::default()
    });
    rows.surveys.push(&SurveyRow {
        contact_id: Some("5"),
        id: Some("s"),
        time: opened,
        csat: Some(2),
        revision: Some(1),
        ..SurveyRow::default()
    });
    rows.agent_states.push(&state("1", "li", "available", 0, Some(30)));
    rows.agent_states.push(&state("2", "li", "break", 30, Some(40)));
    rows.agent_states.push(&state("3", "li", "available", 40, None));
    let memory = rows.peek(TableSet::ALL);
    for (now, stretch, missed, reasons) in [
        ("2026-11-20T02:00:00Z", 1_800.0, 0, "3 unpleasant contacts in a row"),
        ("2026-11-20T03:50:00Z", 7_800.0, 1, "3 unpleasant contacts in a row; two hours without a pause"),
    ] {
        let mut cut = Cut::empty(at(now));
        cut.memory = memory.clone();
        let rows = ask(&engine(cut), "SELECT * FROM exposure").await;
        let [row] = rows.as_slice() else { panic!("{rows:?}") };
        assert_eq!((&row["handled"], &row["unpleasant"]), (&json!(5), &json!(3)));
        assert_eq!((&row["longest_run"], &row["last_run"]), (&json!(3), &json!(3)));
        assert_eq!((&row["breaks"], &row["breaks_missed"]), (&json!(1), &json!(missed)));
        near(&row["break_seconds"], 600.0);
        near(&row["longest_stretch_seconds"], stretch);
        assert_eq!((&row["pause_suggested"], &row["reasons"]), (&json!(true), &json!(reasons)));
    }
}

#[tokio::test]
async fn a_month_of_an_agent_stands_beside_the_team() {
    let mut rows = Facts::default();
    let ids: Vec<String> = (0..80).map(|at| format!("c{at}")).collect();
    for (at, id) in ids.iter().enumerate() {
        // Li has forty and resolves ten of them, Wu forty and resolves all.
        let (agent, mood) = if at < 40 { ("li", if at < 10 { 0.2 } else { -0.1 }) } else { ("wu", 0.2) };
        rows.contacts.push(&met(id, id, agent, at as i64, Some(mood)));
        rows.handlings.push(&handling(id, agent, 60 * at as i64, if at < 40 { 200 } else { 100 }, Some(0)));
    }
    let engine = engine(cut(rows, Facts::default(), "2026-11-20T04:00:00Z"));
    let rows = ask(&engine, "SELECT * FROM agent_month WHERE period = 'month' ORDER BY agent_id").await;
    let (li, wu) = (&rows[0], &rows[1]);
    assert_eq!((&li["start"], &li["handled"]), (&json!("2026-10-31T16:00:00.000Z"), &json!(40)));
    near(&li["aht_seconds"], 200.0);
    near(&li["aht_team_seconds"], 150.0);
    near(&li["resolved_share"], 0.25);
    near(&li["resolved_team"], 50.0 / 80.0);
    // Wilson: half of the interval for 10 of 40 at 95 %.
    let margin = 1.96 / (1.0 + 3.8416 / 40.0) * (0.25 * 0.75 / 40.0 + 0.9604 / 1_600.0_f64).sqrt();
    near(&li["resolved_margin"], margin);
    near(&li["sentiment"], (10.0 * 0.2 - 30.0 * 0.1) / 40.0);
    assert_eq!((&li["csat"], &li["small_n"]), (&Value::Null, &json!(true)));
    assert_eq!((&li["trains_in"], &wu["trains_in"]), (&json!("handle time; resolution"), &Value::Null));
    assert_eq!(li["aht_before_seconds"], Value::Null);
    let quarters =
        ask(&engine, "SELECT start FROM agent_month WHERE period = 'quarter' AND agent_id = 'li'").await;
    assert_eq!(quarters, [json!({ "start": "2026-09-30T16:00:00.000Z" })]);
}

#[tokio::test]
async fn customers_who_may_leave_are_named_with_reasons() {
    let mut rows = Facts::default();
    let gold = |row| ContactRow { tier: Some("gold"), ..row };
    rows.contacts.push(&gold(met("1", "chen", "li", 0, Some(-0.5))));
    rows.contacts.push(&gold(met("2", "chen", "li", 60, Some(-0.3))));
    rows.contacts.push(&met("3", "calm", "li", 0, Some(0.4)));
    rows.complaints.push(&ComplaintRow {
        complaint_id: Some("k"),
        contact_id: Some("2"),
        opened_at: Some(at(NINE) + 61 * MINUTE),
        revision: Some(1),
        ..ComplaintRow::default()
    });
    let engine = engine(cut(rows, Facts::default(), "2026-11-21T04:00:00Z"));
    let rows = ask(&engine, "SELECT * FROM churn_risk").await;
    let [row] = rows.as_slice() else { panic!("{rows:?}") };
    assert_eq!((&row["customer_id"], &row["tier"]), (&json!("chen"), &json!("gold")));
    // A complaint 3, open 2, came back 1, sentiment 3 · 0.4; gold counts one and a half.
    near(&row["risk"], (3.0 + 2.0 + 1.0 + 1.2) * 1.5);
    assert_eq!(row["reasons"], "1 complaint; 1 of them open; came back 1 time; sentiment -0.4");
}

#[tokio::test]
async fn a_surge_is_seen_with_its_size() {
    let mut rows = Facts::default();
    let ids: Vec<String> = (0..200).map(|at| format!("c{at}")).collect();
    let day = 24 * 60 * 60;
    let mut next = ids.iter();
    let mut put = |from: i64, count: usize| {
        for (at, id) in next.by_ref().take(count).enumerate() {
            rows.legs.push(&leg(id, from + at as i64, Some(5), Some("answered")));
        }
    };
    // Ten at nine on three days; on the fourth sixty, and forty in the half hour after it where five are usual.
    for before in [3, 2, 1] {
        put(-before * day, 10);
        put(-before * day + 1_800, 5);
    }
    put(0, 60);
    put(1_800, 40);
    let mut kept = Facts::default();
    let keyed = |id, keywords| ContactRow { keywords: Some(keywords), ..met(id, "x", "li", 1, None) };
    kept.contacts.push(&keyed("k1", "fault:断网;mood:生气"));
    kept.contacts.push(&keyed("k2", "fault:断网;greeting:您好"));
    rows.contacts = kept.contacts;
    rows.forecasts.push(&told("sales", 60, 600, 20.0, 3));
    rows.forecasts.push(&told("sales", 90, 600, 20.0, 3));
    let engine = engine(cut(rows, Facts::default(), "2026-11-20T02:05:00Z"));
    let rows = ask(&engine, "SELECT * FROM surges").await;
    let [row] = rows.as_slice() else { panic!("{rows:?}") };
    assert_eq!((&row["start"], &row["slots"]), (&json!("2026-11-20T01:00:00.000Z"), &json!(2)));
    assert_eq!(
        (&row["contacts"], &row["expected"], &row["lasts"]),
        (&json!(100), &json!(15.0), &json!(true))
    );
    near(&row["times"], 100.0 / 15.0);
    near(&row["deviations"], (50.0 / 11.0_f64.sqrt()).max(35.0 / 5.25_f64.sqrt()));
    near(&row["next_expected"], 40.0);
    // Asked for what lasts alone, it is told as of the running slot and the one before.
    let of_now = surges_of_now(&engine.options().grid, at("2026-11-20T02:05:00Z"));
    let sql = format!(
        "{of_now} SELECT start, slots, contacts, expected, lasts, next_expected FROM surges WHERE lasts"
    );
    let lasting = json!({ "start": "2026-11-20T01:30:00.000Z", "slots": 1, "contacts": 40, "expected": 5.0, "lasts": true,
        "next_expected": 40.0 });
    assert_eq!(ask(&engine, &sql).await, [lasting]);
    // The excess is 85 / 15 of what is usual: half of it in the next slot, a quarter in the one after.
    near(&row["next_projected"], 40.0 + 20.0 * (85.0 / 15.0) * 0.75);
    assert_eq!(row["keywords"], "fault:断网;mood:生气");
}

#[tokio::test]
async fn surveys_by_the_slot_of_their_contact() {
    let mut rows = Facts::default();
    for (id, csat, nps) in [("1", 5, 10), ("2", 4, 6), ("3", 1, 7)] {
        rows.contacts.push(&met(id, id, "li", 5, Some(0.3)));
        rows.surveys.push(&SurveyRow {
            contact_id: Some(id),
            id: Some(id),
            time: Some(at("2026-11-22T02:00:00Z")),
            csat: Some(csat),
            nps: Some(nps),
            revision: Some(1),
            ..SurveyRow::default()
        });
    }
    let engine = engine(cut(rows, Facts::default(), "2026-11-23T04:00:00Z"));
    let rows = ask(&engine, "SELECT * FROM survey_slot").await;
    let [row] = rows.as_slice() else { panic!("{rows:?}") };
    assert_eq!((&row["slot_start"], &row["agent_id"]), (&json!("2026-11-20T01:00:00.000Z"), &json!("li")));
    near(&row["csat"], 2.0 / 3.0);
    near(&row["nps"], 0.0);
    assert_eq!((&row["ces"], &row["ces_n"]), (&Value::Null, &json!(0)));
    near(&row["wait_seconds"], 5.0);
    near(&row["sentiment"], 0.3);
}

#[tokio::test]
async fn what_the_bot_could_not_settle() {
    let mut rows = Facts::default();
    let bot = |row, outcome, topic, keywords| ContactRow {
        bot_outcome: Some(outcome),
        topic: Some(topic),
        keywords,
        ..row
    };
    rows.contacts.push(&bot(
        met("1", "a", "li", 0, None),
        "handover",
        "bill",
        Some("empathy:非常抱歉;fee:乱扣费"),
    ));
    rows.contacts.push(&bot(met("2", "b", "li", 1, None), "contained", "bill", None));
    rows.contacts.push(&bot(met("3", "c", "li", 2, None), "contained", "bill", Some("fee:乱扣费")));
    rows.contacts.push(&bot(met("4", "d", "li", 3, None), "abandoned", "sim", None));
    // c comes back after an hour.
    rows.contacts.push(&met("5", "c", "li", 60, None));
    let engine = engine(cut(rows, Facts::default(), "2026-11-23T04:00:00Z"));
    let rows = ask(&engine, "SELECT * FROM bot_handover ORDER BY topic").await;
    let bill = &rows[0];
    assert_eq!(
        (&bill["bot_contacts"], &bill["handover"], &bill["returned_24h"]),
        (&json!(3), &json!(1), &json!(1))
    );
    near(&bill["failure_share"], 2.0 / 3.0);
    near(&bill["common_share"], 0.75);
    assert_eq!((&bill["keywords"], &rows[1]["keywords"]), (&json!("fee:乱扣费"), &Value::Null));
}
#[tokio::test]
async fn what_was_broken_is_found_with_its_place_and_counts_for_the_agent() {
    let mut cut = morning();
    let mut more = Facts::default();
    let finding = FindingRow {
        contact_id: Some("a"),
        finding: Some(1),
        rule: Some("forbidden_phrase"),
        time: Some(at(NINE)),
        queue: Some("sales"),
        agent_id: Some("li"),
        message_id: Some("m1"),
        phrase: Some("不关我的事"),
        start: Some(3),
        end: Some(18),
        revision: Some(5),
        ..FindingRow::default()
    };
    more.findings.push(&finding);
    // What a correction has replaced is no finding any more.
    more.findings.push(&FindingRow { revision: Some(4), rule: Some("no_greeting"), ..finding });
    more.restatements.push(&RestatementRow {
        contact_id: Some("a"),
        old_revision: Some(4),
        new_revision: Some(5),
        ..RestatementRow::default()
    });
    let promise = |id, due, kept_at: Option<&str>| PromiseRow {
        promise_id: Some(id),
        agent_id: Some("li"),
        queue: Some("sales"),
        made_at: Some(at(NINE)),
        due: Some(at(due)),
        kept_at: kept_at.map(at),
        revision: Some(1),
        ..PromiseRow::default()
    };
    more.promises.push(&promise("kept", "2026-11-20T01:10:00Z", Some("2026-11-20T01:10:00Z")));
    more.promises.push(&promise("late", "2026-11-20T01:10:00Z", Some("2026-11-20T01:10:01Z")));
    more.promises.push(&promise("broken", "2026-11-20T01:20:00Z", None));
    more.promises.push(&promise("not due", "2026-11-20T01:31:00Z", None));
    let complaint = |id, opened_at, contacted_at: Option<&str>| ComplaintRow {
        complaint_id: Some(id),
        queue: Some("sales"),
        opened_at: Some(at(opened_at)),
        contacted_at: contacted_at.map(at),
        revision: Some(1),
        ..ComplaintRow::default()
    };
    // 17:00 in Shanghai is 9:00 in UTC.
    more.complaints.push(&complaint("in time", "2026-11-18T01:00:00Z", Some("2026-11-19T09:00:00Z")));
    more.complaints.push(&complaint("too late", "2026-11-18T01:00:00Z", Some("2026-11-19T09:00:01Z")));
    more.complaints.push(&complaint("open", "2026-11-18T23:00:00Z", None));
    cut.memory.extend(more.finish());
    let engine = engine(cut);
    let rows = ask(&engine, "SELECT rule, contact_id, message_id, \"start\", \"end\", dossier FROM findings ORDER BY rule, dossier").await;
    let of = |rule: &str, dossier: &str| json!({ "rule": rule, "contact_id": null, "message_id": null, "start": null, "end": null, "dossier": dossier });
    assert_eq!(
        rows,
        [
            of("complaint_late", "too late"),
            json!({ "rule": "forbidden_phrase", "contact_id": "a", "message_id": "m1", "start": 3, "end": 18, "dossier": null }),
            of("promise_broken", "broken"),
            of("promise_broken", "late"),
        ]
    );
    let day = ask(&engine, "SELECT agent_id, findings FROM agent_day ORDER BY agent_id").await;
    assert_eq!(day[0], json!({ "agent_id": "li", "findings": 3 }));
    assert_eq!(day[1], json!({ "agent_id": "wu", "findings": 0 }));
}

#[tokio::test]
async fn words_that_many_say_at_once_are_a_surge() {
    let mut said = Facts::default();
    let ids: Vec<String> = (0..200).map(|number| format!("m{number}")).collect();
    let mut next = ids.iter();
    let mut say = |day: &str, contacts: usize, hits: Option<&'static str>| {
        for id in next.by_ref().take(contacts) {
            said.messages.push(&MessageRow {
                contact_id: Some(id),
                id: Some(id),
                time: Some(at(&format!("2026-11-{day}T01:05:00Z"))),
                speaker: Some("customer"),
                sentiment: Some(-0.5),
                hits,
                is_final: Some(true),
                ..MessageRow::default()
            });
        }
    };
    // On two days before, two in all at this time of the day: one is usual.
    say("18", 20, None);
    say("18", 2, Some("crisis:大面积断网"));
    say("19", 20, None);
    say("20", 9, Some("crisis:大面积断网;anger:气死了"));
    say("20", 1, Some("anger:气死了"));
    let engine = engine(cut(said, Facts::default(), "2026-11-20T01:20:00Z"));
    let sql = "SELECT kind, theme, contacts, expected, times, lasts, queues FROM theme_surges ORDER BY kind, contacts DESC";
    let rows = ask(&engine, sql).await;
    let surge = |kind: &str, theme: &str, contacts: i64, expected: f64, times: Value| {
        json!({ "kind": kind, "theme": theme, "contacts": contacts, "expected": expected, "times": times,
                "lasts": true, "queues": null })
    };
    assert_eq!(
        rows,
        [
            surge("category", "anger", 10, 0.0, Value::Null),
            surge("category", "crisis", 9, 1.0, json!(9.0)),
            surge("phrase", "气死了", 10, 0.0, Value::Null),
            surge("phrase", "大面积断网", 9, 1.0, json!(9.0)),
        ]
    );
    // What is asked of the running slot alone reads less and says the same of categories.
    let of_now = surges_of_now(&engine.options().grid, at("2026-11-20T01:20:00Z"));
    let categories = format!("{of_now} {}", sql.replace("ORDER", "WHERE kind = 'category' ORDER"));
    assert_eq!(ask(&engine, &categories).await, rows[..2]);
    let later = surges_of_now(&engine.options().grid, at("2026-11-20T02:20:00Z"));
    assert_eq!(ask(&engine, &format!("{later} {sql}")).await, [json!(null); 0]);
    let until = ask(&engine, "SELECT DISTINCT start, until FROM theme_surges").await;
    assert_eq!(until, [json!({ "start": "2026-11-20T01:00:00.000Z", "until": "2026-11-20T01:30:00.000Z" })]);
}
