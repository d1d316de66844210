//! What is over: what queries ask of the lake's own rows, and the sums of whole dates that are made beside the work.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use super::board::Board;
use crate::facts::Table;
use crate::lake::{Lake, Version};
use crate::query::{self, Dates, Engine, History, Sums};
use crate::time::Grid;

/// One part of so many of the time goes into sums.
const SHARE: u32 = 10;

/// The lake at one version, as the history of a cut.
#[derive(Debug)]
pub(super) struct Past {
    lake: Lake,
    version: Arc<Version>,
}

impl Past {
    /// The history of a cut of this version.
    pub(super) fn of(lake: &Lake, version: &Arc<Version>) -> Arc<dyn History> {
        Arc::new(Past { lake: lake.clone(), version: Arc::clone(version) })
    }
}

#[async_trait]
impl History for Past {
    async fn dates(&self, table: &'static Table) -> Result<Arc<Dates>, query::Error> {
        self.version.dates(table.name).await.map_err(|error| {
            query::Error::new(query::ErrorKind::Outside, format!("the lake cannot be read: {error}"))
        })
    }

    fn sums(&self, definition: u64, schema: &SchemaRef) -> Option<Sums> {
        let (rows, dates) = self.lake.sums(definition, schema)?;
        Some(Sums { rows, dates: Arc::new(dates) })
    }
}

/// Sums up one month that lacks sums of dates before `today`: its name, or `None` where all are there.
///
/// # Errors
/// What was asked or could not be written, in words.
pub(super) async fn sum_up(engine: &Engine, lake: &Lake, today: i32) -> Result<Option<String>, String> {
    let month = engine.sum_up(today).await.map_err(|error| error.to_string())?;
    let Some(month) = month else { return Ok(None) };
    let kept = lake.keep_sums(engine.sums_definition(), &month.name, month.dates, month.rows).await;
    kept.map(|()| Some(month.name)).map_err(|error| error.to_string())
}

/// Sums up what is over, every so often, until `stop`.
pub(super) async fn keep_summed(
    board: Arc<Board>,
    engine: Arc<Engine>,
    every: Duration,
    grid: Grid,
    stop: CancellationToken,
) {
    let mut pause = every;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        pause = every;
        // One of several processes is enough.
        if !board.has_first_partition() {
            continue;
        }
        let began = Instant::now();
        match sum_up(&engine, board.committer.lake(), grid.date(board.clock.now())).await {
            Ok(None) => {}
            Ok(Some(month)) => {
                tracing::debug!(month, "sums of whole dates were made");
                pause = (began.elapsed() * SHARE).max(Duration::from_secs(1));
            }
            Err(error) => {
                tracing::warn!(error, "dates that are over cannot be summed up now; it is tried again later")
            }
        }
    }
}
