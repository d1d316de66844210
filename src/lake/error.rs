//! What can go wrong in the lake, sorted by who must act.

use std::fmt;

/// Why the lake could not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The operator must change something: a place, a right, a setting.
    Config(String),
    /// Another owner has written rows of this partition: what this task holds is not the truth any more.
    /// Nothing was written to `table`. The task reads its positions and its snapshot anew.
    Fenced {
        /// The table whose stored position differs.
        table: &'static str,
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The position that the table has.
        stored: i64,
        /// The position that this handle believed it had.
        expected: i64,
    },
    /// The rows overlap with what is stored: part of their offsets is written already, part is not.
    /// A task that replays flushes at the stored positions.
    Overlap {
        /// The table.
        table: &'static str,
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The position that the table has.
        stored: i64,
        /// The first offset of the refused rows.
        from: i64,
        /// The offset after the last of them.
        to: i64,
    },
    /// A snapshot of this number exists with other content: another owner writes snapshots of the task.
    Taken {
        /// The task.
        task: String,
        /// The number.
        sequence: u64,
    },
    /// The store did not answer, or refused for now: the same call may succeed later. Nothing is lost and,
    /// with the same ranges, nothing is written twice.
    Unavailable(String),
    /// What is stored cannot be read.
    Corrupt(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Config(text) | Error::Unavailable(text) | Error::Corrupt(text) => f.write_str(text),
            Error::Fenced { table, topic, partition, stored, expected } => write!(
                f,
                "another owner has written table `{table}` for `{topic}` partition `{partition}`: position `{stored}` is \
                 stored, `{expected}` was expected\nhint: the task reads its positions anew; if this repeats, two \
                 processes use one data directory with different consumer groups"
            ),
            Error::Overlap { table, topic, partition, stored, from, to } => write!(
                f,
                "rows of `{topic}` partition `{partition}` from `{from}` to `{to}` overlap with position `{stored}` of \
                 table `{table}`\nhint: a replay flushes exactly at the stored positions"
            ),
            Error::Taken { task, sequence } => write!(
                f,
                "snapshot `{sequence}` of task `{task}` exists with other content\nhint: another process owns the \
                 task; the task reads its newest snapshot anew"
            ),
        }
    }
}

impl std::error::Error for Error {}

impl Error {
    /// A failure of the library or the store while doing `what`.
    pub(super) fn store(what: impl fmt::Display, cause: impl fmt::Display) -> Error {
        Error::Unavailable(format!("{what}: {cause}"))
    }
}
