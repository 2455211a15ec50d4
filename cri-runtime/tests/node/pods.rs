//! What pods may ask for: namespaces, users, limits, mounts, events, figures.

use std::time::Duration;

use futures::StreamExt;
use k8s_cri::v1::*;

use crate::harness::{Node, shell};

fn options(pod: &mut PodSandboxConfig) -> &mut NamespaceOption {
    pod.linux
        .as_mut()
        .and_then(|linux| linux.security_context.as_mut())
        .and_then(|security| security.namespace_options.as_mut())
        .expect("the harness sets it")
}

fn security(config: &mut ContainerConfig) -> &mut LinuxContainerSecurityContext {
    config
        .linux
        .as_mut()
        .and_then(|linux| linux.security_context.as_mut())
        .expect("the harness sets it")
}

async fn output(node: &mut Node, id: &str, command: &str) -> String {
    let answer = node.exec(id, command).await;
    assert_eq!(
        answer.exit_code,
        0,
        "{command}: {}",
        String::from_utf8_lossy(&answer.stderr)
    );
    String::from_utf8_lossy(&answer.stdout).trim().to_owned()
}

#[tokio::test]
async fn containers_of_a_pod_share_what_the_pod_says() {
    let Some(mut node) = Node::start().await else {
        return;
    };
    let mut pod = node.pod("shared");
    options(&mut pod).pid = NamespaceMode::Pod as i32;
    let sandbox = node.run(&pod).await;
    let mut ids = Vec::new();
    for name in ["one", "two"] {
        let mut config = shell(name, &format!("echo {name} >/dev/shm/{name}; sleep 1000"));
        security(&mut config)
            .namespace_options
            .as_mut()
            .expect("the harness sets it")
            .pid = NamespaceMode::Pod as i32;
        ids.push(node.start_container(&pod, &sandbox, config).await);
    }
    let script = "for n in net ipc uts pid; do readlink /proc/self/ns/$n; done";
    let first = output(&mut node, &ids[0], script).await;
    assert_eq!(first, output(&mut node, &ids[1], script).await);
    let own = std::fs::read_link("/proc/self/ns/net").expect("readable");
    assert!(!first.contains(&*own.to_string_lossy()));
    assert_eq!(output(&mut node, &ids[1], "cat /dev/shm/one").await, "one");
    assert_eq!(
        output(&mut node, &ids[0], "cat /proc/1/comm").await,
        "pause"
    );
    // Killing the first process of a container takes the rest with it.
    let stop = StopContainerRequest {
        container_id: ids[0].clone(),
        timeout: 0,
    };
    node.runtime.stop_container(stop).await.expect("stops");
    node.remove(&sandbox).await;
    assert!(
        node.leftovers(&pod).is_empty(),
        "{:?}",
        node.leftovers(&pod)
    );
}

#[tokio::test]
async fn a_pod_on_the_nodes_network_has_no_address_of_its_own() {
    let Some(mut node) = Node::start().await else {
        return;
    };
    let mut pod = node.pod("host");
    options(&mut pod).network = NamespaceMode::Node as i32;
    let sandbox = node.run(&pod).await;
    let id = node
        .start_container(&pod, &sandbox, shell("main", "sleep 1000"))
        .await;
    let own = std::fs::read_link("/proc/self/ns/net").expect("readable");
    assert_eq!(
        output(&mut node, &id, "readlink /proc/self/ns/net").await,
        own.to_string_lossy()
    );
    assert!(!node.path("cni.log").exists());
    node.remove(&sandbox).await;
}

