//! JSON patch, merge patch, strategic merge patch, and what each of them refuses.

use anyhow::ensure;
use ferrule_e2e::rest::Answer;
use serde_json::{Value, json};

use crate::stage::{Stage, at, number, revision, same, says, text};

/// A Deployment with two containers and variables; its path.
fn made(stage: &Stage) -> anyhow::Result<String> {
    let mut object = crate::stage::deployment("p");
    object["metadata"]["labels"] = json!({"a": "1", "b": "2"});
    object["spec"]["template"]["spec"]["containers"] = json!([
        {"name": "c", "image": "nginx"},
        {"name": "d", "image": "x", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]},
    ]);
    let path = stage.of("apps/v1", "deployments");
    stage.rest.post(&path, &object)?.ok()?;
    Ok(format!("{path}/p"))
}

fn names(object: &Value, path: &str) -> Vec<String> {
    let all = at(object, path).as_array().into_iter().flatten();
    all.map(|one| text(one, "name").to_owned()).collect()
}

const CONTAINERS: &str = "spec.template.spec.containers";
const ENV: &str = "spec.template.spec.containers.1.env";

pub fn a_json_patch_does_its_operations_in_order(stage: &Stage) -> anyhow::Result<()> {
    let path = made(stage)?;
    let patch = |operations: Value| stage.rest.patch("json", &path, &operations)?.ok();
    let base = "/spec/template/spec/containers/1/env";
    let done = patch(json!([
        {"op": "test", "path": "/metadata/labels/a", "value": "1"},
        {"op": "remove", "path": "/metadata/labels/a"},
        {"op": "move", "from": "/metadata/labels/b", "path": "/metadata/labels/c"},
        {"op": "copy", "from": "/metadata/labels/c", "path": "/metadata/labels/d"},
        {"op": "add", "path": "/metadata/annotations", "value": {"x.example/y": "1"}},
        {"op": "replace", "path": "/metadata/annotations/x.example~1y", "value": "2"},
        {"op": "add", "path": format!("{base}/-"), "value": {"name": "Z", "value": "9"}},
        {"op": "add", "path": format!("{base}/0"), "value": {"name": "0", "value": "0"}},
        {"op": "add", "path": "/spec/minReadySeconds", "value": 3},
    ]))?;
    same(
        "labels",
        at(&done, "metadata.labels"),
        &json!({"c": "2", "d": "2"}),
    )?;
    let annotation = &done["metadata"]["annotations"]["x.example/y"];
    same("an escaped key", annotation, &json!("2"))?;
    same("variables", names(&done, ENV), ["0", "A", "B", "Z"])?;
    // A failed operation undoes those before it.
    let before = stage.rest.get(&path)?.ok()?;
    let failed = json!([
        {"op": "add", "path": "/metadata/labels/e", "value": "5"},
        {"op": "test", "path": "/metadata/labels/c", "value": "other"},
    ]);
    stage.rest.patch("json", &path, &failed)?.refused(422)?;
    let after = stage.rest.get(&path)?.ok()?;
    same(
        "labels",
        at(&after, "metadata.labels"),
        at(&before, "metadata.labels"),
    )
}

pub fn a_merge_patch_replaces_lists_and_null_removes(stage: &Stage) -> anyhow::Result<()> {
    let path = made(stage)?;
    let patch = json!({
        "metadata": {"labels": {"a": null, "c": "3"}},
        "spec": {
            "replicas": null,
            "template": {"spec": {"containers": [{"name": "only", "image": "y"}]}},
        },
    });
    let done = stage.rest.patch("merge", &path, &patch)?.ok()?;
    same(
        "labels",
        at(&done, "metadata.labels"),
        &json!({"b": "2", "c": "3"}),
    )?;
    same("the default", at(&done, "spec.replicas"), &json!(1))?;
    same("containers", names(&done, CONTAINERS), ["only"])
}

