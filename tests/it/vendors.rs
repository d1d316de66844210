//! One simulated centre, told by each platform: the same figures as it tells itself, but for what the platform cannot say.
//!
//! What it cannot say is listed here, column by column, and each gap is held to be one: a gap that has closed fails too.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use callpulse::decode::{Decoder, write_event};
use callpulse::event::Kind;
use callpulse::mimic::Mimic;
use callpulse::simulate::{Centre, Options};

use crate::harness::{BOOKED, Place, callpulse};

/// One platform, and how its figures compare with the centre's own.
struct Platform {
    format: &'static str,
    /// Times are whole seconds there, so the centre's are cut to seconds first.
    seconds: bool,
    /// The contacts that it knows.
    channels: &'static [&'static str],
    /// Columns of `kpi_slot` that are the same in every slot, channel and queue; a sum of columns joined by `+`.
    same: &'static [&'static str],
    /// Figures of handlings that are the same in all, by queue, over handlings that `of_handlings` picks.
    handlings: &'static [&'static str],
    /// Which handlings the platform knows.
    of_handlings: &'static str,
    /// Columns that differ, and why.
    gaps: &'static [(&'static str, &'static str)],
}

const CONTACTS: u64 = 1_800;
const ALL: &[&str] = &["voice", "chat", "email", "social", "video", "sms"];
const EVERY: &str = "true";
const OF_QUEUES: &str = "leg is not null";
const NO_ACW: (&str, &str) = ("acw_ms_sum", "after-contact work is not told");
const NO_HOLD: (&str, &str) = ("hold_ms_sum", "hold is not told, and counts as talk");

