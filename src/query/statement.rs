//! Which statements may run: those that read.

use datafusion::execution::context::SQLOptions;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::Statement as Ast;

use super::{Error, ErrorKind};

/// Refuses every statement that does not read only.
pub(super) fn check(statement: &Statement) -> Result<(), Error> {
    let ast = match statement {
        Statement::Statement(ast) => ast,
        Statement::Explain(explain) => return check(&explain.statement),
        Statement::CreateExternalTable(_) => return Err(refused("CREATE EXTERNAL TABLE")),
        Statement::CopyTo(_) => return Err(refused("COPY")),
        Statement::Reset(_) => return Err(refused("RESET")),
    };
    check_ast(ast)
}

fn check_ast(ast: &Ast) -> Result<(), Error> {
    match ast {
        Ast::Query(_)
        | Ast::ExplainTable { .. }
        | Ast::ShowTables { .. }
        | Ast::ShowColumns { .. }
        | Ast::ShowFunctions { .. }
        | Ast::ShowVariable { .. } => Ok(()),
        Ast::Explain { statement, .. } => check_ast(statement),
        other => {
            let text = other.to_string();
            let words: Vec<&str> = text
                .split_whitespace()
                .take_while(|word| word.chars().all(|c| c.is_ascii_uppercase()))
                .take(2)
                .collect();
            Err(refused(&words.join(" ")))
        }
    }
}

/// Refuses a plan in which something that changes is hidden deeper (`WITH x AS (INSERT …)`, `SELECT … INTO`).
pub(super) fn check_plan(plan: &LogicalPlan) -> Result<(), Error> {
    let reading = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    reading.verify_plan(plan).map_err(|error| {
        let found = error.strip_backtrace();
        refused(found.rsplit(": ").next().unwrap_or("it"))
    })
}

fn refused(what: &str) -> Error {
    Error::new(ErrorKind::Refused, format!("`{what}` is refused: SQL only reads"))
        .hint("SELECT, WITH, VALUES, EXPLAIN, SHOW and DESCRIBE are allowed")
}
