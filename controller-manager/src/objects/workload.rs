//! Deployments and ReplicaSets. Their pod templates stay JSON text until a plan needs them.

use ferrule_apimachinery::scheme::gvr;
use ferrule_client::At;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::meta::{HasMeta, Map, Meta};
use super::selector::Selector;
use super::service::IntOrString;

/// The label that tells the ReplicaSets of one Deployment apart.
pub const POD_TEMPLATE_HASH: &str = "pod-template-hash";

/// A kind that owns objects by a selector.
pub trait Workload: HasMeta {
    /// Its group and version.
    const API_VERSION: &str;
    /// Its kind.
    const KIND: &str;

    /// Which objects are its own.
    fn selector(&self) -> &Selector;

    /// Where such an object is.
    fn at(meta: &Meta) -> At;
}

macro_rules! workload {
    ($kind:ident, $resource:expr) => {
        impl HasMeta for $kind {
            fn meta(&self) -> &Meta {
                &self.metadata.meta
            }
        }

        impl Workload for $kind {
            const API_VERSION: &str = "apps/v1";
            const KIND: &str = stringify!($kind);

            fn selector(&self) -> &Selector {
                &self.spec.selector
            }

            fn at(meta: &Meta) -> At {
                At::of($resource)
                    .namespace(&meta.namespace)
                    .name(&meta.name)
            }
        }
    };
}

workload!(Deployment, gvr::DEPLOYMENTS);
workload!(ReplicaSet, gvr::REPLICA_SETS);

/// The metadata of a workload: with annotations, which Deployments hand on.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct WorkloadMeta {
    /// What every object has.
    #[serde(flatten)]
    pub meta: Meta,
    /// Its annotations.
    pub annotations: Map,
}

/// A pod template, as JSON text.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(transparent)]
pub struct Template(pub Option<Box<RawValue>>);

impl Template {
    /// The template as a tree; an absent one is empty.
    pub fn tree(&self) -> Value {
        let text = self.0.as_ref().map_or("{}", |raw| raw.get());
        serde_json::from_str(text).unwrap_or_else(|_| Value::Object(Default::default()))
    }

    /// The labels of its pods.
    pub fn labels(&self) -> Map {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Labelled {
            metadata: Meta,
        }
        let text = self.0.as_ref().map_or("{}", |raw| raw.get());
        serde_json::from_str::<Labelled>(text)
            .unwrap_or_default()
            .metadata
            .labels
    }
}

impl From<Value> for Template {
    fn from(tree: Value) -> Template {
        Template(serde_json::value::to_raw_value(&tree).ok())
    }
}

impl PartialEq for Template {
    fn eq(&self, other: &Template) -> bool {
        self.tree() == other.tree()
    }
}

/// A Deployment.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Deployment {
    /// Its metadata.
    pub metadata: WorkloadMeta,
    /// What it should be.
    pub spec: DeploymentSpec,
    /// What it is.
    pub status: DeploymentStatus,
}

/// What a Deployment should be.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DeploymentSpec {
    /// How many pods; absent is 1.
    pub replicas: Option<i64>,
    /// Which pods are its own.
    pub selector: Selector,
    /// What its pods look like.
    pub template: Template,
    /// How a new template comes in.
    pub strategy: Strategy,
    /// How long a pod must be ready to count.
    pub min_ready_seconds: i64,
    /// How many old ReplicaSets are kept.
    pub revision_history_limit: Option<i64>,
    /// Whether nothing is to be rolled out.
    pub paused: bool,
    /// How long nothing may happen before the rollout counts as stuck.
    pub progress_deadline_seconds: Option<i64>,
}

/// How a new template comes in.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Strategy {
    /// `RollingUpdate` or `Recreate`.
    pub r#type: String,
    /// The bounds of a rolling update.
    pub rolling_update: Option<RollingUpdate>,
}

