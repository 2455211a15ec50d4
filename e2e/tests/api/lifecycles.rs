//! What upstream's tests "should run through the lifecycle of …" see of single kinds beyond their operations.

use anyhow::{Context, ensure};
use ferrule_e2e::wait::{seconds, until};
use serde_json::{Value, json};

use crate::stage::{Stage, at, causes, items, names, number, revision, same, says, text, within};

pub fn a_namespace_takes_all_that_is_in_it_along(stage: &Stage) -> anyhow::Result<()> {
    let name = format!("{}-goes", stage.namespace);
    let path = format!("/api/v1/namespaces/{name}");
    let made = stage
        .rest
        .post("/api/v1/namespaces", &json!({"metadata": {"name": name}}))?
        .ok()?;
    same("phase", text(&made, "status.phase"), "Active")?;
    same(
        "finalizer",
        at(&made, "spec.finalizers"),
        &json!(["kubernetes"]),
    )?;
    let label = &made["metadata"]["labels"]["kubernetes.io/metadata.name"];
    same("its name as a label", label, &json!(name))?;
    let inside = within("v1", Some(&name), "configmaps");
    for number in 0..3 {
        stage
            .rest
            .post(
                &inside,
                &json!({"metadata": {"name": format!("m{number}")}}),
            )?
            .ok()?;
    }
    let held = json!({"metadata": {"name": "held", "finalizers": ["a.example/f"]}});
    stage.rest.post(&inside, &held)?.ok()?;
    let ending = stage.rest.delete(&path)?.ok()?;
    same("phase", text(&ending, "status.phase"), "Terminating")?;
    let late = stage
        .rest
        .post(&inside, &json!({"metadata": {"name": "late"}}))?;
    let status = late.refused(403)?;
    let message = format!(
        "configmaps \"late\" is forbidden: unable to create new content in namespace {name} because it is being \
         terminated"
    );
    same("message", text(&status, "message"), message.as_str())?;
    same(
        "cause",
        causes(&status).first().map(|cause| cause.0),
        Some("NamespaceTerminating"),
    )?;
    until("all but the held one are gone", seconds(60), || {
        let left = stage.rest.get(&inside)?.ok()?;
        ensure!(names(&left) == ["held"], "{:?}", names(&left));
        Ok(())
    })?;
    until("the namespace says what it waits for", seconds(60), || {
        let waiting = stage.rest.get(&path)?.ok()?;
        let conditions = waiting["status"]["conditions"].as_array();
        let waits = conditions.into_iter().flatten().any(|condition| {
            condition["type"] == "NamespaceFinalizersRemaining" && condition["status"] == "True"
        });
        ensure!(waits, "{waiting}");
        Ok(())
    })?;
    let free = json!({"metadata": {"finalizers": null}});
    stage
        .rest
        .patch("merge", &format!("{inside}/held"), &free)?
        .ok()?;
    until("it is gone", seconds(60), || {
        stage.rest.get(&path)?.refused(404).map(drop)
    })
}

pub fn a_namespace_is_patched_and_finalized(stage: &Stage) -> anyhow::Result<()> {
    let name = format!("{}-fin", stage.namespace);
    let path = format!("/api/v1/namespaces/{name}");
    stage
        .rest
        .post("/api/v1/namespaces", &json!({"metadata": {"name": name}}))?
        .ok()?;
    let patch = json!({"metadata": {"labels": {"testLabel": "testValue"}}});
    let patched = stage.rest.patch("strategic-merge", &path, &patch)?.ok()?;
    same(
        "label",
        text(&patched, "metadata.labels.testLabel"),
        "testValue",
    )?;
    // "should apply a finalizer to a Namespace".
    let mut object = patched;
    object["spec"]["finalizers"] = json!(["kubernetes", "e2e.example.com/fake"]);
    let finalized = stage.rest.put(&format!("{path}/finalize"), &object)?.ok()?;
    same(
        "both",
        at(&finalized, "spec.finalizers"),
        &json!(["kubernetes", "e2e.example.com/fake"]),
    )?;
    let mut object = finalized;
    object["spec"]["finalizers"] = json!(["kubernetes"]);
    stage.rest.put(&path, &object)?.ok()?;
    let now = stage.rest.get(&path)?.ok()?;
    same(
        "not by the object itself",
        at(&now, "spec.finalizers").as_array().map_or(0, Vec::len),
        2,
    )?;
    let mut object = now;
    object["spec"]["finalizers"] = json!(["kubernetes"]);
    stage.rest.put(&format!("{path}/finalize"), &object)?.ok()?;
    stage.rest.delete(&path)?.ok()?;
    until("it is gone", seconds(60), || {
        stage.rest.get(&path)?.refused(404).map(drop)
    })
}

