//! Statuses, in tables: what is observed, and what a person sees of it.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::patch::patch;
use super::*;
use crate::pod::backoff::BackOff;
use crate::pod::{Failure, Operation, Probed, Record, Refusal, Sandbox, Target};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).expect("in range")
}

fn pod(spec: Value) -> ObservedPod {
    let mut spec = spec;
    if spec["containers"].is_null() {
        spec["containers"] = json!([{"name": "c", "image": "busybox"}]);
    }
    let pod = json!({
        "metadata": {"name": "web", "namespace": "shop", "uid": "u1", "generation": 3},
        "spec": spec,
    });
    ObservedPod::new(std::sync::Arc::new(
        serde_json::from_value(pod).expect("a pod"),
    ))
}

fn sandbox() -> Sandbox {
    Sandbox {
        id: "s".into(),
        attempt: 0,
        ready: true,
        created_at: at(0),
        host_network: false,
        ips: vec!["10.244.1.5".into()],
    }
}

fn record(name: &str, attempt: u32, state: State, exit_code: i32) -> Record {
    let ended = state == State::Exited;
    Record {
        id: format!("{name}{attempt}"),
        name: name.into(),
        sandbox_id: "s".into(),
        attempt,
        state,
        created_at: at(i64::from(attempt) * 10),
        started_at: Some(at(i64::from(attempt) * 10 + 1)),
        finished_at: ended.then(|| at(i64::from(attempt) * 10 + 5)),
        exit_code,
        reason: if !ended {
            ""
        } else if exit_code == 0 {
            "Completed"
        } else {
            "Error"
        }
        .into(),
        message: String::new(),
        image: "busybox".into(),
        image_ref: "sha256:1".into(),
        hash: 0,
        log_path: String::new(),
        user: None,
    }
}

fn of(pod: &ObservedPod, old: &PodStatus, stopped: bool, now: i64) -> Value {
    let context = Context {
        host_ips: &["172.30.0.11".to_owned()],
        runtime: "ferrule",
        old,
        stopped,
    };
    serde_json::to_value(generate(pod, &context, at(now))).expect("a status")
}

fn condition<'a>(status: &'a Value, kind: &str) -> &'a Value {
    let all = status["conditions"].as_array().expect("conditions");
    all.iter()
        .find(|own| own["type"] == kind)
        .expect("the condition")
}

#[test]
fn a_pod_that_has_just_arrived_is_pending_and_says_what_it_waits_for() {
    let status = of(&pod(json!({})), &PodStatus::default(), false, 100);
    assert_eq!(status["phase"], "Pending");
    assert_eq!(status["qosClass"], "BestEffort");
    assert_eq!(status["observedGeneration"], 3);
    assert_eq!(status["hostIP"], "172.30.0.11");
    assert_eq!(status["hostIPs"], json!([{"ip": "172.30.0.11"}]));
    assert_eq!(status["startTime"], "2023-11-14T22:15:00Z");
    assert_eq!(
        status["containerStatuses"][0]["state"],
        json!({"waiting": {"reason": "ContainerCreating"}})
    );
    assert_eq!(
        condition(&status, "PodReadyToStartContainers")["status"],
        "False"
    );
    assert_eq!(condition(&status, "Initialized")["status"], "True");
    for kind in ["Ready", "ContainersReady"] {
        let own = condition(&status, kind);
        assert_eq!(
            (&own["status"], &own["reason"]),
            (&json!("False"), &json!("ContainersNotReady"))
        );
        assert_eq!(own["message"], "containers with unready status: [c]");
        assert_eq!(own["observedGeneration"], 3);
    }
    assert_eq!(condition(&status, "PodScheduled")["status"], "True");
}

