//! `/contacts/ID` and `/api/v1/contacts/ID`: all that is known of one contact, as one object.
//!
//! Invariant: the parts of an answer come from one statement, so that they belong together.

use std::fmt::Write;

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use bytes::Bytes;
use futures::TryStreamExt;
use serde_json::{Map, Value, json};

use super::guard::{Peer, Who};
use super::{Served, page, problem, sql};
use crate::access::Door;
use crate::facts::{COMPLAINTS, EVENTS, HANDLINGS, LEGS, MESSAGES, PROMISES, RESTATEMENTS, SURVEYS, Table};
use crate::query::output::{Format, encode};
use crate::query::{Asking, Error};

/// The longest id that is looked for, in bytes: 128 characters of four bytes, as events may have.
const ID_BYTES_MAX: usize = 512;
/// Rows of one part; a contact with more is read with SQL.
const ROWS_MAX: usize = 2_000;
/// What the rows of legs and handlings do not tell of a contact's course.
const MOMENTS: &str = "'contact.bot_started', 'contact.bot_ended', 'contact.offered', 'contact.missed', 'contact.held', \
                       'contact.resumed'";
/// The columns of `events` that tell of it.
const MOMENT_COLUMNS: [&str; 8] = ["id", "type", "time", "agent_id", "queue", "detail", "passed_to", "by"];

/// The page; 404 where nothing is known of the contact, with the page that says so.
pub(super) async fn shown(
    State(served): State<Served>,
    Extension(Who(who)): Extension<Who>,
    Extension(Peer(peer)): Extension<Peer>,
    Path(id): Path<String>,
) -> Response {
    let reader = Asking::of(who, Door::Http, Some(peer));
    // A fault is for the page to show, which asks by itself.
    let status = match row(&served, &reader, &id).await {
        Ok(None) => StatusCode::NOT_FOUND,
        Ok(Some(_)) | Err(_) => StatusCode::OK,
    };
    (status, page::contact().await).into_response()
}

