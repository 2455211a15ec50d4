//! The rules of pods, in tables.

use serde_json::{Value, json};

use super::Pod;
use crate::resources::Rules;
use crate::resources::pod::requests::qos_class;
use crate::resources::tests::{context, lines, with};
use crate::resources::tree::Tree;

/// A pod as it is after defaults.
fn pod() -> Value {
    let mut pod = json!({
        "metadata": { "name": "p", "namespace": "default" },
        "spec": { "containers": [{ "name": "c", "image": "nginx" }], "serviceAccountName": "default" },
    });
    Pod.default(&mut pod);
    pod
}

#[test]
fn a_pod_of_one_image_is_filled_in() {
    let mut pod = pod();
    Pod.prepare_create(&mut pod, &context());
    let expected = json!({
        "metadata": { "name": "p", "namespace": "default", "generation": 1 },
        "spec": {
            "containers": [{
                "name": "c", "image": "nginx", "imagePullPolicy": "Always", "resources": {},
                "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
            }],
            "dnsPolicy": "ClusterFirst", "enableServiceLinks": true, "restartPolicy": "Always",
            "schedulerName": "default-scheduler", "securityContext": {}, "serviceAccount": "default",
            "serviceAccountName": "default", "terminationGracePeriodSeconds": 30,
        },
        "status": { "phase": "Pending", "qosClass": "BestEffort" },
    });
    assert_eq!(pod, expected);
    assert!(Pod.validate_create(&pod, &context()).is_empty());
}

#[test]
fn images_are_pulled_always_only_by_the_latest_tag() {
    let cases = [
        ("nginx", "Always"),
        ("nginx:latest", "Always"),
        ("registry.example:5000/team/web", "Always"),
        ("nginx:1.27", "IfNotPresent"),
        ("registry.example:5000/team/web:v1", "IfNotPresent"),
        ("nginx@sha256:aaaa", "IfNotPresent"),
        ("nginx:latest@sha256:aaaa", "Always"),
    ];
    for (image, policy) in cases {
        let mut pod = json!({ "spec": { "containers": [{ "image": image }] } });
        Pod.default(&mut pod);
        assert_eq!(
            pod["spec"]["containers"][0]["imagePullPolicy"], policy,
            "{image}"
        );
    }
}

#[test]
fn limits_are_requested_unless_the_container_says_otherwise() {
    let resources =
        json!({ "limits": { "cpu": "1", "memory": "1Gi" }, "requests": { "cpu": "100m" } });
    let mut pod = json!({ "spec": { "containers": [{ "resources": resources }] } });
    Pod.default(&mut pod);
    let requests = &pod["spec"]["containers"][0]["resources"]["requests"];
    assert_eq!(*requests, json!({ "cpu": "100m", "memory": "1Gi" }));
}

#[test]
fn on_the_hosts_network_ports_are_the_hosts() {
    let mut pod = json!({ "spec": { "hostNetwork": true, "containers": [{ "ports": [{ "containerPort": 80 }] }] } });
    Pod.default(&mut pod);
    let expected = json!({ "containerPort": 80, "hostPort": 80, "protocol": "TCP" });
    assert_eq!(pod["spec"]["containers"][0]["ports"][0], expected);
}

