//! Faults as PostgreSQL tells them: SQLSTATE, message, hint, and the place in the statement.

use datafusion_postgres::pgwire::error::{ErrorInfo, PgWireError};

use crate::query::{Error, ErrorKind};

/// The client went away, or asked to stop.
pub(super) const CANCELLED: &str = "57014";
/// The statement would change something.
pub(super) const READ_ONLY: &str = "25006";
/// Whoever asks may not.
pub(super) const NOT_ALLOWED: &str = "42501";

/// A fault that ends the statement.
pub(super) fn error(code: &str, message: impl Into<String>) -> PgWireError {
    PgWireError::UserError(Box::new(ErrorInfo::new("ERROR".to_owned(), code.to_owned(), message.into())))
}

/// A fault that ends the statement, with a way out.
pub(super) fn error_with_hint(code: &str, message: impl Into<String>, hint: &str) -> PgWireError {
    let mut info = ErrorInfo::new("ERROR".to_owned(), code.to_owned(), message.into());
    info.hint = Some(hint.to_owned());
    PgWireError::UserError(Box::new(info))
}

/// A fault that ends the connection.
pub(super) fn fatal(code: &str, message: impl Into<String>) -> PgWireError {
    PgWireError::UserError(Box::new(ErrorInfo::new("FATAL".to_owned(), code.to_owned(), message.into())))
}

/// A fault of a query, with its place in `sql`.
pub(super) fn of_query(fault: &Error, sql: &str) -> PgWireError {
    let message = match fault.kind {
        ErrorKind::TimedOut => format!("canceling statement due to statement timeout: {}", fault.message),
        _ => fault.message.clone(),
    };
    let mut info = ErrorInfo::new("ERROR".to_owned(), code(fault).to_owned(), message);
    info.hint = fault.hint.clone();
    info.position = match (fault.line, fault.column) {
        (Some(line), Some(column)) => position(sql, line, column).map(|at| at.to_string()),
        _ => None,
    };
    PgWireError::UserError(Box::new(info))
}

/// Line and column, from 1, as the number of a character, from 1.
fn position(sql: &str, line: u64, column: u64) -> Option<usize> {
    let before = usize::try_from(line).ok()?.checked_sub(1)?;
    let within = usize::try_from(column).ok()?;
    let mut lines = sql.split('\n');
    let mut at = 0;
    for _ in 0..before {
        at += lines.next()?.chars().count() + 1;
    }
    let rest = lines.next()?.chars().count();
    (1..=rest + 1).contains(&within).then_some(at + within)
}

/// The SQLSTATE of a fault.
pub(super) fn code(fault: &Error) -> &'static str {
    match fault.kind {
        ErrorKind::Refused => READ_ONLY,
        ErrorKind::Denied => NOT_ALLOWED,
        ErrorKind::TimedOut => CANCELLED,
        ErrorKind::Busy => "53300",
        ErrorKind::Memory => "53200",
        ErrorKind::Unready => "57P03",
        ErrorKind::Outside => "58000",
        ErrorKind::Bug => "XX000",
        ErrorKind::Sql => sql_code(&fault.message),
    }
}

/// What kind of mistake a message of the planner or the parser tells of.
fn sql_code(message: &str) -> &'static str {
    let text = message.to_ascii_lowercase();
    let has = |part: &str| text.contains(part);
    let begins = |part: &str| text.starts_with(part);
    if has("divide by zero") || has("division by zero") {
        "22012"
    } else if begins("table ") && has("not found") || has("failed to resolve") {
        "42P01"
    } else if begins("no field named") || has("column") && has("not found") || has("no such column") {
        "42703"
    } else if begins("ambiguous reference") {
        "42702"
    } else if begins("invalid function") || has("no function matches") || has("failed to find function") {
        "42883"
    } else if has("unrecognized configuration parameter") {
        "42704"
    } else if has("cast error")
        || has("cannot cast string")
        || has("error parsing")
        || has("cannot parse")
        || has("malformed array literal")
    {
        "22P02"
    } else if has("overflow") || has("out of range") {
        "22003"
    } else if has("type_coercion") || has("cannot infer common argument type") || has("coerce") {
        "42804"
    } else if has("must appear in the group by") || has("group by") && has("aggregate") {
        "42803"
    } else if begins("expected")
        || has("unterminated")
        || has("sql parser")
        || has("unexpected")
        || has("found:")
    {
        "42601"
    } else if has("not implemented") || has("not supported") || has("unsupported") {
        "0A000"
    } else {
        "42000"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_number_of_characters() {
        assert_eq!(position("select 一, x", 1, 11), Some(11));
        assert_eq!(position("select 1,\n  x\nfrom t", 2, 3), Some(13));
        assert_eq!(position("select 1", 2, 1), None);
        assert_eq!(position("select 1", 1, 99), None);
        assert_eq!(position("select 1", 0, 0), None);
    }

    #[test]
    fn mistakes_have_the_codes_that_clients_know() {
        let cases = [
            ("table 'callpulse.public.nope' not found", "42P01"),
            ("no field named x", "42703"),
            ("Invalid function 'nope'", "42883"),
            ("Divide by zero error", "22012"),
            ("malformed array literal: `a`: a list stands in `{` and `}`", "22P02"),
            ("Expected: an expression, found: FROM", "42601"),
            ("Cannot cast string 'x' to value of Int64 type", "22P02"),
        ];
        for (message, wanted) in cases {
            assert_eq!(sql_code(message), wanted, "{message}");
        }
    }
}
