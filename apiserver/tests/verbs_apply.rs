//! Server-side apply and the owners of fields, against a real etcd.

#[path = "support/api.rs"]
mod api;
#[path = "support/etcd.rs"]
mod etcd;

use api::*;
use etcd::EtcdServer;
use ferrule_apimachinery::status::{Reason, Status};
use ferrule_apiserver::verbs::{Body, Patch, PatchBody, WriteOptions};
use serde_json::{Value, json};

fn by(manager: &str) -> WriteOptions {
    WriteOptions {
        field_manager: manager.to_owned(),
        ..WriteOptions::default()
    }
}

impl Server {
    async fn apply(&self, target: &str, manager: &str, config: Value) -> Result<Value, Status> {
        self.apply_with(target, config, &by(manager)).await
    }

    async fn apply_with(
        &self,
        target: &str,
        config: Value,
        options: &WriteOptions,
    ) -> Result<Value, Status> {
        let patch = PatchBody::apply(config.to_string().as_bytes())?;
        let answer = self
            .api
            .patch(&call(), &self.target(target), &patch, options)
            .await?;
        Ok(parse(&answer.bytes))
    }

    async fn merge_by(&self, target: &str, manager: &str, patch: Value) -> Result<Value, Status> {
        let patch = Patch::Merge(patch).into();
        let answer = self
            .api
            .patch(&call(), &self.target(target), &patch, &by(manager))
            .await?;
        Ok(parse(&answer.bytes))
    }

    async fn put_by(&self, target: &str, manager: &str, object: Value) -> Result<Value, Status> {
        let body = object.to_string();
        let answer = self
            .api
            .update(
                &call(),
                &self.target(target),
                Body::json(body.as_bytes()),
                &by(manager),
            )
            .await?;
        Ok(parse(&answer.bytes))
    }
}

/// `manager operation subresource` of each entry, with its fields.
fn owners(object: &Value) -> Value {
    let mut out = json!({});
    for entry in object["metadata"]["managedFields"]
        .as_array()
        .into_iter()
        .flatten()
    {
        let text = |name: &str| entry[name].as_str().unwrap_or_default();
        let key = [text("manager"), text("operation"), text("subresource")].join(" ");
        out[key.trim_end()] = entry["fieldsV1"].clone();
    }
    out
}

fn config(data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data})
}

