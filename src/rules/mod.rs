//! Rules: what in a contact or in the figures is worth somebody's attention, decided while it happens.
//!
//! A rule is a tree of conditions over one contact ([`Watch`]) or over figures of queues and of the pipeline ([`Fleet`]).
//! Reads no file and no clock, sends nothing: events, figures and the present are handed in, [`Signal`]s come out.
//!
//! Invariant: what a rule raises has an id that is a function of the rule, of what it is about and of the event that caused
//! it; the same events give the same ids, so whoever keeps alerts can tell a replay from something new.
//! Invariant: a file with a fault gives no rules at all.

mod codec;
mod contact;
mod fleet;
mod plan;
mod read;
mod rule;
mod test;
#[cfg(test)]
mod tests;
mod tree;
mod watch;

pub use fleet::{Figures, Fleet, Opened, SeriesFigures};
pub use plan::{PlanWatch, PlannedSlot};
pub use read::read;
pub use rule::{About, Notify, Rule, Rules, Scope, Severity, Text};
pub use tree::Fault;
pub use watch::Watch;

use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use crate::event::Speaker;
use crate::time::Millis;

/// The rules that are shipped, in the order in which they are read where none are configured.
pub const SHIPPED: &str = include_str!("../../config/rules.toml");

/// A phrase that was found in an utterance. Offsets are bytes of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// What the phrase stands for.
    pub category: Arc<str>,
    /// The phrase of the word list.
    pub phrase: Arc<str>,
    /// The first byte.
    pub start: u32,
    /// The byte after the last one.
    pub end: u32,
    /// The phrase is denied; it does not count.
    pub negated: bool,
}

/// What was read in an utterance.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Reading {
    /// Sentiment, -1 to 1.
    pub score: f32,
    /// Phrases, in order.
    pub hits: Vec<Hit>,
}

/// What somebody said that caused an alert, word for word.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// Who said it.
    pub speaker: Speaker,
    /// When.
    pub time: Millis,
    /// What was said, masked; the beginning of it where it is long.
    pub text: String,
    /// The phrase that counted; empty where the sentiment did.
    pub phrase: String,
    /// What the phrase stands for.
    pub category: String,
    /// Its first byte in the text.
    pub start: u32,
    /// The byte after its last one.
    pub end: u32,
    /// Sentiment of the utterance, -1 to 1.
    pub score: f32,
}

/// What an alert is about. What is empty does not apply or is not known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the fields are those of the events")]
pub struct Subject {
    pub contact_id: String,
    pub queue: String,
    pub channel: String,
    pub department: String,
    pub agent_id: String,
    pub customer_id: String,
    pub tier: String,
    /// The complaint or promise, where the alert is about one.
    pub dossier: String,
}

/// A rule that came true.
#[derive(Debug, Clone, PartialEq)]
pub struct Raised {
    /// Names the alert; the same cause gives the same id.
    pub id: String,
    /// The rule as it was.
    pub rule: Arc<Rule>,
    /// What it is about.
    pub subject: Subject,
    /// When it came true: the time of the event, or when a limit was reached.
    pub time: Millis,
    /// The words behind it.
    pub evidence: Vec<Evidence>,
    /// The figures behind it, by name.
    pub values: Vec<(String, f64)>,
}

/// What a watcher has to say.
#[derive(Debug, Clone, PartialEq)]
pub enum Signal {
    /// A rule came true.
    Raised(Box<Raised>),
    /// What a rule was true of is over.
    Cleared {
        /// The alert.
        id: String,
        /// When it was over.
        time: Millis,
    },
    /// A contact has ended; told for rules over several contacts of an agent.
    Ended {
        /// The contact.
        subject: Subject,
        /// When.
        time: Millis,
        /// The customer's lowest score; `None` where nothing of the customer was read.
        lowest: Option<f32>,
    },
}

/// The id of an alert.
pub(crate) fn alert_id(rule: &str, subject: &str, cause: &str) -> String {
    let mut bytes = Vec::with_capacity(rule.len() + subject.len() + cause.len() + 2);
    for (at, part) in [rule, subject, cause].into_iter().enumerate() {
        if at > 0 {
            bytes.push(0);
        }
        bytes.extend_from_slice(part.as_bytes());
    }
    format!("{:016x}", xxh3_64(&bytes))
}
