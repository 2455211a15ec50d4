//! Rules of FlowSchemas and PriorityLevelConfigurations: defaults and columns, the rest by schema.

use jiff::Timestamp;
use serde_json::Value;

use super::table::{self, Column, Row};
use super::tree::{Tree, child, fill, fill_unset};
use super::{Rules, Strategy};

/// Rules of FlowSchemas.
pub struct FlowSchema;

/// Rules of PriorityLevelConfigurations.
pub struct PriorityLevel;

const SCHEMAS: &[Column] = &[
    Column::NAME,
    Column::text("PriorityLevel", "Priority level of its requests."),
    Column::text("MatchingPrecedence", "Lower is looked at first."),
    Column::text("DistinguisherMethod", "What makes a flow."),
    Column::AGE,
    Column::text("MissingPL", "Whether its priority level is missing."),
];

const LEVELS: &[Column] = &[
    Column::NAME,
    Column::text("Type", "Whether requests are limited."),
    Column::text("NominalConcurrencyShares", "Its part of the server."),
    Column::text("Queues", "How many queues it has."),
    Column::text("HandSize", "How many queues a flow may use."),
    Column::text("QueueLengthLimit", "How many requests may wait in a queue."),
    Column::AGE,
];

impl Rules for FlowSchema {
    fn default(&self, object: &mut Value) {
        if let Some(spec) = child(object, "spec") {
            fill_unset(spec, "matchingPrecedence", 1000);
        }
    }

    fn strategy(&self) -> Strategy {
        Strategy::BOTH.cluster_wide()
    }

    fn columns(&self) -> &'static [Column] {
        SCHEMAS
    }

    fn row(&self, object: &Value, now: Timestamp) -> Row {
        let spec = object.at("spec");
        let method = spec.at("distinguisherMethod").text("type");
        let conditions = object.at("status").items("conditions").iter();
        let dangling = conditions
            .filter(|condition| condition.text("type") == "Dangling")
            .map(|condition| condition.text("status"))
            .next();
        vec![
            table::name(object),
            spec.at("priorityLevelConfiguration").text("name").into(),
            spec.int("matchingPrecedence").into(),
            table::or_none(method).into(),
            table::age(object, now),
            dangling.unwrap_or("?").into(),
        ]
        .into()
    }
}

impl Rules for PriorityLevel {
    fn default(&self, object: &mut Value) {
        let Some(spec) = child(object, "spec") else {
            return;
        };
        if let Some(exempt) = spec.get_mut("exempt").filter(|exempt| exempt.is_object()) {
            fill(exempt, "nominalConcurrencyShares", 0);
            fill(exempt, "lendablePercent", 0);
        }
        if let Some(limited) = spec
            .get_mut("limited")
            .filter(|limited| limited.is_object())
        {
            fill(limited, "nominalConcurrencyShares", 30);
            fill(limited, "lendablePercent", 0);
            if let Some(queuing) = limited.pointer_mut("/limitResponse/queuing")
                && queuing.is_object()
            {
                fill_unset(queuing, "queues", 64);
                fill_unset(queuing, "handSize", 8);
                fill_unset(queuing, "queueLengthLimit", 50);
            }
        }
    }

    fn strategy(&self) -> Strategy {
        Strategy::BOTH.cluster_wide()
    }

    fn columns(&self) -> &'static [Column] {
        LEVELS
    }

    fn row(&self, object: &Value, now: Timestamp) -> Row {
        let spec = object.at("spec");
        let limited = spec.at("limited");
        let queuing = limited.at("limitResponse").at("queuing");
        let number = |parent: &Value, name: &str| match parent.opt_int(name) {
            Some(number) => Value::from(number),
            None => "<none>".into(),
        };
        vec![
            table::name(object),
            spec.text("type").into(),
            number(limited, "nominalConcurrencyShares"),
            number(queuing, "queues"),
            number(queuing, "handSize"),
            number(queuing, "queueLengthLimit"),
            table::age(object, now),
        ]
        .into()
    }
}
