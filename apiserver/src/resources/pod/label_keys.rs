//! Keys of labels whose values a new pod's own labels give: they become part of its selectors.

use serde_json::{Value, json};

use crate::resources::tree::{Tree, items_mut, set};

/// Merges `matchLabelKeys` and `mismatchLabelKeys` of affinity and spreading into their selectors.
pub fn merge(pod: &mut Value) {
    let labels = pod.at("metadata").at("labels").clone();
    let Some(spec) = pod.get_mut("spec") else {
        return;
    };
    for constraint in items_mut(spec, "topologySpreadConstraints") {
        merge_term(constraint, &labels);
    }
    for kind in ["podAffinity", "podAntiAffinity"] {
        let terms = spec
            .get_mut("affinity")
            .and_then(|affinity| affinity.get_mut(kind));
        let Some(terms) = terms else { continue };
        for term in items_mut(terms, "requiredDuringSchedulingIgnoredDuringExecution") {
            merge_term(term, &labels);
        }
        for weighted in items_mut(terms, "preferredDuringSchedulingIgnoredDuringExecution") {
            if let Some(term) = weighted.get_mut("podAffinityTerm") {
                merge_term(term, &labels);
            }
        }
    }
}

fn merge_term(term: &mut Value, labels: &Value) {
    if !term.has("labelSelector") {
        return;
    }
    let mut expressions = term.at("labelSelector").items("matchExpressions").to_vec();
    for (list, operator) in [("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn")] {
        for key in term.items(list).iter().filter_map(Value::as_str) {
            if let Some(value) = labels.opt_text(key) {
                expressions.push(json!({ "key": key, "operator": operator, "values": [value] }));
            }
        }
    }
    if let Some(selector) = term
        .get_mut("labelSelector")
        .filter(|_| !expressions.is_empty())
    {
        set(selector, "matchExpressions", expressions);
    }
}
