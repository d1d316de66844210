//! One simulated centre, told by each platform: the same figures as it tells itself, but for what the platform cannot say.
//!
//! What it cannot say is listed here, column by column, and each gap is held to be one: a gap that has closed fails too.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use callpulse::decode::{Decoder, write_event};
use callpulse::event::Kind;
use callpulse::mimic::Mimic;
use callpulse::simulate::{Centre, Options};

use crate::harness::{Place, callpulse};

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
            "offered", "answered", "abandoned+abandoned_short+error", "overflow", "callback+exit_key", "timeout",
            "no_agent+closed", "answered_in_time", "waiting",
        ],
        handlings: &["count(*)"],
        of_handlings: OF_QUEUES,
        gaps: &[
            NO_ACW,
            NO_HOLD,
            ("callback", "a call back is asked for by a key"),
            ("closed", "out of hours nobody is a member: the queue is empty"),
            ("handled", "calls that meet an agent without a queue are not in the log, and after-contact work ends with the call"),
        ],
    },
    Platform {
        format: "amazon-connect",
        seconds: true,
        channels: ALL,
        same: &[
            "offered", "answered", "abandoned", "abandoned_short", "overflow", "callback",
            "exit_key+timeout+no_agent+closed+error", "answered_in_time", "wait_ms_sum", "waiting", "handled", "talk_ms_sum",
            "hold_ms_sum", "acw_ms_sum",
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
            "offered", "answered", "abandoned", "abandoned_short", "overflow+callback+exit_key+no_agent+closed", "timeout", "error",
            "answered_in_time", "wait_ms_sum", "waiting", "handled", "talk_ms_sum", "hold_ms_sum", "acw_ms_sum",
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
            "offered", "answered", "abandoned", "abandoned_short", "overflow", "callback", "exit_key", "timeout", "no_agent", "closed",
            "error", "answered_in_time", "wait_ms_sum", "waiting", "handled", "acw_ms_sum", "talk_ms_sum+hold_ms_sum",
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
            "offered", "answered", "abandoned+abandoned_short+error", "overflow+timeout", "callback+exit_key", "no_agent+closed",
            "answered_in_time", "wait_ms_sum", "waiting",
        ],
        handlings: &["count(*)", "sum(talk_ms + hold_ms)"],
        of_handlings: OF_QUEUES,
        gaps: &[
            NO_ACW,
            NO_HOLD,
            ("callback", "a call back is asked for by a key"),
            ("closed", "out of hours there is no agent"),
            ("overflow", "a queue is left for another one by its longest wait"),
            ("handled", "calls that meet an agent without a queue are not told, and after-contact work ends with the call"),
        ],
    },
    Platform {
        format: "chatwoot",
        seconds: false,
        channels: &["chat", "email", "social", "sms"],
        same: &[
            "offered", "answered", "answered_in_time", "waiting", "wait_ms_sum",
            "abandoned+abandoned_short+overflow+callback+exit_key+timeout+no_agent+closed+error",
        ],
        handlings: &["count(*)", "sum(talk_ms + hold_ms)"],
        of_handlings: OF_QUEUES,
        gaps: &[
            NO_ACW,
            ("timeout", "a conversation that nobody took is resolved, whatever for"),
            ("closed", "as above"),
        ],
    },
];

/// What the centre tells: its own events of these channels, and the platform's records.
fn told(platform: &Platform, contacts: u64, place: &Place) -> (PathBuf, PathBuf) {
    let mut mimic = Mimic::new(platform.format).expect("every platform is spoken");
    let mut centre = Centre::new(Options { seed: 11, contacts: Some(contacts), events_per_second: 15.0, ..Options::default() });
    let mut decoder = Decoder::default();
    let (mut own, mut records, mut spoken) = (String::new(), String::new(), Vec::new());
    let mut channels: BTreeMap<String, bool> = BTreeMap::new();
    for emitted in centre.by_ref() {
        let mut event = decoder.decode(emitted.payload.as_bytes(), None).expect("a canonical event").into_owned();
        if platform.seconds {
            event.time -= event.time.rem_euclid(1000);
            event.dial_ms = event.dial_ms.map(|dial| dial - dial.rem_euclid(1000));
        }
        mimic.hear(&event, &mut spoken);
        for said in spoken.drain(..) {
            records.push_str(&said.payload);
            records.push('\n');
        }
        if event.kind > Kind::Message {
            continue;
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
    let arguments = ["replay".as_ref(), "--format".as_ref(), format.as_ref(), "--data-dir".as_ref(), lake.as_os_str(), file.as_os_str()];
    let ran = callpulse(arguments);
    assert_eq!(ran.code, 0, "{}", ran.err);
    ran.err
}

fn by_slot(columns: &[&str]) -> String {
    let figures: Vec<String> =
        columns.iter().enumerate().map(|(at, column)| format!("coalesce({column}, 0) as c{at}")).collect();
    let any: Vec<String> = columns.iter().map(|column| format!("coalesce({column}, 0) <> 0")).collect();
    format!(
        "select slot_start, channel, queue, {} from kpi_slot where {} order by slot_start, channel, queue",
        figures.join(", "),
        any.join(" or ")
    )
}

#[track_caller]
fn compare(platform: &Platform) {
    let place = Place::new();
    let (own, records) = told(platform, 700, &place);
    replay(&place, "own", "callpulse", &own);
    let said = replay(&place, "told", platform.format, &records);
    assert!(said.contains(" 0 rejected"), "{}: {said}", platform.format);
    let same = |sql: &str| {
        let (own, told) = (place.sql("own", sql).ok(), place.sql("told", sql).ok());
        assert!(own.lines().count() > 2, "{}: nothing to compare in {sql}", platform.format);
        let differ: Vec<String> = own
            .lines()
            .zip(told.lines().chain(std::iter::repeat("")))
            .filter(|(own, told)| own != told)
            .map(|(own, told)| format!("own  {own}\ntold {told}"))
            .take(6)
            .collect();
        assert!(own == told, "{}: {sql}\n{}", platform.format, differ.join("\n"));
    };
    for columns in platform.same {
        same(&by_slot(&[columns]));
    }
    let figures = platform.handlings.join(", ");
    let of = platform.of_handlings;
    same(&format!("select queue, {figures} from handlings where {of} group by queue order by queue"));
    for (column, why) in platform.gaps {
        let sql = by_slot(&[column]);
        let (own, told) = (place.sql("own", &sql).ok(), place.sql("told", &sql).ok());
        assert!(own != told, "{}: `{column}` is the same: \"{why}\" is no gap any more", platform.format);
    }
    let gap = place.number("told", "select coalesce(sum(abs(ledger_gap)), 0) from kpi_slot");
    assert_eq!(gap, 0, "{}: the ledger closes", platform.format);
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
