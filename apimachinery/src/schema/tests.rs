//! Decoding says and keeps what upstream says and keeps.

use serde_json::json;

use super::*;

fn decode(name: &str, text: &str) -> Result<Decoded, DecodeError> {
    let schema = Schema::builtin();
    schema.decode_json(text.as_bytes(), schema.type_id(name).unwrap())
}

#[test]
fn every_type_of_the_scheme_is_in_the_table() {
    let schema = Schema::builtin();
    for resource in crate::Scheme::builtin().iter() {
        let id = schema.type_id(&resource.schema_type);
        assert!(id.is_some(), "{}", resource.schema_type);
        assert_eq!(
            id,
            schema.object_type(&resource.api_version(), &resource.kind)
        );
    }
}

#[test]
fn the_table_knows_merge_keys_and_list_types() {
    let schema = Schema::builtin();
    let spec = schema.type_id("core/v1.PodSpec").unwrap();
    let containers = schema.field(spec, "containers").unwrap();
    assert!(containers.patch.merge);
    assert_eq!(containers.merge_key, "name");
    assert_eq!(containers.list_type, Some(ListType::Map));
    let volumes = schema.field(spec, "volumes").unwrap();
    assert!(volumes.patch.retain_keys);
    let volume = schema.type_id("core/v1.Volume").unwrap();
    assert!(schema.field(volume, "hostPath").is_some());
    assert_eq!(
        schema.declared_values("core/v1.Protocol").unwrap().values,
        ["TCP", "UDP", "SCTP"]
    );
}

#[test]
fn wrong_types_are_refused_in_upstream_words() {
    for (name, text, message) in [
        (
            "core/v1.ConfigMap",
            r#"{"data":{"k":1}}"#,
            "json: cannot unmarshal number into Go struct field ConfigMap.data of type string",
        ),
        (
            "apps/v1.Deployment",
            r#"{"spec":{"replicas":"1"}}"#,
            "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            "apps/v1.Deployment",
            r#"{"spec":{"replicas":99999999999}}"#,
            "json: cannot unmarshal number 99999999999 into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            "core/v1.Pod",
            r#"{"spec":{"nodeName":5}}"#,
            "json: cannot unmarshal number into Go struct field PodSpec.spec.nodeName of type string",
        ),
        (
            "core/v1.Pod",
            r#"{"spec":{"containers":{"a":[1]}}}"#,
            "json: cannot unmarshal object into Go struct field PodSpec.spec.containers of type []v1.Container",
        ),
        (
            "core/v1.Pod",
            r#"{"spec":{"hostNetwork":"yes"}}"#,
            "json: cannot unmarshal string into Go struct field PodSpec.spec.hostNetwork of type bool",
        ),
        (
            "core/v1.Service",
            r#"{"spec":{"ports":[{"targetPort":true}]}}"#,
            "json: cannot unmarshal bool into Go struct field ServicePort.spec.ports.targetPort of type int32",
        ),
        (
            "core/v1.ConfigMap",
            r#"{"metadata":{"creationTimestamp":"yesterday"}}"#,
            "parsing time \"yesterday\" as \"2006-01-02T15:04:05Z07:00\": cannot parse \"yesterday\" as \"2006\"",
        ),
        (
            "core/v1.Secret",
            r#"{"data":{"k":"a$b"}}"#,
            "illegal base64 data at input byte 1",
        ),
        (
            "core/v1.Pod",
            r#"{"spec":{"containers":[{"resources":{"limits":{"cpu":"lots"}}}]}}"#,
            "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
        ),
    ] {
        assert_eq!(decode(name, text).unwrap_err().to_string(), message);
        let schema = Schema::builtin();
        let tree: Value = serde_json::from_str(text).unwrap();
        let again = schema.decode_value(tree, schema.type_id(name).unwrap());
        assert_eq!(again.unwrap_err().to_string(), message);
    }
}

