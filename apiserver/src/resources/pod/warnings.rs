//! What is accepted in a pod although it hardly does what its author wants.

use std::collections::{HashMap, HashSet};

use ferrule_apimachinery::field::quote;
use ferrule_apimachinery::names;
use serde_json::Value;

use super::validation::parse_or_zero;
use crate::resources::problems::Path;
use crate::resources::tree::{Tree, same};

/// Warnings of a pod; none when only its status or metadata change.
pub fn of_pod(new: &Value, old: Option<&Value>) -> Vec<String> {
    if old.is_some_and(|old| same(old.at("spec"), new.at("spec"))) {
        return Vec::new();
    }
    let mut out = Vec::new();
    if old.is_none() {
        out.extend(of_name(new, "the Pod's hostname"));
    }
    out.extend(of_spec(&Path::new("spec"), new.at("spec")));
    out
}

/// Warnings of what makes pods from its template.
pub fn of_workload(new: &Value, old: Option<&Value>) -> Vec<String> {
    let used_in = Some("Pod names and hostnames");
    of_maker(new, old, used_in, &["spec", "template"])
}

/// The same, where the template is found on this way, and the name is used in something.
pub fn of_maker(
    new: &Value,
    old: Option<&Value>,
    used_in: Option<&str>,
    way: &[&str],
) -> Vec<String> {
    let mut out = Vec::new();
    if old.is_none() {
        out.extend(used_in.and_then(|used_in| of_name(new, used_in)));
    }
    fn template<'v>(object: &'v Value, way: &[&str]) -> &'v Value {
        way.iter().fold(object, |value, name| value.at(name))
    }
    let Some((first, rest)) = way.split_first() else {
        return out;
    };
    let path = rest
        .iter()
        .fold(Path::new(*first), |path, name| path.child(name));
    let before = old.map(|old| template(old, way));
    out.extend(of_template(&path, template(new, way), before));
    out
}

fn of_name(object: &Value, used_in: &str) -> Option<String> {
    let wrong = names::dns1123_label(object.at("metadata").text("name"));
    (!wrong.is_empty()).then(|| {
        let wrong = wrong.join(" ");
        format!(
            "metadata.name: this is used in {used_in}, which can result in surprising behavior; \
             a DNS label is recommended: [{wrong}]"
        )
    })
}

/// Warnings of a template; none when it did not change.
fn of_template(path: &Path, new: &Value, old: Option<&Value>) -> Vec<String> {
    if old.is_some_and(|old| same(old, new)) {
        return Vec::new();
    }
    of_spec(&path.child("spec"), new.at("spec"))
}

/// Labels of nodes that have another name now.
const OLD_LABELS: [(&str, &str); 5] = [
    (
        "beta.kubernetes.io/arch",
        "deprecated since v1.14; use \"kubernetes.io/arch\" instead",
    ),
    (
        "beta.kubernetes.io/os",
        "deprecated since v1.14; use \"kubernetes.io/os\" instead",
    ),
    (
        "failure-domain.beta.kubernetes.io/region",
        "deprecated since v1.17; use \"topology.kubernetes.io/region\" instead",
    ),
    (
        "failure-domain.beta.kubernetes.io/zone",
        "deprecated since v1.17; use \"topology.kubernetes.io/zone\" instead",
    ),
    (
        "beta.kubernetes.io/instance-type",
        "deprecated since v1.17; use \"node.kubernetes.io/instance-type\" instead",
    ),
];

/// What to say of a node's label that has another name today.
pub fn old_label(name: &str) -> Option<&'static str> {
    OLD_LABELS
        .iter()
        .find(|(label, _)| *label == name)
        .map(|(_, message)| *message)
}

/// Sources of volumes that are on their way out: name, the name that upstream shows, and what to say.
pub const OLD_VOLUMES: [(&str, &str, &str); 9] = [
    (
        "photonPersistentDisk",
        "photonPersistentDisk",
        "deprecated in v1.11, non-functional in v1.16+",
    ),
    (
        "gitRepo",
        "gitRepo",
        "deprecated in v1.11, and disabled by default in v1.33+",
    ),
    (
        "scaleIO",
        "scaleIO",
        "deprecated in v1.16, non-functional in v1.22+",
    ),
    (
        "flocker",
        "flocker",
        "deprecated in v1.22, non-functional in v1.25+",
    ),
    (
        "storageos",
        "storageOS",
        "deprecated in v1.22, non-functional in v1.25+",
    ),
    (
        "quobyte",
        "quobyte",
        "deprecated in v1.22, non-functional in v1.25+",
    ),
    (
        "glusterfs",
        "glusterfs",
        "deprecated in v1.25, non-functional in v1.26+",
    ),
    (
        "cephfs",
        "cephfs",
        "deprecated in v1.28, non-functional in v1.31+",
    ),
    (
        "rbd",
        "rbd",
        "deprecated in v1.28, non-functional in v1.31+",
    ),
];

