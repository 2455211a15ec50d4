//! Which kinds a type is: `x-kubernetes-group-version-kind`.

use std::collections::HashMap;

use ferrule_apimachinery::schema::{Schema, TypeId};
use ferrule_apimachinery::scheme::{Resource, Scheme, Subresource, api_version};
use serde_json::{Value, json};

/// The kinds of the types that have any.
pub(super) struct Kinds(HashMap<TypeId, Vec<Value>>);

impl Kinds {
    /// The kinds that the scheme's resources have, their lists, and those of the protocol.
    pub(super) fn new(scheme: &Scheme, schema: &Schema) -> Kinds {
        let mut kinds = Kinds(HashMap::new());
        for resource in scheme.iter() {
            let (group, version) = (&*resource.group, &*resource.version);
            kinds.add(object(schema, resource), group, version, &resource.kind);
            kinds.add(
                list(schema, resource),
                group,
                version,
                &resource.list_kind(),
            );
            for part in &resource.subresources {
                let (group, version) = group_version(resource, part);
                kinds.add(
                    part_object(schema, resource, part),
                    group,
                    version,
                    &part.kind,
                );
            }
        }
        for (group, versions) in scheme.groups() {
            for version in versions {
                for kind in ["DeleteOptions", "WatchEvent"] {
                    kinds.add(meta(schema, kind), group, version, kind);
                }
            }
        }
        for kind in [
            "APIGroup",
            "APIGroupList",
            "APIResourceList",
            "APIVersions",
            "Status",
        ] {
            kinds.add(meta(schema, kind), "", "v1", kind);
        }
        kinds
    }

    fn add(&mut self, id: Option<TypeId>, group: &str, version: &str, kind: &str) {
        let Some(id) = id else { return };
        let value = kind_value(group, version, kind);
        let kinds = self.0.entry(id).or_default();
        if !kinds.contains(&value) {
            kinds.push(value);
        }
    }

    /// The kinds of a type.
    pub(super) fn of(&self, id: TypeId) -> Option<Value> {
        self.0.get(&id).map(|kinds| kinds.clone().into())
    }
}

/// A kind as documents write it.
pub(super) fn kind_value(group: &str, version: &str, kind: &str) -> Value {
    json!({"group": group, "version": version, "kind": kind})
}

/// A type of meta/v1.
pub(super) fn meta(schema: &Schema, kind: &str) -> Option<TypeId> {
    schema.type_id(&format!("meta/v1.{kind}"))
}

/// The type of a resource's objects.
pub(super) fn object(schema: &Schema, resource: &Resource) -> Option<TypeId> {
    schema.type_id(&resource.schema_type)
}

/// The type of its lists.
pub(super) fn list(schema: &Schema, resource: &Resource) -> Option<TypeId> {
    schema.type_id(&format!("{}List", resource.schema_type))
}

/// Group and version of a part's kind.
pub(super) fn group_version<'a>(
    resource: &'a Resource,
    part: &'a Subresource,
) -> (&'a str, &'a str) {
    match &part.kind_group_version {
        Some((group, version)) => (group, version),
        None => (&resource.group, &resource.version),
    }
}

/// The type of what is read and written at a part.
pub(super) fn part_object(
    schema: &Schema,
    resource: &Resource,
    part: &Subresource,
) -> Option<TypeId> {
    let (group, version) = group_version(resource, part);
    schema.object_type(&api_version(group, version), &part.kind)
}
