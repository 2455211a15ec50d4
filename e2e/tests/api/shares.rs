//! What several appliers have in an object: items of lists, keys of maps, and what goes when one of them leaves
//! it out.

use serde_json::{Value, json};

use crate::applies::{apply, apply_web, data, web};
use crate::stage::{Stage, at, causes, same, text};

pub fn what_is_left_out_is_removed_unless_somebody_else_has_it(
    stage: &Stage,
) -> anyhow::Result<()> {
    let port = |port: u16| json!({"containerPort": port, "protocol": "TCP"});
    let containers = |ports: Value| {
        json!({
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "c", "image": "nginx", "ports": ports}]},
        })
    };
    let both =
        web(json!({"template": containers(json!([port(80), port(81)])), "minReadySeconds": 3}));
    apply_web(stage, "", "fieldManager=one", &both)?.ok()?;
    let shared = web(json!({"template": containers(json!([port(81)]))}));
    apply_web(stage, "", "fieldManager=two", &shared)?.ok()?;
    let none = apply_web(stage, "", "fieldManager=one", &web(json!({})))?.ok()?;
    let left = at(&none, "spec.template.spec.containers.0.ports");
    same("the shared port", left, &json!([port(81)]))?;
    same(
        "a field alone",
        at(&none, "spec.minReadySeconds"),
        &Value::Null,
    )?;
    let none = apply_web(stage, "", "fieldManager=two", &web(json!({})))?.ok()?;
    let left = at(&none, "spec.template.spec.containers.0.ports");
    same("now nobody has it", left, &Value::Null)?;
    // A field with a default comes back with it.
    apply_web(
        stage,
        "",
        "fieldManager=one",
        &web(json!({"revisionHistoryLimit": 3})),
    )?
    .ok()?;
    let back = apply_web(stage, "", "fieldManager=one", &web(json!({})))?.ok()?;
    same(
        "the default",
        at(&back, "spec.revisionHistoryLimit"),
        &json!(10),
    )
}

pub fn a_list_item_goes_with_its_applier_though_others_wrote_in_it(
    stage: &Stage,
) -> anyhow::Result<()> {
    apply_web(stage, "", "fieldManager=one", &web(json!({})))?.ok()?;
    let path = format!(
        "{}/web?fieldManager=controller",
        stage.of("apps/v1", "deployments")
    );
    let inside = json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "workingDir": "/x"}]}}}});
    stage.rest.patch("strategic-merge", &path, &inside)?.ok()?;
    let other = web(json!({"template": {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "other", "image": "nginx"}]},
    }}));
    let replaced = apply_web(stage, "", "fieldManager=one", &other)?.ok()?;
    let containers = at(&replaced, "spec.template.spec.containers").as_array();
    let names: Vec<&str> = containers
        .into_iter()
        .flatten()
        .map(|one| text(one, "name"))
        .collect();
    same("containers", names, ["other"])
}

pub fn keys_of_lists_have_their_defaults(stage: &Stage) -> anyhow::Result<()> {
    let named = |name: &str, port: Value| {
        let mut port = port;
        port["name"] = json!(name);
        web(json!({"template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "c", "image": "nginx", "ports": [port]}]},
        }}))
    };
    let first = named("foo", json!({"containerPort": 80}));
    apply_web(stage, "", "fieldManager=one", &first)?.ok()?;
    let second = named("bar", json!({"containerPort": 80, "protocol": "TCP"}));
    let status = apply_web(stage, "", "fieldManager=two", &second)?.refused(409)?;
    same(
        "one port, one conflict",
        causes(&status),
        [(
            "FieldManagerConflict",
            ".spec.template.spec.containers[name=\"c\"].ports[containerPort=80,protocol=\"TCP\"].name",
        )],
    )
}

pub fn sets_are_shared_item_by_item_and_atomic_values_whole(stage: &Stage) -> anyhow::Result<()> {
    let with = |finalizers: Value| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "set", "finalizers": finalizers}});
    apply(
        stage,
        "set",
        "fieldManager=one",
        &with(json!(["a.example/x"])),
    )?
    .ok()?;
    let both = apply(
        stage,
        "set",
        "fieldManager=two",
        &with(json!(["b.example/y"])),
    )?
    .ok()?;
    same(
        "both",
        at(&both, "metadata.finalizers"),
        &json!(["a.example/x", "b.example/y"]),
    )?;
    let mine = apply(stage, "set", "fieldManager=one", &with(json!([])))?.ok()?;
    same(
        "mine is gone",
        at(&mine, "metadata.finalizers"),
        &json!(["b.example/y"]),
    )?;
    apply(stage, "set", "fieldManager=two", &with(json!([])))?.ok()?;

    let command = |words: Value| {
        web(json!({"template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "c", "image": "nginx", "command": words}]},
        }}))
    };
    apply_web(stage, "", "fieldManager=one", &command(json!(["a", "b"])))?.ok()?;
    let status =
        apply_web(stage, "", "fieldManager=two", &command(json!(["a", "c"])))?.refused(409)?;
    same(
        "the whole list",
        causes(&status),
        [(
            "FieldManagerConflict",
            ".spec.template.spec.containers[name=\"c\"].command",
        )],
    )
}

pub fn two_appliers_share_a_map(stage: &Stage) -> anyhow::Result<()> {
    apply(
        stage,
        "a",
        "fieldManager=one",
        &data("a", json!({"x": "1"})),
    )?
    .ok()?;
    let both = apply(
        stage,
        "a",
        "fieldManager=two",
        &data("a", json!({"y": "2"})),
    )?
    .ok()?;
    same("both", &both["data"], &json!({"x": "1", "y": "2"}))?;
    let emptied = apply(stage, "a", "fieldManager=one", &data("a", json!({})))?.ok()?;
    same("the other's", &emptied["data"], &json!({"y": "2"}))
}
