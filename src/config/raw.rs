//! What was written: values with their places, and the layers they come in.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fault::{Fault, nearest};

/// Keys and what stands under them.
pub(super) type Table = BTreeMap<String, Node>;

/// A value and where it was written.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) origin: Origin,
}

/// A value as written.
#[derive(Debug, Clone)]
pub(super) enum Value {
    /// Text: what it means, and how it was written before `${…}` was replaced. Messages show the latter.
    Text {
        value: String,
        written: String,
    },
    Integer(i64),
    Flag(bool),
    /// A kind of value that no key takes.
    Other(&'static str),
    /// Text whose variables could not be replaced. That has been said; nothing more is.
    Broken,
    List(Vec<Node>),
    Table(Table),
}

impl Value {
    fn text(text: &str) -> Self {
        Self::Text { value: text.to_owned(), written: text.to_owned() }
    }

    /// What kind of value it is, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Text { .. } => "text",
            Self::Integer(_) => "a whole number",
            Self::Flag(_) => "true or false",
            Self::Other(kind) => kind,
            Self::Broken => "broken",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
        }
    }
}

/// Where a value was written: a file and a line, or a setting of the command line or the environment.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    pub(super) file: Rc<str>,
    pub(super) line: Option<usize>,
}

impl Origin {
    pub(super) fn fault(&self, message: String, hint: Option<String>) -> Fault {
        Fault { file: self.file.to_string(), line: self.line, message, hint }
    }
}

/// All layers, merged; what is wrong with their form is in `faults`.
#[derive(Debug)]
pub(super) struct Layers {
    pub(super) merged: Table,
    /// The paths of the keys that have a default.
    pub(super) keys: Vec<Vec<String>>,
    pub(super) faults: Vec<Fault>,
    pub(super) warnings: Vec<Fault>,
}

impl Layers {
    /// Starts with the compiled-in defaults.
    pub(super) fn new(defaults: &str) -> Self {
        let (merged, keys, faults, warnings) = (Table::new(), Vec::new(), Vec::new(), Vec::new());
        let mut layers = Self { merged, keys, faults, warnings };
        if let Some(table) = layers.parse("config/default.toml", defaults) {
            layers.keys = key_paths(&table);
            layers.merged = table;
        }
        layers
    }

    /// Adds the configuration file.
    pub(super) fn add_file(&mut self, path: &Path, env: &BTreeMap<String, String>) {
        let name = path.display().to_string();
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => {
                let origin = Origin { file: name.as_str().into(), line: None };
                let hint = "`-c` takes the path of a TOML file, and may be left out".to_owned();
                self.faults.push(origin.fault(format!("cannot read the configuration: {error}"), Some(hint)));
                return;
            }
        };
        if let Some(table) = self.parse(&name, &text) {
            self.add(table, env, path.parent().unwrap_or(Path::new("")));
        }
    }

    /// Adds the settings of the environment: `CALLPULSE_KAFKA_BROKERS` or `CALLPULSE_KAFKA__BROKERS`.
    ///
    /// A variable that names no key is left alone, since others use the prefix too (Kubernetes makes
    /// `CALLPULSE_SERVICE_HOST` of a service's name); one that nearly names a key is warned of.
    pub(super) fn add_environment(&mut self, env: &BTreeMap<String, String>) {
        let names: BTreeMap<_, _> =
            self.keys.iter().map(|path| (variable_name(path), path.clone())).collect();
        for (variable, value) in env {
            let Some(name) = variable.strip_prefix("CALLPULSE_") else { continue };
            let origin = Origin { file: format!("environment variable {variable}").into(), line: None };
            if let Some(path) = names.get(&name.replace("__", "_")) {
                let path = path.clone();
                self.add_setting(&path, value, &origin, env);
            } else if let Some(near) = nearest(name, names.keys().map(String::as_str)) {
                let hint = format!("the nearest name is `CALLPULSE_{near}`");
                self.warnings.push(origin.fault(format!("`{variable}` names no key"), Some(hint)));
            }
        }
    }

    /// Adds one `key=value` of the command line.
    pub(super) fn add_set(&mut self, setting: &str, env: &BTreeMap<String, String>) {
        let origin = |file: &str| Origin { file: file.into(), line: None };
        let Some((key, value)) = split_setting(setting) else {
            // The text is not shown: it may be a secret whose key was forgotten.
            let hint = "write `--set key=value`, e.g. `--set slot_minutes=15`".to_owned();
            self.faults.push(origin("--set").fault("a setting has no `=`".to_owned(), Some(hint)));
            return;
        };
        let origin = origin(&format!("--set {key}"));
        match key_path(key) {
            Some(path) => self.add_setting(&path, value, &origin, env),
            None => {
                let hint = "keys are joined by dots, e.g. `kafka.group`".to_owned();
                self.faults.push(origin.fault(format!("`{key}` is not a key"), Some(hint)));
            }
        }
    }

    fn add_setting(&mut self, path: &[String], value: &str, origin: &Origin, env: &BTreeMap<String, String>) {
        let mut value = match (parse_value(value, origin), self.at(path)) {
            (Some(Value::Text { value, written }), _) => Value::Text { value, written },
            // A group named 7 is text, although 7 is a number.
            (_, Some(Value::Text { .. })) | (None, _) => Value::text(value),
            (Some(parsed), _) => parsed,
        };
        for key in path.iter().skip(1).rev() {
            let node = Node { value, origin: origin.clone() };
            value = Value::Table(Table::from([(key.clone(), node)]));
        }
        let node = Node { value, origin: origin.clone() };
        self.add(Table::from([(path[0].clone(), node)]), env, Path::new(""));
    }

    fn at(&self, path: &[String]) -> Option<&Value> {
        let (last, tables) = path.split_last()?;
        let mut table = &self.merged;
        for key in tables {
            let Value::Table(inner) = &table.get(key)?.value else { return None };
            table = inner;
        }
        Some(&table.get(last)?.value)
    }

    pub(super) fn parse(&mut self, file: &str, text: &str) -> Option<Table> {
        let file: Rc<str> = file.into();
        let (document, errors) = DeTable::parse_recoverable(text);
        let lines = Lines { file: &file, text };
        for error in &errors {
            let origin = lines.origin(error.span().unwrap_or_default().start);
            self.faults
                .push(origin.fault(format!("not TOML: {}", error.message().replace('\n', ", ")), None));
        }
        errors.is_empty().then(|| lines.table(document.into_inner()))
    }

    fn add(&mut self, mut table: Table, env: &BTreeMap<String, String>, directory: &Path) {
        flatten_properties(&mut table);
        let mut replace = Replace { env, directory, faults: &mut self.faults };
        table.values_mut().for_each(|node| replace.node(node));
        merge(&mut self.merged, table);
    }
}

