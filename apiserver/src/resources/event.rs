//! Rules of Events.

use ferrule_apimachinery::field::FieldError;
use ferrule_apimachinery::names;
use jiff::Timestamp;
use serde_json::Value;

use super::meta::{self, NameRule};
use super::problems::{Path, Problems};
use super::table::{self, Column, Row};
use super::tree::Tree;
use super::{Context, Rules, Strategy, event_v1};

/// Rules of Events, of both groups.
pub struct Event;

const COLUMNS: &[Column] = &[
    Column::text("Last Seen", "Time since it happened last."),
    Column::text("Type", "Normal or Warning."),
    Column::text("Reason", "Why, as one word."),
    Column::text("Object", "What it happened to."),
    Column::text("Subobject", "Which part of the object.").wide(),
    Column::text("Source", "Who saw it.").wide(),
    Column::text("Message", "What happened."),
    Column::text("First Seen", "Time since it happened first.").wide(),
    Column {
        priority: 1,
        ..Column::text("Count", "How often it happened.")
    },
    Column {
        priority: 1,
        ..Column::NAME
    },
];

impl Rules for Event {
    fn strategy(&self) -> Strategy {
        Strategy::PLAIN.making()
    }

    fn validate_create(&self, new: &Value, context: &Context<'_>) -> Vec<FieldError> {
        let mut out = validate(new, context);
        if context.api_version == event_v1::API_VERSION {
            event_v1::validate(&mut out, new);
        }
        out.into_errors()
    }

    fn validate_update(&self, new: &Value, old: &Value, context: &Context<'_>) -> Vec<FieldError> {
        let mut out = meta::validate_update_once(new, old);
        out.extend(validate(new, context));
        let mut errors = out.into_errors();
        if context.api_version == event_v1::API_VERSION {
            errors.extend(event_v1::validate_changes(new, old));
        }
        errors
    }

    fn name_rule(&self) -> NameRule {
        NameRule::PathSegment
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn row(&self, object: &Value, now: Timestamp) -> Row {
        let since = |text: &str| table::since(text, now);
        let first = match object.text("firstTimestamp") {
            "" => since(object.text("eventTime")),
            time => since(time),
        };
        let series = object.at("series");
        let (last, count) = match object.text("lastTimestamp") {
            _ if !series.is_null() => (since(series.text("lastObservedTime")), series.int("count")),
            "" => (first.clone(), object.int("count").max(1)),
            time => (since(time), object.int("count").max(1)),
        };
        let involved = object.at("involvedObject");
        let target = match (involved.text("kind").to_lowercase(), involved.text("name")) {
            (kind, "") => kind,
            (kind, name) => format!("{kind}/{name}"),
        };
        vec![
            last.into(),
            object.text("type").into(),
            object.text("reason").into(),
            target.into(),
            involved.text("fieldPath").into(),
            source(object).into(),
            object.text("message").trim().into(),
            first.into(),
            count.into(),
            table::name(object),
        ]
        .into()
    }
}

fn source(object: &Value) -> String {
    let either = |old: &str, new: &str| match object.at("source").text(old) {
        "" => object.text(new).to_owned(),
        text => text.to_owned(),
    };
    let (component, host) = (
        either("component", "reportingComponent"),
        either("host", "reportingInstance"),
    );
    if host.is_empty() {
        component
    } else {
        format!("{component}, {host}")
    }
}

const MAX_WORD: usize = 128;
const MAX_MESSAGE: usize = 1024;

/// Events of the older form have no `eventTime`; those of the newer one must say more.
fn validate(object: &Value, context: &Context<'_>) -> Problems {
    let mut out = Problems::default();
    let (path, about) = (
        Path::new("involvedObject").child("namespace"),
        object.at("involvedObject").text("namespace"),
    );
    let own = object.at("metadata").text("namespace");
    let new_form = !object.text("eventTime").is_empty();
    // Events of what has no namespace live in `default`.
    let elsewhere = matches!(own, "" | "default") || (new_form && own == "kube-system");
    if (about.is_empty() && !elsewhere) || (!new_form && !about.is_empty() && own != about) {
        out.invalid(&path, about, "does not match event.namespace");
    }
    if new_form {
        let component = match context.api_version {
            event_v1::API_VERSION => "reportingController",
            _ => "reportingComponent",
        };
        validate_new_form(&mut out, object, component);
    }
    out.invalid_each(&Path::new("namespace"), own, names::dns1123_subdomain(own));
    if out.is_empty() {
        out = meta::validate_create(object, true, NameRule::PathSegment);
    }
    out
}

fn validate_new_form(out: &mut Problems, object: &Value, component: &str) {
    let component = Path::new(component);
    if object.text("reportingComponent").is_empty() {
        out.required(&component, "");
    }
    out.qualified_name(&component, object.text("reportingComponent"));
    for name in ["reportingInstance", "action", "reason"] {
        let text = object.text(name);
        if text.is_empty() {
            out.required(&Path::new(name), "");
        }
        if text.len() > MAX_WORD {
            out.invalid(
                &Path::new(name),
                "",
                &format!("can have at most {MAX_WORD} characters"),
            );
        }
    }
    if object.text("message").len() > MAX_MESSAGE {
        let detail = format!("can have at most {MAX_MESSAGE} characters");
        out.invalid(&Path::new("message"), "", &detail);
    }
}
