//! Takes connections, within bounds, and notices when a client is gone.

use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use datafusion_postgres::pgwire::api::{PgWireServerHandlers, RandomPidSecretKeyGenerator};
use datafusion_postgres::pgwire::tokio::process_socket;
use futures::FutureExt;
use tokio::io::Interest;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::Wire;
use super::handle::Handler;
use super::login::Login;
use super::session::Sessions;

/// Connections at once; further ones wait in the system's queue.
const CONNECTIONS_MAX: usize = 256;
/// The pause after a connection could not be taken, for example for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves `wire` on `listener` until `stop`.
///
/// A listener that is not on loopback is refused where there are no users: everybody who reaches it would be an
/// administrator.
pub async fn run(listener: TcpListener, wire: Wire, stop: CancellationToken) -> io::Result<()> {
    let address = listener.local_addr()?;
    if !address.ip().is_loopback() && !wire.access.asks() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("without users, only loopback is served, not `{address}`"),
        ));
    }
    let sessions = Arc::new(Sessions::default());
    let handlers = Arc::new(Handlers {
        login: Arc::new(Login {
            wire: wire.clone(),
            sessions: Arc::clone(&sessions),
            keys: RandomPidSecretKeyGenerator::default(),
        }),
        handler: Arc::new(Handler::new(wire.clone())),
        sessions,
    });
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
                let (handlers, tls) = (Arc::clone(&handlers), wire.tls.clone());
                connections.spawn(async move {
                    match watched(stream) {
                        // A query that runs does not read; so the end of the client is watched for beside it.
                        Ok((stream, watch)) => tokio::select! {
                            ended = AssertUnwindSafe(process_socket(stream, tls, handlers)).catch_unwind() => {
                                match ended {
                                    Ok(Ok(())) => {}
                                    Ok(Err(error)) => tracing::debug!(%peer, %error, "a connection ended early"),
                                    // The library reads a message's numbers without asking whether it holds them.
                                    Err(_) => tracing::warn!(%peer, "a message is cut off; the connection is closed"),
                                }
                            }
                            () = gone(watch) => tracing::debug!(%peer, "a client is gone"),
                        },
                        Err(error) => tracing::warn!(%peer, %error, "a connection could not be watched"),
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
    connections.shutdown().await;
    Ok(())
}

/// The connection, and a second hold on it by which its end is seen.
fn watched(stream: TcpStream) -> io::Result<(TcpStream, TcpStream)> {
    stream.set_nodelay(true)?;
    let stream = stream.into_std()?;
    let watch = stream.try_clone()?;
    Ok((TcpStream::from_std(stream)?, TcpStream::from_std(watch)?))
}

/// Returns when the client has closed its side.
async fn gone(watch: TcpStream) {
    loop {
        match watch.ready(Interest::READABLE).await {
            Ok(ready) if ready.is_read_closed() => return,
            Ok(_) => {}
            Err(_) => return,
        }
        // There is something to read, which is not for this hold; news is waited for.
        let _: io::Result<()> = watch.try_io(Interest::READABLE, || Err(io::ErrorKind::WouldBlock.into()));
    }
}

struct Handlers {
    login: Arc<Login>,
    handler: Arc<Handler>,
    sessions: Arc<Sessions>,
}

impl PgWireServerHandlers for Handlers {
    fn simple_query_handler(&self) -> Arc<impl datafusion_postgres::pgwire::api::query::SimpleQueryHandler> {
        Arc::clone(&self.handler)
    }

    fn extended_query_handler(
        &self,
    ) -> Arc<impl datafusion_postgres::pgwire::api::query::ExtendedQueryHandler> {
        Arc::clone(&self.handler)
    }

    fn startup_handler(&self) -> Arc<impl datafusion_postgres::pgwire::api::auth::StartupHandler> {
        Arc::clone(&self.login)
    }

    fn cancel_handler(&self) -> Arc<impl datafusion_postgres::pgwire::api::cancel::CancelHandler> {
        Arc::clone(&self.sessions)
    }
}
