//! HTTP: the pages, metrics, health, live figures, single contacts, SQL.
//!
//! Knows no Kafka and no lake: what it shows comes as functions ([`Site`]), what it answers from [`Engine`].
//!
//! Invariant: without users only loopback is served, and only to clients on this machine that say so: a request that was
//! passed on, or that a foreign page or host name stands behind, is refused and leaves a line in the audit log.
//! Invariant: with users every request has an identity; who has none gets 401, who may not gets 403, and a line is left.
//! Invariant: everything has a bound: connections, headers, bodies, and the time that each may take.

mod alerts;
mod contact;
mod events;
mod fleet;
mod guard;
mod health;
mod listen;
mod live;
mod login;
mod page;
mod sql;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{MethodRouter, get, post};
use serde_json::json;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tower_http::compression::CompressionLayer;

use crate::access::{Access, Tls};
use crate::query::Engine;
use crate::time::Clock;

pub use alerts::{Action, Alerts, Refused, Wanted};
pub use events::{Batch, Intake, Refusal, Taken};
pub use fleet::FleetRows;
pub use health::Health;
pub use listen::run;

/// The longest body of a request, in bytes.
const BODY_BYTES_MAX: usize = 1 << 20;

/// What the server shows.
#[derive(Clone)]
pub struct Site {
    /// Answers SQL.
    pub engine: Arc<Engine>,
    /// The text of `/metrics`.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// The live figures.
    ///
    /// One object, every figure without traffic null:
    ///
    /// ```json
    /// {
    ///   "now": 1795140000000,
    ///   "timezone": "Asia/Shanghai",
    ///   "service_level_goal": 0.8,
    ///   "queues": [{
    ///     "queue": "sales", "channel": "voice", "waiting": 2, "longest_wait_seconds": 31.5, "active": 7,
    ///     "target_wait_seconds": 20,
    ///     "offered": 120, "answered": 110, "answer_rate": 0.95, "service_level": 0.83, "asa_seconds": 11.2,
    ///     "aht_seconds": 213.0, "rolling": { "5m": { "answer_rate": 0.9, "service_level": 0.8 } }
    ///   }],
    ///   "agents": { "available": 12, "busy": 7 },
    ///   "slot": { "start": 1795138200000, "offered": 44, "answered": 40, "forecast_contacts": 90.5, "agents_required": 12,
    ///     "agents_staffed": 11.5 },
    ///   "alerts_open": { "critical": 1, "warning": 3 },
    ///   "pipeline": { "lag": 0, "watermark": 1795139999500, "events": 48211 }
    /// }
    /// ```
    ///
    /// `now`, `start` and `watermark` are ms since 1970; `offered` to `aht_seconds` of a queue are those of the centre's
    /// day; `lag` is in records.
    pub live: Arc<dyn Fn() -> serde_json::Value + Send + Sync>,
    /// Whether the service lives, and is caught up.
    pub health: Arc<dyn Fn() -> Health + Send + Sync>,
    /// Takes records into Kafka; `None`: none are taken.
    pub intake: Option<Intake>,
    /// What is known of alerts, and what can be done with them.
    pub alerts: Alerts,
    /// The centre's present; names the ticks of the stream.
    pub clock: Arc<dyn Clock>,
    /// Who may come in.
    pub access: Arc<Access>,
    /// Encrypts, where it is there.
    pub tls: Option<Tls>,
    /// The department of each queue that has one, by which live figures are cut down.
    pub departments: Arc<HashMap<String, String>>,
    /// Answers other instances of the fleet; `None`: there are none.
    pub fleet: Option<FleetRows>,
}

impl std::fmt::Debug for Site {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Site").field("engine", &self.engine).finish_non_exhaustive()
    }
}

/// What every handler has.
#[derive(Clone)]
struct Served {
    site: Site,
    ticks: watch::Receiver<live::Tick>,
    stop: CancellationToken,
}

