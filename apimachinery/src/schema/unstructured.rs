//! Trees that Go makes into its types without a detour through JSON: what a strategic merge patch leaves.

use serde_json::Value;

use super::{Kind, Schema, TypeId};

impl Schema {
    /// Why Go makes no object of the type of a tree, in its words; the first reason in the order in which fields are
    /// declared.
    pub fn unfit(&self, tree: &Value, id: TypeId) -> Option<String> {
        self.unfit_kind(tree, &Kind::Struct(id), "")
    }

    fn unfit_kind(&self, value: &Value, kind: &Kind, go_type: &str) -> Option<String> {
        match (kind, value) {
            (_, Value::Null) => None,
            (Kind::Struct(id), Value::Object(map)) => {
                let fields = self.get(*id).fields.iter();
                fields
                    .filter_map(|field| Some((field, map.get(field.name)?)))
                    .find_map(|(field, value)| self.unfit_kind(value, &field.kind, &field.go_type))
            }
            (Kind::List(element), Value::Array(items)) => {
                let go_type = go_type.strip_prefix("[]").unwrap_or(go_type);
                items
                    .iter()
                    .find_map(|item| self.unfit_kind(item, element, go_type))
            }
            (Kind::Map(element), Value::Object(map)) => {
                let go_type = go_type
                    .split_once(']')
                    .map_or(go_type, |(_, element)| element);
                let mut entries = crate::object::sorted(map).into_iter();
                entries.find_map(|(_, value)| self.unfit_kind(value, element, go_type))
            }
            (Kind::Struct(_), other) => Some(format!("cannot restore struct from: {}", go(other))),
            (Kind::Map(_), other) => Some(format!("cannot restore map from {}", go(other))),
            (Kind::List(_), other) => Some(format!("cannot restore slice from {}", go(other))),
            (Kind::Bytes, Value::String(_)) => self
                .mismatch(value, kind)
                .map(|why| format!("error decoding from json: {why}")),
            (Kind::Bytes, other) => Some(format!("cannot restore slice from {}", go(other))),
            (Kind::Bool, Value::Bool(_))
            | (Kind::Text, Value::String(_))
            | (Kind::Float64, Value::Number(_)) => None,
            (Kind::Int32 | Kind::Int64, Value::Number(number)) => {
                let whole = number.as_f64().is_some_and(|number| number.fract() == 0.0);
                (!whole).then(|| format!("cannot convert float64 to {go_type}"))
            }
            // Go has a way from a whole number to a text, which is not taken here.
            (Kind::Text, Value::Number(number)) if number.is_i64() => {
                Some(format!("cannot convert int64 to {go_type}"))
            }
            (Kind::Bool, _) => unrecognized("bool"),
            (Kind::Int32, _) => unrecognized("int32"),
            (Kind::Int64, _) => unrecognized("int64"),
            (Kind::Float64, _) => unrecognized("float64"),
            (Kind::Text, _) => unrecognized("string"),
            // These read themselves from JSON.
            (
                Kind::Time | Kind::MicroTime | Kind::Quantity | Kind::IntOrString | Kind::Any,
                value,
            ) => self.mismatch(value, kind),
        }
    }
}

fn unrecognized(kind: &str) -> Option<String> {
    Some(format!("unrecognized type: {kind}"))
}

/// The kind of what stands in a tree, as Go's reflection names it.
fn go(value: &Value) -> &'static str {
    match value {
        Value::Null => "invalid",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_i64() => "int64",
        Value::Number(_) => "float64",
        Value::String(_) => "string",
        Value::Array(_) => "slice",
        Value::Object(_) => "map",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_does_not_fit_is_said_in_gos_words() {
        let schema = Schema::builtin();
        let id = schema.type_id("apps/v1.Deployment").unwrap();
        for (spec, expected) in [
            (json!("x"), Some("cannot restore struct from: string")),
            (json!({"replicas": "x"}), Some("unrecognized type: int32")),
            (
                json!({"replicas": 1.5}),
                Some("cannot convert float64 to int32"),
            ),
            (json!({"replicas": 2}), None),
            (json!({"paused": 1}), Some("unrecognized type: bool")),
            (
                json!({"strategy": {"type": 1}}),
                Some("cannot convert int64 to v1.DeploymentStrategyType"),
            ),
            (
                json!({"selector": {"matchLabels": {"a": true}}}),
                Some("unrecognized type: string"),
            ),
            (
                json!({"selector": {"matchLabels": "a"}}),
                Some("cannot restore map from string"),
            ),
            (
                json!({"template": {"spec": {"containers": {"name": "c"}}}}),
                Some("cannot restore slice from map"),
            ),
            (
                json!({"strategy": {"rollingUpdate": {"maxSurge": {}}}}),
                Some("json: cannot unmarshal object into Go value of type int32"),
            ),
        ] {
            let object = json!({"metadata": {"name": "d"}, "spec": spec});
            assert_eq!(schema.unfit(&object, id).as_deref(), expected, "{object}");
        }
    }
}
