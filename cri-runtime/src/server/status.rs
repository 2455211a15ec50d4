//! Records as CRI shows them, and the filters of the lists.

use std::collections::HashMap;

use k8s_cri::v1::{
    self as cri, ContainerState, LinuxPodSandboxStatus, PodIp, PodSandboxNetworkStatus,
    PodSandboxState,
};

use super::records::{ContainerRecord, SandboxRecord};
use crate::image::store::Image;

/// The full status of a sandbox.
pub fn sandbox_status(record: &SandboxRecord) -> cri::PodSandboxStatus {
    let mut addresses = record.addresses.iter();
    cri::PodSandboxStatus {
        id: record.id.clone(),
        metadata: record.config.metadata.clone(),
        state: sandbox_state(record) as i32,
        created_at: record.created_at,
        network: Some(PodSandboxNetworkStatus {
            ip: addresses.next().cloned().unwrap_or_default(),
            additional_ips: addresses.map(|ip| PodIp { ip: ip.clone() }).collect(),
        }),
        linux: Some(LinuxPodSandboxStatus {
            namespaces: Some(cri::Namespace {
                options: Some(record.namespaces()),
            }),
        }),
        labels: record.config.labels.clone(),
        annotations: record.config.annotations.clone(),
        runtime_handler: record.runtime_handler.clone(),
    }
}

fn sandbox_state(record: &SandboxRecord) -> PodSandboxState {
    if record.ready {
        PodSandboxState::SandboxReady
    } else {
        PodSandboxState::SandboxNotready
    }
}

/// A sandbox in a list.
pub fn sandbox_item(record: &SandboxRecord) -> cri::PodSandbox {
    cri::PodSandbox {
        id: record.id.clone(),
        metadata: record.config.metadata.clone(),
        state: sandbox_state(record) as i32,
        created_at: record.created_at,
        labels: record.config.labels.clone(),
        annotations: record.config.annotations.clone(),
        runtime_handler: record.runtime_handler.clone(),
    }
}

/// Whether the filter lets the sandbox through.
pub fn sandbox_matches(record: &SandboxRecord, filter: Option<&cri::PodSandboxFilter>) -> bool {
    filter.is_none_or(|filter| {
        record.id.starts_with(&filter.id)
            && filter
                .state
                .as_ref()
                .is_none_or(|state| state.state == sandbox_state(record) as i32)
            && labels_match(&record.config.labels, &filter.label_selector)
    })
}

/// The full status of a container.
pub fn container_status(record: &ContainerRecord) -> cri::ContainerStatus {
    let exit = record.exit.clone().unwrap_or_default();
    let config = &record.config;
    cri::ContainerStatus {
        id: record.id.clone(),
        metadata: config.metadata.clone(),
        state: record.state() as i32,
        created_at: record.created_at,
        started_at: record.started_at,
        finished_at: exit.finished_at,
        exit_code: exit.exit_code,
        image: config.image.clone(),
        image_ref: record.image_ref.clone(),
        reason: record.reason(),
        message: record.message.clone(),
        labels: config.labels.clone(),
        annotations: config.annotations.clone(),
        mounts: config.mounts.clone(),
        log_path: record
            .log_path
            .as_ref()
            .map(|path| path.display().to_string())
            .unwrap_or_default(),
        resources: config
            .linux
            .as_ref()
            .and_then(|linux| linux.resources.clone())
            .map(|linux| cri::ContainerResources {
                linux: Some(linux),
                windows: None,
            }),
        image_id: record.image_id.clone(),
        user: Some(cri::ContainerUser {
            linux: Some(cri::LinuxContainerUser {
                uid: record.user.uid.into(),
                gid: record.user.gid.into(),
                supplemental_groups: record.user.groups.iter().map(|gid| (*gid).into()).collect(),
            }),
        }),
    }
}

/// A container in a list.
pub fn container_item(record: &ContainerRecord) -> cri::Container {
    cri::Container {
        id: record.id.clone(),
        pod_sandbox_id: record.sandbox.clone(),
        metadata: record.config.metadata.clone(),
        image: record.config.image.clone(),
        image_ref: record.image_ref.clone(),
        state: record.state() as i32,
        created_at: record.created_at,
        labels: record.config.labels.clone(),
        annotations: record.config.annotations.clone(),
        image_id: record.image_id.clone(),
    }
}

/// Whether the filter lets the container through.
pub fn container_matches(record: &ContainerRecord, filter: Option<&cri::ContainerFilter>) -> bool {
    filter.is_none_or(|filter| {
        record.id.starts_with(&filter.id)
            && record.sandbox.starts_with(&filter.pod_sandbox_id)
            && filter
                .state
                .as_ref()
                .is_none_or(|state| state.state == record.state() as i32)
            && labels_match(&record.config.labels, &filter.label_selector)
    })
}

/// Whether every label of the selector is there.
pub fn labels_match(labels: &HashMap<String, String>, selector: &HashMap<String, String>) -> bool {
    selector
        .iter()
        .all(|(key, value)| labels.get(key) == Some(value))
}

/// An image of the store.
pub fn image(image: &Image) -> cri::Image {
    let user = image.config.user.split(':').next().unwrap_or_default();
    let uid = user.parse::<i64>().ok();
    cri::Image {
        id: image.id.clone(),
        repo_tags: image.tags.iter().cloned().collect(),
        repo_digests: image.digests.iter().cloned().collect(),
        size: image.size,
        uid: if user.is_empty() { Some(0) } else { uid }.map(|value| cri::Int64Value { value }),
        username: if uid.is_some() { "" } else { user }.to_owned(),
        spec: None,
        pinned: false,
    }
}

/// Whether the state is one in which processes run.
pub fn is_running(record: &ContainerRecord) -> bool {
    record.state() == ContainerState::ContainerRunning
}
