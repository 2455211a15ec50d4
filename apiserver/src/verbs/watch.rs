//! Watch: present objects and changes in one stream, ended by a Status.

use std::sync::Arc;

use ferrule_apimachinery::scheme::Resource;
use ferrule_apimachinery::status::Status;

use super::{Api, Call, ListOptions, Target, errors};
use crate::store::{WatchBatch, WatchEnd, WatchFilter, WatchFrom, Watcher};

/// A watch that has begun.
pub struct Watch {
    watcher: Watcher,
    /// The revision from which it can be resumed when it ends.
    resumable: i64,
    /// Whose version the objects are shown in.
    resource: Arc<Resource>,
    api: Api,
}

impl Api {
    /// Begins a watch.
    pub async fn watch(
        &self,
        call: &Call,
        target: &Target,
        list: &ListOptions,
    ) -> Result<Watch, Status> {
        list.check(true)?;
        let selection = list.selection(&target.resource)?;
        let asked = list.revision().map_err(Status::bare_error)?;
        let from = match (list.send_initial_events, asked) {
            (Some(true), 0) | (None, 0) => {
                // Present means not older than the moment of asking, unless any state will do.
                if list.resource_version.is_empty() {
                    self.reach_current(call).await?;
                }
                WatchFrom::WithInitial
            }
            (Some(true), revision) => {
                let waited = self.0.store.wait_for(revision, call.store_deadline()).await;
                waited.map_err(errors::of_store)?;
                WatchFrom::WithInitial
            }
            (Some(false), 0) => {
                self.reach_current(call).await?;
                WatchFrom::Now
            }
            (_, revision) => WatchFrom::After(revision),
        };
        let filter = WatchFilter {
            namespace: Some(target.namespace.clone()).filter(|namespace| !namespace.is_empty()),
            labels: selection.labels,
            fields: selection.fields,
        };
        let opened = self
            .0
            .store
            .watch(&target.resource, filter, from, call.store_deadline())
            .await;
        let watcher = opened.map_err(errors::of_store)?;
        Ok(Watch {
            watcher,
            resumable: asked,
            resource: target.resource.clone(),
            api: self.clone(),
        })
    }

    async fn reach_current(&self, call: &Call) -> Result<(), Status> {
        let reached = self.0.store.wait_for_current(call.store_deadline()).await;
        reached.map(drop).map_err(errors::of_store)
    }
}

impl Watch {
    /// The next changes, up to a revision boundary; batches without changes only move the revision on.
    pub async fn next(&mut self) -> Result<WatchBatch, Status> {
        let mut batch = self.watcher.next().await.map_err(|end| self.ended(end))?;
        for event in &mut batch.events {
            event.object = self.api.shown_event(&self.resource, &event.object)?;
        }
        self.resumable = self.resumable.max(batch.revision);
        Ok(batch)
    }

    fn ended(&self, end: WatchEnd) -> Status {
        match end {
            WatchEnd::Expired => Status::too_old(self.resumable, self.resumable + 1),
            WatchEnd::Slow => Status::too_many_requests(end.to_string(), 1),
            WatchEnd::Shutdown => Status::service_unavailable("the API server is shutting down"),
        }
    }
}
