//! Exec, attach and port-forward over WebSocket.

use std::time::Duration;

use futures::{SinkExt, StreamExt};
use k8s_cri::v1::*;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::harness::{Node, shell};

struct Client(WebSocketStream<TcpStream>);

#[derive(Default, Debug)]
struct Received {
    stdout: String,
    stderr: String,
    status: String,
}

impl Client {
    async fn open(url: &str) -> Client {
        let address = url
            .trim_start_matches("http://")
            .split('/')
            .next()
            .expect("a host");
        let stream = TcpStream::connect(address).await.expect("connects");
        let mut request = url
            .replacen("http", "ws", 1)
            .into_client_request()
            .expect("a request");
        let protocol = "v5.channel.k8s.io".parse().expect("a header");
        request
            .headers_mut()
            .insert("Sec-WebSocket-Protocol", protocol);
        let (socket, response) = tokio_tungstenite::client_async(request, stream)
            .await
            .expect("is upgraded");
        assert_eq!(
            response.headers()["Sec-WebSocket-Protocol"],
            "v5.channel.k8s.io"
        );
        Client(socket)
    }

    async fn send(&mut self, channel: u8, data: &[u8]) {
        let mut bytes = vec![channel];
        bytes.extend_from_slice(data);
        self.0.send(Message::binary(bytes)).await.expect("sends");
    }

