//! Who owns which field of an object, and server-side apply.
//!
//! `metadata.managedFields` lists managers, each with a set of fields. A write
//! that is no apply owns what it changed ([`Ownership::update`]); an applied
//! configuration owns what it names ([`Ownership::apply`]), and takes away what
//! its manager named last time and nobody else owns. It may not change what
//! another manager owns unless it is forced.
//!
//! ```text
//!  live ──┬─ compare ─▶ changed, removed ─▶ others lose them ─▶ managers
//!  new  ──┘                              └▶ the writer gets the changed ones
//!
//!  live ──┬─ merge ─▶ prune ─▶ new        set of the configuration ─▶ its manager
//!  config ┘
//! ```
//!
//! Everything is told by the schema: which structs, maps and lists are one value,
//! and what tells the items of the other lists apart.

mod compare;
mod conflict;
mod element;
mod field_set;
mod fields_v1;
mod last_applied;
mod managers;
mod merge;
mod ownership;
mod prune;
mod reconcile;
mod remove;
mod scale;
mod set;
mod shape;
mod validate;

#[cfg(test)]
mod tests;

pub use compare::{Comparison, compare};
pub use element::{Element, Scalar};
pub use field_set::field_set;
pub use last_applied::LAST_APPLIED;
pub use managers::{Identity, Managers, Operation, Owned};
pub use ownership::{Applied, Live, OneVersion, Ownership, Versions, Writer};
pub use scale::{SCALE_VERSION, ScaledField};
pub use set::{Node, Set};
