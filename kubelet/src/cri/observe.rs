//! From the runtime's answers to the model.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use k8s_cri::v1::{self as cri};

use super::{CONTAINER_NAME, Cri, CriError, HASH, POD_UID, RESTART_COUNT};
use crate::pod::{Record, Sandbox, State};

/// Sandboxes and containers of one pod, each newest first. Records in `ended` are not asked for
/// again: what has ended does not change.
pub async fn pod(
    runtime: &Cri,
    uid: &str,
    ended: &HashMap<String, Record>,
) -> Result<(Vec<Sandbox>, Vec<Record>), CriError> {
    let filter = cri::PodSandboxFilter {
        label_selector: [(POD_UID.to_owned(), uid.to_owned())].into(),
        ..cri::PodSandboxFilter::default()
    };
    let listed = runtime
        .list_pod_sandbox(cri::ListPodSandboxRequest {
            filter: Some(filter),
        })
        .await?;
    let mut sandboxes = Vec::new();
    let mut records = Vec::new();
    // A runtime that sends events tells of a sandbox's containers together with it.
    let mut complete = true;
    for item in listed.items {
        let request = cri::PodSandboxStatusRequest {
            pod_sandbox_id: item.id.clone(),
            verbose: false,
        };
        match runtime.pod_sandbox_status(request).await {
            Ok(answer) => {
                complete &= answer.timestamp > 0;
                let statuses = answer.containers_statuses.into_iter();
                records.extend(statuses.map(|status| record(status, &item.id)));
                sandboxes.push(sandbox(&item, answer.status.unwrap_or_default()));
            }
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
    }
    if !complete {
        records = containers(runtime, uid, ended).await?;
    }
    sandboxes.sort_by_key(|sandbox| std::cmp::Reverse((sandbox.attempt, sandbox.created_at)));
    records.sort_by_key(|record| std::cmp::Reverse((record.created_at, record.attempt)));
    Ok((sandboxes, records))
}

async fn containers(
    runtime: &Cri,
    uid: &str,
    ended: &HashMap<String, Record>,
) -> Result<Vec<Record>, CriError> {
    let filter = cri::ContainerFilter {
        label_selector: [(POD_UID.to_owned(), uid.to_owned())].into(),
        ..cri::ContainerFilter::default()
    };
    let listed = runtime
        .list_containers(cri::ListContainersRequest {
            filter: Some(filter),
        })
        .await?;
    let mut records = Vec::new();
    for item in listed.containers {
        if let Some(record) = ended.get(&item.id) {
            records.push(record.clone());
            continue;
        }
        let request = cri::ContainerStatusRequest {
            container_id: item.id.clone(),
            verbose: false,
        };
        match runtime.container_status(request).await {
            Ok(answer) => records.extend(
                answer
                    .status
                    .map(|status| record(status, &item.pod_sandbox_id)),
            ),
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(records)
}

fn sandbox(item: &cri::PodSandbox, status: cri::PodSandboxStatus) -> Sandbox {
    let network = status.network.unwrap_or_default();
    let mut ips: Vec<String> = Vec::new();
    ips.extend((!network.ip.is_empty()).then_some(network.ip));
    ips.extend(network.additional_ips.into_iter().map(|own| own.ip));
    let options = status
        .linux
        .and_then(|linux| linux.namespaces)
        .and_then(|namespaces| namespaces.options);
    let host_network =
        options.is_some_and(|options| options.network == cri::NamespaceMode::Node as i32);
    Sandbox {
        id: item.id.clone(),
        attempt: status.metadata.map_or(0, |metadata| metadata.attempt),
        ready: status.state == cri::PodSandboxState::SandboxReady as i32,
        created_at: time(status.created_at).unwrap_or(Timestamp::UNIX_EPOCH),
        host_network,
        ips,
    }
}

fn record(status: cri::ContainerStatus, sandbox_id: &str) -> Record {
    let metadata = status.metadata.unwrap_or_default();
    let name = status
        .labels
        .get(CONTAINER_NAME)
        .cloned()
        .unwrap_or(metadata.name);
    let attempt = status
        .annotations
        .get(RESTART_COUNT)
        .and_then(|own| own.parse().ok());
    let state = match cri::ContainerState::try_from(status.state) {
        Ok(cri::ContainerState::ContainerCreated) => State::Created,
        Ok(cri::ContainerState::ContainerRunning) => State::Running,
        Ok(cri::ContainerState::ContainerExited) => State::Exited,
        _ => State::Unknown,
    };
    let reason = match (state, status.reason.is_empty(), status.exit_code) {
        (State::Exited, true, 0) => "Completed".to_owned(),
        (State::Exited, true, _) => "Error".to_owned(),
        _ => status.reason,
    };
    let image = status.image.unwrap_or_default();
    let user = status.user.and_then(|user| user.linux);
    Record {
        id: status.id,
        name,
        sandbox_id: sandbox_id.to_owned(),
        attempt: attempt.unwrap_or(metadata.attempt),
        state,
        created_at: time(status.created_at).unwrap_or(Timestamp::UNIX_EPOCH),
        started_at: time(status.started_at),
        finished_at: time(status.finished_at),
        exit_code: status.exit_code,
        reason,
        message: status.message,
        image: if image.user_specified_image.is_empty() {
            image.image
        } else {
            image.user_specified_image
        },
        image_ref: if status.image_ref.is_empty() {
            status.image_id
        } else {
            status.image_ref
        },
        hash: status
            .annotations
            .get(HASH)
            .and_then(|own| u64::from_str_radix(own, 16).ok())
            .unwrap_or(0),
        log_path: status.log_path,
        user: user.map(|user| (user.uid, user.gid, user.supplemental_groups)),
    }
}

fn time(nanoseconds: i64) -> Option<Timestamp> {
    (nanoseconds > 0)
        .then(|| Timestamp::from_nanosecond(i128::from(nanoseconds)).ok())
        .flatten()
}

/// A pod as the runtime knows it, when there is no object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuntimePod {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Names of its containers.
    pub containers: Vec<String>,
    /// Ids and states of everything, in order: what changes when something happens.
    pub fingerprint: Vec<(String, i32)>,
}

/// All pods of the runtime by uid.
pub async fn all(runtime: &Cri) -> Result<BTreeMap<String, RuntimePod>, CriError> {
    let mut pods: BTreeMap<String, RuntimePod> = BTreeMap::new();
    let sandboxes = runtime
        .list_pod_sandbox(cri::ListPodSandboxRequest { filter: None })
        .await?;
    for item in sandboxes.items {
        let Some(metadata) = item.metadata else {
            continue;
        };
        // What carries no label of ours was made by somebody else.
        if item.labels.get(POD_UID) != Some(&metadata.uid) {
            continue;
        }
        let pod = pods.entry(metadata.uid).or_default();
        pod.namespace = metadata.namespace;
        pod.name = metadata.name;
        pod.fingerprint.push((item.id, item.state));
    }
    let containers = runtime
        .list_containers(cri::ListContainersRequest { filter: None })
        .await?;
    for item in containers.containers {
        let Some(uid) = item.labels.get(POD_UID) else {
            continue;
        };
        let pod = pods.entry(uid.clone()).or_default();
        if pod.name.is_empty() {
            pod.name = item
                .labels
                .get(super::POD_NAME)
                .cloned()
                .unwrap_or_default();
            pod.namespace = item
                .labels
                .get(super::POD_NAMESPACE)
                .cloned()
                .unwrap_or_default();
        }
        if let Some(name) = item
            .labels
            .get(CONTAINER_NAME)
            .filter(|name| !pod.containers.contains(name))
        {
            pod.containers.push(name.clone());
        }
        pod.fingerprint.push((item.id, item.state));
    }
    for pod in pods.values_mut() {
        pod.fingerprint.sort();
    }
    Ok(pods)
}
