//! What each kind of target is sent over HTTP, and what its answers mean.

use serde_json::{Value, json};
use url::Url;

use super::cut::{cut, parts};
use super::post::Job;
use super::target::{Target, TargetKind};
use super::words::{self, Markup};
use super::{Context, sign};
use crate::alert::{Alert, Kind};
use crate::roster::{Language, Person};
use crate::time::{Millis, format_time};

/// One HTTP request. Not shown by `Debug`, since the URL of a robot is its secret.
pub(super) struct Request {
    pub(super) get: bool,
    pub(super) url: String,
    pub(super) content_type: String,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
}

/// What became of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It was taken.
    Accepted,
    /// It may be taken later; why.
    Later(String),
    /// It is sent too fast; why.
    TooFast(String),
    /// It never will be; why.
    Refused(String),
}

/// Alerts of one request to a machine at most.
pub(super) const BATCH_MAX: usize = 100;
/// How long Alertmanager takes an alert for firing that it hears nothing more of.
const FIRING: Millis = 5 * 60_000;

/// The requests with which these jobs are told to a target at `now` (the real time, in ms).
pub(super) fn requests(
    target: &Target,
    context: &Context,
    jobs: &[Job],
    now: Millis,
) -> Result<Vec<Request>, String> {
    match target.kind {
        TargetKind::Webhook => Ok(vec![webhook(target, context, jobs, now)]),
        TargetKind::Alertmanager => Ok(vec![alertmanager(target, jobs, now)]),
        TargetKind::Wecom | TargetKind::Dingtalk | TargetKind::Feishu | TargetKind::Slack => {
            robot(target, context, jobs, now)
        }
        TargetKind::Sms => sms(target, context, jobs),
        TargetKind::Smtp => Err("mail is not sent over HTTP".to_owned()),
    }
}

fn post(url: impl Into<String>, body: &Value) -> Request {
    Request {
        get: false,
        url: url.into(),
        content_type: "application/json; charset=utf-8".to_owned(),
        headers: Vec::new(),
        body: body.to_string().into_bytes(),
    }
}

/// An alert as our own JSON has it: times in RFC 3339, what is not known null.
pub fn as_json(alert: &Alert, kind: Option<Kind>) -> Value {
    let cause = &alert.cause;
    let time = |at: Option<Millis>| at.map(format_time);
    let text = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    let quotes: Vec<Value> = cause
        .evidence
        .iter()
        .map(|quote| {
            json!({
                "speaker": quote.speaker, "time": format_time(quote.time), "text": quote.text,
                "phrase": text(&quote.phrase), "category": text(&quote.category),
                "start": quote.start, "end": quote.end, "score": quote.score,
            })
        })
        .collect();
    json!({
        "kind": kind, "id": cause.id, "rule": cause.rule, "severity": cause.severity, "status": alert.status,
        "title": cause.title, "title_zh": cause.title_zh,
        "advice": text(&cause.advice), "advice_zh": text(&cause.advice_zh), "source": cause.source,
        "contact_id": text(&cause.contact_id), "queue": text(&cause.queue), "channel": text(&cause.channel),
        "department": text(&cause.department), "agent_id": text(&cause.agent_id),
        "customer_id": text(&cause.customer_id), "tier": text(&cause.tier), "dossier": text(&cause.dossier),
        "phrases": text(&alert.phrases()), "evidence": quotes, "figures": cause.figures,
        "event_time": format_time(cause.event_time), "raised_at": format_time(alert.raised_at),
        "delivered_at": time(alert.delivered_at), "acknowledged_at": time(alert.acknowledged_at),
        "acknowledged_by": text(&alert.acknowledged_by), "ack_expires_at": time(alert.ack_expires_at),
        "escalated_at": time(alert.escalated_at), "escalations": alert.escalations,
        "resolved_at": time(alert.resolved_at), "resolved_by": text(&alert.resolved_by),
        "expired_at": time(alert.expired_at), "people": alert.people, "unstaffed": alert.unstaffed,
        "note": text(&alert.note), "revision": alert.revision,
    })
}

