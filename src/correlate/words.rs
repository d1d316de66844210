//! What is heard in the messages of a contact: sentiment and phrases, once for each message.
//!
//! Invariant: what a contact's messages amount to is a function of the set of its events. A phrase that a transcript
//! cut is looked for in each two utterances of one speaker that lie close together, whichever of them came first and
//! whatever was said between; so it does not matter in which order they came.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::findings::{ServiceRule, sameness};
use super::log::Log;
use crate::event::{Event, Kind, Speaker};
use crate::text::{Reader, Reading, Scratch};
use crate::time::{Millis, SECOND};

/// Two utterances of one speaker may hold a phrase together when they begin within this time of each other.
const CUT_MS: Millis = 10 * SECOND;
/// Keywords that a contact keeps: of more, the first in alphabetical order, so that their order of coming does not matter.
const KEYWORDS_MAX: usize = 64;
/// How much a new utterance moves the running sentiment.
const RUNNING: f64 = 0.3;
/// Phrases of one message that break a rule of service and are kept.
const PHRASES_MAX: usize = 16;
/// Scores are kept as whole numbers of this.
const PER: f64 = 1000.0;

/// What the log keeps of a message's words.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Words {
    /// Sentiment in thousandths.
    pub(super) score: i16,
    /// The contact's keywords after this message, where it brought new ones.
    pub(super) keywords: Option<String>,
    /// The beginning of the text that may end a phrase, and the end that may begin one.
    pub(super) head: String,
    pub(super) tail: String,
    /// The agent greets, or says good-bye.
    pub(super) greets: bool,
    pub(super) parts: bool,
    /// A hash of what the customer says (see [`sameness`]).
    pub(super) same: Option<u32>,
    /// Phrases that break a rule of service.
    pub(super) phrases: Vec<Phrase>,
}

/// A phrase in a message; places are bytes of its text.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Phrase {
    pub(super) category: Arc<str>,
    pub(super) phrase: Arc<str>,
    pub(super) start: u32,
    pub(super) end: u32,
}

impl Words {
    /// Whether they mean anything to quality.
    pub(super) fn has_marks(&self) -> bool {
        self.greets || self.parts || self.same.is_some() || !self.phrases.is_empty()
    }

    /// Notes what the words mean to quality.
    fn mark(&mut self, reading: &Reading, speaker: Speaker) {
        let place = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        for hit in reading.hits.iter().filter(|hit| !hit.negated) {
            match (speaker, &*hit.category) {
                (Speaker::Agent, "greeting") => self.greets = true,
                (Speaker::Agent, "farewell") => self.parts = true,
                (_, category) if ServiceRule::of_category(category, speaker).is_some() => {
                    // Variants of one phrase often overlap; the place is found once.
                    let overlaps =
                        |known: &Phrase| place(hit.start) < known.end && place(hit.end) > known.start;
                    if self.phrases.len() < PHRASES_MAX && !self.phrases.iter().any(overlaps) {
                        self.phrases.push(Phrase {
                            category: Arc::clone(&hit.category),
                            phrase: Arc::clone(&hit.phrase),
                            start: place(hit.start),
                            end: place(hit.end),
                        });
                    }
                }
                _ => {}
            }
        }
    }
}

/// What one new message said, for those who count.
#[derive(Debug, Clone, PartialEq)]
pub struct Heard {
    /// When it was said.
    pub time: Millis,
    /// Who said it.
    pub speaker: Speaker,
    /// The queue of the message, else the one that the contact entered last; `None` before any.
    pub queue: Option<Box<str>>,
    /// Its sentiment, -1 to 1.
    pub score: f64,
    /// The category of each phrase that was found, once a phrase; phrases that it ends for an earlier message too.
    pub categories: Vec<Arc<str>>,
}

/// Reads messages, and keeps the memory for it.
#[derive(Debug, Default)]
pub(super) struct Ear {
    reader: Option<Arc<Reader>>,
    scratch: Scratch,
    reading: Reading,
    /// `reading` is of the event that is being applied.
    listened: bool,
    /// `category:phrase` of the message that was read last.
    pub(super) hits: String,
    pub(super) categories: Vec<Arc<str>>,
}

