//! The sentiment of one text, by rules that anyone can follow with a pencil; docs/words.md states them.

use super::lexicon::Role;
use super::reader::{Found, Reader, Scratch, chars};

/// What a negation makes of a good word, as a factor.
pub(super) const NOT_GOOD: f32 = -0.75;
/// What a negation makes of a bad word.
pub(super) const NOT_BAD: f32 = -0.5;
/// What two negations leave of a word.
pub(super) const TWICE_NOT: f32 = 0.75;
/// A degree word that a negation stands before (不太, not very) weakens, whatever it says alone.
pub(super) const NOT_VERY: f32 = 0.7;
/// What stands before a "but" counts less,
pub(super) const BEFORE_BUT: f32 = 0.6;
/// and what follows it more.
pub(super) const AFTER_BUT: f32 = 1.2;
/// One exclamation mark at the end of a sentence; of two or more it counts twice.
pub(super) const EXCLAIMED: f32 = 1.15;
/// What doubt ("难道很好吗") makes of a good word.
pub(super) const DOUBTED: f32 = -0.5;
/// A negation of a customer that turns no listed word: something was not as it should be.
pub(super) const BARE_NOT: f32 = -0.15;
/// A question mark of a customer.
pub(super) const ASKED: f32 = -0.12;
/// Bare negations and questions that count, each.
pub(super) const BARE_MAX: u32 = 4;
/// The sum at which the score is 0.707: score = sum / sqrt(sum² + this).
pub(super) const HALF_WAY: f32 = 0.8;
/// Characters between a negation or degree word and the word it goes with, or two words of letters.
const REACH: u32 = 3;

/// What one word gave.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Step {
    /// The word.
    pub(super) found: Found,
    /// Its weight in the lexicon.
    pub(super) weight: f32,
    /// Negations that go with it.
    pub(super) negations: u32,
    /// Product of the degree words that go with it.
    pub(super) degree: f32,
    /// Factor of doubt; 1 without.
    pub(super) doubt: f32,
    /// Factor of its place before or after a "but", and of exclamation marks.
    pub(super) place: f32,
}

impl Step {
    /// The factor of the negations.
    pub(super) fn turned(&self) -> f32 {
        match self.negations {
            0 => 1.0,
            n if n % 2 == 0 => TWICE_NOT,
            _ if self.weight > 0.0 => NOT_GOOD,
            _ => NOT_BAD,
        }
    }

    /// What it adds to the sum.
    pub(super) fn value(&self) -> f32 {
        self.weight * self.turned() * self.degree * self.doubt * self.place
    }
}

/// The arithmetic of one text.
#[derive(Debug, Default, Clone)]
pub(super) struct Sums {
    pub(super) steps: Vec<Step>,
    /// The text as words that do not overlap: the leftmost, of these the longest.
    chain: Vec<Found>,
    taken: Vec<bool>,
    pub(super) bare: u32,
    pub(super) asked: u32,
    pub(super) sum: f32,
}

/// How much one step of the last text gave, and the score.
pub(super) fn score(reader: &Reader, scratch: &mut Scratch, asks: bool) -> f32 {
    let Scratch { normal, found, sums, .. } = scratch;
    let bytes = &*normal.bytes;
    sums.steps.clear();
    sums.chain.clear();
    let mut end = 0;
    for one in found.iter() {
        if one.start >= end {
            sums.chain.push(*one);
            end = one.end;
        }
    }
    sums.taken.clear();
    sums.taken.resize(sums.chain.len(), false);
    let (mut sentence, mut after_but, mut doubt) = (0, 1.0, false);
    let mut last_end = 0;
    for at in 0..sums.chain.len() {
        let one = sums.chain[at];
        let between = &bytes[last_end..one.start as usize];
        last_end = one.end as usize;
        if ends_sentence(between) {
            exclaim(&mut sums.steps[sentence..], between);
            (sentence, after_but, doubt) = (sums.steps.len(), 1.0, false);
        }
        let phrase = &reader.phrases[one.phrase as usize];
        match phrase.role {
            Role::Contrast => {
                sums.steps[sentence..].iter_mut().for_each(|step| step.place *= BEFORE_BUT);
                after_but = AFTER_BUT;
            }
            Role::Doubt => doubt = true,
            _ => {}
        }
        if phrase.weight == 0.0 || !matches!(phrase.role, Role::Word | Role::Doubt) {
            continue;
        }
        let (mut negations, mut degree) = (0, 1.0);
        if phrase.negatable {
            (negations, degree) = before(reader, &sums.chain[..at], bytes, one.start, |place| {
                sums.taken[place] = true;
            });
        }
        let doubted = doubt && phrase.role == Role::Word && phrase.weight > 0.0;
        sums.steps.push(Step {
            found: one,
            weight: phrase.weight,
            negations,
            degree,
            doubt: if doubted { DOUBTED } else { 1.0 },
            place: after_but,
        });
    }
    let rest = &bytes[last_end..];
    exclaim(&mut sums.steps[sentence..], rest);
    (sums.bare, sums.asked) = (0, 0);
    if asks {
        let untaken = sums.chain.iter().zip(&sums.taken).filter(|(_, taken)| !**taken);
        let bare = untaken.filter(|(one, _)| reader.phrases[one.phrase as usize].role == Role::Negation);
        sums.bare = (bare.count() as u32).min(BARE_MAX);
        let asked = bytes
            .iter()
            .zip(bytes.iter().skip(1).chain([&b' ']))
            .filter(|(byte, next)| **byte == b'?' && **next != b'?');
        sums.asked = (asked.count() as u32).min(BARE_MAX);
    }
    sums.sum = sums.steps.iter().map(Step::value).sum::<f32>()
        + sums.bare as f32 * BARE_NOT
        + sums.asked as f32 * ASKED
        // Nothing at all is 0, not -0.
        + 0.0;
    sums.sum / (sums.sum * sums.sum + HALF_WAY).sqrt()
}

