use serde_json::{Value, json};

use super::plan::{CLAIM, Plan, VOLUME, is_bound, plan, uses};
use crate::objects::pod::Pod;
use crate::objects::volume::Protected;

fn object(mut metadata: Value, phase: &str) -> Protected {
    metadata["name"] = "data".into();
    metadata["namespace"] = "a".into();
    serde_json::from_value(json!({"metadata": metadata, "status": {"phase": phase}})).unwrap()
}

fn pod(metadata: Value, node: &str, volumes: Value) -> Pod {
    let mut whole = json!({"name": "web", "namespace": "a", "uid": "u"});
    for (field, value) in metadata.as_object().into_iter().flatten() {
        whole[field] = value.clone();
    }
    let spec = json!({"nodeName": node, "volumes": volumes});
    serde_json::from_value(json!({"metadata": whole, "spec": spec})).unwrap()
}

#[test]
fn the_finalizer_is_there_until_it_goes_unused() {
    let deleted = "2026-01-02T03:04:05Z";
    for (metadata, in_use, expected) in [
        (json!({}), false, Plan::Protect),
        (json!({"finalizers": ["other"]}), true, Plan::Protect),
        (json!({"finalizers": [CLAIM]}), false, Plan::Nothing),
        (
            json!({"finalizers": [CLAIM, "other"], "deletionTimestamp": deleted}),
            false,
            Plan::Release,
        ),
        (
            json!({"finalizers": [CLAIM], "deletionTimestamp": deleted}),
            true,
            Plan::Nothing,
        ),
        (
            json!({"finalizers": ["other"], "deletionTimestamp": deleted}),
            false,
            Plan::Nothing,
        ),
    ] {
        let claim = object(metadata.clone(), "Bound");
        assert_eq!(plan(&claim, CLAIM, in_use), expected, "{metadata} {in_use}");
    }
}

#[test]
fn a_volume_is_in_use_while_it_is_bound() {
    let deleted = json!({"finalizers": [VOLUME], "deletionTimestamp": "2026-01-02T03:04:05Z"});
    for (phase, expected) in [
        ("Bound", Plan::Nothing),
        ("Released", Plan::Release),
        ("Available", Plan::Release),
        ("", Plan::Release),
    ] {
        let volume = object(deleted.clone(), phase);
        assert_eq!(
            plan(&volume, VOLUME, is_bound(&volume)),
            expected,
            "{phase}"
        );
    }
}

#[test]
fn a_pod_with_a_node_uses_the_claims_that_it_names() {
    let named = json!([{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]);
    let ended =
        json!({"deletionTimestamp": "2026-01-02T03:04:05Z", "deletionGracePeriodSeconds": 0});
    let other = json!([
        {"name": "v", "persistentVolumeClaim": {"claimName": "other"}},
        {"name": "data", "configMap": {"name": "data"}},
    ]);
    let claim = object(json!({}), "Bound");
    for (metadata, node, volumes, expected) in [
        (json!({}), "n", &named, true),
        (json!({}), "", &named, false),
        (json!({}), "n", &other, false),
        (json!({"namespace": "b"}), "n", &named, false),
        // Of a volume that is the pod's own it lets go earlier.
        (ended, "n", &named, true),
    ] {
        let pod = pod(metadata.clone(), node, volumes.clone());
        assert_eq!(uses(&pod, &claim), expected, "{metadata} {node} {volumes}");
    }
}

#[test]
fn a_pod_uses_the_claim_that_was_made_for_it_until_it_is_shut_down() {
    let owned = |uid: &str| {
        let mut claim = object(
            json!({"ownerReferences": [{"kind": "Pod", "name": "web", "uid": uid, "controller": true}]}),
            "Bound",
        );
        claim.metadata.meta.name = "web-scratch".to_owned();
        claim
    };
    let volumes = json!([{"name": "scratch", "ephemeral": {"volumeClaimTemplate": {}}}]);
    let deleted = "2026-01-02T03:04:05Z";
    for (metadata, uid, expected) in [
        (json!({}), "u", true),
        (json!({}), "another", false),
        (
            json!({"deletionTimestamp": deleted, "deletionGracePeriodSeconds": 30}),
            "u",
            true,
        ),
        (
            json!({"deletionTimestamp": deleted, "deletionGracePeriodSeconds": 0}),
            "u",
            false,
        ),
    ] {
        let pod = pod(metadata.clone(), "n", volumes.clone());
        assert_eq!(uses(&pod, &owned(uid)), expected, "{metadata} {uid}");
    }
}
