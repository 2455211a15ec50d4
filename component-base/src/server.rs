//! One TLS port for gRPC and HTTP, the same in every component.
//!
//! ```text
//!  accept ─ TLS (deadline) ─ Identity from the certificate
//!     └─ request: content-type application/grpc* ──> tonic services, health, reflection
//!                 /healthz /readyz /livez /metrics, else ──> HTTP routes of the component
//! ```
//!
//! Without an identity a caller gets health and nothing else, unless the component decides that
//! itself ([`Server::authenticate_inside`], the API server).

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query, Request};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use http::header::{CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tonic::body::Body as GrpcBody;
use tonic::server::NamedService;
use tonic::service::RoutesBuilder;
use tower::{Service, ServiceExt};

use crate::health::{self, Health};
use crate::identity::Identity;
use crate::metrics::{self, Metrics};
use crate::tls::{ReloadingTls, TlsFiles};

/// What a client may send of a body before it is read; four bodies at once on one connection.
const WINDOW: u32 = 256 << 10;

/// What arrives must arrive in time, and not all at once.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections at a time; further ones wait to be accepted.
    pub connections: usize,
    /// How long a TLS handshake may take.
    pub handshake: Duration,
    /// How long an HTTP/1 connection may take from one answer to the end of the next request's head.
    pub request_head: Duration,
    /// How long a connection may last before its first request.
    pub first_request: Duration,
    /// The largest head of a request, in bytes.
    pub head_bytes: u32,
    /// Streams at a time on one HTTP/2 connection.
    pub streams: u32,
    /// How long a gRPC call may take until its answer begins; also against requests that are sent
    /// by halves. Services keep shorter deadlines of their own.
    pub answer: Duration,
    /// How long requests may go on after shutdown began.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections: 4096,
            handshake: Duration::from_secs(10),
            request_head: Duration::from_secs(90),
            first_request: Duration::from_secs(20),
            head_bytes: 64 << 10,
            streams: 1024,
            answer: Duration::from_secs(75),
            drain: Duration::from_secs(5),
        }
    }
}

/// A server that is being put together.
pub struct Server {
    health: Health,
    metrics: Metrics,
    grpc: RoutesBuilder,
    services: Vec<&'static str>,
    descriptors: Vec<&'static [u8]>,
    http: Router,
    limits: Limits,
    authenticate: bool,
}

impl Server {
    /// A server with health, metrics and reflection, and nothing of its own yet.
    pub fn new(health: Health, metrics: Metrics) -> Server {
        Server {
            health,
            metrics,
            grpc: RoutesBuilder::default(),
            services: Vec::new(),
            descriptors: vec![ferrule_proto::FILE_DESCRIPTOR_SET],
            http: Router::new(),
            limits: Limits::default(),
            authenticate: true,
        }
    }

    /// Adds a gRPC service; reflection names it.
    pub fn grpc<S>(mut self, service: S) -> Server
    where
        S: Service<http::Request<GrpcBody>, Error = Infallible> + NamedService,
        S: Clone + Send + Sync + 'static,
        S::Response: IntoResponse,
        S::Future: Send + 'static,
    {
        self.services.push(S::NAME);
        self.grpc.add_service(service);
        self
    }

    /// Adds HTTP routes.
    pub fn http(mut self, routes: Router) -> Server {
        self.http = self.http.merge(routes);
        self
    }

    /// Adds an encoded descriptor set for reflection, besides Ferrule's own.
    pub fn descriptors(mut self, encoded: &'static [u8]) -> Server {
        self.descriptors.push(encoded);
        self
    }

    /// Sets the limits.
    pub fn limits(mut self, limits: Limits) -> Server {
        self.limits = limits;
        self
    }

    /// Lets requests without an identity through to the services, which answer for themselves.
    /// Metrics and reflection stay closed.
    pub fn authenticate_inside(mut self) -> Server {
        self.authenticate = false;
        self
    }

