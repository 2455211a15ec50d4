//! The shell: observes, plans and acts when a Node changes, when the kernel says that something changed, and now and then.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use anyhow::Context;
use ferrule_apimachinery::scheme::gvr;
use ferrule_client::{At, Client, Patch, Reader, WriteOptions};
use ferrule_component_base::health::Health;
use ferrule_component_base::metrics::Metrics;
use ferrule_netlink::route::{self, Connection, Link};
use ferrule_netlink::{Protocol, Socket, nftables};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::agent::configuration::Configuration;
use crate::agent::guard::{self, Guarded};
use crate::agent::nodes::{NodeNetwork, TunnelEnd};
use crate::agent::plan::{self, Observed, Plan, Settings};
use crate::agent::tunnel::{self, DeviceStep};
use crate::bridge;
use crate::cni::reservation::{Reservation, Reservations};

/// Changes that come together are handled together.
const SETTLE: Duration = Duration::from_millis(100);
/// A new or changed tunnel is looked at again so often within a round.
const LOOKS: usize = 4;
/// A failed round is repeated after this.
const RETRY: Duration = Duration::from_secs(2);

/// What the flags say about this node's own things.
#[derive(Debug, Clone)]
pub struct Local {
    /// The bridge of the node's pods.
    pub bridge: String,
    /// The MTU of pods; 0 takes that of the node's interface.
    pub mtu: u32,
    /// Whether pods' traffic that leaves the cluster gets the node's address.
    pub masquerade: bool,
    /// Where the runtime looks for CNI configuration.
    pub configuration_directory: PathBuf,
    /// Where the plugin keeps its reservations.
    pub data_directory: PathBuf,
    /// How often everything is looked at, changed or not.
    pub resync: Duration,
}

/// The agent at work.
pub struct Agent {
    settings: Settings,
    local: Local,
    health: Health,
    rounds: Counter,
    failures: Counter,
    changes: Counter,
    node_routes: Gauge<i64, AtomicI64>,
    reported: Option<Plan>,
}

impl Agent {
    /// An agent that has done nothing yet, and is not healthy before its first good round.
    pub fn new(settings: Settings, local: Local, health: Health, metrics: &Metrics) -> Self {
        health.set("network", Err("no round is complete yet".to_owned()));
        let agent = Self {
            settings,
            local,
            health,
            rounds: Counter::default(),
            failures: Counter::default(),
            changes: Counter::default(),
            node_routes: Gauge::default(),
            reported: None,
        };
        metrics.register(|registry| {
            let prefix = registry.sub_registry_with_prefix("ferrule_network");
            prefix.register(
                "rounds",
                "Rounds of observing, planning and acting",
                agent.rounds.clone(),
            );
            prefix.register(
                "failed_rounds",
                "Rounds that failed",
                agent.failures.clone(),
            );
            prefix.register(
                "route_changes",
                "Routes added, replaced or removed",
                agent.changes.clone(),
            );
            prefix.register(
                "nodes",
                "Nodes whose pods can be reached",
                agent.node_routes.clone(),
            );
        });
        agent
    }

    /// Guards the node before anything is known: nothing may leave for cluster addresses that are not programmed.
    pub fn guard(&self) -> anyhow::Result<()> {
        let mut routes = Connection::open()?;
        for route in plan::guard_routes(&self.settings) {
            routes
                .replace_route(&route)
                .context("add a blackhole route")?;
        }
        // A table that is there, of an earlier run, knows more than is known now.
        let mut tables = nftables::Connection::open()?;
        if !guard::is_there(&mut tables)? {
            guard::make_table(&mut tables, &self.settings, self.local.masquerade, None)
                .context("make the nf_tables table")?;
        }
        for failure in guard::set_kernel(&self.local.bridge) {
            tracing::warn!("cannot set {failure}");
        }
        Ok(())
    }

    /// Works until `shutdown`; what is programmed stays.
    pub async fn run(
        mut self,
        client: Client,
        nodes: Reader<NodeNetwork>,
        shutdown: CancellationToken,
    ) -> anyhow::Result<()> {
        let changed = Arc::new(Notify::new());
        let wake = changed.clone();
        nodes.on_change(move |_| wake.notify_one());
        let (wake, synced) = (changed.clone(), nodes.clone());
        tokio::spawn(async move {
            synced.wait_synced().await;
            wake.notify_one();
        });
        watch_kernel(changed.clone())?;
        while !shutdown.is_cancelled() {
            let known = nodes.synced().then(|| names(&nodes));
            self.rounds.inc();
            let result = match self.round(known) {
                Ok(None) => Ok(()),
                Ok(Some(end)) => self.announce(&client, end).await,
                Err(error) => Err(error),
            };
            let pause = match result {
                Ok(()) => self.local.resync,
                Err(error) => {
                    self.failures.inc();
                    tracing::warn!("cannot set up the network: {error:#}");
                    self.health.set("network", Err(format!("{error:#}")));
                    RETRY
                }
            };
            tokio::select! {
                () = shutdown.cancelled() => break,
                () = tokio::time::sleep(pause) => {}
                () = changed.notified() => tokio::time::sleep(SETTLE).await,
            }
        }
        Ok(())
    }

