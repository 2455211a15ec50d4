//! Sums over the requests of a pod's containers, and the class of service that follows from them.

use std::collections::BTreeMap;

use ferrule_apimachinery::quantity::Quantity;
use serde_json::Value;

use crate::resources::tree::{Tree, display};

type Resources = BTreeMap<String, Quantity>;

fn read(list: &Value) -> Resources {
    list.as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.clone(), display(value).parse().unwrap_or_default()))
        .collect()
}

fn add(total: &mut Resources, more: &Resources) {
    for (name, quantity) in more {
        let sum = total.entry(name.clone()).or_default();
        *sum = *sum + *quantity;
    }
}

fn raise(total: &mut Resources, other: &Resources) {
    for (name, quantity) in other {
        let most = total.entry(name.clone()).or_default();
        if *quantity > *most {
            *most = *quantity;
        }
    }
}

/// What all containers together request at the most demanding moment: regular ones and sidecars at once, or an init
/// container with the sidecars that started before it.
pub fn of_containers(spec: &Value) -> Resources {
    let requests = |container: &Value| read(container.at("resources").at("requests"));
    let mut total = Resources::new();
    for container in spec.items("containers") {
        add(&mut total, &requests(container));
    }
    let (mut sidecars, mut initial) = (Resources::new(), Resources::new());
    for container in spec.items("initContainers") {
        let mut now = requests(container);
        if container.text("restartPolicy") == "Always" {
            add(&mut total, &now);
            add(&mut sidecars, &now);
            now = sidecars.clone();
        } else {
            add(&mut now, &sidecars);
        }
        raise(&mut initial, &now);
    }
    raise(&mut total, &initial);
    total
}

/// The class of service: `Guaranteed`, `Burstable` or `BestEffort`.
pub fn qos_class(spec: &Value) -> &'static str {
    let of_pod = spec.at("resources");
    let holders: Vec<&Value> = if of_pod.has("requests") || of_pod.has("limits") {
        vec![of_pod]
    } else {
        let lists = spec
            .items("initContainers")
            .iter()
            .chain(spec.items("containers"));
        lists.map(|container| container.at("resources")).collect()
    };
    let (mut requests, mut limits) = (Resources::new(), Resources::new());
    let mut guaranteed = true;
    for holder in holders {
        let counted = |name: &str| {
            let mut list = read(holder.at(name));
            list.retain(|name, quantity| {
                matches!(name.as_str(), "cpu" | "memory") && !quantity.is_zero()
            });
            list
        };
        add(&mut requests, &counted("requests"));
        let own = counted("limits");
        guaranteed &= own.len() == 2;
        add(&mut limits, &own);
    }
    if requests.is_empty() && limits.is_empty() {
        return "BestEffort";
    }
    let equal = requests
        .iter()
        .all(|(name, quantity)| limits.get(name) == Some(quantity));
    if guaranteed && equal && requests.len() == limits.len() {
        "Guaranteed"
    } else {
        "Burstable"
    }
}
