//! One canonical event as JSON, written by hand into a buffer that is used again.

use super::slots;

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Writes an identifier of the form of a UUID, version 7 (RFC 9562): 48 bits of time, 74 bits of chance.
pub(crate) fn identifier(time: i64, chance: [u64; 2]) -> [u8; 36] {
    let high = ((time as u64) << 16) | 0x7000 | (chance[0] & 0x0fff);
    let low = (chance[1] >> 2) | 0x8000_0000_0000_0000;
    let mut text = [b'-'; 36];
    let mut at = 0;
    for nibble in 0..32 {
        if matches!(at, 8 | 13 | 18 | 23) {
            at += 1;
        }
        let word = if nibble < 16 { high } else { low };
        text[at] = HEX[(word >> (60 - 4 * (nibble % 16)) & 15) as usize];
        at += 1;
    }
    text
}

/// Reads an identifier as text; it holds hex digits and dashes only.
pub(crate) fn text(identifier: &[u8; 36]) -> &str {
    str::from_utf8(identifier).expect("an identifier is written in ASCII")
}

/// Appends a number in decimal, padded with zeros to `width`.
fn digits(out: &mut String, mut number: u64, width: usize) {
    let mut buffer = [b'0'; 20];
    let mut at = buffer.len();
    while number > 0 || buffer.len() - at < width {
        at -= 1;
        buffer[at] = b'0' + (number % 10) as u8;
        number /= 10;
    }
    out.push_str(str::from_utf8(&buffer[at..]).expect("digits are ASCII"));
}

/// Appends an integer in decimal.
pub(crate) fn integer(out: &mut String, number: i64) {
    if number < 0 {
        out.push('-');
    }
    digits(out, number.unsigned_abs(), 1);
}

/// Appends `time` in RFC 3339 with `offset` (ms east of UTC; printed, like the local time, in whole minutes).
pub(crate) fn stamp(out: &mut String, time: i64, offset: i64) {
    let minutes = offset / slots::MINUTE;
    let parts = slots::parts(slots::civil(time, minutes * slots::MINUTE));
    for (part, (width, after)) in
        parts.into_iter().zip([(4, "-"), (2, "-"), (2, "T"), (2, ":"), (2, ":"), (2, "."), (3, "")])
    {
        digits(out, u64::from(part), width);
        out.push_str(after);
    }
    out.push(if minutes < 0 { '-' } else { '+' });
    digits(out, minutes.unsigned_abs() / 60, 2);
    out.push(':');
    digits(out, minutes.unsigned_abs() % 60, 2);
}

/// Appends `text` with JSON's escapes (RFC 8259, section 7).
pub(crate) fn escaped(out: &mut String, text: &str) {
    let mut copied = 0;
    for (at, byte) in text.bytes().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.push_str(&text[copied..at]);
        copied = at + 1;
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            _ => {
                out.push_str("\\u00");
                out.push(char::from(HEX[usize::from(byte >> 4)]));
                out.push(char::from(HEX[usize::from(byte & 15)]));
            }
        }
    }
    out.push_str(&text[copied..]);
}

/// Appends fields to an object that has at least one already.
pub(crate) trait Fields {
    /// A field whose value may hold anything.
    fn string(&mut self, name: &str, value: &str);
    fn number(&mut self, name: &str, value: i64);
    fn flag(&mut self, name: &str, value: bool);
    /// A time in RFC 3339.
    fn when(&mut self, name: &str, value: i64, offset: i64);
    /// A value that is JSON already.
    fn raw(&mut self, name: &str, value: &str);
}

impl Fields for String {
    fn string(&mut self, name: &str, value: &str) {
        key(self, name);
        self.push('"');
        escaped(self, value);
        self.push('"');
    }

    fn number(&mut self, name: &str, value: i64) {
        key(self, name);
        integer(self, value);
    }

    fn flag(&mut self, name: &str, value: bool) {
        self.raw(name, if value { "true" } else { "false" });
    }

    fn when(&mut self, name: &str, value: i64, offset: i64) {
        key(self, name);
        self.push('"');
        stamp(self, value, offset);
        self.push('"');
    }

    fn raw(&mut self, name: &str, value: &str) {
        key(self, name);
        self.push_str(value);
    }
}

fn key(out: &mut String, name: &str) {
    out.push_str(",\"");
    out.push_str(name);
    out.push_str("\":");
}
