//! What a kind adds to the generic verbs: defaults, validation, strategies, printer columns. Rules only, no I/O.
//!
//! A write passes through the rules of its kind in this order:
//!
//! ```text
//! create:  default -> (admission) -> prepare_create -> validate_create -> warnings -> store
//! update:  default -> (admission) -> prepare_update -> validate_update -> warnings -> store
//! status:  default ->                prepare_status -> validate_status            -> store
//! ```
//!
//! Objects are `serde_json::Value` trees that were pruned and normalised by the schema before.

use ferrule_apimachinery::field::FieldError;
use ferrule_apimachinery::scheme::Resource;
use serde_json::Value;

mod admission_registration;
mod api_service;
mod autoscaling;
mod batch;
mod certificate;
mod conditions;
mod config;
pub mod conversion;
mod device;
mod diff;
mod disruption;
mod endpoints;
mod event;
mod event_v1;
mod flow_control;
mod format;
mod generic;
pub mod go_form;
mod go_types;
mod lease;
mod limit_range;
pub mod meta;
mod namespace;
mod networking;
mod node;
pub mod pod;
mod priority;
pub mod problems;
mod quota;
mod rbac;
pub mod review;
mod runtime_class;
pub mod selector;
pub mod service;
mod storage;
mod strategy;
pub mod table;
pub mod tree;
mod volume;
mod workload;

#[cfg(test)]
mod second_tier_tests;
#[cfg(test)]
mod small_tests;
#[cfg(test)]
pub(crate) mod tests;

pub use priority::SYSTEM_CLASSES;
pub use strategy::Strategy;
pub use table::{Column, Row, RowCondition};

/// What rules may see besides the objects. There is no clock inside rules.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The time of the request.
    pub now: jiff::Timestamp,
    /// The name of the user who asks.
    pub user: &'a str,
    /// Tells the user from an earlier one of the same name; may be empty.
    pub uid: &'a str,
    /// The groups that the user belongs to.
    pub groups: &'a [String],
    /// The version of the API in which the request is made; objects are in the stored one.
    pub api_version: &'a str,
    /// The blanks inside of the object's opaque values have come or gone.
    pub respaced: bool,
}

/// How the `scale` subresource reads and writes an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScaleRules {
    /// Dotted path of the wanted number, `spec.replicas`.
    pub spec_replicas: &'static str,
    /// Dotted path of the actual number, `status.replicas`.
    pub status_replicas: &'static str,
    /// Dotted path of the label selector, `spec.selector`.
    pub selector: &'static str,
    /// The selector is a map of labels.
    pub plain_selector: bool,
}

impl ScaleRules {
    /// Where Deployments and ReplicaSets keep their numbers.
    pub const WORKLOAD: ScaleRules = ScaleRules {
        spec_replicas: "spec.replicas",
        status_replicas: "status.replicas",
        selector: "spec.selector",
        plain_selector: false,
    };
}

