//! The schemas of a query: base tables and views as the reader may see them, made when they are asked for, and what tells
//! of them.

use std::collections::BTreeMap;
use std::sync::Arc;

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

use super::base;
use super::history::{self, Dates, Made, Split, Unsummed};
use super::rights::{self, PseudonymKey, Whole};
use super::shape::{Relation, Shape};
use super::stretch::Stretched;
use super::superseded::{self, Superseded, SupersededCache};
use super::views::{self, SUMS, View};
use super::{CATALOG, Cut, Error, SCHEMA};
use crate::access::Identity;
use crate::facts::{self, CONTACTS, RESTATEMENTS, Table, Written};

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
    split: OnceCell<Option<Arc<Split>>>,
}

/// A month that is to be summed up.
pub(super) struct Due {
    /// Its name.
    pub(super) name: String,
    /// Its dates, and of which rows the sums of each are to be made.
    pub(super) dates: BTreeMap<i32, u64>,
    /// The rows that are summed up, and the sums that hold.
    pub(super) catalogs: Arc<dyn CatalogProviderList>,
}

impl Tables {
    pub(super) fn new(
        (who, key): (Arc<Identity>, PseudonymKey),
        cut: Cut,
        views: Arc<Vec<View>>,
        template: SessionState,
        cache: SupersededCache,
    ) -> Self {
        Self { who, key, cut, views, template, cache, superseded: OnceCell::new(), split: OnceCell::new() }
    }

    fn view(&self, name: &str) -> Option<&View> {
        self.views.iter().find(|view| view.name == name)
    }

    fn memory(&self, table: &Table) -> Vec<RecordBatch> {
        let of_table = self.cut.memory.iter().filter(|(owner, _)| owner.name == table.name);
        of_table.map(|(_, batch)| batch.clone()).filter(|batch| batch.num_rows() > 0).collect()
    }

    /// The rows of a table: all of them, or those for which no sums stand.
    async fn base(
        &self,
        table: &'static Table,
        split: Option<&Split>,
    ) -> Result<Arc<dyn TableProvider>, DataFusionError> {
        let superseded = match table.written {
            Written::PerContact => Some(self.superseded().await?),
            Written::Once | Written::Newest => None,
        };
        let committed = self.cut.committed.get(table.name);
        let committed = match split {
            Some(split) => split.rest(table, committed)?,
            None => committed.cloned(),
        };
        base::provider(table, committed.as_ref(), self.memory(table), superseded)
    }

    /// How figures are put together of sums and rows, for who sees the rows of everybody; `None` where rows give them all.
    async fn split(&self) -> Result<Option<Arc<Split>>, DataFusionError> {
        let find = || async {
            let Some(history) = self.cut.history.as_ref().filter(|_| !rights::is_restricted(&self.who))
            else {
                return Ok(None);
            };
            let Some(sums) = history.sums(history::definition(), &views::sums_schema()) else {
                return Ok(None);
            };
            let superseded = self.superseded().await?;
            let made = Made::of(history.as_ref(), &superseded).await.map_err(Error::into_datafusion)?;
            Ok::<_, DataFusionError>(made.split(&sums)?.map(Arc::new))
        };
        self.split.get_or_try_init(find).await.cloned()
    }

    /// The dates of committed contacts, in order; none where they are not known.
    async fn dates_of_contacts(&self) -> Result<Arc<Dates>, DataFusionError> {
        match &self.cut.history {
            Some(history) => history.dates(&CONTACTS).await.map_err(Error::into_datafusion),
            None => Ok(Arc::default()),
        }
    }

    /// The newest month before the date `before` whose sums lack dates. The cut must have committed rows only.
    pub(super) async fn due(self: Arc<Self>, before: i32) -> Result<Option<Due>, DataFusionError> {
        let Some(history) = &self.cut.history else { return Ok(None) };
        let schema = views::sums_schema();
        let sums = history.sums(history::definition(), &schema);
        let superseded = self.superseded().await?;
        let made = Made::of(history.as_ref(), &superseded).await.map_err(Error::into_datafusion)?;
        let Some(Unsummed { split, name, dates }) = made.due(sums.as_ref(), &schema, before)? else {
            return Ok(None);
        };
        let schema = Schema { inside: true, split: Some(Arc::new(split)), tables: self };
        Ok(Some(Due { name, dates, catalogs: catalog_with(schema, Vec::new())? }))
    }

    /// The rows that were restated: of committed ones as remembered, of those in memory as they are.
    async fn superseded(&self) -> Result<Arc<Superseded>, DataFusionError> {
        let find = || async {
            let committed = match (self.cut.committed.get(RESTATEMENTS.name), &self.cut.history) {
                (None, _) => Arc::new(Superseded::default()),
                (Some(provider), None) => {
                    Arc::new(superseded::read(Superseded::default(), &self.template, provider).await?)
                }
                (Some(provider), Some(history)) => {
                    let dates = history.dates(&RESTATEMENTS).await.map_err(Error::into_datafusion)?;
                    self.cache.read(&self.template, provider, dates).await?
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
        let schema = Schema { tables: Arc::clone(&self), inside: true, split: None };
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
impl Whole for Schema {
    async fn whole(&self, table: &'static Table) -> Result<Arc<dyn TableProvider>, DataFusionError> {
        self.tables.base(table, self.split.as_deref()).await
    }
}

/// The schema that SQL sees.
#[derive(Debug)]
struct Schema {
    tables: Arc<Tables>,
    /// What a view is made of, rather than what somebody asks for.
    inside: bool,
    /// Sums stand for some of the rows.
    split: Option<Arc<Split>>,
}

/// A list of catalogues that holds the one of these tables, and further schemas beside them.
pub(super) fn catalog_of(
    tables: &Arc<Tables>,
    beside: Vec<(&str, Arc<dyn SchemaProvider>)>,
) -> Result<Arc<dyn CatalogProviderList>, DataFusionError> {
    catalog_with(Schema { tables: Arc::clone(tables), inside: false, split: None }, beside)
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
            return rights::visible(&self.tables.who, &self.tables.key, table, self).await.map(Some);
        }
        if let Some(split) = self.split.as_ref().filter(|_| name == SUMS) {
            return Ok(Some(Arc::clone(&split.sums)));
        }
        let Some(view) = self.tables.view(name) else { return Ok(None) };
        if !self.inside && !rights::may_see(&self.tables.who, name) {
            return Err(rights::about_people(name).into_datafusion());
        }
        let split = match &view.over_sums {
            Some(_) => self.tables.split().await?,
            None => None,
        };
        let sql = match (&view.over_sums, &split) {
            (Some(sql), Some(_)) => sql.clone(),
            _ => view.sql_at(self.tables.cut.now),
        };
        let mut state = self.tables.template.clone();
        let inside = Schema { tables: Arc::clone(&self.tables), inside: true, split };
        state.register_catalog_list(catalog_with(inside, Vec::new())?);
        if let Some(column) = view.asked_by {
            let dates = self.tables.dates_of_contacts().await?;
            let dates = dates.keys().copied().flatten();
            let stretched = Stretched::new((view, column), self.tables.cut.now, state, dates).await?;
            return Ok(Some(Arc::new(stretched)));
        }
        let plan = state.create_logical_plan(&sql).await?;
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