#[test]
fn malformed_json_is_refused_in_the_words_of_go() {
    for (text, message) in [
        (r#"{"metadata":"#, "unexpected end of JSON input"),
        ("", "unexpected end of JSON input"),
        (
            r#"{"metadata":{"name":"t"},}"#,
            "invalid character '}' looking for beginning of object key string",
        ),
        (
            "metadata: {}",
            "invalid character 'm' looking for beginning of value",
        ),
        ("{} x", "invalid character 'x' after top-level value"),
        ("[1 2]", "invalid character '2' after array element"),
        ("{\"a\" 1}", "invalid character '1' after object key"),
        ("tru", "unexpected end of JSON input"),
        (
            "nul!",
            "invalid character '!' in literal null (expecting 'l')",
        ),
    ] {
        assert_eq!(
            decode("core/v1.ConfigMap", text).unwrap_err().to_string(),
            message
        );
    }
}

#[test]
fn unknown_and_repeated_fields_are_reported_in_the_order_met() {
    let decoded = decode(
        "apps/v1.Deployment",
        r#"{"spec":{"template":{"spec":{"containers":[{"name":"c","imag":"x"}]}},"replica":1},"foo":{"a":1}}"#,
    )
    .unwrap();
    assert_eq!(
        decoded.problems,
        [
            "unknown field \"spec.template.spec.containers[0].imag\"",
            "unknown field \"spec.replica\"",
            "unknown field \"foo\"",
        ]
    );
    let decoded = decode(
        "core/v1.ConfigMap",
        r#"{"metadata":{"name":"a","name":"b"},"data":{"k":"1","k":"2"}}"#,
    )
    .unwrap();
    assert_eq!(
        decoded.problems,
        [
            "duplicate field \"metadata.name\"",
            "duplicate field \"data.k\""
        ]
    );
    assert_eq!(decoded.value["metadata"]["name"], "b");
    assert_eq!(decoded.value["data"]["k"], "2");
}

#[test]
fn empty_values_are_left_out_or_written_as_go_does() {
    let decoded = decode(
        "core/v1.Pod",
        r#"{"metadata":{"labels":{},"creationTimestamp":null,"generation":0},
            "spec":{"hostNetwork":false,"nodeName":"","terminationGracePeriodSeconds":0,
                "containers":[{"name":"c","args":[],"env":[{"name":"E","value":""}],
                    "resources":{"limits":{"cpu":"1000m","memory":1024}}}],
                "volumes":[{"name":"v","emptyDir":{}}]}}"#,
    )
    .unwrap();
    assert_eq!(
        decoded.value,
        json!({"metadata": {}, "spec": {"terminationGracePeriodSeconds": 0,
            "containers": [{"name": "c", "env": [{"name": "E"}],
                "resources": {"limits": {"cpu": "1", "memory": "1024"}}}],
            "volumes": [{"name": "v", "emptyDir": {}}]}, "status": {}})
    );
    let slice = decode("discovery.k8s.io/v1.EndpointSlice", r#"{"endpoints":[]}"#).unwrap();
    assert_eq!(
        slice.value,
        json!({"metadata": {}, "addressType": "", "endpoints": [], "ports": null})
    );
    let lease = decode(
        "coordination.k8s.io/v1.Lease",
        r#"{"spec":{"renewTime":"2026-11-21T04:16:40Z"}}"#,
    )
    .unwrap();
    assert_eq!(
        lease.value,
        json!({"metadata": {}, "spec": {"renewTime": "2026-11-21T04:16:40.000000Z"}})
    );
    let event = decode("core/v1.Event", r#"{"message":"m"}"#).unwrap();
    assert_eq!(
        event.value,
        json!({"metadata": {}, "involvedObject": {}, "message": "m", "source": {},
            "firstTimestamp": null, "lastTimestamp": null, "eventTime": null,
            "reportingComponent": "", "reportingInstance": ""})
    );
    let map = decode("core/v1.ConfigMap", r#"{"data":{"a":null}}"#).unwrap();
    assert_eq!(map.value, json!({"metadata": {}, "data": {"a": ""}}));
}

#[test]
fn a_decoded_object_decodes_to_itself() {
    let schema = Schema::builtin();
    let text = r#"{"apiVersion":"v1","kind":"Service","spec":{"ports":[{"port":80,"targetPort":"http"}],
        "selector":{"a":"b"}},"metadata":{"name":"s","managedFields":[{"manager":"m","fieldsV1":{"f:a":{}}}]}}"#;
    let once = decode("core/v1.Service", text).unwrap().value;
    let mut twice = once.clone();
    let id = schema.type_id("core/v1.Service").unwrap();
    assert!(schema.normalize(&mut twice, id).unwrap().is_empty());
    assert_eq!(once, twice);
}

#[test]
fn pruning_removes_and_names_unknown_fields() {
    let schema = Schema::builtin();
    let id = schema.type_id("core/v1.Pod").unwrap();
    let mut pod = json!({"spec": {"x": 1, "containers": [{"name": "c", "y": 2}]}});
    let mut paths = schema.prune(&mut pod, id);
    paths.sort();
    assert_eq!(paths, ["spec.containers[0].y", "spec.x"]);
    assert_eq!(pod, json!({"spec": {"containers": [{"name": "c"}]}}));
}

#[test]
fn messages_quote_fields_in_the_order_of_declaration() {
    let schema = Schema::builtin();
    let id = schema.type_id("apps/v1.Deployment").unwrap();
    let object = json!({"kind": "Deployment", "apiVersion": "apps/v1",
        "spec": {"template": {"spec": {}}, "replicas": 1, "zzz": 1, "aaa": 2},
        "metadata": {"uid": "u", "labels": {"b": "2", "a": "1"}, "name": "n",
            "managedFields": [{"apiVersion": "apps/v1", "manager": "m"}]}});
    assert_eq!(
        schema.to_declared_json(&object, id),
        r#"{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"n","uid":"u","labels":{"a":"1","b":"2"},"managedFields":[{"manager":"m","apiVersion":"apps/v1"}]},"spec":{"replicas":1,"template":{"spec":{}},"aaa":2,"zzz":1}}"#
    );
    assert_eq!(
        schema.to_patched_json(&object, id, &json!({"spec": {"replicas": null}})),
        r#"{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"n","uid":"u","labels":{"a":"1","b":"2"},"managedFields":[{"manager":"m","apiVersion":"apps/v1"}]},"spec":{"aaa":2,"replicas":1,"template":{"spec":{}},"zzz":1}}"#
    );
}

#[test]
fn objects_are_nested_no_deeper_than_everybody_reads() {
    let schema = Schema::builtin();
    let id = schema.type_id("apps/v1.ControllerRevision").unwrap();
    let object = |depth: usize| {
        let data = (0..depth).fold(json!(1), |inner, _| json!([inner]));
        json!({"data": data})
    };
    // The object itself is the first level.
    assert!(schema.decode_value(object(MAX_DEPTH - 1), id).is_ok());
    let refused = Err(DecodeError::Type("exceeded max depth".to_owned()));
    assert_eq!(schema.decode_value(object(MAX_DEPTH), id), refused);
    let text = object(MAX_DEPTH).to_string();
    assert_eq!(schema.decode_json(text.as_bytes(), id), refused);
}

#[test]
fn no_more_than_a_hundred_problems_are_told() {
    let unknown: serde_json::Map<_, _> = (0..200_000)
        .map(|number| (format!("x{number}"), json!(1)))
        .collect();
    let text = Value::from(unknown).to_string();
    let decoded = decode("core/v1.Pod", &text).unwrap();
    assert_eq!(decoded.problems.len(), 100);
}
