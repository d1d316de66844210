//! The matrix: each role and each table and view, generated from the catalogue; and the ways round that were thought of.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use async_trait::async_trait;

use super::*;
use crate::access::{Audit, Door};
use crate::facts::{ColumnType, TABLES, TableSet};
use crate::query::{Answer, Asking, Cut, Engine, Options, Source};
use crate::time::{Grid, SystemClock, parse_time};

/// Who the rows are about.
const WHO: [&str; 2] = ["one", "two"];
/// What a text of people holds and nobody but some may see.
const PHONE: &str = "13800138000";

struct Held(Cut);

#[async_trait]
impl Source for Held {
    async fn cut(&self, _wanted: TableSet) -> Result<Cut, Error> {
        Ok(self.0.clone())
    }
}

/// A row about each of two: every column tells whose it is by its value. `shared`: they handled the same contact.
fn batch(table: &'static Table, shared: bool) -> RecordBatch {
    let now = parse_time("2026-11-20T01:00:00Z").expect("a time") * 1000;
    let columns = table.columns.iter().map(|column| -> ArrayRef {
        let text = |of: &dyn Fn(&str) -> String| -> ArrayRef {
            Arc::new(WHO.iter().map(|who| Some(of(who))).collect::<StringArray>())
        };
        match column.kind {
            ColumnType::Text => match column.name {
                "contact_id" if shared => text(&|_| "contact-one".to_owned()),
                "contact_id" => text(&|who| format!("contact-{who}")),
                "agent_id" | "first_agent" | "last_agent" => text(&|who| format!("agent-{who}")),
                "department" => text(&|who| format!("department-{who}")),
                "customer_id" => text(&|who| format!("customer-{who}")),
                "channel" => text(&|_| "voice".to_owned()),
                "direction" => text(&|_| "inbound".to_owned()),
                "state" => text(&|_| "available".to_owned()),
                "type" => text(&|_| "contact.missed".to_owned()),
                "outcome" => text(&|_| "answered".to_owned()),
                "queues" => text(&|_| "[]".to_owned()),
                "id" | "complaint_id" | "promise_id" | "shift_id" => text(&|who| format!("id-{who}")),
                _ => text(&|who| format!("words-{who} {PHONE}")),
            },
            ColumnType::Int => Arc::new(Int64Array::from(vec![1, 2])),
            ColumnType::Float => Arc::new(Float64Array::from(vec![0.5, -0.5])),
            ColumnType::Bool => Arc::new(BooleanArray::from(vec![true, true])),
            ColumnType::Time => {
                Arc::new(TimestampMicrosecondArray::from(vec![now, now + 1_000_000]).with_timezone("UTC"))
            }
            ColumnType::Date => Arc::new(Date32Array::from(vec![20_777, 20_777])),
        }
    });
    RecordBatch::try_new(table.schema(), columns.collect()).expect("the table's own columns")
}

fn engine() -> (Engine, Arc<Audit>) {
    engine_of(false)
}

fn engine_of(shared: bool) -> (Engine, Arc<Audit>) {
    let tables = TABLES.iter().filter(|table| table.name != "restatements");
    let memory = tables.map(|table| (*table, batch(table, shared)));
    let mut cut = Cut::empty(parse_time("2026-11-20T02:00:00Z").expect("a time"));
    cut.memory = memory.collect();
    let audit = Arc::new(Audit::kept_in_memory(Arc::new(SystemClock)));
    let grid = Grid::new(chrono_tz::Asia::Shanghai, 30).expect("a grid");
    let engine = Engine::new(Options::new(grid), Arc::new(Held(cut))).expect("an engine");
    (engine.with_audit(Arc::clone(&audit)).with_pseudonym_key(Some(b"a key of the test")), audit)
}

fn asking(role: Role) -> Asking {
    let who = Identity {
        user: role.name().to_owned(),
        role,
        agent_id: Some("agent-one".to_owned()),
        departments: vec!["department-one".to_owned()],
    };
    Asking::new(who, Door::Http, None)
}