const PLATFORMS: &[Platform] = &[
    Platform {
        format: "asterisk-queue-log",
        seconds: true,
        channels: &["voice"],
        same: &[
            "offered",
            "answered",
            "abandoned+abandoned_short+error",
            "overflow",
            "callback+exit_key",
            "timeout",
            "no_agent+closed",
            "answered_in_time",
            "wait_ms_sum",
            "waiting",
        ],
        handlings: &["count(*)", "sum(talk_ms + hold_ms)"],
        of_handlings: OF_QUEUES,
        gaps: &[
            NO_ACW,
            NO_HOLD,
            ("callback", "a call back is asked for by a key"),
            ("closed", "out of hours nobody is a member: the queue is empty"),
            (
                "handled",
                "calls that meet an agent without a queue are not in the log, and after-contact work ends with the call",
            ),
        ],
    },
    Platform {
        format: "amazon-connect",
        seconds: true,
        channels: ALL,
        same: &[
            "offered",
            "answered",
            "abandoned",
            "abandoned_short",
            "overflow",
            "callback",
            "exit_key+timeout+no_agent+closed+error",
            "answered_in_time",
            "wait_ms_sum",
            "waiting",
            "handled",
            "talk_ms_sum",
            "hold_ms_sum",
            "acw_ms_sum",
        ],
        handlings: &["count(*)", "sum(talk_ms)", "sum(hold_ms)", "sum(acw_ms)"],
        of_handlings: EVERY,
        gaps: &[
            ("exit_key", "a contact record does not say why a flow took a contact out of its queue"),
            ("no_agent", "as above"),
            ("closed", "as above"),
        ],
    },
    Platform {
        format: "genesys",
        seconds: false,
        channels: ALL,
        same: &[
            "offered",
            "answered",
            "abandoned",
            "abandoned_short",
            "overflow+callback+exit_key+no_agent+closed",
            "timeout",
            "error",
            "answered_in_time",
            "wait_ms_sum",
            "waiting",
            "handled",
            "talk_ms_sum",
            "hold_ms_sum",
            "acw_ms_sum",
        ],
        handlings: &["count(*)", "sum(talk_ms)", "sum(hold_ms)", "sum(acw_ms)"],
        of_handlings: EVERY,
        gaps: &[
            ("callback", "a contact that leaves its queue has flowed out, whatever for"),
            ("exit_key", "as above"),
            ("no_agent", "as above"),
            ("closed", "as above"),
        ],
    },
    Platform {
        format: "twilio",
        seconds: false,
        channels: ALL,
        same: &[
            "offered",
            "answered",
            "abandoned",
            "abandoned_short",
            "overflow",
            "callback",
            "exit_key",
            "timeout",
            "closed",
            "no_agent",
            "error",
            "answered_in_time",
            "wait_ms_sum",
            "waiting",
            "handled",
            "acw_ms_sum",
            "talk_ms_sum+hold_ms_sum",
        ],
        handlings: &["count(*)", "sum(talk_ms + hold_ms)", "sum(acw_ms)"],
        of_handlings: EVERY,
        gaps: &[NO_HOLD],
    },
    Platform {
        format: "freeswitch-callcenter",
        seconds: false,
        channels: &["voice"],
        same: &[
            "offered",
            "answered",
            "abandoned+abandoned_short+error",
            "overflow+timeout",
            "callback+exit_key",
            "no_agent+closed",
            "answered_in_time",
            "wait_ms_sum",
            "waiting",
        ],
        handlings: &["count(*)", "sum(talk_ms + hold_ms)"],
        of_handlings: OF_QUEUES,
        gaps: &[
            NO_ACW,
            NO_HOLD,
            ("callback", "a call back is asked for by a key"),
            ("closed", "out of hours there is no agent"),
            ("overflow", "a queue is left for another one by its longest wait"),
            (
                "handled",
                "calls that meet an agent without a queue are not told, and after-contact work ends with the call",
            ),
        ],
    },
    Platform {
        format: "chatwoot",
        seconds: false,
        channels: &["chat", "email", "social", "sms"],
        same: &[
            "offered",
            "answered",
            "answered_in_time",
            "waiting",
            "wait_ms_sum",
            "abandoned+abandoned_short+overflow+callback+exit_key+timeout+no_agent+closed+error",
        ],
        handlings: &["count(*)"],
        of_handlings: OF_QUEUES,
        gaps: &[
            NO_ACW,
            (
                "talk_ms_sum",
                "an agent who passes a conversation on has it until the next team or agent has it",
            ),
            ("exit_key", "a conversation that nobody took is resolved, whatever for"),
            ("closed", "as above"),
        ],
    },
];

/// What the centre tells: its own events of these channels, and the platform's records.
fn told(platform: &Platform, place: &Place) -> (PathBuf, PathBuf) {
    let mut mimic = Mimic::new(platform.format).expect("every platform is spoken");
    // An evening in which everything happens: overloaded queues, call backs, hours that end.
    let start = 1_772_451_600_000;
    let options =
        Options { seed: 8, start, contacts: Some(CONTACTS), events_per_second: 8.0, ..Options::default() };
    let mut centre = Centre::new(options);
    let mut decoder = Decoder::default();
    let (mut own, mut records, mut spoken) = (String::new(), String::new(), Vec::new());
    let mut channels: BTreeMap<String, bool> = BTreeMap::new();
    let mut lasts: BTreeMap<String, i64> = BTreeMap::new();
    for emitted in centre.by_ref() {
        let mut event =
            decoder.decode(emitted.payload.as_bytes(), None).expect("a canonical event").into_owned();
        // What goes on beside contacts moves the time after which a wrap-up is given up.
        if event.kind > Kind::Message {
            continue;
        }
        if platform.seconds {
            event.time -= event.time.rem_euclid(1000);
            event.dial_ms = event.dial_ms.map(|dial| dial - dial.rem_euclid(1000));
            // Of one second, whole seconds do not tell what came first.
            let last = lasts.entry(event.contact_id.as_deref().unwrap_or_default().to_owned()).or_insert(0);
            event.time = event.time.max(*last + 1000);
            *last = event.time;
        }
        mimic.hear(&event, &mut spoken);
        for said in spoken.drain(..) {
            records.push_str(&said.payload);
            records.push('\n');
        }
        let contact = event.contact_id.as_deref().unwrap_or_default().to_owned();
        let known = *channels.entry(contact).or_insert_with(|| {
            event.channel.is_none_or(|channel| platform.channels.contains(&channel.as_str()))
        });
        if known {
            write_event(&event, &mut own);
            own.push('\n');
        }
    }
    mimic.end(&mut spoken);
    for said in spoken {
        records.push_str(&said.payload);
        records.push('\n');
    }
    (place.write("own.jsonl", own), place.write("records", records))
}

