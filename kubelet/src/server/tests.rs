//! The service over real connections, against a runtime whose streams echo.

use std::time::Duration;

use ferrule_proto::v1::node_client::NodeClient;
use ferrule_proto::v1::node_server::NodeServer;
use futures::SinkExt;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio_stream::wrappers::TcpListenerStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;

use super::*;
use crate::worker::Worker;
use crate::worker::tests::{Node as Fixture, node, pod, running, until};

const TIME: Duration = Duration::from_secs(20);

/// A stream of the runtime. It reads no further while what it answers is not taken, as pipes are.
async fn echo(stream: TcpStream, protocol: &'static str) {
    let mut path = String::new();
    #[allow(clippy::result_large_err)] // The library's signature.
    let handshake =
        |request: &Request, mut response: Response| -> Result<Response, ErrorResponse> {
            path = request.uri().to_string();
            let header = protocol.parse().expect("a header");
            response
                .headers_mut()
                .insert("Sec-WebSocket-Protocol", header);
            Ok(response)
        };
    let accepted = tokio_tungstenite::accept_hdr_async(stream, handshake).await;
    let mut socket = accepted.expect("a client");
    let say = |channel: u8, data: &[u8]| Message::Binary([&[channel], data].concat().into());
    let ports = path.starts_with("/portforward");
    if ports {
        assert!(
            path.ends_with("?port=8080") || path.ends_with("?port=81"),
            "{path}"
        );
        for channel in [0, 1] {
            socket
                .send(say(channel, &[0x90, 0x1f]))
                .await
                .expect("listens");
        }
        if path.ends_with("=81") {
            socket
                .send(say(1, b"error forwarding port 81"))
                .await
                .expect("listens");
            let _ = socket.close(None).await;
            return;
        }
    }
    let answers = u8::from(!ports);
    while let Some(Ok(message)) = socket.next().await {
        let Message::Binary(data) = message else {
            continue;
        };
        let answer = match data.split_first() {
            Some((0, data)) => say(answers, data),
            Some((4, size)) => say(2, size),
            // The end of what the client says is the end of the answer.
            Some((255, _)) if ports => say(255, &[0]),
            Some((255, _)) => {
                let end = json!({"status": "Failure", "details": {"causes": [{"reason": "ExitCode", "message": "7"}]}});
                socket
                    .send(say(3, end.to_string().as_bytes()))
                    .await
                    .expect("listens");
                let _ = socket.close(None).await;
                return;
            }
            _ => continue,
        };
        if socket.send(answer).await.is_err() {
            return;
        }
    }
}

async fn streams(protocol: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(echo(stream, protocol));
        }
    });
    format!("http://{address}")
}

