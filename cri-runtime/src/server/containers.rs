//! The life of a container: create, start, stop, remove.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use k8s_cri::v1::{
    ContainerEventType, ContainerState, CreateContainerRequest, LinuxContainerResources,
    NamespaceMode,
};
use tokio::task::block_in_place;

use super::records::{Container, ContainerRecord, Sandbox, SandboxRecord};
use super::{Runtime, new_id, rootfs, sandboxes};
use crate::error::{Error, Result};
use crate::image::store::Image;
use crate::layout::{remove_tree, replace_file};
use crate::shim::process::now;
use crate::shim::protocol::{Call, ExitRecord, Run, Started};
use crate::spec::{self, Inputs, Namespaces, PidNamespace};

/// How long a killed container may take to be gone.
const KILL_TIMEOUT: Duration = Duration::from_secs(30);

impl Runtime {
    /// Prepares a container: its root file system and its specification.
    pub(super) async fn create_container(&self, request: CreateContainerRequest) -> Result<String> {
        let sandbox = self.sandbox(&request.pod_sandbox_id)?;
        let pod = sandbox.record();
        if !pod.ready {
            return Err(Error::Precondition(format!(
                "sandbox container {:?} is not running",
                pod.id
            )));
        }
        let config = request
            .config
            .ok_or_else(|| Error::Invalid("no container configuration".to_owned()))?;
        if config.metadata.is_none() {
            return Err(Error::Invalid(
                "container config must include metadata".to_owned(),
            ));
        }
        let name = config
            .image
            .as_ref()
            .map(|image| image.image.clone())
            .unwrap_or_default();
        let image = self
            .find_image(&name)?
            .ok_or_else(|| Error::NotFound(format!("image {name:?} not found")))?;
        self.migration.is_near();
        let id = new_id();
        // Mounts wait for the disk; other pods do not wait with them.
        let container = block_in_place(|| self.prepare(&id, &pod, config, &image));
        match container {
            Ok(record) => {
                let container = Arc::new(Container::new(record, &self.layout().container(&id)));
                container.update(|_| {})?;
                self.containers().insert(id.clone(), container);
                self.publish(&id, ContainerEventType::ContainerCreatedEvent);
                Ok(id)
            }
            Err(error) => {
                self.discard(&id);
                Err(error)
            }
        }
    }

    fn prepare(
        &self,
        id: &str,
        pod: &SandboxRecord,
        config: k8s_cri::v1::ContainerConfig,
        image: &Image,
    ) -> Result<ContainerRecord> {
        let directory = self.layout().container(id);
        let bundle = self.layout().bundle(id);
        let root = bundle.join("rootfs");
        std::fs::create_dir_all(&directory)?;
        rootfs::mount_rootfs(&self.images, image, &directory, &root)?;
        let user = spec::user::resolve(&spec::security(&config), &image.config.user, &root)?;
        let cgroup = format!("{}/{id}", pod.cgroup_parent().trim_end_matches('/'));
        let files = self.layout().sandbox(&pod.id);
        let etc: Vec<(String, PathBuf)> = ["hosts", "hostname", "resolv.conf"]
            .iter()
            .map(|name| (format!("/etc/{name}"), files.join(name)))
            .collect();
        let namespaces = self.namespaces(pod, &config)?;
        let hostname = sandboxes::hostname(&pod.config);
        let shm = if pod.host_ipc() {
            PathBuf::from("/dev/shm")
        } else {
            self.layout().sandbox_run(&pod.id).join("shm")
        };
        let built = spec::build(&Inputs {
            config: &config,
            image: &image.config,
            user: &user,
            rootfs: &root,
            cgroup: &cgroup,
            cgroups: &self.cgroups,
            namespaces: &namespaces,
            bounding: &self.bounding,
            hostname: &hostname,
            etc: &etc,
            shm: &shm,
        })?;
        replace_file(&bundle.join("config.json"), &serde_json::to_vec(&built)?)?;
        let log_path = (!config.log_path.is_empty() && !pod.config.log_directory.is_empty())
            .then(|| PathBuf::from(&pod.config.log_directory).join(&config.log_path));
        Ok(ContainerRecord {
            id: id.to_owned(),
            sandbox: pod.id.clone(),
            image_id: image.id.clone(),
            image_ref: image.digests.first().unwrap_or(&image.id).clone(),
            layers: image.layers.clone(),
            log_path,
            cgroup,
            user,
            process: built["process"].clone(),
            stop_signal: signal_number(&image.config.stop_signal),
            own_pid_namespace: namespaces.pid == PidNamespace::Own,
            created_at: now(),
            started_at: 0,
            pid: 0,
            start_time: 0,
            exit: None,
            reason: String::new(),
            message: String::new(),
            config,
        })
    }

