//! From a sandbox to an exit code.

use k8s_cri::v1::*;

use crate::harness::{Node, shell};

#[tokio::test]
async fn a_pod_runs_logs_and_ends_with_its_exit_code() {
    let Some(mut node) = Node::start().await else {
        return;
    };
    let pod = node.pod("web");
    let begin = std::time::Instant::now();
    let sandbox = node.run(&pod).await;
    let sandbox_time = begin.elapsed();
    let status = node
        .runtime
        .pod_sandbox_status(PodSandboxStatusRequest {
            pod_sandbox_id: sandbox.clone(),
            verbose: false,
        })
        .await
        .expect("a status")
        .into_inner()
        .status
        .expect("a status");
    assert_eq!(status.state, PodSandboxState::SandboxReady as i32);
    assert_eq!(status.network.expect("a network").ip, "10.244.9.9");

    let config = shell(
        "main",
        "echo out; echo err >&2; echo \"$FROM $HOME\"; hostname; exit 3",
    );
    let begin = std::time::Instant::now();
    let id = node.start_container(&pod, &sandbox, config).await;
    eprintln!(
        "sandbox {sandbox_time:?}, create and start {:?}",
        begin.elapsed()
    );
    let status = node.ended(&id).await;
    assert_eq!((status.exit_code, status.reason.as_str()), (3, "Error"));
    assert!(status.created_at > 0 && status.created_at <= status.started_at);
    assert!(status.started_at <= status.finished_at);
    let log = std::fs::read_to_string(&status.log_path).expect("a log");
    let lines: Vec<String> = log
        .lines()
        .map(|line| line.split_once(' ').expect("a time and more").1.to_owned())
        .collect();
    let mut stdout: Vec<&str> = lines.iter().map(String::as_str).collect();
    stdout.retain(|line| line.starts_with("stdout"));
    assert_eq!(
        stdout,
        ["stdout F out", "stdout F image /root", "stdout F web"]
    );
    assert!(lines.contains(&"stderr F err".to_owned()), "{log}");
    node.remove(&sandbox).await;
    let cni = std::fs::read_to_string(node.path("cni.log")).expect("the plugin was called");
    let commands: Vec<&str> = cni
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert_eq!(commands, ["ADD", "DEL"]);
}

#[tokio::test]
async fn commands_run_in_a_container_and_return_what_they_wrote() {
    let Some(mut node) = Node::start().await else {
        return;
    };
    let pod = node.pod("exec");
    let sandbox = node.run(&pod).await;
    let id = node
        .start_container(&pod, &sandbox, shell("main", "sleep 1000"))
        .await;
    let begin = std::time::Instant::now();
    let answer = node.exec(&id, "echo hello; echo no >&2; exit 7").await;
    eprintln!("exec {:?}", begin.elapsed());
    assert_eq!(answer.exit_code, 7);
    assert_eq!(String::from_utf8_lossy(&answer.stdout), "hello\n");
    assert_eq!(String::from_utf8_lossy(&answer.stderr), "no\n");
    for (command, expected) in [
        (
            "cat /etc/resolv.conf",
            "search cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n",
        ),
        ("hostname", "exec\n"),
        ("readlink /proc/1/exe", "/bin/busybox\n"),
        ("cat /proc/1/oom_score_adj", "900\n"),
    ] {
        let answer = node.exec(&id, command).await;
        let text = String::from_utf8_lossy(&answer.stdout).into_owned();
        assert_eq!(
            text,
            expected,
            "{command}: {}",
            String::from_utf8_lossy(&answer.stderr)
        );
    }
    let stop = StopContainerRequest {
        container_id: id.clone(),
        timeout: 1,
    };
    node.runtime.stop_container(stop).await.expect("stops");
    assert_eq!(node.ended(&id).await.exit_code, 137);
    node.remove(&sandbox).await;
}

#[tokio::test]
async fn a_program_that_is_not_there_is_a_start_error() {
    let Some(mut node) = Node::start().await else {
        return;
    };
    let pod = node.pod("missing");
    let sandbox = node.run(&pod).await;
    let mut config = shell("main", "");
    config.command = vec!["nonsense".into()];
    let id = node.create(&pod, &sandbox, config).await;
    let error = node
        .runtime
        .start_container(StartContainerRequest {
            container_id: id.clone(),
        })
        .await
        .expect_err("cannot start");
    assert!(
        error
            .message()
            .contains("exec: \"nonsense\": executable file not found in $PATH"),
        "{error}"
    );
    let status = node.status(&id).await;
    assert_eq!(
        (status.exit_code, status.reason.as_str()),
        (128, "StartError")
    );
    node.remove(&sandbox).await;
}

#[tokio::test]
async fn the_runtime_tells_who_it_is_and_how_it_is() {
    let Some(mut node) = Node::start().await else {
        return;
    };
    let version = node
        .runtime
        .version(VersionRequest::default())
        .await
        .expect("a version")
        .into_inner();
    assert_eq!(version.runtime_name, "ferrule");
    assert_eq!(version.runtime_api_version, "v1");
    let conditions = async |node: &mut Node| {
        let request = StatusRequest { verbose: true };
        let response = node.runtime.status(request).await.expect("a status");
        let status = response.into_inner().status.expect("a status");
        status
            .conditions
            .into_iter()
            .map(|condition| (condition.r#type, condition.status))
            .collect::<Vec<_>>()
    };
    let expected = |ready| {
        [
            ("RuntimeReady".to_owned(), true),
            ("NetworkReady".to_owned(), ready),
        ]
    };
    assert_eq!(conditions(&mut node).await, expected(true));
    std::fs::remove_file(node.path("net.d/10-test.conflist")).expect("is there");
    assert_eq!(conditions(&mut node).await, expected(false));
    let mut health = tonic_health::pb::health_client::HealthClient::new(node.channel.clone());
    for service in ["", "runtime.v1.RuntimeService", "runtime.v1.ImageService"] {
        let request = tonic_health::pb::HealthCheckRequest {
            service: service.into(),
        };
        let status = health
            .check(request)
            .await
            .expect("an answer")
            .into_inner()
            .status;
        assert_eq!(status, 1, "{service}");
    }
    // A failed network leaves nothing behind.
    let pod = node.pod("unplugged");
    let request = RunPodSandboxRequest {
        config: Some(pod.clone()),
        runtime_handler: String::new(),
    };
    let error = node
        .runtime
        .run_pod_sandbox(request)
        .await
        .expect_err("no network");
    assert!(
        error.message().contains("cni plugin not initialized"),
        "{error}"
    );
    assert!(
        node.leftovers(&pod).is_empty(),
        "{:?}",
        node.leftovers(&pod)
    );
}
