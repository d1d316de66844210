//! The users file: who there is, with what role, and the secrets that prove it.

use std::collections::HashMap;
use std::fmt;
use std::fmt::Write as _;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use toml::Spanned;

use super::scram::Secret;
use super::{Identity, Role, new_token};

/// What stands before the hash of a token in the file.
const TOKEN_PREFIX: &str = "sha256:";

/// The hash by which a token is known. Tokens have 256 random bits, so a plain hash cannot be tried out.
pub(super) fn token_hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// One user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The name.
    pub name: String,
    /// What the user may see.
    pub role: Role,
    /// Which agent the user is.
    pub agent_id: Option<String>,
    /// The user's departments.
    pub departments: Vec<String>,
    /// What is stored of the password.
    pub password: Option<Secret>,
    /// Hashes of the tokens.
    pub tokens: Vec<[u8; 32]>,
}

impl User {
    /// Who the user is once inside.
    pub fn identity(&self) -> Identity {
        Identity {
            user: self.name.clone(),
            role: self.role,
            agent_id: self.agent_id.clone(),
            departments: self.departments.clone(),
        }
    }
}

/// One thing that is wrong with a users file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}: {}", self.file, self.line, self.message)
    }
}

/// All users.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Users {
    users: Vec<User>,
    by_token: HashMap<[u8; 32], usize>,
    pseudonym_key: Option<Vec<u8>>,
}

impl fmt::Debug for Users {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_list().entries(self.users.iter().map(|user| &user.name)).finish()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    pseudonym_key: Option<Spanned<String>>,
    #[serde(default)]
    user: Vec<RawUser>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawUser {
    name: Spanned<String>,
    role: Spanned<String>,
    agent_id: Option<Spanned<String>>,
    #[serde(default)]
    departments: Vec<Spanned<String>>,
    password: Option<Spanned<String>>,
    #[serde(default)]
    tokens: Vec<Spanned<String>>,
}

impl Users {
    /// Reads the text of a users file; `file` is its name in messages.
    ///
    /// # Errors
    /// Every fault, each with its line. Secrets are not shown.
    pub fn parse(file: &str, text: &str) -> Result<Self, Vec<Fault>> {
        let line =
            |at: usize| 1 + text.as_bytes()[..at.min(text.len())].iter().filter(|b| **b == b'\n').count();
        let raw: RawFile = toml::from_str(text).map_err(|error| {
            let line = line(error.span().map_or(0, |span| span.start));
            vec![Fault { file: file.to_owned(), line, message: error.message().replace('\n', ", ") }]
        })?;
        let mut faults = Vec::new();
        let mut fault = |at: usize, message: String| {
            faults.push(Fault { file: file.to_owned(), line: line(at), message });
        };
        let mut all = Self::default();
        if let Some(key) = &raw.pseudonym_key {
            match STANDARD.decode(key.as_ref()) {
                Ok(bytes) if bytes.len() >= 16 => all.pseudonym_key = Some(bytes),
                _ => {
                    fault(key.span().start, "`pseudonym_key` must be at least 16 bytes in base64".to_owned())
                }
            }
        }
        for raw in raw.user {
            let at = raw.name.span().start;
            let name = raw.name.into_inner();
            if !is_name(&name) {
                fault(
                    at,
                    format!(
                        "`{name}` is no name of a user: letters, digits, `_`, `-`, `.` and `@`, at most 63"
                    ),
                );
            }
            if all.get(&name).is_some() {
                fault(at, format!("the user `{name}` stands here twice"));
            }
            let role = raw.role.as_ref().parse::<Role>();
            if let Err(message) = &role {
                fault(raw.role.span().start, message.clone());
            }
            let agent_id = raw.agent_id.map(Spanned::into_inner).filter(|id| !id.is_empty());
            let departments: Vec<String> = raw
                .departments
                .into_iter()
                .map(Spanned::into_inner)
                .filter(|name| !name.is_empty())
                .collect();
            match &role {
                Ok(Role::Agent) if agent_id.is_none() => {
                    fault(at, format!("the user `{name}` is an agent and has no `agent_id`"));
                }
                Ok(Role::Lead) if departments.is_empty() => {
                    fault(at, format!("the user `{name}` is a lead and has no `departments`"));
                }
                _ => {}
            }
            let password = raw.password.and_then(|text| match text.as_ref().parse::<Secret>() {
                Ok(secret) => Some(secret),
                Err(message) => {
                    fault(text.span().start, format!("the password of `{name}` cannot be read: {message}"));
                    None
                }
            });
            let mut tokens = Vec::new();
            for text in raw.tokens {
                match parse_token(text.as_ref()) {
                    Some(hash) if all.by_token.contains_key(&hash) => {
                        fault(text.span().start, format!("a token of `{name}` stands here twice"));
                    }
                    Some(hash) => {
                        all.by_token.insert(hash, all.users.len());
                        tokens.push(hash);
                    }
                    None => {
                        let message = format!(
                            "a token of `{name}` cannot be read: it is stored as `sha256:` and 64 hex digits"
                        );
                        fault(text.span().start, message);
                    }
                }
            }
            if let Ok(role) = role {
                all.users.push(User { name, role, agent_id, departments, password, tokens });
            }
        }
        if faults.is_empty() { Ok(all) } else { Err(faults) }
    }

