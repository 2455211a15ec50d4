//! Writes through a running API server, with what they cost in processor time.
//!
//! `through_api KUBECONFIG WHAT CALLERS SECONDS [PID…]` prints `per second | p50 | p99`, and for this
//! process and each of the given ones the milliseconds of processor time per write. WHAT is
//! `creates` (ConfigMaps of 4 KiB), `pods`, or `bindings` (of pods made before; an Event each).

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use ferrule_apimachinery::scheme::gvr;
use ferrule_client::{At, Client, ClientConfig, WriteOptions};
use futures::TryStreamExt;
use futures::stream::FuturesUnordered;
use serde_json::{Value, json};

const NAMESPACE: &str = "default";
const DATA_BYTES: usize = 4096;

fn main() -> anyhow::Result<()> {
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| word != "--bench")
        .collect();
    let [kubeconfig, what, callers, seconds, processes @ ..] = &words[..] else {
        println!("through_api KUBECONFIG creates|pods|bindings CALLERS SECONDS [PID...]");
        return Ok(());
    };
    let config = ClientConfig::load(Path::new(kubeconfig), "ferrule-bench")?;
    let mut processes = processes.to_vec();
    processes.insert(0, "self".to_owned());
    let run = Run {
        config,
        callers: callers.parse()?,
        within: Duration::from_secs(seconds.parse()?),
        processes,
    };
    tokio::runtime::Runtime::new()?.block_on(run.measure(what))
}

struct Run {
    config: ClientConfig,
    callers: usize,
    within: Duration,
    processes: Vec<String>,
}

impl Run {
    async fn measure(&self, what: &str) -> anyhow::Result<()> {
        let id = std::process::id();
        let name = move |caller: usize, turn: usize| format!("bench-{id}-{caller}-{turn}");
        match what {
            "creates" => {
                let object = move |caller, turn| config_map(&name(caller, turn));
                self.timed(None, async move |client: &Client, caller, turn| {
                    let at = At::of(gvr::CONFIG_MAPS).namespace(NAMESPACE);
                    create(client, &at, object(caller, turn)).await
                })
                .await
            }
            "pods" => {
                self.timed(None, async move |client: &Client, caller, turn| {
                    let at = At::of(gvr::PODS).namespace(NAMESPACE);
                    create(client, &at, pod(&name(caller, turn))).await
                })
                .await
            }
            "bindings" => {
                let made = self.make_pods(name).await?;
                self.timed(Some(made), async move |client: &Client, caller, turn| {
                    bind(client, &name(caller, turn)).await
                })
                .await
            }
            other => anyhow::bail!("unknown: {other}"),
        }
    }

    /// As many pods for each caller as it can bind in the time.
    async fn make_pods(&self, name: impl Fn(usize, usize) -> String) -> anyhow::Result<usize> {
        let client = Client::new(&self.config)?;
        let each = (2000 * self.within.as_secs() as usize).div_ceil(self.callers);
        let at = At::of(gvr::PODS).namespace(NAMESPACE);
        let names: Vec<String> = (0..self.callers)
            .flat_map(|caller| (0..each).map(move |turn| (caller, turn)))
            .map(|(caller, turn)| name(caller, turn))
            .collect();
        for some in names.chunks(64) {
            let all = some.iter().map(|name| create(&client, &at, pod(name)));
            futures::future::try_join_all(all).await?;
        }
        Ok(each)
    }

    /// Lets each caller write one after the other on a connection of its own.
    async fn timed<F>(&self, each: Option<usize>, write: F) -> anyhow::Result<()>
    where
        F: AsyncFn(&Client, usize, usize) -> anyhow::Result<()> + Clone,
    {
        let before = self.processor_time()?;
        let began = Instant::now();
        let done = Arc::new(AtomicUsize::new(0));
        let callers = (0..self.callers).map(|caller| {
            let (write, done) = (write.clone(), done.clone());
            async move {
                let client = Client::new(&self.config)?;
                let mut latencies = Vec::new();
                while began.elapsed() < self.within
                    && each.is_none_or(|each| latencies.len() < each)
                {
                    let started = Instant::now();
                    write(&client, caller, latencies.len()).await?;
                    latencies.push(started.elapsed());
                    done.fetch_add(1, Ordering::Relaxed);
                }
                anyhow::Ok(latencies)
            }
        });
        let callers: FuturesUnordered<_> = callers.collect();
        let mut latencies = callers.try_concat().await?;
        let took = began.elapsed();
        latencies.sort_unstable();
        let at = |share: f64| {
            let rank = (share * latencies.len() as f64).ceil() as usize;
            let latency = latencies.get(rank.saturating_sub(1));
            latency.map_or(0.0, |latency| latency.as_secs_f64() * 1000.0)
        };
        println!(
            "{:.0}/s | {:.2} ms | {:.2} ms",
            latencies.len() as f64 / took.as_secs_f64(),
            at(0.5),
            at(0.99)
        );
        for ((name, before), (_, after)) in before.iter().zip(self.processor_time()?) {
            let each = (after - before) * 1000.0 / latencies.len() as f64;
            println!("{name}: {each:.3} ms of processor time each");
        }
        Ok(())
    }

    /// The name and the seconds of processor time of each process.
    fn processor_time(&self) -> anyhow::Result<Vec<(String, f64)>> {
        const TICKS: f64 = 100.0;
        self.processes
            .iter()
            .map(|process| {
                let file = format!("/proc/{process}/stat");
                let stat =
                    std::fs::read_to_string(&file).with_context(|| format!("read {file}"))?;
                let (head, rest) = stat.rsplit_once(')').context("a malformed stat")?;
                let name = head.split_once('(').map_or("", |(_, name)| name).to_owned();
                let fields: Vec<&str> = rest.split_whitespace().collect();
                let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok());
                let used = ticks(11).unwrap_or_default() + ticks(12).unwrap_or_default();
                Ok((name, used / TICKS))
            })
            .collect()
    }
}

async fn create(client: &Client, at: &At, object: Value) -> anyhow::Result<()> {
    client
        .create(at, object.to_string(), &WriteOptions::default())
        .await?;
    Ok(())
}

fn config_map(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name},
        "data": {"value": "x".repeat(DATA_BYTES)}
    })
}

fn pod(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": "bench"}},
        "spec": {"containers": [{
            "name": "web", "image": "web:1",
            "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}}
        }]}
    })
}

/// What the scheduler writes for a pod.
async fn bind(client: &Client, name: &str) -> anyhow::Result<()> {
    let at = At::of(gvr::PODS)
        .namespace(NAMESPACE)
        .name(name)
        .subresource("binding");
    let binding = json!({
        "apiVersion": "v1", "kind": "Binding", "metadata": {"name": name},
        "target": {"kind": "Node", "name": "node1"}
    });
    create(client, &at, binding).await?;
    let event = json!({
        "apiVersion": "v1", "kind": "Event",
        "metadata": {"name": format!("{name}.1"), "namespace": NAMESPACE},
        "involvedObject": {"kind": "Pod", "namespace": NAMESPACE, "name": name, "apiVersion": "v1"},
        "reason": "Scheduled", "message": format!("Successfully assigned {name} to node1"),
        "source": {"component": "default-scheduler"}, "type": "Normal", "count": 1,
        "firstTimestamp": "2026-01-01T00:00:00Z", "lastTimestamp": "2026-01-01T00:00:00Z",
        "reportingComponent": "default-scheduler", "reportingInstance": ""
    });
    create(client, &At::of(gvr::EVENTS).namespace(NAMESPACE), event).await
}
