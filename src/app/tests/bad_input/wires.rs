//! The wires of SQL clients: bytes of the PostgreSQL protocol and of Flight SQL (HTTP/2), mutated. Each is answered or its
//! connection ended, and afterwards they still listen and answer.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Once};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::{Dice, RECORDS, engine, mutate, number};
use crate::access::Access;
use crate::{flight, postgres};

/// The threads whose panics are counted: those behind Flight SQL. The library of the PostgreSQL wire panics about messages
/// that are cut off, which is caught in the connection's task and ends that connection alone.
const THREADS: &str = "flight-wire";
static PANICS: AtomicU64 = AtomicU64::new(0);
static COUNTING: Once = Once::new();

/// Counts panics of the threads behind the wires: one in a connection's task ends that task only.
fn count_panics() {
    COUNTING.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if std::thread::current().name().is_some_and(|name| name == THREADS) {
                PANICS.fetch_add(1, Ordering::Relaxed);
            }
            before(panic);
        }));
    });
}

fn runtime(threads: &str) -> tokio::runtime::Runtime {
    count_panics();
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).thread_name(threads).enable_all().build().expect("a runtime")
}

/// A message of a PostgreSQL client.
fn framed(letter: Option<u8>, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len() + 4).expect("a short message").to_be_bytes();
    letter.into_iter().chain(length).chain(content.iter().copied()).collect()
}

fn startup() -> Vec<u8> {
    framed(None, b"\0\x03\0\0user\0local\0database\0callpulse\0\0")
}

/// What clients send: a plain question, an extended one, a request for encryption, one to cancel, a password.
fn postgres_inputs() -> Vec<Vec<u8>> {
    let after = |messages: &[Vec<u8>]| [vec![startup()], messages.to_vec()].concat().concat();
    let end = framed(Some(b'X'), b"");
    vec![
        after(&[framed(Some(b'Q'), b"select 1\0"), end.clone()]),
        after(&[
            framed(Some(b'P'), b"s\0select $1::bigint + 1\0\0\x01\0\0\0\x14"),
            framed(Some(b'D'), b"Ss\0"),
            framed(Some(b'B'), b"p\0s\0\0\x01\0\0\0\x01\0\0\0\x0241\0\x01\0\x01"),
            framed(Some(b'E'), b"p\0\0\0\0\x05"),
            framed(Some(b'C'), b"Ss\0"),
            framed(Some(b'S'), b""),
            end.clone(),
        ]),
        after(&[
            framed(Some(b'p'), b"SCRAM-SHA-256\0\0\0\0\x20n,,n=,r=abcdefghijklmnopqrstuvw"),
            end.clone(),
        ]),
        after(&[framed(Some(b'Q'), b"set search_path to public; show all; begin; rollback\0"), end]),
        framed(None, &80_877_103_u32.to_be_bytes()),
        framed(None, b"\x04\xd2\x16.\0\0\0\x07\0\0\0\x09"),
    ]
}

/// What an HTTP/2 client sends first: the preface, its settings, and a call of Flight with a small message.
fn flight_inputs() -> Vec<Vec<u8>> {
    let frame = |kind: u8, flags: u8, stream: u32, content: &[u8]| {
        let length = u32::try_from(content.len()).expect("a short frame").to_be_bytes();
        [&length[1..], &[kind, flags], &stream.to_be_bytes(), content].concat()
    };
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    // Literal header fields without indexing, as the compression of headers writes them.
    let field = |name: &str, value: &str| {
        let text = |text: &str| {
            let length = u8::try_from(text.len()).expect("a short text");
            [&[length][..], text.as_bytes()].concat()
        };
        [vec![0], text(name), text(value)].concat()
    };
    let headers = |path: &str| {
        [
            field(":method", "POST"),
            field(":scheme", "http"),
            field(":path", path),
            field(":authority", "127.0.0.1"),
            field("content-type", "application/grpc"),
            field("te", "trailers"),
        ]
        .concat()
    };
    let call = |path: &str, message: &[u8]| {
        let length = u32::try_from(message.len()).expect("a short message").to_be_bytes();
        let body = [&[0_u8][..], &length, message].concat();
        [preface.clone(), frame(4, 0, 0, b""), frame(1, 4, 1, &headers(path)), frame(0, 1, 1, &body)].concat()
    };
    let service = "/arrow.flight.protocol.FlightService";
    vec![
        call(&format!("{service}/GetFlightInfo"), b"\x08\x02\x12\x04\x0a\x02ab"),
        call(&format!("{service}/DoGet"), b"\x0a\x04abcd"),
        call(&format!("{service}/DoAction"), b"\x0a\x17CreatePreparedStatement\x12\x02\x0a\0"),
        call(&format!("{service}/Handshake"), b""),
        [preface.clone(), frame(4, 0, 0, b"\0\x03\0\0\0\x64"), frame(6, 0, 0, b"12345678")].concat(),
    ]
}

/// Sends mutations of these inputs, each over a connection of its own; counts those that were answered.
async fn send(name: &str, address: SocketAddr, inputs: &[Vec<u8>], tries: u64) {
    let seed = number("CALLPULSE_SEED", 1);
    let mut dice = Dice(seed);
    let mut answered = 0_u64;
    for _ in 0..tries {
        let input = mutate(&mut dice, inputs);
        let mut stream = TcpStream::connect(address).await.expect("it still listens");
        // It may close as soon as it has seen enough.
        let _ = stream.write_all(&input).await;
        let _ = stream.shutdown().await;
        let mut answer = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(30), stream.read_to_end(&mut answer)).await;
        assert!(
            read.is_ok(),
            "{name}: CALLPULSE_SEED={seed}: no end of {:?}",
            input.escape_ascii().to_string()
        );
        answered += u64::from(!answer.is_empty());
    }
    println!(
        "{name}: {tries} executions (CALLPULSE_SEED={seed}), corpus of {}: {answered} answered",
        inputs.len()
    );
    assert!(answered > 0, "{name}: nothing was answered");
}

fn tries() -> u64 {
    (number("CALLPULSE_MUTATIONS", RECORDS) / 50).max(50)
}

#[test]
fn mutated_postgres_messages_leave_the_wire_alive() {
    runtime("postgres-wire").block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let stop = CancellationToken::new();
        let wire = postgres::Wire { engine: engine(), access: Arc::new(Access::local_only()), tls: None };
        let running = tokio::spawn(postgres::run(listener, wire, stop.clone()));
        send("postgres", address, &postgres_inputs(), tries()).await;
        let mut stream = TcpStream::connect(address).await.expect("it still listens");
        stream.write_all(&postgres_inputs()[0]).await.expect("it reads");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.expect("it answers");
        let ready = b"Z\0\0\0\x05I";
        assert!(answer.windows(ready.len()).any(|part| part == ready), "{}", answer.escape_ascii());
        stop.cancel();
        running.await.expect("no panic").expect("it stops");
    });
}

#[test]
fn mutated_flight_frames_leave_the_wire_alive() {
    runtime(THREADS).block_on(async {
        let before = PANICS.load(Ordering::Relaxed);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let stop = CancellationToken::new();
        let door = flight::Flight { engine: engine(), access: Arc::new(Access::local_only()), tls: None };
        let running = tokio::spawn(flight::run(listener, door, stop.clone()));
        send("flight", address, &flight_inputs(), tries()).await;
        stop.cancel();
        running.await.expect("no panic").expect("it stops");
        assert_eq!(PANICS.load(Ordering::Relaxed), before, "a connection's task has panicked");
    });
}
