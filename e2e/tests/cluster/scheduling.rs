//! Where pods go, which wait, and for whom others leave.

use std::collections::BTreeMap;

use anyhow::{Context, bail, ensure};
use ferrule_e2e::wait::{seconds, until};
use ferrule_e2e::{Kubectl, Lab, NODES};
use ferrule_proto::v1::scheduler_introspection_client::SchedulerIntrospectionClient;
use ferrule_proto::v1::{ExplainPodRequest, ExplainPodResponse};
use serde_json::{Value, json};

use crate::doors;
use crate::steps::{POD_STARTS, ready_pod, text};

/// A decision takes no longer, and a refused pod is tried again within this time.
const DECIDED: std::time::Duration = seconds(20);

/// A pod that sleeps, with a part of its spec.
fn pod(name: &str, labels: Value, spec: Value) -> Value {
    let mut pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels},
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "containers": [{"name": "main", "image": "busybox", "command": ["sleep", "3600"]}],
        },
    });
    if let (Some(own), Some(more)) = (pod["spec"].as_object_mut(), spec.as_object()) {
        own.extend(more.clone());
    }
    pod
}

/// The same that asks for so many thousandths of a core.
fn asking(name: &str, milli_cpu: i64, spec: Value) -> Value {
    let mut pod = pod(name, json!({"app": name}), spec);
    pod["spec"]["containers"][0]["resources"] =
        json!({"requests": {"cpu": format!("{milli_cpu}m")}});
    pod
}

fn create(lab: &Lab, object: &Value) -> anyhow::Result<()> {
    lab.kubectl.create(&object.to_string()).map(drop)
}

/// The node that a pod was given.
fn placed(kubectl: &Kubectl, name: &str) -> anyhow::Result<String> {
    until(&format!("{name} has a node"), DECIDED, || {
        let pod = kubectl.json(&format!("pod {name}"))?;
        let node = text(&pod["spec"]["nodeName"]);
        ensure!(
            !node.is_empty(),
            "its conditions: {}",
            pod["status"]["conditions"]
        );
        Ok(node.to_owned())
    })
}

/// Waits until a pod says that it has no node, and why.
fn refused(kubectl: &Kubectl, name: &str, why: &str) -> anyhow::Result<()> {
    until(&format!("{name} says why it has no node"), DECIDED, || {
        let pod = kubectl.json(&format!("pod {name}"))?;
        let conditions = pod["status"]["conditions"].as_array().cloned();
        let condition = conditions
            .unwrap_or_default()
            .into_iter()
            .find(|condition| condition["type"] == "PodScheduled")
            .with_context(|| format!("it is {}", pod["status"]))?;
        ensure!(
            condition["status"] == "False" && text(&condition["message"]).contains(why),
            "{condition}"
        );
        Ok(())
    })
}

/// The CPU that pods may have of the smallest node.
fn cpu_of_nodes(kubectl: &Kubectl) -> anyhow::Result<i64> {
    let nodes = kubectl.json("nodes")?;
    let cpu = |node: &Value| {
        let cpu = text(&node["status"]["allocatable"]["cpu"]);
        match cpu.strip_suffix('m') {
            Some(milli) => milli.parse::<i64>(),
            None => cpu.parse::<i64>().map(|cores| cores * 1000),
        }
    };
    let items = nodes["items"].as_array().context("a list has items")?;
    let all = items.iter().map(cpu).collect::<Result<Vec<i64>, _>>()?;
    all.into_iter().min().context("there are nodes")
}

/// Changes nodes for a test, and changes them back whatever comes of it.
fn with_nodes(
    lab: &Lab,
    change: &[&str],
    back: &[&str],
    test: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    for line in change {
        lab.kubectl.ok(line)?;
    }
    let came = test();
    for line in back {
        lab.kubectl.ok(line)?;
    }
    came
}

fn node_patch(node: &str, spec: &Value) -> String {
    format!(
        "patch node {node} --type=merge -p {}",
        json!({"spec": spec})
    )
}

/// A PriorityClass of this test; its name is the cluster's, so it carries the namespace's.
fn priority_class(lab: &Lab, name: &str, value: i64, more: Value) -> anyhow::Result<String> {
    let name = format!("{}-{name}", lab.namespace);
    let mut class = json!({
        "apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass",
        "metadata": {"name": name}, "value": value,
    });
    if let (Some(own), Some(more)) = (class.as_object_mut(), more.as_object()) {
        own.extend(more.clone());
    }
    create(lab, &class)?;
    Ok(name)
}

