//! Records in the wire format of a schema registry: a zero byte, the schema's id in four bytes, then Avro, Protobuf or JSON.
//!
//! What is read becomes JSON, which a mapping goes by like any other. Fetching schemas is not done here: whoever makes a
//! decoder hands in a [`Registry`]. A schema never changes, so it is asked for once.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use super::vendor::{json, reject, schema_id};
use super::{avro, protobuf};
use crate::event::{Reject, RejectReason};

/// How a schema is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SchemaKind {
    /// Avro, as JSON.
    Avro,
    /// Protobuf, as a `.proto` file.
    Protobuf,
    /// JSON Schema: the record is JSON.
    Json,
}

/// A schema as a registry has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaText {
    /// How it is written.
    pub kind: SchemaKind,
    /// Its text.
    pub text: String,
    /// Schemas that it refers to, with the names by which it does; those that others need come first.
    pub references: Vec<(String, String)>,
}

/// Where schemas come from. Answers are waited for: while a registry is down, reading stands still.
pub trait Registry: fmt::Debug + Send + Sync {
    /// The schema of this id.
    ///
    /// # Errors
    /// Why there is none: it is unknown, or cannot be had.
    fn schema(&self, id: u32) -> Result<SchemaText, String>;
}

/// A schema that records can be read by.
#[derive(Debug)]
enum Compiled {
    Avro(avro::Schema),
    Protobuf(protobuf::Schema),
    Json,
}

/// Reads records by the schemas of a registry.
#[derive(Debug)]
pub(super) struct Schemas {
    registry: Option<Arc<dyn Registry>>,
    known: HashMap<u32, Arc<Compiled>>,
}

impl Schemas {
    pub(super) fn new(registry: Option<Arc<dyn Registry>>) -> Schemas {
        Schemas { registry, known: HashMap::new() }
    }

    /// The record as JSON.
    pub(super) fn read(&mut self, record: &[u8]) -> Result<Value, Reject> {
        let Some(id) = schema_id(record) else {
            let detail = "the record is not in the wire format of a schema registry (a zero byte, then four bytes of schema id)";
            return Err(reject(RejectReason::UnknownFormat, detail));
        };
        let compiled = self.compiled(id)?;
        let body = &record[5..];
        let wrong = |why: String| {
            reject(RejectReason::BadField, format!("the record does not fit its schema `{id}`: {why}"))
        };
        match &*compiled {
            Compiled::Avro(schema) => schema.read(body).map_err(wrong),
            Compiled::Protobuf(schema) => schema.read(body).map_err(wrong),
            Compiled::Json => {
                let text = std::str::from_utf8(body)
                    .map_err(|error| reject(RejectReason::NotUtf8, format!("not UTF-8: {error}")))?;
                json(text)
            }
        }
    }

    fn compiled(&mut self, id: u32) -> Result<Arc<Compiled>, Reject> {
        if let Some(known) = self.known.get(&id) {
            return Ok(Arc::clone(known));
        }
        let Some(registry) = &self.registry else {
            let detail = "no schema registry is configured: name it in `schema_registry.url`";
            return Err(reject(RejectReason::UnknownFormat, detail));
        };
        let unusable = |why: String| {
            reject(RejectReason::UnknownFormat, format!("the schema `{id}` cannot be used: {why}"))
        };
        let compiled = compile(&registry.schema(id).map_err(unusable)?).map_err(unusable)?;
        let compiled = Arc::new(compiled);
        self.known.insert(id, Arc::clone(&compiled));
        Ok(compiled)
    }
}

fn compile(schema: &SchemaText) -> Result<Compiled, String> {
    let references = schema.references.iter().map(|(_, text)| text.as_str());
    Ok(match schema.kind {
        SchemaKind::Json => Compiled::Json,
        SchemaKind::Avro => Compiled::Avro(avro::Schema::new(&schema.text, references)?),
        SchemaKind::Protobuf => Compiled::Protobuf(protobuf::Schema::new(&schema.text, references)?),
    })
}

