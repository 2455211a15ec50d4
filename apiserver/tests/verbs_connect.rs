//! Logs, exec, attach and port-forward through the API server to a kubelet that a test plays.

#[path = "support/api.rs"]
mod api;
#[path = "support/cluster.rs"]
mod cluster;
#[path = "support/etcd.rs"]
mod etcd;

use std::time::Duration;

use cluster::{Cluster, NODE, cluster};
use ferrule_apimachinery::scheme::gvr;
use ferrule_apimachinery::status::{Reason, Status};
use ferrule_apiserver::serve::ServeOptions;
use ferrule_client::{At, Client};
use ferrule_component_base::health::Health;
use ferrule_component_base::metrics::Metrics;
use ferrule_component_base::server::Server;
use ferrule_proto::v1;
use ferrule_proto::v1::connect_request::Frame as In;
use ferrule_proto::v1::connect_response::Frame as Out;
use ferrule_proto::v1::node_server::{Node, NodeServer};
use ferrule_proto::v1::{exec_request, exec_response, port_forward_request};
use futures::StreamExt;
use futures::stream::BoxStream;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::{Request, Response, Streaming};

type Answers<T> = BoxStream<'static, Result<T, tonic::Status>>;

/// Says back what it hears; a process ends when nothing more comes.
struct Echo;

fn said(text: String) -> v1::ExecResponse {
    v1::ExecResponse {
        frame: Some(exec_response::Frame::Stdout(text.into_bytes().into())),
    }
}

fn ended(code: i32) -> v1::ExecResponse {
    v1::ExecResponse {
        frame: Some(exec_response::Frame::ExitCode(code)),
    }
}

/// A process: it tells how it was begun, says back its input and the size of its terminal.
fn process(open: v1::ExecOpen, frames: Streaming<v1::ExecRequest>) -> Answers<v1::ExecResponse> {
    let container = open.container.unwrap_or_default();
    let begun = said(format!(
        "{}/{}/{} {:?} {} {} {} {}\n",
        container.namespace,
        container.pod,
        container.container,
        open.command,
        open.stdin,
        open.stdout,
        open.stderr,
        open.tty
    ));
    let code = i32::from(open.command.first().is_some_and(|word| word == "fail"));
    let answer = move |frame: Result<v1::ExecRequest, tonic::Status>| {
        Some(Ok(match frame.ok()?.frame? {
            exec_request::Frame::Stdin(data) => said(String::from_utf8_lossy(&data).into_owned()),
            exec_request::Frame::Resize(size) => said(format!("{}x{}\n", size.width, size.height)),
            exec_request::Frame::CloseStdin(_) => ended(code),
            exec_request::Frame::Open(_) => return None,
        }))
    };
    let answers = frames.filter_map(move |frame| std::future::ready(answer(frame)));
    futures::stream::iter([Ok(begun)]).chain(answers).boxed()
}

async fn opened(frames: &mut Streaming<v1::ExecRequest>) -> v1::ExecOpen {
    match frames.message().await.unwrap().unwrap().frame {
        Some(exec_request::Frame::Open(open)) => open,
        other => panic!("the first frame opens, not {other:?}"),
    }
}

#[tonic::async_trait]
impl Node for Echo {
    type LogsStream = Answers<v1::LogsResponse>;
    type ExecStream = Answers<v1::ExecResponse>;
    type AttachStream = Answers<v1::ExecResponse>;
    type PortForwardStream = Answers<v1::PortForwardResponse>;

    async fn logs(
        &self,
        request: Request<v1::LogsRequest>,
    ) -> Result<Response<Self::LogsStream>, tonic::Status> {
        let line = format!("last {:?}\n", request.into_inner().tail_lines);
        let chunk = v1::LogsResponse {
            data: line.into_bytes().into(),
        };
        Ok(Response::new(futures::stream::iter([Ok(chunk)]).boxed()))
    }

    async fn exec(
        &self,
        request: Request<Streaming<v1::ExecRequest>>,
    ) -> Result<Response<Self::ExecStream>, tonic::Status> {
        let mut frames = request.into_inner();
        let open = opened(&mut frames).await;
        Ok(Response::new(process(open, frames)))
    }

    async fn attach(
        &self,
        request: Request<Streaming<v1::ExecRequest>>,
    ) -> Result<Response<Self::AttachStream>, tonic::Status> {
        let mut frames = request.into_inner();
        let open = opened(&mut frames).await;
        let wanted = open.container.clone().unwrap_or_default();
        if wanted.container == "stopped" {
            let why = format!(
                "container stopped not found in pod {}_{}",
                wanted.pod, wanted.namespace
            );
            return Err(tonic::Status::not_found(why));
        }
        Ok(Response::new(process(open, frames)))
    }

