use ferrule_apimachinery::scheme::Scheme;

use super::*;

const NOW: &str = "2026-01-01T00:00:00Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

/// What becomes of an object of `plural` when it is deleted with these DeleteOptions, and how.
fn deleted(plural: &str, mut object: Value, options: Value) -> (End, Value) {
    let scheme = Scheme::builtin();
    let resource = scheme.find(plural).unwrap();
    let options = DeleteOptions::read(&options).unwrap();
    let how = end(&mut object, resource, &options, now());
    (how, object)
}

#[test]
fn propagation_is_recorded_as_finalizers() {
    use Propagation::{Background, Foreground, Orphan};
    type Case<'a> = (
        &'a [&'a str],
        Option<Propagation>,
        Option<Propagation>,
        &'a [&'a str],
    );
    let table: &[Case<'_>] = &[
        (&[], Some(Background), None, &[]),
        (
            &["a/b"],
            Some(Background),
            Some(Foreground),
            &["a/b", FOREGROUND],
        ),
        (&[], Some(Background), Some(Orphan), &[ORPHAN]),
        (&[], Some(Orphan), None, &[ORPHAN]),
        (&[], Some(Orphan), Some(Background), &[]),
        (&[ORPHAN], Some(Background), None, &[ORPHAN]),
        (&[FOREGROUND], Some(Orphan), None, &[FOREGROUND]),
        (
            &[ORPHAN, "a/b"],
            Some(Background),
            Some(Foreground),
            &["a/b", FOREGROUND],
        ),
        (
            &[FOREGROUND, "a/b"],
            Some(Background),
            Some(Background),
            &["a/b"],
        ),
        (
            &[ORPHAN, "a/b"],
            Some(Background),
            Some(Orphan),
            &[ORPHAN, "a/b"],
        ),
        // Kinds whose objects own nothing.
        (&[], None, Some(Foreground), &[]),
        (&[ORPHAN, "a/b"], None, Some(Orphan), &["a/b"]),
    ];
    for (before, default, asked, after) in table {
        let mut object = json!({"metadata": {"finalizers": before}});
        set_finalizers(&mut object, *default, *asked);
        let found = object["metadata"]["finalizers"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        assert_eq!(Value::from(found), json!(after), "{before:?} {asked:?}");
    }
}

#[test]
fn an_object_goes_unless_something_holds_it() {
    for (plural, finalizers, options, expected) in [
        ("configmaps", json!([]), json!({}), End::Now),
        ("configmaps", json!(["a/b"]), json!({}), End::Later),
        (
            "configmaps",
            json!([]),
            json!({"propagationPolicy": "Foreground"}),
            End::Later,
        ),
        (
            "deployments",
            json!([]),
            json!({"propagationPolicy": "Orphan"}),
            End::Later,
        ),
        (
            "deployments",
            json!([]),
            json!({"propagationPolicy": "Background"}),
            End::Now,
        ),
        (
            "deployments",
            json!([]),
            json!({"orphanDependents": true}),
            End::Later,
        ),
        (
            "deployments",
            json!([]),
            json!({"orphanDependents": false}),
            End::Now,
        ),
        (
            "deployments",
            json!([ORPHAN]),
            json!({"orphanDependents": false}),
            End::Now,
        ),
        (
            "deployments",
            json!([]),
            json!({"gracePeriodSeconds": 30}),
            End::Now,
        ),
        (
            "events",
            json!([]),
            json!({"propagationPolicy": "Foreground"}),
            End::Now,
        ),
    ] {
        let object = json!({"metadata": {"generation": 3, "finalizers": finalizers}});
        let (how, object) = deleted(plural, object, options.clone());
        assert_eq!(how, expected, "{plural} {options}");
        if how == End::Later {
            let metadata = &object["metadata"];
            assert_eq!(metadata["deletionTimestamp"], NOW, "{plural} {options}");
            assert_eq!(metadata["deletionGracePeriodSeconds"], 0);
            assert_eq!(metadata["generation"], 4);
        }
    }
}

#[test]
fn an_object_that_waits_for_its_finalizers_keeps_its_mark() {
    let since = "2025-12-31T23:59:00Z";
    let object = json!({"metadata": {
        "generation": 4, "finalizers": ["a/b"], "deletionTimestamp": since, "deletionGracePeriodSeconds": 0,
    }});
    let (how, after) = deleted(
        "deployments",
        object.clone(),
        json!({"propagationPolicy": "Orphan"}),
    );
    assert_eq!(how, End::Later);
    assert_eq!(after["metadata"]["finalizers"], json!(["a/b", ORPHAN]));
    assert_eq!(after["metadata"]["deletionTimestamp"], since);
    assert_eq!(after["metadata"]["generation"], 4);
}

