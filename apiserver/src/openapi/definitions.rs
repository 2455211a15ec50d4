//! Definitions: what a type of the table looks like as a JSON schema.

use std::collections::BTreeMap;

use ferrule_apimachinery::schema::{Field, Kind, ListType, Schema, Type, TypeId};
use serde_json::{Map, Value, json};

use super::Dialect;
use super::descriptions::Index;
use super::facts;
use super::kinds::Kinds;
use super::names::{self, Definition, Form, Opaque};

/// Makes definitions of one dialect.
pub(super) struct Definitions<'a> {
    pub(super) schema: &'a Schema,
    pub(super) texts: &'a Index<'a>,
    pub(super) kinds: &'a Kinds,
    pub(super) dialect: Dialect,
}

/// These definitions and all that they refer to, by name.
pub(super) fn closure(
    schema: &Schema,
    roots: impl IntoIterator<Item = Definition>,
) -> BTreeMap<String, Definition> {
    let mut all = BTreeMap::new();
    let mut waiting: Vec<Definition> = roots.into_iter().collect();
    while let Some(next) = waiting.pop() {
        if all.insert(names::name(schema, next), next).is_some() {
            continue;
        }
        if let Definition::Type(id) = next {
            let fields = schema.get(id).fields.iter();
            waiting.extend(fields.filter_map(|own| names::referred(&own.kind, &own.go_type)));
        }
    }
    all
}

impl Definitions<'_> {
    /// One definition.
    pub(super) fn get(&self, name: &str, definition: Definition) -> Value {
        let mut value = match definition {
            Definition::Opaque(opaque) => self.opaque(opaque),
            Definition::Type(id) => self.of_type(name, id),
        };
        if let Some(text) = self.texts.get(name, "").filter(|text| !text.is_empty()) {
            value.insert("description".into(), text.into());
        }
        value.into()
    }

    fn opaque(&self, opaque: &Opaque) -> Map<String, Value> {
        let value = match (opaque.form, self.dialect) {
            (Form::Any, _) => json!({}),
            (Form::Object, _) => json!({"type": "object"}),
            (Form::Text(format), _) => json!({"type": "string", "format": format}),
            (Form::TextOr(_, ""), Dialect::V2) => json!({"type": "string"}),
            (Form::TextOr(_, format), Dialect::V2) => json!({"type": "string", "format": format}),
            (Form::TextOr("number", _), Dialect::V3) => {
                json!({"oneOf": [{"type": "string"}, {"type": "number"}]})
            }
            (Form::TextOr(number, format), Dialect::V3) => {
                json!({"oneOf": [{"type": number}, {"type": "string"}], "format": format})
            }
        };
        into_map(value)
    }

    fn of_type(&self, name: &str, id: TypeId) -> Map<String, Value> {
        let ty = self.schema.get(id);
        let mut value = into_map(json!({"type": "object"}));
        let properties: Map<String, Value> = ty
            .fields
            .iter()
            .map(|field| (field.name.to_owned(), self.field(name, ty, field)))
            .collect();
        if !properties.is_empty() {
            value.insert("properties".into(), properties.into());
        }
        let required: Vec<&str> = ty
            .fields
            .iter()
            .filter(|field| field.required)
            .map(|field| field.name)
            .collect();
        if !required.is_empty() {
            value.insert("required".into(), required.into());
        }
        if ty.atomic {
            value.insert("x-kubernetes-map-type".into(), "atomic".into());
        }
        if let Some(kinds) = self.kinds.of(id) {
            value.insert("x-kubernetes-group-version-kind".into(), kinds);
        }
        value
    }

    fn field(&self, definition: &str, ty: &Type, field: &Field) -> Value {
        let mut value = self.value(ty, field, &field.kind);
        if let Some(text) = self.texts.get(definition, field.name) {
            value.insert("description".into(), text.into());
        }
        if self.dialect == Dialect::V3
            && let Some(default) = default(field)
        {
            value.insert("default".into(), default);
        }
        extensions(field, &mut value);
        // Only a reference with nothing beside it may stand alone.
        if self.dialect == Dialect::V3
            && value.len() > 1
            && let Some(reference) = value.remove("$ref")
        {
            value.insert("allOf".into(), json!([{"$ref": reference}]));
        }
        value.into()
    }

    fn value(&self, ty: &Type, field: &Field, kind: &Kind) -> Map<String, Value> {
        let value = match kind {
            Kind::Bool => json!({"type": "boolean"}),
            Kind::Int32 => json!({"type": "integer", "format": "int32"}),
            Kind::Int64 => json!({"type": "integer", "format": "int64"}),
            Kind::Float64 => json!({"type": "number", "format": "double"}),
            Kind::Bytes => json!({"type": "string", "format": "byte"}),
            Kind::Text => match self.closed_set(ty, field) {
                Some(values) => json!({"type": "string", "enum": values}),
                None => json!({"type": "string"}),
            },
            Kind::List(element) => {
                json!({"type": "array", "items": self.element(ty, field, element)})
            }
            Kind::Map(element) => {
                json!({"type": "object", "additionalProperties": self.element(ty, field, element)})
            }
            other => match names::referred(other, &field.go_type) {
                Some(own) => json!({"$ref": self.reference(own)}),
                None => json!({"type": "object"}),
            },
        };
        into_map(value)
    }

    /// What a list or map holds: never absent, so that it has a default.
    fn element(&self, ty: &Type, field: &Field, kind: &Kind) -> Map<String, Value> {
        let mut value = self.value(ty, field, kind);
        if self.dialect == Dialect::V2 {
            return value;
        }
        if let Some(zero) = zero(kind) {
            value.insert("default".into(), zero);
            if let Some(reference) = value.remove("$ref") {
                value.insert("allOf".into(), json!([{"$ref": reference}]));
            }
        }
        value
    }

    /// Where a definition is found in the document.
    pub(super) fn reference(&self, definition: Definition) -> String {
        let name = names::name(self.schema, definition);
        match self.dialect {
            Dialect::V2 => format!("#/definitions/{name}"),
            Dialect::V3 => format!("#/components/schemas/{name}"),
        }
    }

    fn closed_set(&self, ty: &Type, field: &Field) -> Option<Vec<&'static str>> {
        let name = names::last_name(&field.go_type);
        let package = [ty.api_version, "core/v1"]
            .into_iter()
            .find(|package| facts::is_closed(package, name))?;
        let declared = self.schema.declared_values(&format!("{package}.{name}"))?;
        let mut values = declared.values.clone();
        values.sort_unstable();
        Some(values)
    }
}

