//! Server-side apply: what is created, kept, removed, and in conflict.

use anyhow::ensure;
use ferrule_e2e::rest::Answer;
use serde_json::{Value, json};

use crate::stage::{Stage, at, causes, managers, map, revision, same, says, text};

pub fn apply(stage: &Stage, name: &str, query: &str, body: &Value) -> anyhow::Result<Answer> {
    stage
        .rest
        .patch("apply", &format!("{}/{name}?{query}", stage.maps()), body)
}

pub fn data(name: &str, data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})
}

/// A Deployment as it is applied.
pub fn web(spec: Value) -> Value {
    let mut object = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {
            "paused": true,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "c", "image": "nginx"}]},
            },
        },
    });
    for (field, value) in spec.as_object().into_iter().flatten() {
        object["spec"][field] = value.clone();
    }
    object
}

pub fn apply_web(stage: &Stage, part: &str, query: &str, body: &Value) -> anyhow::Result<Answer> {
    let path = format!("{}/web{part}?{query}", stage.of("apps/v1", "deployments"));
    stage.rest.patch("apply", &path, body)
}

pub fn apply_creates_what_is_not_there(stage: &Stage) -> anyhow::Result<()> {
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"},
        "spec": {"ports": [{"port": 8080, "protocol": "UDP"}]},
    });
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"},
        "spec": {"schedulerName": "nobody", "containers": [{"name": "c", "image": "i"}]},
    });
    for (path, body) in [("services/s", service), ("pods/p", pod)] {
        let path = stage.of("v1", path);
        let created = stage
            .rest
            .patch("apply", &format!("{path}?fieldManager=one"), &body)?;
        same("created", created.code, 201)?;
        let object = created.ok()?;
        same("who", managers(&object), ["one"])?;
        same(
            "how",
            text(&object, "metadata.managedFields.0.operation"),
            "Apply",
        )?;
        same("read again", &stage.rest.get(&path)?.ok()?, &object)?;
        // Another one may say the same.
        let shared = stage
            .rest
            .patch("apply", &format!("{path}?fieldManager=two"), &body)?;
        same("applied", shared.code, 200)?;
        same("both", managers(&shared.ok()?), ["one", "two"])?;
    }
    Ok(())
}

pub fn what_changes_nothing_is_not_written(stage: &Stage) -> anyhow::Result<()> {
    let body = data("a", json!({"k": "v"}));
    let first = apply(stage, "a", "fieldManager=one", &body)?.ok()?;
    let again = apply(stage, "a", "fieldManager=one", &body)?;
    same("code", again.code, 200)?;
    same("applied again", &again.ok()?, &first)?;
    let path = format!("{}/a", stage.maps());
    let writes = [
        stage
            .rest
            .patch("merge", &path, &json!({"data": {"k": "v"}}))?,
        stage.rest.patch("strategic-merge", &path, &json!({}))?,
        stage.rest.patch("json", &path, &json!([]))?,
        stage.rest.put(&path, &first)?,
        stage
            .rest
            .put(&format!("{path}?fieldManager=other"), &body)?,
    ];
    for written in writes {
        same("no write", revision(&written.ok()?), revision(&first))?;
    }
    let deployment = web(json!({"replicas": 0}));
    let first = apply_web(stage, "", "fieldManager=one", &deployment)?.ok()?;
    let settled =
        || -> anyhow::Result<Value> { apply_web(stage, "", "fieldManager=one", &deployment)?.ok() };
    // What controllers write of it is another matter.
    same(
        "fields",
        at(&settled()?, "metadata.generation"),
        at(&first, "metadata.generation"),
    )?;
    let mine = |object: &Value| -> Option<Value> {
        let entries = object["metadata"]["managedFields"].as_array()?;
        entries
            .iter()
            .find(|entry| entry["manager"] == "one")
            .cloned()
    };
    same("my entry, its time too", mine(&settled()?), mine(&first))
}

