//! Normalised text, and the way back to the places of the original.
//!
//! NFKC (so full and half width are one), small letters, simplified characters; no invisible characters and no
//! skin tones of emoji; white space only between words of letters; of a character that is repeated, two; no spoken
//! fillers. What is searched is bytes of UTF-8; what is told are places of the original.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::canonical_combining_class;

use super::hans::{is_simple, simplified};

/// Of a character that stands several times in a row, as many stay.
const REPEATS_MAX: u32 = 2;
/// From here on are the scripts of East Asia, which are written without spaces between words.
const FIRST_WITHOUT_SPACES: u32 = 0x2e80;
/// Sounds of hesitation that mean nothing between other words.
const FILLERS: [char; 5] = ['嗯', '呃', '唔', '欸', '诶'];
/// Fillers of several characters: a word said twice to win time.
const FILLER_WORDS: [&str; 3] = ["那个那个", "这个这个", "怎么说呢"];
/// English sounds of hesitation.
const FILLER_SOUNDS: [&str; 6] = ["um", "uh", "erm", "uhm", "hmm", "umm"];

/// A stretch of normalised text and where it comes from.
#[derive(Debug, Clone, Copy)]
struct Run {
    /// First byte in the normalised text.
    to: u32,
    /// First byte in the original.
    from: u32,
    /// 0: byte for byte. Otherwise the whole stretch stands for this many bytes of the original.
    whole: u32,
}

/// The normalised form of one text; kept from text to text, so that no memory is taken anew.
#[derive(Debug, Default, Clone)]
pub(super) struct Normal {
    /// The text, UTF-8.
    pub(super) bytes: Vec<u8>,
    runs: Vec<Run>,
    /// Length of the original, bytes.
    len: u32,
}

/// What is needed to write the normalised text.
struct Writer<'n> {
    normal: &'n mut Normal,
    /// The last character, and how often it came in a row.
    last: u32,
    times: u32,
    /// The character that was written last.
    before: u32,
    /// White space was read and nothing written since.
    space: bool,
    /// Place of the original that the next byte has in the running stretch.
    next_from: u32,
    broken: bool,
}

impl Normal {
    /// Takes the normalised form of `text`.
    pub(super) fn fill(&mut self, text: &str) {
        self.bytes.clear();
        self.runs.clear();
        self.len = text.len() as u32;
        self.bytes.reserve(text.len() + 8);
        let mut writer = Writer {
            normal: self,
            last: 0,
            times: 0,
            before: u32::MAX,
            space: false,
            next_from: 0,
            broken: true,
        };
        writer.write(text);
    }

    /// The bytes of the original that the normalised bytes `start..end` stand for, widened to whole characters.
    pub(super) fn original(&self, text: &str, start: usize, end: usize) -> (usize, usize) {
        let from = match self.run_at(start) {
            Some(run) if run.whole > 0 => run.from as usize,
            Some(run) => run.from as usize + (start - run.to as usize),
            None => start,
        };
        let to = match self.run_at(end.saturating_sub(1)) {
            Some(run) if run.whole > 0 => (run.from + run.whole) as usize,
            Some(run) => run.from as usize + (end - run.to as usize),
            None => end,
        };
        let from = text.floor_char_boundary(from);
        (from, text.ceil_char_boundary(to.max(from)))
    }

    fn run_at(&self, at: usize) -> Option<Run> {
        let after = self.runs.partition_point(|run| run.to as usize <= at);
        after.checked_sub(1).map(|i| self.runs[i])
    }
}

