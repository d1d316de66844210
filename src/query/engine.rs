//! Runs one statement over one cut, within bounds of memory, time and number.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use arrow::array::RecordBatch;
use chrono::DateTime;
use datafusion::catalog::SchemaProvider;
use datafusion::common::config::Dialect;
use datafusion::common::{ParamValues, TableReference};
use datafusion::error::DataFusionError;
use datafusion::execution::FunctionRegistry;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{GreedyMemoryPool, TrackConsumersPool};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::{collect, execute_stream};
use datafusion::prelude::SessionConfig;
use datafusion::sql::parser::Statement;
use datafusion_postgres::datafusion_pg_catalog::pg_catalog::PgCatalogStaticTables;
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::answer::{Answer, Note, timed_out};
use super::asking::Asking;
use super::information::{self, Information};
use super::pg_catalog::{self, PgCatalog, Words};
use super::rights::{self, PseudonymKey};
use super::schema::{Tables, catalog_of};
use super::shape::{Relation, Shape};
use super::superseded::SupersededCache;
use super::views::{self, View};
use super::{CATALOG, Cut, Error, ErrorKind, Month, Options, SCHEMA, Source, functions, history, statement};
use crate::access::{Audit, Identity};
use crate::facts::{self, RESTATEMENTS, TableSet};

/// Consumers of memory that a refusal names.
const NAMED_CONSUMERS: std::num::NonZeroUsize = std::num::NonZeroUsize::new(3).expect("three is not zero");
/// Queries that may wait for their turn, for each one that runs.
const WAITING_PER_RUNNING: usize = 16;
/// How often it is logged at most that answers lack rows.
const TELL_MISSING_EVERY: std::time::Duration = std::time::Duration::from_secs(60);
/// Views stand on views, at most so deep.
const VIEWS_DEEP: usize = 16;
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
    audit: Option<Arc<Audit>>,
    pseudonyms: PseudonymKey,
    told: Told,
    told_missing: std::sync::Mutex<Option<Instant>>,
}

/// What is told of the tables, made when it is first asked for.
#[derive(Default)]
struct Told {
    /// The tables behind each view.
    behind: OnceLock<HashMap<&'static str, TableSet>>,
    shape: OnceCell<Arc<Shape>>,
    words: Words,
    statics: OnceCell<Arc<PgCatalogStaticTables>>,
    /// For administrators, and for all others.
    pg_catalogs: [OnceCell<Arc<dyn SchemaProvider>>; 2],
}

/// One statement to be run.
#[derive(Debug, Clone)]
pub struct Question {
    /// Its text, for the audit log.
    pub sql: String,
    /// The statement.
    pub statement: Statement,
    /// Values of its parameters.
    pub values: Option<ParamValues>,
}

/// What a statement will give, and what it wants.
#[derive(Debug, Clone)]
pub struct Description {
    /// The plan over no rows: it knows the columns and the parameters.
    pub plan: LogicalPlan,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Engine").field("options", &self.options).finish_non_exhaustive()
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
        functions::register(&mut template, &options)?;
        let told = Told::default();
        // What `pg_catalog` brings along comes first, so that what we have of the same name holds.
        let mut template = pg_catalog::prepare(template, &told.words)?;
        functions::register(&mut template, &options)?;

