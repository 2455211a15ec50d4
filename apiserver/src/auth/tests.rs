use ferrule_apimachinery::selector::FieldSelector;
use ferrule_component_base::identity::Identity;

use super::{Attributes, Bound, RulesIn, authorize, decide_path, rules_in};

struct Cluster;

impl Bound for Cluster {
    fn pod_on_node(&self, node: &str, _namespace: &str, pod: &str) -> Option<bool> {
        match pod {
            "gone" => None,
            pod => Some(pod == format!("on-{node}")),
        }
    }

    fn referred_on_node(&self, _node: &str, _resource: &str, _namespace: &str, name: &str) -> bool {
        name == "mounted"
    }
}

fn identity(user: &str, group: &str) -> Identity {
    Identity {
        user: user.to_owned(),
        uid: String::new(),
        groups: vec![group.to_owned()],
    }
}

/// `verb group/resource[/subresource] namespace/name [fields]`; an empty group is written `core`.
fn allowed(who: &Identity, line: &str) -> Result<(), String> {
    let words: Vec<&str> = line.split(' ').collect();
    let what: Vec<&str> = words[1].split('/').collect();
    let (namespace, name) = words[2].split_once('/').unwrap();
    let fields = words.get(3).map(|text| FieldSelector::parse(text).unwrap());
    let verb = [
        "get",
        "list",
        "watch",
        "create",
        "update",
        "patch",
        "delete",
        "deletecollection",
    ]
    .into_iter()
    .find(|verb| *verb == words[0])
    .unwrap();
    let attributes = Attributes {
        verb,
        group: if what[0] == "core" { "" } else { what[0] },
        resource: what[1],
        subresource: what.get(2).copied().unwrap_or_default(),
        namespace,
        name,
        fields: fields.as_ref(),
    };
    authorize(Some(who), &attributes, &Cluster).map_err(|status| status.message)
}

#[test]
fn each_component_may_do_what_it_needs_and_nothing_else() {
    let table: &[(&str, &str, &[&str], &[&str])] = &[
        (
            "kubernetes-admin",
            "system:masters",
            &["delete core/nodes /n", "create core/pods/exec d/p"],
            &[],
        ),
        (
            "system:kube-scheduler",
            "",
            &[
                "watch core/pods /",
                "create core/pods/binding d/p",
                "patch core/pods/status d/p",
                "delete core/pods d/p",
                "watch policy/poddisruptionbudgets /",
                "list scheduling.k8s.io/priorityclasses /",
                "update coordination.k8s.io/leases kube-system/kube-scheduler",
                "create core/events d/",
            ],
            &[
                "patch core/pods d/p",
                "get core/secrets d/s",
                "update coordination.k8s.io/leases default/x",
                "create core/pods/exec d/p",
                "create core/pods/eviction d/p",
                "patch policy/poddisruptionbudgets/status d/b",
            ],
        ),
        (
            "system:kube-controller-manager",
            "",
            &[
                "create core/pods d/",
                "update core/namespaces/finalize /d",
                "patch apps/deployments/status d/x",
                "update policy/poddisruptionbudgets/status d/b",
                "create core/pods/eviction d/p",
                "deletecollection core/secrets d/",
            ],
            &[
                "create core/pods/binding d/p",
                "get core/pods/exec d/p",
                "create core/secrets d/",
            ],
        ),
        (
            "system:kube-proxy",
            "system:node-proxier",
            &[
                "watch discovery.k8s.io/endpointslices /",
                "list core/services /",
            ],
            &["list core/pods /", "patch core/services d/s"],
        ),
        (
            "system:network-agent:n1",
            "system:network-agents",
            &[
                "watch core/nodes /",
                "patch core/nodes/status /n1",
                "patch core/nodes /n1",
            ],
            &[
                "patch core/nodes/status /n2",
                "delete core/nodes /n1",
                "list core/pods /",
            ],
        ),
        (
            "system:node-dns",
            "",
            &["watch core/services /", "list core/pods /"],
            &["list core/secrets /", "patch core/services d/s"],
        ),
        (
            "system:node:n1",
            "system:nodes",
            &[
                "create core/nodes /",
                "patch core/nodes/status /n1",
                "watch core/nodes / metadata.name=n1",
                "watch core/pods / spec.nodeName=n1",
                "get core/pods d/on-n1",
                "patch core/pods/status d/on-n1",
                "delete core/pods d/on-n1",
                "delete core/pods d/gone",
                "get core/secrets d/mounted",
                "update coordination.k8s.io/leases kube-node-lease/n1",
                "create core/events d/",
                "watch core/services /",
            ],
            &[
                "patch core/nodes/status /n2",
                "get core/nodes /n2",
                "list core/nodes /",
                "watch core/pods /",
                "watch core/pods / spec.nodeName=n2",
                "patch core/pods/status d/on-n2",
                "update core/pods d/on-n1",
                "create core/pods/binding d/on-n1",
                "get core/secrets d/other",
                "list core/secrets d/",
                "update coordination.k8s.io/leases kube-node-lease/n2",
                "update coordination.k8s.io/leases kube-system/n1",
            ],
        ),
        ("system:node:n1", "", &[], &["patch core/nodes/status /n1"]),
        ("somebody", "", &[], &["get core/pods d/p"]),
    ];
    for (user, group, may, may_not) in table {
        let who = identity(user, group);
        for line in *may {
            assert_eq!(allowed(&who, line), Ok(()), "{user} {line}");
        }
        for line in *may_not {
            assert!(allowed(&who, line).is_err(), "{user} {line}");
        }
    }
}

