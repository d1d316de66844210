//! The audit log: who asked what, when, and what became of it; a JSON object a line.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;

use super::Identity;
use crate::time::{Clock, Millis, format_time};

/// The longest statement that is written down whole, in bytes.
const STATEMENT_BYTES_MAX: usize = 8 << 10;

/// Which way somebody came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Door {
    /// Pages and HTTP API.
    Http,
    /// PostgreSQL wire.
    Postgres,
    /// Arrow Flight SQL.
    Flight,
    /// The house itself.
    Inside,
}

impl Door {
    /// Its name in the log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Postgres => "postgres",
            Self::Flight => "flight",
            Self::Inside => "inside",
        }
    }
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All rows were handed out.
    Done,
    /// It failed: a fault of the statement, a limit.
    Failed,
    /// It was not allowed.
    Refused,
    /// The client stopped it or went away.
    Stopped,
    /// Somebody came in.
    LoggedIn,
}

impl Outcome {
    const fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::Stopped => "stopped",
            Self::LoggedIn => "logged in",
        }
    }
}

/// One line of the log.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// Who; `None` where nobody is known.
    pub who: Option<&'a Identity>,
    /// From where.
    pub peer: Option<SocketAddr>,
    /// Which way.
    pub door: Door,
    /// What: the statement, or the path.
    pub what: &'a str,
    /// What became of it.
    pub outcome: Outcome,
    /// Rows that were handed out.
    pub rows: u64,
    /// How long it took.
    pub took: Duration,
    /// Why it failed or was refused.
    pub why: Option<&'a str>,
}

/// Writes the log.
pub struct Audit {
    clock: Arc<dyn Clock>,
    to: Mutex<To>,
}

enum To {
    /// The program's own log, target `audit`.
    Log,
    /// A file a day in this directory.
    Files { directory: PathBuf, day: String, file: Option<File>, failed: bool },
    /// Kept, for tests.
    Kept(Vec<serde_json::Value>),
}

impl std::fmt::Debug for Audit {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Audit").finish_non_exhaustive()
    }
}

impl Audit {
    /// Into the program's log.
    pub fn to_log(clock: Arc<dyn Clock>) -> Self {
        Self { clock, to: Mutex::new(To::Log) }
    }

    /// Into a file a day, `audit-YYYY-MM-DD.jsonl`, in `directory`, which is made where it is missing.
    ///
    /// # Errors
    /// Where the directory cannot be made.
    pub fn to_files(directory: PathBuf, clock: Arc<dyn Clock>) -> io::Result<Self> {
        std::fs::create_dir_all(&directory)?;
        let to = To::Files { directory, day: String::new(), file: None, failed: false };
        Ok(Self { clock, to: Mutex::new(to) })
    }

    /// Keeps the lines, for [`Audit::kept`].
    pub fn kept_in_memory(clock: Arc<dyn Clock>) -> Self {
        Self { clock, to: Mutex::new(To::Kept(Vec::new())) }
    }

    /// The lines that were kept so far.
    pub fn kept(&self) -> Vec<serde_json::Value> {
        match &*self.to.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) {
            To::Kept(lines) => lines.clone(),
            To::Log | To::Files { .. } => Vec::new(),
        }
    }

    /// Writes one line. Where the file cannot be written, the line goes to the program's log, so that none is lost.
    pub fn note(&self, record: &Record<'_>) {
        let now = self.clock.now();
        let line = line(record, now);
        let mut to = self.to.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        match &mut *to {
            To::Kept(lines) => lines.push(line),
            To::Log => log(record, &line),
            To::Files { directory, day, file, failed } => {
                let today = format_time(now).chars().take(10).collect::<String>();
                if *day != today || file.is_none() {
                    let path = directory.join(format!("audit-{today}.jsonl"));
                    *file = OpenOptions::new().create(true).append(true).open(path).ok();
                    *day = today;
                }
                let mut text = line.to_string();
                text.push('\n');
                let written = file.as_mut().is_some_and(|file| file.write_all(text.as_bytes()).is_ok());
                if !written {
                    *file = None;
                    if !*failed {
                        tracing::error!(target: "audit", directory = %directory.display(), "the audit log cannot be written; its lines stand here");
                    }
                    log(record, &line);
                }
                *failed = !written;
            }
        }
    }
}

fn log(record: &Record<'_>, line: &serde_json::Value) {
    match record.outcome {
        Outcome::Refused => tracing::warn!(target: "audit", "{line}"),
        _ => tracing::info!(target: "audit", "{line}"),
    }
}

fn line(record: &Record<'_>, now: Millis) -> serde_json::Value {
    let mut what = record.what;
    if what.len() > STATEMENT_BYTES_MAX {
        let end = (0..=STATEMENT_BYTES_MAX).rev().find(|at| what.is_char_boundary(*at)).unwrap_or(0);
        what = &what[..end];
    }
    json!({
        "time": format_time(now),
        "user": record.who.map(|who| who.user.as_str()),
        "role": record.who.map(|who| who.role.name()),
        "peer": record.peer.map(|peer| peer.to_string()),
        "door": record.door.name(),
        "what": what,
        "outcome": record.outcome.name(),
        "rows": record.rows,
        "ms": u64::try_from(record.took.as_millis()).unwrap_or(u64::MAX),
        "why": record.why,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::SystemClock;

    fn record<'a>(who: &'a Identity, what: &'a str) -> Record<'a> {
        Record {
            who: Some(who),
            peer: None,
            door: Door::Http,
            what,
            outcome: Outcome::Refused,
            rows: 3,
            took: Duration::from_millis(7),
            why: Some("no"),
        }
    }

    #[test]
    fn a_line_says_who_what_when_and_how_many() {
        let directory = tempfile::tempdir().expect("a directory");
        let audit = Audit::to_files(directory.path().join("audit"), Arc::new(SystemClock)).expect("a log");
        let who = Identity::local();
        audit.note(&record(&who, "select 1"));
        audit.note(&record(&who, &"é".repeat(STATEMENT_BYTES_MAX)));
        let files: Vec<_> = std::fs::read_dir(directory.path().join("audit")).expect("files").collect();
        assert_eq!(files.len(), 1);
        let path = files[0].as_ref().expect("a file").path();
        let text = std::fs::read_to_string(path).expect("the log");
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0]["user"], "local");
        assert_eq!(lines[0]["what"], "select 1");
        assert_eq!(lines[0]["outcome"], "refused");
        assert_eq!(lines[0]["rows"], 3);
        assert_eq!(lines[1]["what"].as_str().map(str::len), Some(STATEMENT_BYTES_MAX));
    }
}
