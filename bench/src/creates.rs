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

/// Lets each client create objects one after the other for so long.
pub async fn measure(
    clients: Vec<Client>,
    namespace: &str,
    within: Duration,
) -> anyhow::Result<Latencies> {
    let run = clients.len();
    let callers: Vec<_> = clients
        .into_iter()
        .enumerate()
        .map(|(caller, client)| {
            let at = At::of(gvr::CONFIG_MAPS).namespace(namespace);
            tokio::spawn(async move {
                let mut latencies = Latencies::default();
                let end = Instant::now() + within;
                while Instant::now() < end {
                    let name = format!("of-{run}-{caller}-{}", latencies.count());
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
    for caller in callers {
        all.extend(caller.await??);
    }
    Ok(all)
}
