//! The shell: gathers what the informers know, computes the table, programs it, and looks after it.

use std::fs;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ferrule_client::{Change, Reader};
use ferrule_component_base::health::Health;
use ferrule_component_base::metrics::Metrics;
use ferrule_netlink::nftables::{self, is_foreign_change};
use ferrule_netlink::{Error, Protocol, Socket};
use jiff::Timestamp;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_util::sync::CancellationToken;

use crate::health::ProxyHealth;
use crate::health::services::ServiceHealth;
use crate::introspection::Listing;
use crate::objects::{EndpointSlice, Node, NodeFacts, Service, ServiceName};
use crate::program::{Outcome, Programmer, TABLE};
use crate::ruleset::{Fragment, Settings};
use crate::stale::{self, Gone};
use crate::state::State;
use crate::table::Changes;

/// A failed synchronisation is repeated after this, and twice as long each time until the most.
const RETRY: Duration = Duration::from_millis(500);
const RETRY_MOST: Duration = Duration::from_secs(30);

/// The informers the proxy lives on.
#[derive(Clone)]
pub struct Readers {
    /// All Services.
    pub services: Reader<Service>,
    /// All EndpointSlices.
    pub slices: Reader<EndpointSlice>,
    /// This Node.
    pub node: Reader<NodeFacts>,
}

impl Readers {
    async fn wait_synced(&self) {
        self.services.wait_synced().await;
        self.slices.wait_synced().await;
        self.node.wait_synced().await;
    }
}

/// What the informers tell, from everything that is there on.
struct Told {
    services: UnboundedReceiver<Change<Service>>,
    slices: UnboundedReceiver<Change<EndpointSlice>>,
    node: UnboundedReceiver<Change<NodeFacts>>,
}

impl Told {
    fn of(readers: &Readers) -> Self {
        Self {
            services: readers.services.subscribe(),
            slices: readers.slices.subscribe(),
            node: readers.node.subscribe(),
        }
    }
}

/// What the flags say about timing and place.
#[derive(Debug, Clone)]
pub struct Options {
    /// What the flags say about the table.
    pub settings: Settings,
    /// This node's name.
    pub node_name: String,
    /// This node's address, if given.
    pub node_ip: Option<Ipv4Addr>,
    /// How long at least between two changes of the table.
    pub min_sync_period: Duration,
    /// How often the table is compared with the memory of it.
    pub sync_period: Duration,
}

struct Instruments {
    syncs: Counter,
    failures: Counter,
    rebuilds: Counter,
    forgotten: Counter,
    seconds: Histogram,
    service_ports: Gauge,
    endpoints: Gauge,
}

impl Instruments {
    fn register(metrics: &Metrics) -> Self {
        let instruments = Self {
            syncs: Counter::default(),
            failures: Counter::default(),
            rebuilds: Counter::default(),
            forgotten: Counter::default(),
            seconds: Histogram::new(exponential_buckets(0.0005, 2.0, 16)),
            service_ports: Gauge::default(),
            endpoints: Gauge::default(),
        };
        metrics.register(|registry| {
            let proxy = registry.sub_registry_with_prefix("kubeproxy");
            let i = &instruments;
            proxy.register(
                "sync_proxy_rules_duration_seconds",
                "Time to bring the table up to date",
                i.seconds.clone(),
            );
            proxy.register(
                "sync_proxy_rules",
                "Synchronisations that changed the table",
                i.syncs.clone(),
            );
            proxy.register(
                "sync_proxy_rules_failures",
                "Synchronisations that failed",
                i.failures.clone(),
            );
            proxy.register(
                "full_syncs",
                "Times the whole table was made anew",
                i.rebuilds.clone(),
            );
            proxy.register(
                "conntrack_forgotten",
                "Stale connections that were forgotten",
                i.forgotten.clone(),
            );
            proxy.register(
                "service_ports",
                "Service ports that are programmed",
                i.service_ports.clone(),
            );
            proxy.register("endpoints", "Endpoints behind them", i.endpoints.clone());
        });
        instruments
    }
}

/// The proxy at work.
pub struct Proxy {
    options: Options,
    state: State,
    programmer: Programmer,
    listing: Listing,
    health: Health,
    proxy_health: ProxyHealth,
    service_health: ServiceHealth,
    instruments: Instruments,
    counts: (usize, usize),
}

