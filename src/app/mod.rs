//! The only place where rooms meet: builds them, joins them with bounded channels, stops them in order.

mod alerting;
mod board;
mod command;
mod commit;
mod desk;
mod doors;
mod duty;
mod fleet;
mod forecast;
mod intake;
mod issuer;
mod lexicons;
mod memory;
mod outbox;
mod past;
mod registry;
mod service;
mod settings;
mod surges;
mod task;
#[cfg(test)]
mod tests;
mod worker;

pub use command::{Cli, run};

use std::fmt;

use crate::config::Fault;

/// Why a command did not succeed, and who must act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The process's exit code, as the contract lists them.
    pub code: u8,
    /// What happened.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Failure {
    /// The command line is wrong.
    pub fn usage(message: impl Into<String>) -> Failure {
        Failure { code: 64, message: message.into(), hint: None }
    }

    /// A SQL statement failed.
    pub fn sql(message: impl Into<String>) -> Failure {
        Failure { code: 65, message: message.into(), hint: None }
    }

    /// An input path cannot be read.
    pub fn input(message: impl Into<String>) -> Failure {
        Failure { code: 66, message: message.into(), hint: None }
    }

    /// Something outside is unavailable.
    pub fn outside(message: impl Into<String>) -> Failure {
        Failure { code: 69, message: message.into(), hint: None }
    }

    /// Our bug.
    pub fn bug(message: impl Into<String>) -> Failure {
        Failure { code: 70, message: message.into(), hint: None }
    }

    /// A file that the operator keeps is wrong.
    pub fn config(message: impl Into<String>) -> Failure {
        Failure { code: 78, message: message.into(), hint: None }
    }

    /// Adds what to do.
    pub fn hint(mut self, hint: impl Into<String>) -> Failure {
        self.hint = Some(hint.into());
        self
    }

    /// Every fault of the configuration in one message.
    pub fn of_faults(faults: &[Fault]) -> Failure {
        let all: Vec<String> = faults.iter().map(ToString::to_string).collect();
        // Each fault prints as `error: …` with its own hint; the first line gets its `error:` from the caller.
        let text = all.join("\n\n");
        Failure::config(text.strip_prefix("error: ").unwrap_or(&text).to_owned())
    }

    /// A failure of the lake.
    pub fn of_lake(error: crate::lake::Error) -> Failure {
        use crate::lake::Error;
        let text = error.to_string();
        let (message, hint) = match text.split_once("\nhint: ") {
            Some((message, hint)) => (message.to_owned(), Some(hint.to_owned())),
            None => (text, None),
        };
        let code = match error {
            Error::Config(_) => 78,
            Error::Unavailable(_) | Error::Fenced { .. } | Error::Taken { .. } => 69,
            Error::Overlap { .. } => 70,
            Error::Corrupt(_) => 66,
        };
        Failure { code, message, hint }
    }

    /// A failure of reading or of Kafka.
    pub fn of_ingest(error: &crate::ingest::Error) -> Failure {
        let code = match error {
            crate::ingest::Error::Settings { .. } => 78,
            crate::ingest::Error::File { .. } => 66,
            _ => 69,
        };
        Failure { code, message: error.to_string(), hint: error.hint().map(str::to_owned) }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, "\n\nhint: {hint}")?;
        }
        Ok(())
    }
}

/// The innermost cause of a request that failed: what the operator can act on.
fn cause_of(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}
