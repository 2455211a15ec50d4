//! What a pod should be and what it is: the model that the pure functions read and the actions they answer.

pub mod backoff;
mod ending;
pub mod spec;
pub mod sync;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;

use self::backoff::BackOff;

/// What shall become of a pod on this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Desired {
    /// Keep it running by its restart policy.
    Run,
    /// Its object is being deleted: stop it, clean up, then let the object go.
    Terminate {
        /// When its containers must have ended.
        deadline: Timestamp,
    },
    /// No object stands for it any more: stop it, clean up, forget it.
    Gone {
        /// When its containers must have ended.
        deadline: Timestamp,
    },
}

/// A sandbox as the runtime reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sandbox {
    /// The runtime's name for it.
    pub id: String,
    /// How many sandboxes the pod had before.
    pub attempt: u32,
    /// Whether it works.
    pub ready: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// Whether it uses the network of the node.
    pub host_network: bool,
    /// Its addresses, the first is the primary one. Empty with the network of the node.
    pub ips: Vec<String>,
}

/// The state of a container in the runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Made, never started.
    Created,
    /// Its process lives.
    Running,
    /// Its process ended.
    Exited,
    /// The runtime does not know.
    Unknown,
}

/// One attempt at a container, as the runtime reports it.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// The runtime's name for it.
    pub id: String,
    /// The container's name in the pod.
    pub name: String,
    /// The sandbox that it belongs to.
    pub sandbox_id: String,
    /// How often the container was restarted before.
    pub attempt: u32,
    /// What it does.
    pub state: State,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it started.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// How it ended.
    pub exit_code: i32,
    /// Why it ended: `Completed`, `Error`, `OOMKilled`.
    pub reason: String,
    /// What the runtime or the container said at its end.
    pub message: String,
    /// The image as it was asked for.
    pub image: String,
    /// The image with its digest.
    pub image_ref: String,
    /// A fingerprint of the definition it was made from; 0 is unknown.
    pub hash: u64,
    /// Its log, as an absolute path.
    pub log_path: String,
    /// User, group and supplemental groups of its first process.
    pub user: Option<(i64, i64, Vec<i64>)>,
}

/// Why a container could not be started; kept until the next try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// `ErrImagePull`, `CreateContainerConfigError`, …
    pub reason: String,
    /// What a person should read.
    pub message: String,
    /// Not before.
    pub retry_at: Timestamp,
}

/// What the probes of one running container say; `None` is no answer yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Probed {
    /// The startup probe.
    pub startup: Option<bool>,
    /// The liveness probe.
    pub liveness: Option<bool>,
    /// The readiness probe.
    pub readiness: Option<bool>,
}

/// What an operation in flight works on. There is at most one for each target.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// The volumes.
    Volumes,
    /// The sandbox, made or stopped or removed.
    Sandbox,
    /// A container by its name: pulled, made, started, hooked.
    Start(String),
    /// A container by its id: hooked and stopped.
    Kill(String),
    /// A container by its id: removed.
    Remove(String),
    /// What is left of the pod on disk and in the kernel.
    Clean,
}

/// An operation in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// For a kill: when it ends at the latest.
    pub deadline: Option<Timestamp>,
    /// Whether it was told to end early.
    pub cancelled: bool,
}

/// How far the volumes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Volumes {
    /// Not set up since this process began.
    Pending,
    /// Set up.
    Ready,
    /// Failed; again not before this.
    Failed(Timestamp),
}

/// Why this node will not run a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// `OutOfcpu`, `NodeAffinity`, …
    pub reason: String,
    /// What a person should read.
    pub message: String,
}

/// What is left of a pod besides sandboxes and containers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Leftovers {
    /// Its directory with volumes.
    pub volumes: bool,
    /// Its control groups.
    pub cgroups: bool,
}

/// All that is known about a pod at one moment.
#[derive(Clone, Debug)]
pub struct ObservedPod {
    /// The object.
    pub pod: Arc<Pod>,
    /// Its sandboxes, newest first.
    pub sandboxes: Vec<Sandbox>,
    /// All attempts at its containers, newest first.
    pub containers: Vec<Record>,
    /// What is being done.
    pub operations: BTreeMap<Target, Operation>,
    /// Its volumes.
    pub volumes: Volumes,
    /// When a sandbox may be tried again, after a failure.
    pub sandbox_retry_at: Option<Timestamp>,
    /// Starts that failed, by container name.
    pub failures: BTreeMap<String, Failure>,
    /// Answers of probes, by container id.
    pub probed: BTreeMap<String, Probed>,
    /// Restart back-off, by container name.
    pub backoff: BTreeMap<String, BackOff>,
    /// Set when the node refuses it.
    pub refusal: Option<Refusal>,
    /// What is left on disk and in the kernel.
    pub leftovers: Leftovers,
}

