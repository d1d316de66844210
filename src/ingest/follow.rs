//! Follows a file that grows and is rotated, line by line, as a log's reader does.
//!
//! Rotation by renaming: what is left of the old file is read to its end before the new one is begun. Rotation by copying and
//! cutting: a file that has become shorter is read from its beginning. After a stop, reading goes on at a [`Mark`], also in a
//! file that was renamed meanwhile. Compressed files are passed over.
//!
//! Invariant: a line is handed out when it is whole, in the order of the file, and the mark is behind the lines handed out.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Bytes that are read at once.
const CHUNK: usize = 256 << 10;
/// Lines that are handed out at once.
const LINES_MAX: usize = 5_000;
/// Looks at a renamed file that must find nothing new before it is left: whoever writes may hold it open for a moment.
const LOOKS: u32 = 3;
/// Longer lines are no lines of a log; they are passed over.
const LINE_MAX: usize = 1 << 20;

/// Where reading goes on: a file, whatever its name has become, and the bytes of it that are done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Device and number of the file.
    pub file: (u64, u64),
    /// The first byte that is not done.
    pub offset: u64,
}

/// A file that is being read.
#[derive(Debug)]
struct Open {
    file: File,
    id: (u64, u64),
    /// Bytes of whole lines that were handed out, or passed over.
    done: u64,
    /// Bytes read.
    read: u64,
}

/// A file that is followed.
#[derive(Debug)]
pub struct Follower {
    path: PathBuf,
    open: Option<Open>,
    /// What was read beyond the last whole line.
    rest: Vec<u8>,
    /// The line that is being read is too long.
    skipping: bool,
    /// How often a renamed file had nothing new.
    looks: u32,
    skipped: u64,
    cut: u64,
}

