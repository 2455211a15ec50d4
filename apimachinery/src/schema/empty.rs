//! Empty lists that a client sent: its field is owned by it, and read back as null.
//!
//! Storage does not tell an empty list from none. Where Go writes one even so, it writes null.

use serde_json::Value;

use super::decode::is_empty;
use super::{Field, Kind, Schema, TypeId};

impl Field {
    /// Whether the field is written when it is empty, and then as null.
    fn is_null_when_empty(&self) -> bool {
        let nullable = matches!(self.kind, Kind::List(_) | Kind::Map(_) | Kind::Bytes);
        nullable && !self.omit_empty && !self.pointer
    }
}

impl Schema {
    /// Makes of the empty lists and maps of an object what is read back when it was stored.
    pub fn forget_empty(&self, object: &mut Value, id: TypeId) {
        let ty = self.get(id);
        let Value::Object(map) = object else {
            return;
        };
        for position in &ty.empties {
            let field = &ty.fields[usize::from(*position)];
            match map.get_mut(field.name) {
                None => {}
                Some(value) if field.is_null_when_empty() && is_empty(&field.kind, value) => {
                    *value = Value::Null;
                }
                Some(value) => self.forget_below(value, &field.kind),
            }
        }
    }

    fn forget_below(&self, value: &mut Value, kind: &Kind) {
        match (kind, value) {
            (Kind::Struct(id), value) => self.forget_empty(value, *id),
            (Kind::List(element), Value::Array(items)) => {
                items
                    .iter_mut()
                    .for_each(|item| self.forget_below(item, element));
            }
            (Kind::Map(element), Value::Object(map)) => {
                map.values_mut()
                    .for_each(|item| self.forget_below(item, element));
            }
            _ => {}
        }
    }

    /// Finds the fields that [`Schema::forget_empty`] has to look at. Types may hold each other, so that it
    /// takes as many rounds as they are deep.
    pub(super) fn find_empties(&mut self) {
        loop {
            let found: Vec<Vec<u16>> = self
                .types
                .iter()
                .map(|ty| {
                    let fields = (0..).zip(&ty.fields);
                    fields
                        .filter(|(_, field)| self.has_empties(field))
                        .map(|(position, _)| position)
                        .collect()
                })
                .collect();
            let mut changed = false;
            for (ty, found) in self.types.iter_mut().zip(found) {
                changed |= ty.empties != found;
                ty.empties = found;
            }
            if !changed {
                return;
            }
        }
    }

    fn has_empties(&self, field: &Field) -> bool {
        let mut kind = &field.kind;
        while let Some(element) = kind.element() {
            kind = element;
        }
        field.is_null_when_empty()
            || matches!(kind, Kind::Struct(id) if !self.get(*id).empties.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_empty_list_is_kept_until_the_object_is_stored() {
        let schema = Schema::builtin();
        let id = schema.type_id("discovery.k8s.io/v1.EndpointSlice").unwrap();
        let sent = br#"{"endpoints": [], "addressType": "IPv4", "metadata": {"finalizers": []}}"#;
        let mut slice = schema.decode_json(sent, id).unwrap().value;
        assert_eq!(
            slice,
            json!({"endpoints": [], "ports": null, "addressType": "IPv4", "metadata": {}})
        );
        schema.forget_empty(&mut slice, id);
        assert!(slice["endpoints"].is_null());

        let id = schema.type_id("core/v1.Pod").unwrap();
        let volumes =
            json!([{"name": "v", "projected": {"sources": []}}, {"name": "w", "emptyDir": {}}]);
        let mut pod = json!({"spec": {"volumes": volumes, "containers": [], "hostAliases": []}});
        schema.forget_empty(&mut pod, id);
        let kept =
            json!([{"name": "v", "projected": {"sources": null}}, {"name": "w", "emptyDir": {}}]);
        assert_eq!(
            pod,
            json!({"spec": {"volumes": kept, "containers": null, "hostAliases": []}})
        );
    }
}
