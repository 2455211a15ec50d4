//! Killing what may be killed.

use std::time::Duration;

use k8s_cri::v1::*;

use crate::harness::{Node, shell};

#[tokio::test]
async fn a_killed_server_stops_no_container_and_loses_no_exit_code() {
    let Some(mut node) = Node::start().await else {
        return;
    };
    let pod = node.pod("durable");
    let sandbox = node.run(&pod).await;
    let stays = node
        .start_container(
            &pod,
            &sandbox,
            shell("stays", "echo before; sleep 1; echo after; sleep 1000"),
        )
        .await;
    let ends = node
        .start_container(&pod, &sandbox, shell("ends", "sleep 0.5; exit 42"))
        .await;
    let created = node
        .create(&pod, &sandbox, shell("created", "exit 0"))
        .await;
    let before = node.status(&stays).await;
    node.kill_server();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    node.launch().await;

    let after = node.status(&stays).await;
    assert_eq!(after.state, ContainerState::ContainerRunning as i32);
    assert_eq!(after.started_at, before.started_at);
    let ended = node.status(&ends).await;
    assert_eq!(
        (ended.state, ended.exit_code),
        (ContainerState::ContainerExited as i32, 42)
    );
    assert!(ended.finished_at > ended.started_at);
    let log = std::fs::read_to_string(&after.log_path).expect("a log");
    assert!(log.contains("after"), "the log went on: {log}");
    assert_eq!(node.exec(&stays, "exit 5").await.exit_code, 5);
    node.runtime
        .start_container(StartContainerRequest {
            container_id: created.clone(),
        })
        .await
        .expect("a created container starts later");
    assert_eq!(node.ended(&created).await.exit_code, 0);
    node.remove(&sandbox).await;
    assert!(
        node.leftovers(&pod).is_empty(),
        "{:?}",
        node.leftovers(&pod)
    );
}

#[tokio::test]
async fn the_end_of_a_shim_is_the_end_of_its_pod() {
    let Some(mut node) = Node::start().await else {
        return;
    };
    let pod = node.pod("orphaned");
    let sandbox = node.run(&pod).await;
    let id = node
        .start_container(&pod, &sandbox, shell("main", "sleep 1000"))
        .await;
    let shims = node.shims();
    assert_eq!(shims.len(), 1);
    crate::harness::kill(shims[0]);
    let status = node.ended(&id).await;
    assert_eq!((status.exit_code, status.reason.as_str()), (255, "Unknown"));
    let list = node
        .runtime
        .list_pod_sandbox(ListPodSandboxRequest::default())
        .await
        .expect("a list")
        .into_inner();
    assert_eq!(list.items[0].state, PodSandboxState::SandboxNotready as i32);
    node.remove(&sandbox).await;
    assert!(
        node.leftovers(&pod).is_empty(),
        "{:?}",
        node.leftovers(&pod)
    );
}

#[tokio::test]
async fn after_a_restart_of_the_node_everything_has_ended() {
    let Some(mut node) = Node::start().await else {
        return;
    };
    let pod = node.pod("rebooted");
    let sandbox = node.run(&pod).await;
    let running = node
        .start_container(&pod, &sandbox, shell("a", "sleep 1000"))
        .await;
    let created = node.create(&pod, &sandbox, shell("b", "exit 0")).await;
    let ended = node
        .start_container(&pod, &sandbox, shell("c", "exit 9"))
        .await;
    node.ended(&ended).await;
    node.reboot().await;
    for (id, code) in [(&running, 255), (&created, 255), (&ended, 9)] {
        let status = node.status(id).await;
        assert_eq!(status.state, ContainerState::ContainerExited as i32);
        assert_eq!(status.exit_code, code);
    }
    // What is left is removed as ever, the network too.
    node.remove(&sandbox).await;
    let cni = std::fs::read_to_string(node.path("cni.log")).expect("the plugin was called");
    assert!(
        cni.lines()
            .last()
            .is_some_and(|line| line.starts_with("DEL"))
    );
    let again = node.run(&pod).await;
    node.remove(&again).await;
}
