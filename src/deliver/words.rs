//! What messages say, in Chinese and English.

use chrono::DateTime;
use chrono_tz::Tz;

use super::Context;
use crate::alert::{Alert, Kind};
use crate::roster::{Language, Person};
use crate::time::Millis;

/// How a kind of target wants its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Markup {
    /// Nothing.
    Plain,
    /// Markdown of DingTalk and WeCom.
    Markdown,
    /// Slack's mrkdwn.
    Slack,
}

impl Markup {
    fn text(self, text: &str) -> String {
        match self {
            Markup::Plain => text.to_owned(),
            Markup::Slack => text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"),
            Markup::Markdown => {
                // What people said must not become markup.
                let mut escaped = String::with_capacity(text.len());
                for c in text.chars() {
                    if matches!(c, '*' | '_' | '`' | '#' | '[' | ']' | '<' | '>' | '\\') {
                        escaped.push('\\');
                    }
                    escaped.push(if c == '\n' { ' ' } else { c });
                }
                escaped
            }
        }
    }

    fn bold(self, text: &str) -> String {
        match self {
            Markup::Plain => text.to_owned(),
            Markup::Markdown => format!("**{text}**"),
            Markup::Slack => format!("*{text}*"),
        }
    }

    fn link(self, text: &str, url: &str) -> String {
        match self {
            Markup::Plain => format!("{text}: {url}"),
            Markup::Markdown => format!("[{text}]({url})"),
            Markup::Slack => format!("<{url}|{text}>"),
        }
    }

    /// Lines of one item: in Markdown a single line break is none.
    fn join(self, lines: &[String]) -> String {
        match self {
            Markup::Markdown => lines.join("\n> "),
            _ => lines.join("\n"),
        }
    }
}

fn say(language: Language, zh: &str, en: &str) -> String {
    match language {
        Language::Chinese => zh.to_owned(),
        Language::English => en.to_owned(),
    }
}

fn severity(language: Language, name: &str) -> String {
    match name {
        "critical" => say(language, "紧急", "critical"),
        "info" => say(language, "提示", "info"),
        _ => say(language, "警告", "warning"),
    }
}

fn channel(language: Language, name: &str) -> String {
    match (language, name) {
        (Language::Chinese, "voice") => "语音".to_owned(),
        (Language::Chinese, "chat") => "在线".to_owned(),
        (Language::Chinese, "email") => "邮件".to_owned(),
        (Language::Chinese, "social") => "社交".to_owned(),
        (Language::Chinese, "video") => "视频".to_owned(),
        (Language::Chinese, "sms") => "短信".to_owned(),
        (_, name) => name.to_owned(),
    }
}

fn speaker(language: Language, name: &str) -> String {
    match name {
        "customer" => say(language, "客户", "customer"),
        "agent" => say(language, "客服", "agent"),
        "bot" => say(language, "机器人", "bot"),
        _ => say(language, "系统", "system"),
    }
}

/// The wall clock of the centre, `10:02:11`.
fn clock(zone: Tz, at: Millis) -> String {
    let utc = DateTime::from_timestamp_millis(at).unwrap_or_default();
    utc.with_timezone(&zone).format("%H:%M:%S").to_string()
}

/// The title of an alert in a language.
pub(super) fn title(language: Language, alert: &Alert) -> &str {
    match language {
        Language::Chinese => &alert.cause.title_zh,
        Language::English => &alert.cause.title,
    }
}

/// One line: severity, what happened, and to what.
pub(super) fn headline(language: Language, kind: Kind, alert: &Alert) -> String {
    let mark = match kind {
        Kind::Raised => severity(language, &alert.cause.severity),
        Kind::Escalated => {
            let severity = severity(language, &alert.cause.severity);
            let escalated = say(language, "升级", "escalated");
            format!("{severity} · {escalated} {}", alert.escalations)
        }
        Kind::Resolved => say(language, "已恢复", "resolved"),
    };
    match language {
        Language::Chinese => format!("【{mark}】{}", title(language, alert)),
        Language::English => format!("[{mark}] {}", title(language, alert)),
    }
}

