//! The documents hold together: they parse, every reference leads somewhere, and they say what
//! clients look for.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::sync::LazyLock;

use ferrule_apimachinery::scheme::Scheme;
use flate2::read::GzDecoder;
use serde_json::{Value, json};

use super::{Document, render};

static V3: LazyLock<BTreeMap<String, Document>> =
    LazyLock::new(|| render::v3(&Scheme::builtin()).unwrap());

static V2: LazyLock<Value> = LazyLock::new(|| parse(&render::v2(&Scheme::builtin()).unwrap()));

fn read(document: &Document) -> Vec<u8> {
    let mut bytes = Vec::new();
    GzDecoder::new(&*document.gzip)
        .read_to_end(&mut bytes)
        .unwrap();
    bytes
}

fn parse(document: &Document) -> Value {
    serde_json::from_slice(&read(document)).unwrap()
}

fn references<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                match value {
                    Value::String(text) if key == "$ref" => {
                        found.insert(text);
                    }
                    value => references(value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

fn assert_references_resolve(place: &str, document: &Value) {
    let mut found = BTreeSet::new();
    references(document, &mut found);
    assert!(!found.is_empty(), "{place} refers to nothing");
    for reference in found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{place}: {reference}");
    }
}

#[test]
fn every_reference_of_every_document_leads_somewhere() {
    let scheme = Scheme::builtin();
    for (place, document) in &*V3 {
        assert_references_resolve(place, &parse(document));
        assert_eq!(document.etag.len(), 128);
    }
    for (group, versions) in scheme.groups() {
        for version in versions {
            let place = super::operations::root(group, version);
            assert!(V3.contains_key(&place[1..]), "{place}");
        }
    }
    assert_references_resolve("v2", &V2);
}

#[test]
fn every_kind_has_a_definition_with_a_description() {
    let scheme = Scheme::builtin();
    let definitions = V2["definitions"].as_object().unwrap();
    for resource in scheme.iter() {
        let kind =
            json!({"group": resource.group, "version": resource.version, "kind": resource.kind});
        let found: Vec<_> = definitions
            .values()
            .filter(|own| {
                let kinds = own["x-kubernetes-group-version-kind"].as_array();
                kinds.is_some_and(|kinds| kinds.contains(&kind))
            })
            .collect();
        assert_eq!(found.len(), 1, "{kind}");
        assert!(found[0]["description"].is_string(), "{kind}");
    }
}

#[test]
fn fields_are_described_as_upstream_describes_them() {
    let apps = parse(&V3["apis/apps/v1"]);
    let schemas = &apps["components"]["schemas"];
    let field = |ty: &str, name: &str| {
        let mut field = schemas[ty]["properties"][name].clone();
        if let Value::Object(field) = &mut field {
            field.remove("description");
        }
        field
    };
    let spec = "io.k8s.api.apps.v1.DeploymentSpec";
    let meta = "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1";
    assert_eq!(schemas[spec]["required"], json!(["selector", "template"]));
    assert_eq!(
        field(spec, "replicas"),
        json!({"type": "integer", "format": "int32"})
    );
    assert_eq!(
        field(spec, "selector"),
        json!({"allOf": [{"$ref": format!("{meta}.LabelSelector")}]})
    );
    assert_eq!(
        field("io.k8s.api.apps.v1.Deployment", "metadata"),
        json!({"allOf": [{"$ref": format!("{meta}.ObjectMeta")}], "default": {}})
    );
    let containers = field("io.k8s.api.core.v1.PodSpec", "containers");
    assert_eq!(containers["x-kubernetes-list-type"], "map");
    assert_eq!(containers["x-kubernetes-list-map-keys"], json!(["name"]));
    assert_eq!(containers["x-kubernetes-patch-merge-key"], "name");
    assert_eq!(containers["x-kubernetes-patch-strategy"], "merge");
    assert_eq!(containers["items"]["default"], json!({}));
    let container = "io.k8s.api.core.v1.Container";
    assert_eq!(
        field(container, "imagePullPolicy"),
        json!({"type": "string", "enum": ["Always", "IfNotPresent", "Never"]})
    );
    assert_eq!(
        field(container, "name"),
        json!({"type": "string", "default": ""})
    );
    assert_eq!(
        schemas["io.k8s.apimachinery.pkg.util.intstr.IntOrString"]["oneOf"],
        json!([{"type": "integer"}, {"type": "string"}])
    );
    assert_eq!(
        schemas["io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelector"]["x-kubernetes-map-type"],
        "atomic"
    );
}

#[test]
fn operations_name_the_options_that_the_server_knows() {
    let apps = parse(&V3["apis/apps/v1"]);
    let one = "/apis/apps/v1/namespaces/{namespace}/deployments/{name}";
    let patch = &apps["paths"][one]["patch"];
    assert_eq!(patch["operationId"], "patchAppsV1NamespacedDeployment");
    assert_eq!(
        patch["x-kubernetes-group-version-kind"],
        json!({"group": "apps", "version": "v1", "kind": "Deployment"})
    );
    let names: Vec<&str> = patch["parameters"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|own| own["name"].as_str())
        .collect();
    assert_eq!(
        names,
        ["dryRun", "force", "fieldManager", "fieldValidation"]
    );
    let scale = &apps["paths"][format!("{one}/scale")]["get"];
    assert_eq!(
        scale["x-kubernetes-group-version-kind"]["group"],
        "autoscaling"
    );
    let core = parse(&V3["api/v1"]);
    let pods = &core["paths"]["/api/v1/namespaces/{namespace}/pods"];
    assert_eq!(pods["get"]["x-kubernetes-action"], "list");
    assert_eq!(pods["post"]["operationId"], "createCoreV1NamespacedPod");
    let all = &core["paths"]["/api/v1/pods"]["get"]["operationId"];
    assert_eq!(all, "listCoreV1PodForAllNamespaces");
    let exec = &core["paths"]["/api/v1/namespaces/{namespace}/pods/{name}/exec"]["post"];
    assert_eq!(exec["operationId"], "connectCoreV1PostNamespacedPodExec");
}

/// A message of protobuf as (number, bytes) pairs; varints as their bytes.
fn fields(mut bytes: &[u8]) -> Vec<(u32, Vec<u8>)> {
    use prost::encoding::{WireType, decode_key, decode_varint};
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let (tag, wire) = decode_key(&mut bytes).unwrap();
        match wire {
            WireType::LengthDelimited => {
                let length = usize::try_from(decode_varint(&mut bytes).unwrap()).unwrap();
                let (value, rest) = bytes.split_at(length);
                found.push((tag, value.to_vec()));
                bytes = rest;
            }
            WireType::Varint => {
                let value = decode_varint(&mut bytes).unwrap();
                found.push((tag, value.to_le_bytes().to_vec()));
            }
            other => panic!("{other:?} in a document"),
        }
    }
    found
}

