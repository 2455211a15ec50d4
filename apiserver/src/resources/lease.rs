//! Rules of Leases.

use ferrule_apimachinery::field::FieldError;
use jiff::Timestamp;
use serde_json::Value;

use super::meta::{self, NameRule};
use super::problems::{Path, Problems};
use super::table::{self, Column, Row};
use super::tree::Tree;
use super::{Context, Rules, Strategy};

/// Rules of Leases.
pub struct Lease;

const COLUMNS: &[Column] = &[
    Column::NAME,
    Column::text("Holder", "Who holds the lease."),
    Column::AGE,
];

impl Rules for Lease {
    fn strategy(&self) -> Strategy {
        Strategy::PLAIN.conditional().making()
    }

    fn validate_create(&self, new: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        let mut out = meta::validate_create(new, true, NameRule::Subdomain);
        validate_spec(&mut out, new.at("spec"));
        out.into_errors()
    }

    fn validate_update(&self, new: &Value, old: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        let mut out = meta::validate_update(new, old);
        validate_spec(&mut out, new.at("spec"));
        out.into_errors()
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn row(&self, object: &Value, now: Timestamp) -> Row {
        let holder = object.at("spec").text("holderIdentity").into();
        vec![table::name(object), holder, table::age(object, now)].into()
    }
}

fn validate_spec(out: &mut Problems, spec: &Value) {
    let path = Path::new("spec");
    if let Some(seconds) = spec.opt_int("leaseDurationSeconds")
        && seconds <= 0
    {
        out.invalid(
            &path.child("leaseDurationSeconds"),
            seconds,
            "must be greater than 0",
        );
    }
    if let Some(transitions) = spec.opt_int("leaseTransitions") {
        out.non_negative(&path.child("leaseTransitions"), transitions);
    }
    if let Some(strategy) = spec.opt_text("strategy") {
        out.qualified_name(&path.child("strategy"), strategy);
    }
    if let Some(holder) = spec.opt_text("preferredHolder") {
        if holder.is_empty() {
            out.required(&path.child("preferredHolder"), "must not be empty");
        }
        if spec.text("strategy").is_empty() {
            let detail = "may only be specified if `strategy` is defined";
            out.forbidden(&path.child("preferredHolder"), detail);
        }
    }
}
