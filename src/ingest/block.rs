//! Records as they were read: the bytes of many, side by side.

use std::collections::HashMap;
use std::sync::Arc;

/// Where one record of a [`Block`] lies, and what Kafka says about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// Its offset in the partition; in a file the line number, from 1.
    pub offset: i64,
    /// Kafka's timestamp in ms since 1970; -1 where there is none, and for files.
    pub timestamp: i64,
    /// The key is `bytes[key..value]` of the block.
    pub key: u32,
    /// The value is `bytes[value..end]` of the block.
    pub value: u32,
    /// End of the value.
    pub end: u32,
    /// There is a key. (An empty key is a key.)
    pub keyed: bool,
    /// The value is null: a tombstone of a compacted topic. (An empty value is not null.)
    pub null: bool,
    /// More of the value was there than was kept; only lines of files are cut.
    pub cut: bool,
}

/// Consecutive records of one partition, in the order of their offsets, in one allocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The topic; for files the path.
    pub topic: Arc<str>,
    /// The partition; for files 0.
    pub partition: i32,
    /// Where each record lies. Offsets grow, and may have holes (compaction, transactions, empty lines).
    pub records: Vec<Record>,
    /// Keys and values.
    pub bytes: Vec<u8>,
    /// By offset, the attributes of records that are CloudEvents in binary mode: header by header.
    pub attributes: HashMap<i64, Vec<(String, String)>>,
}

impl Block {
    /// A block without records.
    pub fn new(topic: Arc<str>, partition: i32) -> Block {
        Block { topic, partition, records: Vec::new(), bytes: Vec::new(), attributes: HashMap::new() }
    }

    /// The number of records.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// There are no records.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The value of a record; `None` for a tombstone.
    pub fn value(&self, record: &Record) -> Option<&[u8]> {
        (!record.null).then(|| &self.bytes[record.value as usize..record.end as usize])
    }

    /// The key of a record, where it has one.
    pub fn key(&self, record: &Record) -> Option<&[u8]> {
        record.keyed.then(|| &self.bytes[record.key as usize..record.value as usize])
    }

    /// Where reading goes on after this block; `None` for one without records.
    pub fn next_offset(&self) -> Option<i64> {
        self.records.last().map(|record| record.offset + 1)
    }

    /// Appends a copy of a record.
    ///
    /// Whoever fills a block keeps it below 4 GiB; the consumer and the file reader start a new one long before.
    #[inline]
    pub(super) fn push(&mut self, offset: i64, timestamp: i64, key: Option<&[u8]>, value: Option<&[u8]>) {
        let start = self.bytes.len();
        let (key_bytes, value_bytes) = (key.unwrap_or_default(), value.unwrap_or_default());
        self.bytes.extend_from_slice(key_bytes);
        self.bytes.extend_from_slice(value_bytes);
        let place = |at: usize| u32::try_from(at).expect("a block is cut long before 4 GiB");
        self.records.push(Record {
            offset,
            timestamp,
            key: place(start),
            value: place(start + key_bytes.len()),
            end: place(self.bytes.len()),
            keyed: key.is_some(),
            null: value.is_none(),
            cut: false,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_and_empty_are_told_apart() {
        let mut block = Block::new("t".into(), 3);
        block.push(7, 1, Some(b"k"), Some(b"v"));
        block.push(8, -1, None, None);
        block.push(11, 2, Some(b""), Some(b""));
        let seen: Vec<_> =
            block.records.iter().map(|r| (r.offset, r.timestamp, block.key(r), block.value(r))).collect();
        assert_eq!(
            seen,
            [
                (7, 1, Some(&b"k"[..]), Some(&b"v"[..])),
                (8, -1, None, None),
                (11, 2, Some(&b""[..]), Some(&b""[..])),
            ]
        );
        assert_eq!(block.next_offset(), Some(12));
    }
}
