//! How Services lead traffic: affinity, policies, pods that end or are not ready, several ports and protocols; as
//! upstream's conformance has them under [sig-network] Services.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use anyhow::{Context, ensure};
use ferrule_e2e::wait::{seconds, until};
use ferrule_e2e::{Kubectl, Lab};
use serde_json::{Value, json};

use crate::steps::{every_node_answers, names, ready_pod, ready_pods, text};

/// A pod that answers with its name, of the label `app: web`.
fn web(name: &str, node: &str, more: Value) -> Value {
    let mut pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "name": name, "labels": { "app": "web" } },
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "nodeSelector": { "kubernetes.io/hostname": node },
            "containers": [{
                "name": "main", "image": "sysnet4admin/echo-hname",
                "readinessProbe": { "httpGet": { "path": "/", "port": 80 }, "periodSeconds": 1 },
            }],
        },
    });
    merge(&mut pod["spec"], more);
    pod
}

/// The service `web` of pods `app: web`.
fn service(more: Value) -> Value {
    let mut service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": { "name": "web" },
        "spec": { "type": "NodePort", "selector": { "app": "web" }, "ports": [{ "name": "http", "port": 80 }] },
    });
    merge(&mut service["spec"], more);
    service
}

fn merge(object: &mut Value, more: Value) {
    let more = more.as_object().cloned().unwrap_or_default();
    for (key, value) in more {
        match (&mut object[&key], value) {
            (Value::Object(own), Value::Object(more)) => own.extend(more),
            (own, value) => *own = value,
        }
    }
}

fn apply(kubectl: &Kubectl, objects: &[Value]) -> anyhow::Result<()> {
    for object in objects {
        kubectl.apply(&object.to_string())?;
    }
    Ok(())
}

/// A pod to ask from.
fn client(lab: &Lab, name: &str, node: &str) -> anyhow::Result<()> {
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name },
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "nodeSelector": { "kubernetes.io/hostname": node },
            "containers": [{ "name": "main", "image": "busybox", "command": ["sleep", "3600"] }],
        },
    });
    apply(&lab.kubectl, &[pod])?;
    ready_pod(&lab.kubectl, name).map(drop)
}

fn fetch(kubectl: &Kubectl, pod: &str, address: &str) -> anyhow::Result<String> {
    let url = format!("http://{address}");
    let shown = kubectl.words(&["exec", pod, "--", "timeout", "3", "wget", "-qO-", &url])?;
    Ok(shown.trim().to_owned())
}

/// A number of the service `web`.
fn number(kubectl: &Kubectl, path: &str) -> anyhow::Result<u16> {
    let service = kubectl.json("service web")?;
    let found = service.pointer(path).and_then(Value::as_u64);
    Ok(u16::try_from(found.with_context(|| format!("no {path}"))?)?)
}

fn node_port(kubectl: &Kubectl) -> anyhow::Result<u16> {
    number(kubectl, "/spec/ports/0/nodePort")
}

/// Who answers some requests to a port of a node.
fn answers(lab: &Lab, node: &str, port: u16) -> anyhow::Result<BTreeSet<String>> {
    let ask = |_| Ok(lab.cluster.get(node, port)?.trim().to_owned());
    (0..15).map(ask).collect()
}

/// Status, head and body of an answer, whatever the status is.
fn raw(lab: &Lab, node: &str, port: u16, path: &str) -> anyhow::Result<(u16, String, String)> {
    let address = SocketAddr::from((lab.cluster.address(node)?, port));
    let mut stream = TcpStream::connect_timeout(&address, seconds(2))?;
    stream.set_read_timeout(Some(seconds(2)))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("no head")?;
    let status = head.split(' ').nth(1).context("no status")?.parse()?;
    Ok((status, head.to_ascii_lowercase(), body.to_owned()))
}

