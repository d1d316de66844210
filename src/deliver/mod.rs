//! Delivers alerts: Alertmanager, signed webhooks, the group robots of WeCom, DingTalk, Feishu and Slack, mail and SMS.
//!
//! Each target has a task of its own ([`Post`]), so that one that fails delays no other. What a target is sent, and what
//! its answer means, is pure (`robots`, `words`, `sign`); the task only paces, merges and tries again.
//!
//! Invariant: no URL and no secret of a target is in a log line, an error or a report.
//! Invariant: whatever is handed in is reported as accepted or as given up, once.

mod cut;
mod link;
mod mail;
mod post;
mod robots;
mod sign;
mod target;
#[cfg(test)]
mod tests;
mod words;

pub use link::LinkKey;
pub use post::{Job, Post, Report};
pub use robots::as_json;
pub use target::{Mail, Sms, Target, TargetKind};

use std::sync::Arc;

use arc_swap::ArcSwap;
use chrono_tz::Tz;

use crate::roster::People;

/// What every target needs to know.
#[derive(Debug)]
pub struct Context {
    /// Names, numbers and names in chat; replaced when their file changes.
    pub people: Arc<ArcSwap<People>>,
    /// The centre's zone, for times in messages.
    pub zone: Tz,
    /// Where the pages are, without a slash at the end; empty: messages have no links.
    pub base_url: String,
    /// Signs the links.
    pub key: LinkKey,
}
