//! The subresource `scale`: how many, without knowing what of.

use bytes::Bytes;
use ferrule_apimachinery::apply::{
    Live, Managers, OneVersion, Ownership, SCALE_VERSION, ScaledField, Writer,
};
use ferrule_apimachinery::field::{FieldError, Path};
use ferrule_apimachinery::object::Stored;
use ferrule_apimachinery::selector::LabelSelector;
use ferrule_apimachinery::status::Status;
use serde_json::{Map, Value, json};

use super::allocation::World;
use super::change::Current;
use super::metadata::{check_name_matches, meta_text, metadata, seconds, value_of};
use super::owners::{Writes, manager, read_or_none};
use super::write::Part;
use super::{Answer, Api, Body, Call, Patch, Target, WriteOptions, errors};
use crate::resources::{self, ScaleRules};

/// The schema's name of what `scale` reads and writes.
const SCALE_TYPE: &str = "autoscaling/v1.Scale";

/// From the current object to the wanted Scale, and to the object's owners after it.
type Wanted<'a> = dyn Fn(&Current, &World) -> Result<(Value, Option<Bytes>), Status> + Sync + 'a;

impl Api {
    fn scale_rules(target: &Target) -> Result<ScaleRules, Status> {
        resources::rules_for(&target.resource)
            .scale()
            .ok_or_else(Status::no_such_resource)
    }

    pub(super) fn scale_of(&self, target: &Target, stored: &Stored) -> Result<Answer, Status> {
        let scale = scale(Self::scale_rules(target)?, &value_of(stored)?);
        Ok(Answer::other(&scale, stored.revision))
    }

    pub(super) async fn update_scale(
        &self,
        call: &Call,
        target: &Target,
        body: Body<'_>,
        options: &WriteOptions,
    ) -> Result<Answer, Status> {
        let scale = self.decode_other(body, "autoscaling/v1", "Scale", SCALE_TYPE)?;
        check_name_matches(target, &scale)?;
        self.set_scale(call, target, options, &|current, world| {
            let scale = scale.clone();
            let managed = self.scale_owners(call, target, current, &scale, options, world)?;
            Ok((scale, managed))
        })
        .await
    }

    pub(super) async fn patch_scale(
        &self,
        call: &Call,
        target: &Target,
        patch: &Patch,
        options: &WriteOptions,
    ) -> Result<Answer, Status> {
        let rules = Self::scale_rules(target)?;
        self.set_scale(call, target, options, &|current, world| {
            let live = scale(rules, &current.value);
            if let Patch::Apply(config) = patch {
                let by = manager(call, options);
                let applied = self.with_scale_owners(target, current, |ownership, managed| {
                    let live = Live {
                        object: &live,
                        absent: false,
                    };
                    let json = managed.to_json();
                    let applied = config.apply_to(
                        ownership,
                        live,
                        json.as_deref(),
                        by,
                        options,
                        world.now,
                    )?;
                    Ok((applied.managed, applied.object))
                })?;
                check_name_matches(target, &applied.1)?;
                return Ok((applied.1, applied.0));
            }
            let patched = self.apply_patch(SCALE_TYPE, &live, patch)?;
            check_name_matches(target, &patched)?;
            let managed = self.scale_owners(call, target, current, &patched, options, world)?;
            Ok((patched, managed))
        })
        .await
    }

    /// The owners of the object after a write of its Scale that was no apply.
    fn scale_owners(
        &self,
        call: &Call,
        target: &Target,
        current: &Current,
        new: &Value,
        options: &WriteOptions,
        world: &World,
    ) -> Result<Option<Bytes>, Status> {
        let live = scale(Self::scale_rules(target)?, &current.value);
        let now = seconds(world.now);
        let writer = Writer {
            manager: manager(call, options),
            force: false,
            now: &now,
        };
        let (managed, ()) = self.with_scale_owners(target, current, |ownership, managed| {
            let live = Live {
                object: &live,
                absent: false,
            };
            let before = managed.to_json();
            let after = ownership.update(live, new, managed, writer);
            Ok((after.map_or(before, |after| after.to_json()), ()))
        })?;
        Ok(managed)
    }

