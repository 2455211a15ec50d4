//! Decodes objects as Go would decode them into its types, and writes them as Go would write them.
//!
//! One pass over JSON or over a tree: checks types, drops unknown fields and
//! reports them in the order met, brings quantities and times into canonical
//! form, and leaves out or fills in empty values as `omitempty` says.

use std::fmt;

use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::{Field, Kind, MAX_DEPTH, Schema, TypeId, is_deeper, json_syntax};
use crate::quantity::Quantity;
use crate::time;

/// An object in the form in which it is kept, and what was noticed on the way.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// The object.
    pub value: Value,
    /// `unknown field "spec.x"` and `duplicate field "metadata.name"`, in the order met.
    pub problems: Vec<String>,
}

/// Why something is no object of the type; the messages are upstream's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// No JSON.
    #[error("{0}")]
    Syntax(String),
    /// JSON of another shape.
    #[error("{0}")]
    Type(String),
}

impl Schema {
    /// Decodes JSON into an object of the type.
    pub fn decode_json(&self, bytes: &[u8], id: TypeId) -> Result<Decoded, DecodeError> {
        let mut reader = serde_json::Deserializer::from_slice(bytes);
        let mut pass = Pass::new(self);
        let kind = Kind::Struct(id);
        let value = Seed::root(&mut pass, &kind)
            .deserialize(&mut reader)
            .and_then(|value| reader.end().map(|()| value))
            .map_err(|error| {
                DecodeError::Syntax(
                    json_syntax::check(bytes)
                        .err()
                        .unwrap_or_else(|| error.to_string()),
                )
            })?;
        pass.finish(value)
    }

    /// Decodes a tree into an object of the type.
    pub fn decode_value(&self, value: Value, id: TypeId) -> Result<Decoded, DecodeError> {
        let mut pass = Pass::new(self);
        let kind = Kind::Struct(id);
        let value = Seed::root(&mut pass, &kind)
            .deserialize(value)
            .map_err(|error| DecodeError::Type(error.to_string()))?;
        pass.finish(value)
    }

    /// Brings a tree into the form in which it is kept; returns what was noticed.
    pub fn normalize(&self, value: &mut Value, id: TypeId) -> Result<Vec<String>, DecodeError> {
        let decoded = self.decode_value(value.take(), id)?;
        *value = decoded.value;
        Ok(decoded.problems)
    }

    /// Why a value is none of that kind; `None` when it is one.
    pub(super) fn mismatch(&self, value: &Value, kind: &Kind) -> Option<String> {
        let mut pass = Pass::new(self);
        let read = Seed::root(&mut pass, kind).deserialize(value);
        read.err().map(|error| error.to_string()).or(pass.error)
    }

    /// What Go writes for a value of this kind that nobody set.
    fn zero(&self, kind: &Kind) -> Value {
        match kind {
            Kind::Bool => Value::Bool(false),
            Kind::Int32 | Kind::Int64 | Kind::Float64 | Kind::IntOrString => Value::from(0),
            Kind::Text => Value::String(String::new()),
            Kind::Quantity => Value::String("0".to_owned()),
            Kind::Struct(id) => Value::Object(self.complete(*id, Map::new())),
            Kind::Bytes
            | Kind::Time
            | Kind::MicroTime
            | Kind::Any
            | Kind::List(_)
            | Kind::Map(_) => Value::Null,
        }
    }

    /// What Go writes for an object of the type that nobody filled in.
    pub fn empty_object(&self, id: TypeId) -> Value {
        self.zero(&Kind::Struct(id))
    }

    /// Leaves out what Go omits and fills in what it writes even when empty.
    fn complete(&self, id: TypeId, mut found: Map<String, Value>) -> Map<String, Value> {
        let ty = self.get(id);
        let mut out = Map::new();
        for field in &ty.fields {
            let value = found.remove(field.name).unwrap_or(Value::Null);
            if let Some(value) = self.written(field, value) {
                out.insert(field.name.to_owned(), value);
            }
        }
        out
    }

