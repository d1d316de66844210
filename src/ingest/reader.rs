//! The consumer's thread: polls, fills blocks, offers them, answers the group.
//!
//! Invariant: it polls always. A full sink pauses partitions; it never stops the polling that keeps the membership.
//! Invariant: rebalances are answered between polls, after the messages that came before them have been handled.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::Offset;
use rdkafka::bindings::rd_kafka_resp_err_t as Code;
use tracing::{info, warn};

use super::consumer::Shared;
use super::native::{self, Native, Polled, Rebalance};
use super::{AfterGap, Block, Error, Gap, Lag, Options, Place, Sink, Start, settings};

/// A block is handed on when it has this many bytes, so that memory moves in pieces.
const BLOCK_BYTES_MAX: usize = 4 << 20;

/// How often hints are committed, lag is told and lost partitions are looked after.
const HOUSEKEEPING: Duration = Duration::from_secs(1);

/// How long to wait before a refused block is offered again.
const RETRY: Duration = Duration::from_millis(1);

/// How long one question about first and next offsets may take.
const WATERMARKS_MAX: Duration = Duration::from_secs(5);

/// The same note of librdkafka is logged once in this time.
const NOTE_AGAIN: Duration = Duration::from_secs(60);

/// Different notes that are remembered; beyond it all are forgotten, and may be logged again.
const NOTES_MAX: usize = 200;

/// Whether a partition is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    /// It is.
    On,
    /// Its blocks find no room.
    Paused,
    /// librdkafka has given it up because its position is not there; `cut`: Kafka has less than we have read.
    Astray { cut: bool },
    /// The sink wants no more of it.
    Stopped,
}

/// One assigned partition.
struct Reading {
    place: Place,
    position: i64,
    /// What the present poll has brought.
    block: Block,
    /// What the sink has not taken yet, in order.
    waiting: VecDeque<Block>,
    /// The end was reached at this offset, and is to be told when everything before has been taken.
    end: Option<i64>,
    /// The last that came was the end, which librdkafka counts as a record: see [`Reader::stay`].
    overshot: bool,
    flow: Flow,
}

impl Reading {
    fn new(place: Place, position: i64, flow: Flow) -> Reading {
        let block = Block::new(Arc::clone(&place.0), place.1);
        Reading { place, position, block, waiting: VecDeque::new(), end: None, overshot: false, flow }
    }

    #[inline]
    fn take(&mut self, polled: &Polled<'_>) {
        let offset = polled.offset();
        if offset < self.position {
            // Read already: librdkafka went back by itself.
            return;
        }
        self.position = offset + 1;
        self.end = None;
        self.overshot = false;
        let (key, value) = (polled.key(), polled.value());
        self.block.push(offset, polled.timestamp(), key, value);
        if let Some(attributes) = polled.cloud_event() {
            self.block.attributes.insert(offset, attributes);
        }
        if self.block.bytes.len() >= BLOCK_BYTES_MAX {
            self.cut();
        }
    }

    /// Puts the block, if there is anything in it, behind those that wait; the next is made as large as this was.
    fn cut(&mut self) {
        if !self.block.is_empty() {
            let next = Block {
                topic: Arc::clone(&self.place.0),
                partition: self.place.1,
                records: Vec::with_capacity(self.block.records.len()),
                bytes: Vec::with_capacity(self.block.bytes.len()),
                attributes: HashMap::new(),
            };
            self.waiting.push_back(std::mem::replace(&mut self.block, next));
        }
    }

    fn name(&self) -> (&str, i32) {
        (&self.place.0, self.place.1)
    }
}

/// An error that came instead of a message.
struct Trouble {
    topic: String,
    partition: i32,
    code: i32,
    text: String,
}

pub(super) struct Reader {
    native: Native,
    sink: Arc<dyn Sink>,
    options: Options,
    shared: Arc<Shared>,
    readings: Vec<Reading>,
    noted: HashMap<String, Instant>,
    kept_house: Instant,
}

