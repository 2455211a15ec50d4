//! The REST front under load: reads, large lists, many watches, and writes beside those over gRPC.

mod connection;
mod process;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use bytes::Bytes;
use ferrule_apimachinery::scheme::gvr;
use ferrule_client::{At, Client, ClientConfig, WriteOptions};
use futures::future::try_join_all;
use http_body_util::BodyExt;

use crate::creates::config_map;
use crate::latency::Latencies;
pub use connection::{Connection, Door};
pub use process::Process;

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const PODS: &str = "/api/v1/namespaces/default/pods";

/// An API server with nothing beside it.
pub struct Bench {
    /// How it is reached.
    pub config: ClientConfig,
    /// Its process.
    pub server: Process,
}

impl Bench {
    fn door(&self) -> anyhow::Result<Door> {
        Door::new(&self.config)
    }

    /// Lets callers, each on a connection of its own, do something over and over; says what it cost the server.
    async fn repeated<F>(&self, callers: usize, within: Duration, work: F) -> anyhow::Result<Cost>
    where
        F: AsyncFn(&mut Connection, usize, usize) -> anyhow::Result<()>,
    {
        let door = self.door()?;
        let connections = try_join_all((0..callers).map(|_| door.open())).await?;
        let before = self.server.processor_time()?;
        let began = Instant::now();
        let each = connections
            .into_iter()
            .enumerate()
            .map(|(caller, mut connection)| {
                let work = &work;
                async move {
                    let mut latencies = Latencies::default();
                    while began.elapsed() < within {
                        let started = Instant::now();
                        work(&mut connection, caller, latencies.count()).await?;
                        latencies.add(started.elapsed());
                    }
                    anyhow::Ok(latencies)
                }
            });
        let mut all = Latencies::default();
        for latencies in try_join_all(each).await? {
            all.extend(latencies);
        }
        Ok(Cost {
            took: began.elapsed(),
            processor: self.server.processor_time()? - before,
            latencies: all,
        })
    }

    /// GETs of one object.
    pub async fn gets(&self, callers: usize, within: Duration) -> anyhow::Result<Cost> {
        let mut first = self.door()?.open().await?;
        create(&mut first, MAPS, &config_map("read").to_string()).await?;
        let path = format!("{MAPS}/read");
        self.repeated(callers, within, async |connection, _, _| {
            connection.ask("GET", &path, Bytes::new()).await.map(drop)
        })
        .await
    }

    /// Creates over REST.
    pub async fn rest_writes(&self, callers: usize, within: Duration) -> anyhow::Result<Cost> {
        self.repeated(callers, within, async |connection, caller, turn| {
            let object = config_map(&format!("rest-{caller}-{turn}")).to_string();
            create(connection, MAPS, &object).await
        })
        .await
    }

    /// The same creates over gRPC.
    pub async fn grpc_writes(&self, callers: usize, within: Duration) -> anyhow::Result<Cost> {
        let before = self.server.processor_time()?;
        let began = Instant::now();
        let each = (0..callers).map(|caller| async move {
            let client = Client::new(&self.config)?;
            let at = At::of(gvr::CONFIG_MAPS).namespace("default");
            let mut latencies = Latencies::default();
            while began.elapsed() < within {
                let name = format!("grpc-{caller}-{}", latencies.count());
                let object = config_map(&name).to_string();
                let started = Instant::now();
                client.create(&at, object, &WriteOptions::default()).await?;
                latencies.add(started.elapsed());
            }
            anyhow::Ok(latencies)
        });
        let mut all = Latencies::default();
        for latencies in try_join_all(each).await? {
            all.extend(latencies);
        }
        Ok(Cost {
            took: began.elapsed(),
            processor: self.server.processor_time()? - before,
            latencies: all,
        })
    }

    /// Makes so many pods.
    pub async fn make_pods(&self, count: usize) -> anyhow::Result<()> {
        const MAKERS: usize = 16;
        let door = self.door()?;
        let each = (0..MAKERS).map(|maker| {
            let door = door.clone();
            async move {
                let mut connection = door.open().await?;
                for number in (maker..count).step_by(MAKERS) {
                    create(&mut connection, PODS, &pod(number)).await?;
                }
                anyhow::Ok(())
            }
        });
        try_join_all(each).await.map(drop)
    }

