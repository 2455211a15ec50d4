//! What goes on when something is killed, and how it comes back.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{anyhow, ensure};
use ferrule_e2e::network::get;
use ferrule_e2e::wait::{seconds, until};
use ferrule_e2e::{Lab, NODES};
use serde_json::Value;

use crate::doors::is_healthy;
use crate::manifests::shell;
use crate::steps::{
    answers_of_all, echo, every_node_answers, holds_only_its_pods, is_ready, names, pods,
    ready_pod, ready_pods, text,
};

/// Requests to a port of some nodes, one every 50 ms, until it is stopped.
struct Traffic {
    stop: Arc<AtomicBool>,
    asking: JoinHandle<Vec<Request>>,
}

struct Request {
    at: Instant,
    node: String,
    answer: anyhow::Result<String>,
}

impl Traffic {
    fn start(lab: &Lab, nodes: &[&str], port: u16) -> anyhow::Result<Traffic> {
        let targets = nodes
            .iter()
            .map(|node| Ok(((*node).to_owned(), lab.cluster.address(node)?)))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let asking = thread::spawn(move || {
            let mut requests = Vec::new();
            // Bounded even when nobody stops it: ten minutes.
            for (node, address) in targets.iter().cycle().take(12_000) {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                requests.push(Request {
                    at: Instant::now(),
                    node: node.clone(),
                    answer: get((*address, port).into(), Duration::from_secs(1)),
                });
                thread::sleep(Duration::from_millis(50));
            }
            requests
        });
        Ok(Traffic { stop, asking })
    }

    fn end(self) -> anyhow::Result<Vec<Request>> {
        self.stop.store(true, Ordering::Relaxed);
        self.asking
            .join()
            .map_err(|_| anyhow!("the requests panicked"))
    }
}

/// Fails when one of the requests was not answered.
fn all_were_answered(requests: &[Request], during: &str) -> anyhow::Result<()> {
    ensure!(
        requests.len() > 5,
        "only {} requests during {during}",
        requests.len()
    );
    let lost: Vec<String> = requests
        .iter()
        .filter_map(|request| {
            let error = request.answer.as_ref().err()?;
            Some(format!("{}: {error:#}", request.node))
        })
        .collect();
    ensure!(
        lost.is_empty(),
        "during {during}, {} of {} requests were lost: {:?}",
        lost.len(),
        requests.len(),
        lost.iter().collect::<BTreeSet<_>>()
    );
    Ok(())
}

/// Which containers run, and how often they were restarted.
fn running(pods: &[Value]) -> BTreeSet<String> {
    pods.iter()
        .flat_map(|pod| {
            pod["status"]["containerStatuses"]
                .as_array()
                .into_iter()
                .flatten()
        })
        .map(|status| format!("{} {}", status["containerID"], status["restartCount"]))
        .collect()
}

pub fn a_killed_component_is_back_within_ten_seconds_and_nothing_stops(
    lab: &Lab,
) -> anyhow::Result<()> {
    let echo = echo(lab, "web", 3)?;
    let mut kept = running(&echo.pods);
    let mut replicas = 3;
    for (service, program) in [
        ("node1", "kubelet"),
        ("node1", "kube-proxy"),
        ("node1", "cri-runtime"),
        ("node1", "network-agent"),
        ("node1", "node-dns"),
        ("scheduler", "kube-scheduler"),
        ("controller-manager", "kube-controller-manager"),
        ("apiserver", "kube-apiserver"),
    ] {
        let traffic = Traffic::start(lab, &NODES, echo.port)?;
        let killed = lab.cluster.kill(service, program)?;
        until(&format!("{program} is back"), seconds(10), || {
            let process = lab.cluster.process(service, program)?;
            ensure!(process != killed, "its process is still there");
            is_healthy(lab.cluster, service, program)
        })?;
        thread::sleep(Duration::from_secs(1));
        all_were_answered(&traffic.end()?, &format!("the death of {program}"))?;
        let pods = until("the pods are listed", seconds(10), || {
            pods(&lab.kubectl, "app=web")
        })?;
        ensure!(
            running(&pods) == kept,
            "{program}: {:?} became {:?}",
            kept,
            running(&pods)
        );
        // It works again: another pod comes, or one goes.
        replicas = if replicas == 3 { 4 } else { 3 };
        lab.kubectl
            .ok(&format!("scale deployment web --replicas={replicas}"))?;
        kept = running(&ready_pods(&lab.kubectl, "app=web", replicas)?);
        if replicas == 3 {
            until("the fourth pod is gone", seconds(45), || {
                let list = lab.kubectl.json("pods -l app=web")?;
                ensure!(
                    list["items"].as_array().map(Vec::len) == Some(3),
                    "it is still there"
                );
                Ok(())
            })?;
        }
    }
    Ok(())
}

