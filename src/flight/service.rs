//! The calls of Flight SQL.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, Int32Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::ipc::writer::IpcWriteOptions;
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::error::FlightError;
use arrow_flight::sql::metadata::{SqlInfoData, SqlInfoDataBuilder};
use arrow_flight::sql::server::{FlightSqlService, PeekableFlightDataStream};
use arrow_flight::sql::{
    ActionClosePreparedStatementRequest, ActionCreatePreparedStatementRequest,
    ActionCreatePreparedStatementResult, CommandGetCatalogs, CommandGetDbSchemas, CommandGetPrimaryKeys,
    CommandGetSqlInfo, CommandGetTableTypes, CommandGetTables, CommandPreparedStatementQuery,
    CommandStatementQuery, CommandStatementUpdate, DoPutPreparedStatementResult, ProstMessageExt, SqlInfo,
    SqlSupportedTransaction, TicketStatementQuery,
};
use arrow_flight::{
    Action, FlightDescriptor, FlightEndpoint, FlightInfo, HandshakeRequest, HandshakeResponse, IpcMessage,
    SchemaAsIpc, Ticket,
};
use datafusion::common::{ParamValues, ScalarValue};
use futures::{Stream, TryStreamExt};
use prost::Message;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status, Streaming};

use super::Flight;
use super::prepared::Store;
use crate::access::{Denied, Door, Identity, Outcome, Record, basic};
use crate::query::functions::SERVER_VERSION;
use crate::query::{Asking, CATALOG, Error, ErrorKind, Question, SCHEMA};

type Batches = Pin<Box<dyn Stream<Item = Result<arrow_flight::FlightData, Status>> + Send + 'static>>;

/// Answers the calls.
pub(super) struct Service {
    flight: Flight,
    prepared: Store,
    info: SqlInfoData,
}

/// A fault as a status.
fn status(fault: &Error) -> Status {
    let text = fault.to_string();
    match fault.kind {
        ErrorKind::Sql => Status::invalid_argument(text),
        ErrorKind::Refused | ErrorKind::Denied => Status::permission_denied(text),
        ErrorKind::TimedOut => Status::deadline_exceeded(text),
        ErrorKind::Busy | ErrorKind::Memory => Status::resource_exhausted(text),
        ErrorKind::Unready | ErrorKind::Outside => Status::unavailable(text),
        ErrorKind::Bug => Status::internal(text),
    }
}

fn broken(error: impl std::fmt::Display) -> Status {
    Status::internal(error.to_string())
}

/// A schema as the messages carry it.
fn schema_bytes(schema: &Schema) -> Result<bytes::Bytes, Status> {
    let message: IpcMessage =
        SchemaAsIpc::new(schema, &IpcWriteOptions::default()).try_into().map_err(broken)?;
    Ok(message.0)
}

impl Service {
    pub(super) fn new(flight: Flight) -> io::Result<Self> {
        let mut info = SqlInfoDataBuilder::new();
        info.append(SqlInfo::FlightSqlServerName, "callpulse");
        info.append(SqlInfo::FlightSqlServerVersion, env!("CARGO_PKG_VERSION"));
        info.append(SqlInfo::FlightSqlServerArrowVersion, "1.3");
        info.append(SqlInfo::FlightSqlServerReadOnly, true);
        info.append(SqlInfo::FlightSqlServerSql, true);
        info.append(SqlInfo::FlightSqlServerSubstrait, false);
        info.append(SqlInfo::FlightSqlServerTransaction, SqlSupportedTransaction::None as i32);
        info.append(SqlInfo::SqlDdlCatalog, false);
        info.append(SqlInfo::SqlDdlSchema, false);
        info.append(SqlInfo::SqlDdlTable, false);
        info.append(SqlInfo::SqlIdentifierQuoteChar, "\"");
        info.append(SqlInfo::SqlQuotedIdentifierCase, 3);
        info.append(SqlInfo::SqlIdentifierCase, 2);
        let info = info.build().map_err(io::Error::other)?;
        tracing::debug!(imitates = SERVER_VERSION, "Flight SQL is ready");
        Ok(Self { flight, prepared: Store::default(), info })
    }

