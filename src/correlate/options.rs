//! What the correlator is told: thresholds, time-outs, and what the queues are.

use hashbrown::HashMap;

use crate::calendar::Deadlines;
use crate::event::Channel;
use crate::time::{Grid, Millis};

/// What holds for one queue.
#[derive(Debug, Clone, PartialEq)]
pub struct QueueRules {
    /// A wait up to this counts as in time, ms.
    pub target_wait_ms: i64,
    /// A customer who hangs up before this is a short abandon, ms.
    pub short_abandon_ms: i64,
    /// The queue's department, where the configuration names it.
    pub department: Option<String>,
}

/// What quality goes by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quality {
    /// A customer who has waited this long on one question was left waiting, ms.
    pub answer_ms: Millis,
    /// A greeting comes this soon after the answer, or with the agent's first words, ms.
    pub greeting_ms: Millis,
    /// Queues of machines, to which agents must not pass customers.
    pub self_service_queues: Vec<String>,
    /// By when complaints must be called back about.
    pub deadlines: Deadlines,
}

/// The rules of the correlator.
#[derive(Debug, Clone)]
pub struct Options {
    /// The centre's slots and dates.
    pub grid: Grid,
    /// The watermark is the newest event time minus this, ms.
    pub lateness_ms: Millis,
    /// After a contact has closed, events may restate it for this long, ms of event time.
    pub correlation_ms: Millis,
    /// A handling without a wrap-up closes this long after its end, ms.
    pub acw_timeout_ms: Millis,
    /// A contact that never ends is closed this long after its last event, ms, by channel
    /// (in the order of [`Channel::ALL`]).
    pub contact_timeout_ms: [Millis; 6],
    /// Queues that the configuration names.
    pub queues: HashMap<String, QueueRules>,
    /// Every other queue.
    pub defaults: QueueRules,
    /// What quality goes by.
    pub quality: Quality,
    /// Whether the raw events are kept in the table `events`.
    pub keep_events: bool,
    /// Forgets no contact: for input that is not in time order and that ends (a replay of unordered files).
    pub unordered: bool,
}

impl Options {
    /// The rules of this queue.
    pub fn queue(&self, name: &str) -> &QueueRules {
        self.queues.get(name).unwrap_or(&self.defaults)
    }

    /// How long after its last event a contact of this channel is given up, ms.
    pub fn contact_timeout(&self, channel: Channel) -> Millis {
        self.contact_timeout_ms[channel as usize]
    }
}
