use std::path::{Path, PathBuf};

use serde_json::Value;

use super::build;

/// A folder of files that goes away.
struct Folder(PathBuf);

impl Folder {
    fn new(files: &[(&str, &str)]) -> Folder {
        let root = crate::commands::edit::temporary_folder("ferrule-kustomize-").unwrap();
        for (name, text) in files {
            let path = root.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        Folder(root)
    }

    fn build(&self, folder: &str) -> Result<Vec<Value>, String> {
        let path = self.0.join(folder);
        let built = build(&path.display().to_string());
        let root = std::fs::canonicalize(&self.0).unwrap();
        built.map_err(|error| error.message().replace(&root.display().to_string(), "ROOT"))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(Path::new(&self.0));
    }
}

const BASE: &str = "resources: [all.yaml]\nconfigMapGenerator:\n- {name: cfg, literals: [a=b]}\nlabels:\n- {pairs: {app: x}, includeSelectors: true}\n";
const ALL: &str = r#"
kind: Deployment
apiVersion: apps/v1
metadata: {name: web}
spec:
  selector: {matchLabels: {tier: a}}
  template:
    metadata: {labels: {tier: a}}
    spec:
      serviceAccountName: sa
      containers:
      - name: c
        image: nginx:1.2
        envFrom: [{configMapRef: {name: cfg}}]
        env: [{name: A, value: "1"}]
---
{apiVersion: v1, kind: ServiceAccount, metadata: {name: sa}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: rb}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: r}
subjects: [{kind: ServiceAccount, name: sa}, {kind: ServiceAccount, name: default, namespace: x}]
---
{apiVersion: v1, kind: Namespace, metadata: {name: x}}
"#;
const OVER: &str = r#"
resources: [../base]
namespace: prod
namePrefix: p-
nameSuffix: -s
commonAnnotations: {note: "1"}
images: [{name: nginx, newTag: "9"}]
replicas: [{name: web, count: 4}]
configMapGenerator:
- {name: cfg, behavior: merge, literals: [c=d]}
patches:
- patch: |
    apiVersion: apps/v1
    kind: Deployment
    metadata: {name: web}
    spec: {template: {spec: {containers: [{name: c, env: [{name: B, value: "2"}]}, {name: side, image: nginx}]}}}
- target: {kind: Service.*, name: s.}
  patch: "[{op: add, path: /automountServiceAccountToken, value: false}]"
"#;

#[test]
fn an_overlay_renames_patches_and_follows_references() {
    let folder = Folder::new(&[
        ("base/kustomization.yaml", BASE),
        ("base/all.yaml", ALL),
        ("over/kustomization.yml", OVER),
    ]);
    let objects = folder.build("over").unwrap();
    let kinds: Vec<&str> = objects
        .iter()
        .filter_map(|own| own["kind"].as_str())
        .collect();
    assert_eq!(
        kinds,
        [
            "Namespace",
            "ServiceAccount",
            "RoleBinding",
            "ConfigMap",
            "Deployment"
        ]
    );
    let [namespace, account, binding, config, deployment] = objects.as_slice() else {
        panic!("five objects");
    };
    assert_eq!(namespace["metadata"]["name"], "prod");
    assert_eq!(account["automountServiceAccountToken"], false);
    assert_eq!(binding["subjects"][0]["name"], "p-sa-s");
    assert_eq!(binding["subjects"][0]["namespace"], "prod");
    assert_eq!(binding["subjects"][1]["namespace"], "prod");
    let name = config["metadata"]["name"].as_str().unwrap();
    assert!(
        name.starts_with("p-cfg-s-") && name.len() == "p-cfg-s-".len() + 10,
        "{name}"
    );
    assert_eq!(config["data"], serde_json::json!({"a": "b", "c": "d"}));
    assert_eq!(deployment["metadata"]["annotations"]["note"], "1");
    let spec = &deployment["spec"];
    assert_eq!(spec["replicas"], 4);
    assert_eq!(
        spec["selector"]["matchLabels"],
        serde_json::json!({"app": "x", "tier": "a"})
    );
    let pod = &spec["template"]["spec"];
    assert_eq!(pod["serviceAccountName"], "p-sa-s");
    let container = &pod["containers"][0];
    assert_eq!(pod["containers"][1]["name"], "side");
    assert_eq!(container["image"], "nginx:9");
    assert_eq!(container["envFrom"][0]["configMapRef"]["name"], name);
    assert_eq!(container["env"][0]["name"], "B");
}

