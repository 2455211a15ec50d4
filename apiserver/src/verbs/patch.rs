//! Patch: merge, strategic merge and JSON patches, applied again after a conflict. Server-side apply has
//! a file of its own.

use std::borrow::Cow;

use ferrule_apimachinery::patch;
use ferrule_apimachinery::status::{Reason, Status};
use serde_json::Value;

use super::allocation::World;
use super::apply::Configuration;
use super::change::Current;
use super::metadata::{check_name_matches, check_namespace_matches};
use super::owners::{Writes, manager, whole};
use super::write::Part;
use super::{Answer, Api, Call, Target, WriteOptions, errors, patch_faults};

/// A patch as it arrived.
#[derive(Clone, Debug)]
pub struct PatchBody {
    patch: Patch,
    /// What its text says twice or out of place.
    faults: Vec<String>,
}

/// A patch of one of the known types.
#[derive(Clone, Debug)]
pub enum Patch {
    /// `application/merge-patch+json`.
    Merge(Value),
    /// `application/strategic-merge-patch+json`.
    Strategic(Value),
    /// `application/json-patch+json`.
    Json(Value),
    /// `application/apply-patch+yaml`.
    Apply(Configuration),
}

impl From<Patch> for PatchBody {
    /// A patch whose text was never looked at.
    fn from(patch: Patch) -> PatchBody {
        PatchBody {
            patch,
            faults: Vec::new(),
        }
    }
}

impl PatchBody {
    /// Reads a JSON merge patch.
    pub fn merge(bytes: &[u8]) -> Result<PatchBody, Status> {
        let error = |why: String| Status::bad_request(format!("error decoding patch: {why}"));
        Ok(PatchBody {
            patch: parse(bytes).map(Patch::Merge).map_err(error)?,
            faults: patch_faults::of_object(bytes),
        })
    }

    /// Reads a strategic merge patch.
    pub fn strategic(bytes: &[u8]) -> Result<PatchBody, Status> {
        let patch = parse(bytes).map(Patch::Strategic);
        Ok(PatchBody {
            patch: patch.map_err(Status::bad_request)?,
            faults: patch_faults::of_object(bytes),
        })
    }

    /// Reads a JSON patch.
    pub fn json(bytes: &[u8]) -> Result<PatchBody, Status> {
        let error = |why: String| Status::bad_request(format!("error decoding patch: {why}"));
        Ok(PatchBody {
            patch: parse(bytes).map(Patch::Json).map_err(error)?,
            faults: patch_faults::of_operations(bytes),
        })
    }

    /// Reads a configuration to apply.
    pub fn apply(bytes: &[u8]) -> Result<PatchBody, Status> {
        Configuration::read(bytes).map(|config| Patch::Apply(config).into())
    }

    /// 415 for a patch of no known type.
    pub fn unsupported() -> Status {
        Status::failure(
            415,
            Reason::UnsupportedMediaType,
            "415: Unsupported Media Type",
        )
        .with_empty_details()
    }
}

impl Patch {
    /// Whether the patch says something about who owns fields.
    fn is_about_owners(&self) -> bool {
        match self {
            Patch::Merge(change) | Patch::Strategic(change) => {
                !change["metadata"]["managedFields"].is_null()
            }
            Patch::Json(operations) => {
                let mut named = operations
                    .as_array()
                    .into_iter()
                    .flatten()
                    .flat_map(|operation| [&operation["path"], &operation["from"]])
                    .filter_map(Value::as_str);
                named.any(|path| {
                    path.is_empty()
                        || path == "/metadata"
                        || path.starts_with("/metadata/managedFields")
                })
            }
            Patch::Apply(_) => false,
        }
    }

    /// The places of an object that the patch goes through, as nested objects.
    pub(super) fn touched(&self) -> Cow<'_, Value> {
        match self {
            Patch::Merge(change) => Cow::Borrowed(change),
            Patch::Json(operations) => Cow::Owned(patch::touched(operations)),
            Patch::Strategic(_) | Patch::Apply(_) => Cow::Owned(Value::Null),
        }
    }
}

fn parse(bytes: &[u8]) -> Result<Value, String> {
    serde_json::from_slice(bytes).map_err(|error| {
        ferrule_apimachinery::schema::json_syntax::check(bytes)
            .err()
            .unwrap_or_else(|| error.to_string())
    })
}

impl Api {
    /// Changes an object, its status or its scale. Without a resourceVersion in the patch, a write in
    /// between is no conflict: the patch is applied again.
    pub async fn patch(
        &self,
        call: &Call,
        target: &Target,
        patch: &PatchBody,
        options: &WriteOptions,
    ) -> Result<Answer, Status> {
        let PatchBody { patch, faults } = patch;
        if target.subresource == "scale" {
            return self.patch_scale(call, target, patch, options).await;
        }
        let part = Part::of(target).ok_or_else(Status::method_not_allowed)?;
        if let Patch::Apply(config) = patch {
            return self.apply(call, target, part, config, options).await;
        }
        let resource = &target.resource;
        let about_owners = patch.is_about_owners();
        let mut plan = |current: Option<&Current>, world: &World| {
            let current = current.ok_or_else(|| errors::not_found(resource, &target.name))?;
            let patched = |original: Value| {
                let shown = self.from_stored(resource, original)?;
                let patched = self.apply_patch(&resource.schema_type, &shown, patch)?;
                self.decode_patched(call, resource, patch, patched, faults, options.validation)
            };
            // Few patches look at managedFields; those that are refused show them.
            let mut new = if about_owners {
                patched(whole(current))?
            } else {
                patched(current.value.clone()).or_else(|_| patched(whole(current)))?
            };
            check_name_matches(target, &new)?;
            check_namespace_matches(target, &mut new)?;
            let new = self.to_stored(resource, new)?;
            let by = Writes::By(manager(call, options));
            self.plan_update(call, target, part, new, current, world, by)
        };
        let changed = self.change(call, target, options.dry_run, &mut plan);
        self.shown(resource, changed.await?.answer())
    }

    /// The object with the patch applied, not yet checked.
    pub(super) fn apply_patch(
        &self,
        schema_type: &str,
        original: &Value,
        body: &Patch,
    ) -> Result<Value, Status> {
        let patched = match body {
            Patch::Merge(change) => patch::json_merge(original.clone(), change),
            Patch::Json(operations) => patch::json_patch(original.clone(), operations),
            Patch::Strategic(change) => {
                let id = self.schema().type_id(schema_type);
                let id = id.ok_or_else(|| Status::internal(format!("no type {schema_type}")))?;
                patch::strategic_merge(self.schema(), id, original.clone(), change)
            }
            Patch::Apply(_) => return Err(PatchBody::unsupported()),
        };
        patched.map_err(Status::from)
    }
}
