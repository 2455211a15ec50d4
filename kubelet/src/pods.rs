//! Which pods have a worker: the objects of this node, and what is left of pods without one.
//!
//! A pod waits while another uid of its name is still here. Nothing is cleaned up before the
//! first complete list of objects has been seen.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, RwLock};

use ferrule_client::{Change, EventType, Key, Reader, Typed};
use k8s_openapi::api::core::v1::{Container, Node, Pod, PodSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::admission::{self, admit};
use crate::context::Kubelet;
use crate::cri::observe::RuntimePod;
use crate::pleg::{self, News};
use crate::pod::{Refusal, spec};
use crate::status::REFUSED;
use crate::volumes;
use crate::worker::{Handle, Message, View, Worker};

/// All workers by uid; others look pods up here.
#[derive(Clone, Default)]
pub struct Directory(Arc<RwLock<HashMap<String, Handle>>>);

impl Directory {
    /// The worker of a pod by uid, or by name when the uid is empty.
    pub fn find(&self, namespace: &str, name: &str, uid: &str) -> Option<Handle> {
        let workers = self
            .0
            .read()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        let fits = |handle: &&Handle| {
            let view = handle.view.borrow();
            spec::namespace(&view.pod) == namespace && spec::name(&view.pod) == name
        };
        match uid {
            "" => workers.values().find(fits).cloned(),
            uid => workers.get(uid).filter(fits).cloned(),
        }
    }

    fn get(&self, uid: &str) -> Option<Handle> {
        self.0
            .read()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .get(uid)
            .cloned()
    }

    pub(crate) fn insert(&self, uid: String, handle: Handle) {
        self.0
            .write()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .insert(uid, handle);
    }

    fn remove(&self, uid: &str) {
        self.0
            .write()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .remove(uid);
    }

    fn all(&self) -> Vec<Handle> {
        self.0
            .read()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .values()
            .cloned()
            .collect()
    }

    /// What is known of every pod.
    pub fn views(&self) -> Vec<Arc<View>> {
        self.all()
            .into_iter()
            .map(|handle| handle.view.borrow().clone())
            .collect()
    }

    /// The objects of all pods that still need resources of the node.
    pub fn active(&self) -> Vec<Arc<Pod>> {
        let views = self.views().into_iter();
        let alive = views.filter(|view| {
            !matches!(view.status.phase.as_deref(), Some("Succeeded" | "Failed"))
                && !spec::has_ended(&view.pod)
        });
        alive.map(|view| view.pod.clone()).collect()
    }
}

struct Pods {
    kubelet: Arc<Kubelet>,
    directory: Directory,
    objects: Reader<Typed<Pod>>,
    node: Reader<Typed<Node>>,
    /// Pods that wait for another uid of their name.
    waiting: BTreeMap<(String, String), (Arc<Pod>, i64)>,
    finished: mpsc::UnboundedSender<String>,
    swept: bool,
}

/// Keeps workers for the pods of this node until `shutdown`.
pub async fn run(
    kubelet: Arc<Kubelet>,
    directory: Directory,
    objects: Reader<Typed<Pod>>,
    node: Reader<Typed<Node>>,
    shutdown: CancellationToken,
) {
    let (finished, mut ends) = mpsc::unbounded_channel();
    let (news_sender, mut news) = mpsc::unbounded_channel();
    tokio::spawn(pleg::run(kubelet.clone(), news_sender, shutdown.clone()));
    let mut changes = objects.subscribe();
    let mut pods = Pods {
        kubelet,
        directory,
        objects,
        node,
        waiting: BTreeMap::new(),
        finished,
        swept: false,
    };
    loop {
        tokio::select! {
            // Objects first: what they say decides what is an orphan.
            biased;
            () = shutdown.cancelled() => return,
            Some(change) = changes.recv() => pods.changed(&change),
            Some(uid) = ends.recv() => pods.ended(&uid),
            Some(news) = news.recv() => pods.told(news),
        }
    }
}

impl Pods {
    fn changed(&mut self, change: &Change<Typed<Pod>>) {
        match change {
            Change::Added(object) => self.update(object.value.0.clone(), object.revision),
            Change::Modified { old, new } => {
                // After a gap in the watch one pod may have taken the place of another.
                if old.header.uid != new.header.uid {
                    self.gone(&old.value.0);
                }
                self.update(new.value.0.clone(), new.revision);
            }
            Change::Deleted(object) => {
                // The last state says how much time was left: none, after a forced deletion.
                let uid = spec::uid(&object.value.0).to_owned();
                if let Some(handle) = self.directory.get(&uid) {
                    let pod = Arc::new(object.value.0.clone());
                    let _ = handle.mailbox.send(Message::Update {
                        pod,
                        revision: object.revision,
                    });
                }
                self.gone(&object.value.0);
            }
        }
    }

    fn update(&mut self, pod: Pod, revision: i64) {
        let pod = Arc::new(pod);
        if let Some(handle) = self.directory.get(spec::uid(&pod)) {
            let _ = handle.mailbox.send(Message::Update { pod, revision });
            return;
        }
        let key = (
            spec::namespace(&pod).to_owned(),
            spec::name(&pod).to_owned(),
        );
        if self.directory.find(&key.0, &key.1, "").is_some() {
            tracing::info!(
                pod = spec::display(&pod),
                "waits for the pod that had its name before"
            );
            self.waiting.insert(key, (pod, revision));
            return;
        }
        self.begin(pod, revision);
    }

    fn begin(&mut self, pod: Arc<Pod>, revision: i64) {
        // What began before this process did was admitted, or refused, then.
        let began = pod
            .status
            .as_ref()
            .is_some_and(|status| status.start_time.is_some());
        let before = refused_before(&pod);
        let refusal = if before.is_some() || began || pod.metadata.deletion_timestamp.is_some() {
            None
        } else {
            let active = self.directory.active();
            admit(
                &pod,
                active.iter().map(|pod| &**pod),
                &self.admission_node(),
            )
            .err()
        };
        if let Some(refusal) = &refusal {
            self.kubelet.pod_event(
                &pod,
                EventType::Warning,
                &refusal.reason,
                refusal.message.clone(),
            );
        }
        self.start(pod, revision, refusal.or(before), false);
    }

    fn admission_node(&self) -> admission::Node {
        let config = &self.kubelet.config;
        let own = self.node.get(&Key::cluster(config.node.as_str()));
        let labels = own.and_then(|own| own.value.metadata.labels.clone());
        admission::Node {
            name: config.node.clone(),
            labels: labels.unwrap_or_else(|| crate::node::labels(&config.node)),
            capacity: self.kubelet.capacity.clone(),
            max_pods: config.max_pods,
        }
    }

    fn start(&self, pod: Arc<Pod>, revision: i64, refusal: Option<Refusal>, gone: bool) {
        let uid = spec::uid(&pod).to_owned();
        let (finished, own) = (self.finished.clone(), uid.clone());
        let handle = Worker::start(
            self.kubelet.clone(),
            pod,
            revision,
            refusal,
            gone,
            move || {
                let _ = finished.send(own);
            },
        );
        self.directory.insert(uid, handle);
    }

    fn gone(&mut self, pod: &Pod) {
        let key = (spec::namespace(pod).to_owned(), spec::name(pod).to_owned());
        if self
            .waiting
            .get(&key)
            .is_some_and(|(waiting, _)| spec::uid(waiting) == spec::uid(pod))
        {
            self.waiting.remove(&key);
        }
        if let Some(handle) = self.directory.get(spec::uid(pod)) {
            let _ = handle.mailbox.send(Message::Gone);
        }
    }

    fn ended(&mut self, uid: &str) {
        let Some(handle) = self.directory.get(uid) else {
            return;
        };
        self.directory.remove(uid);
        let pod = handle.view.borrow().pod.clone();
        let key = (
            spec::namespace(&pod).to_owned(),
            spec::name(&pod).to_owned(),
        );
        if let Some((next, revision)) = self.waiting.remove(&key) {
            self.begin(next, revision);
        }
    }

    fn told(&mut self, news: News) {
        match news {
            News::Changed(uid) => {
                if let Some(handle) = self.directory.get(&uid) {
                    let _ = handle.mailbox.send(Message::Changed);
                }
            }
            News::Relisted(pods) => self.clean_up(&pods),
        }
    }

    /// Begins the end of everything that no object stands for.
    fn clean_up(&mut self, runtime: &BTreeMap<String, RuntimePod>) {
        if !self.objects.synced() {
            return;
        }
        let objects = self.objects.list();
        let stands = |uid: &str| objects.iter().any(|object| *object.header.uid == *uid);
        for (uid, pod) in runtime {
            if self.directory.get(uid).is_none() && !stands(uid) {
                tracing::info!(
                    uid,
                    namespace = pod.namespace,
                    name = pod.name,
                    "a pod without an object is stopped"
                );
                self.start(Arc::new(remnant(uid, pod)), 0, None, true);
            }
        }
        if self.swept {
            return;
        }
        // Directories and control groups appear only through workers: one look is enough.
        self.swept = true;
        let left = volumes::uids(&self.kubelet.config.root)
            .into_iter()
            .chain(self.kubelet.cgroups.uids());
        for uid in left {
            if self.directory.get(&uid).is_none() && !stands(&uid) {
                tracing::info!(uid, "what is left of a pod is removed");
                self.start(
                    Arc::new(remnant(&uid, &RuntimePod::default())),
                    0,
                    None,
                    true,
                );
            }
        }
    }
}

/// The refusal that an object tells of: it failed and never had a container.
fn refused_before(pod: &Pod) -> Option<Refusal> {
    let status = pod.status.as_ref()?;
    let none = status.container_statuses.as_ref().is_none_or(Vec::is_empty);
    let message = status.message.as_deref()?.strip_prefix(REFUSED)?.to_owned();
    let reason = status.reason.clone()?;
    (status.phase.as_deref() == Some("Failed") && none).then_some(Refusal { reason, message })
}

/// An object for a pod that has none. It ends at once: nobody waits for it.
fn remnant(uid: &str, pod: &RuntimePod) -> Pod {
    let container = |name: &String| Container {
        name: name.clone(),
        ..Container::default()
    };
    Pod {
        metadata: ObjectMeta {
            name: Some(pod.name.clone()),
            namespace: Some(pod.namespace.clone()),
            uid: Some(uid.to_owned()),
            deletion_grace_period_seconds: Some(1),
            ..ObjectMeta::default()
        },
        spec: Some(PodSpec {
            containers: pod.containers.iter().map(container).collect(),
            ..PodSpec::default()
        }),
        status: None,
    }
}
