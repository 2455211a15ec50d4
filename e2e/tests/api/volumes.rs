//! Claims and volumes, and what keeps them.

use anyhow::ensure;
use ferrule_e2e::wait::{seconds, until};
use serde_json::{Value, json};

use crate::stage::{Stage, at, same};

pub fn claims_and_volumes_are_held(stage: &Stage) -> anyhow::Result<()> {
    let class = format!("class-{}", stage.namespace);
    let spec = json!({"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/data"}});
    let name = format!("volume-{}", stage.namespace);
    let mut volume = json!({"metadata": {"name": name}, "spec": spec});
    volume["spec"]["storageClassName"] = json!(class);
    stage
        .rest
        .post("/api/v1/persistentvolumes", &volume)?
        .ok()?;
    let claims = stage.of("v1", "persistentvolumeclaims");
    let claim = json!({
        "metadata": {"name": "claim"},
        "spec": {
            "accessModes": ["ReadWriteOnce"], "storageClassName": class, "resources": {"requests": {"storage": "1Gi"}},
        },
    });
    let made = stage.rest.post(&claims, &claim)?.ok()?;
    same(
        "held",
        at(&made, "metadata.finalizers"),
        &json!(["kubernetes.io/pvc-protection"]),
    )?;
    let smaller = json!({"spec": {"resources": {"requests": {"storage": "1Mi"}}}});
    stage
        .rest
        .patch("merge", &format!("{claims}/claim"), &smaller)?
        .refused(422)?;
    let volume = format!("/api/v1/persistentvolumes/{name}");
    let kept = stage.rest.get(&volume)?.ok()?;
    same(
        "held",
        at(&kept, "metadata.finalizers"),
        &json!(["kubernetes.io/pv-protection"]),
    )
}

const VOLUMES: &str = "/api/v1/persistentvolumes";

fn claim(name: &str) -> Value {
    json!({
        "metadata": {"name": name},
        "spec": {
            "accessModes": ["ReadWriteOnce"], "storageClassName": "",
            "resources": {"requests": {"storage": "1Gi"}},
        },
    })
}

/// Waits until nothing is at a path.
fn goes(stage: &Stage, path: &str) -> anyhow::Result<()> {
    until("it is gone", seconds(60), || {
        stage.rest.get(path)?.refused(404).map(drop)
    })
}

/// Fails unless the object is being deleted and is held by this finalizer.
fn is_held(stage: &Stage, path: &str, finalizer: &str) -> anyhow::Result<()> {
    let object = stage.rest.get(path)?.ok()?;
    ensure!(
        !at(&object, "metadata.deletionTimestamp").is_null(),
        "{object}"
    );
    same(
        "held",
        at(&object, "metadata.finalizers"),
        &json!([finalizer]),
    )
}

pub fn a_claim_goes_when_no_pod_uses_it_any_more(stage: &Stage) -> anyhow::Result<()> {
    let claims = stage.of("v1", "persistentvolumeclaims");
    for name in ["used", "free"] {
        stage.rest.post(&claims, &claim(name))?.ok()?;
    }
    let pods = stage.of("v1", "pods");
    let pod = json!({
        "metadata": {"name": "p"},
        "spec": {
            "nodeName": "nowhere",
            "containers": [{"name": "c", "image": "i"}],
            "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "used"}}],
        },
    });
    stage.rest.post(&pods, &pod)?.ok()?;
    let used = format!("{claims}/used");
    for name in ["used", "free"] {
        stage.rest.delete(&format!("{claims}/{name}"))?.ok()?;
    }
    // Claims are looked at one after the other: the one before it was looked at as well.
    goes(stage, &format!("{claims}/free"))?;
    is_held(stage, &used, "kubernetes.io/pvc-protection")?;
    stage
        .rest
        .delete(&format!("{pods}/p?gracePeriodSeconds=0"))?
        .ok()?;
    goes(stage, &used)
}

pub fn a_volume_goes_when_it_is_not_bound_any_more(stage: &Stage) -> anyhow::Result<()> {
    let path = |name: &str| format!("{VOLUMES}/{name}-{}", stage.namespace);
    let phase = |name: &str, phase: &str| {
        let status = json!({"status": {"phase": phase}});
        let path = format!("{}/status", path(name));
        stage.rest.patch("merge", &path, &status)?.ok()
    };
    for name in ["bound", "free"] {
        let volume = json!({
            "metadata": {"name": format!("{name}-{}", stage.namespace)},
            "spec": {
                "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/data"},
            },
        });
        stage.rest.post(VOLUMES, &volume)?.ok()?;
    }
    phase("bound", "Bound")?;
    for name in ["bound", "free"] {
        stage.rest.delete(&path(name))?.ok()?;
    }
    goes(stage, &path("free"))?;
    is_held(stage, &path("bound"), "kubernetes.io/pv-protection")?;
    phase("bound", "Released")?;
    goes(stage, &path("bound"))
}
