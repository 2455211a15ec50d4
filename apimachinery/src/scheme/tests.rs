//! The table says what upstream's discovery says.

use super::*;

#[test]
fn resources_are_found_by_path_kind_and_what_people_type() {
    let scheme = Scheme::builtin();
    assert_eq!(scheme.get(&gvr::PODS).unwrap().kind, "Pod");
    assert_eq!(
        scheme
            .by_api_version_kind("apps/v1", "Deployment")
            .unwrap()
            .plural,
        "deployments"
    );
    for (typed, plural) in [
        ("po", "pods"),
        ("pods", "pods"),
        ("Pod", "pods"),
        ("deploy", "deployments"),
        ("deployments.apps", "deployments"),
        ("deployments.v1.apps", "deployments"),
        ("pods.v1", "pods"),
        ("svc", "services"),
        ("endpointslice.discovery.k8s.io", "endpointslices"),
        ("leases", "leases"),
        ("pdb", "poddisruptionbudgets"),
        ("pc", "priorityclasses"),
    ] {
        assert_eq!(scheme.find(typed).unwrap().plural, plural, "{typed}");
    }
    assert!(scheme.find("deployments.v2.apps").is_none());
    assert!(scheme.find("things").is_none());
}

#[test]
fn keys_are_written_and_read_back() {
    let scheme = Scheme::builtin();
    for (name, namespace, object, key) in [
        (gvr::PODS, "default", "web", "/registry/pods/default/web"),
        (gvr::NODES, "", "node1", "/registry/nodes/node1"),
        (gvr::DEPLOYMENTS, "a", "b", "/registry/apps/deployments/a/b"),
        (
            gvr::IP_ADDRESSES,
            "",
            "10.96.0.1",
            "/registry/networking.k8s.io/ipaddresses/10.96.0.1",
        ),
    ] {
        let resource = scheme.get(&name).unwrap();
        assert_eq!(resource.key(namespace, object), key);
        let (found, ns, n) = scheme.by_key(key).unwrap();
        assert_eq!((found.gvr(), ns, n), (name, namespace, object));
    }
    for foreign in [
        "/registry/pods/default",
        "/registry/things/a/b",
        "/ferrule/compaction",
    ] {
        assert!(scheme.by_key(foreign).is_none(), "{foreign}");
    }
}

#[test]
fn unknown_field_labels_are_refused_in_upstream_words() {
    let scheme = Scheme::builtin();
    let message = |name, field| {
        scheme
            .get(&name)
            .unwrap()
            .check_field(field)
            .unwrap_err()
            .message
    };
    assert!(
        scheme
            .get(&gvr::PODS)
            .unwrap()
            .check_field("spec.nodeName")
            .is_ok()
    );
    assert!(
        scheme
            .get(&gvr::CONFIG_MAPS)
            .unwrap()
            .check_field("metadata.namespace")
            .is_ok()
    );
    assert_eq!(
        message(gvr::PODS, "spec.nothing"),
        "field label not supported: spec.nothing"
    );
    assert_eq!(
        message(gvr::NODES, "metadata.namespace"),
        "field label not supported: metadata.namespace"
    );
    assert_eq!(
        message(gvr::CONFIG_MAPS, "data.n"),
        "\"data.n\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
    );
}

#[test]
fn every_row_is_found_again_and_stored_in_a_form_that_exists() {
    let scheme = Scheme::builtin();
    let mut names = std::collections::HashSet::new();
    for row in scheme.iter() {
        assert!(names.insert(row.gvr()), "{} twice", row.gvr());
        let kind = scheme.by_kind(&row.group, &row.version, &row.kind);
        assert_eq!(kind.unwrap().plural, row.plural);
        let stored = scheme.stored_form(row);
        assert!(stored.is_stored_form(), "{}", row.gvr());
        assert_eq!(stored.storage_prefix(), row.storage_prefix());
        assert_eq!(stored.storage_version_hash, row.storage_version_hash);
        for field in &row.selectable_fields {
            assert!(stored.check_field(&field.stored).is_ok(), "{}", field.name);
        }
        let sorted = |list: &[Cow<'static, str>]| list.is_sorted();
        assert!(sorted(&row.verbs), "{}", row.gvr());
        assert!(row.subresources.is_sorted_by_key(|part| part.name.clone()));
        assert!(row.subresources.iter().all(|part| sorted(&part.verbs)));
    }
    assert_eq!(names.len(), 68);
}

#[test]
fn several_versions_of_a_kind_are_stored_as_one() {
    let scheme = Scheme::builtin();
    for (group, version, plural, prefix) in [
        ("events.k8s.io", "v1", "events", "/registry/events/"),
        (
            "autoscaling",
            "v1",
            "horizontalpodautoscalers",
            "/registry/autoscaling/horizontalpodautoscalers/",
        ),
    ] {
        let row = scheme.lookup(group, version, plural).unwrap();
        assert!(!row.is_stored_form());
        assert_eq!(row.storage_prefix(), prefix);
    }
    assert_eq!(scheme.find("hpa").unwrap().version, "v2");
    assert_eq!(scheme.find("events").unwrap().group, "");
    assert!(!scheme.lookup("", "v1", "bindings").unwrap().is_kept());
}
