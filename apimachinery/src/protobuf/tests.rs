//! Objects of every kind go through protobuf and come back, and another encoder agrees.

mod generate;

use k8s_pb::api::core::v1 as core;
use k8s_pb::apimachinery::pkg::apis::meta::v1 as meta;
use k8s_pb::apimachinery::pkg::util::intstr::IntOrString;
use proptest::prelude::*;
use proptest::sample::select;
use prost::Message;
use serde_json::json;

use super::*;
use crate::scheme::Scheme;
use generate::Choices;

fn id(name: &str) -> TypeId {
    let id = Schema::builtin().type_id(name);
    id.unwrap_or_else(|| panic!("no type {name}"))
}

/// What a message says, in the form in which objects are kept.
fn kept(id: TypeId, message: &[u8]) -> Value {
    let schema = Schema::builtin();
    let value = schema.read_message(id, message).unwrap();
    schema.decode_value(value, id).unwrap().value
}

fn written(id: TypeId, value: &Value) -> Vec<u8> {
    let json = value.to_string();
    let message = Schema::builtin().write_message(id, json.as_bytes());
    message.unwrap_or_else(|error| panic!("{error}: {json}"))
}

/// An object of the type, as it would be kept.
fn generated(id: TypeId, choices: Vec<u16>) -> Value {
    generated_without(&[], id, choices)
}

fn generated_without(
    without: &'static [(&'static str, &'static str)],
    id: TypeId,
    choices: Vec<u16>,
) -> Value {
    let schema = Schema::builtin();
    let value = generate::object(schema, id, &mut Choices::new(choices, without));
    let text = value.to_string();
    let decoded = schema.decode_value(value, id);
    let mut value = decoded
        .unwrap_or_else(|error| panic!("{error}: {text}"))
        .value;
    schema.forget_empty(&mut value, id);
    value
}

fn kinds() -> Vec<String> {
    let scheme = Scheme::builtin();
    let mut all: Vec<String> = scheme
        .iter()
        .map(|resource| resource.schema_type.to_string())
        .collect();
    all.extend(pairs().iter().map(|(name, _)| (*name).to_owned()));
    all.extend(["meta/v1.Status", "meta/v1.PartialObjectMetadata"].map(str::to_owned));
    all.sort();
    all.dedup();
    all
}

fn choices() -> impl Strategy<Value = Vec<u16>> {
    prop::collection::vec(any::<u16>(), 0..1500)
}

