//! One request for a resource: from method, headers and body to a verb and back.

use std::sync::Arc;

use axum::body::Body as HttpBody;
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use ferrule_apimachinery::field::quote;
use ferrule_apimachinery::status::Status;
use ferrule_component_base::identity::Identity;
use ferrule_proto::v1;
use futures::TryStreamExt;
use http::Method;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, USER_AGENT};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use jiff::Timestamp;
use tokio::sync::OwnedSemaphorePermit;

use super::accept::{self, Encoding, Negotiated, text};
use super::path::Place;
use super::query::Query;
use super::{answer, list, watch};
use crate::serve::bodies::{BODY_TIMEOUT, Turn};
use crate::serve::metrics::{self, Running};
use crate::serve::{BODY_LIMIT, Front, REQUEST_TIMEOUT, check_size};
use crate::verbs::connect::{Parameters, of_kubelet};
use crate::verbs::options::manager_of_agent;
use crate::verbs::{
    Answer, Api, Body, Call, DeleteOptions, Epoch, Form, Media, Page, PatchBody, Target, forms,
};

/// What a method means at a place; `None` where it means nothing.
fn verb(method: &Method, place: &Place, query: &Query) -> Option<&'static str> {
    let collection = place.name.is_empty();
    let verb = match *method {
        Method::GET if place.watch => "watch",
        Method::GET if !collection => "get",
        Method::GET if query.flag("watch") => "watch",
        Method::GET => "list",
        Method::POST if collection != place.subresource.is_empty() => return None,
        Method::POST => "create",
        Method::PUT if !collection => "update",
        Method::PATCH if !collection => "patch",
        Method::DELETE if !collection => "delete",
        Method::DELETE => "deletecollection",
        _ => return None,
    };
    let resource = &place.resource;
    let can = match place.subresource.as_str() {
        "" => resource.has_verb(verb),
        name => resource
            .subresource(name)
            .is_some_and(|part| part.verbs.iter().any(|own| own == verb)),
    };
    can.then_some(verb)
}

/// Nobody may act as another until there are rules that allow it: left unread, the headers would have the request run
/// as its sender.
fn refuse_impersonation(headers: &HeaderMap, call: &Call) -> Result<(), Status> {
    let impersonates = |name: &HeaderName| name.as_str().starts_with("impersonate-");
    if !headers.keys().any(impersonates) {
        return Ok(());
    }
    let why = format!(
        "User {} cannot impersonate resource \"users\" in API group \"\" at the cluster scope",
        quote(call.user())
    );
    let other = text(headers, HeaderName::from_static("impersonate-user"));
    Err(Status::forbidden("", "users", other, why))
}

/// Serves a request for a resource.
pub(super) async fn serve(
    front: Arc<Front>,
    identity: Identity,
    place: Place,
    request: Request,
) -> Response {
    let query = Query::parse(request.uri());
    let wanted = accept::negotiate(
        request.headers(),
        &query,
        &place.resource,
        place.name.is_empty()
            && *request.method() != Method::POST
            && !(query.flag("watch") || place.watch),
    );
    let wire = match &wanted {
        Ok(wanted) if wanted.form == Form::Object => wanted.wire,
        _ => accept::of_failures(request.headers(), &query),
    };
    let Some(verb) = verb(request.method(), &place, &query) else {
        return answer::status(&Status::method_not_allowed(), wire);
    };
    let timeout = match query.timeout() {
        Ok(timeout) => timeout,
        Err(status) if verb != "watch" => return answer::status(&status, wire),
        Err(_) => REQUEST_TIMEOUT,
    };
    let labels = labels(verb, &place, request.headers());
    let mut running = Some(Running::begin(&front.metrics, labels, query.dry_run()));
    let deadline = tokio::time::Instant::now() + timeout;
    let mut call = Call::new(Some(identity), deadline);
    call.agent = manager_of_agent(text(request.headers(), USER_AGENT));
    let result = async {
        let wanted = wanted?;
        refuse_impersonation(request.headers(), &call)?;
        if let Some(value) = request.headers().get("ferrule-leader-epoch") {
            let epoch = value.to_str().ok().and_then(Epoch::parse);
            call.epoch =
                Some(epoch.ok_or_else(|| Status::bad_request("malformed ferrule-leader-epoch"))?);
        }
        let asked = Asked {
            front: &front,
            call: &call,
            query,
            wanted,
        };
        asked.run(verb, place, request, &mut running).await
    };
    let result = match tokio::time::timeout_at(deadline, result).await {
        Ok(result) => result,
        Err(_) => {
            running.iter_mut().for_each(Running::terminated);
            Err(Status::timeout(
                "request did not complete within the allotted timeout",
                0,
            ))
        }
    };
    let mut response = result.unwrap_or_else(|status| answer::status(&status, wire));
    answer::warn(&mut response, &call.take_warnings());
    match running {
        Some(running) => running.end_with(response),
        // It goes on.
        None => response,
    }
}

