//! Pods: bound once, ended with their own codes, restarted only by what ends containers, never
//! too many.

use std::collections::BTreeMap;

use ferrule_proto::v1::EventType;

use super::{BOUND_ONCE, Broken, EXIT_CODES, FAIL_STATIC, Histories, REPLICAS};
use crate::chaos::history::{Disturbance, Ending, Event, Facts, Moment, Pod};

/// A pod that was asked for so long before the end must have ended.
const ENDS_WITHIN: Moment = Moment::from_secs(90);

pub fn check(histories: &Histories) -> Vec<Broken> {
    let events = histories.merged("pods");
    let mut uids: BTreeMap<&str, Vec<(&Event, &Pod)>> = BTreeMap::new();
    for event in events.values() {
        if let Facts::Pod(pod) = &event.facts {
            uids.entry(&event.uid).or_default().push((event, pod));
        }
    }
    let mut broken = Vec::new();
    for history in uids.values() {
        broken.extend(bound_once(history));
        broken.extend(restarted(history, &histories.disturbances));
    }
    for ending in &histories.endings {
        let of_name = uids.values().filter(|history| {
            let name = history[0].0.key.split_once('/').map(|(_, name)| name);
            name == Some(&*ending.name)
        });
        for history in of_name {
            broken.extend(real_code(ending, history, histories));
        }
    }
    broken.extend(too_many(histories, &events));
    broken
}

fn bound_once(history: &[(&Event, &Pod)]) -> Option<Broken> {
    let mut node = "";
    for (event, pod) in history {
        if !node.is_empty() && pod.node != node {
            let evidence = format!("{} was bound to {node}, then {:?}", event.key, pod.node);
            return Some(Broken::new(BOUND_ONCE, evidence));
        }
        node = &pod.node;
    }
    None
}

/// The fault in whose time something happened: its own, or that of recovering from it.
fn during(disturbances: &[Disturbance], at: Moment) -> Option<&Disturbance> {
    disturbances.iter().rev().find(|one| one.from <= at)
}

fn restarted(history: &[(&Event, &Pod)], disturbances: &[Disturbance]) -> Vec<Broken> {
    let mut before = 0;
    let mut broken = Vec::new();
    for (event, pod) in history {
        let cause = during(disturbances, event.at);
        let excused = cause.is_some_and(|one| one.ends_containers && one.service == pod.node);
        if pod.restarts > before && !excused {
            let cause = cause.map(|one| format!("{} ({})", one.kind, one.service));
            let evidence = format!(
                "{} on {} was restarted at {:.0?}, after {cause:?}",
                event.key, pod.node, event.at
            );
            broken.push(Broken::new(FAIL_STATIC, evidence));
        }
        before = pod.restarts;
    }
    broken
}

fn real_code(ending: &Ending, history: &[(&Event, &Pod)], histories: &Histories) -> Option<Broken> {
    let made = history[0].0.at;
    for (event, pod) in history {
        if pod.deleted || event.kind == EventType::EventDeleted {
            // Evicted from a lost node: it need not end by itself.
            return None;
        }
        if pod.phase == "Succeeded" || pod.phase == "Failed" {
            let hit = histories.disturbances.iter().any(|one| {
                one.ends_containers
                    && one.service == pod.node
                    && one.from <= event.at
                    && one.well.unwrap_or(Moment::MAX) >= made
            });
            let code = pod.ended.as_ref().map(|(code, _)| *code);
            let phase = if ending.code == 0 {
                "Succeeded"
            } else {
                "Failed"
            };
            let right = code == Some(ending.code) && pod.phase == phase;
            let evidence = || {
                format!(
                    "{} on {} exits with {}, but is {} with {:?}",
                    ending.name, pod.node, ending.code, pod.phase, pod.ended
                )
            };
            return (!right && !hit).then(|| Broken::new(EXIT_CODES, evidence()));
        }
    }
    let left = histories.ended.saturating_sub(ending.at);
    (left > ENDS_WITHIN).then(|| {
        let last = history.last().map(|(_, pod)| pod);
        Broken::new(EXIT_CODES, format!("{} never ended: {last:?}", ending.name))
    })
}

/// Follows the living pods of each ReplicaSet, revision by revision.
fn too_many(histories: &Histories, pods: &BTreeMap<i64, &Event>) -> Vec<Broken> {
    let sets = histories.merged("replicasets");
    let mut all: Vec<&Event> = sets.values().chain(pods.values()).copied().collect();
    all.sort_by_key(|event| event.revision);
    // What a ReplicaSet asked for at most: its controller may not have seen yet that it asks for less.
    let mut wanted: BTreeMap<&str, u64> = BTreeMap::new();
    let mut living: BTreeMap<&str, BTreeMap<&str, &str>> = BTreeMap::new();
    let mut broken = Vec::new();
    for event in all {
        match &event.facts {
            Facts::ReplicaSet(replicas) => {
                let most = wanted.entry(&event.uid).or_default();
                *most = (*most).max(*replicas);
            }
            Facts::Pod(pod) if !pod.owner.is_empty() => {
                let of_owner = living.entry(&pod.owner).or_default();
                if event.kind == EventType::EventDeleted || !pod.is_active() {
                    of_owner.remove(&*event.uid);
                    continue;
                }
                let new = of_owner.insert(&event.uid, &event.key).is_none();
                let most = wanted.get(&*pod.owner).copied().unwrap_or(u64::MAX);
                if new && of_owner.len() as u64 > most {
                    let names: Vec<&&str> = of_owner.values().collect();
                    broken.push(Broken::new(
                        REPLICAS,
                        format!(
                            "revision {}: {names:?} live, but at most {most} were wanted",
                            event.revision
                        ),
                    ));
                }
            }
            _ => {}
        }
    }
    broken
}
