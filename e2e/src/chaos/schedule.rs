//! Which faults come in which order: a pure function of the seed.
//!
//! Every kind comes once, in a random order, before any comes again. What is hit is drawn too; of
//! programs that elect a leader, the leader is hit first.

use std::fmt;
use std::time::Duration;

use super::random::Random;
use crate::cluster::NODES;

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// SIGKILL of a program.
    Kill(&'static str),
    /// SIGKILL of the parent of a pod's containers.
    KillShim,
    /// SIGSTOP of a program, SIGCONT later.
    Stop(&'static str),
    /// `docker pause`, `docker unpause` later.
    Pause,
    /// `docker kill`, `docker start` later.
    Restart,
    /// Packets from and to the control plane are dropped.
    Drop,
    /// Packets from and to the control plane are rejected, connections reset.
    Reject,
    /// Packets from and to the control plane are lost, 30 of 100.
    Loss,
    /// Packets from and to etcd are dropped.
    DropEtcd,
    /// Packets from and to etcd are rejected, connections reset.
    RejectEtcd,
    /// `docker network disconnect`, `connect` later.
    Disconnect,
}

impl Act {
    /// How it is done, for tables.
    pub fn description(&self) -> &'static str {
        match self {
            Act::Kill(_) => "SIGKILL of the process",
            Act::KillShim => "SIGKILL of a pod's shim",
            Act::Stop(_) => "SIGSTOP of the process, then SIGCONT",
            Act::Pause => "`docker pause`, then `unpause`",
            Act::Restart => "`docker kill`, then `start`",
            Act::Drop => "packets from and to the control plane are dropped",
            Act::Reject => "packets to the control plane are answered with a reset",
            Act::Loss => "30 of 100 packets from and to the control plane are lost",
            Act::DropEtcd => "packets from and to etcd are dropped",
            Act::RejectEtcd => "packets to etcd are answered with a reset",
            Act::Disconnect => "`docker network disconnect`, then `connect`",
        }
    }
}

/// Where a kind of fault can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// On a worker node.
    Node,
    /// At a member of the control plane: `scheduler`, `etcd`.
    Member(&'static str),
}

/// A kind of fault.
#[derive(Debug, PartialEq, Eq)]
pub struct Kind {
    /// Its name in tables.
    pub name: &'static str,
    /// What is done.
    pub act: Act,
    /// Where.
    pub place: Place,
    /// For how long, in seconds: the least and the most.
    pub lasts: (usize, usize),
}

const fn kind(name: &'static str, act: Act, place: Place, lasts: (usize, usize)) -> Kind {
    Kind {
        name,
        act,
        place,
        lasts,
    }
}

use Act::*;
use Place::{Member, Node};

/// Every kind of fault. A lease of a leader lasts 15 s: a pause of its holder is longer.
pub static KINDS: [Kind; 30] = [
    kind("kill kubelet", Kill("kubelet"), Node, (3, 3)),
    kind("kill cri-runtime", Kill("cri-runtime"), Node, (3, 3)),
    kind("kill kube-proxy", Kill("kube-proxy"), Node, (3, 3)),
    kind("kill network-agent", Kill("network-agent"), Node, (3, 3)),
    kind("kill node-dns", Kill("node-dns"), Node, (3, 3)),
    kind("kill shim", KillShim, Node, (3, 3)),
    kind(
        "kill scheduler",
        Kill("kube-scheduler"),
        Member("scheduler"),
        (3, 3),
    ),
    kind(
        "kill controller-manager",
        Kill("kube-controller-manager"),
        Member("controller-manager"),
        (3, 3),
    ),
    kind(
        "kill apiserver",
        Kill("kube-apiserver"),
        Member("apiserver"),
        (3, 3),
    ),
    kind("kill etcd", Kill("etcd"), Member("etcd"), (3, 3)),
    kind("stop kubelet", Stop("kubelet"), Node, (6, 20)),
    kind("stop cri-runtime", Stop("cri-runtime"), Node, (6, 15)),
    kind("stop kube-proxy", Stop("kube-proxy"), Node, (6, 12)),
    kind("stop network-agent", Stop("network-agent"), Node, (6, 12)),
    kind("stop node-dns", Stop("node-dns"), Node, (6, 12)),
    kind(
        "stop apiserver",
        Stop("kube-apiserver"),
        Member("apiserver"),
        (8, 15),
    ),
    kind("stop etcd", Stop("etcd"), Member("etcd"), (6, 12)),
    kind("pause scheduler", Pause, Member("scheduler"), (22, 26)),
    kind(
        "pause controller-manager",
        Pause,
        Member("controller-manager"),
        (22, 26),
    ),
    kind("pause apiserver", Pause, Member("apiserver"), (8, 15)),
    kind("pause etcd", Pause, Member("etcd"), (6, 12)),
    kind("pause node", Pause, Node, (6, 25)),
    kind("restart node", Restart, Node, (2, 20)),
    kind("cut node off, drop", Drop, Node, (6, 25)),
    kind("cut node off, reject", Reject, Node, (6, 20)),
    kind("cut node off, lose 30 %", Loss, Node, (15, 20)),
    kind(
        "cut apiserver from etcd, drop",
        DropEtcd,
        Member("apiserver"),
        (8, 15),
    ),
    kind(
        "cut apiserver from etcd, reject",
        RejectEtcd,
        Member("apiserver"),
        (8, 12),
    ),
    kind("disconnect node", Disconnect, Node, (4, 15)),
    kind("restart etcd", Restart, Member("etcd"), (3, 8)),
];

