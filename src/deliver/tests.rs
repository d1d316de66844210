//! Deliveries against receivers that speak as the real ones do: they recompute signatures, count bytes, and answer with
//! their codes.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{Receiver as Reports, channel};

use super::*;
use crate::alert::{Alert, Cause, Desk, Dispatch, Kind, Options, Quote, Route};
use crate::roster::{Duties, Language, Roster};
use crate::rules::Severity;
use crate::time::Grid;

const ZONE: Tz = Tz::Asia__Shanghai;
/// 2026-11-20 10:00 in Shanghai.
const START: i64 = 1_795_140_000_000;

/// One request as it came in.
#[derive(Debug, Clone)]
struct Got {
    target: String,
    headers: String,
    body: String,
}

impl Got {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("a JSON body")
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// A parameter of the query, decoded.
    fn parameter(&self, name: &str) -> Option<String> {
        let url = url::Url::parse(&format!("http://x{}", self.target)).expect("a target");
        url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }
}

/// A receiver: its address, what it got, and what it answers to the nth request.
struct Receiver {
    url: String,
    got: Arc<Mutex<Vec<Got>>>,
}

impl Receiver {
    fn count(&self) -> usize {
        self.got.lock().expect("nobody panics with it").len()
    }

    fn all(&self) -> Vec<Got> {
        self.got.lock().expect("nobody panics with it").clone()
    }

    async fn until(&self, count: usize) -> Vec<Got> {
        for _ in 0..1_000 {
            if self.count() >= count {
                return self.all();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{} requests instead of {count}: {:?}", self.count(), self.all());
    }
}

/// Starts a receiver whose answer to each request is made by `answer` (status and body).
async fn receiver(answer: impl Fn(usize, &Got) -> (u16, String) + Send + Sync + 'static) -> Receiver {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let got: Arc<Mutex<Vec<Got>>> = Arc::default();
    let (into, answer) = (Arc::clone(&got), Arc::new(answer));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (into, answer) = (Arc::clone(&into), Arc::clone(&answer));
            tokio::spawn(async move {
                let mut bytes = Vec::new();
                let mut part = [0; 4096];
                loop {
                    let end = bytes.windows(4).position(|w| w == b"\r\n\r\n").map(|at| at + 4);
                    if let Some(end) = end {
                        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
                        let (line, headers) = head.split_once("\r\n").expect("a request line");
                        let target = line.split(' ').nth(1).expect("a target").to_owned();
                        let mut got = Got { target, headers: headers.to_owned(), body: String::new() };
                        let length = got.header("content-length").map_or(0, |n| n.parse().expect("a number"));
                        if bytes.len() >= end + length {
                            got.body = String::from_utf8(bytes[end..end + length].to_vec()).expect("UTF-8");
                            bytes.drain(..end + length);
                            let number = {
                                let mut all = into.lock().expect("nobody panics with it");
                                all.push(got.clone());
                                all.len()
                            };
                            let (status, text) = answer(number, &got);
                            let text = format!(
                                "HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{text}",
                                text.len()
                            );
                            if stream.write_all(text.as_bytes()).await.is_err() {
                                return;
                            }
                            continue;
                        }
                    }
                    match stream.read(&mut part).await {
                        Ok(0) | Err(_) => return,
                        Ok(read) => bytes.extend_from_slice(&part[..read]),
                    }
                }
            });
        }
    });
    Receiver { url, got }
}

fn context() -> Arc<Context> {
    let people = "id,name,phone,email,wecom,feishu,slack\n\
                  wang,王芳,13800000001,wang@example.com,WangFang,ou_1,U01\n\
                  li,李强,13800000002,,,,\n";
    let people = People::read("people.csv", people).expect("people without fault");
    Arc::new(Context {
        people: Arc::new(ArcSwap::from_pointee(people)),
        zone: ZONE,
        base_url: "http://127.0.0.1:8080".to_owned(),
        key: LinkKey::new(b"a key of the test".to_vec()),
    })
}