pub fn a_strategic_merge_patch_merges_lists_by_key(stage: &Stage) -> anyhow::Result<()> {
    let path = made(stage)?;
    let patch = |spec: Value| {
        let patch = json!({"spec": {"template": {"spec": spec}}});
        stage.rest.patch("strategic-merge", &path, &patch)?.ok()
    };
    let done = patch(json!({"containers": [{"name": "d", "env": [
        {"name": "B", "value": "3"}, {"name": "C", "value": "4"},
    ]}]}))?;
    same("containers", names(&done, CONTAINERS), ["c", "d"])?;
    same(
        "image",
        at(&done, CONTAINERS)[1]["image"].clone(),
        json!("x"),
    )?;
    let values: Vec<Value> = at(&done, ENV)
        .as_array()
        .into_iter()
        .flatten()
        .map(|one| one["value"].clone())
        .collect();
    ensure!(
        values.len() == 3 && values.contains(&json!("3")) && values.contains(&json!("4")),
        "{values:?}"
    );
    let done =
        patch(json!({"containers": [{"name": "d", "env": [{"name": "A", "$patch": "delete"}]}]}))?;
    ensure!(!names(&done, ENV).contains(&"A".to_owned()), "{done}");
    let done = patch(json!({"containers": [{"name": "d", "env": [
        {"name": "ONLY", "value": "1"}, {"$patch": "replace"},
    ]}]}))?;
    same("replaced", names(&done, ENV), ["ONLY"])?;
    let done = patch(json!({
        "$setElementOrder/containers": [{"name": "d"}, {"name": "c"}],
        "containers": [{"name": "c", "image": "n2"}],
    }))?;
    same("in the order given", names(&done, CONTAINERS), ["d", "c"])?;
    let retain = json!({"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}});
    let done = stage.rest.patch("strategic-merge", &path, &retain)?.ok()?;
    same(
        "strategy",
        at(&done, "spec.strategy"),
        &json!({"type": "Recreate"}),
    )?;
    let replace = json!({"metadata": {"labels": {"$patch": "replace", "only": "1"}}});
    let done = stage.rest.patch("strategic-merge", &path, &replace)?.ok()?;
    same(
        "labels",
        at(&done, "metadata.labels"),
        &json!({"only": "1"}),
    )?;

    let finalizers = |patch: Value| {
        let path = format!("{}/f", stage.maps());
        let done = stage
            .rest
            .patch("strategic-merge", &path, &json!({"metadata": patch}))?
            .ok()?;
        anyhow::Ok(at(&done, "metadata.finalizers").clone())
    };
    let object = json!({"metadata": {"name": "f", "finalizers": ["a.example/x", "b.example/y"]}});
    stage.rest.post(&stage.maps(), &object)?.ok()?;
    let left = finalizers(json!({"$deleteFromPrimitiveList/finalizers": ["a.example/x"]}))?;
    same("deleted", left, json!(["b.example/y"]))?;
    let merged = finalizers(json!({"finalizers": ["c.example/z"]}))?;
    ensure!(merged.as_array().map_or(0, Vec::len) == 2, "{merged}");
    let ordered = finalizers(json!({
        "$setElementOrder/finalizers": ["c.example/z", "b.example/y"], "finalizers": ["c.example/z"],
    }))?;
    same("ordered", ordered, json!(["c.example/z", "b.example/y"]))
}

/// Fails unless an answer has this code and a message with this part.
fn refuses(what: &str, answer: &Answer, code: u16, message: &str) -> anyhow::Result<()> {
    let status = answer.refused(code)?;
    ensure!(
        text(&status, "message").contains(message),
        "{what}: {answer}\nexpected {message}"
    );
    Ok(())
}

pub fn a_patch_that_cannot_be_applied_says_why(stage: &Stage) -> anyhow::Result<()> {
    let path = made(stage)?;
    let before = stage.rest.get(&path)?.ok()?;
    const REJECTED: &str = "the server rejected our request due to an error in our request";
    let operation = |op: &str, path: &str| json!([{"op": op, "path": path, "value": 1}]);
    for (kind, patch, code, message) in [
        (
            "json",
            operation("test", "/metadata/labels/a"),
            422,
            REJECTED,
        ),
        (
            "json",
            operation("remove", "/metadata/labels/zz"),
            422,
            REJECTED,
        ),
        (
            "json",
            operation("replace", "/metadata/none/zz"),
            422,
            REJECTED,
        ),
        (
            "json",
            operation("add", "/spec/template/spec/containers/9"),
            422,
            REJECTED,
        ),
        ("json", operation("frob", "/x"), 422, REJECTED),
        ("json", json!([{"op": "add", "value": 1}]), 422, REJECTED),
        (
            "json",
            json!({"op": "add"}),
            400,
            "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp",
        ),
        (
            "json",
            json!([{"op": "replace", "path": "/metadata/name", "value": "q"}]),
            400,
            "the name of the object (q) does not match the name on the URL (p)",
        ),
        (
            "json",
            json!([{"op": "replace", "path": "/spec/replicas", "value": -1}]),
            422,
            "Deployment.apps \"p\" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0",
        ),
        (
            "json",
            operation("replace", "/metadata/name"),
            422,
            "patch: Invalid value: ",
        ),
        ("merge", json!({"spec": "x"}), 422, "patch: Invalid value: "),
        (
            "merge",
            json!({"metadata": {"resourceVersion": "1", "labels": {"x": "y"}}}),
            409,
            "Operation cannot be fulfilled on deployments.apps \"p\": the object has been modified",
        ),
        (
            "merge",
            json!({"metadata": {"uid": "11111111-1111-1111-1111-111111111111"}}),
            422,
            "metadata.uid: Invalid value: \"11111111-1111-1111-1111-111111111111\": field is immutable",
        ),
        (
            "merge",
            json!({"kind": "Pod"}),
            422,
            "patch: Invalid value: ",
        ),
        (
            "strategic-merge",
            json!({"spec": {"template": {"spec": {"containers": [{"image": "z"}]}}}}),
            500,
            "map: map[image:z] does not contain declared merge key: name",
        ),
        (
            "strategic-merge",
            json!({"spec": {"template": {"spec": {"containers": [{"name": "d", "$patch": "explode"}]}}}}),
            500,
            "unknown patch type: explode in map: map[$patch:explode name:d]",
        ),
        (
            "strategic-merge",
            json!({"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate", "rollingUpdate": {}}}}),
            400,
            "invalid patch format of retainKeys",
        ),
    ] {
        let answer = stage.rest.patch(kind, &path, &patch)?;
        refuses(&format!("{kind} {patch}"), &answer, code, message)?;
    }
    for (kind, body, message) in [
        (
            "json",
            "[{",
            "error decoding patch: unexpected end of JSON input",
        ),
        ("merge", "null", "Invalid JSON Patch"),
        (
            "merge",
            "a: b\n",
            "error decoding patch: invalid character 'a' looking for beginning of value",
        ),
        ("strategic-merge", "{", "unexpected end of JSON input"),
    ] {
        let request = stage.rest.request("PATCH", &path);
        let answer = request
            .body(&format!("application/{kind}-patch+json"), body)
            .send()?;
        refuses(&format!("{kind} {body}"), &answer, 400, message)?;
    }
    let now = stage.rest.get(&path)?.ok()?;
    same("nothing is changed", &now["spec"], &before["spec"])?;
    for media in [
        "application/json",
        "application/unknown-patch+json",
        "text/plain",
    ] {
        let answer = stage
            .rest
            .request("PATCH", &path)
            .body(media, "{}")
            .send()?;
        says(
            &answer,
            415,
            "UnsupportedMediaType",
            "415: Unsupported Media Type",
        )?;
    }
    let none = format!("{}/none", stage.maps());
    let answer = stage.rest.patch("merge", &none, &json!({}))?;
    says(&answer, 404, "NotFound", "configmaps \"none\" not found")?;
    Ok(())
}

