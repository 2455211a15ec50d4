//! What the cluster itself works with: events, priorities, leases, runtimes, devices, the flow of requests.

use super::{Group, STATUS, cluster, field, namespaced};

/// The same objects as the core group's events.
pub(super) const EVENTS: Group = Group {
    name: "events.k8s.io",
    version: "v1",
    rows: &[namespaced("events", "Event", "r2yiGXH7wu8=")
        .stored("", "v1")
        .short(&["ev"])
        .fields(&[
            field(&["reason"]),
            field(&["regarding.kind"]).stored("involvedObject.kind"),
            field(&["regarding.namespace"]).stored("involvedObject.namespace"),
            field(&["regarding.name"]).stored("involvedObject.name"),
            field(&["regarding.uid"]).stored("involvedObject.uid"),
            field(&["regarding.apiVersion"]).stored("involvedObject.apiVersion"),
            field(&["regarding.resourceVersion"]).stored("involvedObject.resourceVersion"),
            field(&["regarding.fieldPath"]).stored("involvedObject.fieldPath"),
            field(&["reportingController"]).stored("reportingComponent"),
            field(&["type"]),
        ])],
};

pub(super) const SCHEDULING: Group = Group {
    name: "scheduling.k8s.io",
    version: "v1",
    rows: &[cluster("priorityclasses", "PriorityClass", "1QwjyaZjj3Y=").short(&["pc"])],
};

pub(super) const COORDINATION: Group = Group {
    name: "coordination.k8s.io",
    version: "v1",
    rows: &[namespaced("leases", "Lease", "gqkMMb/YqFM=")],
};

pub(super) const NODE: Group = Group {
    name: "node.k8s.io",
    version: "v1",
    rows: &[cluster("runtimeclasses", "RuntimeClass", "WQTu1GL3T2Q=")],
};

pub(super) const RESOURCE: Group = Group {
    name: "resource.k8s.io",
    version: "v1",
    rows: &[
        cluster("deviceclasses", "DeviceClass", "Yk2PTc1Ybxk="),
        namespaced("resourceclaims", "ResourceClaim", "wgAZaHcZxUg=").parts(&[STATUS]),
        namespaced(
            "resourceclaimtemplates",
            "ResourceClaimTemplate",
            "TuzjC49aUfM=",
        ),
        cluster("resourceslices", "ResourceSlice", "KsC072WgaEY=")
            .fields(&[field(&["spec.nodeName"]), field(&["spec.driver"])]),
    ],
};

pub(super) const FLOW_CONTROL: Group = Group {
    name: "flowcontrol.apiserver.k8s.io",
    version: "v1",
    rows: &[
        cluster("flowschemas", "FlowSchema", "GJVAJZSZBIw=").parts(&[STATUS]),
        cluster(
            "prioritylevelconfigurations",
            "PriorityLevelConfiguration",
            "Kir5PVfvNeI=",
        )
        .parts(&[STATUS]),
    ],
};