/// A request as the metrics name it.
fn labels(verb: &'static str, place: &Place, headers: &HeaderMap) -> metrics::Asked {
    let apply = text(headers, CONTENT_TYPE) == "application/apply-patch+yaml";
    let whose = (place.namespace.as_str(), place.name.as_str());
    metrics::Asked::new(verb, &place.resource, &place.subresource, whose, apply)
}

/// A request, and how its answer is wanted.
struct Asked<'a> {
    front: &'a Arc<Front>,
    call: &'a Call,
    query: Query,
    wanted: Negotiated,
}

impl Asked<'_> {
    async fn run(
        &self,
        verb: &'static str,
        place: Place,
        request: Request,
        running: &mut Option<Running>,
    ) -> Result<Response, Status> {
        let (front, call) = (self.front, self.call);
        let target = Target {
            resource: place.resource,
            namespace: place.namespace,
            name: place.name,
            subresource: place.subresource,
        };
        front.api.warn_of_deprecation(call, &target);
        if matches!(verb, "list" | "watch") {
            return self.list_or_watch(verb, target, running).await;
        }
        front.api.authorize(call, &Api::attributes(verb, &target))?;
        if verb == "get" && target.subresource == "log" {
            return self.log(&target, running).await;
        }
        let place = self.enter(verb, running)?;
        let (parts, body) = request.into_parts();
        let api = &front.api;
        let answer = match verb {
            "get" => {
                api.get(call, &target, self.query.text("resourceVersion"))
                    .await?
            }
            "create" => {
                let bytes = self.read_body(body).await?;
                let body = Body {
                    bytes: &bytes,
                    media: media(&parts.headers)?,
                };
                let options = self.query.write("CreateOptions")?;
                api.create(call, &target, body, &options).await?
            }
            "update" => {
                let bytes = self.read_body(body).await?;
                let body = Body {
                    bytes: &bytes,
                    media: media(&parts.headers)?,
                };
                let options = self.query.write("UpdateOptions")?;
                api.update(call, &target, body, &options).await?
            }
            "patch" => {
                let kind = text(&parts.headers, CONTENT_TYPE);
                let kind = kind.split(';').next().unwrap_or_default().trim();
                let read: fn(&[u8]) -> Result<PatchBody, Status> = match kind {
                    "application/merge-patch+json" => PatchBody::merge,
                    "application/strategic-merge-patch+json" => PatchBody::strategic,
                    "application/json-patch+json" => PatchBody::json,
                    "application/apply-patch+yaml" => PatchBody::apply,
                    _ => return Err(PatchBody::unsupported()),
                };
                let apply = kind == "application/apply-patch+yaml";
                let options = self.query.patch(apply)?;
                let patch = read(&self.read_body(body).await?)?;
                api.patch(call, &target, &patch, &options).await?
            }
            "delete" => {
                let options = self.delete_options(&parts.headers, body).await?;
                api.delete(call, &target, &options).await?
            }
            "deletecollection" => {
                let options = self.delete_options(&parts.headers, body).await?;
                let page = api
                    .delete_collection(call, &target, &options, &self.query.list()?)
                    .await?;
                return self.page(&target, page, place);
            }
            _ => return Err(Status::method_not_allowed()),
        };
        self.object(verb, &target, answer)
    }

    fn answer(&self, code: u16, bytes: Bytes) -> Response {
        let bytes = if self.wanted.beta {
            forms::as_beta(&bytes)
        } else {
            bytes
        };
        answer::object(code, self.wanted.wire, bytes)
    }

    fn page(
        &self,
        target: &Target,
        page: Page,
        place: OwnedSemaphorePermit,
    ) -> Result<Response, Status> {
        let pieces = list::render(target.resource.clone(), self.wanted, page)?;
        answer::pieces(self.wanted.wire, pieces, place, REQUEST_TIMEOUT)
    }

    fn object(&self, verb: &str, target: &Target, answer: Answer) -> Result<Response, Status> {
        let code = if verb == "create" || answer.created {
            201
        } else {
            200
        };
        let now = Timestamp::now();
        let bytes = if answer.is_object {
            forms::one(&target.resource, self.wanted.form, answer.bytes, now)?
        } else if let (Form::Table(_), "scale") = (self.wanted.form, target.subresource.as_str()) {
            forms::scale_table(&answer.bytes, now)?
        } else {
            answer.bytes
        };
        Ok(self.answer(code, bytes))
    }

    async fn list_or_watch(
        &self,
        verb: &'static str,
        mut target: Target,
        running: &mut Option<Running>,
    ) -> Result<Response, Status> {
        let (front, call) = (self.front, self.call);
        let mut options = self.query.list()?;
        // The old path of a watch of one object.
        let one = std::mem::take(&mut target.name);
        if !one.is_empty() {
            options.field_selector = format!("metadata.name={one}");
        }
        front
            .api
            .authorize_selected(call, verb, &target, &options)?;
        if verb == "watch" {
            if self.wanted.wire.encoding == Encoding::Yaml {
                return Err(accept::no_stream());
            }
            let watch = match front.api.watch(call, &target, &options).await {
                Err(status) if status.is_expired() => {
                    let asked = options.resource_version.parse::<i64>();
                    let of_the_future =
                        asked.is_ok_and(|asked| asked > front.api.store().revision());
                    return Ok(watch::refused(
                        self.wanted,
                        &status,
                        &options,
                        of_the_future,
                        running.take(),
                    ));
                }
                other => other?,
            };
            return Ok(watch::serve(
                front.clone(),
                watch,
                target,
                self.wanted,
                &options,
                running.take(),
            ));
        }
        let place = self.enter(verb, running)?;
        let page = front.api.list(call, &target, &options).await?;
        self.page(&target, page, place)
    }

    /// A place among the requests in flight.
    fn enter(
        &self,
        verb: &str,
        running: &mut Option<Running>,
    ) -> Result<OwnedSemaphorePermit, Status> {
        let place = self.front.in_flight.enter(verb);
        if place.is_err() {
            running.iter_mut().for_each(Running::terminated);
        }
        place
    }

    async fn log(
        &self,
        target: &Target,
        running: &mut Option<Running>,
    ) -> Result<Response, Status> {
        let parameters = Parameters(self.query.0.clone());
        let logs = self.front.api.logs(self.call, target, &parameters).await?;
        let body = match logs {
            None => HttpBody::empty(),
            Some(mut logs) => {
                // An error before the first byte is an answer of its own.
                let first = logs.message().await.map_err(of_kubelet)?;
                let first = futures::stream::iter(first.map(Ok::<v1::LogsResponse, tonic::Status>));
                let all = futures::StreamExt::chain(first, logs);
                HttpBody::from_stream(all.map_ok(|chunk| chunk.data))
            }
        };
        let response = answer::with_type(200, "text/plain", body);
        Ok(match running.take() {
            Some(running) => running.end_with(response),
            None => response,
        })
    }

    async fn delete_options(
        &self,
        headers: &HeaderMap,
        body: HttpBody,
    ) -> Result<DeleteOptions, Status> {
        let bytes = self.read_body(body).await?;
        if bytes.trim_ascii().is_empty() {
            return DeleteOptions::read(&self.query.delete()?);
        }
        let options = self
            .front
            .api
            .read_delete_options(&bytes, media(headers)?)?;
        DeleteOptions::read(&options)
    }
}

