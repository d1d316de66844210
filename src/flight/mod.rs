//! Arrow Flight SQL: large answers in Arrow batches, for ADBC, JDBC and whoever speaks it.
//!
//! A statement is asked for with `GetFlightInfo`, which plans it over no rows, and fetched with `DoGet`, which runs it; the
//! ticket is the statement itself, so that nothing is kept between the two.
//!
//! Invariant: every call has an identity; who has none gets `Unauthenticated`, and what it may see decides the engine.
//! Invariant: batches are sent as they come; of an answer no more is held than is on its way.

mod prepared;
mod service;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use arrow_flight::flight_service_server::FlightServiceServer;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Identity, Server, ServerTlsConfig};

use crate::access::{Access, Tls};
use crate::query::Engine;

/// Calls of one connection that are worked on at once.
const CALLS_MAX: usize = 64;
/// The longest message of a client, in bytes: statements and bound values.
const MESSAGE_BYTES_MAX: usize = 4 << 20;

/// What the door needs.
#[derive(Debug, Clone)]
pub struct Flight {
    /// Answers SQL.
    pub engine: Arc<Engine>,
    /// Who may come in.
    pub access: Arc<Access>,
    /// Encrypts; without it nothing is encrypted.
    pub tls: Option<Tls>,
}

/// Serves `flight` on `listener` until `stop`.
///
/// A listener that is not on loopback is refused where there are no users: everybody who reaches it would be an
/// administrator.
pub async fn run(listener: TcpListener, flight: Flight, stop: CancellationToken) -> io::Result<()> {
    let address = listener.local_addr()?;
    if !address.ip().is_loopback() && !flight.access.asks() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("without users, only loopback is served, not `{address}`"),
        ));
    }
    let mut server = Server::builder()
        .concurrency_limit_per_connection(CALLS_MAX)
        .http2_keepalive_interval(Some(Duration::from_secs(30)))
        .http2_keepalive_timeout(Some(Duration::from_secs(10)));
    if let Some(tls) = &flight.tls {
        // The library takes the cryptography of the process. There are two in it, between which it does not choose; one that
        // somebody has chosen before is as good.
        let _chosen_before = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
        let (certificate, key) = tls.pem();
        let config = ServerTlsConfig::new().identity(Identity::from_pem(certificate, key));
        server = server.tls_config(config).map_err(io::Error::other)?;
    }
    let service =
        FlightServiceServer::new(service::Service::new(flight)?).max_decoding_message_size(MESSAGE_BYTES_MAX);
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    server
        .add_service(service)
        .serve_with_incoming_shutdown(incoming, stop.cancelled_owned())
        .await
        .map_err(io::Error::other)
}