fn alert(id: &str, people: &str) -> Alert {
    let roster = format!("date,person,role,queues,start,end\ndaily,{people},supervisor,,00:00,24:00\n");
    let roster = Roster::read("roster.csv", &roster, ZONE).expect("a roster without fault");
    let route = Route {
        target: "t".to_owned(),
        severity: Severity::Info,
        queues: vec![],
        rules: vec![],
        resolved: true,
    };
    let options = Options { routes: vec![route], ..Options::new(Grid::new(ZONE, 30).expect("half an hour")) };
    let quote = Quote {
        speaker: "customer".to_owned(),
        time: START,
        text: "再不解决我就*销户*，<换别家>".to_owned(),
        phrase: "销户".to_owned(),
        category: "churn".to_owned(),
        start: 0,
        end: 6,
        score: -0.8,
    };
    let cause = Cause {
        id: id.to_owned(),
        rule: "customer_leaves".to_owned(),
        severity: "critical".to_owned(),
        title: "A customer is about to leave".to_owned(),
        title_zh: "客户有流失风险".to_owned(),
        notify: "supervisor".to_owned(),
        source: "callpulse".to_owned(),
        queue: "话费".to_owned(),
        contact_id: "c-1".to_owned(),
        evidence: vec![quote],
        event_time: START,
        ..Cause::default()
    };
    Desk::new(options, vec![], vec![]).raise(cause, &mut Duties::of(Arc::new(roster)), START).remove(0).alert
}

fn job(target: &str, id: &str, people: &str, kind: Kind) -> Job {
    Job { dispatch: Dispatch { target: target.to_owned(), kind, alert: alert(id, people) }, again: false }
}

fn quick(name: &str, kind: TargetKind, url: &str) -> Target {
    let mut target = Target::new(name, kind, url);
    target.group = Duration::from_millis(50);
    target
}

fn start(targets: Vec<Target>) -> (Post, Reports<Report>) {
    let (report, reports) = channel(1_000);
    (Post::start(targets, &context(), &report).expect("targets that can be used"), reports)
}

async fn next(reports: &mut Reports<Report>) -> Report {
    let report = tokio::time::timeout(Duration::from_secs(20), reports.recv()).await;
    report.expect("a report in time").expect("couriers live")
}

#[tokio::test]
async fn a_webhook_is_signed_and_has_everything() {
    let hook = receiver(|_, _| (202, String::new())).await;
    let mut target = quick("hook", TargetKind::Webhook, &format!("{}/in", hook.url));
    target.secret = "topsecret".to_owned();
    let (post, mut reports) = start(vec![target]);
    post.send(job("hook", "a1", "wang", Kind::Raised));
    assert_eq!(next(&mut reports).await.result, "accepted");
    let got = &hook.all()[0];
    let time: i64 = got.header("x-callpulse-timestamp").expect("a time").parse().expect("ms");
    assert_eq!(
        got.header("x-callpulse-signature"),
        Some(sign::webhook("topsecret", time, got.body.as_bytes()).as_str())
    );
    let told = &got.json()["alerts"][0];
    assert_eq!((told["kind"].as_str(), told["id"].as_str()), (Some("raised"), Some("a1")));
    assert_eq!(told["people"][0]["name"], "王芳");
    assert_eq!(told["evidence"][0]["phrase"], "销户");
    let link = told["ack_url"].as_str().expect("a link");
    let token = link.split("token=").nth(1).expect("a token");
    assert_eq!(context().key.people("a1", token, time).as_deref(), Some("wang"));
}

#[tokio::test]
async fn dingtalk_checks_the_signature_and_is_tried_again_after_its_refusal() {
    let robot = receiver(|number, got| {
        let (time, sign) =
            (got.parameter("timestamp").expect("a time"), got.parameter("sign").expect("a sign"));
        let right = sign::dingtalk("SECx", time.parse().expect("ms")) == sign;
        let code = if right && number > 1 { 0 } else { 310_000 };
        (200, json!({ "errcode": code, "errmsg": "sign not match" }).to_string())
    })
    .await;
    let mut target =
        quick("ding", TargetKind::Dingtalk, &format!("{}/robot/send?access_token=verysecret", robot.url));
    target.secret = "SECx".to_owned();
    let (post, mut reports) = start(vec![target]);
    post.send(job("ding", "a1", "wang", Kind::Raised));
    assert_eq!(next(&mut reports).await.result, "accepted");
    let got = robot.until(2).await;
    let body = got[1].json();
    assert_eq!(got[1].parameter("access_token").as_deref(), Some("verysecret"));
    assert_eq!(body["msgtype"], "markdown");
    assert_eq!(body["at"]["atMobiles"], json!(["13800000001"]));
    let text = body["markdown"]["text"].as_str().expect("a text");
    // Nobody is mentioned whose number is not in the text.
    assert!(text.contains("@13800000001") && text.contains("客户有流失风险"), "{text}");
    assert!(
        text.contains("\\*销户\\*") && text.contains("\\<换别家\\>"),
        "what people say is no markup: {text}"
    );
    assert!(body["markdown"]["title"].as_str().expect("a title").contains("紧急"));
}