impl Reader {
    /// Builds the client, asks the brokers about the topics and subscribes.
    pub(super) fn start(options: Options, sink: Arc<dyn Sink>, shared: Arc<Shared>) -> Result<Reader, Error> {
        if options.topics.is_empty() {
            return Err(Error::Settings {
                message: "there is no topic to read".into(),
                hint: "name one under `kafka.topics`".into(),
            });
        }
        let config = settings::consumer(
            &options.brokers,
            &options.group,
            options.co_partitioned,
            &options.properties,
        )?;
        let native = Native::new(&config, options.batch_max).map_err(|error| settings::refused(&error))?;
        let reader = Reader {
            native,
            sink,
            options,
            shared,
            readings: Vec::new(),
            noted: HashMap::new(),
            kept_house: Instant::now(),
        };
        reader.look_at_topics()?;
        reader.native.subscribe(&reader.options.topics).map_err(|error| Error::Outside {
            message: format!("cannot subscribe to `{}`: {error}", reader.options.topics.join("`, `")),
            hint: "see the names under `kafka.topics`".into(),
        })?;
        Ok(reader)
    }

    /// Reads until it is told to stop, or cannot go on.
    pub(super) fn run(mut self) {
        let mut failure = None;
        while !self.stopping() && failure.is_none() {
            failure = self.turn().err();
        }
        self.leave();
        if let Some(error) = failure {
            self.sink.failed(error);
        }
    }

    fn stopping(&self) -> bool {
        self.shared.stop.load(Ordering::Acquire)
    }

    /// Asks for the number of partitions of every topic: proof that a broker answers, and that tasks can be formed.
    fn look_at_topics(&self) -> Result<(), Error> {
        let mut first: Option<(&str, usize)> = None;
        for topic in &self.options.topics {
            let metadata =
                self.native.client().fetch_metadata(Some(topic), self.options.connect_max).map_err(|error| {
                    let notes: Vec<_> = self.native.notes().into_iter().collect();
                    let last = notes.last().map_or(String::new(), |note| format!(" ({note})"));
                    Error::Outside {
                        message: format!("no answer from Kafka at `{}`: {error}{last}", self.options.brokers),
                        hint: "is the address right, and does the cluster want TLS or SASL (`kafka.properties`)?"
                            .into(),
                    }
                })?;
            let count =
                metadata.topics().iter().find(|t| t.name() == topic).map_or(0, |t| t.partitions().len());
            if count == 0 {
                warn!("topic `{topic}` does not exist yet; it is read as soon as it does");
            }
            if self.options.co_partitioned {
                let (other, expected) = *first.get_or_insert((topic, count));
                if count == 0 || count != expected {
                    return Err(Error::Settings {
                        message: format!(
                            "co-partitioned topics differ: `{other}` has {expected} partitions, `{topic}` has {count}"
                        ),
                        hint: "give them the same number of partitions, or leave `kafka.co_partitioned` out"
                            .into(),
                    });
                }
            }
        }
        Ok(())
    }

    fn turn(&mut self) -> Result<(), Error> {
        let troubles = self.poll();
        self.deliver();
        self.note();
        for rebalance in self.native.rebalances() {
            match rebalance {
                Rebalance::Given(partitions) => self.given(partitions)?,
                Rebalance::Taken(partitions) => self.taken(partitions),
            }
        }
        for trouble in troubles {
            self.trouble(trouble)?;
        }
        self.hold_back();
        if self.kept_house.elapsed() >= HOUSEKEEPING {
            self.kept_house = Instant::now();
            self.send_hints();
            self.find_astray();
            self.tell_lag();
        }
        self.begin_again()
    }

