//! What the configuration says about alerts: files, times, and where they are sent.

use std::fmt;

use super::fault::nearest;
use super::section::Section;
use crate::deliver::TargetKind;
use crate::rules::Severity;

/// How alerts live. Numbers are in the units of their names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alerts {
    /// How long an acknowledgement holds.
    pub ack_minutes: i64,
    /// After how long without an answer the next level is told; 0: never.
    pub escalate_warning_secs: i64,
    /// The same for critical alerts.
    pub escalate_critical_secs: i64,
    /// How often at most.
    pub escalations_max: i64,
    /// After how long an alert that nobody resolved expires.
    pub expire_hours: i64,
    /// An alert whose event is older than this is kept and not sent.
    pub stale_secs: i64,
    /// Who is told where nobody is on duty, and last of all.
    pub fallback: Vec<String>,
    /// Where people reach the pages; empty: on the address that is listened on.
    pub public_url: String,
    /// Where the outbox is kept; empty: beside the lake.
    pub outbox: String,
}

/// Where alerts are sent. `Debug` shows neither URL nor secret.
#[derive(Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are the keys of config/default.toml")]
pub struct Notify {
    pub name: String,
    pub kind: TargetKind,
    pub url: String,
    pub secret: String,
    pub language: String,
    pub min_severity: Severity,
    pub queues: Vec<String>,
    pub rules: Vec<String>,
    pub resolved: bool,
    pub per_minute: Option<i64>,
    pub group_secs: i64,
    pub timeout_secs: i64,
    pub give_up_secs: i64,
    pub keyword: String,
    pub proxy: String,
    pub from: String,
    pub to: Vec<String>,
    pub body: String,
    pub content_type: String,
    pub success: String,
}

impl fmt::Debug for Notify {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Notify").field("name", &self.name).field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// The longest time that a key takes, in seconds: a year.
const SECS_MAX: i64 = 366 * 86_400;

pub(super) fn read_alerts(mut section: Section<'_>, keys: &[String]) -> Alerts {
    let alerts = Alerts {
        ack_minutes: section.integer("ack_minutes", 1..=SECS_MAX / 60),
        escalate_warning_secs: section.integer("escalate_warning_secs", 0..=SECS_MAX),
        escalate_critical_secs: section.integer("escalate_critical_secs", 0..=SECS_MAX),
        escalations_max: section.integer("escalations_max", 0..=1_000),
        expire_hours: section.integer("expire_hours", 1..=SECS_MAX / 3_600),
        stale_secs: section.integer("stale_secs", 1..=SECS_MAX),
        fallback: texts(section.text_list("fallback")),
        public_url: section.text("public_url").trim_end_matches('/').to_owned(),
        outbox: section.text("outbox"),
    };
    let url = &alerts.public_url;
    if !url.is_empty() && !url.starts_with("http://") && !url.starts_with("https://") {
        let message = format!(
            "`{}` is no URL of pages: `{}`",
            section.name("public_url"),
            section.written("public_url")
        );
        section.refuse("public_url", message, Some("write `https://callpulse.example`".to_owned()));
    }
    section.finish(keys);
    alerts
}

/// Names that are not empty.
pub(super) fn texts(list: Vec<String>) -> Vec<String> {
    list.into_iter().filter(|text| !text.is_empty()).collect()
}

pub(super) fn read_notify(sections: Vec<Section<'_>>, keys: &[String]) -> Vec<Notify> {
    let mut targets: Vec<Notify> = Vec::new();
    for mut section in sections {
        let name = section.text("name");
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if section.has_text("name") && (name.is_empty() || !name.chars().all(plain)) {
            let message = format!("`{}` is no name of a target", section.written("name"));
            section.refuse("name", message, Some("letters a-z, digits, `_` and `-`".to_owned()));
        }
        if targets.iter().any(|target| target.name == name) && !name.is_empty() {
            section.refuse("name", format!("the target `{}` is listed twice", section.written("name")), None);
        }
        let kind = closed(&mut section, "kind", TargetKind::ALL.map(TargetKind::as_str).as_slice(), None)
            .and_then(|word| TargetKind::parse(&word));
        let severity = closed(
            &mut section,
            "min_severity",
            Severity::ALL.map(Severity::as_str).as_slice(),
            Some("info"),
        );
        let language = closed(&mut section, "language", &["zh", "en"], Some("zh"));
        let url = section.text("url");
        if section.has_text("url") && url.is_empty() {
            section.refuse("url", format!("`{}` is empty", section.name("url")), None);
        }
        let mut list = |key| match section.optional_text_list(key) {
            Some(list) => texts(list),
            None => Vec::new(),
        };
        let (queues, rules, to) = (list("queues"), list("rules"), list("to"));
        let mut text = |key| section.optional_text(key).unwrap_or_default();
        let (secret, keyword, proxy, from, body, success) =
            (text("secret"), text("keyword"), text("proxy"), text("from"), text("body"), text("success"));
        let content_type = section.optional_text("content_type");
        let target = Notify {
            kind: kind.unwrap_or(TargetKind::Webhook),
            min_severity: severity.and_then(|word| Severity::parse(&word)).unwrap_or(Severity::Info),
            language: language.unwrap_or_default(),
            resolved: section.optional_flag("resolved").unwrap_or(true),
            per_minute: section.optional_integer("per_minute", 0..=100_000),
            group_secs: section.optional_integer("group_secs", 0..=3_600).unwrap_or(3),
            timeout_secs: section.optional_integer("timeout_secs", 1..=600).unwrap_or(10),
            give_up_secs: section.optional_integer("give_up_secs", 1..=SECS_MAX).unwrap_or(3_600),
            content_type: content_type.unwrap_or_else(|| "application/json".to_owned()),
            name,
            url,
            secret,
            queues,
            rules,
            keyword,
            proxy,
            from,
            to,
            body,
            success,
        };
        if target.kind == TargetKind::Smtp && target.from.is_empty() {
            let hint = Some("write `from = \"callpulse@example.com\"`".to_owned());
            section.refuse("from", "mail needs a sender: `from` is missing".to_owned(), hint);
        }
        section.finish(keys);
        targets.push(target);
    }
    targets
}

/// A word of a closed list; `default` where the key is absent, or a fault without one.
fn closed(
    section: &mut Section<'_>,
    key: &'static str,
    known: &[&str],
    default: Option<&str>,
) -> Option<String> {
    let text = match default {
        Some(default) => section.optional_text(key).unwrap_or_else(|| default.to_owned()),
        None => section.text(key),
    };
    if known.contains(&text.as_str()) {
        return Some(text);
    }
    if section.has_text(key) {
        let hint = match nearest(&text, known.iter().copied()) {
            Some(near) => format!("the nearest is `{near}`"),
            None => format!("known are `{}`", known.join("`, `")),
        };
        section.refuse(
            key,
            format!("unknown `{}`: `{}`", section.name(key), section.written(key)),
            Some(hint),
        );
    }
    None
}