/// What a fault hits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A service of docker-compose.yml.
    Service(String),
    /// Whichever member of the control plane leads when the fault comes: `scheduler`.
    Leader(&'static str),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Service(service) => f.write_str(service),
            Target::Leader(member) => write!(f, "the leading {member}"),
        }
    }
}

/// One fault.
#[derive(Clone, Debug)]
pub struct Fault {
    /// What kind.
    pub kind: &'static Kind,
    /// What it hits.
    pub target: Target,
    /// How long it lasts.
    pub lasts: Duration,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.kind.name, self.target)?;
        match self.kind.act {
            Act::Kill(_) | Act::KillShim => Ok(()),
            _ => write!(f, " for {} s", self.lasts.as_secs()),
        }
    }
}

/// The faults of a seed, without end.
pub struct Schedule {
    random: Random,
    high_availability: bool,
    deck: Vec<&'static Kind>,
    decks: usize,
}

impl Schedule {
    /// The schedule of a seed, for a control plane of one or of several of each.
    pub fn new(seed: u64, high_availability: bool) -> Schedule {
        Schedule {
            random: Random::new(seed),
            high_availability,
            deck: Vec::new(),
            decks: 0,
        }
    }

    fn target(&mut self, place: Place) -> Target {
        match place {
            Place::Node => Target::Service(NODES[self.random.below(NODES.len())].to_owned()),
            Place::Member(member) if !self.high_availability => Target::Service(member.to_owned()),
            Place::Member("apiserver") => {
                let which = ["apiserver", "apiserver2"][self.random.below(2)];
                Target::Service(which.to_owned())
            }
            // The first time the leader, later often enough.
            Place::Member(member) if self.decks == 1 || self.random.below(2) == 0 => {
                Target::Leader(member)
            }
            Place::Member(member) => {
                let members = if member == "etcd" { 3 } else { 2 };
                Target::Service(match self.random.between(1, members) {
                    1 => member.to_owned(),
                    number => format!("{member}{number}"),
                })
            }
        }
    }
}

impl Iterator for Schedule {
    type Item = Fault;

    fn next(&mut self) -> Option<Fault> {
        if self.deck.is_empty() {
            self.deck = KINDS.iter().collect();
            self.random.shuffle(&mut self.deck);
            self.decks += 1;
        }
        let kind = self.deck.pop()?;
        let (least, most) = kind.lasts;
        let lasts = Duration::from_secs(self.random.between(least, most) as u64);
        Some(Fault {
            kind,
            target: self.target(kind.place),
            lasts,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn shown(seed: u64, count: usize) -> Vec<String> {
        Schedule::new(seed, true)
            .take(count)
            .map(|fault| fault.to_string())
            .collect()
    }

    #[test]
    fn a_seed_gives_the_same_faults_and_another_seed_others() {
        assert_eq!(shown(1, 100), shown(1, 100));
        assert_ne!(shown(1, 100), shown(2, 100));
    }

    #[test]
    fn every_kind_comes_before_any_comes_again() {
        let mut schedule = Schedule::new(3, false);
        for _ in 0..3 {
            let names: BTreeSet<&str> = schedule
                .by_ref()
                .take(KINDS.len())
                .map(|fault| fault.kind.name)
                .collect();
            assert_eq!(names.len(), KINDS.len());
        }
    }

    #[test]
    fn a_single_control_plane_has_no_second_members() {
        for fault in Schedule::new(9, false).take(300) {
            let Target::Service(service) = fault.target else {
                panic!("{fault} has no leader to look for");
            };
            assert!(!service.ends_with('2') || service == "node2", "{service}");
        }
    }

    #[test]
    fn the_leaders_are_hit_in_the_first_round() {
        let leaders: BTreeSet<String> = Schedule::new(5, true)
            .take(KINDS.len())
            .filter(|fault| fault.kind.act == Act::Pause && fault.kind.place != Place::Node)
            .map(|fault| fault.target.to_string())
            .collect();
        for member in ["etcd", "scheduler", "controller-manager"] {
            assert!(
                leaders.contains(&format!("the leading {member}")),
                "{leaders:?}"
            );
        }
    }
}
