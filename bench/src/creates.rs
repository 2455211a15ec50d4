//! Creates of ConfigMaps by several callers at once.

use std::time::{Duration, Instant};

use ferrule_apimachinery::scheme::gvr;
use ferrule_client::{At, Client, WriteOptions};
use serde_json::json;

use crate::latency::Latencies;

/// The size of the data of each ConfigMap.
pub const DATA_BYTES: usize = 4096;

/// A ConfigMap of the benchmark.
pub fn config_map(name: &str) -> serde_json::Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name},
        "data": {"value": "x".repeat(DATA_BYTES)}
    })
}

/// The name of the ConfigMap that one of so many callers made, in a round, at its turn.
pub fn name(round: usize, callers: usize, caller: usize, turn: usize) -> String {
    format!("of-{round}-{callers}-{caller}-{turn}")
}

/// Lets each client create objects one after the other for so long.
pub async fn measure(
    clients: Vec<Client>,
    namespace: &str,
    round: usize,
    within: Duration,
) -> anyhow::Result<Latencies> {
    let callers = clients.len();
    let running: Vec<_> = clients
        .into_iter()
        .enumerate()
        .map(|(caller, client)| {
            let at = At::of(gvr::CONFIG_MAPS).namespace(namespace);
            tokio::spawn(async move {
                let mut latencies = Latencies::default();
                let end = Instant::now() + within;
                while Instant::now() < end {
                    let name = name(round, callers, caller, latencies.count());
                    let object = config_map(&name).to_string();
                    let started = Instant::now();
                    client.create(&at, object, &WriteOptions::default()).await?;
                    latencies.add(started.elapsed());
                }
                anyhow::Ok(latencies)
            })
        })
        .collect();
    let mut all = Latencies::default();
    for caller in running {
        all.extend(caller.await??);
    }
    Ok(all)
}