pub fn nodes_are_filled_no_further_than_requests_allow(lab: &Lab) -> anyhow::Result<()> {
    let most = cpu_of_nodes(&lab.kubectl)? * 7 / 10;
    let mut nodes = Vec::new();
    for name in ["fill-1", "fill-2", "fill-3"] {
        create(lab, &asking(name, most, json!({})))?;
        nodes.push(placed(&lab.kubectl, name)?);
    }
    nodes.sort();
    ensure!(nodes == NODES, "they are on {nodes:?}");
    create(lab, &asking("further", most, json!({})))?;
    refused(
        &lab.kubectl,
        "further",
        "0/3 nodes are available: 3 Insufficient cpu. no new claims to deallocate, preemption: \
         0/3 nodes are available: 3 No preemption victims found for incoming pod.",
    )?;
    let said = explained(lab, "further")?;
    ensure!(said.queue == "unschedulable", "it is in {:?}", said.queue);
    for node in &said.nodes {
        ensure!(
            !node.fits
                && node.refused_by == "NodeResourcesFit"
                && node.reasons == ["Insufficient cpu"],
            "{node:?}"
        );
    }
    // The end of a pod wakes the one that waits.
    let freed = placed(&lab.kubectl, "fill-2")?;
    lab.kubectl.ok("delete pod fill-2 --wait=false")?;
    let node = placed(&lab.kubectl, "further")?;
    ensure!(node == freed, "it is on {node}, not on {freed}");
    Ok(())
}

pub fn a_pod_waits_for_a_node_with_its_labels(lab: &Lab) -> anyhow::Result<()> {
    let label = format!("{}-disk", lab.namespace);
    let mut selector = json!({});
    selector[&label] = json!("fast");
    create(
        lab,
        &pod("picky", json!({}), json!({"nodeSelector": selector})),
    )?;
    let preferred = json!([{"weight": 50, "preference": {
        "matchExpressions": [{"key": label, "operator": "Exists"}]}}]);
    let wish = json!({"affinity": {"nodeAffinity": {
        "preferredDuringSchedulingIgnoredDuringExecution": preferred}}});
    refused(
        &lab.kubectl,
        "picky",
        "3 node(s) didn't match Pod's node affinity/selector.",
    )?;
    with_nodes(
        lab,
        &[&format!("label node node2 {label}=fast")],
        &[&format!("label node node2 {label}-")],
        || {
            let node = placed(&lab.kubectl, "picky")?;
            ensure!(node == "node2", "it is on {node}");
            create(lab, &pod("wishful", json!({}), wish))?;
            let node = placed(&lab.kubectl, "wishful")?;
            ensure!(node == "node2", "the wish led to {node}");
            Ok(())
        },
    )
}

pub fn taints_keep_pods_away_that_do_not_tolerate_them(lab: &Lab) -> anyhow::Result<()> {
    let taint = json!({"taints": [{"key": "e2e", "value": "yes", "effect": "NoSchedule"}]});
    let change: Vec<String> = NODES.iter().map(|node| node_patch(node, &taint)).collect();
    let back: Vec<String> = NODES
        .iter()
        .map(|node| node_patch(node, &json!({"taints": null})))
        .collect();
    let change: Vec<&str> = change.iter().map(String::as_str).collect();
    let back: Vec<&str> = back.iter().map(String::as_str).collect();
    with_nodes(lab, &change, &back, || {
        let tolerations =
            json!({"tolerations": [{"key": "e2e", "value": "yes", "effect": "NoSchedule"}]});
        create(lab, &pod("tolerant", json!({}), tolerations))?;
        placed(&lab.kubectl, "tolerant")?;
        create(lab, &pod("other", json!({}), json!({})))?;
        refused(
            &lab.kubectl,
            "other",
            "0/3 nodes are available: 3 node(s) had untolerated taint(s).",
        )
    })?;
    placed(&lab.kubectl, "other").map(drop)
}

