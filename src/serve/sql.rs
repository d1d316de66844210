//! `POST /api/v1/sql`: one statement in, rows out as they come.

use std::time::Duration;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use futures::TryStreamExt;
use serde::Deserialize;
use serde_json::json;

use super::guard::{Peer, Who};
use super::{BODY_BYTES_MAX, Served, problem};
use crate::access::Door;
use crate::query::output::{Format, encode};
use crate::query::{Answer, Asking, Error, ErrorKind, catalog};

/// How long a request's body may take.
const BODY_TIME: Duration = Duration::from_secs(30);

/// The header that names whose rows in memory an answer lacks.
const WARNING: &str = "x-callpulse-missing";

fn warning(answer: &Answer) -> Option<HeaderValue> {
    let text = answer.missing.join("; ");
    let plain: String = text.chars().map(|c| if c.is_ascii() && !c.is_control() { c } else { '?' }).collect();
    (!plain.is_empty()).then(|| HeaderValue::from_str(&plain).ok()).flatten()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    sql: String,
}

/// Answers one statement.
pub(super) async fn answer(
    State(served): State<Served>,
    Extension(Who(who)): Extension<Who>,
    Extension(Peer(peer)): Extension<Peer>,
    request: Request,
) -> Response {
    let Some(format) = format(request.headers()) else {
        let hint =
            "accept application/json, text/csv, text/plain (a table) or application/vnd.apache.arrow.stream";
        return problem(StatusCode::NOT_ACCEPTABLE, "no format that is accepted is served", Some(hint));
    };
    let question = match question(request).await {
        Ok(question) => question,
        Err(refusal) => return refusal,
    };
    let asking = Asking::of(who, Door::Http, Some(peer));
    let started = match served.site.engine.ask(&asking, &question.sql).await {
        Ok(answer) => answer.started().await,
        Err(error) => Err(error),
    };
    match started {
        Ok(answer) => {
            let warning = warning(&answer);
            // A fault from here on cuts the connection, as the status is already sent.
            let rows =
                encode(answer, format).inspect_err(|error| tracing::warn!(%error, "an answer was cut off"));
            let mut response =
                ([(header::CONTENT_TYPE, format.media_type())], Body::from_stream(rows)).into_response();
            if let Some(warning) = warning {
                response.headers_mut().insert(WARNING, warning);
            }
            response
        }
        Err(error) => fault(&error),
    }
}

/// What can be asked: tables, views, functions and KPIs with their meaning, and the centre's zone.
pub(super) async fn catalog(State(served): State<Served>) -> Response {
    let options = served.site.engine.options();
    let mut whole = catalog::as_json(options, &[]);
    if let Some(members) = whole.as_object_mut() {
        // The metrics' names are another room's; `callpulse catalog` has them.
        members.remove("metrics");
        members.insert("timezone".to_owned(), json!(options.grid.zone().name()));
    }
    Json(whole).into_response()
}

/// Reads the body. Only `application/json` is read: a page from elsewhere cannot send it unasked.
async fn question(request: Request) -> Result<Question, Response> {
    let is_json =
        request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).is_some_and(|kind| {
            kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
        });
    if !is_json {
        let hint = "send `content-type: application/json`";
        return Err(problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the body must be JSON", Some(hint)));
    }
    let body = match tokio::time::timeout(BODY_TIME, Bytes::from_request(request, &())).await {
        Ok(body) => body.map_err(|error| unread(&error))?,
        Err(_) => return Err(problem(StatusCode::REQUEST_TIMEOUT, "the body took too long", None)),
    };
    serde_json::from_slice(&body).map_err(|error| {
        let hint = "send an object like {\"sql\": \"SELECT 1\"}";
        problem(StatusCode::BAD_REQUEST, &format!("the body cannot be read: {error}"), Some(hint))
    })
}

pub(super) fn unread(error: &BytesRejection) -> Response {
    let message = match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => format!("the body is longer than {BODY_BYTES_MAX} bytes"),
        _ => "the body could not be read".to_owned(),
    };
    problem(error.status(), &message, None)
}

/// The first format that the client accepts, by its own preference; JSON where it has none.
fn format(headers: &HeaderMap) -> Option<Format> {
    let accepted: Vec<&str> =
        headers.get_all(header::ACCEPT).iter().filter_map(|value| HeaderValue::to_str(value).ok()).collect();
    if accepted.is_empty() {
        return Some(Format::Json);
    }
    let mut best: Option<(Format, f32)> = None;
    for range in accepted.iter().flat_map(|line| line.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let format = match parts.next().unwrap_or_default().to_ascii_lowercase().as_str() {
            "*/*" | "application/*" | "application/json" => Format::Json,
            "text/csv" | "text/*" => Format::Csv,
            "text/plain" => Format::Table,
            "application/vnd.apache.arrow.stream" => Format::Arrow,
            _ => continue,
        };
        let weight = parts.find_map(|part| part.strip_prefix("q=")).map_or(1.0, |q| q.parse().unwrap_or(0.0));
        if weight > best.map_or(0.0, |(_, best)| best) {
            best = Some((format, weight));
        }
    }
    best.map(|(format, _)| format)
}

/// A fault of the query, with its place.
pub(super) fn fault(error: &Error) -> Response {
    let status = match error.kind {
        ErrorKind::Sql | ErrorKind::Refused => StatusCode::BAD_REQUEST,
        ErrorKind::Denied => StatusCode::FORBIDDEN,
        ErrorKind::TimedOut => StatusCode::GATEWAY_TIMEOUT,
        ErrorKind::Busy | ErrorKind::Unready => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Memory => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorKind::Outside => StatusCode::BAD_GATEWAY,
        ErrorKind::Bug => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let body = json!({
        "error": error.message, "hint": error.hint, "line": error.line, "column": error.column,
    });
    (status, Json(body)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_s_preference_decides() {
        let choose = |accept: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, accept.parse().expect("a header of the test"));
            format(&headers)
        };
        assert_eq!(format(&HeaderMap::new()), Some(Format::Json));
        assert_eq!(choose("*/*"), Some(Format::Json));
        assert_eq!(choose("text/html, text/csv;q=0.9, */*;q=0.1"), Some(Format::Csv));
        assert_eq!(choose("application/vnd.apache.arrow.stream"), Some(Format::Arrow));
        assert_eq!(choose("image/png"), None);
        assert_eq!(choose("text/csv;q=0"), None);
    }
}
