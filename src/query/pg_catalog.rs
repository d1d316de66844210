//! `pg_catalog`: what psql, JDBC and others ask for before they ask for rows.
//!
//! Most of it comes from `datafusion-pg-catalog`; comments, keys and view texts are ours. Object numbers stay the same as
//! long as the process lives.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};

use arrow::array::{Array, ArrayRef, AsArray, Int32Array, RecordBatch, StringArray, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Int32Type, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{MemoryCatalogProvider, MemoryCatalogProviderList, SchemaProvider, TableProvider};
use datafusion::common::{Column, ScalarValue};
use datafusion::datasource::{MemTable, TableType, ViewTable, provider_as_source};
use datafusion::error::DataFusionError;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlanBuilder, ScalarFunctionImplementation, ScalarUDF, Signature,
    SimpleScalarUDF, TypeSignature, Volatility, lit,
};
use datafusion::prelude::SessionContext;
use datafusion_postgres::datafusion_pg_catalog::pg_catalog::catalog_info::CatalogInfo;
use datafusion_postgres::datafusion_pg_catalog::pg_catalog::context::EmptyContextProvider;
use datafusion_postgres::datafusion_pg_catalog::pg_catalog::{
    PG_CATALOG_TABLES, PgCatalogSchemaProvider, PgCatalogStaticTables, setup_pg_catalog,
};

use super::information;
use super::shape::Relation;
use super::{CATALOG, SCHEMA};

/// Columns of lists of texts that clients ask for and that nobody here has: rights and options.
const TEXTS: &[(&str, &[&str])] = &[
    ("pg_attribute", &["attacl", "attoptions", "attfdwoptions"]),
    ("pg_class", &["relacl", "reloptions"]),
    ("pg_db_role_setting", &["setconfig"]),
    ("pg_default_acl", &["defaclacl"]),
    ("pg_language", &["lanacl"]),
    ("pg_namespace", &["nspacl"]),
    ("pg_proc", &["proacl"]),
    ("pg_type", &["typacl"]),
];

/// `pg_class` itself, as PostgreSQL numbers it.
const PG_CLASS_OID: i32 = 1259;

/// Adds functions and types of PostgreSQL's catalogue to `state`.
pub(super) fn prepare(state: SessionState, words: &Words) -> Result<SessionState, DataFusionError> {
    let catalogs = MemoryCatalogProviderList::new();
    let mut own = state;
    let kept = Arc::clone(own.catalog_list());
    own.register_catalog_list(Arc::new(catalogs));
    let context = SessionContext::new_with_state(own);
    context.register_catalog(CATALOG, Arc::new(MemoryCatalogProvider::new()));
    setup_pg_catalog(&context, CATALOG, EmptyContextProvider).map_err(|error| *error)?;
    for function in words.functions() {
        context.register_udf(function);
    }
    let mut state = context.state();
    state.register_catalog_list(kept);
    Ok(state)
}

/// The tables and views that one kind of reader is told of.
#[derive(Debug, Clone)]
struct Told {
    relations: Arc<Vec<Relation>>,
}

#[async_trait]
impl CatalogInfo for Told {
    async fn catalog_names(&self) -> Result<Vec<String>, DataFusionError> {
        Ok(vec![CATALOG.to_owned()])
    }

    async fn schema_names(&self, catalog: &str) -> Result<Option<Vec<String>>, DataFusionError> {
        let names = [SCHEMA, information::PG_CATALOG, information::NAME];
        Ok((catalog == CATALOG).then(|| names.map(str::to_owned).to_vec()))
    }

    async fn table_names(&self, _: &str, schema: &str) -> Result<Option<Vec<String>>, DataFusionError> {
        Ok(match schema {
            SCHEMA => Some(self.relations.iter().map(|relation| relation.name.to_owned()).collect()),
            information::PG_CATALOG => {
                Some(PG_CATALOG_TABLES.iter().map(|name| (*name).to_owned()).collect())
            }
            information::NAME => Some(Vec::new()),
            _ => None,
        })
    }

