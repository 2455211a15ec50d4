//! Rules of VolumeAttributesClasses.

use ferrule_apimachinery::field::FieldError;
use jiff::Timestamp;
use serde_json::Value;

use super::{validate_parameters, validate_provisioner};
use crate::resources::meta::NameRule;
use crate::resources::problems::{Path, Problems};
use crate::resources::table::{self, Column, Row};
use crate::resources::tree::{self, Tree};
use crate::resources::{Context, Rules, Strategy, meta};

/// Rules of VolumeAttributesClasses.
pub struct VolumeAttributesClass;

const COLUMNS: &[Column] = &[
    Column::NAME,
    Column::text("DriverName", "CSI driver whose volumes the class is for."),
    Column::AGE,
];

impl Rules for VolumeAttributesClass {
    fn strategy(&self) -> Strategy {
        Strategy::PLAIN.cluster_wide()
    }

    fn validate_create(&self, new: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        validate(new).into_errors()
    }

    fn validate_update(&self, new: &Value, old: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        let mut out = meta::validate_update(new, old);
        for name in ["driverName", "parameters"] {
            if !tree::same(new.at(name), old.at(name)) {
                let detail = format!("updates to {name} are forbidden.");
                out.forbidden(&Path::new(name), &detail);
            }
        }
        out.extend(validate(new));
        out.into_errors()
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn row(&self, object: &Value, now: Timestamp) -> Row {
        let driver = object.text("driverName").into();
        vec![table::name(object), driver, table::age(object, now)].into()
    }
}

fn validate(object: &Value) -> Problems {
    let mut out = meta::validate_create(object, false, NameRule::Subdomain);
    validate_provisioner(
        &mut out,
        &Path::new("driverName"),
        object.text("driverName"),
    );
    validate_parameters(&mut out, object, false);
    out
}