pub fn a_client_keeps_its_pod_while_others_come_until_it_stays_away(
    lab: &Lab,
) -> anyhow::Result<()> {
    lab.kubectl
        .ok("create deployment web --image=sysnet4admin/echo-hname --replicas=2")?;
    let sticky = json!({
        "sessionAffinity": "ClientIP",
        "sessionAffinityConfig": { "clientIP": { "timeoutSeconds": 3 } },
    });
    apply(&lab.kubectl, &[service(sticky)])?;
    let pods = ready_pods(&lab.kubectl, "app=web", 2)?;
    let port = node_port(&lab.kubectl)?;
    every_node_answers(lab.cluster, port, &names(&pods))?;
    let mine = answers(lab, "node1", port)?;
    ensure!(mine.len() == 1, "{mine:?} answer");
    lab.kubectl.ok("scale deployment web --replicas=5")?;
    until("five pods are ready", seconds(60), || {
        // Asking goes on all the time: the affinity does not lapse.
        let now = answers(lab, "node1", port)?;
        ensure!(now == mine, "{mine:?} became {now:?}");
        let list = lab
            .kubectl
            .json("endpointslices -l kubernetes.io/service-name=web")?;
        let count = list["items"][0]["endpoints"].as_array().map_or(0, Vec::len);
        ensure!(count == 5, "{count} endpoints");
        Ok(())
    })?;
    let now = answers(lab, "node1", port)?;
    ensure!(now == mine, "{mine:?} became {now:?} after the scaling");
    let mut found = BTreeSet::new();
    for _ in 0..8 {
        std::thread::sleep(Duration::from_millis(3500));
        found.insert(lab.cluster.get("node1", port)?.trim().to_owned());
        if found.len() > 1 {
            break;
        }
    }
    ensure!(found.len() > 1, "the affinity does not lapse: {found:?}");
    // And it can be switched off.
    let off = json!({ "sessionAffinity": "None", "sessionAffinityConfig": null });
    apply(&lab.kubectl, &[service(off)])?;
    until("several pods answer", seconds(10), || {
        let now = answers(lab, "node1", port)?;
        ensure!(now.len() > 1, "{now:?}");
        Ok(())
    })
}

pub fn the_local_policy_keeps_outside_traffic_on_the_node(lab: &Lab) -> anyhow::Result<()> {
    let local = json!({ "type": "LoadBalancer", "externalTrafficPolicy": "Local" });
    apply(
        &lab.kubectl,
        &[web("web", "node2", json!({})), service(local)],
    )?;
    client(lab, "client", "node1")?;
    ready_pod(&lab.kubectl, "web")?;
    let port = node_port(&lab.kubectl)?;
    let health = number(&lab.kubectl, "/spec/healthCheckNodePort")?;
    until("node2 answers", seconds(15), || {
        ensure!(
            lab.cluster.get("node2", port)?.trim() == "web",
            "another answer"
        );
        Ok(())
    })?;
    let elsewhere = lab.cluster.get("node1", port);
    ensure!(elsewhere.is_err(), "node1 answers {elsewhere:?}");
    // Pods use all endpoints, through whichever node's port.
    let node1 = lab.cluster.address("node1")?;
    let answer = fetch(&lab.kubectl, "client", &format!("{node1}:{port}"))?;
    ensure!(answer == "web", "{answer:?}");
    // What load balancers hear.
    let check = |node: &str, status: u16, count: usize| {
        until(&format!("{node} says {count}"), seconds(15), || {
            let (found, head, body) = raw(lab, node, health, "/")?;
            ensure!(found == status, "{found}: {body}");
            ensure!(
                head.contains("content-type: application/json")
                    && head.contains("x-content-type-options: nosniff"),
                "{head}"
            );
            let said: Value = serde_json::from_str(&body)?;
            let expected = json!({
                "service": { "namespace": lab.namespace, "name": "web" },
                "localEndpoints": count, "serviceProxyHealthy": true,
            });
            ensure!(said == expected, "{said}");
            Ok(())
        })
    };
    check("node2", 200, 1)?;
    check("node1", 503, 0)?;
    lab.kubectl.ok("delete pod web")?;
    check("node2", 503, 0)?;
    lab.kubectl.ok("delete service web")?;
    until("the port is closed", seconds(15), || {
        let answer = raw(lab, "node2", health, "/");
        ensure!(answer.is_err(), "{answer:?}");
        Ok(())
    })
}

