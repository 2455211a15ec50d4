//! How many pods a ReplicaSet of a Deployment should have: the arithmetic of rollouts.
//!
//! All roundings are upstream's: a surge is rounded up, unavailability down.

use std::cmp::Reverse;

use super::annotations;
use crate::objects::service::IntOrString;
use crate::objects::workload::{Deployment, ReplicaSet};

/// How far a rolling update may go beyond the wanted number of pods, both ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Pods too many.
    pub surge: i64,
    /// Pods missing.
    pub unavailable: i64,
}

impl Bounds {
    /// The bounds of a Deployment; both are 0 when it recreates.
    pub fn of(deployment: &Deployment) -> Bounds {
        let Some(rolling) = deployment
            .spec
            .strategy
            .rolling_update
            .as_ref()
            .filter(|_| deployment.is_rolling())
        else {
            return Bounds {
                surge: 0,
                unavailable: 0,
            };
        };
        let total = deployment.replicas();
        let surge = scaled(rolling.max_surge.as_ref(), total, true);
        let unavailable = scaled(rolling.max_unavailable.as_ref(), total, false);
        // Validation refuses two zeros, but percentages may come to that.
        let unavailable = if surge == 0 && unavailable == 0 {
            1
        } else {
            unavailable
        };
        Bounds {
            surge,
            unavailable: unavailable.min(total),
        }
    }
}

fn scaled(value: Option<&IntOrString>, total: i64, up: bool) -> i64 {
    match value {
        None => 0,
        Some(IntOrString::Int(number)) => i64::from(*number),
        Some(IntOrString::String(text)) => {
            let percent = text
                .strip_suffix('%')
                .and_then(|digits| digits.parse::<i64>().ok())
                .unwrap_or(0);
            let product = percent * total;
            if up {
                product.div_euclid(100) + i64::from(product.rem_euclid(100) != 0)
            } else {
                product / 100
            }
        }
    }
}

/// The wanted pods of some ReplicaSets.
pub fn wanted<'a>(sets: impl IntoIterator<Item = &'a ReplicaSet>) -> i64 {
    sets.into_iter().map(ReplicaSet::replicas).sum()
}

/// How many pods the newest ReplicaSet may have now, given all pods that are wanted altogether.
pub fn newest(deployment: &Deployment, all_wanted: i64, newest_wanted: i64) -> i64 {
    if !deployment.is_rolling() {
        return deployment.replicas();
    }
    let most = deployment.replicas() + Bounds::of(deployment).surge;
    if all_wanted >= most {
        return newest_wanted;
    }
    newest_wanted + (most - all_wanted).min(deployment.replicas() - newest_wanted)
}

/// New sizes for old ReplicaSets in a rolling update: unhealthy pods go first, then as many
/// healthy ones as the bounds allow. Sizes stand in the order of `old`, which is by age.
pub fn shrink_old(deployment: &Deployment, newest: &ReplicaSet, old: &[&ReplicaSet]) -> Vec<i64> {
    let mut sizes: Vec<i64> = old.iter().map(|set| set.replicas()).collect();
    let old_wanted: i64 = sizes.iter().sum();
    let minimum = deployment.replicas() - Bounds::of(deployment).unavailable;
    let newest_unavailable = newest.replicas() - remaining(newest);
    let mut spare = old_wanted + newest.replicas() - minimum - newest_unavailable;
    if old_wanted == 0 || spare <= 0 {
        return sizes;
    }
    for (set, size) in old.iter().zip(&mut sizes) {
        let unhealthy = *size - remaining(set);
        let cut = unhealthy.min(spare);
        *size -= cut;
        spare -= cut;
    }
    let available: i64 = old.iter().chain([&newest]).map(|set| remaining(set)).sum();
    let mut healthy_spare = available - minimum;
    for size in &mut sizes {
        if healthy_spare <= 0 {
            break;
        }
        let cut = (*size).min(healthy_spare);
        *size -= cut;
        healthy_spare -= cut;
    }
    sizes
}

