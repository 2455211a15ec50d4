//! A request from its beginning to its end, counted when it is over.

use std::time::Instant;

use axum::body::{Body, HttpBody};
use axum::response::Response;
use bytes::Bytes;
use http_body_util::BodyExt;
use prometheus_client::metrics::gauge::Gauge;

use super::{Asked, RequestMetrics, WatchEvents};

/// A request that is worked on. It is counted when this is dropped, if it was answered; one that lasts is
/// among the long-running ones until then.
pub(crate) struct Running {
    metrics: RequestMetrics,
    asked: Asked,
    dry_run: &'static str,
    began: Instant,
    long: Option<Gauge>,
    code: Option<u16>,
    terminated: bool,
}

impl Running {
    /// A request that has just come.
    pub(crate) fn begin(metrics: &RequestMetrics, asked: Asked, dry_run: &'static str) -> Running {
        let long = asked.is_long().then(|| metrics.long_running(&asked));
        if let Some(gauge) = &long {
            gauge.inc();
        }
        Running {
            metrics: metrics.clone(),
            asked,
            dry_run,
            began: Instant::now(),
            long,
            code: None,
            terminated: false,
        }
    }

    /// Says how the request was answered.
    pub(crate) fn answered(&mut self, code: u16) {
        self.code = Some(code);
    }

    /// Whether that was said.
    pub(crate) fn is_answered(&self) -> bool {
        self.code.is_some()
    }

    /// Says that the server could not afford the request.
    pub(crate) fn terminated(&mut self) {
        self.terminated = true;
    }

    /// Says how large the answer to a read is.
    pub(crate) fn sized(&self, bytes: u64) {
        if self.asked.is_read() {
            self.metrics.sized(&self.asked, bytes);
        }
    }

    /// What counts the events that a watch sends.
    pub(crate) fn events(&self) -> WatchEvents {
        self.metrics.watch_events(&self.asked)
    }

    /// Says that a watch has sent its first state.
    pub(crate) fn first_state_sent(&self) {
        self.metrics
            .first_state_sent(&self.asked, self.began.elapsed());
    }

    /// Ends with the response, or with its body where that is made piece by piece.
    pub(crate) fn end_with(mut self, response: Response) -> Response {
        self.answered(response.status().as_u16());
        if let Some(bytes) = response.body().size_hint().exact() {
            self.sized(bytes);
            return response;
        }
        let mut streamed = Streamed {
            running: self,
            bytes: 0,
        };
        response.map(|body| {
            Body::new(body.map_frame(move |frame| {
                streamed.add(frame.data_ref().map_or(0, Bytes::len));
                frame
            }))
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(gauge) = &self.long {
            gauge.dec();
        }
        if let Some(code) = self.code {
            let took = self.began.elapsed();
            self.metrics.answered(&self.asked, self.dry_run, code, took);
            if self.terminated {
                self.metrics.terminated(&self.asked, code);
            }
        }
    }
}

/// An answer that is sent piece by piece; its size is known when the client has taken it, or has gone.
struct Streamed {
    running: Running,
    bytes: u64,
}

impl Streamed {
    fn add(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }
}

impl Drop for Streamed {
    fn drop(&mut self) {
        self.running.sized(self.bytes);
    }
}
