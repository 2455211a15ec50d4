//! The verbs of the API, over gRPC.
//!
//! Objects travel as JSON bytes. Every unary call has a deadline; errors are the Kubernetes
//! `Status` that the server sent, or one made from the transport's failure.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ferrule_apimachinery::status::Status;
use ferrule_proto::v1;
use ferrule_proto::v1::discovery_client::DiscoveryClient;
use ferrule_proto::v1::resources_client::ResourcesClient;
use futures::{Stream, StreamExt};
use tonic::metadata::{AsciiMetadataValue, MetadataMap};
use tonic::transport::Channel;

use crate::connection::{self, Servers};
use crate::failover;
use crate::kubeconfig::{ClientConfig, ConfigError};
use crate::leader::Epoch;
pub use crate::request::{
    At, Batch, Change, DeleteOptions, List, ListOptions, Object, Patch, Propagation, WatchOptions,
    WriteOptions, parse,
};
use crate::transport;

/// The largest message that is accepted: a page of large objects.
const MESSAGE_LIMIT: usize = 256 << 20;
/// How long a unary call may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// Objects a page in [`Client::list_all`].
const PAGE: i64 = 500;

/// A connection to the API server. Cheap to clone; all clones share one connection.
#[derive(Clone)]
pub struct Client {
    resources: ResourcesClient<Channel>,
    discovery: DiscoveryClient<Channel>,
    metadata: MetadataMap,
    warned: Option<fn(&str)>,
    /// What watches over the connection ends with the last clone.
    _watched: Arc<()>,
}

type Streaming = tonic::Streaming<v1::ConnectResponse>;

impl Client {
    /// Prepares a connection; nothing is sent before the first call. With several servers the
    /// client leaves one that is not ready within seconds.
    ///
    /// # Panics
    /// Outside a tokio runtime: the connection has a task of its own.
    pub fn new(config: &ClientConfig) -> Result<Client, ConfigError> {
        let servers = Arc::new(Servers::new(config));
        let channel = connection::channel(&servers)?;
        let watched = Arc::new(());
        if servers.count() > 1 {
            failover::start(servers, channel.clone(), Arc::downgrade(&watched));
        }
        let mut metadata = MetadataMap::new();
        if let Some(token) = &config.token {
            let value = AsciiMetadataValue::try_from(format!("Bearer {token}"))
                .map_err(|_| ConfigError::Invalid("the bearer token is not ASCII".to_owned()))?;
            metadata.insert("authorization", value);
        }
        Ok(Client {
            resources: ResourcesClient::new(channel.clone())
                .max_decoding_message_size(MESSAGE_LIMIT)
                .max_encoding_message_size(MESSAGE_LIMIT),
            discovery: DiscoveryClient::new(channel),
            metadata,
            warned: None,
            _watched: watched,
        })
    }

    /// The same connection; every warning that comes with an answer is handed to `handler`.
    pub fn on_warning(mut self, handler: fn(&str)) -> Client {
        self.warned = Some(handler);
        self
    }

    /// The same connection, whose writes carry a leader's epoch.
    pub fn with_epoch(&self, epoch: &Epoch) -> Client {
        let mut client = self.clone();
        match AsciiMetadataValue::try_from(epoch.to_string()) {
            Ok(value) => drop(client.metadata.insert(EPOCH_HEADER, value)),
            Err(_) => tracing::error!(%epoch, "the leader's identity is not ASCII"),
        }
        client
    }

    fn request<T>(&self, message: T) -> tonic::Request<T> {
        let mut request = self.stream_request(message);
        request.set_timeout(CALL_TIMEOUT);
        request
    }

    fn stream_request<T>(&self, message: T) -> tonic::Request<T> {
        let mut request = tonic::Request::new(message);
        *request.metadata_mut() = self.metadata.clone();
        request
    }

    /// Reads one object, the most recent state of it.
    pub async fn get(&self, at: &At) -> Result<Object, Status> {
        self.get_in(at, v1::Form::Object).await
    }

    /// Reads one object in a form.
    pub async fn get_in(&self, at: &At, form: v1::Form) -> Result<Object, Status> {
        let request = v1::GetRequest {
            resource: at.wire(),
            form: form.into(),
            ..Default::default()
        };
        let request = self.request(request);
        self.answer(self.resources.clone().get(request))
            .await
            .map(Object::from)
    }

    /// Reads one page.
    pub async fn list(&self, at: &At, options: &ListOptions) -> Result<List, Status> {
        let request = self.request(v1::ListRequest {
            resource: at.wire(),
            label_selector: options.label_selector.clone(),
            field_selector: options.field_selector.clone(),
            limit: options.limit,
            r#continue: options.continue_token.clone(),
            resource_version: options.resource_version.clone(),
            resource_version_match: String::new(),
            form: options.form.into(),
        });
        let response = self.answer(self.resources.clone().list(request)).await?;
        Ok(List {
            items: response.items,
            table: response.table,
            revision: response.revision,
            continue_token: response.r#continue,
            remaining: response.remaining_item_count,
        })
    }

