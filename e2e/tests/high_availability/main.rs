//! What a control plane of several members survives, seen from outside; run by `e2e/run.sh ha`.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use ferrule_e2e::chaos::fault::leader;
use ferrule_e2e::wait::{seconds, until};
use ferrule_e2e::{Cluster, Kubectl, Lab, NODES, Settings, runner};
use serde_json::Value;

/// Writes go on within this time after any one member is lost.
const WRITES: Duration = seconds(15);
/// Controllers and scheduling go on within this time: a lease lasts 15 s, and is tried every 2 s.
const LEADERS: Duration = seconds(30);

fn main() -> ExitCode {
    runner::run(
        || {
            Cluster::start(Settings {
                high_availability: true,
                ..Settings::of_tests()
            })
        },
        &[
            ferrule_e2e::Test {
                name: "one_of_each_may_die",
                run: one_of_each_may_die,
            },
            ferrule_e2e::Test {
                name: "one_of_each_may_be_paused",
                run: one_of_each_may_be_paused,
            },
            ferrule_e2e::Test {
                name: "a_paused_leader_writes_nothing_after_it_lost_the_lease",
                run: a_paused_leader_writes_nothing_after_it_lost_the_lease,
            },
            ferrule_e2e::Test {
                name: "the_service_of_the_api_leads_to_the_servers_that_are_there",
                run: the_service_of_the_api_leads_to_the_servers_that_are_there,
            },
        ],
    )
}

/// A Deployment of two pods with a node port that answers on every node.
fn web(lab: &Lab) -> anyhow::Result<u16> {
    lab.kubectl
        .ok("create deployment web --image=sysnet4admin/echo-hname --replicas=2")?;
    lab.kubectl
        .ok("expose deployment web --type=NodePort --port=80")?;
    has_ready(&lab.kubectl, 2, seconds(60))?;
    let service = lab.kubectl.json("service web")?;
    let port = service["spec"]["ports"][0]["nodePort"].as_u64();
    let port = u16::try_from(port.context("a node port")?)?;
    until("every node answers", seconds(20), || answers(lab, port))?;
    Ok(port)
}

fn answers(lab: &Lab, port: u16) -> anyhow::Result<()> {
    for node in NODES {
        lab.cluster.get(node, port).context(node)?;
    }
    Ok(())
}

fn has_ready(kubectl: &Kubectl, count: u64, within: Duration) -> anyhow::Result<()> {
    until(&format!("{count} pods are ready"), within, || {
        let deployment = kubectl.json("deployment web")?;
        let status = &deployment["status"];
        ensure!(
            status["readyReplicas"] == count && status["replicas"] == count,
            "{status}"
        );
        Ok(())
    })
}

/// Traffic and writes go on, and so do controllers and the scheduler: a new pod becomes ready.
fn goes_on(lab: &Lab, port: u16, after: &str, replicas: &mut u64) -> anyhow::Result<()> {
    let began = Instant::now();
    answers(lab, port).with_context(|| format!("traffic after {after}"))?;
    until(&format!("a write after {after}"), WRITES, || {
        lab.kubectl.ok(&format!(
            "create configmap probe-{} --from-literal=a=b",
            began.elapsed().as_millis()
        ))
    })?;
    let written = began.elapsed();
    *replicas = if *replicas == 2 { 3 } else { 2 };
    until("the Deployment is scaled", WRITES, || {
        lab.kubectl
            .ok(&format!("scale deployment web --replicas={replicas}"))
    })?;
    has_ready(&lab.kubectl, *replicas, LEADERS).with_context(|| after.to_owned())?;
    answers(lab, port).with_context(|| format!("traffic after {after}"))?;
    println!(
        "    after {after}: written within {:.1} s, scaled within {:.1} s",
        written.as_secs_f64(),
        began.elapsed().as_secs_f64()
    );
    Ok(())
}

/// The members to lose, each with its program: the leader where there is one.
fn members(lab: &Lab) -> anyhow::Result<Vec<(String, &'static str)>> {
    Ok(vec![
        (leader(lab.cluster, "etcd")?, "etcd"),
        ("apiserver".to_owned(), "kube-apiserver"),
        (leader(lab.cluster, "scheduler")?, "kube-scheduler"),
        (
            leader(lab.cluster, "controller-manager")?,
            "kube-controller-manager",
        ),
    ])
}

fn nodes_stay_ready(lab: &Lab) -> anyhow::Result<()> {
    let nodes = lab.kubectl.json("nodes")?;
    for node in nodes["items"].as_array().into_iter().flatten() {
        let conditions = node["status"]["conditions"].as_array();
        let ready = conditions
            .into_iter()
            .flatten()
            .any(|condition| condition["type"] == "Ready" && condition["status"] == "True");
        ensure!(ready, "{} is not Ready", node["metadata"]["name"]);
    }
    Ok(())
}

