//! The priority of a pod, from the class that it names or from the class that is everybody's.

use ferrule_apimachinery::status::Status;
use serde_json::Value;

use super::{Operation, PriorityClass, Request};

/// The priority of a new pod whose cluster has no default class.
const NO_CLASS: i64 = 0;

/// Gives a new pod its class, priority and preemption policy; refuses other numbers than its class's.
pub(super) fn resolve(pod: &mut Value, classes: &[PriorityClass]) -> Result<(), Status> {
    let name = text(&pod["metadata"]["name"]).to_owned();
    let forbid = |why: String| Err(Status::forbidden("", "pods", &name, why));
    if !pod["spec"].is_object() {
        return Ok(());
    }
    let spec = &mut pod["spec"];
    let asked = text(&spec["priorityClassName"]).to_owned();
    let class = if asked.is_empty() {
        default_class(classes)
    } else {
        match classes.iter().find(|class| class.name == asked) {
            Some(class) => Some(class),
            None => return forbid(format!("no PriorityClass with name {asked} was found")),
        }
    };
    if let Some(class) = class {
        spec["priorityClassName"] = class.name.as_str().into();
    }
    let value = class.map_or(NO_CLASS, |class| class.value);
    if let Some(given) = spec.get("priority").and_then(Value::as_i64)
        && given != value
    {
        return forbid(format!(
            "the integer value of priority ({given}) must not be provided in pod spec; \
             priority admission controller computed {value} from the given PriorityClass name"
        ));
    }
    spec["priority"] = value.into();
    let policy = match class {
        None => "PreemptLowerPriority",
        Some(class) => match &class.preemption {
            Some(policy) => policy.as_str(),
            None => return Ok(()),
        },
    };
    if let Some(given) = spec.get("preemptionPolicy").and_then(Value::as_str)
        && given != policy
    {
        return forbid(format!(
            "the string value of PreemptionPolicy ({given}) must not be provided in pod spec; \
             priority admission controller computed {policy} from the given PriorityClass name"
        ));
    }
    spec["preemptionPolicy"] = policy.into();
    Ok(())
}

/// What an update leaves out stays as it was given.
pub(super) fn keep(pod: &mut Value, old: Option<&Value>) {
    let (Some(spec), Some(old)) = (pod["spec"].as_object_mut(), old) else {
        return;
    };
    for field in ["priority", "preemptionPolicy"] {
        let given = spec.get(field).is_some_and(|value| !value.is_null());
        if let (false, Some(value)) = (given, old["spec"].get(field)) {
            spec.insert(field.to_owned(), value.clone());
        }
    }
}

/// Refuses a second class that wants to be everybody's.
pub(super) fn check_default(request: &Request<'_>, class: &Value) -> Result<(), Status> {
    let class = PriorityClass::read(class);
    let Some(other) = default_class(request.classes).filter(|_| class.global_default) else {
        return Ok(());
    };
    if request.operation == Operation::Update && other.name == class.name {
        return Ok(());
    }
    let why = format!(
        "PriorityClass {} is already marked as default. Only one default can exist",
        other.name
    );
    let resource = request.resource;
    Err(Status::forbidden(
        &resource.group,
        &resource.plural,
        &class.name,
        why,
    ))
}

/// Of several, made at the same moment, the least.
fn default_class(classes: &[PriorityClass]) -> Option<&PriorityClass> {
    classes
        .iter()
        .filter(|class| class.global_default)
        .min_by_key(|class| class.value)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
