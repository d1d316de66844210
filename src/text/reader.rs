//! All phrases of all lists in one automaton, and what it finds in one text.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use aho_corasick::automaton::{Automaton, OverlappingState};
use aho_corasick::nfa::contiguous::NFA;
use aho_corasick::{Anchored, Input, MatchKind};
use hashbrown::HashSet;
use xxhash_rust::xxh3::xxh3_64;

use super::lexicon::{Fault, Lexicon, List, Role};
use super::normal::Normal;
use super::pattern::{Gap, Literal, Pattern};
use super::score::{self, Sums};
use crate::event::Speaker;

/// Longest end or beginning of an utterance that may belong to a phrase that a transcript cut, bytes.
const EDGE_MAX: usize = 48;
/// Bytes from the start up to which states of the automaton are tables.
const DENSE_DEPTH: usize = 4;
/// Who is heard when nobody is named.
pub(super) const EVERYBODY: u8 = u8::MAX;

/// One phrase of a category that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// The category, as the lexicon names it.
    pub category: Arc<str>,
    /// The phrase, as the lexicon writes it.
    pub phrase: Arc<str>,
    /// First byte in the original text.
    pub start: usize,
    /// First byte behind it in the original text.
    pub end: usize,
    /// Whether a negation before it turns it: it was said that it is not so.
    pub negated: bool,
    /// The phrase's weight in the lexicon, -1 to 1.
    pub weight: f32,
}

/// What one text says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reading {
    /// Sentiment from -1 (bad) to 1 (good); 0 where nothing speaks for either.
    pub score: f32,
    /// Phrases of categories, by their place; negated ones are marked.
    pub hits: Vec<Hit>,
}

impl Reading {
    /// The hits as a column has them: `category:phrase`, separated by `;`, each once, without negated ones.
    pub fn hits_text(&self) -> String {
        let mut text = String::new();
        for (at, hit) in self.hits.iter().enumerate().filter(|(_, hit)| !hit.negated) {
            let same =
                |other: &Hit| !other.negated && other.category == hit.category && other.phrase == hit.phrase;
            if self.hits[..at].iter().any(same) {
                continue;
            }
            if !text.is_empty() {
                text.push(';');
            }
            text.push_str(&hit.category);
            text.push(':');
            text.push_str(&hit.phrase);
        }
        text
    }
}

/// What a phrase is and does.
#[derive(Debug)]
pub(super) struct Phrase {
    pub(super) role: Role,
    pub(super) category: Option<u16>,
    pub(super) weight: f32,
    pub(super) speakers: u8,
    pub(super) negatable: bool,
    /// Places of words before and after which it counts, or does not.
    guard: Option<u16>,
    rest: Box<[Gap]>,
    pub(super) shown: Arc<str>,
}

/// What must be near a phrase, or must not be.
#[derive(Debug, Clone, Copy)]
struct Guard {
    within: u32,
    /// Whether one of the words of `near` must be there.
    near: bool,
}

/// What a literal of the automaton belongs to.
#[derive(Debug, Clone, Copy)]
enum Use {
    /// Part of a phrase.
    Part { phrase: u32, part: u8, open: bool },
    /// A word that a guard asks for (`near`) or forbids.
    Mark { guard: u16, near: bool },
}

/// A phrase or a part of one that was found, in places of the normalised text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) phrase: u32,
    part: u8,
}

#[derive(Debug, Clone, Copy)]
struct Mark {
    start: u32,
    end: u32,
    guard: u16,
    near: bool,
}

/// Memory that is used from text to text, and where the arithmetic of the last one stands.
#[derive(Debug, Default, Clone)]
pub struct Scratch {
    pub(super) normal: Normal,
    /// Whole phrases, by (start, longest first).
    pub(super) found: Vec<Found>,
    parts: Vec<Found>,
    marks: Vec<Mark>,
    pub(super) sums: Sums,
}

