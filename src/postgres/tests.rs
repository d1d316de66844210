//! The wire, spoken by hand: what clients rely on, and what must stop a query.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono_tz::Asia::Shanghai;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::access::{Audit, Secret, Users};
use crate::facts::TableSet;
use crate::query::{Cut, Error, Options, Source};
use crate::time::{Grid, SystemClock};

/// Goes on for minutes.
const BIG: &str =
    "select count(*) from generate_series(1,40000000) a, generate_series(1,20) b where a.value%7=b.value%3";

struct Nothing;

#[async_trait]
impl Source for Nothing {
    async fn cut(&self, _wanted: TableSet) -> Result<Cut, Error> {
        Ok(Cut::empty(1_795_140_000_000))
    }
}

struct Running {
    address: SocketAddr,
    stop: CancellationToken,
    audit: Arc<Audit>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn start(access: Access) -> Running {
    let mut options = Options::new(Grid::new(Shanghai, 30).expect("a grid"));
    // One at a time, so that a query that is not stopped holds up the next.
    options.max_concurrent = 1;
    let audit = Arc::new(Audit::kept_in_memory(Arc::new(SystemClock)));
    let engine = Engine::new(options, Arc::new(Nothing)).expect("an engine").with_audit(Arc::clone(&audit));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let stop = CancellationToken::new();
    let wire = Wire { engine: Arc::new(engine), access: Arc::new(access), tls: None };
    tokio::spawn(run(listener, wire, stop.clone()));
    Running { address, stop, audit }
}

/// A message of the server: its letter and its content.
type Message = (u8, Vec<u8>);

struct Client {
    stream: TcpStream,
    key: Vec<u8>,
}

fn text(parts: &[&str]) -> Vec<u8> {
    parts.iter().flat_map(|part| part.bytes().chain([0])).collect()
}

fn framed(letter: Option<u8>, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len() + 4).expect("a short message").to_be_bytes();
    letter.into_iter().chain(length).chain(content.iter().copied()).collect()
}

/// The value of a field of an error.
fn field(content: &[u8], name: u8) -> Option<String> {
    let found = content.split(|byte| *byte == 0).find(|field| field.first() == Some(&name))?;
    String::from_utf8(found[1..].to_vec()).ok()
}

/// The code of the first error among messages.
fn code(messages: &[Message]) -> Option<String> {
    messages.iter().find(|(letter, _)| *letter == b'E').and_then(|(_, content)| field(content, b'C'))
}

/// The first column of every row.
fn firsts(messages: &[Message]) -> Vec<String> {
    let rows = messages.iter().filter(|(letter, _)| *letter == b'D');
    rows.map(|(_, content)| {
        let length = i32::from_be_bytes(content[2..6].try_into().expect("four bytes"));
        match usize::try_from(length) {
            Ok(length) => String::from_utf8_lossy(&content[6..6 + length]).into_owned(),
            Err(_) => "NULL".to_owned(),
        }
    })
    .collect()
}

impl Client {
    async fn open(address: SocketAddr, parameters: &[&str]) -> Self {
        let stream = TcpStream::connect(address).await.expect("a connection");
        let mut client = Self { stream, key: Vec::new() };
        let mut startup = 196_608_u32.to_be_bytes().to_vec();
        startup.extend(text(parameters));
        startup.push(0);
        client.send(&framed(None, &startup)).await;
        client
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("the server reads");
    }

    async fn message(&mut self) -> Option<Message> {
        let letter = self.stream.read_u8().await.ok()?;
        let length = self.stream.read_u32().await.ok()?;
        let mut content = vec![0; usize::try_from(length).ok()?.checked_sub(4)?];
        self.stream.read_exact(&mut content).await.ok()?;
        if letter == b'K' {
            self.key.clone_from(&content);
        }
        Some((letter, content))
    }

