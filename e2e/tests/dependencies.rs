//! Arrows between the rooms point one way.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// The direct dependencies of each package of the workspace, those for tests aside.
fn dependencies() -> BTreeMap<String, Vec<String>> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml");
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version=1",
            "--no-deps",
            "--offline",
            "--manifest-path",
        ])
        .arg(manifest)
        .output()
        .expect("cargo starts");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo prints JSON");
    let name = |value: &Value| value["name"].as_str().expect("it has a name").to_owned();
    metadata["packages"]
        .as_array()
        .expect("a list of packages")
        .iter()
        .map(|package| {
            let needed = package["dependencies"]
                .as_array()
                .expect("a list of dependencies")
                .iter()
                .filter(|dependency| dependency["kind"] != "dev")
                .map(name)
                .collect();
            (name(package), needed)
        })
        .collect()
}

#[test]
fn only_the_api_server_depends_on_etcd_client() {
    let users: Vec<String> = dependencies()
        .into_iter()
        .filter(|(_, needed)| needed.iter().any(|name| name == "etcd-client"))
        .map(|(package, _)| package)
        .collect();
    assert_eq!(users, ["ferrule-apiserver"]);
}

#[test]
fn no_program_depends_on_another_but_tests_and_benchmarks() {
    const PROGRAMS: [&str; 9] = [
        "ferrule-apiserver",
        "ferrule-scheduler",
        "ferrule-controller-manager",
        "ferrule-kubelet",
        "ferrule-kube-proxy",
        "ferrule-kubectl",
        "ferrule-cri-runtime",
        "ferrule-network",
        "ferrule-dns",
    ];
    let packages = dependencies();
    for (package, needed) in &packages {
        if ["ferrule-e2e", "ferrule-bench"].contains(&package.as_str()) {
            continue;
        }
        for program in PROGRAMS {
            assert!(
                !needed.iter().any(|name| name == program)
                    || (package == "ferrule-cri-runtime" && program == "ferrule-network"),
                "{package} depends on {program}"
            );
        }
    }
    for program in PROGRAMS {
        assert!(
            packages.contains_key(program),
            "there is no package {program}"
        );
    }
}

#[test]
fn the_object_model_and_the_wire_know_no_room_above_them() {
    let packages = dependencies();
    for (room, allowed) in [
        ("ferrule-proto", &[][..]),
        ("ferrule-apimachinery", &[]),
        ("ferrule-client", &["ferrule-proto", "ferrule-apimachinery"]),
        (
            "ferrule-component-base",
            &["ferrule-client", "ferrule-proto", "ferrule-apimachinery"],
        ),
    ] {
        let beyond: Vec<&String> = packages[room]
            .iter()
            .filter(|name| name.starts_with("ferrule-") && !allowed.contains(&name.as_str()))
            .collect();
        assert!(beyond.is_empty(), "{room} depends on {beyond:?}");
    }
}
