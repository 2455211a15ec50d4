//! What changed between two objects, field by field.

use std::ops::Range;

use serde_json::{Map, Value};

use super::element::Element;
use super::set::{Node, Set};
use super::shape::{Items, Shape, Slot, field_slot, root};
use crate::schema::{Kind, Schema, TypeId};

/// Only the second object has it.
const ADDED: u8 = 1;
/// Both have it, with other values.
const MODIFIED: u8 = 2;
/// Only the first object has it.
const REMOVED: u8 = 4;

/// The fields in which two objects differ.
#[derive(Debug, Default)]
pub struct Comparison<'a>(Vec<Change<'a>>);

#[derive(Debug)]
struct Change<'a> {
    element: Element<'a>,
    marks: u8,
    below: Vec<Change<'a>>,
}

/// Compares two objects of a type.
pub fn compare<'a>(schema: &Schema, id: TypeId, old: &'a Value, new: &'a Value) -> Comparison<'a> {
    let mut out = Vec::new();
    Pass { schema }.value(root(&Kind::Struct(id)), Some(old), Some(new), &mut out);
    Comparison(out)
}

impl<'a> Comparison<'a> {
    /// Whether the objects are the same.
    pub fn is_same(&self) -> bool {
        self.0.is_empty()
    }

    /// Leaves out these paths of field names, and all that is below them.
    pub fn exclude(&mut self, paths: &[&[&str]]) {
        for path in paths {
            exclude(&mut self.0, path);
        }
    }

    /// The fields that the second object has with another value, or alone.
    pub fn changed(&self) -> Set<'a> {
        select(&self.0, ADDED | MODIFIED)
    }

    /// The fields that only the first object has.
    pub fn removed(&self) -> Set<'a> {
        select(&self.0, REMOVED)
    }

    /// All fields that differ.
    pub fn all(&self) -> Set<'a> {
        select(&self.0, ADDED | MODIFIED | REMOVED)
    }
}

fn exclude(changes: &mut Vec<Change<'_>>, path: &[&str]) {
    let Some((first, rest)) = path.split_first() else {
        return;
    };
    changes.retain_mut(|change| {
        if change.element != Element::field(first) {
            return true;
        }
        if rest.is_empty() {
            return false;
        }
        exclude(&mut change.below, rest);
        change.marks != 0 || !change.below.is_empty()
    });
}

fn select<'a>(changes: &[Change<'a>], marks: u8) -> Set<'a> {
    let nodes = changes.iter().filter_map(|change| {
        let children = select(&change.below, marks);
        let member = change.marks & marks != 0;
        (member || !children.is_empty()).then(|| Node {
            element: change.element.clone(),
            member,
            children,
        })
    });
    Set::from_nodes(nodes.collect())
}

/// Whether two leaves hold the same; whole and other numbers compare as numbers.
pub(super) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(key, value)| b.get(key).is_some_and(|other| same(value, other)))
        }
        _ => a == b,
    }
}

struct Pass<'s> {
    schema: &'s Schema,
}

type Side<'a> = Option<&'a Value>;

