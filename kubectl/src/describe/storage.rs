//! Persistent volumes, claims to them, and their classes.

use ferrule_client::client::ListOptions;
use serde_json::Value;

use super::{Text, list, meta, or_none, plain, string, volumes, words};
use crate::error::Result;
use crate::output::table;
use crate::resources::at;
use crate::session::Session;

/// Annotations with which classes were named before there were fields.
const OLD_CLASS: &str = "volume.beta.kubernetes.io/storage-class";
const DEFAULT_CLASS: [&str; 2] = [
    "storageclass.kubernetes.io/is-default-class",
    "storageclass.beta.kubernetes.io/is-default-class",
];

/// The class that a volume or a claim names.
fn class(object: &Value) -> &str {
    let old = object["metadata"]["annotations"][OLD_CLASS].as_str();
    old.unwrap_or_else(|| string(&object["spec"], "storageClassName"))
}

/// `RWO,ROX`, each mode once, in upstream's order.
fn access_modes(modes: &Value) -> String {
    let given: Vec<&str> = modes
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let known = [
        ("ReadWriteOnce", "RWO"),
        ("ReadOnlyMany", "ROX"),
        ("ReadWriteMany", "RWX"),
        ("ReadWriteOncePod", "RWOP"),
    ];
    let short: Vec<&str> = known
        .iter()
        .filter(|(mode, _)| given.contains(mode))
        .map(|(_, short)| *short)
        .collect();
    short.join(",")
}

fn status(text: &mut Text, object: &Value) {
    let deleted = &object["metadata"]["deletionTimestamp"];
    if deleted.is_string() {
        let ago = meta::age(deleted);
        return text.field(0, "Status", format!("Terminating (lasts {ago})"));
    }
    text.field(0, "Status", string(&object["status"], "phase"));
}

/// Describes a PersistentVolume.
pub fn volume(text: &mut Text, object: &Value) -> bool {
    let (spec, status) = (&object["spec"], &object["status"]);
    text.field(0, "Name", string(&object["metadata"], "name"));
    meta::labels_and_annotations(text, object);
    text.field(0, "Finalizers", words(&object["metadata"]["finalizers"]));
    text.field(0, "StorageClass", class(object));
    self::status(text, object);
    let claim = match &spec["claimRef"] {
        Value::Null => String::new(),
        claim => format!("{}/{}", string(claim, "namespace"), string(claim, "name")),
    };
    text.field(0, "Claim", claim);
    let policy = string(spec, "persistentVolumeReclaimPolicy");
    text.field(0, "Reclaim Policy", policy);
    text.field(0, "Access Modes", access_modes(&spec["accessModes"]));
    if !string(spec, "volumeMode").is_empty() {
        text.field(0, "VolumeMode", string(spec, "volumeMode"));
    }
    text.field(0, "Capacity", amount(&spec["capacity"]["storage"]));
    node_affinity(text, &spec["nodeAffinity"]["required"]);
    text.field(0, "Message", string(status, "message"));
    text.line(0, "Source:");
    volumes::source(text, spec, true);
    true
}

fn amount(quantity: &Value) -> String {
    match quantity {
        Value::Null => "0".to_owned(),
        quantity => plain(quantity),
    }
}

fn node_affinity(text: &mut Text, required: &Value) {
    if !required.is_object() {
        return text.line(0, "Node Affinity:\t<none>");
    }
    text.line(0, "Node Affinity:\t");
    let mut terms = list(required, "nodeSelectorTerms").enumerate().peekable();
    if terms.peek().is_none() {
        return text.line(1, "Required Terms:\t<none>");
    }
    text.line(1, "Required Terms:\t");
    for (index, term) in terms {
        let texts = list(term, "matchExpressions").map(|expression| {
            let key = string(expression, "key");
            let operator = string(expression, "operator").to_lowercase();
            with_values(&format!("{key} {operator}"), expression)
        });
        term_lines(text, 2, index, texts.collect());
    }
}

fn with_values(head: &str, expression: &Value) -> String {
    let values: Vec<&str> = list(expression, "values")
        .filter_map(Value::as_str)
        .collect();
    match values.as_slice() {
        [] => head.to_owned(),
        values => format!("{head} [{}]", values.join(", ")),
    }
}

