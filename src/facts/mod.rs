//! The tables: columns with their meaning, rows, and builders that make Arrow batches of rows.
//!
//! Each table is declared once (see `table!` and the files of this room); its Arrow schema, the Delta
//! schema, the SQL columns and the catalogue derive from that declaration. Knows no Delta, no SQL, no I/O.

mod agents;
mod alerts;
mod contacts;
mod documents;
mod plans;
mod records;

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

pub use agents::*;
pub use alerts::*;
pub use contacts::*;
pub use documents::*;
pub use plans::*;
pub use records::*;

/// The type of a column, as SQL users see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    /// Text, UTF-8.
    Text,
    /// BIGINT.
    Int,
    /// DOUBLE.
    Float,
    /// BOOLEAN.
    Bool,
    /// TIMESTAMP in UTC, microseconds.
    Time,
    /// DATE, a civil date of the centre's zone.
    Date,
}

impl ColumnType {
    /// The Arrow type that holds the column.
    pub fn data_type(self) -> DataType {
        match self {
            ColumnType::Text => DataType::Utf8,
            ColumnType::Int => DataType::Int64,
            ColumnType::Float => DataType::Float64,
            ColumnType::Bool => DataType::Boolean,
            ColumnType::Time => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            ColumnType::Date => DataType::Date32,
        }
    }
}

/// One column of a table.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// Its name in SQL.
    pub name: &'static str,
    /// Its type.
    pub kind: ColumnType,
    /// What it means.
    pub means: &'static str,
}

/// How the rows of a table come to be replaced by newer ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// A row never changes: it is appended once.
    Once,
    /// Rows of a contact, appended when the contact has closed; a restatement supersedes all rows of the
    /// contact with an older revision. The superseded pairs (contact_id, revision) stand in `restatements`.
    PerContact,
    /// Each change appends the row again; of one key the greatest revision is the row.
    Newest,
}

/// One table: its name, columns, key and how its rows are replaced.
#[derive(Debug)]
pub struct Table {
    /// Its name in SQL and in the lake.
    pub name: &'static str,
    /// What a row is.
    pub means: &'static str,
    /// The columns, in order. Every table has `date`, by which the lake is partitioned.
    pub columns: &'static [Column],
    /// The columns that name a row.
    pub key: &'static [&'static str],
    /// How rows are replaced.
    pub written: Written,
}

impl Table {
    /// The Arrow schema of the table's batches. Every column may be NULL.
    pub fn schema(&self) -> SchemaRef {
        let fields: Vec<Field> =
            self.columns.iter().map(|c| Field::new(c.name, c.kind.data_type(), true)).collect();
        Arc::new(Schema::new(fields))
    }
}

/// The column by which every table of the lake is partitioned: the centre's civil date of the row.
pub const PARTITION_COLUMN: &str = "date";

