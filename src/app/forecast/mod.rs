//! Forecasts from the lake: the options, the rows of a version, and the service that makes versions by itself.

pub(super) mod live;
pub(super) mod make;

use std::path::Path;

use super::Failure;
use crate::config::{Config, load_events};
use crate::forecast::{Rule, Work};
use crate::time::SECOND;
pub(super) use make::Options;

/// What forecasts go by, from the configuration.
///
/// # Errors
/// The file of own events is wrong.
pub(super) fn options(
    config: &Config,
    horizon: Option<usize>,
    events: Option<&Path>,
) -> Result<Options, Failure> {
    let from = &config.forecast;
    let percent = |value: i64| value as f64 / 100.0;
    let calendar = match events {
        Some(path) => {
            let events = load_events(path).map_err(|fault| Failure::of_faults(&[fault]))?;
            from.calendar.with_events(events)
        }
        None => from.calendar.clone(),
    };
    Ok(Options {
        grid: config.grid(),
        lateness_ms: config.lateness_secs * SECOND,
        horizon: horizon.unwrap_or(usize::try_from(from.horizon_days).unwrap_or(31)).max(1),
        calendar,
        rule: Rule {
            work: Work::Calls,
            target_wait_seconds: config.queue_defaults.target_wait_secs as f64,
            service_level: percent(from.service_level_percent),
            occupancy_cap: percent(from.occupancy_cap_percent),
            shrinkage: percent(from.shrinkage_percent),
            concurrency: from.chat_concurrency,
            patience_seconds: from.patience_secs as f64,
        },
        target_waits: config
            .queues
            .iter()
            .map(|(name, queue)| (name.clone(), queue.target_wait_secs as f64))
            .collect(),
    })
}
