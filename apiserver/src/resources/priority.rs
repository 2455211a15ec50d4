//! Rules of PriorityClasses, which name the priorities of pods.

use ferrule_apimachinery::field::FieldError;
use jiff::Timestamp;
use serde_json::Value;

use super::problems::{Path, Problems};
use super::table::{self, Column, Row};
use super::tree::{Tree, fill};
use super::{Context, Rules, Strategy, meta};

/// Rules of PriorityClasses.
pub struct PriorityClass;

/// Name, value and description of the classes that every cluster has.
pub const SYSTEM_CLASSES: [(&str, i64, &str); 2] = [
    (
        "system-node-critical",
        2_000_001_000,
        "Used for system critical pods that must not be moved from their current node.",
    ),
    (
        "system-cluster-critical",
        2_000_000_000,
        "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.",
    ),
];

/// Higher values belong to the system.
const HIGHEST_OF_USERS: i64 = 1_000_000_000;
const SYSTEM_PREFIX: &str = "system-";

const COLUMNS: &[Column] = &[
    Column::NAME,
    Column::integer("Value", "The priority; higher goes first."),
    Column {
        kind: "boolean",
        ..Column::text(
            "Global-Default",
            "Whether pods that name no class are of this one.",
        )
    },
    Column::AGE,
    Column::text(
        "PreemptionPolicy",
        "Whether its pods may take the place of others.",
    ),
];

impl Rules for PriorityClass {
    fn default(&self, object: &mut Value) {
        fill(object, "preemptionPolicy", "PreemptLowerPriority");
    }

    fn strategy(&self) -> Strategy {
        Strategy::PLAIN.cluster_wide()
    }

    fn prepare_create(&self, new: &mut Value, _context: &Context<'_>) {
        meta::first_generation(new);
    }

    fn validate_create(&self, new: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        let mut out = meta::validate_create(new, false, self.name_rule());
        validate_value(&mut out, new);
        let (policy, policies) = (
            new.text("preemptionPolicy"),
            ["PreemptLowerPriority", "Never"],
        );
        if !policies.contains(&policy) {
            out.unsupported(&Path::new("preemptionPolicy"), policy, &policies);
        }
        out.into_errors()
    }

    fn validate_update(&self, new: &Value, old: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        let mut out = meta::validate_update(new, old);
        if new.int("value") != old.int("value") {
            out.forbidden(&Path::new("value"), "may not be changed in an update.");
        }
        let name = "preemptionPolicy";
        meta::validate_immutable(&mut out, &Path::new(name), new.at(name), old.at(name));
        out.into_errors()
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn row(&self, object: &Value, now: Timestamp) -> Row {
        vec![
            table::name(object),
            object.int("value").into(),
            object.flag("globalDefault").into(),
            table::age(object, now),
            object.text("preemptionPolicy").into(),
        ]
        .into()
    }
}

fn validate_value(out: &mut Problems, class: &Value) {
    let (name, value) = (class.at("metadata").text("name"), class.int("value"));
    if !name.starts_with(SYSTEM_PREFIX) {
        if value > HIGHEST_OF_USERS {
            let detail =
                format!("maximum allowed value of a user defined priority is {HIGHEST_OF_USERS}");
            out.forbidden(&Path::new("value"), &detail);
        }
        return;
    }
    let known = SYSTEM_CLASSES.iter().find(|(known, ..)| *known == name);
    let why = match known {
        None => format!("{name} is not a known system priority class"),
        Some((_, right, _)) if *right != value => {
            format!("value of {name} PriorityClass must be {right}")
        }
        Some(_) if class.flag("globalDefault") => {
            format!("globalDefault of {name} PriorityClass must be false")
        }
        Some(_) => return,
    };
    let detail = format!(
        "priority class names with '{SYSTEM_PREFIX}' prefix are reserved for system use only. error: {why}"
    );
    out.forbidden(&Path::new("metadata").child("name"), &detail);
}
