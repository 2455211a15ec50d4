//! Patch: merge, strategic merge and JSON patches, applied again after a conflict.

use ferrule_apimachinery::patch;
use ferrule_apimachinery::status::{Reason, Status};
use serde_json::Value;

use super::allocation::World;
use super::change::Current;
use super::metadata::{check_name_matches, check_namespace_matches};
use super::write::Part;
use super::{Answer, Api, Call, Target, WriteOptions, errors};

/// A patch as it arrived.
#[derive(Clone, Debug)]
pub enum PatchBody {
    /// `application/merge-patch+json`.
    Merge(Value),
    /// `application/strategic-merge-patch+json`.
    Strategic(Value),
    /// `application/json-patch+json`.
    Json(Value),
}

impl PatchBody {
    /// Reads a JSON merge patch.
    pub fn merge(bytes: &[u8]) -> Result<PatchBody, Status> {
        let error = |why: String| Status::bad_request(format!("error decoding patch: {why}"));
        parse(bytes).map(PatchBody::Merge).map_err(error)
    }

    /// Reads a strategic merge patch.
    pub fn strategic(bytes: &[u8]) -> Result<PatchBody, Status> {
        parse(bytes)
            .map(PatchBody::Strategic)
            .map_err(Status::bad_request)
    }

    /// Reads a JSON patch.
    pub fn json(bytes: &[u8]) -> Result<PatchBody, Status> {
        let error = |why: String| Status::bad_request(format!("error decoding patch: {why}"));
        parse(bytes).map(PatchBody::Json).map_err(error)
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
        if target.subresource == "scale" {
            return self.patch_scale(call, target, patch, options).await;
        }
        let part = Part::of(target).ok_or_else(Status::method_not_allowed)?;
        let resource = &target.resource;
        let mut plan = |current: Option<&Current>, world: &World| {
            let current = current.ok_or_else(|| errors::not_found(resource, &target.name))?;
            let shown = match resource.is_stored_form() {
                true => None,
                false => Some(self.from_stored(resource, current.value.clone())?),
            };
            let original = shown.as_ref().unwrap_or(&current.value);
            let patched = self.apply_patch(&resource.schema_type, original, patch)?;
            let mut new = self.decode_patched(call, resource, patched, options.validation)?;
            check_name_matches(target, &new)?;
            check_namespace_matches(target, &mut new)?;
            let new = self.to_stored(resource, new)?;
            self.plan_update(call, target, part, new, current, world)
        };
        let changed = self.change(call, target, options.dry_run, &mut plan);
        self.shown(resource, changed.await?.answer())
    }

    /// The object with the patch applied, not yet checked.
    pub(super) fn apply_patch(
        &self,
        schema_type: &str,
        original: &Value,
        body: &PatchBody,
    ) -> Result<Value, Status> {
        let patched = match body {
            PatchBody::Merge(change) => patch::json_merge(original.clone(), change),
            PatchBody::Json(operations) => patch::json_patch(original.clone(), operations),
            PatchBody::Strategic(change) => {
                let id = self.schema().type_id(schema_type);
                let id = id.ok_or_else(|| Status::internal(format!("no type {schema_type}")))?;
                patch::strategic_merge(self.schema(), id, original.clone(), change)
            }
        };
        patched.map_err(Status::from)
    }
}