    /// The owners of the object, when `write` says who owns its Scale's fields, and what else it says.
    fn with_scale_owners<T>(
        &self,
        target: &Target,
        current: &Current,
        write: impl FnOnce(&Ownership<'_>, Managers<'_>) -> Result<(Option<Vec<u8>>, T), Status>,
    ) -> Result<(Option<Bytes>, T), Status> {
        let rules = Self::scale_rules(target)?;
        let id = self.schema().type_id(SCALE_TYPE);
        let ownership = Ownership {
            schema: self.schema(),
            id: id.ok_or_else(|| Status::internal("no type of scales"))?,
            api_version: SCALE_VERSION,
            kind: "Scale",
            subresource: "scale",
            reset: &[],
            versions: &OneVersion,
        };
        let api_version = target.resource.api_version();
        let path: Vec<&str> = rules.spec_replicas.split('.').collect();
        let field = ScaledField {
            api_version: &api_version,
            path: &path,
        };
        let parent = read_or_none(current.managed.as_deref());
        let (scale, more) = write(&ownership, field.to_scale(&parent))?;
        let scale = read_or_none(scale.as_deref());
        let managed = field.to_parent(parent, &scale).to_json();
        Ok((managed.map(Bytes::from), more))
    }

    async fn set_scale(
        &self,
        call: &Call,
        target: &Target,
        options: &WriteOptions,
        wanted: &Wanted<'_>,
    ) -> Result<Answer, Status> {
        let rules = Self::scale_rules(target)?;
        let parent = Target {
            subresource: String::new(),
            ..target.clone()
        };
        let mut plan = |current: Option<&Current>, world: &World| {
            let current =
                current.ok_or_else(|| errors::not_found(&target.resource, &target.name))?;
            let (scale, managed) = wanted(current, world)?;
            let replicas = scale["spec"]["replicas"].as_i64().unwrap_or_default();
            if replicas < 0 {
                let path = Path::new("spec").child("replicas");
                let problem =
                    FieldError::invalid(&path, replicas, "must be greater than or equal to 0");
                return Err(Status::invalid(
                    "autoscaling",
                    "Scale",
                    &target.name,
                    &[problem],
                ));
            }
            let (uid, found) = (meta_text(&scale, "uid"), meta_text(&current.value, "uid"));
            if !uid.is_empty() && uid != found {
                let resource = format!("{}/scale", target.resource.plural);
                let why = format!(
                    "Precondition failed: UID in precondition: {uid}, UID in object meta: {found}"
                );
                let group = &target.resource.group;
                return Err(Status::conflict(group, &resource, &target.name, why));
            }
            let mut new = current.value.clone();
            set_path(&mut new, rules.spec_replicas, replicas.into());
            let version = scale["metadata"]["resourceVersion"].clone();
            if version.is_string() {
                metadata(&mut new).insert("resourceVersion".into(), version);
            }
            let known = Writes::Known(managed.as_ref());
            self.plan_update(call, &parent, Part::Object, new, current, world, known)
        };
        let answer = self
            .change(call, &parent, options.dry_run, &mut plan)
            .await?
            .answer();
        let object: Value = serde_json::from_slice(&answer.bytes).map_err(Status::internal)?;
        Ok(Answer::other(&scale(rules, &object), answer.revision))
    }
}

/// The Scale of an object.
fn scale(rules: ScaleRules, object: &Value) -> Value {
    let own = &object["metadata"];
    let mut metadata = Map::new();
    for field in [
        "name",
        "namespace",
        "uid",
        "resourceVersion",
        "creationTimestamp",
    ] {
        if let Some(value) = own.get(field) {
            metadata.insert(field.to_owned(), value.clone());
        }
    }
    let number = |path| {
        at_path(object, path)
            .and_then(Value::as_i64)
            .unwrap_or_default()
    };
    let mut spec = Map::new();
    if number(rules.spec_replicas) != 0 {
        spec.insert("replicas".into(), number(rules.spec_replicas).into());
    }
    let mut status = Map::new();
    status.insert("replicas".into(), number(rules.status_replicas).into());
    let selector = at_path(object, rules.selector)
        .map(|selector| match rules.plain_selector {
            true => json!({ "matchLabels": selector }),
            false => selector.clone(),
        })
        .and_then(|selector| LabelSelector::from_value(Some(&selector)).ok())
        .map(|selector| selector.to_string())
        .filter(|selector| !selector.is_empty());
    if let Some(selector) = selector {
        status.insert("selector".into(), selector.into());
    }
    json!({
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": metadata,
        "spec": spec,
        "status": status,
    })
}

fn at_path<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.')
        .try_fold(object, |object, field| object.get(field))
}

fn set_path(object: &mut Value, path: &str, value: Value) {
    let mut place = object;
    for field in path.split('.') {
        if !place.is_object() {
            *place = Value::Object(Map::new());
        }
        place = &mut place[field];
    }
    *place = value;
}
