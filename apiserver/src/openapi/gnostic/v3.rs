//! Version 3.

use serde_json::Value;

use super::{Message, Shape, bytes, field, message, named, one, wrapped};

static SCHEMA: Message = Message {
    fields: &[
        ("uniqueItems", 20, Shape::Flag),
        ("required", 23, Shape::Each(&Shape::Text)),
        ("enum", 24, Shape::Each(&Shape::Any)),
        ("type", 25, Shape::Text),
        ("allOf", 26, Shape::Each(&Shape::OrReference(&SCHEMA))),
        ("oneOf", 27, Shape::Each(&Shape::OrReference(&SCHEMA))),
        ("items", 30, Shape::Inside(1, &Shape::OrReference(&SCHEMA))),
        (
            "properties",
            31,
            Shape::Named(1, &Shape::OrReference(&SCHEMA)),
        ),
        (
            "additionalProperties",
            32,
            Shape::Inside(1, &Shape::OrReference(&SCHEMA)),
        ),
        ("default", 33, Shape::Default),
        ("description", 34, Shape::Text),
        ("format", 35, Shape::Text),
    ],
    extensions: 36,
};

static MEDIA_TYPE: Message = Message {
    fields: &[("schema", 1, Shape::OrReference(&SCHEMA))],
    extensions: 5,
};

static REQUEST_BODY: Message = Message {
    fields: &[
        ("description", 1, Shape::Text),
        ("content", 2, Shape::Named(1, &Shape::Message(&MEDIA_TYPE))),
        ("required", 3, Shape::Flag),
    ],
    extensions: 4,
};

static RESPONSE: Message = Message {
    fields: &[
        ("description", 1, Shape::Text),
        ("content", 3, Shape::Named(1, &Shape::Message(&MEDIA_TYPE))),
    ],
    extensions: 5,
};

static PARAMETER: Message = Message {
    fields: &[
        ("name", 1, Shape::Text),
        ("in", 2, Shape::Text),
        ("description", 3, Shape::Text),
        ("required", 4, Shape::Flag),
        ("schema", 10, Shape::OrReference(&SCHEMA)),
    ],
    extensions: 14,
};

static OPERATION: Message = Message {
    fields: &[
        ("tags", 1, Shape::Each(&Shape::Text)),
        ("description", 3, Shape::Text),
        ("operationId", 5, Shape::Text),
        (
            "parameters",
            6,
            Shape::Each(&Shape::OrReference(&PARAMETER)),
        ),
        ("requestBody", 7, Shape::OrReference(&REQUEST_BODY)),
        (
            "responses",
            8,
            Shape::Named(2, &Shape::OrReference(&RESPONSE)),
        ),
    ],
    extensions: 13,
};

static PATH_ITEM: Message = Message {
    fields: &[
        ("get", 4, Shape::Message(&OPERATION)),
        ("put", 5, Shape::Message(&OPERATION)),
        ("post", 6, Shape::Message(&OPERATION)),
        ("delete", 7, Shape::Message(&OPERATION)),
        ("patch", 10, Shape::Message(&OPERATION)),
        (
            "parameters",
            13,
            Shape::Each(&Shape::OrReference(&PARAMETER)),
        ),
    ],
    extensions: 14,
};

static INFO: Message = Message {
    fields: &[("title", 1, Shape::Text), ("version", 6, Shape::Text)],
    extensions: 7,
};

/// What a document begins with.
pub(in crate::openapi) fn head(info: &Value) -> Vec<u8> {
    let mut out = one(1, b"3.0.0");
    bytes(2, &message(info, &INFO), &mut out);
    out
}

/// One path of a document.
pub(in crate::openapi) fn path(name: &str, item: &Value) -> Vec<u8> {
    wrapped(4, 1, &named(name, &message(item, &PATH_ITEM)))
}

/// One schema of a document, among its components.
pub(in crate::openapi) fn definition(name: &str, schema: &Value) -> Vec<u8> {
    let mut pair = one(1, name.as_bytes());
    field(2, schema, &Shape::OrReference(&SCHEMA), &mut pair);
    one(5, &wrapped(1, 1, &pair))
}
