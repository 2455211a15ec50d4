//! Tables over what needs no server.

use ferrule_apimachinery::field::{FieldError, Path};
use ferrule_apimachinery::status::Status;
use ferrule_proto::v1::ApiResource;
use serde_json::json;

use crate::commands::{apply, mark, rollout};
use crate::describe::Text;
use crate::error::Error;
use crate::output::columns::Columns;
use crate::parse::{duration, parse};
use crate::resources::Resources;

fn resources() -> Resources {
    let resource =
        |group: &str, name: &str, singular: &str, kind: &str, short: &[&str]| ApiResource {
            group: group.into(),
            version: "v1".into(),
            name: name.into(),
            singular_name: singular.into(),
            kind: kind.into(),
            namespaced: true,
            short_names: short.iter().map(|name| (*name).to_owned()).collect(),
            categories: if name == "pods" || group == "apps" {
                vec!["all".into()]
            } else {
                vec![]
            },
            ..ApiResource::default()
        };
    Resources::new(vec![
        resource("", "pods", "pod", "Pod", &["po"]),
        resource("", "services", "service", "Service", &["svc"]),
        resource(
            "apps",
            "deployments",
            "deployment",
            "Deployment",
            &["deploy"],
        ),
    ])
}

#[test]
fn a_resource_is_found_by_every_name_that_people_use() {
    let resources = resources();
    for name in [
        "deployments",
        "deployment",
        "deploy",
        "Deployment",
        "deployments.apps",
        "deploy.v1.apps",
    ] {
        assert_eq!(resources.find(name).unwrap().name, "deployments", "{name}");
    }
    assert!(resources.find("DEPLOY").is_err());
    let error = resources.find("nothings").unwrap_err().to_string();
    assert_eq!(
        error,
        "error: the server doesn't have a resource type \"nothings\""
    );
}

#[test]
fn words_name_types_objects_and_categories() {
    let resources = resources();
    let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let targets = |line: &str| -> Vec<(String, Vec<String>)> {
        let targets = resources.targets(&words(line)).unwrap();
        targets
            .into_iter()
            .map(|target| (target.resource.name, target.names))
            .collect()
    };
    let named = |resource: &str, names: &[&str]| {
        (
            resource.to_owned(),
            names
                .iter()
                .map(|name| (*name).to_owned())
                .collect::<Vec<_>>(),
        )
    };
    assert_eq!(targets("po a b"), [named("pods", &["a", "b"])]);
    assert_eq!(
        targets("po,svc"),
        [named("pods", &[]), named("services", &[])]
    );
    assert_eq!(
        targets("pod/a svc/b"),
        [named("pods", &["a"]), named("services", &["b"])]
    );
    assert_eq!(
        targets("all"),
        [named("pods", &[]), named("deployments", &[])]
    );
}

#[test]
fn columns_are_padded_by_three_blanks_and_the_last_is_not() {
    let rows = [["NAME", "READY", "AGE"], ["web-5", "1/1", "3s"]]
        .map(|row| row.map(str::to_owned).to_vec());
    assert_eq!(
        Columns::default().format(&rows),
        "NAME    READY   AGE\nweb-5   1/1     3s\n"
    );
}

#[test]
fn described_lines_align_in_runs() {
    let mut text = Text::default();
    text.line(0, "Name:\tone");
    text.line(0, "Namespace:\tdefault");
    text.line(0, "Conditions:\n  Type\tStatus");
    text.line(1, "Ready \tTrue ");
    let expected =
        "Name:       one\nNamespace:  default\nConditions:\n  Type    Status\n  Ready   True \n";
    assert_eq!(text.finish(), expected);
}

