//! Questions over a real lake and rows in memory, some of them restated.

use super::*;

/// The morning, but its committed rows come from a real lake; some of them restated.
#[tokio::test]
async fn over_a_real_lake() {
    use crate::lake::{Append, Lake, Range};
    let dir = tempfile::tempdir().expect("a directory");
    let options =
        crate::lake::Options::new(dir.path().join("data").to_str().expect("text"), "Asia/Shanghai", 30);
    let lake = Lake::open(options).await.expect("a lake");
    let range = |from, to| vec![Range { topic: "t".to_owned(), partition: 0, from, to }];
    let mut rows = Facts::default();
    rows.legs.push(&leg("a", 0, Some(50), Some("abandoned")));
    rows.legs.push(&leg("b", 60, Some(10), Some("answered")));
    rows.handlings.push(&handling("b", "li", 70, 100, Some(20)));
    for (id, end, revision) in [("1", None, 1), ("1", Some(at(NINE) + 60 * SECOND), 2)] {
        rows.agent_states.push(&AgentStateRow {
            agent_id: Some("li"),
            id: Some(id),
            state: Some("available"),
            started_at: Some(at(NINE)),
            ended_at: end,
            revision: Some(revision),
            date: Some(20_777),
            ..AgentStateRow::default()
        });
    }
    let tables = rows.finish().into_iter().map(|(table, batch)| (table, vec![batch])).collect();
    lake.append(Append { tables, ranges: range(0, 10) }).await.expect("appended");
    let first = lake.version();
    let cut_of = |version: &crate::lake::Version, memory: &Facts| {
        let committed = TABLES.iter().filter_map(|table| Some((table.name, version.provider(table.name)?)));
        Cut {
            committed: committed.collect(),
            memory: memory.peek(TableSet::ALL),
            now: at("2026-11-20T01:30:00Z"),
            history: None,
            missing: Vec::new(),
        }
    };
    let mut memory = Facts::default();
    memory.legs.push(&LegRow { revision: Some(4), ..leg("a", 0, Some(15), Some("answered")) });
    memory.restatements.push(&RestatementRow {
        contact_id: Some("a"),
        old_revision: Some(3),
        new_revision: Some(4),
        date: Some(20_777),
        ..RestatementRow::default()
    });
    let check = async |cut| {
        let engine = engine(cut);
        let rows = ask(&engine, "SELECT contact_id, wait_ms FROM legs WHERE queue = 'sales' AND date = DATE '2026-11-20' AND slot_start = '2026-11-20T01:00:00Z' ORDER BY 1").await;
        assert_eq!(
            rows,
            [json!({"contact_id": "a", "wait_ms": 15_000}), json!({"contact_id": "b", "wait_ms": 10_000})]
        );
        let row = &ask(&engine, "SELECT offered, answered, ledger_gap, handled, wait_p50_seconds AS p FROM kpi_day WHERE slot_start >= '2026-11-19T16:00:00Z'").await[0];
        assert_eq!(
            (&row["offered"], &row["answered"], &row["ledger_gap"], &row["handled"]),
            (&json!(2), &json!(2), &json!(0), &json!(1))
        );
        let states = ask(&engine, "SELECT ended_at FROM agent_states WHERE date = DATE '2026-11-20'").await;
        assert_eq!(states, [json!({"ended_at": "2026-11-20T01:01:00.000Z"})]);
        for view in engine.views() {
            ask(&engine, &format!("SELECT * FROM {}", view.name)).await;
        }
    };
    check(cut_of(&first, &memory)).await;
    let tables = memory.finish().into_iter().map(|(table, batch)| (table, vec![batch])).collect();
    lake.append(Append { tables, ranges: range(10, 20) }).await.expect("appended");
    check(cut_of(&lake.version(), &Facts::default())).await;
}
