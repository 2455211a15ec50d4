//! What all pods of a node share: the runtime, the API server, and what is known of the node.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ferrule_client::{Client, EventType, ObjectReference, Projection, Reader, Recorder};
use k8s_openapi::api::core::v1::{Pod, Service};

use crate::cgroups::Cgroups;
use crate::cri::Cri;
use crate::env::services;
use crate::images::Images;
use crate::metrics::Metrics;
use crate::node::addresses::Addresses;
use crate::pod::spec::{self, Role};

/// How this kubelet was told to behave.
#[derive(Clone, Debug)]
pub struct Config {
    /// The node's name.
    pub node: String,
    /// Where state lies.
    pub root: PathBuf,
    /// Where logs of pods lie.
    pub logs: PathBuf,
    /// Addresses of the cluster's DNS.
    pub cluster_dns: Vec<String>,
    /// The cluster's domain.
    pub cluster_domain: String,
    /// The node's own resolver configuration.
    pub resolv_conf: PathBuf,
    /// Pods at most.
    pub max_pods: usize,
    /// How often a pod is looked at when nothing happens.
    pub sync_frequency: Duration,
}

/// What the node has.
#[derive(Clone, Debug, Default)]
pub struct Capacity {
    /// CPU in thousandths.
    pub cpu: i64,
    /// Memory in bytes.
    pub memory: i64,
    /// Ephemeral storage in bytes.
    pub storage: i64,
    /// The same by resource name, as far as pods may use it.
    pub allocatable: BTreeMap<String, i64>,
}

/// The parts of a service that variables need.
impl Projection for services::Service {
    fn project(
        _: &ferrule_apimachinery::header::Header,
        bytes: &[u8],
    ) -> Result<Self, serde_json::Error> {
        let service: Service = serde_json::from_slice(bytes)?;
        let spec = service.spec.unwrap_or_default();
        let port = |port: k8s_openapi::api::core::v1::ServicePort| {
            let protocol = port.protocol.unwrap_or_else(|| "TCP".to_owned());
            (port.name.unwrap_or_default(), protocol, port.port)
        };
        Ok(services::Service {
            namespace: service.metadata.namespace.unwrap_or_default(),
            name: service.metadata.name.unwrap_or_default(),
            cluster_ip: spec.cluster_ip.unwrap_or_default(),
            ports: spec
                .ports
                .unwrap_or_default()
                .into_iter()
                .map(port)
                .collect(),
        })
    }
}

/// What all workers share.
pub struct Kubelet {
    /// How it shall behave.
    pub config: Config,
    /// The node's addresses.
    pub addresses: Addresses,
    /// What the node has.
    pub capacity: Capacity,
    /// The container runtime.
    pub cri: Cri,
    /// The runtime's name, the scheme of container ids; set before the first worker starts.
    pub runtime: OnceLock<String>,
    /// The API server.
    pub client: Client,
    /// Events.
    pub recorder: Recorder,
    /// Services, for their variables.
    pub services: Reader<services::Service>,
    /// ConfigMaps and Secrets that pods refer to.
    pub objects: Arc<crate::objects::Watches>,
    /// Images and their pulling.
    pub images: Images,
    /// Control groups.
    pub cgroups: Cgroups,
    /// Figures for people.
    pub metrics: Metrics,
}

impl Kubelet {
    /// The scheme of container ids.
    pub fn runtime_name(&self) -> &str {
        self.runtime.get().map_or("", String::as_str)
    }

    /// The node's addresses as text.
    pub fn host_ips(&self) -> Vec<String> {
        self.addresses.all().iter().map(IpAddr::to_string).collect()
    }

    /// Records an event about a pod.
    pub fn pod_event(&self, pod: &Pod, kind: EventType, reason: &str, message: impl Into<String>) {
        self.recorder
            .event(&reference(pod, ""), kind, reason, message);
    }

    /// Records an event about a container of a pod.
    pub fn container_event(
        &self,
        pod: &Pod,
        container: &str,
        kind: EventType,
        reason: &str,
        message: impl Into<String>,
    ) {
        let list = match spec::container(pod, container) {
            Some((_, Role::Init | Role::Sidecar)) => "initContainers",
            _ => "containers",
        };
        let path = format!("spec.{list}{{{container}}}");
        self.recorder
            .event(&reference(pod, &path), kind, reason, message);
    }

    /// The log directory of a pod.
    pub fn log_directory(&self, pod: &Pod) -> PathBuf {
        let name = format!(
            "{}_{}_{}",
            spec::namespace(pod),
            spec::name(pod),
            spec::uid(pod)
        );
        self.config.logs.join(name)
    }
}

fn reference(pod: &Pod, field_path: &str) -> ObjectReference {
    ObjectReference {
        kind: "Pod".to_owned(),
        namespace: spec::namespace(pod).to_owned(),
        name: spec::name(pod).to_owned(),
        uid: spec::uid(pod).to_owned(),
        api_version: "v1".to_owned(),
        resource_version: pod.metadata.resource_version.clone().unwrap_or_default(),
        field_path: field_path.to_owned(),
    }
}

/// What one pod's operations share.
#[derive(Clone)]
pub struct PodContext {
    /// The node's.
    pub kubelet: Arc<Kubelet>,
    /// The object.
    pub pod: Arc<Pod>,
    /// ConfigMaps and Secrets that the pod refers to.
    pub objects: Arc<crate::objects::Objects>,
    /// The pod's addresses.
    pub pod_ips: Vec<String>,
}
