//! An OpenAPI document of version 3, and how to find things in it.

use serde_json::Value;

/// A document.
pub struct Document(pub Value);

/// A resource by group, version and plural.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gvr {
    /// `apps`; empty for the core group.
    pub group: String,
    /// `v1`.
    pub version: String,
    /// `deployments`.
    pub resource: String,
}

impl Gvr {
    /// Where its group and version have their document: `apis/apps/v1`.
    pub fn place(&self) -> String {
        if self.group.is_empty() {
            format!("api/{}", self.version)
        } else {
            format!("apis/{}/{}", self.group, self.version)
        }
    }
}

impl std::fmt::Display for Gvr {
    /// `apps/v1, Resource=deployments`, as Go prints it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}/{}, Resource={}",
            self.group, self.version, self.resource
        )
    }
}

impl Document {
    /// The kind of a resource: that of an operation at one of its paths.
    pub fn kind_of(&self, gvr: &Gvr) -> Option<&Value> {
        let (root, plural) = (gvr.place(), &gvr.resource);
        let places = [
            format!("/{root}/{plural}"),
            format!("/{root}/{plural}/{{name}}"),
            format!("/{root}/namespaces/{{namespace}}/{plural}"),
            format!("/{root}/namespaces/{{namespace}}/{plural}/{{name}}"),
        ];
        let paths = self.0.get("paths")?;
        // The last path that names a kind counts.
        places.iter().rev().find_map(|place| {
            let item = paths.get(place)?;
            ["get", "post", "put", "patch", "delete"]
                .iter()
                .find_map(|method| item.get(method)?.get("x-kubernetes-group-version-kind"))
        })
    }

    /// The schema of a kind.
    pub fn schema_of(&self, kind: &Value) -> Option<&Value> {
        let schemas = self.0.pointer("/components/schemas")?.as_object()?;
        schemas.values().find(|schema| {
            let kinds = schema["x-kubernetes-group-version-kind"].as_array();
            kinds.is_some_and(|kinds| kinds.contains(kind))
        })
    }

    /// The schema that a reference leads to.
    pub fn follow(&self, reference: &str) -> Option<&Value> {
        self.0.pointer(reference.strip_prefix('#')?)
    }

    /// The schema itself, or the one that it refers to.
    pub fn resolved<'a>(&'a self, schema: &'a Value) -> &'a Value {
        let reference = schema["$ref"].as_str();
        reference
            .and_then(|reference| self.follow(reference))
            .unwrap_or(schema)
    }
}

/// What a map holds; none of an object with fields of its own.
pub fn map_element(schema: &Value) -> Option<&Value> {
    schema
        .get("additionalProperties")
        .filter(|own| own.is_object())
}

/// The schemas that a schema consists of.
pub fn all_of(schema: &Value) -> impl Iterator<Item = &Value> {
    schema["allOf"].as_array().into_iter().flatten()
}
