//! CRI's `RuntimeService`: from requests to the runtime and back.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt};
use k8s_cri::v1::runtime_service_server::RuntimeService;
use k8s_cri::v1::*;
use tokio_stream::wrappers::BroadcastStream;
use tonic::{Request, Response, Status};

use super::exec::Streams;
use super::{Runtime, status};
use crate::streaming::Session;

/// The name and version that clients see.
pub const NAME: &str = "ferrule";
const API_VERSION: &str = "v1";

/// The service over the runtime.
pub struct Service(pub Arc<Runtime>);

type Answer<T> = Result<Response<T>, Status>;

fn answer<T>(message: T) -> Answer<T> {
    Ok(Response::new(message))
}

/// A change goes on to its end when the caller goes away: half a sandbox helps nobody.
async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = crate::error::Result<T>> + Send + 'static,
) -> Result<T, Status> {
    match tokio::spawn(work).await {
        Ok(result) => result.map_err(Status::from),
        Err(error) => Err(Status::internal(error.to_string())),
    }
}

#[tonic::async_trait]
impl RuntimeService for Service {
    async fn version(&self, _: Request<VersionRequest>) -> Answer<VersionResponse> {
        answer(VersionResponse {
            version: "0.1.0".to_owned(),
            runtime_name: NAME.to_owned(),
            runtime_version: env!("CARGO_PKG_VERSION").to_owned(),
            runtime_api_version: API_VERSION.to_owned(),
        })
    }

    async fn run_pod_sandbox(
        &self,
        request: Request<RunPodSandboxRequest>,
    ) -> Answer<RunPodSandboxResponse> {
        let runtime = self.0.clone();
        let request = request.into_inner();
        let pod_sandbox_id = to_the_end(async move { runtime.run_sandbox(request).await }).await?;
        answer(RunPodSandboxResponse { pod_sandbox_id })
    }

    async fn stop_pod_sandbox(
        &self,
        request: Request<StopPodSandboxRequest>,
    ) -> Answer<StopPodSandboxResponse> {
        let runtime = self.0.clone();
        let id = request.into_inner().pod_sandbox_id;
        to_the_end(async move { runtime.stop_sandbox(&id).await }).await?;
        answer(StopPodSandboxResponse {})
    }

    async fn remove_pod_sandbox(
        &self,
        request: Request<RemovePodSandboxRequest>,
    ) -> Answer<RemovePodSandboxResponse> {
        let runtime = self.0.clone();
        let id = request.into_inner().pod_sandbox_id;
        to_the_end(async move { runtime.remove_sandbox(&id).await }).await?;
        answer(RemovePodSandboxResponse {})
    }

    async fn pod_sandbox_status(
        &self,
        request: Request<PodSandboxStatusRequest>,
    ) -> Answer<PodSandboxStatusResponse> {
        let request = request.into_inner();
        let record = self.0.sandbox(&request.pod_sandbox_id)?.record();
        let mut info = HashMap::new();
        if request.verbose {
            info.insert(
                "info".to_owned(),
                serde_json::to_string(&record).unwrap_or_default(),
            );
        }
        answer(PodSandboxStatusResponse {
            status: Some(status::sandbox_status(&record)),
            info,
            containers_statuses: self
                .0
                .containers_of(&record.id)
                .iter()
                .map(|container| container.with(status::container_status))
                .collect(),
            timestamp: crate::shim::process::now(),
        })
    }

    async fn list_pod_sandbox(
        &self,
        request: Request<ListPodSandboxRequest>,
    ) -> Answer<ListPodSandboxResponse> {
        let filter = request.into_inner().filter;
        let mut items: Vec<PodSandbox> = self
            .0
            .sandboxes()
            .values()
            .filter_map(|sandbox| {
                sandbox.with(|record| {
                    status::sandbox_matches(record, filter.as_ref())
                        .then(|| status::sandbox_item(record))
                })
            })
            .collect();
        items.sort_by_key(|item| std::cmp::Reverse(item.created_at));
        answer(ListPodSandboxResponse { items })
    }

    async fn create_container(
        &self,
        request: Request<CreateContainerRequest>,
    ) -> Answer<CreateContainerResponse> {
        let runtime = self.0.clone();
        let request = request.into_inner();
        let container_id =
            to_the_end(async move { runtime.create_container(request).await }).await?;
        answer(CreateContainerResponse { container_id })
    }

    async fn start_container(
        &self,
        request: Request<StartContainerRequest>,
    ) -> Answer<StartContainerResponse> {
        let runtime = self.0.clone();
        let id = request.into_inner().container_id;
        to_the_end(async move { runtime.start_container(&id).await }).await?;
        answer(StartContainerResponse {})
    }

