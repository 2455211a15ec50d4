//! How many pods of a PodDisruptionBudget may be evicted.
//!
//! ```text
//!                    │ expected          │ must be healthy
//!  minAvailable: n   │ the pods          │ n
//!  minAvailable: n%  │ their controllers'│ n% of expected, rounded up
//!  maxUnavailable    │ scales together   │ expected less that (a percentage is rounded up)
//! ```
//!
//! A pod that the API server has evicted counts as gone from that moment on, for two minutes at most.

use std::collections::BTreeMap;
use std::fmt::Write;

use jiff::{SignedDuration, Timestamp};

use crate::objects::disruption::{BudgetStatus, Condition, PodDisruptionBudget};
use crate::objects::pod::Pod;
use crate::objects::selector::Selector;
use crate::objects::service::IntOrString;

/// How long an evicted pod counts as gone before its deletion is seen.
pub const DELETION_TIMEOUT: SignedDuration = SignedDuration::from_mins(2);
/// How long a pod that is about to be disrupted may go on before that counts as over.
pub const STALE_AFTER: SignedDuration = SignedDuration::from_mins(2);

const ALLOWED: &str = "DisruptionAllowed";

/// What is known about a budget.
pub struct Observed<'a> {
    /// The budget.
    pub budget: &'a PodDisruptionBudget,
    /// The pods that it selects.
    pub pods: Vec<&'a Pod>,
    /// The sizes of their controllers together; asked for only when [`needs_scale`].
    pub scale: i64,
}

/// What is to be done.
#[derive(Debug, Default, PartialEq)]
pub struct Plan {
    /// The status, when it changed.
    pub status: Option<BudgetStatus>,
    /// Evicted pods that were not deleted in time, by their place.
    pub not_deleted: Vec<usize>,
    /// When the next evicted pod must have been deleted.
    pub next: Option<SignedDuration>,
}

/// Whether a budget speaks of what its pods' controllers want.
pub fn needs_scale(budget: &PodDisruptionBudget) -> bool {
    let spec = &budget.spec;
    spec.max_unavailable.is_some() || matches!(spec.min_available, Some(IntOrString::String(_)))
}

/// Plans the status of a budget.
pub fn plan(observed: &Observed<'_>, now: Timestamp) -> Result<Plan, String> {
    let budget = observed.budget;
    let (expected, desired) = expectation(observed)?;
    let mut plan = Plan::default();
    let mut disrupted_pods = BTreeMap::new();
    let mut healthy = 0;
    for (place, pod) in observed.pods.iter().enumerate() {
        if pod.meta().is_deleting() {
            continue;
        }
        let left = budget
            .status
            .disrupted_pods
            .get(&pod.meta().name)
            .map(|since| (*since, DELETION_TIMEOUT - now.duration_since(*since)));
        match left {
            Some((_, left)) if left.is_negative() => plan.not_deleted.push(place),
            Some((since, left)) => {
                disrupted_pods.insert(pod.meta().name.clone(), since);
                plan.next = Some(plan.next.map_or(left, |next| next.min(left)));
            }
            None => {}
        }
        let goes = left.is_some_and(|(_, left)| left.is_positive());
        if !goes && pod.is_ready() {
            healthy += 1;
        }
    }
    // Nothing may go while nothing is expected: the first pods may be there and not counted yet.
    let allowed = if expected > 0 { healthy - desired } else { 0 };
    let mut status = BudgetStatus {
        observed_generation: budget.metadata.generation,
        disrupted_pods,
        disruptions_allowed: allowed.max(0),
        current_healthy: healthy,
        desired_healthy: desired,
        expected_pods: expected,
        conditions: budget.status.conditions.clone(),
    };
    let said = match status.disruptions_allowed {
        0 => ("False", "InsufficientPods"),
        _ => ("True", "SufficientPods"),
    };
    let before = condition(&budget.status);
    let up_to_date = before.is_some_and(|own| (&*own.status, &*own.reason) == said);
    if !up_to_date || status != budget.status {
        set(&mut status, said, "", now);
        plan.status = Some(status);
    }
    Ok(plan)
}

