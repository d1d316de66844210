//! The pages as files, and what they ask the server for.

use std::collections::BTreeSet;

use super::*;
use crate::facts::{ContactRow, Facts, HandlingRow, LegRow, MessageRow, TableSet};
use crate::time::SECOND;

/// A name that no page loads anything from; SVG elements have it.
const SVG_NAMESPACE: &str = "http://www.w3.org/2000/svg";

/// One contact that was answered and is over, with two utterances, and one that waits; their ids are awkward on purpose.
struct Two;

const OVER: &str = "o'brien/1";
const WAITS: &str = "等待 100%";

#[async_trait]
impl Source for Two {
    async fn cut(&self, _wanted: TableSet) -> Result<Cut, Error> {
        let mut rows = Facts::default();
        let began = NOW - 300 * SECOND;
        let date = Some(Grid::new(Shanghai, 30).expect("a grid").date(began));
        rows.contacts.push(&ContactRow {
            contact_id: Some(OVER),
            channel: Some("chat"),
            started_at: Some(began),
            ended_at: Some(began + 90 * SECOND),
            outcome: Some("answered"),
            messages: Some(2),
            revision: Some(7),
            date,
            ..ContactRow::default()
        });
        rows.contacts.push(&ContactRow {
            contact_id: Some(WAITS),
            started_at: Some(NOW - 20 * SECOND),
            revision: Some(1),
            date,
            ..ContactRow::default()
        });
        rows.legs.push(&LegRow {
            contact_id: Some(OVER),
            leg: Some(1),
            queue: Some("sales"),
            queued_at: Some(began),
            answered_at: Some(began + 10 * SECOND),
            left_at: Some(began + 10 * SECOND),
            wait_ms: Some(10 * SECOND),
            outcome: Some("answered"),
            revision: Some(7),
            date,
            ..LegRow::default()
        });
        rows.handlings.push(&HandlingRow {
            contact_id: Some(OVER),
            handling: Some(1),
            leg: Some(1),
            agent_id: Some("li"),
            started_at: Some(began + 10 * SECOND),
            revision: Some(7),
            date,
            ..HandlingRow::default()
        });
        // Out of order, as they may have come.
        for (id, after, text) in [("m2", 30, "second"), ("m1", 20, "first")] {
            rows.messages.push(&MessageRow {
                contact_id: Some(OVER),
                id: Some(id),
                time: Some(began + after * SECOND),
                speaker: Some("customer"),
                text: Some(text),
                is_final: Some(true),
                date,
                ..MessageRow::default()
            });
        }
        rows.messages.push(&MessageRow {
            contact_id: Some("another"),
            id: Some("m3"),
            text: Some("of somebody else"),
            date,
            ..MessageRow::default()
        });
        Ok(Cut { memory: rows.peek(TableSet::ALL), ..Cut::empty(NOW) })
    }
}

/// An id as a part of a path.
fn path_of(prefix: &str, id: &str) -> String {
    let mut path = prefix.to_owned();
    for byte in id.bytes() {
        path.push_str(&format!("%{byte:02X}"));
    }
    path
}

async fn json_of(request: RequestBuilder) -> Value {
    let (status, _, body) = send(request).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    serde_json::from_str(&body).expect("JSON")
}

#[tokio::test]
async fn the_pages_bring_everything_themselves() {
    let running = start(true).await;
    for (path, script) in [
        ("/", "/wallboard.js"),
        ("/alerts", "/alerts.js"),
        ("/sql", "/sql.js"),
        ("/contacts/x", "/contact.js"),
    ] {
        let page = send(running.get(path)).await.2;
        assert!(!page.contains("<script>") && !page.contains("style=") && !page.contains("//"), "{page}");
        assert!(page.contains(script), "{path}");
        let served: BTreeSet<&str> = routes().into_iter().map(|(path, _, _)| path).collect();
        for file in page.split(['"']).filter(|part| part.starts_with('/') && part.contains('.')) {
            assert!(served.contains(file), "{path} wants {file}");
        }
        let mut scripts = String::new();
        for file in [script, "/common.js", "/chart.js"] {
            scripts += &send(running.get(file)).await.2;
        }
        let elsewhere = scripts.replace(SVG_NAMESPACE, "");
        assert!(
            !elsewhere.contains("http:") && !elsewhere.contains("https:") && !elsewhere.contains("innerHTML")
        );
        assert!(!elsewhere.contains("document.write") && !elsewhere.contains("eval("));
        // Each text that the page asks for is there in both languages.
        for mark in ["data-text=\"", "data-label=\"", "data-hint=\""] {
            for name in page.split(mark).skip(1).filter_map(|rest| rest.split('"').next()) {
                let is_there = |language: &str| {
                    let texts = scripts.split(language).skip(1);
                    texts.filter_map(|rest| rest.split("\n  },").next()).any(|texts| {
                        texts.contains(&format!(" {name}: \"")) || texts.contains(&format!(" {name}: ("))
                    })
                };
                assert!(is_there("\n  en: {") && is_there("\n  zh: {"), "{path}: {name}");
            }
        }
    }
}

