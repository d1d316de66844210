//! Avro in binary form, read by the schema that it was written by, as JSON.

use std::collections::HashMap;

use serde_json::{Map, Value};

/// Types within types, of a schema and of a value.
const DEPTH_MAX: usize = 64;
/// Items of all arrays and maps of one value: items may take no bytes at all, so that a short record may claim any number.
const ITEMS_MAX: usize = 1 << 20;

/// One type of a schema.
#[derive(Debug, Clone, PartialEq)]
enum Type {
    Null,
    Boolean,
    Int,
    /// Days since 1970.
    Date,
    Long,
    /// Nanoseconds since 1970.
    Nanos,
    Float,
    Double,
    Bytes,
    Text,
    Fixed(usize),
    /// A number with so many digits behind the point, as bytes, or as a fixed number of them.
    Decimal(u32, Option<usize>),
    Enum(Vec<String>),
    Array(usize),
    Map(usize),
    Union(Vec<usize>),
    Record(Vec<(String, usize)>),
}

/// A schema with everything that it refers to.
#[derive(Debug)]
pub(super) struct Schema {
    types: Vec<Type>,
    names: HashMap<String, usize>,
    root: usize,
}

impl Schema {
    /// Reads a schema, after those that it refers to.
    pub(super) fn new<'t>(
        text: &'t str,
        references: impl Iterator<Item = &'t str>,
    ) -> Result<Schema, String> {
        let mut schema = Schema { types: Vec::new(), names: HashMap::new(), root: 0 };
        for text in references.chain([text]) {
            let json: Value =
                serde_json::from_str(text).map_err(|error| format!("it is not JSON: {error}"))?;
            schema.root = schema.add(&json, "", 0)?;
        }
        Ok(schema)
    }

    fn push(&mut self, of: Type) -> usize {
        self.types.push(of);
        self.types.len() - 1
    }

    fn add(&mut self, json: &Value, namespace: &str, depth: usize) -> Result<usize, String> {
        if depth > DEPTH_MAX {
            return Err("its types lie too deep within each other".to_owned());
        }
        match json {
            Value::String(name) => self.named(name, namespace),
            Value::Array(variants) => {
                let variants = variants.iter().map(|variant| self.add(variant, namespace, depth + 1));
                let variants = variants.collect::<Result<_, _>>()?;
                Ok(self.push(Type::Union(variants)))
            }
            Value::Object(object) => self.complex(object, namespace, depth),
            other => Err(format!("`{other}` is no type")),
        }
    }

    /// A primitive type, or one that was defined before.
    fn named(&mut self, name: &str, namespace: &str) -> Result<usize, String> {
        let primitive = match name {
            "null" => Type::Null,
            "boolean" => Type::Boolean,
            "int" => Type::Int,
            "long" => Type::Long,
            "float" => Type::Float,
            "double" => Type::Double,
            "bytes" => Type::Bytes,
            "string" => Type::Text,
            _ => {
                let found = self.names.get(&full(name, namespace)).or_else(|| self.names.get(name));
                return found.copied().ok_or_else(|| format!("the type `{name}` is not defined"));
            }
        };
        Ok(self.push(primitive))
    }

    fn complex(
        &mut self,
        object: &Map<String, Value>,
        namespace: &str,
        depth: usize,
    ) -> Result<usize, String> {
        let text = |name: &str| object.get(name).and_then(Value::as_str);
        let needed = |name: &str| object.get(name).ok_or_else(|| format!("a type has no `{name}`"));
        let kind = needed("type")?;
        let Some(kind) = kind.as_str() else { return self.add(kind, namespace, depth + 1) };
        let logical = text("logicalType").unwrap_or_default();
        let scale = || u32::try_from(object.get("scale").and_then(Value::as_u64).unwrap_or(0)).unwrap_or(0);
        match (kind, logical) {
            ("int", "date") => return Ok(self.push(Type::Date)),
            ("long", "timestamp-nanos" | "local-timestamp-nanos") => return Ok(self.push(Type::Nanos)),
            ("bytes", "decimal") => return Ok(self.push(Type::Decimal(scale(), None))),
            ("array", _) => {
                let items = self.add(needed("items")?, namespace, depth + 1)?;
                return Ok(self.push(Type::Array(items)));
            }
            ("map", _) => {
                let values = self.add(needed("values")?, namespace, depth + 1)?;
                return Ok(self.push(Type::Map(values)));
            }
            ("record" | "error" | "enum" | "fixed", _) => {}
            (other, _) => return self.named(other, namespace),
        }
        let name = text("name").ok_or("a named type has no `name`")?;
        let own =
            text("namespace").or(name.rsplit_once('.').map(|(own, _)| own)).unwrap_or(namespace).to_owned();
        // The name is known before the fields, which may speak of the type itself.
        let place = self.push(Type::Null);
        self.names.insert(full(name, &own), place);
        self.types[place] = match kind {
            "enum" => {
                let symbols = needed("symbols")?.as_array().into_iter().flatten();
                Type::Enum(symbols.filter_map(Value::as_str).map(str::to_owned).collect())
            }
            "fixed" => {
                let size = needed("size")?.as_u64().and_then(|size| usize::try_from(size).ok());
                let size = size.ok_or("`size` is no number of bytes")?;
                if logical == "decimal" { Type::Decimal(scale(), Some(size)) } else { Type::Fixed(size) }
            }
            _ => {
                let mut fields = Vec::new();
                for field in needed("fields")?.as_array().into_iter().flatten() {
                    let name = field.get("name").and_then(Value::as_str).ok_or("a field has no `name`")?;
                    let of = field.get("type").ok_or_else(|| format!("the field `{name}` has no `type`"))?;
                    fields.push((name.to_owned(), self.add(of, &own, depth + 1)?));
                }
                Type::Record(fields)
            }
        };
        Ok(place)
    }

    /// The value that the bytes are, all of them.
    pub(super) fn read(&self, bytes: &[u8]) -> Result<Value, String> {
        let mut reading = Reading { rest: bytes, items: 0 };
        let value = self.value(self.root, &mut reading, 0)?;
        match reading.rest.len() {
            0 => Ok(value),
            left => Err(format!("{left} bytes are left over")),
        }
    }

    fn value(&self, of: usize, reading: &mut Reading<'_>, depth: usize) -> Result<Value, String> {
        if depth > DEPTH_MAX {
            return Err("its values lie too deep within each other".to_owned());
        }
        Ok(match &self.types[of] {
            Type::Null => Value::Null,
            Type::Boolean => Value::Bool(reading.take(1)?[0] != 0),
            Type::Int | Type::Long => Value::from(reading.long()?),
            Type::Date => Value::from(reading.long()?.saturating_mul(86_400_000)),
            // Microseconds, since nanoseconds would be taken for a far future.
            Type::Nanos => Value::from(reading.long()?.div_euclid(1_000)),
            Type::Float => {
                let bytes = reading.take(4)?.try_into().map_err(|_| "a float is cut off")?;
                Value::from(f64::from(f32::from_le_bytes(bytes)))
            }
            Type::Double => {
                let bytes = reading.take(8)?.try_into().map_err(|_| "a double is cut off")?;
                Value::from(f64::from_le_bytes(bytes))
            }
            Type::Text => {
                let text = std::str::from_utf8(reading.block()?).map_err(|error| error.to_string())?;
                Value::from(text)
            }
            Type::Bytes => as_text(reading.block()?),
            Type::Fixed(size) => as_text(reading.take(*size)?),
            Type::Decimal(scale, None) => decimal(reading.block()?, *scale),
            Type::Decimal(scale, Some(size)) => decimal(reading.take(*size)?, *scale),
            Type::Enum(symbols) => {
                let at = usize::try_from(reading.long()?).ok().and_then(|at| symbols.get(at));
                Value::from(at.ok_or("an enum has no such symbol")?.as_str())
            }
            Type::Union(variants) => {
                let at = usize::try_from(reading.long()?).ok().and_then(|at| variants.get(at));
                self.value(*at.ok_or("a union has no such variant")?, reading, depth + 1)?
            }
            Type::Array(items) => {
                let mut list = Vec::new();
                while let Some(count) = reading.count()? {
                    for _ in 0..count {
                        list.push(self.value(*items, reading, depth + 1)?);
                    }
                }
                Value::Array(list)
            }
            Type::Map(values) => {
                let mut object = Map::new();
                while let Some(count) = reading.count()? {
                    for _ in 0..count {
                        let key = std::str::from_utf8(reading.block()?).map_err(|error| error.to_string())?;
                        object.insert(key.to_owned(), self.value(*values, reading, depth + 1)?);
                    }
                }
                Value::Object(object)
            }
            Type::Record(fields) => {
                let mut object = Map::new();
                for (name, of) in fields {
                    object.insert(name.clone(), self.value(*of, reading, depth + 1)?);
                }
                Value::Object(object)
            }
        })
    }
}

