//! Which endpoint a client keeps, and whether it may.
//!
//! It is kept for each frontend: a client that uses two addresses of one service may have two endpoints.

use std::net::{Ipv4Addr, SocketAddrV4};

use crate::ruleset::{Key, LOCAL, Target, Value};
use crate::spread::{Ends, Place};
use crate::table::{Changes, Ruleset};

/// That a client keeps an endpoint of a frontend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remembered {
    /// The client's address.
    pub client: Ipv4Addr,
    /// [`Key::ServiceIp`] or [`Key::NodePort`].
    pub frontend: Key,
    /// The endpoint.
    pub endpoint: SocketAddrV4,
}

/// Whether changes may make something wrong that is remembered.
pub fn may_outdate(changes: &Changes) -> bool {
    changes.remove.iter().any(|key| {
        matches!(
            key,
            Key::Endpoint(..) | Key::NodePortEndpoint(..) | Key::ServiceIp(_) | Key::NodePort(_)
        )
    })
}

/// Whether a client may go on with the endpoint that it has.
///
/// With the policy Local from outside, only endpoints of this node may answer, but pods use those of all nodes. The node
/// itself does too, but is taken for somebody outside here: it may get another endpoint.
pub fn is_valid(ruleset: &Ruleset, remembered: &Remembered) -> bool {
    let Some(Value::Frontend(Target::Spread(spread), _)) = ruleset.value(&remembered.frontend)
    else {
        return false;
    };
    let is_pod = || {
        let pods = ruleset.settings().cluster_cidr;
        pods.is_some_and(|pods| pods.contains(remembered.client))
    };
    let is_local = match (spread.ends, spread.place) {
        (Ends::Cluster | Ends::Plain, _) => false,
        (Ends::Local { .. }, Place::Internal) => true,
        (Ends::Local { .. }, _) => !is_pod(),
    };
    let numbers = match is_local {
        true => (LOCAL, u32::MAX),
        false => (0, LOCAL - 1),
    };
    let (first, last) = match remembered.frontend {
        Key::ServiceIp(key) => (Key::Endpoint(key, numbers.0), Key::Endpoint(key, numbers.1)),
        Key::NodePort(key) => (
            Key::NodePortEndpoint(key, numbers.0),
            Key::NodePortEndpoint(key, numbers.1),
        ),
        _ => return false,
    };
    let endpoint = Value::Endpoint(remembered.endpoint);
    spread.sticky
        && ruleset
            .range(first..=last)
            .any(|(_, value)| *value == endpoint)
}

#[cfg(test)]
mod tests;