#[test]
fn a_running_container_is_ready_as_its_probes_and_hooks_say() {
    let plain = json!({"containers": [{"name": "c", "image": "i"}]});
    let probed = json!({"containers": [{"name": "c", "image": "i", "startupProbe": {}, "readinessProbe": {}}]});
    let answer = |startup, readiness| Probed {
        startup,
        readiness,
        liveness: None,
    };
    let table = [
        (plain.clone(), answer(None, None), false, (true, true)),
        (plain, answer(None, None), true, (false, false)),
        (probed.clone(), answer(None, None), false, (false, false)),
        (
            probed.clone(),
            answer(Some(true), None),
            false,
            (true, false),
        ),
        (
            probed.clone(),
            answer(Some(true), Some(false)),
            false,
            (true, false),
        ),
        (probed, answer(Some(true), Some(true)), false, (true, true)),
    ];
    for (spec, answers, hook_runs, (started, ready)) in table {
        let mut pod = pod(spec);
        pod.sandboxes = vec![sandbox()];
        pod.containers = vec![record("c", 0, State::Running, 0)];
        pod.probed.insert("c0".into(), answers);
        if hook_runs {
            pod.operations.insert(
                Target::Start("c".into()),
                Operation {
                    deadline: None,
                    cancelled: false,
                },
            );
        }
        let status = of(&pod, &PodStatus::default(), false, 100);
        let own = &status["containerStatuses"][0];
        assert_eq!(
            (&own["started"], &own["ready"]),
            (&json!(started), &json!(ready)),
            "{answers:?}"
        );
        assert_eq!(own["containerID"], "ferrule://c0");
        assert_eq!(own["imageID"], "sha256:1");
        assert_eq!(status["phase"], "Running");
        assert_eq!(status["podIP"], "10.244.1.5");
        assert_eq!(
            condition(&status, "Ready")["status"],
            if ready { "True" } else { "False" }
        );
        assert_eq!(
            condition(&status, "PodReadyToStartContainers")["status"],
            "True"
        );
    }
}

#[test]
fn phases_follow_restart_policies_and_exit_codes() {
    type Row = (&'static str, Vec<(State, i32)>, &'static str);
    let table: [Row; 9] = [
        (
            "Always",
            vec![(State::Running, 0), (State::Running, 0)],
            "Running",
        ),
        (
            "Always",
            vec![(State::Exited, 0), (State::Exited, 1)],
            "Running",
        ),
        (
            "OnFailure",
            vec![(State::Exited, 0), (State::Exited, 0)],
            "Succeeded",
        ),
        (
            "OnFailure",
            vec![(State::Exited, 0), (State::Exited, 1)],
            "Running",
        ),
        (
            "Never",
            vec![(State::Exited, 0), (State::Exited, 0)],
            "Succeeded",
        ),
        (
            "Never",
            vec![(State::Exited, 0), (State::Exited, 3)],
            "Failed",
        ),
        (
            "Never",
            vec![(State::Exited, 3), (State::Running, 0)],
            "Running",
        ),
        (
            "Never",
            vec![(State::Created, 0), (State::Running, 0)],
            "Pending",
        ),
        ("Always", vec![(State::Running, 0)], "Pending"),
    ];
    for (policy, states, phase) in table {
        let mut pod = pod(
            json!({"restartPolicy": policy, "containers": [{"name": "a", "image": "i"}, {"name": "b", "image": "i"}]}),
        );
        pod.sandboxes = vec![sandbox()];
        let named = states.iter().zip(["a", "b"]);
        pod.containers = named
            .map(|((state, code), name)| record(name, 0, *state, *code))
            .collect();
        let status = of(&pod, &PodStatus::default(), false, 100);
        assert_eq!(status["phase"], phase, "{policy} {states:?}");
        match phase {
            "Succeeded" => assert_eq!(condition(&status, "Ready")["reason"], "PodCompleted"),
            "Failed" => assert_eq!(condition(&status, "Ready")["reason"], "PodFailed"),
            _ => {}
        }
    }
}

