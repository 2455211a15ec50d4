//! Service accounts: every namespace has one named `default`, which pods use by default.

use async_trait::async_trait;
use ferrule_apimachinery::scheme::gvr;
use ferrule_client::controller::{Error, Readers};
use ferrule_client::{At, Change, Controller, Key, Next, Queue, Reader, Typed, Writes};
use serde_json::json;

use crate::manager::{Manager, enqueue_all};
use crate::objects::namespace::Namespace;

/// The account that every namespace has.
const DEFAULT: &str = "default";

/// Starts the controller. It waits for as long as the API server does not serve service accounts.
pub fn start(manager: &Manager) {
    let queue = Queue::new();
    let caches = &manager.caches;
    enqueue_all(&caches.namespaces, &queue);
    let own = queue.clone();
    caches.service_accounts.on_change(move |change| {
        if let Change::Deleted(account) = change {
            own.add(Key::cluster(account.header.namespace.as_ref()));
        }
    });
    let readers = Readers::default()
        .with(&caches.namespaces)
        .with(&caches.service_accounts);
    let controller = ServiceAccounts {
        namespaces: caches.namespaces.clone(),
        accounts: caches.service_accounts.clone(),
    };
    manager.run(
        controller,
        queue,
        readers,
        manager.options.concurrent_serviceaccount_token_syncs,
    );
}

struct ServiceAccounts {
    namespaces: Reader<Typed<Namespace>>,
    accounts: Reader<()>,
}

#[async_trait]
impl Controller for ServiceAccounts {
    fn name(&self) -> &'static str {
        "serviceaccount"
    }

    async fn reconcile(&self, key: &Key, writes: &Writes) -> Result<Next, Error> {
        let Some(namespace) = self.namespaces.get(key) else {
            return Ok(Next::Done);
        };
        let present = self.accounts.get(&Key::new(key.name.clone(), DEFAULT));
        if present.is_some() || namespace.value.metadata.is_deleting() {
            return Ok(Next::Done);
        }
        let object = json!({
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": DEFAULT, "namespace": &*key.name},
        });
        let at = At::of(gvr::SERVICE_ACCOUNTS).namespace(&*key.name);
        match writes.create(&at, object.to_string()).await {
            Err(status) if status.is_already_exists() || status.is_namespace_terminating() => {}
            result => drop(result?),
        }
        Ok(Next::Done)
    }
}
