//! CRI over a pretended node.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt};
use k8s_cri::v1::image_service_server::ImageService;
use k8s_cri::v1::runtime_service_server::RuntimeService;
use k8s_cri::v1::*;
use rand::Rng;
use tokio_stream::wrappers::BroadcastStream;
use tonic::{Request, Response, Status};

use super::Behaviour;
use super::node::{self, Node, image_id, now};
use crate::server::new_id;
use crate::server::runtime_service::NAME;
use crate::server::status::labels_match;

const EXIT_AFTER: &str = "simulated.ferrule.dev/exit-after";
const EXIT_CODE: &str = "simulated.ferrule.dev/exit-code";

/// What an image is said to weigh.
const IMAGE_SIZE: u64 = 1 << 20;

/// Both services of a node.
#[derive(Debug, Clone)]
pub struct Service {
    node: Arc<Node>,
    behaviour: Arc<Behaviour>,
}

type Answer<T> = Result<Response<T>, Status>;

fn answer<T>(message: T) -> Answer<T> {
    Ok(Response::new(message))
}

fn no_container(id: &str) -> Status {
    Status::not_found(format!("no such container: {id}"))
}

fn no_sandbox(id: &str) -> Status {
    Status::not_found(format!("no such sandbox: {id}"))
}

fn not_real<T>(what: &str) -> Answer<T> {
    Err(Status::unimplemented(format!(
        "{what}: there are no processes in a simulated runtime"
    )))
}

async fn takes((low, high): (u64, u64)) {
    let milliseconds = rand::rng().random_range(low..=high);
    if milliseconds > 0 {
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
    }
}

impl Service {
    /// Over a node that behaves like this.
    pub fn new(node: Arc<Node>, behaviour: Arc<Behaviour>) -> Service {
        Service { node, behaviour }
    }

    fn fails(&self, what: &str) -> Result<(), Status> {
        if self.behaviour.failures > 0.0 && rand::rng().random_bool(self.behaviour.failures) {
            return Err(Status::unknown(format!("{what}: simulated failure")));
        }
        Ok(())
    }

    /// When and how the pod's annotations want a container to end by itself.
    fn lifetime(&self, id: &str) -> Option<(Duration, i32)> {
        let table = self.node.table();
        let container = table.containers.get(id)?;
        let annotations = &table.sandboxes.get(&container.sandbox)?.config.annotations;
        let seconds: f64 = annotations.get(EXIT_AFTER)?.parse().ok()?;
        let code = annotations
            .get(EXIT_CODE)
            .and_then(|code| code.parse().ok());
        Some((
            Duration::try_from_secs_f64(seconds).ok()?,
            code.unwrap_or(0),
        ))
    }
}

#[tonic::async_trait]
impl RuntimeService for Service {
    async fn version(&self, _: Request<VersionRequest>) -> Answer<VersionResponse> {
        answer(VersionResponse {
            version: "0.1.0".to_owned(),
            runtime_name: format!("{NAME}-simulated"),
            runtime_version: env!("CARGO_PKG_VERSION").to_owned(),
            runtime_api_version: "v1".to_owned(),
        })
    }

    async fn run_pod_sandbox(
        &self,
        request: Request<RunPodSandboxRequest>,
    ) -> Answer<RunPodSandboxResponse> {
        let request = request.into_inner();
        let config = request
            .config
            .ok_or_else(|| Status::invalid_argument("a sandbox needs a config"))?;
        takes(self.behaviour.start).await;
        self.fails("run the sandbox")?;
        let added = self.node.add_sandbox(config, request.runtime_handler);
        let pod_sandbox_id = added
            .ok_or_else(|| Status::resource_exhausted("all addresses of this node are taken"))?;
        answer(RunPodSandboxResponse { pod_sandbox_id })
    }

    async fn stop_pod_sandbox(
        &self,
        request: Request<StopPodSandboxRequest>,
    ) -> Answer<StopPodSandboxResponse> {
        takes(self.behaviour.stop).await;
        self.node.stop_sandbox(&request.into_inner().pod_sandbox_id);
        answer(StopPodSandboxResponse {})
    }

