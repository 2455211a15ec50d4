//! Create and update: what a new or changed object becomes by admission and the rules of its kind.

use ferrule_apimachinery::names;
use ferrule_apimachinery::object;
use ferrule_apimachinery::status::{Reason, Status};
use serde_json::Value;

use super::allocation::World;
use super::change::{Current, Step};
use super::effects::Effects;
use super::metadata::{
    carry_over, check_name_matches, check_namespace_matches, check_revision, check_uid,
    check_unconditional, deletion_is_complete, meta_text, stamp, value_of,
};
use super::owners::{Writes, manager};
use super::{Answer, Api, Body, Call, Target, WriteOptions, errors, owners};
use crate::admission::{self, DefaultClass, Operation, PriorityClass};
use crate::resources::{self, Context, PartRules, Rules};
use crate::store::{ReadAt, Snapshot};

/// How often a generated name that is taken is generated anew.
const GENERATE_ATTEMPTS: usize = 8;

/// Which part of an object a write is about.
#[derive(Clone, Copy)]
pub(super) enum Part {
    /// All but the status.
    Object,
    /// The status.
    Status,
    /// A namespace's `spec.finalizers`.
    Finalize,
    /// What the rules of the kind say that it is.
    Other(&'static dyn PartRules),
}

impl Part {
    /// The part that a subresource is; `None` when it is none.
    pub fn of(target: &Target) -> Option<Part> {
        match target.subresource.as_str() {
            "" => Some(Part::Object),
            "status" => Some(Part::Status),
            "finalize" => Some(Part::Finalize),
            other => resources::rules_for(&target.resource)
                .part(other)
                .map(Part::Other),
        }
    }

    pub(super) fn is_object(self) -> bool {
        matches!(self, Part::Object)
    }
}

impl Api {
    /// Makes an object, or does what is asked of one by a create: a binding, an eviction.
    pub async fn create(
        &self,
        call: &Call,
        target: &Target,
        body: Body<'_>,
        options: &WriteOptions,
    ) -> Result<Answer, Status> {
        match (target.resource.plural.as_ref(), target.subresource.as_str()) {
            ("bindings", "") | (_, "binding") => {
                return self.bind(call, target, body, options).await;
            }
            (_, "eviction") => return self.evict(call, target, body, options).await,
            (_, "") if target.resource.is_kept() => {}
            (_, "") => return self.review(call, target, body, options).await,
            _ => return Err(Status::method_not_allowed()),
        }
        let mut object = self.decode(call, &target.resource, body, options.validation)?;
        check_namespace_matches(target, &mut object)?;
        let object = self.to_stored(&target.resource, object)?;
        self.create_value(call, target, object, options).await
    }

    /// Makes an object from a tree that was decoded already, in the version that is stored.
    pub(super) async fn create_value(
        &self,
        call: &Call,
        target: &Target,
        mut object: Value,
        options: &WriteOptions,
    ) -> Result<Answer, Status> {
        let rules = resources::rules_for(&target.resource);
        rules.default(&mut object);
        let given = meta_text(&object, "name").to_owned();
        if target.resource.group.is_empty() && target.resource.plural == "pods" {
            self.check_service_account(call, target, &object).await?;
        }
        let prefix = meta_text(&object, "generateName").to_owned();
        let generated = given.is_empty() && !prefix.is_empty();
        for attempt in 1.. {
            let name = if generated {
                names::generate_name(&prefix, rand::random())
            } else {
                given.clone()
            };
            let target = target.named(&name);
            let mut plan = |current: Option<&Current>, world: &World| {
                let by = Writes::By(manager(call, options));
                self.plan_create(call, &target, rules, object.clone(), current, world, by)
            };
            match self.change(call, &target, options.dry_run, &mut plan).await {
                Err(status)
                    if generated
                        && attempt < GENERATE_ATTEMPTS
                        && status.reason == Reason::AlreadyExists => {}
                result => {
                    let mut answer = result?.answer();
                    answer.created = true;
                    return self.shown(&target.resource, answer);
                }
            }
        }
        Err(Status::internal("no name was generated"))
    }

