//! The table's sets and maps, and their elements as bytes.

use std::net::{Ipv4Addr, SocketAddrV4};

use ferrule_netlink::nftables::{
    Element, Given, Gives, Holds, Part, Set, Type, Verdict, concatenate,
};

use crate::affinity::Remembered;
use crate::objects::Protocol;
use crate::program::rules::{REJECT, UNSERVED};
use crate::ruleset::{Key, NodePortKey, ServiceKey, Target, Value};

const SERVICE: Type = Type(&[Part::Address, Part::Protocol, Part::Port]);
const ENDPOINT: Type = Type(&[Part::Address, Part::Port]);
/// Clients and frontends that are remembered at most.
const REMEMBERED: u32 = 1 << 18;

pub(super) const CLUSTER_IPS: Set = set("cluster-ips", Type(&[Part::Address]), Gives::Nothing);
pub(super) const EXTERNAL_IPS: Set = set("external-ips", Type(&[Part::Address]), Gives::Nothing);
pub(super) const HAIRPINS: Set = set(
    "hairpins",
    Type(&[Part::Address, Part::Address]),
    Gives::Nothing,
);
pub(super) const SERVICE_IPS: Set = set("service-ips", SERVICE, Gives::Verdict);
pub(super) const NODE_PORTS: Set = set(
    "service-node-ports",
    Type(&[Part::Protocol, Part::Port]),
    Gives::Verdict,
);
pub(super) const ENDPOINTS: Set = set(
    "endpoints",
    Type(&[Part::Address, Part::Protocol, Part::Port, Part::Number]),
    Gives::Value(ENDPOINT),
);
pub(super) const NODE_PORT_ENDPOINTS: Set = set(
    "node-port-endpoints",
    Type(&[Part::Protocol, Part::Port, Part::Number]),
    Gives::Value(ENDPOINT),
);
pub(super) const AFFINITY: Set = Set {
    name: "affinity",
    key: Type(&[Part::Address, Part::Address, Part::Protocol, Part::Port]),
    gives: Gives::Value(ENDPOINT),
    holds: Holds::Remembered(REMEMBERED),
};
pub(super) const NODE_PORT_AFFINITY: Set = Set {
    name: "node-port-affinity",
    key: Type(&[Part::Address, Part::Protocol, Part::Port]),
    gives: Gives::Value(ENDPOINT),
    holds: Holds::Remembered(REMEMBERED),
};
pub(super) const STICKY_IPS: Set = set("sticky-ips", SERVICE, Gives::Verdict);
pub(super) const STICKY_NODE_PORTS: Set = set(
    "sticky-node-ports",
    Type(&[Part::Protocol, Part::Port]),
    Gives::Verdict,
);
pub(super) const ALLOWED_SOURCES: Set = Set {
    name: "allowed-sources",
    key: Type(&[Part::Address, Part::Protocol, Part::Port, Part::Address]),
    gives: Gives::Nothing,
    holds: Holds::Ranges,
};
pub(super) const SETS: [Set; 12] = [
    CLUSTER_IPS,
    EXTERNAL_IPS,
    HAIRPINS,
    SERVICE_IPS,
    NODE_PORTS,
    ENDPOINTS,
    NODE_PORT_ENDPOINTS,
    AFFINITY,
    NODE_PORT_AFFINITY,
    STICKY_IPS,
    STICKY_NODE_PORTS,
    ALLOWED_SOURCES,
];

const fn set(name: &'static str, key: Type, gives: Gives) -> Set {
    Set {
        name,
        key,
        gives,
        holds: Holds::Keys,
    }
}

/// The name of the set that an element is in.
pub(super) fn set_of(key: &Key) -> &'static str {
    match key {
        Key::ClusterIp(_) => CLUSTER_IPS.name,
        Key::ExternalIp(_) => EXTERNAL_IPS.name,
        Key::Hairpin(_) => HAIRPINS.name,
        Key::StickyIp(_) => STICKY_IPS.name,
        Key::StickyNodePort(_) => STICKY_NODE_PORTS.name,
        Key::ServiceIp(_) => SERVICE_IPS.name,
        Key::NodePort(_) => NODE_PORTS.name,
        Key::Endpoint(..) => ENDPOINTS.name,
        Key::NodePortEndpoint(..) => NODE_PORT_ENDPOINTS.name,
        Key::AllowedSource(..) => ALLOWED_SOURCES.name,
    }
}

