//! `replay`: files through the same pipeline as Kafka, to the end.
//!
//! Several files are read as one stream in event time. Input that is not in time order at all (more than
//! a quarter of its first records are later than `lateness_secs`) is taken whole before anything closes,
//! since nothing in it can be told late.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::app::commit::Committer;
use crate::app::task::{Handover, Task};
use crate::app::{Failure, lexicons, settings};
use crate::config::Config;
use crate::decode::{Decoder, Source};
use crate::ingest::{Block, FileBlocks, Place};
use crate::lake::Lake;
use crate::metrics::Stats;
use crate::time::{MINUTE, Millis, SECOND};

/// The task that replays files.
const TASK: &str = "replay";
/// Records that decide whether input is in time order.
const SAMPLE: usize = 50_000;
/// Below this many late records input counts as ordered, whatever their share.
const SAMPLE_LATE_MIN: usize = 10;
/// How far one of several files is read ahead of the others, event time.
const AHEAD: Millis = MINUTE;

/// Feeds the files and prints the totals.
///
/// # Errors
/// An unreadable path, a lake that cannot be written.
pub(super) async fn replay(config: &Config, source: &Source, paths: &[PathBuf]) -> Result<(), Failure> {
    let began = Instant::now();
    let mut files = Vec::new();
    for path in paths {
        files.push(Reading::open(path, source)?);
    }
    let unordered = is_unordered(paths, source, config.lateness_secs * SECOND)?;
    if unordered {
        eprintln!("the input is not in time order: it is taken whole, and nothing in it counts as too late");
    }
    let lake = Lake::open(settings::lake(config)).await.map_err(Failure::of_lake)?;
    let reader = lexicons::shelf(config)?;
    let mut rules = (*settings::rules(config, unordered, &reader)).clone();
    rules.dead_letters = false;
    for file in &files {
        rules.sources.insert(file.topic.to_string(), source.clone());
    }
    let places: Vec<Place> = files.iter().map(|file| (Arc::clone(&file.topic), 0)).collect();
    let committer = Arc::new(Committer::new(lake, None, None));
    let mut task = committer.adopt(&Arc::new(rules), TASK, &places).await?;

    let bar = progress_bar(&files);
    let rows_max = usize::try_from(config.lake.commit_rows).unwrap_or(200_000);
    let mut committing: Option<tokio::task::JoinHandle<Result<u64, Failure>>> = None;
    let mut since_settled = 0;
    let mut records = 0u64;
    while let Some(block) = next_block(&mut files)? {
        records += block.len() as u64;
        since_settled += block.len();
        task.consume(block);
        bar.set_position(files.iter().map(|file| file.lines.progress().read).sum());
        bar.set_message(format!("{records} records"));
        if unordered || since_settled < 16_384 {
            continue;
        }
        since_settled = 0;
        task.settle_live();
        task.advance();
        if task.waiting_rows() >= rows_max
            && let Some(handover) = task.flush(false)
        {
            finish(&mut committing, &mut task).await?;
            committing = Some(spawn_commit(&committer, handover));
        }
    }
    finish(&mut committing, &mut task).await?;
    task.settle_live();
    if let Some(handover) = task.flush(true) {
        committing = Some(spawn_commit(&committer, handover));
        finish(&mut committing, &mut task).await?;
    }
    bar.finish_and_clear();
    print_totals(&task.stats(), records, began.elapsed());
    Ok(())
}

fn spawn_commit(
    committer: &Arc<Committer>,
    handover: Handover,
) -> tokio::task::JoinHandle<Result<u64, Failure>> {
    let committer = Arc::clone(committer);
    tokio::spawn(async move {
        let outcome = committer.commit_these(vec![handover]).await?;
        match outcome.fenced.into_iter().next() {
            Some((_, why)) => Err(Failure::outside(why)),
            None => Ok(outcome.done.first().map_or(0, |(_, number, _)| *number)),
        }
    })
}

/// Waits for the commit under way, so that at most one set of rows waits beside the one being built.
async fn finish(
    committing: &mut Option<tokio::task::JoinHandle<Result<u64, Failure>>>,
    task: &mut Task,
) -> Result<(), Failure> {
    if let Some(commit) = committing.take() {
        let number = commit.await.map_err(|error| Failure::bug(error.to_string()))??;
        task.committed(number);
    }
    Ok(())
}

/// One file, its next records, and the time of the first of them.
struct Reading {
    topic: Arc<str>,
    lines: FileBlocks,
    decoder: Decoder,
    block: Option<Block>,
    at: usize,
    time: Millis,
}

impl Reading {
    fn open(path: &Path, source: &Source) -> Result<Reading, Failure> {
        let lines = FileBlocks::open(path).map_err(|error| Failure::of_ingest(&error))?;
        Ok(Reading {
            topic: path.to_string_lossy().into(),
            lines,
            decoder: source.decoder(),
            block: None,
            at: 0,
            time: Millis::MIN,
        })
    }

