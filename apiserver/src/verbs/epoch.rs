//! The epoch of an elected leader: its writes stop when the next leader has begun.
//!
//! A Lease write maintains `/ferrule/epochs/<namespace>/<lease>` with the value
//! `<holder>/<leaseTransitions>` in its own transaction; a leader's writes compare it.

use bytes::Bytes;
use serde_json::Value;

use crate::store::Compare;

/// What an elected leader sends along: `<namespace>/<lease>/<holder>/<leaseTransitions>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Epoch {
    key: String,
    value: String,
}

impl Epoch {
    /// Reads the header's text; `None` when it is malformed.
    pub fn parse(text: &str) -> Option<Epoch> {
        let (namespace, rest) = text.split_once('/')?;
        let (lease, value) = rest.split_once('/')?;
        let (holder, transitions) = value.rsplit_once('/')?;
        transitions.parse::<u64>().ok()?;
        if namespace.is_empty() || lease.is_empty() || holder.is_empty() {
            return None;
        }
        Some(Epoch {
            key: key(namespace, lease),
            value: value.to_owned(),
        })
    }

    /// The precondition of every write in this epoch.
    pub fn compare(&self) -> Compare {
        Compare::Value(self.key.clone(), Bytes::from(self.value.clone()))
    }
}

/// The key of a lease's epoch.
pub(super) fn key(namespace: &str, lease: &str) -> String {
    format!("/ferrule/epochs/{namespace}/{lease}")
}

/// The epoch that a Lease describes.
pub(super) fn of_lease(lease: &Value) -> String {
    let spec = &lease["spec"];
    let holder = spec["holderIdentity"].as_str().unwrap_or_default();
    let transitions = spec["leaseTransitions"].as_i64().unwrap_or_default();
    format!("{holder}/{transitions}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holder_may_contain_slashes() {
        let epoch = Epoch::parse("kube-system/kube-scheduler/host/1/7").unwrap();
        assert_eq!(epoch.key, "/ferrule/epochs/kube-system/kube-scheduler");
        assert_eq!(epoch.value, "host/1/7");
        for bad in ["", "a/b/c", "a/b/c/x", "a//c/1", "a/b//1"] {
            assert_eq!(Epoch::parse(bad), None, "{bad}");
        }
    }
}
