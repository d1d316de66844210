//! TOML as a tree whose nodes know their lines, and the reading of a table key by key.

use std::collections::BTreeMap;
use std::fmt;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// What is wrong in a file of rules, said so that it can be mended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong, in lower case, the value in backticks.
    pub message: String,
    /// The way out.
    pub hint: Option<String>,
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} ({}, line {})", self.message, self.file, self.line)?;
        match &self.hint {
            Some(hint) => write!(out, "; hint: {hint}"),
            None => Ok(()),
        }
    }
}

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) line: usize,
    pub(super) value: Value,
}

/// A value of TOML, as far as rules need it.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Text(String),
    Number(f64),
    Flag(bool),
    List(Vec<Node>),
    Table(BTreeMap<String, Node>),
    Other,
}

impl Value {
    fn kind(&self) -> &'static str {
        match self {
            Value::Text(_) => "text",
            Value::Number(_) => "a number",
            Value::Flag(_) => "true or false",
            Value::List(_) => "a list",
            Value::Table(_) => "a table",
            Value::Other => "a date or time",
        }
    }
}

/// Parses a file.
pub(super) fn parse(file: &str, text: &str) -> Result<BTreeMap<String, Node>, Vec<Fault>> {
    let (document, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return Ok(table(text, document.into_inner()));
    }
    let fault = |error: &toml::de::Error| Fault {
        file: file.to_owned(),
        line: line_at(text, error.span().unwrap_or_default().start),
        message: format!("not TOML: {}", error.message().replace('\n', ", ")),
        hint: None,
    };
    Err(errors.iter().map(fault).collect())
}

fn line_at(text: &str, offset: usize) -> usize {
    1 + text.as_bytes()[..offset.min(text.len())].iter().filter(|byte| **byte == b'\n').count()
}

fn table(text: &str, table: DeTable<'_>) -> BTreeMap<String, Node> {
    let entries = table.into_iter().map(|(key, value)| {
        let line = line_at(text, key.span().start);
        (key.into_inner().into_owned(), Node { line, value: node(text, value).value })
    });
    entries.collect()
}

fn node(text: &str, value: Spanned<DeValue<'_>>) -> Node {
    let line = line_at(text, value.span().start);
    let value = match value.into_inner() {
        DeValue::String(text) => Value::Text(text.into_owned()),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Value::Number(number as f64),
            Err(_) => Value::Other,
        },
        DeValue::Float(number) => number.as_str().parse().map_or(Value::Other, Value::Number),
        DeValue::Boolean(flag) => Value::Flag(flag),
        DeValue::Datetime(_) => Value::Other,
        DeValue::Array(items) => Value::List(items.into_iter().map(|item| node(text, item)).collect()),
        DeValue::Table(inner) => Value::Table(table(text, inner)),
    };
    Node { line, value }
}

/// A table that is being read; what is wrong is noted and read as nothing, so that every fault is found.
pub(super) struct Table<'t> {
    file: &'t str,
    pub(super) line: usize,
    /// What it is, for messages: `rule "churn"`.
    what: String,
    entries: &'t BTreeMap<String, Node>,
    asked: Vec<&'static str>,
}

impl<'t> Table<'t> {
    pub(super) fn new(
        file: &'t str,
        line: usize,
        what: String,
        entries: &'t BTreeMap<String, Node>,
    ) -> Table<'t> {
        Table { file, line, what, entries, asked: Vec::new() }
    }

    pub(super) fn fault(&self, line: usize, message: String, hint: Option<String>) -> Fault {
        Fault { file: self.file.to_owned(), line, message: format!("{}: {message}", self.what), hint }
    }

    pub(super) fn get(&mut self, key: &'static str) -> Option<&'t Node> {
        self.asked.push(key);
        self.entries.get(key)
    }

    pub(super) fn line_of(&self, key: &str) -> usize {
        self.entries.get(key).map_or(self.line, |node| node.line)
    }

    fn wrong_kind(&self, key: &str, node: &Node, wanted: &str, faults: &mut Vec<Fault>) {
        let message = format!("`{key}` must be {wanted}, and is {}", node.value.kind());
        faults.push(self.fault(node.line, message, None));
    }

    pub(super) fn text(&mut self, key: &'static str, faults: &mut Vec<Fault>) -> Option<String> {
        let node = self.get(key)?;
        match &node.value {
            Value::Text(text) => Some(text.clone()),
            _ => {
                self.wrong_kind(key, node, "text", faults);
                None
            }
        }
    }

    pub(super) fn number(
        &mut self,
        key: &'static str,
        (low, high): (f64, f64),
        faults: &mut Vec<Fault>,
    ) -> Option<f64> {
        let node = self.get(key)?;
        match node.value {
            Value::Number(number) if (low..=high).contains(&number) => Some(number),
            Value::Number(number) => {
                let hint = format!("it lies between {low} and {high}");
                let message = format!("`{key}` is out of range: `{number}`");
                faults.push(self.fault(node.line, message, Some(hint)));
                None
            }
            _ => {
                self.wrong_kind(key, node, "a number", faults);
                None
            }
        }
    }

    pub(super) fn flag(&mut self, key: &'static str, faults: &mut Vec<Fault>) -> Option<bool> {
        let node = self.get(key)?;
        match node.value {
            Value::Flag(flag) => Some(flag),
            _ => {
                self.wrong_kind(key, node, "true or false", faults);
                None
            }
        }
    }

    /// One text, or a list of texts; empty where the key is absent.
    pub(super) fn texts(&mut self, key: &'static str, faults: &mut Vec<Fault>) -> Vec<String> {
        let Some(node) = self.get(key) else { return Vec::new() };
        match &node.value {
            Value::Text(text) => vec![text.clone()],
            Value::List(items) => {
                let mut texts = Vec::new();
                for item in items {
                    match &item.value {
                        Value::Text(text) => texts.push(text.clone()),
                        _ => self.wrong_kind(key, item, "a list of texts", faults),
                    }
                }
                texts
            }
            _ => {
                self.wrong_kind(key, node, "text, or a list of texts", faults);
                Vec::new()
            }
        }
    }

    /// Notes that a key is needed and absent.
    pub(super) fn missing(&self, key: &str, hint: &str, faults: &mut Vec<Fault>) {
        faults.push(self.fault(self.line, format!("`{key}` is missing"), Some(hint.to_owned())));
    }

    /// Refuses the keys that nobody asked for.
    pub(super) fn finish(self, faults: &mut Vec<Fault>) {
        for (key, node) in self.entries {
            if self.asked.contains(&key.as_str()) {
                continue;
            }
            let hint = match nearest(key, self.asked.iter().copied()) {
                Some(near) => format!("the nearest key is `{near}`"),
                None => format!("known here are `{}`", self.asked.join("`, `")),
            };
            faults.push(self.fault(node.line, format!("unknown key `{key}`"), Some(hint)));
        }
    }
}

/// The name nearest to `wrong`, if it is near enough to be meant.
pub(super) fn nearest<'n>(wrong: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let bound = (wrong.chars().count() / 3).clamp(1, 4);
    let near = names.into_iter().map(|name| (distance(wrong, name), name));
    near.filter(|(distance, _)| *distance <= bound).min().map(|(_, name)| name)
}

/// Insertions, deletions, replacements and swaps of neighbours that lead from one word to the other.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut next = vec![i];
        for j in 1..=b.len() {
            let replaced = row[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = replaced.min(row[j] + 1).min(next[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(before[j - 2] + 1);
            }
            next.push(least);
        }
        before = std::mem::replace(&mut row, next);
    }
    row[b.len()]
}
