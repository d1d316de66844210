//! One immutable view of all tables, and how DataFusion reads a table of it.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use deltalake::DeltaTable;
use deltalake::datafusion::arrow::datatypes::SchemaRef;
use deltalake::datafusion::catalog::{Session, TableProvider};
use deltalake::datafusion::error::{DataFusionError, Result as PlanResult};
use deltalake::datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use deltalake::datafusion::physical_plan::ExecutionPlan;
use deltalake::delta_datafusion::{DeltaScanConfig, DeltaScanNext};
use deltalake::logstore::LogStoreRef;
use deltalake::table::state::DeltaTableState;

use super::log::TableLog;
use crate::facts::Table;

/// Which rows the tables have: a version of each. Whoever holds one sees the same rows for as long as it
/// lives, whatever is written meanwhile (files that compaction replaced stay for `vacuum_hours`).
#[derive(Default)]
pub struct Version {
    tables: BTreeMap<&'static str, TableAt>,
}

/// One table at one version.
struct TableAt {
    table: &'static Table,
    log_store: LogStoreRef,
    state: DeltaTableState,
    provider: OnceLock<Option<Arc<dyn TableProvider>>>,
}

impl std::fmt::Debug for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.tables.iter().map(|(name, table)| (name, table.state.version()))).finish()
    }
}

impl Version {
    /// A view of what these logs have read.
    pub(super) fn of(logs: &[TableLog]) -> Version {
        Version::at(logs.iter().filter_map(|log| Some((log.table, log.log_store.clone(), log.state.clone()?))))
    }

    /// A view of these states.
    pub(super) fn at(states: impl Iterator<Item = (&'static Table, LogStoreRef, DeltaTableState)>) -> Version {
        let tables = states
            .map(|(table, log_store, state)| {
                (table.name, TableAt { table, log_store, state, provider: OnceLock::new() })
            })
            .collect();
        Version { tables }
    }

    /// The rows of a table for DataFusion, with exactly the columns of its declaration; `None` while the
    /// table has no file. Projections, filters and limits go down to the files: whole files are skipped by
    /// `date` and by the statistics in the log, row groups and pages by those in the files.
    pub fn provider(&self, table: &str) -> Option<Arc<dyn TableProvider>> {
        let at = self.tables.get(table)?;
        at.provider.get_or_init(|| at.build()).clone()
    }

    /// The Delta version of a table; `None` while it does not exist.
    pub fn number(&self, table: &str) -> Option<u64> {
        self.tables.get(table).map(|at| at.state.version())
    }

    /// The Delta version of each table that exists.
    pub fn numbers(&self) -> BTreeMap<String, u64> {
        self.tables.iter().map(|(name, at)| ((*name).to_owned(), at.state.version())).collect()
    }

    /// Rows of a table, from the statistics of its files; `None` when a file has none (another program wrote
    /// it). 0 for a table that does not exist.
    pub fn rows(&self, table: &str) -> Option<u64> {
        let Some(at) = self.tables.get(table) else { return Some(0) };
        at.state.log_data().iter().map(|file| file.num_records().map(|rows| rows as u64)).sum()
    }

    /// Files of a table.
    pub fn files(&self, table: &str) -> usize {
        self.tables.get(table).map_or(0, |at| at.state.log_data().num_files())
    }
}

impl TableAt {
    fn build(&self) -> Option<Arc<dyn TableProvider>> {
        if self.state.log_data().num_files() == 0 {
            return None;
        }
        let schema = self.table.schema();
        let config = DeltaScanConfig::new()
            .with_wrap_partition_values(false)
            .with_parquet_pushdown(true)
            .with_schema(schema.clone());
        let scan = match DeltaScanNext::new(self.state.snapshot().clone(), config) {
            Ok(scan) => scan,
            Err(error) => {
                // The columns were compared when the state was read, so only a feature that another program
                // switched on since can bring us here.
                tracing::error!(table = self.table.name, %error, "table cannot be read");
                return None;
            }
        };
        let mut table = DeltaTable::new(self.log_store.clone());
        table.state = Some(self.state.clone());
        Some(Arc::new(Facts { schema, scan, table }))
    }
}

/// A table of the lake for DataFusion: the library's scan, read-only, which finds its own store.
struct Facts {
    schema: SchemaRef,
    scan: DeltaScanNext,
    table: DeltaTable,
}

impl std::fmt::Debug for Facts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Facts").field("table", &self.table.table_url().as_str()).finish_non_exhaustive()
    }
}

#[async_trait::async_trait]
impl TableProvider for Facts {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> PlanResult<Vec<TableProviderFilterPushDown>> {
        self.scan.supports_filters_pushdown(filters)
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> PlanResult<Arc<dyn ExecutionPlan>> {
        self.table.update_datafusion_session(session).map_err(|e| DataFusionError::External(Box::new(e)))?;
        self.scan.scan(session, projection, filters, limit).await
    }
}
