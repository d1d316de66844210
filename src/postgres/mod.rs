//! The PostgreSQL wire: psql, JDBC, psycopg, Grafana and others ask the same [`crate::query::Engine`] as everybody.
//!
//! The protocol comes from `pgwire`; which statements there are, who may come in and what stops a query is ours.
//!
//! Invariant: nobody is served before it is known who it is; the rights are looked up anew with each statement.
//! Invariant: a query ends with its client, its time or its cancel request, whichever comes first, on the simple and on
//! the extended protocol alike.
//! Invariant: answers stream: no more of them is held than a few rows on the way to a client.

mod clients;
mod fault;
mod handle;
mod listen;
mod lists;
mod login;
mod parse;
mod rows;
mod session;
mod settings;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use tokio_rustls::TlsAcceptor;

use crate::access::Access;
use crate::query::Engine;

pub use listen::run;

/// What the door needs.
#[derive(Clone)]
pub struct Wire {
    /// Answers SQL.
    pub engine: Arc<Engine>,
    /// Who may come in.
    pub access: Arc<Access>,
    /// Encrypts; without it nothing is encrypted. With it, clients from elsewhere have to.
    pub tls: Option<TlsAcceptor>,
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Wire").field("tls", &self.tls.is_some()).finish_non_exhaustive()
    }
}
