//! `--raw`: a request to a path of the server's REST interface, and its answer as it is.

use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use ferrule_apimachinery::status::Status;

use super::print;
use crate::args::FileArgs;
use crate::error::{Error, Result};
use crate::session::Session;

/// The longest answer that is read.
const LIMIT: usize = 1 << 30;
/// The longest body that is sent.
const BODY_LIMIT: u64 = 64 << 20;

/// Prints what a path holds.
pub async fn get(session: &Session, path: &str) -> Result<()> {
    request(session, "GET", path, Vec::new()).await
}

/// Sends the one file of the flags to a path, and prints the answer.
pub async fn send(session: &Session, method: &str, path: &str, files: &FileArgs) -> Result<()> {
    let command = match method {
        "POST" => "create",
        "PUT" => "replace",
        _ => "delete",
    };
    let body = match files.filename.as_slice() {
        [] if method == "DELETE" => Vec::new(),
        [file] => read(file)?,
        _ => {
            return Err(Error::usage(
                command,
                "--raw can only use a single local file or stdin",
            ));
        }
    };
    request(session, method, path, body).await
}

fn read(file: &str) -> Result<Vec<u8>> {
    use std::io::Read;
    let mut bytes = Vec::new();
    let result = match file {
        "-" => std::io::stdin().take(BODY_LIMIT).read_to_end(&mut bytes),
        path => std::fs::File::open(path)
            .and_then(|opened| opened.take(BODY_LIMIT).read_to_end(&mut bytes)),
    };
    let refused =
        |error: &std::io::Error| Error::local(format!("open {file}: {}", crate::output::go(error)));
    result.map_err(|error| refused(&error))?;
    Ok(bytes)
}

async fn request(session: &Session, method: &str, path: &str, body: Vec<u8>) -> Result<()> {
    if !path.starts_with('/') {
        return Err(Error::local(format!(
            "--raw must be a valid URL path: parse {path:?}: invalid URI for request"
        )));
    }
    let server = &session.server;
    let unreached = |error: &dyn std::fmt::Display| {
        Error::from(Status {
            code: 0,
            ..Status::service_unavailable(format!("connect to {server}: {error}"))
        })
    };
    let config = &session.config;
    let mut tls =
        ferrule_client::connection::tls(config).map_err(|error| Error::local(error.to_string()))?;
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    let host = server
        .rsplit_once(':')
        .map_or(server.as_str(), |(host, _)| host);
    let host = host.trim_matches(['[', ']']);
    let name = config.server_name.as_deref().unwrap_or(host).to_owned();
    let name = ServerName::try_from(name).map_err(|error| Error::local(error.to_string()))?;
    let stream = TcpStream::connect(server)
        .await
        .map_err(|error| match error.kind() {
            std::io::ErrorKind::ConnectionRefused => unreached(&"connection refused"),
            _ => unreached(&error),
        })?;
    let connector = TlsConnector::from(std::sync::Arc::new(tls));
    let stream = connector
        .connect(name, stream)
        .await
        .map_err(|error| unreached(&error))?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| unreached(&error))?;
    tokio::spawn(connection);
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, server)
        .header(ACCEPT, "application/json, */*")
        .header(USER_AGENT, &config.user_agent);
    if !body.is_empty() {
        request = request.header(CONTENT_TYPE, "application/json");
    }
    if let Some(token) = &config.token {
        request = request.header(AUTHORIZATION, format!("Bearer {token}"));
    }
    let request = request
        .body(Full::<bytes::Bytes>::from(body))
        .map_err(|error| Error::local(format!("invalid path {path:?}: {error}")))?;
    let answer = sender
        .send_request(request)
        .await
        .map_err(|error| unreached(&error))?;
    let status = answer.status();
    if status.is_success() {
        let mut body = answer.into_body();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| unreached(&error))?;
            if let Some(data) = frame.data_ref() {
                print(&String::from_utf8_lossy(data))?;
            }
        }
        return Ok(());
    }
    let body = Limited::new(answer.into_body(), LIMIT).collect().await;
    let body = body.map_err(|error| unreached(&error))?.to_bytes();
    Err(refusal(status, &body))
}

/// What a refused request says.
fn refusal(code: StatusCode, body: &[u8]) -> Error {
    if let Some(status) = Status::from_json(body) {
        return status.into();
    }
    let text = String::from_utf8_lossy(body);
    match code {
        StatusCode::NOT_FOUND => {
            let mut status = Status::not_found("", "", "");
            "the server could not find the requested resource".clone_into(&mut status.message);
            status.into()
        }
        StatusCode::INTERNAL_SERVER_ERROR => Error::from(Status::internal(format!(
            "an error on the server ({text:?}) has prevented the request from succeeding"
        ))),
        code => Error::local(format!("the server answered {code}: {text}")),
    }
}
