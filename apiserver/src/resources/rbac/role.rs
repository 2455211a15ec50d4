//! Rules of Roles and ClusterRoles.

use ferrule_apimachinery::field::FieldError;
use serde_json::Value;

use super::{NAMES, around_update};
use crate::resources::meta::NameRule;
use crate::resources::problems::{Path, Problems};
use crate::resources::selector::validate_label_selector;
use crate::resources::tree::Tree;
use crate::resources::{Context, Rules, Strategy, meta};

/// Rules of Roles.
pub struct Role;

/// Rules of ClusterRoles.
pub struct ClusterRole;

impl Rules for Role {
    fn strategy(&self) -> Strategy {
        Strategy::PLAIN.making()
    }

    fn validate_create(&self, new: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        validate_role(new).into_errors()
    }

    fn validate_update(&self, new: &Value, old: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        around_update(new, old, validate_role(new)).into_errors()
    }

    fn name_rule(&self) -> NameRule {
        NAMES
    }
}

impl Rules for ClusterRole {
    fn strategy(&self) -> Strategy {
        Strategy::PLAIN.cluster_wide().making()
    }

    fn validate_create(&self, new: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        validate_cluster_role(new).into_errors()
    }

    fn validate_update(&self, new: &Value, old: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        around_update(new, old, validate_cluster_role(new)).into_errors()
    }

    fn name_rule(&self) -> NameRule {
        NAMES
    }
}

fn validate_role(role: &Value) -> Problems {
    let mut out = meta::validate_create(role, true, NAMES);
    validate_rules(&mut out, role, true);
    out
}

fn validate_cluster_role(role: &Value) -> Problems {
    let mut out = meta::validate_create(role, false, NAMES);
    validate_rules(&mut out, role, false);
    if role.has("aggregationRule") {
        let path = Path::new("aggregationRule").child("clusterRoleSelectors");
        let selectors = role.at("aggregationRule").items("clusterRoleSelectors");
        if selectors.is_empty() {
            let detail = "at least one clusterRoleSelector required if aggregationRule is non-nil";
            out.required(&path, detail);
        }
        for (i, selector) in selectors.iter().enumerate() {
            validate_label_selector(&mut out, &path.index(i), selector);
        }
    }
    out
}

fn validate_rules(out: &mut Problems, role: &Value, namespaced: bool) {
    for (i, rule) in role.items("rules").iter().enumerate() {
        validate_rule(out, &Path::new("rules").index(i), rule, namespaced);
    }
}

fn validate_rule(out: &mut Problems, path: &Path, rule: &Value, namespaced: bool) {
    let given = |name: &str| !rule.items(name).is_empty();
    if !given("verbs") {
        let detail = "verbs must contain at least one value";
        out.required(&path.child("verbs"), detail);
    }
    let urls = "nonResourceURLs";
    if given(urls) {
        let at = path.child(urls);
        if namespaced {
            let detail = "namespaced rules cannot apply to non-resource URLs";
            out.invalid(&at, rule.at(urls), detail);
        }
        if given("apiGroups") || given("resources") || given("resourceNames") {
            let detail = "rules cannot apply to both regular resources and non-resource URLs";
            out.invalid(&at, rule.at(urls), detail);
        }
        return;
    }
    if !given("apiGroups") {
        let detail = "resource rules must supply at least one api group";
        out.required(&path.child("apiGroups"), detail);
    }
    if !given("resources") {
        let detail = "resource rules must supply at least one resource";
        out.required(&path.child("resources"), detail);
    }
}