    /// Makes this node's Node say where its end of the tunnel is, or that it has none.
    async fn announce(&self, client: &Client, end: Option<TunnelEnd>) -> anyhow::Result<()> {
        tracing::info!(?end, "telling the other nodes of this end of the tunnel");
        let at = At::of(gvr::NODES).name(&self.settings.node);
        let patch = Patch::Merge(TunnelEnd::patch(end));
        let patched = client.patch(&at, &patch, &WriteOptions::default()).await;
        patched.map(drop).context("annotate this Node")
    }

    /// What there is, and what to do; a tunnel that is missing or different is made on the way.
    fn look(
        &self,
        kernel: &mut Connection,
        nodes: Option<BTreeMap<String, NodeNetwork>>,
    ) -> anyhow::Result<(Observed, Plan)> {
        let mut observed = Observed {
            nodes,
            ..Observed::default()
        };
        for _ in 0..LOOKS {
            observed.links = kernel.links()?;
            observed.addresses = kernel.addresses()?;
            observed.routes = kernel.routes()?;
            let mut links = observed.links.iter();
            let device = links.find(|link| link.name == tunnel::INTERFACE);
            observed.neighbors = match device {
                Some(device) => kernel.neighbors(device.index)?,
                None => Vec::new(),
            };
            let plan = plan::plan(&self.settings, &observed);
            match plan.device {
                DeviceStep::Keep | DeviceStep::Remove => return Ok((observed, plan)),
                DeviceStep::Make(device) => {
                    tracing::info!(?device, "making the tunnel");
                    kernel.delete_link(tunnel::INTERFACE)?;
                    kernel
                        .add_vxlan(tunnel::INTERFACE, &device.vxlan, device.mac, device.mtu)
                        .context("make the tunnel's interface")?;
                }
                DeviceStep::Set(link, device) => {
                    kernel.set_link(link, device.mtu, Some(device.mac))?;
                    let wanted = device.own_address(link);
                    let others = observed.addresses.iter();
                    for other in others.filter(|other| other.link == link && **other != wanted) {
                        kernel.delete_address(*other)?;
                    }
                    kernel.add_address(wanted, false)?;
                    kernel.set_up(link)?;
                }
            }
        }
        anyhow::bail!("the tunnel's interface does not become as it should be")
    }

    /// One round: observe, plan, act; `nodes` is `None` before they are known. Its calls to the kernel are quick.
    ///
    /// Returns what this node's Node should say of its end of the tunnel, if it says something else.
    pub fn round(
        &mut self,
        nodes: Option<BTreeMap<String, NodeNetwork>>,
    ) -> anyhow::Result<Option<Option<TunnelEnd>>> {
        let mut kernel = Connection::open()?;
        let (observed, plan) = self.look(&mut kernel, nodes)?;
        for neighbor in &plan.new_neighbors {
            kernel
                .replace_neighbor(neighbor)
                .with_context(|| format!("the tunnel's neighbor {}", neighbor.address))?;
        }
        // The replacing routes go first: at no time is there less than before.
        for route in &plan.replace {
            tracing::info!(to = %route.destination, prefix = route.prefix, via = ?route.gateway, "route");
            kernel
                .replace_route(route)
                .with_context(|| format!("route to {}", route.destination))?;
        }
        for route in &plan.delete {
            tracing::info!(to = %route.destination, prefix = route.prefix, "route removed");
            kernel
                .delete_route(route)
                .with_context(|| format!("remove the route to {}", route.destination))?;
        }
        for neighbor in &plan.old_neighbors {
            kernel.delete_neighbor(neighbor)?;
        }
        if plan.device == DeviceStep::Remove {
            tracing::info!("removing the tunnel: no other node has one any more");
            kernel.delete_link(tunnel::INTERFACE)?;
        }
        self.changes
            .inc_by((plan.replace.len() + plan.delete.len()) as u64);
        self.release_dead();
        self.guard_pods(&plan)?;
        if let Some(pod_cidr) = plan.pod_cidr {
            let mtu = self.mtu(&plan);
            let bridge = bridge::ensure(&mut kernel, &self.local.bridge, pod_cidr, mtu)
                .context("the bridge")?;
            self.reconnect(&mut kernel, &bridge, &observed.links)?;
        }
        for failure in guard::set_kernel(&self.local.bridge) {
            tracing::debug!("cannot set {failure}");
        }
        self.write_configuration(&plan)?;
        let announce = plan.announce;
        self.report(&observed, plan);
        Ok(announce)
    }

    /// Keeps the nf_tables table as it should be: also with the pods that are here.
    fn guard_pods(&self, plan: &Plan) -> anyhow::Result<()> {
        // While this is locked, no pod comes or goes.
        let reservations =
            Reservations::lock(&self.local.data_directory).context("lock the addresses")?;
        let reserved = reservations.list().context("read the reserved addresses")?;
        let guarded = plan.pod_cidr.map(|pods| Guarded {
            network: pods,
            pods: reserved.iter().map(|r| r.address).collect(),
        });
        let mut tables = nftables::Connection::open()?;
        let masquerade = self.local.masquerade;
        if guard::ensure_table(&mut tables, &self.settings, masquerade, guarded.as_ref())? {
            tracing::info!("the nf_tables table was missing or different; it is made anew");
        }
        Ok(())
    }

