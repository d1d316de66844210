//! The outbox: alerts as JSON lines in one file, so that they outlive the process. Of an alert the last line holds.
//!
//! A line that was cut off by a crash is left out: what it said had not been sent yet.

use std::collections::{BTreeMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::alert::{Alert, Over};

/// Bytes that may be superseded before the file is written anew without them; where more than these are still needed, as
/// many as are needed.
const SUPERSEDED_BYTES: u64 = 64 << 20;

/// The file with the key that signs links.
const KEY: &str = "link.key";
/// The file with the alerts.
const ALERTS: &str = "alerts.jsonl";

/// The file that whoever uses the outbox holds locked.
const LOCK: &str = "lock";
/// Instances that may have an outbox below one directory.
const OUTBOXES_MAX: u32 = 64;

/// A line that says that everything before it is in the lake.
const COMMITTED: &str = "committed";

/// The open file.
pub(super) struct Outbox {
    path: PathBuf,
    file: File,
    /// Bytes of whole lines.
    bytes: u64,
    /// Bytes when it was last written anew.
    needed: u64,
    /// A write failed: what it left behind the whole lines is cut off before the next one.
    torn: bool,
    /// Locked as long as it is open, so that no other instance takes the same outbox; a process that ends lets it go.
    _lock: File,
}

/// What an outbox had.
pub(super) struct Kept {
    /// The alerts, each as it was last.
    pub(super) alerts: Vec<Alert>,
    /// Those of them that the lake may not have.
    pub(super) uncommitted: Vec<Alert>,
    /// Those of which only the id is kept.
    pub(super) over: Vec<Over>,
}

impl Outbox {
    /// Opens the outbox of a directory; makes it where there is none. Instances that share the directory have one each:
    /// the first the directory itself, further ones `2`, `3`, … below it. Whoever comes takes the first that nobody has, and
    /// with it what an instance that is gone has left there.
    ///
    /// # Errors
    /// The system's words, with the path.
    pub(super) fn open(dir: &Path) -> Result<(Outbox, Kept), String> {
        for number in 1..=OUTBOXES_MAX {
            let own = if number == 1 { dir.to_owned() } else { dir.join(number.to_string()) };
            let fault =
                |error: std::io::Error| format!("the outbox `{}` cannot be used: {error}", own.display());
            std::fs::create_dir_all(&own).map_err(fault)?;
            let lock = OpenOptions::new()
                .create(true)
                .truncate(false)
                .write(true)
                .mode(0o600)
                .open(own.join(LOCK))
                .map_err(fault)?;
            match lock.try_lock() {
                Ok(()) => return Outbox::open_locked(&own, lock).map_err(fault),
                Err(std::fs::TryLockError::WouldBlock) => {}
                Err(std::fs::TryLockError::Error(error)) => return Err(fault(error)),
            }
        }
        Err(format!("`{}`: {OUTBOXES_MAX} instances have their outbox there already", dir.display()))
    }

    fn open_locked(dir: &Path, lock: File) -> std::io::Result<(Outbox, Kept)> {
        let path = dir.join(ALERTS);
        let kept = match File::open(&path) {
            Ok(file) => read(file)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Kept { alerts: Vec::new(), uncommitted: Vec::new(), over: Vec::new() }
            }
            Err(error) => return Err(error),
        };
        // Written anew, so that it holds each alert once and ends with a whole line.
        let (file, bytes) = write_new(&path, &kept)?;
        Ok((Outbox { path, file, bytes, needed: bytes, torn: false, _lock: lock }, kept))
    }

    /// Adds alerts as they are now; they are on the disk when this returns.
    ///
    /// # Errors
    /// The system's words.
    pub(super) fn append(&mut self, alerts: &[Alert]) -> std::io::Result<()> {
        let mut lines = Vec::new();
        for alert in alerts {
            write_line(&mut lines, alert);
        }
        self.write(&lines)?;
        self.file.sync_data()
    }

    /// Notes that everything so far is in the lake.
    ///
    /// # Errors
    /// The system's words.
    pub(super) fn committed(&mut self) -> std::io::Result<()> {
        let mut line = Vec::new();
        write_line(&mut line, &COMMITTED);
        self.write(&line)
    }

    /// Adds whole lines, all or none: the half of a line would spoil the next one.
    fn write(&mut self, lines: &[u8]) -> std::io::Result<()> {
        if self.torn {
            self.file.set_len(self.bytes)?;
        }
        self.torn = true;
        self.file.write_all(lines)?;
        self.torn = false;
        self.bytes += lines.len() as u64;
        Ok(())
    }

    /// True when so much is superseded that the file should be written anew.
    pub(super) fn is_long(&self) -> bool {
        self.bytes - self.needed > self.needed.max(SUPERSEDED_BYTES)
    }

    /// Writes the file anew with these alerts.
    ///
    /// # Errors
    /// The system's words.
    pub(super) fn rewrite(&mut self, kept: &Kept) -> std::io::Result<()> {
        (self.file, self.bytes) = write_new(&self.path, kept)?;
        self.needed = self.bytes;
        self.torn = false;
        Ok(())
    }
}