#[test]
fn a_bad_field_is_told_in_upstreams_words() {
    let label = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and \
                 end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
                 '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
    let container_name = format!("spec.containers[0].name: Invalid value: \"A\": {label}");
    let volume = |source: Value| json!([source]);
    let cases: [(&str, Value, &[&str]); 24] = [
        (
            "spec.containers",
            json!([]),
            &["spec.containers: Required value"],
        ),
        (
            "spec.containers.0.name",
            json!(""),
            &["spec.containers[0].name: Required value"],
        ),
        ("spec.containers.0.name", json!("A"), &[&container_name]),
        (
            "spec.containers.0.image",
            json!(""),
            &["spec.containers[0].image: Required value"],
        ),
        (
            "spec.containers.0.image",
            json!(" x"),
            &[
                "spec.containers[0].image: Invalid value: \" x\": must not have leading or trailing whitespace",
            ],
        ),
        (
            "spec.restartPolicy",
            json!("Sometimes"),
            &[
                "spec.restartPolicy: Unsupported value: \"Sometimes\": supported values: \"Always\", \"OnFailure\", \"Never\"",
            ],
        ),
        (
            "spec.dnsPolicy",
            json!("None"),
            &["spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None"],
        ),
        (
            "spec.activeDeadlineSeconds",
            json!(0),
            &[
                "spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive",
            ],
        ),
        (
            "spec.containers.0.resources",
            json!({ "limits": { "cpu": "1" }, "requests": { "cpu": "2" } }),
            &[
                "spec.containers[0].resources.requests: Invalid value: \"2\": must be less than or equal to cpu limit of 1",
            ],
        ),
        (
            "spec.containers.0.resources",
            json!({ "requests": { "gpu": "1" } }),
            &[
                "spec.containers[0].resources.requests[gpu]: Invalid value: \"gpu\": must be a standard resource type or fully qualified",
                "spec.containers[0].resources.requests[gpu]: Invalid value: \"gpu\": must be a standard resource for containers",
            ],
        ),
        (
            "spec.containers.0.resources",
            json!({ "requests": { "example.com/gpu": "1" } }),
            &[
                "spec.containers[0].resources.limits: Required value: Limit must be set for non overcommitable resources",
            ],
        ),
        (
            "spec.containers.0.ports",
            json!([{ "containerPort": 70000, "protocol": "TCP" }]),
            &[
                "spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive",
            ],
        ),
        (
            "spec.containers.0.ports",
            json!([
                { "containerPort": 80, "hostPort": 80, "protocol": "TCP" },
                { "containerPort": 81, "hostPort": 80, "protocol": "TCP" },
            ]),
            &["spec.containers[0].ports[1].hostPort: Duplicate value: \"TCP//80\""],
        ),
        (
            "spec.containers.0.volumeMounts",
            json!([{ "name": "nope", "mountPath": "/x" }]),
            &["spec.containers[0].volumeMounts[0].name: Not found: \"nope\""],
        ),
        (
            "spec.volumes",
            volume(json!({ "name": "v", "emptyDir": {}, "hostPath": { "path": "/" } })),
            &["spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type"],
        ),
        (
            "spec.volumes",
            volume(
                json!({ "name": "v", "configMap": { "name": "c", "items": [{ "key": "k", "path": "../x" }] } }),
            ),
            &[
                "spec.volumes[0].configMap.items[0].path: Invalid value: \"../x\": must not contain '..'",
            ],
        ),
        (
            "spec.containers.0.env",
            json!([{ "name": "A", "valueFrom": { "fieldRef": { "apiVersion": "v1", "fieldPath": "spec.nothing" } } }]),
            &[
                "spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Invalid value: \"spec.nothing\": error converting fieldPath: field label not supported: spec.nothing",
            ],
        ),
        (
            "spec.containers.0.livenessProbe",
            json!({ "exec": { "command": ["x"] }, "tcpSocket": { "port": 1 }, "successThreshold": 2 }),
            &[
                "spec.containers[0].livenessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type",
                "spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1",
            ],
        ),
        (
            "spec.tolerations",
            json!([{ "key": "a", "effect": "Nope" }]),
            &[
                "spec.tolerations[0].effect: Unsupported value: \"Nope\": supported values: \"NoSchedule\", \"PreferNoSchedule\", \"NoExecute\"",
            ],
        ),
        (
            "spec.topologySpreadConstraints",
            json!([{ "maxSkew": 0, "topologyKey": "a", "whenUnsatisfiable": "ScheduleAnyway", "minDomains": 1 }]),
            &[
                "spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero",
                "spec.topologySpreadConstraints[0].minDomains: Invalid value: 1: can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ScheduleAnyway",
            ],
        ),
        (
            "spec.securityContext.runAsUser",
            json!(-1),
            &[
                "spec.securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive",
            ],
        ),
        (
            "spec.containers.0.securityContext",
            json!({ "privileged": true, "allowPrivilegeEscalation": false }),
            &[
                r#"spec.containers[0].securityContext: Invalid value: {"Capabilities":null,"Privileged":true,"SELinuxOptions":null,"WindowsOptions":null,"RunAsUser":null,"RunAsGroup":null,"RunAsNonRoot":null,"ReadOnlyRootFilesystem":null,"AllowPrivilegeEscalation":false,"ProcMount":null,"SeccompProfile":null,"AppArmorProfile":null}: cannot set `allowPrivilegeEscalation` to false and `privileged` to true"#,
            ],
        ),
        (
            "spec.hostAliases",
            json!([{ "ip": "999.1.1.1", "hostnames": ["a"] }]),
            &[
                "spec.hostAliases[0].ip: Invalid value: \"999.1.1.1\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
            ],
        ),
        (
            "spec.ephemeralContainers",
            json!([{
                "name": "e", "image": "x", "imagePullPolicy": "Always", "terminationMessagePolicy": "File",
                "ports": [{ "containerPort": 1, "protocol": "TCP" }],
            }]),
            &[
                "spec.ephemeralContainers[0].ports: Forbidden: cannot be set for an Ephemeral Container",
                "spec.ephemeralContainers: Forbidden: cannot be set on create",
            ],
        ),
    ];
    for (path, value, expected) in cases {
        let pod = with(pod(), path, value);
        assert_eq!(
            lines(Pod.validate_create(&pod, &context())),
            expected,
            "{path}"
        );
    }
}

