//! Changes to objects: JSON patch, JSON merge patch, strategic merge patch, and the patch that `kubectl apply` sends.

mod diff;
mod json_patch;
mod merge;
mod strategic;

#[cfg(test)]
mod tests;

use std::fmt::Write as _;

use serde_json::Value;

pub use diff::{three_way, three_way_json_merge};
pub use json_patch::{json_patch, touched};
pub use merge::{json_merge, json_merge_diff};
pub use strategic::strategic_merge;

use crate::schema::{Schema, TypeId, json_syntax};
use crate::status::Status;

/// Why a patch cannot be applied; the messages are upstream's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// The patch is malformed: 400.
    #[error("{0}")]
    BadRequest(String),
    /// The patch does not fit the object: 422 without a word about why.
    #[error("the server rejected our request due to an error in our request")]
    Unprocessable,
    /// What upstream answers with a bare 500.
    #[error("{0}")]
    Internal(String),
}

impl From<PatchError> for Status {
    fn from(error: PatchError) -> Status {
        match error {
            PatchError::BadRequest(message) => Status::bad_request(message),
            PatchError::Unprocessable => Status::unprocessable(),
            PatchError::Internal(message) => Status::bare_error(message),
        }
    }
}

/// The form of a patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PatchType {
    /// A list of operations.
    Json,
    /// A tree in which null removes.
    Merge,
    /// A merge patch that knows lists and directives.
    Strategic,
}

impl PatchType {
    /// The form that a media type names.
    pub fn from_media_type(media_type: &str) -> Option<PatchType> {
        match media_type {
            "application/json-patch+json" => Some(PatchType::Json),
            "application/merge-patch+json" => Some(PatchType::Merge),
            "application/strategic-merge-patch+json" => Some(PatchType::Strategic),
            _ => None,
        }
    }

    /// Reads a patch of this form.
    pub fn read(self, bytes: &[u8]) -> Result<Value, PatchError> {
        serde_json::from_slice(bytes).map_err(|error| {
            let message = json_syntax::check(bytes)
                .err()
                .unwrap_or_else(|| error.to_string());
            PatchError::BadRequest(match self {
                PatchType::Strategic => message,
                PatchType::Json | PatchType::Merge => format!("error decoding patch: {message}"),
            })
        })
    }

    /// Applies a patch of this form to an object of the type.
    pub fn apply(
        self,
        schema: &Schema,
        id: TypeId,
        original: Value,
        patch: &Value,
    ) -> Result<Value, PatchError> {
        match self {
            PatchType::Json => json_patch(original, patch),
            PatchType::Merge => json_merge(original, patch),
            PatchType::Strategic => strategic_merge(schema, id, original, patch),
        }
    }
}

/// A directive about the whole map: `replace`, `delete`, `merge`.
const DIRECTIVE: &str = "$patch";
/// The keys that a map may keep.
const RETAIN_KEYS: &str = "$retainKeys";
/// Before the name of a list of scalars: what to take out of it.
const DELETE_FROM_LIST: &str = "$deleteFromPrimitiveList";
/// Before the name of a list: the order of its items.
const ELEMENT_ORDER: &str = "$setElementOrder";

/// The field that a parallel list such as `$setElementOrder/containers` is about.
fn parallel<'k>(key: &'k str, prefix: &str) -> Option<&'k str> {
    key.strip_prefix(prefix)?.strip_prefix('/')
}

/// A tree as Go's `%v` prints it: `map[a:1 b:[x y]]`.
pub fn go_format(value: &Value) -> String {
    let mut out = String::new();
    write_go(value, &mut out);
    out
}

fn write_go(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("<nil>"),
        Value::String(text) => out.push_str(text),
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(' ');
                }
                write_go(item, out);
            }
            out.push(']');
        }
        Value::Object(map) => {
            out.push_str("map[");
            for (i, (key, value)) in crate::object::sorted(map).into_iter().enumerate() {
                if i > 0 {
                    out.push(' ');
                }
                out.push_str(key);
                out.push(':');
                write_go(value, out);
            }
            out.push(']');
        }
        scalar => {
            let _ = write!(out, "{scalar}");
        }
    }
}

/// What JSON calls the type of a value.
fn json_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
