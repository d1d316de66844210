//! The site as a client meets it: real connections to port 0.

use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use chrono_tz::Asia::Shanghai;
use reqwest::{Client, RequestBuilder, StatusCode};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::facts::TableSet;
use crate::query::{Cut, Error, Options, Source};
use crate::time::{Grid, Millis};

mod pages;
mod rights;

const NOW: Millis = 1_795_140_000_000;

struct Nothing;

#[async_trait]
impl Source for Nothing {
    async fn cut(&self, _wanted: TableSet) -> Result<Cut, Error> {
        Ok(Cut::empty(NOW))
    }
}

struct Still;

impl Clock for Still {
    fn now(&self) -> Millis {
        NOW
    }
}

/// A running server; it stops when it is dropped.
struct Running {
    address: SocketAddr,
    stop: CancellationToken,
    client: Client,
    ended: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn start(ready: bool) -> Running {
    start_with(ready, Arc::new(Nothing), Alerts::none()).await
}

async fn start_with(ready: bool, source: Arc<dyn Source>, alerts: Alerts) -> Running {
    let mut options = Options::new(Grid::new(Shanghai, 30).expect("a grid"));
    options.timeout = Duration::from_millis(1_500);
    let site = Site {
        engine: Arc::new(Engine::new(options, source).expect("an engine")),
        metrics: Arc::new(|| format!("# HELP callpulse_x A test.\n{}", "callpulse_x 1\n".repeat(100))),
        live: Arc::new(|| json!({ "now": NOW, "queues": [] })),
        health: Arc::new(move || Health {
            alive: true,
            ready,
            reasons: vec!["partition 3 is behind".to_owned()],
        }),
        intake: Some(Arc::new(|batch| Box::pin(async move { intake(batch) }))),
        alerts,
        clock: Arc::new(Still),
        access: Arc::new(Access::local_only()),
        tls: None,
        departments: Arc::default(),
        fleet: None,
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let stop = CancellationToken::new();
    let ended = tokio::spawn(run(listener, site, stop.clone()));
    Running { address, stop, client: Client::new(), ended }
}

impl Running {
    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(self.url(path))
    }

    fn sql(&self, sql: &str) -> RequestBuilder {
        let request = self.client.post(self.url("/api/v1/sql"));
        request.header("content-type", "application/json").body(json!({ "sql": sql }).to_string())
    }
}

async fn send(request: RequestBuilder) -> (StatusCode, header::HeaderMap, String) {
    let answer = request.send().await.expect("an answer");
    let (status, headers) = (answer.status(), answer.headers().clone());
    (status, headers, answer.text().await.expect("a body"))
}

#[tokio::test]
async fn every_route_is_served_and_documented() {
    let running = start(true).await;
    let document: Value =
        serde_json::from_str(&send(running.get("/api/v1/openapi.json")).await.2).expect("JSON");
    let documented = document["paths"].as_object().expect("paths");
    assert_eq!(documented.len(), routes().len());
    for (path, method, _) in routes() {
        assert!(documented[path][method].is_object(), "{method} {path}");
        // What is asked for by an id has tests of its own.
        if method == "get" && !path.ends_with("/stream") && !path.contains('{') {
            let (status, headers, body) = send(running.get(path)).await;
            assert_eq!(status, StatusCode::OK, "{path}");
            assert!(
                !body.is_empty()
                    && headers["content-security-policy"]
                        .to_str()
                        .expect("text")
                        .contains("script-src 'self'")
            );
        }
    }
    assert_eq!(send(running.get("/nowhere")).await.0, StatusCode::NOT_FOUND);
    assert_eq!(send(running.client.post(running.url("/metrics"))).await.0, StatusCode::METHOD_NOT_ALLOWED);
}

/// A desk with one alert, which notes what it is asked.
fn desk(asked: Arc<std::sync::Mutex<Vec<String>>>) -> Alerts {
    let note = move |text: String| asked.lock().expect("nobody panics with it").push(text);
    let (list, act, oncall, silence) = (note.clone(), note.clone(), note.clone(), note);
    Alerts {
        version: Arc::new(|| 7),
        list: Arc::new(move |wanted| {
            list(format!("list {} {:?} {} {}", wanted.all, wanted.queue, wanted.limit, wanted.pressing));
            json!([{ "id": "a1", "title": "客户要离网" }])
        }),
        act: Arc::new(move |id, action, token, by| {
            act(format!("{action:?} {id} {token:?} {by:?}"));
            match (id, token) {
                ("a1", Some("wrong")) => Err(Refused::Token),
                ("a1", _) => Ok(json!({ "id": "a1" })),
                ("a0", _) => Err(Refused::Closed),
                _ => Err(Refused::Unknown),
            }
        }),
        take_alertmanager: Arc::new(|message| {
            message["alerts"].as_array().map(Vec::len).ok_or("none".to_owned())
        }),
        oncall: Arc::new(move |queue, at| {
            oncall(format!("oncall {queue:?} {at:?}"));
            json!({ "queue": queue })
        }),
        silence: Arc::new(move |rule, queue, minutes, by| {
            silence(format!("silence {rule} {queue} {minutes} {by}"))
        }),
    }
}

#[tokio::test]
async fn alerts_are_listed_streamed_and_acted_on() {
    let asked: Arc<std::sync::Mutex<Vec<String>>> = Arc::default();
    let running = start_with(true, Arc::new(Nothing), desk(Arc::clone(&asked))).await;
    let last = || asked.lock().expect("nobody panics with it").last().cloned().unwrap_or_default();
    assert_eq!(send(running.get("/api/v1/alerts?queue=cards&limit=3")).await.0, StatusCode::OK);
    assert_eq!(last(), "list false Some(\"cards\") 3 false");
    assert_eq!(send(running.get("/api/v1/alerts?status=all")).await.0, StatusCode::OK);
    assert_eq!(last(), "list true None 500 false");
    for wrong in ["?status=closed", "?colour=red", "?limit=x"] {
        assert_eq!(send(running.get(&format!("/api/v1/alerts{wrong}"))).await.0, StatusCode::BAD_REQUEST);
    }
    let post = |path: &str, body: &str| {
        let request = running.client.post(running.url(path));
        request.header("content-type", "application/json").body(body.to_owned())
    };
    assert_eq!(send(post("/api/v1/alerts/a1/ack", "{\"by\":\"wang\"}")).await.0, StatusCode::OK);
    assert_eq!(last(), "Acknowledge a1 None Some(\"wang\")");
    assert_eq!(send(running.client.post(running.url("/api/v1/alerts/a1/resolve"))).await.0, StatusCode::OK);
    assert_eq!(last(), "Resolve a1 None None");
    for (path, body, status) in [
        ("/api/v1/alerts/a1/ack", "{\"token\":\"wrong\"}", StatusCode::FORBIDDEN),
        ("/api/v1/alerts/a0/ack", "", StatusCode::CONFLICT),
        ("/api/v1/alerts/a9/resolve", "", StatusCode::NOT_FOUND),
        ("/api/v1/alerts/a1/ack", "{\"who\":1}", StatusCode::BAD_REQUEST),
        ("/api/v1/alertmanager", "{\"alerts\":[{}]}", StatusCode::OK),
        ("/api/v1/alertmanager", "{}", StatusCode::BAD_REQUEST),
        ("/api/v1/alerts/silence", "{\"rule\":\"wait\"}", StatusCode::BAD_REQUEST),
        ("/api/v1/alerts/silence", "{\"rule\":\"wait\",\"minutes\":5}", StatusCode::OK),
    ] {
        assert_eq!(send(post(path, body)).await.0, status, "{path} {body}");
    }
    assert_eq!(last(), "silence wait  5 somebody");
    let plain = running.client.post(running.url("/api/v1/alerts/a1/ack")).body("by=wang");
    assert_eq!(send(plain).await.0, StatusCode::UNSUPPORTED_MEDIA_TYPE, "a form of another page");
    assert_eq!(
        send(running.get("/api/v1/oncall?queue=cards&at=1970-01-01T00:00:01Z")).await.0,
        StatusCode::OK
    );
    assert_eq!(last(), "oncall Some(\"cards\") Some(1000)");
    assert_eq!(send(running.get("/api/v1/oncall?at=now")).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(send(running.get("/api/v1/alerts/stream?limits=3")).await.0, StatusCode::BAD_REQUEST);
    let mut stream = running.get("/api/v1/alerts/stream?limit=3").send().await.expect("an answer");
    let first = stream.chunk().await.expect("a stream").expect("a first event");
    let first = String::from_utf8_lossy(&first);
    assert!(
        first.contains("event: alerts") && first.contains("客户要离网") && first.contains("id: 7"),
        "{first}"
    );
    assert_eq!(last(), "list false None 3 true");
}

#[tokio::test]
async fn metrics_are_text_and_small_on_the_wire() {
    let running = start(true).await;
    let (_, headers, body) = send(running.get("/metrics")).await;
    assert_eq!(headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    assert!(body.contains("callpulse_x 1") && !headers.contains_key("content-encoding"));
    let (_, headers, _) = {
        let answer =
            running.get("/metrics").header("accept-encoding", "gzip").send().await.expect("an answer");
        (answer.status(), answer.headers().clone(), ())
    };
    assert_eq!(headers["content-encoding"], "gzip");
}

#[tokio::test]
async fn health_tells_why() {
    assert_eq!(send(start(true).await.get("/readyz")).await.0, StatusCode::OK);
    let running = start(false).await;
    let (status, _, body) = send(running.get("/readyz")).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    let body: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(body, json!({ "ready": false, "reasons": ["partition 3 is behind"] }));
    assert_eq!(send(running.get("/healthz")).await.0, StatusCode::OK);
}

#[tokio::test]
async fn sql_is_answered_in_the_format_that_is_accepted() {
    let running = start(true).await;
    let sql = "SELECT 1 AS a, NULL AS b";
    for (accept, kind, body) in [
        ("application/json", "application/json", "[{\"a\":1,\"b\":null}]\n"),
        ("*/*", "application/json", "[{\"a\":1,\"b\":null}]\n"),
        ("text/csv", "text/csv; charset=utf-8", "a,b\n1,\n"),
    ] {
        let (status, headers, text) = send(running.sql(sql).header("accept", accept)).await;
        assert_eq!(
            (status, headers["content-type"].to_str().expect("text"), text.as_str()),
            (StatusCode::OK, kind, body)
        );
    }
    let answer = running
        .sql(sql)
        .header("accept", "application/vnd.apache.arrow.stream")
        .send()
        .await
        .expect("an answer");
    let bytes = answer.bytes().await.expect("a body");
    let mut rows = arrow::ipc::reader::StreamReader::try_new(&bytes[..], None).expect("a stream");
    assert_eq!(rows.next().expect("a batch").expect("a batch").num_rows(), 1);
    assert_eq!(send(running.sql(sql).header("accept", "image/png")).await.0, StatusCode::NOT_ACCEPTABLE);
}

#[tokio::test]
async fn faults_of_sql_tell_what_and_where() {
    let running = start(true).await;
    let (status, _, body) = send(running.sql("SELECT\n nonsense FROM legs")).await;
    let body: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!((status, &body["line"], &body["column"]), (StatusCode::BAD_REQUEST, &json!(2), &json!(2)));
    assert!(body["error"].as_str().expect("text").contains("nonsense") && body["hint"].is_string());
    for (sql, expected) in [
        ("DROP TABLE legs", StatusCode::BAD_REQUEST),
        ("SELECT 1 / 0", StatusCode::BAD_REQUEST),
        (
            "SELECT count(*) FROM generate_series(1, 4000000000) AS a (x) WHERE x % 7 = 3",
            StatusCode::GATEWAY_TIMEOUT,
        ),
    ] {
        assert_eq!(send(running.sql(sql)).await.0, expected, "{sql}");
    }
    let path = running.url("/api/v1/sql");
    let post = |body: String, kind: &str| running.client.post(&path).header("content-type", kind).body(body);
    assert_eq!(send(post("{\"sql\": 1}".to_owned(), "application/json")).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(send(post("SELECT 1".to_owned(), "text/plain")).await.0, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let long = format!("{{\"sql\": \"{}\"}}", " ".repeat(BODY_BYTES_MAX));
    assert_eq!(send(post(long, "application/json")).await.0, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn who_does_not_speak_to_this_machine_itself_is_refused() {
    let running = start(true).await;
    let port = running.address.port();
    let own = format!("http://127.0.0.1:{port}");
    for (name, value) in [
        ("forwarded", "for=10.0.0.1"),
        ("x-forwarded-for", "10.0.0.1"),
        ("x-forwarded-host", "localhost"),
        ("x-real-ip", "127.0.0.1"),
        ("host", "evil.example"),
        ("host", "127.0.0.1.evil.example"),
        ("host", "10.0.0.1"),
        ("origin", "http://evil.example"),
        ("origin", "http://localhost:1"),
        ("origin", "null"),
    ] {
        for path in ["/", "/sql", "/contacts/a", "/api/v1/contacts/a", "/metrics", "/api/v1/live", "/healthz"]
        {
            let (status, _, body) = send(running.get(path).header(name, value)).await;
            assert_eq!(status, StatusCode::FORBIDDEN, "{name}: {value} {path}");
            assert!(body.contains("hint"));
        }
        assert_eq!(
            send(running.sql("SELECT 1").header(name, value)).await.0,
            StatusCode::FORBIDDEN,
            "{name}: {value}"
        );
    }
    for (name, value) in
        [("host", "localhost"), ("host", "LOCALHOST:1234"), ("host", "[::1]:80"), ("origin", own.as_str())]
    {
        assert_eq!(
            send(running.get("/healthz").header(name, value)).await.0,
            StatusCode::OK,
            "{name}: {value}"
        );
    }
}

#[tokio::test]
async fn a_request_without_a_host_or_with_too_long_a_head_is_refused() {
    let running = start(true).await;
    let long = "x".repeat(200_000);
    for (head, status) in [
        ("GET /healthz HTTP/1.0\r\n\r\n".to_owned(), "403"),
        (format!("GET /healthz HTTP/1.1\r\nhost: localhost\r\nx: {long}\r\n\r\n"), "431"),
    ] {
        let mut stream = TcpStream::connect(running.address).await.expect("a connection");
        // The server may answer and close before all is sent.
        let _ = stream.write_all(head.as_bytes()).await;
        let mut answer = vec![0; 12];
        stream.read_exact(&mut answer).await.expect("an answer");
        assert!(String::from_utf8_lossy(&answer).ends_with(status), "{answer:?}");
    }
}

#[tokio::test]
async fn the_stream_has_news_each_second_and_ends_with_the_server() {
    let mut running = start(true).await;
    let mut answer = running.get("/api/v1/stream").send().await.expect("an answer");
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    assert_eq!(answer.headers()["cache-control"].to_str().expect("text"), "no-store");
    let mut text = String::new();
    while text.matches("\n\n").count() < 2 {
        let part = tokio::time::timeout(Duration::from_secs(5), answer.chunk()).await.expect("in time");
        text.push_str(std::str::from_utf8(&part.expect("bytes").expect("more")).expect("text"));
    }
    let first = text.split("\n\n").next().expect("an event");
    for line in ["event: live", &format!("id: {NOW}"), "data: {\"now\":1795140000000,\"queues\":[]}"] {
        assert!(first.contains(line), "{first}");
    }
    running.stop.cancel();
    while let Ok(Ok(Some(_))) = tokio::time::timeout(Duration::from_secs(5), answer.chunk()).await {}
    let ended = tokio::time::timeout(Duration::from_secs(5), &mut running.ended).await.expect("in time");
    assert!(ended.expect("no panic").is_ok());
}

#[tokio::test]
async fn only_loopback_is_served() {
    let running = start(true).await;
    let listener = TcpListener::bind("0.0.0.0:0").await.expect("a port");
    let site = Site {
        engine: Arc::new(
            Engine::new(Options::new(Grid::new(Shanghai, 30).expect("a grid")), Arc::new(Nothing))
                .expect("an engine"),
        ),
        metrics: Arc::new(String::new),
        live: Arc::new(|| Value::Null),
        health: Arc::new(|| Health { alive: true, ready: true, reasons: Vec::new() }),
        intake: None,
        alerts: Alerts::none(),
        clock: Arc::new(Still),
        access: Arc::new(Access::local_only()),
        tls: None,
        departments: Arc::default(),
        fleet: None,
    };
    let refused = run(listener, site, running.stop.clone()).await.expect_err("an address for everybody");
    assert_eq!(refused.kind(), std::io::ErrorKind::InvalidInput);
}

/// Takes records that look like objects; a format named after a refusal is refused so.
fn intake(batch: Batch) -> Result<Taken, Refusal> {
    match batch.format.as_deref() {
        Some("busy") => return Err(Refusal::Busy),
        Some("down") => return Err(Refusal::Outside("no broker answers".to_owned(), None)),
        Some("morse") => {
            return Err(Refusal::Unknown("unknown format `morse`".to_owned(), "there are: a".to_owned()));
        }
        _ => {}
    }
    let mut taken = Taken::default();
    for (at, record) in batch.records.iter().enumerate() {
        if record.starts_with(b"{") {
            taken.accepted += 1;
        } else {
            taken.rejected.push((at + 1, "not_object", "it is none".to_owned()));
        }
    }
    Ok(taken)
}

#[tokio::test]
async fn events_are_taken_once_the_brokers_have_them_and_bad_ones_are_named() {
    let running = start(true).await;
    let post = |query: &str, kind: &str, body: String| {
        let request = running.client.post(running.url(&format!("/api/v1/events{query}")));
        send(request.header("content-type", kind).body(body))
    };
    let (status, _, body) = post("", "application/x-ndjson", "{}\n7\n{}\n".to_owned()).await;
    let told: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(status, StatusCode::ACCEPTED);
    assert_eq!((&told["accepted"], &told["rejects"][0]["line"]), (&json!(2), &json!(2)));
    assert_eq!(post("", "application/json", "[{},{}]".to_owned()).await.0, StatusCode::ACCEPTED);
    assert_eq!(
        post("?format=x&topic=t&key=k", "application/json", "{}".to_owned()).await.0,
        StatusCode::ACCEPTED
    );
    assert_eq!(post("", "application/x-ndjson", "7\n".to_owned()).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(post("", "text/plain", String::new()).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(post("?what=x", "application/json", "{}".to_owned()).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(post("?format=morse", "application/json", "{}".to_owned()).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(post("", "image/png", "x".to_owned()).await.0, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let (status, headers, _) = post("?format=busy", "application/json", "{}".to_owned()).await;
    assert_eq!((status, headers["retry-after"].as_bytes()), (StatusCode::TOO_MANY_REQUESTS, b"1".as_slice()));
    let (status, headers, _) = post("?format=down", "application/json", "{}".to_owned()).await;
    assert_eq!(
        (status, headers["retry-after"].as_bytes()),
        (StatusCode::SERVICE_UNAVAILABLE, b"1".as_slice())
    );
    let many = "{}\n".repeat(10_001);
    assert_eq!(post("", "application/x-ndjson", many).await.0, StatusCode::PAYLOAD_TOO_LARGE);
    let large = format!("\"{}\"", "x".repeat(1 << 20));
    assert_eq!(post("", "application/json", large).await.0, StatusCode::PAYLOAD_TOO_LARGE);
    let foreign = running.client.post(running.url("/api/v1/events")).header("origin", "http://evil.example");
    let (status, _, _) = send(foreign.header("content-type", "text/plain").body("{}")).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
}

/// A server with users: a lead and an administrator with tokens `lea` and `boss`.
async fn with_users() -> Running {
    let hash = |token: &str| {
        use sha2::{Digest, Sha256};
        Sha256::digest(token.as_bytes()).iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
    };
    let secret = crate::access::Secret::new("s3cret-words", b"a salt of the test", 4096);
    let users = format!(
        "[[user]]\nname = \"lea\"\nrole = \"lead\"\ndepartments = [\"retail\"]\npassword = \"{secret}\"\n\
         tokens = [\"sha256:{}\"]\n[[user]]\nname = \"boss\"\nrole = \"admin\"\ntokens = [\"sha256:{}\"]\n",
        hash("lea"),
        hash("boss")
    );
    let access = Access::of(crate::access::Users::parse("users.toml", &users).expect("users"));
    let departments = [("sales", "retail"), ("cards", "bank")];
    let departments = departments.map(|(queue, department)| (queue.to_owned(), department.to_owned()));
    let options = Options::new(Grid::new(Shanghai, 30).expect("a grid"));
    let site = Site {
        engine: Arc::new(Engine::new(options, Arc::new(Nothing)).expect("an engine")),
        metrics: Arc::new(|| "callpulse_x 1\n".to_owned()),
        live: Arc::new(
            || json!({ "now": NOW, "agents": { "busy": 7 }, "queues": [{ "queue": "sales" }, { "queue": "cards" }, { "queue": "x" }] }),
        ),
        health: Arc::new(|| Health { alive: true, ready: true, reasons: Vec::new() }),
        intake: None,
        alerts: Alerts::none(),
        clock: Arc::new(Still),
        access: Arc::new(access),
        tls: None,
        departments: Arc::new(HashMap::from(departments)),
        fleet: None,
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let stop = CancellationToken::new();
    let ended = tokio::spawn(run(listener, site, stop.clone()));
    let client = Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
    Running { address, stop, client, ended }
}

#[tokio::test]
async fn with_users_every_path_asks_who_it_is() {
    let running = with_users().await;
    for (path, method, _) in routes() {
        let url = running.url(path);
        let request = match method {
            "post" => running.client.post(url),
            _ => running.client.get(url),
        };
        let status = request.send().await.expect("an answer").status();
        let open = ["/healthz", "/readyz", "/login", "/logout"];
        let is_file = [".js", ".css", ".svg", ".ico"].iter().any(|end| path.ends_with(end));
        match open.contains(&path) || is_file {
            true => assert_ne!(status, StatusCode::UNAUTHORIZED, "{path}"),
            false => assert_eq!(status, StatusCode::UNAUTHORIZED, "{path}"),
        }
    }
    let get = |path: &str, token: &str| running.get(path).bearer_auth(token).send();
    assert_eq!(get("/metrics", "boss").await.expect("an answer").status(), StatusCode::OK);
    assert_eq!(get("/metrics", "lea").await.expect("an answer").status(), StatusCode::FORBIDDEN);
    assert_eq!(get("/metrics", "guess").await.expect("an answer").status(), StatusCode::UNAUTHORIZED);
    let live: Value = get("/api/v1/live", "lea").await.expect("an answer").json().await.expect("JSON");
    assert_eq!(live, json!({ "now": NOW, "queues": [{ "queue": "sales" }] }));
    let mut stream = get("/api/v1/stream", "lea").await.expect("an answer");
    let first = stream.chunk().await.expect("bytes").expect("an event");
    let first = String::from_utf8_lossy(&first);
    assert!(first.contains("sales") && !first.contains("cards") && !first.contains("busy"), "{first}");
    let sql = |token: &str, sql: &str| {
        let body = json!({ "sql": sql });
        running.client.post(running.url("/api/v1/sql")).bearer_auth(token).json(&body).send()
    };
    assert_eq!(sql("boss", "select * from rejects").await.expect("an answer").status(), StatusCode::OK);
    assert_eq!(sql("lea", "select * from rejects").await.expect("an answer").status(), StatusCode::FORBIDDEN);
    assert_eq!(get("/api/v1/alerts", "lea").await.expect("an answer").status(), StatusCode::FORBIDDEN);
    assert_eq!(get("/api/v1/contacts/none", "lea").await.expect("an answer").status(), StatusCode::NOT_FOUND);
    let taken = running.client.post(running.url("/api/v1/events")).bearer_auth("lea").body("{}").send();
    assert_eq!(taken.await.expect("an answer").status(), StatusCode::FORBIDDEN);
    let own: Value =
        sql("lea", "select current_user as me").await.expect("an answer").json().await.expect("JSON");
    assert_eq!(own, json!([{ "me": "lea" }]));
}

#[tokio::test]
async fn a_login_gives_a_cookie_that_a_logout_takes_away() {
    let running = with_users().await;
    let login = |password: &str| {
        let body = format!("user=lea&password={password}");
        let form = "application/x-www-form-urlencoded";
        running.client.post(running.url("/login")).header("content-type", form).body(body).send()
    };
    let wrong = login("guess").await.expect("an answer");
    assert!(wrong.headers().get("set-cookie").is_none());
    let right = login("s3cret-words").await.expect("an answer");
    let cookie = right.headers()["set-cookie"].to_str().expect("text").to_owned();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    let pair = cookie.split(';').next().expect("a pair").to_owned();
    let live = || running.get("/api/v1/live").header("cookie", &pair).send();
    assert_eq!(live().await.expect("an answer").status(), StatusCode::OK);
    let foreign =
        running.get("/api/v1/live").header("cookie", &pair).header("origin", "http://evil.example").send();
    assert_eq!(foreign.await.expect("an answer").status(), StatusCode::FORBIDDEN);
    let out =
        running.client.post(running.url("/logout")).header("cookie", &pair).send().await.expect("an answer");
    assert!(out.status().is_redirection());
    assert_eq!(live().await.expect("an answer").status(), StatusCode::UNAUTHORIZED);
    // A browser that asks for the page is sent to the login.
    let page = running.get("/").header("accept", "text/html").send().await.expect("an answer");
    assert_eq!(page.status(), StatusCode::SEE_OTHER);
    assert_eq!(page.headers()["location"].to_str().expect("text"), "/login");
}