pub fn conflicts_name_the_field_and_its_owner(stage: &Stage) -> anyhow::Result<()> {
    apply(
        stage,
        "a",
        "fieldManager=one",
        &data("a", json!({"x": "1", "y": "1"})),
    )?
    .ok()?;
    let other = data("a", json!({"x": "2", "y": "2"}));
    let conflict = apply(stage, "a", "fieldManager=two", &other)?;
    let status = says(
        &conflict,
        409,
        "Conflict",
        "Apply failed with 2 conflicts: conflicts with \"one\":\n- .data.x\n- .data.y",
    )?;
    same(
        "causes",
        causes(&status),
        [
            ("FieldManagerConflict", ".data.x"),
            ("FieldManagerConflict", ".data.y"),
        ],
    )?;
    same(
        "which",
        text(&status, "details.causes.0.message"),
        "conflict with \"one\"",
    )?;
    // What was not in conflict was not written either.
    let mut partly = data("a", json!({"x": "2", "z": "2"}));
    apply(stage, "a", "fieldManager=two", &partly)?.refused(409)?;
    let now = stage.rest.get(&format!("{}/a", stage.maps()))?.ok()?;
    same("unchanged", &now["data"], &json!({"x": "1", "y": "1"}))?;

    let forced = apply(stage, "a", "fieldManager=two&force=true", &partly)?.ok()?;
    same(
        "taken",
        &forced["data"],
        &json!({"x": "2", "y": "1", "z": "2"}),
    )?;
    // Who lost it may leave it out: the other one keeps it.
    let left = apply(
        stage,
        "a",
        "fieldManager=one",
        &data("a", json!({"y": "1"})),
    )?
    .ok()?;
    same(
        "kept",
        &left["data"],
        &json!({"x": "2", "y": "1", "z": "2"}),
    )?;
    partly["data"] = json!({});
    let gone = apply(stage, "a", "fieldManager=two", &partly)?.ok()?;
    same(
        "the last owner removes it",
        &gone["data"],
        &json!({"y": "1"}),
    )
}

pub fn an_update_takes_a_field_and_apply_takes_it_back(stage: &Stage) -> anyhow::Result<()> {
    let body = web(json!({"replicas": 0}));
    apply_web(stage, "", "fieldManager=one", &body)?.ok()?;
    let path = format!(
        "{}/web?fieldManager=updater",
        stage.of("apps/v1", "deployments")
    );
    stage
        .rest
        .patch(
            "merge",
            &path,
            &json!({"spec": {"minReadySeconds": 5, "replicas": 1}}),
        )?
        .ok()?;
    let conflict = apply_web(stage, "", "fieldManager=one", &body)?;
    let status = conflict.refused(409)?;
    same(
        "causes",
        causes(&status),
        [("FieldManagerConflict", ".spec.replicas")],
    )?;
    same(
        "message",
        text(&status, "details.causes.0.message"),
        "conflict with \"updater\" using apps/v1",
    )?;
    let forced = apply_web(stage, "", "fieldManager=one&force=true", &body)?.ok()?;
    same("forced", at(&forced, "spec.replicas"), &json!(0))?;
    same("left alone", at(&forced, "spec.minReadySeconds"), &json!(5))
}

pub fn the_status_is_applied_to_its_subresource(stage: &Stage) -> anyhow::Result<()> {
    apply_web(stage, "", "fieldManager=one", &web(json!({})))?.ok()?;
    let mut status =
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}});
    status["status"] =
        json!({"conditions": [{"type": "Mine", "status": "True", "reason": "Because"}]});
    let main = apply_web(stage, "", "fieldManager=status&force=true", &{
        let mut whole = web(json!({}));
        whole["status"] = status["status"].clone();
        whole
    })?;
    let condition = |object: &Value| {
        let all = object["status"]["conditions"].as_array();
        let mut all = all.into_iter().flatten();
        all.find(|one| one["type"] == "Mine")
            .map(|one| one["reason"].clone())
    };
    same("not by the whole", condition(&main.ok()?), None)?;
    let applied = apply_web(stage, "/status", "fieldManager=status", &status)?.ok()?;
    same("by its part", condition(&applied), Some(json!("Because")))?;
    let entries = applied["metadata"]["managedFields"].as_array();
    let parts: Vec<&str> = entries
        .into_iter()
        .flatten()
        .filter(|entry| entry["manager"] == "status")
        .map(|entry| text(entry, "subresource"))
        .collect();
    ensure!(parts.contains(&"status"), "{parts:?}");
    status["status"] = json!({});
    let gone = apply_web(stage, "/status", "fieldManager=status", &status)?.ok()?;
    same("left out", condition(&gone), None)
}