#[tokio::test]
async fn feishu_signs_in_the_body_and_mentions_in_the_text() {
    let robot = receiver(|_, got| {
        let body = got.json();
        let time: i64 = body["timestamp"].as_str().expect("a time").parse().expect("seconds");
        let right = body["sign"] == sign::feishu("s3cret", time);
        (200, json!({ "code": if right { 0 } else { 19_021 }, "msg": "" }).to_string())
    })
    .await;
    let mut target =
        quick("feishu", TargetKind::Feishu, &format!("{}/open-apis/bot/v2/hook/abcdefgh", robot.url));
    target.secret = "s3cret".to_owned();
    target.language = Language::English;
    let (post, mut reports) = start(vec![target]);
    post.send(job("feishu", "a1", "wang", Kind::Escalated));
    assert_eq!(next(&mut reports).await.result, "accepted");
    let text = robot.all()[0].json()["content"]["text"].as_str().expect("a text").to_owned();
    assert!(
        text.contains("<at user_id=\"ou_1\">王芳</at>") && text.contains("[critical · escalated"),
        "{text}"
    );
}

#[tokio::test]
async fn wecom_mentions_by_id_and_whoever_has_none_by_number() {
    let robot = receiver(|_, _| (200, json!({ "errcode": 0, "errmsg": "ok" }).to_string())).await;
    let (post, mut reports) =
        start(vec![quick("wecom", TargetKind::Wecom, &format!("{}/send?key=k", robot.url))]);
    post.send(job("wecom", "a1", "wang", Kind::Raised));
    next(&mut reports).await;
    post.send(job("wecom", "a2", "li", Kind::Raised));
    next(&mut reports).await;
    let got = robot.all();
    let first = got[0].json();
    assert!(first["markdown"]["content"].as_str().expect("a text").contains("<@WangFang>"), "{first}");
    let second = got[1].json();
    assert_eq!(second["text"]["mentioned_mobile_list"], json!(["13800000002"]));
    assert!(second["text"]["content"].as_str().expect("a text").len() <= 2_048);
}

#[tokio::test]
async fn slack_wants_its_own_escapes_and_says_ok_in_plain_text() {
    let robot = receiver(|number, _| (200, if number == 1 { "no_service" } else { "ok" }.to_owned())).await;
    let (post, mut reports) =
        start(vec![quick("slack", TargetKind::Slack, &format!("{}/services/T/B/x", robot.url))]);
    post.send(job("slack", "a1", "wang", Kind::Raised));
    assert_eq!(next(&mut reports).await.result, "accepted");
    let text = robot.until(2).await[1].json()["text"].as_str().expect("a text").to_owned();
    assert!(
        text.contains("<@U01>") && text.contains("&lt;换别家&gt;") && text.contains("|确认接手>"),
        "{text}"
    );
}

#[tokio::test]
async fn alertmanager_gets_firing_and_resolved_in_its_own_form() {
    let manager = receiver(|_, _| (200, String::new())).await;
    let (post, mut reports) =
        start(vec![quick("am", TargetKind::Alertmanager, &format!("{}/", manager.url))]);
    post.send(job("am", "a1", "wang", Kind::Raised));
    next(&mut reports).await;
    let got = manager.all();
    assert_eq!(got[0].target, "/api/v2/alerts");
    let told = &got[0].json()[0];
    assert_eq!(told["labels"]["alertname"], "customer_leaves");
    assert_eq!(told["labels"]["queue"], "话费");
    assert!(told["labels"].get("agent_id").is_none(), "an empty label is none");
    let (starts, ends) =
        (told["startsAt"].as_str().expect("a time"), told["endsAt"].as_str().expect("a time"));
    assert!(starts < ends && crate::time::parse_time(ends).is_some(), "{starts} {ends}");
}

