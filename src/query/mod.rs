//! DataFusion: the tables, views and functions that SQL sees, over one consistent cut of history and memory.
//!
//! Knows no Delta and no Kafka: committed rows come as table providers, rows in memory as Arrow batches ([`Source`]).
//!
//! Invariant: a query sees one [`Cut`]; a row that was restated is seen in its newest form only, and once.
//! Invariant: no statement changes anything or opens a file; every query has a bound of memory and of time.
//! Invariant: who asks sees what [`crate::access::Role`] allows, whatever the door and the statement; `rights` decides.
//! Invariant: what was summed up before gives the same figures as the rows that it was made of.
//! Invariant: a figure of the views has its formula from [`crate::kpi`], and is written nowhere else.

mod answer;
mod asking;
mod base;
pub mod catalog;
mod engine;
mod error;
mod fence;
pub mod functions;
mod history;
mod information;
mod newest;
pub mod output;
mod pg_catalog;
mod prompt;
mod rights;
mod schema;
mod shape;
mod statement;
mod stretch;
mod superseded;
pub mod views;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use arrow::array::RecordBatch;
use async_trait::async_trait;
use datafusion::catalog::TableProvider;

use crate::calendar::Deadlines;
use crate::facts;
use crate::kpi::ServiceLevel;
use crate::text::Reader;
use crate::time::{Grid, Millis};

pub use answer::Answer;
pub use asking::Asking;
pub use engine::{Description, Engine, Question};
pub use error::{Error, ErrorKind};
pub use history::{Dates, History, Month, Sums};
pub use prompt::{Runner, prompt};
pub use shape::Relation;

/// The catalogue in which every table stands.
pub const CATALOG: &str = "callpulse";
/// The schema in which every table stands.
pub const SCHEMA: &str = "public";

/// Committed rows of one table.
pub type Committed = Arc<dyn TableProvider>;

/// One consistent view: rows that are committed, and rows in memory (open ones, and those not yet committed).
#[derive(Debug, Clone)]
pub struct Cut {
    /// Committed rows by table name; a table that is missing has none.
    pub committed: HashMap<&'static str, Committed>,
    /// Rows in memory. No row is both here and in `committed`.
    pub memory: Vec<(&'static facts::Table, RecordBatch)>,
    /// The present of the centre: for legs that wait, and for the live views.
    pub now: Millis,
    /// What the lake knows of the committed rows; without it, all of them are read for every figure.
    pub history: Option<Arc<dyn History>>,
    /// Whose rows in memory are missing, for people; empty where the cut is whole.
    pub missing: Vec<String>,
}

impl Cut {
    /// A cut without any row, at `now`.
    pub fn empty(now: Millis) -> Self {
        Self { committed: HashMap::new(), memory: Vec::new(), now, history: None, missing: Vec::new() }
    }
}

/// Where a query's rows come from.
#[async_trait]
pub trait Source: Send + Sync {
    /// The rows of this instant. Rows in memory of tables that are not wanted may be left out.
    async fn cut(&self, wanted: facts::TableSet) -> Result<Cut, Error>;
}

/// What the engine needs to know.
#[derive(Debug, Clone)]
pub struct Options {
    /// The centre's zone and slots.
    pub grid: Grid,
    /// The formula of the service level where a queue has none of its own.
    pub service_level: ServiceLevel,
    /// The formula of the service level by queue.
    pub queues: HashMap<String, ServiceLevel>,
    /// Bytes that all queries together may hold.
    pub memory_limit_bytes: usize,
    /// How long a query may take, waiting for its turn included.
    pub timeout: Duration,
    /// Queries that may run at once; further ones wait for their turn.
    pub max_concurrent: usize,
    /// Parts in which a query is worked on at once.
    pub partitions: usize,
    /// What `sentiment` and `keywords` read by; without it, the lists that are compiled in.
    pub reader: Option<Arc<ArcSwap<Reader>>>,
    /// By when complaints must be called back about.
    pub deadlines: Deadlines,
}

impl Options {
    /// The defaults for a centre with this grid: 1 GiB, 60 s, four queries at once, two parts each.
    pub fn new(grid: Grid) -> Self {
        Self {
            grid,
            service_level: ServiceLevel::default(),
            queues: HashMap::new(),
            memory_limit_bytes: 1 << 30,
            timeout: Duration::from_secs(60),
            max_concurrent: 4,
            partitions: 2,
            reader: None,
            deadlines: Deadlines::of_every_day(),
        }
    }
}
