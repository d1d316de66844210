//! The schemas of a query: base tables and views as the reader may see them, made when they are asked for, and what tells
//! of them.

use std::sync::{Arc, Mutex};

use arrow::array::RecordBatch;
use async_trait::async_trait;
use datafusion::catalog::{
    CatalogProvider, CatalogProviderList, MemoryCatalogProvider, MemoryCatalogProviderList, SchemaProvider,
    TableProvider,
};
use datafusion::datasource::{TableType, ViewTable};
use datafusion::error::DataFusionError;
use datafusion::execution::session_state::SessionState;
use tokio::sync::OnceCell;

use super::base::{self, Superseded};
use super::rights::{self, PseudonymKey, Whole};
use super::shape::{Relation, Shape};
use super::views::View;
use super::{CATALOG, Cut, SCHEMA};
use crate::access::Identity;
use crate::facts::{self, RESTATEMENTS, Table, Written};

/// What the lake's newest version says about restated rows, kept between queries.
pub(super) type SupersededCache = Arc<Mutex<Option<(u64, Arc<Superseded>)>>>;

/// The tables of one cut, as one reader may see them.
#[derive(Debug)]
pub(super) struct Tables {
    who: Arc<Identity>,
    key: PseudonymKey,
    cut: Cut,
    views: Arc<Vec<View>>,
    /// Plans views; has functions and settings, but no tables of its own, so that nothing points in a circle.
    template: SessionState,
    cache: SupersededCache,
    superseded: OnceCell<Arc<Superseded>>,
}

impl Tables {
    pub(super) fn new(
        (who, key): (Arc<Identity>, PseudonymKey),
        cut: Cut,
        views: Arc<Vec<View>>,
        template: SessionState,
        cache: SupersededCache,
    ) -> Self {
        Self { who, key, cut, views, template, cache, superseded: OnceCell::new() }
    }

    fn view(&self, name: &str) -> Option<&View> {
        self.views.iter().find(|view| view.name == name)
    }

    fn memory(&self, table: &Table) -> Vec<RecordBatch> {
        let of_table = self.cut.memory.iter().filter(|(owner, _)| owner.name == table.name);
        of_table.map(|(_, batch)| batch.clone()).filter(|batch| batch.num_rows() > 0).collect()
    }

    async fn base(&self, table: &'static Table) -> Result<Arc<dyn TableProvider>, DataFusionError> {
        let superseded = match table.written {
            Written::PerContact => Some(self.superseded().await?),
            Written::Once | Written::Newest => None,
        };
        base::provider(table, self.cut.committed.get(table.name), self.memory(table), superseded)
    }

    /// The rows that were restated: of committed ones as remembered for this version, of those in memory as they are.
    async fn superseded(&self) -> Result<Arc<Superseded>, DataFusionError> {
        let find = || async {
            let key = self.cut.version_key;
            let known = {
                let cache = self.cache.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                cache.as_ref().filter(|(of, _)| *of == key).map(|(_, superseded)| Arc::clone(superseded))
            };
            let committed = match (known, self.cut.committed.get(RESTATEMENTS.name)) {
                (Some(known), _) => known,
                (None, None) => Arc::new(Superseded::default()),
                (None, Some(provider)) => {
                    let read = Arc::new(Superseded::read(&self.template, Arc::clone(provider)).await?);
                    let mut cache = self.cache.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                    *cache = Some((key, Arc::clone(&read)));
                    read
                }
            };
            let memory = self.memory(&RESTATEMENTS);
            if memory.is_empty() {
                return Ok(committed);
            }
            let mut both = (*committed).clone();
            memory.iter().try_for_each(|batch| both.add(batch))?;
            Ok(Arc::new(both))
        };
        self.superseded.get_or_try_init(find).await.cloned()
    }
}