#[test]
fn a_crashing_container_says_how_long_it_waits_and_how_it_ended() {
    let mut pod = pod(json!({}));
    pod.sandboxes = vec![sandbox()];
    pod.containers = vec![
        record("c", 1, State::Exited, 7),
        record("c", 0, State::Exited, 7),
    ];
    pod.backoff.insert(
        "c".into(),
        BackOff {
            delay: Duration::from_secs(20),
            since: at(5),
        },
    );
    let status = of(&pod, &PodStatus::default(), false, 20);
    let own = &status["containerStatuses"][0];
    assert_eq!(own["state"]["waiting"]["reason"], "CrashLoopBackOff");
    assert_eq!(
        own["state"]["waiting"]["message"],
        "back-off 20s restarting failed container=c pod=web_shop(u1)"
    );
    assert_eq!(own["lastState"]["terminated"]["exitCode"], 7);
    assert_eq!(
        own["lastState"]["terminated"]["containerID"],
        "ferrule://c1"
    );
    assert_eq!(own["restartCount"], 1);
    assert_eq!(status["phase"], "Running");
    assert_eq!(
        of(&pod, &PodStatus::default(), false, 60)["containerStatuses"][0]["state"]["terminated"]["exitCode"],
        7
    );
}

#[test]
fn a_failed_start_is_a_reason_to_wait() {
    let mut pod = pod(json!({"initContainers": [{"name": "i", "image": "x"}]}));
    pod.sandboxes = vec![sandbox()];
    let failure = Failure {
        reason: "CreateContainerConfigError".into(),
        message: "configmap \"x\" not found".into(),
        retry_at: at(200),
    };
    pod.failures.insert("i".into(), failure);
    let status = of(&pod, &PodStatus::default(), false, 100);
    let waiting = &status["initContainerStatuses"][0]["state"]["waiting"];
    assert_eq!(
        waiting,
        &json!({"reason": "CreateContainerConfigError", "message": "configmap \"x\" not found"})
    );
    assert_eq!(
        status["containerStatuses"][0]["state"]["waiting"]["reason"],
        "PodInitializing"
    );
    let own = condition(&status, "Initialized");
    assert_eq!(own["reason"], "ContainersNotInitialized");
    assert_eq!(own["message"], "containers with incomplete status: [i]");
}

#[test]
fn readiness_gates_hold_a_ready_pod_back() {
    for (conditions, message) in [
        (
            json!([]),
            Some("corresponding condition of pod readiness gate \"lb\" does not exist."),
        ),
        (
            json!([{"type": "lb", "status": "False"}]),
            Some("the status of pod readiness gate \"lb\" is not \"True\", but False"),
        ),
        (json!([{"type": "lb", "status": "True"}]), None),
    ] {
        let mut pod = pod(json!({"readinessGates": [{"conditionType": "lb"}]}));
        let mut object = (*pod.pod).clone();
        object.status =
            serde_json::from_value(json!({"conditions": conditions})).expect("a status");
        pod.pod = std::sync::Arc::new(object);
        pod.sandboxes = vec![sandbox()];
        pod.containers = vec![record("c", 0, State::Running, 0)];
        let status = of(&pod, &PodStatus::default(), false, 100);
        let ready = condition(&status, "Ready");
        assert_eq!(ready["message"].as_str(), message);
        assert_eq!(
            ready["reason"].as_str(),
            message.map(|_| "ReadinessGatesNotReady")
        );
        assert_eq!(condition(&status, "ContainersReady")["status"], "True");
    }
}

#[test]
fn what_has_ended_stays_ended_when_its_records_are_gone() {
    let mut pod = pod(json!({"restartPolicy": "Never"}));
    pod.sandboxes = vec![sandbox()];
    pod.containers = vec![record("c", 0, State::Exited, 3)];
    let context = Context {
        host_ips: &[],
        runtime: "ferrule",
        old: &PodStatus::default(),
        stopped: true,
    };
    let old = generate(&pod, &context, at(100));
    (pod.containers, pod.sandboxes) = (Vec::new(), Vec::new());
    let status = of(&pod, &old, true, 200);
    assert_eq!(status["phase"], "Failed");
    assert_eq!(
        status["containerStatuses"][0]["state"]["terminated"]["exitCode"],
        3
    );
    assert_eq!(status["podIP"], "10.244.1.5");
}

#[test]
fn a_pod_that_is_stopped_before_it_ran_has_failed() {
    let status = of(&pod(json!({})), &PodStatus::default(), true, 100);
    assert_eq!(status["phase"], "Failed");
    let terminated = &status["containerStatuses"][0]["state"]["terminated"];
    assert_eq!(terminated["reason"], "ContainerStatusUnknown");
    assert_eq!(terminated["exitCode"], 137);
}

