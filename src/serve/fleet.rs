//! `POST /api/v1/fleet/rows`: what this instance has in memory, for the others of its fleet; not for people.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::future::BoxFuture;

use super::{Served, problem};

/// What answers: bytes of a question to bytes of an answer, or what is wrong with the question.
pub type FleetRows = Arc<dyn Fn(Bytes) -> BoxFuture<'static, Result<Vec<u8>, String>> + Send + Sync>;

/// Answers one question.
pub(super) async fn rows(State(served): State<Served>, question: Bytes) -> Response {
    let Some(rows) = &served.site.fleet else {
        let hint = "instances answer each other where `kafka.fleet_topic` is set";
        return problem(StatusCode::NOT_FOUND, "this instance is alone", Some(hint));
    };
    match rows(question).await {
        Ok(rows) => ([(header::CONTENT_TYPE, "application/octet-stream")], rows).into_response(),
        Err(why) => problem(StatusCode::BAD_REQUEST, &format!("the question cannot be read: {why}"), None),
    }
}
