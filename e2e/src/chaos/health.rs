//! Whether everything works: what the driver waits for after each fault.

use std::collections::{BTreeSet, HashMap};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, ensure};
use ferrule_apimachinery::scheme::{GroupVersionResource, gvr};
use ferrule_apimachinery::status::Status;
use ferrule_client::{At, ListOptions, Patch, WriteOptions};
use serde_json::{Value, json};
use tokio::runtime::Handle;

use super::fault;
use super::load::{self, Caller, NAME};
use crate::cluster::{Cluster, NODES};
use crate::network;

const REQUEST: Duration = Duration::from_secs(1);
/// The DNS server's address on every node.
const DNS: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 10);
/// The object that is written to see that writing works.
pub const PROBE: &str = "probe";

/// What is asked, and how.
pub struct Health<'a> {
    /// The cluster.
    pub cluster: &'a Arc<Cluster>,
    /// Where the nodes' networks are.
    pub namespaces: Arc<Namespaces>,
    /// Each API server by itself.
    pub servers: Vec<Caller>,
    /// The runtime of the clients.
    pub runtime: Handle,
    /// The node port under load.
    pub port: u16,
    /// The address of the Service under load.
    pub address: Ipv4Addr,
}

/// When the conditions were met, counted from the call.
#[derive(Debug, Default)]
pub struct Times {
    /// The endpoints were the ready pods.
    pub endpoints: Option<Duration>,
    /// Everything answered, could be written, and ran a new pod.
    pub works: Option<Duration>,
    /// And what the load had asked for until then was done.
    pub well: Option<Duration>,
    /// What did not, when it was last seen.
    pub last: Option<String>,
}

