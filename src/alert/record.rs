//! One alert, and what is sent about it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::event::Role;
use crate::facts::{AlertRow, AlertRows};
use crate::rules::{Notify, Raised};
use crate::time::{Grid, Millis};

/// Where an alert is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It came true; no target has taken it yet.
    Raised,
    /// At least one target has taken it.
    Delivered,
    /// Somebody takes care of it.
    Acknowledged,
    /// It is over.
    Resolved,
    /// Nobody resolved it in time, or it was too old to be sent.
    Expired,
}

impl Status {
    /// The word in tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Status::Raised => "raised",
            Status::Delivered => "delivered",
            Status::Acknowledged => "acknowledged",
            Status::Resolved => "resolved",
            Status::Expired => "expired",
        }
    }

    /// Whether somebody may still have to do something.
    pub const fn is_open(self) -> bool {
        matches!(self, Status::Raised | Status::Delivered | Status::Acknowledged)
    }
}

/// What somebody said that caused an alert.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are those of rules::Evidence")]
pub struct Quote {
    pub speaker: String,
    pub time: Millis,
    pub text: String,
    pub phrase: String,
    pub category: String,
    pub start: u32,
    pub end: u32,
    pub score: f32,
}

/// Something that came true and that an alert is made of.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Cause {
    /// Names the alert.
    pub id: String,
    /// The rule.
    pub rule: String,
    /// info, warning or critical.
    pub severity: String,
    /// What it says, in English.
    pub title: String,
    /// What it says, in Chinese.
    pub title_zh: String,
    /// What to do, in English; may be empty.
    pub advice: String,
    /// What to do, in Chinese; may be empty.
    pub advice_zh: String,
    /// Who is told first: `supervisor`, `lead` or `agent`.
    pub notify: String,
    /// `callpulse` or `alertmanager`.
    pub source: String,
    /// The contact.
    pub contact_id: String,
    /// The queue.
    pub queue: String,
    /// The channel.
    pub channel: String,
    /// The department.
    pub department: String,
    /// The agent.
    pub agent_id: String,
    /// The customer.
    pub customer_id: String,
    /// The customer's tier.
    pub tier: String,
    /// The complaint or promise.
    pub dossier: String,
    /// The words behind it.
    pub evidence: Vec<Quote>,
    /// The figures behind it.
    pub figures: BTreeMap<String, f64>,
    /// When it came true, event time.
    pub event_time: Millis,
    /// After how long without an answer the next level is told, ms; `None`: as configured.
    pub escalate_ms: Option<Millis>,
}

impl From<Raised> for Cause {
    fn from(raised: Raised) -> Cause {
        let (rule, subject) = (&raised.rule, raised.subject);
        let notify = match rule.notify {
            Notify::Agent => "agent",
            Notify::Role(role) => role.as_str(),
        };
        let quote = |evidence: crate::rules::Evidence| Quote {
            speaker: evidence.speaker.as_str().to_owned(),
            time: evidence.time,
            text: evidence.text,
            phrase: evidence.phrase,
            category: evidence.category,
            start: evidence.start,
            end: evidence.end,
            score: evidence.score,
        };
        Cause {
            id: raised.id,
            rule: rule.name.clone(),
            severity: rule.severity.as_str().to_owned(),
            title: rule.title.en.clone(),
            title_zh: rule.title.zh.clone(),
            advice: rule.advice.en.clone(),
            advice_zh: rule.advice.zh.clone(),
            notify: notify.to_owned(),
            source: "callpulse".to_owned(),
            contact_id: subject.contact_id,
            queue: subject.queue,
            channel: subject.channel,
            department: subject.department,
            agent_id: subject.agent_id,
            customer_id: subject.customer_id,
            tier: subject.tier,
            dossier: subject.dossier,
            evidence: raised.evidence.into_iter().map(quote).collect(),
            figures: raised.values.into_iter().collect(),
            event_time: raised.time,
            escalate_ms: rule.escalate_ms,
        }
    }
}

/// Why something is sent about an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// It is new.
    Raised,
    /// Nobody answered, or an acknowledgement expired.
    Escalated,
    /// It is over.
    Resolved,
}

/// One alert.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// What came true.
    #[serde(flatten)]
    pub cause: Cause,
    /// Where it is in its life.
    pub status: Status,
    /// When it was raised.
    pub raised_at: Millis,
    /// When the first target took it.
    pub delivered_at: Option<Millis>,
    /// When somebody acknowledged it first.
    pub acknowledged_at: Option<Millis>,
    /// Who acknowledged it last.
    pub acknowledged_by: String,
    /// When the acknowledgement expires.
    pub ack_expires_at: Option<Millis>,
    /// When it was last escalated.
    pub escalated_at: Option<Millis>,
    /// How often it was escalated.
    pub escalations: u32,
    /// When the next level is told, if nobody answers.
    pub escalate_at: Option<Millis>,
    /// When it was over.
    pub resolved_at: Option<Millis>,
    /// Who resolved it.
    pub resolved_by: String,
    /// When nobody had resolved it in time.
    pub expired_at: Option<Millis>,
    /// Who was told last.
    pub people: Vec<String>,
    /// Everybody who was told.
    pub notified: BTreeSet<String>,
    /// Nobody of the wanted role was on duty.
    pub unstaffed: bool,
    /// A silence kept it from being sent.
    pub silenced: bool,
    /// Remarks.
    pub note: String,
    /// What still has to reach which target.
    pub pending: BTreeMap<String, Kind>,
    /// Number of changes.
    pub revision: i64,
}