impl Proxy {
    /// A proxy that has programmed nothing yet, and is not healthy before it has.
    pub fn new(
        options: Options,
        listing: Listing,
        health: Health,
        proxy_health: ProxyHealth,
        service_health: ServiceHealth,
        metrics: &Metrics,
    ) -> Self {
        health.set("sync", Err("nothing is programmed yet".to_owned()));
        let node = Node {
            name: options.node_name.clone(),
            address: options.node_ip,
            zone: String::new(),
        };
        Self {
            programmer: Programmer::new(options.settings),
            options,
            state: State::new(node),
            listing,
            health,
            proxy_health,
            service_health,
            instruments: Instruments::register(metrics),
            counts: (0, 0),
        }
    }

    /// Works until `shutdown`; the table stays.
    pub async fn run(
        mut self,
        readers: Readers,
        shutdown: CancellationToken,
    ) -> anyhow::Result<()> {
        prepare_kernel();
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            // Programming before everything is known would take services away that an earlier run programmed.
            () = readers.wait_synced() => {}
        }
        let mut told = Told::of(&readers);
        let changed = Arc::new(Notify::new());
        let foreign = watch_table(changed.clone())?;
        let mut retry = RETRY;
        while !shutdown.is_cancelled() {
            self.hear(&mut told);
            if foreign.swap(false) {
                self.audit();
            }
            // So that its own events are known as such from the first one on.
            foreign.own(self.programmer.port().unwrap_or_default());
            let begin = Instant::now();
            let wait = match self.sync() {
                Ok(()) => {
                    retry = RETRY;
                    self.options.sync_period
                }
                Err(error) => {
                    self.instruments.failures.inc();
                    self.health.set("sync", Err(error.to_string()));
                    tracing::warn!(%error, "cannot program the table");
                    let wait = retry;
                    retry = (retry * 2).min(RETRY_MOST);
                    wait
                }
            };
            // Under a stream of changes, at least half of the time is left to others.
            let pause = self.options.min_sync_period.max(begin.elapsed());
            tokio::time::sleep(pause).await;
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = changed.notified() => {}
                Some(change) = told.services.recv() => self.hear_service(&change),
                Some(change) = told.slices.recv() => self.hear_slice(&change),
                Some(change) = told.node.recv() => self.hear_node(&change),
                () = tokio::time::sleep(wait) => self.audit(),
            }
        }
        Ok(())
    }

    /// Takes all that has been told.
    fn hear(&mut self, told: &mut Told) {
        while let Ok(change) = told.node.try_recv() {
            self.hear_node(&change);
        }
        while let Ok(change) = told.services.try_recv() {
            self.hear_service(&change);
        }
        while let Ok(change) = told.slices.try_recv() {
            self.hear_slice(&change);
        }
    }

    fn hear_service(&mut self, change: &Change<Service>) {
        self.state.service(change);
        self.proxy_health.queued(Instant::now());
    }

    fn hear_slice(&mut self, change: &Change<EndpointSlice>) {
        self.state.slice(change);
        self.proxy_health.queued(Instant::now());
    }

    fn hear_node(&mut self, change: &Change<NodeFacts>) {
        let facts = match change {
            Change::Deleted(_) => None,
            Change::Added(node) | Change::Modified { new: node, .. } => Some(&node.value),
        };
        self.proxy_health
            .set_eligible(facts.map(|facts| facts.eligible));
        // Of a Node that is gone, what was known last counts.
        if let Some(facts) = facts {
            self.state.set_node(Node {
                name: self.options.node_name.clone(),
                address: self.options.node_ip.or(facts.address),
                zone: facts.zone.clone(),
            });
        }
    }

    fn sync(&mut self) -> Result<(), Error> {
        let begin = Instant::now();
        let changed = self.state.take_changed();
        let outcome = self.apply(changed)?;
        if outcome != Outcome::Unchanged {
            let elapsed = begin.elapsed();
            self.instruments.seconds.observe(elapsed.as_secs_f64());
            tracing::debug!(?outcome, ?elapsed, "table programmed");
        }
        Ok(())
    }

    /// Programs what these services contribute now, forgets connections that this leaves behind, and shows it.
    ///
    /// After an error the next call, even one without services, makes up for it.
    pub fn apply(
        &mut self,
        changed: std::collections::BTreeMap<ServiceName, Option<Fragment>>,
    ) -> Result<Outcome, Error> {
        let names: Vec<ServiceName> = changed.keys().cloned().collect();
        let result = self.programmer.update(changed);
        // Load balancers may hear of endpoints that are not programmed, but never nothing of those that are gone.
        for name in &names {
            self.show(name);
        }
        let (outcome, changes) = result?;
        self.health.set("sync", Ok(()));
        self.proxy_health.updated(Timestamp::now());
        if outcome == Outcome::Unchanged {
            return Ok(outcome);
        }
        self.instruments.syncs.inc();
        if outcome == Outcome::Rebuilt {
            self.instruments.rebuilds.inc();
        }
        if outcome == Outcome::Rebuilt || stale::may_strand(&changes) {
            self.forget_stale(&changes);
        }
        let (ports, endpoints) = self.counts;
        self.instruments.service_ports.set(as_gauge(ports));
        self.instruments.endpoints.set(as_gauge(endpoints));
        Ok(outcome)
    }

    fn show(&mut self, name: &ServiceName) {
        let fragments = self.programmer.ruleset().fragments();
        let fragment = fragments.get(name);
        let count = |fragment: &Fragment| {
            let endpoints = fragment.programmed.iter().map(|port| port.endpoints.len());
            (fragment.programmed.len(), endpoints.sum::<usize>())
        };
        let was = self.listing.set(name, fragment);
        let was = was.as_deref().map(count).unwrap_or_default();
        let is = fragment.map(|fragment| count(fragment)).unwrap_or_default();
        self.counts.0 = self.counts.0 + is.0 - was.0;
        self.counts.1 = self.counts.1 + is.1 - was.1;
        let checked = fragment.and_then(|fragment| fragment.checked);
        self.service_health.set(name, checked);
    }

    /// When the table was made anew, connections of an earlier run may lead anywhere too.
    fn forget_stale(&mut self, changes: &Changes) {
        let node = self.state.node().address;
        match stale::forget(self.programmer.ruleset(), &Gone::by(changes), node) {
            Ok(forgotten) => drop(self.instruments.forgotten.inc_by(forgotten as u64)),
            Err(error) => tracing::warn!(%error, "cannot forget stale connections"),
        }
    }

    fn audit(&mut self) {
        match self.programmer.audit() {
            Ok(true) => {}
            Ok(false) => {
                tracing::warn!(table = TABLE, "somebody changed the table; making it anew")
            }
            Err(error) => tracing::warn!(%error, "cannot read the table"),
        }
    }
}

