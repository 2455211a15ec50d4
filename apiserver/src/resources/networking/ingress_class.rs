//! Rules of IngressClasses.

use ferrule_apimachinery::field::FieldError;
use ferrule_apimachinery::names;
use jiff::Timestamp;
use serde_json::Value;

use super::validate_reference;
use crate::resources::meta::NameRule;
use crate::resources::problems::{Path, Problems};
use crate::resources::table::{self, Column, Row};
use crate::resources::tree::{Tree, fill};
use crate::resources::{Context, Rules, Strategy, meta};

/// Rules of IngressClasses.
pub struct IngressClass;

const MAX_CONTROLLER: usize = 250;
const SCOPES: [&str; 2] = ["Cluster", "Namespace"];

const COLUMNS: &[Column] = &[
    Column::NAME,
    Column::text(
        "Controller",
        "Controller that serves the Ingresses of the class.",
    ),
    Column::text("Parameters", "Object with the controller's settings."),
    Column::AGE,
];

impl Rules for IngressClass {
    fn default(&self, object: &mut Value) {
        if let Some(parameters) = object.pointer_mut("/spec/parameters")
            && parameters.is_object()
        {
            fill(parameters, "scope", "Cluster");
        }
    }

    fn strategy(&self) -> Strategy {
        Strategy::GENERATION.cluster_wide()
    }

    fn validate_create(&self, new: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        validate(new).into_errors()
    }

    fn validate_update(&self, new: &Value, old: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        let mut out = meta::validate_update(new, old);
        let (path, name) = (Path::new("spec").child("controller"), "controller");
        let (after, before) = (new.at("spec").at(name), old.at("spec").at(name));
        meta::validate_immutable(&mut out, &path, after, before);
        out.extend(validate(new));
        out.into_errors()
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn row(&self, object: &Value, now: Timestamp) -> Row {
        let spec = object.at("spec");
        let parameters = match spec.at("parameters") {
            Value::Null => "<none>".to_owned(),
            given => {
                let group = given.opt_text("apiGroup").map(|group| format!(".{group}"));
                let (kind, name) = (given.text("kind"), given.text("name"));
                format!("{kind}{}/{name}", group.unwrap_or_default())
            }
        };
        vec![
            table::name(object),
            spec.text("controller").into(),
            parameters.into(),
            table::age(object, now),
        ]
        .into()
    }
}

fn validate(object: &Value) -> Problems {
    let mut out = meta::validate_create(object, false, NameRule::Subdomain);
    let (spec, path) = (object.at("spec"), Path::new("spec"));
    let (at, controller) = (path.child("controller"), spec.text("controller"));
    if controller.is_empty() {
        out.required(&at, "");
    } else {
        if controller.len() > MAX_CONTROLLER {
            out.too_long(&at, MAX_CONTROLLER);
        }
        validate_domain_path(&mut out, &at, controller);
    }
    if spec.has("parameters") {
        validate_parameters(&mut out, &path.child("parameters"), spec.at("parameters"));
    }
    out
}

/// A domain, a slash, and what RFC 3986 lets a path have.
fn validate_domain_path(out: &mut Problems, path: &Path, text: &str) {
    let Some((host, rest)) = text
        .split_once('/')
        .filter(|(host, rest)| !host.is_empty() && !rest.is_empty())
    else {
        let detail = "must be a domain-prefixed path (such as \"acme.io/foo\")";
        return out.invalid(path, text, detail);
    };
    out.dns_subdomain(path, host);
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"/-._~%!$&'()*+,;=:".contains(&b);
    if !rest.bytes().all(allowed) {
        let detail =
            "Invalid path (regex used for validation is '[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')";
        out.invalid(path, rest, detail);
    }
}

fn validate_parameters(out: &mut Problems, path: &Path, parameters: &Value) {
    validate_reference(out, path, parameters);
    let at = path.child("namespace");
    match (
        parameters.opt_text("scope"),
        parameters.opt_text("namespace"),
    ) {
        (None, _) => out.required(&path.child("scope"), ""),
        (Some("Namespace"), None) => {
            out.required(&at, "`parameters.scope` is set to 'Namespace'");
        }
        (Some("Namespace"), Some(namespace)) => {
            out.invalid_each(&at, namespace, names::dns1123_label(namespace));
        }
        (Some("Cluster"), Some(_)) => {
            out.forbidden(&at, "`parameters.scope` is set to 'Cluster'");
        }
        (Some("Cluster"), None) => {}
        (Some(other), _) => out.unsupported(&path.child("scope"), other, &SCOPES),
    }
}
