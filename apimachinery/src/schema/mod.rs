//! The one table of the built-in types: fields, lists, merge keys, what is omitted when empty.
//!
//! It is read once from `data/*.tsv`. Decoding ([`Schema::decode_json`]),
//! pruning, normalising and strategic merge all look here.

mod decode;
mod empty;
pub mod json_syntax;
mod ordered;
mod table;
mod unstructured;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::OnceLock;

use serde_json::Value;

pub use decode::{DecodeError, Decoded};

/// Deepest nesting of lists and maps in an object. What is deeper could be written, but not be read again by everybody:
/// readers of JSON give up at 128, and an object may lie within a list or an event.
pub const MAX_DEPTH: usize = 100;

/// Whether lists and maps are nested deeper than `most`.
pub(crate) fn is_deeper(value: &Value, most: usize) -> bool {
    let inner = |value: &Value| is_deeper(value, most - 1);
    match value {
        Value::Array(_) | Value::Object(_) if most == 0 => true,
        Value::Array(items) => items.iter().any(inner),
        Value::Object(map) => map.values().any(inner),
        _ => false,
    }
}

/// A type of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TypeId(pub(crate) u16);

/// What a value may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Bool,
    /// A whole number of 32 bits.
    Int32,
    /// A whole number of 64 bits.
    Int64,
    /// A number.
    Float64,
    /// A text; named as Go names its type.
    Text,
    /// Bytes, as base64.
    Bytes,
    /// meta/v1 Time.
    Time,
    /// meta/v1 MicroTime.
    MicroTime,
    /// An amount of a resource.
    Quantity,
    /// A number or a text.
    IntOrString,
    /// Any JSON.
    Any,
    /// A type of the table.
    Struct(TypeId),
    /// A list.
    List(Box<Kind>),
    /// A map from text.
    Map(Box<Kind>),
}

impl Kind {
    /// What a list or map holds.
    pub fn element(&self) -> Option<&Kind> {
        match self {
            Kind::List(element) | Kind::Map(element) => Some(element),
            _ => None,
        }
    }
}

/// How items of a list are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListType {
    /// The list is one value.
    Atomic,
    /// Each scalar appears once.
    Set,
    /// Items have keys.
    Map,
}

/// How a strategic merge patch treats a field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PatchStrategy {
    /// List items are merged by their key.
    pub merge: bool,
    /// The value is replaced as a whole.
    pub replace: bool,
    /// Keys that the patch does not name are dropped.
    pub retain_keys: bool,
}

/// A field of a type.
#[derive(Clone, Debug)]
pub struct Field {
    /// Name in JSON.
    pub name: &'static str,
    /// What its value is.
    pub kind: Kind,
    /// Its type as Go's errors name it: `v1.Protocol`, `[]v1.Container`.
    pub go_type: Box<str>,
    /// A zero value is not written; of a struct or time it is, unless `omit_zero`.
    pub omit_empty: bool,
    /// A zero struct or time is not written either.
    pub omit_zero: bool,
    /// Absent and zero differ.
    pub pointer: bool,
    /// Published as one that every value has: declared so, or never left out.
    pub required: bool,
    /// Number in protobuf; 0 when it has none.
    pub proto_tag: u16,
    /// Whether its protobuf form is length-delimited.
    pub proto_bytes: bool,
    /// How items of the list are told apart.
    pub list_type: Option<ListType>,
    /// Keys of the items of a map list.
    pub list_map_keys: Box<[&'static str]>,
    /// The struct or map is one value for apply.
    pub atomic: bool,
    /// The struct is not one value for apply, even where its type says so.
    pub granular: bool,
    /// How a strategic merge patch treats it.
    pub patch: PatchStrategy,
    /// Merge key of the items in a strategic merge patch; may be empty.
    pub merge_key: &'static str,
    /// Default declared in the schema, as JSON; may be empty.
    pub default: &'static str,
}

/// A type: its fields with those of inlined types, in the order of declaration.
#[derive(Clone, Debug)]
pub struct Type {
    /// `core/v1`.
    pub api_version: &'static str,
    /// `PodSpec`.
    pub name: &'static str,
    /// Fields.
    pub fields: Vec<Field>,
    /// Values of the type are one value for apply, unless the field that holds one says otherwise.
    pub atomic: bool,
    /// Inlined types that are messages of their own in protobuf, with their numbers there; a field
    /// that came from an inlined type has no number here.
    pub inlined: Vec<(u16, TypeId)>,
    /// Positions of the fields in or below which an empty list is written as null.
    empties: Vec<u16>,
    by_name: HashMap<&'static str, u16>,
}

impl Type {
    /// The field of that name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        let index = *self.by_name.get(name)?;
        self.fields.get(usize::from(index))
    }
}

