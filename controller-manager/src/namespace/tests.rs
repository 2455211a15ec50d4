use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::json;

use super::plan::{Observed, Plan, Remaining, plan};
use crate::objects::namespace::Namespace;

fn namespace() -> Namespace {
    serde_json::from_value(json!({
        "metadata": {"name": "shop", "deletionTimestamp": "2026-01-02T03:04:05Z"},
        "spec": {"finalizers": ["kubernetes"]},
        "status": {"phase": "Terminating"},
    }))
    .unwrap()
}

fn now() -> Timestamp {
    "2026-01-02T03:04:05Z".parse().unwrap()
}

#[test]
fn an_empty_namespace_is_finalized() {
    let namespace = namespace();
    let observed = Observed {
        namespace: Some(&namespace),
        ..Observed::default()
    };
    assert_eq!(
        plan(&observed, now()),
        Plan {
            finalize: true,
            ..Plan::default()
        }
    );
}

#[test]
fn what_stands_in_the_way_is_said_in_upstreams_words() {
    let mut namespace = namespace();
    let remaining = vec![
        Remaining {
            resource: "pods".to_owned(),
            count: 2,
            grace_seconds: 20,
            ..Remaining::default()
        },
        Remaining {
            resource: "deployments".to_owned(),
            group: "apps".to_owned(),
            count: 1,
            finalizers: BTreeMap::from([("example.com/hold".to_owned(), 1)]),
            ..Remaining::default()
        },
        Remaining {
            resource: "services".to_owned(),
            ..Remaining::default()
        },
    ];
    let observed = Observed {
        namespace: Some(&namespace),
        remaining: remaining.clone(),
        ..Observed::default()
    };
    let first = plan(&observed, now());
    assert_eq!(first.next, Some(std::time::Duration::from_secs(11)));
    let conditions = first.conditions.unwrap();
    let said: Vec<_> = conditions
        .iter()
        .map(|c| {
            (
                c.r#type.as_str(),
                c.status.as_str(),
                c.reason.as_str(),
                c.message.as_str(),
            )
        })
        .collect();
    assert_eq!(
        said,
        [
            (
                "NamespaceDeletionDiscoveryFailure",
                "False",
                "ResourcesDiscovered",
                "All resources successfully discovered"
            ),
            (
                "NamespaceDeletionGroupVersionParsingFailure",
                "False",
                "ParsedGroupVersions",
                "All legacy kube types successfully parsed"
            ),
            (
                "NamespaceDeletionContentFailure",
                "False",
                "ContentDeleted",
                "All content successfully deleted, may be waiting on finalization"
            ),
            (
                "NamespaceContentRemaining",
                "True",
                "SomeResourcesRemain",
                "Some resources are remaining: deployments.apps has 1 resource instances, pods. has 2 resource instances"
            ),
            (
                "NamespaceFinalizersRemaining",
                "True",
                "SomeFinalizersRemain",
                "Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances"
            ),
        ]
    );
    namespace.status.conditions = conditions;
    let observed = Observed {
        namespace: Some(&namespace),
        remaining,
        ..Observed::default()
    };
    assert_eq!(plan(&observed, now()).conditions, None);
}

#[test]
fn a_failure_to_discover_or_delete_keeps_the_namespace() {
    let namespace = namespace();
    for observed in [
        Observed {
            discovery_error: Some("down".to_owned()),
            ..Observed::default()
        },
        Observed {
            delete_errors: vec!["forbidden".to_owned()],
            ..Observed::default()
        },
    ] {
        let plan = plan(
            &Observed {
                namespace: Some(&namespace),
                ..observed
            },
            now(),
        );
        assert!(!plan.finalize && plan.conditions.is_some());
    }
}

#[test]
fn what_is_left_for_no_reason_is_a_failure() {
    let namespace = namespace();
    let observed = Observed {
        namespace: Some(&namespace),
        remaining: vec![Remaining {
            resource: "jobs".to_owned(),
            group: "batch".to_owned(),
            version: "v1".to_owned(),
            count: 1,
            ..Remaining::default()
        }],
        ..Observed::default()
    };
    let conditions = plan(&observed, now()).conditions.unwrap();
    let failure = conditions
        .iter()
        .find(|own| own.r#type == "NamespaceDeletionContentFailure")
        .unwrap();
    assert_eq!(
        (&*failure.status, &*failure.reason, &*failure.message),
        (
            "True",
            "ContentDeletionFailed",
            "Failed to delete all resource types, 1 remaining: unexpected items still remain in namespace: shop for gvr: batch/v1, Resource=jobs"
        )
    );
}