#[test]
fn errors_are_worded_as_upstream_words_them() {
    let problem = |path: &str| {
        FieldError::invalid(
            &Path::new("spec").child(path),
            &json!(-1),
            "must be positive",
        )
    };
    let cases = [
        (
            Error::from(Status::not_found("apps", "deployments", "none")),
            "Error from server (NotFound): deployments.apps \"none\" not found".to_owned(),
        ),
        (
            Error::from(Status::already_exists("", "services", "web")).when("creating", "web.yaml"),
            "Error from server (AlreadyExists): error when creating \"web.yaml\": services \"web\" already exists".to_owned(),
        ),
        (
            Error::from(Status::invalid("", "Pod", "p", &[problem("a")])),
            "The Pod \"p\" is invalid: spec.a: Invalid value: -1: must be positive".to_owned(),
        ),
        (
            Error::from(Status::invalid("", "Pod", "p", &[problem("a"), problem("b")])),
            "The Pod \"p\" is invalid: \n* spec.a: Invalid value: -1: must be positive\n\
             * spec.b: Invalid value: -1: must be positive"
                .to_owned(),
        ),
    ];
    for (error, expected) in cases {
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn only_a_server_that_was_not_reached_is_told_as_such() {
    let status = |code: u16, message: &str| {
        let mut status = Status::service_unavailable(message);
        status.code = code;
        Error::from(status).to_string()
    };
    let cases = [
        (
            status(503, "etcd: transport error: connection refused"),
            "Error from server (ServiceUnavailable): etcd: transport error: connection refused",
        ),
        (
            status(
                0,
                "transport error: connect to 127.0.0.1:1: connection refused",
            ),
            "The connection to the server 127.0.0.1:1 was refused - did you specify the right host or port?",
        ),
        (
            status(
                0,
                "invalid peer certificate: UnknownIssuer: transport error",
            ),
            "Unable to connect to the server: tls: failed to verify certificate: x509: certificate signed by unknown authority",
        ),
        (
            status(0, "transport error: no route to host"),
            "Unable to connect to the server: no route to host",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(text, expected);
    }
}

#[test]
fn apply_sends_only_what_differs_and_removes_what_is_no_longer_said() {
    let file = |data: serde_json::Value| {
        let mut object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "d"}, "data": data});
        apply::annotate(&mut object);
        object
    };
    let mut live = file(json!({"a": "1", "b": "2"}));
    live["data"]["other"] = json!("kept");
    live["metadata"]["uid"] = json!("u");
    let (apply::Plan::Strategic(patch) | apply::Plan::Merge(patch)) =
        apply::plan(&file(json!({"a": "1", "c": "3"})), &live).unwrap();
    assert_eq!(patch["data"], json!({"b": null, "c": "3"}));
    let (apply::Plan::Strategic(patch) | apply::Plan::Merge(patch)) =
        apply::plan(&file(json!({"a": "1", "b": "2"})), &live).unwrap();
    assert_eq!(patch, json!({}));
}

#[test]
fn a_rollout_goes_from_spec_to_pods_to_done() {
    let deployment = |generation: i64, updated: i64, total: i64, available: i64| {
        json!({
            "metadata": {"name": "web", "generation": generation},
            "spec": {"replicas": 3},
            "status": {"observedGeneration": 2, "updatedReplicas": updated, "replicas": total, "availableReplicas": available},
        })
    };
    let cases = [
        (
            deployment(3, 0, 0, 0),
            "Waiting for deployment spec update to be observed...\n",
            false,
        ),
        (
            deployment(2, 1, 3, 3),
            "Waiting for deployment \"web\" rollout to finish: 1 out of 3 new replicas have been updated...\n",
            false,
        ),
        (
            deployment(2, 3, 4, 3),
            "Waiting for deployment \"web\" rollout to finish: 1 old replicas are pending termination...\n",
            false,
        ),
        (
            deployment(2, 3, 3, 2),
            "Waiting for deployment \"web\" rollout to finish: 2 of 3 updated replicas are available...\n",
            false,
        ),
        (
            deployment(2, 3, 3, 3),
            "deployment \"web\" successfully rolled out\n",
            true,
        ),
    ];
    for (object, text, done) in cases {
        assert_eq!(
            rollout::deployment(&object, 0).unwrap(),
            (text.to_owned(), done)
        );
    }
}

#[test]
fn durations_are_read_as_go_writes_them() {
    for (text, seconds) in [
        ("0", 0.0),
        ("60s", 60.0),
        ("1m30s", 90.0),
        ("500ms", 0.5),
        ("1.5h", 5400.0),
    ] {
        assert_eq!(duration(text).unwrap().as_secs_f64(), seconds, "{text}");
    }
    for text in ["", "5", "1x", "s"] {
        assert!(duration(text).is_err(), "{text}");
    }
}

fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

