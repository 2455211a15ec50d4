//! One task for each pod: it observes, asks the pure functions, reports the status, and starts
//! what they answer. Operations run beside it and tell it when they are done.
//!
//! ```text
//!  object changes ─┐                       ┌─> status ──> Reporter ──> API server
//!  runtime events ─┼─> mailbox ──> observe ┤
//!  probes ─────────┤                       └─> sync ──> actions ──> operations ─┐
//!  operations <────┴──────────────────────────────────────────────────────────<─┘
//! ```

mod end;
mod execute;
mod hooks;
mod mailbox;
mod mounts;
mod probing;
mod report;
mod sandbox;
mod start;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

pub use self::mailbox::{Message, Outcome};
use self::report::Reporter;
use crate::context::{Kubelet, PodContext};
use crate::cri::observe;
use crate::objects::Objects;
use crate::pod::sync::{Outlook, outlook, sync};
use crate::pod::{
    Action, Desired, ObservedPod, Record, Refusal, Sandbox, State, Target, Volumes, spec,
};
use crate::probes::Kind;
use crate::status::{self, Context};
use crate::volumes;

/// What others may know about a pod.
#[derive(Clone, Debug)]
pub struct View {
    /// The object.
    pub pod: Arc<Pod>,
    /// The status as last generated.
    pub status: PodStatus,
    /// All attempts at its containers, newest first.
    pub containers: Vec<Record>,
    /// The runtime's name of the sandbox in which they run.
    pub sandbox: Option<String>,
}

/// The way to a worker.
#[derive(Clone)]
pub struct Handle {
    /// Its mailbox.
    pub mailbox: mpsc::UnboundedSender<Message>,
    /// What it knows.
    pub view: watch::Receiver<Arc<View>>,
}

/// The task of one pod.
pub struct Worker {
    kubelet: Arc<Kubelet>,
    objects: Arc<Objects>,
    mailbox: mpsc::UnboundedSender<Message>,
    view: watch::Sender<Arc<View>>,
    observed: ObservedPod,
    revision: i64,
    gone: bool,
    /// Grace and end of grace, once the pod ends.
    deadline: Option<(i64, Timestamp)>,
    reporter: Reporter,
    /// The status generated last; the object's own at first.
    status: PodStatus,
    ended: HashMap<String, Record>,
    primed: bool,
    probes: HashMap<(String, Kind), AbortHandle>,
    cancels: BTreeMap<Target, CancellationToken>,
    volume_failures: u32,
    sandbox_failures: u32,
    object_deleted: bool,
    told_backoff: HashMap<String, Timestamp>,
    refreshed: Timestamp,
    /// What volumes are made from has changed since they were last set up.
    stale: bool,
}

impl Worker {
    /// Starts a worker. `refusal` makes it report that the node will not run the pod; `gone` makes
    /// it only clean up. `finished` is called at its end.
    pub fn start(
        kubelet: Arc<Kubelet>,
        pod: Arc<Pod>,
        revision: i64,
        refusal: Option<Refusal>,
        gone: bool,
        finished: impl FnOnce() + Send + 'static,
    ) -> Handle {
        let (mailbox, messages) = mpsc::unbounded_channel();
        let status = pod.status.clone().unwrap_or_default();
        let view = View {
            pod: pod.clone(),
            status: status.clone(),
            containers: Vec::new(),
            sandbox: None,
        };
        let (view, receiver) = watch::channel(Arc::new(view));
        let handle = Handle {
            mailbox: mailbox.clone(),
            view: receiver,
        };
        let mut observed = ObservedPod::new(pod.clone());
        observed.refusal = refusal;
        let (client, watches) = (kubelet.client.clone(), kubelet.objects.clone());
        let objects = if gone || observed.refusal.is_some() {
            Objects::none(client, watches, &pod)
        } else {
            let mailbox = mailbox.clone();
            Objects::new(client, watches, &pod, move || {
                let _ = mailbox.send(Message::ReferencesChanged);
            })
        };
        let worker = Worker {
            objects: Arc::new(objects),
            reporter: Reporter::start(kubelet.client.clone(), kubelet.metrics.clone()),
            kubelet,
            mailbox,
            view,
            observed,
            revision,
            gone,
            deadline: None,
            status,
            ended: HashMap::new(),
            primed: false,
            probes: HashMap::new(),
            cancels: BTreeMap::new(),
            volume_failures: 0,
            sandbox_failures: 0,
            object_deleted: false,
            told_backoff: HashMap::new(),
            refreshed: Timestamp::now(),
            stale: false,
        };
        tokio::spawn(async move {
            worker.kubelet.metrics.workers.inc();
            let metrics = worker.kubelet.metrics.clone();
            worker.run(messages).await;
            metrics.workers.dec();
            finished();
        });
        handle
    }