    async fn port_forward(
        &self,
        request: Request<Streaming<v1::PortForwardRequest>>,
    ) -> Result<Response<Self::PortForwardStream>, tonic::Status> {
        let mut frames = request.into_inner();
        let first = frames.message().await?.and_then(|frame| frame.frame);
        let Some(port_forward_request::Frame::Open(open)) = first else {
            return Err(tonic::Status::invalid_argument("not opened"));
        };
        if open.port == 81 {
            return Err(tonic::Status::internal(
                "connect to port 81: connection refused",
            ));
        }
        let chunk = |data: Vec<u8>| Ok(v1::PortForwardResponse { data: data.into() });
        let greeting = chunk(format!("port {}\n", open.port).into_bytes());
        let answer =
            move |frame: Result<v1::PortForwardRequest, tonic::Status>| match frame.ok()?.frame? {
                port_forward_request::Frame::Data(data) => Some(chunk(data.to_ascii_uppercase())),
                port_forward_request::Frame::CloseWrite(_) => Some(chunk(Vec::new())),
                port_forward_request::Frame::Open(_) => None,
            };
        let answers = frames.filter_map(move |frame| std::future::ready(answer(frame)));
        Ok(Response::new(
            futures::stream::iter([greeting]).chain(answers).boxed(),
        ))
    }
}

/// A cluster with one node, and pods: `p` with two containers on it, `waiting` on none.
struct Scene {
    cluster: Cluster,
    _kubelet: DropGuard,
    _dir: tempfile::TempDir,
}

async fn scene() -> Scene {
    let cluster = cluster(ServeOptions::default()).await;
    let dir = tempfile::tempdir().unwrap();
    let files = cluster.authority.files(dir.path(), "system:node:n1");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let shutdown = CancellationToken::new();
    let kubelet = Server::new(Health::default(), Metrics::default()).grpc(NodeServer::new(Echo));
    let until = shutdown.clone();
    tokio::spawn(async move { kubelet.serve_on(listener, files, until).await });
    let server = &cluster.server;
    let node = json!({"metadata": {"name": NODE}});
    server.create("nodes", node).await.unwrap();
    let status = json!({"status": {
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
    }});
    server
        .merge(&format!("nodes/{NODE}/status"), status)
        .await
        .unwrap();
    for (name, node) in [("p", NODE), ("waiting", "")] {
        let mut pod = api::pod(name);
        pod["spec"]["containers"] =
            json!([{"name": "c", "image": "busybox"}, {"name": "stopped", "image": "busybox"}]);
        if !node.is_empty() {
            pod["spec"]["nodeName"] = node.into();
        }
        server.create("pods", pod).await.unwrap();
    }
    Scene {
        cluster,
        _kubelet: shutdown.drop_guard(),
        _dir: dir,
    }
}

/// What a stream said in all: its texts, and the Status at its end.
#[derive(Debug, Default)]
struct Heard {
    text: String,
    empty: usize,
    status: Option<Value>,
}

/// Connects, sends frames, and listens until the stream ends, or until nothing more is to come.
async fn connect(
    client: &Client,
    what: &str,
    parameters: &[(&str, &str)],
    frames: Vec<In>,
) -> Result<Heard, Status> {
    let (pod, subresource) = what.split_once('/').unwrap();
    let at = At::of(gvr::PODS)
        .namespace("default")
        .name(pod)
        .subresource(subresource);
    let parameters: Vec<(&str, String)> = parameters
        .iter()
        .map(|(name, value)| (*name, (*value).to_owned()))
        .collect();
    let frames = frames
        .into_iter()
        .map(|frame| v1::ConnectRequest { frame: Some(frame) });
    let listen = async {
        let input = futures::stream::iter(frames);
        let mut stream = client.connect(&at, &parameters, input).await?;
        let mut heard = Heard::default();
        while let Some(frame) = stream.next().await {
            match frame.map_err(ferrule_client::client::status_of)?.frame {
                Some(Out::Stdout(data)) if data.is_empty() => heard.empty += 1,
                Some(Out::Stdout(data) | Out::Stderr(data)) => {
                    heard.text.push_str(&String::from_utf8_lossy(&data));
                }
                Some(Out::Status(status)) => {
                    heard.status = serde_json::from_slice(&status).ok();
                }
                None => {}
            }
        }
        Ok(heard)
    };
    tokio::time::timeout(Duration::from_secs(20), listen)
        .await
        .expect("the stream ends in time")
}

fn text(text: &str) -> In {
    In::Stdin(text.as_bytes().to_vec().into())
}

