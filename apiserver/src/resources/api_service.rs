//! Rules of APIServices: defaults and columns, the rest by schema.

use jiff::Timestamp;
use serde_json::Value;

use super::table::{self, Column, Row};
use super::tree::{Tree, fill};
use super::{Rules, Strategy};

/// Rules of APIServices.
pub struct ApiService;

const SERVICES: &[Column] = &[
    Column::NAME,
    Column::text("Service", "The Service that answers for the group."),
    Column::text("Available", "Whether it answers."),
    Column::AGE,
];

impl Rules for ApiService {
    fn default(&self, object: &mut Value) {
        if let Some(service) = object.pointer_mut("/spec/service")
            && service.is_object()
        {
            fill(service, "port", 443);
        }
    }

    fn strategy(&self) -> Strategy {
        Strategy::STATUS.cluster_wide().conditional()
    }

    fn columns(&self) -> &'static [Column] {
        SERVICES
    }

    fn row(&self, object: &Value, now: Timestamp) -> Row {
        let service = match object.at("spec").at("service") {
            Value::Null => "Local".to_owned(),
            service => format!("{}/{}", service.text("namespace"), service.text("name")),
        };
        let conditions = object.at("status").items("conditions").iter();
        let available = conditions
            .filter(|condition| condition.text("type") == "Available")
            .map(
                |condition| match (condition.text("status"), condition.text("reason")) {
                    ("True", _) => "True".to_owned(),
                    (status, "") => status.to_owned(),
                    (status, reason) => format!("{status} ({reason})"),
                },
            )
            .next();
        vec![
            table::name(object),
            service.into(),
            available.unwrap_or_else(|| "Unknown".to_owned()).into(),
            table::age(object, now),
        ]
        .into()
    }
}
