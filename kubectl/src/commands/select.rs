//! The objects that a command works on: named, selected, or read from files.

use ferrule_apimachinery::scheme::gvr;
use ferrule_apimachinery::status::{Reason, Status};
use ferrule_client::At;
use ferrule_client::client::{List, ListOptions};
use ferrule_proto::v1::ApiResource;
use serde_json::Value;

use crate::args::FileArgs;
use crate::error::{Error, Result};
use crate::files;
use crate::resources::{Target, at, long_name, offline};
use crate::session::Session;

/// Objects as the server has them.
pub struct Found {
    /// Their resource.
    pub resource: ApiResource,
    /// The namespace that they were looked for in.
    pub namespace: String,
    /// Their name.
    pub name: String,
    /// The object.
    pub object: Value,
}

/// Which objects the command line chooses.
#[derive(Clone, Copy, Default)]
pub struct Selection<'a> {
    /// The command, for messages.
    pub command: &'a str,
    /// TYPE NAME... or TYPE/NAME...
    pub words: &'a [String],
    /// Files with the objects.
    pub files: Option<&'a FileArgs>,
    /// By labels.
    pub labels: Option<&'a str>,
    /// By fields.
    pub fields: Option<&'a str>,
    /// All of a type.
    pub all: bool,
    /// In all namespaces.
    pub everywhere: bool,
    /// No server is asked: the objects are those of the files.
    pub local: bool,
}

/// Nothing names an object.
pub fn missing() -> Error {
    Error::local(
        "You must provide one or more resources by argument or filename.\nExample resource specifications include:\n   \
         '-f rsrc.yaml'\n   '--filename=rsrc.json'\n   '<resource> <name>'\n   '<resource>'",
    )
}