fn full(name: &str, namespace: &str) -> String {
    if name.contains('.') || namespace.is_empty() { name.to_owned() } else { format!("{namespace}.{name}") }
}

/// Bytes as text where they are text.
fn as_text(bytes: &[u8]) -> Value {
    std::str::from_utf8(bytes).map_or_else(|_| Value::from(bytes.to_vec()), Value::from)
}

/// A number of two's complement, the highest byte first, with so many digits behind the point; as text, so that none is lost.
fn decimal(bytes: &[u8], scale: u32) -> Value {
    let Some(first) = bytes.first().filter(|_| bytes.len() <= 16) else { return as_text(bytes) };
    let start = if first & 0x80 == 0 { 0 } else { -1 };
    let number = bytes.iter().fold(start, |number: i128, byte| number << 8 | i128::from(*byte));
    let digits = format!("{:0width$}", number.unsigned_abs(), width = scale as usize + 1);
    let (whole, part) = digits.split_at(digits.len() - scale as usize);
    let sign = if number < 0 { "-" } else { "" };
    Value::from(if part.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{part}") })
}

/// Bytes that are read from their beginning on.
struct Reading<'b> {
    rest: &'b [u8],
    items: usize,
}

impl<'b> Reading<'b> {
    fn take(&mut self, count: usize) -> Result<&'b [u8], String> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or("it is cut off")?;
        self.rest = rest;
        Ok(taken)
    }

    fn long(&mut self) -> Result<i64, String> {
        super::registry::zigzag(&mut self.rest)
    }

    /// A length, and as many bytes.
    fn block(&mut self) -> Result<&'b [u8], String> {
        let length = usize::try_from(self.long()?).map_err(|_| "a length is negative")?;
        self.take(length)
    }

    /// How many items come next; `None` at the end. A negative number is followed by their size in bytes.
    fn count(&mut self) -> Result<Option<usize>, String> {
        let mut count = self.long()?;
        if count < 0 {
            self.long()?;
            count = count.checked_neg().ok_or("a number of items is out of range")?;
        }
        let count = usize::try_from(count).map_err(|_| "a number of items is out of range")?;
        self.items = self.items.saturating_add(count);
        if self.items > ITEMS_MAX {
            return Err(format!("it has more than {ITEMS_MAX} items"));
        }
        Ok((count > 0).then_some(count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(schema: &str, bytes: &[u8]) -> Result<Value, String> {
        Schema::new(schema, std::iter::empty())?.read(bytes)
    }

    #[test]
    fn every_kind_of_value_is_read() {
        let schema = r#"{"type":"record","name":"All","namespace":"n","fields":[
            {"name":"flag","type":"boolean"},{"name":"small","type":"int"},{"name":"day","type":{"type":"int","logicalType":"date"}},
            {"name":"ns","type":{"type":"long","logicalType":"timestamp-nanos"}},{"name":"f","type":"float"},{"name":"d","type":"double"},
            {"name":"b","type":"bytes"},{"name":"money","type":{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}},
            {"name":"kind","type":{"type":"enum","name":"Kind","symbols":["x","y"]}},{"name":"again","type":"n.Kind"},
            {"name":"list","type":{"type":"array","items":"long"}},{"name":"map","type":{"type":"map","values":"string"}},
            {"name":"maybe","type":["null",{"type":"fixed","name":"F","size":2}]},{"name":"next","type":["null","All"]}]}"#;
        let mut bytes = vec![1, 0x03, 2, 0x80, 0x94, 0xeb, 0xdc, 0x03];
        bytes.extend(1.5_f32.to_le_bytes());
        bytes.extend(2.5_f64.to_le_bytes());
        // The array is a block of two with its size, and one of one.
        bytes.extend([
            2, 0xff, 4, 0xff, 0x38, 2, 0, 3, 4, 2, 4, 2, 6, 0, 2, 2, b'k', 2, b'v', 0, 2, b'a', b'b', 0,
        ]);
        let want = json!({"flag": true, "small": -2, "day": 86_400_000, "ns": 500_000, "f": 1.5, "d": 2.5, "b": [255], "money": "-2.00",
            "kind": "y", "again": "x", "list": [1, 2, 3], "map": {"k": "v"}, "maybe": "ab", "next": null});
        assert_eq!(read(schema, &bytes), Ok(want));
        for cut in 0..bytes.len() {
            assert!(read(schema, &bytes[..cut]).is_err(), "{cut}");
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        assert!(read(r#"{"type":"array","items":"null"}"#, &[0xfe, 0xff, 0xff, 0xff, 0x0f, 0]).is_err());
        assert!(read(r#""Nobody""#, &[]).is_err());
        assert!(read(r#"{"type":"record","name":"R","fields":[{"name":"r","type":"R"}]}"#, &[]).is_err());
        assert!(read(r#"["null","int"]"#, &[4]).is_err());
        assert_eq!(read(r#"["null","int"]"#, &[2, 2]), Ok(json!(1)));
        let nested = format!("{}\"null\"{}", "[".repeat(100), "]".repeat(100));
        assert!(read(&nested, &[]).is_err());
    }
}
