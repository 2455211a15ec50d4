//! The steady load beside the writers: a Deployment that is scaled and updated, Services that come
//! and go, pods that end with known codes, and requests from outside and inside of every node.

use std::fs::File;
use std::io::{Read, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use ferrule_apimachinery::scheme::{GroupVersionResource, gvr};
use ferrule_apimachinery::status::{Reason, Status};
use ferrule_client::{At, Client, DeleteOptions, Patch, WriteOptions};
use serde_json::{Value, json};

use super::history::{Clock, Ending, Request};
use super::random::Random;

/// The Deployment and Service under load.
pub const NAME: &str = "web";
/// The fewest and the most pods that it is scaled to.
pub const REPLICAS: (usize, usize) = (3, 6);
/// How long a request may take.
const REQUEST: Duration = Duration::from_secs(1);
/// The pause between requests of one stream.
const BETWEEN_REQUESTS: Duration = Duration::from_millis(200);
/// After so many requests a stream enters the node's network anew: the node may have another.
const ROUND: usize = 5;
/// How long one call may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// What tells the load to hold still, or to end.
#[derive(Clone, Default)]
pub struct Signals {
    /// Nothing is scaled, updated, added.
    pub still: Arc<AtomicBool>,
    /// The threads of requests end.
    pub over: Arc<AtomicBool>,
}

/// The Deployment: its pods finish requests before they end.
pub fn deployment(namespace: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": NAME, "namespace": namespace},
        "spec": {
            "replicas": 4,
            "selector": {"matchLabels": {"app": NAME}},
            "strategy": {"rollingUpdate": {"maxUnavailable": 1, "maxSurge": 1}},
            "template": {
                "metadata": {"labels": {"app": NAME}},
                "spec": {
                    "terminationGracePeriodSeconds": 8,
                    "containers": [{
                        "name": "main", "image": "sysnet4admin/echo-hname",
                        "lifecycle": {"preStop": {"exec": {"command": ["sleep", "3"]}}},
                        "readinessProbe": {"tcpSocket": {"port": 80}, "periodSeconds": 2},
                    }],
                },
            },
        },
    })
}

/// A Service with a node port for pods of that name.
pub fn service(namespace: &str, name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"type": "NodePort", "selector": {"app": NAME}, "ports": [{"port": 80}]},
    })
}

/// A pod that runs a script once; `node` pins it.
pub fn script(namespace: &str, name: &str, script: &str, node: Option<&str>) -> Value {
    let mut pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": {"chaos": "ending"}},
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 1,
            "containers": [{"name": "main", "image": "busybox", "command": ["sh", "-c", script]}],
        },
    });
    if let Some(node) = node {
        pod["spec"]["nodeSelector"] = json!({"kubernetes.io/hostname": node});
    }
    pod
}

/// Calls of the load: an error is the fault's work, and the next round tries again.
#[derive(Clone)]
pub struct Caller {
    /// The connection.
    pub client: Client,
    /// Where everything is.
    pub namespace: String,
}

impl Caller {
    fn at(&self, resource: GroupVersionResource) -> At {
        At::of(resource).namespace(&self.namespace)
    }

    /// Makes an object; one that is there is as good.
    pub async fn create(
        &self,
        resource: GroupVersionResource,
        object: &Value,
    ) -> Result<(), Status> {
        let (at, options) = (self.at(resource), WriteOptions::default());
        let call = self.client.create(&at, object.to_string(), &options);
        match in_time(call).await {
            Err(status) if status.reason == Reason::AlreadyExists => Ok(()),
            answer => answer.map(drop),
        }
    }

    /// Deletes an object; one that is not there is as good.
    pub async fn delete(&self, resource: GroupVersionResource, name: &str) -> Result<(), Status> {
        let (at, options) = (self.at(resource).name(name), DeleteOptions::default());
        match in_time(self.client.delete(&at, &options)).await {
            Err(status) if status.reason == Reason::NotFound => Ok(()),
            answer => answer.map(drop),
        }
    }

    /// Reads an object.
    pub async fn get(&self, resource: GroupVersionResource, name: &str) -> Result<Value, Status> {
        let at = self.at(resource).name(name);
        in_time(self.client.get(&at)).await?.parse()
    }

    /// Changes the Deployment.
    pub async fn change(&self, patch: Value) -> Result<(), Status> {
        let (at, options) = (
            self.at(gvr::DEPLOYMENTS).name(NAME),
            WriteOptions::default(),
        );
        let patch = Patch::Merge(patch);
        in_time(self.client.patch(&at, &patch, &options))
            .await
            .map(drop)
    }

    /// Sets the Deployment's number of pods.
    pub async fn scale(&self, replicas: usize) -> Result<(), Status> {
        self.change(json!({"spec": {"replicas": replicas}})).await
    }
}

/// A call with a deadline of the load's own.
pub async fn in_time<T>(call: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
    let answer = tokio::time::timeout(PATIENCE, call).await;
    answer.unwrap_or_else(|_| Err(Status::timeout("no answer in time", 0)))
}

