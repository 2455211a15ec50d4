//! Changes of all objects: namespace, names, labels, annotations, replicas, images.

use serde_json::{Value, json};

use super::file::{Image, Kustomization, Texts};
use super::paths::{TEMPLATES, visit};
use super::resource::Resource;

/// Kinds whose names stay.
const KEEP_NAMES: [&str; 3] = ["CustomResourceDefinition", "APIService", "Namespace"];
/// Kinds with replicas.
const SCALED: [&str; 4] = [
    "Deployment",
    "StatefulSet",
    "ReplicaSet",
    "ReplicationController",
];
/// Selectors by kind, and whether they are made.
const SELECTORS: [(&str, &str, bool); 11] = [
    ("Service", "spec/selector", true),
    ("ReplicationController", "spec/selector", true),
    ("Deployment", "spec/selector/matchLabels", true),
    ("ReplicaSet", "spec/selector/matchLabels", true),
    ("DaemonSet", "spec/selector/matchLabels", true),
    ("StatefulSet", "spec/selector/matchLabels", true),
    ("Job", "spec/selector/matchLabels", false),
    (
        "CronJob",
        "spec/jobTemplate/spec/selector/matchLabels",
        false,
    ),
    ("PodDisruptionBudget", "spec/selector/matchLabels", false),
    ("NetworkPolicy", "spec/podSelector/matchLabels", false),
    (
        "NetworkPolicy",
        "spec/ingress/from/podSelector/matchLabels",
        false,
    ),
];
/// Selectors inside of pods, which are changed where they are.
const INNER_SELECTORS: [&str; 5] = [
    "affinity/podAffinity/preferredDuringSchedulingIgnoredDuringExecution/podAffinityTerm/labelSelector/matchLabels",
    "affinity/podAffinity/requiredDuringSchedulingIgnoredDuringExecution/labelSelector/matchLabels",
    "affinity/podAntiAffinity/preferredDuringSchedulingIgnoredDuringExecution/podAffinityTerm/labelSelector/matchLabels",
    "affinity/podAntiAffinity/requiredDuringSchedulingIgnoredDuringExecution/labelSelector/matchLabels",
    "topologySpreadConstraints/labelSelector/matchLabels",
];

/// Does everything that a file says.
pub fn run(file: &Kustomization, resources: &mut [Resource]) -> Result<(), String> {
    if !file.namespace.is_empty() {
        namespace(&file.namespace, resources);
    }
    if !file.name_prefix.is_empty() || !file.name_suffix.is_empty() {
        names(&file.name_prefix, &file.name_suffix, resources);
    }
    for resource in resources.iter_mut() {
        for labels in &file.labels {
            let templates = labels.include_templates || labels.include_selectors;
            label(resource, &labels.pairs, labels.include_selectors, templates);
        }
        label(resource, &file.common_labels, true, true);
        annotate(resource, &file.common_annotations);
    }
    for replicas in &file.replicas {
        scale(&replicas.name, replicas.count, resources)?;
    }
    for image in &file.images {
        let images = resources.iter_mut().map(|resource| &mut resource.object);
        images.for_each(|object| set_images(object, image));
    }
    Ok(())
}

fn namespace(namespace: &str, resources: &mut [Resource]) {
    for resource in resources {
        match resource.kind() {
            "Namespace" if resource.group().is_empty() => resource.rename(namespace),
            _ if resource.is_namespaced() => resource.replace_namespace(namespace),
            _ => {}
        }
        match resource.kind() {
            "RoleBinding" | "ClusterRoleBinding" => {
                let mut change = |subject: &mut Value| {
                    // Those of other accounts follow the accounts themselves.
                    if subject["kind"] == "ServiceAccount" && subject["name"] == "default" {
                        subject["namespace"] = json!(namespace);
                    }
                };
                let subjects = resource.object["subjects"].as_array_mut();
                subjects.into_iter().flatten().for_each(&mut change);
            }
            "APIService" => visit(
                &mut resource.object,
                "spec/service/namespace",
                true,
                &mut |own| {
                    *own = json!(namespace);
                },
            ),
            "CustomResourceDefinition" => visit(
                &mut resource.object,
                "spec/conversion/webhook/clientConfig/service/namespace",
                false,
                &mut |own| *own = json!(namespace),
            ),
            _ => {}
        }
    }
}

fn names(prefix: &str, suffix: &str, resources: &mut [Resource]) {
    for resource in resources {
        if KEEP_NAMES.contains(&resource.kind()) {
            continue;
        }
        let name = format!("{prefix}{}{suffix}", resource.name());
        resource.rename(&name);
        resource
            .affixes
            .push((prefix.to_owned(), suffix.to_owned()));
    }
}

fn insert(value: &mut Value, texts: &Texts) {
    if !value.is_object() {
        *value = json!({});
    }
    for (key, text) in texts {
        value[key] = json!(text);
    }
}