#[test]
fn what_cannot_be_built_is_named() {
    let service = "{apiVersion: v1, kind: Service, metadata: {name: web}}";
    for (text, expected) in [
        (
            "foo: 1",
            "invalid Kustomization: json: unknown field \"foo\"",
        ),
        ("", "kustomization.yaml is empty"),
        (
            "helmCharts: [{name: x}]",
            "the field \"helmCharts\" of a kustomization is not supported",
        ),
        (
            "resources: [none.yaml]",
            "accumulating resources: accumulation err='accumulating resources from 'none.yaml': evalsymlink failure on \
             'ROOT/t/none.yaml' : lstat ROOT/t/none.yaml: no such file or directory': must build at directory: not a valid \
             directory: evalsymlink failure on 'ROOT/t/none.yaml' : lstat ROOT/t/none.yaml: no such file or directory",
        ),
        (
            "resources: [../other.yaml]",
            "accumulating resources: accumulation err='accumulating resources from '../other.yaml': security; file \
             'ROOT/other.yaml' is not in or below 'ROOT/t'': must build at directory: 'ROOT/other.yaml': file is not directory",
        ),
        (
            "resources: [s.yaml, s.yaml]",
            "accumulating resources: accumulation err='merging resources from 's.yaml': may not add resource with an already \
             registered id: Service.v1.[noGrp]/web.[noNs]': must build at directory: 'ROOT/t/s.yaml': file is not directory",
        ),
        (
            "resources: [../t]",
            "accumulating resources: accumulation err='accumulating resources from '../t': 'ROOT/t' must resolve to a file': cycle \
             detected: candidate root 'ROOT/t' contains visited root 'ROOT/t'",
        ),
        (
            "resources: [s.yaml]\npatches: [{patch: \"{apiVersion: v1, kind: Service, metadata: {name: nope}}\"}]",
            "no resource matches strategic merge patch \"Service.v1.[noGrp]/nope.[noNs]\": no matches for Id \
             Service.v1.[noGrp]/nope.[noNs]; failed to find unique target for patch Service.v1.[noGrp]/nope.[noNs]",
        ),
        (
            "resources: [s.yaml]\npatches: [{patch: \"- {op: remove, path: /spec/x}\"}]",
            "must specify a target for JSON patch [patch: \"- {op: remove, path: /spec/x}\"]",
        ),
        (
            "resources: [s.yaml]\nreplicas: [{name: nope, count: 3}]",
            "resource with name nope does not match a config with the following GVK [Deployment.[noVer].[noGrp] \
             StatefulSet.[noVer].[noGrp] ReplicaSet.[noVer].[noGrp] ReplicationController.[noVer].[noGrp]]",
        ),
        (
            "resources: [https://a/b]",
            "accumulating resources: 'https://a/b' is not on this machine; only files and folders are read",
        ),
    ] {
        let folder = Folder::new(&[
            ("t/kustomization.yaml", text),
            ("t/s.yaml", service),
            ("other.yaml", service),
        ]);
        assert_eq!(folder.build("t").unwrap_err(), expected, "{text}");
    }
}

#[test]
fn a_patch_can_delete_an_object_or_an_item() {
    let pod = "{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {containers: [{name: a}, {name: b}]}}";
    let file = "resources: [p.yaml, s.yaml]\npatches:\n- patch: \"{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {containers: [{name: a, $patch: delete}]}}\"\n- patch: \"{apiVersion: v1, kind: Service, metadata: {name: web}, $patch: delete}\"\n";
    let service = "{apiVersion: v1, kind: Service, metadata: {name: web}}";
    let folder = Folder::new(&[
        ("kustomization.yaml", file),
        ("p.yaml", pod),
        ("s.yaml", service),
    ]);
    let objects = folder.build(".").unwrap();
    assert_eq!(objects.len(), 1);
    assert_eq!(
        objects[0]["spec"]["containers"],
        serde_json::json!([{"name": "b"}])
    );
}
