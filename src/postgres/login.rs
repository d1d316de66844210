//! The start of a connection: who is it? Passwords by SCRAM-SHA-256, which shows them to nobody.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use datafusion_postgres::pgwire::api::auth::{
    DefaultServerParameterProvider, StartupHandler, finish_authentication, protocol_negotiation,
    save_startup_parameters_to_metadata,
};
use datafusion_postgres::pgwire::api::{
    ClientInfo, METADATA_DATABASE, METADATA_USER, PgWireConnectionState, PidSecretKeyGenerator,
    RandomPidSecretKeyGenerator,
};
use datafusion_postgres::pgwire::error::{PgWireError, PgWireResult};
use datafusion_postgres::pgwire::messages::startup::{Authentication, PasswordMessageFamily};
use datafusion_postgres::pgwire::messages::{PgWireBackendMessage, PgWireFrontendMessage};
use futures::{Sink, SinkExt};

use super::Wire;
use super::fault;
use super::session::{Session, Sessions};
use super::settings::Settings;
use crate::access::{Door, Exchange, Identity, Mistake, Outcome, Record};
use crate::query::CATALOG;
use crate::query::functions::SERVER_VERSION;

/// The one mechanism.
const MECHANISM: &str = "SCRAM-SHA-256";

/// Lets clients in.
pub(super) struct Login {
    pub(super) wire: Wire,
    pub(super) sessions: Arc<Sessions>,
    pub(super) keys: RandomPidSecretKeyGenerator,
}

/// An exchange that has begun.
#[derive(Default)]
struct Pending(Mutex<Option<Exchange>>);

#[async_trait]
impl StartupHandler for Login {
    async fn on_startup<C>(&self, client: &mut C, message: PgWireFrontendMessage) -> PgWireResult<()>
    where
        C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        match message {
            PgWireFrontendMessage::Startup(startup) => {
                protocol_negotiation(client, &startup).await?;
                save_startup_parameters_to_metadata(client, &startup);
                let peer = client.socket_addr().ip();
                if self.wire.tls.is_some() && !client.is_secure() && !peer.is_loopback() {
                    return Err(self.refuse(
                        client,
                        "28000",
                        "this server wants an encrypted connection: sslmode=require",
                    ));
                }
                self.check_database(client)?;
                if let Some(who) = self.wire.access.unasked(peer) {
                    return self.enter(client, &who).await;
                }
                if !self.wire.access.asks() {
                    return Err(self.refuse(
                        client,
                        "28000",
                        "without users, only clients on this machine are served",
                    ));
                }
                if self.wire.access.must_wait(peer) {
                    return Err(self.refuse(
                        client,
                        "28000",
                        "too many wrong passwords from this address; wait a minute",
                    ));
                }
                client.session_extensions().insert(Pending::default());
                client.set_state(PgWireConnectionState::AuthenticationInProgress);
                let offer = Authentication::SASL(vec![MECHANISM.to_owned()]);
                client.send(PgWireBackendMessage::Authentication(offer)).await?;
                Ok(())
            }
            PgWireFrontendMessage::PasswordMessageFamily(message) => self.on_password(client, message).await,
            _ => Err(fault::fatal("08P01", "a password was expected")),
        }
    }
}

