//! Lists as JSON, put together from the bytes of their items.

use bytes::Bytes;
use ferrule_apimachinery::scheme::Resource;
use ferrule_apimachinery::status::Status;
use jiff::Timestamp;

use crate::verbs::forms::{self, ListMeta};
use crate::verbs::{Form, Page};

/// A page in a form.
pub(super) fn render(resource: &Resource, form: Form, page: &Page) -> Result<Bytes, Status> {
    let meta = ListMeta::from(page);
    let now = Timestamp::now();
    match form {
        Form::Table(include) => {
            let objects = page.items.iter().map(|stored| &**stored);
            forms::table_of(resource, include, &meta, objects, now).map(Bytes::from)
        }
        Form::Object => {
            let mut out = head(&resource.list_kind(), &resource.api_version(), &meta);
            out.reserve(
                page.items
                    .iter()
                    .map(|stored| stored.bytes.len() + 48)
                    .sum(),
            );
            // Items of a list do not repeat what they are: they begin with their metadata.
            let skipped = item_start(resource);
            let mut item = Vec::new();
            for (index, stored) in page.items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                item.clear();
                stored.write_at_revision(stored.revision, &mut item);
                out.push(b'{');
                out.extend_from_slice(item.get(skipped..).unwrap_or(b"}"));
            }
            out.extend_from_slice(b"]}\n");
            Ok(out.into())
        }
        Form::Metadata => {
            let mut out = head("PartialObjectMetadataList", "meta.k8s.io/v1", &meta);
            if page.items.is_empty() {
                // Upstream's list of metadata is null when it is empty.
                out.truncate(out.len() - 1);
                out.extend_from_slice(b"null}\n");
                return Ok(out.into());
            }
            for (index, stored) in page.items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                let item = forms::one(resource, form, &stored.with_resource_version(), now)?;
                out.extend_from_slice(&item);
            }
            out.extend_from_slice(b"]}\n");
            Ok(out.into())
        }
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
