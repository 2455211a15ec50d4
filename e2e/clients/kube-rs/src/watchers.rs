//! Watches as the server gives them, and kube-rs's watchers, which list, resume and begin anew.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use futures::{Stream, TryStreamExt};
use http::{Request, Uri};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, WatchEvent,
    WatchParams,
};
use kube::client::{Body, ClientBuilder};
use kube::core::metadata::PartialObjectMeta;
use kube::runtime::watcher::{self, Event, watcher};
use kube::runtime::{WatchStreamExt, watcher::watch_object};
use kube::{Client, Config, ResourceExt};
use serde_json::json;
use tower::util::MapRequestLayer;

use crate::lab::{Lab, NEVER, next, value};

async fn change(maps: &Api<ConfigMap>, name: &str, key: &str) -> anyhow::Result<ConfigMap> {
    let patch = Patch::Merge(json!({"data": {"key": key}}));
    Ok(maps.patch(name, &PatchParams::default(), &patch).await?)
}

/// What an event of the server says, in short.
fn said(event: &WatchEvent<ConfigMap>) -> String {
    match event {
        WatchEvent::Added(map) => format!("added {} {}", map.name_any(), value(map)),
        WatchEvent::Modified(map) => format!("modified {} {}", map.name_any(), value(map)),
        WatchEvent::Deleted(map) => format!("deleted {} {}", map.name_any(), value(map)),
        WatchEvent::Bookmark(_) => "bookmark".into(),
        WatchEvent::Error(status) => format!("error {}", status.code),
    }
}

pub async fn changes_come_in_order_and_are_resumed(lab: Lab) -> anyhow::Result<()> {
    let maps = lab.api::<ConfigMap>();
    let listed = maps.list(&ListParams::default()).await?;
    let start = listed.metadata.resource_version.context("no revision")?;
    lab.config_map("a", "seen", "1").await?;
    let middle = change(&maps, "a", "2")
        .await?
        .resource_version()
        .context("no revision")?;
    let unseen = Patch::Merge(json!({"metadata": {"labels": {"group": "unseen"}}}));
    maps.patch("a", &PatchParams::default(), &unseen).await?;
    lab.config_map("b", "seen", "1").await?;
    maps.delete("b", &DeleteParams::default()).await?;

    let all = [
        "added a 1",
        "modified a 2",
        "deleted a 2",
        "added b 1",
        "deleted b 1",
    ];
    let wanted = WatchParams::default()
        .labels("group=seen")
        .timeout(60)
        .disable_bookmarks();
    for (revision, expected) in [(start, &all[..]), (middle, &all[2..])] {
        let mut events = pin!(maps.watch(&wanted, &revision).await?);
        for expected in expected {
            let event = next(&mut events).await?;
            ensure!(
                said(&event) == *expected,
                "{} and not {expected}",
                said(&event)
            );
        }
    }
    // It ends when its time is over, and says how far it came.
    let short = WatchParams::default().labels("group=nobody").timeout(2);
    let events: Vec<_> = maps.watch(&short, "0").await?.try_collect().await?;
    ensure!(
        events.iter().all(|event| said(event) == "bookmark"),
        "{events:?}"
    );
    Ok(())
}

pub async fn a_past_that_is_gone_is_an_event(lab: Lab) -> anyhow::Result<()> {
    let maps = lab.api::<ConfigMap>();
    let mut events = pin!(maps.watch(&WatchParams::default(), NEVER).await?);
    let event = next(&mut events).await?;
    let WatchEvent::Error(status) = event else {
        bail!("{}", said(&event));
    };
    ensure!(
        status.code == 410 && status.reason == "Expired",
        "{status:?}"
    );
    Ok(())
}