    /// Listens on `address` and serves until `shutdown`, then drains.
    pub async fn serve(
        self,
        address: SocketAddr,
        tls: TlsFiles,
        shutdown: CancellationToken,
    ) -> anyhow::Result<()> {
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("listen on {address}"))?;
        self.serve_on(listener, tls, shutdown).await
    }

    /// As [`Server::serve`], on a listener that is open already.
    pub async fn serve_on(
        self,
        listener: TcpListener,
        tls: TlsFiles,
        shutdown: CancellationToken,
    ) -> anyhow::Result<()> {
        let tls = ReloadingTls::start(tls, shutdown.clone())?;
        let limits = self.limits.clone();
        let routes = Arc::new(self.routes(&shutdown)?);
        tracing::info!(address = %listener.local_addr()?, "serving");
        let places = Arc::new(Semaphore::new(limits.connections));
        let graceful = GracefulShutdown::new();
        loop {
            let place = tokio::select! {
                () = shutdown.cancelled() => break,
                place = places.clone().acquire_owned() => place.context("the semaphore is open")?,
            };
            let stream = tokio::select! {
                () = shutdown.cancelled() => break,
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        // Out of descriptors, most often: let connections end first.
                        tracing::warn!(%error, "cannot accept a connection");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        continue;
                    }
                },
            };
            let connection = connection(
                stream,
                tls.clone(),
                routes.clone(),
                limits.clone(),
                graceful.watcher(),
            );
            tokio::spawn(async move {
                connection.await;
                drop(place);
            });
        }
        drop(listener);
        if tokio::time::timeout(limits.drain, graceful.shutdown())
            .await
            .is_err()
        {
            tracing::info!("connections were still open after the drain");
        }
        Ok(())
    }

    fn routes(self, shutdown: &CancellationToken) -> anyhow::Result<Routes> {
        let (reporter, health_service) = tonic_health::server::health_reporter();
        let mut grpc = self.grpc;
        grpc.add_service(health_service);
        let mut reflection = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET);
        for descriptors in &self.descriptors {
            reflection = reflection.register_encoded_file_descriptor_set(descriptors);
        }
        for service in &self.services {
            reflection = reflection.with_service_name(*service);
        }
        reflection = reflection
            .with_service_name("grpc.health.v1.Health")
            .with_service_name("grpc.reflection.v1.ServerReflection");
        grpc.add_service(reflection.build_v1().context("build reflection")?);
        tokio::spawn(report_health(
            self.health.clone(),
            reporter,
            self.services.clone(),
            shutdown.clone(),
        ));

        let grpc = grpc.routes().into_axum_router();
        let http = self
            .http
            .route(
                "/metrics",
                get({
                    let metrics = self.metrics.clone();
                    move || async move { metrics_response(&metrics) }
                }),
            )
            .merge(health_routes(&self.health));
        Ok(Routes {
            grpc,
            http,
            patience: self.limits.answer,
            authenticate: self.authenticate,
        })
    }
}

/// Where requests go.
struct Routes {
    grpc: Router,
    http: Router,
    patience: Duration,
    authenticate: bool,
}

impl Routes {
    async fn answer(&self, request: Request) -> Response {
        if let Some(refusal) = self.refuse(&request) {
            return refusal;
        }
        let answer = if is_grpc(&request) {
            let answer = self.grpc.clone().oneshot(request);
            let late = || tonic::Status::deadline_exceeded("the request took too long");
            tokio::time::timeout(self.patience, answer)
                .await
                .unwrap_or_else(|_| Ok(late().into_http()))
        } else {
            self.http.clone().oneshot(request).await
        };
        match answer {
            Ok(answer) => answer,
            Err(never) => match never {},
        }
    }

    /// Health is for everybody; metrics and reflection need an identity always, the rest as said.
    fn refuse(&self, request: &Request) -> Option<Response> {
        if request.extensions().get::<Identity>().is_some() {
            return None;
        }
        let path = request.uri().path();
        let health = path.starts_with("/grpc.health.v1.Health/")
            || ["/healthz", "/readyz", "/livez"].iter().any(|own| {
                path.strip_prefix(own)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            });
        let closed = path == "/metrics" || path.starts_with("/grpc.reflection.");
        if health || !(self.authenticate || closed) {
            return None;
        }
        if is_grpc(request) {
            return Some(tonic::Status::unauthenticated("Unauthorized").into_http::<Body>());
        }
        Some((StatusCode::UNAUTHORIZED, "Unauthorized\n").into_response())
    }
}

fn is_grpc(request: &Request) -> bool {
    let content_type = request
        .headers()
        .get(CONTENT_TYPE)
        .map(HeaderValue::as_bytes);
    content_type.is_some_and(|value| value.starts_with(b"application/grpc"))
}

