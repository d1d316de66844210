//! `information_schema`, with the columns and words that clients of PostgreSQL ask for.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use async_trait::async_trait;
use datafusion::catalog::information_schema::InformationSchemaProvider;
use datafusion::catalog::{MemoryCatalogProviderList, SchemaProvider, TableProvider};
use datafusion::datasource::{MemTable, TableType};
use datafusion::error::DataFusionError;
use datafusion::execution::session_state::SessionState;

use super::rights::may_see;
use super::shape::{Relation, Shape, postgres_type};
use super::{CATALOG, SCHEMA};
use crate::access::Identity;

/// The name of the schema.
pub(super) const NAME: &str = "information_schema";
/// The name of PostgreSQL's own catalogue.
pub(super) const PG_CATALOG: &str = "pg_catalog";

const TABLES: &[&str] = &[
    "tables",
    "views",
    "columns",
    "schemata",
    "table_constraints",
    "key_column_usage",
    "constraint_column_usage",
    "referential_constraints",
    "routines",
    "parameters",
    "df_settings",
];

/// What this user is told of tables and views.
#[derive(Debug)]
pub(super) struct Information {
    who: Arc<Identity>,
    shape: Arc<Shape>,
    /// Tells of functions and settings.
    inner: InformationSchemaProvider,
}

impl Information {
    pub(super) fn new(who: Arc<Identity>, shape: Arc<Shape>, state: &SessionState) -> Self {
        let inner = InformationSchemaProvider::new(Arc::new(MemoryCatalogProviderList::new()))
            .with_table_functions(state.table_functions().clone());
        Self { who, shape, inner }
    }

    fn relations(&self) -> impl Iterator<Item = &Relation> {
        self.shape.relations.iter().filter(|relation| may_see(&self.who, relation.name))
    }

    /// Name and key of each table that has one.
    fn keys(&self) -> impl Iterator<Item = &Relation> {
        self.relations().filter(|relation| !relation.key.is_empty())
    }
}

/// Columns of a table that is made on the spot.
struct Made {
    fields: Vec<Field>,
    columns: Vec<ArrayRef>,
}

impl Made {
    fn new() -> Self {
        Self { fields: Vec::new(), columns: Vec::new() }
    }

    fn text<T: AsRef<str>>(mut self, name: &str, values: impl IntoIterator<Item = Option<T>>) -> Self {
        self.fields.push(Field::new(name, DataType::Utf8, true));
        self.columns.push(Arc::new(values.into_iter().collect::<StringArray>()));
        self
    }

    fn number(mut self, name: &str, values: impl IntoIterator<Item = Option<i32>>) -> Self {
        self.fields.push(Field::new(name, DataType::Int32, true));
        self.columns.push(Arc::new(values.into_iter().collect::<Int32Array>()));
        self
    }

    /// The same text in each of so many rows.
    fn same(self, name: &str, value: Option<&str>, rows: usize) -> Self {
        self.text(name, std::iter::repeat_n(value, rows))
    }

    fn table(self) -> Result<Arc<dyn TableProvider>, DataFusionError> {
        let schema = Arc::new(Schema::new(self.fields));
        let batch = RecordBatch::try_new(Arc::clone(&schema), self.columns)?;
        Ok(Arc::new(MemTable::try_new(schema, vec![vec![batch]])?))
    }
}

#[async_trait]
impl SchemaProvider for Information {
    fn table_names(&self) -> Vec<String> {
        TABLES.iter().filter(|name| self.table_exist(name)).map(|name| (*name).to_owned()).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        if !self.table_exist(name) {
            return Ok(None);
        }
        match name {
            "tables" => self.tables().map(Some),
            "views" => self.views().map(Some),
            "columns" => self.columns().map(Some),
            "schemata" => schemata().map(Some),
            "table_constraints" => self.table_constraints().map(Some),
            "key_column_usage" => self.key_columns(true).map(Some),
            "constraint_column_usage" => self.key_columns(false).map(Some),
            "referential_constraints" => referential_constraints().map(Some),
            _ => self.inner.table(name).await,
        }
    }