/// Without an empty list of owners, which JSON tells from none and protobuf does not.
fn unreset(mut object: Value) -> Value {
    if object["metadata"]["managedFields"] == Value::Array(Vec::new())
        && let Some(metadata) = object["metadata"].as_object_mut()
    {
        metadata.remove("managedFields");
    }
    object
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn an_object_of_any_kind_comes_back_as_it_went(name in select(kinds()), choices in choices()) {
        let id = id(&name);
        let object = unreset(generated(id, choices));
        prop_assert_eq!(kept(id, &written(id, &object)), object);
    }

    #[test]
    fn another_encoder_says_the_same((name, through) in select(pairs()), choices in choices()) {
        let id = id(name);
        let object = unreset(generated_without(NEWER, id, choices));
        prop_assert_eq!(kept(id, &through(&written(id, &object))), object);
    }

    #[test]
    fn whatever_arrives_is_read_or_refused(name in select(kinds()), bytes in any::<Vec<u8>>()) {
        let _ = Unknown::read(&bytes);
        let _ = Unknown::read(&[MAGIC, &bytes].concat());
        let _ = Schema::builtin().read_message(id(&name), &bytes);
    }

    #[test]
    fn a_damaged_message_is_read_or_refused(
        name in select(kinds()),
        choices in choices(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let id = id(&name);
        let mut message = written(id, &generated(id, choices));
        for (place, byte) in damage {
            if !message.is_empty() {
                let place = place.index(message.len());
                message[place] = byte;
            }
        }
        let schema = Schema::builtin();
        if let Ok(value) = schema.read_message(id, &message) {
            let _ = schema.decode_value(value, id);
        }
    }
}

/// A message through the other encoder and back.
type Through = fn(&[u8]) -> Vec<u8>;

fn through<M: Message + Default>(bytes: &[u8]) -> Vec<u8> {
    M::decode(bytes).unwrap().encode_to_vec()
}

/// The kinds that the other encoder has.
fn pairs() -> Vec<(&'static str, Through)> {
    use k8s_pb::api::admissionregistration;
    use k8s_pb::api::apps;
    use k8s_pb::api::authentication;
    use k8s_pb::api::authorization;
    use k8s_pb::api::autoscaling;
    use k8s_pb::api::batch;
    use k8s_pb::api::certificates;
    use k8s_pb::api::coordination;
    use k8s_pb::api::core;
    use k8s_pb::api::discovery;
    use k8s_pb::api::events;
    use k8s_pb::api::flowcontrol;
    use k8s_pb::api::networking;
    use k8s_pb::api::node;
    use k8s_pb::api::policy;
    use k8s_pb::api::rbac;
    use k8s_pb::api::resource;
    use k8s_pb::api::scheduling;
    use k8s_pb::api::storage;
    use k8s_pb::apiextensions_apiserver::pkg::apis::apiextensions;
    use k8s_pb::apimachinery::pkg::apis::meta;
    use k8s_pb::kube_aggregator::pkg::apis::apiregistration;

    let mut all: Vec<(&'static str, Through)> = Vec::new();
    macro_rules! with {
        ($of:literal $group:ident $version:ident: $($kind:ident)+) => {
            $(all.push((
                concat!($of, ".", stringify!($kind)),
                through::<$group::$version::$kind>,
            ));)+
        };
    }
    with!("admissionregistration.k8s.io/v1" admissionregistration v1: MutatingWebhookConfiguration ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding ValidatingWebhookConfiguration);
    with!("apiextensions.k8s.io/v1" apiextensions v1: CustomResourceDefinition);
    with!("apiregistration.k8s.io/v1" apiregistration v1: APIService);
    with!("apps/v1" apps v1: ControllerRevision DaemonSet Deployment ReplicaSet StatefulSet);
    with!("authentication.k8s.io/v1" authentication v1: SelfSubjectReview TokenRequest TokenReview);
    with!("authorization.k8s.io/v1" authorization v1: LocalSubjectAccessReview SelfSubjectAccessReview SelfSubjectRulesReview SubjectAccessReview);
    with!("autoscaling/v1" autoscaling v1: HorizontalPodAutoscaler Scale);
    with!("autoscaling/v2" autoscaling v2: HorizontalPodAutoscaler);
    with!("batch/v1" batch v1: CronJob Job JobTemplateSpec);
    with!("certificates.k8s.io/v1" certificates v1: CertificateSigningRequest);
    with!("coordination.k8s.io/v1" coordination v1: Lease);
    with!("core/v1" core v1: Binding ComponentStatus ConfigMap Endpoints Event LimitRange Namespace Node PersistentVolume PersistentVolumeClaim PersistentVolumeClaimTemplate Pod PodStatusResult PodTemplate PodTemplateSpec RangeAllocation ReplicationController ResourceQuota Secret Service ServiceAccount);
    with!("discovery.k8s.io/v1" discovery v1: EndpointSlice);
    with!("events.k8s.io/v1" events v1: Event);
    with!("flowcontrol.apiserver.k8s.io/v1" flowcontrol v1: FlowSchema PriorityLevelConfiguration);
    with!("meta/v1" meta v1: PartialObjectMetadata);
    with!("networking.k8s.io/v1" networking v1: IPAddress Ingress IngressClass NetworkPolicy ServiceCIDR);
    with!("node.k8s.io/v1" node v1: RuntimeClass);
    with!("policy/v1" policy v1: Eviction PodDisruptionBudget);
    with!("rbac.authorization.k8s.io/v1" rbac v1: ClusterRole ClusterRoleBinding Role RoleBinding);
    with!("resource.k8s.io/v1" resource v1: DeviceClass ResourceClaim ResourceClaimTemplate ResourceClaimTemplateSpec ResourceSlice);
    with!("scheduling.k8s.io/v1" scheduling v1: PriorityClass);
    with!("storage.k8s.io/v1" storage v1: CSIDriver CSINode CSIStorageCapacity StorageClass VolumeAttachment VolumeAttributesClass);
    all
}

/// Fields that are newer than the other encoder.
const NEWER: &[(&str, &str)] = &[
    ("ResourceHealth", "message"),
    ("VolumeMountStatus", "volumeStatus"),
    ("PodSpec", "schedulingGroup"),
    ("PodStatus", "nodeAllocatableResourceClaimStatuses"),
    ("CSIDriverSpec", "preventPodSchedulingIfMissing"),
    ("Device", "nodeAllocatableResourceMappings"),
    ("DeviceAttribute", "ints"),
    ("DeviceAttribute", "bools"),
    ("DeviceAttribute", "strings"),
    ("DeviceAttribute", "versions"),
];

#[test]
fn a_pod_of_another_encoder_is_the_same_object() {
    let text = |text: &str| Some(text.to_owned());
    let quantity =
        |of: &str| k8s_pb::apimachinery::pkg::api::resource::Quantity { string: text(of) };
    let pod = core::Pod {
        metadata: Some(meta::ObjectMeta {
            name: text("web"),
            generation: Some(3),
            creation_timestamp: Some(meta::Time {
                seconds: Some(1_795_234_600),
                nanos: Some(0),
            }),
            labels: [("app".to_owned(), "web".to_owned())].into(),
            ..Default::default()
        }),
        spec: Some(core::PodSpec {
            containers: vec![core::Container {
                name: text("c"),
                resources: Some(core::ResourceRequirements {
                    limits: [("cpu".to_owned(), quantity("500m"))].into(),
                    ..Default::default()
                }),
                liveness_probe: Some(core::Probe {
                    handler: Some(core::ProbeHandler {
                        http_get: Some(core::HttpGetAction {
                            port: Some(IntOrString {
                                r#type: Some(1),
                                int_val: Some(0),
                                str_val: text("http"),
                            }),
                            ..Default::default()
                        }),
                        ..Default::default()
                    }),
                    period_seconds: Some(-1),
                    ..Default::default()
                }),
                ..Default::default()
            }],
            volumes: vec![core::Volume {
                name: text("v"),
                volume_source: Some(core::VolumeSource {
                    empty_dir: Some(core::EmptyDirVolumeSource::default()),
                    ..Default::default()
                }),
            }],
            ..Default::default()
        }),
        status: None,
    };
    let expected = json!({
        "metadata": {
            "name": "web", "generation": 3, "labels": {"app": "web"},
            "creationTimestamp": "2026-11-21T04:16:40Z",
        },
        "spec": {
            "containers": [{
                "name": "c",
                "resources": {"limits": {"cpu": "500m"}},
                "livenessProbe": {"httpGet": {"port": "http"}, "periodSeconds": -1},
            }],
            "volumes": [{"name": "v", "emptyDir": {}}],
        },
        "status": {},
    });
    assert_eq!(kept(id("core/v1.Pod"), &pod.encode_to_vec()), expected);
}

#[test]
fn bytes_are_those_that_upstream_writes() {
    let config_map = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "n"}, "data": {"k": "v"},
    });
    let written = Schema::builtin()
        .write_object(config_map.to_string().as_bytes())
        .unwrap();
    let metadata = b"\x0a\x01n\x12\0\x1a\0\x22\0\x2a\0\x32\0\x38\0\x42\0";
    let raw = [b"\x0a\x11", &metadata[..], b"\x12\x06\x0a\x01k\x12\x01v"].concat();
    let expected = [
        b"k8s\0\x0a\x0f\x0a\x02v1\x12\x09ConfigMap\x12\x1b",
        &raw[..],
        b"\x1a\0\x22\0",
    ]
    .concat();
    assert_eq!(written, expected);
    let unknown = Unknown::read(&written).unwrap();
    assert_eq!(
        (unknown.api_version, unknown.kind, unknown.raw),
        ("v1", "ConfigMap", &raw[..])
    );
}