fn one_of_each_may_die(lab: &Lab) -> anyhow::Result<()> {
    let port = web(lab)?;
    let mut replicas = 2;
    for (member, _) in members(lab)? {
        lab.cluster.docker("kill", &member)?;
        let result = goes_on(lab, port, &format!("the death of {member}"), &mut replicas);
        lab.cluster.docker("start", &member)?;
        result?;
        nodes_stay_ready(lab)?;
        until(&format!("{member} is back"), seconds(30), || well(lab))?;
    }
    Ok(())
}

/// Every member of etcd and both API servers answer.
fn well(lab: &Lab) -> anyhow::Result<()> {
    for member in ["etcd", "etcd2", "etcd3"] {
        ferrule_e2e::chaos::fault::etcdctl(lab.cluster, member, &["endpoint", "health"])?;
    }
    for kubeconfig in lab.cluster.kubeconfigs() {
        Kubectl::ours(lab.cluster.program("kubectl"), &kubeconfig).ok("get nodes")?;
    }
    Ok(())
}

fn one_of_each_may_be_paused(lab: &Lab) -> anyhow::Result<()> {
    let port = web(lab)?;
    let mut replicas = 2;
    for (member, _) in members(lab)? {
        lab.cluster.docker("pause", &member)?;
        let result = goes_on(lab, port, &format!("the pause of {member}"), &mut replicas);
        lab.cluster.docker("unpause", &member)?;
        result?;
        nodes_stay_ready(lab)?;
        until(&format!("{member} is back"), seconds(30), || well(lab))?;
    }
    Ok(())
}

/// The pods of a Deployment by the ReplicaSet that owns them, the living ones.
fn owned(pods: &Value) -> BTreeMap<String, usize> {
    let mut count = BTreeMap::new();
    let living = pods["items"].as_array().into_iter().flatten();
    for pod in living.filter(|pod| pod["metadata"]["deletionTimestamp"].is_null()) {
        let owner = pod["metadata"]["ownerReferences"][0]["uid"].to_string();
        *count.entry(owner).or_default() += 1;
    }
    count
}

fn a_paused_leader_writes_nothing_after_it_lost_the_lease(lab: &Lab) -> anyhow::Result<()> {
    web(lab)?;
    let paused = leader(lab.cluster, "controller-manager")?;
    lab.cluster.docker("pause", &paused)?;
    // It finds work that is done already when it wakes up.
    let scaled = lab.kubectl.ok("scale deployment web --replicas=5");
    let taken = until("another leads", LEADERS, || {
        let leads = leader(lab.cluster, "controller-manager")?;
        ensure!(leads != paused, "{leads} still does");
        Ok(leads)
    });
    let ready = has_ready(&lab.kubectl, 5, seconds(60));
    lab.cluster.docker("unpause", &paused)?;
    scaled?;
    let taken = taken?;
    ready?;
    let awake = Instant::now();
    while awake.elapsed() < seconds(8) {
        let pods = lab.kubectl.json("pods -l app=web")?;
        ensure!(
            owned(&pods).values().all(|count| *count == 5),
            "{:?}",
            owned(&pods)
        );
        ensure!(
            leader(lab.cluster, "controller-manager")? == taken,
            "the lease changed hands again"
        );
    }
    // It ended itself, and came back as a candidate.
    until("the former leader runs again", seconds(20), || {
        lab.cluster.process(&paused, "kube-controller-manager")
    })?;
    Ok(())
}

fn the_service_of_the_api_leads_to_the_servers_that_are_there(lab: &Lab) -> anyhow::Result<()> {
    // The Service is in the namespace `default`.
    let kubectl = lab.cluster.kubectl();
    let servers = ["apiserver", "apiserver2"];
    let all = servers
        .iter()
        .map(|server| Ok(lab.cluster.address(server)?.to_string()))
        .collect::<anyhow::Result<BTreeSet<String>>>()?;
    let named = |what: &str, expected: &BTreeSet<String>| {
        until(what, seconds(40), || {
            let endpoints = kubectl.json("endpoints kubernetes")?;
            let slice = kubectl.json("endpointslice kubernetes")?;
            let of = |list: &Value, pointer: &str| -> BTreeSet<String> {
                let list = list.as_array().into_iter().flatten();
                list.filter_map(|each| each.pointer(pointer)?.as_str())
                    .map(str::to_owned)
                    .collect()
            };
            let found = of(&endpoints["subsets"][0]["addresses"], "/ip");
            ensure!(found == *expected, "Endpoints: {found:?}");
            let found = of(&slice["endpoints"], "/addresses/0");
            ensure!(found == *expected, "EndpointSlice: {found:?}");
            Ok(())
        })
    };
    named("both are named", &all)?;
    for (index, server) in servers.into_iter().enumerate() {
        let mut others = all.clone();
        others.remove(&lab.cluster.address(server)?.to_string());
        // One says that it goes, of the other it is noticed.
        let end = ["stop", "kill"][index];
        lab.cluster.docker(end, server)?;
        let result = named(&format!("after the {end} of {server}"), &others);
        lab.cluster.docker("start", server)?;
        result?;
        named(&format!("{server} is back"), &all)?;
    }
    Ok(())
}
