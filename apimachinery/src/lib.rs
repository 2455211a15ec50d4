//! The Kubernetes object model, free of any wire.
//!
//! An object arrives as JSON or YAML ([`yaml`]), is decoded against the one
//! table of types ([`schema`]), is changed as a transient tree ([`patch`],
//! [`object::meta`]), and rests as canonical bytes beside a small parsed
//! [`header::Header`] ([`object::Stored`]). The [`scheme`] says which resources
//! exist; refusals are a [`status::Status`] built from [`field`] errors.

pub mod apply;
pub mod duration;
pub mod field;
pub mod header;
pub mod names;
pub mod object;
pub mod patch;
pub mod protobuf;
pub mod quantity;
pub mod schema;
pub mod scheme;
pub mod selector;
pub mod status;
pub mod time;
pub mod yaml;

#[cfg(test)]
mod outside;

pub use field::{FieldError, Path};
pub use header::Header;
pub use object::Stored;
pub use patch::PatchError;
pub use quantity::Quantity;
pub use schema::Schema;
pub use scheme::{GroupVersionResource, Resource, Scheme};
pub use status::{Reason, Status};