fn write_line(lines: &mut Vec<u8>, line: &impl Serialize) {
    serde_json::to_writer(&mut *lines, line).expect("it is plain data");
    lines.push(b'\n');
}

fn write_new(path: &Path, kept: &Kept) -> std::io::Result<(File, u64)> {
    let mut lines = Vec::new();
    let waiting: HashSet<&str> = kept.uncommitted.iter().map(Alert::id).collect();
    kept.over.iter().for_each(|over| write_line(&mut lines, over));
    kept.alerts
        .iter()
        .filter(|alert| !waiting.contains(alert.id()))
        .for_each(|alert| write_line(&mut lines, alert));
    write_line(&mut lines, &COMMITTED);
    kept.uncommitted.iter().for_each(|alert| write_line(&mut lines, alert));
    let new = path.with_extension("new");
    let mut file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(&lines)?;
    file.sync_all()?;
    std::fs::rename(&new, path)?;
    if let Some(dir) = path.parent() {
        File::open(dir)?.sync_all()?;
    }
    Ok((OpenOptions::new().append(true).open(path)?, lines.len() as u64))
}

/// A line of the file.
#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Over(Over),
    Alert(Box<Alert>),
    Committed(String),
}

fn read(file: File) -> std::io::Result<Kept> {
    let mut alerts: BTreeMap<String, (Alert, bool)> = BTreeMap::new();
    let mut over = Vec::new();
    for line in BufReader::new(file).lines() {
        match serde_json::from_str(&line?) {
            Ok(Line::Over(one)) => over.push(one),
            Ok(Line::Alert(alert)) => {
                alerts.insert(alert.id().to_owned(), (*alert, false));
            }
            Ok(Line::Committed(word)) if word == COMMITTED => {
                alerts.values_mut().for_each(|(_, committed)| *committed = true);
            }
            Ok(Line::Committed(word)) => {
                tracing::warn!(word, "a line of the outbox says nothing that is known and is left out");
            }
            Err(error) => tracing::warn!(%error, "a line of the outbox cannot be read and is left out"),
        }
    }
    let uncommitted = alerts.values().filter(|(_, committed)| !committed).map(|(alert, _)| alert.clone());
    Ok(Kept {
        uncommitted: uncommitted.collect(),
        alerts: alerts.into_values().map(|(alert, _)| alert).collect(),
        over,
    })
}

