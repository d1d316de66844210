//! Who may come in, and what is written down about it: users, roles, passwords, tokens, tokens of a login elsewhere, the audit
//! log.
//!
//! Knows no SQL and no wire: [`crate::query`] turns a role into what its rows are, the doors carry passwords and tokens
//! here. Reads no file but the one it is told to, and only when it is told to.
//!
//! Invariant: no secret is kept in clear, printed or compared in a time that tells where it differs.
//! Invariant: without users there is one identity, the administrator on this machine, and only for clients on loopback.

mod audit;
mod oidc;
mod scram;
mod tls;
mod users;

use std::collections::HashMap;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

pub use audit::{Audit, Door, Outcome, Record};
pub use oidc::{Denied, Keys as OidcKeys, Oidc, Options as OidcOptions};
pub use scram::{Exchange, Mistake, Seal, Secret};
pub use tls::Tls;
pub use users::{Fault, NewUser, User, Users};

/// How long a login with a password lasts on the pages and in Flight SQL.
pub const LOGIN_TIME: Duration = Duration::from_secs(12 * 3600);
/// Logins that are remembered at once; further ones push out the oldest.
const LOGINS_MAX: usize = 10_000;
/// Failures of one address within [`FAILURE_TIME`] after which it is made to wait.
const FAILURES_MAX: u32 = 10;
/// How long failures of an address are remembered.
const FAILURE_TIME: Duration = Duration::from_secs(60);
/// Addresses whose failures are remembered at once.
const ADDRESSES_MAX: usize = 10_000;

/// What somebody may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// The own contacts.
    Agent,
    /// The contacts of the own departments.
    Lead,
    /// All contacts, personal data masked.
    Analyst,
    /// All contacts; personal data and texts of the own departments unmasked.
    Supervisor,
    /// Everything.
    Admin,
}

impl Role {
    /// Every role.
    pub const ALL: [Role; 5] = [Role::Agent, Role::Lead, Role::Analyst, Role::Supervisor, Role::Admin];

    /// Its name, as the users file has it.
    pub const fn name(self) -> &'static str {
        match self {
            Role::Agent => "agent",
            Role::Lead => "lead",
            Role::Analyst => "analyst",
            Role::Supervisor => "supervisor",
            Role::Admin => "admin",
        }
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let names = || Self::ALL.map(Self::name).join(", ");
        let found = Self::ALL.into_iter().find(|role| role.name() == name);
        found.ok_or_else(|| format!("unknown role `{name}`; there are {}", names()))
    }
}

/// Somebody who has come in.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The name of the user.
    pub user: String,
    /// What the user may see.
    pub role: Role,
    /// Which agent the user is; a user of role agent without one sees nothing.
    pub agent_id: Option<String>,
    /// The user's departments.
    pub departments: Vec<String>,
}

impl Identity {
    /// The administrator on this machine.
    pub fn local() -> Self {
        Self { user: "local".to_owned(), role: Role::Admin, agent_id: None, departments: Vec::new() }
    }

    /// Whether everything is open to this user.
    pub fn is_admin(&self) -> bool {
        self.role == Role::Admin
    }
}

/// The gate: who is who. Users may be replaced while it is in use.
pub struct Access {
    users: Option<ArcSwap<Users>>,
    logins: Mutex<HashMap<[u8; 32], Login>>,
    failures: Mutex<HashMap<IpAddr, (u32, Instant)>>,
    /// Makes secrets of users that do not exist, so that they look like others.
    decoy: [u8; 32],
    /// Hashes of tokens of platforms, and the topic to which each may send.
    sources: Vec<([u8; 32], String)>,
    /// Whose tokens of a login elsewhere count.
    oidc: Option<Arc<Oidc>>,
}

fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

struct Login {
    user: String,
    until: Instant,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Access").field("users", &self.users.is_some()).finish_non_exhaustive()
    }
}

impl Access {
    /// Without users: clients on loopback are administrators, nobody else is anybody.
    pub fn local_only() -> Self {
        Self::with(None)
    }

    /// With users: everybody shows a password or a token.
    pub fn of(users: Users) -> Self {
        Self::with(Some(ArcSwap::from_pointee(users)))
    }

    fn with(users: Option<ArcSwap<Users>>) -> Self {
        Self {
            users,
            logins: Mutex::default(),
            failures: Mutex::default(),
            decoy: rand::random(),
            sources: Vec::new(),
            oidc: None,
        }
    }

