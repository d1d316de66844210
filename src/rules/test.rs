//! The conditions of rules, and when those over one contact hold.

use super::contact::{Contact, Line};
use super::{Evidence, Hit};
use crate::event::{EndedBy, Speaker};
use crate::time::Millis;

/// A tree of conditions.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
    Test(Test),
}

/// Beyond which side of a number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Bound {
    Above(f64),
    Below(f64),
}

impl Bound {
    pub(super) fn holds(self, value: f64) -> bool {
        match self {
            Bound::Above(limit) => value > limit,
            Bound::Below(limit) => value < limit,
        }
    }
}

/// Which figure of the scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    /// Of the utterance.
    Last,
    /// The mean of all so far.
    Mean,
    /// The lowest so far.
    Lowest,
    /// The change per utterance over the last so many, by least squares.
    Slope(usize),
}

/// Which utterances count for a phrase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Span {
    /// The one that was just said.
    Utterance,
    /// The whole contact so far.
    Contact,
    /// The last so many ms.
    Within(Millis),
}

/// One condition.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Test {
    /// Phrases were said.
    Keyword {
        categories: Vec<String>,
        phrases: Vec<String>,
        speaker: Option<Speaker>,
        at_least: usize,
        span: Span,
    },
    /// The mood is beyond a bound.
    Sentiment { speaker: Speaker, mood: Mood, bound: Bound, at_least: usize },
    /// So many utterances in a row are below.
    Streak { speaker: Speaker, below: f64, length: usize },
    /// The contact waits in a queue this long.
    Wait { ms: Millis },
    /// The customer has waited for a reply this long.
    Unanswered { ms: Millis },
    /// Nothing of these categories was said in time after the agent came.
    Absence { categories: Vec<String>, speaker: Speaker, ms: Millis },
    /// The talk goes on for this long.
    Talk { ms: Millis },
    /// Somebody hung up.
    HungUp { by: EndedBy },
    /// The agent passed the contact to one of these queues.
    PassedTo { queues: Vec<String> },
    /// The contact was passed on so often.
    Transfers { at_least: usize },
    /// A figure of the catalogue over a rolling window.
    Kpi { name: &'static str, window: String, bound: Bound, min_sample: i64 },
    /// A number of the present: of a queue, of agents in a state, of the pipeline.
    Gauge { name: String, bound: Bound },
    /// Far more contacts came to a queue, or far more spoke of something, than was to be expected.
    Surge { categories: Vec<String>, times: f64, at_least: f64, deviations: f64 },
    /// One agent had so many contacts, or has talked so long, within a time.
    Load { contacts: Option<usize>, talk_ms: Option<Millis>, within_ms: Millis },
    /// So many contacts of one agent were unpleasant.
    Exposure { contacts: usize, below: f64, within_ms: Option<Millis> },
    /// A complaint must have been called back by this minute of a later day.
    Complaint { days: i64, minute: i64, before_ms: Millis },
    /// A promise is due.
    Promise { before_ms: Millis },
    /// A slot that begins within this time lacks so many agents, and will fail.
    SlotFails { within_ms: Millis, missing: f64 },
}

impl Condition {
    /// Every test of the tree.
    pub(super) fn tests(&self) -> Vec<&Test> {
        match self {
            Condition::All(parts) | Condition::Any(parts) => {
                parts.iter().flat_map(Condition::tests).collect()
            }
            Condition::Not(part) => part.tests(),
            Condition::Test(test) => vec![test],
        }
    }

    pub(super) fn reads_words(&self) -> bool {
        self.tests().iter().any(|test| {
            matches!(
                test,
                Test::Keyword { .. }
                    | Test::Sentiment { .. }
                    | Test::Streak { .. }
                    | Test::Absence { .. }
                    | Test::Unanswered { .. }
                    | Test::Exposure { .. }
            )
        })
    }

    /// Whether it holds for a contact; what it holds by is added to `found`.
    pub(super) fn holds(&self, moment: &Moment<'_>, found: &mut Found) -> bool {
        match self {
            Condition::All(parts) => parts.iter().all(|part| part.holds(moment, found)),
            Condition::Any(parts) => parts.iter().any(|part| part.holds(moment, found)),
            // What a denied condition was found by says nothing.
            Condition::Not(part) => !part.holds(moment, &mut Found::default()),
            Condition::Test(test) => test.holds(moment, found),
        }
    }
}

