//! The table: what each component of the control plane and of a node may do.

use ferrule_component_base::identity::Identity;
use serde_json::{Value, json};

use super::Attributes;

/// One line of the table. `"*"` stands for everything; a resource is written `plural` or
/// `plural/subresource`.
struct Rule {
    groups: &'static [&'static str],
    resources: &'static [&'static str],
    verbs: &'static [&'static str],
    /// `""`: in every namespace.
    namespace: &'static str,
}

const fn rule(
    groups: &'static [&'static str],
    resources: &'static [&'static str],
    verbs: &'static [&'static str],
) -> Rule {
    Rule {
        groups,
        resources,
        verbs,
        namespace: "",
    }
}

const READ: &[&str] = &["get", "list", "watch"];
const RECORD: &[&str] = &["create", "patch", "update"];
const EVENTS: Rule = rule(&["", "events.k8s.io"], &["events"], RECORD);
const LEADER: Rule = Rule {
    groups: &["coordination.k8s.io"],
    resources: &["leases"],
    verbs: &["get", "list", "watch", "create", "update", "patch"],
    namespace: "kube-system",
};

const SCHEDULER: &[Rule] = &[
    EVENTS,
    LEADER,
    rule(
        &["", "apps", "policy", "storage.k8s.io", "scheduling.k8s.io"],
        &[
            "nodes",
            "pods",
            "namespaces",
            "services",
            "replicationcontrollers",
            "replicasets",
            "statefulsets",
            "persistentvolumes",
            "persistentvolumeclaims",
            "poddisruptionbudgets",
            "storageclasses",
            "csinodes",
            "csidrivers",
            "csistoragecapacities",
            "priorityclasses",
        ],
        READ,
    ),
    rule(&[""], &["pods"], &["delete"]),
    rule(&[""], &["pods/binding", "bindings"], &["create"]),
    rule(&[""], &["pods/status"], &["patch", "update"]),
];

/// Its controllers collect, delete and write objects of every kind; what runs in containers and
/// where pods are bound is not theirs.
const CONTROLLER_MANAGER: &[Rule] = &[
    EVENTS,
    LEADER,
    rule(
        &["*"],
        &["*"],
        &[
            "get",
            "list",
            "watch",
            "update",
            "patch",
            "delete",
            "deletecollection",
        ],
    ),
    rule(
        &["*"],
        &["*/status", "*/scale", "*/finalize", "namespaces/finalize"],
        &["get", "update", "patch"],
    ),
    rule(
        &[
            "",
            "apps",
            "batch",
            "discovery.k8s.io",
            "coordination.k8s.io",
        ],
        &[
            "pods",
            "replicasets",
            "controllerrevisions",
            "jobs",
            "endpoints",
            "endpointslices",
            "serviceaccounts",
            "configmaps",
            "persistentvolumeclaims",
            "leases",
        ],
        &["create"],
    ),
    rule(&[""], &["pods/eviction"], &["create"]),
];

const PROXY: &[Rule] = &[
    EVENTS,
    rule(
        &["", "discovery.k8s.io", "networking.k8s.io"],
        &[
            "services",
            "endpoints",
            "endpointslices",
            "nodes",
            "servicecidrs",
        ],
        READ,
    ),
];

const NETWORK_AGENT: &[Rule] = &[EVENTS, rule(&[""], &["nodes"], READ)];

const DNS: &[Rule] = &[rule(
    &["", "discovery.k8s.io"],
    &[
        "services",
        "endpoints",
        "endpointslices",
        "pods",
        "namespaces",
    ],
    READ,
)];

/// The lines for a user; none when the table does not know them.
fn lines(identity: &Identity) -> &'static [Rule] {
    match identity.user.as_str() {
        "system:kube-scheduler" => SCHEDULER,
        "system:kube-controller-manager" => CONTROLLER_MANAGER,
        "system:kube-proxy" => PROXY,
        "system:node-dns" => DNS,
        _ if own_node(identity).is_some() => NETWORK_AGENT,
        _ => &[],
    }
}

/// The node of a network agent.
fn own_node(identity: &Identity) -> Option<&str> {
    let node = identity.user.strip_prefix("system:network-agent:")?;
    identity.in_group("system:network-agents").then_some(node)
}

/// Whether the table allows it.
pub(super) fn allows(identity: &Identity, attributes: &Attributes<'_>) -> bool {
    own_node(identity).is_some_and(|node| patches_own_node(node, attributes))
        || lines(identity).iter().any(|rule| rule.matches(attributes))
}

/// The lines that count in a namespace, as ResourceRules.
pub(super) fn rules_in(identity: &Identity, namespace: &str) -> Vec<Value> {
    let counts = |rule: &&Rule| rule.namespace.is_empty() || rule.namespace == namespace;
    let mut rules: Vec<Value> = lines(identity)
        .iter()
        .filter(counts)
        .map(|rule| {
            json!({ "verbs": rule.verbs, "apiGroups": rule.groups, "resources": rule.resources })
        })
        .collect();
    rules.extend(own_node(identity).map(|node| {
        json!({
            "verbs": ["patch", "update"],
            "apiGroups": [""],
            "resources": ["nodes", "nodes/status"],
            "resourceNames": [node],
        })
    }));
    rules
}

fn patches_own_node(node: &str, attributes: &Attributes<'_>) -> bool {
    attributes.group.is_empty()
        && attributes.resource == "nodes"
        && matches!(attributes.subresource, "" | "status")
        && matches!(attributes.verb, "patch" | "update")
        && attributes.name == node
}

impl Rule {
    fn matches(&self, attributes: &Attributes<'_>) -> bool {
        let has = |list: &[&str], item: &str| list.iter().any(|own| *own == "*" || *own == item);
        has(self.groups, attributes.group)
            && has(self.verbs, attributes.verb)
            && (self.namespace.is_empty() || self.namespace == attributes.namespace)
            && self.resources.iter().any(|own| names(own, attributes))
    }
}

fn names(pattern: &str, attributes: &Attributes<'_>) -> bool {
    let (resource, subresource) = pattern.split_once('/').unwrap_or((pattern, ""));
    (resource == "*" || resource == attributes.resource) && subresource == attributes.subresource
}