    /// The same, and tokens of this issuer count too, where there are users at all.
    pub fn with_oidc(self, oidc: Option<Arc<Oidc>>) -> Self {
        Self { oidc, ..self }
    }

    /// The same, and platforms with a token of their own may send records to one topic, and do nothing else.
    pub fn with_sources(self, tokens: impl IntoIterator<Item = (String, String)>) -> Self {
        let sources = tokens.into_iter().map(|(token, topic)| (hash(&token), topic)).collect();
        Self { sources, ..self }
    }

    /// The topic to which the platform with this token may send.
    pub fn source(&self, token: &str) -> Option<&str> {
        let asked = hash(token);
        // Hashes are compared, so how long it takes says nothing of the token.
        self.sources.iter().find(|(known, _)| *known == asked).map(|(_, topic)| topic.as_str())
    }

    /// Whether a client has to say who it is.
    pub fn asks(&self) -> bool {
        self.users.is_some()
    }

    /// The users in force.
    pub fn users(&self) -> Option<Arc<Users>> {
        self.users.as_ref().map(ArcSwap::load_full)
    }

    /// Puts other users in force. Without users from the start there are none later either.
    pub fn replace(&self, users: Users) {
        if let Some(current) = &self.users {
            current.store(Arc::new(users));
        }
    }

    /// Who comes in without a word: the local administrator where there are no users and `peer` is on this machine.
    pub fn unasked(&self, peer: IpAddr) -> Option<Identity> {
        (self.users.is_none() && peer.is_loopback()).then(Identity::local)
    }

    /// The user of this name, as the users in force have it.
    pub fn by_name(&self, name: &str) -> Option<Identity> {
        match &self.users {
            None => (name == Identity::local().user).then(Identity::local),
            Some(users) => users.load().get(name).map(User::identity),
        }
    }

    /// The user with this password.
    pub fn by_password(&self, name: &str, password: &str) -> Option<Identity> {
        let users = self.users()?;
        let user = users.get(name);
        let decoy;
        let secret = match user.and_then(|user| user.password.as_ref()) {
            Some(secret) => secret,
            None => {
                decoy = self.decoy(name);
                &decoy
            }
        };
        // Reckoned for unknown users too, so that the time it takes does not tell them apart.
        let fits = secret.fits(password);
        user.filter(|user| fits && user.password.is_some()).map(User::identity)
    }

    /// The secret against which a user of this name is held in SCRAM; a decoy where there is none.
    pub fn secret(&self, name: &str) -> Secret {
        let known = self.users().and_then(|users| users.get(name).and_then(|user| user.password.clone()));
        known.unwrap_or_else(|| self.decoy(name))
    }

    fn decoy(&self, name: &str) -> Secret {
        Secret::decoy(&self.decoy, name)
    }

    /// The user with this token: one of the users file, one that a login has given, or one of the issuer.
    ///
    /// # Errors
    /// Why nobody comes in by it.
    pub fn by_token(&self, token: &str) -> Result<Identity, Denied> {
        let users = self.users().ok_or(Denied::Unknown)?;
        let hash = users::token_hash(token);
        if let Some(user) = users.by_token(&hash) {
            return Ok(user.identity());
        }
        if let Some(user) = self.login(&hash) {
            // The user as it is now: rights that were taken away since are gone.
            return users.get(&user).map(User::identity).ok_or(Denied::Unknown);
        }
        self.oidc.as_ref().map_or(Err(Denied::Unknown), |oidc| oidc.identity(token))
    }

    /// The user to whom a login has given this token, as long as it lasts.
    fn login(&self, hash: &[u8; 32]) -> Option<String> {
        let mut logins = self.logins.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let login = logins.get(hash)?;
        if login.until > Instant::now() {
            return Some(login.user.clone());
        }
        logins.remove(hash);
        None
    }

    /// A token for a user who has shown a password; it lasts for [`LOGIN_TIME`] or until the process ends.
    pub fn log_in(&self, identity: &Identity) -> String {
        let token = new_token();
        let now = Instant::now();
        let mut logins = self.logins.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if logins.len() >= LOGINS_MAX {
            logins.retain(|_, login| login.until > now);
        }
        if logins.len() >= LOGINS_MAX
            && let Some(oldest) = logins.iter().min_by_key(|(_, login)| login.until).map(|(hash, _)| *hash)
        {
            logins.remove(&oldest);
        }
        logins.insert(
            users::token_hash(&token),
            Login { user: identity.user.clone(), until: now + LOGIN_TIME },
        );
        token
    }