    async fn table_schema(
        &self,
        _: &str,
        schema: &str,
        table: &str,
    ) -> Result<Option<SchemaRef>, DataFusionError> {
        if schema != SCHEMA {
            return Ok(Some(Arc::new(Schema::empty())));
        }
        let found = self.relations.iter().find(|relation| relation.name == table);
        Ok(found.map(|relation| Arc::clone(&relation.schema)))
    }

    async fn table_type(
        &self,
        _: &str,
        schema: &str,
        table: &str,
    ) -> Result<Option<TableType>, DataFusionError> {
        if schema != SCHEMA {
            return Ok(Some(TableType::Base));
        }
        let found = self.relations.iter().find(|relation| relation.name == table);
        Ok(found.map(|relation| if relation.is_view { TableType::View } else { TableType::Base }))
    }
}

/// Comments and texts of views by object number, for functions that ask for them one by one.
#[derive(Debug, Clone, Default)]
pub(super) struct Words(Arc<RwLock<HashMap<i32, Said>>>);

#[derive(Debug, Clone)]
struct Said {
    means: String,
    comments: Vec<String>,
    definition: Option<String>,
}

impl Words {
    fn functions(&self) -> Vec<ScalarUDF> {
        let of = |name: &str, counts: &[usize], tell: fn(&Said, Option<i32>) -> Option<String>| {
            let words = self.clone();
            let fun: ScalarFunctionImplementation =
                Arc::new(move |args: &[ColumnarValue]| words.tell(args, tell));
            let kinds = counts.iter().map(|count| TypeSignature::Any(*count)).collect();
            let signature = Signature::one_of(kinds, Volatility::Stable);
            ScalarUDF::from(SimpleScalarUDF::new_with_signature(name, signature, DataType::Utf8, fun))
        };
        vec![
            of("obj_description", &[1, 2], |said, _| Some(said.means.clone())),
            of("col_description", &[2], |said, column| {
                let at = usize::try_from(column?).ok()?.checked_sub(1)?;
                said.comments.get(at).cloned()
            }),
            of("pg_get_viewdef", &[1, 2], |said, _| said.definition.clone()),
        ]
    }

    fn tell(
        &self,
        args: &[ColumnarValue],
        tell: fn(&Said, Option<i32>) -> Option<String>,
    ) -> Result<ColumnarValue, DataFusionError> {
        let arrays = ColumnarValue::values_to_arrays(args)?;
        let oids = cast(&arrays[0], &DataType::Int32)?;
        let columns = arrays.get(1).filter(|array| array.data_type().is_integer());
        let columns = columns.map(|array| cast(array, &DataType::Int32)).transpose()?;
        let words = self.0.read().unwrap_or_else(|poisoned| poisoned.into_inner());
        let told = oids.as_primitive::<Int32Type>().iter().enumerate().map(|(row, oid)| {
            let said = words.get(&oid?)?;
            let column = columns.as_ref().map(|columns| columns.as_primitive::<Int32Type>().value(row));
            tell(said, column)
        });
        let told: StringArray = told.collect();
        Ok(ColumnarValue::Array(Arc::new(told)))
    }
}

/// The schema `pg_catalog` of one kind of reader.
#[derive(Debug)]
pub(super) struct PgCatalog {
    inner: PgCatalogSchemaProvider<Told, EmptyContextProvider>,
    ours: HashMap<&'static str, Arc<dyn TableProvider>>,
}

