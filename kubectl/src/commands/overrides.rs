//! What `--overrides` changes of an object that a command made.

use ferrule_client::client::Patch;
use serde_json::Value;

use super::apply;
use crate::error::{Error, Result};

/// The object with the overrides, which are a patch of the type that `--override-type` names.
pub fn apply(object: Value, overrides: &str, kind: &str) -> Result<Value> {
    let tree: Value = serde_json::from_str(overrides)
        .map_err(|error| Error::local(format!("invalid JSON: {error}")))?;
    let patch = match kind {
        "json" => Patch::Json(tree),
        "merge" => Patch::Merge(tree),
        "strategic" => Patch::Strategic(tree),
        other => return Err(Error::local(format!("invalid override type: {other}"))),
    };
    apply::patched(&patch, &object)
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
                r#"{"metadata":{"labels":{"a":null}}}"#,
                "/metadata/labels",
                json!({}),
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
                json!([{"name": "one", "image": "nginx", "stdin": true}]),
            ),
        ] {
            let object = apply(pod.clone(), overrides, kind).unwrap();
            assert_eq!(object.pointer(path), Some(&expected), "{kind}");
        }
        assert!(apply(pod.clone(), "{", "merge").is_err());
        assert!(apply(pod, "{}", "odd").is_err());
    }
}