/// Every cell of an answer as text.
async fn cells(engine: &Engine, role: Role, sql: &str) -> Result<Vec<String>, Error> {
    let answer: Answer = engine.ask(&asking(role), sql).await?;
    let options = FormatOptions::default();
    let mut cells = Vec::new();
    for batch in answer.collect().await? {
        for column in batch.columns() {
            let formatter = ArrayFormatter::try_new(column, &options).expect("a column that can be shown");
            cells.extend((0..batch.num_rows()).map(|row| formatter.value(row).to_string()));
        }
    }
    Ok(cells)
}

/// What tells of somebody else than the reader.
const FOREIGN: [&str; 5] = ["contact-two", "agent-two", "department-two", "customer-two", "words-two"];

#[tokio::test]
async fn each_role_sees_of_each_table_and_view_what_was_decided() {
    let (engine, _) = engine();
    let names: Vec<&str> = TABLES.iter().map(|table| table.name).collect();
    let views: Vec<&str> = engine.views().iter().map(|view| view.name).collect();
    let mut checked = 0;
    for role in Role::ALL {
        for name in names.iter().chain(&views) {
            let sql = format!("SELECT * FROM {name}");
            let found = cells(&engine, role, &sql).await;
            let policy = policy(name);
            let is_table = names.contains(name);
            checked += 1;
            let about_people = *name == "exposure" && role == Role::Analyst;
            if about_people || is_table && policy.rows == Rows::Admin && role != Role::Admin {
                let fault = found.expect_err(name);
                assert_eq!(fault.kind, ErrorKind::Denied, "{role:?} {name}: {fault}");
                continue;
            }
            let found = found.unwrap_or_else(|error| panic!("{role:?} {name}: {error}"));
            let seen = |what: &str| found.iter().any(|cell| cell.contains(what));
            match role {
                Role::Agent | Role::Lead if policy.rows != Rows::Everyone || !is_table => {
                    for foreign in FOREIGN {
                        assert!(!seen(foreign), "{role:?} sees `{foreign}` in {name}: {found:?}");
                    }
                    // Rows that are the reader's are there, so that the test does not pass on emptiness. What belongs to
                    // departments alone (forecasts) no agent owns.
                    let owns = match policy.rows {
                        Rows::Related { agent, contact, .. } => {
                            role == Role::Lead || contact || !agent.is_empty()
                        }
                        Rows::Everyone | Rows::Admin => true,
                    };
                    if is_table && owns && name != &"restatements" {
                        assert!(!found.is_empty(), "{role:?} sees nothing of its own in {name}");
                    }
                }
                Role::Analyst => {
                    assert!(!seen("customer-"), "an analyst sees a customer in {name}: {found:?}");
                }
                Role::Admin if is_table && name != &"restatements" => {
                    assert!(found.len() >= 2, "an administrator sees too little in {name}");
                }
                _ => {}
            }
            if is_table && role != Role::Admin {
                let texts: Vec<&str> = table_texts(name).collect();
                for text in texts {
                    let told =
                        cells(&engine, role, &format!("SELECT \"{text}\" FROM {name}")).await.expect(name);
                    for cell in told.iter().filter(|cell| cell.contains(PHONE)) {
                        let own = role == Role::Supervisor && cell.contains("words-one");
                        assert!(own, "{role:?} reads `{cell}` in {name}.{text}");
                    }
                }
            }
        }
    }
    assert_eq!(checked, Role::ALL.len() * (names.len() + views.len()));
    // The catalogue tells a reader of no more than that.
    for role in Role::ALL {
        let listed =
            cells(&engine, role, "SELECT table_name FROM information_schema.tables").await.expect("tables");
        assert_eq!(listed.iter().any(|name| name == "rejects"), role == Role::Admin, "{role:?}: {listed:?}");
        assert!(listed.iter().any(|name| name == "kpi_slot"), "{role:?}: {listed:?}");
    }
}

