//! What is wrong with a request is told in upstream's words, the same over REST and gRPC.

#[path = "support/api.rs"]
mod api;
#[path = "support/cluster.rs"]
mod cluster;
#[path = "support/etcd.rs"]
mod etcd;

use cluster::{ADMIN, Cluster, cluster};
use ferrule_apimachinery::scheme::GroupVersionResource;
use ferrule_apimachinery::status::Status;
use ferrule_apiserver::serve::ServeOptions;
use ferrule_client::{At, Client, Patch, WriteOptions};
use serde_json::{Value, json};

/// One bad request: `create deployments.apps`, `update configmaps/a`, `merge pods/p/status`.
struct Case {
    what: &'static str,
    body: String,
    code: u16,
    reason: &'static str,
    message: String,
}

fn case(
    what: &'static str,
    body: impl ToString,
    (code, reason): (u16, &'static str),
    message: impl Into<String>,
) -> Case {
    Case {
        what,
        body: body.to_string(),
        code,
        reason,
        message: message.into(),
    }
}

const BAD: (u16, &str) = (400, "BadRequest");
const INVALID: (u16, &str) = (422, "Invalid");
const CONFLICT: (u16, &str) = (409, "Conflict");
const NOT_FOUND: (u16, &str) = (404, "NotFound");

fn split(what: &str) -> (&str, &str, &str, &str, &str) {
    let (verb, at) = what.split_once(' ').unwrap();
    let mut parts = at.split('/');
    let resource = parts.next().unwrap_or_default();
    let (plural, group) = resource.split_once('.').unwrap_or((resource, ""));
    let name = parts.next().unwrap_or_default();
    (verb, group, plural, name, parts.next().unwrap_or_default())
}

async fn over_grpc(admin: &Client, case: &Case) -> Status {
    let (verb, group, plural, name, subresource) = split(case.what);
    let at = At::of(GroupVersionResource::from_parts(group, "v1", plural))
        .namespace("default")
        .name(name)
        .subresource(subresource);
    let (body, options) = (case.body.clone().into_bytes(), WriteOptions::default());
    let answer = match verb {
        "create" => admin.create(&at, body, &options).await,
        "update" => admin.update(&at, body, &options).await,
        _ => {
            let patch = Patch::Merge(serde_json::from_str(&case.body).unwrap());
            admin.patch(&at, &patch, &options).await
        }
    };
    match answer {
        Ok(object) => panic!("{} was accepted: {object:?}", case.what),
        Err(status) => status,
    }
}

async fn over_rest(cluster: &Cluster, case: &Case) -> (u16, Value) {
    let (verb, group, plural, name, subresource) = split(case.what);
    let method = match verb {
        "create" => "POST",
        "update" => "PUT",
        _ => "PATCH",
    };
    let mut path = match group {
        "" => "/api/v1".to_owned(),
        group => format!("/apis/{group}/v1"),
    };
    path.push_str("/namespaces/default/");
    path.push_str(plural);
    for part in [name, subresource].iter().filter(|part| !part.is_empty()) {
        path.push('/');
        path.push_str(part);
    }
    let media = match verb {
        "merge" => "application/merge-patch+json",
        _ => "application/json",
    };
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: {media}\r\n\
         Content-Length: {}\r\n\r\n{}",
        case.body.len(),
        case.body
    );
    let (code, _, body) = cluster.http(ADMIN, request.as_bytes()).await;
    let body = serde_json::from_str(&body).unwrap_or_else(|_| panic!("{}: {body}", case.what));
    (code, body)
}

fn deployment(name: &str, change: impl FnOnce(&mut Value)) -> Value {
    let mut object = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": {"app": "a"}},
            "template": {
                "metadata": {"labels": {"app": "a"}},
                "spec": {"containers": [{"name": "c", "image": "busybox"}]},
            },
        },
    });
    change(&mut object);
    object
}

fn node_port(name: &str, ports: &[u16]) -> Value {
    let ports: Vec<Value> = ports
        .iter()
        .enumerate()
        .map(|(at, port)| json!({"name": format!("p{at}"), "port": 80 + at, "nodePort": port}))
        .collect();
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
        "spec": {"type": "NodePort", "ports": ports},
    })
}

