//! How long the first synchronisation of many services takes, and the change of one endpoint; in a network namespace of
//! its own, which needs root.
//!
//! ```text
//! cargo bench -p ferrule-kube-proxy --bench sync [-- SERVICES [CHANGES]]      # 10,000 services of 2 endpoints, 200 changes
//! ```
//!
//! The first synchronisation goes from the JSON of Services and EndpointSlices to the kernel's answer; so does a change.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ferrule_apimachinery::Header;
use ferrule_apimachinery::scheme::{Scheme, gvr};
use ferrule_client::{Cached, Change, Projection};
use ferrule_kube_proxy::objects::{EndpointSlice, Node, Service};
use ferrule_kube_proxy::program::{Outcome, Programmer};
use ferrule_kube_proxy::ruleset::Settings;
use ferrule_kube_proxy::state::State;
use nix::sched::{CloneFlags, unshare};
use serde_json::json;

fn main() {
    let numbers = std::env::args()
        .skip(1)
        .filter_map(|word| word.parse().ok());
    let numbers: Vec<u32> = numbers.collect();
    let count = numbers.first().copied().unwrap_or(10_000);
    let changes = numbers.get(1).copied().unwrap_or(200);
    if let Err(error) = unshare(CloneFlags::CLONE_NEWNET) {
        eprintln!("cannot make a network namespace: {error}; root is needed");
        std::process::exit(1);
    }
    let scheme = Scheme::builtin();
    let objects = Objects {
        services: scheme.get(&gvr::SERVICES).cloned().unwrap_or_default(),
        slices: scheme
            .get(&gvr::ENDPOINT_SLICES)
            .cloned()
            .unwrap_or_default(),
    };
    let texts: Vec<_> = (0..count)
        .map(|n| (service(n), slice(n, &[1, 2])))
        .collect();
    println!("idle: {} KiB", resident());

    let mut state = State::new(Node {
        name: "node1".to_owned(),
        ..Node::default()
    });
    let mut programmer = Programmer::new(Settings {
        cluster_cidr: "10.244.0.0/16".parse().ok(),
        service_range: "10.96.0.0/16".parse().ok(),
        masquerade_bit: 14,
        masquerade_all: false,
    });
    let begin = Instant::now();
    for (service, slice) in &texts {
        state.service(&Change::Added(objects.service(service)));
        state.slice(&Change::Added(objects.slice(slice)));
    }
    let parsed = begin.elapsed();
    assert_eq!(sync(&mut programmer, &mut state), Outcome::Rebuilt);
    println!(
        "{count} services: first sync {:.3} s (of it {:.3} s reading objects)",
        begin.elapsed().as_secs_f64(),
        parsed.as_secs_f64()
    );
    drop(texts);
    println!("with {count} services: {} KiB", resident());

    let kinds: [(&str, [&[u8]; 2]); 2] = [
        ("one endpoint in place of another", [&[1, 3], &[1, 2]]),
        ("one endpoint less, or more", [&[1], &[1, 2]]),
    ];
    for (what, endpoints) in kinds {
        let mut times: Vec<Duration> = (0..changes)
            .map(|number| {
                let which = (number / 2) * 37 % count;
                let old = slice(which, endpoints[(number as usize + 1) % 2]);
                let new = slice(which, endpoints[number as usize % 2]);
                let old = objects.slice(&old);
                let begin = Instant::now();
                let new = objects.slice(&new);
                state.slice(&Change::Modified { old, new });
                assert_eq!(sync(&mut programmer, &mut state), Outcome::Changed);
                begin.elapsed()
            })
            .collect();
        times.sort_unstable();
        let at = |share: usize| {
            let time = times.get((times.len() * share / 100).min(times.len().saturating_sub(1)));
            time.copied().unwrap_or_default().as_secs_f64() * 1000.0
        };
        println!(
            "{what}: p50 {:.2} ms, p99 {:.2} ms, most {:.2} ms",
            at(50),
            at(99),
            at(100)
        );
    }
    let begin = Instant::now();
    assert!(programmer.audit().unwrap_or_default());
    println!("audit: {:.3} s", begin.elapsed().as_secs_f64());
}

fn sync(programmer: &mut Programmer, state: &mut State) -> Outcome {
    match programmer.update(state.take_changed()) {
        Ok((outcome, _)) => outcome,
        Err(error) => panic!("{error}"),
    }
}

/// The resources' rows, by which headers are read.
struct Objects {
    services: Arc<ferrule_apimachinery::scheme::Resource>,
    slices: Arc<ferrule_apimachinery::scheme::Resource>,
}

impl Objects {
    fn service(&self, text: &str) -> Arc<Cached<Service>> {
        cached(&self.services, text)
    }

    fn slice(&self, text: &str) -> Arc<Cached<EndpointSlice>> {
        cached(&self.slices, text)
    }
}

fn cached<T: Projection>(
    resource: &ferrule_apimachinery::scheme::Resource,
    text: &str,
) -> Arc<Cached<T>> {
    let Ok(header) = Header::parse(resource, text.as_bytes()) else {
        panic!("{text}")
    };
    let Ok(value) = T::project(&header, text.as_bytes()) else {
        panic!("{text}")
    };
    Arc::new(Cached {
        header,
        revision: 1,
        value,
    })
}

fn service(number: u32) -> String {
    let address = Ipv4Addr::from(0x0a60_0101 + number).to_string();
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": { "name": format!("web-{number}"), "namespace": "default" },
        "spec": {
            "clusterIP": address, "clusterIPs": [address], "type": "ClusterIP",
            "selector": { "app": format!("web-{number}") },
            "ports": [{ "name": "http", "protocol": "TCP", "port": 80, "targetPort": 8080 }],
        },
    })
    .to_string()
}

fn slice(number: u32, hosts: &[u8]) -> String {
    let endpoint = |host: &u8| {
        let address = Ipv4Addr::from(0x0af4_0000 + (number << 2) % 0xffff + u32::from(*host));
        json!({
            "addresses": [address.to_string()], "nodeName": format!("node{}", 1 + host % 2),
            "conditions": { "ready": true, "serving": true, "terminating": false },
            "targetRef": { "kind": "Pod", "namespace": "default", "name": format!("web-{number}-{host}") },
        })
    };
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {
            "name": format!("web-{number}-abcde"), "namespace": "default",
            "labels": { "kubernetes.io/service-name": format!("web-{number}") },
        },
        "ports": [{ "name": "http", "protocol": "TCP", "port": 8080 }],
        "endpoints": hosts.iter().map(endpoint).collect::<Vec<_>>(),
    })
    .to_string()
}

/// The process's memory in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok())
        .unwrap_or_default()
}