/// Lays `upper` over `lower`: tables key by key, everything else whole.
fn merge(lower: &mut Table, upper: Table) {
    for (key, node) in upper {
        match (lower.get_mut(&key).map(|node| &mut node.value), node.value) {
            (Some(Value::Table(lower)), Value::Table(upper)) => merge(lower, upper),
            (_, value) => {
                lower.insert(key, Node { value, origin: node.origin });
            }
        }
    }
}

/// Joins what TOML takes apart: under `kafka.properties`, `sasl.password` is one name and not a table `sasl`.
fn flatten_properties(layer: &mut Table) {
    let Some(Value::Table(kafka)) = layer.get_mut("kafka").map(|node| &mut node.value) else { return };
    let Some(Value::Table(properties)) = kafka.get_mut("properties").map(|node| &mut node.value) else {
        return;
    };
    let mut flat = Table::new();
    flatten("", std::mem::take(properties), &mut flat);
    *properties = flat;
}

fn flatten(prefix: &str, table: Table, flat: &mut Table) {
    for (key, node) in table {
        let name = if prefix.is_empty() { key } else { format!("{prefix}.{key}") };
        match node.value {
            Value::Table(inner) => flatten(&name, inner, flat),
            value => {
                flat.insert(name, Node { value, origin: node.origin });
            }
        }
    }
}

/// Finds the line of a place in a file.
struct Lines<'t> {
    file: &'t Rc<str>,
    text: &'t str,
}

impl Lines<'_> {
    fn origin(&self, offset: usize) -> Origin {
        let before = &self.text.as_bytes()[..offset.min(self.text.len())];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        Origin { file: Rc::clone(self.file), line: Some(line) }
    }

    fn table(&self, table: DeTable<'_>) -> Table {
        let entries = table.into_iter().map(|(key, value)| {
            let origin = self.origin(key.span().start);
            (key.into_inner().into_owned(), Node { value: self.value(value), origin })
        });
        entries.collect()
    }

    fn value(&self, value: Spanned<DeValue<'_>>) -> Value {
        match value.into_inner() {
            DeValue::String(text) => Value::text(&text),
            DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
                Ok(number) => Value::Integer(number),
                Err(_) => Value::Other("a whole number beyond 64 bits"),
            },
            DeValue::Float(_) => Value::Other("a number with a fraction"),
            DeValue::Boolean(flag) => Value::Flag(flag),
            DeValue::Datetime(_) => Value::Other("a date or time"),
            DeValue::Array(items) => {
                let items = items.into_iter().map(|item| {
                    let origin = self.origin(item.span().start);
                    Node { value: self.value(item), origin }
                });
                Value::List(items.collect())
            }
            DeValue::Table(table) => Value::Table(self.table(table)),
        }
    }
}

/// The value of a setting, if it is TOML.
fn parse_value(text: &str, origin: &Origin) -> Option<Value> {
    let document = format!("value = {text}");
    let table = DeTable::parse(&document).ok()?.into_inner();
    let mut table = Lines { file: &origin.file, text: &document }.table(table);
    // A line break in the text could bring further keys along; then it is plain text.
    let mut node = (table.len() == 1).then(|| table.remove("value")).flatten()?;
    place_at(&mut node, origin);
    Some(node.value)
}

