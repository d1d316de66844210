//! Masks personal data in what people say and write, before it is stored.
//!
//! Telephones, identity cards and bank cards (also as a transcript spells them), e-mail addresses, licence plates, postal
//! addresses, and names where a word before or after them says that they are names. Every byte that is masked becomes
//! one byte (`*` for one, the full-width `＊` for a character of three), so that places in the text stay right.
//!
//! What is shown: the first three and last four digits of a mobile number, the last four of other numbers, the first
//! letter of an e-mail address and its host, province and letter of a plate, the surname of a person, of an address
//! what stands before the road or estate.
//!
//! Invariant: what is not masked is not changed, and the length in bytes stays.

mod names;
mod numbers;
mod places;
mod suspicion;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use crate::event::Event;
use suspicion::Suspicion;

/// Masks the free texts of an event: what was said, and a survey's comment.
pub fn mask_event(event: &mut Event<'_>) {
    for text in [&mut event.text, &mut event.comment].into_iter().flatten() {
        if let Cow::Owned(masked) = mask(text) {
            *text = Cow::Owned(masked);
        }
    }
}

/// The text with personal data masked; borrowed when there is none.
pub fn mask(text: &str) -> Cow<'_, str> {
    let hidden = personal(text, &Suspicion::of(text));
    if hidden.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut masked = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        let hide = hidden.iter().any(|(from, to)| (*from..*to).contains(&at));
        masked.push(match c {
            _ if !hide => c,
            _ if c.len_utf8() == 1 => '*',
            _ if c.len_utf8() == 3 => '＊',
            _ => c,
        });
    }
    Cow::Owned(masked)
}

/// Spans of bytes that are to be hidden, of the kinds that are suspected.
fn personal(text: &str, suspected: &Suspicion) -> Vec<(usize, usize)> {
    let mut hidden = Vec::new();
    if suspected.number {
        numbers::find(text, &mut hidden);
    }
    if suspected.email {
        find_emails(text, &mut hidden);
    }
    if !(suspected.plate || suspected.address || suspected.street || suspected.name) {
        return hidden;
    }
    let chars = Chars::of(text);
    if suspected.plate {
        places::find_plates(&chars, &mut hidden);
    }
    if suspected.address {
        places::find_addresses(&chars, &mut hidden);
    }
    if suspected.street {
        places::find_streets(&chars, &mut hidden);
    }
    if suspected.name {
        names::find(&chars, &mut hidden);
    }
    hidden
}

/// The characters of a text and where each begins; one more place at the end.
struct Chars {
    chars: Vec<char>,
    places: Vec<usize>,
}

impl Chars {
    fn of(text: &str) -> Chars {
        let length = if text.is_ascii() { text.len() } else { text.len() / 2 };
        let mut chars = Vec::with_capacity(length);
        let mut places = Vec::with_capacity(length + 1);
        for (at, c) in text.char_indices() {
            chars.push(c);
            places.push(at);
        }
        places.push(text.len());
        Chars { chars, places }
    }

    fn get(&self, at: usize) -> Option<char> {
        self.chars.get(at).copied()
    }

    /// Whether this word stands at `at`.
    fn stands(&self, at: usize, word: &str) -> bool {
        let mut rest = self.chars.get(at..).unwrap_or_default().iter();
        word.chars().all(|c| rest.next() == Some(&c))
    }

    /// The bytes of the characters `from..to`.
    fn span(&self, from: usize, to: usize) -> (usize, usize) {
        (self.places[from], self.places[to])
    }
}

/// A Chinese character.
fn is_hanzi(c: char) -> bool {
    ('\u{4e00}'..='\u{9fff}').contains(&c)
}

/// Finds e-mail addresses; the name before the @ is hidden but for its first letter.
fn find_emails(text: &str, hidden: &mut Vec<(usize, usize)>) {
    let bytes = text.as_bytes();
    let named = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'+' | b'%');
    for (at, _) in text.match_indices('@') {
        let name = bytes[..at].iter().rev().take_while(|byte| named(byte)).count();
        let host: Vec<u8> = bytes[at + 1..].iter().copied().take_while(|byte| named(byte)).collect();
        let host = host.strip_suffix(b".").unwrap_or(&host);
        if name > 0
            && host.iter().rposition(|byte| *byte == b'.').is_some_and(|dot| dot > 0 && dot + 2 < host.len())
        {
            hidden.push((at - name + usize::from(name > 1), at));
        }
    }
}