    /// The next channel and its data.
    async fn next(&mut self) -> Option<(u8, Vec<u8>)> {
        loop {
            let next = tokio::time::timeout(Duration::from_secs(20), self.0.next()).await;
            match next.expect("in time")? {
                Ok(Message::Binary(data)) => return Some((data[0], data[1..].to_vec())),
                Ok(Message::Close(_)) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// Reads to the end, or until standard output holds `until`.
    async fn receive(&mut self, until: Option<&str>) -> Received {
        let mut received = Received::default();
        loop {
            let next = tokio::time::timeout(Duration::from_secs(10), self.0.next()).await;
            let Some(Ok(Message::Binary(data))) = next.expect("in time") else {
                return received;
            };
            let text = String::from_utf8_lossy(&data[1..]).into_owned();
            match data[0] {
                1 => received.stdout += &text,
                2 => received.stderr += &text,
                3 => received.status += &text,
                other => panic!("channel {other}"),
            }
            if until.is_some_and(|until| received.stdout.contains(until)) {
                return received;
            }
        }
    }
}

async fn attach(node: &mut Node, id: &str, stdin: bool, tty: bool) -> Client {
    let response = node
        .runtime
        .attach(AttachRequest {
            container_id: id.to_owned(),
            stdin,
            tty,
            stdout: true,
            stderr: !tty,
        })
        .await
        .expect("a stream");
    Client::open(&response.into_inner().url).await
}

/// A connection to a port of a sandbox, and what was said of it before the first data.
async fn forward(node: &mut Node, sandbox: &str, port: u16) -> Client {
    let response = node
        .runtime
        .port_forward(PortForwardRequest {
            pod_sandbox_id: sandbox.to_owned(),
            port: vec![i32::from(port)],
        })
        .await
        .expect("a stream");
    let mut client = Client::open(&format!("{}?port={port}", response.into_inner().url)).await;
    for channel in [0, 1] {
        let said = client.next().await.expect("the port");
        assert_eq!(said, (channel, port.to_le_bytes().to_vec()));
    }
    client
}

async fn exec(node: &mut Node, id: &str, command: &[&str], tty: bool) -> Client {
    let response = node
        .runtime
        .exec(ExecRequest {
            container_id: id.into(),
            cmd: command.iter().map(|word| (*word).to_owned()).collect(),
            tty,
            stdin: true,
            stdout: true,
            stderr: !tty,
        })
        .await
        .expect("a stream");
    Client::open(&response.into_inner().url).await
}

#[tokio::test]
async fn exec_carries_all_streams_and_the_exit_code() {
    let Some(mut node) = Node::start().await else {
        return;
    };
    let pod = node.pod("streams");
    let sandbox = node.run(&pod).await;
    let id = node
        .start_container(&pod, &sandbox, shell("main", "sleep 1000"))
        .await;

    let mut client = exec(
        &mut node,
        &id,
        &["sh", "-c", "cat; echo bad >&2; exit 3"],
        false,
    )
    .await;
    client.send(0, b"some input\n").await;
    client.send(255, &[0]).await;
    let received = client.receive(None).await;
    assert_eq!(
        (received.stdout.as_str(), received.stderr.as_str()),
        ("some input\n", "bad\n")
    );
    let status: serde_json::Value = serde_json::from_str(&received.status).expect("a status");
    assert_eq!(status["status"], "Failure");
    assert_eq!(status["reason"], "NonZeroExitCode");
    assert_eq!(status["details"]["causes"][0]["message"], "3");

    let mut client = exec(&mut node, &id, &["true"], false).await;
    assert!(client.receive(None).await.status.contains("Success"));

    let mut client = exec(&mut node, &id, &["nonsense"], false).await;
    let received = client.receive(None).await;
    assert!(
        received
            .status
            .contains("executable file not found in $PATH"),
        "{received:?}"
    );

    let mut client = exec(&mut node, &id, &["sh", "-c", "seq 1 200000"], false).await;
    let received = client.receive(None).await;
    assert!(
        received.stdout.ends_with("\n200000\n"),
        "{}",
        received.stdout.len()
    );
    node.remove(&sandbox).await;
}

#[tokio::test]
async fn a_terminal_has_the_size_that_the_client_says() {
    let Some(mut node) = Node::start().await else {
        return;
    };
    let pod = node.pod("terminal");
    let sandbox = node.run(&pod).await;
    let id = node
        .start_container(&pod, &sandbox, shell("main", "sleep 1000"))
        .await;
    let mut client = exec(&mut node, &id, &["sh"], true).await;
    client.send(4, br#"{"Width":97,"Height":31}"#).await;
    client
        .send(0, b"stty size; echo T=$TERM; echo do''ne\n")
        .await;
    let received = client.receive(Some("\r\ndone")).await;
    assert!(received.stdout.contains("31 97"), "{received:?}");
    assert!(received.stdout.contains("T=xterm"), "{received:?}");
    client.send(0, b"exit 9\n").await;
    let received = client.receive(None).await;
    assert!(received.status.contains(r#""message":"9""#), "{received:?}");
    node.remove(&sandbox).await;
}

#[tokio::test]
async fn attach_talks_to_the_container_itself() {
    let Some(mut node) = Node::start().await else {
        return;
    };
    for tty in [false, true] {
        let pod = node.pod(if tty { "attach-tty" } else { "attach" });
        let sandbox = node.run(&pod).await;
        let mut config = shell(
            "main",
            "while read line; do echo \"got $line\"; done; exit 8",
        );
        config.stdin = true;
        config.stdin_once = true;
        config.tty = tty;
        let id = node.start_container(&pod, &sandbox, config).await;
        let mut client = attach(&mut node, &id, true, tty).await;
        client.send(0, b"hello\n").await;
        client.receive(Some("got hello")).await;
        if tty {
            client.send(0, &[4]).await;
        } else {
            client.send(255, &[0]).await;
        }
        let status = node.ended(&id).await;
        assert_eq!(status.exit_code, 8);
        let log = std::fs::read_to_string(&status.log_path).expect("a log");
        assert!(log.contains("stdout F got hello"), "{log}");
        node.remove(&sandbox).await;
    }
}

#[tokio::test]
async fn several_clients_see_a_container_and_leave_it_running() {
    let Some(mut node) = Node::start().await else {
        return;
    };
    let pod = node.pod("several");
    let sandbox = node.run(&pod).await;
    let mut config = shell(
        "main",
        "while read line; do echo \"out $line\"; echo \"err $line\" >&2; done; exit 1",
    );
    config.stdin = true;
    let id = node.start_container(&pod, &sandbox, config).await;
    let mut first = attach(&mut node, &id, true, false).await;
    let mut second = attach(&mut node, &id, true, false).await;
    let mut onlooker = attach(&mut node, &id, false, false).await;
    // Who attaches sees what comes from then on: a line is sent until everybody was there for one.
    for client in [&mut second, &mut onlooker] {
        let mut tries = 0..20;
        loop {
            assert!(tries.next().is_some(), "a client sees no output");
            first.send(0, b"one\n").await;
            let seen = client.receive(Some("out one"));
            if tokio::time::timeout(Duration::from_secs(1), seen)
                .await
                .is_ok()
            {
                break;
            }
        }
    }
    first.receive(Some("out one")).await;
    drop(first);
    // Who closes its input leaves, and is told that all is well; the container's input stays open.
    second.send(0, b"two\n").await;
    let seen = onlooker.receive(Some("out two")).await;
    assert!(!seen.stdout.contains("err"), "{seen:?}");
    second.receive(Some("out two")).await;
    second.send(255, &[0]).await;
    assert!(second.receive(None).await.status.contains("Success"));
    let status = node.status(&id).await;
    assert_eq!(status.state, ContainerState::ContainerRunning as i32);
    let mut third = attach(&mut node, &id, true, false).await;
    third.send(0, b"three\n").await;
    third.receive(Some("out three")).await;
    let mut errors = String::new();
    while !errors.contains("err three") {
        let (channel, data) = onlooker.next().await.expect("goes on");
        if channel == 2 {
            errors += &String::from_utf8_lossy(&data);
        }
    }
    node.remove(&sandbox).await;
    assert!(onlooker.receive(None).await.status.contains("Success"));
}

#[tokio::test]
async fn a_slow_client_loses_nothing() {
    let Some(mut node) = Node::start().await else {
        return;
    };
    let pod = node.pod("slow");
    let sandbox = node.run(&pod).await;
    let mut config = shell("main", "read go; seq 1 2000000");
    config.stdin = true;
    config.stdin_once = true;
    let id = node.start_container(&pod, &sandbox, config).await;
    let mut attached = attach(&mut node, &id, true, false).await;
    attached.send(0, b"go\n").await;
    attached.send(255, &[0]).await;
    let mut client = exec(&mut node, &id, &["seq", "1", "1000000"], false).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    for (client, last) in [(&mut client, "\n1000000\n"), (&mut attached, "\n2000000\n")] {
        let received = client.receive(None).await;
        assert!(received.stdout.ends_with(last), "{}", received.stdout.len());
        assert!(received.status.contains("Success"), "{}", received.status);
    }
    node.remove(&sandbox).await;
}

#[tokio::test]
async fn the_size_of_a_containers_own_terminal_follows_its_client() {
    let Some(mut node) = Node::start().await else {
        return;
    };
    let pod = node.pod("own-terminal");
    let sandbox = node.run(&pod).await;
    let mut config = shell("main", "exec sh");
    (config.stdin, config.tty) = (true, true);
    let id = node.start_container(&pod, &sandbox, config).await;
    for (width, height) in [(90, 20), (133, 41)] {
        let mut client = attach(&mut node, &id, true, true).await;
        let size = format!(r#"{{"Width":{width},"Height":{height}}}"#);
        client.send(4, size.as_bytes()).await;
        client.send(0, b"stty size; echo do''ne\n").await;
        let received = client.receive(Some("\r\ndone")).await;
        assert!(
            received.stdout.contains(&format!("{height} {width}")),
            "{received:?}"
        );
    }
    node.remove(&sandbox).await;
}

#[tokio::test]
async fn a_port_is_forwarded_with_its_halves_closed_one_by_one() {
    let Some(mut node) = Node::start().await else {
        return;
    };
    let pod = node.pod("ports");
    let sandbox = node.run(&pod).await;
    let serve = "busybox nc -ll -p 8080 -e /bin/cat & \
                 busybox httpd -f -p [::1]:8081 & \
                 busybox nc -ll -p 8082 -e /bin/dd if=/dev/zero bs=1M count=48 & \
                 busybox nc -ll -p 8083 -e /bin/sh -c 'sleep 0.5; cat | busybox wc -c' & sleep 1000";
    let id = node
        .start_container(&pod, &sandbox, shell("main", serve))
        .await;
    let listens = "for i in $(seq 100); do [ $(busybox netstat -ltn | grep -c ':808[0-3]') = 4 ] && exit; sleep 0.05; done; exit 1";
    assert_eq!(node.exec(&id, listens).await.exit_code, 0);

    // What the client has said comes back, though it said that this was all.
    let mut client = forward(&mut node, &sandbox, 8080).await;
    client.send(0, b"hello").await;
    client.send(255, &[0]).await;
    let mut echo = Vec::new();
    loop {
        match client.next().await {
            Some((0, data)) => echo.extend(data),
            other => {
                assert_eq!(other, Some((255, vec![0])));
                break;
            }
        }
    }
    assert_eq!(echo, b"hello");
    assert_eq!(client.next().await, None);
    // Who listens to IPv6 alone is found too.
    let mut client = forward(&mut node, &sandbox, 8081).await;
    client.send(0, b"GET / HTTP/1.0\r\n\r\n").await;
    let (channel, answer) = client.next().await.expect("an answer");
    assert!(channel == 0 && answer.starts_with(b"HTTP/1."), "{answer:?}");
    // Much, to a client that begins late.
    let mut client = forward(&mut node, &sandbox, 8082).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let mut count = 0;
    while let Some((0, data)) = client.next().await {
        count += data.len();
    }
    assert_eq!(count, 48 << 20);
    // Much, to a pod that begins late.
    let mut client = forward(&mut node, &sandbox, 8083).await;
    for _ in 0..256 {
        client.send(0, &[7; 64 << 10]).await;
    }
    client.send(255, &[0]).await;
    let (channel, data) = client.next().await.expect("a count");
    assert_eq!((channel, data), (0, b"16777216\n".to_vec()));

    let mut client = forward(&mut node, &sandbox, 81).await;
    let (channel, words) = client.next().await.expect("an error");
    let words = String::from_utf8_lossy(&words).into_owned();
    assert_eq!(channel, 1);
    assert!(
        words.starts_with(&format!(
            "error forwarding port 81 to pod {sandbox}, uid : failed to execute portforward in network namespace"
        )) && words.ends_with(
            "IPv4: dial tcp4 127.0.0.1:81: connect: connection refused IPv6 dial tcp6 [::1]:81: connect: connection refused"
        ),
        "{words}"
    );
    node.remove(&sandbox).await;
    let gone = PortForwardRequest {
        pod_sandbox_id: sandbox,
        port: vec![80],
    };
    let error = node.runtime.port_forward(gone).await.expect_err("is gone");
    assert_eq!(error.code(), tonic::Code::NotFound);
}
