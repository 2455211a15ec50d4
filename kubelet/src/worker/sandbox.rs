//! Making and configuring the sandbox of a pod.

use ferrule_client::EventType;
use k8s_cri::v1::{self as cri};

use crate::context::PodContext;
use crate::cri::config::{self, SandboxInputs};
use crate::dns;
use crate::resources;

/// The configuration of the sandbox that is the `attempt`th of its pod.
pub fn config(context: &PodContext, attempt: u32) -> cri::PodSandboxConfig {
    let kubelet = &context.kubelet;
    let node = std::fs::read_to_string(&kubelet.config.resolv_conf).unwrap_or_default();
    let amounts = resources::of_pod(&context.pod);
    let (cpu_quota, cpu_period) = resources::cpu_quota(amounts.cpu_limit);
    let inputs = SandboxInputs {
        log_directory: kubelet.log_directory(&context.pod).display().to_string(),
        resolver: dns::resolver(
            &context.pod,
            &dns::parse(&node),
            &kubelet.config.cluster_dns,
            &kubelet.config.cluster_domain,
        ),
        cgroup_parent: kubelet.cgroups.parent(&context.pod),
        resources: cri::LinuxContainerResources {
            cpu_shares: resources::cpu_shares(amounts.cpu_request.unwrap_or(0)),
            cpu_quota,
            cpu_period,
            memory_limit_in_bytes: amounts.memory_limit.unwrap_or(0),
            ..cri::LinuxContainerResources::default()
        },
        cluster_domain: kubelet.config.cluster_domain.clone(),
    };
    config::sandbox(&context.pod, attempt, &inputs)
}

/// Makes a sandbox; its control group comes first. Says in an event why it cannot.
pub async fn create(context: &PodContext, attempt: u32) -> Result<(), String> {
    let kubelet = &context.kubelet;
    if let Err(error) = kubelet.cgroups.ensure(&context.pod) {
        tracing::warn!(%error, "cannot make the control group of a pod");
    }
    if let Err(error) = std::fs::create_dir_all(kubelet.log_directory(&context.pod)) {
        return Err(error.to_string());
    }
    let runtime_handler = String::new();
    let request = cri::RunPodSandboxRequest {
        config: Some(config(context, attempt)),
        runtime_handler,
    };
    match kubelet.cri.run_pod_sandbox(request).await {
        Ok(_) => Ok(()),
        Err(error) => {
            let message = format!("Failed to create pod sandbox: {error}");
            kubelet.pod_event(
                &context.pod,
                EventType::Warning,
                "FailedCreatePodSandBox",
                message.clone(),
            );
            Err(message)
        }
    }
}
