//! Encodings, compression, methods and paths.

use std::collections::BTreeSet;

use anyhow::{Context, ensure};
use ferrule_e2e::processes::{Extent, Plan, Processes};
use ferrule_e2e::wait::{seconds, until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use crate::stage::{Stage, map, names, same, says, text, within};

const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

pub fn each_encoding_can_be_asked_for(stage: &Stage) -> anyhow::Result<()> {
    stage.make_map("a", json!({"l": "1"}))?;
    let one = format!("{}/a", stage.maps());
    for (path, kind) in [(one, "ConfigMap"), (stage.maps(), "ConfigMapList")] {
        for (accept, expected) in [
            ("", "application/json"),
            ("*/*", "application/json"),
            ("application/*", "application/json"),
            ("application/json", "application/json"),
            ("application/yaml", "application/yaml"),
            (PROTOBUF, PROTOBUF),
            (
                "application/vnd.kubernetes.protobuf,application/json",
                PROTOBUF,
            ),
            ("text/html;q=0.9,application/json;q=0.5", "application/json"),
            ("text/html, application/yaml", "application/yaml"),
        ] {
            let request = stage.rest.request("GET", &path);
            let request = if accept.is_empty() {
                request
            } else {
                request.accept(accept)
            };
            let answer = request.send()?;
            same(
                accept,
                (answer.code, answer.header("content-type")),
                (200, expected),
            )?;
            match expected {
                PROTOBUF => ensure!(answer.body.starts_with(b"k8s\0"), "an envelope"),
                "application/yaml" => {
                    let line = format!("kind: {kind}\n");
                    ensure!(answer.text().contains(&line), "{answer}");
                    ensure!(answer.text().starts_with("apiVersion: v1\n"), "{answer}");
                }
                _ => {
                    same(accept, text(&answer.json()?, "kind"), kind)?;
                    ensure!(answer.body.ends_with(b"}\n"), "a line: {answer}");
                }
            }
        }
        for accept in ["text/html", "text/plain", "application/cbor", "image/*"] {
            let answer = stage.rest.request("GET", &path).accept(accept).send()?;
            let status = answer.refused(406)?;
            same("reason", text(&status, "reason"), "NotAcceptable")?;
        }
    }
    Ok(())
}

pub fn each_encoding_can_be_sent(stage: &Stage) -> anyhow::Result<()> {
    let post = |media: &str, body: Vec<u8>| {
        let request = stage.rest.request("POST", &stage.maps());
        request.body(media, body).send()
    };
    let json = |name: &str| {
        map(name, json!({}), json!({"a": "b"}))
            .to_string()
            .into_bytes()
    };
    post("application/json", json("json"))?.ok()?;
    post("application/json; charset=utf-8", json("charset"))?.ok()?;
    post(
        "application/yaml",
        b"metadata: {name: yaml}\ndata:\n  a: b\n".to_vec(),
    )?
    .ok()?;
    let none = stage.rest.request("POST", &stage.maps());
    none.header("Content-Length", &json("bare").len().to_string())
        .body("", json("bare"))
        .send()?
        .ok()?;
    // What was read in protobuf is made again under another name.
    let read = stage.rest.request("GET", &format!("{}/json", stage.maps()));
    let read = read.accept(PROTOBUF).send()?.body;
    let again = post(PROTOBUF, read.to_vec())?;
    again.refused(500).or_else(|_| again.refused(409))?;
    let put = stage.rest.request("PUT", &format!("{}/json", stage.maps()));
    put.body(PROTOBUF, read).send()?.ok()?;
    for (media, body) in [
        ("application/json", &b"{"[..]),
        ("application/json", b"metadata: {name: y}\n"),
        ("application/json", b"[]"),
        ("application/json", b""),
        ("application/yaml", b"a: b: c\n"),
        (PROTOBUF, b"k8s"),
        (PROTOBUF, b"k8s\0\x0a\xff\xff\xff\xff\x0f"),
        (PROTOBUF, b"{}"),
    ] {
        let answer = post(media, body.to_vec())?;
        let status = answer.refused(400)?;
        same(media, text(&status, "reason"), "BadRequest")?;
    }
    for media in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/merge-patch+json",
        "application/xml",
    ] {
        says(
            &post(media, json("x"))?,
            415,
            "UnsupportedMediaType",
            "the body of the request was in an unknown format - accepted media types include: application/json, \
             application/yaml, application/vnd.kubernetes.protobuf",
        )?;
    }
    Ok(())
}

