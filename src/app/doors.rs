//! Who may come in, and by which doors: users, a login elsewhere, certificate, audit log, and the listeners of SQL clients.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Failure;
use super::issuer::Issuer;
use crate::access::{Access, Audit, Tls, Users};
use crate::config::Config;
use crate::flight;
use crate::postgres;
use crate::query::Engine;
use crate::time::SystemClock;

/// How often the users file is looked at.
const LOOK: Duration = Duration::from_secs(2);

/// What the doors have in common.
pub(super) struct Keys {
    pub(super) access: Arc<Access>,
    pub(super) audit: Arc<Audit>,
    pub(super) tls: Option<Tls>,
    users: Option<PathBuf>,
    issuer: Option<Issuer>,
}

impl Keys {
    /// Reads users and certificate. Nothing starts without what the configuration asks for.
    ///
    /// # Errors
    /// Every fault of the users file; a certificate or key that cannot be used; a directory that cannot be made.
    pub(super) fn of(config: &Config) -> Result<Keys, Failure> {
        let users = config.users.as_ref().map(PathBuf::from);
        let access = match &users {
            Some(path) => Access::of(read_users(path)?),
            None => Access::local_only(),
        };
        let issuer = config.oidc.as_ref().map(|oidc| Issuer::of(oidc, Arc::new(SystemClock))).transpose()?;
        let topics = config.kafka.topics.iter();
        let access =
            access
                .with_oidc(issuer.as_ref().map(|issuer| Arc::clone(&issuer.oidc)))
                .with_sources(topics.flat_map(|topic| {
                    topic.tokens.0.iter().map(|token| (token.clone(), topic.name.clone()))
                }));
        let tls = match &config.tls {
            Some(tls) => Some(Tls::load(Path::new(&tls.certificate), Path::new(&tls.key)).map_err(|message| {
                Failure::config(format!("no encryption: {message}"))
                    .hint("mend `tls.certificate` and `tls.key`, or leave both empty; nothing is served unencrypted instead")
            })?),
            None => None,
        };
        // The log tells real time, also where the centre's own runs faster.
        let clock = Arc::new(SystemClock);
        let directory = match (&config.audit_dir, config.data_dir.contains("://")) {
            (Some(directory), _) => Some(PathBuf::from(directory)),
            (None, false) => Some(Path::new(&config.data_dir).join("_audit")),
            (None, true) => None,
        };
        let audit = match directory {
            Some(directory) => Audit::to_files(directory.clone(), clock).map_err(|error| {
                Failure::outside(format!("the audit log `{}` cannot be made: {error}", directory.display()))
                    .hint("may this user write there? `audit.directory` takes another place")
            })?,
            None => Audit::to_log(clock),
        };
        Ok(Keys { access: Arc::new(access), audit: Arc::new(audit), tls, users, issuer })
    }

    /// The engine that writes down what is asked.
    pub(super) fn guard(&self, engine: Engine) -> Engine {
        let users = self.access.users();
        let key = users.as_ref().and_then(|users| users.pseudonym_key());
        engine.with_audit(Arc::clone(&self.audit)).with_pseudonym_key(key)
    }

    /// Looks at the users file and at the keys of a login elsewhere from time to time; what has changed takes force, or is
    /// refused whole.
    pub(super) fn watch(&self, stop: CancellationToken) {
        if let Some(issuer) = self.issuer.clone() {
            tokio::spawn(issuer.keep_fresh(stop.clone()));
        }
        let Some(path) = self.users.clone() else { return };
        let access = Arc::clone(&self.access);
        tokio::spawn(async move {
            let mut seen = changed_at(&path);
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(LOOK) => {}
                }
                let now = changed_at(&path);
                if now == seen {
                    continue;
                }
                seen = now;
                match read_users(&path) {
                    Ok(users) => {
                        tracing::info!(path = %path.display(), users = users.iter().count(), "other users are in force");
                        access.replace(users);
                    }
                    Err(failure) => tracing::error!("{failure}\nthe users that were in force stay"),
                }
            }
        });
    }
}

