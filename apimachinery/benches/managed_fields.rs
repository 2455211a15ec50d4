//! What keeping the owners of fields costs a write: `cargo bench -p ferrule-apimachinery --bench managed_fields`.
//!
//! Prints `microseconds | bytes of managedFields` for each kind of write.

use std::time::Instant;

use ferrule_apimachinery::apply::{Live, Managers, Ownership, Writer};
use serde_json::{Value, json};

const ROUNDS: u32 = 20_000;
const NOW: &str = "2026-01-02T03:04:05Z";

fn rules(
    api_version: &'static str,
    kind: &'static str,
    subresource: &'static str,
) -> Ownership<'static> {
    let object = Ownership::builtin(api_version, kind).expect("a known type");
    match subresource {
        "status" => Ownership {
            subresource,
            reset: &[&["spec"]],
            ..object
        },
        _ => object,
    }
}

fn complete(rules: &Ownership<'_>, value: Value) -> Value {
    let decoded = rules.schema.decode_value(value, rules.id);
    decoded.expect("an object of the type").value
}

/// One write, and the managedFields after it.
fn write(rules: &Ownership<'_>, live: Option<&Value>, new: &Value, managed: &[u8]) -> Vec<u8> {
    let empty;
    let (object, absent) = match live {
        Some(live) => (live, false),
        None => {
            empty = rules.schema.empty_object(rules.id);
            (&empty, true)
        }
    };
    let managed = Managers::parse(managed).expect("managed fields");
    let writer = Writer {
        manager: "bench",
        force: false,
        now: NOW,
    };
    let after = rules.update(Live { object, absent }, new, managed, writer);
    after.and_then(|after| after.to_json()).unwrap_or_default()
}

fn measure(what: &str, run: impl Fn() -> Vec<u8>) -> Vec<u8> {
    let result = run();
    let began = Instant::now();
    for _ in 0..ROUNDS {
        std::hint::black_box(run());
    }
    let each = began.elapsed() / ROUNDS;
    println!(
        "{what:<40} {:>8.2} µs | {:>5} bytes",
        each.as_secs_f64() * 1e6,
        result.len()
    );
    result
}

fn main() {
    let map = rules("v1", "ConfigMap", "");
    let config = complete(
        &map,
        json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "a", "labels": {"app": "a"}},
            "data": {"a": "1", "b": "2", "c": "3"},
        }),
    );
    let managed = measure("ConfigMap: create", || write(&map, None, &config, b"[]"));
    let mut changed = config.clone();
    changed["data"]["a"] = json!("9");
    measure("ConfigMap: change of a value", || {
        write(&map, Some(&config), &changed, &managed)
    });

    let lease_rules = rules("coordination.k8s.io/v1", "Lease", "");
    let lease = |time: &str| {
        complete(
            &lease_rules,
            json!({
                "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
                "metadata": {"name": "n", "ownerReferences": [
                    {"apiVersion": "v1", "kind": "Node", "name": "n", "uid": "u"},
                ]},
                "spec": {"holderIdentity": "n", "leaseDurationSeconds": 40, "renewTime": time},
            }),
        )
    };
    let (first, second) = (
        lease("2026-01-01T00:00:00.000000Z"),
        lease("2026-01-01T00:00:10.000000Z"),
    );
    let managed = measure("Lease: create", || write(&lease_rules, None, &first, b"[]"));
    measure("Lease: renewal", || {
        write(&lease_rules, Some(&first), &second, &managed)
    });

    let pods = rules("v1", "Pod", "");
    let pod = complete(&pods, pod());
    println!("a pod of {} bytes", pod.to_string().len());
    let managed = measure("Pod: create", || write(&pods, None, &pod, b"[]"));
    let status_rules = rules("v1", "Pod", "status");
    let ready = with_status(&status_rules, &pod, "Running");
    let both = measure("Pod: first status", || {
        write(&status_rules, Some(&pod), &ready, &managed)
    });
    let next = with_status(&status_rules, &pod, "Succeeded");
    measure("Pod: next status", || {
        write(&status_rules, Some(&ready), &next, &both)
    });
    measure("Pod: the same again", || {
        write(&pods, Some(&ready), &ready, &both)
    });
}

fn with_status(rules: &Ownership<'_>, pod: &Value, phase: &str) -> Value {
    let condition = |kind: &str| json!({"type": kind, "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z", "lastProbeTime": null});
    let mut pod = pod.clone();
    pod["status"] = json!({
        "phase": phase,
        "podIP": "10.0.0.1",
        "podIPs": [{"ip": "10.0.0.1"}],
        "hostIP": "10.0.0.2",
        "startTime": "2026-01-01T00:00:00Z",
        "conditions": (["Initialized", "Ready", "ContainersReady", "PodScheduled"].map(condition)),
        "containerStatuses": [{"name": "c0", "ready": true, "restartCount": 0, "image": "i", "imageID": "i"}],
    });
    complete(rules, pod)
}

/// A pod of about 5 KB.
fn pod() -> Value {
    let container = |i: usize| {
        json!({
            "name": format!("c{i}"),
            "image": "registry.example/some/application:1.2.3",
            "imagePullPolicy": "IfNotPresent",
            "command": ["/bin/application", "--listen=0.0.0.0:8080"],
            "env": (0..10).map(|n| json!({"name": format!("SETTING_{n}"), "value": "a value of it"})).collect::<Vec<_>>(),
            "ports": [{"containerPort": 8080 + i, "name": format!("http{i}"), "protocol": "TCP"}],
            "resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "100m", "memory": "64Mi"}},
            "volumeMounts": [
                {"name": "data", "mountPath": "/data"},
                {"name": "settings", "mountPath": "/etc/application", "readOnly": true},
            ],
            "livenessProbe": {
                "httpGet": {"path": "/healthz", "port": 8080, "scheme": "HTTP"},
                "periodSeconds": 10, "timeoutSeconds": 1, "successThreshold": 1, "failureThreshold": 3,
            },
            "terminationMessagePath": "/dev/termination-log",
            "terminationMessagePolicy": "File",
        })
    };
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": "web-6d8f7b9c5d-x7k2p", "namespace": "default",
            "generateName": "web-6d8f7b9c5d-",
            "labels": {"app": "web", "pod-template-hash": "6d8f7b9c5d", "tier": "front"},
            "annotations": {"example.com/checksum": "0123456789abcdef0123456789abcdef"},
            "ownerReferences": [{
                "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-6d8f7b9c5d",
                "uid": "3b241101-e2bb-4255-8caf-4136c566a962", "controller": true, "blockOwnerDeletion": true,
            }],
        },
        "spec": {
            "containers": [container(0), container(1), container(2)],
            "volumes": [
                {"name": "data", "emptyDir": {}},
                {"name": "settings", "configMap": {"name": "settings", "defaultMode": 420}},
            ],
            "restartPolicy": "Always", "dnsPolicy": "ClusterFirst", "schedulerName": "default-scheduler",
            "securityContext": {}, "terminationGracePeriodSeconds": 30, "enableServiceLinks": true,
        },
        "status": {},
    })
}
