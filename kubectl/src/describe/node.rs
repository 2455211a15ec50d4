//! Nodes.

use ferrule_apimachinery::quantity::Quantity;
use ferrule_apimachinery::scheme::gvr;
use ferrule_client::At;
use ferrule_client::client::ListOptions;
use serde_json::Value;

use super::{Text, list, meta, string};
use crate::error::Result;
use crate::resources::at;
use crate::session::Session;

const ROLE: &str = "node-role.kubernetes.io/";

/// The pods on a node that have not ended.
pub async fn pods(session: &Session, node: &Value) -> Result<Vec<Value>> {
    let resource = session.resources().await?.find("pods")?;
    let name = string(&node["metadata"], "name");
    let options = ListOptions {
        field_selector: format!(
            "spec.nodeName={name},status.phase!=Succeeded,status.phase!=Failed"
        ),
        ..ListOptions::default()
    };
    let found = session.client.list_all(&at(resource, ""), &options).await?;
    found
        .items
        .iter()
        .map(|item| Ok(ferrule_client::client::parse(item)?))
        .collect()
}

/// The node's lease, when it has one.
pub async fn lease(session: &Session, node: &Value) -> Result<Value> {
    let place = At::of(gvr::LEASES)
        .namespace("kube-node-lease")
        .name(string(&node["metadata"], "name"));
    Ok(session.client.get(&place).await?.parse()?)
}

/// Describes a node.
pub fn describe(text: &mut Text, node: &Value, pods: &[Value], lease: &Result<Value>) -> bool {
    let (metadata, spec, status) = (&node["metadata"], &node["spec"], &node["status"]);
    text.field(0, "Name", string(metadata, "name"));
    let mut roles: Vec<&str> = metadata["labels"]
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(key, _)| key.strip_prefix(ROLE))
        .collect();
    roles.sort_unstable();
    text.field(
        0,
        "Roles",
        if roles.is_empty() {
            "<none>".to_owned()
        } else {
            roles.join(",")
        },
    );
    meta::labels_and_annotations(text, node);
    text.field(
        0,
        "CreationTimestamp",
        meta::time(&metadata["creationTimestamp"]),
    );
    taints(text, spec);
    text.field(
        0,
        "Unschedulable",
        if spec["unschedulable"] == true {
            "true"
        } else {
            "false"
        },
    );
    described_lease(text, lease);
    conditions(text, status);
    text.line(0, "Addresses:");
    for address in list(status, "addresses") {
        text.field(1, string(address, "type"), string(address, "address"));
    }
    amounts(text, "Capacity", &status["capacity"]);
    amounts(text, "Allocatable", &status["allocatable"]);
    text.line(0, "System Info:");
    for (field, title) in [
        ("machineID", "Machine ID"),
        ("systemUUID", "System UUID"),
        ("bootID", "Boot ID"),
        ("kernelVersion", "Kernel Version"),
        ("osImage", "OS Image"),
        ("operatingSystem", "Operating System"),
        ("architecture", "Architecture"),
        ("containerRuntimeVersion", "Container Runtime Version"),
        ("kubeletVersion", "Kubelet Version"),
    ] {
        text.field(1, title, string(&status["nodeInfo"], field));
    }
    if !string(spec, "podCIDR").is_empty() {
        text.field(0, "PodCIDR", string(spec, "podCIDR"));
        let all: Vec<&str> = list(spec, "podCIDRs").filter_map(Value::as_str).collect();
        text.field(0, "PodCIDRs", all.join(","));
    }
    workloads(text, pods, &status["allocatable"]);
    true
}

fn described_lease(text: &mut Text, lease: &Result<Value>) {
    let spec = match lease {
        Ok(lease) => &lease["spec"],
        Err(error) => {
            return text.line(
                0,
                format!("Lease:\tFailed to get lease: {}", error.message()),
            );
        }
    };
    text.line(0, "Lease:");
    let holder = spec["holderIdentity"].as_str().unwrap_or("<unset>");
    text.field(1, "HolderIdentity", holder);
    for (title, field) in [("AcquireTime", "acquireTime"), ("RenewTime", "renewTime")] {
        let time = match spec[field].is_string() {
            true => meta::time(&spec[field]),
            false => "<unset>".to_owned(),
        };
        text.field(1, title, time);
    }
}