#[test]
fn an_image_may_change_and_nothing_else_of_a_container() {
    let old = pod();
    let image = with(old.clone(), "spec.containers.0.image", json!("nginx:2"));
    assert!(Pod.validate_update(&image, &old, &context()).is_empty());
    let errors = lines(Pod.validate_update(
        &with(image, "spec.restartPolicy", json!("Never")),
        &old,
        &context(),
    ));
    let expected = "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,\
`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),\
`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)
@@ -35,7 +35,7 @@
   }
  ],
  \"EphemeralContainers\": null,
- \"RestartPolicy\": \"Always\",
+ \"RestartPolicy\": \"Never\",
  \"TerminationGracePeriodSeconds\": 30,
  \"ActiveDeadlineSeconds\": null,
  \"DNSPolicy\": \"ClusterFirst\",
";
    assert_eq!(errors, [expected]);
}

#[test]
fn tolerations_only_grow() {
    let old = with(
        pod(),
        "spec.tolerations",
        json!([{ "key": "a", "operator": "Exists" }]),
    );
    let more = json!([{ "key": "a", "operator": "Exists" }, { "key": "b", "operator": "Exists" }]);
    assert!(
        Pod.validate_update(
            &with(old.clone(), "spec.tolerations", more),
            &old,
            &context()
        )
        .is_empty()
    );
    let errors = lines(Pod.validate_update(
        &with(old.clone(), "spec.tolerations", json!([])),
        &old,
        &context(),
    ));
    let expected = "spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds";
    assert_eq!(errors, [expected]);
}

#[test]
fn a_gated_pod_may_be_narrowed_to_fewer_nodes() {
    let old = with(pod(), "spec.schedulingGates", json!([{ "name": "a.b/c" }]));
    let new = with(old.clone(), "spec.nodeSelector", json!({ "disk": "ssd" }));
    assert!(Pod.validate_update(&new, &old, &context()).is_empty());
    let free = with(old.clone(), "spec.schedulingGates", json!([]));
    let moved = with(free.clone(), "spec.nodeSelector", json!({ "disk": "ssd" }));
    assert_eq!(Pod.validate_update(&moved, &free, &context()).len(), 1);
}

