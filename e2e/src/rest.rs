//! Plain HTTPS against an API server, for tests that look at every byte: nothing is retried, and
//! nothing interpreted. Calls block; what they wait for is bounded.

use std::fmt;
use std::future::Future;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use anyhow::{Context, anyhow, bail, ensure};
use bytes::Bytes;
use ferrule_client::ClientConfig;
use http::HeaderMap;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio_rustls::TlsConnector;

use crate::wait::seconds;

/// How long an answer may take.
const WITHIN: Duration = seconds(60);

/// A user of an API server. Copies share their connections.
#[derive(Clone)]
pub struct Rest {
    address: String,
    tls: TlsConnector,
    idle: Arc<Mutex<Vec<SendRequest<Full<Bytes>>>>>,
}

impl Rest {
    /// As a configuration says: its first server, its certificate.
    pub fn new(config: &ClientConfig) -> anyhow::Result<Rest> {
        let mut tls = ferrule_client::connection::tls(config)?;
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let address = config.servers.first().context("no server")?;
        Ok(Rest {
            address: address.trim_start_matches("https://").to_owned(),
            tls: TlsConnector::from(Arc::new(tls)),
            idle: Arc::default(),
        })
    }

    /// A request to be described and sent.
    pub fn request(&self, method: &str, path: &str) -> Request {
        let mut builder = http::request::Builder::new();
        builder = builder
            .method(method)
            .uri(path)
            .header("Host", &self.address);
        Request {
            rest: self.clone(),
            shown: format!("{method} {path}"),
            builder,
            body: Bytes::new(),
        }
    }

    /// Reads.
    pub fn get(&self, path: &str) -> anyhow::Result<Answer> {
        self.request("GET", path).send()
    }

    /// Creates.
    pub fn post(&self, path: &str, body: &Value) -> anyhow::Result<Answer> {
        self.request("POST", path).json(body).send()
    }

    /// Replaces.
    pub fn put(&self, path: &str, body: &Value) -> anyhow::Result<Answer> {
        self.request("PUT", path).json(body).send()
    }

    /// Deletes.
    pub fn delete(&self, path: &str) -> anyhow::Result<Answer> {
        self.request("DELETE", path).send()
    }

    /// Patches; `kind` is `json`, `merge`, `strategic-merge` or `apply`.
    pub fn patch(&self, kind: &str, path: &str, body: &Value) -> anyhow::Result<Answer> {
        let media = match kind {
            "apply" => "application/apply-patch+yaml".to_owned(),
            kind => format!("application/{kind}-patch+json"),
        };
        let request = self.request("PATCH", path);
        request.body(&media, body.to_string()).send()
    }

    /// Watches what a path with `watch=true` in its query names.
    pub fn watch(&self, path: &str) -> anyhow::Result<Watch> {
        self.request("GET", path).watch()
    }

    async fn connection(&self) -> anyhow::Result<SendRequest<Full<Bytes>>> {
        let idle = {
            let mut all = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            all.retain(|one| !one.is_closed());
            all.pop()
        };
        if let Some(mut idle) = idle
            && idle.ready().await.is_ok()
        {
            return Ok(idle);
        }
        let stream = TcpStream::connect(&self.address).await?;
        stream.set_nodelay(true)?;
        let host = self.address.rsplit_once(':').map_or("", |(host, _)| host);
        let name = ServerName::try_from(host.to_owned())?;
        let stream = self.tls.connect(name, stream).await?;
        let (mut requests, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        requests.ready().await?;
        Ok(requests)
    }
}

/// A request that is not sent yet.
pub struct Request {
    rest: Rest,
    shown: String,
    builder: http::request::Builder,
    body: Bytes,
}

impl Request {
    /// With a header.
    pub fn header(mut self, name: &str, value: &str) -> Request {
        self.builder = self.builder.header(name, value);
        self
    }

    /// With an Accept header.
    pub fn accept(self, media: &str) -> Request {
        self.header("Accept", media)
    }

    /// With a body of a media type.
    pub fn body(mut self, media: &str, body: impl Into<Bytes>) -> Request {
        self.body = body.into();
        self.header("Content-Type", media)
    }

    /// With a body in JSON.
    pub fn json(self, body: &Value) -> Request {
        self.body("application/json", body.to_string())
    }

    /// The whole answer.
    pub fn send(self) -> anyhow::Result<Answer> {
        let shown = self.shown.clone();
        let answer = block(async move {
            let shown = self.shown.clone();
            let (rest, connection, answer) = self.begin().await?;
            let (head, body) = answer.into_parts();
            let body = body.collect().await?.to_bytes();
            let mut idle = rest.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.push(connection);
            anyhow::Ok(Answer {
                shown,
                code: head.status.as_u16(),
                headers: head.headers,
                body,
            })
        });
        answer.with_context(|| shown)
    }