/// The people who are to act, as they are called; with `mention` as the target mentions them.
pub(super) fn people(context: &Context, alert: &Alert) -> Vec<Person> {
    let known = context.people.load();
    alert.people.iter().map(|id| known.get(id)).collect()
}

/// The link with which the people who were told acknowledge the alert; `None` where no pages are known.
pub(super) fn ack_link(context: &Context, alert: &Alert, now: Millis) -> Option<String> {
    if context.base_url.is_empty() {
        return None;
    }
    let token = context.key.token(alert.id(), &alert.people.join(","), now);
    Some(format!("{}/alerts?id={}&token={token}", context.base_url, alert.id()))
}

/// One alert as an item of a message.
pub(super) fn item(
    context: &Context,
    language: Language,
    markup: Markup,
    kind: Kind,
    alert: &Alert,
    now: Millis,
) -> String {
    let cause = &alert.cause;
    let mut lines = vec![markup.bold(&markup.text(&headline(language, kind, alert)))];
    let fields = [
        (say(language, "时间", "time"), clock(context.zone, cause.event_time)),
        (say(language, "队列", "queue"), cause.queue.clone()),
        (say(language, "渠道", "channel"), channel(language, &cause.channel)),
        (say(language, "部门", "department"), cause.department.clone()),
        (say(language, "客服", "agent"), cause.agent_id.clone()),
        (say(language, "联络", "contact"), cause.contact_id.clone()),
        (say(language, "单号", "case"), cause.dossier.clone()),
    ];
    let shown = fields.into_iter().filter(|(_, value)| !value.is_empty());
    let shown: Vec<String> = shown.map(|(name, value)| format!("{name} {}", markup.text(&value))).collect();
    lines.push(shown.join(" · "));
    if kind == Kind::Resolved {
        let by = if alert.resolved_by.is_empty() { "callpulse" } else { alert.resolved_by.as_str() };
        lines.push(format!("{} {}", say(language, "处理人", "resolved by"), markup.text(by)));
        return markup.join(&lines);
    }
    for quote in &cause.evidence {
        let who = speaker(language, &quote.speaker);
        let at = clock(context.zone, quote.time);
        let phrase = match quote.phrase.as_str() {
            "" => String::new(),
            phrase => format!(" ({})", markup.text(phrase)),
        };
        let words = markup.text(&quote.text);
        lines.push(match language {
            Language::Chinese => format!("{who} {at}：「{words}」{phrase}"),
            Language::English => format!("{who} {at}: \"{words}\"{phrase}"),
        });
    }
    if !cause.figures.is_empty() {
        let figures =
            cause.figures.iter().map(|(name, value)| format!("{} {}", markup.text(name), number(*value)));
        lines.push(figures.collect::<Vec<_>>().join(" · "));
    }
    let advice = match language {
        Language::Chinese => &cause.advice_zh,
        Language::English => &cause.advice,
    };
    if !advice.is_empty() {
        lines.push(format!("{}{}", say(language, "建议：", "advice: "), markup.text(advice)));
    }
    if alert.unstaffed {
        lines.push(say(language, "当前无人值班，已通知后备人员", "nobody is on duty: the fallback was told"));
    }
    if let Some(link) = ack_link(context, alert, now) {
        lines.push(markup.link(&say(language, "确认接手", "acknowledge"), &link));
    }
    markup.join(&lines)
}

/// A number as people read it: whole ones without a fraction, others with three digits of it.
fn number(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e15 {
        return format!("{value:.0}");
    }
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The first line of a message about several alerts.
pub(super) fn summary(language: Language, count: usize) -> String {
    match language {
        Language::Chinese => format!("共 {count} 条告警"),
        Language::English => format!("{count} alerts"),
    }
}