#[tokio::test]
async fn users_mounts_and_read_only_roots_are_as_asked() {
    let Some(mut node) = Node::start().await else {
        return;
    };
    let pod = node.pod("secure");
    let sandbox = node.run(&pod).await;
    let mut config = shell("main", "sleep 1000");
    let volume = node.path("volume");
    std::fs::create_dir(&volume).expect("writable");
    std::fs::write(volume.join("key"), "value").expect("writable");
    config.mounts = vec![
        Mount {
            container_path: "/config".into(),
            host_path: volume.display().to_string(),
            readonly: true,
            ..Default::default()
        },
        Mount {
            container_path: "/etc/hosts".into(),
            host_path: volume.join("key").display().to_string(),
            ..Default::default()
        },
    ];
    let context = security(&mut config);
    context.run_as_username = "web".into();
    context.readonly_rootfs = true;
    context.no_new_privs = true;
    context.capabilities = Some(Capability {
        drop_capabilities: vec!["ALL".into()],
        ..Default::default()
    });
    let id = node.start_container(&pod, &sandbox, config).await;
    assert_eq!(
        output(&mut node, &id, "cat /config/key /etc/hosts").await,
        "valuevalue"
    );
    assert_eq!(
        output(&mut node, &id, "id -u; id -g; echo $HOME").await,
        "101\n102\n/srv"
    );
    let script = "grep() { while read a b; do [ \"$a\" = \"$1\" ] && echo $b; done; }; \
                  grep CapBnd: </proc/self/status; grep NoNewPrivs: </proc/self/status; true";
    assert_eq!(output(&mut node, &id, script).await, "0000000000000000\n1");
    for command in ["echo x >/file", "echo x >/config/key"] {
        assert_ne!(node.exec(&id, command).await.exit_code, 0, "{command}");
    }
    // All capabilities are those of this node; asking for more is no error.
    let mut config = shell("privileged", "sleep 1000");
    security(&mut config).privileged = true;
    let id = node.start_container(&pod, &sandbox, config).await;
    let script = "while read a b; do [ $a = CapBnd: ] && echo $b; done </proc/self/status; true";
    let bounding = output(&mut node, &id, script).await;
    let own = std::fs::read_to_string("/proc/self/status").expect("readable");
    assert!(own.contains(&format!("CapBnd:\t{bounding}")), "{bounding}");
    output(
        &mut node,
        &id,
        "test -e /dev/kmsg || test -e /dev/fuse || test -e /dev/tty",
    )
    .await;
    node.remove(&sandbox).await;
}

#[tokio::test]
async fn limits_are_set_changed_and_enforced() {
    let Some(mut node) = Node::start().await else {
        return;
    };
    let pod = node.pod("limits");
    let sandbox = node.run(&pod).await;
    let hog = "x=a; while true; do x=$x$x$x$x; done";
    let id = node
        .start_container(&pod, &sandbox, shell("hog", hog))
        .await;
    let status = node.ended(&id).await;
    assert_eq!(
        (status.exit_code, status.reason.as_str()),
        (137, "OOMKilled")
    );

    let id = node
        .start_container(&pod, &sandbox, shell("main", "sleep 1000"))
        .await;
    let limit = |file: &str| {
        let parent = &pod.linux.as_ref().expect("set").cgroup_parent;
        std::fs::read_to_string(
            format!("/sys/fs/cgroup/{file}").replace('@', &format!("{parent}/{id}")),
        )
    };
    let v1 = std::path::Path::new("/sys/fs/cgroup/memory").exists();
    let memory = if v1 {
        "memory@/memory.limit_in_bytes"
    } else {
        "@/memory.max"
    };
    assert_eq!(
        limit(memory).expect("a limit").trim(),
        (64 << 20).to_string()
    );
    node.runtime
        .update_container_resources(UpdateContainerResourcesRequest {
            container_id: id.clone(),
            linux: Some(LinuxContainerResources {
                memory_limit_in_bytes: 128 << 20,
                ..Default::default()
            }),
            ..Default::default()
        })
        .await
        .expect("is updated");
    assert_eq!(
        limit(memory).expect("a limit").trim(),
        (128 << 20).to_string()
    );
    let resources = node
        .status(&id)
        .await
        .resources
        .and_then(|r| r.linux)
        .expect("resources");
    assert_eq!(
        (resources.memory_limit_in_bytes, resources.cpu_shares),
        (128 << 20, 512)
    );

    let stats = node
        .runtime
        .container_stats(ContainerStatsRequest {
            container_id: id.clone(),
        })
        .await
        .expect("figures")
        .into_inner()
        .stats
        .expect("figures");
    let used = stats
        .memory
        .and_then(|m| m.usage_bytes)
        .expect("memory")
        .value;
    assert!(used > 0 && used < 128 << 20, "{used}");
    assert!(stats.cpu.and_then(|c| c.usage_core_nano_seconds).is_some());
    let stats = node
        .runtime
        .pod_sandbox_stats(PodSandboxStatsRequest {
            pod_sandbox_id: sandbox.clone(),
        })
        .await
        .expect("figures")
        .into_inner()
        .stats
        .and_then(|stats| stats.linux)
        .expect("figures");
    assert_eq!(stats.containers.len(), 1);
    node.remove(&sandbox).await;
    assert!(
        node.leftovers(&pod).is_empty(),
        "{:?}",
        node.leftovers(&pod)
    );
}

