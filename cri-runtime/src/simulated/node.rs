//! One pretended node: its sandboxes, containers and images as rows of a table.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use k8s_cri::v1 as cri;

use crate::server::new_id;

/// Events that a listener may be behind before it has to list anew.
const EVENTS: usize = 256;

/// A sandbox that does not exist outside of this table.
#[derive(Debug, Clone)]
pub struct Sandbox {
    /// What the kubelet asked for.
    pub config: cri::PodSandboxConfig,
    /// Its runtime handler.
    pub handler: String,
    /// Whether it has not been stopped.
    pub ready: bool,
    /// Nanoseconds since 1970.
    pub created_at: i64,
    /// The pod's address; none in the network of the node.
    pub address: Option<Ipv4Addr>,
}

/// A container that does not exist outside of this table.
#[derive(Debug, Clone)]
pub struct Container {
    /// What the kubelet asked for.
    pub config: cri::ContainerConfig,
    /// The id of its sandbox.
    pub sandbox: String,
    /// The id of its image.
    pub image_id: String,
    /// Nanoseconds since 1970.
    pub created_at: i64,
    /// 0 before it was started.
    pub started_at: i64,
    /// Code and time of its end.
    pub exit: Option<(i32, i64)>,
}

impl Container {
    /// Its state.
    pub fn state(&self) -> cri::ContainerState {
        match (self.started_at, &self.exit) {
            (0, None) => cri::ContainerState::ContainerCreated,
            (_, None) => cri::ContainerState::ContainerRunning,
            (_, Some(_)) => cri::ContainerState::ContainerExited,
        }
    }
}

/// The rows.
#[derive(Debug, Default)]
pub struct Table {
    /// By id.
    pub sandboxes: BTreeMap<String, Sandbox>,
    /// By id.
    pub containers: BTreeMap<String, Container>,
    /// Names of images that have been pulled.
    pub images: BTreeSet<String>,
    /// Which of the node's addresses was given out last.
    last_address: u8,
}

/// A pretended node.
#[derive(Debug)]
pub struct Node {
    table: Mutex<Table>,
    /// The first of its 256 addresses.
    network: Ipv4Addr,
    /// What happens, for kubelets that listen.
    pub events: tokio::sync::broadcast::Sender<cri::ContainerEventResponse>,
}

/// Nanoseconds since 1970.
pub fn now() -> i64 {
    crate::shim::process::now()
}

/// The id under which an image of that name is known.
pub fn image_id(name: &str) -> String {
    use sha2::Digest;
    let hash = sha2::Sha256::digest(name.as_bytes());
    format!("sha256:{}", crate::image::layer::hex(&hash))
}

impl Node {
    /// A node without pods, whose pods get the addresses from `network` on.
    pub fn new(network: Ipv4Addr) -> Node {
        Node {
            table: Mutex::default(),
            network,
            events: tokio::sync::broadcast::channel(EVENTS).0,
        }
    }

    /// The rows.
    pub fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a sandbox; `None` when all addresses are taken.
    pub fn add_sandbox(&self, config: cri::PodSandboxConfig, handler: String) -> Option<String> {
        let mut table = self.table();
        let address = if in_host_network(&config) {
            None
        } else {
            Some(table.free_address(self.network)?)
        };
        let id = new_id();
        let sandbox = Sandbox {
            config,
            handler,
            ready: true,
            created_at: now(),
            address,
        };
        table.sandboxes.insert(id.clone(), sandbox);
        Some(id)
    }

    /// Starts a container that has been created; `None` when there is none.
    pub fn start(&self, id: &str) -> Option<()> {
        {
            let mut table = self.table();
            let container = table.containers.get_mut(id)?;
            if container.started_at > 0 {
                return None;
            }
            container.started_at = now();
        }
        self.publish(id, cri::ContainerEventType::ContainerStartedEvent);
        Some(())
    }

    /// Ends a container that has not ended; whether it was there to be ended.
    pub fn end(&self, id: &str, code: i32) -> bool {
        let ended = {
            let mut table = self.table();
            match table.containers.get_mut(id) {
                Some(container) if container.exit.is_none() => {
                    container.exit = Some((code, now()));
                    true
                }
                _ => false,
            }
        };
        if ended {
            self.publish(id, cri::ContainerEventType::ContainerStoppedEvent);
        }
        ended
    }

    /// Stops a sandbox with all its containers.
    pub fn stop_sandbox(&self, id: &str) {
        let running: Vec<String> = {
            let mut table = self.table();
            if let Some(sandbox) = table.sandboxes.get_mut(id) {
                sandbox.ready = false;
            }
            let of_it = |(_, container): &(&String, &Container)| container.sandbox == id;
            let all = table.containers.iter().filter(of_it);
            all.map(|(id, _)| id.clone()).collect()
        };
        for container in running {
            self.end(&container, 137);
        }
        self.publish_as(id, id, cri::ContainerEventType::ContainerStoppedEvent);
    }

    /// Forgets a sandbox with all its containers.
    pub fn remove_sandbox(&self, id: &str) {
        self.stop_sandbox(id);
        let mut table = self.table();
        table.sandboxes.remove(id);
        table
            .containers
            .retain(|_, container| container.sandbox != id);
    }