    fn namespaces(
        &self,
        pod: &SandboxRecord,
        config: &k8s_cri::v1::ContainerConfig,
    ) -> Result<Namespaces> {
        let of_shim = |kind: &str| PathBuf::from(format!("/proc/{}/ns/{kind}", pod.shim));
        let pid = match spec::pid_mode(config) {
            NamespaceMode::Node => PidNamespace::Node,
            NamespaceMode::Container => PidNamespace::Own,
            NamespaceMode::Pod => match pod.pause {
                Some(pause) => PidNamespace::Join(format!("/proc/{pause}/ns/pid").into()),
                None => PidNamespace::Own,
            },
            NamespaceMode::Target => {
                let target = spec::security(config)
                    .namespace_options
                    .map(|options| options.target_id)
                    .unwrap_or_default();
                let target = self.container(&target)?.record();
                if target.state() != ContainerState::ContainerRunning {
                    return Err(Error::Precondition(format!(
                        "target container {:?} is not running",
                        target.id
                    )));
                }
                PidNamespace::Join(format!("/proc/{}/ns/pid", target.pid).into())
            }
        };
        Ok(Namespaces {
            network: pod.netns.clone(),
            ipc: (!pod.host_ipc()).then(|| of_shim("ipc")),
            uts: (!pod.host_network()).then(|| of_shim("uts")),
            pid,
        })
    }

    /// Starts a created container. A failure is the container's end, with exit code 128.
    pub(super) async fn start_container(&self, id: &str) -> Result<()> {
        let container = self.container(id)?;
        let _operation = container.operation.lock().await;
        let record = container.record();
        if record.state() != ContainerState::ContainerCreated {
            return Err(Error::Precondition(format!(
                "container {:?} is in {} state",
                record.id,
                record.state().as_str_name()
            )));
        }
        let sandbox = self.sandbox(&record.sandbox)?;
        match self.run_in_shim(&sandbox, &record).await {
            Ok(started) => {
                container.update(|record| {
                    record.pid = started.pid;
                    record.start_time = started.start_time;
                    record.started_at = started.started_at;
                })?;
                // The report of its end can come first, and then says it all.
                if !*container.ended.borrow() {
                    self.publish(&record.id, ContainerEventType::ContainerStartedEvent);
                }
                Ok(())
            }
            Err(error) => {
                let message = format!("failed to start container {:?}: {error}", record.id);
                container.update(|record| {
                    record.exit = Some(ExitRecord {
                        exit_code: 128,
                        finished_at: now(),
                        oom_killed: false,
                    });
                    record.reason = "StartError".to_owned();
                    record.message = message.clone();
                })?;
                let _ = self.cgroups.remove(&record.cgroup);
                self.publish(&record.id, ContainerEventType::ContainerStoppedEvent);
                Err(Error::Internal(anyhow!(message)))
            }
        }
    }

