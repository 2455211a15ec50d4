//! The Node object.

use ferrule_apimachinery::Header;
use ferrule_client::Projection;
use serde::Deserialize;

use crate::objects::NodeFacts;

/// The label that names a node's zone.
const ZONE: &str = "topology.kubernetes.io/zone";
/// The taint that the cluster autoscaler sets before it deletes a node.
const TO_BE_DELETED: &str = "ToBeDeletedByClusterAutoscaler";

#[derive(Deserialize)]
struct Object {
    #[serde(default)]
    metadata: Metadata,
    #[serde(default)]
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Metadata {
    deletion_timestamp: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Spec {
    taints: Vec<Taint>,
}

#[derive(Deserialize)]
struct Taint {
    key: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    addresses: Vec<Address>,
}

#[derive(Deserialize)]
struct Address {
    #[serde(rename = "type")]
    kind: String,
    address: String,
}

impl Projection for NodeFacts {
    fn project(header: &Header, json: &[u8]) -> Result<Self, serde_json::Error> {
        let object: Object = serde_json::from_slice(json)?;
        let zone = header.labels.get(ZONE).unwrap_or_default().to_owned();
        Ok(Self::of(object, zone))
    }
}

impl NodeFacts {
    fn of(object: Object, zone: String) -> Self {
        let mut addresses = object.status.addresses.iter();
        let doomed = object.spec.taints.iter().any(|t| t.key == TO_BE_DELETED);
        Self {
            address: addresses
                .find_map(|a| (a.kind == "InternalIP").then(|| a.address.parse().ok())?),
            zone,
            eligible: object.metadata.deletion_timestamp.is_none() && !doomed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_node_that_is_about_to_go_is_not_eligible() {
        for (object, eligible) in [
            (json!({}), true),
            (
                json!({ "spec": { "taints": [{ "key": "other", "effect": "NoSchedule" }] } }),
                true,
            ),
            (
                json!({ "spec": { "taints": [{ "key": TO_BE_DELETED, "effect": "NoSchedule" }] } }),
                false,
            ),
            (
                json!({ "metadata": { "deletionTimestamp": "2026-01-01T00:00:00Z" } }),
                false,
            ),
        ] {
            let facts = NodeFacts::of(serde_json::from_value(object).unwrap(), String::new());
            assert_eq!(facts.eligible, eligible);
        }
    }

    #[test]
    fn the_internal_address_counts() {
        let object = json!({ "status": { "addresses": [
            { "type": "Hostname", "address": "node1" },
            { "type": "InternalIP", "address": "fd00::1" },
            { "type": "InternalIP", "address": "172.30.0.11" },
        ] } });
        let facts = NodeFacts::of(serde_json::from_value(object).unwrap(), "a".to_owned());
        assert_eq!(facts.address, "172.30.0.11".parse().ok());
    }
}