/// Reads texts by the lexicons it was made of.
pub struct Reader {
    search: NFA,
    /// Where the uses of each literal begin in `uses`.
    starts: Vec<u32>,
    uses: Vec<Use>,
    pub(super) phrases: Vec<Phrase>,
    categories: Vec<Arc<str>>,
    guards: Vec<Guard>,
    /// Hashes of the proper beginnings and ends of phrases of categories.
    beginnings: HashSet<u64>,
    endings: HashSet<u64>,
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("phrases", &self.phrases.len())
            .field("categories", &self.categories.len())
            .finish_non_exhaustive()
    }
}

/// Collects what the automaton is made of.
#[derive(Default)]
struct Building {
    literals: HashMap<Vec<u8>, usize>,
    uses: Vec<Vec<Use>>,
    phrases: Vec<Phrase>,
    categories: Vec<Arc<str>>,
    guards: Vec<Guard>,
}

impl Building {
    fn literal(&mut self, literal: &Literal) -> usize {
        let next = self.uses.len();
        let number = *self.literals.entry(literal.bytes.clone()).or_insert(next);
        if number == next {
            self.uses.push(Vec::new());
        }
        number
    }

    fn category(&mut self, name: &Arc<str>) -> u16 {
        let at = self.categories.iter().position(|known| known == name).unwrap_or_else(|| {
            self.categories.push(Arc::clone(name));
            self.categories.len() - 1
        });
        at as u16
    }

    fn guard(&mut self, list: &List) -> Option<u16> {
        if list.near.is_empty() && list.unless.is_empty() {
            return None;
        }
        let guard = self.guards.len() as u16;
        self.guards.push(Guard { within: list.within, near: !list.near.is_empty() });
        for (patterns, near) in [(&list.near, true), (&list.unless, false)] {
            for literal in patterns.iter().flat_map(|pattern| &pattern.first) {
                let number = self.literal(literal);
                self.uses[number].push(Use::Mark { guard, near });
            }
        }
        Some(guard)
    }

    fn list(&mut self, list: &List) {
        let category = list.category.as_ref().map(|name| self.category(name));
        let guard = self.guard(list);
        for pattern in &list.phrases {
            let phrase = self.phrases.len() as u32;
            let parts = [&pattern.first].into_iter().chain(pattern.rest.iter().map(|(_, literals)| literals));
            for (part, literals) in parts.enumerate() {
                for literal in literals {
                    let number = self.literal(literal);
                    self.uses[number].push(Use::Part { phrase, part: part as u8, open: literal.open });
                }
            }
            self.phrases.push(Phrase {
                role: list.role,
                category,
                weight: list.weight,
                speakers: list.speakers,
                negatable: list.negatable,
                guard,
                rest: pattern.rest.iter().map(|(gap, _)| *gap).collect(),
                shown: Arc::from(pattern.shown.as_str()),
            });
        }
    }
}

/// Of a phrase that stands several times under one category, or as plain words, the last one holds; so a
/// centre's own list overrides the shipped one.
fn without_overridden(lexicons: &[Lexicon]) -> Vec<List> {
    let mut lists: Vec<List> = lexicons.iter().flat_map(|lexicon| lexicon.lists.iter().cloned()).collect();
    let mut seen: HashSet<(Option<Arc<str>>, u8, String)> = HashSet::new();
    for list in lists.iter_mut().rev() {
        let (category, speakers) = (list.category.clone(), list.speakers);
        let mut kept: Vec<Pattern> = Vec::with_capacity(list.phrases.len());
        for pattern in list.phrases.drain(..).rev() {
            if seen.insert((category.clone(), speakers, pattern.shown.clone())) {
                kept.push(pattern);
            }
        }
        kept.reverse();
        list.phrases = kept;
    }
    lists
}