    async fn table_type(&self, name: &str) -> Result<Option<TableType>, DataFusionError> {
        Ok(self.table_exist(name).then_some(TableType::View))
    }

    fn table_exist(&self, name: &str) -> bool {
        // Settings tell of the machine; they are for those who run it.
        TABLES.contains(&name) && (name != "df_settings" || self.who.is_admin())
    }
}

impl Information {
    fn tables(&self) -> Result<Arc<dyn TableProvider>, DataFusionError> {
        let rows = self.relations().count();
        let kind = |relation: &Relation| if relation.is_view { "VIEW" } else { "BASE TABLE" };
        Made::new()
            .same("table_catalog", Some(CATALOG), rows)
            .same("table_schema", Some(SCHEMA), rows)
            .text("table_name", self.relations().map(|relation| Some(relation.name)))
            .text("table_type", self.relations().map(|relation| Some(kind(relation))))
            .same("is_insertable_into", Some("NO"), rows)
            .same("is_typed", Some("NO"), rows)
            .table()
    }

    fn views(&self) -> Result<Arc<dyn TableProvider>, DataFusionError> {
        let views: Vec<&Relation> = self.relations().filter(|relation| relation.is_view).collect();
        Made::new()
            .same("table_catalog", Some(CATALOG), views.len())
            .same("table_schema", Some(SCHEMA), views.len())
            .text("table_name", views.iter().map(|view| Some(view.name)))
            .text("definition", views.iter().map(|view| view.definition.as_deref()))
            .text("view_definition", views.iter().map(|view| view.definition.as_deref()))
            .same("check_option", Some("NONE"), views.len())
            .same("is_updatable", Some("NO"), views.len())
            .table()
    }

    fn columns(&self) -> Result<Arc<dyn TableProvider>, DataFusionError> {
        let mut rows = Vec::new();
        for relation in self.relations() {
            for (at, field) in relation.schema.fields().iter().enumerate() {
                rows.push((relation, at, field));
            }
        }
        let count = rows.len();
        let kinds: Vec<_> = rows.iter().map(|(_, _, field)| postgres_type(field.data_type())).collect();
        let number =
            |of: fn(&str) -> Option<i32>| kinds.iter().map(move |(_, kind)| of(kind)).collect::<Vec<_>>();
        let precision = number(|kind| match kind {
            "int2" => Some(16),
            "int4" => Some(32),
            "int8" => Some(64),
            "float4" => Some(24),
            "float8" => Some(53),
            _ => None,
        });
        let radix =
            number(|kind| matches!(kind, "int2" | "int4" | "int8" | "float4" | "float8").then_some(2));
        let scale = number(|kind| matches!(kind, "int2" | "int4" | "int8").then_some(0));
        let instant = number(|kind| match kind {
            "timestamptz" | "timestamp" | "interval" | "time" => Some(6),
            "date" => Some(0),
            _ => None,
        });
        Made::new()
            .same("table_catalog", Some(CATALOG), count)
            .same("table_schema", Some(SCHEMA), count)
            .text("table_name", rows.iter().map(|(relation, ..)| Some(relation.name)))
            .text("column_name", rows.iter().map(|(_, _, field)| Some(field.name())))
            .number("ordinal_position", rows.iter().map(|(_, at, _)| i32::try_from(at + 1).ok()))
            .same("column_default", None, count)
            .text(
                "is_nullable",
                rows.iter().map(|(_, _, field)| Some(if field.is_nullable() { "YES" } else { "NO" })),
            )
            .text("data_type", kinds.iter().map(|(name, _)| Some(*name)))
            .number("character_maximum_length", std::iter::repeat_n(None, count))
            .number("character_octet_length", std::iter::repeat_n(None, count))
            .number("numeric_precision", precision)
            .number("numeric_precision_radix", radix)
            .number("numeric_scale", scale)
            .number("datetime_precision", instant)
            .same("interval_type", None, count)
            .same("collation_name", None, count)
            .same("domain_name", None, count)
            .same("udt_catalog", Some(CATALOG), count)
            .same("udt_schema", Some(PG_CATALOG), count)
            .text("udt_name", kinds.iter().map(|(_, name)| Some(*name)))
            .same("is_self_referencing", Some("NO"), count)
            .same("is_identity", Some("NO"), count)
            .same("identity_generation", None, count)
            .same("is_generated", Some("NEVER"), count)
            .same("generation_expression", None, count)
            .same("is_updatable", Some("NO"), count)
            .text("column_comment", rows.iter().map(|(relation, at, _)| relation.comments.get(*at)))
            .table()
    }