    /// The users, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &User> {
        self.users.iter()
    }

    /// The user of this name.
    pub fn get(&self, name: &str) -> Option<&User> {
        self.users.iter().find(|user| user.name == name)
    }

    pub(super) fn by_token(&self, hash: &[u8; 32]) -> Option<&User> {
        self.by_token.get(hash).and_then(|at| self.users.get(*at))
    }

    /// The key by which personal columns are made pseudonyms.
    pub fn pseudonym_key(&self) -> Option<&[u8]> {
        self.pseudonym_key.as_deref()
    }

    /// Adds a user, or replaces the one of this name. Gives the password or token that was made up, to be shown once.
    ///
    /// # Errors
    /// Where a role lacks what it needs, or the name is none.
    pub fn add(&mut self, new: NewUser) -> Result<Option<String>, String> {
        if !is_name(&new.name) {
            return Err(format!(
                "`{}` is no name of a user: letters, digits, `_`, `-`, `.` and `@`",
                new.name
            ));
        }
        if new.role == Role::Agent && new.agent_id.is_none() {
            return Err("a user of role agent needs `--agent-id`".to_owned());
        }
        if new.role == Role::Lead && new.departments.is_empty() {
            return Err("a user of role lead needs `--department`".to_owned());
        }
        let (mut password, mut tokens, mut shown) = (None, Vec::new(), None);
        if new.token {
            let token = new_token();
            tokens.push(token_hash(&token));
            shown = Some(token);
        } else {
            let text = new.password.unwrap_or_else(|| {
                let made = new_token().split_off(3);
                shown = Some(made.clone());
                made
            });
            password = Some(Secret::of(&text));
        }
        self.pseudonym_key.get_or_insert_with(|| rand::random::<[u8; 32]>().to_vec());
        self.remove(&new.name);
        let user = User {
            name: new.name,
            role: new.role,
            agent_id: new.agent_id,
            departments: new.departments,
            password,
            tokens,
        };
        self.users.push(user);
        self.index_tokens();
        Ok(shown)
    }

    /// Takes a user out; tells whether there was one.
    pub fn remove(&mut self, name: &str) -> bool {
        let before = self.users.len();
        self.users.retain(|user| user.name != name);
        self.index_tokens();
        self.users.len() < before
    }

    fn index_tokens(&mut self) {
        let tokens = self.users.iter().enumerate();
        self.by_token =
            tokens.flat_map(|(at, user)| user.tokens.iter().map(move |hash| (*hash, at))).collect();
    }