    fn mtu(&self, plan: &Plan) -> u32 {
        match (self.local.mtu, &plan.uplink) {
            (0, Some(uplink)) => uplink.mtu.saturating_sub(plan.overhead),
            (0, None) => 1500 - plan.overhead,
            (set, _) => set,
        }
    }

    /// Connects pods again that were connected to a bridge that is gone.
    fn reconnect(
        &self,
        kernel: &mut Connection,
        bridge: &Link,
        links: &[Link],
    ) -> anyhow::Result<()> {
        let loose: Vec<_> = links
            .iter()
            .filter(|link| link.kind == "veth" && link.master != Some(bridge.index))
            .collect();
        if loose.is_empty() {
            return Ok(());
        }
        let reserved = Reservations::lock(&self.local.data_directory)
            .and_then(|all| all.list())
            .context("read the reserved addresses")?;
        let pods: HashSet<_> = reserved.iter().map(Reservation::host_interface).collect();
        for link in loose.into_iter().filter(|link| pods.contains(&link.name)) {
            tracing::warn!(interface = link.name, "connecting a pod again");
            kernel.set_master(link.index, bridge.index)?;
            kernel.set_hairpin(link.index)?;
        }
        Ok(())
    }

    fn write_configuration(&self, plan: &Plan) -> anyhow::Result<()> {
        // With the node's interface away, the MTU is not known: what is written stays.
        let (Some(pod_cidr), Some(_)) = (plan.pod_cidr, &plan.uplink) else {
            return Ok(());
        };
        let configuration = Configuration {
            bridge: self.local.bridge.clone(),
            mtu: self.mtu(plan),
            pod_cidr,
            data_directory: self.local.data_directory.clone(),
        };
        let directory = &self.local.configuration_directory;
        if configuration
            .write(directory)
            .context("write the CNI configuration")?
        {
            tracing::info!(%pod_cidr, directory = %directory.display(), "CNI configuration written");
        }
        Ok(())
    }

    fn release_dead(&self) {
        let released =
            Reservations::lock(&self.local.data_directory).and_then(|all| all.release_dead());
        match released {
            Ok(released) => {
                for reservation in released {
                    tracing::info!(
                        address = %reservation.address,
                        container = reservation.container,
                        "released the address of a container that is gone"
                    );
                }
            }
            Err(error) => tracing::warn!(%error, "cannot look through the reserved addresses"),
        }
    }

    fn report(&mut self, observed: &Observed, plan: Plan) {
        let state = match (&observed.nodes, plan.pod_cidr, &plan.uplink) {
            (None, ..) => Err("nodes are not listed yet".to_owned()),
            (_, None, _) => Err(format!("node {} has no pod CIDR yet", self.settings.node)),
            (_, _, None) => Err("no active interface has the node's address".to_owned()),
            _ => Ok(()),
        };
        let told = self.reported.as_ref();
        if told.is_none_or(|told| told.uplink != plan.uplink || told.pod_cidr != plan.pod_cidr) {
            let interface = plan.uplink.as_ref().map(|uplink| uplink.name.as_str());
            tracing::info!(?interface, pod_cidr = ?plan.pod_cidr.map(|cidr| cidr.to_string()), "this node");
        }
        if told.is_none_or(|told| told.unreachable != plan.unreachable)
            && !plan.unreachable.is_empty()
        {
            tracing::warn!(nodes = ?plan.unreachable, "not on this node's link, and without a tunnel: their pods cannot be reached");
        }
        let others = observed
            .nodes
            .as_ref()
            .map_or(0, |nodes| nodes.len().saturating_sub(1));
        let reached = others.saturating_sub(plan.unreachable.len());
        self.node_routes.set(reached.try_into().unwrap_or(i64::MAX));
        self.health.set("network", state);
        self.reported = Some(plan);
    }
}

fn names(nodes: &Reader<NodeNetwork>) -> BTreeMap<String, NodeNetwork> {
    let nodes = nodes.list();
    nodes
        .iter()
        .map(|node| (node.key().name.to_string(), node.value))
        .collect()
}

/// Wakes the agent whenever a link, an address or a route changes.
fn watch_kernel(changed: Arc<Notify>) -> anyhow::Result<()> {
    let mut events = Socket::subscribe(Protocol::Route, route::CHANGES)?;
    std::thread::Builder::new()
        .name("kernel-events".to_owned())
        .spawn(move || {
            loop {
                // An error means that events were lost: that is a change too.
                if events.receive().is_err() {
                    std::thread::sleep(RETRY);
                    if let Ok(again) = Socket::subscribe(Protocol::Route, route::CHANGES) {
                        events = again;
                    }
                }
                changed.notify_one();
            }
        })?;
    Ok(())
}