impl Writer<'_> {
    fn write(&mut self, text: &str) {
        let bytes = text.as_bytes();
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            let end = self.copy_plain(bytes, at);
            if end > at {
                at = end;
            } else if byte < 0x80 {
                at = self.ascii(text, at, byte);
            } else if (0xe4..=0xe9).contains(&byte) {
                // The common case by far: a character of the ideographs (or one of a few other blocks).
                let c = decode(bytes, at);
                at = if c >= 0x4e00 { self.ideograph(text, at, simplified(c)) } else { self.other(text, at) };
            } else {
                at = self.other(text, at);
            }
        }
    }

    /// Copies what stays as it is in one go, which is nearly everything; gives where that ends.
    #[inline]
    fn copy_plain(&mut self, bytes: &[u8], start: usize) -> usize {
        if self.space {
            return start;
        }
        let (mut at, mut last) = (start, self.last);
        while let Some(&byte) = bytes.get(at) {
            if byte < 0x80 {
                if byte == b' ' {
                    // One space between two words of ASCII.
                    let joins = |byte: u8| byte > b' ' && byte < 0x7f;
                    let next = bytes.get(at + 1).copied().unwrap_or(b' ');
                    if at == start
                        || !joins(bytes[at - 1])
                        || !joins(next)
                        || begins_filler(bytes, at + 1, next)
                    {
                        break;
                    }
                } else if !is_plain(byte)
                    || (last == u32::from(byte) && !byte.is_ascii_digit())
                    || begins_filler(bytes, at, byte)
                {
                    break;
                }
                last = u32::from(byte);
                at += 1;
            } else if (0xe4..=0xe9).contains(&byte) {
                let c = decode(bytes, at);
                if !is_simple(c) || c == last || may_fill(c) {
                    break;
                }
                last = c;
                at += 3;
            } else {
                // An accent belongs to the letter before it.
                if matches!(byte, 0xcc | 0xcd) && at > start && bytes[at - 1] < 0x80 {
                    at -= 1;
                    last = u32::MAX;
                }
                break;
            }
        }
        if at > start {
            self.place(start as u32);
            self.normal.bytes.extend_from_slice(&bytes[start..at]);
            self.next_from = at as u32;
            (self.last, self.before, self.times) = (last, last, 1);
        }
        at
    }

    /// One ASCII character; gives where to go on.
    #[inline]
    fn ascii(&mut self, text: &str, at: usize, byte: u8) -> usize {
        let bytes = text.as_bytes();
        if byte <= b' ' || byte == 0x7f {
            self.space |= byte != 0x7f;
            return at + 1;
        }
        // A letter and an accent of its own are one character.
        if bytes.get(at + 1).is_some_and(|next| matches!(next, 0xcc | 0xcd)) {
            return self.other(text, at);
        }
        let small = byte.to_ascii_lowercase();
        if matches!(small, b'u' | b'e' | b'h')
            && let Some(end) = filler_sound(bytes, at)
        {
            self.space = true;
            return end;
        }
        if self.repeated(u32::from(small)) {
            return at + 1;
        }
        if self.space {
            self.write_space(true);
        }
        self.place(at as u32);
        self.normal.bytes.push(small);
        self.before = u32::from(small);
        self.next_from += 1;
        at + 1
    }

    /// One ideograph, in its simplified form; gives where to go on.
    #[inline]
    fn ideograph(&mut self, text: &str, at: usize, c: u32) -> usize {
        if FILLERS.iter().any(|filler| *filler as u32 == c) {
            self.broken = true;
            return at + 3;
        }
        if may_fill(c)
            && let Some(word) = FILLER_WORDS.iter().find(|word| text[at..].starts_with(**word))
        {
            self.broken = true;
            return at + word.len();
        }
        self.space = false;
        if self.repeated(c) {
            return at + 3;
        }
        self.place(at as u32);
        let bytes = [0xe0 | (c >> 12) as u8, 0x80 | (c >> 6 & 0x3f) as u8, 0x80 | (c & 0x3f) as u8];
        self.normal.bytes.extend_from_slice(&bytes);
        self.before = c;
        self.next_from += 3;
        at + 3
    }

    /// Any other character with what combines with it; gives where to go on.
    fn other(&mut self, text: &str, at: usize) -> usize {
        let mut chars = text[at..].char_indices();
        let Some((_, first)) = chars.next() else { return text.len() };
        let end = at + chars.find(|(_, c)| !combines(*c)).map_or(text.len() - at, |(offset, _)| offset);
        let segment = &text[at..end];
        if segment.len() == first.len_utf8() {
            if first.is_whitespace() {
                self.space = true;
                return end;
            }
            if is_invisible(first) {
                self.broken = true;
                return end;
            }
            if let c @ 0xff01..=0xff5e = first as u32 {
                // Full width: the common signs of Chinese text.
                self.single(u32::from(((c - 0xfee0) as u8).to_ascii_lowercase()), at, 3);
                return end;
            }
            if matches!(first as u32, 0x1f300..=0x1faff | 0x2600..=0x27bf | 0x3001..=0x3002) {
                self.single(first as u32, at, segment.len());
                return end;
            }
        }
        let mut formed = segment
            .nfkc()
            .flat_map(char::to_lowercase)
            .map(|c| char::from_u32(simplified(c as u32)).unwrap_or(c));
        let (Some(one), two) = (formed.next(), formed.next()) else {
            self.broken = true;
            return end;
        };
        match two {
            None if one.is_whitespace() => self.space = true,
            None => self.single(one as u32, at, segment.len()),
            Some(two) => {
                self.begin_whole(at, segment.len());
                for c in [one, two].into_iter().chain(formed) {
                    if !is_invisible(c) && !self.repeated(c as u32) {
                        self.put(c);
                    }
                }
                self.broken = true;
            }
        }
        end
    }

    /// Writes one character that stands for `len` bytes of the original.
    fn single(&mut self, c: u32, at: usize, len: usize) {
        let Some(c) = char::from_u32(c) else { return };
        if self.repeated(c as u32) {
            return;
        }
        if self.space {
            self.write_space((c as u32) < FIRST_WITHOUT_SPACES);
        }
        if c.len_utf8() == len {
            self.place(at as u32);
            self.put(c);
            self.next_from += len as u32;
        } else {
            self.begin_whole(at, len);
            self.put(c);
            self.broken = true;
        }
    }

    fn put(&mut self, c: char) {
        let mut buffer = [0; 4];
        self.normal.bytes.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes());
        self.before = c as u32;
    }

    /// Notes a character; true when it has come often enough in a row.
    #[inline]
    fn repeated(&mut self, c: u32) -> bool {
        if c != self.last {
            (self.last, self.times) = (c, 1);
            return false;
        }
        if self.space || (c < 0x80 && (c as u8).is_ascii_digit()) {
            self.times = 1;
            return false;
        }
        self.times += 1;
        let skip = self.times > REPEATS_MAX;
        self.broken |= skip;
        skip
    }

    /// White space stays between words of letters only: Chinese has none, and transcripts put it anywhere.
    fn write_space(&mut self, joins: bool) {
        self.space = false;
        self.broken = true;
        if joins && self.before < FIRST_WITHOUT_SPACES && !self.normal.bytes.is_empty() {
            let to = self.normal.bytes.len() as u32;
            // It stands for nothing: phrases do not begin or end with it.
            let from = self.normal.runs.last().map_or(0, |run| run.from + run.whole);
            self.normal.runs.push(Run { to, from: from.max(self.next_from), whole: 1 });
            self.normal.bytes.push(b' ');
        }
    }

    /// Makes sure that the next byte stands for place `from` of the original.
    #[inline]
    fn place(&mut self, from: u32) {
        if self.broken || self.next_from != from {
            let to = self.normal.bytes.len() as u32;
            self.normal.runs.push(Run { to, from, whole: 0 });
            self.next_from = from;
            self.broken = false;
        }
    }

    fn begin_whole(&mut self, at: usize, len: usize) {
        if self.space {
            self.write_space(true);
        }
        let to = self.normal.bytes.len() as u32;
        self.normal.runs.push(Run { to, from: at as u32, whole: len as u32 });
        self.broken = true;
    }
}

