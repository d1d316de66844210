//! The simple and the extended protocol: commands in, rows out as they come.

use std::fmt::Debug;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use async_trait::async_trait;
use datafusion::common::ParamValues;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::sql::parser::Statement;
use datafusion_postgres::arrow_pg::datatypes::df::deserialize_parameters_with_server_types;
use datafusion_postgres::arrow_pg::datatypes::{PG_OID_ALIAS_KEY, into_pg_type, pg_type_for_alias_kind};
use datafusion_postgres::datafusion_pg_catalog::sql::PostgresCompatibilityParser;
use datafusion_postgres::pgwire::api::portal::{Format, Portal, PortalExecutionState};
use datafusion_postgres::pgwire::api::query::{
    ExtendedQueryHandler, SimpleQueryHandler, send_describe_response, send_execution_response,
    send_partial_query_response, send_query_response, send_ready_for_query,
};
use datafusion_postgres::pgwire::api::results::{
    DataRowEncoder, DescribePortalResponse, DescribeResponse, DescribeStatementResponse, FieldFormat,
    FieldInfo, QueryResponse, Response, Tag,
};
use datafusion_postgres::pgwire::api::stmt::{QueryParser, StoredStatement};
use datafusion_postgres::pgwire::api::store::{Entry, PortalStore};
use datafusion_postgres::pgwire::api::{
    ClientInfo, ClientPortalStore, DEFAULT_NAME, PgWireConnectionState, Type,
};
use datafusion_postgres::pgwire::error::{PgWireError, PgWireResult};
use datafusion_postgres::pgwire::messages::PgWireBackendMessage;
use datafusion_postgres::pgwire::messages::extendedquery::{
    Close, CloseComplete, Describe, Execute, Parse, ParseComplete, TARGET_TYPE_BYTE_PORTAL,
    TARGET_TYPE_BYTE_STATEMENT,
};
use datafusion_postgres::pgwire::messages::response::{EmptyQueryResponse, TransactionStatus};
use datafusion_postgres::pgwire::messages::simplequery::Query;
use datafusion_postgres::pgwire::messages::startup::ParameterStatus;
use futures::{Sink, SinkExt};
use tokio_util::sync::CancellationToken;

use super::parse::{self, Command};
use super::rows::{self, Rows};
use super::session::Session;
use super::{Wire, fault, lists};
use crate::query::functions::wanted_list;
use crate::query::{Asking, Question};

/// Answers the commands of all connections.
pub(super) struct Handler {
    wire: Wire,
    reader: Arc<Reader>,
}

/// Reads prepared statements.
pub(super) struct Reader {
    wire: Wire,
    parser: PostgresCompatibilityParser,
}

/// A statement that was prepared.
#[derive(Debug, Clone)]
pub(super) struct Prepared {
    sql: Arc<str>,
    command: Command,
    /// The plan over no rows, of a question: it knows columns and parameters.
    plan: Option<Arc<LogicalPlan>>,
}

impl Handler {
    pub(super) fn new(wire: Wire) -> Self {
        let reader = Arc::new(Reader { wire: wire.clone(), parser: PostgresCompatibilityParser::new() });
        Self { wire, reader }
    }

    /// Runs one question.
    async fn ask(
        &self,
        session: &Session,
        statement: &Statement,
        (sql, values): (&Arc<str>, Option<ParamValues>),
        cancel: CancellationToken,
    ) -> PgWireResult<Rows> {
        let asking = session.asking(&self.wire.access)?;
        let question = Question { sql: sql.to_string(), statement: statement.clone(), values };
        let answer = tokio::select! {
            biased;
            () = cancel.cancelled() => return Err(PgWireError::QueryCanceled),
            answer = self.wire.engine.run(&asking, question) => answer,
        };
        let answer = answer.map_err(|error| fault::of_query(&error, sql))?;
        let zone = session.settings().zone().map(str::to_owned);
        Ok(Rows::new(answer, zone.as_deref(), cancel, Arc::clone(sql)))
    }

