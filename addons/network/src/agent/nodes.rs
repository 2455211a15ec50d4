//! What the agent needs of a Node, and what it says there about itself.
//!
//! ```text
//! metadata.annotations:
//!   network.ferrule.dev/backend-type: vxlan
//!   network.ferrule.dev/backend-data: '{"VNI":1,"VtepMAC":"0a:58:0a:f4:01:00"}'
//!   network.ferrule.dev/public-ip: 172.30.0.11
//! ```

use std::net::Ipv4Addr;

use ferrule_apimachinery::Header;
use ferrule_client::Projection;
use ferrule_netlink::route::Mac;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::cidr::Cidr;

const BACKEND_TYPE: &str = "network.ferrule.dev/backend-type";
const BACKEND_DATA: &str = "network.ferrule.dev/backend-data";
const PUBLIC_IP: &str = "network.ferrule.dev/public-ip";
const VXLAN: &str = "vxlan";

/// A node's place in the network.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NodeNetwork {
    /// Its pods' addresses, once they are assigned.
    pub pod_cidr: Option<Cidr>,
    /// Its own address, once its kubelet has told it.
    pub address: Option<Ipv4Addr>,
    /// Its end of the tunnel, if it has one.
    pub tunnel: Option<TunnelEnd>,
}

/// A node's end of the tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TunnelEnd {
    /// The network's number.
    pub id: u32,
    /// The hardware address of the tunnel's interface.
    pub mac: Mac,
    /// Where encapsulated packets go to.
    pub address: Ipv4Addr,
}

impl TunnelEnd {
    /// The patch of the Node that says this, or that there is no such end any more.
    pub fn patch(end: Option<TunnelEnd>) -> Value {
        let (kind, data, address) = match end {
            Some(end) => (
                json!(VXLAN),
                json!(json!({ "VNI": end.id, "VtepMAC": end.mac.to_string() }).to_string()),
                json!(end.address.to_string()),
            ),
            None => (Value::Null, Value::Null, Value::Null),
        };
        json!({ "metadata": { "annotations": {
            BACKEND_TYPE: kind, BACKEND_DATA: data, PUBLIC_IP: address,
        } } })
    }

    fn of(annotations: &Annotations) -> Option<Self> {
        let Annotations {
            kind,
            data,
            address,
        } = annotations;
        let data: Data = serde_json::from_str(data.as_deref()?).ok()?;
        (kind.as_deref()? == VXLAN).then_some(())?;
        Some(Self {
            id: data.id,
            mac: data.mac.parse().ok()?,
            address: address.as_deref()?.parse().ok()?,
        })
    }
}

#[derive(Deserialize)]
struct Data {
    #[serde(rename = "VNI")]
    id: u32,
    #[serde(rename = "VtepMAC")]
    mac: String,
}

#[derive(Deserialize)]
struct Node {
    #[serde(default)]
    metadata: Metadata,
    #[serde(default)]
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Default, Deserialize)]
struct Metadata {
    #[serde(default)]
    annotations: Annotations,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Annotations {
    #[serde(rename = "network.ferrule.dev/backend-type")]
    kind: Option<String>,
    #[serde(rename = "network.ferrule.dev/backend-data")]
    data: Option<String>,
    #[serde(rename = "network.ferrule.dev/public-ip")]
    address: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    #[serde(default, rename = "podCIDR")]
    pod_cidr: String,
}

#[derive(Default, Deserialize)]
struct Status {
    #[serde(default)]
    addresses: Vec<Address>,
}

#[derive(Deserialize)]
struct Address {
    #[serde(rename = "type")]
    kind: String,
    address: String,
}

impl Projection for NodeNetwork {
    fn project(_: &Header, json: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(json).map(Self::of)
    }
}

impl NodeNetwork {
    fn of(node: Node) -> Self {
        let mut addresses = node.status.addresses.iter();
        Self {
            // A pod CIDR of another family counts as none.
            pod_cidr: node.spec.pod_cidr.parse().ok(),
            address: addresses
                .find_map(|a| (a.kind == "InternalIP").then(|| a.address.parse().ok())?),
            tunnel: TunnelEnd::of(&node.metadata.annotations),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_node_says_of_its_tunnel_is_read_by_the_others() {
        let end = TunnelEnd {
            id: 1,
            mac: Mac::of([10, 244, 1, 0].into()),
            address: [172, 30, 0, 11].into(),
        };
        let read = |object: Value| NodeNetwork::of(serde_json::from_value(object).unwrap()).tunnel;
        let mut object = TunnelEnd::patch(Some(end));
        assert_eq!(read(object.clone()), Some(end));
        object["metadata"]["annotations"][BACKEND_TYPE] = json!("other");
        assert_eq!(read(object), None);
        assert_eq!(
            read(json!({ "metadata": { "annotations": { BACKEND_DATA: "{" } } })),
            None
        );
        let gone = TunnelEnd::patch(None);
        assert!(gone["metadata"]["annotations"][PUBLIC_IP].is_null());
    }
}
