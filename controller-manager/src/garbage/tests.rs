use std::sync::Arc;

use ferrule_apimachinery::header::Header;
use ferrule_apimachinery::scheme::{Scheme, gvr};
use ferrule_client::Propagation;
use serde_json::{Value, json};

use super::graph::{Follows, Graph, Source};
use super::plan::{FOREGROUND, ORPHAN, Observed, Owner, Plan, plan};
use crate::objects::meta::OwnerReference;

fn owner(uid: &str) -> OwnerReference {
    OwnerReference {
        uid: uid.to_owned(),
        ..OwnerReference::default()
    }
}

#[test]
fn an_object_is_deleted_only_when_every_owner_is_gone() {
    use Owner::{Absent, Solid, Waiting};
    let cases: [(&[Owner], bool, Plan); 7] = [
        (&[], false, Plan::Nothing),
        (&[Solid], true, Plan::Nothing),
        (&[Absent], false, Plan::Delete(Propagation::Background)),
        (&[Solid, Absent], false, Plan::Disown(vec!["1".to_owned()])),
        (&[Solid, Waiting], false, Plan::Disown(vec!["1".to_owned()])),
        (
            &[Waiting, Absent],
            true,
            Plan::Delete(Propagation::Foreground),
        ),
        (&[Waiting], false, Plan::Delete(Propagation::Background)),
    ];
    for (owners, has_dependents, expected) in cases {
        let owners = owners
            .iter()
            .enumerate()
            .map(|(place, state)| (owner(&place.to_string()), *state))
            .collect();
        assert_eq!(
            plan(&Observed {
                owners,
                has_dependents,
                ..Observed::default()
            }),
            expected
        );
    }
}

#[test]
fn finalizers_decide_how_an_object_ends() {
    let cases: [(bool, &[&str], bool, Plan); 6] = [
        (true, &[], false, Plan::Nothing),
        (true, &["example.com/hold"], false, Plan::Nothing),
        (true, &[FOREGROUND], true, Plan::WaitForDependents),
        (
            true,
            &[FOREGROUND],
            false,
            Plan::RemoveFinalizer(FOREGROUND),
        ),
        (true, &[ORPHAN], true, Plan::OrphanDependents),
        (false, &[ORPHAN], false, Plan::Delete(Propagation::Orphan)),
    ];
    for (deleting, finalizers, blocked, expected) in cases {
        let observed = Observed {
            deleting,
            finalizers: finalizers.iter().map(|name| (*name).to_owned()).collect(),
            owners: vec![(owner("o"), Owner::Absent)],
            blocked,
            ..Observed::default()
        };
        assert_eq!(plan(&observed), expected, "{finalizers:?}");
    }
}

#[test]
fn a_circle_of_waiting_objects_is_broken() {
    for (dependent_waits, expected) in [
        (true, Plan::UnblockAndDelete),
        (false, Plan::Delete(Propagation::Foreground)),
    ] {
        let observed = Observed {
            owners: vec![(owner("o"), Owner::Waiting)],
            has_dependents: true,
            dependent_waits,
            ..Observed::default()
        };
        assert_eq!(plan(&observed), expected);
    }
}

/// A pod; owners are `uid`, or `uid=name` when the name is another.
fn header(name: &str, namespace: &str, owners: &[&str], more: Value) -> Header {
    let references: Vec<Value> = owners
        .iter()
        .map(|owner| {
            let (uid, name) = owner.split_once('=').unwrap_or((owner, owner));
            json!({"uid": uid, "kind": "Pod", "apiVersion": "v1", "name": name, "blockOwnerDeletion": true})
        })
        .collect();
    let mut object = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "uid": name, "ownerReferences": references},
    });
    for (key, value) in more.as_object().unwrap() {
        object["metadata"][key] = value.clone();
    }
    let scheme = Scheme::builtin();
    Header::parse(
        scheme.get(&gvr::PODS).unwrap(),
        object.to_string().as_bytes(),
    )
    .unwrap()
}

fn names(mut uids: Vec<Arc<str>>) -> Vec<String> {
    uids.sort();
    uids.iter().map(ToString::to_string).collect()
}

#[derive(Default)]
struct Pods(Graph);

impl Pods {
    fn observe(&mut self, name: &str, owners: &[&str], more: Value) -> Follows {
        self.observe_in("shop", name, owners, more)
    }

    fn observe_in(&mut self, namespace: &str, name: &str, owners: &[&str], more: Value) -> Follows {
        let source = Arc::new(Source::new(gvr::PODS, "Pod"));
        self.0
            .observe(&source, &header(name, namespace, owners, more))
    }

