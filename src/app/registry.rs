//! Schemas from a registry over HTTP, as Confluent's and those that speak like it answer.
//!
//! Decoding waits for the answer: while the registry is down nothing is read, so nothing is lost. It is asked on a thread of
//! its own, since whoever decodes may be inside a runtime or not.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::Value;

use crate::config;
use crate::decode::{Registry, SchemaKind, SchemaText};

/// How long one request may take.
const REQUEST: Duration = Duration::from_secs(10);
/// The longest time between two attempts.
const PAUSE_MAX: Duration = Duration::from_secs(15);
/// Schemas that one schema may refer to, all together.
const REFERENCES_MAX: usize = 100;

/// A registry, and how long it is waited for.
#[derive(Clone)]
pub(super) struct HttpRegistry {
    settings: config::SchemaRegistry,
    /// `None`: until it answers.
    patience: Option<Duration>,
}

impl fmt::Debug for HttpRegistry {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "HttpRegistry({})", self.settings.url)
    }
}

/// Why there is no answer.
enum Trouble {
    /// It has none.
    None(String),
    /// It may have one later.
    Later(String),
}

impl HttpRegistry {
    /// The registry of the configuration; `None` where it names none.
    pub(super) fn of(
        settings: &config::SchemaRegistry,
        patience: Option<Duration>,
    ) -> Option<Arc<dyn Registry>> {
        let named = !settings.url.is_empty();
        named.then(|| Arc::new(HttpRegistry { settings: settings.clone(), patience }) as Arc<dyn Registry>)
    }

    fn ask(&self, id: u32) -> Result<SchemaText, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| format!("no thread can be started: {error}"))?;
        let client = reqwest::Client::builder().timeout(REQUEST).build();
        let client = client.map_err(|error| format!("no HTTP client: {error}"))?;
        let (began, mut pause, mut warned) = (Instant::now(), Duration::from_millis(250), false);
        loop {
            match runtime.block_on(self.fetch(&client, id)) {
                Ok(schema) => return Ok(schema),
                Err(Trouble::None(why)) => return Err(why),
                Err(Trouble::Later(why)) => {
                    if self.patience.is_some_and(|patience| began.elapsed() >= patience) {
                        return Err(why);
                    }
                    if !warned || pause == PAUSE_MAX {
                        tracing::error!(
                            schema = id,
                            why,
                            "the schema registry does not answer; reading waits for it"
                        );
                        warned = true;
                    }
                    std::thread::sleep(pause);
                    pause = (pause * 2).min(PAUSE_MAX);
                }
            }
        }
    }

    async fn fetch(&self, client: &reqwest::Client, id: u32) -> Result<SchemaText, Trouble> {
        let answer = self.get(client, &format!("schemas/ids/{id}")).await?;
        let kind = match answer.get("schemaType").and_then(Value::as_str) {
            None | Some("AVRO") => SchemaKind::Avro,
            Some("PROTOBUF") => SchemaKind::Protobuf,
            Some("JSON") => SchemaKind::Json,
            Some(other) => return Err(Trouble::None(format!("it is of the unknown type `{other}`"))),
        };
        let mut references = Vec::new();
        self.gather(client, &answer, &mut references).await?;
        Ok(SchemaText { kind, text: text(&answer)?, references })
    }

    /// The schemas that one refers to; those that others need first.
    fn gather<'a>(
        &'a self,
        client: &'a reqwest::Client,
        of: &'a Value,
        found: &'a mut Vec<(String, String)>,
    ) -> BoxFuture<'a, Result<(), Trouble>> {
        async move {
            for reference in of.get("references").and_then(Value::as_array).into_iter().flatten() {
                let part = |name: &str| reference.get(name).and_then(Value::as_str).unwrap_or_default();
                let (name, subject) = (part("name").to_owned(), part("subject"));
                if found.iter().any(|(known, _)| *known == name) {
                    continue;
                }
                if found.len() >= REFERENCES_MAX {
                    return Err(Trouble::None(format!("it refers to more than {REFERENCES_MAX} schemas")));
                }
                let version = reference.get("version").map(Value::to_string).unwrap_or_default();
                let path = format!("subjects/{}/versions/{}", escaped(subject), version.trim_matches('"'));
                let answer = self.get(client, &path).await?;
                // Its place is kept meanwhile, so that schemas that refer to each other come to an end.
                found.push((name.clone(), String::new()));
                self.gather(client, &answer, found).await?;
                found.retain(|(known, _)| *known != name);
                found.push((name, text(&answer)?));
            }
            Ok(())
        }
        .boxed()
    }

    async fn get(&self, client: &reqwest::Client, path: &str) -> Result<Value, Trouble> {
        let config::SchemaRegistry { url, user, password } = &self.settings;
        let mut request = client.get(format!("{}/{path}", url.trim_end_matches('/')));
        if !user.is_empty() {
            request = request.basic_auth(user, Some(password));
        }
        let later = |error: reqwest::Error| Trouble::Later(format!("`{url}` cannot be asked: {error}"));
        let answer = request.send().await.map_err(later)?;
        let status = answer.status();
        match status.as_u16() {
            200 => answer.json().await.map_err(later),
            404 => Err(Trouble::None(format!("`{url}` does not know `{path}`"))),
            _ => Err(Trouble::Later(format!("`{url}` answers {status} to `{path}`"))),
        }
    }
}

