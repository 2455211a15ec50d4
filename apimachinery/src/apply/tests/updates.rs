//! Ownership by writes that are no apply.

use serde_json::{Value, json};

use super::{BEFORE, NOW, Object, config_map, rules, rules_of};
use crate::apply::{Managers, ScaledField};

fn deployment() -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "d", "labels": {"a": "1"}, "uid": "u", "generation": 1},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": "a"}},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%"}},
            "template": {
                "metadata": {"labels": {"app": "a"}},
                "spec": {
                    "securityContext": {},
                    "containers": [{
                        "name": "c", "image": "i", "resources": {},
                        "env": [{"name": "A", "value": "1"}],
                        "ports": [{"containerPort": 80, "protocol": "TCP"}],
                    }],
                    "volumes": [{"name": "v", "emptyDir": {}}],
                    "tolerations": [{"key": "x"}],
                },
            },
        },
        "status": {"replicas": 1},
    })
}

#[test]
fn a_create_owns_what_it_says_but_not_what_is_always_there() {
    let made = Object::absent("Deployment").updated("m", deployment());
    assert_eq!(
        made.owners(),
        json!({"m Update": {
            "f:metadata": {"f:labels": {".": {}, "f:a": {}}},
            "f:spec": {
                "f:replicas": {},
                // Atomic.
                "f:selector": {},
                "f:strategy": {"f:rollingUpdate": {".": {}, "f:maxSurge": {}}, "f:type": {}},
                "f:template": {
                    "f:metadata": {"f:labels": {".": {}, "f:app": {}}},
                    "f:spec": {
                        "f:containers": {"k:{\"name\":\"c\"}": {
                            ".": {}, "f:image": {}, "f:name": {}, "f:resources": {},
                            "f:env": {".": {}, "k:{\"name\":\"A\"}": {".": {}, "f:name": {}, "f:value": {}}},
                            "f:ports": {".": {}, "k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {
                                ".": {}, "f:containerPort": {}, "f:protocol": {},
                            }},
                        }},
                        "f:securityContext": {},
                        // A list without keys is one value.
                        "f:tolerations": {},
                        "f:volumes": {".": {}, "k:{\"name\":\"v\"}": {".": {}, "f:emptyDir": {}, "f:name": {}}},
                    },
                },
            },
        }})
    );
}

#[test]
fn an_update_takes_what_it_changes() {
    let made = Object::absent("ConfigMap").updated("one", config_map(json!({"x": "1", "y": "2"})));
    // new data, owners
    for (data, owners) in [
        // The same again.
        (
            json!({"x": "1", "y": "2"}),
            json!({"one Update": {"f:data": {".": {}, "f:x": {}, "f:y": {}}}}),
        ),
        (
            json!({"x": "9", "y": "2"}),
            json!({
                "one Update": {"f:data": {".": {}, "f:y": {}}},
                "two Update": {"f:data": {"f:x": {}}},
            }),
        ),
        (
            json!({"x": "1", "y": "2", "z": "3"}),
            json!({
                "one Update": {"f:data": {".": {}, "f:x": {}, "f:y": {}}},
                "two Update": {"f:data": {"f:z": {}}},
            }),
        ),
        // What is removed belongs to nobody.
        (
            json!({"y": "2"}),
            json!({"one Update": {"f:data": {".": {}, "f:y": {}}}}),
        ),
        // The map stays when all is replaced.
        (
            json!({"z": "1"}),
            json!({"one Update": {"f:data": {}}, "two Update": {"f:data": {"f:z": {}}}}),
        ),
        // Managers without fields go.
        (json!({}), json!({})),
    ] {
        let changed = made.updated("two", config_map(data.clone()));
        assert_eq!(changed.owners(), owners, "{data}");
    }
}

#[test]
fn an_object_whose_owners_were_not_kept_stays_without() {
    let before = Object {
        rules: "ConfigMap",
        value: Some(config_map(json!({"x": "1"}))),
        managed: b"[]".to_vec(),
    };
    let after = before.updated("m", config_map(json!({"x": "2"})));
    assert_eq!(after.owners(), json!({}));
}

#[test]
fn the_time_moves_only_when_a_field_does() {
    let rules = rules_of("ConfigMap");
    let made =
        Object::absent("ConfigMap").updated_at(&rules, "m", BEFORE, config_map(json!({"x": "1"})));
    let time = |object: &Object| {
        serde_json::from_slice::<Value>(&object.managed).expect("JSON")[0]["time"].clone()
    };
    let same = made.updated("m", config_map(json!({"x": "1"})));
    assert_eq!(same.managed, made.managed);
    let mut moved = config_map(json!({"x": "1"}));
    moved["metadata"]["generation"] = json!(7);
    assert_eq!(time(&made.updated("m", moved)), BEFORE);
    assert_eq!(time(&made.updated("m", config_map(json!({"x": "2"})))), NOW);
}

#[test]
fn fields_that_a_subresource_cannot_set_stay_with_their_owners() {
    let made = Object::absent("Deployment").updated("m", deployment());
    let status = crate::apply::Ownership {
        subresource: "status",
        reset: &[&["spec"], &["metadata", "labels"]],
        ..rules("apps/v1", "Deployment")
    };
    let mut new = deployment();
    new["spec"]["replicas"] = json!(9);
    new["metadata"]["labels"]["a"] = json!("9");
    new["metadata"]["annotations"] = json!({"n": "1"});
    new["status"] = json!({"replicas": 3, "conditions": [{"type": "T", "status": "True"}]});
    let after = made.updated_at(&status, "k", NOW, new);
    assert_eq!(after.owners()["m Update"], made.owners()["m Update"]);
    assert_eq!(
        after.owners()["k Update"],
        json!({
            "f:metadata": {"f:annotations": {".": {}, "f:n": {}}},
            "f:status": {
                "f:conditions": {".": {}, "k:{\"type\":\"T\"}": {
                    ".": {}, "f:lastTransitionTime": {}, "f:lastUpdateTime": {}, "f:status": {}, "f:type": {},
                }},
                "f:replicas": {},
            },
        })
    );
}

