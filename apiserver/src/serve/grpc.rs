//! The gRPC front: `Resources` and `Discovery` over the verbs.

mod asking;
mod connect;
mod discovery;
mod status;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ferrule_apimachinery::status::Status;
use ferrule_component_base::identity::Identity;
use ferrule_proto::v1;
use ferrule_proto::v1::resources_server::Resources;
use futures::stream::BoxStream;
use jiff::Timestamp;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Streaming};

use super::metrics::{self, Running};
use super::{Front, REQUEST_TIMEOUT, check_size};
use crate::verbs::options::manager_of_agent;
use crate::verbs::{
    Answer, Api, Body, Call, DeleteOptions, Epoch, Form, Include, ListOptions, PatchBody, Target,
    WriteOptions, forms,
};

use asking::Asking;
pub use discovery::DiscoveryService;
pub(crate) use status::to_grpc;

/// The service `ferrule.v1.Resources`.
pub struct ResourcesService(Arc<Front>);

impl ResourcesService {
    pub(crate) fn new(front: Arc<Front>) -> ResourcesService {
        ResourcesService(front)
    }
}

/// Who calls, until when and in which epoch.
fn call<T>(request: &Request<T>) -> Result<Call, Status> {
    let asked = timeout(request.metadata())
        .unwrap_or(REQUEST_TIMEOUT)
        .min(REQUEST_TIMEOUT);
    let identity = request.extensions().get::<Identity>().cloned();
    let agent = agent(identity.as_ref(), request.metadata());
    let mut call = Call::new(identity, tokio::time::Instant::now() + asked);
    call.agent = agent;
    if let Some(value) = request.metadata().get("ferrule-leader-epoch") {
        let epoch = value.to_str().ok().and_then(Epoch::parse);
        call.epoch =
            Some(epoch.ok_or_else(|| Status::bad_request("malformed ferrule-leader-epoch"))?);
    }
    Ok(call)
}

/// The field manager of callers that name none: a component is known by its certificate.
fn agent(identity: Option<&Identity>, metadata: &MetadataMap) -> String {
    let user = identity.map_or("", |identity| identity.user.as_str());
    match user.strip_prefix("system:") {
        Some(node) if node.starts_with("node:") => "kubelet".to_owned(),
        Some(component) if component.starts_with("kube-") => manager_of_agent(component),
        _ => {
            let agent = metadata
                .get("user-agent")
                .and_then(|text| text.to_str().ok());
            manager_of_agent(agent.unwrap_or_default())
        }
    }
}

