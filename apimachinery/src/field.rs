//! Errors about one field of an object, in the words of upstream's `field.Error`.

use std::collections::HashSet;
use std::fmt;

use serde_json::Value;

/// A path to a field: `spec.containers[0].ports`, `metadata.labels[a/b]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Path(String);

impl Path {
    /// A path of one field, or of several joined by dots.
    pub fn new(name: impl Into<String>) -> Path {
        Path(name.into())
    }

    /// The path of the whole object; its children have no leading dot.
    pub fn root() -> Path {
        Path::default()
    }

    /// The field `name` below this path.
    #[must_use]
    pub fn child(&self, name: &str) -> Path {
        if self.0.is_empty() {
            return Path(name.to_owned());
        }
        Path(format!("{}.{name}", self.0))
    }

    /// The item at `index` of the list at this path.
    #[must_use]
    pub fn index(&self, index: usize) -> Path {
        Path(format!("{}[{index}]", self.0))
    }

    /// The entry `key` of the map at this path.
    #[must_use]
    pub fn key(&self, key: &str) -> Path {
        Path(format!("{}[{key}]", self.0))
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is wrong with a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FieldErrorKind {
    /// Something that is referred to is not there.
    NotFound,
    /// A value is missing.
    Required,
    /// A value that must be unique appears twice.
    Duplicate,
    /// A malformed value.
    Invalid,
    /// A value outside a closed set.
    NotSupported,
    /// A well-formed value that is not allowed here or now.
    Forbidden,
    /// A value that is too long; it is not repeated in the message.
    TooLong,
    /// A list with too many items.
    TooMany,
    /// Not the fault of the input.
    Internal,
    /// A value of the wrong type.
    TypeInvalid,
}

impl FieldErrorKind {
    /// The words before the value in a message.
    pub fn words(self) -> &'static str {
        match self {
            FieldErrorKind::NotFound => "Not found",
            FieldErrorKind::Required => "Required value",
            FieldErrorKind::Duplicate => "Duplicate value",
            FieldErrorKind::Invalid | FieldErrorKind::TypeInvalid => "Invalid value",
            FieldErrorKind::NotSupported => "Unsupported value",
            FieldErrorKind::Forbidden => "Forbidden",
            FieldErrorKind::TooLong => "Too long",
            FieldErrorKind::TooMany => "Too many",
            FieldErrorKind::Internal => "Internal error",
        }
    }

    /// The reason of a cause in a Status.
    pub fn reason(self) -> &'static str {
        match self {
            FieldErrorKind::NotFound => "FieldValueNotFound",
            FieldErrorKind::Required => "FieldValueRequired",
            FieldErrorKind::Duplicate => "FieldValueDuplicate",
            FieldErrorKind::Invalid => "FieldValueInvalid",
            FieldErrorKind::NotSupported => "FieldValueNotSupported",
            FieldErrorKind::Forbidden => "FieldValueForbidden",
            FieldErrorKind::TooLong => "FieldValueTooLong",
            FieldErrorKind::TooMany => "FieldValueTooMany",
            FieldErrorKind::Internal => "InternalError",
            FieldErrorKind::TypeInvalid => "FieldValueTypeInvalid",
        }
    }
}

/// A refused value as a message shows it.
///
/// Strings are quoted, numbers and booleans bare, anything else is JSON. Use
/// [`BadValue::Raw`] for a value whose upstream form differs from its JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadValue {
    /// Not shown at all.
    Omitted,
    /// Shown exactly so.
    Raw(String),
    /// Shown in quotes.
    Text(String),
}

impl fmt::Display for BadValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadValue::Omitted => Ok(()),
            BadValue::Raw(text) => f.write_str(text),
            BadValue::Text(text) => f.write_str(&quote(text)),
        }
    }
}

impl From<&str> for BadValue {
    fn from(value: &str) -> Self {
        BadValue::Text(value.to_owned())
    }
}

impl From<&String> for BadValue {
    fn from(value: &String) -> Self {
        BadValue::Text(value.clone())
    }
}

impl From<String> for BadValue {
    fn from(value: String) -> Self {
        BadValue::Text(value)
    }
}

impl From<i64> for BadValue {
    fn from(value: i64) -> Self {
        BadValue::Raw(value.to_string())
    }
}

impl From<i32> for BadValue {
    fn from(value: i32) -> Self {
        BadValue::Raw(value.to_string())
    }
}

impl From<bool> for BadValue {
    fn from(value: bool) -> Self {
        BadValue::Raw(value.to_string())
    }
}

impl From<&Value> for BadValue {
    fn from(value: &Value) -> Self {
        match value {
            Value::String(text) => BadValue::Text(text.clone()),
            other => BadValue::Raw(other.to_string()),
        }
    }
}

impl From<Option<&Value>> for BadValue {
    fn from(value: Option<&Value>) -> Self {
        value.map_or_else(|| BadValue::Raw("null".to_owned()), BadValue::from)
    }
}

/// One thing that is wrong with one field; shown as `<path>: <body>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// What is wrong.
    pub kind: FieldErrorKind,
    /// Where.
    pub field: String,
    /// The refused value.
    pub value: BadValue,
    /// Why it was refused; may be empty.
    pub detail: String,
}

impl FieldError {
    fn new(
        kind: FieldErrorKind,
        path: &Path,
        value: impl Into<BadValue>,
        detail: impl Into<String>,
    ) -> FieldError {
        FieldError {
            kind,
            field: path.0.clone(),
            value: value.into(),
            detail: detail.into(),
        }
    }

    /// A value is missing; `detail` may be empty.
    pub fn required(path: &Path, detail: impl Into<String>) -> FieldError {
        Self::new(FieldErrorKind::Required, path, BadValue::Omitted, detail)
    }

