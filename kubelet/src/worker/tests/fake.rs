//! A runtime in memory, behind a real socket: sandboxes and containers without processes.

use std::collections::BTreeMap;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use futures::Stream;
use k8s_cri::v1::image_service_server::{ImageService, ImageServiceServer};
use k8s_cri::v1::runtime_service_server::{RuntimeService, RuntimeServiceServer};
use k8s_cri::v1::*;
use tokio::net::UnixListener;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::{Request, Response, Status, transport::Server};

/// What the runtime has.
#[derive(Default)]
pub struct World {
    pub sandboxes: BTreeMap<String, (PodSandboxConfig, bool)>,
    pub containers: BTreeMap<String, (String, ContainerStatus)>,
    /// Every call that changes something, in order.
    pub calls: Vec<String>,
    /// Where streams are served.
    pub streams: String,
    next: i64,
}

impl World {
    fn id(&mut self, kind: &str) -> String {
        self.next += 1;
        format!("{kind}{}", self.next)
    }

    /// The process of a container ends.
    pub fn exit(&mut self, id: &str, code: i32) {
        self.next += 1;
        if let Some((_, status)) = self.containers.get_mut(id) {
            status.state = ContainerState::ContainerExited as i32;
            status.exit_code = code;
            status.finished_at = jiff::Timestamp::now().as_nanosecond() as i64;
        }
    }

    /// Ids of running containers.
    pub fn running(&self) -> Vec<String> {
        let running =
            |status: &ContainerStatus| status.state == ContainerState::ContainerRunning as i32;
        self.containers
            .iter()
            .filter(|(_, (_, status))| running(status))
            .map(|(id, _)| id.clone())
            .collect()
    }
}

#[derive(Clone, Default)]
pub struct Fake(pub Arc<Mutex<World>>);

impl Fake {
    /// Serves on a socket in `directory`; its endpoint.
    pub fn serve(&self, directory: &Path) -> String {
        let socket = directory.join("cri.sock");
        let listener = UnixListener::bind(&socket).expect("a socket");
        let serving = Server::builder()
            .add_service(RuntimeServiceServer::new(self.clone()))
            .add_service(ImageServiceServer::new(self.clone()))
            .serve_with_incoming(UnixListenerStream::new(listener));
        tokio::spawn(serving);
        format!("unix://{}", socket.display())
    }

    pub fn world(&self) -> std::sync::MutexGuard<'_, World> {
        self.0.lock().expect("no test panicked")
    }
}

type Answer<T> = Result<Response<T>, Status>;

fn missing(id: &str) -> Status {
    Status::not_found(format!("{id} does not exist"))
}

/// Methods that these tests never need.
macro_rules! absent {
    ($($name:ident($request:ty) -> $response:ty;)*) => {
        $(fn $name<'a, 'b>(&'a self, _: Request<$request>) -> Pin<Box<dyn Future<Output = Answer<$response>> + Send + 'b>>
        where 'a: 'b, Self: 'b {
            Box::pin(async { Err(Status::unimplemented(stringify!($name))) })
        })*
    };
}

#[tonic::async_trait]
impl RuntimeService for Fake {
    type GetContainerEventsStream =
        Pin<Box<dyn Stream<Item = Result<ContainerEventResponse, Status>> + Send>>;

    absent! {
        version(VersionRequest) -> VersionResponse;
        update_container_resources(UpdateContainerResourcesRequest) -> UpdateContainerResourcesResponse;
        reopen_container_log(ReopenContainerLogRequest) -> ReopenContainerLogResponse;
        exec_sync(ExecSyncRequest) -> ExecSyncResponse;
        container_stats(ContainerStatsRequest) -> ContainerStatsResponse;
        list_container_stats(ListContainerStatsRequest) -> ListContainerStatsResponse;
        pod_sandbox_stats(PodSandboxStatsRequest) -> PodSandboxStatsResponse;
        list_pod_sandbox_stats(ListPodSandboxStatsRequest) -> ListPodSandboxStatsResponse;
        update_runtime_config(UpdateRuntimeConfigRequest) -> UpdateRuntimeConfigResponse;
        status(StatusRequest) -> StatusResponse;
        checkpoint_container(CheckpointContainerRequest) -> CheckpointContainerResponse;
        get_container_events(GetEventsRequest) -> Self::GetContainerEventsStream;
        list_metric_descriptors(ListMetricDescriptorsRequest) -> ListMetricDescriptorsResponse;
        list_pod_sandbox_metrics(ListPodSandboxMetricsRequest) -> ListPodSandboxMetricsResponse;
        runtime_config(RuntimeConfigRequest) -> RuntimeConfigResponse;
    }

