//! The status of the node: addresses, resources, system, images, conditions.

use std::collections::BTreeMap;
use std::time::Duration;

use ferrule_component_base::GIT_VERSION;
use jiff::Timestamp;
use k8s_cri::v1::{self as cri};
use k8s_openapi::api::core::v1::{
    ContainerImage, DaemonEndpoint, NodeAddress, NodeCondition, NodeDaemonEndpoints, NodeStatus,
    NodeSystemInfo,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use serde_json::{Value, json};

use super::facts;
use crate::context::Kubelet;
use crate::status::seconds;

/// Images that are reported, the largest first, and names of each.
const IMAGES: usize = 50;
const NAMES: usize = 5;
/// For so long a runtime may be silent before its node counts as not ready, as upstream has it.
const RUNTIME_SILENCE: Duration = Duration::from_secs(30);

/// The status as it is now. `old` keeps the times of conditions that did not change.
pub async fn generate(
    kubelet: &Kubelet,
    old: &NodeStatus,
    port: u16,
    now: Timestamp,
) -> NodeStatus {
    let runtime = runtime(kubelet, super::ready(Some(old)) == Some(true)).await;
    let version = kubelet
        .cri
        .version(cri::VersionRequest {
            version: String::new(),
        })
        .await;
    let runtime_version = match version {
        Ok(version) => format!("{}://{}", version.runtime_name, version.runtime_version),
        Err(_) => old
            .node_info
            .as_ref()
            .map(|own| own.container_runtime_version.clone())
            .unwrap_or_default(),
    };
    let (capacity, allocatable) = resources(kubelet);
    let images = images(kubelet).await;
    NodeStatus {
        addresses: Some(addresses(kubelet)),
        capacity: Some(capacity),
        allocatable: Some(allocatable),
        conditions: Some(conditions(kubelet, &runtime, old, now)),
        daemon_endpoints: Some(NodeDaemonEndpoints {
            kubelet_endpoint: Some(DaemonEndpoint {
                port: i32::from(port),
            }),
        }),
        images: images.or_else(|| old.images.clone()),
        node_info: Some(NodeSystemInfo {
            architecture: facts::architecture().to_owned(),
            boot_id: facts::boot_id(),
            container_runtime_version: runtime_version,
            kernel_version: facts::kernel(),
            kube_proxy_version: String::new(),
            kubelet_version: GIT_VERSION.to_owned(),
            machine_id: facts::machine_id(),
            operating_system: "linux".to_owned(),
            os_image: facts::os_image(),
            system_uuid: facts::system_uuid(),
            swap: None,
        }),
        ..NodeStatus::default()
    }
}

/// The patch that sets our parts of the status; `None` when there is nothing to say.
pub fn patch(old: &NodeStatus, new: &NodeStatus) -> Option<Value> {
    let mut status = serde_json::to_value(new).ok()?;
    let gone = |kept: &Option<Vec<NodeAddress>>, own: &NodeAddress| {
        !kept.iter().flatten().any(|other| other.type_ == own.type_)
    };
    // The list is merged by type; an address whose type is gone must be named.
    let stale = old
        .addresses
        .iter()
        .flatten()
        .filter(|own| gone(&new.addresses, own));
    let deletions: Vec<Value> = stale
        .map(|own| json!({"$patch": "delete", "type": own.type_}))
        .collect();
    if let Some(list) = status["addresses"].as_array_mut() {
        list.extend(deletions);
    }
    Some(json!({"status": status}))
}

fn addresses(kubelet: &Kubelet) -> Vec<NodeAddress> {
    let address = |kind: &str, address: String| NodeAddress {
        type_: kind.to_owned(),
        address,
    };
    let mut all: Vec<NodeAddress> = kubelet
        .addresses
        .all()
        .iter()
        .map(|ip| address("InternalIP", ip.to_string()))
        .collect();
    all.push(address("Hostname", kubelet.config.node.clone()));
    all
}

type List = BTreeMap<String, Quantity>;

fn resources(kubelet: &Kubelet) -> (List, List) {
    let own = &kubelet.capacity;
    let cpu = |milli: i64| {
        if milli % 1000 == 0 {
            (milli / 1000).to_string()
        } else {
            format!("{milli}m")
        }
    };
    let list = |cpu: String, memory: i64, storage: String| -> List {
        [
            ("cpu", cpu),
            ("ephemeral-storage", storage),
            ("hugepages-1Gi", "0".to_owned()),
            ("hugepages-2Mi", "0".to_owned()),
            ("memory", format!("{}Ki", memory / 1024)),
            ("pods", kubelet.config.max_pods.to_string()),
        ]
        .into_iter()
        .map(|(name, amount)| (name.to_owned(), Quantity(amount)))
        .collect()
    };
    let usable = |name: &str, all: i64| own.allocatable.get(name).copied().unwrap_or(all);
    (
        list(
            cpu(own.cpu),
            own.memory,
            format!("{}Ki", own.storage / 1024),
        ),
        list(
            cpu(usable("cpu", own.cpu)),
            usable("memory", own.memory),
            usable("ephemeral-storage", own.storage).to_string(),
        ),
    )
}

/// What is wrong with the runtime, in the words of the Ready condition. A runtime that is being
/// started again takes no node away that `was_ready`: its containers run on.
async fn runtime(kubelet: &Kubelet, was_ready: bool) -> Vec<String> {
    let status = match kubelet.cri.status().await {
        Ok(answer) => answer.status.unwrap_or_default(),
        Err(_) if was_ready && kubelet.cri.silence() < RUNTIME_SILENCE => return Vec::new(),
        Err(error) => return vec![format!("container runtime is down: {error}")],
    };
    let find = |kind: &str| status.conditions.iter().find(|own| own.r#type == kind);
    let mut wrong = Vec::new();
    for (kind, what) in [
        ("RuntimeReady", "runtime"),
        ("NetworkReady", "runtime network"),
    ] {
        match find(kind) {
            Some(own) if own.status => {}
            Some(own) => wrong.push(format!(
                "container {what} not ready: {kind}=false reason:{} message:{}",
                own.reason, own.message
            )),
            None => wrong.push(format!(
                "container {what} not ready: {kind} is not reported"
            )),
        }
    }
    if kubelet.runtime.get().is_none() && !was_ready {
        wrong.push("container runtime status check may not have completed yet".to_owned());
    }
    wrong
}

fn conditions(
    kubelet: &Kubelet,
    wrong: &[String],
    old: &NodeStatus,
    now: Timestamp,
) -> Vec<NodeCondition> {
    let pressure =
        |kind, is, yes: (&'static str, &'static str), no: (&'static str, &'static str)| {
            let (reason, message) = if is { yes } else { no };
            (kind, is, reason, message.to_owned())
        };
    let ready = if wrong.is_empty() {
        (
            "Ready",
            true,
            "KubeletReady",
            "kubelet is posting ready status".to_owned(),
        )
    } else {
        ("Ready", false, "KubeletNotReady", wrong.join(","))
    };
    let all = [
        pressure(
            "MemoryPressure",
            facts::memory_pressure(),
            (
                "KubeletHasInsufficientMemory",
                "kubelet has insufficient memory available",
            ),
            (
                "KubeletHasSufficientMemory",
                "kubelet has sufficient memory available",
            ),
        ),
        pressure(
            "DiskPressure",
            facts::disk_pressure(&kubelet.config.root),
            ("KubeletHasDiskPressure", "kubelet has disk pressure"),
            ("KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        ),
        pressure(
            "PIDPressure",
            facts::pid_pressure(),
            (
                "KubeletHasInsufficientPID",
                "kubelet has insufficient PID available",
            ),
            (
                "KubeletHasSufficientPID",
                "kubelet has sufficient PID available",
            ),
        ),
        ready,
    ];
    let dated = |(kind, is, reason, message): (&str, bool, &str, String)| {
        let status = if is { "True" } else { "False" };
        let before = old
            .conditions
            .iter()
            .flatten()
            .find(|own| own.type_ == kind && own.status == status);
        NodeCondition {
            type_: kind.to_owned(),
            status: status.to_owned(),
            reason: Some(reason.to_owned()),
            message: Some(message),
            last_heartbeat_time: Some(seconds(now)),
            last_transition_time: before
                .and_then(|own| own.last_transition_time.clone())
                .or_else(|| Some(seconds(now))),
        }
    };
    all.into_iter().map(dated).collect()
}

async fn images(kubelet: &Kubelet) -> Option<Vec<ContainerImage>> {
    let mut listed = kubelet
        .cri
        .list_images(cri::ListImagesRequest { filter: None })
        .await
        .ok()?
        .images;
    listed.sort_by(|a, b| b.size.cmp(&a.size).then_with(|| a.id.cmp(&b.id)));
    let image = |image: cri::Image| {
        let names: Vec<String> = image
            .repo_digests
            .into_iter()
            .chain(image.repo_tags)
            .take(NAMES)
            .collect();
        ContainerImage {
            names: Some(names),
            size_bytes: Some(i64::try_from(image.size).unwrap_or(i64::MAX)),
        }
    };
    Some(listed.into_iter().take(IMAGES).map(image).collect())
}