#[test]
fn a_pod_is_given_its_grace_when_it_runs() {
    let on_node = json!({"nodeName": "n", "terminationGracePeriodSeconds": 30});
    for (spec, phase, options, grace) in [
        (
            json!({"terminationGracePeriodSeconds": 30}),
            "Pending",
            json!({}),
            0,
        ),
        (on_node.clone(), "Running", json!({}), 30),
        (
            on_node.clone(),
            "Running",
            json!({"gracePeriodSeconds": 5}),
            5,
        ),
        (
            on_node.clone(),
            "Running",
            json!({"gracePeriodSeconds": 0}),
            0,
        ),
        (
            on_node.clone(),
            "Running",
            json!({"gracePeriodSeconds": -7}),
            1,
        ),
        (on_node.clone(), "Succeeded", json!({}), 0),
        (
            on_node.clone(),
            "Failed",
            json!({"gracePeriodSeconds": 5}),
            0,
        ),
        (
            json!({"nodeName": "n", "terminationGracePeriodSeconds": -3}),
            "Running",
            json!({}),
            1,
        ),
    ] {
        let pod = json!({"metadata": {"generation": 1}, "spec": spec, "status": {"phase": phase}});
        let (how, after) = deleted("pods", pod, options.clone());
        let expected = if grace == 0 { End::Now } else { End::Later };
        assert_eq!(how, expected, "{spec} {phase} {options}");
        let metadata = &after["metadata"];
        assert_eq!(
            metadata["deletionGracePeriodSeconds"], grace,
            "{spec} {options}"
        );
        let when = seconds(now() + SignedDuration::from_secs(grace));
        assert_eq!(metadata["deletionTimestamp"], when);
        assert_eq!(metadata["generation"], 2);
    }
}

#[test]
fn a_grace_that_runs_only_becomes_shorter() {
    let pod = json!({
        "metadata": {"deletionTimestamp": "2026-01-01T00:00:20Z", "deletionGracePeriodSeconds": 30},
        "spec": {"nodeName": "n"},
    });
    for (options, how, left, when) in [
        (json!({}), End::AsItIs, 30, "2026-01-01T00:00:20Z"),
        (
            json!({"gracePeriodSeconds": 30}),
            End::AsItIs,
            30,
            "2026-01-01T00:00:20Z",
        ),
        (
            json!({"gracePeriodSeconds": 60}),
            End::AsItIs,
            30,
            "2026-01-01T00:00:20Z",
        ),
        (
            json!({"gracePeriodSeconds": 10}),
            End::Later,
            10,
            "2026-01-01T00:00:00Z",
        ),
        (
            json!({"gracePeriodSeconds": -1}),
            End::Later,
            1,
            "2025-12-31T23:59:51Z",
        ),
        (
            json!({"gracePeriodSeconds": 0}),
            End::Now,
            0,
            "2025-12-31T23:59:50Z",
        ),
        // What holds it is not asked for any more once it ends.
        (
            json!({"propagationPolicy": "Orphan"}),
            End::AsItIs,
            30,
            "2026-01-01T00:00:20Z",
        ),
    ] {
        let (found, after) = deleted("pods", pod.clone(), options.clone());
        let metadata = &after["metadata"];
        assert_eq!(found, how, "{options}");
        assert_eq!(metadata["deletionGracePeriodSeconds"], left, "{options}");
        assert_eq!(metadata["deletionTimestamp"], when, "{options}");
    }
    let mut held = pod;
    held["metadata"]["finalizers"] = json!(["a/b"]);
    let (found, after) = deleted("pods", held, json!({"gracePeriodSeconds": 0}));
    assert_eq!(found, End::Later);
    assert_eq!(after["metadata"]["deletionGracePeriodSeconds"], 0);
}

#[test]
fn a_namespace_terminates_until_its_content_is_gone() {
    let namespace = json!({
        "metadata": {"name": "n"}, "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"},
    });
    let (how, ending) = deleted(
        "namespaces",
        namespace,
        json!({"propagationPolicy": "Foreground"}),
    );
    assert_eq!(how, End::Later);
    assert_eq!(ending["status"]["phase"], "Terminating");
    assert_eq!(ending["metadata"]["finalizers"], json!([FOREGROUND]));
    let (how, _) = deleted("namespaces", ending.clone(), json!({}));
    assert_eq!(how, End::AsItIs);
    let mut empty = ending;
    empty["spec"]["finalizers"] = json!([]);
    let (how, _) = deleted("namespaces", empty.clone(), json!({}));
    assert_eq!(how, End::Later, "its own finalizer still holds it");
    let (how, _) = deleted(
        "namespaces",
        empty,
        json!({"propagationPolicy": "Background"}),
    );
    assert_eq!(how, End::Now);
}

#[test]
fn options_that_contradict_themselves_are_refused() {
    let invalid = "DeleteOptions.meta.k8s.io \"\" is invalid: ";
    let unsupported = |value: &str| {
        format!(
            "propagationPolicy: Unsupported value: {value:?}: supported values: \"Foreground\", \"Background\", \
             \"Orphan\", \"nil\""
        )
    };
    let both = |value: &str| {
        format!(
            "propagationPolicy: Invalid value: {value:?}: orphanDependents and deletionPropagation cannot be both set"
        )
    };
    for (options, why) in [
        (json!({"propagationPolicy": "Never"}), unsupported("Never")),
        (json!({"propagationPolicy": ""}), unsupported("")),
        (
            json!({"propagationPolicy": "Orphan", "orphanDependents": true}),
            both("Orphan"),
        ),
        (
            json!({"propagationPolicy": "Never", "orphanDependents": true}),
            format!("[{}, {}]", both("Never"), unsupported("Never")),
        ),
        (
            json!({"dryRun": ["Some"]}),
            "dryRun: Unsupported value: [\"Some\"]: supported values: \"All\"".to_owned(),
        ),
    ] {
        let refusal = DeleteOptions::read(&options).unwrap_err();
        assert_eq!(refusal.message, format!("{invalid}{why}"));
        assert_eq!(refusal.http_code(), 422);
    }
}