    /// Who calls.
    fn asking<T>(&self, request: &Request<T>) -> Result<Asking, Status> {
        let peer = request.remote_addr();
        let access = &self.flight.access;
        if let Some(who) = peer.and_then(|peer| access.unasked(peer.ip())) {
            return Ok(Asking::new(who, Door::Flight, peer));
        }
        if !access.asks() {
            return Err(Status::permission_denied("without users, only clients on this machine are served"));
        }
        let who = self.identify(request.metadata(), peer)?;
        Ok(Asking::new(who, Door::Flight, peer))
    }

    fn identify(
        &self,
        metadata: &MetadataMap,
        peer: Option<std::net::SocketAddr>,
    ) -> Result<Identity, Status> {
        let access = &self.flight.access;
        if peer.is_some_and(|peer| access.must_wait(peer.ip())) {
            return Err(Status::resource_exhausted(
                "too many wrong passwords or tokens from this address; wait a minute",
            ));
        }
        let (word, secret) = authorization(metadata);
        let found = if let Some(token) = bearer(metadata) {
            access.by_token(token)
        } else if word.eq_ignore_ascii_case("basic") {
            let found = basic(secret).and_then(|(user, password)| access.by_password(&user, &password));
            found.ok_or(Denied::Unknown)
        } else {
            return Err(Status::unauthenticated(
                "send `authorization: Bearer TOKEN`, or log in by a handshake",
            ));
        };
        found.map_err(|denied| {
            // Whoever shows what the issuer has signed does not guess.
            if let (Some(peer), Denied::Unknown) = (peer, denied) {
                access.note_failure(peer.ip());
            }
            self.note(None, peer, "login", Outcome::Refused, Some(denied.reason()));
            Status::unauthenticated(denied.reason())
        })
    }

    fn note(
        &self,
        who: Option<&Identity>,
        peer: Option<std::net::SocketAddr>,
        what: &str,
        outcome: Outcome,
        why: Option<&str>,
    ) {
        let Some(audit) = self.flight.engine.audit() else { return };
        let took = Duration::ZERO;
        audit.note(&Record { who, peer, door: Door::Flight, what, outcome, rows: 0, took, why });
    }

    /// Plans a statement over no rows; gives the columns, and those of its parameters.
    async fn describe(&self, asking: &Asking, sql: &str) -> Result<(SchemaRef, Schema), Status> {
        let engine = &self.flight.engine;
        let statement = engine.parse(sql).map_err(|fault| status(&fault))?;
        let described = engine.describe(asking, &statement, sql).await.map_err(|fault| status(&fault))?;
        let columns = told(described.plan.schema().as_arrow());
        let mut parameters: Vec<(usize, Field)> = Vec::new();
        for (id, kind) in described.plan.get_parameter_types().map_err(broken)? {
            let place = id.trim_start_matches('$').parse().unwrap_or(usize::MAX);
            parameters.push((place, Field::new(id, kind.unwrap_or(DataType::Utf8), true)));
        }
        parameters.sort_by_key(|(place, _)| *place);
        Ok((columns, Schema::new(parameters.into_iter().map(|(_, field)| field).collect::<Vec<_>>())))
    }

    /// Where to fetch what `command` asks for.
    fn info_of(
        schema: &Schema,
        descriptor: FlightDescriptor,
        ticket: Vec<u8>,
    ) -> Result<Response<FlightInfo>, Status> {
        let endpoint = FlightEndpoint::new().with_ticket(Ticket::new(ticket));
        let info = FlightInfo::new()
            .try_with_schema(schema)
            .map_err(broken)?
            .with_endpoint(endpoint)
            .with_descriptor(descriptor);
        Ok(Response::new(info))
    }

    async fn run(
        &self,
        asking: &Asking,
        sql: String,
        values: Vec<ScalarValue>,
    ) -> Result<Response<Batches>, Status> {
        let engine = &self.flight.engine;
        let statement = engine.parse(&sql).map_err(|fault| status(&fault))?;
        let values = (!values.is_empty()).then(|| ParamValues::from(values));
        let answer =
            engine.run(asking, Question { sql, statement, values }).await.map_err(|fault| status(&fault))?;
        let schema = told(&answer.schema);
        let batches = answer.rows.map_err(|error| FlightError::Tonic(Box::new(status(&Error::from(error)))));
        Ok(Response::new(stream(schema, batches)))
    }