    /// Runs one command.
    async fn execute<C>(
        &self,
        client: &mut C,
        command: &Command,
        (sql, values): (&Arc<str>, Option<ParamValues>),
        format: &Format,
    ) -> PgWireResult<Response>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let session = Session::of(client)?;
        let status = client.transaction_status();
        if status == TransactionStatus::Error && !matches!(command, Command::Commit | Command::Rollback) {
            return Err(fault::error(
                "25P02",
                "current transaction is aborted, commands ignored until end of transaction block",
            ));
        }
        let done = |word: &str| Ok(Response::Execution(Tag::new(word)));
        match command {
            Command::Ask(statement) => {
                let cancel = session.begin();
                let rows = self.ask(&session, statement, (sql, values), cancel).await?;
                let mut response = rows.respond(format)?;
                if let Statement::Statement(ast) = statement.as_ref()
                    && matches!(**ast, datafusion::sql::sqlparser::ast::Statement::Explain { .. })
                {
                    response.set_command_tag("EXPLAIN");
                }
                Ok(Response::Query(response))
            }
            Command::Set(values) => {
                for (name, value) in values {
                    let is_default = value.eq_ignore_ascii_case("default");
                    let told = match is_default {
                        true => {
                            session.settings().reset(Some(name));
                            None
                        }
                        false => session.settings().set(name, value)?,
                    };
                    if let Some(told) = told {
                        let value = session.settings().get(name).unwrap_or_default();
                        let status = ParameterStatus::new(told.to_owned(), value);
                        client.feed(PgWireBackendMessage::ParameterStatus(status)).await?;
                    }
                }
                done("SET")
            }
            Command::Reset(name) => {
                session.settings().reset(name.as_deref());
                done("RESET")
            }
            Command::Show(name) => {
                let shown = shown(&session, name)?;
                Ok(Response::Query(one_text(name, &shown, format)?))
            }
            Command::Begin => match status {
                TransactionStatus::Idle => Ok(Response::TransactionStart(Tag::new("BEGIN"))),
                _ => done("BEGIN"),
            },
            Command::Commit if status == TransactionStatus::Error => self.end(&session, "ROLLBACK"),
            Command::Commit => self.end(&session, "COMMIT"),
            Command::Rollback => self.end(&session, "ROLLBACK"),
            Command::Nothing(word) => done(word),
            Command::Declare(name, statement) => {
                let cancel = session.begin();
                let rows = self.ask(&session, statement, (sql, values), cancel).await?;
                session.open(name.clone(), rows)?;
                done("DECLARE CURSOR")
            }
            Command::Fetch(name, limit) => {
                let mut rows = take_cursor(&session, name)?;
                rows.stopped_by(session.begin());
                let taken = rows.take(limit.unwrap_or(usize::MAX), format).await?;
                session.open(name.clone(), rows)?;
                let mut taken = taken;
                taken.set_command_tag("FETCH");
                Ok(Response::Query(taken))
            }
            Command::Move(name, limit) => {
                let mut rows = take_cursor(&session, name)?;
                rows.stopped_by(session.begin());
                let limit = limit.unwrap_or(usize::MAX);
                let mut passed = 0;
                while passed < limit {
                    let Some(batch) = rows.next(limit - passed).await? else { break };
                    passed += batch.num_rows();
                }
                session.open(name.clone(), rows)?;
                Ok(Response::Execution(Tag::new("MOVE").with_rows(passed)))
            }
            Command::Close(None) => {
                session.cursors().clear();
                done("CLOSE CURSOR ALL")
            }
            Command::Close(Some(name)) => match session.cursors().remove(name) {
                Some(_) => done("CLOSE CURSOR"),
                None => Err(no_cursor(name)),
            },
            Command::Deallocate(name) => {
                for name in session.forget_prepared(name.as_deref()) {
                    client.portal_store().rm_statement(&name);
                }
                done(if name.is_some() { "DEALLOCATE" } else { "DEALLOCATE ALL" })
            }
            Command::Discard => {
                session.cursors().clear();
                for name in session.forget_prepared(None) {
                    client.portal_store().rm_statement(&name);
                }
                session.settings().reset(None);
                done("DISCARD ALL")
            }
        }
    }

    /// Cursors live as long as their transaction.
    fn end(&self, session: &Session, word: &str) -> PgWireResult<Response> {
        session.cursors().clear();
        Ok(Response::TransactionEnd(Tag::new(word)))
    }
}

fn no_cursor(name: &str) -> PgWireError {
    fault::error("34000", format!("cursor \"{name}\" does not exist"))
}

