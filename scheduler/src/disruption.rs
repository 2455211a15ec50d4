//! Disruption budgets: how many pods of a kind may be made to leave.

use std::collections::BTreeMap;
use std::sync::Arc;

use ferrule_apimachinery::header::Header;
use ferrule_apimachinery::selector::LabelSelector;
use ferrule_client::Projection;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::pod::Pod;

/// What the scheduler keeps of a PodDisruptionBudget.
#[derive(Clone, Debug)]
pub struct Budget {
    /// Its namespace.
    pub namespace: Box<str>,
    /// Its name.
    pub name: Box<str>,
    /// The pods that it protects; an empty one protects none here.
    pub selector: LabelSelector,
    /// How many more may leave now.
    pub allowed: i64,
    /// Pods that are leaving already, by name.
    pub leaving: Box<[Box<str>]>,
}

impl Projection for Budget {
    fn project(header: &Header, json: &[u8]) -> Result<Budget, serde_json::Error> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Whole {
            spec: Spec,
            status: Status,
        }
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Spec {
            selector: Option<Value>,
        }
        #[derive(Default, Deserialize)]
        #[serde(rename_all = "camelCase", default)]
        struct Status {
            disruptions_allowed: i64,
            disrupted_pods: BTreeMap<Box<str>, IgnoredAny>,
        }
        let Whole { spec, status } = serde_json::from_slice(json)?;
        let selector = LabelSelector::from_value(spec.selector.as_ref());
        Ok(Budget {
            namespace: header.namespace.clone(),
            name: header.name.clone(),
            selector: selector.unwrap_or_else(|_| LabelSelector::nothing()),
            allowed: status.disruptions_allowed,
            leaving: status.disrupted_pods.into_keys().collect(),
        })
    }
}

impl Budget {
    fn protects(&self, pod: &Pod) -> bool {
        self.namespace == pod.namespace
            && !pod.labels.is_empty()
            && !self.selector.is_everything()
            && self.selector.matches(&pod.labels)
            && !self.leaving.contains(&pod.name)
    }
}

/// Parts pods into those whose leaving breaks a budget and the others, keeping their order.
pub fn part_by_budgets(
    pods: Vec<Arc<Pod>>,
    budgets: &[Arc<Budget>],
) -> (Vec<Arc<Pod>>, Vec<Arc<Pod>>) {
    let mut allowed: Vec<i64> = budgets.iter().map(|budget| budget.allowed).collect();
    pods.into_iter().partition(|pod| {
        let mut breaks = false;
        for (budget, allowed) in budgets.iter().zip(&mut allowed) {
            if budget.protects(pod) {
                *allowed -= 1;
                breaks |= *allowed < 0;
            }
        }
        breaks
    })
}