pub fn the_internal_local_policy_keeps_pods_on_their_node(lab: &Lab) -> anyhow::Result<()> {
    let local = json!({ "type": "ClusterIP", "internalTrafficPolicy": "Local" });
    apply(
        &lab.kubectl,
        &[web("web", "node2", json!({})), service(local)],
    )?;
    client(lab, "here", "node2")?;
    client(lab, "there", "node1")?;
    ready_pod(&lab.kubectl, "web")?;
    until("a pod beside it is answered", seconds(15), || {
        let answer = fetch(&lab.kubectl, "here", "web")?;
        ensure!(answer == "web", "{answer:?}");
        Ok(())
    })?;
    let elsewhere = fetch(&lab.kubectl, "there", "web");
    ensure!(
        elsewhere.is_err(),
        "a pod elsewhere is answered {elsewhere:?}"
    );
    Ok(())
}

pub fn the_last_pod_serves_while_it_terminates(lab: &Lab) -> anyhow::Result<()> {
    let slow = json!({
        "terminationGracePeriodSeconds": 20,
        "containers": [{
            "name": "main", "image": "sysnet4admin/echo-hname",
            "readinessProbe": { "httpGet": { "path": "/", "port": 80 }, "periodSeconds": 1 },
            "lifecycle": { "preStop": { "sleep": { "seconds": 8 } } },
        }],
    });
    apply(
        &lab.kubectl,
        &[web("web", "node2", slow), service(json!({}))],
    )?;
    ready_pod(&lab.kubectl, "web")?;
    let port = node_port(&lab.kubectl)?;
    every_node_answers(lab.cluster, port, &BTreeSet::from(["web".to_owned()]))?;
    lab.kubectl.ok("delete pod web --wait=false")?;
    until("its endpoint terminates", seconds(5), || {
        let list = lab
            .kubectl
            .json("endpointslices -l kubernetes.io/service-name=web")?;
        let conditions = &list["items"][0]["endpoints"][0]["conditions"];
        let expected = json!({ "ready": false, "serving": true, "terminating": true });
        ensure!(*conditions == expected, "{conditions}");
        Ok(())
    })?;
    for node in ferrule_e2e::NODES {
        let found = answers(lab, node, port)?;
        ensure!(found == BTreeSet::from(["web".to_owned()]), "{found:?}");
    }
    until("nobody answers when it is gone", seconds(30), || {
        let answer = lab.cluster.get("node1", port);
        ensure!(answer.is_err(), "{answer:?}");
        Ok(())
    })
}

pub fn pods_that_are_not_ready_answer_where_that_is_asked_for(lab: &Lab) -> anyhow::Result<()> {
    let never = json!({ "containers": [{
        "name": "main", "image": "sysnet4admin/echo-hname",
        "readinessProbe": { "exec": { "command": ["false"] }, "periodSeconds": 1 },
    }] });
    let service_of = |published: bool| service(json!({ "publishNotReadyAddresses": published }));
    apply(
        &lab.kubectl,
        &[web("web", "node2", never), service_of(false)],
    )?;
    until("it runs", seconds(30), || {
        let pod = lab.kubectl.json("pod web")?;
        ensure!(
            text(&pod["status"]["phase"]) == "Running",
            "{}",
            pod["status"]
        );
        Ok(())
    })?;
    let port = node_port(&lab.kubectl)?;
    let answer = lab.cluster.get("node1", port);
    ensure!(answer.is_err(), "{answer:?}");
    apply(&lab.kubectl, &[service_of(true)])?;
    every_node_answers(lab.cluster, port, &BTreeSet::from(["web".to_owned()]))
}

/// One packet, and what comes back.
fn ask_udp(lab: &Lab, node: &str, port: u16) -> anyhow::Result<String> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.set_read_timeout(Some(seconds(1)))?;
    socket.connect((lab.cluster.address(node)?, port))?;
    socket.send(b"who?")?;
    let mut bytes = [0; 1500];
    let length = socket.recv(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes[..length]).trim().to_owned())
}