pub fn a_refusal_is_in_the_encoding_that_was_asked_for(stage: &Stage) -> anyhow::Result<()> {
    let get = |media: &str| {
        stage
            .rest
            .request("GET", &format!("{}/none", stage.maps()))
            .accept(media)
            .send()
    };
    let yaml = get("application/yaml")?;
    same(
        "code",
        (yaml.code, yaml.header("content-type")),
        (404, "application/yaml"),
    )?;
    ensure!(yaml.text().contains("reason: NotFound\n"), "{yaml}");
    let protobuf = get(PROTOBUF)?;
    same(
        "code",
        (protobuf.code, protobuf.header("content-type")),
        (404, PROTOBUF),
    )?;
    ensure!(protobuf.body.starts_with(b"k8s\0"), "an envelope");
    // A Table is no Status: plain JSON.
    let table = get("application/json;as=Table;g=meta.k8s.io;v=v1")?;
    same("kind", text(&table.json()?, "kind"), "Status")
}

pub fn large_answers_are_compressed_when_that_is_taken(stage: &Stage) -> anyhow::Result<()> {
    let large = map("large", json!({}), json!({"x": "y".repeat(200 << 10)}));
    stage.rest.post(&stage.maps(), &large)?.ok()?;
    stage.make_map("small", json!({}))?;
    let get = |path: &str, encodings: &str| {
        let request = stage
            .rest
            .request("GET", &format!("{}{path}", stage.maps()));
        request.header("Accept-Encoding", encodings).send()
    };
    for path in ["", "/large"] {
        let packed = get(path, "gzip")?;
        same(path, packed.header("content-encoding"), "gzip")?;
        ensure!(
            packed.header("vary").contains("Accept-Encoding"),
            "Vary: {}",
            packed.header("vary")
        );
        ensure!(
            packed.body.starts_with(&[0x1f, 0x8b]) && packed.body.len() < 20_000,
            "{}",
            packed.body.len()
        );
        let plain = get(path, "identity")?;
        same(path, plain.header("content-encoding"), "")?;
        ensure!(plain.body.len() > 200 << 10, "{}", plain.body.len());
    }
    let small = get("/small", "gzip")?;
    same("a small one", small.header("content-encoding"), "")
}

pub fn people_are_answered_with_line_breaks(stage: &Stage) -> anyhow::Result<()> {
    stage.make_map("a", json!({}))?;
    let path = format!("{}/a", stage.maps());
    let plain = stage.rest.get(&path)?;
    let pretty = stage.rest.get(&format!("{path}?pretty=true"))?;
    same("the same", pretty.ok()?, plain.ok()?)?;
    ensure!(
        pretty.text().starts_with("{\n  \"kind\"")
            || pretty.text().starts_with("{\n  \"apiVersion\""),
        "{pretty}"
    );
    same("lines", plain.text().lines().count(), 1)?;
    // A browser or curl is a person, too.
    let curl = stage
        .rest
        .request("GET", &path)
        .header("User-Agent", "curl/8.0")
        .send()?;
    ensure!(curl.text().lines().count() > 5, "{curl}");
    let plain = stage
        .rest
        .request("GET", &format!("{path}?pretty=false"))
        .header("User-Agent", "curl/8.0");
    same("unless it says no", plain.send()?.text().lines().count(), 1)
}

