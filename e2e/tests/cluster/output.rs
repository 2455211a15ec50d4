//! What our kubectl prints beside what upstream's prints of the same objects.

use anyhow::ensure;
use ferrule_e2e::Lab;
use ferrule_e2e::table::masked;

use crate::steps::echo;

pub fn both_kubectls_show_objects_alike(lab: &Lab) -> anyhow::Result<()> {
    echo(lab, "web", 2)?;
    lab.kubectl
        .ok("create configmap settings --from-literal=color=blue")?;
    lab.kubectl
        .ok("create secret generic hidden --from-literal=password=s3cret")?;
    let Some(upstream) = &lab.upstream else {
        return Ok(());
    };
    let mut differences = Vec::new();
    for line in [
        "get pods",
        "get po -o wide",
        "get pods --show-labels",
        "get pods -l app=web --no-headers",
        "get pods -o name",
        "get deploy -o wide",
        "get rs,svc",
        "get all",
        "get endpointslices",
        "get configmap,secret",
        "get configmap settings -o yaml",
        "get secret hidden -o json",
        "get deployment web -o yaml",
        "get service web -o yaml",
        "get ns default",
        "get nodes --show-labels",
        "describe configmap settings",
        "describe secret hidden",
        "describe service web",
        "rollout status deployment/web",
    ] {
        let ours = masked(&lab.kubectl.ok(line)?);
        let theirs = masked(&upstream.ok(line)?);
        if ours != theirs {
            differences.push(format!(
                "{line}\n  ours:     {ours:?}\n  upstream: {theirs:?}"
            ));
        }
    }
    ensure!(differences.is_empty(), "{}", differences.join("\n"));
    Ok(())
}
