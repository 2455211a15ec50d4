//! Whole requests to the REST front: method, path, query, headers and body.

use axum::body::Body;
use http::Request;
use http::request::Builder;

use crate::server::Server;

thread_local! {
    static SERVER: Server = Server::start();
}

/// A request as HTTP/1.1 writes it: `METHOD TARGET`, headers, a blank line, the body. Lines end with `\n`.
pub fn requests(data: &[u8]) {
    let Some(request) = read(data) else {
        return;
    };
    let (code, body) = SERVER.with(|server| server.call(request));
    assert!((200..600).contains(&code));
    // What claims to be a Status is one.
    if body.starts_with(b"{\"kind\":\"Status\"") {
        serde_json::from_slice::<serde_json::Value>(&body).expect("JSON");
    }
}

fn read(data: &[u8]) -> Option<Request<Body>> {
    let (head, body) = match data.windows(2).position(|two| two == b"\n\n") {
        Some(end) => (&data[..end], &data[end + 2..]),
        None => (data, &[][..]),
    };
    let head = std::str::from_utf8(head).ok()?;
    let mut lines = head.lines();
    let (method, target) = lines.next()?.split_once(' ')?;
    let mut request: Builder = Request::builder().method(method).uri(target);
    for line in lines {
        let (name, value) = line.split_once(':')?;
        request = request.header(name, value.trim());
    }
    request.body(Body::from(body.to_vec())).ok()
}
