//! What the node does for a pod.

use std::time::Duration;

use anyhow::{Context, ensure};
use ferrule_e2e::Lab;
use ferrule_e2e::command;
use ferrule_e2e::wait::{seconds, until};
use serde_json::Value;

use crate::manifests::{self, shell};
use crate::steps::{POD_STARTS, is_ready, ready_pod, summary, text};

/// The first container's status.
fn status(pod: &Value) -> &Value {
    &pod["status"]["containerStatuses"][0]
}

/// Waits until a pod is as the check wants it.
fn pod_becomes(
    lab: &Lab,
    name: &str,
    what: &str,
    check: impl Fn(&Value) -> bool,
) -> anyhow::Result<Value> {
    until(&format!("{name} {what}"), POD_STARTS, || {
        let pod = lab.kubectl.json(&format!("pod {name}"))?;
        ensure!(check(&pod), "it is {}: {}", summary(&pod), status(&pod));
        Ok(pod)
    })
}

pub fn containers_of_a_pod_share_network_and_volumes(lab: &Lab) -> anyhow::Result<()> {
    lab.kubectl.apply(manifests::TWO_CONTAINERS)?;
    ready_pod(&lab.kubectl, "two")?;
    let answer = lab.kubectl.words(&[
        "exec",
        "two",
        "-c",
        "beside",
        "--",
        "wget",
        "-qO-",
        "http://127.0.0.1",
    ])?;
    ensure!(answer == "two\n", "the other container answers {answer:?}");
    let shared =
        lab.kubectl
            .words(&["exec", "two", "-c", "beside", "--", "cat", "/theirs/said"])?;
    ensure!(shared == "from the first\n", "{shared:?}");
    Ok(())
}

pub fn environment_and_files_come_from_config_maps_and_secrets(lab: &Lab) -> anyhow::Result<()> {
    let kubectl = &lab.kubectl;
    kubectl.ok("create configmap settings --from-literal=color=blue --from-literal=size=9")?;
    kubectl.ok("create secret generic hidden --from-literal=password=s3cret")?;
    kubectl.apply(manifests::CONFIGURED)?;
    let pod = ready_pod(kubectl, "configured")?;
    let address = text(&pod["status"]["podIP"]).to_owned();
    let node = text(&pod["spec"]["nodeName"]).to_owned();
    let in_pod = |script: &str| kubectl.words(&["exec", "configured", "--", "sh", "-c", script]);
    for (script, expected) in [
        ("echo $COLOR", "blue"),
        ("echo $color$size", "blue9"),
        ("echo $PASSWORD", "s3cret"),
        ("echo $PLAIN", "says blue"),
        ("echo $POD_IP", &*address),
        ("echo $NODE", &*node),
        ("echo $CPU", "250"),
        ("cat /etc/settings/size", "9"),
        ("cat /etc/hidden/password", "s3cret"),
        ("stat -Lc %a /etc/hidden/password", "400"),
        ("hostname", "configured"),
        ("cat /etc/hostname", "configured"),
    ] {
        let shown = in_pod(script)?;
        ensure!(shown.trim_end() == expected, "{script} prints {shown:?}");
    }
    ensure!(
        in_pod("cat /etc/hosts")?.contains(&address),
        "the hosts file lacks the pod"
    );
    Ok(())
}

pub fn a_failing_liveness_probe_restarts_the_container(lab: &Lab) -> anyhow::Result<()> {
    let script = "touch /tmp/ok; sleep 3; rm /tmp/ok; sleep 600";
    lab.kubectl.apply(
        &(shell("ill", "Always", script)
            + "      livenessProbe: {exec: {command: [test, -e, /tmp/ok]}, periodSeconds: 1, initialDelaySeconds: 1, failureThreshold: 1}\n"),
    )?;
    let pod = pod_becomes(lab, "ill", "is restarted", |pod| {
        status(pod)["restartCount"].as_u64() >= Some(1)
            && !status(pod)["state"]["running"].is_null()
    })?;
    // The shell takes no notice of SIGTERM as the first process of its container.
    let last = &status(&pod)["lastState"]["terminated"];
    ensure!(last["exitCode"] == 137, "{last}");
    let described = lab.kubectl.ok("describe pod ill")?;
    ensure!(described.contains("Liveness probe failed"), "{described}");
    Ok(())
}