    /// Reads all pages of one revision.
    pub async fn list_all(&self, at: &At, options: &ListOptions) -> Result<List, Status> {
        let mut options = ListOptions {
            limit: PAGE,
            ..options.clone()
        };
        let mut all = self.list(at, &options).await?;
        while !all.continue_token.is_empty() {
            options.continue_token = std::mem::take(&mut all.continue_token);
            let page = self.list(at, &options).await?;
            all.items.extend(page.items);
            all.continue_token = page.continue_token;
        }
        Ok(all)
    }

    /// Creates an object, or posts to a subresource.
    pub async fn create(
        &self,
        at: &At,
        object: impl Into<Bytes>,
        options: &WriteOptions,
    ) -> Result<Object, Status> {
        let request = self.request(v1::CreateRequest {
            resource: at.wire(),
            object: object.into(),
            options: options.wire(),
            form: options.form.into(),
        });
        self.answer(self.resources.clone().create(request))
            .await
            .map(Object::from)
    }

    /// Replaces an object. Components send patches; this is for people's tools.
    pub async fn update(
        &self,
        at: &At,
        object: impl Into<Bytes>,
        options: &WriteOptions,
    ) -> Result<Object, Status> {
        let request = self.request(v1::UpdateRequest {
            resource: at.wire(),
            object: object.into(),
            options: options.wire(),
            form: options.form.into(),
        });
        self.answer(self.resources.clone().update(request))
            .await
            .map(Object::from)
    }

    /// Changes an object.
    pub async fn patch(
        &self,
        at: &At,
        patch: &Patch,
        options: &WriteOptions,
    ) -> Result<Object, Status> {
        let (kind, patch, force) = match patch {
            Patch::Merge(patch) => (v1::PatchType::PatchMerge, patch, false),
            Patch::Strategic(patch) => (v1::PatchType::PatchStrategicMerge, patch, false),
            Patch::Json(patch) => (v1::PatchType::PatchJson, patch, false),
            Patch::Apply { object, force } => (v1::PatchType::PatchApply, object, *force),
        };
        let request = self.request(v1::PatchRequest {
            resource: at.wire(),
            r#type: kind.into(),
            patch: Bytes::from(patch.to_string()),
            options: options.wire(),
            force,
            form: options.form.into(),
        });
        self.answer(self.resources.clone().patch(request))
            .await
            .map(Object::from)
    }

    /// Deletes an object; the answer is its last state, or a Status.
    pub async fn delete(&self, at: &At, options: &DeleteOptions) -> Result<Object, Status> {
        let request = v1::DeleteRequest {
            resource: at.wire(),
            options: options.wire(),
            ..Default::default()
        };
        let request = self.request(request);
        self.answer(self.resources.clone().delete(request))
            .await
            .map(Object::from)
    }

    /// Deletes what the selectors choose in a collection.
    pub async fn delete_collection(
        &self,
        at: &At,
        options: &DeleteOptions,
        label_selector: &str,
        field_selector: &str,
    ) -> Result<List, Status> {
        let request = self.request(v1::DeleteCollectionRequest {
            resource: at.wire(),
            options: options.wire(),
            label_selector: label_selector.to_owned(),
            field_selector: field_selector.to_owned(),
        });
        let response = self
            .answer(self.resources.clone().delete_collection(request))
            .await?;
        Ok(List {
            items: response.items,
            revision: response.revision,
            ..List::default()
        })
    }

    /// Follows a collection. The stream ends with an error, or when the server goes away.
    pub async fn watch(
        &self,
        at: &At,
        options: &WatchOptions,
    ) -> Result<impl Stream<Item = Result<Batch, Status>> + Send + Unpin + use<>, Status> {
        let start = v1::WatchStart {
            resource: at.wire(),
            label_selector: options.label_selector.clone(),
            field_selector: options.field_selector.clone(),
            resource_version: options.resource_version.clone(),
            send_initial_events: options.send_initial_events,
            allow_bookmarks: true,
            form: options.form.into(),
        };
        let what = Some(v1::watch_request::What::Start(start));
        // The stream of requests stays open as long as the watch: its end would end the watch.
        let requests = futures::stream::iter([v1::WatchRequest { watch_id: 1, what }])
            .chain(futures::stream::pending());
        let request = self.stream_request(requests);
        let call = self.resources.clone();
        let opened = tokio::time::timeout(CALL_TIMEOUT, async move {
            let mut call = call;
            call.watch(request).await
        });
        let batches = match opened.await {
            Ok(Ok(response)) => response.into_inner(),
            Ok(Err(error)) => return Err(status_of(error)),
            Err(_) => return Err(Status::timeout("the watch was not opened in time", 0)),
        };
        Ok(batches.map(|batch| match batch {
            Err(error) => Err(status_of(error)),
            Ok(batch) if !batch.error.is_empty() => Err(status_from_json(&batch.error)),
            Ok(batch) => Ok(Batch {
                changes: batch.events.into_iter().map(change).collect(),
                revision: batch.revision,
                initial_events_end: batch.initial_events_end,
            }),
        }))
    }

