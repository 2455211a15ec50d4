use ferrule_apimachinery::scheme::Scheme;
use ferrule_component_base::identity::Identity;
use serde_json::{Value, json};

use super::{
    NamespaceState, Operation, PriorityClass, Request, TolerationSeconds, admit, check_delete,
    check_namespace, priority,
};

fn create(resource: &str, user: Option<&str>, mut object: Value) -> Result<Value, String> {
    let scheme = Scheme::builtin();
    let group = if resource == "leases" {
        "coordination.k8s.io"
    } else {
        ""
    };
    let resource = scheme.lookup(group, "v1", resource).unwrap();
    let identity = user.map(|user| Identity {
        user: user.to_owned(),
        uid: String::new(),
        groups: vec!["system:nodes".to_owned()],
    });
    let request = Request {
        identity: identity.as_ref(),
        operation: Operation::Create,
        resource,
        subresource: "",
        tolerations: TolerationSeconds::default(),
        old: None,
        classes: &[],
        default_classes: &[],
    };
    admit(&request, &mut object)
        .map(|()| object)
        .map_err(|status| status.message)
}

#[test]
fn a_new_pod_gets_account_priority_and_tolerations() {
    let pod = create("pods", None, json!({"metadata": {"name": "p"}, "spec": {}})).unwrap();
    let spec = &pod["spec"];
    assert_eq!(spec["serviceAccountName"], "default");
    assert_eq!(spec["serviceAccount"], "default");
    assert_eq!(spec["priority"], 0);
    assert_eq!(spec["preemptionPolicy"], "PreemptLowerPriority");
    let keys: Vec<&Value> = spec["tolerations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["key"])
        .collect();
    assert_eq!(
        keys,
        [
            "node.kubernetes.io/not-ready",
            "node.kubernetes.io/unreachable"
        ]
    );
}

#[test]
fn a_pod_that_tolerates_everything_gets_no_tolerations() {
    let spec = json!({"tolerations": [{"operator": "Exists"}]});
    let pod = create(
        "pods",
        None,
        json!({"metadata": {"name": "p"}, "spec": spec}),
    )
    .unwrap();
    assert_eq!(pod["spec"]["tolerations"].as_array().unwrap().len(), 1);
}

fn class(name: &str, value: i64, global_default: bool, preemption: &str) -> PriorityClass {
    PriorityClass {
        name: name.to_owned(),
        value,
        global_default,
        preemption: (!preemption.is_empty()).then(|| preemption.to_owned()),
    }
}

#[test]
fn a_new_pod_has_the_priority_of_its_class() {
    let gold = class("gold", 1000, false, "Never");
    let everybody = class("everybody", 7, true, "PreemptLowerPriority");
    let other = class("other", 9, true, "PreemptLowerPriority");
    let differs = "pods \"p\" is forbidden: the integer value of priority (5) must not be provided in pod spec; \
                   priority admission controller computed 1000 from the given PriorityClass name";
    let preempts = "pods \"p\" is forbidden: the string value of PreemptionPolicy (Never) must not be provided in \
                    pod spec; priority admission controller computed PreemptLowerPriority from the given \
                    PriorityClass name";
    let unknown = "pods \"p\" is forbidden: no PriorityClass with name silver was found";
    let gets = |class: &str, priority: i64, policy: &str| {
        let mut spec = json!({"priority": priority, "preemptionPolicy": policy});
        if !class.is_empty() {
            spec["priorityClassName"] = class.into();
        }
        Ok(spec)
    };
    let refused = |why: &str| Err(why.to_owned());
    let lower = "PreemptLowerPriority";
    let cases = [
        (json!({}), vec![&gold], gets("", 0, lower)),
        (
            json!({}),
            vec![&gold, &everybody],
            gets("everybody", 7, lower),
        ),
        (
            json!({}),
            vec![&other, &everybody],
            gets("everybody", 7, lower),
        ),
        (
            json!({"priorityClassName": "gold"}),
            vec![&gold, &everybody],
            gets("gold", 1000, "Never"),
        ),
        (
            json!({"priorityClassName": "gold", "priority": 1000}),
            vec![&gold],
            gets("gold", 1000, "Never"),
        ),
        (
            json!({"priorityClassName": "gold", "priority": 5}),
            vec![&gold],
            refused(differs),
        ),
        (
            json!({"preemptionPolicy": "Never"}),
            vec![],
            refused(preempts),
        ),
        (
            json!({"priorityClassName": "silver"}),
            vec![&gold],
            refused(unknown),
        ),
    ];
    for (spec, classes, expected) in cases {
        let classes: Vec<PriorityClass> = classes.into_iter().cloned().collect();
        let mut pod = json!({"metadata": {"name": "p"}, "spec": spec});
        let found = priority::resolve(&mut pod, &classes)
            .map(|()| pod["spec"].take())
            .map_err(|status| status.message);
        assert_eq!(found, expected, "{spec} {classes:?}");
    }
}

#[test]
fn an_update_of_a_pod_keeps_the_priority_that_it_leaves_out() {
    let old = json!({"spec": {"priority": 7, "preemptionPolicy": "Never"}});
    let mut new = json!({"spec": {"nodeName": "n"}});
    priority::keep(&mut new, Some(&old));
    assert_eq!(
        new["spec"],
        json!({"nodeName": "n", "priority": 7, "preemptionPolicy": "Never"})
    );
}

#[test]
fn only_one_class_is_everybodys() {
    let scheme = Scheme::builtin();
    let resource = scheme
        .lookup("scheduling.k8s.io", "v1", "priorityclasses")
        .unwrap();
    let classes = [class("a", 1, true, "")];
    let check = |operation, name: &str, global: bool| {
        let request = Request {
            identity: None,
            operation,
            resource,
            subresource: "",
            tolerations: TolerationSeconds::default(),
            old: None,
            classes: &classes,
            default_classes: &[],
        };
        let mut object = json!({"metadata": {"name": name}, "globalDefault": global});
        admit(&request, &mut object).map_err(|status| status.message)
    };
    let refusal = Err(
        "priorityclasses.scheduling.k8s.io \"b\" is forbidden: PriorityClass a is already marked as default. \
         Only one default can exist"
            .to_owned(),
    );
    assert_eq!(check(Operation::Create, "b", true), refusal);
    assert_eq!(check(Operation::Update, "b", true), refusal);
    assert_eq!(check(Operation::Create, "b", false), Ok(()));
    assert_eq!(check(Operation::Update, "a", true), Ok(()));
}

#[test]
fn a_kubelet_makes_only_what_is_its_own() {
    let named = |name: &str| json!({"metadata": {"name": name}});
    let kubelet = Some("system:node:n1");
    for (resource, name, good) in [
        ("nodes", "n1", true),
        ("nodes", "n2", false),
        ("leases", "n1", true),
        ("leases", "n2", false),
        ("pods", "p", false),
    ] {
        assert_eq!(
            create(resource, kubelet, named(name)).is_ok(),
            good,
            "{resource} {name}"
        );
    }
}

#[test]
fn namespaces_that_are_missing_or_ending_take_nothing_new() {
    let scheme = Scheme::builtin();
    let resource = scheme.lookup("", "v1", "configmaps").unwrap();
    let check =
        |state| check_namespace(state, resource, "ns", "x").map_err(|status| status.message);
    assert_eq!(check(NamespaceState::Active), Ok(()));
    assert_eq!(
        check(NamespaceState::Missing).unwrap_err(),
        "namespaces \"ns\" not found"
    );
    assert_eq!(
        check(NamespaceState::Terminating).unwrap_err(),
        "configmaps \"x\" is forbidden: unable to create new content in namespace ns because it is being terminated"
    );
    let namespaces = scheme.lookup("", "v1", "namespaces").unwrap();
    assert!(check_delete(namespaces, "kube-system").is_err());
    assert!(check_delete(namespaces, "mine").is_ok());
}
