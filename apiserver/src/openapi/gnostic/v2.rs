//! Version 2.

use serde_json::Value;

use super::{Message, Shape, bytes, message, named, one, wrapped};

static SCHEMA: Message = Message {
    fields: &[
        ("$ref", 1, Shape::Text),
        ("format", 2, Shape::Text),
        ("description", 4, Shape::Text),
        ("default", 5, Shape::Any),
        ("required", 19, Shape::Each(&Shape::Text)),
        ("enum", 20, Shape::Each(&Shape::Any)),
        (
            "additionalProperties",
            21,
            Shape::Inside(1, &Shape::Message(&SCHEMA)),
        ),
        ("type", 22, Shape::Inside(1, &Shape::Text)),
        ("items", 23, Shape::Inside(1, &Shape::Message(&SCHEMA))),
        ("allOf", 24, Shape::Each(&Shape::Message(&SCHEMA))),
        ("properties", 25, Shape::Named(1, &Shape::Message(&SCHEMA))),
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
        ("tags", 1, Shape::Each(&Shape::Text)),
        ("description", 3, Shape::Text),
        ("operationId", 5, Shape::Text),
        ("produces", 6, Shape::Each(&Shape::Text)),
        ("consumes", 7, Shape::Each(&Shape::Text)),
        ("parameters", 8, Shape::Each(&Shape::Parameter)),
        (
            "responses",
            9,
            Shape::Named(1, &Shape::Inside(1, &Shape::Message(&RESPONSE))),
        ),
        ("schemes", 10, Shape::Each(&Shape::Text)),
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
        ("parameters", 9, Shape::Each(&Shape::Parameter)),
    ],
    extensions: 10,
};

static INFO: Message = Message {
    fields: &[("title", 1, Shape::Text), ("version", 2, Shape::Text)],
    extensions: 7,
};

/// What a document begins with.
pub(in crate::openapi) fn head(info: &Value) -> Vec<u8> {
    let mut out = one(1, b"2.0");
    bytes(2, &message(info, &INFO), &mut out);
    out
}

/// One path of a document.
pub(in crate::openapi) fn path(name: &str, item: &Value) -> Vec<u8> {
    wrapped(8, 2, &named(name, &message(item, &PATH_ITEM)))
}

/// One definition of a document.
pub(in crate::openapi) fn definition(name: &str, schema: &Value) -> Vec<u8> {
    wrapped(9, 1, &named(name, &message(schema, &SCHEMA)))
}

/// ParametersItem { Parameter { body or NonBodyParameter { query or path } } }
pub(super) fn parameter(value: &Value) -> Vec<u8> {
    let parameter = match value["in"].as_str() {
        Some("body") => one(1, &message(value, &BODY_PARAMETER)),
        Some("path") => wrapped(2, 4, &message(value, &PATH_PARAMETER)),
        _ => wrapped(2, 3, &message(value, &QUERY_PARAMETER)),
    };
    one(1, &parameter)
}