/// The character of three bytes at `at`.
#[inline]
fn decode(bytes: &[u8], at: usize) -> u32 {
    (u32::from(bytes[at] & 0x0f) << 12)
        | (u32::from(bytes[at + 1] & 0x3f) << 6)
        | u32::from(bytes[at + 2] & 0x3f)
}

/// Whether a Chinese filler may begin with this character: 嗯 呃 唔 欸 诶 那 这 怎.
#[inline]
fn may_fill(c: u32) -> bool {
    matches!(c, 0x55ef | 0x5443 | 0x5514 | 0x6b38 | 0x8bf6 | 0x90a3 | 0x8fd9 | 0x600e)
}

/// Whether an ASCII character stays as it is: small letters, digits and signs.
#[inline]
fn is_plain(byte: u8) -> bool {
    byte > b' ' && byte < 0x7f && !byte.is_ascii_uppercase()
}

/// Whether an English filler begins here.
#[inline]
fn begins_filler(bytes: &[u8], at: usize, first: u8) -> bool {
    matches!(first, b'u' | b'e' | b'h' | b'U' | b'E' | b'H') && filler_sound(bytes, at).is_some()
}

/// Where an English filler that begins here ends.
fn filler_sound(bytes: &[u8], at: usize) -> Option<usize> {
    if at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'\'') {
        return None;
    }
    FILLER_SOUNDS.iter().find_map(|sound| {
        let end = at + sound.len();
        let same = bytes.get(at..end)?.eq_ignore_ascii_case(sound.as_bytes());
        let ends = bytes.get(end).is_none_or(|next| !next.is_ascii_alphanumeric() && *next != b'\'');
        (same && ends).then_some(end)
    })
}

