use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::plan::{Observed, Plan, Step, plan};
use super::sizes::{Bounds, rescale, shrink_old};
use super::{annotations, status};
use crate::objects::pod::Pod;
use crate::objects::workload::{Deployment, ReplicaSet};

mod history;

fn now() -> Timestamp {
    "2026-01-02T03:04:05Z".parse().unwrap()
}

fn pod_template(image: &str) -> Value {
    json!({
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "web", "image": image}]},
    })
}

fn deployment(replicas: i64, image: &str) -> Deployment {
    serde_json::from_value(json!({
        "metadata": {"name": "web", "namespace": "shop", "uid": "d", "generation": 1, "resourceVersion": "7"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": pod_template(image),
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
            "revisionHistoryLimit": 10,
            "progressDeadlineSeconds": 600,
        },
    }))
    .unwrap()
}

/// A ReplicaSet of the Deployment `web` whose pods are all available.
fn set(name: &str, age: i64, image: &str, replicas: i64, desired: i64) -> ReplicaSet {
    let mut template = pod_template(image);
    template["metadata"]["labels"]["pod-template-hash"] = json!(name);
    let created = now() - SignedDuration::from_secs(age);
    serde_json::from_value(json!({
        "metadata": {
            "name": name, "namespace": "shop", "uid": name, "resourceVersion": "3", "generation": 1,
            "creationTimestamp": created.to_string(),
            "annotations": {
                annotations::REVISION: (1000 - age).to_string(),
                annotations::DESIRED_REPLICAS: desired.to_string(),
                annotations::MAX_REPLICAS: (desired + desired.div_euclid(4) + i64::from(desired % 4 > 0)).to_string(),
            },
            "ownerReferences": [{"uid": "d", "controller": true, "kind": "Deployment", "name": "web"}],
        },
        "spec": {"replicas": replicas, "template": template},
        "status": {
            "replicas": replicas, "readyReplicas": replicas, "availableReplicas": replicas,
            "observedGeneration": 1, "terminatingReplicas": 0,
        },
    }))
    .unwrap()
}

fn planned(deployment: &Deployment, sets: &[&ReplicaSet]) -> Plan {
    plan(
        &Observed {
            deployment,
            sets: sets.to_vec(),
            pods: Vec::new(),
        },
        now(),
    )
}

/// The changes of size as `name from>to`.
fn sizes(plan: &Plan) -> Vec<String> {
    plan.steps
        .iter()
        .map(|step| match step {
            Step::Create { name, replicas, .. } => {
                format!("new {} 0>{replicas}", name.starts_with("web-"))
            }
            Step::Change {
                meta,
                replicas: (from, to),
                ..
            } => format!("{} {from}>{to}", meta.name),
            Step::Delete(meta) => format!("{} gone", meta.name),
        })
        .collect()
}

#[test]
fn percentages_round_surge_up_and_unavailability_down() {
    let cases = [
        (10, json!("25%"), json!("25%"), (3, 2)),
        (1, json!("25%"), json!("25%"), (1, 0)),
        (3, json!(0), json!("10%"), (0, 1)),
        (4, json!(2), json!(0), (2, 0)),
        (2, json!(1), json!(5), (1, 2)),
        (0, json!("25%"), json!("25%"), (0, 0)),
    ];
    for (replicas, surge, unavailable, expected) in cases {
        let mut deployment = deployment(replicas, "a");
        deployment.spec.strategy = serde_json::from_value(json!({
            "type": "RollingUpdate",
            "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable},
        }))
        .unwrap();
        let bounds = Bounds::of(&deployment);
        assert_eq!(
            (bounds.surge, bounds.unavailable),
            expected,
            "{replicas} {surge} {unavailable}"
        );
    }
}