    #[allow(clippy::too_many_arguments, reason = "they are what a write is")]
    pub(super) fn plan_create(
        &self,
        call: &Call,
        target: &Target,
        rules: &dyn Rules,
        mut new: Value,
        current: Option<&Current>,
        world: &World,
        writes: Writes<'_>,
    ) -> Result<Step, Status> {
        let resource = &target.resource;
        let version = meta_text(&new, "resourceVersion").to_owned();
        let sent = owners::take_sent(&mut new);
        let spaced = object::take_spaced(&mut new);
        stamp(&mut new, target, world.now);
        let owners = self.owners(target, None, &new, sent, writes, world.now)?;
        let namespace = self.namespace_condition(target, world)?;
        self.admit(call, target, Operation::Create, &mut new, None, world)?;
        let mut effects = self.effects(target, None, Some(&mut new), world)?;
        effects.compare.extend(namespace);
        effects.owners = owners;
        effects.spaced = spaced;
        let api_version = resource.api_version();
        let groups = call.groups();
        let context = Context {
            now: world.now,
            user: call.user(),
            uid: call.uid(),
            groups: &groups,
            api_version: &api_version,
            respaced: false,
        };
        rules.prepare_create(&mut new, &context);
        let problems = rules.validate_create(&new, &context);
        if !problems.is_empty() {
            return Err(errors::invalid(resource, &target.name, problems));
        }
        if !version.is_empty() {
            return Err(Status::bare_error(
                "resourceVersion should not be set on objects to be created",
            ));
        }
        for warning in rules.warnings(&new, None) {
            call.warn(warning);
        }
        if let Some(current) = current {
            let mut status =
                Status::already_exists(&resource.group, &resource.plural, &target.name);
            if current.stored.header.deletion_timestamp.is_some() {
                status.message = format!("object is being deleted: {}", status.message);
            }
            return Err(status);
        }
        Ok(Step::Put(new, effects))
    }

    /// Replaces an object, or its status.
    pub async fn update(
        &self,
        call: &Call,
        target: &Target,
        body: Body<'_>,
        options: &WriteOptions,
    ) -> Result<Answer, Status> {
        if target.subresource == "scale" {
            return self.update_scale(call, target, body, options).await;
        }
        let part = Part::of(target).ok_or_else(Status::method_not_allowed)?;
        let mut new = self.decode(call, &target.resource, body, options.validation)?;
        check_name_matches(target, &new)?;
        check_namespace_matches(target, &mut new)?;
        let new = self.to_stored(&target.resource, new)?;
        let rules = resources::rules_for(&target.resource);
        let make = part.is_object() && rules.strategy().create_on_update;
        let mut made = false;
        let mut plan = |current: Option<&Current>, world: &World| {
            made = current.is_none();
            let by = Writes::By(manager(call, options));
            match current {
                Some(current) => {
                    check_uid(target, &new, current)?;
                    check_unconditional(target, rules, &new)?;
                    self.plan_update(call, target, part, new.clone(), current, world, by)
                }
                None if make => {
                    let mut new = new.clone();
                    rules.default(&mut new);
                    if let Some(meta) = new["metadata"].as_object_mut() {
                        meta.remove("resourceVersion");
                    }
                    self.plan_create(call, target, rules, new, None, world, by)
                }
                None => Err(errors::not_found(&target.resource, &target.name)),
            }
        };
        let mut answer = self
            .change(call, target, options.dry_run, &mut plan)
            .await?
            .answer();
        answer.created = made;
        self.shown(&target.resource, answer)
    }

