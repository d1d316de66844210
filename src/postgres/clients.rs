//! Questions that known clients ask word for word, and that DataFusion cannot plan: each becomes one that means the same.
//!
//! `datafusion-pg-catalog` has such a list too, and rules that mend whole kinds of statements; these are the ones that are
//! missing there. Compared are words, whatever the space between them.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr,
    ObjectName, ObjectNamePart, Query, Select, SelectItem, SetExpr, Statement, TableFactor, Value,
    ValueWithSpan, visit_expressions, visit_expressions_mut,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use super::parse::{call, cast};

/// A part of a statement, and what stands for it. `$1` to `$9` are any one word, the same word in both.
const REPLACED: &[(&str, &str)] = &[
    // Grafana's query builder: is a table in a schema of the search path? There is one schema.
    (
        r#"SELECT CASE WHEN trim(s[i]) = '"$user"' THEN user ELSE trim(s[i]) END
           FROM generate_series(
               array_lower(string_to_array(current_setting('search_path'),','),1),
               array_upper(string_to_array(current_setting('search_path'),','),1)) as i,
             string_to_array(current_setting('search_path'),',') s"#,
        "SELECT 'public'",
    ),
    // psql's `\dT`: is the type that of a row on its own?
    (
        "(SELECT c.relkind = 'c' FROM pg_catalog.pg_class c WHERE c.oid = t.typrelid)",
        "t.typrelid IN (SELECT c.oid FROM pg_catalog.pg_class c WHERE c.relkind = 'c')",
    ),
];

/// Tables of the catalogue that have no rows here: no column has a default, and there are no sequences.
pub(super) const EMPTY: &[&str] = &["pg_attrdef", "pg_sequence"];
/// Functions that make one value of many already.
const AGGREGATES: &[&str] = &[
    "array_agg",
    "avg",
    "bool_and",
    "bool_or",
    "count",
    "json_agg",
    "jsonb_agg",
    "max",
    "min",
    "string_agg",
    "sum",
];

/// Writes what DataFusion does not plan as what it does:
///
/// - Subselects for one value in questions about the catalogue, as SQLAlchemy's for columns: `(SELECT d.adbin FROM pg_attrdef
///   d WHERE d.adrelid = a.attrelid)`. Where they name columns of the statement around them they must be aggregates. They
///   find one row at most, or the statement would fail, so the largest value is the value; over tables that have no rows
///   they are NULL.
/// - `generate_subscripts(list, dimension)`, which tools take beside `unnest(list)`.
/// - `LIKE … ESCAPE '/'`: the backslash is the one character that escapes.
pub(super) fn plannable(statement: &mut Statement) {
    let _: ControlFlow<()> = visit_expressions_mut(statement, |expr: &mut Expr| {
        match expr {
            Expr::Subquery(query) => {
                if let Some(select) = plain_select(query)
                    && let Some(tables) = catalogue_tables(select)
                {
                    if tables.iter().any(|(table, _)| EMPTY.contains(&table.as_str())) {
                        *expr = cast(null(), DataType::Text);
                    } else if names_others(select, &tables) {
                        aggregated(query);
                    }
                }
            }
            Expr::Function(function) if last(&function.name) == "generate_subscripts" => {
                if let Some(made) = subscripts(function) {
                    *expr = made;
                }
            }
            Expr::Like { pattern, escape_char, .. } | Expr::ILike { pattern, escape_char, .. } => {
                escaped_by_backslash(pattern, escape_char);
            }
            _ => {}
        }
        ControlFlow::Continue(())
    });
}

/// The places of a list, from 1, as `generate_subscripts` gives them.
fn subscripts(function: &Function) -> Option<Expr> {
    let FunctionArguments::List(list) = &function.args else { return None };
    let [
        FunctionArg::Unnamed(FunctionArgExpr::Expr(array)),
        FunctionArg::Unnamed(FunctionArgExpr::Expr(dimension)),
    ] = list.args.as_slice()
    else {
        return None;
    };
    let bigint = || DataType::BigInt(None);
    let length = call("array_length", vec![array.clone(), cast(dimension.clone(), bigint())]);
    let one = Expr::Value(Value::Number("1".to_owned(), false).with_empty_span());
    Some(call("unnest", vec![call("generate_series", vec![one, cast(length, bigint())])]))
}

/// Makes the backslash the character that escapes in a pattern of LIKE.
fn escaped_by_backslash(pattern: &mut Expr, escape: &mut Option<ValueWithSpan>) {
    let Some(ValueWithSpan { value: Value::SingleQuotedString(written), .. }) = escape else { return };
    let mut letters = written.chars();
    let (by, None) = (letters.next(), letters.next()) else { return };
    if by != Some('\\') {
        rewrite_pattern(pattern, by);
        *escape = None;
    }
}

