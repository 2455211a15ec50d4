//! Reading and filling JSON trees whose shape the schema has already checked.

use std::borrow::Cow;

use serde_json::{Map, Value};

static NOTHING: Value = Value::Null;

/// Lookups in a tree that answer Go's zero value where there is nothing.
pub trait Tree {
    /// The field, or null.
    fn at(&self, name: &str) -> &Value;
    /// The field's text, or the empty text.
    fn text(&self, name: &str) -> &str;
    /// The field's text, when there is one.
    fn opt_text(&self, name: &str) -> Option<&str>;
    /// The field's whole number, or zero.
    fn int(&self, name: &str) -> i64;
    /// The field's whole number, when there is one.
    fn opt_int(&self, name: &str) -> Option<i64>;
    /// The field's truth, false when there is none.
    fn flag(&self, name: &str) -> bool;
    /// The field's truth, when there is one.
    fn opt_flag(&self, name: &str) -> Option<bool>;
    /// The field's list, or an empty one.
    fn items(&self, name: &str) -> &[Value];
    /// The field's object, when there is one.
    fn map(&self, name: &str) -> Option<&Map<String, Value>>;
    /// The fields of an object, in order; nothing for other values.
    fn entries(&self, name: &str) -> impl Iterator<Item = (&str, &Value)>;
    /// Whether the field is there and not null.
    fn has(&self, name: &str) -> bool;
}

impl Tree for Value {
    fn at(&self, name: &str) -> &Value {
        self.get(name).unwrap_or(&NOTHING)
    }

    fn text(&self, name: &str) -> &str {
        self.opt_text(name).unwrap_or_default()
    }

    fn opt_text(&self, name: &str) -> Option<&str> {
        self.at(name).as_str()
    }

    fn int(&self, name: &str) -> i64 {
        self.opt_int(name).unwrap_or_default()
    }

    fn opt_int(&self, name: &str) -> Option<i64> {
        self.at(name).as_i64()
    }

    fn flag(&self, name: &str) -> bool {
        self.opt_flag(name).unwrap_or_default()
    }

    fn opt_flag(&self, name: &str) -> Option<bool> {
        self.at(name).as_bool()
    }

    fn items(&self, name: &str) -> &[Value] {
        self.at(name)
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default()
    }

    fn map(&self, name: &str) -> Option<&Map<String, Value>> {
        self.at(name).as_object()
    }

    fn entries(&self, name: &str) -> impl Iterator<Item = (&str, &Value)> {
        self.map(name)
            .into_iter()
            .flatten()
            .map(|(key, value)| (key.as_str(), value))
    }

    fn has(&self, name: &str) -> bool {
        !self.at(name).is_null()
    }
}

/// Whether a value is what Go would leave unset: null, false, zero, or empty.
pub fn is_unset(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(truth) => !truth,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
    }
}

/// The object under `name`, made when it is not there; `None` when `parent` is no object.
pub fn child<'a>(parent: &'a mut Value, name: &str) -> Option<&'a mut Value> {
    let slot = parent.as_object_mut()?.entry(name).or_insert(Value::Null);
    if slot.is_null() {
        *slot = Value::Object(Map::new());
    }
    Some(slot)
}

/// Sets a field when it is absent or null. For fields that are pointers in upstream's types.
pub fn fill(parent: &mut Value, name: &str, value: impl Into<Value>) {
    if !parent.has(name) {
        set(parent, name, value);
    }
}

/// Sets a field when it is absent or its zero value. For fields that are plain in upstream's types.
pub fn fill_unset(parent: &mut Value, name: &str, value: impl Into<Value>) {
    if is_unset(parent.at(name)) {
        set(parent, name, value);
    }
}

/// Sets a field.
pub fn set(parent: &mut Value, name: &str, value: impl Into<Value>) {
    if let Some(fields) = parent.as_object_mut() {
        fields.insert(name.to_owned(), value.into());
    }
}

/// Takes a field away.
pub fn remove(parent: &mut Value, name: &str) -> Option<Value> {
    parent.as_object_mut()?.remove(name)
}

/// Makes a field of `new` what it is in `old`, absent included.
pub fn copy(new: &mut Value, old: &Value, name: &str) {
    match old.get(name) {
        Some(value) => set(new, name, value.clone()),
        None => {
            remove(new, name);
        }
    }
}

/// Gives `new` the field `from` of `old` as `name`, when there is one.
pub fn copy_as(new: &mut Value, name: &str, old: &Value, from: &str) {
    if old.has(from) {
        set(new, name, old.at(from).clone());
    }
}

/// The list under `name`, for changing its items; empty when there is none.
pub fn items_mut<'a>(parent: &'a mut Value, name: &str) -> impl Iterator<Item = &'a mut Value> {
    parent
        .get_mut(name)
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
}

/// A value as the text of a table cell or message: texts as they are, the rest as JSON.
pub fn display(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) => Cow::Borrowed(text),
        other => Cow::Owned(other.to_string()),
    }
}

/// Equality as upstream's semantic deep equality sees it: null, absent and empty are the same.
pub fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Object(a), Value::Object(b)) => {
            a.iter().all(|(key, value)| same(value, right.at(key)))
                && b.iter()
                    .all(|(key, value)| a.contains_key(key) || same(&NOTHING, value))
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(x, y)| same(x, y))
        }
        (Value::Null, other) | (other, Value::Null) => {
            other.is_null()
                || matches!(other, Value::Array(a) if a.is_empty())
                || matches!(other, Value::Object(o) if o.values().all(|v| same(&NOTHING, v)))
                || matches!(other, Value::String(s) if s.is_empty())
        }
        (a, b) => a == b,
    }
}
