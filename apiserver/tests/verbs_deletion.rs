//! Deletion with finalizers, graces, preconditions and collections against a real etcd.

#[path = "support/api.rs"]
mod api;
#[path = "support/etcd.rs"]
mod etcd;

use api::*;
use etcd::EtcdServer;
use ferrule_apimachinery::status::Reason;
use ferrule_apiserver::verbs::{DeleteOptions, ListOptions};
use serde_json::{Value, json};

fn deployment(name: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "c", "image": "busybox"}]},
            },
        },
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn dependents_are_waited_for_or_orphaned_before_their_owner_goes() {
    let etcd = EtcdServer::start();
    let server = server(&etcd.endpoint()).await;
    let at = "deployments.apps/d";
    for (options, finalizer) in [
        (
            json!({"propagationPolicy": "Foreground"}),
            "foregroundDeletion",
        ),
        (json!({"propagationPolicy": "Orphan"}), "orphan"),
        (json!({"orphanDependents": true}), "orphan"),
    ] {
        server
            .create("deployments.apps", deployment("d"))
            .await
            .unwrap();
        let marked = server.delete(at, options.clone()).await.unwrap();
        assert_eq!(marked["kind"], "Deployment", "{options}");
        assert_eq!(marked["metadata"]["finalizers"], json!([finalizer]));
        assert_eq!(marked["metadata"]["deletionGracePeriodSeconds"], 0);
        assert_eq!(marked["metadata"]["generation"], 2);
        let again = server.create("deployments.apps", deployment("d")).await;
        assert_eq!(
            again.unwrap_err().message,
            "object is being deleted: deployments.apps \"d\" already exists"
        );
        let done = json!({"metadata": {"finalizers": null}});
        server.merge(at, done).await.unwrap();
        assert_eq!(server.get(at).await.unwrap_err().reason, Reason::NotFound);
    }
    server
        .create("deployments.apps", deployment("d"))
        .await
        .unwrap();
    let status = server
        .delete(at, json!({"propagationPolicy": "Background"}))
        .await
        .unwrap();
    assert_eq!(status["status"], "Success");
    assert_eq!(server.get(at).await.unwrap_err().reason, Reason::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_is_being_deleted_gets_no_new_finalizers_and_may_lose_them() {
    let etcd = EtcdServer::start();
    let server = server(&etcd.endpoint()).await;
    let mut object = config_map("a");
    object["metadata"]["finalizers"] = json!(["a.example/x", "b.example/y"]);
    server.create("configmaps", object).await.unwrap();
    server.delete("configmaps/a", json!({})).await.unwrap();
    let more = json!({"metadata": {"finalizers": ["a.example/x", "c.example/z", "b.example/y"]}});
    let refusal = server.merge("configmaps/a", more).await.unwrap_err();
    assert_eq!(refusal.reason, Reason::Invalid);
    let why = "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, \
               found new finalizers []string{\"c.example/z\"}";
    assert!(refusal.message.contains(why), "{}", refusal.message);
    // Another policy still counts while the finalizers hold it.
    let orphaned = server
        .delete("configmaps/a", json!({"propagationPolicy": "Orphan"}))
        .await
        .unwrap();
    assert_eq!(
        orphaned["metadata"]["finalizers"],
        json!(["a.example/x", "b.example/y", "orphan"])
    );
    let none = json!({"metadata": {"finalizers": []}});
    let last = server.merge("configmaps/a", none).await.unwrap();
    assert!(last["metadata"]["deletionTimestamp"].is_string());
    assert_eq!(
        server.get("configmaps/a").await.unwrap_err().reason,
        Reason::NotFound
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_with_finalizers_outlives_its_grace() {
    let etcd = EtcdServer::start();
    let server = server(&etcd.endpoint()).await;
    let mut object = pod("p");
    object["spec"]["nodeName"] = "n1".into();
    object["metadata"]["finalizers"] = json!(["a.example/x"]);
    server.create("pods", object).await.unwrap();
    server.delete("pods/p", json!({})).await.unwrap();
    // Without its last finalizer it waits for its kubelet.
    let none = json!({"metadata": {"finalizers": null}});
    server.merge("pods/p", none.clone()).await.unwrap();
    assert!(server.get("pods/p").await.is_ok());
    server
        .delete("pods/p", json!({"gracePeriodSeconds": 0}))
        .await
        .unwrap();
    assert!(server.get("pods/p").await.is_err());

    let mut object = pod("q");
    object["spec"]["nodeName"] = "n1".into();
    object["metadata"]["finalizers"] = json!(["a.example/x"]);
    server.create("pods", object).await.unwrap();
    let ended = server
        .delete("pods/q", json!({"gracePeriodSeconds": 0}))
        .await
        .unwrap();
    assert_eq!(ended["metadata"]["deletionGracePeriodSeconds"], 0);
    assert!(server.get("pods/q").await.is_ok());
    server.merge("pods/q", none).await.unwrap();
    assert!(server.get("pods/q").await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn preconditions_that_fail_are_told_in_upstreams_words() {
    let etcd = EtcdServer::start();
    let server = server(&etcd.endpoint()).await;
    let made = server.create("configmaps", config_map("a")).await.unwrap();
    let (uid, revision) = (made["metadata"]["uid"].as_str().unwrap(), version(&made));
    let space = server
        .create("namespaces", json!({"metadata": {"name": "mine"}}))
        .await
        .unwrap();
    let own = (space["metadata"]["uid"].as_str().unwrap(), version(&space));
    for (at, preconditions, why) in [
        (
            "configmaps/a",
            json!({"uid": "other"}),
            format!(
                "Operation cannot be fulfilled on ConfigMap \"a\": the UID in the precondition (other) does not match \
                 the UID in record ({uid}). The object might have been deleted and then recreated"
            ),
        ),
        (
            "configmaps/a",
            json!({"resourceVersion": "1"}),
            format!(
                "Operation cannot be fulfilled on ConfigMap \"a\": the ResourceVersion in the precondition (1) does \
                 not match the ResourceVersion in record ({revision}). The object might have been modified"
            ),
        ),
        (
            "namespaces/mine",
            json!({"uid": "other"}),
            format!(
                "Operation cannot be fulfilled on namespaces \"mine\": Precondition failed: UID in precondition: \
                 other, UID in object meta: {}",
                own.0
            ),
        ),
        (
            "namespaces/mine",
            json!({"resourceVersion": "1"}),
            format!(
                "Operation cannot be fulfilled on namespaces \"mine\": Precondition failed: ResourceVersion in \
                 precondition: 1, ResourceVersion in object meta: {}",
                own.1
            ),
        ),
    ] {
        let refusal = server
            .delete(at, json!({"preconditions": preconditions}))
            .await
            .unwrap_err();
        assert_eq!(refusal.reason, Reason::Conflict);
        assert_eq!(refusal.message, why);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collection_goes_as_its_options_say() {
    let etcd = EtcdServer::start();
    let server = server(&etcd.endpoint()).await;
    for number in 0..40 {
        let mut object = config_map(&format!("c{number:02}"));
        let parity = if number % 2 == 0 { "even" } else { "odd" };
        object["metadata"]["labels"] = json!({"n": parity});
        server.create("configmaps", object).await.unwrap();
    }
    let delete = async |options: Value, list: ListOptions| {
        let options = DeleteOptions::read(&options).unwrap();
        let target = server.target("configmaps");
        server
            .api
            .delete_collection(&call(), &target, &options, &list)
            .await
    };
    let odd = ListOptions {
        label_selector: "n=odd".to_owned(),
        ..ListOptions::default()
    };
    let tried = delete(json!({"dryRun": ["All"]}), odd.clone())
        .await
        .unwrap();
    assert_eq!(tried.items.len(), 20);
    let left = async || {
        let all = ListOptions::default();
        server.list("configmaps", &all).await.unwrap()
    };
    assert_eq!(left().await.len(), 40);
    let gone = delete(json!({}), odd).await.unwrap();
    assert_eq!(gone.items.len(), 20);
    assert!(
        left()
            .await
            .iter()
            .all(|object| object["metadata"]["labels"]["n"] == "even")
    );
    let page = ListOptions {
        limit: 5,
        ..ListOptions::default()
    };
    let some = delete(json!({}), page).await.unwrap();
    assert_eq!((some.items.len(), left().await.len()), (5, 15));
    assert!(!some.continue_token.is_empty());
    let wrong = json!({"preconditions": {"uid": "other"}});
    let refusal = delete(wrong, ListOptions::default())
        .await
        .map(|page| page.items.len());
    assert_eq!(refusal.unwrap_err().reason, Reason::Conflict);
    let held = delete(
        json!({"propagationPolicy": "Foreground"}),
        ListOptions::default(),
    )
    .await;
    assert_eq!(held.unwrap().items.len(), 15);
    for object in left().await {
        assert_eq!(
            object["metadata"]["finalizers"],
            json!(["foregroundDeletion"])
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_says_what_it_waits_for_and_goes_with_its_last_finalizer() {
    let etcd = EtcdServer::start();
    let server = server(&etcd.endpoint()).await;
    let space = json!({"metadata": {"name": "mine", "finalizers": ["a.example/x"]}});
    server.create("namespaces", space).await.unwrap();
    server.delete("namespaces/mine", json!({})).await.unwrap();
    let condition = json!({
        "type": "NamespaceContentRemaining", "status": "True", "reason": "SomeResourcesRemain",
        "message": "Some resources are remaining: pods. has 1 resource instances",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    });
    let said = server
        .merge(
            "namespaces/mine/status",
            json!({"status": {"conditions": [condition]}}),
        )
        .await
        .unwrap();
    assert_eq!(said["status"]["conditions"], json!([condition]));
    assert_eq!(said["status"]["phase"], "Terminating");
    let refusal = server
        .merge(
            "namespaces/mine/status",
            json!({"status": {"phase": "Active"}}),
        )
        .await
        .unwrap_err();
    assert_eq!(
        refusal.message,
        "Namespace \"mine\" is invalid: status.Phase: Invalid value: \"Active\": may only be 'Terminating' if \
         `deletionTimestamp` is not empty"
    );
    let mut finalized = said;
    finalized["spec"]["finalizers"] = json!([]);
    server
        .update("namespaces/mine/finalize", &finalized)
        .await
        .unwrap();
    assert!(
        server.get("namespaces/mine").await.is_ok(),
        "its other finalizer holds it"
    );
    server
        .merge("namespaces/mine", json!({"metadata": {"finalizers": null}}))
        .await
        .unwrap();
    assert!(server.get("namespaces/mine").await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_that_is_only_tried_changes_nothing() {
    let etcd = EtcdServer::start();
    let server = server(&etcd.endpoint()).await;
    let made = server.create("configmaps", config_map("a")).await.unwrap();
    for options in [
        json!({"dryRun": ["All"]}),
        json!({"dryRun": ["All"], "propagationPolicy": "Foreground"}),
    ] {
        server.delete("configmaps/a", options).await.unwrap();
        assert_eq!(server.get("configmaps/a").await.unwrap(), made);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scale_of_another_object_is_refused() {
    let etcd = EtcdServer::start();
    let server = server(&etcd.endpoint()).await;
    server
        .create("deployments.apps", deployment("d"))
        .await
        .unwrap();
    let mut scale = server.get("deployments.apps/d/scale").await.unwrap();
    let uid = scale["metadata"]["uid"].take();
    scale["metadata"]["uid"] = "other".into();
    let refusal = server
        .update("deployments.apps/d/scale", &scale)
        .await
        .unwrap_err();
    assert_eq!(
        refusal.message,
        format!(
            "Operation cannot be fulfilled on deployments/scale.apps \"d\": Precondition failed: UID in \
             precondition: other, UID in object meta: {}",
            uid.as_str().unwrap()
        )
    );
}