impl Tables {
    /// Names, columns and meaning of all tables and views.
    pub(super) async fn shape(self: Arc<Self>) -> Result<Shape, DataFusionError> {
        let schema = Schema { tables: Arc::clone(&self), inside: true };
        let mut relations = Vec::new();
        for table in facts::TABLES {
            relations.push(Relation {
                name: table.name,
                is_view: false,
                means: table.means.trim().to_owned(),
                schema: table.schema(),
                comments: table.columns.iter().map(|column| column.means.trim().to_owned()).collect(),
                key: table.key,
                definition: None,
            });
        }
        for view in self.views.iter() {
            let Some(provider) = schema.table(view.name).await? else { continue };
            let made = provider.schema();
            let comment = |name: &String| {
                let column = view.columns.iter().find(|column| column.name == name);
                column.map(|column| column.means.clone()).unwrap_or_default()
            };
            relations.push(Relation {
                name: view.name,
                is_view: true,
                means: view.means.clone(),
                comments: made.fields().iter().map(|field| comment(field.name())).collect(),
                schema: made,
                key: &[],
                definition: Some(view.sql.trim().to_owned()),
            });
        }
        Ok(Shape { relations })
    }
}

#[async_trait]
impl Whole for Tables {
    async fn whole(&self, table: &'static Table) -> Result<Arc<dyn TableProvider>, DataFusionError> {
        self.base(table).await
    }
}

/// The schema that SQL sees.
#[derive(Debug)]
struct Schema {
    tables: Arc<Tables>,
    /// What a view is made of, rather than what somebody asks for.
    inside: bool,
}

/// A list of catalogues that holds the one of these tables, and further schemas beside them.
pub(super) fn catalog_of(
    tables: &Arc<Tables>,
    beside: Vec<(&str, Arc<dyn SchemaProvider>)>,
) -> Result<Arc<dyn CatalogProviderList>, DataFusionError> {
    catalog_with(Schema { tables: Arc::clone(tables), inside: false }, beside)
}

fn catalog_with(
    schema: Schema,
    beside: Vec<(&str, Arc<dyn SchemaProvider>)>,
) -> Result<Arc<dyn CatalogProviderList>, DataFusionError> {
    let catalog = MemoryCatalogProvider::new();
    catalog.register_schema(SCHEMA, Arc::new(schema))?;
    for (name, schema) in beside {
        catalog.register_schema(name, schema)?;
    }
    let list = MemoryCatalogProviderList::new();
    list.register_catalog(CATALOG.to_owned(), Arc::new(catalog));
    Ok(Arc::new(list))
}

#[async_trait]
impl SchemaProvider for Schema {
    fn table_names(&self) -> Vec<String> {
        let tables = facts::TABLES.iter().filter(|table| rights::may_see(&self.tables.who, table.name));
        let tables = tables.map(|table| table.name.to_owned());
        let views = self.tables.views.iter().filter(|view| rights::may_see(&self.tables.who, view.name));
        tables.chain(views.map(|view| view.name.to_owned())).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        if let Some(table) = facts::table(name) {
            return rights::visible(&self.tables.who, &self.tables.key, table, &*self.tables).await.map(Some);
        }
        let Some(view) = self.tables.view(name) else { return Ok(None) };
        if !self.inside && !rights::may_see(&self.tables.who, name) {
            return Err(rights::about_people(name).into_datafusion());
        }
        let mut state = self.tables.template.clone();
        state.register_catalog_list(catalog_with(
            Schema { tables: Arc::clone(&self.tables), inside: true },
            Vec::new(),
        )?);
        let plan = state.create_logical_plan(&view.sql_at(self.tables.cut.now)).await?;
        Ok(Some(Arc::new(ViewTable::new(plan, Some(view.sql.clone())))))
    }

    async fn table_type(&self, name: &str) -> Result<Option<TableType>, DataFusionError> {
        let table = facts::table(name).map(|_| TableType::Base);
        Ok(table.or_else(|| self.tables.view(name).map(|_| TableType::View)))
    }

    fn table_exist(&self, name: &str) -> bool {
        facts::table(name).is_some() || self.tables.view(name).is_some()
    }
}
