//! Events: what shims report comes in, what kubelets listen to goes out.

use std::sync::Arc;

use k8s_cri::v1::{ContainerEventResponse, ContainerEventType, ContainerState};
use tokio::sync::mpsc;

use super::Runtime;
use crate::shim::client::Event;
use crate::shim::process::now;
use crate::shim::protocol::ExitRecord;

impl Runtime {
    /// Takes in what shims report until the runtime ends.
    pub(super) async fn listen_to_shims(
        self: Arc<Self>,
        mut events: mpsc::UnboundedReceiver<Event>,
    ) {
        while let Some(event) = events.recv().await {
            match event {
                Event::Exited { container, exit } => self.container_exited(&container, exit),
                Event::Gone { sandbox } => self.shim_gone(&sandbox),
            }
        }
    }

    /// A shim that ends without being told leaves containers that nobody can reap: they end with it.
    fn shim_gone(&self, id: &str) {
        let Ok(sandbox) = self.sandbox(id) else {
            return;
        };
        if sandbox.take_shim().is_none() {
            return;
        }
        tracing::warn!(%id, "the pod's shim is gone");
        if let Err(error) = sandbox.update(|record| record.ready = false) {
            tracing::warn!(%id, %error, "cannot save a sandbox's state");
        }
        for container in self.containers_of(id) {
            self.end_orphan(&container);
        }
        self.publish_sandbox(id, ContainerEventType::ContainerStoppedEvent);
    }

    /// A container whose shim is dead: its exit code is on disk, or nobody will ever know it.
    pub(super) fn end_orphan(&self, container: &super::records::Container) {
        let record = container.record();
        if record.state() != ContainerState::ContainerRunning {
            return;
        }
        if crate::shim::process::start_time(record.pid) == Some(record.start_time) {
            self.cgroups.kill(&record.cgroup);
            let _ = crate::shim::process::kill(record.pid, libc::SIGKILL);
        }
        let exit = self.exit_on_disk(&record.id);
        let unknown = exit.is_none();
        let result = container.update(|record| {
            record.exit = Some(exit.unwrap_or(ExitRecord {
                exit_code: 255,
                finished_at: now(),
                oom_killed: false,
            }));
            if unknown {
                record.reason = "Unknown".to_owned();
                record.message = "the process that watched over the container is gone".to_owned();
            }
        });
        if let Err(error) = result {
            tracing::warn!(id = %record.id, %error, "cannot save a container's state");
        }
        self.publish(&record.id, ContainerEventType::ContainerStoppedEvent);
    }

    /// What the shim has left behind.
    pub(super) fn exit_on_disk(&self, id: &str) -> Option<ExitRecord> {
        let path = self.layout().container(id).join("exit.json");
        serde_json::from_slice(&std::fs::read(path).ok()?).ok()
    }

    /// Tells listeners about a container.
    pub(super) fn publish(&self, id: &str, kind: ContainerEventType) {
        if self.events.receiver_count() == 0 {
            return;
        }
        let Ok(container) = self.container(id) else {
            return;
        };
        let sandbox = container.with(|record| record.sandbox.clone());
        self.publish_as(id, &sandbox, kind);
    }

    /// Tells listeners about a sandbox.
    pub(super) fn publish_sandbox(&self, id: &str, kind: ContainerEventType) {
        if self.events.receiver_count() > 0 {
            self.publish_as(id, id, kind);
        }
    }

    fn publish_as(&self, id: &str, sandbox: &str, kind: ContainerEventType) {
        let status = self
            .sandbox(sandbox)
            .ok()
            .map(|sandbox| super::status::sandbox_status(&sandbox.record()));
        let _ = self.events.send(ContainerEventResponse {
            container_id: id.to_owned(),
            container_event_type: kind as i32,
            created_at: now(),
            pod_sandbox_status: status,
            containers_statuses: self
                .containers_of(sandbox)
                .iter()
                .map(|container| container.with(super::status::container_status))
                .collect(),
        });
    }
}