    fn written(&self, field: &Field, value: Value) -> Option<Value> {
        if value.is_null() {
            if field.pointer || field.kind == Kind::Any {
                return (!field.omit_empty).then_some(Value::Null);
            }
            return match &field.kind {
                // Go never takes a struct for empty, a time neither.
                kind @ (Kind::Struct(_)
                | Kind::Quantity
                | Kind::IntOrString
                | Kind::Time
                | Kind::MicroTime) => (!field.omit_zero).then(|| self.zero(kind)),
                kind => (!field.omit_empty).then(|| self.zero(kind)),
            };
        }
        (field.pointer || !field.omit_empty || !is_empty(&field.kind, &value)).then_some(value)
    }
}

/// Whether Go's `omitempty` takes the value for empty.
pub(super) fn is_empty(kind: &Kind, value: &Value) -> bool {
    match (kind, value) {
        (Kind::Bool, Value::Bool(false)) => true,
        (Kind::Int32 | Kind::Int64 | Kind::Float64, Value::Number(n)) => n.as_f64() == Some(0.0),
        (Kind::Text | Kind::Bytes, Value::String(text)) => text.is_empty(),
        (Kind::List(_), Value::Array(items)) => items.is_empty(),
        (Kind::Map(_), Value::Object(map)) => map.is_empty(),
        _ => false,
    }
}

/// Most problems of one object that are told, as upstream has it.
const MAX_PROBLEMS: usize = 100;

/// The owners of an object's fields.
const MANAGED_FIELDS: &str = "managedFields";

/// A step of the path as strict decoding prints it.
enum Step {
    Name(String),
    Index(usize),
}

/// What one pass gathers.
struct Pass<'s> {
    schema: &'s Schema,
    path: Vec<Step>,
    problems: Vec<String>,
    /// The first error; the pass goes on to the end, as Go's does.
    error: Option<String>,
    /// Names of the fields that lead here, as Go's errors print them.
    fields: Vec<&'s str>,
}

impl<'s> Pass<'s> {
    fn new(schema: &'s Schema) -> Pass<'s> {
        Pass {
            schema,
            path: Vec::new(),
            problems: Vec::new(),
            error: None,
            fields: Vec::new(),
        }
    }

    fn finish(self, value: Value) -> Result<Decoded, DecodeError> {
        match self.error {
            Some(error) => Err(DecodeError::Type(error)),
            None if is_deeper(&value, MAX_DEPTH) => {
                Err(DecodeError::Type("exceeded max depth".to_owned()))
            }
            None => Ok(Decoded {
                value,
                problems: self.problems,
            }),
        }
    }

    fn note(&mut self, what: &str, key: &str) {
        if self.problems.len() >= MAX_PROBLEMS {
            return;
        }
        let mut text = String::new();
        for step in &self.path {
            match step {
                Step::Name(name) => {
                    if !text.is_empty() {
                        text.push('.');
                    }
                    text.push_str(name);
                }
                Step::Index(i) => text.push_str(&format!("[{i}]")),
            }
        }
        if !text.is_empty() {
            text.push('.');
        }
        text.push_str(key);
        let problem = format!("{what} field {}", crate::field::quote(&text));
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    /// Whether the pass is in the metadata of the object itself.
    fn is_object_metadata(&self) -> bool {
        matches!(&*self.path, [Step::Name(name)] if name == "metadata")
    }

    fn fail(&mut self, message: impl FnOnce() -> String) {
        if self.error.is_none() {
            self.error = Some(message());
        }
    }
}

/// Decodes one value.
struct Seed<'p, 's, 'k> {
    pass: &'p mut Pass<'s>,
    kind: &'k Kind,
    /// The innermost Go struct on the way here.
    owner: &'s str,
    /// The declared type of the value, as Go's errors print it.
    go_type: &'k str,
}

impl<'p, 's, 'k> Seed<'p, 's, 'k> {
    fn root(pass: &'p mut Pass<'s>, kind: &'k Kind) -> Self {
        Seed {
            pass,
            kind,
            owner: "",
            go_type: "",
        }
    }

