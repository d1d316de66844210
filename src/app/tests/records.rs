//! Records of a small centre, partition by partition, in an order of arrival as producers make it: late, twice, and
//! sometimes not usable.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::dice::Dice;
use crate::ingest::{Block, Record};
use crate::time::{MINUTE, Millis, SECOND};

pub(super) const TOPIC: &str = "calls";
/// Event time of the beginning: a Monday morning.
const START: Millis = 1_772_413_200_000;

/// One record of a partition.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub(super) offset: i64,
    pub(super) timestamp: i64,
    pub(super) value: Option<Vec<u8>>,
}

/// The log of one partition.
#[derive(Debug)]
pub(super) struct Partition {
    pub(super) number: i32,
    pub(super) records: Vec<Stored>,
}

const QUEUES: [&str; 3] = ["cards", "loans", "sales"];

fn event(dice: &mut Dice, kind: &str, id: String, time: Millis) -> Map<String, Value> {
    let mut event = Map::new();
    event.insert("id".into(), id.into());
    event.insert("type".into(), kind.into());
    event.insert("time".into(), time.into());
    if dice.percent(20) {
        event.insert("queue".into(), dice.pick(&QUEUES).into());
    }
    event
}

/// The events of one contact, from its beginning.
fn contact(dice: &mut Dice, name: &str, begin: Millis, out: &mut Vec<(Millis, Map<String, Value>)>) {
    let mut time = begin;
    let mut number = 0;
    let mut tell = |dice: &mut Dice, kind: &str, most: Millis, more: Value| {
        time += (dice.below(most as usize) as Millis) / 1000 * 1000;
        number += 1;
        let mut event = event(dice, kind, format!("{name}-{number}"), time);
        event.insert("contact_id".into(), name.into());
        if let Value::Object(more) = more {
            event.extend(more);
        }
        out.push((time, event));
    };
    let channel = dice.pick(&["voice", "chat"]);
    tell(dice, "contact.started", SECOND, json!({"channel": channel, "direction": "inbound"}));
    for _ in 0..1 + dice.below(2) {
        let queue = dice.pick(&QUEUES);
        tell(dice, "contact.queued", MINUTE, json!({"queue": queue}));
        if dice.percent(70) {
            let agent = format!("a{}", dice.below(3));
            tell(dice, "contact.answered", MINUTE, json!({"agent_id": agent}));
            for _ in 0..dice.below(4) {
                let from = dice.pick(&["customer", "agent"]);
                let done = dice.percent(80);
                let more = json!({"from": from, "text": "my card is lost", "final": done, "utterance": format!("u{}", dice.below(4))});
                tell(dice, "message", MINUTE, more);
            }
            if dice.percent(30) {
                tell(dice, "contact.held", MINUTE, json!({"agent_id": agent}));
                tell(dice, "contact.resumed", MINUTE, json!({"agent_id": agent}));
            }
            if dice.percent(40) {
                tell(dice, "contact.transferred", MINUTE, json!({"agent_id": agent, "mode": "blind"}));
            }
            if dice.percent(60) {
                tell(dice, "contact.wrapped", 3 * MINUTE, json!({"agent_id": agent, "resolved": true}));
            }
        }
    }
    if dice.percent(85) {
        tell(dice, "contact.ended", 2 * MINUTE, json!({"by": "customer"}));
    }
    if dice.percent(20) {
        let csat = 1 + dice.below(5);
        tell(dice, "survey", 5 * MINUTE, json!({"csat": csat}));
    }
    if dice.percent(10) {
        // Long after: a restatement, or too late.
        let queue = dice.pick(&QUEUES);
        tell(dice, "contact.queued", 200 * MINUTE, json!({"queue": queue}));
    }
}

/// The partitions of a seed.
pub(super) fn partitions(dice: &mut Dice) -> Vec<Partition> {
    let count = 1 + dice.below(3);
    (0..count).map(|number| partition(dice, number as i32)).collect()
}

fn partition(dice: &mut Dice, number: i32) -> Partition {
    let mut events = Vec::new();
    let span = (20 + dice.below(200)) as Millis * MINUTE;
    for at in 0..2 + dice.below(7) {
        let begin = START + dice.below(span as usize) as Millis;
        contact(dice, &format!("p{number}-c{at}"), begin, &mut events);
    }
    for at in 0..dice.below(12) {
        let time = START + dice.below(span as usize) as Millis / 1000 * 1000;
        let mut event = event(dice, "agent.state", format!("s{at}"), time);
        event.insert("agent_id".into(), format!("p{number}-a{}", dice.below(2)).into());
        event.insert("state".into(), dice.pick(&["available", "busy", "break"]).into());
        events.push((time, event));
    }
    for at in 0..dice.below(5) {
        let time = START + dice.below(span as usize) as Millis / 1000 * 1000;
        let kind = dice.pick(&["complaint.opened", "complaint.closed", "complaint.reopened"]);
        let mut event = event(dice, kind, format!("k{at}"), time);
        event.insert("complaint_id".into(), format!("p{number}-k{}", dice.below(2)).into());
        event.insert("severity".into(), 2.into());
        events.push((time, event));
    }
    // Arrival: late by up to the lateness, some events twice, and what no one can use.
    let mut arrivals: Vec<(Millis, u64, Option<Vec<u8>>)> = Vec::new();
    for (time, event) in events {
        let bytes = Value::Object(event).to_string().into_bytes();
        for _ in 0..1 + usize::from(dice.percent(15)) {
            let late = dice.below(600 * SECOND as usize) as Millis;
            arrivals.push((time + late, dice.roll(), Some(bytes.clone())));
        }
        if dice.percent(8) {
            let bad = match dice.below(5) {
                0 => Some(b"{not json".to_vec()),
                1 => Some(br#"{"id":"x","type":"no.such","time":1}"#.to_vec()),
                2 => Some(vec![0xff, 0xfe, 0x00]),
                3 => Some(bytes[..bytes.len() / 2].to_vec()),
                _ => None,
            };
            arrivals.push((time, dice.roll(), bad));
        }
    }
    arrivals.sort_by_key(|(at, tie, _)| (*at, *tie));
    let mut offset = dice.below(3) as i64;
    let records = arrivals.into_iter().map(|(at, _, value)| {
        // Compaction and transactions leave holes.
        offset += 1 + i64::from(dice.percent(5)) * 3;
        Stored { offset, timestamp: at, value }
    });
    Partition { number, records: records.collect() }
}

impl Partition {
    /// The records from this offset on, as many as asked for.
    pub(super) fn block(&self, from: i64, most: usize) -> Block {
        let begin = self.records.partition_point(|record| record.offset < from);
        let mut block = Block::new(Arc::from(TOPIC), self.number);
        for stored in self.records[begin..].iter().take(most) {
            let start = block.bytes.len() as u32;
            block.bytes.extend_from_slice(stored.value.as_deref().unwrap_or_default());
            block.records.push(Record {
                offset: stored.offset,
                timestamp: stored.timestamp,
                key: start,
                value: start,
                end: block.bytes.len() as u32,
                keyed: false,
                null: stored.value.is_none(),
                cut: false,
            });
        }
        block
    }

    /// The offset after the last record.
    pub(super) fn end(&self) -> i64 {
        self.records.last().map_or(0, |record| record.offset + 1)
    }
}