    async fn remove_pod_sandbox(
        &self,
        request: Request<RemovePodSandboxRequest>,
    ) -> Answer<RemovePodSandboxResponse> {
        self.node
            .remove_sandbox(&request.into_inner().pod_sandbox_id);
        answer(RemovePodSandboxResponse {})
    }

    async fn pod_sandbox_status(
        &self,
        request: Request<PodSandboxStatusRequest>,
    ) -> Answer<PodSandboxStatusResponse> {
        let id = request.into_inner().pod_sandbox_id;
        let table = self.node.table();
        let sandbox = table.sandboxes.get(&id).ok_or_else(|| no_sandbox(&id))?;
        let containers = table.containers.iter();
        answer(PodSandboxStatusResponse {
            status: Some(sandbox.status(&id)),
            containers_statuses: containers
                .filter(|(_, container)| container.sandbox == id)
                .map(|(id, container)| container.status(id))
                .collect(),
            timestamp: now(),
            ..PodSandboxStatusResponse::default()
        })
    }

    async fn list_pod_sandbox(
        &self,
        request: Request<ListPodSandboxRequest>,
    ) -> Answer<ListPodSandboxResponse> {
        let filter = request.into_inner().filter.unwrap_or_default();
        let table = self.node.table();
        let items = table
            .sandboxes
            .iter()
            .map(|(id, sandbox)| sandbox.item(id))
            .filter(|item| {
                let state = filter.state.as_ref();
                item.id.starts_with(&filter.id)
                    && state.is_none_or(|state| state.state == item.state)
                    && labels_match(&item.labels, &filter.label_selector)
            })
            .collect();
        answer(ListPodSandboxResponse { items })
    }

    async fn create_container(
        &self,
        request: Request<CreateContainerRequest>,
    ) -> Answer<CreateContainerResponse> {
        let request = request.into_inner();
        let config = request
            .config
            .ok_or_else(|| Status::invalid_argument("a container needs a config"))?;
        let container_id = new_id();
        let named = config.image.as_ref();
        let image_id = image_id(named.map_or("", |image| image.image.as_str()));
        {
            let mut table = self.node.table();
            let sandbox = table.sandboxes.get(&request.pod_sandbox_id);
            if !sandbox.is_some_and(|sandbox| sandbox.ready) {
                return Err(no_sandbox(&request.pod_sandbox_id));
            }
            let container = node::Container {
                config,
                sandbox: request.pod_sandbox_id,
                image_id,
                created_at: now(),
                started_at: 0,
                exit: None,
            };
            table.containers.insert(container_id.clone(), container);
        }
        self.node
            .publish(&container_id, ContainerEventType::ContainerCreatedEvent);
        answer(CreateContainerResponse { container_id })
    }

    async fn start_container(
        &self,
        request: Request<StartContainerRequest>,
    ) -> Answer<StartContainerResponse> {
        let id = request.into_inner().container_id;
        takes(self.behaviour.start).await;
        self.fails("start the container")?;
        self.node.start(&id).ok_or_else(|| no_container(&id))?;
        if let Some((lifetime, code)) = self.lifetime(&id) {
            let node = self.node.clone();
            tokio::spawn(async move {
                tokio::time::sleep(lifetime).await;
                node.end(&id, code);
            });
        }
        answer(StartContainerResponse {})
    }

    async fn stop_container(
        &self,
        request: Request<StopContainerRequest>,
    ) -> Answer<StopContainerResponse> {
        let request = request.into_inner();
        takes(self.behaviour.stop).await;
        let id = &request.container_id;
        if !self.node.table().containers.contains_key(id) {
            return Err(no_container(id));
        }
        self.node
            .end(id, if request.timeout > 0 { 143 } else { 137 });
        answer(StopContainerResponse {})
    }

    async fn remove_container(
        &self,
        request: Request<RemoveContainerRequest>,
    ) -> Answer<RemoveContainerResponse> {
        let id = request.into_inner().container_id;
        self.node.end(&id, 137);
        self.node
            .publish(&id, ContainerEventType::ContainerDeletedEvent);
        self.node.table().containers.remove(&id);
        answer(RemoveContainerResponse {})
    }