pub fn a_pod_is_ready_only_when_its_readiness_probe_succeeds(lab: &Lab) -> anyhow::Result<()> {
    lab.kubectl.apply(
        &(shell(
            "slow",
            "Always",
            "mkdir /www; exec httpd -p 8080 -h /www -f",
        ) + "      readinessProbe: {httpGet: {path: /ready, port: 8080}, periodSeconds: 1}\n"),
    )?;
    pod_becomes(lab, "slow", "runs", |pod| {
        !status(pod)["state"]["running"].is_null()
    })?;
    std::thread::sleep(Duration::from_secs(2));
    ensure!(
        !is_ready(&lab.kubectl.json("pod slow")?),
        "it is ready at once"
    );
    lab.kubectl
        .words(&["exec", "slow", "--", "touch", "/www/ready"])?;
    ready_pod(&lab.kubectl, "slow")?;
    lab.kubectl
        .words(&["exec", "slow", "--", "rm", "/www/ready"])?;
    let pod = pod_becomes(lab, "slow", "is not ready any more", |pod| !is_ready(pod))?;
    ensure!(status(&pod)["restartCount"] == 0, "it was restarted");
    Ok(())
}

pub fn a_container_is_reported_with_its_real_exit_code(lab: &Lab) -> anyhow::Result<()> {
    lab.kubectl.apply(&shell("bad", "Never", "exit 7"))?;
    lab.kubectl.apply(&shell("good", "OnFailure", "exit 0"))?;
    lab.kubectl.apply(&shell("again", "Always", "exit 3"))?;
    for (name, phase, code, reason) in [
        ("bad", "Failed", 7, "Error"),
        ("good", "Succeeded", 0, "Completed"),
    ] {
        let pod = pod_becomes(lab, name, "ends", |pod| pod["status"]["phase"] == phase)?;
        let ended = &status(&pod)["state"]["terminated"];
        ensure!(
            ended["exitCode"] == code && ended["reason"] == reason,
            "{name}: {ended}"
        );
        let shown = lab.kubectl.words(&["get", "pod", name, "--no-headers"])?;
        ensure!(shown.split_whitespace().nth(2) == Some(reason), "{shown}");
    }
    let pod = pod_becomes(lab, "again", "backs off", |pod| {
        status(pod)["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    })?;
    let last = &status(&pod)["lastState"]["terminated"];
    ensure!(last["exitCode"] == 3, "{last}");
    Ok(())
}

pub fn logs_are_followed_cut_and_kept_of_the_previous_container(lab: &Lab) -> anyhow::Result<()> {
    let kubectl = &lab.kubectl;
    kubectl.apply(&shell(
        "teller",
        "Never",
        // Nothing orders what is written to two streams at the same moment.
        "echo one; echo two; echo three; sleep 8; echo four >&2",
    ))?;
    pod_becomes(lab, "teller", "runs", |pod| {
        !status(pod)["state"]["running"].is_null()
    })?;
    until("the first lines are there", seconds(5), || {
        let shown = kubectl.ok("logs teller")?;
        ensure!(shown == "one\ntwo\nthree\n", "{shown:?}");
        Ok(())
    })?;
    let last = kubectl.ok("logs teller --tail=1")?;
    ensure!(last == "three\n", "--tail=1 shows {last:?}");
    let followed = command::run(
        &mut kubectl.command(&["logs", "-f", "teller"]),
        "",
        seconds(20),
    )?;
    ensure!(
        followed.success() && followed.stdout == "one\ntwo\nthree\nfour\n",
        "{followed:?}"
    );
    let script = "n=$(cat /data/n 2>/dev/null || echo 0); n=$((n+1)); echo $n >/data/n; echo run $n; [ $n = 1 ] && exit 1; sleep 600";
    kubectl.apply(
        &(shell("twice", "Always", script)
            + "      volumeMounts: [{name: data, mountPath: /data}]\n  volumes: [{name: data, emptyDir: {}}]\n"),
    )?;
    pod_becomes(lab, "twice", "runs again", |pod| {
        status(pod)["restartCount"] == 1 && !status(pod)["state"]["running"].is_null()
    })?;
    for (line, expected) in [
        ("logs twice", "run 2\n"),
        ("logs twice --previous", "run 1\n"),
    ] {
        until(
            "a running container has said its first line",
            seconds(5),
            || {
                let shown = kubectl.ok(line)?;
                ensure!(shown == expected, "{line} shows {shown:?}");
                Ok(())
            },
        )?;
    }
    Ok(())
}

pub fn exec_hands_on_input_output_and_exit_code(lab: &Lab) -> anyhow::Result<()> {
    lab.kubectl.apply(&shell("box", "Always", "sleep 600"))?;
    ready_pod(&lab.kubectl, "box")?;
    let output = lab.kubectl.run(
        &[
            "exec",
            "-i",
            "box",
            "--",
            "sh",
            "-c",
            "cat; echo bad >&2; exit 9",
        ],
        "good\n",
    )?;
    ensure!(
        output.code == Some(9)
            && output.stdout == "good\n"
            && output.stderr == "bad\ncommand terminated with exit code 9\n",
        "{output:?}"
    );
    Ok(())
}

pub fn a_memory_limit_ends_a_container_that_exceeds_it(lab: &Lab) -> anyhow::Result<()> {
    let manifest = shell("hungry", "Never", "tail /dev/zero").replace(
        "      image: busybox\n",
        "      image: busybox\n      resources: {limits: {memory: 24Mi}}\n",
    );
    lab.kubectl.apply(&manifest)?;
    let pod = pod_becomes(lab, "hungry", "is ended", |pod| {
        pod["status"]["phase"] == "Failed"
    })?;
    ensure!(
        pod["status"]["qosClass"] == "Burstable",
        "{}",
        pod["status"]["qosClass"]
    );
    let ended = &status(&pod)["state"]["terminated"];
    ensure!(
        ended["exitCode"] == 137 && ended["reason"] == "OOMKilled",
        "{ended}"
    );
    Ok(())
}

pub fn an_image_that_nobody_has_is_waited_for(lab: &Lab) -> anyhow::Result<()> {
    let never = shell("never", "Always", "sleep 600").replace(
        "      image: busybox\n",
        "      image: nobody/has-this:1\n      imagePullPolicy: Never\n",
    );
    lab.kubectl.apply(&never)?;
    pod_becomes(lab, "never", "waits", |pod| {
        status(pod)["state"]["waiting"]["reason"] == "ErrImageNeverPull"
    })?;
    // Nothing listens on port 9 of the node.
    let refused = shell("refused", "Always", "sleep 600")
        .replace("image: busybox", "image: 127.0.0.1:9/none:1");
    lab.kubectl.apply(&refused)?;
    let pod = pod_becomes(lab, "refused", "waits", |pod| {
        let reason = text(&status(pod)["state"]["waiting"]["reason"]);
        reason == "ErrImagePull" || reason == "ImagePullBackOff"
    })?;
    ensure!(
        pod["status"]["phase"] == "Pending",
        "{}",
        pod["status"]["phase"]
    );
    let output = lab.kubectl.words(&["delete", "pod", "never", "refused"])?;
    output
        .contains("pod \"refused\" deleted")
        .then_some(())
        .with_context(|| output.clone())
}
