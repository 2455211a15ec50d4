//! The core group.

use super::{
    CREATE, Group, PART, PROXY, SCALE, STATUS, STREAM, cluster, field, field_at, foreign,
    namespaced, part,
};

pub(super) const CORE: Group = Group {
    name: "",
    version: "v1",
    rows: &[
        namespaced("bindings", "Binding", "").verbs(CREATE),
        cluster("componentstatuses", "ComponentStatus", "")
            .short(&["cs"])
            .verbs(&["get", "list"]),
        namespaced("configmaps", "ConfigMap", "qFsyl6wFWjQ=").short(&["cm"]),
        namespaced("endpoints", "Endpoints", "fWeeMqaN/OA=").short(&["ep"]),
        namespaced("events", "Event", "r2yiGXH7wu8=")
            .short(&["ev"])
            .fields(&[
                field(&["involvedObject.kind"]),
                field(&["involvedObject.namespace"]),
                field(&["involvedObject.name"]),
                field(&["involvedObject.uid"]),
                field(&["involvedObject.apiVersion"]),
                field(&["involvedObject.resourceVersion"]),
                field(&["involvedObject.fieldPath"]),
                field(&["reason"]),
                field(&["reportingComponent"]),
                // Written by old clients in one place and by new ones in the other.
                field_at("source", &["source.component", "reportingComponent"]),
                field(&["type"]),
            ]),
        namespaced("limitranges", "LimitRange", "EBKMFVe6cwo=").short(&["limits"]),
        // Namespaces are never deleted as a collection.
        cluster("namespaces", "Namespace", "Q3oi5N2YM8M=")
            .short(&["ns"])
            .verbs(&[
                "create", "delete", "get", "list", "patch", "update", "watch",
            ])
            .parts(&[part("finalize", "", &["update"]), STATUS])
            .fields(&[
                field_at("name", &["metadata.name"]),
                field(&["status.phase"]),
            ]),
        cluster("nodes", "Node", "XwShjMxG9Fs=")
            .short(&["no"])
            .parts(&[part("proxy", "NodeProxyOptions", PROXY), STATUS])
            .fields(&[field(&["spec.unschedulable"]).or("false")]),
        namespaced(
            "persistentvolumeclaims",
            "PersistentVolumeClaim",
            "QWTyNDq0dC4=",
        )
        .short(&["pvc"])
        .parts(&[STATUS]),
        cluster("persistentvolumes", "PersistentVolume", "HN/zwEC+JgM=")
            .short(&["pv"])
            .parts(&[STATUS]),
        namespaced("pods", "Pod", "xPOwRZ+Yhw8=")
            .short(&["po"])
            .category(&["all"])
            .parts(&[
                part("attach", "PodAttachOptions", STREAM),
                part("binding", "Binding", CREATE),
                part("ephemeralcontainers", "", PART),
                foreign("eviction", ("policy", "v1"), "Eviction", CREATE),
                part("exec", "PodExecOptions", STREAM),
                part("log", "", &["get"]),
                part("portforward", "PodPortForwardOptions", STREAM),
                part("proxy", "PodProxyOptions", PROXY),
                part("resize", "", PART),
                STATUS,
            ])
            .fields(&[
                field(&["spec.nodeName"]),
                field(&["spec.restartPolicy"]),
                field(&["spec.schedulerName"]),
                field(&["spec.serviceAccountName"]),
                field(&["spec.hostNetwork"]).or("false"),
                field(&["status.phase"]),
                field(&["status.podIP"]),
                // Accepted by upstream, which never gives it a value.
                field_at("status.podIPs", &[]),
                field(&["status.nominatedNodeName"]),
            ]),
        namespaced("podtemplates", "PodTemplate", "LIXB2x4IFpk="),
        namespaced(
            "replicationcontrollers",
            "ReplicationController",
            "Jond2If31h0=",
        )
        .short(&["rc"])
        .category(&["all"])
        .parts(&[SCALE, STATUS])
        .fields(&[field(&["status.replicas"]).or("0")]),
        namespaced("resourcequotas", "ResourceQuota", "8uhSgffRX6w=")
            .short(&["quota"])
            .parts(&[STATUS]),
        namespaced("secrets", "Secret", "S6u1pOWzb84=").fields(&[field(&["type"])]),
        namespaced("serviceaccounts", "ServiceAccount", "pbx9ZvyFpBE=")
            .short(&["sa"])
            .parts(&[foreign(
                "token",
                ("authentication.k8s.io", "v1"),
                "TokenRequest",
                CREATE,
            )]),
        namespaced("services", "Service", "0/CO1lhkEBI=")
            .short(&["svc"])
            .category(&["all"])
            .parts(&[part("proxy", "ServiceProxyOptions", PROXY), STATUS])
            .fields(&[field(&["spec.clusterIP"]), field(&["spec.type"])]),
    ],
};
