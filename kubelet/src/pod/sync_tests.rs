//! The decision about a pod, in tables.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::pod::backoff::BackOff;
use crate::pod::{Failure, Operation, Probed};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).expect("in range")
}

const IDLE: Operation = Operation {
    deadline: None,
    cancelled: false,
};

fn pod(spec: Value) -> ObservedPod {
    let mut spec = spec;
    if spec["containers"].is_null() {
        spec["containers"] = json!([{"name": "c", "image": "busybox"}]);
    }
    let pod = json!({"metadata": {"name": "web", "namespace": "shop", "uid": "u1"}, "spec": spec});
    let mut pod = ObservedPod::new(Arc::new(serde_json::from_value(pod).expect("a pod")));
    pod.volumes = Volumes::Ready;
    pod.sandboxes = vec![sandbox("s0", 0, true)];
    pod
}

fn with_status(pod: &mut ObservedPod, status: Value) {
    let mut object = (*pod.pod).clone();
    object.status = serde_json::from_value(status).expect("a status");
    pod.pod = Arc::new(object);
}

fn sandbox(id: &str, attempt: u32, ready: bool) -> Sandbox {
    Sandbox {
        id: id.into(),
        attempt,
        ready,
        created_at: at(0),
        host_network: false,
        ips: vec!["10.244.1.5".into()],
    }
}

fn record(name: &str, attempt: u32, state: State, exit_code: i32) -> Record {
    Record {
        id: format!("{name}{attempt}"),
        name: name.into(),
        sandbox_id: "s0".into(),
        attempt,
        state,
        created_at: at(i64::from(attempt)),
        started_at: Some(at(i64::from(attempt))),
        finished_at: (state == State::Exited).then(|| at(50)),
        exit_code,
        reason: String::new(),
        message: String::new(),
        image: String::new(),
        image_ref: String::new(),
        hash: 0,
        log_path: String::new(),
        user: None,
    }
}

fn running(name: &str) -> Record {
    record(name, 0, State::Running, 0)
}

fn exited(name: &str, code: i32) -> Record {
    record(name, 0, State::Exited, code)
}

fn start(name: &str, attempt: u32) -> Action {
    Action::StartContainer {
        name: name.into(),
        attempt,
        sandbox_id: "s0".into(),
        replaces: None,
    }
}

fn kill(name: &str, reason: KillReason, seconds: u64) -> Action {
    Action::KillContainer {
        id: format!("{name}0"),
        name: name.into(),
        reason,
        grace: Duration::from_secs(seconds),
    }
}

fn stop_sandbox(recreate: bool) -> Action {
    Action::StopSandbox {
        id: "s0".into(),
        recreate,
    }
}

fn run_at(pod: &ObservedPod, now: i64) -> Vec<Action> {
    sync(&Desired::Run, pod, at(now))
}

#[test]
fn a_new_pod_gets_volumes_then_a_sandbox_then_its_containers() {
    let mut new = pod(json!({}));
    (new.volumes, new.sandboxes) = (Volumes::Pending, Vec::new());
    assert_eq!(run_at(&new, 0), [Action::MountVolumes]);
    new.operations.insert(Target::Volumes, IDLE);
    assert_eq!(run_at(&new, 0), []);
    new.operations.clear();
    new.volumes = Volumes::Failed(at(10));
    assert_eq!(run_at(&new, 0), [Action::WakeAt(at(10))]);
    assert_eq!(run_at(&new, 10), [Action::MountVolumes]);
    new.volumes = Volumes::Ready;
    assert_eq!(run_at(&new, 0), [Action::CreateSandbox { attempt: 0 }]);
    new.operations.insert(Target::Sandbox, IDLE);
    assert_eq!(run_at(&new, 0), []);
    new.operations.clear();
    new.sandbox_retry_at = Some(at(5));
    assert_eq!(run_at(&new, 0), [Action::WakeAt(at(5))]);
    new.sandboxes = vec![sandbox("s0", 0, true)];
    assert_eq!(run_at(&new, 0), [start("c", 0)]);
    new.operations.insert(Target::Start("c".into()), IDLE);
    assert_eq!(run_at(&new, 0), []);
    new.operations.clear();
    new.containers = vec![running("c")];
    assert_eq!(run_at(&new, 0), []);
}

