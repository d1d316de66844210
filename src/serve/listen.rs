//! Takes connections, within bounds, and lets them end in order.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::guard::Peer;
use super::{Served, Site, live, router};

/// Connections at once; further ones wait in the system's queue.
const CONNECTIONS_MAX: usize = 256;
/// Bytes of a request's line and headers.
const HEADER_BYTES_MAX: usize = 64 << 10;
/// Headers of a request.
const HEADERS_MAX: usize = 64;
/// How long a request's headers may take, and how long a connection may be idle.
const HEADER_TIME: Duration = Duration::from_secs(30);
/// How long answers may still take once the server is told to stop.
const FAREWELL_TIME: Duration = Duration::from_secs(5);
/// The pause after a connection could not be taken, for example for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves `site` on `listener` until `stop`; then lets answers end, for five seconds at most.
///
/// A listener that is not on loopback is refused where there are no users: everybody who reaches it would be an
/// administrator.
pub async fn run(listener: TcpListener, site: Site, stop: CancellationToken) -> io::Result<()> {
    let address = listener.local_addr()?;
    if !address.ip().is_loopback() && !site.access.asks() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("without users, only loopback is served, not `{address}`"),
        ));
    }
    let (sender, ticks) = watch::channel(live::Tick::of(&site));
    let ticker = tokio::spawn(live::tick(site.clone(), sender, stop.clone()));
    let tls = site.tls.as_ref().map(|tls| tls.acceptor(&["http/1.1"]));
    let site = router(Served { site, ticks, stop: stop.clone() }, address);

    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        // What has ended is let go, so that the set holds no more than there are places.
        while connections.try_join_next().is_some() {}
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await.expect("the semaphore is never closed");
            (listener.accept().await, place)
        };
        let (accepted, place) = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accepted => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let (site, stop, tls) = (site.clone(), stop.clone(), tls.clone());
                connections.spawn(async move {
                    // Ticks are small and must not wait for more.
                    let _ = stream.set_nodelay(true);
                    match tls {
                        None => serve(stream, peer, site, stop).await,
                        Some(tls) => match tokio::time::timeout(HEADER_TIME, tls.accept(stream)).await {
                            Ok(Ok(stream)) => serve(stream, peer, site, stop).await,
                            Ok(Err(error)) => {
                                tracing::debug!(%peer, %error, "a connection was not encrypted")
                            }
                            Err(_) => tracing::debug!(%peer, "a handshake took too long"),
                        },
                    }
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be taken");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    let ended =
        tokio::time::timeout(FAREWELL_TIME, async { while connections.join_next().await.is_some() {} });
    if ended.await.is_err() {
        tracing::warn!(connections = connections.len(), "answers were cut off at the stop");
        connections.shutdown().await;
    }
    ticker.abort();
    Ok(())
}

async fn serve<S>(stream: S, peer: SocketAddr, site: Router, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = TowerToHyperService::new(site.layer(Extension(Peer(peer))));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .max_buf_size(HEADER_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let mut leaving = false;
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%peer, %error, "a connection ended early");
                }
                return;
            }
            () = stop.cancelled(), if !leaving => {
                leaving = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}
