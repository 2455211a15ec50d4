//! Fields of a pod and resources of its containers as text, for variables and files.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, Pod};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use crate::pod::spec;
use crate::resources::{bytes, milli};

/// What fields refer to besides the pod's object.
#[derive(Clone, Debug, Default)]
pub struct PodFacts {
    /// The pod's addresses.
    pub pod_ips: Vec<String>,
    /// The node's addresses.
    pub host_ips: Vec<String>,
    /// The node's allocatable CPU in thousandths, memory and ephemeral storage in bytes.
    pub allocatable: BTreeMap<String, i64>,
}

/// The value of a field path.
pub fn field(pod: &Pod, path: &str, facts: &PodFacts) -> Result<String, String> {
    let first = |list: &[String]| list.first().cloned().unwrap_or_default();
    let spec = spec::of(pod);
    let value = match path {
        "metadata.name" => spec::name(pod).to_owned(),
        "metadata.namespace" => spec::namespace(pod).to_owned(),
        "metadata.uid" => spec::uid(pod).to_owned(),
        "metadata.labels" => lines(pod.metadata.labels.as_ref()),
        "metadata.annotations" => lines(pod.metadata.annotations.as_ref()),
        "spec.nodeName" => spec
            .and_then(|spec| spec.node_name.clone())
            .unwrap_or_default(),
        "spec.serviceAccountName" => spec
            .and_then(|spec| spec.service_account_name.clone())
            .unwrap_or_default(),
        "status.podIP" => first(&facts.pod_ips),
        "status.podIPs" => facts.pod_ips.join(","),
        "status.hostIP" => first(&facts.host_ips),
        "status.hostIPs" => facts.host_ips.join(","),
        _ => return subscript(pod, path),
    };
    Ok(value)
}

fn subscript(pod: &Pod, path: &str) -> Result<String, String> {
    let unsupported = || format!("unsupported fieldPath: {path}");
    let (map, key) = path
        .strip_suffix("']")
        .and_then(|inner| inner.split_once("['"))
        .ok_or_else(unsupported)?;
    let map = match map {
        "metadata.labels" => pod.metadata.labels.as_ref(),
        "metadata.annotations" => pod.metadata.annotations.as_ref(),
        _ => return Err(unsupported()),
    };
    Ok(map
        .and_then(|map| map.get(key))
        .cloned()
        .unwrap_or_default())
}

/// `key="value"` lines, sorted.
fn lines(map: Option<&BTreeMap<String, String>>) -> String {
    let lines = map
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={}", quoted(value)));
    lines.collect::<Vec<_>>().join("\n")
}

fn quoted(text: &str) -> String {
    let mut result = String::with_capacity(text.len() + 2);
    result.push('"');
    for c in text.chars() {
        match c {
            '"' => result.push_str("\\\""),
            '\\' => result.push_str("\\\\"),
            '\n' => result.push_str("\\n"),
            '\r' => result.push_str("\\r"),
            '\t' => result.push_str("\\t"),
            c if u32::from(c) < 0x20 || c == '\x7f' => {
                result.push_str(&format!("\\x{:02x}", u32::from(c)))
            }
            c => result.push(c),
        }
    }
    result.push('"');
    result
}

/// The value of `limits.cpu`, `requests.memory` and so on, in units of the divisor, rounded up. A
/// limit that is not set is what the node has.
pub fn resource(
    container: &Container,
    name: &str,
    divisor: Option<&Quantity>,
    facts: &PodFacts,
) -> Result<String, String> {
    let unsupported = || format!("unsupported container resource : {name}");
    let (list, kind) = name.split_once('.').ok_or_else(unsupported)?;
    let resources = container.resources.as_ref();
    let own = match list {
        "limits" => resources.and_then(|own| own.limits.as_ref()),
        "requests" => resources.and_then(|own| own.requests.as_ref()),
        _ => return Err(unsupported()),
    };
    let known = kind == "cpu"
        || kind == "memory"
        || kind == "ephemeral-storage"
        || kind.starts_with("hugepages-");
    if !known {
        return Err(unsupported());
    }
    let amount = |quantity: &Quantity| {
        if kind == "cpu" {
            milli(quantity)
        } else {
            bytes(quantity)
        }
    };
    let value = match own.and_then(|own| own.get(kind)) {
        Some(quantity) => amount(quantity),
        None if list == "limits" => facts.allocatable.get(kind).copied().unwrap_or(0),
        None => 0,
    };
    let unit = if kind == "cpu" { 1000 } else { 1 };
    let divisor = divisor
        .map(amount)
        .filter(|divisor| *divisor > 0)
        .unwrap_or(unit);
    Ok((value / divisor + i64::from(value % divisor > 0)).to_string())
}