pub fn what_is_immutable_stays_so(stage: &Stage) -> anyhow::Result<()> {
    for (resource, change) in [
        ("configmaps", json!({"data": {"a": "c"}})),
        ("secrets", json!({"data": {"a": "Yw=="}})),
    ] {
        let path = stage.of("v1", resource);
        let data = if resource == "secrets" { "Yg==" } else { "b" };
        let object = json!({"metadata": {"name": "fixed"}, "data": {"a": data}});
        stage.rest.post(&path, &object)?.ok()?;
        let one = format!("{path}/fixed");
        stage
            .rest
            .patch("merge", &one, &json!({"data": {"x": data}}))?
            .ok()?;
        stage
            .rest
            .patch("merge", &one, &json!({"immutable": true}))?
            .ok()?;
        let status = stage.rest.patch("merge", &one, &change)?.refused(422)?;
        same(resource, causes(&status), [("FieldValueForbidden", "data")])?;
        let status = stage
            .rest
            .patch("merge", &one, &json!({"immutable": false}))?
            .refused(422)?;
        ensure!(
            causes(&status).contains(&("FieldValueForbidden", "immutable")),
            "{status}"
        );
        let label = json!({"metadata": {"labels": {"a": "b"}}});
        stage.rest.patch("merge", &one, &label)?.ok()?;
        stage.rest.delete(&one)?.ok()?;
    }
    let secrets = stage.of("v1", "secrets");
    let object = json!({"metadata": {"name": "typed"}, "type": "example.com/type", "stringData": {"a": "b"}});
    let made = stage.rest.post(&secrets, &object)?.ok()?;
    same("in base64", text(&made, "data.a"), "Yg==")?;
    same("never read", at(&made, "stringData"), &Value::Null)?;
    let status = stage
        .rest
        .patch(
            "merge",
            &format!("{secrets}/typed"),
            &json!({"type": "Opaque"}),
        )?
        .refused(422)?;
    same("type", causes(&status), [("FieldValueInvalid", "type")])?;
    let bad = json!({"metadata": {"name": "bad"}, "data": {"a": "?"}});
    stage.rest.post(&secrets, &bad)?.refused(400)?;
    let bad = json!({"metadata": {"name": "bad"}, "data": {"not a key": "Yg=="}});
    stage.rest.post(&secrets, &bad)?.refused(422)?;
    Ok(())
}

pub fn an_event_is_found_by_what_it_regards(stage: &Stage) -> anyhow::Result<()> {
    let core = stage.of("v1", "events");
    let event = |name: &str, reason: &str, pod: &str| {
        json!({
            "metadata": {"name": name, "labels": {"testevent-set": "true"}},
            "involvedObject": {"kind": "Pod", "namespace": stage.namespace, "name": pod},
            "reason": reason, "type": "Normal", "message": "This is an event", "source": {"component": "test"},
        })
    };
    for (name, reason, pod) in [
        ("e1", "Started", "a"),
        ("e2", "Stopped", "a"),
        ("e3", "Started", "b"),
    ] {
        stage.rest.post(&core, &event(name, reason, pod))?.ok()?;
    }
    let find = |path: &str, selector: &str| -> anyhow::Result<Vec<String>> {
        let list = stage
            .rest
            .get(&format!("{path}?fieldSelector={selector}"))?
            .ok()?;
        Ok(names(&list).into_iter().map(str::to_owned).collect())
    };
    same("reason", find(&core, "reason%3DStarted")?, ["e1", "e3"])?;
    same(
        "object",
        find(&core, "involvedObject.name%3Da,involvedObject.kind%3DPod")?,
        ["e1", "e2"],
    )?;
    same(
        "source",
        find(&core, "source%3Dtest,reason%3DStopped")?,
        ["e2"],
    )?;
    let new = stage.of("events.k8s.io/v1", "events");
    same(
        "by the newer API",
        find(&new, "regarding.name%3Db")?,
        ["e3"],
    )?;
    let seen = stage.rest.get(&format!("{new}/e1"))?.ok()?;
    same("note", text(&seen, "note"), "This is an event")?;
    same("regarding", text(&seen, "regarding.name"), "a")?;
    let patch = json!({"message": "This is a test event - patched"});
    stage
        .rest
        .patch("strategic-merge", &format!("{core}/e1"), &patch)?
        .ok()?;
    let seen = stage.rest.get(&format!("{new}/e1"))?.ok()?;
    same(
        "patched",
        text(&seen, "note"),
        "This is a test event - patched",
    )?;
    let all = "/api/v1/events?labelSelector=testevent-set%3Dtrue";
    let all = stage.rest.get(all)?.ok()?;
    ensure!(items(&all).len() >= 3, "{all}");
    let elsewhere = json!({
        "metadata": {"name": "e4"}, "involvedObject": {"kind": "Pod", "namespace": "elsewhere", "name": "p"},
    });
    let status = stage.rest.post(&core, &elsewhere)?.refused(422)?;
    same(
        "namespace",
        causes(&status),
        [("FieldValueInvalid", "involvedObject.namespace")],
    )?;
    stage
        .rest
        .delete(&format!("{core}?labelSelector=testevent-set%3Dtrue"))?
        .ok()?;
    same(
        "none",
        find(&core, "")?
            .iter()
            .filter(|name| name.starts_with('e'))
            .count(),
        0,
    )
}

