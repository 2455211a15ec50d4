//! Takes fields out of an object.

use serde_json::{Map, Value};

use super::element::Element;
use super::set::Set;
use super::shape::{Items, Shape, Slot, field_slot, root};
use crate::schema::{Kind, Schema, TypeId};

/// The object without the fields of the set. Of an emptied map or list null is left.
pub(super) fn remove(schema: &Schema, id: TypeId, object: &Value, fields: &Set<'_>) -> Value {
    value(schema, root(&Kind::Struct(id)), object, fields)
}

fn value(schema: &Schema, slot: Slot<'_>, from: &Value, fields: &Set<'_>) -> Value {
    match (slot.shape(schema), from) {
        (Shape::Struct(ty), Value::Object(map)) => {
            entries(schema, map, fields, |name| field_slot(ty, name))
        }
        (Shape::Map(element), Value::Object(map)) => {
            entries(schema, map, fields, |_| Slot::element(element))
        }
        (Shape::List(items), Value::Array(list)) => list_items(schema, items, list, fields),
        // A value that is one goes as a whole when a part of it should.
        (Shape::Leaf, Value::Object(_) | Value::Array(_)) => Value::Null,
        (Shape::Leaf, scalar) => scalar.clone(),
        _ => Value::Null,
    }
}

fn entries<'s>(
    schema: &Schema,
    map: &Map<String, Value>,
    fields: &Set<'_>,
    slot: impl Fn(&str) -> Slot<'s>,
) -> Value {
    let mut out = Map::new();
    for (key, from) in map {
        let kept = match fields.get(&Element::field(key)) {
            None => from.clone(),
            Some(node) if node.member => continue,
            Some(node) => value(schema, slot(key), from, &node.children),
        };
        out.insert(key.clone(), kept);
    }
    if out.is_empty() {
        return Value::Null;
    }
    Value::Object(out)
}

fn list_items(schema: &Schema, items: Items<'_>, list: &[Value], fields: &Set<'_>) -> Value {
    let kept = list.iter().filter_map(|item| {
        let step = items.step(schema, item).ok();
        match step.and_then(|step| fields.get(&step)) {
            None => Some(item.clone()),
            Some(node) if node.member => None,
            Some(node) => Some(value(
                schema,
                Slot::element(items.element),
                item,
                &node.children,
            )),
        }
    });
    let kept: Vec<Value> = kept.collect();
    if kept.is_empty() {
        return Value::Null;
    }
    Value::Array(kept)
}
