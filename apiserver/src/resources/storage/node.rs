//! Rules of CSINodes.

use std::collections::HashSet;

use ferrule_apimachinery::field::FieldError;
use jiff::Timestamp;
use serde_json::Value;

use super::validate_driver_name;
use crate::resources::meta::NameRule;
use crate::resources::problems::{Path, Problems};
use crate::resources::table::{self, Column, Row};
use crate::resources::tree::{self, Tree};
use crate::resources::{Context, Rules, Strategy, go_form, meta};

/// Rules of CSINodes.
pub struct CsiNode;

/// Bytes of a node's name, from drivers that follow the newest form of CSI.
const MAX_NODE_ID: usize = 256;

const COLUMNS: &[Column] = &[
    Column::NAME,
    Column::integer("Drivers", "How many CSI drivers the node has."),
    Column::AGE,
];

impl Rules for CsiNode {
    fn strategy(&self) -> Strategy {
        Strategy::PLAIN.cluster_wide().conditional()
    }

    fn validate_create(&self, new: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        validate(new).into_errors()
    }

    fn validate_update(&self, new: &Value, old: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        let mut out = meta::validate_update_once(new, old);
        out.extend(validate(new));
        let path = Path::new("spec").child("drivers");
        let fixed = |driver: &Value| {
            let mut driver = driver.clone();
            tree::remove(&mut driver, "allocatable");
            driver
        };
        let (after, before) = (
            new.at("spec").items("drivers"),
            old.at("spec").items("drivers"),
        );
        for old in before {
            let same_name = after
                .iter()
                .filter(|new| new.text("name") == old.text("name"));
            for new in same_name.map(fixed) {
                if !tree::same(&new, &fixed(old)) {
                    let shown = go_form::compact("CSINodeDriver", &new);
                    out.invalid_raw(&path, shown, "field is immutable");
                }
            }
        }
        out.into_errors()
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn row(&self, object: &Value, now: Timestamp) -> Row {
        let drivers = object.at("spec").items("drivers").len().into();
        vec![table::name(object), drivers, table::age(object, now)].into()
    }
}

fn validate(object: &Value) -> Problems {
    let mut out = meta::validate_create(object, false, NameRule::Subdomain);
    let mut names = HashSet::new();
    for (i, driver) in object.at("spec").items("drivers").iter().enumerate() {
        let (at, name) = (
            Path::new("spec").child("drivers").index(i),
            driver.text("name"),
        );
        validate_driver(&mut out, &at, driver);
        if !names.insert(name) {
            out.duplicate(&at.child("name"), name);
        }
        let mut keys = HashSet::new();
        for key in driver.items("topologyKeys") {
            let key = key.as_str().unwrap_or_default();
            if key.is_empty() {
                out.required(&at, "");
            }
            if !keys.insert(key) {
                out.duplicate(&at, key);
            }
            out.qualified_name(&at, key);
        }
    }
    out
}

fn validate_driver(out: &mut Problems, path: &Path, driver: &Value) {
    validate_driver_name(out, &path.child("name"), driver.text("name"));
    let (at, id) = (path.child("nodeID"), driver.text("nodeID"));
    if id.is_empty() {
        out.required(&at, "");
    }
    if id.len() > MAX_NODE_ID {
        let detail = format!("must be {MAX_NODE_ID} characters or less");
        out.invalid(&at, id, &detail);
    }
    if let Some(count) = driver.at("allocatable").opt_int("count") {
        out.non_negative(&path.child("allocatable").child("count"), count);
    }
}
