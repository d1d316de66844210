//! Reads files of JSON lines, plain, gzip or zstd, as if they were a partition.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::read::MultiGzDecoder;

use super::{Block, Error};

/// The longest line, in bytes, that is handed on whole: 1 MiB, the limit of a record. Of a longer one this and one byte
/// more are kept, so that whoever looks at the length sees that it is too large.
pub const LINE_MAX: usize = 1 << 20;

/// A block is handed on at this many bytes or records, so that decoding starts early and memory stays small.
const BLOCK_BYTES: usize = 1 << 20;
const BLOCK_RECORDS: usize = 4096;

const BUFFER_BYTES: usize = 256 << 10;

/// How much of a file has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Bytes read of the file as it lies on disk, compressed or not.
    pub read: u64,
    /// Its size in bytes when it was opened; 0 for what has none, such as a pipe.
    pub total: u64,
}

/// The lines of one file as blocks: topic = the path, partition 0, offset = the line's number from 1.
///
/// Empty lines are counted and skipped. A line ends with a line feed, with or without a carriage return before it; the last
/// may go without. A byte order mark is skipped. How a file is compressed is seen from its first bytes, not from its name.
pub struct FileBlocks {
    path: PathBuf,
    topic: Arc<str>,
    lines: Box<dyn BufRead + Send>,
    line: i64,
    read: Arc<AtomicU64>,
    total: u64,
    state: State,
}

enum State {
    Reading,
    /// What was read before the failure has been handed on; this comes next.
    Failing(Error),
    Over,
}

impl FileBlocks {
    /// Opens a file.
    ///
    /// # Errors
    /// [`Error::File`] where it cannot be read.
    pub fn open(path: &Path) -> Result<FileBlocks, Error> {
        let failed = |cause| Error::File { path: path.to_owned(), line: 0, cause };
        let file = File::open(path).map_err(failed)?;
        let about = file.metadata().map_err(failed)?;
        if about.is_dir() {
            return Err(failed(io::ErrorKind::IsADirectory.into()));
        }
        let read = Arc::new(AtomicU64::new(0));
        let counted = Counted { file, read: Arc::clone(&read) };
        let mut plain = BufReader::with_capacity(BUFFER_BYTES, counted);
        let lines: Box<dyn BufRead + Send> = match plain.fill_buf().map_err(failed)? {
            [0x1f, 0x8b, ..] => Box::new(BufReader::with_capacity(BUFFER_BYTES, MultiGzDecoder::new(plain))),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => {
                let decoder = zstd::stream::read::Decoder::with_buffer(plain).map_err(failed)?;
                Box::new(BufReader::with_capacity(BUFFER_BYTES, decoder))
            }
            _ => Box::new(plain),
        };
        Ok(FileBlocks {
            path: path.to_owned(),
            topic: path.to_string_lossy().into(),
            lines,
            line: 0,
            read,
            total: about.len(),
            state: State::Reading,
        })
    }

    /// How much has been read so far.
    pub fn progress(&self) -> Progress {
        Progress { read: self.read.load(Ordering::Relaxed), total: self.total }
    }

    /// Appends the next line, unless it is empty. `false` at the end of the file.
    fn take_line(&mut self, block: &mut Block) -> io::Result<bool> {
        // Room for a line feed and a carriage return after the longest whole line.
        const LONGEST: usize = LINE_MAX + 2;
        let start = block.bytes.len();
        let taken = (&mut self.lines).take(LONGEST as u64).read_until(b'\n', &mut block.bytes)?;
        if taken == 0 {
            return Ok(false);
        }
        self.line += 1;
        let ended = block.bytes.ends_with(b"\n");
        let beyond = if taken == LONGEST && !ended { self.lines.skip_until(b'\n')? } else { 0 };
        let mut line = &block.bytes[start..];
        line = line.strip_suffix(b"\n").unwrap_or(line);
        if ended {
            line = line.strip_suffix(b"\r").unwrap_or(line);
        }
        let mut end = start + line.len();
        let cut = beyond > 0 && end - start > LINE_MAX;
        if cut {
            end = start + LINE_MAX + 1;
        }
        block.bytes.truncate(end);
        let mark = self.line == 1 && block.bytes[start..].starts_with(b"\xef\xbb\xbf");
        let value = if mark { start + 3 } else { start };
        if block.bytes[value..].trim_ascii().is_empty() {
            block.bytes.truncate(start);
            return Ok(true);
        }
        let place = |at: usize| u32::try_from(at).expect("a block ends with the line that passes 1 MiB");
        block.records.push(super::Record {
            offset: self.line,
            timestamp: -1,
            key: place(value),
            value: place(value),
            end: place(end),
            keyed: false,
            null: false,
            cut,
        });
        Ok(true)
    }
}

impl Iterator for FileBlocks {
    type Item = Result<Block, Error>;

    fn next(&mut self) -> Option<Result<Block, Error>> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Reading => {}
            State::Failing(error) => return Some(Err(error)),
            State::Over => return None,
        }
        let mut block = Block::new(Arc::clone(&self.topic), 0);
        loop {
            match self.take_line(&mut block) {
                Ok(true) if block.bytes.len() < BLOCK_BYTES && block.len() < BLOCK_RECORDS => {}
                Ok(true) => {
                    self.state = State::Reading;
                    break;
                }
                Ok(false) => break,
                Err(cause) => {
                    // Half a line may have been appended; it belongs to no record.
                    let line = u64::try_from(self.line).unwrap_or(0) + 1;
                    self.state = State::Failing(Error::File { path: self.path.clone(), line, cause });
                    break;
                }
            }
        }
        match (block.is_empty(), &self.state) {
            (false, _) => Some(Ok(block)),
            (true, State::Failing(_)) => self.next(),
            (true, _) => None,
        }
    }
}

