//! One task: what owns a partition's events from their bytes to the rows they make.
//!
//! A plain state machine without threads or I/O: blocks go in, flushes (rows with the positions they
//! cover) and snapshots come out.
//!
//! Invariant: every record is counted once: consumed = applied + duplicates + rejects.
//! Invariant: rows leave in flushes whose ranges follow each other without gap. After a restart the task
//! replays from its snapshot, settles exactly at the positions that the tables have stored, and drops the
//! rows that they have.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use arc_swap::ArcSwap;
use arrow::array::{Array, AsArray, BinaryArray, RecordBatch};

use crate::correlate::{self, Applied, Correlator, Observer, Rows, State};
use crate::decode::{self, Decoder};
use crate::event::{AgentStateName, Event, Kind, Place, Reject, RejectReason};
use crate::facts::{Facts, RejectRow, Table, TableSet};
use crate::ingest::{self, Block, DeadLetter, Record};
use crate::lake::{Positions, Range, Snapshot};
use crate::metrics::{PartitionStats, Stats};
use crate::privacy::mask_event;
use crate::rules::{self, Reading, Signal, Watch};
use crate::text::{self, Reader};
use crate::time::{Millis, SlotCache};
use crate::window::{self, Counted, Summary, Window};

/// Records that are looked ahead to.
const EXPECTED: usize = 16;
/// Longest part of a reject's payload that is kept in the table, bytes.
const REJECT_PAYLOAD_MAX: usize = 64 << 10;
/// Committed flushes that are kept for queries that began before the commit.
const KEEP_COMMITTED: usize = 2;

/// Positions: topic, partition and the next offset.
type Reached = Vec<(Arc<str>, i32, i64)>;

/// What every task is told.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    /// Of the correlator.
    pub correlate: correlate::Options,
    /// Of the windows.
    pub window: window::Options,
    /// How the records of each topic are read; those of topics that are not named are canonical.
    pub sources: HashMap<String, decode::Source>,
    /// Whether rejects are kept as dead letters with their original bytes.
    pub dead_letters: bool,
    /// What messages are read by; a new reader holds from the next block on.
    pub reader: Arc<ArcSwap<Reader>>,
    /// The alert rules in force; `None`: nothing is watched, as in a replay of files.
    pub watch: Option<Arc<ArcSwap<rules::Rules>>>,
}

