//! What the parts of a pod with paths of their own may change: its ephemeral containers, and its resources.

use serde_json::Value;

use super::annotations;
use crate::resources::pod::requests;
use crate::resources::problems::{Path, Problems};
use crate::resources::tree::{self, Tree};
use crate::resources::{diff, go_form, meta};

/// Set on pods that a kubelet read from a file.
const MIRROR: &str = "kubernetes.io/config.mirror";

/// The resources that running containers can be given more or less of.
const RESIZABLE: [&str; 2] = ["cpu", "memory"];

fn forbidden(detail: &str) -> Problems {
    let mut out = Problems::default();
    out.forbidden(&Path::new(""), detail);
    out
}

fn is_mirror(pod: &Value) -> bool {
    pod.at("metadata").at("annotations").has(MIRROR)
}

/// Problems of a pod whose ephemeral containers were written. Those that are there stay as they are.
pub fn validate_ephemeral_update(new: &Value, old: &Value) -> Problems {
    if is_mirror(old) {
        return forbidden("static pods do not support ephemeral containers");
    }
    let mut out = meta::validate_update(new, old);
    out.extend(super::validate_pod(new));
    let at = Path::new("metadata").child("annotations");
    annotations::validate_update(&mut out, &at, new, old);
    let path = Path::new("spec").child("ephemeralContainers");
    let after = new.at("spec").items("ephemeralContainers");
    for before in old.at("spec").items("ephemeralContainers") {
        let name = before.text("name");
        let Some(now) = after.iter().find(|one| one.text("name") == name) else {
            let detail = format!("existing ephemeral containers {name:?} may not be removed\n");
            out.forbidden(&path, &detail);
            continue;
        };
        if !tree::same(now, before) {
            let [now, before] =
                [now, before].map(|one| go_form::indented("EphemeralContainer", one));
            let diff = diff::unified(&before, &now);
            let detail =
                format!("existing ephemeral containers {name:?} may not be changed\n{diff}");
            out.forbidden(&path, &detail);
        }
    }
    out
}

/// Problems of a pod whose resources were written.
pub fn validate_resize(new: &Value, old: &Value) -> Problems {
    if is_mirror(old) {
        return forbidden("static pods cannot be resized");
    }
    if old.at("spec").at("os").text("name") == "windows" {
        return forbidden("windows pods cannot be resized");
    }
    let mut out = meta::validate_update(new, old);
    out.extend(super::validate_pod(new));
    let path = Path::new("spec");
    let (after, before) = (new.at("spec"), old.at("spec"));
    let class = match old.at("status").text("qosClass") {
        "" => requests::qos_class(before),
        known => known,
    };
    if class != requests::qos_class(after) {
        let shown = new.at("status").text("qosClass");
        let detail = "Pod QOS Class may not change as a result of resizing";
        out.invalid(&path, shown, detail);
    }
    for list in ["containers", "initContainers"] {
        let at = path.child(list);
        let (after, before) = (after.items(list), before.items(list));
        let same_names = after.len() == before.len()
            && after
                .iter()
                .zip(before)
                .all(|(a, b)| a.text("name") == b.text("name"));
        if !same_names {
            out.forbidden(
                &path,
                "containers may not be renamed or reordered on resize",
            );
            return out;
        }
        for (i, (after, before)) in after.iter().zip(before).enumerate() {
            let at = at.index(i).child("resources");
            validate_kept(&mut out, &at, after.at("resources"), before.at("resources"));
        }
    }
    if !tree::same(&without_resizable(after, before), before) {
        out.forbidden(&path, "only cpu and memory resources are mutable");
    }
    out
}

/// An amount that is there may change, but not go.
fn validate_kept(out: &mut Problems, path: &Path, new: &Value, old: &Value) {
    for name in ["limits", "requests"] {
        let gone = |resource: &&str| old.at(name).has(resource) && !new.at(name).has(resource);
        if RESIZABLE.iter().any(gone) {
            out.forbidden(
                &path.child(name),
                &format!("resource {name} cannot be removed"),
            );
        }
    }
}

/// The new specification with the old amounts of what may be resized.
fn without_resizable(new: &Value, old: &Value) -> Value {
    let mut new = new.clone();
    let restore = |new: &mut Value, old: &Value| {
        for name in ["limits", "requests"] {
            if !new.at("resources").has(name) && !old.at("resources").has(name) {
                continue;
            }
            let before = old.at("resources").at(name);
            if let Some(resources) = tree::child(new, "resources")
                && let Some(amounts) = tree::child(resources, name)
            {
                for resource in RESIZABLE {
                    tree::copy(amounts, before, resource);
                }
            }
        }
    };
    for list in ["containers", "initContainers"] {
        for (container, before) in tree::items_mut(&mut new, list).zip(old.items(list)) {
            restore(container, before);
        }
    }
    if new.has("resources") || old.has("resources") {
        restore(&mut new, old);
    }
    new
}