#[tokio::test]
async fn what_waits_is_merged_split_by_bytes_and_never_dropped() {
    let robot = receiver(|_, _| (200, json!({ "errcode": 0 }).to_string())).await;
    let mut target = quick("ding", TargetKind::Dingtalk, &format!("{}/send?access_token=t", robot.url));
    target.group = Duration::from_millis(300);
    let (post, mut reports) = start(vec![target]);
    let total = 120;
    for number in 0..total {
        post.send(job("ding", &format!("a{number}"), "wang", Kind::Raised));
    }
    let mut ids = std::collections::BTreeSet::new();
    for _ in 0..total {
        let report = next(&mut reports).await;
        assert_ne!(report.result, "failed");
        ids.insert(report.id);
    }
    assert_eq!(ids.len(), total);
    let got = robot.all();
    assert!(got.len() < 20, "{} messages", got.len());
    assert!(got.iter().all(|got| got.body.len() <= 20_000), "a body is longer than the robot takes");
    let told: String = got.iter().map(|got| got.body.as_str()).collect();
    for number in 0..total {
        assert!(told.contains(&format!("id=a{number}&")), "a{number} was not told");
    }
}

#[tokio::test]
async fn the_bucket_of_a_robot_holds() {
    let robot = receiver(|_, _| (200, json!({ "errcode": 0 }).to_string())).await;
    let mut target = quick("ding", TargetKind::Dingtalk, &format!("{}/send?access_token=t", robot.url));
    (target.group, target.per_minute) = (Duration::from_millis(1), 2);
    let (post, mut reports) = start(vec![target]);
    for number in 0..2 {
        post.send(job("ding", &format!("a{number}"), "wang", Kind::Raised));
        next(&mut reports).await;
    }
    post.send(job("ding", "a9", "wang", Kind::Raised));
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(robot.count(), 2, "the third waits for its minute");
    assert!(reports.try_recv().is_err());
}

#[tokio::test]
async fn a_target_that_fails_delays_no_other_and_shows_no_secret() {
    let good = receiver(|_, _| (200, String::new())).await;
    let mut dead =
        quick("dead", TargetKind::Dingtalk, "http://127.0.0.1:9/send?access_token=verysecrettoken");
    dead.secret = "SECverysecret".to_owned();
    dead.give_up = Duration::from_millis(1);
    let shown = format!("{dead:?}");
    assert!(!shown.contains("verysecret"), "{shown}");
    let refused =
        dead.redact("error for url http://127.0.0.1:9/send?access_token=verysecrettoken: SECverysecret");
    assert!(!refused.contains("verysecret"), "{refused}");
    let (post, mut reports) = start(vec![dead, quick("good", TargetKind::Webhook, &good.url)]);
    let began = std::time::Instant::now();
    post.send(job("dead", "a1", "wang", Kind::Raised));
    post.send(job("good", "a1", "wang", Kind::Raised));
    let mut results = vec![];
    for _ in 0..2 {
        let report = next(&mut reports).await;
        if report.target == "good" {
            assert!(began.elapsed() < Duration::from_secs(2));
        }
        results.push((report.target, report.result));
    }
    results.sort();
    assert_eq!(results, [("dead".to_owned(), "failed"), ("good".to_owned(), "accepted")]);
    assert!(!post.send(job("nowhere", "a1", "wang", Kind::Raised)));
}

#[tokio::test]
async fn an_sms_gateway_is_asked_as_it_wants_and_only_for_people_with_a_number() {
    let gateway = receiver(|number, _| {
        (200, json!({ "result": if number == 1 { "busy" } else { "sent" } }).to_string())
    })
    .await;
    let mut target = quick("sms", TargetKind::Sms, &format!("{}/send?to={{phone}}", gateway.url));
    target.sms.body = "{\"text\":\"{text}\"}".to_owned();
    target.sms.success = "\"sent\"".to_owned();
    let (post, mut reports) = start(vec![target]);
    post.send(job("sms", "a1", "li", Kind::Raised));
    assert_eq!(next(&mut reports).await.result, "accepted");
    let got = gateway.until(2).await;
    assert_eq!(got[1].parameter("to").as_deref(), Some("13800000002"));
    assert!(got[1].json()["text"].as_str().expect("a text").starts_with("【紧急】客户有流失风险"));
    post.send(job("sms", "a2", "nobody_known", Kind::Raised));
    assert_eq!(next(&mut reports).await.result, "failed");
}

#[tokio::test]
async fn targets_that_cannot_be_used_are_refused_without_their_url() {
    for (kind, url) in [
        (TargetKind::Webhook, "ftp://host/verysecret"),
        (TargetKind::Dingtalk, "verysecret"),
        (TargetKind::Smtp, "http://verysecret"),
    ] {
        let mut target = Target::new("t", kind, url);
        target.mail.from = "callpulse@example.com".to_owned();
        let why = Post::check(&target).expect_err("it cannot be used");
        assert!(!why.contains("verysecret"), "{why}");
    }
}
