//! What the controllers of one term share: caches, the client, their registration.

use std::sync::{Arc, Mutex};

use ferrule_apimachinery::scheme::GroupVersionResource;
use ferrule_apimachinery::scheme::gvr;
use ferrule_apimachinery::status::Status;
use ferrule_client::controller::{Readers, Stats};
use ferrule_client::{
    Client, Controller, Informer, Key, Object, Projection, Queue, Reader, Recorder, Typed,
    run_controller,
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::objects::disruption::PodDisruptionBudget;
use crate::objects::namespace::Namespace;
use crate::objects::node::{Node, NodeLease};
use crate::objects::pod::Pod;
use crate::objects::service::{EndpointSlice, Endpoints, Service};
use crate::objects::volume::Protected;
use crate::objects::workload::{Deployment, ReplicaSet};
use crate::options::Options;

/// The caches: one informer per resource.
pub struct Caches {
    /// Pods.
    pub pods: Reader<Typed<Pod>>,
    /// Nodes.
    pub nodes: Reader<Typed<Node>>,
    /// Leases; those of nodes say that they live.
    pub leases: Reader<Typed<NodeLease>>,
    /// Namespaces.
    pub namespaces: Reader<Typed<Namespace>>,
    /// Services.
    pub services: Reader<Typed<Service>>,
    /// EndpointSlices.
    pub slices: Reader<Typed<EndpointSlice>>,
    /// Endpoints.
    pub endpoints: Reader<Typed<Endpoints>>,
    /// Deployments.
    pub deployments: Reader<Typed<Deployment>>,
    /// ReplicaSets.
    pub replica_sets: Reader<Typed<ReplicaSet>>,
    /// PodDisruptionBudgets.
    pub budgets: Reader<Typed<PodDisruptionBudget>>,
    /// PersistentVolumeClaims.
    pub claims: Reader<Typed<Protected>>,
    /// PersistentVolumes.
    pub volumes: Reader<Typed<Protected>>,
    /// Service accounts.
    pub service_accounts: Reader<()>,
}

impl Caches {
    fn start(client: &Client, shutdown: &CancellationToken) -> Caches {
        Caches {
            pods: follow(client, gvr::PODS, shutdown),
            nodes: follow(client, gvr::NODES, shutdown),
            leases: follow(client, gvr::LEASES, shutdown),
            namespaces: follow(client, gvr::NAMESPACES, shutdown),
            services: follow(client, gvr::SERVICES, shutdown),
            slices: follow(client, gvr::ENDPOINT_SLICES, shutdown),
            endpoints: follow(client, gvr::ENDPOINTS, shutdown),
            deployments: follow(client, gvr::DEPLOYMENTS, shutdown),
            replica_sets: follow(client, gvr::REPLICA_SETS, shutdown),
            budgets: follow(client, gvr::POD_DISRUPTION_BUDGETS, shutdown),
            claims: follow(client, gvr::PERSISTENT_VOLUME_CLAIMS, shutdown),
            volumes: follow(client, gvr::PERSISTENT_VOLUMES, shutdown),
            service_accounts: follow(client, gvr::SERVICE_ACCOUNTS, shutdown),
        }
    }
}

fn follow<T: Projection>(
    client: &Client,
    gvr: GroupVersionResource,
    shutdown: &CancellationToken,
) -> Reader<T> {
    Informer::builder(client, gvr).start(shutdown.clone())
}

/// A controller as introspection sees it.
pub struct Registered {
    /// Its name.
    pub name: &'static str,
    /// The keys that wait.
    pub queue: Queue,
    /// What it has done.
    pub stats: Arc<Stats>,
}

/// The controllers that run in this process; none while another process leads.
#[derive(Clone, Default)]
pub struct Registry(Arc<Mutex<Vec<Registered>>>);

impl Registry {
    /// Looks at the controllers.
    pub fn with<T>(&self, look: impl FnOnce(&[Registered]) -> T) -> T {
        look(
            &self
                .0
                .lock()
                .unwrap_or_else(|poisoned| poisoned.into_inner()),
        )
    }

    pub(crate) fn add(&self, registered: Registered) {
        self.0
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .push(registered);
    }

    fn clear(&self) {
        self.0
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .clear();
    }
}

/// One term of leadership.
pub struct Manager {
    /// Whose writes carry the epoch.
    pub client: Client,
    /// The caches.
    pub caches: Caches,
    /// The flags.
    pub options: Options,
    /// Cancelled when the term or the process ends.
    pub shutdown: CancellationToken,
    registry: Registry,
    tasks: Mutex<JoinSet<()>>,
}

impl Manager {
    /// Runs every controller until the term ends.
    ///
    /// Informers begin here, not before leadership: their first state is then no older than the
    /// last write of the former leader.
    pub async fn lead(
        client: Client,
        options: Options,
        registry: Registry,
        shutdown: CancellationToken,
    ) {
        let caches = Caches::start(&client, &shutdown);
        let tasks = Mutex::default();
        let manager = Manager {
            client,
            caches,
            options,
            shutdown,
            registry,
            tasks,
        };
        crate::deployment::start(&manager);
        crate::replicaset::start(&manager);
        crate::disruption::start(&manager);
        crate::endpointslice::start(&manager);
        crate::endpointslicemirroring::start(&manager);
        crate::endpoints::start(&manager);
        crate::namespace::start(&manager);
        crate::garbage::start(&manager);
        crate::node::start(&manager);
        crate::podgc::start(&manager);
        crate::protection::start(&manager);
        crate::serviceaccount::start(&manager);
        manager.shutdown.cancelled().await;
        let mut tasks = std::mem::take(&mut *manager.tasks());
        while tasks.join_next().await.is_some() {}
        manager.registry.clear();
    }

    /// Runs a controller with its queue, over caches that must be complete first.
    pub fn run(&self, controller: impl Controller, queue: Queue, readers: Readers, workers: usize) {
        let stats = Arc::new(Stats::default());
        let name = controller.name();
        self.registry.add(Registered {
            name,
            queue: queue.clone(),
            stats: stats.clone(),
        });
        let running = run_controller(
            Arc::new(controller),
            self.client.clone(),
            queue,
            readers,
            workers,
            stats,
            self.shutdown.clone(),
        );
        self.spawn(running);
    }

    /// Runs a task that ends with the term.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks().spawn(task);
    }

    /// Records events in a controller's name.
    pub fn recorder(&self, component: &str) -> Recorder {
        Recorder::of_cluster(&self.client, component)
    }

    fn tasks(&self) -> std::sync::MutexGuard<'_, JoinSet<()>> {
        self.tasks
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// Adds the key of every object of a cache that appears, changes or goes.
pub fn enqueue_all<T: Send + Sync + 'static>(reader: &Reader<T>, queue: &Queue) {
    let queue = queue.clone();
    reader.on_change(move |change| queue.add(change.key()));
}

/// The one key of a controller that looks at everything at once.
pub fn everything() -> Key {
    Key::cluster("all")
}

/// Nothing is wrong when the object of a write is gone.
pub fn unless_gone(result: Result<Object, Status>) -> Result<(), Status> {
    match result {
        Ok(_) => Ok(()),
        Err(status) if status.is_not_found() => Ok(()),
        Err(status) => Err(status),
    }
}
