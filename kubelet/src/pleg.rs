//! What happens in the runtime: its stream of events, and a relist that misses nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use k8s_cri::v1::ContainerEventResponse;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::context::Kubelet;
use crate::cri::POD_UID;
use crate::cri::observe::{self, RuntimePod};

/// Between relists while events arrive.
const WITH_EVENTS: Duration = Duration::from_secs(10);
/// Between relists while they do not.
const WITHOUT_EVENTS: Duration = Duration::from_secs(1);

/// News from the runtime.
#[derive(Debug)]
pub enum News {
    /// Something of this pod changed.
    Changed(String),
    /// All pods that the runtime knows.
    Relisted(BTreeMap<String, RuntimePod>),
}

/// Follows the runtime until `shutdown`.
pub async fn run(
    kubelet: Arc<Kubelet>,
    news: mpsc::UnboundedSender<News>,
    shutdown: CancellationToken,
) {
    let mut known: BTreeMap<String, RuntimePod> = BTreeMap::new();
    let mut events = None;
    loop {
        if events.is_none() {
            events = kubelet.cri.events().await.ok();
        }
        match observe::all(&kubelet.cri).await {
            Ok(pods) => {
                kubelet.metrics.relists.inc();
                let uids = known.keys().chain(pods.keys());
                for uid in uids.filter(|uid| known.get(*uid) != pods.get(*uid)) {
                    let _ = news.send(News::Changed(uid.clone()));
                }
                known.clone_from(&pods);
                let _ = news.send(News::Relisted(pods));
            }
            Err(error) => tracing::debug!(%error, "cannot list what the runtime has"),
        }
        let pause = if events.is_some() {
            WITH_EVENTS
        } else {
            WITHOUT_EVENTS
        };
        let relist = tokio::time::sleep(pause);
        tokio::pin!(relist);
        loop {
            let next = async {
                match &mut events {
                    Some(events) => events.next().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = &mut relist => break,
                event = next => match event {
                    Some(Ok(event)) => {
                        if let Some(uid) = uid(&event) {
                            let _ = news.send(News::Changed(uid));
                        }
                    }
                    // Events were missed: look at everything at once.
                    Some(Err(_)) | None => {
                        events = None;
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        break;
                    }
                },
            }
        }
    }
}

fn uid(event: &ContainerEventResponse) -> Option<String> {
    let metadata = event
        .pod_sandbox_status
        .as_ref()
        .and_then(|status| status.metadata.as_ref());
    let labelled = || {
        event
            .containers_statuses
            .iter()
            .find_map(|status| status.labels.get(POD_UID))
    };
    metadata
        .map(|metadata| &metadata.uid)
        .or_else(labelled)
        .filter(|uid| !uid.is_empty())
        .cloned()
}