    /// Gives up partitions and takes them on anew, where the sink has asked for it.
    fn begin_again(&mut self) -> Result<(), Error> {
        let asked = std::mem::take(&mut *self.shared.again.lock().unwrap_or_else(PoisonError::into_inner));
        let mut places: Vec<Place> = Vec::new();
        for reading in &mut self.readings {
            if asked.contains(&reading.place) {
                reading.waiting.clear();
                reading.block = Block::new(Arc::clone(&reading.place.0), reading.place.1);
                places.push(reading.place.clone());
            }
        }
        if places.is_empty() {
            return Ok(());
        }
        warn!("beginning again at the durable positions: {}", shown(&places));
        self.sink.revoked(&places, true);
        for (place, start) in self.starts(places)? {
            let (position, flow) = self.place_to_start(&place, start, true);
            let found = self.readings.iter().position(|reading| reading.place == place);
            let at = found.expect("nothing is given or taken between polls");
            match (flow, position) {
                (Flow::Stopped, _) => {
                    self.readings[at].flow = flow;
                    let places = [place];
                    self.expect(self.native.pause(&list_of(&places)), "pause", &places);
                }
                (_, Some(offset)) => self.go_on(at, offset),
                // Nobody answers; it is tried again until somebody does.
                (_, None) => {
                    self.readings[at].position = if let Start::At(offset) = start { offset } else { 0 };
                    self.readings[at].flow = Flow::Astray { cut: false };
                }
            }
        }
        Ok(())
    }

    /// The sink's positions for these partitions.
    fn starts(&self, places: Vec<Place>) -> Result<Vec<(Place, Start)>, Error> {
        // Whoever has nothing and gets nothing is told so: then it waits for nothing either.
        let silent = places.is_empty() && !self.readings.is_empty();
        let starts = if silent { Ok(Vec::new()) } else { self.sink.assigned(&places) };
        match starts {
            Ok(starts) if starts.len() == places.len() => Ok(places.into_iter().zip(starts).collect()),
            Ok(starts) => Err(Error::Outside {
                message: format!("{} positions for {} partitions", starts.len(), places.len()),
                hint: "this is a bug of the sink".into(),
            }),
            Err(error) => Err(Error::Outside {
                message: format!("no durable positions for {}: {error}", shown(&places)),
                hint: "see that the lake under `data_dir` can be read and written".into(),
            }),
        }
    }

    /// Holds a start against what Kafka has. The position is `None` where that is not known and the beginning is wanted.
    fn place_to_start(&self, place: &Place, start: Start, ask: bool) -> (Option<i64>, Flow) {
        let seen = if ask { self.watermarks(place) } else { None };
        let (position, flow) = match (start, seen) {
            (Start::Beginning, Some((low, _))) => (Some(low), Flow::On),
            (Start::Beginning, None) => (None, Flow::On),
            (Start::At(wanted), Some((low, high))) if !(low..=high).contains(&wanted) => {
                match self.ask_about(Gap { place: place.clone(), wanted, low, high }) {
                    AfterGap::From(offset) => (Some(offset), Flow::On),
                    AfterGap::Stop => (Some(wanted), Flow::Stopped),
                }
            }
            (Start::At(wanted), _) => (Some(wanted), Flow::On),
        };
        // How far there is to go is known before the first fetch.
        if let (Some(position), Some((low, high))) = (position, seen) {
            let lag = Lag { place: place.clone(), position, low, high: high.max(position) };
            self.sink.lag(&[lag]);
        }
        (position, flow)
    }

