//! A task's open state as a file: rows by section, the positions they cover, and a proof that it is whole.
//!
//! ```text
//! "cpstate1"  8 bytes
//! length of the header, u32 little-endian; the header, JSON: sequence, positions, meta, sections
//! for each section: its rows as an Arrow IPC stream, compressed with zstd
//! xxh3 of everything before, u64 little-endian
//! "cpstend1"  8 bytes
//! ```

use arrow::array::RecordBatch;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use deltalake::Path;
use futures::TryStreamExt;
use object_store::ObjectStoreExt;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::store::PutError;
use super::{Error, Lake};

/// The directory of snapshots and the cut, below the root.
pub(super) const STATE: &str = "_state";
const BEGIN: &[u8; 8] = b"cpstate1";
const END: &[u8; 8] = b"cpstend1";
const SUFFIX: &str = ".snapshot";
/// Snapshots kept of each task in any case: the newest, and what to fall back on.
const KEPT: usize = 3;
/// Small ones are kept longer, so that readers find one that agrees with a large one of another task: at most this
/// many of a task …
const KEPT_SMALL: usize = 12;
/// … and together at most this many bytes.
const KEPT_SMALL_BYTES: u64 = 32 << 20;

/// A task's open state.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Snapshot {
    /// Its number; grows with each snapshot of the task.
    pub sequence: u64,
    /// What it covers: topic, partition, the next offset to be read.
    pub positions: Vec<(String, i32, i64)>,
    /// The rows, by section; a section may come in several batches of one schema.
    pub batches: Vec<(String, RecordBatch)>,
    /// What is not rows.
    pub meta: serde_json::Value,
}

/// What was found of a task.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Found {
    /// The newest whole snapshot.
    pub snapshot: Option<Snapshot>,
    /// Newer files that are torn or cannot be read: name and reason.
    pub torn: Vec<(String, String)>,
}

#[derive(Serialize, Deserialize)]
struct Header {
    sequence: u64,
    positions: Vec<(String, i32, i64)>,
    meta: serde_json::Value,
    /// Name and compressed length of each section, in order.
    sections: Vec<(String, u64)>,
}

impl Lake {
    /// Writes a snapshot, and deletes the older ones of the task: three stay in any case, of small ones twelve.
    ///
    /// Errors: `Taken` when another content has the number; `Unavailable`.
    pub async fn save_snapshot(&self, task: &str, snapshot: Snapshot) -> Result<(), Error> {
        self.writable()?;
        let sequence = snapshot.sequence;
        let encoded = match self.inner.place.light {
            true => encode(&snapshot),
            false => tokio::task::spawn_blocking(move || encode(&snapshot))
                .await
                .expect("encoding a snapshot does not panic"),
        };
        let bytes = encoded.map_err(|e| {
            Error::Config(format!("snapshot `{sequence}` of task `{task}` cannot be written: {e}"))
        })?;
        let name = name_of(task, sequence);
        match self.inner.place.put_new(&name, bytes.clone()).await {
            Ok(()) => {}
            Err(PutError::Failed(error)) => return Err(error),
            // A repeated call after an unknown result finds its own work. A torn file is nobody's.
            Err(PutError::Exists) => match self.inner.place.get(&name).await? {
                Some(found) if found == bytes => {}
                Some(found) if decode(&found).is_ok() => {
                    return Err(Error::Taken { task: task.to_owned(), sequence });
                }
                _ => self.inner.place.put(&name, bytes).await?,
            },
        }
        let (mut kept, mut bytes) = (0, 0);
        for (old, size) in self.sizes(task).await?.into_iter().rev() {
            bytes += size;
            kept += 1;
            if kept <= KEPT || (kept <= KEPT_SMALL && bytes <= KEPT_SMALL_BYTES) {
                continue;
            }
            let path = Path::from(name_of(task, old));
            if let Err(error) = self.inner.place.store.delete(&path).await {
                // The next snapshot tries again.
                tracing::debug!(task, old, %error, "old snapshot stays");
            }
        }
        Ok(())
    }

