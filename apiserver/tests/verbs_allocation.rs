//! Cluster IPs and node ports against a real etcd: never given out twice.

#[path = "support/api.rs"]
mod api;
#[path = "support/etcd.rs"]
mod etcd;

use std::collections::HashSet;
use std::time::Duration;

use api::*;
use etcd::EtcdServer;
use ferrule_apiserver::verbs::ListOptions;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

fn address(service: &Value) -> String {
    service["spec"]["clusterIP"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

fn port(service: &Value) -> i64 {
    service["spec"]["ports"][0]["nodePort"]
        .as_i64()
        .unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_creates_on_two_servers_and_after_a_restart_never_share() {
    let etcd = EtcdServer::start();
    let (mut addresses, mut ports) = (HashSet::new(), HashSet::new());
    for round in 0..2 {
        // Each round is a restart of both servers.
        let servers = [
            server(&etcd.endpoint()).await,
            server(&etcd.endpoint()).await,
        ];
        let creates = (0..64).map(|number| {
            let service = service(&format!("s{round}-{number}"), "NodePort");
            servers[number % 2].create("services", service)
        });
        for service in futures::future::join_all(creates).await {
            let service = service.unwrap();
            assert!(addresses.insert(address(&service)), "{service}");
            assert!(ports.insert(port(&service)), "{service}");
        }
    }
    let server = server(&etcd.endpoint()).await;
    let owned = server
        .list("ipaddresses.networking.k8s.io", &ListOptions::default())
        .await
        .unwrap();
    // And the Service `kubernetes`.
    assert_eq!(owned.len(), addresses.len() + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_that_ask_for_the_same_address_and_port_one_gets_them() {
    let etcd = EtcdServer::start();
    let servers = [
        server(&etcd.endpoint()).await,
        server(&etcd.endpoint()).await,
    ];
    let creates = (0..16).map(|number| {
        let mut service = service(&format!("s{number}"), "NodePort");
        service["spec"]["clusterIP"] = "10.96.0.10".into();
        service["spec"]["ports"][0]["nodePort"] = 30000.into();
        servers[number % 2].create("services", service)
    });
    let results = futures::future::join_all(creates).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    for refusal in results.iter().filter_map(|result| result.as_ref().err()) {
        assert!(
            refusal
                .message
                .contains("failed to allocate IP 10.96.0.10: provided IP is already allocated"),
            "{refusal}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_service_gives_back_can_be_had_again() {
    let etcd = EtcdServer::start();
    let server = server(&etcd.endpoint()).await;
    let mut asked = service("a", "NodePort");
    asked["spec"]["clusterIP"] = "10.96.7.7".into();
    asked["spec"]["ports"][0]["nodePort"] = 31111.into();
    server.create("services", asked.clone()).await.unwrap();
    server.delete("services/a", json!({})).await.unwrap();
    assert!(
        server
            .get("ipaddresses.networking.k8s.io/10.96.7.7")
            .await
            .is_err()
    );
    asked["metadata"]["name"] = "b".into();
    let again = server.create("services", asked.clone()).await.unwrap();
    assert_eq!(
        (address(&again).as_str(), port(&again)),
        ("10.96.7.7", 31111)
    );

    // To ClusterIP: the address stays, the port is free.
    let changed = server
        .merge("services/b", json!({"spec": {"type": "ClusterIP"}}))
        .await
        .unwrap();
    assert_eq!(
        (address(&changed).as_str(), port(&changed)),
        ("10.96.7.7", 0)
    );
    let mut third = service("c", "NodePort");
    third["spec"]["ports"][0]["nodePort"] = 31111.into();
    assert_eq!(
        port(&server.create("services", third).await.unwrap()),
        31111
    );

    // To ExternalName: the address is free too.
    let external = json!({"spec": {"type": "ExternalName", "externalName": "a.example"}});
    let changed = server.merge("services/b", external).await.unwrap();
    assert_eq!(address(&changed), "");
    assert!(
        server
            .get("ipaddresses.networking.k8s.io/10.96.7.7")
            .await
            .is_err()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_without_address_and_ports_keeps_them() {
    let etcd = EtcdServer::start();
    let server = server(&etcd.endpoint()).await;
    let made = server
        .create("services", service("a", "NodePort"))
        .await
        .unwrap();
    let mut plain = service("a", "NodePort");
    plain["metadata"]["labels"] = json!({"x": "y"});
    let updated = server.update("services/a", &plain).await.unwrap();
    assert_eq!(
        (address(&updated), port(&updated)),
        (address(&made), port(&made))
    );
    let moved = json!({"spec": {"clusterIP": "10.96.9.9", "clusterIPs": ["10.96.9.9"]}});
    assert!(server.merge("services/a", moved).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn headless_services_and_external_names_hold_nothing() {
    let etcd = EtcdServer::start();
    let server = server(&etcd.endpoint()).await;
    let mut headless = service("h", "ClusterIP");
    headless["spec"]["clusterIP"] = "None".into();
    let made = server.create("services", headless).await.unwrap();
    assert_eq!(made["spec"]["clusterIPs"], json!(["None"]));
    let mut external = service("e", "ExternalName");
    external["spec"]["externalName"] = "a.example".into();
    server.create("services", external).await.unwrap();
    let owned = server
        .list("ipaddresses.networking.k8s.io", &ListOptions::default())
        .await
        .unwrap();
    assert_eq!(owned.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_range_of_addresses_is_an_object_that_is_ready_and_stays() {
    let etcd = EtcdServer::start();
    let first = server(&etcd.endpoint()).await;
    let range = first
        .get("servicecidrs.networking.k8s.io/kubernetes")
        .await
        .unwrap();
    assert_eq!(range["spec"], json!({"cidrs": ["10.96.0.0/16"]}));
    let condition = &range["status"]["conditions"][0];
    assert_eq!(condition["type"], "Ready");
    assert_eq!(condition["status"], "True");
    let finalizer = "networking.k8s.io/service-cidr-finalizer";
    assert_eq!(range["metadata"]["finalizers"], json!([finalizer]));
    // A second server finds what the first one made.
    let second = server(&etcd.endpoint()).await;
    let same = second.get("servicecidrs.networking.k8s.io/kubernetes");
    assert_eq!(same.await.unwrap(), range);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_range_of_addresses_is_made_again_when_somebody_removes_it() {
    let etcd = EtcdServer::start();
    let server = server(&etcd.endpoint()).await;
    let range = "servicecidrs.networking.k8s.io/kubernetes";
    let first = server.get(range).await.unwrap();
    let unheld = json!({"metadata": {"finalizers": null}});
    server.merge(range, unheld).await.unwrap();
    server.delete(range, json!({})).await.unwrap();
    assert!(server.get(range).await.unwrap_err().is_not_found());

    let shutdown = CancellationToken::new();
    let (api, until) = (server.api.clone(), shutdown.clone());
    let keeper = tokio::spawn(async move {
        api.keep_service_range(Duration::from_millis(20), until)
            .await
    });
    let made = async {
        loop {
            match server.get(range).await {
                Ok(made) if made["status"]["conditions"][0]["status"] == "True" => break made,
                _ => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    };
    let made = tokio::time::timeout(Duration::from_secs(20), made).await;
    let made = made.expect("the range is made again");
    assert_eq!(made["spec"], first["spec"]);
    assert_ne!(made["metadata"]["uid"], first["metadata"]["uid"]);
    shutdown.cancel();
    keeper.await.unwrap();
}