    async fn stop_container(
        &self,
        request: Request<StopContainerRequest>,
    ) -> Answer<StopContainerResponse> {
        // Not to the end: a caller that goes away takes its patience with it.
        let request = request.into_inner();
        self.0
            .stop_container(&request.container_id, request.timeout)
            .await?;
        answer(StopContainerResponse {})
    }

    async fn remove_container(
        &self,
        request: Request<RemoveContainerRequest>,
    ) -> Answer<RemoveContainerResponse> {
        let runtime = self.0.clone();
        let id = request.into_inner().container_id;
        to_the_end(async move { runtime.remove_container(&id).await }).await?;
        answer(RemoveContainerResponse {})
    }

    async fn list_containers(
        &self,
        request: Request<ListContainersRequest>,
    ) -> Answer<ListContainersResponse> {
        let filter = request.into_inner().filter;
        let mut containers: Vec<Container> = self
            .0
            .containers()
            .values()
            .filter_map(|container| {
                container.with(|record| {
                    status::container_matches(record, filter.as_ref())
                        .then(|| status::container_item(record))
                })
            })
            .collect();
        containers.sort_by_key(|container| std::cmp::Reverse(container.created_at));
        answer(ListContainersResponse { containers })
    }

    async fn container_status(
        &self,
        request: Request<ContainerStatusRequest>,
    ) -> Answer<ContainerStatusResponse> {
        let request = request.into_inner();
        let container = self.0.container(&request.container_id)?;
        let mut info = HashMap::new();
        if request.verbose {
            info.insert(
                "info".to_owned(),
                container.with(serde_json::to_string).unwrap_or_default(),
            );
        }
        answer(ContainerStatusResponse {
            status: Some(container.with(status::container_status)),
            info,
        })
    }

    async fn update_container_resources(
        &self,
        request: Request<UpdateContainerResourcesRequest>,
    ) -> Answer<UpdateContainerResourcesResponse> {
        let request = request.into_inner();
        if let Some(resources) = request.linux {
            self.0
                .update_resources(&request.container_id, resources)
                .await?;
        }
        answer(UpdateContainerResourcesResponse {})
    }

    async fn reopen_container_log(
        &self,
        request: Request<ReopenContainerLogRequest>,
    ) -> Answer<ReopenContainerLogResponse> {
        self.0
            .reopen_log(&request.into_inner().container_id)
            .await?;
        answer(ReopenContainerLogResponse {})
    }

    async fn exec_sync(&self, request: Request<ExecSyncRequest>) -> Answer<ExecSyncResponse> {
        let request = request.into_inner();
        let timeout = Duration::from_secs(u64::try_from(request.timeout).unwrap_or(0));
        let (stdout, stderr, exit_code) = self
            .0
            .exec_sync(&request.container_id, &request.cmd, timeout)
            .await?;
        answer(ExecSyncResponse {
            stdout,
            stderr,
            exit_code,
        })
    }

    async fn exec(&self, request: Request<ExecRequest>) -> Answer<ExecResponse> {
        let request = request.into_inner();
        // An unknown container is told now, not in the stream.
        self.0.container(&request.container_id)?;
        let url = self.0.streaming.open(Session::Exec {
            container: request.container_id,
            command: request.cmd,
            streams: Streams {
                stdin: request.stdin,
                stdout: request.stdout,
                stderr: request.stderr && !request.tty,
                tty: request.tty,
            },
        })?;
        answer(ExecResponse { url })
    }

    async fn attach(&self, request: Request<AttachRequest>) -> Answer<AttachResponse> {
        let request = request.into_inner();
        self.0.container(&request.container_id)?;
        let url = self.0.streaming.open(Session::Attach {
            container: request.container_id,
            streams: Streams {
                stdin: request.stdin,
                stdout: request.stdout,
                stderr: request.stderr && !request.tty,
                tty: request.tty,
            },
        })?;
        answer(AttachResponse { url })
    }

    async fn port_forward(
        &self,
        request: Request<PortForwardRequest>,
    ) -> Answer<PortForwardResponse> {
        let sandbox = self.0.sandbox(&request.into_inner().pod_sandbox_id)?;
        let record = sandbox.record();
        if !record.ready {
            return Err(Status::failed_precondition(
                "sandbox container is not running",
            ));
        }
        let session = Session::PortForward { sandbox: record.id };
        let url = self.0.streaming.open(session)?;
        answer(PortForwardResponse { url })
    }

    async fn container_stats(
        &self,
        request: Request<ContainerStatsRequest>,
    ) -> Answer<ContainerStatsResponse> {
        let record = self
            .0
            .container(&request.into_inner().container_id)?
            .record();
        answer(ContainerStatsResponse {
            stats: Some(self.0.container_stats(&record)),
        })
    }

