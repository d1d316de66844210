//! `POST /api/v1/events`: records of a platform, or canonical events, into Kafka.
//!
//! 202 says that the brokers have them. Each record is looked at first: one that cannot be read is told by its number and
//! goes nowhere; the others go on. What was answered otherwise may be sent again whole: events have ids.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest, Query, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use futures::future::BoxFuture;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::guard::SourceTopic;
use super::sql::unread;
use super::{Served, problem};

/// How long a request's body may take.
const BODY_TIME: Duration = Duration::from_secs(30);
/// Records of one request.
const RECORDS_MAX: usize = 10_000;
/// Refused records that are told one by one; all are counted.
const TOLD_MAX: usize = 100;

/// Records that someone wants taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The name of their format; `None`: canonical events.
    pub format: Option<String>,
    /// The topic; `None`: the first one of the format.
    pub topic: Option<String>,
    /// What all of them share as a key in Kafka; `None`: the contact or agent of each.
    pub key: Option<String>,
    /// The records.
    pub records: Vec<Vec<u8>>,
}

/// What became of a batch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Taken {
    /// Records that the brokers have.
    pub accepted: usize,
    /// Records that cannot be read: number in the batch from 1, reason, detail.
    pub rejected: Vec<(usize, &'static str, String)>,
}

/// Why a batch was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It names a format or topic that is not there.
    Unknown(String, String),
    /// More comes than the brokers take. Try again in a moment.
    Busy,
    /// The brokers do not take it.
    Outside(String, Option<String>),
}

/// Takes a batch; returns when the brokers have it.
pub type Intake = Arc<dyn Fn(Batch) -> BoxFuture<'static, Result<Taken, Refusal>> + Send + Sync>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    format: Option<String>,
    topic: Option<String>,
    key: Option<String>,
}

/// Takes the records of one request.
pub(super) async fn take(State(served): State<Served>, request: Request) -> Response {
    let Some(intake) = served.site.intake.clone() else {
        return problem(
            StatusCode::NOT_FOUND,
            "no events are taken here",
            Some("`callpulse run` takes them"),
        );
    };
    let asked = match Query::<Asked>::try_from_uri(request.uri()) {
        Ok(Query(asked)) => asked,
        Err(error) => {
            let hint = "known are `format`, `topic` and `key`";
            return problem(
                StatusCode::BAD_REQUEST,
                &format!("the query cannot be read: {error}"),
                Some(hint),
            );
        }
    };
    let kind =
        request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let request_headers = request.headers().clone();
    let own = request.extensions().get::<SourceTopic>().map(|SourceTopic(topic)| topic.clone());
    let body = match tokio::time::timeout(BODY_TIME, Bytes::from_request(request, &())).await {
        Ok(Ok(body)) => body,
        Ok(Err(error)) => return unread(&error),
        Err(_) => return problem(StatusCode::REQUEST_TIMEOUT, "the body took too long", None),
    };
    let attributes = attributes(request_headers.iter());
    let records = match split(&kind, &body).and_then(|records| enveloped(records, &attributes)) {
        Ok(records) => records,
        Err((status, message, hint)) => return problem(status, &message, Some(hint)),
    };
    if records.is_empty() {
        return problem(StatusCode::BAD_REQUEST, "the body holds no record", None);
    }
    if records.len() > RECORDS_MAX {
        let message = format!("the body holds {} records, more than {RECORDS_MAX}", records.len());
        return problem(StatusCode::PAYLOAD_TOO_LARGE, &message, Some("send several requests"));
    }
    let Asked { format, topic, key } = asked;
    let topic = match (own, topic) {
        (Some(own), Some(asked)) if own != asked => {
            return problem(StatusCode::FORBIDDEN, &format!("this token is for the topic `{own}`"), None);
        }
        (own, asked) => own.or(asked),
    };
    match intake(Batch { format, topic, key, records }).await {
        Ok(taken) => told(&taken),
        Err(Refusal::Unknown(message, hint)) => problem(StatusCode::BAD_REQUEST, &message, Some(&hint)),
        Err(Refusal::Busy) => later(StatusCode::TOO_MANY_REQUESTS, "more comes than the brokers take", None),
        Err(Refusal::Outside(message, hint)) => {
            later(StatusCode::SERVICE_UNAVAILABLE, &message, hint.as_deref())
        }
    }
}

fn later(status: StatusCode, message: &str, hint: Option<&str>) -> Response {
    let mut response = problem(status, message, hint.or(Some("nothing is lost: send it again in a moment")));
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

fn told(taken: &Taken) -> Response {
    // Where nothing could be used, the sender must look; else what was good is taken.
    let status = if taken.accepted == 0 { StatusCode::BAD_REQUEST } else { StatusCode::ACCEPTED };
    let rejected: Vec<_> = taken
        .rejected
        .iter()
        .take(TOLD_MAX)
        .map(|(line, reason, detail)| json!({ "line": line, "reason": reason, "detail": detail }))
        .collect();
    let body = json!({ "accepted": taken.accepted, "rejected": taken.rejected.len(), "rejects": rejected });
    (status, Json(body)).into_response()
}

/// The attributes of a CloudEvent in binary mode: headers that begin with `ce-`, by their names.
fn attributes<'h>(headers: impl Iterator<Item = (&'h HeaderName, &'h HeaderValue)>) -> Map<String, Value> {
    let found = headers.filter_map(|(name, value)| {
        let name = name.as_str().strip_prefix("ce-")?;
        Some((name.to_owned(), Value::from(value.to_str().ok()?)))
    });
    found.collect()
}

