//! What a watch shows, one change after the other.

use std::collections::VecDeque;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use ferrule_apimachinery::status::Status;
use ferrule_client::{At, Batch, Client, WatchOptions};
use futures::StreamExt;
use futures::stream::BoxStream;
use serde_json::Value;

/// How long a change may take to come.
const WITHIN: Duration = Duration::from_secs(60);

/// The changes of a resource, from its present state on.
pub struct Changes {
    watch: BoxStream<'static, Result<Batch, Status>>,
    pending: VecDeque<(bool, Bytes)>,
}

impl Changes {
    /// Of a resource in a namespace, or in all.
    pub async fn of(client: &Client, at: &At) -> anyhow::Result<Changes> {
        let options = WatchOptions {
            send_initial_events: true,
            ..WatchOptions::default()
        };
        Ok(Changes {
            watch: client.watch(at, &options).await?.boxed(),
            pending: VecDeque::new(),
        })
    }

    /// The next change: whether it is a deletion, and the object.
    pub async fn next(&mut self) -> anyhow::Result<(bool, Value)> {
        while self.pending.is_empty() {
            let batch = tokio::time::timeout(WITHIN, self.watch.next()).await;
            let batch = batch
                .with_context(|| format!("nothing more happened within {WITHIN:?}"))?
                .context("the watch ended")?;
            let changes = batch?.changes.into_iter();
            self.pending.extend(changes.map(|change| {
                let deleted = change.kind.as_str_name() == "EVENT_DELETED";
                (deleted, change.object)
            }));
        }
        let (deleted, object) = self.pending.pop_front().context("a change")?;
        Ok((deleted, serde_json::from_slice(&object)?))
    }

    /// Waits until an object is as wanted; its name.
    pub async fn wait_for(
        &mut self,
        wanted: impl Fn(bool, &Value) -> bool,
    ) -> anyhow::Result<String> {
        loop {
            let (deleted, object) = self.next().await?;
            if wanted(deleted, &object) {
                let name = object["metadata"]["name"].as_str();
                return Ok(name.unwrap_or_default().to_owned());
            }
        }
    }
}
