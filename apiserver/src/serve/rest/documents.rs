//! What describes the API and is no resource: discovery, the version, OpenAPI.
//!
//! Answers carry a hash of what they say, so that a client that has them already is told so.

use std::io::Read;
use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use ferrule_apimachinery::scheme::Resource;
use ferrule_apimachinery::status::Status;
use flate2::read::GzDecoder;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, ETAG, EXPIRES, HOST, HeaderMap,
    HeaderName, IF_NONE_MATCH, LOCATION, VARY,
};
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest, Sha512};

use super::accept::{self, Encoding, Wire, text};
use super::path::Route;
use super::query::Query;
use super::{answer, discovery, version};
use crate::openapi::Document;
use crate::serve::Front;

const JSON: &str = "application/json";
const V2_PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
const V2_PROTOBUF_OLD: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
const V3_PROTOBUF: &str = "application/com.github.proto-openapi.spec.v3.v1.0+protobuf";
const V3_PROTOBUF_OLD: &str = "application/com.github.proto-openapi.spec.v3@v1.0+protobuf";

/// Answers a request for a path that is no resource; upstream answers them to every method.
pub(super) async fn serve(front: &Arc<Front>, route: Route, request: &Parts) -> Response {
    let headers = &request.headers;
    let scheme = front.api.scheme();
    let plain = |found: Option<Value>| described(request, found);
    match route {
        Route::CoreVersions | Route::Groups => {
            let core = matches!(route, Route::CoreVersions);
            if let Some(version) = accept::aggregated_discovery(text(headers, ACCEPT)) {
                let list = discovery::aggregated(scheme, core, version);
                return aggregated(headers, version, &list);
            }
            plain(Some(if core {
                discovery::core_versions(text(headers, HOST))
            } else {
                discovery::groups(scheme)
            }))
        }
        Route::Group(group) => match discovery::one_group(scheme, &group) {
            Some(group) => plain(Some(group)),
            None => answer::not_found(),
        },
        Route::GroupVersion(group, version) => {
            plain(discovery::resources(scheme, &group, &version))
        }
        Route::Version => answer::raw(&version()),
        Route::Root => answer::raw(&json!({"paths": root_paths(front)})),
        Route::OpenApiV2 => open_api_v2(front, headers).await,
        Route::OpenApiV3(place) => open_api_v3(front, &place, request).await,
        Route::Resource(_) | Route::NoResource => plain(None),
        Route::NotFound => answer::not_found(),
    }
}

/// An object of discovery, in the encoding that the client wants.
fn described(request: &Parts, found: Option<Value>) -> Response {
    let query = Query::parse(&request.uri);
    // It is of no resource: only how it is written is asked for.
    let none = Resource::default();
    let wire = match accept::negotiate(&request.headers, &query, &none, false) {
        Ok(wanted) => wanted.wire,
        Err(status) => {
            let wire = accept::of_failures(&request.headers, &query);
            return answer::status(&status, wire);
        }
    };
    let Some(mut value) = found else {
        return answer::status(&Status::no_such_resource(), wire);
    };
    // Those of the core group do not say their version, except where nothing else tells their type.
    if wire.encoding == Encoding::Protobuf {
        value["apiVersion"] = "v1".into();
    }
    answer::object(200, wire, value.to_string().into())
}

fn aggregated(headers: &HeaderMap, version: &str, list: &Value) -> Response {
    let body = format!("{list}\n");
    let etag = etag(body.as_bytes());
    let kind = match version {
        "v2" => "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
        _ => "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList",
    };
    let mut response = if is_known(headers, &etag) {
        not_modified()
    } else {
        answer::with_type(200, kind, body.into())
    };
    set(&mut response, ETAG, &format!("\"{etag}\""));
    set(&mut response, VARY, "Accept");
    set(&mut response, CACHE_CONTROL, "public");
    response
}

/// Every path that can be asked for, as `/` lists them.
fn root_paths(front: &Front) -> Vec<String> {
    let mut paths: Vec<String> = [
        "/api",
        "/apis",
        "/healthz",
        "/livez",
        "/metrics",
        "/openapi/v2",
        "/openapi/v3",
        "/openapi/v3/",
        "/readyz",
        "/version",
        "/apis/",
        "/healthz/ping",
        "/livez/ping",
        "/readyz/ping",
    ]
    .map(str::to_owned)
    .to_vec();
    for (group, versions) in front.api.scheme().groups() {
        if group.is_empty() {
            paths.extend(versions.iter().map(|version| format!("/api/{version}")));
            continue;
        }
        paths.push(format!("/apis/{group}"));
        paths.extend(
            versions
                .iter()
                .map(|version| format!("/apis/{group}/{version}")),
        );
    }
    paths.sort();
    paths
}

async fn open_api_v2(front: &Front, headers: &HeaderMap) -> Response {
    let document = match wanted_form(headers, [V2_PROTOBUF, V2_PROTOBUF_OLD]) {
        None => return not_acceptable(),
        Some(JSON) => front.documents.v2().await.map(|own| (JSON, own)),
        Some(kind) => front.documents.v2_protobuf().await.map(|own| (kind, own)),
    };
    match document {
        Ok((kind, document)) => send(headers, kind, document),
        Err(status) => answer::status(&status, Wire::JSON),
    }
}