impl PgCatalog {
    /// Tells of these relations. `state` runs the few queries that this takes.
    pub(super) async fn new(
        relations: Vec<Relation>,
        statics: Arc<PgCatalogStaticTables>,
        state: &SessionState,
        words: &Words,
    ) -> Result<Self, DataFusionError> {
        let told = Told { relations: Arc::new(relations) };
        let relations = Arc::clone(&told.relations);
        let inner = PgCatalogSchemaProvider::try_new(told, statics, EmptyContextProvider)?;
        let mut catalog = Self { inner, ours: HashMap::new() };
        let oids = catalog.oids(state).await?;
        let said = relations.iter().filter_map(|relation| {
            let said = Said {
                means: relation.means.clone(),
                comments: relation.comments.clone(),
                definition: relation.definition.clone(),
            };
            Some((*oids.get(relation.name)?, said))
        });
        // Every kind of reader has the same numbers.
        words.0.write().unwrap_or_else(|poisoned| poisoned.into_inner()).extend(said);
        catalog.ours.insert("pg_description", descriptions(&relations, &oids)?);
        catalog.ours.insert("pg_views", views(&relations)?);
        catalog.ours.insert("pg_index", indexes(&relations, &oids)?);
        for (table, columns) in TEXTS {
            if let Some(whole) = catalog.inner.table(table).await? {
                catalog.ours.insert(table, with_texts(table, whole, columns)?);
            }
        }
        if let Some(constraints) = catalog.inner.table("pg_constraint").await? {
            let table = constraints_of(&constraints.schema(), &relations, &oids)?;
            catalog.ours.insert("pg_constraint", table);
        }
        Ok(catalog)
    }

    /// The number of each of our relations.
    async fn oids(&self, state: &SessionState) -> Result<HashMap<String, i32>, DataFusionError> {
        let Some(table) = self.inner.table("pg_class").await? else { return Ok(HashMap::new()) };
        let plan = LogicalPlanBuilder::scan("pg_class", provider_as_source(table), None)?.build()?;
        let plan = state.create_physical_plan(&plan).await?;
        let batches = datafusion::physical_plan::collect(plan, state.task_ctx()).await?;
        let mut oids = HashMap::new();
        for batch in &batches {
            let column = |name: &str, kind: &DataType| -> Result<ArrayRef, DataFusionError> {
                let found = batch.column_by_name(name);
                let found =
                    found.ok_or_else(|| DataFusionError::Internal(format!("`pg_class` has no `{name}`")))?;
                Ok(cast(found, kind)?)
            };
            let (numbers, names) = (column("oid", &DataType::Int32)?, column("relname", &DataType::Utf8)?);
            let pairs = numbers.as_primitive::<Int32Type>().iter().zip(names.as_string::<i32>());
            oids.extend(pairs.filter_map(|(oid, name)| Some((name?.to_owned(), oid?))));
        }
        Ok(oids)
    }
}

#[async_trait]
impl SchemaProvider for PgCatalog {
    fn table_names(&self) -> Vec<String> {
        self.inner.table_names()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        match self.ours.get(name) {
            Some(table) => Ok(Some(Arc::clone(table))),
            None => self.inner.table(name).await,
        }
    }

    fn table_exist(&self, name: &str) -> bool {
        self.inner.table_exist(name)
    }
}

fn in_memory(fields: Vec<Field>, columns: Vec<ArrayRef>) -> Result<Arc<dyn TableProvider>, DataFusionError> {
    let schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns)?;
    Ok(Arc::new(MemTable::try_new(schema, vec![vec![batch]])?))
}

/// A table with these columns as empty lists of texts, in their place where it has them, else behind the others.
fn with_texts(
    name: &str,
    table: Arc<dyn TableProvider>,
    columns: &[&str],
) -> Result<Arc<dyn TableProvider>, DataFusionError> {
    let schema = table.schema();
    let none = DataType::List(Arc::new(Field::new("item", DataType::Utf8, true)));
    let none = |column: &str| -> Result<Expr, DataFusionError> {
        Ok(lit(ScalarValue::try_from(&none)?).alias(column))
    };
    let mut shown = Vec::new();
    for field in schema.fields() {
        shown.push(match columns.contains(&field.name().as_str()) {
            true => none(field.name())?,
            false => Expr::Column(Column::from_name(field.name())),
        });
    }
    for column in columns.iter().filter(|column| schema.index_of(column).is_err()) {
        shown.push(none(column)?);
    }
    let plan = LogicalPlanBuilder::scan(name, provider_as_source(table), None)?.project(shown)?.build()?;
    Ok(Arc::new(ViewTable::new(plan, None)))
}

