//! An object on its way through the folders.

use std::fmt;
use std::sync::OnceLock;

use ferrule_apimachinery::scheme::{Scheme, split_api_version};
use serde_json::{Value, json};

/// Kinds that come first, in this order.
const FIRST: [&str; 22] = [
    "Namespace",
    "ResourceQuota",
    "StorageClass",
    "CustomResourceDefinition",
    "ServiceAccount",
    "PodSecurityPolicy",
    "Role",
    "ClusterRole",
    "RoleBinding",
    "ClusterRoleBinding",
    "ConfigMap",
    "Secret",
    "Endpoints",
    "Service",
    "LimitRange",
    "PriorityClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "Deployment",
    "StatefulSet",
    "CronJob",
    "PodDisruptionBudget",
];
/// Kinds that come last.
const LAST: [&str; 2] = [
    "MutatingWebhookConfiguration",
    "ValidatingWebhookConfiguration",
];

/// A name and a namespace that an object had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The name.
    pub name: String,
    /// The namespace, or `""`.
    pub namespace: String,
}

/// An object, and what it was called before.
#[derive(Clone, Debug)]
pub struct Resource {
    /// The object.
    pub object: Value,
    /// Its names before, the oldest first.
    pub before: Vec<Place>,
    /// What was put in front of its name and behind it, layer by layer.
    pub affixes: Vec<(String, String)>,
    /// Its name ends with a hash of its content.
    pub hashed: bool,
}

/// `Deployment.v1.apps/web.prod`
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Id {
    group: String,
    version: String,
    kind: String,
    name: String,
    namespace: String,
}

impl Id {
    /// The id of an object.
    pub fn of(object: &Value) -> Id {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let api_version = text(&object["apiVersion"]);
        let (group, version) = split_api_version(&api_version);
        Id {
            group: group.to_owned(),
            version: version.to_owned(),
            kind: text(&object["kind"]),
            name: text(&object["metadata"]["name"]),
            namespace: text(&object["metadata"]["namespace"]),
        }
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or = |text: &'static str, own: &str| match own {
            "" => text.to_owned(),
            own => own.to_owned(),
        };
        write!(
            f,
            "{}.{}.{}/{}.{}",
            self.kind,
            or("[noVer]", &self.version),
            or("[noGrp]", &self.group),
            self.name,
            or("[noNs]", &self.namespace)
        )
    }
}

impl Resource {
    /// An object as it comes from a file.
    pub fn new(object: Value) -> Result<Resource, String> {
        let text = |value: &Value| value.as_str().unwrap_or_default().is_empty();
        if text(&object["kind"]) {
            return Err("missing Resource metadata: kind is not set".to_owned());
        }
        if text(&object["metadata"]["name"]) && text(&object["metadata"]["generateName"]) {
            return Err(format!("missing metadata.name in object {object}"));
        }
        Ok(Resource {
            object,
            before: Vec::new(),
            affixes: Vec::new(),
            hashed: false,
        })
    }

    /// Its kind.
    pub fn kind(&self) -> &str {
        self.object["kind"].as_str().unwrap_or_default()
    }

    /// Its API group.
    pub fn group(&self) -> &str {
        split_api_version(self.object["apiVersion"].as_str().unwrap_or_default()).0
    }

    /// Its API version.
    pub fn version(&self) -> &str {
        split_api_version(self.object["apiVersion"].as_str().unwrap_or_default()).1
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.object["metadata"]["name"].as_str().unwrap_or_default()
    }

    /// Its namespace, or `""`.
    pub fn namespace(&self) -> &str {
        self.object["metadata"]["namespace"]
            .as_str()
            .unwrap_or_default()
    }

    /// Its id, as it is now.
    pub fn id(&self) -> Id {
        Id::of(&self.object)
    }

    /// Its name and namespace now and before.
    pub fn places(&self) -> Vec<Place> {
        let now = Place {
            name: self.name().to_owned(),
            namespace: self.namespace().to_owned(),
        };
        self.before.iter().cloned().chain([now]).collect()
    }

    fn remember(&mut self) {
        let now = Place {
            name: self.name().to_owned(),
            namespace: self.namespace().to_owned(),
        };
        if self.before.last() != Some(&now) {
            self.before.push(now);
        }
    }

    /// Gives it another name.
    pub fn rename(&mut self, name: &str) {
        self.remember();
        self.object["metadata"]["name"] = json!(name);
    }

    /// Puts it into another namespace.
    pub fn replace_namespace(&mut self, namespace: &str) {
        self.remember();
        self.object["metadata"]["namespace"] = json!(namespace);
    }

    /// Whether it lies in a namespace; unknown kinds do.
    pub fn is_namespaced(&self) -> bool {
        let api_version = self.object["apiVersion"].as_str().unwrap_or_default();
        static SCHEME: OnceLock<Scheme> = OnceLock::new();
        let scheme = SCHEME.get_or_init(Scheme::builtin);
        let known = scheme.by_api_version_kind(api_version, self.kind());
        known.is_none_or(|resource| resource.namespaced)
    }

    /// Where it stands among the others.
    pub fn order(&self) -> (i32, Id) {
        let kind = self.kind();
        let place = |list: &[&str]| list.iter().position(|own| *own == kind);
        let rank = match (place(&FIRST), place(&LAST)) {
            (Some(place), _) => i32::try_from(place).unwrap_or(0) - 1000,
            (None, Some(place)) => i32::try_from(place).unwrap_or(0) + 1000,
            (None, None) => 0,
        };
        (rank, self.id())
    }
}