#[test]
fn a_new_deployment_gets_one_replica_set_with_everything_upstream_puts_on_it() {
    let mut deployment = deployment(2, "a");
    deployment
        .metadata
        .annotations
        .insert("team".to_owned(), "shop".to_owned());
    let last_applied = "kubectl.kubernetes.io/last-applied-configuration";
    deployment
        .metadata
        .annotations
        .insert(last_applied.to_owned(), "{}".to_owned());
    let plan = planned(&deployment, &[]);
    let [
        Step::Create {
            name,
            object,
            replicas: 2,
        },
    ] = plan.steps.as_slice()
    else {
        panic!("{plan:?}")
    };
    let hash = name.strip_prefix("web-").unwrap();
    assert!(
        hash.bytes()
            .all(|letter| b"bcdfghjklmnpqrstvwxz2456789".contains(&letter)),
        "{hash}"
    );
    assert_eq!(
        object["metadata"]["labels"],
        json!({"app": "web", "pod-template-hash": hash})
    );
    assert_eq!(
        object["spec"]["selector"],
        json!({"matchLabels": {"app": "web", "pod-template-hash": hash}})
    );
    assert_eq!(
        object["spec"]["template"]["metadata"]["labels"]["pod-template-hash"],
        json!(hash)
    );
    assert_eq!(
        object["metadata"]["annotations"],
        json!({
            "team": "shop",
            "deployment.kubernetes.io/revision": "1",
            "deployment.kubernetes.io/desired-replicas": "2",
            "deployment.kubernetes.io/max-replicas": "3",
        })
    );
    assert_eq!(
        object["metadata"]["ownerReferences"][0]["blockOwnerDeletion"],
        json!(true)
    );
    assert_eq!(plan.revision.as_deref(), Some("1"));
    let status = plan.status.unwrap();
    let said: Vec<_> = status
        .conditions
        .iter()
        .map(|c| (c.reason.as_str(), c.message.as_str()))
        .collect();
    let created = format!("Created new replica set \"{name}\"");
    assert_eq!(
        said,
        [
            ("NewReplicaSetCreated", created.as_str()),
            (
                "MinimumReplicasUnavailable",
                "Deployment does not have minimum availability."
            ),
        ]
    );
    assert_eq!((status.replicas, status.unavailable_replicas), (0, 2));
}

#[test]
fn a_complete_rollout_says_so_and_then_nothing_changes() {
    let mut deployment = deployment(2, "a");
    let only = set("web-a", 10, "a", 2, 2);
    let plan = planned(&deployment, &[&only]);
    assert_eq!(plan.steps, vec![]);
    let status = plan.status.unwrap();
    let available = status::condition(&status, "Available").unwrap();
    assert_eq!(available.message, "Deployment has minimum availability.");
    let progressing = status::condition(&status, "Progressing").unwrap();
    assert_eq!(progressing.reason, "NewReplicaSetAvailable");
    assert_eq!(
        progressing.message,
        "ReplicaSet \"web-a\" has successfully progressed."
    );
    assert_eq!(status.terminating_replicas, Some(0));
    deployment.status = status;
    deployment
        .metadata
        .annotations
        .insert(annotations::REVISION.to_owned(), "990".to_owned());
    assert_eq!(planned(&deployment, &[&only]), Plan::default());
}

#[test]
fn a_rolling_update_goes_up_before_it_goes_down() {
    // (old wanted, old available, new wanted, new available) of 10 with surge 3 and 2 missing.
    type Case = (
        &'static str,
        (i64, i64),
        Option<(i64, i64)>,
        &'static [&'static str],
    );
    let cases: [Case; 6] = [
        (
            "it starts with the surge",
            (10, 10),
            None,
            &["new true 0>3"],
        ),
        (
            "then the old may shrink by what may be missing",
            (10, 10),
            Some((3, 0)),
            &["old 10>8"],
        ),
        (
            "the surge is used again",
            (8, 8),
            Some((3, 0)),
            &["web-new 3>5"],
        ),
        (
            "nothing moves while the new pods are not available",
            (8, 8),
            Some((5, 0)),
            &[],
        ),
        (
            "each available new pod frees an old one",
            (8, 8),
            Some((5, 5)),
            &["old 8>3"],
        ),
        (
            "old pods that are not available go first",
            (8, 4),
            Some((5, 4)),
            &["old 8>4"],
        ),
    ];
    for (what, (old_wanted, old_available), newest, expected) in cases {
        let deployment = deployment(10, "b");
        let mut old = set("old", 100, "a", old_wanted, 10);
        old.status.available_replicas = old_available;
        let new = newest.map(|(wanted, available)| {
            let mut new = set("web-new", 10, "b", wanted, 10);
            new.status.available_replicas = available;
            new
        });
        let sets: Vec<&ReplicaSet> = std::iter::once(&old).chain(&new).collect();
        assert_eq!(sizes(&planned(&deployment, &sets)), expected, "{what}");
    }
}

