//! PodDisruptionBudgets.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::meta::{HasMeta, Map, Meta};
use super::selector::Selector;
use super::service::IntOrString;

/// A PodDisruptionBudget.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct PodDisruptionBudget {
    /// Its metadata.
    pub metadata: Meta,
    /// How many pods must stay.
    pub spec: BudgetSpec,
    /// How many may go.
    pub status: BudgetStatus,
}

/// How many pods must stay.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BudgetSpec {
    /// Which pods it speaks of: absent is none, an empty one all.
    pub selector: Option<Selector>,
    /// Pods that must stay.
    pub min_available: Option<IntOrString>,
    /// Pods that may be missing.
    pub max_unavailable: Option<IntOrString>,
}

/// How many pods may go.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BudgetStatus {
    /// The generation that this status speaks of.
    pub observed_generation: i64,
    /// Pods that the API server evicted and that are not being deleted yet, with the time of it.
    pub disrupted_pods: BTreeMap<String, Timestamp>,
    /// How many may go now.
    pub disruptions_allowed: i64,
    /// How many are healthy.
    pub current_healthy: i64,
    /// How many must be.
    pub desired_healthy: i64,
    /// How many there should be.
    pub expected_pods: i64,
    /// Whether some may go.
    pub conditions: Vec<Condition>,
}

/// A condition as newer kinds have it (meta/v1 Condition).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Condition {
    /// `DisruptionAllowed`.
    pub r#type: String,
    /// `True`, `False`, `Unknown`.
    pub status: String,
    /// The generation that it speaks of.
    #[serde(skip_serializing_if = "is_zero")]
    pub observed_generation: i64,
    /// Since when the status is so.
    pub last_transition_time: Option<Timestamp>,
    /// Why, in one word.
    pub reason: String,
    /// Why, for people.
    pub message: String,
}

fn is_zero(number: &i64) -> bool {
    *number == 0
}

impl HasMeta for PodDisruptionBudget {
    fn meta(&self) -> &Meta {
        &self.metadata
    }
}

impl PodDisruptionBudget {
    /// Whether it speaks of pods with these labels.
    pub fn selects(&self, labels: &Map) -> bool {
        let selector = self.spec.selector.as_ref();
        selector.is_some_and(|selector| selector.is_empty() || selector.matches(labels))
    }
}