/// The available pods that a ReplicaSet keeps: right after it was made smaller its status still
/// counts those that are about to go, and nothing may be taken away on their account.
fn remaining(set: &ReplicaSet) -> i64 {
    set.status.available_replicas.min(set.replicas())
}

/// New sizes when the Deployment itself was scaled, in the order of `all` (old ones, then the
/// newest): one active ReplicaSet takes all; several share in proportion; old ones beside a
/// complete newest one go.
pub fn rescale(
    deployment: &Deployment,
    newest: Option<&ReplicaSet>,
    old: &[&ReplicaSet],
) -> Vec<i64> {
    let all: Vec<&ReplicaSet> = old.iter().copied().chain(newest).collect();
    let mut sizes: Vec<i64> = all.iter().map(|set| set.replicas()).collect();
    let active: Vec<usize> = (0..all.len()).filter(|index| sizes[*index] > 0).collect();
    let only = match active.as_slice() {
        [] if newest.is_some() => Some(all.len() - 1),
        // The youngest.
        [] => (0..all.len()).max_by_key(|index| all[*index].meta().creation_timestamp),
        [one] => Some(*one),
        _ => None,
    };
    if let Some(only) = only {
        sizes[only] = deployment.replicas();
        return sizes;
    }
    if newest.is_some_and(|newest| is_saturated(deployment, newest)) {
        sizes[..old.len()].fill(0);
        return sizes;
    }
    if deployment.is_rolling() {
        share(deployment, &all, &active, &mut sizes);
    }
    sizes
}

fn is_saturated(deployment: &Deployment, newest: &ReplicaSet) -> bool {
    let wanted = deployment.replicas();
    newest.replicas() == wanted
        && annotations::number(newest, annotations::DESIRED_REPLICAS) == Some(wanted)
        && newest.status.available_replicas == wanted
}

fn share(deployment: &Deployment, all: &[&ReplicaSet], active: &[usize], sizes: &mut [i64]) {
    let allowed = match deployment.replicas() {
        0 => 0,
        replicas => replicas + Bounds::of(deployment).surge,
    };
    let to_add = allowed - sizes.iter().sum::<i64>();
    if to_add == 0 {
        return;
    }
    let mut order = active.to_vec();
    // The largest first; among equals the youngest gains first and the oldest loses first.
    let age = |index: &usize| all[*index].meta().creation_timestamp;
    if to_add > 0 {
        order.sort_by_key(|index| (Reverse(sizes[*index]), Reverse(age(index))));
    } else {
        order.sort_by_key(|index| (Reverse(sizes[*index]), age(index)));
    }
    let mut added = 0;
    let mut target: Vec<i64> = Vec::with_capacity(order.len());
    for index in &order {
        let fraction = fraction(deployment, all[*index]);
        let left = to_add - added;
        let part = if to_add > 0 {
            fraction.min(left)
        } else {
            fraction.max(left)
        };
        let part = if left == 0 { 0 } else { part };
        added += part;
        target.push(sizes[*index] + part);
    }
    // What rounding left over goes to the largest.
    if let Some(first) = target.first_mut() {
        *first = (*first + to_add - added).max(0);
    }
    for (index, size) in order.into_iter().zip(target) {
        sizes[index] = size;
    }
}

/// By how much one ReplicaSet grows (or shrinks) when the Deployment does.
fn fraction(deployment: &Deployment, set: &ReplicaSet) -> i64 {
    if deployment.replicas() == 0 {
        return -set.replicas();
    }
    let most = deployment.replicas() + Bounds::of(deployment).surge;
    let before = annotations::number(set, annotations::MAX_REPLICAS)
        .filter(|before| *before != 0)
        .unwrap_or(deployment.status.replicas);
    if before == 0 {
        return 0;
    }
    // Half away from zero, as upstream rounds; both factors are small and positive.
    let size = (2 * set.replicas() * most + before).div_euclid(2 * before);
    size - set.replicas()
}
