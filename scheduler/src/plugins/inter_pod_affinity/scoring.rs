//! Preferred terms, of the new pod and of those on nodes.

use std::borrow::Cow;

use super::InterPodAffinity;
use crate::framework::MAX_SCORE;
use crate::node::Node;
use crate::pod::Pod;
use crate::snapshot::{Holding, Matcher, Snapshot, Tally, Topology};

/// Pods in domains, and what each is worth.
struct Pull<'a> {
    weight: i64,
    key: &'a str,
    topology: Cow<'a, Topology>,
    tally: Cow<'a, Tally>,
}

pub(super) fn scores(
    plugin: &InterPodAffinity,
    pod: &Pod,
    snapshot: &Snapshot,
    nodes: &[&Node],
) -> Option<Vec<i64>> {
    let mut pulls: Vec<Pull> = Vec::new();
    for (holding, term) in pod.affinity.iter().flat_map(|own| Holding::all(own)) {
        let weight = match holding {
            Holding::Preferred(weight) => weight,
            Holding::PreferredAnti(weight) => -weight,
            Holding::Required | Holding::RequiredAnti => continue,
        };
        pulls.push(Pull {
            weight,
            key: &term.topology_key,
            topology: snapshot.topology(&term.topology_key),
            tally: snapshot.tally(&Matcher::all([term]), &[&term.topology_key]),
        });
    }
    if pulls.is_empty() && plugin.ignore_preferred_of_existing {
        return None;
    }
    let own = snapshot.namespace(&pod.namespace);
    for held in snapshot.held() {
        let weight = match held.holding {
            Holding::Required => plugin.hard_weight,
            Holding::Preferred(weight) => weight,
            Holding::PreferredAnti(weight) => -weight,
            Holding::RequiredAnti => continue,
        };
        if weight != 0 && held.term.pods.matches(pod, own) {
            pulls.push(Pull {
                weight,
                key: &held.term.topology_key,
                topology: snapshot.topology(&held.term.topology_key),
                tally: Cow::Borrowed(&held.tally),
            });
        }
    }
    if pulls.is_empty() {
        return None;
    }
    let mut scores = vec![0; nodes.len()];
    for pull in &pulls {
        let counts = pull.tally.of_domains(pull.key);
        for (node, score) in nodes.iter().zip(&mut scores) {
            let domain = pull.topology.domain(node.id);
            let count = domain.and_then(|domain| counts.get(domain as usize));
            *score += pull.weight * count.copied().map_or(0, i64::from);
        }
    }
    let lowest = scores.iter().copied().min().unwrap_or(0);
    let range = scores.iter().copied().max().unwrap_or(0) - lowest;
    for score in &mut scores {
        *score = match range {
            0 => 0,
            range => (MAX_SCORE as f64 * ((*score - lowest) as f64 / range as f64)) as i64,
        };
    }
    Some(scores)
}