    /// Reads a batch into the blocks of its partitions.
    fn poll(&mut self) -> Vec<Trouble> {
        let held = self.readings.iter().any(|reading| !reading.waiting.is_empty());
        let wait = if held { RETRY } else { self.options.batch_wait };
        let mut troubles = Vec::new();
        let readings = &mut self.readings;
        // Runs of one partition are long, so the last one found is nearly always the right one.
        let mut found: HashMap<(usize, i32), usize> = HashMap::new();
        let mut last = (0, i32::MIN, usize::MAX);
        self.native.poll(wait, |polled| {
            let (topic, partition) = (polled.topic_id(), polled.partition());
            if (topic, partition) != (last.0, last.1) {
                let at = *found.entry((topic, partition)).or_insert_with(|| {
                    let name = (polled.topic(), partition);
                    readings.iter().position(|reading| reading.name() == name).unwrap_or(usize::MAX)
                });
                last = (topic, partition, at);
            }
            let reading = readings.get_mut(last.2);
            match polled.code() {
                // A partition that is no longer ours is read by its new owner.
                0 => drop(reading.map(|reading| reading.take(polled))),
                code if code == Code::RD_KAFKA_RESP_ERR__PARTITION_EOF as i32 => {
                    if let Some(reading) = reading {
                        // Control records of transactions lie between the last message and the end.
                        reading.position = reading.position.max(polled.offset());
                        reading.end = Some(reading.position);
                        reading.overshot = true;
                    }
                }
                code => troubles.push(Trouble {
                    topic: polled.topic().to_owned(),
                    partition,
                    code,
                    text: String::from_utf8_lossy(polled.value().unwrap_or_default()).into_owned(),
                }),
            }
        });
        self.shared.polls.fetch_add(1, Ordering::Relaxed);
        troubles
    }

    /// Offers what waits, in order.
    fn deliver(&mut self) {
        for reading in &mut self.readings {
            reading.cut();
            while let Some(block) = reading.waiting.pop_front() {
                let (records, bytes) = (block.len() as u64, block.bytes.len() as u64);
                if let Err(block) = self.sink.offer(block) {
                    reading.waiting.push_front(block);
                    break;
                }
                add(&self.shared.records, records);
                add(&self.shared.bytes, bytes);
            }
            if reading.waiting.is_empty()
                && let Some(end) = reading.end.take()
            {
                self.sink.end_of_partition(&reading.place, end);
            }
        }
    }

    /// Waits a little for those whose blocks find no room, then pauses them; resumes those that have found it.
    fn hold_back(&mut self) {
        let full = |reading: &Reading| reading.flow == Flow::On && !reading.waiting.is_empty();
        let deadline = Instant::now() + self.options.patience;
        while self.readings.iter().any(full) && Instant::now() < deadline && !self.stopping() {
            thread::sleep(RETRY);
            self.deliver();
        }
        let pausing = self.turn_flow(Flow::On, Flow::Paused, |reading| !reading.waiting.is_empty());
        if !pausing.is_empty() {
            add(&self.shared.pauses, pausing.len() as u64);
            self.expect(self.native.pause(&list_of(&pausing)), "pause", &pausing);
        }
        let resuming = self.turn_flow(Flow::Paused, Flow::On, |reading| reading.waiting.is_empty());
        if !resuming.is_empty() {
            self.expect(self.native.resume(&list_of(&resuming)), "resume", &resuming);
            self.stay(|reading| resuming.contains(&reading.place));
        }
    }

    /// Puts partitions back to where we are in them, after librdkafka has paused and resumed them.
    ///
    /// It goes on behind the last thing that it handed out. In a batch that may be the end of the partition, which bears
    /// the offset of the record to come: that record would never be read.
    fn stay(&mut self, which: impl Fn(&Reading) -> bool) {
        let overshot: Vec<&Reading> =
            (self.readings.iter()).filter(|reading| reading.overshot && which(reading)).collect();
        if overshot.is_empty() {
            return;
        }
        let places: Vec<Place> = overshot.iter().map(|reading| reading.place.clone()).collect();
        let to = overshot.iter().map(|reading| {
            let (topic, partition) = reading.name();
            (topic, partition, Offset::Offset(reading.position))
        });
        self.expect(self.native.seek(&native::list(to)), "stay in", &places);
    }

    fn turn_flow(&mut self, from: Flow, to: Flow, when: impl Fn(&Reading) -> bool) -> Vec<Place> {
        let mut turned = Vec::new();
        for reading in &mut self.readings {
            if reading.flow == from && when(reading) {
                reading.flow = to;
                turned.push(reading.place.clone());
            }
        }
        turned
    }

