//! What becomes of dependents and of namespaces, as upstream's conformance has it under
//! [sig-api-machinery] Garbage collector and Namespaces.

use anyhow::{Context, ensure};
use ferrule_e2e::wait::{seconds, until};
use ferrule_e2e::{Kubectl, Lab};
use serde_json::{Value, json};

use crate::steps::{names, ready_pods, text};

/// Makes a ConfigMap with these owners (kind, name, uid); answers its uid.
fn config_map(
    kubectl: &Kubectl,
    name: &str,
    owners: &[(&str, &str, &str)],
) -> anyhow::Result<String> {
    let references: Vec<Value> = owners
        .iter()
        .map(|(kind, name, uid)| {
            json!({"apiVersion": "v1", "kind": kind, "name": name, "uid": uid, "blockOwnerDeletion": true})
        })
        .collect();
    let object = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "ownerReferences": references},
    });
    // The answer itself: it may be collected before it can be read.
    let words = ["create", "-f", "-", "-o", "json"];
    let made = kubectl.run(&words, &object.to_string())?.ok()?;
    let made: Value = serde_json::from_str(&made).context("create -o json")?;
    Ok(text(&made["metadata"]["uid"]).to_owned())
}

fn patch(kubectl: &Kubectl, object: &str, patch: &Value) -> anyhow::Result<()> {
    let patch = patch.to_string();
    let mut words = vec!["patch"];
    words.extend(object.split_whitespace());
    words.extend(["--type=merge", "-p", &patch]);
    kubectl.words(&words).map(drop)
}

fn gone(kubectl: &Kubectl, object: &str) -> anyhow::Result<()> {
    until(&format!("{object} is gone"), seconds(60), || {
        let shown = kubectl.run(&["get", object, "-o", "yaml"], "")?;
        ensure!(!shown.success(), "it is there:\n{}", shown.stdout);
        ensure!(shown.stderr.contains("NotFound"), "{}", shown.stderr);
        Ok(())
    })
}

/// A Deployment `web` of two pods that take a while to end.
fn slow_web(kubectl: &Kubectl) -> anyhow::Result<()> {
    let object = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {
                    "terminationGracePeriodSeconds": 3,
                    "containers": [{"name": "main", "image": "busybox", "command": ["sleep", "3600"]}],
                },
            },
        },
    });
    kubectl.create(&object.to_string())?;
    ready_pods(kubectl, "app=web", 2).map(drop)
}

fn count(kubectl: &Kubectl, what: &str) -> anyhow::Result<usize> {
    let list = kubectl.json(&format!("{what} -l app=web"))?;
    list["items"]
        .as_array()
        .map(Vec::len)
        .context("a list has items")
}

pub fn orphaned_dependents_stay(lab: &Lab) -> anyhow::Result<()> {
    let kubectl = &lab.kubectl;
    slow_web(kubectl)?;
    let before = names(&ready_pods(kubectl, "app=web", 2)?);
    kubectl.ok("delete deployment web --cascade=orphan")?;
    let set = kubectl.json("replicasets -l app=web")?["items"][0].clone();
    ensure!(
        set["metadata"]["ownerReferences"].is_null(),
        "{}",
        set["metadata"]
    );
    let name = text(&set["metadata"]["name"]);
    kubectl.ok(&format!("delete replicaset {name} --cascade=orphan"))?;
    // What is collected later shows that these were not forgotten only for a while.
    config_map(kubectl, "late", &[("ConfigMap", "none", "no-such-uid")])?;
    gone(kubectl, "configmap/late")?;
    let after = names(&ready_pods(kubectl, "app=web", 2)?);
    ensure!(after == before, "{before:?} became {after:?}");
    for pod in &after {
        let pod = kubectl.json(&format!("pod {pod}"))?;
        ensure!(
            pod["metadata"]["ownerReferences"].is_null(),
            "{}",
            pod["metadata"]
        );
    }
    Ok(())
}

