//! Word lists as they are written: TOML, with the line of everything that is wrong.
//!
//! Reads no file: texts come with the names under which faults mention them.

use std::fmt;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::pattern::{self, Pattern};
use crate::event::Speaker;

/// What is wrong with a lexicon, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The file, as it was named.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {} ({}, line {})", self.message, self.file, self.line)?;
        match &self.hint {
            Some(hint) => write!(f, "\n\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

/// What the phrases of a list do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Role {
    /// They carry a weight, and are told as hits where the list has a category.
    Word,
    /// They turn what follows them (不, not).
    Negation,
    /// They make what follows them stronger or weaker (很, very).
    Degree,
    /// They only look like other phrases: what lies inside them is not found (不好意思).
    Exclude,
    /// What follows them matters more than what stands before (但是, but).
    Contrast,
    /// They make a statement a question that expects its opposite (难道).
    Doubt,
}

const ROLES: [(&str, Role); 6] = [
    ("word", Role::Word),
    ("negation", Role::Negation),
    ("degree", Role::Degree),
    ("exclude", Role::Exclude),
    ("contrast", Role::Contrast),
    ("doubt", Role::Doubt),
];

/// The keys of a list.
const KEYS: [&str; 12] = [
    "category",
    "role",
    "weight",
    "factor",
    "speakers",
    "negatable",
    "unless",
    "near",
    "within",
    "words",
    "phrases",
    "note",
];

/// Farthest that `near` and `unless` may look, characters.
const WITHIN_MAX: i64 = 50;
/// How far `unless` looks where the list does not say, characters.
const WITHIN: u32 = 8;

/// One list of phrases with what holds for all of them.
#[derive(Debug, Clone)]
pub(super) struct List {
    pub(super) category: Option<Arc<str>>,
    pub(super) role: Role,
    /// Weight of words, factor of degree words.
    pub(super) weight: f32,
    /// Bits of [`Speaker`]s who are heard.
    pub(super) speakers: u8,
    pub(super) negatable: bool,
    pub(super) unless: Vec<Pattern>,
    pub(super) near: Vec<Pattern>,
    pub(super) within: u32,
    pub(super) phrases: Vec<Pattern>,
}

/// One file of word lists, read and checked.
#[derive(Debug, Clone)]
pub struct Lexicon {
    pub(super) lists: Vec<List>,
}

impl Lexicon {
    /// The lists that are compiled in, by the names under which the configuration mentions them.
    pub const SHIPPED: [(&'static str, &'static str); 3] = [
        ("zh_words", include_str!("../../config/lexicons/zh_words.toml")),
        ("zh_service", include_str!("../../config/lexicons/zh_service.toml")),
        ("en", include_str!("../../config/lexicons/en.toml")),
    ];

    /// Reads the lists of one file.
    ///
    /// # Errors
    /// Everything that is wrong, with its line.
    pub fn parse(file: &str, text: &str) -> Result<Lexicon, Vec<Fault>> {
        let mut reading = Reading { file, text, faults: Vec::new() };
        let (document, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            let at = error.span().unwrap_or_default().start;
            reading.fault(at, format!("not TOML: {}", error.message().replace('\n', ", ")), None);
        }
        let lists = if errors.is_empty() { reading.document(&document) } else { Vec::new() };
        if reading.faults.is_empty() { Ok(Lexicon { lists }) } else { Err(reading.faults) }
    }
}

struct Reading<'t> {
    file: &'t str,
    text: &'t str,
    faults: Vec<Fault>,
}