fn as_gauge(count: usize) -> i64 {
    count.try_into().unwrap_or(i64::MAX)
}

/// Node ports answer on 127.0.0.1: its packets may be routed. Others' are kept out by the table.
fn prepare_kernel() {
    for (path, value) in [
        ("/proc/sys/net/ipv4/conf/all/route_localnet", "1"),
        ("/proc/sys/net/ipv4/ip_forward", "1"),
    ] {
        let set = fs::read_to_string(path).is_ok_and(|present| present.trim() == value);
        if !set && let Err(error) = fs::write(path, value) {
            tracing::warn!(path, %error, "cannot set");
        }
    }
}

/// Whether somebody else changed the table.
#[derive(Debug, Default)]
pub struct Foreign {
    changed: std::sync::atomic::AtomicBool,
    own_port: std::sync::atomic::AtomicU32,
}

impl Foreign {
    fn swap(&self, changed: bool) -> bool {
        self.changed
            .swap(changed, std::sync::atomic::Ordering::AcqRel)
    }

    fn own(&self, port: u32) {
        self.own_port
            .store(port, std::sync::atomic::Ordering::Release);
    }

    fn port(&self) -> u32 {
        self.own_port.load(std::sync::atomic::Ordering::Acquire)
    }
}

/// Wakes the proxy when somebody else changes its table.
fn watch_table(changed: Arc<Notify>) -> anyhow::Result<Arc<Foreign>> {
    let foreign = Arc::new(Foreign::default());
    let seen = foreign.clone();
    let mut events = Socket::subscribe(Protocol::Netfilter, nftables::CHANGES)?;
    std::thread::Builder::new()
        .name("table-events".to_owned())
        .spawn(move || {
            loop {
                let own = seen.port();
                let suspicious = match events
                    .receive_any(|event| is_foreign_change(event, TABLE, own))
                {
                    Ok(suspicious) => suspicious,
                    Err(_) => {
                        // Events were lost, most often in a flood of our own.
                        std::thread::sleep(RETRY);
                        if let Ok(again) = Socket::subscribe(Protocol::Netfilter, nftables::CHANGES)
                        {
                            events = again;
                        }
                        true
                    }
                };
                if suspicious {
                    seen.swap(true);
                    changed.notify_one();
                }
            }
        })?;
    Ok(foreign)
}