/// What a condition holds by.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) evidence: Vec<Evidence>,
    pub(super) values: Vec<(String, f64)>,
    /// What tells this cause from another one of the same rule and contact.
    pub(super) cause: Option<(Cause, Millis)>,
}

/// What is over when an alert of such a cause is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    Wait,
    Unanswered,
    /// The contact itself.
    Contact,
}

/// Evidence that an alert shows at most.
const EVIDENCE_MAX: usize = 5;

/// A contact at an instant.
pub(super) struct Moment<'c> {
    pub(super) contact: &'c Contact,
    pub(super) at: Millis,
    /// The utterance that was just said; `None` where time or another event is the occasion.
    pub(super) line: Option<usize>,
}

impl<'c> Moment<'c> {
    /// Everything said up to now, oldest first.
    fn lines(&self) -> &'c [Line] {
        match self.line {
            Some(line) => &self.contact.lines[..=line],
            None => {
                let lines = &self.contact.lines;
                &lines[..lines.partition_point(|line| line.time <= self.at)]
            }
        }
    }

    fn just_said(&self) -> Option<&'c Line> {
        self.line.map(|line| &self.contact.lines[line])
    }

    /// Scores of a speaker's utterances that were read, oldest first.
    fn scores(&self, speaker: Speaker) -> Vec<(&'c Line, f64)> {
        let of = self.lines().iter().filter(|line| line.speaker == speaker);
        of.filter_map(|line| Some((line, f64::from(line.score?)))).collect()
    }
}

impl Test {
    /// The categories of phrases that it asks for.
    pub(super) fn categories(&self) -> &[String] {
        match self {
            Test::Keyword { categories, .. }
            | Test::Absence { categories, .. }
            | Test::Surge { categories, .. } => categories,
            _ => &[],
        }
    }

    fn holds(&self, moment: &Moment<'_>, found: &mut Found) -> bool {
        let status = moment.contact.status();
        match self {
            Test::Keyword { categories, phrases, speaker, at_least, span } => {
                let lines: Vec<&Line> = match span {
                    Span::Utterance => moment.just_said().into_iter().collect(),
                    Span::Contact => moment.lines().iter().collect(),
                    Span::Within(ms) => {
                        moment.lines().iter().filter(|line| line.time > moment.at - ms).collect()
                    }
                };
                let lines = lines.into_iter().filter(|line| speaker.is_none_or(|s| s == line.speaker));
                let counts = |hit: &Hit| {
                    !hit.negated
                        && (categories.is_empty() || categories.iter().any(|name| **name == *hit.category))
                        && (phrases.is_empty() || phrases.iter().any(|phrase| **phrase == *hit.phrase))
                };
                let hits: Vec<(&Line, &Hit)> = lines
                    .flat_map(|line| line.hits.iter().filter(|hit| counts(hit)).map(move |h| (line, h)))
                    .collect();
                if hits.len() < *at_least {
                    return false;
                }
                hits.iter().rev().take(EVIDENCE_MAX).rev().for_each(|(line, hit)| found.say(line, Some(hit)));
                true
            }
            Test::Sentiment { speaker, mood, bound, at_least } => {
                let scores = moment.scores(*speaker);
                let Some(&(last, score)) = scores.last() else { return false };
                let said_now = moment.just_said().is_none_or(|line| line.speaker == *speaker);
                if scores.len() < *at_least || !said_now {
                    return false;
                }
                let value = match mood {
                    Mood::Last => score,
                    Mood::Mean => scores.iter().map(|(_, score)| score).sum::<f64>() / scores.len() as f64,
                    Mood::Lowest => scores.iter().map(|(_, score)| *score).fold(f64::INFINITY, f64::min),
                    Mood::Slope(over) if scores.len() >= *over => {
                        slope(scores[scores.len() - over..].iter().map(|(_, score)| *score))
                    }
                    Mood::Slope(_) => return false,
                };
                if !bound.holds(value) {
                    return false;
                }
                found.say(last, None);
                found.values.push(("sentiment".to_owned(), value));
                true
            }
            Test::Streak { speaker, below, length } => {
                let scores = moment.scores(*speaker);
                let streak = scores.iter().rev().take_while(|(_, score)| score < below).count();
                if streak < *length || moment.just_said().is_some_and(|line| line.speaker != *speaker) {
                    return false;
                }
                let shown = scores.iter().rev().take(streak.min(EVIDENCE_MAX));
                shown.rev().for_each(|(line, _)| found.say(line, None));
                found.values.push(("streak".to_owned(), streak as f64));
                true
            }
            Test::Wait { ms } => match status.waiting_since {
                Some(since) if moment.at - since >= *ms => {
                    found.values.push(("waited_seconds".to_owned(), (moment.at - since) as f64 / 1e3));
                    found.cause = Some((Cause::Wait, since));
                    true
                }
                _ => false,
            },
            Test::Unanswered { ms } => match moment.contact.question_at(moment.at) {
                Some((line, since)) if moment.at - since >= *ms => {
                    found.say(line, None);
                    found.values.push(("waited_seconds".to_owned(), (moment.at - since) as f64 / 1e3));
                    found.cause = Some((Cause::Unanswered, since));
                    true
                }
                _ => false,
            },
            Test::Absence { categories, speaker, ms } => {
                let Some(from) = status.answered_at.filter(|from| moment.at - from >= *ms) else {
                    return false;
                };
                let said = moment.lines().iter().filter(|line| line.time >= from && line.speaker == *speaker);
                let read: Vec<&Line> = said.filter(|line| line.score.is_some()).collect();
                let wanted = |hit: &Hit| categories.iter().any(|name| **name == *hit.category);
                let in_time = |line: &&Line| line.time - from <= *ms;
                // Without a transcript nobody can tell that something was not said.
                !read.is_empty()
                    && !read.iter().filter(|l| in_time(l)).any(|line| line.hits.iter().any(wanted))
            }
            Test::Talk { ms } => match status.talking_since {
                Some(since) if moment.at - since >= *ms => {
                    found.values.push(("talk_seconds".to_owned(), (moment.at - since) as f64 / 1e3));
                    true
                }
                _ => false,
            },
            Test::HungUp { by } => status.answered_at.is_some() && status.ended_by == Some(*by),
            Test::PassedTo { queues } => {
                status.passed_to.iter().any(|queue| queues.iter().any(|own| **own == **queue))
            }
            Test::Transfers { at_least } => {
                found.values.push(("transfers".to_owned(), status.transfers as f64));
                status.transfers >= *at_least
            }
            // These are not about one contact; the reader lets no rule mix them with those that are.
            Test::Kpi { .. }
            | Test::Gauge { .. }
            | Test::Surge { .. }
            | Test::Load { .. }
            | Test::Exposure { .. }
            | Test::Complaint { .. }
            | Test::Promise { .. }
            | Test::SlotFails { .. } => false,
        }
    }

