//! The life of a sandbox: run, stop, remove.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use k8s_cri::v1::{DnsConfig, NamespaceMode, PodSandboxConfig, Protocol, RunPodSandboxRequest};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::task::block_in_place;

use super::records::{Sandbox, SandboxRecord};
use super::{Runtime, new_id};
use crate::cni::{self, Pod};
use crate::error::{Error, Result};
use crate::layout::{remove_tree, replace_file};
use crate::shim::client::Client;
use crate::shim::process::now;
use crate::shim::protocol::{Call, Ready, Setup};

/// How long a shim may take to set itself up.
const SHIM_TIMEOUT: Duration = Duration::from_secs(30);

impl Runtime {
    /// Starts the shim, connects the network, and keeps the sandbox.
    pub(super) async fn run_sandbox(&self, request: RunPodSandboxRequest) -> Result<String> {
        let config = request
            .config
            .ok_or_else(|| Error::Invalid("no sandbox configuration".to_owned()))?;
        let metadata = config
            .metadata
            .clone()
            .ok_or_else(|| Error::Invalid("sandbox config must include metadata".to_owned()))?;
        if !request.runtime_handler.is_empty() {
            return Err(Error::Invalid(format!(
                "no runtime for {:?} is configured",
                request.runtime_handler
            )));
        }
        self.migration.is_near();
        let id = new_id();
        let mut record = SandboxRecord {
            id: id.clone(),
            config,
            runtime_handler: request.runtime_handler,
            created_at: now(),
            ready: false,
            shim: 0,
            shim_start_time: 0,
            pause: None,
            netns: None,
            addresses: Vec::new(),
            made_cgroup: false,
        };
        record.netns = (!record.host_network()).then(|| self.layout().netns(&id));
        record.made_cgroup = !self.cgroups.exists(record.cgroup_parent());
        let sandbox = {
            let mut sandboxes = self.sandboxes();
            let taken = sandboxes
                .values()
                .any(|known| known.with(|known| known.config.metadata.as_ref() == Some(&metadata)));
            if taken {
                return Err(Error::AlreadyExists(format!(
                    "failed to reserve sandbox name {:?}: name is in use",
                    format!(
                        "{}_{}_{}_{}",
                        metadata.name, metadata.namespace, metadata.uid, metadata.attempt
                    )
                )));
            }
            let directory = self.layout().sandbox(&id);
            std::fs::create_dir_all(&directory)?;
            let sandbox = Arc::new(Sandbox::new(record, &directory));
            sandboxes.insert(id.clone(), sandbox.clone());
            sandbox
        };
        let _operation = sandbox.operation.lock().await;
        match self.set_up(&sandbox).await {
            Ok(()) => {
                self.publish_sandbox(&id, k8s_cri::v1::ContainerEventType::ContainerStartedEvent);
                Ok(id)
            }
            Err(error) => {
                if let Err(error) = self.tear_down(&sandbox).await {
                    tracing::warn!(%id, %error, "a sandbox that failed to start leaves traces");
                }
                self.forget_sandbox(&sandbox);
                Err(error)
            }
        }
    }

    async fn set_up(&self, sandbox: &Sandbox) -> Result<()> {
        let record = sandbox.record();
        let directory = self.layout().sandbox(&record.id);
        write_etc(&directory, &record.config)?;
        sandbox.update(|_| {})?;
        let ready = self.start_shim(&record).await?;
        sandbox.update(|record| {
            record.shim = ready.pid;
            record.shim_start_time = ready.start_time;
            record.pause = ready.pause;
        })?;
        let client = Client::connect(
            &self.layout().shim_socket(&record.id),
            &record.id,
            self.shim_events.clone(),
        )
        .await
        .context("connect to the pod's shim")?;
        sandbox.set_shim(Arc::new(client));
        let addresses = self.connect_network(&record).await?;
        sandbox.update(|record| {
            record.addresses = addresses;
            record.ready = true;
        })?;
        Ok(())
    }

    async fn start_shim(&self, record: &SandboxRecord) -> Result<Ready> {
        let run = self.layout().sandbox_run(&record.id);
        std::fs::create_dir_all(&run)?;
        let setup = setup(record, self.layout());
        let path = run.join("setup.json");
        replace_file(&path, &serde_json::to_vec(&setup)?)?;
        let log = std::fs::File::create(run.join("shim.log"))?;
        let mut child = tokio::process::Command::new(&self.options.program)
            // Who kills every process named as the runtime must not hit the pods.
            .arg0("cri-shim")
            .arg("shim")
            .arg(&path)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .context("start the pod's shim")?;
        let stdout = child.stdout.take().context("no standard output")?;
        // The shim outlives this server; while both live, it is ours to reap.
        tokio::spawn(async move {
            let _ = child.wait().await;
        });
        let mut line = String::new();
        let mut reader = BufReader::new(stdout);
        tokio::time::timeout(SHIM_TIMEOUT, reader.read_line(&mut line))
            .await
            .map_err(|_| Error::Deadline("the pod's shim does not come up".to_owned()))??;
        let ready: Ready = serde_json::from_str(&line).map_err(|_| {
            let words = std::fs::read_to_string(run.join("shim.log")).unwrap_or_default();
            anyhow!("the pod's shim failed: {}", words.trim())
        })?;
        match ready.error {
            Some(error) => Err(Error::Internal(anyhow!(error))),
            None => Ok(ready),
        }
    }