pub fn exit_codes_survive_the_death_of_kubelet_and_runtime(lab: &Lab) -> anyhow::Result<()> {
    let script = "while [ ! -e /go/now ]; do usleep 20000; done; echo bye; exit 42";
    let manifest = shell("leaver", "Never", script)
        + "      volumeMounts: [{name: go, mountPath: /go}]\n  volumes: [{name: go, emptyDir: {}}]\n";
    lab.kubectl.apply(&manifest)?;
    let pod = ready_pod(&lab.kubectl, "leaver")?;
    let node = text(&pod["spec"]["nodeName"]);
    let volume = format!(
        "/var/lib/ferrule/kubelet/pods/{}/volumes/kubernetes.io~empty-dir/go/now",
        text(&pod["metadata"]["uid"])
    );
    let signal = lab.cluster.path(node, &volume)?;
    lab.cluster.kill(node, "kubelet")?;
    lab.cluster.kill(node, "cri-runtime")?;
    std::fs::write(&signal, "")?;
    let pod = until("the pod is reported", seconds(30), || {
        let pod = lab.kubectl.json("pod leaver")?;
        ensure!(pod["status"]["phase"] == "Failed", "{}", pod["status"]);
        Ok(pod)
    })?;
    let ended = &pod["status"]["containerStatuses"][0]["state"]["terminated"];
    ensure!(
        ended["exitCode"] == 42 && ended["reason"] == "Error",
        "{ended}"
    );
    let logs = lab.kubectl.ok("logs leaver")?;
    ensure!(logs == "bye\n", "{logs:?}");
    Ok(())
}

pub fn pods_of_a_killed_node_are_replaced_and_the_node_comes_back_clean(
    lab: &Lab,
) -> anyhow::Result<()> {
    let echo = echo(lab, "web", 3)?;
    let lost = "node3";
    let stays = |pod: &&Value| text(&pod["spec"]["nodeName"]) != lost;
    ensure!(
        echo.pods.iter().any(|pod| !stays(&pod)),
        "no pod runs on {lost}"
    );
    let traffic = Traffic::start(lab, &["node1", "node2"], echo.port)?;
    let killed = Instant::now();
    lab.cluster.docker("kill", lost)?;
    let replaced = until("the lost pod is replaced", seconds(60), || {
        let pods = pods(&lab.kubectl, "app=web")?;
        ensure!(
            pods.len() == 3 && pods.iter().all(|pod| stays(&pod) && is_ready(pod)),
            "{:?}",
            pods.iter().map(crate::steps::summary).collect::<Vec<_>>()
        );
        Ok(pods)
    });
    thread::sleep(Duration::from_secs(2));
    let settled = Instant::now();
    thread::sleep(Duration::from_secs(2));
    let requests = traffic.end()?;
    // The node comes back whatever was seen: other tests need it.
    lab.cluster.docker("start", lost)?;
    let started = Instant::now();
    let ready = until("the node is Ready", seconds(20), || {
        let node = lab.kubectl.json(&format!("node {lost}"))?;
        ensure!(is_ready(&node), "{}", node["status"]["conditions"]);
        let heartbeat = lab.cluster.path(lost, "/run/ferrule/cri.sock")?;
        ensure!(heartbeat.exists(), "its runtime does not run yet");
        Ok(())
    });
    let replaced = replaced?;
    ready?;
    println!(
        "    {lost} was Ready {:.1} s after its start",
        started.elapsed().as_secs_f64()
    );

    let (during, after): (Vec<Request>, Vec<Request>) = requests
        .into_iter()
        .partition(|request| request.at < settled);
    all_were_answered(&after, "the time after the replacement")?;
    let mut last_answer = killed;
    for request in during.iter().filter(|request| request.answer.is_ok()) {
        let silence = request.at.saturating_duration_since(last_answer);
        ensure!(silence < seconds(10), "nothing answered for {silence:?}");
        last_answer = request.at;
    }
    every_node_answers(lab.cluster, echo.port, &names(&replaced))?;
    holds_only_its_pods(lab.cluster, lost)?;
    let pods = ready_pods(&lab.kubectl, "app=web", 3)?;
    until("all pods are reached through it", seconds(20), || {
        answers_of_all(lab.cluster, lost, echo.port, &names(&pods), 100)
    })
}

pub fn without_etcd_traffic_goes_on_and_writes_fail_clearly(lab: &Lab) -> anyhow::Result<()> {
    let echo = echo(lab, "web", 3)?;
    let kept = running(&echo.pods);
    let traffic = Traffic::start(lab, &NODES, echo.port)?;
    lab.cluster.docker("stop", "etcd")?;
    let stopped = Instant::now();
    let write = lab
        .kubectl
        .run(&["create", "configmap", "late", "--from-literal=a=b"], "");
    thread::sleep(seconds(30).saturating_sub(stopped.elapsed()));
    lab.cluster.docker("start", "etcd")?;
    let write = write?;
    let again = until("a write succeeds again", seconds(15), || {
        lab.kubectl.ok("create configmap again --from-literal=a=b")
    });
    all_were_answered(&traffic.end()?, "the absence of etcd")?;
    again?;
    ensure!(
        write.code == Some(1) && write.stderr.contains("etcd"),
        "the write without etcd: {write:?}"
    );
    lab.kubectl.ok("scale deployment web --replicas=4")?;
    let pods = ready_pods(&lab.kubectl, "app=web", 4)?;
    ensure!(
        running(&pods).is_superset(&kept),
        "{kept:?} became {:?}",
        running(&pods)
    );
    for node in NODES {
        let node = lab.kubectl.json(&format!("node {node}"))?;
        ensure!(is_ready(&node), "{}", node["status"]["conditions"]);
    }
    Ok(())
}
