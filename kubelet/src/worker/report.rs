//! Writing a pod's status to the API server: in order, until it is written.

use std::sync::Arc;
use std::time::Duration;

use ferrule_apimachinery::scheme::gvr;
use ferrule_client::{At, Client, Patch, WriteOptions};
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use rand::Rng;
use tokio::sync::watch;

use crate::metrics::Metrics;
use crate::pod::spec;
use crate::status::patch::patch;

const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// What shall be written, over what.
#[derive(Clone, Debug)]
struct Wanted {
    /// The object as last seen, and the revision at which it was.
    pod: Arc<Pod>,
    revision: i64,
    status: Arc<PodStatus>,
    number: u64,
}

/// The status of one pod on its way. Dropping it ends the writing.
pub struct Reporter {
    wanted: watch::Sender<Option<Wanted>>,
    written: watch::Receiver<u64>,
    number: u64,
    last: Option<Arc<PodStatus>>,
}

impl Reporter {
    /// Starts the task that writes.
    pub fn start(client: Client, metrics: Metrics) -> Reporter {
        let (wanted, receiver) = watch::channel(None);
        let (done, written) = watch::channel(0);
        tokio::spawn(write(client, metrics, receiver, done));
        Reporter {
            wanted,
            written,
            number: 0,
            last: None,
        }
    }

    /// The newest status, over the object as it was seen at `revision`.
    pub fn report(&mut self, pod: &Arc<Pod>, revision: i64, status: PodStatus) {
        let same = self.last.as_deref() == Some(&status);
        let seen = self.wanted.borrow().as_ref().map(|wanted| wanted.revision);
        if same && seen == Some(revision) {
            return;
        }
        let status = Arc::new(status);
        self.last = Some(status.clone());
        self.number += 1;
        let wanted = Wanted {
            pod: pod.clone(),
            revision,
            status,
            number: self.number,
        };
        self.wanted.send_replace(Some(wanted));
    }

    /// A future that ends once everything reported so far is written, or cannot be any more.
    pub fn flushed(&self) -> impl Future<Output = ()> + use<> {
        let (mut written, number) = (self.written.clone(), self.number);
        async move {
            // An error is the end of the writing, after which nothing is left to wait for.
            let _ = written.wait_for(|written| *written >= number).await;
        }
    }
}

async fn write(
    client: Client,
    metrics: Metrics,
    mut wanted: watch::Receiver<Option<Wanted>>,
    written: watch::Sender<u64>,
) {
    // Our own writes run ahead of what the watch shows.
    let mut ahead: Option<(i64, Arc<PodStatus>)> = None;
    let mut wait = Duration::from_millis(250);
    while wanted.changed().await.is_ok() {
        loop {
            let Some(next) = wanted.borrow_and_update().clone() else {
                break;
            };
            let seen = next.pod.status.clone().unwrap_or_default();
            let base = match &ahead {
                Some((revision, status)) if *revision > next.revision => (**status).clone(),
                _ => seen,
            };
            let pod = &next.pod;
            let Some(change) = patch(spec::uid(pod), &base, &next.status) else {
                written.send_replace(next.number);
                break;
            };
            let at = At::of(gvr::PODS)
                .namespace(spec::namespace(pod))
                .name(spec::name(pod))
                .subresource("status");
            match client
                .patch(&at, &Patch::Strategic(change), &WriteOptions::default())
                .await
            {
                Ok(object) => {
                    metrics.status_writes.inc();
                    ahead = Some((object.revision, next.status.clone()));
                    wait = Duration::from_millis(250);
                    written.send_replace(next.number);
                    break;
                }
                // Another pod has the name, or none: this one's status has no place any more.
                Err(status)
                    if status.code == 404
                        || (status.code == 409 && status.message.contains("UID")) =>
                {
                    tracing::debug!(pod = spec::display(pod), %status, "a status is not wanted any more");
                    written.send_replace(next.number);
                    break;
                }
                Err(status) => {
                    tracing::warn!(pod = spec::display(pod), %status, "cannot write the status of a pod");
                    // A status that is refused as such must not keep a pod from being deleted.
                    if matches!(status.code, 400 | 403 | 422) {
                        written.send_replace(next.number);
                    }
                    let jitter = rand::rng().random_range(0.8..1.2);
                    tokio::select! {
                        () = tokio::time::sleep(wait.mul_f64(jitter)) => {}
                        // Nobody waits for it any more.
                        () = written.closed() => return,
                    }
                    wait = (wait * 2).min(LONGEST_WAIT);
                }
            }
        }
    }
}