impl Ear {
    pub(super) fn set(&mut self, reader: Arc<Reader>) {
        self.reader = Some(reader);
    }

    /// The next event is another one.
    pub(super) fn forget(&mut self) {
        self.listened = false;
    }

    /// What was read in the event that is being applied.
    pub(super) fn reading(&self) -> Option<&Reading> {
        self.listened.then_some(&self.reading)
    }

    /// Reads a final message; `None` for anything else, and where there is nothing to read by.
    pub(super) fn listen(&mut self, log: &Log, event: &Event<'_>) -> Option<Words> {
        self.hits.clear();
        self.categories.clear();
        let reader = self.reader.as_ref()?;
        let (Kind::Message, true) = (event.kind, event.is_final) else { return None };
        let text = event.text.as_deref()?;
        let speaker = event.speaker.unwrap_or(Speaker::System);
        reader.read_with(&mut self.scratch, text, speaker, &mut self.reading);
        self.listened = true;
        let (head, tail) = reader.edges(&self.scratch);
        let mut words = Words {
            score: to_thousandths(self.reading.score),
            keywords: None,
            head: head.to_owned(),
            tail: tail.to_owned(),
            ..Words::default()
        };
        words.mark(&self.reading, speaker);
        if speaker == Speaker::Customer {
            words.same = sameness(reader.normalised(&self.scratch));
        }
        let mut found = BTreeSet::new();
        for hit in self.reading.hits.iter().filter(|hit| !hit.negated) {
            if found.insert(format!("{}:{}", hit.category, hit.phrase)) {
                self.categories.push(Arc::clone(&hit.category));
            }
        }
        self.hits.push_str(&self.reading.hits_text());
        if !(head.is_empty() && tail.is_empty()) {
            for (before, after) in log.beside(event, CUT_MS, head, tail) {
                for hit in reader.across(before, after, speaker) {
                    if !hit.negated && found.insert(format!("{}:{}", hit.category, hit.phrase)) {
                        self.categories.push(hit.category);
                    }
                }
            }
        }
        if !found.is_empty() {
            let known = log.keywords(log.bytes.len()).unwrap_or_default();
            let all: BTreeSet<&str> = known
                .split(';')
                .filter(|word| !word.is_empty())
                .chain(found.iter().map(String::as_str))
                .collect();
            let joined = all.into_iter().take(KEYWORDS_MAX).collect::<Vec<_>>().join(";");
            words.keywords = (joined != known).then_some(joined);
        }
        Some(words)
    }

    /// The sentiment of the message that was read last.
    pub(super) fn score(&self) -> f64 {
        from_thousandths(to_thousandths(self.reading.score))
    }
}

fn to_thousandths(score: f32) -> i16 {
    (f64::from(score) * PER).round() as i16
}

/// A score as columns have it.
pub(super) fn from_thousandths(score: i16) -> f64 {
    f64::from(score) / PER
}

/// The running sentiment of one speaker: begins with the first utterance that has any, and moves by [`RUNNING`] of the
/// difference with each further one. Utterances without sentiment do not move it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Running {
    spoke: bool,
    value: Option<f64>,
    lowest: Option<i16>,
}

impl Running {
    pub(super) fn add(&mut self, score: i16) {
        self.spoke = true;
        self.lowest = Some(self.lowest.map_or(score, |lowest| lowest.min(score)));
        if score != 0 {
            let score = from_thousandths(score);
            self.value = Some(self.value.map_or(score, |value| value + RUNNING * (score - value)));
        }
    }

    /// The running value; 0 where nothing said had any sentiment, `None` where nothing was said.
    pub(super) fn value(&self) -> Option<f64> {
        // Rounded, so that a column shows no digits that mean nothing.
        self.spoke.then(|| (self.value.unwrap_or(0.0) * 1e6).round() / 1e6)
    }

    pub(super) fn lowest(&self) -> Option<f64> {
        self.lowest.map(from_thousandths)
    }
}
