//! The forms of an answer: the object, a Table, or its metadata alone.
//!
//! Objects are moved as bytes; the other forms are made from a parsed object, once for an event
//! that many watchers get.

use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use ferrule_apimachinery::object::Stored;
use ferrule_apimachinery::scheme::Resource;
use ferrule_apimachinery::status::Status;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::Page;
use crate::resources::conversion::conversion_for;
use crate::resources::{self, Column, Row};
use crate::store::EventKind;

/// The shape in which objects are answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Form {
    /// The object itself.
    #[default]
    Object,
    /// meta.k8s.io/v1 Table.
    Table(Include),
    /// meta.k8s.io/v1 PartialObjectMetadata.
    Metadata,
}

/// What the rows of a Table carry of their objects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Include {
    /// Their metadata.
    #[default]
    Metadata,
    /// All.
    Object,
    /// Nothing.
    None,
}

impl Include {
    /// Reads the query parameter `includeObject`.
    pub fn parse(text: &str) -> Option<Include> {
        match text {
            "" | "Metadata" => Some(Include::Metadata),
            "Object" => Some(Include::Object),
            "None" => Some(Include::None),
            _ => None,
        }
    }
}

/// The metadata of a list.
#[derive(Clone, Debug, Default)]
pub struct ListMeta {
    /// The revision.
    pub revision: i64,
    /// Where to go on; `""` at the end.
    pub continue_token: String,
    /// How many objects come after this page.
    pub remaining: Option<i64>,
}

impl From<&Page> for ListMeta {
    fn from(page: &Page) -> ListMeta {
        ListMeta {
            revision: page.revision,
            continue_token: page.continue_token.clone(),
            remaining: page.remaining,
        }
    }
}

impl ListMeta {
    /// As JSON.
    pub fn to_value(&self) -> Value {
        let mut meta = json!({"resourceVersion": self.revision.to_string()});
        if !self.continue_token.is_empty() {
            meta["continue"] = self.continue_token.clone().into();
        }
        if let Some(remaining) = self.remaining {
            meta["remainingItemCount"] = remaining.into();
        }
        meta
    }
}

/// One object in a form. `bytes` is the object as JSON.
pub fn one(resource: &Resource, form: Form, bytes: Bytes, now: Timestamp) -> Result<Bytes, Status> {
    match form {
        Form::Object => Ok(bytes),
        Form::Metadata => metadata_of(&bytes).map(Bytes::from),
        Form::Table(include) => {
            let row = row(resource, include, &bytes, now)?;
            let version = version_of(&bytes)?;
            let meta = if version.is_empty() {
                json!({})
            } else {
                json!({"resourceVersion": version})
            };
            Ok(table(Some(columns(resource)), &meta, std::iter::once(row)).into())
        }
    }
}

/// A Table with a row for each object.
pub fn table_of<'a>(
    resource: &Resource,
    include: Include,
    meta: &ListMeta,
    objects: impl IntoIterator<Item = &'a Stored>,
    now: Timestamp,
) -> Result<Vec<u8>, Status> {
    let rows: Result<Vec<Vec<u8>>, Status> = objects
        .into_iter()
        .map(|stored| row(resource, include, &stored.with_resource_version(), now))
        .collect();
    let rows = rows?;
    if rows.is_empty() && has_plain_table(resource) {
        return Ok(table_without_rows(columns(resource), &meta.to_value()));
    }
    Ok(table(
        Some(columns(resource)),
        &meta.to_value(),
        rows.into_iter(),
    ))
}

/// A Scale as a Table.
pub fn scale_table(bytes: &Bytes, now: Timestamp) -> Result<Bytes, Status> {
    const COLUMNS: &[Column] = &[
        Column::text("Name", "Name of the object."),
        Column::integer("Desired", "Number of desired pods."),
        Column::integer("Available", "Number of pods that exist."),
        Column::AGE,
    ];
    let scale: Value = serde_json::from_slice(bytes).map_err(Status::internal)?;
    let number = |value: &Value| value.as_i64().unwrap_or_default();
    let cells = vec![
        scale["metadata"]["name"].clone(),
        number(&scale["spec"]["replicas"]).into(),
        number(&scale["status"]["replicas"]).into(),
        resources::table::age(&scale, now),
    ];
    let object = json!({
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": scale["metadata"],
    });
    let row = row_value(&Row::from(cells), Some(object))
        .to_string()
        .into_bytes();
    let meta = json!({"resourceVersion": scale["metadata"]["resourceVersion"]});
    Ok(table(Some(definitions(COLUMNS)), &meta, std::iter::once(row)).into())
}