    /// Records that the value is of another type than declared; `number` shows it when it is one.
    fn mismatch(self, found: &str, wanted: &str) -> Value {
        let Seed { pass, owner, .. } = self;
        let place = if pass.fields.is_empty() {
            "Go value".to_owned()
        } else {
            format!("Go struct field {owner}.{}", pass.fields.join("."))
        };
        pass.fail(|| format!("json: cannot unmarshal {found} into {place} of type {wanted}"));
        Value::Null
    }

    /// The declared type, or that of what a type with its own form reads.
    fn wanted(&self) -> String {
        match self.kind {
            Kind::Time | Kind::MicroTime => "string".to_owned(),
            Kind::IntOrString => "int32".to_owned(),
            _ => self.go_type.to_owned(),
        }
    }

    fn other(self, found: &str) -> Value {
        if *self.kind == Kind::Quantity {
            self.pass
                .fail(|| crate::quantity::QuantityError::Format.to_string());
            return Value::Null;
        }
        let wanted = self.wanted();
        self.mismatch(found, &wanted)
    }

    fn whole_number(self, number: i128) -> Value {
        let fits = match self.kind {
            Kind::Int32 | Kind::IntOrString => i32::try_from(number).is_ok(),
            _ => i64::try_from(number).is_ok(),
        };
        match self.kind {
            Kind::Int32 | Kind::Int64 | Kind::IntOrString if fits => {
                Value::from(i64::try_from(number).unwrap_or_default())
            }
            Kind::Int32 | Kind::Int64 | Kind::IntOrString => {
                let wanted = self.wanted();
                self.mismatch(&format!("number {number}"), &wanted)
            }
            Kind::Quantity => self.quantity(&number.to_string()),
            Kind::Float64 | Kind::Any => match (i64::try_from(number), u64::try_from(number)) {
                (Ok(n), _) => Value::from(n),
                (_, Ok(n)) => Value::from(n),
                _ => Value::Null,
            },
            _ => self.other("number"),
        }
    }