    async fn exec(&self, request: Request<ExecRequest>) -> Answer<ExecResponse> {
        let own = request.into_inner();
        let mut world = self.world();
        let call = format!("exec {} {:?} tty={}", own.container_id, own.cmd, own.tty);
        world.calls.push(call);
        let url = format!("{}/exec", world.streams);
        Ok(Response::new(ExecResponse { url }))
    }

    async fn attach(&self, request: Request<AttachRequest>) -> Answer<AttachResponse> {
        let own = request.into_inner();
        let mut world = self.world();
        let call = format!(
            "attach {} tty={} stderr={}",
            own.container_id, own.tty, own.stderr
        );
        world.calls.push(call);
        let url = format!("{}/attach", world.streams);
        Ok(Response::new(AttachResponse { url }))
    }

    async fn port_forward(
        &self,
        request: Request<PortForwardRequest>,
    ) -> Answer<PortForwardResponse> {
        let own = request.into_inner();
        let mut world = self.world();
        let call = format!("forward {} {:?}", own.pod_sandbox_id, own.port);
        world.calls.push(call);
        let url = format!("{}/portforward", world.streams);
        Ok(Response::new(PortForwardResponse { url }))
    }

    async fn run_pod_sandbox(
        &self,
        request: Request<RunPodSandboxRequest>,
    ) -> Answer<RunPodSandboxResponse> {
        let config = request.into_inner().config.unwrap_or_default();
        let mut world = self.world();
        let pod_sandbox_id = world.id("s");
        world.calls.push(format!("run {pod_sandbox_id}"));
        world
            .sandboxes
            .insert(pod_sandbox_id.clone(), (config, true));
        Ok(Response::new(RunPodSandboxResponse { pod_sandbox_id }))
    }

    async fn stop_pod_sandbox(
        &self,
        request: Request<StopPodSandboxRequest>,
    ) -> Answer<StopPodSandboxResponse> {
        let id = request.into_inner().pod_sandbox_id;
        let mut world = self.world();
        world.calls.push(format!("stop {id}"));
        let inside: Vec<String> = world
            .containers
            .iter()
            .filter(|(_, (own, _))| *own == id)
            .map(|(id, _)| id.clone())
            .collect();
        let running = world.running();
        inside
            .iter()
            .filter(|id| running.contains(id))
            .for_each(|id| world.exit(id, 137));
        world.sandboxes.get_mut(&id).ok_or_else(|| missing(&id))?.1 = false;
        Ok(Response::new(StopPodSandboxResponse {}))
    }

    async fn remove_pod_sandbox(
        &self,
        request: Request<RemovePodSandboxRequest>,
    ) -> Answer<RemovePodSandboxResponse> {
        let id = request.into_inner().pod_sandbox_id;
        let mut world = self.world();
        world.calls.push(format!("remove {id}"));
        world.sandboxes.remove(&id);
        Ok(Response::new(RemovePodSandboxResponse {}))
    }

    async fn pod_sandbox_status(
        &self,
        request: Request<PodSandboxStatusRequest>,
    ) -> Answer<PodSandboxStatusResponse> {
        let id = request.into_inner().pod_sandbox_id;
        let world = self.world();
        let (config, ready) = world.sandboxes.get(&id).ok_or_else(|| missing(&id))?;
        let status = PodSandboxStatus {
            metadata: config.metadata.clone(),
            state: i32::from(!ready),
            network: Some(PodSandboxNetworkStatus {
                ip: "10.244.1.5".into(),
                additional_ips: Vec::new(),
            }),
            created_at: 1,
            id,
            ..PodSandboxStatus::default()
        };
        Ok(Response::new(PodSandboxStatusResponse {
            status: Some(status),
            ..PodSandboxStatusResponse::default()
        }))
    }