/// An element as the kernel gets it.
pub(super) fn element(key: &Key, value: &Value) -> Element {
    let (given, comment) = match value {
        Value::Member => (Given::Nothing, ""),
        Value::Frontend(target, owner) => (Given::Verdict(verdict(key, *target)), &**owner),
        Value::Memory(memory) => (Given::Verdict(Verdict::Goto(memory.chain())), ""),
        Value::Endpoint(endpoint) => (Given::Value(endpoint_bytes(endpoint)), ""),
    };
    let mut element = Element::new(key_bytes(key), given).comment(comment);
    if let Key::AllowedSource(service, range) = key {
        element.end = Some(source_bytes(service, range.last()));
    }
    element
}

fn verdict(key: &Key, target: Target) -> Verdict {
    match (target, key) {
        (Target::Spread(spread), _) => Verdict::Goto(spread.chain()),
        (Target::Drop, _) => Verdict::Drop,
        (Target::Reject, Key::ServiceIp(_)) => Verdict::Goto(UNSERVED.to_owned()),
        (Target::Reject, _) => Verdict::Goto(REJECT.to_owned()),
    }
}

fn key_bytes(key: &Key) -> Vec<u8> {
    match key {
        Key::ClusterIp(address) | Key::ExternalIp(address) => address.octets().to_vec(),
        Key::Hairpin(address) => [address.octets(), address.octets()].concat(),
        Key::ServiceIp(service) | Key::StickyIp(service) => service_bytes(service),
        Key::NodePort(port) | Key::StickyNodePort(port) => node_port_bytes(port),
        Key::Endpoint(service, number) => {
            concatenate(&[&service_bytes(service), &number.to_ne_bytes()])
        }
        Key::NodePortEndpoint(port, number) => {
            concatenate(&[&node_port_bytes(port), &number.to_ne_bytes()])
        }
        Key::AllowedSource(service, range) => source_bytes(service, range.base),
    }
}

fn service_bytes((address, protocol, port): &ServiceKey) -> Vec<u8> {
    concatenate(&[&address.octets(), &[protocol.number()], &port.to_be_bytes()])
}

fn endpoint_bytes(endpoint: &SocketAddrV4) -> Vec<u8> {
    concatenate(&[&endpoint.ip().octets(), &endpoint.port().to_be_bytes()])
}

fn node_port_bytes((protocol, port): &NodePortKey) -> Vec<u8> {
    concatenate(&[&[protocol.number()], &port.to_be_bytes()])
}

fn source_bytes(service: &ServiceKey, address: Ipv4Addr) -> Vec<u8> {
    concatenate(&[&service_bytes(service), &address.octets()])
}

/// What packets have remembered in one of the maps for that.
pub(super) fn remembered(map: Set, element: &Element) -> Option<Remembered> {
    let address = |bytes: &[u8], at: usize| -> Option<Ipv4Addr> {
        Some(<[u8; 4]>::try_from(bytes.get(at..at + 4)?).ok()?.into())
    };
    let port = |bytes: &[u8], at: usize| -> Option<u16> {
        Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
    };
    let Given::Value(endpoint) = &element.given else {
        return None;
    };
    let key = &element.key;
    let protocol = |at: usize| Protocol::of_number(*key.get(at)?);
    let frontend = match map == AFFINITY {
        true => Key::ServiceIp((address(key, 4)?, protocol(8)?, port(key, 12)?)),
        false => Key::NodePort((protocol(4)?, port(key, 8)?)),
    };
    Some(Remembered {
        client: address(key, 0)?,
        frontend,
        endpoint: SocketAddrV4::new(address(endpoint, 0)?, port(endpoint, 4)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_packets_remembered_is_read_as_it_is_written() {
        let client = Ipv4Addr::new(172, 30, 0, 1);
        let endpoint: SocketAddrV4 = "10.244.1.2:8080".parse().unwrap();
        let service = (Ipv4Addr::new(10, 96, 0, 9), Protocol::Tcp, 80);
        let node_port = (Protocol::Udp, 30000);
        for (map, frontend, bytes) in [
            (AFFINITY, Key::ServiceIp(service), service_bytes(&service)),
            (
                NODE_PORT_AFFINITY,
                Key::NodePort(node_port),
                node_port_bytes(&node_port),
            ),
        ] {
            let key = concatenate(&[&client.octets(), &bytes]);
            let element = Element::new(key, Given::Value(endpoint_bytes(&endpoint)));
            let expected = Remembered {
                client,
                frontend,
                endpoint,
            };
            assert_eq!(remembered(map, &element), Some(expected));
            assert_eq!(
                remembered(map, &Element::new(vec![1], Given::Nothing)),
                None
            );
        }
    }
}
