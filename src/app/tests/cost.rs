//! What an event costs, as a ratio to what reading its record into a JSON tree costs: both in one run, on one thread, by the
//! time that the thread was on a processor. A loss of speed shows on any machine.

use std::hint::black_box;
use std::sync::Arc;

use super::records::{Partition, Stored, TOPIC};
use super::simulation::rules;
use crate::app::task::{Origin, Task};
use crate::simulate::{self, Centre};
use crate::time::HOUR;

const CONTACTS: u64 = 1_200;
/// Records between two settlings.
const BLOCK: usize = 4_096;
const ROUNDS: usize = 5;
/// The ratio when it was written down last: of a build with the profile `dev`, as CI makes it.
const KNOWN: f64 = 3.3;
/// A fifth more is a loss: from one run to the next the ratio differs by a thirtieth, also beside others.
const LOSS: f64 = 1.2;

/// Nanoseconds that this thread was on a processor, where the system tells.
fn on_processor() -> Option<u64> {
    std::fs::read_to_string("/proc/thread-self/schedstat").ok()?.split(' ').next()?.parse().ok()
}

#[test]
#[ignore = "a measurement: CI asks for it by name, beside nothing else"]
fn an_event_costs_no_more_than_it_did() {
    let mut centre = Centre::new(simulate::Options { contacts: Some(CONTACTS), ..Default::default() });
    let records = centre.by_ref().enumerate().map(|(offset, event)| Stored {
        offset: offset as i64,
        timestamp: event.time,
        value: Some(event.payload.into_bytes()),
    });
    let partition = Partition { number: 0, records: records.collect() };
    let count = partition.records.len();
    let blocks: Vec<_> = (0..count).step_by(BLOCK).map(|at| partition.block(at as i64, BLOCK)).collect();
    let rules = rules(HOUR);
    let mut spent = [0; 2];
    for _ in 0..ROUNDS {
        let origin = Origin { topic: TOPIC.into(), partition: 0, stored: Default::default() };
        let mut task = Task::new("cost".to_owned(), Arc::clone(&rules), &[origin], None).expect("a new task");
        // Turn by turn, so that what else the machine does falls on both.
        for (block, records) in blocks.clone().into_iter().zip(partition.records.chunks(BLOCK)) {
            let Some(began) = on_processor() else {
                println!("ignored (the system does not tell how long a thread was on a processor)");
                return;
            };
            for stored in records {
                let tree: serde_json::Value =
                    serde_json::from_slice(stored.value.as_deref().unwrap_or_default()).expect("JSON");
                black_box(tree);
            }
            let read = on_processor().expect("as before");
            task.consume(block);
            task.settle_live();
            spent[0] += read - began;
            spent[1] += on_processor().expect("as before") - read;
        }
        let read = on_processor().expect("as before");
        let flush = task.flush(false).expect("there are rows").flush;
        spent[1] += on_processor().expect("as before") - read;
        assert_eq!(flush.ranges[0].to, count as i64);
    }
    let [tree, task] = spent.map(|nanos| nanos as f64 / (count * ROUNDS) as f64);
    let ratio = task / tree;
    println!(
        "{count} events: {task:.0} ns each from its bytes to rows, {tree:.0} ns into a JSON tree; ratio {ratio:.2}, known {KNOWN}"
    );
    assert!(
        ratio <= KNOWN * LOSS,
        "an event costs {ratio:.2} times its JSON tree, and {KNOWN} before: mend it, or say why and write the new ratio down"
    );
}