    /// Opens a streaming subresource of a pod: `log` or `exec`.
    pub async fn connect(
        &self,
        at: &At,
        parameters: &[(&str, String)],
        input: impl Stream<Item = v1::ConnectRequest> + Send + 'static,
    ) -> Result<Streaming, Status> {
        let parameters = parameters
            .iter()
            .map(|(name, value)| v1::Parameter {
                name: (*name).to_owned(),
                value: value.clone(),
            })
            .collect();
        let open = v1::ConnectOpen {
            resource: at.wire(),
            parameters,
        };
        let open = v1::ConnectRequest {
            frame: Some(v1::connect_request::Frame::Open(open)),
        };
        let request = self.stream_request(futures::stream::iter([open]).chain(input));
        let response = self
            .resources
            .clone()
            .connect(request)
            .await
            .map_err(status_of)?;
        Ok(response.into_inner())
    }

    /// What a call answers in time.
    async fn answer<T>(
        &self,
        call: impl Future<Output = Result<tonic::Response<T>, tonic::Status>>,
    ) -> Result<T, Status> {
        let response = deadline(call).await?;
        if let Some(handler) = self.warned {
            let warnings = response.metadata().get_all(WARNING_HEADER);
            warnings
                .iter()
                .filter_map(|text| text.to_str().ok())
                .for_each(handler);
        }
        Ok(response.into_inner())
    }

    /// Every resource that the server serves.
    pub async fn resources(&self) -> Result<Vec<v1::ApiResource>, Status> {
        let request = self.request(v1::ListResourcesRequest {});
        Ok(self
            .answer(self.discovery.clone().list_resources(request))
            .await?
            .resources)
    }

    /// What the kinds of a group and version look like: a document of OpenAPI version 3, compressed
    /// with gzip. `place` is `apis/apps/v1`; not found where there is no such document.
    pub async fn open_api(&self, place: &str) -> Result<Bytes, Status> {
        let place = place.to_owned();
        let request = self.request(v1::GetOpenApiRequest { place });
        Ok(self
            .answer(self.discovery.clone().get_open_api(request))
            .await?
            .document)
    }

    /// The server's version.
    pub async fn version(&self) -> Result<v1::GetVersionResponse, Status> {
        let request = self.request(v1::GetVersionRequest {});
        self.answer(self.discovery.clone().get_version(request))
            .await
    }
}

/// The request header with the leader's epoch.
pub const EPOCH_HEADER: &str = "ferrule-leader-epoch";
/// The answer's header with a warning; there may be several.
pub const WARNING_HEADER: &str = "ferrule-warning";
/// The trailer with the Status, as JSON.
pub const STATUS_TRAILER: &str = "ferrule-status-bin";

fn change(event: v1::WatchEvent) -> Change {
    Change {
        kind: event.r#type(),
        revision: event.revision,
        object: event.object,
    }
}

/// The server is asked to keep the deadline, and is not trusted to.
async fn deadline<T>(
    call: impl Future<Output = Result<tonic::Response<T>, tonic::Status>>,
) -> Result<tonic::Response<T>, Status> {
    match tokio::time::timeout(CALL_TIMEOUT, call).await {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(error)) => Err(status_of(error)),
        Err(_) => Err(Status::timeout("the API server did not answer in time", 0)),
    }
}

fn status_from_json(bytes: &[u8]) -> Status {
    Status::from_json(bytes)
        .unwrap_or_else(|| Status::internal("the server sent an unreadable Status"))
}

/// The Status in a gRPC error, or the nearest one to its code. A Status that no server sent, since
/// none was reached, has the HTTP code 0.
pub fn status_of(error: tonic::Status) -> Status {
    let trailer = error.metadata().get_bin(STATUS_TRAILER);
    if let Some(Ok(bytes)) = trailer.map(|value| value.to_bytes()) {
        return status_from_json(&bytes);
    }
    let message = error.message().to_owned();
    match error.code() {
        tonic::Code::Unauthenticated => Status::unauthorized(),
        tonic::Code::DeadlineExceeded | tonic::Code::Cancelled => Status::timeout(message, 0),
        tonic::Code::Unavailable | tonic::Code::Unknown => Status {
            code: 0,
            ..Status::service_unavailable(transport::describe(&error))
        },
        _ => Status::internal(message),
    }
}
