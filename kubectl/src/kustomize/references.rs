//! References by name: when an object got another name, those that name it follow.

use serde_json::{Value, json};

use super::paths::{pod_spec, visit};
use super::resource::Resource;

/// Fields of pod specs that name an object of a kind.
const OF_PODS: [(&str, &str); 20] = [
    ("ConfigMap", "volumes/configMap/name"),
    ("ConfigMap", "volumes/projected/sources/configMap/name"),
    ("ConfigMap", "containers/env/valueFrom/configMapKeyRef/name"),
    ("ConfigMap", "containers/envFrom/configMapRef/name"),
    (
        "ConfigMap",
        "initContainers/env/valueFrom/configMapKeyRef/name",
    ),
    ("ConfigMap", "initContainers/envFrom/configMapRef/name"),
    ("Secret", "volumes/secret/secretName"),
    ("Secret", "volumes/projected/sources/secret/name"),
    ("Secret", "containers/env/valueFrom/secretKeyRef/name"),
    ("Secret", "containers/envFrom/secretRef/name"),
    ("Secret", "initContainers/env/valueFrom/secretKeyRef/name"),
    ("Secret", "initContainers/envFrom/secretRef/name"),
    ("Secret", "imagePullSecrets/name"),
    ("Secret", "volumes/csi/nodePublishSecretRef/name"),
    ("Secret", "volumes/cephfs/secretRef/name"),
    ("Secret", "volumes/rbd/secretRef/name"),
    ("ServiceAccount", "serviceAccountName"),
    (
        "PersistentVolumeClaim",
        "volumes/persistentVolumeClaim/claimName",
    ),
    ("PriorityClass", "priorityClassName"),
    ("ResourceClaim", "resourceClaims/resourceClaimName"),
];

/// Other fields: the kind that is named, the kind that names, and where.
const OF_OTHERS: [(&str, &str, &str); 22] = [
    ("Secret", "ServiceAccount", "imagePullSecrets/name"),
    ("Secret", "ServiceAccount", "secrets/name"),
    ("Secret", "Ingress", "spec/tls/secretName"),
    ("Secret", "StorageClass", "parameters/secretName"),
    (
        "Secret",
        "PersistentVolume",
        "spec/csi/nodePublishSecretRef/name",
    ),
    ("Service", "StatefulSet", "spec/serviceName"),
    ("Service", "Ingress", "spec/defaultBackend/service/name"),
    (
        "Service",
        "Ingress",
        "spec/rules/http/paths/backend/service/name",
    ),
    ("Service", "APIService", "spec/service/name"),
    (
        "Service",
        "MutatingWebhookConfiguration",
        "webhooks/clientConfig/service/name",
    ),
    (
        "Service",
        "ValidatingWebhookConfiguration",
        "webhooks/clientConfig/service/name",
    ),
    (
        "PersistentVolume",
        "PersistentVolumeClaim",
        "spec/volumeName",
    ),
    ("StorageClass", "PersistentVolume", "spec/storageClassName"),
    (
        "StorageClass",
        "PersistentVolumeClaim",
        "spec/storageClassName",
    ),
    (
        "StorageClass",
        "StatefulSet",
        "spec/volumeClaimTemplates/spec/storageClassName",
    ),
    ("IngressClass", "Ingress", "spec/ingressClassName"),
    ("ConfigMap", "Role", "rules/resourceNames"),
    ("ConfigMap", "ClusterRole", "rules/resourceNames"),
    ("Secret", "Role", "rules/resourceNames"),
    ("Secret", "ClusterRole", "rules/resourceNames"),
    (
        "PersistentVolumeClaim",
        "Job",
        "spec/template/spec/volumes/persistentVolumeClaim/claimName",
    ),
    ("ConfigMap", "Node", "spec/configSource/configMap/name"),
];

/// What an object is called now, and what it was called before.
struct Known {
    kind: String,
    group: String,
    name: String,
    namespace: String,
    /// Name and namespace, now and before.
    places: Vec<(String, String)>,
    affixes: Vec<(String, String)>,
}

/// Who names, for choosing among several objects of one former name.
struct Referrer {
    namespaces: Vec<String>,
    affixes: Vec<(String, String)>,
}