/// Whether a negation goes with what begins at `start` in the text that was scored last.
pub(super) fn negated(reader: &Reader, scratch: &Scratch, start: u32) -> bool {
    let chain = &scratch.sums.chain;
    let upto = chain.partition_point(|one| one.end <= start);
    before(reader, &chain[..upto], &scratch.normal.bytes, start, |_| {}).0 % 2 == 1
}

/// Negations and degree words that go with what begins at `start`: those of the same clause that stand before it
/// with nothing but a few characters between. `take` is told the place of each.
fn before(
    reader: &Reader,
    chain: &[Found],
    bytes: &[u8],
    start: u32,
    mut take: impl FnMut(usize),
) -> (u32, f32) {
    let (mut negations, mut degree) = (0, 1.0);
    let mut start = start as usize;
    // Strengthening words since the last negation, from right to left: 不太 is weak, 太不 is strong.
    let mut stronger = 1.0;
    for (place, one) in chain.iter().enumerate().rev() {
        let between = &bytes[one.end as usize..start];
        if ends_clause(between) || units(between) > REACH {
            break;
        }
        let phrase = &reader.phrases[one.phrase as usize];
        match phrase.role {
            Role::Negation => {
                negations += 1;
                if stronger > 1.0 {
                    degree = degree / stronger * NOT_VERY;
                }
                stronger = 1.0;
            }
            Role::Degree => {
                degree *= phrase.weight;
                stronger *= phrase.weight;
            }
            _ => break,
        }
        take(place);
        start = one.start as usize;
    }
    (negations, degree)
}

/// Chinese characters; a word of letters counts as one and a half.
fn units(between: &[u8]) -> u32 {
    let spaces = between.iter().filter(|byte| **byte == b' ').count() as u32;
    let others = between.iter().filter(|byte| **byte >= 0xc0).count() as u32;
    (spaces.saturating_sub(1) * 3).div_ceil(2) + others
}

fn exclaim(steps: &mut [Step], ending: &[u8]) {
    if let Some(at) = ending.iter().position(|byte| *byte == b'!') {
        let times = if ending.get(at + 1) == Some(&b'!') { EXCLAIMED * EXCLAIMED } else { EXCLAIMED };
        steps.iter_mut().for_each(|step| step.place *= times);
    }
}

/// Whether a sentence ends within these bytes: 。 . ! ? ; or a line.
pub(super) fn ends_sentence(bytes: &[u8]) -> bool {
    bytes.iter().any(|byte| matches!(byte, b'.' | b'!' | b'?' | b';' | b'\n')) || has_full_stop(bytes)
}

fn has_full_stop(bytes: &[u8]) -> bool {
    bytes.windows(3).any(|three| three == "。".as_bytes())
}

/// Whether a clause ends within these bytes.
fn ends_clause(bytes: &[u8]) -> bool {
    bytes.iter().any(|byte| byte.is_ascii_punctuation() && !matches!(byte, b'\'' | b'-' | b'"'))
        || has_full_stop(bytes)
        || (bytes.len() >= 3 && chars(bytes) > 0 && bytes.windows(3).any(|three| three == "、".as_bytes()))
}