/// Declares one table: the descriptor, the row and the builder.
macro_rules! table {
    (
        $(#[doc = $table_doc:literal])+
        $static:ident = $name:literal, row $row:ident, builder $builder:ident, key [$($key:literal),+], written $written:ident
        { $( $(#[doc = $doc:literal])+ $column:ident $(= $alias:literal)?: $kind:ident, )+ }
    ) => {
        $(#[doc = $table_doc])+
        pub static $static: $crate::facts::Table = $crate::facts::Table {
            name: $name,
            means: concat!($($table_doc),+),
            columns: &[$(
                $crate::facts::Column {
                    name: $crate::facts::column_name!($column $($alias)?),
                    kind: $crate::facts::ColumnType::$kind,
                    means: concat!($($doc),+),
                },
            )+],
            key: &[$($key),+],
            written: $crate::facts::Written::$written,
        };

        #[doc = concat!("One row of the table `", $name, "`.")]
        #[derive(Debug, Clone, Copy, Default, PartialEq)]
        pub struct $row<'a> { $( $(#[doc = $doc])+ pub $column: $crate::facts::cell!($kind, 'a), )+ }

        #[doc = concat!("Collects rows of the table `", $name, "` into an Arrow batch.")]
        #[derive(Debug)]
        pub struct $builder { $( $column: $crate::facts::cells!($kind), )+ rows: usize }

        impl Default for $builder {
            fn default() -> Self {
                $builder { $( $column: $crate::facts::new_cells!($kind), )+ rows: 0 }
            }
        }

        impl $builder {
            /// Appends one row.
            pub fn push(&mut self, row: &$row<'_>) {
                $( $crate::facts::push_cell!($kind, self.$column, row.$column); )+
                self.rows += 1;
            }

            /// Rows collected so far.
            pub fn len(&self) -> usize {
                self.rows
            }

            /// True when there is no row.
            pub fn is_empty(&self) -> bool {
                self.rows == 0
            }

            /// The rows as a batch; the builder is empty afterwards, with room for as many.
            pub fn finish(&mut self) -> arrow::array::RecordBatch {
                let rows = std::mem::take(&mut self.rows);
                arrow::array::RecordBatch::try_new(
                    $static.schema(),
                    vec![$( std::sync::Arc::new($crate::facts::finish_cells!($kind, self.$column, rows)) ),+],
                )
                .expect("the columns are built from the table's own declaration")
            }

            /// The rows so far as a batch; the builder goes on.
            pub fn peek(&self) -> arrow::array::RecordBatch {
                arrow::array::RecordBatch::try_new(
                    $static.schema(),
                    vec![$( std::sync::Arc::new(self.$column.finish_cloned()) ),+],
                )
                .expect("the columns are built from the table's own declaration")
            }
        }
    };
}

macro_rules! column_name {
    ($column:ident) => {
        stringify!($column)
    };
    ($column:ident $alias:literal) => {
        $alias
    };
}

macro_rules! cell {
    (Text, $life:lifetime) => { Option<&$life str> };
    (Int, $life:lifetime) => { Option<i64> };
    (Float, $life:lifetime) => { Option<f64> };
    (Bool, $life:lifetime) => { Option<bool> };
    (Time, $life:lifetime) => { Option<$crate::time::Millis> };
    (Date, $life:lifetime) => { Option<i32> };
}

macro_rules! cells {
    (Text) => {
        arrow::array::StringBuilder
    };
    (Int) => {
        arrow::array::Int64Builder
    };
    (Float) => {
        arrow::array::Float64Builder
    };
    (Bool) => {
        arrow::array::BooleanBuilder
    };
    (Time) => {
        arrow::array::TimestampMicrosecondBuilder
    };
    (Date) => {
        arrow::array::Date32Builder
    };
}

macro_rules! new_cells {
    (Text) => {
        arrow::array::StringBuilder::new()
    };
    (Int) => {
        arrow::array::Int64Builder::new()
    };
    (Float) => {
        arrow::array::Float64Builder::new()
    };
    (Bool) => {
        arrow::array::BooleanBuilder::new()
    };
    (Time) => {
        arrow::array::TimestampMicrosecondBuilder::new().with_timezone("UTC")
    };
    (Date) => {
        arrow::array::Date32Builder::new()
    };
}

/// Takes the cells out and leaves empty ones with room for as many: a busy table grows its buffers once, not at each
/// flush.
macro_rules! finish_cells {
    (Text, $cells:expr, $rows:expr) => {{
        let bytes = $cells.values_slice().len();
        std::mem::replace(&mut $cells, arrow::array::StringBuilder::with_capacity($rows, bytes)).finish()
    }};
    (Int, $cells:expr, $rows:expr) => {
        std::mem::replace(&mut $cells, arrow::array::Int64Builder::with_capacity($rows)).finish()
    };
    (Float, $cells:expr, $rows:expr) => {
        std::mem::replace(&mut $cells, arrow::array::Float64Builder::with_capacity($rows)).finish()
    };
    (Bool, $cells:expr, $rows:expr) => {
        std::mem::replace(&mut $cells, arrow::array::BooleanBuilder::with_capacity($rows)).finish()
    };
    (Time, $cells:expr, $rows:expr) => {{
        let cells = arrow::array::TimestampMicrosecondBuilder::with_capacity($rows).with_timezone("UTC");
        std::mem::replace(&mut $cells, cells).finish()
    }};
    (Date, $cells:expr, $rows:expr) => {
        std::mem::replace(&mut $cells, arrow::array::Date32Builder::with_capacity($rows)).finish()
    };
}

macro_rules! push_cell {
    (Time, $cells:expr, $value:expr) => {
        // A time that no column can hold (a producer's clock gone mad) is none.
        $cells.append_option($value.and_then(|ms: i64| ms.checked_mul(1000)))
    };
    ($kind:ident, $cells:expr, $value:expr) => {
        $cells.append_option($value)
    };
}

use {cell, cells, column_name, finish_cells, new_cells, push_cell, table as table_macro};

macro_rules! facts {
    ($($(#[doc = $doc:literal])+ $field:ident: $builder:ident = $static:ident,)+) => {
        /// Every table, in the order of the manual.
        pub static TABLES: &[&Table] = &[$(&$static),+];

        /// The rows that came to be since the last flush, table by table.
        #[derive(Debug, Default)]
        pub struct Facts { $( $(#[doc = $doc])+ pub $field: $builder, )+ }

        impl Facts {
            /// Rows in all tables together.
            pub fn len(&self) -> usize {
                0 $( + self.$field.len() )+
            }

            /// True when no table has a row.
            pub fn is_empty(&self) -> bool {
                self.len() == 0
            }

            /// The rows as batches of the tables that have any; empty afterwards.
            pub fn finish(&mut self) -> Vec<(&'static Table, RecordBatch)> {
                let mut batches = Vec::new();
                $( if !self.$field.is_empty() { batches.push((&$static, self.$field.finish())); } )+
                batches
            }

            /// The rows so far as batches of the wanted tables that have any; collecting goes on.
            pub fn peek(&self, wanted: TableSet) -> Vec<(&'static Table, RecordBatch)> {
                let mut batches = Vec::new();
                $( if !self.$field.is_empty() && wanted.has(&$static) {
                    batches.push((&$static, self.$field.peek()));
                } )+
                batches
            }
        }
    };
}

facts! {
    /// Raw events.
    events: EventRows = EVENTS,
    /// Contacts.
    contacts: ContactRows = CONTACTS,
    /// Legs.
    legs: LegRows = LEGS,
    /// Handlings.
    handlings: HandlingRows = HANDLINGS,
    /// Messages.
    messages: MessageRows = MESSAGES,
    /// Broken service rules of contacts.
    findings: FindingRows = CONTACT_FINDINGS,
    /// Agent-state intervals.
    agent_states: AgentStateRows = AGENT_STATES,
    /// Surveys.
    surveys: SurveyRows = SURVEYS,
    /// Complaints.
    complaints: ComplaintRows = COMPLAINTS,
    /// Promises.
    promises: PromiseRows = PROMISES,
    /// Shifts.
    shifts: ShiftRows = SHIFTS,
    /// Alerts.
    alerts: AlertRows = ALERTS,
    /// Forecasts, every version.
    forecasts: ForecastRows = FORECASTS,
    /// Records that could not be used.
    rejects: RejectRows = REJECTS,
    /// Corrections of rows that had been written.
    restatements: RestatementRows = RESTATEMENTS,
}

/// A set of tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableSet(u32);

impl TableSet {
    /// Every table.
    pub const ALL: TableSet = TableSet(u32::MAX);
    /// None.
    pub const NONE: TableSet = TableSet(0);

    /// The set with this table.
    pub fn with(self, table: &Table) -> TableSet {
        let at = TABLES.iter().position(|known| known.name == table.name);
        TableSet(at.map_or(self.0, |at| self.0 | 1 << at))
    }

    /// What is in one of them, or in both.
    pub fn and(self, other: TableSet) -> TableSet {
        TableSet(self.0 | other.0)
    }

    /// Whether the table is in it.
    pub fn has(self, table: &Table) -> bool {
        self.covers(TableSet::NONE.with(table))
    }

    /// Whether the whole other set is in it.
    pub fn covers(self, other: TableSet) -> bool {
        self.0 & other.0 == other.0
    }
}

/// The table of this name.
pub fn table(name: &str) -> Option<&'static Table> {
    TABLES.iter().find(|table| table.name == name).copied()
}