struct Counted {
    file: File,
    read: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// Writes a file, reads it back: line number and text of each record, and whether it was cut.
    fn lines(name: &str, content: &[u8]) -> Vec<(i64, String, bool)> {
        let dir = tempfile::tempdir().expect("a directory for the test");
        let path = dir.path().join(name);
        std::fs::write(&path, content).expect("written");
        let mut blocks = FileBlocks::open(&path).expect("just written");
        let mut seen = Vec::new();
        for block in blocks.by_ref() {
            let block = block.expect("a good file");
            assert_eq!((&*block.topic, block.partition), (&*path.to_string_lossy(), 0));
            for record in &block.records {
                let value = block.value(record).expect("a line has a value");
                seen.push((record.offset, String::from_utf8_lossy(value).into_owned(), record.cut));
                assert_eq!((record.timestamp, block.key(record)), (-1, None));
            }
        }
        let size = content.len() as u64;
        assert_eq!(blocks.progress(), Progress { read: size, total: size });
        seen
    }

    fn line(number: i64, text: &str) -> (i64, String, bool) {
        (number, text.to_owned(), false)
    }

    const MIXED: &[u8] = b"\xef\xbb\xbf{\"a\":1}\r\n\n  \t\r\n{\"b\":2}\n{\"c\":3}";

    fn mixed() -> Vec<(i64, String, bool)> {
        vec![line(1, "{\"a\":1}"), line(4, "{\"b\":2}"), line(5, "{\"c\":3}")]
    }

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(content).and_then(|()| encoder.finish()).expect("memory takes it")
    }

    #[test]
    fn lines_are_numbered_as_an_editor_shows_them() {
        assert_eq!(lines("e.jsonl", MIXED), mixed());
        assert_eq!(lines("empty.jsonl", b""), []);
        assert_eq!(lines("blank.jsonl", b"\n\n"), []);
    }

    #[test]
    fn compressed_files_read_as_what_is_in_them() {
        assert_eq!(lines("e.jsonl.gz", &gzip(MIXED)), mixed());
        assert_eq!(lines("wrongly-named.jsonl", &gzip(MIXED)), mixed());
        let zstd = |content| zstd::encode_all(content, 1).expect("memory takes it");
        assert_eq!(lines("e.jsonl.zst", &zstd(MIXED)), mixed());
        let two = [gzip(b"{\"a\":1}\n"), gzip(b"{\"b\":2}\n")].concat();
        assert_eq!(lines("two.gz", &two), [line(1, "{\"a\":1}"), line(2, "{\"b\":2}")]);
        let two = [zstd(b"{\"a\":1}\n"), zstd(b"{\"b\":2}\n")].concat();
        assert_eq!(lines("two.zst", &two), [line(1, "{\"a\":1}"), line(2, "{\"b\":2}")]);
    }

    #[test]
    fn a_line_that_is_too_long_is_cut_and_said_so() {
        for end in ["\n", "\r\n"] {
            let whole = "x".repeat(LINE_MAX);
            let content = format!("{whole}{end}{whole}y{end}{whole}yyyyy{end}{{}}{end}");
            let seen = lines("long.jsonl", content.as_bytes());
            let shape: Vec<_> = seen.iter().map(|(number, text, cut)| (*number, text.len(), *cut)).collect();
            let [first, second, third, fourth] = shape[..] else { panic!("four lines: {shape:?}") };
            assert_eq!((first, fourth), ((1, LINE_MAX, false), (4, 2, false)));
            assert_eq!((second.0, second.1, third), (2, LINE_MAX + 1, (3, LINE_MAX + 1, true)));
        }
        let endless = vec![b'x'; 5 * LINE_MAX];
        assert_eq!(lines("endless.jsonl", &endless), [(1, "x".repeat(LINE_MAX + 1), true)]);
    }

    #[test]
    fn many_lines_come_in_blocks() {
        let content: String = (1..=10_000).map(|number| format!("{{\"n\":{number}}}\n")).collect();
        let seen = lines("many.jsonl", content.as_bytes());
        assert_eq!(seen.len(), 10_000);
        assert!(seen.iter().all(|(number, text, _)| *text == format!("{{\"n\":{number}}}")));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let dir = tempfile::tempdir().expect("a directory for the test");
        let missing = dir.path().join("missing.jsonl");
        let error = FileBlocks::open(&missing).err().expect("it is not there");
        assert!(error.to_string().starts_with(&format!("cannot read `{}`: ", missing.display())), "{error}");
        let error = FileBlocks::open(dir.path()).err().expect("a directory");
        assert!(error.hint().is_some_and(|hint| hint.contains("*.jsonl")), "{error:?}");
    }

    #[test]
    fn a_broken_end_gives_the_good_lines_first() {
        let dir = tempfile::tempdir().expect("a directory for the test");
        let content: String = (1..=3_000).map(|number| format!("{{\"n\":{number}}}\n")).collect();
        let zstd = zstd::encode_all(content.as_bytes(), 1).expect("memory takes it");
        for (name, whole) in [("e.gz", gzip(content.as_bytes())), ("e.zst", zstd)] {
            let path = dir.path().join(name);
            std::fs::write(&path, &whole[..whole.len() - 3]).expect("written");
            let mut good = 0;
            let mut errors = Vec::new();
            for block in FileBlocks::open(&path).expect("the start is good") {
                match block {
                    Ok(block) => good += block.len(),
                    Err(error) => errors.push(error),
                }
            }
            assert_eq!(errors.len(), 1, "{name}");
            assert!(errors[0].to_string().contains(name), "{}", errors[0]);
            assert!(errors[0].hint().is_some_and(|hint| hint.contains("ends too early")), "{:?}", errors[0]);
            assert!(good <= 3_000);
        }
    }
}