/// Rows that belong together: everything of the named ranges.
#[derive(Debug, Clone)]
pub(super) struct Flush {
    /// 1 for the first of this process.
    pub number: u64,
    /// The offsets they cover.
    pub ranges: Vec<Range>,
    /// The rows.
    pub tables: Vec<(&'static Table, RecordBatch)>,
}

/// What a task hands over to be made durable.
#[derive(Debug)]
pub(super) struct Handover {
    /// The task.
    pub task: String,
    /// Its rows since the last one.
    pub flush: Flush,
    /// Its dead letters since the last one.
    pub dead: Vec<DeadLetter>,
    /// Its state after these rows, when one was asked for.
    pub snapshot: Option<Snapshot>,
}

/// One topic-partition (or file) of a task.
#[derive(Debug)]
struct Source {
    topic: Arc<str>,
    partition: i32,
    decoder: Decoder,
    /// The next offset to be taken.
    next: i64,
    /// Everything below is in a flush.
    flushed: i64,
    /// Everything below is in a state that was handed over.
    saved: i64,
    /// Records before this were counted by this process, when the partition was its own before.
    counted_to: i64,
    /// Blocks that wait for the other sources of the task to reach a stored position.
    held: VecDeque<Block>,
    /// When Kafka last had nothing of it that was not taken.
    at_end: Option<Millis>,
    kinds: [u64; Kind::ALL.len()],
    rejects: [u64; RejectReason::ALL.len()],
    consumed: u64,
    applied: u64,
    duplicates: u64,
}

/// A position of every source up to which some tables have the rows already.
#[derive(Debug)]
struct Stored {
    upto: Vec<i64>,
    tables: Vec<&'static str>,
}

/// One task.
#[derive(Debug)]
pub(super) struct Task {
    name: String,
    rules: Arc<Rules>,
    correlator: Correlator,
    window: Window,
    facts: Facts,
    slots: SlotCache,
    sources: Vec<Source>,
    /// Positions to be replayed to, the nearest first.
    replay: VecDeque<Stored>,
    /// Rows of the replayed stretch that a table did not have.
    carried: Vec<(&'static Table, RecordBatch)>,
    /// The position of each source up to which the tables of `carried` have rows at most.
    carried_from: Vec<i64>,
    /// Records are taken again that this process has counted before: it counts none until then.
    recounting: bool,
    /// What the correlator had counted when that ended.
    uncounted: correlate::Counts,
    flushes: VecDeque<Flush>,
    committed: u64,
    number: u64,
    /// By table, the positions behind its rows that are not kept here any more: a reader's tables must have them.
    settled: BTreeMap<&'static str, Reached>,
    dead: Vec<DeadLetter>,
    /// Events since the last settling.
    unsettled: usize,
    /// What the newest snapshot took.
    snapshot_bytes: u64,
    /// What the correlator reads by.
    reader: Option<Arc<Reader>>,
    /// Looks at contacts while they go on.
    watch: Option<Watch>,
    signals: Vec<Signal>,
    /// Shifts that the roster has not heard of.
    shifts: Vec<Event<'static>>,
    /// The newest event's time, and the present when it became that.
    newest_seen: (Millis, Millis),
}

/// What a task has beyond what a reader's tables have.
#[derive(Debug)]
pub(super) enum Beyond {
    /// These rows.
    Rows(Vec<(&'static Table, RecordBatch)>),
    /// The reader's tables are older than what the task has kept: they must be read anew.
    Behind,
    /// Nothing yet: rows are made again that the tables have.
    Replays,
}

/// Tells the window what the correlator saw.
pub(super) struct Tell<'w>(pub(super) &'w mut Window);

impl Observer for Tell<'_> {
    fn contact(&mut self, old: &Rows<'_>, new: &Rows<'_>, counted: i64) -> i64 {
        self.0.changed(old, new, Counted::from_i64(counted)).to_i64()
    }
    fn agent(&mut self, old: Option<AgentStateName>, new: Option<AgentStateName>) {
        self.0.agent_changed(old, new);
    }
    fn overdue(&mut self, rule: correlate::ServiceRule, queue: Option<&str>) {
        self.0.overdue(rule, queue);
    }
    fn heard(&mut self, heard: &correlate::Heard) {
        self.0.heard(heard);
    }
}

/// What became of a record of several events: too late where one of them was, so that nothing is lost in silence; a repeat
/// where nothing in it was new. A record without events was understood: it counts as new.
fn of_all(applied: impl Iterator<Item = Applied>) -> Applied {
    let (mut any, mut new, mut late) = (false, false, None);
    for applied in applied {
        any = true;
        match applied {
            Applied::New => new = true,
            Applied::Repeat => {}
            late_one @ Applied::TooLate(_) => late = Some(late_one),
        }
    }
    late.unwrap_or(if new || !any { Applied::New } else { Applied::Repeat })
}

/// Where a source begins, and what the tables have of it.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    /// Topic or path.
    pub topic: Arc<str>,
    /// Partition; 0 for files.
    pub partition: i32,
    /// Positions that the tables have stored, by table; those without are left out or 0.
    pub stored: HashMap<&'static str, i64>,
}

/// What was read in a message.
pub(super) fn read_words(reader: &Reader, event: &Event<'_>) -> Option<Reading> {
    Some(for_rules(&reader.read(event.text.as_deref()?, event.speaker?)))
}

/// A reading as rules see it.
fn for_rules(found: &text::Reading) -> Reading {
    let place = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
    let hit = |hit: &text::Hit| rules::Hit {
        category: Arc::clone(&hit.category),
        phrase: Arc::clone(&hit.phrase),
        start: place(hit.start),
        end: place(hit.end),
        negated: hit.negated,
    };
    Reading { score: found.score, hits: found.hits.iter().map(hit).collect() }
}

impl Task {
    /// A task over these sources, going on from its snapshot when there is one.
    ///
    /// # Errors
    /// Says what in the snapshot cannot be read.
    pub(super) fn new(
        name: String,
        rules: Arc<Rules>,
        origins: &[Origin],
        snapshot: Option<Snapshot>,
    ) -> Result<Task, String> {
        let slots = SlotCache::new(rules.correlate.grid);
        let mut task = Task {
            name,
            correlator: Correlator::new(rules.correlate.clone()),
            window: Window::new(rules.window.clone()),
            facts: Facts::default(),
            slots,
            sources: Vec::new(),
            replay: VecDeque::new(),
            carried: Vec::new(),
            carried_from: Vec::new(),
            recounting: false,
            uncounted: correlate::Counts::default(),
            flushes: VecDeque::new(),
            committed: 0,
            number: 0,
            settled: BTreeMap::new(),
            dead: Vec::new(),
            unsettled: 0,
            snapshot_bytes: 0,
            reader: None,
            watch: rules.watch.as_ref().map(|rules| Watch::new(rules.load_full())),
            signals: Vec::new(),
            shifts: Vec::new(),
            newest_seen: (Millis::MIN, Millis::MIN),
            rules,
        };
        task.read_by_newest();
        let mut positions = HashMap::new();
        let mut meta = serde_json::Value::Null;
        if let Some(mut snapshot) = snapshot {
            meta = std::mem::take(&mut snapshot.meta);
            task.number = snapshot.sequence;
            task.committed = snapshot.sequence;
            for (topic, partition, next) in &snapshot.positions {
                positions.insert((topic.clone(), *partition), *next);
            }
            task.restore(snapshot)?;
        }
        for origin in origins {
            let next = positions.get(&(origin.topic.to_string(), origin.partition)).copied().unwrap_or(0);
            task.add_source(Arc::clone(&origin.topic), origin.partition, next);
        }
        for table in crate::facts::TABLES {
            let stored = |origin: &Origin| {
                let position = origin.stored.get(table.name).copied().filter(|position| *position > 0)?;
                Some((Arc::clone(&origin.topic), origin.partition, position))
            };
            task.settled.insert(table.name, origins.iter().filter_map(stored).collect());
        }
        task.resume_decoders(&meta);
        task.plan_replay(origins);
        task.carried_from = task.sources.iter().map(|source| source.next).collect();
        Ok(task)
    }

