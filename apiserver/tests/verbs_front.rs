//! Both fronts over mutual TLS: who gets in, what they may do, and what is too much.

#[path = "support/api.rs"]
mod api;
#[path = "support/cluster.rs"]
mod cluster;
#[path = "support/etcd.rs"]
mod etcd;
#[path = "front/wire.rs"]
mod wire;

use std::time::Duration;

use cluster::{ADMIN, cluster};
use ferrule_apimachinery::scheme::gvr;
use ferrule_apimachinery::status::Reason;
use ferrule_apiserver::serve::ServeOptions;
use ferrule_client::{At, Client, Patch, WatchOptions, WriteOptions};
use futures::StreamExt;
use serde_json::{Value, json};

fn config_map(name: &str) -> Vec<u8> {
    api::config_map(name).to_string().into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_certificate_there_is_health_and_nothing_else() {
    let cluster = cluster(ServeOptions::default()).await;
    for path in ["/healthz", "/readyz", "/livez"] {
        assert_eq!(cluster.get(None, path).await.0, 200, "{path}");
    }
    for path in [
        "/api/v1/namespaces",
        "/apis",
        "/version",
        "/metrics",
        "/nothing",
    ] {
        assert_eq!(cluster.get(None, path).await.0, 401, "{path}");
    }
    let anonymous = Client::new(&cluster.config(None)).unwrap();
    let refusal = anonymous
        .get(&At::of(gvr::NAMESPACES).name("default"))
        .await
        .unwrap_err();
    assert_eq!(refusal.reason, Reason::Unauthorized);
    assert_eq!(
        anonymous.resources().await.unwrap_err().reason,
        Reason::Unauthorized
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_are_written_read_and_watched_over_grpc() {
    let cluster = cluster(ServeOptions::default()).await;
    let admin = cluster.admin();
    let maps = At::of(gvr::CONFIG_MAPS).namespace("default");
    let options = WatchOptions {
        send_initial_events: true,
        ..WatchOptions::default()
    };
    let watch = admin.watch(&maps, &options).await.unwrap();
    let mut watch = std::pin::pin!(watch);
    let made = admin
        .create(&maps, config_map("a"), &WriteOptions::default())
        .await
        .unwrap();
    let one = maps.clone().name("a");
    let patch = Patch::Merge(json!({"data": {"n": "1"}}));
    let patched = admin
        .patch(&one, &patch, &WriteOptions::default())
        .await
        .unwrap();
    assert!(patched.revision > made.revision);
    let read: Value = admin.get(&one).await.unwrap().parse().unwrap();
    assert_eq!(read["data"]["n"], "1");
    let mut seen = Vec::new();
    while seen.len() < 2 {
        let batch = tokio::time::timeout(Duration::from_secs(5), watch.next())
            .await
            .unwrap();
        seen.extend(
            batch
                .unwrap()
                .unwrap()
                .changes
                .into_iter()
                .map(|change| change.revision),
        );
    }
    assert_eq!(seen, [made.revision, patched.revision]);
    let again = admin
        .create(&maps, config_map("a"), &WriteOptions::default())
        .await
        .unwrap_err();
    assert_eq!(again.message, "configmaps \"a\" already exists");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kubelet_reaches_only_what_belongs_to_its_node() {
    let cluster = cluster(ServeOptions::default()).await;
    let (admin, kubelet) = (
        cluster.admin(),
        cluster.client("system:node:n1", "system:nodes"),
    );
    let pods = At::of(gvr::PODS).namespace("default");
    for (name, node) in [("mine", "n1"), ("other", "n2")] {
        let mut pod = api::pod(name);
        pod["spec"]["nodeName"] = node.into();
        let body = pod.to_string().into_bytes();
        admin
            .create(&pods, body, &WriteOptions::default())
            .await
            .unwrap();
    }
    let status = || Patch::Merge(json!({"status": {"phase": "Running"}}));
    let patch = async |name: &str| {
        let at = pods.clone().name(name).subresource("status");
        kubelet
            .patch(&at, &status(), &WriteOptions::default())
            .await
    };
    patch("mine").await.unwrap();
    assert_eq!(patch("other").await.unwrap_err().reason, Reason::Forbidden);
    let watch = async |fields: &str| {
        let options = WatchOptions {
            field_selector: fields.to_owned(),
            ..WatchOptions::default()
        };
        let watch = kubelet.watch(&At::of(gvr::PODS), &options).await?;
        let mut watch = std::pin::pin!(watch);
        let first = tokio::time::timeout(Duration::from_secs(5), watch.next())
            .await
            .unwrap();
        first.unwrap().map(drop)
    };
    watch("spec.nodeName=n1").await.unwrap();
    for fields in ["", "spec.nodeName=n2"] {
        assert_eq!(
            watch(fields).await.unwrap_err().reason,
            Reason::Forbidden,
            "{fields:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_too_large_is_refused_in_upstreams_words() {
    let cluster = cluster(ServeOptions::default()).await;
    let body = "x".repeat((3 << 20) + 1);
    let request = format!(
        "POST /api/v1/namespaces/default/configmaps HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let (code, _, body) = cluster.http(ADMIN, request.as_bytes()).await;
    assert_eq!(code, 413, "{body}");
    assert!(body.contains("limit is 3145728"), "{body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_requests_in_flight_are_told_to_come_back() {
    let options = ServeOptions {
        max_reading: 0,
        max_mutating: 1,
    };
    let cluster = cluster(options).await;
    let (code, head, _) = cluster.get(ADMIN, "/api/v1/namespaces").await;
    assert_eq!(code, 429);
    assert!(head.contains("retry-after: 1"), "{head}");
    let refusal = cluster
        .admin()
        .get(&At::of(gvr::NAMESPACES).name("default"))
        .await
        .unwrap_err();
    assert_eq!(refusal.reason, Reason::TooManyRequests);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_over_rest_is_a_stream_of_lines_that_ends_by_its_timeout() {
    let cluster = cluster(ServeOptions::default()).await;
    let path = "/api/v1/namespaces?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan\
                &allowWatchBookmarks=true&timeoutSeconds=1";
    let (code, _, body) = cluster.get(ADMIN, path).await;
    assert_eq!(code, 200);
    assert_eq!(body.matches("\"type\":\"ADDED\"").count(), 4, "{body}");
    assert_eq!(
        body.matches("\"k8s.io/initial-events-end\":\"true\"")
            .count(),
        1,
        "{body}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_from_a_version_of_the_future_is_silent_and_then_told_to_list_again() {
    let cluster = cluster(ServeOptions::default()).await;
    let path = "/api/v1/namespaces?watch=1&resourceVersion=999999999&timeoutSeconds=";
    let (code, _, body) = cluster.get(ADMIN, &format!("{path}1")).await;
    assert!(code == 200 && !body.contains("ERROR"), "{code} {body}");
    let (code, _, body) = cluster.get(ADMIN, &format!("{path}60")).await;
    assert_eq!(code, 200);
    assert!(body.contains("\"code\":410"), "{body}");
}

/// The value of a header of an answer; `""` when absent.
fn header<'a>(head: &'a str, name: &str) -> &'a str {
    let lines = head.lines().filter_map(|line| line.split_once(':'));
    let mut found = lines.filter(|(own, _)| own.eq_ignore_ascii_case(name));
    found.next().map_or("", |(_, value)| value.trim())
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_are_kept_by_whoever_has_them() {
    let cluster = cluster(ServeOptions::default()).await;
    let ask = async |path: &str, extra: &str| {
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{extra}\r\n");
        cluster.http(ADMIN, request.as_bytes()).await
    };
    let (code, _, index) = ask("/openapi/v3", "").await;
    assert_eq!(code, 200, "{index}");
    let index: Value = serde_json::from_str(&index).unwrap();
    let place = index["paths"]["apis/apps/v1"]["serverRelativeURL"].as_str();
    let place = place.unwrap();
    let (code, head, document) = ask(place, "").await;
    assert_eq!(
        (code, header(&head, "content-type")),
        (200, "application/json")
    );
    assert_eq!(header(&head, "cache-control"), "public, immutable");
    let document: Value = serde_json::from_str(&document).unwrap();
    assert_eq!(document["openapi"], "3.0.0");
    let hash = place.split_once("?hash=").unwrap().1;
    // The helper reads heads in lower case.
    assert_eq!(
        header(&head, "etag"),
        format!("\"{}\"", hash.to_lowercase())
    );
    let (code, _, body) = ask(place, &format!("If-None-Match: \"{hash}\"\r\n")).await;
    assert_eq!((code, body.as_str()), (304, ""));
    // Both forms are asked for by the same hash.
    let accept = "Accept: application/com.github.proto-openapi.spec.v3@v1.0+protobuf\r\n";
    let known = format!("{accept}If-None-Match: \"{hash}\"\r\n");
    let (code, head, _) = ask(place, &known).await;
    assert_eq!(code, 304);
    assert_eq!(
        header(&head, "etag"),
        format!("\"{}\"", hash.to_lowercase())
    );
    let (code, head, _) = ask("/openapi/v3/apis/apps/v1?hash=OLD", "").await;
    assert_eq!(code, 301);
    assert_eq!(header(&head, "location"), place.to_lowercase());
    assert_eq!(ask("/openapi/v3/apis/nothing/v1", "").await.0, 404);
    let refused = "Accept: text/html\r\n";
    for path in [place, "/openapi/v2"] {
        assert_eq!(ask(path, refused).await.0, 406, "{path}");
    }
    let aggregated =
        "Accept: application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList\r\n";
    let (code, head, _) = ask("/apis", aggregated).await;
    assert_eq!(code, 200);
    let etag = header(&head, "etag").to_uppercase();
    let (code, _, _) = ask("/apis", &format!("{aggregated}If-None-Match: {etag}\r\n")).await;
    assert_eq!(code, 304);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_and_the_store_are_measured_under_upstreams_names() {
    let cluster = cluster(ServeOptions::default()).await;
    assert_eq!(
        cluster.get(ADMIN, "/api/v1/namespaces/default").await.0,
        200
    );
    let (code, _, text) = cluster.get(ADMIN, "/metrics").await;
    assert_eq!(code, 200);
    for expected in [
        "apiserver_request_total{code=\"200\",component=\"apiserver\",dry_run=\"\",group=\"\",\
         resource=\"namespaces\",scope=\"resource\",subresource=\"\",verb=\"GET\",version=\"v1\"} 1",
        "apiserver_request_duration_seconds_bucket{component=\"apiserver\",dry_run=\"\",group=\"\",\
         resource=\"namespaces\",scope=\"resource\",subresource=\"\",verb=\"GET\",version=\"v1\",le=\"60\"} 1",
        "apiserver_request_sli_duration_seconds_count{component=\"apiserver\",group=\"\",\
         resource=\"namespaces\",scope=\"resource\",subresource=\"\",verb=\"GET\",version=\"v1\"} 1",
        "apiserver_response_sizes_count{component=\"apiserver\",group=\"\",\
         resource=\"namespaces\",scope=\"resource\",subresource=\"\",verb=\"GET\",version=\"v1\"} 1",
        "apiserver_current_inflight_requests{request_kind=\"readOnly\"} 0",
        "apiserver_resource_objects{group=\"\",resource=\"namespaces\"} 4",
        "apiserver_watch_cache_initializations_total{group=\"\",resource=\"namespaces\"} 1",
        "apiserver_watch_cache_consistent_read_total{fallback=\"false\",group=\"\",\
         resource=\"namespaces\",success=\"true\"} ",
        "# TYPE apiserver_request_total counter",
    ] {
        let found = text.lines().any(|line| line.starts_with(expected));
        assert!(found, "{expected} in\n{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_watch_sends_is_counted_and_the_watch_when_it_ends() {
    let cluster = cluster(ServeOptions::default()).await;
    let path = "/api/v1/namespaces?watch=true&timeoutSeconds=1";
    let (code, _, body) = cluster.get(ADMIN, path).await;
    assert_eq!(code, 200);
    let events = body.lines().filter(|line| line.starts_with('{'));
    let bytes: usize = events.clone().map(|event| event.len() + 1).sum();
    assert_eq!(events.count(), 4, "{body}");
    let labels = "component=\"apiserver\",group=\"\",resource=\"namespaces\",scope=\"cluster\",\
                  subresource=\"\",verb=\"WATCH\",version=\"v1\"";
    let of = "{group=\"\",resource=\"namespaces\",version=\"v1\"}";
    let expected = [
        format!("apiserver_watch_events_total{of} 4"),
        format!("apiserver_watch_events_sizes_count{of} 4"),
        format!("apiserver_watch_events_sizes_sum{of} {bytes}"),
        format!("apiserver_longrunning_requests{{{labels}}} 0"),
        "apiserver_init_events_total{group=\"\",resource=\"namespaces\"} 4".to_owned(),
        format!(
            "apiserver_request_total{{code=\"200\",{}}} 1",
            labels.replace("group", "dry_run=\"\",group")
        ),
    ];
    // The server may learn a moment later than the client that the watch is over.
    let counted = async {
        loop {
            let (_, _, text) = cluster.get(ADMIN, "/metrics").await;
            let has = |line: &String| text.lines().any(|own| own == line);
            if expected.iter().all(has) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let counted = tokio::time::timeout(Duration::from_secs(20), counted).await;
    let (_, _, text) = cluster.get(ADMIN, "/metrics").await;
    assert!(counted.is_ok(), "{expected:#?} in\n{text}");
}