    /// Tells listeners about a container.
    pub fn publish(&self, id: &str, kind: cri::ContainerEventType) {
        let sandbox = match self.table().containers.get(id) {
            Some(container) => container.sandbox.clone(),
            None => return,
        };
        self.publish_as(id, &sandbox, kind);
    }

    fn publish_as(&self, id: &str, sandbox: &str, kind: cri::ContainerEventType) {
        if self.events.receiver_count() == 0 {
            return;
        }
        let table = self.table();
        let status = table.sandboxes.get(sandbox);
        let event = cri::ContainerEventResponse {
            container_id: id.to_owned(),
            container_event_type: kind as i32,
            created_at: now(),
            pod_sandbox_status: status.map(|own| own.status(sandbox)),
            containers_statuses: table
                .containers
                .iter()
                .filter(|(_, container)| container.sandbox == sandbox)
                .map(|(id, container)| container.status(id))
                .collect(),
        };
        let _ = self.events.send(event);
    }
}

/// Whether the pod uses the node's network.
fn in_host_network(config: &cri::PodSandboxConfig) -> bool {
    let options = config
        .linux
        .as_ref()
        .and_then(|linux| linux.security_context.as_ref())
        .and_then(|context| context.namespace_options.as_ref());
    options.is_some_and(|options| options.network == cri::NamespaceMode::Node as i32)
}

impl Table {
    /// The next address that no sandbox has; .0, .1 and .255 are not for pods.
    fn free_address(&mut self, network: Ipv4Addr) -> Option<Ipv4Addr> {
        let taken: BTreeSet<Ipv4Addr> = self
            .sandboxes
            .values()
            .filter(|sandbox| sandbox.ready)
            .filter_map(|sandbox| sandbox.address)
            .collect();
        let base = u32::from(network);
        for _ in 0..=255 {
            self.last_address = self.last_address.wrapping_add(1);
            if !(2..255).contains(&self.last_address) {
                continue;
            }
            let address = Ipv4Addr::from(base + u32::from(self.last_address));
            if !taken.contains(&address) {
                return Some(address);
            }
        }
        None
    }
}

impl Sandbox {
    fn state(&self) -> i32 {
        if self.ready {
            cri::PodSandboxState::SandboxReady as i32
        } else {
            cri::PodSandboxState::SandboxNotready as i32
        }
    }

    /// Its full status.
    pub fn status(&self, id: &str) -> cri::PodSandboxStatus {
        let options = self
            .config
            .linux
            .as_ref()
            .and_then(|linux| linux.security_context.as_ref())
            .and_then(|context| context.namespace_options.clone());
        cri::PodSandboxStatus {
            id: id.to_owned(),
            metadata: self.config.metadata.clone(),
            state: self.state(),
            created_at: self.created_at,
            network: Some(cri::PodSandboxNetworkStatus {
                ip: self.address.map(|own| own.to_string()).unwrap_or_default(),
                additional_ips: Vec::new(),
            }),
            linux: Some(cri::LinuxPodSandboxStatus {
                namespaces: Some(cri::Namespace { options }),
            }),
            labels: self.config.labels.clone(),
            annotations: self.config.annotations.clone(),
            runtime_handler: self.handler.clone(),
        }
    }

    /// As a list shows it.
    pub fn item(&self, id: &str) -> cri::PodSandbox {
        cri::PodSandbox {
            id: id.to_owned(),
            metadata: self.config.metadata.clone(),
            state: self.state(),
            created_at: self.created_at,
            labels: self.config.labels.clone(),
            annotations: self.config.annotations.clone(),
            runtime_handler: self.handler.clone(),
        }
    }
}

impl Container {
    /// Its full status.
    pub fn status(&self, id: &str) -> cri::ContainerStatus {
        let (exit_code, finished_at) = self.exit.unwrap_or_default();
        let reason = match self.exit {
            None => "",
            Some((0, _)) => "Completed",
            Some(_) => "Error",
        };
        cri::ContainerStatus {
            id: id.to_owned(),
            metadata: self.config.metadata.clone(),
            state: self.state() as i32,
            created_at: self.created_at,
            started_at: self.started_at,
            finished_at,
            exit_code,
            image: self.config.image.clone(),
            image_ref: self.image_id.clone(),
            image_id: self.image_id.clone(),
            reason: reason.to_owned(),
            labels: self.config.labels.clone(),
            annotations: self.config.annotations.clone(),
            ..cri::ContainerStatus::default()
        }
    }

    /// As a list shows it.
    pub fn item(&self, id: &str) -> cri::Container {
        cri::Container {
            id: id.to_owned(),
            pod_sandbox_id: self.sandbox.clone(),
            metadata: self.config.metadata.clone(),
            image: self.config.image.clone(),
            image_ref: self.image_id.clone(),
            image_id: self.image_id.clone(),
            state: self.state() as i32,
            created_at: self.created_at,
            labels: self.config.labels.clone(),
            annotations: self.config.annotations.clone(),
        }
    }
}