fn replay(place: &Place, lake: &str, format: &str, file: &Path) -> String {
    let lake = place.path(lake);
    let arguments = [
        "replay".as_ref(),
        "--format".as_ref(),
        format.as_ref(),
        "--data-dir".as_ref(),
        lake.as_os_str(),
        file.as_os_str(),
    ];
    let ran = callpulse(arguments);
    assert_eq!(ran.code, 0, "{}", ran.err);
    ran.err
}

/// Rows of `kpi_slot` by slot, channel and queue; the columns by name.
type Rows = BTreeMap<String, BTreeMap<String, i64>>;

fn rows(place: &Place, lake: &str) -> Rows {
    let columns = format!("{BOOKED},handled,talk_ms_sum,hold_ms_sum,acw_ms_sum,ledger_gap");
    let sql = format!("select slot_start, channel, queue, {columns} from kpi_slot");
    let answer = place.sql(lake, &sql).ok();
    let row = |line: &str| {
        let cells: Vec<&str> = line.split(',').collect();
        let names = columns.split(',').map(str::to_owned);
        let figures = names.zip(cells[3..].iter().map(|cell| cell.parse().unwrap_or(0))).collect();
        (cells[..3].join(","), figures)
    };
    answer.lines().skip(1).map(row).collect()
}

/// The rows in which a figure, or a sum of figures, is not 0.
fn figure(rows: &Rows, columns: &str) -> BTreeMap<String, i64> {
    let sum = |row: &BTreeMap<String, i64>| columns.split('+').map(|column| row[column]).sum::<i64>();
    rows.iter().map(|(key, row)| (key.clone(), sum(row))).filter(|(_, sum)| *sum != 0).collect()
}

#[track_caller]
fn compare(platform: &Platform) {
    let place = Place::new();
    let (own, records) = told(platform, &place);
    replay(&place, "own", "callpulse", &own);
    let said = replay(&place, "told", platform.format, &records);
    assert!(said.contains(" 0 rejected"), "{}: {said}", platform.format);
    let (own, told) = (rows(&place, "own"), rows(&place, "told"));
    let mut faults = Vec::new();
    for columns in platform.same {
        let (own, told) = (figure(&own, columns), figure(&told, columns));
        if own.is_empty() && *columns != "waiting" {
            faults.push(format!("{columns}: nothing to compare"));
        }
        let keys: BTreeSet<&String> = own.keys().chain(told.keys()).collect();
        let differ: Vec<_> = keys.into_iter().filter(|key| own.get(*key) != told.get(*key)).collect();
        for key in differ.iter().take(4) {
            let of = differ.len();
            faults.push(format!(
                "{columns}: {key}: own {:?}, told {:?} (1 of {of})",
                own.get(*key),
                told.get(*key)
            ));
        }
    }
    let (figures, of) = (platform.handlings.join(", "), platform.of_handlings);
    let sql = format!("select queue, {figures} from handlings where {of} group by queue order by queue");
    let handlings = (place.sql("own", &sql).ok(), place.sql("told", &sql).ok());
    if handlings.0 != handlings.1 {
        faults.push(format!("{sql}\nown\n{}told\n{}", handlings.0, handlings.1));
    }
    for (column, why) in platform.gaps {
        if figure(&own, column) == figure(&told, column) {
            faults.push(format!("{column}: is the same: \"{why}\" is no gap any more"));
        }
    }
    if !figure(&told, "ledger_gap").is_empty() {
        faults.push("the ledger does not close".to_owned());
    }
    assert!(faults.is_empty(), "{}\n{}", platform.format, faults.join("\n"));
}