    async fn list_containers(
        &self,
        request: Request<ListContainersRequest>,
    ) -> Answer<ListContainersResponse> {
        let filter = request.into_inner().filter.unwrap_or_default();
        let table = self.node.table();
        let containers = table
            .containers
            .iter()
            .map(|(id, container)| container.item(id))
            .filter(|item| {
                let state = filter.state.as_ref();
                item.id.starts_with(&filter.id)
                    && item.pod_sandbox_id.starts_with(&filter.pod_sandbox_id)
                    && state.is_none_or(|state| state.state == item.state)
                    && labels_match(&item.labels, &filter.label_selector)
            })
            .collect();
        answer(ListContainersResponse { containers })
    }

    async fn container_status(
        &self,
        request: Request<ContainerStatusRequest>,
    ) -> Answer<ContainerStatusResponse> {
        let id = request.into_inner().container_id;
        let table = self.node.table();
        let container = table.containers.get(&id).ok_or_else(|| no_container(&id))?;
        answer(ContainerStatusResponse {
            status: Some(container.status(&id)),
            ..ContainerStatusResponse::default()
        })
    }

    async fn update_container_resources(
        &self,
        request: Request<UpdateContainerResourcesRequest>,
    ) -> Answer<UpdateContainerResourcesResponse> {
        let id = request.into_inner().container_id;
        if !self.node.table().containers.contains_key(&id) {
            return Err(no_container(&id));
        }
        answer(UpdateContainerResourcesResponse {})
    }

    async fn reopen_container_log(
        &self,
        _: Request<ReopenContainerLogRequest>,
    ) -> Answer<ReopenContainerLogResponse> {
        answer(ReopenContainerLogResponse {})
    }

    /// Probes and hooks succeed while the container runs.
    async fn exec_sync(&self, request: Request<ExecSyncRequest>) -> Answer<ExecSyncResponse> {
        let id = request.into_inner().container_id;
        let table = self.node.table();
        let container = table.containers.get(&id).ok_or_else(|| no_container(&id))?;
        if container.state() != ContainerState::ContainerRunning {
            return Err(Status::failed_precondition(format!(
                "container {id} is not running"
            )));
        }
        answer(ExecSyncResponse::default())
    }

    async fn exec(&self, _: Request<ExecRequest>) -> Answer<ExecResponse> {
        not_real("exec")
    }

    async fn attach(&self, _: Request<AttachRequest>) -> Answer<AttachResponse> {
        not_real("attach")
    }

    async fn port_forward(&self, _: Request<PortForwardRequest>) -> Answer<PortForwardResponse> {
        not_real("port-forward")
    }

    async fn container_stats(
        &self,
        request: Request<ContainerStatsRequest>,
    ) -> Answer<ContainerStatsResponse> {
        let id = request.into_inner().container_id;
        let table = self.node.table();
        let container = table.containers.get(&id).ok_or_else(|| no_container(&id))?;
        answer(ContainerStatsResponse {
            stats: Some(stats(&id, container)),
        })
    }

    async fn list_container_stats(
        &self,
        _: Request<ListContainerStatsRequest>,
    ) -> Answer<ListContainerStatsResponse> {
        let table = self.node.table();
        let running = table
            .containers
            .iter()
            .filter(|(_, container)| container.state() == ContainerState::ContainerRunning);
        answer(ListContainerStatsResponse {
            stats: running
                .map(|(id, container)| stats(id, container))
                .collect(),
        })
    }

    async fn pod_sandbox_stats(
        &self,
        _: Request<PodSandboxStatsRequest>,
    ) -> Answer<PodSandboxStatsResponse> {
        answer(PodSandboxStatsResponse::default())
    }

    async fn list_pod_sandbox_stats(
        &self,
        _: Request<ListPodSandboxStatsRequest>,
    ) -> Answer<ListPodSandboxStatsResponse> {
        answer(ListPodSandboxStatsResponse::default())
    }

    async fn update_runtime_config(
        &self,
        _: Request<UpdateRuntimeConfigRequest>,
    ) -> Answer<UpdateRuntimeConfigResponse> {
        answer(UpdateRuntimeConfigResponse {})
    }

    async fn status(&self, _: Request<StatusRequest>) -> Answer<StatusResponse> {
        let condition = |kind: &str| RuntimeCondition {
            r#type: kind.to_owned(),
            status: true,
            ..RuntimeCondition::default()
        };
        answer(StatusResponse {
            status: Some(RuntimeStatus {
                conditions: vec![condition("RuntimeReady"), condition("NetworkReady")],
            }),
            runtime_handlers: vec![RuntimeHandler::default()],
            ..StatusResponse::default()
        })
    }

