//! Alerts: what is open, who is on duty, and what somebody does about it.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequest, Path, Query, Request, State};
use axum::http::{StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Json, Response};
use futures::Stream;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::guard::Who;
use super::{Served, problem};
use crate::access::{Identity, Role};
use crate::time::{Millis, parse_time};

/// How often the stream looks for changes.
const LOOK: Duration = Duration::from_millis(250);
/// A comment is sent when there was no news for so long.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// How long a request's body may take.
const BODY_TIME: Duration = Duration::from_secs(30);
/// Alerts of one answer at most, where the client does not say.
const LIMIT: usize = 500;
/// And where it does.
const LIMIT_MAX: usize = 10_000;

/// Which alerts are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Those that are over, too.
    pub all: bool,
    /// Of this id.
    pub id: Option<String>,
    /// Of this queue.
    pub queue: Option<String>,
    /// About this agent.
    pub agent: Option<String>,
    /// Addressed to this agent; empty: to any agent.
    pub told: Option<String>,
    /// Of this rule.
    pub rule: Option<String>,
    /// At most so many.
    pub limit: usize,
    /// Those first that nobody takes care of, and of them the most severe; else the newest.
    pub pressing: bool,
}

/// What somebody does with an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Takes care of it.
    Acknowledge,
    /// Says that it is over.
    Resolve,
}

/// Why that cannot be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// There is no such alert.
    Unknown,
    /// It is over already.
    Closed,
    /// The link is not right for it, or no longer.
    Token,
}

/// What somebody does: the alert's id, what, the token of a link, in whose name where there is no token.
type Act = dyn Fn(&str, Action, Option<&str>, Option<&str>) -> Result<Value, Refused> + Send + Sync;

/// Takes a message of Alertmanager's webhook.
type TakeAlertmanager = dyn Fn(&Value) -> Result<usize, String> + Send + Sync;
/// Who is on duty for a queue at a time.
type OnCall = dyn Fn(Option<&str>, Option<Millis>) -> Value + Send + Sync;
/// Silences a rule and a queue for some minutes, in somebody's name.
type Silence = dyn Fn(&str, &str, i64, &str) + Send + Sync;

/// What the site knows of alerts.
#[derive(Clone)]
pub struct Alerts {
    /// Grows with every change.
    pub version: Arc<dyn Fn() -> u64 + Send + Sync>,
    /// Alerts, the newest first, as a JSON array of objects with the columns of the table `alerts`.
    pub list: Arc<dyn Fn(&Wanted) -> Value + Send + Sync>,
    /// Acknowledges or resolves; gives the alert as it is then.
    pub act: Arc<Act>,
    /// Takes a message of Alertmanager's webhook; tells how many alerts it took.
    pub take_alertmanager: Arc<TakeAlertmanager>,
    /// Who is on duty for a queue (`None`: for any) at a time (`None`: now), and who comes next.
    pub oncall: Arc<OnCall>,
    /// Keeps alerts of a rule and a queue (empty: of all) from being sent for some minutes, in somebody's name.
    pub silence: Arc<Silence>,
}