fn health_routes(health: &Health) -> Router {
    let mut routes = Router::new();
    for endpoint in ["healthz", "readyz", "livez"] {
        let all = health.clone();
        let all = move |request: Request| async move {
            let query = Query::<Vec<(String, String)>>::try_from_uri(request.uri());
            let query = query.map(|query| query.0).unwrap_or_default();
            health_response(Some(all.answer(endpoint, &query)))
        };
        let one = health.clone();
        let one = move |Path(check): Path<String>| async move {
            health_response(one.answer_one(endpoint, &check))
        };
        routes = routes
            .route(&format!("/{endpoint}"), any(all))
            .route(&format!("/{endpoint}/{{*check}}"), any(one));
    }
    routes
}

fn health_response(answer: Option<health::Answer>) -> Response {
    let (code, text) = match answer {
        None => (StatusCode::NOT_FOUND, "404 page not found\n".to_owned()),
        Some(answer) if answer.good => (StatusCode::OK, answer.text),
        Some(answer) => (StatusCode::INTERNAL_SERVER_ERROR, answer.text),
    };
    (code, [(X_CONTENT_TYPE_OPTIONS, "nosniff")], text).into_response()
}

fn metrics_response(metrics: &Metrics) -> Response {
    ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], metrics.text()).into_response()
}

/// Keeps `grpc.health.v1.Health` equal to the checks, for every service and for the whole.
async fn report_health(
    health: Health,
    reporter: tonic_health::server::HealthReporter,
    services: Vec<&'static str>,
    shutdown: CancellationToken,
) {
    let mut ready = health.watch();
    loop {
        let status = if *ready.borrow_and_update() && !shutdown.is_cancelled() {
            tonic_health::ServingStatus::Serving
        } else {
            tonic_health::ServingStatus::NotServing
        };
        reporter.set_service_status("", status).await;
        for service in &services {
            reporter.set_service_status(*service, status).await;
        }
        tokio::select! {
            changed = ready.changed() => if changed.is_err() { return },
            () = shutdown.cancelled() => {
                reporter.set_service_status("", tonic_health::ServingStatus::NotServing).await;
                return;
            }
        }
    }
}

async fn connection(
    stream: TcpStream,
    tls: ReloadingTls,
    routes: Arc<Routes>,
    limits: Limits,
    watcher: hyper_util::server::graceful::Watcher,
) {
    let _ = stream.set_nodelay(true);
    let peer = stream.peer_addr().ok();
    let acceptor = TlsAcceptor::from(tls.current());
    let stream = match tokio::time::timeout(limits.handshake, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return tracing::debug!(?peer, %error, "TLS handshake failed"),
        Err(_) => return tracing::debug!(?peer, "TLS handshake took too long"),
    };
    let identity = stream
        .get_ref()
        .1
        .peer_certificates()
        .and_then(|chain| chain.first())
        .and_then(Identity::of_certificate);
    let asked = Arc::new(AtomicBool::new(false));
    let first = asked.clone();
    let service = tower::service_fn(move |mut request: http::Request<hyper::body::Incoming>| {
        asked.store(true, Ordering::Relaxed);
        if let Some(identity) = &identity {
            request.extensions_mut().insert(identity.clone());
        }
        if let Some(peer) = peer {
            request
                .extensions_mut()
                .insert(axum::extract::ConnectInfo(peer));
        }
        let routes = routes.clone();
        async move { Ok::<_, Infallible>(routes.answer(request.map(Body::new)).await) }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.request_head)
        .max_buf_size(limits.head_bytes as usize);
    builder
        .http2()
        .timer(TokioTimer::new())
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(4 * WINDOW)
        .max_header_list_size(limits.head_bytes)
        .max_concurrent_streams(limits.streams)
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10));
    let serving = builder
        .serve_connection_with_upgrades(TokioIo::new(stream), TowerToHyperService::new(service))
        .into_owned();
    let silent = async {
        tokio::time::sleep(limits.first_request).await;
        if first.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        served = watcher.watch(serving) => if let Err(error) = served {
            tracing::debug!(?peer, %error, "connection ended");
        },
        () = silent => tracing::debug!(?peer, "nothing was asked on the connection"),
    }
}