#[test]
fn schemas_have_their_own_forms() {
    let id = id("apiextensions.k8s.io/v1.JSONSchemaProps");
    for schema in [
        json!({"additionalProperties": true}),
        json!({"additionalProperties": false}),
        json!({"additionalProperties": {"type": "string"}}),
        json!({"items": {"type": "string"}}),
        json!({"items": [{"type": "string"}, {"minimum": 0.5}]}),
        json!({"enum": [null, 1, "a", {"b": []}], "default": {"x": [1.5, true]}}),
        json!({"dependencies": {"a": ["b", "c"], "d": {"required": ["e"]}}}),
        json!({"x-kubernetes-validations": [{"rule": "self > 1"}]}),
    ] {
        assert_eq!(kept(id, &written(id, &schema)), schema);
    }
}

#[test]
fn the_first_second_of_1970_is_a_time() {
    let event = id("core/v1.Event");
    let mut value = kept(event, &[]);
    assert_eq!(value["lastTimestamp"], Value::Null);
    for (field, time) in [
        ("lastTimestamp", "1970-01-01T00:00:00Z"),
        ("eventTime", "1970-01-01T00:00:00.000000Z"),
    ] {
        value[field] = time.into();
        assert_eq!(kept(event, &written(event, &value))[field], time);
    }
}

#[test]
fn lists_in_maps_are_messages_of_their_own() {
    let id = id("authentication.k8s.io/v1.UserInfo");
    let user = json!({"username": "u", "extra": {"scopes": ["a", "b"], "none": []}});
    let message = written(id, &user);
    assert_eq!(kept(id, &message), user);
    let other = k8s_pb::api::authentication::v1::UserInfo::decode(&message[..]).unwrap();
    assert_eq!(other.extra["scopes"].items, ["a", "b"]);
}

#[test]
fn envelopes_that_are_none_are_refused() {
    for (bytes, why) in [
        (&b""[..], "empty data"),
        (b"k8s\0", "empty body"),
        (
            b"{}",
            "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]",
        ),
        (b"k8s\0\x0a\xff", "unexpected EOF"),
    ] {
        assert_eq!(Unknown::read(bytes), Err(why.to_owned()));
    }
}

#[test]
fn a_watch_event_is_a_frame() {
    let frame = watch_frame("ADDED", b"object");
    assert_eq!(frame, b"\0\0\0\x11\x0a\x05ADDED\x12\x08\x0a\x06object");
}

#[test]
fn nesting_has_an_end() {
    let id = id("apiextensions.k8s.io/v1.JSONSchemaProps");
    let mut message = Vec::new();
    for _ in 0..100 {
        let inner = std::mem::take(&mut message);
        put_bytes(&mut message, 28, &inner);
    }
    assert!(Schema::builtin().read_message(id, &message).is_err());
}
