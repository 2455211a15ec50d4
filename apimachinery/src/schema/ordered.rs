//! Writes objects in the order in which Go declares their fields, as messages quote them.

use serde_json::Value;

use super::{Kind, Schema, TypeId};

impl Schema {
    /// JSON of an object with fields in the order of declaration; keys of maps, and fields that
    /// the type does not have, are sorted.
    pub fn to_declared_json(&self, value: &Value, id: TypeId) -> String {
        let mut out = String::new();
        self.write_declared(value, &Kind::Struct(id), &mut out);
        out
    }

    fn write_declared(&self, value: &Value, kind: &Kind, out: &mut String) {
        match (value, kind) {
            (Value::Object(map), _) => {
                let mut entries = crate::object::sorted(map);
                let mut element = &Kind::Any;
                let mut fields = None;
                match kind {
                    Kind::Struct(id) => {
                        let ty = self.get(*id);
                        // Behind the sort by name this keeps unknown fields sorted, at the end.
                        entries.sort_by_key(|(key, _)| {
                            type_meta_first(key)
                                .or_else(|| {
                                    ty.fields.iter().position(|f| f.name == *key).map(|i| i + 2)
                                })
                                .unwrap_or(usize::MAX)
                        });
                        fields = Some(ty);
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
                    self.write_declared(value, kind, out);
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
                    self.write_declared(item, element, out);
                }
                out.push(']');
            }
            (scalar, _) => out.push_str(&scalar.to_string()),
        }
    }
}

/// Upstream's serializer writes `apiVersion` before `kind`, though they are declared the other way.
fn type_meta_first(key: &str) -> Option<usize> {
    match key {
        "apiVersion" => Some(0),
        "kind" => Some(1),
        _ => None,
    }
}
