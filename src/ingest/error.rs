//! What can go wrong while reading and writing Kafka and files, sorted by who acts next.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why reading or writing is not possible.
#[derive(Debug)]
pub enum Error {
    /// The operator mends the configuration (exit code 78).
    Settings {
        /// What is wrong, with the value in backticks.
        message: String,
        /// The way out.
        hint: String,
    },
    /// Something outside does not answer, or refuses (exit code 69).
    Outside {
        /// What was tried, and what came back.
        message: String,
        /// The way out.
        hint: String,
    },
    /// A file cannot be read (exit code 66).
    File {
        /// Its path.
        path: PathBuf,
        /// The line that was being read; 0 where none was reached.
        line: u64,
        /// Why.
        cause: io::Error,
    },
}

impl Error {
    /// The way out, where there is one to tell.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Error::Settings { hint, .. } | Error::Outside { hint, .. } => Some(hint),
            Error::File { cause, .. } => match cause.kind() {
                io::ErrorKind::NotFound => Some("is the path right, and seen from this directory?"),
                io::ErrorKind::IsADirectory => Some("name the files in it, e.g. with `DIR/*.jsonl`"),
                io::ErrorKind::UnexpectedEof => {
                    Some("the compressed file ends too early: copy it once more from where it came")
                }
                _ => None,
            },
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Settings { message, .. } | Error::Outside { message, .. } => to.write_str(message),
            Error::File { path, line: 0, cause } => {
                write!(to, "cannot read `{}`: {cause}", path.display())
            }
            Error::File { path, line, cause } => {
                write!(to, "cannot read `{}`: {cause} (line {line})", path.display())
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::File { cause, .. } => Some(cause),
            _ => None,
        }
    }
}