/// Follows a watcher through its beginning and one change of each sort.
async fn followed(lab: &Lab, config: watcher::Config) -> anyhow::Result<()> {
    let maps = lab.api::<ConfigMap>();
    for name in ["a", "b", "c"] {
        lab.config_map(name, "seen", "1").await?;
    }
    lab.config_map("other", "unseen", "1").await?;
    let mut events = pin!(watcher(maps.clone(), config.labels("group=seen")));
    ensure!(matches!(next(&mut events).await?, Event::Init));
    let mut initial = Vec::new();
    loop {
        match next(&mut events).await? {
            Event::InitApply(map) => initial.push(map.name_any()),
            Event::InitDone => break,
            other => bail!("{other} in the beginning"),
        }
    }
    ensure!(initial == ["a", "b", "c"], "{initial:?}");
    change(&maps, "b", "2").await?;
    let event = next(&mut events).await?;
    ensure!(
        matches!(&event, Event::Apply(map) if map.name_any() == "b" && value(map) == "2"),
        "{event}"
    );
    maps.delete("c", &DeleteParams::default()).await?;
    let event = next(&mut events).await?;
    ensure!(
        matches!(&event, Event::Delete(map) if map.name_any() == "c"),
        "{event}"
    );
    lab.config_map("d", "seen", "1").await?;
    let event = next(&mut events).await?;
    ensure!(
        matches!(&event, Event::Apply(map) if map.name_any() == "d"),
        "{event}"
    );
    Ok(())
}

pub async fn list_and_watch(lab: Lab) -> anyhow::Result<()> {
    followed(&lab, watcher::Config::default().page_size(2)).await
}

pub async fn streaming_list(lab: Lab) -> anyhow::Result<()> {
    followed(&lab, watcher::Config::default().streaming_lists()).await
}

pub async fn a_watcher_goes_on_where_the_server_ended(lab: Lab) -> anyhow::Result<()> {
    let maps = lab.api::<ConfigMap>();
    lab.config_map("counted", "seen", "0").await?;
    // The server ends each watch after a second: several follow each other here.
    let config = watcher::Config::default().labels("group=seen").timeout(1);
    let mut events = pin!(watcher(maps.clone(), config));
    let (mut beginnings, mut count) = (0, 0);
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(4) {
        match next(&mut events).await? {
            Event::Init => beginnings += 1,
            Event::InitDone => {
                change(&maps, "counted", "1").await?;
            }
            Event::InitApply(_) => {}
            Event::Apply(map) => {
                count += 1;
                ensure!(
                    value(&map) == count.to_string(),
                    "{} after {count} changes",
                    value(&map)
                );
                change(&maps, "counted", &(count + 1).to_string()).await?;
            }
            Event::Delete(_) => bail!("deleted"),
        }
    }
    ensure!(
        beginnings == 1 && count > 1,
        "{beginnings} beginnings, {count} changes"
    );
    Ok(())
}

/// A client whose first watch asks for a revision that is not to be had.
async fn forgetful() -> anyhow::Result<(Client, Arc<AtomicUsize>)> {
    let watches = Arc::new(AtomicUsize::new(0));
    let counted = watches.clone();
    let forget = MapRequestLayer::new(move |mut request: Request<Body>| {
        let query = request.uri().query().unwrap_or_default();
        if query.contains("watch=true") && counted.fetch_add(1, Ordering::SeqCst) == 0 {
            *request.uri_mut() = at_a_revision_that_never_was(request.uri());
        }
        request
    });
    let config = Config::infer().await?;
    Ok((
        ClientBuilder::try_from(config)?.with_layer(&forget).build(),
        watches,
    ))
}

fn at_a_revision_that_never_was(uri: &Uri) -> Uri {
    let kept = uri.query().unwrap_or_default().split('&');
    let kept: Vec<&str> = kept
        .filter(|pair| !pair.starts_with("resourceVersion="))
        .collect();
    let changed = format!("{}?{}&resourceVersion={NEVER}", uri.path(), kept.join("&"));
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = changed.parse().ok();
    Uri::from_parts(parts).unwrap_or_default()
}

