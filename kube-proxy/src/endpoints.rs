//! Which endpoints of a service port are used on this node: the ready ones, or those that still serve while they terminate.
//!
//! ```text
//! Cluster policy   ready, by hints those for this node or zone  -- none? --> serving and terminating
//! Local policy     ready on this node                           -- none? --> serving and terminating on this node
//! ```
//!
//! Both fall back on their own. Hints count only when every ready endpoint has one and one of them is for here.

use std::collections::BTreeMap;
use std::net::SocketAddrV4;

use crate::objects::{Endpoint, Node};

/// The usable endpoints of a service port, each sorted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Usable {
    /// For traffic that may go to any node.
    pub cluster: Vec<SocketAddrV4>,
    /// For traffic that stays on this node.
    pub local: Vec<SocketAddrV4>,
    /// Those of both that are on this node.
    pub here: Vec<SocketAddrV4>,
    /// Whether there are any anywhere.
    pub anywhere: bool,
}

impl Usable {
    /// All that may be reached from this node, sorted.
    pub fn reachable(&self) -> Vec<SocketAddrV4> {
        let mut all = [&*self.cluster, &*self.local].concat();
        all.sort_unstable();
        all.dedup();
        all
    }
}

/// Which policies a service port uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policies {
    /// Some traffic may go to any node.
    pub cluster: bool,
    /// Some traffic stays on this node.
    pub local: bool,
}

/// The usable ones of these endpoints.
pub fn usable<'a>(
    endpoints: impl Iterator<Item = (SocketAddrV4, &'a Endpoint)>,
    policies: Policies,
    node: &Node,
) -> Usable {
    let is_here = |endpoint: &Endpoint| endpoint.node.as_deref() == Some(&*node.name);
    // Slices may overlap for a moment: an endpoint counts once, as one of this node if any slice says so.
    let mut all: BTreeMap<SocketAddrV4, &Endpoint> = BTreeMap::new();
    for (address, endpoint) in endpoints {
        let known = all.entry(address).or_insert(endpoint);
        if is_here(endpoint) {
            *known = endpoint;
        }
    }
    let take = |filter: &dyn Fn(&Endpoint) -> bool| -> Vec<SocketAddrV4> {
        let taken = all.iter().filter(|(_, endpoint)| filter(endpoint));
        taken.map(|(address, _)| *address).collect()
    };
    let draining = |endpoint: &Endpoint| endpoint.serving && endpoint.terminating;
    let mut usable = Usable::default();
    if policies.cluster {
        let hints = Hints::of(all.values().copied(), node);
        usable.cluster = take(&|endpoint| endpoint.ready && hints.allow(endpoint, node));
        if usable.cluster.is_empty() {
            usable.cluster = take(&draining);
        }
    }
    if policies.local {
        usable.local = take(&|endpoint| endpoint.ready && is_here(endpoint));
        if usable.local.is_empty() {
            usable.local = take(&|endpoint| draining(endpoint) && is_here(endpoint));
        }
    }
    usable.anywhere = all
        .values()
        .any(|endpoint| endpoint.ready || draining(endpoint));
    usable.here = usable.reachable();
    usable
        .here
        .retain(|address| all.get(address).is_some_and(|endpoint| is_here(endpoint)));
    usable
}

/// Which hints of the endpoints count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hints {
    None,
    SameNode,
    SameZone,
}

impl Hints {
    fn of<'a>(endpoints: impl Iterator<Item = &'a Endpoint> + Clone, node: &Node) -> Self {
        let ready = || endpoints.clone().filter(|endpoint| endpoint.ready);
        let counts = |hints: fn(&Endpoint) -> &[Box<str>], here: &str| {
            ready().all(|endpoint| !hints(endpoint).is_empty())
                && ready().any(|endpoint| names(hints(endpoint), here))
        };
        if counts(|endpoint| &endpoint.nodes, &node.name) {
            Self::SameNode
        } else if counts(|endpoint| &endpoint.zones, &node.zone) {
            Self::SameZone
        } else {
            Self::None
        }
    }

    fn allow(self, endpoint: &Endpoint, node: &Node) -> bool {
        match self {
            Self::None => true,
            Self::SameNode => names(&endpoint.nodes, &node.name),
            Self::SameZone => names(&endpoint.zones, &node.zone),
        }
    }
}

