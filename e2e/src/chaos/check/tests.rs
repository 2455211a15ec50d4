//! Each invariant holds for a good history, and is seen to break in a bad one.

use ferrule_proto::v1::EventType;
use ferrule_proto::v1::EventType::{EventAdded, EventDeleted, EventModified};

use super::*;
use crate::chaos::history::{Facts, Outcome, Pod, Stretch, Wish};

fn at(seconds: u64) -> Moment {
    Moment::from_secs(seconds)
}

fn event(kind: EventType, revision: i64, name: &str, facts: Facts) -> Event {
    Event {
        kind,
        revision,
        key: format!("chaos/{name}"),
        uid: format!("uid-{name}"),
        digest: revision.unsigned_abs(),
        at: at(revision.unsigned_abs()),
        facts,
    }
}

fn tape(watcher: &str, resource: &'static str, events: Vec<Event>) -> Tape {
    let to = events.iter().map(|event| event.revision).max().unwrap_or(1);
    Tape {
        watcher: watcher.to_owned(),
        resource,
        stretches: vec![Stretch {
            from: 1,
            to,
            present: Vec::new(),
            events,
        }],
        resumed: 0,
    }
}

fn write(wish: Wish, value: &str, outcome: Outcome) -> Write {
    Write {
        key: "key".to_owned(),
        wish,
        value: value.to_owned(),
        at: at(1),
        ended: at(1),
        outcome,
    }
}

fn unknown() -> Outcome {
    Outcome::Unknown("no answer".to_owned())
}

fn value(kind: EventType, revision: i64, value: &str) -> Event {
    event(kind, revision, "key", Facts::Value(value.to_owned()))
}

fn names(broken: &[Broken]) -> Vec<&'static str> {
    broken.iter().map(|one| one.invariant).collect()
}

fn of_writes(writes: Vec<Write>, events: Vec<Event>, read: Option<(&str, i64)>) -> Histories {
    let read = read.map(|(value, revision)| ("key".to_owned(), (value.to_owned(), revision)));
    Histories {
        writes,
        tapes: vec![tape("one", "configmaps", events)],
        read_back: read.into_iter().collect(),
        ..Histories::default()
    }
}