impl Login {
    async fn on_password<C>(&self, client: &mut C, message: PasswordMessageFamily) -> PgWireResult<()>
    where
        C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let user = user_of(client);
        let pending = client.session_extensions().get::<Pending>();
        let Some(pending) = pending else { return Err(fault::fatal("08P01", "no password was asked for")) };
        let begun = pending.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take();
        match begun {
            None => {
                let first = message.into_sasl_initial_response()?;
                if first.auth_method != MECHANISM {
                    return Err(fault::fatal(
                        "28000",
                        format!("`{}` is not offered, only {MECHANISM}", first.auth_method),
                    ));
                }
                let text = first.data.as_deref().and_then(|data| std::str::from_utf8(data).ok());
                let text =
                    text.ok_or_else(|| fault::fatal("08P01", "the first message of SCRAM is no text"))?;
                let fresh = STANDARD.encode(rand::random::<[u8; 18]>());
                let exchange =
                    Exchange::begin(text, self.wire.access.secret(&user), &fresh).map_err(malformed)?;
                let answer = Authentication::SASLContinue(exchange.server_first().to_owned().into());
                *pending.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(exchange);
                client.send(PgWireBackendMessage::Authentication(answer)).await?;
                Ok(())
            }
            Some(exchange) => {
                let last = message.into_sasl_response()?;
                let text = std::str::from_utf8(&last.data);
                let text = text.map_err(|_| fault::fatal("08P01", "the last message of SCRAM is no text"))?;
                let proven = match exchange.finish(text) {
                    Ok(proven) => proven,
                    Err(Mistake::Proof) => {
                        self.wire.access.note_failure(client.socket_addr().ip());
                        // Guessing costs time, whoever guesses.
                        tokio::time::sleep(Duration::from_millis(200)).await;
                        let message = format!("password authentication failed for user \"{user}\"");
                        return Err(self.refuse(client, "28P01", &message));
                    }
                    Err(mistake) => return Err(malformed(mistake)),
                };
                let Some(who) = self.wire.access.by_name(&user) else {
                    return Err(self.refuse(
                        client,
                        "28P01",
                        &format!("password authentication failed for user \"{user}\""),
                    ));
                };
                client
                    .feed(PgWireBackendMessage::Authentication(Authentication::SASLFinal(proven.into())))
                    .await?;
                self.enter(client, &who).await
            }
        }
    }

    async fn enter<C>(&self, client: &mut C, who: &Identity) -> PgWireResult<()>
    where
        C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let settings = Settings::of_startup(client.metadata()).map_err(|error| match error {
            PgWireError::UserError(mut info) => {
                info.severity = "FATAL".to_owned();
                PgWireError::UserError(info)
            }
            other => other,
        })?;
        let mut told = DefaultServerParameterProvider::default();
        told.server_version = SERVER_VERSION.to_owned();
        told.is_superuser = false;
        told.default_transaction_read_only = true;
        told.time_zone = settings.zone().unwrap_or("UTC").to_owned();
        told.session_authorization = Some(who.user.clone());

        let (pid, secret) = self.keys.generate(client);
        client.set_pid_and_secret_key(pid, secret.clone());
        client.session_extensions().insert(Session::new(who, client.socket_addr(), settings));
        let session = Session::of(client)?;
        self.sessions.enter(pid, &secret, &session);
        if self.wire.access.asks() {
            self.note(client, Some(who), Outcome::LoggedIn, None);
        }
        finish_authentication(client, &told).await
    }

    fn check_database<C: ClientInfo>(&self, client: &C) -> PgWireResult<()> {
        let metadata: &HashMap<String, String> = client.metadata();
        let user = metadata.get(METADATA_USER).map(String::as_str).unwrap_or_default();
        match metadata.get(METADATA_DATABASE).map(String::as_str) {
            // A client that names no database is sent the user's name as one.
            None | Some("" | CATALOG | "postgres") => Ok(()),
            Some(name) if name == user => Ok(()),
            Some(name) => Err(fault::fatal(
                "3D000",
                format!("database \"{name}\" does not exist; there is \"{CATALOG}\""),
            )),
        }
    }

    /// A refusal, which leaves a line in the audit log.
    fn refuse<C: ClientInfo>(&self, client: &C, code: &str, message: &str) -> PgWireError {
        self.note(client, None, Outcome::Refused, Some(message));
        fault::fatal(code, message)
    }

    fn note<C: ClientInfo>(&self, client: &C, who: Option<&Identity>, outcome: Outcome, why: Option<&str>) {
        let Some(audit) = self.wire.engine.audit() else { return };
        let what = format!("login as {}", user_of(client));
        audit.note(&Record {
            who,
            peer: Some(client.socket_addr()),
            door: Door::Postgres,
            what: &what,
            outcome,
            rows: 0,
            took: Duration::ZERO,
            why,
        });
    }
}

fn user_of<C: ClientInfo>(client: &C) -> String {
    client.metadata().get(METADATA_USER).cloned().unwrap_or_default()
}

fn malformed(mistake: Mistake) -> PgWireError {
    match mistake {
        Mistake::Message(text) => fault::fatal("08P01", text),
        Mistake::Proof => fault::fatal("28P01", "password authentication failed"),
    }
}