/// The contact as JSON: `contact`, `legs`, `handlings`, `messages`, `moments`, `restatements`, `surveys`, `complaints`,
/// `promises`, `now` and `timezone`. Whoever sends the tag of what it has gets 304 while the contact's course is the same.
pub(super) async fn told(
    State(served): State<Served>,
    Extension(Who(who)): Extension<Who>,
    Extension(Peer(peer)): Extension<Peer>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    let reader = Asking::of(who, Door::Http, Some(peer));
    let contact = match row(&served, &reader, &id).await {
        Ok(Some(contact)) => contact,
        Ok(None) => {
            let hint = "ids are told apart by every character; `SELECT contact_id FROM contacts` lists them";
            return problem(StatusCode::NOT_FOUND, &format!("there is no contact `{id}`"), Some(hint));
        }
        Err(error) => return sql::fault(&error),
    };
    let tag = tag(&contact);
    let held = headers.get(header::IF_NONE_MATCH).is_some_and(|held| held.as_bytes() == tag.as_bytes());
    if held {
        return (StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response();
    }
    let mut whole = Map::new();
    match rows(&served, &reader, &parts(&id, contact["date"].as_str())).await {
        Ok(found) => {
            let parts = found.into_iter().next().and_then(|row| match row {
                Value::Object(parts) => Some(parts),
                _ => None,
            });
            for (name, rows) in parts.unwrap_or_default() {
                // Where a part has no rows, their array is NULL.
                whole.insert(name, if rows.is_null() { json!([]) } else { rows });
            }
        }
        Err(error) => return sql::fault(&error),
    }
    whole.insert("contact".to_owned(), contact);
    whole.insert("now".to_owned(), json!(served.site.clock.now()));
    whole.insert("timezone".to_owned(), json!(served.site.engine.options().grid.zone().name()));
    ([(header::ETAG, tag)], Json(Value::Object(whole))).into_response()
}

/// The row of `contacts`, where there is one.
async fn row(served: &Served, reader: &Asking, id: &str) -> Result<Option<Value>, Error> {
    if id.is_empty() || id.len() > ID_BYTES_MAX {
        return Ok(None);
    }
    let sql = format!("SELECT * FROM contacts WHERE contact_id = {} LIMIT 1", quoted(id));
    Ok(rows(served, reader, &sql).await?.into_iter().next())
}

/// The rows of a statement as this reader may see them; the one place where this room's contacts are asked for.
async fn rows(served: &Served, reader: &Asking, sql: &str) -> Result<Vec<Value>, Error> {
    let answer = served.site.engine.ask(reader, sql).await?;
    let parts: Vec<Bytes> = encode(answer, Format::Json).try_collect().await?;
    Ok(serde_json::from_slice(&parts.concat()).expect("our own encoder writes JSON"))
}

/// What tells one state of a contact's course from another.
fn tag(contact: &Value) -> HeaderValue {
    let mut text = String::from("\"");
    for name in ["revision", "ended_at", "handle_ms", "wait_ms", "outcome"] {
        let value = match &contact[name] {
            Value::String(value) => value.clone(),
            value => value.to_string(),
        };
        let _ = write!(text, "{value}/");
    }
    text.push('"');
    HeaderValue::from_str(&text).expect("numbers, times and outcomes are plain ASCII")
}

/// One statement that gives each part as an array of objects. `date` is the centre's date of the contact's first event:
/// nothing of the contact is older, so older files need not be read.
fn parts(id: &str, date: Option<&str>) -> String {
    let of_contact = format!("contact_id = {}", quoted(id));
    let since = date.map(|date| format!(" AND date >= DATE {}", quoted(date))).unwrap_or_default();
    let part = |name: &str, table: &Table, columns: &[&str], only: &str, order: &str| {
        let members: Vec<String> = columns.iter().map(|column| format!("'{column}', \"{column}\"")).collect();
        let (members, table) = (members.join(", "), table.name);
        format!(
            "(SELECT array_agg(named_struct({members}) ORDER BY {order}) FROM \
             (SELECT * FROM {table} WHERE {only} ORDER BY {order} LIMIT {ROWS_MAX})) AS {name}"
        )
    };
    let whole = |name: &str, table: &Table, only: &str, order: &str| {
        let columns: Vec<&str> = table.columns.iter().map(|column| column.name).collect();
        part(name, table, &columns, only, order)
    };
    let dated = format!("{of_contact}{since}");
    let moments = format!("{dated} AND type IN ({MOMENTS})");
    let parts = [
        whole("legs", &LEGS, &dated, "leg"),
        whole("handlings", &HANDLINGS, &dated, "handling"),
        whole("messages", &MESSAGES, &dated, "\"time\", id"),
        part("moments", &EVENTS, &MOMENT_COLUMNS, &moments, "\"time\", id"),
        // A correction, and what is said afterwards, has a date of its own.
        whole("restatements", &RESTATEMENTS, &of_contact, "old_revision"),
        whole("surveys", &SURVEYS, &of_contact, "\"time\", id"),
        whole("complaints", &COMPLAINTS, &of_contact, "complaint_id"),
        whole("promises", &PROMISES, &of_contact, "promise_id"),
    ];
    format!("SELECT {}", parts.join(", "))
}

/// A text as SQL has it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_stays_a_text() {
        assert_eq!(quoted("a'b"), "'a''b'");
        assert_eq!(quoted("\\' OR '1'='1"), "'\\'' OR ''1''=''1'");
    }

    #[test]
    fn the_tag_tells_states_apart() {
        let contact =
            json!({ "revision": 4, "ended_at": null, "handle_ms": 0, "wait_ms": 10, "outcome": null });
        let mut later = contact.clone();
        later["ended_at"] = json!("2026-11-20T02:10:31.062Z");
        assert_eq!(tag(&contact), "\"4/null/0/10/null/\"");
        assert_ne!(tag(&contact), tag(&later));
    }
}
