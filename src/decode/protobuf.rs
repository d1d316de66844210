//! Protobuf, read by the `.proto` file that it was written by, as JSON with the names of the file.
//!
//! Reads what serializers of a schema registry write: messages, enums, maps, oneofs, imports, both syntaxes; no groups. Numbers
//! are numbers, enums their names, bytes text where they are text; Google's timestamps are times, its wrappers their values.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value};

use crate::time::format_time;

/// Messages within messages.
const DEPTH_MAX: usize = 64;

/// What a field holds.
#[derive(Debug, Clone, PartialEq)]
enum Kind {
    Int32,
    Int64,
    Uint,
    Sint,
    Bool,
    Fixed32,
    Fixed64,
    Sfixed32,
    Sfixed64,
    Float,
    Double,
    Text,
    Bytes,
    /// A message or enum by its full name.
    Named(String),
    /// The kinds of a map's keys and values.
    Map(Box<(Kind, Kind)>),
}

#[derive(Debug, Clone, PartialEq)]
struct Field {
    name: String,
    kind: Kind,
    repeated: bool,
    /// Absent means its zero, rather than nothing.
    implicit: bool,
}

#[derive(Debug, Clone, Default, PartialEq)]
struct Message {
    fields: BTreeMap<u64, Field>,
    /// Full names of the messages within, in their order; the entries of maps have places too.
    within: Vec<String>,
}

/// A schema with everything that it imports.
#[derive(Debug, Default)]
pub(super) struct Schema {
    messages: HashMap<String, Message>,
    enums: HashMap<String, BTreeMap<i64, String>>,
    /// Full names of the messages of the file itself, in their order.
    top: Vec<String>,
}

/// Google's own types, as far as anybody uses them.
const WELL_KNOWN: &str = "syntax = \"proto3\"; package google.protobuf;
    message Timestamp { int64 seconds = 1; int32 nanos = 2; } message Duration { int64 seconds = 1; int32 nanos = 2; }
    message DoubleValue { double value = 1; } message FloatValue { float value = 1; } message Int64Value { int64 value = 1; }
    message UInt64Value { uint64 value = 1; } message Int32Value { int32 value = 1; } message UInt32Value { uint32 value = 1; }
    message BoolValue { bool value = 1; } message StringValue { string value = 1; } message BytesValue { bytes value = 1; }
    message Empty {} message Any { string type_url = 1; bytes value = 2; } message FieldMask { repeated string paths = 1; }";
const GOOGLE: &str = "google.protobuf.";

