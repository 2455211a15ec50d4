//! The store on an etcd of three members: any one of them may fail.

#[path = "support/etcd.rs"]
mod etcd;
#[path = "support/store.rs"]
mod support;

use std::time::Duration;

use etcd::EtcdServer;
use ferrule_apiserver::store::{
    CommitError, Committed, EventKind, ReadAt, Store, StoreOptions, Txn, WatchFrom,
};
use support::*;
use tokio::time::{Instant, timeout};

/// How long reads, writes and watches may be away after a fault: an election, and moving.
const PATIENCE: Duration = Duration::from_secs(60);

fn options_of(members: &[EtcdServer]) -> StoreOptions {
    StoreOptions {
        endpoints: members.iter().map(EtcdServer::endpoint).collect(),
        ..options("")
    }
}

/// Carries out a transaction that can be sent again, as the verbs do.
async fn insist(store: &Store, txn: Txn) -> Committed {
    let until = Instant::now() + PATIENCE;
    loop {
        match store.commit(txn.clone(), until).await {
            Ok(committed) => return committed,
            Err(CommitError::Conflict { .. }) => panic!("nobody else writes"),
            Err(error) => assert!(Instant::now() < until, "{error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_writes_and_watches_outlive_the_death_and_the_pause_of_each_member() {
    let mut members = EtcdServer::start_members(3);
    let opened = open(options_of(&members)).await;
    let mut watch = opened.watch(everything(), WatchFrom::Now).await;
    let mut written: Vec<(String, i64)> = Vec::new();
    for round in 0..6 {
        let (member, paused) = (round % 3, round >= 3);
        if paused {
            members[member].pause();
        } else {
            members[member].kill();
        }
        for turn in 0..20 {
            let name = format!("p-{round}-{turn}");
            let key = opened.pods().key("default", &name);
            let txn = Txn::new().create(key, pod(&name, "a", ""));
            let committed = insist(&opened.store, txn).await;
            written.push((name, committed.revision));
        }
        let read = opened
            .try_read(ReadAt::Latest, Instant::now() + PATIENCE)
            .await;
        assert_eq!(read.expect("a read goes on").len(), written.len());
        if paused {
            members[member].resume();
        } else {
            members[member].run();
        }
    }
    let mut seen = Vec::new();
    while seen.len() < written.len() {
        let batch = timeout(PATIENCE, watch.next()).await;
        for event in batch
            .expect("the watch goes on")
            .expect("nothing is lost")
            .events
        {
            assert_eq!(event.kind, EventKind::Added);
            seen.push((event.object.header.name.to_string(), event.revision));
        }
    }
    assert_eq!(seen, written);
    assert_eq!(opened.store.stats().reloads, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_opens_when_the_first_member_is_dead_or_paused() {
    let mut members = EtcdServer::start_members(3);
    members[0].pause();
    let opened = timeout(PATIENCE, open(options_of(&members))).await;
    opened
        .expect("another member is taken")
        .create("a", "a", "")
        .await;
    members[0].resume();
    members[0].kill();
    let opened = timeout(PATIENCE, open(options_of(&members))).await;
    let opened = opened.expect("another member is taken");
    assert_eq!(opened.read(ReadAt::Latest).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_majority_writes_are_refused_until_there_is_one_again() {
    let mut members = EtcdServer::start_members(3);
    let opened = open(options_of(&members)).await;
    let revision = opened.create("a", "a", "").await;
    members[1].kill();
    members[2].kill();
    let refused = opened
        .store
        .commit(
            Txn::new().update(
                opened.pods().key("default", "a"),
                revision,
                pod("a", "b", ""),
            ),
            soon(),
        )
        .await;
    assert!(refused.is_err());
    assert_eq!(opened.read(ReadAt::Any).await.len(), 1);
    members[1].run();
    let key = opened.pods().key("default", "b");
    insist(&opened.store, Txn::new().create(key, pod("b", "a", ""))).await;
}