    /// Tells up to which offset this process has counted the records of a source before, so that none is counted twice.
    pub(super) fn counted_to(&mut self, of: impl Fn(&Arc<str>, i32) -> i64) {
        for source in &mut self.sources {
            source.counted_to = of(&source.topic, source.partition);
        }
        self.recounting = self.sources.iter().any(|source| source.next < source.counted_to);
    }

    /// Begins to count where this process stopped counting.
    fn count_again(&mut self) {
        if self.recounting && self.sources.iter().all(|source| source.next >= source.counted_to) {
            self.settle();
            self.recounting = false;
            self.window.forget_counters();
            self.uncounted = self.correlator.counts();
        }
    }

    fn add_source(&mut self, topic: Arc<str>, partition: i32, next: i64) {
        let decoder = self.rules.sources.get(&*topic).map_or_else(Decoder::default, decode::Source::decoder);
        self.sources.push(Source {
            decoder,
            topic,
            partition,
            next,
            flushed: next,
            saved: next,
            counted_to: 0,
            held: VecDeque::new(),
            at_end: None,
            kinds: [0; Kind::ALL.len()],
            rejects: [0; RejectReason::ALL.len()],
            consumed: 0,
            applied: 0,
            duplicates: 0,
        });
    }

    /// Finds the stored positions beyond the snapshot, to which the task replays.
    fn plan_replay(&mut self, origins: &[Origin]) {
        let mut by_position: BTreeMap<Vec<i64>, Vec<&'static str>> = BTreeMap::new();
        for table in crate::facts::TABLES {
            let stored = |origin: &Origin, source: &Source| {
                origin.stored.get(table.name).copied().unwrap_or(0).max(source.next)
            };
            let upto: Vec<i64> = origins.iter().zip(&self.sources).map(|(o, s)| stored(o, s)).collect();
            if upto.iter().zip(&self.sources).any(|(upto, source)| *upto > source.next) {
                by_position.entry(upto).or_default().push(table.name);
            }
        }
        let mut replay: Vec<Stored> =
            by_position.into_iter().map(|(upto, tables)| Stored { upto, tables }).collect();
        replay.sort_by_key(|stored| stored.upto.iter().sum::<i64>());
        // Who has the rows to a later position has those to an earlier one too.
        for i in (1..replay.len()).rev() {
            let tables = replay[i].tables.clone();
            replay[i - 1].tables.extend(tables);
        }
        self.replay = replay.into();
    }

