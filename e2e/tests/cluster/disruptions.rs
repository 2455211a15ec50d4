//! Evictions under PodDisruptionBudgets, as upstream's conformance has them under [sig-apps]
//! DisruptionController.

use anyhow::{Context, ensure};
use ferrule_apimachinery::scheme::gvr;
use ferrule_apimachinery::status::Status;
use ferrule_client::{At, Client, ClientConfig, WriteOptions};
use ferrule_e2e::component::block_on;
use ferrule_e2e::wait::{seconds, until};
use ferrule_e2e::{Kubectl, Lab};
use serde_json::{Value, json};

use crate::manifests::sleeping_web;
use crate::steps::{names, pods, ready_pods, text};

/// A Deployment `web` and a budget `web` for its pods.
fn guarded_web(kubectl: &Kubectl, replicas: usize, budget: Value) -> anyhow::Result<Vec<String>> {
    create_guarded(kubectl, &sleeping_web(replicas), budget)?;
    let pods = ready_pods(kubectl, "app=web", replicas)?;
    Ok(names(&pods).into_iter().collect())
}

fn create_guarded(kubectl: &Kubectl, deployment: &Value, budget: Value) -> anyhow::Result<()> {
    let mut spec = budget;
    spec["selector"] = json!({"matchLabels": {"app": "web"}});
    let budget = json!({
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "web"},
        "spec": spec,
    });
    kubectl.create(&deployment.to_string())?;
    kubectl.create(&budget.to_string())?;
    Ok(())
}

/// Opens the gates of pods that wait for it to be ready, until so many are.
fn open_gates(kubectl: &Kubectl, count: usize) -> anyhow::Result<Vec<String>> {
    until("the pods are there", seconds(60), || {
        let all = names(&pods(kubectl, "app=web")?);
        ensure!(all.len() == count, "{all:?}");
        let patch = json!({"status": {"conditions": [{"type": GATE, "status": "True"}]}});
        for pod in &all {
            let patch = patch.to_string();
            kubectl.words(&["patch", "pod", pod, "--subresource=status", "-p", &patch])?;
        }
        Ok(())
    })?;
    let pods = ready_pods(kubectl, "app=web", count)?;
    Ok(names(&pods).into_iter().collect())
}

/// The condition that pods wait for to be ready.
const GATE: &str = "ferrule.test/open";

/// Waits until the budget says so: expected pods, healthy ones, those that must be, those that may go.
fn budget_says(kubectl: &Kubectl, expected: [u64; 4]) -> anyhow::Result<()> {
    until("the budget is counted", seconds(30), || {
        let budget = kubectl.json("poddisruptionbudget web")?;
        let status = &budget["status"];
        let found = [
            "expectedPods",
            "currentHealthy",
            "desiredHealthy",
            "disruptionsAllowed",
        ]
        .map(|name| status[name].as_u64().unwrap_or(u64::MAX));
        ensure!(
            found == expected && status["observedGeneration"] == budget["metadata"]["generation"],
            "{status}"
        );
        let reason = match expected[3] {
            0 => ("False", "InsufficientPods"),
            _ => ("True", "SufficientPods"),
        };
        let condition = &status["conditions"][0];
        ensure!(
            condition["type"] == "DisruptionAllowed"
                && (text(&condition["status"]), text(&condition["reason"])) == reason,
            "{condition}"
        );
        Ok(())
    })
}

fn evict(lab: &Lab, pod: &str) -> anyhow::Result<Result<(), Status>> {
    let config = ClientConfig::load(&lab.cluster.kubeconfig(), "ferrule-e2e")?;
    let at = At::of(gvr::PODS)
        .namespace(&lab.namespace)
        .name(pod)
        .subresource("eviction");
    let eviction = json!({
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": pod, "namespace": lab.namespace},
    });
    block_on(async {
        let client = Client::new(&config)?;
        let options = WriteOptions::default();
        let result = client.create(&at, eviction.to_string(), &options).await;
        Ok(result.map(drop))
    })
}

fn is_refused(lab: &Lab, pod: &str, healthy: u64, needed: u64) -> anyhow::Result<()> {
    let status = evict(lab, pod)?.err().context("the eviction was allowed")?;
    let cause = format!(
        "The disruption budget web needs {needed} healthy pods and has {healthy} currently"
    );
    let causes = status.details.as_ref().map(|details| &details.causes);
    ensure!(
        status.code == 429
            && status.message
                == "Cannot evict pod as it would violate the pod's disruption budget."
            && causes.is_some_and(|causes| causes.iter().any(|own| own.message == cause)),
        "{status:?}"
    );
    Ok(())
}

pub fn an_eviction_waits_until_the_budget_allows_it(lab: &Lab) -> anyhow::Result<()> {
    let kubectl = &lab.kubectl;
    let all = guarded_web(kubectl, 2, json!({"minAvailable": 2}))?;
    budget_says(kubectl, [2, 2, 2, 0])?;
    is_refused(lab, &all[0], 2, 2)?;
    kubectl.ok("scale deployment web --replicas=3")?;
    budget_says(kubectl, [3, 3, 2, 1])?;
    evict(lab, &all[0])??;
    until("the pod is replaced", seconds(60), || {
        let left = names(&pods(kubectl, "app=web")?);
        ensure!(!left.contains(&all[0]) && left.len() == 3, "{left:?}");
        Ok(())
    })?;
    budget_says(kubectl, [3, 3, 2, 1])
}

pub fn a_budget_counts_what_the_controller_wants(lab: &Lab) -> anyhow::Result<()> {
    let kubectl = &lab.kubectl;
    // No pod is ready before the test says so: what replaces an evicted one is not, for a while.
    let mut deployment = sleeping_web(3);
    deployment["spec"]["template"]["spec"]["readinessGates"] = json!([{"conditionType": GATE}]);
    create_guarded(kubectl, &deployment, json!({"maxUnavailable": 1}))?;
    let all = open_gates(kubectl, 3)?;
    budget_says(kubectl, [3, 3, 2, 1])?;
    // Two one after the other: one only may go.
    let first = evict(lab, &all[0])?;
    let second = evict(lab, &all[1])?;
    ensure!(
        first.is_ok() && second.as_ref().is_err_and(|status| status.code == 429),
        "{first:?} {second:?}"
    );
    open_gates(kubectl, 3)?;
    budget_says(kubectl, [3, 3, 2, 1])?;
    let patch = r#"{"spec":{"maxUnavailable":"0%"}}"#;
    kubectl.words(&[
        "patch",
        "poddisruptionbudget",
        "web",
        "--type=merge",
        "-p",
        patch,
    ])?;
    budget_says(kubectl, [3, 3, 3, 0])?;
    is_refused(lab, &all[1], 3, 3)?;
    // Without the budget nothing is in the way.
    kubectl.ok("delete poddisruptionbudget web")?;
    evict(lab, &all[1])??;
    Ok(())
}

pub fn a_budget_without_pods_allows_nothing(lab: &Lab) -> anyhow::Result<()> {
    let kubectl = &lab.kubectl;
    guarded_web(kubectl, 0, json!({"minAvailable": "50%"}))?;
    budget_says(kubectl, [0, 0, 0, 0])?;
    until("an event says why", seconds(10), || {
        let described = kubectl.ok("describe poddisruptionbudget web")?;
        ensure!(described.contains("No matching pods found"), "{described}");
        Ok(())
    })
}
