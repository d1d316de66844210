//! (stub, being written)
use std::sync::Arc;
#[allow(missing_docs)]
pub struct Health { pub alive: bool, pub ready: bool, pub reasons: Vec<String> }
#[allow(missing_docs)]
pub struct Site { pub engine: Arc<crate::query::Engine>, pub metrics: Arc<dyn Fn() -> String + Send + Sync>, pub live: Arc<dyn Fn() -> serde_json::Value + Send + Sync>, pub health: Arc<dyn Fn() -> Health + Send + Sync>, pub clock: Arc<dyn crate::time::Clock> }
#[allow(missing_docs)]
pub async fn run(_l: tokio::net::TcpListener, _s: Site, stop: tokio_util::sync::CancellationToken) -> std::io::Result<()> { stop.cancelled().await; Ok(()) }
