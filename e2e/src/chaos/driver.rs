//! A run: a cluster, load, faults one at a time, the end, the checks.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail, ensure};
use ferrule_apimachinery::scheme::gvr;
use ferrule_client::{At, Client, ClientConfig, ListOptions};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::check::{self, Broken, CLEAN, Histories};
use super::evidence;
use super::fault;
use super::health::{Health, Namespaces, PROBE};
use super::history::{Clock, Disturbance, Ending, Request, Write};
use super::load::{self, Caller, NAME, Signals, Stream};
use super::random::Random;
use super::report::Run;
use super::schedule::{Act, Fault, KINDS, Place, Schedule, Target};
use super::terms::Terms;
use super::watching::Recording;
use super::writers::{LABEL, Writer};
use crate::cluster::{Cluster, NODES, Settings};
use crate::residue;
use crate::wait::{seconds, until};

const NAMESPACE: &str = "chaos";
const WRITERS: usize = 4;
const BETWEEN_WRITES: Duration = Duration::from_millis(150);
/// After a disturbance, endpoints are right within this time.
const ENDPOINTS: Duration = seconds(30);
/// After a disturbance, everything works within this time.
const RECOVERY: Duration = seconds(90);
/// A run of so many minutes has every kind of fault in it, even when it takes longer.
const WHOLE: u64 = 20;

/// What a run is told.
#[derive(Clone, Debug)]
pub struct Order {
    /// Which schedule.
    pub seed: u64,
    /// How long faults are made.
    pub minutes: u64,
    /// Where the cluster is.
    pub settings: Settings,
    /// Where evidence of broken invariants goes.
    pub evidence: PathBuf,
    /// Only kinds of faults whose names contain one of these; all when there are none.
    pub only: Vec<String>,
}