#[test]
fn asterisk_tells_the_same_figures() {
    compare(&PLATFORMS[0]);
}

#[test]
fn amazon_connect_tells_the_same_figures() {
    compare(&PLATFORMS[1]);
}

#[test]
fn genesys_tells_the_same_figures() {
    compare(&PLATFORMS[2]);
}

#[test]
fn twilio_tells_the_same_figures() {
    compare(&PLATFORMS[3]);
}

#[test]
fn freeswitch_tells_the_same_figures() {
    compare(&PLATFORMS[4]);
}

#[test]
fn chatwoot_tells_the_same_figures() {
    compare(&PLATFORMS[5]);
}

#[test]
fn every_platform_that_is_spoken_is_compared() {
    let compared: Vec<&str> = PLATFORMS.iter().map(|platform| platform.format).collect();
    let mut spoken = Mimic::NAMES.to_vec();
    spoken.retain(|name| !compared.contains(name));
    assert!(spoken.is_empty(), "{spoken:?}");
}

#[test]
fn convert_writes_canonical_events_and_explains_a_mapping() {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples");
    let arguments = |more: &[&str], path: &str| -> Vec<String> {
        let more = more.iter().map(|word| (*word).to_owned());
        ["convert".to_owned()]
            .into_iter()
            .chain(more)
            .chain([samples.join(path).display().to_string()])
            .collect()
    };
    let converted =
        callpulse(arguments(&["--format", "asterisk-queue-log"], "asterisk-queue-log/queue_log.restart"));
    let events = converted.ok();
    assert!(
        events.lines().count() > 15 && events.lines().all(|line| line.starts_with("{\"id\":")),
        "{events}"
    );
    // What was converted is read as it is, and gives the same figures.
    let place = Place::new();
    let canonical = place.write("converted.jsonl", &events);
    replay(&place, "converted", "callpulse", &canonical);
    replay(&place, "direct", "asterisk-queue-log", &samples.join("asterisk-queue-log/queue_log.restart"));
    assert_eq!(rows(&place, "converted"), rows(&place, "direct"));

    let mapping = samples.join("mapped/calls.toml").display().to_string();
    let mapped =
        callpulse(arguments(&["--format", "mapped", "--mapping", &mapping], "mapped/calls.jsonl")).ok();
    assert_eq!(mapped.lines().count(), 2, "{mapped}");
    let explained = callpulse(arguments(
        &["--format", "mapped", "--mapping", &mapping, "--explain"],
        "mapped/calls.jsonl",
    ))
    .ok();
    assert!(explained.contains("queue <- skills[0] = 1 -> \"Sales\""), "{explained}");
    let wrong = place.write("wrong.toml", "[fields]\ntimes = \"at\"\n[[event]]\ntype = \"contact.queued\"\n");
    let faults = callpulse(arguments(
        &["--format", "mapped", "--mapping", &wrong.display().to_string()],
        "mapped/calls.jsonl",
    ));
    assert_eq!(faults.code, 78, "{}", faults.err);
    assert!(
        faults.err.contains("line 2") && faults.err.contains("the nearest field is `time`"),
        "{}",
        faults.err
    );
    let topics = format!("kafka.topics=[{{name=\"a\",format=\"mapped\",mapping=\"{}\"}}]", wrong.display());
    let checked = callpulse(["check", "--set", &topics]);
    assert_eq!((checked.code, checked.err.contains("line 2")), (78, true), "{}", checked.err);
    assert_eq!(callpulse(["convert", "--format", "morse", "x"]).code, 64);
    assert_eq!(callpulse(["convert", "--format", "mapped", "x"]).code, 64);
    assert_eq!(callpulse(["convert", "--format", "twilio", "nowhere"]).code, 66);
}
