//! One step of the path to a field: a name, the keys of a list item, a value of a set, or an index.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

use serde_json::{Map, Number, Value};

use crate::field::quote;

/// A scalar that tells list items apart.
#[derive(Clone, Debug)]
pub enum Scalar<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// A text.
    Text(Cow<'a, str>),
}

impl<'a> Scalar<'a> {
    /// The scalar in a tree; `None` for lists and maps.
    pub fn of(value: &'a Value) -> Option<Scalar<'a>> {
        Some(match value {
            Value::Null => Scalar::Null,
            Value::Bool(flag) => Scalar::Bool(*flag),
            Value::Number(number) => Scalar::number(number),
            Value::String(text) => Scalar::Text(Cow::Borrowed(text)),
            Value::Array(_) | Value::Object(_) => return None,
        })
    }

    fn number(number: &Number) -> Scalar<'a> {
        match number.as_i64() {
            Some(int) => Scalar::Int(int),
            None => Scalar::Float(number.as_f64().unwrap_or_default()),
        }
    }

    /// The same with text of its own.
    pub fn into_owned(self) -> Scalar<'static> {
        match self {
            Scalar::Null => Scalar::Null,
            Scalar::Bool(flag) => Scalar::Bool(flag),
            Scalar::Int(int) => Scalar::Int(int),
            Scalar::Float(float) => Scalar::Float(float),
            Scalar::Text(text) => Scalar::Text(Cow::Owned(text.into_owned())),
        }
    }

    fn to_value(&self) -> Value {
        match self {
            Scalar::Null => Value::Null,
            Scalar::Bool(flag) => Value::Bool(*flag),
            Scalar::Int(int) => Value::from(*int),
            Scalar::Float(float) => Value::from(*float),
            Scalar::Text(text) => Value::String(text.clone().into_owned()),
        }
    }

    /// Numbers come before texts, flags and null.
    fn rank(&self) -> u8 {
        match self {
            Scalar::Int(_) | Scalar::Float(_) => 0,
            Scalar::Text(_) => 1,
            Scalar::Bool(_) => 2,
            Scalar::Null => 3,
        }
    }

    /// Appends the scalar as JSON.
    pub(super) fn write_json(&self, out: &mut Vec<u8>) {
        // Writing to a Vec cannot fail.
        let _ = match self {
            Scalar::Text(text) => serde_json::to_writer(out, text),
            other => serde_json::to_writer(out, &other.to_value()),
        };
    }
}

impl Ord for Scalar<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        #[allow(clippy::cast_precision_loss, reason = "as upstream compares the two")]
        match (self, other) {
            (Scalar::Int(a), Scalar::Int(b)) => a.cmp(b),
            (Scalar::Float(a), Scalar::Float(b)) => a.total_cmp(b),
            (Scalar::Int(a), Scalar::Float(b)) => (*a as f64).total_cmp(b),
            (Scalar::Float(a), Scalar::Int(b)) => a.total_cmp(&(*b as f64)),
            (Scalar::Text(a), Scalar::Text(b)) => a.cmp(b),
            (Scalar::Bool(a), Scalar::Bool(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for Scalar<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Scalar<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Scalar<'_> {}

impl fmt::Display for Scalar<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scalar::Text(text) => f.write_str(&quote(text)),
            other => write!(f, "{}", other.to_value()),
        }
    }
}

