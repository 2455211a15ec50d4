//! How answers of the REST front look on the wire: encodings, forms, pieces, compression.

use std::io::Read;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ferrule_apimachinery::protobuf::Unknown;
use ferrule_apimachinery::schema::Schema;
use ferrule_apiserver::serve::ServeOptions;
use serde_json::{Value, json};

use crate::api;
use crate::cluster::{ADMIN, Cluster, cluster};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

/// An answer with its body in one piece.
struct Answer {
    code: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }

    /// The object in an envelope of protobuf.
    fn object(&self) -> Value {
        opened(&self.body)
    }

    fn is(&self, header: &str, value: &str) -> bool {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.any(|(own, found)| own == header && found == value)
    }
}

fn opened(bytes: &[u8]) -> Value {
    let unknown = Unknown::read(bytes).unwrap();
    let schema = Schema::builtin();
    let id = schema
        .message_type(unknown.api_version, unknown.kind)
        .unwrap();
    let read = schema.read_message(id, unknown.raw).unwrap();
    let mut value = schema.decode_value(read, id).unwrap().value;
    value["kind"] = unknown.kind.into();
    value["apiVersion"] = unknown.api_version.into();
    value
}

async fn ask(
    cluster: &Cluster,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Answer {
    let mut request = format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("\r\n");
    let request = [request.as_bytes(), body].concat();
    let (code, head, body) = cluster.http_bytes(ADMIN, &request).await;
    let body = if head.contains("transfer-encoding: chunked") {
        unchunked(&body)
    } else {
        body
    };
    Answer { code, head, body }
}

async fn get(cluster: &Cluster, path: &str, headers: &[(&str, &str)]) -> Answer {
    ask(cluster, "GET", path, headers, b"").await
}

fn unchunked(mut bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        let end = bytes.windows(2).position(|it| it == b"\r\n").unwrap();
        let length = std::str::from_utf8(&bytes[..end]).unwrap();
        let length = usize::from_str_radix(length, 16).unwrap();
        if length == 0 {
            return out;
        }
        out.extend_from_slice(&bytes[end + 2..][..length]);
        bytes = &bytes[end + 4 + length..];
    }
}

fn unzipped(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut decoder = flate2::read::GzDecoder::new(bytes);
    decoder.read_to_end(&mut out).unwrap();
    out
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_lists_and_failures_travel_in_protobuf() {
    let cluster = cluster(ServeOptions::default()).await;
    let body = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "labels": {"l": "1"}}, "data": {"k": "v"},
    });
    let body = Schema::builtin()
        .write_object(body.to_string().as_bytes())
        .unwrap();
    let both = [("Content-Type", PROTOBUF), ("Accept", PROTOBUF)];
    let made = ask(&cluster, "POST", MAPS, &both, &body).await;
    assert_eq!(made.code, 201);
    assert!(made.is("content-type", PROTOBUF), "{}", made.head);
    let one = format!("{MAPS}/a");
    let read = get(&cluster, &one, &[]).await.json();
    assert_eq!(read["data"]["k"], "v");
    assert_eq!(made.object(), read);
    let accept = [("Accept", PROTOBUF)];
    assert_eq!(get(&cluster, &one, &accept).await.object(), read);

    let list = get(&cluster, &format!("{MAPS}?labelSelector=l"), &accept)
        .await
        .object();
    assert_eq!(list["kind"], "ConfigMapList");
    assert_eq!(list["items"][0]["metadata"], read["metadata"]);
    let missing = get(&cluster, &format!("{MAPS}/none"), &accept).await;
    assert_eq!(missing.code, 404);
    assert_eq!(missing.object()["message"], "configmaps \"none\" not found");
    assert_eq!(missing.object()["details"]["name"], "none");

    for version in ["v1", "v1beta1"] {
        let accept = format!("{PROTOBUF};as=PartialObjectMetadata;g=meta.k8s.io;v={version}");
        let metadata = get(&cluster, &one, &[("Accept", &accept)]).await.object();
        assert_eq!(metadata["kind"], "PartialObjectMetadata");
        assert_eq!(metadata["apiVersion"], format!("meta.k8s.io/{version}"));
        assert_eq!(metadata["metadata"], read["metadata"]);
    }
    let accept = format!("{PROTOBUF};as=PartialObjectMetadataList;g=meta.k8s.io;v=v1");
    let list = get(&cluster, MAPS, &[("Accept", &accept)]).await.object();
    assert_eq!(list["kind"], "PartialObjectMetadataList");
    let table = format!("{PROTOBUF};as=Table;g=meta.k8s.io;v=v1");
    let refused = get(&cluster, MAPS, &[("Accept", &table)]).await;
    assert_eq!(refused.code, 406);

    let options = Schema::builtin();
    let id = options.type_id("meta/v1.DeleteOptions").unwrap();
    let raw = options.write_message(id, br#"{"dryRun":["All"]}"#).unwrap();
    let options = Unknown {
        api_version: "v1",
        kind: "DeleteOptions",
        raw: &raw,
    }
    .write();
    let deleted = ask(&cluster, "DELETE", &one, &both, &options).await;
    assert_eq!(
        (deleted.code, deleted.object()["kind"].as_str()),
        (200, Some("Status"))
    );
    assert_eq!(get(&cluster, &one, &[]).await.code, 200, "it was a dry run");
}