    /// The answer as a stream of lines; only one with 200.
    pub fn watch(self) -> anyhow::Result<Watch> {
        let shown = self.shown.clone();
        let watch = block(async move {
            let (rest, connection, answer) = self.begin().await?;
            let (head, body) = answer.into_parts();
            if head.status != 200 {
                let body = body.collect().await?.to_bytes();
                bail!("{}: {}", head.status, String::from_utf8_lossy(&body));
            }
            let (sender, lines) = channel();
            let reader = tokio::spawn(async move {
                // The connection is this watch's alone, and ends with it.
                let (_rest, _connection) = (rest, connection);
                read_lines(body, |line| sender.send(line).is_ok()).await;
            });
            Ok(Watch {
                headers: head.headers,
                lines,
                reader,
            })
        });
        watch.with_context(|| shown)
    }

    async fn begin(
        self,
    ) -> anyhow::Result<(Rest, SendRequest<Full<Bytes>>, http::Response<Incoming>)> {
        let mut connection = self.rest.connection().await?;
        let request = self.builder.body(Full::new(self.body))?;
        let answer = connection.send_request(request).await?;
        Ok((self.rest, connection, answer))
    }
}

async fn read_lines(mut body: Incoming, mut took: impl FnMut(Vec<u8>) -> bool) {
    let mut begun = Vec::new();
    while let Some(Ok(frame)) = body.frame().await {
        for byte in frame.data_ref().into_iter().flatten() {
            if *byte != b'\n' {
                begun.push(*byte);
            } else if !took(std::mem::take(&mut begun)) {
                return;
            }
        }
    }
    if !begun.is_empty() {
        took(begun);
    }
}

/// What a server answered.
#[derive(Clone, Debug)]
pub struct Answer {
    shown: String,
    /// Its status code.
    pub code: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = String::from_utf8_lossy(&self.body);
        let text: String = text.trim_end().chars().take(4000).collect();
        write!(f, "{}: {}: {text}", self.shown, self.code)
    }
}

impl Answer {
    /// The object of a successful answer.
    pub fn ok(&self) -> anyhow::Result<Value> {
        ensure!(matches!(self.code, 200..300), "{self}");
        self.json()
    }

    /// The Status of an answer with this code.
    pub fn refused(&self, code: u16) -> anyhow::Result<Value> {
        ensure!(self.code == code, "{code} is expected, not {self}");
        let status = self.json()?;
        let said = (&status["kind"], &status["apiVersion"], &status["status"]);
        ensure!(
            said.0 == "Status" && said.1 == "v1" && said.2 == "Failure" && status["code"] == code,
            "{self}"
        );
        Ok(status)
    }

    /// The body, read as JSON.
    pub fn json(&self) -> anyhow::Result<Value> {
        serde_json::from_slice(&self.body).with_context(|| self.to_string())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header; empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        header(&self.headers, name)
    }

    /// All headers `Warning`, as they are sent.
    pub fn warnings(&self) -> Vec<String> {
        let all = self.headers.get_all("warning").iter();
        all.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .collect()
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default()
}

/// The lines of a watch; it ends when dropped.
pub struct Watch {
    headers: HeaderMap,
    lines: Receiver<Vec<u8>>,
    reader: tokio::task::JoinHandle<()>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl Watch {
    /// A header of the answer; empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        header(&self.headers, name)
    }

    /// The next event, whatever its type; none when the watch has ended.
    pub fn next(&self) -> anyhow::Result<Option<Value>> {
        match self.lines.recv_timeout(WITHIN) {
            Ok(line) => Ok(Some(serde_json::from_slice(&line)?)),
            Err(RecvTimeoutError::Disconnected) => Ok(None),
            Err(RecvTimeoutError::Timeout) => bail!("no event within {WITHIN:?}"),
        }
    }

    /// The object of the next event, which must be of this type.
    pub fn event(&self, kind: &str) -> anyhow::Result<Value> {
        let mut event = self.next()?.context("the watch has ended")?;
        ensure!(event["type"] == kind, "{kind} is expected, not {event}");
        Ok(event["object"].take())
    }

    /// All events until the watch ends.
    pub fn rest(&self) -> anyhow::Result<Vec<Value>> {
        let mut all = Vec::new();
        while let Some(event) = self.next()? {
            all.push(event);
        }
        Ok(all)
    }
}

/// Runs something to its end, or to a deadline, from wherever this is called.
fn block<T: Send + 'static>(
    future: impl Future<Output = anyhow::Result<T>> + Send + 'static,
) -> anyhow::Result<T> {
    static RUNTIME: OnceLock<Option<Runtime>> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(2).enable_all().build().ok()
    });
    let runtime = runtime.as_ref().context("no threads for connections")?;
    let (sender, receiver) = channel();
    runtime.spawn(async move {
        let within = tokio::time::timeout(WITHIN, future).await;
        let _ = sender.send(within);
    });
    match receiver.recv() {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err(anyhow!("no answer within {WITHIN:?}")),
        Err(_) => Err(anyhow!("it panicked")),
    }
}