#[test]
fn items_that_appear_twice_are_owned_together() {
    let with = |values: &[&str]| {
        let mut new = deployment();
        new["spec"]["template"]["spec"]["containers"][0]["env"] = values
            .iter()
            .map(|v| json!({"name": "A", "value": v}))
            .collect();
        new
    };
    let env = |object: &Object| {
        object.owners()["m Update"]["f:spec"]["f:template"]["f:spec"]["f:containers"]["k:{\"name\":\"c\"}"]
            ["f:env"]
            .clone()
    };
    let once = json!({".": {}, "k:{\"name\":\"A\"}": {".": {}, "f:name": {}, "f:value": {}}});
    let twice = json!({".": {}, "k:{\"name\":\"A\"}": {}});
    let made = Object::absent("Deployment").updated("m", with(&["1", "2"]));
    assert_eq!(env(&made), twice);
    assert_eq!(env(&made.updated("m", with(&["1", "3"]))), twice);
    assert_eq!(env(&made.updated("m", with(&["3"]))), once);
    let single = Object::absent("Deployment").updated("m", with(&["1"]));
    assert_eq!(env(&single), once);
    assert_eq!(env(&single.updated("m", with(&["1", "2"]))), twice);
}

#[test]
fn old_updates_become_one_manager() {
    let rules = rules_of("ConfigMap");
    let mut object = Object::absent("ConfigMap");
    let mut data = json!({});
    for i in 0..12 {
        data[format!("k{i:02}")] = json!("1");
        let time = format!("2025-01-01T00:00:{i:02}Z");
        let manager = format!("m{i:02}");
        object = object.updated_at(&rules, &manager, &time, config_map(data.clone()));
    }
    let owners = object.owners();
    assert_eq!(owners.as_object().map(serde_json::Map::len), Some(10));
    assert_eq!(
        owners["ancient-changes Update"],
        json!({"f:data": {".": {}, "f:k00": {}, "f:k01": {}, "f:k02": {}}})
    );
    assert_eq!(owners["m11 Update"], json!({"f:data": {"f:k11": {}}}));
}

#[test]
fn a_schema_that_changed_is_followed() {
    // A selector used to be granular, a map of data used to be one value.
    let managed = br#"[{"apiVersion":"apps/v1","fieldsType":"FieldsV1","fieldsV1":{"f:spec":{"f:selector":{"f:matchLabels":{".":{},"f:app":{}}},"f:template":{"f:metadata":{"f:labels":{}}}}},"manager":"old","operation":"Update"}]"#;
    let before = Object {
        rules: "Deployment",
        value: Some(super::complete(&rules_of("Deployment"), deployment())),
        managed: managed.to_vec(),
    };
    let mut new = deployment();
    new["spec"]["replicas"] = json!(2);
    let after = before.updated("m", new);
    assert_eq!(
        after.owners()["old Update (no time)"],
        json!({"f:spec": {
            "f:selector": {},
            "f:template": {"f:metadata": {"f:labels": {".": {}, "f:app": {}}}},
        }})
    );
}

#[test]
fn who_scales_takes_replicas() {
    let field = ScaledField {
        api_version: "apps/v1",
        path: &["spec", "replicas"],
    };
    let entry = |manager: &str, version: &str, fields: &str, rest: &str| {
        format!(
            r#"{{"apiVersion":"{version}","fieldsType":"FieldsV1","fieldsV1":{fields},"manager":"{manager}","operation":"Update"{rest}}}"#
        )
    };
    let timed = r#","time":"2025-01-01T00:00:00Z""#;
    let parent = format!(
        "[{},{}]",
        entry(
            "a",
            "apps/v1",
            r#"{"f:spec":{"f:paused":{},"f:replicas":{}}}"#,
            timed
        ),
        entry("b", "apps/v1", r#"{"f:spec":{"f:paused":{}}}"#, timed),
    );
    let parent = Managers::parse(parent.as_bytes()).unwrap();
    let scale = field.to_scale(&parent);
    let text = |managers: &Managers<'_>| {
        String::from_utf8(managers.to_json().unwrap_or_default()).unwrap()
    };
    assert_eq!(
        text(&scale),
        format!(
            "[{}]",
            entry(
                "a",
                "autoscaling/v1",
                r#"{"f:spec":{"f:replicas":{}}}"#,
                timed
            )
        )
    );
    // Nothing changed.
    assert_eq!(field.to_parent(parent.clone(), &scale), parent);
    // Another one set it.
    let scaler = format!(
        "[{}]",
        entry(
            "s",
            "autoscaling/v1",
            r#"{"f:spec":{"f:replicas":{}}}"#,
            r#","subresource":"scale","time":"2025-01-01T00:00:00Z""#
        )
    );
    let scaler = Managers::parse(scaler.as_bytes()).unwrap();
    assert_eq!(
        text(&field.to_parent(parent.clone(), &scaler)),
        format!(
            "[{},{},{}]",
            entry(
                "s",
                "apps/v1",
                r#"{"f:spec":{"f:replicas":{}}}"#,
                r#","subresource":"scale""#
            ),
            entry("a", "apps/v1", r#"{"f:spec":{"f:paused":{}}}"#, timed),
            entry("b", "apps/v1", r#"{"f:spec":{"f:paused":{}}}"#, timed),
        )
    );
}
