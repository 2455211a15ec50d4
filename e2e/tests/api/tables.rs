//! Tables and bare metadata, in gets, lists and watches.

use anyhow::{Context, ensure};
use ferrule_e2e::rest::Answer;
use serde_json::{Value, json};

use crate::stage::{Stage, at, items, names, revision, same, says, text};

const TABLE: &str = "application/json;as=Table;g=meta.k8s.io;v=v1";
const ONE: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
const LIST: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";

fn get(stage: &Stage, path: &str, media: &str) -> anyhow::Result<Answer> {
    stage.rest.request("GET", path).accept(media).send()
}

fn columns(table: &Value) -> Vec<&str> {
    let columns = table["columnDefinitions"].as_array().into_iter().flatten();
    columns.map(|column| text(column, "name")).collect()
}

fn rows(table: &Value) -> &[Value] {
    table["rows"].as_array().map_or(&[], Vec::as_slice)
}

fn make_pod(stage: &Stage, name: &str) -> anyhow::Result<String> {
    let pods = stage.of("v1", "pods");
    let pod = json!({
        "metadata": {"name": name},
        "spec": {"schedulerName": "nobody", "containers": [{"name": "c", "image": "nginx"}]},
    });
    stage.rest.post(&pods, &pod)?.ok()?;
    Ok(pods)
}

pub fn a_pod_as_a_table_has_its_columns(stage: &Stage) -> anyhow::Result<()> {
    let pods = make_pod(stage, "web")?;
    let wide = [
        "Name",
        "Ready",
        "Status",
        "Restarts",
        "Age",
        "IP",
        "Node",
        "Nominated Node",
        "Readiness Gates",
    ];
    for path in [format!("{pods}/web"), pods] {
        let table = get(stage, &path, TABLE)?.ok()?;
        same(
            "kind",
            (text(&table, "kind"), text(&table, "apiVersion")),
            ("Table", "meta.k8s.io/v1"),
        )?;
        same("columns", columns(&table), wide)?;
        let first = &table["columnDefinitions"][0];
        same("type of the name", text(first, "type"), "string")?;
        same("format of the name", text(first, "format"), "name")?;
        let row = rows(&table).first().context("a row")?;
        same(
            "a cell for each",
            row["cells"].as_array().map_or(0, Vec::len),
            wide.len(),
        )?;
        let cells = &row["cells"];
        same("name", &cells[0], &json!("web"))?;
        same("ready", &cells[1], &json!("0/1"))?;
        same("status", &cells[2], &json!("Pending"))?;
        same(
            "metadata comes along",
            text(row, "object.kind"),
            "PartialObjectMetadata",
        )?;
        same("of the object", text(row, "object.metadata.name"), "web")?;
        ensure!(!revision(&table).is_empty(), "a revision: {table}");
    }
    Ok(())
}

pub fn a_table_carries_as_much_of_the_object_as_is_wanted(stage: &Stage) -> anyhow::Result<()> {
    let pods = make_pod(stage, "web")?;
    for (include, kind) in [
        ("", "PartialObjectMetadata"),
        ("Metadata", "PartialObjectMetadata"),
        ("Object", "Pod"),
    ] {
        let table = get(stage, &format!("{pods}?includeObject={include}"), TABLE)?.ok()?;
        same(include, text(&rows(&table)[0], "object.kind"), kind)?;
    }
    let table = get(stage, &format!("{pods}?includeObject=None"), TABLE)?.ok()?;
    same("nothing", at(&rows(&table)[0], "object"), &Value::Null)?;
    says(
        &get(stage, &format!("{pods}?includeObject=All"), TABLE)?,
        400,
        "BadRequest",
        "Unable to convert to Table as requested: includeObject: Invalid value: \"All\": must be 'Metadata', 'Object', \
         'None', or empty",
    )?;
    Ok(())
}

pub fn every_resource_that_can_be_listed_has_a_table(stage: &Stage) -> anyhow::Result<()> {
    for (version, resource) in crate::discovery::all(stage)? {
        let verbs = resource["verbs"].as_array().context("verbs")?;
        if !verbs.contains(&json!("list")) {
            continue;
        }
        let path = crate::stage::within(&version, None, text(&resource, "name"));
        let table = get(stage, &path, TABLE)?.ok()?;
        same(&path, text(&table, "kind"), "Table")?;
        let found = columns(&table);
        let first = *found.first().context("a column")?;
        // Of events, when they were seen comes first.
        ensure!(matches!(first, "Name" | "Last Seen"), "{path}: {found:?}");
        let widths = rows(&table)
            .iter()
            .map(|row| row["cells"].as_array().map_or(0, Vec::len));
        ensure!(
            widths.clone().all(|width| width == found.len()),
            "{path}: {table}"
        );
        let metadata = get(stage, &path, LIST)?.ok()?;
        same(&path, text(&metadata, "kind"), "PartialObjectMetadataList")?;
        for item in items(&metadata) {
            same(&path, text(item, "kind"), "PartialObjectMetadata")?;
            let fields = item.as_object().map_or(0, serde_json::Map::len);
            same("kind, apiVersion and metadata", fields, 3)?;
        }
    }
    Ok(())
}

