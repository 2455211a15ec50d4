//! What is bound to a node, read from the cache, for the rules about kubelets.

use ferrule_apimachinery::selector::FieldSelector;
use futures::FutureExt;
use serde_json::Value;

use super::Api;
use crate::auth::Bound;
use crate::store::{ReadAt, Snapshot, WatchFilter};

impl Api {
    fn pods(&self) -> Option<(Snapshot, &ferrule_apimachinery::scheme::Resource)> {
        let pods = self.0.scheme.lookup("", "v1", "pods")?;
        // What is in memory is there at once.
        let read = self
            .0
            .store
            .read(pods, ReadAt::Any, tokio::time::Instant::now());
        Some((read.now_or_never()?.ok()?, pods))
    }
}

impl Bound for Api {
    fn pod_on_node(&self, node: &str, namespace: &str, pod: &str) -> Option<bool> {
        let (snapshot, resource) = self.pods()?;
        let stored = snapshot.get(namespace, pod)?;
        Some(on_node(node).matches(resource, &stored.header))
    }

    fn referred_on_node(&self, node: &str, resource: &str, namespace: &str, name: &str) -> bool {
        let Some((snapshot, pods)) = self.pods() else {
            return false;
        };
        let filter = on_node(node);
        snapshot
            .iter_from(Some(namespace), None)
            .filter(|(_, stored)| filter.matches(pods, &stored.header))
            .filter_map(|(_, stored)| serde_json::from_slice::<Value>(&stored.bytes).ok())
            .any(|pod| refers(&pod["spec"], resource, name))
    }
}

fn on_node(node: &str) -> WatchFilter {
    WatchFilter {
        fields: FieldSelector::equals("spec.nodeName", node),
        ..WatchFilter::default()
    }
}

fn each<'a>(value: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    value[field].as_array().into_iter().flatten()
}

/// Whether a pod's spec names the object.
fn refers(spec: &Value, resource: &str, name: &str) -> bool {
    // Field of a volume, of a projected source or `envFrom`, and of `valueFrom`.
    let (volume, volume_name, source, env_from, key_ref) = match resource {
        "configmaps" => (
            "configMap",
            "name",
            "configMap",
            "configMapRef",
            "configMapKeyRef",
        ),
        "secrets" => (
            "secret",
            "secretName",
            "secret",
            "secretRef",
            "secretKeyRef",
        ),
        "persistentvolumeclaims" => {
            return each(spec, "volumes")
                .any(|one| one["persistentVolumeClaim"]["claimName"] == name);
        }
        "serviceaccounts" => return spec["serviceAccountName"] == name,
        _ => return false,
    };
    let volumes = each(spec, "volumes").any(|one| {
        one[volume][volume_name] == name
            || each(&one["projected"], "sources").any(|one| one[source]["name"] == name)
    });
    let containers = ["initContainers", "containers", "ephemeralContainers"]
        .into_iter()
        .flat_map(|list| each(spec, list))
        .any(|container| {
            each(container, "env").any(|one| one["valueFrom"][key_ref]["name"] == name)
                || each(container, "envFrom").any(|one| one[env_from]["name"] == name)
        });
    let pull =
        resource == "secrets" && each(spec, "imagePullSecrets").any(|one| one["name"] == name);
    volumes || containers || pull
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::refers;

    #[test]
    fn volumes_environment_and_pull_secrets_are_references() {
        let spec = json!({
            "serviceAccountName": "robot",
            "imagePullSecrets": [{"name": "pull"}],
            "volumes": [
                {"configMap": {"name": "files"}},
                {"secret": {"secretName": "keys"}},
                {"projected": {"sources": [{"configMap": {"name": "part"}}]}},
                {"persistentVolumeClaim": {"claimName": "data"}},
            ],
            "containers": [{
                "env": [{"valueFrom": {"secretKeyRef": {"name": "word", "key": "k"}}}],
                "envFrom": [{"configMapRef": {"name": "settings"}}],
            }],
        });
        for (resource, name, expected) in [
            ("configmaps", "files", true),
            ("configmaps", "part", true),
            ("configmaps", "settings", true),
            ("configmaps", "keys", false),
            ("secrets", "keys", true),
            ("secrets", "word", true),
            ("secrets", "pull", true),
            ("secrets", "files", false),
            ("persistentvolumeclaims", "data", true),
            ("serviceaccounts", "robot", true),
            ("serviceaccounts", "default", false),
        ] {
            assert_eq!(refers(&spec, resource, name), expected, "{resource} {name}");
        }
    }
}
