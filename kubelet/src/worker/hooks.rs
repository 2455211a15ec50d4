//! The lifecycle hooks of containers.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, LifecycleHandler};

use crate::context::PodContext;
use crate::pod::spec;
use crate::probes::{check, http};

/// Runs a hook to its end, at most for `limit`.
pub async fn run(
    context: &PodContext,
    container: &Container,
    id: &str,
    hook: &LifecycleHandler,
    limit: Duration,
) -> Result<(), String> {
    match tokio::time::timeout(limit, call(context, container, id, hook, limit)).await {
        Ok(result) => result,
        Err(_) => Err("context deadline exceeded".to_owned()),
    }
}

async fn call(
    context: &PodContext,
    container: &Container,
    id: &str,
    hook: &LifecycleHandler,
    limit: Duration,
) -> Result<(), String> {
    let (name, pod) = (&container.name, spec::display(&context.pod));
    if let Some(exec) = &hook.exec {
        let command = exec.command.clone().unwrap_or_default();
        let failed = |error: String, output: String| {
            format!(
                "Exec lifecycle hook ([{}]) for Container {name:?} in Pod {pod:?} failed - error: {error}, message: {output:?}",
                command.join(" ")
            )
        };
        return match context.kubelet.cri.exec_sync(id, &command, limit).await {
            Ok(answer) if answer.exit_code == 0 => Ok(()),
            Ok(answer) => {
                let mut output = String::from_utf8_lossy(&answer.stdout).into_owned();
                output.push_str(&String::from_utf8_lossy(&answer.stderr));
                let error = format!(
                    "command '{}' exited with {}: {output}",
                    command.join(" "),
                    answer.exit_code
                );
                Err(failed(error, output))
            }
            Err(error) => Err(failed(error.to_string(), String::new())),
        };
    }
    if let Some(get) = &hook.http_get {
        let failed = |error: String| {
            let path = get.path.as_deref().unwrap_or_default();
            format!(
                "HTTP lifecycle hook ({path}) for Container {name:?} in Pod {pod:?} failed - error: {error}"
            )
        };
        let target = check::target(context, container, get).map_err(failed)?;
        return http::get(&target, limit).await.map(|_| ()).map_err(failed);
    }
    if let Some(sleep) = &hook.sleep {
        tokio::time::sleep(Duration::from_secs(
            u64::try_from(sleep.seconds).unwrap_or(0),
        ))
        .await;
    }
    Ok(())
}
