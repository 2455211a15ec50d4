//! After a restart of the server, of the node, or a crash: find out what still lives.
//!
//! | shim   | container on record | then                                                    |
//! |--------|---------------------|---------------------------------------------------------|
//! | lives  | running             | as the shim lists it; its exit, if any                  |
//! | lives  | created, unlisted   | stays created                                           |
//! | dead   | running             | the exit code on disk, or 255 Unknown                   |
//! | dead   | created             | likewise (its mounts died with the node)                |
//! | dead   | exited              | stays as it is                                          |

use std::collections::HashMap;
use std::sync::Arc;

use k8s_cri::v1::ContainerState;

use super::Runtime;
use super::records::{Container, ContainerRecord, Sandbox, SandboxRecord, load_all};
use crate::shim::client::Client;
use crate::shim::process::{now, start_time};
use crate::shim::protocol::{Call, ExitRecord, Listed};

impl Runtime {
    /// Takes up the state on disk.
    pub(super) async fn recover(&self) {
        let sandboxes: Vec<SandboxRecord> = load_all(&self.layout().root.join("sandboxes"));
        let containers: Vec<ContainerRecord> = load_all(&self.layout().root.join("containers"));
        for record in sandboxes {
            let directory = self.layout().sandbox(&record.id);
            let id = record.id.clone();
            self.sandboxes()
                .insert(id, Arc::new(Sandbox::new(record, &directory)));
        }
        for record in containers {
            let directory = self.layout().container(&record.id);
            let id = record.id.clone();
            self.containers()
                .insert(id, Arc::new(Container::new(record, &directory)));
        }
        let sandboxes: Vec<Arc<Sandbox>> = self.sandboxes().values().cloned().collect();
        let mut living = 0;
        for sandbox in &sandboxes {
            if self.recover_sandbox(sandbox).await {
                living += 1;
            }
        }
        self.remove_stale_netns();
        self.sweep_run();
        tracing::info!(
            sandboxes = sandboxes.len(),
            living,
            containers = self.containers().len(),
            "recovered"
        );
    }

    async fn recover_sandbox(&self, sandbox: &Sandbox) -> bool {
        let record = sandbox.record();
        match self.reconnect(&record).await {
            Some((client, listed)) => {
                sandbox.set_shim(Arc::new(client));
                let listed: HashMap<String, Listed> = listed
                    .into_iter()
                    .map(|listed| (listed.container.clone(), listed))
                    .collect();
                for container in self.containers_of(&record.id) {
                    self.take_over(&container, listed.get(&container.with(|r| r.id.clone())));
                }
                true
            }
            None => {
                self.end_half_made_shim(&record).await;
                let _ = sandbox.update(|record| record.ready = false);
                for container in self.containers_of(&record.id) {
                    self.end_orphan(&container);
                    self.end_unstarted(&container);
                }
                false
            }
        }
    }

    async fn reconnect(&self, record: &SandboxRecord) -> Option<(Client, Vec<Listed>)> {
        if record.shim == 0 || start_time(record.shim) != Some(record.shim_start_time) {
            return None;
        }
        let socket = self.layout().shim_socket(&record.id);
        let client = Client::connect(&socket, &record.id, self.shim_events.clone())
            .await
            .ok()?;
        let listed = client.call(Call::List).await.ok()?;
        Some((client, listed))
    }

    fn take_over(&self, container: &Container, listed: Option<&Listed>) {
        let state = container.with(ContainerRecord::state);
        let result = match listed {
            Some(listed) => container.update(|record| {
                record.pid = listed.started.pid;
                record.start_time = listed.started.start_time;
                record.started_at = listed.started.started_at;
                if record.exit.is_none() {
                    record.exit = listed.exit.clone();
                }
            }),
            None if state == ContainerState::ContainerRunning => {
                self.end_orphan(container);
                Ok(())
            }
            None => Ok(()),
        };
        if let Err(error) = result {
            tracing::warn!(%error, "cannot save a container's state");
        }
    }

    /// Names of namespaces that no sandbox of ours has.
    fn remove_stale_netns(&self) {
        let known: Vec<_> = self
            .sandboxes()
            .values()
            .filter_map(|sandbox| sandbox.record().netns)
            .collect();
        for entry in std::fs::read_dir(&self.layout().netns)
            .into_iter()
            .flatten()
            .flatten()
        {
            let path = entry.path();
            let ours = entry.file_name().to_string_lossy().starts_with("ferrule-");
            if ours && !known.contains(&path) {
                super::sandboxes::detach(&path);
                let _ = std::fs::remove_file(&path);
            }
        }
    }

    /// A server that was killed while it started a shim has not noted the shim's pid.
    async fn end_half_made_shim(&self, record: &SandboxRecord) {
        let socket = self.layout().shim_socket(&record.id);
        // Reports of this connection are nobody's: the sandbox is dead.
        let (events, _) = tokio::sync::mpsc::unbounded_channel();
        if let Ok(client) = Client::connect(&socket, &record.id, events).await {
            let _ = client.call::<()>(Call::Shutdown).await;
        }
    }

    /// A created container cannot start any more: the pod is dead. Or it had started, and nobody noted it.
    fn end_unstarted(&self, container: &Container) {
        let (id, state) = container.with(|record| (record.id.clone(), record.state()));
        if state != ContainerState::ContainerCreated {
            return;
        }
        let exit = self.exit_on_disk(&id);
        let _ = container.update(|record| {
            if exit.is_none() {
                record.reason = "Unknown".to_owned();
            }
            record.exit = Some(exit.unwrap_or(ExitRecord {
                exit_code: 255,
                finished_at: now(),
                oom_killed: false,
            }));
        });
    }

    /// Files of this boot that belong to nothing on record: a server was killed between two steps.
    fn sweep_run(&self) {
        let unknown = |directory: &str, known: &dyn Fn(&str) -> bool| -> Vec<std::path::PathBuf> {
            std::fs::read_dir(self.layout().run.join(directory))
                .into_iter()
                .flatten()
                .flatten()
                .filter(|entry| !known(&entry.file_name().to_string_lossy()))
                .map(|entry| entry.path())
                .collect()
        };
        let bundles = unknown("containers", &|id| self.containers().contains_key(id));
        let sandboxes = unknown("sandboxes", &|id| self.sandboxes().contains_key(id));
        for path in bundles.iter().chain(&sandboxes) {
            super::sandboxes::detach(&path.join("rootfs"));
            super::sandboxes::detach(&path.join("shm"));
            if let Err(error) = crate::layout::remove_tree(path) {
                tracing::warn!(path = %path.display(), %error, "cannot remove stale files");
            }
        }
    }
}