impl Schema {
    /// Reads a schema, after those that it imports.
    pub(super) fn new<'t>(
        text: &'t str,
        references: impl Iterator<Item = &'t str>,
    ) -> Result<Schema, String> {
        let mut schema = Schema::default();
        for text in std::iter::once(WELL_KNOWN).chain(references).chain([text]) {
            schema.top = File::read(text, &mut schema)?;
        }
        // Names are said relative to where they stand, and may come before what they name.
        let mut known: Vec<String> = schema.messages.keys().chain(schema.enums.keys()).cloned().collect();
        known.sort_unstable();
        for (scope, message) in &mut schema.messages {
            for field in message.fields.values_mut() {
                let kinds: Vec<&mut Kind> = match &mut field.kind {
                    Kind::Map(both) => vec![&mut both.0, &mut both.1],
                    kind => vec![kind],
                };
                for kind in kinds {
                    if let Kind::Named(name) = kind {
                        *name = resolved(name, scope, &known)
                            .ok_or_else(|| format!("the type `{name}` is not defined"))?;
                    }
                }
            }
        }
        Ok(schema)
    }

    /// The value of a record: which message it is precedes it, as places each in what the one before names; a single zero
    /// stands for the first message.
    pub(super) fn read(&self, bytes: &[u8]) -> Result<Value, String> {
        let mut rest = bytes;
        let count = super::registry::zigzag(&mut rest)?;
        let count = usize::try_from(count).ok().filter(|count| *count <= DEPTH_MAX);
        let count = count.ok_or("its list of message indexes is too long")?;
        let mut places = vec![0];
        if count > 0 {
            places = (0..count).map(|_| super::registry::zigzag(&mut rest)).collect::<Result<_, _>>()?;
        }
        let mut names = &self.top;
        let mut name = None;
        for at in places {
            let found = usize::try_from(at).ok().and_then(|at| names.get(at));
            let found = found.ok_or("it names a message that the schema does not have")?;
            name = Some(found);
            names = self.messages.get(found).map_or(&self.top, |message| &message.within);
        }
        self.message(name.map_or("", String::as_str), rest, 0)
    }

    fn message(&self, name: &str, bytes: &[u8], depth: usize) -> Result<Value, String> {
        if depth > DEPTH_MAX {
            return Err("its messages lie too deep within each other".to_owned());
        }
        let message = self.messages.get(name).ok_or_else(|| format!("the schema has no message `{name}`"))?;
        let mut object = Map::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            let tag = varint(&mut rest)?;
            let (number, wire) = (tag >> 3, tag & 7);
            let part = Part::read(wire, &mut rest)?;
            // Fields that a newer schema has are passed over.
            let Some(field) = message.fields.get(&number) else { continue };
            self.put(field, &part, &mut object, depth)?;
        }
        for field in message.fields.values().filter(|field| field.implicit) {
            if !object.contains_key(&field.name) {
                object.insert(field.name.clone(), self.zero(&field.kind));
            }
        }
        Ok(known(name, object))
    }

    fn put(
        &self,
        field: &Field,
        part: &Part<'_>,
        object: &mut Map<String, Value>,
        depth: usize,
    ) -> Result<(), String> {
        if let (Kind::Map(both), Part::Bytes(entry)) = (&field.kind, part) {
            let (mut key, mut value) = (self.zero(&both.0), self.zero(&both.1));
            let mut rest = *entry;
            while !rest.is_empty() {
                let tag = varint(&mut rest)?;
                let part = Part::read(tag & 7, &mut rest)?;
                match tag >> 3 {
                    1 => key = self.one(&both.0, &part, depth)?,
                    2 => value = self.one(&both.1, &part, depth)?,
                    _ => {}
                }
            }
            let key = key.as_str().map_or_else(|| key.to_string(), str::to_owned);
            let map = object.entry(field.name.clone()).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(map) = map {
                map.insert(key, value);
            }
            return Ok(());
        }
        if !field.repeated {
            // Of one that comes twice, the later holds.
            object.insert(field.name.clone(), self.one(&field.kind, part, depth)?);
            return Ok(());
        }
        let mut items = Vec::new();
        match (part, packed(&field.kind)) {
            (Part::Bytes(packed), Some(wire)) => {
                let mut rest = *packed;
                while !rest.is_empty() {
                    items.push(self.one(&field.kind, &Part::read(wire, &mut rest)?, depth)?);
                }
            }
            // Enums are packed too, and are known by their names only here.
            (Part::Bytes(packed), None) if matches!(&field.kind, Kind::Named(name) if self.enums.contains_key(name)) =>
            {
                let mut rest = *packed;
                while !rest.is_empty() {
                    items.push(self.one(&field.kind, &Part::read(0, &mut rest)?, depth)?);
                }
            }
            _ => items.push(self.one(&field.kind, part, depth)?),
        }
        let list = object.entry(field.name.clone()).or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(list) = list {
            list.extend(items);
        }
        Ok(())
    }

    fn one(&self, kind: &Kind, part: &Part<'_>, depth: usize) -> Result<Value, String> {
        Ok(match (kind, part) {
            (Kind::Int32, Part::Varint(number)) => Value::from(*number as i32),
            (Kind::Int64, Part::Varint(number)) => Value::from(*number as i64),
            (Kind::Uint, Part::Varint(number)) => Value::from(*number),
            (Kind::Sint, Part::Varint(number)) => Value::from((number >> 1) as i64 ^ -((number & 1) as i64)),
            (Kind::Bool, Part::Varint(number)) => Value::Bool(*number != 0),
            (Kind::Fixed32, Part::Four(bytes)) => Value::from(u32::from_le_bytes(*bytes)),
            (Kind::Sfixed32, Part::Four(bytes)) => Value::from(i32::from_le_bytes(*bytes)),
            (Kind::Float, Part::Four(bytes)) => Value::from(f64::from(f32::from_le_bytes(*bytes))),
            (Kind::Fixed64, Part::Eight(bytes)) => Value::from(u64::from_le_bytes(*bytes)),
            (Kind::Sfixed64, Part::Eight(bytes)) => Value::from(i64::from_le_bytes(*bytes)),
            (Kind::Double, Part::Eight(bytes)) => Value::from(f64::from_le_bytes(*bytes)),
            (Kind::Text, Part::Bytes(bytes)) => {
                Value::from(std::str::from_utf8(bytes).map_err(|error| error.to_string())?)
            }
            (Kind::Bytes, Part::Bytes(bytes)) => {
                std::str::from_utf8(bytes).map_or_else(|_| Value::from(bytes.to_vec()), Value::from)
            }
            (Kind::Named(name), Part::Varint(number)) => {
                let number = *number as i64;
                let symbol = self.enums.get(name).ok_or_else(|| format!("`{name}` is no enum"))?.get(&number);
                symbol.map_or(Value::from(number), |symbol| Value::from(symbol.as_str()))
            }
            (Kind::Named(name), Part::Bytes(bytes)) => self.message(name, bytes, depth + 1)?,
            _ => return Err("a field is not of the type that its schema says".to_owned()),
        })
    }

    /// What a field is that is not there.
    fn zero(&self, kind: &Kind) -> Value {
        match kind {
            Kind::Bool => Value::Bool(false),
            Kind::Text | Kind::Bytes => Value::from(""),
            Kind::Float | Kind::Double => Value::from(0.0),
            Kind::Named(name) => {
                let symbol = self.enums.get(name).and_then(|symbols| symbols.get(&0));
                symbol.map_or(Value::Null, |symbol| Value::from(symbol.as_str()))
            }
            Kind::Map(_) => Value::Object(Map::new()),
            _ => Value::from(0),
        }
    }
}

