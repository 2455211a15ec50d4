//! The rows of the resources that are built in.

use std::borrow::Cow;

use super::{Resource, SelectableField, Subresource};

const ALL_VERBS: &[&str] = &[
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
];
/// Namespaces are never deleted as a collection.
const NAMESPACE_VERBS: &[&str] = &[
    "create", "delete", "get", "list", "patch", "update", "watch",
];
const PART_VERBS: &[&str] = &["get", "patch", "update"];
const STREAM_VERBS: &[&str] = &["create", "get"];
const PROXY_VERBS: &[&str] = &["create", "delete", "get", "patch", "update"];

fn texts(list: &[&'static str]) -> Vec<Cow<'static, str>> {
    list.iter().map(|text| Cow::Borrowed(*text)).collect()
}

/// A row with all verbs and nothing special; the builder methods say what differs.
fn row(
    (group, version): (&'static str, &'static str),
    plural: &'static str,
    singular: &'static str,
    kind: &'static str,
    namespaced: bool,
    hash: &'static str,
) -> Resource {
    let schema_group = if group.is_empty() { "core" } else { group };
    Resource {
        group: group.into(),
        version: version.into(),
        plural: plural.into(),
        singular: singular.into(),
        kind: kind.into(),
        short_names: Vec::new(),
        categories: Vec::new(),
        namespaced,
        subresources: Vec::new(),
        verbs: texts(ALL_VERBS),
        selectable_fields: Vec::new(),
        schema_type: format!("{schema_group}/{version}.{kind}").into(),
        storage_group: group.into(),
        storage_version_hash: hash.into(),
    }
}

impl Resource {
    fn short(mut self, names: &[&'static str]) -> Self {
        self.short_names = texts(names);
        self
    }

    fn in_all(mut self) -> Self {
        self.categories = texts(&["all"]);
        self
    }

    fn verbs(mut self, verbs: &[&'static str]) -> Self {
        self.verbs = texts(verbs);
        self
    }

    fn part(self, name: &'static str, kind: &'static str, verbs: &[&'static str]) -> Self {
        self.foreign_part(name, None, kind, verbs)
    }

    fn foreign_part(
        mut self,
        name: &'static str,
        group_version: Option<(&'static str, &'static str)>,
        kind: &'static str,
        verbs: &[&'static str],
    ) -> Self {
        self.subresources.push(Subresource {
            name: name.into(),
            kind: kind.into(),
            kind_group_version: group_version.map(|(g, v)| (g.into(), v.into())),
            verbs: texts(verbs),
        });
        self
    }

    fn scale(self) -> Self {
        self.foreign_part("scale", Some(("autoscaling", "v1")), "Scale", PART_VERBS)
    }

    fn status(self) -> Self {
        let kind = self.kind.clone();
        let mut this = self;
        this.subresources.push(Subresource {
            name: "status".into(),
            kind,
            kind_group_version: None,
            verbs: texts(PART_VERBS),
        });
        this
    }

    fn field(self, name: &'static str) -> Self {
        self.field_at(name, &[name], "")
    }

    fn flag(self, name: &'static str) -> Self {
        self.field_at(name, &[name], "false")
    }

    fn field_at(
        mut self,
        name: &'static str,
        paths: &[&'static str],
        absent: &'static str,
    ) -> Self {
        self.selectable_fields.push(SelectableField {
            name: name.into(),
            paths: texts(paths),
            absent: absent.into(),
        });
        self
    }
}

const CORE: (&str, &str) = ("", "v1");
const APPS: (&str, &str) = ("apps", "v1");

/// All rows; groups in upstream's order of preference, resources by name.
pub(super) fn rows() -> Vec<Resource> {
    vec![
        row(CORE, "bindings", "binding", "Binding", true, "").verbs(&["create"]),
        row(
            CORE,
            "configmaps",
            "configmap",
            "ConfigMap",
            true,
            "qFsyl6wFWjQ=",
        )
        .short(&["cm"]),
        row(
            CORE,
            "endpoints",
            "endpoints",
            "Endpoints",
            true,
            "fWeeMqaN/OA=",
        )
        .short(&["ep"]),
        event(),
        row(
            CORE,
            "namespaces",
            "namespace",
            "Namespace",
            false,
            "Q3oi5N2YM8M=",
        )
        .short(&["ns"])
        .verbs(NAMESPACE_VERBS)
        .part("finalize", "Namespace", &["update"])
        .status()
        .field_at("name", &["metadata.name"], "")
        .field("status.phase"),
        row(CORE, "nodes", "node", "Node", false, "XwShjMxG9Fs=")
            .short(&["no"])
            .part("proxy", "NodeProxyOptions", PROXY_VERBS)
            .status()
            .flag("spec.unschedulable"),
        pod(),
        row(CORE, "secrets", "secret", "Secret", true, "S6u1pOWzb84=").field("type"),
        row(
            CORE,
            "serviceaccounts",
            "serviceaccount",
            "ServiceAccount",
            true,
            "pbx9ZvyFpBE=",
        )
        .short(&["sa"]),
        row(CORE, "services", "service", "Service", true, "0/CO1lhkEBI=")
            .short(&["svc"])
            .in_all()
            .part("proxy", "ServiceProxyOptions", PROXY_VERBS)
            .status()
            .field("spec.clusterIP")
            .field("spec.type"),
        row(
            APPS,
            "deployments",
            "deployment",
            "Deployment",
            true,
            "8aSe+NMegvE=",
        )
        .short(&["deploy"])
        .in_all()
        .scale()
        .status(),
        row(
            APPS,
            "replicasets",
            "replicaset",
            "ReplicaSet",
            true,
            "P1RzHs8/mWQ=",
        )
        .short(&["rs"])
        .in_all()
        .scale()
        .status(),
        row(
            ("networking.k8s.io", "v1"),
            "ipaddresses",
            "ipaddress",
            "IPAddress",
            false,
            "3f/plJFChNE=",
        )
        .short(&["ip"]),
        row(
            ("policy", "v1"),
            "poddisruptionbudgets",
            "poddisruptionbudget",
            "PodDisruptionBudget",
            true,
            "EVWiDmWqyJw=",
        )
        .short(&["pdb"])
        .status(),
        row(
            ("scheduling.k8s.io", "v1"),
            "priorityclasses",
            "priorityclass",
            "PriorityClass",
            false,
            "1QwjyaZjj3Y=",
        )
        .short(&["pc"]),
        row(
            ("coordination.k8s.io", "v1"),
            "leases",
            "lease",
            "Lease",
            true,
            "gqkMMb/YqFM=",
        ),
        row(
            ("discovery.k8s.io", "v1"),
            "endpointslices",
            "endpointslice",
            "EndpointSlice",
            true,
            "qgS0xkrxYAI=",
        ),
    ]
}

fn pod() -> Resource {
    row(CORE, "pods", "pod", "Pod", true, "xPOwRZ+Yhw8=")
        .short(&["po"])
        .in_all()
        .part("attach", "PodAttachOptions", STREAM_VERBS)
        .part("binding", "Binding", &["create"])
        .part("ephemeralcontainers", "Pod", PART_VERBS)
        .foreign_part("eviction", Some(("policy", "v1")), "Eviction", &["create"])
        .part("exec", "PodExecOptions", STREAM_VERBS)
        .part("log", "Pod", &["get"])
        .part("portforward", "PodPortForwardOptions", STREAM_VERBS)
        .part("proxy", "PodProxyOptions", PROXY_VERBS)
        .part("resize", "Pod", PART_VERBS)
        .status()
        .field("spec.nodeName")
        .field("spec.restartPolicy")
        .field("spec.schedulerName")
        .field("spec.serviceAccountName")
        .flag("spec.hostNetwork")
        .field("status.phase")
        .field("status.podIP")
        // Accepted by upstream, which never gives it a value.
        .field_at("status.podIPs", &[], "")
        .field("status.nominatedNodeName")
}

fn event() -> Resource {
    row(CORE, "events", "event", "Event", true, "r2yiGXH7wu8=")
        .short(&["ev"])
        .field("involvedObject.kind")
        .field("involvedObject.namespace")
        .field("involvedObject.name")
        .field("involvedObject.uid")
        .field("involvedObject.apiVersion")
        .field("involvedObject.resourceVersion")
        .field("involvedObject.fieldPath")
        .field("reason")
        .field("reportingComponent")
        // Written by old clients in one place and by new ones in the other.
        .field_at("source", &["source.component", "reportingComponent"], "")
        .field("type")
}
