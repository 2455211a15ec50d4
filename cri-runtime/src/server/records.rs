//! What the server knows of a sandbox or a container, in memory and on disk.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use k8s_cri::v1::{
    ContainerConfig, ContainerState, NamespaceMode, NamespaceOption, PodSandboxConfig,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::sync::watch;

use crate::layout::replace_file;
use crate::shim::client::Client;
use crate::shim::protocol::ExitRecord;
use crate::spec::user::User;

/// A sandbox on disk.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SandboxRecord {
    /// 64 hexadecimal digits.
    pub id: String,
    /// As the kubelet gave it.
    pub config: PodSandboxConfig,
    /// As the kubelet gave it.
    pub runtime_handler: String,
    /// Nanoseconds since the epoch.
    pub created_at: i64,
    /// Whether its containers can run.
    pub ready: bool,
    /// The shim's pid.
    pub shim: i32,
    /// Guards against a reused pid.
    pub shim_start_time: u64,
    /// Holds the shared pid namespace.
    pub pause: Option<i32>,
    /// Where the network namespace is bound; `None` when the pod uses the node's network.
    pub netns: Option<PathBuf>,
    /// The pod's addresses.
    pub addresses: Vec<String>,
    /// Whether we made the cgroup's parent and so remove it.
    pub made_cgroup: bool,
}

impl SandboxRecord {
    /// The namespace options, or the defaults.
    pub fn namespaces(&self) -> NamespaceOption {
        self.config
            .linux
            .as_ref()
            .and_then(|linux| linux.security_context.as_ref())
            .and_then(|security| security.namespace_options.clone())
            .unwrap_or_default()
    }

    /// Whether the pod uses the node's network.
    pub fn host_network(&self) -> bool {
        self.namespaces().network == NamespaceMode::Node as i32
    }

    /// Whether the pod uses the node's IPC.
    pub fn host_ipc(&self) -> bool {
        self.namespaces().ipc == NamespaceMode::Node as i32
    }

    /// The parent of the containers' cgroups.
    pub fn cgroup_parent(&self) -> &str {
        let given = self
            .config
            .linux
            .as_ref()
            .map_or("", |linux| linux.cgroup_parent.as_str());
        if given.is_empty() { "/ferrule" } else { given }
    }
}

/// A container on disk.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ContainerRecord {
    /// 64 hexadecimal digits.
    pub id: String,
    /// The sandbox it belongs to.
    pub sandbox: String,
    /// As the kubelet gave it.
    pub config: ContainerConfig,
    /// The image's id.
    pub image_id: String,
    /// The image by digest or id.
    pub image_ref: String,
    /// The layers it stands on; they are not deleted while it exists.
    pub layers: Vec<String>,
    /// The log file.
    pub log_path: Option<PathBuf>,
    /// Its cgroup.
    pub cgroup: String,
    /// Who runs in it.
    pub user: User,
    /// The process of its specification, the pattern of further ones.
    pub process: serde_json::Value,
    /// Asks it to stop.
    pub stop_signal: i32,
    /// Whether the end of its first process ends all.
    pub own_pid_namespace: bool,
    /// Nanoseconds since the epoch.
    pub created_at: i64,
    /// Nanoseconds since the epoch, 0 before the start.
    pub started_at: i64,
    /// Its first process.
    pub pid: i32,
    /// Guards against a reused pid.
    pub start_time: u64,
    /// How it ended.
    pub exit: Option<ExitRecord>,
    /// Why, when the exit code does not say it.
    pub reason: String,
    /// In words.
    pub message: String,
}

impl ContainerRecord {
    /// Where it is in its life.
    pub fn state(&self) -> ContainerState {
        if self.exit.is_some() {
            ContainerState::ContainerExited
        } else if self.started_at > 0 {
            ContainerState::ContainerRunning
        } else {
            ContainerState::ContainerCreated
        }
    }

    /// The reason of the end as CRI names it.
    pub fn reason(&self) -> String {
        match &self.exit {
            None => String::new(),
            Some(_) if !self.reason.is_empty() => self.reason.clone(),
            Some(exit) if exit.oom_killed => "OOMKilled".to_owned(),
            Some(exit) if exit.exit_code == 0 => "Completed".to_owned(),
            Some(_) => "Error".to_owned(),
        }
    }
}