    async fn run(mut self, mut messages: mpsc::UnboundedReceiver<Message>) {
        let mut dirty = true;
        loop {
            let mut wake = Timestamp::now()
                + SignedDuration::try_from(self.kubelet.config.sync_frequency)
                    .unwrap_or(SignedDuration::from_mins(1));
            if dirty {
                match self.observe().await {
                    Ok(()) => dirty = false,
                    // Without the runtime nothing is known, and nothing is done.
                    Err(error) => {
                        tracing::debug!(pod = spec::display(&self.observed.pod), %error, "cannot observe a pod");
                        wake = Timestamp::now() + SignedDuration::from_secs(1);
                    }
                }
            }
            if !dirty {
                match self.step(wake) {
                    Some(next) => wake = next,
                    None => break,
                }
            }
            let pause =
                Duration::try_from(wake.duration_since(Timestamp::now())).unwrap_or(Duration::ZERO);
            tokio::select! {
                message = messages.recv() => {
                    let Some(message) = message else { break };
                    dirty |= self.handle(message);
                    while let Ok(message) = messages.try_recv() {
                        dirty |= self.handle(message);
                    }
                }
                () = tokio::time::sleep(pause + Duration::from_millis(5)) => {
                    dirty |= self.sync_is_due();
                }
            }
        }
        for probe in self.probes.values() {
            probe.abort();
        }
    }

    fn sync_is_due(&mut self) -> bool {
        let since = Timestamp::now().duration_since(self.refreshed);
        let due = since
            >= SignedDuration::try_from(self.kubelet.config.sync_frequency).unwrap_or_default();
        if due {
            self.refreshed = Timestamp::now();
            if self.observed.volumes == Volumes::Ready && self.deadline.is_none() {
                self.mount_volumes(true);
            }
        }
        due
    }

    async fn observe(&mut self) -> Result<(), crate::cri::CriError> {
        let uid = spec::uid(&self.observed.pod).to_owned();
        let (sandboxes, mut records) = observe::pod(&self.kubelet.cri, &uid, &self.ended).await?;
        for record in &mut records {
            if record.state != State::Exited {
                continue;
            }
            match self.ended.get(&record.id) {
                Some(known) => *record = known.clone(),
                None => {
                    self.add_message(record);
                    self.ended.insert(record.id.clone(), record.clone());
                }
            }
        }
        self.ended
            .retain(|id, _| records.iter().any(|record| record.id == *id));
        if !self.primed {
            self.primed = true;
            self.prime(&records);
        }
        let running = |id: &String| {
            records
                .iter()
                .any(|own| own.id == *id && own.state == State::Running)
        };
        self.observed.probed.retain(|id, _| running(id));
        self.observed.sandboxes = sandboxes;
        self.observed.containers = records;
        Ok(())
    }

    fn add_message(&self, record: &mut Record) {
        let pod = &self.observed.pod;
        let Some((container, _)) = spec::container(pod, &record.name) else {
            return;
        };
        let log = if record.log_path.is_empty() {
            let relative = crate::cri::config::log_path(&record.name, record.attempt);
            self.kubelet.log_directory(pod).join(relative)
        } else {
            record.log_path.clone().into()
        };
        let root = &self.kubelet.config.root;
        let own = mounts::termination_message(
            root,
            spec::uid(pod),
            container,
            record.attempt,
            record.exit_code,
            &log,
        );
        if !own.is_empty() {
            record.message = own;
        }
    }