    /// Asks the sink for positions, holds them against what Kafka has, and takes the partitions on.
    fn given(&mut self, partitions: Vec<(String, i32)>) -> Result<(), Error> {
        let places = self.places(&partitions);
        info!("assigned: {}", shown(&places));
        let mut stopped = Vec::new();
        let mut list = Vec::with_capacity(places.len());
        let mut answering = true;
        for (place, start) in self.starts(places)? {
            // One question that stays without answer is enough: a position that is out of range shows up later as well.
            let asked = Instant::now();
            let (position, flow) = self.place_to_start(&place, start, answering);
            answering &= asked.elapsed() < WATERMARKS_MAX;
            if flow == Flow::Stopped {
                stopped.push(place.clone());
            }
            list.push((place.clone(), position.map_or(Offset::Beginning, Offset::Offset)));
            self.readings.push(Reading::new(place, position.unwrap_or(0), flow));
        }
        let list =
            native::list(list.iter().map(|((topic, partition), offset)| (&**topic, *partition, *offset)));
        self.native.assign(&list).map_err(|error| Error::Outside {
            message: format!("the group's assignment cannot be taken on: {error}"),
            hint: "start again; if it stays, see the log of the broker that leads the group".into(),
        })?;
        if !stopped.is_empty() {
            self.expect(self.native.pause(&list_of(&stopped)), "pause", &stopped);
        }
        // The group pauses what a member keeps while it waits for the answer.
        self.stay(|_| true);
        Ok(())
    }

    /// Has the sink drain the partitions, sends their hints, and lets them go.
    fn taken(&mut self, partitions: Vec<(String, i32)>) {
        let places = self.places(&partitions);
        let lost = self.native.lost();
        info!("revoked{}: {}", if lost { " (membership lost)" } else { "" }, shown(&places));
        // What the sink has not taken is read again by the next owner, from the durable position.
        let ours: Vec<Place> = (self.readings)
            .extract_if(.., |reading| places.contains(&reading.place))
            .map(|reading| reading.place)
            .collect();
        // Where the sink had no positions to give, it never had the partitions.
        if !ours.is_empty() {
            self.sink.revoked(&ours, lost);
        }
        if lost {
            let mut hints = self.shared.hints.lock().unwrap_or_else(PoisonError::into_inner);
            hints.retain(|place, _| !places.contains(place));
        } else {
            self.send_hints();
        }
        self.expect(self.native.unassign(&list_of(&places)), "let go of", &places);
        self.stay(|_| true);
    }

    /// One `Arc` per topic, however many partitions.
    fn places(&self, partitions: &[(String, i32)]) -> Vec<Place> {
        let mut names: Vec<Arc<str>> =
            self.readings.iter().map(|reading| Arc::clone(&reading.place.0)).collect();
        names.dedup();
        let mut places = Vec::with_capacity(partitions.len());
        for (topic, partition) in partitions {
            let name = names.iter().find(|name| ***name == **topic).cloned().unwrap_or_else(|| {
                let name: Arc<str> = topic.as_str().into();
                names.push(Arc::clone(&name));
                name
            });
            places.push((name, *partition));
        }
        places
    }

    fn watermarks(&self, (topic, partition): &Place) -> Option<(i64, i64)> {
        self.native
            .client()
            .fetch_watermarks(topic, *partition, WATERMARKS_MAX)
            .inspect_err(|error| warn!("first and next offset of {topic}/{partition} are not known: {error}"))
            .ok()
    }

    /// Reports a gap, and sees to it that the answer lies in what Kafka has.
    fn ask_about(&self, gap: Gap) -> AfterGap {
        let (topic, partition) = &gap.place;
        warn!(
            "gap in {topic}/{partition}: `{}` should be read next, Kafka has `{}` to `{}`",
            gap.wanted, gap.low, gap.high
        );
        match self.sink.gap(&gap) {
            AfterGap::From(offset) => AfterGap::From(offset.clamp(gap.low, gap.high)),
            AfterGap::Stop => AfterGap::Stop,
        }
    }