#[test]
fn init_containers_run_one_by_one_and_sidecars_stay() {
    let spec = json!({
        "initContainers": [
            {"name": "a", "image": "i"},
            {"name": "side", "image": "i", "restartPolicy": "Always", "startupProbe": {}},
            {"name": "b", "image": "i"},
        ],
        "containers": [{"name": "c", "image": "i"}, {"name": "d", "image": "i"}],
    });
    let side_started = Probed {
        startup: Some(true),
        ..Probed::default()
    };
    let table: [(Vec<Record>, bool, Vec<Action>); 8] = [
        (vec![], false, vec![start("a", 0)]),
        (vec![running("a")], false, vec![]),
        (vec![exited("a", 0)], false, vec![start("side", 0)]),
        (vec![exited("a", 0), running("side")], false, vec![]),
        (
            vec![exited("a", 0), running("side")],
            true,
            vec![start("b", 0)],
        ),
        (
            vec![exited("a", 0), running("side"), running("b")],
            true,
            vec![],
        ),
        (
            vec![exited("a", 0), running("side"), exited("b", 0)],
            true,
            vec![start("c", 0), start("d", 0)],
        ),
        // Once a main container has run, a sidecar comes back without beginning again.
        (
            vec![
                exited("a", 0),
                exited("side", 0),
                exited("b", 0),
                running("c"),
                running("d"),
            ],
            true,
            vec![start("side", 1)],
        ),
    ];
    for (records, started, expected) in table {
        let mut pod = pod(spec.clone());
        pod.containers = records.clone();
        if started {
            pod.probed.insert("side0".into(), side_started);
        }
        assert_eq!(run_at(&pod, 100), expected, "{records:?}");
    }
}

#[test]
fn a_failed_init_container_is_restarted_or_ends_the_pod() {
    for (policy, expected) in [
        ("Always", vec![start("a", 1)]),
        ("OnFailure", vec![start("a", 1)]),
        ("Never", vec![stop_sandbox(false)]),
    ] {
        let mut pod =
            pod(json!({"restartPolicy": policy, "initContainers": [{"name": "a", "image": "i"}]}));
        pod.containers = vec![exited("a", 1)];
        assert_eq!(run_at(&pod, 100), expected, "{policy}");
    }
}

#[test]
fn restart_policies_decide_by_exit_code() {
    for (policy, code, restarts) in [
        ("Always", 0, true),
        ("Always", 1, true),
        ("OnFailure", 0, false),
        ("OnFailure", 1, true),
        ("Never", 0, false),
        ("Never", 1, false),
    ] {
        let mut pod = pod(
            json!({"restartPolicy": policy, "containers": [{"name": "c", "image": "i"}, {"name": "d", "image": "i"}]}),
        );
        pod.containers = vec![exited("c", code), running("d")];
        let expected = if restarts {
            vec![start("c", 1)]
        } else {
            vec![]
        };
        assert_eq!(run_at(&pod, 100), expected, "{policy} {code}");
    }
}

#[test]
fn a_pod_whose_containers_have_all_ended_for_good_is_stopped_and_kept() {
    let mut pod = pod(json!({"restartPolicy": "Never"}));
    pod.containers = vec![exited("c", 3)];
    assert_eq!(run_at(&pod, 100), [stop_sandbox(false)]);
    pod.sandboxes = vec![sandbox("s0", 0, false)];
    assert_eq!(run_at(&pod, 100), []);
}

#[test]
fn a_crashing_container_waits_for_its_back_off() {
    let mut pod = pod(json!({}));
    pod.containers = vec![exited("c", 1)];
    pod.backoff.insert(
        "c".into(),
        BackOff {
            delay: Duration::from_secs(20),
            since: at(40),
        },
    );
    assert_eq!(
        run_at(&pod, 60),
        [
            Action::ReportBackOff { name: "c".into() },
            Action::WakeAt(at(70))
        ]
    );
    assert_eq!(run_at(&pod, 70), [start("c", 1)]);
}

#[test]
fn a_failed_start_is_tried_again_at_its_time() {
    let mut pod = pod(json!({}));
    let failure = Failure {
        reason: "ErrImagePull".into(),
        message: String::new(),
        retry_at: at(10),
    };
    pod.failures.insert("c".into(), failure);
    assert_eq!(run_at(&pod, 5), [Action::WakeAt(at(10))]);
    assert_eq!(run_at(&pod, 10), [start("c", 0)]);
    pod.containers = vec![record("c", 2, State::Created, 0)];
    let again = Action::StartContainer {
        name: "c".into(),
        attempt: 2,
        sandbox_id: "s0".into(),
        replaces: Some("c2".into()),
    };
    assert_eq!(
        run_at(&pod, 10),
        [again],
        "a container that never started is replaced, and no restart is counted"
    );
}