    /// Forgets a token that a login has given.
    pub fn log_out(&self, token: &str) {
        let mut logins = self.logins.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        logins.remove(&users::token_hash(token));
    }

    /// Whether this address has guessed wrong so often that it has to wait.
    pub fn must_wait(&self, peer: IpAddr) -> bool {
        let failures = self.failures.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        failures
            .get(&peer)
            .is_some_and(|(count, since)| *count >= FAILURES_MAX && since.elapsed() < FAILURE_TIME)
    }

    /// Notes that this address has shown a wrong password or token.
    pub fn note_failure(&self, peer: IpAddr) {
        let mut failures = self.failures.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if failures.len() >= ADDRESSES_MAX {
            failures.retain(|_, (_, since)| since.elapsed() < FAILURE_TIME);
        }
        if failures.len() >= ADDRESSES_MAX {
            return;
        }
        let entry = failures.entry(peer).or_insert((0, Instant::now()));
        if entry.1.elapsed() >= FAILURE_TIME {
            *entry = (0, Instant::now());
        }
        entry.0 = entry.0.saturating_add(1);
    }
}

/// User and password of a header `authorization: Basic …`, from what stands behind the word. Some clients of Flight leave the
/// padding out.
pub fn basic(secret: &str) -> Option<(String, String)> {
    let bytes = STANDARD_NO_PAD.decode(secret.trim().trim_end_matches('=')).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

/// A token that cannot be guessed: 256 random bits.
pub fn new_token() -> String {
    let bytes: [u8; 32] = rand::random();
    format!("cp_{}", URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users(text: &str) -> Users {
        Users::parse("users.toml", text).expect("users of the test")
    }

    #[test]
    fn without_users_loopback_is_the_administrator_and_nobody_else_is_anybody() {
        let access = Access::local_only();
        assert!(!access.asks());
        let here: IpAddr = "127.0.0.1".parse().expect("an address");
        let there: IpAddr = "192.0.2.7".parse().expect("an address");
        assert_eq!(access.unasked(here).map(|who| who.role), Some(Role::Admin));
        assert_eq!(access.unasked(there), None);
        assert_eq!(access.by_token("anything"), Err(Denied::Unknown));
        assert_eq!(access.by_password("local", ""), None);
    }

    #[test]
    fn a_password_may_come_with_padding_or_without() {
        let ana = Some(("ana".to_owned(), "a:b".to_owned()));
        for secret in ["YW5hOmE6Yg==", "YW5hOmE6Yg", " YW5hOmE6Yg== "] {
            assert_eq!(basic(secret), ana, "{secret}");
        }
        for secret in ["", "YW5h", "YW5hOmE6Y", "{}"] {
            assert_eq!(basic(secret), None, "{secret}");
        }
    }

    #[test]
    fn a_login_lasts_until_the_user_is_gone() {
        let secret = Secret::new("s3cret", &[7; 16], 4096);
        let text = format!("[[user]]\nname = \"ana\"\nrole = \"analyst\"\npassword = \"{secret}\"\n");
        let access = Access::of(users(&text));
        assert_eq!(access.by_password("ana", "wrong"), None);
        assert_eq!(access.by_password("bob", "s3cret"), None);
        assert_eq!(access.unasked("127.0.0.1".parse().expect("an address")), None);
        let ana = access.by_password("ana", "s3cret").expect("the right password");
        let token = access.log_in(&ana);
        assert_eq!(access.by_token(&token), Ok(ana.clone()));
        access.log_out(&token);
        assert_eq!(access.by_token(&token), Err(Denied::Unknown));
        let token = access.log_in(&ana);
        access.replace(users(""));
        assert_eq!(access.by_token(&token), Err(Denied::Unknown));
    }

    #[test]
    fn who_guesses_has_to_wait() {
        let access = Access::of(users(""));
        let peer: IpAddr = "192.0.2.7".parse().expect("an address");
        for _ in 0..FAILURES_MAX {
            assert!(!access.must_wait(peer));
            access.note_failure(peer);
        }
        assert!(access.must_wait(peer));
        assert!(!access.must_wait("192.0.2.8".parse().expect("an address")));
    }

    #[test]
    fn unknown_users_have_a_lasting_decoy() {
        let access = Access::of(users(""));
        assert_eq!(access.secret("bob").to_string(), access.secret("bob").to_string());
        assert_ne!(access.secret("bob").to_string(), access.secret("eve").to_string());
    }
}