#[test]
fn command_lines_that_do_not_fit_are_refused_in_upstreams_words() {
    let cases = [
        (
            "kubectl nothing",
            "error: unknown command \"nothing\" for \"kubectl\"",
        ),
        (
            "kubectl crate",
            "error: unknown command \"crate\" for \"kubectl\"\n\nDid you mean this?\n\tcreate\n",
        ),
        (
            "kubectl get po --nonsense",
            "error: unknown flag: --nonsense\nSee 'kubectl get --help' for usage.",
        ),
        (
            "kubectl get po -Q",
            "error: unknown shorthand flag: 'Q' in -Q\nSee 'kubectl get --help' for usage.",
        ),
        (
            "kubectl get po -n",
            "error: flag needs an argument: 'n' in -n\nSee 'kubectl get --help' for usage.",
        ),
        (
            "kubectl get po --output",
            "error: flag needs an argument: --output\nSee 'kubectl get --help' for usage.",
        ),
        (
            "kubectl get po --watch=x",
            "error: invalid argument \"x\" for \"-w, --watch\" flag: strconv.ParseBool: parsing \"x\": invalid syntax\n\
             See 'kubectl get --help' for usage.",
        ),
        (
            "kubectl scale deploy web --replicas=x",
            "error: invalid argument \"x\" for \"--replicas\" flag: strconv.ParseInt: parsing \"x\": invalid syntax\n\
             See 'kubectl scale --help' for usage.",
        ),
        (
            "kubectl delete po x --timeout=x",
            "error: invalid argument \"x\" for \"--timeout\" flag: time: invalid duration \"x\"\n\
             See 'kubectl delete --help' for usage.",
        ),
        (
            "kubectl create ns a --dry-run=x",
            "error: Invalid dry-run value (x). Must be \"none\", \"server\", or \"client\".",
        ),
        (
            "kubectl set nothing",
            "error: unknown command \"nothing\"\nSee 'kubectl set -h' for help and examples",
        ),
    ];
    for (line, expected) in cases {
        let refusal = parse(&words(line)).unwrap_err();
        assert_eq!(
            (refusal.text.as_str(), refusal.wanted),
            (expected, false),
            "{line}"
        );
    }
    for line in [
        "kubectl get po --no-headers=true --show-labels=false -o wide -o name",
        "kubectl logs x --tail -1 -n d",
        "kubectl exec x -- sh -c -x",
        "kubectl label cm c tier-",
    ] {
        assert!(parse(&words(line)).is_ok(), "{line}");
    }
}

#[test]
fn changes_of_labels_stand_behind_the_objects() {
    let (resources, changes) = mark::changes(&words("cm c a=b c-"), mark::Mark::Label).unwrap();
    assert_eq!(resources, ["cm", "c"]);
    assert_eq!(
        changes,
        [
            ("a".to_owned(), Some("b".to_owned())),
            ("c".to_owned(), None)
        ]
    );
    for line in ["cm c a=b d", "cm c a=b a-", "cm c a=b =b", "cm c a=-"] {
        assert!(
            mark::changes(&words(line), mark::Mark::Label).is_err(),
            "{line}"
        );
    }
}

#[test]
fn a_recorded_command_names_its_arguments_then_its_flags() {
    use crate::parse::change_cause;
    for (line, expected) in [
        (
            "/usr/bin/kubectl set image deployment/web web=nginx:2 --record",
            "kubectl set image deployment/web web=nginx:2 --record=true",
        ),
        (
            "kubectl -n shop set env --record=true deploy/web A=1 -c web --dry-run",
            "kubectl set env deploy/web A=1 --namespace=shop --record=true --containers=web --dry-run=true",
        ),
        (
            "kubectl run x -lapp=x --image nginx --record -- sleep -1",
            "kubectl run x sleep -1 --labels=app=x --image=nginx --record=true",
        ),
    ] {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        assert_eq!(change_cause(&words), expected);
    }
}

#[test]
fn the_pod_with_the_longest_readiness_is_attached_to_and_a_restarted_one_is_read() {
    use crate::commands::pods::{Purpose, rank};
    let pod = |name: &str, phase: &str, ready: Option<&str>, restarts: i64| {
        let conditions = match ready {
            Some(time) => json!([{"type": "Ready", "status": "True", "lastTransitionTime": time}]),
            None => json!([]),
        };
        json!({
            "metadata": {"name": name, "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"nodeName": "n"},
            "status": {"phase": phase, "conditions": conditions, "containerStatuses": [{"restartCount": restarts}]},
        })
    };
    let mut pending = pod("pending", "Pending", None, 0);
    pending["spec"] = json!({});
    let pods = [
        pending,
        pod("late", "Running", Some("2026-01-01T00:00:09Z"), 0),
        pod("unready", "Running", None, 0),
        pod("restarted", "Running", Some("2026-01-01T00:00:05Z"), 2),
        pod("early", "Running", Some("2026-01-01T00:00:05Z"), 0),
        pod("ended", "Succeeded", None, 0),
    ];
    let order = |purpose| {
        let mut sorted: Vec<_> = pods.iter().collect();
        sorted.sort_by_key(|pod| rank(pod, purpose));
        let names = sorted
            .iter()
            .map(|pod| pod["metadata"]["name"].as_str().unwrap());
        names.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(
        order(Purpose::Attach),
        "early restarted late unready ended pending"
    );
    assert_eq!(
        order(Purpose::Logs),
        "restarted early late unready ended pending"
    );
}