fn place_at(node: &mut Node, origin: &Origin) {
    node.origin = origin.clone();
    match &mut node.value {
        Value::List(items) => items.iter_mut().for_each(|item| place_at(item, origin)),
        Value::Table(table) => table.values_mut().for_each(|item| place_at(item, origin)),
        _ => {}
    }
}

/// Cuts `key=value` at the first `=` that is not inside quotes.
fn split_setting(setting: &str) -> Option<(&str, &str)> {
    let mut quote = None;
    for (at, c) in setting.char_indices() {
        match (quote, c) {
            (None, '=') => return Some((setting[..at].trim(), setting[at + 1..].trim())),
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if c == open => quote = None,
            _ => {}
        }
    }
    None
}

/// The parts of a dotted key; quotes as in TOML.
fn key_path(key: &str) -> Option<Vec<String>> {
    let document = format!("{key} = 0");
    let mut table = DeTable::parse(&document).ok()?.into_inner();
    let mut path = Vec::new();
    loop {
        let mut entries = table.into_iter();
        let (Some((key, value)), None) = (entries.next(), entries.next()) else { return None };
        path.push(key.into_inner().into_owned());
        match value.into_inner() {
            DeValue::Table(inner) => table = inner,
            DeValue::Integer(_) => return Some(path),
            _ => return None,
        }
    }
}

/// The path of every key that is no table of others.
pub(super) fn key_paths(table: &Table) -> Vec<Vec<String>> {
    let mut paths = Vec::new();
    for (key, node) in table {
        match &node.value {
            Value::Table(inner) if !inner.is_empty() => {
                paths.extend(key_paths(inner).into_iter().map(|rest| [vec![key.clone()], rest].concat()));
            }
            _ => paths.push(vec![key.clone()]),
        }
    }
    paths
}

/// The name of a key in the environment, without `CALLPULSE_`.
pub(super) fn variable_name(path: &[String]) -> String {
    path.join("_").to_uppercase()
}

/// Replaces `${…}` in texts.
struct Replace<'r> {
    env: &'r BTreeMap<String, String>,
    /// Where relative paths of `${file:PATH}` start.
    directory: &'r Path,
    faults: &'r mut Vec<Fault>,
}

impl Replace<'_> {
    fn node(&mut self, node: &mut Node) {
        match &mut node.value {
            Value::Text { value, written } => match self.text(written) {
                Ok(replaced) => *value = replaced,
                Err((message, hint)) => {
                    self.faults.push(node.origin.fault(message, Some(hint)));
                    node.value = Value::Broken;
                }
            },
            Value::List(items) => items.iter_mut().for_each(|item| self.node(item)),
            Value::Table(table) => table.values_mut().for_each(|item| self.node(item)),
            Value::Integer(_) | Value::Flag(_) | Value::Other(_) | Value::Broken => {}
        }
    }

    fn text(&self, written: &str) -> Result<String, (String, String)> {
        let (mut out, mut rest) = (String::new(), written);
        while let Some(at) = rest.find("${") {
            let (before, after) = (&rest[..at], &rest[at + 2..]);
            if let Some(escaped) = before.strip_suffix('$') {
                out.push_str(escaped);
                out.push_str("${");
                rest = after;
                continue;
            }
            out.push_str(before);
            let Some((name, after)) = after.split_once('}') else {
                let message = format!("`${{` is not closed in `{written}`");
                return Err((message, "write `${VAR}`, or `$${` for a plain `${`".to_owned()));
            };
            out.push_str(&self.one(name)?);
            rest = after;
        }
        out.push_str(rest);
        Ok(out)
    }

    fn one(&self, inside: &str) -> Result<String, (String, String)> {
        if let Some(path) = inside.strip_prefix("file:") {
            let path: PathBuf = self.directory.join(path);
            return match std::fs::read_to_string(&path) {
                Ok(text) => {
                    Ok(text.strip_suffix('\n').map_or(text.as_str(), |t| t.trim_end_matches('\r')).to_owned())
                }
                Err(error) => Err((
                    format!("cannot read `${{{inside}}}`: {error}"),
                    format!("it stands for the content of {}", path.display()),
                )),
            };
        }
        let (name, default) =
            inside.split_once(":-").map_or((inside, None), |(name, text)| (name, Some(text)));
        let first = name.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
        if !first || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            let hint = "write `${VAR}`, `${VAR:-text}`, `${file:PATH}`, or `$${` for a plain `${`".to_owned();
            return Err((format!("`${{{inside}}}` is no variable"), hint));
        }
        match (self.env.get(name), default) {
            (Some(value), None) => Ok(value.clone()),
            (Some(value), Some(_)) if !value.is_empty() => Ok(value.clone()),
            (_, Some(default)) => Ok(default.to_owned()),
            (None, None) => Err((
                format!("the environment variable `{name}` is not set"),
                format!("set it, or write `${{{name}:-text}}` with a default"),
            )),
        }
    }
}
