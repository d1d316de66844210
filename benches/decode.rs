//! What reading a record costs: rows per CPU-second of three ways from the same bytes to the same fields.
//!
//! - `Value`: serde_json into a tree, the way that is written first
//! - `serde_json`: our typed reader on serde_json, the reference of the tests
//! - `plain`: our typed reader as it runs, one pass over the plain form
//!
//! and, as a table, what converting a record to events costs in each format (mapped records as JSON, as CSV and as Avro by a registry).
//!
//! ```text
//! cargo bench --bench decode [-- RECORDS]
//! ```
#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;

use callpulse::decode::{
    Clause, Decoder, Envelope, Format, Layout, Lookup, Mapping, Parser, Registry, SchemaKind, SchemaText,
    Source,
};
use callpulse::event::Kind;
use callpulse::mimic::Mimic;
use callpulse::simulate::{Centre, Emitted, Options};
use callpulse::time::format_time;

const RECORDS: usize = 200_000;
/// Each way is measured so often; the best counts, since others use the machine too.
const ROUNDS: usize = 5;

fn main() {
    let records = std::env::args().filter_map(|word| word.parse().ok()).next().unwrap_or(RECORDS);
    let mut centre = Centre::new(Options::default());
    let mut event = Emitted::default();
    let mut bytes = Vec::new();
    let mut ends = Vec::with_capacity(records);
    while ends.len() < records && centre.next_into(&mut event) {
        bytes.extend_from_slice(event.payload.as_bytes());
        ends.push(bytes.len());
    }
    println!(
        "{} simulated events, {} bytes each on average; CPU time of one thread, best of {ROUNDS} rounds\n",
        ends.len(),
        bytes.len() / ends.len().max(1)
    );
    println!("1. Canonical records, three ways to the same fields");

    let tree = best(|| {
        each(&bytes, &ends, |record| {
            let value: serde_json::Value = serde_json::from_slice(record).expect("the centre writes JSON");
            black_box(&value);
        });
    });
    let typed = |parser| {
        let mut decoder = Decoder::new(Format::Callpulse).with_parser(parser);
        best(|| {
            each(&bytes, &ends, |record| {
                let event = decoder.decode(record, None).expect("the centre writes canonical events");
                black_box(&event);
            });
        })
    };
    let reference = typed(Parser::SerdeJson);
    let ours = typed(Parser::Plain);
    let rate = |secs: f64| ends.len() as f64 / secs;
    for (name, secs) in [("serde_json Value", tree), ("serde_json typed", reference), ("plain typed", ours)] {
        println!(
            "{name:18} {:>10.0} rows per CPU-s {:>8.0} MB per CPU-s   {:.2} times the tree",
            rate(secs),
            bytes.len() as f64 / secs / 1e6,
            tree / secs
        );
    }
    println!("plain typed is {:.2} times serde_json typed", reference / ours);
    println!(
        "\n2. Conversion to events, for each format\n\n{:22} {:>8} {:>12} {:>16} {:>15} {:>13}",
        "format", "records", "bytes/record", "records/CPU-s", "events/CPU-s", "MB/CPU-s"
    );
    row("callpulse", ends.len(), ends.len(), bytes.len(), ours);
    for name in Mimic::NAMES {
        platform(name, records / 4);
    }
    let columns = std::iter::once("time").chain(FIELDS).map(str::to_owned).collect();
    let csv = Layout::Csv { delimiter: b',', columns };
    for (name, layout) in
        [("mapped json", Layout::Json), ("mapped csv", csv), ("mapped avro", Layout::Registry)]
    {
        mapped(name, layout, records / 4);
    }
}

/// A registry of the one schema of [`mapped`].
#[derive(Debug)]
struct One;

impl Registry for One {
    fn schema(&self, _id: u32) -> Result<SchemaText, String> {
        let field = |name: &str| format!("{{\"name\":\"{name}\",\"type\":[\"null\",\"string\"]}}");
        let fields: Vec<String> = FIELDS.iter().map(|name| field(name)).collect();
        let text = format!(
            "{{\"type\":\"record\",\"name\":\"Told\",\"fields\":[{{\"name\":\"time\",\"type\":\"long\"}},{}]}}",
            fields.join(",")
        );
        Ok(SchemaText { kind: SchemaKind::Avro, text, references: Vec::new() })
    }
}

/// The fields of a record of [`mapped`] beside its time.
const FIELDS: [&str; 6] = ["type", "id", "contact_id", "agent_id", "queue", "channel"];

