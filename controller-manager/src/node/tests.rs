use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::cidrs::{Division, Network};
use super::contact::Contact;
use super::eviction::{Stay, stay};
use super::health::{Grace, Heard, Observed, Plan, plan};
use super::zones::{Eviction, Limiter, Rates, Zone, Zones};
use crate::objects::node::{Node, NodeLease, Taint};
use crate::objects::pod::Pod;

fn start() -> Timestamp {
    "2026-01-02T03:04:05Z".parse().unwrap()
}

fn after(seconds: i64) -> Timestamp {
    start() + SignedDuration::from_secs(seconds)
}

const GRACE: Grace = Grace {
    monitor: SignedDuration::from_secs(40),
    startup: SignedDuration::from_secs(60),
};

fn node(ready: &str, taints: Value) -> Node {
    let conditions = if ready.is_empty() {
        json!([])
    } else {
        json!([{"type": "Ready", "status": ready, "reason": "KubeletReady", "message": "kubelet is posting ready status",
            "lastHeartbeatTime": start().to_string(), "lastTransitionTime": start().to_string()}])
    };
    serde_json::from_value(json!({
        "metadata": {"name": "node1", "creationTimestamp": start().to_string()},
        "spec": {"taints": taints},
        "status": {"conditions": conditions},
    }))
    .unwrap()
}

fn lease(at: Timestamp) -> NodeLease {
    serde_json::from_value(json!({"spec": {"renewTime": at.to_string()}})).unwrap()
}

fn planned(node: &Node, heard: &Heard, pods: &[&Pod], eviction: Eviction, now: Timestamp) -> Plan {
    let contact = Contact::new(start(), SignedDuration::MAX);
    plan(
        &Observed {
            node,
            heard,
            contact,
            pods: pods.to_vec(),
            eviction,
        },
        GRACE,
        now,
    )
}

fn taints(plan: &Plan) -> Vec<(String, String)> {
    let taints = plan.taints.iter().flatten();
    taints
        .map(|taint| {
            (
                taint.key.replace("node.kubernetes.io/", ""),
                taint.effect.clone(),
            )
        })
        .collect()
}

fn ready_pod() -> Pod {
    serde_json::from_value(json!({"status": {"conditions": [{"type": "Ready", "status": "True"}]}}))
        .unwrap()
}

#[test]
fn a_node_is_heard_through_its_lease_or_its_status() {
    let silent = node("True", json!([]));
    let mut heard = Heard::first(&silent, Some(&lease(start())), start());
    heard.update(&silent, Some(&lease(after(30))), after(30));
    let judge_in = Some(SignedDuration::ZERO);
    let expected = Plan {
        judge_in,
        ..Plan::default()
    };
    assert_eq!(
        planned(&silent, &heard, &[], Eviction::Allowed, after(70)),
        expected
    );
    assert!(planned(&silent, &heard, &[], Eviction::Allowed, after(71)).lost);
    // A lease that is deleted, or set back, is no sign of life.
    heard.update(&silent, None, after(60));
    heard.update(&silent, Some(&lease(start())), after(61));
    assert!(planned(&silent, &heard, &[], Eviction::Allowed, after(71)).lost);
}

#[test]
fn a_silent_node_becomes_unknown_is_tainted_and_its_pods_count_as_unready() {
    let silent = node("True", json!([{"key": "gpu", "effect": "NoSchedule"}]));
    let heard = Heard::first(&silent, None, start());
    let pod = ready_pod();
    let plan = planned(&silent, &heard, &[&pod], Eviction::Allowed, after(41));
    assert!(plan.lost);
    assert_eq!(plan.unready_pods, [0]);
    let said: Vec<_> = plan
        .conditions
        .iter()
        .map(|c| {
            (
                c.r#type.as_str(),
                c.status.as_str(),
                c.reason.as_str(),
                c.message.as_str(),
            )
        })
        .collect();
    let never = "Kubelet never posted node status.";
    assert_eq!(
        said,
        [
            (
                "Ready",
                "Unknown",
                "NodeStatusUnknown",
                "Kubelet stopped posting node status."
            ),
            ("MemoryPressure", "Unknown", "NodeStatusNeverUpdated", never),
            ("DiskPressure", "Unknown", "NodeStatusNeverUpdated", never),
            ("PIDPressure", "Unknown", "NodeStatusNeverUpdated", never),
        ]
    );
    let expected = [
        ("gpu", "NoSchedule"),
        ("unreachable", "NoSchedule"),
        ("unreachable", "NoExecute"),
    ];
    assert_eq!(
        taints(&plan),
        expected.map(|(key, effect)| (key.to_owned(), effect.to_owned()))
    );
    assert_eq!(plan.taints.unwrap()[2].time_added, Some(after(41)));
}

