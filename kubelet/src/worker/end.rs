//! Ending things: containers with their preStop hooks, sandboxes, records, and what is left.

use std::time::{Duration, Instant};

use ferrule_client::EventType;
use k8s_cri::v1::{self as cri};

use super::hooks;
use crate::context::PodContext;
use crate::cri::CriError;
use crate::pod::{KillReason, spec};
use crate::volumes;

/// What a signal gets at least, after a hook used up the grace.
const MINIMUM_GRACE: Duration = Duration::from_secs(2);

fn gone_is_done(result: Result<(), CriError>) -> Result<(), CriError> {
    match result {
        Err(error) if error.is_not_found() => Ok(()),
        other => other,
    }
}

/// Calls the preStop hook and stops a container, both within `grace`. A kill that hurries another
/// one does not call the hook again.
pub async fn kill(
    context: &PodContext,
    id: &str,
    name: &str,
    reason: KillReason,
    grace: Duration,
    hurried: bool,
) -> Result<(), CriError> {
    let kubelet = &context.kubelet;
    if !hurried {
        kubelet.container_event(
            &context.pod,
            name,
            EventType::Normal,
            "Killing",
            reason.message(name),
        );
    }
    stop(context, id, name, grace, !hurried).await
}

/// Calls the preStop hook, when it shall be, and stops a container, both within `grace`.
pub async fn stop(
    context: &PodContext,
    id: &str,
    name: &str,
    grace: Duration,
    with_hook: bool,
) -> Result<(), CriError> {
    let kubelet = &context.kubelet;
    let began = Instant::now();
    let container = spec::container(&context.pod, name).map(|(container, _)| container);
    let hook = container
        .and_then(|own| own.lifecycle.as_ref())
        .and_then(|own| own.pre_stop.as_ref());
    let mut left = grace;
    if let (Some(container), Some(hook), false) = (container, hook, !with_hook || grace.is_zero()) {
        if let Err(message) = hooks::run(context, container, id, hook, grace).await {
            tracing::info!(
                pod = spec::display(&context.pod),
                container = name,
                message,
                "the preStop hook failed"
            );
            kubelet.container_event(
                &context.pod,
                name,
                EventType::Warning,
                "FailedPreStopHook",
                "PreStopHook failed",
            );
        }
        left = grace.saturating_sub(began.elapsed()).max(MINIMUM_GRACE);
    }
    gone_is_done(kubelet.cri.stop_container(id, left).await)
}

/// Stops a sandbox and what runs in it.
pub async fn stop_sandbox(context: &PodContext, id: &str, recreate: bool) -> Result<(), CriError> {
    if recreate {
        let message = "Pod sandbox changed, it will be killed and re-created.";
        context
            .kubelet
            .pod_event(&context.pod, EventType::Normal, "SandboxChanged", message);
    }
    let request = cri::StopPodSandboxRequest {
        pod_sandbox_id: id.to_owned(),
    };
    gone_is_done(
        context
            .kubelet
            .cri
            .stop_pod_sandbox(request)
            .await
            .map(|_| ()),
    )
}

/// Removes a stopped sandbox.
pub async fn remove_sandbox(context: &PodContext, id: &str) -> Result<(), CriError> {
    let request = cri::RemovePodSandboxRequest {
        pod_sandbox_id: id.to_owned(),
    };
    gone_is_done(
        context
            .kubelet
            .cri
            .remove_pod_sandbox(request)
            .await
            .map(|_| ()),
    )
}

/// Removes a container that ended.
pub async fn remove_container(context: &PodContext, id: &str) -> Result<(), CriError> {
    let request = cri::RemoveContainerRequest {
        container_id: id.to_owned(),
    };
    gone_is_done(
        context
            .kubelet
            .cri
            .remove_container(request)
            .await
            .map(|_| ()),
    )
}

/// Removes volumes and control groups of a pod of which nothing runs any more.
pub fn clean(context: &PodContext) -> std::io::Result<()> {
    let uid = spec::uid(&context.pod);
    volumes::tear_down(&context.kubelet.config.root, uid)?;
    context.kubelet.cgroups.remove(uid)
}