pub fn a_watch_of_tables_has_the_columns_once(stage: &Stage) -> anyhow::Result<()> {
    let first = stage.make_map("one", json!({}))?;
    let path = format!(
        "{}?watch=true&resourceVersion={}",
        stage.maps(),
        revision(&first)
    );
    let watch = stage.rest.request("GET", &path).accept(TABLE).watch()?;
    stage.make_map("two", json!({}))?;
    let patch = json!({"data": {"a": "b"}});
    stage
        .rest
        .patch("merge", &format!("{}/two", stage.maps()), &patch)?
        .ok()?;
    stage.rest.delete(&format!("{}/two", stage.maps()))?.ok()?;
    for (kind, expected, data) in [
        ("ADDED", vec!["Name", "Data", "Age"], 0),
        ("MODIFIED", vec![], 1),
        ("DELETED", vec![], 1),
    ] {
        let table = watch.event(kind)?;
        same(kind, text(&table, "kind"), "Table")?;
        same("columns", columns(&table), expected)?;
        let row = &rows(&table)[0];
        same(
            "cells",
            (&row["cells"][0], &row["cells"][1]),
            (&json!("two"), &json!(data)),
        )?;
        same("object", text(row, "object.metadata.name"), "two")?;
    }
    Ok(())
}

pub fn metadata_alone_is_told_and_watched(stage: &Stage) -> anyhow::Result<()> {
    let full = stage.make_map("one", json!({"a": "b"}))?;
    let path = format!("{}/one", stage.maps());
    let one = get(stage, &path, ONE)?.ok()?;
    let expected = json!({
        "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": full["metadata"],
    });
    same("one", &one, &expected)?;
    let list = get(
        stage,
        &format!("{}?labelSelector=a%3Db", stage.maps()),
        LIST,
    )?
    .ok()?;
    same("list", items(&list), [expected])?;
    let watch = format!(
        "{}?watch=true&resourceVersion={}",
        stage.maps(),
        revision(&full)
    );
    let watch = stage.rest.request("GET", &watch).accept(ONE).watch()?;
    let patch = json!({"data": {"a": "b"}, "metadata": {"labels": {"a": "c"}}});
    let changed = stage.rest.request("PATCH", &path).accept(ONE);
    let changed = changed.body("application/merge-patch+json", patch.to_string());
    let changed = changed.send()?.ok()?;
    same(
        "answer to a write",
        text(&changed, "kind"),
        "PartialObjectMetadata",
    )?;
    let seen = watch.event("MODIFIED")?;
    same("no data", at(&seen, "data"), &Value::Null)?;
    same("what is watched is what was answered", seen, changed)
}

pub fn the_form_of_a_list_does_not_fit_one_object(stage: &Stage) -> anyhow::Result<()> {
    stage.make_map("one", json!({}))?;
    let one = get(stage, &format!("{}/one", stage.maps()), LIST)?;
    same(
        "a list of one",
        one.refused(406)?["reason"].clone(),
        json!("NotAcceptable"),
    )?;
    // Nor for a client that would take something else, too.
    let accept = format!("{LIST},application/json");
    let message = "you requested PartialObjectMetadataList, but the requested object is not a list (*core.ConfigMap)";
    let answer = get(stage, &format!("{}/one", stage.maps()), &accept)?;
    says(&answer, 406, "NotAcceptable", message)?;
    Ok(())
}

pub fn answers_that_are_no_objects_have_no_table(stage: &Stage) -> anyhow::Result<()> {
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {"verb": "get", "resource": "pods"}},
    });
    let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    let request = stage.rest.request("POST", path).json(&review);
    let answer = request.accept(TABLE).send()?;
    same(
        "reason",
        text(&answer.refused(406)?, "reason"),
        "NotAcceptable",
    )
}

pub fn an_unknown_form_falls_back_to_the_next(stage: &Stage) -> anyhow::Result<()> {
    stage.make_map("one", json!({"a": "b"}))?;
    let path = format!("{}?labelSelector=a%3Db", stage.maps());
    // As kubectl asks for.
    let media = "application/json;as=Table;v=v9;g=meta.k8s.io,application/json;as=Table;v=v1;g=meta.k8s.io,\
                 application/json";
    same(
        "kind",
        text(&get(stage, &path, media)?.ok()?, "kind"),
        "Table",
    )?;
    let media = "application/json;as=Chair;v=v1;g=meta.k8s.io,application/json";
    let list = get(stage, &path, media)?.ok()?;
    same("names", names(&list), ["one"])?;
    let answer = get(stage, &path, "application/json;as=Chair;v=v1;g=meta.k8s.io")?;
    same(
        "reason",
        text(&answer.refused(406)?, "reason"),
        "NotAcceptable",
    )
}
