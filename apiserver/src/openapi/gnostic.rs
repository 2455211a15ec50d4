//! The document of version 2 in protobuf: the messages of gnostic's `OpenAPIv2.proto`, made from
//! the JSON by a table of which field has which number.
//!
//! Embedded messages that come more than once are merged by whoever reads them, so that every path
//! and definition can be written on its own.

use prost::encoding::{WireType, encode_key, encode_varint};
use serde_json::Value;

/// What a field of the JSON becomes.
enum Shape {
    Text,
    Flag,
    Texts,
    /// Any JSON, as YAML in a message.
    Any,
    Anys,
    Message(&'static Message),
    Messages(&'static Message),
    /// A map: a message of pairs.
    Named(&'static Message),
    /// Inside a message of that one field.
    Inside(u32, &'static Shape),
    Parameters,
    Responses,
}

/// A message: its fields by their names in JSON, and the number of its extensions.
struct Message {
    fields: &'static [(&'static str, u32, Shape)],
    extensions: u32,
}

static SCHEMA: Message = Message {
    fields: &[
        ("$ref", 1, Shape::Text),
        ("format", 2, Shape::Text),
        ("description", 4, Shape::Text),
        ("default", 5, Shape::Any),
        ("required", 19, Shape::Texts),
        ("enum", 20, Shape::Anys),
        (
            "additionalProperties",
            21,
            Shape::Inside(1, &Shape::Message(&SCHEMA)),
        ),
        ("type", 22, Shape::Inside(1, &Shape::Text)),
        ("items", 23, Shape::Inside(1, &Shape::Message(&SCHEMA))),
        ("allOf", 24, Shape::Messages(&SCHEMA)),
        ("properties", 25, Shape::Named(&SCHEMA)),
    ],
    extensions: 31,
};

static RESPONSE: Message = Message {
    fields: &[
        ("description", 1, Shape::Text),
        ("schema", 2, Shape::Inside(1, &Shape::Message(&SCHEMA))),
    ],
    extensions: 5,
};

static BODY_PARAMETER: Message = Message {
    fields: &[
        ("description", 1, Shape::Text),
        ("name", 2, Shape::Text),
        ("in", 3, Shape::Text),
        ("required", 4, Shape::Flag),
        ("schema", 5, Shape::Message(&SCHEMA)),
    ],
    extensions: 6,
};

static QUERY_PARAMETER: Message = Message {
    fields: &[
        ("required", 1, Shape::Flag),
        ("in", 2, Shape::Text),
        ("description", 3, Shape::Text),
        ("name", 4, Shape::Text),
        ("type", 6, Shape::Text),
        ("format", 7, Shape::Text),
        ("uniqueItems", 20, Shape::Flag),
    ],
    extensions: 23,
};

static PATH_PARAMETER: Message = Message {
    fields: &[
        ("required", 1, Shape::Flag),
        ("in", 2, Shape::Text),
        ("description", 3, Shape::Text),
        ("name", 4, Shape::Text),
        ("type", 5, Shape::Text),
        ("format", 6, Shape::Text),
        ("uniqueItems", 19, Shape::Flag),
    ],
    extensions: 22,
};

static OPERATION: Message = Message {
    fields: &[
        ("tags", 1, Shape::Texts),
        ("description", 3, Shape::Text),
        ("operationId", 5, Shape::Text),
        ("produces", 6, Shape::Texts),
        ("consumes", 7, Shape::Texts),
        ("parameters", 8, Shape::Parameters),
        ("responses", 9, Shape::Responses),
        ("schemes", 10, Shape::Texts),
    ],
    extensions: 13,
};

static PATH_ITEM: Message = Message {
    fields: &[
        ("get", 2, Shape::Message(&OPERATION)),
        ("put", 3, Shape::Message(&OPERATION)),
        ("post", 4, Shape::Message(&OPERATION)),
        ("delete", 5, Shape::Message(&OPERATION)),
        ("patch", 8, Shape::Message(&OPERATION)),
        ("parameters", 9, Shape::Parameters),
    ],
    extensions: 10,
};

static INFO: Message = Message {
    fields: &[("title", 1, Shape::Text), ("version", 2, Shape::Text)],
    extensions: 7,
};

/// What a document begins with.
pub(super) fn head(info: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    bytes(1, b"2.0", &mut out);
    bytes(2, &message(info, &INFO), &mut out);
    out
}

/// One path of a document.
pub(super) fn path(name: &str, item: &Value) -> Vec<u8> {
    wrapped(8, 2, &named(name, &message(item, &PATH_ITEM)))
}

/// One definition of a document.
pub(super) fn definition(name: &str, schema: &Value) -> Vec<u8> {
    wrapped(9, 1, &named(name, &message(schema, &SCHEMA)))
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
    let items = || value.as_array().into_iter().flatten();
    let text = |value: &Value| value.as_str().unwrap_or_default().as_bytes().to_vec();
    match shape {
        Shape::Text => bytes(tag, &text(value), out),
        Shape::Flag => {
            encode_key(tag, WireType::Varint, out);
            encode_varint(value.as_bool().unwrap_or_default().into(), out);
        }
        Shape::Texts => items().for_each(|item| bytes(tag, &text(item), out)),
        Shape::Any => bytes(tag, &any(value), out),
        Shape::Anys => items().for_each(|item| bytes(tag, &any(item), out)),
        Shape::Message(own) => bytes(tag, &message(value, own), out),
        Shape::Messages(own) => items().for_each(|item| bytes(tag, &message(item, own), out)),
        Shape::Named(own) => {
            let mut all = Vec::new();
            for (name, value) in value.as_object().into_iter().flatten() {
                bytes(1, &named(name, &message(value, own)), &mut all);
            }
            bytes(tag, &all, out);
        }
        Shape::Inside(inner, own) => {
            let mut inside = Vec::new();
            field(*inner, value, own, &mut inside);
            bytes(tag, &inside, out);
        }
        Shape::Parameters => items().for_each(|item| bytes(tag, &parameter(item), out)),
        Shape::Responses => {
            let mut all = Vec::new();
            for (code, value) in value.as_object().into_iter().flatten() {
                let response = one(1, &message(value, &RESPONSE));
                bytes(1, &named(code, &response), &mut all);
            }
            bytes(tag, &all, out);
        }
    }
}

/// ParametersItem { Parameter { body or NonBodyParameter { query or path } } }
fn parameter(value: &Value) -> Vec<u8> {
    let parameter = match value["in"].as_str() {
        Some("body") => one(1, &message(value, &BODY_PARAMETER)),
        Some("path") => wrapped(2, 4, &message(value, &PATH_PARAMETER)),
        _ => wrapped(2, 3, &message(value, &QUERY_PARAMETER)),
    };
    one(1, &parameter)
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

fn bytes(tag: u32, value: &[u8], out: &mut Vec<u8>) {
    encode_key(tag, WireType::LengthDelimited, out);
    encode_varint(value.len() as u64, out);
    out.extend_from_slice(value);
}