fn conditions(text: &mut Text, status: &Value) {
    if list(status, "conditions").next().is_none() {
        return;
    }
    text.line(
        0,
        "Conditions:\n  Type\tStatus\tLastHeartbeatTime\tLastTransitionTime\tReason\tMessage",
    );
    text.line(
        1,
        "----\t------\t-----------------\t------------------\t------\t-------",
    );
    for condition in list(status, "conditions") {
        text.line(
            1,
            format!(
                "{} \t{} \t{} \t{} \t{} \t{}",
                string(condition, "type"),
                string(condition, "status"),
                meta::time(&condition["lastHeartbeatTime"]),
                meta::time(&condition["lastTransitionTime"]),
                string(condition, "reason"),
                string(condition, "message")
            ),
        );
    }
}

fn taints(text: &mut Text, spec: &Value) {
    let mut taints: Vec<&Value> = list(spec, "taints").collect();
    taints.sort_by_key(|taint| (string(taint, "effect"), string(taint, "key")));
    let lines: Vec<String> = taints
        .into_iter()
        .map(|taint| {
            let value = match string(taint, "value") {
                "" => String::new(),
                value => format!("={value}"),
            };
            format!(
                "{}{value}:{}",
                string(taint, "key"),
                string(taint, "effect")
            )
        })
        .collect();
    if lines.is_empty() {
        return text.line(0, "Taints:\t<none>");
    }
    for (index, line) in lines.iter().enumerate() {
        text.line(
            0,
            format!("{}\t{line}", if index == 0 { "Taints:" } else { "" }),
        );
    }
}

fn amounts(text: &mut Text, title: &str, amounts: &Value) {
    text.line(0, format!("{title}:"));
    let mut entries: Vec<_> = amounts.as_object().into_iter().flatten().collect();
    entries.sort_by_key(|(name, _)| name.as_str());
    for (name, amount) in entries {
        text.line(
            1,
            format!("{name}:\t{}", amount.as_str().unwrap_or_default()),
        );
    }
}

/// A resource's sum over some containers, in thousandths.
fn sum(pod: &Value, field: &str, resource: &str) -> i64 {
    list(&pod["spec"], "containers")
        .filter_map(|container| container["resources"][field][resource].as_str())
        .filter_map(|text| Quantity::parse(text).ok())
        .map(|quantity| quantity.milli())
        .sum()
}

fn shown(resource: &str, milli: i64, total: &Value) -> String {
    let quantity = if resource == "cpu" {
        Quantity::from_milli(milli)
    } else {
        Quantity::from_bytes(milli / 1000)
    };
    let total = total[resource]
        .as_str()
        .and_then(|text| Quantity::parse(text).ok())
        .map_or(0, |own| own.milli());
    let percent = if total > 0 {
        milli.saturating_mul(100) / total
    } else {
        0
    };
    format!("{quantity} ({percent}%)")
}

fn workloads(text: &mut Text, pods: &[Value], allocatable: &Value) {
    text.line(
        0,
        format!("Non-terminated Pods:\t({} in total)", pods.len()),
    );
    text.line(
        1,
        "Namespace\tName\t\tCPU Requests\tCPU Limits\tMemory Requests\tMemory Limits\tAge",
    );
    text.line(
        1,
        "---------\t----\t\t------------\t----------\t---------------\t-------------\t---",
    );
    let columns = [
        ("requests", "cpu"),
        ("limits", "cpu"),
        ("requests", "memory"),
        ("limits", "memory"),
    ];
    for pod in pods {
        let cells: Vec<String> = columns
            .iter()
            .map(|(field, resource)| shown(resource, sum(pod, field, resource), allocatable))
            .collect();
        let metadata = &pod["metadata"];
        let (namespace, name) = (string(metadata, "namespace"), string(metadata, "name"));
        text.line(
            1,
            format!(
                "{namespace}\t{name}\t\t{}\t{}",
                cells.join("\t"),
                meta::age(&metadata["creationTimestamp"])
            ),
        );
    }
    text.line(0, "Allocated resources:");
    text.line(
        0,
        "  (Total limits may be over 100 percent, i.e., overcommitted.)",
    );
    text.line(1, "Resource\tRequests\tLimits");
    text.line(1, "--------\t--------\t------");
    let mut resources = vec!["cpu", "memory", "ephemeral-storage"];
    let mut others: Vec<&str> = allocatable
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, _)| name.as_str())
        .filter(|name| !resources.contains(name) && *name != "pods")
        .collect();
    // Huge pages come before what the node adds of its own.
    others.sort_by_key(|name| (!name.starts_with("hugepages-"), *name));
    resources.append(&mut others);
    for resource in resources {
        let total = |field: &str| pods.iter().map(|pod| sum(pod, field, resource)).sum();
        let cells =
            [total("requests"), total("limits")].map(|milli| shown(resource, milli, allocatable));
        text.line(1, format!("{resource}\t{}\t{}", cells[0], cells[1]));
    }
}