    async fn list_container_stats(
        &self,
        request: Request<ListContainerStatsRequest>,
    ) -> Answer<ListContainerStatsResponse> {
        let filter = request.into_inner().filter.map(|filter| ContainerFilter {
            id: filter.id,
            state: None,
            pod_sandbox_id: filter.pod_sandbox_id,
            label_selector: filter.label_selector,
        });
        let containers: Vec<_> = self.0.containers().values().cloned().collect();
        let stats = containers
            .iter()
            .map(|container| container.record())
            .filter(|record| {
                status::is_running(record) && status::container_matches(record, filter.as_ref())
            })
            .map(|record| self.0.container_stats(&record))
            .collect();
        answer(ListContainerStatsResponse { stats })
    }

    async fn pod_sandbox_stats(
        &self,
        request: Request<PodSandboxStatsRequest>,
    ) -> Answer<PodSandboxStatsResponse> {
        let record = self
            .0
            .sandbox(&request.into_inner().pod_sandbox_id)?
            .record();
        answer(PodSandboxStatsResponse {
            stats: Some(self.0.sandbox_stats(&record)),
        })
    }

    async fn list_pod_sandbox_stats(
        &self,
        request: Request<ListPodSandboxStatsRequest>,
    ) -> Answer<ListPodSandboxStatsResponse> {
        let filter = request.into_inner().filter.map(|filter| PodSandboxFilter {
            id: filter.id,
            state: None,
            label_selector: filter.label_selector,
        });
        let sandboxes: Vec<_> = self.0.sandboxes().values().cloned().collect();
        let stats = sandboxes
            .iter()
            .map(|sandbox| sandbox.record())
            .filter(|record| record.ready && status::sandbox_matches(record, filter.as_ref()))
            .map(|record| self.0.sandbox_stats(&record))
            .collect();
        answer(ListPodSandboxStatsResponse { stats })
    }

    async fn update_runtime_config(
        &self,
        _: Request<UpdateRuntimeConfigRequest>,
    ) -> Answer<UpdateRuntimeConfigResponse> {
        // The pod CIDR is the network agent's affair.
        answer(UpdateRuntimeConfigResponse {})
    }

    async fn status(&self, request: Request<StatusRequest>) -> Answer<StatusResponse> {
        let network = self.0.options.cni.network();
        let ready = matches!(network, Ok(Some(_)));
        let message = match &network {
            Ok(Some(_)) => String::new(),
            Ok(None) => "Network plugin returns error: cni plugin not initialized".to_owned(),
            Err(error) => format!("Network plugin returns error: {error}"),
        };
        let condition =
            |kind: &str, status: bool, reason: &str, message: String| RuntimeCondition {
                r#type: kind.to_owned(),
                status,
                reason: reason.to_owned(),
                message,
            };
        let reason = if ready { "" } else { "NetworkPluginNotReady" };
        let mut info = HashMap::new();
        if request.into_inner().verbose {
            info.insert(
                "config".to_owned(),
                serde_json::json!({
                    "root": self.0.layout().root,
                    "run": self.0.layout().run,
                    "cgroupVersion": if self.0.cgroups.is_v2() { 2 } else { 1 },
                })
                .to_string(),
            );
        }
        answer(StatusResponse {
            status: Some(RuntimeStatus {
                conditions: vec![
                    condition("RuntimeReady", true, "", String::new()),
                    condition("NetworkReady", ready, reason, message),
                ],
            }),
            info,
            runtime_handlers: vec![RuntimeHandler {
                name: String::new(),
                features: Some(RuntimeHandlerFeatures::default()),
            }],
            features: Some(RuntimeFeatures {
                supplemental_groups_policy: true,
            }),
        })
    }

    async fn checkpoint_container(
        &self,
        _: Request<CheckpointContainerRequest>,
    ) -> Answer<CheckpointContainerResponse> {
        Err(Status::unimplemented("containers are not checkpointed"))
    }

    type GetContainerEventsStream =
        Pin<Box<dyn Stream<Item = Result<ContainerEventResponse, Status>> + Send>>;

    async fn get_container_events(
        &self,
        _: Request<GetEventsRequest>,
    ) -> Answer<Self::GetContainerEventsStream> {
        // A listener that falls behind is told, by the end of its stream; it lists and comes again.
        let events = BroadcastStream::new(self.0.events.subscribe()).map(|event| {
            event.map_err(|_| Status::data_loss("too many events were not read in time"))
        });
        let mut failed = false;
        let events = events.take_while(move |event| {
            let goes_on = !failed;
            failed |= event.is_err();
            std::future::ready(goes_on)
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
