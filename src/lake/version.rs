//! One immutable view of all tables, and how DataFusion reads a table of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::NaiveDate;
use deltalake::DeltaTable;
use deltalake::datafusion::arrow::datatypes::SchemaRef;
use deltalake::datafusion::catalog::{Session, TableProvider};
use deltalake::datafusion::error::{DataFusionError, Result as PlanResult};
use deltalake::datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use deltalake::datafusion::physical_plan::ExecutionPlan;
use deltalake::delta_datafusion::{DeltaScanConfig, DeltaScanNext};
use tokio::sync::OnceCell;
use xxhash_rust::xxh3::xxh3_64;

use super::Error;
use super::loaded::Loaded;
use super::maintain::date_of;

/// By date, a number that tells the files of a table from any others.
type Dates = BTreeMap<Option<i32>, u64>;

/// Which rows the tables have: a version of each. Whoever holds one sees the same rows for as long as it
/// lives, whatever is written meanwhile (files that compaction replaced stay for `vacuum_hours`).
#[derive(Default, Clone)]
pub struct Version {
    tables: BTreeMap<&'static str, Arc<Facts>>,
}

impl std::fmt::Debug for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.tables.iter().map(|(name, table)| (name, table.number))).finish()
    }
}

impl Version {
    /// The view after `self`, where these tables stand at these numbers.
    pub(super) fn next(&self, tables: impl Iterator<Item = (Arc<Loaded>, u64)>) -> Version {
        let tables = tables.map(|(loaded, number)| {
            let name = loaded.table.name;
            let same = self.tables.get(name).filter(|facts| facts.number == number);
            (name, same.cloned().unwrap_or_else(|| Arc::new(Facts::new(loaded, number))))
        });
        Version { tables: tables.collect() }
    }

    /// The rows of a table for DataFusion, with exactly the columns of its declaration; `None` while the
    /// table does not exist, which is until its first row. Projections, filters and limits go down to the
    /// files: whole files are skipped by `date` and by the statistics in the log, row groups and pages by
    /// those in the files.
    pub fn provider(&self, table: &str) -> Option<Arc<dyn TableProvider>> {
        self.tables.get(table).map(|facts| Arc::clone(facts) as Arc<dyn TableProvider>)
    }

    /// The Delta version of a table; `None` while it does not exist.
    pub fn number(&self, table: &str) -> Option<u64> {
        self.tables.get(table).map(|facts| facts.number)
    }

    /// The Delta version of each table that exists.
    pub fn numbers(&self) -> BTreeMap<String, u64> {
        self.tables.iter().map(|(name, facts)| ((*name).to_owned(), facts.number)).collect()
    }

    /// The dates (days since 1970-01-01; `None`: rows without one) of a table, each with a number that tells its files from
    /// any others. Empty for a table that does not exist.
    pub async fn dates(&self, table: &str) -> Result<Arc<Dates>, Error> {
        let Some(facts) = self.tables.get(table) else { return Ok(Arc::default()) };
        let read = || async {
            let state = facts.loaded.at(Some(facts.number)).await?;
            let mut dates = Dates::new();
            for file in state.log_data().iter() {
                let date =
                    date_of(&file.partition_values_map()).and_then(|date| date.parse::<NaiveDate>().ok());
                let days = date.map(|date| date.signed_duration_since(NaiveDate::default()).num_days());
                let days = days.and_then(|days| i32::try_from(days).ok());
                let files = dates.entry(days).or_default();
                *files = files.wrapping_add(xxh3_64(file.object_store_path().as_ref().as_bytes()));
            }
            Ok::<_, Error>(Arc::new(dates))
        };
        facts.dates.get_or_try_init(read).await.cloned()
    }

    /// Rows and files of a table by the statistics in its log, 0 for a table that does not exist; the
    /// number of rows is `None` when a file has no statistics (another program wrote it).
    pub async fn size(&self, table: &str) -> Result<(Option<u64>, usize), Error> {
        let Some(facts) = self.tables.get(table) else { return Ok((Some(0), 0)) };
        let state = facts.loaded.at(Some(facts.number)).await?;
        let files = state.log_data();
        Ok((files.iter().map(|file| file.num_records().map(|rows| rows as u64)).sum(), files.num_files()))
    }
}

/// One table at one version for DataFusion: the library's scan, read-only, made when it is first asked for.
struct Facts {
    loaded: Arc<Loaded>,
    number: u64,
    schema: SchemaRef,
    scan: OnceCell<DeltaScanNext>,
    dates: OnceCell<Arc<Dates>>,
}

impl std::fmt::Debug for Facts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Facts")
            .field("table", &self.loaded.table.name)
            .field("version", &self.number)
            .finish()
    }
}

impl Facts {
    fn new(loaded: Arc<Loaded>, number: u64) -> Facts {
        Facts { schema: loaded.table.schema(), loaded, number, scan: OnceCell::new(), dates: OnceCell::new() }
    }

    async fn ready(&self) -> PlanResult<&DeltaScanNext> {
        self.scan
            .get_or_try_init(|| async {
                let state = self
                    .loaded
                    .at(Some(self.number))
                    .await
                    .map_err(|e| DataFusionError::External(Box::new(e)))?;
                let config = DeltaScanConfig::new()
                    .with_wrap_partition_values(false)
                    .with_parquet_pushdown(true)
                    .with_schema(Arc::clone(&self.schema));
                DeltaScanNext::new(state.snapshot().clone(), config)
            })
            .await
    }
}

#[async_trait::async_trait]
impl TableProvider for Facts {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> PlanResult<Vec<TableProviderFilterPushDown>> {
        // Whatever a filter skips, DataFusion looks at the rows again: which filters the library would answer
        // wholly can only be asked when the table's log is read, and this is not the place to wait for it.
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> PlanResult<Arc<dyn ExecutionPlan>> {
        // The library's scan looks for the table's store in the session.
        DeltaTable::new(Arc::clone(&self.loaded.log_store))
            .update_datafusion_session(session)
            .map_err(|e| DataFusionError::External(Box::new(e)))?;
        self.ready().await?.scan(session, projection, filters, limit).await
    }
}
