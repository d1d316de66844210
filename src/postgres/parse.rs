//! A client's text becomes commands: questions for the engine, and what concerns the connection only.

use std::ops::ControlFlow;

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    ArrayElemTypeDef, CastKind, CloseCursor, DataType as SqlType, DeclareType, ExactNumberInfo, Expr,
    FetchDirection, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident,
    ObjectName, Reset, Set, Statement as Ast, Value, ValueWithSpan, visit_expressions_mut,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion_postgres::datafusion_pg_catalog::sql::PostgresCompatibilityParser;
use datafusion_postgres::pgwire::api::Type;
use datafusion_postgres::pgwire::error::PgWireResult;

use super::{clients, fault, lists};
use crate::query::Error;

/// The longest text, in bytes.
const TEXT_BYTES_MAX: usize = 1 << 20;
/// The most statements in one text.
const STATEMENTS_MAX: usize = 100;

/// One statement.
#[derive(Debug, Clone)]
pub(super) enum Command {
    /// Asks for rows.
    Ask(Box<Statement>),
    /// Sets values of the connection.
    Set(Vec<(String, String)>),
    /// Goes back to what the client came in with.
    Reset(Option<String>),
    /// Asks for a value of the connection.
    Show(String),
    Begin,
    Commit,
    Rollback,
    /// Means nothing here, and is answered with this word.
    Nothing(&'static str),
    Declare(String, Box<Statement>),
    /// Takes so many rows of a cursor; all of them where there is no number.
    Fetch(String, Option<usize>),
    /// Passes so many rows of a cursor over.
    Move(String, Option<usize>),
    /// Closes one cursor, or all.
    Close(Option<String>),
    /// Forgets one prepared statement, or all.
    Deallocate(Option<String>),
    /// Forgets everything of the connection.
    Discard,
}

/// Reads the commands of a text.
pub(super) fn commands(parser: &PostgresCompatibilityParser, sql: &str) -> PgWireResult<Vec<Command>> {
    if sql.len() > TEXT_BYTES_MAX {
        return Err(fault::error(
            "54000",
            format!("the statement has {} bytes; at most {TEXT_BYTES_MAX} are read", sql.len()),
        ));
    }
    if let Some(command) = without_grammar(sql) {
        return Ok(vec![command]);
    }
    let known = clients::replaced(sql);
    let text = known.as_deref().unwrap_or(sql);
    let parsed = if known.is_some() || asks_the_catalogue(text) {
        // Knows whole questions of clients, word by word; places are lost on the way.
        let with_lists = read(text)
            .ok()
            .filter(|(_, changed)| *changed)
            .map(|(statements, _)| statements.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "));
        parser.parse(with_lists.as_deref().unwrap_or(text))
    } else {
        read(text).map(|(statements, _)| {
            statements.into_iter().map(|statement| parser.rewrite(statement)).collect()
        })
    };
    let mut statements = match parsed {
        Ok(statements) => statements,
        Err(error) => {
            if let Some(word) = changing(sql) {
                return Err(read_only(word));
            }
            let error = datafusion::error::DataFusionError::SQL(Box::new(error), None);
            return Err(fault::of_query(&Error::from(error), sql));
        }
    };
    statements.iter_mut().for_each(clients::plannable);
    if statements.len() > STATEMENTS_MAX {
        return Err(fault::error("54000", format!("more than {STATEMENTS_MAX} statements in one text")));
    }
    statements.into_iter().map(command).collect()
}

/// A call of a function.
pub(super) fn call(name: &str, args: Vec<Expr>) -> Expr {
    let args = args.into_iter().map(|arg| FunctionArg::Unnamed(FunctionArgExpr::Expr(arg)));
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new(name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: args.collect(),
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

/// What `expr` is cast to.
pub(super) fn cast(expr: Expr, data_type: SqlType) -> Expr {
    Expr::Cast { kind: CastKind::Cast, expr: Box::new(expr), data_type, array: false, format: None }
}

/// The statements of a text, and whether lists in them were written in another way.
fn read(text: &str) -> Result<(Vec<Ast>, bool), ParserError> {
    let mut statements = Parser::new(&PostgreSqlDialect {}).try_with_sql(text)?.parse_statements()?;
    let mut changed = false;
    for statement in &mut statements {
        changed |= lists::rewritten(statement);
    }
    Ok((statements, changed))
}

/// Whether a text asks about the catalogue, as clients do before they ask for rows.
fn asks_the_catalogue(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    ["pg_", "information_schema", "::reg", "search_path", "abort"].iter().any(|word| text.contains(word))
}

/// The first word, where it begins a statement that changes something.
fn changing(sql: &str) -> Option<&'static str> {
    const WORDS: &[&str] = &[
        "ALTER",
        "CALL",
        "CHECKPOINT",
        "CLUSTER",
        "COMMENT",
        "COPY",
        "CREATE",
        "DELETE",
        "DO",
        "DROP",
        "GRANT",
        "IMPORT",
        "INSERT",
        "LOAD",
        "LOCK",
        "MERGE",
        "REASSIGN",
        "REFRESH",
        "REINDEX",
        "REVOKE",
        "SECURITY",
        "TRUNCATE",
        "UPDATE",
        "VACUUM",
    ];
    let first: String = sql.trim_start().chars().take_while(char::is_ascii_alphabetic).collect();
    WORDS.iter().copied().find(|word| first.eq_ignore_ascii_case(word))
}

fn read_only(word: &str) -> datafusion_postgres::pgwire::error::PgWireError {
    let hint = "SELECT, WITH, VALUES, EXPLAIN, SHOW and cursors are allowed";
    fault::error_with_hint(
        fault::READ_ONLY,
        format!("cannot execute {word} in a read-only transaction"),
        hint,
    )
}

/// Commands that the grammar does not have.
fn without_grammar(sql: &str) -> Option<Command> {
    let words: Vec<String> =
        sql.trim().trim_end_matches(';').split_whitespace().map(str::to_ascii_uppercase).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["UNLISTEN", "*"] => Some(Command::Nothing("UNLISTEN")),
        ["RESET", "SESSION", "AUTHORIZATION"] => Some(Command::Nothing("RESET")),
        ["DEALLOCATE", "ALL"] | ["DEALLOCATE", "PREPARE", "ALL"] => Some(Command::Deallocate(None)),
        ["MOVE", ..] => moving(sql),
        _ => None,
    }
}

/// `MOVE [FORWARD] [n | ALL | NEXT] [FROM | IN] name`
fn moving(sql: &str) -> Option<Command> {
    let words: Vec<&str> = sql.trim().trim_end_matches(';').split_whitespace().skip(1).collect();
    let (name, rest) = words.split_last()?;
    let name = match name.strip_prefix('"').and_then(|name| name.strip_suffix('"')) {
        Some(quoted) => quoted.replace("\"\"", "\""),
        None => name.to_ascii_lowercase(),
    };
    let mut count = Some(1);
    for word in rest {
        match word.to_ascii_uppercase().as_str() {
            "FORWARD" | "NEXT" | "FROM" | "IN" => {}
            "ALL" => count = None,
            number => count = Some(number.parse().ok()?),
        }
    }
    Some(Command::Move(name, count))
}

fn command(ast: Ast) -> PgWireResult<Command> {
    let command = match ast {
        Ast::Set(set) => return setting(set),
        Ast::Reset(reset) => Command::Reset(match reset.reset {
            Reset::ALL => None,
            Reset::ConfigurationParameter(name) => Some(plain(&name.to_string())),
        }),
        Ast::ShowVariable { variable } => {
            let words: Vec<String> = variable.iter().map(|word| word.value.to_ascii_lowercase()).collect();
            let name = match words.join(" ").as_str() {
                "time zone" => "timezone".to_owned(),
                "transaction isolation level" => "transaction_isolation".to_owned(),
                "session authorization" => "session_authorization".to_owned(),
                _ => words.join("."),
            };
            Command::Show(name)
        }
        // A client that asks for a transaction that may write is told when it writes; many ask and never do.
        Ast::StartTransaction { .. } => Command::Begin,
        Ast::Commit { .. } => Command::Commit,
        Ast::Rollback { savepoint: Some(_), .. } => Command::Nothing("ROLLBACK"),
        Ast::Rollback { .. } => Command::Rollback,
        Ast::Savepoint { .. } => Command::Nothing("SAVEPOINT"),
        Ast::ReleaseSavepoint { .. } => Command::Nothing("RELEASE"),
        Ast::LISTEN { .. } => Command::Nothing("LISTEN"),
        Ast::UNLISTEN { .. } => Command::Nothing("UNLISTEN"),
        Ast::Discard { .. } => Command::Discard,
        Ast::Deallocate { name, .. } => {
            let all = name.quote_style.is_none() && name.value.eq_ignore_ascii_case("all");
            Command::Deallocate((!all).then_some(name.value))
        }
        Ast::Close { cursor } => Command::Close(match cursor {
            CloseCursor::All => None,
            CloseCursor::Specific { name } => Some(ident(&name)),
        }),
        Ast::Declare { stmts } => return declare(stmts),
        Ast::Fetch { name, direction, .. } => Command::Fetch(ident(&name), forward(&direction)?),
        Ast::Copy { .. } | Ast::CopyIntoSnowflake { .. } => return Err(read_only("COPY")),
        other => Command::Ask(Box::new(Statement::Statement(Box::new(other)))),
    };
    Ok(command)
}

/// A name as PostgreSQL reads it: in small letters, where it is not quoted.
fn ident(name: &Ident) -> String {
    if name.quote_style.is_some() { name.value.clone() } else { name.value.to_ascii_lowercase() }
}

fn plain(text: &str) -> String {
    let inner = text.strip_prefix('\'').and_then(|text| text.strip_suffix('\''));
    match inner.or_else(|| text.strip_prefix('"').and_then(|text| text.strip_suffix('"'))) {
        Some(inner) => inner.replace("''", "'"),
        None => text.to_owned(),
    }
}

fn setting(set: Set) -> PgWireResult<Command> {
    let text = |expr: &Expr| plain(&expr.to_string());
    Ok(match set {
        Set::SingleAssignment { variable, values, .. } => {
            let name = plain(&variable.to_string());
            let value: Vec<String> = values.iter().map(text).collect();
            Command::Set(vec![(name, value.join(", "))])
        }
        Set::SetTimeZone { value, .. } => Command::Set(vec![("timezone".to_owned(), text(&value))]),
        Set::SetNames { charset_name, .. } => {
            Command::Set(vec![("client_encoding".to_owned(), plain(&charset_name.to_string()))])
        }
        Set::SetNamesDefault {} => Command::Reset(Some("client_encoding".to_owned())),
        Set::SetTransaction { .. } => Command::Nothing("SET"),
        Set::SetRole { role_name: None, .. } => Command::Nothing("SET"),
        Set::SetRole { role_name: Some(name), .. } => {
            return Err(fault::error(
                fault::NOT_ALLOWED,
                format!("permission denied to set role \"{}\"", name.value),
            ));
        }
        Set::SetSessionAuthorization(_) => {
            return Err(fault::error(fault::NOT_ALLOWED, "permission denied to set session authorization"));
        }
        other => return Err(fault::error("0A000", format!("`{other}` is not supported"))),
    })
}

fn declare(stmts: Vec<datafusion::sql::sqlparser::ast::Declare>) -> PgWireResult<Command> {
    let [declare] = <[_; 1]>::try_from(stmts).map_err(|_| fault::error("42601", "one cursor at a time"))?;
    if declare.declare_type != Some(DeclareType::Cursor) {
        return Err(fault::error("0A000", "only cursors are declared"));
    }
    if declare.scroll == Some(true) {
        return Err(fault::error("0A000", "cursors only scan forward"));
    }
    let name =
        declare.names.first().map(ident).ok_or_else(|| fault::error("42601", "a cursor needs a name"))?;
    let query = declare.for_query.ok_or_else(|| fault::error("42601", "a cursor needs a query"))?;
    Ok(Command::Declare(name, Box::new(Statement::Statement(Box::new(Ast::Query(query))))))
}

/// How many rows a direction takes.
fn forward(direction: &FetchDirection) -> PgWireResult<Option<usize>> {
    let number = |value: &ValueWithSpan| match &value.value {
        Value::Number(text, _) => {
            text.parse().map_err(|_| fault::error("22023", format!("`{text}` is no number of rows")))
        }
        other => Err(fault::error("42601", format!("`{other}` is no number of rows"))),
    };
    match direction {
        FetchDirection::Next | FetchDirection::Forward { limit: None } => Ok(Some(1)),
        FetchDirection::Forward { limit: Some(limit) } | FetchDirection::Count { limit } => {
            number(limit).map(Some)
        }
        FetchDirection::ForwardAll | FetchDirection::All => Ok(None),
        _ => Err(fault::error("55000", "cursor can only scan forward")),
    }
}

/// Says of parameters that the client declares as arrays that they are: `queue = ANY($1)` alone does not tell.
pub(super) fn cast_arrays(statement: &mut Statement, types: &[Option<Type>]) {
    let Statement::Statement(ast) = statement else { return };
    let element = |kind: &Type| match *kind {
        Type::INT2_ARRAY | Type::INT4_ARRAY | Type::INT8_ARRAY => Some(SqlType::BigInt(None)),
        Type::FLOAT4_ARRAY | Type::FLOAT8_ARRAY | Type::NUMERIC_ARRAY => {
            Some(SqlType::Double(ExactNumberInfo::None))
        }
        Type::BOOL_ARRAY => Some(SqlType::Boolean),
        Type::TEXT_ARRAY | Type::VARCHAR_ARRAY => Some(SqlType::Text),
        _ => None,
    };
    let _: ControlFlow<()> = visit_expressions_mut(ast.as_mut(), |expr: &mut Expr| {
        let Expr::Value(ValueWithSpan { value: Value::Placeholder(id), .. }) = &*expr else {
            return ControlFlow::Continue(());
        };
        let at = id.trim_start_matches('$').parse::<usize>().ok().and_then(|number| number.checked_sub(1));
        let declared = at.and_then(|at| types.get(at)).and_then(Option::as_ref);
        let Some(element) = declared.and_then(element) else { return ControlFlow::Continue(()) };
        let array = SqlType::Array(ArrayElemTypeDef::SquareBracket(Box::new(element), None));
        *expr = cast(expr.clone(), array);
        ControlFlow::Continue(())
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(sql: &str) -> Result<Command, String> {
        let parsed = commands(&PostgresCompatibilityParser::new(), sql);
        parsed.map_err(|error| error.to_string()).and_then(|mut all| match all.len() {
            1 => Ok(all.remove(0)),
            count => Err(format!("{count} commands")),
        })
    }

    #[test]
    fn what_concerns_the_connection_is_told_from_questions() {
        let is = |sql: &str, wanted: fn(&Command) -> bool| match one(sql) {
            Ok(command) => assert!(wanted(&command), "{sql}: {command:?}"),
            Err(error) => panic!("{sql}: {error}"),
        };
        is("select 1", |command| matches!(command, Command::Ask(_)));
        is("explain select 1", |command| matches!(command, Command::Ask(_)));
        is(
            "set statement_timeout = '1s'",
            |command| matches!(command, Command::Set(set) if *set == [("statement_timeout".to_owned(), "1s".to_owned())]),
        );
        is(
            "set time zone 'Asia/Shanghai'",
            |command| matches!(command, Command::Set(set) if *set == [("timezone".to_owned(), "Asia/Shanghai".to_owned())]),
        );
        is(
            "set extra_float_digits = 3",
            |command| matches!(command, Command::Set(set) if *set == [("extra_float_digits".to_owned(), "3".to_owned())]),
        );
        is(
            "show transaction isolation level",
            |command| matches!(command, Command::Show(name) if name == "transaction_isolation"),
        );
        is("BEGIN", |command| matches!(command, Command::Begin));
        is("begin read only", |command| matches!(command, Command::Begin));
        is("commit", |command| matches!(command, Command::Commit));
        is("abort", |command| matches!(command, Command::Rollback));
        is("discard all", |command| matches!(command, Command::Discard));
        is("reset all", |command| matches!(command, Command::Reset(None)));
        is("close all", |command| matches!(command, Command::Close(None)));
        is("deallocate all;", |command| matches!(command, Command::Deallocate(None)));
        is(
            "declare \"C\" cursor for select 1",
            |command| matches!(command, Command::Declare(name, _) if name == "C"),
        );
        is(
            "fetch forward 100 from c",
            |command| matches!(command, Command::Fetch(name, Some(100)) if name == "c"),
        );
        is("fetch all from c", |command| matches!(command, Command::Fetch(_, None)));
        is(
            "move forward 5 from \"C\"",
            |command| matches!(command, Command::Move(name, Some(5)) if name == "C"),
        );
        is("UNLISTEN *", |command| matches!(command, Command::Nothing("UNLISTEN")));
    }

    #[test]
    fn what_changes_something_is_refused_also_where_the_grammar_does_not_know_it() {
        for sql in [
            "create external table l stored as parquet location 'x.parquet'",
            "copy legs to 'x.parquet'",
            "COPY (select 1) TO STDOUT",
            "vacuum full legs",
        ] {
            match one(sql) {
                Err(error) => assert!(error.contains("25006"), "{sql}: {error}"),
                Ok(command) => assert!(matches!(command, Command::Ask(_)), "{sql}: {command:?}"),
            }
        }
        assert!(one("set role admin").is_err_and(|error| error.contains("42501")));
        assert!(one("select 1 from legs where").is_err_and(|error| error.contains("42601")));
    }
}
