//! The live figures: once, or each second as server-sent events.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::header;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Json, Response};
use futures::Stream;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::{Served, Site};
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
pub(super) async fn now(State(served): State<Served>) -> Response {
    Json((served.site.live)()).into_response()
}

/// The figures each second, as events `live`; the id is the instant in ms.
pub(super) async fn stream(State(served): State<Served>) -> Response {
    let keep_alive = KeepAlive::new().interval(HEARTBEAT).text("here");
    let first = Tick::of(&served.site);
    let events = Sse::new(events(first, served.ticks, served.stop)).keep_alive(keep_alive);
    // What is live is not to be kept, not even to be asked about again.
    ([(header::CACHE_CONTROL, "no-store")], events).into_response()
}

fn events(
    first: Tick,
    mut ticks: watch::Receiver<Tick>,
    stop: CancellationToken,
) -> impl Stream<Item = Result<Event, Infallible>> {
    ticks.mark_unchanged();
    futures::stream::unfold((Some(first), ticks, stop), |(first, mut ticks, stop)| async move {
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
        let event = Event::default().event("live").id(tick.at.to_string()).retry(RETRY).data(&*tick.text);
        Some((Ok(event), (None, ticks, stop)))
    })
}
