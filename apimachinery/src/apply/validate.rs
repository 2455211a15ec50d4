//! Whether an applied configuration fits its type, in upstream's words.

use std::fmt::Write;

use serde_json::{Map, Value};

use super::element::Element;
use super::shape::{Items, Shape, Slot, root};
use crate::patch::go_format;
use crate::schema::{Kind, Schema, TypeId};

/// What is wrong with an object of the type; `None` when nothing is.
pub(super) fn problems(schema: &Schema, id: TypeId, object: &Value) -> Option<String> {
    let mut found = Vec::new();
    Check {
        schema,
        path: String::new(),
        found: &mut found,
    }
    .value(root(&Kind::Struct(id)), object);
    match found.len() {
        0 => None,
        1 => found.pop(),
        _ => Some(format!("errors:\n  {}", found.join("\n  "))),
    }
}

struct Check<'s, 'f> {
    schema: &'s Schema,
    path: String,
    found: &'f mut Vec<String>,
}

impl Check<'_, '_> {
    fn fail(&mut self, message: &str) {
        let problem = match self.path.as_str() {
            "" => message.to_owned(),
            path => format!("{path}: {message}"),
        };
        self.found.push(problem);
    }

    /// Checks what is below a step.
    fn step(&mut self, step: &Element<'_>, slot: Slot<'_>, value: &Value) {
        let length = self.path.len();
        // Writing to a String cannot fail.
        let _ = write!(self.path, "{step}");
        self.value(slot, value);
        self.path.truncate(length);
    }

    fn value(&mut self, slot: Slot<'_>, value: &Value) {
        if value.is_null() {
            return;
        }
        match slot.kind {
            Kind::Any => {}
            Kind::Struct(id) => match value {
                Value::Object(map) => self.fields(*id, map),
                _ => self.fail(&format!("expected map, got {}", boxed(value))),
            },
            Kind::Map(element) => match value {
                Value::Object(map) => {
                    for (key, value) in map {
                        self.step(&Element::field(key), Slot::element(element), value);
                    }
                }
                _ => self.fail(&format!("expected map, got {}", boxed(value))),
            },
            Kind::List(element) => match value {
                Value::Array(list) => self.list(slot, element, list),
                _ => self.fail(&format!("expected list, got {}", boxed(value))),
            },
            scalar => {
                if let Some(problem) = scalar_problem(scalar, value) {
                    self.fail(&problem);
                }
            }
        }
    }

    fn fields(&mut self, id: TypeId, map: &Map<String, Value>) {
        let ty = self.schema.get(id);
        for (key, value) in map {
            let step = Element::field(key);
            let Some(field) = ty.field(key) else {
                let _ = write!(self.path, "{step}");
                self.fail("field not declared in schema");
                self.path.truncate(self.path.len() - key.len() - 1);
                // Upstream looks no further at this level.
                return;
            };
            let slot = Slot {
                kind: &field.kind,
                field: Some(field),
            };
            self.step(&step, slot, value);
        }
    }

    fn list(&mut self, slot: Slot<'_>, element: &Kind, list: &[Value]) {
        let items = match slot.shape(self.schema) {
            Shape::List(items) => Some(items),
            _ => None,
        };
        let mut seen = std::collections::BTreeSet::new();
        for (i, item) in list.iter().enumerate() {
            let step = match items.map(|items: Items<'_>| items.step(self.schema, item)) {
                None => Element::Index(i64::try_from(i).unwrap_or(i64::MAX)),
                Some(Ok(step)) => {
                    if !seen.insert(step.clone()) {
                        self.fail(&format!("duplicate entries for key {step}"));
                    }
                    step
                }
                Some(Err(why)) => {
                    self.fail(&format!("element {i}: {why}"));
                    return;
                }
            };
            self.step(&step, Slot::element(element), item);
        }
    }
}

/// A value as Go prints the pointer that holds it.
fn boxed(value: &Value) -> String {
    format!("&{{{}}}", go_format(value))
}

fn scalar_problem(kind: &Kind, value: &Value) -> Option<String> {
    let scalar = !value.is_array() && !value.is_object();
    match kind {
        Kind::Bool if !value.is_boolean() => {
            Some(format!("expected boolean, got {}", boxed(value)))
        }
        Kind::Int32 | Kind::Int64 | Kind::Float64 if !value.is_number() => Some(format!(
            "expected numeric (int or float), got {}",
            go_type(value)
        )),
        Kind::Text | Kind::Bytes | Kind::Time | Kind::MicroTime if !value.is_string() => {
            Some(format!(
                "expected string, got &value.valueUnstructured{{Value:{}}}",
                go_syntax(value)
            ))
        }
        Kind::Quantity | Kind::IntOrString if !scalar => {
            Some(format!("expected any scalar, got {}", boxed(value)))
        }
        _ => None,
    }
}

/// The Go type that a value is read into.
fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

/// A value in Go's syntax.
fn go_syntax(value: &Value) -> String {
    let join = |parts: Vec<String>| parts.join(", ");
    match value {
        Value::Null => "interface {}(nil)".to_owned(),
        Value::String(text) => crate::field::quote(text),
        Value::Array(items) => {
            format!(
                "[]interface {{}}{{{}}}",
                join(items.iter().map(go_syntax).collect())
            )
        }
        Value::Object(map) => {
            let entry = |(key, value): (&String, &Value)| {
                format!("{}:{}", crate::field::quote(key), go_syntax(value))
            };
            format!(
                "map[string]interface {{}}{{{}}}",
                join(map.iter().map(entry).collect())
            )
        }
        scalar => scalar.to_string(),
    }
}