/// What an object that is not JSON at all is told.
fn unrecognized(why: &str, shown: &str) -> String {
    format!(
        "the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; \
         json parse error: {why} ({shown})"
    )
}

fn cases(first: &Value) -> Vec<Case> {
    const NAME: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or \
                        '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used \
                        for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
    let stale = {
        let mut object = api::config_map("a");
        object["metadata"]["resourceVersion"] = first["metadata"]["resourceVersion"].clone();
        object
    };
    let pod = |change: fn(&mut Value)| {
        let mut object = api::pod("p");
        change(&mut object);
        object
    };
    vec![
        // What is no object, or another one.
        case(
            "create configmaps",
            "{\"metadata\":",
            BAD,
            unrecognized("unexpected end of JSON input", "{\"metadata\":"),
        ),
        case(
            "create configmaps",
            "{\"metadata\":{\"name\":\"t\"},}",
            BAD,
            unrecognized(
                "invalid character '}' looking for beginning of object key string",
                "{\"metadata\":{\"name\":\"t\"},}",
            ),
        ),
        case(
            "create configmaps",
            json!({"apiVersion": "v1", "kind": "Nothing", "metadata": {"name": "k"}}),
            BAD,
            "Nothing in version \"v1\" cannot be handled as a ConfigMap: no kind \"Nothing\" is registered for version \
             \"v1\" in scheme \"pkg/api/legacyscheme/scheme.go:30\"",
        ),
        case(
            "create configmaps",
            api::pod("p"),
            BAD,
            "Pod in version \"v1\" cannot be handled as a ConfigMap: converting (v1.Pod) to (core.ConfigMap): \
             unknown conversion",
        ),
        case(
            "create deployments.apps",
            json!({"apiVersion": "apps/v9", "kind": "Deployment", "metadata": {"name": "d"}}),
            BAD,
            "Deployment in version \"v9\" cannot be handled as a Deployment: no kind \"Deployment\" is registered for \
             version \"apps/v9\" in scheme \"pkg/api/legacyscheme/scheme.go:30\"",
        ),
        case(
            "create deployments.apps",
            deployment("d", |object| object["spec"]["replicas"] = "three".into()),
            BAD,
            "Deployment in version \"v1\" cannot be handled as a Deployment: json: cannot unmarshal string into Go \
             struct field DeploymentSpec.spec.replicas of type int32",
        ),
        case(
            "create things",
            json!({}),
            NOT_FOUND,
            "the server could not find the requested resource",
        ),
        case(
            "create pods/p/eviction",
            api::pod("p"),
            BAD,
            "Pod in version \"v1\" cannot be handled as a Eviction: converting (v1.Pod) to (policy.Eviction): \
             unknown conversion",
        ),
        case(
            "update deployments.apps/d/scale",
            api::config_map("d"),
            BAD,
            "ConfigMap in version \"v1\" cannot be handled as a Scale: converting (v1.ConfigMap) to \
             (autoscaling.Scale): unknown conversion",
        ),
        // Names and places.
        case(
            "create configmaps",
            api::config_map("Bad_Name"),
            INVALID,
            format!(
                "ConfigMap \"Bad_Name\" is invalid: metadata.name: Invalid value: \"Bad_Name\": {NAME}"
            ),
        ),
        case(
            "create configmaps",
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "n", "namespace": "other"}}),
            BAD,
            "the namespace of the provided object does not match the namespace sent on the request",
        ),
        case(
            "update configmaps/a",
            api::config_map("b"),
            BAD,
            "the name of the object (b) does not match the name on the URL (a)",
        ),
        case(
            "update configmaps/none",
            api::config_map("none"),
            NOT_FOUND,
            "configmaps \"none\" not found",
        ),
        case(
            "create configmaps",
            api::config_map("a"),
            (409, "AlreadyExists"),
            "configmaps \"a\" already exists",
        ),
        // What the rules of a kind refuse.
        case(
            "create deployments.apps",
            deployment("d", |object| object["spec"]["replicas"] = (-1).into()),
            INVALID,
            "Deployment.apps \"d\" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0",
        ),
        case(
            "merge deployments.apps/d",
            json!({"spec": {"replicas": -1}}),
            INVALID,
            "Deployment.apps \"d\" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0",
        ),
        case(
            "merge deployments.apps/d/scale",
            json!({"spec": {"replicas": -1}}),
            INVALID,
            "Scale.autoscaling \"d\" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0",
        ),
        case(
            "create deployments.apps",
            deployment("e", |object| {
                object["spec"]["selector"]["matchLabels"]["app"] = "b".into();
            }),
            INVALID,
            "Deployment.apps \"e\" is invalid: spec.template.metadata.labels: Invalid value: {\"app\":\"a\"}: `selector` \
             does not match template `labels`",
        ),
        case(
            "merge deployments.apps/d",
            json!({"spec": {
                "selector": {"matchLabels": {"app": "b"}},
                "template": {"metadata": {"labels": {"app": "b"}}},
            }}),
            INVALID,
            "Deployment.apps \"d\" is invalid: spec.selector: Invalid value: {\"matchLabels\":{\"app\":\"b\"}}: field is \
             immutable",
        ),
        case(
            "create pods",
            pod(|object| object["spec"]["containers"] = json!([])),
            INVALID,
            "Pod \"p\" is invalid: spec.containers: Required value",
        ),
        case(
            "create pods",
            pod(|object| object["spec"]["priorityClassName"] = "nothing".into()),
            (403, "Forbidden"),
            "pods \"p\" is forbidden: no PriorityClass with name nothing was found",
        ),
        case(
            "create services",
            node_port("second", &[30100]),
            INVALID,
            "Service \"second\" is invalid: spec.ports[0].nodePort: Invalid value: 30100: provided port is already \
             allocated",
        ),
        case(
            "create services",
            node_port("twice", &[30200, 30200]),
            INVALID,
            "Service \"twice\" is invalid: spec.ports[1].nodePort: Duplicate value: 30200",
        ),
        case(
            "create services",
            node_port("outside", &[80]),
            INVALID,
            "Service \"outside\" is invalid: spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid \
             range. The range of valid ports is 30000-32767",
        ),
        // What somebody else changed.
        case(
            "update configmaps/a",
            stale,
            CONFLICT,
            "Operation cannot be fulfilled on configmaps \"a\": the object has been modified; please apply your \
             changes to the latest version and try again",
        ),
        case(
            "merge configmaps/a",
            json!({"metadata": {"resourceVersion": first["metadata"]["resourceVersion"]}, "data": {"n": "2"}}),
            CONFLICT,
            "Operation cannot be fulfilled on configmaps \"a\": the object has been modified; please apply your \
             changes to the latest version and try again",
        ),
        // What is too large.
        case(
            "create configmaps",
            json!({"metadata": {"name": "big"}, "data": {"k": "x".repeat(4 << 20)}}),
            (413, "RequestEntityTooLarge"),
            "Request entity too large: limit is 3145728",
        ),
        case(
            "update configmaps/a",
            json!({"metadata": {"name": "a"}, "data": {"k": "x".repeat(4 << 20)}}),
            (413, "RequestEntityTooLarge"),
            "Request entity too large: limit is 3145728",
        ),
        case(
            "create configmaps",
            json!({"metadata": {"name": "big"}, "data": {"k": "x".repeat(2 << 20)}}),
            INVALID,
            "ConfigMap \"big\" is invalid: []: Too long: may not be more than 1048576 bytes",
        ),
        case(
            "create services",
            json!({
                "metadata": {"name": "big", "annotations": {"k": "x".repeat(300 << 10)}},
                "spec": {"ports": [{"port": 80}]},
            }),
            INVALID,
            "Service \"big\" is invalid: metadata.annotations: Too long: may not be more than 262144 bytes",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_requests_are_refused_alike_over_rest_and_grpc() {
    let cluster = cluster(ServeOptions::default()).await;
    let admin = cluster.admin();
    let server = &cluster.server;
    let first = server
        .create("configmaps", api::config_map("a"))
        .await
        .unwrap();
    let change = json!({"data": {"n": "1"}});
    server.merge("configmaps/a", change).await.unwrap();
    server
        .create("deployments.apps", deployment("d", |_| ()))
        .await
        .unwrap();
    server
        .create("services", node_port("first", &[30100]))
        .await
        .unwrap();
    for case in cases(&first) {
        let (code, rest) = over_rest(&cluster, &case).await;
        let what = format!("{} {:.60}", case.what, case.body);
        assert_eq!(rest["message"], case.message, "{what}");
        assert_eq!(
            (code, &rest["reason"]),
            (case.code, &json!(case.reason)),
            "{what}"
        );
        assert_eq!(
            (&rest["kind"], &rest["code"]),
            (&json!("Status"), &json!(code)),
            "{what}"
        );
        let grpc = over_grpc(&admin, &case).await;
        assert_eq!(grpc.to_value(), rest, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_etcd_finds_too_large_is_refused_in_its_words() {
    let cluster = cluster(ServeOptions::default()).await;
    let mut object = api::pod("p");
    let env: Vec<Value> = (0..64)
        .map(|number| json!({"name": format!("V{number}"), "value": "x".repeat(32 << 10)}))
        .collect();
    object["spec"]["containers"][0]["env"] = env.into();
    let case = case(
        "create pods",
        object,
        (500, ""),
        "etcdserver: request is too large",
    );
    let (code, rest) = over_rest(&cluster, &case).await;
    assert_eq!((code, &rest["message"]), (500, &json!(case.message)));
    assert_eq!(over_grpc(&cluster.admin(), &case).await.to_value(), rest);
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_yaml_is_refused_with_the_place_of_the_fault() {
    let cluster = cluster(ServeOptions::default()).await;
    let send = async |body: &str| {
        let request = format!(
            "POST /api/v1/namespaces/default/configmaps HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
             Content-Type: application/yaml\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let (code, _, body) = cluster.http(ADMIN, request.as_bytes()).await;
        let message: Value = serde_json::from_str(&body).unwrap();
        (code, message["message"].as_str().unwrap().to_owned())
    };
    let (code, message) = send("metadata:\n  name: [a\n").await;
    assert_eq!(code, 400);
    let beginning = "the object provided is unrecognized (must be of type ConfigMap): ";
    assert!(message.starts_with(beginning), "{message}");
    assert!(message.contains("yaml: line "), "{message}");
    let (code, message) = send("kind: Nothing\napiVersion: v1\n").await;
    assert_eq!(code, 400);
    assert!(
        message.starts_with("Nothing in version \"v1\" cannot be handled as a ConfigMap"),
        "{message}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_eviction_says_when_to_come_back_on_both_fronts() {
    let cluster = cluster(ServeOptions::default()).await;
    let server = &cluster.server;
    let mut pod = api::pod("p");
    pod["metadata"]["labels"] = json!({"app": "web"});
    server.create("pods", pod).await.unwrap();
    let ready = json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]});
    server
        .merge("pods/p/status", json!({"status": ready}))
        .await
        .unwrap();
    let budget = json!({
        "metadata": {"name": "b"}, "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}},
    });
    server
        .create("poddisruptionbudgets.policy", budget)
        .await
        .unwrap();
    let case = case(
        "create pods/p/eviction",
        json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p"}}),
        (429, "TooManyRequests"),
        "Cannot evict pod as it would violate the pod's disruption budget.",
    );
    let (code, rest) = over_rest(&cluster, &case).await;
    assert_eq!((code, &rest["message"]), (429, &json!(case.message)));
    assert_eq!(rest["details"]["retryAfterSeconds"], 10);
    assert_eq!(rest["details"]["causes"][0]["reason"], "DisruptionBudget");
    assert_eq!(over_grpc(&cluster.admin(), &case).await.to_value(), rest);
}