    fn table_constraints(&self) -> Result<Arc<dyn TableProvider>, DataFusionError> {
        let rows = self.keys().count();
        Made::new()
            .same("constraint_catalog", Some(CATALOG), rows)
            .same("constraint_schema", Some(SCHEMA), rows)
            .text("constraint_name", self.keys().map(|relation| Some(key_name(relation))))
            .same("table_catalog", Some(CATALOG), rows)
            .same("table_schema", Some(SCHEMA), rows)
            .text("table_name", self.keys().map(|relation| Some(relation.name)))
            .same("constraint_type", Some("PRIMARY KEY"), rows)
            .same("is_deferrable", Some("NO"), rows)
            .same("initially_deferred", Some("NO"), rows)
            .same("enforced", Some("YES"), rows)
            .table()
    }

    fn key_columns(&self, with_place: bool) -> Result<Arc<dyn TableProvider>, DataFusionError> {
        let rows: Vec<(&Relation, usize, &str)> = self
            .keys()
            .flat_map(|relation| relation.key.iter().enumerate().map(move |(at, name)| (relation, at, *name)))
            .collect();
        let mut made = Made::new()
            .same("table_catalog", Some(CATALOG), rows.len())
            .same("table_schema", Some(SCHEMA), rows.len())
            .text("table_name", rows.iter().map(|(relation, ..)| Some(relation.name)))
            .text("column_name", rows.iter().map(|(.., name)| Some(*name)))
            .same("constraint_catalog", Some(CATALOG), rows.len())
            .same("constraint_schema", Some(SCHEMA), rows.len())
            .text("constraint_name", rows.iter().map(|(relation, ..)| Some(key_name(relation))));
        if with_place {
            made = made
                .number("ordinal_position", rows.iter().map(|(_, at, _)| i32::try_from(at + 1).ok()))
                .number("position_in_unique_constraint", std::iter::repeat_n(None, rows.len()));
        }
        made.table()
    }
}

/// The name of a table's key.
pub(super) fn key_name(relation: &Relation) -> String {
    format!("{}_pkey", relation.name)
}

fn schemata() -> Result<Arc<dyn TableProvider>, DataFusionError> {
    let names = [SCHEMA, NAME, PG_CATALOG];
    Made::new()
        .same("catalog_name", Some(CATALOG), names.len())
        .text("schema_name", names.map(Some))
        .same("schema_owner", Some(CATALOG), names.len())
        .same("default_character_set_catalog", None, names.len())
        .same("default_character_set_schema", None, names.len())
        .same("default_character_set_name", None, names.len())
        .same("sql_path", None, names.len())
        .table()
}

fn referential_constraints() -> Result<Arc<dyn TableProvider>, DataFusionError> {
    let names = [
        "constraint_catalog",
        "constraint_schema",
        "constraint_name",
        "unique_constraint_catalog",
        "unique_constraint_schema",
        "unique_constraint_name",
        "match_option",
        "update_rule",
        "delete_rule",
    ];
    names.into_iter().fold(Made::new(), |made, name| made.same(name, None, 0)).table()
}
