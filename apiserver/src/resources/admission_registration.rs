//! Rules of what registers webhooks and policies of admission: defaults and columns, the rest by schema.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::table::{self, Column, Row};
use super::tree::{Tree, child, fill, items_mut};
use super::{Rules, Strategy, selector};

/// Rules of ValidatingWebhookConfigurations and MutatingWebhookConfigurations.
pub struct Webhooks {
    /// Its webhooks change objects.
    pub mutating: bool,
}

/// Rules of ValidatingAdmissionPolicies and MutatingAdmissionPolicies.
pub struct Policy {
    /// Where the steps of the policy stand.
    pub steps: &'static str,
    /// Its columns.
    pub columns: &'static [Column],
}

/// Rules of the bindings of policies.
pub struct PolicyBinding;

/// Columns of ValidatingAdmissionPolicies.
pub const VALIDATING: &[Column] = &[
    Column::NAME,
    Column::integer("Validations", "How many expressions it checks."),
    Column::text("ParamKind", "Kind of its parameters."),
    Column::AGE,
];

/// Columns of MutatingAdmissionPolicies.
pub const MUTATING: &[Column] = &[
    Column::NAME,
    Column::integer("Mutations", "How many changes it makes."),
    Column::text("ParamKind", "Kind of its parameters."),
    Column::AGE,
];

const WEBHOOKS: &[Column] = &[
    Column::NAME,
    Column::integer("Webhooks", "How many webhooks it has."),
    Column::AGE,
];

const BINDINGS: &[Column] = &[
    Column::NAME,
    Column::text("PolicyName", "The policy."),
    Column::text("ParamRef", "Its parameters."),
    Column::AGE,
];

/// What rules match when they do not say otherwise.
fn default_matching(rules: &mut Value, lists: &[&str]) {
    fill(rules, "matchPolicy", "Equivalent");
    fill(rules, "namespaceSelector", json!({}));
    fill(rules, "objectSelector", json!({}));
    for list in lists {
        for rule in items_mut(rules, list) {
            fill(rule, "scope", "*");
        }
    }
}

impl Rules for Webhooks {
    fn default(&self, object: &mut Value) {
        for webhook in items_mut(object, "webhooks") {
            fill(webhook, "failurePolicy", "Fail");
            default_matching(webhook, &["rules"]);
            fill(webhook, "timeoutSeconds", 10);
            if self.mutating {
                fill(webhook, "reinvocationPolicy", "Never");
            }
            if let Some(service) = webhook.pointer_mut("/clientConfig/service")
                && service.is_object()
            {
                fill(service, "port", 443);
            }
        }
    }

    fn strategy(&self) -> Strategy {
        Strategy::GENERATION.cluster_wide().conditional()
    }

    fn columns(&self) -> &'static [Column] {
        WEBHOOKS
    }

    fn row(&self, object: &Value, now: Timestamp) -> Row {
        let count = object.items("webhooks").len().into();
        vec![table::name(object), count, table::age(object, now)].into()
    }
}

impl Rules for Policy {
    fn default(&self, object: &mut Value) {
        let Some(spec) = child(object, "spec") else {
            return;
        };
        fill(spec, "failurePolicy", "Fail");
        if let Some(matching) = spec.get_mut("matchConstraints")
            && matching.is_object()
        {
            default_matching(matching, &["resourceRules", "excludeResourceRules"]);
        }
    }

    fn strategy(&self) -> Strategy {
        let kept = match self.steps {
            "validations" => Strategy::BOTH,
            _ => Strategy::GENERATION,
        };
        kept.cluster_wide().conditional()
    }

    fn columns(&self) -> &'static [Column] {
        self.columns
    }

    fn row(&self, object: &Value, now: Timestamp) -> Row {
        let spec = object.at("spec");
        let kind = match spec.at("paramKind") {
            Value::Null => "<unset>".to_owned(),
            kind => format!("{}/{}", kind.text("apiVersion"), kind.text("kind")),
        };
        vec![
            table::name(object),
            spec.items(self.steps).len().into(),
            kind.into(),
            table::age(object, now),
        ]
        .into()
    }
}

impl Rules for PolicyBinding {
    fn default(&self, object: &mut Value) {
        if let Some(matching) = object.pointer_mut("/spec/matchResources")
            && matching.is_object()
        {
            default_matching(matching, &["resourceRules", "excludeResourceRules"]);
        }
    }

    fn strategy(&self) -> Strategy {
        Strategy::GENERATION.cluster_wide().conditional()
    }

    fn columns(&self) -> &'static [Column] {
        BINDINGS
    }

    fn row(&self, object: &Value, now: Timestamp) -> Row {
        let spec = object.at("spec");
        let reference = spec.at("paramRef");
        let parameters = match (reference.text("namespace"), reference.text("name")) {
            ("", "") if reference.has("selector") => selector::to_text(reference.at("selector")),
            (_, "") => "<unset>".to_owned(),
            ("", name) => format!("*/{name}"),
            (namespace, name) => format!("{namespace}/{name}"),
        };
        vec![
            table::name(object),
            spec.text("policyName").into(),
            parameters.into(),
            table::age(object, now),
        ]
        .into()
    }
}