fn id_of(path: &Path) -> io::Result<Option<((u64, u64), u64)>> {
    match std::fs::metadata(path) {
        Ok(about) => Ok(Some(((about.dev(), about.ino()), about.len()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

impl Follower {
    /// Follows the file at `path` from `mark`; without one, or where its file is gone, from the beginning of the file, or from
    /// its end.
    ///
    /// # Errors
    /// A file that is there and cannot be read.
    pub fn new(path: &Path, mark: Option<Mark>, from_end: bool) -> io::Result<Follower> {
        let mut follower = Follower {
            path: path.to_owned(),
            open: None,
            rest: Vec::new(),
            skipping: false,
            looks: 0,
            skipped: 0,
            cut: 0,
        };
        if let Some(mark) = mark
            && let Some(found) = find(path, mark.file)?
        {
            let length = std::fs::metadata(&found)?.len();
            // A file that has become shorter since is another one in its place.
            follower.begin(&found, if mark.offset <= length { mark.offset } else { 0 })?;
        } else if let Some((_, length)) = id_of(path)? {
            follower.begin(path, if from_end && mark.is_none() { length } else { 0 })?;
        }
        Ok(follower)
    }

    fn begin(&mut self, path: &Path, at: u64) -> io::Result<()> {
        let mut file = File::open(path)?;
        let about = file.metadata()?;
        file.seek(SeekFrom::Start(at))?;
        self.open = Some(Open { file, id: (about.dev(), about.ino()), done: at, read: at });
        self.rest.clear();
        self.skipping = false;
        self.looks = 0;
        Ok(())
    }

    /// Where reading goes on after the lines handed out so far; `None` before there was a file.
    pub fn mark(&self) -> Option<Mark> {
        self.open.as_ref().map(|open| Mark { file: open.id, offset: open.done })
    }

    /// Lines that were too long, and times that a file was cut while it was read.
    pub fn passed_over(&self) -> (u64, u64) {
        (self.skipped, self.cut)
    }

    /// The next whole lines, without their ends; none where there is nothing new yet. Empty lines are left out.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn lines(&mut self) -> io::Result<Vec<Vec<u8>>> {
        let mut lines = Vec::new();
        self.take_whole(&mut lines);
        let mut chunk = vec![0; CHUNK];
        while lines.len() < LINES_MAX {
            let Some(open) = &mut self.open else {
                let Some(_) = id_of(&self.path)? else { break };
                let path = self.path.clone();
                self.begin(&path, 0)?;
                continue;
            };
            let count = open.file.read(&mut chunk)?;
            if count > 0 {
                self.looks = 0;
                open.read += count as u64;
                self.rest.extend_from_slice(&chunk[..count]);
                self.take_whole(&mut lines);
                continue;
            }
            match id_of(&self.path)? {
                Some((id, length)) if id == open.id => {
                    if length < open.read {
                        self.cut += 1;
                        let path = self.path.clone();
                        self.begin(&path, 0)?;
                        continue;
                    }
                    break;
                }
                // Renamed, and perhaps there is none in its place yet.
                _ if self.looks < LOOKS => {
                    self.looks += 1;
                    break;
                }
                found => {
                    // Its last line has no end, and gets none any more.
                    let id = open.id;
                    if !self.rest.trim_ascii().is_empty() && !self.skipping {
                        lines.push(std::mem::take(&mut self.rest));
                        let open = self.open.as_mut().expect("it was open a moment ago");
                        open.done = open.read;
                    }
                    let next = next_after(&self.path, id)?;
                    match (next, found) {
                        (Some(next), _) => self.begin(&next, 0)?,
                        (None, Some(_)) => {
                            let path = self.path.clone();
                            self.begin(&path, 0)?;
                        }
                        (None, None) => break,
                    }
                }
            }
        }
        Ok(lines)
    }

    /// Moves whole lines out of what was read.
    fn take_whole(&mut self, lines: &mut Vec<Vec<u8>>) {
        let Some(open) = &mut self.open else { return };
        let mut from = 0;
        while lines.len() < LINES_MAX
            && let Some(length) = self.rest[from..].iter().position(|byte| *byte == b'\n')
        {
            let line = &self.rest[from..from + length];
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if self.skipping || line.len() > LINE_MAX {
                self.skipping = false;
                self.skipped += 1;
            } else if !line.trim_ascii().is_empty() {
                lines.push(line.to_vec());
            }
            from += length + 1;
            open.done += length as u64 + 1;
        }
        self.rest.drain(..from);
        if self.rest.len() > LINE_MAX && !self.rest.contains(&b'\n') {
            open.done += self.rest.len() as u64;
            self.rest.clear();
            self.skipping = true;
        }
    }
}

/// A rotated file: where it is, what tells it from others, and its time.
type Rotation = (PathBuf, (u64, u64), i64);

/// Files that are rotations of `path`, the oldest first: in the same directory, with its name and more.
fn rotations(path: &Path) -> io::Result<Vec<Rotation>> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let own = entry.file_name().to_string_lossy().into_owned();
        let compressed = [".gz", ".zst", ".xz", ".bz2"].iter().any(|end| own.ends_with(end));
        if own == name || !own.starts_with(&name) || compressed {
            continue;
        }
        let Ok(about) = entry.metadata() else { continue };
        if about.is_file() {
            found.push((
                entry.path(),
                (about.dev(), about.ino()),
                about.mtime_nsec() + about.mtime() * 1_000_000_000,
            ));
        }
    }
    found.sort_by_key(|(_, _, written)| *written);
    Ok(found)
}

/// The file of this number, under its name or that of a rotation.
fn find(path: &Path, file: (u64, u64)) -> io::Result<Option<PathBuf>> {
    if id_of(path)?.is_some_and(|(id, _)| id == file) {
        return Ok(Some(path.to_owned()));
    }
    Ok(rotations(path)?.into_iter().find(|(_, id, _)| *id == file).map(|(path, ..)| path))
}

/// The rotation that was written after this one; `None`: the file itself comes next.
fn next_after(path: &Path, file: (u64, u64)) -> io::Result<Option<PathBuf>> {
    let rotations = rotations(path)?;
    let at = rotations.iter().position(|(_, id, _)| *id == file);
    Ok(at.and_then(|at| rotations.get(at + 1)).map(|(path, ..)| path.clone()))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    struct Log {
        dir: tempfile::TempDir,
    }

    impl Log {
        fn new() -> Log {
            Log { dir: tempfile::tempdir().expect("a directory for the test") }
        }

        fn path(&self) -> PathBuf {
            self.dir.path().join("queue_log")
        }

        fn write(&self, text: &str) {
            let file = std::fs::OpenOptions::new().append(true).create(true).open(self.path());
            file.and_then(|mut file| file.write_all(text.as_bytes())).expect("written");
        }

        fn rotate(&self, to: &str) {
            std::fs::rename(self.path(), self.dir.path().join(to)).expect("renamed");
        }

        fn follow(&self, mark: Option<Mark>) -> Follower {
            Follower::new(&self.path(), mark, false).expect("a follower")
        }
    }

    /// Looks until several looks found nothing.
    fn all(follower: &mut Follower) -> Vec<String> {
        let mut found = Vec::new();
        let mut empty = 0;
        while empty <= LOOKS + 1 {
            let lines = follower.lines().expect("it can be read");
            empty = if lines.is_empty() { empty + 1 } else { 0 };
            found.extend(lines.into_iter().map(|line| String::from_utf8(line).expect("text")));
        }
        found
    }

    #[test]
    fn lines_come_when_they_are_whole() {
        let log = Log::new();
        let mut follower = log.follow(None);
        assert!(all(&mut follower).is_empty());
        log.write("a\nb\r\n\nc");
        assert_eq!(all(&mut follower), ["a", "b"]);
        let mark = follower.mark().expect("a file");
        assert_eq!(mark.offset, 6);
        log.write("d\n");
        assert_eq!(all(&mut follower), ["cd"]);
        // From the mark the same comes again, and nothing before it.
        assert_eq!(all(&mut log.follow(Some(mark))), ["cd"]);
        let mut late = Follower::new(&log.path(), None, true).expect("a follower");
        log.write("e\n");
        assert_eq!(all(&mut late), ["e"]);
    }

    #[test]
    fn a_renamed_file_is_read_to_its_end_before_the_new_one() {
        let log = Log::new();
        log.write("a\n");
        let mut follower = log.follow(None);
        assert_eq!(all(&mut follower), ["a"]);
        log.write("b\nlast without end");
        log.rotate("queue_log.1");
        log.write("c\n");
        assert_eq!(all(&mut follower), ["b", "last without end", "c"]);
    }

    #[test]
    fn a_file_that_was_cut_is_read_from_its_beginning() {
        let log = Log::new();
        log.write("a\nbbbbbbbb\n");
        let mut follower = log.follow(None);
        assert_eq!(all(&mut follower), ["a", "bbbbbbbb"]);
        std::fs::copy(log.path(), log.dir.path().join("queue_log.1")).expect("copied");
        std::fs::write(log.path(), "c\n").expect("cut and written");
        assert_eq!(all(&mut follower), ["c"]);
        assert_eq!(follower.passed_over(), (0, 1));
    }

    #[test]
    fn after_a_stop_rotations_are_caught_up_in_their_order() {
        let log = Log::new();
        log.write("a\nb\n");
        let mut follower = log.follow(None);
        assert_eq!(all(&mut follower), ["a", "b"]);
        let mark = follower.mark();
        drop(follower);
        for (text, name) in [("c\n", "queue_log.2"), ("d\n", "queue_log.1")] {
            log.write(text);
            log.rotate(name);
            // Files are told apart by when they were written.
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        log.write("e\n");
        std::fs::write(log.dir.path().join("queue_log.3.gz"), b"x").expect("written");
        assert_eq!(all(&mut log.follow(mark)), ["c", "d", "e"]);
    }

    #[test]
    fn a_line_without_end_does_not_fill_the_memory() {
        let log = Log::new();
        log.write("a\n");
        log.write(&"x".repeat(3 * LINE_MAX));
        log.write("\nb\n");
        let mut follower = log.follow(None);
        assert_eq!(all(&mut follower), ["a", "b"]);
        assert_eq!(follower.passed_over(), (1, 0));
        assert_eq!(follower.mark().map(|mark| mark.offset), Some(3 * LINE_MAX as u64 + 5));
    }
}
