//! What becomes of an object whose owners may be gone, or that waits for its dependents.
//!
//! ```text
//!  some owner stands ─────────> references to the others are removed
//!  every owner is gone ───────> the object is deleted, as its finalizers ask
//!  owners wait for it ────────> the object is deleted in the foreground; in a cycle it first stops blocking
//!  it waits for dependents ───> they are deleted; when none blocks, its finalizer goes
//!  it orphans dependents ─────> their references to it are removed, then its finalizer
//! ```

use ferrule_client::Propagation;

use crate::objects::meta::OwnerReference;

/// The finalizer of an object that goes after its dependents.
pub const FOREGROUND: &str = "foregroundDeletion";
/// The finalizer of an object that leaves its dependents behind.
pub const ORPHAN: &str = "orphan";

/// What a live look found of an owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// It stands.
    Solid,
    /// It is not there, or another object has its name.
    Absent,
    /// It is being deleted and waits for its dependents.
    Waiting,
}

/// What is known about an object.
#[derive(Debug, Default)]
pub struct Observed {
    /// Whether it is being deleted.
    pub deleting: bool,
    /// Its finalizers.
    pub finalizers: Vec<String>,
    /// Its owners, with what a live look found.
    pub owners: Vec<(OwnerReference, Owner)>,
    /// Whether it has dependents.
    pub has_dependents: bool,
    /// Whether dependents that block its deletion are left.
    pub blocked: bool,
    /// Whether a dependent waits for its own dependents: perhaps for this object.
    pub dependent_waits: bool,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Nothing.
    Nothing,
    /// Delete it.
    Delete(Propagation),
    /// Let it block none of its owners any more, and delete it in the foreground.
    UnblockAndDelete,
    /// Remove the references to these owners.
    Disown(Vec<String>),
    /// See to its dependents, and come back when one is gone.
    WaitForDependents,
    /// Remove its dependents' references to it, then the finalizer.
    OrphanDependents,
    /// Remove this finalizer.
    RemoveFinalizer(&'static str),
}

/// Plans for one object.
pub fn plan(observed: &Observed) -> Plan {
    let has = |name: &str| {
        observed
            .finalizers
            .iter()
            .any(|finalizer| finalizer == name)
    };
    if observed.deleting {
        return match (has(ORPHAN), has(FOREGROUND), observed.blocked) {
            (true, _, _) => Plan::OrphanDependents,
            (false, true, true) => Plan::WaitForDependents,
            (false, true, false) => Plan::RemoveFinalizer(FOREGROUND),
            (false, false, _) => Plan::Nothing,
        };
    }
    if observed.owners.is_empty() {
        return Plan::Nothing;
    }
    let is = |state: Owner| observed.owners.iter().any(|(_, found)| *found == state);
    if is(Owner::Solid) {
        let gone: Vec<String> = observed
            .owners
            .iter()
            .filter(|(_, found)| *found != Owner::Solid)
            .map(|(owner, _)| owner.uid.clone())
            .collect();
        return if gone.is_empty() {
            Plan::Nothing
        } else {
            Plan::Disown(gone)
        };
    }
    if is(Owner::Waiting) && observed.has_dependents {
        // Owner and dependent may wait for each other. As upstream, this finds more cycles than
        // there are; blocking less does no harm to an object that is deleted anyway.
        return if observed.dependent_waits {
            Plan::UnblockAndDelete
        } else {
            Plan::Delete(Propagation::Foreground)
        };
    }
    Plan::Delete(match (has(ORPHAN), has(FOREGROUND)) {
        (true, _) => Propagation::Orphan,
        (false, true) => Propagation::Foreground,
        (false, false) => Propagation::Background,
    })
}