pub async fn a_watcher_begins_anew_when_the_past_is_gone(lab: Lab) -> anyhow::Result<()> {
    lab.config_map("here", "seen", "1").await?;
    let (client, watches) = forgetful().await?;
    let maps: Api<ConfigMap> = Api::namespaced(client, &lab.namespace);
    let config = watcher::Config::default().labels("group=seen");
    let mut events = pin!(watcher(maps.clone(), config).default_backoff());
    let mut seen = Vec::new();
    loop {
        match crate::lab::soon("the next event", events.try_next()).await? {
            Ok(Some(Event::Apply(map))) => {
                ensure!(map.name_any() == "late");
                break;
            }
            Ok(Some(event)) => {
                let done = matches!(event, Event::InitDone);
                seen.push(event.to_string());
                if done && watches.load(Ordering::SeqCst) > 0 {
                    lab.config_map("late", "seen", "1").await?;
                }
            }
            Ok(None) => bail!("the stream ended"),
            Err(watcher::Error::WatchError(status)) => seen.push(format!("error {}", status.code)),
            Err(error) => return Err(error.into()),
        }
    }
    let once = ["Init", "InitApply(here)", "InitDone"];
    let expected: Vec<&str> = once.into_iter().chain(["error 410"]).chain(once).collect();
    ensure!(seen == expected, "{seen:?}");
    Ok(())
}

/// The names that a watcher tells of, from its beginning to the first change.
async fn names<K: kube::Resource>(
    events: impl Stream<Item = watcher::Result<Event<K>>>,
    changed: impl Future<Output = anyhow::Result<ConfigMap>>,
) -> anyhow::Result<Vec<String>> {
    let (mut events, mut names, mut changed) = (pin!(events), Vec::new(), Some(pin!(changed)));
    loop {
        match next(&mut events).await? {
            Event::Init | Event::Delete(_) => {}
            Event::InitApply(object) => names.push(object.name_any()),
            Event::InitDone => {
                changed.take().context("begun twice")?.await?;
            }
            Event::Apply(object) => {
                names.push(object.name_any());
                return Ok(names);
            }
        }
    }
}

pub async fn metadata_and_dynamic_objects(lab: Lab) -> anyhow::Result<()> {
    let maps = lab.api::<ConfigMap>();
    lab.config_map("known", "seen", "1").await?;
    let config = watcher::Config::default().labels("group=seen");
    for config in [config.clone(), config.clone().streaming_lists()] {
        let only = lab.api::<PartialObjectMeta<ConfigMap>>();
        let changed = change(
            &maps,
            "known",
            if config == config.clone().streaming_lists() {
                "3"
            } else {
                "2"
            },
        );
        ensure!(names(watcher(only, config), changed).await? == ["known", "known"]);
    }
    let resource = ApiResource::erase::<ConfigMap>(&());
    let dynamic: Api<DynamicObject> =
        Api::namespaced_with(lab.client.clone(), &lab.namespace, &resource);
    let changed = change(&maps, "known", "4");
    ensure!(names(watcher(dynamic, config), changed).await? == ["known", "known"]);
    Ok(())
}

pub async fn one_object(lab: Lab) -> anyhow::Result<()> {
    let maps = lab.api::<ConfigMap>();
    let mut seen = pin!(watch_object(maps.clone(), "one"));
    ensure!(next(&mut seen).await?.is_none());
    lab.config_map("one", "seen", "1").await?;
    ensure!(next(&mut seen).await?.is_some_and(|map| value(&map) == "1"));
    lab.config_map("two", "seen", "1").await?;
    change(&maps, "one", "2").await?;
    ensure!(next(&mut seen).await?.is_some_and(|map| value(&map) == "2"));
    maps.delete("one", &DeleteParams::default()).await?;
    ensure!(next(&mut seen).await?.is_none());
    Ok(())
}