impl Reader {
    /// A reader of these lexicons; what stands later overrides what stands before.
    ///
    /// # Errors
    /// Where there are more phrases than an automaton can hold.
    pub fn new(lexicons: &[Lexicon]) -> Result<Reader, String> {
        let mut building = Building::default();
        for list in without_overridden(lexicons) {
            building.list(&list);
        }
        let mut literals: Vec<(&Vec<u8>, &usize)> = building.literals.iter().collect();
        literals.sort_unstable_by_key(|(_, number)| **number);
        let search = NFA::builder()
            .match_kind(MatchKind::Standard)
            // The states of the first Chinese characters are tables: a step there is one look-up.
            .dense_depth(DENSE_DEPTH)
            .build(literals.iter().map(|(bytes, _)| bytes))
            .map_err(|error| format!("the phrases make no automaton: {error}"))?;
        let mut starts = vec![0];
        let mut uses = Vec::new();
        for of in &building.uses {
            uses.extend_from_slice(of);
            starts.push(uses.len() as u32);
        }
        let (mut beginnings, mut endings) = (HashSet::new(), HashSet::new());
        for (bytes, number) in literals {
            let of_category = |of: &Use| match of {
                Use::Part { phrase, .. } => building.phrases[*phrase as usize].category.is_some(),
                Use::Mark { .. } => false,
            };
            if !building.uses[*number].iter().any(of_category) {
                continue;
            }
            for cut in 1..bytes.len().min(EDGE_MAX + 1) {
                if bytes[cut] & 0xc0 != 0x80 {
                    beginnings.insert(xxh3_64(&bytes[..cut]));
                    endings.insert(xxh3_64(&bytes[cut..]));
                }
            }
        }
        Ok(Reader {
            search,
            starts,
            uses,
            phrases: building.phrases,
            categories: building.categories,
            guards: building.guards,
            beginnings,
            endings,
        })
    }

    /// A reader of the lists that are compiled in.
    ///
    /// # Errors
    /// Where they are wrong: a fault of this program, which a test finds.
    pub fn shipped() -> Result<Reader, Vec<Fault>> {
        let lexicons: Result<Vec<Lexicon>, Vec<Fault>> =
            Lexicon::SHIPPED.iter().map(|(name, text)| Lexicon::parse(name, text)).collect();
        Reader::new(&lexicons?).map_err(|message| {
            vec![Fault { file: "the shipped lexicons".to_owned(), line: 1, message, hint: None }]
        })
    }

    /// Phrases, alternatives written out.
    pub fn phrases(&self) -> usize {
        self.phrases.len()
    }

    /// The categories, in the order of the lexicons.
    pub fn categories(&self) -> &[Arc<str>] {
        &self.categories
    }

    /// Reads one text as said by this speaker. Takes memory; for many texts see [`Reader::read_with`].
    pub fn read(&self, text: &str, speaker: Speaker) -> Reading {
        let mut reading = Reading::default();
        self.read_with(&mut Scratch::default(), text, speaker, &mut reading);
        reading
    }

    /// Reads one text into `reading`; without hits no memory is taken once `scratch` has grown.
    pub fn read_with(&self, scratch: &mut Scratch, text: &str, speaker: Speaker, reading: &mut Reading) {
        self.read_as(scratch, text, 1 << speaker as u8, reading);
    }

    /// Every phrase of a category in the text, whoever says it.
    pub fn keywords(&self, text: &str) -> Reading {
        let mut reading = Reading::default();
        self.read_as(&mut Scratch::default(), text, EVERYBODY, &mut reading);
        reading
    }

    pub(super) fn read_as(&self, scratch: &mut Scratch, text: &str, speakers: u8, reading: &mut Reading) {
        scratch.normal.fill(text);
        self.find(scratch, speakers);
        let asks = speakers & (1 << Speaker::Customer as u8) != 0;
        reading.score = score::score(self, scratch, asks);
        reading.hits.clear();
        self.hits(scratch, text, &mut reading.hits);
    }

