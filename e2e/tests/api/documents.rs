//! OpenAPI, health and metrics.

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::stage::{Stage, same, text};

const PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";

fn places(index: &Value) -> anyhow::Result<Vec<(String, String)>> {
    let paths = index["paths"].as_object().context("paths")?;
    let places = paths.iter().map(|(place, own)| {
        let url = text(own, "serverRelativeURL").to_owned();
        (place.clone(), url)
    });
    Ok(places.collect())
}

pub fn every_group_has_a_document_that_may_be_kept(stage: &Stage) -> anyhow::Result<()> {
    let index = stage.rest.get("/openapi/v3")?.ok()?;
    let places = places(&index)?;
    for version in [
        "api/v1",
        "apis/apps/v1",
        "apis/autoscaling/v2",
        "apis/resource.k8s.io/v1",
        "version",
    ] {
        ensure!(
            places.iter().any(|(place, _)| place == version),
            "{version} is not in {index}"
        );
    }
    for (place, url) in &places {
        let (path, hash) = url.split_once("?hash=").context("a hash")?;
        same("address", path, format!("/openapi/v3/{place}").as_str())?;
        let answer = stage.rest.get(url)?;
        let document = answer.ok()?;
        ensure!(text(&document, "openapi").starts_with("3.0"), "{place}");
        same(
            "ETag",
            answer.header("etag"),
            format!("\"{hash}\"").as_str(),
        )?;
        same(
            "for ever",
            answer.header("cache-control"),
            "public, immutable",
        )?;
        ensure!(!answer.header("expires").is_empty(), "{place}: no Expires");
        ensure!(answer.header("vary").contains("Accept"), "{place}: Vary");

        let known = stage.rest.request("GET", url);
        let known = known
            .header("If-None-Match", &format!("\"{hash}\""))
            .send()?;
        same("known", (known.code, known.body.len()), (304, 0))?;
    }
    let (place, url) = places.first().context("a place")?;
    let old = stage.rest.get(&format!("/openapi/v3/{place}?hash=OLD"))?;
    same(
        "another hash",
        (old.code, old.header("location")),
        (301, url.as_str()),
    )?;
    same(
        "no document",
        stage.rest.get("/openapi/v3/apis/none/v1")?.code,
        404,
    )
}

pub fn schemas_say_which_kind_they_are_of(stage: &Stage) -> anyhow::Result<()> {
    let document = stage.rest.get("/openapi/v3/apis/apps/v1")?.ok()?;
    let schemas = &document["components"]["schemas"];
    let deployment = &schemas["io.k8s.api.apps.v1.Deployment"];
    let kinds = &deployment["x-kubernetes-group-version-kind"];
    let expected = serde_json::json!([{"group": "apps", "kind": "Deployment", "version": "v1"}]);
    same("kinds", kinds, &expected)?;
    ensure!(
        !text(deployment, "description").is_empty(),
        "a description: {deployment}"
    );
    let containers = &schemas["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"];
    same(
        "type of list",
        text(containers, "x-kubernetes-list-type"),
        "map",
    )?;
    same(
        "merge key",
        text(containers, "x-kubernetes-patch-merge-key"),
        "name",
    )?;
    let path = &document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"];
    for (method, action) in [
        ("get", "get"),
        ("put", "put"),
        ("patch", "patch"),
        ("delete", "delete"),
    ] {
        let found = &path[method]["x-kubernetes-action"];
        same("action", found, &serde_json::json!(action))?;
    }
    // Every reference leads somewhere.
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap_or_default();
        ensure!(!schemas[name].is_null(), "{name} is not there");
    }
    Ok(())
}

pub fn the_old_document_comes_as_json_and_as_protobuf(stage: &Stage) -> anyhow::Result<()> {
    let json = stage.rest.get("/openapi/v2")?;
    let document = json.ok()?;
    same("version", text(&document, "swagger"), "2.0")?;
    ensure!(
        !document["definitions"]["io.k8s.api.core.v1.Pod"].is_null(),
        "a Pod"
    );
    let protobuf = stage
        .rest
        .request("GET", "/openapi/v2")
        .accept(PROTOBUF)
        .send()?;
    same("code", protobuf.code, 200)?;
    same(
        "media type",
        protobuf.header("content-type"),
        "application/com.github.proto-openapi.spec.v2.v1.0+protobuf",
    )?;
    // Field 1 of the document: "2.0".
    ensure!(
        protobuf.body.starts_with(b"\x0a\x032.0"),
        "no document in protobuf"
    );
    for answer in [json, protobuf] {
        let tag = answer.header("etag");
        ensure!(!tag.is_empty(), "{}", answer.header("content-type"));
    }
    let first = stage
        .rest
        .request("GET", "/openapi/v2")
        .accept("application/json")
        .send()?;
    let again = stage
        .rest
        .request("GET", "/openapi/v2")
        .accept("application/json");
    let again = again.header("If-None-Match", first.header("etag")).send()?;
    same("known", (again.code, again.body.len()), (304, 0))?;
    let refused = stage
        .rest
        .request("GET", "/openapi/v2")
        .accept("text/html")
        .send()?;
    same("not acceptable", refused.code, 406)
}