    async fn run_in_shim(&self, sandbox: &Sandbox, record: &ContainerRecord) -> Result<Started> {
        let shim = sandbox.shim().ok_or_else(|| {
            Error::Precondition(format!(
                "sandbox container {:?} is not running",
                record.sandbox
            ))
        })?;
        let score = record
            .config
            .linux
            .as_ref()
            .and_then(|linux| linux.resources.as_ref())
            .map(|resources| resources.oom_score_adj);
        shim.call(Call::Run(Box::new(Run {
            container: record.id.clone(),
            bundle: self.layout().bundle(&record.id),
            log: record.log_path.clone(),
            log_limit: self.options.log_limit,
            tty: record.config.tty,
            stdin: record.config.stdin,
            stdin_once: record.config.stdin_once,
            oom_score_adj: score,
            exit_file: self.layout().container(&record.id).join("exit.json"),
            oom_file: self.cgroups.oom_file(&record.cgroup),
            procs_file: self.cgroups.procs_file(&record.cgroup),
            own_pid_namespace: record.own_pid_namespace,
        })))
        .await
    }

    /// Asks the container to stop, and kills it when `timeout` seconds have passed. May be repeated.
    pub(super) async fn stop_container(&self, id: &str, timeout: i64) -> Result<()> {
        match self.container(id) {
            Ok(container) => self.stop_container_of(&container, timeout).await,
            Err(Error::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn stop_container_of(
        &self,
        container: &Container,
        timeout: i64,
    ) -> Result<()> {
        let record = container.record();
        if record.state() != ContainerState::ContainerRunning {
            return Ok(());
        }
        if timeout > 0 {
            self.signal(&record, record.stop_signal, false).await?;
            let patience = Duration::from_secs(timeout.unsigned_abs());
            if ended_within(container, patience).await {
                return Ok(());
            }
        }
        self.signal(&record, libc::SIGKILL, true).await?;
        if ended_within(container, KILL_TIMEOUT).await {
            Ok(())
        } else {
            Err(Error::Deadline(format!(
                "container {:?} was killed but does not end",
                record.id
            )))
        }
    }

    async fn signal(&self, record: &ContainerRecord, signal: i32, all: bool) -> Result<()> {
        let shim = self.sandbox(&record.sandbox)?.shim();
        let Some(shim) = shim else {
            // The end of the shim is the end of its containers; see `shim_gone`.
            return Ok(());
        };
        match shim
            .call::<()>(Call::Kill {
                container: record.id.clone(),
                signal,
                all,
            })
            .await
        {
            Err(error) if error.to_string().contains("os error 3") => Ok(()),
            other => other,
        }
    }

    /// Removes a container; one that runs is killed first. May be repeated.
    pub(super) async fn remove_container(&self, id: &str) -> Result<()> {
        match self.container(id) {
            Ok(container) => self.remove_container_of(&container).await,
            Err(Error::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn remove_container_of(&self, container: &Container) -> Result<()> {
        self.stop_container_of(container, 0).await?;
        let _operation = container.operation.lock().await;
        let record = container.record();
        if let Ok(sandbox) = self.sandbox(&record.sandbox)
            && let Some(shim) = sandbox.shim()
        {
            let _ = shim
                .call::<()>(Call::Delete {
                    container: record.id.clone(),
                })
                .await;
        }
        self.remove_cgroup(&record.cgroup).await;
        self.publish(&record.id, ContainerEventType::ContainerDeletedEvent);
        self.containers().remove(&record.id);
        block_in_place(|| self.discard(&record.id));
        Ok(())
    }

    /// The last process of a cgroup may take a moment to leave it.
    async fn remove_cgroup(&self, cgroup: &str) {
        for attempt in 0..6 {
            match self.cgroups.remove(cgroup) {
                Ok(()) => return,
                Err(error) if attempt == 5 => {
                    tracing::warn!(%cgroup, %error, "cannot remove a cgroup");
                }
                Err(_) => {
                    self.cgroups.kill(cgroup);
                    tokio::time::sleep(Duration::from_millis(2 << attempt)).await;
                }
            }
        }
    }

    /// Removes what `prepare` has made.
    fn discard(&self, id: &str) {
        let bundle = self.layout().bundle(id);
        rootfs::unmount_rootfs(&bundle.join("rootfs"));
        for directory in [bundle, self.layout().container(id)] {
            if let Err(error) = remove_tree(&directory) {
                tracing::warn!(%id, %error, "cannot remove a container's files");
            }
        }
    }

    /// Records what the shim has reported.
    pub(super) fn container_exited(&self, id: &str, exit: ExitRecord) {
        let Ok(container) = self.container(id) else {
            return;
        };
        let result = container.update(|record| {
            record.exit.get_or_insert(exit);
            // The report can overtake the answer to the start.
            if record.started_at == 0 {
                record.started_at = record.created_at;
            }
        });
        if let Err(error) = result {
            tracing::warn!(%id, %error, "cannot save a container's state");
        }
        self.publish(id, ContainerEventType::ContainerStoppedEvent);
    }

    /// New limits for a container; those of a stopped one are only noted.
    pub(super) async fn update_resources(
        &self,
        id: &str,
        resources: LinuxContainerResources,
    ) -> Result<()> {
        let container = self.container(id)?;
        let _operation = container.operation.lock().await;
        let record = container.record();
        if record.state() == ContainerState::ContainerRunning {
            self.cgroups.update(&record.cgroup, &resources)?;
        }
        container.update(|record| {
            let linux = record.config.linux.get_or_insert_default();
            merge_resources(linux.resources.get_or_insert_default(), resources);
        })?;
        Ok(())
    }

    /// Opens the log anew after the kubelet has renamed the file.
    pub(super) async fn reopen_log(&self, id: &str) -> Result<()> {
        let record = self.container(id)?.record();
        if record.state() != ContainerState::ContainerRunning {
            return Err(Error::Precondition("container is not running".to_owned()));
        }
        let sandbox = self.sandbox(&record.sandbox)?;
        let shim = sandbox
            .shim()
            .ok_or_else(|| Error::Precondition("container is not running".to_owned()))?;
        shim.call(Call::ReopenLog {
            container: record.id,
        })
        .await
    }
}

async fn ended_within(container: &Container, patience: Duration) -> bool {
    let mut ended = container.ended.subscribe();
    tokio::time::timeout(patience, ended.wait_for(|ended| *ended))
        .await
        .is_ok_and(|result| result.is_ok())
}

fn merge_resources(known: &mut LinuxContainerResources, new: LinuxContainerResources) {
    let set = |known: &mut i64, new: i64| {
        if new != 0 {
            *known = new;
        }
    };
    set(&mut known.cpu_period, new.cpu_period);
    set(&mut known.cpu_quota, new.cpu_quota);
    set(&mut known.cpu_shares, new.cpu_shares);
    set(&mut known.memory_limit_in_bytes, new.memory_limit_in_bytes);
    set(&mut known.oom_score_adj, new.oom_score_adj);
    if !new.cpuset_cpus.is_empty() {
        known.cpuset_cpus = new.cpuset_cpus;
    }
    if !new.cpuset_mems.is_empty() {
        known.cpuset_mems = new.cpuset_mems;
    }
    known.unified.extend(new.unified);
}

/// `SIGQUIT`, `QUIT`, `3`, `RTMIN+3`; anything else is SIGTERM.
fn signal_number(name: &str) -> i32 {
    let upper = name.trim().to_ascii_uppercase();
    let short = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Ok(number) = short.parse::<i32>() {
        return if (1..=64).contains(&number) {
            number
        } else {
            libc::SIGTERM
        };
    }
    if let Some(offset) = short
        .strip_prefix("RTMIN+")
        .and_then(|n| n.parse::<i32>().ok())
    {
        return (34 + offset).min(64);
    }
    format!("SIG{short}")
        .parse::<nix::sys::signal::Signal>()
        .map_or(libc::SIGTERM, |signal| signal as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stop_signals_are_read_as_docker_writes_them() {
        for (name, expected) in [
            ("", libc::SIGTERM),
            ("SIGQUIT", libc::SIGQUIT),
            ("winch", libc::SIGWINCH),
            ("9", libc::SIGKILL),
            ("SIGRTMIN+3", 37),
            ("nonsense", libc::SIGTERM),
            ("99", libc::SIGTERM),
        ] {
            assert_eq!(signal_number(name), expected, "{name}");
        }
    }
}