pub fn an_owner_deleted_in_the_foreground_goes_last(lab: &Lab) -> anyhow::Result<()> {
    let kubectl = &lab.kubectl;
    slow_web(kubectl)?;
    kubectl.ok("delete deployment web --cascade=foreground --wait=false")?;
    let deployment = kubectl.json("deployment web")?;
    let meta = &deployment["metadata"];
    ensure!(
        !meta["deletionTimestamp"].is_null() && meta["finalizers"] == json!(["foregroundDeletion"]),
        "{meta}"
    );
    until("all of them are gone", seconds(60), || {
        // In this order: what is counted later may go meanwhile, never the other way round.
        let there = kubectl.run(&["get", "deployment", "web"], "")?.success();
        let (sets, pods) = (count(kubectl, "replicasets")?, count(kubectl, "pods")?);
        if !there && sets + pods > 0 {
            return Ok(Err(anyhow::anyhow!(
                "{sets} ReplicaSets and {pods} pods outlive their owner"
            )));
        }
        ensure!(!there && sets + pods == 0, "{there} {sets} {pods}");
        Ok(Ok(()))
    })?
}

pub fn an_owner_deleted_in_the_background_goes_at_once(lab: &Lab) -> anyhow::Result<()> {
    let kubectl = &lab.kubectl;
    slow_web(kubectl)?;
    kubectl.ok("delete deployment web --cascade=background --wait=false")?;
    ensure!(
        !kubectl.run(&["get", "deployment", "web"], "")?.success(),
        "it is there"
    );
    ensure!(count(kubectl, "pods")? == 2, "its pods went before it");
    until("its dependents follow", seconds(60), || {
        let (sets, pods) = (count(kubectl, "replicasets")?, count(kubectl, "pods")?);
        ensure!(sets + pods == 0, "{sets} ReplicaSets, {pods} pods");
        Ok(())
    })
}

pub fn a_circle_of_owners_blocks_nothing(lab: &Lab) -> anyhow::Result<()> {
    let kubectl = &lab.kubectl;
    let one = config_map(kubectl, "one", &[])?;
    let two = config_map(kubectl, "two", &[("ConfigMap", "one", &one)])?;
    let three = config_map(kubectl, "three", &[("ConfigMap", "two", &two)])?;
    let owner = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "three", "uid": three, "blockOwnerDeletion": true});
    patch(
        kubectl,
        "configmap one",
        &json!({"metadata": {"ownerReferences": [owner]}}),
    )?;
    kubectl.ok("delete configmap one --cascade=foreground --wait=false")?;
    for name in ["one", "two", "three"] {
        gone(kubectl, &format!("configmap/{name}"))?;
    }
    Ok(())
}

pub fn a_dependent_with_another_owner_outlives_one_that_waits_for_it(
    lab: &Lab,
) -> anyhow::Result<()> {
    let kubectl = &lab.kubectl;
    let first = config_map(kubectl, "first", &[])?;
    let second = config_map(kubectl, "second", &[])?;
    let owners = [
        ("ConfigMap", "first", &*first),
        ("ConfigMap", "second", &*second),
    ];
    config_map(kubectl, "child", &owners)?;
    kubectl.ok("delete configmap first --cascade=foreground --wait=false")?;
    gone(kubectl, "configmap/first")?;
    let child = kubectl.json("configmap child")?;
    let left = &child["metadata"]["ownerReferences"];
    ensure!(
        left.as_array().map(Vec::len) == Some(1) && left[0]["name"] == "second",
        "{left}"
    );
    kubectl.ok("delete configmap second")?;
    gone(kubectl, "configmap/child")
}

pub fn absent_owners_are_told_from_unknown_ones(lab: &Lab) -> anyhow::Result<()> {
    let kubectl = &lab.kubectl;
    // Somebody lives there under this name, but has another uid.
    let system = lab.cluster.kubectl().within("kube-system");
    let account = system.json("serviceaccount default")?;
    let uid = text(&account["metadata"]["uid"]);
    let real = config_map(kubectl, "real", &[])?;
    config_map(
        kubectl,
        "stays",
        &[("ConfigMap", "real", &real), ("Nothing", "x", "y")],
    )?;
    let unknown = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "unknown", "ownerReferences": [
            {"apiVersion": "example.com/v1", "kind": "Nothing", "name": "x", "uid": "unknown"}]},
    });
    kubectl.create(&unknown.to_string())?;
    config_map(kubectl, "elsewhere", &[("ServiceAccount", "default", uid)])?;
    config_map(kubectl, "misnamed", &[("ConfigMap", "other", &real)])?;
    gone(kubectl, "configmap/elsewhere")?;
    gone(kubectl, "configmap/misnamed")?;
    for name in ["unknown", "stays", "real"] {
        kubectl.json(&format!("configmap {name}"))?;
    }
    let namespace = &lab.namespace;
    let message = format!(
        "ownerRef [v1/ServiceAccount, namespace: {namespace}, name: default, uid: {uid}] does not exist in namespace {namespace:?}"
    );
    until("an event tells of the other namespace", seconds(10), || {
        let events = kubectl.json("events")?;
        let told = events["items"]
            .as_array()
            .into_iter()
            .flatten()
            .any(|event| {
                event["reason"] == "OwnerRefInvalidNamespace"
                    && event["involvedObject"]["name"] == "elsewhere"
                    && event["message"] == *message
            });
        ensure!(told, "{events}");
        Ok(())
    })
}