/// A part of an object with a path of its own: what a write of it changes.
pub trait PartRules: Send + Sync {
    /// Carries over what a write of the part may not touch, and raises the generation when the specification changed.
    fn prepare(&self, new: &mut Value, old: &Value, context: &Context<'_>);

    /// Every problem of the changed object.
    fn validate(&self, new: &Value, old: &Value, context: &Context<'_>) -> Vec<FieldError>;
}

/// What a kind adds to the generic verbs. Every method's default is right for a kind without rules of its own.
///
/// The validating methods answer every problem of the object, those of its metadata first, as upstream orders them.
pub trait Rules: Send + Sync {
    /// Fills in what the client left out. Idempotent.
    fn default(&self, _object: &mut Value) {}

    /// What every request for the kind is told, whatever its verb.
    fn deprecation(&self) -> Option<&'static str> {
        None
    }

    /// Whether opaque values of an object's JSON have blanks, where upstream counts these as content.
    fn is_spaced(&self, _json: &[u8]) -> bool {
        false
    }

    /// What the server does with the kind's objects: whether they have a status, a generation, a namespace.
    fn strategy(&self) -> Strategy {
        Strategy::PLAIN
    }

    /// Drops what a client may not set on create (status) and sets what the server sets (generation).
    fn prepare_create(&self, new: &mut Value, _context: &Context<'_>) {
        self.strategy().begin(new);
    }

    /// Every problem of a new object, its metadata included.
    fn validate_create(&self, new: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        self.validate_meta(new)
    }

    /// Carries over what an update may not touch (status) and raises the generation when the specification changed.
    fn prepare_update(&self, new: &mut Value, old: &Value, _context: &Context<'_>) {
        self.strategy().keep(new, old);
    }

    /// Every problem of a changed object, its metadata included.
    fn validate_update(&self, new: &Value, old: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        self.validate_meta_update(new, old)
    }

    /// Carries over what a write of the `status` subresource may not touch (everything but the status).
    fn prepare_status(&self, new: &mut Value, old: &Value, _context: &Context<'_>) {
        meta::keep_all_but_status(new, old);
    }

    /// Every problem of an object whose status was written.
    fn validate_status(&self, new: &Value, old: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        self.validate_meta_update(new, old)
    }

    /// The rules of a subresource that is a part of the object, `status` and `scale` aside; `None` when it is not one.
    fn part(&self, _name: &str) -> Option<&'static dyn PartRules> {
        None
    }

    /// What to tell a client that deletes an object without a word about its dependents.
    fn warning_of_delete(&self) -> Option<&'static str> {
        None
    }

    /// What to tell the client in `Warning` headers although the object is accepted. `old` is absent on create.
    fn warnings(&self, _new: &Value, _old: Option<&Value>) -> Vec<String> {
        Vec::new()
    }

    /// Problems of a new object's metadata alone.
    fn validate_meta(&self, new: &Value) -> Vec<FieldError> {
        meta::validate_create(new, self.strategy().namespaced, self.name_rule()).into_errors()
    }

    /// Problems of a changed object's metadata alone.
    fn validate_meta_update(&self, new: &Value, old: &Value) -> Vec<FieldError> {
        meta::validate_update(new, old).into_errors()
    }

    /// What the kind's names must look like.
    fn name_rule(&self) -> meta::NameRule {
        meta::NameRule::Subdomain
    }

    /// Seconds between the mark for deletion and the removal, given what the client asked for; `None` when the object
    /// is removed at once.
    fn grace_period(&self, _object: &Value, _asked: Option<i64>) -> Option<i64> {
        None
    }

    /// Paths that a write of the subresource cannot set, so that nobody owns them by it; `""` is the object itself.
    fn reset_fields(&self, subresource: &str) -> &'static [&'static [&'static str]] {
        match subresource {
            "" | "finalize" => &[&["status"]],
            "status" => &[&["spec"]],
            _ => &[],
        }
    }

    /// How the `scale` subresource works; `None` when the kind has none.
    fn scale(&self) -> Option<ScaleRules> {
        None
    }

    /// The columns of the kind's table.
    fn columns(&self) -> &'static [Column] {
        table::NAME_AND_CREATION
    }

    /// One row: a cell for each of [`Rules::columns`], wide ones included.
    fn row(&self, object: &Value, now: jiff::Timestamp) -> Row {
        table::name_and_creation(object, now)
    }
}