fn descriptions(
    relations: &[Relation],
    oids: &HashMap<String, i32>,
) -> Result<Arc<dyn TableProvider>, DataFusionError> {
    let mut rows: Vec<(i32, i32, &str)> = Vec::new();
    let class = oids.get("pg_class").copied().unwrap_or(PG_CLASS_OID);
    for relation in relations {
        let Some(oid) = oids.get(relation.name).copied() else { continue };
        rows.push((oid, 0, &relation.means));
        let columns = relation.comments.iter().zip(1..).filter(|(comment, _)| !comment.is_empty());
        rows.extend(columns.map(|(comment, at)| (oid, at, comment.as_str())));
    }
    let numbers = |of: fn(&(i32, i32, &str)) -> i32| -> ArrayRef {
        Arc::new(rows.iter().map(of).collect::<Int32Array>())
    };
    in_memory(
        vec![
            Field::new("objoid", DataType::Int32, true),
            Field::new("classoid", DataType::Int32, true),
            Field::new("objsubid", DataType::Int32, true),
            Field::new("description", DataType::Utf8, true),
        ],
        vec![
            numbers(|row| row.0),
            Arc::new(Int32Array::from(vec![class; rows.len()])),
            numbers(|row| row.1),
            Arc::new(rows.iter().map(|row| Some(row.2)).collect::<StringArray>()),
        ],
    )
}

fn views(relations: &[Relation]) -> Result<Arc<dyn TableProvider>, DataFusionError> {
    let views: Vec<&Relation> = relations.iter().filter(|relation| relation.is_view).collect();
    let text = |of: &dyn Fn(&Relation) -> Option<String>| -> ArrayRef {
        Arc::new(views.iter().map(|view| of(view)).collect::<StringArray>())
    };
    in_memory(
        ["schemaname", "viewname", "viewowner", "definition"]
            .map(|name| Field::new(name, DataType::Utf8, true))
            .to_vec(),
        vec![
            text(&|_| Some(SCHEMA.to_owned())),
            text(&|view| Some(view.name.to_owned())),
            text(&|_| Some(CATALOG.to_owned())),
            text(&|view| view.definition.clone()),
        ],
    )
}

/// The keys of our tables, in the columns that `pg_constraint` has.
fn constraints_of(
    schema: &SchemaRef,
    relations: &[Relation],
    oids: &HashMap<String, i32>,
) -> Result<Arc<dyn TableProvider>, DataFusionError> {
    let keyed: Vec<(&Relation, i32)> = relations
        .iter()
        .filter(|relation| !relation.key.is_empty())
        .filter_map(|relation| Some((relation, *oids.get(relation.name)?)))
        .collect();
    let rows = keyed.len();
    let mut fields = Vec::new();
    let mut columns: Vec<ArrayRef> = Vec::new();
    for field in schema.fields() {
        let text = |of: &dyn Fn(&Relation) -> String| -> ArrayRef {
            Arc::new(keyed.iter().map(|(relation, _)| Some(of(relation))).collect::<StringArray>())
        };
        let number = |of: &dyn Fn(i32) -> i32| -> ArrayRef {
            Arc::new(keyed.iter().map(|(_, oid)| Some(of(*oid))).collect::<Int32Array>())
        };
        let made: Option<ArrayRef> = match field.name().as_str() {
            // Beyond every number that is handed out.
            "oid" => Some(number(&|oid| oid + 1_000_000)),
            "conname" => Some(text(&information::key_name)),
            "contype" => Some(text(&|_| "p".to_owned())),
            "conrelid" => Some(number(&|oid| oid)),
            "conindid" => Some(number(&index_oid)),
            "confrelid" | "contypid" | "conparentid" => Some(number(&|_| 0)),
            "conkey" => Some(places(&keyed, field.data_type())?),
            "convalidated" | "conislocal" | "connoinherit" => {
                Some(Arc::new(arrow::array::BooleanArray::from(vec![true; rows])))
            }
            "condeferrable" | "condeferred" => {
                Some(Arc::new(arrow::array::BooleanArray::from(vec![false; rows])))
            }
            _ => None,
        };
        let made = match made {
            Some(array) if array.data_type() == field.data_type() => array,
            Some(array) => cast(&array, field.data_type())?,
            None => new_null_array(field.data_type(), rows),
        };
        fields.push(field.as_ref().clone().with_nullable(true));
        columns.push(made);
    }
    in_memory(fields, columns)
}