/// The same form in meta.k8s.io/v1beta1, which has the same fields.
pub fn as_beta(bytes: &Bytes) -> Bytes {
    let Ok(mut value) = serde_json::from_slice::<Value>(bytes) else {
        return bytes.clone();
    };
    rename_version(&mut value);
    value.to_string().into()
}

fn rename_version(value: &mut Value) {
    if value["apiVersion"] == "meta.k8s.io/v1" {
        value["apiVersion"] = "meta.k8s.io/v1beta1".into();
    }
    // A row by itself.
    if let Some(object) = value.get_mut("object") {
        rename_version(object);
    }
    for item in value
        .get_mut("items")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        rename_version(item);
    }
    for row in value
        .get_mut("rows")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        rename_version(row);
    }
}

fn table(columns: Option<Value>, meta: &Value, rows: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
    let columns = columns.unwrap_or_else(|| json!([]));
    let mut out = head_of_table("meta.k8s.io/v1", &columns, meta);
    for (index, row) in rows.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(&row);
    }
    out.extend_from_slice(b"]}");
    out
}

/// Whether the kind has no columns of its own. Upstream makes the tables of such kinds elsewhere, and
/// says `null` where nothing is to be listed.
pub fn has_plain_table(resource: &Resource) -> bool {
    resources::rules_for(resource).columns() == resources::table::NAME_AND_CREATION
}

fn table_without_rows(columns: Value, meta: &Value) -> Vec<u8> {
    let table = json!({
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": meta,
        "columnDefinitions": columns,
        "rows": null,
    });
    table.to_string().into_bytes()
}

fn columns(resource: &Resource) -> Value {
    definitions(resources::rules_for(resource).columns())
}

fn definitions(columns: &[Column]) -> Value {
    let all: Vec<Value> = columns
        .iter()
        .map(|column| {
            json!({
                "name": column.name,
                "type": column.kind,
                "format": column.format,
                "description": column.description,
                "priority": column.priority,
            })
        })
        .collect();
    all.into()
}

/// The row of an object.
pub fn row(
    resource: &Resource,
    include: Include,
    bytes: &Bytes,
    now: Timestamp,
) -> Result<Vec<u8>, Status> {
    let object: Value = serde_json::from_slice(bytes).map_err(Status::internal)?;
    // Rules read the stored version.
    let row = match conversion_for(resource) {
        None => resources::rules_for(resource).row(&object, now),
        Some(conversion) => {
            let stored = conversion.to_stored(object.clone());
            resources::rules_for(resource).row(&stored, now)
        }
    };
    let included = match include {
        Include::None => None,
        Include::Object => Some(object),
        Include::Metadata => Some(json!({
            "kind": "PartialObjectMetadata",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": object["metadata"],
        })),
    };
    Ok(row_value(&row, included).to_string().into_bytes())
}

fn row_value(row: &Row, object: Option<Value>) -> Value {
    let mut value = json!({"cells": row.cells});
    if !row.conditions.is_empty() {
        let conditions: Vec<Value> = row
            .conditions
            .iter()
            .map(|condition| {
                json!({
                    "type": condition.kind,
                    "status": condition.status,
                    "reason": condition.reason,
                    "message": condition.message,
                })
            })
            .collect();
        value["conditions"] = conditions.into();
    }
    value["object"] = object.unwrap_or(Value::Null);
    value
}

#[derive(Deserialize)]
struct WithMetadata<'a> {
    #[serde(borrow)]
    metadata: &'a RawValue,
}

/// The metadata of an object as an object of its own.
pub fn metadata_of(bytes: &[u8]) -> Result<Vec<u8>, Status> {
    let object: WithMetadata<'_> = serde_json::from_slice(bytes).map_err(Status::internal)?;
    Ok(partial(object.metadata.get()))
}

fn partial(metadata: &str) -> Vec<u8> {
    format!("{{\"kind\":\"PartialObjectMetadata\",\"apiVersion\":\"meta.k8s.io/v1\",\"metadata\":{metadata}}}").into_bytes()
}

