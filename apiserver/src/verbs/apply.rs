//! Server-side apply: a configuration laid over the object, or a new object made of it.

use bytes::Bytes;
use ferrule_apimachinery::apply::{Applied, Live, Managers, Ownership, Writer};
use ferrule_apimachinery::status::Status;
use ferrule_apimachinery::yaml;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::allocation::World;
use super::change::Current;
use super::metadata::{check_name_matches, check_namespace_matches, meta_text, seconds};
use super::owners::{Writes, manager};
use super::write::Part;
use super::{Answer, Api, Call, FieldValidation, Target, WriteOptions, errors};
use crate::resources;
use crate::store::ReadAt;

/// What somebody wants an object to be, as far as they say.
#[derive(Clone, Debug)]
pub struct Configuration {
    value: Value,
    /// Keys that YAML had twice, in Go's words.
    duplicates: Vec<String>,
}

impl Configuration {
    /// Reads a configuration in YAML, which JSON is as well.
    pub fn read(bytes: &[u8]) -> Result<Configuration, Status> {
        let refused = |why: String| Status::bad_request(format!("error decoding YAML: {why}"));
        let document = yaml::read_document(&String::from_utf8_lossy(bytes))
            .map_err(|error| refused(format!("error converting YAML to JSON: {error}")))?;
        let value = match document.value {
            Value::Null => Value::Object(Map::new()),
            value @ Value::Object(_) => value,
            other => {
                let found = match other {
                    Value::Array(_) => "array",
                    Value::String(_) => "string",
                    Value::Bool(_) => "bool",
                    _ => "number",
                };
                return Err(refused(format!(
                    "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {found} into Go value of type map[string]interface {{}}"
                )));
            }
        };
        Ok(Configuration {
            value,
            duplicates: document.duplicates,
        })
    }

    /// Tells of keys that are there twice, or refuses them.
    fn check(&self, call: &Call, validation: FieldValidation) -> Result<(), Status> {
        if self.duplicates.is_empty() {
            return Ok(());
        }
        match validation {
            FieldValidation::Ignore => {}
            FieldValidation::Warn => self.duplicates.iter().for_each(|one| call.warn(one)),
            FieldValidation::Strict => {
                return Err(Status::bad_request(format!(
                    "error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n  {}",
                    self.duplicates.join("\n  ")
                )));
            }
        }
        Ok(())
    }

    /// Lays the configuration over an object.
    pub(super) fn apply_to(
        &self,
        rules: &Ownership<'_>,
        live: Live<'_>,
        managed: Option<&[u8]>,
        name: &str,
        options: &WriteOptions,
        now: Timestamp,
    ) -> Result<Applied, Status> {
        let managed = match managed {
            None => Managers::default(),
            Some(json) => Managers::parse(json).map_err(|why| {
                Status::bare_error(format!("failed to decode managed fields: {why}"))
            })?,
        };
        let now = seconds(now);
        let writer = Writer {
            manager: name,
            force: options.force.unwrap_or_default(),
            now: &now,
        };
        rules.apply(live, &self.value, managed, writer)
    }
}

impl Api {
    /// Applies a configuration to an object or its status; an object that is not there is made.
    pub(super) async fn apply(
        &self,
        call: &Call,
        target: &Target,
        part: Part,
        config: &Configuration,
        options: &WriteOptions,
    ) -> Result<Answer, Status> {
        let resource = &target.resource;
        if part.is_object() && resource.group.is_empty() && resource.plural == "pods" {
            let there = self.read(resource, ReadAt::Any, call).await?;
            if there.get(&target.namespace, &target.name).is_none() {
                self.check_service_account(call, target, &config.value)
                    .await?;
            }
        }
        let mut made = false;
        let mut plan = |current: Option<&Current>, world: &World| {
            made = current.is_none();
            if made && !part.is_object() {
                return Err(errors::not_found(resource, &target.name));
            }
            let (mut new, managed) =
                self.configured(call, target, current, config, options, world)?;
            if let (None, uid @ 1..) = (current, meta_text(&new, "uid").len()) {
                let uid = &meta_text(&new, "uid")[..uid];
                let why = format!(
                    "uid mismatch: the provided object specified uid {uid}, and no existing object was found"
                );
                return Err(errors::conflict(resource, &target.name, why));
            }
            check_name_matches(target, &new)?;
            check_namespace_matches(target, &mut new)?;
            let mut new = self.to_stored(resource, new)?;
            let known = Writes::Known(managed.as_ref());
            match current {
                Some(current) => self.plan_update(call, target, part, new, current, world, known),
                None => {
                    self.authorize(call, &Api::attributes("create", target))?;
                    let rules = resources::rules_for(resource);
                    rules.default(&mut new);
                    self.plan_create(call, target, rules, new, None, world, known)
                }
            }
        };
        let mut answer = self
            .change(call, target, options.dry_run, &mut plan)
            .await?
            .answer();
        answer.created = made;
        self.shown(resource, answer)
    }

    /// The object with the configuration applied, and its owners.
    fn configured(
        &self,
        call: &Call,
        target: &Target,
        current: Option<&Current>,
        config: &Configuration,
        options: &WriteOptions,
        world: &World,
    ) -> Result<(Value, Option<Bytes>), Status> {
        let rules = self.ownership(target)?;
        let object = match current {
            Some(current) => self.from_stored(&target.resource, current.value.clone())?,
            None => rules.empty(),
        };
        let managed = current.and_then(|current| current.managed.as_deref());
        let live = Live {
            object: &object,
            absent: current.is_none(),
        };
        let ownership = rules.ownership();
        let by = manager(call, options);
        let Applied { object, managed } =
            config.apply_to(&ownership, live, managed, by, options, world.now)?;
        config.check(call, options.validation)?;
        let named = ownership.named(&config.value);
        let decoded = self.schema().decode_value(object, ownership.id);
        let mut value = decoded
            .map_err(|why| {
                Status::bare_error(format!(
                    "failed to convert new typed object ({named}) to object: {why}"
                ))
            })?
            .value;
        value["apiVersion"] = ownership.api_version.into();
        value["kind"] = ownership.kind.into();
        Ok((value, managed.map(Bytes::from)))
    }
}
