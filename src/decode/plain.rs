//! The plain form of a record, read in one pass: an object whose keys have no escapes and whose known fields are texts,
//! whole numbers, true, false or null. What is nested (attributes, lists, the values of unknown fields) is handed to
//! serde_json as the stretch of text that it is, and so is a text with escapes.
//!
//! Whatever is not of this form, or not JSON, is left to a general parser: this reader never says what is wrong. What it
//! does take it takes exactly as serde_json would; a test holds the two against each other.

use std::borrow::Cow;

use serde::de::DeserializeSeed;

use super::canonical::{Field, Wire};
use super::fields::{Copy, Found, Members, Value};

/// Most digits of a whole number that is read here; more may not fit 64 bits.
const DIGITS_MAX: usize = 18;

/// Reads the fields of a record into `wire`, members of `attributes` and unknown fields into `extra`. Returns how many
/// fields were unknown; `None` when the record is not of the plain form: `wire` and `extra` are to be thrown away then.
pub(super) fn read<'a>(text: &'a str, wire: &mut Wire<'a>, extra: &mut Vec<u8>) -> Option<u64> {
    let mut scan = Scan { text, at: 0 };
    let mut unknown = 0;
    scan.space();
    scan.expect(b'{')?;
    scan.space();
    if scan.next_is(b'}') {
        scan.at += 1;
        return scan.ends().then_some(unknown);
    }
    loop {
        let name = scan.key()?;
        match Field::of(name) {
            Some(Field::Attributes) => {
                match whole(scan.stretch()?, Members { out: extra })? {
                    Found::Object | Found::Null => {}
                    Found::Other => wire.fault(Field::Attributes, "is not an object"),
                };
            }
            Some(Field::Queues) => {
                let mut list = Vec::new();
                whole(scan.stretch()?, Copy { out: &mut list, depth: 1 })?;
                wire.queues(list);
            }
            Some(field) => {
                let value = scan.value()?;
                wire.set(field, value);
            }
            None => {
                unknown += 1;
                if !extra.is_empty() {
                    extra.push(b',');
                }
                serde_json::to_writer(&mut *extra, name).ok()?;
                extra.push(b':');
                whole(scan.stretch()?, Copy { out: extra, depth: 1 })?;
            }
        }
        scan.space();
        match scan.take()? {
            b',' => scan.space(),
            b'}' => return scan.ends().then_some(unknown),
            _ => return None,
        }
    }
}

/// The value that this stretch of text is, and nothing else.
fn whole<'de, S: DeserializeSeed<'de>>(stretch: &'de str, seed: S) -> Option<S::Value> {
    let mut deserializer = serde_json::Deserializer::from_str(stretch);
    let value = seed.deserialize(&mut deserializer).ok()?;
    deserializer.end().ok()?;
    Some(value)
}