fn take_cursor(session: &Session, name: &str) -> PgWireResult<Rows> {
    session.cursors().remove(name).ok_or_else(|| no_cursor(name))
}

fn shown(session: &Session, name: &str) -> PgWireResult<String> {
    if name == "session_authorization" {
        return Ok(session.user().to_owned());
    }
    let value = session.settings().get(name);
    value.ok_or_else(|| fault::error("42704", format!("unrecognized configuration parameter \"{name}\"")))
}

/// One row with one text.
fn one_text(name: &str, value: &str, format: &Format) -> PgWireResult<QueryResponse> {
    let fields = Arc::new(vec![text_field(name, format.format_for(0))]);
    let mut row = DataRowEncoder::new(Arc::clone(&fields));
    row.encode_field(&Some(value))?;
    let row = row.take_row();
    let mut response = QueryResponse::new(fields, futures::stream::iter([Ok(row)]));
    response.set_command_tag("SHOW");
    Ok(response)
}

fn text_field(name: &str, format: FieldFormat) -> FieldInfo {
    FieldInfo::new(name.to_owned(), None, None, Type::TEXT, format)
}

fn is_empty(sql: &str) -> bool {
    sql.chars().all(|c| c == ';' || c.is_whitespace())
}

#[async_trait]
impl SimpleQueryHandler for Handler {
    /// One command after the other: the rows of one are sent before the next begins, so that no two of a connection hold
    /// turns of the engine.
    async fn on_query<C>(&self, client: &mut C, query: Query) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        if !matches!(client.state(), PgWireConnectionState::ReadyForQuery) {
            return Err(PgWireError::NotReadyForQuery);
        }
        client.set_state(PgWireConnectionState::QueryInProgress);
        let sql: Arc<str> = query.query.as_str().into();
        let commands = if is_empty(&sql) { Vec::new() } else { self.reader.read(client, &sql)? };
        if commands.is_empty() {
            client.feed(PgWireBackendMessage::EmptyQueryResponse(EmptyQueryResponse::new())).await?;
        }
        for command in &commands {
            let response = self.execute(client, command, (&sql, None), &Format::UnifiedText).await?;
            send(client, response).await?;
        }
        client.set_state(PgWireConnectionState::ReadyForQuery);
        let status = client.transaction_status();
        send_ready_for_query(client, status).await
    }

    async fn do_query<C>(&self, _: &mut C, _: &str) -> PgWireResult<Vec<Response>>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        Err(fault::error("XX000", "commands are answered one by one"))
    }
}

/// Sends what one command gave.
async fn send<C>(client: &mut C, response: Response) -> PgWireResult<()>
where
    C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
    C::Error: Debug,
    PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
{
    let status = client.transaction_status();
    match response {
        Response::Query(rows) => send_query_response(client, rows, true).await,
        Response::Execution(tag) => send_execution_response(client, tag).await,
        Response::TransactionStart(tag) => {
            client.set_transaction_status(status.to_in_transaction_state());
            send_execution_response(client, tag).await
        }
        Response::TransactionEnd(tag) => {
            client.set_transaction_status(status.to_idle_state());
            send_execution_response(client, tag).await
        }
        _ => Err(fault::error("XX000", "a command gave an answer that is not sent")),
    }
}

impl Reader {
    /// Reads commands; a refusal leaves a line in the audit log.
    fn read<C: ClientInfo>(&self, client: &C, sql: &str) -> PgWireResult<Vec<Command>> {
        parse::commands(&self.parser, sql).inspect_err(|error| {
            if let (Ok(session), PgWireError::UserError(info)) = (Session::of(client), error)
                && let Ok(asking) = session.asking(&self.wire.access)
            {
                let refused = info.code == fault::READ_ONLY || info.code == fault::NOT_ALLOWED;
                self.wire.engine.note_unread(&asking, sql, refused, &info.message);
            }
        })
    }

    async fn prepare(&self, session: &Session, sql: &Arc<str>, command: Command) -> PgWireResult<Prepared> {
        let plan = match &command {
            Command::Ask(statement) | Command::Declare(_, statement) => {
                let asking: Asking = session.asking(&self.wire.access)?;
                let described = self.wire.engine.describe(&asking, statement, sql).await;
                let described = described.map_err(|error| fault::of_query(&error, sql))?;
                Some(Arc::new(described.plan))
            }
            _ => None,
        };
        Ok(Prepared { sql: Arc::clone(sql), command, plan })
    }
}

