//! What a connection may set: nothing that reaches beyond it.

use std::collections::{BTreeMap, HashMap};
use std::str::FromStr;
use std::time::Duration;

use arrow::array::timezone::Tz;
use datafusion_postgres::pgwire::error::PgWireResult;

use super::fault;
use crate::query::functions::setting;

/// Settings that are kept and shown, as PostgreSQL spells them where it tells clients of a change.
const KEPT: &[(&str, Option<&str>)] = &[
    ("application_name", Some("application_name")),
    ("bytea_output", None),
    ("client_encoding", Some("client_encoding")),
    ("client_min_messages", None),
    ("datestyle", Some("DateStyle")),
    ("default_transaction_isolation", None),
    ("default_transaction_read_only", None),
    ("escape_string_warning", None),
    ("extra_float_digits", None),
    ("idle_in_transaction_session_timeout", None),
    ("intervalstyle", Some("IntervalStyle")),
    ("lc_messages", None),
    ("lc_monetary", None),
    ("lc_numeric", None),
    ("lc_time", None),
    ("lock_timeout", None),
    ("row_security", None),
    ("search_path", None),
    ("standard_conforming_strings", Some("standard_conforming_strings")),
    ("statement_timeout", None),
    ("timezone", Some("TimeZone")),
    ("transaction_isolation", None),
    ("transaction_read_only", None),
];

/// Settings of planners and servers that clients like to set and that mean nothing here.
const PASSED_OVER: &[&str] =
    &["enable_", "jit", "geqo", "work_mem", "max_parallel_", "random_page_cost", "synchronous_commit"];

/// What a connection has set.
#[derive(Debug, Clone, Default)]
pub(super) struct Settings {
    set: BTreeMap<String, String>,
    /// What it came in with; RESET goes back to it.
    initial: BTreeMap<String, String>,
}

impl Settings {
    /// Of the parameters with which a client comes in.
    pub(super) fn of_startup(parameters: &HashMap<String, String>) -> PgWireResult<Self> {
        let mut settings = Self::default();
        for (name, value) in parameters {
            match name.as_str() {
                "user" | "database" | "replication" => {}
                "options" => {
                    for (name, value) in options(value) {
                        settings.set(&name, &value)?;
                    }
                }
                name if name.starts_with("_pq_.") => {}
                name => {
                    settings.set(name, value)?;
                }
            }
        }
        settings.initial = settings.set.clone();
        Ok(settings)
    }

    /// Sets a value; gives the name under which the client is told, where it is to be told.
    pub(super) fn set(&mut self, name: &str, value: &str) -> PgWireResult<Option<&'static str>> {
        let name = name.to_ascii_lowercase();
        if name.starts_with("datafusion.") || name.starts_with("callpulse.") {
            let hint = "limits are set in the configuration of the server";
            return Err(fault::error_with_hint(
                fault::NOT_ALLOWED,
                format!("permission denied to set parameter \"{name}\""),
                hint,
            ));
        }
        if let Some((_, told)) = KEPT.iter().find(|(kept, _)| *kept == name) {
            let value = checked(&name, value)?;
            self.set.insert(name, value);
            return Ok(*told);
        }
        if PASSED_OVER.iter().any(|known| name.starts_with(known)) {
            return Ok(None);
        }
        Err(fault::error("42704", format!("unrecognized configuration parameter \"{name}\"")))
    }

    /// Goes back to what the client came in with: one setting, or all.
    pub(super) fn reset(&mut self, name: Option<&str>) {
        match name.map(str::to_ascii_lowercase) {
            None => self.set = self.initial.clone(),
            Some(name) => {
                self.set.remove(&name);
                if let Some(value) = self.initial.get(&name) {
                    self.set.insert(name, value.clone());
                }
            }
        }
    }

    /// The value of a setting.
    pub(super) fn get(&self, name: &str) -> Option<String> {
        setting(&self.set, name)
    }

    /// What `current_setting` tells beside the usual.
    pub(super) fn told(&self) -> BTreeMap<String, String> {
        self.set.clone()
    }

    /// The bound of time that the client wishes.
    pub(super) fn timeout(&self) -> Option<Duration> {
        let wish = milliseconds(self.set.get("statement_timeout")?)?;
        (wish > 0).then(|| Duration::from_millis(wish))
    }

    /// The zone in which timestamps are written.
    pub(super) fn zone(&self) -> Option<&str> {
        self.set.get("timezone").map(String::as_str)
    }
}