fn names(hints: &[Box<str>], here: &str) -> bool {
    hints.iter().any(|hint| **hint == *here)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `1@node1` is ready, `!1@node1` is not, `-1@node1` serves while it terminates, `x1@node1` terminates and does not
    /// serve; `1@node1/a` has a hint for zone a, `1@node1/=node1` for node1.
    fn endpoint(text: &str) -> (SocketAddrV4, Endpoint) {
        let (ready, serving, terminating) = match text.as_bytes()[0] {
            b'!' => (false, false, false),
            b'-' => (false, true, true),
            b'x' => (false, false, true),
            _ => (true, true, false),
        };
        let text = text.trim_start_matches(['!', '-', 'x']);
        let (text, hints) = text.split_once('/').unwrap_or((text, ""));
        let (number, node) = text.split_once('@').unwrap();
        let hint = |of_nodes: bool| -> Vec<Box<str>> {
            let hints = hints.split('/').filter(|hint| !hint.is_empty());
            let of_kind = hints.filter(|hint| hint.starts_with('=') == of_nodes);
            of_kind
                .map(|hint| hint.trim_start_matches('=').into())
                .collect()
        };
        let address = std::net::Ipv4Addr::new(10, 244, 0, number.parse().unwrap());
        let endpoint = Endpoint {
            address,
            ready,
            serving,
            terminating,
            node: (!node.is_empty()).then(|| node.into()),
            zones: hint(false),
            nodes: hint(true),
        };
        (SocketAddrV4::new(address, 80), endpoint)
    }

    fn numbers(addresses: &[SocketAddrV4]) -> Vec<u8> {
        addresses
            .iter()
            .map(|address| address.ip().octets()[3])
            .collect()
    }

    #[test]
    fn ready_endpoints_are_used_and_without_any_those_that_still_serve() {
        let both = Policies {
            cluster: true,
            local: true,
        };
        type Case<'a> = (&'a str, &'a [&'a str], &'a [u8], &'a [u8]);
        let cases: [Case<'_>; 17] = [
            ("nobody", &[], &[], &[]),
            ("ready ones", &["1@node1", "2@node2"], &[1, 2], &[1]),
            (
                "not those that are not ready",
                &["!1@node1", "2@node2"],
                &[2],
                &[],
            ),
            (
                "nor those that terminate, while others are ready",
                &["-1@node2", "2@node2"],
                &[2],
                &[],
            ),
            (
                "the last ones that serve",
                &["-1@node1", "-2@node2", "!3@node1", "x4@node2"],
                &[1, 2],
                &[1],
            ),
            (
                "not those that serve no more",
                &["x1@node1", "x2@node2"],
                &[],
                &[],
            ),
            (
                "each policy falls back on its own",
                &["-1@node1", "2@node2"],
                &[2],
                &[1],
            ),
            (
                "the same the other way round",
                &["1@node1", "-2@node2"],
                &[1],
                &[1],
            ),
            ("of unknown nodes", &["1@", "-2@"], &[1], &[]),
            (
                "hints for the zone",
                &["1@node1/a", "2@node2/b"],
                &[1],
                &[1],
            ),
            (
                "local endpoints whatever the hints",
                &["1@node1/b", "2@node2/a"],
                &[2],
                &[1],
            ),
            (
                "no hint for this zone",
                &["1@node1/b", "2@node2/c"],
                &[1, 2],
                &[1],
            ),
            (
                "a hint is missing",
                &["1@node1/a", "2@node2"],
                &[1, 2],
                &[1],
            ),
            (
                "hints of endpoints that are not ready do not count",
                &["1@node1/a", "!2@node2", "-3@node2"],
                &[1],
                &[1],
            ),
            (
                "hints for the node",
                &["1@node1/=node1/a", "2@node2/=node2/a"],
                &[1],
                &[1],
            ),
            (
                "no hint for this node, but for the zone",
                &["1@node3/=node3/a", "2@node2/=node2/b"],
                &[1],
                &[],
            ),
            (
                "no hint at all for here",
                &["1@node3/=node3/b", "2@node2/=node2/b"],
                &[1, 2],
                &[],
            ),
        ];
        for (case, texts, cluster, local) in cases {
            let endpoints: Vec<_> = texts.iter().map(|text| endpoint(text)).collect();
            let node = Node {
                name: "node1".to_owned(),
                address: None,
                zone: "a".to_owned(),
            };
            let list = || {
                endpoints
                    .iter()
                    .map(|(address, endpoint)| (*address, endpoint))
            };
            let found = usable(list(), both, &node);
            assert_eq!(
                (&*numbers(&found.cluster), &*numbers(&found.local)),
                (cluster, local),
                "{case}"
            );
            for policies in [
                Policies {
                    cluster: true,
                    local: false,
                },
                Policies {
                    cluster: false,
                    local: true,
                },
            ] {
                let found = usable(list(), policies, &node);
                assert_eq!(
                    numbers(&found.cluster),
                    if policies.cluster { cluster } else { &[] }
                );
                assert_eq!(
                    numbers(&found.local),
                    if policies.local { local } else { &[] }
                );
            }
        }
    }

    #[test]
    fn slices_that_overlap_name_an_endpoint_once_and_the_local_one_counts() {
        let texts = ["1@", "1@node1", "1@"];
        let endpoints: Vec<_> = texts.iter().map(|text| endpoint(text)).collect();
        let node = Node {
            name: "node1".to_owned(),
            ..Node::default()
        };
        let list = endpoints
            .iter()
            .map(|(address, endpoint)| (*address, endpoint));
        let found = usable(
            list,
            Policies {
                cluster: true,
                local: true,
            },
            &node,
        );
        assert_eq!(
            (numbers(&found.cluster), numbers(&found.here)),
            (vec![1], vec![1])
        );
    }
}