#[test]
fn keys_of_labels_become_part_of_selectors() {
    let term = json!({
        "topologyKey": "zone", "labelSelector": { "matchLabels": { "app": "a" } },
        "matchLabelKeys": ["hash", "absent"], "mismatchLabelKeys": ["tenant"],
    });
    let affinity =
        json!({ "podAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": [term] } });
    let mut pod = with(pod(), "spec.affinity", affinity);
    pod["metadata"]["labels"] = json!({ "hash": "1", "tenant": "t" });
    Pod.prepare_create(&mut pod, &context());
    let merged = &pod["spec"]["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        [0];
    let expected = json!([
        { "key": "hash", "operator": "In", "values": ["1"] },
        { "key": "tenant", "operator": "NotIn", "values": ["t"] },
    ]);
    assert_eq!(merged["labelSelector"]["matchExpressions"], expected);
    assert!(Pod.validate_create(&pod, &context()).is_empty());
}

#[test]
fn the_generation_follows_the_specification() {
    let old = with(pod(), "metadata.generation", json!(4));
    for (path, value, expected) in [
        ("spec.containers.0.image", json!("x"), 5),
        ("metadata.labels", json!({ "a": "b" }), 4),
    ] {
        let mut new = with(old.clone(), path, value);
        Pod.prepare_update(&mut new, &old, &context());
        assert_eq!(new["metadata"]["generation"], expected, "{path}");
    }
}

#[test]
fn the_class_of_service_follows_from_requests_and_limits() {
    let both = json!({ "cpu": "1", "memory": "1Gi" });
    let cases = [
        (json!({}), "BestEffort"),
        (json!({ "requests": { "cpu": "1" } }), "Burstable"),
        (json!({ "limits": both, "requests": both }), "Guaranteed"),
        (
            json!({ "limits": both, "requests": { "cpu": "1", "memory": "512Mi" } }),
            "Burstable",
        ),
        (
            json!({ "limits": { "cpu": "1" }, "requests": { "cpu": "1" } }),
            "Burstable",
        ),
        (
            json!({ "limits": { "example.com/gpu": "1" } }),
            "BestEffort",
        ),
    ];
    for (resources, class) in cases {
        assert_eq!(
            qos_class(&json!({ "containers": [{ "resources": resources }] })),
            class,
            "{resources}"
        );
    }
}

#[test]
fn the_single_address_wins_over_the_list() {
    for (status, expected) in [
        (
            json!({ "podIP": "192.0.2.1" }),
            json!({ "podIP": "192.0.2.1", "podIPs": [{ "ip": "192.0.2.1" }] }),
        ),
        (
            json!({ "podIPs": [{ "ip": "192.0.2.1" }] }),
            json!({ "podIP": "192.0.2.1", "podIPs": [{ "ip": "192.0.2.1" }] }),
        ),
        (
            json!({ "podIP": "192.0.2.2", "podIPs": [{ "ip": "x" }] }),
            json!({ "podIP": "192.0.2.2", "podIPs": [{ "ip": "192.0.2.2" }] }),
        ),
    ] {
        let mut pod = json!({ "spec": {}, "status": status });
        Pod.default(&mut pod);
        assert_eq!(pod["status"], expected);
    }
}

#[test]
fn a_finished_container_does_not_run_again() {
    let status = |state: Value| json!({ "containerStatuses": [{ "name": "c", "state": state }], "qosClass": "BestEffort" });
    let ended = status(json!({ "terminated": { "exitCode": 0 } }));
    let old = with(
        with(pod(), "spec.restartPolicy", json!("OnFailure")),
        "status",
        ended,
    );
    let new = with(old.clone(), "status", status(json!({ "running": {} })));
    let expected = "status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state";
    assert_eq!(
        lines(Pod.validate_status(&new, &old, &context())),
        [expected]
    );
}

#[test]
fn only_a_pod_that_runs_is_given_time_to_end() {
    let running = with(
        with(pod(), "spec.nodeName", json!("n")),
        "status",
        json!({ "phase": "Running" }),
    );
    let done = with(running.clone(), "status.phase", json!("Succeeded"));
    for (pod, asked, expected) in [
        (&pod(), None, 0),
        (&running, None, 30),
        (&running, Some(5), 5),
        (&running, Some(0), 0),
        (&running, Some(-1), 1),
        (&done, None, 0),
    ] {
        assert_eq!(Pod.grace_period(pod, asked), Some(expected));
    }
}

