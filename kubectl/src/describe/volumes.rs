//! Where volumes come from: the sources that pods name, and those of persistent volumes.

use serde_json::Value;

use super::{Text, list, number, plain, storage, string};

/// How a field of a source is shown when it is there, and when it is not.
#[derive(Clone, Copy)]
enum Shown {
    /// The text, or nothing.
    Text,
    /// `true` or `false`.
    Flag,
    /// The number, or 0.
    Number,
    /// The value, or this.
    Or(&'static str),
    /// `[a b]`.
    Words,
    /// `a, b`.
    Joined,
    /// `map[a:b c:d]`.
    Map,
    /// `&LocalObjectReference{Name:a,}`: a pointer as Go prints it, or `nil`.
    Reference,
}

/// A kind of source: the field that holds it, what it is called, and its own fields, each with its
/// title.
struct Source {
    field: &'static str,
    title: &'static str,
    fields: &'static [(&'static str, &'static str, Shown)],
}

const READ_ONLY: (&str, &str, Shown) = ("ReadOnly:", "readOnly", Shown::Flag);
const FS_TYPE: (&str, &str, Shown) = ("FSType:", "fsType", Shown::Text);
const SECRET: (&str, &str, Shown) = ("SecretRef:", "secretRef", Shown::Reference);

/// The sources that are a list of fields, in the order in which upstream looks for them.
const SOURCES: [Source; 22] = [
    Source {
        field: "hostPath",
        title: "HostPath (bare host directory volume)",
        fields: &[
            ("Path:", "path", Shown::Text),
            ("HostPathType:", "type", Shown::Or("<none>")),
        ],
    },
    Source {
        field: "gcePersistentDisk",
        title: "GCEPersistentDisk (a Persistent Disk resource in Google Compute Engine)",
        fields: &[
            ("PDName:", "pdName", Shown::Text),
            FS_TYPE,
            ("Partition:", "partition", Shown::Number),
            READ_ONLY,
        ],
    },
    Source {
        field: "awsElasticBlockStore",
        title: "AWSElasticBlockStore (a Persistent Disk resource in AWS)",
        fields: &[
            ("VolumeID:", "volumeID", Shown::Text),
            FS_TYPE,
            ("Partition:", "partition", Shown::Number),
            READ_ONLY,
        ],
    },
    Source {
        field: "gitRepo",
        title: "GitRepo (a volume that is pulled from git when the pod is created)",
        fields: &[
            ("Repository:", "repository", Shown::Text),
            ("Revision:", "revision", Shown::Text),
        ],
    },
    Source {
        field: "secret",
        title: "Secret (a volume populated by a Secret)",
        fields: &[
            ("SecretName:", "secretName", Shown::Text),
            ("Optional:", "optional", Shown::Flag),
        ],
    },
    Source {
        field: "configMap",
        title: "ConfigMap (a volume populated by a ConfigMap)",
        fields: &[
            ("Name:", "name", Shown::Text),
            ("Optional:", "optional", Shown::Flag),
        ],
    },
    Source {
        field: "nfs",
        title: "NFS (an NFS mount that lasts the lifetime of a pod)",
        fields: &[
            ("Server:", "server", Shown::Text),
            ("Path:", "path", Shown::Text),
            READ_ONLY,
        ],
    },
    Source {
        field: "iscsi",
        title: "ISCSI (an ISCSI Disk resource that is attached to a kubelet's host machine and then exposed to the pod)",
        fields: &[
            ("TargetPortal:", "targetPortal", Shown::Text),
            ("IQN:", "iqn", Shown::Text),
            ("Lun:", "lun", Shown::Number),
            ("ISCSIInterface", "iscsiInterface", Shown::Text),
            FS_TYPE,
            READ_ONLY,
            ("Portals:", "portals", Shown::Words),
            ("DiscoveryCHAPAuth:", "chapAuthDiscovery", Shown::Flag),
            ("SessionCHAPAuth:", "chapAuthSession", Shown::Flag),
            SECRET,
            ("InitiatorName:", "initiatorName", Shown::Or("<none>")),
        ],
    },
    Source {
        field: "glusterfs",
        title: "Glusterfs (a Glusterfs mount on the host that shares a pod's lifetime)",
        fields: &[
            ("EndpointsName:", "endpoints", Shown::Text),
            ("Path:", "path", Shown::Text),
            READ_ONLY,
        ],
    },
    Source {
        field: "persistentVolumeClaim",
        title: "PersistentVolumeClaim (a reference to a PersistentVolumeClaim in the same namespace)",
        fields: &[("ClaimName:", "claimName", Shown::Text), READ_ONLY],
    },
    Source {
        field: "rbd",
        title: "RBD (a Rados Block Device mount on the host that shares a pod's lifetime)",
        fields: &[
            ("CephMonitors:", "monitors", Shown::Words),
            ("RBDImage:", "image", Shown::Text),
            FS_TYPE,
            ("RBDPool:", "pool", Shown::Text),
            ("RadosUser:", "user", Shown::Text),
            ("Keyring:", "keyring", Shown::Text),
            SECRET,
            READ_ONLY,
        ],
    },
    Source {
        field: "quobyte",
        title: "Quobyte (a Quobyte mount on the host that shares a pod's lifetime)",
        fields: &[
            ("Registry:", "registry", Shown::Text),
            ("Volume:", "volume", Shown::Text),
            READ_ONLY,
        ],
    },
    Source {
        field: "azureDisk",
        title: "AzureDisk (an Azure Data Disk mount on the host and bind mount to the pod)",
        fields: &[
            ("DiskName:", "diskName", Shown::Text),
            ("DiskURI:", "diskURI", Shown::Text),
            ("Kind: ", "kind", Shown::Text),
            FS_TYPE,
            ("CachingMode:", "cachingMode", Shown::Text),
            READ_ONLY,
        ],
    },
    Source {
        field: "vsphereVolume",
        title: "vSphereVolume (a Persistent Disk resource in vSphere)",
        fields: &[
            ("VolumePath:", "volumePath", Shown::Text),
            FS_TYPE,
            ("StoragePolicyName:", "storagePolicyName", Shown::Text),
        ],
    },
    Source {
        field: "cinder",
        title: "Cinder (a Persistent Disk resource in OpenStack)",
        fields: &[
            ("VolumeID:", "volumeID", Shown::Text),
            FS_TYPE,
            READ_ONLY,
            SECRET,
        ],
    },
    Source {
        field: "portworxVolume",
        title: "PortworxVolume (a Portworx Volume resource)",
        fields: &[("VolumeID:", "volumeID", Shown::Text)],
    },
    Source {
        field: "local",
        title: "LocalVolume (a persistent volume backed by local storage on a node)",
        fields: &[("Path:", "path", Shown::Text)],
    },
    Source {
        field: "cephfs",
        title: "CephFS (a CephFS mount on the host that shares a pod's lifetime)",
        fields: &[
            ("Monitors:", "monitors", Shown::Words),
            ("Path:", "path", Shown::Text),
            ("User:", "user", Shown::Text),
            ("SecretFile:", "secretFile", Shown::Text),
            SECRET,
            READ_ONLY,
        ],
    },
    Source {
        field: "fc",
        title: "FC (a Fibre Channel disk)",
        fields: &[
            ("TargetWWNs:", "targetWWNs", Shown::Joined),
            ("LUN:", "lun", Shown::Or("<none>")),
            FS_TYPE,
            READ_ONLY,
        ],
    },
    Source {
        field: "azureFile",
        title: "AzureFile (an Azure File Service mount on the host and bind mount to the pod)",
        fields: &[
            ("SecretName:", "secretName", Shown::Text),
            ("ShareName:", "shareName", Shown::Text),
            READ_ONLY,
        ],
    },
    Source {
        field: "flexVolume",
        title: "FlexVolume (a generic volume resource that is provisioned/attached using an exec based plugin)",
        fields: &[
            ("Driver:", "driver", Shown::Text),
            FS_TYPE,
            SECRET,
            READ_ONLY,
            ("Options:", "options", Shown::Map),
        ],
    },
    Source {
        field: "image",
        title: "Image (a container image or OCI artifact)",
        fields: &[
            ("Reference:", "reference", Shown::Text),
            ("PullPolicy:", "pullPolicy", Shown::Text),
        ],
    },
];

/// The volumes of a pod spec.
pub fn describe(text: &mut Text, level: usize, spec: &Value) {
    let pad = if level == 0 { "  " } else { " " };
    let mut all = list(spec, "volumes").peekable();
    if all.peek().is_none() {
        return text.line(level, "Volumes:\t<none>");
    }
    text.line(level, "Volumes:");
    for volume in all {
        text.line(level, format!("{pad}{}:", string(volume, "name")));
        source(text, volume, false);
    }
}

/// The source that a volume names; that of a persistent volume has a handle, too.
pub fn source(text: &mut Text, volume: &Value, persistent: bool) {
    let known = SOURCES.iter().find(|own| volume.get(own.field).is_some());
    if let Some(own) = known {
        text.line(2, format!("Type:\t{}", own.title));
        for (title, field, how) in own.fields {
            let value = shown(&volume[own.field][field], *how);
            text.line(2, format!("{title}\t{value}"));
        }
    } else if let Some(empty) = volume.get("emptyDir") {
        empty_dir(text, empty);
    } else if let Some(ephemeral) = volume.get("ephemeral") {
        text.line(
            2,
            "Type:\tEphemeralVolume (an inline specification for a volume that gets created and deleted with the pod)",
        );
        storage::claim_template(text, 2, &ephemeral["volumeClaimTemplate"]);
    } else if let Some(down) = volume.get("downwardAPI") {
        downward(text, down);
    } else if let Some(all) = volume.get("projected") {
        projected(text, all);
    } else if let Some(driver) = volume.get("csi") {
        container_storage(text, driver, persistent);
    } else {
        text.line(1, "<unknown>");
    }
}

fn shown(value: &Value, how: Shown) -> String {
    let texts = || value.as_array().into_iter().flatten().map(plain);
    match how {
        Shown::Text => value.as_str().unwrap_or_default().to_owned(),
        Shown::Flag => (*value == true).to_string(),
        Shown::Number => value.as_i64().unwrap_or(0).to_string(),
        Shown::Or(absent) if value.is_null() => absent.to_owned(),
        Shown::Or(_) => plain(value),
        Shown::Words => format!("[{}]", texts().collect::<Vec<_>>().join(" ")),
        Shown::Joined => texts().collect::<Vec<_>>().join(", "),
        Shown::Map => {
            let entries = value.as_object().into_iter().flatten();
            let mut entries: Vec<String> = entries
                .map(|(key, value)| format!("{key}:{}", plain(value)))
                .collect();
            entries.sort_unstable();
            format!("map[{}]", entries.join(" "))
        }
        Shown::Reference => reference(value),
    }
}

fn reference(value: &Value) -> String {
    if value.is_null() {
        return "nil".to_owned();
    }
    let name = string(value, "name");
    match value["namespace"].as_str() {
        Some(namespace) => format!("&SecretReference{{Name:{name},Namespace:{namespace},}}"),
        None => format!("&LocalObjectReference{{Name:{name},}}"),
    }
}

fn empty_dir(text: &mut Text, empty: &Value) {
    text.line(
        2,
        "Type:\tEmptyDir (a temporary directory that shares a pod's lifetime)",
    );
    text.field(2, "Medium", string(empty, "medium"));
    text.field(
        2,
        "SizeLimit",
        shown(&empty["sizeLimit"], Shown::Or("<unset>")),
    );
}

fn downward(text: &mut Text, down: &Value) {
    text.line(
        2,
        "Type:\tDownwardAPI (a volume populated by information about the pod)",
    );
    text.line(2, "Items:");
    for item in list(down, "items") {
        let path = string(item, "path");
        let sources = [("fieldRef", "fieldPath"), ("resourceFieldRef", "resource")];
        for (reference, field) in sources {
            if let Some(from) = item[reference][field].as_str() {
                text.line(3, format!("{from} -> {path}"));
            }
        }
    }
}

fn projected(text: &mut Text, projected: &Value) {
    text.line(
        2,
        "Type:\tProjected (a volume that contains injected data from multiple sources)",
    );
    for source in list(projected, "sources") {
        if let Some(secret) = source.get("secret") {
            text.field(2, "SecretName", string(secret, "name"));
            text.field(2, "Optional", shown(&secret["optional"], Shown::Flag));
        } else if source.get("downwardAPI").is_some() {
            text.line(2, "DownwardAPI:\ttrue");
        } else if let Some(map) = source.get("configMap") {
            text.field(2, "ConfigMapName", string(map, "name"));
            text.field(2, "Optional", shown(&map["optional"], Shown::Flag));
        } else if let Some(token) = source.get("serviceAccountToken") {
            let seconds = number(token, "expirationSeconds");
            text.field(2, "TokenExpirationSeconds", seconds.to_string());
        }
    }
}

fn container_storage(text: &mut Text, driver: &Value, persistent: bool) {
    text.line(
        2,
        "Type:\tCSI (a Container Storage Interface (CSI) volume source)",
    );
    text.field(2, "Driver", string(driver, "driver"));
    text.field(2, "FSType", string(driver, "fsType"));
    if persistent {
        text.field(2, "VolumeHandle", string(driver, "volumeHandle"));
    }
    text.field(2, "ReadOnly", shown(&driver["readOnly"], Shown::Flag));
    let attributes = driver["volumeAttributes"].as_object().into_iter().flatten();
    let mut attributes: Vec<_> = attributes.collect();
    attributes.sort_by_key(|(key, _)| key.as_str());
    if attributes.is_empty() {
        text.line(2, "VolumeAttributes:\t<none>");
    }
    for (index, (key, value)) in attributes.into_iter().enumerate() {
        let head = if index == 0 { "VolumeAttributes:" } else { "" };
        text.line(2, format!("{head}\t    {key}={}", plain(value)));
    }
}
