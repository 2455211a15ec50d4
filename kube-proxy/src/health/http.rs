//! A small HTTP server for health checks.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// Connections at a time; further ones wait.
const CONNECTIONS: usize = 256;
/// How long a request's head, and a pause between requests, may take.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(100);

/// An answer in JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its text.
    pub body: String,
}

/// Answers requests by their path until `stop`, then closes every connection.
pub async fn serve<A>(listener: TcpListener, stop: CancellationToken, answer: A)
where
    A: Fn(&str) -> Option<Answer> + Send + Sync + 'static,
{
    let answer = Arc::new(answer);
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = async {
                let place = places.clone().acquire_owned().await;
                (place, listener.accept().await)
            } => accepted,
        };
        let (Ok(place), Ok((stream, _))) = accepted else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let (answer, stop) = (answer.clone(), stop.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = converse(stream, answer) => {}
            }
            drop(place);
        });
    }
}

async fn converse<A>(stream: TcpStream, answer: Arc<A>)
where
    A: Fn(&str) -> Option<Answer> + Send + Sync + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let response = response(answer(request.uri().path()));
        async move { Ok::<_, Infallible>(response) }
    });
    let serving = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .serve_connection(TokioIo::new(stream), service);
    drop(serving.await);
}

fn response(answer: Option<Answer>) -> Response<Full<Bytes>> {
    let (kind, answer) = match answer {
        Some(answer) => ("application/json", answer),
        None => (
            "text/plain; charset=utf-8",
            Answer {
                status: StatusCode::NOT_FOUND,
                body: "404 page not found\n".to_owned(),
            },
        ),
    };
    let mut response = Response::new(Full::new(Bytes::from(answer.body)));
    *response.status_mut() = answer.status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
}
