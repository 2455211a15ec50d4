//! Which resources exist: one row each, looked up by path or by kind.

mod builtin;
pub mod gvr;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crate::status::Status;

/// The kind of an object with its group and version.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupVersionKind {
    /// `apps`; empty for the core group.
    pub group: Cow<'static, str>,
    /// `v1`.
    pub version: Cow<'static, str>,
    /// `Deployment`.
    pub kind: Cow<'static, str>,
}

/// The name of a resource: what a path names.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupVersionResource {
    /// `apps`; empty for the core group.
    pub group: Cow<'static, str>,
    /// `v1`.
    pub version: Cow<'static, str>,
    /// Plural: `deployments`.
    pub resource: Cow<'static, str>,
}

impl GroupVersionResource {
    /// A resource known when the program is built.
    pub const fn new(
        group: &'static str,
        version: &'static str,
        resource: &'static str,
    ) -> GroupVersionResource {
        GroupVersionResource {
            group: Cow::Borrowed(group),
            version: Cow::Borrowed(version),
            resource: Cow::Borrowed(resource),
        }
    }

    /// A resource learned at run time.
    pub fn from_parts(
        group: impl Into<String>,
        version: impl Into<String>,
        resource: impl Into<String>,
    ) -> GroupVersionResource {
        GroupVersionResource {
            group: Cow::Owned(group.into()),
            version: Cow::Owned(version.into()),
            resource: Cow::Owned(resource.into()),
        }
    }

    /// `v1` or `apps/v1`.
    pub fn api_version(&self) -> String {
        api_version(&self.group, &self.version)
    }
}

impl fmt::Display for GroupVersionResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.resource, self.version)?;
        if self.group.is_empty() {
            return Ok(());
        }
        write!(f, ".{}", self.group)
    }
}

/// `v1` for the core group, `group/version` otherwise.
pub fn api_version(group: &str, version: &str) -> String {
    if group.is_empty() {
        version.to_owned()
    } else {
        format!("{group}/{version}")
    }
}

/// Splits `apps/v1` into group and version; `v1` has the empty group.
pub fn split_api_version(text: &str) -> (&str, &str) {
    text.split_once('/').unwrap_or(("", text))
}

/// A part of a resource with a path of its own: `status`, `scale`, `log`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subresource {
    /// `status`.
    pub name: Cow<'static, str>,
    /// Kind of what is read and written there.
    pub kind: Cow<'static, str>,
    /// Group and version of that kind when they differ from the resource's.
    pub kind_group_version: Option<(Cow<'static, str>, Cow<'static, str>)>,
    /// What can be done with it.
    pub verbs: Vec<Cow<'static, str>>,
}

/// A field that field selectors can use, beside `metadata.name` and `metadata.namespace`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelectableField {
    /// Name in a selector: `spec.nodeName`.
    pub name: Cow<'static, str>,
    /// Where the value stands in the object; the first path with a value wins.
    pub paths: Vec<Cow<'static, str>>,
    /// What an absent value counts as.
    pub absent: Cow<'static, str>,
    /// Its name in the version that is stored.
    pub stored: Cow<'static, str>,
}

/// Everything general that is known of a resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resource {
    /// `apps`; empty for the core group.
    pub group: Cow<'static, str>,
    /// `v1`.
    pub version: Cow<'static, str>,
    /// `deployments`.
    pub plural: Cow<'static, str>,
    /// `deployment`.
    pub singular: Cow<'static, str>,
    /// `Deployment`.
    pub kind: Cow<'static, str>,
    /// `deploy`.
    pub short_names: Vec<Cow<'static, str>>,
    /// `all`.
    pub categories: Vec<Cow<'static, str>>,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
    /// Parts with paths of their own.
    pub subresources: Vec<Subresource>,
    /// What can be done with it, sorted.
    pub verbs: Vec<Cow<'static, str>>,
    /// What field selectors can use beside name and namespace.
    pub selectable_fields: Vec<SelectableField>,
    /// Name of its type in the schema: `apps/v1.Deployment`.
    pub schema_type: Cow<'static, str>,
    /// Group under which its objects are stored, when another serves the same objects.
    pub storage_group: Cow<'static, str>,
    /// Version in which its objects are stored.
    pub storage_version: Cow<'static, str>,
    /// Hash of the storage version, as discovery shows it.
    pub storage_version_hash: Cow<'static, str>,
}