pub fn a_scale_is_applied_to_its_subresource(stage: &Stage) -> anyhow::Result<()> {
    let body = web(json!({"replicas": 0}));
    apply_web(stage, "", "fieldManager=one", &body)?.ok()?;
    let scale = |replicas: u8| {
        json!({
            "apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "web"},
            "spec": {"replicas": replicas},
        })
    };
    let status = apply_web(stage, "/scale", "fieldManager=scaler", &scale(2))?.refused(409)?;
    same(
        "causes",
        causes(&status),
        [("FieldManagerConflict", ".spec.replicas")],
    )?;
    let scaled = apply_web(stage, "/scale", "fieldManager=scaler&force=true", &scale(2))?.ok()?;
    same("kind", text(&scaled, "kind"), "Scale")?;
    let back = apply_web(stage, "", "fieldManager=one", &body)?;
    let status = back.refused(409)?;
    same(
        "conflict",
        causes(&status),
        [("FieldManagerConflict", ".spec.replicas")],
    )?;
    same(
        "with whom",
        text(&status, "details.causes.0.message"),
        "conflict with \"scaler\" with subresource \"scale\"",
    )?;
    // Who leaves the number to the scaler has no conflict.
    let left = apply_web(stage, "", "fieldManager=one", &web(json!({})))?.ok()?;
    same("its number", at(&left, "spec.replicas"), &json!(2))
}

pub fn a_dry_run_keeps_nothing(stage: &Stage) -> anyhow::Result<()> {
    let body = data("dry", json!({"x": "1"}));
    let dry = apply(stage, "dry", "fieldManager=one&dryRun=All", &body)?;
    same("would be created", dry.code, 201)?;
    same("no revision", revision(&dry.ok()?), "")?;
    stage
        .rest
        .get(&format!("{}/dry", stage.maps()))?
        .refused(404)?;
    let made = apply(stage, "dry", "fieldManager=one", &body)?.ok()?;
    let dry = apply(
        stage,
        "dry",
        "fieldManager=one&dryRun=All",
        &data("dry", json!({"x": "2"})),
    )?
    .ok()?;
    same("would be", text(&dry, "data.x"), "2")?;
    let conflict = apply(
        stage,
        "dry",
        "fieldManager=two&dryRun=All",
        &data("dry", json!({"x": "2"})),
    )?;
    conflict.refused(409)?;
    same(
        "is",
        &stage.rest.get(&format!("{}/dry", stage.maps()))?.ok()?,
        &made,
    )
}