/// Why a container is stopped; the words are those of the `Killing` event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KillReason {
    /// The pod ends.
    Stopping,
    /// The liveness probe failed.
    Liveness,
    /// The startup probe failed.
    Startup,
    /// The container's definition changed.
    Changed,
}

impl KillReason {
    /// The message of the event.
    pub fn message(self, container: &str) -> String {
        match self {
            KillReason::Stopping => format!("Stopping container {container}"),
            KillReason::Liveness => {
                format!("Container {container} failed liveness probe, will be restarted")
            }
            KillReason::Startup => {
                format!("Container {container} failed startup probe, will be restarted")
            }
            KillReason::Changed => {
                format!("Container {container} definition changed, will be restarted")
            }
        }
    }
}

/// What the shell shall do next. Every action may be repeated without harm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Set up volumes.
    MountVolumes,
    /// Make a sandbox.
    CreateSandbox {
        /// How many there were before.
        attempt: u32,
    },
    /// Stop a sandbox and what still runs in it.
    StopSandbox {
        /// The runtime's name.
        id: String,
        /// Another one will follow.
        recreate: bool,
    },
    /// Remove a stopped sandbox.
    RemoveSandbox {
        /// The runtime's name.
        id: String,
    },
    /// Pull, make and start a container, and call its postStart hook.
    StartContainer {
        /// Its name.
        name: String,
        /// Its restart count.
        attempt: u32,
        /// Where.
        sandbox_id: String,
        /// A never started attempt to be removed first.
        replaces: Option<String>,
    },
    /// End a start that is in flight.
    CancelStart {
        /// Its name.
        name: String,
    },
    /// Call the preStop hook and stop a container.
    KillContainer {
        /// The runtime's name.
        id: String,
        /// Its name.
        name: String,
        /// Why.
        reason: KillReason,
        /// For hook and signals together.
        grace: Duration,
    },
    /// Remove a container that ended.
    RemoveContainer {
        /// The runtime's name.
        id: String,
    },
    /// Say that a container waits before it is restarted.
    ReportBackOff {
        /// Its name.
        name: String,
    },
    /// Remove volumes, directories and control groups.
    Clean,
    /// Everything is gone: report the end and delete the object.
    DeleteObject,
    /// Everything is gone: forget the pod.
    Forget,
    /// Look again then.
    WakeAt(Timestamp),
}

impl ObservedPod {
    /// A pod of which nothing is known but its object.
    pub fn new(pod: Arc<Pod>) -> ObservedPod {
        ObservedPod {
            pod,
            sandboxes: Vec::new(),
            containers: Vec::new(),
            operations: BTreeMap::new(),
            volumes: Volumes::Pending,
            sandbox_retry_at: None,
            failures: BTreeMap::new(),
            probed: BTreeMap::new(),
            backoff: BTreeMap::new(),
            refusal: None,
            leftovers: Leftovers::default(),
        }
    }

    /// The latest attempt at a container.
    pub fn latest(&self, name: &str) -> Option<&Record> {
        self.containers.iter().find(|record| record.name == name)
    }

    /// The attempt before the latest.
    pub fn previous(&self, name: &str) -> Option<&Record> {
        self.containers
            .iter()
            .filter(|record| record.name == name)
            .nth(1)
    }

    /// Whether a container is being started.
    pub fn starting(&self, name: &str) -> bool {
        self.operations
            .contains_key(&Target::Start(name.to_owned()))
    }

    /// The sandbox in which containers may be started: the newest, when it works as the pod asks.
    pub fn current_sandbox(&self) -> Option<&Sandbox> {
        let newest = self.sandboxes.first()?;
        let host_network = spec::host_network(&self.pod);
        let addressed = host_network || !newest.ips.is_empty();
        let only = self
            .sandboxes
            .iter()
            .filter(|sandbox| sandbox.ready)
            .count()
            == 1;
        (newest.ready && only && newest.host_network == host_network && addressed).then_some(newest)
    }

    /// Whether a running container has started in Kubernetes' sense: its postStart hook has
    /// returned and its startup probe has succeeded.
    pub fn has_started(
        &self,
        container: &k8s_openapi::api::core::v1::Container,
        record: &Record,
    ) -> bool {
        record.state == State::Running
            && !self.starting(&record.name)
            && (container.startup_probe.is_none()
                || self
                    .probed
                    .get(&record.id)
                    .and_then(|probed| probed.startup)
                    == Some(true))
    }
}