    async fn checkpoint_container(
        &self,
        _: Request<CheckpointContainerRequest>,
    ) -> Answer<CheckpointContainerResponse> {
        not_real("checkpoint")
    }

    type GetContainerEventsStream =
        Pin<Box<dyn Stream<Item = Result<ContainerEventResponse, Status>> + Send>>;

    async fn get_container_events(
        &self,
        _: Request<GetEventsRequest>,
    ) -> Answer<Self::GetContainerEventsStream> {
        let events = BroadcastStream::new(self.node.events.subscribe()).map(|event| {
            event.map_err(|_| Status::data_loss("too many events were not read in time"))
        });
        answer(Box::pin(events))
    }

    async fn list_metric_descriptors(
        &self,
        _: Request<ListMetricDescriptorsRequest>,
    ) -> Answer<ListMetricDescriptorsResponse> {
        answer(ListMetricDescriptorsResponse::default())
    }

    async fn list_pod_sandbox_metrics(
        &self,
        _: Request<ListPodSandboxMetricsRequest>,
    ) -> Answer<ListPodSandboxMetricsResponse> {
        answer(ListPodSandboxMetricsResponse::default())
    }

    async fn runtime_config(
        &self,
        _: Request<RuntimeConfigRequest>,
    ) -> Answer<RuntimeConfigResponse> {
        answer(RuntimeConfigResponse {
            linux: Some(LinuxRuntimeConfiguration {
                cgroup_driver: CgroupDriver::Cgroupfs as i32,
            }),
        })
    }
}

fn stats(id: &str, container: &node::Container) -> ContainerStats {
    ContainerStats {
        attributes: Some(ContainerAttributes {
            id: id.to_owned(),
            metadata: container.config.metadata.clone(),
            labels: container.config.labels.clone(),
            annotations: container.config.annotations.clone(),
        }),
        ..ContainerStats::default()
    }
}

fn image(name: &str) -> Image {
    Image {
        id: image_id(name),
        repo_tags: vec![name.to_owned()],
        size: IMAGE_SIZE,
        uid: Some(Int64Value { value: 0 }),
        ..Image::default()
    }
}

fn name_of(image: Option<ImageSpec>) -> Result<String, Status> {
    image
        .map(|image| image.image)
        .filter(|name| !name.is_empty())
        .ok_or_else(|| Status::invalid_argument("no image was named"))
}

#[tonic::async_trait]
impl ImageService for Service {
    async fn list_images(&self, _: Request<ListImagesRequest>) -> Answer<ListImagesResponse> {
        answer(ListImagesResponse {
            images: self
                .node
                .table()
                .images
                .iter()
                .map(|name| image(name))
                .collect(),
        })
    }

    async fn image_status(
        &self,
        request: Request<ImageStatusRequest>,
    ) -> Answer<ImageStatusResponse> {
        let name = name_of(request.into_inner().image)?;
        let table = self.node.table();
        let known = table
            .images
            .iter()
            .find(|own| **own == name || image_id(own) == name);
        answer(ImageStatusResponse {
            image: known.map(|name| image(name)),
            ..ImageStatusResponse::default()
        })
    }

    async fn pull_image(&self, request: Request<PullImageRequest>) -> Answer<PullImageResponse> {
        let name = name_of(request.into_inner().image)?;
        takes(self.behaviour.pull).await;
        self.fails("pull the image")?;
        let image_ref = image_id(&name);
        self.node.table().images.insert(name);
        answer(PullImageResponse { image_ref })
    }

    async fn remove_image(
        &self,
        request: Request<RemoveImageRequest>,
    ) -> Answer<RemoveImageResponse> {
        let name = name_of(request.into_inner().image)?;
        let mut table = self.node.table();
        table
            .images
            .retain(|own| *own != name && image_id(own) != name);
        answer(RemoveImageResponse {})
    }

    async fn image_fs_info(&self, _: Request<ImageFsInfoRequest>) -> Answer<ImageFsInfoResponse> {
        answer(ImageFsInfoResponse::default())
    }
}
