//! Which statements may run: those that read.

use datafusion::execution::context::SQLOptions;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::Statement as Ast;

use super::rights::is_restricted;
use super::{Error, ErrorKind};
use crate::access::Identity;

/// Refuses every statement that does not read only, and what tells more than the rows that `who` may see.
pub(super) fn check(statement: &Statement, who: &Identity) -> Result<(), Error> {
    let ast = match statement {
        Statement::Statement(ast) => ast,
        Statement::Explain(explain) => {
            check_explain(explain.options.analyze, who)?;
            return check(&explain.statement, who);
        }
        Statement::CreateExternalTable(_) => return Err(refused("CREATE EXTERNAL TABLE")),
        Statement::CopyTo(_) => return Err(refused("COPY")),
        Statement::Reset(_) => return Err(refused("RESET")),
    };
    check_ast(ast, who)
}

/// Counts of rows and times of a run tell of rows that are not handed out.
fn check_explain(analyze: bool, who: &Identity) -> Result<(), Error> {
    if analyze && is_restricted(who) {
        let hint = "EXPLAIN without ANALYZE is allowed";
        return Err(
            Error::new(ErrorKind::Denied, "`EXPLAIN ANALYZE` tells of rows that you may not see").hint(hint)
        );
    }
    Ok(())
}

fn check_ast(ast: &Ast, who: &Identity) -> Result<(), Error> {
    match ast {
        Ast::Query(_)
        | Ast::ExplainTable { .. }
        | Ast::ShowTables { .. }
        | Ast::ShowColumns { .. }
        | Ast::ShowFunctions { .. }
        | Ast::ShowVariable { .. } => Ok(()),
        Ast::Explain { statement, analyze, options, .. } => {
            let named =
                options.iter().flatten().any(|option| option.name.value.eq_ignore_ascii_case("analyze"));
            check_explain(*analyze || named, who)?;
            check_ast(statement, who)
        }
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
