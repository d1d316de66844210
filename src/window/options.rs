//! What the window is told from outside, and the histogram edges that follow from it.

use std::sync::Arc;

use crate::kpi::ServiceLevel;
use crate::time::{Grid, MINUTE, Millis, SECOND};

/// What a [`Window`](super::Window) needs to know.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// The centre's slots.
    pub grid: Grid,
    /// The queues of the configuration: their series exist from the start and never fold into `__other__`.
    pub queues: Vec<QueueOptions>,
    /// Target wait of queues that are not configured, ms. (Each leg carries its own target; here it is an edge of the
    /// wait histogram.)
    pub default_target_wait_ms: i64,
    /// Service level formula of queues that are not configured.
    pub default_service_level: ServiceLevel,
    /// Series (pairs of queue and channel) of queues that are not configured; further ones fold into `__other__`.
    /// More: more memory and more samples for Prometheus. Fewer: less detail.
    pub max_series: usize,
}

/// One configured queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueOptions {
    /// Its name, as in the events.
    pub name: String,
    /// Its target wait, ms.
    pub target_wait_ms: i64,
    /// How its service level is reckoned.
    pub service_level: ServiceLevel,
}

impl Options {
    /// Options with the shipped defaults: no configured queue, target wait 20 s, 500 series.
    pub fn new(grid: Grid) -> Self {
        Self {
            grid,
            queues: Vec::new(),
            default_target_wait_ms: 20 * SECOND,
            default_service_level: ServiceLevel::default(),
            max_series: 500,
        }
    }

    /// The service level formula of `queue`.
    pub fn service_level(&self, queue: &str) -> ServiceLevel {
        let own = self.queues.iter().find(|own| own.name == queue);
        own.map_or(self.default_service_level, |own| own.service_level)
    }
}

/// The upper edges of every histogram, ms. A duration lies in the first bucket whose edge it does not exceed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Edges {
    pub wait: Arc<[Millis]>,
    pub work: Arc<[Millis]>,
    pub hold: Arc<[Millis]>,
    pub acw: Arc<[Millis]>,
    pub first_response: Arc<[Millis]>,
}

impl Edges {
    /// The edges for `options`: those of waits contain every target wait, so that the bucket of the target is exact.
    pub(super) fn new(options: &Options) -> Self {
        let seconds = |edges: &[i64]| -> Arc<[Millis]> { edges.iter().map(|s| s * SECOND).collect() };
        let mut wait: Vec<Millis> = [1, 2, 5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600, 1_200, 1_800]
            .map(|s| s * SECOND)
            .into();
        wait.push(options.default_target_wait_ms);
        wait.extend(options.queues.iter().map(|queue| queue.target_wait_ms));
        wait.retain(|&edge| edge > 0);
        wait.sort_unstable();
        wait.dedup();
        Self {
            wait: wait.into(),
            work: seconds(&[5, 15, 30, 60, 90, 120, 180, 240, 300, 420, 600, 900, 1_200, 1_800, 3_600]),
            hold: seconds(&[5, 10, 30, 60, 120, 300, 600, 1_800]),
            acw: seconds(&[5, 10, 20, 30, 60, 120, 300, 600, 1_800]),
            // 60 s and 3 min are limits that service rules set to a reply.
            first_response: seconds(&[1, 2, 5, 10, 20, 30, 60, 90, 120, 180, 300, 600, 1_800, 3_600]),
        }
    }
}

/// How long the sums of a slot are kept behind the reference (see [`Window`](super::Window)): the longest local day and
/// a slot.
pub(super) const SLOTS_KEPT: Millis = 26 * crate::time::HOUR;
/// How far events may run ahead of the time (their clocks may be wrong) without pushing out what is kept.
pub(super) const AHEAD: Millis = crate::time::DAY;
/// Width of the panes behind the windows up to an hour.
pub(super) const FINE: Millis = 10 * SECOND;
/// Width of the panes behind the window of a day.
pub(super) const COARSE: Millis = 5 * MINUTE;
