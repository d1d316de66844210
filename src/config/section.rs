//! Reads one table of the configuration, key by key, and remembers which keys there are.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::fault::{Fault, nearest};
use super::raw::{Node, Origin, Table, Value};

/// A table that is being read.
///
/// A wrong value is noted as a fault and read as nothing (0, empty, false), so that reading goes on and every fault is
/// found; whoever reads must look at the faults in the end.
pub(super) struct Section<'c> {
    /// `None` where something else than a table was written.
    table: Option<&'c Table>,
    path: String,
    origin: Origin,
    faults: &'c RefCell<Vec<Fault>>,
    asked: Vec<&'static str>,
}

impl<'c> Section<'c> {
    pub(super) fn root(table: &'c Table, faults: &'c RefCell<Vec<Fault>>) -> Self {
        let origin = Origin { file: "config/default.toml".into(), line: None };
        Self { table: Some(table), path: String::new(), origin, faults, asked: Vec::new() }
    }

    /// The whole of another file.
    pub(super) fn file(table: &'c Table, file: &str, faults: &'c RefCell<Vec<Fault>>) -> Self {
        let origin = Origin { file: file.into(), line: None };
        Self { table: Some(table), path: String::new(), origin, faults, asked: Vec::new() }
    }

    /// Tells whether `key` was written; it counts as asked for.
    pub(super) fn has(&mut self, key: &'static str) -> bool {
        self.optional(key).is_some()
    }

    /// The keys of a table of names that others give.
    pub(super) fn names(&self) -> Vec<String> {
        self.table.into_iter().flatten().map(|(name, _)| name.clone()).collect()
    }

    /// The text under a name that others give, where it is text.
    pub(super) fn plain_text(&self, name: &str) -> Option<String> {
        match self.table.and_then(|table| table.get(name)).map(|node| &node.value) {
            Some(Value::Text { value, .. }) => Some(value.clone()),
            _ => None,
        }
    }

