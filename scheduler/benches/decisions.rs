//! Decisions a second in this process: `cargo bench -p ferrule-scheduler`.
//!
//! Each row fills a cluster on paper with pods of one kind, one decision after the other, as the
//! loop makes them: what is decided counts for the next decision. Nothing is written anywhere.
//! On a machine that others use too, the time on the CPU says more than the clock.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ferrule_apimachinery::{Header, Resource};
use ferrule_client::{Key, Projection};
use ferrule_scheduler::cache::Cache;
use ferrule_scheduler::node::NodeObject;
use ferrule_scheduler::pod::Pod;
use ferrule_scheduler::profile::Profile;
use ferrule_scheduler::schedule::{Decision, Turn, schedule};
use ferrule_scheduler::workloads::ReplicaSet;
use serde_json::{Value, json};

const ZONES: usize = 3;
/// Pods of so many ReplicaSets come in turns.
const WORKLOADS: usize = 10;

fn projected<T: Projection>(object: &Value) -> T {
    let bytes = object.to_string();
    let header = Header::parse(&Resource::default(), bytes.as_bytes()).expect("a header");
    T::project(&header, bytes.as_bytes()).expect("an object")
}

fn node(number: usize) -> Value {
    let name = format!("node-{number:04}");
    json!({
        "metadata": {"name": name, "labels": {
            "kubernetes.io/hostname": name,
            "topology.kubernetes.io/zone": format!("zone-{}", number % ZONES),
            "kubernetes.io/os": "linux",
        }},
        "status": {"allocatable": {"cpu": "32", "memory": "64Gi", "pods": "110"}},
    })
}

fn pod(number: usize, kind: &Kind) -> Value {
    let app = format!("app-{}", number % WORKLOADS);
    let mut spec = (kind.spec)(&app);
    spec["containers"] = json!([{
        "name": "main", "image": "registry.example/app:1",
        "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}},
    }]);
    let mut object = json!({
        "metadata": {
            "name": format!("pod-{number}"), "namespace": "default", "uid": format!("u{number}"),
            "labels": {"app": app},
        },
        "spec": spec,
    });
    if kind.owned {
        object["metadata"]["ownerReferences"] = json!([{
            "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": app, "uid": app, "controller": true,
        }]);
    }
    object
}

struct Kind {
    name: &'static str,
    owned: bool,
    spec: fn(&str) -> Value,
    pods: usize,
}

const KINDS: [Kind; 7] = [
    Kind {
        name: "plain pods",
        owned: false,
        spec: |_| json!({}),
        pods: 20_000,
    },
    Kind {
        name: "pods of ReplicaSets (spread by default)",
        owned: true,
        spec: |_| json!({}),
        pods: 20_000,
    },
    Kind {
        name: "hard spread over zones and hosts",
        owned: true,
        spec: |app| {
            let constraint = |key: &str| {
                json!({
                    "maxSkew": 1, "topologyKey": key, "whenUnsatisfiable": "DoNotSchedule",
                    "labelSelector": {"matchLabels": {"app": app}},
                })
            };
            json!({"topologySpreadConstraints": [
                constraint("topology.kubernetes.io/zone"), constraint("kubernetes.io/hostname"),
            ]})
        },
        pods: 10_000,
    },
    Kind {
        name: "preferred anti-affinity by host",
        owned: true,
        spec: |app| {
            json!({"affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
                {"weight": 10, "podAffinityTerm": term(app, "kubernetes.io/hostname")}]}}})
        },
        pods: 10_000,
    },
    Kind {
        name: "required anti-affinity by host",
        owned: true,
        spec: |app| {
            json!({"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
                term(app, "kubernetes.io/hostname")]}}})
        },
        pods: 9_000,
    },
    Kind {
        name: "required affinity by zone",
        owned: true,
        spec: |app| {
            json!({"affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
                term(app, "topology.kubernetes.io/zone")]}}})
        },
        pods: 10_000,
    },
    Kind {
        name: "node selector (a third of the nodes)",
        owned: true,
        spec: |_| json!({"nodeSelector": {"topology.kubernetes.io/zone": "zone-1"}}),
        pods: 10_000,
    },
];

fn term(app: &str, key: &str) -> Value {
    json!({"labelSelector": {"matchLabels": {"app": app}}, "topologyKey": key})
}

/// By the clock, and on the CPU.
fn measure(nodes: usize, kind: &Kind) -> (Duration, Duration) {
    let mut cache = Cache::default();
    for number in 0..nodes {
        let object: NodeObject = projected(&node(number));
        cache.put_node(&format!("node-{number:04}"), Some(object));
    }
    for workload in 0..WORKLOADS {
        let app = format!("app-{workload}");
        let set =
            json!({"metadata": {"name": app}, "spec": {"selector": {"matchLabels": {"app": app}}}});
        let set: ReplicaSet = projected(&set);
        cache.put_replica_set(&Key::new("default", app), Some(set));
    }
    let profile = Profile::default();
    let pods: Vec<(Key, Arc<Pod>)> = (0..kind.pods)
        .map(|number| {
            let pod: Pod = projected(&pod(number, kind));
            (Key::new("default", &*pod.name), Arc::new(pod))
        })
        .collect();
    let mut turn = Turn::default();
    let (started, before) = (Instant::now(), on_cpu());
    for (key, pod) in pods {
        let snapshot = cache.prepare(&profile, &pod);
        turn.random = turn
            .random
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1);
        match schedule(&profile, snapshot, &pod, turn) {
            Decision::Place { node, judged } => {
                turn.start = (turn.start + judged) % nodes;
                let node = snapshot.node(node).name.clone();
                cache.put_pod(key, pod, &node);
            }
            Decision::Refuse(diagnosis) => panic!("{key}: {}", diagnosis.message()),
        }
    }
    (started.elapsed(), on_cpu().saturating_sub(before))
}

/// How long this thread was on a CPU so far.
fn on_cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let first = text.split(' ').next().and_then(|text| text.parse().ok());
    Duration::from_nanos(first.unwrap_or(0))
}

fn main() {
    println!("| kind of pods | nodes | decisions/s | µs each | µs of CPU each |");
    println!("|---|---|---|---|---|");
    let wanted = std::env::args().nth(1).unwrap_or_default();
    for kind in KINDS
        .iter()
        .filter(|kind| kind.name.contains(&wanted) || wanted.starts_with('-'))
    {
        for nodes in [1000, 5000] {
            let (took, cpu) = measure(nodes, kind);
            let each = |took: Duration| took.as_secs_f64() / kind.pods as f64;
            println!(
                "| {} | {nodes} | {:.0} | {:.1} | {:.1} |",
                kind.name,
                1.0 / each(took),
                each(took) * 1e6,
                each(cpu) * 1e6
            );
        }
    }
}
