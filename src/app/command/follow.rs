//! `follow`: a log that grows and is rotated, line by line into a topic.
//!
//! Lines are on the brokers before their place in the file is noted, so that after a crash some come twice and none is
//! lost; a line that comes again says nothing new.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use xxhash_rust::xxh3::xxh3_64;

use super::stop_signal;
use crate::app::{Failure, intake, settings};
use crate::config::{Config, Topic};
use crate::decode::{Decoder, Format};
use crate::ingest::{Follower, Inlet, Mark, Untaken};
use crate::time::{Clock, SystemClock};

/// How often a file is looked at that had nothing new.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// The longest time between two attempts to send.
const PAUSE_MAX: Duration = Duration::from_secs(15);
/// Attempts of `--once`.
const ATTEMPTS: u32 = 5;
/// Looks that must find nothing before `--once` ends: a renamed file is looked at a few times.
const EMPTY_LOOKS: u32 = 5;

/// What was typed.
#[derive(Debug, Args)]
pub(super) struct Follow {
    /// The topic, one of `kafka.topics`; by default the first with records of asterisk-queue-log.
    #[arg(long, value_name = "NAME")]
    pub(super) topic: Option<String>,
    /// Begins at the end of the log when it is followed for the first time.
    #[arg(long)]
    pub(super) from_end: bool,
    /// Ends when everything that is there was sent.
    #[arg(long)]
    pub(super) once: bool,
    /// The file that says how far the log was read; by default one in the data directory.
    #[arg(long, value_name = "FILE")]
    pub(super) state: Option<PathBuf>,
    /// The log.
    pub(super) path: PathBuf,
}

/// Sends lines until it is told to stop, or with `once` until there are no more.
///
/// # Errors
/// No topic for the lines, a file that cannot be read, a place that cannot be noted, with `once` brokers that do not answer.
pub(super) async fn follow(config: &Config, follow: Follow) -> Result<(), Failure> {
    let topic = topic(config, follow.topic.as_deref())?;
    let source = settings::source(config, topic, Some(Duration::from_secs(60)));
    let (mut decoder, format) = (source.decoder(), source.format);
    let state = follow.state.clone().unwrap_or_else(|| state_file(config, &follow.path, &topic.name));
    let unread = |error: std::io::Error| {
        Failure::input(format!("`{}` cannot be read: {error}", follow.path.display()))
    };
    let mut follower = Follower::new(&follow.path, read_state(&state)?, follow.from_end).map_err(unread)?;
    let inlet = Inlet::new(&config.kafka.brokers, &config.kafka.properties.0)
        .map_err(|error| Failure::of_ingest(&error))?;
    let (mut sent, mut empty) = (0_u64, 0);
    let mut noted = None;
    let stop = stop_signal();
    tokio::pin!(stop);
    loop {
        let lines = follower.lines().map_err(unread)?;
        if lines.is_empty() {
            // Where reading stands is noted also where nothing came, so that a file that is renamed now is known.
            if noted != follower.mark() {
                noted = follower.mark();
                write_state(&state, noted)?;
            }
            empty += 1;
            if follow.once && empty >= EMPTY_LOOKS {
                break;
            }
            tokio::select! {
                () = &mut stop => break,
                () = tokio::time::sleep(LOOK_EVERY) => continue,
            }
        }
        empty = 0;
        let records: Vec<(Vec<u8>, Vec<u8>)> =
            lines.into_iter().map(|line| (key(&mut decoder, format, &line), line)).collect();
        tokio::select! {
            () = &mut stop => break,
            taken = send(&inlet, &topic.name, &records, follow.once) => taken?,
        }
        sent += records.len() as u64;
        noted = follower.mark();
        write_state(&state, noted)?;
    }
    let (skipped, cut) = follower.passed_over();
    eprintln!("{sent} lines into `{}`; {skipped} too long; cut {cut} times", topic.name);
    Ok(())
}

/// The topic that the lines go to.
fn topic<'c>(config: &'c Config, named: Option<&str>) -> Result<&'c Topic, Failure> {
    let log = Format::AsteriskQueueLog.name();
    let found = config.kafka.topics.iter().find(|topic| match named {
        Some(name) => topic.name == name,
        None => topic.format == log,
    });
    found.ok_or_else(|| {
        let message = match named {
            Some(name) => format!("`kafka.topics` has no topic `{name}`"),
            None => format!("`kafka.topics` has no topic with records of `{log}`"),
        };
        Failure::config(message).hint("name the topic and its format there: what is sent must also be read")
    })
}

