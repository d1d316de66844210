//! Why a query has no answer, sorted by who acts next.

use std::fmt;

use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::parser::ParserError;

/// Who acts next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The statement is wrong, or its values are (a division by zero): whoever wrote it mends it.
    Sql,
    /// The statement would change something or touch a file.
    Refused,
    /// Whoever asks may not see it.
    Denied,
    /// It took too long.
    TimedOut,
    /// Too many queries wait for their turn.
    Busy,
    /// It needs more memory than is allowed.
    Memory,
    /// The service starts or stops.
    Unready,
    /// The lake or something else outside failed.
    Outside,
    /// A fault of ours.
    Bug,
}

/// A query that has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// Who acts next.
    pub kind: ErrorKind,
    /// What is wrong, lower-case, without a full stop.
    pub message: String,
    /// A way out.
    pub hint: Option<String>,
    /// The line of the statement, from 1, where it is known.
    pub line: Option<u64>,
    /// The column of the statement, from 1, where it is known.
    pub column: Option<u64>,
}

impl Error {
    /// An error without a hint and without a place.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None, line: None, column: None }
    }

    /// The same with a hint.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Wraps it so that it can travel through a stream of batches, and be found again by [`Error::from`].
    pub(super) fn into_datafusion(self) -> DataFusionError {
        DataFusionError::External(Box::new(self))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.message)?;
        match (self.line, self.column) {
            (Some(line), Some(column)) => write!(out, " (line {line}, column {column})")?,
            (Some(line), None) => write!(out, " (line {line})")?,
            _ => {}
        }
        match &self.hint {
            Some(hint) => write!(out, "\n\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

impl From<DataFusionError> for Error {
    fn from(error: DataFusionError) -> Self {
        let root = error.find_root();
        if let DataFusionError::External(inner) = root
            && let Some(ours) = inner.downcast_ref::<Error>()
        {
            return ours.clone();
        }
        let kind = match root {
            DataFusionError::ResourcesExhausted(_) => ErrorKind::Memory,
            DataFusionError::Internal(_) | DataFusionError::ExecutionJoin(_) => ErrorKind::Bug,
            DataFusionError::External(_)
            | DataFusionError::IoError(_)
            | DataFusionError::ObjectStore(_)
            | DataFusionError::ParquetError(_) => ErrorKind::Outside,
            _ => ErrorKind::Sql,
        };
        let (line, column) = place(&error);
        let (message, written) = without_place(&plain(root));
        let (line, column) = match (line, written) {
            (None, Some((line, column))) => (Some(line), Some(column)),
            _ => (line, column),
        };
        Self { kind, hint: hint(kind, &message), message, line, column }
    }
}

/// The message without DataFusion's prefix of the kind of error.
fn plain(error: &DataFusionError) -> String {
    let text = match error {
        DataFusionError::SQL(inner, _) => match inner.as_ref() {
            ParserError::TokenizerError(text) | ParserError::ParserError(text) => text.clone(),
            ParserError::RecursionLimitExceeded => "the statement is nested too deeply".to_owned(),
        },
        DataFusionError::Plan(text)
        | DataFusionError::Execution(text)
        | DataFusionError::ResourcesExhausted(text)
        | DataFusionError::NotImplemented(text)
        | DataFusionError::Configuration(text)
        | DataFusionError::Internal(text) => text.clone(),
        DataFusionError::SchemaError(inner, _) => inner.to_string(),
        DataFusionError::ArrowError(inner, _) => inner.to_string(),
        other => other.strip_backtrace(),
    };
    let text = text.trim().trim_end_matches('.');
    let mut letters = text.chars();
    match letters.next() {
        // A word in capitals is a name and stays.
        Some(first) if !letters.clone().next().is_some_and(char::is_uppercase) => {
            first.to_lowercase().collect::<String>() + letters.as_str()
        }
        _ => text.to_owned(),
    }
}

/// Line and column where DataFusion kept them beside the error.
fn place(error: &DataFusionError) -> (Option<u64>, Option<u64>) {
    match error.diagnostic().and_then(|diagnostic| diagnostic.span) {
        Some(span) => (Some(span.start.line), Some(span.start.column)),
        None => (None, None),
    }
}

/// Takes ` at Line: 1, Column: 8`, as the parser writes it, off a message.
fn without_place(message: &str) -> (String, Option<(u64, u64)>) {
    const MARK: &str = " at Line: ";
    let found = message.rfind(MARK).and_then(|at| {
        let (line, column) = message[at + MARK.len()..].split_once(", Column: ")?;
        let column: String = column.chars().take_while(char::is_ascii_digit).collect();
        Some((at, line.trim().parse().ok()?, column.parse().ok()?))
    });
    match found {
        Some((at, line, column)) => (message[..at].trim_end_matches(',').to_owned(), Some((line, column))),
        None => (message.to_owned(), None),
    }
}

fn hint(kind: ErrorKind, message: &str) -> Option<String> {
    let text = match kind {
        ErrorKind::Memory => "narrow the time range, group by fewer columns, or raise the limit of memory",
        ErrorKind::Bug => "this should not happen; please report the statement",
        ErrorKind::Sql if message.starts_with("table ") => "`SHOW TABLES` lists the tables and views",
        ErrorKind::Sql if message.starts_with("no field named") => {
            "`DESCRIBE name` lists the columns of a table"
        }
        ErrorKind::Sql if message.starts_with("invalid function") => "`SHOW FUNCTIONS` lists the functions",
        _ => return None,
    };
    Some(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_taken_off_the_message() {
        assert_eq!(
            without_place("Expected: an expression, found: FROM at Line: 2, Column: 8"),
            ("Expected: an expression, found: FROM".to_owned(), Some((2, 8)))
        );
        assert_eq!(without_place("nothing at Line: x"), ("nothing at Line: x".to_owned(), None));
    }

    #[test]
    fn messages_begin_in_lower_case_but_names_stay() {
        assert_eq!(plain(&DataFusionError::Plan("Table x not found.".to_owned())), "table x not found");
        assert_eq!(plain(&DataFusionError::Plan("UNION needs two".to_owned())), "UNION needs two");
        assert_eq!(plain(&DataFusionError::Plan(String::new())), "");
    }

    #[test]
    fn our_own_errors_come_back_as_they_were() {
        let error = Error::new(ErrorKind::TimedOut, "late").hint("be quick");
        assert_eq!(Error::from(error.clone().into_datafusion().context("somewhere")), error);
        assert_eq!(error.to_string(), "late\n\nhint: be quick");
    }
}