    async fn list_pod_sandbox(
        &self,
        _: Request<ListPodSandboxRequest>,
    ) -> Answer<ListPodSandboxResponse> {
        let world = self.world();
        let item = |(id, (config, ready)): (&String, &(PodSandboxConfig, bool))| PodSandbox {
            id: id.clone(),
            metadata: config.metadata.clone(),
            state: i32::from(!ready),
            labels: config.labels.clone(),
            ..PodSandbox::default()
        };
        Ok(Response::new(ListPodSandboxResponse {
            items: world.sandboxes.iter().map(item).collect(),
        }))
    }

    async fn create_container(
        &self,
        request: Request<CreateContainerRequest>,
    ) -> Answer<CreateContainerResponse> {
        let request = request.into_inner();
        let config = request.config.unwrap_or_default();
        let mut world = self.world();
        let container_id = world.id("c");
        world.calls.push(format!("create {container_id}"));
        let status = ContainerStatus {
            id: container_id.clone(),
            metadata: config.metadata,
            image: config.image,
            labels: config.labels,
            annotations: config.annotations,
            created_at: world.next,
            ..ContainerStatus::default()
        };
        world
            .containers
            .insert(container_id.clone(), (request.pod_sandbox_id, status));
        Ok(Response::new(CreateContainerResponse { container_id }))
    }

    async fn start_container(
        &self,
        request: Request<StartContainerRequest>,
    ) -> Answer<StartContainerResponse> {
        let id = request.into_inner().container_id;
        let mut world = self.world();
        world.calls.push(format!("start {id}"));
        let (_, status) = world.containers.get_mut(&id).ok_or_else(|| missing(&id))?;
        status.state = ContainerState::ContainerRunning as i32;
        status.started_at = jiff::Timestamp::now().as_nanosecond() as i64;
        Ok(Response::new(StartContainerResponse {}))
    }

    async fn stop_container(
        &self,
        request: Request<StopContainerRequest>,
    ) -> Answer<StopContainerResponse> {
        let request = request.into_inner();
        let mut world = self.world();
        world.calls.push(format!(
            "stop {} in {}s",
            request.container_id, request.timeout
        ));
        world.exit(&request.container_id, 143);
        Ok(Response::new(StopContainerResponse {}))
    }

    async fn remove_container(
        &self,
        request: Request<RemoveContainerRequest>,
    ) -> Answer<RemoveContainerResponse> {
        let id = request.into_inner().container_id;
        let mut world = self.world();
        world.calls.push(format!("remove {id}"));
        world.containers.remove(&id);
        Ok(Response::new(RemoveContainerResponse {}))
    }

    async fn list_containers(
        &self,
        _: Request<ListContainersRequest>,
    ) -> Answer<ListContainersResponse> {
        let world = self.world();
        let item = |(id, (sandbox, status)): (&String, &(String, ContainerStatus))| Container {
            id: id.clone(),
            pod_sandbox_id: sandbox.clone(),
            state: status.state,
            labels: status.labels.clone(),
            ..Container::default()
        };
        Ok(Response::new(ListContainersResponse {
            containers: world.containers.iter().map(item).collect(),
        }))
    }

    async fn container_status(
        &self,
        request: Request<ContainerStatusRequest>,
    ) -> Answer<ContainerStatusResponse> {
        let id = request.into_inner().container_id;
        let world = self.world();
        let (_, status) = world.containers.get(&id).ok_or_else(|| missing(&id))?;
        let status = Some(status.clone());
        Ok(Response::new(ContainerStatusResponse {
            status,
            ..ContainerStatusResponse::default()
        }))
    }
}

#[tonic::async_trait]
impl ImageService for Fake {
    absent! {
        list_images(ListImagesRequest) -> ListImagesResponse;
        pull_image(PullImageRequest) -> PullImageResponse;
        remove_image(RemoveImageRequest) -> RemoveImageResponse;
        image_fs_info(ImageFsInfoRequest) -> ImageFsInfoResponse;
    }

    async fn image_status(
        &self,
        request: Request<ImageStatusRequest>,
    ) -> Answer<ImageStatusResponse> {
        let id = request.into_inner().image.unwrap_or_default().image;
        let image = Some(Image {
            id,
            ..Image::default()
        });
        Ok(Response::new(ImageStatusResponse {
            image,
            ..ImageStatusResponse::default()
        }))
    }
}