fn rewrite_pattern(pattern: &mut Expr, by: Option<char>) {
    match pattern {
        Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(text), .. }) => {
            let mut made = String::new();
            let mut letters = text.chars();
            while let Some(c) = letters.next() {
                match c {
                    c if Some(c) == by => {
                        made.push('\\');
                        made.extend(letters.next());
                    }
                    '\\' => made.push_str("\\\\"),
                    c => made.push(c),
                }
            }
            *text = made;
        }
        Expr::BinaryOp { left, op: BinaryOperator::StringConcat, right } => {
            rewrite_pattern(left, by);
            rewrite_pattern(right, by);
        }
        Expr::Nested(inner) => rewrite_pattern(inner, by),
        // A value that is known later; an escaped character that escapes is not told from two.
        other => {
            let text = |text: String| Expr::Value(Value::SingleQuotedString(text).with_empty_span());
            let whole = std::mem::replace(other, null());
            let doubled = call("replace", vec![whole, text("\\".to_owned()), text("\\\\".to_owned())]);
            *other = match by {
                Some(by) => call("replace", vec![doubled, text(by.to_string()), text("\\".to_owned())]),
                None => doubled,
            };
        }
    }
}

/// The one select of a subselect that gives one column, row by row.
fn plain_select(query: &Query) -> Option<&Select> {
    let SetExpr::Select(select) = query.body.as_ref() else { return None };
    let is_plain = query.with.is_none()
        && query.limit_clause.is_none()
        && query.fetch.is_none()
        && select.distinct.is_none()
        && select.having.is_none()
        && matches!(&select.group_by, GroupByExpr::Expressions(by, _) if by.is_empty());
    let [SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }] =
        select.projection.as_slice()
    else {
        return None;
    };
    (is_plain && !aggregates(expr)).then_some(select)
}

fn aggregates(expr: &Expr) -> bool {
    let found: ControlFlow<()> = visit_expressions(expr, |expr: &Expr| match expr {
        Expr::Function(function)
            if function.over.is_none() && AGGREGATES.contains(&last(&function.name).as_str()) =>
        {
            ControlFlow::Break(())
        }
        _ => ControlFlow::Continue(()),
    });
    found.is_break()
}

/// The last part of a name, in small letters.
fn last(name: &ObjectName) -> String {
    match name.0.last() {
        Some(ObjectNamePart::Identifier(ident)) => ident.value.to_ascii_lowercase(),
        _ => String::new(),
    }
}

/// The tables that a select reads, each with the name by which it is called; `None` where one is not of the catalogue.
fn catalogue_tables(select: &Select) -> Option<Vec<(String, String)>> {
    let factors = select
        .from
        .iter()
        .flat_map(|from| std::iter::once(&from.relation).chain(from.joins.iter().map(|join| &join.relation)));
    let tables = factors.map(|factor| match factor {
        TableFactor::Table { name, alias, args: None, .. } => {
            let table = last(name);
            let called =
                alias.as_ref().map_or_else(|| table.clone(), |alias| alias.name.value.to_ascii_lowercase());
            table.starts_with("pg_").then_some((table, called))
        }
        _ => None,
    });
    tables.collect::<Option<Vec<_>>>().filter(|tables| !tables.is_empty())
}

/// Whether a select names columns of other tables than its own.
fn names_others(select: &Select, tables: &[(String, String)]) -> bool {
    let found: ControlFlow<()> = visit_expressions(select, |expr: &Expr| match expr {
        Expr::CompoundIdentifier(parts) => {
            let table = parts.len().checked_sub(2).and_then(|at| parts.get(at));
            let is_own = table
                .is_none_or(|table| tables.iter().any(|(_, own)| own.eq_ignore_ascii_case(&table.value)));
            if is_own { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        }
        _ => ControlFlow::Continue(()),
    });
    found.is_break()
}

fn null() -> Expr {
    Expr::Value(Value::Null.with_empty_span())
}

/// Makes the one value of a subselect the largest of all.
fn aggregated(query: &mut Query) {
    let SetExpr::Select(select) = query.body.as_mut() else { return };
    for item in &mut select.projection {
        if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
            let value = std::mem::replace(expr, null());
            *expr = call("max", vec![value]);
        }
    }
    query.order_by = None;
}

/// The words of a statement.
fn words(sql: &str) -> Option<Vec<Token>> {
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, sql).tokenize().ok()?;
    Some(tokens.into_iter().filter(|token| !matches!(token, Token::Whitespace(_))).collect())
}