/// The key that signs links: of the directory, made where there is none.
///
/// # Errors
/// The system's words, with the path.
pub(super) fn link_key(dir: &Path) -> Result<Vec<u8>, String> {
    let path = dir.join(KEY);
    let fault = |error: std::io::Error| format!("`{}` cannot be used: {error}", path.display());
    match std::fs::read(&path) {
        Ok(key) if key.len() >= 32 => return Ok(key),
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(fault(error)),
    }
    std::fs::create_dir_all(dir).map_err(fault)?;
    let mut key = [0; 32];
    File::open("/dev/urandom").and_then(|mut chance| chance.read_exact(&mut key)).map_err(fault)?;
    let mut file =
        OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&path).map_err(fault)?;
    file.write_all(&key).and_then(|()| file.sync_all()).map_err(fault)?;
    Ok(key.to_vec())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::alert::{Cause, Desk, Options};
    use crate::roster::{Duties, Roster};
    use crate::time::Grid;

    #[test]
    fn two_instances_below_one_directory_have_an_outbox_each() {
        let dir = tempfile::tempdir().expect("a directory");
        let alert = |id: &str| {
            let grid = Grid::new(chrono_tz::Tz::UTC, 30).expect("half an hour");
            let mut desk = Desk::new(Options::new(grid), vec![], vec![]);
            let cause = Cause { id: id.to_owned(), ..Cause::default() };
            desk.raise(cause, &mut Duties::of(Arc::new(Roster::empty(chrono_tz::Tz::UTC))), 0);
            desk.take_changes()
        };
        let (mut one, _) = Outbox::open(dir.path()).expect("an outbox");
        let (mut two, _) = Outbox::open(dir.path()).expect("another");
        one.append(&alert("a")).expect("it can be written");
        two.append(&alert("b")).expect("it can be written");
        drop((one, two));
        let kept = [Outbox::open(dir.path()), Outbox::open(dir.path())];
        let ids = kept.iter().map(|opened| {
            let (_outbox, kept) = opened.as_ref().expect("an outbox");
            kept.alerts.iter().map(|alert| alert.id().to_owned()).collect::<Vec<_>>()
        });
        // Both are held open here, so that the second is another than the first.
        assert_eq!(ids.collect::<Vec<_>>(), [vec!["a".to_owned()], vec!["b".to_owned()]]);
    }

    #[test]
    fn what_a_full_disk_cut_off_does_not_spoil_what_comes_next() {
        let grid = Grid::new(chrono_tz::Tz::UTC, 30).expect("half an hour");
        let mut desk = Desk::new(Options::new(grid), vec![], vec![]);
        for id in ["a", "b"] {
            let cause = Cause { id: id.to_owned(), ..Cause::default() };
            desk.raise(cause, &mut Duties::of(Arc::new(Roster::empty(chrono_tz::Tz::UTC))), 0);
        }
        let alerts = desk.take_changes();
        let dir = tempfile::tempdir().expect("a directory");
        let (mut outbox, _) = Outbox::open(dir.path()).expect("an outbox");
        outbox.append(&alerts[..1]).expect("it can be written");
        // What a write leaves for which there was no room: half of its line, and an error.
        let good =
            std::mem::replace(&mut outbox.file, File::open(dir.path().join(ALERTS)).expect("it is there"));
        outbox.append(&alerts[1..]).expect_err("it cannot be written");
        outbox.file = good;
        outbox.file.write_all(b"{\"id\":\"b\",\"ru").expect("it can be written");
        outbox.append(&alerts[1..]).expect("there is room again");
        drop(outbox);
        let (_, kept) = Outbox::open(dir.path()).expect("an outbox");
        assert_eq!(kept.alerts.iter().map(Alert::id).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(kept.uncommitted.len(), 2);
    }

    #[test]
    fn what_was_written_is_there_again_also_after_a_torn_line() {
        let grid = Grid::new(chrono_tz::Tz::UTC, 30).expect("half an hour");
        let mut desk = Desk::new(Options::new(grid), vec![], vec![]);
        for id in ["a", "b", "c"] {
            let cause = Cause { id: id.to_owned(), ..Cause::default() };
            desk.raise(cause, &mut Duties::of(Arc::new(Roster::empty(chrono_tz::Tz::UTC))), 0);
        }
        let alerts = desk.take_changes();
        let dir = tempfile::tempdir().expect("a directory");
        let (mut outbox, kept) = Outbox::open(dir.path()).expect("an outbox");
        assert!(kept.alerts.is_empty());
        outbox.append(&alerts[..2]).expect("it can be written");
        outbox.committed().expect("it can be written");
        desk.acknowledge("b", "wang", 5).expect("it is open");
        outbox.append(&desk.take_changes()).expect("it can be written");
        outbox.append(&alerts[2..]).expect("it can be written");
        drop(outbox);
        let path = dir.path().join(ALERTS);
        let mut text = std::fs::read_to_string(&path).expect("it is there");
        text.push_str("{\"id\":\"d\",\"ru");
        std::fs::write(&path, text).expect("it can be written");
        for _ in 0..2 {
            let (_, kept) = Outbox::open(dir.path()).expect("an outbox");
            let ids = |alerts: &[Alert]| alerts.iter().map(|a| a.id().to_owned()).collect::<Vec<_>>();
            assert_eq!(ids(&kept.alerts), ["a", "b", "c"]);
            assert_eq!(ids(&kept.uncommitted), ["b", "c"]);
            assert_eq!(kept.alerts[1].acknowledged_by, "wang");
        }
        let (mut outbox, mut kept) = Outbox::open(dir.path()).expect("an outbox");
        kept.over.push(Over { over: "before".to_owned(), closed_at: 3 });
        outbox.rewrite(&kept).expect("it can be written");
        drop(outbox);
        let (_, again) = Outbox::open(dir.path()).expect("an outbox");
        assert_eq!(again.over, kept.over);
        assert_eq!((again.alerts, again.uncommitted), (kept.alerts, kept.uncommitted));
        let key = link_key(dir.path()).expect("a key");
        assert_eq!(link_key(dir.path()).expect("the same"), key);
    }
}
