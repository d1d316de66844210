//! `sql`: one query or a prompt, against a data directory or a running server.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt;

use super::print;
use super::remote;
use crate::app::lexicons::Shelf;
use crate::app::past::Past;
use crate::app::task::{Origin, Task};
use crate::app::{Failure, duty, lexicons, settings};
use crate::config::Config;
use crate::facts::{TABLES, TableSet};
use crate::lake::Lake;
use crate::metrics::METRICS;
use crate::query::catalog::Metric;
use crate::query::output::{Format, encode};
use crate::query::{self, Cut, Engine, Source, prompt};
use crate::time::{Clock, Millis, SystemClock};

/// The metrics as the catalogue lists them.
pub(super) fn metric_descriptions() -> Vec<Metric> {
    METRICS
        .iter()
        .map(|metric| Metric {
            name: metric.name.to_owned(),
            kind: metric.kind.name().to_owned(),
            unit: metric.unit.to_owned(),
            labels: metric.labels.iter().map(|label| (*label).to_owned()).collect(),
            means: metric.help.to_owned(),
        })
        .collect()
}

/// A data directory as a query sees it: tables and snapshots that belong together, the newest there are.
pub(in crate::app) struct Directory {
    cut: Cut,
}

impl Directory {
    /// Opens the configuration's data directory.
    ///
    /// # Errors
    /// A directory that cannot be read.
    pub(in crate::app) async fn open(config: &Config, reader: &Shelf) -> Result<Directory, Failure> {
        let lake = Lake::open_read(settings::lake(config)).await.map_err(Failure::of_lake)?;
        Directory::of(lake, config, reader).await
    }

    /// What this lake has.
    ///
    /// # Errors
    /// As [`Directory::open`].
    pub(super) async fn of(lake: Lake, config: &Config, reader: &Shelf) -> Result<Directory, Failure> {
        let cut = lake.cut().await.map_err(Failure::of_lake)?;
        if !cut.agrees {
            eprintln!(
                "warning: the processes that write this directory are at different moments; contacts of the last minutes \
                 may be missing or be there twice"
            );
        }
        let rules = settings::rules(config, false, reader);
        let mut tasks = Vec::new();
        for (name, snapshot) in cut.snapshots {
            let origins: Vec<Origin> = snapshot
                .positions
                .iter()
                .map(|(topic, partition, _)| Origin {
                    topic: topic.as_str().into(),
                    partition: *partition,
                    stored: Default::default(),
                })
                .collect();
            let task = Task::new(name.clone(), Arc::clone(&rules), &origins, Some(snapshot))
                .map_err(|why| Failure::input(format!("the snapshot of `{name}` cannot be read: {why}")))?;
            tasks.push(task);
        }
        // The present of a directory is its newest event: the same directory gives the same answers.
        let now = tasks.iter().map(Task::newest).max().filter(|now| *now > Millis::MIN);
        let now = now.unwrap_or_else(|| SystemClock.now());
        let mut memory: Vec<_> =
            tasks.iter_mut().flat_map(|task| task.open_rows(TableSet::ALL, now)).collect();
        let roster = duty::read_roster(config).map_err(|faults| Failure::of_faults(&faults))?;
        memory.extend(duty::shift_rows(&roster, &config.grid(), now));
        let committed =
            TABLES.iter().filter_map(|table| Some((table.name, cut.version.provider(table.name)?))).collect();
        let history = Some(Past::of(&lake, &cut.version));
        Ok(Directory { cut: Cut { committed, memory, now, history, missing: Vec::new() } })
    }
}

#[async_trait]
impl Source for Directory {
    async fn cut(&self, _wanted: TableSet) -> Result<Cut, query::Error> {
        Ok(self.cut.clone())
    }
}

/// Against the configuration's data directory.
///
/// # Errors
/// A directory that cannot be read, a statement that fails.
pub(super) async fn local(config: &Config, sql: Option<&str>, format: &str) -> Result<(), Failure> {
    let format: Format = format.parse().map_err(Failure::usage)?;
    let reader = lexicons::shelf(config)?;
    let directory = Directory::open(config, &reader).await?;
    let engine = Engine::new(settings::query_alone(config, Some(&reader)), Arc::new(directory))
        .map_err(|error| Failure::bug(error.to_string()))?;
    match sql {
        Some(sql) => answer(&engine, sql, format).await,
        None => {
            let mut run = |sql: &str| {
                let done = tokio::task::block_in_place(|| {
                    tokio::runtime::Handle::current().block_on(answer(&engine, sql, format))
                });
                if let Err(failure) = done {
                    eprintln!("{failure}");
                }
            };
            prompt(&mut run, history().as_deref()).map_err(Failure::outside)
        }
    }
}

async fn answer(engine: &Engine, sql: &str, format: Format) -> Result<(), Failure> {
    let answer = engine.query(sql).await.map_err(of_query)?;
    let mut bytes = Box::pin(encode(answer, format));
    while let Some(bytes) = bytes.next().await {
        print(&bytes.map_err(of_query)?)?;
    }
    Ok(())
}

/// Who must act on a failed query.
pub(in crate::app) fn of_query(error: query::Error) -> Failure {
    let place = match (error.line, error.column) {
        (Some(line), Some(column)) => format!(" (line {line}, column {column})"),
        _ => String::new(),
    };
    let failure = Failure::sql(format!("{}{place}", error.message));
    match error.hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// Against a running server.
///
/// # Errors
/// A server that does not answer, a statement that fails.
pub(super) async fn remote(url: &str, sql: Option<&str>, format: &str) -> Result<(), Failure> {
    let format: Format = format.parse().map_err(Failure::usage)?;
    match sql {
        Some(sql) => remote::sql(url, sql, format).await,
        None => {
            let mut run = |sql: &str| {
                let done = tokio::task::block_in_place(|| {
                    tokio::runtime::Handle::current().block_on(remote::sql(url, sql, format))
                });
                if let Err(failure) = done {
                    eprintln!("{failure}");
                }
            };
            prompt(&mut run, history().as_deref()).map_err(Failure::outside)
        }
    }
}

/// Where statements that were typed are kept.
fn history() -> Option<PathBuf> {
    let home = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from);
    let home = home.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state")));
    let folder = home?.join("callpulse");
    std::fs::create_dir_all(&folder).ok()?;
    Some(folder.join("sql_history"))
}
