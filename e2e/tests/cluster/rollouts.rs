//! Rolling updates under requests: what is lost of them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::ensure;
use ferrule_e2e::load::{Kind, Load, Tally};
use ferrule_e2e::wait::{seconds, until};
use ferrule_e2e::{Lab, NODES};

use crate::steps::{every_node_answers, names, node_port, ready_pods};

/// Requests at least under the updates.
const REQUESTS: usize = 10_000;
/// Each of two threads for each node asks so often: some 300 requests in a second.
const PAUSE: Duration = Duration::from_millis(20);

/// Three replicas behind a node port; `revision` makes the pods differ.
fn manifest(revision: usize, pre_stop: &str) -> String {
    format!(
        "\
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec:
  replicas: 3
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      terminationGracePeriodSeconds: 20
      containers:
        - name: main
          image: sysnet4admin/echo-hname
          env: [{{name: REVISION, value: '{revision}'}}]
          readinessProbe: {{httpGet: {{path: /, port: 80}}, periodSeconds: 1}}
{pre_stop}---
apiVersion: v1
kind: Service
metadata: {{name: web}}
spec:
  type: NodePort
  selector: {{app: web}}
  ports: [{{name: http, port: 80}}]
"
    )
}

const SLEEP: &str = "          lifecycle: {preStop: {sleep: {seconds: 5}}}\n";

/// Updates three times, and on until there were enough requests; says what became of them.
fn update_under_load(lab: &Lab, pre_stop: &str) -> anyhow::Result<BTreeMap<Kind, Tally>> {
    lab.kubectl.apply(&manifest(0, pre_stop))?;
    let pods = ready_pods(&lab.kubectl, "app=web", 3)?;
    let port = node_port(&lab.kubectl, "web")?;
    every_node_answers(lab.cluster, port, &names(&pods))?;
    let targets = NODES
        .iter()
        .map(|node| Ok((lab.cluster.address(node)?, port).into()))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let load = Load::start(&targets, PAUSE);
    let begin = Instant::now();
    let updates = (1..).take_while(|update| {
        *update <= 3 || (load.requests() < REQUESTS && begin.elapsed() < seconds(240))
    });
    let mut done = 0;
    let mut result = Ok(());
    for update in updates {
        result = one_update(lab, update, pre_stop);
        done = update;
        if result.is_err() {
            break;
        }
    }
    let (took, tallies) = (begin.elapsed(), load.end()?);
    result?;
    println!("    {done} updates in {:.0} s", took.as_secs_f64());
    for (kind, tally) in &tallies {
        println!(
            "    {kind:?} connections: {} requests, {} lost, slowest {:.0} ms, {} pods answered, reopened {} times",
            tally.requests(),
            tally.lost.len(),
            tally.slowest.as_secs_f64() * 1000.0,
            tally.answers.len(),
            tally.reopened
        );
        for (at, lost) in tally.lost.iter().take(10) {
            println!("        lost after {:.3} s: {lost}", at.as_secs_f64());
        }
    }
    Ok(tallies)
}

fn one_update(lab: &Lab, update: usize, pre_stop: &str) -> anyhow::Result<()> {
    lab.kubectl.apply(&manifest(update, pre_stop))?;
    lab.kubectl
        .ok("rollout status deployment/web --timeout=80s")?;
    // The pods of before are gone with their last requests.
    until("only the new pods are left", seconds(60), || {
        let list = lab.kubectl.json("pods -l app=web")?;
        let count = list["items"].as_array().map_or(0, Vec::len);
        ensure!(count == 3, "there are {count} pods");
        Ok(())
    })
}

pub fn a_rolling_update_with_a_pre_stop_sleep_loses_no_request(lab: &Lab) -> anyhow::Result<()> {
    let tallies = update_under_load(lab, SLEEP)?;
    let requests: usize = tallies.values().map(Tally::requests).sum();
    ensure!(requests >= REQUESTS, "only {requests} requests");
    for (kind, tally) in tallies {
        ensure!(
            tally.lost.is_empty(),
            "{kind:?} connections lost {} of {} requests: {:?}",
            tally.lost.len(),
            tally.requests(),
            tally.lost.iter().take(5).collect::<Vec<_>>()
        );
        ensure!(
            tally.answers.len() >= 9,
            "only {:?} answered",
            tally.answers
        );
    }
    Ok(())
}

/// Without it, a pod refuses connections as soon as it is told to end, and the proxies hear of that a moment later: few
/// requests are lost, and it is said how many. (Here some ten updates follow each other without a pause.)
pub fn a_rolling_update_without_a_pre_stop_sleep_loses_little(lab: &Lab) -> anyhow::Result<()> {
    let tallies = update_under_load(lab, "")?;
    for (kind, tally) in tallies {
        ensure!(
            tally.lost.len() * 10 <= tally.requests(),
            "{kind:?} connections lost {} of {} requests: {:?}",
            tally.lost.len(),
            tally.requests(),
            tally.lost.iter().take(5).collect::<Vec<_>>()
        );
    }
    Ok(())
}