    /// The number of its newest flush, or of the snapshot that it began with.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// The task's name, under which its snapshots are kept.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Where each source goes on: topic, partition and next offset (0: nothing was read).
    pub(super) fn positions(&self) -> impl Iterator<Item = (&Arc<str>, i32, i64)> {
        self.sources.iter().map(|source| (&source.topic, source.partition, source.next))
    }

    /// True while rows are made again that the tables have.
    pub(super) fn replays(&self) -> bool {
        !self.replay.is_empty()
    }

    /// Rows that wait to be handed over.
    pub(super) fn waiting_rows(&self) -> usize {
        self.facts.len()
    }

    /// The newest event's time.
    pub(super) fn newest(&self) -> Millis {
        self.correlator.newest()
    }

    /// Takes up the lexicons as they are now.
    fn read_by_newest(&mut self) {
        let newest = self.rules.reader.load();
        if !self.reader.as_ref().is_some_and(|reader| Arc::ptr_eq(reader, &newest)) {
            let newest = Arc::clone(&newest);
            self.correlator.read_by(Arc::clone(&newest));
            self.reader = Some(newest);
        }
    }

    /// Takes the next records of a source. Records before its position are left out.
    pub(super) fn consume(&mut self, block: Block) {
        self.read_by_newest();
        if let (Some(watch), Some(rules)) = (&mut self.watch, &self.rules.watch) {
            let rules = rules.load();
            if !Arc::ptr_eq(&rules, watch.rules()) {
                watch.set_rules(Arc::clone(&rules));
            }
        }
        let Some(at) = self
            .sources
            .iter()
            .position(|source| source.partition == block.partition && source.topic == block.topic)
        else {
            debug_assert!(false, "a block comes to the task that owns its partition");
            return;
        };
        if self.replay.is_empty() {
            self.take(at, &block, i64::MAX);
        } else {
            self.sources[at].held.push_back(block);
            self.go_on_replaying();
        }
    }

    fn go_on_replaying(&mut self) {
        while let Some(stored) = self.replay.front() {
            let upto = stored.upto.clone();
            for (at, &limit) in upto.iter().enumerate() {
                while self.sources[at].next < limit
                    && let Some(block) = self.sources[at].held.pop_front()
                {
                    self.take(at, &block, limit);
                    if block.next_offset().is_some_and(|next| next > limit) {
                        // A hole in the offsets may end before the limit: the position is reached all the same.
                        self.sources[at].next = self.sources[at].next.max(limit);
                        self.sources[at].held.push_front(block);
                    }
                }
            }
            if upto.iter().zip(&self.sources).any(|(limit, source)| source.next < *limit) {
                return;
            }
            self.settle();
            let have = self.replay.pop_front().map(|stored| stored.tables).unwrap_or_default();
            if !self.replay.is_empty() {
                self.carried_from = upto;
            }
            let rows = self.facts.finish();
            self.carried.extend(rows.into_iter().filter(|(table, _)| !have.contains(&table.name)));
            if have.contains(&crate::facts::REJECTS.name) {
                self.dead.clear();
            }
        }
        for at in 0..self.sources.len() {
            self.sources[at].flushed = self.sources[at].next;
            while let Some(block) = self.sources[at].held.pop_front() {
                self.take(at, &block, i64::MAX);
            }
        }
    }

    /// Takes the records of a block from the source's position up to, not including, `limit`.
    fn take(&mut self, at: usize, block: &Block, limit: i64) {
        let from = block.records.partition_point(|record| record.offset < self.sources[at].next);
        let to = block.records.partition_point(|record| record.offset < limit).max(from);
        for records in block.records[from..to].chunks(EXPECTED) {
            // Keyed by contact, as the contract has it; other keys find nothing.
            self.correlator.expect(records.iter().filter_map(|record| block.key(record)));
            for record in records {
                self.take_record(at, block, record);
            }
        }
    }

