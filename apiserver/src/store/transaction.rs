//! The shape of a write: compares, and what is put and deleted when all of them hold.

use bytes::Bytes;

/// One precondition of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compare {
    /// The key does not exist.
    Absent(String),
    /// The key was last written at this revision.
    ModRevision(String, i64),
    /// The key exists with exactly this value.
    Value(String, Bytes),
}

impl Compare {
    /// The key that is compared.
    pub fn key(&self) -> &str {
        match self {
            Compare::Absent(key) | Compare::ModRevision(key, _) | Compare::Value(key, _) => key,
        }
    }
}

/// A transaction. A key may occur only once among `put` and `delete`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Txn {
    /// All of these must hold, or nothing is written.
    pub compare: Vec<Compare>,
    /// Keys and their new values.
    pub put: Vec<(String, Bytes)>,
    /// Keys to remove.
    pub delete: Vec<String>,
}

impl Txn {
    /// An empty transaction.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a precondition.
    pub fn when(mut self, compare: Compare) -> Self {
        self.compare.push(compare);
        self
    }

    /// Adds a key to write.
    pub fn put(mut self, key: impl Into<String>, value: impl Into<Bytes>) -> Self {
        self.put.push((key.into(), value.into()));
        self
    }

    /// Adds a key to remove.
    pub fn delete(mut self, key: impl Into<String>) -> Self {
        self.delete.push(key.into());
        self
    }

    /// Creates `key`; fails when it exists.
    pub fn create(self, key: impl Into<String>, value: impl Into<Bytes>) -> Self {
        let key = key.into();
        self.when(Compare::Absent(key.clone())).put(key, value)
    }

    /// Replaces `key` when it was last written at `revision`.
    pub fn update(self, key: impl Into<String>, revision: i64, value: impl Into<Bytes>) -> Self {
        let key = key.into();
        self.when(Compare::ModRevision(key.clone(), revision))
            .put(key, value)
    }

    /// Removes `key` when it was last written at `revision`.
    pub fn remove(self, key: impl Into<String>, revision: i64) -> Self {
        let key = key.into();
        self.when(Compare::ModRevision(key.clone(), revision))
            .delete(key)
    }
}

/// A transaction that was carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// The revision of its changes: the resourceVersion of every object it wrote.
    pub revision: i64,
}
