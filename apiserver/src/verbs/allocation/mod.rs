//! Addresses and ports of Services, given out in the Service's own transaction.
//!
//! An address is an IPAddress object, a node port a key `/ferrule/nodeports/<port>`; each is made
//! under the condition that it is absent, so that nothing is ever given out twice and nothing has
//! to be repaired. What is picked at random and turns out to be taken is picked again.

mod addresses;
mod families;
mod ports;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::sync::Arc;

use ferrule_apimachinery::scheme::Resource;
use ferrule_apimachinery::status::Status;
use jiff::Timestamp;
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::{Map, Value};

use super::effects::Effects;
use super::{Target, errors};
use crate::store::Snapshot;

pub use addresses::Network;

/// What Services are given.
#[derive(Clone, Debug)]
pub struct Ranges {
    /// Cluster IPs.
    pub network: Network,
    /// Node ports.
    pub ports: RangeInclusive<u16>,
    /// The resource of IPAddress objects.
    pub addresses: Arc<Resource>,
}

/// What a write sees besides its own object, and the dice that allocation rolls.
pub struct World {
    /// The time of the request.
    pub now: Timestamp,
    /// All namespaces, for an object in one of them.
    pub namespaces: Option<Snapshot>,
    /// All IPAddress objects.
    pub addresses: Option<Snapshot>,
    /// All Services.
    pub services: Option<Snapshot>,
    /// All PriorityClasses, for a pod or one of them.
    pub classes: Option<Snapshot>,
    /// The classes of storage, or of Ingresses, one of which may be everybody's.
    pub default_classes: Option<Snapshot>,
    /// Keys that were found taken while this request was tried before.
    pub taken: HashSet<String>,
    /// Where the dice start.
    pub seed: u64,
}

/// The part of a Service that allocation is about.
type Spec = Map<String, Value>;

impl Ranges {
    /// Gives a Service what it needs, takes back what it no longer needs, and fills in the fields.
    pub(super) fn allocate(
        &self,
        target: &Target,
        old: Option<&Value>,
        new: Option<&mut Value>,
        world: &World,
    ) -> Result<Effects, Status> {
        let empty = Spec::new();
        let old_spec = old.and_then(|old| old["spec"].as_object());
        let mut effects = Effects::default();
        let Some(new) = new else {
            let old_spec = old_spec.unwrap_or(&empty);
            self.release_address(target, old_spec, world, &mut effects);
            self.release_ports(old_spec, &HashSet::new(), &mut effects);
            return Ok(effects);
        };
        let uid = new["metadata"]["uid"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let Some(spec) = new["spec"].as_object_mut() else {
            return Ok(effects);
        };
        if let Some(old_spec) = old_spec {
            keep_allocated(spec, old_spec);
            drop_what_the_type_lost(spec, old_spec);
        }
        let mut dice = StdRng::seed_from_u64(world.seed);
        let mut problems = families::fill_in(spec, old_spec);
        if problems.is_empty() {
            problems =
                self.allocate_address(target, spec, old_spec, world, &mut dice, &mut effects);
        }
        if problems.is_empty() {
            problems = self.allocate_ports(spec, old_spec, &uid, world, &mut dice, &mut effects);
        }
        if problems.is_empty() {
            return Ok(effects);
        }
        Err(errors::invalid(&target.resource, &target.name, problems))
    }
}

fn text<'a>(spec: &'a Spec, field: &str) -> &'a str {
    spec.get(field).and_then(Value::as_str).unwrap_or_default()
}

fn kind(spec: &Spec) -> &str {
    match text(spec, "type") {
        "" => "ClusterIP",
        kind => kind,
    }
}

fn needs_address(spec: &Spec) -> bool {
    matches!(kind(spec), "ClusterIP" | "NodePort" | "LoadBalancer")
        && text(spec, "clusterIP") != "None"
}

fn may_have_address(spec: &Spec) -> bool {
    matches!(kind(spec), "ClusterIP" | "NodePort" | "LoadBalancer")
}

fn needs_ports(spec: &Spec) -> bool {
    match kind(spec) {
        "NodePort" => true,
        "LoadBalancer" => spec.get("allocateLoadBalancerNodePorts") != Some(&Value::Bool(false)),
        _ => false,
    }
}

fn may_have_ports(spec: &Spec) -> bool {
    matches!(kind(spec), "NodePort" | "LoadBalancer")
}

fn needs_health_port(spec: &Spec) -> bool {
    kind(spec) == "LoadBalancer" && text(spec, "externalTrafficPolicy") == "Local"
}

/// The address that a Service holds.
fn held_address(spec: &Spec) -> Option<Ipv4Addr> {
    if !may_have_address(spec) {
        return None;
    }
    text(spec, "clusterIP").parse().ok()
}

/// What the client left out stays as it was allocated.
fn keep_allocated(spec: &mut Spec, old: &Spec) {
    if may_have_address(spec) && may_have_address(old) {
        if text(spec, "clusterIP").is_empty()
            && let Some(address) = old.get("clusterIP")
        {
            spec.insert("clusterIP".into(), address.clone());
        }
        let listed = spec
            .get("clusterIPs")
            .and_then(Value::as_array)
            .is_some_and(|list| !list.is_empty());
        if !listed
            && spec.get("clusterIP") == old.get("clusterIP")
            && let Some(addresses) = old.get("clusterIPs")
        {
            spec.insert("clusterIPs".into(), addresses.clone());
        }
    }
    ports::keep_allocated(spec, old);
}

/// Fields that only the old type had go away when the client left them as they were.
fn drop_what_the_type_lost(spec: &mut Spec, old: &Spec) {
    if may_have_address(old) && !may_have_address(spec) {
        for field in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
            if spec.get(field) == old.get(field) {
                spec.remove(field);
            }
        }
    }
    if may_have_ports(old) && !may_have_ports(spec) {
        ports::drop_unchanged(spec, old);
        if spec.get("externalTrafficPolicy") == old.get("externalTrafficPolicy") {
            spec.remove("externalTrafficPolicy");
        }
    }
    if needs_health_port(old)
        && !needs_health_port(spec)
        && spec.get("healthCheckNodePort") == old.get("healthCheckNodePort")
    {
        spec.remove("healthCheckNodePort");
    }
    if kind(old) == "LoadBalancer" && kind(spec) != "LoadBalancer" {
        for field in ["allocateLoadBalancerNodePorts", "loadBalancerClass"] {
            if spec.get(field) == old.get(field) {
                spec.remove(field);
            }
        }
    }
}
