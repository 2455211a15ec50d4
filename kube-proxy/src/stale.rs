//! Tracked connections that lead to endpoints that are gone.
//!
//! UDP flows would be kept as long as packets come. A TCP connection is forgotten only while nobody has answered it: the
//! client's next attempt then goes to an endpoint that is there. One that was answered may be at its end: it is left alone.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::ops::RangeInclusive;

use ferrule_netlink::Error;
use ferrule_netlink::conntrack::{Connection, Flow};

use crate::objects::Protocol;
use crate::ruleset::{Key, Target, Value};
use crate::table::{Changes, Ruleset};

/// What is known of a tracked connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Its protocol.
    pub protocol: Protocol,
    /// Where its first packet wanted to go.
    pub destination: SocketAddrV4,
    /// Who answers, or should.
    pub answerer: SocketAddrV4,
    /// Whether anybody has answered.
    pub replied: bool,
}

impl Seen {
    fn of(flow: &Flow) -> Option<Self> {
        Some(Self {
            protocol: Protocol::of_number(flow.protocol)?,
            destination: SocketAddrV4::new(flow.destination.0, flow.destination.1),
            answerer: SocketAddrV4::new(flow.answerer.0, flow.answerer.1),
            replied: flow.replied,
        })
    }
}

/// Frontends that are gone.
#[derive(Debug, Default)]
pub struct Gone(BTreeSet<Key>);

impl Gone {
    /// Those that changes take away.
    pub fn by(changes: &Changes) -> Self {
        let kept: BTreeSet<&Key> = changes.add.iter().map(|(key, _)| key).collect();
        let is_frontend = |key: &&Key| matches!(key, Key::ServiceIp(_) | Key::NodePort(_));
        let removed = changes.remove.iter().filter(is_frontend);
        Self(removed.filter(|key| !kept.contains(key)).copied().collect())
    }
}

/// Whether changes may leave connections behind.
pub fn may_strand(changes: &Changes) -> bool {
    let is_udp = |key: &Key| match key {
        Key::ServiceIp((_, protocol, _)) | Key::NodePort((protocol, _)) => {
            *protocol == Protocol::Udp
        }
        _ => false,
    };
    let loses_endpoint =
        |key: &Key| matches!(key, Key::Endpoint(..) | Key::NodePortEndpoint(..)) || is_udp(key);
    changes.remove.iter().any(loses_endpoint) || changes.add.iter().any(|(key, _)| is_udp(key))
}

/// Whether a connection leads elsewhere than its frontend, one before or now, does now.
pub fn is_stale(seen: &Seen, ruleset: &Ruleset, gone: &Gone, node: Option<Ipv4Addr>) -> bool {
    if seen.protocol == Protocol::Sctp || (seen.protocol == Protocol::Tcp && seen.replied) {
        return false;
    }
    let (address, port) = (*seen.destination.ip(), seen.destination.port());
    let by_address = Key::ServiceIp((address, seen.protocol, port));
    if let Some(frontend) = ruleset.value(&by_address) {
        let key = (address, seen.protocol, port);
        let numbers = Key::Endpoint(key, 0)..=Key::Endpoint(key, u32::MAX);
        return !leads_to(ruleset, frontend, numbers, seen.answerer);
    }
    if gone.0.contains(&by_address) {
        return true;
    }
    // The same port of a host elsewhere is none of ours: only what was translated, or was meant for this node.
    let ours = seen.destination != seen.answerer || Some(address) == node;
    let by_port = Key::NodePort((seen.protocol, port));
    if !ours {
        return false;
    }
    let key = (seen.protocol, port);
    let numbers = Key::NodePortEndpoint(key, 0)..=Key::NodePortEndpoint(key, u32::MAX);
    match ruleset.value(&by_port) {
        Some(frontend) => !leads_to(ruleset, frontend, numbers, seen.answerer),
        None => gone.0.contains(&by_port),
    }
}

fn leads_to(
    ruleset: &Ruleset,
    frontend: &Value,
    numbers: RangeInclusive<Key>,
    answerer: SocketAddrV4,
) -> bool {
    let mut endpoints = ruleset.range(numbers);
    matches!(frontend, Value::Frontend(Target::Spread(_), _))
        && endpoints.any(|(_, value)| *value == Value::Endpoint(answerer))
}

/// Makes the kernel forget stale connections; returns how many there were.
pub fn forget(ruleset: &Ruleset, gone: &Gone, node: Option<Ipv4Addr>) -> Result<usize, Error> {
    let mut connection = Connection::open()?;
    let mut forgotten = 0;
    for flow in connection.flows()? {
        if Seen::of(&flow).is_some_and(|seen| is_stale(&seen, ruleset, gone, node)) {
            connection.delete(&flow)?;
            forgotten += 1;
        }
    }
    Ok(forgotten)
}

#[cfg(test)]
mod tests;