#[async_trait]
impl QueryParser for Reader {
    type Statement = Prepared;

    async fn parse_sql<C>(
        &self,
        client: &C,
        sql: &str,
        types: &[Option<Type>],
    ) -> PgWireResult<Option<Prepared>>
    where
        C: ClientInfo + Unpin + Send + Sync,
    {
        let session = Session::of(client)?;
        let mut commands = self.read(client, sql)?;
        if commands.len() > 1 {
            return Err(fault::error("42601", "cannot insert multiple commands into a prepared statement"));
        }
        if let Some(Command::Ask(statement)) = commands.last_mut() {
            parse::cast_arrays(statement, types);
        }
        match commands.pop() {
            None => Ok(None),
            Some(command) => self.prepare(&session, &sql.into(), command).await.map(Some),
        }
    }

    fn get_parameter_types(&self, prepared: &Prepared) -> PgWireResult<Vec<Type>> {
        match &prepared.plan {
            Some(plan) => Ok(parameters(plan)?.into_iter().map(|parameter| parameter.wire).collect()),
            None => Ok(Vec::new()),
        }
    }

    fn get_result_schema(
        &self,
        prepared: &Prepared,
        format: Option<&Format>,
    ) -> PgWireResult<Vec<FieldInfo>> {
        let format = format.unwrap_or(&Format::UnifiedText);
        match (&prepared.command, &prepared.plan) {
            (Command::Ask(_), Some(plan)) => {
                rows::fields(&rows::on_the_wire(plan.schema().as_arrow(), None), format)
            }
            (Command::Show(name), _) => Ok(vec![text_field(name, format.format_for(0))]),
            _ => Ok(Vec::new()),
        }
    }
}

/// A parameter of a plan.
struct Parameter {
    /// The type on the wire.
    wire: Type,
    /// The type in the plan, where it is known.
    kind: Option<DataType>,
}