/// Google's own messages as what they stand for.
fn known(name: &str, mut object: Map<String, Value>) -> Value {
    let number = |name: &str| object.get(name).and_then(Value::as_i64).unwrap_or(0);
    match name.strip_prefix(GOOGLE) {
        Some("Timestamp") => {
            Value::from(format_time(number("seconds").saturating_mul(1_000) + number("nanos") / 1_000_000))
        }
        Some("Duration") => Value::from(number("seconds") as f64 + number("nanos") as f64 / 1e9),
        Some(wrapper) if wrapper.ends_with("Value") => object.remove("value").unwrap_or(Value::Null),
        _ => Value::Object(object),
    }
}

/// The wire type of a number that is packed; `None` for what is not.
fn packed(kind: &Kind) -> Option<u64> {
    match kind {
        Kind::Int32 | Kind::Int64 | Kind::Uint | Kind::Sint | Kind::Bool => Some(0),
        Kind::Fixed64 | Kind::Sfixed64 | Kind::Double => Some(1),
        Kind::Fixed32 | Kind::Sfixed32 | Kind::Float => Some(5),
        _ => None,
    }
}

/// A field's bytes as they are written.
enum Part<'b> {
    Varint(u64),
    Four([u8; 4]),
    Eight([u8; 8]),
    Bytes(&'b [u8]),
}

