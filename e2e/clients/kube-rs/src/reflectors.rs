//! Reflectors: a store that follows a watch.

use anyhow::ensure;
use futures::StreamExt;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::core::metadata::PartialObjectMeta;
use kube::runtime::reflector::{self, ObjectRef};
use kube::runtime::watcher::{self, watcher};
use kube::runtime::{WatchStreamExt, reflector as reflect};
use serde_json::json;

use crate::lab::{Lab, eventually, soon, value};

pub async fn a_store_follows(lab: Lab) -> anyhow::Result<()> {
    let maps = lab.api::<ConfigMap>();
    for name in ["a", "b"] {
        lab.config_map(name, "seen", "1").await?;
    }
    let (reader, writer) = reflector::store();
    let events = watcher(
        maps.clone(),
        watcher::Config::default().labels("group=seen"),
    );
    let follow = reflect(writer, events).default_backoff().touched_objects();
    let follower = tokio::spawn(follow.for_each(|_| async {}));

    soon("the store is ready", reader.wait_until_ready()).await??;
    ensure!(reader.len() == 2);
    let key = |name: &str| ObjectRef::<ConfigMap>::new(name).within(&lab.namespace);
    ensure!(reader.get(&key("a")).is_some_and(|map| value(&map) == "1"));

    let patch = Patch::Merge(json!({"data": {"key": "2"}}));
    maps.patch("a", &PatchParams::default(), &patch).await?;
    eventually("the change is in the store", async || {
        Ok(reader.get(&key("a")).filter(|map| value(map) == "2"))
    })
    .await?;
    maps.delete("b", &DeleteParams::default()).await?;
    lab.config_map("c", "seen", "1").await?;
    eventually("the store holds a and c", async || {
        let mut names: Vec<String> = reader.state().iter().map(|map| map.name_any()).collect();
        names.sort();
        Ok((names == ["a", "c"]).then_some(()))
    })
    .await?;
    ensure!(reader.find(|map| map.name_any() == "b").is_none());
    follower.abort();
    Ok(())
}

pub async fn a_store_of_metadata_by_streaming_list(lab: Lab) -> anyhow::Result<()> {
    for number in 0..20 {
        lab.config_map(&format!("map-{number}"), "seen", "1")
            .await?;
    }
    let (reader, writer) = reflector::store();
    let only = lab.api::<PartialObjectMeta<ConfigMap>>();
    let config = watcher::Config::default()
        .labels("group=seen")
        .streaming_lists();
    // What is not needed is dropped before it is kept.
    let events = watcher(only, config).modify(|map| map.managed_fields_mut().clear());
    let follower = tokio::spawn(events.reflect(writer).for_each(|_| async {}));
    soon("the store is ready", reader.wait_until_ready()).await??;
    ensure!(reader.len() == 20);
    ensure!(
        reader
            .state()
            .iter()
            .all(|map| map.managed_fields().is_empty() && map.labels().contains_key("group"))
    );
    follower.abort();
    Ok(())
}
