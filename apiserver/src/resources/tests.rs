//! What holds for every kind.

use ferrule_apimachinery::Scheme;
use ferrule_apimachinery::field::FieldError;
use serde_json::{Value, json};

use super::table::human_duration;
use super::{Context, format, go_form, meta, rules_for, selector};

/// The context of a request in tests.
pub fn context() -> Context<'static> {
    Context {
        now: "2026-01-01T00:00:00Z".parse().unwrap(),
        user: "tester",
        uid: "1042",
        groups: groups(),
        api_version: "v1",
        respaced: false,
    }
}

fn groups() -> &'static [String] {
    static GROUPS: std::sync::LazyLock<[String; 1]> =
        std::sync::LazyLock::new(|| ["testers".to_owned()]);
    &*GROUPS
}

/// The errors as lines.
pub fn lines(errors: Vec<FieldError>) -> Vec<String> {
    errors.iter().map(ToString::to_string).collect()
}

/// Sets a value at a path of names and indices, `spec.containers.0.name`.
pub fn with(mut object: Value, path: &str, value: Value) -> Value {
    let mut place = &mut object;
    for step in path.split('.') {
        place = match step.parse::<usize>() {
            Ok(index) => &mut place[index],
            Err(_) => &mut place[step],
        };
    }
    *place = value;
    object
}

#[test]
fn every_row_has_a_cell_for_every_column() {
    for resource in Scheme::builtin().iter() {
        let rules = rules_for(resource);
        let row = rules.row(&json!({ "metadata": { "name": "x" } }), context().now);
        assert_eq!(
            row.cells.len(),
            rules.columns().len(),
            "{}",
            resource.plural
        );
    }
}

#[test]
fn defaults_of_an_empty_object_are_complete_after_one_pass() {
    for resource in Scheme::builtin().iter() {
        let mut once = json!({ "metadata": { "name": "x" }, "spec": {} });
        rules_for(resource).default(&mut once);
        let mut twice = once.clone();
        rules_for(resource).default(&mut twice);
        assert_eq!(once, twice, "{}", resource.plural);
    }
}

#[test]
fn metadata_is_refused_in_upstreams_words() {
    let good = json!({ "metadata": { "name": "x", "namespace": "default" } });
    let pod = |name: &str, uid: &str| json!({ "apiVersion": "v1", "kind": "Pod", "name": name, "uid": uid, "controller": true });
    let cases = [
        (
            "name",
            json!(""),
            "metadata.name: Required value: name or generateName is required",
        ),
        ("namespace", json!(""), "metadata.namespace: Required value"),
        (
            "labels",
            json!({ "/x": "y" }),
            "metadata.labels: Invalid value: \"/x\": prefix part must be non-empty",
        ),
        (
            "annotations",
            json!({ "/x": "y" }),
            "metadata.annotations: Invalid value: \"/x\": prefix part must be non-empty",
        ),
        (
            "finalizers",
            json!(["plain"]),
            "metadata.finalizers[0]: Invalid value: \"plain\": name is neither a standard finalizer name nor is it fully qualified",
        ),
        (
            "ownerReferences",
            json!([pod("x", "")]),
            "metadata.ownerReferences.uid: Invalid value: \"\": must not be empty",
        ),
        (
            "ownerReferences",
            json!([pod("x", "1"), pod("y", "2")]),
            "metadata.ownerReferences: Invalid value: [{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"name\":\"x\",\"uid\":\"1\",\"controller\":true},{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"name\":\"y\",\"uid\":\"2\",\"controller\":true}]: Only one reference can have Controller set to true. Found \"true\" in references for Pod/x and Pod/y",
        ),
    ];
    for (field, value, expected) in cases {
        let object = with(good.clone(), &format!("metadata.{field}"), value);
        let errors = meta::validate_create(&object, true, meta::NameRule::Subdomain);
        assert_eq!(lines(errors.into_errors()), [expected]);
    }
}

#[test]
fn a_changed_uid_is_told_by_the_verb_and_by_the_kind() {
    let old = json!({ "metadata": { "name": "x", "namespace": "default", "uid": "1" } });
    let new = with(old.clone(), "metadata.uid", json!("2"));
    let expected = "metadata.uid: Invalid value: \"2\": field is immutable";
    assert_eq!(
        lines(meta::validate_update(&new, &old).into_errors()),
        [expected; 2]
    );
    assert!(meta::validate_update(&old, &old).is_empty());
}