impl Alerts {
    /// No alerts: for a site without a desk.
    pub fn none() -> Alerts {
        Alerts {
            version: Arc::new(|| 0),
            list: Arc::new(|_| json!([])),
            act: Arc::new(|_, _, _, _| Err(Refused::Unknown)),
            take_alertmanager: Arc::new(|_| Ok(0)),
            oncall: Arc::new(|_, _| json!({})),
            silence: Arc::new(|_, _, _, _| {}),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    status: Option<String>,
    id: Option<String>,
    queue: Option<String>,
    agent: Option<String>,
    rule: Option<String>,
    limit: Option<usize>,
}

/// `GET /api/v1/alerts`.
pub(super) async fn list(
    State(served): State<Served>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Response {
    let Ok(Query(asked)) = asked else {
        let hint = "known are status (open or all), id, queue, agent, rule and limit";
        return problem(StatusCode::BAD_REQUEST, "the question cannot be read", Some(hint));
    };
    let all = match asked.status.as_deref() {
        None | Some("open") => asked.id.is_some(),
        Some("all") => true,
        Some(other) => {
            let error = format!("unknown `status`: `{other}`");
            return problem(StatusCode::BAD_REQUEST, &error, Some("known are `open` and `all`"));
        }
    };
    let wanted = Wanted {
        all,
        id: asked.id,
        queue: asked.queue,
        agent: asked.agent,
        told: None,
        rule: asked.rule,
        limit: asked.limit.unwrap_or(LIMIT).min(LIMIT_MAX),
        pressing: false,
    };
    Json((served.site.alerts.list)(&wanted)).into_response()
}

/// The open alerts, the pressing ones first.
fn open() -> Wanted {
    Wanted {
        all: false,
        id: None,
        queue: None,
        agent: None,
        told: None,
        rule: None,
        limit: LIMIT,
        pressing: true,
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Streamed {
    limit: Option<usize>,
}

/// `GET /api/v1/alerts/stream`: the open alerts at every change, as events `alerts`, the pressing ones first.
pub(super) async fn stream(
    State(served): State<Served>,
    asked: Result<Query<Streamed>, QueryRejection>,
) -> Response {
    let Ok(Query(asked)) = asked else {
        return problem(StatusCode::BAD_REQUEST, "the question cannot be read", Some("known is limit"));
    };
    let limit = asked.limit.unwrap_or(LIMIT).min(LIMIT_MAX);
    let wanted = Wanted { limit, ..open() };
    let keep_alive = KeepAlive::new().interval(HEARTBEAT).text("here");
    let events = Sse::new(events(served.site.alerts, wanted, served.stop)).keep_alive(keep_alive);
    ([(header::CACHE_CONTROL, "no-store")], events).into_response()
}

fn events(
    alerts: Alerts,
    wanted: Wanted,
    stop: CancellationToken,
) -> impl Stream<Item = Result<Event, Infallible>> {
    futures::stream::unfold((alerts, wanted, stop, None), |(alerts, wanted, stop, seen)| async move {
        loop {
            let version = (alerts.version)();
            if seen != Some(version) {
                let text = (alerts.list)(&wanted).to_string();
                let event = Event::default().event("alerts").id(version.to_string()).data(text);
                return Some((Ok(event), (alerts, wanted, stop, Some(version))));
            }
            tokio::select! {
                () = stop.cancelled() => return None,
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Mine {
    agent: Option<String>,
}

/// The agent whose advice is asked for: agents have their own, those who see every customer may name one.
fn advised(who: &Identity, mine: Result<Query<Mine>, QueryRejection>) -> Result<Wanted, Box<Response>> {
    let Ok(Query(mine)) = mine else {
        return Err(Box::new(problem(
            StatusCode::BAD_REQUEST,
            "the question cannot be read",
            Some("known is `agent`"),
        )));
    };
    let asked = mine.agent.filter(|agent| !agent.is_empty());
    let agent = match who.role {
        Role::Supervisor | Role::Admin => Some(asked.or_else(|| who.agent_id.clone()).unwrap_or_default()),
        _ if asked.is_some() && asked != who.agent_id => None,
        _ => who.agent_id.clone(),
    };
    match agent {
        Some(agent) => Ok(Wanted { told: Some(agent), ..open() }),
        None => {
            let hint = "agents see their own advice, supervisors that of all";
            Err(Box::new(problem(
                StatusCode::FORBIDDEN,
                "this is nobody's advice that you may see",
                Some(hint),
            )))
        }
    }
}

/// `GET /api/v1/advice`: what an agent is advised while contacts go on.
pub(super) async fn advice(
    State(served): State<Served>,
    Extension(Who(who)): Extension<Who>,
    mine: Result<Query<Mine>, QueryRejection>,
) -> Response {
    match advised(&who, mine) {
        Ok(wanted) => Json((served.site.alerts.list)(&wanted)).into_response(),
        Err(refusal) => *refusal,
    }
}

/// `GET /api/v1/advice/stream`: the same at every change, as events `alerts`.
pub(super) async fn advice_stream(
    State(served): State<Served>,
    Extension(Who(who)): Extension<Who>,
    mine: Result<Query<Mine>, QueryRejection>,
) -> Response {
    let wanted = match advised(&who, mine) {
        Ok(wanted) => wanted,
        Err(refusal) => return *refusal,
    };
    let keep_alive = KeepAlive::new().interval(HEARTBEAT).text("here");
    let events = Sse::new(events(served.site.alerts, wanted, served.stop)).keep_alive(keep_alive);
    ([(header::CACHE_CONTROL, "no-store")], events).into_response()
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Doing {
    token: Option<String>,
    by: Option<String>,
}

/// `POST /api/v1/alerts/{id}/ack`.
pub(super) async fn acknowledge(state: State<Served>, Path(id): Path<String>, request: Request) -> Response {
    act(state, &id, Action::Acknowledge, request).await
}

/// `POST /api/v1/alerts/{id}/resolve`.
pub(super) async fn resolve(state: State<Served>, Path(id): Path<String>, request: Request) -> Response {
    act(state, &id, Action::Resolve, request).await
}

async fn act(State(served): State<Served>, id: &str, action: Action, request: Request) -> Response {
    let doing: Doing = match body(request).await {
        Ok(doing) => doing,
        Err(refusal) => return refusal,
    };
    match (served.site.alerts.act)(id, action, doing.token.as_deref(), doing.by.as_deref()) {
        Ok(alert) => {
            tracing::info!(target: "audit", id, ?action, by = doing.by, linked = doing.token.is_some(), "an alert was acted on");
            Json(alert).into_response()
        }
        Err(Refused::Unknown) => problem(StatusCode::NOT_FOUND, &format!("there is no alert `{id}`"), None),
        Err(Refused::Closed) => problem(
            StatusCode::CONFLICT,
            &format!("the alert `{id}` is over already"),
            Some("GET /api/v1/alerts?id= shows it"),
        ),
        Err(Refused::Token) => {
            tracing::warn!(target: "audit", id, "a link that is not right was refused");
            problem(StatusCode::FORBIDDEN, "the link does not hold for this alert, or no longer", None)
        }
    }
}

/// `POST /api/v1/alertmanager`.
pub(super) async fn alertmanager(State(served): State<Served>, request: Request) -> Response {
    let message: Value = match body(request).await {
        Ok(message) => message,
        Err(refusal) => return refusal,
    };
    match (served.site.alerts.take_alertmanager)(&message) {
        Ok(taken) => Json(json!({ "taken": taken })).into_response(),
        Err(error) => {
            let hint = "point a `webhook_configs` receiver of Alertmanager here";
            problem(StatusCode::BAD_REQUEST, &error, Some(hint))
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Quiet {
    #[serde(default)]
    rule: String,
    #[serde(default)]
    queue: String,
    minutes: Option<i64>,
    by: Option<String>,
}

/// `POST /api/v1/alerts/silence`.
pub(super) async fn silence(State(served): State<Served>, request: Request) -> Response {
    let quiet: Quiet = match body(request).await {
        Ok(quiet) => quiet,
        Err(refusal) => return refusal,
    };
    let Some(minutes) = quiet.minutes.filter(|minutes| *minutes > 0) else {
        return problem(StatusCode::BAD_REQUEST, "`minutes` must be a number above 0", None);
    };
    let by = quiet.by.as_deref().unwrap_or("somebody");
    (served.site.alerts.silence)(&quiet.rule, &quiet.queue, minutes, by);
    tracing::info!(target: "audit", rule = quiet.rule, queue = quiet.queue, minutes, by, "alerts were silenced");
    Json(json!({ "silenced": true })).into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct When {
    queue: Option<String>,
    at: Option<String>,
}

/// `GET /api/v1/oncall`.
pub(super) async fn oncall(
    State(served): State<Served>,
    when: Result<Query<When>, QueryRejection>,
) -> Response {
    let hint = "known are queue, and at (RFC 3339 with an offset, a `+` written as %2B)";
    let Ok(Query(when)) = when else {
        return problem(StatusCode::BAD_REQUEST, "the question cannot be read", Some(hint));
    };
    let at = match when.at.as_deref().map(parse_time) {
        Some(None) => {
            let error = format!("`{}` is no time", when.at.unwrap_or_default());
            return problem(StatusCode::BAD_REQUEST, &error, Some(hint));
        }
        at => at.flatten(),
    };
    Json((served.site.alerts.oncall)(when.queue.as_deref(), at)).into_response()
}

/// The body as JSON; the default where there is none.
async fn body<T: for<'d> Deserialize<'d> + Default>(request: Request) -> Result<T, Response> {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let is_json = kind.is_some_and(|kind| {
        kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
    });
    let bytes = match tokio::time::timeout(BODY_TIME, Bytes::from_request(request, &())).await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(error)) => return Err(problem(error.status(), "the body could not be read", None)),
        Err(_) => return Err(problem(StatusCode::REQUEST_TIMEOUT, "the body took too long", None)),
    };
    if bytes.is_empty() {
        return Ok(T::default());
    }
    if !is_json {
        let hint = "send `content-type: application/json`";
        return Err(problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the body must be JSON", Some(hint)));
    }
    serde_json::from_slice(&bytes)
        .map_err(|error| problem(StatusCode::BAD_REQUEST, &format!("the body cannot be read: {error}"), None))
}
