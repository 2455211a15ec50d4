//! Rules of RoleBindings and ClusterRoleBindings.

use ferrule_apimachinery::field::FieldError;
use ferrule_apimachinery::names;
use jiff::Timestamp;
use serde_json::Value;

use super::{NAMES, around_update};
use crate::resources::meta::NameRule;
use crate::resources::problems::{Path, Problems};
use crate::resources::table::{self, Column, Row};
use crate::resources::tree::{Tree, child, fill_unset, items_mut};
use crate::resources::{Context, Rules, Strategy, go_form, meta, tree};

/// Rules of RoleBindings, which live in a namespace, and of ClusterRoleBindings, which do not.
pub struct Binding {
    /// Whether it lives in a namespace.
    pub namespaced: bool,
}

const GROUP: &str = "rbac.authorization.k8s.io";

const COLUMNS: &[Column] = &[
    Column::NAME,
    Column::text("Role", "The role that the subjects have."),
    Column::AGE,
    Column::text("Users", "Users among the subjects.").wide(),
    Column::text("Groups", "Groups among the subjects.").wide(),
    Column::text("ServiceAccounts", "Service accounts among the subjects.").wide(),
];

impl Rules for Binding {
    fn default(&self, object: &mut Value) {
        default_binding(object);
    }

    fn strategy(&self) -> Strategy {
        Strategy {
            namespaced: self.namespaced,
            ..Strategy::PLAIN.making()
        }
    }

    fn validate_create(&self, new: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        validate(new, self.namespaced).into_errors()
    }

    fn validate_update(&self, new: &Value, old: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        validate_update(new, old, self.namespaced).into_errors()
    }

    fn name_rule(&self) -> NameRule {
        NAMES
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn row(&self, object: &Value, now: Timestamp) -> Row {
        row(object, now)
    }
}

fn default_binding(object: &mut Value) {
    if let Some(role) = child(object, "roleRef") {
        fill_unset(role, "apiGroup", GROUP);
    }
    for subject in items_mut(object, "subjects") {
        if matches!(subject.text("kind"), "User" | "Group") {
            fill_unset(subject, "apiGroup", GROUP);
        }
    }
}

fn row(object: &Value, now: Timestamp) -> Row {
    let role = object.at("roleRef");
    let of = |kind: &str| {
        let chosen = object
            .items("subjects")
            .iter()
            .filter(|subject| subject.text("kind") == kind);
        let shown: Vec<String> = chosen
            .map(|subject| match kind {
                "ServiceAccount" => {
                    format!("{}/{}", subject.text("namespace"), subject.text("name"))
                }
                _ => subject.text("name").to_owned(),
            })
            .collect();
        Value::from(shown.join(", "))
    };
    vec![
        table::name(object),
        format!("{}/{}", role.text("kind"), role.text("name")).into(),
        table::age(object, now),
        of("User"),
        of("Group"),
        of("ServiceAccount"),
    ]
    .into()
}

fn validate(binding: &Value, namespaced: bool) -> Problems {
    let mut out = meta::validate_create(binding, namespaced, NAMES);
    let (path, role) = (Path::new("roleRef"), binding.at("roleRef"));
    if role.text("apiGroup") != GROUP {
        out.unsupported(&path.child("apiGroup"), role.text("apiGroup"), &[GROUP]);
    }
    let kinds: &[&str] = if namespaced {
        &["Role", "ClusterRole"]
    } else {
        &["ClusterRole"]
    };
    if !kinds.contains(&role.text("kind")) {
        out.unsupported(&path.child("kind"), role.text("kind"), kinds);
    }
    match role.text("name") {
        "" => out.required(&path.child("name"), ""),
        name => out.invalid_each(&path.child("name"), name, names::path_segment(name)),
    }
    for (i, subject) in binding.items("subjects").iter().enumerate() {
        validate_subject(
            &mut out,
            &Path::new("subjects").index(i),
            subject,
            namespaced,
        );
    }
    out
}

fn validate_update(new: &Value, old: &Value, namespaced: bool) -> Problems {
    let mut out = around_update(new, old, validate(new, namespaced));
    if !tree::same(new.at("roleRef"), old.at("roleRef")) {
        let shown = go_form::compact("RoleRef", new.at("roleRef"));
        out.invalid_raw(&Path::new("roleRef"), shown, "cannot change roleRef");
    }
    out
}

fn validate_subject(out: &mut Problems, path: &Path, subject: &Value, namespaced: bool) {
    let (at, name, group) = (
        path.child("name"),
        subject.text("name"),
        subject.text("apiGroup"),
    );
    if name.is_empty() {
        out.required(&at, "");
    }
    match subject.text("kind") {
        "ServiceAccount" => {
            if !name.is_empty() {
                out.dns_subdomain(&at, name);
            }
            if !group.is_empty() {
                out.unsupported(&path.child("apiGroup"), group, &[""]);
            }
            if !namespaced && subject.text("namespace").is_empty() {
                out.required(&path.child("namespace"), "");
            }
        }
        "User" | "Group" => {
            if group != GROUP {
                out.unsupported(&path.child("apiGroup"), group, &[GROUP]);
            }
        }
        other => {
            let kinds = ["ServiceAccount", "User", "Group"];
            out.unsupported(&path.child("kind"), other, &kinds);
        }
    }
}
