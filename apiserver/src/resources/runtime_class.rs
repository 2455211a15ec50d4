//! Rules of RuntimeClasses, which name the ways in which nodes run containers.

use ferrule_apimachinery::field::FieldError;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::pod::validation::{validate_requirements, validate_tolerations};
use super::problems::Path;
use super::selector::validate_labels;
use super::table::{self, Column, Row};
use super::tree::Tree;
use super::{Context, Rules, Strategy, meta};

/// Rules of RuntimeClasses.
pub struct RuntimeClass;

const COLUMNS: &[Column] = &[
    Column::NAME,
    Column::text("Handler", "What the nodes' runtime calls it."),
    Column::AGE,
];

impl Rules for RuntimeClass {
    fn strategy(&self) -> Strategy {
        Strategy::PLAIN.cluster_wide().conditional()
    }

    fn validate_create(&self, new: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        let mut out = meta::validate_create(new, false, self.name_rule());
        out.dns_label(&Path::new("handler"), new.text("handler"));
        if new.has("overhead") {
            let limits = json!({ "limits": new.at("overhead").at("podFixed") });
            validate_requirements(&mut out, &Path::new("overhead"), &limits, &[]);
        }
        if new.has("scheduling") {
            let (path, scheduling) = (Path::new("scheduling"), new.at("scheduling"));
            let selector = path.child("nodeSelector");
            validate_labels(&mut out, &selector, scheduling.at("nodeSelector"));
            let tolerations = scheduling.items("tolerations");
            validate_tolerations(&mut out, &path.child("tolerations"), tolerations);
        }
        out.into_errors()
    }

    fn validate_update(&self, new: &Value, old: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        let mut out = meta::validate_update(new, old);
        let name = "handler";
        meta::validate_immutable(&mut out, &Path::new(name), new.at(name), old.at(name));
        out.into_errors()
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn row(&self, object: &Value, now: Timestamp) -> Row {
        let handler = object.text("handler").into();
        vec![table::name(object), handler, table::age(object, now)].into()
    }
}