fn text(answer: &Value) -> Result<String, Trouble> {
    let text = answer.get("schema").and_then(Value::as_str).map(str::to_owned);
    text.ok_or_else(|| Trouble::None("the registry's answer has no `schema`".to_owned()))
}

/// A subject as a part of a path.
fn escaped(subject: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    subject
        .bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

impl Registry for HttpRegistry {
    fn schema(&self, id: u32) -> Result<SchemaText, String> {
        let own = self.clone();
        let asked = std::thread::spawn(move || own.ask(id)).join();
        asked.unwrap_or_else(|_| Err("asking for it failed".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::decode::{Envelope, Format, Layout, Lookup, Mapping, Source};
    use crate::event::{Kind, RejectReason};

    /// A registry that answers these paths, after it has failed so often; counts what it is asked.
    fn registry(
        answers: &'static [(&'static str, &'static str)],
        failing: usize,
    ) -> (String, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let asked = Arc::new(AtomicUsize::new(0));
        let counts = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.expect("a client");
                let mut lines = BufReader::new(stream.try_clone().expect("a second handle")).lines();
                let first = lines.next().expect("a request").expect("text");
                while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
                let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
                let count = counts.fetch_add(1, Ordering::SeqCst);
                let found = answers.iter().find(|(of, _)| *of == path);
                let (status, body) = match found {
                    _ if count < failing => ("503 Service Unavailable", "{}"),
                    Some((_, body)) => ("200 OK", *body),
                    None => ("404 Not Found", "{}"),
                };
                let length = body.len();
                let answer = format!(
                    "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
                );
                stream.write_all(answer.as_bytes()).expect("an answer");
            }
        });
        (url, asked)
    }

    const ANSWERS: &[(&str, &str)] = &[
        (
            "/schemas/ids/7",
            r#"{"schema":"{\"type\":\"record\",\"name\":\"Call\",\"fields\":[{\"name\":\"id\",\"type\":\"string\"},{\"name\":\"at\",\"type\":\"long\"},{\"name\":\"who\",\"type\":\"Who\"}]}","references":[{"name":"Who","subject":"who/value","version":2}]}"#,
        ),
        (
            "/subjects/who%2Fvalue/versions/2",
            r#"{"schema":"{\"type\":\"record\",\"name\":\"Who\",\"fields\":[{\"name\":\"name\",\"type\":\"string\"}]}"}"#,
        ),
    ];

    fn source(url: &str, patience: Duration) -> Source {
        let path = |path: &str| Lookup { paths: vec![path.to_owned()], ..Lookup::default() };
        let fields = [("id", "id"), ("contact_id", "id"), ("time", "at"), ("agent_id", "who.name")];
        let mapping = Mapping {
            layout: Layout::Registry,
            envelope: Envelope::None,
            fields: fields.into_iter().map(|(name, from)| (name.to_owned(), path(from))).collect(),
            events: vec![crate::decode::Clause {
                kind: Kind::Answered,
                when: Vec::new(),
                fields: Default::default(),
            }],
            ignore: Vec::new(),
            keep: Vec::new(),
        };
        let settings =
            config::SchemaRegistry { url: url.to_owned(), user: String::new(), password: String::new() };
        Source {
            mapping: Some(Arc::new(mapping)),
            registry: HttpRegistry::of(&settings, Some(patience)),
            ..Source::from(Format::Mapped)
        }
    }

    /// id "c1", at 1772413200, who "li".
    const RECORD: &[u8] = &[0, 0, 0, 0, 7, 4, b'c', b'1', 0xa0, 0x84, 0xa7, 0x9a, 0x0d, 4, b'l', b'i'];

    #[test]
    fn a_schema_is_fetched_once_with_what_it_refers_to() {
        let (url, asked) = registry(ANSWERS, 0);
        let mut decoder = source(&url, Duration::from_secs(10)).decoder();
        for _ in 0..3 {
            let events = decoder.read(RECORD, None).expect("an event");
            assert_eq!(
                (events[0].agent_id.as_deref(), events[0].contact_id.as_deref(), events[0].time),
                (Some("li"), Some("c1"), 1_772_413_200_000)
            );
        }
        assert_eq!(asked.load(Ordering::SeqCst), 2);
        let mut unknown = RECORD.to_vec();
        unknown[4] = 8;
        let reject = decoder.read(&unknown, None).expect_err("an unknown schema");
        assert_eq!(reject.reason, RejectReason::UnknownFormat);
        assert!(reject.detail.contains("does not know"), "{}", reject.detail);
    }

    #[test]
    fn a_registry_that_fails_is_asked_again_and_one_that_stays_down_is_told() {
        let (url, asked) = registry(ANSWERS, 2);
        let mut decoder = source(&url, Duration::from_secs(20)).decoder();
        assert_eq!(decoder.read(RECORD, None).expect("an event").len(), 1);
        assert_eq!(asked.load(Ordering::SeqCst), 4);
        let mut nowhere = source("http://127.0.0.1:9", Duration::ZERO).decoder();
        let reject = nowhere.read(RECORD, None).expect_err("nobody answers");
        assert!(reject.detail.contains("cannot be asked"), "{}", reject.detail);
    }
}
