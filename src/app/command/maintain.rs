//! `maintain`: what the service does for its data directory beside its work, once and at once.

use std::collections::HashSet;
use std::sync::Arc;

use super::sql::Directory;
use crate::app::{Failure, lexicons, past, settings};
use crate::config::Config;
use crate::lake::Lake;
use crate::query::Engine;
use crate::time::{Clock, SystemClock};

/// Joins small files, applies retention, deletes what nobody reads any more, and sums up the dates that are over.
///
/// # Errors
/// A directory that cannot be read or written.
pub(super) async fn maintain(config: &Config) -> Result<(), Failure> {
    let today = config.grid().date(SystemClock.now());
    let lake = Lake::open(settings::lake(config)).await.map_err(Failure::of_lake)?;
    let report = lake.maintain(today).await.map_err(Failure::of_lake)?;
    for table in &report.tables {
        eprintln!(
            "{}: {} files joined to {}, {} expired, {} deleted",
            table.table, table.files_joined, table.files_made, table.files_expired, table.files_deleted
        );
    }
    let reader = lexicons::shelf(config)?;
    let directory = Directory::of(lake.clone(), config, &reader).await?;
    let engine = Engine::new(settings::query_alone(config, Some(&reader)), Arc::new(directory))
        .map_err(|error| Failure::bug(error.to_string()))?;
    let mut made = HashSet::new();
    while let Some(month) = past::sum_up(&engine, &lake, today).await.map_err(Failure::outside)? {
        eprintln!("{month}: dates that are over are summed up");
        if !made.insert(month.clone()) {
            return Err(Failure::bug(format!("the sums of {month} do not hold just after they were made")));
        }
    }
    Ok(())
}
