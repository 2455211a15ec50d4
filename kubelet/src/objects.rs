//! The ConfigMaps and Secrets that pods on this node refer to: each is watched by its name, once for all
//! its pods, as long as one of them lives. What was seen outlives an API server that is away. Immutable
//! objects are read once.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use ferrule_apimachinery::header::Header;
use ferrule_apimachinery::scheme::gvr;
use ferrule_client::{Cached, Client, Informer, Key, Projection, Reader};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use tokio_util::sync::CancellationToken;

use crate::env::{self, Contents};
use crate::pod::spec;
use crate::volumes::contents;

/// How long somebody waits for an object that was never seen; as upstream.
const PATIENCE: Duration = Duration::from_secs(1);

/// What kind of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A ConfigMap.
    ConfigMap,
    /// A Secret.
    Secret,
}

/// The data of an object; `None` when there is no such object.
type Data = Option<BTreeMap<String, Vec<u8>>>;
type Tell = Arc<dyn Fn() + Send + Sync>;

/// The data of a ConfigMap or a Secret.
trait Payload: Projection {
    fn data(&self) -> &BTreeMap<String, Vec<u8>>;
    fn immutable(&self) -> bool;
}

struct ConfigMapData(BTreeMap<String, Vec<u8>>, bool);
struct SecretData(BTreeMap<String, Vec<u8>>, bool);

impl Projection for ConfigMapData {
    fn project(_: &Header, json: &[u8]) -> Result<Self, serde_json::Error> {
        let own: ConfigMap = serde_json::from_slice(json)?;
        let text = own.data.into_iter().flatten();
        let text = text.map(|(key, value)| (key, value.into_bytes()));
        let binary = own.binary_data.into_iter().flatten();
        let all = text.chain(binary.map(|(key, ByteString(value))| (key, value)));
        Ok(ConfigMapData(all.collect(), own.immutable == Some(true)))
    }
}

impl Projection for SecretData {
    fn project(_: &Header, json: &[u8]) -> Result<Self, serde_json::Error> {
        let own: Secret = serde_json::from_slice(json)?;
        let data = own.data.into_iter().flatten();
        let data = data.map(|(key, ByteString(value))| (key, value));
        Ok(SecretData(data.collect(), own.immutable == Some(true)))
    }
}

impl Payload for ConfigMapData {
    fn data(&self) -> &BTreeMap<String, Vec<u8>> {
        &self.0
    }
    fn immutable(&self) -> bool {
        self.1
    }
}

impl Payload for SecretData {
    fn data(&self) -> &BTreeMap<String, Vec<u8>> {
        &self.0
    }
    fn immutable(&self) -> bool {
        self.1
    }
}

#[derive(Clone)]
enum Source {
    ConfigMap(Reader<ConfigMapData>),
    Secret(Reader<SecretData>),
}

impl Source {
    /// The object as it was last seen; an error when it was never looked for with success.
    async fn read(&self, key: &Key) -> Result<Data, String> {
        async fn read<T: Payload>(
            reader: &Reader<T>,
            key: &Key,
            kind: &str,
        ) -> Result<Data, String> {
            let seen = tokio::time::timeout(PATIENCE, reader.wait_synced()).await;
            seen.map_err(|_| {
                format!("failed to sync {kind} cache: timed out waiting for the condition")
            })?;
            Ok(reader.get(key).map(|own| own.value.data().clone()))
        }
        match self {
            Source::ConfigMap(reader) => read(reader, key, "configmap").await,
            Source::Secret(reader) => read(reader, key, "secret").await,
        }
    }
}

/// A watched object.
struct Entry {
    source: Source,
    /// Whether somebody has been given its data: only then are changes news.
    given: bool,
    /// Who hears of changes, by the pod's uid.
    pods: HashMap<String, Tell>,
    stop: CancellationToken,
}

/// All watched objects of the node.
#[derive(Default)]
pub struct Watches {
    entries: Mutex<HashMap<(Kind, Key), Entry>>,
}