pub fn a_host_port_is_given_once_on_a_node(lab: &Lab) -> anyhow::Result<()> {
    let with_port = |name: &str, ip: &str, protocol: &str| {
        let mut pod = pod(
            name,
            json!({}),
            json!({"nodeSelector": {"kubernetes.io/hostname": "node1"}}),
        );
        pod["spec"]["containers"][0]["ports"] = json!([
            {"containerPort": 8080, "hostPort": 54_321, "hostIP": ip, "protocol": protocol}]);
        pod
    };
    for (name, ip, protocol) in [
        ("first", "127.0.0.1", "TCP"),
        ("other-address", "127.0.0.2", "TCP"),
        ("other-protocol", "127.0.0.1", "UDP"),
    ] {
        create(lab, &with_port(name, ip, protocol))?;
        placed(&lab.kubectl, name)?;
    }
    create(lab, &with_port("same", "0.0.0.0", "TCP"))?;
    refused(
        &lab.kubectl,
        "same",
        "1 node(s) didn't have free ports for the requested pod ports",
    )?;
    lab.kubectl.ok("delete pod first other-address")?;
    placed(&lab.kubectl, "same").map(drop)
}

pub fn a_pod_with_gates_waits_until_they_are_gone(lab: &Lab) -> anyhow::Result<()> {
    let gates = json!({"schedulingGates": [{"name": "e2e/one"}, {"name": "e2e/two"}]});
    create(lab, &pod("gated", json!({}), gates))?;
    refused(
        &lab.kubectl,
        "gated",
        "Scheduling is blocked due to non-empty scheduling gates",
    )?;
    let shown = lab.kubectl.ok("get pod gated")?;
    ensure!(shown.contains("SchedulingGated"), "{shown}");
    let said = explained(lab, "gated")?;
    ensure!(
        said.queue == "gated" && said.gate == "waiting for scheduling gates: [e2e/one e2e/two]",
        "{:?} {:?}",
        said.queue,
        said.gate
    );
    let only = |gates: Value| {
        let patch = json!({"spec": {"schedulingGates": gates}}).to_string();
        let words = ["patch", "pod", "gated", "--type=merge", "-p", &patch];
        lab.kubectl.words(&words).map(drop)
    };
    only(json!([{"name": "e2e/two"}]))?;
    let gated = lab.kubectl.json("pod gated")?;
    ensure!(
        text(&gated["spec"]["nodeName"]).is_empty(),
        "one gate is left"
    );
    only(json!([]))?;
    placed(&lab.kubectl, "gated")?;
    ready_pod(&lab.kubectl, "gated").map(drop)
}

pub fn anti_affinity_gives_each_pod_a_node_of_its_own(lab: &Lab) -> anyhow::Result<()> {
    let far = json!({"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
        {"labelSelector": {"matchLabels": {"app": "alone"}}, "topologyKey": "kubernetes.io/hostname"}]}}});
    let alone = |name: &str| pod(name, json!({"app": "alone"}), far.clone());
    let mut nodes = Vec::new();
    for name in ["one", "two", "three"] {
        create(lab, &alone(name))?;
        nodes.push(placed(&lab.kubectl, name)?);
    }
    nodes.sort();
    ensure!(nodes == NODES, "they are on {nodes:?}");
    create(lab, &alone("four"))?;
    refused(
        &lab.kubectl,
        "four",
        "3 node(s) didn't match pod anti-affinity rules.",
    )?;
    // It holds for pods as well that say nothing themselves.
    create(lab, &pod("plain", json!({"app": "alone"}), json!({})))?;
    refused(
        &lab.kubectl,
        "plain",
        "3 node(s) didn't satisfy existing pods anti-affinity rules.",
    )?;
    let near = json!({"affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
        {"labelSelector": {"matchLabels": {"name": "friend"}}, "topologyKey": "kubernetes.io/hostname"}]}}});
    create(lab, &pod("near", json!({}), near))?;
    refused(
        &lab.kubectl,
        "near",
        "3 node(s) didn't match pod affinity rules.",
    )?;
    create(lab, &pod("friend", json!({"name": "friend"}), json!({})))?;
    let (near, friend) = (
        placed(&lab.kubectl, "near")?,
        placed(&lab.kubectl, "friend")?,
    );
    ensure!(near == friend, "they are on {near} and {friend}");
    lab.kubectl.ok("delete pod two")?;
    until("one of those that wait has a node", DECIDED, || {
        for name in ["four", "plain"] {
            if !text(&lab.kubectl.json(&format!("pod {name}"))?["spec"]["nodeName"]).is_empty() {
                return Ok(());
            }
        }
        bail!("neither has")
    })
}