        let turns = options.max_concurrent.clamp(1, Semaphore::MAX_PERMITS / WAITING_PER_RUNNING);
        Ok(Self {
            views: Arc::new(views::all(&options)),
            template,
            turns: Arc::new(Semaphore::new(turns)),
            waiting: Arc::new(Semaphore::new(turns * WAITING_PER_RUNNING)),
            superseded: SupersededCache::default(),
            audit: None,
            pseudonyms: PseudonymKey::new(&rand::random::<[u8; 32]>()),
            told,
            told_missing: std::sync::Mutex::default(),
            source,
            options,
        })
    }

    /// Writes down what is asked.
    pub fn with_audit(mut self, audit: Arc<Audit>) -> Self {
        self.audit = Some(audit);
        self
    }

    /// Makes pseudonyms by this key, so that they are the same after a restart.
    pub fn with_pseudonym_key(mut self, key: Option<&[u8]>) -> Self {
        if let Some(key) = key {
            self.pseudonyms = PseudonymKey::new(key);
        }
        self
    }

    /// The audit log.
    pub fn audit(&self) -> Option<&Arc<Audit>> {
        self.audit.as_ref()
    }

    /// The options it was made with.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The views.
    pub fn views(&self) -> &[View] {
        &self.views
    }

    /// Runs one statement for the house itself: with all rights, and without a line in the audit log.
    pub async fn query(&self, sql: &str) -> Result<Answer, Error> {
        self.ask(&Asking::inside(), sql).await
    }

    /// The definition by which [`Engine::sum_up`] sums up: sums of another one are of no use.
    pub fn sums_definition(&self) -> u64 {
        history::definition()
    }

    /// Sums up the newest month before the date `before` (days since 1970-01-01) that has dates whose sums do not hold, of
    /// committed rows; `None` where all hold. Whoever keeps the rows asks again.
    pub async fn sum_up(&self, before: i32) -> Result<Option<Month>, Error> {
        let _turn = self.turn().await?;
        let mut cut = self.source.cut(TableSet::NONE).await?;
        cut.memory.clear();
        let reader = (Arc::new(Identity::local()), self.pseudonyms.clone());
        let views = Arc::clone(&self.views);
        let tables = Tables::new(reader, cut, views, self.template.clone(), self.superseded.clone());
        let Some(due) = Arc::new(tables).due(before).await? else { return Ok(None) };
        let mut state = self.template.clone();
        state.register_catalog_list(due.catalogs);
        let plan = state.create_logical_plan(&views::summing()).await?;
        let plan = state.create_physical_plan(&plan).await?;
        let schema = views::sums_schema();
        let rows = collect(plan, state.task_ctx()).await?;
        let mut rows: Vec<_> = rows
            .into_iter()
            .map(|rows| rows.with_schema(Arc::clone(&schema)))
            .collect::<Result<_, _>>()
            .map_err(DataFusionError::from)?;
        // Of dates whose rows were all restated away nothing is left; that too is a sum.
        if rows.is_empty() {
            rows.push(RecordBatch::new_empty(schema));
        }
        Ok(Some(Month { name: due.name, dates: due.dates, rows }))
    }

    /// Runs one statement for somebody. The rows come as a stream; the bound of time covers the stream too.
    pub async fn ask(&self, asking: &Asking, sql: &str) -> Result<Answer, Error> {
        let began = Instant::now();
        match self.parse(sql) {
            Ok(statement) => {
                self.run(asking, Question { sql: sql.to_owned(), statement, values: None }).await
            }
            Err(error) => {
                Note::new(self.audit.as_ref(), asking, sql, began).failed(&error);
                Err(error)
            }
        }
    }

    /// Reads one statement.
    pub fn parse(&self, sql: &str) -> Result<Statement, Error> {
        if sql.len() > STATEMENT_BYTES_MAX {
            return Err(Error::new(
                ErrorKind::Sql,
                format!("the statement has `{}` bytes; at most {STATEMENT_BYTES_MAX} are read", sql.len()),
            ));
        }
        Ok(self.template.sql_to_statement(sql, &Dialect::Generic)?)
    }

    /// Runs one statement that was read before.
    pub async fn run(&self, asking: &Asking, question: Question) -> Result<Answer, Error> {
        let began = Instant::now();
        let timeout = asking.timeout.map_or(self.options.timeout, |wish| wish.min(self.options.timeout));
        let deadline = began + timeout;
        let note = Note::new(self.audit.as_ref(), asking, &question.sql, began);
        let started = tokio::time::timeout_at(deadline, self.start(asking, question)).await;
        let started = started.unwrap_or_else(|_| Err(timed_out(timeout)));
        match started {
            Ok((rows, turn, missing)) => Ok(Answer::new(rows, turn, deadline, timeout, note, missing)),
            Err(error) => {
                note.failed(&error);
                Err(error)
            }
        }
    }

    /// Writes down a statement that a door could not read or did not let through.
    pub fn note_unread(&self, asking: &Asking, sql: &str, refused: bool, why: &str) {
        let kind = if refused { ErrorKind::Refused } else { ErrorKind::Sql };
        Note::new(self.audit.as_ref(), asking, sql, Instant::now()).failed(&Error::new(kind, why));
    }

    /// Plans a statement over no rows, to learn its columns and parameters. Reads nothing.
    pub async fn describe(
        &self,
        asking: &Asking,
        statement: &Statement,
        sql: &str,
    ) -> Result<Description, Error> {
        let began = Instant::now();
        let described = self.describe_unnoted(asking, statement).await;
        // What is not allowed leaves a line, also where it was only to be planned.
        if let Err(error) = &described
            && matches!(error.kind, ErrorKind::Refused | ErrorKind::Denied)
        {
            Note::new(self.audit.as_ref(), asking, sql, began).failed(error);
        }
        described
    }

    /// What this reader is told of tables and views.
    pub async fn told(&self, who: &Identity) -> Result<Vec<Relation>, Error> {
        let shape = self.shape().await?;
        let relations = shape.relations.iter().filter(|relation| rights::may_see(who, relation.name));
        Ok(relations.cloned().collect())
    }

    async fn describe_unnoted(&self, asking: &Asking, statement: &Statement) -> Result<Description, Error> {
        statement::check(statement, &asking.who)?;
        let state = self.state_over(asking, Cut::empty(0), statement).await?;
        let plan = state.statement_to_plan(statement.clone()).await?;
        statement::check_plan(&plan)?;
        Ok(Description { plan })
    }

    async fn start(
        &self,
        asking: &Asking,
        question: Question,
    ) -> Result<(SendableRecordBatchStream, OwnedSemaphorePermit, Vec<String>), Error> {
        statement::check(&question.statement, &asking.who)?;
        let turn = self.turn().await?;
        let mut cut = self.source.cut(self.wanted(&asking.who, &question.statement)?).await?;
        let missing = std::mem::take(&mut cut.missing);
        self.tell_missing(&missing);
        let state = self.state_over(asking, cut, &question.statement).await?;
        let plan = state.statement_to_plan(question.statement).await?;
        statement::check_plan(&plan)?;
        let plan = match &question.values {
            Some(values) => plan.replace_params_with_values(values)?,
            None => plan,
        };
        let plan = state.create_physical_plan(&plan).await?;
        Ok((execute_stream(plan, state.task_ctx())?, turn, missing))
    }

    /// The tables that a statement may read: those that it names, and those behind the views that it names.
    fn wanted(&self, who: &Identity, statement: &Statement) -> Result<TableSet, Error> {
        // Whose rows somebody may see may hang on other tables.
        if !who.is_admin() {
            return Ok(TableSet::ALL);
        }
        let behind = self.told.behind.get_or_init(|| self.behind_views());
        let named = self.template.resolve_table_references(statement)?;
        // What was restated is looked up whatever is asked for.
        let mut wanted = TableSet::NONE.with(&RESTATEMENTS);
        for name in named.iter().map(TableReference::table) {
            wanted = match (facts::table(name), behind.get(name)) {
                (Some(table), _) => wanted.with(table),
                (None, Some(tables)) => wanted.and(*tables),
                (None, None) => wanted,
            };
        }
        Ok(wanted)
    }

    /// The tables behind each view; all of them behind one that cannot be read.
    pub(super) fn behind_views(&self) -> HashMap<&'static str, TableSet> {
        let named: HashMap<&'static str, Option<Vec<String>>> = self
            .views
            .iter()
            .map(|view| {
                let statement = self.template.sql_to_statement(&view.sql_at(0), &Dialect::Generic);
                let named =
                    statement.and_then(|statement| self.template.resolve_table_references(&statement));
                let names = named.map(|named| named.iter().map(|name| name.table().to_owned()).collect());
                (view.name, names.ok())
            })
            .collect();
        fn behind(name: &str, named: &HashMap<&'static str, Option<Vec<String>>>, depth: usize) -> TableSet {
            match (facts::table(name), named.get(name)) {
                (Some(table), _) => TableSet::NONE.with(table),
                (None, Some(Some(names))) if depth < VIEWS_DEEP => names
                    .iter()
                    .fold(TableSet::NONE, |tables, name| tables.and(behind(name, named, depth + 1))),
                (None, Some(_)) => TableSet::ALL,
                // The name of a part of the statement.
                (None, None) => TableSet::NONE,
            }
        }
        named.keys().map(|name| (*name, behind(name, &named, 0))).collect()
    }

    /// Says in the log, once a minute at most, that answers lack rows.
    fn tell_missing(&self, missing: &[String]) {
        if missing.is_empty() {
            return;
        }
        let mut told = self.told_missing.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if told.is_none_or(|at| at.elapsed() >= TELL_MISSING_EVERY) {
            *told = Some(Instant::now());
            tracing::warn!(
                missing = missing.join("; "),
                "answers of SQL lack rows that others have in memory"
            );
        }
    }

    /// A session of one statement: the tables of `cut` as this reader may see them, and what tells of them.
    async fn state_over(
        &self,
        asking: &Asking,
        cut: Cut,
        statement: &Statement,
    ) -> Result<SessionState, Error> {
        let mut state = self.template.clone();
        // `now()` is the centre's present, which in a demo runs faster than the machine's.
        state.execution_props_mut().query_execution_start_time = DateTime::from_timestamp_millis(cut.now);
        for function in functions::postgres::of_session(&asking.who, &asking.settings) {
            state.register_udf(Arc::new(function))?;
        }
        let mut beside: Vec<(&str, Arc<dyn SchemaProvider>)> = Vec::new();
        let named = state.resolve_table_references(statement)?;
        let names = |schema: &str| named.iter().any(|reference| reference.schema() == Some(schema));
        if names(information::NAME) {
            let shape = self.shape().await?;
            let schema = Information::new(Arc::clone(&asking.who), shape, &self.template);
            beside.push((information::NAME, Arc::new(schema)));
        }
        if names(information::PG_CATALOG) {
            beside.push((information::PG_CATALOG, self.pg_catalog(&asking.who).await?));
        }
        let reader = (Arc::clone(&asking.who), self.pseudonyms.clone());
        let tables =
            Tables::new(reader, cut, Arc::clone(&self.views), self.template.clone(), self.superseded.clone());
        state.register_catalog_list(catalog_of(&Arc::new(tables), beside)?);
        Ok(state)
    }

    /// Names, columns and meaning of every table and view.
    async fn shape(&self) -> Result<Arc<Shape>, Error> {
        let made = self.told.shape.get_or_try_init(|| async {
            let reader = (Arc::new(Identity::local()), self.pseudonyms.clone());
            let views = Arc::clone(&self.views);
            let tables =
                Tables::new(reader, Cut::empty(0), views, self.template.clone(), SupersededCache::default());
            Ok::<_, Error>(Arc::new(Arc::new(tables).shape().await?))
        });
        made.await.cloned()
    }

    async fn pg_catalog(&self, who: &Identity) -> Result<Arc<dyn SchemaProvider>, Error> {
        let shape = self.shape().await?;
        let statics = self
            .told
            .statics
            .get_or_try_init(|| async { Ok::<_, Error>(Arc::new(PgCatalogStaticTables::try_new()?)) });
        let statics = Arc::clone(statics.await?);
        let kind = usize::from(!who.is_admin());
        let made = self.told.pg_catalogs[kind].get_or_try_init(|| async {
            // Those that not everybody sees come last, so that the others have the same number for everybody.
            let (open, closed): (Vec<_>, Vec<_>) =
                shape.relations.iter().cloned().partition(|relation| rights::is_open(relation.name));
            let closed = closed.into_iter().filter(|relation| rights::may_see(who, relation.name));
            let relations = open.into_iter().chain(closed).collect();
            let catalog = PgCatalog::new(relations, statics, &self.template, &self.told.words).await?;
            Ok::<_, Error>(Arc::new(catalog) as Arc<dyn SchemaProvider>)
        });
        made.await.cloned()
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
