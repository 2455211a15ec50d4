//! What the store does when etcd, or the way to it, fails.

#[path = "support/etcd.rs"]
mod etcd;
#[path = "support/faulty.rs"]
mod faulty;
#[path = "support/store.rs"]
mod support;

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use etcd::EtcdServer;
use faulty::Faulty;
use ferrule_apimachinery::scheme::gvr;
use ferrule_apiserver::store::backend::{Backend, BackendError};
use ferrule_apiserver::store::{
    CommitError, Etcd, EventKind, ReadAt, StoreError, Txn, WatchEnd, WatchFrom,
};
use serde_json::json;
use support::*;
use tokio::time::sleep;

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_is_lost_is_found_again() {
    let etcd = EtcdServer::start();
    let options = options(&etcd.endpoint());
    let (backend, faults) = Faulty::new(&options);
    let opened = open_on(backend, options).await;
    for (lost_answers, lost_requests) in [(1, 0), (3, 0), (0, 1), (0, 3), (2, 2)] {
        let name = format!("p{lost_answers}{lost_requests}");
        faults.lost_answers.store(lost_answers, SeqCst);
        faults.lost_requests.store(lost_requests, SeqCst);
        let created = opened.create(&name, "a", "").await;
        faults.lost_answers.store(lost_answers, SeqCst);
        faults.lost_requests.store(lost_requests, SeqCst);
        let updated = opened.update(&name, created, "b", "").await;
        let pod = opened.read(ReadAt::Latest).await.get("default", &name);
        let pod = pod.expect("it exists");
        assert_eq!((pod.create_revision, pod.revision), (created, updated));
    }
    assert_eq!(
        opened.store.stats().unknown_outcomes,
        2 * (1 + 3 + 1 + 3 + 4)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_is_found_again_under_a_later_write_and_told_from_another_ones() {
    let etcd = EtcdServer::start();
    let options = options(&etcd.endpoint());
    let (backend, faults) = Faulty::new(&options);
    let opened = open_on(backend, options.clone()).await;
    let other = open(options).await;
    let created = opened.create("web", "a", "").await;

    // Written, then overwritten by somebody else before it is sent again.
    faults.lost_answers.store(1, SeqCst);
    let overwrite = async {
        let written = loop {
            let snapshot = other.read(ReadAt::Latest).await;
            let web = snapshot.get("default", "web").expect("web exists");
            if web.revision > created {
                break web.revision;
            }
        };
        (written, other.update("web", written, "c", "").await)
    };
    let (ours, (written, overwritten)) =
        tokio::join!(opened.update("web", created, "b", ""), overwrite);
    assert_eq!(ours, written);

    // Never written, because somebody else was first.
    faults.lost_requests.store(1, SeqCst);
    let key = opened.pods().key("default", "web");
    let txn = Txn::new().update(key.clone(), overwritten, pod("web", "d", ""));
    let (ours, theirs) = tokio::join!(
        opened.commit(txn),
        other.update("web", overwritten, "e", "")
    );
    assert!(
        matches!(ours, Err(CommitError::Conflict { .. })),
        "{ours:?}"
    );

    // A deletion could have been anybody's.
    faults.lost_answers.store(1, SeqCst);
    let gone = opened.commit(Txn::new().remove(key.clone(), theirs)).await;
    assert!(matches!(gone, Err(CommitError::Unknown(_))), "{gone:?}");

    // What compares nothing must not be sent twice.
    faults.lost_answers.store(1, SeqCst);
    let blind = opened
        .commit(Txn::new().put(key, pod("web", "f", "")))
        .await;
    assert!(matches!(blind, Err(CommitError::Unknown(_))), "{blind:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_without_any_answer_is_unknown_by_its_deadline() {
    let etcd = EtcdServer::start();
    let options = options(&etcd.endpoint());
    let (backend, faults) = Faulty::new(&options);
    let opened = open_on(backend, options).await;
    faults.lost_requests.store(u32::MAX, SeqCst);
    let key = opened.pods().key("default", "web");
    let txn = Txn::new().create(key, pod("web", "a", ""));
    let outcome = opened.store.commit(txn.clone(), soon()).await;
    assert!(
        matches!(outcome, Err(CommitError::Unknown(_))),
        "{outcome:?}"
    );
    faults.away.store(true, SeqCst);
    let outcome = opened.store.commit(txn, soon()).await;
    assert!(
        matches!(outcome, Err(CommitError::Unavailable(_))),
        "{outcome:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revision_is_applied_whole_though_the_stream_was_cut_within_it() {
    let etcd = EtcdServer::start();
    let options = options(&etcd.endpoint());
    let (backend, faults) = Faulty::new(&options);
    let opened = open_on(backend, options).await;
    let nodes = opened.resource(&gvr::NODES);
    let mut watcher = opened.watch(everything(), WatchFrom::Now).await;
    for shatter in [false, true] {
        faults.shatter.store(shatter, SeqCst);
        for round in 0..5 {
            let name = format!("x{shatter}{round}");
            faults.cut.store(round % 2 == 0, SeqCst);
            let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}});
            let txn = Txn::new()
                .create(opened.pods().key("default", &name), pod(&name, "a", ""))
                .create(nodes.key("", &name), bytes(&node));
            let revision = opened.commit(txn).await.expect("it is written");
            loop {
                let pods = opened.read(ReadAt::Any).await;
                let both = opened
                    .store
                    .read(&nodes, ReadAt::AtLeast(pods.revision), deadline());
                let both = both.await.expect("nodes can be read");
                if pods.get("default", &name).is_some() {
                    assert_eq!(pods.revision, revision);
                    assert!(both.get("", &name).is_some());
                    break;
                }
                sleep(Duration::from_millis(1)).await;
            }
            let seen = seen_until(&mut watcher, revision).await;
            assert_eq!(seen, [(EventKind::Added, name, revision)]);
        }
    }
    assert_eq!(faults.cuts.load(SeqCst), 6);
    assert_eq!(opened.store.stats().reloads, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_past_larger_than_a_message_is_put_together() {
    let etcd = EtcdServer::start();
    let first = open(options(&etcd.endpoint())).await;
    let start = first.store.revision();
    let mut last = 0;
    for at in 0..12 {
        let name = format!("p{at:02}");
        let mut body: serde_json::Value =
            serde_json::from_slice(&pod(&name, "a", "")).expect("a pod");
        body["metadata"]["annotations"] = json!({"padding": "x".repeat(1_000_000)});
        let txn = Txn::new().create(first.pods().key("default", &name), bytes(&body));
        last = first.commit(txn).await.expect("it is written");
    }
    let second = open(options(&etcd.endpoint())).await;
    let mut watcher = second.watch(everything(), WatchFrom::After(start)).await;
    assert_eq!(seen_until(&mut watcher, last).await.len(), 12);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_says_nothing_more_is_replaced() {
    let etcd = EtcdServer::start();
    let options = options(&etcd.endpoint());
    let (backend, faults) = Faulty::new(&options);
    let opened = open_on(backend, options).await;
    let mut watcher = opened.watch(everything(), WatchFrom::Now).await;
    faults.mute.store(true, SeqCst);
    let one = opened.create("one", "a", "").await;
    sleep(Duration::from_millis(100)).await;
    faults.mute.store(false, SeqCst);
    let two = opened.create("two", "a", "").await;
    let seen = seen_until(&mut watcher, two).await;
    assert_eq!(
        seen,
        [
            (EventKind::Added, "one".to_string(), one),
            (EventKind::Added, "two".to_string(), two)
        ]
    );
    assert_eq!(opened.store.stats().reloads, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn compaction_of_unseen_changes_ends_watches_and_loads_again() {
    let etcd = EtcdServer::start();
    let options = options(&etcd.endpoint());
    let (backend, faults) = Faulty::new(&options);
    let opened = open_on(backend, options.clone()).await;
    let other = open(options.clone()).await;
    let one = opened.create("one", "a", "").await;
    let mut watcher = opened.watch(everything(), WatchFrom::After(one)).await;
    faults.away.store(true, SeqCst);
    faults.hang_up.notify_one();
    let mut last = 0;
    for at in 0..10 {
        last = other.create(&format!("p{at}"), "a", "").await;
    }
    let compactor = Etcd::new(&options).expect("valid options");
    compactor.compact(last).await.expect("etcd compacts");
    faults.away.store(false, SeqCst);
    assert_eq!(end_of(&mut watcher).await, WatchEnd::Expired);
    let snapshot = opened.read(ReadAt::Latest).await;
    assert_eq!(snapshot.len(), 11);
    let resumed = opened.try_watch(everything(), WatchFrom::After(one)).await;
    assert!(matches!(resumed, Err(StoreError::Expired { .. })));
    let mut watcher = opened.watch(everything(), WatchFrom::After(last)).await;
    let after = opened.create("after", "a", "").await;
    assert_eq!(seen_until(&mut watcher, after).await.len(), 1);
    // Compaction of what has been seen disturbs nobody.
    compactor.compact(after).await.expect("etcd compacts");
    let later = opened.create("later", "a", "").await;
    assert_eq!(seen_until(&mut watcher, later).await.len(), 1);
    assert_eq!(opened.store.stats().reloads, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_etcd_interrupts_writes_and_consistent_reads_and_nothing_else() {
    let mut etcd = EtcdServer::start();
    let opened = open(options(&etcd.endpoint())).await;
    let one = opened.create("one", "a", "").await;
    let mut watcher = opened.watch(everything(), WatchFrom::After(one)).await;
    for _ in 0..2 {
        etcd.kill();
        let read = opened.try_read(ReadAt::Latest, soon()).await;
        assert!(matches!(read, Err(StoreError::Unavailable(_))));
        let key = opened.pods().key("default", "two");
        let txn = Txn::new().create(key, pod("two", "a", ""));
        let written = opened.store.commit(txn, soon()).await;
        assert!(
            matches!(
                written,
                Err(CommitError::Unavailable(_) | CommitError::Unknown(_))
            ),
            "{written:?}"
        );
        let any = opened.read(ReadAt::Any).await;
        assert!(any.get("default", "one").is_some());
        etcd.run();
        let name = format!("after-{}", any.len());
        let three = opened.create(&name, "a", "").await;
        let seen = seen_until(&mut watcher, three).await;
        assert_eq!(seen, [(EventKind::Added, name, three)]);
    }
    assert_eq!(opened.store.stats().reloads, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_etcd_drops_everything_and_ends_watches() {
    let mut etcd = EtcdServer::start();
    let opened = open(options(&etcd.endpoint())).await;
    opened.create("old", "a", "").await;
    etcd.kill();
    let backup = etcd.backup();
    etcd.run();
    let lost = opened.create("lost", "a", "").await;
    let mut watcher = opened.watch(everything(), WatchFrom::After(lost)).await;
    etcd.kill();
    etcd.restore(&backup);
    etcd.run();
    assert_eq!(end_of(&mut watcher).await, WatchEnd::Expired);
    let snapshot = opened.read(ReadAt::Latest).await;
    assert_eq!(names(&snapshot), ["old"]);
    assert!(snapshot.revision < lost);
    let resumed = opened.try_watch(everything(), WatchFrom::After(lost)).await;
    assert!(matches!(resumed, Err(StoreError::Expired { .. })));
    opened.create("lost", "b", "").await;
    assert_eq!(opened.read(ReadAt::Latest).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_etcd_that_has_moved_on_is_found_out_by_its_history() {
    let mut etcd = EtcdServer::start();
    let options = options(&etcd.endpoint());
    let (backend, faults) = Faulty::new(&options);
    let opened = open_on(backend, options.clone()).await;
    opened.create("old", "a", "").await;
    etcd.kill();
    let backup = etcd.backup();
    etcd.run();
    let lost = opened.create("lost", "a", "").await;
    let mut watcher = opened.watch(everything(), WatchFrom::After(lost)).await;
    faults.away.store(true, SeqCst);
    etcd.kill();
    etcd.restore(&backup);
    etcd.run();
    let other = open(options).await;
    while other
        .create(&format!("new{}", other.store.revision()), "a", "")
        .await
        <= lost + 5
    {
        other.read(ReadAt::Latest).await;
    }
    faults.away.store(false, SeqCst);
    assert_eq!(end_of(&mut watcher).await, WatchEnd::Expired);
    let (ours, theirs) = (
        opened.read(ReadAt::Latest).await,
        other.read(ReadAt::Latest).await,
    );
    assert_eq!(names(&ours), names(&theirs));
    assert!(ours.get("default", "lost").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_cluster_drops_everything_and_ends_watches() {
    let mut etcd = EtcdServer::start();
    let opened = open(options(&etcd.endpoint())).await;
    opened.create("old", "a", "").await;
    let mut watcher = opened.watch(everything(), WatchFrom::WithInitial).await;
    etcd.replace_by_another_cluster();
    assert_eq!(end_of(&mut watcher).await, WatchEnd::Expired);
    assert!(opened.read(ReadAt::Latest).await.is_empty());
    assert_eq!(opened.store.stats().reloads, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn api_servers_take_turns_in_compacting_and_keep_a_window_to_resume_in() {
    let etcd = EtcdServer::start();
    let mut often = options(&etcd.endpoint());
    often.compaction_interval = Some(Duration::from_millis(800));
    let one = open(often.clone()).await;
    let two = open(often.clone()).await;
    let first = one.create("first", "a", "").await;
    let mut watcher = one.watch(everything(), WatchFrom::After(first)).await;
    let mut last = first;
    for at in 0..400 {
        last = two.create(&format!("p{at}"), "a", "").await;
        sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(seen_until(&mut watcher, last).await.len(), 400);
    assert_eq!(one.store.stats().reloads + two.store.stats().reloads, 0);
    // Nobody compacts any more: what is left of the history no longer depends on the time it takes
    // to look at it.
    drop((one, two));
    sleep(Duration::from_millis(300)).await;
    let direct = Etcd::new(&often).expect("valid options");
    let (_, record) = direct
        .get(b"/ferrule/compaction", 0)
        .await
        .expect("etcd answers");
    let record: serde_json::Value =
        serde_json::from_slice(&record.expect("a record").value).expect("JSON");
    let compacted = record["compacted"].as_i64().expect("a revision");
    assert!(compacted > first, "{record}");
    let key = b"/registry/pods/default/first";
    let old = direct.get(key, first).await;
    assert_eq!(old.map(|_| ()), Err(BackendError::Compacted));
    let three = open(options(&etcd.endpoint())).await;
    let last = three.create("after", "a", "").await;
    let mut resumed = three.watch(everything(), WatchFrom::After(compacted)).await;
    assert!(!seen_until(&mut resumed, last).await.is_empty());
    let expired = three.try_watch(everything(), WatchFrom::After(first)).await;
    assert!(matches!(expired, Err(StoreError::Expired { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn old_events_are_removed_one_by_one() {
    let etcd = EtcdServer::start();
    let mut short = options(&etcd.endpoint());
    short.event_ttl = Some(Duration::from_secs(2));
    let opened = open(short).await;
    let events = opened.resource(&gvr::EVENTS);
    let event = |name: &str, created: &str, last: &str| {
        bytes(&json!({
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": "default", "creationTimestamp": created},
            "lastTimestamp": last,
        }))
    };
    let (past, future) = ("2020-01-01T00:00:00Z", "2999-01-01T00:00:00Z");
    let mut kept = 0;
    for (name, created, last) in [
        ("kept", past, future),
        ("old-1", past, past),
        ("old-2", past, past),
    ] {
        let txn = Txn::new().create(events.key("default", name), event(name, created, last));
        kept = opened.commit(txn).await.expect("it is written");
    }
    let waited = deadline();
    let left = loop {
        let read = opened.store.read(&events, ReadAt::Latest, deadline()).await;
        let left = names(&read.expect("events can be read"));
        if left.len() == 1 || tokio::time::Instant::now() > waited {
            break left;
        }
        sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(left, ["kept"]);
    assert_eq!(opened.store.revision(), kept + 2);
    assert_eq!(opened.store.stats().expired_events, 2);
}