impl Resource {
    /// Its name.
    pub fn gvr(&self) -> GroupVersionResource {
        GroupVersionResource {
            group: self.group.clone(),
            version: self.version.clone(),
            resource: self.plural.clone(),
        }
    }

    /// The kind of its objects.
    pub fn gvk(&self) -> GroupVersionKind {
        GroupVersionKind {
            group: self.group.clone(),
            version: self.version.clone(),
            kind: self.kind.clone(),
        }
    }

    /// `v1` or `apps/v1`.
    pub fn api_version(&self) -> String {
        api_version(&self.group, &self.version)
    }

    /// `pods` or `deployments.apps`.
    pub fn qualified_name(&self) -> String {
        if self.group.is_empty() {
            self.plural.to_string()
        } else {
            format!("{}.{}", self.plural, self.group)
        }
    }

    /// The kind of a list of it.
    pub fn list_kind(&self) -> String {
        format!("{}List", self.kind)
    }

    /// Under which all its objects are stored: `/registry/pods/`.
    pub fn storage_prefix(&self) -> String {
        if self.storage_group.is_empty() {
            format!("/registry/{}/", self.plural)
        } else {
            format!("/registry/{}/{}/", self.storage_group, self.plural)
        }
    }

    /// Where one object is stored: `/registry/pods/default/web`.
    pub fn key(&self, namespace: &str, name: &str) -> String {
        let mut key = self.storage_prefix();
        if self.namespaced {
            key.push_str(namespace);
            key.push('/');
        }
        key.push_str(name);
        key
    }

    /// Namespace and name of the object stored at `key`; `None` when it is not of this resource.
    pub fn parse_key<'k>(&self, key: &'k str) -> Option<(&'k str, &'k str)> {
        let mut rest = key.strip_prefix("/registry/")?;
        if !self.storage_group.is_empty() {
            rest = rest.strip_prefix(&*self.storage_group)?.strip_prefix('/')?;
        }
        let rest = rest.strip_prefix(&*self.plural)?.strip_prefix('/')?;
        let (namespace, name) = if self.namespaced {
            rest.split_once('/')?
        } else {
            ("", rest)
        };
        (!name.is_empty() && !name.contains('/')).then_some((namespace, name))
    }

    /// Whether its objects are kept. What cannot be both made and read is only an answer: a review, a binding.
    pub fn is_kept(&self) -> bool {
        self.has_verb("create") && self.has_verb("get")
    }

    /// Whether its objects are stored as they are shown, in its own group and version.
    pub fn is_stored_form(&self) -> bool {
        self.group == self.storage_group && self.version == self.storage_version
    }

    /// Whether it can be asked to do `verb`.
    pub fn has_verb(&self, verb: &str) -> bool {
        self.verbs.iter().any(|v| v == verb)
    }

    /// The subresource of that name.
    pub fn subresource(&self, name: &str) -> Option<&Subresource> {
        self.subresources.iter().find(|s| s.name == name)
    }

    /// Whether a field selector may name `field`; the error is upstream's.
    pub fn check_field(&self, field: &str) -> Result<(), Status> {
        let own = !self.selectable_fields.is_empty();
        // With rules of its own, a cluster-scoped kind does not know the namespace.
        let known = match field {
            "metadata.name" => true,
            "metadata.namespace" => self.namespaced || !own,
            other => self.selectable_fields.iter().any(|f| f.name == other),
        };
        if known {
            return Ok(());
        }
        Err(Status::bad_request(if own {
            format!("field label not supported: {field}")
        } else {
            format!(
                "{} is not a known field selector: only \"metadata.name\", \"metadata.namespace\"",
                crate::field::quote(field)
            )
        }))
    }
}

/// The table of resources. Cheap to share behind an `Arc`; a changed table is a new one.
#[derive(Clone, Debug, Default)]
pub struct Scheme {
    rows: Vec<Arc<Resource>>,
    by_name: HashMap<GroupVersionResource, Arc<Resource>>,
    by_kind: HashMap<GroupVersionKind, Arc<Resource>>,
}