/// The words and files of a command as targets with their namespaces.
pub async fn targets(
    session: &Session,
    selection: &Selection<'_>,
) -> Result<Vec<(Target, String)>> {
    let named_files = selection.files.filter(|files| !files.is_empty());
    if named_files.is_none() && selection.words.is_empty() {
        return Err(missing());
    }
    if named_files.is_some() && !selection.words.is_empty() {
        return Err(Error::local(
            match selection.words.iter().any(|word| word.contains('/')) {
                true => "resource/name arguments cannot be provided when a path is specified",
                false => {
                    "when paths, URLs, or stdin is provided as input, you may not specify resource arguments as well"
                }
            },
        ));
    }
    let resources = session.resources().await?;
    let Some(named_files) = named_files else {
        let targets = resources.targets(selection.words)?;
        return Ok(targets
            .into_iter()
            .map(|target| (target, session.namespace.clone()))
            .collect());
    };
    files::read(named_files, selection.command)?
        .iter()
        .map(|file| {
            let resource = resource_of(session, resources, &file.object, &file.source)?;
            let name = file.object["metadata"]["name"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            let namespace = file.object["metadata"]["namespace"]
                .as_str()
                .unwrap_or(&session.namespace)
                .to_owned();
            Ok((
                Target {
                    resource,
                    names: vec![name],
                },
                namespace,
            ))
        })
        .collect()
}

/// Why an object could not be read: when its namespace is not there either, that is what is told.
pub async fn missing_in(
    session: &Session,
    resource: &ApiResource,
    namespace: &str,
    status: Status,
) -> Error {
    let asks = resource.namespaced && !matches!(namespace, "" | "default");
    if !asks || !status.is_not_found() {
        return status.into();
    }
    match session
        .client
        .get(&At::of(gvr::NAMESPACES).name(namespace))
        .await
    {
        Err(missing) if missing.is_not_found() => missing.into(),
        _ => status.into(),
    }
}

/// A page of a list; what a selector is refused for names the resource.
pub async fn page(
    session: &Session,
    resource: &ApiResource,
    namespace: &str,
    options: &ListOptions,
) -> Result<List> {
    let listed = session.client.list(&at(resource, namespace), options).await;
    listed.map_err(|status| unlisted(status, resource, options))
}

/// All objects of a resource in a namespace, or, with an empty one, in all.
pub async fn list(
    session: &Session,
    resource: &ApiResource,
    namespace: &str,
    options: &ListOptions,
) -> Result<Vec<Value>> {
    let listed = session
        .client
        .list_all(&at(resource, namespace), options)
        .await;
    let items = listed
        .map_err(|status| unlisted(status, resource, options))?
        .items;
    items
        .iter()
        .map(|item| Ok(ferrule_client::client::parse(item)?))
        .collect()
}

fn unlisted(mut status: Status, resource: &ApiResource, options: &ListOptions) -> Error {
    if matches!(status.reason, Reason::BadRequest | Reason::NotFound) {
        let what = long_name(resource);
        let (labels, fields) = (&options.label_selector, &options.field_selector);
        status.message = if labels.is_empty() && fields.is_empty() {
            format!("Unable to list {what:?}: {}", status.message)
        } else {
            format!(
                "Unable to find {what:?} that match label selector {labels:?}, field selector {fields:?}: {}",
                status.message
            )
        };
    }
    status.into()
}

/// The options of a list by selectors.
pub fn options(labels: Option<&str>, fields: Option<&str>) -> ListOptions {
    ListOptions {
        label_selector: labels.unwrap_or_default().to_owned(),
        field_selector: fields.unwrap_or_default().to_owned(),
        ..ListOptions::default()
    }
}

/// The resource of an object in a file; fails as upstream does when there is none.
pub fn resource_of(
    session: &Session,
    resources: &crate::resources::Resources,
    object: &Value,
    source: &str,
) -> Result<ApiResource> {
    let field = |name: &str| object[name].as_str().unwrap_or_default();
    let invalid = |what: &str| {
        Error::local(format!(
            "error validating {source:?}: error validating data: {what} not set; if you choose to ignore these errors, \
             turn validation off with --validate=false"
        ))
    };
    let (api_version, kind) = (field("apiVersion"), field("kind"));
    if api_version.is_empty() {
        return Err(invalid("apiVersion"));
    }
    if kind.is_empty() {
        return Err(invalid("kind"));
    }
    let metadata = &object["metadata"];
    let name = metadata["name"].as_str().unwrap_or_default();
    let namespace = metadata["namespace"].as_str().unwrap_or_default();
    let resource = resources.of_kind(api_version, kind).cloned().ok_or_else(|| {
        Error::local(format!(
            "resource mapping not found for name: {name:?} namespace: {namespace:?} from {source:?}: no matches for kind \
             {kind:?} in version {api_version:?}\nensure CRDs are installed first"
        ))
    })?;
    if resource.namespaced
        && session.namespace_given
        && !namespace.is_empty()
        && namespace != session.namespace
    {
        return Err(Error::local(format!(
            "the namespace from the provided object {namespace:?} does not match the namespace {:?}. You must pass \
             '--namespace={namespace}' to perform this operation.",
            session.namespace
        )));
    }
    Ok(resource)
}

/// The objects of files as they are there.
fn from_files(session: &Session, selection: &Selection<'_>) -> Result<Vec<Found>> {
    let named_files = selection.files.filter(|files| !files.is_empty());
    let Some(named_files) = named_files.filter(|_| selection.words.is_empty()) else {
        return Err(Error::local(
            "error: you must specify resources by --filename when --local is set.\nExample resource specifications include:\n   \
             '-f rsrc.yaml'\n   '--filename=rsrc.json'",
        ));
    };
    let read = files::read(named_files, selection.command)?.into_iter();
    Ok(read
        .map(|file| {
            let text = |field: &str| {
                let text = file.object["metadata"][field].as_str();
                text.map(str::to_owned)
            };
            Found {
                resource: offline(&file.object),
                namespace: text("namespace").unwrap_or_else(|| session.namespace.clone()),
                name: text("name").unwrap_or_default(),
                object: file.object,
            }
        })
        .collect())
}

/// Reads the objects: named ones one by one, others by listing. What cannot be read is told in
/// `errors`, and does not keep the others from being read.
pub async fn read(
    session: &Session,
    selection: &Selection<'_>,
    errors: &mut Vec<Error>,
) -> Result<Vec<Found>> {
    if selection.local {
        return from_files(session, selection);
    }
    let mut found = Vec::new();
    for (target, namespace) in targets(session, selection).await? {
        let selecting = selection.labels.is_some() || selection.fields.is_some();
        if target.names.is_empty() {
            if !selecting && !selection.all {
                return Err(Error::local(
                    "resource(s) were provided, but no name was specified",
                ));
            }
            let place = if selection.everywhere { "" } else { &namespace };
            let options = options(selection.labels, selection.fields);
            for object in list(session, &target.resource, place, &options).await? {
                let text = |field: &str| {
                    let text = object["metadata"][field].as_str();
                    text.unwrap_or_default().to_owned()
                };
                found.push(Found {
                    resource: target.resource.clone(),
                    namespace: text("namespace"),
                    name: text("name"),
                    object,
                });
            }
            continue;
        }
        if selecting {
            return Err(Error::local(
                "name cannot be provided when a selector is specified",
            ));
        }
        let place = at(&target.resource, &namespace);
        for name in &target.names {
            match session.client.get(&place.clone().name(name)).await {
                Ok(object) => found.push(Found {
                    resource: target.resource.clone(),
                    namespace: namespace.clone(),
                    name: name.clone(),
                    object: object.parse()?,
                }),
                Err(status) => {
                    let error = missing_in(session, &target.resource, &namespace, status).await;
                    errors.push(error);
                }
            }
        }
    }
    Ok(found)
}

/// Reads the objects, and fails when one of them cannot be read.
pub async fn read_all(session: &Session, selection: &Selection<'_>) -> Result<Vec<Found>> {
    let mut errors = Vec::new();
    let found = read(session, selection, &mut errors).await?;
    Error::all(errors).map(|()| found)
}