/// A CloudEvent in binary mode as a structured one, so that its attributes come along; other records as they are.
fn enveloped(records: Vec<Vec<u8>>, attributes: &Map<String, Value>) -> Result<Vec<Vec<u8>>, Unusable> {
    if !attributes.contains_key("specversion") {
        return Ok(records);
    }
    let [record] = &records[..] else {
        let hint = "in binary mode a request is one event; a batch is application/cloudevents-batch+json";
        return Err((StatusCode::BAD_REQUEST, format!("the body holds {} records", records.len()), hint));
    };
    let data: Value = serde_json::from_slice(record).map_err(|error| {
        let hint = "events in binary mode have JSON as their data";
        (StatusCode::BAD_REQUEST, format!("the data of the event is not JSON: {error}"), hint)
    })?;
    let mut event = attributes.clone();
    event.insert("data".to_owned(), data);
    Ok(vec![Value::Object(event).to_string().into_bytes()])
}

/// Why a body is not taken: status, message, hint.
type Unusable = (StatusCode, String, &'static str);

/// The records of a body: the elements of a list, one object, one form, or lines.
fn split(kind: &str, body: &[u8]) -> Result<Vec<Vec<u8>>, Unusable> {
    let lines = || {
        let lines = body.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        lines.filter(|line| !line.trim_ascii().is_empty()).map(<[u8]>::to_vec).collect::<Vec<_>>()
    };
    match kind {
        "application/x-ndjson"
        | "application/jsonl"
        | "application/x-jsonlines"
        | "text/plain"
        | "text/csv" => Ok(lines()),
        // Bytes are one record, as a schema registry's serializer has written it.
        "application/x-www-form-urlencoded" | "application/octet-stream" => Ok(vec![body.to_vec()]),
        "application/json" | "application/cloudevents+json" | "application/cloudevents-batch+json" => {
            if !body.trim_ascii_start().starts_with(b"[") {
                return Ok(vec![body.to_vec()]);
            }
            let items: Vec<&serde_json::value::RawValue> = serde_json::from_slice(body).map_err(|error| {
                let hint = "send one object, a list of objects, or one object a line as application/x-ndjson";
                (StatusCode::BAD_REQUEST, format!("the body is not JSON: {error}"), hint)
            })?;
            Ok(items.into_iter().map(|item| item.get().as_bytes().to_vec()).collect())
        }
        other => {
            let hint =
                "send application/json, application/x-ndjson, text/plain (one record a line) or a form";
            Err((
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                format!("the content type `{other}` is not taken"),
                hint,
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_cut_into_its_records() {
        let parts = |kind: &str, body: &str| -> Vec<String> {
            let parts = split(kind, body.as_bytes()).expect("records");
            parts.into_iter().map(|part| String::from_utf8(part).expect("text")).collect()
        };
        assert_eq!(parts("application/json", "{\"a\":\n1}"), ["{\"a\":\n1}"]);
        assert_eq!(parts("application/json", " [{\"a\":1}, 2]"), ["{\"a\":1}", "2"]);
        assert_eq!(parts("application/x-ndjson", "{}\r\n\n{\"a\":1}\n"), ["{}", "{\"a\":1}"]);
        assert_eq!(parts("text/plain", "1|c|q|a|CONNECT"), ["1|c|q|a|CONNECT"]);
        assert_eq!(parts("application/x-www-form-urlencoded", "A=1&B=2"), ["A=1&B=2"]);
        assert_eq!(parts("application/octet-stream", "\0\0\0\0\u{1}x\n"), ["\0\0\0\0\u{1}x\n"]);
        assert!(split("image/png", b"x").is_err());
        assert!(split("application/json", b"[{}").is_err());
    }

    #[test]
    fn an_event_in_binary_mode_becomes_a_structured_one() {
        let headers: axum::http::HeaderMap =
            [("ce-specversion", "1.0"), ("ce-id", "7"), ("content-type", "application/json")]
                .into_iter()
                .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
                .collect();
        let attributes = attributes(headers.iter());
        let records = |body: &str| vec![body.as_bytes().to_vec()];
        let event = enveloped(records(r#"{"a":1}"#), &attributes).expect("an event").remove(0);
        let event: Value = serde_json::from_slice(&event).expect("JSON");
        assert_eq!(event, json!({"specversion": "1.0", "id": "7", "data": {"a": 1}}));
        assert!(enveloped(records("x"), &attributes).is_err());
        assert!(enveloped(vec![Vec::new(), Vec::new()], &attributes).is_err());
        assert_eq!(enveloped(records("x"), &Map::new()), Ok(records("x")));
    }
}
