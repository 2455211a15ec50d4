//! A bound on large bodies: small ones pass, large ones take turns.
//!
//! What a body costs while it is worked on is several times its size: as it arrived, as a tree, as
//! it will be stored, as it goes to etcd. So only a few large ones are worked on at once. The others
//! wait in their clients, held back by the windows of HTTP/2 and TCP. A turn lasts until the request is
//! answered; the rest of a body has to arrive in time, or the turn is lost.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;
use tokio_util::sync::PollSemaphore;
use tonic::body::Body as GrpcBody;
use tonic::server::NamedService;
use tower::{BoxError, Service};

/// Large bodies that are worked on at once.
const TURNS: usize = 4;
/// What is not large.
const SMALL: usize = 64 << 10;
/// How long a large body may take to arrive once it has its turn.
pub(super) const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// The turns of large bodies. Clones share them.
#[derive(Clone)]
pub(crate) struct Bodies(Arc<Semaphore>);

/// The turn of one request, taken when its body turns out to be large; given back with the last clone.
#[derive(Clone, Default)]
pub(crate) struct Turn(Arc<Mutex<Option<OwnedSemaphorePermit>>>);

impl Bodies {
    pub(crate) fn new() -> Bodies {
        Bodies(Arc::new(Semaphore::new(TURNS)))
    }

    /// A body that waits for its turn when it is large.
    pub(crate) fn bounded<B>(&self, body: B) -> (Bounded<B>, Turn) {
        let turn = Turn::default();
        let bounded = Bounded {
            body,
            seen: 0,
            turns: PollSemaphore::new(self.0.clone()),
            turn: turn.clone(),
            late: None,
        };
        (bounded, turn)
    }
}

/// See [`Bodies::bounded`].
pub(crate) struct Bounded<B> {
    body: B,
    seen: usize,
    turns: PollSemaphore,
    turn: Turn,
    late: Option<Pin<Box<Sleep>>>,
}

impl<B> Body for Bounded<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        if this.seen > SMALL && this.late.is_none() {
            let permit = ready!(this.turns.poll_acquire(context));
            *this.turn.0.lock().unwrap_or_else(PoisonError::into_inner) = permit;
            this.late = Some(Box::pin(tokio::time::sleep(BODY_TIMEOUT)));
        }
        if let Some(late) = &mut this.late
            && late.poll_unpin(context).is_ready()
        {
            let status = tonic::Status::deadline_exceeded("the body did not arrive in time");
            return Poll::Ready(Some(Err(status.into())));
        }
        let frame = ready!(Pin::new(&mut this.body).poll_frame(context));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            this.seen += data.len();
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A gRPC service whose writes bring bodies; its streams, which last, are let through.
#[derive(Clone)]
pub(crate) struct BoundedService<S> {
    service: S,
    bodies: Bodies,
}

impl<S> BoundedService<S> {
    pub(crate) fn new(service: S, bodies: Bodies) -> BoundedService<S> {
        BoundedService { service, bodies }
    }
}

impl<S: NamedService> NamedService for BoundedService<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<http::Request<GrpcBody>> for BoundedService<S>
where
    S: Service<http::Request<GrpcBody>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<S::Response, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<GrpcBody>) -> Self::Future {
        let method = request.uri().path().rsplit('/').next();
        if !matches!(method, Some("Create" | "Update" | "Patch")) {
            return self.service.call(request).boxed();
        }
        let (parts, body) = request.into_parts();
        let (body, turn) = self.bodies.bounded(body);
        let request = http::Request::from_parts(parts, GrpcBody::new(body));
        let answer = self.service.call(request);
        async move {
            let answer = answer.await;
            drop(turn);
            answer
        }
        .boxed()
    }
}