    /// The text that was read last with this memory, normalised.
    pub fn normalised<'s>(&self, scratch: &'s Scratch) -> &'s str {
        std::str::from_utf8(&scratch.normal.bytes).unwrap_or_default()
    }

    /// The end of the text last read that may begin a phrase of a category which the next utterance ends, and
    /// its beginning that may end one; both normalised, at most 48 bytes, mostly empty.
    pub fn edges<'s>(&self, scratch: &'s Scratch) -> (&'s str, &'s str) {
        let bytes = &*scratch.normal.bytes;
        let is_start = |at: usize| at < bytes.len() && bytes[at] & 0xc0 != 0x80;
        let from = bytes.len().saturating_sub(EDGE_MAX);
        let tail = (from..bytes.len())
            .find(|&at| is_start(at) && self.beginnings.contains(&xxh3_64(&bytes[at..])))
            .map_or(&[][..], |at| &bytes[at..]);
        let head = (1..=bytes.len().min(EDGE_MAX))
            .rev()
            .find(|&at| (at == bytes.len() || is_start(at)) && self.endings.contains(&xxh3_64(&bytes[..at])))
            .map_or(&[][..], |at| &bytes[..at]);
        let text = |bytes: &'s [u8]| std::str::from_utf8(bytes).unwrap_or_default();
        (text(head), text(tail))
    }

    /// Phrases of categories that two utterances of one speaker hold together: the end of the first and the
    /// beginning of the second, as [`Reader::edges`] gave them. Places are those of the two joined.
    pub fn across(&self, tail: &str, head: &str, speaker: Speaker) -> Vec<Hit> {
        if tail.is_empty() || head.is_empty() {
            return Vec::new();
        }
        let joined = format!("{tail}{head}");
        let mut hits = self.read(&joined, speaker).hits;
        hits.retain(|hit| hit.start < tail.len() && hit.end > tail.len());
        hits
    }

    /// Finds every phrase that this speaker may say, whole ones by (start, longest first).
    fn find(&self, scratch: &mut Scratch, speakers: u8) {
        let Scratch { normal, found, parts, marks, .. } = scratch;
        found.clear();
        parts.clear();
        marks.clear();
        let bytes = &*normal.bytes;
        let input = Input::new(bytes).anchored(Anchored::No);
        let mut state = OverlappingState::start();
        loop {
            if self.search.try_find_overlapping(&input, &mut state).is_err() {
                break;
            }
            let Some(hit) = state.get_match() else { break };
            let (start, end) = (hit.start(), hit.end());
            let number = hit.pattern().as_usize();
            let joins = |at: usize| at < bytes.len() && bytes[at].is_ascii_alphanumeric();
            // A word of letters or digits stands alone.
            let inside = start > 0 && joins(start) && joins(start - 1);
            let goes_on = joins(end - 1) && joins(end);
            if inside {
                continue;
            }
            for of in &self.uses[self.starts[number] as usize..self.starts[number + 1] as usize] {
                let (start, end) = (start as u32, end as u32);
                match *of {
                    Use::Part { open: false, .. } | Use::Mark { .. } if goes_on => {}
                    Use::Part { phrase, part, .. } => {
                        let of = &self.phrases[phrase as usize];
                        if of.speakers & speakers == 0 {
                            continue;
                        }
                        let one = Found { start, end, phrase, part };
                        if of.rest.is_empty() { found.push(one) } else { parts.push(one) }
                    }
                    Use::Mark { guard, near } => marks.push(Mark { start, end, guard, near }),
                }
            }
        }
        if !parts.is_empty() {
            parts.sort_unstable_by_key(|part| (part.start, part.end));
            for at in 0..parts.len() {
                if parts[at].part == 0
                    && let Some(end) = self.end_of(&parts[at..], bytes)
                {
                    found.push(Found { end, ..parts[at] });
                }
            }
        }
        // Of phrases in the same place, one that hides comes first, then one that is told.
        let rank = |one: &Found| match &self.phrases[one.phrase as usize] {
            phrase if phrase.role == Role::Exclude => 0,
            phrase if phrase.category.is_some() => 1,
            _ => 2,
        };
        found.sort_unstable_by_key(|one| (one.start, u32::MAX - one.end, rank(one), one.phrase));
        if !marks.is_empty() || found.iter().any(|one| self.phrases[one.phrase as usize].guard.is_some()) {
            found.retain(|one| self.passes(one, marks, bytes));
        }
    }

    /// Where the phrase ends whose first part is the first of `parts`, if its other parts follow.
    fn end_of(&self, parts: &[Found], bytes: &[u8]) -> Option<u32> {
        let (first, later) = parts.split_first()?;
        let gaps = &self.phrases[first.phrase as usize].rest;
        // The earliest place of each part: what a greedy choice misses is a phrase said twice, which counts once.
        let mut end = first.end;
        for (at, gap) in gaps.iter().enumerate() {
            let fits = |next: &&Found| {
                next.phrase == first.phrase
                    && usize::from(next.part) == at + 1
                    && next.start >= end
                    && gap_fits(*gap, &bytes[end as usize..next.start as usize])
            };
            end = later.iter().find(fits)?.end;
        }
        Some(end)
    }

    /// Whether what a phrase asks for is near it, and what it forbids is not.
    fn passes(&self, one: &Found, marks: &[Mark], bytes: &[u8]) -> bool {
        let Some(number) = self.phrases[one.phrase as usize].guard else { return true };
        let guard = self.guards[usize::from(number)];
        let close = |mark: &&Mark| {
            let between = if mark.end <= one.start {
                &bytes[mark.end as usize..one.start as usize]
            } else if mark.start >= one.end {
                &bytes[one.end as usize..mark.start as usize]
            } else {
                &[]
            };
            chars(between) <= guard.within
        };
        let mut own = marks.iter().filter(|mark| mark.guard == number).filter(close);
        let (mut wanted, mut forbidden) = (!guard.near, false);
        own.by_ref().for_each(|mark| if mark.near { wanted = true } else { forbidden = true });
        wanted && !forbidden
    }

    fn hits(&self, scratch: &Scratch, text: &str, hits: &mut Vec<Hit>) {
        for (at, one) in scratch.found.iter().enumerate() {
            let phrase = &self.phrases[one.phrase as usize];
            let Some(category) = phrase.category else { continue };
            // Sorted by start: what covers it stands before it, or begins with it.
            let covered =
                scratch.found.iter().enumerate().take_while(|(_, other)| other.start <= one.start).any(
                    |(place, other)| {
                        let of = &self.phrases[other.phrase as usize];
                        let longer = other.end - other.start > one.end - one.start;
                        let covers = place != at && other.end >= one.end;
                        let hides = match of.role {
                            Role::Exclude => longer,
                            _ => of.category == Some(category) && (longer || place < at),
                        };
                        covers && hides
                    },
                );
            if covered {
                continue;
            }
            let (start, end) = scratch.normal.original(text, one.start as usize, one.end as usize);
            hits.push(Hit {
                category: Arc::clone(&self.categories[usize::from(category)]),
                phrase: match phrase.rest.is_empty() {
                    true => Arc::clone(&phrase.shown),
                    // A phrase with gaps is told as it was said.
                    false => {
                        String::from_utf8_lossy(&scratch.normal.bytes[one.start as usize..one.end as usize])
                            .replace([';', ':'], " ")
                            .into()
                    }
                },
                start,
                end,
                negated: phrase.negatable && score::negated(self, scratch, one.start),
                weight: phrase.weight,
            });
        }
    }
}

/// Characters in a piece of UTF-8.
pub(super) fn chars(bytes: &[u8]) -> u32 {
    bytes.iter().filter(|byte| **byte & 0xc0 != 0x80).count() as u32
}

fn gap_fits(gap: Gap, between: &[u8]) -> bool {
    match gap {
        Gap::Any { min, max } => {
            let count = chars(between);
            (min..=max).contains(&count) && !score::ends_sentence(between)
        }
        Gap::Number => {
            let text = std::str::from_utf8(between).unwrap_or_default().trim();
            let numeral =
                |c: char| c.is_ascii_digit() || ".,一二两三四五六七八九十百千万半几多好".contains(c);
            !text.is_empty() && text.len() <= 30 && text.chars().all(numeral)
        }
    }
}