fn child(message: &[u8], tag: u32) -> Vec<u8> {
    let found = fields(message).into_iter().find(|(own, _)| *own == tag);
    found.unwrap_or_else(|| panic!("no field {tag}")).1
}

#[test]
fn the_protobuf_form_has_the_same_paths_and_definitions() {
    let scheme = Scheme::builtin();
    let json = &*V2;
    let bytes = read(&render::v2_protobuf(&scheme).unwrap());
    let all = fields(&bytes);
    assert_eq!(all[0], (1, b"2.0".to_vec()));
    let names = |field: u32, inner: u32| -> BTreeSet<String> {
        let own = all.iter().filter(|(tag, _)| *tag == field);
        own.map(|(_, value)| String::from_utf8(child(&child(value, inner), 1)).unwrap())
            .collect()
    };
    let keys =
        |map: &Value| -> BTreeSet<String> { map.as_object().unwrap().keys().cloned().collect() };
    assert_eq!(names(8, 2), keys(&json["paths"]));
    assert_eq!(names(9, 1), keys(&json["definitions"]));
    let deployment = all
        .iter()
        .filter(|(tag, _)| *tag == 9)
        .map(|(_, value)| child(value, 1))
        .find(|named| child(named, 1) == b"io.k8s.api.apps.v1.Deployment")
        .unwrap();
    let schema = child(&deployment, 2);
    assert_eq!(child(&child(&schema, 22), 1), b"object");
    let extension = child(&schema, 31);
    assert_eq!(child(&extension, 1), b"x-kubernetes-group-version-kind");
    let kinds = child(&child(&extension, 2), 2);
    let kinds: Value = serde_json::from_slice(&kinds).unwrap();
    assert_eq!(kinds[0]["kind"], "Deployment");
}