    async fn connect_network(&self, record: &SandboxRecord) -> Result<Vec<String>> {
        let Some(netns) = &record.netns else {
            return Ok(Vec::new());
        };
        let network = self
            .options
            .cni
            .network()?
            .ok_or_else(|| Error::Unavailable("cni plugin not initialized".to_owned()))?;
        let pod = pod_of(record, netns);
        // Noted before the plugins run: an ADD that fails half-way is undone as well.
        let note = self.layout().cni(&record.id);
        let mut attachment = cni::Attachment {
            network: network.clone(),
            result: serde_json::Value::Null,
        };
        replace_file(&note, &serde_json::to_vec(&attachment)?)?;
        attachment = self
            .options
            .cni
            .add(&network, &pod)
            .await
            .map_err(|error| {
                anyhow!(
                    "failed to setup network for sandbox {:?}: {error}",
                    record.id
                )
            })?;
        replace_file(&note, &serde_json::to_vec(&attachment)?)?;
        let addresses = attachment.addresses();
        if addresses.is_empty() {
            return Err(Error::Internal(anyhow!(
                "network {:?} gave the pod no address",
                network.name
            )));
        }
        Ok(addresses)
    }

    /// Stops the containers, disconnects the network, ends the shim. May be repeated.
    pub(super) async fn stop_sandbox(&self, id: &str) -> Result<()> {
        let Ok(sandbox) = self.sandbox(id) else {
            // Gone is stopped.
            return Ok(());
        };
        let _operation = sandbox.operation.lock().await;
        self.tear_down(&sandbox).await
    }

    async fn tear_down(&self, sandbox: &Sandbox) -> Result<()> {
        let record = sandbox.record();
        for container in self.containers_of(&record.id) {
            self.stop_container_of(&container, 0).await?;
        }
        let netns = record
            .netns
            .as_ref()
            .map(|path| self.layout().netns.join(path));
        if let Some(attachment) = cni::load(&self.layout().cni(&record.id)) {
            let mut pod = pod_of(&record, netns.as_deref().unwrap_or(Path::new("")));
            if !netns.as_deref().is_some_and(is_namespace) {
                pod.netns = String::new();
            }
            self.options.cni.delete(&attachment, &pod).await?;
            let _ = std::fs::remove_file(self.layout().cni(&record.id));
        }
        // Given up first: the end of the connection is expected now.
        if let Some(shim) = sandbox.take_shim() {
            let _ = shim.call::<()>(Call::Shutdown).await;
        }
        block_in_place(|| {
            if let Some(path) = netns {
                detach(&path);
                let _ = std::fs::remove_file(&path);
            }
            let run = self.layout().sandbox_run(&record.id);
            detach(&run.join("shm"));
            let _ = std::fs::remove_file(self.layout().shim_socket(&record.id));
            remove_tree(&run)
        })?;
        if record.ready || !record.addresses.is_empty() {
            sandbox.update(|record| {
                record.ready = false;
                record.addresses.clear();
            })?;
            self.publish_sandbox(
                &record.id,
                k8s_cri::v1::ContainerEventType::ContainerStoppedEvent,
            );
        }
        Ok(())
    }

    /// Removes the sandbox with its containers.
    pub(super) async fn remove_sandbox(&self, id: &str) -> Result<()> {
        let Ok(sandbox) = self.sandbox(id) else {
            return Ok(());
        };
        let _operation = sandbox.operation.lock().await;
        self.tear_down(&sandbox).await?;
        let record = sandbox.record();
        for container in self.containers_of(&record.id) {
            self.remove_container_of(&container).await?;
        }
        if record.made_cgroup {
            // Others may have put something below it: then it is theirs.
            let _ = self.cgroups.remove(record.cgroup_parent());
        }
        self.publish_sandbox(
            &record.id,
            k8s_cri::v1::ContainerEventType::ContainerDeletedEvent,
        );
        self.forget_sandbox(&sandbox);
        Ok(())
    }

    /// Where the sandbox's network namespace is bound, and how it is called in messages.
    pub(crate) fn network_of(&self, id: &str) -> Result<(Option<PathBuf>, String)> {
        let record = self.sandbox(id)?.record();
        if !record.ready {
            return Err(Error::Precondition(
                "sandbox container is not running".to_owned(),
            ));
        }
        let path = record.netns.map(|path| self.layout().netns.join(path));
        let shown = path
            .as_ref()
            .map_or("host".to_owned(), |path| path.display().to_string());
        Ok((path, shown))
    }

