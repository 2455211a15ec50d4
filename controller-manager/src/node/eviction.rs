//! When a pod must leave its node because of NoExecute taints.
//!
//! The time counts from when the taint was added, so that a restart of this program neither
//! shortens nor lengthens anybody's toleration.

use jiff::{SignedDuration, Timestamp};

use crate::objects::node::Taint;
use crate::objects::pod::{Pod, Toleration};

/// Until when a pod may stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stay {
    /// For good.
    Forever,
    /// Until then, which may be past.
    Until(Timestamp),
}

/// Until when a pod may stay on a node with these taints.
pub fn stay(pod: &Pod, taints: &[Taint], now: Timestamp) -> Stay {
    let mut end: Option<Timestamp> = None;
    for taint in taints.iter().filter(|taint| taint.effect == "NoExecute") {
        let Some(toleration) = pod
            .spec
            .tolerations
            .iter()
            .find(|toleration| tolerates(toleration, taint))
        else {
            return Stay::Until(now);
        };
        let Some(seconds) = toleration.toleration_seconds else {
            continue;
        };
        let from = taint.time_added.unwrap_or(now);
        let until = from
            .checked_add(SignedDuration::from_secs(seconds.max(0)))
            .unwrap_or(Timestamp::MAX);
        end = Some(end.map_or(until, |end| end.min(until)));
    }
    end.map_or(Stay::Forever, Stay::Until)
}

fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let effect = toleration.effect.is_empty() || toleration.effect == taint.effect;
    let key = toleration.key.is_empty() || toleration.key == taint.key;
    let value = match toleration.operator.as_str() {
        "Exists" => true,
        "" | "Equal" => !toleration.key.is_empty() && toleration.value == taint.value,
        _ => false,
    };
    effect && key && value
}
