//! The public keys of a login elsewhere: read from a file, or asked for at an address, and kept fresh.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::Failure;
use super::doors::changed_at;
use crate::access::{Oidc, OidcKeys};
use crate::config::{self, Jwks};
use crate::time::Clock;

/// How often it is looked whether there is something to do.
const LOOK: Duration = Duration::from_secs(2);
/// How old keys of an address become.
const FRESH: Duration = Duration::from_secs(600);
/// How far apart two questions are at least: tokens of strangers name keys that are not there, too.
const APART: Duration = Duration::from_secs(10);
/// How long one question may take.
const REQUEST: Duration = Duration::from_secs(10);
/// The longest key set that is read, bytes.
const BYTES_MAX: usize = 1 << 20;

/// The login elsewhere, and where its keys are.
#[derive(Debug, Clone)]
pub(super) struct Issuer {
    pub(super) oidc: Arc<Oidc>,
    jwks: Jwks,
}

impl Issuer {
    /// With the keys of the file. Those of an address come later, and nobody comes in by them before.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub(super) fn of(settings: &config::Oidc, clock: Arc<dyn Clock>) -> Result<Issuer, Failure> {
        let keys = match &settings.jwks {
            Jwks::File(path) => read(path).map_err(|why| {
                Failure::config(why).hint("mend `access.oidc.jwks`, or empty `access.oidc.issuer`")
            })?,
            Jwks::Address(_) => OidcKeys::default(),
        };
        let oidc = Arc::new(Oidc::new(settings.options.clone(), keys, clock));
        Ok(Issuer { oidc, jwks: settings.jwks.clone() })
    }

    /// Puts other keys in force where there are others; what cannot be read leaves those that are.
    pub(super) async fn keep_fresh(self, stop: CancellationToken) {
        let client = reqwest::Client::builder()
            .timeout(REQUEST)
            .no_proxy()
            // Where it was told to ask is where it asks.
            .redirect(reqwest::redirect::Policy::none())
            .build();
        let mut seen = None;
        let mut asked: Option<(Instant, bool)> = None;
        loop {
            let found = match &self.jwks {
                Jwks::File(path) => {
                    let now = changed_at(Path::new(path));
                    let changed = seen.replace(now).is_some_and(|before| before != now);
                    changed.then(|| read(path))
                }
                Jwks::Address(address) => {
                    let wanted = self.oidc.wants_keys();
                    let due = asked
                        .is_none_or(|(at, good)| at.elapsed() >= if wanted || !good { APART } else { FRESH });
                    match (&client, due) {
                        (Ok(client), true) => {
                            let answer = ask(client, address).await;
                            asked = Some((Instant::now(), answer.is_ok()));
                            Some(answer)
                        }
                        (Err(error), true) => {
                            asked = Some((Instant::now(), true));
                            Some(Err(format!("no HTTP client: {error}")))
                        }
                        (_, false) => None,
                    }
                }
            };
            match found {
                Some(Ok(keys)) => {
                    let count = keys.len();
                    if self.oidc.replace_keys(keys) {
                        tracing::info!(keys = count, "other keys of `access.oidc` are in force");
                    }
                }
                Some(Err(why)) => tracing::error!(why, "the keys of `access.oidc` that were in force stay"),
                None => {}
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }
}

fn read(path: &str) -> Result<OidcKeys, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("the key set `{path}` cannot be read: {error}"))?;
    OidcKeys::parse(&text).map_err(|why| format!("the key set `{path}` cannot be used: {why}"))
}

async fn ask(client: &reqwest::Client, address: &str) -> Result<OidcKeys, String> {
    let wrong = |why: &dyn std::fmt::Display| format!("the key set `{address}` cannot be had: {why}");
    let answer = client.get(address).send().await.map_err(|error| wrong(&error))?;
    if !answer.status().is_success() {
        return Err(wrong(&answer.status()));
    }
    let (mut answer, mut bytes) = (answer, Vec::new());
    while let Some(piece) = answer.chunk().await.map_err(|error| wrong(&error))? {
        bytes.extend_from_slice(&piece);
        if bytes.len() > BYTES_MAX {
            return Err(wrong(&format!("it has more than {BYTES_MAX} bytes")));
        }
    }
    let text = String::from_utf8(bytes).map_err(|error| wrong(&error))?;
    OidcKeys::parse(&text).map_err(|why| wrong(&why))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::access::{Denied, OidcOptions};
    use crate::time::SystemClock;

    const KEYS: &str = r#"{"keys":[{"kty":"EC","kid":"1","crv":"P-256",
        "x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]}"#;

    fn issuer(jwks: Jwks) -> Result<Issuer, Failure> {
        let options = OidcOptions {
            issuer: "i".to_owned(),
            audience: "a".to_owned(),
            user_claim: "sub".to_owned(),
            role_claim: "roles".to_owned(),
            roles: vec![],
            departments_claim: "departments".to_owned(),
            agent_claim: "agent_id".to_owned(),
        };
        Issuer::of(&config::Oidc { options, jwks }, Arc::new(SystemClock))
    }

    /// Waits until there are keys: then a token that names another one asks for more.
    async fn has_keys(oidc: &Oidc, key: &str) {
        // A token with this key's name, which it has not signed, and one with another name.
        let named = |kid: &str| {
            use base64::Engine as _;
            let header = format!(r#"{{"alg":"ES256","kid":"{kid}"}}"#);
            format!("{}.e30.AAAA", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(header))
        };
        for _ in 0..500 {
            assert_eq!(oidc.identity(&named(key)), Err(Denied::Unknown));
            if !oidc.wants_keys() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the key `{key}` has not come into force");
    }

    #[tokio::test]
    async fn a_changed_file_takes_force_and_a_broken_one_does_not() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("jwks.json");
        let file = || Jwks::File(path.display().to_string());
        assert!(issuer(file()).is_err(), "there is no file");
        std::fs::write(&path, KEYS).expect("it is written");
        let issuer = issuer(file()).expect("there are keys");
        has_keys(&issuer.oidc, "1").await;
        let (oidc, stop) = (Arc::clone(&issuer.oidc), CancellationToken::new());
        let fresh = tokio::spawn(issuer.keep_fresh(stop.clone()));
        tokio::time::sleep(Duration::from_millis(100)).await;
        std::fs::write(&path, "no longer a key set").expect("it is written");
        tokio::time::sleep(LOOK + Duration::from_millis(500)).await;
        has_keys(&oidc, "1").await;
        std::fs::write(&path, KEYS.replace(r#""kid":"1""#, r#""kid":"the next one""#))
            .expect("it is written");
        has_keys(&oidc, "the next one").await;
        stop.cancel();
        fresh.await.expect("it ends");
    }

    #[tokio::test]
    async fn keys_come_from_an_address() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("http://{}/jwks", listener.local_addr().expect("an address"));
        let server = tokio::spawn(async move {
            let (mut client, _) = listener.accept().await.expect("somebody asks");
            let mut asked = [0; 1024];
            let read = client.read(&mut asked).await.expect("a request");
            assert!(asked[..read].starts_with(b"GET /jwks "));
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{KEYS}", KEYS.len());
            client.write_all(answer.as_bytes()).await.expect("an answer");
        });
        let issuer = issuer(Jwks::Address(address)).expect("it may come later");
        let (oidc, stop) = (Arc::clone(&issuer.oidc), CancellationToken::new());
        let fresh = tokio::spawn(issuer.keep_fresh(stop.clone()));
        has_keys(&oidc, "1").await;
        server.await.expect("it was asked");
        stop.cancel();
        fresh.await.expect("it ends");
    }
}
