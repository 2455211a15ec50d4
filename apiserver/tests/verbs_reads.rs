//! Lists, watches and leaders' epochs against a real etcd.

#[path = "support/api.rs"]
mod api;
#[path = "support/etcd.rs"]
mod etcd;

use api::*;
use etcd::EtcdServer;
use ferrule_apimachinery::status::Reason;
use ferrule_apiserver::store::EventKind;
use ferrule_apiserver::verbs::{Epoch, ListOptions, Patch, Target, WriteOptions};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_of_a_list_are_of_one_revision() {
    let etcd = EtcdServer::start();
    let server = server(&etcd.endpoint()).await;
    for number in 0..10 {
        server
            .create("configmaps", config_map(&format!("c{number}")))
            .await
            .unwrap();
    }
    let target = server.target("configmaps");
    let mut options = ListOptions {
        limit: 3,
        ..ListOptions::default()
    };
    let (mut names, mut revisions, mut remaining) = (Vec::new(), Vec::new(), Vec::new());
    loop {
        let page = server.api.list(&call(), &target, &options).await.unwrap();
        names.extend(
            page.items
                .iter()
                .map(|stored| stored.header.name.to_string()),
        );
        revisions.push(page.revision);
        remaining.push(page.remaining);
        // Writes between the pages are not seen by the later ones.
        server
            .delete(&format!("configmaps/c{}", names.len()), json!({}))
            .await
            .ok();
        server
            .create("configmaps", config_map(&format!("later{}", names.len())))
            .await
            .unwrap();
        if page.continue_token.is_empty() {
            break;
        }
        options.continue_token = page.continue_token;
    }
    assert_eq!(
        names,
        (0..10)
            .map(|number| format!("c{number}"))
            .collect::<Vec<_>>()
    );
    assert!(revisions.windows(2).all(|pair| pair[0] == pair[1]));
    assert_eq!(remaining, [Some(7), Some(4), Some(1), None]);
}