/// What keeps lines in their order: one key for a queue log, else the contact or agent. A line that cannot be read goes on
/// too: it is a reject where it is read.
fn key(decoder: &mut Decoder, format: Format, line: &[u8]) -> Vec<u8> {
    if format == Format::AsteriskQueueLog {
        return intake::LOG_KEY.as_bytes().to_vec();
    }
    decoder.read(line, None).map(|events| intake::key(format, &events).into_bytes()).unwrap_or_default()
}

/// Sends until the brokers have them.
async fn send(inlet: &Inlet, topic: &str, records: &[(Vec<u8>, Vec<u8>)], once: bool) -> Result<(), Failure> {
    let mut pause = Duration::from_millis(500);
    for attempt in 1_u32.. {
        let why = match inlet.take(topic, records, SystemClock.now()).await {
            Ok(()) => break,
            Err(Untaken::Full) => "more comes than the brokers take".to_owned(),
            Err(Untaken::Failed(error)) if once && attempt >= ATTEMPTS => {
                return Err(Failure::of_ingest(&error));
            }
            Err(Untaken::Failed(error)) => error.to_string(),
        };
        tracing::error!(topic, attempt, why, "lines are not taken; they are sent again");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
    Ok(())
}

/// The file that says how far a log was read.
fn state_file(config: &Config, path: &Path, topic: &str) -> PathBuf {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let hash = xxh3_64(format!("{}\0{topic}", whole.display()).as_bytes());
    let dir = if config.data_dir.contains("://") { "." } else { &config.data_dir };
    Path::new(dir).join("_follow").join(format!("{hash:016x}.json"))
}

fn read_state(path: &Path) -> Result<Option<Mark>, Failure> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Failure::input(format!("`{}` cannot be read: {error}", path.display()))),
    };
    let state: Value = serde_json::from_str(&text).unwrap_or_default();
    let number = |name: &str| state.get(name).and_then(Value::as_u64);
    match (number("device"), number("inode"), number("offset")) {
        (Some(device), Some(inode), Some(offset)) => Ok(Some(Mark { file: (device, inode), offset })),
        _ => Err(Failure::input(format!("`{}` does not say how far the log was read", path.display()))
            .hint("delete it to read the log from its beginning: lines that come again say nothing new")),
    }
}

/// Written beside and renamed, so that a crash leaves the old or the new one.
fn write_state(path: &Path, mark: Option<Mark>) -> Result<(), Failure> {
    let Some(mark) = mark else { return Ok(()) };
    let failed =
        |error: std::io::Error| Failure::outside(format!("`{}` cannot be written: {error}", path.display()));
    let text = json!({ "device": mark.file.0, "inode": mark.file.1, "offset": mark.offset }).to_string();
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir).map_err(failed)?;
    }
    let beside = path.with_extension("new");
    std::fs::write(&beside, text).map_err(failed)?;
    std::fs::rename(&beside, path).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::EmbeddedBroker;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_log_goes_into_its_topic_and_goes_on_where_it_stood() {
        let broker = EmbeddedBroker::start(&[("pbx", 1)]).expect("an embedded broker");
        let dir = tempfile::tempdir().expect("a directory for the test");
        let sets = [
            format!("kafka.brokers={}", broker.brokers()),
            "kafka.topics=[{name=\"pbx\",format=\"asterisk-queue-log\"}]".to_owned(),
            format!("data_dir={}", dir.path().join("lake").display()),
        ];
        let config = Config::load(None, std::iter::empty(), &sets).expect("a configuration");
        let path = dir.path().join("queue_log");
        let run = |once| {
            let follow_it = Follow { path: path.clone(), topic: None, from_end: false, once, state: None };
            follow(&config, follow_it)
        };
        std::fs::write(&path, "1772413200|c1|q|NONE|ENTERQUEUE|||1\n1772413205|c1|q|NONE|ABANDON|1|1|5\n")
            .expect("written");
        run(true).await.expect("sent");
        let state = state_file(&config, &path, "pbx");
        let first = read_state(&state).expect("a state").expect("a mark");
        // Rotated while nobody looked.
        std::fs::rename(&path, dir.path().join("queue_log.1")).expect("renamed");
        std::fs::write(&path, "1772413300|c2|q|NONE|ENTERQUEUE|||1\n").expect("written");
        run(true).await.expect("sent");
        let second = read_state(&state).expect("a state").expect("a mark");
        assert_ne!(first.file, second.file);
        assert_eq!(second.offset, 36);
        std::fs::write(&state, "{}").expect("written");
        assert_eq!(run(true).await.expect_err("no state").code, 66);
    }
}
