//! Volumes and their sources.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::quantities::parse_or_zero;
use super::{Options, env};
use crate::resources::meta::NameRule;
use crate::resources::problems::{Path, Problems};
use crate::resources::tree::{Tree, is_unset};

/// The well-formed volumes of a pod by name.
pub type Volumes<'a> = HashMap<&'a str, &'a Value>;

/// Sources in the order in which upstream looks at them, and the name under which a second one is refused.
const SOURCES: [(&str, &str); 30] = [
    ("emptyDir", "emptyDir"),
    ("hostPath", "hostPath"),
    ("gitRepo", "gitRepo"),
    ("gcePersistentDisk", "gcePersistentDisk"),
    ("awsElasticBlockStore", "awsElasticBlockStore"),
    ("secret", "secret"),
    ("nfs", "nfs"),
    ("iscsi", "iscsi"),
    ("glusterfs", "glusterfs"),
    ("flocker", "flocker"),
    ("persistentVolumeClaim", "persistentVolumeClaim"),
    ("rbd", "rbd"),
    ("cinder", "cinder"),
    ("cephfs", "cephFS"),
    ("quobyte", "quobyte"),
    ("downwardAPI", "downwarAPI"),
    ("fc", "fc"),
    ("flexVolume", "flexVolume"),
    ("configMap", "configMap"),
    ("azureFile", "azureFile"),
    ("vsphereVolume", "vsphereVolume"),
    ("photonPersistentDisk", "photonPersistentDisk"),
    ("portworxVolume", "portworxVolume"),
    ("azureDisk", "azureDisk"),
    ("storageos", "storageos"),
    ("projected", "projected"),
    ("scaleIO", "scaleIO"),
    ("csi", "csi"),
    ("ephemeral", "ephemeral"),
    ("image", "image"),
];

const FILE_MODE: &str = "must be a number between 0 and 0777 (octal), both inclusive";
const FILE_PATHS: [&str; 5] = [
    "metadata.name",
    "metadata.namespace",
    "metadata.labels",
    "metadata.annotations",
    "metadata.uid",
];

/// All volumes; answers those with which nothing is wrong.
pub fn validate<'a>(
    out: &mut Problems,
    path: &Path,
    spec: &'a Value,
    options: Options<'_>,
) -> Volumes<'a> {
    let pod = options
        .meta
        .map(|meta| meta.text("name"))
        .unwrap_or_default();
    let claims: HashSet<String> = spec
        .items("volumes")
        .iter()
        .filter(|volume| !pod.is_empty() && volume.has("ephemeral"))
        .map(|volume| format!("{pod}-{}", volume.text("name")))
        .collect();
    let mut good = Volumes::new();
    for (i, volume) in spec.items("volumes").iter().enumerate() {
        let (at, name) = (path.index(i), volume.text("name"));
        let mut wrong = Problems::default();
        validate_source(&mut wrong, &at, volume, pod);
        if name.is_empty() {
            wrong.required(&at.child("name"), "");
        } else {
            wrong.dns_label(&at.child("name"), name);
        }
        if good.contains_key(name) {
            wrong.duplicate(&at.child("name"), name);
        }
        if wrong.is_empty() {
            good.insert(name, volume);
        }
        out.extend(wrong);
        let claim = volume.at("persistentVolumeClaim").text("claimName");
        if claims.contains(claim) {
            let detail = "must not reference a PVC that gets created for an ephemeral volume";
            out.invalid(
                &at.child("persistentVolumeClaim").child("claimName"),
                claim,
                detail,
            );
        }
    }
    good
}

fn validate_source(out: &mut Problems, path: &Path, volume: &Value, pod: &str) {
    let mut sources = 0;
    for (kind, shown) in SOURCES {
        if !volume.has(kind) {
            continue;
        }
        if sources > 0 {
            out.forbidden(
                &path.child(shown),
                "may not specify more than 1 volume type",
            );
            continue;
        }
        sources += 1;
        validate_kind(out, path, kind, volume, pod);
    }
    if sources == 0 {
        out.required(path, "must specify a volume type");
    }
}