fn close() -> In {
    In::CloseStdin(v1::CloseStdin {})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_is_given_input_and_the_size_of_its_terminal_and_tells_its_end() {
    let scene = scene().await;
    let admin = scene.cluster.admin();
    let resize = In::Resize(v1::TerminalSize {
        width: 80,
        height: 24,
    });
    let frames = vec![text("hello\n"), resize, close()];
    let exec = [
        ("container", "c"),
        ("command", "sh"),
        ("command", "-i"),
        ("stdin", "true"),
        ("stdout", "true"),
        ("stderr", "true"),
        ("tty", "true"),
    ];
    let heard = connect(&admin, "p/exec", &exec, frames.clone())
        .await
        .unwrap();
    assert_eq!(
        heard.text,
        "default/p/c [\"sh\", \"-i\"] true true false true\nhello\n80x24\n"
    );
    assert_eq!(heard.status.unwrap()["status"], "Success");
    let attach = [("container", "c"), ("stdin", "true"), ("stdout", "true")];
    let heard = connect(&admin, "p/attach", &attach, frames).await.unwrap();
    assert_eq!(
        heard.text,
        "default/p/c [] true true false false\nhello\n80x24\n"
    );
    assert_eq!(heard.status.unwrap()["status"], "Success");
    let fail = [("container", "c"), ("command", "fail"), ("stdout", "true")];
    let status = connect(&admin, "p/exec", &fail, vec![close()])
        .await
        .unwrap()
        .status
        .unwrap();
    assert_eq!(status["reason"], "NonZeroExitCode");
    assert_eq!(
        status["details"]["causes"][0],
        json!({"reason": "ExitCode", "message": "1"})
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forwarded_port_carries_bytes_both_ways_and_the_end_of_each() {
    let scene = scene().await;
    let admin = scene.cluster.admin();
    let frames = vec![text("one "), text("two"), close()];
    let heard = connect(&admin, "p/portforward", &[("ports", "8080")], frames)
        .await
        .unwrap();
    assert_eq!(
        (heard.text.as_str(), heard.empty),
        ("port 8080\nONE TWO", 1)
    );
    let refusal = connect(&admin, "p/portforward", &[("ports", "81")], Vec::new())
        .await
        .unwrap_err();
    assert_eq!(refusal.reason, Reason::InternalError);
    assert_eq!(
        refusal.message,
        "Internal error occurred: connect to port 81: connection refused"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kubelet_that_is_away_is_said_to_be() {
    let scene = scene().await;
    let admin = scene.cluster.admin();
    // A port that nobody listens on.
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let ports = json!({"status": {"daemonEndpoints": {"kubeletEndpoint": {"Port": port}}}});
    let node = format!("nodes/{NODE}/status");
    scene.cluster.server.merge(&node, ports).await.unwrap();
    let attach = [("container", "c"), ("stdout", "true")];
    let refusal = connect(&admin, "p/attach", &attach, Vec::new())
        .await
        .unwrap_err();
    assert_eq!(refusal.http_code(), 500);
    assert!(
        refusal.message.starts_with("error dialing backend: "),
        "{refusal}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_come_through() {
    let scene = scene().await;
    let options = [("container", "c"), ("tailLines", "5")];
    let heard = connect(&scene.cluster.admin(), "p/log", &options, Vec::new())
        .await
        .unwrap();
    assert_eq!(heard.text, "last Some(5)\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_cannot_be_are_refused_in_upstreams_words() {
    let scene = scene().await;
    let admin = scene.cluster.admin();
    const HEAR: (&str, &str) = ("stdout", "true");
    let choose = "a container name must be specified for pod p, choose one of: [c stopped]";
    type Case = (
        &'static str,
        &'static [(&'static str, &'static str)],
        u16,
        &'static str,
    );
    let cases: &[Case] = &[
        ("none/attach", &[HEAR], 404, "pods \"none\" not found"),
        ("p/attach", &[HEAR], 400, choose),
        (
            "p/attach",
            &[("container", "x"), HEAR],
            400,
            "container x is not valid for pod p",
        ),
        (
            "p/attach",
            &[("container", "c")],
            400,
            "you must specify at least 1 of stdin, stdout, stderr",
        ),
        (
            "p/attach",
            &[("container", "stopped"), HEAR],
            400,
            "container stopped not found in pod p_default",
        ),
        (
            "p/exec",
            &[("container", "c"), HEAR],
            400,
            "you must specify at least one command",
        ),
        (
            "waiting/attach",
            &[("container", "c"), HEAR],
            400,
            "pod waiting does not have a host assigned",
        ),
        (
            "waiting/portforward",
            &[("ports", "80")],
            400,
            "pod waiting does not have a host assigned",
        ),
        (
            "p/portforward",
            &[("ports", "0")],
            400,
            "port \"0\" must be > 0",
        ),
        (
            "p/portforward",
            &[("ports", "70000")],
            400,
            "unable to parse \"70000\" as a port: strconv.ParseUint: parsing \"70000\": value out of range",
        ),
    ];
    for (what, parameters, code, why) in cases {
        let refusal = connect(&admin, what, parameters, Vec::new())
            .await
            .unwrap_err();
        assert_eq!(
            (refusal.http_code(), refusal.message.as_str()),
            (*code, *why),
            "{what}"
        );
    }
    for (user, group) in [
        ("system:kube-scheduler", ""),
        ("system:node:n1", "system:nodes"),
    ] {
        let client = scene.cluster.client(user, group);
        for what in ["p/attach", "p/portforward", "p/exec"] {
            let refusal = connect(&client, what, &[], Vec::new()).await.unwrap_err();
            assert_eq!(refusal.reason, Reason::Forbidden, "{user} {what}");
        }
    }
}