fn into_map(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// The value that counts when a field that may not be absent is absent.
fn zero(kind: &Kind) -> Option<Value> {
    match kind {
        Kind::Struct(_) => Some(json!({})),
        Kind::Bool => Some(false.into()),
        Kind::Int32 | Kind::Int64 | Kind::Float64 => Some(0.into()),
        Kind::Text => Some("".into()),
        _ => None,
    }
}

fn default(field: &Field) -> Option<Value> {
    if !field.default.is_empty() {
        // Declared as JSON; what refers to a constant elsewhere is not.
        return serde_json::from_str(field.default).ok();
    }
    let always = matches!(field.kind, Kind::Struct(_)) || !field.omit_empty;
    (always && !field.pointer).then(|| zero(&field.kind))?
}

fn extensions(field: &Field, value: &mut Map<String, Value>) {
    let mut set = |name: &str, extension: Value| {
        value.insert(format!("x-kubernetes-{name}"), extension);
    };
    if let Some(list) = field.list_type {
        let name = match list {
            ListType::Atomic => "atomic",
            ListType::Set => "set",
            ListType::Map => "map",
        };
        set("list-type", name.into());
    }
    if !field.list_map_keys.is_empty() {
        set("list-map-keys", field.list_map_keys.to_vec().into());
    }
    if field.atomic {
        set("map-type", "atomic".into());
    }
    let strategies: Vec<&str> = [
        (field.patch.merge, "merge"),
        (field.patch.replace, "replace"),
        (field.patch.retain_keys, "retainKeys"),
    ]
    .into_iter()
    .filter_map(|(on, name)| on.then_some(name))
    .collect();
    if !strategies.is_empty() {
        set("patch-strategy", strategies.join(",").into());
    }
    if !field.merge_key.is_empty() {
        set("patch-merge-key", field.merge_key.into());
    }
}
