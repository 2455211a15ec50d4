//! Rules of what workloads keep beside their pods: ControllerRevisions, and PodTemplates.

use ferrule_apimachinery::field::FieldError;
use jiff::Timestamp;
use serde_json::Value;

use crate::resources::pod::{defaults, validation, warnings};
use crate::resources::problems::{Path, Problems};
use crate::resources::table::{self, Column, Row};
use crate::resources::tree::{Tree, child};
use crate::resources::{Context, Rules, Strategy, meta};

/// Rules of ControllerRevisions, which never change.
pub struct ControllerRevision;

const REVISION_COLUMNS: &[Column] = &[
    Column::NAME,
    Column::text("Controller", "Whose state it is."),
    Column::integer("Revision", "Which of its states."),
    Column::AGE,
];

impl Rules for ControllerRevision {
    fn validate_create(&self, new: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        let mut out = meta::validate_create(new, true, self.name_rule());
        validate_revision(&mut out, new);
        out.into_errors()
    }

    fn validate_update(&self, new: &Value, old: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        let mut out = meta::validate_update(new, old);
        validate_revision(&mut out, new);
        meta::validate_immutable(&mut out, &Path::new("data"), new.at("data"), old.at("data"));
        out.into_errors()
    }

    fn columns(&self) -> &'static [Column] {
        REVISION_COLUMNS
    }

    fn row(&self, object: &Value, now: Timestamp) -> Row {
        let owners = object.at("metadata").items("ownerReferences");
        let controller = owners.iter().find(|owner| owner.flag("controller"));
        let controller = controller.map_or("<none>".to_owned(), |owner| {
            let kind = owner.text("kind").to_ascii_lowercase();
            match owner.text("apiVersion").split_once('/') {
                Some((group, _)) => format!("{kind}.{group}/{}", owner.text("name")),
                None => format!("{kind}/{}", owner.text("name")),
            }
        });
        vec![
            table::name(object),
            controller.into(),
            object.int("revision").into(),
            table::age(object, now),
        ]
        .into()
    }
}

fn validate_revision(out: &mut Problems, revision: &Value) {
    if revision.at("data").is_null() {
        out.required(&Path::new("data"), "data is mandatory");
    }
    out.non_negative(&Path::new("revision"), revision.int("revision"));
}

/// Rules of PodTemplates.
pub struct PodTemplate;

const TEMPLATE_COLUMNS: &[Column] = &[
    Column::NAME,
    Column::text("Containers", "Names of the template's containers."),
    Column::text("Images", "Images of the template's containers."),
    Column::text("Pod Labels", "Labels of the pods that are made from it."),
];

impl Rules for PodTemplate {
    fn default(&self, object: &mut Value) {
        if let Some(template) = child(object, "template") {
            defaults::default_template(template);
        }
    }

    fn strategy(&self) -> Strategy {
        Strategy::GENERATION
    }

    fn validate_create(&self, new: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        let mut out = meta::validate_create(new, true, self.name_rule());
        validation::validate_template(&mut out, &Path::new("template"), new.at("template"));
        out.into_errors()
    }

    fn validate_update(&self, new: &Value, old: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        let mut out = meta::validate_update(new, old);
        validation::validate_template(&mut out, &Path::new("template"), new.at("template"));
        out.into_errors()
    }

    fn warnings(&self, new: &Value, old: Option<&Value>) -> Vec<String> {
        warnings::of_maker(new, old, None, &["template"])
    }

    fn columns(&self) -> &'static [Column] {
        TEMPLATE_COLUMNS
    }

    fn row(&self, object: &Value, _now: Timestamp) -> Row {
        let template = object.at("template");
        let [containers, images] = super::containers_and_images(template);
        vec![
            table::name(object),
            containers,
            images,
            table::labels(template.at("metadata").at("labels")).into(),
        ]
        .into()
    }
}