#[test]
fn the_row_says_what_keeps_a_pod_from_running() {
    let container = |state: Value, ready: bool| {
        json!([{ "name": "c", "ready": ready, "restartCount": 2, "state": state,
            "lastState": { "terminated": { "finishedAt": "2025-12-31T23:55:00Z" } } }])
    };
    let cases = [
        (json!({ "phase": "Pending" }), ["0/1", "Pending", "0"]),
        (
            json!({ "phase": "Running", "containerStatuses": container(json!({ "running": {} }), true) }),
            ["1/1", "Running", "2 (5m ago)"],
        ),
        (
            json!({ "phase": "Running", "containerStatuses": container(json!({ "waiting": { "reason": "CrashLoopBackOff" } }), false) }),
            ["0/1", "CrashLoopBackOff", "2 (5m ago)"],
        ),
        (
            json!({ "phase": "Failed", "containerStatuses": container(json!({ "terminated": { "exitCode": 3 } }), false) }),
            ["0/1", "ExitCode:3", "2 (5m ago)"],
        ),
        (
            json!({ "phase": "Failed", "reason": "Evicted" }),
            ["0/1", "Evicted", "0"],
        ),
        (
            json!({ "phase": "Pending", "initContainerStatuses": [{ "name": "i", "restartCount": 1, "state": { "terminated": { "exitCode": 7 } } }] }),
            ["0/1", "Init:ExitCode:7", "1"],
        ),
        (
            json!({ "phase": "Pending", "initContainerStatuses": [{ "name": "i", "state": { "waiting": { "reason": "PodInitializing" } } }] }),
            ["0/1", "Init:0/1", "0"],
        ),
    ];
    for (status, expected) in cases {
        let mut pod = with(pod(), "status", status);
        pod["spec"]["initContainers"] = json!([{ "name": "i" }]);
        let row = Pod.row(&pod, context().now);
        let shown: Vec<&str> = row.cells[1..4].iter().filter_map(Value::as_str).collect();
        assert_eq!(shown, expected, "{}", pod.at("status"));
    }
    let gone = with(
        pod(),
        "metadata.deletionTimestamp",
        json!("2026-01-01T00:00:00Z"),
    );
    assert_eq!(Pod.row(&gone, context().now).cells[2], "Terminating");
}

#[test]
fn what_hardly_does_what_its_author_wants_is_warned_of() {
    let cases = [
        (
            "metadata.name",
            json!("a.b"),
            "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is recommended: [must not contain dots]",
        ),
        (
            "spec.containers.0.resources",
            json!({ "requests": { "memory": "100m" } }),
            "spec.containers[0].resources.requests[memory]: fractional byte value \"100m\" is invalid, must be an integer",
        ),
        (
            "spec.containers.0.env",
            json!([{ "name": "A", "value": "1" }, { "name": "A", "value": "2" }]),
            "spec.containers[0].env[1]: hides previous definition of \"A\", which may be dropped when using apply",
        ),
        (
            "spec.containers.0.ports",
            json!([{ "containerPort": 80, "protocol": "TCP" }, { "containerPort": 80, "protocol": "TCP" }]),
            "spec.containers[0].ports[1]: duplicate port definition with spec.containers[0].ports[0]",
        ),
        (
            "spec.nodeSelector",
            json!({ "beta.kubernetes.io/os": "linux" }),
            "spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use \"kubernetes.io/os\" instead",
        ),
    ];
    for (path, value, expected) in cases {
        let pod = with(pod(), path, value);
        assert_eq!(Pod.warnings(&pod, None), [expected]);
        assert!(
            Pod.warnings(&pod, Some(&pod)).is_empty(),
            "an unchanged pod is not warned of again"
        );
    }
}
