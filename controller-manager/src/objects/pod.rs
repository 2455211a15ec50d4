//! Pods, and what is said of them: active, ready, available.

use jiff::{SignedDuration, Timestamp};
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

use super::meta::{HasMeta, Map, Meta};

/// A pod.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Pod {
    /// Its metadata, annotations that mean something here included.
    pub metadata: PodMeta,
    /// What it should be.
    pub spec: PodSpec,
    /// What it is.
    pub status: PodStatus,
}

/// A pod's metadata.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodMeta {
    /// What every object has.
    #[serde(flatten)]
    pub meta: Meta,
    /// The annotations that matter here.
    pub annotations: PodAnnotations,
    /// How long it had to end when it was deleted; 0 when its kubelet is done with it.
    pub deletion_grace_period_seconds: Option<i64>,
}

/// The annotations of pods that controllers read.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct PodAnnotations {
    /// Pods with a lower cost are deleted first.
    #[serde(rename = "controller.kubernetes.io/pod-deletion-cost")]
    pub deletion_cost: Option<String>,
}

/// What a pod should be.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodSpec {
    /// Where it runs; `""` until it is bound.
    pub node_name: String,
    /// Its host name within a subdomain.
    pub hostname: String,
    /// The headless service that gives it a name.
    pub subdomain: String,
    /// The ports of its containers.
    pub containers: Vec<Container>,
    /// The ports of its sidecars among them.
    pub init_containers: Vec<Container>,
    /// The taints that it bears.
    pub tolerations: Vec<Toleration>,
    /// Its volumes that are claims; the others are not kept.
    #[serde(deserialize_with = "claim_volumes")]
    pub volumes: Vec<ClaimVolume>,
}

/// A volume of a pod that is a claim.
#[derive(Clone, Debug, PartialEq)]
pub enum ClaimVolume {
    /// The claim of this name.
    Named(String),
    /// The claim that is made for the pod's volume of this name.
    Ephemeral(String),
}

impl ClaimVolume {
    /// The name of the claim.
    pub fn claim_name(&self, pod: &Pod) -> String {
        match self {
            ClaimVolume::Named(name) => name.clone(),
            ClaimVolume::Ephemeral(volume) => format!("{}-{volume}", pod.meta().name),
        }
    }
}

fn claim_volumes<'de, D: Deserializer<'de>>(volumes: D) -> Result<Vec<ClaimVolume>, D::Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Volume {
        name: String,
        persistent_volume_claim: Option<Source>,
        ephemeral: Option<IgnoredAny>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Source {
        claim_name: String,
    }
    let volumes = Vec::<Volume>::deserialize(volumes)?;
    let claims = volumes.into_iter().filter_map(|volume| {
        match (volume.persistent_volume_claim, volume.ephemeral) {
            (Some(source), _) => Some(ClaimVolume::Named(source.claim_name)),
            (None, Some(_)) => Some(ClaimVolume::Ephemeral(volume.name)),
            (None, None) => None,
        }
    });
    Ok(claims.collect())
}

/// A container, as far as its ports and restarts.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// Its ports.
    pub ports: Vec<ContainerPort>,
    /// `Always` makes an init container a sidecar.
    pub restart_policy: Option<String>,
}

/// A port of a container.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerPort {
    /// By which services may name it.
    pub name: String,
    /// Its number.
    pub container_port: i32,
    /// `TCP`, `UDP`, `SCTP`.
    pub protocol: String,
}

/// A toleration.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Toleration {
    /// The taint's key; `""` with `Exists` is every key.
    pub key: String,
    /// `Equal` (or `""`) or `Exists`.
    pub operator: String,
    /// The taint's value.
    pub value: String,
    /// The taint's effect; `""` is every effect.
    pub effect: String,
    /// For how long a NoExecute taint is borne; absent is for ever.
    pub toleration_seconds: Option<i64>,
}

/// What a pod is.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodStatus {
    /// `Pending`, `Running`, `Succeeded`, `Failed`, `Unknown`.
    pub phase: String,
    /// Its main address.
    #[serde(rename = "podIP")]
    pub pod_ip: String,
    /// All addresses.
    #[serde(rename = "podIPs")]
    pub pod_ips: Vec<PodIp>,
    /// Its conditions.
    pub conditions: Vec<PodCondition>,
    /// Why it is in this phase: `Evicted`.
    pub reason: String,
    /// How often its containers were restarted.
    pub container_statuses: Vec<ContainerStatus>,
    /// The same of init containers, sidecars among them.
    pub init_container_statuses: Vec<ContainerStatus>,
}