    /// Messages up to the one that says that the server is ready, or to the end.
    async fn until_ready(&mut self) -> Vec<Message> {
        let mut messages = Vec::new();
        let all = async {
            while let Some(message) = self.message().await {
                let over = message.0 == b'Z';
                messages.push(message);
                if over {
                    break;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(60), all).await.expect("the server answers");
        messages
    }

    async fn ask(&mut self, sql: &str) -> Vec<Message> {
        self.send(&framed(Some(b'Q'), &text(&[sql]))).await;
        self.until_ready().await
    }

    /// Logs in by SCRAM; the messages after the proof.
    async fn prove(&mut self, password: &str) -> Vec<Message> {
        let (letter, content) = self.message().await.expect("a question for the password");
        assert_eq!(letter, b'R');
        assert!(content[4..].starts_with(b"SCRAM-SHA-256\0"), "{content:?}");
        let first = "n=,r=clientnonce";
        let mut initial = text(&["SCRAM-SHA-256"]);
        let message = format!("n,,{first}");
        initial.extend(u32::try_from(message.len()).expect("short").to_be_bytes());
        initial.extend(message.bytes());
        self.send(&framed(Some(b'p'), &initial)).await;
        let (_, content) = self.message().await.expect("the server's first message");
        let server_first = String::from_utf8(content[4..].to_vec()).expect("text");
        let part = |name: &str| {
            server_first.split(',').find_map(|part| part.strip_prefix(name)).expect("a part").to_owned()
        };
        let hmac = |key: &[u8], data: &[u8]| -> [u8; 32] {
            let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key");
            mac.update(data);
            mac.finalize().into_bytes().into()
        };
        let xor =
            |left: [u8; 32], right: [u8; 32]| -> [u8; 32] { std::array::from_fn(|at| left[at] ^ right[at]) };
        let mut salt = STANDARD.decode(part("s=")).expect("a salt");
        salt.extend([0, 0, 0, 1]);
        let mut round = hmac(password.as_bytes(), &salt);
        let mut salted = round;
        for _ in 1..part("i=").parse::<u32>().expect("rounds") {
            round = hmac(password.as_bytes(), &round);
            salted = xor(salted, round);
        }
        let client_key = hmac(&salted, b"Client Key");
        let stored: [u8; 32] = Sha256::digest(client_key).into();
        let last = format!("c=biws,r={}", part("r="));
        let said = format!("{first},{server_first},{last}");
        let proof = xor(client_key, hmac(&stored, said.as_bytes()));
        let last = format!("{last},p={}", STANDARD.encode(proof));
        self.send(&framed(Some(b'p'), last.as_bytes())).await;
        self.until_ready().await
    }
}

const ANA: [&str; 4] = ["user", "ana", "database", "callpulse"];

async fn entered(running: &Running) -> Client {
    let mut client = Client::open(running.address, &ANA).await;
    let messages = client.until_ready().await;
    assert_eq!(messages.last().map(|(letter, _)| *letter), Some(b'Z'), "{messages:?}");
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn without_users_who_is_on_this_machine_asks() {
    let running = start(Access::local_only()).await;
    let mut client = entered(&running).await;
    let answer = client.ask("select 1 as one; select 'two'").await;
    assert_eq!(firsts(&answer), ["1", "two"]);
    assert_eq!(code(&client.ask("select 1; drop table legs").await).as_deref(), Some("25006"));
    assert_eq!(code(&client.ask("set datafusion.execution.batch_size = 3").await).as_deref(), Some("42501"));
    assert_eq!(code(&client.ask("copy legs to 'x'").await).as_deref(), Some("25006"));
    assert_eq!(code(&client.ask("select * from nope").await).as_deref(), Some("42P01"));
    let wrong = client.ask("select nope from legs").await;
    let place =
        wrong.iter().find(|(letter, _)| *letter == b'E').and_then(|(_, content)| field(content, b'P'));
    assert_eq!((code(&wrong).as_deref(), place.as_deref()), (Some("42703"), Some("8")));
    assert_eq!(firsts(&client.ask("show server_encoding").await), ["UTF8"]);
    // What psql's \dn+, \dp and \d+ ask for, and nobody here has.
    for sql in [
        "select pg_catalog.array_to_string(nspacl, E'\n') from pg_catalog.pg_namespace where nspname = 'public'",
        "select pg_catalog.array_to_string(relacl, ',') from pg_catalog.pg_class where relname = 'legs'",
        "select reloptions from pg_catalog.pg_class where relname = 'legs'",
        "select proacl from pg_catalog.pg_proc limit 1",
    ] {
        let answer = client.ask(sql).await;
        assert_eq!((code(&answer), firsts(&answer)), (None, vec!["NULL".to_owned()]), "{sql}");
    }
    let local = client.ask("set time zone 'Asia/Shanghai'; select timestamptz '2026-01-01 00:00:00Z'").await;
    assert!(firsts(&local)[0].starts_with("2026-01-01 08:00:00"), "{:?}", firsts(&local));
    let mut other = Client::open(running.address, &["user", "ana", "database", "other"]).await;
    assert_eq!(code(&other.until_ready().await).as_deref(), Some("3D000"));
    let lines = running.audit.kept();
    assert!(lines.iter().any(|line| line["outcome"] == "refused" && line["door"] == "postgres"), "{lines:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_ends_with_its_time_its_cancel_request_and_its_client() {
    let running = start(Access::local_only()).await;
    let mut client = entered(&running).await;
    let began = Instant::now();
    client.ask("set statement_timeout = '300ms'").await;
    assert_eq!(code(&client.ask(BIG).await).as_deref(), Some("57014"));
    client.ask("reset statement_timeout").await;

    let cancel: Vec<u8> =
        80_877_102_u32.to_be_bytes().into_iter().chain(client.key.iter().copied()).collect();
    client.send(&framed(Some(b'Q'), &text(&[BIG]))).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut canceller = TcpStream::connect(running.address).await.expect("a connection");
    canceller.write_all(&framed(None, &cancel)).await.expect("the server reads");
    assert_eq!(code(&client.until_ready().await).as_deref(), Some("57014"));

    client.send(&framed(Some(b'Q'), &text(&[BIG]))).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    drop(client);
    // There is one turn: this waits until the query of the client that is gone has given it back.
    let mut next = entered(&running).await;
    assert_eq!(firsts(&next.ask("select 3").await), ["3"]);
    assert!(began.elapsed() < Duration::from_secs(45), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_portal_hands_out_rows_piece_by_piece() {
    let running = start(Access::local_only()).await;
    let mut client = entered(&running).await;
    let mut bind = text(&["", "s"]);
    bind.extend([0, 0, 0, 1, 0, 0, 0, 1, b'3', 0, 0]);
    let execute = |rows: u32| {
        framed(Some(b'E'), &text(&[""]).into_iter().chain(rows.to_be_bytes()).collect::<Vec<_>>())
    };
    let mut parse = text(&["s", "select value from generate_series(1, 10) where value > $1"]);
    parse.extend([0, 0]);
    let messages: Vec<u8> = [
        framed(Some(b'P'), &parse),
        framed(Some(b'D'), &text(&["Ss"])),
        framed(Some(b'B'), &bind),
        execute(4),
        execute(0),
        framed(Some(b'S'), &[]),
    ]
    .concat();
    client.send(&messages).await;
    let answer = client.until_ready().await;
    assert_eq!(code(&answer), None);
    assert_eq!(firsts(&answer), ["4", "5", "6", "7", "8", "9", "10"]);
    assert_eq!(answer.iter().filter(|(letter, _)| *letter == b's').count(), 1, "one suspension");
    assert!(answer.iter().any(|(letter, _)| *letter == b't'), "the parameters are described");
}

/// Parse with these types, describe, bind with these texts, execute, sync.
fn extended(sql: &str, types: &[u32], values: &[&str]) -> Vec<u8> {
    let count = |length: usize| u16::try_from(length).expect("a few").to_be_bytes();
    let mut parse = text(&["", sql]);
    parse.extend(count(types.len()));
    parse.extend(types.iter().flat_map(|oid| oid.to_be_bytes()));
    let mut bind = text(&["", ""]);
    bind.extend([0, 0]);
    bind.extend(count(values.len()));
    for value in values {
        bind.extend(u32::try_from(value.len()).expect("short").to_be_bytes());
        bind.extend(value.bytes());
    }
    bind.extend([0, 0]);
    [
        framed(Some(b'P'), &parse),
        framed(Some(b'D'), &text(&["S"])),
        framed(Some(b'B'), &bind),
        framed(Some(b'E'), &text(&[""]).into_iter().chain([0; 4]).collect::<Vec<_>>()),
        framed(Some(b'S'), &[]),
    ]
    .concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_may_be_one_parameter() {
    const TEXTS: u32 = 1009;
    const NUMBERS: u32 = 1016;
    let running = start(Access::local_only()).await;
    let mut client = entered(&running).await;
    let numbers = "select value from generate_series(1, 5) where value";
    let texts = "select x from (values ('a'), ('b,c'), ('退款'), ('d \"e\"')) as v (x) where x";
    let some: &[&str] = &["2", "4"];
    let cases: &[(&str, &str, &str, u32, &[&str])] = &[
        (numbers, "= any($1)", "{2, 4,9}", NUMBERS, some),
        (numbers, "= any($1::int8[])", "{2,4,9}", NUMBERS, some),
        (numbers, "<> all($1)", "{1,3,5}", NUMBERS, some),
        (numbers, "> all($1)", "{1,3}", NUMBERS, &["4", "5"]),
        (numbers, "< some($1)", "{3,NULL}", NUMBERS, &["1", "2"]),
        (numbers, "<> all($1)", "{1,NULL}", NUMBERS, &[]),
        (numbers, "= any($1)", "{}", NUMBERS, &[]),
        (texts, "= any($1)", "{\"b,c\",退款,NULL,\"x\"}", TEXTS, &["b,c", "退款"]),
        (texts, "= any($1)", r#"{"d \"e\""}"#, TEXTS, &["d \"e\""]),
        (texts, "<> all($1)", "{a,\"d \\\"e\\\"\"}", TEXTS, &["b,c", "退款"]),
    ];
    for (from, condition, list, kind, wanted) in cases {
        let sql = format!("{from} {condition} order by 1");
        // Of no type, as psycopg and asyncpg send it, and as the type that is told.
        for types in [&[][..], &[0], &[*kind]] {
            client.send(&extended(&sql, types, &[list])).await;
            let answer = client.until_ready().await;
            assert_eq!(
                (code(&answer), firsts(&answer)),
                (None, wanted.iter().map(|one| (*one).to_owned()).collect()),
                "{sql} {types:?}"
            );
            let described =
                answer.iter().find(|(letter, _)| *letter == b't').map(|(_, content)| content.clone());
            let wanted = [&[0, 1][..], &kind.to_be_bytes()].concat();
            assert_eq!(described, Some(wanted), "{sql}");
        }
        let literal = sql.replace("$1", &format!("'{list}'"));
        let answer = client.ask(&literal).await;
        assert_eq!(
            (code(&answer), firsts(&answer)),
            (None, wanted.iter().map(|one| (*one).to_owned()).collect()),
            "{literal}"
        );
    }
    let sql = format!("{numbers} = any($1)");
    for wrong in ["{2", "2", "{a}", "{{1}}"] {
        client.send(&extended(&sql, &[0], &[wrong])).await;
        assert_eq!(code(&client.until_ready().await).as_deref(), Some("22P02"), "{wrong}");
        let literal = sql.replace("$1", &format!("'{wrong}'"));
        assert_eq!(code(&client.ask(&literal).await).as_deref(), Some("22P02"), "{literal}");
    }
    // Questions about the catalogue take another way.
    client
        .send(&extended("select relname from pg_class where relname = any($1)", &[0], &["{legs,\"a,b\"}"]))
        .await;
    let answer = client.until_ready().await;
    assert_eq!((code(&answer), firsts(&answer)), (None, vec!["legs".to_owned()]));
    let answer = client.ask("select relname from pg_class where relname = any('{legs,\"a,b\"}')").await;
    assert_eq!((code(&answer), firsts(&answer)), (None, vec!["legs".to_owned()]));
}

/// As SQLAlchemy 2.1 asks for the columns of a table, with values in place of parameters.
const COLUMNS: &str = "SELECT pg_catalog.pg_attribute.attname AS name, \
pg_catalog.format_type(pg_catalog.pg_attribute.atttypid, pg_catalog.pg_attribute.atttypmod) AS format_type, \
CASE WHEN pg_catalog.pg_attribute.atthasdef THEN (SELECT pg_catalog.pg_get_expr(pg_catalog.pg_attrdef.adbin, \
pg_catalog.pg_attrdef.adrelid) AS pg_get_expr_1 FROM pg_catalog.pg_attrdef WHERE pg_catalog.pg_attribute.atthasdef \
AND pg_catalog.pg_attrdef.adrelid = pg_catalog.pg_attribute.attrelid \
AND pg_catalog.pg_attrdef.adnum = pg_catalog.pg_attribute.attnum) ELSE NULL END AS \"default\", \
pg_catalog.pg_attribute.attnotnull AS not_null, pg_catalog.pg_class.relname AS table_name, \
pg_catalog.pg_description.description AS comment, pg_catalog.pg_attribute.attgenerated AS generated, \
CASE WHEN (pg_catalog.pg_attribute.attidentity != '') THEN (SELECT json_build_object('always', \
pg_catalog.pg_attribute.attidentity = 'a', 'start', pg_catalog.pg_sequence.seqstart) AS json_build_object_1 \
FROM pg_catalog.pg_sequence WHERE pg_catalog.pg_attribute.attidentity != '' AND pg_catalog.pg_sequence.seqrelid = \
CAST(CAST(pg_catalog.pg_get_serial_sequence(CAST(CAST(pg_catalog.pg_attribute.attrelid AS REGCLASS) AS TEXT), \
pg_catalog.pg_attribute.attname) AS REGCLASS) AS OID)) ELSE NULL END AS identity_options, \
CASE WHEN (pg_catalog.pg_attribute.attcollation != 0 AND (SELECT pg_catalog.pg_type.typcollation FROM pg_catalog.pg_type \
WHERE pg_catalog.pg_type.oid = pg_catalog.pg_attribute.atttypid) != pg_catalog.pg_attribute.attcollation) \
THEN (SELECT json_build_object('name', pg_catalog.pg_collation.collname, 'schema', \
CASE WHEN pg_catalog.pg_collation_is_visible(pg_catalog.pg_collation.oid) THEN NULL \
ELSE pg_catalog.pg_namespace.nspname END) AS json_build_object_9 FROM pg_catalog.pg_collation \
JOIN pg_catalog.pg_namespace ON pg_catalog.pg_namespace.oid = pg_catalog.pg_collation.collnamespace \
WHERE pg_catalog.pg_collation.oid = pg_catalog.pg_attribute.attcollation) ELSE NULL END AS collation \
FROM pg_catalog.pg_class LEFT OUTER JOIN pg_catalog.pg_attribute \
ON pg_catalog.pg_class.oid = pg_catalog.pg_attribute.attrelid AND pg_catalog.pg_attribute.attnum > 0 \
AND NOT pg_catalog.pg_attribute.attisdropped LEFT OUTER JOIN pg_catalog.pg_description \
ON pg_catalog.pg_description.objoid = pg_catalog.pg_attribute.attrelid \
AND pg_catalog.pg_description.objsubid = pg_catalog.pg_attribute.attnum JOIN pg_catalog.pg_namespace \
ON pg_catalog.pg_namespace.oid = pg_catalog.pg_class.relnamespace \
WHERE pg_catalog.pg_class.relkind = ANY (ARRAY['r', 'p', 'f', 'v', 'm']) AND pg_catalog.pg_table_is_visible(pg_catalog.pg_class.oid) \
AND pg_catalog.pg_namespace.nspname != 'pg_catalog' AND pg_catalog.pg_class.relname IN ('legs') \
ORDER BY pg_catalog.pg_class.relname, pg_catalog.pg_attribute.attnum";

#[tokio::test(flavor = "multi_thread")]
async fn subselects_of_questions_about_the_catalogue_are_answered() {
    let running = start(Access::local_only()).await;
    let mut client = entered(&running).await;
    let simple = client.ask(COLUMNS).await;
    assert_eq!(code(&simple), None, "{simple:?}");
    let names = firsts(&simple);
    assert_eq!(names.first().map(String::as_str), Some("contact_id"), "{names:?}");
    assert!(names.contains(&"queued_at".to_owned()), "{names:?}");
    client.send(&extended(COLUMNS, &[], &[])).await;
    let answer = client.until_ready().await;
    assert_eq!((code(&answer), firsts(&answer)), (None, names));
    for table in clients::EMPTY {
        assert_eq!(
            firsts(&client.ask(&format!("select count(*) from pg_catalog.{table}")).await),
            ["0"],
            "{table}"
        );
    }
    // Where there are rows, the answer is theirs.
    let kinds = "select attname, case when true then (select t.typname from pg_type t where t.oid = a.atttypid) end \
                 from pg_attribute a where a.attname = 'queued_at'";
    let kinds = client.ask(kinds).await;
    assert_eq!(code(&kinds), None, "{kinds:?}");
    let shown = kinds.iter().any(|(letter, content)| *letter == b'D' && content.ends_with(b"timestamptz"));
    assert!(shown, "{kinds:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_users_a_password_is_proven_and_the_role_holds() {
    let secret = Secret::new("s3cret-words", b"a salt of the test", 4096);
    let users = format!(
        "[[user]]\nname = \"ana\"\nrole = \"lead\"\ndepartments = [\"retail\"]\npassword = \"{secret}\"\n"
    );
    let access = Access::of(Users::parse("users.toml", &users).expect("users"));
    let running = start(access).await;
    let mut wrong = Client::open(running.address, &ANA).await;
    assert_eq!(code(&wrong.prove("guess").await).as_deref(), Some("28P01"));
    let mut nobody = Client::open(running.address, &["user", "nobody", "database", "callpulse"]).await;
    assert_eq!(code(&nobody.prove("s3cret-words").await).as_deref(), Some("28P01"));
    let mut client = Client::open(running.address, &ANA).await;
    let messages = client.prove("s3cret-words").await;
    assert_eq!(messages.last().map(|(letter, _)| *letter), Some(b'Z'), "{messages:?}");
    assert_eq!(firsts(&client.ask("select current_user").await), ["ana"]);
    assert_eq!(code(&client.ask("select * from rejects").await).as_deref(), Some("42501"));
    assert_eq!(code(&client.ask("explain analyze select 1").await).as_deref(), Some("42501"));
    assert_eq!(code(&client.ask("set role admin").await).as_deref(), Some("42501"));
    let lines = running.audit.kept();
    let is_there = |what: &str, outcome: &str| {
        lines.iter().any(|line| line["what"] == what && line["outcome"] == outcome)
    };
    assert!(is_there("login as ana", "refused") && is_there("login as ana", "logged in"), "{lines:?}");
    assert!(is_there("select * from rejects", "refused"), "{lines:?}");
}