    fn take_record(&mut self, at: usize, block: &Block, record: &Record) {
        self.count_again();
        let Task { sources, correlator, facts, slots, rules, dead, reader, watch, signals, shifts, .. } =
            self;
        let source = &mut sources[at];
        source.next = record.offset + 1;
        let counted = u64::from(record.offset >= source.counted_to);
        source.consumed += counted;
        self.unsettled += 1;
        let timestamp = (record.timestamp >= 0).then_some(record.timestamp);
        let value = block.value(record);
        let place = Place { topic: &block.topic, partition: block.partition, offset: record.offset };
        let outcome: Result<(), Reject> = match value {
            // A tombstone says nothing, as an empty record does.
            None => {
                Err(Reject { reason: RejectReason::NotJson, detail: "the record has no value".to_owned() })
            }
            Some(_) if record.cut => {
                let detail = "the line has more than 1 MiB".to_owned();
                Err(Reject { reason: RejectReason::TooLarge, detail })
            }
            Some(value) => {
                let kinds = &mut source.kinds;
                let mut apply = |event: &mut Event<'_>| {
                    mask_event(event);
                    let applied = correlator.apply(event, place, facts);
                    if !matches!(applied, Applied::TooLate(_)) {
                        kinds[event.kind as usize] += counted;
                    }
                    if let (Applied::New, Some(watch)) = (&applied, watch.as_mut()) {
                        let reading = match (watch.wants_reading(event), correlator.reading()) {
                            (false, _) => None,
                            (true, Some(reading)) => event.speaker.map(|_| for_rules(reading)),
                            // A piece of an utterance that goes on: the correlator waits for its final one.
                            (true, None) => reader.as_deref().and_then(|reader| read_words(reader, event)),
                        };
                        watch.event(event, reading, signals);
                        if event.kind >= Kind::ShiftPlanned {
                            shifts.push(event.clone().into_owned());
                        }
                    }
                    applied
                };
                let applied = if source.decoder.is_canonical() {
                    source.decoder.decode(value, timestamp).map(|mut event| apply(&mut event))
                } else {
                    let events = match block.attributes.get(&record.offset) {
                        Some(attributes) => source.decoder.read_cloud_event(value, attributes, timestamp),
                        None => source.decoder.read(value, timestamp),
                    };
                    events.map(|mut events| of_all(events.iter_mut().map(apply)))
                };
                match applied {
                    Ok(Applied::New) => {
                        source.applied += counted;
                        return;
                    }
                    Ok(Applied::Repeat) => {
                        source.duplicates += counted;
                        return;
                    }
                    Ok(Applied::TooLate(detail)) => Err(Reject { reason: RejectReason::TooLate, detail }),
                    Err(reject) => Err(reject),
                }
            }
        };
        let Err(reject) = outcome else { return };
        source.rejects[reject.reason as usize] += counted;
        let bytes = value.unwrap_or_default();
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(REJECT_PAYLOAD_MAX)]);
        let time = timestamp.or((correlator.newest() > Millis::MIN).then(|| correlator.newest()));
        facts.rejects.push(&RejectRow {
            topic: Some(place.topic),
            partition: Some(i64::from(place.partition)),
            offset: Some(place.offset),
            reason: Some(reject.reason.as_str()),
            detail: Some(&reject.detail),
            time: timestamp,
            payload: value.map(|_| &*shown),
            bytes: Some(bytes.len() as i64),
            date: Some(slots.date(time.unwrap_or(0))),
        });
        if rules.dead_letters {
            dead.push(DeadLetter {
                topic: Arc::clone(&block.topic),
                partition: block.partition,
                offset: record.offset,
                timestamp: record.timestamp,
                key: block.key(record).map(<[u8]>::to_vec),
                value: value.map(<[u8]>::to_vec),
                reason: reject.reason.as_str(),
                detail: reject.detail,
            });
        }
    }

    /// Lets everything that was taken take effect.
    pub(super) fn settle(&mut self) {
        if self.unsettled > 0 || self.correlator.waits() {
            self.unsettled = 0;
            self.correlator.settle(&mut self.facts, &mut Tell(&mut self.window));
        }
    }

    /// Settles what anybody would notice, unless the task replays: then only the stored positions are settled at.
    pub(super) fn settle_live(&mut self) {
        if self.replay.is_empty() && self.unsettled > 0 {
            self.unsettled = 0;
            self.correlator.settle_soon(&mut self.facts, &mut Tell(&mut self.window));
        }
    }

    /// Hands over what came to be since the last flush; `None` when nothing was taken, or the task replays.
    pub(super) fn flush(&mut self, snapshot: bool) -> Option<Handover> {
        if !self.replay.is_empty() {
            return None;
        }
        self.settle();
        if self.sources.iter().all(|source| source.next == source.flushed) {
            // Readers of the directory see what the newest state covers: it is kept although no row came after the last flush.
            let unsaved = snapshot && self.sources.iter().any(|source| source.saved < source.next);
            if self.carried.is_empty() && !unsaved {
                return None;
            }
            // Nothing has come since the replay: what some tables lack goes under the offsets that made it.
            if !self.carried.is_empty() {
                for (source, from) in self.sources.iter_mut().zip(&self.carried_from) {
                    source.flushed = *from;
                }
            }
        }
        self.number += 1;
        let mut tables = std::mem::take(&mut self.carried);
        tables.extend(self.facts.finish());
        let ranges = self
            .sources
            .iter_mut()
            .map(|source| {
                let range = Range {
                    topic: source.topic.to_string(),
                    partition: source.partition,
                    from: source.flushed,
                    to: source.next,
                };
                source.flushed = source.next;
                if snapshot {
                    source.saved = source.next;
                }
                range
            })
            .collect();
        let flush = Flush { number: self.number, ranges, tables };
        self.flushes.push_back(flush.clone());
        let snapshot = snapshot.then(|| self.snapshot());
        Some(Handover { task: self.name.clone(), flush, dead: std::mem::take(&mut self.dead), snapshot })
    }

    /// Notes that a flush is durable.
    pub(super) fn committed(&mut self, number: u64) {
        self.committed = self.committed.max(number);
        let committed = self.flushes.iter().filter(|flush| flush.number <= self.committed).count();
        for _ in KEEP_COMMITTED..committed {
            let Some(gone) = self.flushes.pop_front() else { return };
            for (table, _) in gone.tables.iter().filter(|(_, rows)| rows.num_rows() > 0) {
                let topic = |name: &str| {
                    let source = self.sources.iter().find(|source| *source.topic == *name);
                    source.map_or_else(|| name.into(), |source| Arc::clone(&source.topic))
                };
                let ranges = gone.ranges.iter().filter(|range| range.to > range.from);
                let ranges = ranges.map(|range| (topic(&range.topic), range.partition, range.to));
                self.settled.insert(table.name, ranges.collect());
            }
        }
    }

    /// Bytes of state, by which the app decides how often snapshots are worth it: what the last one took, or what its
    /// contacts take now.
    pub(super) fn state_bytes(&self) -> u64 {
        self.snapshot_bytes.max(self.correlator.counts().contact_bytes)
    }

    fn snapshot(&mut self) -> Snapshot {
        let mut batches = self.correlator.save();
        let bytes = |name: &str, bytes: Vec<u8>| {
            let array: Arc<dyn Array> = Arc::new(BinaryArray::from(vec![&*bytes]));
            let batch = RecordBatch::try_from_iter([(name, array)]).expect("one column always makes a batch");
            (name.to_owned(), batch)
        };
        batches.push(bytes("window", self.window.to_bytes()));
        batches.extend(self.watch.as_ref().map(|watch| bytes("watch", watch.to_bytes())));
        self.snapshot_bytes = batches.iter().map(|(_, batch)| batch.get_array_memory_size() as u64).sum();
        Snapshot {
            sequence: self.number,
            positions: self
                .sources
                .iter()
                .map(|source| (source.topic.to_string(), source.partition, source.next))
                .collect(),
            batches,
            meta: self.decoder_states(),
        }
    }

    /// What decoders must know of earlier records: by topic and partition; null where none must.
    fn decoder_states(&self) -> serde_json::Value {
        let states = self.sources.iter().filter_map(|source| {
            let state = source.decoder.state()?;
            Some(
                serde_json::json!({ "topic": &*source.topic, "partition": source.partition, "state": state }),
            )
        });
        let states: Vec<serde_json::Value> = states.collect();
        if states.is_empty() { serde_json::Value::Null } else { serde_json::json!({ "decoders": states }) }
    }

    fn resume_decoders(&mut self, meta: &serde_json::Value) {
        for of_source in meta["decoders"].as_array().into_iter().flatten() {
            let (topic, partition) = (of_source["topic"].as_str(), of_source["partition"].as_i64());
            let source = self.sources.iter_mut().find(|source| {
                Some(&*source.topic) == topic && Some(i64::from(source.partition)) == partition
            });
            if let (Some(source), Some(state)) = (source, of_source["state"].as_str()) {
                source.decoder.resume(state);
            }
        }
    }

    fn restore(&mut self, snapshot: Snapshot) -> Result<(), String> {
        let mut state = State::new();
        let mut window = None;
        for (section, batch) in snapshot.batches {
            match section.as_str() {
                "window" => {
                    let bytes = batch.column(0);
                    let bytes = bytes.as_binary_opt::<i32>().ok_or("the snapshot's window is no bytes")?;
                    if !bytes.is_empty() {
                        window = Some(Window::from_bytes(bytes.value(0), self.rules.window.clone()));
                    }
                }
                "watch" => {
                    let bytes = batch.column(0);
                    let bytes = bytes.as_binary_opt::<i32>().ok_or("the snapshot's watch is no bytes")?;
                    if let (Some(rules), false) = (&self.rules.watch, bytes.is_empty()) {
                        // Bytes of another release: contacts are watched from their next event on.
                        self.watch =
                            Watch::from_bytes(rules.load_full(), bytes.value(0)).or(self.watch.take());
                    }
                }
                _ => state.push((section, batch)),
            }
        }
        self.correlator = Correlator::restore(self.rules.correlate.clone(), &state)?;
        self.reader = None;
        self.read_by_newest();
        match window {
            Some(Ok(window)) => self.window = window,
            // The configuration has changed since: what is in memory gives what the windows can still have.
            _ => self.correlator.retell(&mut Tell(&mut self.window)),
        }
        self.unsettled = 1;
        Ok(())
    }

    /// Every row of these tables in memory that is not committed with flush `after` or an earlier one: rows of later
    /// flushes, rows that wait for one, and open ones as of `now`. Nothing while the task replays.
    pub(super) fn rows(
        &mut self,
        after: u64,
        wanted: TableSet,
        now: Millis,
    ) -> Vec<(&'static Table, RecordBatch)> {
        if !self.replay.is_empty() {
            return Vec::new();
        }
        self.settle_live();
        let flushed = self.flushes.iter().filter(|flush| flush.number > after);
        let kept = flushed.flat_map(|flush| &flush.tables).chain(&self.carried);
        let mut rows: Vec<_> = kept.filter(|(table, _)| wanted.has(table)).cloned().collect();
        rows.extend(self.facts.peek(wanted));
        rows.extend(self.open_rows(wanted, now));
        rows
    }

    /// Every row in memory that is not behind these positions of the tables: what a reader lacks who has the tables as they
    /// were then.
    pub(super) fn rows_beyond(&mut self, stored: &Positions, now: Millis) -> Beyond {
        if !self.replay.is_empty() {
            return Beyond::Replays;
        }
        self.settle_live();
        let lacks = |(table, places): (&&'static str, &Reached)| {
            places.iter().any(|(topic, partition, to)| stored.get(table, topic, *partition) < *to)
        };
        if self.settled.iter().any(lacks) {
            return Beyond::Behind;
        }
        let mut rows = Vec::new();
        for flush in &self.flushes {
            for (table, batch) in &flush.tables {
                let mut ranges = flush.ranges.iter().filter(|range| range.to > range.from);
                let has =
                    ranges.all(|range| stored.get(table.name, &range.topic, range.partition) >= range.to);
                if !has {
                    rows.push((*table, batch.clone()));
                }
            }
        }
        rows.extend(self.carried.iter().cloned());
        rows.extend(self.facts.peek(TableSet::ALL));
        rows.extend(self.open_rows(TableSet::ALL, now));
        Beyond::Rows(rows)
    }

    /// The rows of these tables that are in no flush yet because they are open.
    pub(super) fn open_rows(&mut self, wanted: TableSet, now: Millis) -> Vec<(&'static Table, RecordBatch)> {
        let mut open = Facts::default();
        self.correlator.open_rows(wanted, now, &mut open);
        open.finish()
    }

    /// The windows' figures at `now`.
    pub(super) fn summary(&mut self, now: Millis) -> Summary {
        self.count_again();
        if self.recounting {
            self.window.forget_counters();
        }
        self.window.snapshot(now)
    }

    /// Lets the windows drop what is too old for any figure.
    pub(super) fn advance(&mut self) {
        self.window.advance(self.correlator.watermark());
    }

    /// A sample of the contacts that began since the last call, as hashes of their ids.
    pub(super) fn take_sample(&mut self) -> Vec<u64> {
        self.correlator.take_sample()
    }

    /// Notes that at this time Kafka had nothing of a source that was not taken.
    pub(super) fn note_end(&mut self, (topic, partition): &ingest::Place, at: Millis) {
        let source = self.sources.iter_mut().find(|s| s.partition == *partition && s.topic == *topic);
        if let Some(source) = source {
            source.at_end = Some(at);
        }
    }

    /// Lets time pass for the rules: event time as far as it has come, and from there with the clock, as long as it is known
    /// that there is nothing to read. What waits to be read may tell that somebody was answered in time.
    pub(super) fn watch_time(&mut self, now: Millis) {
        let newest = self.correlator.newest();
        let Some(watch) = &mut self.watch else { return };
        if newest == Millis::MIN {
            return;
        }
        if newest > self.newest_seen.0 {
            self.newest_seen = (newest, now);
        }
        let at_end = self.sources.iter().map(|source| source.at_end.unwrap_or(Millis::MIN)).min();
        let idle = at_end.unwrap_or(Millis::MIN).min(now).saturating_sub(self.newest_seen.1).max(0);
        let present = newest.saturating_add(idle);
        watch.tick(present, &mut self.signals);
    }

    /// What rules had to say since the last call.
    pub(super) fn take_signals(&mut self) -> Vec<Signal> {
        std::mem::take(&mut self.signals)
    }

    /// Shifts that came since the last call.
    pub(super) fn take_shifts(&mut self) -> Vec<Event<'static>> {
        std::mem::take(&mut self.shifts)
    }

    /// What the task tells about itself.
    pub(super) fn stats(&self) -> Stats {
        let mut stats = Stats::default();
        let counts = self.correlator.counts();
        stats.open_contacts = counts.open_contacts as i64;
        if !self.recounting {
            stats.late_events = counts.late_events - self.uncounted.late_events;
            stats.restatements = counts.restatements - self.uncounted.restatements;
        }
        let watermark = (self.correlator.newest() > Millis::MIN).then(|| self.correlator.watermark());
        for source in &self.sources {
            stats.unknown_fields += source.decoder.unknown_fields();
            for (kind, &count) in Kind::ALL.iter().zip(&source.kinds).filter(|(_, count)| **count > 0) {
                stats.events.insert((source.topic.to_string(), *kind), count);
            }
            for (reason, &count) in RejectReason::ALL.iter().zip(&source.rejects).filter(|(_, n)| **n > 0) {
                stats.rejects.insert((source.topic.to_string(), *reason), count);
            }
            let partition = PartitionStats {
                consumed: source.consumed,
                applied: source.applied,
                duplicates: source.duplicates,
                rejects: source.rejects.iter().sum(),
                missing: 0,
                lag: None,
                watermark,
            };
            stats.partitions.insert((source.topic.to_string(), source.partition), partition);
        }
        stats
    }
}