/// The form of a document that a client asks for first: JSON, or protobuf by one of its names, the
/// first of which the answer has.
fn wanted_form(headers: &HeaderMap, protobuf: [&'static str; 2]) -> Option<&'static str> {
    let accept = match text(headers, ACCEPT) {
        "" => "*/*",
        accept => accept,
    };
    let mut medias = accept
        .split(',')
        .map(|own| own.split(';').next().unwrap_or_default().trim());
    medias.find_map(|media| match media {
        JSON | "application/*" | "*/*" => Some(JSON),
        media => protobuf.contains(&media).then_some(protobuf[0]),
    })
}

/// `/openapi/v3` says where the document of each group and version is; its address has the hash
/// of what it says and may be kept for ever.
async fn open_api_v3(front: &Front, place: &str, request: &Parts) -> Response {
    let headers = &request.headers;
    let documents = match front.documents.v3().await {
        Ok(documents) => documents,
        Err(status) => return answer::status(&status, Wire::JSON),
    };
    let address =
        |place: &str, document: &Document| format!("/openapi/v3/{place}?hash={}", document.etag);
    if place.is_empty() {
        let paths: serde_json::Map<String, Value> = documents
            .iter()
            .map(|(place, own)| {
                (
                    place.clone(),
                    json!({"serverRelativeURL": address(place, own)}),
                )
            })
            .collect();
        return index(headers, &json!({"paths": paths}));
    }
    let Some(document) = documents.get(place) else {
        return answer::not_found();
    };
    let (kind, document) = match wanted_form(headers, [V3_PROTOBUF, V3_PROTOBUF_OLD]) {
        None => return not_acceptable(),
        Some(JSON) => (JSON, document),
        Some(kind) => match front.documents.v3_protobuf().await {
            Ok(documents) => (kind, documents.get(place).unwrap_or(document)),
            Err(status) => return answer::status(&status, Wire::JSON),
        },
    };
    let asked = request.uri.query().unwrap_or_default();
    let hash = asked.split('&').find_map(|pair| pair.strip_prefix("hash="));
    match hash {
        Some(hash) if !hash.is_empty() && hash != document.etag => {
            let mut response = empty(StatusCode::MOVED_PERMANENTLY);
            set(&mut response, LOCATION, &address(place, document));
            response
        }
        Some(hash) if !hash.is_empty() => {
            let mut response = send(headers, kind, document);
            set(&mut response, CACHE_CONTROL, "public, immutable");
            let year = jiff::SignedDuration::from_hours(365 * 24);
            let expires = (jiff::Timestamp::now() + year).strftime("%a, %d %b %Y %H:%M:%S GMT");
            set(&mut response, EXPIRES, &expires.to_string());
            response
        }
        _ => send(headers, kind, document),
    }
}

/// The places of the documents, with a hash like theirs.
fn index(headers: &HeaderMap, paths: &Value) -> Response {
    let body = paths.to_string();
    let etag = etag(body.as_bytes());
    let mut response = if is_known(headers, &etag) {
        not_modified()
    } else {
        answer::with_type(200, JSON, body.into())
    };
    set(&mut response, ETAG, &format!("\"{etag}\""));
    response
}

/// The hash of what an answer says.
fn etag(bytes: &[u8]) -> String {
    let hash = Sha512::digest(bytes);
    hash.iter().map(|byte| format!("{byte:02X}")).collect()
}

/// A document as it is kept, or unpacked for a client that does not take it so.
fn send(headers: &HeaderMap, kind: &'static str, document: &Document) -> Response {
    let packed = text(headers, ACCEPT_ENCODING).contains("gzip");
    let mut response = if is_known(headers, &document.etag) {
        not_modified()
    } else if packed {
        let mut response = answer::with_type(200, kind, document.gzip.clone().into());
        set(&mut response, CONTENT_ENCODING, "gzip");
        response
    } else {
        match unpacked(&document.gzip) {
            Ok(bytes) => answer::with_type(200, kind, bytes.into()),
            Err(error) => return answer::status(&Status::internal(error), Wire::JSON),
        }
    };
    set(&mut response, ETAG, &format!("\"{}\"", document.etag));
    set(&mut response, VARY, "Accept, Accept-Encoding");
    response
}

fn unpacked(gzip: &[u8]) -> std::io::Result<Bytes> {
    let mut bytes = Vec::new();
    GzDecoder::new(gzip).read_to_end(&mut bytes)?;
    Ok(bytes.into())
}

/// Whether the client has what that hash stands for.
fn is_known(headers: &HeaderMap, etag: &str) -> bool {
    text(headers, IF_NONE_MATCH).split(',').any(|own| {
        let own = own.trim();
        own == "*" || own.trim_start_matches("W/").trim_matches('"') == etag
    })
}

fn empty(code: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = code;
    response
}

fn not_modified() -> Response {
    empty(StatusCode::NOT_MODIFIED)
}

fn not_acceptable() -> Response {
    empty(StatusCode::NOT_ACCEPTABLE)
}

fn set(response: &mut Response, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}
