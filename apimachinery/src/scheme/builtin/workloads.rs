//! What runs pods, and what says how many: `apps`, `batch`, `autoscaling`, `policy`.

use super::{Group, SCALE, STATUS, field, namespaced};

pub(super) const APPS: Group = Group {
    name: "apps",
    version: "v1",
    rows: &[
        namespaced("controllerrevisions", "ControllerRevision", "85nkx63pcBU="),
        namespaced("daemonsets", "DaemonSet", "dd7pWHUlMKQ=")
            .short(&["ds"])
            .category(&["all"])
            .parts(&[STATUS]),
        namespaced("deployments", "Deployment", "8aSe+NMegvE=")
            .short(&["deploy"])
            .category(&["all"])
            .parts(&[SCALE, STATUS]),
        namespaced("replicasets", "ReplicaSet", "P1RzHs8/mWQ=")
            .short(&["rs"])
            .category(&["all"])
            .parts(&[SCALE, STATUS]),
        namespaced("statefulsets", "StatefulSet", "H+vl74LkKdo=")
            .short(&["sts"])
            .category(&["all"])
            .parts(&[SCALE, STATUS]),
    ],
};

pub(super) const BATCH: Group = Group {
    name: "batch",
    version: "v1",
    rows: &[
        namespaced("cronjobs", "CronJob", "sd5LIXh4Fjs=")
            .short(&["cj"])
            .category(&["all"])
            .parts(&[STATUS]),
        namespaced("jobs", "Job", "mudhfqk/qZY=")
            .category(&["all"])
            .parts(&[STATUS])
            .fields(&[field(&["status.successful"])]),
    ],
};

pub(super) const AUTOSCALING_V2: Group = Group {
    name: "autoscaling",
    version: "v2",
    rows: &[namespaced(
        "horizontalpodautoscalers",
        "HorizontalPodAutoscaler",
        "qwQve8ut294=",
    )
    .short(&["hpa"])
    .category(&["all"])
    .parts(&[STATUS])],
};

pub(super) const AUTOSCALING_V1: Group = Group {
    name: "autoscaling",
    version: "v1",
    rows: &[namespaced(
        "horizontalpodautoscalers",
        "HorizontalPodAutoscaler",
        "qwQve8ut294=",
    )
    .stored("autoscaling", "v2")
    .short(&["hpa"])
    .category(&["all"])
    .parts(&[STATUS])],
};

pub(super) const POLICY: Group = Group {
    name: "policy",
    version: "v1",
    rows: &[namespaced(
        "poddisruptionbudgets",
        "PodDisruptionBudget",
        "EVWiDmWqyJw=",
    )
    .short(&["pdb"])
    .parts(&[STATUS])],
};