/// Scales the Deployment, updates it now and then, and makes and deletes Services.
pub async fn change_workloads(caller: Caller, mut random: Random, signals: Signals) {
    for round in 1_u64.. {
        tokio::time::sleep(Duration::from_secs(5)).await;
        if signals.still.load(Ordering::Relaxed) {
            continue;
        }
        let replicas = random.between(REPLICAS.0, REPLICAS.1);
        let _ = caller.scale(replicas).await;
        if round % 9 == 0 {
            let template = json!({"metadata": {"annotations": {"chaos/round": round.to_string()}}});
            let _ = caller.change(json!({"spec": {"template": template}})).await;
        }
        let name = format!("extra-{}", random.below(4));
        if random.below(2) == 0 {
            let _ = caller.delete(gvr::SERVICES, &name).await;
        } else {
            let service = service(&caller.namespace, &name);
            let _ = caller.create(gvr::SERVICES, &service).await;
        }
    }
}

/// Makes pods that end with a code of their own, and deletes them some time after.
pub async fn run_endings(
    caller: Caller,
    mut random: Random,
    clock: Clock,
    made: Arc<Mutex<Vec<Ending>>>,
) {
    let mut old: std::collections::VecDeque<String> = Default::default();
    for number in 0_u64.. {
        tokio::time::sleep(Duration::from_millis(2500)).await;
        // 137 and 143 would look like a kill.
        let code = [0, random.between(1, 120)][random.below(2)] as i64;
        let seconds = random.between(1, 7);
        let ending = Ending {
            name: format!("ending-{number}"),
            code,
            at: clock.now(),
        };
        let text = format!("sleep {seconds}; exit {code}");
        let pod = script(&caller.namespace, &ending.name, &text, None);
        old.push_back(ending.name.clone());
        made.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(ending);
        let _ = caller.create(gvr::PODS, &pod).await;
        // Only what has ended is deleted: its code was seen.
        while old.len() > 8 {
            let Some(name) = old.pop_front() else { break };
            match caller.get(gvr::PODS, &name).await {
                Ok(pod)
                    if matches!(
                        pod["status"]["phase"].as_str(),
                        Some("Succeeded" | "Failed")
                    ) =>
                {
                    let _ = caller.delete(gvr::PODS, &name).await;
                }
                Err(status) if status.reason == Reason::NotFound => {}
                _ => {
                    old.push_back(name);
                    break;
                }
            }
        }
    }
}

/// Where one stream of requests goes.
pub struct Stream {
    /// The node.
    pub node: &'static str,
    /// What is asked: the node's own port, or the Service's address from inside of the node.
    pub address: SocketAddr,
    /// The node's network namespace, for requests from inside: found anew for each round.
    pub inside: Option<Arc<dyn Fn() -> anyhow::Result<std::path::PathBuf> + Send + Sync>>,
}

/// Asks until the signal, a connection for each request.
pub fn ask(
    stream: Stream,
    clock: Clock,
    signals: Signals,
    history: Arc<Mutex<Vec<Request>>>,
) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        while !signals.over.load(Ordering::Relaxed) {
            // A thread cannot leave a namespace again where it may not enter the first: each round
            // has a thread of its own.
            let requests = thread::scope(|scope| scope.spawn(|| round(&stream, clock)).join());
            let requests = requests.unwrap_or_default();
            history
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .extend(requests);
        }
    })
}

fn round(stream: &Stream, clock: Clock) -> Vec<Request> {
    let entered = match &stream.inside {
        Some(namespace) => namespace().and_then(|path| enter(&path)),
        None => Ok(()),
    };
    (0..ROUND)
        .map(|_| {
            let at = clock.now();
            let error = match &entered {
                Ok(()) => crate::network::get(stream.address, REQUEST).err(),
                Err(error) => Some(anyhow::anyhow!("{error:#}")),
            };
            let ended = clock.now();
            thread::sleep(BETWEEN_REQUESTS.saturating_sub(ended - at));
            Request {
                node: stream.node,
                inside: stream.inside.is_some(),
                at,
                ended,
                error: error.map(|error| format!("{error:#}")),
            }
        })
        .collect()
}

fn enter(namespace: &std::path::Path) -> anyhow::Result<()> {
    Ok(nix::sched::setns(
        File::open(namespace)?,
        nix::sched::CloneFlags::CLONE_NEWNET,
    )?)
}

/// Whether a DNS server knows a name of the cluster; asked from the present network namespace.
pub fn resolves(server: Ipv4Addr, name: &str) -> anyhow::Result<()> {
    let mut query = vec![0x0f, 0x0e, 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        query.push(u8::try_from(label.len())?);
        query.extend(label.as_bytes());
    }
    query.extend([0, 0, 1, 0, 1]);
    let mut stream = TcpStream::connect_timeout(&(server, 53).into(), REQUEST)?;
    stream.set_read_timeout(Some(REQUEST))?;
    stream.write_all(&u16::try_from(query.len())?.to_be_bytes())?;
    stream.write_all(&query)?;
    let mut answer = [0; 14];
    stream.read_exact(&mut answer)?;
    let (code, answers) = (answer[5] & 0x0f, u16::from_be_bytes([answer[8], answer[9]]));
    anyhow::ensure!(
        code == 0 && answers > 0,
        "{name}: code {code}, {answers} answers"
    );
    Ok(())
}

/// Runs something in a network namespace, in a thread of its own.
pub fn in_namespace<T: Send>(
    namespace: &std::path::Path,
    what: impl FnOnce() -> anyhow::Result<T> + Send,
) -> anyhow::Result<T> {
    let run = || enter(namespace).and_then(|()| what());
    thread::scope(|scope| scope.spawn(run).join())
        .unwrap_or_else(|_| Err(anyhow::anyhow!("it panicked")))
}
