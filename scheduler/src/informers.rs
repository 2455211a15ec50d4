//! What the scheduler follows, and how it hears of changes.

use ferrule_apimachinery::scheme::gvr;
use ferrule_apimachinery::selector::Labels;
use ferrule_client::{Change, Client, Informer, Key, Projection, Reader};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::disruption::Budget;
use crate::node::NodeObject;
use crate::pod::Known;
use crate::workloads::{ReplicaSet, Service};

/// The caches that the scheduler follows.
pub struct Informers {
    /// Every pod.
    pub pods: Reader<Known>,
    /// Every node.
    pub nodes: Reader<NodeObject>,
    namespaces: Reader<()>,
    services: Reader<Service>,
    replica_sets: Reader<ReplicaSet>,
    budgets: Reader<Budget>,
}

/// A change of one of them; what is gone has no value.
pub enum Seen {
    /// A pod.
    Pod(Change<Known>),
    /// A node.
    Node(Change<NodeObject>),
    /// A namespace's labels.
    Namespace(Key, Option<Labels>),
    /// A Service's selector.
    Service(Key, Option<Service>),
    /// A ReplicaSet's selector.
    ReplicaSet(Key, Option<ReplicaSet>),
    /// A disruption budget.
    Budget(Key, Option<Budget>),
}

impl Informers {
    /// Starts to follow everything.
    pub fn start(client: &Client, shutdown: &CancellationToken) -> Informers {
        fn follow<T: Projection>(
            client: &Client,
            resource: ferrule_apimachinery::scheme::GroupVersionResource,
            shutdown: &CancellationToken,
        ) -> Reader<T> {
            Informer::builder(client, resource).start(shutdown.clone())
        }
        Informers {
            pods: follow(client, gvr::PODS, shutdown),
            nodes: follow(client, gvr::NODES, shutdown),
            namespaces: follow(client, gvr::NAMESPACES, shutdown),
            services: follow(client, gvr::SERVICES, shutdown),
            replica_sets: follow(client, gvr::REPLICA_SETS, shutdown),
            budgets: follow(client, gvr::POD_DISRUPTION_BUDGETS, shutdown),
        }
    }

    /// Waits until all caches are complete.
    pub async fn wait_synced(&self) {
        self.nodes.wait_synced().await;
        self.pods.wait_synced().await;
        self.namespaces.wait_synced().await;
        self.services.wait_synced().await;
        self.replica_sets.wait_synced().await;
        self.budgets.wait_synced().await;
    }

    /// Sends what is there and every change of it. Nodes go before pods, so that the first
    /// decisions see all of them.
    pub fn send_to<M: From<Seen> + Send + 'static>(&self, sender: &mpsc::UnboundedSender<M>) {
        let send = |sender: &mpsc::UnboundedSender<M>| {
            let sender = sender.clone();
            move |seen: Seen| drop(sender.send(seen.into()))
        };
        let told = send(sender);
        self.namespaces.on_change(move |change| {
            let labels = present(change).map(|namespace| namespace.header.labels.clone());
            told(Seen::Namespace(change.object().key(), labels));
        });
        let told = send(sender);
        self.services.on_change(move |change| {
            let service = present(change).map(|service| service.value.clone());
            told(Seen::Service(change.object().key(), service));
        });
        let told = send(sender);
        self.replica_sets.on_change(move |change| {
            let set = present(change).map(|set| set.value.clone());
            told(Seen::ReplicaSet(change.object().key(), set));
        });
        let told = send(sender);
        self.budgets.on_change(move |change| {
            let budget = present(change).map(|budget| budget.value.clone());
            told(Seen::Budget(change.object().key(), budget));
        });
        let told = send(sender);
        self.nodes
            .on_change(move |change| told(Seen::Node(change.clone())));
        let told = send(sender);
        self.pods
            .on_change(move |change| told(Seen::Pod(change.clone())));
    }
}

fn present<T>(change: &Change<T>) -> Option<&ferrule_client::Cached<T>> {
    match change {
        Change::Deleted(_) => None,
        change => Some(change.object()),
    }
}