fn webhook(target: &Target, context: &Context, jobs: &[Job], now: Millis) -> Request {
    let alerts = jobs.iter().map(|job| {
        let alert = &job.dispatch.alert;
        let mut value = as_json(alert, Some(job.dispatch.kind));
        if let Value::Object(members) = &mut value {
            let people = words::people(context, alert)
                .into_iter()
                .map(|person| json!({ "id": person.id, "name": person.name }));
            members.insert("people".to_owned(), people.collect());
            members.insert("ack_url".to_owned(), json!(words::ack_link(context, alert, now)));
        }
        value
    });
    let body = json!({ "version": "1", "source": "callpulse", "alerts": alerts.collect::<Vec<_>>() });
    let mut request = post(&target.url, &body);
    if !target.secret.is_empty() {
        let signature = sign::webhook(&target.secret, now, &request.body);
        request.headers =
            vec![("x-callpulse-timestamp", now.to_string()), ("x-callpulse-signature", signature)];
    }
    request
}

fn alertmanager(target: &Target, jobs: &[Job], now: Millis) -> Request {
    let alerts = jobs.iter().map(|job| {
        let (alert, cause) = (&job.dispatch.alert, &job.dispatch.alert.cause);
        let labels = [
            ("alertname", cause.rule.as_str()),
            ("severity", &cause.severity),
            ("source", "callpulse"),
            ("alert_id", &cause.id),
            ("queue", &cause.queue),
            ("channel", &cause.channel),
            ("department", &cause.department),
            ("contact_id", &cause.contact_id),
            ("agent_id", &cause.agent_id),
        ];
        // An empty label is no label to Alertmanager.
        let labels = labels.into_iter().filter(|(_, value)| !value.is_empty());
        let labels: serde_json::Map<String, Value> =
            labels.map(|(name, value)| (name.to_owned(), json!(value))).collect();
        let quotes: Vec<&str> = cause.evidence.iter().map(|quote| quote.text.as_str()).collect();
        let ends_at = alert.closed_at().unwrap_or(now + FIRING);
        json!({
            "labels": labels,
            "annotations": {
                "summary": words::title(target.language, alert),
                "description": quotes.join("\n"),
                "people": alert.people.join(","),
            },
            "startsAt": format_time(alert.raised_at.min(now)),
            "endsAt": format_time(if alert.closed_at().is_some() { ends_at.min(now) } else { ends_at }),
        })
    });
    let url =
        format!("{}/api/v2/alerts", target.url.trim_end_matches('/').trim_end_matches("/api/v2/alerts"));
    post(url, &Value::Array(alerts.collect()))
}

/// Everybody who is to act on any of these, each once.
fn everybody(context: &Context, jobs: &[Job]) -> Vec<Person> {
    let mut people: Vec<Person> = Vec::new();
    for job in jobs.iter().filter(|job| job.dispatch.kind != Kind::Resolved) {
        for person in words::people(context, &job.dispatch.alert) {
            if !people.iter().any(|known| known.id == person.id) {
                people.push(person);
            }
        }
    }
    people
}

fn robot(target: &Target, context: &Context, jobs: &[Job], now: Millis) -> Result<Vec<Request>, String> {
    let people = everybody(context, jobs);
    let markup = match target.kind {
        TargetKind::Slack => Markup::Slack,
        TargetKind::Feishu => Markup::Plain,
        _ => Markup::Markdown,
    };
    let mut head: Vec<String> = Vec::new();
    if !target.keyword.is_empty() {
        head.push(target.keyword.clone());
    }
    if jobs.len() > 1 {
        head.push(words::summary(target.language, jobs.len()));
    }
    let mentions: Vec<String> = people.iter().map(|person| mention(target.kind, person)).collect();
    head.extend((!mentions.is_empty()).then(|| mentions.join(" ")));
    let head = head.join(" ");
    let items: Vec<String> = jobs
        .iter()
        .map(|job| words::item(context, target.language, markup, job.dispatch.kind, &job.dispatch.alert, now))
        .collect();
    let title = match jobs {
        [job] => words::headline(target.language, job.dispatch.kind, &job.dispatch.alert),
        jobs => words::summary(target.language, jobs.len()),
    };
    // The limit of the whole body counts escapes too, so the text is made smaller until the body fits.
    let mut bytes = target.kind.text_bytes();
    loop {
        let head = cut(&head, bytes / 2);
        let room = bytes.saturating_sub(head.len() + 2).max(1);
        let made: Vec<Request> = parts(&items, room)
            .into_iter()
            .map(|part| {
                let text = if head.is_empty() { part } else { format!("{head}\n\n{part}") };
                robot_request(target, &title, &text, &people, now)
            })
            .collect::<Result<_, _>>()?;
        if bytes < 256 || made.iter().all(|request| request.body.len() <= target.kind.body_bytes()) {
            return Ok(made);
        }
        bytes = bytes * 3 / 4;
    }
}