#[test]
fn containers_behind_a_failed_init_container_never_had_their_turn() {
    let mut pod = pod(json!({
        "restartPolicy": "Never",
        "initContainers": [{"name": "i1", "image": "busybox"}, {"name": "i2", "image": "busybox"}],
    }));
    pod.containers = vec![record("i1", 0, State::Exited, 9)];
    for stopped in [false, true] {
        let status = of(&pod, &PodStatus::default(), stopped, 100);
        assert_eq!(status["phase"], "Failed");
        let init = &status["initContainerStatuses"];
        assert_eq!(init[0]["state"]["terminated"]["exitCode"], 9);
        for waits in [&init[1], &status["containerStatuses"][0]] {
            assert_eq!(waits["state"]["waiting"]["reason"], "PodInitializing");
        }
        let initialized = condition(&status, "Initialized");
        assert_eq!(initialized["status"], "False");
        assert_eq!(
            initialized["message"],
            "containers with incomplete status: [i1 i2]"
        );
    }
}

#[test]
fn a_refused_pod_and_one_that_ran_too_long_say_why() {
    let mut refused = pod(json!({}));
    refused.refusal = Some(Refusal {
        reason: "OutOfcpu".into(),
        message: "Node didn't have enough resource: cpu".into(),
    });
    let status = of(&refused, &PodStatus::default(), false, 100);
    assert_eq!(status["phase"], "Failed");
    assert_eq!(status["reason"], "OutOfcpu");
    assert_eq!(
        status["message"],
        "Pod was rejected: Node didn't have enough resource: cpu"
    );

    let mut late = pod(json!({"activeDeadlineSeconds": 10}));
    let mut object = (*late.pod).clone();
    object.status =
        serde_json::from_value(json!({"startTime": at(0).to_string()})).expect("a status");
    late.pod = std::sync::Arc::new(object);
    late.sandboxes = vec![sandbox()];
    late.containers = vec![record("c", 0, State::Running, 0)];
    let status = of(&late, &PodStatus::default(), false, 11);
    assert_eq!(
        (&status["phase"], &status["reason"]),
        (&json!("Failed"), &json!("DeadlineExceeded"))
    );
}

#[test]
fn conditions_keep_the_time_of_their_last_change() {
    let mut pod = pod(json!({}));
    pod.sandboxes = vec![sandbox()];
    pod.containers = vec![record("c", 0, State::Running, 0)];
    let context = Context {
        host_ips: &[],
        runtime: "r",
        old: &PodStatus::default(),
        stopped: false,
    };
    let first = generate(&pod, &context, at(100));
    pod.containers = vec![record("c", 0, State::Exited, 1)];
    let second = of(&pod, &first, false, 200);
    let time = |kind: &str| condition(&second, kind)["lastTransitionTime"].clone();
    assert_eq!(time("PodScheduled"), json!(at(100).to_string()));
    assert_eq!(time("Ready"), json!(at(200).to_string()));
}

#[test]
fn a_patch_touches_only_what_changed_and_is_ours() {
    let status = |value: Value| -> PodStatus { serde_json::from_value(value).expect("a status") };
    let old = status(json!({
        "phase": "Running", "reason": "X", "podIPs": [{"ip": "10.0.0.1"}], "nominatedNodeName": "n",
        "conditions": [{"type": "Ready", "status": "False", "reason": "R", "message": "m"}, {"type": "lb", "status": "True"}],
    }));
    assert_eq!(patch("u", &old, &old), None);
    let new = status(json!({
        "phase": "Running", "podIPs": [{"ip": "10.0.0.2"}],
        "conditions": [{"type": "lb", "status": "False"}, {"type": "Ready", "status": "True"}],
    }));
    assert_eq!(
        patch("u", &old, &new),
        Some(json!({
            "metadata": {"uid": "u"},
            "status": {
                "reason": null,
                "podIPs": [{"$patch": "replace"}, {"ip": "10.0.0.2"}],
                "conditions": [{"type": "Ready", "status": "True", "reason": null, "message": null}],
            }
        }))
    );
}