pub fn a_lease_is_handed_over(stage: &Stage) -> anyhow::Result<()> {
    let path = stage.of("coordination.k8s.io/v1", "leases");
    let lease = json!({
        "metadata": {"name": "lease"},
        "spec": {
            "holderIdentity": "holder", "leaseDurationSeconds": 30, "leaseTransitions": 0,
            "acquireTime": "2026-01-01T00:00:00.123456Z", "renewTime": "2026-01-01T00:00:05.000000Z",
        },
    });
    let made = stage.rest.post(&path, &lease)?.ok()?;
    same("as it was sent", &made["spec"], &lease["spec"])?;
    let mut taken = made.clone();
    taken["spec"]["holderIdentity"] = json!("other");
    taken["spec"]["leaseTransitions"] = json!(1);
    let taken = stage.rest.put(&format!("{path}/lease"), &taken)?.ok()?;
    // Who still believes to hold it cannot renew it.
    let mut renewed = made.clone();
    renewed["spec"]["renewTime"] = json!("2026-01-01T00:00:09.000000Z");
    stage
        .rest
        .put(&format!("{path}/lease"), &renewed)?
        .refused(409)?;
    let bad = json!({"spec": {"leaseDurationSeconds": -1}});
    let status = stage
        .rest
        .patch("merge", &format!("{path}/lease"), &bad)?
        .refused(422)?;
    same(
        "causes",
        causes(&status),
        [("FieldValueInvalid", "spec.leaseDurationSeconds")],
    )?;
    let now = stage.rest.get(&format!("{path}/lease"))?.ok()?;
    same("unchanged", revision(&now), revision(&taken))
}

pub fn a_service_has_an_address_of_its_own(stage: &Stage) -> anyhow::Result<()> {
    let path = stage.of("v1", "services");
    let service = |name: &str, spec: Value| json!({"metadata": {"name": name}, "spec": spec});
    let ports = json!([{"port": 80}]);
    let made = stage
        .rest
        .post(&path, &service("a", json!({"ports": ports})))?
        .ok()?;
    let ip = text(&made, "spec.clusterIP").to_owned();
    ensure!(ip.starts_with("10.96."), "{ip}");
    let address = stage
        .rest
        .get(&format!("/apis/networking.k8s.io/v1/ipaddresses/{ip}"))?
        .ok()?;
    same("whose", text(&address, "spec.parentRef.name"), "a")?;
    let taken = stage.rest.post(
        &path,
        &service("b", json!({"ports": ports, "clusterIP": ip})),
    )?;
    let status = taken.refused(422)?;
    same(
        "causes",
        causes(&status),
        [("FieldValueInvalid", "spec.clusterIPs")],
    )?;
    let message = text(&status, "message");
    ensure!(
        message.contains("failed to allocate IP")
            && message.contains("provided IP is already allocated"),
        "{message}"
    );
    let other = json!({"spec": {"clusterIP": "10.96.200.200"}});
    let status = stage
        .rest
        .patch("merge", &format!("{path}/a"), &other)?
        .refused(422)?;
    ensure!(
        text(&status, "message").contains("may not change once set"),
        "{status}"
    );
    stage.rest.delete(&format!("{path}/a"))?.ok()?;
    stage
        .rest
        .get(&format!("/apis/networking.k8s.io/v1/ipaddresses/{ip}"))?
        .refused(404)?;
    let again = stage
        .rest
        .post(
            &path,
            &service("b", json!({"ports": ports, "clusterIP": ip})),
        )?
        .ok()?;
    same("free again", text(&again, "spec.clusterIP"), ip.as_str())?;
    let headless = stage
        .rest
        .post(
            &path,
            &service("c", json!({"ports": ports, "clusterIP": "None"})),
        )?
        .ok()?;
    same("none", text(&headless, "spec.clusterIP"), "None")?;
    let ranges = stage
        .rest
        .get("/apis/networking.k8s.io/v1/servicecidrs/kubernetes")?
        .ok()?;
    same(
        "the range",
        at(&ranges, "spec.cidrs"),
        &json!(["10.96.0.0/16"]),
    )
}

