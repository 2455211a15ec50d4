//! Volumes, kept while they are bound.

use async_trait::async_trait;
use ferrule_apimachinery::scheme::gvr;
use ferrule_client::controller::{Error, Readers};
use ferrule_client::{At, Controller, Key, Next, Queue, Reader, Typed, Writes};

use super::carry_out;
use super::plan::{VOLUME, concerns, is_bound, plan};
use crate::manager::Manager;
use crate::objects::volume::Protected;

pub(super) fn start(manager: &Manager) {
    let queue = Queue::new();
    let volumes = &manager.caches.volumes;
    let own = queue.clone();
    volumes.on_change(move |change| {
        if concerns(&change.object().value, VOLUME) {
            own.add(change.key());
        }
    });
    let readers = Readers::default().with(volumes);
    let controller = Volumes {
        volumes: volumes.clone(),
    };
    manager.run(controller, queue, readers, 1);
}

struct Volumes {
    volumes: Reader<Typed<Protected>>,
}

#[async_trait]
impl Controller for Volumes {
    fn name(&self) -> &'static str {
        "persistentvolume-protection"
    }

    async fn reconcile(&self, key: &Key, writes: &Writes) -> Result<Next, Error> {
        let Some(seen) = self.volumes.get(key) else {
            return Ok(Next::Done);
        };
        let volume: &Protected = &seen.value;
        let at = At::of(gvr::PERSISTENT_VOLUMES).name(&*key.name);
        let plan = plan(volume, VOLUME, is_bound(volume));
        carry_out(plan, &at, volume, VOLUME, writes).await?;
        Ok(Next::Done)
    }
}
