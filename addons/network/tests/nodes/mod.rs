//! Nodes with their agents, in network namespaces of their own.

#![allow(dead_code)]

#[path = "../namespaces/mod.rs"]
pub mod namespaces;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use ferrule_component_base::health::Health;
use ferrule_component_base::metrics::Metrics;
use ferrule_network::agent::nodes::{NodeNetwork, TunnelEnd};
use ferrule_network::agent::shell::{Agent, Local};
use ferrule_network::agent::{Backend, Settings};
pub use namespaces::{Namespace, connect, permitted, talk};

/// A node in a namespace of its own, and its agent.
pub struct Node {
    pub namespace: Namespace,
    name: &'static str,
    directory: tempfile::TempDir,
    pub health: Health,
    pub backend: Cell<Backend>,
}

impl Node {
    pub fn new(name: &'static str) -> Self {
        Self {
            namespace: Namespace::node(),
            name,
            directory: tempfile::tempdir().unwrap(),
            health: Health::default(),
            backend: Cell::default(),
        }
    }

    pub fn name(&self) -> &'static str {
        self.name
    }

    /// A new agent, as after a crash of the last one, does its first rounds.
    pub fn round(&self, nodes: Option<BTreeMap<String, NodeNetwork>>) -> Option<Option<TunnelEnd>> {
        let settings = Settings {
            node: self.name.to_owned(),
            cluster: "10.244.0.0/16".parse().unwrap(),
            services: "10.96.0.0/16".parse().unwrap(),
            backend: self.backend.get(),
            tunnel_id: 1,
            tunnel_port: 8472,
        };
        let local = Local {
            bridge: "cni0".to_owned(),
            mtu: 0,
            masquerade: true,
            configuration_directory: self.directory.path().join("net.d"),
            data_directory: self.directory.path().join("data"),
            resync: Duration::from_secs(1),
        };
        let mut agent = Agent::new(settings, local, self.health.clone(), &Metrics::default());
        self.namespace.inside(|| {
            agent.guard().unwrap();
            agent.round(nodes).unwrap()
        })
    }

    /// Connects a pod as the runtime does, by the configuration that the agent wrote.
    pub fn add_pod(&self, container: &str) -> (Namespace, String) {
        let pod = Namespace::pod();
        let configuration = self.configuration();
        let result = self
            .namespace
            .inside(|| call("ADD", &configuration, container, &pod.path()));
        let address = result["ips"][0]["address"].as_str().unwrap();
        let address = address.strip_suffix("/24").unwrap().to_owned();
        (pod, address)
    }

    /// The configuration that the agent wrote, as the plugin gets it.
    pub fn configuration(&self) -> serde_json::Value {
        let file = self.directory.path().join("net.d/10-ferrule.conflist");
        let list: serde_json::Value =
            serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        let mut configuration = list["plugins"][0].clone();
        configuration["name"] = list["name"].clone();
        configuration["cniVersion"] = list["cniVersion"].clone();
        configuration
    }

    /// Disconnects a pod as the runtime does.
    pub fn remove_pod(&self, container: &str, pod: &Namespace) {
        let configuration = self.configuration();
        self.namespace
            .inside(|| call("DEL", &configuration, container, &pod.path()));
    }

    pub fn routes(&self) -> String {
        self.namespace.run("ip", &["route", "show", "proto", "70"])
    }
}

fn call(
    command: &str,
    configuration: &serde_json::Value,
    container: &str,
    path: &Path,
) -> serde_json::Value {
    let mut child = Command::new(env!("CARGO_BIN_EXE_ferrule-cni"))
        .env("CNI_COMMAND", command)
        .env("CNI_CONTAINERID", container)
        .env("CNI_NETNS", path)
        .env("CNI_IFNAME", "eth0")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin
        .write_all(configuration.to_string().as_bytes())
        .unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{command}: {output:?}");
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}

pub fn nodes() -> BTreeMap<String, NodeNetwork> {
    let node = |name: &str, cidr: &str, address: &str| {
        let network = NodeNetwork {
            pod_cidr: cidr.parse().ok(),
            address: address.parse().ok(),
            tunnel: None,
        };
        (name.to_owned(), network)
    };
    BTreeMap::from([
        node("node1", "10.244.1.0/24", "172.31.9.11"),
        node("node2", "10.244.2.0/24", "172.31.9.12"),
    ])
}

pub fn two_nodes() -> (Node, Node) {
    let (one, two) = (Node::new("node1"), Node::new("node2"));
    connect(
        "t0",
        (&one.namespace, "172.31.9.11/24"),
        (&two.namespace, "172.31.9.12/24"),
    );
    one.round(Some(nodes()));
    two.round(Some(nodes()));
    (one, two)
}