#[tokio::test]
async fn the_examples_have_both_titles_and_are_answered() {
    let running = start_with(true, Arc::new(Two), Alerts::none()).await;
    let examples = json_of(running.get("/sql-examples.json")).await;
    let examples = examples.as_array().expect("a list");
    assert!(examples.len() >= 10);
    for example in examples {
        let title = |language: &str| example[language].as_str().expect("a title").to_owned();
        assert!(!title("en").is_empty() && title("zh").chars().any(|c| c > '\u{2e80}'), "{example}");
        let (status, _, body) = send(running.sql(example["sql"].as_str().expect("a statement"))).await;
        assert_eq!(status, StatusCode::OK, "{}: {body}", title("en"));
    }
}

#[tokio::test]
async fn a_contact_is_told_whole() {
    let running = start_with(true, Arc::new(Two), Alerts::none()).await;
    let told = json_of(running.get(&path_of("/api/v1/contacts/", OVER))).await;
    assert_eq!(told["contact"]["contact_id"], OVER);
    assert_eq!((&told["now"], &told["timezone"]), (&json!(NOW), &json!("Asia/Shanghai")));
    assert_eq!(told["legs"][0]["wait_ms"], 10_000);
    assert_eq!(told["legs"][0]["queued_at"], told["contact"]["started_at"]);
    assert_eq!(told["handlings"][0]["agent_id"], "li");
    let texts: Vec<&Value> =
        told["messages"].as_array().expect("a list").iter().map(|row| &row["text"]).collect();
    assert_eq!(texts, ["first", "second"]);
    for part in ["moments", "restatements", "surveys", "complaints", "promises"] {
        assert_eq!(told[part], json!([]), "{part}");
    }
    let told = json_of(running.get(&path_of("/api/v1/contacts/", WAITS))).await;
    assert_eq!((&told["contact"]["contact_id"], &told["contact"]["ended_at"]), (&json!(WAITS), &Value::Null));
    assert_eq!(send(running.get(&path_of("/contacts/", WAITS))).await.0, StatusCode::OK);
}

#[tokio::test]
async fn an_unknown_contact_is_said_to_be_unknown() {
    let running = start_with(true, Arc::new(Two), Alerts::none()).await;
    let long = "x".repeat(600);
    for id in ["nobody", "' OR '1'='1", "o'brien", "\\' OR 1=1 --", "%", long.as_str()] {
        let (status, _, body) = send(running.get(&path_of("/api/v1/contacts/", id))).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{id}");
        assert!(body.contains("there is no contact"), "{body}");
        let (status, headers, body) = send(running.get(&path_of("/contacts/", id))).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{id}");
        // The page itself says so, in the reader's language.
        assert!(headers["content-type"].to_str().expect("text").starts_with("text/html"));
        assert!(body.contains("/contact.js"));
    }
}

#[tokio::test]
async fn a_contact_that_is_the_same_is_not_told_again() {
    let running = start_with(true, Arc::new(Two), Alerts::none()).await;
    let path = path_of("/api/v1/contacts/", OVER);
    let (_, headers, _) = send(running.get(&path)).await;
    let tag = headers["etag"].to_str().expect("text").to_owned();
    let (status, headers, body) = send(running.get(&path).header("if-none-match", &tag)).await;
    assert_eq!((status, body.as_str()), (StatusCode::NOT_MODIFIED, ""));
    assert_eq!(headers["etag"], tag.as_str());
    let (status, _, _) = send(running.get(&path).header("if-none-match", "\"older\"")).await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn the_catalogue_tells_what_can_be_asked() {
    let running = start(true).await;
    let told = json_of(running.get("/api/v1/catalog")).await;
    assert_eq!(told["timezone"], "Asia/Shanghai");
    for (group, name) in [("tables", "legs"), ("views", "kpi_slot")] {
        let found = told[group].as_array().expect("a list").iter().find(|table| table["name"] == name);
        let columns = found.expect("a table")["columns"].as_array().expect("columns");
        assert!(columns.iter().all(|column| !column["means"].as_str().expect("text").is_empty()));
    }
    assert!(!told["functions"].as_array().expect("a list").is_empty() && told.get("metrics").is_none());
}
