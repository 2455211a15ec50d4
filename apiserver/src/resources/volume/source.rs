//! Where a PersistentVolume keeps its data, one of many.

use ferrule_apimachinery::names;
use serde_json::Value;

use crate::resources::format;
use crate::resources::pod::validation::{has_backsteps, validate_host_path};
use crate::resources::problems::{Path, Problems};
use crate::resources::storage::validate_driver_name;
use crate::resources::tree::{Tree, is_unset};

/// Sources in the order in which upstream looks at them, and the name under which a second one is refused.
const SOURCES: [(&str, &str); 22] = [
    ("hostPath", "hostPath"),
    ("gcePersistentDisk", "gcePersistentDisk"),
    ("awsElasticBlockStore", "awsElasticBlockStore"),
    ("glusterfs", "glusterfs"),
    ("flocker", "flocker"),
    ("nfs", "nfs"),
    ("rbd", "rbd"),
    ("quobyte", "quobyte"),
    ("cephfs", "cephFS"),
    ("iscsi", "iscsi"),
    ("cinder", "cinder"),
    ("fc", "fc"),
    ("flexVolume", "flexVolume"),
    ("azureFile", "azureFile"),
    ("vsphereVolume", "vsphereVolume"),
    ("photonPersistentDisk", "photonPersistentDisk"),
    ("portworxVolume", "portworxVolume"),
    ("azureDisk", "azureDisk"),
    ("scaleIO", "scaleIO"),
    ("local", "local"),
    ("storageos", "storageos"),
    ("csi", "csi"),
];

/// The names of all sources.
pub fn kinds() -> impl Iterator<Item = &'static str> {
    SOURCES.iter().map(|(kind, _)| *kind)
}

/// Exactly one source, and nothing wrong with it. `volume` is the name of the volume.
pub fn validate(out: &mut Problems, path: &Path, spec: &Value, volume: &str) {
    let mut sources = 0;
    for (kind, shown) in SOURCES.iter().filter(|(kind, _)| spec.has(kind)) {
        // Upstream forgets to count what came before a FlexVolume.
        if sources > 0 && *kind != "flexVolume" {
            let detail = "may not specify more than 1 volume type";
            out.forbidden(&path.child(shown), detail);
            continue;
        }
        sources += 1;
        validate_kind(out, path, kind, spec.at(kind), volume);
        if *kind == "local" && !spec.has("nodeAffinity") {
            let detail = "Local volume requires node affinity";
            out.required(&path.child("nodeAffinity"), detail);
        }
    }
    if sources == 0 {
        out.required(path, "must specify a volume type");
    }
}

fn require(out: &mut Problems, path: &Path, source: &Value, names: &[&str]) {
    for name in names.iter().filter(|name| is_unset(source.at(name))) {
        out.required(&path.child(name), "");
    }
}

fn validate_kind(out: &mut Problems, path: &Path, kind: &str, source: &Value, volume: &str) {
    let at = path.child(kind);
    match kind {
        "hostPath" => validate_host_path(out, &at, source),
        "gcePersistentDisk" => {
            let at = path.child("persistentDisk");
            require(out, &at, source, &["pdName"]);
            validate_partition(out, &at, source);
        }
        "awsElasticBlockStore" => {
            require(out, &at, source, &["volumeID"]);
            validate_partition(out, &at, source);
        }
        "glusterfs" => {
            require(out, &at, source, &["endpoints", "path"]);
            if let Some(namespace) = source.opt_text("endpointsNamespace") {
                out.dns_label(&at.child("endpointsNamespace"), namespace);
            }
        }
        "flocker" => validate_flocker(out, &at, source),
        "nfs" => {
            require(out, &at, source, &["server", "path"]);
            let exported = source.text("path");
            if !exported.starts_with('/') {
                out.invalid(&at.child("path"), exported, "must be an absolute path");
            }
        }
        "rbd" => require(out, &at, source, &["monitors", "image"]),
        "quobyte" => validate_quobyte(out, &at, source),
        "cephfs" => require(out, &at, source, &["monitors"]),
        "iscsi" => validate_iscsi(out, &at, source, volume),
        "cinder" => {
            require(out, &at, source, &["volumeID"]);
            if source.has("secretRef") {
                let names = ["name", "namespace"];
                require(out, &at.child("secretRef"), source.at("secretRef"), &names);
            }
        }
        "fc" => validate_fibre_channel(out, &at, source),
        "flexVolume" => validate_flex(out, &at, source),
        "azureFile" => {
            require(out, &at, source, &["secretName", "shareName"]);
            if source.opt_text("secretNamespace") == Some("") {
                out.required(&at.child("secretNamespace"), "");
            }
        }
        "vsphereVolume" => require(out, &at, source, &["volumePath"]),
        "photonPersistentDisk" => require(out, &at, source, &["pdID"]),
        "portworxVolume" => require(out, &at, source, &["volumeID"]),
        "azureDisk" => validate_azure_disk(out, &at, source),
        "scaleIO" => require(out, &at, source, &["gateway", "system", "volumeName"]),
        "local" => match source.text("path") {
            "" => out.required(&at.child("path"), ""),
            path if has_backsteps(path) => {
                out.invalid(&at.child("path"), path, "must not contain '..'");
            }
            _ => {}
        },
        "storageos" => validate_storage_os(out, &at, source),
        "csi" => validate_csi(out, &at, source),
        _ => {}
    }
}

