//! Random writes, watched from random points: every watch shows exactly the matching changes.

#[path = "support/etcd.rs"]
mod etcd;
#[path = "support/faulty.rs"]
mod faulty;
#[path = "support/store.rs"]
mod support;

use std::collections::BTreeMap;
use std::sync::atomic::Ordering::SeqCst;

use etcd::EtcdServer;
use faulty::Faulty;
use ferrule_apiserver::store::{EventKind, ReadAt, WatchFilter, WatchFrom};
use proptest::prelude::*;
use support::*;

#[derive(Debug, Clone)]
enum Step {
    /// Writes pod `name` with a label and a node, or removes it.
    Write { name: u8, state: Option<(u8, u8)> },
    /// Opens a watch: after one of the last revisions, or with the initial state.
    Watch { filter: u8, back: Option<u8> },
    /// Closes a watch and resumes it where it was.
    Resume { which: u8 },
    /// Cuts the stream from etcd.
    Cut,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..6u8, proptest::option::weighted(0.8, (0..3u8, 0..3u8)))
            .prop_map(|(name, state)| Step::Write { name, state }),
        1 => (0..7u8, proptest::option::of(0..20u8))
            .prop_map(|(filter, back)| Step::Watch { filter, back }),
        1 => any::<u8>().prop_map(|which| Step::Resume { which }),
        1 => Just(Step::Cut),
    ]
}

/// Name, label and node of a pod.
type Pod = (String, String, String);

fn filter_of(number: u8) -> (WatchFilter, fn(&Pod) -> bool) {
    match number {
        0 => (everything(), |_| true),
        1 => (by_label("app=a0"), |pod| pod.1 == "a0"),
        2 => (by_field("spec.nodeName=n1"), |pod| pod.2 == "n1"),
        3 => (by_field("spec.nodeName="), |pod| pod.2.is_empty()),
        4 => (by_field("metadata.name=p2"), |pod| pod.0 == "p2"),
        5 => (
            WatchFilter {
                labels: by_label("app=a1").labels,
                ..by_field("spec.nodeName=n2")
            },
            |pod| pod.1 == "a1" && pod.2 == "n2",
        ),
        _ => (
            WatchFilter {
                namespace: Some("default".into()),
                ..everything()
            },
            |_| true,
        ),
    }
}

/// A change as the model knows it.
struct Change {
    revision: i64,
    name: String,
    old: Option<Pod>,
    new: Option<Pod>,
}

/// A watch with what it has shown and should have shown.
struct Watching {
    watcher: Option<ferrule_apiserver::store::Watcher>,
    filter: u8,
    /// State at the start when it began with one, and the revision after which changes count.
    initial: Option<Vec<(String, i64)>>,
    from: i64,
    seen: Vec<Seen>,
    at: i64,
}

fn expected(watching: &Watching, changes: &[Change]) -> Vec<Seen> {
    let (_, matches) = filter_of(watching.filter);
    let initial = watching.initial.iter().flatten();
    let mut expected: Vec<Seen> = initial
        .map(|(name, revision)| (EventKind::Added, name.clone(), *revision))
        .collect();
    for change in changes.iter().filter(|it| it.revision > watching.from) {
        let old = change.old.as_ref().is_some_and(matches);
        let new = change.new.as_ref().is_some_and(matches);
        let kind = match (old, new) {
            (false, true) => EventKind::Added,
            (true, true) => EventKind::Modified,
            (true, false) => EventKind::Deleted,
            (false, false) => continue,
        };
        expected.push((kind, change.name.clone(), change.revision));
    }
    expected
}