#[test]
fn availability_is_never_given_up_for_a_broken_new_template() {
    let deployment = deployment(10, "b");
    let mut old = set("old", 100, "a", 8, 10);
    old.status.available_replicas = 7;
    let mut new = set("web-new", 10, "b", 5, 10);
    new.status.available_replicas = 0;
    assert_eq!(shrink_old(&deployment, &new, &[&old]), [8]);
}

#[test]
fn pods_that_are_about_to_go_are_not_counted_as_available() {
    // Scaled from 12 to 4 amid a rollout that is stuck; the statuses are of before.
    let mut deployment = deployment(4, "b");
    deployment.spec.strategy.rolling_update =
        serde_json::from_value(json!({"maxSurge": 3, "maxUnavailable": 2})).unwrap();
    let mut old = set("old", 100, "a", 3, 12);
    old.status.available_replicas = 7;
    let mut new = set("web-new", 10, "b", 4, 12);
    new.status.available_replicas = 0;
    assert_eq!(shrink_old(&deployment, &new, &[&old]), [2]);
    old.status.available_replicas = 3;
    assert_eq!(shrink_old(&deployment, &new, &[&old]), [2]);
}

#[test]
fn recreation_waits_for_the_last_old_pod() {
    let mut deployment = deployment(2, "b");
    deployment.spec.strategy.r#type = "Recreate".to_owned();
    let old = set("old", 100, "a", 2, 2);
    assert_eq!(sizes(&planned(&deployment, &[&old])), ["old 2>0"]);
    let mut emptied = set("old", 100, "a", 0, 2);
    let pod: Pod = serde_json::from_value(json!({
        "metadata": {"uid": "p", "deletionTimestamp": "2026-01-02T03:04:35Z",
            "ownerReferences": [{"uid": "old", "controller": true}]},
        "status": {"phase": "Running"},
    }))
    .unwrap();
    let observed = Observed {
        deployment: &deployment,
        sets: vec![&emptied],
        pods: vec![&pod],
    };
    assert_eq!(sizes(&plan(&observed, now())), [] as [&str; 0]);
    emptied.status.replicas = 0;
    assert_eq!(sizes(&planned(&deployment, &[&emptied])), ["new true 0>2"]);
}

#[test]
fn scaling_goes_to_the_only_active_set_or_is_shared_in_proportion() {
    let grown = deployment(5, "a");
    let only = set("web-a", 10, "a", 2, 2);
    let older = set("older", 100, "z", 0, 2);
    assert_eq!(sizes(&planned(&grown, &[&older, &only])), ["web-a 2>5"]);

    // In the middle of a rollout of 10, resized to 20 with a surge of 5.
    let deployment = deployment(20, "b");
    let old = set("old", 100, "a", 8, 10);
    let new = set("web-new", 10, "b", 5, 10);
    let shares = rescale(&deployment, Some(&new), &[&old]);
    assert_eq!(shares, [15, 10]);
    assert_eq!(
        sizes(&planned(&deployment, &[&old, &new])),
        ["old 8>15", "web-new 5>10"]
    );
}

#[test]
fn a_paused_deployment_rolls_nothing_out_but_is_scaled() {
    let mut deployment = deployment(4, "b");
    deployment.spec.paused = true;
    let old = set("web-a", 100, "a", 2, 2);
    let plan = planned(&deployment, &[&old]);
    assert_eq!(sizes(&plan), ["web-a 2>4"]);
    let status = plan.status.unwrap();
    let progressing = status::condition(&status, "Progressing").unwrap();
    assert_eq!(
        (progressing.reason.as_str(), progressing.status.as_str()),
        ("DeploymentPaused", "Unknown")
    );
}