pub fn documents_come_compressed(stage: &Stage) -> anyhow::Result<()> {
    for path in ["/openapi/v2", "/openapi/v3/api/v1"] {
        let plain = stage.rest.get(path)?;
        let packed = stage
            .rest
            .request("GET", path)
            .header("Accept-Encoding", "gzip")
            .send()?;
        same(path, packed.header("content-encoding"), "gzip")?;
        ensure!(packed.body.starts_with(&[0x1f, 0x8b]), "{path} is no gzip");
        ensure!(
            packed.body.len() * 3 < plain.body.len(),
            "{path}: {}",
            packed.body.len()
        );
    }
    Ok(())
}

pub fn health_is_told_by_check(stage: &Stage) -> anyhow::Result<()> {
    for path in ["/healthz", "/livez", "/readyz"] {
        let answer = stage.rest.get(path)?;
        same(path, (answer.code, answer.text().as_str()), (200, "ok"))?;
        same(
            path,
            answer.header("content-type"),
            "text/plain; charset=utf-8",
        )?;
        let verbose = stage.rest.get(&format!("{path}?verbose"))?;
        let said = verbose.text();
        ensure!(said.contains("[+]ping ok\n"), "{path}: {said}");
        let end = format!("{} check passed\n", &path[1..]);
        ensure!(said.ends_with(&end), "{path}: {said}");
        let ping = stage.rest.get(&format!("{path}/ping"))?;
        same(path, (ping.code, ping.text().as_str()), (200, "ok"))?;
        same(path, stage.rest.get(&format!("{path}/nothing"))?.code, 404)?;
    }
    let left_out = stage.rest.get("/readyz?verbose&exclude=etcd")?.text();
    ensure!(left_out.contains("[+]etcd excluded: ok\n"), "{left_out}");
    Ok(())
}

pub fn metrics_have_upstreams_names(stage: &Stage) -> anyhow::Result<()> {
    stage.rest.get(&stage.maps())?.ok()?;
    let metrics = stage.rest.get("/metrics")?;
    same("code", metrics.code, 200)?;
    let text = metrics.text();
    for name in [
        "apiserver_request_total{",
        "apiserver_request_duration_seconds_bucket{",
        "apiserver_current_inflight_requests{",
        "apiserver_longrunning_requests{",
        "etcd_request_duration_seconds_bucket{",
        "apiserver_resource_objects{",
        "apiserver_watch_cache_resource_version{",
        "process_start_time_seconds",
    ] {
        ensure!(text.contains(name), "there is no {name}");
    }
    Ok(())
}

pub fn metrics_count_what_a_watch_is_sent(stage: &Stage) -> anyhow::Result<()> {
    // Other tests watch as well: the counts may be larger.
    let counted = || -> anyhow::Result<[f64; 2]> {
        let text = stage.rest.get("/metrics")?.text();
        let of = |name: &str| -> anyhow::Result<f64> {
            let head = format!("{name}{{group=\"\",resource=\"configmaps\",version=\"v1\"}} ");
            let value = text.lines().find_map(|line| line.strip_prefix(&head));
            Ok(value.map_or(Ok(0.0), str::parse)?)
        };
        Ok([
            of("apiserver_watch_events_total")?,
            of("apiserver_watch_events_sizes_sum")?,
        ])
    };
    let before = counted()?;
    let watch = stage.rest.watch(&format!("{}?watch=true", stage.maps()))?;
    let mut bytes = 0;
    for name in ["a", "b", "c"] {
        stage.make_map(name, serde_json::json!({}))?;
        let event = watch.next()?.context("the watch has ended")?;
        bytes += event.to_string().len();
    }
    let after = counted()?;
    ensure!(after[0] >= before[0] + 3.0, "{before:?} {after:?}");
    ensure!(after[1] >= before[1] + bytes as f64, "{before:?} {after:?}");
    Ok(())
}

pub fn documents_that_are_no_objects_have_upstreams_line_breaks(
    stage: &Stage,
) -> anyhow::Result<()> {
    let table = "application/json;as=Table;v=v1;g=meta.k8s.io";
    let discovery = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    let json = "application/json";
    for (path, accept, begin, end) in [
        ("/version", json, "{\n  \"major\": \"1\",\n", "\"\n}"),
        (
            "/",
            json,
            "{\n  \"paths\": [\n    \"/api\",\n",
            "\"\n  ]\n}",
        ),
        ("/openapi/v3", json, "{\"paths\":{\"", "\"}}}"),
        ("/api", json, "{\"kind\":\"APIVersions\",", "}\n"),
        ("/apis", json, "{\"apiVersion\":\"v1\",", "}\n"),
        (
            "/apis",
            discovery,
            "{\"apiVersion\":\"apidiscovery.k8s.io/v2\",",
            "}\n",
        ),
        (
            "/api/v1/nothing",
            json,
            "{\"apiVersion\":\"v1\",\"code\":404,",
            "}\n",
        ),
        // Where no encoding was agreed on, failures are written by themselves.
        (
            "/api/v1/namespaces",
            "text/plain",
            "{\n  \"apiVersion\": \"v1\",\n  \"code\": 406,\n",
            "\n}",
        ),
        (
            "/api/v1/namespaces/nothing",
            table,
            "{\n  \"apiVersion\": \"v1\",\n  \"code\": 404,\n",
            "\n}",
        ),
    ] {
        let answer = stage.rest.request("GET", path).accept(accept).send()?;
        let text = answer.text();
        ensure!(
            text.starts_with(begin) && text.ends_with(end),
            "{path} as {accept}: {text:?}"
        );
    }
    Ok(())
}
