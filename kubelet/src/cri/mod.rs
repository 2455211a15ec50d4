//! The only way to the container runtime: CRI v1 over a unix socket.

pub mod config;
pub mod observe;
pub mod security;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hyper_util::rt::TokioIo;
use k8s_cri::v1::image_service_client::ImageServiceClient;
use k8s_cri::v1::runtime_service_client::RuntimeServiceClient;
use k8s_cri::v1::{self as cri};
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Code, Request, Streaming};

/// Label with the pod's name.
pub const POD_NAME: &str = "io.kubernetes.pod.name";
/// Label with the pod's namespace.
pub const POD_NAMESPACE: &str = "io.kubernetes.pod.namespace";
/// Label with the pod's uid.
pub const POD_UID: &str = "io.kubernetes.pod.uid";
/// Label with the container's name.
pub const CONTAINER_NAME: &str = "io.kubernetes.container.name";
/// Annotation with the fingerprint of the container's definition.
pub const HASH: &str = "io.kubernetes.container.hash";
/// Annotation with the restart count.
pub const RESTART_COUNT: &str = "io.kubernetes.container.restartCount";

const MESSAGE_LIMIT: usize = 64 << 20;
const SHORT: Duration = Duration::from_secs(30);
/// For what may take its time: sandboxes with their network, creation of containers.
const LONG: Duration = Duration::from_secs(240);
const PULL: Duration = Duration::from_secs(3600);

/// The runtime refused or could not be reached.
#[derive(Clone, Debug, thiserror::Error)]
#[error("rpc error: code = {code} desc = {message}", code = name(*.code))]
pub struct CriError {
    /// The gRPC code.
    pub code: Code,
    /// What the runtime said.
    pub message: String,
}

impl From<tonic::Status> for CriError {
    fn from(status: tonic::Status) -> CriError {
        CriError {
            code: status.code(),
            message: status.message().to_owned(),
        }
    }
}

impl CriError {
    /// Whether the thing in question does not exist.
    pub fn is_not_found(&self) -> bool {
        self.code == Code::NotFound
    }
}

/// The names that Go's gRPC prints.
fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "Canceled",
        Code::Unknown => "Unknown",
        Code::InvalidArgument => "InvalidArgument",
        Code::DeadlineExceeded => "DeadlineExceeded",
        Code::NotFound => "NotFound",
        Code::AlreadyExists => "AlreadyExists",
        Code::PermissionDenied => "PermissionDenied",
        Code::ResourceExhausted => "ResourceExhausted",
        Code::FailedPrecondition => "FailedPrecondition",
        Code::Aborted => "Aborted",
        Code::OutOfRange => "OutOfRange",
        Code::Unimplemented => "Unimplemented",
        Code::Internal => "Internal",
        Code::Unavailable => "Unavailable",
        Code::DataLoss => "DataLoss",
        Code::Unauthenticated => "Unauthenticated",
    }
}

/// The runtime and its images. Clones share one connection, made when it is first needed.
#[derive(Clone, Debug)]
pub struct Cri {
    runtime: RuntimeServiceClient<Channel>,
    images: ImageServiceClient<Channel>,
    /// When the runtime answered last, or when we began to ask.
    heard: Arc<Mutex<Instant>>,
}

type Answer<T> = Result<T, CriError>;

fn timed<T>(message: T, timeout: Duration) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(timeout);
    request
}

/// A tonic deadline is only told to the server; this one holds here as well.
async fn within<T>(
    timeout: Duration,
    call: impl Future<Output = Result<tonic::Response<T>, tonic::Status>>,
) -> Answer<T> {
    match tokio::time::timeout(timeout, call).await {
        Ok(answer) => Ok(answer?.into_inner()),
        Err(_) => Err(CriError {
            code: Code::DeadlineExceeded,
            message: "context deadline exceeded".to_owned(),
        }),
    }
}