impl Health<'_> {
    /// Waits until everything works, a new pod on `node` included; ends at the deadline in any case.
    pub fn wait(&self, node: Option<&str>, endpoints: Duration, all: Duration, pod: &str) -> Times {
        let began = Instant::now();
        let mut times = Times::default();
        loop {
            if times.endpoints.is_none() && began.elapsed() <= endpoints && self.endpoints().is_ok()
            {
                times.endpoints = Some(began.elapsed());
            }
            let working = match times.works {
                None => self.everything().and_then(|()| self.runs(pod, node)),
                Some(_) => Ok(()),
            };
            if working.is_ok() {
                times.works = times.works.or(Some(began.elapsed()));
            }
            match working.and_then(|()| self.settled()) {
                Ok(()) => {
                    times.well = Some(began.elapsed());
                    times.endpoints = times
                        .endpoints
                        .or(times.well.filter(|well| *well <= endpoints));
                    return times;
                }
                Err(error) => times.last = Some(format!("{error:#}")),
            }
            if began.elapsed() > all {
                return times;
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn block<T>(&self, call: impl Future<Output = Result<T, Status>>) -> anyhow::Result<T> {
        let answer = self
            .runtime
            .block_on(async { tokio::time::timeout(Duration::from_secs(3), call).await });
        answer
            .map_err(|_| anyhow!("no answer within 3 s"))?
            .map_err(|status| anyhow!("{}", status.message))
    }

    fn list(
        &self,
        server: &Caller,
        at: GroupVersionResource,
        selector: &str,
    ) -> anyhow::Result<Vec<Value>> {
        let namespace = if at == gvr::NODES {
            ""
        } else {
            &*server.namespace
        };
        let at = At::of(at).namespace(namespace);
        let options = ListOptions {
            label_selector: selector.to_owned(),
            ..ListOptions::default()
        };
        let list = self.block(server.client.list(&at, &options))?;
        list.items
            .iter()
            .map(|item| serde_json::from_slice(item).context("an object"))
            .collect()
    }

    /// The ready addresses of the EndpointSlices are those of the ready pods.
    pub fn endpoints(&self) -> anyhow::Result<()> {
        let server = self.servers.first().context("an API server")?;
        let pods = self.list(server, gvr::PODS, &format!("app={NAME}"))?;
        let slices = format!("kubernetes.io/service-name={NAME}");
        let slices = self.list(server, gvr::ENDPOINT_SLICES, &slices)?;
        let (pods, endpoints) = (ready_pods(&pods), ready_endpoints(&slices));
        ensure!(
            pods == endpoints,
            "ready pods {pods:?}, endpoints {endpoints:?}"
        );
        ensure!(!pods.is_empty(), "no pod is ready");
        Ok(())
    }

    fn everything(&self) -> anyhow::Result<()> {
        for (number, server) in (1..).zip(&self.servers) {
            self.server(server)
                .with_context(|| format!("API server {number}"))?;
        }
        for node in NODES {
            self.node(node).context(node)?;
        }
        for member in self.cluster.control_plane() {
            if member.starts_with("etcd") {
                fault::etcdctl(self.cluster, member, &["endpoint", "health"])?;
            }
        }
        Ok(())
    }

    fn server(&self, server: &Caller) -> anyhow::Result<()> {
        let nodes = self.list(server, gvr::NODES, "")?;
        let ready = nodes.iter().filter(|node| is_ready(node)).count();
        ensure!(ready == NODES.len(), "{ready} nodes are Ready");
        let at = At::of(gvr::CONFIG_MAPS)
            .namespace(&server.namespace)
            .name(PROBE);
        let patch = Patch::Merge(json!({"data": {"at": format!("{:?}", Instant::now())}}));
        let options = WriteOptions::default();
        let write = server.client.patch(&at, &patch, &options);
        self.block(write).map(drop).context("write")
    }

    /// The Deployment is as it was asked for, and so are the endpoints.
    fn settled(&self) -> anyhow::Result<()> {
        for server in &self.servers {
            let at = At::of(gvr::DEPLOYMENTS)
                .namespace(&server.namespace)
                .name(NAME);
            let deployment: Value =
                serde_json::from_slice(&self.block(server.client.get(&at))?.bytes)?;
            is_settled(&deployment)?;
        }
        self.endpoints()
    }

    fn node(&self, node: &str) -> anyhow::Result<()> {
        let address = self.cluster.address(node)?;
        network::get((address, self.port).into(), REQUEST).context("from outside")?;
        let inside = self.namespaces.of(node)?;
        load::in_namespace(&inside, || {
            network::get((self.address, 80).into(), REQUEST).context("from inside")?;
            let name = format!("{NAME}.{}.svc.cluster.local", self.servers[0].namespace);
            load::resolves(DNS, &name).context("DNS")
        })
    }

    /// A new pod is scheduled, runs and ends.
    fn runs(&self, pod: &str, node: Option<&str>) -> anyhow::Result<()> {
        let server = self.servers.last().context("an API server")?;
        let manifest = load::script(&server.namespace, pod, "exit 0", node);
        self.block(server.create(gvr::PODS, &manifest))?;
        let found = self.block(server.get(gvr::PODS, pod))?;
        let phase = found["status"]["phase"].as_str().unwrap_or_default();
        ensure!(
            phase == "Succeeded",
            "{pod} on {} is {phase}",
            found["spec"]["nodeName"]
        );
        // Gone with the namespace if not now.
        let _ = self.block(server.delete(gvr::PODS, pod));
        Ok(())
    }
}

/// The network namespaces of the nodes. Docker is only asked when a node was started again.
pub struct Namespaces {
    cluster: Arc<Cluster>,
    first: Mutex<HashMap<String, u32>>,
}

impl Namespaces {
    /// Knows none yet.
    pub fn new(cluster: Arc<Cluster>) -> Namespaces {
        Namespaces {
            cluster,
            first: Mutex::default(),
        }
    }

    /// The namespace of a running node.
    pub fn of(&self, node: &str) -> anyhow::Result<PathBuf> {
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        let known = first.get(node).copied();
        let process = match known.filter(|process| is_node(*process)) {
            Some(process) => process,
            None => self.cluster.first_process(node)?,
        };
        first.insert(node.to_owned(), process);
        Ok(format!("/proc/{process}/ns/net").into())
    }
}

fn is_node(process: u32) -> bool {
    std::fs::read(format!("/proc/{process}/cmdline"))
        .is_ok_and(|line| line.starts_with(b"/usr/bin/node-entrypoint"))
}

fn is_ready(object: &Value) -> bool {
    let conditions = object["status"]["conditions"]
        .as_array()
        .into_iter()
        .flatten();
    conditions
        .clone()
        .any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

fn ready_pods(pods: &[Value]) -> BTreeSet<String> {
    pods.iter()
        .filter(|pod| is_ready(pod) && pod["metadata"]["deletionTimestamp"].is_null())
        .filter_map(|pod| pod["status"]["podIP"].as_str().map(str::to_owned))
        .collect()
}

fn ready_endpoints(slices: &[Value]) -> BTreeSet<String> {
    slices
        .iter()
        .flat_map(|slice| slice["endpoints"].as_array().into_iter().flatten())
        .filter(|endpoint| endpoint["conditions"]["ready"] == true)
        .flat_map(|endpoint| endpoint["addresses"].as_array().into_iter().flatten())
        .filter_map(|address| address.as_str().map(str::to_owned))
        .collect()
}

/// The Deployment has what it asks for, all new and all available.
fn is_settled(deployment: &Value) -> anyhow::Result<()> {
    let (wanted, status) = (&deployment["spec"]["replicas"], &deployment["status"]);
    let seen = status["observedGeneration"] == deployment["metadata"]["generation"];
    let counts = ["replicas", "updatedReplicas", "availableReplicas"];
    ensure!(
        seen && counts.iter().all(|count| status[count] == *wanted),
        "{wanted} replicas are wanted, the status is {status}"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_and_pods_are_compared_by_ready_addresses() {
        let pod = |address: &str, ready: &str, deleted: bool| {
            let mut pod = json!({"metadata": {}, "status": {"podIP": address,
                "conditions": [{"type": "Ready", "status": ready}]}});
            if deleted {
                pod["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
            }
            pod
        };
        let pods = [
            pod("10.0.0.1", "True", false),
            pod("10.0.0.2", "False", false),
            pod("10.0.0.3", "True", true),
        ];
        let slice = json!({"endpoints": [
            {"addresses": ["10.0.0.1"], "conditions": {"ready": true}},
            {"addresses": ["10.0.0.3"], "conditions": {"ready": false}}]});
        assert_eq!(ready_pods(&pods), ready_endpoints(&[slice]));
    }

    #[test]
    fn a_deployment_is_settled_when_its_status_says_what_it_asks_for() {
        let mut deployment = json!({"metadata": {"generation": 3}, "spec": {"replicas": 2}, "status":
            {"observedGeneration": 3, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}});
        assert!(is_settled(&deployment).is_ok());
        deployment["status"]["observedGeneration"] = json!(2);
        assert!(is_settled(&deployment).is_err());
    }
}
