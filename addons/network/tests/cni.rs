//! The CNI plugin as a runtime calls it, in network namespaces of its own.

mod namespaces;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use namespaces::Namespace;
use serde_json::{Value, json};

/// Calls the plugin in the node's namespace; the answer is its output and whether it succeeded.
fn call(
    node: &Namespace,
    data: &Path,
    command: &str,
    container: &str,
    pod: Option<&Namespace>,
) -> (Value, bool) {
    let configuration = json!({
        "cniVersion": "1.0.0", "name": "ferrule", "type": "ferrule-cni", "bridge": "cni0", "mtu": 1450,
        "podCIDR": "10.244.1.0/24", "dataDir": data,
    });
    node.inside(|| {
        let mut child = Command::new(env!("CARGO_BIN_EXE_ferrule-cni"))
            .env("CNI_COMMAND", command)
            .env("CNI_CONTAINERID", container)
            .env("CNI_NETNS", pod.map(Namespace::path).unwrap_or_default())
            .env("CNI_IFNAME", "eth0")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin
            .write_all(configuration.to_string().as_bytes())
            .unwrap();
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let value = serde_json::from_str(&text).unwrap_or(Value::Null);
        (value, output.status.success())
    })
}

fn add(node: &Namespace, data: &Path, container: &str, pod: &Namespace) -> String {
    let (result, ok) = call(node, data, "ADD", container, Some(pod));
    assert!(ok, "{result}");
    let address = result["ips"][0]["address"].as_str().unwrap();
    address.strip_suffix("/24").unwrap().to_owned()
}

fn talk(client: &Namespace, server: &Namespace, address: &str) -> String {
    namespaces::talk(client, server, address).unwrap()
}

#[test]
fn pods_reach_each_other_and_the_node() {
    if !namespaces::permitted() {
        return;
    }
    let data = tempfile::tempdir().unwrap();
    let (node, one, two) = (Namespace::node(), Namespace::pod(), Namespace::pod());
    let first = add(&node, data.path(), "one", &one);
    let second = add(&node, data.path(), "two", &two);
    assert_eq!(
        (first.as_str(), second.as_str()),
        ("10.244.1.2", "10.244.1.3")
    );

    assert_eq!(talk(&one, &two, &second), first);
    assert_eq!(talk(&two, &one, &first), second);
    assert_eq!(talk(&one, &node, "10.244.1.1"), first);
    assert_eq!(talk(&node, &one, &first), "10.244.1.1");
    assert_eq!(talk(&one, &one, &first), first);

    assert!(
        node.run("bridge", &["-d", "link", "show"])
            .contains("hairpin on")
    );
    assert!(
        one.run("ip", &["link", "show", "eth0"])
            .contains("mtu 1450")
    );
    assert!(one.run("ip", &["link", "show", "lo"]).contains("UP"));
    assert!(call(&node, data.path(), "CHECK", "one", Some(&one)).1);
}

#[test]
fn deleting_removes_everything_and_can_be_repeated() {
    if !namespaces::permitted() {
        return;
    }
    let data = tempfile::tempdir().unwrap();
    let (node, pod) = (Namespace::node(), Namespace::pod());
    add(&node, data.path(), "one", &pod);
    for _ in 0..2 {
        assert!(call(&node, data.path(), "DEL", "one", Some(&pod)).1);
        assert!(!node.run("ip", &["link"]).contains("veth"));
        assert!(!pod.run("ip", &["link"]).contains("eth0"));
        let names = std::fs::read_dir(data.path()).unwrap();
        let left = names.filter(|name| {
            name.as_ref()
                .unwrap()
                .file_name()
                .to_string_lossy()
                .contains('=')
        });
        assert_eq!(left.count(), 0);
    }
    assert!(!call(&node, data.path(), "CHECK", "one", Some(&pod)).1);
    // The next pod gets another address: the freed one rests.
    assert_eq!(add(&node, data.path(), "two", &pod), "10.244.1.3");
    // A runtime may delete after the namespace is gone.
    drop(pod);
    assert!(call(&node, data.path(), "DEL", "two", None).1);
}

#[test]
fn adding_again_after_a_crash_repairs() {
    if !namespaces::permitted() {
        return;
    }
    let data = tempfile::tempdir().unwrap();
    let (node, old, new) = (Namespace::node(), Namespace::pod(), Namespace::pod());
    let first = add(&node, data.path(), "one", &old);
    assert_eq!(add(&node, data.path(), "one", &new), first);
    assert_eq!(talk(&node, &new, &first), "10.244.1.1");
}

#[test]
fn a_missing_namespace_is_an_unknown_container() {
    if !namespaces::permitted() {
        return;
    }
    let data = tempfile::tempdir().unwrap();
    let node = Namespace::node();
    let (error, ok) = call(&node, data.path(), "ADD", "one", None);
    assert!(!ok);
    assert_eq!(error["code"], 4);
    assert!(std::fs::read_dir(data.path()).unwrap().next().is_none());
}

#[test]
fn versions_are_reported() {
    let output = Command::new(env!("CARGO_BIN_EXE_ferrule-cni"))
        .env("CNI_COMMAND", "VERSION")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(
        answer["supportedVersions"]
            .as_array()
            .unwrap()
            .contains(&json!("1.0.0"))
    );
}
