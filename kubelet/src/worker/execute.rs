//! From actions to operations: each runs in a task of its own and reports its end to the mailbox.

use std::time::Duration;

use ferrule_apimachinery::scheme::gvr;
use ferrule_client::{At, DeleteOptions, EventType};
use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

use super::start::Start;
use super::{Message, Outcome, Worker, end, sandbox, start};
use crate::context::PodContext;
use crate::objects::Kind;
use crate::pod::backoff::BackOff;
use crate::pod::{Action, Operation, State, Target, spec};
use crate::volumes::{self, contents};

/// Before something that failed is tried again.
const PAUSE: Duration = Duration::from_secs(1);

impl Worker {
    pub(super) fn execute(&mut self, action: Action, now: Timestamp) {
        let context = self.context();
        match action {
            Action::MountVolumes => self.mount_volumes(false),
            Action::CreateSandbox { attempt } => self.operate(Target::Sandbox, None, async move {
                match sandbox::create(&context, attempt).await {
                    Ok(()) => Outcome::Finished,
                    Err(error) => {
                        tracing::warn!(pod = spec::display(&context.pod), error, "no sandbox");
                        Outcome::SandboxFailed
                    }
                }
            }),
            Action::StopSandbox { id, recreate } => {
                self.operate(Target::Sandbox, None, async move {
                    let result = end::stop_sandbox(&context, &id, recreate).await;
                    if let Err(error) = &result {
                        let message = format!(
                            "error killing pod: failed to \"KillPodSandbox\" for \"{}\": {error}",
                            spec::uid(&context.pod)
                        );
                        context.kubelet.pod_event(
                            &context.pod,
                            EventType::Warning,
                            "FailedKillPod",
                            message,
                        );
                    }
                    settled(&context, "stop a sandbox", result).await
                })
            }
            Action::RemoveSandbox { id } => self.operate(Target::Sandbox, None, async move {
                let result = end::remove_sandbox(&context, &id).await;
                settled(&context, "remove a sandbox", result).await
            }),
            Action::RemoveContainer { id } => {
                self.operate(Target::Remove(id.clone()), None, async move {
                    let result = end::remove_container(&context, &id).await;
                    settled(&context, "remove a container", result).await
                })
            }
            Action::StartContainer {
                name,
                attempt,
                sandbox_id,
                replaces,
            } => {
                self.start_container(name, attempt, sandbox_id, replaces, now);
            }
            Action::CancelStart { name } => {
                let target = Target::Start(name);
                if let Some(token) = self.cancels.get(&target) {
                    token.cancel();
                }
                if let Some(operation) = self.observed.operations.get_mut(&target) {
                    operation.cancelled = true;
                }
            }
            Action::KillContainer {
                id,
                name,
                reason,
                grace,
            } => {
                let target = Target::Kill(id.clone());
                let hurried = self.observed.operations.contains_key(&target);
                let deadline = SignedDuration::try_from(grace)
                    .ok()
                    .map(|grace| now + grace);
                self.operate(target, deadline, async move {
                    let result = end::kill(&context, &id, &name, reason, grace, hurried).await;
                    settled(&context, "stop a container", result).await
                });
            }
            Action::ReportBackOff { name } => self.report_backoff(name, now),
            Action::Clean => self.operate(Target::Clean, None, async move {
                let own = context.clone();
                let result = tokio::task::spawn_blocking(move || end::clean(&own)).await;
                let result = result.unwrap_or_else(|error| Err(std::io::Error::other(error)));
                settled(&context, "clean up", result).await
            }),
            Action::DeleteObject => self.delete_object(&context),
            Action::Forget | Action::WakeAt(_) => {}
        }
    }

    fn operate(
        &mut self,
        target: Target,
        deadline: Option<Timestamp>,
        operation: impl Future<Output = Outcome> + Send + 'static,
    ) {
        self.observed.operations.insert(
            target.clone(),
            Operation {
                deadline,
                cancelled: false,
            },
        );
        let mailbox = self.mailbox.clone();
        tokio::spawn(async move {
            let outcome = operation.await;
            let _ = mailbox.send(Message::Done(target, outcome));
        });
    }

