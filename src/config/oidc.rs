//! What the configuration says about a login elsewhere, whose bearer tokens count here.

use super::section::Section;
use crate::access::{OidcOptions, Role};

/// A login elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Oidc {
    /// Whose tokens count, and what they say.
    pub options: OidcOptions,
    /// Where its public keys are.
    pub jwks: Jwks,
}

/// Where a key set is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Jwks {
    /// In a file.
    File(String),
    /// At an address.
    Address(String),
}

/// Reads `[access.oidc]`; `None` where no issuer is named.
pub(super) fn read_oidc(mut access: Section<'_>, has_users: bool, keys: &[String]) -> Option<Oidc> {
    let mut section = access.section("oidc");
    access.finish(keys);
    let mut options = OidcOptions {
        issuer: section.text("issuer"),
        audience: section.text("audience"),
        user_claim: section.text("user_claim"),
        role_claim: section.text("role_claim"),
        roles: Vec::new(),
        departments_claim: section.text("departments_claim"),
        agent_claim: section.text("agent_claim"),
    };
    let jwks = section.text("jwks");
    for mut entry in section.sections("roles") {
        let (value, role) = (entry.text("value"), entry.text("role"));
        match role.parse::<Role>() {
            Ok(role) if !value.is_empty() => options.roles.push((value, role)),
            Ok(_) => entry.refuse("value", format!("`{}` is empty", entry.name("value")), None),
            Err(message) => entry.refuse("role", message, None),
        }
        entry.finish(keys);
    }
    let is_on = !options.issuer.is_empty();
    if is_on {
        let needed = [
            ("audience", &options.audience),
            ("jwks", &jwks),
            ("user_claim", &options.user_claim),
            ("role_claim", &options.role_claim),
        ];
        for (key, _) in needed.into_iter().filter(|(_, text)| text.is_empty()) {
            section.refuse(key, format!("`{}` is empty", section.name(key)), None);
        }
        if !has_users {
            let hint = "`users` names the file with the key of pseudonyms; it may have no user".to_owned();
            section.refuse("issuer", "tokens of a login elsewhere need `users`".to_owned(), Some(hint));
        }
    }
    let jwks = match jwks.split_once("://") {
        None => Jwks::File(jwks),
        Some(("https", _)) => Jwks::Address(jwks),
        Some(("http", rest))
            if ["127.0.0.1", "localhost", "[::1]"].iter().any(|host| is_host(rest, host)) =>
        {
            Jwks::Address(jwks)
        }
        Some(_) => {
            let message = format!("`{}` must be a file or an https address", section.name("jwks"));
            let hint = "whoever can change the keys on their way lets in whom they like".to_owned();
            section.refuse("jwks", message, Some(hint));
            Jwks::File(jwks)
        }
    };
    section.finish(keys);
    is_on.then_some(Oidc { options, jwks })
}

/// Whether an address without its scheme is of this host.
fn is_host(address: &str, host: &str) -> bool {
    address.strip_prefix(host).is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/']))
}
