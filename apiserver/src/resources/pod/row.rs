//! A pod as a row: what its containers add up to.

use jiff::Timestamp;
use serde_json::Value;

use crate::resources::table::{self, Column, Row, RowCondition, or_none};
use crate::resources::tree::Tree;

/// The columns of pods.
pub const COLUMNS: &[Column] = &[
    Column::NAME,
    Column::text("Ready", "Containers that are ready, of all."),
    Column::text("Status", "The phase, or what keeps the pod from running."),
    Column::text(
        "Restarts",
        "How often containers were started again, and when the last one was.",
    ),
    Column::AGE,
    Column::text("IP", "Address of the pod.").wide(),
    Column::text("Node", "Node on which the pod runs.").wide(),
    Column::text(
        "Nominated Node",
        "Node for which others were asked to make way.",
    )
    .wide(),
    Column::text(
        "Readiness Gates",
        "Conditions of the readiness gates that are true, of all.",
    )
    .wide(),
];

const SUCCEEDED: RowCondition = RowCondition {
    kind: "Completed",
    status: "True",
    reason: "Succeeded",
    message: "The pod has completed successfully.",
};
const FAILED: RowCondition = RowCondition {
    kind: "Completed",
    status: "True",
    reason: "Failed",
    message: "The pod failed.",
};

/// What is counted over a pod's containers.
#[derive(Default)]
struct Tally {
    reason: String,
    ready: usize,
    total: usize,
    restarts: i64,
    last_restart: Option<Timestamp>,
}

impl Tally {
    fn count_restarts(&mut self, status: &Value) {
        self.restarts += status.int("restartCount");
        let finished = status
            .at("lastState")
            .at("terminated")
            .text("finishedAt")
            .parse()
            .ok();
        self.last_restart = self.last_restart.max(finished);
    }
}

/// The row of a pod.
pub fn row(pod: &Value, now: Timestamp) -> Row {
    let (spec, status) = (pod.at("spec"), pod.at("status"));
    let phase = status.text("phase");
    let mut tally = Tally {
        reason: phase.to_owned(),
        total: spec.items("containers").len(),
        ..Tally::default()
    };
    if !status.text("reason").is_empty() {
        tally.reason = status.text("reason").to_owned();
    }
    for condition in status.items("conditions") {
        if condition.text("type") == "PodScheduled" && condition.text("reason") == "SchedulingGated"
        {
            tally.reason = "SchedulingGated".to_owned();
        }
    }
    tally_containers(&mut tally, spec, status);
    let deleted = pod.at("metadata").has("deletionTimestamp");
    if deleted && status.text("reason") == "NodeLost" {
        tally.reason = "Unknown".to_owned();
    } else if deleted && !matches!(phase, "Succeeded" | "Failed") {
        tally.reason = "Terminating".to_owned();
    }
    let restarts = match tally.last_restart {
        Some(last) if tally.restarts != 0 => {
            let ago = table::human_duration(now.duration_since(last).as_secs_f64());
            format!("{} ({ago} ago)", tally.restarts)
        }
        _ => tally.restarts.to_string(),
    };
    let conditions = match phase {
        "Succeeded" => vec![SUCCEEDED],
        "Failed" => vec![FAILED],
        _ => Vec::new(),
    };
    let address = status
        .items("podIPs")
        .first()
        .map_or(status.text("podIP"), |address| address.text("ip"));
    let cells = vec![
        table::name(pod),
        format!("{}/{}", tally.ready, tally.total).into(),
        tally.reason.into(),
        restarts.into(),
        table::age(pod, now),
        or_none(address).into(),
        or_none(spec.text("nodeName")).into(),
        or_none(status.text("nominatedNodeName")).into(),
        gates(spec, status).into(),
    ];
    Row { cells, conditions }
}

fn is_condition_true(status: &Value, kind: &str) -> bool {
    status
        .items("conditions")
        .iter()
        .any(|c| c.text("type") == kind && c.text("status") == "True")
}

fn tally_containers(tally: &mut Tally, spec: &Value, status: &Value) {
    let is_sidecar = |name: &str| {
        let mut named = spec
            .items("initContainers")
            .iter()
            .filter(|container| container.text("name") == name);
        named.any(|container| container.text("restartPolicy") == "Always")
    };
    let init = spec.items("initContainers");
    tally.total += init
        .iter()
        .filter(|container| container.text("restartPolicy") == "Always")
        .count();
    let mut sidecars = Tally::default();
    let mut initializing = false;
    for (i, container) in status.items("initContainerStatuses").iter().enumerate() {
        tally.count_restarts(container);
        let sidecar = is_sidecar(container.text("name"));
        if sidecar {
            sidecars.count_restarts(container);
        }
        let (terminated, waiting) = (
            container.at("state").at("terminated"),
            container.at("state").at("waiting"),
        );
        if !terminated.is_null() && terminated.int("exitCode") == 0 {
            continue;
        }
        if sidecar && container.flag("started") {
            tally.ready += usize::from(container.flag("ready"));
            continue;
        }
        let waits_for = waiting.text("reason");
        tally.reason = if !terminated.is_null() {
            format!("Init:{}", ending(terminated))
        } else if !waits_for.is_empty() && waits_for != "PodInitializing" {
            format!("Init:{waits_for}")
        } else {
            format!("Init:{i}/{}", init.len())
        };
        initializing = true;
        break;
    }
    if initializing && !is_condition_true(status, "Initialized") {
        return;
    }
    (tally.restarts, tally.last_restart) = (sidecars.restarts, sidecars.last_restart);
    let mut running = false;
    for container in status.items("containerStatuses").iter().rev() {
        tally.count_restarts(container);
        let state = container.at("state");
        let (terminated, waits_for) = (state.at("terminated"), state.at("waiting").text("reason"));
        if !waits_for.is_empty() {
            tally.reason = waits_for.to_owned();
        } else if !terminated.is_null() {
            tally.reason = ending(terminated);
        } else if container.flag("ready") && state.has("running") {
            running = true;
            tally.ready += 1;
        }
    }
    if tally.reason == "Completed" && running {
        let ready = is_condition_true(status, "Ready");
        tally.reason = if ready { "Running" } else { "NotReady" }.to_owned();
    }
}

fn ending(terminated: &Value) -> String {
    match (terminated.text("reason"), terminated.int("signal")) {
        ("", 0) => format!("ExitCode:{}", terminated.int("exitCode")),
        ("", signal) => format!("Signal:{signal}"),
        (reason, _) => reason.to_owned(),
    }
}

fn gates(spec: &Value, status: &Value) -> String {
    let gates = spec.items("readinessGates");
    if gates.is_empty() {
        return "<none>".to_owned();
    }
    let open = gates
        .iter()
        .filter(|gate| is_condition_true(status, gate.text("conditionType")))
        .count();
    format!("{open}/{}", gates.len())
}