/// Every path, its method in lower case, and its handler.
fn routes() -> Vec<(&'static str, &'static str, MethodRouter<Served>)> {
    vec![
        ("/", "get", get(page::index)),
        ("/login", "get", get(login::page).post(login::enter)),
        ("/logout", "post", post(login::leave)),
        ("/login.css", "get", get(login::style)),
        ("/wallboard.js", "get", get(page::script)),
        ("/wallboard.css", "get", get(page::style)),
        ("/common.js", "get", get(page::common)),
        ("/chart.js", "get", get(page::chart)),
        ("/contacts/{id}", "get", get(contact::shown)),
        ("/contact.js", "get", get(page::contact_script)),
        ("/contact.css", "get", get(page::contact_style)),
        ("/sql", "get", get(page::sql)),
        ("/sql.js", "get", get(page::sql_script)),
        ("/sql.css", "get", get(page::sql_style)),
        ("/sql-examples.json", "get", get(page::sql_examples)),
        ("/favicon.svg", "get", get(page::icon)),
        ("/favicon.ico", "get", get(page::icon)),
        ("/metrics", "get", get(metrics)),
        ("/healthz", "get", get(health::healthz)),
        ("/readyz", "get", get(health::readyz)),
        ("/api/v1/live", "get", get(live::now)),
        ("/api/v1/stream", "get", get(live::stream)),
        ("/api/v1/contacts/{id}", "get", get(contact::told)),
        ("/api/v1/catalog", "get", get(sql::catalog)),
        ("/alerts", "get", get(page::alerts)),
        ("/alerts.js", "get", get(page::alerts_script)),
        ("/alerts.css", "get", get(page::alerts_style)),
        ("/api/v1/alerts", "get", get(alerts::list)),
        ("/api/v1/alerts/stream", "get", get(alerts::stream)),
        ("/api/v1/alerts/silence", "post", post(alerts::silence)),
        ("/api/v1/alerts/{id}/ack", "post", post(alerts::acknowledge)),
        ("/api/v1/alerts/{id}/resolve", "post", post(alerts::resolve)),
        ("/api/v1/advice", "get", get(alerts::advice)),
        ("/api/v1/advice/stream", "get", get(alerts::advice_stream)),
        ("/api/v1/alertmanager", "post", post(alerts::alertmanager)),
        ("/api/v1/oncall", "get", get(alerts::oncall)),
        ("/api/v1/sql", "post", post(sql::answer)),
        ("/api/v1/events", "post", post(events::take)),
        ("/api/v1/fleet/rows", "post", post(fleet::rows)),
        ("/api/v1/openapi.json", "get", get(openapi)),
    ]
}

/// The whole site, as it is served on `address`.
fn router(served: Served, address: SocketAddr) -> Router {
    let guard =
        guard::Guard::new(address, Arc::clone(&served.site.access), served.site.engine.audit().cloned());
    let mut router = Router::new();
    for (path, _, handler) in routes() {
        router = router.route(path, handler);
    }
    router
        .fallback(|| async { problem(StatusCode::NOT_FOUND, "there is no such page", None) })
        .method_not_allowed_fallback(|| async {
            problem(StatusCode::METHOD_NOT_ALLOWED, "this method is not served here", None)
        })
        .with_state(served)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(CompressionLayer::new())
        .layer(middleware::from_fn_with_state(guard, guard::check))
        .layer(middleware::map_response(harden))
}

async fn metrics(State(served): State<Served>) -> Response {
    let kind = (header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8");
    ([kind], (served.site.metrics)()).into_response()
}

async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], include_str!("openapi.json")).into_response()
}

/// A refusal as JSON: what is wrong, and a way out.
fn problem(status: StatusCode, error: &str, hint: Option<&str>) -> Response {
    (status, Json(json!({ "error": error, "hint": hint }))).into_response()
}

/// Headers for every answer: nothing from elsewhere, nothing inline, in no frame; kept by nobody, where no page says else.
async fn harden(mut response: Response) -> Response {
    const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                          base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
    let headers = response.headers_mut();
    let fixed: [(HeaderName, &'static str); 4] = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests;
