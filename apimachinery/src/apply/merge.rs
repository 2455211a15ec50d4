//! Lays an applied configuration over an object.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use serde_json::{Map, Value};

use super::compare::{filled_list, filled_map};
use super::element::Element;
use super::shape::{Items, Shape, Slot, field_slot, root};
use crate::schema::{Kind, Schema, TypeId};

/// The object with what the configuration says; nothing is taken away.
pub(super) fn merge(schema: &Schema, id: TypeId, live: &Value, applied: &Value) -> Value {
    value(schema, root(&Kind::Struct(id)), Some(live), Some(applied)).unwrap_or(Value::Null)
}

fn value(
    schema: &Schema,
    slot: Slot<'_>,
    live: Option<&Value>,
    applied: Option<&Value>,
) -> Option<Value> {
    let one = || applied.or(live).cloned();
    match slot.shape(schema) {
        Shape::Leaf => one(),
        Shape::Struct(ty) => match (filled_map(live), filled_map(applied)) {
            (None, None) => one(),
            (live, applied) => Some(entries(schema, live, applied, |name| field_slot(ty, name))),
        },
        Shape::Map(element) => match (filled_map(live), filled_map(applied)) {
            (None, None) => one(),
            (live, applied) => Some(entries(schema, live, applied, |_| Slot::element(element))),
        },
        Shape::List(items) => match (filled_list(live), filled_list(applied)) {
            (None, None) => one(),
            (live, applied) => Some(list_items(
                schema,
                items,
                live.unwrap_or(&[]),
                applied.unwrap_or(&[]),
            )),
        },
    }
}

fn entries<'s>(
    schema: &Schema,
    live: Option<&Map<String, Value>>,
    applied: Option<&Map<String, Value>>,
    slot: impl Fn(&str) -> Slot<'s>,
) -> Value {
    let mut out = Map::new();
    for (key, before) in live.into_iter().flatten() {
        let given = applied.and_then(|applied| applied.get(key));
        if let Some(merged) = value(schema, slot(key), Some(before), given) {
            out.insert(key.clone(), merged);
        }
    }
    for (key, given) in applied.into_iter().flatten() {
        if live.is_none_or(|live| !live.contains_key(key))
            && let Some(merged) = value(schema, slot(key), None, Some(given))
        {
            out.insert(key.clone(), merged);
        }
    }
    Value::Object(out)
}

/// The items of a list by what tells them apart, in order. Of the live list's items that appear more
/// than once all are kept, and none is merged with an applied one.
struct Listed<'a> {
    order: Vec<(Element<'a>, &'a Value)>,
    /// `None` for an item that appears more than once.
    by_element: BTreeMap<Element<'a>, Option<&'a Value>>,
}

fn listed<'a>(schema: &Schema, items: Items<'_>, list: &'a [Value]) -> Listed<'a> {
    let mut order = Vec::with_capacity(list.len());
    let mut by_element = BTreeMap::new();
    for item in list {
        let Ok(element) = items.step(schema, item) else {
            continue;
        };
        match by_element.entry(element.clone()) {
            Entry::Vacant(place) => {
                place.insert(Some(item));
            }
            Entry::Occupied(mut place) => {
                place.insert(None);
            }
        }
        order.push((element, item));
    }
    Listed { order, by_element }
}

/// Items of both lists: applied ones in their order, those that only the live list has where they stood.
fn list_items(schema: &Schema, items: Items<'_>, live: &[Value], applied: &[Value]) -> Value {
    let slot = Slot::element(items.element);
    let (live, applied) = (listed(schema, items, live), listed(schema, items, applied));
    // Applied items that the live list has too: the next of them holds live ones back.
    let mut shared = applied
        .order
        .iter()
        .map(|(element, _)| element)
        .filter(|element| live.by_element.contains_key(element))
        .peekable();
    let (mut left, mut right) = (
        live.order.iter().peekable(),
        applied.order.iter().peekable(),
    );
    let mut out = Vec::with_capacity(live.order.len().max(applied.order.len()));
    while left.peek().is_some() || right.peek().is_some() {
        if let (Some((element, _)), Some((next, given))) = (left.peek(), right.peek()) {
            if element == next {
                let before = live.by_element.get(element).copied().flatten();
                out.extend(value(schema, slot, before, Some(given)));
                left.next();
                right.next();
                shared.next();
                continue;
            }
            if applied.by_element.contains_key(element)
                && shared.peek().is_some_and(|next| *next != element)
            {
                // Its turn comes, or came, where it stands among the applied ones.
                left.next();
                continue;
            }
        }
        if let Some((element, item)) = left.peek() {
            if !applied.by_element.contains_key(element) {
                out.extend(value(schema, slot, Some(item), None));
                left.next();
                continue;
            }
            if right.peek().is_none() {
                // It was merged already.
                left.next();
                continue;
            }
        }
        if let Some((element, given)) = right.next() {
            let before = live.by_element.get(element).copied().flatten();
            out.extend(value(schema, slot, before, Some(given)));
            if shared.peek() == Some(&element) {
                shared.next();
            }
        }
    }
    Value::Array(out)
}
