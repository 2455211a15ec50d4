//! Tables of the rules of ownership, and properties of sets and of apply.

mod applies;
mod properties;
mod sets;
mod updates;

use serde_json::{Value, json};

use super::{Applied, Live, Managers, Ownership, Writer};
use crate::status::Status;

pub(super) const NOW: &str = "2026-01-02T03:04:05Z";
pub(super) const BEFORE: &str = "2025-01-01T00:00:00Z";

/// The rules of a kind.
pub(super) fn rules(api_version: &'static str, kind: &'static str) -> Ownership<'static> {
    Ownership::builtin(api_version, kind).expect("a known type")
}

/// An object with its owners, as a client sees it.
#[derive(Clone, Debug)]
pub(super) struct Object {
    pub rules: &'static str,
    pub value: Option<Value>,
    pub managed: Vec<u8>,
}

pub(super) fn rules_of(kind: &'static str) -> Ownership<'static> {
    match kind {
        "Deployment" => rules("apps/v1", kind),
        kind => rules("v1", kind),
    }
}

impl Object {
    pub fn absent(kind: &'static str) -> Object {
        Object {
            rules: kind,
            value: None,
            managed: b"[]".to_vec(),
        }
    }

    fn live(&self, rules: &Ownership<'_>) -> Value {
        self.value
            .clone()
            .unwrap_or_else(|| rules.schema.empty_object(rules.id))
    }

    /// The same after a write that is no apply.
    pub fn updated(&self, manager: &str, new: Value) -> Object {
        self.updated_at(&rules_of(self.rules), manager, NOW, new)
    }

    pub fn updated_at(
        &self,
        rules: &Ownership<'_>,
        manager: &str,
        now: &str,
        new: Value,
    ) -> Object {
        let new = complete(rules, new);
        let object = self.live(rules);
        let live = Live {
            object: &object,
            absent: self.value.is_none(),
        };
        let writer = Writer {
            manager,
            force: false,
            now,
        };
        let managed = Managers::parse(&self.managed).expect("managed fields");
        let after = rules.update(live, &new, managed, writer);
        let managed = match after {
            Some(after) => after.to_json().unwrap_or(b"[]".to_vec()),
            None => self.managed.clone(),
        };
        Object {
            rules: self.rules,
            value: Some(new),
            managed,
        }
    }

    /// The same with a configuration applied.
    pub fn applied(&self, manager: &str, config: Value, force: bool) -> Result<Object, Status> {
        let rules = rules_of(self.rules);
        let object = self.live(&rules);
        let live = Live {
            object: &object,
            absent: self.value.is_none(),
        };
        let writer = Writer {
            manager,
            force,
            now: NOW,
        };
        let managed = Managers::parse(&self.managed).expect("managed fields");
        let Applied { object, managed } = rules.apply(live, &config, managed, writer)?;
        Ok(Object {
            rules: self.rules,
            value: Some(complete(&rules, object)),
            managed: managed.unwrap_or(b"[]".to_vec()),
        })
    }

    /// What each manager owns: `name Operation version subresource time` to FieldsV1.
    pub fn owners(&self) -> Value {
        let entries: Vec<Value> = serde_json::from_slice(&self.managed).expect("JSON");
        let mut out = json!({});
        for entry in entries {
            let text = |name: &str| entry[name].as_str().unwrap_or("-");
            let key = format!(
                "{} {}{}",
                text("manager"),
                text("operation"),
                if entry["time"].is_null() {
                    " (no time)"
                } else {
                    ""
                }
            );
            out[key] = entry["fieldsV1"].clone();
        }
        out
    }
}

/// The object in the form in which it is kept.
pub(super) fn complete(rules: &Ownership<'_>, value: Value) -> Value {
    let decoded = rules.schema.decode_value(value, rules.id);
    decoded.expect("an object of the type").value
}

pub(super) fn config_map(data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data})
}