/// Contacts' events as records of one's own, read by a mapping.
fn mapped(name: &str, layout: Layout, events: usize) {
    let path = |path: &str| Lookup { paths: vec![path.to_owned()], ..Lookup::default() };
    let clause = |kind: Kind| Clause {
        kind,
        when: vec![("type".to_owned(), vec![kind.as_str().to_owned()])],
        fields: BTreeMap::new(),
    };
    let kinds = [Kind::ContactStarted, Kind::Queued, Kind::Answered, Kind::Ended, Kind::Wrapped];
    let fields = FIELDS[1..].iter().chain(&["time"]).map(|name| ((*name).to_owned(), path(name)));
    let mapping = Mapping {
        layout: layout.clone(),
        envelope: Envelope::None,
        fields: fields.collect(),
        events: kinds.map(clause).into(),
        ignore: Vec::new(),
        keep: Vec::new(),
    };
    let mut centre = Centre::new(Options::default());
    let mut canonical = Decoder::default();
    let (mut emitted, mut told) = (Emitted::default(), Vec::new());
    while told.len() < events && centre.next_into(&mut emitted) {
        let event =
            canonical.decode(emitted.payload.as_bytes(), None).expect("the centre writes canonical events");
        if !kinds.contains(&event.kind) {
            continue;
        }
        let channel = event.channel.map(|channel| channel.as_str());
        let values = [
            Some(event.kind.as_str()),
            Some(&*event.id),
            event.contact_id.as_deref(),
            event.agent_id.as_deref(),
            event.queue.as_deref(),
            channel,
        ];
        let mut record = Vec::new();
        match layout {
            Layout::Registry => {
                record.extend([0, 0, 0, 0, 1]);
                zigzag(event.time, &mut record);
                for value in values {
                    zigzag(i64::from(value.is_some()), &mut record);
                    if let Some(value) = value {
                        zigzag(value.len() as i64, &mut record);
                        record.extend_from_slice(value.as_bytes());
                    }
                }
            }
            Layout::Csv { .. } => {
                let values = values.map(Option::unwrap_or_default).join(",");
                record.extend_from_slice(format!("{},{values}", format_time(event.time)).as_bytes());
            }
            Layout::Json => {
                let members = FIELDS.iter().zip(values);
                let members = members.filter_map(|(name, value)| Some(format!("\"{name}\":\"{}\"", value?)));
                let members: Vec<String> = members.collect();
                record.extend_from_slice(
                    format!("{{\"time\":{},{}}}", event.time, members.join(",")).as_bytes(),
                );
            }
        }
        told.push(record);
    }
    let source = Source {
        mapping: Some(Arc::new(mapping)),
        registry: Some(Arc::new(One)),
        ..Source::from(Format::Mapped)
    };
    let bytes: usize = told.iter().map(Vec::len).sum();
    let secs = best(|| {
        let mut decoder = source.decoder();
        for record in &told {
            black_box(&decoder.read(record, None).expect("records of one's own"));
        }
    });
    row(name, told.len(), told.len(), bytes, secs);
}

/// A line of the table of conversions.
fn row(name: &str, records: usize, events: usize, bytes: usize, secs: f64) {
    println!(
        "{name:22} {records:>8} {:>12} {:>16.0} {:>15.0} {:>13.1}",
        bytes / records.max(1),
        records as f64 / secs,
        events as f64 / secs,
        bytes as f64 / secs / 1e6
    );
}

/// A number as Avro writes it.
fn zigzag(number: i64, out: &mut Vec<u8>) {
    let mut rest = ((number << 1) ^ (number >> 63)) as u64;
    while rest > 0x7f {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// The same centre in a platform's words: records and events per CPU-second.
fn platform(name: &str, events: usize) {
    let mut mimic = Mimic::new(name).expect("it is one of the names");
    let mut canonical = Decoder::default();
    let mut centre = Centre::new(Options::default());
    let (mut emitted, mut spoken) = (Emitted::default(), Vec::new());
    for _ in 0..events {
        if !centre.next_into(&mut emitted) {
            break;
        }
        let event =
            canonical.decode(emitted.payload.as_bytes(), None).expect("the centre writes canonical events");
        mimic.hear(&event, &mut spoken);
    }
    mimic.end(&mut spoken);
    let bytes: usize = spoken.iter().map(|said| said.payload.len()).sum();
    let mut made = 0;
    let secs = best(|| {
        let mut decoder = Decoder::new(Format::from_name(name).expect("it is a format"));
        made = 0;
        for said in &spoken {
            let events = decoder.read(said.payload.as_bytes(), None).expect("the platform's own words");
            made += events.len();
            black_box(&events);
        }
    });
    row(name, spoken.len(), made, bytes, secs);
}

fn each(bytes: &[u8], ends: &[usize], mut read: impl FnMut(&[u8])) {
    let mut from = 0;
    for &to in ends {
        read(&bytes[from..to]);
        from = to;
    }
}

/// CPU seconds of the best round.
fn best(mut run: impl FnMut()) -> f64 {
    let rounds = (0..ROUNDS).map(|_| {
        let began = cpu_seconds();
        run();
        cpu_seconds() - began
    });
    rounds.fold(f64::INFINITY, f64::min)
}

/// CPU time of this thread, as Linux counts it.
fn cpu_seconds() -> f64 {
    let counted = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux counts CPU time");
    let nanos = counted.split_whitespace().next().and_then(|first| first.parse::<f64>().ok());
    nanos.expect("the first field is nanoseconds") / 1e9
}