/// Follows all references.
pub fn follow(resources: &mut [Resource]) -> Result<(), String> {
    let known: Vec<Known> = resources.iter().map(known).collect();
    for resource in resources {
        let referrer = Referrer {
            namespaces: resource
                .places()
                .into_iter()
                .map(|place| place.namespace)
                .collect(),
            affixes: resource.affixes.clone(),
        };
        let kind = resource.kind().to_owned();
        let object = &mut resource.object;
        let mut failure = None;
        let mut change = |of: &str, value: &mut Value| {
            each(value, &mut |value| {
                let Some(name) = value.as_str() else {
                    return;
                };
                match named(&known, of, None, name, None, &referrer) {
                    Ok(Some(found)) => *value = json!(found.name),
                    Ok(None) => {}
                    Err(why) => failure = Some(why),
                }
            })
        };
        if let Some(spec) = pod_spec(&kind) {
            for (of, path) in OF_PODS {
                visit(object, &format!("{spec}/{path}"), false, &mut |value| {
                    change(of, value)
                });
            }
        }
        for (of, _, path) in OF_OTHERS.iter().filter(|(_, own, _)| *own == kind) {
            visit(object, path, false, &mut |value| change(of, value));
        }
        if let Some(why) = failure {
            return Err(why);
        }
        match kind.as_str() {
            "HorizontalPodAutoscaler" => {
                by_kind(&known, &referrer, &mut object["spec"]["scaleTargetRef"])?
            }
            "RoleBinding" | "ClusterRoleBinding" => {
                by_kind(&known, &referrer, &mut object["roleRef"])?;
                let subjects = object["subjects"].as_array_mut();
                for subject in subjects.into_iter().flatten() {
                    account(&known, &referrer, subject)?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn each(value: &mut Value, change: &mut dyn FnMut(&mut Value)) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(change),
        value => change(value),
    }
}

fn known(resource: &Resource) -> Known {
    let places = resource
        .places()
        .into_iter()
        .map(|place| (place.name, place.namespace));
    Known {
        kind: resource.kind().to_owned(),
        group: resource.group().to_owned(),
        name: resource.name().to_owned(),
        namespace: resource.namespace().to_owned(),
        places: places.collect(),
        affixes: resource.affixes.clone(),
    }
}

/// A reference with kind and group: `roleRef`, `scaleTargetRef`.
fn by_kind(known: &[Known], referrer: &Referrer, reference: &mut Value) -> Result<(), String> {
    let text = |field: &str| reference[field].as_str().unwrap_or_default().to_owned();
    let (kind, name) = (text("kind"), text("name"));
    let group = match (reference.get("apiGroup"), reference.get("apiVersion")) {
        (Some(group), _) => group.as_str().map(str::to_owned),
        (None, Some(version)) => {
            let version = version.as_str().unwrap_or_default();
            Some(
                version
                    .split_once('/')
                    .map_or("", |(group, _)| group)
                    .to_owned(),
            )
        }
        (None, None) => None,
    };
    if let Some(found) = named(known, &kind, group.as_deref(), &name, None, referrer)? {
        reference["name"] = json!(found.name);
    }
    Ok(())
}

/// A service account that is a subject: its namespace follows, too.
fn account(known: &[Known], referrer: &Referrer, subject: &mut Value) -> Result<(), String> {
    if subject["kind"] != "ServiceAccount" {
        return Ok(());
    }
    let text = |field: &str| subject[field].as_str().unwrap_or_default().to_owned();
    let (name, namespace) = (text("name"), text("namespace"));
    let found = named(
        known,
        "ServiceAccount",
        None,
        &name,
        Some(&namespace),
        referrer,
    )?;
    if let Some(found) = found {
        subject["name"] = json!(found.name);
        if !found.namespace.is_empty() {
            subject["namespace"] = json!(found.namespace);
        }
    }
    Ok(())
}

/// The object of a kind that has or had a name.
fn named<'a>(
    known: &'a [Known],
    kind: &str,
    group: Option<&str>,
    name: &str,
    namespace: Option<&str>,
    referrer: &Referrer,
) -> Result<Option<&'a Known>, String> {
    let is_default = |one: &str, other: &str| {
        let or_default = |own: &str| {
            if own.is_empty() {
                "default".to_owned()
            } else {
                own.to_owned()
            }
        };
        or_default(one) == or_default(other)
    };
    let mut found: Vec<&Known> = known
        .iter()
        .filter(|own| own.kind == kind && group.is_none_or(|group| own.group == group))
        .filter(|own| {
            own.places.iter().any(|(own, place)| {
                own == name && namespace.is_none_or(|namespace| is_default(place, namespace))
            })
        })
        .collect();
    // Of several, the one of the referrer's namespace, then the one that went the same way.
    let narrow: [&dyn Fn(&Known) -> bool; 2] = [
        &|own| {
            own.places
                .iter()
                .any(|(_, place)| referrer.namespaces.contains(place))
        },
        &|own| own.affixes == referrer.affixes,
    ];
    for fits in narrow {
        if found.len() > 1 && found.iter().any(|own| fits(own)) {
            found.retain(|own| fits(own));
        }
    }
    match found.as_slice() {
        [] => Ok(None),
        [first, rest @ ..] if rest.iter().all(|own| own.name == first.name) => Ok(Some(first)),
        several => {
            let names: Vec<String> = several
                .iter()
                .map(|own| format!("{}/{}", own.kind, own.name))
                .collect();
            Err(format!(
                "found multiple possible referrals for {kind} {name:?}: {}",
                names.join(", ")
            ))
        }
    }
}