/// One step of a path. The order is that of FieldsV1.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Element<'a> {
    /// `f:name`: a field of a struct, or a key of a map.
    Field(Cow<'a, str>),
    /// `k:{"name":"c"}`: the list item with these keys, sorted by name.
    Key(Box<[(Cow<'a, str>, Scalar<'a>)]>),
    /// `v:"x"`: the value in a set.
    Value(Scalar<'a>),
    /// `i:3`: the position in a list.
    Index(i64),
}

impl<'a> Element<'a> {
    /// A field of that name.
    pub fn field(name: &'a str) -> Element<'a> {
        Element::Field(Cow::Borrowed(name))
    }

    /// The same with text of its own.
    pub fn into_owned(self) -> Element<'static> {
        match self {
            Element::Field(name) => Element::Field(Cow::Owned(name.into_owned())),
            Element::Key(keys) => Element::Key(
                keys.into_iter()
                    .map(|(name, value)| (Cow::Owned(name.into_owned()), value.into_owned()))
                    .collect(),
            ),
            Element::Value(value) => Element::Value(value.into_owned()),
            Element::Index(index) => Element::Index(index),
        }
    }

    /// Reads the key of a FieldsV1 map. `Ok(None)` is a kind of step that is not known.
    pub(super) fn parse(key: Cow<'a, str>) -> Result<Option<Element<'a>>, String> {
        let (kind, rest) = match (key.get(..1), key.get(1..2), key.get(2..)) {
            (Some(kind), Some(":"), Some(rest)) => (kind, rest),
            _ if key.len() < 2 => return Err("key must be 2 characters long:".to_owned()),
            _ => return Err(format!("missing colon: {key}")),
        };
        let bad = |error: serde_json::Error| error.to_string();
        Ok(Some(match kind {
            "f" => Element::Field(match key {
                Cow::Borrowed(key) => Cow::Borrowed(&key[2..]),
                Cow::Owned(mut key) => {
                    key.drain(..2);
                    Cow::Owned(key)
                }
            }),
            "v" => {
                let value: Value = serde_json::from_str(rest).map_err(bad)?;
                Element::Value(owned_scalar(&value)?)
            }
            "k" => {
                let keys: Map<String, Value> = serde_json::from_str(rest).map_err(bad)?;
                let mut keys = keys
                    .into_iter()
                    .map(|(name, value)| Ok((Cow::Owned(name), owned_scalar(&value)?)))
                    .collect::<Result<Box<[_]>, String>>()?;
                keys.sort();
                Element::Key(keys)
            }
            "i" => {
                Element::Index(rest.parse().map_err(|_| {
                    format!("strconv.Atoi: parsing {}: invalid syntax", quote(rest))
                })?)
            }
            _ => return Ok(None),
        }))
    }

    /// Appends the key of a FieldsV1 map, quoted.
    pub(super) fn write_json(&self, out: &mut Vec<u8>, scratch: &mut Vec<u8>) {
        match self {
            Element::Field(name) if is_plain(name) => {
                out.extend_from_slice(b"\"f:");
                out.extend_from_slice(name.as_bytes());
                out.push(b'"');
                return;
            }
            Element::Index(index) => {
                out.extend_from_slice(format!("\"i:{index}\"").as_bytes());
                return;
            }
            _ => scratch.clear(),
        }
        match self {
            Element::Field(name) => {
                scratch.extend_from_slice(b"f:");
                scratch.extend_from_slice(name.as_bytes());
            }
            Element::Value(value) => {
                scratch.extend_from_slice(b"v:");
                value.write_json(scratch);
            }
            Element::Key(keys) => {
                scratch.extend_from_slice(b"k:{");
                for (i, (name, value)) in keys.iter().enumerate() {
                    if i > 0 {
                        scratch.push(b',');
                    }
                    Scalar::Text(Cow::Borrowed(name)).write_json(scratch);
                    scratch.push(b':');
                    value.write_json(scratch);
                }
                scratch.push(b'}');
            }
            Element::Index(_) => {}
        }
        let _ = serde_json::to_writer(out, &String::from_utf8_lossy(scratch));
    }
}

/// Whether a text needs no escape in JSON.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|b| b >= 0x20 && b != b'"' && b != b'\\')
}

fn owned_scalar(value: &Value) -> Result<Scalar<'static>, String> {
    Scalar::of(value)
        .map(Scalar::into_owned)
        .ok_or_else(|| format!("{value} is no scalar"))
}

impl fmt::Display for Element<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Element::Field(name) => write!(f, ".{name}"),
            Element::Key(keys) => {
                for (i, (name, value)) in keys.iter().enumerate() {
                    write!(f, "{}{name}={value}", if i == 0 { "[" } else { "," })?;
                }
                f.write_str("]")
            }
            Element::Value(value) => write!(f, "[={value}]"),
            Element::Index(index) => write!(f, "[{index}]"),
        }
    }
}
