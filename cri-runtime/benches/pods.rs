//! How long the runtime takes for a pod: `cargo bench -p ferrule-cri-runtime --bench pods`, as root.

use std::time::{Duration, Instant};

use k8s_cri::v1::*;

#[path = "../tests/node/harness.rs"]
#[allow(dead_code)] // The tests use more of it.
mod harness;

use harness::{Node, shell};

#[tokio::main]
async fn main() {
    // `cargo test` starts benchmarks too, to see that they start.
    if !std::env::args().any(|word| word == "--bench") {
        return;
    }
    one_after_the_other().await;
    at_once().await;
}

fn print(name: &str, times: &mut [Duration]) {
    times.sort();
    let at = |percent: usize| times[(times.len() * percent / 100).min(times.len() - 1)];
    println!("{name:<10} p50 {:?}  p99 {:?}", at(50), at(99));
}

async fn one_after_the_other() {
    let Some(mut node) = Node::start().await else {
        return;
    };
    println!("fifty pods, one after the other");
    let mut pods = Vec::new();
    let [mut sandboxes, mut creates, mut starts, mut totals, mut ends] =
        [const { Vec::<Duration>::new() }; 5];
    for number in 0..50 {
        let mut pod = node.pod(&format!("pod-{number}"));
        if let Some(security) = pod
            .linux
            .as_mut()
            .and_then(|linux| linux.security_context.as_mut())
            .and_then(|security| security.namespace_options.as_mut())
        {
            // The network is its plugin's time, not ours.
            security.network = NamespaceMode::Node as i32;
        }
        let begin = Instant::now();
        let sandbox = node.run(&pod).await;
        sandboxes.push(begin.elapsed());
        let create = Instant::now();
        let id = node
            .create(&pod, &sandbox, shell("main", "exec sleep 1000"))
            .await;
        creates.push(create.elapsed());
        let start = Instant::now();
        node.runtime
            .start_container(StartContainerRequest { container_id: id })
            .await
            .expect("starts");
        starts.push(start.elapsed());
        totals.push(begin.elapsed());
        pods.push(sandbox);
    }
    for sandbox in &pods {
        let begin = Instant::now();
        node.remove(sandbox).await;
        ends.push(begin.elapsed());
    }
    print("sandbox", &mut sandboxes);
    print("create", &mut creates);
    print("start", &mut starts);
    print("total", &mut totals);
    print("remove", &mut ends);
}

async fn at_once() {
    let Some(node) = Node::start().await else {
        return;
    };
    println!("fifty pods at once");
    let pods: Vec<_> = (0..50)
        .map(|number| node.pod(&format!("burst-{number}")))
        .collect();
    let begin = Instant::now();
    let starts = pods.iter().map(|pod| {
        let mut node = node.runtime.clone();
        async move {
            let [mut sandbox, mut create] = [Duration::ZERO; 2];
            let own = Instant::now();
            let request = RunPodSandboxRequest {
                config: Some(pod.clone()),
                runtime_handler: String::new(),
            };
            let id = node
                .run_pod_sandbox(request)
                .await
                .expect("runs")
                .into_inner();
            sandbox += own.elapsed();
            let request = CreateContainerRequest {
                pod_sandbox_id: id.pod_sandbox_id.clone(),
                config: Some(shell("main", "exec sleep 1000")),
                sandbox_config: Some(pod.clone()),
            };
            let container = node.create_container(request).await.expect("is made");
            create += own.elapsed();
            let request = StartContainerRequest {
                container_id: container.into_inner().container_id,
            };
            node.start_container(request).await.expect("starts");
            (id.pod_sandbox_id, sandbox, create, own.elapsed())
        }
    });
    let started = futures::future::join_all(starts).await;
    println!("all run after {:?}", begin.elapsed());
    let of = |time: fn(&(String, Duration, Duration, Duration)) -> Duration| -> Vec<Duration> {
        started.iter().map(time).collect()
    };
    print("sandbox", &mut of(|own| own.1));
    print("create", &mut of(|own| own.2 - own.1));
    print("start", &mut of(|own| own.3 - own.2));
    let begin = Instant::now();
    let ends = started.iter().map(|(sandbox, ..)| {
        let mut node = node.runtime.clone();
        async move {
            let pod_sandbox_id = sandbox.clone();
            let stop = StopPodSandboxRequest {
                pod_sandbox_id: pod_sandbox_id.clone(),
            };
            node.stop_pod_sandbox(stop).await.expect("stops");
            let remove = RemovePodSandboxRequest { pod_sandbox_id };
            node.remove_pod_sandbox(remove).await.expect("is removed");
        }
    });
    futures::future::join_all(ends).await;
    println!("all gone after {:?}", begin.elapsed());
}
