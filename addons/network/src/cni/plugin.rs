//! The commands ADD, DEL and CHECK.
//!
//! ```text
//!   pod's namespace                     node's namespace
//!   eth0 10.244.1.5/24  <--- veth --->  veth0c1f… -- port of cni0 10.244.1.1/24
//!        10.244.1.1 dev eth0 (link)
//!        default via 10.244.1.1
//! ```
//!
//! The pod's network gets no route on the link: even a neighbour is reached through the node, so connection tracking sees
//! the answers of a pod that a service led to.

use std::fs::File;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;

use ferrule_netlink::route::{Address, Connection, Kind, Link, Mac, Route, Scope, Veth};
use serde_json::json;

use crate::agent::guard;
use crate::bridge;
use crate::cni::answer::{self, Code, Failure};
use crate::cni::config::{Call, Configuration};
use crate::cni::reservation::{Reservations, host_interface};

/// `RTPROT_BOOT`: routes made by a script or program that says nothing else.
const BOOT: u8 = 3;

/// Runs the command of a call and returns what goes to standard output.
pub fn run(call: &Call, input: &[u8]) -> Result<String, Failure> {
    match call.command.as_str() {
        "VERSION" => Ok(answer::versions()),
        "ADD" => add(call, &Configuration::decode(input)?),
        "DEL" => delete(call, &Configuration::decode(input)?),
        "CHECK" => check(call, &Configuration::decode(input)?),
        other => Err(Failure::environment("CNI_COMMAND", other)),
    }
}

fn add(call: &Call, configuration: &Configuration) -> Result<String, Failure> {
    call.validate()?;
    let namespace = open_namespace(call)?;
    let address = lock(configuration)?
        .reserve(
            configuration.pod_cidr,
            &call.container,
            &call.interface,
            &call.namespace,
        )
        .map_err(|error| Failure::new(Code::InputOutput, "failed to reserve an address", error))?
        .ok_or_else(|| {
            Failure::new(
                Code::NoAddress,
                "no address is free",
                format!("all addresses of {} are taken", configuration.pod_cidr),
            )
        })?;
    // Packets to addresses of no pod are refused: this one is a pod's now.
    guard::add_pod(address)?;
    match connect(call, configuration, &namespace, address) {
        Ok(interfaces) => Ok(result(call, configuration, address, &interfaces)),
        Err(failure) => {
            // The first failure is the one to report; what is left is found again by DEL.
            let _ = delete(call, configuration);
            Err(failure)
        }
    }
}

/// The interfaces of a connected pod, as the result names them.
struct Interfaces {
    bridge: Link,
    host: Link,
    pod_mac: Mac,
}

fn connect(
    call: &Call,
    configuration: &Configuration,
    namespace: &File,
    address: Ipv4Addr,
) -> Result<Interfaces, Failure> {
    let network = configuration.pod_cidr;
    let mut node = Connection::open()?;
    let bridge = bridge::ensure(&mut node, &configuration.bridge, network, configuration.mtu)?;
    let name = host_interface(&call.container, &call.interface);
    let pod_mac = Mac::of(address);
    let veth = Veth {
        name: &name,
        master: bridge.index,
        mtu: configuration.mtu,
        peer_name: &call.interface,
        peer_mac: pod_mac,
        peer_namespace: namespace.as_fd(),
    };
    match node.add_veth(&veth) {
        // Left by a call that was killed.
        Err(error) if error.is_exists() => {
            node.delete_link(&name)?;
            node.add_veth(&veth)?;
        }
        other => other?,
    }
    let host = node
        .link(&name)?
        .ok_or_else(|| Failure::new(Code::Network, "the new interface is gone", &name))?;
    node.set_hairpin(host.index)?;
    set_up_pod(call, configuration, namespace, address)?;
    Ok(Interfaces {
        bridge,
        host,
        pod_mac,
    })
}

fn set_up_pod(
    call: &Call,
    configuration: &Configuration,
    namespace: &File,
    address: Ipv4Addr,
) -> Result<(), Failure> {
    let network = configuration.pod_cidr;
    let mut pod = Connection::open_in(namespace.as_fd())?;
    if let Some(loopback) = pod.link("lo")? {
        pod.set_up(loopback.index)?;
    }
    let link = pod.link(&call.interface)?.ok_or_else(|| {
        Failure::new(
            Code::Network,
            "the pod's interface is gone",
            &call.interface,
        )
    })?;
    pod.add_address(
        Address {
            link: link.index,
            address,
            prefix: network.prefix(),
        },
        false,
    )?;
    pod.set_up(link.index)?;
    let to_gateway = Route {
        destination: network.gateway(),
        prefix: 32,
        kind: Kind::Unicast,
        gateway: None,
        link: Some(link.index),
        source: Some(address),
        metric: 0,
        protocol: BOOT,
        scope: Scope::Link,
        on_link: false,
    };
    pod.replace_route(&to_gateway)?;
    pod.replace_route(&Route {
        destination: Ipv4Addr::UNSPECIFIED,
        prefix: 0,
        gateway: Some(network.gateway()),
        source: None,
        scope: Scope::Universe,
        ..to_gateway
    })?;
    Ok(())
}