impl Pass<'_> {
    /// Adds the changes below a place; answers whether the value there is one.
    fn value<'a>(
        &self,
        slot: Slot<'_>,
        old: Side<'a>,
        new: Side<'a>,
        out: &mut Vec<Change<'a>>,
    ) -> bool {
        let maps = || (filled_map(old), filled_map(new));
        match slot.shape(self.schema) {
            Shape::Leaf => true,
            Shape::Struct(ty) => match maps() {
                (None, None) => true,
                (old, new) => {
                    self.entries(old, new, |name| field_slot(ty, name), out);
                    false
                }
            },
            Shape::Map(element) => match maps() {
                (None, None) => true,
                (old, new) => {
                    self.entries(old, new, |_| Slot::element(element), out);
                    false
                }
            },
            Shape::List(items) => match (filled_list(old), filled_list(new)) {
                (None, None) => true,
                (old, new) => {
                    self.items(items, old.unwrap_or(&[]), new.unwrap_or(&[]), out);
                    false
                }
            },
        }
    }

    fn change<'a>(
        &self,
        element: Element<'a>,
        slot: Slot<'_>,
        old: Side<'a>,
        new: Side<'a>,
        out: &mut Vec<Change<'a>>,
    ) {
        let mut below = Vec::new();
        let leaf = self.value(slot, old, new, &mut below);
        let marks = match (old, new) {
            (None, Some(_)) => ADDED,
            (Some(_), None) => REMOVED,
            (Some(old), Some(new)) if leaf && !same(old, new) => MODIFIED,
            _ => 0,
        };
        if marks != 0 || !below.is_empty() {
            out.push(Change {
                element,
                marks,
                below,
            });
        }
    }

    fn entries<'a, 's>(
        &self,
        old: Option<&'a Map<String, Value>>,
        new: Option<&'a Map<String, Value>>,
        slot: impl Fn(&str) -> Slot<'s>,
        out: &mut Vec<Change<'a>>,
    ) {
        for (key, value) in new.into_iter().flatten() {
            let before = old.and_then(|old| old.get(key));
            self.change(Element::field(key), slot(key), before, Some(value), out);
        }
        for (key, value) in old.into_iter().flatten() {
            if new.is_none_or(|new| !new.contains_key(key)) {
                self.change(Element::field(key), slot(key), Some(value), None, out);
            }
        }
    }

    fn items<'a>(
        &self,
        items: Items<'_>,
        old: &'a [Value],
        new: &'a [Value],
        out: &mut Vec<Change<'a>>,
    ) {
        let slot = Slot::element(items.element);
        let (old, new) = (self.sorted(items, old), self.sorted(items, new));
        let (mut i, mut j) = (0, 0);
        while i < old.len() || j < new.len() {
            let order = match (old.get(i), new.get(j)) {
                (Some((a, _)), Some((b, _))) => a.cmp(b),
                (Some(_), None) => std::cmp::Ordering::Less,
                _ => std::cmp::Ordering::Greater,
            };
            let lefts = if order.is_le() { run(&old, i) } else { i..i };
            let rights = if order.is_ge() { run(&new, j) } else { j..j };
            (i, j) = (lefts.end, rights.end);
            let (lefts, rights) = (&old[lefts], &new[rights]);
            let Some((element, _)) = lefts.first().or(rights.first()) else {
                return;
            };
            let one = |items: &[(Element<'a>, &'a Value)]| items.first().map(|(_, item)| *item);
            let marked = |marks| Change {
                element: element.clone(),
                marks,
                below: Vec::new(),
            };
            match (lefts.len(), rights.len()) {
                (0 | 1, 0 | 1) => {
                    self.change(element.clone(), slot, one(lefts), one(rights), out);
                }
                // Items that appear more than once are one value together.
                (2.., 2..) => {
                    let equal = lefts.len() == rights.len()
                        && lefts.iter().zip(rights).all(|(a, b)| same(a.1, b.1));
                    if !equal {
                        out.push(marked(MODIFIED));
                    }
                }
                (2.., right) => {
                    if right == 1 {
                        self.change(element.clone(), slot, None, one(rights), out);
                    }
                    mark(out, marked(REMOVED));
                }
                (left, _) => {
                    if left == 1 {
                        self.change(element.clone(), slot, one(lefts), None, out);
                    }
                    mark(out, marked(ADDED));
                }
            }
        }
    }

    /// The items that can be told apart, by their elements.
    fn sorted<'a>(&self, items: Items<'_>, list: &'a [Value]) -> Vec<(Element<'a>, &'a Value)> {
        let mut out: Vec<(Element<'a>, &'a Value)> = list
            .iter()
            .filter_map(|item| Some((items.step(self.schema, item).ok()?, item)))
            .collect();
        if !out.is_sorted_by(|a, b| a.0 <= b.0) {
            out.sort_by(|a, b| a.0.cmp(&b.0));
        }
        out
    }
}

/// The items from `start` on that are told apart by nothing.
fn run(items: &[(Element<'_>, &Value)], start: usize) -> Range<usize> {
    let same = items[start..]
        .iter()
        .take_while(|(element, _)| *element == items[start].0);
    start..start + same.count()
}

/// Adds a mark to the last change where that is of the same element.
fn mark<'a>(out: &mut Vec<Change<'a>>, change: Change<'a>) {
    match out.last_mut() {
        Some(last) if last.element == change.element => last.marks |= change.marks,
        _ => out.push(change),
    }
}

pub(super) fn filled_map(value: Side<'_>) -> Option<&Map<String, Value>> {
    value?.as_object().filter(|map| !map.is_empty())
}

pub(super) fn filled_list(value: Side<'_>) -> Option<&[Value]> {
    value?
        .as_array()
        .map(Vec::as_slice)
        .filter(|list| !list.is_empty())
}
