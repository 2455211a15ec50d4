//! The subresource `scale`: how many, without knowing what of.

use ferrule_apimachinery::field::{FieldError, Path};
use ferrule_apimachinery::object::Stored;
use ferrule_apimachinery::selector::LabelSelector;
use ferrule_apimachinery::status::Status;
use serde_json::{Map, Value, json};

use super::allocation::World;
use super::change::Current;
use super::metadata::{check_name_matches, meta_text, metadata, value_of};
use super::write::Part;
use super::{Answer, Api, Body, Call, PatchBody, Target, WriteOptions, errors};
use crate::resources::{self, ScaleRules};

/// The schema's name of what `scale` reads and writes.
const SCALE_TYPE: &str = "autoscaling/v1.Scale";

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
        self.set_scale(call, target, options, &|_| Ok(scale.clone()))
            .await
    }

    pub(super) async fn patch_scale(
        &self,
        call: &Call,
        target: &Target,
        patch: &PatchBody,
        options: &WriteOptions,
    ) -> Result<Answer, Status> {
        let rules = Self::scale_rules(target)?;
        self.set_scale(call, target, options, &|current| {
            let patched = self.apply_patch(SCALE_TYPE, &scale(rules, &current.value), patch)?;
            check_name_matches(target, &patched)?;
            Ok(patched)
        })
        .await
    }

    async fn set_scale(
        &self,
        call: &Call,
        target: &Target,
        options: &WriteOptions,
        wanted: &(dyn Fn(&Current) -> Result<Value, Status> + Sync),
    ) -> Result<Answer, Status> {
        let rules = Self::scale_rules(target)?;
        let parent = Target {
            subresource: String::new(),
            ..target.clone()
        };
        let mut plan = |current: Option<&Current>, world: &World| {
            let current =
                current.ok_or_else(|| errors::not_found(&target.resource, &target.name))?;
            let scale = wanted(current)?;
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
            self.plan_update(call, &parent, Part::Object, new, current, world)
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