#[test]
fn taints_follow_the_ready_condition() {
    let unreachable = json!([
        {"key": "node.kubernetes.io/unreachable", "effect": "NoSchedule", "timeAdded": start().to_string()},
        {"key": "node.kubernetes.io/unreachable", "effect": "NoExecute", "timeAdded": start().to_string()},
    ]);
    let not_ready = json!([{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}]);
    type Expected = Option<&'static [(&'static str, &'static str)]>;
    let cases: [(&str, Value, Expected); 6] = [
        ("True", unreachable.clone(), Some(&[])),
        ("Unknown", unreachable.clone(), None),
        (
            "False",
            unreachable,
            Some(&[("not-ready", "NoSchedule"), ("not-ready", "NoExecute")]),
        ),
        ("True", not_ready.clone(), Some(&[])),
        ("", not_ready, None),
        (
            "True",
            json!([{"key": "mine", "effect": "NoExecute"}]),
            None,
        ),
    ];
    for (ready, present, expected) in cases {
        let node = node(ready, present.clone());
        let heard = Heard::first(&node, None, start());
        let plan = planned(&node, &heard, &[], Eviction::Allowed, after(1));
        let found = plan.taints.is_some().then(|| taints(&plan));
        let expected = expected.map(|all| {
            all.iter()
                .map(|(k, e)| ((*k).to_owned(), (*e).to_owned()))
                .collect()
        });
        assert_eq!(found, expected, "{ready} {present}");
    }
}

const RATES: Rates = Rates {
    primary: 0.1,
    secondary: 0.01,
    threshold: 0.55,
    large: 50,
};

#[test]
fn a_zone_in_trouble_evicts_more_slowly_or_not_at_all() {
    for (ready, unready, expected) in [
        (3, 0, 0.1),
        (2, 1, 0.1),
        (0, 2, 0.1),
        (0, 3, 0.1),
        (2, 3, 0.0),
        (3, 3, 0.1),
        (40, 60, 0.01),
        (60, 40, 0.1),
    ] {
        let rate = Zone { ready, unready }.rate(&RATES);
        assert_eq!(rate, expected, "{ready} ready, {unready} not");
    }
}

#[test]
fn nodes_are_evicted_one_after_the_other() {
    let mut limiter = Limiter::default();
    assert_eq!(limiter.pass(0.1, start()), Ok(()));
    let wait = Some(SignedDuration::from_secs(4));
    assert_eq!(limiter.pass(0.1, after(6)), Err(wait));
    assert_eq!(limiter.pass(0.0, after(60)), Err(None));
    assert_eq!(limiter.pass(0.1, after(60)), Ok(()));
}

#[test]
fn zones_are_counted_apart_and_only_all_together_can_be_cut_off() {
    use ferrule_client::Key;
    let mut zones = Zones::new(RATES);
    assert!(!zones.all_disrupted());
    let add = |zones: &mut Zones, name: &str, zone: &str, ready: &str| {
        let mut node = node(ready, json!([]));
        let label = "topology.kubernetes.io/zone".to_owned();
        node.metadata.labels.insert(label, zone.to_owned());
        zones.observe(Key::cluster(name), &node);
    };
    add(&mut zones, "a1", "a", "Unknown");
    add(&mut zones, "a2", "a", "False");
    assert!(zones.all_disrupted());
    add(&mut zones, "b1", "b", "True");
    assert!(!zones.all_disrupted());
    add(&mut zones, "b1", "b", "Unknown");
    assert!(zones.all_disrupted());
    for (name, passes) in [("a1", true), ("a2", false), ("b1", true), ("c1", false)] {
        let passed = zones.pass(&Key::cluster(name), start()).is_ok();
        assert_eq!(passed, passes, "{name}");
    }
    zones.remove(&Key::cluster("a1"));
    zones.remove(&Key::cluster("a2"));
    zones.remove(&Key::cluster("b1"));
    assert!(!zones.all_disrupted());
}

