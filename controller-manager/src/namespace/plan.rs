//! How a namespace ends: content first, pods before the rest, then the finalizer.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::objects::namespace::{Namespace, NamespaceCondition};

/// The finalizer that this controller answers for.
pub const FINALIZER: &str = "kubernetes";

/// What is left of one resource in a namespace.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Remaining {
    /// `pods`.
    pub resource: String,
    /// `apps`; `""` for the core group.
    pub group: String,
    /// `v1`.
    pub version: String,
    /// How many objects.
    pub count: usize,
    /// How many of them each finalizer holds.
    pub finalizers: BTreeMap<String, usize>,
    /// The longest time that one of them still has to end, in seconds.
    pub grace_seconds: i64,
}

impl Remaining {
    /// Why objects are left that nothing holds and that have no time left: something is wrong.
    fn is_unexpected(&self) -> bool {
        self.count > 0 && self.finalizers.is_empty() && self.grace_seconds <= 0
    }
}

/// What is known about a namespace that is being deleted, after an attempt to delete its content.
#[derive(Debug, Default)]
pub struct Observed<'a> {
    /// The namespace.
    pub namespace: Option<&'a Namespace>,
    /// Why the resources could not be listed.
    pub discovery_error: Option<String>,
    /// What could not be deleted, and why.
    pub delete_errors: Vec<String>,
    /// What is left.
    pub remaining: Vec<Remaining>,
}

/// What is to be done.
#[derive(Debug, Default, PartialEq)]
pub struct Plan {
    /// The conditions, when they changed.
    pub conditions: Option<Vec<NamespaceCondition>>,
    /// Whether nothing stands in the way any more.
    pub finalize: bool,
    /// When to look again.
    pub next: Option<Duration>,
}

/// Plans the end of a namespace.
pub fn plan(observed: &Observed<'_>, now: Timestamp) -> Plan {
    let Some(namespace) = observed.namespace else {
        return Plan::default();
    };
    let failed = observed.discovery_error.is_some() || !errors(observed).is_empty();
    let left: usize = observed
        .remaining
        .iter()
        .map(|remaining| remaining.count)
        .sum();
    if !failed && left == 0 {
        return Plan {
            finalize: true,
            ..Plan::default()
        };
    }
    let mut conditions = namespace.status.conditions.clone();
    let mut changed = false;
    for (kind, bad, good) in said(observed) {
        changed |= set(&mut conditions, kind, bad, good, now);
    }
    let grace = observed
        .remaining
        .iter()
        .map(|remaining| remaining.grace_seconds)
        .max()
        .unwrap_or(0);
    // Half of what pods may take, as upstream: often they are faster.
    let seconds = if grace > 0 {
        u64::try_from(grace).unwrap_or(0) / 2 + 1
    } else {
        5
    };
    Plan {
        conditions: changed.then_some(conditions),
        finalize: false,
        next: Some(Duration::from_secs(seconds.min(15))),
    }
}

/// What could not be deleted, and why.
fn errors(observed: &Observed<'_>) -> Vec<String> {
    let name = observed.namespace.map_or("", |own| &own.metadata.name);
    let unexpected = observed.remaining.iter().filter(|own| own.is_unexpected());
    let unexpected = unexpected.map(|own| {
        let Remaining {
            resource,
            group,
            version,
            ..
        } = own;
        format!(
            "unexpected items still remain in namespace: {name} for gvr: {group}/{version}, Resource={resource}"
        )
    });
    let failed = observed.delete_errors.iter().cloned();
    failed.chain(unexpected).collect()
}

type Said = (
    &'static str,
    Option<(&'static str, String)>,
    (&'static str, &'static str),
);

/// Each condition with what is wrong, if anything, and what it says when all is well.
fn said(observed: &Observed<'_>) -> [Said; 5] {
    let errors = {
        let mut errors = errors(observed);
        errors.sort();
        let text = format!(
            "Failed to delete all resource types, {} remaining: {}",
            errors.len(),
            errors.join(", ")
        );
        (!errors.is_empty()).then_some(("ContentDeletionFailed", text))
    };
    let content = {
        let mut parts: Vec<String> = observed
            .remaining
            .iter()
            .filter(|remaining| remaining.count > 0)
            .map(|remaining| {
                format!(
                    "{}.{} has {} resource instances",
                    remaining.resource, remaining.group, remaining.count
                )
            })
            .collect();
        parts.sort();
        let text = format!("Some resources are remaining: {}", parts.join(", "));
        (!parts.is_empty()).then_some(("SomeResourcesRemain", text))
    };
    let finalizers = {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for (finalizer, count) in observed
            .remaining
            .iter()
            .flat_map(|remaining| &remaining.finalizers)
        {
            *counts.entry(finalizer).or_default() += count;
        }
        let parts: Vec<String> = counts
            .iter()
            .map(|(finalizer, count)| format!("{finalizer} in {count} resource instances"))
            .collect();
        let text = format!(
            "Some content in the namespace has finalizers remaining: {}",
            parts.join(", ")
        );
        (!parts.is_empty()).then_some(("SomeFinalizersRemain", text))
    };
    [
        (
            "NamespaceDeletionDiscoveryFailure",
            observed
                .discovery_error
                .clone()
                .map(|error| ("DiscoveryFailed", error)),
            (
                "ResourcesDiscovered",
                "All resources successfully discovered",
            ),
        ),
        (
            "NamespaceDeletionGroupVersionParsingFailure",
            None,
            (
                "ParsedGroupVersions",
                "All legacy kube types successfully parsed",
            ),
        ),
        (
            "NamespaceDeletionContentFailure",
            errors,
            (
                "ContentDeleted",
                "All content successfully deleted, may be waiting on finalization",
            ),
        ),
        (
            "NamespaceContentRemaining",
            content,
            ("ContentRemoved", "All content successfully removed"),
        ),
        (
            "NamespaceFinalizersRemaining",
            finalizers,
            ("ContentRemoved", "All content successfully removed"),
        ),
    ]
}

fn set(
    conditions: &mut Vec<NamespaceCondition>,
    kind: &str,
    bad: Option<(&'static str, String)>,
    good: (&str, &str),
    now: Timestamp,
) -> bool {
    let (status, reason, message) = match bad {
        Some((reason, message)) => ("True", reason, message),
        None => ("False", good.0, good.1.to_owned()),
    };
    let mut condition = NamespaceCondition {
        r#type: kind.to_owned(),
        status: status.to_owned(),
        last_transition_time: Some(now),
        reason: reason.to_owned(),
        message,
    };
    let Some(before) = conditions.iter_mut().find(|before| before.r#type == kind) else {
        conditions.push(condition);
        return true;
    };
    if before.status == condition.status {
        condition.last_transition_time = before.last_transition_time;
    }
    let changed = *before != condition;
    *before = condition;
    changed
}