/// A sandbox in memory.
#[derive(Debug)]
pub struct Sandbox {
    record: Mutex<SandboxRecord>,
    shim: Mutex<Option<Arc<Client>>>,
    /// One change at a time.
    pub operation: tokio::sync::Mutex<()>,
    file: PathBuf,
}

/// A container in memory.
#[derive(Debug)]
pub struct Container {
    record: Mutex<ContainerRecord>,
    /// Becomes true when it has ended.
    pub ended: watch::Sender<bool>,
    /// One change at a time.
    pub operation: tokio::sync::Mutex<()>,
    file: PathBuf,
}

impl Sandbox {
    /// A sandbox whose state lies in `directory`.
    pub fn new(record: SandboxRecord, directory: &Path) -> Sandbox {
        Sandbox {
            record: Mutex::new(record),
            shim: Mutex::new(None),
            operation: tokio::sync::Mutex::default(),
            file: directory.join("state.json"),
        }
    }

    /// A copy of the record.
    pub fn record(&self) -> SandboxRecord {
        lock(&self.record).clone()
    }

    /// Looks at the record without copying it.
    pub fn with<T>(&self, look: impl FnOnce(&SandboxRecord) -> T) -> T {
        look(&lock(&self.record))
    }

    /// Changes the record, in memory and on disk.
    pub fn update(&self, change: impl FnOnce(&mut SandboxRecord)) -> std::io::Result<()> {
        let mut record = lock(&self.record);
        change(&mut record);
        save(&self.file, &*record)
    }

    /// The connection to the shim, while it lives.
    pub fn shim(&self) -> Option<Arc<Client>> {
        lock(&self.shim).clone()
    }

    /// Sets the connection.
    pub fn set_shim(&self, client: Arc<Client>) {
        *lock(&self.shim) = Some(client);
    }

    /// Gives the connection up: nobody waits for the shim any more.
    pub fn take_shim(&self) -> Option<Arc<Client>> {
        lock(&self.shim).take()
    }
}

impl Container {
    /// A container whose state lies in `directory`.
    pub fn new(record: ContainerRecord, directory: &Path) -> Container {
        let ended = record.exit.is_some();
        Container {
            record: Mutex::new(record),
            ended: watch::Sender::new(ended),
            operation: tokio::sync::Mutex::default(),
            file: directory.join("state.json"),
        }
    }

    /// A copy of the record.
    pub fn record(&self) -> ContainerRecord {
        lock(&self.record).clone()
    }

    /// Looks at the record without copying it.
    pub fn with<T>(&self, look: impl FnOnce(&ContainerRecord) -> T) -> T {
        look(&lock(&self.record))
    }

    /// Changes the record, in memory and on disk.
    pub fn update(&self, change: impl FnOnce(&mut ContainerRecord)) -> std::io::Result<()> {
        let mut record = lock(&self.record);
        change(&mut record);
        let ended = record.exit.is_some();
        let saved = save(&self.file, &*record);
        drop(record);
        self.ended.send_if_modified(|known| {
            let changed = *known != ended;
            *known = ended;
            changed
        });
        saved
    }
}

/// Writes a record.
pub fn save(path: &Path, record: &impl Serialize) -> std::io::Result<()> {
    replace_file(path, &serde_json::to_vec(record)?)
}

/// Reads the records of all directories below `parent`; what cannot be read is reported and skipped.
pub fn load_all<T: DeserializeOwned>(parent: &Path) -> Vec<T> {
    let mut records = Vec::new();
    for entry in std::fs::read_dir(parent).into_iter().flatten().flatten() {
        let path = entry.path().join("state.json");
        let record = std::fs::read(&path)
            .map_err(anyhow::Error::from)
            .and_then(|bytes| Ok(serde_json::from_slice(&bytes)?));
        match record {
            Ok(record) => records.push(record),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "dropping an unreadable state");
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
    }
    records
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