fn of_spec(path: &Path, spec: &Value) -> Vec<String> {
    let mut out = Vec::new();
    for (label, _) in spec.entries("nodeSelector") {
        if let Some(message) = old_label(label) {
            out.push(format!(
                "{}: {message}",
                path.child("nodeSelector").key(label)
            ));
        }
    }
    for (i, constraint) in spec.items("topologySpreadConstraints").iter().enumerate() {
        let at = path.child("topologySpreadConstraints").index(i);
        let key = constraint.text("topologyKey");
        if let Some(message) = old_label(key) {
            out.push(format!("{}: {key} is {message}", at.child("topologyKey")));
        }
        if !constraint.has("labelSelector") {
            out.push(format!("{}: {MATCHES_NOTHING}", at.child("labelSelector")));
        }
    }
    for (i, volume) in spec.items("volumes").iter().enumerate() {
        for (kind, shown, message) in OLD_VOLUMES {
            if volume.has(kind) {
                out.push(format!(
                    "{}: {message}",
                    path.child("volumes").index(i).child(shown)
                ));
            }
        }
    }
    of_names(&mut out, path, spec);
    of_quantities(&mut out, &path.child("overhead"), spec.at("overhead"));
    let containers = containers(path, spec);
    for (at, container) in &containers {
        for list in ["limits", "requests"] {
            let at = at.child("resources").child(list);
            of_quantities(&mut out, &at, container.at("resources").at(list));
        }
        of_environment(&mut out, at, container);
    }
    of_ports(&mut out, &containers);
    of_affinity(&mut out, path, spec);
    out
}

const MATCHES_NOTHING: &str = "a null labelSelector results in matching no pod";

fn containers<'a>(path: &Path, spec: &'a Value) -> Vec<(Path, &'a Value)> {
    let mut all = Vec::new();
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        let path = path.child(list);
        all.extend(
            spec.items(list)
                .iter()
                .enumerate()
                .map(|(i, container)| (path.index(i), container)),
        );
    }
    all
}

fn of_names(out: &mut Vec<String>, path: &Path, spec: &Value) {
    let mut addresses = HashSet::new();
    for (i, alias) in spec.items("hostAliases").iter().enumerate() {
        let address = alias.text("ip");
        if !addresses.insert(address) {
            let at = path.child("hostAliases").index(i).child("ip");
            out.push(format!("{at}: duplicate ip {}", quote(address)));
        }
    }
    let mut names = HashSet::new();
    let secrets = spec.items("imagePullSecrets");
    for (i, secret) in secrets.iter().enumerate() {
        let name = secret.text("name");
        if !names.insert(name) {
            let at = path.child("imagePullSecrets").index(i).child("name");
            out.push(format!("{at}: duplicate name {}", quote(name)));
        }
    }
    for (i, _) in secrets
        .iter()
        .enumerate()
        .filter(|(_, secret)| secret.text("name").is_empty())
    {
        out.push(format!(
            "{}: invalid empty name \"\"",
            path.child("imagePullSecrets").index(i).child("name")
        ));
    }
}

fn of_quantities(out: &mut Vec<String>, path: &Path, list: &Value) {
    for name in ["memory", "ephemeral-storage"] {
        if !list.has(name) {
            continue;
        }
        let quantity = parse_or_zero(list.at(name));
        if !quantity.is_whole() {
            let at = path.key(name);
            out.push(format!(
                "{at}: fractional byte value \"{quantity}\" is invalid, must be an integer"
            ));
        }
    }
}

fn of_environment(out: &mut Vec<String>, path: &Path, container: &Value) {
    let mut names = HashSet::new();
    for (i, variable) in container.items("env").iter().enumerate() {
        let (name, value) = (variable.text("name"), variable.text("value"));
        if names.insert(name) {
            continue;
        }
        let reference = format!("$({name})");
        if variable.has("valueFrom") || value == reference || !value.contains(&reference) {
            let at = path.child("env").index(i);
            let name = quote(name);
            out.push(format!(
                "{at}: hides previous definition of {name}, which may be dropped when using apply"
            ));
        }
    }
}

fn of_ports(out: &mut Vec<String>, containers: &[(Path, &Value)]) {
    let mut known: HashMap<(i64, &str), Vec<(Path, &Value)>> = HashMap::new();
    for (path, container) in containers {
        for (i, port) in container.items("ports").iter().enumerate() {
            let at = path.child("ports").index(i);
            let others = known
                .entry((port.int("containerPort"), port.text("protocol")))
                .or_default();
            for (place, other) in others.iter() {
                let (ip, other_ip) = (port.text("hostIP"), other.text("hostIP"));
                let (host, other_host) = (port.int("hostPort"), other.int("hostPort"));
                let what = if ip == other_ip && host == other_host {
                    "duplicate"
                } else if host == 0 || other_host == 0 {
                    "overlapping"
                } else if host == other_host && ip.is_empty() != other_ip.is_empty() {
                    "dangerously ambiguous"
                } else {
                    continue;
                };
                out.push(format!("{at}: {what} port definition with {place}"));
            }
            others.push((at, port));
        }
    }
}

fn of_affinity(out: &mut Vec<String>, path: &Path, spec: &Value) {
    for name in ["podAffinity", "podAntiAffinity"] {
        let (at, terms) = (
            path.child("affinity").child(name),
            spec.at("affinity").at(name),
        );
        let required = "requiredDuringSchedulingIgnoredDuringExecution";
        for (i, term) in terms.items(required).iter().enumerate() {
            if !term.has("labelSelector") {
                out.push(format!(
                    "{}: {MATCHES_NOTHING}",
                    at.child(required).index(i).child("labelSelector")
                ));
            }
        }
        let preferred = "preferredDuringSchedulingIgnoredDuringExecution";
        for (i, term) in terms.items(preferred).iter().enumerate() {
            if !term.at("podAffinityTerm").has("labelSelector") {
                let at = at
                    .child(preferred)
                    .index(i)
                    .child("podAffinityTerm")
                    .child("labelSelector");
                out.push(format!("{at}: {MATCHES_NOTHING}"));
            }
        }
    }
}
