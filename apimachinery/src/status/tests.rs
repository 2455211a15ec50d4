//! Messages and details are upstream's.

use serde_json::Value;

use super::*;
use crate::field::{FieldError, Path};

#[test]
fn messages_and_details_are_those_of_upstream() {
    let cases = [
        (
            Status::not_found("", "configmaps", "none"),
            r#"{"apiVersion":"v1","code":404,"details":{"kind":"configmaps","name":"none"},"kind":"Status","message":"configmaps \"none\" not found","metadata":{},"reason":"NotFound","status":"Failure"}"#,
        ),
        (
            Status::modified("apps", "deployments", "p"),
            r#"{"apiVersion":"v1","code":409,"details":{"group":"apps","kind":"deployments","name":"p"},"kind":"Status","message":"Operation cannot be fulfilled on deployments.apps \"p\": the object has been modified; please apply your changes to the latest version and try again","metadata":{},"reason":"Conflict","status":"Failure"}"#,
        ),
        (
            Status::forbidden(
                "",
                "namespaces",
                "default",
                "this namespace may not be deleted",
            ),
            r#"{"apiVersion":"v1","code":403,"details":{"kind":"namespaces","name":"default"},"kind":"Status","message":"namespaces \"default\" is forbidden: this namespace may not be deleted","metadata":{},"reason":"Forbidden","status":"Failure"}"#,
        ),
        (
            Status::invalid(
                "apps",
                "Deployment",
                "p",
                &[FieldError::invalid(
                    &Path::new("spec.replicas"),
                    -1,
                    "must be greater than or equal to 0",
                )],
            ),
            r#"{"apiVersion":"v1","code":422,"details":{"causes":[{"field":"spec.replicas","message":"Invalid value: -1: must be greater than or equal to 0","reason":"FieldValueInvalid"}],"group":"apps","kind":"Deployment","name":"p"},"kind":"Status","message":"Deployment.apps \"p\" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0","metadata":{},"reason":"Invalid","status":"Failure"}"#,
        ),
        (
            Status::too_large_resource_version(99, 7),
            r#"{"apiVersion":"v1","code":504,"details":{"causes":[{"message":"Too large resource version","reason":"ResourceVersionTooLarge"}],"retryAfterSeconds":1},"kind":"Status","message":"Timeout: Too large resource version: 99, current: 7","metadata":{},"reason":"Timeout","status":"Failure"}"#,
        ),
        (
            Status::method_not_allowed(),
            r#"{"apiVersion":"v1","code":405,"details":{},"kind":"Status","message":"the server does not allow this method on the requested resource","metadata":{},"reason":"MethodNotAllowed","status":"Failure"}"#,
        ),
    ];
    for (status, expected) in cases {
        let expected: Value = serde_json::from_str(expected).unwrap();
        assert_eq!(status.to_value(), expected);
        assert_eq!(Status::from_json(&status.to_json()), Some(status));
    }
}

#[test]
fn other_json_is_no_status() {
    assert_eq!(Status::from_json(br#"{"kind":"Pod"}"#), None);
    assert_eq!(Status::from_json(b"not json"), None);
}
