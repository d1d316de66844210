//! What a target is: where it is, how it is spoken to, how much it takes.

use std::fmt;
use std::time::Duration;

use crate::roster::Language;

/// The kinds of targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TargetKind {
    /// JSON to any URL, signed.
    Webhook,
    /// Alertmanager's API v2.
    Alertmanager,
    /// WeCom's group robot.
    Wecom,
    /// DingTalk's group robot.
    Dingtalk,
    /// Feishu's group robot.
    Feishu,
    /// Slack's incoming webhook.
    Slack,
    /// Mail over SMTP.
    Smtp,
    /// An SMS gateway over HTTP.
    Sms,
}

impl TargetKind {
    /// Every kind.
    pub const ALL: [TargetKind; 8] = [
        TargetKind::Webhook,
        TargetKind::Alertmanager,
        TargetKind::Wecom,
        TargetKind::Dingtalk,
        TargetKind::Feishu,
        TargetKind::Slack,
        TargetKind::Smtp,
        TargetKind::Sms,
    ];

    /// Its name in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            TargetKind::Webhook => "webhook",
            TargetKind::Alertmanager => "alertmanager",
            TargetKind::Wecom => "wecom",
            TargetKind::Dingtalk => "dingtalk",
            TargetKind::Feishu => "feishu",
            TargetKind::Slack => "slack",
            TargetKind::Smtp => "smtp",
            TargetKind::Sms => "sms",
        }
    }

    /// Reads the name.
    pub fn parse(text: &str) -> Option<TargetKind> {
        TargetKind::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// Whether people read it: then messages are paced and merged.
    pub const fn is_read_by_people(self) -> bool {
        !matches!(self, TargetKind::Webhook | TargetKind::Alertmanager)
    }

    /// Messages a minute where none are configured; 0: no limit. Of the robots' makers: 20 a minute at DingTalk and WeCom,
    /// 100 at Feishu, about one a second at Slack.
    pub const fn per_minute(self) -> u32 {
        match self {
            TargetKind::Webhook | TargetKind::Alertmanager => 0,
            TargetKind::Wecom | TargetKind::Dingtalk => 20,
            TargetKind::Feishu => 100,
            TargetKind::Slack => 60,
            TargetKind::Smtp | TargetKind::Sms => 10,
        }
    }

    /// Bytes of a message's text at most. WeCom's markdown takes 4096 bytes and DingTalk's body 20,000; Feishu's takes
    /// 30 KB, Slack's text 40,000 characters. An SMS of more than some parts is hardly read.
    pub(super) const fn text_bytes(self) -> usize {
        match self {
            TargetKind::Webhook | TargetKind::Alertmanager => usize::MAX,
            TargetKind::Wecom => 4_000,
            TargetKind::Dingtalk => 15_000,
            TargetKind::Feishu => 20_000,
            TargetKind::Slack => 30_000,
            TargetKind::Smtp => 1 << 20,
            TargetKind::Sms => 400,
        }
    }

    /// Bytes of a whole body at most.
    pub(super) const fn body_bytes(self) -> usize {
        match self {
            TargetKind::Dingtalk => 20_000,
            TargetKind::Feishu => 30_000,
            _ => usize::MAX,
        }
    }
}

/// Further settings of mail.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mail {
    /// The sender.
    pub from: String,
    /// Who always gets it, beside the people on duty.
    pub to: Vec<String>,
}

/// Further settings of an SMS gateway. `{phone}` and `{text}` are replaced, in the URL and in the body.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sms {
    /// The body of a POST; empty: it is a GET.
    pub body: String,
    /// The media type of the body.
    pub content_type: String,
    /// What an answer must contain to count as accepted; empty: nothing beyond a good status.
    pub success: String,
}

/// One target. `Debug` shows neither URL nor secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    /// Its name, in labels and messages.
    pub name: String,
    /// Its kind.
    pub kind: TargetKind,
    /// Where it is; for mail `smtp://user:password@host:port` or `smtps://…`.
    pub url: String,
    /// Signs what it is sent; empty: nothing is signed.
    pub secret: String,
    /// In which language.
    pub language: Language,
    /// Messages a minute; 0: no limit.
    pub per_minute: u32,
    /// Messages to people are at least this far apart; what comes meanwhile is merged into one.
    pub group: Duration,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// How long it is tried.
    pub give_up: Duration,
    /// A word that the robot wants in every message; may be empty.
    pub keyword: String,
    /// A proxy for outgoing requests; empty: none.
    pub proxy: String,
    /// For mail.
    pub mail: Mail,
    /// For SMS.
    pub sms: Sms,
}

impl Target {
    /// A target with the usual values of its kind.
    pub fn new(name: impl Into<String>, kind: TargetKind, url: impl Into<String>) -> Target {
        Target {
            name: name.into(),
            kind,
            url: url.into(),
            secret: String::new(),
            language: Language::Chinese,
            per_minute: kind.per_minute(),
            group: Duration::from_secs(3),
            timeout: Duration::from_secs(10),
            give_up: Duration::from_secs(3_600),
            keyword: String::new(),
            proxy: String::new(),
            mail: Mail::default(),
            sms: Sms { content_type: "application/json".to_owned(), ..Sms::default() },
        }
    }

    /// The text without anything that must stay secret of this target.
    pub(super) fn redact(&self, text: &str) -> String {
        let mut text = text.to_owned();
        let query = self.url.split_once('?').map_or("", |(_, query)| query);
        let values = query.split('&').filter_map(|pair| pair.split_once('=')).map(|(_, value)| value);
        let last = self.url.rsplit('/').next().unwrap_or_default();
        for secret in values.chain([self.url.as_str(), self.secret.as_str(), last]) {
            if secret.len() >= 6 {
                text = text.replace(secret, "(not shown)");
            }
        }
        text
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Target").field("name", &self.name).field("kind", &self.kind).finish_non_exhaustive()
    }
}
