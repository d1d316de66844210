//! The live figures: once, or each second as server-sent events.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::http::header;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Json, Response};
use futures::Stream;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::guard::Who;
use super::{Served, Site};
use crate::access::{Identity, Role};
use crate::time::Millis;

/// How often the stream has news.
const TICK: Duration = Duration::from_secs(1);
/// How long a client waits before it comes back.
const RETRY: Duration = Duration::from_secs(1);
/// A comment is sent when there was no news for so long.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// The figures at one instant; all clients share the text.
#[derive(Debug, Clone)]
pub(super) struct Tick {
    at: Millis,
    text: Arc<str>,
}

impl Tick {
    pub(super) fn of(site: &Site) -> Self {
        Self { at: site.clock.now(), text: (site.live)().to_string().into() }
    }
}

/// Makes a tick each second, once for all clients, until `stop`.
pub(super) async fn tick(site: Site, sender: watch::Sender<Tick>, stop: CancellationToken) {
    let mut seconds = tokio::time::interval(TICK);
    seconds.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = seconds.tick() => {}
        }
        // One receiver is the router's own; without a client there is nobody to make figures for.
        if sender.receiver_count() > 1 && sender.send(Tick::of(&site)).is_err() {
            return;
        }
    }
}

/// The figures now.
pub(super) async fn now(State(served): State<Served>, Extension(Who(who)): Extension<Who>) -> Response {
    Json(cut((served.site.live)(), &who, &served.site)).into_response()
}

/// What this reader may see of the figures: leads their departments' queues, agents none, all others everything.
fn cut(mut live: Value, who: &Identity, site: &Site) -> Value {
    if !matches!(who.role, Role::Agent | Role::Lead) {
        return live;
    }
    let is_own = |queue: &Value| {
        let name = queue.get("queue").and_then(Value::as_str);
        let department = name.and_then(|name| site.departments.get(name));
        who.role == Role::Lead && department.is_some_and(|department| who.departments.contains(department))
    };
    if let Value::Object(members) = &mut live {
        // What is not known to be about queues is about the whole centre.
        members.retain(|name, _| {
            matches!(name.as_str(), "now" | "timezone" | "queues" | "missing" | "service_level_goal")
        });
        if let Some(Value::Array(queues)) = members.get_mut("queues") {
            queues.retain(is_own);
        }
    }
    live
}

/// The figures each second, as events `live`; the id is the instant in ms.
pub(super) async fn stream(State(served): State<Served>, Extension(Who(who)): Extension<Who>) -> Response {
    let keep_alive = KeepAlive::new().interval(HEARTBEAT).text("here");
    let first = Tick::of(&served.site);
    let reader = matches!(who.role, Role::Agent | Role::Lead).then(|| (who, served.site.clone()));
    let events = Sse::new(events(first, served.ticks, served.stop, reader)).keep_alive(keep_alive);
    // What is live is not to be kept, not even to be asked about again.
    ([(header::CACHE_CONTROL, "no-store")], events).into_response()
}

fn events(
    first: Tick,
    mut ticks: watch::Receiver<Tick>,
    stop: CancellationToken,
    reader: Option<(Arc<Identity>, Site)>,
) -> impl Stream<Item = Result<Event, Infallible>> {
    ticks.mark_unchanged();
    let state = (Some(first), ticks, stop, reader);
    futures::stream::unfold(state, |(first, mut ticks, stop, reader)| async move {
        let tick = match first {
            Some(first) => first,
            None => {
                tokio::select! {
                    () = stop.cancelled() => return None,
                    changed = ticks.changed() => changed.ok()?,
                }
                ticks.borrow_and_update().clone()
            }
        };
        // All readers share the text, but for those who see a part of it.
        let text: Arc<str> = match &reader {
            None => tick.text,
            Some((who, site)) => match serde_json::from_str(&tick.text) {
                Ok(live) => cut(live, who, site).to_string().into(),
                Err(_) => "{}".into(),
            },
        };
        let event = Event::default().event("live").id(tick.at.to_string()).retry(RETRY).data(&*text);
        Some((Ok(event), (None, ticks, stop, reader)))
    })
}