/// The value as it is kept, where it is one.
fn checked(name: &str, value: &str) -> PgWireResult<String> {
    let invalid = || fault::error("22023", format!("invalid value for parameter \"{name}\": \"{value}\""));
    match name {
        "statement_timeout" | "lock_timeout" | "idle_in_transaction_session_timeout" => {
            milliseconds(value).map(|_| value.to_owned()).ok_or_else(invalid)
        }
        "timezone" => zone(value).ok_or_else(invalid),
        "client_encoding" => {
            let plain: String =
                value.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_uppercase();
            let fits = ["UTF8", "UNICODE", "SQLASCII", "AUTO"].contains(&plain.as_str());
            if fits { Ok("UTF8".to_owned()) } else { Err(invalid()) }
        }
        _ => Ok(value.to_owned()),
    }
}

/// The zone by the name that timestamps are cast to.
fn zone(name: &str) -> Option<String> {
    if ["default", "local", "utc", "gmt", "z", "etc/utc", "zulu"]
        .contains(&name.to_ascii_lowercase().as_str())
    {
        return Some("UTC".to_owned());
    }
    // A number is hours east of Greenwich.
    if let Ok(hours) = name.parse::<f64>() {
        let minutes = (hours * 60.0).round() as i64;
        if minutes.abs() > 15 * 60 {
            return None;
        }
        let sign = if minutes < 0 { '-' } else { '+' };
        return Some(format!("{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60));
    }
    Tz::from_str(name).ok().map(|_| name.to_owned())
}

/// `1000`, `1000ms`, `1s`, `2min`, `1h`, `1d`.
fn milliseconds(text: &str) -> Option<u64> {
    let text = text.trim();
    let split = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let number: f64 = text[..split].parse().ok()?;
    let factor = match text[split..].trim() {
        "" | "ms" => 1.0,
        "us" => 0.001,
        "s" => 1e3,
        "min" => 60e3,
        "h" => 3600e3,
        "d" => 86_400e3,
        _ => return None,
    };
    let ms = number * factor;
    (ms.is_finite() && (0.0..=2_147_483_647.0).contains(&ms)).then_some(ms.ceil() as u64)
}

/// `-c name=value` and `--name=value` of the startup parameter `options`.
fn options(text: &str) -> Vec<(String, String)> {
    let mut words: Vec<String> = vec![String::new()];
    let mut letters = text.chars();
    while let Some(c) = letters.next() {
        match c {
            '\\' => words.last_mut().into_iter().for_each(|word| word.extend(letters.next())),
            c if c.is_whitespace() => words.push(String::new()),
            c => words.last_mut().into_iter().for_each(|word| word.push(c)),
        }
    }
    let mut found = Vec::new();
    let mut words = words.into_iter().filter(|word| !word.is_empty());
    while let Some(word) = words.next() {
        let setting = match word.strip_prefix("-c").or_else(|| word.strip_prefix("--")) {
            Some("") => words.next(),
            Some(rest) => Some(rest.to_owned()),
            None => None,
        };
        if let Some((name, value)) = setting.as_deref().and_then(|setting| setting.split_once('=')) {
            found.push((name.replace('-', "_"), value.to_owned()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_postgresql_reads_them() {
        let cases = [("500", 500), ("500ms", 500), ("1s", 1000), ("2min", 120_000), ("0", 0), ("1.5s", 1500)];
        for (text, wanted) in cases {
            assert_eq!(milliseconds(text), Some(wanted), "{text}");
        }
        for bad in ["", "-1", "1 year", "s", "99999999d"] {
            assert_eq!(milliseconds(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_client_sets_what_is_its_own() {
        let mut settings = Settings::default();
        assert!(settings.set("datafusion.execution.batch_size", "3").is_err());
        assert!(settings.set("no_such_thing", "3").is_err());
        assert!(settings.set("statement_timeout", "soon").is_err());
        assert!(settings.set("TimeZone", "Nowhere/Land").is_err());
        assert!(settings.set("client_encoding", "LATIN1").is_err());
        assert_eq!(settings.set("statement_timeout", "1s").ok(), Some(None));
        assert_eq!(settings.timeout(), Some(Duration::from_secs(1)));
        assert_eq!(settings.set("TIMEZONE", "Asia/Shanghai").ok(), Some(Some("TimeZone")));
        assert_eq!(settings.zone(), Some("Asia/Shanghai"));
        settings.reset(None);
        assert_eq!((settings.timeout(), settings.zone()), (None, None));
        assert_eq!(settings.get("server_encoding").as_deref(), Some("UTF8"));
    }

    #[test]
    fn options_of_the_startup_are_settings() {
        assert_eq!(
            options("-c statement_timeout=5s --search-path=a\\ b -cjit=off"),
            [("statement_timeout", "5s"), ("search_path", "a b"), ("jit", "off")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
    }
}