/// A method that sends a message within a deadline and returns the answer.
macro_rules! calls {
    ($($(#[$doc:meta])* $name:ident($request:ident) -> $response:ident on $service:ident in $timeout:expr;)*) => {
        $($(#[$doc])* pub async fn $name(&self, message: cri::$request) -> Answer<cri::$response> {
            let timeout = $timeout;
            let mut service = self.$service.clone();
            within(timeout, service.$name(timed(message, timeout))).await
        })*
    };
}

impl Cri {
    /// The runtime behind `endpoint`: `unix:///run/x.sock` or a path.
    pub fn new(endpoint: &str) -> Result<Cri, tonic::transport::Error> {
        let path = PathBuf::from(endpoint.strip_prefix("unix://").unwrap_or(endpoint));
        let channel = Endpoint::try_from("http://localhost")?
            .connect_timeout(Duration::from_secs(5))
            .connect_with_connector_lazy(tower::service_fn(move |_: Uri| connect(path.clone())));
        Ok(Cri {
            runtime: RuntimeServiceClient::new(channel.clone())
                .max_decoding_message_size(MESSAGE_LIMIT),
            images: ImageServiceClient::new(channel).max_decoding_message_size(MESSAGE_LIMIT),
            heard: Arc::new(Mutex::new(Instant::now())),
        })
    }

    /// For how long the runtime has not said how it is.
    pub fn silence(&self) -> Duration {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.elapsed()
    }

    /// Whether runtime and network work.
    pub async fn status(&self) -> Answer<cri::StatusResponse> {
        let mut runtime = self.runtime.clone();
        let request = timed(cri::StatusRequest { verbose: false }, SHORT);
        let answer = within(SHORT, runtime.status(request)).await;
        if answer.is_ok() {
            *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        }
        answer
    }

    calls! {
        /// Name and version of the runtime.
        version(VersionRequest) -> VersionResponse on runtime in SHORT;
        /// Which driver makes control groups.
        runtime_config(RuntimeConfigRequest) -> RuntimeConfigResponse on runtime in SHORT;
        /// Makes and starts a sandbox.
        run_pod_sandbox(RunPodSandboxRequest) -> RunPodSandboxResponse on runtime in LONG;
        /// Stops a sandbox.
        stop_pod_sandbox(StopPodSandboxRequest) -> StopPodSandboxResponse on runtime in LONG;
        /// Removes a sandbox with its containers.
        remove_pod_sandbox(RemovePodSandboxRequest) -> RemovePodSandboxResponse on runtime in LONG;
        /// One sandbox.
        pod_sandbox_status(PodSandboxStatusRequest) -> PodSandboxStatusResponse on runtime in SHORT;
        /// Sandboxes.
        list_pod_sandbox(ListPodSandboxRequest) -> ListPodSandboxResponse on runtime in SHORT;
        /// Makes a container.
        create_container(CreateContainerRequest) -> CreateContainerResponse on runtime in LONG;
        /// Starts a container.
        start_container(StartContainerRequest) -> StartContainerResponse on runtime in LONG;
        /// Removes a container.
        remove_container(RemoveContainerRequest) -> RemoveContainerResponse on runtime in LONG;
        /// Containers.
        list_containers(ListContainersRequest) -> ListContainersResponse on runtime in SHORT;
        /// One container.
        container_status(ContainerStatusRequest) -> ContainerStatusResponse on runtime in SHORT;
        /// Prepares a stream to a new process.
        exec(ExecRequest) -> ExecResponse on runtime in SHORT;
        /// Prepares a stream to a container's own process.
        attach(AttachRequest) -> AttachResponse on runtime in SHORT;
        /// Prepares a stream to a port of a sandbox.
        port_forward(PortForwardRequest) -> PortForwardResponse on runtime in SHORT;
        /// Opens the log anew after it was moved.
        reopen_container_log(ReopenContainerLogRequest) -> ReopenContainerLogResponse on runtime in SHORT;
        /// Images on the node.
        list_images(ListImagesRequest) -> ListImagesResponse on images in SHORT;
        /// One image.
        image_status(ImageStatusRequest) -> ImageStatusResponse on images in SHORT;
        /// Pulls an image.
        pull_image(PullImageRequest) -> PullImageResponse on images in PULL;
    }

    /// Stops a container: SIGTERM, after `grace` SIGKILL.
    pub async fn stop_container(&self, id: &str, grace: Duration) -> Answer<()> {
        let seconds = i64::try_from(grace.as_secs_f64().ceil() as u64).unwrap_or(i64::MAX);
        let message = cri::StopContainerRequest {
            container_id: id.to_owned(),
            timeout: seconds,
        };
        let timeout = grace + LONG;
        let mut runtime = self.runtime.clone();
        within(timeout, runtime.stop_container(timed(message, timeout)))
            .await
            .map(|_| ())
    }

    /// Runs a command in a container to its end.
    pub async fn exec_sync(
        &self,
        id: &str,
        command: &[String],
        timeout: Duration,
    ) -> Answer<cri::ExecSyncResponse> {
        let seconds = i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX);
        let message = cri::ExecSyncRequest {
            container_id: id.to_owned(),
            cmd: command.to_vec(),
            timeout: seconds,
        };
        // 0 is no limit of the runtime's; the call itself always has one.
        let outer = if timeout.is_zero() {
            LONG
        } else {
            timeout + Duration::from_secs(2)
        };
        let mut runtime = self.runtime.clone();
        within(outer, runtime.exec_sync(timed(message, outer))).await
    }

    /// What happens to containers, as it happens.
    pub async fn events(&self) -> Answer<Streaming<cri::ContainerEventResponse>> {
        let mut runtime = self.runtime.clone();
        within(
            SHORT,
            runtime.get_container_events(cri::GetEventsRequest {}),
        )
        .await
    }
}

async fn connect(path: impl AsRef<Path>) -> std::io::Result<TokioIo<UnixStream>> {
    Ok(TokioIo::new(UnixStream::connect(path).await?))
}