impl Scheme {
    /// The resources that are built in, in upstream's order of groups.
    pub fn builtin() -> Scheme {
        Scheme::from_rows(builtin::rows())
    }

    /// A table of these rows, in this order of preference.
    pub fn from_rows(rows: impl IntoIterator<Item = Resource>) -> Scheme {
        let mut scheme = Scheme::default();
        for row in rows {
            scheme.insert(row);
        }
        scheme
    }

    /// Adds a row, or replaces the one of the same name.
    pub fn insert(&mut self, row: Resource) {
        let row = Arc::new(row);
        match self.rows.iter_mut().find(|r| r.gvr() == row.gvr()) {
            Some(place) => *place = row.clone(),
            None => self.rows.push(row.clone()),
        }
        self.by_name.insert(row.gvr(), row.clone());
        self.by_kind.insert(row.gvk(), row);
    }

    /// The resource of that name.
    pub fn get(&self, name: &GroupVersionResource) -> Option<&Arc<Resource>> {
        self.by_name.get(name)
    }

    /// The resource of that group, version and plural.
    pub fn lookup(&self, group: &str, version: &str, plural: &str) -> Option<&Arc<Resource>> {
        self.by_name
            .get(&GroupVersionResource::from_parts(group, version, plural))
    }

    /// The resource whose objects have that kind.
    pub fn by_kind(&self, group: &str, version: &str, kind: &str) -> Option<&Arc<Resource>> {
        self.by_kind.get(&GroupVersionKind {
            group: Cow::Owned(group.to_owned()),
            version: Cow::Owned(version.to_owned()),
            kind: Cow::Owned(kind.to_owned()),
        })
    }

    /// The resource whose objects have that `apiVersion` and `kind`.
    pub fn by_api_version_kind(&self, api_version: &str, kind: &str) -> Option<&Arc<Resource>> {
        let (group, version) = split_api_version(api_version);
        self.by_kind(group, version, kind)
    }

    /// The resource whose form the objects of `resource` are stored in; often itself.
    pub fn stored_form<'a>(&'a self, resource: &'a Arc<Resource>) -> &'a Arc<Resource> {
        if resource.is_stored_form() {
            return resource;
        }
        self.lookup(
            &resource.storage_group,
            &resource.storage_version,
            &resource.plural,
        )
        .unwrap_or(resource)
    }

    /// The resource that stores objects under `key`.
    pub fn by_key<'k>(&self, key: &'k str) -> Option<(&Arc<Resource>, &'k str, &'k str)> {
        self.rows
            .iter()
            .filter(|row| row.is_stored_form())
            .find_map(|row| row.parse_key(key).map(|(ns, name)| (row, ns, name)))
    }

    /// All resources, in order of preference.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Resource>> {
        self.rows.iter()
    }

    /// The resource that a person means by `name`: plural, singular, short name or kind in any
    /// case, with an optional `.group` or `.version.group`.
    pub fn find(&self, name: &str) -> Option<&Arc<Resource>> {
        let wanted = name.to_ascii_lowercase();
        self.rows.iter().find(|row| {
            let mut names = vec![&*row.plural, &*row.singular];
            names.extend(row.short_names.iter().map(|s| &**s));
            let kind = row.kind.to_ascii_lowercase();
            names.push(&kind);
            names.iter().any(|n| match wanted.strip_prefix(n) {
                Some("") => true,
                Some(rest) => rest.strip_prefix('.').is_some_and(|rest| {
                    rest == row.group
                        || rest == format!("{}.{}", row.version, row.group)
                        || (row.group.is_empty() && rest == row.version)
                }),
                None => false,
            })
        })
    }

    /// The groups with their versions, in order of preference.
    pub fn groups(&self) -> Vec<(&str, Vec<&str>)> {
        let mut groups: Vec<(&str, Vec<&str>)> = Vec::new();
        for row in &self.rows {
            match groups.iter_mut().find(|(group, _)| *group == row.group) {
                Some((_, versions)) => {
                    if !versions.contains(&&*row.version) {
                        versions.push(&row.version);
                    }
                }
                None => groups.push((&row.group, vec![&row.version])),
            }
        }
        groups
    }
}
