//! Commits and reads of the store against a real etcd.

#[path = "support/etcd.rs"]
mod etcd;
#[path = "support/store.rs"]
mod support;

use std::collections::HashSet;

use etcd::EtcdServer;
use ferrule_apiserver::store::{CommitError, Compare, ReadAt, StoreError, Txn};
use support::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_write_is_seen_by_the_next_consistent_read() {
    let etcd = EtcdServer::start();
    let opened = open(options(&etcd.endpoint())).await;
    let other = open(options(&etcd.endpoint())).await;
    let mut revision = opened.create("web", "a", "").await;
    for _ in 0..50 {
        for store in [&opened, &other] {
            let snapshot = store.read(ReadAt::Latest).await;
            assert!(snapshot.revision >= revision);
            let web = snapshot.get("default", "web").expect("web exists");
            assert_eq!(web.revision, revision);
        }
        revision = opened.update("web", revision, "b", "").await;
    }
    let deleted = opened.remove("web", revision).await;
    assert!(deleted > revision);
    assert!(other.read(ReadAt::AtLeast(deleted)).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_concurrent_creates_of_one_name_exactly_one_wins() {
    let etcd = EtcdServer::start();
    let opened = std::sync::Arc::new(open(options(&etcd.endpoint())).await);
    for round in 0..10 {
        let tasks: Vec<_> = (0..16)
            .map(|caller| {
                let opened = opened.clone();
                tokio::spawn(async move {
                    let key = opened.pods().key("default", &format!("p{round}"));
                    let body = pod(&format!("p{round}"), &format!("c{caller}"), "");
                    opened.commit(Txn::new().create(key, body)).await
                })
            })
            .collect();
        let mut won = Vec::new();
        for task in tasks {
            match task.await.expect("no panic") {
                Ok(revision) => won.push(revision),
                Err(CommitError::Conflict { revision, failed }) => {
                    assert_eq!(failed, [0]);
                    assert!(revision > 0);
                }
                Err(other) => panic!("{other}"),
            }
        }
        assert_eq!(won.len(), 1);
        let snapshot = opened.read(ReadAt::Latest).await;
        let pod = snapshot.get("default", &format!("p{round}"));
        assert_eq!(pod.expect("it exists").revision, won[0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_is_all_or_nothing_and_says_which_compares_failed() {
    let etcd = EtcdServer::start();
    let opened = open(options(&etcd.endpoint())).await;
    let taken = Txn::new().create("/ferrule/nodeports/30000", "uid-1");
    opened.commit(taken).await.expect("the port is free");
    let key = opened.pods().key("default", "web");
    let both = Txn::new()
        .create(key.clone(), pod("web", "a", ""))
        .create("/ferrule/nodeports/30000", "uid-2");
    match opened.commit(both).await {
        Err(CommitError::Conflict { failed, .. }) => assert_eq!(failed, [1]),
        other => panic!("{other:?}"),
    }
    assert!(opened.read(ReadAt::Latest).await.is_empty());
    let epoch = Txn::new()
        .when(Compare::Value(
            "/ferrule/nodeports/30000".into(),
            "uid-1".into(),
        ))
        .create(key, pod("web", "a", ""));
    opened
        .commit(epoch)
        .await
        .expect("the value is as compared");
    let (value, _) = opened
        .store
        .get_key("/ferrule/nodeports/30000", deadline())
        .await
        .expect("etcd answers")
        .expect("the key exists");
    assert_eq!(value, "uid-1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_beyond_etcds_limit_is_too_large() {
    let etcd = EtcdServer::start();
    let opened = open(options(&etcd.endpoint())).await;
    for size in [1_600_000, 3_000_000] {
        let txn = Txn::new().create("/registry/configmaps/default/big", vec![b' '; size]);
        match opened.commit(txn).await {
            Err(CommitError::TooLarge(_)) => {}
            other => panic!("{size}: {other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_one_revision_fit_together_while_writes_go_on() {
    let etcd = EtcdServer::start();
    let opened = std::sync::Arc::new(open(options(&etcd.endpoint())).await);
    for at in 0..100 {
        opened.create(&format!("p{at:03}"), "a", "").await;
    }
    let first = opened.read(ReadAt::Latest).await;
    let expected = names(&first);
    let writer = tokio::spawn({
        let opened = opened.clone();
        async move {
            for at in 0..300 {
                let name = format!("p{:03}", (at * 7) % 100);
                let now = opened.read(ReadAt::Latest).await;
                match now.get("default", &name) {
                    Some(pod) => opened.remove(&name, pod.revision).await,
                    None => opened.create(&name, "b", "").await,
                };
            }
        }
    });
    let mut read = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let page = opened.read(ReadAt::Exact(first.revision)).await;
        assert_eq!(page.revision, first.revision);
        let entries: Vec<_> = page
            .iter_from(Some("default"), after.as_deref())
            .take(7)
            .map(|(key, pod)| (key.to_string(), pod.header.name.to_string()))
            .collect();
        let Some((last, _)) = entries.last() else {
            break;
        };
        after = Some(last.clone());
        read.extend(entries.into_iter().map(|(_, name)| name));
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(read, expected);
    writer.await.expect("the writer is done");
    let again = opened.read(ReadAt::Exact(first.revision)).await;
    assert_eq!(names(&again), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_past_revision_reads_as_it_was() {
    let etcd = EtcdServer::start();
    let opened = open(options(&etcd.endpoint())).await;
    let mut states: Vec<(i64, Vec<(String, i64)>)> = Vec::new();
    let mut revisions = std::collections::BTreeMap::new();
    for at in 0..600 {
        let name = format!("p{}", (at * 13) % 17);
        let revision = match revisions.get(&name) {
            Some(&revision) if at % 3 == 0 => {
                revisions.remove(&name);
                opened.remove(&name, revision).await
            }
            Some(&revision) => {
                let written = opened.update(&name, revision, "x", "").await;
                revisions.insert(name, written);
                written
            }
            None => {
                let written = opened.create(&name, "x", "").await;
                revisions.insert(name, written);
                written
            }
        };
        states.push((revision, revisions.clone().into_iter().collect()));
    }
    for (revision, expected) in states {
        let snapshot = opened.read(ReadAt::Exact(revision)).await;
        let read: Vec<(String, i64)> = snapshot
            .iter()
            .map(|(_, pod)| (pod.header.name.to_string(), pod.revision))
            .collect();
        assert_eq!(read, expected, "at revision {revision}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_past_beyond_the_bound_is_expired() {
    let etcd = EtcdServer::start();
    let mut small = options(&etcd.endpoint());
    small.history_bytes = 20_000;
    let opened = open(small).await;
    let first = opened.create("web", "a", "").await;
    let mut revision = first;
    for _ in 0..100 {
        revision = opened.update("web", revision, "b", "").await;
    }
    opened.read(ReadAt::AtLeast(revision)).await;
    assert!(opened.store.stats().history_bytes <= 20_000);
    match opened.try_read(ReadAt::Exact(first), deadline()).await {
        Err(StoreError::Expired { requested, oldest }) => {
            assert_eq!(requested, first);
            assert!(oldest > first);
        }
        other => panic!("{:?}", other.map(|snapshot| snapshot.revision)),
    }
    opened.read(ReadAt::Exact(revision - 3)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revision_of_the_future_is_refused_with_the_current_one() {
    let etcd = EtcdServer::start();
    let opened = open(options(&etcd.endpoint())).await;
    let revision = opened.create("web", "a", "").await;
    for at in [
        ReadAt::AtLeast(revision + 1000),
        ReadAt::Exact(revision + 1000),
    ] {
        match opened.try_read(at, deadline()).await {
            Err(StoreError::RevisionTooLarge { requested, current }) => {
                assert_eq!((requested, current), (revision + 1000, revision));
            }
            other => panic!("{:?}", other.map(|snapshot| snapshot.revision)),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn consistent_reads_share_requests_to_etcd() {
    let etcd = EtcdServer::start();
    let opened = std::sync::Arc::new(open(options(&etcd.endpoint())).await);
    opened.create("web", "a", "").await;
    let before = opened.store.stats().revision_requests;
    let tasks: Vec<_> = (0..2000)
        .map(|_| {
            let opened = opened.clone();
            tokio::spawn(async move { opened.read(ReadAt::Latest).await.len() })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.expect("no panic"), 1);
    }
    let requests = opened.store.stats().revision_requests - before;
    assert!(requests < 500, "{requests} requests for 2000 reads");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_others_move_the_revision_on() {
    let etcd = EtcdServer::start();
    let opened = open(options(&etcd.endpoint())).await;
    let mut seen = HashSet::new();
    for key in [
        "/elsewhere/a",
        "/registry/unknown/b",
        "/registry/pods",
        "zzz",
    ] {
        let txn = Txn::new().create(key, "not an object");
        let revision = opened.commit(txn).await.expect("it is written");
        assert!(seen.insert(revision));
        let snapshot = opened.read(ReadAt::AtLeast(revision)).await;
        assert_eq!(snapshot.revision, revision);
        assert!(snapshot.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_initial_load_comes_in_pages() {
    let etcd = EtcdServer::start();
    let opened = open(options(&etcd.endpoint())).await;
    for at in 0..53 {
        opened.create(&format!("p{at:02}"), "a", "").await;
    }
    let mut paged = options(&etcd.endpoint());
    paged.load_page = 10;
    paged.history_replay = 20;
    let second = open(paged).await;
    let (one, two) = (
        opened.read(ReadAt::Latest).await,
        second.read(ReadAt::Any).await,
    );
    assert_eq!(two.revision, one.revision);
    assert_eq!(names(&two), names(&one));
    assert_eq!(two.len(), 53);
}
