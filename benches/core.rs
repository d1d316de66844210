//! What an event costs after it was read, and what an open contact costs while it is open.
//!
//! ```text
//! cargo bench --bench core [-- CONTACTS]     CONTACTS: open at once, 1,000,000 by default
//! ```
//!
//! Prints CPU nanoseconds per event of the correlator alone and with the windows, rows made, and bytes per open
//! contact, by the correlator's own count and by resident memory. At most 1 KiB each is what we promise.
#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

use callpulse::calendar::Deadlines;
use callpulse::correlate::{Applied, Correlator, Observer, Options, Quality, QueueRules, Rows};
use callpulse::decode::{Decoder, Format};
use callpulse::event::{AgentStateName, Channel, Event, Kind, Place, Speaker};
use callpulse::facts::Facts;
use callpulse::simulate::{self, Centre, Emitted};
use callpulse::time::{DAY, Grid, HOUR, MINUTE, Millis, SECOND};
use callpulse::window::{self, Counted, Window};

const EVENTS: usize = 300_000;
const CONTACTS: u64 = 1_000_000;
/// Events between two settlings, as a busy partition has them.
const BATCH: usize = 4_096;
const BYTES_MAX: u64 = 1024;

fn main() {
    let contacts = std::env::args().filter_map(|word| word.parse().ok()).next().unwrap_or(CONTACTS);
    // First what is counted in resident bytes: memory that was freed before would be taken again and not seen.
    memory(contacts);
    step();
}

fn options() -> Options {
    Options {
        grid: grid(),
        lateness_ms: 10 * MINUTE,
        correlation_ms: HOUR,
        acw_timeout_ms: 30 * MINUTE,
        contact_timeout_ms: [4 * HOUR, DAY, 30 * DAY, 30 * DAY, 4 * HOUR, 7 * DAY],
        queues: Default::default(),
        defaults: QueueRules { target_wait_ms: 20 * SECOND, short_abandon_ms: 5 * SECOND, department: None },
        quality: Quality {
            answer_ms: MINUTE,
            greeting_ms: 30 * SECOND,
            self_service_queues: Vec::new(),
            deadlines: Deadlines::of_every_day(),
        },
        keep_events: false,
        unordered: false,
    }
}

fn grid() -> Grid {
    Grid::new(chrono_tz::Asia::Shanghai, 30).expect("30 is a slot length")
}

struct Nobody;

impl Observer for Nobody {
    fn contact(&mut self, _: &Rows<'_>, _: &Rows<'_>, counted: i64) -> i64 {
        counted
    }
    fn agent(&mut self, _: Option<AgentStateName>, _: Option<AgentStateName>) {}
}

struct Watch(Window);

impl Observer for Watch {
    fn contact(&mut self, old: &Rows<'_>, new: &Rows<'_>, counted: i64) -> i64 {
        self.0.changed(old, new, Counted::from_i64(counted)).to_i64()
    }
    fn agent(&mut self, old: Option<AgentStateName>, new: Option<AgentStateName>) {
        self.0.agent_changed(old, new);
    }
}

