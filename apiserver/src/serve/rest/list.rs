//! Lists, put together piece by piece from the bytes of their items.

use std::sync::Arc;

use bytes::Bytes;
use ferrule_apimachinery::object::{self, Stored};
use ferrule_apimachinery::protobuf::{self, Envelope};
use ferrule_apimachinery::schema::{Schema, TypeId};
use ferrule_apimachinery::scheme::Resource;
use ferrule_apimachinery::status::Status;
use jiff::Timestamp;

use super::accept::{Encoding, Layout, Negotiated};
use super::{answer, gzip, pretty};
use crate::verbs::forms::{self, ListMeta};
use crate::verbs::{Form, Page};

/// A piece is sent when it is larger than this: what fits into one piece is never compressed.
const PIECE: usize = gzip::THRESHOLD;

/// A page as the client wants it, in pieces.
pub(super) fn render(
    resource: Arc<Resource>,
    wanted: Negotiated,
    page: Page,
) -> Result<Box<dyn answer::Pieces>, Status> {
    if wanted.wire.encoding == Encoding::Protobuf {
        return Ok(Box::new(
            message(&resource, wanted, &page)?.into_iter().map(Ok),
        ));
    }
    let list = List::new(resource, wanted, page);
    if wanted.wire.encoding == Encoding::Json && wanted.wire.layout == Layout::Line {
        return Ok(Box::new(list));
    }
    // What people read is made in one go.
    let whole: Result<Vec<Bytes>, Status> = list.collect();
    let whole = whole?.concat();
    let whole = match wanted.wire.encoding {
        Encoding::Yaml => {
            let tree: serde_json::Value =
                serde_json::from_slice(&whole).map_err(Status::internal)?;
            crate::verbs::write_yaml(&tree).into_bytes()
        }
        _ => {
            let mut lines = pretty::indented(&whole);
            lines.push(b'\n');
            lines
        }
    };
    let mut whole = Bytes::from(whole);
    Ok(Box::new(std::iter::from_fn(move || {
        let piece = whole.split_to(whole.len().min(PIECE + 1));
        (!piece.is_empty()).then_some(Ok(piece))
    })))
}

/// A list in JSON.
struct List {
    resource: Arc<Resource>,
    wanted: Negotiated,
    page: Page,
    /// What the next piece begins with.
    begun: Vec<u8>,
    next: usize,
    over: bool,
    now: Timestamp,
    /// Where the items' metadata starts in their bytes.
    item_start: usize,
}

impl List {
    fn new(resource: Arc<Resource>, wanted: Negotiated, page: Page) -> List {
        let meta = ListMeta::from(&page);
        let meta_version = meta_version(wanted.beta);
        let begun = match wanted.form {
            Form::Object => head(&resource.list_kind(), &resource.api_version(), &meta),
            Form::Metadata => head("PartialObjectMetadataList", meta_version, &meta),
            Form::Table(_) => forms::table_head(&resource, meta_version, &meta),
        };
        List {
            item_start: item_start(&resource),
            resource,
            wanted,
            page,
            begun,
            next: 0,
            over: false,
            now: Timestamp::now(),
        }
    }

    /// Whether upstream says null where nothing is to be listed.
    fn null_when_empty(&self) -> bool {
        match self.wanted.form {
            Form::Object => false,
            Form::Metadata => true,
            Form::Table(_) => forms::has_plain_table(&self.resource),
        }
    }

    fn item(&self, stored: &Stored, out: &mut Vec<u8>) -> Result<(), Status> {
        let item = match self.wanted.form {
            Form::Object => {
                // Items of a list do not repeat what they are: they begin with their metadata.
                let bytes = stored.bytes.get(self.item_start..).unwrap_or_default();
                let splice = (stored.splice as usize).saturating_sub(self.item_start);
                out.push(b'{');
                object::splice(bytes, splice, stored.revision, out);
                return Ok(());
            }
            Form::Metadata => forms::metadata_of(&stored.with_resource_version())?,
            Form::Table(include) => {
                let bytes = stored.with_resource_version();
                forms::row(&self.resource, include, &bytes, self.now)?
            }
        };
        if self.wanted.beta {
            out.extend_from_slice(&forms::as_beta(&item.into()));
        } else {
            out.extend_from_slice(&item);
        }
        Ok(())
    }
}

impl Iterator for List {
    type Item = Result<Bytes, Status>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let mut out = std::mem::take(&mut self.begun);
        out.reserve(PIECE);
        while out.len() <= PIECE {
            let Some(stored) = self.page.items.get(self.next) else {
                self.over = true;
                if self.next == 0 && self.null_when_empty() {
                    out.truncate(out.len() - 1);
                    out.extend_from_slice(b"null}\n");
                } else {
                    out.extend_from_slice(b"]}\n");
                }
                break;
            };
            if self.next > 0 {
                out.push(b',');
            }
            if let Err(status) = self.item(stored, &mut out) {
                self.over = true;
                return Some(Err(status));
            }
            self.next += 1;
        }
        Some(Ok(out.into()))
    }
}

fn meta_version(beta: bool) -> &'static str {
    if beta {
        "meta.k8s.io/v1beta1"
    } else {
        "meta.k8s.io/v1"
    }
}

fn head(kind: &str, api_version: &str, meta: &ListMeta) -> Vec<u8> {
    let meta = meta.to_value();
    format!(
        "{{\"kind\":\"{kind}\",\"apiVersion\":\"{api_version}\",\"metadata\":{meta},\"items\":["
    )
    .into_bytes()
}

/// Where `"metadata"` starts in the canonical bytes of every object of the resource.
fn item_start(resource: &Resource) -> usize {
    format!(
        "{{\"apiVersion\":\"{}\",\"kind\":\"{}\",",
        resource.api_version(),
        resource.kind
    )
    .len()
}

/// A list as a message in its envelope. Its length comes first, so all of it is made at once.
fn message(resource: &Resource, wanted: Negotiated, page: &Page) -> Result<Vec<Bytes>, Status> {
    let schema = Schema::builtin();
    let type_id = |name: &str| -> Result<TypeId, Status> {
        let id = schema.type_id(name);
        id.ok_or_else(|| Status::internal(format!("no type {name}")))
    };
    let encode = |id, json: &[u8]| schema.write_message(id, json).map_err(Status::internal);
    let (id, envelope) = match wanted.form {
        Form::Object => (
            type_id(&resource.schema_type)?,
            Envelope::new(&resource.api_version(), &resource.list_kind()),
        ),
        Form::Metadata | Form::Table(_) => (
            type_id("meta/v1.PartialObjectMetadata")?,
            Envelope::new(meta_version(wanted.beta), "PartialObjectMetadataList"),
        ),
    };
    let meta = ListMeta::from(page).to_value().to_string();
    let mut pieces = Vec::new();
    let mut piece = Vec::new();
    protobuf::put_list_meta(
        &mut piece,
        &encode(type_id("meta/v1.ListMeta")?, meta.as_bytes())?,
    );
    for stored in &page.items {
        let item = encode(id, &stored.with_resource_version())?;
        protobuf::put_list_item(&mut piece, &item);
        if piece.len() > PIECE {
            pieces.push(Bytes::from(std::mem::take(&mut piece)));
        }
    }
    let length = piece.len() + pieces.iter().map(Bytes::len).sum::<usize>();
    piece.extend_from_slice(Envelope::END);
    let mut first = Vec::new();
    envelope.begin(length, &mut first);
    if pieces.is_empty() {
        first.append(&mut piece);
        return Ok(vec![first.into()]);
    }
    pieces.insert(0, first.into());
    pieces.push(piece.into());
    Ok(pieces)
}
