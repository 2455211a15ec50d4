//! Client-side apply: the patch is computed here, from the object's annotation with what was
//! applied last, from the file and from the live object (three ways).

use ferrule_apimachinery::object::to_sorted_json;
use ferrule_apimachinery::patch;
use ferrule_apimachinery::schema::Schema;
use ferrule_apimachinery::status::Reason;
use ferrule_client::client::Patch;
use ferrule_proto::v1::ApiResource;
use serde_json::{Value, json};

use super::super::{delete, warn, write};
use super::LAST_APPLIED;
use crate::args::{ApplyArgs, DryRun};
use crate::error::{Error, Result};
use crate::files::FromFile;
use crate::resources::{at, long_kind, long_name};
use crate::session::Session;

/// Who writes, when nobody is named.
pub const MANAGER: &str = "kubectl-client-side-apply";
/// How often a conflict with another writer is tried again.
const TRIES: usize = 5;

/// Makes an object what its file says: the object, and the word for what was done.
pub async fn apply(
    session: &Session,
    args: &ApplyArgs,
    resource: &ApiResource,
    file: &FromFile,
) -> Result<(Value, &'static str)> {
    let mut modified = file.object.clone();
    let namespace = write::place(&mut modified, resource, session);
    let name = modified["metadata"]["name"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    if name.is_empty() {
        let unnamed = super::unnamed(&modified);
        return Err(unnamed.unwrap_or_else(|| nameless(resource, &namespace, &file.source)));
    }
    annotate(&mut modified);
    let place = at(resource, &namespace);
    let one = place.clone().name(&name);
    for turn in 0.. {
        let current: Value = match session.client.get(&one).await {
            Ok(object) => object.parse()?,
            Err(status) if status.is_not_found() => {
                if args.write.dry_run == DryRun::Client {
                    return Ok((modified, "created"));
                }
                let options = write::options(&args.write, MANAGER)?;
                let created = session
                    .client
                    .create(&place, modified.to_string(), &options)
                    .await;
                let created =
                    created.map_err(|status| Error::from(status).when("creating", &file.source))?;
                return Ok((created.parse()?, "created"));
            }
            Err(status) => {
                let doing = format!(
                    "retrieving current configuration of:\n{}\nfrom server for:",
                    about(resource, &name, &namespace)
                );
                return Err(Error::from(status).when(&doing, &file.source));
            }
        };
        if current["metadata"]["annotations"]
            .get(LAST_APPLIED)
            .is_none()
            && turn == 0
        {
            warn(&format!(
                "Warning: resource {}/{name} is missing the {LAST_APPLIED} annotation which is required by kubectl apply. \
                 kubectl apply should only be used on resources created declaratively by either kubectl create \
                 --save-config or kubectl apply. The missing annotation will be patched automatically.",
                resource.name
            ));
        }
        let patch = plan(&modified, &current)?;
        // As upstream: a dry run of the client does not ask whether anything changes.
        if args.write.dry_run == DryRun::Client {
            return Ok((patched(&patch.wire(), &current)?, "configured"));
        }
        if patch.is_empty() {
            return Ok((current, "unchanged"));
        }
        let options = write::options(&args.write, MANAGER)?;
        match session.client.patch(&one, &patch.wire(), &options).await {
            Ok(object) => {
                let result: Value = object.parse()?;
                let same =
                    result["metadata"]["resourceVersion"] == current["metadata"]["resourceVersion"];
                let done = if same && options.dry_run {
                    same_object(&result, &current)
                } else {
                    same
                };
                let word = if done { "unchanged" } else { "configured" };
                return Ok((result, word));
            }
            Err(status)
                if args.delete.force
                    && (status.is_conflict() || status.reason == Reason::Invalid) =>
            {
                delete::for_another(session, resource, &namespace, &name, &current).await?;
                let created = session
                    .client
                    .create(&place, modified.to_string(), &options);
                let created = created.await.map_err(Error::from)?;
                return Ok((created.parse()?, "configured"));
            }
            Err(status) if status.is_conflict() && turn + 1 < TRIES => {}
            Err(status) if status.is_not_found() && turn + 1 < TRIES => {}
            Err(status) => {
                let context = format!(
                    "error when applying patch:\n{}\nto:\n{}\nfor: {:?}: error when patching {:?}",
                    patch.text(),
                    about(resource, &name, &namespace),
                    file.source,
                    file.source,
                );
                return Err(Error::From(status, context));
            }
        }
    }
    Err(Error::local("the object changed too often"))
}

/// The error of an object without a name.
pub fn nameless(resource: &ApiResource, namespace: &str, source: &str) -> Error {
    Error::local(format!(
        "error when retrieving current configuration of:\n{}\nfrom server for: {source:?}: resource name may not be empty",
        about(resource, "", namespace)
    ))
}

/// An object, as upstream names it in errors.
fn about(resource: &ApiResource, name: &str, namespace: &str) -> String {
    format!(
        "Resource: {:?}, GroupVersionKind: {:?}\nName: {name:?}, Namespace: {namespace:?}",
        long_name(resource),
        long_kind(resource)
    )
}

/// A dry run stores nothing, so revisions say nothing.
fn same_object(result: &Value, current: &Value) -> bool {
    let bare = |object: &Value| {
        let mut object = object.clone();
        crate::output::objects::without_managed_fields(&mut object);
        object
    };
    bare(result) == bare(current)
}

/// Writes the configuration into its own annotation.
pub fn annotate(object: &mut Value) {
    let mut plain = object.clone();
    if let Some(annotations) = plain["metadata"]
        .get_mut("annotations")
        .and_then(Value::as_object_mut)
    {
        annotations.remove(LAST_APPLIED);
    }
    if !plain["metadata"]["annotations"].is_object() {
        plain["metadata"]["annotations"] = json!({});
    }
    let mut text = String::from_utf8_lossy(&to_sorted_json(&plain)).into_owned();
    text.push('\n');
    if !object["metadata"]["annotations"].is_object() {
        object["metadata"]["annotations"] = json!({});
    }
    object["metadata"]["annotations"][LAST_APPLIED] = Value::from(text);
}

/// The change that apply sends.
pub enum Plan {
    /// By the schema's merge keys, for built-in types.
    Strategic(Value),
    /// For every other type.
    Merge(Value),
}

impl Plan {
    /// Nothing changes.
    pub fn is_empty(&self) -> bool {
        let (Plan::Strategic(patch) | Plan::Merge(patch)) = self;
        patch.as_object().is_none_or(serde_json::Map::is_empty)
    }

    /// As it is sent.
    pub fn wire(&self) -> Patch {
        match self {
            Plan::Strategic(patch) => Patch::Strategic(patch.clone()),
            Plan::Merge(patch) => Patch::Merge(patch.clone()),
        }
    }

    fn text(&self) -> String {
        let (Plan::Strategic(patch) | Plan::Merge(patch)) = self;
        String::from_utf8_lossy(&to_sorted_json(patch)).into_owned()
    }
}

/// The object as the server would make it.
pub fn patched(patch: &Patch, current: &Value) -> Result<Value> {
    let current = current.clone();
    let patched = match patch {
        // Only the server knows what its managers own.
        Patch::Apply { .. } => {
            return Err(Error::local(
                "server-side apply has no dry run of the client",
            ));
        }
        Patch::Merge(patch) => patch::json_merge(current, patch),
        Patch::Json(patch) => patch::json_patch(current, patch),
        Patch::Strategic(patch) => match type_of(&current) {
            Some(id) => patch::strategic_merge(Schema::builtin(), id, current, patch),
            None => patch::json_merge(current, patch),
        },
    };
    patched.map_err(|error| Error::local(error.to_string()))
}

fn type_of(object: &Value) -> Option<ferrule_apimachinery::schema::TypeId> {
    let field = |name: &str| object[name].as_str().unwrap_or_default();
    Schema::builtin().object_type(field("apiVersion"), field("kind"))
}

/// Computes the patch from the last applied, the wanted and the live object.
pub fn plan(modified: &Value, current: &Value) -> Result<Plan> {
    let refuse =
        |error: &dyn std::fmt::Display| Error::local(format!("cannot compute the patch: {error}"));
    let last = current["metadata"]["annotations"][LAST_APPLIED].as_str();
    let original: Value = match last {
        Some(text) => serde_json::from_str(text).map_err(|error| refuse(&error))?,
        None => json!({}),
    };
    let mut patch = match type_of(modified) {
        Some(id) => Plan::Strategic(
            patch::three_way(Schema::builtin(), id, &original, modified, current)
                .map_err(|error| refuse(&error))?,
        ),
        None => Plan::Merge(patch::three_way_json_merge(&original, modified, current)),
    };
    // Directives about order alone change nothing.
    let (Plan::Strategic(tree) | Plan::Merge(tree)) = &mut patch;
    if is_order_only(tree) {
        *tree = json!({});
    }
    Ok(patch)
}

fn is_order_only(patch: &Value) -> bool {
    match patch {
        Value::Object(map) => map.iter().all(|(key, value)| {
            key.starts_with("$setElementOrder/") || (value.is_object() && is_order_only(value))
        }),
        _ => false,
    }
}
