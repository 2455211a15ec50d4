//! EndpointSlices: of pods that end or are not ready, and of Endpoints that are kept by hand, as
//! upstream's conformance has them under [sig-network].

use anyhow::{Context, ensure};
use ferrule_e2e::wait::{seconds, until};
use ferrule_e2e::{Kubectl, Lab};
use serde_json::{Value, json};

use crate::steps::{ready_pod, text};

/// The slices of a service.
fn slices(kubectl: &Kubectl, service: &str) -> anyhow::Result<Vec<Value>> {
    let what = format!("endpointslices -l kubernetes.io/service-name={service}");
    let list = kubectl.json(&what)?;
    let items = list["items"].as_array();
    Ok(items.context("a list has items")?.clone())
}

/// The endpoints of a service: their pods and conditions.
fn endpoints(kubectl: &Kubectl, service: &str) -> anyhow::Result<Vec<(String, Value)>> {
    let slices = slices(kubectl, service)?;
    let all = slices
        .iter()
        .flat_map(|slice| slice["endpoints"].as_array());
    let all = all.flatten();
    Ok(all
        .map(|own| {
            let pod = text(&own["targetRef"]["name"]).to_owned();
            (pod, own["conditions"].clone())
        })
        .collect())
}

fn pod(name: &str, more: Value) -> String {
    let mut container = json!({
        "name": "main", "image": "busybox", "command": ["sleep", "3600"],
        "ports": [{"name": "web", "containerPort": 8000}],
    });
    for (key, value) in more.as_object().into_iter().flatten() {
        container[key] = value.clone();
    }
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": "web"}},
        "spec": {"terminationGracePeriodSeconds": 6, "containers": [container]},
    })
    .to_string()
}

fn service(kubectl: &Kubectl, more: Value) -> anyhow::Result<()> {
    let mut object = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "web"},
        "spec": {"ports": [{"name": "http", "port": 80, "targetPort": "web"}]},
    });
    for (key, value) in more.as_object().into_iter().flatten() {
        object["spec"][key] = value.clone();
    }
    kubectl.create(&object.to_string()).map(drop)
}

pub fn a_pod_that_ends_still_serves_until_it_is_gone(lab: &Lab) -> anyhow::Result<()> {
    let kubectl = &lab.kubectl;
    service(kubectl, json!({"selector": {"app": "web"}}))?;
    kubectl.create(&pod("first", json!({})))?;
    ready_pod(kubectl, "first")?;
    let is = |what: &str, ready: bool, terminating: bool| {
        let conditions = json!({"ready": ready, "serving": true, "terminating": terminating});
        until(what, seconds(10), || {
            let found = endpoints(kubectl, "web")?;
            ensure!(
                found == [("first".to_owned(), conditions.clone())],
                "{found:?}"
            );
            Ok(())
        })
    };
    is("it is ready", true, false)?;
    let ports = &slices(kubectl, "web")?[0]["ports"];
    ensure!(
        ports[0]["port"] == 8000 && ports[0]["name"] == "http",
        "{ports}"
    );
    kubectl.ok("delete pod first --wait=false")?;
    is("it ends", false, true)?;
    until(
        "it is gone, and an empty slice is left",
        seconds(30),
        || {
            let (found, slices) = (endpoints(kubectl, "web")?, slices(kubectl, "web")?);
            ensure!(
                found.is_empty() && slices.len() == 1,
                "{found:?} {slices:?}"
            );
            Ok(())
        },
    )
}

pub fn pods_that_are_not_ready_are_published_where_that_is_asked_for(
    lab: &Lab,
) -> anyhow::Result<()> {
    let kubectl = &lab.kubectl;
    service(
        kubectl,
        json!({"selector": {"app": "web"}, "clusterIP": "None"}),
    )?;
    let probe = json!({"readinessProbe": {"exec": {"command": ["false"]}, "periodSeconds": 1}});
    kubectl.create(&pod("unready", probe))?;
    let is = |ready: bool| {
        let conditions = json!({"ready": ready, "serving": false, "terminating": false});
        until(&format!("ready is {ready}"), seconds(60), || {
            let found = endpoints(kubectl, "web")?;
            ensure!(
                found == [("unready".to_owned(), conditions.clone())],
                "{found:?}"
            );
            let older = kubectl.json("endpoints web")?;
            let list = if ready {
                "addresses"
            } else {
                "notReadyAddresses"
            };
            let subset = &older["subsets"][0];
            ensure!(subset[list][0]["targetRef"]["name"] == "unready", "{older}");
            Ok(())
        })
    };
    is(false)?;
    let patch = r#"{"spec":{"publishNotReadyAddresses":true}}"#;
    kubectl.words(&["patch", "service", "web", "--type=merge", "-p", patch])?;
    is(true)
}

pub fn endpoints_that_are_kept_by_hand_are_mirrored(lab: &Lab) -> anyhow::Result<()> {
    let kubectl = &lab.kubectl;
    service(kubectl, json!({}))?;
    let by_hand = |address: &str| {
        json!({
            "apiVersion": "v1", "kind": "Endpoints",
            "metadata": {"name": "web"},
            "subsets": [{"addresses": [{"ip": address}], "ports": [{"name": "http", "port": 8000}]}],
        })
        .to_string()
    };
    let mirrored = |address: &str| {
        until(&format!("{address} is mirrored"), seconds(15), || {
            let all = slices(kubectl, "web")?;
            ensure!(all.len() == 1, "{all:?}");
            let (labels, endpoints) = (&all[0]["metadata"]["labels"], &all[0]["endpoints"]);
            ensure!(
                labels["endpointslice.kubernetes.io/managed-by"]
                    == "endpointslicemirroring-controller.k8s.io"
                    && endpoints[0]["addresses"] == json!([address])
                    && endpoints[0]["conditions"]["ready"] == true
                    && all[0]["ports"][0]["port"] == 8000,
                "{all:?}"
            );
            Ok(text(&all[0]["metadata"]["uid"]).to_owned())
        })
    };
    // Addresses that are nobody's, and that nothing is sent to.
    kubectl.apply(&by_hand("192.0.2.1"))?;
    let first = mirrored("192.0.2.1")?;
    kubectl.apply(&by_hand("192.0.2.2"))?;
    ensure!(mirrored("192.0.2.2")? == first, "it is another slice");
    kubectl.ok("delete endpoints web")?;
    until("the slice goes with them", seconds(15), || {
        let left = slices(kubectl, "web")?;
        ensure!(left.is_empty(), "{left:?}");
        Ok(())
    })
}