/// The number by which DingTalk knows somebody.
fn dingtalk_mobile(person: &Person) -> &str {
    if person.dingtalk.is_empty() { &person.phone } else { &person.dingtalk }
}

/// How a target mentions somebody inside the text; by name where it cannot.
fn mention(kind: TargetKind, person: &Person) -> String {
    let plain = format!("@{}", person.name);
    match kind {
        TargetKind::Wecom if !person.wecom.is_empty() => format!("<@{}>", person.wecom),
        // The number must stand in the text, else nobody is mentioned.
        TargetKind::Dingtalk if !dingtalk_mobile(person).is_empty() => {
            format!("{plain} @{}", dingtalk_mobile(person))
        }
        TargetKind::Feishu if !person.feishu.is_empty() => {
            format!("<at user_id=\"{}\">{}</at>", person.feishu, person.name)
        }
        TargetKind::Slack if !person.slack.is_empty() => format!("<@{}>", person.slack),
        _ => plain,
    }
}

fn robot_request(
    target: &Target,
    title: &str,
    text: &str,
    people: &[Person],
    now: Millis,
) -> Result<Request, String> {
    Ok(match target.kind {
        TargetKind::Wecom => {
            // Markdown mentions by user id only; who has no more than a number is mentioned by a text message.
            let mobiles: Vec<&str> = people
                .iter()
                .filter(|person| person.wecom.is_empty() && !person.phone.is_empty())
                .map(|person| person.phone.as_str())
                .collect();
            let body = if mobiles.is_empty() {
                json!({ "msgtype": "markdown", "markdown": { "content": text } })
            } else {
                let ids: Vec<&str> =
                    people.iter().map(|person| person.wecom.as_str()).filter(|id| !id.is_empty()).collect();
                // A text message takes 2048 bytes.
                json!({
                    "msgtype": "text",
                    "text": { "content": cut(text, 2_048), "mentioned_list": ids, "mentioned_mobile_list": mobiles },
                })
            };
            post(&target.url, &body)
        }
        TargetKind::Dingtalk => {
            let mobiles: Vec<&str> =
                people.iter().map(dingtalk_mobile).filter(|mobile| !mobile.is_empty()).collect();
            let body = json!({
                "msgtype": "markdown",
                "markdown": { "title": cut(title, 200), "text": text },
                "at": { "atMobiles": mobiles, "isAtAll": false },
            });
            let mut url = target.url.clone();
            if !target.secret.is_empty() {
                let mut signed = Url::parse(&url).map_err(|_| "its URL cannot be read".to_owned())?;
                let signature = sign::dingtalk(&target.secret, now);
                signed
                    .query_pairs_mut()
                    .append_pair("timestamp", &now.to_string())
                    .append_pair("sign", &signature);
                url = signed.into();
            }
            post(url, &body)
        }
        TargetKind::Feishu => {
            let mut body = json!({ "msg_type": "text", "content": { "text": text } });
            if !target.secret.is_empty() {
                let secs = now / 1_000;
                body["timestamp"] = json!(secs.to_string());
                body["sign"] = json!(sign::feishu(&target.secret, secs));
            }
            post(&target.url, &body)
        }
        _ => post(&target.url, &json!({ "text": text })),
    })
}