pub fn patches_without_a_revision_never_conflict(stage: &Stage) -> anyhow::Result<()> {
    const EACH: usize = 15;
    const WRITERS: usize = 6;
    stage.make_map("shared", json!({}))?;
    let path = format!("{}/shared", stage.maps());
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (rest, path) = (stage.rest.clone(), path.clone());
            std::thread::spawn(move || -> anyhow::Result<()> {
                for turn in 0..EACH {
                    let key = format!("k{writer}-{turn}");
                    rest.patch("merge", &path, &json!({"data": {key: "1"}}))?
                        .ok()?;
                }
                Ok(())
            })
        })
        .collect();
    for writer in writers {
        writer
            .join()
            .map_err(|_| anyhow::anyhow!("a writer panicked"))??;
    }
    let all = stage.rest.get(&path)?.ok()?;
    same(
        "every write",
        all["data"].as_object().map_or(0, serde_json::Map::len),
        EACH * WRITERS,
    )
}

pub fn a_patch_with_a_revision_is_for_that_state_only(stage: &Stage) -> anyhow::Result<()> {
    let made = stage.make_map("a", json!({}))?;
    let path = format!("{}/a", stage.maps());
    let patch = |version: &str, value: &str| {
        let patch = json!({"metadata": {"resourceVersion": version}, "data": {"n": value}});
        stage.rest.patch("merge", &path, &patch)
    };
    let first = patch(revision(&made), "1")?.ok()?;
    ensure!(number(&first)? > number(&made)?, "{first}");
    says(
        &patch(revision(&made), "2")?,
        409,
        "Conflict",
        "Operation cannot be fulfilled on configmaps \"a\": the object has been modified; please apply your changes to \
         the latest version and try again",
    )?;
    same("data", text(&stage.rest.get(&path)?.ok()?, "data.n"), "1")
}