/// Whether a character belongs to the one before it.
fn combines(c: char) -> bool {
    (c as u32) >= 0x300 && (canonical_combining_class(c) != 0 || ('\u{1160}'..='\u{11ff}').contains(&c))
}

/// Characters that are not seen, and skin tones.
fn is_invisible(c: char) -> bool {
    matches!(c as u32,
        0xad | 0x180e | 0x200b..=0x200f | 0x202a..=0x202e | 0x2060..=0x2064 | 0xfeff | 0xfe00..=0xfe0f
        | 0x1f3fb..=0x1f3ff | 0xe0100..=0xe01ef)
        || c.is_control()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn fillers_are_looked_for_where_they_begin() {
        let words = FILLERS.iter().copied().chain(FILLER_WORDS.iter().filter_map(|word| word.chars().next()));
        for c in words {
            assert!(may_fill(c as u32), "{c}");
        }
    }

    fn normal(text: &str) -> String {
        let mut normal = Normal::default();
        normal.fill(text);
        String::from_utf8(normal.bytes).expect("normalised text is text")
    }

    #[test]
    fn forms_of_one_text_become_one() {
        for (text, expected) in [
            ("我 要　投 诉", "我要投诉"),
            ("我要投訴！！！！", "我要投诉!!"),
            ("ＡＢＣ　１２３１５", "abc 12315"),
            ("呃我要嗯投诉", "我要投诉"),
            ("那个那个我想问一下", "我想问一下"),
            ("Um, I WANT  to   cancel", ", i want to cancel"),
            ("sooooo bad", "soo bad"),
            ("100000元", "100000元"),
            ("哈哈哈哈哈", "哈哈"),
            ("👍🏽👍🏽👍🏽", "👍👍"),
            ("㎏ ﬁne e\u{301}t\u{e9}", "kg fine \u{e9}t\u{e9}"),
            ("投\u{200b}诉", "投诉"),
            ("……", ".."),
        ] {
            assert_eq!(normal(text), expected, "{text}");
        }
    }

    #[test]
    fn places_lead_back_to_the_original() {
        let text = "呃，我 要　投 訴！！！ＡＢ";
        let mut normal = Normal::default();
        normal.fill(text);
        let at = |what: &str| {
            let found = String::from_utf8_lossy(&normal.bytes).find(what).expect("it is there");
            let (from, to) = normal.original(text, found, found + what.len());
            &text[from..to]
        };
        assert_eq!(at("我要投诉"), "我 要　投 訴");
        assert_eq!(at("ab"), "ＡＢ");
        assert_eq!(at("投诉"), "投 訴");
    }

    proptest! {
        #[test]
        fn places_are_always_between_characters(text in "\\PC{0,40}|[我要投訴诉 　！!a-cA-C呃嗯ﬁ㎏e\u{301}👍🏽\u{200b}.]{0,40}") {
            let mut normal = Normal::default();
            normal.fill(&text);
            let bounds: Vec<usize> = {
                let shown = std::str::from_utf8(&normal.bytes).expect("normalised text is text");
                shown.char_indices().map(|(at, _)| at).chain([shown.len()]).collect()
            };
            for (i, &start) in bounds.iter().enumerate() {
                for &end in &bounds[i + 1..] {
                    let (from, to) = normal.original(&text, start, end);
                    prop_assert!(from <= to && to <= text.len());
                    prop_assert!(text.is_char_boundary(from) && text.is_char_boundary(to));
                }
            }
        }

        #[test]
        fn what_repeats_nothing_is_what_unicode_says(text in "[a-zA-Zà-ÿＡ-Ｚ０-９①-⑨ﬀ-ﬆ㎀-㏟，。！]{1,20}") {
            let expected: String = text.nfkc().flat_map(char::to_lowercase).nfkc().collect();
            let mut last = ' ';
            let repeats = expected.chars().any(|c| std::mem::replace(&mut last, c) == c || c == ' ');
            let fills = FILLER_SOUNDS.iter().any(|sound| expected.contains(sound));
            let chinese = expected.chars().any(|c| simplified(c as u32) != c as u32);
            prop_assume!(!repeats && !fills && !chinese);
            prop_assert_eq!(normal(&text), expected);
        }
    }
}