    /// Lists all pods some times, one after the other.
    pub async fn lists(&self, times: usize) -> anyhow::Result<Listed> {
        let mut connection = self.door()?.open().await?;
        let (resident, _) = self.server.memory()?;
        self.server.forget_peak()?;
        let mut listed = Listed::default();
        for _ in 0..times {
            let started = Instant::now();
            listed.bytes = connection.ask("GET", PODS, Bytes::new()).await?;
            listed.latencies.add(started.elapsed());
        }
        let (_, peak) = self.server.memory()?;
        listed.extra_kib = peak.saturating_sub(resident);
        Ok(listed)
    }

    /// Writes one object so many times while so many watch its resource; counts the events that arrive.
    pub async fn watched(&self, watches: usize, writes: usize) -> anyhow::Result<Watched> {
        let door = self.door()?;
        let seen = Arc::new(AtomicUsize::new(0));
        let mut writer = door.open().await?;
        create(&mut writer, MAPS, &config_map("busy").to_string()).await?;
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..watches {
            let mut connection = door.open().await?;
            let path =
                format!("{MAPS}?watch=1&fieldSelector=metadata.name%3Dbusy&resourceVersion=0");
            let mut events = connection.send("GET", &path, Bytes::new()).await?;
            let seen = seen.clone();
            tasks.spawn(async move {
                // The connection lives as long as its events are read.
                let _connection = connection;
                while let Some(Ok(frame)) = events.frame().await {
                    let lines = frame
                        .data_ref()
                        .map_or(0, |data| data.iter().filter(|byte| **byte == b'\n').count());
                    seen.fetch_add(lines, Ordering::Relaxed);
                }
            });
        }
        await_events(&seen, watches).await?;
        let before = self.server.processor_time()?;
        let began = Instant::now();
        let path = format!("{MAPS}/busy");
        for turn in 0..writes {
            let mut object = config_map("busy");
            object["data"]["turn"] = turn.to_string().into();
            connection_put(&mut writer, &path, object.to_string()).await?;
        }
        await_events(&seen, watches * (writes + 1)).await?;
        Ok(Watched {
            events: watches * writes,
            took: began.elapsed(),
            processor: self.server.processor_time()? - before,
        })
    }
}

async fn await_events(seen: &AtomicUsize, count: usize) -> anyhow::Result<()> {
    let until = Instant::now() + Duration::from_secs(120);
    while seen.load(Ordering::Relaxed) < count {
        let found = seen.load(Ordering::Relaxed);
        anyhow::ensure!(Instant::now() < until, "{found} of {count} events arrived");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Ok(())
}

async fn create(connection: &mut Connection, path: &str, object: &str) -> anyhow::Result<()> {
    let body = Bytes::copy_from_slice(object.as_bytes());
    let made = connection.ask("POST", path, body).await;
    made.map(drop).with_context(|| format!("create in {path}"))
}

async fn connection_put(
    connection: &mut Connection,
    path: &str,
    object: String,
) -> anyhow::Result<()> {
    connection.ask("PUT", path, object.into()).await.map(drop)
}

fn pod(number: usize) -> String {
    serde_json::json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": format!("pod-{number:05}"), "labels": {"app": "bench"}},
        "spec": {"containers": [{
            "name": "web", "image": "web:1",
            "env": (0..20).map(|n| serde_json::json!({"name": format!("VARIABLE_{n}"), "value": "x".repeat(40)}))
                .collect::<Vec<_>>(),
            "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}}
        }]}
    })
    .to_string()
}

/// What some requests cost.
pub struct Cost {
    /// From the first to the last.
    pub took: Duration,
    /// The server's processor time.
    pub processor: Duration,
    /// Of each.
    pub latencies: Latencies,
}

impl Cost {
    /// Requests a second.
    pub fn rate(&self) -> f64 {
        self.latencies.count() as f64 / self.took.as_secs_f64()
    }

    /// The server's processor time for each, in microseconds.
    pub fn each(&self) -> f64 {
        self.processor.as_secs_f64() * 1e6 / self.latencies.count() as f64
    }
}

/// What some large lists cost.
#[derive(Default)]
pub struct Listed {
    /// Of each list.
    pub latencies: Latencies,
    /// The length of one.
    pub bytes: usize,
    /// By how much the server's memory rose above what it was before.
    pub extra_kib: u64,
}

/// What events to many watches cost.
pub struct Watched {
    /// Events that arrived.
    pub events: usize,
    /// From the first write until the last event arrived.
    pub took: Duration,
    /// The server's processor time.
    pub processor: Duration,
}