#[test]
fn a_rollout_without_progress_times_out_after_its_deadline() {
    for (silent, reason, next) in [
        (60, "ReplicaSetUpdated", Some(541)),
        (601, "ProgressDeadlineExceeded", None),
    ] {
        let mut deployment = deployment(2, "a");
        let mut only = set("web-a", 10, "a", 2, 2);
        only.status.available_replicas = 0;
        only.status.ready_replicas = 0;
        let then = now() - SignedDuration::from_secs(silent);
        deployment.status = status::counted(
            &deployment,
            &deployment.status,
            std::slice::from_ref(&only),
            Some(&only),
            then,
        );
        status::set(
            &mut deployment.status,
            status::say(
                "Progressing",
                "True",
                "ReplicaSetUpdated",
                "…".to_owned(),
                then,
            ),
        );
        let plan = planned(&deployment, &[&only]);
        let status = plan.status.as_ref().unwrap_or(&deployment.status);
        let progressing = status::condition(status, "Progressing").unwrap();
        assert_eq!(progressing.reason, reason);
        assert_eq!(plan.next.map(|next| next.as_secs()), next);
    }
}

#[test]
fn a_pause_is_noted_and_ends_the_deadline_until_it_goes_on() {
    let long_ago = now() - SignedDuration::from_secs(10_000);
    for (paused, reason, expected) in [
        (
            true,
            "ReplicaSetUpdated",
            ("DeploymentPaused", "Deployment is paused"),
        ),
        (
            false,
            "DeploymentPaused",
            ("DeploymentResumed", "Deployment is resumed"),
        ),
    ] {
        let mut deployment = deployment(2, "a");
        deployment.spec.paused = paused;
        let mut only = set("web-a", 10, "a", 2, 2);
        only.status.available_replicas = 0;
        only.status.ready_replicas = 0;
        let sets = std::slice::from_ref(&only);
        deployment.status =
            status::counted(&deployment, &deployment.status, sets, Some(&only), long_ago);
        let before = status::say("Progressing", "True", reason, String::new(), long_ago);
        status::set(&mut deployment.status, before);
        let plan = planned(&deployment, &[&only]);
        let after = plan.status.unwrap();
        let progressing = status::condition(&after, "Progressing").unwrap();
        let said = (&*progressing.reason, &*progressing.message);
        assert_eq!((said, &*progressing.status), (expected, "Unknown"));
        // The deadline counts from the end of the pause.
        let next = plan.next.map(|next| next.as_secs());
        assert_eq!(next, (!paused).then_some(601));
    }
}

#[test]
fn a_failure_of_the_newest_set_is_the_deployments() {
    let mut deployment = deployment(2, "b");
    deployment.spec.progress_deadline_seconds = None;
    let failing = |name: &str, message: &str, age| {
        let mut set = set(name, age, if age == 10 { "b" } else { "a" }, 1, 2);
        set.status.conditions = serde_json::from_value(json!([
            {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message}
        ]))
        .unwrap();
        set
    };
    let (old, new) = (
        failing("old", "old fails", 100),
        failing("web-new", "new fails", 10),
    );
    let status = planned(&deployment, &[&old, &new]).status.unwrap();
    let failure = status::condition(&status, "ReplicaFailure").unwrap();
    assert_eq!(
        (&*failure.reason, &*failure.message),
        ("FailedCreate", "new fails")
    );
    assert!(status::condition(&status, "Progressing").is_none());
}

#[test]
fn scaling_down_in_a_rollout_shares_the_loss_and_zero_takes_all() {
    // Of 10 with a surge of 3, resized to 5 with a surge of 2 (7 altogether), and to 0.
    let old = set("old", 100, "a", 8, 10);
    let new = set("web-new", 10, "b", 5, 10);
    for (replicas, expected) in [(5, [4, 3]), (0, [0, 0])] {
        let deployment = deployment(replicas, "b");
        assert_eq!(rescale(&deployment, Some(&new), &[&old]), expected);
    }
}

#[test]
fn sets_without_notes_of_their_size_share_by_what_runs() {
    let mut deployment = deployment(20, "b");
    deployment.status.replicas = 13;
    let mut old = set("old", 100, "a", 8, 10);
    let mut new = set("web-new", 10, "b", 5, 10);
    for set in [&mut old, &mut new] {
        set.metadata
            .annotations
            .insert(annotations::MAX_REPLICAS.to_owned(), "0".to_owned());
    }
    assert_eq!(rescale(&deployment, Some(&new), &[&old]), [15, 10]);
}