#[test]
fn a_deleted_object_gets_no_new_finalizers() {
    let old = json!({ "metadata": { "name": "x", "deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["a.b/c"] } });
    let new = with(
        old.clone(),
        "metadata.finalizers",
        json!(["a.b/c", "a.b/d"]),
    );
    let errors = lines(meta::validate_update(&new, &old).into_errors());
    let expected = "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{\"a.b/d\"}";
    assert_eq!(errors[0], expected);
}

#[test]
fn the_status_cannot_bring_anything_but_metadata_with_it() {
    let old = json!({ "metadata": { "name": "x", "generation": 3 }, "spec": { "a": 1 }, "status": { "b": 1 } });
    let mut new = json!({
        "metadata": { "name": "x", "labels": { "l": "1" }, "generation": 9 },
        "spec": { "a": 2 }, "data": {}, "status": { "b": 2 },
    });
    meta::keep_all_but_status(&mut new, &old);
    let expected = json!({
        "metadata": { "name": "x", "labels": { "l": "1" }, "generation": 3 },
        "spec": { "a": 1 }, "status": { "b": 2 },
    });
    assert_eq!(new, expected);
}

#[test]
fn times_are_shortened_as_in_tables() {
    let (minute, hour, day) = (60.0, 3600.0, 86400.0);
    let cases = [
        (-5.0, "<invalid>"),
        (-0.5, "0s"),
        (0.0, "0s"),
        (119.0, "119s"),
        (2.0 * minute, "2m"),
        (2.0 * minute + 5.0, "2m5s"),
        (59.0 * minute, "59m"),
        (3.0 * hour, "3h"),
        (3.0 * hour + 20.0 * minute, "3h20m"),
        (47.0 * hour, "47h"),
        (2.0 * day, "2d"),
        (2.0 * day + hour, "2d1h"),
        (30.0 * day, "30d"),
        (800.0 * day, "2y70d"),
        (4000.0 * day, "10y"),
    ];
    for (seconds, expected) in cases {
        assert_eq!(human_duration(seconds), expected, "{seconds}");
    }
}

#[test]
fn selectors_have_one_text_form_and_match_by_it() {
    let selector = json!({
        "matchLabels": { "app": "a" },
        "matchExpressions": [
            { "key": "tier", "operator": "NotIn", "values": ["y", "x"] },
            { "key": "extra", "operator": "Exists" },
            { "key": "gone", "operator": "DoesNotExist" },
        ],
    });
    assert_eq!(
        selector::to_text(&selector),
        "app=a,extra,!gone,tier notin (x,y)"
    );
    assert!(selector::matches(
        &selector,
        &json!({ "app": "a", "extra": "" })
    ));
    for labels in [
        json!({ "app": "a" }),
        json!({ "app": "a", "extra": "", "tier": "x" }),
        json!(null),
    ] {
        assert!(!selector::matches(&selector, &labels), "{labels}");
    }
    assert!(
        !selector::matches(&json!(null), &json!({})),
        "an absent selector matches nothing"
    );
    assert!(!selector::is_usable(
        &json!({ "matchExpressions": [{ "key": "a", "operator": "Eq" }] })
    ));
}

#[test]
fn internal_structs_print_with_all_their_fields_in_order() {
    let port = json!({ "port": 1, "protocol": "TCP" });
    let expected =
        r#"{"Name":"","Protocol":"TCP","AppProtocol":null,"Port":1,"TargetPort":0,"NodePort":0}"#;
    assert_eq!(go_form::compact("ServicePort", &port), expected);
}

#[test]
fn addresses_that_lead_nowhere_are_refused() {
    let cases = [
        ("192.0.2.1", 0),
        ("2001:db8::1", 0),
        ("127.0.0.1", 1),
        ("::1", 1),
        ("0.0.0.0", 1),
        ("169.254.1.1", 1),
        ("fe80::1", 1),
        ("224.0.0.5", 1),
        ("x", 1),
    ];
    for (address, problems) in cases {
        assert_eq!(format::non_special_ip(address).len(), problems, "{address}");
    }
    assert_eq!(format::parse_ip("010.0.0.1"), "10.0.0.1".parse().ok());
    assert!(format::cidr("10.0.0.0/33").is_some() && format::cidr("10.0.0.0/8").is_none());
}
