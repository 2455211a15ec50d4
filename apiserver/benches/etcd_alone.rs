//! Puts values into etcd as the store does, without an API server in between.
//!
//! `etcd_alone URL PKI VALUE CALLERS SECONDS` prints `creates per second | p50 | p99`.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use etcd_client::{
    Certificate, Client, Compare, CompareOp, ConnectOptions, Identity, TlsOptions, Txn, TxnOp,
};

fn main() -> anyhow::Result<()> {
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| word != "--bench")
        .collect();
    let [url, pki, value, callers, seconds] = &words[..] else {
        println!("etcd_alone URL PKI VALUE CALLERS SECONDS; bench/run.sh starts it");
        return Ok(());
    };
    let value = std::fs::read(value).with_context(|| format!("read {value}"))?;
    let within = Duration::from_secs(seconds.parse()?);
    tokio::runtime::Runtime::new()?.block_on(measure(
        url,
        Path::new(pki),
        &value,
        callers.parse()?,
        within,
    ))
}

async fn measure(
    url: &str,
    pki: &Path,
    value: &[u8],
    callers: usize,
    within: Duration,
) -> anyhow::Result<()> {
    // Another run may have left keys behind.
    let process = std::process::id();
    let mut running = Vec::new();
    for caller in 0..callers {
        let mut client = connect(url, pki).await?;
        let value = value.to_vec();
        running.push(tokio::spawn(async move {
            let mut latencies = Vec::new();
            let end = Instant::now() + within;
            while Instant::now() < end {
                let key = format!("/bench/{process}/{caller}/{}", latencies.len());
                let absent = Compare::mod_revision(key.clone(), CompareOp::Equal, 0);
                let put = TxnOp::put(key, value.clone(), None);
                let started = Instant::now();
                client
                    .txn(Txn::new().when([absent]).and_then([put]))
                    .await?;
                latencies.push(started.elapsed());
            }
            anyhow::Ok(latencies)
        }));
    }
    let mut latencies = Vec::new();
    for caller in running {
        latencies.extend(caller.await??);
    }
    latencies.sort_unstable();
    let at = |share: f64| {
        let rank = (share * latencies.len() as f64).ceil() as usize;
        latencies
            .get(rank.saturating_sub(1))
            .map_or(0.0, |latency| latency.as_secs_f64() * 1000.0)
    };
    println!(
        "{:.0}/s | {:.2} ms | {:.2} ms",
        latencies.len() as f64 / within.as_secs_f64(),
        at(0.5),
        at(0.99)
    );
    Ok(())
}

async fn connect(url: &str, pki: &Path) -> anyhow::Result<Client> {
    let read = |file: &str| {
        let path = pki.join(file);
        std::fs::read(&path).with_context(|| format!("read {}", path.display()))
    };
    let tls = TlsOptions::new()
        .ca_certificate(Certificate::from_pem(read("etcd-ca.crt")?))
        .identity(Identity::from_pem(
            read("apiserver-etcd-client.crt")?,
            read("apiserver-etcd-client.key")?,
        ));
    let options = ConnectOptions::new()
        .with_tls(tls)
        .with_connect_timeout(Duration::from_secs(5))
        .with_timeout(Duration::from_secs(10));
    Ok(Client::connect([url], Some(options)).await?)
}
