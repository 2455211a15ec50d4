//! What a test of the API is given, and how it compares.

use std::path::Path;

use anyhow::{Context, ensure};
use ferrule_e2e::Processes;
use ferrule_e2e::rest::{Answer, Rest};
use ferrule_e2e::runner::{Test, caught};
use serde_json::{Value, json};

use crate::Run;

/// The API server that all tests share, and a namespace that only this test uses.
pub struct Stage<'a> {
    /// All that runs.
    pub processes: &'a Processes,
    /// The administrator.
    pub rest: Rest,
    /// The test's own.
    pub namespace: String,
}

/// Runs one test in a namespace of its own; what it leaves there ends with the cluster.
pub fn one(processes: &Processes, number: usize, test: &Test<Run>) -> anyhow::Result<()> {
    let stage = Stage {
        processes,
        rest: processes.rest()?,
        namespace: format!("test-{number}"),
    };
    let namespace = json!({"metadata": {"name": stage.namespace}});
    stage.rest.post("/api/v1/namespaces", &namespace)?.ok()?;
    caught(|| (test.run)(&stage)).map_err(|error| {
        let folder = Path::new("/var/tmp/ferrule-e2e-logs").join(test.name.replace("::", "."));
        match processes.save(&folder) {
            Ok(()) => error.context(format!("logs are in {}", folder.display())),
            Err(lost) => error.context(format!("no logs could be saved: {lost:#}")),
        }
    })
}

impl Stage<'_> {
    /// The path of a resource of a group and version (`v1`, `apps/v1`) in the namespace.
    pub fn of(&self, version: &str, resource: &str) -> String {
        within(version, Some(&self.namespace), resource)
    }

    /// The path of the namespace's ConfigMaps, which no controller writes.
    pub fn maps(&self) -> String {
        self.of("v1", "configmaps")
    }

    /// Makes a ConfigMap with labels.
    pub fn make_map(&self, name: &str, labels: Value) -> anyhow::Result<Value> {
        self.rest
            .post(&self.maps(), &map(name, labels, json!({})))?
            .ok()
    }

    /// Makes a Deployment that no controller acts upon, since it is paused and wants nothing.
    pub fn make_deployment(&self, name: &str) -> anyhow::Result<Value> {
        let made = self
            .rest
            .post(&self.of("apps/v1", "deployments"), &deployment(name))?;
        made.ok()
    }
}

/// The path of a resource: in a namespace, in all of them, or of the cluster.
pub fn within(version: &str, namespace: Option<&str>, resource: &str) -> String {
    let root = if version.contains('/') { "apis" } else { "api" };
    match namespace {
        Some(namespace) => format!("/{root}/{version}/namespaces/{namespace}/{resource}"),
        None => format!("/{root}/{version}/{resource}"),
    }
}

/// A ConfigMap.
pub fn map(name: &str, labels: Value, data: Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": name, "labels": labels}, "data": data,
    })
}

/// A Deployment that is paused and wants no pods.
pub fn deployment(name: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {
            "paused": true, "replicas": 0,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "c", "image": "nginx:1.27"}]},
            },
        },
    })
}

/// A field by its path (`metadata.labels`), as text where it is text.
pub fn text<'a>(object: &'a Value, path: &str) -> &'a str {
    at(object, path).as_str().unwrap_or_default()
}

/// A field by its path; null where there is none.
pub fn at<'a>(object: &'a Value, path: &str) -> &'a Value {
    path.split('.')
        .fold(object, |value, field| match field.parse::<usize>() {
            Ok(index) => &value[index],
            Err(_) => &value[field],
        })
}

/// The revision that an answer or object carries.
pub fn revision(object: &Value) -> &str {
    text(object, "metadata.resourceVersion")
}

/// The same as a number.
pub fn number(object: &Value) -> anyhow::Result<i64> {
    revision(object)
        .parse()
        .with_context(|| format!("no revision: {object}"))
}

/// The items of a list.
pub fn items(list: &Value) -> &[Value] {
    list["items"].as_array().map_or(&[], Vec::as_slice)
}

/// The names of a list's items.
pub fn names(list: &Value) -> Vec<&str> {
    items(list)
        .iter()
        .map(|item| text(item, "metadata.name"))
        .collect()
}

/// The names of those that manage fields of an object.
pub fn managers(object: &Value) -> Vec<&str> {
    let entries = object["metadata"]["managedFields"].as_array();
    let entries = entries.into_iter().flatten();
    let mut all: Vec<&str> = entries.map(|entry| text(entry, "manager")).collect();
    all.sort_unstable();
    all
}

/// Fails unless both are equal, and shows them.
pub fn same<A, B>(what: &str, found: A, expected: B) -> anyhow::Result<()>
where
    A: PartialEq<B> + std::fmt::Debug,
    B: std::fmt::Debug,
{
    ensure!(
        found == expected,
        "{what}:\n   found {found:?}\nexpected {expected:?}"
    );
    Ok(())
}

/// Fails unless an answer refuses with this code, reason and message.
pub fn says(answer: &Answer, code: u16, reason: &str, message: &str) -> anyhow::Result<Value> {
    let status = answer.refused(code)?;
    let found = (text(&status, "reason"), text(&status, "message"));
    ensure!(
        found == (reason, message),
        "{answer}\n   found {found:?}\nexpected {:?}",
        (reason, message)
    );
    Ok(status)
}

/// Fails unless an answer says that nothing is at this path.
pub fn says_no_such_path(answer: &Answer) -> anyhow::Result<Value> {
    says(
        answer,
        404,
        "NotFound",
        "the server could not find the requested resource",
    )
}

/// The causes of a refusal: reason and field of each.
pub fn causes(status: &Value) -> Vec<(&str, &str)> {
    let causes = status["details"]["causes"].as_array();
    let causes = causes.into_iter().flatten();
    causes
        .map(|cause| (text(cause, "reason"), text(cause, "field")))
        .collect()
}

/// An object as it is but for its managedFields, whose order follows the clock.
pub fn without_owners(mut object: Value) -> Value {
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.remove("managedFields");
    }
    object
}

/// Fails unless all of a part is in a whole; lists contain each item.
pub fn includes(what: &str, whole: &Value, part: &Value) -> anyhow::Result<()> {
    fn inside(whole: &Value, part: &Value) -> bool {
        match (whole, part) {
            (Value::Object(whole), Value::Object(part)) => part
                .iter()
                .all(|(field, value)| whole.get(field).is_some_and(|own| inside(own, value))),
            (Value::Array(whole), Value::Array(part)) => part
                .iter()
                .all(|value| whole.iter().any(|own| inside(own, value))),
            _ => whole == part,
        }
    }
    ensure!(inside(whole, part), "{what}: {part} is not in {whole}");
    Ok(())
}