    fn one(batch: RecordBatch) -> Response<Batches> {
        let schema = batch.schema();
        Response::new(stream(schema, futures::stream::iter([Ok(batch)])))
    }
}

/// The columns as clients are told of them, before the rows and with them. A plan over no rows and one over rows may differ in
/// whether a column can be NULL, and clients refuse rows of other columns than were announced: every one can.
fn told(schema: &Schema) -> SchemaRef {
    let column = |field: &Arc<Field>| Field::new(field.name(), field.data_type().clone(), true);
    Arc::new(Schema::new(schema.fields().iter().map(column).collect::<Vec<_>>()))
}

fn stream(
    schema: SchemaRef,
    batches: impl Stream<Item = Result<RecordBatch, FlightError>> + Send + 'static,
) -> Batches {
    let encoded = FlightDataEncoderBuilder::new().with_schema(schema).build(batches);
    Box::pin(encoded.map_err(|error| match error {
        FlightError::Tonic(status) => *status,
        other => Status::internal(other.to_string()),
    }))
}

fn keys_schema() -> SchemaRef {
    let text = |name: &str, nullable| Field::new(name, DataType::Utf8, nullable);
    Arc::new(Schema::new(vec![
        text("catalog_name", true),
        text("db_schema_name", true),
        text("table_name", false),
        text("column_name", false),
        text("key_name", true),
        Field::new("key_sequence", DataType::Int32, false),
    ]))
}

/// How somebody wants to come in, and by which secret.
fn authorization(metadata: &MetadataMap) -> (&str, &str) {
    let value = metadata.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split_once(' ').unwrap_or((value, ""))
}

/// The token that somebody shows.
fn bearer(metadata: &MetadataMap) -> Option<&str> {
    let (word, secret) = authorization(metadata);
    word.eq_ignore_ascii_case("bearer").then(|| secret.trim())
}

#[tonic::async_trait]
impl FlightSqlService for Service {
    type FlightService = Service;