#[test]
fn what_is_read_back_is_the_last_acknowledged_write_or_a_later_unknown_one() {
    use Outcome::{Done, Refused};
    use Wish::{Create, Delete, Update};
    let created = || write(Create, "a", Done(2));
    let added = || value(EventAdded, 2, "a");
    type Case = (
        &'static str,
        Vec<Write>,
        Vec<Event>,
        Option<(&'static str, i64)>,
        usize,
    );
    let cases: [Case; 9] = [
        ("kept", vec![created()], vec![added()], Some(("a", 2)), 0),
        ("lost", vec![created()], vec![added()], None, 1),
        (
            "an older value",
            vec![created(), write(Update, "b", Done(3))],
            vec![added(), value(EventModified, 3, "b")],
            Some(("a", 2)),
            1,
        ),
        (
            "an unknown update was done",
            vec![created(), write(Update, "b", unknown())],
            vec![added(), value(EventModified, 3, "b")],
            Some(("b", 3)),
            0,
        ),
        (
            "an unknown update was not done",
            vec![created(), write(Update, "b", unknown())],
            vec![added()],
            Some(("a", 2)),
            0,
        ),
        (
            "an unknown deletion was done",
            vec![created(), write(Delete, "a", unknown())],
            vec![added(), value(EventDeleted, 3, "a")],
            None,
            0,
        ),
        (
            "a refused update was done",
            vec![created(), write(Update, "b", Refused("no".into()))],
            vec![added(), value(EventModified, 3, "b")],
            Some(("b", 3)),
            2,
        ),
        (
            "acknowledged with another revision",
            vec![write(Create, "a", Done(5))],
            vec![added(), value(EventModified, 5, "x")],
            Some(("a", 5)),
            2,
        ),
        (
            "deleted, but there",
            vec![created(), write(Delete, "a", Done(3))],
            vec![added(), value(EventDeleted, 3, "a")],
            Some(("a", 2)),
            1,
        ),
    ];
    for (name, writes, events, read, expected) in cases {
        let broken = writes::check(&of_writes(writes, events, read));
        assert_eq!(broken.len(), expected, "{name}: {broken:?}");
    }
}

#[test]
fn a_missed_or_repeated_or_different_event_is_seen() {
    let whole = || {
        vec![
            value(EventAdded, 2, "a"),
            value(EventModified, 3, "b"),
            value(EventModified, 4, "c"),
        ]
    };
    let mut gap = tape("two", "configmaps", whole());
    gap.stretches[0].events.remove(1);
    let mut repeated = tape("two", "configmaps", whole());
    repeated.stretches[0]
        .events
        .push(value(EventModified, 4, "c"));
    let mut other = tape("two", "configmaps", whole());
    other.stretches[0].events[1].digest += 1;
    let mut behind = tape("two", "configmaps", whole());
    behind.stretches[0].events.truncate(1);
    behind.stretches[0].to = 2;
    let mut after_a_410 = gap.clone();
    after_a_410.stretches[0].to = 2;
    let rest = after_a_410.stretches[0].events.split_off(1);
    after_a_410.stretches.push(Stretch {
        from: 3,
        to: 4,
        present: vec![value(EventModified, 3, "b")],
        events: rest,
    });
    for (name, second, expected) in [
        ("the same", tape("two", "configmaps", whole()), 0),
        ("one is missing", gap, 1),
        ("one came twice", repeated, 1),
        ("not yet that far", behind, 0),
        ("a gap with a 410", after_a_410, 0),
    ] {
        let histories = Histories {
            tapes: vec![tape("one", "configmaps", whole()), second],
            ..Histories::default()
        };
        let broken = watches::check(&histories);
        assert_eq!(broken.len(), expected, "{name}: {broken:?}");
    }
    let histories = Histories {
        tapes: vec![tape("one", "configmaps", whole()), other],
        ..Histories::default()
    };
    assert_eq!(names(&watches::check(&histories)), [WATCHES], "other bytes");
    let mut acknowledged = of_writes(
        vec![write(Wish::Update, "z", Outcome::Done(3))],
        whole(),
        None,
    );
    acknowledged.tapes[0].stretches[0].events.remove(1);
    assert_eq!(
        names(&watches::check(&acknowledged)),
        [WATCHES],
        "acknowledged, but never seen"
    );
}

fn pod(node: &str, phase: &str, ended: Option<i64>) -> Pod {
    Pod {
        node: node.to_owned(),
        phase: phase.to_owned(),
        ended: ended.map(|code| (code, String::new())),
        ..Pod::default()
    }
}

fn of_pods(events: Vec<Event>) -> Histories {
    Histories {
        tapes: vec![tape("one", "pods", events)],
        ended: at(1000),
        ..Histories::default()
    }
}

fn is(pod: Pod) -> Facts {
    Facts::Pod(Box::new(pod))
}

#[test]
fn a_pod_that_moves_to_another_node_is_seen() {
    let on = |revision, node| event(EventModified, revision, "p", is(pod(node, "Pending", None)));
    assert_eq!(
        pods::check(&of_pods(vec![on(2, ""), on(3, "node1"), on(4, "node1")])),
        []
    );
    let moved = of_pods(vec![on(2, ""), on(3, "node1"), on(4, "node2")]);
    assert_eq!(names(&pods::check(&moved)), [BOUND_ONCE]);
}

fn disturbance(ends_containers: bool, service: &str, from: u64) -> Disturbance {
    Disturbance {
        kind: "a fault",
        service: service.to_owned(),
        ends_containers,
        from: at(from),
        undone: at(from + 1),
        works: Some(at(from + 2)),
        wrong: String::new(),
        well: Some(at(from + 2)),
        endpoints: Some(at(from + 2)),
    }
}

#[test]
fn a_wrong_exit_code_is_seen_unless_a_fault_ended_the_container() {
    let ending = Ending {
        name: "p".to_owned(),
        code: 7,
        at: at(1),
    };
    let end = |phase: &str, code| {
        let mut histories = of_pods(vec![
            event(EventAdded, 2, "p", is(pod("node1", "Running", None))),
            event(EventModified, 9, "p", is(pod("node1", phase, code))),
        ]);
        histories.endings.push(ending.clone());
        histories
    };
    assert_eq!(pods::check(&end("Failed", Some(7))), []);
    assert_eq!(
        names(&pods::check(&end("Succeeded", Some(7)))),
        [EXIT_CODES]
    );
    assert_eq!(names(&pods::check(&end("Failed", None))), [EXIT_CODES]);
    assert_eq!(
        names(&pods::check(&end("Running", None))),
        [EXIT_CODES],
        "never ends"
    );
    let mut hit = end("Failed", Some(137));
    hit.disturbances.push(disturbance(false, "node1", 5));
    assert_eq!(names(&pods::check(&hit)), [EXIT_CODES]);
    hit.disturbances.push(disturbance(true, "node1", 5));
    assert_eq!(pods::check(&hit), []);
}

#[test]
fn a_restart_is_excused_only_by_a_fault_that_ends_containers_of_the_node() {
    let restarted = |node: &str, restarts| {
        is(Pod {
            restarts,
            ..pod(node, "Running", None)
        })
    };
    let history = |disturbances: Vec<Disturbance>| Histories {
        disturbances,
        ..of_pods(vec![
            event(EventAdded, 2, "p", restarted("node1", 0)),
            event(EventModified, 9, "p", restarted("node1", 1)),
        ])
    };
    for (disturbances, expected) in [
        (vec![], 1),
        (vec![disturbance(true, "node1", 5)], 0),
        (vec![disturbance(true, "node2", 5)], 1),
        (
            vec![
                disturbance(true, "node1", 5),
                disturbance(false, "node1", 8),
            ],
            1,
        ),
    ] {
        let broken = pods::check(&history(disturbances));
        assert_eq!(broken.len(), expected, "{broken:?}");
    }
}

#[test]
fn a_pod_too_many_is_seen_at_its_revision() {
    let owned = || {
        is(Pod {
            owner: "uid-set".to_owned(),
            ..pod("node1", "Running", None)
        })
    };
    let history = |replicas| Histories {
        tapes: vec![
            tape(
                "one",
                "replicasets",
                vec![event(EventAdded, 2, "set", Facts::ReplicaSet(replicas))],
            ),
            tape(
                "one",
                "pods",
                vec![
                    event(EventAdded, 3, "a", owned()),
                    event(EventAdded, 4, "b", owned()),
                    event(EventDeleted, 5, "a", owned()),
                    event(EventAdded, 6, "c", owned()),
                ],
            ),
        ],
        ..Histories::default()
    };
    assert_eq!(pods::check(&history(2)), []);
    assert_eq!(names(&pods::check(&history(1))), [REPLICAS, REPLICAS]);
}

#[test]
fn terms_of_leaders_follow_one_another_and_have_one_holder() {
    let terms = |terms: &[(&str, u64)]| {
        let events = (2..).zip(terms).map(|(revision, (holder, term))| {
            event(
                EventModified,
                revision,
                "lease",
                Facts::Lease((*holder).to_owned(), *term),
            )
        });
        leaders::check(&Histories {
            tapes: vec![tape("one", "leases", events.collect())],
            ..Histories::default()
        })
    };
    assert_eq!(
        terms(&[("a", 0), ("a", 0), ("", 0), ("b", 1), ("a", 2)]),
        []
    );
    assert_eq!(
        names(&terms(&[("a", 0), ("b", 0)])),
        [LEADERS],
        "two holders of a term"
    );
    assert_eq!(
        names(&terms(&[("a", 3), ("b", 2)])),
        [LEADERS],
        "an old term again"
    );
}

#[test]
fn a_shared_address_or_node_port_is_seen() {
    let service = |revision, name: &str, address: &str, port| {
        event(
            EventAdded,
            revision,
            name,
            Facts::Service(address.to_owned(), vec![port]),
        )
    };
    let check = |events| {
        allocation::check(&Histories {
            tapes: vec![tape("one", "services", events)],
            ..Histories::default()
        })
    };
    assert_eq!(
        check(vec![
            service(2, "a", "10.96.0.1", 1),
            service(3, "b", "10.96.0.2", 2)
        ]),
        []
    );
    assert_eq!(
        names(&check(vec![
            service(2, "a", "10.96.0.1", 1),
            service(3, "b", "10.96.0.1", 2)
        ])),
        [ALLOCATION]
    );
    assert_eq!(
        names(&check(vec![
            service(2, "a", "10.96.0.1", 1),
            service(3, "b", "10.96.0.2", 1)
        ])),
        [ALLOCATION]
    );
    let gone = event(
        EventDeleted,
        3,
        "a",
        Facts::Service("10.96.0.1".into(), vec![1]),
    );
    assert_eq!(
        check(vec![
            service(2, "a", "10.96.0.1", 1),
            gone,
            service(4, "b", "10.96.0.1", 1)
        ]),
        []
    );
}

#[test]
fn a_pod_network_of_two_nodes_is_seen() {
    let node = |revision, name: &str, network: &str| {
        let facts = Facts::Node(vec![network.to_owned()]);
        event(EventModified, revision, name, facts)
    };
    let check = |events| {
        allocation::check(&Histories {
            tapes: vec![tape("one", "nodes", events)],
            ..Histories::default()
        })
    };
    let (one, two) = ("10.244.0.0/24", "10.244.1.0/24");
    assert_eq!(
        check(vec![
            node(2, "a", one),
            node(3, "b", two),
            node(4, "a", one)
        ]),
        []
    );
    assert_eq!(
        names(&check(vec![node(2, "a", one), node(3, "b", one)])),
        [ALLOCATION]
    );
}

#[test]
fn a_recovery_that_is_late_breaks_its_invariant() {
    let mut late = disturbance(false, "node1", 5);
    late.endpoints = None;
    assert_eq!(
        names(&recovery(&[disturbance(false, "node1", 1), late.clone()])),
        [ENDPOINTS]
    );
    late.well = None;
    assert_eq!(names(&recovery(&[late])), [ENDPOINTS, RECOVERY]);
}