fn label(resource: &mut Resource, labels: &Texts, selectors: bool, templates: bool) {
    if labels.is_empty() {
        return;
    }
    let kind = resource.kind().to_owned();
    let object = &mut resource.object;
    let mut change = |value: &mut Value| insert(value, labels);
    visit(object, "metadata/labels", true, &mut change);
    if selectors {
        for (_, path, create) in SELECTORS.iter().filter(|(own, ..)| *own == kind) {
            visit(object, path, *create, &mut change);
        }
        if kind == "NetworkPolicy" {
            visit(
                object,
                "spec/egress/to/podSelector/matchLabels",
                false,
                &mut change,
            );
        }
    }
    if !templates {
        return;
    }
    if let Some((_, template)) = TEMPLATES.iter().find(|(own, _)| *own == kind) {
        visit(
            object,
            &format!("{template}/metadata/labels"),
            true,
            &mut change,
        );
        if selectors {
            for path in INNER_SELECTORS {
                visit(
                    object,
                    &format!("{template}/spec/{path}"),
                    false,
                    &mut change,
                );
            }
        }
    }
    match kind.as_str() {
        "CronJob" => visit(
            object,
            "spec/jobTemplate/metadata/labels",
            true,
            &mut change,
        ),
        "StatefulSet" => {
            let claims = object.pointer_mut("/spec/volumeClaimTemplates");
            if let Some(claims) = claims {
                visit(claims, "metadata/labels", true, &mut change);
            }
        }
        _ => {}
    }
}

fn annotate(resource: &mut Resource, annotations: &Texts) {
    if annotations.is_empty() {
        return;
    }
    let kind = resource.kind().to_owned();
    let object = &mut resource.object;
    let mut change = |value: &mut Value| insert(value, annotations);
    visit(object, "metadata/annotations", true, &mut change);
    if let Some((_, template)) = TEMPLATES.iter().find(|(own, _)| *own == kind) {
        visit(
            object,
            &format!("{template}/metadata/annotations"),
            true,
            &mut change,
        );
    }
    if kind == "CronJob" {
        visit(
            object,
            "spec/jobTemplate/metadata/annotations",
            true,
            &mut change,
        );
    }
}

fn scale(name: &str, count: i64, resources: &mut [Resource]) -> Result<(), String> {
    let mut found = false;
    for resource in resources {
        let named = resource.places().iter().any(|place| place.name == name);
        if named && SCALED.contains(&resource.kind()) {
            visit(&mut resource.object, "spec/replicas", true, &mut |own| {
                *own = json!(count)
            });
            found = true;
        }
    }
    match found {
        true => Ok(()),
        false => {
            let kinds = SCALED.map(|kind| format!("{kind}.[noVer].[noGrp]"));
            Err(format!(
                "resource with name {name} does not match a config with the following GVK [{}]",
                kinds.join(" ")
            ))
        }
    }
}

/// Changes the images of all containers in a tree.
fn set_images(value: &mut Value, image: &Image) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| set_images(item, image)),
        Value::Object(map) => {
            for (field, inner) in map {
                if matches!(field.as_str(), "containers" | "initContainers") {
                    for container in inner.as_array_mut().into_iter().flatten() {
                        if let Some(own) = container["image"].as_str() {
                            container["image"] = json!(renamed(own, image));
                        }
                    }
                } else {
                    set_images(inner, image);
                }
            }
        }
        _ => {}
    }
}

/// An image's name after a change.
fn renamed(own: &str, image: &Image) -> String {
    let (head, digest) = match own.split_once('@') {
        Some((head, digest)) => (head, Some(digest)),
        None => (own, None),
    };
    let last = head.rfind('/').map_or(0, |index| index + 1);
    let (name, tag) = match head[last..].split_once(':') {
        Some((_, tag)) => (&head[..head.len() - tag.len() - 1], Some(tag)),
        None => (head, None),
    };
    if name != image.name {
        return own.to_owned();
    }
    let name = match image.new_name.as_str() {
        "" => name,
        other => other,
    };
    if !image.new_tag.is_empty() && !image.digest.is_empty() {
        return format!("{name}:{}@{}", image.new_tag, image.digest);
    }
    if !image.digest.is_empty() {
        return format!("{name}@{}", image.digest);
    }
    if !image.new_tag.is_empty() {
        return format!("{name}:{}", image.new_tag);
    }
    let tag = tag
        .map(|tag| format!(":{tag}{}", image.tag_suffix))
        .unwrap_or_default();
    let digest = digest
        .map(|digest| format!("@{digest}"))
        .unwrap_or_default();
    format!("{name}{tag}{digest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_renamed_tagged_and_pinned() {
        let image = |new_name: &str, new_tag: &str, digest: &str| Image {
            name: "reg:5000/a".to_owned(),
            new_name: new_name.to_owned(),
            new_tag: new_tag.to_owned(),
            digest: digest.to_owned(),
            tag_suffix: String::new(),
        };
        for (own, image, expected) in [
            ("reg:5000/a:1", image("", "2", ""), "reg:5000/a:2"),
            ("reg:5000/a", image("b", "", ""), "b"),
            ("reg:5000/a:1", image("b", "", ""), "b:1"),
            (
                "reg:5000/a@sha256:1",
                image("b", "", "sha256:2"),
                "b@sha256:2",
            ),
            ("reg:5000/ab:1", image("b", "2", ""), "reg:5000/ab:1"),
        ] {
            assert_eq!(renamed(own, &image), expected, "{own}");
        }
    }
}