    /// Sets up volumes, or refreshes the contents of those that are set up.
    pub(super) fn mount_volumes(&mut self, refresh: bool) {
        if refresh && self.observed.operations.contains_key(&Target::Volumes) {
            return;
        }
        let context = self.context();
        self.operate(Target::Volumes, None, async move {
            let failed = |message: String| {
                tracing::info!(
                    pod = spec::display(&context.pod),
                    message,
                    refresh,
                    "volumes are not set up"
                );
                context
                    .kubelet
                    .pod_event(&context.pod, EventType::Warning, "FailedMount", message);
                Outcome::VolumesFailed
            };
            let (config_maps, secrets) = contents::references(&context.pod);
            let config_maps = context.objects.read_all(Kind::ConfigMap, config_maps).await;
            let secrets = context.objects.read_all(Kind::Secret, secrets).await;
            let (config_maps, secrets) = match (config_maps, secrets) {
                (Ok(config_maps), Ok(secrets)) => (config_maps, secrets),
                (Err(error), _) | (_, Err(error)) => return failed(error),
            };
            let sources = contents::Sources {
                config_maps,
                secrets,
                facts: start::facts(&context),
            };
            let own = context.clone();
            let result = tokio::task::spawn_blocking(move || {
                volumes::set_up(&own.kubelet.config.root, &own.pod, &sources)
            });
            match result.await {
                Ok(Ok(())) => Outcome::Finished,
                Ok(Err(error)) => failed(error.to_string()),
                Err(error) => failed(error.to_string()),
            }
        });
    }

    fn start_container(
        &mut self,
        name: String,
        attempt: u32,
        sandbox_id: String,
        replaces: Option<String>,
        now: Timestamp,
    ) {
        let latest = self
            .observed
            .latest(&name)
            .filter(|latest| latest.state != State::Created);
        if let Some(ended) = latest.map(|latest| latest.finished_at.unwrap_or(latest.created_at)) {
            let before = self.observed.backoff.get(&name).copied();
            self.observed
                .backoff
                .insert(name.clone(), BackOff::next(before, ended, now));
        }
        let sandbox = self
            .observed
            .sandboxes
            .iter()
            .find(|sandbox| sandbox.id == sandbox_id);
        let sandbox_attempt = sandbox.map_or(0, |sandbox| sandbox.attempt);
        let context = self.context();
        let token = CancellationToken::new();
        let target = Target::Start(name.clone());
        self.cancels.insert(target.clone(), token.clone());
        let asked = Start {
            name,
            attempt,
            sandbox_id,
            sandbox_attempt,
            replaces,
        };
        self.operate(target, None, async move {
            Outcome::Started(start::start(&context, &asked, &token).await)
        });
    }

    fn report_backoff(&mut self, name: String, now: Timestamp) {
        let recently = self
            .told_backoff
            .get(&name)
            .is_some_and(|told| now.duration_since(*told) < SignedDuration::from_secs(10));
        if recently {
            return;
        }
        let pod = &self.observed.pod;
        let message = format!(
            "Back-off restarting failed container {name} in pod {}",
            spec::display(pod)
        );
        self.kubelet
            .container_event(pod, &name, EventType::Warning, "BackOff", message);
        self.told_backoff.insert(name, now);
    }

    /// The last status first, then the object; both only ever for this uid.
    fn delete_object(&mut self, context: &PodContext) {
        if self.object_deleted {
            return;
        }
        let flushed = self.reporter.flushed();
        let context = context.clone();
        self.operate(Target::Clean, None, async move {
            flushed.await;
            let pod = &context.pod;
            let at = At::of(gvr::PODS).namespace(spec::namespace(pod)).name(spec::name(pod));
            let options =
                DeleteOptions { grace_period_seconds: Some(0), ..DeleteOptions::only_uid(spec::uid(pod)) };
            match context.kubelet.client.delete(&at, &options).await {
                Ok(_) => Outcome::ObjectDeleted,
                Err(status) if matches!(status.code, 404 | 409) => Outcome::ObjectDeleted,
                Err(status) => {
                    tracing::warn!(pod = spec::display(pod), %status, "cannot delete the object of a pod");
                    tokio::time::sleep(PAUSE).await;
                    Outcome::Finished
                }
            }
        });
    }
}

/// Nothing is lost by a failure: what is still there will be seen, and tried again after a pause.
async fn settled<E: std::fmt::Display>(
    context: &PodContext,
    what: &str,
    result: Result<(), E>,
) -> Outcome {
    if let Err(error) = result {
        tracing::warn!(pod = spec::display(&context.pod), %error, "cannot {what}");
        tokio::time::sleep(PAUSE).await;
    }
    Outcome::Finished
}