    async fn do_handshake(
        &self,
        request: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Pin<Box<dyn Stream<Item = Result<HandshakeResponse, Status>> + Send>>>, Status> {
        let peer = request.remote_addr();
        // Who needs no token gets one all the same: clients send back what they were given.
        let token = match self.flight.access.asks() {
            false => {
                self.asking(&request)?;
                "none".to_owned()
            }
            true => {
                let who = self.identify(request.metadata(), peer)?;
                self.note(Some(&who), peer, "login", Outcome::LoggedIn, None);
                // A token lasts as long as it lasts; only a password is changed for one.
                match bearer(request.metadata()) {
                    Some(token) => token.to_owned(),
                    None => self.flight.access.log_in(&who),
                }
            }
        };
        let answer = HandshakeResponse { protocol_version: 0, payload: token.clone().into() };
        let answers: Pin<Box<dyn Stream<Item = Result<HandshakeResponse, Status>> + Send>> =
            Box::pin(futures::stream::iter([Ok(answer)]));
        let mut response = Response::new(answers);
        let value =
            format!("Bearer {token}").parse().map_err(|_| Status::internal("the token is no header"))?;
        response.metadata_mut().insert("authorization", value);
        Ok(response)
    }

    async fn get_flight_info_statement(
        &self,
        query: CommandStatementQuery,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        let asking = self.asking(&request)?;
        let (columns, _) = self.describe(&asking, &query.query).await?;
        let ticket = TicketStatementQuery { statement_handle: query.query.into() };
        Self::info_of(&columns, request.into_inner(), ticket.as_any().encode_to_vec())
    }

    async fn do_get_statement(
        &self,
        ticket: TicketStatementQuery,
        request: Request<Ticket>,
    ) -> Result<Response<Batches>, Status> {
        let asking = self.asking(&request)?;
        let sql = String::from_utf8(ticket.statement_handle.to_vec());
        let sql = sql.map_err(|_| Status::invalid_argument("the ticket is none of ours"))?;
        self.run(&asking, sql, Vec::new()).await
    }

    async fn do_action_create_prepared_statement(
        &self,
        query: ActionCreatePreparedStatementRequest,
        request: Request<Action>,
    ) -> Result<ActionCreatePreparedStatementResult, Status> {
        let asking = self.asking(&request)?;
        let (columns, parameters) = self.describe(&asking, &query.query).await?;
        let handle = self.prepared.keep(query.query, asking.who.user.clone());
        Ok(ActionCreatePreparedStatementResult {
            prepared_statement_handle: handle.into(),
            dataset_schema: schema_bytes(&columns)?,
            parameter_schema: schema_bytes(&parameters)?,
        })
    }

    async fn do_action_close_prepared_statement(
        &self,
        query: ActionClosePreparedStatementRequest,
        request: Request<Action>,
    ) -> Result<(), Status> {
        let asking = self.asking(&request)?;
        self.prepared.forget(&query.prepared_statement_handle, &asking.who.user);
        Ok(())
    }

    async fn do_put_prepared_statement_query(
        &self,
        query: CommandPreparedStatementQuery,
        request: Request<PeekableFlightDataStream>,
    ) -> Result<DoPutPreparedStatementResult, Status> {
        let asking = self.asking(&request)?;
        let data = request.into_inner().map_err(FlightError::from);
        let batches: Vec<RecordBatch> =
            FlightRecordBatchStream::new_from_flight_data(data).try_collect().await.map_err(Status::from)?;
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        if rows > 1 {
            return Err(Status::invalid_argument(format!("a query takes one row of values, not `{rows}`")));
        }
        let mut values = Vec::new();
        if let Some(batch) = batches.iter().find(|batch| batch.num_rows() == 1) {
            for column in batch.columns() {
                values.push(ScalarValue::try_from_array(column, 0).map_err(broken)?);
            }
        }
        let handle = &query.prepared_statement_handle;
        if !self.prepared.bind(handle, &asking.who.user, values) {
            return Err(Status::not_found("there is no such prepared statement"));
        }
        Ok(DoPutPreparedStatementResult { prepared_statement_handle: Some(handle.clone()) })
    }

    async fn get_flight_info_prepared_statement(
        &self,
        query: CommandPreparedStatementQuery,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        let asking = self.asking(&request)?;
        let prepared = self.prepared.get(&query.prepared_statement_handle, &asking.who.user);
        let prepared = prepared.ok_or_else(|| Status::not_found("there is no such prepared statement"))?;
        let (columns, _) = self.describe(&asking, &prepared.sql).await?;
        Self::info_of(&columns, request.into_inner(), query.as_any().encode_to_vec())
    }

    async fn do_get_prepared_statement(
        &self,
        query: CommandPreparedStatementQuery,
        request: Request<Ticket>,
    ) -> Result<Response<Batches>, Status> {
        let asking = self.asking(&request)?;
        let prepared = self.prepared.get(&query.prepared_statement_handle, &asking.who.user);
        let prepared = prepared.ok_or_else(|| Status::not_found("there is no such prepared statement"))?;
        self.run(&asking, prepared.sql, prepared.values).await
    }

    async fn get_flight_info_catalogs(
        &self,
        query: CommandGetCatalogs,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        self.asking(&request)?;
        let ticket = query.as_any().encode_to_vec();
        Self::info_of(&query.into_builder().schema(), request.into_inner(), ticket)
    }

    async fn do_get_catalogs(
        &self,
        query: CommandGetCatalogs,
        request: Request<Ticket>,
    ) -> Result<Response<Batches>, Status> {
        self.asking(&request)?;
        let mut made = query.into_builder();
        made.append(CATALOG);
        Ok(Self::one(made.build().map_err(broken)?))
    }

    async fn get_flight_info_schemas(
        &self,
        query: CommandGetDbSchemas,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        self.asking(&request)?;
        let ticket = query.as_any().encode_to_vec();
        Self::info_of(&query.into_builder().schema(), request.into_inner(), ticket)
    }

    async fn do_get_schemas(
        &self,
        query: CommandGetDbSchemas,
        request: Request<Ticket>,
    ) -> Result<Response<Batches>, Status> {
        self.asking(&request)?;
        let mut made = query.into_builder();
        made.append(CATALOG, SCHEMA);
        Ok(Self::one(made.build().map_err(broken)?))
    }

    async fn get_flight_info_tables(
        &self,
        query: CommandGetTables,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        self.asking(&request)?;
        let ticket = query.as_any().encode_to_vec();
        Self::info_of(&query.into_builder().schema(), request.into_inner(), ticket)
    }

    async fn do_get_tables(
        &self,
        query: CommandGetTables,
        request: Request<Ticket>,
    ) -> Result<Response<Batches>, Status> {
        let asking = self.asking(&request)?;
        let told = self.flight.engine.told(&asking.who).await.map_err(|fault| status(&fault))?;
        let mut made = query.into_builder();
        for relation in told {
            let kind = if relation.is_view { "VIEW" } else { "TABLE" };
            made.append(CATALOG, SCHEMA, relation.name, kind, &relation.schema).map_err(broken)?;
        }
        Ok(Self::one(made.build().map_err(broken)?))
    }

    async fn get_flight_info_table_types(
        &self,
        query: CommandGetTableTypes,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        self.asking(&request)?;
        let ticket = query.as_any().encode_to_vec();
        Self::info_of(&query.into_builder().schema(), request.into_inner(), ticket)
    }

    async fn do_get_table_types(
        &self,
        query: CommandGetTableTypes,
        request: Request<Ticket>,
    ) -> Result<Response<Batches>, Status> {
        self.asking(&request)?;
        let mut made = query.into_builder();
        made.append("TABLE");
        made.append("VIEW");
        Ok(Self::one(made.build().map_err(broken)?))
    }

    async fn get_flight_info_sql_info(
        &self,
        query: CommandGetSqlInfo,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        self.asking(&request)?;
        let ticket = query.as_any().encode_to_vec();
        Self::info_of(&query.into_builder(&self.info).schema(), request.into_inner(), ticket)
    }

    async fn do_get_sql_info(
        &self,
        query: CommandGetSqlInfo,
        request: Request<Ticket>,
    ) -> Result<Response<Batches>, Status> {
        self.asking(&request)?;
        Ok(Self::one(query.into_builder(&self.info).build().map_err(broken)?))
    }

    async fn get_flight_info_primary_keys(
        &self,
        query: CommandGetPrimaryKeys,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        self.asking(&request)?;
        let ticket = query.as_any().encode_to_vec();
        Self::info_of(&keys_schema(), request.into_inner(), ticket)
    }

    async fn do_get_primary_keys(
        &self,
        query: CommandGetPrimaryKeys,
        request: Request<Ticket>,
    ) -> Result<Response<Batches>, Status> {
        let asking = self.asking(&request)?;
        let told = self.flight.engine.told(&asking.who).await.map_err(|fault| status(&fault))?;
        let found = told.into_iter().find(|relation| relation.name == query.table);
        let key = found.map_or(&[][..], |relation| relation.key);
        let same = |text: &str| -> ArrayRef { Arc::new(StringArray::from(vec![text; key.len()])) };
        let columns: Vec<ArrayRef> = vec![
            same(CATALOG),
            same(SCHEMA),
            same(&query.table),
            Arc::new(StringArray::from(key.to_vec())),
            same(&format!("{}_pkey", query.table)),
            Arc::new((1..).take(key.len()).collect::<Int32Array>()),
        ];
        Ok(Self::one(RecordBatch::try_new(keys_schema(), columns).map_err(broken)?))
    }

    async fn do_put_statement_update(
        &self,
        query: CommandStatementUpdate,
        request: Request<PeekableFlightDataStream>,
    ) -> Result<i64, Status> {
        let asking = self.asking(&request)?;
        let message = "SQL only reads: nothing is updated";
        self.flight.engine.note_unread(&asking, &query.query, true, message);
        Err(Status::permission_denied(message))
    }

    async fn register_sql_info(&self, _: i32, _: &SqlInfo) {}
}
