//! The garbage collector: nothing stays whose owners are gone.
//!
//! The graph is built from the informers of every resource that can be listed and deleted. It only
//! tells what to look at: before anything is deleted, the object and the absence of its owners are
//! read from the API server itself.

pub mod absent;
mod act;
pub mod follow;
pub mod graph;
pub mod plan;
#[cfg(test)]
mod tests;

use std::sync::{Arc, LazyLock, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use ferrule_apimachinery::header::Header;
use ferrule_apimachinery::scheme::{GroupVersionResource, Scheme};
use ferrule_client::controller::{Error, Readers};
use ferrule_client::{
    At, Change, Client, Controller, EventType, Informer, Key, Next, ObjectReference, Queue, Reader,
    Recorder, Writes,
};
use tokio_util::sync::CancellationToken;

use crate::manager::{Caches, Manager};
use crate::objects::meta::OwnerReference;
use absent::AbsentOwners;
use act::live;
use follow::Following;
use graph::{Coordinates, Entry, Follows, Graph, Kind, Source, Uid};
use plan::{Observed, Owner};

/// How often new resources are looked for.
const DISCOVERY_PERIOD: Duration = Duration::from_secs(30);
/// How often an owner that exists but that no informer shows is looked up again.
const VIRTUAL_PERIOD: Duration = Duration::from_secs(30);
/// When a virtual node that stands for another object now is looked up.
const OTHER_COORDINATES: Duration = Duration::from_secs(1);

/// Starts the controller.
pub fn start(manager: &Manager) {
    let collector = Collector {
        graph: Arc::default(),
        absent: Arc::default(),
        following: Arc::default(),
        queue: Queue::new(),
        recorder: manager.recorder("garbage-collector-controller"),
    };
    collector.follow_caches(&manager.caches);
    let (client, token) = (manager.client.clone(), manager.shutdown.clone());
    let queue = collector.queue.clone();
    let following = collector.clone();
    manager.spawn(async move { following.follow_the_rest(client, token).await });
    manager.run(
        collector,
        queue,
        Readers::default(),
        manager.options.concurrent_gc_syncs,
    );
}

#[derive(Clone)]
struct Collector {
    graph: Arc<Mutex<Graph>>,
    absent: Arc<Mutex<AbsentOwners>>,
    following: Arc<Following>,
    queue: Queue,
    recorder: Recorder,
}

impl Collector {
    fn graph(&self) -> MutexGuard<'_, Graph> {
        self.graph
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn absent(&self) -> MutexGuard<'_, AbsentOwners> {
        self.absent
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Follows the resources whose informers the other controllers have already.
    fn follow_caches(&self, caches: &Caches) {
        self.follow_shared(&caches.pods);
        self.follow_shared(&caches.nodes);
        self.follow_shared(&caches.leases);
        self.follow_shared(&caches.namespaces);
        self.follow_shared(&caches.services);
        self.follow_shared(&caches.slices);
        self.follow_shared(&caches.endpoints);
        self.follow_shared(&caches.deployments);
        self.follow_shared(&caches.replica_sets);
        self.follow_shared(&caches.budgets);
        self.follow_shared(&caches.service_accounts);
    }

    fn follow_shared<T: Send + Sync + 'static>(&self, reader: &Reader<T>) {
        static BUILTIN: LazyLock<Scheme> = LazyLock::new(Scheme::builtin);
        let row = BUILTIN.get(reader.gvr());
        self.follow(reader, row.map_or("", |row| &row.kind), None);
    }

    fn follow<T: Send + Sync + 'static>(
        &self,
        reader: &Reader<T>,
        kind: &str,
        end: Option<CancellationToken>,
    ) {
        self.following.add(reader, end);
        let own = self.clone();
        let source = Arc::new(Source::new(reader.gvr().clone(), kind));
        reader.on_change(move |change| {
            let header: &Header = &change.object().header;
            let follows = match change {
                Change::Deleted(_) => own.removed(&header.uid),
                _ => own.graph().observe(&source, header),
            };
            own.follow_up(follows);
        });
    }

    /// An object is gone, and so its dependents' owner.
    fn removed(&self, uid: &str) -> Follows {
        let mut graph = self.graph();
        if let Some(entry) = graph.get(uid)
            && !graph.dependents(uid).is_empty()
        {
            self.absent().add(Coordinates {
                kind: entry.kind.clone(),
                key: entry.key.clone(),
                uid: uid.into(),
            });
        }
        Follows {
            look: graph.remove(uid),
            other_namespace: Vec::new(),
        }
    }

    fn follow_up(&self, follows: Follows) {
        for (uid, owner) in follows.other_namespace {
            self.report_other_namespace(&uid, &owner);
        }
        let look = follows.look.into_iter();
        look.for_each(|uid| self.queue.add(Key::cluster(uid)));
    }

    fn report_other_namespace(&self, uid: &Uid, owner: &Coordinates) {
        let Some(entry) = self.graph().get(uid).cloned() else {
            return;
        };
        let object = ObjectReference {
            kind: entry.kind.kind.to_string(),
            api_version: entry.kind.api_version.to_string(),
            namespace: entry.key.namespace.to_string(),
            name: entry.key.name.to_string(),
            uid: uid.to_string(),
            ..ObjectReference::default()
        };
        let message = format!(
            "ownerRef {owner} does not exist in namespace {:?}",
            entry.key.namespace
        );
        self.recorder.event(
            &object,
            EventType::Warning,
            "OwnerRefInvalidNamespace",
            message,
        );
    }

    /// Follows every other resource that can be listed and deleted, new ones too.
    async fn follow_the_rest(&self, client: Client, token: CancellationToken) {
        loop {
            match client.resources().await {
                Ok(resources) => {
                    for (gvr, kind) in self.following.discovered(&resources) {
                        let end = token.child_token();
                        let reader = Informer::<()>::builder(&client, gvr).start(end.clone());
                        self.follow(&reader, &kind, Some(end));
                    }
                }
                Err(status) => tracing::debug!(error = %status, "cannot discover resources"),
            }
            tokio::select! {
                () = token.cancelled() => return,
                () = tokio::time::sleep(DISCOVERY_PERIOD) => {}
            }
        }
    }

    /// What a look finds of an owner; `None` when a cluster-scoped object refers to one that lives in
    /// a namespace, which no look can tell.
    async fn find(
        &self,
        client: &Client,
        owner: &OwnerReference,
        namespace: &Arc<str>,
    ) -> Result<Option<Owner>, Error> {
        let kind = Kind::new(&owner.api_version, &owner.kind);
        let coordinates = |namespace: &Arc<str>| Coordinates {
            kind: kind.clone(),
            key: Key::new(namespace.clone(), owner.name.as_str()),
            uid: owner.uid.as_str().into(),
        };
        let is_absent = {
            let absent = self.absent();
            absent.has(&coordinates(&Arc::from(""))) || absent.has(&coordinates(namespace))
        };
        if is_absent {
            return Ok(Some(Owner::Absent));
        }
        let meant = graph::Owner {
            kind: kind.clone(),
            name: owner.name.as_str().into(),
            uid: owner.uid.as_str().into(),
            blocks: false,
        };
        let seen = self.graph().get(&owner.uid).cloned();
        if let Some(entry) = seen.filter(|entry| entry.is_meant(&meant, namespace)) {
            return Ok(Some(if entry.waits {
                Owner::Waiting
            } else {
                Owner::Solid
            }));
        }
        let (gvr, namespaced) = self.resource(&kind)?;
        if namespaced && namespace.is_empty() {
            return Ok(None);
        }
        let within = if namespaced {
            namespace
        } else {
            &Arc::from("")
        };
        let at = At::of(gvr).namespace(&**within).name(&owner.name);
        match live(client, &at).await? {
            Some(live) if live.uid == owner.uid => Ok(Some(if live.waits() {
                Owner::Waiting
            } else {
                Owner::Solid
            })),
            _ => {
                self.absent().add(coordinates(within));
                Ok(Some(Owner::Absent))
            }
        }
    }

    /// Nothing is deleted because of an owner of a kind that nobody knows.
    fn resource(&self, kind: &Kind) -> Result<(GroupVersionResource, bool), Error> {
        self.following.resource(kind).ok_or_else(|| {
            let (version, kind) = (&kind.api_version, &kind.kind);
            format!("no resource is known for the owner {version} {kind}").into()
        })
    }

    /// Looks up what a virtual node stands for.
    async fn verify(&self, node: &Coordinates, client: &Client) -> Result<Next, Error> {
        let (gvr, namespaced) = self.resource(&node.kind)?;
        if namespaced && node.key.namespace.is_empty() {
            return Ok(Next::Done);
        }
        let namespace = if namespaced { &*node.key.namespace } else { "" };
        let at = At::of(gvr).namespace(namespace).name(&*node.key.name);
        let found = live(client, &at).await?;
        if found.is_some_and(|live| *live.uid == *node.uid) {
            // Its informer shows it soon; one that is not followed may go without a word.
            return Ok(Next::After(VIRTUAL_PERIOD));
        }
        self.absent().add(Coordinates {
            key: Key::new(namespace, node.key.name.clone()),
            ..node.clone()
        });
        for uid in self.graph().missed(node) {
            let key = Key::cluster(uid.clone());
            if uid == node.uid {
                self.queue.add_after(key, OTHER_COORDINATES);
            } else {
                self.queue.add(key);
            }
        }
        Ok(Next::Done)
    }
}

