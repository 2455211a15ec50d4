//! Whole objects as JSON and YAML, as upstream prints them.

use std::collections::BTreeMap;

use ferrule_apimachinery::schema::{Kind, Schema, TypeId};
use ferrule_apimachinery::yaml;
use serde::{Serialize, Serializer};
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter};
use serde_json::{Value, json};

use super::Format;

/// An object's text, with its line end.
pub fn format(object: &Value, format: &Format) -> String {
    match format {
        Format::Json => pretty(&Sorted(object)),
        _ => yaml::write(object),
    }
}

/// The same for an object that this program made: JSON has its fields in the order of their
/// declaration.
pub fn format_typed(object: &Value, format: &Format) -> String {
    match (format, type_of(object)) {
        (Format::Json, Some(id)) => pretty(&Declared(object, &Kind::Struct(id))),
        _ => self::format(object, format),
    }
}

/// JSON with fields in a given order, wherever they are; others come behind them.
pub fn format_in_order(object: &Value, order: &[&str]) -> String {
    pretty(&Ordered(object, order))
}

/// JSON in one line with the fields in the order of their declaration.
pub fn compact_typed(object: &Value) -> String {
    match type_of(object) {
        Some(id) => json(
            &Declared(object, &Kind::Struct(id)),
            GoFormatter(CompactFormatter),
        ),
        None => compact(object),
    }
}

/// JSON in one line.
pub fn compact(value: &Value) -> String {
    json(&Sorted(value), GoFormatter(CompactFormatter))
}

fn type_of(object: &Value) -> Option<TypeId> {
    let field = |name: &str| object[name].as_str().unwrap_or_default();
    Schema::builtin().object_type(field("apiVersion"), field("kind"))
}

/// Several objects as one List.
pub fn list(items: Vec<Value>) -> Value {
    json!({"apiVersion": "v1", "items": items, "kind": "List", "metadata": {"resourceVersion": ""}})
}

/// A List as JSON whose own fields come in the order of their declaration.
pub fn list_first(list: &Value) -> String {
    pretty(&Declared(list, &Kind::List(Box::new(Kind::Any))))
}

/// Takes away what only the server's bookkeeping needs.
pub fn without_managed_fields(object: &mut Value) {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
}

fn pretty(value: &impl Serialize) -> String {
    let mut text = json(value, GoFormatter(PrettyFormatter::with_indent(b"    ")));
    text.push('\n');
    text
}

fn json(value: &impl Serialize, formatter: impl Formatter) -> String {
    let mut bytes = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, formatter);
    // Writing a tree into memory cannot fail.
    let _ = value.serialize(&mut serializer);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The tree with its keys in order, however the map type keeps them.
struct Sorted<'a>(&'a Value);

impl Serialize for Sorted<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Object(map) => {
                let ordered: BTreeMap<&String, Sorted<'_>> = map
                    .iter()
                    .map(|(key, value)| (key, Sorted(value)))
                    .collect();
                serializer.collect_map(ordered)
            }
            Value::Array(items) => serializer.collect_seq(items.iter().map(Sorted)),
            other => other.serialize(serializer),
        }
    }
}

/// The tree with its fields in an order.
struct Ordered<'a>(&'a Value, &'a [&'a str]);

impl Serialize for Ordered<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Ordered(value, order) = self;
        match value {
            Value::Object(map) => {
                let place = |name: &str| order.iter().position(|own| *own == name);
                let mut entries: Vec<_> = map.iter().collect();
                entries.sort_by_key(|(name, _)| (place(name).unwrap_or(usize::MAX), name.as_str()));
                let entries = entries.into_iter();
                serializer.collect_map(entries.map(|(name, value)| (name, Ordered(value, order))))
            }
            Value::Array(items) => {
                serializer.collect_seq(items.iter().map(|item| Ordered(item, order)))
            }
            other => other.serialize(serializer),
        }
    }
}

/// A tree of a type, with its fields in the order of their declaration, kind and apiVersion first.
struct Declared<'a>(&'a Value, &'a Kind);

impl Serialize for Declared<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Declared(value, kind) = self;
        match (value, kind) {
            (Value::Object(map), Kind::Struct(id)) => {
                let ty = Schema::builtin().get(*id);
                let place = |name: &str| match name {
                    "kind" => 0,
                    "apiVersion" => 1,
                    name => {
                        let declared = ty.fields.iter().position(|field| field.name == name);
                        declared.map_or(usize::MAX, |place| place + 2)
                    }
                };
                let mut entries: Vec<_> = map.iter().collect();
                entries.sort_by_key(|(name, _)| (place(name), name.as_str()));
                serializer.collect_map(entries.into_iter().map(|(name, value)| {
                    let kind = ty.field(name).map_or(&Kind::Any, |field| &field.kind);
                    (name, Declared(value, kind))
                }))
            }
            // A List: no type of the table, but a head of its own.
            (Value::Object(map), Kind::List(inner)) => {
                let mut entries: Vec<_> = map.iter().collect();
                let place = |name: &str| {
                    ["kind", "apiVersion", "metadata", "items"]
                        .iter()
                        .position(|own| *own == name)
                };
                entries.sort_by_key(|(name, _)| (place(name).unwrap_or(usize::MAX), name.as_str()));
                serializer.collect_map(
                    entries
                        .into_iter()
                        .map(|(name, value)| (name, Declared(value, inner))),
                )
            }
            (Value::Object(map), Kind::Map(inner)) => {
                let ordered: BTreeMap<_, _> = map
                    .iter()
                    .map(|(key, value)| (key, Declared(value, inner)))
                    .collect();
                serializer.collect_map(ordered)
            }
            (Value::Array(items), kind) => {
                let inner = kind.element().unwrap_or(&Kind::Any);
                serializer.collect_seq(items.iter().map(|item| Declared(item, inner)))
            }
            (other, _) => Sorted(other).serialize(serializer),
        }
    }
}

/// As serde_json writes, but with `<`, `>`, `&` and the line separators escaped as Go does.
struct GoFormatter<F>(F);

macro_rules! delegate {
    ($($name:ident($($argument:ident: $type:ty),*);)*) => {
        $(fn $name<W: ?Sized + std::io::Write>(&mut self, writer: &mut W $(, $argument: $type)*) -> std::io::Result<()> {
            self.0.$name(writer $(, $argument)*)
        })*
    };
}

impl<F: Formatter> Formatter for GoFormatter<F> {
    delegate! {
        begin_array();
        end_array();
        begin_array_value(first: bool);
        end_array_value();
        begin_object();
        end_object();
        begin_object_key(first: bool);
        begin_object_value();
        end_object_value();
    }

    fn write_string_fragment<W: ?Sized + std::io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> std::io::Result<()> {
        let mut rest = fragment;
        while let Some(index) = rest.find(['<', '>', '&', '\u{2028}', '\u{2029}']) {
            writer.write_all(&rest.as_bytes()[..index])?;
            let character = rest[index..].chars().next().unwrap_or_default();
            write!(writer, "\\u{:04x}", u32::from(character))?;
            rest = &rest[index + character.len_utf8()..];
        }
        writer.write_all(rest.as_bytes())
    }
}