/// The number of the index behind a table's key: beyond every number that is handed out.
fn index_oid(oid: i32) -> i32 {
    oid + 2_000_000
}

/// The keys as indexes.
fn indexes(
    relations: &[Relation],
    oids: &HashMap<String, i32>,
) -> Result<Arc<dyn TableProvider>, DataFusionError> {
    let keyed: Vec<(&Relation, i32)> = relations
        .iter()
        .filter(|relation| !relation.key.is_empty())
        .filter_map(|relation| Some((relation, *oids.get(relation.name)?)))
        .collect();
    let number = |of: &dyn Fn(i32) -> i32| -> ArrayRef {
        Arc::new(keyed.iter().map(|(_, oid)| Some(of(*oid))).collect::<Int32Array>())
    };
    let list = DataType::List(Arc::new(Field::new("item", DataType::Int16, true)));
    let count: ArrayRef = {
        let counts = keyed.iter().map(|(relation, _)| i16::try_from(relation.key.len()).ok());
        Arc::new(counts.collect::<arrow::array::Int16Array>())
    };
    let mut fields = vec![
        Field::new("indexrelid", DataType::Int32, true),
        Field::new("indrelid", DataType::Int32, true),
        Field::new("indnatts", DataType::Int16, true),
        Field::new("indnkeyatts", DataType::Int16, true),
        Field::new("indkey", list.clone(), true),
        Field::new("indoption", list.clone(), true),
        Field::new("indclass", list.clone(), true),
        Field::new("indcollation", list.clone(), true),
    ];
    let mut columns = vec![number(&index_oid), number(&|oid| oid), Arc::clone(&count), count];
    columns.push(places(&keyed, &list)?);
    columns.extend((0..3).map(|_| new_null_array(&list, keyed.len())));
    for (name, value) in [
        ("indisunique", true),
        ("indnullsnotdistinct", false),
        ("indisprimary", true),
        ("indisexclusion", false),
        ("indimmediate", true),
        ("indisclustered", false),
        ("indisvalid", true),
        ("indcheckxmin", false),
        ("indisready", true),
        ("indislive", true),
        ("indisreplident", false),
    ] {
        fields.push(Field::new(name, DataType::Boolean, true));
        columns.push(Arc::new(arrow::array::BooleanArray::from(vec![value; keyed.len()])));
    }
    for name in ["indexprs", "indpred"] {
        fields.push(Field::new(name, DataType::Utf8, true));
        columns.push(new_null_array(&DataType::Utf8, keyed.len()));
    }
    in_memory(fields, columns)
}

/// For each key the places of its columns, from 1, as a list of this type.
fn places(keyed: &[(&Relation, i32)], kind: &DataType) -> Result<ArrayRef, DataFusionError> {
    let mut lists = arrow::array::ListBuilder::new(arrow::array::Int16Builder::new());
    for (relation, _) in keyed {
        for name in relation.key {
            let at = relation.schema.index_of(name).ok().and_then(|at| i16::try_from(at + 1).ok());
            lists.values().append_option(at);
        }
        lists.append(true);
    }
    let lists: ArrayRef = Arc::new(lists.finish());
    match kind {
        DataType::List(_) | DataType::LargeList(_) => Ok(cast(&lists, kind)?),
        _ => Ok(new_null_array(kind, keyed.len())),
    }
}
