//! Rules of roles and of who has them. What they permit is decided elsewhere.

mod binding;
mod role;
#[cfg(test)]
mod tests;

pub use binding::Binding;
pub use role::{ClusterRole, Role};

use serde_json::Value;

use super::meta::{self, NameRule};
use super::problems::Problems;

/// Metadata of a changed object with the problems of its contents between what the verb and what the kind looks at.
fn around_update(new: &Value, old: &Value, contents: Problems) -> Problems {
    let mut out = meta::validate_update_once(new, old);
    out.extend(contents);
    out.extend(meta::validate_update_once(new, old));
    out
}

/// Names of roles and bindings are anything that can stand in a path.
const NAMES: NameRule = NameRule::PathSegment;
