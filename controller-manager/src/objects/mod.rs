//! What the controllers keep of each kind: one projection per resource, shared by all of them.
//!
//! Templates stay JSON text, and become trees only inside a plan.

pub mod disruption;
pub mod meta;
pub mod namespace;
pub mod node;
pub mod pod;
pub mod selector;
pub mod service;
pub mod volume;
pub mod workload;

use std::sync::Arc;

use ferrule_client::{Cached, Typed};

/// An object in the cache, in the form of one of this module's types.
pub type Seen<T> = Arc<Cached<Typed<T>>>;
