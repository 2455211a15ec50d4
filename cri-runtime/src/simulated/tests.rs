//! A pretended node over its services.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use k8s_cri::v1::image_service_server::ImageService;
use k8s_cri::v1::runtime_service_server::RuntimeService;
use k8s_cri::v1::*;
use tonic::{Code, Request};

use super::node::Node;
use super::service::Service;
use super::{Behaviour, range, share, socket_of};

fn service(failures: f64) -> Service {
    let behaviour = Behaviour {
        start: (0, 0),
        stop: (0, 0),
        pull: (0, 0),
        failures,
    };
    let node = Node::new(Ipv4Addr::new(10, 244, 7, 0));
    Service::new(Arc::new(node), Arc::new(behaviour))
}

async fn sandbox(service: &Service, annotations: &[(&str, &str)]) -> Result<String, tonic::Status> {
    let own = annotations.iter();
    let config = PodSandboxConfig {
        annotations: own
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect(),
        ..PodSandboxConfig::default()
    };
    let request = RunPodSandboxRequest {
        config: Some(config),
        runtime_handler: String::new(),
    };
    let answer = service.run_pod_sandbox(Request::new(request)).await?;
    Ok(answer.into_inner().pod_sandbox_id)
}

async fn address(service: &Service, id: &str) -> String {
    let request = PodSandboxStatusRequest {
        pod_sandbox_id: id.to_owned(),
        verbose: false,
    };
    let answer = service.pod_sandbox_status(Request::new(request)).await;
    let status = answer.expect("a status").into_inner().status;
    status.and_then(|own| own.network).expect("a network").ip
}

async fn running(service: &Service, sandbox: &str) -> String {
    let create = CreateContainerRequest {
        pod_sandbox_id: sandbox.to_owned(),
        config: Some(ContainerConfig::default()),
        sandbox_config: None,
    };
    let created = service.create_container(Request::new(create)).await;
    let container_id = created.expect("it is created").into_inner().container_id;
    let start = StartContainerRequest {
        container_id: container_id.clone(),
    };
    let started = service.start_container(Request::new(start)).await;
    started.expect("it starts");
    container_id
}

async fn status(service: &Service, id: &str) -> ContainerStatus {
    let request = ContainerStatusRequest {
        container_id: id.to_owned(),
        verbose: false,
    };
    let answer = service.container_status(Request::new(request)).await;
    answer.expect("a status").into_inner().status.expect("one")
}

#[tokio::test]
async fn pods_get_addresses_of_their_own_and_give_them_back() {
    let service = service(0.0);
    let first = sandbox(&service, &[]).await.expect("a sandbox");
    assert_eq!(address(&service, &first).await, "10.244.7.2");
    for _ in 0..252 {
        sandbox(&service, &[]).await.expect("a sandbox");
    }
    let full = sandbox(&service, &[]).await.expect_err("all are taken");
    assert_eq!(full.code(), Code::ResourceExhausted);
    let remove = RemovePodSandboxRequest {
        pod_sandbox_id: first,
    };
    let removed = service.remove_pod_sandbox(Request::new(remove)).await;
    removed.expect("it is removed");
    let again = sandbox(&service, &[]).await.expect("a sandbox");
    assert_eq!(address(&service, &again).await, "10.244.7.2");
}

#[tokio::test]
async fn a_container_runs_until_it_is_stopped() {
    let service = service(0.0);
    let pod = sandbox(&service, &[]).await.expect("a sandbox");
    let id = running(&service, &pod).await;
    let state = status(&service, &id).await.state;
    assert_eq!(state, ContainerState::ContainerRunning as i32);
    let stop = StopContainerRequest {
        container_id: id.clone(),
        timeout: 1,
    };
    let stopped = service.stop_container(Request::new(stop)).await;
    stopped.expect("it stops");
    let ended = status(&service, &id).await;
    assert_eq!(ended.state, ContainerState::ContainerExited as i32);
    assert_eq!((ended.exit_code, ended.reason.as_str()), (143, "Error"));
}

#[tokio::test]
async fn annotations_end_a_container_by_itself() {
    let service = service(0.0);
    let annotations = [
        ("simulated.ferrule.dev/exit-after", "0.2"),
        ("simulated.ferrule.dev/exit-code", "7"),
    ];
    let pod = sandbox(&service, &annotations).await.expect("a sandbox");
    let id = running(&service, &pod).await;
    let ended = tokio::time::timeout(Duration::from_secs(20), async {
        loop {
            let now = status(&service, &id).await;
            if now.state == ContainerState::ContainerExited as i32 {
                return now;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let ended = ended.await.expect("it ends");
    assert_eq!(ended.exit_code, 7);
    assert!(ended.finished_at - ended.started_at >= 200_000_000);
}

#[tokio::test]
async fn failures_come_as_often_as_asked_for() {
    let always = service(1.0);
    let failed = sandbox(&always, &[]).await.expect_err("it fails");
    assert_eq!(failed.message(), "run the sandbox: simulated failure");
    let pull = PullImageRequest {
        image: Some(ImageSpec {
            image: "busybox".to_owned(),
            ..ImageSpec::default()
        }),
        ..PullImageRequest::default()
    };
    assert!(always.pull_image(Request::new(pull)).await.is_err());
    let half = service(0.5);
    let mut failures = 0;
    for _ in 0..200 {
        failures += u32::from(sandbox(&half, &[]).await.is_err());
    }
    assert!((40..160).contains(&failures), "{failures} of 200");
}

#[tokio::test]
async fn an_image_is_there_after_it_was_pulled() {
    let service = service(0.0);
    let spec = || {
        Some(ImageSpec {
            image: "busybox:latest".to_owned(),
            ..ImageSpec::default()
        })
    };
    let ask = || {
        service.image_status(Request::new(ImageStatusRequest {
            image: spec(),
            verbose: false,
        }))
    };
    assert_eq!(ask().await.expect("an answer").into_inner().image, None);
    let pull = PullImageRequest {
        image: spec(),
        ..PullImageRequest::default()
    };
    let pulled = service.pull_image(Request::new(pull)).await;
    let reference = pulled.expect("it is pulled").into_inner().image_ref;
    let found = ask().await.expect("an answer").into_inner().image;
    assert_eq!(found.map(|image| image.id), Some(reference));
}

#[test]
fn each_node_has_a_socket_of_its_own() {
    let listen = Path::new("/run/ferrule/cri.sock");
    for (node, nodes, expected) in [
        (0, 1, "/run/ferrule/cri.sock"),
        (0, 2, "/run/ferrule/cri-0.sock"),
        (999, 1000, "/run/ferrule/cri-999.sock"),
    ] {
        assert_eq!(socket_of(listen, node, nodes), Path::new(expected));
    }
}

#[test]
fn delays_are_a_number_or_a_range_and_shares_lie_between_0_and_1() {
    assert_eq!(range("20"), Ok((20, 20)));
    assert_eq!(range("10-50"), Ok((10, 50)));
    for bad in ["", "x", "50-10", "-5", "1s"] {
        assert!(range(bad).is_err(), "{bad}");
    }
    assert_eq!(share("0.25"), Ok(0.25));
    for bad in ["", "-0.1", "1.5", "NaN"] {
        assert!(share(bad).is_err(), "{bad}");
    }
}
