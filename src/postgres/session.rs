//! One connection: who it is, what it has set, what it runs, and its cursors.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use async_trait::async_trait;
use bytes::Bytes;
use datafusion_postgres::pgwire::api::ClientInfo;
use datafusion_postgres::pgwire::api::cancel::CancelHandler;
use datafusion_postgres::pgwire::error::PgWireResult;
use datafusion_postgres::pgwire::messages::cancel::CancelRequest;
use datafusion_postgres::pgwire::messages::startup::SecretKey;
use tokio_util::sync::CancellationToken;

use super::fault;
use super::rows::Rows;
use super::settings::Settings;
use crate::access::{Access, Door, Identity};
use crate::query::Asking;

/// Cursors and prepared statements that one connection may have open, each.
const OPEN_MAX: usize = 1_000;

/// One connection that has come in.
pub(super) struct Session {
    user: String,
    peer: SocketAddr,
    settings: Mutex<Settings>,
    running: Mutex<CancellationToken>,
    /// The connection is gone.
    gone: CancellationToken,
    cursors: Mutex<HashMap<String, Rows>>,
    prepared: Mutex<HashSet<String>>,
}

fn locked<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

impl Session {
    pub(super) fn new(who: &Identity, peer: SocketAddr, settings: Settings) -> Self {
        let gone = CancellationToken::new();
        Self {
            user: who.user.clone(),
            peer,
            settings: Mutex::new(settings),
            running: Mutex::new(gone.child_token()),
            gone,
            cursors: Mutex::default(),
            prepared: Mutex::default(),
        }
    }

    /// The session of a connection.
    pub(super) fn of<C: ClientInfo>(client: &C) -> PgWireResult<Arc<Self>> {
        client
            .session_extensions()
            .get::<Self>()
            .ok_or_else(|| fault::fatal("28000", "nobody has come in on this connection"))
    }

    /// The name of the user.
    pub(super) fn user(&self) -> &str {
        &self.user
    }

    pub(super) fn settings(&self) -> MutexGuard<'_, Settings> {
        locked(&self.settings)
    }

    pub(super) fn cursors(&self) -> MutexGuard<'_, HashMap<String, Rows>> {
        locked(&self.cursors)
    }

    /// Keeps a cursor.
    pub(super) fn open(&self, name: String, rows: Rows) -> PgWireResult<()> {
        let mut cursors = self.cursors();
        if cursors.contains_key(&name) {
            return Err(fault::error("42P03", format!("cursor \"{name}\" already exists")));
        }
        if cursors.len() >= OPEN_MAX {
            return Err(fault::error("53400", format!("more than {OPEN_MAX} cursors are open")));
        }
        cursors.insert(name, rows);
        Ok(())
    }

    /// Notes a prepared statement.
    pub(super) fn note_prepared(&self, name: &str) -> PgWireResult<()> {
        let mut prepared = locked(&self.prepared);
        if prepared.len() >= OPEN_MAX && !prepared.contains(name) {
            return Err(fault::error("53400", format!("more than {OPEN_MAX} statements are prepared")));
        }
        prepared.insert(name.to_owned());
        Ok(())
    }

    /// Forgets a prepared statement; all of them where none is named. Gives the names that are gone.
    pub(super) fn forget_prepared(&self, name: Option<&str>) -> Vec<String> {
        let mut prepared = locked(&self.prepared);
        match name {
            Some(name) => prepared.take(name).into_iter().collect(),
            None => prepared.drain().collect(),
        }
    }

    /// Who asks now: the user as the users in force have it.
    pub(super) fn asking(&self, access: &Access) -> PgWireResult<Asking> {
        let Some(who) = access.by_name(&self.user) else {
            return Err(fault::fatal(
                "28000",
                format!("the user \"{}\" may not come in any more", self.user),
            ));
        };
        let settings = self.settings();
        Ok(Asking {
            who: Arc::new(who),
            door: Door::Postgres,
            peer: Some(self.peer),
            settings: Arc::new(settings.told()),
            timeout: settings.timeout(),
        })
    }

    /// A statement begins: what stops it.
    pub(super) fn begin(&self) -> CancellationToken {
        let token = self.gone.child_token();
        *locked(&self.running) = token.clone();
        token
    }

    fn cancel(&self) {
        locked(&self.running).cancel();
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.gone.cancel();
    }
}

type Key = (i32, Bytes);

/// The connections by what a cancel request names.
#[derive(Default)]
pub(super) struct Sessions {
    open: Mutex<BTreeMap<Key, Weak<Session>>>,
}

impl Sessions {
    pub(super) fn enter(&self, pid: i32, secret: &SecretKey, session: &Arc<Session>) {
        let mut open = locked(&self.open);
        open.retain(|_, session| session.strong_count() > 0);
        open.insert((pid, secret.to_bytes()), Arc::downgrade(session));
    }
}

#[async_trait]
impl CancelHandler for Sessions {
    async fn on_cancel_request(&self, request: CancelRequest) {
        let key = (request.pid, request.secret_key.to_bytes());
        let session = locked(&self.open).get(&key).and_then(Weak::upgrade);
        if let Some(session) = session {
            session.cancel();
        }
    }
}
