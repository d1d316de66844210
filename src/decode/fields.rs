//! JSON values as they come: any type is taken, so that a wrong one is a finding and not a syntax error.

use std::borrow::Cow;
use std::fmt;
use std::io::Write;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Nesting that is kept or skipped inside a record.
pub(super) const DEPTH_MAX: usize = 64;

/// One value of a known field.
#[derive(Debug)]
pub(super) enum Value<'a> {
    Null,
    Text(Cow<'a, str>),
    Int(i64),
    Float(f64),
    Bool(bool),
    /// An object or array; what stood in it is skipped.
    Nested,
}

impl<'de> serde::Deserialize<'de> for Value<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_unit<E: Error>(self) -> Result<Value<'de>, E> {
        Ok(Value::Null)
    }
    fn visit_bool<E: Error>(self, value: bool) -> Result<Value<'de>, E> {
        Ok(Value::Bool(value))
    }
    fn visit_i64<E: Error>(self, value: i64) -> Result<Value<'de>, E> {
        Ok(Value::Int(value))
    }
    fn visit_u64<E: Error>(self, value: u64) -> Result<Value<'de>, E> {
        Ok(i64::try_from(value).map_or(Value::Float(value as f64), Value::Int))
    }
    fn visit_f64<E: Error>(self, value: f64) -> Result<Value<'de>, E> {
        Ok(Value::Float(value))
    }
    fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Borrowed(value)))
    }
    fn visit_str<E: Error>(self, value: &str) -> Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Owned(value.to_owned())))
    }
    fn visit_string<E: Error>(self, value: String) -> Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Owned(value)))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Value<'de>, A::Error> {
        Copy { out: &mut std::io::sink(), depth: 1 }.visit_seq(seq)?;
        Ok(Value::Nested)
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Value<'de>, A::Error> {
        Copy { out: &mut std::io::sink(), depth: 1 }.visit_map(map)?;
        Ok(Value::Nested)
    }
}

/// Copies a value as compact JSON to `out`, without a tree in between.
pub(super) struct Copy<'o, W: Write> {
    pub(super) out: &'o mut W,
    pub(super) depth: usize,
}

fn put<W: Write, E: Error>(out: &mut W, bytes: &[u8]) -> Result<(), E> {
    out.write_all(bytes).map_err(E::custom)
}

impl<W: Write> Copy<'_, W> {
    fn deeper<E: Error>(&self) -> Result<usize, E> {
        if self.depth >= DEPTH_MAX {
            return Err(E::custom(format!("nested deeper than {DEPTH_MAX} levels")));
        }
        Ok(self.depth + 1)
    }

    fn json<T: serde::Serialize, E: Error>(self, value: T) -> Result<(), E> {
        serde_json::to_writer(self.out, &value).map_err(E::custom)
    }
}

impl<'de, W: Write> DeserializeSeed<'de> for Copy<'_, W> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, W: Write> Visitor<'de> for Copy<'_, W> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_unit<E: Error>(self) -> Result<(), E> {
        put(self.out, b"null")
    }
    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.json(value)
    }
    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.json(value)
    }
    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.json(value)
    }
    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        // Parsers differ on `-0`; the sum has one zero only.
        self.json(value + 0.0)
    }
    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        self.json(value)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let depth = self.deeper()?;
        put(self.out, b"[")?;
        let mut first = true;
        loop {
            // The comma is written before it is known whether an element follows, then taken back
            // by not writing it: elements are read into the output one by one.
            let before: &[u8] = if first { b"" } else { b"," };
            let element = Element { out: &mut *self.out, before, depth };
            if seq.next_element_seed(element)?.is_none() {
                break;
            }
            first = false;
        }
        put(self.out, b"]")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let depth = self.deeper()?;
        put(self.out, b"{")?;
        copy_members(&mut map, self.out, depth, true)?;
        put(self.out, b"}")
    }
}

/// Copies the members of an object, separated by commas; a comma first unless `first`.
pub(super) fn copy_members<'de, A: MapAccess<'de>, W: Write>(
    map: &mut A,
    out: &mut W,
    depth: usize,
    mut first: bool,
) -> Result<bool, A::Error> {
    while let Some(()) = map.next_key_seed(Name { out: &mut *out, first })? {
        first = false;
        put(out, b":")?;
        map.next_value_seed(Copy { out: &mut *out, depth })?;
    }
    Ok(first)
}

/// Copies a key, after a comma unless it is the first.
struct Name<'o, W: Write> {
    out: &'o mut W,
    first: bool,
}

impl<'de, W: Write> DeserializeSeed<'de> for Name<'_, W> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<W: Write> Visitor<'_> for Name<'_, W> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }
    fn visit_str<E: Error>(self, name: &str) -> Result<(), E> {
        if !self.first {
            put(self.out, b",")?;
        }
        serde_json::to_writer(self.out, name).map_err(E::custom)
    }
}

struct Element<'o, W: Write> {
    out: &'o mut W,
    before: &'static [u8],
    depth: usize,
}

impl<'de, W: Write> DeserializeSeed<'de> for Element<'_, W> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        put(self.out, self.before)?;
        Copy { out: self.out, depth: self.depth }.deserialize(deserializer)
    }
}

/// Copies the members of an object value to `out`; tells false, and skips it, when it is none.
pub(super) struct Members<'o> {
    pub(super) out: &'o mut Vec<u8>,
}

/// What [`Members`] found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    Object,
    Null,
    Other,
}

impl<'de> DeserializeSeed<'de> for Members<'_> {
    type Value = Found;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Found, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Members<'_> {
    type Value = Found;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Found, A::Error> {
        let first = self.out.is_empty();
        copy_members(&mut map, self.out, 2, first)?;
        Ok(Found::Object)
    }
    fn visit_unit<E: Error>(self) -> Result<Found, E> {
        Ok(Found::Null)
    }
    fn visit_bool<E: Error>(self, _: bool) -> Result<Found, E> {
        Ok(Found::Other)
    }
    fn visit_i64<E: Error>(self, _: i64) -> Result<Found, E> {
        Ok(Found::Other)
    }
    fn visit_u64<E: Error>(self, _: u64) -> Result<Found, E> {
        Ok(Found::Other)
    }
    fn visit_f64<E: Error>(self, _: f64) -> Result<Found, E> {
        Ok(Found::Other)
    }
    fn visit_str<E: Error>(self, _: &str) -> Result<Found, E> {
        Ok(Found::Other)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Found, A::Error> {
        Copy { out: &mut std::io::sink(), depth: 1 }.visit_seq(seq)?;
        Ok(Found::Other)
    }
}