fn delete(call: &Call, configuration: &Configuration) -> Result<String, Failure> {
    call.validate()?;
    // The other end goes with this one; if the pod's namespace went first, neither is left.
    Connection::open()?.delete_link(&host_interface(&call.container, &call.interface))?;
    let reservations = lock(configuration)?;
    let failed = |error| Failure::new(Code::InputOutput, "failed to release the address", error);
    for reservation in reservations.list().map_err(failed)? {
        if reservation.container == call.container && reservation.interface == call.interface {
            guard::remove_pod(reservation.address)?;
        }
    }
    reservations
        .release(&call.container, &call.interface)
        .map_err(failed)?;
    Ok(String::new())
}

fn check(call: &Call, configuration: &Configuration) -> Result<String, Failure> {
    call.validate()?;
    let differs = |details: String| {
        Failure::new(
            Code::Differs,
            "the pod's network is not as it was made",
            details,
        )
    };
    let reserved = lock(configuration)?
        .list()
        .map_err(|error| Failure::new(Code::InputOutput, "failed to read reservations", error))?
        .into_iter()
        .find(|r| r.container == call.container && r.interface == call.interface)
        .ok_or_else(|| differs("no address is reserved".to_owned()))?;
    let mut node = Connection::open()?;
    let name = host_interface(&call.container, &call.interface);
    let bridge = node.link(&configuration.bridge)?.map(|link| link.index);
    let host = node
        .link(&name)?
        .ok_or_else(|| differs(format!("interface {name} is missing")))?;
    if bridge.is_none() || host.master != bridge || !host.up {
        return Err(differs(format!(
            "interface {name} is not an active port of {}",
            configuration.bridge
        )));
    }
    let namespace = open_namespace(call)?;
    let mut pod = Connection::open_in(namespace.as_fd())?;
    let link = pod
        .link(&call.interface)?
        .ok_or_else(|| differs(format!("interface {} is missing", call.interface)))?;
    let has_address =
        |found: &Address| found.link == link.index && found.address == reserved.address;
    if !pod.addresses()?.iter().any(has_address) {
        return Err(differs(format!("address {} is missing", reserved.address)));
    }
    let gateway = Some(configuration.pod_cidr.gateway());
    if !pod
        .routes()?
        .iter()
        .any(|route| route.prefix == 0 && route.gateway == gateway)
    {
        return Err(differs("the default route is missing".to_owned()));
    }
    Ok(String::new())
}

fn lock(configuration: &Configuration) -> Result<Reservations, Failure> {
    Reservations::lock(&configuration.data_dir)
        .map_err(|error| Failure::new(Code::InputOutput, "failed to lock the reservations", error))
}

fn open_namespace(call: &Call) -> Result<File, Failure> {
    if call.namespace.is_empty() {
        return Err(Failure::environment("CNI_NETNS", ""));
    }
    File::open(&call.namespace).map_err(|error| {
        Failure::new(
            Code::UnknownContainer,
            format!("failed to open network namespace {:?}", call.namespace),
            error,
        )
    })
}

fn result(
    call: &Call,
    configuration: &Configuration,
    address: Ipv4Addr,
    interfaces: &Interfaces,
) -> String {
    let gateway = configuration.pod_cidr.gateway();
    let mac = |link: &Link| link.mac.map(|mac| mac.to_string()).unwrap_or_default();
    let mut ip = json!({
        "interface": 2,
        "address": format!("{address}/{}", configuration.pod_cidr.prefix()),
        "gateway": gateway,
    });
    if configuration.cni_version.starts_with("0.") {
        ip["version"] = json!("4");
    }
    json!({
        "cniVersion": configuration.cni_version,
        "interfaces": [
            { "name": interfaces.bridge.name, "mac": mac(&interfaces.bridge) },
            { "name": interfaces.host.name, "mac": mac(&interfaces.host) },
            { "name": call.interface, "mac": interfaces.pod_mac.to_string(), "sandbox": call.namespace },
        ],
        "ips": [ip],
        "routes": [{ "dst": "0.0.0.0/0", "gw": gateway }],
        "dns": {},
    })
    .to_string()
}