    fn trouble(&mut self, trouble: Trouble) -> Result<(), Error> {
        let Trouble { topic, partition, code, text } = trouble;
        let is = |known: Code| code == known as i32;
        let cut = is(Code::RD_KAFKA_RESP_ERR__LOG_TRUNCATION);
        if cut || is(Code::RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET) {
            let name = (topic.as_str(), partition);
            let reading = self.readings.iter_mut().find(|reading| reading.name() == name);
            // A fetch may have gone out before a stopped partition was paused; its sink has been asked already.
            if let Some(reading) = reading.filter(|reading| reading.flow != Flow::Stopped) {
                reading.flow = Flow::Astray { cut };
            }
            self.find_astray();
        } else if is(Code::RD_KAFKA_RESP_ERR__FATAL) {
            return Err(Error::Outside {
                message: format!("the Kafka client has given up: {text}"),
                hint: "start again; the durable positions are untouched".into(),
            });
        } else if is(Code::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) {
            self.note_once(format!("topic `{topic}` does not exist; it is read as soon as it does"));
        } else if topic.is_empty() {
            self.note_once(text);
        } else {
            self.note_once(format!("{topic}/{partition}: {text}"));
        }
        Ok(())
    }

    /// Finds a place to go on for partitions whose position is not there.
    fn find_astray(&mut self) {
        for at in 0..self.readings.len() {
            let Flow::Astray { cut } = self.readings[at].flow else { continue };
            let place = self.readings[at].place.clone();
            let wanted = self.readings[at].position;
            // Without an answer it is tried again at the next housekeeping.
            let Some((low, high)) = self.watermarks(&place) else { continue };
            let after = if cut || !(low..=high).contains(&wanted) {
                self.ask_about(Gap { place, wanted, low, high })
            } else {
                AfterGap::From(wanted)
            };
            match after {
                AfterGap::From(offset) => self.go_on(at, offset),
                AfterGap::Stop => self.readings[at].flow = Flow::Stopped,
            }
        }
    }

    /// Assigns a partition anew at another offset; librdkafka seeks only in partitions that it still fetches.
    fn go_on(&mut self, at: usize, offset: i64) {
        let reading = &mut self.readings[at];
        reading.position = offset;
        reading.end = None;
        reading.overshot = false;
        reading.flow = Flow::On;
        let place = reading.place.clone();
        let outcome = if self.native.cooperative() {
            let one = || native::list([(&*place.0, place.1, Offset::Offset(offset))]);
            self.native.unassign(&one()).and_then(|()| self.native.assign(&one()))
        } else {
            // The eager protocol knows whole assignments only. The others go on where they are.
            let all = self
                .readings
                .iter()
                .map(|reading| (&*reading.place.0, reading.place.1, Offset::Offset(reading.position)));
            self.native.assign(&native::list(all)).and_then(|()| {
                let still: Vec<Place> = (self.readings.iter())
                    .filter(|reading| matches!(reading.flow, Flow::Paused | Flow::Stopped))
                    .map(|reading| reading.place.clone())
                    .collect();
                self.native.pause(&list_of(&still))
            })
        };
        if let Err(error) = outcome {
            warn!("{}/{} cannot go on at `{offset}`: {error}", place.0, place.1);
            self.readings[at].flow = Flow::Astray { cut: false };
        }
    }

    fn send_hints(&self) {
        let hints = std::mem::take(&mut *self.shared.hints.lock().unwrap_or_else(PoisonError::into_inner));
        if hints.is_empty() {
            return;
        }
        let list =
            hints.iter().map(|((topic, partition), offset)| (&**topic, *partition, Offset::Offset(*offset)));
        // Only a hint: the next one says more.
        if let Err(error) = self.native.commit(&native::list(list)) {
            info!("Kafka was not told how far we are: {error}");
        }
    }