    /// The table under a name that others give.
    pub(super) fn named(&self, name: &str) -> Section<'c> {
        let (faults, path) = (self.faults, self.name(name));
        match self.table.and_then(|table| table.get(name)) {
            Some(node) => Self::of(node, path, faults),
            None => Section { table: None, path, origin: self.origin.clone(), faults, asked: Vec::new() },
        }
    }

    /// A table of names that others give, each with a word or a list of words; numbers and flags are read as words.
    pub(super) fn word_lists(&self) -> Vec<(String, Vec<String>)> {
        let word = |node: &Node| match &node.value {
            Value::Text { value, .. } => Some(value.clone()),
            Value::Integer(number) => Some(number.to_string()),
            Value::Flag(flag) => Some(flag.to_string()),
            _ => None,
        };
        let mut lists = Vec::new();
        for (name, node) in self.table.into_iter().flatten() {
            let words: Option<Vec<String>> = match &node.value {
                Value::List(items) => items.iter().map(word).collect(),
                _ => word(node).map(|word| vec![word]),
            };
            match words {
                Some(words) => lists.push((name.clone(), words)),
                None => self.wrong_kind(name, node, "text, or a list of texts"),
            }
        }
        lists
    }

    /// The table under `key`.
    pub(super) fn section(&mut self, key: &'static str) -> Section<'c> {
        let (faults, path) = (self.faults, self.name(key));
        match self.required(key) {
            Some(node) => Self::of(node, path, faults),
            None => Section { table: None, path, origin: self.origin.clone(), faults, asked: Vec::new() },
        }
    }

    /// The tables in the list under `key`.
    pub(super) fn sections(&mut self, key: &'static str) -> Vec<Section<'c>> {
        let (faults, path) = (self.faults, self.name(key));
        match self.required(key) {
            Some(Node { value: Value::List(items), .. }) => {
                items.iter().map(|item| Self::of(item, path.clone(), faults)).collect()
            }
            Some(node) => {
                self.wrong_kind(key, node, "a list of tables");
                Vec::new()
            }
            None => Vec::new(),
        }
    }

    fn of(node: &'c Node, path: String, faults: &'c RefCell<Vec<Fault>>) -> Self {
        let table = match &node.value {
            Value::Table(table) => Some(table),
            Value::Broken => None,
            other => {
                let message = format!("`{path}` must be a table, and is {}", other.kind());
                faults.borrow_mut().push(node.origin.fault(message, None));
                None
            }
        };
        Self { table, path, origin: node.origin.clone(), faults, asked: Vec::new() }
    }

    pub(super) fn text(&mut self, key: &'static str) -> String {
        self.required(key).and_then(|node| self.as_text(key, node)).unwrap_or_default()
    }

    pub(super) fn optional_text(&mut self, key: &'static str) -> Option<String> {
        self.optional(key).and_then(|node| self.as_text(key, node))
    }

    /// Texts joined by commas, or a list of texts.
    pub(super) fn text_list(&mut self, key: &'static str) -> Vec<String> {
        let Some(node) = self.required(key) else { return Vec::new() };
        match &node.value {
            Value::Text { value, .. } => value.split(',').map(|part| part.trim().to_owned()).collect(),
            Value::List(items) => items.iter().filter_map(|item| self.as_text(key, item)).collect(),
            _ => {
                self.wrong_kind(key, node, "text, or a list of texts");
                Vec::new()
            }
        }
    }

    /// As [`Section::text_list`], where the key may be left out.
    pub(super) fn optional_text_list(&mut self, key: &'static str) -> Option<Vec<String>> {
        self.table.is_some_and(|table| table.contains_key(key)).then(|| self.text_list(key)).or_else(|| {
            self.asked.push(key);
            None
        })
    }

    /// As [`Section::flag`], where the key may be left out.
    pub(super) fn optional_flag(&mut self, key: &'static str) -> Option<bool> {
        self.optional(key).and_then(|node| self.as_flag(key, node))
    }

    pub(super) fn integer(&mut self, key: &'static str, range: RangeInclusive<i64>) -> i64 {
        self.required(key).and_then(|node| self.as_integer(key, node, range)).unwrap_or_default()
    }

    pub(super) fn optional_integer(&mut self, key: &'static str, range: RangeInclusive<i64>) -> Option<i64> {
        self.optional(key).and_then(|node| self.as_integer(key, node, range))
    }

    pub(super) fn flag(&mut self, key: &'static str) -> bool {
        self.required(key).and_then(|node| self.as_flag(key, node)).unwrap_or_default()
    }

    /// A table of names that others give their meaning, with texts, numbers or flags as values; read as text.
    pub(super) fn texts(&mut self, key: &'static str) -> BTreeMap<String, String> {
        let mut texts = BTreeMap::new();
        let section = self.section(key);
        for (name, node) in section.table.into_iter().flatten() {
            let text = match &node.value {
                Value::Text { value, .. } => value.clone(),
                Value::Integer(number) => number.to_string(),
                Value::Flag(flag) => flag.to_string(),
                Value::Broken => continue,
                other => {
                    let message = format!("`{}.{name}` must be text, and is {}", section.path, other.kind());
                    self.faults.borrow_mut().push(node.origin.fault(message, None));
                    continue;
                }
            };
            texts.insert(name.clone(), text);
        }
        texts
    }

    /// Where `key` was written, or the table if it was not.
    pub(super) fn origin(&self, key: &str) -> &Origin {
        self.table.and_then(|table| table.get(key)).map_or(&self.origin, |node| &node.origin)
    }

    /// The value of `key` as it may be shown: as written, before variables were replaced.
    pub(super) fn written(&self, key: &str) -> String {
        match self.table.and_then(|table| table.get(key)).map(|node| &node.value) {
            Some(Value::Text { written, .. }) => written.clone(),
            Some(Value::Integer(number)) => number.to_string(),
            _ => String::new(),
        }
    }

    /// Tells whether `key` holds an empty list.
    pub(super) fn has_empty_list(&self, key: &str) -> bool {
        let node = self.table.and_then(|table| table.get(key));
        node.is_some_and(|node| matches!(&node.value, Value::List(items) if items.is_empty()))
    }

    /// Tells whether `key` holds text, so that what is wrong with the text is worth saying.
    pub(super) fn has_text(&self, key: &str) -> bool {
        let node = self.table.and_then(|table| table.get(key));
        node.is_some_and(|node| matches!(node.value, Value::Text { .. }))
    }

    /// Notes that the value of `key` cannot be used.
    pub(super) fn refuse(&self, key: &str, message: String, hint: Option<String>) {
        self.faults.borrow_mut().push(self.origin(key).fault(message, hint));
    }

    /// Notes a fault of a file that a key names.
    pub(super) fn pass_on(&self, fault: Fault) {
        self.faults.borrow_mut().push(fault);
    }

    /// The key with the names of its tables.
    pub(super) fn name(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Refuses every key that was not asked for. `everywhere` are all keys there are, to tell what belongs elsewhere.
    pub(super) fn finish(self, everywhere: &[String]) {
        for (key, node) in self.table.into_iter().flatten() {
            if self.asked.contains(&key.as_str()) {
                continue;
            }
            let elsewhere = everywhere.iter().find(|path| path.rsplit('.').next() == Some(key));
            let hint = match (nearest(key, self.asked.iter().copied()), elsewhere) {
                (Some(near), _) => format!("the nearest key is `{}`", self.name(near)),
                (None, Some(path)) => format!("there is a key `{path}`"),
                (None, None) => format!("known here are {}", known(&self.asked)),
            };
            let message = format!("unknown key `{}`", self.name(key));
            self.faults.borrow_mut().push(node.origin.fault(message, Some(hint)));
        }
    }

    fn required(&mut self, key: &'static str) -> Option<&'c Node> {
        let node = self.optional(key);
        if node.is_none() && self.table.is_some() {
            self.refuse(key, format!("`{}` is missing", self.name(key)), None);
        }
        node
    }

    fn optional(&mut self, key: &'static str) -> Option<&'c Node> {
        self.asked.push(key);
        self.table?.get(key)
    }

    fn as_text(&self, key: &str, node: &Node) -> Option<String> {
        match &node.value {
            Value::Text { value, .. } => Some(value.clone()),
            _ => {
                self.wrong_kind(key, node, "text");
                None
            }
        }
    }

    fn as_integer(&self, key: &str, node: &Node, range: RangeInclusive<i64>) -> Option<i64> {
        let number = match &node.value {
            Value::Integer(number) => Some(*number),
            // A variable has no other type than text.
            Value::Text { value, written } if value != written => value.trim().parse().ok(),
            _ => None,
        };
        let Some(number) = number else {
            self.wrong_kind(key, node, "a whole number");
            return None;
        };
        if !range.contains(&number) {
            let shown = if let Value::Text { written, .. } = &node.value {
                written.clone()
            } else {
                number.to_string()
            };
            let message = format!("`{}` is out of range: `{shown}`", self.name(key));
            let hint = format!("it lies between {} and {}", range.start(), range.end());
            self.faults.borrow_mut().push(node.origin.fault(message, Some(hint)));
            return None;
        }
        Some(number)
    }

    fn as_flag(&self, key: &str, node: &Node) -> Option<bool> {
        let flag = match &node.value {
            Value::Flag(flag) => Some(*flag),
            Value::Text { value, written } if value != written => value.trim().parse().ok(),
            _ => None,
        };
        if flag.is_none() {
            self.wrong_kind(key, node, "true or false");
        }
        flag
    }

    fn wrong_kind(&self, key: &str, node: &Node, wanted: &str) {
        if matches!(node.value, Value::Broken) {
            return;
        }
        let message = format!("`{}` must be {wanted}, and is {}", self.name(key), node.value.kind());
        self.faults.borrow_mut().push(node.origin.fault(message, None));
    }
}

fn known(keys: &[&str]) -> String {
    keys.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ")
}
