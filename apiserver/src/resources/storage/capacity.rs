//! Rules of CSIStorageCapacities.

use ferrule_apimachinery::field::FieldError;
use jiff::Timestamp;
use serde_json::Value;

use crate::resources::meta::NameRule;
use crate::resources::pod::validation::parse_or_zero;
use crate::resources::problems::Path;
use crate::resources::selector::validate_label_selector;
use crate::resources::table::{self, Column, Row};
use crate::resources::tree::{Tree, display};
use crate::resources::{Context, Rules, Strategy, go_form, meta, tree};

/// Rules of CSIStorageCapacities.
pub struct CsiStorageCapacity;

const IMMUTABLE: &str = "field is immutable";

const COLUMNS: &[Column] = &[
    Column::NAME,
    Column::text(
        "StorageClassName",
        "Class whose volumes the capacity is for.",
    ),
    Column::text("Capacity", "What is left."),
];

impl Rules for CsiStorageCapacity {
    fn strategy(&self) -> Strategy {
        Strategy::PLAIN.conditional()
    }

    fn validate_create(&self, new: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        let mut out = meta::validate_create(new, true, NameRule::Subdomain);
        validate_label_selector(&mut out, &Path::new("nodeTopology"), new.at("nodeTopology"));
        out.dns_subdomain(&Path::new("storageClassName"), new.text("storageClassName"));
        let capacity = parse_or_zero(new.at("capacity"));
        if capacity.signum() < 0 {
            let detail = "must be greater than or equal to 0";
            out.invalid(&Path::new("capacity"), capacity.to_string(), detail);
        }
        out.into_errors()
    }

    fn validate_update(&self, new: &Value, old: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        let mut out = meta::validate_update(new, old);
        let topology = "nodeTopology";
        if !tree::same(new.at(topology), old.at(topology)) {
            let shown = go_form::label_selector(new.at(topology));
            out.invalid_raw(&Path::new(topology), shown, IMMUTABLE);
        }
        let class = "storageClassName";
        if new.text(class) != old.text(class) {
            out.invalid(&Path::new(class), new.text(class), IMMUTABLE);
        }
        out.into_errors()
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn row(&self, object: &Value, _now: Timestamp) -> Row {
        let capacity = match object.at("capacity") {
            Value::Null => "<unset>".into(),
            given => display(given),
        };
        vec![
            table::name(object),
            object.text("storageClassName").into(),
            capacity.into(),
        ]
        .into()
    }
}
