//! Which resources the collector follows, and whether it has seen all of them.
//!
//! Nothing is collected while a list is incomplete: a dependent that was not seen yet would be missed when
//! its owner waits for it, or orphans it. A resource whose list does not come within
//! half a minute does not stop everything else, though.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use ferrule_apimachinery::scheme::GroupVersionResource;
use ferrule_client::Reader;
use ferrule_proto::v1;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::graph::Kind;

/// How long a list is waited for; as upstream.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(100);

struct Followed {
    synced: Box<dyn Fn() -> bool + Send + Sync>,
    since: Instant,
    /// Ends the informer; none when others use it too.
    end: Option<CancellationToken>,
}

impl Followed {
    fn unseen() -> Followed {
        Followed {
            synced: Box::new(|| false),
            since: Instant::now(),
            end: None,
        }
    }
}

#[derive(Default)]
struct State {
    followed: HashMap<GroupVersionResource, Followed>,
    /// A kind's resource, and whether it lives in namespaces.
    kinds: HashMap<Kind, (GroupVersionResource, bool)>,
    discovered: bool,
}

/// The resources that are followed.
#[derive(Default)]
pub struct Following(Mutex<State>);

impl Following {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// A resource is followed from now on.
    pub fn add<T: Send + Sync + 'static>(
        &self,
        reader: &Reader<T>,
        end: Option<CancellationToken>,
    ) {
        let own = reader.clone();
        let followed = Followed {
            synced: Box::new(move || own.synced()),
            since: Instant::now(),
            end,
        };
        self.state().followed.insert(reader.gvr().clone(), followed);
    }

    /// Takes in what the server serves; answers the resources that are to be followed from now on, with
    /// their kinds. Those that it no longer serves are followed no longer.
    pub fn discovered(&self, resources: &[v1::ApiResource]) -> Vec<(GroupVersionResource, String)> {
        let mut state = self.state();
        let mut kinds = HashMap::new();
        let (mut served, mut new) = (HashSet::new(), Vec::new());
        let mut preferred = HashSet::new();
        for resource in resources {
            let gvr = GroupVersionResource::from_parts(
                &resource.group,
                &resource.version,
                &resource.name,
            );
            let kind = Kind::new(&gvr.api_version(), &resource.kind);
            kinds.insert(kind, (gvr.clone(), resource.namespaced));
            // Other versions of a resource show the same objects; the preferred one comes first.
            if is_collected(resource) && preferred.insert((&resource.group, &resource.name)) {
                if !state.followed.contains_key(&gvr) {
                    new.push((gvr.clone(), resource.kind.clone()));
                    // It counts as not seen from now on.
                    state.followed.insert(gvr.clone(), Followed::unseen());
                }
                served.insert(gvr);
            }
        }
        state.kinds = kinds;
        state.discovered = true;
        state.followed.retain(|gvr, followed| {
            let ends = followed.end.as_ref().filter(|_| !served.contains(gvr));
            ends.inspect(|end| end.cancel()).is_none()
        });
        new
    }

    /// The resource of a kind, and whether it lives in namespaces.
    pub fn resource(&self, kind: &Kind) -> Option<(GroupVersionResource, bool)> {
        self.state().kinds.get(kind).cloned()
    }

    fn complete(&self) -> bool {
        let state = self.state();
        let seen = |followed: &Followed| (followed.synced)() || followed.since.elapsed() > PATIENCE;
        state.discovered && state.followed.values().all(seen)
    }

    /// Waits until every list was seen.
    pub async fn wait_complete(&self) {
        while !self.complete() {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

fn is_collected(resource: &v1::ApiResource) -> bool {
    let has = |verb: &str| resource.verbs.iter().any(|own| own == verb);
    // Events end by themselves, and are many.
    ["list", "watch", "delete"].into_iter().all(has) && resource.name != "events"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(name: &str, kind: &str, verbs: &[&str]) -> v1::ApiResource {
        v1::ApiResource {
            version: "v1".to_owned(),
            name: name.to_owned(),
            kind: kind.to_owned(),
            namespaced: true,
            verbs: verbs.iter().map(|verb| (*verb).to_owned()).collect(),
            ..v1::ApiResource::default()
        }
    }

    #[test]
    fn what_can_be_listed_watched_and_deleted_is_followed_but_events() {
        let following = Following::default();
        assert!(!following.complete());
        let new = following.discovered(&[
            resource("pods", "Pod", &["list", "watch", "delete", "get"]),
            resource("bindings", "Binding", &["create"]),
            resource("events", "Event", &["list", "watch", "delete"]),
            v1::ApiResource {
                version: "v0".to_owned(),
                ..resource("pods", "Pod", &["list", "watch", "delete", "get"])
            },
        ]);
        let names: Vec<&str> = new.iter().map(|(_, kind)| kind.as_str()).collect();
        assert_eq!(names, ["Pod"]);
        assert!(following.resource(&Kind::new("v0", "Pod")).is_some());
        assert!(following.resource(&Kind::new("v1", "Binding")).is_some());
        assert!(following.resource(&Kind::new("v1", "Nothing")).is_none());
        assert!(!following.complete(), "its pods were not seen yet");
        assert!(following.discovered(&[]).is_empty());
    }
}