/// The statement with what is known replaced; `None` where nothing is.
pub(super) fn replaced(sql: &str) -> Option<String> {
    if sql.contains("_pg_expandarray") {
        return primary_keys(sql);
    }
    let has_array = sql.contains("pg_") && sql.to_ascii_lowercase().contains("array(");
    if !sql.contains("search_path") && !sql.contains("typrelid") && !has_array {
        return None;
    }
    let mut text = words(sql)?;
    let mut changed = has_array && without_arrays(&mut text);
    for (known, instead) in REPLACED {
        let (known, instead) = (words(known)?, words(instead)?);
        let mut at = 0;
        while at + known.len() <= text.len() {
            if text[at..at + known.len()].iter().zip(&known).all(|(word, known)| same(word, known)) {
                text.splice(at..at + known.len(), instead.iter().cloned());
                changed = true;
            }
            at += 1;
        }
    }
    changed.then(|| text.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
}

/// `ARRAY(SELECT …)` gathers members of roles and the like, of which there are none: NULL.
fn without_arrays(text: &mut Vec<Token>) -> bool {
    let is = |token: Option<&Token>, name: &str| matches!(token, Some(Token::Word(word)) if word.value.eq_ignore_ascii_case(name));
    let mut changed = false;
    let mut at = 0;
    while at + 2 < text.len() {
        let begins =
            is(text.get(at), "array") && text[at + 1] == Token::LParen && is(text.get(at + 2), "select");
        if begins {
            let mut depth = 0_usize;
            let end = text[at + 1..].iter().position(|token| {
                match token {
                    Token::LParen => depth += 1,
                    Token::RParen => depth = depth.saturating_sub(1),
                    _ => {}
                }
                depth == 0
            });
            if let (Some(end), Some(none)) = (end, words("CAST(NULL AS TEXT[])")) {
                text.splice(at..=at + 1 + end, none);
                changed = true;
            }
        }
        at += 1;
    }
    changed
}

fn same(word: &Token, known: &Token) -> bool {
    match (word, known) {
        (Token::Word(word), Token::Word(known)) => {
            word.quote_style == known.quote_style && word.value.eq_ignore_ascii_case(&known.value)
        }
        _ => word == known,
    }
}

/// JDBC's `getPrimaryKeys` and kin, which take arrays of the catalogue apart. Keys are told by `information_schema`.
fn primary_keys(sql: &str) -> Option<String> {
    let text = words(sql)?;
    let is_question = text
        .iter()
        .any(|token| matches!(token, Token::Word(word) if word.value.eq_ignore_ascii_case("indisprimary")));
    if !is_question {
        return None;
    }
    // `ct.relname = 'legs'`, `n.nspname = 'public'`
    let literal = |column: &str| {
        text.windows(3).find_map(|three| match three {
            [Token::Word(word), Token::Eq, Token::SingleQuotedString(value)]
                if word.value.eq_ignore_ascii_case(column) =>
            {
                Some(value.replace('\'', "''"))
            }
            _ => None,
        })
    };
    let schema = literal("nspname").map(|name| format!(" AND table_schema = '{name}'")).unwrap_or_default();
    let table = literal("relname").map(|name| format!(" AND table_name = '{name}'")).unwrap_or_default();
    Some(format!(
        "SELECT table_catalog AS \"TABLE_CAT\", table_schema AS \"TABLE_SCHEM\", table_name AS \"TABLE_NAME\", \
         column_name AS \"COLUMN_NAME\", CAST(ordinal_position AS SMALLINT) AS \"KEY_SEQ\", constraint_name AS \"PK_NAME\" \
         FROM information_schema.key_column_usage WHERE true{schema}{table} ORDER BY 3, 6, 5"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(sql: &str) -> String {
        let parsed = datafusion::sql::sqlparser::parser::Parser::parse_sql(&PostgreSqlDialect {}, sql);
        let mut statement = parsed.expect("a statement").remove(0);
        plannable(&mut statement);
        statement.to_string()
    }

    #[test]
    fn grafana_s_question_for_tables_finds_them() {
        let sql = r#"select quote_ident(table_name) as "table" from information_schema.tables
            where quote_ident(table_schema) not in ('information_schema', 'pg_catalog') and
            table_type = 'BASE TABLE' and quote_ident(table_schema) IN (
          SELECT
          CASE WHEN trim(s[i]) = '"$user"' THEN user ELSE trim(s[i]) END
          FROM
            generate_series(
              array_lower(string_to_array(current_setting('search_path'),','),1),
              array_upper(string_to_array(current_setting('search_path'),','),1)
            ) as i,
            string_to_array(current_setting('search_path'),',') s
          )"#;
        let made = replaced(sql).expect("it is known");
        assert!(made.contains("IN ( SELECT 'public' )"), "{made}");
        assert!(replaced("select current_setting('search_path')").is_none());
    }

    #[test]
    fn arrays_of_a_catalogue_question_are_none() {
        let made = replaced(
            "SELECT r.rolname, ARRAY(SELECT b.rolname FROM pg_roles b WHERE (b.oid = r.oid)) as memberof FROM pg_roles r",
        );
        let made = made.expect("it is known");
        assert!(made.contains("CAST ( NULL AS TEXT [ ] ) as memberof FROM pg_roles r"), "{made}");
    }

    #[test]
    fn psql_s_question_for_types_has_no_correlated_scalar() {
        let made = replaced(
            "SELECT 1 FROM pg_catalog.pg_type t WHERE (t.typrelid = 0 OR (SELECT c.relkind = 'c' \
             FROM pg_catalog.pg_class c WHERE c.oid = t.typrelid)) AND pg_catalog.pg_type_is_visible(t.oid)",
        );
        let made = made.expect("it is known");
        assert!(made.contains("OR t . typrelid IN ( SELECT c . oid"), "{made}");
    }

    #[test]
    fn subselects_for_one_value_can_be_planned() {
        let cases = [
            (
                "SELECT CASE WHEN a.atthasdef THEN (SELECT pg_get_expr(d.adbin, d.adrelid) FROM pg_catalog.pg_attrdef AS d WHERE d.adrelid = a.attrelid) ELSE NULL END FROM pg_attribute AS a",
                "SELECT CASE WHEN a.atthasdef THEN CAST(NULL AS TEXT) ELSE NULL END FROM pg_attribute AS a",
            ),
            (
                "SELECT 1 FROM pg_catalog.pg_attribute WHERE (SELECT pg_catalog.pg_type.typcollation FROM pg_catalog.pg_type WHERE pg_catalog.pg_type.oid = pg_catalog.pg_attribute.atttypid) <> 0",
                "SELECT 1 FROM pg_catalog.pg_attribute WHERE (SELECT max(pg_catalog.pg_type.typcollation) FROM pg_catalog.pg_type WHERE pg_catalog.pg_type.oid = pg_catalog.pg_attribute.atttypid) <> 0",
            ),
        ];
        for (sql, wanted) in cases {
            assert_eq!(made(sql), wanted);
        }
        for untouched in [
            "SELECT (SELECT count(*) FROM pg_index AS i WHERE i.indrelid = c.oid) FROM pg_class AS c",
            "SELECT (SELECT t.typname FROM pg_type AS t WHERE t.oid = 25) FROM pg_class AS c",
            "SELECT (SELECT l.queue FROM legs AS l WHERE l.leg = c.legs) FROM contacts AS c",
            "SELECT EXISTS (SELECT 1 FROM pg_attrdef AS d WHERE d.adrelid = c.oid) FROM pg_class AS c",
        ] {
            assert_eq!(made(untouched), untouched);
        }
    }

    #[test]
    fn what_cannot_be_planned_is_written_in_another_way() {
        let cases = [
            (
                "SELECT unnest(i.indkey), generate_subscripts(i.indkey, 1) AS ord FROM pg_index AS i",
                "SELECT unnest(i.indkey), unnest(generate_series(1, CAST(array_length(i.indkey, CAST(1 AS BIGINT)) AS BIGINT))) AS ord FROM pg_index AS i",
            ),
            ("SELECT a NOT LIKE 'pg/_' || '%' ESCAPE '/'", r"SELECT a NOT LIKE 'pg\_' || '%'"),
            (r"SELECT a ILIKE '\//x' ESCAPE '/'", r"SELECT a ILIKE '\\\/x'"),
            (r"SELECT a LIKE '\_' ESCAPE ''", r"SELECT a LIKE '\\_'"),
            (r"SELECT a LIKE $1 ESCAPE '/'", r"SELECT a LIKE replace(replace($1, '\', '\\'), '/', '\')"),
            (r"SELECT a LIKE 'x\_' ESCAPE '\'", r"SELECT a LIKE 'x\_' ESCAPE '\'"),
            ("SELECT a LIKE 'x/_'", "SELECT a LIKE 'x/_'"),
        ];
        for (sql, wanted) in cases {
            assert_eq!(made(sql), wanted);
        }
    }

    #[test]
    fn jdbc_s_question_for_keys_keeps_what_it_asks_for() {
        let sql = "SELECT NULL AS TABLE_CAT, (information_schema._pg_expandarray(i.indkey)).n AS KEY_SEQ FROM pg_index i \
                   WHERE n.nspname = 'public' AND ct.relname = 'legs' AND i.indisprimary";
        let made = replaced(sql).expect("it is known");
        assert!(made.contains("table_schema = 'public'") && made.contains("table_name = 'legs'"), "{made}");
    }
}