    /// When the test may come true by time alone, given the contact as it is; `None`: it does not.
    pub(super) fn due(&self, contact: &Contact) -> Option<Millis> {
        let status = contact.status();
        match self {
            Test::Wait { ms } => Some(status.waiting_since? + ms),
            Test::Unanswered { ms } => {
                let (_, since) = contact.question_at(Millis::MAX)?;
                Some(since + ms)
            }
            Test::Absence { ms, .. } => Some(status.answered_at? + ms),
            Test::Talk { ms } => Some(status.talking_since? + ms),
            _ => None,
        }
    }
}

impl Found {
    fn say(&mut self, line: &Line, hit: Option<&Hit>) {
        if self.evidence.len() >= EVIDENCE_MAX {
            return;
        }
        let phrase = hit.map_or_else(String::new, |hit| hit.phrase.to_string());
        if self.evidence.iter().any(|known| known.time == line.time && known.phrase == phrase) {
            return;
        }
        self.evidence.push(Evidence {
            speaker: line.speaker,
            time: line.time,
            text: line.text.to_string(),
            phrase,
            category: hit.map_or_else(String::new, |hit| hit.category.to_string()),
            start: hit.map_or(0, |hit| hit.start),
            end: hit.map_or(0, |hit| hit.end),
            score: line.score.unwrap_or(0.0),
        });
    }
}

/// The slope of values at 0, 1, 2, … by least squares.
fn slope(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let n = values.len() as f64;
    let (mut sum, mut moment) = (0.0, 0.0);
    for (at, value) in values.enumerate() {
        sum += value;
        moment += at as f64 * value;
    }
    let mean_at = (n - 1.0) / 2.0;
    let spread = n * (n * n - 1.0) / 12.0;
    if spread > 0.0 { (moment - mean_at * sum) / spread } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slope_is_that_of_the_line_through_the_values() {
        assert!((slope([0.4, 0.2, 0.0, -0.2].into_iter()) + 0.2).abs() < 1e-12);
        assert!((slope([1.0, 0.0, 1.0].into_iter())).abs() < 1e-12);
        assert_eq!(slope([0.5].into_iter()), 0.0);
    }
}
