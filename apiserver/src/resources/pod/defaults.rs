//! What upstream fills into pods and into the specifications of templates.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::requests;
use crate::resources::tree::{self, Tree, child, fill, fill_unset, items_mut, set};

/// Defaults of a pod, beyond those of its specification as a template has them.
pub fn default_pod(pod: &mut Value) {
    let Some(spec) = child(pod, "spec") else {
        return;
    };
    default_spec(spec);
    for list in ["containers", "initContainers"] {
        for container in items_mut(spec, list) {
            request_limits(container);
        }
    }
    default_pod_requests(spec);
    fill(spec, "enableServiceLinks", true);
    if spec.flag("hostNetwork") {
        for list in ["containers", "initContainers"] {
            for container in items_mut(spec, list) {
                for port in items_mut(container, "ports") {
                    let number = port.int("containerPort");
                    fill_unset(port, "hostPort", number);
                }
            }
        }
    }
}

/// What a container may use at most it also requests, unless it says otherwise.
fn request_limits(container: &mut Value) {
    let Some(limits) = container.at("resources").map("limits").cloned() else {
        return;
    };
    let requests = child(container, "resources").and_then(|resources| child(resources, "requests"));
    let Some(requests) = requests.and_then(Value::as_object_mut) else {
        return;
    };
    for (name, limit) in limits {
        requests.entry(name).or_insert(limit);
    }
}

/// Requests of the pod as a whole follow from those of its containers, or from its own limits.
fn default_pod_requests(spec: &mut Value) {
    let Some(limits) = spec
        .at("resources")
        .map("limits")
        .filter(|limits| !limits.is_empty())
        .cloned()
    else {
        return;
    };
    let supported = |name: &str| matches!(name, "cpu" | "memory") || name.starts_with("hugepages-");
    let of_containers: BTreeMap<_, _> = requests::of_containers(spec);
    let asked = child(spec, "resources").and_then(|resources| child(resources, "requests"));
    let Some(asked) = asked.and_then(Value::as_object_mut) else {
        return;
    };
    for (name, quantity) in of_containers
        .into_iter()
        .filter(|(name, _)| matches!(name.as_str(), "cpu" | "memory"))
    {
        asked
            .entry(name)
            .or_insert(Value::from(quantity.to_string()));
    }
    for (name, limit) in limits.into_iter().filter(|(name, _)| supported(name)) {
        asked.entry(name).or_insert(limit);
    }
}

/// Defaults of a specification, of a pod or of a template.
pub fn default_spec(spec: &mut Value) {
    fill_unset(spec, "dnsPolicy", "ClusterFirst");
    fill_unset(spec, "restartPolicy", "Always");
    fill(spec, "securityContext", json!({}));
    fill(spec, "terminationGracePeriodSeconds", 30);
    if spec.int("terminationGracePeriodSeconds") < 0 {
        set(spec, "terminationGracePeriodSeconds", 1);
    }
    fill_unset(spec, "schedulerName", "default-scheduler");
    default_service_account(spec);
    for volume in items_mut(spec, "volumes") {
        default_volume(volume);
    }
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        for container in items_mut(spec, list) {
            default_container(container);
        }
    }
    if let Some(overhead) = spec.get_mut("overhead") {
        round_up(overhead);
    }
    if let Some(resources) = spec.get_mut("resources") {
        default_resources(resources);
    }
}

/// The older of the two names of this field follows the newer one.
fn default_service_account(spec: &mut Value) {
    let (name, deprecated) = (
        spec.text("serviceAccountName").to_owned(),
        spec.text("serviceAccount").to_owned(),
    );
    let name = if name.is_empty() { deprecated } else { name };
    if !name.is_empty() {
        set(spec, "serviceAccountName", name.clone());
        set(spec, "serviceAccount", name);
    }
}

fn default_resources(resources: &mut Value) {
    for list in ["limits", "requests"] {
        if let Some(list) = resources.get_mut(list) {
            round_up(list);
        }
    }
}

/// Quantities finer than a thousandth are rounded up to one.
fn round_up(list: &mut Value) {
    use ferrule_apimachinery::quantity::Quantity;
    for (_, value) in list.as_object_mut().into_iter().flatten() {
        const NANO_PER_MILLI: i128 = 1_000_000;
        let Ok(quantity) = tree::display(value).parse::<Quantity>() else {
            continue;
        };
        if quantity.nano() % NANO_PER_MILLI != 0 {
            let milli = quantity.nano().div_euclid(NANO_PER_MILLI) + 1;
            let rounded = Quantity::from_milli(i64::try_from(milli).unwrap_or(i64::MAX));
            *value = Value::from(rounded.with_format(quantity.format()).to_string());
        }
    }
}

fn default_container(container: &mut Value) {
    let policy = if is_latest(container.text("image")) {
        "Always"
    } else {
        "IfNotPresent"
    };
    fill_unset(container, "imagePullPolicy", policy);
    fill_unset(container, "terminationMessagePath", "/dev/termination-log");
    fill_unset(container, "terminationMessagePolicy", "File");
    if let Some(resources) = child(container, "resources") {
        default_resources(resources);
    }
    for port in items_mut(container, "ports") {
        fill_unset(port, "protocol", "TCP");
    }
    for variable in items_mut(container, "env") {
        if let Some(source) = variable.get_mut("valueFrom") {
            default_field_ref(source);
            default_divisor(source);
            if let Some(file) = source.get_mut("fileKeyRef") {
                fill(file, "optional", false);
            }
        }
    }
    for kind in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe) = container.get_mut(kind).filter(|probe| probe.is_object()) {
            default_probe(probe);
        }
    }
    for moment in ["postStart", "preStop"] {
        if let Some(handler) = container
            .get_mut("lifecycle")
            .and_then(|lifecycle| lifecycle.get_mut(moment))
        {
            default_http(handler);
        }
    }
    for list in ["volumeMounts"] {
        for mount in items_mut(container, list) {
            if mount.flag("readOnly") && mount.opt_text("recursiveReadOnly") == Some("") {
                tree::remove(mount, "recursiveReadOnly");
            }
        }
    }
}