#[async_trait]
impl Controller for Collector {
    fn name(&self) -> &'static str {
        "garbage-collector"
    }

    async fn reconcile(&self, key: &Key, writes: &Writes) -> Result<Next, Error> {
        self.following.wait_complete().await;
        let uid: &str = &key.name;
        let node = self.graph().virtual_node(uid);
        if let Some(node) = node {
            return self.verify(&node, writes.client()).await;
        }
        let found = {
            let graph = self.graph();
            let entry = graph.get(uid).filter(|entry| !graph.is_settled(entry));
            entry.cloned()
        };
        let Some((entry, source)) = found.and_then(|entry| {
            let source = entry.source.clone()?;
            Some((entry, source))
        }) else {
            return Ok(Next::Done);
        };
        let at = At::of(source.gvr.clone())
            .namespace(&*entry.key.namespace)
            .name(&*entry.key.name);
        self.settle(&at, uid, &entry, writes).await
    }
}

impl Collector {
    async fn settle(
        &self,
        at: &At,
        uid: &str,
        entry: &Entry,
        writes: &Writes,
    ) -> Result<Next, Error> {
        let present = live(writes.client(), at).await?;
        let Some(live) = present.filter(|live| live.uid == uid) else {
            return Ok(Next::Done);
        };
        let deleting = live.deletion_timestamp.is_some();
        let mut owners = Vec::new();
        if !deleting {
            for owner in &live.owner_references {
                let found = self.find(writes.client(), owner, &entry.key.namespace);
                let Some(found) = found.await? else {
                    // Nobody can tell whether that owner stands: the object stays.
                    return Ok(Next::Done);
                };
                owners.push((owner.clone(), found));
            }
        }
        let observed = {
            let graph = self.graph();
            Observed {
                deleting,
                finalizers: live.finalizers.clone(),
                owners,
                has_dependents: !graph.dependents(uid).is_empty(),
                blocked: !graph.blocking(uid).is_empty(),
                dependent_waits: graph.dependent_waits(uid),
            }
        };
        self.carry_out(at, uid, &live, plan::plan(&observed), writes)
            .await?;
        Ok(Next::Done)
    }
}
