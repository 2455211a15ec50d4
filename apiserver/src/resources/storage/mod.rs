//! Rules of the storage group: classes, CSI drivers and what they tell of nodes and capacity, attachments.

mod attachment;
mod attributes_class;
mod capacity;
mod class;
mod driver;
mod node;
#[cfg(test)]
mod tests;

use serde_json::Value;

pub use attachment::VolumeAttachment;
pub use attributes_class::VolumeAttributesClass;
pub use capacity::CsiStorageCapacity;
pub use class::StorageClass;
pub use driver::CsiDriver;
pub use node::CsiNode;

use super::problems::{Path, Problems};
use super::tree::Tree;

const MAX_DRIVER_NAME: usize = 63;
const MAX_PARAMETERS: usize = 512;
const MAX_PARAMETER_BYTES: usize = 256 * 1024;

/// The name of a CSI driver.
pub fn validate_driver_name(out: &mut Problems, path: &Path, name: &str) {
    if name.is_empty() {
        return out.required(path, "");
    }
    if name.len() > MAX_DRIVER_NAME {
        out.too_long(path, MAX_DRIVER_NAME);
    }
    out.dns_subdomain(path, &name.to_lowercase());
}

/// The name of what provides a class.
fn validate_provisioner(out: &mut Problems, path: &Path, name: &str) {
    if name.is_empty() {
        return out.required(path, "");
    }
    out.qualified_name(path, &name.to_lowercase());
}

/// The parameters of a class.
fn validate_parameters(out: &mut Problems, class: &Value, may_be_empty: bool) {
    let path = Path::new("parameters");
    let count = class.entries("parameters").count();
    if count > MAX_PARAMETERS {
        return out.too_long(&path, MAX_PARAMETERS);
    }
    let mut size = 0;
    for (key, value) in class.entries("parameters") {
        if key.is_empty() {
            out.invalid(&path, key, "field can not be empty.");
        }
        size += key.len() + value.as_str().map_or(0, str::len);
    }
    if size > MAX_PARAMETER_BYTES {
        out.too_long(&path, MAX_PARAMETER_BYTES);
    }
    if !may_be_empty && count == 0 {
        out.required(&path, "must contain at least one key/value pair");
    }
}
