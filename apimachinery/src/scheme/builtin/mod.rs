//! The rows of the resources that are built in: a line or a few for each, in a file per room of the API.

mod access;
mod cluster;
mod core;
mod extensions;
mod networking;
mod storage;
mod workloads;

use std::borrow::Cow;

use super::{Resource, SelectableField, Subresource};

/// What most resources can be asked to do.
const ALL: &[&str] = &[
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
];
/// Of what is not stored: the answer to a create is all there is.
const CREATE: &[&str] = &["create"];
const PART: &[&str] = &["get", "patch", "update"];
const STREAM: &[&str] = &["create", "get"];
const PROXY: &[&str] = &["create", "delete", "get", "patch", "update"];

/// A group in one version, with its resources by name.
struct Group {
    name: &'static str,
    version: &'static str,
    rows: &'static [Row],
}

/// A resource with what differs from the usual.
#[derive(Clone, Copy)]
struct Row {
    plural: &'static str,
    kind: &'static str,
    namespaced: bool,
    /// Hash of the stored version.
    hash: &'static str,
    short: &'static [&'static str],
    categories: &'static [&'static str],
    verbs: &'static [&'static str],
    parts: &'static [Part],
    fields: &'static [Field],
    /// Group and version in which its objects are stored, when not in its own.
    stored: Option<(&'static str, &'static str)>,
}

/// A subresource.
#[derive(Clone, Copy)]
struct Part {
    name: &'static str,
    /// Empty: the kind of the resource.
    kind: &'static str,
    group_version: Option<(&'static str, &'static str)>,
    verbs: &'static [&'static str],
}

/// A selectable field.
#[derive(Clone, Copy)]
struct Field {
    name: &'static str,
    paths: &'static [&'static str],
    absent: &'static str,
    stored: &'static str,
}

/// The groups in upstream's order of preference.
const GROUPS: &[&Group] = &[
    &core::CORE,
    &extensions::API_REGISTRATION,
    &workloads::APPS,
    &cluster::EVENTS,
    &access::AUTHENTICATION,
    &access::AUTHORIZATION,
    &workloads::AUTOSCALING_V2,
    &workloads::AUTOSCALING_V1,
    &workloads::BATCH,
    &access::CERTIFICATES,
    &networking::NETWORKING,
    &workloads::POLICY,
    &access::RBAC,
    &storage::STORAGE,
    &extensions::ADMISSION_REGISTRATION,
    &extensions::API_EXTENSIONS,
    &cluster::SCHEDULING,
    &cluster::COORDINATION,
    &cluster::NODE,
    &networking::DISCOVERY,
    &cluster::RESOURCE,
    &cluster::FLOW_CONTROL,
];

/// All rows; groups in upstream's order of preference, resources by name.
pub(super) fn rows() -> impl Iterator<Item = Resource> {
    GROUPS
        .iter()
        .flat_map(|group| group.rows.iter().map(|row| row.resource(group)))
}

const fn namespaced(plural: &'static str, kind: &'static str, hash: &'static str) -> Row {
    Row {
        plural,
        kind,
        namespaced: true,
        hash,
        short: &[],
        categories: &[],
        verbs: ALL,
        parts: &[],
        fields: &[],
        stored: None,
    }
}

const fn cluster(plural: &'static str, kind: &'static str, hash: &'static str) -> Row {
    Row {
        namespaced: false,
        ..namespaced(plural, kind, hash)
    }
}

impl Row {
    const fn short(self, short: &'static [&'static str]) -> Row {
        Row { short, ..self }
    }

    const fn category(self, categories: &'static [&'static str]) -> Row {
        Row { categories, ..self }
    }

    const fn verbs(self, verbs: &'static [&'static str]) -> Row {
        Row { verbs, ..self }
    }

    const fn parts(self, parts: &'static [Part]) -> Row {
        Row { parts, ..self }
    }

    const fn fields(self, fields: &'static [Field]) -> Row {
        Row { fields, ..self }
    }

    const fn stored(self, group: &'static str, version: &'static str) -> Row {
        Row {
            stored: Some((group, version)),
            ..self
        }
    }

    fn resource(&self, group: &Group) -> Resource {
        let (stored_group, stored_version) = self.stored.unwrap_or((group.name, group.version));
        let schema_group = match group.name {
            "" => "core",
            name => name,
        };
        Resource {
            group: group.name.into(),
            version: group.version.into(),
            plural: self.plural.into(),
            singular: self.kind.to_ascii_lowercase().into(),
            kind: self.kind.into(),
            short_names: texts(self.short),
            categories: texts(self.categories),
            namespaced: self.namespaced,
            subresources: self.parts.iter().map(|part| part.of(self.kind)).collect(),
            verbs: texts(self.verbs),
            selectable_fields: self.fields.iter().map(Field::selectable).collect(),
            schema_type: format!("{schema_group}/{}.{}", group.version, self.kind).into(),
            storage_group: stored_group.into(),
            storage_version: stored_version.into(),
            storage_version_hash: self.hash.into(),
        }
    }
}

/// The status of an object, with everything around it.
const STATUS: Part = part("status", "", PART);
const SCALE: Part = foreign("scale", ("autoscaling", "v1"), "Scale", PART);

const fn part(name: &'static str, kind: &'static str, verbs: &'static [&'static str]) -> Part {
    Part {
        name,
        kind,
        group_version: None,
        verbs,
    }
}

const fn foreign(
    name: &'static str,
    group_version: (&'static str, &'static str),
    kind: &'static str,
    verbs: &'static [&'static str],
) -> Part {
    Part {
        group_version: Some(group_version),
        ..part(name, kind, verbs)
    }
}

impl Part {
    fn of(&self, kind: &'static str) -> Subresource {
        let kind = if self.kind.is_empty() {
            kind
        } else {
            self.kind
        };
        Subresource {
            name: self.name.into(),
            kind: kind.into(),
            kind_group_version: self.group_version.map(|(g, v)| (g.into(), v.into())),
            verbs: texts(self.verbs),
        }
    }
}

/// A field that stands where its name says; `paths` repeats the name, for constants make no slices.
const fn field(paths: &'static [&'static str; 1]) -> Field {
    field_at(paths[0], paths)
}

const fn field_at(name: &'static str, paths: &'static [&'static str]) -> Field {
    Field {
        name,
        paths,
        absent: "",
        stored: name,
    }
}

impl Field {
    /// What an absent value counts as.
    const fn or(self, absent: &'static str) -> Field {
        Field { absent, ..self }
    }

    /// The name of the same field in the stored version.
    const fn stored(self, stored: &'static str) -> Field {
        Field { stored, ..self }
    }

    fn selectable(&self) -> SelectableField {
        SelectableField {
            name: self.name.into(),
            paths: texts(self.paths),
            absent: self.absent.into(),
            stored: self.stored.into(),
        }
    }
}

fn texts(list: &[&'static str]) -> Vec<Cow<'static, str>> {
    list.iter().map(|text| Cow::Borrowed(*text)).collect()
}
