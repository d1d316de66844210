//! `/healthz` and `/readyz`: for whoever watches over the process.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use serde_json::json;

use super::Served;

/// How the service is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// It makes progress; if not, it should be started again.
    pub alive: bool,
    /// It consumes and is caught up.
    pub ready: bool,
    /// Why it is not.
    pub reasons: Vec<String>,
}

/// 200 while the process makes progress.
pub(super) async fn healthz(State(served): State<Served>) -> Response {
    let health = (served.site.health)();
    answer(health.alive, "alive", &health)
}

/// 200 while it consumes and is caught up.
pub(super) async fn readyz(State(served): State<Served>) -> Response {
    let health = (served.site.health)();
    answer(health.alive && health.ready, "ready", &health)
}

fn answer(good: bool, name: &str, health: &Health) -> Response {
    let status = if good { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let reasons: &[String] = if good { &[] } else { &health.reasons };
    (status, Json(json!({ name: good, "reasons": reasons }))).into_response()
}
