//! One rule: when it holds, for whom, and who is told.

use std::sync::Arc;

use chrono::{DateTime, Datelike, Timelike};
use chrono_tz::Tz;

use super::Subject;
use super::test::{Condition, Test};
use crate::calendar::Deadlines;
use crate::event::Role;
use crate::time::Millis;

/// A text in both languages.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Text {
    /// English.
    pub en: String,
    /// Chinese.
    pub zh: String,
}

/// How urgent an alert is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Somebody should look.
    Warning,
    /// Somebody must act now.
    Critical,
}

impl Severity {
    /// Every severity, the mildest first.
    pub const ALL: [Severity; 3] = [Severity::Info, Severity::Warning, Severity::Critical];

    /// The word in files, tables and labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        }
    }

    /// Reads the word.
    pub fn parse(text: &str) -> Option<Severity> {
        Severity::ALL.into_iter().find(|severity| severity.as_str() == text)
    }
}

/// Who is told first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notify {
    /// Whoever has this role on duty.
    Role(Role),
    /// The agent of the contact.
    Agent,
}

/// What a rule looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum About {
    /// One contact while it goes on.
    Contact,
    /// The figures of a queue, or of the pipeline.
    Figures,
    /// An agent over several contacts.
    Agent,
    /// A complaint or a promise.
    Dossier,
    /// Slots to come.
    Plan,
}

/// Where and when a rule holds; an empty list is no limit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scope {
    /// These queues only.
    pub queues: Vec<String>,
    /// These departments only.
    pub departments: Vec<String>,
    /// Customers of these tiers only.
    pub tiers: Vec<String>,
    /// These channels only.
    pub channels: Vec<String>,
    /// Minutes of the centre's day, `[from, to)`; over midnight where `to` is not after `from`.
    pub hours: Option<(i64, i64)>,
    /// Days of the week, Monday first; all where none is named.
    pub days: [bool; 7],
}

impl Scope {
    /// Whether the rule holds for this subject at this time.
    pub(super) fn fits(&self, subject: &Subject, at: Millis, zone: Tz) -> bool {
        let listed = |list: &[String], value: &str| list.is_empty() || list.iter().any(|own| own == value);
        listed(&self.queues, &subject.queue)
            && listed(&self.departments, &subject.department)
            && listed(&self.tiers, &subject.tier)
            && listed(&self.channels, &subject.channel)
            && self.fits_time(at, zone)
    }

    /// Whether the rule holds at this time of the centre's week.
    pub(super) fn fits_time(&self, at: Millis, zone: Tz) -> bool {
        if self.hours.is_none() && self.days == [false; 7] {
            return true;
        }
        let Some(utc) = DateTime::from_timestamp_millis(at) else { return false };
        let local = utc.with_timezone(&zone);
        let day = local.weekday().num_days_from_monday() as usize;
        let minute = i64::from(local.hour() * 60 + local.minute());
        let day_fits = self.days == [false; 7] || self.days[day];
        let hour_fits = match self.hours {
            None => true,
            Some((from, to)) if from < to => (from..to).contains(&minute),
            Some((from, to)) => minute >= from || minute < to,
        };
        day_fits && hour_fits
    }
}

/// One rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Its name, unique.
    pub name: String,
    /// What it says to people.
    pub title: Text,
    /// What to do, for whoever is told; may be empty.
    pub advice: Text,
    /// How urgent.
    pub severity: Severity,
    /// Who is told first.
    pub notify: Notify,
    /// Where and when.
    pub scope: Scope,
    /// What it looks at.
    pub about: About,
    /// How long figures must be beyond their bound, ms.
    pub hold_ms: Millis,
    /// How long figures must be back before the alert is over, ms.
    pub clear_ms: Millis,
    /// After how long without an answer the next level is told, ms; `None`: as configured.
    pub escalate_ms: Option<Millis>,
    /// Each utterance of a contact raises its own alert, not the contact as a whole.
    pub each: bool,
    /// When it holds.
    pub(super) when: Condition,
}

impl Rule {
    /// Whether it looks at what only a running callpulse has: its lag, its rejects, its lake.
    pub fn needs_present(&self) -> bool {
        let of_present =
            |name: &str| !super::fleet::QUEUE_GAUGES.contains(&name) && !name.starts_with("agents_");
        self.when.tests().iter().any(|test| matches!(test, Test::Gauge { name, .. } if of_present(name)))
    }
}

/// What the centre advises where a rule comes true; it stands before the rule's own advice.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Advice {
    /// For these rules only; empty: for all.
    pub rules: Vec<String>,
    /// Where a phrase of these categories was the cause; empty: whatever it was.
    pub categories: Vec<String>,
    /// In these queues only; empty: everywhere.
    pub queues: Vec<String>,
    /// What to do.
    pub text: Text,
}

/// All rules in force.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    /// The centre's zone, for times of day.
    pub zone: Tz,
    /// Which days count for what is due on a later day.
    pub deadlines: Deadlines,
    /// In the order of the files.
    pub rules: Vec<Arc<Rule>>,
    /// Advice, in the order of the files; the first that fits is given.
    pub advice: Vec<Advice>,
    /// Whether any rule looks at words.
    pub(super) reads_words: bool,
}

impl Rules {
    /// Rules of these, in a zone.
    pub fn new(zone: Tz, rules: Vec<Rule>) -> Rules {
        let reads_words = rules.iter().any(|rule| rule.when.reads_words());
        let rules = rules.into_iter().map(Arc::new).collect();
        Rules { zone, deadlines: Deadlines::of_every_day(), rules, advice: Vec::new(), reads_words }
    }

    /// The same rules, where other days count.
    #[must_use]
    pub fn with_deadlines(self, deadlines: Deadlines) -> Rules {
        Rules { deadlines, ..self }
    }

    /// What the centre advises where this rule comes true.
    pub fn advice_for(&self, rule: &str, queue: &str, categories: &[&str]) -> Option<&Text> {
        let listed = |list: &[String], value: &str| list.is_empty() || list.iter().any(|own| own == value);
        let fits = |advice: &&Advice| {
            listed(&advice.rules, rule)
                && listed(&advice.queues, queue)
                && (advice.categories.is_empty()
                    || categories.iter().any(|category| advice.categories.iter().any(|own| own == category)))
        };
        self.advice.iter().find(fits).map(|advice| &advice.text)
    }

    /// The categories of phrases that rules ask for, each with the rule.
    pub fn categories(&self) -> impl Iterator<Item = (&str, &str)> {
        self.rules.iter().flat_map(|rule| {
            let asked = rule.when.tests().into_iter().flat_map(|test| test.categories().iter());
            asked.map(|category| (rule.name.as_str(), category.as_str()))
        })
    }

    /// Whether any rule looks for surges.
    pub fn watches_surges(&self) -> bool {
        let mut tests = self.about(About::Figures).flat_map(|rule| rule.when.tests());
        tests.any(|test| matches!(test, Test::Surge { .. }))
    }

    /// No rule at all.
    pub fn none(zone: Tz) -> Rules {
        Rules::new(zone, Vec::new())
    }

    /// Those that look at this.
    pub(super) fn about(&self, about: About) -> impl Iterator<Item = &Arc<Rule>> {
        self.rules.iter().filter(move |rule| rule.about == about)
    }

    /// Whether any rule looks at single contacts.
    pub fn watches_contacts(&self) -> bool {
        self.rules.iter().any(|rule| !matches!(rule.about, About::Figures | About::Plan))
    }

    /// The rule of this name.
    pub fn get(&self, name: &str) -> Option<&Arc<Rule>> {
        self.rules.iter().find(|rule| rule.name == name)
    }
}