async fn run(etcd: &EtcdServer, steps: Vec<Step>) {
    let mut options = options(&etcd.endpoint());
    options.watch_batch = 3;
    options.progress_interval = std::time::Duration::from_millis(10);
    let (backend, faults) = Faulty::new(&options);
    faults.shatter.store(true, SeqCst);
    let opened = open_on(backend, options).await;
    // What an earlier run left behind is not of this one.
    let left = opened.read(ReadAt::Latest).await;
    let mut start = left.revision;
    for (_, pod) in left.iter() {
        start = opened.remove(&pod.header.name, pod.revision).await;
    }
    let mut state: BTreeMap<String, (i64, Pod)> = BTreeMap::new();
    let mut changes: Vec<Change> = Vec::new();
    let mut watches: Vec<Watching> = Vec::new();
    let mut last = start;
    for step in steps {
        match step {
            Step::Write { name, state: new } => {
                let name = format!("p{name}");
                let old = state.get(&name).cloned();
                let new = new.map(|(label, node)| {
                    let node = if node == 0 {
                        String::new()
                    } else {
                        format!("n{node}")
                    };
                    (name.clone(), format!("a{label}"), node)
                });
                last = match (&old, &new) {
                    (None, None) => continue,
                    (None, Some(pod)) => opened.create(&name, &pod.1, &pod.2).await,
                    (Some((at, _)), Some(pod)) => opened.update(&name, *at, &pod.1, &pod.2).await,
                    (Some((at, _)), None) => opened.remove(&name, *at).await,
                };
                match &new {
                    Some(pod) => state.insert(name.clone(), (last, pod.clone())),
                    None => state.remove(&name),
                };
                changes.push(Change {
                    revision: last,
                    name,
                    old: old.map(|(_, pod)| pod),
                    new,
                });
            }
            Step::Watch { filter, back } => {
                let (selected, matches) = filter_of(filter);
                let (from, initial) = match back {
                    Some(back) => ((last - i64::from(back)).max(start), None),
                    None => {
                        let revision = opened.store.wait_for_current(deadline()).await;
                        assert_eq!(revision, Ok(last));
                        let matching = state.values().filter(|(_, pod)| matches(pod));
                        let initial = matching
                            .map(|(revision, pod)| (pod.0.clone(), *revision))
                            .collect();
                        (last, Some(initial))
                    }
                };
                let from_where = match initial {
                    Some(_) => WatchFrom::WithInitial,
                    None => WatchFrom::After(from),
                };
                watches.push(Watching {
                    watcher: Some(opened.watch(selected, from_where).await),
                    filter,
                    initial,
                    from,
                    seen: Vec::new(),
                    at: 0,
                });
            }
            Step::Resume { which } => {
                let count = watches.len();
                let Some(watching) = watches.get_mut(usize::from(which) % count.max(1)) else {
                    continue;
                };
                // Some of what it has; it is left in the middle.
                let mut watcher = watching.watcher.take().expect("it is open");
                loop {
                    let batch = watcher.next().await.expect("the watch goes on");
                    watching.at = batch.revision;
                    watching.seen.extend(shown(&batch));
                    if batch.revision > 0 || last == watching.at {
                        break;
                    }
                }
                drop(watcher);
                let (filter, _) = filter_of(watching.filter);
                let from = WatchFrom::After(watching.at);
                watching.watcher = Some(opened.watch(filter, from).await);
            }
            Step::Cut => faults.hang_up.notify_one(),
        }
        // A watch that is up to date and matches nothing reports progress only after a change.
        last = opened.commit_marker().await.max(last);
    }
    for watching in &mut watches {
        let mut watcher = watching.watcher.take().expect("it is open");
        while watching.at < last {
            let batch = watcher.next().await.expect("the watch goes on");
            assert!(batch.revision == 0 || batch.revision >= watching.at);
            watching.at = batch.revision;
            watching.seen.extend(shown(&batch));
        }
        assert_eq!(
            watching.seen,
            expected(watching, &changes),
            "filter {} from {}",
            watching.filter,
            watching.from
        );
    }
    assert_eq!(opened.store.stats().reloads, 0);
}

fn shown(batch: &ferrule_apiserver::store::WatchBatch) -> Vec<Seen> {
    let events = batch.events.iter();
    events
        .map(|event| {
            let name = event.object.header.name.to_string();
            (event.kind, name, event.revision)
        })
        .collect()
}

trait Marker {
    async fn commit_marker(&self) -> i64;
}

impl Marker for Opened {
    /// Moves the revision on without changing an object.
    async fn commit_marker(&self) -> i64 {
        let txn = ferrule_apiserver::store::Txn::new().put("/ferrule/marker", "x");
        self.commit(txn).await.expect("it is written")
    }
}

#[test]
fn every_watch_shows_exactly_the_matching_changes_in_order() {
    let etcd = EtcdServer::start();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let config = ProptestConfig {
        cases: 24,
        max_shrink_iters: 40,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |(steps in proptest::collection::vec(step(), 1..120))| {
        runtime.block_on(run(&etcd, steps));
    });
}