/// The parameters of a plan in their order.
fn parameters(plan: &LogicalPlan) -> PgWireResult<Vec<Parameter>> {
    let mut found: Vec<Option<FieldRef>> = Vec::new();
    let mut note = |id: &str, field: Option<FieldRef>| {
        let at = id.trim_start_matches('$').parse::<usize>().ok().and_then(|number| number.checked_sub(1));
        if let Some(at) = at.filter(|at| *at < 65_535) {
            if found.len() <= at {
                found.resize(at + 1, None);
            }
            if found[at].is_none() {
                found[at] = field;
            }
        }
    };
    // A type that a cast beside the parameter names comes first, then what it is compared with.
    plan.apply_with_subqueries(|node| {
        let schema = merge_schema(&node.inputs());
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                match expr {
                    Expr::Cast(cast) => {
                        if let Expr::Placeholder(parameter) = cast.expr.as_ref() {
                            let field = parameter.field.clone().unwrap_or_else(|| Arc::clone(&cast.field));
                            note(&parameter.id, Some(field));
                        }
                    }
                    Expr::ScalarFunction(call) => {
                        if let Some(Expr::Placeholder(parameter)) = call.args.get(1)
                            && parameter.field.is_none()
                            && let Some(kind) = wanted_list(call, &schema)
                        {
                            note(&parameter.id, Some(Arc::new(Field::new("list", kind, true))));
                        }
                    }
                    Expr::Placeholder(parameter) => note(&parameter.id, parameter.field.clone()),
                    _ => {}
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })
    .map_err(|error| fault::of_query(&error.into(), ""))?;
    found
        .into_iter()
        .map(|field| {
            let Some(field) = field else { return Ok(Parameter { wire: Type::TEXT, kind: None }) };
            let wire = if field.data_type() == &DataType::Int32
                && let Some(kind) = field.metadata().get(PG_OID_ALIAS_KEY)
                && let Some(wire) = pg_type_for_alias_kind(kind)
            {
                wire
            } else {
                into_pg_type(field.data_type())?
            };
            Ok(Parameter { wire, kind: Some(field.data_type().clone()) })
        })
        .collect()
}

#[async_trait]
impl ExtendedQueryHandler for Handler {
    type Statement = Prepared;
    type QueryParser = Reader;

    fn query_parser(&self) -> Arc<Reader> {
        Arc::clone(&self.reader)
    }

    async fn on_parse<C>(&self, client: &mut C, message: Parse) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Prepared>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let name = message.name.clone().unwrap_or_else(|| DEFAULT_NAME.to_owned());
        let session = Session::of(client)?;
        if name != DEFAULT_NAME {
            session.note_prepared(&name)?;
        }
        let cancel = session.begin();
        let parsed = tokio::select! {
            biased;
            () = cancel.cancelled() => Err(PgWireError::QueryCanceled),
            parsed = StoredStatement::parse(client, &message, self.query_parser()) => parsed,
        };
        match parsed? {
            Some(statement) => client.portal_store().put_statement(Arc::new(statement)),
            None => client.portal_store().put_empty_statement(&name),
        }
        client.feed(PgWireBackendMessage::ParseComplete(ParseComplete::new())).await?;
        Ok(())
    }

    /// As the library's, but rows stream through, whatever their number.
    async fn on_execute<C>(&self, client: &mut C, message: Execute) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Prepared>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        if !matches!(client.state(), PgWireConnectionState::ReadyForQuery) {
            return Err(PgWireError::NotReadyForQuery);
        }
        client.set_state(PgWireConnectionState::QueryInProgress);
        let name = message.name.as_deref().unwrap_or(DEFAULT_NAME);
        let limit = usize::try_from(message.max_rows).unwrap_or(0);
        let portal = match client.portal_store().get_portal(name) {
            Some(Entry::Value(portal)) => portal,
            Some(Entry::Empty) => {
                client.feed(PgWireBackendMessage::EmptyQueryResponse(EmptyQueryResponse::new())).await?;
                client.set_state(PgWireConnectionState::ReadyForQuery);
                return Ok(());
            }
            None => return Err(PgWireError::PortalNotFound(name.to_owned())),
        };
        let state = portal.state();
        let mut state = state.lock().await;
        let mut goes_on = true;
        if matches!(*state, PortalExecutionState::Initial) {
            goes_on = false;
            match ExtendedQueryHandler::do_query(self, client, &portal, limit).await? {
                Response::Query(rows) => *state = PortalExecutionState::Suspended(rows),
                other => {
                    *state = PortalExecutionState::Finished;
                    send(client, other).await?;
                    client.set_state(PgWireConnectionState::ReadyForQuery);
                    return Ok(());
                }
            }
        }
        let more = match &mut *state {
            // A portal that goes on is a statement of its own, with a cancel request of its own.
            PortalExecutionState::Suspended(rows) if goes_on => {
                let cancel = Session::of(client)?.begin();
                tokio::select! {
                    biased;
                    () = cancel.cancelled() => return Err(PgWireError::QueryCanceled),
                    more = send_partial_query_response(client, rows, limit) => more?,
                }
            }
            PortalExecutionState::Suspended(rows) => send_partial_query_response(client, rows, limit).await?,
            _ => {
                send_execution_response(client, Tag::new("SELECT").with_rows(0)).await?;
                false
            }
        };
        if !more {
            *state = PortalExecutionState::Finished;
        }
        client.set_state(PgWireConnectionState::ReadyForQuery);
        Ok(())
    }

    async fn on_describe<C>(&self, client: &mut C, message: Describe) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Prepared>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        // A cursor is a portal of its name.
        if message.target_type == TARGET_TYPE_BYTE_PORTAL
            && let Some(name) = &message.name
        {
            let session = Session::of(client)?;
            let schema = session.cursors().get(name).map(|rows| Arc::clone(rows.schema()));
            if let Some(schema) = schema {
                let fields = rows::fields(&schema, &Format::UnifiedText)?;
                return send_describe_response(client, &DescribePortalResponse::new(fields)).await;
            }
        }
        self._on_describe(client, message).await
    }

    async fn on_close<C>(&self, client: &mut C, message: Close) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Prepared>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let name = message.name.as_deref().unwrap_or(DEFAULT_NAME);
        let session = Session::of(client)?;
        if message.target_type == TARGET_TYPE_BYTE_STATEMENT {
            session.forget_prepared(Some(name));
            client.portal_store().rm_statement(name);
        } else {
            session.cursors().remove(name);
            client.portal_store().rm_portal(name);
        }
        client.feed(PgWireBackendMessage::CloseComplete(CloseComplete::new())).await?;
        Ok(())
    }

    async fn do_describe_statement<C>(
        &self,
        client: &mut C,
        target: &StoredStatement<Prepared>,
    ) -> PgWireResult<DescribeStatementResponse>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Prepared>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let fields = self.described(client, &target.statement, &Format::UnifiedText)?;
        let ours = self.reader.get_parameter_types(&target.statement)?;
        let count = ours.len().max(target.parameter_types.len());
        let types = (0..count).map(|at| {
            let theirs =
                target.parameter_types.get(at).cloned().flatten().filter(|kind| *kind != Type::UNKNOWN);
            theirs.or_else(|| ours.get(at).cloned()).unwrap_or(Type::TEXT)
        });
        Ok(match fields {
            Some(fields) => DescribeStatementResponse::new(types.collect(), fields),
            None => DescribeStatementResponse::new(types.collect(), Vec::new()),
        })
    }

    async fn do_describe_portal<C>(
        &self,
        client: &mut C,
        target: &Portal<Prepared>,
    ) -> PgWireResult<DescribePortalResponse>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Prepared>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let fields = self.described(client, &target.statement.statement, &target.result_column_format)?;
        Ok(match fields {
            Some(fields) => DescribePortalResponse::new(fields),
            None => DescribePortalResponse::no_data(),
        })
    }

    async fn do_query<C>(&self, client: &mut C, portal: &Portal<Prepared>, _: usize) -> PgWireResult<Response>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Prepared>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let prepared = &portal.statement.statement;
        let values = match &prepared.plan {
            None => None,
            Some(plan) => values(plan, portal)?,
        };
        self.execute(client, &prepared.command, (&prepared.sql, values), &portal.result_column_format).await
    }
}