fn version_of(bytes: &[u8]) -> Result<String, Status> {
    #[derive(Deserialize)]
    struct Object {
        metadata: Version,
    }
    #[derive(Deserialize)]
    struct Version {
        #[serde(default, rename = "resourceVersion")]
        version: String,
    }
    let object: Object = serde_json::from_slice(bytes).map_err(Status::internal)?;
    Ok(object.metadata.version)
}

/// What precedes the rows of a resource's Table.
pub fn table_head(resource: &Resource, api_version: &str, meta: &ListMeta) -> Vec<u8> {
    head_of_table(api_version, &columns(resource), &meta.to_value())
}

fn head_of_table(api_version: &str, columns: &Value, meta: &Value) -> Vec<u8> {
    format!(
        "{{\"kind\":\"Table\",\"apiVersion\":\"{api_version}\",\"metadata\":{meta},\"columnDefinitions\":{columns},\"rows\":["
    )
    .into_bytes()
}

/// Forms of watch events, kept while many watchers may still ask for the same.
#[derive(Default)]
pub struct EventForms(Mutex<Recent>);

#[derive(Default)]
struct Recent {
    made: HashMap<Key, Made>,
    order: VecDeque<Key>,
    bytes: usize,
}

/// The place of an object in memory, which it keeps as long as its form is remembered, and the form.
type Key = (usize, Shape);

struct Made {
    bytes: Bytes,
    _object: Arc<Stored>,
}

/// What is made of an object.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    group: Cow<'static, str>,
    version: Cow<'static, str>,
    form: Form,
    /// The form is of meta.k8s.io/v1beta1.
    beta: bool,
    around: Around,
}

/// What is around an object's form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Around {
    /// Nothing.
    Nothing,
    /// An event as a line of JSON.
    Line(EventKind),
    /// An event as a frame of protobuf.
    Frame(EventKind),
}

impl Shape {
    /// A form of objects of the resource.
    pub fn new(resource: &Resource, form: Form, beta: bool, around: Around) -> Shape {
        Shape {
            group: resource.group.clone(),
            version: resource.version.clone(),
            form,
            beta,
            around,
        }
    }
}

/// Forms that are remembered, and their bytes.
const REMEMBERED: usize = 512;
const REMEMBERED_BYTES: usize = 8 << 20;

impl EventForms {
    /// An event's object in a form. The first Table of a watch carries the columns.
    pub fn event(
        &self,
        resource: &Resource,
        form: Form,
        stored: &Arc<Stored>,
        first: bool,
    ) -> Result<Bytes, Status> {
        let shape = || Shape::new(resource, form, false, Around::Nothing);
        match form {
            Form::Object => Ok(stored.with_resource_version()),
            Form::Metadata => self.shared(stored, shape(), || {
                metadata_of(&stored.with_resource_version())
            }),
            Form::Table(include) => {
                let row = self.shared(stored, shape(), || {
                    row(
                        resource,
                        include,
                        &stored.with_resource_version(),
                        Timestamp::now(),
                    )
                })?;
                let meta = json!({"resourceVersion": stored.revision.to_string()});
                let columns = first.then(|| columns(resource));
                Ok(table(columns, &meta, std::iter::once(row.to_vec())).into())
            }
        }
    }

    /// What is made of an object in a shape: made once for those who ask for it at about the same time.
    pub fn shared(
        &self,
        stored: &Arc<Stored>,
        shape: Shape,
        make: impl FnOnce() -> Result<Vec<u8>, Status>,
    ) -> Result<Bytes, Status> {
        let key = (Arc::as_ptr(stored).addr(), shape);
        let lock = || {
            self.0
                .lock()
                .unwrap_or_else(|poisoned| poisoned.into_inner())
        };
        if let Some(made) = lock().made.get(&key) {
            return Ok(made.bytes.clone());
        }
        let bytes = Bytes::from(make()?);
        lock().remember(key, bytes.clone(), stored.clone());
        Ok(bytes)
    }
}

impl Recent {
    fn remember(&mut self, key: Key, bytes: Bytes, object: Arc<Stored>) {
        self.bytes += bytes.len();
        let made = Made {
            bytes,
            _object: object,
        };
        match self.made.insert(key.clone(), made) {
            Some(before) => self.bytes -= before.bytes.len(),
            None => self.order.push_back(key),
        }
        while self.order.len() > REMEMBERED || self.bytes > REMEMBERED_BYTES {
            let Some(oldest) = self.order.pop_front() else {
                break;
            };
            if let Some(made) = self.made.remove(&oldest) {
                self.bytes -= made.bytes.len();
            }
        }
    }
}
