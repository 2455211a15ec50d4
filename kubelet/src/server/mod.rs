//! The `Node` service on the kubelet's port: logs, terminals and ports, for the API server alone.

mod channels;
mod exec;
pub mod logs;
mod port_forward;
#[cfg(test)]
mod tests;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use ferrule_component_base::identity::Identity;
use ferrule_proto::v1::node_server::Node;
use ferrule_proto::v1::{self, exec_request, exec_response, port_forward_request};
use futures::{Stream, StreamExt};
use k8s_cri::v1 as cri;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::context::Kubelet;
use crate::pod::State;
use crate::pods::Directory;
use crate::worker::Handle;

/// Who may call: the API server's client certificate, and administrators.
const GROUP: &str = "system:masters";
/// How long a caller may take to say what it wants.
const OPEN: Duration = Duration::from_secs(30);

/// Serves logs, terminals and ports of the pods in a directory.
#[derive(Clone)]
pub struct NodeService {
    kubelet: Arc<Kubelet>,
    directory: Directory,
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

impl NodeService {
    /// For the pods in `directory`.
    pub fn new(kubelet: Arc<Kubelet>, directory: Directory) -> NodeService {
        NodeService { kubelet, directory }
    }

    fn pod(&self, wanted: &v1::PodContainer) -> Result<Handle, Status> {
        let found = self
            .directory
            .find(&wanted.namespace, &wanted.pod, &wanted.uid);
        found.ok_or_else(|| Status::not_found(format!("pod {:?} cannot be found", wanted.pod)))
    }
}

fn authorize<T>(request: &Request<T>) -> Result<(), Status> {
    match request.extensions().get::<Identity>() {
        Some(identity) if identity.in_group(GROUP) => Ok(()),
        Some(identity) => Err(Status::permission_denied(format!(
            "user {:?} may not use this node",
            identity.user
        ))),
        None => Err(Status::unauthenticated("Unauthorized")),
    }
}

fn container_of(handle: &Handle, wanted: &v1::PodContainer) -> String {
    if !wanted.container.is_empty() {
        return wanted.container.clone();
    }
    let view = handle.view.borrow();
    crate::pod::spec::containers(&view.pod)
        .first()
        .map(|own| own.name.clone())
        .unwrap_or_default()
}

/// The runtime's name of the running attempt at a container.
fn running(handle: &Handle, container: &str) -> Option<String> {
    let view = handle.view.borrow();
    let mut records = view.containers.iter();
    let running = records.find(|own| own.name == container && own.state == State::Running);
    running.map(|own| own.id.clone())
}

/// The frame that opens a stream.
async fn first<T>(frames: &mut Streaming<T>) -> Result<Option<T>, Status> {
    match tokio::time::timeout(OPEN, frames.message()).await {
        Ok(frame) => frame,
        Err(_) => Err(Status::deadline_exceeded(
            "the session was not opened in time",
        )),
    }
}

fn not_opened() -> Status {
    Status::invalid_argument("the first frame must open the session")
}

async fn open_of(frames: &mut Streaming<v1::ExecRequest>) -> Result<v1::ExecOpen, Status> {
    match first(frames).await?.and_then(|frame| frame.frame) {
        Some(exec_request::Frame::Open(open)) => Ok(open),
        _ => Err(not_opened()),
    }
}

fn refused(error: crate::cri::CriError) -> Status {
    Status::new(error.code, error.message)
}

/// Carries a process's streams in a task of its own.
async fn carry(
    url: &str,
    frames: Streaming<v1::ExecRequest>,
) -> Result<Response<Answers<v1::ExecResponse>>, Status> {
    let channels = channels::connect(url).await?;
    let (sender, receiver) = mpsc::channel(16);
    tokio::spawn(async move {
        let end = exec::run(channels, frames, &sender).await;
        let answer = end.map(|code| v1::ExecResponse {
            frame: Some(exec_response::Frame::ExitCode(code)),
        });
        let _ = sender.send(answer).await;
    });
    Ok(Response::new(ReceiverStream::new(receiver).boxed()))
}

#[tonic::async_trait]
impl Node for NodeService {
    type LogsStream = Answers<v1::LogsResponse>;
    type ExecStream = Answers<v1::ExecResponse>;
    type AttachStream = Answers<v1::ExecResponse>;
    type PortForwardStream = Answers<v1::PortForwardResponse>;