    fn is_settled(&self, uid: &str) -> bool {
        self.0.is_settled(self.0.get(uid).unwrap())
    }
}

#[test]
fn an_unknown_owner_is_looked_up_and_its_dependents_when_it_goes() {
    let mut pods = Pods::default();
    let first = pods.observe("child", &["parent"], json!({}));
    assert_eq!(names(first.look), ["parent"], "a virtual node");
    assert!(pods.0.virtual_node("parent").is_some() && !pods.is_settled("child"));
    assert_eq!(pods.observe("parent", &[], json!({})), Follows::default());
    assert!(pods.0.virtual_node("parent").is_none() && pods.is_settled("child"));
    let again = pods.observe("child", &["parent"], json!({}));
    assert_eq!(again, Follows::default());
    assert_eq!(names(pods.0.remove("parent")), ["child"]);
    assert!(!pods.is_settled("child"));
}

#[test]
fn a_missed_virtual_node_goes_or_stands_for_what_other_dependents_mean() {
    let mut pods = Pods::default();
    pods.observe("a", &["u=first"], json!({}));
    pods.observe("b", &["u=second"], json!({}));
    let first = pods.0.virtual_node("u").unwrap();
    assert_eq!(&*first.key.name, "first");
    assert_eq!(names(pods.0.missed(&first)), ["a", "u"]);
    let second = pods.0.virtual_node("u").unwrap();
    assert_eq!(&*second.key.name, "second");
    assert!(
        pods.0.missed(&first).is_empty(),
        "it stands for another now"
    );
    pods.0.remove("a");
    assert_eq!(names(pods.0.missed(&second)), ["b"]);
    assert!(pods.0.get("u").is_none());
}

#[test]
fn a_dependent_that_means_another_object_is_looked_at_whoever_is_seen_first() {
    for parent_first in [true, false] {
        let mut pods = Pods::default();
        let mut look = Vec::new();
        let mut elsewhere = Vec::new();
        let mut steps: Vec<(&str, &str, &[&str])> = vec![
            ("shop", "good", &["parent"]),
            ("shop", "misnamed", &["parent=other"]),
            ("lab", "far", &["parent"]),
        ];
        steps.insert(if parent_first { 0 } else { 3 }, ("shop", "parent", &[]));
        for (namespace, name, owners) in steps {
            let follows = pods.observe_in(namespace, name, owners, json!({}));
            look.extend(follows.look);
            let others = follows.other_namespace.into_iter();
            elsewhere.extend(others.map(|(uid, owner)| format!("{uid}: {owner}")));
        }
        look.retain(|uid| &**uid != "parent");
        assert_eq!(names(look), ["far", "misnamed"], "{parent_first}");
        let owner = "[v1/Pod, namespace: lab, name: parent, uid: parent]";
        assert_eq!(elsewhere, [format!("far: {owner}")]);
        assert!(pods.is_settled("good") && !pods.is_settled("misnamed") && !pods.is_settled("far"));
    }
}

#[test]
fn an_owner_that_waits_is_looked_at_when_a_dependent_goes_or_blocks_no_longer() {
    let mut pods = Pods::default();
    pods.observe("child", &["parent"], json!({}));
    pods.observe("other", &["parent"], json!({}));
    let waiting = json!({"deletionTimestamp": "2026-01-02T03:04:05Z", "finalizers": [FOREGROUND]});
    let parent = pods.observe("parent", &[], waiting);
    assert_eq!(names(parent.look), ["parent"]);
    assert_eq!(names(pods.0.blocking("parent")), ["child", "other"]);
    let relaxed = json!({"ownerReferences": [
        {"uid": "parent", "kind": "Pod", "apiVersion": "v1", "name": "parent", "blockOwnerDeletion": false}]});
    let other = pods.observe("other", &[], relaxed);
    assert_eq!(names(other.look), ["other", "parent"]);
    assert_eq!(names(pods.0.remove("child")), ["parent"]);
    assert!(pods.0.blocking("parent").is_empty());
}

#[test]
fn an_object_that_goes_already_is_settled_unless_others_wait_for_it() {
    let mut pods = Pods::default();
    let going = |finalizer: &str| json!({"deletionTimestamp": "2026-01-02T03:04:05Z", "finalizers": [finalizer]});
    for (finalizer, settled) in [
        ("example.com/hold", true),
        (FOREGROUND, false),
        (ORPHAN, false),
    ] {
        pods.observe("leaving", &["gone"], going(finalizer));
        assert_eq!(pods.is_settled("leaving"), settled, "{finalizer}");
        assert_eq!(pods.0.dependent_waits("gone"), finalizer == FOREGROUND);
    }
}