    /// The newest whole snapshot of a task; `None` when there is none. A torn one is logged and passed over;
    /// see [`Lake::find_snapshot`] to learn of it.
    pub async fn load_snapshot(&self, task: &str) -> Result<Option<Snapshot>, Error> {
        Ok(self.find_snapshot(task).await?.snapshot)
    }

    /// The newest whole snapshot of a task, and the newer ones that are not whole.
    pub async fn find_snapshot(&self, task: &str) -> Result<Found, Error> {
        let mut torn = Vec::new();
        for sequence in self.sequences(task).await?.into_iter().rev() {
            match self.read_snapshot(task, sequence).await {
                Ok(Some(snapshot)) => return Ok(Found { snapshot: Some(snapshot), torn }),
                // Deleted since it was listed: a newer one exists, but then the task is being written.
                Ok(None) => {}
                Err(Error::Corrupt(reason)) => {
                    tracing::warn!(task, sequence, reason, "snapshot is not whole, an older one is used");
                    torn.push((name_of(task, sequence), reason));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Found { snapshot: None, torn })
    }

    /// One snapshot of a task by its number, as a cut names it. `Corrupt` when it is not whole.
    pub async fn read_snapshot(&self, task: &str, sequence: u64) -> Result<Option<Snapshot>, Error> {
        let name = name_of(task, sequence);
        let Some(bytes) = self.inner.place.get(&name).await? else { return Ok(None) };
        if self.inner.place.light {
            return decode(&bytes).map(Some).map_err(|e| Error::Corrupt(format!("snapshot `{name}`: {e}")));
        }
        let decoded = tokio::task::spawn_blocking(move || decode(&bytes)).await;
        let decoded = decoded.unwrap_or_else(|_| Err("its content cannot be read".to_owned()));
        decoded.map(Some).map_err(|e| Error::Corrupt(format!("snapshot `{name}`: {e}")))
    }

    /// The tasks that have a snapshot, with the number of the newest.
    pub async fn list_snapshots(&self) -> Result<Vec<(String, u64)>, Error> {
        let mut newest = std::collections::BTreeMap::new();
        for (directory, sequence, _) in self.state_files(STATE).await? {
            let Some(task) = unescape(&directory) else { continue };
            let known = newest.entry(task).or_insert(sequence);
            *known = sequence.max(*known);
        }
        Ok(newest.into_iter().collect())
    }

    /// The numbers of a task's snapshots, ascending.
    pub(super) async fn sequences(&self, task: &str) -> Result<Vec<u64>, Error> {
        Ok(self.sizes(task).await?.into_iter().map(|(sequence, _)| sequence).collect())
    }

    /// The numbers and bytes of a task's snapshots, ascending.
    async fn sizes(&self, task: &str) -> Result<Vec<(u64, u64)>, Error> {
        let directory = format!("{STATE}/{}", escape(task));
        let files = self.state_files(&directory).await?.into_iter();
        let mut sizes: Vec<(u64, u64)> = files.map(|(_, sequence, bytes)| (sequence, bytes)).collect();
        sizes.sort_unstable();
        Ok(sizes)
    }

    /// Directory name, number and bytes of the snapshot files below a prefix.
    async fn state_files(&self, prefix: &str) -> Result<Vec<(String, u64, u64)>, Error> {
        let listed: Vec<_> = self
            .inner
            .place
            .store
            .list(Some(&Path::from(prefix)))
            .try_collect()
            .await
            .map_err(|e| Error::store("snapshots cannot be listed", e))?;
        let file = |path: &Path| {
            let mut parts = path.as_ref().rsplit('/');
            let sequence = parts.next()?.strip_suffix(SUFFIX)?.parse().ok()?;
            Some((parts.next()?.to_owned(), sequence))
        };
        let file = |meta: &object_store::ObjectMeta| {
            let (directory, sequence) = file(&meta.location)?;
            Some((directory, sequence, meta.size))
        };
        Ok(listed.iter().filter_map(file).collect())
    }
}

fn name_of(task: &str, sequence: u64) -> String {
    format!("{STATE}/{}/{sequence:020}{SUFFIX}", escape(task))
}

/// A task's name as a directory: letters, digits, `-` and `_` stay, every other byte becomes `=` and two
/// hexadecimal digits.
fn escape(task: &str) -> String {
    let mut escaped = String::with_capacity(task.len());
    for byte in task.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_' {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("={byte:02x}"));
        }
    }
    escaped
}