    /// A malformed value.
    pub fn invalid(
        path: &Path,
        value: impl Into<BadValue>,
        detail: impl Into<String>,
    ) -> FieldError {
        Self::new(FieldErrorKind::Invalid, path, value, detail)
    }

    /// A value of the wrong type.
    pub fn type_invalid(
        path: &Path,
        value: impl Into<BadValue>,
        detail: impl Into<String>,
    ) -> FieldError {
        Self::new(FieldErrorKind::TypeInvalid, path, value, detail)
    }

    /// A value outside the set `supported`, which is listed in the order given.
    pub fn not_supported<S: AsRef<str>>(
        path: &Path,
        value: impl Into<BadValue>,
        supported: &[S],
    ) -> FieldError {
        let detail = if supported.is_empty() {
            String::new()
        } else {
            let quoted: Vec<String> = supported.iter().map(|s| quote(s.as_ref())).collect();
            format!("supported values: {}", quoted.join(", "))
        };
        Self::new(FieldErrorKind::NotSupported, path, value, detail)
    }

    /// A value that may not be set or changed here.
    pub fn forbidden(path: &Path, detail: impl Into<String>) -> FieldError {
        Self::new(FieldErrorKind::Forbidden, path, BadValue::Omitted, detail)
    }

    /// A value that must be unique appears again.
    pub fn duplicate(path: &Path, value: impl Into<BadValue>) -> FieldError {
        Self::new(FieldErrorKind::Duplicate, path, value, "")
    }

    /// A reference to something that is not there.
    pub fn not_found(path: &Path, value: impl Into<BadValue>) -> FieldError {
        Self::new(FieldErrorKind::NotFound, path, value, "")
    }

    /// A value of more than `max` bytes.
    pub fn too_long(path: &Path, max: usize) -> FieldError {
        Self::new(
            FieldErrorKind::TooLong,
            path,
            BadValue::Omitted,
            format!("may not be more than {max} bytes"),
        )
    }

    /// A list of `actual` items where `max` are allowed.
    pub fn too_many(path: &Path, actual: usize, max: usize) -> FieldError {
        Self::new(
            FieldErrorKind::TooMany,
            path,
            BadValue::Raw(actual.to_string()),
            format!("must have at most {max} items"),
        )
    }

    /// An error that the input did not cause.
    pub fn internal(path: &Path, error: impl fmt::Display) -> FieldError {
        Self::new(
            FieldErrorKind::Internal,
            path,
            BadValue::Omitted,
            error.to_string(),
        )
    }

    /// The message without the field's path.
    pub fn body(&self) -> String {
        let mut text = self.kind.words().to_owned();
        let shows_value = !matches!(
            self.kind,
            FieldErrorKind::Required
                | FieldErrorKind::Forbidden
                | FieldErrorKind::TooLong
                | FieldErrorKind::Internal
        );
        if shows_value && self.value != BadValue::Omitted {
            text.push_str(": ");
            text.push_str(&self.value.to_string());
        }
        if !self.detail.is_empty() {
            text.push_str(": ");
            text.push_str(&self.detail);
        }
        text
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.body())
    }
}

impl std::error::Error for FieldError {}

/// The errors as one line: a single one bare, several in brackets, repeats once.
pub fn aggregate(errors: &[FieldError]) -> String {
    // An object may have tens of thousands of errors.
    let mut seen = HashSet::with_capacity(errors.len());
    let mut messages: Vec<String> = errors.iter().map(ToString::to_string).collect();
    messages.retain(|message| seen.insert(message.clone()));
    match messages.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        many => format!("[{}]", many.join(", ")),
    }
}

/// A string in double quotes with Go's escapes (`%q`).
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            c if c.is_control() && (c as u32) < 0x80 => {
                out.push_str(&format!("\\x{:02x}", c as u32));
            }
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_read_as_upstream_writes_them() {
        let path = Path::new("spec").child("ports").index(1).child("name");
        for (error, expected) in [
            (
                FieldError::required(&path, ""),
                "spec.ports[1].name: Required value",
            ),
            (
                FieldError::invalid(&path, "a\"b", "bad"),
                "spec.ports[1].name: Invalid value: \"a\\\"b\": bad",
            ),
            (
                FieldError::invalid(&path, -1, "must be greater than or equal to 0"),
                "spec.ports[1].name: Invalid value: -1: must be greater than or equal to 0",
            ),
            (
                FieldError::invalid(&path, None, "field is immutable"),
                "spec.ports[1].name: Invalid value: null: field is immutable",
            ),
            (
                FieldError::not_supported(&path, "X", &["TCP", "UDP"]),
                "spec.ports[1].name: Unsupported value: \"X\": supported values: \"TCP\", \"UDP\"",
            ),
            (
                FieldError::duplicate(&path, "a"),
                "spec.ports[1].name: Duplicate value: \"a\"",
            ),
            (
                FieldError::too_many(&path, 5, 3),
                "spec.ports[1].name: Too many: 5: must have at most 3 items",
            ),
            (
                FieldError::forbidden(&path, "no"),
                "spec.ports[1].name: Forbidden: no",
            ),
        ] {
            assert_eq!(error.to_string(), expected);
        }
    }

    #[test]
    fn several_errors_stand_in_brackets_and_repeats_appear_once() {
        let a = FieldError::required(&Path::new("a"), "");
        let b = FieldError::required(&Path::new("b"), "");
        assert_eq!(aggregate(std::slice::from_ref(&a)), "a: Required value");
        assert_eq!(
            aggregate(&[a.clone(), b, a]),
            "[a: Required value, b: Required value]"
        );
    }
}
