//! What the runtime is asked to make: the configurations of sandboxes and containers.

use std::collections::HashMap;

use k8s_cri::v1::{self as cri};
use k8s_openapi::api::core::v1::{Container, ContainerPort, Pod};

use super::{CONTAINER_NAME, HASH, POD_NAME, POD_NAMESPACE, POD_UID, RESTART_COUNT, security};
use crate::dns::Resolver;
use crate::env::expand::expand;
use crate::pod::spec;

/// What the node gives to a sandbox.
#[derive(Clone, Debug, Default)]
pub struct SandboxInputs {
    /// The log directory of the pod.
    pub log_directory: String,
    /// Its resolver.
    pub resolver: Resolver,
    /// Its control group.
    pub cgroup_parent: String,
    /// What it is limited to as a whole.
    pub resources: cri::LinuxContainerResources,
    /// The domain of the cluster.
    pub cluster_domain: String,
}

/// What the node gives to a container.
#[derive(Clone, Debug, Default)]
pub struct ContainerInputs {
    /// How the image is called to the runtime.
    pub image_ref: String,
    /// The user of the image, where it is a number.
    pub image_user: Option<i64>,
    /// The environment.
    pub environment: Vec<(String, String)>,
    /// Mounts, those of the kubelet itself included.
    pub mounts: Vec<cri::Mount>,
    /// Requests and limits.
    pub resources: cri::LinuxContainerResources,
}

fn owned(pairs: impl IntoIterator<Item = (&'static str, String)>) -> HashMap<String, String> {
    pairs
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}

fn pod_labels(pod: &Pod) -> HashMap<String, String> {
    owned([
        (POD_NAME, spec::name(pod).to_owned()),
        (POD_NAMESPACE, spec::namespace(pod).to_owned()),
        (POD_UID, spec::uid(pod).to_owned()),
    ])
}

/// The sandbox of `pod`.
pub fn sandbox(pod: &Pod, attempt: u32, inputs: &SandboxInputs) -> cri::PodSandboxConfig {
    let mut labels: HashMap<String, String> = pod
        .metadata
        .labels
        .iter()
        .flatten()
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    labels.extend(pod_labels(pod));
    let annotations = pod
        .metadata
        .annotations
        .iter()
        .flatten()
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let spec = spec::of(pod);
    let sysctls = spec
        .and_then(|spec| spec.security_context.as_ref())
        .and_then(|own| own.sysctls.as_ref())
        .into_iter()
        .flatten()
        .map(|sysctl| (sysctl.name.clone(), sysctl.value.clone()))
        .collect();
    let hostname = spec::hostname(pod);
    let subdomain = spec
        .and_then(|spec| spec.subdomain.as_deref())
        .filter(|own| !own.is_empty());
    let fqdn = spec
        .and_then(|spec| spec.set_hostname_as_fqdn)
        .unwrap_or(false);
    let hostname = match subdomain.filter(|_| fqdn) {
        Some(subdomain) => {
            format!(
                "{hostname}.{subdomain}.{}.svc.{}",
                spec::namespace(pod),
                inputs.cluster_domain
            )
        }
        None => hostname,
    };
    cri::PodSandboxConfig {
        metadata: Some(cri::PodSandboxMetadata {
            name: spec::name(pod).to_owned(),
            uid: spec::uid(pod).to_owned(),
            namespace: spec::namespace(pod).to_owned(),
            attempt,
        }),
        // On the node's network the host name is the node's.
        hostname: if spec::host_network(pod) {
            String::new()
        } else {
            hostname
        },
        log_directory: inputs.log_directory.clone(),
        dns_config: Some(cri::DnsConfig {
            servers: inputs.resolver.servers.clone(),
            searches: inputs.resolver.searches.clone(),
            options: inputs.resolver.options.clone(),
        }),
        port_mappings: port_mappings(pod),
        labels,
        annotations,
        linux: Some(cri::LinuxPodSandboxConfig {
            cgroup_parent: inputs.cgroup_parent.clone(),
            security_context: Some(security::sandbox(pod)),
            sysctls,
            resources: Some(inputs.resources.clone()),
            ..cri::LinuxPodSandboxConfig::default()
        }),
        windows: None,
    }
}

fn port_mappings(pod: &Pod) -> Vec<cri::PortMapping> {
    if spec::host_network(pod) {
        return Vec::new();
    }
    let ports =
        spec::all_containers(pod).flat_map(|(container, _)| container.ports.iter().flatten());
    let mapping = |port: &ContainerPort| cri::PortMapping {
        protocol: match port.protocol.as_deref() {
            Some("UDP") => cri::Protocol::Udp as i32,
            Some("SCTP") => cri::Protocol::Sctp as i32,
            _ => cri::Protocol::Tcp as i32,
        },
        container_port: port.container_port,
        host_port: port.host_port.unwrap_or(0),
        host_ip: port.host_ip.clone().unwrap_or_default(),
    };
    ports.map(mapping).collect()
}

/// The log of an attempt, relative to the pod's log directory.
pub fn log_path(container: &str, attempt: u32) -> String {
    format!("{container}/{attempt}.log")
}

/// A container of `pod`. An error is one of configuration, for people.
pub fn container(
    pod: &Pod,
    container: &Container,
    attempt: u32,
    inputs: &ContainerInputs,
) -> Result<cri::ContainerConfig, String> {
    let lookup = |name: &str| {
        let mut all = inputs.environment.iter();
        all.find(|(own, _)| own == name)
            .map(|(_, value)| value.clone())
    };
    let expanded = |list: &Option<Vec<String>>| -> Vec<String> {
        list.iter()
            .flatten()
            .map(|text| expand(text, lookup))
            .collect()
    };
    let mut labels = pod_labels(pod);
    labels.insert(CONTAINER_NAME.to_owned(), container.name.clone());
    let text = |own: &Option<String>| own.clone().unwrap_or_default();
    let annotations = owned([
        (HASH, format!("{:x}", spec::container_hash(container))),
        (RESTART_COUNT, attempt.to_string()),
        (
            "io.kubernetes.container.terminationMessagePath",
            text(&container.termination_message_path),
        ),
        (
            "io.kubernetes.container.terminationMessagePolicy",
            text(&container.termination_message_policy),
        ),
        (
            "io.kubernetes.pod.terminationGracePeriod",
            spec::grace_seconds(pod).to_string(),
        ),
    ]);
    let stdin = container.stdin.unwrap_or(false);
    Ok(cri::ContainerConfig {
        metadata: Some(cri::ContainerMetadata {
            name: container.name.clone(),
            attempt,
        }),
        image: Some(cri::ImageSpec {
            image: inputs.image_ref.clone(),
            user_specified_image: text(&container.image),
            ..cri::ImageSpec::default()
        }),
        command: expanded(&container.command),
        args: expanded(&container.args),
        working_dir: text(&container.working_dir),
        envs: inputs
            .environment
            .iter()
            .map(|(key, value)| cri::KeyValue {
                key: key.clone(),
                value: value.clone(),
            })
            .collect(),
        mounts: inputs.mounts.clone(),
        labels,
        annotations,
        log_path: log_path(&container.name, attempt),
        stdin,
        stdin_once: container.stdin_once.unwrap_or(false),
        tty: container.tty.unwrap_or(false),
        linux: Some(cri::LinuxContainerConfig {
            resources: Some(inputs.resources.clone()),
            security_context: Some(security::container(pod, container, inputs.image_user)?),
        }),
        ..cri::ContainerConfig::default()
    })
}