    /// Makes sure that there is a next record, and knows its time; false at the end.
    fn fill(&mut self) -> Result<bool, Failure> {
        while self.block.as_ref().is_none_or(|block| self.at >= block.len()) {
            match self.lines.next() {
                None => return Ok(false),
                Some(block) => self.block = Some(block.map_err(|error| Failure::of_ingest(&error))?),
            }
            self.at = 0;
            self.time = self.time_at(0).unwrap_or(self.time);
        }
        Ok(true)
    }

    /// Event time of a record of the block; `None` when it has none.
    fn time_at(&mut self, at: usize) -> Option<Millis> {
        let block = self.block.as_ref()?;
        let value = block.value(block.records.get(at)?)?;
        span(&mut self.decoder, value).map(|(_, newest)| newest)
    }
}

/// The times of the first and the last event of a record; `None` where it has none.
fn span(decoder: &mut Decoder, value: &[u8]) -> Option<(Millis, Millis)> {
    if decoder.is_canonical() {
        return decoder.decode(value, None).ok().map(|event| (event.time, event.time));
    }
    let events = decoder.read(value, None).ok()?;
    let times = || events.iter().map(|event| event.time);
    times().min().zip(times().max())
}

/// The next records: of one file its next block; of several, from the file that is furthest behind, up to
/// a minute beyond the next one.
fn next_block(files: &mut [Reading]) -> Result<Option<Block>, Failure> {
    if let [file] = files {
        let block = file.lines.next().transpose().map_err(|error| Failure::of_ingest(&error));
        return block;
    }
    let mut first: Option<(Millis, usize)> = None;
    let mut second = Millis::MAX;
    for (index, file) in files.iter_mut().enumerate() {
        if !file.fill()? {
            continue;
        }
        match first {
            Some((time, _)) if file.time >= time => second = second.min(file.time),
            earlier => {
                second = earlier.map_or(second, |(time, _)| second.min(time));
                first = Some((file.time, index));
            }
        }
    }
    let Some((_, index)) = first else { return Ok(None) };
    let file = &mut files[index];
    let from = file.at;
    let limit = second.saturating_add(AHEAD);
    let len = file.block.as_ref().map_or(0, Block::len);
    while file.at < len {
        file.at += 1;
        match file.time_at(file.at) {
            Some(time) if time > limit => {
                file.time = time;
                break;
            }
            Some(time) => file.time = time,
            None => {}
        }
    }
    let Some(block) = &file.block else { return Ok(None) };
    if from == 0 && file.at == len {
        return Ok(file.block.take());
    }
    let mut part = Block::new(Arc::clone(&block.topic), block.partition);
    part.records = block.records[from..file.at].to_vec();
    part.bytes = block.bytes.clone();
    Ok(Some(part))
}

/// Whether the files are in no time order: judged by their first records.
fn is_unordered(paths: &[PathBuf], source: &Source, lateness: Millis) -> Result<bool, Failure> {
    let mut decoder = source.decoder();
    let (mut seen, mut late) = (0usize, 0usize);
    for path in paths {
        let mut newest = Millis::MIN;
        let mut of_file = 0;
        let lines = FileBlocks::open(path).map_err(|error| Failure::of_ingest(&error))?;
        'file: for block in lines {
            let block = block.map_err(|error| Failure::of_ingest(&error))?;
            for record in &block.records {
                let Some((first, last)) = block.value(record).and_then(|value| span(&mut decoder, value))
                else {
                    continue;
                };
                seen += 1;
                of_file += 1;
                if first < newest.saturating_sub(lateness) {
                    late += 1;
                }
                newest = newest.max(last);
                if of_file >= SAMPLE {
                    break 'file;
                }
            }
        }
    }
    Ok(late >= SAMPLE_LATE_MIN && late * 4 > seen)
}

fn progress_bar(files: &[Reading]) -> ProgressBar {
    use std::io::IsTerminal;
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let total = files.iter().map(|file| file.lines.progress().total).sum();
    let bar = ProgressBar::new(total);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {percent:>3}% {msg}, {eta} left") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

fn print_totals(stats: &Stats, read: u64, took: Duration) {
    let sum =
        |field: fn(&crate::metrics::PartitionStats) -> u64| stats.partitions.values().map(field).sum::<u64>();
    let consumed = sum(|partition| partition.consumed);
    let rejects = sum(|partition| partition.rejects);
    eprintln!(
        "{consumed} records in {:.1} s: {} applied, {} repeats, {rejects} rejected; open contacts: {}; restatements: {}",
        took.as_secs_f64(),
        sum(|partition| partition.applied),
        sum(|partition| partition.duplicates),
        stats.open_contacts,
        stats.restatements,
    );
    if read > consumed {
        eprintln!(
            "  {} records were in the lake already, from an earlier replay of the same path",
            read - consumed
        );
    }
    for ((topic, reason), count) in &stats.rejects {
        eprintln!("  {topic}: {count} rejected as {}", reason.as_str());
    }
}