/// An address of a pod.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct PodIp {
    /// The address.
    pub ip: String,
}

/// A condition of a pod.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodCondition {
    /// `Ready`, …
    pub r#type: String,
    /// `True`, `False`, `Unknown`.
    pub status: String,
    /// Why, in one word.
    pub reason: String,
    /// Since when the status is so.
    pub last_transition_time: Option<Timestamp>,
}

/// A container's status, as far as restarts.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerStatus {
    /// The container.
    pub name: String,
    /// How often it was restarted.
    pub restart_count: i32,
}

impl HasMeta for Pod {
    fn meta(&self) -> &Meta {
        &self.metadata.meta
    }
}

impl Pod {
    /// What every object has.
    pub fn meta(&self) -> &Meta {
        &self.metadata.meta
    }

    /// The labels.
    pub fn labels(&self) -> &Map {
        &self.metadata.meta.labels
    }

    /// Whether the pod has ended for good.
    pub fn is_terminal(&self) -> bool {
        matches!(self.status.phase.as_str(), "Succeeded" | "Failed")
    }

    /// Whether its kubelet is done with it, or nobody waited for that: only its removal is left.
    pub fn is_shut_down(&self) -> bool {
        self.meta().is_deleting() && self.metadata.deletion_grace_period_seconds == Some(0)
    }

    /// Whether the pod counts towards replicas: neither ended nor being deleted.
    pub fn is_active(&self) -> bool {
        !self.is_terminal() && !self.meta().is_deleting()
    }

    /// A condition by its type.
    pub fn condition(&self, kind: &str) -> Option<&PodCondition> {
        self.status
            .conditions
            .iter()
            .find(|condition| condition.r#type == kind)
    }

    /// Whether the pod is ready.
    pub fn is_ready(&self) -> bool {
        self.condition("Ready")
            .is_some_and(|ready| ready.status == "True")
    }

    /// Since when the pod is ready.
    pub fn ready_since(&self) -> Option<Timestamp> {
        self.condition("Ready")
            .filter(|ready| ready.status == "True")?
            .last_transition_time
    }

    /// How long until the pod counts as available; `None` while it is not ready.
    pub fn available_in(&self, min_ready_seconds: i64, now: Timestamp) -> Option<SignedDuration> {
        if !self.is_ready() {
            return None;
        }
        if min_ready_seconds == 0 {
            return Some(SignedDuration::ZERO);
        }
        let wait =
            SignedDuration::from_secs(min_ready_seconds) - now.duration_since(self.ready_since()?);
        Some(wait.max(SignedDuration::ZERO))
    }

    /// Whether the pod has been ready for long enough.
    pub fn is_available(&self, min_ready_seconds: i64, now: Timestamp) -> bool {
        self.available_in(min_ready_seconds, now)
            .is_some_and(|wait| wait.is_zero())
    }

    /// The init containers that run beside the others.
    fn sidecars(&self) -> impl Iterator<Item = &Container> {
        self.spec
            .init_containers
            .iter()
            .filter(|c| c.restart_policy.as_deref() == Some("Always"))
    }

    /// How often a container, and how often a sidecar, was restarted: the most of each.
    pub fn restarts(&self) -> (i32, i32) {
        let most = |statuses: &mut dyn Iterator<Item = &ContainerStatus>| {
            statuses
                .map(|status| status.restart_count)
                .max()
                .unwrap_or(0)
        };
        let is_sidecar =
            |status: &&ContainerStatus| self.sidecars().any(|sidecar| sidecar.name == status.name);
        (
            most(&mut self.status.container_statuses.iter()),
            most(
                &mut self
                    .status
                    .init_container_statuses
                    .iter()
                    .filter(is_sidecar),
            ),
        )
    }

    /// Its IPv4 address.
    pub fn ipv4(&self) -> Option<&str> {
        let all = self.status.pod_ips.iter().map(|ip| ip.ip.as_str());
        all.chain([self.status.pod_ip.as_str()])
            .find(|ip| ip.parse::<std::net::Ipv4Addr>().is_ok())
    }

    /// The number of the container port with this name and protocol.
    pub fn named_port(&self, name: &str, protocol: &str) -> Option<i32> {
        self.spec
            .containers
            .iter()
            .chain(self.sidecars())
            .flat_map(|container| &container.ports)
            .find(|port| port.name == name && port.protocol == protocol)
            .map(|port| port.container_port)
    }
}