impl Handler {
    /// The columns of what a statement gives; `None` where it gives no rows.
    fn described<C: ClientInfo>(
        &self,
        client: &C,
        prepared: &Prepared,
        format: &Format,
    ) -> PgWireResult<Option<Vec<FieldInfo>>> {
        match &prepared.command {
            Command::Ask(_) | Command::Show(_) => {
                self.reader.get_result_schema(prepared, Some(format)).map(Some)
            }
            Command::Fetch(name, _) => {
                let session = Session::of(client)?;
                let schema = session.cursors().get(name).map(|rows| Arc::clone(rows.schema()));
                let schema = schema.ok_or_else(|| no_cursor(name))?;
                rows::fields(&schema, format).map(Some)
            }
            _ => Ok(None),
        }
    }
}

/// The values that were bound, in the types of the plan.
fn values(plan: &LogicalPlan, portal: &Portal<Prepared>) -> PgWireResult<Option<ParamValues>> {
    let wanted = parameters(plan)?;
    if wanted.len() != portal.parameter_len() {
        return Err(fault::error(
            "08P01",
            format!(
                "bind message supplies {} parameters, but the prepared statement requires {}",
                portal.parameter_len(),
                wanted.len()
            ),
        ));
    }
    if wanted.is_empty() {
        return Ok(None);
    }
    let kinds_of = wanted.iter().map(|parameter| (&parameter.wire, parameter.kind.as_ref()));
    let lists = lists::bound(portal, &kinds_of.collect::<Vec<_>>())?;
    let kinds: Vec<Option<&DataType>> = wanted.iter().map(|parameter| parameter.kind.as_ref()).collect();
    let wires: Vec<Option<&Type>> = wanted.iter().map(|parameter| Some(&parameter.wire)).collect();
    if lists.is_empty() {
        return deserialize_parameters_with_server_types(portal, &kinds, &wires).map(Some);
    }
    // The library reads the others.
    let mut others = Portal::<()>::default();
    others.parameter_format = portal.parameter_format.clone();
    others.parameters.clone_from(&portal.parameters);
    let mut types = portal.statement.parameter_types.clone();
    types.resize(wanted.len(), None);
    for at in lists.keys() {
        others.parameters[*at] = None;
        types[*at] = Some(Type::TEXT);
    }
    others.statement = Arc::new(StoredStatement::new(String::new(), (), types));
    let mut values = deserialize_parameters_with_server_types(&others, &kinds, &wires)?;
    if let ParamValues::List(values) = &mut values {
        for (at, list) in lists {
            values[at] = list.into();
        }
    }
    Ok(Some(values))
}