    fn forget_sandbox(&self, sandbox: &Sandbox) {
        let id = sandbox.record().id;
        self.sandboxes().remove(&id);
        let removed = block_in_place(|| remove_tree(&self.layout().sandbox(&id)));
        if let Err(error) = removed {
            tracing::warn!(%id, %error, "cannot remove a sandbox's state");
        }
    }
}

/// What the shim is told.
fn setup(record: &SandboxRecord, layout: &crate::layout::Layout) -> Setup {
    let run = layout.sandbox_run(&record.id);
    let mut default_sysctls: BTreeMap<String, String> = BTreeMap::new();
    if !record.host_network() {
        // As containerd does: pods bind low ports and ping without further capabilities.
        default_sysctls.insert("net.ipv4.ip_unprivileged_port_start".into(), "0".into());
        default_sysctls.insert("net.ipv4.ping_group_range".into(), "0 2147483647".into());
    }
    let sysctls = record
        .config
        .linux
        .as_ref()
        .map(|linux| linux.sysctls.clone().into_iter().collect())
        .unwrap_or_default();
    let host_ipc = record.host_ipc();
    Setup {
        id: record.id.clone(),
        socket: layout.shim_socket(&record.id),
        containers: run.join("libcontainer"),
        netns: record.netns.clone(),
        private_ipc: !host_ipc,
        shared_pid: record.namespaces().pid == NamespaceMode::Pod as i32,
        hostname: (!record.host_network()).then(|| hostname(&record.config)),
        sysctls,
        default_sysctls,
        shm: (!host_ipc).then(|| run.join("shm")),
    }
}

/// The pod's host name.
pub(super) fn hostname(config: &PodSandboxConfig) -> String {
    if config.hostname.is_empty() {
        nix::unistd::gethostname()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default()
    } else {
        config.hostname.clone()
    }
}

fn pod_of<'a>(record: &'a SandboxRecord, netns: &Path) -> Pod<'a> {
    let metadata = record.config.metadata.as_ref();
    Pod {
        sandbox: &record.id,
        netns: netns.to_string_lossy().into_owned(),
        namespace: metadata.map_or("", |metadata| &metadata.namespace),
        name: metadata.map_or("", |metadata| &metadata.name),
        uid: metadata.map_or("", |metadata| &metadata.uid),
        cgroup_parent: record.cgroup_parent(),
        port_mappings: record
            .config
            .port_mappings
            .iter()
            .filter(|mapping| mapping.host_port > 0)
            .map(|mapping| {
                let protocol = match Protocol::try_from(mapping.protocol) {
                    Ok(Protocol::Udp) => "udp",
                    Ok(Protocol::Sctp) => "sctp",
                    _ => "tcp",
                };
                json!({"hostPort": mapping.host_port, "containerPort": mapping.container_port,
                       "protocol": protocol, "hostIP": mapping.host_ip})
            })
            .collect(),
    }
}

/// The files that all containers of the pod see under `/etc`.
fn write_etc(directory: &Path, config: &PodSandboxConfig) -> Result<()> {
    let hostname = hostname(config);
    replace_file(
        &directory.join("hostname"),
        format!("{hostname}\n").as_bytes(),
    )?;
    let hosts = std::fs::read("/etc/hosts").unwrap_or_default();
    replace_file(&directory.join("hosts"), &hosts)?;
    let resolv = match &config.dns_config {
        Some(dns) => resolv_conf(dns).into_bytes(),
        None => std::fs::read("/etc/resolv.conf").unwrap_or_default(),
    };
    replace_file(&directory.join("resolv.conf"), &resolv)?;
    Ok(())
}

fn resolv_conf(dns: &DnsConfig) -> String {
    let mut text = String::new();
    if !dns.searches.is_empty() {
        text += &format!("search {}\n", dns.searches.join(" "));
    }
    for server in &dns.servers {
        text += &format!("nameserver {server}\n");
    }
    if !dns.options.is_empty() {
        text += &format!("options {}\n", dns.options.join(" "));
    }
    text
}

/// Whether a namespace is bound there: after a restart of the node only an empty file is left.
fn is_namespace(path: &Path) -> bool {
    const NSFS: nix::sys::statfs::FsType = nix::sys::statfs::FsType(0x6e73_6673);
    nix::sys::statfs::statfs(path).is_ok_and(|stat| stat.filesystem_type() == NSFS)
}

/// Unmounts whatever is mounted there.
pub(super) fn detach(path: &Path) {
    while nix::mount::umount2(path, nix::mount::MntFlags::MNT_DETACH).is_ok() {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolv_conf_has_searches_servers_and_options() {
        let text = resolv_conf(&DnsConfig {
            servers: vec!["10.96.0.10".into()],
            searches: vec!["default.svc.cluster.local".into(), "cluster.local".into()],
            options: vec!["ndots:5".into()],
        });
        assert_eq!(
            text,
            "search default.svc.cluster.local cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n"
        );
    }
}