pub fn several_ports_of_two_protocols_lead_to_ports_by_number_and_name(
    lab: &Lab,
) -> anyhow::Result<()> {
    let container = |name: &str, port: u16| {
        json!({
            "name": name, "image": "sysnet4admin/echo-hname",
            "env": [{ "name": "PORT", "value": port.to_string() }],
            "ports": [
                { "name": name, "containerPort": port },
                { "name": format!("{name}-udp"), "containerPort": port, "protocol": "UDP" },
            ],
        })
    };
    let two = json!({ "containers": [container("first", 8080), container("second", 9090)] });
    let ports = json!({ "ports": [
        { "name": "http", "port": 80, "targetPort": "first", "nodePort": 31880 },
        { "name": "packets", "port": 80, "targetPort": "first-udp", "protocol": "UDP", "nodePort": 31880 },
        { "name": "other", "port": 81, "targetPort": 9090 },
        { "name": "nothing", "port": 82, "targetPort": 9999 },
        { "name": "unknown", "port": 83, "targetPort": "absent" },
    ] });
    apply(&lab.kubectl, &[web("web", "node2", two), service(ports)])?;
    client(lab, "client", "node1")?;
    ready_pod(&lab.kubectl, "web")?;
    every_node_answers(lab.cluster, 31880, &BTreeSet::from(["web".to_owned()]))?;
    for node in ferrule_e2e::NODES {
        until("packets are answered", seconds(10), || {
            let answer = ask_udp(lab, node, 31880)?;
            ensure!(answer == "web", "{answer:?}");
            Ok(())
        })?;
    }
    for (address, answered) in [
        ("web:80", true),
        ("web:81", true),
        ("web:82", false),
        ("web:83", false),
    ] {
        let answer = fetch(&lab.kubectl, "client", address);
        ensure!(answer.is_ok() == answered, "{address}: {answer:?}");
    }
    // A client that keeps its socket goes on with the next pod.
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.set_read_timeout(Some(seconds(1)))?;
    socket.connect((lab.cluster.address("node1")?, 31880))?;
    let ask = || -> anyhow::Result<String> {
        let mut bytes = [0; 1500];
        socket.send(b"who?")?;
        let length = socket.recv(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes[..length]).trim().to_owned())
    };
    until("the first pod answers", seconds(10), || ask().map(drop))?;
    let two = json!({ "containers": [container("first", 8080)] });
    apply(&lab.kubectl, &[web("next", "node3", two)])?;
    ready_pod(&lab.kubectl, "next")?;
    lab.kubectl.ok("delete pod web")?;
    until("the next pod answers the same socket", seconds(15), || {
        let answer = ask()?;
        ensure!(answer == "next", "{answer:?}");
        Ok(())
    })
}

pub fn the_proxy_tells_load_balancers_of_its_health(lab: &Lab) -> anyhow::Result<()> {
    for path in ["/healthz", "/livez"] {
        let (status, head, body) = raw(lab, "node1", 10256, path)?;
        let said: Value = serde_json::from_str(&body)?;
        ensure!(status == 200 && said["healthy"] == true, "{status} {body}");
        ensure!(said["status"]["IPv4"]["healthy"] == true, "{body}");
        ensure!(
            (path == "/healthz") == (said["nodeEligible"] == true),
            "{body}"
        );
        ensure!(head.contains("content-type: application/json"), "{head}");
    }
    let taint = "ToBeDeletedByClusterAutoscaler=1:PreferNoSchedule";
    lab.kubectl.ok(&format!("taint node node3 {taint}"))?;
    let expect = |status: u16| {
        until(&format!("its /healthz says {status}"), seconds(10), || {
            let (found, _, body) = raw(lab, "node3", 10256, "/healthz")?;
            ensure!(found == status, "{found} {body}");
            ensure!(
                raw(lab, "node3", 10256, "/livez")?.0 == 200,
                "it is not alive"
            );
            Ok(())
        })
    };
    let tainted = expect(503);
    lab.kubectl.ok(&format!("taint node node3 {taint}-"))?;
    tainted?;
    expect(200)
}
