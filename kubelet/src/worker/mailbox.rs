//! What a worker is told, and what it makes of it.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;

use super::Worker;
use crate::pod::{Failure, Target, Volumes};
use crate::probes::Kind;

/// What a worker is told.
#[derive(Debug)]
pub enum Message {
    /// The object as it is now.
    Update {
        /// The object.
        pod: Arc<Pod>,
        /// The revision at which it was seen.
        revision: i64,
    },
    /// The object is gone.
    Gone,
    /// Something happened in the runtime.
    Changed,
    /// A probe has a new verdict.
    Probed {
        /// The container's id.
        id: String,
        /// Which probe.
        kind: Kind,
        /// What it says.
        verdict: bool,
    },
    /// A ConfigMap or a Secret that the pod refers to has changed.
    ReferencesChanged,
    /// An operation ended.
    Done(Target, Outcome),
}

/// How an operation ended.
#[derive(Debug)]
pub enum Outcome {
    /// As it should, or so that looking again is all there is to do.
    Finished,
    /// Volumes could not be set up.
    VolumesFailed,
    /// A sandbox could not be made.
    SandboxFailed,
    /// A start ended, well or not.
    Started(Option<Failure>),
    /// The API server no longer has the object.
    ObjectDeleted,
}

impl Worker {
    /// Takes in a message; says whether the runtime must be asked again.
    pub(super) fn handle(&mut self, message: Message) -> bool {
        match message {
            Message::Update { pod, revision } => {
                let before = std::mem::replace(&mut self.observed.pod, pod);
                self.revision = revision;
                let shown = |pod: &Pod| {
                    let metadata = &pod.metadata;
                    (metadata.labels.clone(), metadata.annotations.clone())
                };
                if shown(&before) != shown(&self.observed.pod) {
                    self.references_changed();
                }
                false
            }
            Message::Gone => {
                self.gone = true;
                false
            }
            Message::Changed => true,
            Message::Probed { id, kind, verdict } => {
                let probed = self.observed.probed.entry(id).or_default();
                match kind {
                    Kind::Startup => probed.startup = Some(verdict),
                    Kind::Liveness => probed.liveness = Some(verdict),
                    Kind::Readiness => probed.readiness = Some(verdict),
                }
                false
            }
            Message::ReferencesChanged => {
                self.references_changed();
                false
            }
            Message::Done(target, outcome) => {
                self.done(target, outcome);
                if self.stale {
                    self.references_changed();
                }
                true
            }
        }
    }

    /// Volumes get the new contents at once, and who failed for want of them is tried again.
    fn references_changed(&mut self) {
        self.stale = self.observed.operations.contains_key(&Target::Volumes);
        if self.stale || self.deadline.is_some() {
            return;
        }
        match self.observed.volumes {
            Volumes::Ready => self.mount_volumes(true),
            Volumes::Failed(_) => self.observed.volumes = Volumes::Pending,
            Volumes::Pending => {}
        }
        let waits = |failure: &Failure| failure.reason == "CreateContainerConfigError";
        for failure in self.observed.failures.values_mut() {
            if waits(failure) {
                failure.retry_at = Timestamp::now();
            }
        }
    }

    fn done(&mut self, target: Target, outcome: Outcome) {
        self.observed.operations.remove(&target);
        self.cancels.remove(&target);
        let now = Timestamp::now();
        let after = |failures: u32, most: i64| {
            now + SignedDuration::from_secs((1 << failures.min(6)).min(most))
        };
        match (target, outcome) {
            // Volumes that could not be refreshed are as good as they were.
            (Target::Volumes, Outcome::VolumesFailed)
                if self.observed.volumes == Volumes::Ready => {}
            (Target::Volumes, Outcome::VolumesFailed) => {
                self.observed.volumes = Volumes::Failed(after(self.volume_failures, 30));
                self.volume_failures += 1;
            }
            (Target::Volumes, _) => {
                self.observed.volumes = Volumes::Ready;
                self.volume_failures = 0;
            }
            (Target::Sandbox, Outcome::SandboxFailed) => {
                self.observed.sandbox_retry_at = Some(after(self.sandbox_failures, 10));
                self.sandbox_failures += 1;
            }
            (Target::Sandbox, _) => {
                self.observed.sandbox_retry_at = None;
                self.sandbox_failures = 0;
            }
            (Target::Start(name), Outcome::Started(failure)) => match failure {
                Some(failure) => {
                    self.kubelet.metrics.start_failures.inc();
                    self.observed.failures.insert(name, failure);
                }
                None => {
                    self.observed.failures.remove(&name);
                }
            },
            (Target::Clean, Outcome::ObjectDeleted) => self.object_deleted = true,
            _ => {}
        }
    }
}