impl Watches {
    fn entries(&self) -> MutexGuard<'_, HashMap<(Kind, Key), Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many objects are watched.
    pub fn len(&self) -> usize {
        self.entries().len()
    }

    /// Whether no object is watched.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn join(self: &Arc<Self>, client: &Client, kind: Kind, key: &Key, uid: &str, tell: &Tell) {
        let mut entries = self.entries();
        let entry = entries.entry((kind, key.clone())).or_insert_with(|| {
            let stop = CancellationToken::new();
            Entry {
                source: self.watch(client, kind, key, &stop),
                given: false,
                pods: HashMap::new(),
                stop,
            }
        });
        entry.pods.insert(uid.to_owned(), tell.clone());
    }

    fn watch(
        self: &Arc<Self>,
        client: &Client,
        kind: Kind,
        key: &Key,
        stop: &CancellationToken,
    ) -> Source {
        let informer = (client, key, Arc::downgrade(self), stop);
        match kind {
            Kind::ConfigMap => Source::ConfigMap(follow(informer, kind, gvr::CONFIG_MAPS)),
            Kind::Secret => Source::Secret(follow(informer, kind, gvr::SECRETS)),
        }
    }

    /// Tells the pods that have the object of a change.
    fn changed(&self, kind: Kind, key: &Key) {
        let told: Vec<Tell> = match self.entries().get(&(kind, key.clone())) {
            Some(entry) if entry.given => entry.pods.values().cloned().collect(),
            _ => Vec::new(),
        };
        told.iter().for_each(|tell| tell());
    }

    async fn read(&self, kind: Kind, key: &Key) -> Result<Data, String> {
        let source = {
            let mut entries = self.entries();
            let entry = entries
                .get_mut(&(kind, key.clone()))
                .ok_or_else(|| format!("{:?} is not referred to by the pod", &*key.name))?;
            entry.given = true;
            entry.source.clone()
        };
        source.read(key).await
    }

    fn leave(&self, uid: &str) {
        self.entries().retain(|_, entry| {
            entry.pods.remove(uid);
            if entry.pods.is_empty() {
                entry.stop.cancel();
            }
            !entry.pods.is_empty()
        });
    }
}

fn follow<T: Payload>(
    (client, key, watches, stop): (&Client, &Key, Weak<Watches>, &CancellationToken),
    kind: Kind,
    gvr: ferrule_apimachinery::scheme::GroupVersionResource,
) -> Reader<T> {
    let (own, end) = (key.clone(), stop.clone());
    Informer::<T>::builder(client, gvr)
        .namespace(&key.namespace)
        .field_selector(&format!("metadata.name={}", key.name))
        .on_change(move |change| {
            let object: &Arc<Cached<T>> = change.object();
            if object.value.immutable() {
                end.cancel();
            }
            if let Some(watches) = watches.upgrade() {
                watches.changed(kind, &own);
            }
        })
        .start(stop.clone())
}

/// The objects of one pod. Dropping it ends the pod's interest.
pub struct Objects {
    client: Client,
    watches: Arc<Watches>,
    namespace: String,
    uid: String,
    tell: Tell,
}

impl Objects {
    /// Watches what `pod` refers to; `tell` is called when something of it has changed.
    pub fn new(
        client: Client,
        watches: Arc<Watches>,
        pod: &Pod,
        tell: impl Fn() + Send + Sync + 'static,
    ) -> Objects {
        let objects = Objects {
            client,
            watches,
            namespace: spec::namespace(pod).to_owned(),
            uid: spec::uid(pod).to_owned(),
            tell: Arc::new(tell),
        };
        for (kind, name) in references(pod) {
            objects.join(kind, &name);
        }
        objects
    }

    /// For a pod of which only the remains are left: nothing is watched.
    pub fn none(client: Client, watches: Arc<Watches>, pod: &Pod) -> Objects {
        Objects {
            client,
            watches,
            namespace: spec::namespace(pod).to_owned(),
            uid: spec::uid(pod).to_owned(),
            tell: Arc::new(|| {}),
        }
    }

