//! Which series there are: pairs of queue and channel, each with a dense number.

use std::sync::Arc;

use hashbrown::{Equivalent, HashMap};

use crate::event::Channel;

/// The queue under which series beyond the bound are counted together.
pub const OTHER_QUEUE: &str = "__other__";

/// The name of a series. The queue is empty for handlings that never had one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesKey {
    /// The queue.
    pub queue: Arc<str>,
    /// The channel.
    pub channel: Channel,
}

/// A [`SeriesKey`] that is not owned. Hashes as the owned one does: its fields are the same, in the same order.
#[derive(PartialEq, Eq, Hash)]
struct Pair<'a> {
    queue: &'a str,
    channel: Channel,
}

impl Equivalent<SeriesKey> for Pair<'_> {
    fn equivalent(&self, key: &SeriesKey) -> bool {
        self.channel == key.channel && *self.queue == *key.queue
    }
}

/// The series of a window. A pair keeps its number for good: what was once folded into `__other__` stays there, so that
/// it can be taken away from where it was added.
#[derive(Debug, Clone)]
pub(super) struct SeriesTable {
    numbers: HashMap<SeriesKey, u32>,
    keys: Vec<SeriesKey>,
    configured: Vec<Arc<str>>,
    /// How many more series may be opened for queues that are not configured.
    room: usize,
    /// Whether any pair was refused its own series.
    folds: bool,
}

impl SeriesTable {
    /// A table with the series of the configured queues, on voice.
    pub(super) fn new<'a>(queues: impl Iterator<Item = &'a str>, max_series: usize) -> Self {
        let mut table = Self {
            numbers: HashMap::new(),
            keys: Vec::new(),
            configured: queues.map(Arc::from).collect(),
            room: max_series,
            folds: false,
        };
        for queue in table.configured.clone() {
            table.number(&queue, Channel::Voice);
        }
        table
    }

    /// The number of the pair, and whether it was folded.
    pub(super) fn number(&mut self, queue: &str, channel: Channel) -> (u32, bool) {
        if let Some(&number) = self.numbers.get(&Pair { queue, channel }) {
            return (number, false);
        }
        let configured = self.is_configured(queue);
        if !configured && queue != OTHER_QUEUE {
            if self.room == 0 {
                self.folds = true;
                return (self.number(OTHER_QUEUE, channel).0, true);
            }
            self.room -= 1;
        }
        (self.open(queue, channel), false)
    }

    /// Opens the series if there is none, bound or no bound: for what was kept from before.
    pub(super) fn open(&mut self, queue: &str, channel: Channel) -> u32 {
        if let Some(&number) = self.numbers.get(&Pair { queue, channel }) {
            return number;
        }
        let key = SeriesKey { queue: queue.into(), channel };
        let number = self.keys.len() as u32;
        self.keys.push(key.clone());
        self.numbers.insert(key, number);
        number
    }

    /// Takes room for the series that [`SeriesTable::open`] opened.
    pub(super) fn take_room(&mut self, series: usize) {
        self.room = self.room.saturating_sub(series);
    }

    /// Every series, by its number.
    pub(super) fn keys(&self) -> &[SeriesKey] {
        &self.keys
    }

    /// Tells whether `queue` stands in the configuration.
    pub(super) fn is_configured(&self, queue: &str) -> bool {
        self.configured.iter().any(|known| **known == *queue)
    }

    /// Tells whether any pair was folded into `__other__`.
    pub(super) fn folds(&self) -> bool {
        self.folds
    }

    /// Says that pairs were folded before this table was made.
    pub(super) fn set_folds(&mut self) {
        self.folds = true;
    }
}