impl<'b> Part<'b> {
    fn read(wire: u64, rest: &mut &'b [u8]) -> Result<Part<'b>, String> {
        let take = |rest: &mut &'b [u8], count: usize| -> Result<&'b [u8], String> {
            let (taken, left) = rest.split_at_checked(count).ok_or("it is cut off")?;
            *rest = left;
            Ok(taken)
        };
        let wrong = "it is cut off";
        Ok(match wire {
            0 => Part::Varint(varint(rest)?),
            1 => Part::Eight(take(rest, 8)?.try_into().map_err(|_| wrong)?),
            2 => {
                let length = usize::try_from(varint(rest)?).map_err(|_| wrong)?;
                Part::Bytes(take(rest, length)?)
            }
            5 => Part::Four(take(rest, 4)?.try_into().map_err(|_| wrong)?),
            other => return Err(format!("fields of the wire type `{other}` are not read")),
        })
    }
}

fn varint(rest: &mut &[u8]) -> Result<u64, String> {
    let mut value = 0_u64;
    for shift in (0..70).step_by(7) {
        let [byte, after @ ..] = *rest else { break };
        *rest = after;
        if shift < 64 {
            value |= u64::from(byte & 0x7f) << shift;
        }
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err("a number is cut off".to_owned())
}

/// The full name of what `name` means within `scope`: the nearest that is there. `known` is sorted.
fn resolved(name: &str, scope: &str, known: &[String]) -> Option<String> {
    let is_known = |name: &str| known.binary_search_by(|own| own.as_str().cmp(name)).is_ok();
    if let Some(whole) = name.strip_prefix('.') {
        return is_known(whole).then(|| whole.to_owned());
    }
    let mut scope = scope;
    loop {
        let candidate = if scope.is_empty() { name.to_owned() } else { format!("{scope}.{name}") };
        if is_known(&candidate) {
            return Some(candidate);
        }
        if scope.is_empty() {
            return None;
        }
        scope = scope.rsplit_once('.').map_or("", |(outer, _)| outer);
    }
}

/// The words of a `.proto` file: names (with their dots), numbers, texts in quotes, signs.
fn words(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
        let length = if rest.starts_with("//") {
            rest = rest.find('\n').map_or("", |at| &rest[at..]).trim_start();
            continue;
        } else if rest.starts_with("/*") {
            let end = rest.find("*/").ok_or("a comment has no end")?;
            rest = rest[end + 2..].trim_start();
            continue;
        } else if first == '"' || first == '\'' {
            let mut escaped = false;
            let end = rest.char_indices().skip(1).find(|(_, c)| {
                let ends = *c == first && !escaped;
                escaped = *c == '\\' && !escaped;
                ends
            });
            end.ok_or("a text has no end")?.0 + 1
        } else if is_word(first) {
            rest.find(|c| !is_word(c)).unwrap_or(rest.len())
        } else {
            first.len_utf8()
        };
        words.push(rest[..length].to_owned());
        rest = rest[length..].trim_start();
    }
    Ok(words)
}

/// A file that is being read.
struct File<'s> {
    words: Vec<String>,
    at: usize,
    proto3: bool,
    package: String,
    schema: &'s mut Schema,
}