/// Applies and settles the same events with this observer; CPU seconds and rows.
fn told(events: &[Event<'static>], observer: &mut impl Observer) -> (f64, usize) {
    let mut correlator = Correlator::new(options());
    let mut facts = Facts::default();
    let mut rows = 0;
    let began = cpu_seconds();
    for batch in events.chunks(BATCH) {
        for event in batch {
            let applied =
                correlator.apply(event, Place { topic: "bench", partition: 0, offset: 0 }, &mut facts);
            assert_eq!(applied, Applied::New, "the centre repeats nothing and is in time");
        }
        correlator.settle(&mut facts, observer);
        rows += facts.finish().iter().map(|(_, batch)| batch.num_rows()).sum::<usize>();
    }
    (cpu_seconds() - began, rows)
}

fn step() {
    let mut centre = Centre::new(simulate::Options::default());
    let (mut emitted, mut decoder) = (Emitted::default(), Decoder::new(Format::Callpulse));
    let mut events = Vec::with_capacity(EVENTS);
    while events.len() < EVENTS && centre.next_into(&mut emitted) {
        let event = decoder.decode(emitted.payload.as_bytes(), None);
        events.push(event.expect("the centre writes canonical events").into_owned());
    }
    let alone = told(&events, &mut Nobody);
    let mut watch = Watch(Window::new(window::Options::new(grid())));
    let watched = told(&events, &mut watch);
    let nanos = |secs: f64| secs * 1e9 / events.len() as f64;
    println!("{} simulated events make {} rows", events.len(), alone.1);
    println!(
        "correlator, apply and settle: {:>7.0} ns an event, {:.0} events per CPU-s",
        nanos(alone.0),
        1e9 / nanos(alone.0)
    );
    println!(
        "with the windows:             {:>7.0} ns an event, {:.2} times as much",
        nanos(watched.0),
        watched.0 / alone.0
    );
    let now = events.last().map_or(0, |event| event.time);
    let began = std::time::Instant::now();
    let summary = watch.0.snapshot(now);
    let took = began.elapsed().as_secs_f64();
    println!(
        "one snapshot of {} series:    {:>7.1} ms, ledger gap {}",
        summary.series.len(),
        took * 1e3,
        summary.ledger_gap()
    );
}

/// What happens to a contact that stays open, in its order.
const COURSE: [Kind; 20] = [
    Kind::ContactStarted,
    Kind::BotStarted,
    Kind::BotEnded,
    Kind::Queued,
    Kind::Offered,
    Kind::Missed,
    Kind::Offered,
    Kind::Answered,
    Kind::Message,
    Kind::Message,
    Kind::Held,
    Kind::Resumed,
    Kind::Message,
    Kind::Transferred,
    Kind::Queued,
    Kind::Offered,
    Kind::Answered,
    Kind::Wrapped,
    Kind::Message,
    Kind::Message,
];

fn event(contact: u64, nth: usize, time: Millis) -> Event<'static> {
    // Identifiers as platforms have them: UUIDs, with nothing in common.
    let mixed = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let uuid = |a: u64, b: u64| {
        let (a, b) = (mixed(a), mixed(b ^ 0x5555));
        format!(
            "{:08x}-{:04x}-7{:03x}-8{:03x}-{:012x}",
            a >> 32,
            a >> 16 & 0xffff,
            a & 0xfff,
            b >> 52,
            b & 0xffff_ffff_ffff
        )
    };
    let kind = COURSE[nth];
    let mut event = Event::new(uuid(contact * 32 + nth as u64 + 1, contact), kind, time);
    event.contact_id = Some(uuid(contact, !contact).into());
    event.customer_id = Some(format!("customer-{}", contact % 777_777).into());
    event.channel = Some(if contact.is_multiple_of(3) { Channel::Chat } else { Channel::Voice });
    let agent = || Some(format!("agent-{}", (contact + nth as u64 / 8) % 2_000).into());
    match kind {
        Kind::Queued => event.queue = Some(format!("queue-{}", (contact + nth as u64) % 40).into()),
        Kind::Offered
        | Kind::Missed
        | Kind::Answered
        | Kind::Held
        | Kind::Resumed
        | Kind::Transferred
        | Kind::Wrapped => {
            event.agent_id = agent();
        }
        Kind::Message => {
            event.speaker = Some(Speaker::Customer);
            event.text = Some("one utterance of ordinary length, in words".into());
        }
        _ => {}
    }
    event
}

fn memory(contacts: u64) {
    let mut correlator = Correlator::new(options());
    let mut facts = Facts::default();
    let start = 1_772_413_200_000;
    let before = resident_bytes();
    let began = cpu_seconds();
    let mut events = 0u64;
    // All contacts go on at once, as they do: the nth event of each, then the next one.
    for nth in 0..COURSE.len() {
        for contact in (0..contacts).filter(|contact| nth < 1 + (contact % 20) as usize) {
            let event = event(contact, nth, start + nth as Millis * SECOND);
            correlator.apply(&event, Place { topic: "bench", partition: 0, offset: 0 }, &mut facts);
            events += 1;
            if events.is_multiple_of(65_536) {
                correlator.settle(&mut facts, &mut Nobody);
                drop(facts.finish());
            }
        }
    }
    correlator.settle(&mut facts, &mut Nobody);
    drop(facts.finish());
    let resident = resident_bytes().saturating_sub(before);
    let counts = correlator.counts();
    let each = |bytes: u64| bytes / counts.open_contacts.max(1);
    println!(
        "{} open contacts with {:.1} events each on average, at most {}; {:.0} ns an event",
        counts.open_contacts,
        events as f64 / contacts as f64,
        COURSE.len(),
        (cpu_seconds() - began) * 1e9 / events as f64
    );
    println!("{:>5} bytes each by the correlator's count", each(counts.contact_bytes));
    println!("{:>5} bytes each by resident memory", each(resident));
    assert_eq!(counts.open_contacts, contacts, "all are open");
    let most = each(counts.contact_bytes).max(each(resident));
    assert!(most <= BYTES_MAX, "{most} bytes a contact are more than {BYTES_MAX}");
}

/// CPU time of this thread, as Linux counts it.
fn cpu_seconds() -> f64 {
    let counted = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux counts CPU time");
    let nanos = counted.split_whitespace().next().and_then(|first| first.parse::<f64>().ok());
    nanos.expect("the first field is nanoseconds") / 1e9
}

/// Memory of this process that is in RAM.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells about processes");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("it tells what is resident");
    let kib = line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok());
    kib.expect("it is a number of KiB") * 1024
}
