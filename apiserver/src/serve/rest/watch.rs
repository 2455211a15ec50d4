//! A watch as a stream of events: lines of JSON, or frames of protobuf.

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use ferrule_apimachinery::protobuf;
use ferrule_apimachinery::schema::Schema;
use ferrule_apimachinery::status::Status;
use futures::StreamExt;
use rand::Rng;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::Arc;
use tokio::time::Instant;

use super::accept::{Encoding, Negotiated};
use super::answer;
use crate::serve::Front;
use crate::serve::metrics::{Running, WatchEvents};
use crate::store::{Event, EventKind, WatchBatch};
use crate::verbs::forms::{self, Around, Shape};
use crate::verbs::{Form, ListOptions, Target, Watch};

/// How often a bookmark tells the revision when nothing happens.
const BOOKMARK_INTERVAL: Duration = Duration::from_secs(30);

/// The last bookmark comes so long before the end, for a client that will go on from there.
const LAST_BOOKMARK: Duration = Duration::from_secs(2);

/// How long a watch goes on that does not say so itself: this, and up to as much again.
const MIN_TIMEOUT: Duration = Duration::from_secs(1800);

/// How long a client is left alone with a version that etcd never reached, before it is told to list again.
const FUTURE: Duration = Duration::from_secs(3);

struct Stream {
    front: Arc<Front>,
    watch: Watch,
    target: Target,
    wanted: Negotiated,
    /// The end of the first state is marked by a bookmark.
    mark_initial_end: bool,
    first: bool,
    /// When the next bookmark is due, if one is.
    bookmark_due: Option<Instant>,
    /// Everything up to here has been sent; 0 before the first state is complete.
    revision: i64,
    /// The revision that the client has been told of, or began with.
    told: i64,
    ends: Instant,
    over: bool,
    measured: Option<Measured>,
}

/// The request that the watch is, and what counts its events.
struct Measured {
    running: Running,
    events: WatchEvents,
}

impl Measured {
    fn begin(mut running: Running) -> Measured {
        running.answered(200);
        Measured {
            events: running.events(),
            running,
        }
    }

    /// Counts an event as it is sent.
    fn sent(&self, wanted: Negotiated, event: &[u8]) {
        let around = match wanted.wire.encoding {
            Encoding::Protobuf => protobuf::FRAME_LENGTH,
            Encoding::Json | Encoding::Yaml => 0,
        };
        self.events.sent(event.len().saturating_sub(around));
    }
}

/// Answers with the events of a watch until it ends.
pub(super) fn serve(
    front: Arc<Front>,
    watch: Watch,
    target: Target,
    wanted: Negotiated,
    options: &ListOptions,
    running: Option<Running>,
) -> Response {
    let now = Instant::now();
    let ends = now + timeout(options);
    let stream = Stream {
        front,
        watch,
        target,
        wanted,
        mark_initial_end: options.send_initial_events == Some(true) && options.allow_bookmarks,
        first: true,
        bookmark_due: options
            .allow_bookmarks
            .then(|| next_bookmark(now, ends))
            .flatten(),
        revision: 0,
        told: options.resource_version.parse().unwrap_or_default(),
        ends,
        over: false,
        measured: running.map(Measured::begin),
    };
    let chunks = futures::stream::unfold(stream, async |mut stream| {
        let chunk = stream.next().await?;
        Some((Ok::<Bytes, Infallible>(chunk), stream))
    });
    answer::with_type(200, media_type(wanted), Body::from_stream(chunks.fuse()))
}

/// How long the watch goes on.
fn timeout(options: &ListOptions) -> Duration {
    let seconds = options.timeout_seconds.unwrap_or_default();
    match u64::try_from(seconds) {
        Ok(seconds) if seconds > 0 => Duration::from_secs(seconds).min(2 * MIN_TIMEOUT),
        _ => MIN_TIMEOUT + MIN_TIMEOUT.mul_f64(rand::rng().random()),
    }
}

/// Answers with nothing but why there is no watch: a client whose revision is too old reads of it in
/// the stream, as of one that becomes too old later.
///
/// Of a version that nobody can have got from here, upstream says nothing for as long as the watch
/// goes on. So it is here at first; but it is of a lost history, and the client has to learn of it.
pub(super) fn refused(
    wanted: Negotiated,
    status: &Status,
    options: &ListOptions,
    of_the_future: bool,
    running: Option<Running>,
) -> Response {
    let measured = running.map(Measured::begin);
    let event = framed(wanted, "ERROR", &status.to_json()).unwrap_or_default();
    let silence = if of_the_future {
        FUTURE
    } else {
        Duration::ZERO
    };
    let timeout = timeout(options);
    let body = futures::stream::once(async move {
        tokio::time::sleep(silence.min(timeout)).await;
        if timeout < silence {
            return Ok::<Bytes, Infallible>(Bytes::new());
        }
        if let Some(measured) = measured {
            measured.sent(wanted, &event);
        }
        Ok(event.into())
    });
    answer::with_type(200, media_type(wanted), Body::from_stream(body))
}

fn media_type(wanted: Negotiated) -> &'static str {
    match wanted.wire.encoding {
        Encoding::Protobuf => "application/vnd.kubernetes.protobuf;stream=watch",
        Encoding::Json | Encoding::Yaml => "application/json",
    }
}

/// When the bookmark after `now` is due: after a while, and once shortly before the end.
fn next_bookmark(now: Instant, ends: Instant) -> Option<Instant> {
    let last = ends.checked_sub(LAST_BOOKMARK).filter(|last| *last > now);
    Some(last?.min(now + BOOKMARK_INTERVAL))
}