/// Declared values of a named text type.
#[derive(Clone, Debug)]
pub struct Enum {
    /// `Protocol`.
    pub name: &'static str,
    /// `TCP`, `UDP`, `SCTP`.
    pub values: Vec<&'static str>,
}

/// The table.
#[derive(Debug)]
pub struct Schema {
    types: Vec<Type>,
    by_name: HashMap<String, TypeId>,
    enums: HashMap<String, Enum>,
}

impl Schema {
    /// The table of the built-in types.
    pub fn builtin() -> &'static Schema {
        static TABLE: OnceLock<Schema> = OnceLock::new();
        TABLE.get_or_init(|| {
            table::read(
                include_str!("../../data/fields.tsv"),
                include_str!("../../data/enums.tsv"),
            )
        })
    }

    /// How many types there are.
    pub(crate) fn type_count(&self) -> usize {
        self.types.len()
    }

    /// The type named so: `core/v1.Pod`.
    pub fn type_id(&self, name: &str) -> Option<TypeId> {
        self.by_name.get(name).copied()
    }

    /// The type of objects of that `apiVersion` and `kind`.
    pub fn object_type(&self, api_version: &str, kind: &str) -> Option<TypeId> {
        if api_version == "v1" {
            return self
                .type_id(&format!("core/v1.{kind}"))
                .or_else(|| self.type_id(&format!("meta/v1.{kind}")));
        }
        self.type_id(&format!("{api_version}.{kind}"))
    }

    /// A type.
    ///
    /// # Panics
    /// When the id is of another table.
    pub fn get(&self, id: TypeId) -> &Type {
        &self.types[usize::from(id.0)]
    }

    /// The field of a type.
    pub fn field(&self, id: TypeId, name: &str) -> Option<&Field> {
        self.get(id).field(name)
    }

    /// The declared values of a named type: `core/v1.Protocol`.
    pub fn declared_values(&self, name: &str) -> Option<&Enum> {
        self.enums.get(name)
    }

    /// Removes fields that the type does not have; returns their paths.
    pub fn prune(&self, value: &mut Value, id: TypeId) -> Vec<String> {
        let mut removed = Vec::new();
        self.prune_kind(value, &Kind::Struct(id), &mut String::new(), &mut removed);
        removed
    }

    fn prune_kind(
        &self,
        value: &mut Value,
        kind: &Kind,
        path: &mut String,
        removed: &mut Vec<String>,
    ) {
        let length = path.len();
        match (kind, value) {
            (Kind::Struct(id), Value::Object(map)) => {
                let ty = self.get(*id);
                map.retain(|key, value| {
                    if length > 0 {
                        path.push('.');
                    }
                    path.push_str(key);
                    let known = match ty.field(key) {
                        Some(field) => {
                            self.prune_kind(value, &field.kind, path, removed);
                            true
                        }
                        None => {
                            removed.push(path.clone());
                            false
                        }
                    };
                    path.truncate(length);
                    known
                });
            }
            (Kind::Map(element), Value::Object(map)) => {
                for (key, value) in map.iter_mut() {
                    path.push('.');
                    path.push_str(key);
                    self.prune_kind(value, element, path, removed);
                    path.truncate(length);
                }
            }
            (Kind::List(element), Value::Array(items)) => {
                for (i, item) in items.iter_mut().enumerate() {
                    path.push_str(&format!("[{i}]"));
                    self.prune_kind(item, element, path, removed);
                    path.truncate(length);
                }
            }
            _ => {}
        }
    }
}
