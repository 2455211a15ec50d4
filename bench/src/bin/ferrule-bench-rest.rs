//! Measures an API server's REST front and prints the figures as Markdown:
//! `ferrule-bench-rest KUBECONFIG PID`. `bench/rest.sh` starts a server for it.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use ferrule_bench::rest::{Bench, Process};
use ferrule_client::ClientConfig;

const CALLERS: usize = 16;
const EACH: Duration = Duration::from_secs(10);
const PODS: usize = 10_000;
const LISTS: usize = 10;
const WATCHES: usize = 1000;
const WRITES: usize = 300;

fn main() -> anyhow::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [kubeconfig, process] = &words[..] else {
        anyhow::bail!("ferrule-bench-rest KUBECONFIG PID");
    };
    let bench = Bench {
        config: ClientConfig::load(Path::new(kubeconfig), "ferrule-bench")?,
        server: Process(process.parse().context("the server's process")?),
    };
    tokio::runtime::Runtime::new()?.block_on(measure(&bench))
}

async fn measure(bench: &Bench) -> anyhow::Result<()> {
    println!("### REST\n");
    println!(
        "An API server and etcd with nothing beside them; every caller has a connection of its own.\n"
    );
    println!(
        "| | a second | p50 | p99 | server's processor time each |\n|---|---:|---:|---:|---:|"
    );
    let gets = bench.gets(CALLERS, EACH).await?;
    let rest = bench.rest_writes(CALLERS, EACH).await?;
    let grpc = bench.grpc_writes(CALLERS, EACH).await?;
    for (name, cost) in [
        ("GET, 16 callers", &gets),
        ("create over REST, 16 callers", &rest),
        ("create over gRPC, 16 callers", &grpc),
    ] {
        let (rate, each) = (cost.rate(), cost.each());
        println!(
            "| {name} | {rate:.0} | {} | {each:.0} µs |",
            cost.latencies.cells()
        );
    }
    bench.make_pods(PODS).await?;
    let lists = bench.lists(LISTS).await?;
    println!(
        "\nLIST of {PODS} pods ({:.1} MB): p50 and p99 {}; the server's memory rose by {:.1} MiB.",
        lists.bytes as f64 / 1e6,
        lists.latencies.cells().replace(" | ", " and "),
        lists.extra_kib as f64 / 1024.0
    );
    let watched = bench.watched(WATCHES, WRITES).await?;
    println!(
        "\n{WATCHES} watches on one object that is written {WRITES} times: {} events in {:.2} s, {:.0}/s, \
         {:.1} µs of the server's processor time each.",
        watched.events,
        watched.took.as_secs_f64(),
        watched.events as f64 / watched.took.as_secs_f64(),
        watched.processor.as_secs_f64() * 1e6 / watched.events as f64
    );
    Ok(())
}