fn table_texts(name: &str) -> impl Iterator<Item = &'static str> {
    let table = facts::table(name).expect("a table");
    let policy = policy(name);
    let texts = policy.texts.iter().chain(policy.raw).copied();
    texts
        .filter(|text| table.columns.iter().any(|column| column.name == *text))
        .collect::<Vec<_>>()
        .into_iter()
}

#[tokio::test]
async fn of_a_contact_that_both_handled_an_agent_sees_nothing_that_names_the_other() {
    let (engine, _) = engine_of(true);
    // Rows that are somebody's own; a contact and its words are those of all who had a part in it.
    let of_agents =
        |name: &&str| matches!(policy(name).rows, Rows::Related { agent, .. } if !agent.is_empty());
    let names = TABLES.iter().map(|table| table.name).filter(of_agents);
    let views = ["agent_day", "agent_month", "findings", "exposure", "live_agents", "adherence_day"];
    for name in names.chain(views) {
        let found = cells(&engine, Role::Agent, &format!("SELECT * FROM {name}")).await.expect(name);
        assert!(!found.iter().any(|cell| cell.contains("agent-two")), "{name}: {found:?}");
    }
    let messages = cells(&engine, Role::Agent, "SELECT count(*) FROM messages").await.expect("a number");
    assert_eq!(messages, ["2"], "what was said in the contact is seen whole");
}

#[tokio::test]
async fn a_supervisor_reads_texts_of_the_own_department() {
    let (engine, _) = engine();
    let texts = cells(&engine, Role::Supervisor, "SELECT text FROM messages ORDER BY contact_id")
        .await
        .expect("texts");
    assert_eq!(texts, ["words-one 13800138000", "words-two 138****8000"]);
    let texts = cells(&engine, Role::Lead, "SELECT text FROM messages").await.expect("texts");
    assert_eq!(texts, ["words-one 138****8000"]);
}

#[tokio::test]
async fn there_is_no_way_round() {
    let (engine, audit) = engine();
    let attempts = [
        "SELECT * FROM legs WHERE agent_id = 'agent-two' OR true",
        "SELECT * FROM contacts WHERE contact_id IN (SELECT contact_id FROM legs) OR 1 = 1",
        "SELECT * FROM contacts a JOIN contacts b ON true",
        "WITH x AS (SELECT * FROM messages) SELECT * FROM x UNION ALL SELECT * FROM messages",
        "SELECT (SELECT max(customer_id) FROM contacts), (SELECT min(text) FROM messages)",
        "SELECT array_agg(contact_id) FROM contacts",
        "SELECT * FROM callpulse.public.contacts",
        "EXPLAIN SELECT * FROM contacts WHERE customer_id <> 'x'",
        "EXPLAIN VERBOSE SELECT * FROM live_agents",
        "SELECT * FROM information_schema.views",
        "SELECT * FROM information_schema.columns",
        "DESCRIBE contacts",
        "SHOW TABLES",
        // What would fail on a foreign row must not be worked out on it.
        "SELECT 1 / (CASE WHEN agent_id = 'agent-two' THEN 0 ELSE 1 END) FROM legs",
        "SELECT * FROM legs WHERE 1 / (CASE WHEN agent_id = 'agent-two' THEN 0 ELSE 1 END) = 1",
        "SELECT * FROM messages WHERE 1 / (CASE WHEN text LIKE 'words-two%' THEN 0 ELSE 1 END) = 1",
        "SELECT * FROM contacts WHERE CAST(replace(customer_id, 'customer-one', '1') AS BIGINT) = 1",
        "SELECT count(*) FROM contacts HAVING count(*) = 1",
    ];
    for role in [Role::Agent, Role::Lead] {
        for sql in attempts {
            let found =
                cells(&engine, role, sql).await.unwrap_or_else(|error| panic!("{role:?} {sql}: {error}"));
            for foreign in FOREIGN {
                assert!(
                    !found.iter().any(|cell| cell.contains(foreign)),
                    "{role:?} sees `{foreign}` by {sql}"
                );
            }
        }
        let counted = cells(&engine, role, "SELECT count(*) FROM contacts").await.expect("a count");
        assert_eq!(counted, ["1"], "{role:?}");
        for sql in [
            "EXPLAIN ANALYZE SELECT * FROM contacts",
            "SELECT * FROM rejects",
            "SELECT count(*) FROM rejects",
            "SELECT * FROM information_schema.df_settings",
            "SELECT pseudonym('customer-one')",
            "SELECT masked('x')",
            "SELECT * FROM '/etc/passwd'",
            "COPY contacts TO '/tmp/x.csv'",
            "CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '/etc/passwd'",
            "SET datafusion.execution.batch_size = 1",
        ] {
            let fault = cells(&engine, role, sql).await.expect_err(sql);
            assert!(!FOREIGN.iter().any(|foreign| fault.to_string().contains(foreign)), "{sql}: {fault}");
        }
    }
    let lines = audit.kept();
    let is_there = |what: &str, outcome: &str| {
        lines.iter().any(|line| line["what"] == what && line["outcome"] == outcome && line["user"] == "agent")
    };
    assert!(is_there("SELECT * FROM rejects", "refused"), "{lines:?}");
    assert!(is_there("SELECT count(*) FROM contacts", "done"), "{lines:?}");
    let counted = lines.iter().find(|line| line["what"] == "SELECT count(*) FROM contacts").expect("a line");
    assert_eq!((&counted["rows"], &counted["role"]), (&serde_json::json!(1), &serde_json::json!("agent")));
}