#[test]
fn eviction_waits_for_its_turn_goes_on_and_ends() {
    let evicting = json!([
        {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule", "timeAdded": start().to_string()},
        {"key": "node.kubernetes.io/not-ready", "effect": "NoExecute", "timeAdded": start().to_string()},
    ]);
    let one = json!([{"key": "node.kubernetes.io/unreachable", "effect": "NoSchedule"}]);
    let both: &[&str] = &["unreachable NoSchedule", "unreachable NoExecute"];
    type Case = (Value, Eviction, bool, Option<&'static [&'static str]>);
    let cases: [Case; 6] = [
        (one.clone(), Eviction::Later, true, None),
        (one.clone(), Eviction::Allowed, false, Some(both)),
        (one, Eviction::Cancelled, false, None),
        (evicting.clone(), Eviction::Later, false, Some(both)),
        (evicting.clone(), Eviction::Allowed, false, Some(both)),
        (evicting, Eviction::Cancelled, false, Some(&both[..1])),
    ];
    for (present, eviction, awaits, expected) in cases {
        let node = node("Unknown", present.clone());
        let heard = Heard::first(&node, None, start());
        let plan = planned(&node, &heard, &[], eviction, after(1));
        assert_eq!(plan.awaits_eviction, awaits, "{present} {eviction:?}");
        let found = plan.taints.is_some().then(|| {
            let taints = taints(&plan).into_iter();
            taints
                .map(|(key, effect)| format!("{key} {effect}"))
                .collect::<Vec<_>>()
        });
        let expected = expected.map(|all| all.iter().map(|own| (*own).to_owned()).collect());
        assert_eq!(found, expected, "{present} {eviction:?}");
    }
}

#[test]
fn a_pod_stays_for_as_long_as_it_bears_the_taints() {
    let taint = |key: &str, effect: &str| Taint {
        key: key.to_owned(),
        effect: effect.to_owned(),
        time_added: Some(start()),
        ..Taint::default()
    };
    let unreachable = [
        taint("unreachable", "NoSchedule"),
        taint("unreachable", "NoExecute"),
    ];
    let cases = [
        (json!([]), &unreachable[..], Stay::Until(after(100))),
        (json!([]), &unreachable[..1], Stay::Forever),
        (json!([{"operator": "Exists"}]), &unreachable, Stay::Forever),
        (
            json!([{"key": "unreachable", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5}]),
            &unreachable,
            Stay::Until(after(5)),
        ),
        (
            json!([{"key": "unreachable", "operator": "Exists", "effect": "NoSchedule"}]),
            &unreachable,
            Stay::Until(after(100)),
        ),
        (
            json!([{"key": "unreachable", "value": "other"}]),
            &unreachable,
            Stay::Until(after(100)),
        ),
    ];
    for (tolerations, taints, expected) in cases {
        let pod: Pod =
            serde_json::from_value(json!({"spec": {"tolerations": tolerations}})).unwrap();
        assert_eq!(stay(&pod, taints, after(100)), expected, "{tolerations}");
    }
}

#[test]
fn networks_are_given_once_and_taken_ones_are_left_out() {
    let division = Division::new("10.244.0.0/16".parse().unwrap(), 24).unwrap();
    let taken = |texts: &[&str]| {
        texts
            .iter()
            .map(|text| text.parse().unwrap())
            .collect::<BTreeSet<Network>>()
    };
    for (present, expected) in [
        (taken(&[]), "10.244.0.0/24"),
        (taken(&["10.244.0.0/24", "10.244.2.0/24"]), "10.244.1.0/24"),
        (taken(&["10.244.0.0/23"]), "10.244.2.0/24"),
        (taken(&["10.244.0.128/25"]), "10.244.1.0/24"),
        (taken(&["192.168.0.0/16"]), "10.244.0.0/24"),
    ] {
        assert_eq!(
            division
                .first_free(&present)
                .map(|network| network.to_string())
                .as_deref(),
            Some(expected)
        );
    }
    let all: BTreeSet<Network> = (0..256)
        .map(|n| format!("10.244.{n}.0/24").parse().unwrap())
        .collect();
    assert_eq!(division.first_free(&all), None);
    assert_eq!(Division::new("10.244.0.0/16".parse().unwrap(), 8), None);
    assert!("10.244.0.0".parse::<Network>().is_err());
}

#[test]
fn an_outage_of_the_api_server_takes_no_node_down() {
    let silent = node("True", json!([]));
    let heard = Heard::first(&silent, None, start());
    let judged = |contact: Contact, now| {
        plan(
            &Observed {
                node: &silent,
                heard: &heard,
                contact,
                pods: vec![],
                eviction: Eviction::Allowed,
            },
            GRACE,
            now,
        )
        .lost
    };
    let mut contact = Contact::new(start(), SignedDuration::from_secs(11));
    contact.prove(after(10));
    assert!(!judged(contact, after(45)), "contact is lost");
    contact.prove(after(60));
    assert!(
        !judged(contact, after(70)),
        "the node has had no chance to be heard again"
    );
    for seconds in [70, 80, 90, 100] {
        contact.prove(after(seconds));
    }
    assert!(
        judged(contact, after(101)),
        "it is silent for its full grace"
    );
}
