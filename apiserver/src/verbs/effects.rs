//! What a write changes besides its object, in the same transaction: a Service's addresses and
//! ports, a Lease's epoch. And who owns the object's fields after it.

use bytes::Bytes;

use crate::store::{Compare, Txn};

/// Compares, puts and deletes that belong to a write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Effects {
    pub compare: Vec<Compare>,
    pub put: Vec<(String, Bytes)>,
    pub delete: Vec<String>,
    pub owners: Owners,
    /// Opaque values of the object were sent with blanks.
    pub spaced: bool,
}

/// `metadata.managedFields` after a write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Owners {
    /// As before.
    #[default]
    AsBefore,
    /// These, as JSON; `None` when nobody owns anything.
    Now(Option<Bytes>),
}

impl Effects {
    /// Adds them to a transaction.
    pub fn add_to(self, txn: &mut Txn) {
        txn.compare.extend(self.compare);
        txn.put.extend(self.put);
        txn.delete.extend(self.delete);
    }
}