#[tokio::test]
async fn who_has_no_agent_or_department_sees_nothing() {
    let (engine, _) = engine();
    for role in [Role::Agent, Role::Lead] {
        let who = Identity { user: "nobody".to_owned(), role, agent_id: None, departments: Vec::new() };
        let asking = Asking::new(who, Door::Http, None);
        for table in ["contacts", "legs", "messages", "handlings", "agent_states"] {
            let answer = engine.ask(&asking, &format!("SELECT * FROM {table}")).await.expect("an answer");
            let rows: usize = answer.collect().await.expect("rows").iter().map(RecordBatch::num_rows).sum();
            assert_eq!(rows, 0, "{role:?} {table}");
        }
    }
}

#[test]
fn every_table_has_a_decision() {
    for table in TABLES {
        assert!(
            POLICIES.iter().any(|policy| policy.table == table.name),
            "`{}` has no decision in POLICIES: whose are its rows, which columns are personal?",
            table.name
        );
    }
}

#[test]
fn every_decision_finds_its_columns() {
    for table in TABLES {
        let policy = policy(table.name);
        let has = |name: &&str| table.columns.iter().any(|column| column.name == *name);
        if let Rows::Related { agent, department, contact } = policy.rows {
            let found =
                agent.iter().any(has) || department.iter().any(has) || (contact && has(&"contact_id"));
            assert!(found, "nobody but administrators and analysts would see a row of `{}`", table.name);
        }
        // What looks like a customer or a text is decided upon.
        for column in table.columns {
            let named = policy.personal.contains(&column.name)
                || policy.texts.contains(&column.name)
                || policy.raw.contains(&column.name)
                || policy.rows == Rows::Admin;
            let looks = ["customer_id", "text", "comment", "payload", "attributes"].contains(&column.name);
            assert!(named || !looks, "`{}.{}` is personal and not decided upon", table.name, column.name);
        }
    }
}

#[test]
fn a_pseudonym_is_the_same_for_the_same_person_only() {
    let key = PseudonymKey::new(b"a key of the test");
    assert_eq!(key.pseudonym("c-1"), key.pseudonym("c-1"));
    assert_ne!(key.pseudonym("c-1"), key.pseudonym("c-2"));
    assert_ne!(key.pseudonym("c-1"), PseudonymKey::new(b"another").pseudonym("c-1"));
    assert_eq!(key.pseudonym("c-1").len(), 18);
}
