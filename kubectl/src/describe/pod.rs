//! Pods.

use serde_json::Value;

use super::{Text, list, meta, number, pod_template, string, volumes};

/// Describes a pod.
pub fn describe(text: &mut Text, pod: &Value) -> bool {
    let (metadata, spec, status) = (&pod["metadata"], &pod["spec"], &pod["status"]);
    meta::name(text, pod);
    if let Some(priority) = spec["priority"].as_i64() {
        text.line(0, format!("Priority:\t{priority}"));
    }
    if !string(spec, "priorityClassName").is_empty() {
        text.field(0, "Priority Class Name", string(spec, "priorityClassName"));
    }
    for (title, field) in [
        ("Runtime Class Name", "runtimeClassName"),
        ("Service Account", "serviceAccountName"),
    ] {
        if !string(spec, field).is_empty() {
            text.field(0, title, string(spec, field));
        }
    }
    match string(spec, "nodeName") {
        "" => text.line(0, "Node:\t<none>"),
        node => text.line(0, format!("Node:\t{node}/{}", string(status, "hostIP"))),
    }
    if status["startTime"].is_string() {
        text.field(0, "Start Time", meta::time(&status["startTime"]));
    }
    meta::labels_and_annotations(text, pod);
    let phase = string(status, "phase");
    let ended = matches!(phase, "Succeeded" | "Failed");
    match metadata["deletionTimestamp"].as_str() {
        Some(_) if !ended => {
            let ago = meta::age(&metadata["deletionTimestamp"]);
            text.line(0, format!("Status:\tTerminating (lasts {ago})"));
            text.line(
                0,
                format!(
                    "Termination Grace Period:\t{}s",
                    number(metadata, "deletionGracePeriodSeconds")
                ),
            );
        }
        _ => text.field(0, "Status", phase),
    }
    for (field, title) in [("reason", "Reason"), ("message", "Message")] {
        if !string(status, field).is_empty() {
            text.field(0, title, string(status, field));
        }
    }
    let profile = &spec["securityContext"]["seccompProfile"];
    if profile.is_object() {
        text.field(0, "SeccompProfile", string(profile, "type"));
        if string(profile, "type") == "Localhost" {
            text.field(0, "LocalhostProfile", string(profile, "localhostProfile"));
        }
    }
    text.field(0, "IP", string(status, "podIP"));
    let addresses: Vec<&str> = list(status, "podIPs")
        .map(|own| string(own, "ip"))
        .collect();
    if addresses.is_empty() {
        text.line(0, "IPs:\t<none>");
    } else {
        text.line(0, "IPs:");
        addresses
            .iter()
            .for_each(|address| text.line(1, format!("IP:\t{address}")));
    }
    meta::controller(text, pod);
    if !string(status, "nominatedNodeName").is_empty() {
        text.field(0, "NominatedNodeName", string(status, "nominatedNodeName"));
    }
    if list(spec, "initContainers").next().is_some() {
        pod_template::containers(
            text,
            0,
            "Init Containers",
            spec,
            "initContainers",
            &status["initContainerStatuses"],
            pod,
        );
    }
    pod_template::containers(
        text,
        0,
        "Containers",
        spec,
        "containers",
        &status["containerStatuses"],
        pod,
    );
    if list(spec, "ephemeralContainers").next().is_some() {
        pod_template::containers(
            text,
            0,
            "Ephemeral Containers",
            spec,
            "ephemeralContainers",
            &status["ephemeralContainerStatuses"],
            pod,
        );
    }
    readiness_gates(text, spec, status);
    if list(status, "conditions").next().is_some() {
        text.line(0, "Conditions:\n  Type\tStatus");
        for condition in list(status, "conditions") {
            text.line(
                1,
                format!(
                    "{} \t{} ",
                    string(condition, "type"),
                    string(condition, "status")
                ),
            );
        }
    }
    volumes::describe(text, 0, spec);
    if !string(status, "qosClass").is_empty() {
        text.field(0, "QoS Class", string(status, "qosClass"));
    }
    pod_template::placement(text, 0, spec);
    pod_template::spreading(text, 0, spec);
    true
}

fn readiness_gates(text: &mut Text, spec: &Value, status: &Value) {
    if list(spec, "readinessGates").next().is_none() {
        return;
    }
    text.line(0, "Readiness Gates:\n  Type\tStatus");
    for gate in list(spec, "readinessGates") {
        let wanted = string(gate, "conditionType");
        let condition = list(status, "conditions").find(|own| string(own, "type") == wanted);
        let status = condition.map_or("<none>", |own| string(own, "status"));
        text.line(1, format!("{wanted} \t{status} "));
    }
}
