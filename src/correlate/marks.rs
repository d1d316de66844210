//! What the words of a message mean to quality, as its entry in the log keeps it: a few flags, a hash, and phrases with
//! their places.

use smallvec::SmallVec;

use super::log::{get, put};
use super::words::Words;

const GREETS: u8 = 1;
const PARTS: u8 = 2;
const SAME: u8 = 4;

/// What the words of a message mean to quality.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Marks<'a> {
    /// The agent greets.
    pub(super) greets: bool,
    /// The agent says good-bye.
    pub(super) parts: bool,
    /// A hash of the whole utterance, where it is long enough to be a question that is put again.
    pub(super) same: Option<u32>,
    phrases: &'a [u8],
}

impl<'a> Marks<'a> {
    /// The phrases that break a rule of service: category, phrase, first byte and byte after the last one. `strings` are those
    /// of the log.
    pub(super) fn phrases(self, strings: &'a str, mut take: impl FnMut((&'a str, &'a str, u32, u32))) {
        let mut bytes = self.phrases;
        let text = |at: u64, len: u64| strings.get(at as usize..(at + len) as usize).unwrap_or_default();
        while !bytes.is_empty() {
            let mut numbers = [0; 6];
            for number in &mut numbers {
                (*number, bytes) = get(bytes);
            }
            let [category_at, category_len, phrase_at, phrase_len, start, len] = numbers;
            let (category, phrase) = (text(category_at, category_len), text(phrase_at, phrase_len));
            take((category, phrase, start as u32, (start + len) as u32));
        }
    }
}

/// Writes the marks of a message; `place` gives the place of a text among the log's strings, and its length.
pub(super) fn write(words: &Words, place: &mut dyn FnMut(&str) -> (u32, u32), out: &mut SmallVec<[u8; 64]>) {
    let flag = |set: bool, bit: u8| if set { bit } else { 0 };
    out.push(flag(words.greets, GREETS) | flag(words.parts, PARTS) | flag(words.same.is_some(), SAME));
    if let Some(same) = words.same {
        out.extend_from_slice(&same.to_le_bytes());
    }
    let mut phrases: SmallVec<[u8; 64]> = SmallVec::new();
    for phrase in &words.phrases {
        for text in [&phrase.category, &phrase.phrase] {
            let (at, len) = place(text);
            put(&mut phrases, u64::from(at));
            put(&mut phrases, u64::from(len));
        }
        put(&mut phrases, u64::from(phrase.start));
        put(&mut phrases, u64::from(phrase.end - phrase.start));
    }
    put(out, phrases.len() as u64);
    out.extend_from_slice(&phrases);
}

/// Reads what [`write`] wrote, which other bytes may follow.
pub(super) fn read(bytes: &[u8]) -> Marks<'_> {
    let Some((&flags, mut rest)) = bytes.split_first() else { return Marks::default() };
    let mut same = None;
    if flags & SAME != 0
        && let Some((hash, after)) = rest.split_first_chunk::<4>()
    {
        same = Some(u32::from_le_bytes(*hash));
        rest = after;
    }
    let (len, after) = get(rest);
    let phrases = after.get(..len as usize).unwrap_or_default();
    Marks { greets: flags & GREETS != 0, parts: flags & PARTS != 0, same, phrases }
}
