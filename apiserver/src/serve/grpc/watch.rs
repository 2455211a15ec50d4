//! Several watches in one bidirectional stream, each named by the client.

use std::collections::HashMap;
use std::sync::Arc;

use ferrule_apimachinery::status::Status;
use ferrule_proto::v1;
use futures::StreamExt;
use futures::stream::BoxStream;
use prost::Message;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Streaming};

use super::{Call, Form, ListOptions, Target, call, check_verb, form, labels, target};
use crate::serve::metrics::Running;
use crate::serve::{Front, REQUEST_TIMEOUT};
use crate::store::EventKind;
use crate::verbs::forms::EventForms;

/// Batches that wait for a slow client before its watches are held up, and in the end cut off.
const WAITING: usize = 64;

type Answers = mpsc::Sender<Result<v1::WatchBatch, tonic::Status>>;

/// Serves one stream until the client ends it.
pub(super) fn serve(
    front: Arc<Front>,
    request: Request<Streaming<v1::WatchRequest>>,
) -> BoxStream<'static, Result<v1::WatchBatch, tonic::Status>> {
    let (answers, stream) = mpsc::channel(WAITING);
    tokio::spawn(async move {
        let who = call(&request);
        let mut requests = request.into_inner();
        let identity = match who {
            Ok(call) => call.identity,
            Err(status) => {
                let _ = answers.send(Err(super::to_grpc(status))).await;
                return;
            }
        };
        let mut watches = Watches(HashMap::new());
        loop {
            let request = tokio::select! {
                () = answers.closed() => return,
                request = requests.next() => request,
            };
            let Some(Ok(request)) = request else { return };
            if let Some(old) = watches.0.remove(&request.watch_id) {
                old.abort();
            }
            if let Some(v1::watch_request::What::Start(start)) = request.what {
                let (front, answers, identity) = (front.clone(), answers.clone(), identity.clone());
                let id = request.watch_id;
                let task = tokio::spawn(async move {
                    let call = Call::new(identity, tokio::time::Instant::now() + REQUEST_TIMEOUT);
                    if let Err(status) = run(&front, &call, id, start, &answers).await {
                        let batch = v1::WatchBatch {
                            watch_id: id,
                            error: status.to_json().into(),
                            ..v1::WatchBatch::default()
                        };
                        let _ = answers.send(Ok(batch)).await;
                    }
                });
                watches.0.insert(id, task.abort_handle());
            }
        }
    });
    ReceiverStream::new(stream).boxed()
}

/// The running watches of a stream; they end with it.
struct Watches(HashMap<u64, AbortHandle>);

impl Drop for Watches {
    fn drop(&mut self) {
        for task in self.0.values() {
            task.abort();
        }
    }
}

/// Runs one watch; returns when the client has gone, or why the watch ended.
async fn run(
    front: &Front,
    call: &Call,
    id: u64,
    mut start: v1::WatchStart,
    answers: &Answers,
) -> Result<(), Status> {
    let target = target(&front.api, start.resource.take())?;
    check_verb("watch", &target)?;
    let mut running = Running::begin(&front.metrics, labels("watch", &target, false), "");
    let result = send(front, call, id, target, start, answers, &mut running).await;
    if let Err(status) = &result
        && !running.is_answered()
    {
        running.answered(status.http_code());
    }
    result
}

/// Begins a watch and sends what it brings.
async fn send(
    front: &Front,
    call: &Call,
    id: u64,
    target: Target,
    start: v1::WatchStart,
    answers: &Answers,
    running: &mut Running,
) -> Result<(), Status> {
    let form = form(start.form);
    let options = ListOptions {
        label_selector: start.label_selector,
        field_selector: start.field_selector,
        resource_version: start.resource_version,
        resource_version_match: if start.send_initial_events {
            "NotOlderThan"
        } else {
            ""
        }
        .to_owned(),
        send_initial_events: start.send_initial_events.then_some(true),
        allow_bookmarks: start.allow_bookmarks,
        ..ListOptions::default()
    };
    front
        .api
        .authorize_selected(call, "watch", &target, &options)?;
    let mut watch = front.api.watch(call, &target, &options).await?;
    running.answered(200);
    let counted = running.events();
    let mut first = true;
    loop {
        let batch = watch.next().await?;
        if batch.events.is_empty() && !batch.initial_end && !start.allow_bookmarks {
            continue;
        }
        let mut events = Vec::with_capacity(batch.events.len());
        for event in &batch.events {
            let object = object(front.api.event_forms(), &target, form, event, &mut first)?;
            let kind = match event.kind {
                EventKind::Added => v1::EventType::EventAdded,
                EventKind::Modified => v1::EventType::EventModified,
                EventKind::Deleted => v1::EventType::EventDeleted,
            };
            let event = v1::WatchEvent {
                r#type: kind.into(),
                revision: event.revision,
                object,
            };
            counted.sent(event.encoded_len());
            events.push(event);
        }
        if batch.initial_end && start.send_initial_events {
            running.first_state_sent();
        }
        let batch = v1::WatchBatch {
            watch_id: id,
            events,
            revision: batch.revision,
            initial_events_end: batch.initial_end,
            error: bytes::Bytes::new(),
        };
        if answers.send(Ok(batch)).await.is_err() {
            return Ok(());
        }
    }
}

fn object(
    forms: &EventForms,
    target: &Target,
    form: Form,
    event: &crate::store::Event,
    first: &mut bool,
) -> Result<bytes::Bytes, Status> {
    forms.event(&target.resource, form, &event.object, std::mem::take(first))
}