fn sms(target: &Target, context: &Context, jobs: &[Job]) -> Result<Vec<Request>, String> {
    let phones: Vec<String> = everybody(context, jobs)
        .into_iter()
        .map(|person| person.phone)
        .filter(|phone| !phone.is_empty())
        .collect();
    if phones.is_empty() {
        return Err("nobody who was told has a telephone number".to_owned());
    }
    let lines: Vec<String> = jobs
        .iter()
        .map(|job| {
            let (kind, alert) = (job.dispatch.kind, &job.dispatch.alert);
            let place =
                [&alert.cause.queue, &alert.cause.contact_id].into_iter().filter(|part| !part.is_empty());
            let place: Vec<&str> = place.map(String::as_str).collect();
            format!("{} {}", words::headline(target.language, kind, alert), place.join(" "))
        })
        .collect();
    let mut text = lines.join("; ");
    if jobs.len() > 1 {
        text = format!("{}: {text}", words::summary(target.language, jobs.len()));
    }
    let text = cut(&format!("{}{text}", target.keyword), target.kind.text_bytes());
    let request = |phone: &String| {
        let encoded =
            |value: &str| url::form_urlencoded::byte_serialize(value.as_bytes()).collect::<String>();
        let url = target.url.replace("{phone}", &encoded(phone)).replace("{text}", &encoded(&text));
        let quoted = |value: &str| {
            let quoted = Value::String(value.to_owned()).to_string();
            quoted[1..quoted.len() - 1].to_owned()
        };
        let is_json = target.sms.content_type.contains("json");
        let written = |value: &str| if is_json { quoted(value) } else { encoded(value) };
        let body = target.sms.body.replace("{phone}", &written(phone)).replace("{text}", &written(&text));
        let headers = match target.secret.as_str() {
            "" => Vec::new(),
            secret => vec![("authorization", format!("Bearer {secret}"))],
        };
        Request {
            get: target.sms.body.is_empty(),
            url,
            content_type: target.sms.content_type.clone(),
            headers,
            body: body.into_bytes(),
        }
    };
    Ok(phones.iter().map(request).collect())
}

/// What an answer means. Robots say with status 200 that they took nothing.
pub(super) fn judge(target: &Target, status: u16, body: &str) -> Verdict {
    let said = |body: &str| target.redact(&cut(body, 200));
    if status == 429 {
        return Verdict::TooFast(format!("status {status}"));
    }
    if !(200..300).contains(&status) {
        let reason = format!("status {status}: {}", said(body));
        let lasting = (400..500).contains(&status) && status != 408;
        return if lasting && !target.kind.is_read_by_people() {
            Verdict::Refused(reason)
        } else {
            Verdict::Later(reason)
        };
    }
    let answer: Value = serde_json::from_str(body).unwrap_or_default();
    let code = |name: &str| answer.get(name).and_then(Value::as_i64);
    let (code, too_fast): (Option<i64>, &[i64]) = match target.kind {
        TargetKind::Dingtalk => (code("errcode"), &[130_101, 130_103, 410_100]),
        TargetKind::Wecom => (code("errcode"), &[45_009, 45_033]),
        TargetKind::Feishu => (code("code").or(code("StatusCode")), &[9_499, 11_232]),
        TargetKind::Slack => (Some(i64::from(body.trim() != "ok")), &[]),
        TargetKind::Sms if !target.sms.success.is_empty() => {
            (Some(i64::from(!body.contains(&target.sms.success))), &[])
        }
        _ => (Some(0), &[]),
    };
    match code {
        Some(0) => Verdict::Accepted,
        Some(code) if too_fast.contains(&code) => Verdict::TooFast(format!("code {code}: {}", said(body))),
        Some(code) => Verdict::Later(format!("code {code}: {}", said(body))),
        None => Verdict::Later(format!("no code in the answer: {}", said(body))),
    }
}

/// The text of a mail about these jobs: subject and body.
pub(super) fn mail_text(target: &Target, context: &Context, jobs: &[Job], now: Millis) -> (String, String) {
    let subject = match jobs {
        [job] => words::headline(target.language, job.dispatch.kind, &job.dispatch.alert),
        jobs => words::summary(target.language, jobs.len()),
    };
    let item = |job: &Job| {
        words::item(context, target.language, Markup::Plain, job.dispatch.kind, &job.dispatch.alert, now)
    };
    let mut body = jobs.iter().map(item).collect::<Vec<_>>().join("\n\n");
    let names: Vec<String> = everybody(context, jobs).into_iter().map(|person| person.name).collect();
    if !names.is_empty() {
        let duty = if target.language == Language::Chinese { "值班：" } else { "on duty: " };
        body = format!("{duty}{}\n\n{body}", names.join(", "));
    }
    (subject, cut(&body, target.kind.text_bytes()))
}

/// The mail addresses of everybody who is to act, and of those who always get it.
pub(super) fn mail_receivers(target: &Target, context: &Context, jobs: &[Job]) -> Vec<String> {
    let people = everybody(context, jobs).into_iter().map(|person| person.email);
    let mut receivers: Vec<String> = people.chain(target.mail.to.iter().cloned()).collect();
    receivers.retain(|receiver| !receiver.is_empty());
    receivers.sort();
    receivers.dedup();
    receivers
}
