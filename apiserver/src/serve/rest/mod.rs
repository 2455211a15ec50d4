//! The REST front: paths, query parameters, headers and JSON over the verbs.

mod accept;
mod answer;
mod discovery;
mod documents;
mod gzip;
mod list;
mod path;
mod pretty;
mod query;
mod request;
#[cfg(test)]
mod tests;
mod watch;

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use ferrule_apimachinery::status::Status;
use ferrule_component_base::build;
use ferrule_component_base::identity::Identity;
use http::header::{CACHE_CONTROL, HeaderName, HeaderValue};
use serde::Serialize;
use uuid::Uuid;

use super::Front;
use path::Route;
use query::Query;

const AUDIT_ID: HeaderName = HeaderName::from_static("audit-id");

/// What `/version` answers, in the order of upstream's fields, which people read.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Version {
    pub major: &'static str,
    pub minor: &'static str,
    emulation_major: &'static str,
    emulation_minor: &'static str,
    min_compatibility_major: &'static str,
    min_compatibility_minor: &'static str,
    pub git_version: &'static str,
    pub git_commit: &'static str,
    git_tree_state: &'static str,
    pub build_date: &'static str,
    go_version: &'static str,
    compiler: &'static str,
    pub platform: String,
}

/// The version of this server.
pub(crate) fn version() -> Version {
    Version {
        major: build::MAJOR,
        minor: build::MINOR,
        emulation_major: build::MAJOR,
        emulation_minor: build::MINOR,
        min_compatibility_major: "1",
        min_compatibility_minor: "35",
        git_version: ferrule_component_base::GIT_VERSION,
        git_commit: build::GIT_COMMIT,
        git_tree_state: build::GIT_TREE_STATE,
        build_date: build::DATE,
        go_version: build::GO_VERSION,
        compiler: build::COMPILER,
        platform: build::platform(),
    }
}

/// The routes of the REST paths.
pub(crate) fn routes(front: Arc<Front>) -> Router {
    Router::new().fallback(move |request: Request| {
        let front = front.clone();
        async move { handle(front, request).await }
    })
}

/// Answers a request, with the headers that every answer has: who asks for something in the logs names it by
/// its audit ID, the client's own or a new one, and nothing is to be kept that does not say so itself.
async fn handle(front: Arc<Front>, request: Request) -> Response {
    let given = request.headers().get(AUDIT_ID);
    let audit = match given.filter(|given| !given.is_empty()) {
        Some(given) => Ok(given.clone()),
        None => HeaderValue::try_from(Uuid::new_v4().to_string()),
    };
    let mut response = respond(front, request).await;
    let headers = response.headers_mut();
    if let Ok(audit) = audit {
        headers.insert(AUDIT_ID, audit);
    }
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-cache, private"));
    response
}

async fn respond(front: Arc<Front>, request: Request) -> Response {
    let Some(identity) = request.extensions().get::<Identity>().cloned() else {
        let wire = accept::of_failures(request.headers(), &Query::parse(request.uri()));
        return answer::status(&Status::unauthorized(), wire);
    };
    let path = decoded(request.uri().path());
    match path::route(front.api.scheme(), &path) {
        Route::Resource(place) => request::serve(front, identity, place, request).await,
        other => {
            let (head, _) = request.into_parts();
            documents::serve(&front, other, &head).await
        }
    }
}

/// A path with its percent escapes replaced.
fn decoded(path: &str) -> String {
    let bytes = path.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escaped = (bytes[at] == b'%')
            .then(|| path.get(at + 1..at + 3))
            .flatten()
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match escaped {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
