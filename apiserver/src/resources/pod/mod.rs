//! Rules of pods, and of the pod specifications inside templates.

pub mod defaults;
mod label_keys;
mod parts;
pub mod requests;
mod row;
#[cfg(test)]
mod tests;
pub mod validation;
pub mod warnings;

use ferrule_apimachinery::field::FieldError;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::table::{Column, Row};
use super::tree::{self, Tree, child, set};
use super::{Context, PartRules, Rules, Strategy, meta};

/// Rules of pods.
pub struct Pod;

impl Rules for Pod {
    fn reset_fields(&self, subresource: &str) -> &'static [&'static [&'static str]] {
        match subresource {
            "" => &[&["status"]],
            "status" => &[
                &["spec"],
                &["metadata", "deletionTimestamp"],
                &["metadata", "ownerReferences"],
            ],
            _ => &[],
        }
    }

    fn default(&self, object: &mut Value) {
        defaults::default_pod(object);
        default_addresses(object);
    }

    fn prepare_create(&self, new: &mut Value, _context: &Context<'_>) {
        let class = requests::qos_class(new.at("spec"));
        let mut status = json!({ "phase": "Pending", "qosClass": class });
        if !new.at("spec").items("schedulingGates").is_empty() {
            status["conditions"] = json!([{
                "type": "PodScheduled",
                "status": "False",
                "reason": "SchedulingGated",
                "message": "Scheduling is blocked due to non-empty scheduling gates",
                "lastProbeTime": null,
                "lastTransitionTime": null,
            }]);
        }
        set(new, "status", status);
        label_keys::merge(new);
        meta::first_generation(new);
    }

    fn validate_create(&self, new: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        validation::validate_create(new).into_errors()
    }

    fn strategy(&self) -> Strategy {
        Strategy::BOTH
    }

    fn validate_update(&self, new: &Value, old: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        validation::validate_update(new, old).into_errors()
    }

    fn prepare_status(&self, new: &mut Value, old: &Value, _context: &Context<'_>) {
        meta::keep_all_but_status(new, old);
        // A status says nothing about whose the pod is, nor does it end its deletion.
        if let Some(meta) = child(new, "metadata") {
            for name in [
                "ownerReferences",
                "deletionTimestamp",
                "deletionGracePeriodSeconds",
            ] {
                tree::copy(meta, old.at("metadata"), name);
            }
        }
        let class = match old.at("status").text("qosClass") {
            "" => requests::qos_class(new.at("spec")).to_owned(),
            known => known.to_owned(),
        };
        if let Some(status) = child(new, "status") {
            tree::fill_unset(status, "qosClass", class);
        }
    }

    fn validate_status(&self, new: &Value, old: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        validation::validate_status(new, old).into_errors()
    }

    fn part(&self, name: &str) -> Option<&'static dyn PartRules> {
        match name {
            "ephemeralcontainers" => Some(&parts::EphemeralContainers),
            "resize" => Some(&parts::Resize),
            _ => None,
        }
    }

    fn warnings(&self, new: &Value, old: Option<&Value>) -> Vec<String> {
        warnings::of_pod(new, old)
    }

    fn grace_period(&self, object: &Value, asked: Option<i64>) -> Option<i64> {
        let (spec, status) = (object.at("spec"), object.at("status"));
        let wanted = asked
            .or(spec.opt_int("terminationGracePeriodSeconds"))
            .unwrap_or_default();
        // Nothing runs yet, or anymore: there is nothing to wait for.
        let idle = spec.text("nodeName").is_empty()
            || matches!(status.text("phase"), "Failed" | "Succeeded");
        Some(match wanted {
            _ if idle => 0,
            wanted if wanted < 0 => 1,
            wanted => wanted,
        })
    }

    fn columns(&self) -> &'static [Column] {
        row::COLUMNS
    }

    fn row(&self, object: &Value, now: Timestamp) -> Row {
        row::row(object, now)
    }
}

/// The singular fields are the first of the plural ones, and win where the two differ.
fn default_addresses(pod: &mut Value) {
    let Some(status) = pod.get_mut("status").filter(|status| status.is_object()) else {
        return;
    };
    let address = status.text("podIP").to_owned();
    let first = status
        .items("podIPs")
        .first()
        .map(|first| first.text("ip").to_owned())
        .unwrap_or_default();
    if !address.is_empty() && address != first {
        set(status, "podIPs", json!([{ "ip": address }]));
    } else if address.is_empty() && !first.is_empty() {
        set(status, "podIP", first);
    }
}