    /// What a changed object becomes: the rules of its kind, and whether its deletion is complete now.
    #[allow(clippy::too_many_arguments, reason = "they are what a write is")]
    pub(super) fn plan_update(
        &self,
        call: &Call,
        target: &Target,
        part: Part,
        mut new: Value,
        current: &Current,
        world: &World,
        writes: Writes<'_>,
    ) -> Result<Step, Status> {
        let resource = &target.resource;
        let old = &current.value;
        check_revision(target, &new, current)?;
        let sent = owners::take_sent(&mut new);
        let spaced = object::take_spaced(&mut new);
        carry_over(&mut new, old);
        let rules = resources::rules_for(resource);
        let api_version = resource.api_version();
        let groups = call.groups();
        let context = Context {
            now: world.now,
            user: call.user(),
            uid: call.uid(),
            groups: &groups,
            api_version: &api_version,
            respaced: spaced != current.stored.is_spaced(),
        };
        rules.default(&mut new);
        let owners = self.owners(target, Some(current), &new, sent, writes, world.now)?;
        let mut effects = Effects::default();
        let problems = match part {
            Part::Object => {
                self.admit(call, target, Operation::Update, &mut new, Some(old), world)?;
                effects = self.effects(target, Some(old), Some(&mut new), world)?;
                rules.prepare_update(&mut new, old, &context);
                rules.validate_update(&new, old, &context)
            }
            Part::Status => {
                rules.prepare_status(&mut new, old, &context);
                rules.validate_status(&new, old, &context)
            }
            Part::Other(part) => {
                rules.default(&mut new);
                part.prepare(&mut new, old, &context);
                part.validate(&new, old, &context)
            }
            Part::Finalize => {
                let finalizers = new["spec"].get("finalizers").cloned();
                let metadata = std::mem::take(&mut new["metadata"]);
                new = old.clone();
                new["metadata"] = metadata;
                set_or_remove(&mut new["spec"], "finalizers", finalizers);
                rules.default(&mut new);
                rules.validate_meta_update(&new, old)
            }
        };
        if !problems.is_empty() {
            return Err(errors::invalid(resource, &target.name, problems));
        }
        if part.is_object() {
            for warning in rules.warnings(&new, Some(old)) {
                call.warn(warning);
            }
        }
        if deletion_is_complete(resource, &new, old) {
            let mut effects = self.effects(target, Some(old), None, world)?;
            effects.owners = owners;
            return Ok(Step::Remove(new, effects));
        }
        effects.owners = owners;
        effects.spaced = spaced;
        Ok(Step::Put(new, effects))
    }

    pub(super) fn admit(
        &self,
        call: &Call,
        target: &Target,
        operation: Operation,
        object: &mut Value,
        old: Option<&Value>,
        world: &World,
    ) -> Result<(), Status> {
        let classes = match &world.classes {
            Some(classes) => priority_classes(classes, object)?,
            None => Vec::new(),
        };
        let default_classes = match &world.default_classes {
            Some(classes) if operation == Operation::Create => default_classes(classes)?,
            _ => Vec::new(),
        };
        let request = admission::Request {
            identity: call.identity.as_ref(),
            operation,
            resource: &target.resource,
            subresource: &target.subresource,
            tolerations: self.0.tolerations,
            old,
            classes: &classes,
            default_classes: &default_classes,
        };
        admission::admit(&request, object)
    }

    /// A pod that names an account needs it to be there. The account `default` may come later: it is
    /// made when its namespace is.
    pub(super) async fn check_service_account(
        &self,
        call: &Call,
        target: &Target,
        pod: &Value,
    ) -> Result<(), Status> {
        let name = pod["spec"]["serviceAccountName"]
            .as_str()
            .unwrap_or_default();
        if matches!(name, "" | "default") {
            return Ok(());
        }
        let Some(resource) = self.0.scheme.lookup("", "v1", "serviceaccounts") else {
            return Ok(());
        };
        for at in [ReadAt::Any, ReadAt::Latest] {
            if self
                .read(resource, at, call)
                .await?
                .get(&target.namespace, name)
                .is_some()
            {
                return Ok(());
            }
        }
        let why = format!(
            "error looking up service account {}/{name}: serviceaccount {name:?} not found",
            target.namespace
        );
        Err(Status::forbidden("", "pods", meta_text(pod, "name"), why))
    }
}

/// The class that a pod names, and those that are everybody's.
fn priority_classes(classes: &Snapshot, object: &Value) -> Result<Vec<PriorityClass>, Status> {
    const DEFAULT: &[u8] = b"\"globalDefault\":true";
    let named = object["spec"]["priorityClassName"].as_str();
    let wanted = classes.iter().filter(|(_, stored)| {
        let default = || stored.bytes.windows(DEFAULT.len()).any(|at| at == DEFAULT);
        Some(&*stored.header.name) == named || default()
    });
    wanted
        .map(|(_, stored)| value_of(stored).map(|class| PriorityClass::read(&class)))
        .collect()
}

/// The classes that are everybody's.
fn default_classes(classes: &Snapshot) -> Result<Vec<DefaultClass>, Status> {
    let mut all = Vec::new();
    for (_, stored) in classes.iter() {
        all.extend(DefaultClass::read(&value_of(stored)?));
    }
    Ok(all)
}

fn set_or_remove(object: &mut Value, field: &str, value: Option<Value>) {
    if let Some(map) = object.as_object_mut() {
        match value {
            Some(value) => map.insert(field.to_owned(), value),
            None => map.remove(field),
        };
    }
}