/// A node with one running pod, and a client of its service.
async fn serve(groups: &[&str]) -> (Fixture, NodeClient<Channel>) {
    let fixture = node();
    fixture.runtime.world().streams = streams("v5.channel.k8s.io").await;
    let handle = Worker::start(
        fixture.kubelet.clone(),
        pod(json!({})),
        1,
        None,
        false,
        || {},
    );
    until(&handle, running).await;
    let directory = Directory::default();
    directory.insert("u1".to_owned(), handle);
    let service = NodeServer::new(NodeService::new(fixture.kubelet.clone(), directory));
    let identity = Identity {
        user: "kube-apiserver".to_owned(),
        uid: String::new(),
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
    };
    let service = InterceptedService::new(service, move |mut request: tonic::Request<()>| {
        request.extensions_mut().insert(identity.clone());
        Ok(request)
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let serving = tonic::transport::Server::builder()
        .add_service(service)
        .serve_with_incoming(TcpListenerStream::new(listener));
    tokio::spawn(serving);
    let endpoint = Channel::from_shared(format!("http://{address}")).expect("a URL");
    let channel = endpoint.connect().await.expect("a connection");
    (fixture, NodeClient::new(channel))
}

fn container() -> Option<v1::PodContainer> {
    Some(v1::PodContainer {
        namespace: "shop".to_owned(),
        pod: "web".to_owned(),
        ..v1::PodContainer::default()
    })
}

fn open(command: &[&str]) -> exec_request::Frame {
    exec_request::Frame::Open(v1::ExecOpen {
        container: container(),
        command: command.iter().map(|word| (*word).to_owned()).collect(),
        stdin: true,
        stdout: true,
        stderr: true,
        tty: false,
    })
}

fn forward(port: u32) -> port_forward_request::Frame {
    let container = container();
    port_forward_request::Frame::Open(v1::PortForwardOpen { container, port })
}

type Frames<T> = mpsc::Sender<T>;

fn frames<T: Send + 'static>() -> (Frames<T>, ReceiverStream<T>) {
    let (sender, receiver) = mpsc::channel(4);
    (sender, ReceiverStream::new(receiver))
}

#[tokio::test]
async fn input_and_output_do_not_wait_for_one_another() {
    let (fixture, mut client) = serve(&[GROUP]).await;
    let (sender, input) = frames();
    let send = |frame| v1::ExecRequest { frame: Some(frame) };
    sender.send(send(open(&["cat"]))).await.expect("open");
    let mut output = client.exec(input).await.expect("a stream").into_inner();
    const SIZE: usize = 24 << 20;
    let sending = tokio::spawn(async move {
        let size = v1::TerminalSize {
            width: 80,
            height: 24,
        };
        let resize = exec_request::Frame::Resize(size);
        sender.send(send(resize)).await.expect("open");
        for _ in 0..SIZE >> 20 {
            let data = exec_request::Frame::Stdin(vec![1; 1 << 20].into());
            sender.send(send(data)).await.expect("open");
        }
        // Nothing is read until all this has found its way into buffers, or cannot.
        let close = exec_request::Frame::CloseStdin(v1::CloseStdin {});
        sender.send(send(close)).await.expect("open");
        sender
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    let (mut count, mut errors, mut code) = (0, String::new(), None);
    let reading = async {
        while let Some(frame) = output.message().await.expect("no error") {
            match frame.frame.expect("a frame") {
                exec_response::Frame::Stdout(data) => count += data.len(),
                exec_response::Frame::Stderr(data) => errors += &String::from_utf8_lossy(&data),
                exec_response::Frame::ExitCode(own) => code = Some(own),
            }
        }
    };
    tokio::time::timeout(TIME, reading).await.expect("in time");
    assert_eq!((count, code), (SIZE, Some(7)));
    assert_eq!(errors, r#"{"Height":24,"Width":80}"#);
    drop(sending.await.expect("sent"));
    let world = fixture.runtime.world();
    let call = world.calls.last().map(String::as_str);
    assert_eq!(call, Some(r#"exec c2 ["cat"] tty=false"#));
}

#[tokio::test]
async fn an_attachment_is_to_the_running_container_as_it_was_made() {
    let (fixture, mut client) = serve(&[GROUP]).await;
    let (sender, input) = frames();
    let send = |frame| v1::ExecRequest { frame: Some(frame) };
    sender.send(send(open(&[]))).await.expect("open");
    let mut output = client.attach(input).await.expect("a stream").into_inner();
    let hello = exec_request::Frame::Stdin("hello".into());
    sender.send(send(hello)).await.expect("open");
    let said = output
        .message()
        .await
        .expect("no error")
        .and_then(|own| own.frame);
    assert_eq!(said, Some(exec_response::Frame::Stdout("hello".into())));
    let calls = fixture.runtime.world().calls.clone();
    let call = calls.last().map(String::as_str);
    assert_eq!(call, Some("attach c2 tty=false stderr=true"));
    let container = v1::PodContainer {
        container: "none".to_owned(),
        ..container().unwrap_or_default()
    };
    let wrong = exec_request::Frame::Open(v1::ExecOpen {
        container: Some(container),
        ..v1::ExecOpen::default()
    });
    let once = futures::stream::iter([send(wrong)]);
    let error = client.attach(once).await.expect_err("no such container");
    assert_eq!(error.message(), "container none not found in pod web_shop");
}

#[tokio::test]
async fn a_forwarded_port_tells_the_end_of_each_half() {
    let (fixture, mut client) = serve(&[GROUP]).await;
    let send = |frame| v1::PortForwardRequest { frame: Some(frame) };
    let (sender, input) = frames();
    sender.send(send(forward(8080))).await.expect("open");
    let mut output = client
        .port_forward(input)
        .await
        .expect("a stream")
        .into_inner();
    let hello = port_forward_request::Frame::Data("hello".into());
    sender.send(send(hello)).await.expect("open");
    let said = output
        .message()
        .await
        .expect("no error")
        .map(|own| own.data);
    assert_eq!(said, Some("hello".into()));
    let close = port_forward_request::Frame::CloseWrite(v1::CloseStdin {});
    sender.send(send(close)).await.expect("open");
    let said = output
        .message()
        .await
        .expect("no error")
        .map(|own| own.data);
    assert_eq!(said, Some("".into()), "the pod says nothing more");
    let end = tokio::time::timeout(TIME, output.message()).await;
    assert_eq!(end.expect("in time").expect("no error"), None);
    let call = fixture.runtime.world().calls.last().cloned();
    assert_eq!(call.as_deref(), Some("forward s1 [8080]"));

    let (sender, input) = frames();
    sender.send(send(forward(81))).await.expect("open");
    let mut output = client
        .port_forward(input)
        .await
        .expect("a stream")
        .into_inner();
    let error = output.message().await.expect_err("nobody listens");
    assert_eq!(error.message(), "error forwarding port 81");
    drop(sender);

    for (frame, expected) in [
        (forward(0), "invalid port: 0"),
        (forward(70_000), "invalid port: 70000"),
        (
            port_forward_request::Frame::Data("x".into()),
            "the first frame must open the session",
        ),
    ] {
        let once = futures::stream::iter([send(frame)]);
        let error = client.port_forward(once).await.expect_err("refused");
        assert_eq!(error.message(), expected);
    }
}

#[tokio::test]
async fn only_the_api_server_may_call() {
    let (_fixture, mut client) = serve(&["system:nodes"]).await;
    let once = futures::stream::iter([v1::PortForwardRequest {
        frame: Some(forward(8080)),
    }]);
    let error = client.port_forward(once).await.expect_err("refused");
    assert_eq!(error.code(), tonic::Code::PermissionDenied);
}