fn validate_partition(out: &mut Problems, path: &Path, source: &Value) {
    let partition = source.int("partition");
    if !(0..=255).contains(&partition) {
        let detail = format::inclusive_range(1, 255);
        out.invalid(&path.child("partition"), partition, &detail);
    }
}

fn validate_flocker(out: &mut Problems, path: &Path, source: &Value) {
    let (name, uuid) = (source.text("datasetName"), source.text("datasetUUID"));
    match (name.is_empty(), uuid.is_empty()) {
        (true, true) => out.required(path, "one of datasetName and datasetUUID is required"),
        (false, false) => {
            let detail = "datasetName and datasetUUID can not be specified simultaneously";
            out.invalid(path, "resource", detail);
        }
        _ => {}
    }
    if name.contains('/') {
        out.invalid(&path.child("datasetName"), name, "must not contain '/'");
    }
}

fn validate_quobyte(out: &mut Problems, path: &Path, source: &Value) {
    const PAIRS: &str = "must be a host:port pair or multiple pairs separated by commas";
    let (at, registry) = (path.child("registry"), source.text("registry"));
    let is_pair = |pair: &str| {
        pair.rsplit_once(':')
            .is_some_and(|(host, _)| !host.contains(':'))
    };
    if registry.is_empty() {
        out.required(&at, PAIRS);
    } else if source.text("tenant").len() > 64 {
        let detail = "must be a UUID and may not exceed a length of 64 characters";
        out.required(&path.child("tenant"), detail);
    } else {
        for _ in registry.split(',').filter(|pair| !is_pair(pair)) {
            out.invalid(&at, registry, PAIRS);
        }
    }
    require(out, path, source, &["volume"]);
}

fn validate_iscsi(out: &mut Problems, path: &Path, source: &Value, volume: &str) {
    let portal = source.text("targetPortal");
    require(out, path, source, &["targetPortal"]);
    if source.has("initiatorName") && volume.len() + 1 + portal.len() > 64 {
        let detail = "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if \
                      iscsi.initiatorName is specified.";
        out.invalid(&path.child("targetportal"), portal, detail);
    }
    match source.text("iqn") {
        "" => out.required(&path.child("iqn"), ""),
        iqn if !is_qualified(iqn) => {
            out.invalid(&path.child("iqn"), iqn, "must be valid format");
        }
        _ => {}
    }
    let lun = source.int("lun");
    out.invalid_each(&path.child("lun"), lun, format::out_of(lun, 0, 255));
    let secret = source.at("secretRef");
    let chap = source.flag("chapAuthDiscovery") || source.flag("chapAuthSession");
    if chap && secret.is_null() {
        out.required(&path.child("secretRef"), "");
    }
    if !secret.is_null() {
        require(out, &path.child("secretRef"), secret, &["name"]);
    }
    if let Some(initiator) = source.opt_text("initiatorName") {
        let known = ["iqn", "eui", "naa"]
            .iter()
            .any(|prefix| initiator.starts_with(prefix));
        let detail = match known {
            false => "must be valid format starting with iqn, eui, or naa",
            true if is_qualified(initiator) => return,
            true => "must be valid format",
        };
        out.invalid(&path.child("initiatorname"), initiator, detail);
    }
}