#[tokio::test]
async fn listeners_hear_of_an_end_at_once() {
    let Some(mut node) = Node::start().await else {
        return;
    };
    let mut events = node
        .runtime
        .get_container_events(GetEventsRequest {})
        .await
        .expect("a stream")
        .into_inner();
    let pod = node.pod("events");
    let sandbox = node.run(&pod).await;
    let id = node
        .start_container(&pod, &sandbox, shell("main", "exit 4"))
        .await;
    let mut seen = Vec::new();
    while let Ok(Some(Ok(event))) =
        tokio::time::timeout(Duration::from_secs(5), events.next()).await
    {
        if event.container_id == id {
            seen.push(event.container_event_type());
        }
        if event.container_event_type() == ContainerEventType::ContainerStoppedEvent {
            let status = &event.containers_statuses[0];
            assert_eq!((status.id.as_str(), status.exit_code), (id.as_str(), 4));
            break;
        }
    }
    assert!(
        seen.contains(&ContainerEventType::ContainerCreatedEvent),
        "{seen:?}"
    );
    assert!(
        seen.contains(&ContainerEventType::ContainerStoppedEvent),
        "{seen:?}"
    );
    node.remove(&sandbox).await;
}

#[tokio::test]
async fn logs_are_reopened_after_a_rotation() {
    let Some(mut node) = Node::start().await else {
        return;
    };
    let pod = node.pod("logs");
    let sandbox = node.run(&pod).await;
    let script = "echo first; while [ ! -e /go ]; do sleep 0.02; done; echo second; sleep 1000";
    let id = node
        .start_container(&pod, &sandbox, shell("main", script))
        .await;
    let path = node.status(&id).await.log_path;
    let contains = async |path: &str, words: &str| {
        for _ in 0..200 {
            if std::fs::read_to_string(path).is_ok_and(|text| text.contains(words)) {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        false
    };
    assert!(contains(&path, "first").await);
    std::fs::rename(&path, format!("{path}.1")).expect("renames");
    let reopen = ReopenContainerLogRequest {
        container_id: id.clone(),
    };
    node.runtime
        .reopen_container_log(reopen)
        .await
        .expect("reopens");
    node.exec(&id, "echo >/go").await;
    assert!(contains(&path, "second").await);
    let old = std::fs::read_to_string(format!("{path}.1")).expect("the old log");
    assert!(!old.contains("second"));
    // SIGTERM is obeyed within the grace period, by the exit code that the shell gives it.
    let stop = StopContainerRequest {
        container_id: id.clone(),
        timeout: 30,
    };
    let config = shell(
        "polite",
        "trap 'exit 6' TERM; while true; do sleep 0.05; done",
    );
    let polite = node.start_container(&pod, &sandbox, config).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let begin = std::time::Instant::now();
    let stop = StopContainerRequest {
        container_id: polite.clone(),
        ..stop
    };
    node.runtime.stop_container(stop).await.expect("stops");
    assert!(begin.elapsed() < Duration::from_secs(5));
    assert_eq!(node.ended(&polite).await.exit_code, 6);
    node.remove(&sandbox).await;
}

#[tokio::test]
async fn an_exec_that_takes_too_long_is_killed() {
    let Some(mut node) = Node::start().await else {
        return;
    };
    let pod = node.pod("slow");
    let sandbox = node.run(&pod).await;
    let id = node
        .start_container(&pod, &sandbox, shell("main", "sleep 1000"))
        .await;
    let error = node
        .runtime
        .exec_sync(ExecSyncRequest {
            container_id: id.clone(),
            cmd: vec!["sleep".into(), "77".into()],
            timeout: 1,
        })
        .await
        .expect_err("too slow");
    assert_eq!(error.code(), tonic::Code::DeadlineExceeded);
    let mut gone = false;
    for _ in 0..50 {
        gone = !output(&mut node, &id, "ps").await.contains("sleep 77");
        if gone {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(gone);
    let answer = node.exec(&id, "nonsense").await;
    assert_eq!(answer.exit_code, 127);
    // More output than fits is cut, not an error.
    let answer = node
        .exec(&id, "dd if=/dev/zero bs=1048576 count=20 2>/dev/null")
        .await;
    assert_eq!((answer.exit_code, answer.stdout.len()), (0, 16 << 20));
    node.remove(&sandbox).await;
}

#[tokio::test]
async fn many_pods_come_and_go_at_once() {
    let Some(mut node) = Node::start().await else {
        return;
    };
    let pods: Vec<PodSandboxConfig> = (0..20).map(|n| node.pod(&format!("many-{n}"))).collect();
    let lives = pods.iter().enumerate().map(|(number, pod)| {
        let mut runtime = node.runtime.clone();
        let pod = pod.clone();
        tokio::spawn(async move {
            let pod_sandbox_id = runtime
                .run_pod_sandbox(RunPodSandboxRequest {
                    config: Some(pod.clone()),
                    runtime_handler: String::new(),
                })
                .await?
                .into_inner()
                .pod_sandbox_id;
            let container_id = runtime
                .create_container(CreateContainerRequest {
                    pod_sandbox_id: pod_sandbox_id.clone(),
                    config: Some(shell("main", &format!("echo {number}; exec sleep 1000"))),
                    sandbox_config: Some(pod),
                })
                .await?
                .into_inner()
                .container_id;
            runtime
                .start_container(StartContainerRequest {
                    container_id: container_id.clone(),
                })
                .await?;
            let echo = runtime
                .exec_sync(ExecSyncRequest {
                    container_id,
                    cmd: vec!["hostname".into()],
                    timeout: 10,
                })
                .await?
                .into_inner();
            assert_eq!(echo.stdout, format!("many-{number}\n").into_bytes());
            runtime
                .stop_pod_sandbox(StopPodSandboxRequest {
                    pod_sandbox_id: pod_sandbox_id.clone(),
                })
                .await?;
            runtime
                .remove_pod_sandbox(RemovePodSandboxRequest { pod_sandbox_id })
                .await?;
            Ok::<_, tonic::Status>(())
        })
    });
    for life in futures::future::join_all(lives).await {
        life.expect("no panic").expect("a whole life");
    }
    for pod in &pods {
        assert!(node.leftovers(pod).is_empty(), "{:?}", node.leftovers(pod));
    }
    assert!(node.shims().is_empty());
    let log = std::fs::read_to_string(node.path("server.log")).expect("a log");
    assert!(!log.contains("WARN"), "nothing went wrong: {log}");
    let list = ListContainersRequest::default();
    let left = node
        .runtime
        .list_containers(list)
        .await
        .expect("a list")
        .into_inner();
    assert!(left.containers.is_empty());
}