impl Reading<'_> {
    fn line(&self, at: usize) -> usize {
        1 + self.text.as_bytes()[..at.min(self.text.len())].iter().filter(|byte| **byte == b'\n').count()
    }

    fn fault(&mut self, at: usize, message: String, hint: Option<&str>) {
        let line = self.line(at);
        self.fault_at_line(line, message, hint);
    }

    fn fault_at_line(&mut self, line: usize, message: String, hint: Option<&str>) {
        let hint = hint.map(str::to_owned);
        self.faults.push(Fault { file: self.file.to_owned(), line, message, hint });
    }

    fn document(&mut self, document: &Spanned<DeTable<'_>>) -> Vec<List> {
        let mut lists = Vec::new();
        for (key, value) in document.get_ref() {
            match (key.get_ref().as_ref(), value.get_ref()) {
                ("list", DeValue::Array(items)) => {
                    for item in items.iter() {
                        match item.get_ref() {
                            DeValue::Table(table) => lists.extend(self.list(table, item.span().start)),
                            _ => self.fault(item.span().start, "a list is no table".to_owned(), Some(LIST)),
                        }
                    }
                }
                ("language" | "title" | "note", DeValue::String(_)) => {}
                (name, _) => {
                    let message = format!("unknown or misplaced key `{name}`");
                    self.fault(key.span().start, message, Some(LIST));
                }
            }
        }
        lists
    }

    fn list(&mut self, table: &DeTable<'_>, at: usize) -> Option<List> {
        let before = self.faults.len();
        for key in table.keys() {
            let name = key.get_ref().as_ref();
            if !KEYS.contains(&name) {
                let hint = format!("known are `{}`", KEYS.join("`, `"));
                self.fault(key.span().start, format!("unknown key `{name}`"), Some(&hint));
            }
        }
        let category = self.text_of(table, "category").map(|(name, at)| {
            let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            if name.is_empty() || name.len() > 40 || !name.chars().all(fits) {
                let hint = "up to 40 small letters, digits and `_`: it becomes a label of metrics";
                self.fault(at, format!("`{name}` is no name of a category"), Some(hint));
            }
            Arc::from(name.as_str())
        });
        let role = self.text_of(table, "role").map_or(Role::Word, |(name, at)| {
            match ROLES.iter().find(|(known, _)| *known == name) {
                Some((_, role)) => *role,
                None => {
                    let known: Vec<&str> = ROLES.iter().map(|(known, _)| *known).collect();
                    let hint = format!("known are `{}`", known.join("`, `"));
                    self.fault(at, format!("unknown role `{name}`"), Some(&hint));
                    Role::Word
                }
            }
        });
        let weight = self.number_of(table, "weight", -1.0, 1.0);
        let factor = self.number_of(table, "factor", 0.1, 3.0);
        if category.is_some() && role != Role::Word {
            self.fault(at, "a list with a `role` has no `category`".to_owned(), None);
        }
        if category.is_none() && role == Role::Word && weight.is_none() {
            let hint = "give it a `category`, a `weight`, or both";
            self.fault(at, "the list has neither category nor weight".to_owned(), Some(hint));
        }
        if (role == Role::Degree) != factor.is_some() {
            let hint = "`factor` is what a degree word multiplies by: above 1 stronger, below 1 weaker";
            self.fault(at, "`factor` goes with the role `degree`".to_owned(), Some(hint));
        }
        let speakers = self.speakers(table);
        let within = self.within(table);
        let list = List {
            category,
            role,
            weight: factor.or(weight).unwrap_or(0.0) as f32,
            speakers,
            negatable: self.flag_of(table, "negatable").unwrap_or(true),
            unless: self.markers(table, "unless"),
            near: self.markers(table, "near"),
            within,
            phrases: {
                let mut all = self.patterns(table, "words", true);
                all.extend(self.patterns(table, "phrases", false));
                all
            },
        };
        if list.phrases.is_empty() && self.faults.len() == before {
            let hint = "`words` are separated by white space, `phrases` by line breaks";
            self.fault(at, "the list has no phrase".to_owned(), Some(hint));
        }
        (self.faults.len() == before).then_some(list)
    }

    fn text_of(&mut self, table: &DeTable<'_>, key: &str) -> Option<(String, usize)> {
        let value = table.get(key)?;
        match value.get_ref() {
            DeValue::String(text) => Some((text.to_string(), value.span().start)),
            _ => {
                self.fault(value.span().start, format!("`{key}` is no text"), None);
                None
            }
        }
    }

    fn flag_of(&mut self, table: &DeTable<'_>, key: &str) -> Option<bool> {
        let value = table.get(key)?;
        match value.get_ref() {
            DeValue::Boolean(flag) => Some(*flag),
            _ => {
                self.fault(value.span().start, format!("`{key}` is neither true nor false"), None);
                None
            }
        }
    }

    fn number_of(&mut self, table: &DeTable<'_>, key: &str, min: f64, max: f64) -> Option<f64> {
        let value = table.get(key)?;
        let number = match value.get_ref() {
            DeValue::Float(number) => number.as_str().parse::<f64>().ok(),
            DeValue::Integer(number) => number.as_str().parse::<f64>().ok(),
            _ => None,
        };
        let written = &self.text[value.span()];
        if !number.is_some_and(|number| (min..=max).contains(&number)) {
            let message = format!("`{key}` must be a number from {min} to {max}, not `{written}`");
            self.fault(value.span().start, message, None);
        }
        number
    }

    fn within(&mut self, table: &DeTable<'_>) -> u32 {
        let Some(value) = table.get("within") else { return WITHIN };
        let number = match value.get_ref() {
            DeValue::Integer(number) => number.as_str().parse::<i64>().ok(),
            _ => None,
        };
        match number {
            Some(number) if (1..=WITHIN_MAX).contains(&number) => number as u32,
            _ => {
                let message = format!("`within` must be a number of characters from 1 to {WITHIN_MAX}");
                self.fault(value.span().start, message, None);
                WITHIN
            }
        }
    }

    fn speakers(&mut self, table: &DeTable<'_>) -> u8 {
        let Some(value) = table.get("speakers") else { return u8::MAX };
        let DeValue::Array(items) = value.get_ref() else {
            self.fault(value.span().start, "`speakers` is no list".to_owned(), Some(SPEAKERS));
            return u8::MAX;
        };
        let mut bits = 0;
        for item in items.iter() {
            let speaker = match item.get_ref() {
                DeValue::String(name) => Speaker::parse(name),
                _ => None,
            };
            match speaker {
                Some(speaker) => bits |= 1 << speaker as u8,
                None => {
                    let message = format!("unknown speaker `{}`", &self.text[item.span()]);
                    self.fault(item.span().start, message, Some(SPEAKERS));
                }
            }
        }
        bits
    }

    /// Words that are only looked for around a phrase.
    fn markers(&mut self, table: &DeTable<'_>, key: &str) -> Vec<Pattern> {
        let patterns = self.patterns(table, key, true);
        if let Some(parts) = patterns.iter().find(|pattern| !pattern.rest.is_empty()) {
            let at = table.get(key).map_or(0, |value| value.span().start);
            self.fault(at, format!("`{key}` takes plain words, not `{}`", parts.shown), None);
        }
        patterns
    }

    /// The phrases under `key`: a list of texts, or one text with a phrase a line (or a word, with `spaced`).
    fn patterns(&mut self, table: &DeTable<'_>, key: &str, spaced: bool) -> Vec<Pattern> {
        let Some(value) = table.get(key) else { return Vec::new() };
        let mut written: Vec<(usize, String)> = Vec::new();
        match value.get_ref() {
            DeValue::String(text) => {
                let mut line = self.line(value.span().start);
                let opening = &self.text[value.span()];
                if opening.starts_with("\"\"\"\n") || opening.starts_with("'''\n") {
                    line += 1;
                }
                for (offset, row) in text.lines().enumerate() {
                    if spaced {
                        written.extend(row.split_whitespace().map(|word| (line + offset, word.to_owned())));
                    } else if !row.trim().is_empty() {
                        written.push((line + offset, row.trim().to_owned()));
                    }
                }
            }
            DeValue::Array(items) => {
                for item in items.iter() {
                    let line = self.line(item.span().start);
                    match item.get_ref() {
                        DeValue::String(text) => written.push((line, text.trim().to_owned())),
                        _ => {
                            self.fault_at_line(line, format!("`{key}` holds something else than text"), None)
                        }
                    }
                }
            }
            _ => self.fault(value.span().start, format!("`{key}` is neither text nor a list"), None),
        }
        let mut patterns = Vec::with_capacity(written.len());
        for (line, text) in written {
            match pattern::parse(&text) {
                Ok(found) => patterns.extend(found),
                Err(message) => {
                    self.fault_at_line(line, format!("{message}: `{text}`"), Some(PATTERN));
                }
            }
        }
        patterns
    }
}

