//! A worker against a runtime in memory, with an API server that is away all the time.

pub(crate) mod fake;

use std::sync::OnceLock;
use std::time::Duration;

use ferrule_apimachinery::scheme::gvr;
use ferrule_client::kubeconfig::Pem;
use ferrule_client::{Client, ClientConfig, Informer, Recorder};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use self::fake::Fake;
use super::*;
use crate::cgroups::Cgroups;
use crate::context::{Capacity, Config};
use crate::cri::Cri;
use crate::env::services::Service;
use crate::images::Images;
use crate::metrics::Metrics;
use crate::node::addresses::Addresses;

pub(crate) struct Node {
    pub(crate) kubelet: Arc<Kubelet>,
    pub(crate) runtime: Fake,
    directory: tempfile::TempDir,
}

pub(crate) fn node() -> Node {
    ferrule_component_base::tls::install_provider();
    let directory = tempfile::tempdir().expect("a directory");
    let runtime = Fake::default();
    let endpoint = runtime.serve(directory.path());
    let authority =
        rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let config = ClientConfig {
        servers: vec!["127.0.0.1:1".to_owned()],
        authority: Some(Pem::Inline(authority.cert.pem().into_bytes())),
        identity: None,
        token: None,
        server_name: None,
        user_agent: "test".to_owned(),
        namespace: String::new(),
    };
    let client = Client::new(&config).expect("a client");
    let shutdown = CancellationToken::new();
    let kubelet = Kubelet {
        config: Config {
            node: "node1".to_owned(),
            root: directory.path().join("kubelet"),
            logs: directory.path().join("logs"),
            cluster_dns: Vec::new(),
            cluster_domain: "cluster.local".to_owned(),
            resolv_conf: directory.path().join("resolv.conf"),
            max_pods: 10,
            sync_frequency: Duration::from_secs(60),
        },
        addresses: Addresses::new(vec!["127.0.0.1".parse().expect("an address")], Vec::new()),
        objects: Arc::default(),
        capacity: Capacity::default(),
        cri: Cri::new(&endpoint).expect("a runtime"),
        runtime: OnceLock::from("fake".to_owned()),
        recorder: Recorder::new(&client, "kubelet", "node1"),
        services: Informer::<Service>::builder(&client, gvr::SERVICES).start(shutdown),
        client,
        images: Images::default(),
        cgroups: Cgroups::none(),
        metrics: Metrics::default(),
    };
    Node {
        kubelet: Arc::new(kubelet),
        runtime,
        directory,
    }
}

pub(crate) fn pod(status: serde_json::Value) -> Arc<Pod> {
    let pod = json!({
        "metadata": {"name": "web", "namespace": "shop", "uid": "u1"},
        "spec": {
            "terminationGracePeriodSeconds": 7,
            "containers": [{"name": "c", "image": "busybox:1", "readinessProbe": {"tcpSocket": {"port": 1}, "periodSeconds": 3600}}],
            "volumes": [{"name": "v", "emptyDir": {}}],
        },
        "status": status,
    });
    Arc::new(serde_json::from_value(pod).expect("a pod"))
}

/// Waits until `condition` holds of what the worker knows.
pub(crate) async fn until(handle: &Handle, condition: impl Fn(&View) -> bool) {
    let mut view = handle.view.clone();
    let waiting = view.wait_for(|view| condition(view));
    tokio::time::timeout(Duration::from_secs(5), waiting)
        .await
        .expect("in time")
        .expect("the worker lives");
}

pub(crate) fn running(view: &View) -> bool {
    view.containers
        .first()
        .is_some_and(|own| own.state == State::Running)
}

#[tokio::test]
async fn a_pod_runs_restarts_and_goes_without_trace_while_the_api_server_is_away() {
    let node = node();
    let (ended, finished) = tokio::sync::oneshot::channel();
    let handle = Worker::start(
        node.kubelet.clone(),
        pod(json!({})),
        1,
        None,
        false,
        move || {
            let _ = ended.send(());
        },
    );
    until(&handle, running).await;
    assert_eq!(
        node.runtime.world().calls,
        ["run s1", "create c2", "start c2"]
    );
    let volume = node
        .directory
        .path()
        .join("kubelet/pods/u1/volumes/kubernetes.io~empty-dir/v");
    assert!(volume.is_dir());

    node.runtime.world().exit("c2", 3);
    handle
        .mailbox
        .send(Message::Changed)
        .expect("the worker lives");
    until(&handle, |view| running(view) && view.containers.len() == 2).await;
    let status = handle.view.borrow().status.clone();
    let own = &status.container_statuses.expect("statuses")[0];
    let last = own
        .last_state
        .as_ref()
        .and_then(|state| state.terminated.as_ref());
    assert_eq!(
        (own.restart_count, last.map(|last| last.exit_code)),
        (1, Some(3))
    );

    node.runtime.world().calls.clear();
    handle
        .mailbox
        .send(Message::Gone)
        .expect("the worker lives");
    tokio::time::timeout(Duration::from_secs(5), finished)
        .await
        .expect("in time")
        .expect("an end");
    let world = node.runtime.world();
    assert!(world.calls[0].ends_with(" in 7s"), "{:?}", world.calls);
    assert_eq!(world.calls.last().map(String::as_str), Some("remove s1"));
    assert!(world.containers.is_empty() && world.sandboxes.is_empty());
    assert!(!node.directory.path().join("kubelet/pods/u1").exists());
}

#[tokio::test]
async fn a_restarted_kubelet_finds_its_pod_changes_nothing_and_keeps_it_ready() {
    let node = node();
    let first = Worker::start(node.kubelet.clone(), pod(json!({})), 1, None, false, || {});
    until(&first, running).await;
    assert!(
        !first
            .view
            .borrow()
            .status
            .container_statuses
            .as_ref()
            .expect("statuses")[0]
            .ready
    );
    let mut status = serde_json::to_value(&first.view.borrow().status).expect("a status");
    status["containerStatuses"][0]["ready"] = json!(true);
    node.runtime.world().calls.clear();

    let second = Worker::start(node.kubelet.clone(), pod(status), 1, None, false, || {});
    until(&second, running).await;
    let ready = |view: &View| {
        view.status
            .container_statuses
            .as_ref()
            .is_some_and(|own| own[0].ready)
    };
    until(&second, ready).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(ready(&second.view.borrow()));
    assert_eq!(node.runtime.world().calls, Vec::<String>::new());
}

#[tokio::test]
async fn a_lost_sandbox_is_replaced() {
    let node = node();
    let handle = Worker::start(node.kubelet.clone(), pod(json!({})), 1, None, false, || {});
    until(&handle, running).await;
    {
        let mut world = node.runtime.world();
        world.exit("c2", 137);
        world.sandboxes.get_mut("s1").expect("the sandbox").1 = false;
        world.calls.clear();
    }
    handle
        .mailbox
        .send(Message::Changed)
        .expect("the worker lives");
    until(&handle, |view| {
        running(view) && view.containers[0].attempt == 1
    })
    .await;
    let running = node.runtime.world().running();
    let world = node.runtime.world();
    assert_eq!(running.len(), 1);
    assert_ne!(world.containers[&running[0]].0, "s1");
}