fn validate_kind(out: &mut Problems, path: &Path, kind: &str, volume: &Value, pod: &str) {
    let (at, source) = (path.child(kind), volume.at(kind));
    let required = |out: &mut Problems, names: &[&str]| {
        for name in names.iter().filter(|name| is_unset(source.at(name))) {
            out.required(&at.child(name), "");
        }
    };
    match kind {
        "emptyDir" if parse_or_zero(source.at("sizeLimit")).signum() < 0 => {
            let detail = "SizeLimit field must be a valid resource quantity";
            out.forbidden(&at.child("sizeLimit"), detail);
        }
        "hostPath" => validate_host_path(out, &at, source),
        "gitRepo" => {
            required(out, &["repository"]);
            validate_descending(out, &at.child("directory"), source.text("directory"));
        }
        "gcePersistentDisk" => {
            let at = path.child("persistentDisk");
            if source.text("pdName").is_empty() {
                out.required(&at.child("pdName"), "");
            }
        }
        "awsElasticBlockStore" => required(out, &["volumeID"]),
        "secret" => {
            required(out, &["secretName"]);
            validate_files(out, &at, source);
        }
        "configMap" => {
            required(out, &["name"]);
            validate_files(out, &at, source);
        }
        "nfs" => {
            required(out, &["server", "path"]);
            let exported = source.text("path");
            if !exported.starts_with('/') {
                out.invalid(&at.child("path"), exported, "must be an absolute path");
            }
        }
        "iscsi" => required(out, &["targetPortal", "iqn"]),
        "glusterfs" => required(out, &["endpoints", "path"]),
        "persistentVolumeClaim" => required(out, &["claimName"]),
        "rbd" => required(out, &["monitors", "image"]),
        "cinder" | "portworxVolume" => required(out, &["volumeID"]),
        "cephfs" => required(out, &["monitors"]),
        "flexVolume" => required(out, &["driver"]),
        "azureFile" => required(out, &["secretName", "shareName"]),
        "vsphereVolume" => required(out, &["volumePath"]),
        "photonPersistentDisk" => required(out, &["pdID"]),
        "azureDisk" => required(out, &["diskName", "diskURI"]),
        "storageos" => required(out, &["volumeName"]),
        "scaleIO" => required(out, &["gateway", "system", "volumeName"]),
        "downwardAPI" => {
            validate_mode(out, &at.child("defaultMode"), source.at("defaultMode"));
            for file in source.items("items") {
                validate_downward_file(out, &at, file);
            }
        }
        "projected" => validate_projected(out, &at, source),
        "csi" => validate_csi(out, &at, source),
        "ephemeral" => validate_ephemeral(out, path, volume, pod),
        "image" => required(out, &["reference"]),
        _ => {}
    }
}

/// A path of the node.
pub fn validate_host_path(out: &mut Problems, path: &Path, source: &Value) {
    let directory = source.text("path");
    if directory.is_empty() {
        return out.required(&path.child("path"), "");
    }
    validate_no_backsteps(out, &path.child("path"), directory);
    const TYPES: [&str; 8] = [
        "",
        "BlockDevice",
        "CharDevice",
        "Directory",
        "DirectoryOrCreate",
        "File",
        "FileOrCreate",
        "Socket",
    ];
    if let Some(kind) = source.opt_text("type")
        && !TYPES.contains(&kind)
    {
        out.unsupported(&path.child("type"), kind, &TYPES);
    }
}

/// Mode and items of a volume made of files.
fn validate_files(out: &mut Problems, path: &Path, source: &Value) {
    validate_mode(out, &path.child("defaultMode"), source.at("defaultMode"));
    for (i, item) in source.items("items").iter().enumerate() {
        validate_item(out, &path.child("items").index(i), item);
    }
}

fn validate_item(out: &mut Problems, path: &Path, item: &Value) {
    for name in ["key", "path"] {
        if item.text(name).is_empty() {
            out.required(&path.child(name), "");
        }
    }
    validate_local_path(out, &path.child("path"), item.text("path"));
    validate_mode(out, &path.child("mode"), item.at("mode"));
}

fn validate_mode(out: &mut Problems, path: &Path, mode: &Value) {
    if let Some(mode) = mode.as_i64()
        && !(0..=0o777).contains(&mode)
    {
        out.invalid(path, mode, FILE_MODE);
    }
}

fn validate_downward_file(out: &mut Problems, path: &Path, file: &Value) {
    if file.text("path").is_empty() {
        out.required(&path.child("path"), "");
    }
    validate_local_path(out, &path.child("path"), file.text("path"));
    if file.has("fieldRef") {
        env::validate_field_ref(
            out,
            &path.child("fieldRef"),
            file.at("fieldRef"),
            &FILE_PATHS,
        );
        if file.has("resourceFieldRef") {
            let detail = "fieldRef and resourceFieldRef can not be specified simultaneously";
            out.invalid(path, "resource", detail);
        }
    } else if file.has("resourceFieldRef") {
        let at = path.child("resourceFieldRef");
        env::validate_resource_ref(out, &at, file.at("resourceFieldRef"), true);
    } else {
        out.required(path, "one of fieldRef and resourceFieldRef is required");
    }
    validate_mode(out, &path.child("mode"), file.at("mode"));
}

