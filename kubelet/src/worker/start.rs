//! Starting a container: image, environment, mounts, creation, start, postStart hook.

use std::time::Duration;

use ferrule_client::EventType;
use jiff::{SignedDuration, Timestamp};
use k8s_cri::v1::{self as cri};
use k8s_openapi::api::core::v1::Container;
use tokio_util::sync::CancellationToken;

use super::{end, hooks, mounts, sandbox};
use crate::context::PodContext;
use crate::cri::{CriError, config};
use crate::env::{self, Inputs, fields::PodFacts, services};
use crate::objects::Kind;
use crate::pod::{Failure, spec};
use crate::resources;

/// A start that is asked for.
#[derive(Clone, Debug)]
pub struct Start {
    /// The container's name.
    pub name: String,
    /// Its restart count.
    pub attempt: u32,
    /// Where.
    pub sandbox_id: String,
    /// How many sandboxes there were before that one.
    pub sandbox_attempt: u32,
    /// A never started attempt to be removed first.
    pub replaces: Option<String>,
}

fn failure(reason: &str, message: impl Into<String>) -> Failure {
    let retry_at = Timestamp::now() + SignedDuration::from_secs(10);
    Failure {
        reason: reason.to_owned(),
        message: message.into(),
        retry_at,
    }
}

/// The rpc's description alone, as events show it.
fn said(error: CriError) -> String {
    error.message
}

/// Starts a container. `None` is success, or a start that was called off.
pub async fn start(
    context: &PodContext,
    start: &Start,
    cancelled: &CancellationToken,
) -> Option<Failure> {
    let (container, _) = spec::container(&context.pod, &start.name)?;
    let kubelet = &context.kubelet;
    let event = |kind, reason: &str, message: String| {
        kubelet.container_event(&context.pod, &start.name, kind, reason, message);
    };
    // A pull may take minutes; a pod that ends does not wait for it. Short calls run to their end,
    // so that no container comes to be behind our back.
    let image = tokio::select! {
        image = kubelet.images.ensure(context, container) => image,
        () = cancelled.cancelled() => return None,
    };
    let image = match image {
        Ok(image) => image,
        Err(failure) => return Some(failure),
    };
    if let Some(id) = &start.replaces {
        let request = cri::RemoveContainerRequest {
            container_id: id.clone(),
        };
        if let Err(error) = kubelet.cri.remove_container(request).await
            && !error.is_not_found()
        {
            return Some(failure("CreateContainerError", said(error)));
        }
    }
    let config = tokio::select! {
        config = configure(context, container, start.attempt, image) => config,
        () = cancelled.cancelled() => return None,
    };
    let config = match config {
        Ok(config) => config,
        Err(message) => {
            event(EventType::Warning, "Failed", format!("Error: {message}"));
            return Some(failure("CreateContainerConfigError", message));
        }
    };
    if let Some(directory) = kubelet
        .log_directory(&context.pod)
        .join(&config.log_path)
        .parent()
        && let Err(error) = std::fs::create_dir_all(directory)
    {
        return Some(failure("CreateContainerError", error.to_string()));
    }
    if cancelled.is_cancelled() {
        return None;
    }
    let request = cri::CreateContainerRequest {
        pod_sandbox_id: start.sandbox_id.clone(),
        config: Some(config),
        sandbox_config: Some(sandbox::config(context, start.sandbox_attempt)),
    };
    let id = match kubelet.cri.create_container(request).await {
        Ok(answer) => answer.container_id,
        Err(error) => {
            let message = said(error);
            event(EventType::Warning, "Failed", format!("Error: {message}"));
            return Some(failure("CreateContainerError", message));
        }
    };
    event(EventType::Normal, "Created", "Container created".to_owned());
    let request = cri::StartContainerRequest {
        container_id: id.clone(),
    };
    if let Err(error) = kubelet.cri.start_container(request).await {
        let message = said(error);
        event(EventType::Warning, "Failed", format!("Error: {message}"));
        return Some(failure("RunContainerError", message));
    }
    kubelet.metrics.started.inc();
    event(EventType::Normal, "Started", "Container started".to_owned());
    let hook = container
        .lifecycle
        .as_ref()
        .and_then(|own| own.post_start.as_ref())?;
    let limit = Duration::from_secs(24 * 3600);
    let result = tokio::select! {
        result = hooks::run(context, container, &id, hook, limit) => result,
        () = cancelled.cancelled() => return None,
    };
    let Err(message) = result else { return None };
    tracing::info!(
        pod = spec::display(&context.pod),
        container = start.name,
        message,
        "the postStart hook failed"
    );
    event(
        EventType::Warning,
        "FailedPostStartHook",
        "PostStartHook failed".to_owned(),
    );
    event(
        EventType::Normal,
        "Killing",
        "FailedPostStartHook".to_owned(),
    );
    let grace = Duration::from_secs(u64::try_from(spec::grace_seconds(&context.pod)).unwrap_or(0));
    if let Err(error) = end::stop(context, &id, &start.name, grace, true).await {
        tracing::warn!(%error, "cannot stop a container whose postStart hook failed");
    }
    Some(failure("PostStartHookError", message))
}

async fn configure(
    context: &PodContext,
    container: &Container,
    attempt: u32,
    image: crate::images::Present,
) -> Result<cri::ContainerConfig, String> {
    let kubelet = &context.kubelet;
    let environment = environment(context, container).await?;
    let mounts = mounts::mounts(context, container, attempt, &environment)?;
    let inputs = config::ContainerInputs {
        image_ref: image.id,
        image_user: image.user,
        environment,
        mounts,
        resources: resources::to_cri(
            &context.pod,
            container,
            kubelet.capacity.memory,
            kubelet.cgroups.unified(),
        ),
    };
    config::container(&context.pod, container, attempt, &inputs)
}

async fn environment(
    context: &PodContext,
    container: &Container,
) -> Result<Vec<(String, String)>, String> {
    let pod = &context.pod;
    let (config_maps, secrets) = env::references(container);
    let services = context.kubelet.services.list();
    let links = spec::of(pod)
        .and_then(|spec| spec.enable_service_links)
        .unwrap_or(true);
    let inputs = Inputs {
        config_maps: context
            .objects
            .read_all(Kind::ConfigMap, config_maps)
            .await?,
        secrets: context.objects.read_all(Kind::Secret, secrets).await?,
        services: services::variables(
            services.iter().map(|own| &own.value),
            spec::namespace(pod),
            links,
        ),
        facts: facts(context),
    };
    env::environment(pod, container, &inputs).map_err(|error| error.to_string())
}

/// What fields of this pod refer to.
pub fn facts(context: &PodContext) -> PodFacts {
    let host_ips = context.kubelet.host_ips();
    PodFacts {
        pod_ips: if spec::host_network(&context.pod) {
            host_ips.clone()
        } else {
            context.pod_ips.clone()
        },
        host_ips,
        allocatable: context.kubelet.capacity.allocatable.clone(),
    }
}