/// How the body is written.
fn media(headers: &HeaderMap) -> Result<Media, Status> {
    match text(headers, CONTENT_TYPE)
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
    {
        "" | "application/json" => Ok(Media::Json),
        "application/yaml" => Ok(Media::Yaml),
        "application/vnd.kubernetes.protobuf" => Ok(Media::Protobuf),
        _ => Err(Status::unsupported_media_type(&[
            "application/json",
            "application/yaml",
            "application/vnd.kubernetes.protobuf",
        ])),
    }
}

/// A body that has arrived, with its turn if it is large.
struct Read {
    bytes: Bytes,
    _turn: Turn,
}

impl std::ops::Deref for Read {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Asked<'_> {
    async fn read_body(&self, body: HttpBody) -> Result<Read, Status> {
        let (body, turn) = self.front.bodies.bounded(body);
        let collected = Limited::new(body, BODY_LIMIT).collect();
        match tokio::time::timeout(BODY_TIMEOUT, collected).await {
            Ok(Ok(collected)) => Ok(Read {
                bytes: collected.to_bytes(),
                _turn: turn,
            }),
            Ok(Err(error)) if error.is::<LengthLimitError>() => {
                check_size(BODY_LIMIT + 1)?;
                Err(Status::internal(error))
            }
            Ok(Err(error)) => Err(Status::bad_request(format!(
                "the body could not be read: {error}"
            ))),
            Err(_) => Err(Status::timeout("the body did not arrive in time", 0)),
        }
    }
}
