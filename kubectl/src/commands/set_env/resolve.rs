//! What the references of environment variables lead to.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ferrule_apimachinery::names;
use ferrule_apimachinery::quantity::Quantity;
use serde_json::Value;

use super::super::pods;
use crate::error::Error;
use crate::resources::at;
use crate::session::Session;

type Resolved = std::result::Result<String, String>;

/// A variable's place: its object and its container.
pub struct Place<'a> {
    /// The object.
    pub object: &'a Value,
    /// The container.
    pub container: &'a Value,
}

/// The value that a reference leads to.
pub async fn value_of(session: &Session, place: &Place<'_>, source: &Value) -> Resolved {
    if let Some(reference) = source.get("secretKeyRef") {
        let text = key_of(session, "secrets", "secret", reference).await?;
        let bytes = STANDARD.decode(text).map_err(|error| error.to_string())?;
        return Ok(String::from_utf8_lossy(&bytes).into_owned());
    }
    if let Some(reference) = source.get("configMapKeyRef") {
        return key_of(session, "configmaps", "config map", reference).await;
    }
    if let Some(path) = source["fieldRef"]["fieldPath"].as_str() {
        return field_of(place.object, path);
    }
    match source.get("resourceFieldRef") {
        Some(reference) => resource_of(place.container, reference),
        None => Err("invalid valueFrom".to_owned()),
    }
}

async fn key_of(session: &Session, plural: &str, noun: &str, reference: &Value) -> Resolved {
    let name = pods::name(reference);
    let key = reference["key"].as_str().unwrap_or_default();
    let read = async {
        let resource = session.resources().await?.find(plural)?;
        let place = at(resource, &session.namespace).name(name);
        Ok::<Value, Error>(session.client.get(&place).await?.parse()?)
    };
    let object = read.await.map_err(|error| error.message())?;
    match object["data"][key].as_str() {
        Some(text) => Ok(text.to_owned()),
        None => Err(format!("key {key} not found in {noun} {name}")),
    }
}

/// A field of an object's metadata.
fn field_of(object: &Value, path: &str) -> Resolved {
    let metadata = &object["metadata"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let subscripted = path.strip_suffix("']").and_then(|own| own.split_once("['"));
    if let Some((field, key)) = subscripted.filter(|(field, _)| !field.is_empty()) {
        let (marks, why) = match field {
            "metadata.annotations" => (
                &metadata["annotations"],
                names::qualified_name(&key.to_lowercase()),
            ),
            "metadata.labels" => (&metadata["labels"], names::qualified_name(key)),
            _ => return Err(format!("fieldPath {path:?} does not support subscript")),
        };
        if !why.is_empty() {
            return Err(format!(
                "invalid key subscript in {path}: {}",
                why.join(";")
            ));
        }
        return Ok(text(&marks[key]));
    }
    match path {
        "metadata.annotations" => Ok(lines(&metadata["annotations"])),
        "metadata.labels" => Ok(lines(&metadata["labels"])),
        "metadata.name" => Ok(text(&metadata["name"])),
        "metadata.namespace" => Ok(text(&metadata["namespace"])),
        "metadata.uid" => Ok(text(&metadata["uid"])),
        _ => Err(format!("unsupported fieldPath: {path}")),
    }
}

fn lines(marks: &Value) -> String {
    let mut lines: Vec<String> = marks
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={:?}", value.as_str().unwrap_or_default()))
        .collect();
    lines.sort();
    lines.join("\n")
}

/// A container's limit or request, in units of the divisor, rounded up.
fn resource_of(container: &Value, reference: &Value) -> Resolved {
    let path = reference["resource"].as_str().unwrap_or_default();
    let unsupported = || format!("Unsupported container resource : {path}");
    let (list, name) = path.split_once('.').ok_or_else(unsupported)?;
    let known = matches!(name, "cpu" | "memory" | "ephemeral-storage");
    if !matches!(list, "limits" | "requests") || !(known || name.starts_with("hugepages-")) {
        return Err(unsupported());
    }
    let amount = |value: &Value| match value {
        Value::String(text) => Quantity::parse(text).ok(),
        Value::Number(number) => Quantity::parse(&number.to_string()).ok(),
        _ => None,
    };
    let divisor = amount(&reference["divisor"]).filter(|own| !own.is_zero());
    let divisor = divisor.unwrap_or_else(|| Quantity::from_value(1));
    let own = amount(&container["resources"][list][name]);
    let own = own.unwrap_or_else(|| Quantity::from_value(0));
    let (own, divisor) = match name {
        "cpu" => (own.milli(), divisor.milli()),
        _ => (own.value(), divisor.value()),
    };
    let (own, divisor) = (i128::from(own), i128::from(divisor.max(1)));
    Ok(((own + divisor - 1).div_euclid(divisor)).to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_of_metadata_are_found() {
        let object = json!({"metadata": {
            "name": "web", "labels": {"b": "2", "a": "1"}, "annotations": {"x/y": "z"},
        }});
        for (path, expected) in [
            ("metadata.name", Ok("web")),
            ("metadata.labels", Ok("a=\"1\"\nb=\"2\"")),
            ("metadata.labels['b']", Ok("2")),
            ("metadata.annotations['x/y']", Ok("z")),
            ("metadata.annotations['none']", Ok("")),
            ("status.podIP", Err("unsupported fieldPath: status.podIP")),
            (
                "spec['x']",
                Err("fieldPath \"spec['x']\" does not support subscript"),
            ),
        ] {
            let expected = expected.map(str::to_owned).map_err(str::to_owned);
            assert_eq!(field_of(&object, path), expected, "{path}");
        }
    }

    #[test]
    fn resources_are_counted_in_their_divisor() {
        let container = json!({"resources": {"limits": {"cpu": "1500m", "memory": "3Mi"}}});
        for (resource, divisor, expected) in [
            ("limits.cpu", "", "2"),
            ("limits.cpu", "1m", "1500"),
            ("limits.memory", "1Mi", "3"),
            ("requests.memory", "1Mi", "0"),
        ] {
            let reference = json!({"resource": resource, "divisor": divisor});
            assert_eq!(
                resource_of(&container, &reference).unwrap(),
                expected,
                "{resource} {divisor}"
            );
        }
        assert_eq!(
            resource_of(&container, &json!({"resource": "limits.odd"})).unwrap_err(),
            "Unsupported container resource : limits.odd"
        );
    }
}