pub(super) fn changed_at(path: &Path) -> Option<(SystemTime, u64)> {
    let found = std::fs::metadata(path).ok()?;
    Some((found.modified().ok()?, found.len()))
}

/// Reads the users file.
///
/// # Errors
/// Where it cannot be read; every fault in it.
pub(super) fn read_users(path: &Path) -> Result<Users, Failure> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::config(format!("the users file `{name}` cannot be read: {error}"))
            .hint("`callpulse user add NAME --role ROLE` makes it")
    })?;
    Users::parse(&name, &text).map_err(|faults| {
        let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
        Failure::config(faults.join("\n\nerror: "))
    })
}

/// Listens where the configuration says.
///
/// # Errors
/// Where the address is taken.
pub(super) async fn listen(address: Option<SocketAddr>, flag: &str) -> Result<Option<TcpListener>, Failure> {
    let Some(address) = address else { return Ok(None) };
    let listener = TcpListener::bind(address).await.map_err(|error| {
        Failure::outside(format!("cannot listen on `{address}`: {error}"))
            .hint(format!("another process may use the port; {flag} 127.0.0.1:0 picks a free one"))
    })?;
    Ok(Some(listener))
}

/// Settings for the doors of a demo: one whose address nobody typed moves to a free port where its usual one is taken.
pub(super) fn free_doors(typed: &[(&str, Option<SocketAddr>)]) -> Vec<String> {
    let usual = [("pg", "127.0.0.1:5433"), ("flight", "127.0.0.1:50051")];
    usual
        .iter()
        .filter(|(door, address)| {
            let is_typed = typed.iter().any(|(name, address)| name == door && address.is_some());
            !is_typed && std::net::TcpListener::bind(address).is_err()
        })
        .map(|(door, _)| format!("{door}.listen=\"127.0.0.1:0\""))
        .collect()
}

/// A door that is open.
pub(super) struct Open {
    pub(super) address: SocketAddr,
    task: JoinHandle<std::io::Result<()>>,
}

impl Open {
    /// Waits until the door is closed, for a while.
    pub(super) async fn closed(self) {
        let _ = tokio::time::timeout(Duration::from_secs(5), self.task).await;
    }
}

/// Opens the PostgreSQL wire.
pub(super) fn open_postgres(
    listener: Option<TcpListener>,
    keys: &Keys,
    engine: &Arc<Engine>,
    stop: &CancellationToken,
) -> Option<Open> {
    let listener = listener?;
    let address = listener.local_addr().ok()?;
    let wire = postgres::Wire {
        engine: Arc::clone(engine),
        access: Arc::clone(&keys.access),
        tls: keys.tls.as_ref().map(|tls| tls.acceptor(&["postgresql"])),
    };
    Some(Open { address, task: tokio::spawn(postgres::run(listener, wire, stop.child_token())) })
}

/// The pages at `address`, as a browser asks for them.
pub(super) fn http_url(config: &Config, address: SocketAddr) -> String {
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    format!("{scheme}://{address}")
}

/// Arrow Flight SQL at `address`, as its clients write it.
pub(super) fn flight_url(config: &Config, address: SocketAddr) -> String {
    let scheme = if config.tls.is_some() { "grpc+tls" } else { "grpc" };
    format!("{scheme}://{address}")
}

/// Opens Arrow Flight SQL.
pub(super) fn open_flight(
    listener: Option<TcpListener>,
    keys: &Keys,
    engine: &Arc<Engine>,
    stop: &CancellationToken,
) -> Option<Open> {
    let listener = listener?;
    let address = listener.local_addr().ok()?;
    let door = flight::Flight {
        engine: Arc::clone(engine),
        access: Arc::clone(&keys.access),
        tls: keys.tls.clone(),
    };
    Some(Open { address, task: tokio::spawn(flight::run(listener, door, stop.child_token())) })
}