fn term_lines(text: &mut Text, level: usize, index: usize, lines: Vec<String>) {
    let Some((first, rest)) = lines.split_first() else {
        return text.line(level, format!("Term {index}:\t<none>"));
    };
    text.line(level, format!("Term {index}:\t{first}"));
    rest.iter()
        .for_each(|line| text.line(level, format!("\t{line}")));
}

/// The pods that use a claim, by name.
pub async fn users(session: &Session, claim: &Value) -> Result<Vec<String>> {
    let pods = session.resources().await?.find("pods")?;
    let metadata = &claim["metadata"];
    let place = at(pods, string(metadata, "namespace"));
    let found = session
        .client
        .list_all(&place, &ListOptions::default())
        .await?;
    let owners: Vec<&Value> = list(metadata, "ownerReferences")
        .filter(|owner| string(owner, "kind") == "Pod")
        .map(|owner| &owner["uid"])
        .collect();
    let mut names = Vec::new();
    for item in &found.items {
        let pod: Value = ferrule_client::client::parse(item)?;
        let mounted = list(&pod["spec"], "volumes")
            .any(|volume| volume["persistentVolumeClaim"]["claimName"] == metadata["name"]);
        if mounted || owners.contains(&&pod["metadata"]["uid"]) {
            names.push(string(&pod["metadata"], "name").to_owned());
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// Describes a PersistentVolumeClaim.
pub fn claim(text: &mut Text, object: &Value, users: &[String]) -> bool {
    meta::name(text, object);
    text.field(0, "StorageClass", class(object));
    status(text, object);
    text.field(0, "Volume", string(&object["spec"], "volumeName"));
    meta::labels_and_annotations(text, object);
    text.field(0, "Finalizers", words(&object["metadata"]["finalizers"]));
    claim_spec(text, 0, object);
    text.field(0, "Used By", or_none(&users.join("\n\t")));
    let mut conditions = list(&object["status"], "conditions").peekable();
    if conditions.peek().is_some() {
        text.line(0, "Conditions:");
        text.line(
            1,
            "Type\tStatus\tLastProbeTime\tLastTransitionTime\tReason\tMessage",
        );
        text.line(
            1,
            "----\t------\t-----------------\t------------------\t------\t-------",
        );
    }
    for condition in conditions {
        text.line(
            1,
            format!(
                "{} \t{} \t{} \t{} \t{} \t{}",
                string(condition, "type"),
                string(condition, "status"),
                meta::time_or_zero(&condition["lastProbeTime"]),
                meta::time_or_zero(&condition["lastTransitionTime"]),
                string(condition, "reason"),
                string(condition, "message")
            ),
        );
    }
    true
}

/// What is asked for, or, of a claim that has its volume, what there is.
fn claim_spec(text: &mut Text, level: usize, object: &Value) {
    let (spec, status) = (&object["spec"], &object["status"]);
    let (capacity, modes) = match string(spec, "volumeName") {
        "" => (String::new(), String::new()),
        _ => (
            amount(&status["capacity"]["storage"]),
            access_modes(&status["accessModes"]),
        ),
    };
    text.field(level, "Capacity", capacity);
    text.field(level, "Access Modes", modes);
    if !string(spec, "volumeMode").is_empty() {
        text.field(level, "VolumeMode", string(spec, "volumeMode"));
    }
    let source = &spec["dataSource"];
    if source.is_object() {
        text.line(level, "DataSource:");
        for (title, field) in [("APIGroup", "apiGroup"), ("Kind", "kind"), ("Name", "name")] {
            if let Some(value) = source[field].as_str() {
                text.field(level + 1, title, value);
            }
        }
    }
}

/// The claim that an ephemeral volume makes.
pub fn claim_template(text: &mut Text, level: usize, template: &Value) {
    if !template.is_object() {
        return;
    }
    text.field(level, "StorageClass", class(template));
    let volume = string(&template["spec"], "volumeName");
    text.field(level, "Volume", volume);
    let metadata = &template["metadata"];
    meta::labels(text, level, "Labels", &metadata["labels"]);
    meta::annotations(text, level, &metadata["annotations"]);
    claim_spec(text, level, template);
}

/// The claims that a StatefulSet makes for each of its pods.
pub fn claim_templates(text: &mut Text, spec: &Value) {
    let mut templates = list(spec, "volumeClaimTemplates").peekable();
    if templates.peek().is_none() {
        return text.line(0, "Volume Claims:\t<none>");
    }
    text.line(0, "Volume Claims:");
    for template in templates {
        let (metadata, spec) = (&template["metadata"], &template["spec"]);
        text.field(1, "Name", string(metadata, "name"));
        text.field(1, "StorageClass", class(template));
        meta::labels(text, 1, "Labels", &metadata["labels"]);
        meta::labels(text, 1, "Annotations", &metadata["annotations"]);
        let capacity = &spec["resources"]["requests"]["storage"];
        let capacity = match capacity {
            Value::Null => "<default>".to_owned(),
            capacity => plain(capacity),
        };
        text.field(1, "Capacity", capacity);
        text.field(1, "Access Modes", words(&spec["accessModes"]));
    }
}

/// Describes a StorageClass.
pub fn storage_class(text: &mut Text, object: &Value) -> bool {
    let annotations = &object["metadata"]["annotations"];
    text.field(0, "Name", string(&object["metadata"], "name"));
    let default = DEFAULT_CLASS.iter().any(|key| annotations[*key] == "true");
    text.field(0, "IsDefaultClass", if default { "Yes" } else { "No" });
    text.field(0, "Annotations", table::labels(annotations));
    text.field(0, "Provisioner", string(object, "provisioner"));
    text.field(0, "Parameters", table::labels(&object["parameters"]));
    let expansion = meta::flag(&object["allowVolumeExpansion"]);
    text.field(0, "AllowVolumeExpansion", expansion);
    let mut options = list(object, "mountOptions").peekable();
    if options.peek().is_none() {
        text.line(0, "MountOptions:\t<none>");
    } else {
        text.line(0, "MountOptions:");
        options.for_each(|option| text.line(1, plain(option)));
    }
    for (title, field) in [
        ("ReclaimPolicy", "reclaimPolicy"),
        ("VolumeBindingMode", "volumeBindingMode"),
    ] {
        if !string(object, field).is_empty() {
            text.field(0, title, string(object, field));
        }
    }
    topologies(text, object);
    true
}

fn topologies(text: &mut Text, object: &Value) {
    let mut terms = list(object, "allowedTopologies").enumerate().peekable();
    if terms.peek().is_none() {
        return;
    }
    text.line(0, "AllowedTopologies:\t");
    for (index, term) in terms {
        let texts = list(term, "matchLabelExpressions")
            .map(|own| with_values(&format!("{} in", string(own, "key")), own));
        term_lines(text, 1, index, texts.collect());
    }
}

/// Describes a VolumeAttributesClass.
pub fn attributes_class(text: &mut Text, object: &Value) -> bool {
    text.field(0, "Name", string(&object["metadata"], "name"));
    let annotations = &object["metadata"]["annotations"];
    text.field(0, "Annotations", table::labels(annotations));
    text.field(0, "DriverName", string(object, "driverName"));
    text.field(0, "Parameters", table::labels(&object["parameters"]));
    true
}

/// Describes a CSINode.
pub fn csi_node(text: &mut Text, object: &Value) -> bool {
    text.field(0, "Name", string(&object["metadata"], "name"));
    meta::labels_and_annotations(text, object);
    meta::created(text, object);
    text.line(0, "Spec:");
    if object["spec"]["drivers"].is_array() {
        text.line(1, "Drivers:");
    }
    for driver in list(&object["spec"], "drivers") {
        text.line(2, format!("{}:", string(driver, "name")));
        text.field(3, "Node ID", string(driver, "nodeID"));
        if let Some(count) = driver["allocatable"]["count"].as_i64() {
            text.line(3, "Allocatables:");
            text.field(4, "Count", count.to_string());
        }
        if driver["topologyKeys"].is_array() {
            text.field(3, "Topology Keys", words(&driver["topologyKeys"]));
        }
    }
    true
}