/// The client's deadline, as gRPC writes it.
fn timeout(metadata: &MetadataMap) -> Option<Duration> {
    let text = metadata.get("grpc-timeout")?.to_str().ok()?;
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number: u64 = number.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(number.checked_mul(3600)?),
        "M" => Duration::from_secs(number.checked_mul(60)?),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

/// The resource and object that a reference names.
fn target(api: &Api, reference: Option<v1::ResourceRef>) -> Result<Target, Status> {
    let reference =
        reference.ok_or_else(|| Status::bad_request("the request names no resource"))?;
    let resource = api
        .scheme()
        .lookup(&reference.group, &reference.version, &reference.resource)
        .ok_or_else(Status::no_such_resource)?;
    if !reference.subresource.is_empty() && resource.subresource(&reference.subresource).is_none() {
        return Err(Status::no_such_resource());
    }
    if !resource.namespaced && !reference.namespace.is_empty() {
        return Err(Status::no_such_resource());
    }
    Ok(Target {
        resource: resource.clone(),
        namespace: reference.namespace,
        name: reference.name,
        subresource: reference.subresource,
    })
}

/// A request as the metrics name it.
fn labels(verb: &'static str, target: &Target, apply: bool) -> metrics::Asked {
    let whose = (target.namespace.as_str(), target.name.as_str());
    metrics::Asked::new(verb, &target.resource, &target.subresource, whose, apply)
}

/// Refuses what the resource cannot do, and names that are missing.
fn check_verb(verb: &'static str, target: &Target) -> Result<(), Status> {
    let resource = &target.resource;
    let can = match target.subresource.as_str() {
        "" => resource.has_verb(verb),
        name => resource
            .subresource(name)
            .is_some_and(|sub| sub.verbs.iter().any(|own| own == verb)),
    };
    if !can {
        return Err(Status::method_not_allowed());
    }
    let one = matches!(verb, "get" | "update" | "patch" | "delete");
    if one && target.name.is_empty() {
        return Err(Status::bad_request("the request names no object"));
    }
    let within = one || verb == "create" || !target.name.is_empty();
    if within && resource.namespaced && target.namespace.is_empty() {
        return Err(Status::bad_request("the request names no namespace"));
    }
    Ok(())
}

fn form(number: i32) -> Form {
    match v1::Form::try_from(number) {
        Ok(v1::Form::Table) => Form::Table(Include::Metadata),
        Ok(v1::Form::Metadata) => Form::Metadata,
        _ => Form::Object,
    }
}

fn write_options(kind: &str, options: Option<v1::WriteOptions>) -> Result<WriteOptions, Status> {
    let options = options.unwrap_or_default();
    let dry_run: &[&str] = if options.dry_run { &["All"] } else { &[] };
    WriteOptions::read(
        kind,
        dry_run,
        &options.field_manager,
        &options.field_validation,
    )
}

fn delete_options(bytes: &[u8]) -> Result<DeleteOptions, Status> {
    check_size(bytes.len())?;
    if bytes.is_empty() {
        return Ok(DeleteOptions::default());
    }
    let options = serde_json::from_slice(bytes).map_err(|error| {
        Status::bad_request(format!("the delete options cannot be read: {error}"))
    })?;
    DeleteOptions::read(&options)
}

impl ResourcesService {
    /// Everything around a unary verb: who, may they, is there room, and the answer's metadata.
    async fn unary<T, R, F>(
        &self,
        verb: &'static str,
        request: Request<T>,
        run: F,
    ) -> Result<Response<R>, tonic::Status>
    where
        T: Asking,
        R: prost::Message,
        F: AsyncFnOnce(&Api, &Call, &Target, T) -> Result<R, Status>,
    {
        let front = &self.0;
        let prepared = (|| {
            let call = call(&request)?;
            let mut message = request.into_inner();
            let target = target(&front.api, message.resource())?;
            check_verb(verb, &target)?;
            Ok((call, target, message))
        })();
        let (call, target, message) = prepared.map_err(to_grpc)?;
        let labels = labels(verb, &target, message.is_apply());
        let dry_run = if message.is_dry_run() { "All" } else { "" };
        let mut running = Running::begin(&front.metrics, labels, dry_run);
        let work = async {
            // A selector decides about lists, where it is known.
            if verb != "list" {
                front
                    .api
                    .authorize(&call, &Api::attributes(verb, &target))?;
            }
            front.api.warn_of_deprecation(&call, &target);
            let place = front.in_flight.enter(verb);
            let _place = place.inspect_err(|_| running.terminated())?;
            run(&front.api, &call, &target, message).await
        };
        let result = match tokio::time::timeout_at(call.deadline, work).await {
            Ok(result) => result,
            Err(_) => {
                running.terminated();
                Err(Status::timeout(
                    "request did not complete within the allotted timeout",
                    0,
                ))
            }
        };
        let code = match &result {
            Ok(answer) => {
                running.sized(answer.encoded_len() as u64);
                200
            }
            Err(status) => status.http_code(),
        };
        running.answered(code);
        drop(running);
        let mut response = Response::new(result.map_err(to_grpc)?);
        for warning in call.take_warnings() {
            let text: String = warning
                .chars()
                .map(|c| {
                    if c.is_ascii() && !c.is_ascii_control() {
                        c
                    } else {
                        '?'
                    }
                })
                .collect();
            if let Ok(value) = text.parse() {
                response.metadata_mut().append("ferrule-warning", value);
            }
        }
        Ok(response)
    }
}

fn object_response(
    answer: Answer,
    target: &Target,
    form: Form,
) -> Result<v1::ObjectResponse, Status> {
    let object = if answer.is_object {
        forms::one(&target.resource, form, answer.bytes, Timestamp::now())?
    } else {
        answer.bytes
    };
    Ok(v1::ObjectResponse {
        object,
        revision: answer.revision,
        created: answer.created,
    })
}

#[tonic::async_trait]
impl Resources for ResourcesService {
    async fn get(
        &self,
        request: Request<v1::GetRequest>,
    ) -> Result<Response<v1::ObjectResponse>, tonic::Status> {
        self.unary("get", request, async |api, call, target, message| {
            let answer = api.get(call, target, &message.resource_version).await?;
            object_response(answer, target, form(message.form))
        })
        .await
    }

    async fn list(
        &self,
        request: Request<v1::ListRequest>,
    ) -> Result<Response<v1::ListResponse>, tonic::Status> {
        self.unary("list", request, async |api, call, target, message| {
            let form = form(message.form);
            let options = ListOptions {
                label_selector: message.label_selector,
                field_selector: message.field_selector,
                limit: message.limit,
                continue_token: message.r#continue,
                resource_version: message.resource_version,
                resource_version_match: message.resource_version_match,
                ..ListOptions::default()
            };
            api.authorize_selected(call, "list", target, &options)?;
            let page = api.list(call, target, &options).await?;
            let now = Timestamp::now();
            let mut response = v1::ListResponse {
                revision: page.revision,
                r#continue: page.continue_token.clone(),
                remaining_item_count: page.remaining,
                ..v1::ListResponse::default()
            };
            if let Form::Table(include) = form {
                let stored = page.items.iter().map(|stored| &**stored);
                let table =
                    forms::table_of(&target.resource, include, &(&page).into(), stored, now)?;
                response.table = table.into();
                return Ok(response);
            }
            response.items = page
                .items
                .iter()
                .map(|stored| {
                    forms::one(&target.resource, form, stored.with_resource_version(), now)
                })
                .collect::<Result<Vec<Bytes>, Status>>()?;
            Ok(response)
        })
        .await
    }

    type WatchStream = BoxStream<'static, Result<v1::WatchBatch, tonic::Status>>;

    async fn watch(
        &self,
        request: Request<Streaming<v1::WatchRequest>>,
    ) -> Result<Response<Self::WatchStream>, tonic::Status> {
        Ok(Response::new(watch::serve(self.0.clone(), request)))
    }

    async fn create(
        &self,
        request: Request<v1::CreateRequest>,
    ) -> Result<Response<v1::ObjectResponse>, tonic::Status> {
        self.unary("create", request, async |api, call, target, message| {
            check_size(message.object.len())?;
            let options = write_options("CreateOptions", message.options)?;
            let body = Body::json(&message.object);
            let answer = api.create(call, target, body, &options).await?;
            object_response(answer, target, form(message.form))
        })
        .await
    }

    async fn update(
        &self,
        request: Request<v1::UpdateRequest>,
    ) -> Result<Response<v1::ObjectResponse>, tonic::Status> {
        self.unary("update", request, async |api, call, target, message| {
            check_size(message.object.len())?;
            let options = write_options("UpdateOptions", message.options)?;
            let answer = api
                .update(call, target, Body::json(&message.object), &options)
                .await?;
            object_response(answer, target, form(message.form))
        })
        .await
    }

    async fn patch(
        &self,
        request: Request<v1::PatchRequest>,
    ) -> Result<Response<v1::ObjectResponse>, tonic::Status> {
        self.unary("patch", request, async |api, call, target, message| {
            check_size(message.patch.len())?;
            let apply = message.r#type == v1::PatchType::PatchApply as i32;
            let given = message.options.unwrap_or_default();
            let dry_run: &[&str] = if given.dry_run { &["All"] } else { &[] };
            let options = WriteOptions::read_patch(
                apply,
                dry_run,
                &given.field_manager,
                &given.field_validation,
                message.force.then_some(true),
            )?;
            let patch = match v1::PatchType::try_from(message.r#type) {
                Ok(v1::PatchType::PatchMerge) => PatchBody::merge(&message.patch)?,
                Ok(v1::PatchType::PatchStrategicMerge) => PatchBody::strategic(&message.patch)?,
                Ok(v1::PatchType::PatchJson) => PatchBody::json(&message.patch)?,
                Ok(v1::PatchType::PatchApply) => PatchBody::apply(&message.patch)?,
                _ => return Err(PatchBody::unsupported()),
            };
            let answer = api.patch(call, target, &patch, &options).await?;
            object_response(answer, target, form(message.form))
        })
        .await
    }

    async fn delete(
        &self,
        request: Request<v1::DeleteRequest>,
    ) -> Result<Response<v1::ObjectResponse>, tonic::Status> {
        self.unary("delete", request, async |api, call, target, message| {
            let options = delete_options(&message.options)?;
            let answer = api.delete(call, target, &options).await?;
            object_response(answer, target, form(message.form))
        })
        .await
    }

    async fn delete_collection(
        &self,
        request: Request<v1::DeleteCollectionRequest>,
    ) -> Result<Response<v1::DeleteCollectionResponse>, tonic::Status> {
        self.unary(
            "deletecollection",
            request,
            async |api, call, target, message| {
                let options = delete_options(&message.options)?;
                let list = ListOptions {
                    label_selector: message.label_selector,
                    field_selector: message.field_selector,
                    ..ListOptions::default()
                };
                let page = api.delete_collection(call, target, &options, &list).await?;
                let items = page
                    .items
                    .iter()
                    .map(|stored| stored.with_resource_version())
                    .collect();
                Ok(v1::DeleteCollectionResponse {
                    items,
                    revision: page.revision,
                })
            },
        )
        .await
    }

    type ConnectStream = BoxStream<'static, Result<v1::ConnectResponse, tonic::Status>>;

    async fn connect(
        &self,
        request: Request<Streaming<v1::ConnectRequest>>,
    ) -> Result<Response<Self::ConnectStream>, tonic::Status> {
        let stream = connect::serve(&self.0, request).await.map_err(to_grpc)?;
        Ok(Response::new(stream))
    }
}
