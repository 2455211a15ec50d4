//! What a schema says about ownership: which values are one, and how items of a list are told apart.

use std::borrow::Cow;

use serde_json::Value;

use super::element::{Element, Scalar};
use crate::schema::{Field, Kind, ListType, Schema, Type, TypeId};

/// A place for a value: its kind, and the field that declares it where there is one.
#[derive(Clone, Copy)]
pub(super) struct Slot<'s> {
    pub kind: &'s Kind,
    pub field: Option<&'s Field>,
}

/// How ownership treats the value at a place.
#[derive(Clone, Copy)]
pub(super) enum Shape<'s> {
    /// One value, whatever it holds.
    Leaf,
    /// Each field on its own.
    Struct(&'s Type),
    /// Each key on its own.
    Map(&'s Kind),
    /// Each item on its own.
    List(Items<'s>),
}

/// The items of a list.
#[derive(Clone, Copy)]
pub(super) struct Items<'s> {
    pub element: &'s Kind,
    keys: Keys<'s>,
}

#[derive(Clone, Copy)]
enum Keys<'s> {
    /// The scalars themselves.
    Set,
    /// The names of keys.
    Named(&'s [&'static str]),
    /// The merge key, where no list type is declared.
    Merge(&'static str),
}

/// The kind of what a schema does not know.
const UNKNOWN: Kind = Kind::Any;

impl<'s> Slot<'s> {
    /// The place of items or values that no field declares.
    pub fn element(kind: &'s Kind) -> Slot<'s> {
        Slot { kind, field: None }
    }

    /// Whether the value at the place is one.
    pub fn shape(self, schema: &'s Schema) -> Shape<'s> {
        let field = self.field;
        match self.kind {
            Kind::Struct(id) => {
                let ty = schema.get(*id);
                let declared = field.is_some_and(|field| field.atomic);
                if declared || ty.atomic && !field.is_some_and(|field| field.granular) {
                    Shape::Leaf
                } else {
                    Shape::Struct(ty)
                }
            }
            Kind::Map(_) if field.is_some_and(|field| field.atomic) => Shape::Leaf,
            Kind::Map(element) => Shape::Map(element),
            Kind::List(element) => field
                .and_then(list_keys)
                .map_or(Shape::Leaf, |keys| Shape::List(Items { element, keys })),
            _ => Shape::Leaf,
        }
    }
}

/// The place of a whole object.
pub(super) fn root(kind: &Kind) -> Slot<'_> {
    Slot::element(kind)
}

/// What tells the items of a field's list apart; `None` when the list is one value.
fn list_keys(field: &Field) -> Option<Keys<'_>> {
    match field.list_type {
        Some(ListType::Atomic) => None,
        Some(ListType::Set) => Some(Keys::Set),
        Some(ListType::Map) => Some(Keys::Named(&field.list_map_keys)),
        None if !field.patch.merge || field.patch.retain_keys => None,
        None if field.merge_key.is_empty() => Some(Keys::Set),
        None => Some(Keys::Merge(field.merge_key)),
    }
}

/// The place of a struct's field.
pub(super) fn field_slot<'s>(ty: &'s Type, name: &str) -> Slot<'s> {
    match ty.field(name) {
        Some(field) => Slot {
            kind: &field.kind,
            field: Some(field),
        },
        None => Slot::element(&UNKNOWN),
    }
}

impl<'s> Items<'s> {
    /// The step to an item, or what is wrong with the item.
    pub fn step<'a>(&self, schema: &Schema, item: &'a Value) -> Result<Element<'a>, String> {
        let keys = match self.keys {
            Keys::Set => return set_step(item),
            Keys::Named(keys) => keys,
            Keys::Merge(key) => {
                let value = self.key(schema, item, key)?;
                return Ok(Element::Key(Box::new([(Cow::Borrowed(key), value)])));
            }
        };
        let mut found = Vec::with_capacity(keys.len());
        for key in keys {
            found.push((Cow::Borrowed(*key), self.key(schema, item, key)?));
        }
        if found.len() > 1 {
            found.sort();
        }
        Ok(Element::Key(found.into_boxed_slice()))
    }

    fn key<'a>(&self, schema: &Schema, item: &'a Value, key: &str) -> Result<Scalar<'a>, String> {
        let map = match item {
            Value::Object(map) => map,
            Value::Null => {
                return Err("associative list with keys may not have a null element".to_owned());
            }
            _ => {
                return Err("associative list with keys may not have non-map elements".to_owned());
            }
        };
        if let Some(value) = map.get(key) {
            return Scalar::of(value).ok_or_else(|| format!("key field {key:?} is no scalar"));
        }
        let Kind::Struct(id) = self.element else {
            return Err(omitted(key));
        };
        default_of(schema, *id, key).ok_or_else(|| omitted(key))
    }
}

fn omitted(key: &str) -> String {
    format!(
        "associative list with keys has an element that omits key field {key:?} (and doesn't have default value)"
    )
}

/// The declared default of a struct's field, where it is a scalar.
fn default_of(schema: &Schema, id: TypeId, field: &str) -> Option<Scalar<'static>> {
    let default = schema.field(id, field)?.default;
    let value: Value = serde_json::from_str(default).ok()?;
    Scalar::of(&value).map(Scalar::into_owned)
}

fn set_step(item: &Value) -> Result<Element<'_>, String> {
    match item {
        Value::Object(_) => {
            Err("associative list without keys has an element that's a map type".to_owned())
        }
        Value::Array(_) => Err("not supported: associative list with lists as elements".to_owned()),
        Value::Null => {
            Err("associative list without keys has an element that's an explicit null".to_owned())
        }
        scalar => Scalar::of(scalar).map(Element::Value).ok_or_else(|| {
            "associative list without keys has an element that's no scalar".to_owned()
        }),
    }
}
