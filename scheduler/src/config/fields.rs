//! Reads the fields of an object one by one, and notices those that nobody asked for.

use std::time::Duration;

use ferrule_apimachinery::field::{BadValue, FieldError, Path};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// An object that is being read.
pub(super) struct Fields<'a> {
    map: Map<String, Value>,
    path: Path,
    errors: &'a mut Vec<FieldError>,
}

impl<'a> Fields<'a> {
    pub(super) fn new(value: &Value, path: Path, errors: &'a mut Vec<FieldError>) -> Fields<'a> {
        let map = match value {
            Value::Object(map) => map.clone(),
            Value::Null => Map::new(),
            other => {
                errors.push(FieldError::type_invalid(
                    &path,
                    BadValue::Raw(other.to_string()),
                    "must be an object",
                ));
                Map::new()
            }
        };
        Fields { map, path, errors }
    }

    /// The path of a field.
    pub(super) fn path(&self, name: &str) -> Path {
        self.path.child(name)
    }

    /// The path of the object.
    pub(super) fn whole(&self) -> Path {
        self.path.clone()
    }

    pub(super) fn refuse(&mut self, error: FieldError) {
        self.errors.push(error);
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.map.get(name).is_some_and(|value| !value.is_null())
    }

    pub(super) fn any(&mut self, name: &str) -> Option<Value> {
        self.map.remove(name).filter(|value| !value.is_null())
    }

    fn typed<T>(&mut self, name: &str, what: &str, of: fn(&Value) -> Option<T>) -> Option<T> {
        let value = self.any(name)?;
        let read = of(&value);
        if read.is_none() {
            let path = self.path(name);
            self.refuse(FieldError::type_invalid(
                &path,
                BadValue::Raw(value.to_string()),
                format!("must be {what}"),
            ));
        }
        read
    }

    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        self.typed(name, "a string", |value| value.as_str().map(str::to_owned))
    }

    pub(super) fn number(&mut self, name: &str) -> Option<i64> {
        self.typed(name, "an integer", Value::as_i64)
    }

    pub(super) fn boolean(&mut self, name: &str) -> Option<bool> {
        self.typed(name, "a boolean", Value::as_bool)
    }

    /// A duration in Go's words: `15s`, `1m30s`.
    pub(super) fn duration(&mut self, name: &str) -> Option<Duration> {
        self.typed(name, "a duration such as 15s", |value| {
            let signed: jiff::SignedDuration = value.as_str()?.parse().ok()?;
            Duration::try_from(signed).ok()
        })
    }

    /// A part that has a type of its own.
    pub(super) fn parsed<T: DeserializeOwned>(&mut self, name: &str) -> Option<T> {
        let value = self.any(name)?;
        match serde_json::from_value(value.clone()) {
            Ok(read) => Some(read),
            Err(error) => {
                let path = self.path(name);
                self.refuse(FieldError::invalid(
                    &path,
                    BadValue::Raw(value.to_string()),
                    error.to_string(),
                ));
                None
            }
        }
    }

    /// An object in a field; nothing happens where it is absent.
    pub(super) fn object(&mut self, name: &str, read: impl FnOnce(&mut Fields)) {
        let Some(value) = self.any(name) else { return };
        let mut fields = Fields::new(&value, self.path(name), self.errors);
        read(&mut fields);
        fields.end();
    }

    /// A list of objects.
    pub(super) fn list(&mut self, name: &str, mut read: impl FnMut(&mut Fields)) {
        let path = self.path(name);
        match self.any(name) {
            None => {}
            Some(Value::Array(values)) => {
                for (index, value) in values.iter().enumerate() {
                    let mut fields = Fields::new(value, path.index(index), self.errors);
                    read(&mut fields);
                    fields.end();
                }
            }
            Some(other) => self.refuse(FieldError::type_invalid(
                &path,
                BadValue::Raw(other.to_string()),
                "must be a list",
            )),
        }
    }

    /// A list of strings.
    pub(super) fn texts(&mut self, name: &str) -> Vec<Box<str>> {
        self.parsed(name).unwrap_or_default()
    }

    /// Everything has been asked for; what is left is unknown.
    pub(super) fn end(self) {
        for name in self.map.keys() {
            let path = self.path.child(name);
            self.errors
                .push(FieldError::forbidden(&path, "unknown field"));
        }
    }
}