    async fn logs(
        &self,
        request: Request<v1::LogsRequest>,
    ) -> Result<Response<Self::LogsStream>, Status> {
        authorize(&request)?;
        let request = request.into_inner();
        let wanted = request.container.clone().unwrap_or_default();
        let handle = self.pod(&wanted)?;
        let container = container_of(&handle, &wanted);
        let options = logs::Options::new(&request)?;
        let source = logs::source(&self.kubelet, &handle, &container, request.previous)
            .map_err(Status::failed_precondition)?;
        let (sender, receiver) = mpsc::channel(16);
        tokio::spawn(async move {
            let result = logs::send(source, options, handle, &sender).await;
            if let Err(error) = result {
                let _ = sender.send(Err(Status::internal(error.to_string()))).await;
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver).boxed()))
    }

    async fn exec(
        &self,
        request: Request<Streaming<v1::ExecRequest>>,
    ) -> Result<Response<Self::ExecStream>, Status> {
        authorize(&request)?;
        let mut frames = request.into_inner();
        let open = open_of(&mut frames).await?;
        let wanted = open.container.clone().unwrap_or_default();
        let handle = self.pod(&wanted)?;
        let container = container_of(&handle, &wanted);
        let id = running(&handle, &container)
            .ok_or_else(|| Status::not_found(format!("container not found ({container:?})")))?;
        let request = cri::ExecRequest {
            container_id: id,
            cmd: open.command,
            tty: open.tty,
            stdin: open.stdin,
            stdout: open.stdout,
            stderr: open.stderr && !open.tty,
        };
        let answer = self.kubelet.cri.exec(request).await.map_err(refused)?;
        carry(&answer.url, frames).await
    }

    async fn attach(
        &self,
        request: Request<Streaming<v1::ExecRequest>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        authorize(&request)?;
        let mut frames = request.into_inner();
        let open = open_of(&mut frames).await?;
        let wanted = open.container.clone().unwrap_or_default();
        let handle = self.pod(&wanted)?;
        let container = container_of(&handle, &wanted);
        let id = running(&handle, &container).ok_or_else(|| {
            Status::not_found(format!(
                "container {container} not found in pod {}_{}",
                wanted.pod, wanted.namespace
            ))
        })?;
        // A running process has a terminal or has none, whatever its client would like.
        let tty = {
            let view = handle.view.borrow();
            let own = crate::pod::spec::container(&view.pod, &container);
            own.is_some_and(|(own, _)| own.tty == Some(true))
        };
        let request = cri::AttachRequest {
            container_id: id,
            stdin: open.stdin,
            tty,
            stdout: open.stdout,
            stderr: open.stderr && !tty,
        };
        let answer = self.kubelet.cri.attach(request).await.map_err(refused)?;
        carry(&answer.url, frames).await
    }

    async fn port_forward(
        &self,
        request: Request<Streaming<v1::PortForwardRequest>>,
    ) -> Result<Response<Self::PortForwardStream>, Status> {
        authorize(&request)?;
        let mut frames = request.into_inner();
        let first = first(&mut frames).await?.and_then(|frame| frame.frame);
        let Some(port_forward_request::Frame::Open(open)) = first else {
            return Err(not_opened());
        };
        let wanted = open.container.unwrap_or_default();
        let handle = self.pod(&wanted)?;
        let port = u16::try_from(open.port)
            .ok()
            .filter(|port| *port > 0)
            .ok_or_else(|| Status::invalid_argument(format!("invalid port: {}", open.port)))?;
        let sandbox = handle.view.borrow().sandbox.clone().ok_or_else(|| {
            Status::not_found(format!(
                "pod not found ({:?})",
                format!("{}_{}", wanted.pod, wanted.namespace)
            ))
        })?;
        let request = cri::PortForwardRequest {
            pod_sandbox_id: sandbox,
            port: vec![i32::from(port)],
        };
        let answer = self
            .kubelet
            .cri
            .port_forward(request)
            .await
            .map_err(refused)?;
        let channels = channels::connect(&format!("{}?port={port}", answer.url)).await?;
        let (sender, receiver) = mpsc::channel(16);
        tokio::spawn(async move {
            if let Err(status) = port_forward::run(channels, frames, &sender).await {
                let _ = sender.send(Err(status)).await;
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver).boxed()))
    }
}