#[test]
fn refusals_read_as_upstreams() {
    let scheduler = identity("system:kube-scheduler", "");
    assert_eq!(
        allowed(&scheduler, "get core/secrets d/s").unwrap_err(),
        "secrets \"s\" is forbidden: User \"system:kube-scheduler\" cannot get resource \"secrets\" in API group \"\" \
         in the namespace \"d\""
    );
    let kubelet = identity("system:node:n1", "system:nodes");
    assert_eq!(
        allowed(&kubelet, "watch core/pods /").unwrap_err(),
        "pods is forbidden: User \"system:node:n1\" cannot watch resource \"pods\" in API group \"\" at the cluster \
         scope: can only list/watch pods with spec.nodeName field selector"
    );
}

#[test]
fn without_an_identity_nothing_is_allowed() {
    let attributes = Attributes {
        verb: "list",
        group: "",
        resource: "pods",
        subresource: "",
        namespace: "",
        name: "",
        fields: None,
    };
    let status = authorize(None, &attributes, &Cluster).unwrap_err();
    assert_eq!(status.http_code(), 401);
}

#[test]
fn a_review_tells_what_the_table_says() {
    let masters = identity("admin", "system:masters");
    assert_eq!(rules_in(&masters, "d").resources[0]["verbs"][0], "*");
    assert_eq!(decide_path(&masters, "post", "/x"), Ok(()));
    let known = identity("somebody", "system:authenticated");
    for (verb, path, may) in [
        ("get", "/version", true),
        ("get", "/apis/apps", true),
        ("post", "/version", false),
        ("get", "/debug", false),
    ] {
        assert_eq!(
            decide_path(&known, verb, path).is_ok(),
            may,
            "{verb} {path}"
        );
    }
    assert!(decide_path(&identity("nobody", ""), "get", "/version").is_err());
    let lease = |rules: RulesIn| {
        rules
            .resources
            .iter()
            .any(|rule| rule["resources"][0] == "leases")
    };
    let scheduler = identity("system:kube-scheduler", "");
    assert!(lease(rules_in(&scheduler, "kube-system")) && !lease(rules_in(&scheduler, "default")));
    let kubelet = identity("system:node:n1", "system:nodes");
    assert!(rules_in(&kubelet, "d").incomplete.is_some());
}

#[test]
fn everybody_may_ask_about_themselves() {
    let nobody = identity("nobody", "");
    let review = "create authorization.k8s.io/selfsubjectaccessreviews /";
    assert_eq!(allowed(&nobody, review), Ok(()));
    assert!(
        allowed(
            &nobody,
            "create authorization.k8s.io/subjectaccessreviews /"
        )
        .is_err()
    );
}
