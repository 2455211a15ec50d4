//! `managedFields`: who is in it, and how it is reset.

use anyhow::ensure;
use serde_json::{Value, json};

use crate::stage::{Stage, at, managers, map, revision, same, text};

fn entry<'a>(object: &'a Value, manager: &str) -> &'a Value {
    let entries = object["metadata"]["managedFields"].as_array();
    let mut entries = entries.into_iter().flatten();
    entries
        .find(|entry| entry["manager"] == manager)
        .unwrap_or(&Value::Null)
}

pub fn a_manager_is_named_by_the_query_or_the_agent(stage: &Stage) -> anyhow::Result<()> {
    let object = map("a", json!({}), json!({"x": "1"}));
    let request = stage.rest.request("POST", &stage.maps()).json(&object);
    let made = request
        .header("User-Agent", "tool/v1.2 (linux) more")
        .send()?
        .ok()?;
    same("by the agent", managers(&made), ["tool"])?;
    let path = format!("{}/a?fieldManager=someone", stage.maps());
    let patched = stage
        .rest
        .patch("merge", &path, &json!({"data": {"y": "1"}}))?
        .ok()?;
    same("by the query", managers(&patched), ["someone", "tool"])?;
    let mine = entry(&patched, "someone");
    same("operation", text(mine, "operation"), "Update")?;
    same("version", text(mine, "apiVersion"), "v1")?;
    same("form", text(mine, "fieldsType"), "FieldsV1")?;
    same("fields", &mine["fieldsV1"], &json!({"f:data": {"f:y": {}}}))?;
    let long = "x".repeat(129);
    let path = format!("{}/a?fieldManager={long}", stage.maps());
    let status = stage.rest.patch("merge", &path, &json!({}))?.refused(422)?;
    ensure!(
        text(&status, "message").contains("fieldManager: Too long: may not be more than 128 bytes"),
        "{status}"
    );
    Ok(())
}

pub fn managers_are_forgotten_with_their_last_field(stage: &Stage) -> anyhow::Result<()> {
    let empty = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}});
    let path = format!("{}/a?fieldManager=one", stage.maps());
    let made = stage.rest.patch("apply", &path, &empty)?.ok()?;
    same(
        "nothing, nobody",
        at(&made, "metadata.managedFields"),
        &Value::Null,
    )?;
    let mut full = empty.clone();
    full["data"] = json!({"x": "1"});
    let applied = stage.rest.patch("apply", &path, &full)?.ok()?;
    same("somebody", managers(&applied), ["one"])?;
    let emptied = stage.rest.patch("apply", &path, &empty)?.ok()?;
    same(
        "nobody",
        at(&emptied, "metadata.managedFields"),
        &Value::Null,
    )
}

pub fn many_updaters_become_ancient_changes(stage: &Stage) -> anyhow::Result<()> {
    let path = format!("{}/a", stage.maps());
    let body = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"x": "1"}});
    stage
        .rest
        .patch("apply", &format!("{path}?fieldManager=apply_test"), &body)?
        .ok()?;
    let mut last = Value::Null;
    for number in 0..20 {
        let label = format!("label{number}");
        let patch = json!({"metadata": {"labels": {label: "test"}}});
        let query = format!("{path}?fieldManager=updater{number}");
        last = stage.rest.patch("merge", &query, &patch)?.ok()?;
    }
    let entries = last["metadata"]["managedFields"]
        .as_array()
        .map_or(0, Vec::len);
    same("ten updaters and an applier", entries, 11)?;
    same(
        "the applier",
        text(&last, "metadata.managedFields.0.manager"),
        "apply_test",
    )?;
    same(
        "the oldest",
        text(&last, "metadata.managedFields.1.manager"),
        "ancient-changes",
    )?;
    let old = &entry(&last, "ancient-changes")["fieldsV1"]["f:metadata"]["f:labels"];
    ensure!(
        !old["f:label0"].is_null() && !old["f:label10"].is_null(),
        "{old}"
    );
    Ok(())
}

pub fn managed_fields_can_be_reset_in_every_write(stage: &Stage) -> anyhow::Result<()> {
    let path = format!("{}/a", stage.maps());
    let body = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"x": "1"}});
    let reset = json!({"metadata": {"managedFields": [{}]}});
    for (turn, how) in ["merge", "strategic-merge", "json", "put", "empty"]
        .into_iter()
        .enumerate()
    {
        let query = format!("{path}?fieldManager=one&force=true");
        let mut applied = body.clone();
        applied["data"]["turn"] = json!(turn.to_string());
        let applied = stage.rest.patch("apply", &query, &applied)?.ok()?;
        ensure!(managers(&applied).contains(&"one"), "{how}: {applied}");
        let answer = match how {
            "json" => {
                let patch =
                    json!([{"op": "replace", "path": "/metadata/managedFields", "value": [{}]}]);
                stage.rest.patch("json", &path, &patch)?
            }
            "put" => {
                let mut object = applied.clone();
                object["metadata"]["managedFields"] = json!([{}]);
                stage.rest.put(&path, &object)?
            }
            "empty" => {
                let mut object = applied.clone();
                object["metadata"]["managedFields"] = json!([]);
                stage.rest.put(&path, &object)?
            }
            how => stage.rest.patch(how, &path, &reset)?,
        };
        let cleared = answer.ok()?;
        same(how, at(&cleared, "metadata.managedFields"), &Value::Null)?;
        same(how, &cleared["data"], &applied["data"])?;
        ensure!(
            revision(&cleared) != revision(&applied),
            "{how}: it was written"
        );
        // From then on updates are not tracked, until somebody applies.
        let patch = json!({"data": {"turn": format!("{turn} again")}});
        let untracked = stage.rest.patch("merge", &path, &patch)?.ok()?;
        same(how, at(&untracked, "metadata.managedFields"), &Value::Null)?;
    }
    let query = format!("{path}?fieldManager=one&force=true");
    let mut applied = body.clone();
    applied["data"] = json!({"x": "2"});
    let applied = stage.rest.patch("apply", &query, &applied)?.ok()?;
    same(
        "tracked again",
        managers(&applied),
        ["before-first-apply", "one"],
    )
}

pub fn times_are_those_of_the_write(stage: &Stage) -> anyhow::Result<()> {
    let made = stage.make_map("a", json!({"l": "1"}))?;
    let created = text(&made, "metadata.creationTimestamp");
    let time = text(&made, "metadata.managedFields.0.time");
    same("of the creation", time, created)?;
    ensure!(
        created.len() == 20 && created.ends_with('Z'),
        "whole seconds: {created}"
    );
    Ok(())
}
