//! Runs one statement over one cut, within bounds of memory, time and number.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use chrono::DateTime;
use datafusion::common::config::Dialect;
use datafusion::error::DataFusionError;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{GreedyMemoryPool, TrackConsumersPool};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream};
use datafusion::physical_plan::execute_stream;
use datafusion::prelude::SessionConfig;
use futures::{Stream, StreamExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep};

use super::schema::{SupersededCache, Tables, catalog_of};
use super::views::{self, View};
use super::{CATALOG, Error, ErrorKind, Options, SCHEMA, Source, functions, statement};

/// Consumers of memory that a refusal names.
const NAMED_CONSUMERS: std::num::NonZeroUsize = std::num::NonZeroUsize::new(3).expect("three is not zero");
/// Queries that may wait for their turn, for each one that runs.
const WAITING_PER_RUNNING: usize = 16;
/// The longest statement, in bytes.
const STATEMENT_BYTES_MAX: usize = 1 << 20;

/// Answers SQL.
pub struct Engine {
    options: Options,
    source: Arc<dyn Source>,
    /// What every query starts from: settings, functions, bounds; no tables.
    template: SessionState,
    views: Arc<Vec<View>>,
    turns: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    /// The committed rows that were restated, as the newest version of the lake names them.
    superseded: SupersededCache,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Engine").field("options", &self.options).finish_non_exhaustive()
    }
}

/// The rows of a statement, as they come. Dropping it cancels the query.
pub struct Answer {
    /// The columns.
    pub schema: SchemaRef,
    /// The rows.
    pub rows: SendableRecordBatchStream,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Answer").field("schema", &self.schema).finish_non_exhaustive()
    }
}

impl Answer {
    /// An answer that is known already.
    pub fn of_batch(batch: RecordBatch) -> Self {
        let schema = batch.schema();
        let rows = futures::stream::iter([Ok(batch)]);
        let rows =
            datafusion::physical_plan::stream::RecordBatchStreamAdapter::new(Arc::clone(&schema), rows);
        Self { schema, rows: Box::pin(rows) }
    }

    /// All rows at once.
    pub async fn collect(mut self) -> Result<Vec<RecordBatch>, Error> {
        let mut batches = Vec::new();
        while let Some(batch) = self.rows.next().await {
            batches.push(batch?);
        }
        Ok(batches)
    }

    /// Waits for the first batch, so that a fault in it is known before anything is sent.
    pub async fn started(mut self) -> Result<Self, Error> {
        let first = self.rows.next().await.transpose()?;
        let head = futures::stream::iter(first.map(Ok));
        let schema = Arc::clone(&self.schema);
        let rows = datafusion::physical_plan::stream::RecordBatchStreamAdapter::new(
            Arc::clone(&schema),
            head.chain(self.rows),
        );
        Ok(Self { schema, rows: Box::pin(rows) })
    }
}