#[test]
fn failed_probes_and_changed_definitions_kill() {
    let probe = json!({"terminationGracePeriodSeconds": 7});
    let spec = json!({"terminationGracePeriodSeconds": 20, "containers": [{"name": "c", "image": "i", "livenessProbe": probe, "startupProbe": {}}]});
    let table = [
        (
            Probed {
                startup: Some(true),
                liveness: Some(true),
                readiness: Some(false),
            },
            0,
            vec![],
        ),
        (
            Probed {
                startup: Some(true),
                liveness: Some(false),
                readiness: None,
            },
            0,
            vec![kill("c", KillReason::Liveness, 7)],
        ),
        (
            Probed {
                startup: Some(false),
                liveness: None,
                readiness: None,
            },
            0,
            vec![kill("c", KillReason::Startup, 20)],
        ),
        (
            Probed::default(),
            42,
            vec![kill("c", KillReason::Changed, 20)],
        ),
    ];
    for (probed, hash, expected) in table {
        let mut pod = pod(spec.clone());
        pod.containers = vec![Record {
            hash,
            ..running("c")
        }];
        pod.probed.insert("c0".into(), probed);
        assert_eq!(run_at(&pod, 100), expected);
        pod.operations.insert(Target::Kill("c0".into()), IDLE);
        assert_eq!(run_at(&pod, 100), [], "nothing is killed twice");
    }
}

#[test]
fn a_lost_sandbox_is_stopped_replaced_and_init_containers_run_again() {
    let mut pod = pod(json!({"initContainers": [{"name": "a", "image": "i"}]}));
    pod.containers = vec![running("c"), exited("a", 0)];
    pod.sandboxes = vec![sandbox("s0", 0, false)];
    assert_eq!(run_at(&pod, 100), [stop_sandbox(true)]);
    pod.containers = vec![exited("c", 137), exited("a", 0)];
    assert_eq!(run_at(&pod, 100), [Action::CreateSandbox { attempt: 1 }]);
    pod.sandboxes = vec![sandbox("s1", 1, true), sandbox("s0", 0, false)];
    let again = Action::StartContainer {
        name: "a".into(),
        attempt: 1,
        sandbox_id: "s1".into(),
        replaces: None,
    };
    assert_eq!(run_at(&pod, 100), [again]);
}

#[test]
fn a_sandbox_is_not_replaced_for_containers_that_never_restart() {
    let mut pod = pod(json!({"restartPolicy": "Never"}));
    pod.containers = vec![exited("c", 137)];
    pod.sandboxes = vec![sandbox("s0", 0, false)];
    assert_eq!(run_at(&pod, 100), []);
}

#[test]
fn a_sandbox_without_address_or_with_the_wrong_network_does_not_count() {
    let mut pod = pod(json!({}));
    pod.sandboxes[0].ips.clear();
    assert_eq!(run_at(&pod, 0), [stop_sandbox(true)]);
    let mut pod = self::pod(json!({"hostNetwork": true}));
    assert_eq!(run_at(&pod, 0), [stop_sandbox(true)]);
    (pod.sandboxes[0].host_network, pod.sandboxes[0].ips) = (true, Vec::new());
    assert_eq!(run_at(&pod, 0), [start("c", 0)]);
}

#[test]
fn restarts_are_counted_on_from_the_object_when_the_runtime_forgot() {
    let mut pod = pod(json!({}));
    let status = |state: Value| json!({"containerStatuses": [{"name": "c", "image": "i", "imageID": "", "ready": true, "restartCount": 4, "state": state}]});
    with_status(&mut pod, status(json!({"running": {}})));
    assert_eq!(run_at(&pod, 0), [start("c", 5)]);
    with_status(&mut pod, status(json!({"waiting": {}})));
    assert_eq!(run_at(&pod, 0), [start("c", 4)]);
}

#[test]
fn what_has_ended_by_its_object_is_never_started_again() {
    for phase in ["Succeeded", "Failed"] {
        let mut pod = pod(json!({}));
        with_status(&mut pod, json!({"phase": phase}));
        pod.sandboxes.clear();
        assert_eq!(run_at(&pod, 0), []);
    }
}

#[test]
fn a_pod_that_ran_long_enough_is_stopped() {
    let mut pod = pod(json!({"activeDeadlineSeconds": 60, "terminationGracePeriodSeconds": 5}));
    with_status(&mut pod, json!({"startTime": at(0).to_string()}));
    pod.containers = vec![running("c")];
    assert_eq!(run_at(&pod, 59), [Action::WakeAt(at(60))]);
    assert_eq!(run_at(&pod, 60), [kill("c", KillReason::Stopping, 5)]);
}

