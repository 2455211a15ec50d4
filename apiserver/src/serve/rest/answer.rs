//! Answers of the REST front.

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use ferrule_apimachinery::Schema;
use ferrule_apimachinery::status::Status;
use futures::StreamExt;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER, VARY, WARNING};
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;

use super::accept::{Encoding, Layout, Wire};
use super::{gzip, pretty};

/// An object, given as JSON, as the client wants it.
pub(super) fn object(code: u16, wire: Wire, json: Bytes) -> Response {
    let bytes = match wire.encoding {
        Encoding::Json => laid_out(json, wire.layout),
        Encoding::Yaml => yaml(json),
        Encoding::Protobuf => match Schema::builtin().write_object(&json) {
            Ok(bytes) => bytes.into(),
            Err(error) => {
                let status = Status::failure(
                    406,
                    ferrule_apimachinery::Reason::NotAcceptable,
                    format!("the object cannot be encoded to a protobuf message: {error}"),
                );
                return self::status(&status, Wire::JSON);
            }
        },
    };
    let kind = wire.encoding.media_type();
    if wire.gzip && bytes.len() > gzip::THRESHOLD {
        let mut response = with_type(code, kind, Body::from(gzip::whole(&bytes)));
        say_gzip(&mut response);
        return response;
    }
    with_type(code, kind, Body::from(bytes))
}

/// JSON with its line breaks.
fn laid_out(json: Bytes, layout: Layout) -> Bytes {
    match layout {
        Layout::Line => ended(json),
        Layout::Indented => ended(pretty::indented(&json).into()),
        Layout::Raw => pretty::indented(&json).into(),
    }
}

/// JSON with the new line that ends it. Nothing is copied where the bytes are nobody else's and have room
/// for it, as those of a stored object have.
fn ended(json: Bytes) -> Bytes {
    let mut json = json
        .try_into_mut()
        .unwrap_or_else(|shared| BytesMut::from(&shared[..]));
    json.extend_from_slice(b"\n");
    json.freeze()
}

/// What an answer in pieces is made of.
pub(super) trait Pieces: Iterator<Item = Result<Bytes, Status>> + Send + 'static {}

impl<P: Iterator<Item = Result<Bytes, Status>> + Send + 'static> Pieces for P {}

/// An answer whose pieces are made when the client has taken those before, in bounded memory; in
/// one piece when there is only one. Its place among the requests in flight is kept until its end.
pub(super) fn pieces(
    wire: Wire,
    mut pieces: impl Pieces,
    place: OwnedSemaphorePermit,
    patience: Duration,
) -> Result<Response, Status> {
    let kind = wire.encoding.media_type();
    let first = pieces.next().unwrap_or_else(|| Ok(Bytes::new()))?;
    let Some(second) = pieces.next() else {
        return Ok(with_type(200, kind, Body::from(first)));
    };
    let all = [Ok(first), second].into_iter().chain(pieces);
    let until = tokio::time::Instant::now() + patience;
    let stream = |pieces: Box<dyn Pieces>| {
        let timed = futures::stream::iter(pieces).map(move |piece| {
            let _place = &place;
            if tokio::time::Instant::now() > until {
                return Err(Status::timeout("the answer was not taken in time", 0));
            }
            piece
        });
        Body::from_stream(timed)
    };
    if !wire.gzip {
        return Ok(with_type(200, kind, stream(Box::new(all))));
    }
    let mut response = with_type(200, kind, stream(Box::new(gzip::Compressed::new(all))));
    say_gzip(&mut response);
    Ok(response)
}

fn say_gzip(response: &mut Response) {
    let headers = response.headers_mut();
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    headers.append(VARY, HeaderValue::from_static("Accept-Encoding"));
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

/// What is no object of the API, as JSON.
pub(super) fn raw(what: &impl Serialize) -> Response {
    match serde_json::to_vec(what) {
        Ok(json) => object(200, Wire::RAW, json.into()),
        Err(error) => status(&Status::internal(error), Wire::RAW),
    }
}

/// A failure.
pub(super) fn status(status: &Status, wire: Wire) -> Response {
    let mut response = object(status.http_code(), wire, status.to_json().into());
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

fn yaml(bytes: Bytes) -> Bytes {
    // JSON is YAML; it is written out the usual way where it can be.
    match serde_json::from_slice::<Value>(&bytes) {
        Ok(value) => Bytes::from(crate::verbs::write_yaml(&value)),
        Err(_) => bytes,
    }
}

#[cfg(test)]
mod tests {
    use ferrule_apimachinery::object::{Stored, canonicalize};
    use ferrule_apimachinery::scheme::Scheme;
    use http_body_util::BodyExt;
    use jiff::Timestamp;
    use serde_json::json;

    use super::*;
    use crate::verbs::{Form, forms};

    fn stored() -> Stored {
        let scheme = Scheme::builtin();
        let maps = scheme.lookup("", "v1", "configmaps").unwrap();
        let map =
            json!({"metadata": {"name": "a", "namespace": "b"}, "data": {"c": "d".repeat(1000)}});
        Stored::parse(maps, canonicalize(map, maps), i64::MAX, 1).unwrap()
    }

    #[tokio::test]
    async fn a_stored_object_is_copied_once_on_its_way_out() {
        let scheme = Scheme::builtin();
        let maps = scheme.lookup("", "v1", "configmaps").unwrap();
        let bytes = stored().with_resource_version();
        let (place, length) = (bytes.as_ptr(), bytes.len());
        let bytes = forms::one(maps, Form::Object, bytes, Timestamp::now()).unwrap();
        let response = object(200, Wire::JSON, bytes);
        let sent = response.into_body().collect().await.unwrap().to_bytes();
        assert!(sent.ends_with(b"}\n"));
        assert_eq!((sent.as_ptr(), sent.len()), (place, length + 1));
    }

    #[test]
    fn bytes_that_others_hold_stay_as_they_are() {
        let held = stored().with_resource_version();
        let sent = ended(held.clone());
        assert_eq!(sent[..], [&held[..], b"\n"].concat());
        assert!(held.ends_with(b"}"));
    }

    #[test]
    fn line_breaks_are_where_upstream_has_them() {
        let json = || Bytes::from_static(br#"{"a":1}"#);
        assert_eq!(laid_out(json(), Layout::Line), "{\"a\":1}\n");
        assert_eq!(laid_out(json(), Layout::Indented), "{\n  \"a\": 1\n}\n");
        assert_eq!(laid_out(json(), Layout::Raw), "{\n  \"a\": 1\n}");
    }
}