    fn desired(&mut self, now: Timestamp) -> Desired {
        let pod = &self.observed.pod;
        if !self.gone && pod.metadata.deletion_timestamp.is_none() {
            self.deadline = None;
            return Desired::Run;
        }
        let grace = spec::grace_seconds(pod);
        let fresh = self.deadline.is_none_or(|(known, _)| grace < known);
        if fresh {
            self.deadline = Some((grace, now + SignedDuration::from_secs(grace)));
        }
        let deadline = self.deadline.map_or(now, |(_, deadline)| deadline);
        if self.gone {
            Desired::Gone { deadline }
        } else {
            Desired::Terminate { deadline }
        }
    }

    /// Decides, reports and acts. `None` ends the worker.
    fn step(&mut self, latest: Timestamp) -> Option<Timestamp> {
        let now = Timestamp::now();
        let desired = self.desired(now);
        let uid = spec::uid(&self.observed.pod);
        if desired != Desired::Run {
            self.observed.leftovers.volumes = volumes::exist(&self.kubelet.config.root, uid);
            self.observed.leftovers.cgroups = self.kubelet.cgroups.exist(uid);
        }
        self.watch_probes(&desired);
        self.generate_status(&desired, now);
        let mut wake = latest;
        for action in sync(&desired, &self.observed, now) {
            match action {
                Action::WakeAt(time) => wake = wake.min(time),
                Action::Forget => {
                    self.forget();
                    return None;
                }
                other => self.execute(other, now),
            }
        }
        Some(wake)
    }

    fn generate_status(&mut self, desired: &Desired, now: Timestamp) {
        let ends = *desired != Desired::Run || outlook(&self.observed, now) != Outlook::Alive;
        let busy = self
            .observed
            .containers
            .iter()
            .any(|record| record.state == State::Running)
            || self
                .observed
                .operations
                .keys()
                .any(|own| matches!(own, Target::Start(_) | Target::Kill(_)));
        let host_ips = self.kubelet.host_ips();
        let context = Context {
            host_ips: &host_ips,
            runtime: self.kubelet.runtime_name(),
            old: &self.status,
            stopped: ends && !busy,
        };
        let status = status::generate(&self.observed, &context, now);
        self.status = status.clone();
        if !matches!(desired, Desired::Gone { .. }) {
            self.reporter
                .report(&self.observed.pod, self.revision, status.clone());
        }
        let view = View {
            pod: self.observed.pod.clone(),
            status,
            containers: self.observed.containers.clone(),
            sandbox: self.sandbox().map(|sandbox| sandbox.id.clone()),
        };
        self.view.send_replace(Arc::new(view));
    }

    /// The newest sandbox, while it works.
    fn sandbox(&self) -> Option<&Sandbox> {
        let newest = self.observed.sandboxes.first();
        newest.filter(|sandbox| sandbox.ready)
    }

    fn context(&self) -> PodContext {
        PodContext {
            kubelet: self.kubelet.clone(),
            pod: self.observed.pod.clone(),
            objects: self.objects.clone(),
            pod_ips: self
                .sandbox()
                .map(|sandbox| sandbox.ips.clone())
                .unwrap_or_default(),
        }
    }

    fn forget(&self) {
        let pod = &self.observed.pod;
        self.kubelet.images.forget_pod(spec::uid(pod));
        let logs = self.kubelet.log_directory(pod);
        if let Err(error) = std::fs::remove_dir_all(&logs)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(path = %logs.display(), %error, "cannot remove the logs of a pod");
        }
        tracing::info!(pod = spec::display(pod), "the pod is gone");
    }
}

#[cfg(test)]
pub(crate) mod tests;
