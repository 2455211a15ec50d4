//! Watches of the store against a real etcd.

#[path = "support/etcd.rs"]
mod etcd;
#[path = "support/store.rs"]
mod support;

use std::time::Duration;

use etcd::EtcdServer;
use ferrule_apiserver::store::EventKind::{Added, Deleted, Modified};
use ferrule_apiserver::store::{EventKind, ReadAt, StoreError, WatchEnd, WatchFilter, WatchFrom};
use support::*;

fn seen(expected: &[(EventKind, &str, i64)]) -> Vec<Seen> {
    expected
        .iter()
        .map(|(kind, name, revision)| (*kind, name.to_string(), *revision))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn entering_a_selector_is_added_and_leaving_it_is_deleted() {
    let etcd = EtcdServer::start();
    let opened = open(options(&etcd.endpoint())).await;
    let mut label = opened.watch(by_label("app=a"), WatchFrom::Now).await;
    let mut node = opened
        .watch(by_field("spec.nodeName=n1"), WatchFrom::Now)
        .await;
    let mut unbound = opened
        .watch(by_field("spec.nodeName="), WatchFrom::Now)
        .await;
    let mut name = opened
        .watch(by_field("metadata.name=web"), WatchFrom::Now)
        .await;
    let mut elsewhere = opened
        .watch(
            WatchFilter {
                namespace: Some("other".into()),
                ..everything()
            },
            WatchFrom::Now,
        )
        .await;
    let created = opened.create("web", "b", "").await;
    let bound = opened.update("web", created, "b", "n1").await;
    let labelled = opened.update("web", bound, "a", "n1").await;
    let touched = opened.update("web", labelled, "a", "n1").await;
    let moved = opened.update("web", touched, "b", "n2").await;
    let gone = opened.remove("web", moved).await;
    assert_eq!(
        seen_until(&mut label, gone).await,
        seen(&[
            (Added, "web", labelled),
            (Modified, "web", touched),
            (Deleted, "web", moved),
        ])
    );
    assert_eq!(
        seen_until(&mut node, gone).await,
        seen(&[
            (Added, "web", bound),
            (Modified, "web", labelled),
            (Modified, "web", touched),
            (Deleted, "web", moved),
        ])
    );
    assert_eq!(
        seen_until(&mut unbound, gone).await,
        seen(&[(Added, "web", created), (Deleted, "web", bound)])
    );
    assert_eq!(
        seen_until(&mut name, gone).await,
        seen(&[
            (Added, "web", created),
            (Modified, "web", bound),
            (Modified, "web", labelled),
            (Modified, "web", touched),
            (Modified, "web", moved),
            (Deleted, "web", gone),
        ])
    );
    assert!(seen_until(&mut elsewhere, gone).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_event_carries_the_last_matching_state_with_the_events_revision() {
    let etcd = EtcdServer::start();
    let opened = open(options(&etcd.endpoint())).await;
    let mut watcher = opened.watch(by_label("app=a"), WatchFrom::Now).await;
    let created = opened.create("web", "a", "n1").await;
    let left = opened.update("web", created, "b", "n2").await;
    let mut deleted = None;
    while deleted.is_none() {
        let batch = watcher.next().await.expect("the watch goes on");
        deleted = batch.events.into_iter().find(|event| event.kind == Deleted);
    }
    let deleted = deleted.expect("a deletion");
    assert_eq!((deleted.revision, deleted.object.revision), (left, left));
    assert_eq!(deleted.object.bytes, pod("web", "a", "n1"));
    assert_eq!(deleted.object.create_revision, created);
}

#[tokio::test(flavor = "multi_thread")]
async fn first_state_and_changes_come_in_one_stream_without_gap_or_repetition() {
    let etcd = EtcdServer::start();
    let mut small = options(&etcd.endpoint());
    small.watch_batch = 7;
    let opened = std::sync::Arc::new(open(small).await);
    for at in 0..50 {
        opened.create(&format!("p{at:02}"), "a", "").await;
    }
    let writer = tokio::spawn({
        let opened = opened.clone();
        async move {
            let mut last = 0;
            for at in 50..150 {
                last = opened.create(&format!("p{at:02}"), "a", "").await;
            }
            last
        }
    });
    tokio::time::sleep(Duration::from_millis(20)).await;
    // A watch begins with what is in memory: the first fifty have to be there.
    opened.read(ReadAt::Latest).await;
    let mut watcher = opened.watch(everything(), WatchFrom::WithInitial).await;
    let mut names = Vec::new();
    let mut initial = None;
    let mut revision = 0;
    let last = writer.await.expect("the writer is done");
    while revision < last {
        let batch = watcher.next().await.expect("the watch goes on");
        assert!(batch.events.len() <= 7);
        assert!(batch.revision == 0 || initial.is_some() || batch.initial_end);
        for event in batch.events {
            assert_eq!(event.kind, Added);
            names.push(event.object.header.name.to_string());
        }
        if batch.initial_end {
            assert!(initial.replace(names.len()).is_none());
        }
        revision = batch.revision;
    }
    assert!(initial.is_some_and(|count| count >= 50));
    names.sort();
    let mut expected: Vec<_> = (0..150).map(|at| format!("p{at:02}")).collect();
    expected.sort();
    assert_eq!(names, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_resumes_where_it_was_left() {
    let etcd = EtcdServer::start();
    let opened = open(options(&etcd.endpoint())).await;
    let one = opened.create("one", "a", "").await;
    let two = opened.create("two", "b", "").await;
    let three = opened.create("three", "a", "").await;
    let gone = opened.remove("one", one).await;
    opened.read(ReadAt::Latest).await;
    let mut watcher = opened.watch(by_label("app=a"), WatchFrom::After(one)).await;
    let four = opened.create("four", "a", "").await;
    assert_eq!(
        seen_until(&mut watcher, four).await,
        seen(&[
            (Added, "three", three),
            (Deleted, "one", gone),
            (Added, "four", four),
        ])
    );
    let mut unmatched = opened.watch(by_label("app=c"), WatchFrom::After(two)).await;
    assert!(seen_until(&mut unmatched, four).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_resumes_across_a_restart_of_the_store() {
    let etcd = EtcdServer::start();
    let first = open(options(&etcd.endpoint())).await;
    let one = first.create("one", "a", "").await;
    let two = first.create("two", "a", "").await;
    let gone = first.remove("one", one).await;
    drop(first);
    let second = open(options(&etcd.endpoint())).await;
    let mut watcher = second.watch(everything(), WatchFrom::After(one)).await;
    let three = second.create("three", "a", "").await;
    assert_eq!(
        seen_until(&mut watcher, three).await,
        seen(&[
            (Added, "two", two),
            (Deleted, "one", gone),
            (Added, "three", three),
        ])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resume_from_before_the_history_is_expired() {
    let etcd = EtcdServer::start();
    let mut small = options(&etcd.endpoint());
    small.history_replay = 5;
    let first = open(small.clone()).await;
    let one = first.create("one", "a", "").await;
    for at in 0..20 {
        first.create(&format!("p{at}"), "a", "").await;
    }
    drop(first);
    let second = open(small).await;
    match second.try_watch(everything(), WatchFrom::After(one)).await {
        Err(StoreError::Expired { requested, oldest }) => {
            assert_eq!(requested, one);
            assert!(oldest > one);
        }
        other => panic!("{:?}", other.map(|_| ())),
    }
    let future = WatchFrom::After(second.store.revision() + 100);
    let watch = second.try_watch(everything(), future).await;
    assert!(matches!(watch, Err(StoreError::Expired { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_watcher_is_ended_and_slows_nobody() {
    let etcd = EtcdServer::start();
    let mut small = options(&etcd.endpoint());
    small.watch_buffer = 20;
    let opened = open(small).await;
    let mut slow = opened.watch(everything(), WatchFrom::Now).await;
    let mut quick = opened.watch(everything(), WatchFrom::Now).await;
    let mut last = 0;
    let mut count = 0;
    for at in 0..60 {
        last = opened.create(&format!("p{at}"), "a", "").await;
        count += seen_until(&mut quick, last).await.len();
    }
    assert_eq!(count, 60);
    assert_eq!(end_of(&mut slow).await, WatchEnd::Slow);
    assert_eq!(opened.store.stats().slow_watchers, 1);
    assert_eq!(opened.store.stats().watchers, 1);
    let first = last - 60;
    let mut resumed = opened.watch(everything(), WatchFrom::After(first)).await;
    assert_eq!(seen_until(&mut resumed, last).await.len(), 60);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_watcher_reports_the_revision_it_has_reached() {
    let etcd = EtcdServer::start();
    let opened = open(options(&etcd.endpoint())).await;
    let mut watcher = opened.watch(by_label("app=none"), WatchFrom::Now).await;
    for at in 0..3 {
        let revision = opened.create(&format!("p{at}"), "a", "").await;
        let batch = tokio::time::timeout(Duration::from_secs(1), watcher.next())
            .await
            .expect("progress is reported")
            .expect("the watch goes on");
        assert!(batch.events.is_empty() && !batch.initial_end);
        assert_eq!(batch.revision, revision);
    }
    let quiet = tokio::time::timeout(Duration::from_millis(400), watcher.next());
    assert!(
        quiet.await.is_err(),
        "nothing happened, nothing is reported"
    );
    drop(watcher);
    assert_eq!(opened.store.stats().watchers, 0);
}