/// An iSCSI name: `iqn.2001-04.com.example:disk`, or `eui.` or `naa.` and a number.
fn is_qualified(name: &str) -> bool {
    let alphanumeric = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric());
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let Some((kind, rest)) = name.split_at_checked(4) else {
        return false;
    };
    match kind {
        "iqn." => {
            let Some((date, rest)) = rest.split_at_checked(8) else {
                return false;
            };
            let dated = digits(&date[..4]) && &date[4..5] == "-" && digits(&date[5..7]);
            let authority = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.');
            let in_name = |c: char| !c.is_whitespace() && !",;*&$|".contains(c);
            dated
                && date.ends_with('.')
                && rest.split_once(':').is_some_and(|(host, name)| {
                    !host.is_empty()
                        && host.bytes().all(authority)
                        && !name.is_empty()
                        && name.chars().all(in_name)
                })
        }
        _ if name.starts_with("eui") => rest.len() == 16 && alphanumeric(rest),
        _ if name.starts_with("naa") => rest.len() == 32 && alphanumeric(rest),
        _ => false,
    }
}

fn validate_fibre_channel(out: &mut Problems, path: &Path, source: &Value) {
    let at = path.child("targetWWNs");
    let given = |name: &str| !source.items(name).is_empty();
    match (given("targetWWNs"), given("wwids")) {
        (false, false) => {
            let detail = "must specify either targetWWNs or wwids, but not both";
            out.required(&at, detail);
        }
        (true, true) => {
            let detail = "targetWWNs and wwids can not be specified simultaneously";
            out.invalid(&at, source.at("targetWWNs"), detail);
        }
        _ => {}
    }
    if given("targetWWNs") {
        let at = path.child("lun");
        match source.opt_int("lun") {
            None => out.required(&at, "lun is required if targetWWNs is specified"),
            Some(lun) => out.invalid_each(&at, lun, format::out_of(lun, 0, 255)),
        }
    }
}

fn validate_flex(out: &mut Problems, path: &Path, source: &Value) {
    require(out, path, source, &["driver"]);
    for (key, _) in source.entries("options") {
        let namespace = key.split('/').next().unwrap_or_default();
        let namespace = format!(".{namespace}");
        if namespace.ends_with(".kubernetes.io") || namespace.ends_with(".k8s.io") {
            let detail = "kubernetes.io and k8s.io namespaces are reserved";
            out.invalid(&path.child("options").key(key), key, detail);
        }
    }
}

fn validate_azure_disk(out: &mut Problems, path: &Path, source: &Value) {
    require(out, path, source, &["diskName", "diskURI"]);
    for (name, known) in [
        ("cachingMode", ["None", "ReadOnly", "ReadWrite"]),
        ("kind", ["Dedicated", "Managed", "Shared"]),
    ] {
        if let Some(value) = source.opt_text(name)
            && !known.contains(&value)
        {
            out.unsupported(&path.child(name), value, &known);
        }
    }
    let (at, uri) = (path.child("diskURI"), source.text("diskURI"));
    let managed = source.text("kind") == "Managed";
    if managed && !uri.starts_with('/') {
        let known = "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}";
        out.unsupported(&at, uri, &[known]);
    }
    if source.has("kind") && !managed && !uri.starts_with("https://") {
        let known = "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd";
        out.unsupported(&at, uri, &[known]);
    }
}

fn validate_storage_os(out: &mut Problems, path: &Path, source: &Value) {
    for name in ["volumeName", "volumeNamespace"] {
        match source.text(name) {
            "" if name == "volumeName" => out.required(&path.child(name), ""),
            "" => {}
            text => out.dns_label(&path.child(name), text),
        }
    }
    if source.has("secretRef") {
        let names = ["name", "namespace"];
        require(
            out,
            &path.child("secretRef"),
            source.at("secretRef"),
            &names,
        );
    }
}

fn validate_csi(out: &mut Problems, path: &Path, source: &Value) {
    validate_driver_name(out, &path.child("driver"), source.text("driver"));
    require(out, path, source, &["volumeHandle"]);
    for name in [
        "controllerPublishSecretRef",
        "controllerExpandSecretRef",
        "nodeStageSecretRef",
        "nodePublishSecretRef",
        "nodeExpandSecretRef",
    ] {
        let (at, secret) = (path.child(name), source.at(name));
        if secret.is_null() {
            continue;
        }
        for (name, check) in [
            ("name", names::dns1123_subdomain as fn(&str) -> Vec<String>),
            ("namespace", names::dns1123_label),
        ] {
            match secret.text(name) {
                "" => out.required(&at.child(name), ""),
                text => out.invalid_each(&at.child(name), text, check(text)),
            }
        }
    }
}