#[tokio::test(flavor = "multi_thread")]
async fn selectors_limit_lists_and_hide_the_remaining_count() {
    let etcd = EtcdServer::start();
    let server = server(&etcd.endpoint()).await;
    for (name, app) in [("a", "x"), ("b", "y"), ("c", "x")] {
        let mut object = config_map(name);
        object["metadata"]["labels"] = json!({"app": app});
        server.create("configmaps", object).await.unwrap();
    }
    let names = async |labels: &str, fields: &str| -> Vec<String> {
        let options = ListOptions {
            label_selector: labels.to_owned(),
            field_selector: fields.to_owned(),
            ..ListOptions::default()
        };
        let objects = server.list("configmaps", &options).await.unwrap();
        objects
            .iter()
            .map(|one| one["metadata"]["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names("app=x", "").await, ["a", "c"]);
    assert_eq!(names("app!=x", "").await, ["b"]);
    assert_eq!(names("app in (x,y)", "metadata.name=b").await, ["b"]);
    let options = ListOptions {
        label_selector: "app=x".to_owned(),
        limit: 1,
        ..ListOptions::default()
    };
    let page = server
        .api
        .list(&call(), &server.target("configmaps"), &options)
        .await
        .unwrap();
    assert!(!page.continue_token.is_empty() && page.remaining.is_none());
}

/// Names and kinds of events until `count` have come.
async fn events(
    watch: &mut ferrule_apiserver::verbs::Watch,
    count: usize,
) -> Vec<(String, EventKind, i64)> {
    let mut seen = Vec::new();
    while seen.len() < count {
        let batch = tokio::time::timeout(std::time::Duration::from_secs(5), watch.next()).await;
        let batch = batch
            .expect("events come in time")
            .expect("the watch goes on");
        seen.extend(batch.events.iter().map(|event| {
            (
                event.object.header.name.to_string(),
                event.kind,
                event.revision,
            )
        }));
    }
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_resumes_on_another_server_after_the_last_event_it_saw() {
    let etcd = EtcdServer::start();
    let first = server(&etcd.endpoint()).await;
    let target = first.target("configmaps");
    let options = ListOptions {
        resource_version_match: "NotOlderThan".to_owned(),
        send_initial_events: Some(true),
        ..ListOptions::default()
    };
    first.create("configmaps", config_map("a")).await.unwrap();
    let mut watch = first.api.watch(&call(), &target, &options).await.unwrap();
    assert_eq!(events(&mut watch, 1).await[0].1, EventKind::Added);
    first
        .merge("configmaps/a", json!({"data": {"n": "1"}}))
        .await
        .unwrap();
    let (_, kind, revision) = events(&mut watch, 1).await.remove(0);
    assert_eq!(kind, EventKind::Modified);
    drop(watch);
    first
        .merge("configmaps/a", json!({"data": {"n": "2"}}))
        .await
        .unwrap();
    first.delete("configmaps/a", json!({})).await.unwrap();
    drop(first);

    let second = server(&etcd.endpoint()).await;
    let options = ListOptions {
        resource_version: revision.to_string(),
        ..ListOptions::default()
    };
    let mut watch = second.api.watch(&call(), &target, &options).await.unwrap();
    let kinds: Vec<EventKind> = events(&mut watch, 2)
        .await
        .into_iter()
        .map(|event| event.1)
        .collect();
    assert_eq!(kinds, [EventKind::Modified, EventKind::Deleted]);
}

fn lease(holder: &str, transitions: i64) -> Value {
    json!({
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "leader"},
        "spec": {"holderIdentity": holder, "leaseTransitions": transitions, "leaseDurationSeconds": 15},
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_former_leader_cannot_write() {
    let etcd = EtcdServer::start();
    let server = server(&etcd.endpoint()).await;
    server.create("configmaps", config_map("a")).await.unwrap();
    let leases = "leases.coordination.k8s.io";
    let mut current = server.create(leases, lease("one", 0)).await.unwrap();
    let epoch = |holder: &str, transitions: i64| {
        Epoch::parse(&format!("default/leader/{holder}/{transitions}"))
    };
    let write = async |epoch: Option<Epoch>, n: &str| {
        let mut object = config_map("a");
        object["data"]["n"] = n.into();
        server.update_in(epoch, "configmaps/a", &object).await
    };
    write(epoch("one", 0), "1").await.unwrap();
    // A renewal is the same epoch.
    current["spec"]["renewTime"] = "2030-01-01T00:00:00.000000Z".into();
    let mut current = server
        .update(&format!("{leases}/leader"), &current)
        .await
        .unwrap();
    write(epoch("one", 0), "2").await.unwrap();
    current["spec"]["holderIdentity"] = "two".into();
    current["spec"]["leaseTransitions"] = 1.into();
    server
        .update(&format!("{leases}/leader"), &current)
        .await
        .unwrap();
    let refusal = write(epoch("one", 0), "3").await.unwrap_err();
    assert_eq!(refusal.reason, Reason::Conflict);
    write(epoch("two", 1), "4").await.unwrap();
    server
        .delete(&format!("{leases}/leader"), json!({}))
        .await
        .unwrap();
    assert_eq!(
        write(epoch("two", 1), "5").await.unwrap_err().reason,
        Reason::Conflict
    );
    assert_eq!(server.get("configmaps/a").await.unwrap()["data"]["n"], "4");
}

/// The v2 of what `target` names in v1.
fn in_v2(server: &Server, target: &str) -> Target {
    let mut target = server.target(target);
    let (group, plural) = (&target.resource.group, &target.resource.plural);
    let resource = server.api.scheme().lookup(group, "v2", plural);
    target.resource = resource.expect("the version exists").clone();
    target
}

#[tokio::test(flavor = "multi_thread")]
async fn every_version_of_a_kind_shows_the_same_object() {
    let etcd = EtcdServer::start();
    let server = server(&etcd.endpoint()).await;
    let hpa = "horizontalpodautoscalers.autoscaling";
    let made = server
        .create(
            hpa,
            json!({"apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "web"}, "spec": {
                "maxReplicas": 3, "targetCPUUtilizationPercentage": 60,
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            }}),
        )
        .await
        .unwrap();
    assert_eq!(made["apiVersion"], "autoscaling/v1");
    assert_eq!(made["spec"]["minReplicas"], 1);

    let one = format!("{hpa}/web");
    let v2 = in_v2(&server, &one);
    let read = server.api.get(&call(), &v2, "").await.unwrap();
    let read = parse(&read.bytes);
    assert_eq!(read["apiVersion"], "autoscaling/v2");
    let target = json!({"type": "Utilization", "averageUtilization": 60});
    assert_eq!(read["spec"]["metrics"][0]["resource"]["target"], target);
    assert_eq!(version(&read), version(&made));

    // A patch is of the version that it is sent in; what the version has no field for stays.
    let options = WriteOptions::default();
    let behavior = json!({"spec": {"behavior": {"scaleUp": {"stabilizationWindowSeconds": 5}}}});
    let patch = Patch::Merge(behavior).into();
    server
        .api
        .patch(&call(), &v2, &patch, &options)
        .await
        .unwrap();
    let patched = server
        .merge(
            &one,
            json!({"spec": {"targetCPUUtilizationPercentage": 70}}),
        )
        .await
        .unwrap();
    assert_eq!(patched["spec"]["targetCPUUtilizationPercentage"], 70);
    let read = server.api.get(&call(), &v2, "").await.unwrap();
    let read = parse(&read.bytes);
    assert_eq!(
        read["spec"]["behavior"]["scaleUp"]["stabilizationWindowSeconds"],
        5
    );
    assert_eq!(
        read["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"],
        70
    );

    // Lists and watches are of the asked version too.
    let listed = server.list(hpa, &ListOptions::default()).await.unwrap();
    assert_eq!(listed[0]["spec"]["targetCPUUtilizationPercentage"], 70);
    let options = ListOptions {
        resource_version: version(&made).to_owned(),
        ..ListOptions::default()
    };
    let target = server.target(hpa);
    let mut watch = server.api.watch(&call(), &target, &options).await.unwrap();
    let mut percents = Vec::new();
    while percents.len() < 2 {
        for event in watch.next().await.unwrap().events {
            let object = parse(&event.object.with_resource_version());
            assert_eq!(object["apiVersion"], "autoscaling/v1");
            percents.push(object["spec"]["targetCPUUtilizationPercentage"].clone());
        }
    }
    assert_eq!(percents, [60, 70]);
    let status = server.delete(&one, json!({})).await.unwrap();
    assert_eq!(status["status"], "Success");
}
