//! The metadata that controllers plan with.

use std::collections::BTreeMap;

use ferrule_client::{Key, ObjectReference};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Labels or annotations.
pub type Map = BTreeMap<String, String>;

/// An object's metadata, as far as controllers look at it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Meta {
    /// The name.
    pub name: String,
    /// `""` for cluster-scoped objects.
    pub namespace: String,
    /// The uid.
    pub uid: String,
    /// The resourceVersion that the object was observed at.
    pub resource_version: String,
    /// Counts changes of the spec.
    pub generation: i64,
    /// When it was created.
    pub creation_timestamp: Option<Timestamp>,
    /// Set when it is being deleted.
    pub deletion_timestamp: Option<Timestamp>,
    /// Its labels.
    pub labels: Map,
    /// Its owners.
    pub owner_references: Vec<OwnerReference>,
}

/// A kind that has metadata.
pub trait HasMeta: Send + Sync + 'static {
    /// What every object has.
    fn meta(&self) -> &Meta;
}

/// An owner of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OwnerReference {
    /// `apps/v1`.
    pub api_version: String,
    /// `ReplicaSet`.
    pub kind: String,
    /// The owner's name.
    pub name: String,
    /// The owner's uid.
    pub uid: String,
    /// Whether the owner manages the object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub controller: Option<bool>,
    /// Whether the owner's foreground deletion waits for the object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub block_owner_deletion: Option<bool>,
}

impl OwnerReference {
    /// The reference by which a controller marks what it manages.
    pub fn controller(api_version: &str, kind: &str, owner: &Meta) -> OwnerReference {
        OwnerReference {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            name: owner.name.clone(),
            uid: owner.uid.clone(),
            controller: Some(true),
            block_owner_deletion: Some(true),
        }
    }
}

impl Meta {
    /// The key of the object.
    pub fn key(&self) -> Key {
        Key::new(self.namespace.as_str(), self.name.as_str())
    }

    /// The owner that manages the object.
    pub fn controller(&self) -> Option<&OwnerReference> {
        self.owner_references
            .iter()
            .find(|owner| owner.controller == Some(true))
    }

    /// Whether `uid` manages the object.
    pub fn is_controlled_by(&self, uid: &str) -> bool {
        self.controller().is_some_and(|owner| owner.uid == uid)
    }

    /// Whether the object is being deleted.
    pub fn is_deleting(&self) -> bool {
        self.deletion_timestamp.is_some()
    }

    /// The reference for events about the object.
    pub fn reference(&self, api_version: &str, kind: &str) -> ObjectReference {
        ObjectReference {
            kind: kind.to_owned(),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            uid: self.uid.clone(),
            api_version: api_version.to_owned(),
            resource_version: self.resource_version.clone(),
            ..ObjectReference::default()
        }
    }
}

/// A time as Kubernetes writes it: RFC 3339 in whole seconds.
pub fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The present time in whole seconds, as Kubernetes keeps times.
pub fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}

/// `null`, which removes a field in a merge patch, in place of zero.
pub fn unless_zero(number: i64) -> Value {
    if number == 0 {
        Value::Null
    } else {
        json!(number)
    }
}

/// What a merge patch must hold to turn `from` into `to`: new values, and `null` for what goes.
pub fn map_patch(from: &Map, to: &Map) -> serde_json::Map<String, Value> {
    let changed = to
        .iter()
        .filter(|(key, value)| from.get(*key) != Some(value));
    let gone = from.keys().filter(|key| !to.contains_key(*key));
    changed
        .map(|(key, value)| (key.clone(), json!(value)))
        .chain(gone.map(|key| (key.clone(), Value::Null)))
        .collect()
}