    fn quantity(self, text: &str) -> Value {
        match Quantity::parse(text) {
            Ok(quantity) => Value::String(quantity.to_string()),
            Err(error) => {
                self.pass.fail(|| error.to_string());
                Value::Null
            }
        }
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_, '_, '_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_, '_, '_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(match self.kind {
            Kind::Bool | Kind::Any => Value::Bool(value),
            _ => self.other("bool"),
        })
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(self.whole_number(i128::from(value)))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(self.whole_number(i128::from(value)))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(match self.kind {
            Kind::Float64 | Kind::Any => Value::from(value),
            Kind::Quantity => self.quantity(&value.to_string()),
            Kind::Int32 | Kind::Int64 | Kind::IntOrString => {
                let wanted = self.wanted();
                self.mismatch(&format!("number {}", Value::from(value)), &wanted)
            }
            _ => self.other("number"),
        })
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(match self.kind {
            Kind::Text | Kind::Any | Kind::IntOrString => Value::String(text.to_owned()),
            Kind::Quantity => self.quantity(text),
            Kind::Time => self.time(time::parse(text).map(time::format)),
            Kind::MicroTime => self.time(time::parse_micro(text).map(time::format_micro)),
            Kind::Bytes => {
                if let Some(at) = bad_base64(text) {
                    self.pass
                        .fail(|| format!("illegal base64 data at input byte {at}"));
                }
                Value::String(text.to_owned())
            }
            _ => self.other("string"),
        })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let element = match self.kind {
            Kind::Any => return Value::deserialize(SeqAccessDeserializer::new(seq)),
            Kind::List(element) => element,
            _ => {
                self.other("array");
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                return Ok(Value::Null);
            }
        };
        let mut items = Vec::new();
        loop {
            self.pass.path.push(Step::Index(items.len()));
            let item = seq.next_element_seed(Seed {
                pass: &mut *self.pass,
                kind: element,
                owner: self.owner,
                go_type: self.go_type.strip_prefix("[]").unwrap_or(self.go_type),
            });
            self.pass.path.pop();
            match item? {
                Some(Value::Null) => items.push(self.pass.schema.zero(element)),
                Some(item) => items.push(item),
                None => return Ok(Value::Array(items)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        match self.kind {
            Kind::Any => Value::deserialize(MapAccessDeserializer::new(map)),
            Kind::Struct(id) => self.visit_struct(*id, map),
            Kind::Map(element) => self.visit_entries(element, map),
            _ => {
                self.other("object");
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Value::Null)
            }
        }
    }
}

impl Seed<'_, '_, '_> {
    fn time(self, parsed: Result<String, String>) -> Value {
        match parsed {
            Ok(text) => Value::String(text),
            Err(error) => {
                self.pass.fail(|| error);
                Value::Null
            }
        }
    }

    fn visit_struct<'de, A: MapAccess<'de>>(
        self,
        id: TypeId,
        mut map: A,
    ) -> Result<Value, A::Error> {
        let schema = self.pass.schema;
        let ty = schema.get(id);
        let mut found = Map::new();
        let mut seen: Vec<String> = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            if seen.contains(&key) {
                self.pass.note("duplicate", &key);
            }
            let Some(field) = ty.field(&key) else {
                self.pass.note("unknown", &key);
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            self.pass.path.push(Step::Name(key.clone()));
            self.pass.fields.push(field.name);
            let value = map.next_value_seed(Seed {
                pass: &mut *self.pass,
                kind: &field.kind,
                owner: ty.name,
                go_type: &field.go_type,
            });
            self.pass.fields.pop();
            self.pass.path.pop();
            let value = value?;
            // Of a repeated key the last value counts, unless that is null.
            if !value.is_null() {
                found.insert(key.clone(), value);
            }
            seen.push(key);
        }
        let reset = self.pass.is_object_metadata()
            && found
                .get(MANAGED_FIELDS)
                .and_then(Value::as_array)
                .is_some_and(Vec::is_empty);
        let mut out = schema.complete(id, found);
        if reset {
            // Here alone an empty list is not the same as none: it takes all fields from their owners.
            out.insert(MANAGED_FIELDS.to_owned(), Value::Array(Vec::new()));
        }
        Ok(Value::Object(out))
    }

    fn visit_entries<'de, A: MapAccess<'de>>(
        self,
        element: &Kind,
        mut map: A,
    ) -> Result<Value, A::Error> {
        let go_type = self
            .go_type
            .strip_prefix("map[")
            .and_then(|rest| rest.split_once(']'))
            .map_or(self.go_type, |(_, element)| element);
        let mut found = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            if found.contains_key(&key) {
                self.pass.note("duplicate", &key);
            }
            self.pass.path.push(Step::Name(key.clone()));
            let value = map.next_value_seed(Seed {
                pass: &mut *self.pass,
                kind: element,
                owner: self.owner,
                go_type,
            });
            self.pass.path.pop();
            let value = match value? {
                Value::Null => match element {
                    Kind::Bytes => Value::String(String::new()),
                    element => self.pass.schema.zero(element),
                },
                value => value,
            };
            found.insert(key, value);
        }
        Ok(Value::Object(found))
    }
}

/// Where base64 text is malformed, counted as Go counts.
fn bad_base64(text: &str) -> Option<usize> {
    let mut digits = 0usize;
    let mut padding = 0usize;
    for (i, b) in text.bytes().enumerate() {
        match b {
            b'\r' | b'\n' => {}
            b'=' => {
                // At most two, and only in the third and fourth place of a group.
                if (digits + padding) % 4 < 2 || padding == 2 {
                    return Some(i);
                }
                padding += 1;
            }
            _ if padding > 0 => return Some(i),
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' => digits += 1,
            _ => return Some(i),
        }
    }
    if (digits + padding).is_multiple_of(4) {
        return None;
    }
    Some(text.len() - (digits + padding) % 4)
}