impl Engine {
    /// An engine over `source`. Fails only where the options make no sense.
    pub fn new(options: Options, source: Arc<dyn Source>) -> Result<Self, Error> {
        let pool =
            TrackConsumersPool::new(GreedyMemoryPool::new(options.memory_limit_bytes), NAMED_CONSUMERS);
        // No query writes a file: what does not fit into memory is refused instead of spilled to disk.
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(pool))
            .with_disk_manager_builder(DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled))
            .build_arc()?;

        let mut config = SessionConfig::new()
            .with_default_catalog_and_schema(CATALOG, SCHEMA)
            .with_create_default_catalog_and_schema(false)
            .with_information_schema(true)
            .with_target_partitions(options.partitions.max(1));
        let settings = config.options_mut();
        settings.execution.time_zone = Some("+00:00".to_owned());
        settings.sql_parser.collect_spans = true;
        settings.sql_parser.map_string_types_to_utf8view = false;

        let mut template = SessionStateBuilder::new_with_default_features()
            .with_config(config)
            .with_runtime_env(runtime)
            .with_table_factories(Default::default())
            .build();
        functions::register(&mut template, options.grid, options.reader.clone())?;

        let turns = options.max_concurrent.clamp(1, Semaphore::MAX_PERMITS / WAITING_PER_RUNNING);
        Ok(Self {
            views: Arc::new(views::all(&options)),
            template,
            turns: Arc::new(Semaphore::new(turns)),
            waiting: Arc::new(Semaphore::new(turns * WAITING_PER_RUNNING)),
            superseded: Arc::default(),
            source,
            options,
        })
    }

    /// The options it was made with.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The views.
    pub fn views(&self) -> &[View] {
        &self.views
    }

    /// Runs one statement. The rows come as a stream; the bound of time covers the stream too.
    pub async fn query(&self, sql: &str) -> Result<Answer, Error> {
        let deadline = Instant::now() + self.options.timeout;
        match tokio::time::timeout_at(deadline, self.start(sql, deadline)).await {
            Ok(answer) => answer,
            Err(_) => Err(timed_out(self.options.timeout)),
        }
    }

    async fn start(&self, sql: &str, deadline: Instant) -> Result<Answer, Error> {
        if sql.len() > STATEMENT_BYTES_MAX {
            return Err(Error::new(
                ErrorKind::Sql,
                format!("the statement has `{}` bytes; at most {STATEMENT_BYTES_MAX} are read", sql.len()),
            ));
        }
        let turn = self.turn().await?;
        let parsed = self.template.sql_to_statement(sql, &Dialect::Generic)?;
        statement::check(&parsed)?;

        let cut = self.source.cut().await?;
        let mut state = self.template.clone();
        // `now()` is the centre's present, which in a demo runs faster than the machine's.
        state.execution_props_mut().query_execution_start_time = DateTime::from_timestamp_millis(cut.now);
        let tables =
            Tables::new(cut, Arc::clone(&self.views), self.template.clone(), Arc::clone(&self.superseded));
        state.register_catalog_list(catalog_of(&Arc::new(tables))?);

        let plan = state.statement_to_plan(parsed).await?;
        statement::check_plan(&plan)?;
        let plan = state.create_physical_plan(&plan).await?;
        let schema = plan.schema();
        let rows = Bounded {
            rows: execute_stream(plan, state.task_ctx())?,
            deadline: Box::pin(tokio::time::sleep_until(deadline)),
            timeout: self.options.timeout,
            over: false,
            _turn: turn,
        };
        Ok(Answer { schema, rows: Box::pin(rows) })
    }

    /// Waits for a turn; refuses where too many wait already.
    async fn turn(&self) -> Result<OwnedSemaphorePermit, Error> {
        let Ok(_place) = Arc::clone(&self.waiting).try_acquire_owned() else {
            return Err(
                Error::new(ErrorKind::Busy, "too many queries wait for their turn").hint("try again later")
            );
        };
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        Ok(turn.expect("the semaphore is never closed"))
    }
}

fn timed_out(timeout: Duration) -> Error {
    Error::new(ErrorKind::TimedOut, format!("the query took longer than `{} s`", timeout.as_secs_f64()))
        .hint("narrow the time range, or raise the limit of time")
}

/// A stream that ends with an error at its deadline, and gives its turn back when it is dropped.
struct Bounded {
    rows: SendableRecordBatchStream,
    deadline: Pin<Box<Sleep>>,
    timeout: Duration,
    over: bool,
    _turn: OwnedSemaphorePermit,
}

impl Stream for Bounded {
    type Item = Result<RecordBatch, DataFusionError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.over {
            return Poll::Ready(None);
        }
        if self.deadline.as_mut().poll(context).is_ready() {
            self.over = true;
            return Poll::Ready(Some(Err(timed_out(self.timeout).into_datafusion())));
        }
        self.rows.poll_next_unpin(context)
    }
}

impl RecordBatchStream for Bounded {
    fn schema(&self) -> SchemaRef {
        self.rows.schema()
    }
}
