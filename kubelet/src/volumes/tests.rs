//! Volumes on a real file system.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use super::*;

fn pod(volumes: Value) -> Pod {
    serde_json::from_value(json!({
        "metadata": {"name": "web", "namespace": "shop", "uid": "u1", "labels": {"app": "web"}},
        "spec": {"containers": [{"name": "c", "image": "i"}], "volumes": volumes}
    }))
    .expect("a pod")
}

fn sources(pairs: &[(&str, &str)]) -> Sources {
    let map = pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec()))
        .collect();
    let mut sources = Sources::default();
    sources.config_maps.insert("cfg".to_owned(), Some(map));
    sources.config_maps.insert("gone".to_owned(), None);
    sources
}

#[test]
fn a_config_map_appears_as_links_to_one_consistent_state_and_follows_its_changes() {
    let root = tempfile::tempdir().expect("a directory");
    let pod = pod(json!([{"name": "v", "configMap": {"name": "cfg", "defaultMode": 0o600}}]));
    let volume = path(
        root.path(),
        "u1",
        &spec::of(&pod)
            .expect("a spec")
            .volumes
            .as_ref()
            .expect("volumes")[0],
    )
    .expect("a path");
    assert!(volume.ends_with("pods/u1/volumes/kubernetes.io~configmap/v"));

    set_up(root.path(), &pod, &sources(&[("a", "1"), ("b", "2")])).expect("set up");
    let first = fs::read_link(volume.join("..data")).expect("a link");
    assert_eq!(
        fs::read_link(volume.join("a")).expect("a link"),
        Path::new("..data/a")
    );
    assert_eq!(fs::read_to_string(volume.join("b")).expect("a file"), "2");
    assert_eq!(
        fs::metadata(volume.join("b"))
            .expect("a file")
            .permissions()
            .mode()
            & 0o777,
        0o600
    );

    set_up(root.path(), &pod, &sources(&[("a", "1"), ("b", "2")])).expect("set up again");
    assert_eq!(
        fs::read_link(volume.join("..data")).expect("a link"),
        first,
        "nothing changed, nothing is written"
    );

    set_up(root.path(), &pod, &sources(&[("a", "3"), ("c", "4")])).expect("update");
    assert_eq!(fs::read_to_string(volume.join("a")).expect("a file"), "3");
    assert_eq!(fs::read_to_string(volume.join("c")).expect("a file"), "4");
    assert!(
        fs::symlink_metadata(volume.join("b")).is_err(),
        "a key that is gone is no file any more"
    );
    assert!(!volume.join(&first).exists(), "the old state is removed");

    tear_down(root.path(), "u1").expect("tear down");
    assert!(!exist(root.path(), "u1"));
}

#[test]
fn contents_come_from_keys_items_and_fields_and_missing_ones_are_named() {
    type Row = (
        Value,
        Result<Vec<(&'static str, &'static str)>, &'static str>,
    );
    let table: [Row; 8] = [
        (
            json!({"configMap": {"name": "cfg"}}),
            Ok(vec![("a", "1"), ("b", "2")]),
        ),
        (
            json!({"configMap": {"name": "cfg", "items": [{"key": "a", "path": "x/y"}]}}),
            Ok(vec![("x/y", "1")]),
        ),
        (
            json!({"configMap": {"name": "gone"}}),
            Err("configmap \"gone\" not found"),
        ),
        (
            json!({"configMap": {"name": "gone", "optional": true}}),
            Ok(vec![]),
        ),
        (
            json!({"configMap": {"name": "cfg", "items": [{"key": "z", "path": "z"}]}}),
            Err("references non-existent config key: z"),
        ),
        (
            json!({"secret": {"secretName": "no"}}),
            Err("secret \"no\" not found"),
        ),
        (
            json!({"downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}}),
            Ok(vec![("labels", "app=\"web\"")]),
        ),
        (
            json!({"projected": {"sources": [{"configMap": {"name": "cfg", "items": [{"key": "b", "path": "b"}]}}, {"downwardAPI": {"items": [{"path": "n", "fieldRef": {"fieldPath": "metadata.name"}}]}}]}}),
            Ok(vec![("b", "2"), ("n", "web")]),
        ),
    ];
    for (volume, expected) in table {
        let mut volume = volume;
        volume["name"] = json!("v");
        let pod = pod(json!([volume]));
        let volume = &spec::of(&pod)
            .expect("a spec")
            .volumes
            .as_ref()
            .expect("volumes")[0];
        let files = contents::files(&pod, volume, &sources(&[("a", "1"), ("b", "2")]));
        let texts = files.map(|files| {
            let text = |file: &atomic::File| String::from_utf8_lossy(&file.data).into_owned();
            files
                .iter()
                .map(|(path, file)| (path.display().to_string(), text(file)))
                .collect::<Vec<_>>()
        });
        let expected = match expected {
            Ok(list) => Ok(list
                .iter()
                .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()))
                .collect()),
            Err(error) => Err(error.to_owned()),
        };
        assert_eq!(texts, expected);
    }
}

#[test]
fn a_sub_path_stays_inside_its_volume() {
    let root = tempfile::tempdir().expect("a directory");
    let volume = root.path().join("volume");
    fs::create_dir_all(volume.join("inner")).expect("made");
    fs::create_dir(root.path().join("secret")).expect("made");
    std::os::unix::fs::symlink("../secret", volume.join("out")).expect("a link");
    std::os::unix::fs::symlink("inner", volume.join("in")).expect("a link");
    assert!(
        subpath::resolve(&volume, "in/new")
            .expect("made")
            .ends_with("volume/inner/new")
    );
    for bad in ["../secret", "/etc", "out", "out/x", "inner/../../secret"] {
        assert!(subpath::resolve(&volume, bad).is_err(), "{bad}");
    }
}