#[test]
fn old_attempts_are_removed_and_the_last_two_are_kept() {
    let mut pod = pod(json!({}));
    let old = |attempt| record("c", attempt, State::Exited, 1);
    pod.containers = vec![record("c", 3, State::Running, 0), old(2), old(1), old(0)];
    let remove = |id: &str| Action::RemoveContainer { id: id.into() };
    assert_eq!(run_at(&pod, 100), [remove("c1"), remove("c0")]);
    pod.containers.truncate(2);
    pod.sandboxes.push(sandbox("old", 0, false));
    assert_eq!(
        run_at(&pod, 100),
        [Action::RemoveSandbox { id: "old".into() }]
    );
}

#[test]
fn a_pod_ends_main_containers_first_then_sidecars_from_the_last_to_the_first() {
    let mut pod = pod(json!({
        "initContainers": [{"name": "x", "image": "i", "restartPolicy": "Always"}, {"name": "y", "image": "i", "restartPolicy": "Always"}],
        "containers": [{"name": "c", "image": "i"}, {"name": "d", "image": "i"}],
    }));
    let desired = Desired::Terminate { deadline: at(30) };
    let stop = |name: &str, now: u64| kill(name, KillReason::Stopping, 30 - now);
    pod.containers = vec![running("c"), running("d"), running("y"), running("x")];
    assert_eq!(sync(&desired, &pod, at(0)), [stop("c", 0), stop("d", 0)]);
    pod.operations.insert(
        Target::Kill("d0".into()),
        Operation {
            deadline: Some(at(30)),
            cancelled: false,
        },
    );
    pod.containers[0] = exited("c", 0);
    assert_eq!(
        sync(&desired, &pod, at(5)),
        [],
        "the other one has the whole grace"
    );
    pod.operations.clear();
    pod.containers[1] = exited("d", 0);
    assert_eq!(sync(&desired, &pod, at(10)), [stop("y", 10)]);
    pod.containers[2] = exited("y", 0);
    assert_eq!(sync(&desired, &pod, at(12)), [stop("x", 12)]);
}

#[test]
fn a_shorter_grace_hurries_a_kill_that_is_under_way() {
    let mut pod = pod(json!({}));
    pod.containers = vec![running("c")];
    pod.operations.insert(
        Target::Kill("c0".into()),
        Operation {
            deadline: Some(at(30)),
            cancelled: false,
        },
    );
    assert_eq!(
        sync(&Desired::Terminate { deadline: at(30) }, &pod, at(1)),
        []
    );
    assert_eq!(
        sync(&Desired::Terminate { deadline: at(1) }, &pod, at(1)),
        [kill("c", KillReason::Stopping, 0)]
    );
}

#[test]
fn the_object_goes_only_after_containers_sandbox_volumes_and_control_groups() {
    for (desired, last) in [
        (
            Desired::Terminate { deadline: at(30) },
            Action::DeleteObject,
        ),
        (Desired::Gone { deadline: at(30) }, Action::Forget),
    ] {
        let mut pod = pod(json!({}));
        let next = |pod: &ObservedPod| sync(&desired, pod, at(0));
        (pod.leftovers.volumes, pod.leftovers.cgroups) = (true, true);
        pod.operations.insert(Target::Start("c".into()), IDLE);
        assert_eq!(next(&pod), [Action::CancelStart { name: "c".into() }]);
        pod.operations.insert(
            Target::Start("c".into()),
            Operation {
                deadline: None,
                cancelled: true,
            },
        );
        assert_eq!(next(&pod), []);
        pod.operations.clear();
        pod.containers = vec![running("c")];
        assert_eq!(next(&pod), [kill("c", KillReason::Stopping, 30)]);
        pod.containers = vec![exited("c", 0)];
        assert_eq!(next(&pod), [stop_sandbox(false)]);
        pod.sandboxes = vec![sandbox("s0", 0, false)];
        assert_eq!(next(&pod), [Action::RemoveContainer { id: "c0".into() }]);
        pod.containers.clear();
        assert_eq!(next(&pod), [Action::RemoveSandbox { id: "s0".into() }]);
        pod.sandboxes.clear();
        assert_eq!(next(&pod), [Action::Clean]);
        pod.leftovers.volumes = false;
        assert_eq!(next(&pod), [Action::Clean]);
        pod.leftovers.cgroups = false;
        assert_eq!(next(&pod), [last]);
    }
}