#[tokio::test(flavor = "multi_thread")]
async fn an_apply_makes_shares_refuses_takes_and_removes() {
    let etcd = EtcdServer::start();
    let server = server(&etcd.endpoint()).await;
    let at = "configmaps/a";
    let made = server
        .apply(at, "one", config(json!({"x": "1", "y": "2"})))
        .await
        .unwrap();
    assert_eq!(
        owners(&made),
        json!({"one Apply": {"f:data": {"f:x": {}, "f:y": {}}}})
    );
    // The same again writes nothing.
    let same = server
        .apply(at, "one", config(json!({"x": "1", "y": "2"})))
        .await
        .unwrap();
    assert_eq!(same, made);
    let refused = server
        .apply(at, "two", config(json!({"x": "9"})))
        .await
        .unwrap_err();
    assert_eq!(refused.reason, Reason::Conflict);
    assert_eq!(
        refused.message,
        "Apply failed with 1 conflict: conflict with \"one\": .data.x"
    );
    let force = WriteOptions {
        force: Some(true),
        ..by("two")
    };
    let taken = server
        .apply_with(at, config(json!({"x": "9"})), &force)
        .await
        .unwrap();
    assert_eq!(taken["data"], json!({"x": "9", "y": "2"}));
    let dropped = server.apply(at, "one", config(json!({}))).await.unwrap();
    assert_eq!(dropped["data"], json!({"x": "9"}));
    assert_eq!(
        owners(&dropped)["two Apply"],
        json!({"f:data": {"f:x": {}}})
    );
    assert_eq!(server.get(at).await.unwrap(), dropped);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_apply_that_is_a_dry_run_stores_nothing_and_one_to_a_status_makes_nothing() {
    let etcd = EtcdServer::start();
    let server = server(&etcd.endpoint()).await;
    let dry = WriteOptions {
        dry_run: true,
        ..by("one")
    };
    let shown = server
        .apply_with("configmaps/a", config(json!({"x": "1"})), &dry)
        .await
        .unwrap();
    assert_eq!(shown["data"], json!({"x": "1"}));
    assert_eq!(
        server.get("configmaps/a").await.unwrap_err().reason,
        Reason::NotFound
    );
    let status =
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "status": {}});
    let refused = server
        .apply("pods/p/status", "one", status)
        .await
        .unwrap_err();
    assert_eq!(refused.reason, Reason::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_write_keeps_the_owners_and_what_the_server_adds_is_nobodys() {
    let etcd = EtcdServer::start();
    let server = server(&etcd.endpoint()).await;
    let made = server
        .create_with(&call(), "services", service("s", "ClusterIP"), &by("maker"))
        .await
        .unwrap();
    let fields = &owners(&made)["maker Update"]["f:spec"];
    assert!(fields["f:selector"].is_object() && fields["f:type"].is_object());
    // Allocation comes after the owners are known.
    assert!(fields["f:clusterIP"].is_null() && made["spec"]["clusterIP"].is_string());
    let merged = server
        .merge_by(
            "services/s",
            "merger",
            json!({"spec": {"sessionAffinity": "ClientIP"}}),
        )
        .await
        .unwrap();
    let taken = &owners(&merged)["merger Update"]["f:spec"];
    assert!(taken["f:sessionAffinity"].is_object());
    assert!(owners(&merged)["maker Update"]["f:spec"]["f:sessionAffinity"].is_null());
    // A merge that changes nothing writes nothing, and leaves times alone.
    let same = server
        .merge_by(
            "services/s",
            "another",
            json!({"spec": {"sessionAffinity": "ClientIP"}}),
        )
        .await
        .unwrap();
    assert_eq!(same, merged);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_and_a_scale_have_managers_of_their_own() {
    let etcd = EtcdServer::start();
    let server = server(&etcd.endpoint()).await;
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": "a"}},
            "template": {
                "metadata": {"labels": {"app": "a"}},
                "spec": {"containers": [{"name": "c", "image": "i"}]},
            },
        },
    });
    let at = "deployments.apps/d";
    server.apply(at, "one", deployment.clone()).await.unwrap();
    server
        .merge_by(
            "deployments.apps/d/status",
            "two",
            json!({"status": {"replicas": 1}, "spec": {"paused": true}}),
        )
        .await
        .unwrap();
    server
        .merge_by(
            "deployments.apps/d/scale",
            "three",
            json!({"spec": {"replicas": 5}}),
        )
        .await
        .unwrap();
    let found = server.get(at).await.unwrap();
    assert_eq!(
        owners(&found)["two Update status"],
        json!({"f:status": {"f:replicas": {}}})
    );
    assert_eq!(
        owners(&found)["three Update scale"],
        json!({"f:spec": {"f:replicas": {}}})
    );
    assert!(owners(&found)["one Apply"]["f:spec"]["f:replicas"].is_null());
    let refused = server
        .apply(at, "one", deployment.clone())
        .await
        .unwrap_err();
    assert_eq!(
        refused.message,
        "Apply failed with 1 conflict: conflict with \"three\" with subresource \"scale\" using apps/v1: .spec.replicas"
    );
    // A Scale can be applied too.
    let scale = json!({
        "apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "d"},
        "spec": {"replicas": 7},
    });
    let refused = server
        .apply("deployments.apps/d/scale", "four", scale.clone())
        .await
        .unwrap_err();
    assert_eq!(refused.reason, Reason::Conflict);
    let force = WriteOptions {
        force: Some(true),
        ..by("four")
    };
    let scaled = server
        .apply_with("deployments.apps/d/scale", scale, &force)
        .await
        .unwrap();
    assert_eq!(scaled["spec"]["replicas"], 7);
    let found = server.get(at).await.unwrap();
    assert_eq!(
        owners(&found)["four Apply scale"],
        json!({"f:spec": {"f:replicas": {}}})
    );
    assert!(owners(&found)["three Update scale"].is_null());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_may_send_the_owners_along_or_take_them_away() {
    let etcd = EtcdServer::start();
    let server = server(&etcd.endpoint()).await;
    let at = "configmaps/a";
    let entry = |manager: &str| {
        json!({
            "manager": manager, "operation": "Update", "apiVersion": "v1",
            "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {"f:x": {}}},
        })
    };
    let with = |data: Value, managed: Value| {
        let mut object = config(data);
        object["metadata"]["managedFields"] = managed;
        object
    };
    let made = server
        .create_with(&call(), "configmaps", config(json!({"x": "1"})), &by("one"))
        .await
        .unwrap();
    let before = owners(&made);
    // Without them, and with some that cannot be read, they stay.
    for (what, managed) in [
        ("null", Value::Null),
        ("no operation", json!([{"manager": "m"}])),
        (
            "bad fields",
            json!([{
                "manager": "m", "operation": "Update", "apiVersion": "v1",
                "fieldsType": "FieldsV1", "fieldsV1": {"x": {}},
            }]),
        ),
    ] {
        let put = server
            .put_by(at, "two", with(json!({"x": "1"}), managed))
            .await
            .unwrap();
        assert_eq!(owners(&put), before, "{what}");
    }
    let given = server
        .put_by(at, "two", with(json!({"x": "1"}), json!([entry("m")])))
        .await
        .unwrap();
    assert_eq!(owners(&given), json!({"m Update": {"f:data": {"f:x": {}}}}));
    for reset in [json!([]), json!([{}])] {
        server
            .put_by(at, "two", with(json!({"x": "1"}), json!([entry("m")])))
            .await
            .unwrap();
        let none = server
            .put_by(at, "two", with(json!({"x": "1"}), reset))
            .await
            .unwrap();
        assert_eq!(none["metadata"].get("managedFields"), None);
    }
    // From then on nobody's fields are kept until somebody applies.
    let put = server
        .put_by(at, "two", config(json!({"x": "2"})))
        .await
        .unwrap();
    assert_eq!(owners(&put), json!({}));
    let applied = server
        .apply(at, "one", config(json!({"y": "1"})))
        .await
        .unwrap();
    assert_eq!(
        owners(&applied)["before-first-apply Update"],
        json!({"f:data": {".": {}, "f:x": {}}})
    );
    // A patch can take them away as well.
    let patched = server
        .merge_by(at, "two", json!({"metadata": {"managedFields": []}}))
        .await
        .unwrap();
    assert_eq!(patched["metadata"].get("managedFields"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_applies_of_two_servers_all_take_effect() {
    let etcd = EtcdServer::start();
    let servers = [
        server(&etcd.endpoint()).await,
        server(&etcd.endpoint()).await,
    ];
    let applies = (0..24).map(|number| {
        let server = &servers[number % 2];
        async move {
            let manager = format!("m{number}");
            let data = json!({format!("k{number}"): "v"});
            server.apply("configmaps/a", &manager, config(data)).await
        }
    });
    for result in futures::future::join_all(applies).await {
        result.unwrap();
    }
    let found = servers[0].get("configmaps/a").await.unwrap();
    assert_eq!(found["data"].as_object().unwrap().len(), 24);
    assert_eq!(owners(&found).as_object().unwrap().len(), 24);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_is_none_is_refused() {
    for (text, message) in [
        (
            "[1]",
            "error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal array into Go value of type map[string]interface {}",
        ),
        (
            "a: b:\n  c",
            "error decoding YAML: error converting YAML to JSON: yaml: mapping values are not allowed in this context",
        ),
    ] {
        let refused = PatchBody::apply(text.as_bytes()).unwrap_err();
        assert_eq!((refused.code, refused.message), (400, message.to_owned()));
    }
    let options = WriteOptions::read_patch(true, &[], "", "", None).unwrap_err();
    assert_eq!(
        options.message,
        "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch"
    );
    let options = WriteOptions::read_patch(false, &[], "m", "", Some(true)).unwrap_err();
    assert_eq!(
        options.message,
        "PatchOptions.meta.k8s.io \"\" is invalid: force: Forbidden: may not be specified for non-apply patch"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_sends_is_owned_even_when_the_server_says_it_or_storage_forgets_it() {
    let etcd = EtcdServer::start();
    let server = server(&etcd.endpoint()).await;

    // Upstream makes the annotation of a DaemonSet of a field, before anybody is asked who owns what.
    let set = json!({
        "apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "d"},
        "spec": {
            "selector": {"matchLabels": {"app": "a"}},
            "template": {
                "metadata": {"labels": {"app": "a"}},
                "spec": {"containers": [{"name": "c", "image": "x"}]},
            },
        },
    });
    let made = server
        .create_with(&call(), "daemonsets.apps", set.clone(), &by("one"))
        .await
        .unwrap();
    let generation = "deprecated.daemonset.template.generation";
    let field = json!({".": {}, format!("f:{generation}"): {}});
    assert_eq!(made["metadata"]["annotations"][generation], "1");
    assert_eq!(
        owners(&made)["one Update"]["f:metadata"]["f:annotations"],
        field
    );
    // A write without it changes it for a moment.
    let put = server
        .put_by("daemonsets.apps/d", "two", set)
        .await
        .unwrap();
    assert_eq!(put["metadata"]["annotations"][generation], "1");
    assert_eq!(put["metadata"]["generation"], 1);
    let field = json!({format!("f:{generation}"): {}});
    assert_eq!(
        owners(&put)["two Update"]["f:metadata"]["f:annotations"],
        field
    );

    let slice = json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": {"name": "s"},
        "addressType": "IPv4", "endpoints": [],
    });
    let made = server
        .create_with(
            &call(),
            "endpointslices.discovery.k8s.io",
            slice,
            &by("one"),
        )
        .await
        .unwrap();
    assert!(made["endpoints"].is_null() && made.get("endpoints").is_some());
    let fields = json!({"f:addressType": {}, "f:endpoints": {}});
    assert_eq!(owners(&made), json!({"one Update": fields}));
    assert_eq!(
        server
            .get("endpointslices.discovery.k8s.io/s")
            .await
            .unwrap(),
        made
    );

    let review = json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
        "spec": {"user": "nobody", "resourceAttributes": {"verb": "get", "resource": "pods"}},
    });
    let answer = server
        .create_with(
            &call(),
            "subjectaccessreviews.authorization.k8s.io",
            review,
            &by("one"),
        )
        .await
        .unwrap();
    let asked = json!({".": {}, "f:resource": {}, "f:verb": {}});
    let fields = json!({"f:spec": {"f:resourceAttributes": asked, "f:user": {}}});
    assert_eq!(owners(&answer), json!({"one Update": fields}));
    assert_eq!(answer["status"]["allowed"], false);
}