    fn key(&self, name: &str) -> Key {
        Key::new(self.namespace.as_str(), name)
    }

    fn join(&self, kind: Kind, name: &str) {
        let key = self.key(name);
        self.watches
            .join(&self.client, kind, &key, &self.uid, &self.tell);
    }

    /// The contents of an object as they were last seen.
    pub async fn read(&self, kind: Kind, name: &str) -> Result<Data, String> {
        // What the pod came to refer to after its begin, as an ephemeral container does.
        self.join(kind, name);
        self.watches.read(kind, &self.key(name)).await
    }

    /// The contents of several objects.
    pub async fn read_all(
        &self,
        kind: Kind,
        names: impl IntoIterator<Item = String>,
    ) -> Result<Contents, String> {
        let mut contents = Contents::new();
        for name in names.into_iter().collect::<BTreeSet<_>>() {
            let data = self.read(kind, &name).await?;
            contents.insert(name, data);
        }
        Ok(contents)
    }
}

impl Drop for Objects {
    fn drop(&mut self) {
        self.watches.leave(&self.uid);
    }
}

/// All objects that a pod refers to: its volumes, its variables, its credentials for images.
fn references(pod: &Pod) -> BTreeSet<(Kind, String)> {
    let (config_maps, secrets) = contents::references(pod);
    let mut all: BTreeSet<(Kind, String)> = BTreeSet::new();
    all.extend(config_maps.into_iter().map(|name| (Kind::ConfigMap, name)));
    all.extend(secrets.into_iter().map(|name| (Kind::Secret, name)));
    for (container, _) in spec::all_containers(pod) {
        let (config_maps, secrets) = env::references(container);
        all.extend(config_maps.into_iter().map(|name| (Kind::ConfigMap, name)));
        all.extend(secrets.into_iter().map(|name| (Kind::Secret, name)));
    }
    let pulling = spec::of(pod).and_then(|spec| spec.image_pull_secrets.as_ref());
    let pulling = pulling.into_iter().flatten();
    all.extend(pulling.map(|own| (Kind::Secret, own.name.clone())));
    all.retain(|(_, name)| !name.is_empty());
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_pod_refers_to_objects_by_volumes_variables_and_pull_secrets() {
        let pod: Pod = serde_json::from_value(json!({
            "spec": {
                "imagePullSecrets": [{"name": "registry"}],
                "initContainers": [{"name": "i", "envFrom": [{"secretRef": {"name": "init"}}]}],
                "containers": [{"name": "c", "env": [
                    {"name": "A", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "a"}}}]}],
                "volumes": [
                    {"name": "v", "configMap": {"name": "settings"}},
                    {"name": "w", "projected": {"sources": [{"secret": {"name": "token"}}]}}],
            },
        }))
        .expect("a pod");
        let names: Vec<(Kind, String)> = references(&pod).into_iter().collect();
        let secret = |name: &str| (Kind::Secret, name.to_owned());
        assert_eq!(
            names,
            [
                (Kind::ConfigMap, "settings".to_owned()),
                secret("init"),
                secret("registry"),
                secret("token")
            ]
        );
    }

    #[test]
    fn data_is_bytes_whatever_the_object_calls_it() {
        let header = Header::default();
        let map = br#"{"data":{"a":"x"},"binaryData":{"b":"AQI="},"immutable":true}"#;
        let map = ConfigMapData::project(&header, map).expect("a ConfigMap");
        assert_eq!(
            map.data(),
            &[
                ("a".to_owned(), b"x".to_vec()),
                ("b".to_owned(), vec![1, 2])
            ]
            .into()
        );
        assert!(map.immutable());
        let secret = SecretData::project(&header, br#"{"data":{"k":"eA=="}}"#).expect("a Secret");
        assert_eq!(secret.data(), &[("k".to_owned(), b"x".to_vec())].into());
        assert!(!secret.immutable());
    }
}