impl File<'_> {
    /// Adds what a file defines; the names of its messages, in their order.
    fn read(text: &str, schema: &mut Schema) -> Result<Vec<String>, String> {
        let mut file = File { words: words(text)?, at: 0, proto3: false, package: String::new(), schema };
        let mut top = Vec::new();
        while let Some(word) = file.next() {
            match word.as_str() {
                "syntax" | "edition" => {
                    file.expect("=")?;
                    // Editions say implicit or explicit field by field; explicit is what they begin with.
                    file.proto3 = file.word()?.contains("proto3");
                    file.expect(";")?;
                }
                "package" => {
                    file.package = file.word()?;
                    file.expect(";")?;
                }
                "message" => {
                    let scope = file.package.clone();
                    top.push(file.message(&scope, 0)?);
                }
                "enum" => {
                    let scope = file.package.clone();
                    file.symbols(&scope)?;
                }
                "service" | "extend" => {
                    file.word()?;
                    file.skip_block()?;
                }
                ";" => {}
                // import, option
                _ => file.skip_to_semicolon()?,
            }
        }
        Ok(top)
    }

    fn next(&mut self) -> Option<String> {
        let word = self.words.get(self.at).cloned();
        self.at += usize::from(word.is_some());
        word
    }

    fn word(&mut self) -> Result<String, String> {
        self.next().ok_or_else(|| "the file ends too soon".to_owned())
    }

    fn peek(&self) -> &str {
        self.words.get(self.at).map_or("", String::as_str)
    }

    fn expect(&mut self, sign: &str) -> Result<(), String> {
        let word = self.word()?;
        if word == sign { Ok(()) } else { Err(format!("`{word}` stands where `{sign}` should")) }
    }

    fn skip_to_semicolon(&mut self) -> Result<(), String> {
        let mut depth = 0_i64;
        loop {
            match self.word()?.as_str() {
                "{" | "[" => depth += 1,
                "}" | "]" => depth -= 1,
                ";" if depth <= 0 => return Ok(()),
                _ => {}
            }
        }
    }

    fn skip_block(&mut self) -> Result<(), String> {
        while self.word()? != "{" {}
        let mut depth = 1;
        while depth > 0 {
            match self.word()?.as_str() {
                "{" => depth += 1,
                "}" => depth -= 1,
                _ => {}
            }
        }
        Ok(())
    }

    fn full(scope: &str, name: &str) -> String {
        if scope.is_empty() { name.to_owned() } else { format!("{scope}.{name}") }
    }

    fn message(&mut self, scope: &str, depth: usize) -> Result<String, String> {
        if depth > DEPTH_MAX {
            return Err("its messages lie too deep within each other".to_owned());
        }
        let name = Self::full(scope, &self.word()?);
        self.expect("{")?;
        let mut message = Message::default();
        let mut in_oneof = false;
        loop {
            let word = self.word()?;
            match word.as_str() {
                "}" if in_oneof => in_oneof = false,
                "}" => break,
                ";" => {}
                "message" if self.words.get(self.at + 1).is_some_and(|word| word == "{") => {
                    let within = self.message(&name, depth + 1)?;
                    message.within.push(within);
                }
                "enum" if self.words.get(self.at + 1).is_some_and(|word| word == "{") => {
                    self.symbols(&name)?
                }
                "oneof" if self.words.get(self.at + 1).is_some_and(|word| word == "{") => {
                    self.word()?;
                    self.expect("{")?;
                    in_oneof = true;
                }
                "extend" => self.skip_block()?,
                "option" | "reserved" | "extensions" if self.peek() != "=" => self.skip_to_semicolon()?,
                "group" => return Err("it has a group, which is not read".to_owned()),
                _ => self.field(word, in_oneof, &name, &mut message)?,
            }
        }
        self.schema.messages.insert(name.clone(), message);
        Ok(name)
    }

    fn field(
        &mut self,
        first: String,
        in_oneof: bool,
        scope: &str,
        message: &mut Message,
    ) -> Result<(), String> {
        let (mut repeated, mut explicit, mut of) = (false, in_oneof || !self.proto3, first);
        match of.as_str() {
            "repeated" => {
                repeated = true;
                of = self.word()?;
            }
            "optional" | "required" => {
                explicit = true;
                of = self.word()?;
            }
            _ => {}
        }
        let is_map = of == "map" && self.peek() == "<";
        let kind = if is_map {
            self.expect("<")?;
            let key = kind_of(self.word()?);
            self.expect(",")?;
            let value = kind_of(self.word()?);
            self.expect(">")?;
            message.within.push(format!("{scope}.(entry of a map)"));
            Kind::Map(Box::new((key, value)))
        } else {
            kind_of(of)
        };
        let name = self.word()?;
        self.expect("=")?;
        let number = self.word()?;
        let number: u64 =
            number.parse().map_err(|_| format!("the field `{name}` has the number `{number}`"))?;
        self.skip_to_semicolon()?;
        let scalar = !matches!(kind, Kind::Map(_));
        let implicit = scalar && !explicit && !repeated;
        message.fields.insert(number, Field { name, kind, repeated, implicit });
        Ok(())
    }

    fn symbols(&mut self, scope: &str) -> Result<(), String> {
        let name = Self::full(scope, &self.word()?);
        self.expect("{")?;
        let mut symbols = BTreeMap::new();
        loop {
            let word = self.word()?;
            match word.as_str() {
                "}" => break,
                ";" => {}
                "option" | "reserved" if self.peek() != "=" => self.skip_to_semicolon()?,
                _ => {
                    self.expect("=")?;
                    let mut number = self.word()?;
                    if number == "-" {
                        number.push_str(&self.word()?);
                    }
                    let number: i64 =
                        number.parse().map_err(|_| format!("the symbol `{word}` has no number"))?;
                    // Of two names of one number the first is meant.
                    symbols.entry(number).or_insert(word);
                    self.skip_to_semicolon()?;
                }
            }
        }
        self.schema.enums.insert(name, symbols);
        Ok(())
    }
}

