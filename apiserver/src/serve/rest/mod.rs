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
use ferrule_component_base::identity::Identity;
use http::header::{CACHE_CONTROL, HeaderName, HeaderValue};
use serde_json::{Value, json};
use uuid::Uuid;

use super::Front;
use path::Route;
use query::Query;

const AUDIT_ID: HeaderName = HeaderName::from_static("audit-id");

/// What `/version` answers.
pub fn version() -> Value {
    json!({
        "major": "1",
        "minor": "36",
        "emulationMajor": "1",
        "emulationMinor": "36",
        "minCompatibilityMajor": "1",
        "minCompatibilityMinor": "35",
        "gitVersion": ferrule_component_base::GIT_VERSION,
        "gitCommit": option_env!("FERRULE_GIT_COMMIT").unwrap_or("unknown"),
        "gitTreeState": "clean",
        "buildDate": option_env!("FERRULE_BUILD_DATE").unwrap_or("1970-01-01T00:00:00Z"),
        "goVersion": "none",
        "compiler": "rustc",
        "platform": format!("{}/{}", std::env::consts::OS, architecture()),
    })
}

/// The architecture in Go's words.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
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
