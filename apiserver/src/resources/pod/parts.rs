//! The parts of a pod with paths of their own: `ephemeralcontainers`, and `resize`.

use ferrule_apimachinery::field::FieldError;
use serde_json::Value;

use super::validation;
use crate::resources::tree::{self, Tree};
use crate::resources::{Context, PartRules, meta};

/// A write that adds ephemeral containers.
pub struct EphemeralContainers;

impl PartRules for EphemeralContainers {
    fn prepare(&self, new: &mut Value, old: &Value, _context: &Context<'_>) {
        let mut pod = old.clone();
        if let Some(spec) = tree::child(&mut pod, "spec") {
            tree::copy(spec, new.at("spec"), "ephemeralContainers");
        }
        *new = with_generation(pod, old);
    }

    fn validate(&self, new: &Value, old: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        validation::validate_ephemeral_update(new, old).into_errors()
    }
}

/// A write that gives containers more or less resources.
pub struct Resize;

impl PartRules for Resize {
    fn prepare(&self, new: &mut Value, old: &Value, _context: &Context<'_>) {
        let mut pod = old.clone();
        let wanted = new.at("spec");
        if let Some(spec) = tree::child(&mut pod, "spec") {
            for list in ["containers", "initContainers"] {
                for container in tree::items_mut(spec, list) {
                    let name = container.text("name");
                    let named = |one: &&Value| one.text("name") == name;
                    if let Some(wanted) = wanted.items(list).iter().find(named) {
                        for field in ["resources", "resizePolicy"] {
                            tree::copy(container, wanted, field);
                        }
                    }
                }
            }
            tree::copy(spec, wanted, "resources");
        }
        *new = with_generation(pod, old);
    }

    fn validate(&self, new: &Value, old: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        validation::validate_resize(new, old).into_errors()
    }
}

fn with_generation(mut pod: Value, old: &Value) -> Value {
    let changed = !tree::same(pod.at("spec"), old.at("spec"));
    meta::next_generation(&mut pod, old, changed);
    pod
}