const LIST: &str = "a lexicon has `language` and any number of `[[list]]`";
const SPEAKERS: &str = "speakers are `customer`, `agent`, `bot` and `system`";
const PATTERN: &str = "a phrase is text with `(a|b)` for one of several, `{n}` for a number, `{0-6}` for up to six \
                       characters between, and `*` at the end of a word for any ending";

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<String> {
        let faults = Lexicon::parse("mine.toml", text).expect_err("something is wrong");
        faults.iter().map(|fault| format!("{}: {}", fault.line, fault.message)).collect()
    }

    #[test]
    fn faults_name_their_lines() {
        let text = "language = \"zh\"\n[[list]]\ncategory = \"Churn!\"\nweight = -2\nphrases = \"\"\"\n我要销户\n(退\n\"\"\"\n";
        assert_eq!(
            faults(text),
            [
                "3: `Churn!` is no name of a category",
                "4: `weight` must be a number from -1 to 1, not `-2`",
                "7: `(` is not closed: `(退`",
            ]
        );
        assert_eq!(faults("list = 3"), ["1: unknown or misplaced key `list`"]);
        assert_eq!(
            faults("[[list]]\nwieght = 1\nwords = \"a b\""),
            ["2: unknown key `wieght`", "1: the list has neither category nor weight"]
        );
        assert_eq!(
            faults("[[list]]\nrole = \"degree\"\nwords = \"很\""),
            ["1: `factor` goes with the role `degree`"]
        );
        assert_eq!(
            faults("[[list]]\ncategory = \"a\"\nspeakers = [\"boss\"]\nphrases = [\"x\", 3]"),
            ["3: unknown speaker `\"boss\"`", "4: `phrases` holds something else than text"]
        );
        assert_eq!(faults("[[list]]\ncategory = \"a\""), ["1: the list has no phrase"]);
        assert!(faults("[[list]\n")[0].starts_with("1: not TOML"));
    }

    #[test]
    fn the_shipped_lists_are_right() {
        for (name, text) in Lexicon::SHIPPED {
            if let Err(faults) = Lexicon::parse(name, text) {
                panic!("{}", faults.iter().map(|fault| format!("{fault}\n")).collect::<String>());
            }
        }
    }
}