/// A place in the text; it always stands between two characters.
struct Scan<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scan<'a> {
    fn next_is(&self, byte: u8) -> bool {
        self.text.as_bytes().get(self.at) == Some(&byte)
    }

    fn take(&mut self) -> Option<u8> {
        let byte = *self.text.as_bytes().get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.take()? == byte).then_some(())
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\t' | b'\r') = self.text.as_bytes().get(self.at) {
            self.at += 1;
        }
    }

    /// True when nothing but space follows.
    fn ends(&mut self) -> bool {
        self.space();
        self.at == self.text.len()
    }

    /// A key and its colon; the value follows.
    fn key(&mut self) -> Option<&'a str> {
        self.expect(b'"')?;
        let (name, escapes) = self.string()?;
        if escapes {
            return None;
        }
        self.space();
        self.expect(b':')?;
        self.space();
        Some(name)
    }

    /// The inside of a string whose opening quote was taken, and whether it has escapes.
    #[inline]
    fn string(&mut self) -> Option<(&'a str, bool)> {
        let (text, bytes) = (self.text, self.text.as_bytes());
        let begin = self.at;
        let mut escapes = false;
        let mut at = begin;
        loop {
            at = ordinary(bytes, at);
            match bytes.get(at)? {
                b'"' => break,
                b'\\' => {
                    escapes = true;
                    at += 2;
                    // What is escaped may be cut off by the end of the record.
                    if at > bytes.len() {
                        return None;
                    }
                }
                _ => return None,
            }
        }
        self.at = at + 1;
        // A backslash may stand before a character of several bytes; serde_json will refuse that escape.
        Some((text.get(begin..at)?, escapes))
    }

    /// The value of a known field.
    fn value(&mut self) -> Option<Value<'a>> {
        let begin = self.at;
        match self.take()? {
            b'"' => {
                let (text, escapes) = self.string()?;
                if !escapes {
                    return Some(Value::Text(Cow::Borrowed(text)));
                }
                let text = serde_json::from_str(&self.text[begin..self.at]).ok()?;
                Some(Value::Text(Cow::Owned(text)))
            }
            b't' => self.word("rue", Value::Bool(true)),
            b'f' => self.word("alse", Value::Bool(false)),
            b'n' => self.word("ull", Value::Null),
            b'{' | b'[' => {
                self.at = begin;
                whole(self.stretch()?, Copy { out: &mut std::io::sink(), depth: 1 })?;
                Some(Value::Nested)
            }
            b'-' | b'0'..=b'9' => {
                self.at = begin;
                self.int().map(Value::Int)
            }
            _ => None,
        }
    }

    fn word(&mut self, rest: &str, value: Value<'a>) -> Option<Value<'a>> {
        self.text.as_bytes()[self.at..].starts_with(rest.as_bytes()).then(|| self.at += rest.len())?;
        Some(value)
    }

    /// A whole number; not one with a fraction, an exponent, a leading or a negative zero.
    fn int(&mut self) -> Option<i64> {
        let negative = self.next_is(b'-');
        self.at += usize::from(negative);
        let rest = &self.text.as_bytes()[self.at..];
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let zero = rest.first() == Some(&b'0');
        let more = matches!(rest.get(digits), Some(b'.' | b'e' | b'E'));
        if digits == 0 || digits > DIGITS_MAX || (zero && (digits > 1 || negative)) || more {
            return None;
        }
        self.at += digits;
        let value = rest[..digits].iter().fold(0, |value, digit| value * 10 + i64::from(digit - b'0'));
        Some(if negative { -value } else { value })
    }

    /// The stretch of text that the next value takes, if it is one: serde_json then says whether it is.
    fn stretch(&mut self) -> Option<&'a str> {
        let (text, bytes) = (self.text, self.text.as_bytes());
        let begin = self.at;
        let mut open = 0usize;
        loop {
            match *bytes.get(self.at)? {
                b'"' => {
                    self.at += 1;
                    self.string()?;
                    if open == 0 {
                        break;
                    }
                    continue;
                }
                b'{' | b'[' => open += 1,
                b'}' | b']' if open <= 1 => {
                    // The end of the value, or of the record around a value that is no object or list.
                    self.at += open;
                    break;
                }
                b'}' | b']' => open -= 1,
                b',' if open == 0 => break,
                _ => {}
            }
            self.at += 1;
        }
        text.get(begin..self.at)
    }
}

/// The first place from `at` on of a quote, a backslash or a control character, or the end. Looks at eight bytes at once.
#[inline]
fn ordinary(bytes: &[u8], mut at: usize) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    while let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let word = u64::from_le_bytes(*chunk);
        let (quote, slash) = (word ^ (ONES * 0x22), word ^ (ONES * 0x5c));
        // The high bit of each byte that is less than was taken away: a control character, or 0 where the two are equal.
        // Above the first such byte there may be others wrongly; only the first is looked at.
        let special = (quote.wrapping_sub(ONES) & !quote)
            | (slash.wrapping_sub(ONES) & !slash)
            | (word.wrapping_sub(ONES * 0x20) & !word);
        if special & HIGH != 0 {
            return at + (special & HIGH).trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    while bytes.get(at).is_some_and(|byte| !matches!(byte, b'"' | b'\\' | 0..0x20)) {
        at += 1;
    }
    at
}