/// Whether an image is named with the tag `latest`, or with neither tag nor digest.
fn is_latest(image: &str) -> bool {
    let (name, digest) = match image.split_once('@') {
        Some((name, _)) => (name, true),
        None => (image, false),
    };
    let last = name.rsplit('/').next().unwrap_or(name);
    match last.split_once(':') {
        Some((_, tag)) => tag == "latest",
        None => !digest && is_repository(last),
    }
}

/// Whether it could be the last part of an image's name; what could not has no tag either.
fn is_repository(name: &str) -> bool {
    let inner =
        |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-');
    !name.is_empty() && name.bytes().all(inner)
}

fn default_probe(probe: &mut Value) {
    default_http(probe);
    if let Some(grpc) = probe.get_mut("grpc").filter(|grpc| grpc.is_object()) {
        fill(grpc, "service", "");
    }
    let numbers = [
        ("timeoutSeconds", 1),
        ("periodSeconds", 10),
        ("successThreshold", 1),
        ("failureThreshold", 3),
    ];
    for (name, number) in numbers {
        fill_unset(probe, name, number);
    }
}

fn default_http(handler: &mut Value) {
    if let Some(http) = handler.get_mut("httpGet").filter(|http| http.is_object()) {
        fill_unset(http, "path", "/");
        fill_unset(http, "scheme", "HTTP");
    }
}

fn default_field_ref(source: &mut Value) {
    if let Some(field) = source.get_mut("fieldRef").filter(|field| field.is_object()) {
        fill_unset(field, "apiVersion", "v1");
    }
}

fn default_divisor(source: &mut Value) {
    if let Some(field) = source
        .get_mut("resourceFieldRef")
        .filter(|field| field.is_object())
    {
        fill(field, "divisor", "0");
    }
}

const DEFAULT_MODE: i64 = 0o644;

fn default_volume(volume: &mut Value) {
    let sources = volume.as_object().map_or(0, |fields| {
        fields
            .iter()
            .filter(|(name, source)| *name != "name" && !source.is_null())
            .count()
    });
    if sources == 0 {
        set(volume, "emptyDir", json!({}));
    }
    for kind in ["secret", "configMap", "downwardAPI", "projected"] {
        if let Some(source) = volume.get_mut(kind).filter(|source| source.is_object()) {
            fill(source, "defaultMode", DEFAULT_MODE);
            default_files(source);
            for projection in items_mut(source, "sources") {
                default_projection(projection);
            }
        }
    }
    if let Some(image) = volume.get_mut("image").filter(|image| image.is_object()) {
        let policy = if is_latest(image.text("reference")) {
            "Always"
        } else {
            "IfNotPresent"
        };
        fill_unset(image, "pullPolicy", policy);
    }
    if let Some(template) = volume
        .get_mut("ephemeral")
        .and_then(|source| source.get_mut("volumeClaimTemplate"))
    {
        if let Some(spec) = child(template, "spec") {
            fill(spec, "volumeMode", "Filesystem");
        }
        fill(template, "metadata", json!({}));
    }
    default_source(volume);
}

fn default_projection(projection: &mut Value) {
    if let Some(token) = projection
        .get_mut("serviceAccountToken")
        .filter(|token| token.is_object())
    {
        fill(token, "expirationSeconds", 3600);
    }
    if let Some(files) = projection.get_mut("downwardAPI") {
        default_files(files);
    }
}

fn default_files(source: &mut Value) {
    for file in items_mut(source, "items") {
        default_field_ref(file);
        default_divisor(file);
    }
}

/// Sources that volumes of pods and PersistentVolumes have in common.
pub fn default_source(volume: &mut Value) {
    if let Some(path) = volume.get_mut("hostPath").filter(|path| path.is_object()) {
        fill(path, "type", "");
    }
    default_remote(volume);
}

/// Sources outside the cluster that upstream still gives defaults.
fn default_remote(volume: &mut Value) {
    let defaults: [(&str, &[(&str, Value)]); 5] = [
        ("iscsi", &[("iscsiInterface", json!("default"))]),
        (
            "rbd",
            &[
                ("pool", json!("rbd")),
                ("user", json!("admin")),
                ("keyring", json!("/etc/ceph/keyring")),
            ],
        ),
        (
            "azureDisk",
            &[
                ("cachingMode", json!("ReadWrite")),
                ("kind", json!("Shared")),
                ("fsType", json!("ext4")),
                ("readOnly", json!(false)),
            ],
        ),
        (
            "scaleIO",
            &[
                ("storageMode", json!("ThinProvisioned")),
                ("fsType", json!("xfs")),
            ],
        ),
        ("cephfs", &[]),
    ];
    for (kind, fields) in defaults {
        if let Some(source) = volume.get_mut(kind).filter(|source| source.is_object()) {
            for (name, value) in fields {
                fill(source, name, value.clone());
            }
        }
    }
}

/// Defaults of a template of pods.
pub fn default_template(template: &mut Value) {
    if let Some(spec) = child(template, "spec") {
        default_spec(spec);
    }
}
