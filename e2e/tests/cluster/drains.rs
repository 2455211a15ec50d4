//! Nodes are emptied for maintenance, and taken into use again.

use anyhow::{Context, ensure};
use ferrule_e2e::wait::{seconds, until};
use ferrule_e2e::{Kubectl, Lab, NODES};

use crate::manifests::shell;
use crate::pty::Piped;
use crate::steps::{names, pods, ready_pod, ready_pods, text};

/// Both kubectls; upstream's where there is one.
fn kubectls<'a>(lab: &'a Lab) -> impl Iterator<Item = &'a Kubectl> {
    std::iter::once(&lab.kubectl).chain(&lab.upstream)
}

/// Nodes are made schedulable again, whatever the test found.
fn with_all_nodes(lab: &Lab, test: fn(&Lab) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let result = test(lab);
    for node in NODES {
        lab.kubectl.ok(&format!("uncordon {node}"))?;
    }
    result
}

pub fn a_drain_waits_for_a_budget_and_ends_when_it_allows(lab: &Lab) -> anyhow::Result<()> {
    with_all_nodes(lab, |lab| {
        for (number, kubectl) in kubectls(lab).enumerate() {
            guarded(lab, kubectl, &format!("guarded{number}")).with_context(|| kubectl.whose())?;
        }
        Ok(())
    })
}

fn guarded(lab: &Lab, kubectl: &Kubectl, app: &str) -> anyhow::Result<()> {
    let own = &lab.kubectl;
    own.ok(&format!(
        "create deployment {app} --image=sysnet4admin/echo-hname --replicas=2"
    ))?;
    let running = ready_pods(own, &format!("app={app}"), 2)?;
    own.ok(&format!(
        "create poddisruptionbudget {app} --selector=app={app} --min-available=2"
    ))?;
    until("the budget is counted", seconds(15), || {
        let budget = own.json(&format!("pdb {app}"))?;
        ensure!(
            budget["status"]["currentHealthy"] == 2,
            "{}",
            budget["status"]
        );
        Ok(())
    })?;
    let node = text(&running[0]["spec"]["nodeName"]).to_owned();
    let here: Vec<&serde_json::Value> = running
        .iter()
        .filter(|pod| pod["spec"]["nodeName"] == node.as_str())
        .collect();
    let selector = format!("--pod-selector=app={app}");
    let mut drain = Piped::start(kubectl.command(&["drain", &node, &selector]))?;
    let refused = "(will retry after 5s): Cannot evict pod as it would violate the pod's disruption budget.\n";
    let said = drain.err.holds(refused, seconds(20))?;
    ensure!(said.starts_with("error when evicting pods/\""), "{said}");
    ensure!(
        pods(own, &format!("app={app}"))?.len() == 2,
        "a pod was evicted all the same"
    );
    let late = own.run(&["drain", &node, &selector, "--timeout=1s"], "")?;
    ensure!(
        late.code == Some(1)
            && late.stderr.contains(&format!(
                "error: unable to drain node {node:?} due to error: "
            ))
            && late.stderr.contains("global timeout reached: 1s")
            && late.stderr.contains(&format!(
                "There are pending nodes to be drained:\n {node}\n"
            ))
            && late.stderr.contains(&format!(
                "There are pending pods in node {node:?} when an error occurred: "
            )),
        "{late:?}"
    );
    // One at a time may go: the next comes when the replacement is ready elsewhere.
    own.words(&["patch", "pdb", app, "-p", "{\"spec\":{\"minAvailable\":1}}"])?;
    let code = drain.ends(seconds(90))?;
    let out = drain.out.text();
    ensure!(code == Some(0), "{code:?} {out} {}", drain.err.text());
    ensure!(
        out.starts_with(&format!("node/{node} cordoned\n"))
            && out.ends_with(&format!("node/{node} drained\n")),
        "{out}"
    );
    for pod in here {
        let name = text(&pod["metadata"]["name"]);
        for line in [
            format!("evicting pod {}/{name}\n", lab.namespace),
            format!("pod/{name} evicted\n"),
        ] {
            ensure!(out.contains(&line), "{line:?} is missing: {out}");
        }
    }
    let moved = ready_pods(own, &format!("app={app}"), 2)?;
    ensure!(
        moved
            .iter()
            .all(|pod| pod["spec"]["nodeName"] != node.as_str()),
        "{:?} run on {node}",
        names(&moved)
    );
    let shown = own.ok(&format!("get node {node} --no-headers"))?;
    ensure!(shown.contains("Ready,SchedulingDisabled"), "{shown}");
    let said = kubectl.ok(&format!("uncordon {node}"))?;
    ensure!(said == format!("node/{node} uncordoned\n"), "{said}");
    own.ok(&format!("delete pdb,deployment {app}"))?;
    Ok(())
}

pub fn a_drain_says_which_pods_stand_in_its_way(lab: &Lab) -> anyhow::Result<()> {
    with_all_nodes(lab, |lab| {
        let node = NODES[1];
        let pinned = |name: &str, more: &str| {
            shell(name, "Always", "sleep 600")
                .replace("spec:\n", &format!("spec:\n  nodeName: {node}\n"))
                .replace(&format!("{{app: {name}}}"), "{app: alone}")
                + more
        };
        lab.kubectl.apply(&pinned("alone", ""))?;
        lab.kubectl.apply(&pinned(
            "local",
            "  volumes: [{name: data, emptyDir: {}}]\n",
        ))?;
        ready_pod(&lab.kubectl, "alone")?;
        ready_pod(&lab.kubectl, "local")?;
        let place = &lab.namespace;
        for kubectl in kubectls(lab) {
            let drain = |more: &[&str]| {
                let words = ["drain", node, "--pod-selector=app=alone"];
                let words: Vec<&str> = words.iter().chain(more).copied().collect();
                kubectl.run(&words, "")
            };
            let refused = drain(&[])?;
            ensure!(
                refused.code == Some(1)
                    && refused
                        .stderr
                        .contains(&format!("cannot delete Pods that declare no controller (use --force to override): {place}/alone"))
                    && refused
                        .stderr
                        .contains(&format!("cannot delete Pods with local storage (use --delete-emptydir-data to override): {place}/local")),
                "{}: {refused:?}",
                kubectl.whose()
            );
            let planned = drain(&["--force", "--delete-emptydir-data", "--dry-run=client"])?;
            ensure!(
                planned.success()
                    && planned.stderr
                        == format!(
                            "Warning: deleting Pods that declare no controller: {place}/alone, {place}/local\n"
                        )
                    && planned.stdout
                        == format!(
                            "node/{node} already cordoned (dry run)\nevicting pod {place}/alone (dry run)\nevicting pod {place}/local (dry run)\n\
                             node/{node} drained (dry run)\n"
                        ),
                "{}: {planned:?}",
                kubectl.whose()
            );
            let both = kubectl.fails(&format!("drain {node} -l a=b"))?;
            ensure!(
                both.starts_with(
                    "error: cannot specify both a node name and a --selector option\n"
                ),
                "{}: {both}",
                kubectl.whose()
            );
        }
        let done = lab.kubectl.ok(&format!(
            "drain {node} --pod-selector=app=alone --force --delete-emptydir-data --disable-eviction --grace-period=1"
        ))?;
        for line in ["pod/alone deleted\n", "pod/local deleted\n"] {
            ensure!(done.contains(line), "{done}");
        }
        Ok(())
    })
}