pub fn methods_without_a_meaning_are_refused(stage: &Stage) -> anyhow::Result<()> {
    stage.make_map("a", json!({}))?;
    for path in [stage.maps(), format!("{}/a", stage.maps())] {
        for method in ["HEAD", "OPTIONS", "TRACE", "PROPFIND"] {
            let answer = stage.rest.request(method, &path).send()?;
            same(method, answer.code, 405)?;
        }
    }
    Ok(())
}

pub fn paths_may_be_escaped_and_end_with_a_slash(stage: &Stage) -> anyhow::Result<()> {
    let name = "a.b-c";
    stage.make_map(name, json!({}))?;
    for path in [
        format!("{}/a%2Eb%2Dc", stage.maps()),
        format!("{}/{name}/", stage.maps()),
        format!("/api/v1/%6eamespaces/{}/configmaps/{name}", stage.namespace),
    ] {
        let object = stage.rest.get(&path)?.ok()?;
        same(&path, text(&object, "metadata.name"), name)?;
    }
    let list = stage.rest.get(&format!("{}/", stage.maps()))?.ok()?;
    same("a list", names(&list).contains(&name), true)?;
    // Names of roles may have colons, which need no escape.
    let roles = stage.of("rbac.authorization.k8s.io/v1", "roles");
    let role = json!({"metadata": {"name": "system:a:b"}, "rules": []});
    stage.rest.post(&roles, &role)?.ok()?;
    for path in ["system:a:b", "system%3Aa%3Ab"] {
        stage.rest.get(&format!("{roles}/{path}"))?.ok()?;
    }
    let odd = stage.rest.get(&format!("{}/Bad_Name", stage.maps()))?;
    says(&odd, 404, "NotFound", "configmaps \"Bad_Name\" not found")?;
    Ok(())
}

pub fn every_answer_has_an_audit_id_and_is_not_to_be_kept(stage: &Stage) -> anyhow::Result<()> {
    stage.make_map("a", json!({}))?;
    let mut seen = BTreeSet::new();
    for path in [
        format!("{}/a", stage.maps()),
        stage.maps(),
        format!("{}/none", stage.maps()),
        "/apis".to_owned(),
        "/version".to_owned(),
        "/nothing".to_owned(),
    ] {
        let answer = stage.rest.get(&path)?;
        same(&path, answer.header("cache-control"), "no-cache, private")?;
        ensure!(!answer.header("date").is_empty(), "{path}: no date");
        let id = answer.header("audit-id").to_owned();
        same(&path, id.len(), 36)?;
        ensure!(seen.insert(id), "{path}: an ID twice");
        let mine = stage.rest.request("GET", &path);
        let mine = mine.header("Audit-ID", "mine").send()?;
        same(&path, mine.header("audit-id"), "mine")?;
    }
    Ok(())
}

pub fn who_comes_without_a_certificate_is_told_so(stage: &Stage) -> anyhow::Result<()> {
    let mut config = ferrule_client::ClientConfig::load(&stage.processes.kubeconfig(), "test")?;
    config.identity = None;
    let stranger = ferrule_e2e::rest::Rest::new(&config)?;
    for path in [stage.maps(), "/api".to_owned(), "/version".to_owned()] {
        says(&stranger.get(&path)?, 401, "Unauthorized", "Unauthorized")?;
    }
    let with_token = stranger
        .request("GET", &stage.maps())
        .header("Authorization", "Bearer none")
        .send()?;
    says(&with_token, 401, "Unauthorized", "Unauthorized")?;
    same("health", stranger.get("/readyz")?.code, 200)
}

pub fn who_would_act_as_another_is_refused(stage: &Stage) -> anyhow::Result<()> {
    let as_alice = stage.rest.request("GET", &stage.maps());
    let answer = as_alice.header("Impersonate-User", "alice").send()?;
    same("code", answer.code, 403)?;
    let message = text(&answer.json()?, "message").to_owned();
    ensure!(
        message.starts_with("users \"alice\" is forbidden: User ")
            && message.ends_with(
                " cannot impersonate resource \"users\" in API group \"\" at the cluster scope"
            ),
        "{message}"
    );
    Ok(())
}