fn kind_of(word: String) -> Kind {
    match word.as_str() {
        "int32" => Kind::Int32,
        "int64" => Kind::Int64,
        "uint32" | "uint64" => Kind::Uint,
        "sint32" | "sint64" => Kind::Sint,
        "bool" => Kind::Bool,
        "fixed32" => Kind::Fixed32,
        "fixed64" => Kind::Fixed64,
        "sfixed32" => Kind::Sfixed32,
        "sfixed64" => Kind::Sfixed64,
        "float" => Kind::Float,
        "double" => Kind::Double,
        "string" => Kind::Text,
        "bytes" => Kind::Bytes,
        _ => Kind::Named(word),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const CALL: &str = r#"
        // A call, as its platform tells it.
        syntax = "proto3";
        package calls.v1;
        import "who.proto";
        import "google/protobuf/timestamp.proto";
        option java_package = "x.y";
        message Ignored { string x = 1; }
        message Call {
          option deprecated = false;
          reserved 90, 91 to 99; reserved "old";
          message Inner { int64 n = 1; enum Deep { NONE = 0; SOME = 1; } Deep deep = 2; }
          string id = 1; int64 at_ms = 2; Who who = 3;
          enum What { option allow_alias = true; ENTER = 0; LEAVE = 1; GONE = 1; }
          What what = 4 [deprecated = true, (own.option) = { a: 1 }];
          google.protobuf.Timestamp time = 5;
          repeated string skills = 6; repeated int32 numbers = 7; repeated What both = 8;
          map<string, Inner> parts = 9;
          oneof end { string reason = 10; sint32 code = 11; }
          optional double level = 12; bytes raw = 13; google.protobuf.Int64Value wrapped = 14; .calls.v1.Call.Inner inner = 15;
          fixed32 f = 16; bool flag = 17;
        }
        service S { rpc Get (Call) returns (Call) { option x = "{"; } }
    "#;
    const WHO: &str = "syntax = \"proto3\"; package calls.v1; message Who { string name = 1; }";

    fn schema() -> Schema {
        Schema::new(CALL, std::iter::once(WHO)).expect("a schema")
    }

    #[test]
    fn every_kind_of_field_is_read() {
        let body = [
            &[2, 2][..],
            &[0x0a, 2, b'c', b'1', 0x10, 0xe8, 0x07, 0x1a, 4, 0x0a, 2, b'l', b'i', 0x20, 1],
            &[0x2a, 6, 0x08, 0x80, 0xc9, 0x93, 0xcd, 0x06],
            &[0x32, 1, b'a', 0x32, 1, b'b', 0x3a, 3, 1, 2, 3, 0x38, 4, 0x42, 2, 1, 0],
            &[0x4a, 9, 0x0a, 1, b'k', 0x12, 4, 0x08, 5, 0x10, 1],
            &[
                0x58, 3, 0x61, 0, 0, 0, 0, 0, 0, 4, 0x40, 0x6a, 1, 0xff, 0x72, 2, 0x08, 7, 0x7a, 0, 0x85, 1,
                9, 0, 0, 0,
            ],
            // A field that the schema does not know.
            &[0xa0, 6, 1],
        ]
        .concat();
        let call = schema().read(&body).expect("a call");
        let want = json!({"id": "c1", "at_ms": 1000, "who": {"name": "li"}, "what": "LEAVE", "time": format_time(1_772_414_080_000),
            "skills": ["a", "b"], "numbers": [1, 2, 3, 4], "both": ["LEAVE", "ENTER"],
            "parts": {"k": {"n": 5, "deep": "SOME"}}, "code": -2, "level": 2.5, "raw": [255], "wrapped": 7,
            "inner": {"n": 0, "deep": "NONE"}, "f": 9, "flag": false});
        assert_eq!(call, want);
        for cut in 0..body.len() - 3 {
            // Cut at a field's end it is a message with fewer fields, else it is refused; never anything else.
            let _ = schema().read(&body[..cut]);
        }
        assert!(schema().read(&body[..5]).is_err());
    }

    #[test]
    fn the_message_is_named_by_its_places() {
        assert_eq!(schema().read(&[0, 0x0a, 1, b'y']), Ok(json!({"x": "y"})));
        assert_eq!(schema().read(&[4, 2, 0, 0x08, 5]), Ok(json!({"n": 5, "deep": "NONE"})));
        assert!(schema().read(&[2, 4]).is_err());
        assert!(schema().read(&[2, 1]).is_err());
        assert!(schema().read(&[0x7f]).is_err());
    }

    #[test]
    fn proto2_knows_what_is_not_there() {
        let schema = Schema::new(
            "syntax = \"proto2\"; message M { required int32 a = 1; optional string b = 2 [default = \"x\"]; }",
            std::iter::empty(),
        );
        assert_eq!(schema.expect("a schema").read(&[0, 0x08, 1]), Ok(json!({"a": 1})));
    }

    #[test]
    fn schemas_that_are_none_are_refused() {
        let fault = |text: &str| Schema::new(text, std::iter::empty()).map(|_| ());
        assert!(fault("message M { Nobody x = 1; }").is_err());
        assert!(fault("message M { int32 x = 1;").is_err());
        assert!(fault("message M { int32 x = y; }").is_err());
        assert!(fault("/* no end").is_err());
        assert!(fault(&"message M { ".repeat(1000)).is_err());
        assert_eq!(fault(""), Ok(()));
    }
}
