//! The tables and views as a catalogue tells of them: names, columns with their types and meaning, keys.

use arrow::datatypes::{DataType, SchemaRef};

/// One table or view.
#[derive(Debug, Clone)]
pub struct Relation {
    /// Its name.
    pub name: &'static str,
    /// Whether it is made from other tables.
    pub is_view: bool,
    /// What a row is.
    pub means: String,
    /// The columns.
    pub schema: SchemaRef,
    /// What each column means, in the order of the schema.
    pub comments: Vec<String>,
    /// The columns that name a row; none for views.
    pub key: &'static [&'static str],
    /// The statement behind a view.
    pub definition: Option<String>,
}

/// All tables and views, in the order of the manual.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    pub(super) relations: Vec<Relation>,
}

/// What PostgreSQL calls a type: as SQL standard has it, and as `pg_type` has it.
pub(super) fn postgres_type(kind: &DataType) -> (&'static str, &'static str) {
    match kind {
        DataType::Boolean => ("boolean", "bool"),
        DataType::Int8 | DataType::Int16 | DataType::UInt8 => ("smallint", "int2"),
        DataType::Int32 | DataType::UInt16 => ("integer", "int4"),
        DataType::Int64 | DataType::UInt32 => ("bigint", "int8"),
        DataType::UInt64 | DataType::Decimal128(..) | DataType::Decimal256(..) => ("numeric", "numeric"),
        DataType::Float16 | DataType::Float32 => ("real", "float4"),
        DataType::Float64 => ("double precision", "float8"),
        DataType::Timestamp(_, Some(_)) => ("timestamp with time zone", "timestamptz"),
        DataType::Timestamp(_, None) => ("timestamp without time zone", "timestamp"),
        DataType::Date32 | DataType::Date64 => ("date", "date"),
        DataType::Time32(_) | DataType::Time64(_) => ("time without time zone", "time"),
        DataType::Interval(_) | DataType::Duration(_) => ("interval", "interval"),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            ("bytea", "bytea")
        }
        DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _) => {
            match field.data_type() {
                DataType::Int64 => ("ARRAY", "_int8"),
                DataType::Int32 => ("ARRAY", "_int4"),
                DataType::Float64 => ("ARRAY", "_float8"),
                DataType::Timestamp(..) => ("ARRAY", "_timestamptz"),
                _ => ("ARRAY", "_text"),
            }
        }
        DataType::Dictionary(_, value) => postgres_type(value),
        _ => ("text", "text"),
    }
}
