//! What was said: how often a category was heard, and the mean sentiment of each speaker in the rolling windows.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::fold::pane;
use super::options::{COARSE, FINE};
use super::series::OTHER_QUEUE;
use super::summary::ROLLING;
use crate::correlate::{Heard, ServiceRule};
use crate::event::Speaker;
use crate::time::Millis;

/// Scores add up as whole numbers of this, so that no order of adding matters.
const PER: f64 = 1000.0;
/// Combinations of category, speaker and queue that are counted apart; of more, the queue becomes `__other__`.
const KEYWORD_SERIES_MAX: usize = 5_000;

/// Utterances with any sentiment, and their sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mood {
    /// Utterances whose score is not 0.
    pub utterances: i64,
    /// The sum of their scores, in thousandths.
    pub thousandths: i64,
}

impl Mood {
    /// The mean score, -1 to 1; `None` without an utterance.
    pub fn mean(&self) -> Option<f64> {
        (self.utterances > 0).then(|| self.thousandths as f64 / PER / self.utterances as f64)
    }

    pub(super) fn add(&mut self, other: Mood) {
        self.utterances += other.utterances;
        self.thousandths += other.thousandths;
    }
}

/// One [`Mood`] for each of [`Speaker::ALL`].
pub(super) type Moods = [Mood; Speaker::ALL.len()];

/// What a counter of phrases is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeywordKey {
    /// The category, as the lexicon names it.
    pub category: Arc<str>,
    /// Who said it.
    pub speaker: Speaker,
    /// The queue; empty where the contact had none.
    pub queue: Arc<str>,
}

/// Everything that was said to one window.
#[derive(Debug, Clone, Default)]
pub(super) struct Said {
    pub(super) fine: BTreeMap<i64, Moods>,
    pub(super) coarse: BTreeMap<i64, Moods>,
    pub(super) keywords: BTreeMap<KeywordKey, u64>,
    pub(super) findings: BTreeMap<(ServiceRule, Arc<str>), u64>,
    from: (i64, i64),
}

impl Said {
    pub(super) fn new() -> Said {
        Said { from: (i64::MIN, i64::MIN), ..Said::default() }
    }

    pub(super) fn hear(&mut self, heard: &Heard) {
        let thousandths = (heard.score * PER).round() as i64;
        if thousandths != 0 {
            let mood = Mood { utterances: 1, thousandths };
            for (moods, width, from) in
                [(&mut self.fine, FINE, self.from.0), (&mut self.coarse, COARSE, self.from.1)]
            {
                let piece = pane(heard.time, width);
                if piece >= from {
                    moods.entry(piece).or_default()[heard.speaker as usize].add(mood);
                }
            }
        }
        for category in &heard.categories {
            let mut key = KeywordKey {
                category: Arc::clone(category),
                speaker: heard.speaker,
                queue: Arc::from(heard.queue.as_deref().unwrap_or_default()),
            };
            if self.keywords.len() >= KEYWORD_SERIES_MAX && !self.keywords.contains_key(&key) {
                key.queue = Arc::from(OTHER_QUEUE);
            }
            *self.keywords.entry(key).or_default() += 1;
        }
    }

    /// Counts one broken rule of service.
    pub(super) fn found(&mut self, rule: ServiceRule, queue: Option<&str>) {
        let mut key = (rule, Arc::from(queue.unwrap_or_default()));
        if self.findings.len() >= KEYWORD_SERIES_MAX && !self.findings.contains_key(&key) {
            key.1 = Arc::from(OTHER_QUEUE);
        }
        *self.findings.entry(key).or_default() += 1;
    }

    /// Sets what was counted to 0.
    pub(super) fn forget_counters(&mut self) {
        self.keywords.clear();
        self.findings.clear();
    }

    /// Forgets the panes before these numbers.
    pub(super) fn keep_from(&mut self, fine: i64, coarse: i64) {
        self.from = (self.from.0.max(fine), self.from.1.max(coarse));
        self.fine = self.fine.split_off(&self.from.0);
        self.coarse = self.coarse.split_off(&self.from.1);
    }

    /// The moods of each rolling window that ends at `now`.
    pub(super) fn moods(&self, now: Millis) -> [Moods; ROLLING.len()] {
        let mut all = [Moods::default(); ROLLING.len()];
        for (place, (window, sums)) in ROLLING.iter().zip(&mut all).enumerate() {
            let (moods, width) =
                if place + 1 < ROLLING.len() { (&self.fine, FINE) } else { (&self.coarse, COARSE) };
            let from = pane(now.saturating_sub(window.length_ms).saturating_add(1), width);
            for moods in moods.range(from..=pane(now, width).max(from)).map(|(_, moods)| moods) {
                sums.iter_mut().zip(moods).for_each(|(sum, mood)| sum.add(*mood));
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::MINUTE;

    fn heard(time: Millis, score: f64, categories: &[&str]) -> Heard {
        Heard {
            time,
            speaker: Speaker::Customer,
            queue: Some(Box::from("sales")),
            score,
            categories: categories.iter().map(|name| Arc::from(*name)).collect(),
        }
    }

    #[test]
    fn moods_roll_and_counters_stay() {
        let mut said = Said::new();
        let now = 100 * MINUTE;
        said.hear(&heard(now - 20 * MINUTE, -0.5, &["anger", "churn"]));
        said.hear(&heard(now - MINUTE, 0.25, &["anger"]));
        said.hear(&heard(now - MINUTE, 0.0, &[]));
        let moods = said.moods(now);
        let customer = Speaker::Customer as usize;
        assert_eq!(moods[0][customer].mean(), Some(0.25));
        assert_eq!(moods[2][customer].mean(), Some(-0.125));
        assert_eq!(moods[4][customer].utterances, 2);
        assert_eq!(moods[0][Speaker::Agent as usize].mean(), None);
        let anger: u64 =
            said.keywords.iter().filter(|(key, _)| &*key.category == "anger").map(|(_, n)| n).sum();
        assert_eq!((anger, said.keywords.len()), (2, 2));
        said.keep_from(pane(now - 10 * MINUTE, FINE), i64::MIN);
        assert_eq!(said.moods(now)[2][customer].mean(), Some(0.25));
        // What comes for a pane that was forgotten does nothing.
        said.hear(&heard(now - 20 * MINUTE, -0.5, &[]));
        assert_eq!(said.moods(now)[2][customer].mean(), Some(0.25));
    }

    #[test]
    fn the_number_of_series_is_bounded() {
        let mut said = Said::new();
        for queue in 0..KEYWORD_SERIES_MAX + 10 {
            let heard = Heard { queue: Some(queue.to_string().into()), ..heard(0, 0.0, &["anger"]) };
            said.hear(&heard);
        }
        assert_eq!(said.keywords.len(), KEYWORD_SERIES_MAX + 1);
        assert_eq!(said.keywords.values().sum::<u64>(), KEYWORD_SERIES_MAX as u64 + 10);
    }
}