    /// The text of the file.
    pub fn to_text(&self) -> String {
        let mut out = String::from(
            "# Users of callpulse, written by `callpulse user`; comments are not kept.\n\
             # Passwords and tokens stand here as hashes. Keep the file readable by callpulse only.\n",
        );
        if let Some(key) = &self.pseudonym_key {
            let _ = writeln!(
                out,
                "\n# Makes the pseudonyms that stand for customers where a role may not see them."
            );
            let _ = writeln!(out, "pseudonym_key = \"{}\"", STANDARD.encode(key));
        }
        for user in &self.users {
            let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
            let list = |texts: Vec<String>| format!("[{}]", texts.join(", "));
            let _ =
                writeln!(out, "\n[[user]]\nname = {}\nrole = \"{}\"", quoted(&user.name), user.role.name());
            if let Some(agent) = &user.agent_id {
                let _ = writeln!(out, "agent_id = {}", quoted(agent));
            }
            if !user.departments.is_empty() {
                let names = user.departments.iter().map(|name| quoted(name)).collect();
                let _ = writeln!(out, "departments = {}", list(names));
            }
            if let Some(secret) = &user.password {
                let _ = writeln!(out, "password = \"{secret}\"");
            }
            if !user.tokens.is_empty() {
                let hex = |hash: &[u8; 32]| {
                    hash.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
                };
                let hashes =
                    user.tokens.iter().map(|hash| format!("\"{TOKEN_PREFIX}{}\"", hex(hash))).collect();
                let _ = writeln!(out, "tokens = {}", list(hashes));
            }
        }
        out
    }
}

/// A user to be added.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// The name.
    pub name: String,
    /// What the user may see.
    pub role: Role,
    /// Which agent the user is.
    pub agent_id: Option<String>,
    /// The user's departments.
    pub departments: Vec<String>,
    /// The password; one is made up where there is none.
    pub password: Option<String>,
    /// A token instead of a password.
    pub token: bool,
}

fn is_name(name: &str) -> bool {
    let may = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '@');
    !name.is_empty() && name.len() <= 63 && name.chars().all(may)
}

fn parse_token(text: &str) -> Option<[u8; 32]> {
    let hex = text.strip_prefix(TOKEN_PREFIX)?;
    if hex.len() != 64 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut hash = [0; 32];
    for (at, byte) in hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(hex.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(name: &str, role: Role) -> NewUser {
        NewUser {
            name: name.to_owned(),
            role,
            agent_id: None,
            departments: Vec::new(),
            password: None,
            token: false,
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let mut users = Users::default();
        let made = users.add(new("ana", Role::Analyst)).expect("an analyst").expect("a password was made up");
        let mut lead = new("li.wei@example", Role::Lead);
        lead.departments = vec!["零售".to_owned(), "a\"b".to_owned()];
        lead.token = true;
        let token = users.add(lead).expect("a lead").expect("a token");
        let text = users.to_text();
        assert!(!text.contains(&made) && !text.contains(&token));
        let read = Users::parse("users.toml", &text).expect("what was written");
        assert_eq!(read, users);
        assert!(
            read.get("ana").and_then(|user| user.password.clone()).is_some_and(|secret| secret.fits(&made))
        );
        assert_eq!(read.by_token(&token_hash(&token)).map(|user| user.name.as_str()), Some("li.wei@example"));
        assert!(users.remove("ana") && !users.remove("ana"));
        assert_eq!(
            users.by_token(&token_hash(&token)).map(|user| user.name.as_str()),
            Some("li.wei@example")
        );
    }

    #[test]
    fn every_fault_is_told_with_its_line() {
        let text = "pseudonym_key = \"x\"\n[[user]]\nname = \"a b\"\nrole = \"boss\"\n[[user]]\nname = \"ann\"\n\
                    role = \"agent\"\n[[user]]\nname = \"ann\"\nrole = \"lead\"\npassword = \"clear\"\ntokens = [\"t\"]\n";
        let faults = Users::parse("u.toml", text).expect_err("faults");
        let lines: Vec<usize> = faults.iter().map(|fault| fault.line).collect();
        assert_eq!(lines, [1, 3, 4, 6, 9, 9, 11, 12], "{faults:?}");
        assert!(faults.iter().all(|fault| !fault.to_string().contains("clear")), "{faults:?}");
        let unknown = Users::parse("u.toml", "[[user]]\nnam = \"x\"\n").expect_err("an unknown key");
        assert_eq!(unknown[0].line, 2, "{unknown:?}");
    }

    #[test]
    fn a_role_has_what_it_needs() {
        let mut users = Users::default();
        assert!(users.add(new("a", Role::Agent)).is_err());
        assert!(users.add(new("a", Role::Lead)).is_err());
        assert!(users.add(new("a b", Role::Admin)).is_err());
        assert_eq!(users.iter().count(), 0);
    }
}
