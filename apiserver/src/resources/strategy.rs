//! What most kinds do to a new or changed object before it is validated.

use ferrule_apimachinery::schema::Schema;
use serde_json::Value;

use super::meta;
use super::tree::{self, Tree, copy, set};

/// What the server does with the objects of a kind, whatever their writers say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strategy {
    /// The status is written through its subresource only.
    pub status: bool,
    /// The server counts the changes of what is wanted.
    pub generation: bool,
    /// Objects live in a namespace.
    pub namespaced: bool,
    /// A PUT without `metadata.resourceVersion` overwrites whatever is there.
    pub unconditional_update: bool,
    /// A PUT to a name that does not exist makes the object.
    pub create_on_update: bool,
}

impl Strategy {
    /// An object in a namespace, without status and generation.
    pub const PLAIN: Strategy = Strategy {
        status: false,
        generation: false,
        namespaced: true,
        unconditional_update: true,
        create_on_update: false,
    };

    /// The same with a status.
    pub const STATUS: Strategy = Strategy {
        status: true,
        ..Strategy::PLAIN
    };

    /// The same with a generation.
    pub const GENERATION: Strategy = Strategy {
        generation: true,
        ..Strategy::PLAIN
    };

    /// The same with status and generation.
    pub const BOTH: Strategy = Strategy {
        status: true,
        ..Strategy::GENERATION
    };

    /// Objects live in no namespace.
    pub const fn cluster_wide(mut self) -> Strategy {
        self.namespaced = false;
        self
    }

    /// A PUT has to say which version it changes.
    pub const fn conditional(mut self) -> Strategy {
        self.unconditional_update = false;
        self
    }

    /// A PUT makes what is not there.
    pub const fn making(mut self) -> Strategy {
        self.create_on_update = true;
        self
    }

    /// A new object has the status that nobody wrote, and the first generation.
    pub fn begin(self, new: &mut Value) {
        if self.status {
            reset_status(new);
        }
        if self.generation {
            meta::first_generation(new);
        }
    }

    /// A changed object keeps its status; its generation rises when anything but metadata changed.
    pub fn keep(self, new: &mut Value, old: &Value) {
        if self.status {
            copy(new, old, "status");
        }
        let changed = self.generation && !is_same(new, old);
        meta::next_generation(new, old, changed);
    }
}

/// Makes the status what it is when nobody has written one.
fn reset_status(object: &mut Value) {
    let schema = Schema::builtin();
    let empty = schema
        .object_type(object.text("apiVersion"), object.text("kind"))
        .and_then(|id| schema.empty_object(id).get("status").cloned());
    match empty {
        Some(status) => set(object, "status", status),
        None => {
            tree::remove(object, "status");
        }
    }
}

/// Whether two objects want the same.
fn is_same(new: &Value, old: &Value) -> bool {
    const OTHER: [&str; 4] = ["apiVersion", "kind", "metadata", "status"];
    let names = |object| Value::as_object(object).into_iter().flatten();
    names(new)
        .chain(names(old))
        .map(|(name, _)| name.as_str())
        .filter(|name| !OTHER.contains(name))
        .all(|name| tree::same(new.at(name), old.at(name)))
}
