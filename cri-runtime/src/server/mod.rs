//! The CRI server: what it knows, and the calls that change it.

mod containers;
mod events;
pub(crate) mod exec;
mod image_service;
pub mod records;
mod recovery;
mod rootfs;
pub(crate) mod runtime_service;
mod sandboxes;
pub(crate) mod serve;
mod stats;
pub(crate) mod status;

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use k8s_cri::v1::ContainerEventResponse;
use tokio::sync::{broadcast, mpsc};

use crate::cgroup::Cgroups;
use crate::cgroup::migration::Migration;
use crate::cni::Cni;
use crate::error::{Error, Result};
use crate::image::aliases::Aliases;
use crate::image::registry::Registry;
use crate::image::store::Store;
use crate::layout::Layout;
use crate::shim::client::Event;
use crate::spec::capabilities;
use records::{Container, Sandbox};

pub use serve::serve;

/// How a runtime is set up.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where everything lies.
    pub layout: Layout,
    /// Where networks are configured.
    pub cni: Cni,
    /// Archives that are imported at the start.
    pub image_directory: PathBuf,
    /// The alias table.
    pub image_aliases: PathBuf,
    /// Registries that are spoken to without TLS, besides those on loopback.
    pub insecure_registries: Vec<String>,
    /// Bytes after which a container's log is rotated by its shim; 0 leaves that to the kubelet alone.
    pub log_limit: u64,
    /// The program that is started as shim.
    pub program: PathBuf,
}

/// The runtime; shared by all calls.
#[derive(Debug)]
pub struct Runtime {
    options: Options,
    cgroups: Cgroups,
    migration: Migration,
    bounding: BTreeSet<String>,
    images: Store,
    aliases: Aliases,
    registry: Registry,
    sandboxes: Mutex<HashMap<String, Arc<Sandbox>>>,
    containers: Mutex<HashMap<String, Arc<Container>>>,
    shim_events: mpsc::UnboundedSender<Event>,
    events: broadcast::Sender<ContainerEventResponse>,
    streaming: crate::streaming::Sessions,
}

impl Runtime {
    /// Opens the state on disk. Returns what the shims will report.
    pub fn open(options: Options) -> Result<(Arc<Runtime>, mpsc::UnboundedReceiver<Event>)> {
        options.layout.create()?;
        let cgroups = Cgroups::detect()?;
        if let Err(error) = cgroups.prepare() {
            tracing::warn!(%error, "cannot hand out cgroup controllers");
        }
        let images = Store::open(options.layout.images())?;
        images.sweep()?;
        let (shim_events, receiver) = mpsc::unbounded_channel();
        let runtime = Runtime {
            bounding: capabilities::bounding(),
            aliases: Aliases::new(&options.image_aliases),
            registry: Registry::new(options.insecure_registries.clone()),
            images,
            migration: Migration::new(&cgroups),
            cgroups,
            sandboxes: Mutex::default(),
            containers: Mutex::default(),
            shim_events,
            events: broadcast::Sender::new(1024),
            streaming: crate::streaming::Sessions::default(),
            options,
        };
        Ok((Arc::new(runtime), receiver))
    }

    fn layout(&self) -> &Layout {
        &self.options.layout
    }

    /// The streams that wait for their client.
    pub(crate) fn streaming(&self) -> &crate::streaming::Sessions {
        &self.streaming
    }

    fn sandboxes(&self) -> MutexGuard<'_, HashMap<String, Arc<Sandbox>>> {
        lock(&self.sandboxes)
    }

    fn containers(&self) -> MutexGuard<'_, HashMap<String, Arc<Container>>> {
        lock(&self.containers)
    }

    /// The sandbox of that id or unambiguous beginning of one.
    fn sandbox(&self, id: &str) -> Result<Arc<Sandbox>> {
        by_prefix(&self.sandboxes(), id).ok_or_else(|| {
            Error::NotFound(format!(
                "an error occurred when try to find sandbox {id:?}: not found"
            ))
        })
    }

    /// The container of that id or unambiguous beginning of one.
    fn container(&self, id: &str) -> Result<Arc<Container>> {
        by_prefix(&self.containers(), id).ok_or_else(|| {
            Error::NotFound(format!(
                "an error occurred when try to find container {id:?}: not found"
            ))
        })
    }

    /// The containers of a sandbox, the oldest first.
    fn containers_of(&self, sandbox: &str) -> Vec<Arc<Container>> {
        let mut found: Vec<Arc<Container>> = self
            .containers()
            .values()
            .filter(|container| container.with(|record| record.sandbox == sandbox))
            .cloned()
            .collect();
        found.sort_by_key(|container| container.with(|record| record.created_at));
        found
    }

    /// The layers that containers stand on.
    fn layers_in_use(&self) -> BTreeSet<String> {
        self.containers()
            .values()
            .flat_map(|container| container.with(|record| record.layers.clone()))
            .collect()
    }
}

fn by_prefix<T>(map: &HashMap<String, Arc<T>>, id: &str) -> Option<Arc<T>> {
    if let Some(found) = map.get(id) {
        return Some(found.clone());
    }
    if id.is_empty() {
        return None;
    }
    let mut matching = map.iter().filter(|(key, _)| key.starts_with(id));
    match (matching.next(), matching.next()) {
        (Some((_, found)), None) => Some(found.clone()),
        _ => None,
    }
}

/// A new id of 64 hexadecimal digits.
pub(crate) fn new_id() -> String {
    crate::image::layer::hex(&rand::random::<[u8; 32]>())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