pub fn spread_constraints_keep_nodes_even(lab: &Lab) -> anyhow::Result<()> {
    let spread = json!({"topologySpreadConstraints": [{
        "maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "even"}},
    }]});
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for number in 0..6 {
        let name = format!("even-{number}");
        create(lab, &pod(&name, json!({"app": "even"}), spread.clone()))?;
        *counts.entry(placed(&lab.kubectl, &name)?).or_default() += 1;
    }
    ensure!(counts.values().eq(&[2, 2, 2]), "{counts:?}");
    // With two nodes closed to it, a third pod is too many for the last.
    let mut picky = spread;
    picky["nodeSelector"] = json!({"kubernetes.io/hostname": "node1"});
    picky["topologySpreadConstraints"][0]["nodeAffinityPolicy"] = json!("Ignore");
    create(lab, &pod("picky-1", json!({"app": "even"}), picky.clone()))?;
    placed(&lab.kubectl, "picky-1")?;
    create(lab, &pod("picky-2", json!({"app": "even"}), picky))?;
    refused(
        &lab.kubectl,
        "picky-2",
        "1 node(s) didn't match pod topology spread constraints",
    )
}

pub fn replicas_of_a_deployment_are_spread_over_nodes(lab: &Lab) -> anyhow::Result<()> {
    lab.kubectl
        .ok("create deployment spread --image=sysnet4admin/echo-hname --replicas=6")?;
    let pods = crate::steps::ready_pods(&lab.kubectl, "app=spread", 6)?;
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for pod in &pods {
        *counts.entry(text(&pod["spec"]["nodeName"])).or_default() += 1;
    }
    ensure!(counts.values().eq(&[2, 2, 2]), "{counts:?}");
    Ok(())
}

pub fn a_pod_of_higher_priority_makes_others_leave(lab: &Lab) -> anyhow::Result<()> {
    let kubectl = &lab.kubectl;
    let low = priority_class(lab, "low", 1, json!({}))?;
    let middle = priority_class(lab, "middle", 100, json!({}))?;
    let high = priority_class(lab, "high", 1000, json!({}))?;
    let modest = priority_class(lab, "modest", 1000, json!({"preemptionPolicy": "Never"}))?;
    let most = cpu_of_nodes(kubectl)? * 7 / 10;
    let of = |class: &str| json!({"priorityClassName": class});
    for (name, class) in [("one", &middle), ("two", &low), ("three", &middle)] {
        create(lab, &asking(name, most, of(class)))?;
        placed(kubectl, name)?;
    }
    // Who may make nobody leave waits.
    create(lab, &asking("modest", most, of(&modest)))?;
    refused(
        kubectl,
        "modest",
        "3 Insufficient cpu. no new claims to deallocate, preemption: not eligible due to \
         preemptionPolicy=Never.",
    )?;
    kubectl.ok("delete pod modest")?;
    let freed = placed(kubectl, "two")?;
    let uid = |name: &str| -> anyhow::Result<String> {
        Ok(text(&kubectl.json(&format!("pod {name}"))?["metadata"]["uid"]).to_owned())
    };
    create(lab, &asking("urgent", most, of(&high)))?;
    let urgent = uid("urgent")?;
    let node = placed(kubectl, "urgent")?;
    ensure!(
        node == freed,
        "it is on {node}: the least important was on {freed}"
    );
    ready_pod(kubectl, "urgent")?;
    let gone = kubectl.fails("get pod two")?;
    ensure!(gone.contains("not found"), "{gone}");
    let said = format!("Preempted by pod {urgent} on node {freed}");
    until("an event says for whom it left", DECIDED, || {
        let events = kubectl.json("events")?;
        let mut events = events["items"].as_array().into_iter().flatten();
        events
            .find(|event| {
                event["reason"] == "Preempted"
                    && event["message"] == *said
                    && event["involvedObject"]["name"] == "two"
            })
            .with_context(|| format!("no event says {said:?}"))
            .map(drop)
    })?;
    // The cluster's own classes are there from the start, above all others.
    create(
        lab,
        &asking("critical", most, of("system-cluster-critical")),
    )?;
    placed(kubectl, "critical")?;
    let critical = kubectl.json("pod critical")?;
    ensure!(
        critical["spec"]["priority"] == 2_000_000_000,
        "{}",
        critical["spec"]
    );
    ensure!(
        kubectl.json("pod urgent").is_ok(),
        "the most urgent had to leave"
    );
    for class in [&low, &middle, &high, &modest] {
        kubectl.ok(&format!("delete priorityclass {class}"))?;
    }
    Ok(())
}

