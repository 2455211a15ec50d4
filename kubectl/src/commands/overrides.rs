//! What `--overrides` changes of an object that a command made.

use ferrule_client::client::Patch;
use serde_json::Value;

use super::apply;
use crate::error::{Error, Result};

/// The object with the overrides, which are a patch of the type that `--override-type` names.
pub fn apply(object: Value, overrides: &str, kind: &str) -> Result<Value> {
    let tree: Value =
        serde_json::from_str(overrides).map_err(|_| Error::local("Invalid JSON Patch"))?;
    let patch = match kind {
        "json" => Patch::Json(tree),
        "merge" => Patch::Merge(tree),
        "strategic" => Patch::Strategic(tree),
        other => return Err(Error::local(format!("invalid override type: {other}"))),
    };
    let mut patched = apply::patched(&patch, &object)?;
    // Fields that the type does not have are dropped, as Go's decoder drops them.
    super::set::complete(&mut patched)?;
    Ok(patched)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn overrides_are_a_patch_of_the_named_type() {
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"labels": {"a": "b"}},
            "spec": {"containers": [{"name": "one", "image": "nginx"}]}});
        for (kind, overrides, path, expected) in [
            (
                "merge",
                r#"{"metadata":{"labels":{"a":null,"e":"f"}},"odd":1}"#,
                "/metadata/labels",
                json!({"e": "f"}),
            ),
            (
                "json",
                r#"[{"op":"add","path":"/metadata/labels/c","value":"d"}]"#,
                "/metadata/labels",
                json!({"a": "b", "c": "d"}),
            ),
            (
                "strategic",
                r#"{"spec":{"containers":[{"name":"one","stdin":true}]}}"#,
                "/spec/containers",
                json!([{"name": "one", "image": "nginx", "stdin": true, "resources": {}}]),
            ),
        ] {
            let object = apply(pod.clone(), overrides, kind).unwrap();
            assert_eq!(object.pointer(path), Some(&expected), "{kind}");
            assert!(object.get("odd").is_none(), "{kind}");
        }
        assert!(apply(pod.clone(), "{", "merge").is_err());
        assert!(apply(pod, "{}", "odd").is_err());
    }
}