fn validate_projected<'a>(out: &mut Problems, path: &Path, projected: &'a Value) {
    validate_mode(out, &path.child("defaultMode"), projected.at("defaultMode"));
    let mut taken: HashSet<&'a str> = HashSet::new();
    let mut claim = |out: &mut Problems, file: &'a str, shown: &str| {
        if !file.is_empty() && !taken.insert(file) {
            out.invalid(path, shown, "conflicting duplicate paths");
        }
    };
    for (i, source) in projected.items("sources").iter().enumerate() {
        let at = path.child("sources").index(i);
        let mut sources = 0;
        for kind in ["secret", "configMap"] {
            if !source.has(kind) {
                continue;
            }
            sources += 1;
            let (at, source) = (at.child(kind), source.at(kind));
            if source.text("name").is_empty() {
                out.required(&at.child("name"), "");
            }
            for (j, item) in source.items("items").iter().enumerate() {
                validate_item(out, &at.child("items").index(j), item);
                claim(out, item.text("path"), source.text("name"));
            }
        }
        if source.has("downwardAPI") {
            sources += 1;
            for file in source.at("downwardAPI").items("items") {
                validate_downward_file(out, &at.child("downwardAPI"), file);
                claim(out, file.text("path"), file.text("path"));
            }
        }
        if source.has("serviceAccountToken") {
            sources += 1;
            validate_token(
                out,
                path,
                &at.child("serviceAccountToken"),
                source.at("serviceAccountToken"),
            );
        }
        if source.has("clusterTrustBundle") {
            sources += 1;
            let (at, bundle) = (
                at.child("clusterTrustBundle"),
                source.at("clusterTrustBundle"),
            );
            match (bundle.has("name"), bundle.has("signerName")) {
                (true, true) => {
                    out.invalid(&at, bundle, "only one of name and signerName may be used")
                }
                (false, false) => out.required(&at, "either name or signerName must be specified"),
                _ => {}
            }
            if bundle.text("path").is_empty() {
                out.required(&at.child("path"), "");
            }
            validate_local_path(out, &at.child("path"), bundle.text("path"));
            claim(out, bundle.text("path"), bundle.text("path"));
        }
        if sources > 1 {
            out.forbidden(&at, "may not specify more than 1 volume type per source");
        }
    }
}

fn validate_token(out: &mut Problems, volume: &Path, path: &Path, token: &Value) {
    let (at, seconds) = (
        path.child("expirationSeconds"),
        token.int("expirationSeconds"),
    );
    if seconds < 600 {
        out.invalid(
            &at,
            seconds,
            "may not specify a duration less than 10 minutes",
        );
    }
    if seconds > 1 << 32 {
        out.invalid(
            &at,
            seconds,
            "may not specify a duration larger than 2^32 seconds",
        );
    }
    match token.text("path") {
        "" => out.required(&volume.child("path"), ""),
        file => validate_local_path(out, &volume.child("path"), file),
    }
}

fn validate_csi(out: &mut Problems, path: &Path, source: &Value) {
    let driver = source.text("driver");
    let at = path.child("driver");
    if driver.is_empty() {
        out.required(&at, "");
    } else {
        if driver.len() > 63 {
            out.too_long(&at, 63);
        }
        out.dns_subdomain(&at, &driver.to_lowercase());
    }
    let secret = source.at("nodePublishSecretRef");
    if !secret.is_null() && secret.text("name").is_empty() {
        out.required(&path.child("nodePublishSecretRef").child("name"), "");
    }
}

fn validate_ephemeral(out: &mut Problems, path: &Path, volume: &Value, pod: &str) {
    let (at, template) = (
        path.child("ephemeral").child("volumeClaimTemplate"),
        volume.at("ephemeral"),
    );
    if !template.has("volumeClaimTemplate") {
        out.required(&at, "");
    } else {
        let spec = template.at("volumeClaimTemplate").at("spec");
        if spec.items("accessModes").is_empty() {
            out.required(
                &at.child("spec").child("accessModes"),
                "at least 1 access mode is required",
            );
        }
        if !spec.at("resources").at("requests").has("storage") {
            out.required(&at.child("spec").child("resources").key("storage"), "");
        }
    }
    let name = volume.text("name");
    if !pod.is_empty() && !name.is_empty() {
        let claim = format!("{pod}-{name}");
        for wrong in NameRule::Subdomain.check(&claim, false) {
            out.invalid(
                &path.child("name"),
                name,
                &format!("PVC name {claim:?}: {wrong}"),
            );
        }
    }
}

/// A path inside a volume: relative, not leaving it, and not one of the kubelet's own.
pub fn validate_local_path(out: &mut Problems, path: &Path, file: &str) {
    validate_descending(out, path, file);
    if file.starts_with("..") && !file.starts_with("../") {
        out.invalid(path, file, "must not start with '..'");
    }
}

/// A path inside a volume: relative, and not leaving it.
pub fn validate_descending(out: &mut Problems, path: &Path, file: &str) {
    if file.starts_with('/') {
        out.invalid(path, file, "must be a relative path");
    }
    validate_no_backsteps(out, path, file);
}

fn validate_no_backsteps(out: &mut Problems, path: &Path, file: &str) {
    if has_backsteps(file) {
        out.invalid(path, file, "must not contain '..'");
    }
}

/// Whether a path has an element `..`.
pub fn has_backsteps(file: &str) -> bool {
    file.split('/').any(|part| part == "..")
}