impl Alert {
    pub(super) fn new(cause: Cause, now: Millis) -> Alert {
        Alert {
            cause,
            status: Status::Raised,
            raised_at: now,
            delivered_at: None,
            acknowledged_at: None,
            acknowledged_by: String::new(),
            ack_expires_at: None,
            escalated_at: None,
            escalations: 0,
            escalate_at: None,
            resolved_at: None,
            resolved_by: String::new(),
            expired_at: None,
            people: Vec::new(),
            notified: BTreeSet::new(),
            unstaffed: false,
            silenced: false,
            note: String::new(),
            pending: BTreeMap::new(),
            revision: 0,
        }
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.cause.id
    }

    /// Adds to the remarks, once.
    pub(super) fn remark(&mut self, text: &str) {
        if !self.note.contains(text) {
            let between = if self.note.is_empty() { "" } else { "; " };
            self.note.push_str(between);
            self.note.push_str(text);
        }
    }

    /// The role that is told first; `None`: the agent of the contact.
    pub(super) fn first_role(&self) -> Option<Role> {
        match self.cause.notify.as_str() {
            "agent" => None,
            name => Some(Role::parse(name).unwrap_or(Role::Supervisor)),
        }
    }

    /// When it was over, one way or another.
    pub fn closed_at(&self) -> Option<Millis> {
        self.resolved_at.or(self.expired_at)
    }

    /// The phrases that caused it, as `category:phrase` separated by semicolons.
    pub fn phrases(&self) -> String {
        let quotes = self.cause.evidence.iter().filter(|quote| !quote.phrase.is_empty());
        let mut phrases: Vec<String> =
            quotes.map(|quote| format!("{}:{}", quote.category, quote.phrase)).collect();
        phrases.dedup();
        phrases.join(";")
    }

    /// Adds its row.
    pub fn write(&self, grid: &Grid, rows: &mut AlertRows) {
        fn some(text: &str) -> Option<&str> {
            Some(text).filter(|text| !text.is_empty())
        }
        let cause = &self.cause;
        let phrases = self.phrases();
        let json = |value: serde_json::Result<String>| value.ok();
        let evidence =
            if cause.evidence.is_empty() { None } else { json(serde_json::to_string(&cause.evidence)) };
        let figures =
            if cause.figures.is_empty() { None } else { json(serde_json::to_string(&cause.figures)) };
        let notified = self.notified.iter().map(String::as_str).collect::<Vec<_>>().join(";");
        rows.push(&AlertRow {
            alert_id: Some(&cause.id),
            rule: Some(&cause.rule),
            severity: Some(&cause.severity),
            status: Some(self.status.as_str()),
            title: Some(&cause.title),
            title_zh: Some(&cause.title_zh),
            source: Some(&cause.source),
            contact_id: some(&cause.contact_id),
            queue: some(&cause.queue),
            channel: some(&cause.channel),
            department: some(&cause.department),
            agent_id: some(&cause.agent_id),
            customer_id: some(&cause.customer_id),
            tier: some(&cause.tier),
            dossier: some(&cause.dossier),
            phrases: some(&phrases),
            evidence: evidence.as_deref(),
            figures: figures.as_deref(),
            event_time: Some(cause.event_time),
            raised_at: Some(self.raised_at),
            delivered_at: self.delivered_at,
            acknowledged_at: self.acknowledged_at,
            acknowledged_by: some(&self.acknowledged_by),
            ack_expires_at: self.ack_expires_at,
            time_to_acknowledge_ms: self.acknowledged_at.map(|at| at - self.raised_at),
            escalated_at: self.escalated_at,
            escalations: Some(i64::from(self.escalations)),
            resolved_at: self.resolved_at,
            resolved_by: some(&self.resolved_by),
            expired_at: self.expired_at,
            notified: some(&notified),
            unstaffed: Some(self.unstaffed),
            note: some(&self.note),
            revision: Some(self.revision),
            date: Some(grid.date(cause.event_time)),
        });
    }
}

/// An alert that has been over for long: all that is still known of it, so that a replay does not raise it anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Over {
    /// The alert's id.
    pub over: String,
    /// When it was over.
    pub closed_at: Millis,
}

/// Something to be sent to one target.
#[derive(Debug, Clone, PartialEq)]
pub struct Dispatch {
    /// The target.
    pub target: String,
    /// Why.
    pub kind: Kind,
    /// The alert as it is now.
    pub alert: Alert,
}