/// A signed number of variable length, as Avro and Protobuf write it.
pub(super) fn zigzag(rest: &mut &[u8]) -> Result<i64, String> {
    let mut value = 0_u64;
    for shift in (0..70).step_by(7) {
        let [byte, after @ ..] = *rest else { break };
        *rest = after;
        if shift < 64 {
            value |= u64::from(byte & 0x7f) << shift;
        }
        if byte & 0x80 == 0 {
            return Ok((value >> 1) as i64 ^ -((value & 1) as i64));
        }
    }
    Err("a number is cut off".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A registry of a few schemas.
    #[derive(Debug)]
    struct Few(Vec<SchemaText>);

    impl Registry for Few {
        fn schema(&self, id: u32) -> Result<SchemaText, String> {
            self.0.get(id as usize).cloned().ok_or_else(|| "the registry does not know it".to_owned())
        }
    }

    fn schema(kind: SchemaKind, text: &str, references: &[(&str, &str)]) -> SchemaText {
        let references = references.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        SchemaText { kind, text: text.to_owned(), references: references.collect() }
    }

    const CALL: &str = r#"{"type":"record","name":"Call","fields":[
        {"name":"id","type":"string"},{"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}},
        {"name":"what","type":{"type":"enum","name":"What","symbols":["enter","leave"]}},
        {"name":"skill","type":["null","int"]}]}"#;

    fn schemas() -> Schemas {
        let proto = "syntax = \"proto3\"; package calls; import \"who.proto\"; message Ignored { string x = 1; } \
            message Call { string id = 1; Who who = 3; }";
        let who = "syntax = \"proto3\"; package calls; message Who { string name = 1; }";
        let list = vec![
            schema(SchemaKind::Avro, CALL, &[]),
            schema(SchemaKind::Protobuf, proto, &[("who.proto", who)]),
            schema(SchemaKind::Json, r#"{"type":"object"}"#, &[]),
            schema(
                SchemaKind::Avro,
                r#"{"type":"record","name":"Pair","fields":[{"name":"first","type":"Call"},{"name":"second","type":"Call"}]}"#,
                &[("Call", CALL)],
            ),
            schema(SchemaKind::Avro, "{\"type\":\"nothing\"}", &[]),
        ];
        Schemas::new(Some(Arc::new(Few(list))))
    }

    fn wire(id: u8, body: &[u8]) -> Vec<u8> {
        [&[0, 0, 0, 0, id], body].concat()
    }

    /// One call in Avro, written by hand: lengths and numbers in zigzag.
    const AVRO_CALL: &[u8] = &[4, b'c', b'1', 0xd0, 0x0f, 0, 2, 14];

    #[test]
    fn avro_is_read_by_its_schema() {
        let call = schemas().read(&wire(0, AVRO_CALL)).expect("a call");
        assert_eq!(call, serde_json::json!({"id": "c1", "at": 1000, "what": "enter", "skill": 7}));
        let pair = schemas().read(&wire(3, &[AVRO_CALL, AVRO_CALL].concat())).expect("two calls");
        assert_eq!((&pair["first"], &pair["second"]), (&call, &call));
    }

    #[test]
    fn protobuf_is_read_by_its_schema_and_message() {
        // Indexes: one, the second message. Then id "c1", who {name "li"}.
        let body = [2, 2, 0x0a, 2, b'c', b'1', 0x1a, 4, 0x0a, 2, b'l', b'i'];
        let call = schemas().read(&wire(1, &body)).expect("a call");
        assert_eq!(call, serde_json::json!({"id": "c1", "who": {"name": "li"}}));
    }

    #[test]
    fn json_is_read_as_it_is() {
        assert_eq!(schemas().read(&wire(2, br#"{"a":1}"#)), Ok(serde_json::json!({"a": 1})));
    }

    #[test]
    fn what_does_not_fit_is_a_reject_with_its_reason() {
        let reason = |record: &[u8]| schemas().read(record).map_err(|reject| reject.reason);
        assert_eq!(reason(b"{}"), Err(RejectReason::UnknownFormat));
        assert_eq!(reason(&wire(9, AVRO_CALL)), Err(RejectReason::UnknownFormat));
        assert_eq!(reason(&wire(4, AVRO_CALL)), Err(RejectReason::UnknownFormat));
        for cut in 0..AVRO_CALL.len() {
            assert!(reason(&wire(0, &AVRO_CALL[..cut])).is_err(), "{cut}");
        }
        assert_eq!(reason(&wire(0, &[AVRO_CALL, &[0]].concat())), Err(RejectReason::BadField));
        assert_eq!(reason(&wire(1, &[0x7f])), Err(RejectReason::BadField));
        assert_eq!(reason(&wire(1, &[2, 0x10])), Err(RejectReason::BadField));
        assert_eq!(
            Schemas::new(None).read(&wire(0, AVRO_CALL)).map_err(|r| r.reason),
            Err(RejectReason::UnknownFormat)
        );
    }

    proptest::proptest! {
        #[test]
        fn whatever_the_bytes_are_reading_ends(id in 0_u8..4, body in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            // A value or a reject, in little time and memory; the schema's own first bytes come often.
            let _ = schemas().read(&wire(id, &body));
            let _ = schemas().read(&wire(id, &[AVRO_CALL, &body].concat()));
        }
    }
}