/// The rules of a resource's kind, whatever its version: they see objects in the stored one.
pub fn rules_for(resource: &Resource) -> &'static dyn Rules {
    match (resource.group.as_ref(), resource.kind.as_ref()) {
        ("", "ConfigMap") => &config::ConfigMap,
        ("", "Endpoints") => &endpoints::Endpoints,
        ("" | "events.k8s.io", "Event") => &event::Event,
        ("", "Namespace") => &namespace::Namespace,
        ("", "Node") => &node::Node,
        ("", "PersistentVolume") => &volume::PersistentVolume,
        ("", "PersistentVolumeClaim") => &volume::PersistentVolumeClaim,
        ("", "Pod") => &pod::Pod,
        ("", "Secret") => &config::Secret,
        ("", "Service") => &service::Service,
        ("", "ServiceAccount") => &config::ServiceAccount,
        ("", "LimitRange") => &limit_range::LimitRange,
        ("", "PodTemplate") => &workload::PodTemplate,
        ("", "ReplicationController") => &workload::ReplicationController,
        ("", "ResourceQuota") => &quota::ResourceQuota,
        ("apps", "ControllerRevision") => &workload::ControllerRevision,
        ("apps", "DaemonSet") => &workload::DaemonSet,
        ("admissionregistration.k8s.io", "MutatingAdmissionPolicy") => {
            &admission_registration::Policy {
                steps: "mutations",
                columns: admission_registration::MUTATING,
            }
        }
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy") => {
            &admission_registration::Policy {
                steps: "validations",
                columns: admission_registration::VALIDATING,
            }
        }
        (
            "admissionregistration.k8s.io",
            "MutatingAdmissionPolicyBinding" | "ValidatingAdmissionPolicyBinding",
        ) => &admission_registration::PolicyBinding,
        ("admissionregistration.k8s.io", "MutatingWebhookConfiguration") => {
            &admission_registration::Webhooks { mutating: true }
        }
        ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration") => {
            &admission_registration::Webhooks { mutating: false }
        }
        ("apiregistration.k8s.io", "APIService") => &api_service::ApiService,
        ("apps", "Deployment") => &workload::Deployment,
        ("apps", "ReplicaSet") => &workload::ReplicaSet,
        ("apps", "StatefulSet") => &workload::StatefulSet,
        ("autoscaling", "HorizontalPodAutoscaler") => &autoscaling::HorizontalPodAutoscaler,
        ("batch", "CronJob") => &batch::CronJob,
        ("batch", "Job") => &batch::Job,
        ("certificates.k8s.io", "CertificateSigningRequest") => {
            &certificate::CertificateSigningRequest
        }
        ("coordination.k8s.io", "Lease") => &lease::Lease,
        ("discovery.k8s.io", "EndpointSlice") => &endpoints::EndpointSlice,
        ("policy", "PodDisruptionBudget") => &disruption::PodDisruptionBudget,
        ("scheduling.k8s.io", "PriorityClass") => &priority::PriorityClass,
        ("flowcontrol.apiserver.k8s.io", "FlowSchema") => &flow_control::FlowSchema,
        ("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration") => {
            &flow_control::PriorityLevel
        }
        ("networking.k8s.io", "IPAddress") => &endpoints::IpAddress,
        ("networking.k8s.io", "Ingress") => &networking::Ingress,
        ("networking.k8s.io", "IngressClass") => &networking::IngressClass,
        ("networking.k8s.io", "NetworkPolicy") => &networking::NetworkPolicy,
        ("networking.k8s.io", "ServiceCIDR") => &networking::ServiceCidr,
        ("node.k8s.io", "RuntimeClass") => &runtime_class::RuntimeClass,
        ("rbac.authorization.k8s.io", "ClusterRole") => &rbac::ClusterRole,
        ("rbac.authorization.k8s.io", "ClusterRoleBinding") => &rbac::Binding { namespaced: false },
        ("rbac.authorization.k8s.io", "Role") => &rbac::Role,
        ("rbac.authorization.k8s.io", "RoleBinding") => &rbac::Binding { namespaced: true },
        ("resource.k8s.io", "DeviceClass") => &device::DeviceClass,
        ("resource.k8s.io", "ResourceClaim") => &device::ResourceClaim,
        ("resource.k8s.io", "ResourceClaimTemplate") => &device::ResourceClaimTemplate,
        ("resource.k8s.io", "ResourceSlice") => &device::ResourceSlice,
        ("storage.k8s.io", "CSIDriver") => &storage::CsiDriver,
        ("storage.k8s.io", "CSINode") => &storage::CsiNode,
        ("storage.k8s.io", "CSIStorageCapacity") => &storage::CsiStorageCapacity,
        ("storage.k8s.io", "StorageClass") => &storage::StorageClass,
        ("storage.k8s.io", "VolumeAttachment") => &storage::VolumeAttachment,
        ("storage.k8s.io", "VolumeAttributesClass") => &storage::VolumeAttributesClass,
        _ => generic::of(resource),
    }
}
