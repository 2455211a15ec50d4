//! The invariants, as pure functions over what a run recorded.
//!
//! | invariant | what is compared |
//! |---|---|
//! | [`WRITES`] | acknowledged, refused and unknown writes, events, and what is read back at the end |
//! | [`WATCHES`] | the tapes of several watchers with each other and with the acknowledged writes |
//! | [`BOUND_ONCE`] | the nodes of each pod's uid over all events |
//! | [`EXIT_CODES`] | the reported codes with those that the pods were made to end with |
//! | [`FAIL_STATIC`] | restarts of containers with the faults that may end containers |
//! | [`REPLICAS`] | living pods of each ReplicaSet with what it asked for, revision by revision |
//! | [`LEADERS`] | holders and terms of the leases, and writes tried with the epoch of a former leader |
//! | [`ALLOCATION`] | addresses and node ports of all Services, pod networks of all nodes, revision by revision |
//! | [`ENDPOINTS`], [`RECOVERY`] | the time after a disturbance until endpoints, or everything, is right |
//! | [`CLEAN`] | what the nodes hold when all is deleted |

mod allocation;
mod leaders;
mod pods;
#[cfg(test)]
mod tests;
mod watches;
mod writes;

use std::collections::BTreeMap;

use super::history::{Disturbance, Ending, Event, Moment, Tape, Write};

/// An acknowledged write is never lost, a refused one never happens.
pub const WRITES: &str = "an acknowledged write is never lost";
/// No matching change is missed without a 410.
pub const WATCHES: &str = "a watcher misses no change";
/// The node of a pod never changes.
pub const BOUND_ONCE: &str = "a pod is bound once";
/// The code that is reported is the one that the container ended with.
pub const EXIT_CODES: &str = "exit codes are the real ones";
/// What is not hit runs on.
pub const FAIL_STATIC: &str = "containers run on";
/// Only one controller acts for a ReplicaSet.
pub const REPLICAS: &str = "a ReplicaSet has no pod too many";
/// Nobody but the leader writes.
pub const LEADERS: &str = "only the leader writes";
/// No address or port belongs to two Services, no pod network to two nodes.
pub const ALLOCATION: &str = "no address, port or pod network is given twice";
/// Endpoints equal the ready pods within a stated time.
pub const ENDPOINTS: &str = "endpoints are the ready pods within 30 s";
/// Everything works within a stated time.
pub const RECOVERY: &str = "everything works within 90 s";
/// Nothing is left on the nodes.
pub const CLEAN: &str = "nothing is left on the nodes";

/// Every invariant, in the order of reports.
pub const ALL: [&str; 11] = [
    WRITES,
    WATCHES,
    BOUND_ONCE,
    EXIT_CODES,
    FAIL_STATIC,
    REPLICAS,
    LEADERS,
    ALLOCATION,
    ENDPOINTS,
    RECOVERY,
    CLEAN,
];

/// An invariant that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Which.
    pub invariant: &'static str,
    /// What shows it.
    pub evidence: String,
}

impl Broken {
    /// Says what broke.
    pub fn new(invariant: &'static str, evidence: impl Into<String>) -> Broken {
        Broken {
            invariant,
            evidence: evidence.into(),
        }
    }
}

/// Everything that a run recorded.
#[derive(Clone, Debug, Default)]
pub struct Histories {
    /// In the order in which they ended; one writer's are in the order of its keys' states.
    pub writes: Vec<Write>,
    /// What each watcher saw.
    pub tapes: Vec<Tape>,
    /// The pods that end by themselves.
    pub endings: Vec<Ending>,
    /// In the order in which they came.
    pub disturbances: Vec<Disturbance>,
    /// The ConfigMaps that a read at the end gave: value and revision.
    pub read_back: BTreeMap<String, (String, i64)>,
    /// When the load ended.
    pub ended: Moment,
}

impl Histories {
    /// The events of a resource that any watcher saw, by revision.
    fn merged(&self, resource: &str) -> BTreeMap<i64, &Event> {
        let tapes = self.tapes.iter().filter(|tape| tape.resource == resource);
        let stretches = tapes.flat_map(|tape| &tape.stretches);
        stretches
            .flat_map(|stretch| stretch.present.iter().chain(&stretch.events))
            .map(|event| (event.revision, event))
            .collect()
    }
}

/// Checks everything that can be checked from the histories.
pub fn all(histories: &Histories) -> Vec<Broken> {
    let mut broken = writes::check(histories);
    broken.extend(watches::check(histories));
    broken.extend(pods::check(histories));
    broken.extend(leaders::check(histories));
    broken.extend(allocation::check(histories));
    broken.extend(recovery(&histories.disturbances));
    broken
}

fn recovery(disturbances: &[Disturbance]) -> Vec<Broken> {
    let mut broken = Vec::new();
    for one in disturbances {
        let (kind, service, wrong) = (one.kind, &one.service, &one.wrong);
        let shown = format!("{kind} ({service}) at {:.0?}: {wrong}", one.from);
        if one.endpoints.is_none() {
            broken.push(Broken::new(ENDPOINTS, &shown));
        }
        if one.well.is_none() {
            broken.push(Broken::new(RECOVERY, &shown));
        }
    }
    broken
}
