//! Documents in protobuf: the messages of gnostic's `OpenAPIv2.proto` and `OpenAPIv3.proto`, made from the
//! JSON by tables of which field has which number.
//!
//! Embedded messages that come more than once are merged by whoever reads them, so that every path
//! and definition can be written on its own.

pub(super) mod v2;
pub(super) mod v3;

use prost::encoding::{WireType, encode_key, encode_varint};
use serde_json::Value;

/// What a field of the JSON becomes.
enum Shape {
    Text,
    Flag,
    /// Any JSON, as YAML in a message.
    Any,
    /// A number, a truth or a text; nothing else has a place there.
    Default,
    Message(&'static Message),
    /// The message, or one that refers to another place.
    OrReference(&'static Message),
    /// Each item of a list.
    Each(&'static Shape),
    /// A map: a message with pairs under this number.
    Named(u32, &'static Shape),
    /// Inside a message of that one field.
    Inside(u32, &'static Shape),
    /// A parameter of version 2, which is one of several messages.
    Parameter,
}

/// A message: its fields by their names in JSON, and the number of its extensions.
struct Message {
    fields: &'static [(&'static str, u32, Shape)],
    extensions: u32,
}

fn message(value: &Value, shape: &Message) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in value.as_object().into_iter().flatten() {
        if name.starts_with("x-") {
            bytes(shape.extensions, &named(name, &any(value)), &mut out);
        } else if let Some((_, tag, shape)) = shape.fields.iter().find(|(own, ..)| own == name) {
            field(*tag, value, shape, &mut out);
        } else {
            // A field of a document that this table does not know would be lost.
            debug_assert!(false, "{name} has no number");
        }
    }
    out
}

fn field(tag: u32, value: &Value, shape: &Shape, out: &mut Vec<u8>) {
    let text = || value.as_str().unwrap_or_default().as_bytes();
    match shape {
        Shape::Text => bytes(tag, text(), out),
        Shape::Flag => flag(tag, value.as_bool().unwrap_or_default(), out),
        Shape::Any => bytes(tag, &any(value), out),
        Shape::Default => bytes(tag, &default(value), out),
        Shape::Message(own) => bytes(tag, &message(value, own), out),
        Shape::OrReference(own) => match value.get("$ref") {
            None => bytes(tag, &one(1, &message(value, own)), out),
            Some(place) => {
                let place = place.as_str().unwrap_or_default();
                bytes(tag, &wrapped(2, 1, place.as_bytes()), out);
            }
        },
        Shape::Each(own) => {
            let items = value.as_array().into_iter().flatten();
            items.for_each(|item| field(tag, item, own, out));
        }
        Shape::Named(pairs, own) => {
            let mut all = Vec::new();
            for (name, value) in value.as_object().into_iter().flatten() {
                let mut pair = one(1, name.as_bytes());
                field(2, value, own, &mut pair);
                bytes(*pairs, &pair, &mut all);
            }
            bytes(tag, &all, out);
        }
        Shape::Inside(inner, own) => {
            let mut inside = Vec::new();
            field(*inner, value, own, &mut inside);
            bytes(tag, &inside, out);
        }
        Shape::Parameter => bytes(tag, &v2::parameter(value), out),
    }
}

/// DefaultType { number = 1 or boolean = 2 or string = 3 }
fn default(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    match value {
        Value::Number(number) => {
            encode_key(1, WireType::SixtyFourBit, &mut out);
            out.extend_from_slice(&number.as_f64().unwrap_or_default().to_le_bytes());
        }
        Value::Bool(truth) => flag(2, *truth, &mut out),
        Value::String(text) => bytes(3, text.as_bytes(), &mut out),
        _ => {}
    }
    out
}

/// Any { yaml = 2 }; JSON is YAML.
fn any(value: &Value) -> Vec<u8> {
    one(2, format!("{value}\n").as_bytes())
}

/// A pair of a name and a message.
fn named(name: &str, value: &[u8]) -> Vec<u8> {
    let mut out = one(1, name.as_bytes());
    bytes(2, value, &mut out);
    out
}

/// A message of one field in a message of one field.
fn wrapped(outer: u32, inner: u32, value: &[u8]) -> Vec<u8> {
    one(outer, &one(inner, value))
}

fn one(tag: u32, value: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    bytes(tag, value, &mut out);
    out
}

fn flag(tag: u32, value: bool, out: &mut Vec<u8>) {
    encode_key(tag, WireType::Varint, out);
    encode_varint(value.into(), out);
}

fn bytes(tag: u32, value: &[u8], out: &mut Vec<u8>) {
    encode_key(tag, WireType::LengthDelimited, out);
    encode_varint(value.len() as u64, out);
    out.extend_from_slice(value);
}
