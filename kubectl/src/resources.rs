//! Resources by the names that people use: `po`, `deploy/web`, `deployments.apps`.

use std::sync::OnceLock;

use ferrule_apimachinery::scheme::{GroupVersionResource, Scheme, split_api_version};
use ferrule_client::At;
use ferrule_proto::v1::ApiResource;
use serde_json::Value;

use crate::error::{Error, Result};

/// What the server serves.
pub struct Resources(Vec<ApiResource>);

/// Objects that the command line names.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// Their resource.
    pub resource: ApiResource,
    /// Their names; none means all.
    pub names: Vec<String>,
}

impl Resources {
    /// In the server's order of preference.
    pub fn new(resources: Vec<ApiResource>) -> Resources {
        Resources(resources)
    }

    /// All of them.
    pub fn all(&self) -> &[ApiResource] {
        &self.0
    }

    /// The resource that a name means: plural, singular, short name or kind, perhaps with its
    /// version and group after dots.
    pub fn find(&self, text: &str) -> Result<&ApiResource> {
        let (name, rest) = match text.split_once('.') {
            Some((name, rest)) => (name, Some(rest)),
            None => (text, None),
        };
        let lower = name.to_lowercase();
        let named = |resource: &&ApiResource| {
            resource.name == lower
                || resource.singular_name == lower
                || resource.kind.to_lowercase() == lower
                || resource.short_names.iter().any(|short| short == name)
        };
        let in_group = |resource: &&ApiResource| match rest {
            None => true,
            Some(rest) => {
                resource.group == rest || format!("{}.{}", resource.version, resource.group) == rest
            }
        };
        let found = self.0.iter().filter(in_group).find(named);
        found.ok_or_else(|| {
            Error::local(format!("the server doesn't have a resource type {name:?}"))
        })
    }

    /// The resources of one or several names, separated by commas; a category is all of its.
    pub fn find_all(&self, text: &str) -> Result<Vec<&ApiResource>> {
        let mut found = Vec::new();
        for name in text.split(',') {
            let category: Vec<&ApiResource> = self
                .0
                .iter()
                .filter(|resource| resource.categories.iter().any(|own| own == name))
                .collect();
            if category.is_empty() {
                found.push(self.find(name)?);
            } else {
                found.extend(category);
            }
        }
        Ok(found)
    }

    /// The resource of an object's apiVersion and kind.
    pub fn of_kind(&self, api_version: &str, kind: &str) -> Option<&ApiResource> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        self.0
            .iter()
            .find(|own| own.group == group && own.version == version && own.kind == kind)
    }

    /// What the words after a verb name: `pods`, `pods a b`, `pod/a svc/b`, `pods,svc`.
    pub fn targets(&self, words: &[String]) -> Result<Vec<Target>> {
        let Some(first) = words.first() else {
            return Ok(Vec::new());
        };
        if words.iter().any(|word| word.contains('/')) {
            return words.iter().map(|word| self.slashed(word)).collect();
        }
        let names = words[1..].to_vec();
        if names.iter().any(String::is_empty) {
            return Err(Error::local("resource name may not be empty"));
        }
        if words.len() > 1 && first.split(',').any(str::is_empty) {
            return Err(Error::local(
                "arguments in resource/name form must have a single resource and name",
            ));
        }
        let resources = self.find_all(first)?;
        Ok(resources
            .into_iter()
            .map(|resource| Target {
                resource: resource.clone(),
                names: names.clone(),
            })
            .collect())
    }

    fn slashed(&self, word: &str) -> Result<Target> {
        match word.split_once('/') {
            None => Err(Error::local(
                "there is no need to specify a resource type as a separate argument when passing arguments in \
                 resource/name form (e.g. 'kubectl get resource/<resource_name>' instead of 'kubectl get resource \
                 resource/<resource_name>'",
            )),
            Some((_, name)) if name.contains('/') => Err(Error::local(
                "arguments in resource/name form may not have more than one slash",
            )),
            Some((resource, name)) if resource.is_empty() || name.is_empty() => Err(Error::local(
                "arguments in resource/name form must have a single resource and name",
            )),
            Some((resource, name)) => Ok(Target {
                resource: self.find(resource)?.clone(),
                names: vec![name.to_owned()],
            }),
        }
    }
}

/// The resource of an object as far as it is known without a server.
pub fn offline(object: &Value) -> ApiResource {
    static SCHEME: OnceLock<Scheme> = OnceLock::new();
    let text = |field: &str| object[field].as_str().unwrap_or_default();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    let scheme = SCHEME.get_or_init(Scheme::builtin);
    let known = scheme.by_api_version_kind(api_version, kind);
    let (group, version) = split_api_version(api_version);
    let lower = kind.to_lowercase();
    ApiResource {
        group: group.to_owned(),
        version: version.to_owned(),
        name: known.map_or_else(|| format!("{lower}s"), |own| own.plural.to_string()),
        singular_name: known.map_or_else(|| lower.clone(), |own| own.singular.to_string()),
        kind: kind.to_owned(),
        namespaced: known.is_none_or(|own| own.namespaced),
        ..ApiResource::default()
    }
}

/// Where the objects of a resource are.
pub fn at(resource: &ApiResource, namespace: &str) -> At {
    let gvr = GroupVersionResource::from_parts(&resource.group, &resource.version, &resource.name);
    if resource.namespaced {
        At::of(gvr).namespace(namespace)
    } else {
        At::of(gvr)
    }
}

/// `apps/v1, Resource=deployments`, as Go prints it.
pub fn long_name(resource: &ApiResource) -> String {
    format!("{}, Resource={}", group_version(resource), resource.name)
}

/// `apps/v1, Kind=Deployment`.
pub fn long_kind(resource: &ApiResource) -> String {
    format!("{}, Kind={}", group_version(resource), resource.kind)
}

/// `Deployment.apps`.
pub fn group_kind(resource: &ApiResource) -> String {
    qualified(&resource.kind, resource)
}

/// `apps/v1`, or `/v1` for the core group.
fn group_version(resource: &ApiResource) -> String {
    format!("{}/{}", resource.group, resource.version)
}

/// `deployment.apps`, as messages about objects name it.
pub fn singular(resource: &ApiResource) -> String {
    qualified(&resource.singular_name, resource)
}

/// `deployments.apps`.
pub fn plural(resource: &ApiResource) -> String {
    qualified(&resource.name, resource)
}

fn qualified(name: &str, resource: &ApiResource) -> String {
    if resource.group.is_empty() {
        name.to_owned()
    } else {
        format!("{name}.{}", resource.group)
    }
}

/// `apps/v1`.
pub fn api_version(resource: &ApiResource) -> String {
    if resource.group.is_empty() {
        resource.version.clone()
    } else {
        format!("{}/{}", resource.group, resource.version)
    }
}