/// The events in frames: their types, and their objects.
fn frames(mut bytes: &[u8]) -> Vec<(String, Value)> {
    let schema = Schema::builtin();
    let id = schema.type_id("meta/v1.WatchEvent").unwrap();
    let mut events = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<4>() {
        let (frame, rest) = rest.split_at(u32::from_be_bytes(*length) as usize);
        bytes = rest;
        // The object is no JSON: the frame is taken apart by hand.
        let kind_length = usize::from(frame[1]);
        let kind = std::str::from_utf8(&frame[2..2 + kind_length]).unwrap();
        let start = frame.windows(4).position(|it| it == b"k8s\0").unwrap();
        assert!(schema.read_message(id, frame).is_err());
        events.push((kind.to_owned(), opened(&frame[start..])));
    }
    events
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_in_protobuf_is_a_stream_of_frames() {
    let cluster = cluster(ServeOptions::default()).await;
    let path = "/api/v1/namespaces?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan\
                &allowWatchBookmarks=true&timeoutSeconds=1";
    for accept in [PROTOBUF.to_owned(), format!("{PROTOBUF};stream=watch")] {
        let answer = get(&cluster, path, &[("Accept", &accept)]).await;
        let expected = format!("{PROTOBUF};stream=watch");
        assert!(answer.is("content-type", &expected), "{}", answer.head);
        let events = frames(&answer.body);
        let kinds: Vec<&str> = events.iter().map(|(kind, _)| kind.as_str()).collect();
        assert_eq!(kinds, ["ADDED", "ADDED", "ADDED", "ADDED", "BOOKMARK"]);
        assert_eq!(events[0].1["metadata"]["name"], "default");
        let annotations = &events[4].1["metadata"]["annotations"];
        assert_eq!(annotations["k8s.io/initial-events-end"], "true");
    }
    let accept = [("Accept", "application/yaml")];
    assert_eq!(get(&cluster, path, &accept).await.code, 406);
}

#[tokio::test(flavor = "multi_thread")]
async fn large_answers_come_in_pieces_and_compressed_for_those_who_ask() {
    let cluster = cluster(ServeOptions::default()).await;
    let mut names = Vec::new();
    for number in 0..60 {
        let mut object = api::config_map(&format!("m{number:03}"));
        object["data"] = json!({"text": "0123456789".repeat(1000)});
        cluster.server.create("configmaps", object).await.unwrap();
        names.push(format!("m{number:03}"));
    }
    let found = |list: &Value| -> Vec<String> {
        let items = list["items"].as_array().unwrap().iter();
        items
            .map(|item| item["metadata"]["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let zip = ("Accept-Encoding", "br, gzip");
    let plain = get(&cluster, MAPS, &[]).await;
    assert!(plain.is("transfer-encoding", "chunked"), "{}", plain.head);
    assert_eq!(found(&plain.json()), names);
    let zipped = get(&cluster, MAPS, &[zip]).await;
    assert!(zipped.is("content-encoding", "gzip"), "{}", zipped.head);
    assert!(zipped.is("vary", "accept-encoding"), "{}", zipped.head);
    assert!(zipped.body.len() < plain.body.len() / 10);
    assert_eq!(unzipped(&zipped.body), plain.body);
    for accept in [PROTOBUF, "application/yaml"] {
        let plain = get(&cluster, MAPS, &[("Accept", accept)]).await;
        let zipped = get(&cluster, MAPS, &[("Accept", accept), zip]).await;
        assert_eq!(unzipped(&zipped.body), plain.body, "{accept}");
    }
    let list = get(&cluster, MAPS, &[("Accept", PROTOBUF)]).await.object();
    assert_eq!(found(&list), names);
    let table = "application/json;as=Table;g=meta.k8s.io;v=v1beta1";
    let table = get(
        &cluster,
        &format!("{MAPS}?includeObject=Object"),
        &[("Accept", table)],
    )
    .await;
    let table = table.json();
    assert_eq!(table["apiVersion"], "meta.k8s.io/v1beta1");
    assert_eq!(table["rows"].as_array().map(Vec::len), Some(60));
    let small = get(&cluster, &format!("{MAPS}?limit=2"), &[zip]).await;
    assert!(!small.head.contains("content-encoding"), "{}", small.head);
    assert_eq!(found(&small.json()), names[..2]);

    let large = api::config_map("large");
    let large = json!({"data": {"t": "x".repeat(200_000)}, "metadata": large["metadata"]});
    cluster.server.create("configmaps", large).await.unwrap();
    let one = format!("{MAPS}/large");
    let (plain, zipped) = (
        get(&cluster, &one, &[]).await,
        get(&cluster, &one, &[zip]).await,
    );
    assert!(zipped.is("content-encoding", "gzip"), "{}", zipped.head);
    assert_eq!(unzipped(&zipped.body), plain.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn people_read_lines_and_programs_do_not() {
    let cluster = cluster(ServeOptions::default()).await;
    let path = "/api/v1/namespaces/default";
    let indented = get(&cluster, path, &[("User-Agent", "curl/8")]).await;
    assert!(indented.body.starts_with(b"{\n  \"apiVersion\": \"v1\",\n"));
    let plain = get(&cluster, path, &[]).await;
    assert_eq!(plain.json(), indented.json());
    assert!(
        plain.is("cache-control", "no-cache, private"),
        "{}",
        plain.head
    );
    let list = get(&cluster, "/api/v1/namespaces?pretty=1", &[]).await;
    assert!(
        list.body
            .starts_with(b"{\n  \"kind\": \"NamespaceList\",\n")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_make_no_sense_are_refused_in_upstreams_words() {
    let cluster = cluster(ServeOptions::default()).await;
    let create = |query: &str| format!("{MAPS}?{query}");
    for (path, code, message) in [
        (
            create("timeout=soon"),
            400,
            "invalid timeout specified in the request URL - time: invalid duration \"soon\"",
        ),
        (
            create("limit=x"),
            400,
            "strconv.ParseInt: parsing \"x\": invalid syntax",
        ),
    ] {
        let answer = get(&cluster, &path, &[]).await;
        assert_eq!(answer.code, code, "{path}");
        assert_eq!(answer.json()["message"], message, "{path}");
    }
    let name = "n".repeat(129);
    for (manager, message) in [
        (
            name.as_str(),
            "CreateOptions.meta.k8s.io \"\" is invalid: fieldManager: Too long: may not be more than 128 bytes",
        ),
        (
            "a%07b",
            "CreateOptions.meta.k8s.io \"\" is invalid: fieldManager: Invalid value: \"a\\ab\": \
             invalid character U+0007 (at position 1)",
        ),
    ] {
        let path = create(&format!("fieldManager={manager}"));
        let body = api::config_map("a").to_string();
        let answer = ask(&cluster, "POST", &path, &[], body.as_bytes()).await;
        assert_eq!(answer.code, 422);
        assert_eq!(answer.json()["message"], message);
    }
    let body = [("Content-Type", PROTOBUF)];
    let answer = ask(&cluster, "POST", MAPS, &body, b"{}").await;
    assert_eq!(answer.code, 400);
    let message = answer.json()["message"].as_str().unwrap().to_owned();
    let expected = "the object provided is unrecognized (must be of type ConfigMap): provided data does not appear \
                    to be a protobuf message, expected prefix [107 56 115 0] ({})";
    assert_eq!(message, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_goes_on_with_what_is_there_by_now() {
    let cluster = cluster(ServeOptions::default()).await;
    for name in ["a", "c"] {
        cluster
            .server
            .create("configmaps", api::config_map(name))
            .await
            .unwrap();
    }
    let first = get(&cluster, &format!("{MAPS}?limit=1"), &[]).await.json();
    let token = first["metadata"]["continue"].as_str().unwrap();
    let mut token: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token).unwrap()).unwrap();
    cluster
        .server
        .create("configmaps", api::config_map("b"))
        .await
        .unwrap();
    token["rv"] = (-1).into();
    let token = URL_SAFE_NO_PAD.encode(token.to_string());
    let rest = get(&cluster, &format!("{MAPS}?limit=5&continue={token}"), &[])
        .await
        .json();
    let names: Vec<&Value> = rest["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["metadata"]["name"])
        .collect();
    assert_eq!(names, ["b", "c"]);
    assert_ne!(rest["metadata"]["resourceVersion"], "-1");
}