pub fn what_cannot_be_applied_is_refused(stage: &Stage) -> anyhow::Result<()> {
    let body = data("a", json!({"x": "1"}));
    let made = apply(stage, "a", "fieldManager=one", &body)?.ok()?;
    let with = |path: &str, value: Value| {
        let mut body = body.clone();
        match path.split_once('.') {
            Some((outer, inner)) => body[outer][inner] = value,
            None => body[path] = value,
        }
        body
    };
    let one = "fieldManager=one";
    for (query, body, code, reason, message) in [
        (
            "",
            body.clone(),
            422,
            "Invalid",
            "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch",
        ),
        (one, with("apiVersion", Value::Null), 400, "BadRequest", ""),
        (
            one,
            with("kind", json!("Secret")),
            400,
            "BadRequest",
            "invalid object type: /v1, Kind=Secret",
        ),
        (
            one,
            with("metadata.name", json!("b")),
            400,
            "BadRequest",
            "the name of the object (b) does not match the name on the URL (a)",
        ),
        (
            one,
            with(
                "metadata.managedFields",
                made["metadata"]["managedFields"].clone(),
            ),
            400,
            "BadRequest",
            "metadata.managedFields must be nil",
        ),
        (
            "fieldManager=one&force=true",
            with("metadata.resourceVersion", json!("1")),
            409,
            "Conflict",
            "Operation cannot be fulfilled on configmaps \"a\": the object has been modified; please apply your changes \
             to the latest version and try again",
        ),
    ] {
        let answer = apply(stage, "a", query, &body)?;
        let status = answer.refused(code)?;
        same(query, text(&status, "reason"), reason)?;
        if !message.is_empty() {
            same(query, text(&status, "message"), message)?;
        }
    }
    let uid = with(
        "metadata.uid",
        json!("11111111-1111-1111-1111-111111111111"),
    );
    let mut uid = uid;
    uid["metadata"]["name"] = json!("none");
    let answer = apply(stage, "none", one, &uid)?;
    let status = answer.refused(409)?;
    ensure!(
        text(&status, "message").contains("uid mismatch: the provided object specified uid"),
        "{answer}"
    );
    // `force` is for apply alone.
    let path = format!("{}/a?force=true", stage.maps());
    let status = stage.rest.patch("merge", &path, &json!({}))?.refused(422)?;
    ensure!(
        text(&status, "message").contains("may not be specified for non-apply patch"),
        "{status}"
    );
    let malformed = stage
        .rest
        .request("PATCH", &format!("{}/a?{one}", stage.maps()));
    let malformed = malformed
        .body("application/apply-patch+yaml", "a: b: c")
        .send()?;
    let status = malformed.refused(400)?;
    ensure!(
        text(&status, "message").starts_with("error decoding YAML: "),
        "{malformed}"
    );
    Ok(())
}

pub fn a_client_side_applied_object_becomes_a_server_side_one(stage: &Stage) -> anyhow::Result<()> {
    let mut made = map("cs", json!({}), json!({"a": "1", "b": "2"}));
    let last = json!({"apiVersion": "v1", "data": {"a": "1", "b": "2"}, "kind": "ConfigMap", "metadata": {"name": "cs"}});
    let annotation = "kubectl.kubernetes.io/last-applied-configuration";
    made["metadata"]["annotations"] = json!({annotation: format!("{last}\n")});
    let path = format!("{}?fieldManager=kubectl-client-side-apply", stage.maps());
    stage.rest.post(&path, &made)?.ok()?;
    let upgraded = apply(
        stage,
        "cs",
        "fieldManager=kubectl",
        &data("cs", json!({"a": "2"})),
    )?
    .ok()?;
    same("no conflict", text(&upgraded, "data.a"), "2")?;
    let kept = &upgraded["metadata"]["annotations"][annotation];
    let kept: Value = serde_json::from_str(kept.as_str().unwrap_or_default())?;
    same("the annotation follows", text(&kept, "data.a"), "2")?;
    let status = apply(
        stage,
        "cs",
        "fieldManager=other",
        &data("cs", json!({"b": "3"})),
    )?
    .refused(409)?;
    let message = text(&status, "details.causes.0.message");
    same(
        "for others it is a conflict",
        message,
        "conflict with \"kubectl-client-side-apply\" using v1",
    )
}

pub fn yaml_is_applied_as_text(stage: &Stage) -> anyhow::Result<()> {
    let yaml = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: yaml\ndata:\n  mode: \"0644\"\n  text: |\n    one\n    two\n";
    let path = format!("{}/yaml?fieldManager=one", stage.maps());
    let applied = stage.rest.request("PATCH", &path);
    let applied = applied
        .body("application/apply-patch+yaml", yaml)
        .send()?
        .ok()?;
    same(
        "data",
        &applied["data"],
        &json!({"mode": "0644", "text": "one\ntwo\n"}),
    )
}