pub fn a_deployment_makes_its_replica_sets(stage: &Stage) -> anyhow::Result<()> {
    let path = stage.of("apps/v1", "deployments");
    let mut object = crate::stage::deployment("web");
    object["spec"]["paused"] = json!(false);
    object["spec"]["replicas"] = json!(2);
    let made = stage.rest.post(&path, &object)?.ok()?;
    let selector = "labelSelector=app%3Dweb";
    let sets = format!("{}?{selector}", stage.of("apps/v1", "replicasets"));
    until("a set with two pods", seconds(60), || {
        let list = stage.rest.get(&sets)?.ok()?;
        let set = items(&list).first().context("no set yet")?;
        same(
            "owner",
            text(set, "metadata.ownerReferences.0.uid"),
            text(&made, "metadata.uid"),
        )?;
        same("replicas", at(set, "status.replicas"), &json!(2))
    })?;
    let image = json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "nginx:2"}]}}}});
    stage
        .rest
        .patch("strategic-merge", &format!("{path}/web"), &image)?
        .ok()?;
    until("a second set", seconds(60), || {
        let list = stage.rest.get(&sets)?.ok()?;
        same("sets", items(&list).len(), 2)
    })?;
    let observed = until("the change is observed", seconds(60), || {
        let now = stage.rest.get(&format!("{path}/web"))?.ok()?;
        let generation = at(&now, "metadata.generation").clone();
        same(
            "generation",
            at(&now, "status.observedGeneration"),
            &generation,
        )?;
        Ok(now)
    })?;
    ensure!(number(&observed)? > number(&made)?, "{observed}");
    let options = json!({"propagationPolicy": "Foreground"});
    stage
        .rest
        .request("DELETE", &format!("{path}/web"))
        .json(&options)
        .send()?
        .ok()?;
    until("all is gone", seconds(60), || {
        stage.rest.get(&format!("{path}/web"))?.refused(404)?;
        let list = stage.rest.get(&sets)?.ok()?;
        same("sets", items(&list).len(), 0)?;
        let pods = stage
            .rest
            .get(&format!("{}?{selector}", stage.of("v1", "pods")))?
            .ok()?;
        same("pods", items(&pods).len(), 0)
    })
}

pub fn a_priority_is_resolved_when_a_pod_is_made(stage: &Stage) -> anyhow::Result<()> {
    let name = format!("{}-high", stage.namespace);
    let classes = "/apis/scheduling.k8s.io/v1/priorityclasses";
    let class = json!({"metadata": {"name": name}, "value": 1000});
    stage.rest.post(classes, &class)?.ok()?;
    let change = json!({"value": 1001});
    stage
        .rest
        .patch("merge", &format!("{classes}/{name}"), &change)?
        .refused(422)?;
    let pod = |pod: &str, class: &str| {
        let pod = json!({
            "metadata": {"name": pod},
            "spec": {"schedulerName": "nobody", "priorityClassName": class, "containers": [{"name": "c", "image": "i"}]},
        });
        stage.rest.post(&stage.of("v1", "pods"), &pod)
    };
    same(
        "value",
        at(&pod("a", &name)?.ok()?, "spec.priority"),
        &json!(1000),
    )?;
    says(
        &pod("b", "none")?,
        403,
        "Forbidden",
        "pods \"b\" is forbidden: no PriorityClass with name none was found",
    )?;
    for system in ["system-node-critical", "system-cluster-critical"] {
        stage.rest.get(&format!("{classes}/{system}"))?.ok()?;
    }
    stage.rest.delete(&format!("{classes}/{name}"))?.ok()?;
    Ok(())
}

pub fn a_pod_may_change_little(stage: &Stage) -> anyhow::Result<()> {
    let pods = stage.of("v1", "pods");
    let pod = json!({
        "metadata": {"name": "p"},
        "spec": {"schedulerName": "nobody", "containers": [{"name": "c", "image": "i"}]},
    });
    let made = stage.rest.post(&pods, &pod)?.ok()?;
    same("phase", text(&made, "status.phase"), "Pending")?;
    same("class", text(&made, "status.qosClass"), "BestEffort")?;
    let path = format!("{pods}/p");
    let image = json!({"spec": {"containers": [{"name": "c", "image": "other"}]}});
    stage.rest.patch("strategic-merge", &path, &image)?.ok()?;
    let shorter = json!({"spec": {"activeDeadlineSeconds": 30}});
    stage.rest.patch("merge", &path, &shorter)?.ok()?;
    for change in [
        json!({"spec": {"nodeName": "x"}}),
        json!({"spec": {"hostNetwork": true}}),
        json!({"spec": {"activeDeadlineSeconds": 60}}),
        json!({"spec": {"containers": [{"name": "d", "image": "i"}]}}),
    ] {
        let answer = stage.rest.patch("merge", &path, &change)?;
        let status = answer.refused(422)?;
        ensure!(
            text(&status, "message").starts_with("Pod \"p\" is invalid: "),
            "{answer}"
        );
    }
    Ok(())
}
