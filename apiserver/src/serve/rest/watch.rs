//! A watch as a stream of JSON lines.

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use ferrule_apimachinery::status::Status;
use futures::StreamExt;
use rand::Rng;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::Arc;
use tokio::time::Instant;

use super::answer;
use crate::serve::Front;
use crate::store::{EventKind, WatchBatch};
use crate::verbs::{Form, ListOptions, Target, Watch};

/// How often a bookmark tells the revision when nothing happens.
const BOOKMARK_INTERVAL: Duration = Duration::from_secs(30);

/// How long a watch goes on that does not say so itself: this, and up to as much again.
const MIN_TIMEOUT: Duration = Duration::from_secs(1800);

struct Stream {
    front: Arc<Front>,
    watch: Watch,
    target: Target,
    form: Form,
    bookmarks: bool,
    mark_initial_end: bool,
    first: bool,
    bookmarked: Instant,
    ends: Instant,
    over: bool,
}

/// Answers with the events of a watch until it ends.
pub(super) fn serve(
    front: Arc<Front>,
    watch: Watch,
    target: Target,
    form: Form,
    options: &ListOptions,
) -> Response {
    let now = Instant::now();
    let timeout = match options
        .timeout_seconds
        .and_then(|seconds| u64::try_from(seconds).ok())
    {
        Some(seconds) if seconds > 0 => Duration::from_secs(seconds),
        _ => MIN_TIMEOUT + MIN_TIMEOUT.mul_f64(rand::rng().random()),
    };
    let stream = Stream {
        front,
        watch,
        target,
        form,
        bookmarks: options.allow_bookmarks,
        mark_initial_end: options.send_initial_events == Some(true),
        first: true,
        bookmarked: now,
        ends: now + timeout,
        over: false,
    };
    let chunks = futures::stream::unfold(stream, async |mut stream| {
        let chunk = stream.next().await?;
        Some((Ok::<Bytes, Infallible>(chunk), stream))
    });
    answer::with_type(200, "application/json", Body::from_stream(chunks.fuse()))
}

impl Stream {
    /// The next lines; none when the watch is over.
    async fn next(&mut self) -> Option<Bytes> {
        while !self.over {
            let batch = match tokio::time::timeout_at(self.ends, self.watch.next()).await {
                Err(_) => return None,
                Ok(Ok(batch)) => batch,
                Ok(Err(status)) => return Some(self.end(&status)),
            };
            match self.lines(&batch) {
                Ok(lines) if lines.is_empty() => {}
                Ok(lines) => return Some(lines.into()),
                Err(status) => return Some(self.end(&status)),
            }
        }
        None
    }

    fn end(&mut self, status: &Status) -> Bytes {
        self.over = true;
        line("ERROR", &status.to_json()).into()
    }

    fn lines(&mut self, batch: &WatchBatch) -> Result<Vec<u8>, Status> {
        let mut lines = Vec::new();
        for event in &batch.events {
            let kind = match event.kind {
                EventKind::Added => "ADDED",
                EventKind::Modified => "MODIFIED",
                EventKind::Deleted => "DELETED",
            };
            let first = std::mem::take(&mut self.first);
            let forms = self.front.api.event_forms();
            let object = forms.event(&self.target.resource, self.form, &event.object, first)?;
            lines.extend(line(kind, &object));
        }
        if self.bookmarks && batch.revision > 0 {
            let initial_end = batch.initial_end && self.mark_initial_end;
            if initial_end || self.bookmarked.elapsed() >= BOOKMARK_INTERVAL {
                self.bookmarked = Instant::now();
                let bookmark = self.bookmark(batch.revision, initial_end).to_string();
                lines.extend(line("BOOKMARK", bookmark.as_bytes()));
            }
        }
        Ok(lines)
    }

    fn bookmark(&self, revision: i64, initial_end: bool) -> Value {
        let resource = &self.target.resource;
        let (api_version, kind) = match self.form {
            Form::Object => (resource.api_version(), resource.kind.as_ref()),
            Form::Metadata => ("meta.k8s.io/v1".to_owned(), "PartialObjectMetadata"),
            Form::Table(_) => ("meta.k8s.io/v1".to_owned(), "Table"),
        };
        let mut metadata = json!({"resourceVersion": revision.to_string()});
        if initial_end {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let mut object = json!({"kind": kind, "apiVersion": api_version, "metadata": metadata});
        if matches!(self.form, Form::Table(_)) {
            object["columnDefinitions"] = json!([]);
            object["rows"] = json!([]);
        }
        object
    }
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
