//! Brings a stored set into step with a schema that changed: a value that became one, or came apart.

use serde_json::Value;

use super::element::Element;
use super::field_set::field_set_at;
use super::managers::Managers;
use super::set::{Node, Set};
use super::shape::{Shape, Slot, field_slot, root};
use crate::schema::{Kind, Schema, TypeId};

/// The set as it would be had it been written with this schema; `None` when that is no other. `live` is
/// the object that it is about, `all` its managers.
pub(super) fn reconcile<'a>(
    schema: &Schema,
    id: TypeId,
    set: &Set<'a>,
    live: &'a Value,
    all: &Managers<'a>,
) -> Option<Set<'a>> {
    let kind = Kind::Struct(id);
    let walk = Walk { schema, live, all };
    let place = Place {
        above: None,
        slot: root(&kind),
    };
    walk.below(&place, set)
}

struct Walk<'w, 'a> {
    schema: &'w Schema,
    live: &'a Value,
    all: &'w Managers<'a>,
}

/// Where the walk is; the live value there is looked up only when it is asked for.
struct Place<'p, 's, 'a> {
    above: Option<(&'p Place<'p, 's, 'a>, &'p Element<'a>)>,
    slot: Slot<'s>,
}

impl<'a> Walk<'_, 'a> {
    /// The nodes below a place as they should be; `None` when they are.
    fn below(&self, place: &Place<'_, '_, 'a>, set: &Set<'a>) -> Option<Set<'a>> {
        let mut changed: Option<Vec<Node<'a>>> = None;
        for (i, node) in set.nodes().iter().enumerate() {
            let Some(new) = self.node(place, node) else {
                continue;
            };
            changed.get_or_insert_with(|| set.nodes().to_vec())[i] = new;
        }
        changed.map(Set::from_nodes)
    }

    fn node(&self, above: &Place<'_, '_, 'a>, node: &Node<'a>) -> Option<Node<'a>> {
        let slot = match (&node.element, above.slot.shape(self.schema)) {
            (Element::Field(name), Shape::Struct(ty)) => field_slot(ty, name),
            (Element::Field(_), Shape::Map(element)) => Slot::element(element),
            (Element::Key(_) | Element::Value(_), Shape::List(items)) => {
                Slot::element(items.element)
            }
            _ => return None,
        };
        let whole = node.children.is_empty();
        let (member, children) = match slot.shape(self.schema) {
            Shape::Leaf if whole || matches!(slot.kind, Kind::Any) => return None,
            // It became one value: who owned a part owns it.
            Shape::Leaf => (true, Set::new()),
            _ => {
                let place = Place {
                    above: Some((above, &node.element)),
                    slot,
                };
                if whole {
                    (node.member, self.parts(&place)?)
                } else {
                    (node.member, self.below(&place, &node.children)?)
                }
            }
        };
        Some(Node {
            element: node.element.clone(),
            member,
            children,
        })
    }

    /// The parts of a value that came apart: who owned it owns them. Where others own parts of it, it
    /// was no single value before.
    fn parts(&self, place: &Place<'_, '_, 'a>) -> Option<Set<'a>> {
        let parts = field_set_at(self.schema, place.slot, self.value(place)?);
        if parts.is_empty() {
            return None;
        }
        let mut path = Vec::new();
        let mut at = place;
        while let Some((above, step)) = at.above {
            path.push(step);
            at = above;
        }
        path.reverse();
        let apart = self.all.iter().any(|(_, owned)| {
            let mut set = &owned.fields;
            for step in &path {
                match set.get(step) {
                    Some(node) => set = &node.children,
                    None => return false,
                }
            }
            !set.is_empty()
        });
        (!apart).then_some(parts)
    }

    fn value(&self, place: &Place<'_, '_, 'a>) -> Option<&'a Value> {
        let Some((above, step)) = place.above else {
            return Some(self.live);
        };
        let outer = self.value(above)?;
        match (step, above.slot.shape(self.schema)) {
            (Element::Field(name), _) => outer.get(&**name),
            (step, Shape::List(items)) => {
                let same =
                    |item: &&Value| items.step(self.schema, item).is_ok_and(|own| own == *step);
                let mut found = outer.as_array()?.iter().filter(same);
                // Items that appear more than once are one value together.
                found.next().filter(|_| found.next().is_none())
            }
            _ => None,
        }
    }
}
