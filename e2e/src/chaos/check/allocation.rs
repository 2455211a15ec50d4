//! No address and no node port belongs to two Services, no pod network to two nodes, at any revision.

use std::collections::BTreeMap;

use ferrule_proto::v1::EventType;

use super::{ALLOCATION, Broken, Histories};
use crate::chaos::history::Facts;

pub fn check(histories: &Histories) -> Vec<Broken> {
    let mut services: BTreeMap<&str, (&str, &[u64])> = BTreeMap::new();
    let mut broken = Vec::new();
    for (revision, event) in histories.merged("services") {
        let Facts::Service(address, ports) = &event.facts else {
            continue;
        };
        services.remove(&*event.key);
        if event.kind == EventType::EventDeleted {
            continue;
        }
        for (other, (taken, taken_ports)) in &services {
            let shares = taken == address && !address.is_empty() && address != "None";
            if shares || ports.iter().any(|port| taken_ports.contains(port)) {
                broken.push(Broken::new(
                    ALLOCATION,
                    format!(
                        "revision {revision}: {} and {other} share {address} or {ports:?}",
                        event.key
                    ),
                ));
            }
        }
        services.insert(&event.key, (address, ports));
    }
    broken.extend(pod_networks(histories));
    broken
}

fn pod_networks(histories: &Histories) -> Vec<Broken> {
    let mut holders: BTreeMap<&str, &str> = BTreeMap::new();
    let mut broken = Vec::new();
    for (revision, event) in histories.merged("nodes") {
        let Facts::Node(networks) = &event.facts else {
            continue;
        };
        holders.retain(|_, holder| *holder != event.key);
        if event.kind == EventType::EventDeleted {
            continue;
        }
        for network in networks {
            if let Some(other) = holders.insert(network, &event.key) {
                let evidence = format!(
                    "revision {revision}: {} and {other} share {network}",
                    event.key
                );
                broken.push(Broken::new(ALLOCATION, evidence));
            }
        }
    }
    broken
}