pub fn every_request_for_endpoints_is_told_of_their_successor(stage: &Stage) -> anyhow::Result<()> {
    let path = within("v1", Some(&stage.namespace), "endpoints");
    let told =
        ["299 - \"v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice\""];
    let made = json!({"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "a"}});
    same("POST", stage.rest.post(&path, &made)?.warnings(), told)?;
    for (method, path) in [
        ("GET", path.clone()),
        ("GET", format!("{path}/a")),
        ("DELETE", format!("{path}/a")),
    ] {
        let answer = stage.rest.request(method, &path).send()?;
        same(
            &path,
            (answer.code, answer.warnings()),
            (200, told.map(str::to_owned).to_vec()),
        )?;
    }
    Ok(())
}

pub fn too_many_requests_are_told_to_come_again(_: &Stage) -> anyhow::Result<()> {
    let processes = Processes::of(&Plan {
        api_server_flags: vec!["--max-mutating-requests-inflight=1".to_owned()],
        ..Plan::new(Extent::ApiServer)
    })?;
    let etcd = processes.process("etcd").context("etcd runs")?;
    let etcd = Pid::from_raw(i32::try_from(etcd)?);
    let path = within("v1", Some("default"), "configmaps");
    // Nothing is written while etcd stands still, so that one of two writes finds no place.
    kill(etcd, Signal::SIGSTOP)?;
    let writers: Vec<_> = ["a", "b"]
        .into_iter()
        .map(|name| {
            let (rest, path) = (processes.rest()?, path.clone());
            let write = move || {
                let answer = rest.post(&path, &map(name, json!({}), json!({})));
                (
                    answer.as_ref().is_ok_and(|answer| answer.code == 429),
                    answer,
                )
            };
            Ok(std::thread::spawn(write))
        })
        .collect::<anyhow::Result<_>>()?;
    let refused = until("one of them is refused", seconds(60), || {
        ensure!(
            writers.iter().any(|writer| writer.is_finished()),
            "both wait"
        );
        Ok(())
    });
    kill(etcd, Signal::SIGCONT)?;
    refused?;
    let mut codes = Vec::new();
    for writer in writers {
        let (_, answer) = writer
            .join()
            .map_err(|_| anyhow::anyhow!("a writer panicked"))?;
        let answer = answer?;
        codes.push(answer.code);
        if answer.code == 429 {
            let status = says(
                &answer,
                429,
                "TooManyRequests",
                "Too many requests, please try again later.",
            )?;
            same("header", answer.header("retry-after"), "1")?;
            same(
                "details",
                &status["details"]["retryAfterSeconds"],
                &json!(1),
            )?;
        }
    }
    codes.sort_unstable();
    same("one is written, the other is not", codes, [201, 429])
}

pub fn an_eviction_that_must_wait_is_told_so(stage: &Stage) -> anyhow::Result<()> {
    let pods = stage.of("v1", "pods");
    let pod = json!({
        "metadata": {"name": "p", "labels": {"app": "guarded"}},
        "spec": {"schedulerName": "nobody", "nodeName": "none", "containers": [{"name": "c", "image": "i"}]},
    });
    stage.rest.post(&pods, &pod)?.ok()?;
    let running = json!({"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}});
    stage
        .rest
        .patch("merge", &format!("{pods}/p/status"), &running)?
        .ok()?;
    let budget = json!({
        "metadata": {"name": "b"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "guarded"}}},
    });
    stage
        .rest
        .post(&stage.of("policy/v1", "poddisruptionbudgets"), &budget)?
        .ok()?;
    let eviction = json!({"metadata": {"name": "p"}});
    let answer = stage.rest.post(&format!("{pods}/p/eviction"), &eviction)?;
    let status = answer.refused(429)?;
    same("reason", text(&status, "reason"), "TooManyRequests")?;
    let message = "Cannot evict pod as it would violate the pod's disruption budget.";
    same("message", text(&status, "message"), message)?;
    same(
        "cause",
        text(&status, "details.causes.0.reason"),
        "DisruptionBudget",
    )
}