fn expectation(observed: &Observed<'_>) -> Result<(i64, i64), String> {
    let spec = &observed.budget.spec;
    let pods = i64::try_from(observed.pods.len()).unwrap_or(i64::MAX);
    Ok(match (&spec.max_unavailable, &spec.min_available) {
        (Some(most), _) => {
            let missing = scaled(most, observed.scale)?;
            (observed.scale, (observed.scale - missing).max(0))
        }
        (None, Some(IntOrString::Int(least))) => (pods, i64::from(*least)),
        (None, Some(least)) => (observed.scale, scaled(least, observed.scale)?),
        (None, None) => (0, 0),
    })
}

/// A number, or a percentage of `total` rounded up.
fn scaled(value: &IntOrString, total: i64) -> Result<i64, String> {
    match value {
        IntOrString::Int(number) => Ok(i64::from(*number)),
        IntOrString::String(text) => {
            let refuse = "invalid value for IntOrString: invalid type: string is not a percentage";
            let digits = text.strip_suffix('%').ok_or(refuse)?;
            let percent: i64 = digits.parse().map_err(|_| {
                format!("invalid value for IntOrString: invalid value {text:?}: strconv.Atoi: parsing {digits:?}: invalid syntax")
            })?;
            let product = percent * total;
            Ok(product.div_euclid(100) + i64::from(product.rem_euclid(100) != 0))
        }
    }
}

/// The status of a budget whose pods could not be counted: nothing may go.
pub fn failed(budget: &PodDisruptionBudget, why: &str, now: Timestamp) -> Option<BudgetStatus> {
    let mut status = budget.status.clone();
    status.disruptions_allowed = 0;
    set(&mut status, ("False", "SyncFailed"), why, now);
    Some(status).filter(|status| *status != budget.status)
}

fn condition(status: &BudgetStatus) -> Option<&Condition> {
    status.conditions.iter().find(|own| own.r#type == ALLOWED)
}

fn set(status: &mut BudgetStatus, said: (&str, &str), message: &str, now: Timestamp) {
    let since = condition(status)
        .filter(|before| before.status == said.0)
        .and_then(|before| before.last_transition_time);
    let next = Condition {
        r#type: ALLOWED.to_owned(),
        status: said.0.to_owned(),
        observed_generation: status.observed_generation,
        last_transition_time: since.or(Some(now)),
        reason: said.1.to_owned(),
        message: message.to_owned(),
    };
    match status
        .conditions
        .iter_mut()
        .find(|own| own.r#type == ALLOWED)
    {
        Some(own) => *own = next,
        None => status.conditions.push(next),
    }
}

/// How long until a pod's condition DisruptionTarget is over, because the pod was not deleted after all;
/// `None` when it has no such condition, or is not to lose it.
pub fn stale_in(pod: &Pod, now: Timestamp) -> Option<SignedDuration> {
    let condition = pod.condition("DisruptionTarget")?;
    let lasting = condition.status != "True" || condition.reason == "TerminationByKubelet";
    if lasting || pod.meta().is_deleting() || pod.is_terminal() {
        return None;
    }
    let since = condition.last_transition_time.unwrap_or(now);
    Some((STALE_AFTER - now.duration_since(since)).max(SignedDuration::ZERO))
}

/// A selector as upstream's event shows it: Go's form of the structure.
pub fn shown(selector: Option<&Selector>) -> String {
    let Some(selector) = selector else {
        return "nil".to_owned();
    };
    let mut text = "&LabelSelector{MatchLabels:map[string]string{".to_owned();
    for (key, value) in &selector.match_labels {
        let _ = write!(text, "{key}: {value},");
    }
    text += "},MatchExpressions:[]LabelSelectorRequirement{";
    for own in &selector.match_expressions {
        let values = own.values.join(" ");
        let _ = write!(
            text,
            "LabelSelectorRequirement{{Key:{},Operator:{},Values:[{values}],}},",
            own.key, own.operator
        );
    }
    text + "},}"
}
