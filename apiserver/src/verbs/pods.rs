//! What is asked of pods beyond their objects: binding to a node. Eviction has a file of its own.

use ferrule_apimachinery::field::{self, FieldError, Path};
use ferrule_apimachinery::status::Status;
use serde_json::{Map, Value, json};

use super::allocation::World;
use super::change::{Current, Step};
use super::effects::Effects;
use super::metadata::{meta_text, metadata, seconds};
use super::{Answer, Api, Body, Call, Target, WriteOptions, errors};

impl Api {
    /// Binds a pod to a node. `target` is the pod, or the collection of `bindings`.
    pub async fn bind(
        &self,
        call: &Call,
        target: &Target,
        body: Body<'_>,
        options: &WriteOptions,
    ) -> Result<Answer, Status> {
        let binding = self.decode_other(body, "v1", "Binding", "core/v1.Binding")?;
        let name = meta_text(&binding, "name").to_owned();
        if !target.name.is_empty() && !name.is_empty() && name != target.name {
            return Err(Status::bad_request(
                "name in URL does not match name in Binding object",
            ));
        }
        let node = check_binding(&binding)?;
        let pods = self
            .0
            .scheme
            .lookup("", "v1", "pods")
            .ok_or_else(Status::no_such_resource)?;
        let pod = Target {
            resource: pods.clone(),
            namespace: target.namespace.clone(),
            name: if target.name.is_empty() {
                name
            } else {
                target.name.clone()
            },
            subresource: String::new(),
        };
        let mut plan = |current: Option<&Current>, world: &World| {
            let current = current.ok_or_else(|| errors::not_found(&pod.resource, &pod.name))?;
            bound(&pod.name, &binding, node, current, world)
                .map(|new| Step::Put(new, Effects::default()))
        };
        let answer = self
            .change(call, &pod, options.dry_run, &mut plan)
            .await?
            .answer();
        Ok(done(answer.revision))
    }
}

/// The Status that answers what was carried out.
pub(super) fn done(revision: i64) -> Answer {
    let status = json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "code": 201,
    });
    Answer {
        created: true,
        ..Answer::other(&status, revision)
    }
}

fn check_binding(binding: &Value) -> Result<&str, Status> {
    let target = Path::new("target");
    let text = |name: &str| binding["target"][name].as_str().unwrap_or_default();
    let mut problems = Vec::new();
    if !matches!(text("kind"), "" | "Node") {
        problems.push(FieldError::not_supported(
            &target.child("kind"),
            text("kind"),
            &["Node", "<empty>"],
        ));
    }
    let node = text("name");
    if node.is_empty() {
        problems.push(FieldError::required(&target.child("name"), ""));
    }
    if problems.is_empty() {
        Ok(node)
    } else {
        Err(Status::bare_error(field::aggregate(&problems)))
    }
}

/// The pod, bound.
fn bound(
    name: &str,
    binding: &Value,
    node: &str,
    current: &Current,
    world: &World,
) -> Result<Value, Status> {
    let refuse = |why: String| Err(Status::conflict("", "pods/binding", name, why));
    let mut new = current.value.clone();
    metadata(&mut new).remove("resourceVersion");
    let (uid, version) = (
        meta_text(binding, "uid"),
        meta_text(binding, "resourceVersion"),
    );
    if !uid.is_empty() && uid != meta_text(&new, "uid") {
        return refuse(format!(
            "Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
            meta_text(&new, "uid")
        ));
    }
    if !version.is_empty() && version != current.stored.revision.to_string() {
        return Err(Status::modified("", "pods", name));
    }
    if !meta_text(&new, "deletionTimestamp").is_empty() {
        return refuse(format!(
            "pod {name} is being deleted, cannot be assigned to a host"
        ));
    }
    if let Some(other) = new["spec"]["nodeName"]
        .as_str()
        .filter(|other| !other.is_empty())
    {
        return refuse(format!("pod {name} is already assigned to node {other:?}"));
    }
    if new["spec"]["schedulingGates"]
        .as_array()
        .is_some_and(|gates| !gates.is_empty())
    {
        return refuse(format!("pod {name} has non-empty .spec.schedulingGates"));
    }
    new["spec"]["nodeName"] = node.into();
    for field in ["annotations", "labels"] {
        let Some(more) = binding["metadata"][field]
            .as_object()
            .filter(|more| !more.is_empty())
        else {
            continue;
        };
        let own = metadata(&mut new).entry(field).or_insert_with(|| json!({}));
        if let Some(own) = own.as_object_mut() {
            own.extend(more.clone());
        }
    }
    set_scheduled(&mut new, &seconds(world.now));
    Ok(new)
}

fn set_scheduled(pod: &mut Value, now: &str) {
    if let Some(status) = pod["status"].as_object_mut() {
        status.remove("nominatedNodeName");
    }
    let condition = json!({
        "type": "PodScheduled",
        "status": "True",
        "lastProbeTime": null,
        "lastTransitionTime": now,
    });
    set_condition(pod, condition);
}

/// Sets a condition of the status; one that says the same already stays as it is.
pub(super) fn set_condition(object: &mut Value, condition: Value) {
    if !object["status"].is_object() {
        object["status"] = Value::Object(Map::new());
    }
    let status = &mut object["status"];
    if !status["conditions"].is_array() {
        status["conditions"] = json!([]);
    }
    let Some(conditions) = status["conditions"].as_array_mut() else {
        return;
    };
    match conditions
        .iter_mut()
        .find(|own| own["type"] == condition["type"])
    {
        Some(own) if own["status"] == condition["status"] => {}
        Some(own) => *own = condition,
        None => conditions.push(condition),
    }
}