fn unescape(name: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'=' {
            let digits = [rest.next()?, rest.next()?];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

fn encode(snapshot: &Snapshot) -> Result<Vec<u8>, String> {
    let mut sections: Vec<(String, u64)> = Vec::new();
    let mut body = Vec::new();
    for (name, batch) in &snapshot.batches {
        let mut compressed =
            zstd::stream::write::Encoder::new(Vec::new(), 1).map_err(|e| format!("section `{name}`: {e}"))?;
        let written = (|| -> Result<(), arrow::error::ArrowError> {
            let mut stream = StreamWriter::try_new(&mut compressed, batch.schema_ref())?;
            stream.write(batch)?;
            stream.finish()
        })();
        written.map_err(|e| format!("section `{name}`: {e}"))?;
        let section = compressed.finish().map_err(|e| format!("section `{name}`: {e}"))?;
        sections.push((name.clone(), section.len() as u64));
        body.extend_from_slice(&section);
    }
    let header = Header {
        sequence: snapshot.sequence,
        positions: snapshot.positions.clone(),
        meta: snapshot.meta.clone(),
        sections,
    };
    let header = serde_json::to_vec(&header).map_err(|e| e.to_string())?;
    let length = u32::try_from(header.len()).map_err(|_| "the header is greater than 4 GiB".to_owned())?;
    let mut bytes = Vec::with_capacity(header.len() + body.len() + 28);
    bytes.extend_from_slice(BEGIN);
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&header);
    bytes.extend_from_slice(&body);
    let sum = xxh3_64(&bytes);
    bytes.extend_from_slice(&sum.to_le_bytes());
    bytes.extend_from_slice(END);
    Ok(bytes)
}

fn decode(bytes: &[u8]) -> Result<Snapshot, String> {
    let torn = || format!("it is torn, `{}` bytes are there", bytes.len());
    let rest = bytes.strip_suffix(END).ok_or_else(torn)?;
    let (content, sum) = rest.split_last_chunk::<8>().ok_or_else(torn)?;
    if xxh3_64(content) != u64::from_le_bytes(*sum) {
        return Err("its checksum does not agree with its content".to_owned());
    }
    let rest = content.strip_prefix(BEGIN).ok_or("it is not a snapshot of this format")?;
    let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(torn)?;
    let length = u32::from_le_bytes(*length) as usize;
    let (header, mut rest) = rest.split_at_checked(length).ok_or_else(torn)?;
    let header: Header =
        serde_json::from_slice(header).map_err(|e| format!("its header cannot be read: {e}"))?;
    let mut batches = Vec::with_capacity(header.sections.len());
    for (name, length) in header.sections {
        let length = usize::try_from(length).map_err(|_| torn())?;
        let (section, after) = rest.split_at_checked(length).ok_or_else(torn)?;
        rest = after;
        let read = || -> Result<Vec<RecordBatch>, Box<dyn std::error::Error>> {
            let stream = StreamReader::try_new(zstd::stream::read::Decoder::new(section)?, None)?;
            Ok(stream.collect::<Result<_, _>>()?)
        };
        for batch in read().map_err(|e| format!("section `{name}`: {e}"))? {
            batches.push((name.clone(), batch));
        }
    }
    Ok(Snapshot { sequence: header.sequence, positions: header.positions, batches, meta: header.meta })
}
