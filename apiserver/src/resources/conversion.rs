//! Several versions of one kind: how an object of one is written in the other.
//!
//! One version is stored, the one that the scheme says; rules, tables and selectors see only that one. What
//! a client of another version sends is converted right after decoding, what it is shown is converted
//! last; see [`crate::verbs`]. Both ways go from tree to tree and leave the metadata alone; `apiVersion` and `kind`,
//! and what the schema writes of empty values, are set by the caller.

use ferrule_apimachinery::scheme::Resource;
use serde_json::Value;

/// Between a version of a kind and the one that is stored.
pub trait Conversion: Send + Sync {
    /// An object of this version in the stored one, with this version's own defaults.
    fn to_stored(&self, object: Value) -> Value;

    /// A stored object in this version.
    #[allow(
        clippy::wrong_self_convention,
        reason = "the receiver is the conversion, not what is converted"
    )]
    fn from_stored(&self, object: Value) -> Value;
}

/// How a resource's version is converted; `None` when it is the stored one.
pub fn conversion_for(resource: &Resource) -> Option<&'static dyn Conversion> {
    if resource.is_stored_form() {
        return None;
    }
    match (resource.api_version().as_str(), resource.kind.as_ref()) {
        ("autoscaling/v1", "HorizontalPodAutoscaler") => Some(&super::autoscaling::V1),
        (super::event_v1::API_VERSION, "Event") => Some(&super::event_v1::V1),
        _ => Some(&Identical),
    }
}

/// Two versions with the same fields.
struct Identical;

impl Conversion for Identical {
    fn to_stored(&self, object: Value) -> Value {
        object
    }

    fn from_stored(&self, object: Value) -> Value {
        object
    }
}