impl Stream {
    /// The next events; none when the watch is over.
    async fn next(&mut self) -> Option<Bytes> {
        while !self.over {
            let until = self
                .bookmark_due
                .map_or(self.ends, |due| due.min(self.ends));
            let sent = match tokio::time::timeout_at(until, self.watch.next()).await {
                Err(_) if Instant::now() >= self.ends => return None,
                Err(_) => self.timely_bookmark(),
                Ok(Ok(batch)) => self.events(&batch),
                Ok(Err(status)) => return Some(self.end(&status)),
            };
            match sent {
                Ok(bytes) if bytes.is_empty() => {}
                Ok(bytes) => return Some(bytes),
                Err(status) => return Some(self.end(&status)),
            }
        }
        None
    }

    fn end(&mut self, status: &Status) -> Bytes {
        self.over = true;
        let event = framed(self.wanted, "ERROR", &status.to_json()).unwrap_or_default();
        self.count(&event);
        event.into()
    }

    fn count(&self, event: &[u8]) {
        if let Some(measured) = &self.measured {
            measured.sent(self.wanted, event);
        }
    }

    fn events(&mut self, batch: &WatchBatch) -> Result<Bytes, Status> {
        self.revision = batch.revision.max(self.revision);
        let ended = batch.initial_end && self.mark_initial_end && batch.revision > 0;
        if let ([event], false) = (&batch.events[..], ended) {
            return self.event(event, true);
        }
        let mut all = Vec::new();
        for event in &batch.events {
            // What a watch begins with is seldom what another one is sent right now.
            all.extend_from_slice(&self.event(event, false)?);
        }
        if ended {
            all.extend(self.bookmark(true)?);
            if let Some(measured) = &self.measured {
                measured.running.first_state_sent();
            }
        }
        Ok(all.into())
    }

    /// An event; the same bytes for all who get it, where they are to be `shared`.
    fn event(&mut self, event: &Event, shared: bool) -> Result<Bytes, Status> {
        let first = std::mem::take(&mut self.first);
        let Negotiated { wire, form, beta } = self.wanted;
        let around = match wire.encoding {
            Encoding::Protobuf => Around::Frame(event.kind),
            Encoding::Json | Encoding::Yaml => Around::Line(event.kind),
        };
        // The first Table is like no other: it carries the columns.
        let shared = shared && !(first && matches!(form, Form::Table(_)));
        let make = || {
            let forms = self.front.api.event_forms();
            let object = forms.event(&self.target.resource, form, &event.object, first)?;
            let kind = match event.kind {
                EventKind::Added => "ADDED",
                EventKind::Modified => "MODIFIED",
                EventKind::Deleted => "DELETED",
            };
            if beta {
                return framed(self.wanted, kind, &forms::as_beta(&object));
            }
            framed(self.wanted, kind, &object)
        };
        let made = if shared {
            let shape = Shape::new(&self.target.resource, form, beta, around);
            let forms = self.front.api.event_forms();
            forms.shared(&event.object, shape, make)?
        } else {
            make()?.into()
        };
        self.count(&made);
        Ok(made)
    }

    fn timely_bookmark(&mut self) -> Result<Bytes, Status> {
        self.bookmark_due = next_bookmark(Instant::now(), self.ends);
        // Nothing to tell when nothing has happened anywhere.
        if self.revision <= self.told {
            return Ok(Bytes::new());
        }
        self.bookmark(false).map(Bytes::from)
    }

    fn bookmark(&mut self, initial_end: bool) -> Result<Vec<u8>, Status> {
        self.told = self.revision;
        let resource = &self.target.resource;
        let meta = || match self.wanted.beta {
            true => "meta.k8s.io/v1beta1".to_owned(),
            false => "meta.k8s.io/v1".to_owned(),
        };
        let (api_version, kind) = match self.wanted.form {
            Form::Object => (resource.api_version(), resource.kind.as_ref()),
            Form::Metadata => (meta(), "PartialObjectMetadata"),
            Form::Table(_) => (meta(), "Table"),
        };
        let mut metadata = json!({"resourceVersion": self.revision.to_string()});
        if initial_end {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let mut object: Value =
            json!({"kind": kind, "apiVersion": api_version, "metadata": metadata});
        if matches!(self.wanted.form, Form::Table(_)) {
            object["columnDefinitions"] = json!([]);
            object["rows"] = json!([]);
        }
        let event = framed(self.wanted, "BOOKMARK", object.to_string().as_bytes())?;
        self.count(&event);
        Ok(event)
    }
}

/// An event of a kind, with its object given as JSON.
fn framed(wanted: Negotiated, kind: &str, object: &[u8]) -> Result<Vec<u8>, Status> {
    if wanted.wire.encoding != Encoding::Protobuf {
        return Ok(line(kind, object));
    }
    let object = Schema::builtin().write_object(object);
    Ok(protobuf::watch_frame(
        kind,
        &object.map_err(Status::internal)?,
    ))
}

fn line(kind: &str, object: &[u8]) -> Vec<u8> {
    let mut line = Vec::with_capacity(object.len() + 32);
    line.extend_from_slice(b"{\"type\":\"");
    line.extend_from_slice(kind.as_bytes());
    line.extend_from_slice(b"\",\"object\":");
    line.extend_from_slice(object);
    line.extend_from_slice(b"}\n");
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bookmarks_come_now_and_then_and_before_the_end() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        for (now, ends, due) in [
            (0, 600, Some(30)),
            (590, 600, Some(598)),
            (598, 600, None),
            (0, 1, None),
        ] {
            assert_eq!(
                next_bookmark(after(now), after(ends)),
                due.map(after),
                "{now} of {ends}"
            );
        }
    }
}
