//! Creates, updates, patches and deletes against a real etcd.

#[path = "support/api.rs"]
mod api;
#[path = "support/etcd.rs"]
mod etcd;

use api::*;
use etcd::EtcdServer;
use ferrule_apimachinery::status::Reason;
use ferrule_apiserver::verbs::WriteOptions;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn an_update_of_an_old_version_is_a_conflict_and_one_without_a_version_is_not() {
    let etcd = EtcdServer::start();
    let server = server(&etcd.endpoint()).await;
    let first = server.create("configmaps", config_map("a")).await.unwrap();
    let second = server
        .merge("configmaps/a", json!({"data": {"n": "1"}}))
        .await
        .unwrap();
    assert_ne!(version(&first), version(&second));
    let refusal = server.update("configmaps/a", &first).await.unwrap_err();
    assert_eq!(refusal.reason, Reason::Conflict);
    let third = server
        .update("configmaps/a", &config_map("a"))
        .await
        .unwrap();
    assert_eq!(third["data"]["n"], "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_changes_nothing_writes_nothing() {
    let etcd = EtcdServer::start();
    let server = server(&etcd.endpoint()).await;
    let made = server.create("configmaps", config_map("a")).await.unwrap();
    let same = server
        .update("configmaps/a", &config_map("a"))
        .await
        .unwrap();
    assert_eq!(made, same);
    let same = server
        .merge("configmaps/a", json!({"data": {"n": "0"}}))
        .await
        .unwrap();
    assert_eq!(made, same);
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_patches_of_two_servers_all_take_effect() {
    let etcd = EtcdServer::start();
    let servers = [
        server(&etcd.endpoint()).await,
        server(&etcd.endpoint()).await,
    ];
    servers[0]
        .create("configmaps", config_map("a"))
        .await
        .unwrap();
    let patches = (0..48).map(|number| {
        let server = &servers[number % 2];
        async move {
            server
                .merge("configmaps/a", json!({"data": {format!("k{number}"): "v"}}))
                .await
        }
    });
    for result in futures::future::join_all(patches).await {
        result.unwrap();
    }
    let data = &servers[0].get("configmaps/a").await.unwrap()["data"];
    assert_eq!(data.as_object().unwrap().len(), 49);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_one_of_many_creates_of_a_name_succeeds() {
    let etcd = EtcdServer::start();
    let servers = [
        server(&etcd.endpoint()).await,
        server(&etcd.endpoint()).await,
    ];
    let creates = (0..16).map(|number| servers[number % 2].create("configmaps", config_map("a")));
    let results = futures::future::join_all(creates).await;
    let made = results.iter().filter(|result| result.is_ok()).count();
    let taken = results.iter().filter(|result| {
        result
            .as_ref()
            .is_err_and(|status| status.reason == Reason::AlreadyExists)
    });
    assert_eq!((made, taken.count()), (1, 15));
}

#[tokio::test(flavor = "multi_thread")]
async fn deletes_keep_their_preconditions() {
    let etcd = EtcdServer::start();
    let server = server(&etcd.endpoint()).await;
    let made = server.create("configmaps", config_map("a")).await.unwrap();
    for wrong in [json!({"uid": "other"}), json!({"resourceVersion": "1"})] {
        let refusal = server
            .delete("configmaps/a", json!({"preconditions": wrong}))
            .await
            .unwrap_err();
        assert_eq!(refusal.reason, Reason::Conflict);
    }
    let right = json!({"uid": made["metadata"]["uid"], "resourceVersion": version(&made)});
    let status = server
        .delete("configmaps/a", json!({"preconditions": right}))
        .await
        .unwrap();
    assert_eq!(status["status"], "Success");
    assert_eq!(
        server.get("configmaps/a").await.unwrap_err().reason,
        Reason::NotFound
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_with_finalizers_goes_with_the_last_of_them() {
    let etcd = EtcdServer::start();
    let server = server(&etcd.endpoint()).await;
    let mut object = config_map("a");
    object["metadata"]["finalizers"] = json!(["a.example/x", "b.example/y"]);
    server.create("configmaps", object).await.unwrap();
    let marked = server.delete("configmaps/a", json!({})).await.unwrap();
    assert!(marked["metadata"]["deletionTimestamp"].is_string());
    server
        .merge(
            "configmaps/a",
            json!({"metadata": {"finalizers": ["b.example/y"]}}),
        )
        .await
        .unwrap();
    assert!(server.get("configmaps/a").await.is_ok());
    server
        .merge("configmaps/a", json!({"metadata": {"finalizers": null}}))
        .await
        .unwrap();
    assert_eq!(
        server.get("configmaps/a").await.unwrap_err().reason,
        Reason::NotFound
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_on_a_node_ends_gracefully_and_one_without_a_node_at_once() {
    let etcd = EtcdServer::start();
    let server = server(&etcd.endpoint()).await;
    server.create("pods", pod("free")).await.unwrap();
    server.delete("pods/free", json!({})).await.unwrap();
    assert!(server.get("pods/free").await.is_err());

    let mut bound = pod("bound");
    bound["spec"]["nodeName"] = "node1".into();
    server.create("pods", bound).await.unwrap();
    let grace = |pod: &Value| pod["metadata"]["deletionGracePeriodSeconds"].as_i64();
    assert_eq!(
        grace(&server.delete("pods/bound", json!({})).await.unwrap()),
        Some(30)
    );
    let shorter = server
        .delete("pods/bound", json!({"gracePeriodSeconds": 5}))
        .await
        .unwrap();
    assert_eq!(grace(&shorter), Some(5));
    let longer = server
        .delete("pods/bound", json!({"gracePeriodSeconds": 50}))
        .await
        .unwrap();
    assert_eq!(grace(&longer), Some(5));
    // The kubelet's word that it has ended.
    server
        .delete("pods/bound", json!({"gracePeriodSeconds": 0}))
        .await
        .unwrap();
    assert!(server.get("pods/bound").await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_takes_nothing_new_once_it_is_being_deleted_and_goes_when_finalized() {
    let etcd = EtcdServer::start();
    let server = server(&etcd.endpoint()).await;
    let namespace = json!({"metadata": {"name": "mine"}});
    server.create("namespaces", namespace).await.unwrap();
    let ending = server.delete("namespaces/mine", json!({})).await.unwrap();
    assert_eq!(ending["status"]["phase"], "Terminating");
    let target = ferrule_apiserver::verbs::Target {
        namespace: "mine".to_owned(),
        ..server.target("configmaps")
    };
    let body = config_map("late").to_string();
    let body = ferrule_apiserver::verbs::Body::json(body.as_bytes());
    let late = server
        .api
        .create(&call(), &target, body, &WriteOptions::default())
        .await;
    assert!(late.unwrap_err().is_namespace_terminating());
    let mut finalized = ending.clone();
    finalized["spec"]["finalizers"] = json!([]);
    server
        .update("namespaces/mine/finalize", &finalized)
        .await
        .unwrap();
    assert!(server.get("namespaces/mine").await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn generated_names_differ_and_a_dry_run_stores_nothing() {
    let etcd = EtcdServer::start();
    let server = server(&etcd.endpoint()).await;
    let object = json!({"metadata": {"generateName": "gen-"}});
    let mut names = std::collections::HashSet::new();
    for _ in 0..20 {
        let made = server.create("configmaps", object.clone()).await.unwrap();
        assert!(names.insert(made["metadata"]["name"].as_str().unwrap().to_owned()));
    }
    let options = WriteOptions {
        dry_run: true,
        ..WriteOptions::default()
    };
    let dry = server
        .create_with(&call(), "configmaps", config_map("dry"), &options)
        .await
        .unwrap();
    assert!(dry["metadata"]["uid"].is_string() && dry["metadata"]["resourceVersion"].is_null());
    assert!(server.get("configmaps/dry").await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_is_bound_once() {
    let etcd = EtcdServer::start();
    let servers = [
        server(&etcd.endpoint()).await,
        server(&etcd.endpoint()).await,
    ];
    servers[0].create("pods", pod("p")).await.unwrap();
    let bindings = (0..8).map(|number| {
        let server = &servers[number % 2];
        async move {
            let target = server.target("pods/p/binding");
            let binding = json!({"metadata": {"name": "p"}, "target": {"kind": "Node", "name": format!("n{number}")}});
            let body = binding.to_string();
            let body = ferrule_apiserver::verbs::Body::json(body.as_bytes());
            server.api.bind(&call(), &target, body, &WriteOptions::default()).await
        }
    });
    let results = futures::future::join_all(bindings).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    for refusal in results.iter().filter_map(|result| result.as_ref().err()) {
        assert_eq!(refusal.reason, Reason::Conflict);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_made_in_a_namespace_after_its_deletion_has_begun() {
    let etcd = EtcdServer::start();
    let servers = [
        server(&etcd.endpoint()).await,
        server(&etcd.endpoint()).await,
    ];
    let namespace = json!({"metadata": {"name": "mine"}});
    servers[0].create("namespaces", namespace).await.unwrap();
    let creates = (0..60).map(|number| {
        let server = &servers[number % 2];
        async move {
            tokio::time::sleep(std::time::Duration::from_micros(number as u64 * 300)).await;
            let target = ferrule_apiserver::verbs::Target {
                namespace: "mine".to_owned(),
                ..server.target("configmaps")
            };
            let body = config_map(&format!("c{number}")).to_string();
            let body = ferrule_apiserver::verbs::Body::json(body.as_bytes());
            server
                .api
                .create(&call(), &target, body, &WriteOptions::default())
                .await
        }
    });
    let delete = async {
        tokio::time::sleep(std::time::Duration::from_millis(8)).await;
        servers[0]
            .delete("namespaces/mine", json!({}))
            .await
            .unwrap()
    };
    let (results, ending) = tokio::join!(futures::future::join_all(creates), delete);
    let began: i64 = version(&ending).parse().unwrap();
    for result in results {
        match result {
            Ok(answer) => assert!(answer.revision < began),
            Err(status) => assert!(status.is_namespace_terminating(), "{status}"),
        }
    }
}