    fn tell_lag(&self) {
        let mut lags = Vec::with_capacity(self.readings.len());
        for Reading { place, position, waiting, .. } in &self.readings {
            if let Some((low, high)) = self.native.watermarks_seen(&place.0, place.1) {
                // What the sink has not taken is still to be read.
                let first = waiting.front().and_then(|block| block.records.first());
                let taken = first.map_or(*position, |record| record.offset);
                // The end may have been seen before the fetch that brought the last messages.
                lags.push(Lag { place: place.clone(), position: taken, low, high: high.max(*position) });
            }
        }
        self.sink.lag(&lags);
    }

    fn note(&mut self) {
        for note in self.native.notes() {
            self.note_once(note);
        }
    }

    fn note_once(&mut self, note: String) {
        let kind = kind_of(&note);
        if self.noted.get(&kind).is_some_and(|last| last.elapsed() < NOTE_AGAIN) {
            return;
        }
        warn!("Kafka: {note}");
        if self.noted.len() >= NOTES_MAX {
            self.noted.clear();
        }
        self.noted.insert(kind, Instant::now());
    }

    fn expect(&self, outcome: Result<(), String>, what: &str, places: &[Place]) {
        if let Err(error) = outcome {
            warn!("cannot {what} {}: {error}", shown(places));
        }
    }

    /// Leaves the group; the coordinator takes every partition, which the sink drains.
    fn leave(&mut self) {
        if let Err(error) = self.native.close() {
            warn!("cannot leave the group: {error}");
            return;
        }
        let deadline = Instant::now() + Duration::from_secs(10);
        while !self.native.closed() && Instant::now() < deadline {
            self.native.poll(Duration::from_millis(10), |_| {});
            for rebalance in self.native.rebalances() {
                match rebalance {
                    Rebalance::Taken(partitions) => self.taken(partitions),
                    Rebalance::Given(partitions) => {
                        let places = self.places(&partitions);
                        self.expect(self.native.unassign(&list_of(&places)), "let go of", &places);
                    }
                }
            }
        }
    }
}

/// What a note is about: without its numbers (times, counts, states of retries) and without the name of librdkafka's
/// thread, by which notes of one trouble differ from each other.
fn kind_of(note: &str) -> String {
    let text =
        note.strip_prefix("[thrd:").and_then(|rest| rest.split_once("]: ")).map_or(note, |(_, text)| text);
    // The same failure once with and once without the note that others like it were left out.
    let text = text.split(" (after ").next().unwrap_or(text);
    let mut kind = String::with_capacity(text.len());
    for c in text.chars() {
        match c.is_ascii_digit() {
            true if kind.ends_with('#') => {}
            true => kind.push('#'),
            false => kind.push(c),
        }
    }
    kind
}

fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}

fn list_of(places: &[Place]) -> rdkafka::TopicPartitionList {
    native::list(places.iter().map(|(topic, partition)| (&**topic, *partition, Offset::Invalid)))
}

fn shown(places: &[Place]) -> String {
    let names: Vec<_> = places.iter().map(|(topic, partition)| format!("{topic}/{partition}")).collect();
    if names.is_empty() { "nothing".into() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::kind_of;

    #[test]
    fn notes_of_one_trouble_are_one_kind() {
        let notes = [
            "[thrd:127.0.0.1:9/bootstrap]: 127.0.0.1:9/bootstrap: Connect to ipv4#127.0.0.1:9 failed: Connection refused \
             (after 0ms in state CONNECT)",
            "[thrd:127.0.0.1:9/bootstrap]: 127.0.0.1:9/bootstrap: Connect to ipv4#127.0.0.1:9 failed: Connection refused \
             (after 12ms in state CONNECT, 30 identical error(s) suppressed)",
            "127.0.0.1:9/bootstrap: Connect to ipv4#127.0.0.1:9 failed: Connection refused (after 3ms in state CONNECT)",
        ];
        assert!(notes.iter().all(|note| kind_of(note) == kind_of(notes[0])));
        assert_ne!(kind_of(notes[0]), kind_of("1/1 brokers are down"));
        assert_eq!(kind_of("1/1 brokers are down"), kind_of("3/3 brokers are down"));
    }
}