/// The bounds of a rolling update.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RollingUpdate {
    /// How many pods may be missing.
    pub max_unavailable: Option<IntOrString>,
    /// How many pods may be too many.
    pub max_surge: Option<IntOrString>,
}

/// What a Deployment is.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DeploymentStatus {
    /// The generation that this status speaks of.
    pub observed_generation: i64,
    /// Pods of all ReplicaSets.
    pub replicas: i64,
    /// Pods of the newest one.
    pub updated_replicas: i64,
    /// Ready pods.
    pub ready_replicas: i64,
    /// Pods that have been ready for long enough.
    pub available_replicas: i64,
    /// Pods that are missing.
    pub unavailable_replicas: i64,
    /// Pods that are being deleted.
    pub terminating_replicas: Option<i64>,
    /// How the rollout goes.
    pub conditions: Vec<DeploymentCondition>,
    /// How often a name was taken by another ReplicaSet.
    pub collision_count: Option<i64>,
}

/// A condition of a Deployment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DeploymentCondition {
    /// `Available`, `Progressing`, `ReplicaFailure`.
    pub r#type: String,
    /// `True`, `False`, `Unknown`.
    pub status: String,
    /// When something was last said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_update_time: Option<Timestamp>,
    /// Since when the status is so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_transition_time: Option<Timestamp>,
    /// Why, in one word.
    pub reason: String,
    /// Why, for people.
    pub message: String,
}

/// A ReplicaSet.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct ReplicaSet {
    /// Its metadata.
    pub metadata: WorkloadMeta,
    /// What it should be.
    pub spec: ReplicaSetSpec,
    /// What it is.
    pub status: ReplicaSetStatus,
}

/// What a ReplicaSet should be.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ReplicaSetSpec {
    /// How many pods; absent is 1.
    pub replicas: Option<i64>,
    /// How long a pod must be ready to count.
    pub min_ready_seconds: i64,
    /// Which pods are its own.
    pub selector: Selector,
    /// What its pods look like.
    pub template: Template,
}

/// What a ReplicaSet is.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ReplicaSetStatus {
    /// Active pods.
    pub replicas: i64,
    /// Those with all labels of the template.
    pub fully_labeled_replicas: i64,
    /// Those that are ready.
    pub ready_replicas: i64,
    /// Those that have been ready for long enough.
    pub available_replicas: i64,
    /// Pods that are being deleted.
    pub terminating_replicas: Option<i64>,
    /// The generation that this status speaks of.
    pub observed_generation: i64,
    /// Whether pods could not be made or deleted.
    pub conditions: Vec<ReplicaSetCondition>,
}

/// A condition of a ReplicaSet.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ReplicaSetCondition {
    /// `ReplicaFailure`.
    pub r#type: String,
    /// `True`.
    pub status: String,
    /// Since when the status is so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_transition_time: Option<Timestamp>,
    /// `FailedCreate`, `FailedDelete`.
    pub reason: String,
    /// What the API server said.
    pub message: String,
}

impl Deployment {
    /// What every object has.
    pub fn meta(&self) -> &Meta {
        &self.metadata.meta
    }

    /// How many pods are wanted.
    pub fn replicas(&self) -> i64 {
        self.spec.replicas.unwrap_or(1)
    }

    /// Whether new pods come in beside the old ones.
    pub fn is_rolling(&self) -> bool {
        self.spec.strategy.r#type != "Recreate"
    }

    /// Whether a stuck rollout is to be reported; the largest number stands for never.
    pub fn has_deadline(&self) -> bool {
        self.spec
            .progress_deadline_seconds
            .is_some_and(|seconds| seconds != i64::from(i32::MAX))
    }
}

impl ReplicaSet {
    /// What every object has.
    pub fn meta(&self) -> &Meta {
        &self.metadata.meta
    }

    /// How many pods are wanted.
    pub fn replicas(&self) -> i64 {
        self.spec.replicas.unwrap_or(1)
    }
}
