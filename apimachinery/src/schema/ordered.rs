//! Writes objects in the order in which Go declares their fields, as messages quote them.
//!
//! What a patch went through was a map for a while, and is written as Go writes maps: sorted.

use serde_json::Value;

use super::{Kind, Schema, Type, TypeId};

impl Schema {
    /// JSON of an object with fields in the order of declaration; keys of maps, and fields that
    /// the type does not have, are sorted.
    pub fn to_declared_json(&self, value: &Value, id: TypeId) -> String {
        self.to_patched_json(value, id, &Value::Null)
    }

    /// The same of an object that was patched: where `touched` has an object, keys are sorted.
    pub fn to_patched_json(&self, value: &Value, id: TypeId, touched: &Value) -> String {
        let mut out = String::new();
        self.write_declared(value, &Kind::Struct(id), touched, &mut out);
        out
    }

    fn write_declared(&self, value: &Value, kind: &Kind, touched: &Value, out: &mut String) {
        match (value, kind) {
            (Value::Object(map), _) => {
                let mut entries = crate::object::sorted(map);
                let mut element = &Kind::Any;
                let mut fields = None;
                match kind {
                    Kind::Struct(id) => {
                        let ty = self.get(*id);
                        fields = Some(ty);
                        if !touched.is_object() {
                            // Behind the sort by name this keeps unknown fields sorted, at the end.
                            entries.sort_by_key(|(key, _)| place_in(ty, key));
                        }
                    }
                    Kind::Map(inner) => element = inner,
                    _ => {}
                }
                out.push('{');
                for (i, (key, value)) in entries.into_iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    out.push_str(&Value::from(key.as_str()).to_string());
                    out.push(':');
                    let kind = fields
                        .and_then(|ty| ty.field(key))
                        .map_or(element, |field| &field.kind);
                    self.write_declared(value, kind, &touched[key], out);
                }
                out.push('}');
            }
            (Value::Array(items), _) => {
                let element = kind.element().unwrap_or(&Kind::Any);
                out.push('[');
                for (i, item) in items.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    self.write_declared(item, element, &touched[i.to_string()], out);
                }
                out.push(']');
            }
            (scalar, _) => out.push_str(&scalar.to_string()),
        }
    }
}

/// Where a field is written. Objects say `apiVersion` before `kind`, though they are declared the other way.
fn place_in(ty: &Type, key: &str) -> usize {
    let is_object = matches!(&ty.fields[..], [kind, version, ..]
        if kind.name == "kind" && version.name == "apiVersion");
    match key {
        "apiVersion" if is_object => 0,
        "kind" if is_object => 1,
        _ => {
            let place = ty.fields.iter().position(|field| field.name == key);
            place.unwrap_or(usize::MAX)
        }
    }
}
