//! Answers of the REST front.

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use ferrule_apimachinery::status::Status;
use http::header::{CONTENT_TYPE, RETRY_AFTER, WARNING};
use http::{HeaderValue, StatusCode};
use serde_json::Value;

use super::accept::Encoding;

/// JSON, or the same in YAML.
pub(super) fn json(code: u16, encoding: Encoding, pretty: bool, bytes: Bytes) -> Response {
    let (kind, bytes) = match encoding {
        Encoding::Json if !pretty => ("application/json", bytes),
        Encoding::Json => ("application/json", prettied(bytes)),
        Encoding::Yaml => ("application/yaml", yaml(bytes)),
    };
    with_type(code, kind, Body::from(bytes))
}

/// Any body of a type.
pub(super) fn with_type(code: u16, kind: &'static str, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() =
        StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// A tree as JSON, with the new line that ends it.
pub(super) fn value(code: u16, value: &Value) -> Response {
    let mut bytes = value.to_string().into_bytes();
    bytes.push(b'\n');
    json(code, Encoding::Json, false, bytes.into())
}

/// A failure.
pub(super) fn status(status: &Status, encoding: Encoding) -> Response {
    let mut response = json(status.http_code(), encoding, false, status.to_json().into());
    let seconds = status
        .details
        .as_ref()
        .map_or(0, |details| details.retry_after_seconds);
    if seconds > 0 {
        response
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// Plain text for paths that are not of the API.
pub(super) fn not_found() -> Response {
    with_type(
        404,
        "text/plain; charset=utf-8",
        Body::from("404 page not found\n"),
    )
}

/// Adds `Warning` headers as RFC 7234 has them: `299 - "text"`.
pub(super) fn warn(response: &mut Response, warnings: &[String]) {
    for warning in warnings {
        let mut text = String::from("299 - \"");
        for c in warning.chars() {
            match c {
                '"' | '\\' => text.extend(['\\', c]),
                c if c.is_control() => text.push(' '),
                c => text.push(c),
            }
        }
        text.push('"');
        if let Ok(value) = HeaderValue::from_bytes(text.as_bytes()) {
            response.headers_mut().append(WARNING, value);
        }
    }
}

fn prettied(bytes: Bytes) -> Bytes {
    let Ok(value) = serde_json::from_slice::<Value>(&bytes) else {
        return bytes;
    };
    match serde_json::to_string_pretty(&value) {
        Ok(text) => Bytes::from(text + "\n"),
        Err(_) => bytes,
    }
}

fn yaml(bytes: Bytes) -> Bytes {
    // JSON is YAML; it is written out the usual way where it can be.
    match serde_json::from_slice::<Value>(&bytes) {
        Ok(value) => Bytes::from(crate::verbs::write_yaml(&value)),
        Err(_) => bytes,
    }
}
