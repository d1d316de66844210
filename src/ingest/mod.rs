//! Bytes in: Kafka through a consumer group, files for replay; and bytes back out: dead letters, simulated events.
//!
//! Decodes nothing, knows no event and no lake. What is read is handed to a [`Sink`] as [`Block`]s.
//!
//! Invariant: the sink's durable positions decide where reading starts; Kafka's committed offsets are hints for lag tools.
//! Invariant: a partition's blocks reach the sink in order, each record once, until the partition is revoked.
//! Invariant: a full sink slows reading down; no record is dropped, and the group is never left for it.
//! Invariant: records that Kafka no longer has are reported as a gap before reading goes on.

mod block;
mod consumer;
mod dead_letter;
mod embedded;
mod error;
mod files;
mod follow;
mod inlet;
mod native;
mod producer;
mod reader;
mod settings;

pub use block::{Block, Record};
pub use consumer::{AfterGap, Consumer, Gap, Lag, Options, Place, Remote, Sink, Start, Stats};
pub use dead_letter::{DeadLetter, DeadLetters};
pub use embedded::EmbeddedBroker;
pub use error::Error;
pub use files::{FileBlocks, LINE_MAX, Progress};
pub use follow::{Follower, Mark};
pub use inlet::{Inlet, Untaken};
pub use producer::{Feeder, create_topic, retention};

#[cfg(test)]
mod tests;