pub fn victims_that_end_slowly_are_waited_for(lab: &Lab) -> anyhow::Result<()> {
    let kubectl = &lab.kubectl;
    let high = priority_class(lab, "high", 1000, json!({}))?;
    let most = cpu_of_nodes(kubectl)? * 7 / 10;
    for name in ["one", "two", "three"] {
        let mut slow = asking(name, most, json!({"terminationGracePeriodSeconds": 6}));
        slow["spec"]["containers"][0]["command"] =
            json!(["sh", "-c", "trap '' TERM; while :; do sleep 1; done"]);
        create(lab, &slow)?;
        ready_pod(kubectl, name)?;
    }
    create(
        lab,
        &asking("urgent", most, json!({"priorityClassName": high})),
    )?;
    let nominated = until("a node is kept for it", DECIDED, || {
        let pod = kubectl.json("pod urgent")?;
        let node = text(&pod["status"]["nominatedNodeName"]);
        ensure!(!node.is_empty(), "{}", pod["status"]);
        Ok(node.to_owned())
    })?;
    let pods = kubectl.json("pods")?;
    let leaving: Vec<&Value> = pods["items"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|pod| !pod["metadata"]["deletionTimestamp"].is_null())
        .collect();
    if let [victim] = leaving.as_slice() {
        ensure!(victim["spec"]["nodeName"] == *nominated, "{victim}");
        let conditions = victim["status"]["conditions"].as_array();
        let told = conditions.into_iter().flatten().any(|condition| {
            condition["type"] == "DisruptionTarget"
                && condition["reason"] == "PreemptionByScheduler"
        });
        ensure!(told, "{}", victim["status"]["conditions"]);
    } else {
        ensure!(leaving.is_empty(), "{} pods are leaving", leaving.len());
    }
    let node = until("it has its node", POD_STARTS, || {
        let pod = kubectl.json("pod urgent")?;
        let node = text(&pod["spec"]["nodeName"]);
        ensure!(!node.is_empty(), "{}", pod["status"]);
        Ok(node.to_owned())
    })?;
    ensure!(node == nominated, "it is on {node}, not on {nominated}");
    // The object of a pod that has ended may outlive its claim to the node by a moment.
    until("one pod has left for it, and no other", DECIDED, || {
        let pods = kubectl.json("pods")?;
        let left = pods["items"].as_array().map_or(0, Vec::len);
        ensure!(left == 3, "{left} pods are left");
        Ok(())
    })?;
    kubectl
        .ok(&format!("delete priorityclass {high}"))
        .map(drop)
}

/// What the scheduler says of a pod.
fn explained(lab: &Lab, name: &str) -> anyhow::Result<ExplainPodResponse> {
    let request = ExplainPodRequest {
        namespace: lab.namespace.clone(),
        name: name.to_owned(),
    };
    let (door, caller) = doors::of_scheduler(lab.cluster)?;
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let channel = door.connect(Some(&caller)).await?;
        let mut client = SchedulerIntrospectionClient::new(channel);
        Ok(client.explain_pod(request).await?.into_inner())
    })
}

pub fn the_scheduler_explains_its_scores(lab: &Lab) -> anyhow::Result<()> {
    create(lab, &asking("fits", 100, json!({})))?;
    placed(&lab.kubectl, "fits")?;
    let said = explained(lab, "fits")?;
    ensure!(said.nodes.len() == 3, "{said:?}");
    for node in &said.nodes {
        ensure!(node.fits && node.reasons.is_empty(), "{node:?}");
        let of = |plugin: &str| node.scores.iter().find(|score| score.plugin == plugin);
        for (plugin, weight) in [
            ("TaintToleration", 3),
            ("NodeResourcesFit", 1),
            ("NodeResourcesBalancedAllocation", 1),
            ("ImageLocality", 1),
        ] {
            let score = of(plugin).with_context(|| format!("{plugin} says nothing: {node:?}"))?;
            ensure!(
                score.weight == weight && (0..=100).contains(&score.score),
                "{score:?}"
            );
        }
        let sum: i64 = node
            .scores
            .iter()
            .map(|score| score.score * score.weight)
            .sum();
        ensure!(sum == node.score, "{node:?}");
    }
    Ok(())
}
