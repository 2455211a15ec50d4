//! The fields that an object names: its leaves, the keys of its maps and the items of its lists.

use serde_json::{Map, Value};

use super::element::Element;
use super::set::{Node, Set};
use super::shape::{Items, Shape, Slot, field_slot, root};
use crate::schema::{Kind, Schema, Type, TypeId};

/// The fields that an object of the type names.
pub fn field_set<'a>(schema: &Schema, id: TypeId, object: &'a Value) -> Set<'a> {
    below(schema, root(&Kind::Struct(id)), object).1
}

/// Whether the value at a place is one, and the fields below it.
fn below<'a>(schema: &Schema, slot: Slot<'_>, value: &'a Value) -> (bool, Set<'a>) {
    let set = match (slot.shape(schema), value) {
        (Shape::Leaf, _) => return (true, Set::new()),
        (Shape::Struct(ty), Value::Object(map)) => entries(schema, map, Some(ty), None),
        (Shape::Map(element), Value::Object(map)) => entries(schema, map, None, Some(element)),
        (Shape::List(items), Value::Array(list)) => list_items(schema, items, list),
        _ => Set::new(),
    };
    (false, set)
}

fn entries<'a>(
    schema: &Schema,
    map: &'a Map<String, Value>,
    ty: Option<&Type>,
    element: Option<&Kind>,
) -> Set<'a> {
    let nodes = map.iter().map(|(key, value)| {
        let slot = match (ty, element) {
            (_, Some(element)) => Slot::element(element),
            (Some(ty), None) => field_slot(ty, key),
            (None, None) => Slot::element(&Kind::Any),
        };
        let (leaf, children) = below(schema, slot, value);
        let empty = value.is_null() || value.as_object().is_some_and(Map::is_empty);
        let declared = ty.is_some_and(|ty| ty.field(key).is_some());
        Node {
            element: Element::field(key),
            member: leaf || empty || !declared,
            children,
        }
    });
    Set::from_nodes(nodes.collect())
}

fn list_items<'a>(schema: &Schema, items: Items<'_>, list: &'a [Value]) -> Set<'a> {
    let mut found: Vec<(Element<'a>, &'a Value)> = list
        .iter()
        .filter_map(|item| Some((items.step(schema, item).ok()?, item)))
        .collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    let nodes = found.chunk_by(|a, b| a.0 == b.0).map(|same| {
        let (element, item) = &same[0];
        let children = match same.len() {
            1 => below(schema, Slot::element(items.element), item).1,
            // Items that appear more than once are one value together.
            _ => Set::new(),
        };
        Node {
            element: element.clone(),
            member: true,
            children,
        }
    });
    Set::from_nodes(nodes.collect())
}

/// Makes members of all steps that name a struct's field.
pub(super) fn with_named_fields<'a>(schema: &Schema, id: TypeId, set: Set<'a>) -> Set<'a> {
    named(schema, root(&Kind::Struct(id)), set)
}

fn named<'a>(schema: &Schema, slot: Slot<'_>, set: Set<'a>) -> Set<'a> {
    let shape = slot.shape(schema);
    let nodes = set.into_nodes().into_iter().map(|mut node| {
        let slot = match (&node.element, shape) {
            (Element::Field(name), Shape::Struct(ty)) => {
                node.member |= ty.field(name).is_some();
                field_slot(ty, name)
            }
            (Element::Field(_), Shape::Map(element)) => Slot::element(element),
            (Element::Key(_), Shape::List(items)) => Slot::element(items.element),
            _ => Slot::element(&Kind::Any),
        };
        node.children = named(schema, slot, node.children);
        node
    });
    Set::from_nodes(nodes.collect())
}

/// The fields below a place that the value there names.
pub(super) fn field_set_at<'a>(schema: &Schema, slot: Slot<'_>, value: &'a Value) -> Set<'a> {
    below(schema, slot, value).1
}