#[test]
fn the_protobuf_form_of_version_3_says_the_same() {
    let documents = render::v3_protobuf(&Scheme::builtin()).unwrap();
    assert_eq!(
        documents.keys().collect::<Vec<_>>(),
        V3.keys().collect::<Vec<_>>()
    );
    let bytes = read(&documents["apis/apps/v1"]);
    let json = parse(&V3["apis/apps/v1"]);
    let all = fields(&bytes);
    assert_eq!(all[0], (1, b"3.0.0".to_vec()));
    let named = |pair: &[u8]| String::from_utf8(child(pair, 1)).unwrap();
    let paths: Vec<_> = all.iter().filter(|(tag, _)| *tag == 4).collect();
    let schemas: Vec<_> = all.iter().filter(|(tag, _)| *tag == 5).collect();
    let keys =
        |map: &Value| -> BTreeSet<String> { map.as_object().unwrap().keys().cloned().collect() };
    let path = |(_, value): &&(u32, Vec<u8>)| child(value, 1);
    let schema = |(_, value): &&(u32, Vec<u8>)| child(&child(value, 1), 1);
    let found: BTreeSet<String> = paths.iter().map(|own| named(&path(own))).collect();
    assert_eq!(found, keys(&json["paths"]));
    let found: BTreeSet<String> = schemas.iter().map(|own| named(&schema(own))).collect();
    assert_eq!(found, keys(&json["components"]["schemas"]));

    // Clients look for the kind of an operation, and for its parameters.
    let one = "/apis/apps/v1/namespaces/{namespace}/deployments/{name}";
    let item = paths
        .iter()
        .map(path)
        .find(|own| named(own) == one)
        .unwrap();
    let patch = child(&child(&item, 2), 10);
    let extensions = fields(&patch).into_iter().filter(|(tag, _)| *tag == 13);
    let kind = extensions
        .map(|(_, extension)| extension)
        .find(|own| named(own) == "x-kubernetes-group-version-kind")
        .unwrap();
    let kind: Value = serde_json::from_slice(&child(&child(&kind, 2), 2)).unwrap();
    assert_eq!(kind["kind"], "Deployment");
    let parameters = fields(&patch).into_iter().filter(|(tag, _)| *tag == 6);
    let names: Vec<String> = parameters.map(|(_, own)| named(&child(&own, 1))).collect();
    assert_eq!(
        names,
        ["dryRun", "force", "fieldManager", "fieldValidation"]
    );

    // DeploymentSpec.template is a reference with a default that protobuf has no place for.
    let spec = schemas.iter().map(schema);
    let spec = spec
        .into_iter()
        .find(|own| named(own) == "io.k8s.api.apps.v1.DeploymentSpec")
        .unwrap();
    let properties = child(&child(&child(&spec, 2), 1), 31);
    let properties: BTreeMap<String, Vec<u8>> = fields(&properties)
        .into_iter()
        .map(|(_, pair)| (named(&pair), child(&child(&pair, 2), 1)))
        .collect();
    assert_eq!(child(&properties["replicas"], 25), b"integer");
    let reference = child(&child(&properties["template"], 26), 2);
    assert!(
        String::from_utf8(child(&reference, 1))
            .unwrap()
            .ends_with("PodTemplateSpec")
    );
}
