//! Why a text scored what it scored: the arithmetic, line by line.

use std::fmt;
use std::sync::Arc;

use super::reader::{Hit, Reader, Reading, Scratch};
use super::score::{ASKED, BARE_NOT, HALF_WAY};
use crate::event::Speaker;

/// One word's part in a score.
#[derive(Debug, Clone, PartialEq)]
pub struct Reason {
    /// What stands in the text.
    pub text: String,
    /// First byte in the original text.
    pub start: usize,
    /// The phrase of the lexicon.
    pub phrase: Arc<str>,
    /// Its weight.
    pub weight: f32,
    /// What multiplies it, each with its name.
    pub factors: Vec<(&'static str, f32)>,
    /// The product.
    pub value: f32,
}

/// The arithmetic behind one score.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// Words with a weight, in the order of the text.
    pub reasons: Vec<Reason>,
    /// Negations that turn no listed word.
    pub bare_negations: u32,
    /// Question marks.
    pub questions: u32,
    /// The sum of all that.
    pub sum: f32,
    /// The score.
    pub score: f32,
    /// Phrases of categories.
    pub hits: Vec<Hit>,
}

impl Reader {
    /// The arithmetic behind the score of `text` as said by this speaker.
    pub fn explain(&self, text: &str, speaker: Speaker) -> Explanation {
        let (mut scratch, mut reading) = (Scratch::default(), Reading::default());
        self.read_with(&mut scratch, text, speaker, &mut reading);
        let sums = &scratch.sums;
        let reasons = sums.steps.iter().map(|step| {
            let (start, end) =
                scratch.normal.original(text, step.found.start as usize, step.found.end as usize);
            let named = [
                ("negation", step.turned()),
                ("degree", step.degree),
                ("doubt", step.doubt),
                ("but, !", step.place),
            ];
            Reason {
                text: text[start..end].to_owned(),
                start,
                phrase: Arc::clone(&self.phrases[step.found.phrase as usize].shown),
                weight: step.weight,
                factors: named.into_iter().filter(|(_, factor)| *factor != 1.0).collect(),
                value: step.value(),
            }
        });
        Explanation {
            reasons: reasons.collect(),
            bare_negations: sums.bare,
            questions: sums.asked,
            sum: sums.sum,
            score: reading.score,
            hits: reading.hits,
        }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for reason in &self.reasons {
            write!(f, "{:+.3}  {}  weight {:+.2}", reason.value, reason.text, reason.weight)?;
            for (name, factor) in &reason.factors {
                write!(f, " × {factor:.2} ({name})")?;
            }
            writeln!(f, "  at byte {}", reason.start)?;
        }
        for (count, each, name) in
            [(self.bare_negations, BARE_NOT, "negations alone"), (self.questions, ASKED, "questions")]
        {
            if count > 0 {
                writeln!(f, "{:+.3}  {name}: {count} × {each:+.2}", count as f32 * each)?;
            }
        }
        writeln!(f, "{:+.3}  sum", self.sum)?;
        writeln!(f, "{:+.3}  score = sum / sqrt(sum² + {HALF_WAY})", self.score)?;
        for hit in &self.hits {
            let negated = if hit.negated { " (negated)" } else { "" };
            writeln!(f, "hit    {}:{}{negated}  bytes {}..{}", hit.category, hit.phrase, hit.start, hit.end)?;
        }
        Ok(())
    }
}
