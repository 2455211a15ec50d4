//! Cluster IPs: one IPAddress object for each.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use ferrule_apimachinery::field::{FieldError, Path};
use ferrule_apimachinery::object;
use rand::Rng;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use super::{Effects, Ranges, Spec, Target, World, held_address, needs_address, text};
use crate::store::Compare;

/// A range of IPv4 addresses, `10.96.0.0/16`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    base: u32,
    prefix: u8,
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Network, String> {
        let malformed = || format!("{text:?} is not a network like 10.96.0.0/16");
        let (address, prefix) = text.split_once('/').ok_or_else(malformed)?;
        let address: Ipv4Addr = address.parse().map_err(|_| malformed())?;
        let prefix: u8 = prefix.parse().map_err(|_| malformed())?;
        // Smaller ranges hold no cluster, larger ones no order.
        if !(8..=28).contains(&prefix) {
            return Err(format!("{text:?}: the prefix must be between 8 and 28"));
        }
        let mask = u32::MAX << (32 - prefix);
        Ok(Network {
            base: u32::from(address) & mask,
            prefix,
        })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", Ipv4Addr::from(self.base), self.prefix)
    }
}

impl Network {
    /// Addresses, with the first (the network's) and the last (broadcast).
    fn size(self) -> u32 {
        1 << (32 - self.prefix)
    }

    /// Whether the address can be given out.
    pub fn contains(self, address: Ipv4Addr) -> bool {
        let offset = u32::from(address).wrapping_sub(self.base);
        (1..self.size() - 1).contains(&offset)
    }

    /// The address at this place: 1 is the first that can be given out.
    pub fn nth(self, offset: u32) -> Ipv4Addr {
        Ipv4Addr::from(self.base + offset)
    }

    /// The lower part of the range is left for addresses that are asked for by number.
    fn first_random(self) -> u32 {
        (self.size() / 16).clamp(16, 256).min(self.size() / 2)
    }

    /// A free address: from the upper part while there is one.
    fn pick(self, dice: &mut StdRng, free: impl Fn(Ipv4Addr) -> bool) -> Option<Ipv4Addr> {
        let last = self.size() - 1;
        for part in [self.first_random()..last, 1..self.first_random()] {
            let length = part.end - part.start;
            let start = dice.random_range(0..length);
            let found = (0..length)
                .map(|step| self.nth(part.start + (start + step) % length))
                .find(|address| free(*address));
            if found.is_some() {
                return found;
            }
        }
        None
    }
}

impl Ranges {
    pub(super) fn allocate_address(
        &self,
        target: &Target,
        spec: &mut Spec,
        old: Option<&Spec>,
        world: &World,
        dice: &mut StdRng,
        effects: &mut Effects,
    ) -> Vec<FieldError> {
        let had = old.and_then(held_address);
        if !needs_address(spec) {
            if let (Some(old), Some(_)) = (old, had) {
                self.release_address(target, old, world, effects);
            }
            return Vec::new();
        }
        if had.is_some() {
            // It does not change; validation says so where it was tried.
            return Vec::new();
        }
        let free = |address: Ipv4Addr| {
            let name = address.to_string();
            let known = world
                .addresses
                .as_ref()
                .is_some_and(|all| all.get("", &name).is_some());
            !known && !world.taken.contains(&self.addresses.key("", &name))
        };
        let path = Path::new("spec").child("clusterIPs");
        let refuse = |value: &Value, why: String| vec![FieldError::invalid(&path, value, why)];
        let asked = text(spec, "clusterIP").to_owned();
        let address = if asked.is_empty() {
            match self.network.pick(dice, free) {
                Some(address) => address,
                None => {
                    let why = "failed to allocate a serviceIP: range is full".to_owned();
                    return vec![FieldError::internal(&path, why)];
                }
            }
        } else {
            // What is no address is refused by validation.
            let Ok(address) = asked.parse::<Ipv4Addr>() else {
                return Vec::new();
            };
            let addresses = json!([asked]);
            let why = if !self.network.contains(address) {
                "the provided network does not match the current range"
            } else if !free(address) {
                "provided IP is already allocated"
            } else {
                ""
            };
            if !why.is_empty() {
                return refuse(
                    &addresses,
                    format!("failed to allocate IP {address}: {why}"),
                );
            }
            address
        };
        spec.insert("clusterIP".into(), address.to_string().into());
        spec.insert("clusterIPs".into(), json!([address.to_string()]));
        let (key, object) = self.address_object(target, address, world);
        effects.compare.push(Compare::Absent(key.clone()));
        effects.put.push((key, object));
        Vec::new()
    }

    fn address_object(
        &self,
        target: &Target,
        address: Ipv4Addr,
        world: &World,
    ) -> (String, bytes::Bytes) {
        let name = address.to_string();
        let object = json!({
            "apiVersion": self.addresses.api_version(),
            "kind": self.addresses.kind,
            "metadata": {
                "name": name,
                "uid": uuid::Uuid::new_v4().to_string(),
                "creationTimestamp": crate::verbs::metadata::seconds(world.now),
                "generation": 1,
                "labels": {
                    "ipaddress.kubernetes.io/ip-family": "IPv4",
                    "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
                },
            },
            "spec": {
                "parentRef": {
                    "resource": "services",
                    "namespace": target.namespace,
                    "name": target.name,
                },
            },
        });
        (
            self.addresses.key("", &name),
            object::canonicalize(object, &self.addresses),
        )
    }

    /// Removes the IPAddress of a Service, if it is the Service's own.
    pub(super) fn release_address(
        &self,
        target: &Target,
        old: &Spec,
        world: &World,
        effects: &mut Effects,
    ) {
        let Some(address) = held_address(old) else {
            return;
        };
        let name = address.to_string();
        let Some(stored) = world.addresses.as_ref().and_then(|all| all.get("", &name)) else {
            return;
        };
        let object: Value = serde_json::from_slice(&stored.bytes).unwrap_or_default();
        let parent = &object["spec"]["parentRef"];
        if parent["namespace"] != *target.namespace || parent["name"] != *target.name {
            return;
        }
        let key = self.addresses.key("", &name);
        effects
            .compare
            .push(Compare::ModRevision(key.clone(), stored.revision));
        effects.delete.push(key);
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn random_addresses_leave_the_lower_part_alone_until_the_upper_is_full() {
        let network: Network = "10.96.0.0/16".parse().unwrap();
        let mut dice = StdRng::seed_from_u64(1);
        for _ in 0..1000 {
            let address = network.pick(&mut dice, |_| true).unwrap();
            assert!(
                network.contains(address) && address >= network.nth(256),
                "{address}"
            );
        }
        let low = network
            .pick(&mut dice, |address| address < network.nth(256))
            .unwrap();
        assert!(network.contains(low) && low < network.nth(256));
        assert_eq!(network.pick(&mut dice, |_| false), None);
    }

    #[test]
    fn first_and_last_address_are_never_given_out() {
        let network: Network = "10.96.0.0/28".parse().unwrap();
        assert!(!network.contains(network.nth(0)) && !network.contains(network.nth(15)));
        assert!(network.contains(network.nth(1)) && network.contains(network.nth(14)));
        assert!(!network.contains(Ipv4Addr::new(10, 97, 0, 1)));
        assert!("10.96.0.0".parse::<Network>().is_err() && "x/16".parse::<Network>().is_err());
    }
}