/// A namespace beside the test's own, which is removed by the test itself.
fn namespace(lab: &Lab, suffix: &str) -> anyhow::Result<(String, Kubectl)> {
    let name = format!("{}-{suffix}", lab.namespace);
    lab.cluster
        .kubectl()
        .words(&["create", "namespace", &name])?;
    let within = lab.cluster.kubectl().within(&name);
    Ok((name, within))
}

fn says(kubectl: &Kubectl, namespace: &str, expected: &[(&str, &str, &str)]) -> anyhow::Result<()> {
    until("the namespace says what is stuck", seconds(30), || {
        let shown = kubectl.json(&format!("namespace {namespace}"))?;
        let conditions = &shown["status"]["conditions"];
        for (kind, status, message) in expected {
            let mut all = conditions.as_array().into_iter().flatten();
            let said = all.any(|own| {
                own["type"] == **kind && own["status"] == **status && own["message"] == **message
            });
            ensure!(said, "{kind} {message:?} is missing in {conditions}");
        }
        Ok(())
    })
}

pub fn a_stuck_namespace_says_what_is_stuck(lab: &Lab) -> anyhow::Result<()> {
    let all = lab.cluster.kubectl();
    let (name, within) = namespace(lab, "stuck")?;
    let held = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "held", "finalizers": ["example.com/hold"]},
    });
    within.create(&held.to_string())?;
    all.words(&["delete", "namespace", &name, "--wait=false"])?;
    let expected = [
        (
            "NamespaceDeletionDiscoveryFailure",
            "False",
            "All resources successfully discovered",
        ),
        (
            "NamespaceDeletionGroupVersionParsingFailure",
            "False",
            "All legacy kube types successfully parsed",
        ),
        (
            "NamespaceDeletionContentFailure",
            "False",
            "All content successfully deleted, may be waiting on finalization",
        ),
        (
            "NamespaceContentRemaining",
            "True",
            "Some resources are remaining: configmaps. has 1 resource instances",
        ),
        (
            "NamespaceFinalizersRemaining",
            "True",
            "Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances",
        ),
    ];
    says(&all, &name, &expected)?;
    let refused = within.fails("create configmap late --from-literal=a=b")?;
    ensure!(
        refused.contains("because it is being terminated"),
        "{refused}"
    );
    patch(
        &within,
        "configmap held",
        &json!({"metadata": {"finalizers": null}}),
    )?;
    gone(&all, &format!("namespace/{name}"))
}

pub fn pods_of_a_namespace_go_before_the_rest(lab: &Lab) -> anyhow::Result<()> {
    let all = lab.cluster.kubectl();
    let (name, within) = namespace(lab, "ordered")?;
    within.ok("create configmap used --from-literal=a=b")?;
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "held", "labels": {"app": "web"}, "finalizers": ["example.com/hold"]},
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "containers": [{"name": "main", "image": "busybox", "command": ["sleep", "3600"]}],
        },
    });
    within.create(&pod.to_string())?;
    ready_pods(&within, "app=web", 1)?;
    all.words(&["delete", "namespace", &name, "--wait=false"])?;
    let expected = [
        (
            "NamespaceContentRemaining",
            "True",
            "Some resources are remaining: pods. has 1 resource instances",
        ),
        (
            "NamespaceFinalizersRemaining",
            "True",
            "Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances",
        ),
    ];
    says(&all, &name, &expected)?;
    within.json("configmap used")?;
    patch(
        &within,
        "pod held",
        &json!({"metadata": {"finalizers": null}}),
    )?;
    gone(&all, &format!("namespace/{name}"))
}