/// Everything that loads and records while faults are made.
struct Load {
    clock: Clock,
    signals: Signals,
    writes: Arc<Mutex<Vec<Write>>>,
    requests: Arc<Mutex<Vec<Request>>>,
    endings: Arc<Mutex<Vec<Ending>>>,
    recordings: Vec<Recording>,
    asking: Vec<std::thread::JoinHandle<()>>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

/// Runs faults for the time that was ordered, and checks.
pub fn run(order: &Order) -> anyhow::Result<Run> {
    let cluster = Arc::new(Cluster::start(order.settings.clone())?);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let guard = runtime.enter();
    let all = Caller {
        client: client(&cluster.kubeconfig())?,
        namespace: NAMESPACE.to_owned(),
    };
    let servers = cluster
        .kubeconfigs()
        .iter()
        .map(|path| {
            Ok(Caller {
                client: client(path)?,
                namespace: NAMESPACE.to_owned(),
            })
        })
        .collect::<anyhow::Result<Vec<Caller>>>()?;
    let (port, address) = set_up(&runtime, &cluster, &all)?;
    let namespaces = Arc::new(Namespaces::new(cluster.clone()));
    let health = Health {
        cluster: &cluster,
        namespaces: namespaces.clone(),
        servers: servers.clone(),
        runtime: runtime.handle().clone(),
        port,
        address,
    };
    let ready = health.wait(None, RECOVERY, RECOVERY, "probe-first");
    ensure!(
        ready.well.is_some(),
        "the load does not start: {:?}",
        ready.last
    );

    let mut load = start(
        order,
        &cluster,
        &all,
        &servers,
        &namespaces,
        (port, address),
    )?;
    let mut terms = Terms::default();
    terms.look(runtime.handle(), &all);
    let disturbances = disturb(order, &cluster, &health, &load, &mut terms)?;
    let mut broken = std::mem::take(&mut terms.broken);
    let histories = end(&runtime, &servers, &mut load, disturbances)?;
    broken.extend(check::all(&histories));
    broken.extend(
        clean(&cluster, &address.to_string())
            .map_err(|error| Broken::new(CLEAN, format!("{error:#}")))
            .err(),
    );
    drop(guard);
    let requests = std::mem::take(&mut *lock(&load.requests));
    evidence::failures(&order.evidence, &requests)?;
    if !broken.is_empty() {
        evidence::save(&order.evidence, &cluster, &histories, &broken)?;
    }
    let kept = order.settings.keep;
    drop(health);
    runtime.shutdown_background();
    if kept {
        println!("the namespace {NAMESPACE} is deleted; the cluster stays");
    }
    Ok(Run {
        seed: order.seed,
        minutes: order.minutes,
        high_availability: order.settings.high_availability,
        histories,
        requests,
        stale_writes_refused: terms.refused,
        broken,
    })
}

fn client(kubeconfig: &Path) -> anyhow::Result<Client> {
    Ok(Client::new(&ClientConfig::load(
        kubeconfig,
        "ferrule-chaos",
    )?)?)
}

fn lock<T>(shared: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes the namespace and what is under load; answers with the Service's node port and address.
fn set_up(
    runtime: &Runtime,
    cluster: &Cluster,
    caller: &Caller,
) -> anyhow::Result<(u16, Ipv4Addr)> {
    let kubectl = cluster.kubectl();
    let _ = kubectl.run(
        &[
            "delete",
            "namespace",
            NAMESPACE,
            "--wait=true",
            "--ignore-not-found",
        ],
        "",
    );
    until("the namespace is made", seconds(60), || {
        kubectl.words(&["create", "namespace", NAMESPACE])
    })?;
    runtime.block_on(async {
        let probe = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": PROBE, "namespace": NAMESPACE}});
        caller.create(gvr::CONFIG_MAPS, &probe).await?;
        caller.create(gvr::DEPLOYMENTS, &load::deployment(NAMESPACE)).await?;
        caller.create(gvr::SERVICES, &load::service(NAMESPACE, NAME)).await?;
        let service = caller.get(gvr::SERVICES, NAME).await?;
        let port = service["spec"]["ports"][0]["nodePort"].as_u64();
        let address = service["spec"]["clusterIP"].as_str().and_then(|text| text.parse().ok());
        Ok((
            port.and_then(|port| u16::try_from(port).ok()).context("a node port")?,
            address.context("a cluster IP")?,
        ))
    })
}

fn start(
    order: &Order,
    cluster: &Arc<Cluster>,
    all: &Caller,
    servers: &[Caller],
    namespaces: &Arc<Namespaces>,
    (port, address): (u16, Ipv4Addr),
) -> anyhow::Result<Load> {
    let clock = Clock::start();
    // The load draws from the same seed, but from a sequence of its own.
    let mut random = Random::new(order.seed ^ 0x6c6f_6164);
    let mut load = Load {
        clock,
        signals: Signals::default(),
        writes: Arc::default(),
        requests: Arc::default(),
        endings: Arc::default(),
        recordings: Vec::new(),
        asking: Vec::new(),
        tasks: Vec::new(),
    };
    // One watcher at each API server by itself, and one that may change servers.
    let mut watchers: Vec<(String, &Caller)> = vec![("the watcher at any server".to_owned(), all)];
    for (number, server) in (1..).zip(servers) {
        watchers.push((format!("the watcher at server {number}"), server));
    }
    let watched = [
        (gvr::CONFIG_MAPS, NAMESPACE),
        (gvr::PODS, NAMESPACE),
        (gvr::REPLICA_SETS, NAMESPACE),
        (gvr::SERVICES, ""),
        (gvr::NODES, ""),
        (gvr::LEASES, "kube-system"),
    ];
    for (name, caller) in &watchers {
        for (resource, namespace) in &watched {
            let client = caller.client.clone();
            let name = format!("{name} of {}", resource.resource);
            load.recordings.push(Recording::start(
                client,
                name,
                resource.clone(),
                namespace,
                clock,
            ));
        }
    }
    for number in 0..WRITERS {
        let own = client(&cluster.kubeconfig())?;
        let writer = Writer::new(
            own,
            NAMESPACE,
            number,
            random.fork(),
            clock,
            load.writes.clone(),
        );
        load.tasks.push(tokio::spawn(writer.run(BETWEEN_WRITES)));
    }
    let scaling = load::change_workloads(all.clone(), random.fork(), load.signals.clone());
    load.tasks.push(tokio::spawn(scaling));
    let ending = load::run_endings(all.clone(), random.fork(), clock, load.endings.clone());
    load.tasks.push(tokio::spawn(ending));
    for node in NODES {
        let namespaces = namespaces.clone();
        let outside = Stream {
            node,
            address: (cluster.address(node)?, port).into(),
            inside: None,
        };
        let inside = Stream {
            node,
            address: (address, 80).into(),
            inside: Some(Arc::new(move || namespaces.of(node))),
        };
        for stream in [outside, inside] {
            let thread = load::ask(stream, clock, load.signals.clone(), load.requests.clone());
            load.asking.push(thread);
        }
    }
    Ok(load)
}

/// Makes one fault after the other, and waits after each until everything works again.
fn disturb(
    order: &Order,
    cluster: &Cluster,
    health: &Health<'_>,
    load: &Load,
    terms: &mut Terms,
) -> anyhow::Result<Vec<Disturbance>> {
    let began = Instant::now();
    let mut came: BTreeSet<&str> = BTreeSet::new();
    let mut disturbances = Vec::new();
    let chosen = |fault: &Fault| {
        order.only.is_empty()
            || order
                .only
                .iter()
                .any(|word| fault.kind.name.contains(&**word))
    };
    ensure!(
        order.only.is_empty()
            || KINDS
                .iter()
                .any(|kind| order.only.iter().any(|word| kind.name.contains(&**word))),
        "no kind of fault has a name with {:?} in it",
        order.only
    );
    let schedule = Schedule::new(order.seed, order.settings.high_availability);
    for (number, fault) in schedule.filter(chosen).enumerate() {
        let over = began.elapsed() >= Duration::from_secs(order.minutes * 60);
        let whole = order.minutes < WHOLE || !order.only.is_empty() || came.len() == KINDS.len();
        if over && whole {
            break;
        }
        came.insert(fault.kind.name);
        load.signals.still.store(false, Ordering::Relaxed);
        // The load moves a while before.
        std::thread::sleep(Duration::from_secs(3));
        let from = load.clock.now();
        let made = fault::make(cluster, &fault);
        let made = made.with_context(|| format!("the fault {number}: {fault}"))?;
        std::thread::sleep(fault.lasts);
        // A second try: what is undone half is worse than a fault.
        let undone = made.undo(cluster).or_else(|_| made.undo(cluster));
        undone.with_context(|| format!("undo fault {number}: {fault}"))?;
        let undone = match fault.kind.act {
            Act::Kill(_) | Act::KillShim => from,
            _ => load.clock.now(),
        };
        load.signals.still.store(true, Ordering::Relaxed);
        let node = (fault.kind.place == Place::Node).then_some(&*made.service);
        let waited = load.clock.now() - undone;
        let times = health.wait(
            node,
            ENDPOINTS.saturating_sub(waited),
            RECOVERY.saturating_sub(waited),
            &format!("probe-{number}"),
        );
        terms.look(&health.runtime, &health.servers[0]);
        let one = Disturbance {
            kind: fault.kind.name,
            service: made.service.clone(),
            ends_containers: matches!(
                (fault.kind.act, fault.kind.place),
                (Act::KillShim | Act::Restart, Place::Node)
            ),
            from,
            undone,
            works: times.works.map(|works| undone + waited + works),
            well: times.well.map(|well| undone + waited + well),
            wrong: times
                .last
                .clone()
                .filter(|_| times.well.is_none())
                .unwrap_or_default(),
            endpoints: times.endpoints.map(|right| undone + waited + right),
        };
        let target = match fault.target {
            Target::Leader(_) => format!("{fault}: {}", made.service),
            Target::Service(_) => fault.to_string(),
        };
        let after = |moment: Option<Duration>| match moment {
            Some(moment) => format!("{:.1} s", (moment - undone).as_secs_f64()),
            None => "never".to_owned(),
        };
        match (&one.well, &times.last) {
            (Some(_), _) => println!(
                "{:>6.1} s  {target}; works after {}, all is done after {}",
                from.as_secs_f64(),
                after(one.works),
                after(one.well)
            ),
            (None, last) => {
                println!(
                    "{:>6.1} s  {target}; NOT well after {RECOVERY:?}: {last:?}",
                    from.as_secs_f64()
                );
                let folder = order.evidence.join(format!("fault-{number}"));
                if let Err(error) = cluster.save(&folder) {
                    println!("no evidence could be saved: {error:#}");
                }
            }
        }
        disturbances.push(one);
    }
    Ok(disturbances)
}

/// Ends the load, reads everything back, and waits until every watcher has seen all of it.
fn end(
    runtime: &Runtime,
    servers: &[Caller],
    load: &mut Load,
    disturbances: Vec<Disturbance>,
) -> anyhow::Result<Histories> {
    for task in load.tasks.drain(..) {
        task.abort();
    }
    load.signals.over.store(true, Ordering::Relaxed);
    for thread in load.asking.drain(..) {
        thread
            .join()
            .map_err(|_| anyhow!("the requests panicked"))?;
    }
    let ended = load.clock.now();
    // Writes under way when the load ended may still be done.
    std::thread::sleep(super::writers::PATIENCE);
    let mut read_back = BTreeMap::new();
    let mut revision = 0;
    for (number, server) in (1..).zip(servers) {
        let at = At::of(gvr::CONFIG_MAPS).namespace(NAMESPACE);
        let options = ListOptions {
            label_selector: LABEL.to_owned(),
            ..ListOptions::default()
        };
        let list = runtime.block_on(load::in_time(server.client.list_all(&at, &options)));
        let list = list.map_err(|status| anyhow!("read back: {}", status.message))?;
        let mut read = BTreeMap::new();
        for item in &list.items {
            let object: Value = serde_json::from_slice(item)?;
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let version = text(&object["metadata"]["resourceVersion"]).parse()?;
            read.insert(
                text(&object["metadata"]["name"]),
                (text(&object["data"]["value"]), version),
            );
        }
        if number > 1 && read != read_back {
            bail!("API server {number} reads back {read:?}, the first {read_back:?}");
        }
        revision = revision.max(list.revision);
        read_back = read;
    }
    let late = until("every watcher has seen everything", seconds(60), || {
        for recording in &load.recordings {
            let seen = recording.revision();
            ensure!(
                seen >= revision,
                "{} has seen {seen} of {revision}",
                recording.tape().watcher
            );
        }
        Ok(())
    });
    if let Err(error) = late {
        println!("note: {error:#}");
    }
    Ok(Histories {
        writes: std::mem::take(&mut *lock(&load.writes)),
        tapes: load.recordings.iter().map(Recording::tape).collect(),
        endings: std::mem::take(&mut *lock(&load.endings)),
        disturbances,
        read_back,
        ended,
    })
}

/// Deletes everything, and looks for what is left.
fn clean(cluster: &Cluster, address: &str) -> anyhow::Result<()> {
    let kubectl = cluster.kubectl();
    kubectl.words(&["delete", "namespace", NAMESPACE, "--wait=false"])?;
    until("the namespace is gone", seconds(90), || {
        let left = kubectl.run(&["get", "namespace", NAMESPACE, "-o", "yaml"], "")?;
        ensure!(!left.success(), "it is still there: {}", left.stdout);
        Ok(())
    })?;
    for node in NODES {
        residue::holds_only_its_pods(cluster, node)?;
        until("no rule is left", seconds(15), || {
            ensure!(
                !residue::rules_speak_of(cluster, node, address)?,
                "{node} still has rules for {address}"
            );
            Ok(())
        })?;
        until("no shim is left", seconds(15), || {
            let left = fault::shims(cluster, node)?;
            ensure!(left.is_empty(), "{node} has shims left: {left:?}");
            Ok(())
        })?;
        let tables = cluster.exec(node, &["nft", "list", "tables"])?;
        ensure!(!tables.contains(fault::TABLE), "{node}: {tables}");
    }
    Ok(())
}
