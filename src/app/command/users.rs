//! `user add|list|remove`: the users file.

use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};

use super::print;
use crate::access::{NewUser, Role, Users};
use crate::app::{Failure, doors};
use crate::config::Config;

/// What was typed for `user add`.
pub(super) struct Add {
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) agent_id: Option<String>,
    pub(super) departments: Vec<String>,
    pub(super) token: bool,
    pub(super) password_stdin: bool,
}

fn path(config: &Config) -> Result<PathBuf, Failure> {
    config.users.as_ref().map(PathBuf::from).ok_or_else(|| {
        Failure::config("no users file is configured: `users` is empty")
            .hint("name one: --set users=users.toml, or `users = \"users.toml\"` in the configuration")
    })
}

fn read(path: &Path) -> Result<Users, Failure> {
    if path.exists() { doors::read_users(path) } else { Ok(Users::default()) }
}

/// Adds a user, or replaces one. A password or token that was made up goes to stdout, once.
///
/// # Errors
/// Where the file is wrong or cannot be written, or the role lacks what it needs.
pub(super) fn add(config: &Config, add: Add) -> Result<(), Failure> {
    let path = path(config)?;
    let mut users = read(&path)?;
    let password = match add.password_stdin {
        false => None,
        true => {
            let mut line = String::new();
            let read = std::io::stdin().lock().read_line(&mut line);
            read.map_err(|error| Failure::input(format!("stdin cannot be read: {error}")))?;
            let text = line.trim_end_matches(['\r', '\n']).to_owned();
            if text.chars().count() < 8 {
                return Err(Failure::usage("the password is shorter than 8 characters"));
            }
            Some(text)
        }
    };
    let (name, role) = (add.name.clone(), add.role);
    let new = NewUser {
        name: add.name,
        role,
        agent_id: add.agent_id,
        departments: add.departments,
        password,
        token: add.token,
    };
    let shown = users.add(new).map_err(Failure::usage)?;
    write(&path, &users)?;
    eprintln!("user `{name}` of role {} is in `{}`", role.name(), path.display());
    if let Some(secret) = shown {
        let kind = if add.token { "token" } else { "password" };
        eprintln!("the {kind} follows; it is not kept and not shown again");
        print(format!("{secret}\n").as_bytes())?;
    }
    Ok(())
}

/// Prints the users.
///
/// # Errors
/// Where the file is wrong.
pub(super) fn list(config: &Config) -> Result<(), Failure> {
    let users = doors::read_users(&path(config)?)?;
    let mut out = String::from("name\trole\tagent_id\tdepartments\tcomes in by\n");
    for user in users.iter() {
        let mut ways = Vec::new();
        if user.password.is_some() {
            ways.push("password".to_owned());
        }
        if !user.tokens.is_empty() {
            ways.push(format!("{} token(s)", user.tokens.len()));
        }
        let fields = [
            user.name.clone(),
            user.role.name().to_owned(),
            user.agent_id.clone().unwrap_or_default(),
            user.departments.join(", "),
            ways.join(", "),
        ];
        out.push_str(&fields.join("\t"));
        out.push('\n');
    }
    print(out.as_bytes())
}

/// Takes a user out.
///
/// # Errors
/// Where there is no such user, or the file is wrong or cannot be written.
pub(super) fn remove(config: &Config, name: &str) -> Result<(), Failure> {
    let path = path(config)?;
    let mut users = doors::read_users(&path)?;
    if !users.remove(name) {
        return Err(Failure::usage(format!("there is no user `{name}` in `{}`", path.display())));
    }
    write(&path, &users)?;
    eprintln!("user `{name}` is gone from `{}`", path.display());
    Ok(())
}

/// Writes the file beside the old one and puts it in its place, readable by its owner only.
fn write(path: &Path, users: &Users) -> Result<(), Failure> {
    use std::os::unix::fs::OpenOptionsExt;
    let fresh = path.with_extension("new");
    let written = (|| {
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.create(true).write(true).truncate(true).mode(0o600).open(&fresh)?;
        file.write_all(users.to_text().as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&fresh, path)
    })();
    written.map_err(|error: std::io::Error| {
        Failure::outside(format!("the users file `{}` cannot be written: {error}", path.display()))
    })
}
